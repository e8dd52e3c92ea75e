//! Functions that take a lambda: `transform(list, x -> x + 1)`.
//!
//! The parser takes the arrow for the operator of JSON, which binds tighter than all others; so the parameter stands at the
//! far left of what was read, and the rest is the lambda's body.

use deltalake::datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LambdaFunction, LambdaFunctionParameter, LambdaSyntax,
    OneOrManyWithParens, Spanned, UnaryOperator,
};

use super::Rewriter;
use super::expand::name_of;
use crate::sql::SqlError;

/// Names in other engines, and DataFusion's.
const FUNCTIONS: [(&str, &str); 13] = [
    ("transform", "array_transform"),
    ("list_transform", "array_transform"),
    ("list_apply", "array_transform"),
    ("apply", "array_transform"),
    ("array_transform", "array_transform"),
    ("filter", "array_filter"),
    ("list_filter", "array_filter"),
    ("array_filter", "array_filter"),
    (super::super::respell::EXISTS, "array_any_match"),
    ("any_match", "array_any_match"),
    ("array_any_match", "array_any_match"),
    ("forall", "array_any_match"),
    ("all_match", "array_any_match"),
];

/// Functions with lambdas that nothing stands for.
const MISSING: [(&str, &str); 12] = [
    ("aggregate", "use `unnest` and an aggregate, or `array_sum`, `array_max` and the like"),
    ("reduce", "use `unnest` and an aggregate, or `array_sum`, `array_max` and the like"),
    ("list_reduce", "use `unnest` and an aggregate, or `array_sum`, `array_max` and the like"),
    ("array_sort", "use `array_sort(list, 'DESC')`, or `array_agg(x order by ..)` over `unnest`"),
    ("zip_with", "use `arrays_zip` and `transform`"),
    ("map_filter", "use `map_entries` and `filter`"),
    ("transform_keys", "use `map_keys`, `transform` and `map_from_arrays`"),
    ("transform_values", "use `map_values`, `transform` and `map_from_arrays`"),
    ("map_zip_with", "use `map_entries` and a join over `unnest`"),
    ("array_agg", "use `transform`"),
    ("list_sort", "use `array_sort`"),
    ("any", "use `any_match`"),
];

/// Makes lambdas of the arguments of a call that takes some. To be called before the arguments are looked at.
pub(super) fn rewrite(function: &mut ast::Function, rewriter: &Rewriter) -> Result<bool, Box<SqlError>> {
    let name = name_of(function);
    let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
    let missing = MISSING.iter().find(|(known, _)| *known == name);
    if known.is_none() && missing.is_none() {
        return Ok(false);
    }
    let span = function.name.span();
    let FunctionArguments::List(list) = &mut function.args else { return Ok(false) };
    let mut found = false;
    for argument in list.args.iter_mut().skip(1) {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { continue };
        if let Some(parameters) = take_parameters(expr) {
            if let Some((_, help)) = missing {
                return Err(rewriter.refuse(&format!("`{name}` with a lambda is not available"), span, help));
            }
            let body = expr.clone();
            let body = if matches!(name.as_str(), "forall" | "all_match") { negated(body) } else { body };
            *expr = Expr::Lambda(LambdaFunction { params: parameters, body: Box::new(body), syntax: LambdaSyntax::Arrow });
            found = true;
        }
    }
    if found && let Some((_, wanted)) = known {
        function.name = ast::ObjectName::from(vec![Ident { value: (*wanted).into(), quote_style: None, span }]);
    }
    Ok(found && matches!(name.as_str(), "forall" | "all_match"))
}

fn negated(body: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(body))) }
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
        Expr::BinaryOp { left, .. } => Some(left),
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
        | Expr::InList { expr: inner, .. }
        | Expr::Cast { expr: inner, .. }
        | Expr::CompoundFieldAccess { root: inner, .. } => Some(inner),
        _ => None,
    }
}
