//! Windows and limits in subqueries that use columns from outside: `lateral (select .. where u.k = t.k order by .. limit 2)`.
//!
//! DataFusion makes a join of such a subquery by taking its condition out. A window would then see the rows of all keys, and
//! give wrong numbers; a limit it does not take at all. So a window is partitioned by the columns that the condition compares,
//! which makes it the same before and after, and a limit becomes a window that numbers the rows of each key.

use std::sync::Arc;

use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{Column, Result, plan_err};
use deltalake::datafusion::functions_window::expr_fn::row_number;
use deltalake::datafusion::logical_expr::utils::{conjunction, split_conjunction};
use deltalake::datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprFunctionExt as _, FetchType, Filter, Join, JoinType, Limit, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, SkipType, SortExpr, Subquery, SubqueryAlias, Window, lit,
};
use deltalake::datafusion::optimizer::AnalyzerRule;

/// What columns are called that are carried up beside those of the subquery.
const KEY: &str = "__correlated_key_";
const ORDER: &str = "__correlated_order_";
const PLACE: &str = "__correlated_place";

/// See the module.
#[derive(Debug)]
pub(super) struct CorrelatedRows;

impl AnalyzerRule for CorrelatedRows {
    fn name(&self) -> &'static str {
        "correlated_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => match lateral(&join)? {
                Some(plan) => Ok(Transformed::yes(plan)),
                None => Ok(Transformed::no(LogicalPlan::Join(join))),
            },
            LogicalPlan::Subquery(subquery) if concerns(&subquery)? => {
                let carried = carry(subquery.subquery.as_ref().clone(), false)?;
                if !carried.needed {
                    return Ok(Transformed::no(LogicalPlan::Subquery(subquery)));
                }
                let columns = subquery.subquery.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
                let plan = Arc::new(LogicalPlanBuilder::from(carried.plan).project(columns)?.build()?);
                Ok(Transformed::yes(LogicalPlan::Subquery(Subquery { subquery: plan, ..subquery })))
            }
            other => Ok(Transformed::no(other)),
        })
        .map(|done| done.data)
    }
}

/// A lateral join as a join by what the condition of its subquery compares.
fn lateral(join: &Join) -> Result<Option<LogicalPlan>> {
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) || !join.on.is_empty() {
        return Ok(None);
    }
    let (subquery, alias) = match join.right.as_ref() {
        LogicalPlan::Subquery(subquery) => (subquery, None),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => (subquery, Some(&alias.alias)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    if !concerns(subquery)? {
        return Ok(None);
    }
    let mut right = carry(subquery.subquery.as_ref().clone(), true)?;
    if !right.needed {
        return Ok(None);
    }
    if right.loose {
        return refused();
    }
    let input = std::mem::take(&mut right.plan);
    right.order.clear();
    right.columns(subquery.subquery.schema().columns().into_iter().map(Expr::Column).collect(), input, true)?;
    let mut builder = LogicalPlanBuilder::from(right.plan);
    if let Some(alias) = alias {
        builder = builder.alias(alias.clone())?;
    }
    let mut conditions = Vec::new();
    for (at, outer) in right.outer.into_iter().enumerate() {
        let outer = outer.transform(|part| match part {
            Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
            other => Ok(Transformed::no(other)),
        })?;
        if outer.data.column_refs().into_iter().any(|column| !join.left.schema().has_column(column)) {
            return Ok(None);
        }
        conditions.push(outer.data.eq(Expr::Column(Column::new(alias.cloned(), format!("{KEY}{at}")))));
    }
    conditions.extend(join.filter.clone());
    let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
    LogicalPlanBuilder::from(join.left.as_ref().clone()).join_on(builder.build()?, join.join_type, conditions)?.project(columns)?.build().map(Some)
}

/// Whether a subquery uses columns from outside and has a window or a limit.
fn concerns(subquery: &Subquery) -> Result<bool> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(false);
    }
    subquery.subquery.exists(|node| Ok(matches!(node, LogicalPlan::Window(_) | LogicalPlan::Limit(_))))
}

/// A plan that has the columns of the one before it, and some more.
struct Carried {
    plan: LogicalPlan,
    /// What is compared with columns from outside by `=` below, over the plan's columns.
    keys: Vec<Expr>,
    /// What they are compared with.
    outer: Vec<Expr>,
    /// The order of the rows, over the plan's columns.
    order: Vec<SortExpr>,
    /// Whether columns from outside are used below in other ways.
    loose: bool,
    /// Whether a window or a limit had to be changed.
    needed: bool,
}

