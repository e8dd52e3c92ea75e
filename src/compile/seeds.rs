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

/// What the enforced contract of a seed and its file do not share: columns, by their names.
#[must_use]
pub fn seed_contract_difference(node: &Node, schema: Option<&SchemaRef>) -> Vec<Diagnostic> {
    let Some(schema) = schema.filter(|_| node.resource_type() == ResourceType::Seed && node.config.contract_enforced) else { return Vec::new() };
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let promised: Vec<&str> = node.columns.keys().map(String::as_str).collect();
    let has = |names: &[&str], wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let gone = node.columns.values().filter(|column| !has(&columns, &column.name)).map(|column| {
        let message = format!("the contract of the seed `{}` has a column `{}`, and its file has none", node.name, column.name);
        let diagnostic = Diagnostic::error(Code::ContractMismatch, message).at(column.span, "promised here");
        diagnostic.help_nearest(nearest(&column.name, columns.iter().copied()), format!("the file has {}", columns.join(", ")))
    });
    let more = columns.iter().filter(|name| !node.config.contract_subset && !has(&promised, name)).map(|name| {
        let message = format!("the file of the seed `{}` has a column `{name}` that its contract has not", node.name);
        let place = node.properties_span.unwrap_or(node.span);
        Diagnostic::error(Code::ContractMismatch, message).at(place, "this seed").help("list the column in the contract, or take it out of the file")
    });
    gone.chain(more).collect()
}
