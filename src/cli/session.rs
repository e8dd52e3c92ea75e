//! What the commands share: events and their sinks, loading and resolving, the engine, Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use clap::ValueEnum;
use serde_json::{Map, Value as Json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::args::{Global, LogFormat as LogFormatArgument, LogLevel, Switch};
use super::console::{Console, ConsoleOptions};
use super::logfile::LogFile;
use super::narrate::NOTHING_TO_DO;
use super::record::{Level, LogFormat, LogIdentity};
use super::warnings::{Verdict, Warnings};
use super::{Exit, Invocation, Streams};
use crate::base::{Clock, Code, Diagnostic, Event, EventSink, Events, Memo, MemoUse, Severity, Sources, files};
use crate::deps::refused_version;
use crate::engine::local::{EngineOptions, LocalEngine};
use crate::engine::{Engine, EngineError, FilesBinding};
use crate::graph::Dag;
use crate::jinja::{Invocation as TemplateInvocation, Warned};
use crate::load::{LoadOptions, ParsedProject, ProjectFile, Target, load, load_project_file, load_sound, load_target, project_file, target_folder};
use crate::manifest::{ExternalSource, Node, NodeKind, TimeWindow};
use crate::resolve::{Project, ResolveOptions, resolve, resolve_sound};
use crate::sql::{FileCall, Semantics};

/// The file below the target folder with what checks keep.
const CHECK_MEMO: &str = "check.memo";

/// A command that ends before its work is done, everything having been said.
pub(super) struct Stop(pub Exit);

/// Runs a command in a session of its own, from its first line to its last.
pub(super) async fn command(
    name: &'static str,
    global: &Global,
    invocation: &Invocation,
    streams: &Streams,
    carry_out: impl AsyncFnOnce(&Session) -> Result<Exit, Stop>,
) -> Exit {
    let session = match Session::start(name, global, invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    let done = carry_out(&session).await;
    session.end(done).await
}

/// One command's surroundings.
pub(super) struct Session {
    pub events: Events,
    pub sources: Arc<Sources>,
    pub project_dir: PathBuf,
    pub id: String,
    command: &'static str,
    started: chrono::DateTime<chrono::Utc>,
    /// Whether the lines on the screen are structured, so that nothing else may stand among them.
    pub structured: bool,
    /// Whether JSON artifacts are written.
    pub write_json: bool,
    warnings: Warnings,
    /// Whether `require-dbt-version` is held to.
    version_check: bool,
    /// Where notes go that a command without a log on its screen has all the same, as `ls` and `check`.
    hushed: Option<Streams>,
    options: LoadOptions,
    resolve: ResolveOptions,
    /// What earlier checks kept, being read, and the file it is read from.
    reading: Mutex<Option<(PathBuf, JoinHandle<Memo>)>>,
    /// Those that were opened: whatever the command was, what is temporary goes with it.
    engines: Mutex<Vec<Arc<dyn Engine>>>,
}

/// How many errors are named once more at the end.
const LISTED: usize = 20;

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
        let warnings = Warnings::read(global).map_err(|message| {
            streams.complain(&format!("error: {message}\n"));
            Stop(Exit::Unusable)
        })?;
        let wrong = |message: String| {
            streams.complain(&format!("error: {message}\n"));
            Stop(Exit::Unusable)
        };
        let event_time = super::sample::event_times(global).map_err(wrong)?;
        let sample = super::sample::window(global, invocation.clock.now()).map_err(wrong)?;
        let said = arguments(command, global, invocation, sample.as_ref(), &project_dir);
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
                memos: MemoUse {
                    reads: global.is_on(Switch::PartialParse),
                    writes: global.is_on(Switch::WriteJson) && !matches!(command, "list" | "sql"),
                },
                needs_warehouse: !matches!(command, "check" | "lineage" | "list" | "parse" | "contract infer"),
                target_path: global.target_path.as_ref().map(|path| project_dir.join(path).to_string_lossy().into_owned()),
            },
            resolve: ResolveOptions {
                invocation: TemplateInvocation { id: id.clone(), run_started_at: started, flags: upper(&said), arguments: given(said) },
                store_failures: global.is_on(Switch::StoreFailures),
                sample,
                event_time,
                warned: match warnings.of_code(Code::RaisedByProject) {
                    Verdict::Warn => Warned::Shown,
                    Verdict::Error => Warned::Error,
                    Verdict::Silence => Warned::Silent,
                },
            },
            reading: Mutex::default(),
            engines: Mutex::default(),
            structured: global.log_format == Some(LogFormatArgument::Json),
            write_json: global.is_on(Switch::WriteJson),
            warnings,
            version_check: global.is_on(Switch::VersionCheck),
            hushed: global.is_on(Switch::Quiet).then(|| streams.clone()),
            events,
            project_dir,
            id,
            command,
            started,
        };
        session.options.vars = session.vars(global)?;
        Ok(session)
    }

    /// A note for who looks at the screen, though the command's log is not shown there. Says nothing where it is.
    pub(super) fn note_aside(&self, text: &str) {
        if let Some(streams) = &self.hushed {
            streams.complain(&format!("{text}\n"));
        }
    }

    /// An argument that only this command has, for templates and artifacts.
    pub(super) fn note_argument(&mut self, key: &str, value: Json) {
        if let Json::Object(map) = &mut self.resolve.invocation.arguments {
            map.insert(key.to_owned(), value.clone());
        }
        if let Json::Object(map) = &mut self.resolve.invocation.flags {
            map.insert(key.to_uppercase(), value);
        }
    }

    /// Where the command runs; relative folders of the command line start here.
    pub(super) fn working_dir(&self) -> &Path {
        &self.options.working_dir
    }

    /// What becomes of a warning that goes by dbt's name.
    pub(super) fn verdict(&self, name: &str) -> Verdict {
        self.warnings.verdict(&[name])
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

    /// What is sound of the project, for a command that reports on its own: warnings stay in the project, and errors that are
    /// about single nodes are among them.
    ///
    /// # Errors
    /// Everything that is wrong with the project, where nothing can be left out for it.
    pub(super) fn try_sound_project(&self) -> Result<Ready, Vec<Diagnostic>> {
        let project = self.sound(|| self.read_ahead())?;
        match Dag::build(&project) {
            Ok(dag) => Ok(Ready { project: Arc::new(project), dag }),
            Err(circles) => Err(project.warnings.into_iter().chain(circles).collect()),
        }
    }

    fn sound(&self, midway: impl FnOnce()) -> Result<Project, Vec<Diagnostic>> {
        let parsed = self.of_right_version(load_sound(&self.options, &self.sources)?)?;
        resolve_sound(Arc::new(parsed), &self.resolve, midway)
    }

    /// The project in another folder, as this one is loaded: same target, vars and profile.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn try_project_in(&self, folder: &Path) -> Result<Ready, Vec<Diagnostic>> {
        self.load_with(&LoadOptions { project_dir: folder.to_owned(), ..self.options.clone() }, &Sources::new())
    }

    fn load_with(&self, options: &LoadOptions, sources: &Arc<Sources>) -> Result<Ready, Vec<Diagnostic>> {
        let parsed = self.loaded(options, sources)?;
        let project = resolve(Arc::new(parsed), &self.resolve)?;
        let dag = Dag::build(&project)?;
        Ok(Ready { project: Arc::new(project), dag })
    }

    /// The same with one more analysis, made of a text of the command line.
    pub(super) fn project_with_inline(&self, sql: &str) -> Result<(Ready, crate::manifest::NodeId), Stop> {
        let parsed = self.parsed()?;
        let project = resolve(Arc::new(parsed), &self.resolve).map_err(|found| self.report(&found))?;
        let (project, id) = project.with_inline("inline_query", sql).map_err(|found| self.report(&found))?;
        Ok((self.ready(project)?, id))
    }

    /// A project with its packages, all of which say that they run with this version of dbt.
    fn loaded(&self, options: &LoadOptions, sources: &Arc<Sources>) -> Result<ParsedProject, Vec<Diagnostic>> {
        self.of_right_version(load(options, sources)?)
    }

    fn of_right_version(&self, parsed: ParsedProject) -> Result<ParsedProject, Vec<Diagnostic>> {
        let asked = parsed.all_packages().filter(|_| self.version_check);
        let refused: Vec<Diagnostic> =
            asked.filter_map(|package| refused_version(&package.name, package.project.require_dbt_version.as_ref()?)).collect();
        if refused.is_empty() { Ok(parsed) } else { Err(refused) }
    }

    fn parsed(&self) -> Result<ParsedProject, Stop> {
        self.loaded(&self.options, &self.sources).map_err(|found| self.report(&found))
    }

    /// What becomes of a warning by `--warn-error` and its options; `None` where it is not shown.
    pub fn severity_of_warning(&self, code: Code) -> Option<Severity> {
        match self.warnings.of_code(code) {
            Verdict::Warn => Some(Severity::Warning),
            Verdict::Error => Some(Severity::Error),
            Verdict::Silence => None,
        }
    }

    fn ready(&self, project: Project) -> Result<Ready, Stop> {
        let (mut errors, mut shown) = (Vec::new(), Vec::new());
        for warning in project.parsed.warnings.iter().chain(&project.warnings) {
            match self.warnings.of_code(warning.code) {
                Verdict::Warn => shown.push(warning),
                Verdict::Error => errors.push(Diagnostic { severity: Severity::Error, ..warning.clone() }),
                Verdict::Silence => {}
            }
        }
        for warning in shown {
            self.diagnosed(warning);
        }
        if !errors.is_empty() {
            return Err(self.report(&errors));
        }
        let dag = Dag::build(&project).map_err(|found| self.report(&found))?;
        Ok(Ready { project: Arc::new(project), dag })
    }

    /// The target alone, for commands that need no project that parses.
    pub(super) fn target(&self) -> Result<Target, Stop> {
        load_target(&self.options, &self.sources).map_err(|found| self.report(&found))
    }

    /// What is loaded, and from where.
    pub(super) fn load_options(&self) -> &LoadOptions {
        &self.options
    }

    /// The target, or what is wrong with it; nothing is said of that.
    pub(super) fn check_target(&self) -> Result<Target, Vec<Diagnostic>> {
        load_target(&self.options, &self.sources)
    }

    /// How many nodes the project has, or what is wrong with it; nothing is said of that.
    pub(super) fn check_project(&self) -> Result<usize, Vec<Diagnostic>> {
        let parsed = self.loaded(&self.options, &self.sources)?;
        let project = resolve(Arc::new(parsed), &self.resolve)?;
        Dag::build(&project)?;
        Ok(project.nodes.len())
    }

    /// The engine of a target.
    pub(super) fn engine(&self, target: &Target) -> Result<Arc<dyn Engine>, Stop> {
        self.engine_in(target, &self.project_dir)
    }

    fn engine_in(&self, target: &Target, folder: &Path) -> Result<Arc<dyn Engine>, Stop> {
        match self.open_engine_in(target, folder) {
            Ok(engine) => Ok(engine),
            Err(error) => Err(self.report(&[error.diagnostic(&target.warehouse, None)])),
        }
    }

    /// As [`Session::engine`], nothing being said.
    pub(super) fn open_engine(&self, target: &Target) -> Result<Arc<dyn Engine>, EngineError> {
        self.open_engine_in(target, &self.project_dir)
    }

    fn open_engine_in(&self, target: &Target, project_dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let options = EngineOptions {
            warehouse: target.warehouse.clone(),
            databases: target.databases.iter().map(|(name, uri)| (name.clone(), uri.clone())).collect(),
            database: target.database.clone(),
            schema: target.schema.clone(),
            storage_options: target.storage_options.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
            project_dir: project_dir.to_owned(),
            threads: target.threads,
            memory_limit: target.memory_limit,
            semantics: target.semantics(),
            sources: Arc::clone(&self.sources),
        };
        let engine: Arc<dyn Engine> = Arc::new(LocalEngine::open(options)?);
        self.engines.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&engine));
        Ok(engine)
    }

    /// Ends the command: engines are closed, and the last line is said unless it was.
    pub(super) async fn end(&self, done: Result<Exit, Stop>) -> Exit {
        let engines = std::mem::take(&mut *self.engines.lock().unwrap_or_else(PoisonError::into_inner));
        for engine in engines {
            engine.close().await;
        }
        match done {
            Ok(exit) => self.complete(exit),
            Err(Stop(exit)) => exit,
        }
    }

    /// The project file and the target, for commands that need no project that parses.
    pub(super) fn project_file(&self) -> Result<(ProjectFile, Target), Stop> {
        load_project_file(&self.options, &self.sources).map_err(|found| self.report(&found))
    }

    /// The engine of a project, which knows the files behind its sources and its external models.
    pub(super) fn project_engine(&self, project: &Project) -> Result<Arc<dyn Engine>, Stop> {
        self.engine_at(project, &project.target, &self.project_dir, |_| true)
    }

    /// The same with another target than the project's, the project's files in `folder`, and only the files that `bound`
    /// says are wanted.
    pub(super) fn engine_at(
        &self,
        project: &Project,
        target: &Target,
        folder: &Path,
        bound: impl Fn(&Node) -> bool,
    ) -> Result<Arc<dyn Engine>, Stop> {
        let engine = self.engine_in(target, folder)?;
        bind_files(engine.as_ref(), project, target, bound);
        Ok(engine)
    }

    /// Begins to read what earlier checks kept, which takes as long as a good part of loading a project.
    pub(super) fn read_ahead(&self) {
        let folder = self.options.target_path.clone().unwrap_or_else(|| target_folder(&self.project_dir));
        let path = self.project_dir.join(folder).join(CHECK_MEMO);
        let place = path.clone();
        let used = self.check_memo_use();
        if used.reads
            && let Ok(thread) = std::thread::Builder::new().spawn(move || Memo::of(&place, used))
        {
            *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some((path, thread));
        }
    }

    /// What earlier checks kept.
    pub(super) fn check_memo(&self, ready: &Ready) -> Memo {
        let path = ready.project.parsed.target_path.join(CHECK_MEMO);
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner).take();
        let read = reading.filter(|(place, _)| *place == path).and_then(|(_, thread)| thread.join().ok());
        read.unwrap_or_else(|| Memo::of(&path, self.check_memo_use()))
    }

    fn check_memo_use(&self) -> MemoUse {
        MemoUse { writes: self.write_json, ..self.options.memos }
    }

    /// Says that there is nothing to do, or does what is asked for where that is an error.
    pub(super) fn nothing_to_do(&self) -> Result<(), Stop> {
        match self.verdict("NothingToDo") {
            Verdict::Warn => self.events.send(&Event::NothingToDo),
            Verdict::Error => return Err(self.fail(NOTHING_TO_DO)),
            Verdict::Silence => {}
        }
        Ok(())
    }

    /// Shows what is wrong with the project; the command ends with 2.
    pub(super) fn report(&self, found: &[Diagnostic]) -> Stop {
        let mut sorted: Vec<&Diagnostic> = found.iter().collect();
        sorted.sort_by_key(|diagnostic| diagnostic.primary_span().map(|span| (self.sources.file(span.file).path.clone(), span.start)));
        for diagnostic in &sorted {
            self.diagnosed(diagnostic);
        }
        let errors: Vec<&Diagnostic> = sorted.into_iter().filter(|diagnostic| diagnostic.is_error()).collect();
        self.events.send(&Event::Failed { message: self.listed(&errors) });
        self.complete(Exit::Unusable);
        Stop(Exit::Unusable)
    }

    /// A line for each error, which scripts look for behind "Encountered an error:".
    fn listed(&self, errors: &[&Diagnostic]) -> String {
        let mut lines: Vec<String> = errors.iter().take(LISTED).map(|diagnostic| self.listed_line(diagnostic)).collect();
        if errors.len() > LISTED {
            lines.push(format!("and {} more", errors.len() - LISTED));
        }
        lines.join("\n")
    }

    fn listed_line(&self, diagnostic: &Diagnostic) -> String {
        let text = format!("{} [{}]", diagnostic.message, diagnostic.code.name());
        let Some(span) = diagnostic.primary_span() else { return format!("  {text}") };
        let at = self.sources.position(span.file, span.start);
        format!("  {}:{}:{}: {text}", self.sources.file(span.file).path, at.line, at.column)
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

/// The files of the project for statements of the user's own, which need no project: it is read when a statement asks for a table
/// that is not there.
pub(super) struct ProjectFiles<'a> {
    session: &'a Session,
    target: &'a Target,
    engine: &'a dyn Engine,
    asked: bool,
    /// Why the project can't be read.
    unread: Option<String>,
}

