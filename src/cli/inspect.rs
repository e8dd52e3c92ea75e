//! `parse`, `compile`, `ls` and `show`: commands that write nothing into the warehouse.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use serde_json::Value as Json;
use tokio::runtime::Handle;

use super::args::{CompileOptions, CompileOutput, Global, ListOptions, ListOutput, RowsOutput, ShowOptions, Switch};
use super::build::{counts, refuse_broken_rules};
use super::output::{JsonShape, rows_text};
use super::selecting::selected;
use super::session::{ProjectFiles, Ready, Session, Stop, command};
use super::{Exit, Invocation, Streams, artifacts, state};
use crate::base::{Diagnostic, Event, Heard, NodeOutcome, Severity, Shown, failure_message};
use crate::compile::{Compilation, CompiledNode, CompiledProject, Surroundings, compile as compile_nodes};
use crate::engine::{Engine, EngineError};
use crate::exec::EnginePort;
use crate::manifest::{Node, NodeId, NodeKind, NodeResult, ResourceType, TimeSpan};
use crate::resolve::Project;

pub(super) fn parse(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let parsed = Session::start("parse", global, &invocation, streams).and_then(|session| {
        let ready = session.project()?;
        session.events.send(&Event::Found { counts: counts(&ready) });
        artifacts::manifest(&session, &ready.project)?;
        // The program ends here, and the system takes a large project back sooner than we do.
        std::mem::forget(ready);
        Ok(session.complete(Exit::Fine))
    });
    parsed.unwrap_or_else(|Stop(exit)| exit)
}

pub(super) fn ls(options: &ListOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut quiet = global.clone();
    quiet.switches.set(Switch::Quiet, true);
    let listed = Session::start("list", &quiet, &invocation, streams).and_then(|session| {
        let ready = session.project()?;
        let lines = list(options, global, &session, &ready)?;
        if lines.is_empty() {
            streams.complain("No nodes selected!\n");
        }
        streams.print(&lines.concat());
        Ok(session.complete(Exit::Fine))
    });
    listed.unwrap_or_else(|Stop(exit)| exit)
}

fn list(options: &ListOptions, global: &Global, session: &Session, ready: &Ready) -> Result<Vec<String>, Stop> {
    let keys: Vec<&str> = options.output_keys.iter().flat_map(|keys| keys.split([' ', ','])).filter(|key| !key.is_empty()).collect();
    let nodes = selected(global, session, ready)?;
    // As in dbt: analyses are listed where they are asked for.
    let listed_type = |node: &&Node| node.resource_type() != ResourceType::Analysis || !global.resource_types.is_empty();
    let nodes: Vec<&Node> = nodes.iter().filter_map(|id| ready.project.nodes.get(id)).map(Box::as_ref).filter(listed_type).collect();
    let line: fn(&Node) -> String = match options.output {
        ListOutput::Json => {
            let entries = artifacts::entries(session, &ready.project, &nodes).into_iter();
            return Ok(entries.map(|entry| format!("{}\n", listed(entry, &keys))).collect());
        }
        ListOutput::Name => listed_name,
        ListOutput::Path => |node| node.original_path.clone(),
        ListOutput::Selector => selector,
    };
    let mut lines: Vec<String> = nodes.into_iter().map(|node| line(node) + "\n").collect();
    lines.sort();
    Ok(lines)
}

/// The name, of a source with the one that it is in, of a versioned model with its version.
fn listed_name(node: &Node) -> String {
    if let NodeKind::Source { source_name, .. } = &node.kind { format!("{source_name}.{}", node.name) } else { node.label() }
}

/// The fields of `--output json` where none are named: dbt's.
const LIST_KEYS: [&str; 10] =
    ["alias", "name", "package_name", "depends_on", "tags", "config", "resource_type", "source_name", "original_file_path", "unique_id"];

/// What selects the node.
fn selector(node: &Node) -> String {
    match &node.kind {
        NodeKind::Source { source_name, .. } => format!("source:{}.{source_name}.{}", node.package, node.name),
        NodeKind::Described(_) | NodeKind::UnitTest(_) => format!("{}:{}", node.resource_type().name(), selector_name(node)),
        NodeKind::Model | NodeKind::Analysis | NodeKind::Seed { .. } | NodeKind::Snapshot | NodeKind::Function(_) | NodeKind::Test(_) => {
            node.fqn.join(".")
        }
    }
}

