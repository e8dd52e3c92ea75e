//! How many rows a join is taken to yield where nothing is known of its keys, which decides which side of the next join is
//! held in memory.
//!
//! A Delta log has no counts of distinct values. DataFusion then takes every key for unique on both sides, so that a table of
//! facts joined with one of five rows is taken to yield five rows, and is held in memory by the next join. Here a join
//! yields as many rows as its bigger side, which is what a key of another table does.

use deltalake::datafusion::common::stats::Precision;
use deltalake::datafusion::common::{ColumnStatistics, JoinType, Result, Statistics};
use deltalake::datafusion::physical_expr::expressions::Column;
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::joins::{HashJoinExec, JoinOnRef, SortMergeJoinExec};
use deltalake::datafusion::physical_plan::operator_statistics::{ExtendedStatistics, StatisticsProvider, StatisticsRegistry, StatisticsResult};

/// DataFusion's estimates, with that of the module before them.
pub(super) fn registry() -> StatisticsRegistry {
    let mut registry = StatisticsRegistry::default_with_builtin_providers();
    registry.register(std::sync::Arc::new(JoinedRows));
    registry
}

/// See the module.
#[derive(Debug)]
struct JoinedRows;

impl StatisticsProvider for JoinedRows {
    fn compute_statistics(&self, plan: &dyn ExecutionPlan, children: &[ExtendedStatistics]) -> Result<StatisticsResult> {
        let Some((on, kind)) = equal_keys(plan) else { return Ok(StatisticsResult::Delegate) };
        let [left, right] = children else { return Ok(StatisticsResult::Delegate) };
        let (left, right) = (left.base(), right.base());
        if on.iter().all(|(own, other)| is_counted(left, own.downcast_ref()) && is_counted(right, other.downcast_ref())) {
            return Ok(StatisticsResult::Delegate);
        }
        let (Some(left), Some(right)) = (left.num_rows.get_value(), right.num_rows.get_value()) else {
            return Ok(StatisticsResult::Delegate);
        };
        let mut found = Statistics::new_unknown(&plan.schema());
        found.num_rows = Precision::Inexact(rows(kind, *left, *right));
        Ok(StatisticsResult::Computed(ExtendedStatistics::new(found)))
    }
}

fn equal_keys(plan: &dyn ExecutionPlan) -> Option<(JoinOnRef<'_>, JoinType)> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return Some((join.on(), *join.join_type()));
    }
    plan.downcast_ref::<SortMergeJoinExec>().map(|join| (join.on(), join.join_type()))
}

/// Whether it is known how many values a key has.
fn is_counted(input: &Statistics, key: Option<&Column>) -> bool {
    let column = key.and_then(|key| input.column_statistics.get(key.index()));
    column.is_some_and(|ColumnStatistics { distinct_count, .. }| distinct_count.get_value().is_some_and(|count| *count > 0))
}

fn rows(kind: JoinType, left: usize, right: usize) -> usize {
    match kind {
        JoinType::Inner | JoinType::Left | JoinType::Right => left.max(right),
        JoinType::Full => left.saturating_add(right),
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
    }
}
