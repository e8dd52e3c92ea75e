//! What a source says of itself, held against its columns: their types, and what tells when its rows came.

use deltalake::arrow::datatypes::SchemaRef;
use serde_json::Value as Json;

use super::offline::Offline;
use super::record::Finding;
use crate::base::{Code, Diagnostic, Severity, Span};
use crate::compile::Planner;
use crate::load::ProjectDialect;
use crate::manifest::{ColumnDecl, Node, NodeKind};
use crate::resolve::Project;
use crate::sql::{SqlError, parse_type};

/// What is wrong with how a source is described or with its files, or that its columns are not known.
pub(super) fn about_source(project: &Project, planner: &Planner, offline: &Offline, node: &Node) -> Vec<Finding> {
    let NodeKind::Source { source_name, .. } = &node.kind else { return Vec::new() };
    let mut found: Vec<Diagnostic> = node.columns.values().filter_map(|column| unknown_type(project, node, column)).collect();
    let schema = offline.input(&node.id);
    if let Some(schema) = &schema {
        found.extend(wrong_freshness(project, planner, node, schema));
    }
    match offline.unreadable(&node.id) {
        Some(why) => found.push(why.clone()),
        None if schema.is_none() => found.push(unknown_source(project, node, source_name)),
        None => {}
    }
    found.into_iter().map(|diagnostic| Finding { node: Some(node.id.clone()), diagnostic }).collect()
}

/// dbt never reads the types that a source declares, so in a project for dbt they may be those of any database.
fn unknown_type(project: &Project, node: &Node, column: &ColumnDecl) -> Option<Diagnostic> {
    let why = parse_type(column.data_type.as_deref()?).err()?;
    let message = format!("the column `{}` of `{}` has no type that is known: {why}", column.name, node.label());
    let severity = match project.parsed.root.project.dialect {
        ProjectDialect::Alluvium => Severity::Error,
        ProjectDialect::Dbt => Severity::Warning,
    };
    let diagnostic = Diagnostic::error(Code::TypeUnknown, message).at(column.type_span.unwrap_or(column.span), "this type");
    Some(Diagnostic { severity, ..diagnostic.help("write it as a `cast` in a query would, e.g. `bigint`, `decimal(18, 2)` or `timestamp`") })
}

/// `loaded_at_field` and the `filter` of `freshness` are read over the columns of the source.
fn wrong_freshness(project: &Project, planner: &Planner, node: &Node, schema: &SchemaRef) -> Vec<Diagnostic> {
    let over = [(node.name.as_str(), schema)];
    let raw = &node.config.raw;
    // Nothing asks when the rows came.
    if raw.get("freshness").is_none_or(Json::is_null) {
        return Vec::new();
    }
    let of_source = project.place_of(node);
    let unreadable = |what: &str, text: &str, place: Span, error: SqlError| {
        let message = format!("the `{what}` of `{}` can't be read: {}", node.label(), error.message);
        let mut diagnostic = Diagnostic::error(error.code, message).at(place, "asked for here").note(format!("it says: {text}"));
        diagnostic.help = error.help;
        diagnostic
    };
    let field = raw.get("loaded_at_field").and_then(Json::as_str).and_then(|text| {
        let place = node.config.place("loaded_at_field").unwrap_or(of_source);
        Some(unreadable("loaded_at_field", text, place, *planner.wrong_value(text, &over)?))
    });
    let filter = raw.get("freshness").and_then(|rules| rules.get("filter")).and_then(Json::as_str).and_then(|text| {
        let place = node.config.place("freshness").unwrap_or(of_source);
        Some(unreadable("filter", text, place, *planner.wrong_condition(text, &over)?))
    });
    field.into_iter().chain(filter).collect()
}

/// A description need not list all that a table has, so a column that is missed may be one that it leaves out.
pub(super) fn noting_description(project: &Project, offline: &Offline, node: &Node, diagnostic: Diagnostic) -> Diagnostic {
    if diagnostic.code != Code::UnknownColumn {
        return diagnostic;
    }
    let described = node.depends_on.iter().filter(|id| offline.is_described(id)).filter_map(|id| project.nodes.get(id));
    described.fold(diagnostic, |diagnostic, source| {
        let path = source.properties_path.as_deref().unwrap_or(&source.original_path);
        let taken = format!("the columns of the source `{}` are taken to be those that `{path}` lists", source.name);
        diagnostic.note(format!("{taken}; if the table has others, list them or run `alluvium sources lock`"))
    })
}

fn unknown_source(project: &Project, node: &Node, source_name: &str) -> Diagnostic {
    Diagnostic::warning(Code::SourceUnknown, format!("the columns of the source `{source_name}.{}` are not known", node.name))
        .at(project.place_of(node), "this table")
        .note("what reads it is not proved")
        .help("run `alluvium sources lock` where the source can be read, or list all its columns with their `data_type`")
}
