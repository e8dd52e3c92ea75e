//! `retry`: what failed or was skipped last time runs again, with the flags it had.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::args::{Global, Switch};
use super::build::{Again, Kind, carry_out};
use super::session::{Session, Stop, project_dir};
use super::state::statuses;
use super::{Exit, Invocation, Streams};
use crate::base::{Event, files, moment};
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
    let session = match Session::start(last.kind.name(), &last.global, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    if last.again.unfinished.is_empty() {
        session.events.send(&Event::NothingToDo);
        return session.complete(Exit::Fine);
    }
    match carry_out(last.kind, &last.global, &session, Some(&last.again), streams).await {
        Ok(exit) => session.complete(exit),
        Err(Stop(exit)) => exit,
    }
}

struct LastRun {
    kind: Kind,
    global: Global,
    again: Again,
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
    let kind = [Kind::Seed { show: false }, Kind::Snapshot, Kind::Run, Kind::Test { skip_proved: false }, Kind::Build { show: false }]
        .into_iter()
        .find(|kind| kind.name() == which);
    let kind = kind.ok_or_else(|| format!("the last command was `{which}`, which can't be tried again; run, build, seed, snapshot and test can"))?;
    let unfinished = statuses(&json).into_iter().filter(|(_, status)| UNFINISHED.contains(&status.as_str())).map(|(id, _)| id).collect();
    let began = json.pointer("/metadata/invocation_started_at").and_then(Json::as_str).and_then(moment);
    let again = Again { unfinished, batches: batches(&json), began };
    Ok(LastRun { kind, global: with_arguments(global.clone(), &arguments), again })
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
    // How this call prints is its own matter.
    for switch in Switch::ALL.iter().filter(|switch| !matches!(switch, Switch::Quiet | Switch::Debug | Switch::UseColors)) {
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
