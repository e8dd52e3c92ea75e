//! How fresh sources are: one query for each, side by side, against what the source promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde_json::{Map, Value as Json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::hooks::{Ground, RunHooks, SKIPPED, end_the_run, run_end, run_start};
use super::port::{EnginePort, run_text};
use crate::base::{Event, Events, NodeDone, NodeOutcome, NodeStart, Totals, moment};
use crate::compile::{ScriptText, Surroundings, render_script};
use crate::engine::Engine;
use crate::manifest::{FreshnessOutcome, FreshnessResult, FreshnessStatus, Node, NodeId, NodeKind, NodeResult, TimeSpan};
use crate::resolve::Project;

/// What came of looking at sources.
#[derive(Debug)]
pub struct FreshnessReport {
    /// In the order of the ids.
    pub results: Vec<FreshnessResult>,
    /// Of the sources, and of the hooks around them.
    pub totals: Totals,
    pub interrupted: bool,
}

/// Looks at the given sources, as many at a time as there are threads, between the hooks of the run; with `fail_fast` at none that
/// has not begun when one is stale or can't be asked. When `cancel` says so, those without an answer are let go.
pub async fn freshness(
    project: &Arc<Project>,
    (ids, fail_fast): (&[NodeId], bool),
    engine: &Arc<dyn Engine>,
    events: &Events,
    (hooks, cancel): (&RunHooks, CancellationToken),
) -> FreshnessReport {
    let threads = project.target.threads.max(1);
    let began = events.now();
    events.send(&Event::RunStarted { threads, target: project.target.name.clone(), total: ids.len() });
    let nodes: Vec<&Node> = ids.iter().filter_map(|id| project.nodes.get(id)).map(Box::as_ref).collect();
    let total = nodes.len();
    let port = EnginePort { engine: Arc::clone(engine), events: events.clone(), runtime: Handle::current(), queries: true };
    let surroundings: Arc<dyn Surroundings> = Arc::new(port);
    let ground = Ground { project, engine, surroundings: &surroundings, events };
    let mut totals = Totals::default();
    let started = if total > 0 { run_start(ground, hooks, &mut totals).await } else { Vec::new() };
    let skips = end_the_run(ground, &started);
    let stopped = &AtomicBool::new(false);
    let asked = nodes.iter().enumerate().map(async |(at, node)| {
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        let result = cancel.run_until_cancelled(one(node, (at + 1, total, at % threads + 1), skips, ground)).await?;
        stopped.fetch_or(fail_fast && outcome(&result.outcome).is_failure(), Ordering::Relaxed);
        Some(result)
    });
    let results: Vec<FreshnessResult> = futures::stream::iter(asked).buffered(threads).filter_map(std::future::ready).collect().await;
    let interrupted = cancel.is_cancelled();
    if interrupted {
        events.send(&Event::Interrupted);
    }
    for result in &results {
        totals.count(outcome(&result.outcome));
    }
    if total > 0 {
        let ended: Vec<NodeResult> = results.iter().map(of_run).collect();
        run_end(ground, hooks, &ended, &mut totals).await;
    }
    let elapsed_seconds = (events.now() - began).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
    events.send(&Event::RunFinished { totals, elapsed_seconds, broken: Vec::new() });
    FreshnessReport { results, totals, interrupted }
}

/// A result as the hooks at the end of the run see it.
fn of_run(result: &FreshnessResult) -> NodeResult {
    let message = if let FreshnessOutcome::Failed(reason) = &result.outcome { reason.clone() } else { String::new() };
    NodeResult {
        batches: None,
        batch_sql: Vec::new(),
        id: result.id.clone(),
        outcome: outcome(&result.outcome),
        message,
        failures: None,
        rows_affected: None,
        compile: None,
        execute: Some(result.execute),
        thread: result.thread.clone(),
        compiled_sql: None,
        run_sql: None,
        relation: None,
    }
}

/// The criteria of a source that promises something.
#[must_use]
pub fn criteria(node: &Node) -> Option<&Map<String, Json>> {
    let rules = node.config.raw.get("freshness").and_then(Json::as_object)?;
    let given = |rule: &str| rules.get(rule).and_then(|rule| rule.get("count")).is_some_and(Json::is_number);
    (given("warn_after") || given("error_after")).then_some(rules)
}

fn outcome(found: &FreshnessOutcome) -> NodeOutcome {
    match found {
        FreshnessOutcome::Known { status: FreshnessStatus::Pass, .. } => NodeOutcome::Pass,
        FreshnessOutcome::Known { status: FreshnessStatus::Warn, .. } => NodeOutcome::Warn,
        FreshnessOutcome::Known { status: FreshnessStatus::Error, .. } => NodeOutcome::Fail,
        FreshnessOutcome::Failed(_) => NodeOutcome::Error,
    }
}

