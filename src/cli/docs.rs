//! `docs generate`: the manifest, a catalog of the relations that are there, and on demand a page that shows both.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::args::{GenerateOptions, Global, Switch};
use super::build::{counts, refuse_broken_rules};
use super::inspect::{compile_with, compiled_result};
use super::selecting::selected;
use super::session::{Ready, Session, Stop, command};
use super::{Exit, Invocation, Streams, artifacts, state};
use crate::artifacts::{CatalogColumn, CatalogTable, catalog_json, write_json};
use crate::base::files::{self, read_text, write_text};
use crate::base::{Diagnostic, Event, FileError, Heard, Severity};
use crate::engine::{Engine, RelationKind, RelationState};
use crate::manifest::{Node, NodeId, ResourceType};
use crate::sql::type_name;

pub(super) async fn generate(options: &GenerateOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command("generate", global, &invocation, streams, async |session| carry_out(options, global, session).await).await
}

/// The site is one page, which needs no server.
pub(super) fn serve(streams: &Streams) -> Exit {
    streams.complain(
        "error: `docs serve` is not there yet: `docs generate --static` writes the page target/static_index.html, which a browser can open\n",
    );
    Exit::Unusable
}

async fn carry_out(options: &GenerateOptions, global: &Global, session: &Session) -> Result<Exit, Stop> {
    if options.static_page && !session.write_json {
        return Err(session.fail("the page of --static shows manifest.json, which --no-write-json leaves out; give one of the two"));
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
    let target = &ready.project.parsed.target_path;
    let path = target.join("catalog.json");
    let catalog = catalog_json(&artifacts::header(session), &tables);
    write_json(&path, &catalog).map_err(|error| session.fail(&error.to_string()))?;
    session.events.send(&Event::ArtifactWritten { kind: "catalog", path: path.to_string_lossy().into_owned() });
    session.events.send(&Event::Message { text: format!("Catalog written to {}", path.display()), heard: Heard::Terminal, node: None });
    copy_assets(session, &ready.project.parsed.root.project.paths.assets, target)?;
    if options.static_page {
        let page = write_page(target, &catalog).map_err(|error| session.fail(&error.to_string()))?;
        session.events.send(&Event::Message { text: format!("Page written to {}", page.display()), heard: Heard::Terminal, node: None });
    }
    Ok(Exit::Fine)
}

/// Puts the folders of `asset-paths` below the target folder, where the texts of the docs look for pictures.
fn copy_assets(session: &Session, folders: &[String], target: &Path) -> Result<(), Stop> {
    for folder in folders {
        let from = session.project_dir.join(folder);
        let climbs = Path::new(folder).components().any(|part| !matches!(part, Component::Normal(_)));
        if climbs {
            return Err(
                session.fail(&format!("`{folder}` of asset-paths is no folder inside of the project, so it can't be copied into the target folder"))
            );
        }
        let (from, to) = (files::absolute(&from), files::absolute(target).join(folder));
        // A target folder that the project lies in is not the program's to tidy up, and may be where the assets are.
        if from == to {
            continue;
        }
        if to.starts_with(&from) {
            return Err(session.fail(&format!("`{folder}` of asset-paths holds the target folder, so it can't be copied into it")));
        }
        let is_own = !files::absolute(&session.project_dir).starts_with(files::absolute(target));
        let cleared = if is_own { files::remove_dir(&to) } else { Ok(()) };
        cleared
            .and_then(|()| if files::is_dir(&from) { files::copy_dir(&from, &to) } else { Ok(()) })
            .map_err(|error| session.fail(&error.to_string()))?;
    }
    Ok(())
}

const PAGE: &str = include_str!("docs/page.html");

/// Writes one page that holds the manifest and the catalog, under dbt's name for it.
fn write_page(target: &Path, catalog: &Json) -> Result<PathBuf, FileError> {
    let manifest = read_text(&target.join("manifest.json"))?;
    // Nothing in the data may end the element that it stands in.
    let inside = |json: &str| json.replace('<', "\\u003c");
    let (before, rest) = PAGE.split_once("@MANIFEST@").unwrap_or((PAGE, ""));
    let (between, after) = rest.split_once("@CATALOG@").unwrap_or((rest, ""));
    let page = [before, &inside(&manifest), between, &inside(&catalog.to_string()), after].concat();
    let path = target.join("static_index.html");
    write_text(&path, &page)?;
    Ok(path)
}

/// Compiles what the docs show the text of. As in dbt, only templates have to be right: SQL that is not understood is a warning,
/// and unit tests and models in Python are not looked at.
async fn compile_all(global: &Global, session: &Session, ready: &mut Ready, wanted: &BTreeSet<NodeId>, engine: &Arc<dyn Engine>) -> Result<(), Stop> {
    state::defer(global, session, ready, wanted, engine.as_ref()).await?;
    let is_shown = |node: &Node| node.resource_type() != ResourceType::UnitTest && node.language != "python";
    let shown: BTreeSet<NodeId> = wanted.iter().filter(|id| ready.project.nodes.get(id).is_some_and(|node| is_shown(node))).cloned().collect();
    let compiled = compile_with(session, ready, &shown, engine, global.is_on(Switch::Introspect)).await;
    refuse_broken_rules(session, &compiled)?;
    let (understood, broken): (Vec<_>, Vec<_>) = compiled.failures().partition(|(id, _)| compiled.sql(id).is_some());
    let broken: Vec<Diagnostic> = broken.into_iter().flat_map(|(_, found)| found.clone()).collect();
    if !broken.is_empty() {
        return Err(session.report(&broken));
    }
    for diagnostic in understood.into_iter().flat_map(|(_, found)| found) {
        session.diagnosed(&Diagnostic { severity: Severity::Warning, ..diagnostic.clone() });
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
        let state = match engine.relation(relation).await {
            Ok(state) => state,
            // Files that are not there, or not to be reached, are a source that is not there.
            Err(_) if node.resource_type() == ResourceType::Source => None,
            Err(error) => return Err(session.fail(&error.to_string())),
        };
        Ok::<_, Stop>(state.map(|state| table(node, relation.clone(), &state)))
    });
    let found: Vec<Option<CatalogTable>> = futures::stream::iter(looked_up).buffered(ready.project.target.threads.max(1)).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn is_cataloged(node: &Node) -> bool {
    match node.resource_type() {
        // A test has a relation where it stores what fails.
        ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Source | ResourceType::Test => true,
        ResourceType::Analysis
        | ResourceType::Exposure
        | ResourceType::Function
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
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
