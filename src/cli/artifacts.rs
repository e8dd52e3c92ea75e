//! The artifacts of a command: manifest, run results, compiled and run SQL under the target folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use super::session::{Session, Stop};
use crate::artifacts::{
    ArtifactHeader, HookEntry, MacroEntry, ManifestInput, RunResultsInput, node_entries, write_batch, write_compiled, write_manifest, write_run,
    write_run_results,
};
use crate::base::Event;
use crate::base::files::FileError;
use crate::base::{NodeOutcome, Totals};
use crate::compile::CompiledProject;
use crate::exec::RunReport;
use crate::graph::selector_definitions;
use crate::jinja::{MacroInfo, MacroKind};
use crate::load::Behaviour;
use crate::manifest::{Node, NodeId, NodeResult};
use crate::resolve::Project;

/// What a command has made of nodes.
#[derive(Default)]
struct Made {
    compiled: BTreeMap<NodeId, String>,
    /// The nodes that ran something.
    built: BTreeSet<NodeId>,
}

/// Writes everything that a command leaves behind.
pub(super) fn write(session: &Session, compiled: &CompiledProject, report: Option<&RunReport>) -> Result<(), Stop> {
    try_write(session, compiled, report).map_err(|error| session.fail(&error.to_string()))
}

/// Writes the manifest alone.
pub(super) fn manifest(session: &Session, project: &Project) -> Result<(), Stop> {
    let written = manifest_into(session, project, &Made::default());
    written.map_err(|error| session.fail(&error.to_string()))
}

/// Writes the results of a command that ran no node.
pub(super) fn results(session: &Session, project: &Project, results: Vec<NodeResult>) -> Result<(), Stop> {
    let elapsed_seconds = (session.events.now() - session.started()).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
    let report = RunReport { results, totals: Totals::default(), elapsed_seconds, interrupted: false, broken: Vec::new() };
    run_results(session, project, &project.parsed.target_path, &report).map_err(|error| session.fail(&error.to_string()))
}

fn try_write(session: &Session, compiled: &CompiledProject, report: Option<&RunReport>) -> Result<(), FileError> {
    let project = &compiled.project;
    let target = &project.parsed.target_path;
    let mut made = Made::default();
    let texts = &mut made.compiled;
    texts.extend(compiled.nodes.keys().filter_map(|id| Some((id.clone(), compiled.sql(id)?.to_owned()))));
    for result in report.iter().flat_map(|report| &report.results) {
        if let Some(sql) = &result.compiled_sql {
            texts.insert(result.id.clone(), sql.clone());
        }
    }
    for (node, sql) in texts.iter().filter_map(|(id, sql)| Some((project.nodes.get(id)?, sql))) {
        write_compiled(target, node, sql)?;
    }
    made.built = report.iter().flat_map(|report| ran(report)).map(|result| result.id.clone()).collect();
    manifest_into(session, project, &made)?;
    if let Some(report) = report {
        run_results(session, project, target, report)?;
    }
    Ok(())
}

/// The results of nodes that got as far as running something.
fn ran(report: &RunReport) -> impl Iterator<Item = &NodeResult> {
    report.results.iter().filter(|result| result.outcome != NodeOutcome::Skipped && result.execute.is_some())
}

fn run_results(session: &Session, project: &Project, target: &Path, report: &RunReport) -> Result<(), FileError> {
    for result in ran(report) {
        let Some(node) = project.nodes.get(&result.id) else { continue };
        for (batch, sql) in &result.batch_sql {
            write_batch(target, node, batch, sql)?;
        }
        if let Some(sql) = result.run_sql.as_ref().or(result.compiled_sql.as_ref()).filter(|_| result.batch_sql.is_empty()) {
            write_run(target, node, sql)?;
        }
    }
    if !session.write_json {
        return Ok(());
    }
    let header = header(session);
    let arguments = session.arguments();
    write_run_results(
        target,
        &RunResultsInput {
            header: &header,
            results: &report.results,
            elapsed_seconds: report.elapsed_seconds,
            quoting: project.quoting(),
            args: &arguments,
        },
    )?;
    session.events.send(&Event::ArtifactWritten { kind: "run_results", path: target.join("run_results.json").to_string_lossy().into_owned() });
    Ok(())
}

