//! `run_results.json`, version 6.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{ArtifactHeader, Metadata, timestamp, to_json};
use crate::base::NodeOutcome;
use crate::manifest::{BatchResults, NodeResult, TimeSpan, TimeWindow};

/// What `run_results.json` is made from.
#[derive(Debug)]
pub struct RunResultsInput<'a> {
    pub header: &'a ArtifactHeader,
    pub results: &'a [NodeResult],
    pub elapsed_seconds: f64,
    /// Whether database, schema and identifier of a relation are printed in quotes.
    pub quoting: [bool; 3],
    /// The command's arguments: `which`, `select`, `invocation_command`, ...
    pub args: &'a Map<String, Json>,
}

/// The artifact as JSON; results keep their order.
#[must_use]
pub fn run_results_json(input: &RunResultsInput<'_>) -> Json {
    let results: Vec<_> = input.results.iter().map(|one| result(one, input.quoting)).collect();
    to_json(&RunResults {
        metadata: Metadata::new("https://schemas.getdbt.com/dbt/run-results/v6.json", input.header),
        results,
        elapsed_time: input.elapsed_seconds,
        args: input.args,
    })
}

#[derive(Debug, Serialize)]
struct RunResults<'a> {
    metadata: Metadata<'a>,
    results: Vec<RunResult<'a>>,
    elapsed_time: f64,
    args: &'a Map<String, Json>,
}

#[derive(Debug, Serialize)]
struct RunResult<'a> {
    status: &'static str,
    timing: Vec<Timing>,
    thread_id: &'a str,
    execution_time: f64,
    adapter_response: Json,
    message: Option<&'a str>,
    failures: Option<u64>,
    unique_id: &'a str,
    compiled: Option<bool>,
    compiled_code: Option<&'a str>,
    relation_name: Option<String>,
    batch_results: Option<Batches>,
}

#[derive(Debug, Serialize)]
struct Timing {
    name: &'static str,
    started_at: String,
    completed_at: String,
}

#[derive(Debug, Serialize)]
struct Batches {
    successful: Vec<[String; 2]>,
    failed: Vec<[String; 2]>,
}

fn batches(results: &BatchResults) -> Batches {
    let at = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let windows = |windows: &[TimeWindow]| windows.iter().map(|window| [window.start, window.end].map(at)).collect();
    Batches { successful: windows(&results.successful), failed: windows(&results.failed) }
}

fn result(result: &NodeResult, quoting: [bool; 3]) -> RunResult<'_> {
    let timing = |(name, span): (&'static str, TimeSpan)| Timing { name, started_at: timestamp(span.start), completed_at: timestamp(span.end) };
    // Seeds and functions have nothing to compile, and dbt has the relation of what is compiled.
    let kind = |prefix: &str| result.id.as_str().starts_with(prefix);
    RunResult {
        status: result.outcome.status(),
        timing: result.timing().into_iter().map(timing).collect(),
        thread_id: &result.thread,
        execution_time: result.seconds(),
        adapter_response: result.adapter_response(),
        message: result.shown_message(),
        failures: result.counted_failures(),
        unique_id: result.id.as_str(),
        compiled: (!kind("seed.") && result.outcome != NodeOutcome::NoOp).then_some(result.compiled_sql.is_some()),
        compiled_code: result.compiled_sql.as_deref(),
        relation_name: result.relation.as_ref().filter(|_| !kind("seed.") && !kind("function.")).map(|name| name.written(quoting)),
        batch_results: result.batches.as_ref().map(batches),
    }
}
