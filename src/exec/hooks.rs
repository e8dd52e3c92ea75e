//! Hooks: statements before and after a node, and before and after a run. Each is rendered when its time has come; a text
//! that renders to nothing does nothing.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json, json};

use super::comment;
use super::ended::end_values;
use super::port::run_text;
use crate::base::{Code, Diagnostic, Event, Events, NodeDone, NodeOutcome, NodeStart, Span, Spanned, Totals, failure_message};
use crate::compile::{ScriptText, Surroundings, render_script};
use crate::engine::{Engine, EngineError};
use crate::load::Behaviour;
use crate::manifest::{Node, NodeId, NodeResult, TimeSpan};
use crate::resolve::{Hook, Project, node_hooks};

/// The hooks around a whole run, those of packages before those of the project.
#[derive(Debug, Clone, Default)]
pub struct RunHooks {
    /// Package and text.
    pub start: Vec<(String, Spanned<String>)>,
    pub end: Vec<(String, Spanned<String>)>,
}

/// What hooks run on.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub project: &'a Arc<Project>,
    pub engine: &'a Arc<dyn Engine>,
    pub surroundings: &'a Arc<dyn Surroundings>,
    pub events: &'a Events,
}

/// When a node's hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

impl When {
    fn key(self) -> &'static str {
        match self {
            Self::Before => "pre_hook",
            Self::After => "post_hook",
        }
    }
}

/// Runs the hooks of one side of a node, in dbt's order.
pub(super) async fn run_node_hooks(ground: Ground<'_>, node: &Node, when: When) -> Result<(), Vec<Diagnostic>> {
    let mut hooks = hooks_of(node, when)?;
    // Outside of the transaction is before everything, and after everything.
    hooks.sort_by_key(|hook| hook.inside == (when == When::Before));
    for hook in hooks {
        let script = ScriptText { text: hook.sql, span: node.span, package: node.package.clone(), node: node.id.clone(), values: Map::new() };
        run_script(ground, script, "this node has the hook").await?;
    }
    Ok(())
}

fn hooks_of(node: &Node, when: When) -> Result<Vec<Hook>, Vec<Diagnostic>> {
    let read = node.config.raw.get(when.key()).map_or_else(|| Ok(Vec::new()), node_hooks);
    read.map_err(|message| vec![Diagnostic::error(Code::ConfigType, message).at(node.span, "this node has the hook")])
}

/// A node's hooks as `pre_hooks` and `post_hooks`, for a macro that runs them itself.
pub(super) fn hook_values(node: &Node) -> Result<Map<String, Json>, Vec<Diagnostic>> {
    let mut values = Map::new();
    for (name, when) in [("pre_hooks", When::Before), ("post_hooks", When::After)] {
        let hooks = hooks_of(node, when)?;
        let list = hooks.iter().enumerate().map(|(index, hook)| json!({"sql": hook.sql, "transaction": hook.inside, "index": index}));
        values.insert(name.to_owned(), list.collect());
    }
    Ok(values)
}

/// Renders one hook and runs its statements; gives its text.
async fn run_script(ground: Ground<'_>, script: ScriptText, place: &str) -> Result<String, Vec<Diagnostic>> {
    let (span, id) = (script.span, script.node.to_string());
    let rendered = render_script(ground.project, script, ground.surroundings).await?;
    // `before_begin` and its kin give a hook as JSON.
    let map = serde_json::from_str::<Json>(rendered.trim()).ok();
    let sql = map.as_ref().and_then(|map| map.get("sql")).and_then(Json::as_str).map_or(rendered, str::to_owned);
    if sql.trim().is_empty() {
        return Ok(sql);
    }
    comment::sent(ground, &NodeId::new(id), &sql).await;
    match run_text(ground.engine.as_ref(), &sql).await {
        Ok(_) => Ok(sql),
        Err(error) => Err(vec![failed(&error, &sql, &ground.project.target.warehouse, (span, place))]),
    }
}

fn failed(error: &EngineError, sql: &str, warehouse: &str, (span, place): (Span, &str)) -> Diagnostic {
    let shown: String = sql.trim().chars().take(200).collect();
    let mut diagnostic = error.diagnostic(warehouse, Some((span, place))).note(format!("the hook: {shown}"));
    diagnostic.message = format!("a hook fails: {}", diagnostic.message);
    diagnostic
}

/// Runs the hooks at the start of a run. After one that fails the others are skipped.
pub(super) async fn run_start(ground: Ground<'_>, hooks: &RunHooks, totals: &mut Totals) -> Vec<NodeResult> {
    run_hooks(ground, "on-run-start", &hooks.start, &Map::new(), totals).await
}