impl<'a> ProjectFiles<'a> {
    pub(super) fn new(session: &'a Session, target: &'a Target, engine: &'a dyn Engine) -> Self {
        Self { session, target, engine, asked: false, unread: None }
    }

    /// Whether a statement that failed so is worth another try, as the project's files are known by now.
    pub(super) fn may_help(&mut self, error: &EngineError) -> bool {
        let is_missing = matches!(error, EngineError::Sql(error) if error.code == Code::UnknownTable);
        if !is_missing || self.asked || project_file(&self.session.project_dir).is_none() {
            return false;
        }
        self.asked = true;
        match self.session.sound(|| ()) {
            Ok(project) => bind_files(self.engine, &project, self.target, |_| true),
            Err(found) => {
                self.unread = found.iter().find(|found| found.is_error()).map(|error| self.session.listed_line(error).trim().to_owned());
            }
        }
        self.unread.is_none()
    }

    /// A table that is not there may be one of the project's files, where those could not be looked up.
    pub(super) fn note_unread(&self, found: &mut Diagnostic) {
        let reason = self.unread.as_ref().filter(|_| found.code == Code::UnknownTable);
        found.notes.extend(reason.map(|reason| format!("sources of files are not known here, as the project can't be loaded: {reason}")));
    }
}

/// Makes the files of a project's sources and external models readable under their names.
fn bind_files(engine: &dyn Engine, project: &Project, target: &Target, bound: impl Fn(&Node) -> bool) {
    for binding in project.nodes.values().filter(|node| bound(node)).filter_map(|node| files_binding(node, target.semantics())) {
        engine.bind(binding);
    }
}

