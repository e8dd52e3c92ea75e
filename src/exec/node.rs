//! One node from its compiled SQL to its results: its steps in order, its audits, and another try when it lost against
//! another writer.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deltalake::arrow::array::AsArray;
use deltalake::arrow::datatypes::Int64Type;
use futures::TryStreamExt as _;

use super::batches::build_batches;
use super::comment;
use super::hooks::{When, hook_values, run_node_hooks};
use super::keys;
use super::run::Shared;
use super::unit_test::difference;
use super::verdict::{Verdict, judge};
use crate::base::{Diagnostic, Event, NodeOutcome};
use crate::compile::{Broken, Compilation, CompiledNode, UnitQuery, render_materialization, unknown_column_types};
use crate::engine::{
    CommitLabel, EngineError, Outcome, Overlay, SchemaChange, StageId, Step, StreamRead, TableInput, TableSettings, TableWrite, ViewWrite, WriteMode,
};
use crate::jinja::MacroCall;
use crate::load::ProjectDialect;
use crate::manifest::{BatchResults, Materialization, Node, NodeId, NodeResult, ResourceType, TimeSpan};
use crate::plan::{PlanOptions, PlanStep, plan_node, run_text, test_query, verdict};
use crate::sql::statement_text;

/// How often a node that loses against other writers is tried before it is given up.
const ATTEMPTS: u32 = 8;

/// What a node came to.
pub(super) struct Ended {
    pub outcome: NodeOutcome,
    pub message: String,
    pub diagnostics: Vec<Diagnostic>,
    pub rows: Option<u64>,
    pub failures: Option<u64>,
    pub compiled: Option<Arc<CompiledNode>>,
    /// When compiling, as far as it was done here, ended.
    pub compiled_at: DateTime<Utc>,
    /// The tests that ran between staging and publishing.
    pub audits: Vec<(NodeId, Ended, DateTime<Utc>)>,
    /// Of a model that is built in batches, with the SQL of each.
    pub batches: Option<BatchResults>,
    pub batch_sql: Vec<(String, String)>,
}

impl Ended {
    pub(super) fn new(outcome: NodeOutcome, message: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self {
            outcome,
            message: message.into(),
            diagnostics: Vec::new(),
            rows: None,
            failures: None,
            compiled: None,
            compiled_at: at,
            audits: Vec::new(),
            batches: None,
            batch_sql: Vec::new(),
        }
    }

    /// Of what is described and never run.
    pub(super) fn no_op(at: DateTime<Utc>) -> Self {
        Self::new(NodeOutcome::NoOp, "", at)
    }

    pub(super) fn skipped(message: &str, at: DateTime<Utc>) -> Self {
        Self::new(NodeOutcome::Skipped, message, at)
    }

    /// Of a node that could not be compiled, with its SQL as far as there is any.
    pub(super) fn broken(broken: Broken, at: DateTime<Utc>) -> Self {
        Self { compiled: broken.compiled, ..Self::failed(broken.found, at) }
    }

    pub(super) fn failed(diagnostics: Vec<Diagnostic>, at: DateTime<Utc>) -> Self {
        Self { diagnostics, ..Self::new(NodeOutcome::Error, "", at) }
    }
}

