//! What the commands share: events and their sinks, loading and resolving, the engine, Ctrl-C.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::args::{Global, LogFormat as LogFormatArgument};
use super::console::{Console, ConsoleOptions};
use super::logfile::LogFile;
use super::record::{Level, LogFormat, LogIdentity};
use super::{Exit, Invocation, Streams};
use crate::base::{Clock, Code, Diagnostic, Event, EventSink, Events, Sources, files};
use crate::engine::local::{EngineOptions, LocalEngine};
use crate::engine::{Engine, FilesBinding};
use crate::graph::{Dag, Selection, select, unmatched};
use crate::jinja::Invocation as TemplateInvocation;
use crate::load::{LoadOptions, ParsedProject, ProjectFile, Target, load, load_project_file, load_target};
use crate::manifest::{Node, NodeId, NodeKind};
use crate::resolve::{Project, ResolveOptions, resolve};

/// A command that ends before its work is done, everything having been said.
pub(super) struct Stop(pub Exit);

/// One command's surroundings.
pub(super) struct Session {
    pub events: Events,
    pub sources: Arc<Sources>,
    pub project_dir: PathBuf,
    pub id: String,
    command: &'static str,
    started: chrono::DateTime<chrono::Utc>,
    options: LoadOptions,
    resolve: ResolveOptions,
}

/// A resolved project with its graph.
pub(super) struct Ready {
    pub project: Arc<Project>,
    pub dag: Dag,
}

impl Session {
    /// Opens the log and announces the command.
    pub(super) fn start(command: &'static str, global: &Global, invocation: &Invocation, streams: &Streams) -> Result<Self, Stop> {
        let id = uuid::Uuid::now_v7().to_string();
        let project_dir = project_dir(global, &invocation.current_dir);
        let events = events(global, &id, &project_dir, &invocation.clock, streams);
        let started = events.now();
        events.send(&Event::Started { version: env!("CARGO_PKG_VERSION"), command: command.to_owned() });
        let sources = Sources::new();
        let mut session = Self {
            sources: Arc::clone(&sources),
            options: LoadOptions {
                project_dir: project_dir.clone(),
                working_dir: invocation.current_dir.clone(),
                profiles_dir: global.profiles_dir.as_ref().map(|dir| invocation.current_dir.join(dir)),
                profile: global.profile.clone(),
                target: global.target.clone(),
                warehouse: global.warehouse.as_ref().map(|uri| absolute_uri(uri, &invocation.current_dir)),
                vars: Map::new(),
                threads: global.threads.map(usize::from),
                target_path: global.target_path.as_ref().map(|path| invocation.current_dir.join(path).to_string_lossy().into_owned()),
            },
            resolve: ResolveOptions {
                invocation: TemplateInvocation {
                    id: id.clone(),
                    run_started_at: started,
                    flags: upper(&arguments(command, global)),
                    arguments: arguments(command, global),
                },
                store_failures: global.store_failures,
            },
            events,
            project_dir,
            id,
            command,
            started,
        };
        session.options.vars = session.vars(global)?;
        Ok(session)
    }

    pub(super) fn started(&self) -> chrono::DateTime<chrono::Utc> {
        self.started
    }

    /// `--vars` as a map.
    fn vars(&self, global: &Global) -> Result<Map<String, Json>, Stop> {
        let Some(text) = &global.vars else { return Ok(Map::new()) };
        let file = self.sources.add("--vars", text.as_str());
        let found = crate::load::parse_yaml(&self.sources, file).map(|yaml| yaml.to_json());
        match found {
            Ok(Json::Object(map)) => Ok(map),
            Ok(Json::Null) => Ok(Map::new()),
            Ok(_) => {
                let span = crate::base::Span::new(file, 0, text.len());
                Err(self.report(&[Diagnostic::error(Code::YamlType, "--vars: expected a map")
                    .at(span, "given here")
                    .help("e.g. --vars '{min_amount: 10}'")]))
            }
            Err(diagnostic) => Err(self.report(&[diagnostic])),
        }
    }

    /// Loads, resolves and orders the project.
    pub(super) fn project(&self) -> Result<Ready, Stop> {
        let parsed = self.parsed()?;
        let project = resolve(Arc::new(parsed), &self.resolve).map_err(|found| self.report(&found))?;
        self.ready(project)
    }

    /// The same with one more analysis, made of a text of the command line.
    pub(super) fn project_with_inline(&self, sql: &str) -> Result<(Ready, crate::manifest::NodeId), Stop> {
        let parsed = self.parsed()?;
        let project = resolve(Arc::new(parsed), &self.resolve).map_err(|found| self.report(&found))?;
        let (project, id) = project.with_inline("inline_query", sql).map_err(|found| self.report(&found))?;
        Ok((self.ready(project)?, id))
    }