impl Carried {
    fn plain(plan: LogicalPlan, loose: bool) -> Self {
        Self { plan, keys: Vec::new(), outer: Vec::new(), order: Vec::new(), loose, needed: false }
    }

    fn is_correlated(&self) -> bool {
        self.loose || !self.keys.is_empty()
    }

    /// Keys and order as columns beside those of the plan, under names of their own.
    ///
    /// What DataFusion makes a join of later has to find its columns under their own names.
    fn columns(&mut self, mut exprs: Vec<Expr>, input: LogicalPlan, take: bool) -> Result<()> {
        for (at, key) in self.keys.iter_mut().enumerate() {
            if !take && matches!(key, Expr::Column(_)) {
                if !exprs.contains(key) {
                    exprs.push(key.clone());
                }
                continue;
            }
            exprs.push(std::mem::take(key).alias(format!("{KEY}{at}")));
            *key = Expr::Column(Column::from_name(format!("{KEY}{at}")));
        }
        for (at, sort) in self.order.iter_mut().enumerate() {
            exprs.push(std::mem::take(&mut sort.expr).alias(format!("{ORDER}{at}")));
            sort.expr = Expr::Column(Column::from_name(format!("{ORDER}{at}")));
        }
        self.plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?);
        Ok(())
    }
}

/// Carries keys and order up to the top. With `take` the comparisons of the keys go: a join will have them.
fn carry(plan: LogicalPlan, take: bool) -> Result<Carried> {
    if !has_outer(&plan)? {
        return Ok(Carried::plain(plan, false));
    }
    match plan {
        LogicalPlan::Filter(filter) => filtered(filter, take),
        LogicalPlan::Projection(projection) => projected(projection, take),
        LogicalPlan::SubqueryAlias(alias) => aliased(alias, take),
        LogicalPlan::Sort(mut sort) => {
            let mut below = carry(sort.input.as_ref().clone(), take)?;
            below.order.clone_from(&sort.expr);
            sort.input = Arc::new(below.plan);
            Ok(Carried { plan: LogicalPlan::Sort(sort), ..below })
        }
        LogicalPlan::Window(window) => windowed(window, take),
        LogicalPlan::Limit(limit) => limited(limit, take),
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate, take),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let below = carry(input.as_ref().clone(), take)?;
            let loose = below.loose || !below.order.is_empty();
            Ok(Carried { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(below.plan))), loose, ..below })
        }
        other => Ok(Carried::plain(other, true)),
    }
}

fn has_outer(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found = node.contains_outer_reference();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn filtered(filter: Filter, take: bool) -> Result<Carried> {
    let mut below = carry(filter.input.as_ref().clone(), take)?;
    let mut left = Vec::new();
    for condition in split_conjunction(&filter.predicate) {
        let compared = key(condition);
        if let Some((key, outer)) = compared {
            below.keys.push(key.clone());
            below.outer.push(outer.clone());
        } else {
            below.loose |= condition.contains_outer();
        }
        if compared.is_none() || !take {
            left.push(condition.clone());
        }
    }
    if let Some(predicate) = conjunction(left) {
        below.plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(below.plan))?);
    }
    Ok(below)
}

/// The inner and the outer side of a comparison of both.
fn key(condition: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
    let inner = |side: &Expr| !side.contains_outer();
    let outer = |side: &Expr| side.contains_outer() && side.column_refs().is_empty();
    if inner(left) && outer(right) {
        Some((left, right))
    } else if inner(right) && outer(left) {
        Some((right, left))
    } else {
        None
    }
}

fn projected(projection: Projection, take: bool) -> Result<Carried> {
    let mut below = carry(projection.input.as_ref().clone(), take)?;
    if projection.expr.iter().any(Expr::contains_outer) {
        below.loose = true;
    }
    let input = std::mem::take(&mut below.plan);
    below.columns(projection.expr, input, take)?;
    Ok(below)
}

fn aliased(alias: SubqueryAlias, take: bool) -> Result<Carried> {
    let mut below = carry(alias.input.as_ref().clone(), take)?;
    below.order.clear();
    let input = std::mem::take(&mut below.plan);
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).filter(|column| !is_carried(column)).collect();
    below.columns(columns, input, take)?;
    for key in &mut below.keys {
        if let Expr::Column(column) = key {
            column.relation = Some(alias.alias.clone());
        }
    }
    below.plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(below.plan), alias.alias)?);
    Ok(below)
}

