//! `seed`, `run`, `test` and `build`: select, compile, run, write the artifacts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use super::args::{Global, RowsOutput, Switch};
use super::check::proved_among;
use super::inspect::{Subject, show_rows};
use super::selecting::selected;
use super::session::{Ready, Session, Stop, cancel_on_interrupt, command};
use super::warnings::Verdict;
use super::{Exit, Invocation, Streams, artifacts, state};
use crate::base::{Code, Diagnostic, Event, Heard, NodeOutcome, Spanned};
use crate::compile::{CompiledProject, Surroundings, compile, query_comment};
use crate::engine::Engine;
use crate::exec::{BatchOptions, EnginePort, RunHooks, RunOptions, RunReport, audits, run, run_order};
use crate::load::ProjectDialect;
use crate::manifest::{BatchResults, Node, NodeId, ResourceType, compiled_path};

/// How many rows of a seed `--show` shows.
const SHOWN_ROWS: usize = 10;

/// Which nodes a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Seed {
        /// Shows the first rows of what was loaded.
        show: bool,
    },
    Snapshot,
    Run,
    Test {
        /// Leaves out tests that can't fail.
        skip_proved: bool,
    },
    Build {
        /// As for seeds.
        show: bool,
    },
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seed { .. } => "seed",
            Self::Snapshot => "snapshot",
            Self::Run => "run",
            Self::Test { .. } => "test",
            Self::Build { .. } => "build",
        }
    }

    fn takes(self, node: &Node) -> bool {
        match self {
            Self::Seed { .. } => node.resource_type() == ResourceType::Seed,
            Self::Snapshot => node.resource_type() == ResourceType::Snapshot,
            Self::Run => node.resource_type() == ResourceType::Model,
            Self::Test { .. } => matches!(node.resource_type(), ResourceType::Test | ResourceType::UnitTest),
            Self::Build { .. } => node.resource_type().is_built(),
        }
    }
}

/// What of a run is tried again.
#[derive(Debug)]
pub(super) struct Again {
    pub unfinished: BTreeSet<NodeId>,
    /// What became of the batches of models of which some failed.
    pub batches: BTreeMap<NodeId, BatchResults>,
    /// When the first try began, so that batches are those of then.
    pub began: Option<DateTime<Utc>>,
}

pub(super) async fn build(kind: Kind, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command(kind.name(), global, &invocation, streams, async |session| carry_out(kind, global, session, None, streams).await).await
}

/// Runs what the command line selects, of that only what is tried again where that is given.
pub(super) async fn carry_out(kind: Kind, global: &Global, session: &Session, again: Option<&Again>, streams: &Streams) -> Result<Exit, Stop> {
    let mut ready = session.project()?;
    session.events.send(&Event::Found { counts: counts(&ready) });
    let mut named = selected(global, session, &ready)?;
    if let Some(again) = again {
        named.retain(|id| again.unfinished.contains(id));
    }
    let takes = |id: &&NodeId| ready.project.nodes.get(*id).is_some_and(|node| kind.takes(node) && !node.is_blank());
    let mut selected: BTreeSet<NodeId> = named.iter().filter(takes).cloned().collect();
    for node in named.iter().filter_map(|id| ready.project.nodes.get(id)).filter(|node| kind.takes(node) && node.is_blank()) {
        let text = format!("Nothing is in the file of `{}`, so it is not run", node.name);
        session.events.send(&Event::Message { text, heard: Heard::Terminal, node: Some(node.id.to_string()) });
    }
    if (kind == Kind::Test { skip_proved: true }) {
        let proved = proved_among(session, &ready, &selected).await?;
        let text = format!("{} of {} tests are proved and left out", proved.len(), selected.len());
        session.events.send(&Event::Message { text, heard: Heard::Terminal, node: None });
        selected.retain(|id| !proved.contains_key(id.as_str()));
    }
    // Set once, here; a command selects once.
    let _ = ready.project.selected.set(selected.iter().map(ToString::to_string).collect());
    if selected.is_empty() {
        session.nothing_to_do()?;
    }
    let audits = match kind {
        Kind::Run | Kind::Snapshot | Kind::Build { .. } => audits(&ready.project, &ready.dag, &selected, &named),
        Kind::Seed { .. } | Kind::Test { .. } => BTreeMap::new(),
    };
    let engine = session.project_engine(&ready.project)?;
    let compiled_too: BTreeSet<NodeId> = selected.iter().chain(audits.values().flatten()).cloned().collect();
    state::defer(global, session, &mut ready, &compiled_too, engine.as_ref()).await?;
    let surroundings: Arc<dyn Surroundings> =
        Arc::new(EnginePort { engine: Arc::clone(&engine), events: session.events.clone(), runtime: Handle::current(), queries: false });
    query_comment(&ready.project, &NodeId::new("master"), &surroundings).await.map_err(|found| session.report(&found))?;
    let compiled = Arc::new(compile(&ready.project, &ready.dag, &compiled_too, &surroundings).await);
    refuse_broken_rules(session, &compiled)?;
    artifacts::write(session, &compiled, None)?;
    if selected.is_empty() {
        artifacts::results(session, &compiled.project, Vec::new())?;
        return Ok(Exit::Fine);
    }
    let report = execute(kind, global, session, &ready, &compiled, Arc::clone(&engine), &selected, &audits, again).await;
    artifacts::write(session, &compiled, Some(&report))?;
    if matches!(kind, Kind::Seed { show: true } | Kind::Build { show: true }) {
        show_loaded(session, &ready, &report, engine.as_ref(), streams).await?;
    }
    Ok(if report.interrupted {
        Exit::Unusable
    } else if report.totals.error > 0 || !report.broken.is_empty() {
        Exit::Failed
    } else {
        Exit::Fine
    })
}

