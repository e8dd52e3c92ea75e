//! What DataFusion's planner lets pass and what fails as soon as it is run, whatever the rows: found while planning, so that
//! a check finds it too.

use deltalake::arrow::compute::can_cast_types;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use deltalake::datafusion::logical_expr::utils::merge_schema;
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use deltalake::datafusion::optimizer::AnalyzerRule;

use super::type_name;

/// Before types are coerced: what would be cast to a condition, and what stands where its rows are not there yet.
#[derive(Debug)]
pub(super) struct Misplaced;

impl AnalyzerRule for Misplaced {
    fn name(&self) -> &'static str {
        "misplaced"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::Filter(filter) => {
                    no_window(std::slice::from_ref(&filter.predicate), "a condition on rows or groups", "`qualify` for windows, or a CTE")?;
                }
                LogicalPlan::Aggregate(aggregate) => no_window(&aggregate.group_expr, "`group by`", "a CTE")?,
                LogicalPlan::Join(join) => {
                    let keys = join.on.iter().flat_map(|(left, right)| [left, right]);
                    for key in keys.chain(&join.filter) {
                        no_window(std::slice::from_ref(key), "the condition of a join", "a CTE")?;
                    }
                }
                _ => {}
            }
            conditions(node)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

/// Refuses windows and aggregates where rows are chosen, joined or grouped.
fn no_window(exprs: &[Expr], place: &str, instead: &str) -> Result<()> {
    for expr in exprs {
        let mut found = None;
        expr.apply(|part| {
            found = match part {
                Expr::WindowFunction(_) => Some("a window function"),
                Expr::AggregateFunction(_) => Some("an aggregate"),
                _ => return Ok(TreeNodeRecursion::Continue),
            };
            Ok(TreeNodeRecursion::Stop)
        })?;
        if let Some(what) = found {
            return plan_err!("{what} cannot stand in {place}; use {instead}");
        }
    }
    Ok(())
}

/// Refuses a `case` whose `when` is no condition.
fn conditions(node: &LogicalPlan) -> Result<()> {
    let mut schema: Option<DFSchema> = None;
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            let Expr::Case(case) = part else { return Ok(TreeNodeRecursion::Continue) };
            if case.expr.is_some() {
                return Ok(TreeNodeRecursion::Continue);
            }
            let schema = schema.get_or_insert_with(|| merge_schema(&node.inputs()));
            for (when, _) in &case.when_then_expr {
                let found = when.get_type(schema).unwrap_or(DataType::Boolean);
                let is_condition = found.is_numeric() || matches!(found, DataType::Boolean | DataType::Null);
                if !is_condition {
                    return plan_err!("expected a condition, found {}", type_name(&found));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

/// Behind type coercion: casts that no value survives.
#[derive(Debug)]
pub(super) struct Impossible;

impl AnalyzerRule for Impossible {
    fn name(&self) -> &'static str {
        "impossible"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            let mut schema: Option<DFSchema> = None;
            node.apply_expressions(|expr| {
                expr.apply(|part| {
                    let Expr::Cast(cast) = part else { return Ok(TreeNodeRecursion::Continue) };
                    match cast.expr.as_ref() {
                        Expr::Literal(value, _) => constant(value, cast.field.data_type())?,
                        value => {
                            let schema = schema.get_or_insert_with(|| merge_schema(&node.inputs()));
                            castable(value, cast.field.data_type(), schema)?;
                        }
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

/// The planner folds constants before it runs anything, and fails where one has no value.
fn constant(value: &ScalarValue, wanted: &DataType) -> Result<()> {
    let is_text = matches!(value, ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)) | ScalarValue::LargeUtf8(Some(_)));
    if is_text || value.data_type().is_integer() && wanted.is_integer() {
        value.cast_to(wanted)?;
    }
    Ok(())
}

fn castable(value: &Expr, wanted: &DataType, schema: &DFSchema) -> Result<()> {
    let Ok(found) = value.get_type(schema) else { return Ok(()) };
    if found == *wanted || can_cast_types(&found, wanted) || matches!((&found, wanted), (DataType::Struct(_), DataType::Struct(_))) {
        return Ok(());
    }
    plan_err!("{} cannot be cast to {}", type_name(&found), type_name(wanted))
}
