//! `docs generate`: the manifest, and a catalog of the relations that are there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args::{GenerateOptions, Global, Switch};
use super::build::{counts, refuse_broken_rules};
use super::inspect::{compile_with, compiled_result};
use super::selecting::selected;
use super::session::{Ready, Session, Stop, command};
use super::{Exit, Invocation, Streams, artifacts, state};
use crate::artifacts::{CatalogColumn, CatalogTable, catalog_json, write_json};
use crate::base::Event;
use crate::engine::{Engine, RelationKind, RelationState};
use crate::manifest::{Node, NodeId, ResourceType};
use crate::sql::type_name;

pub(super) async fn generate(options: &GenerateOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command("generate", global, &invocation, streams, async |session| carry_out(options, global, session).await).await
}

/// There is no site yet, so there is nothing to serve.
pub(super) fn serve(streams: &Streams) -> Exit {
    streams.complain("error: `docs serve` is not there yet: `docs generate` writes manifest.json and catalog.json, which other sites can show\n");
    Exit::Unusable
}

async fn carry_out(options: &GenerateOptions, global: &Global, session: &Session) -> Result<Exit, Stop> {
    if options.static_page {
        return Err(
            session.fail("--static makes one page of the site, which is not there yet; without it, manifest.json and catalog.json are written")
        );
    }
    let mut ready = session.project()?;
    session.events.send(&Event::Found { counts: counts(&ready) });
    let wanted = selected(global, session, &ready)?;
    let engine = session.project_engine(&ready.project)?;
    if options.no_compile {
        artifacts::manifest(session, &ready.project)?;
    } else {
        compile_all(global, session, &mut ready, &wanted, &engine).await?;
    }
    let tables = if options.empty_catalog { Vec::new() } else { tables(session, &ready, &wanted, engine.as_ref()).await? };
    let path = ready.project.parsed.target_path.join("catalog.json");
    write_json(&path, &catalog_json(&artifacts::header(session), &tables)).map_err(|error| session.fail(&error.to_string()))?;
    session.events.send(&Event::ArtifactWritten { kind: "catalog", path: path.to_string_lossy().into_owned() });
    session.events.send(&Event::Message { text: format!("Catalog written to {}", path.display()), info: true, node: None });
    Ok(Exit::Fine)
}

async fn compile_all(global: &Global, session: &Session, ready: &mut Ready, wanted: &BTreeSet<NodeId>, engine: &Arc<dyn Engine>) -> Result<(), Stop> {
    state::defer(global, session, ready, wanted, engine.as_ref()).await?;
    let compiled = compile_with(session, ready, wanted, engine, global.is_on(Switch::Introspect)).await;
    refuse_broken_rules(session, &compiled)?;
    let broken: Vec<_> = compiled.failures().flat_map(|(_, found)| found.clone()).collect();
    if !broken.is_empty() {
        return Err(session.report(&broken));
    }
    artifacts::write(session, &compiled, None)?;
    let results = wanted.iter().filter_map(|id| compiled_result(session, &compiled, id)).collect();
    artifacts::results(session, &compiled.project, results)
}

/// What is there of the selected nodes; as many are looked up at a time as the target has threads.
async fn tables(session: &Session, ready: &Ready, wanted: &BTreeSet<NodeId>, engine: &dyn Engine) -> Result<Vec<CatalogTable>, Stop> {
    use futures::{StreamExt as _, TryStreamExt as _};
    let nodes = wanted.iter().filter_map(|id| ready.project.nodes.get(id)).filter(|node| is_cataloged(node));
    let looked_up = nodes.map(async |node| {
        let Some(relation) = &node.relation else { return Ok(None) };
        let state = engine.relation(relation).await.map_err(|error| session.fail(&error.to_string()))?;
        Ok::<_, Stop>(state.map(|state| table(node, relation.clone(), &state)))
    });
    let found: Vec<Option<CatalogTable>> = futures::stream::iter(looked_up).buffered(ready.project.target.threads.max(1)).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn is_cataloged(node: &Node) -> bool {
    match node.resource_type() {
        ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Source => true,
        ResourceType::Analysis
        | ResourceType::Exposure
        | ResourceType::Function
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
        | ResourceType::Test
        | ResourceType::UnitTest => false,
    }
}

fn table(node: &Node, relation: crate::manifest::RelationName, state: &RelationState) -> CatalogTable {
    let kind = match state.kind {
        RelationKind::Table => "BASE TABLE",
        RelationKind::View => "VIEW",
        RelationKind::Files => "EXTERNAL",
    };
    let comment = |name: &str| {
        // A quoted name is meant to the letter.
        let declared = node.columns.values().find(|column| if column.quote { column.name == name } else { column.name.eq_ignore_ascii_case(name) });
        declared.map(|column| column.description.clone()).filter(|text| node.config.persist_docs_columns && !text.is_empty())
    };
    let columns = state.schema.fields().iter().map(|field| CatalogColumn {
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
        comment: comment(field.name()),
    });
    CatalogTable {
        id: node.id.clone(),
        is_source: node.resource_type() == ResourceType::Source,
        relation,
        kind,
        comment: Some(node.description.clone()).filter(|text| node.config.persist_docs_relation && !text.is_empty()),
        columns: columns.collect(),
    }
}
