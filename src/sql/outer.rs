//! Subqueries that use columns from outside: whether they can be carried out, and columns that are found outside because the
//! subquery's own tables lack them.

use std::ops::Range;

use deltalake::datafusion::common::Column;
use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan};

use super::SqlError;
use super::failure::correlated;
use crate::base::Code;

/// What is wrong with the subqueries of a plan. Plans in which none uses a column from outside are not looked at closely.
#[must_use]
pub fn wrong_subquery(plan: &LogicalPlan, state: &SessionState, sql: &str) -> Option<SqlError> {
    if !correlates(plan) {
        return None;
    }
    if let Some((function, column)) = aggregated_outside(plan) {
        let message =
            format!("column `{}` not found in the tables of this subquery, and of the query around it nothing can be aggregated here", column.name);
        let error = SqlError::new(Code::UnknownColumn, message).help("use a column of the subquery's own tables");
        return Some(match place(&function, &column, sql) {
            Some(range) => error.range(range),
            None => error,
        });
    }
    // What the optimizer can't turn into a join can't be run.
    let optimized = state.optimizer().optimize(plan.clone(), state, |_, _| {}).ok()?;
    correlates(&optimized).then(|| correlated(sql))
}

/// Whether a subquery uses a column from outside.
fn correlates(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                found |= matches!(part, Expr::OuterReferenceColumn(..));
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    found
}

/// An aggregate whose only columns are from outside: it would aggregate the rows of the query around it.
fn aggregated_outside(plan: &LogicalPlan) -> Option<(String, Column)> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else { return Ok(TreeNodeRecursion::Continue) };
        for expr in &aggregate.aggr_expr {
            let (mut own, mut outer) = (false, None);
            expr.apply(|part| {
                match part {
                    Expr::Column(_) => own = true,
                    Expr::OuterReferenceColumn(_, column) => outer = Some(column.clone()),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
            if let Some(column) = outer.filter(|_| !own) {
                found = Some((function(expr), column));
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// What the aggregate is called.
fn function(expr: &Expr) -> String {
    let mut name = String::new();
    let _ = expr.apply(|part| {
        if let Expr::AggregateFunction(call) = part {
            call.func.name().clone_into(&mut name);
        }
        Ok(if name.is_empty() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    name
}

/// The column behind the name of the function and a bracket.
fn place(function: &str, column: &Column, sql: &str) -> Option<Range<usize>> {
    let lower = sql.to_lowercase();
    let (function, name) = (function.to_lowercase(), column.name.to_lowercase());
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    lower.match_indices(&function).find_map(|(at, _)| {
        let rest = lower.get(at + function.len()..)?.trim_start().strip_prefix('(')?;
        let begin = lower.len() - rest.trim_start().len();
        let end = rest.trim_start().find(|letter: char| !part(letter) && !matches!(letter, '.' | '"' | '`'))? + begin;
        let written = lower.get(begin..end)?;
        (written.trim_matches(['"', '`']).rsplit('.').next()? == name && lower.len() == sql.len()).then_some(begin..end)
    })
}
