//! How a node ended, as `exec` reports it and `run_results.json` and the ledger keep it.

use chrono::{DateTime, Utc};

use super::{NodeId, RelationName};
use crate::base::NodeOutcome;

/// When something began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl TimeSpan {
    /// The length in seconds; never negative, even where the clock was turned back.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.end - self.start).to_std().map_or(0.0, |length| length.as_secs_f64())
    }
}

/// The result of one node of a run.
#[derive(Debug, Clone)]
pub struct NodeResult {
    pub id: NodeId,
    pub outcome: NodeOutcome,
    pub message: String,
    /// Data tests only: the number that `fail_calc` gave.
    pub failures: Option<u64>,
    /// Rows written, where the engine counts them.
    pub rows_affected: Option<u64>,
    /// `None` where the node was not compiled in this run, e.g. because it was skipped.
    pub compile: Option<TimeSpan>,
    pub execute: Option<TimeSpan>,
    pub thread: String,
    pub compiled_sql: Option<String>,
    /// What was run, where it is told apart from the compiled SQL.
    pub run_sql: Option<String>,
    pub relation: Option<RelationName>,
}

impl NodeResult {
    /// Seconds spent on compiling and executing.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        [self.compile, self.execute].iter().flatten().map(TimeSpan::seconds).sum()
    }
}
