//! How a node ended, as `exec` reports it and `run_results.json` and the ledger keep it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json, json};

use super::{BatchResults, NodeId, RelationName};
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
    /// Of a model that is built in batches.
    pub batches: Option<BatchResults>,
    /// The SQL of each batch, by the batch's name.
    pub batch_sql: Vec<(String, String)>,
}

impl NodeResult {
    /// Seconds spent on compiling and executing.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        [self.compile, self.execute].iter().flatten().map(TimeSpan::seconds).sum()
    }

    /// What a node that ran spent its time on, by dbt's names.
    #[must_use]
    pub fn timing(&self) -> Vec<(&'static str, TimeSpan)> {
        if self.outcome == NodeOutcome::Skipped {
            return Vec::new();
        }
        [("compile", self.compile), ("execute", self.execute)].into_iter().filter_map(|(name, span)| Some((name, span?))).collect()
    }

    /// What is said of the node, if anything; dbt says of what has nothing to do that it is one.
    #[must_use]
    pub fn shown_message(&self) -> Option<&str> {
        match self.outcome {
            NodeOutcome::NoOp if self.message.is_empty() => Some("NO-OP"),
            _ => Some(self.message.as_str()).filter(|message| !message.is_empty()),
        }
    }

    /// Failures as dbt counts them: none of what has none to count.
    #[must_use]
    pub fn counted_failures(&self) -> Option<u64> {
        self.failures.or((self.outcome == NodeOutcome::NoOp || self.batches.is_some()).then_some(0))
    }

    /// What the engine said of a node that reached it and went through.
    #[must_use]
    pub fn adapter_response(&self) -> Json {
        if self.id.as_str().starts_with("operation.") {
            return json!({});
        }
        let message = match self.outcome {
            NodeOutcome::Success => self.message.as_str(),
            NodeOutcome::Pass | NodeOutcome::Warn | NodeOutcome::Fail => "OK",
            NodeOutcome::Error | NodeOutcome::PartialSuccess | NodeOutcome::Skipped | NodeOutcome::NoOp => return json!({}),
        };
        match self.rows_affected {
            Some(rows) => json!({"_message": message, "rows_affected": rows}),
            None => json!({"_message": message}),
        }
    }
}

/// How fresh one source is.
#[derive(Debug, Clone)]
pub struct FreshnessResult {
    pub id: NodeId,
    pub outcome: FreshnessOutcome,
    /// `warn_after`, `error_after` and `filter`, as the manifest has them.
    pub criteria: Map<String, Json>,
    pub execute: TimeSpan,
    pub thread: String,
}

#[derive(Debug, Clone)]
pub enum FreshnessOutcome {
    /// When the newest row came, and when that was asked.
    Known { status: FreshnessStatus, max_loaded_at: DateTime<Utc>, snapshotted_at: DateTime<Utc> },
    /// It could not be found out.
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreshnessStatus {
    Pass,
    Warn,
    Error,
}

impl FreshnessStatus {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
