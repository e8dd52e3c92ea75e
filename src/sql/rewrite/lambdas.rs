//! Functions that take a lambda: `transform(list, x -> x + 1)`.
//!
//! The parser takes the arrow for the operator of JSON; so the parameter stands at the far left of what was read, and the rest
//! is the lambda's body.

use deltalake::datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LambdaFunction, LambdaFunctionParameter, LambdaSyntax,
    OneOrManyWithParens, Spanned, UnaryOperator, visit_expressions_mut,
};

use super::Rewriter;
use super::expand::{expand, name_of};
use crate::sql::SqlError;
use crate::sql::respell::EXISTS;

/// What each function with a lambda stands for; `$2`, `$3`, .. are the arguments behind the first, lambdas among them.
const FUNCTIONS: [(&str, usize, &str); 26] = [
    ("transform", 2, "array_transform($1, $2)"),
    ("list_transform", 2, "array_transform($1, $2)"),
    ("list_apply", 2, "array_transform($1, $2)"),
    ("apply", 2, "array_transform($1, $2)"),
    ("array_transform", 2, "array_transform($1, $2)"),
    ("filter", 2, "array_filter($1, $2)"),
    ("list_filter", 2, "array_filter($1, $2)"),
    ("array_filter", 2, "array_filter($1, $2)"),
    (EXISTS, 2, "array_any_match($1, $2)"),
    ("any_match", 2, "array_any_match($1, $2)"),
    ("array_any_match", 2, "array_any_match($1, $2)"),
    // All hold where none breaks it: the body is negated.
    ("forall", 2, "not (array_any_match($1, $2))"),
    ("all_match", 2, "not (array_any_match($1, $2))"),
    ("reduce", 3, "reduce($1, $2, $3)"),
    ("reduce", 4, "reduce($1, $2, $3, $4)"),
    ("aggregate", 3, "reduce($1, $2, $3)"),
    ("aggregate", 4, "reduce($1, $2, $3, $4)"),
    ("list_reduce", 2, "reduce(array_slice($1, 2, cast(cardinality($1) as bigint)), array_element($1, 1), $2)"),
    ("list_reduce", 3, "reduce($1, $3, $2)"),
    ("array_reduce", 2, "reduce(array_slice($1, 2, cast(cardinality($1) as bigint)), array_element($1, 1), $2)"),
    ("array_reduce", 3, "reduce($1, $3, $2)"),
    ("zip_with", 3, "zip_with($1, $2, $3)"),
    ("transform_values", 2, "map_from_arrays(map_keys($1), zip_with(map_keys($1), map_values($1), $2))"),
    ("transform_keys", 2, "map_from_arrays(zip_with(map_keys($1), map_values($1), $2), map_values($1))"),
    ("map_filter", 2, "map_from_entries(array_filter(map_entries($1), $2))"),
    ("list_zip_with", 3, "zip_with($1, $2, $3)"),
];

/// Functions with lambdas that nothing stands for.
const MISSING: [(&str, &str); 5] = [
    ("array_sort", "use `array_sort(list, 'DESC')`, or `array_agg(x order by ..)` over `unnest`"),
    ("map_zip_with", "use `map_entries` and a join over `unnest`"),
    ("array_agg", "use `transform`"),
    ("list_sort", "use `array_sort`"),
    ("any", "use `any_match`"),
];

