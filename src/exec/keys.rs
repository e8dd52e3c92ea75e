//! Rules about rows and keys that a node has to keep before it is published, and what to say where it does not.

use futures::TryStreamExt as _;
use serde_json::Value as Json;

use super::run::Shared;
use crate::base::{Code, Diagnostic};
use crate::engine::{BrokenRule, EngineError, Overlay, StageId, Violation, json_rows};
use crate::manifest::Node;
use crate::plan::{KeyCheck, KeyRule, rule_place};
use crate::sql::sql_error;

/// Refuses rows whose keys break a rule, naming some. What the rule lets pass is a warning.
///
/// # Errors
/// If there are such rows, or the query fails.
pub(super) async fn check(shared: &Shared, node: &Node, keys: &KeyCheck, stage: Option<StageId>) -> Result<Option<Diagnostic>, EngineError> {
    let overlay = stage.zip(node.relation.clone()).map(|(stage, name)| Overlay::Stage { name, stage });
    // The query is ours: places in it say nothing to the user.
    let failed = |error| match error {
        EngineError::Sql(mut inner) => {
            inner.range = None;
            EngineError::Sql(inner)
        }
        other => other,
    };
    let of_rows = |error| failed(EngineError::Sql(Box::new(sql_error(&error, &keys.sql))));
    let stream = shared.engine.query(&keys.sql, overlay.as_slice()).await.map_err(failed)?;
    let batches: Vec<_> = stream.try_collect().await.map_err(of_rows)?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(json_rows(batch).map_err(|error| of_rows(error.into()))?);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let found = broken(node, keys, &rows);
    if found.is_error() { Err(EngineError::Diagnosed(Box::new(found))) } else { Ok(Some(found)) }
}

fn broken(node: &Node, keys: &KeyCheck, rows: &[Vec<Json>]) -> Diagnostic {
    let columns = keys.columns.join(", ");
    let name = &node.name;
    let examples = |words: fn(&Json) -> String| {
        let shown: Vec<String> =
            rows.iter().filter_map(|row| row.split_last()).map(|(times, key)| format!("{}{}", tuple(key), words(times))).collect();
        format!("for example {}", shown.join(", "))
    };
    match &keys.rule {
        KeyRule::OneRow { refuses } => {
            let message = format!("the query of `{name}` yields rows with the same key ({columns})");
            let found = if *refuses { Diagnostic::error(Code::DuplicateKey, message) } else { Diagnostic::warning(Code::DuplicateKey, message) };
            found
                .at(node.span, format!("this {}", node.resource_type().name()))
                .note(examples(|times| format!(" {times} times")))
                .help("make the key unique in the query")
        }
        KeyRule::Unique { constraint, span } => {
            Diagnostic::error(Code::ConstraintViolated, format!("`{name}` would have rows with the same key ({columns})"))
                .at(*span, format!("this `{}` constraint", constraint.name()))
                .note(examples(|times| format!(" {times} times")))
                .help("make the key unique in the query")
        }
        KeyRule::Foreign { to, span } => {
            Diagnostic::error(Code::ConstraintViolated, format!("`{name}` would have keys ({columns}) that are not in {to}"))
                .at(*span, "this `foreign_key` constraint")
                .note(examples(|times| if times.as_u64() == Some(1) { String::new() } else { format!(" {times} times") }))
                .help("add the missing rows to the other table, or leave these rows out")
        }
        KeyRule::Batch { condition } => {
            let shown: Vec<String> = rows.iter().map(|row| tuple(row)).collect();
            Diagnostic::error(Code::SqlInvalid, format!("a batch of `{name}` yields rows of another time"))
                .at(node.span, "this model")
                .note(format!("for example {}", shown.join(", ")))
                .note(format!("they do not have {condition}"))
                .help("filter the query by the model's own `event_time`, or set `event_time` to the column by which its inputs are filtered")
        }
        KeyRule::Rows { rule, span } => {
            let shown: Vec<String> = rows.iter().map(|row| tuple(row)).collect();
            violation(node, rule, shown.len()).at(*span, "this constraint").note(format!("for example {}", shown.join(", ")))
        }
    }
}

fn tuple(values: &[Json]) -> String {
    let shown: Vec<String> = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    format!("({})", shown.join(", "))
}

fn violation(node: &Node, rule: &BrokenRule, rows: usize) -> Diagnostic {
    let rows = if rows == 1 { "a row".to_owned() } else { format!("{rows} rows") };
    let message = match rule {
        BrokenRule::NotNull { column } => format!("{rows} of `{}` would have no `{column}`", node.name),
        BrokenRule::Check(check) => format!("{rows} of `{}` would break the constraint `{}`: {}", node.name, check.name, check.expression),
    };
    Diagnostic::error(Code::ConstraintViolated, message).help("mend or leave out such rows in the query, or change the constraint")
}

/// What to say of rows that break a rule of the node's table.
pub(super) fn violated(node: &Node, broken: &Violation) -> Diagnostic {
    let diagnostic = violation(node, &broken.rule, broken.rows).note(format!("for example {}", broken.shown.join(", ")));
    match rule_place(node, &broken.rule) {
        Some(span) => diagnostic.at(span, "this constraint"),
        None => diagnostic.at(node.span, format!("this {}", node.resource_type().name())).note("the table has the rule from elsewhere"),
    }
}
