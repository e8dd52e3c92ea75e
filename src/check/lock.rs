//! `sources.lock`: the schemas of sources as they were when somebody looked, committed beside the project file.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::manifest::{ConstraintKind, Node, NodeId};
use crate::sql::{Semantics, parse_type};

/// The name of the file, in the project's folder.
pub const LOCK_FILE: &str = "sources.lock";

const FORMAT: u32 = 1;

/// The file. Maps are sorted by unique id, so that a change is a small diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesLock {
    /// Of the file's format.
    pub format: u32,
    pub sources: BTreeMap<String, LockedRelation>,
    /// The tables of incremental models and snapshots, which the next build adds to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, LockedRelation>,
}

/// One relation as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRelation {
    /// The relation's name, or the location of the files; never a path of one machine.
    pub location: String,
    /// Of the Delta log; files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    pub columns: Vec<LockedColumn>,
    /// Conditions that every row of the table fulfils, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
}

/// The file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LockError {
    pub message: String,
    /// From 1, where it is known.
    pub line: usize,
    pub column: usize,
}

impl Default for SourcesLock {
    fn default() -> Self {
        Self { format: FORMAT, sources: BTreeMap::new(), tables: BTreeMap::new() }
    }
}

impl SourcesLock {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// If it is not JSON of that shape, a newer format, or names an unknown type.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let lock: Self = serde_json::from_str(text).map_err(|error| {
            let whole = error.to_string();
            let message = whole.split(" at line ").next().unwrap_or_default().to_owned();
            LockError { message, line: error.line(), column: error.column() }
        })?;
        if lock.format != FORMAT {
            return Err(LockError { message: format!("its format is {}, this version reads {FORMAT}", lock.format), line: 1, column: 1 });
        }
        for (id, relation) in lock.sources.iter().chain(&lock.tables) {
            relation.schema().map_err(|why| LockError { message: format!("`{id}`: {why}"), line: 1, column: 1 })?;
        }
        Ok(lock)
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl LockedRelation {
    /// Its columns as the planner takes them.
    ///
    /// # Errors
    /// If a type is not known.
    pub fn schema(&self) -> Result<SchemaRef, String> {
        let field = |column: &LockedColumn| Ok(Field::new(&column.name, parse_type(&column.data_type)?, column.nullable));
        Ok(Arc::new(Schema::new(self.columns.iter().map(field).collect::<Result<Vec<_>, String>>()?)))
    }
}

/// What a node's declared columns say of its schema: something only if all of them have types that are known.
#[must_use]
pub fn declared_schema(node: &Node, semantics: Semantics) -> Option<SchemaRef> {
    if node.columns.is_empty() {
        return None;
    }
    let not_null = |kind: ConstraintKind| matches!(kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey);
    let fields = node.columns.values().map(|column| {
        let data_type = semantics.parse_type(column.data_type.as_deref()?).ok()?;
        Some(Field::new(&column.name, data_type, !column.constraints.iter().any(|constraint| not_null(constraint.kind))))
    });
    Some(Arc::new(Schema::new(fields.collect::<Option<Vec<_>>>()?)))
}

/// The schemas of a part of the lock, by the nodes of the project.
#[must_use]
pub fn locked_schemas(part: &BTreeMap<String, LockedRelation>) -> BTreeMap<NodeId, SchemaRef> {
    part.iter().filter_map(|(id, relation)| Some((NodeId::new(id.as_str()), relation.schema().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reads_as_it_was_written() {
        let column = |name: &str, data_type: &str, nullable| LockedColumn { name: name.into(), data_type: data_type.into(), nullable };
        let relation = LockedRelation {
            location: "raw.orders".into(),
            version: Some(7),
            columns: vec![column("id", "BIGINT", false), column("tags", "ARRAY<VARCHAR>", true)],
            constraints: BTreeMap::from([("positive".into(), "id > 0".into())]),
        };
        let lock = SourcesLock { sources: BTreeMap::from([("source.p.raw.orders".to_owned(), relation)]), ..SourcesLock::default() };
        assert_eq!(SourcesLock::parse(&lock.text()).unwrap(), lock);
    }

    #[test]
    fn what_is_no_lock_is_refused_with_its_place() {
        let error = SourcesLock::parse("{\n  \"format\": 1,\n  \"sources\": 3\n}").unwrap_err();
        assert_eq!(error.line, 3);
        assert!(SourcesLock::parse("{\"format\": 9, \"sources\": {}}").unwrap_err().message.contains("format is 9"));
        let unknown = "{\"format\":1,\"sources\":{\"s\":{\"location\":\"x\",\"columns\":[{\"name\":\"a\",\"type\":\"nope\",\"nullable\":true}]}}}";
        assert!(SourcesLock::parse(unknown).unwrap_err().message.contains("nope"));
    }
}