/// The files that stand for a node's relation, where it is no table of the warehouse.
fn files_binding(node: &Node, semantics: Semantics) -> Option<FilesBinding> {
    let name = node.relation.clone()?;
    let columns =
        node.columns.values().map(|column| (column.name.clone(), column.data_type.as_deref().map(|name| semantics.plain_type(name)))).collect();
    match &node.kind {
        NodeKind::Source { external: Some(ExternalSource { call: Some(call), span, .. }), .. } => {
            let call = FileCall::parse(call, semantics).ok()?;
            Some(FilesBinding { span: Some(*span), ..FilesBinding::of_call(name, call) })
        }
        NodeKind::Source { external: Some(external), .. } => Some(FilesBinding {
            name,
            config: external.config.clone(),
            columns,
            span: Some(external.span),
            option_spans: external.option_spans.clone(),
            call: None,
        }),
        NodeKind::Model => {
            let config = node.config.external.clone()?;
            let span = node.config.place("location").unwrap_or(node.span);
            Some(FilesBinding { name, config, columns: Vec::new(), span: Some(span), option_spans: node.config.option_places(), call: None })
        }
        NodeKind::Source { external: None, .. }
        | NodeKind::Analysis
        | NodeKind::Described(_)
        | NodeKind::Function(_)
        | NodeKind::Seed { .. }
        | NodeKind::Snapshot
        | NodeKind::Test(_)
        | NodeKind::UnitTest(_) => None,
    }
}