/// Makes lambdas of the arguments of a call that takes some. To be called before the arguments are looked at.
pub(super) fn rewrite(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let name = name_of(function);
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    let forms: Vec<&(&str, usize, &str)> = FUNCTIONS.iter().filter(|(known, ..)| *known == name).collect();
    let missing = MISSING.iter().find(|(known, _)| *known == name);
    if forms.is_empty() && missing.is_none() {
        return Ok(());
    }
    let span = function.name.span();
    let mut arguments = Vec::new();
    let mut found = false;
    for (at, argument) in list.args.iter().enumerate() {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(written)) = argument else { return Ok(()) };
        let mut body = written.clone();
        match if at == 0 { None } else { take_parameters(&mut body) } {
            Some(params) => {
                arguments.push(Expr::Lambda(LambdaFunction { params, body: Box::new(body), syntax: LambdaSyntax::Arrow }));
                found = true;
            }
            None => arguments.push(written.clone()),
        }
    }
    if !found {
        return Ok(());
    }
    if let Some((_, help)) = missing {
        return Err(rewriter.refuse(&format!("`{name}` with a lambda is not available"), span, help));
    }
    let Some((.., meant)) = forms.iter().find(|(_, count, _)| *count == arguments.len()) else {
        let counts: Vec<String> = forms.iter().map(|(_, count, _)| count.to_string()).collect();
        let message = format!("`{name}` takes {} arguments, and has {} here", counts.join(" or "), arguments.len());
        return Err(rewriter.refuse(&message, span, "a list comes first, lambdas are written `x -> ..`"));
    };
    let mut meant = *meant;
    if meant.starts_with("not ")
        && let [_, Expr::Lambda(lambda)] = arguments.as_mut_slice()
    {
        *lambda.body = Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(lambda.body.clone())) };
    }
    if let [_, Expr::Lambda(lambda)] = arguments.as_mut_slice()
        && let OneOrManyWithParens::Many(parameters) = &lambda.params
        && let [first, second] = parameters.as_slice()
    {
        let (first, second) = (first.name.clone(), second.name.clone());
        if meant.starts_with("array_transform") {
            // The second parameter is the place, from 0.
            meant = "zip_with($1, range(0, cast(len($1) as bigint)), $2)";
        } else if name == "map_filter" {
            let entry = Ident { value: "entry__".into(), quote_style: None, span };
            for (name, field) in [(&first, "$1['key']"), (&second, "$1['value']")] {
                let value = expand(field, &[Expr::Identifier(entry.clone())], span);
                replace(&mut lambda.body, name, value.as_ref());
            }
            lambda.params = OneOrManyWithParens::One(LambdaFunctionParameter { name: entry, data_type: None });
        }
    }
    if let Some(call) = expand(meant, &arguments, span) {
        *expr = call;
    }
    Ok(())
}

/// Puts an expression in the place of a name.
fn replace(body: &mut Expr, name: &Ident, value: Option<&Expr>) {
    let Some(value) = value else { return };
    let _ = visit_expressions_mut(body, |inner| {
        if matches!(inner, Expr::Identifier(found) if found.value == name.value) {
            *inner = value.clone();
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
}

/// Takes `x ->` from the far left of an expression, which is the body afterwards.
fn take_parameters(expr: &mut Expr) -> Option<OneOrManyWithParens<LambdaFunctionParameter>> {
    if let Expr::BinaryOp { left, op: BinaryOperator::Arrow, right } = expr {
        let parameter = |name: &Ident| LambdaFunctionParameter { name: name.clone(), data_type: None };
        let parameters = match left.as_ref() {
            Expr::Identifier(name) => OneOrManyWithParens::One(parameter(name)),
            Expr::Nested(inner) => match inner.as_ref() {
                Expr::Identifier(name) => OneOrManyWithParens::One(parameter(name)),
                _ => return None,
            },
            Expr::Tuple(names) => {
                let names: Option<Vec<_>> =
                    names.iter().map(|name| if let Expr::Identifier(name) = name { Some(parameter(name)) } else { None }).collect();
                OneOrManyWithParens::Many(names?)
            }
            _ => return take_parameters(left),
        };
        *expr = (**right).clone();
        return Some(parameters);
    }
    take_parameters(leftmost(expr)?)
}

/// What an expression begins with.
fn leftmost(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => Some(left),
        Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsDistinctFrom(inner, _)
        | Expr::IsNotDistinctFrom(inner, _)
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::RLike { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::SimilarTo { expr: inner, .. }
        | Expr::InList { expr: inner, .. }
        | Expr::InSubquery { expr: inner, .. }
        | Expr::Cast { expr: inner, .. }
        | Expr::CompoundFieldAccess { root: inner, .. } => Some(inner),
        _ => None,
    }
}
