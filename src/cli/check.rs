//! `check`: proves the project without a warehouse and prints a report.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;

use super::args::{CheckOptions, FailOn, Global, ReportFormat, Switch};
use super::flags::settle;
use super::revision::checkout;
use super::selecting::selected as select_nodes;
use super::session::{Ready, Session, Stop, command, project_dir};
use super::watch::watch;
use super::{Exit, Invocation, Streams};
use crate::base::{Code, Diagnostic, Event, Memo, Span, drop_aside, files};
use crate::check::{
    Change, CheckFormat, Checked, Finding, LINEAGE_FILE, LOCK_FILE, Offline, ProjectState, Report, SourcesLock, changes, check as prove,
    declared_schema, findings_of_changes, is_below, locked_schemas, render_findings, report, write_state,
};
use crate::compile::{seed_contract_difference, unknown_column_types};
use crate::engine::{Engine, EngineError};
use crate::graph::Selectors;
use crate::load::{Yaml, log_folder, target_folder};
use crate::manifest::{Node, NodeId, NodeKind};
use crate::sql::{FileCall, Semantics};

pub(super) async fn check(options: &CheckOptions, global: &Global, invocation: &Invocation, streams: &Streams) -> Exit {
    let mut quiet = global.clone();
    quiet.switches.set(Switch::Quiet, true);
    command("check", &quiet, invocation, streams, async |session| carry_out(options, global, session, streams).await).await
}

/// Checks again whenever files are saved. `given` is what the command line says: the flags of the project file may change.
pub(super) async fn keep_checking(options: &CheckOptions, given: &Global, invocation: &Invocation, streams: &Streams) -> Exit {
    let folder = project_dir(given, &invocation.current_dir);
    let round = async || {
        let mut global = given.clone();
        match settle(&mut global, false, &invocation.current_dir) {
            Ok(()) => check(options, &global, invocation, streams).await,
            Err(message) => {
                streams.complain(&format!("error: {message}\n"));
                Exit::Unusable
            }
        }
    };
    let written = || {
        let target = given.target_path.as_ref().map_or_else(|| target_folder(&folder), |path| path.to_string_lossy().into_owned());
        let logs = given.log_path.clone().or_else(|| log_folder(&folder)).unwrap_or_else(|| "logs".into());
        vec![folder.join(target), folder.join(logs)]
    };
    watch(&folder, written, streams, round).await
}