/// Why a node's steps stopped.
enum Stopped {
    Engine(EngineError),
    /// An audit of error severity failed; the rows were not published.
    Audit(String),
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Runs a node, whatever it is.
pub(super) async fn run_node(shared: &Shared, node: &Node, thread: &str) -> Ended {
    let compilation = shared.compilation(node).await;
    let at = shared.events.now();
    let compiled = match compilation {
        Compilation::Ready(compiled) => compiled,
        Compilation::Failed(broken) => return Ended::broken(broken, at),
        Compilation::Skipped { because } => return shared.skipped(&because, at).await,
        Compilation::Deferred { reason } => return Ended::new(NodeOutcome::Error, format!("can't be compiled: {reason}"), at),
    };
    let mut ended = match node.resource_type() {
        ResourceType::Test => run_test(shared, node, &compiled, &[]).await,
        ResourceType::UnitTest => run_unit_test(shared, node, &compiled).await,
        _ => match node.config.incremental.as_ref().and_then(|config| config.microbatch()) {
            Some(config) => build_batches(shared, node, &compiled, config, thread).await,
            None => build(shared, node, &compiled).await,
        },
    };
    ended.compiled_at = at;
    ended.compiled = Some(compiled);
    ended
}

async fn build(shared: &Shared, node: &Node, compiled: &CompiledNode) -> Ended {
    let at = shared.events.now();
    let audits = shared.order.audits.get(&node.id).cloned().unwrap_or_default();
    for warning in unknown_column_types(node, compiled.schema.as_ref()) {
        let sources = Arc::clone(&shared.compiled.project.sources);
        shared.events.send(&Event::Diagnosed { diagnostic: Box::new(warning), sources, node: Some(node.id.to_string()) });
    }
    let query_schema = match (&node.config.materialization, &compiled.query_schema) {
        (Materialization::Snapshot, None) => shared.engine.query(&compiled.sql, &[]).await.ok().map(|rows| rows.schema()),
        _ => None,
    };
    let run_started_at = shared.compiled.project.invocation.run_started_at;
    match shared.compiled.project.builder(node, compiled.history.is_some()) {
        Ok(Some(call)) => return run_macro(shared, node, compiled, call, at).await,
        Ok(None) => {}
        Err(diagnostic) => return Ended::failed(vec![*diagnostic], at),
    }
    let streams = match shared.compiled.project.streams(node) {
        Ok(streams) => streams.into_iter().map(|(source, kind)| StreamRead { source, kind }).collect(),
        Err(diagnostic) => return Ended::failed(vec![*diagnostic], at),
    };
    let options = PlanOptions {
        run_id: shared.options.run_id.clone(),
        run_started_at,
        semantics: shared.compiled.project.target.semantics(),
        query_schema,
        audits,
        streams,
        keys_may_repeat: keys_may_repeat(shared),
        batch: None,
    };
    let plan = match plan_node(node, compiled, &options) {
        Ok(plan) => plan,
        Err(diagnostic) => return Ended::failed(vec![*diagnostic], at),
    };
    if let Err(diagnostics) = run_node_hooks(shared.ground(), node, When::Before).await {
        return Ended::failed(diagnostics, at);
    }
    let mut ended = build_steps(shared, node, compiled, &plan.steps).await;
    if ended.outcome != NodeOutcome::Success {
        return ended;
    }
    ended.diagnostics.extend(comment::undescribed(node, compiled));
    match run_node_hooks(shared.ground(), node, When::After).await {
        Ok(()) => ended,
        Err(diagnostics) => Ended { audits: ended.audits, ..Ended::failed(diagnostics, at) },
    }
}

/// A project that was written for dbt may rely on a first build that repeats keys: no warehouse refuses it.
fn keys_may_repeat(shared: &Shared) -> bool {
    shared.compiled.project.parsed.root.project.dialect == ProjectDialect::Dbt
}

/// Builds a node by a macro, which runs its own statements and the node's hooks.
async fn run_macro(shared: &Shared, node: &Node, compiled: &CompiledNode, call: MacroCall, at: DateTime<Utc>) -> Ended {
    let hooks = match hook_values(node) {
        Ok(hooks) => hooks,
        Err(diagnostics) => return Ended::failed(diagnostics, at),
    };
    let project = &shared.compiled.project;
    match render_materialization(project, call, compiled, hooks, &shared.surroundings).await {
        Ok(_) => Ended::new(NodeOutcome::Success, "created", at),
        Err(diagnostics) => Ended::failed(diagnostics, at),
    }
}

pub(super) async fn build_steps(shared: &Shared, node: &Node, compiled: &CompiledNode, steps: &[PlanStep]) -> Ended {
    let at = shared.events.now();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut ended = Ended::new(NodeOutcome::Success, "", at);
        match carry_out(shared, node, compiled, steps, &mut ended).await {
            Ok(()) => return ended,
            Err(Stopped::Engine(EngineError::Conflict { .. })) if attempt < ATTEMPTS => pause(attempt).await,
            Err(Stopped::Engine(error)) => return Ended { audits: ended.audits, ..engine_failure(shared, node, compiled, &error, at) },
            Err(Stopped::Audit(message)) => return Ended { audits: ended.audits, ..Ended::new(NodeOutcome::Error, message, at) },
        }
    }
}

