//! The artifacts of another run: for `state:` and its kin, for `--defer`, `clone` and `retry`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::args::{Global, Switch};
use super::session::{Ready, Session, Stop};
use crate::base::{Event, Heard, files};
use crate::engine::Engine;
use crate::manifest::{NodeId, PreviousFreshness, PreviousManifest, PreviousState, RelationName};

/// What `--state` names, if it names anything.
pub(super) fn previous(global: &Global, session: &Session, target_path: &Path) -> Result<Option<Arc<PreviousState>>, Stop> {
    let Some(folder) = &global.state else { return Ok(None) };
    is_target(global, session, target_path);
    let found = folder_of(session, folder);
    let freshness = match (freshness(session, &found)?, freshness(session, target_path)?) {
        (Some(before), Some(now)) => Some((before, now)),
        (_, _) => None,
    };
    let state = PreviousState {
        folder: folder.display().to_string(),
        manifest: manifest(session, &found)?,
        results: json(session, &found.join("run_results.json"))?.map(|json| statuses(&json)),
        freshness,
    };
    Ok(Some(Arc::new(state)))
}

/// The manifest that `--defer` and `clone` read from: of `--defer-state`, else of `--state`.
pub(super) fn deferred_manifest(global: &Global, session: &Session) -> Result<PreviousManifest, Stop> {
    let Some(folder) = global.defer_state.as_ref().or(global.state.as_ref()) else {
        return Err(session.fail("--state or --defer-state are required for deferral, but neither was provided"));
    };
    let found = manifest(session, &folder_of(session, folder))?;
    found.ok_or_else(|| session.fail(&format!("there is no manifest.json in `{}`, which --state or --defer-state names", folder.display())))
}

/// Whether the state is the folder that this run writes into, which is said.
pub(super) fn is_target(global: &Global, session: &Session, target_path: &Path) -> bool {
    let Some(folder) = global.defer_state.as_ref().or(global.state.as_ref()) else { return false };
    let same = files::absolute(&folder_of(session, folder)) == files::absolute(target_path);
    if same {
        let text = format!(
            "Warning: The state and target directories are the same: '{}'. What was there is overwritten, so nothing would seem changed.",
            folder.display()
        );
        session.events.send(&Event::Message { text, heard: Heard::Terminal, node: None });
    }
    same
}

/// A folder of the command line: below the project, else where the command runs.
fn folder_of(session: &Session, folder: &Path) -> PathBuf {
    let below = session.project_dir.join(folder);
    if files::is_dir(&below) { below } else { session.working_dir().join(folder) }
}

fn json(session: &Session, path: &Path) -> Result<Option<Json>, Stop> {
    if !files::is_file(path) {
        return Ok(None);
    }
    let text = files::read_text(path).map_err(|error| session.fail(&error.to_string()))?;
    serde_json::from_str(&text).map(Some).map_err(|error| session.fail(&format!("`{}` is no JSON: {error}", path.display())))
}

fn manifest(session: &Session, folder: &Path) -> Result<Option<PreviousManifest>, Stop> {
    let path = folder.join("manifest.json");
    let Some(json) = json(session, &path)? else { return Ok(None) };
    if json.get("nodes").is_none() {
        return Err(session.fail(&format!("`{}` is no manifest: it has no `nodes`", path.display())));
    }
    serde_json::from_value(json).map(Some).map_err(|error| session.fail(&format!("`{}` is no manifest: {error}", path.display())))
}

/// The status of each node of a `run_results.json`.
pub(super) fn statuses(json: &Json) -> BTreeMap<NodeId, String> {
    let results = json.get("results").and_then(Json::as_array).into_iter().flatten();
    let pair = |result: &Json| Some((NodeId::new(result.get("unique_id")?.as_str()?), result.get("status")?.as_str()?.to_owned()));
    results.filter_map(pair).collect()
}

fn freshness(session: &Session, folder: &Path) -> Result<Option<PreviousFreshness>, Stop> {
    let Some(json) = json(session, &folder.join("sources.json"))? else { return Ok(None) };
    let results = json.get("results").and_then(Json::as_array).into_iter().flatten();
    let pair = |result: &Json| {
        let at = result.get("max_loaded_at").and_then(Json::as_str).and_then(crate::base::moment);
        Some((NodeId::new(result.get("unique_id")?.as_str()?), at))
    };
    Ok(Some(results.filter_map(pair).collect()))
}

/// Reads what is not selected from the project of `--state`: where it does not exist here, or always with
/// `--favor-state`.
pub(super) async fn defer(
    global: &Global,
    session: &Session,
    ready: &mut Ready,
    selected: &BTreeSet<NodeId>,
    engine: &dyn Engine,
) -> Result<(), Stop> {
    if !global.is_on(Switch::Defer) {
        return Ok(());
    }
    let manifest = deferred_manifest(global, session)?;
    let mut elsewhere: HashMap<NodeId, RelationName> = HashMap::new();
    for id in read_unselected(ready, selected) {
        let Some(there) = manifest.node(&id).and_then(crate::manifest::PreviousNode::relation) else { continue };
        let here = ready.project.nodes.get(&id).and_then(|node| node.relation.clone());
        let exists = match &here {
            Some(here) => engine.relation(here).await.map_err(|error| session.fail(&error.to_string()))?.is_some(),
            None => true,
        };
        if here.is_some() && (global.is_on(Switch::FavorState) || !exists) {
            elsewhere.insert(id, there);
        }
    }
    let Some(project) = Arc::get_mut(&mut ready.project) else {
        return Err(session.fail("`--defer` came too late, which is a mistake of alluvium: please report it"));
    };
    for (id, relation) in elsewhere {
        project.defer(&id, relation);
    }
    Ok(())
}

/// Models, seeds and snapshots that selected nodes read, also through ephemeral models, and that are not selected.
fn read_unselected(ready: &Ready, selected: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let nodes = &ready.project.nodes;
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut open: Vec<&NodeId> = selected.iter().collect();
    while let Some(id) = open.pop() {
        for parent in nodes.get(id).into_iter().flat_map(|node| &node.depends_on) {
            let Some(node) = nodes.get(parent).filter(|_| seen.insert(parent.clone())) else { continue };
            let readable = node.resource_type().is_referable();
            if readable && node.relation.is_none() {
                open.push(parent);
            } else if readable && !selected.contains(parent) {
                found.insert(parent.clone());
            }
        }
    }
    found
}
