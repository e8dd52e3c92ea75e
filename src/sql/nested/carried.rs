//! A plan of a subquery over lists as one for many rows: where it begins with one row and columns from outside, it begins
//! with all rows and these columns, and each operator keeps apart what comes of different rows.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::datafusion::catalog::streaming::StreamingTable;
use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::common::{Column, Result};
use deltalake::datafusion::datasource::provider_as_source;
use deltalake::datafusion::functions_window::expr_fn::row_number;
use deltalake::datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt as _, FetchType, Filter, Join, JoinType, Limit, LogicalPlan, LogicalPlanBuilder, Projection, SkipType,
    Sort, SortExpr, Unnest, Window, lit, when,
};

use super::row_query::Given;
use crate::sql::correlated::partitioned;

const ROW: &str = "__nested_row";
const ARGUMENT: &str = "__nested_argument_";
const KEY: &str = "__nested_key_";
const OTHER: &str = "__nested_other_row";

/// The column that a plan finds an argument in.
pub(super) fn argument(at: usize) -> Column {
    Column::from_name(format!("{ARGUMENT}{at}"))
}

/// Whether a plan reads no table, and uses columns from outside.
pub(super) fn is_of_one_row(plan: &LogicalPlan) -> Result<bool> {
    let mut reads = false;
    let mut outside = false;
    plan.apply_with_subqueries(|node| {
        let is_leaf = node.inputs().is_empty();
        reads |= is_leaf && !matches!(node, LogicalPlan::EmptyRelation(empty) if empty.produce_one_row);
        outside |= node.contains_outer_reference();
        // The right side of this join is another one for each row of the left.
        if let LogicalPlan::Join(join) = node {
            let of_left = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if join.left.schema().has_column(column));
            reads |= join.right.all_out_ref_exprs().iter().any(of_left);
        }
        Ok(if reads { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(outside && !reads)
}

/// A plan for all rows of a table of the given arguments: its columns are the number of the row, and the plan's one column.
/// `None` where an operator can't keep rows apart.
pub(super) fn carried(plan: &LogicalPlan, arguments: &[FieldRef]) -> Result<Option<(LogicalPlan, SchemaRef)>> {
    let columns = arguments.iter().enumerate().map(|(at, field)| Field::new(format!("{ARGUMENT}{at}"), field.data_type().clone(), true));
    let schema: SchemaRef = Arc::new(Schema::new(std::iter::once(Field::new(ROW, DataType::UInt64, false)).chain(columns).collect::<Vec<_>>()));
    let table = StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(Given { schema: Arc::clone(&schema) })])?;
    let scan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(table)), None)?.build()?;
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    let exprs: Vec<Expr> = scan.schema().columns().into_iter().map(|column| Expr::Column(column.clone()).alias(column.name)).collect();
    let rows = Rows { plan: LogicalPlanBuilder::from(scan).project(exprs)?.build()?, names };
    let Some(found) = rows.carry(plan)? else { return Ok(None) };
    let value = plan.schema().columns().into_iter().map(Expr::Column);
    let done = LogicalPlanBuilder::from(found.plan).project(std::iter::once(row()).chain(value))?.build()?;
    Ok(Some((done, schema)))
}

fn row() -> Expr {
    Expr::Column(Column::from_name(ROW))
}

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

/// The rows that a plan is run for.
struct Rows {
    plan: LogicalPlan,
    names: Vec<String>,
}

/// A plan with the columns of the one that it comes from, and behind them those that are carried.
struct Carried {
    plan: LogicalPlan,
    /// The number of the row, its arguments, and what the rows are ordered by.
    beside: Vec<String>,
    order: Vec<SortExpr>,
}

impl Carried {
    fn beside(&self) -> Vec<Expr> {
        self.beside.iter().map(|name| Expr::Column(Column::from_name(name.as_str()))).collect()
    }

    /// Columns, and those that are carried beside them.
    fn projected(self, mut exprs: Vec<Expr>) -> Result<Self> {
        exprs.extend(self.beside());
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(self.plan))?);
        Ok(Self { plan, beside: self.beside, order: self.order })
    }
}

