//! A model that is built in batches of time: each is compiled with its inputs filtered to its window, staged, audited and
//! published by a commit of its own.
//!
//! An interrupted run reports the batches that were published, so that `retry` builds the others.
//!
//! Batches run one after the other, as each is staged on the version that the one before published. If the first one
//! fails, the others are not tried; any other that fails leaves the rest to run, and the model is a partial success.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::hooks::{When, run_node_hooks};
use super::node::{Ended, build_steps};
use super::run::{Shared, node_start};
use crate::base::{Code, Diagnostic, Event, NodeDone, NodeOutcome, NodeStart};
use crate::compile::{Compilation, CompiledNode};
use crate::jinja::Batch;
use crate::manifest::{BatchResults, Microbatch, Node, NodeId, TimeWindow};
use crate::plan::{BatchRows, PlanOptions, plan_node};

/// Which batches a run builds where the model alone does not say.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// The time up to which batches are built.
    pub until: DateTime<Utc>,
    /// What became of batches of the run that is tried again, by model: only the failed ones are built.
    pub before: BTreeMap<NodeId, BatchResults>,
}

/// Builds the batches of a model, with its hooks around them.
pub(super) async fn build_batches(shared: &Shared, node: &Node, compiled: &CompiledNode, config: &Microbatch, thread: &str) -> Ended {
    let at = shared.events.now();
    let project = &shared.compiled.project;
    let before = shared.options.batches.before.get(&node.id);
    let adds = before.is_some() || compiled.history.is_some();
    let windows = match before {
        Some(before) => before.failed.clone(),
        None => config.windows(adds, project.sample.or(project.event_time), shared.options.batches.until),
    };
    if let Err(diagnostic) = project.builder(node, adds) {
        return Ended::failed(vec![*diagnostic], at);
    }
    if windows.is_empty() {
        return Ended::failed(vec![begins_late(node, config)], at);
    }
    if let Err(diagnostics) = run_node_hooks(shared.ground(), node, When::Before).await {
        return Ended::failed(diagnostics, at);
    }
    let run = BatchRun { shared, node, config, thread, total: windows.len(), filtered: is_filtered(shared, node) };
    let mut all = Built::default();
    for (index, window) in windows.iter().enumerate() {
        if all.results.successful.is_empty() && !all.results.failed.is_empty() {
            run.skip(index, window);
            all.results.failed.push(*window);
            continue;
        }
        shared.note_batches(&node.id, all.so_far(before, windows.get(index..).unwrap_or_default()));
        let ended = run.build(index, *window, !adds && index == 0).await;
        all.add(config.label(window), *window, ended);
    }
    let last_is_done = all.results.failed.last() != windows.last();
    let mut ended = all.ended(at);
    if let (Some(results), Some(before)) = (&mut ended.batches, before) {
        results.successful.extend(before.successful.iter().copied());
    }
    if last_is_done && let Err(diagnostics) = run_node_hooks(shared.ground(), node, When::After).await {
        ended.outcome = NodeOutcome::Error;
        ended.diagnostics.splice(0..0, diagnostics);
    }
    ended
}

fn begins_late(node: &Node, config: &Microbatch) -> Diagnostic {
    let message =
        format!("`begin` of `{}` is later than now, so there is no batch to build: {}", node.name, config.begin.format("%Y-%m-%d %H:%M:%S"));
    Diagnostic::error(Code::ConfigType, message)
        .at(node.config.place("begin").unwrap_or(node.span), "set here")
        .help("set `begin` to the time of the first rows")
}

/// Whether something that the node reads has an `event_time`, by which it is filtered.
fn is_filtered(shared: &Shared, node: &Node) -> bool {
    let parents = node.depends_on.iter().filter_map(|id| shared.compiled.project.nodes.get(id));
    parents.into_iter().any(|parent| parent.config.raw.get("event_time").is_some_and(serde_json::Value::is_string))
}

/// What all batches of a model share.
struct BatchRun<'a> {
    shared: &'a Shared,
    node: &'a Node,
    config: &'a Microbatch,
    thread: &'a str,
    total: usize,
    filtered: bool,
}

