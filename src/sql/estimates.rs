//! How many rows a step of a plan is taken to yield, which decides which side of a join is held in memory.
//!
//! A Delta log counts rows, but not how many values a column has. DataFusion then takes every key for unique on both sides, so
//! that a table of facts joined with one of five rows is taken to yield five rows, and is held in memory by the next join. Here
//! the smaller side of a join is taken for the table that has the key: what its conditions leave of it, they leave of
//! the bigger side too.

use std::sync::Arc;

use deltalake::datafusion::common::stats::Precision;
use deltalake::datafusion::common::{JoinType, Result, Statistics};
use deltalake::datafusion::datasource::physical_plan::FileScanConfig;
use deltalake::datafusion::datasource::source::DataSourceExec;
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::aggregates::AggregateExec;
use deltalake::datafusion::physical_plan::execution_plan::CardinalityEffect;
use deltalake::datafusion::physical_plan::filter::FilterExec;
use deltalake::datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use deltalake::datafusion::physical_plan::operator_statistics::{ExtendedStatistics, StatisticsProvider, StatisticsRegistry, StatisticsResult};
use deltalake::datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use deltalake::datafusion::physical_plan::union::UnionExec;

/// Which share of its rows a condition leaves, as DataFusion has it where it knows nothing of the columns.
const LEFT_BY_A_CONDITION: f64 = 0.2;

pub(super) fn registry() -> StatisticsRegistry {
    StatisticsRegistry::with_providers(vec![Arc::new(Estimates)])
}

/// See the module. What it does not know it leaves to the plan's own statistics.
#[derive(Debug)]
struct Estimates;

/// Rows, and which share they are of those that there would be without conditions.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    rows: f64,
    share: f64,
}

impl StatisticsProvider for Estimates {
    fn compute_statistics(&self, plan: &dyn ExecutionPlan, children: &[ExtendedStatistics]) -> Result<StatisticsResult> {
        let known: Option<Vec<Estimate>> = children.iter().map(|child| child.get_extension().copied()).collect();
        let Some(estimate) = known.and_then(|children| estimate(plan, &children)) else { return Ok(StatisticsResult::Delegate) };
        let mut found = Statistics::new_unknown(&plan.schema());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate; casts of floats end at the bounds")]
        {
            found.num_rows = Precision::Inexact(estimate.rows.ceil() as usize);
        }
        let mut found = ExtendedStatistics::new(found);
        found.set_extension(estimate);
        Ok(StatisticsResult::Computed(found))
    }
}

fn estimate(plan: &dyn ExecutionPlan, children: &[Estimate]) -> Option<Estimate> {
    match children {
        [] => scan(plan),
        [child] => of_one(plan, *child),
        [left, right] if let Some(kind) = kind_of_join(plan) => Some(joined(kind, *left, *right)),
        _ if plan.is::<UnionExec>() => {
            let rows = children.iter().map(|child| child.rows).sum();
            Some(Estimate { rows, share: children.iter().map(|child| child.share).fold(0.0, f64::max) })
        }
        [left, right] if plan.is::<CrossJoinExec>() || plan.is::<NestedLoopJoinExec>() => {
            Some(Estimate { rows: left.rows * right.rows.max(1.0), share: left.share * right.share })
        }
        _ => None,
    }
}

/// Files, with the condition that is looked up in them, or anything else that knows its rows.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn scan(plan: &dyn ExecutionPlan) -> Option<Estimate> {
    let rows = *StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()?.num_rows.get_value()? as f64;
    let files = plan.downcast_ref::<DataSourceExec>().and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    let share = if files.is_some_and(|files| files.file_source.filter().is_some()) { LEFT_BY_A_CONDITION } else { 1.0 };
    Some(Estimate { rows: rows * share, share })
}