impl Rows {
    fn carry(&self, plan: &LogicalPlan) -> Result<Option<Carried>> {
        Ok(Some(match plan {
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => {
                Carried { plan: self.plan.clone(), beside: self.names.clone(), order: Vec::new() }
            }
            LogicalPlan::Subquery(subquery) => return self.carry(&subquery.subquery),
            LogicalPlan::Projection(Projection { input, expr, .. }) => {
                let Some(below) = self.carry(input)? else { return Ok(None) };
                below.projected(expr.clone())?
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(below) = self.carry(&alias.input)? else { return Ok(None) };
                let renamed = alias.input.schema().columns().into_iter().zip(alias.schema.columns());
                below.projected(renamed.map(|(old, new)| Expr::Column(old).alias_qualified(new.relation, new.name)).collect())?
            }
            LogicalPlan::Filter(Filter { input, predicate, .. }) => {
                let Some(below) = self.carry(input)? else { return Ok(None) };
                Carried { plan: LogicalPlan::Filter(Filter::try_new(predicate.clone(), Arc::new(below.plan))?), ..below }
            }
            LogicalPlan::Unnest(unnest) => return self.unnested(unnest),
            LogicalPlan::Sort(sort) => return self.sorted(sort),
            LogicalPlan::Limit(limit) => return self.limited(limit),
            LogicalPlan::Window(window) => return self.windowed(window),
            LogicalPlan::Aggregate(aggregate) => return self.aggregated(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(below) = self.carry(input)? else { return Ok(None) };
                self.grouped(below, columns(input), Vec::new())?
            }
            LogicalPlan::Join(join) => return self.joined(join),
            _ => return Ok(None),
        }))
    }

    fn unnested(&self, unnest: &Unnest) -> Result<Option<Carried>> {
        let Some(below) = self.carry(&unnest.input)? else { return Ok(None) };
        let Carried { plan, beside, order } = below;
        let plan = LogicalPlanBuilder::from(plan).unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?.build()?;
        let own = unnest.schema.columns().into_iter().map(Expr::Column).collect();
        Carried { plan, beside, order }.projected(own).map(Some)
    }

    /// The keys become columns, so that what is above can still order by them.
    fn sorted(&self, sort: &Sort) -> Result<Option<Carried>> {
        let Some(below) = self.carry(&sort.input)? else { return Ok(None) };
        let first = below.beside.len();
        let mut exprs = columns(&sort.input);
        exprs.extend(below.beside());
        let (mut order, mut beside) = (Vec::new(), below.beside);
        for (at, key) in sort.expr.iter().enumerate() {
            let name = format!("{KEY}{}", first + at);
            exprs.push(key.expr.clone().alias(&name));
            order.push(SortExpr { expr: Expr::Column(Column::from_name(&name)), ..key.clone() });
            beside.push(name);
        }
        let plan = LogicalPlanBuilder::from(below.plan).project(exprs)?.sort(order.clone())?.build()?;
        Ok(Some(Carried { plan, beside, order }))
    }

