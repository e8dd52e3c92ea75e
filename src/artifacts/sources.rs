//! `sources.json`, version 3: how fresh sources are.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{ArtifactHeader, Metadata, timestamp, to_json};
use crate::manifest::{FreshnessOutcome, FreshnessResult};

/// The artifact as JSON, sorted by id.
#[must_use]
pub fn sources_json(header: &ArtifactHeader, results: &[FreshnessResult], elapsed_seconds: f64) -> Json {
    let mut sorted: Vec<&FreshnessResult> = results.iter().collect();
    sorted.sort_by_key(|result| &result.id);
    to_json(&Sources {
        metadata: Metadata::new("https://schemas.getdbt.com/dbt/sources/v3.json", header),
        results: sorted.into_iter().map(result_json).collect(),
        elapsed_time: elapsed_seconds,
    })
}

#[derive(Debug, Serialize)]
struct Sources<'a> {
    metadata: Metadata<'a>,
    results: Vec<Json>,
    elapsed_time: f64,
}

fn result_json(result: &FreshnessResult) -> Json {
    let (status, max_loaded_at, snapshotted_at) = match &result.outcome {
        FreshnessOutcome::Failed(reason) => return json!({"unique_id": result.id.as_str(), "error": reason, "status": "runtime error"}),
        FreshnessOutcome::Known { status, max_loaded_at, snapshotted_at } => (status, max_loaded_at, snapshotted_at),
    };
    // As Python has it: parts of seconds where there are any.
    let offset = |at: &DateTime<Utc>| {
        let format = if at.timestamp_subsec_micros() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" };
        at.format(format).to_string()
    };
    json!({
        "unique_id": result.id.as_str(), "max_loaded_at": offset(max_loaded_at), "snapshotted_at": offset(snapshotted_at),
        "max_loaded_at_time_ago_in_s": seconds(*max_loaded_at, *snapshotted_at), "status": status.name(), "criteria": result.criteria,
        "adapter_response": {"_message": "OK"},
        "timing": [{"name": "execute", "started_at": timestamp(result.execute.start), "completed_at": timestamp(result.execute.end)}],
        "thread_id": result.thread, "execution_time": result.execute.seconds(),
    })
}

/// Seconds from one time to another, negative where the first is the later.
fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}
