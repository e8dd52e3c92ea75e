//! What building in batches needs of columns: the times by which inputs are filtered, and by which rows are replaced.

use deltalake::arrow::datatypes::{DataType, SchemaRef};

use super::host::event_time;
use super::planner::KnownTable;
use crate::base::{Code, Diagnostic, Sources, Span, nearest};
use crate::manifest::Node;
use crate::sql::{Semantics, type_name};

/// What is wrong with the `event_time` of a model that is built in batches, and of what it reads.
pub(super) fn wrong_times(node: &Node, query: &SchemaRef, sources: &Sources) -> Option<Diagnostic> {
    let config = node.config.incremental.as_ref().and_then(|config| config.microbatch())?;
    let place = named(node, &config.event_time, sources).unwrap_or(node.span);
    wrong_time(&format!("`{}`", node.name), &config.event_time, query, "which its query does not yield").map(|found| found.at(place, "set here"))
}

/// The same of what it reads, which is filtered by it.
pub(super) fn wrong_inputs(node: &Node, tables: &[KnownTable<'_>], sources: &Sources) -> Vec<Diagnostic> {
    if node.config.incremental.as_ref().and_then(|config| config.microbatch()).is_none() {
        return Vec::new();
    }
    let inputs = tables.iter().filter_map(|table| {
        let column = event_time(table.node, Semantics::default())?;
        let found = wrong_time(&format!("`{}`", table.node.label()), &column, &table.schema, "which it does not have")?;
        let place = named(table.node, &column, sources).or(table.node.properties_span).unwrap_or(node.span);
        Some(found.at(place, "set here").also(node.span, "this model is built in batches of it"))
    });
    inputs.collect()
}

/// Where a config names the time of a row.
fn named(node: &Node, column: &str, sources: &Sources) -> Option<Span> {
    let set = node.config.place("event_time")?;
    Some(sources.word(sources.argument(set, "event_time"), column.trim_matches('"')))
}

/// An expression is left to the planner, which sees it in the filter.
fn wrong_time(whose: &str, column: &str, schema: &SchemaRef, missing: &str) -> Option<Diagnostic> {
    let name = column.trim_matches('"');
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ') {
        return None;
    }
    let Some(field) = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)) else {
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let diagnostic = Diagnostic::error(Code::UnknownColumn, format!("`event_time` of {whose} names `{name}`, {missing}"));
        return Some(diagnostic.help_nearest(nearest(name, known.iter().copied()), format!("the columns are {}", known.join(", "))));
    };
    let found = field.data_type();
    let is_time = matches!(
        found,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    (!is_time).then(|| {
        let message = format!("`event_time` of {whose} is {}, expected a date or a timestamp", type_name(found));
        Diagnostic::error(Code::ConfigType, message).help("name the column with the time of a row, or cast it")
    })
}
