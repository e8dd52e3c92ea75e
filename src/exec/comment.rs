//! Comments: those of the project on the SQL that is sent, and those of `persist_docs` on columns.

use super::hooks::Ground;
use crate::base::{Code, Diagnostic, Event};
use crate::compile::{CompiledNode, query_comment};
use crate::manifest::{Node, NodeId};

/// Tells of SQL that is sent for a node, with the project's query comment. That the comment can be rendered was seen
/// before the run.
pub(super) async fn sent(ground: Ground<'_>, node: &NodeId, sql: &str) {
    let comment = query_comment(ground.project, node, ground.surroundings).await.unwrap_or_default();
    let sql = comment.map_or_else(|| sql.to_owned(), |comment| comment.on(sql));
    ground.events.send(&Event::SqlSent { node: node.to_string(), sql });
}

/// A warning about columns whose description is to be written to the table, which has them not.
pub(super) fn undescribed(node: &Node, compiled: &CompiledNode) -> Option<Diagnostic> {
    let schema = compiled.schema.as_ref().filter(|_| node.config.persist_docs_columns)?;
    let there = |name: &str, quote: bool| {
        schema.fields().iter().any(|field| if quote { field.name() == name } else { field.name().eq_ignore_ascii_case(name) })
    };
    let missing: Vec<_> = node.columns.values().filter(|column| !there(&column.name, column.quote)).collect();
    let names: Vec<&str> = missing.iter().map(|column| column.name.as_str()).collect();
    let first = missing.first()?;
    let message = format!("The following columns are specified in the schema but are not present in the database: {}", names.join(", "));
    let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    Some(Diagnostic::warning(Code::UnknownColumn, message).at(first.span, format!("`{}` has {}", node.name, found.join(", "))))
}