/// Why nothing runs where [`end_the_run`] says so.
pub(super) const SKIPPED: &str = "a hook on-run-start failed and `skip_nodes_if_on_run_start_fails` is set";

/// Whether nothing else is to run after these hooks at the start.
pub(super) fn end_the_run(ground: Ground<'_>, started: &[NodeResult]) -> bool {
    let failed = started.iter().any(|result| result.outcome.is_failure());
    failed && ground.project.parsed.root.project.behaves(Behaviour::SkipNodesIfOnRunStartFails)
}

/// Runs the hooks at the end of a run, which know its results.
pub(super) async fn run_end(ground: Ground<'_>, hooks: &RunHooks, results: &[NodeResult], totals: &mut Totals) -> Vec<NodeResult> {
    if hooks.end.is_empty() {
        return Vec::new();
    }
    let values = end_values(ground.project, results);
    run_hooks(ground, "on-run-end", &hooks.end, &values, totals).await
}

/// Hooks are results of the run like its nodes.
async fn run_hooks(
    ground: Ground<'_>,
    key: &str,
    hooks: &[(String, Spanned<String>)],
    values: &Map<String, Json>,
    totals: &mut Totals,
) -> Vec<NodeResult> {
    let mut broken = false;
    let mut results = Vec::new();
    for (index, (package, hook)) in hooks.iter().enumerate() {
        let order = hooks.iter().take(index).filter(|(other, _)| other == package).count();
        let name = format!("{package}-{key}-{order}");
        let start = NodeStart {
            microbatch: false,
            index: index + 1,
            total: hooks.len(),
            id: format!("operation.{package}.{name}"),
            name: format!("{package}.{key}.{order}"),
            resource_type: "operation".to_owned(),
            materialization: String::new(),
            relation: None,
            path: ground.project.sources.file(hook.span.file).path.clone(),
            thread: "main".to_owned(),
            at: ground.events.now(),
            about: Arc::default(),
        };
        let ended = if broken {
            Ended { outcome: NodeOutcome::Skipped, message: format!("{} skipped", start.name), sql: None }
        } else {
            ground.events.send(&Event::NodeStarted(start.clone()));
            run_one(ground, &start, package, hook, values).await
        };
        let outcome = ended.outcome;
        broken |= outcome.is_failure();
        totals.count(outcome);
        let finished_at = ground.events.now();
        let elapsed_seconds = (finished_at - start.at).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
        let message = if outcome.is_failure() { ended.message.clone() } else { String::new() };
        results.push(ended.result(&start, finished_at));
        let done = NodeDone { start, outcome, message, rows: None, elapsed_seconds, finished_at, compiled_path: None };
        ground.events.send(&Event::NodeFinished(Box::new(done)));
    }
    results
}

/// How a hook of the run ended.
struct Ended {
    outcome: NodeOutcome,
    message: String,
    /// What it came to, where it could be rendered and run.
    sql: Option<String>,
}

impl Ended {
    fn result(self, start: &NodeStart, end: DateTime<Utc>) -> NodeResult {
        let ran = self.outcome != NodeOutcome::Skipped;
        NodeResult {
            batches: None,
            batch_sql: Vec::new(),
            id: NodeId::new(start.id.clone()),
            outcome: self.outcome,
            message: self.message,
            // As in dbt, what did not succeed counts, hooks that are skipped too.
            failures: Some(u64::from(self.outcome != NodeOutcome::Success)),
            rows_affected: None,
            compile: None,
            execute: ran.then_some(TimeSpan { start: start.at, end }),
            thread: start.thread.clone(),
            compiled_sql: self.sql,
            run_sql: None,
            relation: None,
        }
    }
}

async fn run_one(ground: Ground<'_>, start: &NodeStart, package: &str, hook: &Spanned<String>, values: &Map<String, Json>) -> Ended {
    let script = ScriptText {
        text: hook.value.clone(),
        span: hook.span,
        package: package.to_owned(),
        node: NodeId::new(start.id.clone()),
        values: values.clone(),
    };
    match run_script(ground, script, "this hook").await {
        Ok(sql) => Ended { outcome: NodeOutcome::Success, message: format!("{} passed", start.name), sql: Some(sql) },
        Err(diagnostics) => {
            let message = failure_message(&start.described(), &diagnostics, &ground.project.sources, "");
            for diagnostic in diagnostics {
                let sources = Arc::clone(&ground.project.sources);
                ground.events.send(&Event::Diagnosed { diagnostic: Box::new(diagnostic), sources, node: Some(start.id.clone()) });
            }
            Ended { outcome: NodeOutcome::Error, message, sql: None }
        }
    }
}