/// Shows the first rows of the seeds that were loaded.
async fn show_loaded(session: &Session, ready: &Ready, report: &RunReport, engine: &dyn Engine, streams: &Streams) -> Result<(), Stop> {
    let loaded = report.results.iter().filter(|result| result.outcome == NodeOutcome::Success);
    let nodes = loaded.filter_map(|result| ready.project.nodes.get(&result.id));
    for node in nodes.filter(|node| node.resource_type() == ResourceType::Seed) {
        let Some(relation) = &node.relation else { continue };
        let (rows, what) = ((Some(SHOWN_ROWS), RowsOutput::Table), format!("seed '{}'", node.name));
        let subject = Subject { what: &what, name: Some(node.name.as_str()).filter(|_| session.structured), id: node.id.as_str() };
        show_rows(rows, &format!("select * from {relation}"), engine, session, subject, streams)
            .await
            .map_err(|error| session.report(&[error.diagnostic(&ready.project.target.warehouse, Some((node.span, "this seed")))]))?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the pieces of one command, named once")]
async fn execute(
    kind: Kind,
    global: &Global,
    session: &Session,
    ready: &Ready,
    compiled: &Arc<CompiledProject>,
    engine: Arc<dyn Engine>,
    selected: &BTreeSet<NodeId>,
    audits: &BTreeMap<NodeId, Vec<NodeId>>,
    again: Option<&Again>,
) -> RunReport {
    let order = run_order(&ready.project, &ready.dag, selected, matches!(kind, Kind::Build { .. }), audits);
    let target = &ready.project.target;
    let folder = ready.project.parsed.target_path.clone();
    let shown = folder.strip_prefix(&session.project_dir).map(std::path::Path::to_path_buf).unwrap_or(folder);
    let options = RunOptions {
        threads: target.threads,
        fail_fast: global.is_on(Switch::FailFast),
        warnings_fail: session.verdict("LogTestResult") == Verdict::Error,
        run_id: session.id.clone(),
        target: target.name.clone(),
        hooks: run_hooks(ready),
        batches: BatchOptions {
            until: again.and_then(|again| again.began).unwrap_or(ready.project.invocation.run_started_at),
            before: again.map(|again| again.batches.clone()).unwrap_or_default(),
        },
        compiled_path: Arc::new(move |node| shown.join(compiled_path(node)).to_string_lossy().replace('\\', "/")),
    };
    run(Arc::clone(compiled), order, engine, session.events.clone(), options, cancel_on_interrupt()).await
}

/// What is wrong with the project itself may show only when a node is compiled: names of columns, or what a template asks
/// for only while running. Like everything of that kind it stops a command before it changes anything.
pub(super) fn refuse_broken_rules(session: &Session, compiled: &CompiledProject) -> Result<(), Stop> {
    let of_dbt = compiled.project.parsed.root.project.dialect == ProjectDialect::Dbt;
    let of_project = |diagnostic: &&Diagnostic| match diagnostic.code {
        Code::NamingColumn => true,
        code => {
            !of_dbt
                && matches!(
                    code,
                    Code::UndefinedVar
                        | Code::UndefinedEnvVar
                        | Code::UndefinedMacro
                        | Code::UnresolvedRef
                        | Code::UnresolvedSource
                        | Code::AmbiguousRef
                        | Code::JinjaSyntax
                )
        }
    };
    let broken: Vec<Diagnostic> = compiled.failures().flat_map(|(_, found)| found).filter(of_project).cloned().collect();
    if broken.is_empty() { Ok(()) } else { Err(session.report(&broken)) }
}

/// Hooks of the packages in the order of their names, then those of the project.
pub(super) fn run_hooks(ready: &Ready) -> RunHooks {
    let parsed = &ready.project.parsed;
    let mut hooks = RunHooks::default();
    for package in parsed.packages.iter().chain([&parsed.root]) {
        let named = |texts: &[Spanned<String>]| texts.iter().map(|text| (package.name.clone(), text.clone())).collect::<Vec<_>>();
        hooks.start.extend(named(&package.project.on_run_start));
        hooks.end.extend(named(&package.project.on_run_end));
    }
    hooks
}

pub(super) fn counts(ready: &Ready) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in ready.project.nodes.values() {
        *counts.entry(node.resource_type().name().to_owned()).or_default() += 1;
    }
    counts.into_iter().collect()
}
