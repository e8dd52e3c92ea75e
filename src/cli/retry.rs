//! `retry`: what failed or was skipped last time runs again, with the flags it had.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::args::{CompileOptions, CompileOutput, Global, OperationOptions, Switch};
use super::build::{Again, Kind};
use super::session::{Session, Stop, command, project_dir};
use super::state::statuses;
use super::{Exit, Invocation, Streams, build, clone, inspect, operation};
use crate::base::{files, moment};
use crate::manifest::{BatchResults, NodeId, TimeWindow};

pub(super) async fn retry(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let folder = project_dir(global, &invocation.current_dir);
    let last = match last_run(global, &folder) {
        Ok(last) => last,
        Err(message) => {
            return match Session::start("retry", global, &invocation, streams) {
                Ok(session) => session.fail(&message).0,
                Err(Stop(exit)) => exit,
            };
        }
    };
    let LastRun { tried, global, again } = last;
    if let (Tried::Operation(options), false) = (&tried, again.unfinished.is_empty()) {
        return operation::run_operation(options, &global, invocation, streams).await;
    }
    command(tried.name(), &global, &invocation, streams, async |session| {
        if again.unfinished.is_empty() {
            session.nothing_to_do()?;
            return Ok(Exit::Fine);
        }
        match &tried {
            Tried::Nodes(kind) => build::carry_out(*kind, &global, session, Some(&again), streams).await,
            Tried::Clone => clone::carry_out(&global, session, Some(&again.unfinished)).await,
            Tried::Compile(options) => inspect::carry_out_compile(options, &global, session, Some(&again.unfinished), streams).await,
            // Done above, where there is something to do.
            Tried::Operation(_) => Ok(Exit::Fine),
        }
    })
    .await
}

struct LastRun {
    tried: Tried,
    global: Global,
    again: Again,
}

/// A command that can be tried again.
enum Tried {
    Nodes(Kind),
    Compile(CompileOptions),
    Clone,
    Operation(OperationOptions),
}