/// Package and name, with the version of the model that a unit test is for.
fn selector_name(node: &Node) -> String {
    let version = node.unit_test().and_then(|unit| unit.version.as_ref()).map(|version| format!("_v{version}")).unwrap_or_default();
    format!("{}.{}{version}", node.package, node.name)
}

/// The fields that were asked for; a key may name one within others, as `config.materialized`.
fn listed(node: Json, keys: &[&str]) -> Json {
    let Json::Object(node) = node else { return node };
    if keys.is_empty() {
        return node.into_iter().filter(|(key, _)| LIST_KEYS.contains(&key.as_str())).collect();
    }
    let field = |key: &&str| {
        let whole = node.get(*key).cloned();
        let nested = || key.split('.').try_fold(&Json::Object(node.clone()), |value, part| value.get(part)).cloned();
        Some(((*key).to_owned(), whole.or_else(nested)?))
    };
    keys.iter().filter_map(field).collect()
}

pub(super) async fn compile(options: &CompileOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command("compile", global, &invocation, streams, async |session| carry_out_compile(options, global, session, None, streams).await).await
}

/// Compiles what the command line selects, of that only `again` where that is given.
pub(super) async fn carry_out_compile(
    options: &CompileOptions,
    global: &Global,
    session: &Session,
    again: Option<&BTreeSet<NodeId>>,
    streams: &Streams,
) -> Result<Exit, Stop> {
    refuse_both(options.inline.as_ref(), global, session)?;
    let (mut ready, wanted) = if let Some(sql) = &options.inline {
        let (ready, id) = session.project_with_inline(sql)?;
        (ready, BTreeSet::from([id]))
    } else {
        let ready = session.project()?;
        session.events.send(&Event::Found { counts: counts(&ready) });
        let mut selected = selected(global, session, &ready)?;
        selected.retain(|id| again.is_none_or(|again| again.contains(id)));
        (ready, selected)
    };
    let _ = ready.project.selected.set(wanted.iter().map(ToString::to_string).collect());
    let engine = session.project_engine(&ready.project)?;
    state::defer(global, session, &mut ready, &wanted, engine.as_ref()).await?;
    let queries = global.is_on(Switch::Introspect);
    let compiled = compile_with(session, &ready, &wanted, &engine, queries).await;
    refuse_broken_rules(session, &compiled)?;
    // dbt compiles models in Python, of which nothing is looked at, and no unit tests, whose inputs need not be there yet.
    let is_model =
        |id: &NodeId| compiled.project.nodes.get(id).is_none_or(|node| node.resource_type() != ResourceType::UnitTest && node.language != "python");
    let mut refused = false;
    for (id, diagnostics) in compiled.failures() {
        refused |= is_model(id);
        for diagnostic in diagnostics {
            let severity = if is_model(id) { diagnostic.severity } else { Severity::Warning };
            session.diagnosed(&Diagnostic { severity, ..diagnostic.clone() });
        }
    }
    for (id, compilation) in wanted.iter().filter(|_| !queries).filter_map(|id| Some((id, compiled.nodes.get(id)?))) {
        if let Compilation::Deferred { reason } = compilation {
            refused = true;
            let what = compiled.project.nodes.get(id).map_or_else(|| id.to_string(), |node| node.described());
            session.events.send(&Event::Failed { message: format!("can't compile {what}: {reason}, and --no-introspect is set") });
        }
    }
    let named = !global.select.is_empty() || options.inline.is_some();
    let printed = wanted.iter().filter(|id| named && !is_test_of_others(&ready, id, global));
    for node in printed.filter_map(|id| compiled.ready(id)).filter(|node| !node.sql.is_empty()) {
        let name = compiled.project.nodes.get(&node.id).map_or("", |node| node.name.as_str());
        let heading = if options.inline.is_some() { "Compiled inline node is:".to_owned() } else { format!("Compiled node '{name}' is:") };
        let sql = if global.is_on(Switch::InjectEphemeralCtes) { node.sql.as_str() } else { node.body() };
        if session.structured {
            session.events.send(&Event::Shown(Box::new(Shown {
                compiled: true,
                name: name.to_owned(),
                id: node.id.to_string(),
                inline: options.inline.is_some(),
                json: options.output == CompileOutput::Json,
                quiet: global.is_on(Switch::Quiet),
                text: sql.to_owned(),
            })));
        } else if options.output == CompileOutput::Json {
            let mut value = serde_json::json!({"compiled": sql});
            if let (None, Json::Object(map)) = (&options.inline, &mut value) {
                map.insert("node".into(), Json::from(name));
            }
            streams.print(&format!("{value:#}\n"));
        } else if global.is_on(Switch::Quiet) {
            streams.print(&format!("{sql}\n"));
        } else {
            session.events.send(&Event::Message { text: format!("{heading}\n{sql}"), heard: Heard::Terminal, node: None });
        }
    }
    if options.inline.is_none() {
        artifacts::write(session, &compiled, None)?;
    }
    let results = wanted.iter().filter_map(|id| compiled_result(session, &compiled, id)).collect();
    artifacts::results(session, &compiled.project, results)?;
    Ok(if refused { Exit::Failed } else { Exit::Fine })
}