    fn parsed(&self) -> Result<ParsedProject, Stop> {
        load(&self.options, &self.sources).map_err(|found| self.report(&found))
    }

    fn ready(&self, project: Project) -> Result<Ready, Stop> {
        for warning in project.parsed.warnings.iter().chain(&project.warnings) {
            self.diagnosed(warning);
        }
        let dag = Dag::build(&project).map_err(|found| self.report(&found))?;
        Ok(Ready { project: Arc::new(project), dag })
    }

    /// The nodes that the command line selects; what selects nothing is said.
    pub(super) fn selected(&self, ready: &Ready, global: &Global) -> Result<BTreeSet<NodeId>, Stop> {
        let wanted = selection(global);
        let found = select(&ready.project, &ready.dag, &wanted).map_err(|diagnostic| self.report(&[diagnostic]))?;
        for warning in unmatched(&ready.project, &ready.dag, &wanted).map_err(|diagnostic| self.report(&[diagnostic]))? {
            self.diagnosed(&warning);
        }
        Ok(found)
    }

    /// The project file and the target, for commands that need no project that parses.
    pub(super) fn project_file(&self) -> Result<(ProjectFile, Target), Stop> {
        load_project_file(&self.options, &self.sources).map_err(|found| self.report(&found))
    }

    /// The target alone, for commands that need no project that parses.
    pub(super) fn target(&self) -> Result<Target, Stop> {
        load_target(&self.options, &self.sources).map_err(|found| self.report(&found))
    }

    /// The engine of a target.
    pub(super) fn engine(&self, target: &Target) -> Result<Arc<dyn Engine>, Stop> {
        let options = EngineOptions {
            warehouse: target.warehouse.clone(),
            databases: target.databases.iter().map(|(name, uri)| (name.clone(), uri.clone())).collect(),
            database: target.database.clone(),
            schema: target.schema.clone(),
            storage_options: target.storage_options.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
            project_dir: self.project_dir.clone(),
            threads: target.threads,
            memory_limit: target.memory_limit,
            sources: Arc::clone(&self.sources),
        };
        match LocalEngine::open(options) {
            Ok(engine) => Ok(Arc::new(engine)),
            Err(error) => Err(self.report(&[error.diagnostic(&target.warehouse, None)])),
        }
    }

    /// The engine of a project, which knows the files behind its sources and its external models.
    pub(super) fn project_engine(&self, project: &Project) -> Result<Arc<dyn Engine>, Stop> {
        let engine = self.engine(&project.target)?;
        for binding in project.nodes.values().filter_map(files_binding) {
            engine.bind(binding);
        }
        Ok(engine)
    }

    /// Shows what is wrong with the project; the command ends with 2.
    pub(super) fn report(&self, found: &[Diagnostic]) -> Stop {
        let mut sorted: Vec<&Diagnostic> = found.iter().collect();
        sorted.sort_by_key(|diagnostic| diagnostic.primary_span().map(|span| (self.sources.file(span.file).path.clone(), span.start)));
        for diagnostic in sorted {
            self.diagnosed(diagnostic);
        }
        let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let message = if errors == 1 { "1 error in the project".to_owned() } else { format!("{errors} errors in the project") };
        self.events.send(&Event::Failed { message });
        self.complete(Exit::Unusable);
        Stop(Exit::Unusable)
    }

    /// The surroundings failed; the command ends with 2.
    pub(super) fn fail(&self, message: &str) -> Stop {
        self.events.send(&Event::Failed { message: message.to_owned() });
        self.complete(Exit::Unusable);
        Stop(Exit::Unusable)
    }

    pub(super) fn diagnosed(&self, diagnostic: &Diagnostic) {
        self.events.send(&Event::Diagnosed { diagnostic: Box::new(diagnostic.clone()), sources: Arc::clone(&self.sources), node: None });
    }

    /// The last word of a command.
    pub(super) fn complete(&self, exit: Exit) -> Exit {
        let elapsed_seconds = (self.events.now() - self.started).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
        self.events.send(&Event::CommandCompleted { command: self.command.to_owned(), success: exit == Exit::Fine, elapsed_seconds });
        exit
    }

    /// The options as the artifacts record them.
    pub(super) fn arguments(&self) -> Map<String, Json> {
        self.resolve.invocation.arguments.as_object().cloned().unwrap_or_default()
    }
}

