//! Divisions of integers: their result is an integer here, as in Postgres and SQL Server, and has a fraction in Spark,
//! Databricks, Snowflake, `BigQuery` and DuckDB.

use std::ops::Range;

use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{Column, DFSchema};
use deltalake::datafusion::logical_expr::utils::merge_schema;
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, Operator};

use super::facts::{Doubt, DoubtKind};
use crate::sql::slashes;

/// The divisions of integers in a plan that was not analyzed yet. `sql` is the text that was planned.
pub(super) fn divisions(plan: &LogicalPlan, sql: &str) -> Vec<Doubt> {
    if !sql.contains('/') {
        return Vec::new();
    }
    let (slashes, whole) = slashes(sql);
    if slashes.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Expr> = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                if divides_integers(inner, &schema) {
                    found.push(inner.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    let places: Vec<Option<Range<usize>>> = if found.len() == slashes.len() + whole {
        slashes.into_iter().map(|at| Some(at..at + 1)).collect()
    } else {
        let mut places: Vec<usize> = found.iter().filter_map(|expr| behind(expr, sql, &slashes)).collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() { found.first().map(|_| None).into_iter().collect() } else { places.into_iter().map(|at| Some(at..at + 1)).collect() }
    };
    places.into_iter().map(|range| Doubt { kind: DoubtKind::IntegerDivision, range }).collect()
}

fn divides_integers(expr: &Expr, schema: &DFSchema) -> bool {
    let Expr::BinaryExpr(binary) = expr else { return false };
    let is_integer = |side: &Expr| side.get_type(schema).is_ok_and(|found| found.is_integer());
    binary.op == Operator::Divide && is_integer(&binary.left) && is_integer(&binary.right)
}

/// The first slash behind the last column of the left side.
fn behind(expr: &Expr, sql: &str, slashes: &[usize]) -> Option<usize> {
    let Expr::BinaryExpr(binary) = expr else { return None };
    let columns = binary.left.column_refs();
    let last = columns.iter().filter_map(|column| end(column, sql)).max()?;
    slashes.iter().copied().find(|at| *at >= last)
}

fn end(column: &Column, sql: &str) -> Option<usize> {
    let span = column.spans().first()?;
    let text = crate::base::SourceFile::new("", sql.into());
    Some(text.offset(u32::try_from(span.end.line).ok()?, u32::try_from(span.end.column).ok()?) as usize)
}