impl BatchRun<'_> {
    /// Builds one batch and says so.
    async fn build(&self, index: usize, window: TimeWindow, first: bool) -> Ended {
        let (events, label) = (&self.shared.events, self.config.label(&window));
        let start = node_start(self.shared, &self.node.id, (index + 1, self.total), self.thread, events.now());
        events.send(&Event::BatchStarted { batch: label.clone(), start: start.clone() });
        let mut ended = self.built(window, first).await;
        for diagnostic in ended.diagnostics.iter_mut().filter(|diagnostic| diagnostic.is_error()) {
            diagnostic.notes.push(format!("in the batch {label}"));
        }
        self.finished(label, start, &ended);
        ended
    }

    fn skip(&self, index: usize, window: &TimeWindow) {
        let start = node_start(self.shared, &self.node.id, (index + 1, self.total), self.thread, self.shared.events.now());
        let ended = Ended::skipped("", start.at);
        self.finished(self.config.label(window), start, &ended);
    }

    fn finished(&self, batch: String, start: NodeStart, ended: &Ended) {
        let finished_at = self.shared.events.now();
        let elapsed_seconds = (finished_at - start.at).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
        let (outcome, message) = (ended.outcome, ended.message.clone());
        let done = NodeDone { start, outcome, message, rows: ended.rows, elapsed_seconds, finished_at, compiled_path: None };
        self.shared.events.send(&Event::BatchFinished { batch, done: Box::new(done) });
    }

    async fn built(&self, window: TimeWindow, first: bool) -> Ended {
        let (shared, node, at) = (self.shared, self.node, self.shared.events.now());
        let batch = Batch { id: self.config.id(&window), window, first };
        let compiled = match shared.batch_compilation(node, batch).await {
            Compilation::Ready(compiled) => compiled,
            Compilation::Failed(broken) => return Ended::broken(broken, at),
            Compilation::Skipped { because } => return shared.skipped(&because, at).await,
            Compilation::Deferred { reason } => return Ended::new(NodeOutcome::Error, format!("can't be compiled: {reason}"), at),
        };
        let options = PlanOptions {
            run_id: shared.options.run_id.clone(),
            run_started_at: shared.compiled.project.invocation.run_started_at,
            semantics: shared.compiled.project.target.semantics(),
            query_schema: None,
            audits: shared.order.audits.get(&node.id).cloned().unwrap_or_default(),
            streams: Vec::new(),
            keys_may_repeat: false,
            batch: Some(BatchRows { condition: window.condition(&self.config.event_time), filtered: self.filtered }),
        };
        let ended = match plan_node(node, &compiled, &options) {
            Ok(plan) => build_steps(shared, node, &compiled, &plan.steps).await,
            Err(diagnostic) => Ended::failed(vec![*diagnostic], at),
        };
        Ended { compiled: Some(Arc::clone(&compiled)), ..ended }
    }
}

/// What the batches of a model came to so far.
#[derive(Default)]
struct Built {
    results: BatchResults,
    rows: u64,
    diagnostics: Vec<Diagnostic>,
    /// The reasons of batches without a diagnostic.
    messages: Vec<String>,
    audits: Vec<(NodeId, Ended, DateTime<Utc>)>,
    sql: Vec<(String, String)>,
}

impl Built {
    /// The results if the run ended now: `open` are the batches still to come.
    fn so_far(&self, before: Option<&BatchResults>, open: &[TimeWindow]) -> BatchResults {
        let earlier = before.iter().flat_map(|before| &before.successful);
        BatchResults {
            successful: earlier.chain(&self.results.successful).copied().collect(),
            failed: self.results.failed.iter().chain(open).copied().collect(),
        }
    }

    fn add(&mut self, label: String, window: TimeWindow, mut ended: Ended) {
        if ended.outcome == NodeOutcome::Success {
            self.results.successful.push(window);
            self.rows += ended.rows.unwrap_or(0);
        } else {
            if ended.diagnostics.is_empty() {
                self.messages.push(format!("{} (in the batch {label})", ended.message));
            }
            self.results.failed.push(window);
        }
        self.sql.extend(ended.compiled.as_ref().map(|compiled| (label, compiled.sql.clone())));
        self.diagnostics.append(&mut ended.diagnostics);
        // Of a test that audited several batches the worst result counts.
        for (test, result, at) in ended.audits {
            match self.audits.iter_mut().find(|(known, ..)| *known == test) {
                Some((_, known, _)) if !known.outcome.is_failure() => *known = result,
                Some(_) => {}
                None => self.audits.push((test, result, at)),
            }
        }
    }

    fn ended(self, at: DateTime<Utc>) -> Ended {
        let (done, failed) = (self.results.successful.len(), self.results.failed.len());
        let (outcome, message) = match (done, failed) {
            (_, 0) => (NodeOutcome::Success, if self.rows == 1 { "1 row".into() } else { format!("{} rows", self.rows) }),
            (0, _) => (NodeOutcome::Error, self.messages.first().cloned().unwrap_or_default()),
            (done, failed) => {
                let lines = std::iter::once(format!("PARTIAL SUCCESS ({done}/{})", done + failed)).chain(self.messages);
                (NodeOutcome::PartialSuccess, lines.collect::<Vec<_>>().join("\n"))
            }
        };
        Ended {
            rows: Some(self.rows),
            diagnostics: self.diagnostics,
            audits: self.audits,
            batches: Some(self.results),
            batch_sql: self.sql,
            ..Ended::new(outcome, message, at)
        }
    }
}
