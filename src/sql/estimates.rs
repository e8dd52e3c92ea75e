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