/// `--project-dir`, else the nearest folder from here upwards that has a project file, else this folder.
pub(super) fn project_dir(global: &Global, current: &Path) -> PathBuf {
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

/// What the log file keeps where nothing is asked for. Text is for reading, as on the screen; the other forms are for
/// finding out, and keep everything.
fn kept_in_file(global: &Global) -> Level {
    if global.log_format_file == Some(LogFormatArgument::Text) { Level::Info } else { Level::Debug }
}

fn events(global: &Global, id: &str, project_dir: &Path, clock: &Arc<dyn Clock>, streams: &Streams) -> Events {
    let identity = LogIdentity { id: id.to_owned(), process: std::process::id() };
    let asked = global.log_level.map_or(Some(Level::Info), level);
    let least = match (global.is_on(Switch::Quiet), global.is_on(Switch::Debug)) {
        (true, _) => Some(Level::Error).filter(|_| asked.is_some()),
        (false, true) => Some(Level::Debug),
        (false, false) => asked,
    };
    let no_colours = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = global.switches.given(Switch::UseColors).or(no_colours.then_some(false));
    let width = global.printer_width.map_or(80, usize::from);
    let mut sinks: Vec<Box<dyn EventSink>> = Vec::new();
    if let Some(least) = least {
        let options = ConsoleOptions {
            width,
            ..ConsoleOptions::on(streams.terminal, log_format(global.log_format, LogFormat::Text), least, colours, identity.clone())
        };
        sinks.push(Box::new(Console::new(options, Arc::clone(&streams.out))));
    }
    // A folder that is not there has no log: it would come to be by looking for it.
    let has_log = files::is_dir(project_dir) || global.log_path.is_some();
    if let Some(least) = global.log_level_file.map_or(Some(kept_in_file(global)), level).filter(|_| has_log) {
        let folder = log_folder(global, project_dir);
        let limit = global.log_file_max_bytes.unwrap_or(LOG_FILE_BYTES);
        match LogFile::open(&folder, log_format(global.log_format_file, LogFormat::Debug), least, limit, identity) {
            Ok(file) => sinks.push(Box::new(file)),
            Err(error) => streams.complain(&format!("warning: no log file: {error}\n")),
        }
    }
    Events::new(Arc::clone(clock), sinks)
}

/// How large a log file may grow before it is set aside, in bytes.
const LOG_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// `None` says nothing at all.
fn level(argument: LogLevel) -> Option<Level> {
    match argument {
        LogLevel::Debug => Some(Level::Debug),
        LogLevel::Info => Some(Level::Info),
        LogLevel::Warn => Some(Level::Warn),
        LogLevel::Error => Some(Level::Error),
        LogLevel::None => None,
    }
}

fn log_format(argument: Option<LogFormatArgument>, default: LogFormat) -> LogFormat {
    match argument {
        None | Some(LogFormatArgument::Default) => default,
        Some(LogFormatArgument::Text) => LogFormat::Text,
        Some(LogFormatArgument::Debug) => LogFormat::Debug,
        Some(LogFormatArgument::Json) => LogFormat::Json,
    }
}

/// `flags` of templates: the names in capitals, as dbt's are.
fn upper(arguments: &Json) -> Json {
    let pairs = arguments.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.to_uppercase(), value.clone())).collect()
}

