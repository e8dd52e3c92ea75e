//! Several values looked for among the rows of a subquery, which the planner does for one value only: `(a, b) in (select ..)`
//! as `exists`.

use deltalake::datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, SelectItem, SetExpr, Spanned, TableFactor, UnaryOperator};

use super::Rewriter;
use super::expand::{expand, query_at};
use crate::sql::SqlError;

/// The conditions of a `where`, as far as it makes no difference there whether they are false or NULL.
pub(super) fn condition(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    match expr {
        Expr::Nested(inner) => condition(inner, rewriter),
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            condition(left, rewriter)?;
            condition(right, rewriter)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => match negated(inner) {
            Some(mut found) => {
                condition(&mut found, rewriter)?;
                *expr = found;
                Ok(())
            }
            None => Ok(()),
        },
        Expr::InSubquery { .. } => rewrite(expr, rewriter),
        _ => Ok(()),
    }
}

/// `not ((a, b) in ..)` as `(a, b) not in ..`.
fn negated(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Nested(inner) => negated(inner),
        Expr::InSubquery { expr, subquery, negated } if several(expr).is_some() => {
            Some(Expr::InSubquery { expr: expr.clone(), subquery: subquery.clone(), negated: !negated })
        }
        _ => None,
    }
}

/// In other places it would have to be NULL at times, which `exists` is not.
pub(super) fn elsewhere(expr: &Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    match expr {
        Expr::InSubquery { expr: value, .. } if several(value).is_some() => Err(rewriter.refuse(
            "several values can only be looked for in a subquery by a condition of `where`",
            value.span(),
            "join the rows instead, or move the condition into `where`",
        )),
        _ => Ok(()),
    }
}

fn rewrite(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Expr::InSubquery { expr: value, subquery, negated } = &*expr else { return Ok(()) };
    let Some(values) = several(value) else { return Ok(()) };
    if let SetExpr::Select(select) = subquery.body.as_ref()
        && !select.projection.iter().any(is_star)
        && select.projection.len() != values.len()
    {
        let message = format!("{} values are looked for among rows of {}", values.len(), select.projection.len());
        return Err(rewriter.refuse(&message, value.span(), "select as many columns in the subquery as there are values"));
    }
    if let Some(found) = exists(values, subquery, *negated) {
        *expr = found;
    }
    Ok(())
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn several(value: &Expr) -> Option<&[Expr]> {
    match value {
        Expr::Tuple(values) if values.len() > 1 => Some(values),
        _ => None,
    }
}

/// A row that equals the values; where they must not be among the rows, one that may equal them: a NULL may be anything.
fn exists(values: &[Expr], query: &Query, negated: bool) -> Option<Expr> {
    let span = values.first()?.span();
    let columns: Vec<String> = (1..=values.len()).map(|at| format!("\"value {at}\"")).collect();
    let mut rows = query_at(&format!("select 1 from (select 1) as \"rows in\"({})", columns.join(", ")), span)?;
    let equals = if negated { "coalesce(\"rows in\".# = $#, true)" } else { "\"rows in\".# = $#" };
    let pairs: Vec<String> = columns.iter().zip(1..).map(|(column, at)| equals.replacen('#', column, 1).replacen('#', &at.to_string(), 1)).collect();
    let condition = expand(&pairs.join(" and "), values, span)?;
    let SetExpr::Select(select) = rows.body.as_mut() else { return None };
    let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else { return None };
    **subquery = query.clone();
    select.selection = Some(condition);
    Some(Expr::Exists { subquery: Box::new(rows), negated })
}