async fn carry_out(options: &CheckOptions, global: &Global, session: &Session, streams: &Streams) -> Result<Exit, Stop> {
    let format = format(options.format, global, session, streams);
    let ready = match session.try_sound_project() {
        Ok(ready) => ready,
        Err(found) => {
            let findings = found.into_iter().map(of_project).collect();
            let report = report(findings, BTreeMap::new(), None, &session.sources, &[]);
            streams.print(&render_findings(&report, &session.sources, &format));
            return Ok(Exit::Failed);
        }
    };
    let wrong = Selectors::wrong(&ready.project.parsed.selectors);
    let is_default = |selector: &Yaml| selector.get("default").and_then(Yaml::as_bool) == Some(true);
    let selects = global.selector.is_some() || ready.project.parsed.selectors.items().unwrap_or_default().iter().any(is_default);
    let unreadable = Selectors::read(&ready.project.parsed.selectors).is_err();
    if (selects || unreadable) && !wrong.is_empty() {
        let report = report(wrong.into_iter().map(of_project).collect(), BTreeMap::new(), None, &session.sources, &[]);
        streams.print(&render_findings(&report, &session.sources, &format));
        return Ok(Exit::Failed);
    }
    let selected = select_nodes(global, session, &ready)?;
    let _ = ready.project.selected.set(selected.iter().map(ToString::to_string).collect());
    let project = &ready.project;
    let memo = session.check_memo(&ready);
    // With nodes left out for their errors there is no state to compare or to keep.
    let is_whole = !project.warnings.iter().any(Diagnostic::is_error);
    let before = match options.against.as_ref().filter(|_| is_whole) {
        Some(against) => Some(earlier(session, &ready, against, &memo).await?),
        None => None,
    };
    let mut findings: Vec<Finding> = project.parsed.warnings.iter().chain(&project.warnings).cloned().chain(wrong).map(of_project).collect();
    let offline = offline(session, &ready, &selected, &mut findings).await?;
    // What is compared and drawn is the whole project; what is reported is selected.
    let all: BTreeSet<NodeId> = project.nodes.keys().cloned().collect();
    let walked = if before.is_some() || global.select.is_empty() && global.exclude.is_empty() { &all } else { &selected };
    let mut checked = prove(project, &ready.dag, walked, &offline, &memo).await;
    checked.keep(&selected);
    findings.append(&mut checked.findings);
    let mut list = None;
    let draws = is_whole && walked.len() == all.len();
    if draws && let Some(before) = before {
        let state = ProjectState::of_texts(&checked.states).map_err(|reason| session.fail(&reason))?;
        let mut found = changes(&before, &state);
        found.retain(|change| selected.contains(&NodeId::new(change.node.as_str())) || !state.nodes.contains_key(&change.node));
        findings.extend(findings_of_changes(&found, project));
        list = Some(found);
    }
    let severities = &project.parsed.root.project.severity;
    let Checked { compiled, states, proofs, proved_tests, .. } = checked;
    // The file is as large as all models together: it is written while the rest is made.
    let (mut report, written) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| if draws { write_lineage(session, &ready, &states) } else { Ok(()) });
        let report = report(findings, proofs, Some(project), &session.sources, severities);
        memo.save();
        (report, writing.join())
    });
    written.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    report.weigh_warnings(|code| session.severity_of_warning(code));
    report.changes = list;
    report.proved_tests = proved_tests;
    streams.print(&render_findings(&report, &session.sources, &format));
    // All who hold the project, so that the last of them is among these.
    drop_aside((offline, compiled, ready));
    Ok(if report.summary.errors > 0 || fails(options.fail_on, &report) { Exit::Failed } else { Exit::Fine })
}

fn fails(level: Option<FailOn>, report: &Report) -> bool {
    let changed = |wanted: fn(&Change) -> bool| report.changes.iter().flatten().any(wanted);
    match level {
        None => false,
        Some(FailOn::Breaking) => changed(|change| change.breaking),
        Some(FailOn::Contract) => changed(|change| change.contract),
        Some(FailOn::Warning) => report.summary.warnings > 0,
    }
}

/// The tests of a selection that can't fail, with the proof, by id.
pub(super) async fn proved_among(session: &Session, ready: &Ready, selected: &BTreeSet<NodeId>) -> Result<BTreeMap<String, String>, Stop> {
    let offline = offline(session, ready, selected, &mut Vec::new()).await?;
    let memo = session.check_memo(ready);
    let checked = prove(&ready.project, &ready.dag, selected, &offline, &memo).await;
    memo.save();
    Ok(checked.proved_tests)
}

/// Writes `lineage.json`, of the texts of its entries.
pub(super) fn write_lineage(session: &Session, ready: &Ready, states: &BTreeMap<NodeId, Cow<'_, str>>) -> Result<(), Stop> {
    if !session.write_json {
        return Ok(());
    }
    let path = ready.project.parsed.target_path.join(LINEAGE_FILE);
    files::write_with(&path, |mut file| write_state(states, &mut file)).map_err(|error| session.fail(&error.to_string()))?;
    session.events.send(&Event::ArtifactWritten { kind: "lineage", path: path.to_string_lossy().into_owned() });
    Ok(())
}