/// What compiling came to, as a result; `None` for what is never compiled.
pub(super) fn compiled_result(session: &Session, compiled: &CompiledProject, id: &NodeId) -> Option<NodeResult> {
    let compilation = compiled.nodes.get(id)?;
    let (outcome, message) = match compilation {
        Compilation::Ready(_) => (NodeOutcome::Success, String::new()),
        Compilation::Failed(broken) => (NodeOutcome::Error, failed(session, &compiled.project, id, &broken.found)),
        Compilation::Deferred { reason } => (NodeOutcome::Skipped, format!("can't be compiled before a run: {reason}")),
        Compilation::Skipped { because } => (NodeOutcome::Skipped, format!("because of `{because}`")),
    };
    let now = TimeSpan { start: session.started(), end: session.events.now() };
    Some(NodeResult {
        batches: None,
        batch_sql: Vec::new(),
        id: id.clone(),
        outcome,
        message,
        failures: None,
        rows_affected: None,
        compile: Some(now),
        execute: None,
        thread: "MainThread".to_owned(),
        compiled_sql: compiled.sql(id).map(str::to_owned),
        run_sql: None,
        relation: compiled.project.nodes.get(id).and_then(|node| node.relation.clone()),
    })
}

/// The message of a node that failed.
fn failed(session: &Session, project: &Project, id: &NodeId, found: &[Diagnostic]) -> String {
    let what = project.nodes.get(id).map_or_else(|| id.to_string(), |node| node.described());
    failure_message(&what, found, &session.sources, "")
}

/// Compiles against the warehouse as it is: templates may query it, unless `queries` is false.
pub(super) async fn compile_with(
    session: &Session,
    ready: &Ready,
    wanted: &BTreeSet<NodeId>,
    engine: &Arc<dyn Engine>,
    queries: bool,
) -> CompiledProject {
    let surroundings: Arc<dyn Surroundings> =
        Arc::new(EnginePort { engine: Arc::clone(engine), events: session.events.clone(), runtime: Handle::current(), queries });
    compile_nodes(&ready.project, &ready.dag, wanted, &surroundings).await
}