fn manifest_into(session: &Session, project: &Project, made: &Made) -> Result<(), FileError> {
    if !session.write_json {
        return Ok(());
    }
    let target = &project.parsed.target_path;
    with_input(session, project, made, |input| write_manifest(target, input))?;
    session.events.send(&Event::ArtifactWritten { kind: "manifest", path: target.join("manifest.json").to_string_lossy().into_owned() });
    Ok(())
}

/// What the manifest says of nodes, without writing it.
pub(super) fn entries(session: &Session, project: &Project, nodes: &[&Node]) -> Vec<Json> {
    with_input(session, project, &Made::default(), |input| node_entries(input, nodes))
}

fn with_input<R>(session: &Session, project: &Project, made: &Made, make: impl FnOnce(&ManifestInput<'_>) -> R) -> R {
    // What is read from elsewhere in this run still belongs where the project puts it.
    let deferred: BTreeMap<&NodeId, Node> = project
        .deferred
        .iter()
        .filter_map(|(id, own)| Some((id, Node { relation: Some(own.clone()), ..project.nodes.get(id)?.as_ref().clone() })))
        .collect();
    let target = &project.parsed.target_path;
    let header = header(session);
    let nodes: Vec<&Node> = project.nodes.values().map(|node| deferred.get(&node.id).unwrap_or(node)).collect();
    let disabled: Vec<&Node> = project.disabled.iter().collect();
    let own_folder = target.strip_prefix(&project.parsed.root.root_dir).unwrap_or(target);
    let target_path = own_folder.to_string_lossy().replace('\\', "/");
    let docs: Vec<_> = project.docs().collect();
    make(&ManifestInput {
        header: &header,
        project_name: &project.name,
        adapter_type: "alluvium",
        database: &project.target.database,
        schema: &project.target.schema,
        quoting: project.quoting(),
        target_path: &target_path,
        hooks: &hooks(project),
        nodes: &nodes,
        groups: &project.groups,
        disabled: &disabled,
        compiled: &made.compiled,
        built: &made.built,
        macros: &macros(project),
        docs: &docs,
        variables: &project.variables_read(),
        selectors: &selector_definitions(&project.parsed.selectors),
    })
}

fn macros(project: &Project) -> Vec<MacroEntry<'_>> {
    let prefixes: BTreeMap<&str, &str> = project.parsed.all_packages().map(|package| (package.name.as_str(), package.prefix.as_str())).collect();
    let adapter = &project.target.adapter;
    let from_definition = project.parsed.root.project.behaves(Behaviour::ValidateMacroArgs);
    let entry = |info: &MacroInfo| {
        let path = &project.sources.file(info.file).path;
        let own = prefixes.get(info.package.as_str()).and_then(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
        let called = project.library.called_by(info, adapter, &project.dispatch);
        MacroEntry {
            id: info.id.as_str().to_owned(),
            package: info.package.clone(),
            name: info.name.clone(),
            path: own.to_owned(),
            macro_sql: info.macro_sql.clone(),
            about: project.macros.get(&(info.package.clone(), info.name.clone())),
            arguments: if from_definition { info.arguments.clone() } else { Vec::new() },
            depends_on: called.iter().map(|id| id.as_str().to_owned()).collect(),
            languages: (info.kind == MacroKind::Materialization).then(|| info.languages.clone()),
        }
    };
    project.library.macros().map(entry).collect()
}

/// The hooks of the project and its packages.
fn hooks(project: &Project) -> Vec<HookEntry> {
    let mut hooks = Vec::new();
    for package in project.parsed.all_packages() {
        for (when, texts) in [("on-run-start", &package.project.on_run_start), ("on-run-end", &package.project.on_run_end)] {
            hooks.extend(texts.iter().enumerate().map(|(index, text)| HookEntry {
                package: package.name.clone(),
                when,
                index,
                text: text.value.clone(),
                path: project.sources.file(text.span.file).path.clone(),
            }));
        }
    }
    hooks
}

pub(super) fn header(session: &Session) -> ArtifactHeader {
    const PREFIX: &str = "DBT_ENV_CUSTOM_ENV_";
    let env = std::env::vars().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value))).collect();
    ArtifactHeader { invocation_id: session.id.clone(), invocation_started_at: session.started(), generated_at: session.events.now(), env }
}
