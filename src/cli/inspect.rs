//! `parse`, `compile`, `ls` and `show`: commands that write nothing into the warehouse.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use tokio::runtime::Handle;

use super::args::{CompileOptions, Global, ListOptions, ListOutput, RowsOutput, ShowOptions};
use super::build::{counts, refuse_broken_rules};
use super::output::{JsonShape, print_rows};
use super::session::{Ready, Session, Stop};
use super::{Exit, Invocation, Streams, artifacts};
use crate::base::{Code, Diagnostic, Event};
use crate::compile::{Compilation, CompiledNode, CompiledProject, Surroundings, compile as compile_nodes};
use crate::engine::{Engine, EngineError};
use crate::exec::EnginePort;
use crate::manifest::{Node, NodeId, NodeKind, ResourceType};

pub(super) fn parse(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let parsed = Session::start("parse", global, &invocation, streams).and_then(|session| {
        let ready = session.project()?;
        session.events.send(&Event::Found { counts: counts(&ready) });
        artifacts::manifest(&session, &ready.project)?;
        Ok(session.complete(Exit::Fine))
    });
    parsed.unwrap_or_else(|Stop(exit)| exit)
}

pub(super) fn ls(options: &ListOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut quiet = global.clone();
    quiet.quiet = true;
    let listed = Session::start("list", &quiet, &invocation, streams).and_then(|session| {
        let ready = session.project()?;
        let lines = list(options, global, &session, &ready)?;
        if lines.is_empty() {
            streams.complain("no nodes selected\n");
        }
        streams.print(&lines.concat());
        Ok(session.complete(Exit::Fine))
    });
    listed.unwrap_or_else(|Stop(exit)| exit)
}

fn list(options: &ListOptions, global: &Global, session: &Session, ready: &Ready) -> Result<Vec<String>, Stop> {
    let mut types = Vec::new();
    for name in options
        .resource_types
        .iter()
        .flat_map(|names| names.split([' ', ',']))
        .filter(|name| !name.is_empty() && *name != "all" && *name != "default")
    {
        let found = ResourceType::from_name(name).ok_or_else(|| {
            let names = ResourceType::ALL.map(ResourceType::name);
            session.report(&[Diagnostic::error(Code::InvalidSelector, format!("there is no resource type `{name}`"))
                .help_nearest(crate::base::nearest(name, names), format!("the types are {}", names.join(", ")))])
        })?;
        types.push(found);
    }
    let selected = session.selected(&ready, global)?;
    let wanted = |node: &&Node| types.is_empty() || types.contains(&node.resource_type());
    let mut lines: Vec<String> =
        selected.iter().filter_map(|id| ready.project.nodes.get(id)).filter(wanted).map(|node| line(&ready.project, node, options.output)).collect();
    lines.sort();
    Ok(lines)
}

fn line(project: &crate::resolve::Project, node: &Node, output: ListOutput) -> String {
    match output {
        ListOutput::Name => format!("{}\n", node.name),
        ListOutput::Path => format!("{}\n", node.original_path),
        ListOutput::Json => format!("{}\n", project.node_json(node)),
        ListOutput::Selector => match &node.kind {
            NodeKind::Source { source_name, .. } => format!("source:{}.{source_name}.{}\n", node.package, node.name),
            NodeKind::Exposure => format!("exposure:{}.{}\n", node.package, node.name),
            NodeKind::Model | NodeKind::Analysis | NodeKind::Seed { .. } | NodeKind::Snapshot | NodeKind::Test(_) => {
                format!("{}\n", node.fqn.join("."))
            }
        },
    }
}

