//! `source freshness`: how old the newest rows of sources are, in sources.json.

use super::args::{FreshnessOptions, Global, Switch};
use super::build::{counts, run_hooks};
use super::selecting::selected;
use super::session::{Session, Stop, cancel_on_interrupt, command};
use super::{Exit, Invocation, Streams, artifacts};
use crate::artifacts::{sources_json, write_json};
use crate::base::Event;
use crate::exec::{RunHooks, criteria, freshness as look};
use crate::load::Behaviour;
use crate::manifest::{NodeId, ResourceType};

pub(super) async fn freshness(options: &FreshnessOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command("freshness", global, &invocation, streams, async |session| carry_out(options, global, session).await).await
}

async fn carry_out(options: &FreshnessOptions, global: &Global, session: &Session) -> Result<Exit, Stop> {
    let ready = session.project()?;
    session.events.send(&Event::Found { counts: counts(&ready) });
    let promises =
        |id: &NodeId| ready.project.nodes.get(id).is_some_and(|node| node.resource_type() == ResourceType::Source && criteria(node).is_some());
    let ids: Vec<NodeId> = selected(global, session, &ready)?.into_iter().filter(promises).collect();
    if ids.is_empty() {
        session.nothing_to_do()?;
    }
    let engine = session.project_engine(&ready.project)?;
    let with_hooks = ready.project.parsed.root.project.behaves(Behaviour::SourceFreshnessRunProjectHooks);
    let hooks = if with_hooks { run_hooks(&ready) } else { RunHooks::default() };
    let report = look(&ready.project, (&ids, global.is_on(Switch::FailFast)), &engine, &session.events, (&hooks, cancel_on_interrupt())).await;
    artifacts::manifest(session, &ready.project)?;
    let path = match &options.output {
        Some(path) => session.working_dir().join(path),
        None => ready.project.parsed.target_path.join("sources.json"),
    };
    let elapsed = (session.events.now() - session.started()).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
    write_json(&path, &sources_json(&artifacts::header(session), &report.results, elapsed)).map_err(|error| session.fail(&error.to_string()))?;
    session.events.send(&Event::ArtifactWritten { kind: "sources", path: path.to_string_lossy().into_owned() });
    Ok(match report.totals.error {
        _ if report.interrupted => Exit::Unusable,
        0 => Exit::Fine,
        _ => Exit::Failed,
    })
}