    fn limited(&self, limit: &Limit) -> Result<Option<Carried>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else { return Ok(None) };
        let Some(mut below) = self.carry(&limit.input)? else { return Ok(None) };
        // As they come, where no order is given.
        if below.order.is_empty() {
            let number = row_number();
            let place = Expr::Column(Column::from_name(number.schema_name().to_string()));
            let name = format!("{KEY}{}", below.beside.len());
            let mut exprs = columns(&limit.input);
            exprs.extend(below.beside());
            exprs.push(place.alias(&name));
            below.plan = LogicalPlanBuilder::from(below.plan).window([number])?.project(exprs)?.build()?;
            below.order = vec![Expr::Column(Column::from_name(&name)).sort(true, false)];
            below.beside.push(name);
        }
        let number = row_number().partition_by(vec![row()]).order_by(below.order.clone()).build()?;
        let place = Expr::Column(Column::from_name(number.schema_name().to_string()));
        let first = place.clone().gt(lit(skip as u64));
        let chosen = fetch.map_or(first.clone(), |rows| first.and(place.lt_eq(lit(skip.saturating_add(rows) as u64))));
        below.plan = LogicalPlanBuilder::from(below.plan).window([number])?.filter(chosen)?.build()?;
        below.projected(columns(&limit.input)).map(Some)
    }

    fn windowed(&self, window: &Window) -> Result<Option<Carried>> {
        let Some(mut below) = self.carry(&window.input)? else { return Ok(None) };
        let mut result = columns(&window.input);
        let mut exprs = Vec::new();
        for expr in &window.window_expr {
            let (window, column) = partitioned(expr.clone(), &[row()])?;
            result.push(column);
            exprs.push(window);
        }
        below.plan = LogicalPlan::Window(Window::try_new(exprs, Arc::new(below.plan))?);
        below.projected(result).map(Some)
    }

    fn aggregated(&self, aggregate: &Aggregate) -> Result<Option<Carried>> {
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return Ok(None);
        }
        let Some(below) = self.carry(&aggregate.input)? else { return Ok(None) };
        if !aggregate.group_expr.is_empty() {
            return self.grouped(below, aggregate.group_expr.clone(), aggregate.aggr_expr.clone()).map(Some);
        }
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(below.plan), vec![row()], aggregate.aggr_expr.clone())?);
        let mut exprs: Vec<Expr> = aggregate.schema.columns().into_iter().map(Expr::Column).collect();
        exprs.push(row().alias(OTHER));
        let right = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let other = Expr::Column(Column::from_name(OTHER));
        let plan = LogicalPlanBuilder::from(self.plan.clone()).join_on(right, JoinType::Left, [row().eq(other.clone())])?.build()?;
        // What an aggregate gives without a row: the count is 0.
        let mut result = Vec::new();
        for (expr, column) in aggregate.aggr_expr.iter().zip(aggregate.schema.columns()) {
            let Expr::AggregateFunction(call) = expr.clone().unalias_nested().data else { return Ok(None) };
            let (_, field) = aggregate.schema.qualified_field_from_column(&column)?;
            let empty = call.func.default_value(field.data_type())?;
            let value = Expr::Column(column.clone());
            let filled = if empty.is_null() { value } else { when(other.clone().is_null(), lit(empty)).otherwise(value)? };
            result.push(filled.alias_qualified(column.relation, column.name));
        }
        Carried { plan, beside: self.names.clone(), order: Vec::new() }.projected(result).map(Some)
    }

    /// Groups within each row; the arguments of the row come back by its number.
    fn grouped(&self, below: Carried, mut groups: Vec<Expr>, aggregates: Vec<Expr>) -> Result<Carried> {
        let own = groups.len();
        groups.push(row());
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(below.plan), groups, aggregates)?);
        let mut exprs = columns(&plan);
        exprs.remove(own);
        let result: Vec<Expr> = exprs.clone();
        exprs.push(row().alias(OTHER));
        let right = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let other = Expr::Column(Column::from_name(OTHER));
        let plan = LogicalPlanBuilder::from(self.plan.clone()).join_on(right, JoinType::Inner, [row().eq(other)])?.build()?;
        Carried { plan, beside: self.names.clone(), order: Vec::new() }.projected(result)
    }

    fn joined(&self, join: &Join) -> Result<Option<Carried>> {
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti) {
            return Ok(None);
        }
        let (Some(left), Some(right)) = (self.carry(&join.left)?, self.carry(&join.right)?) else { return Ok(None) };
        let mut exprs = columns(&join.right);
        exprs.push(row().alias(OTHER));
        let right = LogicalPlanBuilder::from(right.plan).project(exprs)?.build()?;
        let keys = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
        let conditions: Vec<Expr> = keys.chain(join.filter.clone()).chain([row().eq(Expr::Column(Column::from_name(OTHER)))]).collect();
        let plan = LogicalPlanBuilder::from(left.plan).join_on(right, join.join_type, conditions)?.build()?;
        let own = join.schema.columns().into_iter().map(Expr::Column).collect();
        Carried { plan, beside: left.beside, order: Vec::new() }.projected(own).map(Some)
    }
}