pub(super) async fn compile(options: &CompileOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let session = match Session::start("compile", global, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    match carry_out_compile(options, global, &session, streams).await {
        Ok(exit) => session.complete(exit),
        Err(Stop(exit)) => exit,
    }
}

async fn carry_out_compile(options: &CompileOptions, global: &Global, session: &Session, streams: &Streams) -> Result<Exit, Stop> {
    let (ready, wanted) = if let Some(sql) = &options.inline {
        let (ready, id) = session.project_with_inline(sql)?;
        (ready, BTreeSet::from([id]))
    } else {
        let ready = session.project()?;
        session.events.send(&Event::Found { counts: counts(&ready) });
        let selected = session.selected(&ready, global)?;
        (ready, selected)
    };
    let _ = ready.project.selected.set(wanted.iter().map(ToString::to_string).collect());
    let engine = session.project_engine(&ready.project)?;
    let compiled = compile_with(session, &ready, &wanted, &engine).await;
    refuse_broken_rules(session, &compiled)?;
    for (_, diagnostics) in compiled.failures() {
        for diagnostic in diagnostics {
            session.diagnosed(diagnostic);
        }
    }
    let named = !global.select.is_empty() || options.inline.is_some();
    for node in wanted.iter().filter(|_| named).filter_map(|id| compiled.ready(id)).filter(|node| !node.sql.is_empty()) {
        let name = compiled.project.nodes.get(&node.id).map_or("", |node| node.name.as_str());
        let heading = if options.inline.is_some() { "Compiled inline node is:".to_owned() } else { format!("Compiled node '{name}' is:") };
        if global.quiet {
            streams.print(&format!("{}\n", node.sql));
        } else {
            session.events.send(&Event::Message { text: format!("{heading}\n{}", node.sql), info: true, node: None });
        }
    }
    if options.inline.is_none() {
        artifacts::write(session, &compiled, None)?;
    }
    Ok(if compiled.failures().next().is_some() { Exit::Failed } else { Exit::Fine })
}

/// Compiles against the warehouse as it is: templates may query it.
async fn compile_with(session: &Session, ready: &Ready, wanted: &BTreeSet<NodeId>, engine: &Arc<dyn Engine>) -> CompiledProject {
    let surroundings: Arc<dyn Surroundings> =
        Arc::new(EnginePort { engine: Arc::clone(engine), events: session.events.clone(), runtime: Handle::current(), queries: true });
    compile_nodes(&ready.project, &ready.dag, wanted, &surroundings).await
}

pub(super) async fn show(options: &ShowOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut quieter = global.clone();
    quieter.quiet |= options.output != RowsOutput::Table;
    let session = match Session::start("show", &quieter, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    match carry_out_show(options, global, &session, streams).await {
        Ok(exit) => session.complete(exit),
        Err(Stop(exit)) => exit,
    }
}

async fn carry_out_show(options: &ShowOptions, global: &Global, session: &Session, streams: &Streams) -> Result<Exit, Stop> {
    let (ready, wanted) = if let Some(sql) = &options.inline {
        let (ready, id) = session.project_with_inline(sql)?;
        (ready, vec![id])
    } else {
        let ready = session.project()?;
        let selected = session.selected(&ready, global)?;
        let shown = |id: &&NodeId| {
            ready.project.nodes.get(*id).is_some_and(|node| {
                matches!(node.resource_type(), ResourceType::Model | ResourceType::Seed | ResourceType::Analysis | ResourceType::Test)
            })
        };
        let named: Vec<NodeId> = selected.iter().filter(shown).filter(|id| !is_test_of_others(&ready, id, global)).cloned().collect();
        (ready, named)
    };
    if global.select.is_empty() && options.inline.is_none() {
        return Err(session.fail("show needs --select or --inline"));
    }
    let engine = session.project_engine(&ready.project)?;
    let compiled = compile_with(session, &ready, &wanted.iter().cloned().collect(), &engine).await;
    let mut exit = Exit::Fine;
    for id in &wanted {
        match compiled.nodes.get(id) {
            Some(Compilation::Ready(node)) => {
                if let Err(error) = show_node(options, session, &compiled, node, engine.as_ref(), streams).await {
                    report_failure(session, node, error, &compiled.project.target.warehouse);
                    exit = Exit::Failed;
                }
            }
            Some(Compilation::Failed(diagnostics)) => {
                for diagnostic in diagnostics {
                    session.diagnosed(diagnostic);
                }
                exit = Exit::Failed;
            }
            Some(Compilation::Deferred { reason }) => {
                session.events.send(&Event::Failed { message: format!("can't be shown: {reason}") });
                exit = Exit::Failed;
            }
            Some(Compilation::Skipped { because }) => {
                session.events.send(&Event::Failed { message: format!("can't be shown because of `{because}`") });
                exit = Exit::Failed;
            }
            None => {}
        }
    }
    Ok(exit)
}

/// Tests come along with what they test; `show` shows them only where they are named themselves.
fn is_test_of_others(ready: &Ready, id: &NodeId, global: &Global) -> bool {
    let Some(node) = ready.project.nodes.get(id) else { return true };
    node.resource_type() == ResourceType::Test && !global.select.iter().any(|text| text.contains(&node.name) || text.contains("test"))
}

#[expect(clippy::too_many_arguments, reason = "what is shown, from where and to where; all of it is borrowed and used once")]
async fn show_node(
    options: &ShowOptions,
    session: &Session,
    compiled: &CompiledProject,
    node: &CompiledNode,
    engine: &dyn Engine,
    streams: &Streams,
) -> Result<(), EngineError> {
    let found = compiled.project.nodes.get(&node.id);
    let sql = match found.and_then(|found| found.relation.as_ref()) {
        Some(relation) if node.sql.is_empty() => format!("select * from {relation}"),
        _ => node.sql.clone(),
    };
    let limit = usize::try_from(options.limit).ok();
    let mut stream = engine.query(&sql, &[]).await?;
    let schema = stream.schema();
    let mut batches = Vec::new();
    let mut left = limit.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(batch) = stream.next().await else { break };
        let batch = batch.map_err(|error| engine.failure(error, &sql))?;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        batches.push(batch);
    }
    let name = found.map_or("", |node| node.name.as_str());
    let heading = if options.inline.is_some() { "Previewing inline node:".to_owned() } else { format!("Previewing node '{name}':") };
    session.events.send(&Event::Message { text: heading, info: true, node: None });
    print_rows(&schema, &batches, options.output, JsonShape::Show, streams)
        .map_err(|reason| EngineError::Storage { context: "the rows can't be shown".into(), reason })
}

fn report_failure(session: &Session, node: &CompiledNode, error: EngineError, warehouse: &str) {
    match error {
        EngineError::Sql(error) => session.diagnosed(&node.diagnose(&error, "this query")),
        other => session.diagnosed(&other.diagnostic(warehouse, Some((node.span(), "this query")))),
    }
}
