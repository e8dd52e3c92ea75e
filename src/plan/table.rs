//! Steps that write rows: tables, seeds, external files, views.

use crate::base::{Code, Diagnostic};
use crate::compile::CompiledNode;
use crate::engine::{CommitLabel, FilesWrite, SchemaChange, SeedInput, TableInput, TableSettings, TableWrite, ViewWrite, WriteMode};
use crate::manifest::{Node, NodeKind, RelationName};
use crate::sql::Semantics;

use super::{PlanOptions, contract};

pub(super) fn table_write(node: &Node, relation: &RelationName, compiled: &CompiledNode, options: &PlanOptions) -> TableWrite {
    let input = seed_input(node).map_or_else(|| TableInput::Query(compiled.sql.clone()), TableInput::Seed);
    TableWrite {
        relation: relation.clone(),
        input,
        mode: WriteMode::Overwrite,
        schema_change: SchemaChange::default(),
        dedupe: None,
        columns: contract::columns(node, compiled.query_schema.as_ref(), options.semantics),
        checks: Some(contract::checks(node)),
        settings: settings(node),
        streams: options.streams.clone(),
        label: label(node, options),
    }
}

/// A node's table as a copy of another's rows, with the settings the node has here.
#[must_use]
pub fn copy_write(
    node: &Node,
    (relation, semantics): (&RelationName, Semantics),
    sql: String,
    partition_by: Vec<String>,
    label: CommitLabel,
) -> TableWrite {
    TableWrite {
        relation: relation.clone(),
        input: TableInput::Query(sql),
        mode: WriteMode::Overwrite,
        schema_change: SchemaChange::default(),
        dedupe: None,
        columns: contract::columns(node, None, semantics),
        checks: Some(contract::checks(node)),
        settings: TableSettings { partition_by, ..settings(node) },
        streams: Vec::new(),
        label,
    }
}

/// The file behind a seed; `None` for every other node.
#[must_use]
pub fn seed_input(node: &Node) -> Option<SeedInput> {
    let NodeKind::Seed { path } = &node.kind else { return None };
    Some(SeedInput { path: path.clone(), column_types: node.config.column_types.clone(), delimiter: node.config.delimiter, span: node.span })
}

pub(super) fn files_write(
    node: &Node,
    relation: &RelationName,
    compiled: &CompiledNode,
    options: &PlanOptions,
) -> Result<FilesWrite, Box<Diagnostic>> {
    let Some(config) = node.config.external.clone() else {
        return Err(Box::new(
            Diagnostic::error(Code::ConfigType, format!("the external model `{}` does not say where to write", node.name))
                .at(node.span, "this model")
                .help("add `location` to its config, e.g. location='exports/customers.csv'"),
        ));
    };
    let option_spans = node.config.option_places();
    Ok(FilesWrite { relation: relation.clone(), sql: compiled.sql.clone(), config, option_spans, label: label(node, options) })
}

pub(super) fn view_write(node: &Node, relation: &RelationName, compiled: &CompiledNode, options: &PlanOptions) -> ViewWrite {
    let description = (node.config.persist_docs_relation && !node.description.is_empty()).then(|| node.description.clone());
    // Whether a function is made shows in the warehouse.
    let proved = compiled.schema.is_some() && node.refs.iter().all(|reference| reference.function().is_none());
    ViewWrite { relation: relation.clone(), sql: compiled.sql.clone(), proved, description, label: label(node, options) }
}

fn label(node: &Node, options: &PlanOptions) -> CommitLabel {
    CommitLabel { run_id: options.run_id.clone(), node: node.id.to_string() }
}

fn settings(node: &Node) -> TableSettings {
    let column_comments = if node.config.persist_docs_columns {
        let described = node.columns.iter().filter(|(_, column)| !column.description.is_empty());
        described.map(|(name, column)| (name.clone(), column.description.clone())).collect()
    } else {
        indexmap::IndexMap::new()
    };
    TableSettings {
        partition_by: node.config.partition_by.clone(),
        properties: node.config.table_properties.clone(),
        change_feed: node.config.change_feed.unwrap_or(true),
        switch_change_feed: node.config.change_feed,
        description: (node.config.persist_docs_relation && !node.description.is_empty()).then(|| node.description.clone()),
        column_comments,
        column_defaults: indexmap::IndexMap::new(),
    }
}
