//! UNNEST of a column of a table beside it: `from t cross join unnest(t.list) as u(x)`.
//!
//! DataFusion plans it as a join with a query that uses a column from outside, and can't carry that out. The join becomes
//! what it means: the lists are unnested beside the columns of the left side.

use std::collections::HashMap;

use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{Column, NullHandling, Result};
use deltalake::datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Unnest, lit};
use deltalake::datafusion::optimizer::AnalyzerRule;

/// What an unnested list is called on its way.
const NAME: &str = "__lateral_unnest_";

/// See the module.
#[derive(Debug)]
pub(super) struct LateralUnnest;

impl AnalyzerRule for LateralUnnest {
    fn name(&self) -> &'static str {
        "lateral_unnest"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => match unnested(&join)? {
                Some(plan) => Ok(Transformed::yes(plan)),
                None => Ok(Transformed::no(LogicalPlan::Join(join))),
            },
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
    }
}

fn unnested(join: &Join) -> Result<Option<LogicalPlan>> {
    let keeps = join.join_type == JoinType::Left;
    if !keeps && join.join_type != JoinType::Inner || !join.on.is_empty() || !has_outer(&join.right)? {
        return Ok(None);
    }
    // What the condition of a left join filters out would have to come back as a row of NULLs.
    if keeps && !join.filter.as_ref().is_none_or(|filter| *filter == lit(true)) {
        return Ok(None);
    }
    let Some((unnest, outputs)) = taken_apart(&join.right) else { return Ok(None) };
    let LogicalPlan::Projection(lists) = unnest.input.as_ref() else { return Ok(None) };
    if !matches!(lists.input.as_ref(), LogicalPlan::EmptyRelation(_)) || !unnest.struct_type_columns.is_empty() {
        return Ok(None);
    }
    let left = join.left.schema();
    let mut columns: Vec<Expr> = left.columns().into_iter().map(Expr::Column).collect();
    let mut names = Vec::new();
    for (at, list) in lists.expr.iter().enumerate() {
        let Some(list) = inner(list.clone().unalias_nested().data, |column| left.has_column(column))? else { return Ok(None) };
        let name = format!("{NAME}{at}");
        columns.push(list.alias(&name));
        names.push(Column::from_name(name));
    }
    // A left join keeps the row of a list that is NULL or empty.
    let handling = if keeps { NullHandling::PreserveAndExpandEmpty } else { unnest.options.null_handling };
    let options = unnest.options.clone().with_null_handling(handling);
    let mut plan = LogicalPlanBuilder::from(join.left.as_ref().clone()).project(columns)?.unnest_columns_with_options(names.clone(), options)?;
    let mut result: Vec<Expr> = left.columns().into_iter().map(Expr::Column).collect();
    for (output, (qualifier, field)) in outputs.into_iter().zip(join.right.schema().iter()) {
        let found = output.transform(|expr| match expr {
            Expr::Column(column) => Ok(match position(unnest, &column).and_then(|at| names.get(at)) {
                Some(name) => Transformed::yes(Expr::Column(name.clone())),
                None => Transformed::no(Expr::Column(column)),
            }),
            other => Ok(Transformed::no(other)),
        })?;
        if keeps && !is_null_of_null(&found.data) {
            return Ok(None);
        }
        result.push(found.data.alias_qualified(qualifier.cloned(), field.name()));
    }
    plan = plan.project(result)?;
    if let Some(filter) = &join.filter {
        plan = plan.filter(filter.clone())?;
    }
    plan.build().map(Some)
}

/// Whether an expression is a column, or a field of one.
fn is_null_of_null(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_null_of_null(&alias.expr),
        Expr::ScalarFunction(call) => call.name() == "get_field" && call.args.first().is_some_and(is_null_of_null),
        _ => false,
    }
}

fn position(unnest: &Unnest, column: &Column) -> Option<usize> {
    unnest.schema.maybe_index_of_column(column)
}

/// The unnesting below renamings, and what each column of the plan is in terms of its columns.
fn taken_apart(plan: &LogicalPlan) -> Option<(&Unnest, Vec<Expr>)> {
    match plan {
        LogicalPlan::Unnest(unnest) => Some((unnest, unnest.schema.columns().into_iter().map(Expr::Column).collect())),
        LogicalPlan::SubqueryAlias(alias) => taken_apart(&alias.input),
        LogicalPlan::Subquery(query) => taken_apart(&query.subquery),
        LogicalPlan::Projection(projection) => {
            let (unnest, below) = taken_apart(&projection.input)?;
            let known: HashMap<Column, Expr> = projection.input.schema().columns().into_iter().zip(below).collect();
            let expr = |expr: &Expr| {
                let replaced = expr.clone().transform(|inner| match inner {
                    Expr::Column(column) => Ok(match known.get(&column) {
                        Some(meant) => Transformed::yes(meant.clone()),
                        None => Transformed::no(Expr::Column(column)),
                    }),
                    other => Ok(Transformed::no(other)),
                });
                replaced.ok().map(|done| done.data.unalias())
            };
            Some((unnest, projection.expr.iter().map(expr).collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    }
}

fn has_outer(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|inner| Ok(matches!(inner, Expr::OuterReferenceColumn(..))))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// An expression with columns from outside as columns; `None` where one is not of the left side.
fn inner(expr: Expr, known: impl Fn(&Column) -> bool) -> Result<Option<Expr>> {
    let mut foreign = false;
    let replaced = expr.transform(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => {
            foreign |= !known(&column);
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok((!foreign).then_some(replaced.data))
}
