//! What a node that keeps its rows needs: its own table, and columns that its config names.

use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;

use super::Surroundings;
use crate::base::{Code, Diagnostic, nearest};
use crate::manifest::{Materialization, Node, SnapshotStrategy};
use crate::resolve::Project;

/// The schema of the node's own table, if this build adds to it.
pub(super) async fn history(project: &Project, node: &Node, surroundings: &Arc<dyn Surroundings>) -> Option<SchemaRef> {
    match node.config.materialization {
        Materialization::Incremental if project.full_refresh(node) => None,
        Materialization::Incremental | Materialization::Snapshot => surroundings.table(node).await,
        Materialization::View
        | Materialization::Table
        | Materialization::Ephemeral
        | Materialization::Seed
        | Materialization::Test
        | Materialization::External
        | Materialization::Custom(_) => None,
    }
}

/// Columns that the config of an incremental model or a snapshot names and its query does not yield.
pub(super) fn unknown_columns(node: &Node, schema: &SchemaRef) -> Vec<Diagnostic> {
    let name = |option: &'static str, columns: &[String]| columns.iter().map(|column| (option, column.clone())).collect::<Vec<_>>();
    let mut wanted: Vec<(&'static str, String)> = Vec::new();
    if let Some(config) = &node.config.incremental {
        wanted.extend(name("unique_key", &config.unique_key));
        wanted.extend(name("merge_update_columns", &config.merge_update_columns));
        wanted.extend(name("merge_exclude_columns", &config.merge_exclude_columns));
    }
    if let Some(config) = &node.config.snapshot {
        wanted.extend(name("unique_key", &config.unique_key));
        match &config.strategy {
            SnapshotStrategy::Timestamp { updated_at } => wanted.push(("updated_at", updated_at.clone())),
            SnapshotStrategy::Check { columns } => wanted.extend(name("check_cols", columns.as_deref().unwrap_or_default())),
        }
    }
    let known = || schema.fields().iter().map(|field| field.name().as_str());
    wanted
        .into_iter()
        .filter(|(_, column)| !known().any(|name| name.eq_ignore_ascii_case(column)))
        .map(|(option, column)| {
            let help = nearest(&column, known())
                .map_or_else(|| format!("the columns are {}", known().collect::<Vec<_>>().join(", ")), |near| format!("did you mean `{near}`?"));
            Diagnostic::error(Code::UnknownColumn, format!("`{option}` of `{}` names `{column}`, which its query does not yield", node.name))
                .at(node.span, format!("this {}", node.resource_type().name()))
                .help(help)
        })
        .collect()
}
