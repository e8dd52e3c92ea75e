//! `sources lock`: notes what the sources look like.

use std::collections::{BTreeMap, BTreeSet};

use super::args::Global;
use super::check::read_lock;
use super::selecting::selected as select_nodes;
use super::session::{Session, Stop, command};
use super::{Exit, Invocation, Streams};
use crate::base::{Event, Heard, files};
use crate::check::{LOCK_FILE, LockedColumn, LockedRelation, SourcesLock};
use crate::engine::{Engine, EngineError, RelationKind, RelationState};
use crate::manifest::{Materialization, Node, NodeKind};
use crate::sql::type_name;

pub(super) async fn lock(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command("sources lock", global, &invocation, streams, async |session| carry_out(global, session).await).await
}

/// What is not selected keeps its entry, if it is still in the project.
async fn carry_out(global: &Global, session: &Session) -> Result<Exit, Stop> {
    let ready = session.project()?;
    let selected = select_nodes(global, session, &ready)?;
    let engine = session.project_engine(&ready.project)?;
    // One that can't be read is written anew.
    let before = read_lock(session, &session.project_dir, &mut Vec::new());
    let known: BTreeSet<&str> = ready.project.nodes.keys().map(crate::manifest::NodeId::as_str).collect();
    let kept = |part: BTreeMap<String, LockedRelation>| part.into_iter().filter(|(id, _)| known.contains(id.as_str())).collect();
    let mut lock = SourcesLock { sources: kept(before.sources), tables: kept(before.tables), ..SourcesLock::default() };
    let (mut noted, mut missing) = (0, 0);
    for node in selected.iter().filter_map(|id| ready.project.nodes.get(id)) {
        let is_source = matches!(node.kind, NodeKind::Source { .. });
        if !is_source && !matches!(node.config.materialization, Materialization::Incremental | Materialization::Snapshot) {
            continue;
        }
        let part = if is_source { &mut lock.sources } else { &mut lock.tables };
        part.remove(node.id.as_str());
        match entry(engine.as_ref(), node).await {
            Ok(Some(entry)) => {
                noted += usize::from(is_source);
                part.insert(node.id.to_string(), entry);
            }
            // A table that is not built yet will be like the query says.
            Ok(None) if !is_source => {}
            Ok(None) => {
                missing += 1;
                session.events.send(&Event::Failed { message: format!("`{}` is not there: it is left out of {LOCK_FILE}", node.id) });
            }
            Err(error) => {
                missing += usize::from(is_source);
                session.events.send(&Event::Failed { message: format!("`{}` is left out of {LOCK_FILE}: {error}", node.id) });
            }
        }
    }
    let path = session.project_dir.join(LOCK_FILE);
    files::write_text(&path, &lock.text()).map_err(|error| session.fail(&error.to_string()))?;
    let text = format!("{LOCK_FILE}: {noted} source{} noted, {} table{}", plural(noted), lock.tables.len(), plural(lock.tables.len()));
    session.events.send(&Event::Message { text, heard: Heard::Terminal, node: None });
    Ok(if missing > 0 { Exit::Failed } else { Exit::Fine })
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

async fn entry(engine: &dyn Engine, node: &Node) -> Result<Option<LockedRelation>, EngineError> {
    let Some(relation) = &node.relation else { return Ok(None) };
    let Some(state) = engine.relation(relation).await? else { return Ok(None) };
    if !matches!(node.kind, NodeKind::Source { .. }) && state.kind != RelationKind::Table {
        return Ok(None);
    }
    let location = match &node.kind {
        NodeKind::Source { external: Some(external), .. } => external.config.location.clone(),
        NodeKind::Source { external: None, .. }
        | NodeKind::Model
        | NodeKind::Analysis
        | NodeKind::Described(_)
        | NodeKind::Function(_)
        | NodeKind::Seed { .. }
        | NodeKind::Snapshot
        | NodeKind::Test(_)
        | NodeKind::UnitTest(_) => relation.short(),
    };
    Ok(Some(locked(location, state)))
}

fn locked(location: String, state: RelationState) -> LockedRelation {
    let column = |field: &std::sync::Arc<deltalake::arrow::datatypes::Field>| LockedColumn {
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
        nullable: field.is_nullable(),
    };
    LockedRelation { location, version: state.version, columns: state.schema.fields().iter().map(column).collect(), constraints: state.constraints }
}