pub(super) async fn show(options: &ShowOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut quieter = global.clone();
    if options.output != RowsOutput::Table {
        quieter.switches.set(Switch::Quiet, true);
    }
    let mut session = match Session::start("show", &quieter, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    session.note_argument("limit", Json::from(options.limit));
    session.note_argument("inline", Json::from(options.inline.clone()));
    let done = carry_out_show(options, global, &session, streams).await;
    session.end(done).await
}

async fn carry_out_show(options: &ShowOptions, global: &Global, session: &Session, streams: &Streams) -> Result<Exit, Stop> {
    refuse_both(options.inline.as_ref().or(options.inline_direct.as_ref()), global, session)?;
    if let Some(sql) = &options.inline_direct {
        return show_direct(options, session, sql, streams).await;
    }
    let (mut ready, wanted) = if let Some(sql) = &options.inline {
        let (ready, id) = session.project_with_inline(sql)?;
        (ready, vec![id])
    } else {
        let ready = session.project()?;
        let selected = selected(global, session, &ready)?;
        let shown = |id: &&NodeId| {
            ready.project.nodes.get(*id).is_some_and(|node| {
                matches!(
                    node.resource_type(),
                    ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Analysis | ResourceType::Test
                )
            })
        };
        let named: Vec<NodeId> = selected.iter().filter(shown).filter(|id| !is_test_of_others(&ready, id, global)).cloned().collect();
        (ready, named)
    };
    if global.select.is_empty() && global.selector.is_none() && options.inline.is_none() {
        return Err(session.fail("Either --select or --inline must be passed to show"));
    }
    let engine = session.project_engine(&ready.project)?;
    let ids = wanted.iter().cloned().collect();
    state::defer(global, session, &mut ready, &ids, engine.as_ref()).await?;
    let compiled = compile_with(session, &ready, &ids, &engine, global.is_on(Switch::Introspect)).await;
    refuse_broken_rules(session, &compiled)?;
    let mut results = Vec::new();
    for id in &wanted {
        results.extend(show_one(options, session, &compiled, id, engine.as_ref(), streams).await);
    }
    let failed = results.iter().any(|result| result.outcome != NodeOutcome::Success);
    artifacts::manifest(session, &compiled.project)?;
    artifacts::results(session, &compiled.project, results)?;
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// The rows of a text as it stands: no template is rendered, and the project need not parse.
async fn show_direct(options: &ShowOptions, session: &Session, sql: &str, streams: &Streams) -> Result<Exit, Stop> {
    let target = session.target()?;
    let engine = session.engine(&target)?;
    let file = session.sources.add("inline_query", sql);
    let subject = || Subject { what: "inline node", name: None, id: "" };
    let mut files = ProjectFiles::new(session, &target, engine.as_ref());
    let mut shown = show_rows(options.rows(), sql, engine.as_ref(), session, subject(), streams).await;
    if shown.as_ref().is_err_and(|error| files.may_help(error)) {
        shown = show_rows(options.rows(), sql, engine.as_ref(), session, subject(), streams).await;
    }
    let Err(error) = shown else { return Ok(Exit::Fine) };
    let mut found = match error {
        EngineError::Sql(error) => super::sql::diagnostic(&error, file, 0),
        error => error.diagnostic(&target.warehouse, Some((crate::base::Span::new(file, 0, sql.len()), "this query"))),
    };
    files.note_unread(&mut found);
    session.diagnosed(&found);
    Ok(Exit::Failed)
}

/// Shows one node, or says why it can't be shown.
#[expect(clippy::too_many_arguments, reason = "what is shown, from where and to where; all of it is borrowed and used once")]
async fn show_one(
    options: &ShowOptions,
    session: &Session,
    compiled: &CompiledProject,
    id: &NodeId,
    engine: &dyn Engine,
    streams: &Streams,
) -> Option<NodeResult> {
    let mut result = compiled_result(session, compiled, id)?;
    match compiled.nodes.get(id)? {
        Compilation::Ready(node) => {
            let began = session.events.now();
            match show_node(options, session, compiled, node, engine, streams).await {
                Ok(sql) => result.compiled_sql = Some(sql),
                Err(error) => {
                    result.outcome = NodeOutcome::Error;
                    let found = diagnosed(node, &error, &compiled.project.target.warehouse);
                    session.diagnosed(&found);
                    result.message = failed(session, &compiled.project, id, &[found]);
                }
            }
            result.execute = Some(TimeSpan { start: began, end: session.events.now() });
        }
        Compilation::Failed(broken) => broken.found.iter().for_each(|diagnostic| session.diagnosed(diagnostic)),
        Compilation::Deferred { reason } => session.events.send(&Event::Failed { message: format!("can't be shown: {reason}") }),
        Compilation::Skipped { because } => session.events.send(&Event::Failed { message: format!("can't be shown because of `{because}`") }),
    }
    Some(result)
}

/// Words of selectors that ask for tests.
const ASK_FOR_TESTS: [&str; 5] = ["test", "tests", "test_name", "test_type", "unit_test"];

/// Tests come along with what they test; they are shown only where they are named themselves.
fn is_test_of_others(ready: &Ready, id: &NodeId, global: &Global) -> bool {
    let Some(node) = ready.project.nodes.get(id) else { return true };
    let asks = |text: &String| text.contains(&node.name) || text.split([':', '/', ',', ' ', '+', '@']).any(|word| ASK_FOR_TESTS.contains(&word));
    matches!(node.resource_type(), ResourceType::Test | ResourceType::UnitTest) && !global.select.iter().any(asks)
}

/// A text of the command line stands in the place of what is selected.
fn refuse_both(inline: Option<&String>, global: &Global, session: &Session) -> Result<(), Stop> {
    let other = if global.select.is_empty() { global.selector.as_ref().map(|_| "--selector") } else { Some("--select") };
    match other.filter(|_| inline.is_some()) {
        Some(other) => Err(session.fail(&format!("--inline goes without {other}: there is one text to look at"))),
        None => Ok(()),
    }
}

/// Shows the rows of a node and gives the SQL of what was shown.
#[expect(clippy::too_many_arguments, reason = "what is shown, from where and to where; all of it is borrowed and used once")]
async fn show_node(
    options: &ShowOptions,
    session: &Session,
    compiled: &CompiledProject,
    node: &CompiledNode,
    engine: &dyn Engine,
    streams: &Streams,
) -> Result<String, EngineError> {
    let found = compiled.project.nodes.get(&node.id);
    let sql = match found.and_then(|found| found.relation.as_ref()) {
        Some(relation) if node.sql.is_empty() => format!("select * from {relation}"),
        _ => node.sql.clone(),
    };
    let name = found.map_or("", |node| node.name.as_str());
    let what = if options.inline.is_some() { "inline node".to_owned() } else { format!("node '{name}'") };
    let subject = Subject { what: &what, name: Some(name).filter(|_| options.inline.is_none()), id: node.id.as_str() };
    show_rows(options.rows(), &sql, engine, session, subject, streams).await?;
    // The stream of rows is cut; this is how SQL says it.
    Ok(if options.limit < 0 { sql } else { format!("{}\nlimit {}", sql.trim_end(), options.limit) })
}

/// What rows are of.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// As a line above them says it.
    pub what: &'a str,
    /// The node's name; a text of the command line has none.
    pub name: Option<&'a str>,
    pub id: &'a str,
}

/// Prints the first rows of a query under a line that says what they are of.
#[expect(clippy::too_many_arguments, reason = "what is shown, from where and to where; all of it is borrowed and used once")]
pub(super) async fn show_rows(
    (limit, output): (Option<usize>, RowsOutput),
    sql: &str,
    engine: &dyn Engine,
    session: &Session,
    subject: Subject<'_>,
    streams: &Streams,
) -> Result<(), EngineError> {
    let mut stream = engine.query(sql, &[]).await?;
    let schema = stream.schema();
    let mut batches = Vec::new();
    let mut left = limit.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(batch) = stream.next().await else { break };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return Err(engine.failure(error, sql, &[]).await),
        };
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        batches.push(batch);
    }
    let Subject { what, name, id } = subject;
    let shape = if session.structured { JsonShape::Rows } else { JsonShape::Show { node: name } };
    let text =
        rows_text(&schema, &batches, output, shape).map_err(|reason| EngineError::Storage { context: "the rows can't be shown".into(), reason })?;
    if session.structured {
        session.events.send(&Event::Shown(Box::new(Shown {
            compiled: false,
            name: name.unwrap_or("inline_query").to_owned(),
            id: id.to_owned(),
            inline: name.is_none(),
            json: output == RowsOutput::Json,
            quiet: false,
            text: text.trim_end().to_owned(),
        })));
    } else {
        session.events.send(&Event::Message { text: format!("Previewing {what}:"), heard: Heard::Terminal, node: None });
        streams.print(&text);
    }
    Ok(())
}

fn diagnosed(node: &CompiledNode, error: &EngineError, warehouse: &str) -> Diagnostic {
    match error {
        EngineError::Sql(error) => node.diagnose(error, "this query"),
        other => other.diagnostic(warehouse, Some((node.span(), "this query"))),
    }
}