/// Waits a little longer each time, and not as long as its rival.
async fn pause(attempt: u32) {
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt * attempt) + jitter)).await;
}

async fn carry_out(shared: &Shared, node: &Node, compiled: &CompiledNode, steps: &[PlanStep], ended: &mut Ended) -> Result<(), Stopped> {
    let mut stage: Option<StageId> = None;
    for step in steps {
        let done = carry_out_step(shared, node, compiled, step, &mut stage, ended).await;
        if done.is_err() {
            if let Some(stage) = stage {
                shared.engine.execute(&Step::Dismiss(stage)).await?;
            }
            return done;
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the step with its node, and the two things it changes")]
async fn carry_out_step(
    shared: &Shared,
    node: &Node,
    compiled: &CompiledNode,
    step: &PlanStep,
    stage: &mut Option<StageId>,
    ended: &mut Ended,
) -> Result<(), Stopped> {
    let step = match step {
        PlanStep::StageTable(write) => Step::StageTable(write.clone()),
        PlanStep::StageFiles(write) => Step::StageFiles(write.clone()),
        PlanStep::PutView(write) => Step::PutView(write.clone()),
        PlanStep::Publish => match *stage {
            Some(stage) => Step::Publish(stage),
            None => return Ok(()),
        },
        PlanStep::Keys(keys) => {
            ended.diagnostics.extend(keys::check(shared, node, keys, *stage).await?);
            return Ok(());
        }
        PlanStep::Audit(tests) => return audit(shared, node, compiled, tests, *stage, ended).await,
    };
    if !compiled.sql.is_empty() && stage.is_none() {
        comment::sent(shared.ground(), &node.id, &compiled.sql).await;
    }
    match shared.engine.execute(&step).await.map_err(|error| in_query(error, &step, compiled))? {
        Outcome::Staged { stage: staged, rows } => {
            *stage = Some(staged);
            ended.rows = Some(rows);
            ended.message = if rows == 1 { "1 row".into() } else { format!("{rows} rows") };
        }
        Outcome::Published { .. } => *stage = None,
        Outcome::Done { changed } => ended.message = if changed { "created".into() } else { "unchanged".into() },
    }
    Ok(())
}

/// A place in the query around a test as the place in the test; elsewhere it is one of the test's conditions.
fn in_test(error: EngineError, outer: &str, compiled: &CompiledNode) -> EngineError {
    let EngineError::Sql(mut inner) = error else { return error };
    let body = compiled.sql.trim().trim_end_matches(';');
    let lead = compiled.sql.len() - compiled.sql.trim_start().len();
    let begin = outer.find(body).filter(|_| !body.is_empty());
    if let (Some(range), Some(begin)) = (inner.range.take(), begin) {
        inner.range = range.start.checked_sub(begin).filter(|start| *start < body.len()).map(|start| lead + start..lead + range.end - begin);
        if inner.range.is_none() {
            inner.notes.push("in `warn_if`, `error_if` or `fail_calc` of the test".into());
            inner.help = Some("`warn_if` and `error_if` compare the number of failures, e.g. `> 10`; `fail_calc` is one aggregate".into());
        }
    }
    EngineError::Sql(inner)
}

/// A place in SQL around a node's query as the place in the query.
fn in_query(error: EngineError, step: &Step, compiled: &CompiledNode) -> EngineError {
    match (error, step) {
        (EngineError::Sql(mut inner), Step::StageTable(TableWrite { input: TableInput::Query(sql), .. })) if *sql != compiled.sql => {
            let begin = sql.find(statement_text(&compiled.sql)).filter(|_| !compiled.sql.is_empty());
            inner.range = inner.range.zip(begin).and_then(|(range, begin)| {
                let (start, end) = (range.start.checked_sub(begin)?, range.end.checked_sub(begin)?);
                (end <= compiled.sql.len()).then_some(start..end)
            });
            EngineError::Sql(inner)
        }
        (error, _) => error,
    }
}

/// Runs the tests of a node over its staged rows; for a view, which has none, over its query.
#[expect(clippy::too_many_arguments, reason = "the tests with what they audit, and the result they go into")]
async fn audit(
    shared: &Shared,
    node: &Node,
    compiled: &CompiledNode,
    tests: &[NodeId],
    stage: Option<StageId>,
    ended: &mut Ended,
) -> Result<(), Stopped> {
    let Some(name) = node.relation.clone() else { return Ok(()) };
    let overlay = match stage {
        Some(stage) => Overlay::Stage { name: name.clone(), stage },
        None => Overlay::Query { name: name.clone(), sql: compiled.sql.clone() },
    };
    let overlays = [overlay];
    shared.staged.note(shared.engine.as_ref(), &name, &overlays).await;
    ended.audits.clear();
    let mut failed = Vec::new();
    for test in tests.iter().filter_map(|id| shared.compiled.project.nodes.get(id)) {
        let started = shared.events.now();
        let result = match shared.compilation(test).await {
            Compilation::Ready(compiled) => Ended { compiled: Some(Arc::clone(&compiled)), ..run_test(shared, test, &compiled, &overlays).await },
            Compilation::Failed(broken) => Ended::broken(broken, started),
            Compilation::Skipped { because } => shared.skipped(&because, started).await,
            Compilation::Deferred { reason } => Ended::new(NodeOutcome::Error, format!("can't be compiled: {reason}"), started),
        };
        if result.outcome.is_failure() {
            failed.push(format!("`{}`", test.name));
        }
        ended.audits.push((test.id.clone(), result, started));
    }
    shared.staged.forget(&name);
    match failed.len() {
        0 => Ok(()),
        1 => Err(Stopped::Audit(format!("not published: the audit {} failed", failed.join(", ")))),
        more => Err(Stopped::Audit(format!("not published: {more} audits failed: {}", failed.join(", ")))),
    }
}

async fn run_test(shared: &Shared, node: &Node, compiled: &CompiledNode, overlays: &[Overlay]) -> Ended {
    let at = shared.events.now();
    comment::sent(shared.ground(), &node.id, &compiled.sql).await;
    match ask(shared, node, compiled, overlays).await {
        Ok(verdict) => {
            let (outcome, message) = judge(verdict, &node.config.test, shared.options.warnings_fail);
            // As dbt counts: what a test that passes found are no failures.
            let failures = if outcome == NodeOutcome::Pass { 0 } else { verdict.failures };
            Ended { failures: Some(failures), ..Ended::new(outcome, message, at) }
        }
        Err(error) => engine_failure(shared, node, compiled, &error, at),
    }
}

async fn run_unit_test(shared: &Shared, node: &Node, compiled: &CompiledNode) -> Ended {
    let at = shared.events.now();
    let Some(query) = &compiled.unit else { return Ended::skipped("it has no query", at) };
    comment::sent(shared.ground(), &node.id, &query.sql).await;
    match difference(shared, query).await {
        Ok(None) => Ended { failures: Some(0), ..Ended::new(NodeOutcome::Pass, "", at) },
        Ok(Some(difference)) => Ended { failures: Some(1), ..Ended::new(NodeOutcome::Fail, difference, at) },
        Err(error) => engine_failure(shared, node, compiled, &in_comparison(error, query, compiled), at),
    }
}

/// A place in the comparison as the place in the tested query.
fn in_comparison(error: EngineError, query: &UnitQuery, compiled: &CompiledNode) -> EngineError {
    match error {
        EngineError::Sql(mut inner) => {
            let tested = compiled.sql.trim().trim_end_matches(';');
            let begin = query.sql.find(tested).zip(compiled.sql.find(tested));
            inner.range = inner.range.zip(begin).and_then(|(range, (begin, skipped))| {
                let (start, end) = (range.start.checked_sub(begin)?, range.end.checked_sub(begin)?);
                (end <= tested.len()).then_some(start + skipped..end + skipped)
            });
            EngineError::Sql(inner)
        }
        other => other,
    }
}

async fn ask(shared: &Shared, node: &Node, compiled: &CompiledNode, overlays: &[Overlay]) -> Result<Verdict, EngineError> {
    let query = test_query(&compiled.sql, &node.config.test);
    let Some(relation) = node.relation.as_ref() else {
        return one_verdict(shared, &query.verdict, overlays).await.map_err(|error| in_test(error, &query.verdict, compiled));
    };
    let label = CommitLabel { run_id: shared.options.run_id.clone(), node: node.id.to_string() };
    if node.config.test.failures_as_view {
        // A view knows nothing of rows that are staged: it shows what is published whenever it is asked.
        let found = one_verdict(shared, &query.verdict, overlays).await.map_err(|error| in_test(error, &query.verdict, compiled))?;
        let view = ViewWrite { relation: relation.clone(), sql: query.rows, proved: true, description: None, label };
        shared.engine.execute(&Step::PutView(view)).await?;
        return Ok(found);
    }
    let write = TableWrite {
        relation: relation.clone(),
        input: TableInput::Overlaid { sql: query.rows.clone(), overlays: overlays.to_vec() },
        mode: WriteMode::Overwrite,
        schema_change: SchemaChange::default(),
        dedupe: None,
        columns: Vec::new(),
        checks: None,
        settings: TableSettings::default(),
        streams: Vec::new(),
        label,
    };
    let staged = shared.engine.execute(&Step::StageTable(write)).await.map_err(|error| in_test(error, &query.rows, compiled))?;
    if let Outcome::Staged { stage, .. } = staged {
        shared.engine.execute(&Step::Publish(stage)).await?;
    }
    one_verdict(shared, &verdict(&relation.to_string(), &node.config.test), &[]).await
}

async fn one_verdict(shared: &Shared, sql: &str, overlays: &[Overlay]) -> Result<Verdict, EngineError> {
    let batches: Vec<_> = match shared.engine.query(sql, overlays).await?.try_collect().await {
        Ok(batches) => batches,
        Err(error) => return Err(shared.engine.failure(error, sql, overlays).await),
    };
    let found = batches.iter().find(|batch| batch.num_rows() > 0 && batch.num_columns() == 3).and_then(|batch| {
        let failures = batch.column(0).as_primitive_opt::<Int64Type>()?.value(0);
        let flag = |at: usize| Some(batch.column(at).as_boolean_opt()?.value(0));
        Some(Verdict { failures: u64::try_from(failures).unwrap_or(0), should_warn: flag(1)?, should_error: flag(2)? })
    });
    found.ok_or_else(|| EngineError::Unsupported {
        message: "the test gives no verdict".into(),
        help: Some("`warn_if` and `error_if` compare the number of failures, e.g. `> 10`; `fail_calc` is one aggregate".into()),
    })
}

fn engine_failure(shared: &Shared, node: &Node, compiled: &CompiledNode, error: &EngineError, at: DateTime<Utc>) -> Ended {
    let about = format!("this {}", node.resource_type().name().replace('_', " "));
    match error {
        EngineError::Violated(violation) => Ended::failed(vec![keys::violated(node, violation)], at),
        EngineError::Interrupted => Ended::new(NodeOutcome::Skipped, "the run was interrupted", at),
        EngineError::Sql(error) => Ended::failed(vec![compiled.diagnose(error, &about)], at),
        error => Ended::failed(vec![error.diagnostic(&shared.compiled.project.target.warehouse, Some((node.span, &about)))], at),
    }
}

/// The result as reports and artifacts keep it.
pub(super) fn result(node: &Node, ended: &Ended, started: DateTime<Utc>, finished: DateTime<Utc>, thread: &str) -> NodeResult {
    NodeResult {
        id: node.id.clone(),
        outcome: ended.outcome,
        message: ended.message.clone(),
        failures: ended.failures,
        rows_affected: ended.rows,
        compile: Some(TimeSpan { start: started, end: ended.compiled_at.max(started) }),
        execute: Some(TimeSpan { start: ended.compiled_at.max(started), end: finished }),
        thread: thread.to_owned(),
        compiled_sql: ended.compiled.as_ref().map(|compiled| compiled.sql.clone()).filter(|sql| !sql.is_empty()),
        run_sql: ended.compiled.as_ref().and_then(|compiled| run_text(node, compiled)),
        relation: node.relation.clone(),
        batches: ended.batches.clone(),
        batch_sql: ended.batch_sql.clone(),
    }
}