/// The files that stand for a node's relation, where it is no table of the warehouse.
fn files_binding(node: &Node) -> Option<FilesBinding> {
    let name = node.relation.clone()?;
    let columns = node.columns.values().map(|column| (column.name.clone(), column.data_type.clone())).collect();
    match &node.kind {
        NodeKind::Source { external: Some(external), .. } => Some(FilesBinding {
            name,
            config: external.config.clone(),
            columns,
            span: Some(external.span),
            option_spans: external.option_spans.clone(),
        }),
        NodeKind::Model => {
            let config = node.config.external.clone()?;
            let option_spans = node.config.option_places();
            let span = node.config.place("location").unwrap_or(node.span);
            Some(FilesBinding { name, config, columns: Vec::new(), span: Some(span), option_spans })
        }
        NodeKind::Source { external: None, .. }
        | NodeKind::Analysis
        | NodeKind::Exposure
        | NodeKind::Seed { .. }
        | NodeKind::Snapshot
        | NodeKind::Test(_) => None,
    }
}

/// `--project-dir`, else the nearest folder from here upwards that has a project file, else this folder.
fn project_dir(global: &Global, current: &Path) -> PathBuf {
    if let Some(dir) = &global.project_dir {
        return files::absolute(&current.join(dir));
    }
    let holds = |dir: &Path| ["project.yml", "dbt_project.yml"].iter().any(|name| files::is_file(&dir.join(name)));
    current.ancestors().find(|dir| holds(dir)).unwrap_or(current).to_owned()
}

/// A warehouse given on the command line: a URI as it is, a folder relative to where the user stands.
fn absolute_uri(text: &str, current: &Path) -> String {
    if text.contains("://") { text.to_owned() } else { current.join(text).to_string_lossy().into_owned() }
}

fn events(global: &Global, id: &str, project_dir: &Path, clock: &Arc<dyn Clock>, streams: &Streams) -> Events {
    let identity = LogIdentity { id: id.to_owned(), process: std::process::id() };
    let least = match (global.quiet, global.debug) {
        (true, _) => Level::Error,
        (false, true) => Level::Debug,
        (false, false) => Level::Info,
    };
    let no_colours = global.no_use_colors || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let options = ConsoleOptions::on(streams.terminal, log_format(global.log_format), least, no_colours.then_some(false), identity.clone());
    let mut sinks: Vec<Box<dyn EventSink>> = vec![Box::new(Console::new(options, Arc::clone(&streams.out)))];
    let folder = global.log_path.as_ref().map_or_else(|| project_dir.join("logs"), |path| project_dir.join(path));
    let format = match global.log_format_file {
        LogFormatArgument::Default => LogFormat::Debug,
        named => log_format(named),
    };
    // Text is for reading: what a console shows. The other forms are for finding out, and keep everything.
    let kept = if format == LogFormat::Text { Level::Info } else { Level::Debug };
    match LogFile::open(&folder, format, kept, identity) {
        Ok(file) => sinks.push(Box::new(file)),
        Err(error) => streams.complain(&format!("warning: no log file: {error}\n")),
    }
    Events::new(Arc::clone(clock), sinks)
}

fn log_format(argument: LogFormatArgument) -> LogFormat {
    match argument {
        LogFormatArgument::Default | LogFormatArgument::Text => LogFormat::Text,
        LogFormatArgument::Debug => LogFormat::Debug,
        LogFormatArgument::Json => LogFormat::Json,
    }
}

/// `flags` of templates: the names in capitals, as dbt's are.
fn upper(arguments: &Json) -> Json {
    let pairs = arguments.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.to_uppercase(), value.clone())).collect()
}

/// The arguments of the command, as templates see them in `invocation_args_dict`.
fn arguments(command: &str, global: &Global) -> Json {
    serde_json::json!({
        "which": command,
        "select": global.select,
        "exclude": global.exclude,
        "target": global.target,
        "full_refresh": global.full_refresh,
        "fail_fast": global.fail_fast,
        "store_failures": global.store_failures,
        "quiet": global.quiet,
        "threads": global.threads,
    })
}

fn selection(global: &Global) -> Selection {
    Selection { select: global.select.clone(), exclude: global.exclude.clone() }
}

/// A token that Ctrl-C, or a polite request to end, cancels. A second one ends the program at once.
pub(super) fn cancel_on_interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    Handle::current().spawn(async move {
        interrupted().await;
        cancelled.cancel();
        interrupted().await;
        std::process::exit(i32::from(Exit::Unusable.code()));
    });
    token
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    drop(tokio::signal::ctrl_c().await);
}