async fn one(node: &Node, (index, total, slot): (usize, usize, usize), skips: bool, ground: Ground<'_>) -> FreshnessResult {
    let events = ground.events;
    let source = if let NodeKind::Source { source_name, .. } = &node.kind { source_name.as_str() } else { "" };
    let thread = format!("Thread-{slot}");
    let start = NodeStart {
        microbatch: false,
        index,
        total,
        id: node.id.to_string(),
        name: format!("{source}.{}", node.name),
        resource_type: node.resource_type().name().to_owned(),
        materialization: String::new(),
        relation: node.relation.as_ref().map(Into::into),
        path: node.original_path.clone(),
        thread: thread.clone(),
        at: events.now(),
        about: Arc::new(super::run::about(node, &[])),
    };
    events.send(&Event::NodeStarted(start.clone()));
    let rules = criteria(node).cloned().unwrap_or_default();
    let newest = if skips { Err(SKIPPED.to_owned()) } else { newest(node, &rules, ground).await };
    let found = match newest {
        Ok(max_loaded_at) => {
            let snapshotted_at = events.now();
            FreshnessOutcome::Known { status: status(&rules, max_loaded_at, snapshotted_at), max_loaded_at, snapshotted_at }
        }
        Err(reason) => FreshnessOutcome::Failed(reason),
    };
    let finished_at = events.now();
    let relation = relation_of(node);
    let message = match &found {
        FreshnessOutcome::Known { max_loaded_at, snapshotted_at, status: FreshnessStatus::Warn | FreshnessStatus::Error } => {
            if *max_loaded_at == never() {
                format!("`{relation}` has no row that says when it came")
            } else {
                format!("the newest row is {} old", age(*max_loaded_at, *snapshotted_at))
            }
        }
        FreshnessOutcome::Known { status: FreshnessStatus::Pass, .. } => String::new(),
        FreshnessOutcome::Failed(reason) => reason.clone(),
    };
    let elapsed_seconds = (finished_at - start.at).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
    let execute = TimeSpan { start: start.at, end: finished_at };
    let done = NodeDone { start, outcome: outcome(&found), message, rows: None, elapsed_seconds, finished_at, compiled_path: None };
    events.send(&Event::NodeFinished(Box::new(done)));
    FreshnessResult { id: node.id.clone(), outcome: found, criteria: rules, execute, thread }
}

/// The time of a source without rows: they came infinitely long ago, which dbt says with the first day of its calendar.
fn never() -> DateTime<Utc> {
    DateTime::from_timestamp(-62_135_596_800, 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// When the newest row came; `never()` where there is none.
async fn newest(node: &Node, rules: &Map<String, Json>, ground: Ground<'_>) -> Result<DateTime<Utc>, String> {
    let text = |key: &str| node.config.raw.get(key).and_then(Json::as_str);
    let relation = relation_of(node);
    let sql = match (text(QUERY), text("loaded_at_field")) {
        (Some(query), _) => rendered(node, query, ground).await?.trim().trim_end_matches(';').to_owned(),
        (None, Some(field)) => {
            let filter = rules.get("filter").and_then(Json::as_str).map_or_else(String::new, |filter| format!("\nwhere {filter}"));
            format!("select max({field}) as max_loaded_at\nfrom {relation}{filter}")
        }
        (None, None) => return Err(format!("nothing says when rows of `{}` came: add `loaded_at_field` or `loaded_at_query`", node.name)),
    };
    ground.events.send(&Event::SqlSent { node: node.id.to_string(), sql: sql.clone() });
    let table = run_text(ground.engine.as_ref(), &sql).await.map_err(|error| error.to_string())?;
    match table.rows.first().and_then(|row| row.first()) {
        None | Some(Json::Null) => Ok(never()),
        Some(value) => value.as_str().and_then(moment).ok_or_else(|| format!("expected a time when rows came, found `{value}`")),
    }
}

const QUERY: &str = "loaded_at_query";

/// The query of a source, which may read other relations: what these are is known by now.
async fn rendered(node: &Node, query: &str, ground: Ground<'_>) -> Result<String, String> {
    let written = node.config.written.get(QUERY).and_then(Json::as_str).unwrap_or(query);
    if !written.contains("{{") && !written.contains("{%") {
        return Ok(query.to_owned());
    }
    let script = ScriptText {
        text: written.to_owned(),
        span: node.config.place(QUERY).unwrap_or(node.span),
        package: node.package.clone(),
        node: node.id.clone(),
        values: Map::new(),
    };
    let rendered = render_script(ground.project, script, ground.surroundings).await;
    rendered.map_err(|found| found.into_iter().map(|diagnostic| diagnostic.message).collect::<Vec<_>>().join("; "))
}

fn relation_of(node: &Node) -> String {
    node.relation.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn status(rules: &Map<String, Json>, newest: DateTime<Utc>, now: DateTime<Utc>) -> FreshnessStatus {
    let exceeded = |rule: &str| {
        let rule = rules.get(rule)?;
        let count = i64::try_from(rule.get("count")?.as_u64()?).ok()?;
        let minutes = match rule.get("period")?.as_str()? {
            "minute" => 1,
            "hour" => 60,
            _ => 24 * 60,
        };
        Some(now - newest > chrono::Duration::try_minutes(count.checked_mul(minutes)?)?)
    };
    if exceeded("error_after") == Some(true) {
        FreshnessStatus::Error
    } else if exceeded("warn_after") == Some(true) {
        FreshnessStatus::Warn
    } else {
        FreshnessStatus::Pass
    }
}

/// The largest unit that says it well.
fn age(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let minutes = (to - from).num_minutes();
    match minutes {
        ..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}