/// The state to compare with: a folder that has a state's file, or a revision that is loaded and proved like this one.
async fn earlier(session: &Session, ready: &Ready, against: &str, memo: &Memo) -> Result<ProjectState, Stop> {
    let given = session.working_dir().join(against);
    if files::is_dir(&given) {
        let path = given.join(LINEAGE_FILE);
        let text = files::read_text(&path).map_err(|error| session.fail(&format!("{error}; `alluvium check` writes it into the target folder")))?;
        return ProjectState::parse(&text).map_err(|reason| session.fail(&format!("`{}` can't be read: {reason}", path.display())));
    }
    let found = checkout(&session.project_dir, against, &ready.project.parsed.target_path).map_err(|message| session.fail(&message))?;
    let packages = ready.project.parsed.root.project.packages_install_path.as_str();
    let (here, there) = (session.project_dir.join(packages), found.project.join(packages));
    if files::is_dir(&here) && !files::is_dir(&there) {
        // Packages are seldom committed: both states are read with those that are installed.
        files::link_dir(&here, &there).map_err(|error| session.fail(&error.to_string()))?;
    }
    let old = session.try_project_in(&found.project).map_err(|diagnostics| {
        let first = diagnostics.iter().find(|diagnostic| diagnostic.is_error()).map_or_else(String::new, |diagnostic| diagnostic.message.clone());
        session.fail(&format!("the project can't be loaded at `{against}`: {first}"))
    })?;
    let all: BTreeSet<NodeId> = old.project.nodes.keys().cloned().collect();
    let known = offline_in(session, &old, &all, &mut Vec::new(), &found.project).await?;
    let checked = prove(&old.project, &old.dag, &all, &known, memo).await;
    ProjectState::of_texts(&checked.states).map_err(|reason| session.fail(&reason))
}

fn of_project(diagnostic: Diagnostic) -> Finding {
    Finding { node: None, diagnostic }
}

fn format(format: ReportFormat, global: &Global, session: &Session, streams: &Streams) -> CheckFormat {
    match format {
        ReportFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            CheckFormat::Text { colour: global.switches.given(Switch::UseColors).unwrap_or(streams.terminal && !plain) }
        }
        ReportFormat::Short => CheckFormat::Short,
        ReportFormat::Json => CheckFormat::Json,
        ReportFormat::Sarif => CheckFormat::Sarif,
        ReportFormat::Junit => CheckFormat::Junit,
        ReportFormat::Github => CheckFormat::Github { folder: folder_in_workspace(&session.project_dir) },
        ReportFormat::Markdown => CheckFormat::Markdown,
    }
}

/// In a workflow of GitHub, where the project lies in the repository that was checked out: annotations name files from there.
fn folder_in_workspace(project_dir: &Path) -> String {
    let Some(workspace) = std::env::var_os("GITHUB_WORKSPACE").filter(|folder| !folder.is_empty()) else { return String::new() };
    let (Ok(workspace), Ok(project)) = (Path::new(&workspace).canonicalize(), project_dir.canonicalize()) else { return String::new() };
    let parts = project.strip_prefix(&workspace).into_iter().flatten();
    parts.map(|part| format!("{}/", part.to_string_lossy())).collect()
}

/// The schemas that are known without a warehouse: locked, those of files that belong to the project, and declared.
pub(super) async fn offline(
    session: &Session,
    ready: &Ready,
    selected: &BTreeSet<NodeId>,
    findings: &mut Vec<Finding>,
) -> Result<Arc<Offline>, Stop> {
    offline_in(session, ready, selected, findings, &session.project_dir).await
}

async fn offline_in(
    session: &Session,
    ready: &Ready,
    selected: &BTreeSet<NodeId>,
    findings: &mut Vec<Finding>,
    folder: &Path,
) -> Result<Arc<Offline>, Stop> {
    let project = &ready.project;
    let lock = read_lock(session, folder, findings);
    let locked = locked_schemas(&lock.sources);
    let mut target = project.target.clone();
    // Nothing is read there: it stands for a warehouse that a check has no need of.
    target.warehouse = project.parsed.target_path.join("check").to_string_lossy().into_owned();
    target.databases.clear();
    let semantics = project.target.semantics();
    let engine = session.engine_at(project, &target, folder, move |node| in_project(node, semantics))?;
    let mut inputs: BTreeMap<NodeId, SchemaRef> = BTreeMap::new();
    let mut described: BTreeSet<NodeId> = BTreeSet::new();
    let mut unreadable: BTreeMap<NodeId, Diagnostic> = BTreeMap::new();
    for node in project.nodes.values() {
        let schema = match &node.kind {
            NodeKind::Source { .. } => {
                let of_files =
                    if in_project(node, semantics) && !locked.contains_key(&node.id) { files_schema(engine.as_ref(), node).await } else { Ok(None) };
                let of_files = of_files.unwrap_or_else(|why| {
                    unreadable.insert(node.id.clone(), why);
                    None
                });
                let found = locked.get(&node.id).cloned().or(of_files);
                let declared = if found.is_none() { declared_schema(node, project.target.semantics()) } else { None };
                described.extend(declared.is_some().then(|| node.id.clone()));
                found.or(declared)
            }
            NodeKind::Seed { .. } => match seed_schema(engine.as_ref(), node).await {
                Ok(schema) => {
                    if selected.contains(&node.id) {
                        let found = unknown_column_types(node, schema.as_ref()).into_iter().chain(seed_contract_difference(node, schema.as_ref()));
                        findings.extend(found.map(|diagnostic| Finding { node: Some(node.id.clone()), diagnostic }));
                    }
                    schema
                }
                Err(diagnostic) => {
                    if selected.contains(&node.id) {
                        findings.push(Finding { node: Some(node.id.clone()), diagnostic });
                    }
                    None
                }
            },
            NodeKind::Model
            | NodeKind::Analysis
            | NodeKind::Described(_)
            | NodeKind::Function(_)
            | NodeKind::Snapshot
            | NodeKind::Test(_)
            | NodeKind::UnitTest(_) => None,
        };
        inputs.extend(schema.map(|schema| (node.id.clone(), schema)));
    }
    let offline = Offline::new(project, inputs, locked_schemas(&lock.tables), session.events.clone());
    Ok(Arc::new(offline.with_unreadable(unreadable).with_described(described).with_engine(engine)))
}

