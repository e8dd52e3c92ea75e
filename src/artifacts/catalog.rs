//! `catalog.json`, version 1: the relations that are there, with their columns as the warehouse has them.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{ArtifactHeader, Metadata, to_json};
use crate::manifest::{NodeId, RelationName};

/// A relation that is there.
#[derive(Debug, Clone)]
pub struct CatalogTable {
    pub id: NodeId,
    pub is_source: bool,
    pub relation: RelationName,
    /// `BASE TABLE`, `VIEW` or `EXTERNAL`.
    pub kind: &'static str,
    pub comment: Option<String>,
    pub columns: Vec<CatalogColumn>,
}

/// A column, in the order of the relation.
#[derive(Debug, Clone)]
pub struct CatalogColumn {
    pub name: String,
    pub data_type: String,
    pub comment: Option<String>,
}

/// The artifact as JSON, sorted by id.
#[must_use]
pub fn catalog_json(header: &ArtifactHeader, tables: &[CatalogTable]) -> Json {
    let of = |sources: bool| tables.iter().filter(|table| table.is_source == sources).map(|table| (table.id.as_str(), table_json(table))).collect();
    to_json(&Catalog {
        metadata: Metadata::new("https://schemas.getdbt.com/dbt/catalog/v1.json", header),
        nodes: of(false),
        sources: of(true),
        errors: None,
    })
}

#[derive(Debug, Serialize)]
struct Catalog<'a> {
    metadata: Metadata<'a>,
    nodes: BTreeMap<&'a str, Json>,
    sources: BTreeMap<&'a str, Json>,
    errors: Option<()>,
}

fn table_json(table: &CatalogTable) -> Json {
    let columns: IndexMap<&str, Json> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            (column.name.as_str(), json!({"type": column.data_type, "index": at + 1, "name": column.name, "comment": column.comment}))
        })
        .collect();
    json!({
        "metadata": {
            "type": table.kind, "schema": table.relation.schema, "name": table.relation.identifier,
            "database": table.relation.database, "comment": table.comment, "owner": null,
        },
        "columns": columns,
        "stats": {"has_stats": {
            "id": "has_stats", "label": "Has Stats?", "value": false, "include": false,
            "description": "Indicates whether there are statistics for this table",
        }},
        "unique_id": table.id.as_str(),
    })
}