fn of_one(plan: &dyn ExecutionPlan, child: Estimate) -> Option<Estimate> {
    let mut found = child;
    if plan.is::<FilterExec>() {
        found = Estimate { rows: child.rows * LEFT_BY_A_CONDITION, share: child.share * LEFT_BY_A_CONDITION };
    } else if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        found.rows = if aggregate.group_expr().is_empty() { 1.0 } else { child.rows };
    } else if matches!(plan.cardinality_effect(), CardinalityEffect::Unknown | CardinalityEffect::GreaterEqual) {
        return None;
    }
    if let Some(limit) = plan.fetch() {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let limit = limit as f64;
        found.rows = found.rows.min(limit);
    }
    Some(found)
}

fn kind_of_join(plan: &dyn ExecutionPlan) -> Option<JoinType> {
    let hashed = plan.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    hashed.or_else(|| plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type))
}

fn joined(kind: JoinType, left: Estimate, right: Estimate) -> Estimate {
    let (bigger, key) = if left.rows < right.rows { (right, left) } else { (left, right) };
    let matched = bigger.rows * key.share;
    let share = left.share * right.share;
    match kind {
        JoinType::Inner => Estimate { rows: matched, share },
        JoinType::Left => Estimate { rows: matched.max(left.rows), share: left.share },
        JoinType::Right => Estimate { rows: matched.max(right.rows), share: right.share },
        JoinType::Full => Estimate { rows: left.rows + right.rows, share: 1.0 },
        JoinType::LeftSemi => Estimate { rows: left.rows * right.share, share },
        JoinType::RightSemi => Estimate { rows: right.rows * left.share, share },
        JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightAnti | JoinType::RightMark => right,
    }
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::array::Int64Array;
    use deltalake::arrow::record_batch::RecordBatch;
    use deltalake::datafusion::catalog::{CatalogProvider as _, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider as _};
    use deltalake::datafusion::datasource::MemTable;
    use deltalake::datafusion::physical_plan::displayable;
    use deltalake::datafusion::prelude::SessionContext;

    use super::*;
    use crate::sql::{Semantics, SessionOptions, session_state};

    /// The joins of a query, outermost first, each with the key of the side that is held in memory.
    async fn held(sql: &str) -> Vec<String> {
        let schema = MemorySchemaProvider::new();
        for (name, rows) in [("facts", 10_000_i64), ("kinds", 5), ("people", 1000)] {
            let key = format!("{name}_id");
            let batch = RecordBatch::try_from_iter([(key.as_str(), Arc::new(Int64Array::from_iter_values(0..rows)) as _)]).unwrap();
            schema.register_table(name.to_owned(), Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())).unwrap();
        }
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("main", Arc::new(schema)).unwrap();
        let state = session_state(&SessionOptions { threads: 2, runtime: Arc::default(), spilling_joins: false, semantics: Semantics::default() });
        let context = SessionContext::new_with_state(state);
        context.register_catalog("alluvium", Arc::new(catalog));
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let text = displayable(plan.as_ref()).indent(false).to_string();
        let first = |line: &str| line.split("on=[(").nth(1).map(|on| on.split('@').next().unwrap_or_default().to_owned());
        text.lines().filter_map(first).collect()
    }

    #[tokio::test]
    async fn a_join_with_few_keys_is_not_held_in_memory() {
        let joins = held("select * from facts join kinds on facts_id = kinds_id join people on facts_id = people_id").await;
        assert_eq!(joins, ["people_id", "kinds_id"]);
    }

    #[tokio::test]
    async fn what_a_condition_leaves_of_a_key_it_leaves_of_the_facts() {
        let of = |condition: &str| {
            let own = format!("select facts_id as own_id from facts join people on facts_id = people_id {condition}");
            format!("select * from facts join ({own}) as own on facts.facts_id = own_id")
        };
        let (all, few) = (held(&of("")).await, held(&of("where people_id % 7 = 1")).await);
        assert_eq!(all.first().map(String::as_str), Some("facts_id"), "as many rows on both sides stay where they are");
        assert_eq!(few.first().map(String::as_str), Some("own_id"));
    }
}