/// `sources.lock`, or an empty one where it is missing or can't be read; the latter is an error of the project.
pub(super) fn read_lock(session: &Session, folder: &Path, findings: &mut Vec<Finding>) -> SourcesLock {
    let path = folder.join(LOCK_FILE);
    if !files::is_file(&path) {
        return SourcesLock::default();
    }
    let text = match files::read_text(&path) {
        Ok(text) => text,
        Err(error) => {
            findings.push(of_project(Diagnostic::error(Code::InputFile, error.to_string()).help("run `alluvium sources lock` again")));
            return SourcesLock::default();
        }
    };
    SourcesLock::parse(&text).unwrap_or_else(|error| {
        let file = session.sources.add(LOCK_FILE, text);
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let at = session.sources.file(file).offset(number(error.line), number(error.column).max(1)) as usize;
        let diagnostic = Diagnostic::error(Code::InputFile, format!("`{LOCK_FILE}` can't be read: {}", error.message));
        findings.push(of_project(diagnostic.at(Span::new(file, at, at), "here").help("run `alluvium sources lock` again")));
        SourcesLock::default()
    })
}

/// Whether a source's files are part of the project, as seeds are.
fn in_project(node: &Node, semantics: Semantics) -> bool {
    let NodeKind::Source { external: Some(external), .. } = &node.kind else { return false };
    match external.call.as_deref().map(|call| FileCall::parse(call, semantics)) {
        Some(call) => call.is_ok_and(|call| call.paths.iter().all(|path| is_below(path))),
        None => is_below(&external.config.location),
    }
}

/// The columns of a source's files; none where they are not there, as data need not be where a check runs.
async fn files_schema(engine: &dyn Engine, node: &Node) -> Result<Option<SchemaRef>, Diagnostic> {
    let Some(relation) = &node.relation else { return Ok(None) };
    match engine.relation(relation).await {
        Ok(state) => Ok(state.map(|state| state.schema)),
        Err(EngineError::Diagnosed(diagnostic)) if diagnostic.code == Code::InputMissing => Ok(None),
        Err(EngineError::Diagnosed(diagnostic)) => Err(*diagnostic),
        Err(error) => Err(Diagnostic::error(Code::InputFile, error.to_string()).at(node.span, "this source")),
    }
}

async fn seed_schema(engine: &dyn Engine, node: &Node) -> Result<Option<SchemaRef>, Diagnostic> {
    let Some(input) = crate::plan::seed_input(node) else { return Ok(None) };
    match engine.seed_schema(&input).await {
        Ok(schema) => Ok(Some(schema)),
        Err(EngineError::Diagnosed(diagnostic)) => Err(*diagnostic),
        Err(error) => Err(Diagnostic::error(Code::InputFile, error.to_string()).at(node.span, "this seed")),
    }
}
