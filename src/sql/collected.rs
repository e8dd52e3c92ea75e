//! `array_agg`, `string_agg` and their kin without an order take values in that of their rows, as in Postgres and DuckDB: that
//! of a sorted subquery, or of the files. DataFusion drops the sort of such a subquery and collects in several partitions, so
//! that the same query gives another text each time.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{Column, Result};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, SortExpr};
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{self, visit_expressions};

/// By their names once they are rewritten.
const COLLECTING: [&str; 3] = ["array_agg", "string_agg", "collect_list"];

/// The session for planning a statement: one that leaves the sorts of subqueries where they are needed.
pub(super) fn planning<'a>(state: &'a SessionState, statement: &Statement) -> Cow<'a, SessionState> {
    let inner = match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => return planning(state, &explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Cow::Borrowed(state),
    };
    let collects = visit_expressions(inner.as_ref(), |expr| match expr {
        ast::Expr::Function(function) if is_collecting(&function.name) && !is_ordered(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if collects.is_continue() {
        return Cow::Borrowed(state);
    }
    let mut state = state.clone();
    state.config_mut().options_mut().sql_parser.enable_subquery_sort_elimination = false;
    Cow::Owned(state)
}

fn is_collecting(name: &ast::ObjectName) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|name| COLLECTING.iter().any(|known| name.value.eq_ignore_ascii_case(known)))
}

/// Whether a call says in which order it takes its rows.
pub(super) fn is_ordered(function: &ast::Function) -> bool {
    let ast::FunctionArguments::List(list) = &function.args else { return false };
    !function.within_group.is_empty() || list.clauses.iter().any(|clause| matches!(clause, ast::FunctionArgumentClause::OrderBy(_)))
}

/// A plan as it comes from the planner, with the order of sorted subqueries given to what is collected over them.
pub(super) fn ordered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(collects) => over_sorted(aggregate),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(done.data)
}

fn over_sorted(mut aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let Some((input, keys)) = sorted(&aggregate.input)? else { return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))) };
    for expr in aggregate.aggr_expr.iter_mut().filter(|expr| collects(expr)) {
        let name = expr.schema_name().to_string();
        let given = std::mem::take(expr).transform_up(|expr| match expr {
            Expr::AggregateFunction(mut call) => {
                call.params.order_by.clone_from(&keys);
                Ok(Transformed::yes(Expr::AggregateFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        *expr = if matches!(given.data, Expr::Alias(_)) { given.data } else { given.data.alias(name) };
    }
    aggregate.input = Arc::new(input);
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// The order in which a plan yields its rows, where a sort says so, over the columns of the plan that is given with it: there a
/// column may be behind the others that the order needs.
fn sorted(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Vec<SortExpr>)>> {
    let input = match plan {
        LogicalPlan::Sort(sort) => return Ok(Some((plan.clone(), sort.expr.clone()))),
        LogicalPlan::SubqueryAlias(alias) => &alias.input,
        LogicalPlan::Filter(filter) => &filter.input,
        LogicalPlan::Limit(limit) => &limit.input,
        LogicalPlan::Projection(projection) => &projection.input,
        _ => return Ok(None),
    };
    let Some((input, mut keys)) = sorted(input)? else { return Ok(None) };
    let mut exprs = plan.expressions();
    match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            for key in &mut keys {
                key.expr = over_columns(&key.expr, |column| Column::new(Some(alias.alias.clone()), column.name.clone()))?;
            }
        }
        LogicalPlan::Projection(projection) => {
            for key in &mut keys {
                let at = projection.expr.iter().position(|expr| expr.clone().unalias() == key.expr);
                let column = if let Some(at) = at {
                    Column::from(projection.schema.qualified_field(at))
                } else {
                    let name = format!("__order_{}", exprs.len());
                    exprs.push(std::mem::take(&mut key.expr).alias(&name));
                    Column::new_unqualified(name)
                };
                key.expr = Expr::Column(column);
            }
        }
        _ => {}
    }
    plan.with_new_exprs(exprs, vec![input]).map(|plan| Some((plan, keys)))
}

fn over_columns(expr: &Expr, meant: impl Fn(&Column) -> Column) -> Result<Expr> {
    let done = expr.clone().transform_up(|expr| match &expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(meant(column)))),
        _ => Ok(Transformed::no(expr)),
    })?;
    Ok(done.data)
}

/// Whether a plan, or a view that it reads, collects values in the order of their rows: then it has to run in one partition.
///
/// # Errors
/// Never; plans are walked by a function that may fail.
pub fn keeps_order(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(view) = scan.source.get_logical_plan()
        {
            found |= keeps_order(&view)?;
        }
        if let LogicalPlan::Aggregate(aggregate) = node {
            found |= aggregate.aggr_expr.iter().any(collects);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn collects(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => collects(&alias.expr),
        Expr::AggregateFunction(call) => COLLECTING.contains(&call.func.name()) && call.params.order_by.is_empty() && !call.params.distinct,
        _ => false,
    }
}
