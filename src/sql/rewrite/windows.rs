//! Window functions in forms that the planner has no room for: a `lag` whose last argument is no constant, and percentiles that are
//! taken `within group (..) over (..)`.

use deltalake::datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, NullTreatment, Spanned,
};

use super::calls::arguments;
use super::expand::{expand, name_of};
use crate::sql::SqlError;
use crate::sql::rewrite::Rewriter;

/// What a call over a window stands for; `None` where it may stay as it is.
///
/// # Errors
/// Where a percentile has an order of several values.
pub(super) fn rewrite(function: &ast::Function, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    if function.over.is_none() {
        return Ok(None);
    }
    match name_of(function).as_str() {
        "lag" | "lead" => Ok(beside(function)),
        "percentile_cont" | "approx_percentile_cont" if !function.within_group.is_empty() => percentile(function, rewriter).map(Some),
        _ => Ok(None),
    }
}

/// `lag(a, n, b)`: `b` is taken where no row stands at that place, which is where a constant has no value there. What is found
/// without NULLs is never NULL.
fn beside(function: &ast::Function) -> Option<Expr> {
    let (given, clauses) = match &function.args {
        FunctionArguments::List(list) => (&list.args, &list.clauses),
        FunctionArguments::None | FunctionArguments::Subquery(_) => return None,
    };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(_)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(_)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(otherwise)),
    ] = given.as_slice()
    else {
        return None;
    };
    if is_constant(otherwise) {
        return None;
    }
    let span = function.name.span();
    let mut found = function.clone();
    if let FunctionArguments::List(list) = &mut found.args {
        list.args.truncate(2);
    }
    let ignores = |clause: &FunctionArgumentClause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(NullTreatment::IgnoreNulls));
    if function.null_treatment == Some(NullTreatment::IgnoreNulls) || clauses.iter().any(ignores) {
        return expand("coalesce($1, $2)", &[Expr::Function(found), otherwise.clone()], span);
    }
    let mut there = found.clone();
    if let FunctionArguments::List(list) = &mut there.args
        && let Some(first) = list.args.first_mut()
    {
        *first = FunctionArg::Unnamed(FunctionArgExpr::Expr(expand("true", &[], span)?));
    }
    expand("case when $1 is null then $2 else $3 end", &[Expr::Function(there), otherwise.clone(), Expr::Function(found)], span)
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } | Expr::Nested(expr) => is_constant(expr),
        _ => false,
    }
}

/// `percentile_cont(p) within group (order by x) over (..)` as `percentile_cont(x, p) over (..)`; from the other end where the
/// order descends.
fn percentile(function: &ast::Function, rewriter: &Rewriter) -> Result<Expr, Box<SqlError>> {
    let span = function.name.span();
    let refuse = || {
        rewriter.refuse(
            "a percentile over a window has one argument and one order",
            span,
            "write it as `percentile_cont(0.5) within group (order by x) over (..)`",
        )
    };
    let given = arguments(function);
    let ([by], Some([part])) = (function.within_group.as_slice(), given.as_deref()) else { return Err(refuse()) };
    let part = if by.options.asc == Some(false) { expand("round(1 - $1, 12)", std::slice::from_ref(part), span) } else { Some(part.clone()) };
    let mut plain = function.clone();
    plain.within_group.clear();
    if let FunctionArguments::List(list) = &mut plain.args {
        let values = [Some(by.expr.clone()), part].into_iter().flatten();
        list.args = values.map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect();
    }
    Ok(Expr::Function(plain))
}