fn is_carried(column: &Expr) -> bool {
    matches!(column, Expr::Column(column) if [KEY, ORDER, PLACE].iter().any(|name| column.name.starts_with(name)))
}

/// The windows, each within the rows of one key.
fn windowed(window: Window, take: bool) -> Result<Carried> {
    let mut below = carry(window.input.as_ref().clone(), take)?;
    if !below.is_correlated() {
        below.plan = LogicalPlan::Window(Window::try_new(window.window_expr, Arc::new(below.plan))?);
        return Ok(below);
    }
    if below.loose || window.window_expr.iter().any(Expr::contains_outer) {
        return refused();
    }
    let mut result: Vec<Expr> = below.plan.schema().columns().into_iter().map(Expr::Column).collect();
    let mut exprs = Vec::new();
    for expr in window.window_expr {
        let (window, column) = partitioned(expr, &below.keys)?;
        result.push(column);
        exprs.push(window);
    }
    let plan = LogicalPlan::Window(Window::try_new(exprs, Arc::new(below.plan))?);
    below.plan = LogicalPlan::Projection(Projection::try_new(result, Arc::new(plan))?);
    below.needed = true;
    Ok(below)
}

/// A window's function within the rows of keys too, and its column under the name that it had.
pub(super) fn partitioned(window: Expr, keys: &[Expr]) -> Result<(Expr, Expr)> {
    let name = window.schema_name().to_string();
    let partitioned = window.transform(|part| match part {
        Expr::WindowFunction(mut function) => {
            function.params.partition_by.extend(keys.iter().cloned());
            Ok(Transformed::new(Expr::WindowFunction(function), true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let partitioned = partitioned.data.unalias_nested().data;
    let column = Expr::Column(Column::from_name(partitioned.schema_name().to_string())).alias(name);
    Ok((partitioned, column))
}

fn limited(limit: Limit, take: bool) -> Result<Carried> {
    let mut below = carry(limit.input.as_ref().clone(), take)?;
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else {
        below.loose = true;
        return Ok(Carried { plan: LogicalPlan::Limit(limit), ..below });
    };
    // Only a join can take the rows of a key apart from those of another.
    if !take || below.keys.is_empty() || below.loose {
        below.plan = LogicalPlan::Limit(Limit { input: Arc::new(below.plan), ..limit });
        return Ok(below);
    }
    let input = std::mem::take(&mut below.plan);
    // The places, as a column of its own, so that what was ordered by can go.
    let number = row_number().partition_by(below.keys.clone()).order_by(below.order.clone()).build()?;
    let kept: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).filter(|column| !is_carried(column)).collect();
    let place = Expr::Column(Column::from_name(number.schema_name().to_string()));
    let plan = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(input))?);
    below.order.clear();
    below.columns(kept.iter().cloned().chain([place.alias(PLACE)]).collect(), plan, take)?;
    let place = Expr::Column(Column::from_name(PLACE));
    let first = place.clone().gt(lit(skip as u64));
    let chosen = fetch.map_or(first.clone(), |rows| first.and(place.lt_eq(lit(skip.saturating_add(rows) as u64))));
    let plan = LogicalPlan::Filter(Filter::try_new(chosen, Arc::new(std::mem::take(&mut below.plan)))?);
    below.columns(kept, plan, take)?;
    below.needed = true;
    Ok(below)
}

/// Groups, which are those of one key where they are groups of keys too.
fn grouped(aggregate: Aggregate, take: bool) -> Result<Carried> {
    let mut below = carry(aggregate.input.as_ref().clone(), take)?;
    below.order.clear();
    let single = aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)));
    if single || below.keys.is_empty() {
        let loose = below.is_correlated();
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(below.plan), aggregate.group_expr, aggregate.aggr_expr)?);
        return Ok(Carried { loose, needed: below.needed, ..Carried::plain(plan, loose) });
    }
    let mut groups = aggregate.group_expr;
    for key in &mut below.keys {
        if !groups.contains(key) {
            groups.push(key.clone());
        }
        if !matches!(key, Expr::Column(_)) {
            let name = key.schema_name().to_string();
            *key = Expr::Column(Column::from_name(name));
        }
    }
    below.plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(below.plan), groups, aggregate.aggr_expr)?);
    Ok(below)
}

fn refused<T>() -> Result<T> {
    plan_err!("physical plan does not support logical expression: a window over rows that are chosen by columns from outside")
}