/// The arguments that have a value: dbt leaves out the others.
fn given(mut arguments: Json) -> Json {
    if let Json::Object(map) = &mut arguments {
        map.retain(|_, value| !value.is_null());
    }
    arguments
}

/// What stands for a choice on the command line.
fn word(choice: impl ValueEnum) -> Option<String> {
    choice.to_possible_value().map(|value| value.get_name().to_owned())
}

/// Where the log file lies.
fn log_folder(global: &Global, project_dir: &Path) -> PathBuf {
    global.log_path.as_ref().map_or_else(|| project_dir.join("logs"), |path| project_dir.join(path))
}

/// The arguments of the command, as templates see them in `invocation_args_dict`, and as `run_results.json` keeps them for
/// `retry`.
fn arguments(command: &str, global: &Global, invocation: &Invocation, sample: Option<&TimeWindow>, project_dir: &Path) -> Json {
    let words: Vec<String> =
        std::iter::once("alluvium".to_owned()).chain(invocation.args.iter().map(|word| word.to_string_lossy().into_owned())).collect();
    let mut arguments = serde_json::json!({
        "which": command,
        "invocation_command": words.join(" "),
        "select": global.select,
        "exclude": global.exclude,
        "selector": global.selector,
        "indirect_selection": global.indirect_selection.map_or("eager", super::args::IndirectSelection::name),
        "resource_types": global.resource_types,
        "exclude_resource_types": global.exclude_resource_types,
        "state": global.state,
        "defer_state": global.defer_state,
        "vars": global.vars.as_deref().and_then(crate::load::yaml_json).unwrap_or_else(|| Json::Object(Map::new())),
        "target": global.target,
        "profile": global.profile,
        "profiles_dir": global.profiles_dir,
        "project_dir": project_dir,
        "target_path": global.target_path,
        "log_path": log_folder(global, project_dir),
        "log_format": word(global.log_format.unwrap_or(LogFormatArgument::Default)),
        "log_format_file": word(global.log_format_file.unwrap_or(LogFormatArgument::Debug)),
        "log_level": word(global.log_level.unwrap_or(LogLevel::Info)),
        "log_level_file": word(global.log_level_file.unwrap_or(LogLevel::Debug)),
        "log_file_max_bytes": global.log_file_max_bytes.unwrap_or(LOG_FILE_BYTES),
        "warehouse": global.warehouse,
        "threads": global.threads,
        "event_time_start": global.event_time_start,
        "event_time_end": global.event_time_end,
        "sample": sample.map(super::sample::recorded),
        "warn_error_options": global.warn_error_options.as_deref().and_then(crate::load::yaml_json),
        "printer_width": global.printer_width.unwrap_or(80),
    });
    if let Json::Object(map) = &mut arguments {
        map.extend(Switch::ALL.iter().map(|switch| (switch.key(), Json::Bool(global.is_on(*switch)))));
    }
    arguments
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
