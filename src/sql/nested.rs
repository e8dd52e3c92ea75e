//! Subqueries over the lists of a row: `(select max(x) from unnest(t.list) as x where x < t.most)`.
//!
//! Their rows come from columns of the row that they stand in, and from no table. DataFusion makes joins of subqueries and
//! has nothing to join here; so such a subquery becomes a function of the columns that it uses. The function runs the
//! subquery's plan for all rows of a batch at once, each operator of it within the rows that come of one row.

mod carried;
mod row_query;

use std::sync::Arc;

use deltalake::arrow::datatypes::FieldRef;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{Column, DFSchema, Result, ScalarValue};
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::functions_aggregate::expr_fn::count;
use deltalake::datafusion::logical_expr::expr::{Exists, InSubquery, ScalarFunction};
use deltalake::datafusion::logical_expr::expr_rewriter::NamePreserver;
use deltalake::datafusion::logical_expr::utils::merge_schema;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Volatility, lit, not, when};
use deltalake::datafusion::optimizer::AnalyzerRule;

use row_query::RowQuery;

/// See the module. Runs behind all that gives expressions their types and their checks, as it hides what is in the function.
#[derive(Debug)]
pub(super) struct NestedRows {
    /// What the plans of the functions are run with.
    pub runtime: Arc<RuntimeEnv>,
}

impl AnalyzerRule for NestedRows {
    fn name(&self) -> &'static str {
        "nested_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| self.replaced(node)).map(|done| done.data)
    }
}

impl NestedRows {
    /// A node whose subqueries over lists are functions; those within them have been before.
    fn replaced(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let mut found = false;
        node.apply_expressions(|expr| {
            found |= expr.exists(|part| Ok(subquery_of(part).is_some()))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !found {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|part| {
                Ok(match self.function(&part, &schema)? {
                    Some(call) => Transformed::yes(call),
                    None => Transformed::no(part),
                })
            })?;
            Ok(if done.transformed { done.update_data(|expr| name.restore(expr)) } else { done })
        })
    }

    /// The call that a subquery over lists stands for; `None` for other expressions and other subqueries.
    fn function(&self, expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
        let Some(plan) = subquery_of(expr) else { return Ok(None) };
        if !carried::is_of_one_row(plan)? {
            return Ok(None);
        }
        let plan = match expr {
            Expr::Exists(exists) => found(plan, exists.negated)?,
            Expr::InSubquery(among) => among_rows(plan, &among.expr, among.negated, schema)?,
            _ => plan.clone(),
        };
        let (plan, arguments, volatility) = with_arguments(plan, schema)?;
        if arguments.is_empty() {
            return Ok(None);
        }
        let fields: Vec<FieldRef> = arguments.iter().map(|(field, _)| Arc::clone(field)).collect();
        let Some(plan) = carried::carried(&plan, &fields)? else { return Ok(None) };
        let call = ScalarUDF::from(RowQuery::new(plan, volatility, &self.runtime));
        let arguments = arguments.into_iter().map(|(_, argument)| argument).collect();
        Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(call), arguments))))
    }
}

fn subquery_of(expr: &Expr) -> Option<&LogicalPlan> {
    match expr {
        Expr::ScalarSubquery(subquery) | Expr::Exists(Exists { subquery, .. }) | Expr::InSubquery(InSubquery { subquery, .. }) => {
            Some(subquery.subquery.as_ref())
        }
        _ => None,
    }
}

/// Whether there are rows.
fn found(plan: &LogicalPlan, negated: bool) -> Result<LogicalPlan> {
    let counted = LogicalPlanBuilder::from(plan.clone()).aggregate(Vec::<Expr>::new(), vec![count(lit(1)).alias("rows")])?;
    let rows = Expr::Column(Column::from_name("rows"));
    counted.project([if negated { rows.eq(lit(0_i64)) } else { rows.gt(lit(0_i64)) }])?.build()
}

/// Whether a value is among the rows: NULL where a row that is NULL may be it.
fn among_rows(plan: &LogicalPlan, value: &Expr, negated: bool, schema: &DFSchema) -> Result<LogicalPlan> {
    let value = value.clone().transform(|part| match part {
        Expr::Column(column) => {
            let (_, field) = schema.qualified_field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let value = value.data;
    let Some(row) = plan.schema().columns().into_iter().next().map(Expr::Column) else { return Ok(plan.clone()) };
    let equal = when(value.clone().eq(row.clone()), lit(1)).end()?;
    let counted = LogicalPlanBuilder::from(plan.clone())
        .aggregate(Vec::<Expr>::new(), vec![count(lit(1)).alias("rows"), count(row).alias("known"), count(equal).alias("equal")])?;
    let column = |name: &str| Expr::Column(Column::from_name(name));
    let unknown = value.is_null().or(column("known").lt(column("rows")));
    let among = when(column("equal").gt(lit(0_i64)), lit(true))
        .when(column("rows").eq(lit(0_i64)), lit(false))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    counted.project([if negated { not(among) } else { among }])?.build()
}

/// What a call is given: the field, and the expression in the terms of the place where it stands.
type Arguments = Vec<(FieldRef, Expr)>;

/// A plan whose columns from outside are numbered, and those columns; the time that it is, which is one for a whole query,
/// is given to it too.
fn with_arguments(plan: LogicalPlan, schema: &DFSchema) -> Result<(LogicalPlan, Arguments, Volatility)> {
    let mut arguments: Vec<(FieldRef, Expr)> = Vec::new();
    let mut volatility = Volatility::Immutable;
    let done = plan.transform_up(|node| {
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|part| {
                let (field, given) = match &part {
                    Expr::OuterReferenceColumn(field, column) => {
                        let given = if schema.has_column(column) { Expr::Column(column.clone()) } else { part.clone() };
                        (Arc::clone(field), given)
                    }
                    Expr::ScalarFunction(call) => {
                        let kind = call.func.signature().volatility;
                        if kind == Volatility::Volatile {
                            volatility = Volatility::Volatile;
                        }
                        if kind != Volatility::Stable || !call.args.is_empty() {
                            return Ok(Transformed::no(part));
                        }
                        let (_, field) = deltalake::datafusion::logical_expr::ExprSchemable::to_field(&part, &DFSchema::empty())?;
                        (field, part.clone())
                    }
                    _ => return Ok(Transformed::no(part)),
                };
                let at = arguments.iter().position(|(_, known)| *known == given).unwrap_or_else(|| {
                    arguments.push((field, given));
                    arguments.len() - 1
                });
                Ok(Transformed::yes(Expr::Column(carried::argument(at))))
            })?;
            Ok(if done.transformed { done.update_data(|expr| name.restore(expr)) } else { done })
        })?;
        Ok(node)
    })?;
    Ok((done.data, arguments, volatility))
}
