//! `run-operation`: calls a macro of the project, of a package or of the program, with the warehouse at hand.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use tokio::runtime::Handle;

use super::args::{Global, OperationOptions};
use super::build::counts;
use super::session::{Session, Stop};
use super::{Exit, Invocation, Streams, artifacts};
use crate::base::{Code, Diagnostic, Event, NodeOutcome, Span, failure_message, headline, nearest};
use crate::compile::{Surroundings, render_operation};
use crate::exec::EnginePort;
use crate::jinja::{MacroCall, MacroInfo, MacroKind};
use crate::manifest::{NodeId, NodeResult, TimeSpan};
use crate::resolve::Project;

pub(super) async fn run_operation(options: &OperationOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut session = match Session::start("run-operation", global, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    session.note_argument("macro", Json::from(options.name.as_str()));
    session.note_argument("args", options.args.as_deref().and_then(crate::load::yaml_json).unwrap_or(Json::Null));
    let done = carry_out(options, &session).await;
    session.end(done).await
}

async fn carry_out(options: &OperationOptions, session: &Session) -> Result<Exit, Stop> {
    let arguments = arguments(options, session)?;
    let ready = session.project()?;
    session.events.send(&Event::Found { counts: counts(&ready) });
    let found = ready.project.library.operation(&options.name).filter(|info| info.kind == MacroKind::Macro);
    let info = found.ok_or_else(|| session.report(&[unknown(&ready.project, options, session)]))?;
    let engine = session.project_engine(&ready.project)?;
    let surroundings: Arc<dyn Surroundings> =
        Arc::new(EnginePort { engine: Arc::clone(&engine), events: session.events.clone(), runtime: Handle::current(), queries: true });
    let call = MacroCall { id: info.id.clone(), arguments, span: place(options, session, info) };
    let node = NodeId::new(format!("macro.{}.{}", info.package, info.name));
    let rendered = render_operation(&ready.project, call, &node, &surroundings).await;
    match rendered {
        Ok(_) => {
            results(session, &ready.project, node, NodeOutcome::Success, String::new())?;
            Ok(Exit::Fine)
        }
        Err(diagnostics) => {
            let what = headline("macro", &info.name, &session.sources.file(info.file).path);
            let message = failure_message(&what, &diagnostics, &session.sources, "");
            session.events.send(&Event::OperationFailed { message: message.clone() });
            results(session, &ready.project, node, NodeOutcome::Error, message)?;
            for diagnostic in &diagnostics {
                session.diagnosed(diagnostic);
            }
            Ok(Exit::Failed)
        }
    }
}

/// The call as the one result of the run.
fn results(session: &Session, project: &Project, id: NodeId, outcome: NodeOutcome, message: String) -> Result<(), Stop> {
    let span = TimeSpan { start: session.started(), end: session.events.now() };
    let result = NodeResult {
        batches: None,
        batch_sql: Vec::new(),
        id,
        outcome,
        message,
        failures: Some(u64::from(outcome.is_failure())),
        rows_affected: None,
        compile: None,
        execute: Some(span),
        thread: "MainThread".to_owned(),
        compiled_sql: None,
        run_sql: None,
        relation: None,
    };
    artifacts::manifest(session, project)?;
    artifacts::results(session, project, vec![result])
}

/// Where the call stands: on the command line.
fn place(options: &OperationOptions, session: &Session, info: &MacroInfo) -> Span {
    let text = format!("run-operation {}{}", info.name, options.args.as_ref().map_or_else(String::new, |args| format!(" --args '{args}'")));
    let end = text.len();
    Span::new(session.sources.add("command line", text), 0, end)
}

fn arguments(options: &OperationOptions, session: &Session) -> Result<Map<String, Json>, Stop> {
    let Some(text) = &options.args else { return Ok(Map::new()) };
    let file = session.sources.add("--args", text.as_str());
    match crate::load::parse_yaml(&session.sources, file).map(|yaml| yaml.to_json()) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(Json::Null) => Ok(Map::new()),
        Ok(_) => Err(session.report(&[Diagnostic::error(Code::YamlType, "--args: expected a map")
            .at(Span::new(file, 0, text.len()), "given here")
            .help("e.g. --args '{days: 10}'")])),
        Err(diagnostic) => Err(session.report(&[diagnostic])),
    }
}

fn unknown(project: &Project, options: &OperationOptions, session: &Session) -> Diagnostic {
    let name = &options.name;
    let file = session.sources.add("command line", format!("run-operation {name}"));
    let names = project.library.macros().filter(|info| info.kind == MacroKind::Macro).map(|info| info.name.as_str());
    Diagnostic::error(Code::UndefinedMacro, format!("there is no macro `{name}` in any package"))
        .at(Span::new(file, 14, 14 + name.len()), "named here")
        .help_nearest(nearest(name, names), "macros stand under `macros/`, and those of packages are called `package.macro`")
}