impl Tried {
    /// The command that an artifact names, with the arguments that are its own.
    fn read(arguments: &Map<String, Json>) -> Option<Self> {
        match arguments.get("which").and_then(Json::as_str)? {
            "clone" => Some(Self::Clone),
            "compile" => Some(Self::Compile(CompileOptions { inline: None, output: CompileOutput::Text })),
            "run-operation" => {
                let args = arguments.get("args").filter(|args| !args.is_null()).map(Json::to_string);
                Some(Self::Operation(OperationOptions { name: arguments.get("macro")?.as_str()?.to_owned(), args }))
            }
            which => {
                let kinds = [Kind::Seed { show: false }, Kind::Snapshot, Kind::Run, Kind::Test { skip_proved: false }, Kind::Build { show: false }];
                kinds.into_iter().find(|kind| kind.name() == which).map(Self::Nodes)
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Nodes(kind) => kind.name(),
            Self::Compile(_) => "compile",
            Self::Clone => "clone",
            Self::Operation(_) => "run-operation",
        }
    }
}

/// Statuses after which a node is not done.
const UNFINISHED: [&str; 5] = ["error", "fail", "skipped", "runtime error", "partial success"];

fn last_run(global: &Global, project_dir: &std::path::Path) -> Result<LastRun, String> {
    let folder = global.state.clone().or_else(|| global.target_path.clone()).unwrap_or_else(|| crate::load::target_folder(project_dir).into());
    let path = project_dir.join(folder).join("run_results.json");
    if !files::is_file(&path) {
        return Err(format!("Could not find previous run in '{}' target directory", path.parent().unwrap_or(&path).display()));
    }
    let text = files::read_text(&path).map_err(|error| error.to_string())?;
    let json: Json = serde_json::from_str(&text).map_err(|error| format!("`{}` is no JSON: {error}", path.display()))?;
    let arguments = json.get("args").and_then(Json::as_object).cloned().unwrap_or_default();
    let which = arguments.get("which").and_then(Json::as_str).unwrap_or_default();
    let tried = Tried::read(&arguments).ok_or_else(|| {
        format!("the last command was `{which}`, which can't be tried again; build, clone, compile, run, run-operation, seed, snapshot and test can")
    })?;
    // What only warned fails where warnings are errors.
    let is_unfinished = |status: &str| UNFINISHED.contains(&status) || status == "warn" && global.is_on(Switch::WarnError);
    let unfinished = statuses(&json).into_iter().filter(|(_, status)| is_unfinished(status)).map(|(id, _)| id).collect();
    let began = json.pointer("/metadata/invocation_started_at").and_then(Json::as_str).and_then(moment);
    let again = Again { unfinished, batches: batches(&json), began };
    Ok(LastRun { tried, global: with_arguments(global.clone(), &arguments), again })
}

/// The batches of models of which some went through and some did not: the others are built as if for the first time.
fn batches(json: &Json) -> BTreeMap<NodeId, BatchResults> {
    let results = json.get("results").and_then(Json::as_array).into_iter().flatten();
    let found = results.filter_map(|result| {
        let windows = |key: &str| -> Option<Vec<TimeWindow>> {
            let list = result.get("batch_results")?.get(key)?.as_array()?;
            list.iter().map(window).collect()
        };
        let found = BatchResults { successful: windows("successful")?, failed: windows("failed")? };
        let id = NodeId::new(result.get("unique_id")?.as_str()?);
        (!found.successful.is_empty() && !found.failed.is_empty()).then_some((id, found))
    });
    found.collect()
}

fn window(pair: &Json) -> Option<TimeWindow> {
    let at = |index: usize| pair.get(index).and_then(Json::as_str).and_then(moment);
    Some(TimeWindow { start: at(0)?, end: at(1)? })
}

/// The flags of this call, and where it says nothing those of the call before. What was selected is known by its ids.
fn with_arguments(mut global: Global, before: &Map<String, Json>) -> Global {
    let text = |key: &str| before.get(key).and_then(Json::as_str).map(str::to_owned);
    // How this call prints, and whether its warnings are errors, is its own matter.
    for switch in Switch::ALL.iter().filter(|switch| !matches!(switch, Switch::Quiet | Switch::Debug | Switch::UseColors | Switch::WarnError)) {
        if let Some(on) = before.get(&switch.key()).and_then(Json::as_bool) {
            global.switches.default_to(*switch, on);
        }
    }
    let vars = before.get("vars").filter(|vars| vars.as_object().is_some_and(|vars| !vars.is_empty()));
    global.vars = global.vars.or_else(|| vars.map(Json::to_string));
    global.target = global.target.or_else(|| text("target"));
    global.profile = global.profile.or_else(|| text("profile"));
    global.profiles_dir = global.profiles_dir.or_else(|| text("profiles_dir").map(Into::into));
    global.warehouse = global.warehouse.or_else(|| text("warehouse"));
    global.defer_state = global.defer_state.or_else(|| text("defer_state").or_else(|| text("state")).map(Into::into));
    global.event_time_start = global.event_time_start.or_else(|| text("event_time_start"));
    global.event_time_end = global.event_time_end.or_else(|| text("event_time_end"));
    // A stretch of time, or what was typed.
    global.sample =
        global.sample.or_else(|| text("sample").or_else(|| before.get("sample").filter(|window| window.is_object()).map(Json::to_string)));
    global.threads = global.threads.or_else(|| before.get("threads").and_then(Json::as_u64).and_then(|threads| u16::try_from(threads).ok()));
    global.warn_error_options =
        global.warn_error_options.or_else(|| before.get("warn_error_options").filter(|value| !value.is_null()).map(Json::to_string));
    (global.select, global.exclude, global.selector) = (Vec::new(), Vec::new(), None);
    global
}
