//! What the config of a seed says of columns.

use deltalake::arrow::datatypes::SchemaRef;

use crate::base::{Code, Diagnostic, nearest};
use crate::manifest::{Node, ResourceType};

/// `column_types` of a seed for columns that its file does not have.
#[must_use]
pub fn unknown_column_types(node: &Node, schema: Option<&SchemaRef>) -> Vec<Diagnostic> {
    let Some(schema) = schema.filter(|_| node.resource_type() == ResourceType::Seed) else { return Vec::new() };
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let unknown = node.config.column_types.keys().filter(|name| !columns.iter().any(|column| column.eq_ignore_ascii_case(name)));
    let place = node.config.place("column_types").or(node.properties_span).unwrap_or(node.span);
    unknown
        .map(|name| {
            Diagnostic::warning(
                Code::UnknownColumn,
                format!("`column_types` names the column `{name}`, which the seed `{}` does not have", node.name),
            )
            .at(place, "set here")
            .help_nearest(nearest(name, columns.iter().copied()), format!("the columns are {}", columns.join(", ")))
        })
        .collect()
}
