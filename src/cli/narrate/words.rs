//! The wording of dbt's lines: how nodes, results, counts and times are put.

use super::super::record::{Paint, Text};
use crate::base::{NodeDone, NodeOutcome, NodeStart, visible_line};

/// dbt's line about a node: position, text, dots up to the width, status, time.
pub(super) fn fancy(what: &str, (node, width): (&NodeStart, usize), status: &Text, seconds: Option<f64>) -> Text {
    let what = format!("{} of {} {} ", node.index, node.total, visible_line(what));
    let length = what.chars().count();
    // A long name is not cut: it is what one looks for.
    let padded = what + &".".repeat(width.saturating_sub(length));
    let line = Text::new(padded + " [").with(status);
    match seconds {
        Some(seconds) => line.then(&format!(" in {seconds:.2}s]")),
        None => line.then("]"),
    }
}

/// What a node is, in the words of dbt's lines.
pub(super) fn description(start: &NodeStart) -> String {
    let relation = relation_words(start);
    match start.resource_type.as_str() {
        "test" => format!("test {}", start.name),
        "seed" => format!("seed file {relation}"),
        "snapshot" => format!("snapshot {relation}"),
        "model" if start.microbatch => format!("sql microbatch model {relation}"),
        "model" => format!("sql {} model {relation}", start.materialization),
        "operation" => format!("hook: {}", start.name),
        "saved_query" => format!("saved query {}", start.name),
        "source" => format!("freshness of {}", start.name),
        "clone" => format!("clone {relation}"),
        other => format!("{other} {}", start.name),
    }
}

/// A batch of a node.
pub(super) fn batch_words(batch: &str, start: &NodeStart) -> String {
    format!("batch {batch} of {}", relation_words(start))
}

pub(super) fn relation_words(start: &NodeStart) -> String {
    start.relation.as_ref().map_or_else(|| start.name.clone(), |relation| format!("{}.{}", relation.schema, relation.identifier))
}

/// What stands in front of the dots, and the status behind them.
pub(super) fn result_words(done: &NodeDone) -> (String, Text) {
    let start = &done.start;
    let is_test = matches!(start.resource_type.as_str(), "test" | "unit_test");
    let rows = failing_rows(done).unwrap_or(0);
    let status = |paint, text: &str| Text::painted(paint, &visible_line(text));
    match done.outcome {
        NodeOutcome::Skipped if matches!(start.resource_type.as_str(), "model" | "seed" | "snapshot") => {
            (format!("SKIP relation {}", relation_words(start)), status(Paint::Yellow, "SKIP"))
        }
        NodeOutcome::Skipped if start.resource_type == "operation" => (format!("SKIP {}", description(start)), status(Paint::Yellow, "SKIP")),
        NodeOutcome::Error if start.resource_type == "operation" => (format!("ERROR {}", description(start)), status(Paint::Red, "ERROR")),
        NodeOutcome::Success if start.resource_type == "operation" => (format!("OK {}", description(start)), status(Paint::Green, "OK")),
        NodeOutcome::Skipped => (format!("SKIP {} {}", start.resource_type, start.name), status(Paint::Yellow, "SKIP")),
        NodeOutcome::NoOp => (format!("NO-OP {}", description(start)), status(Paint::Yellow, "NO-OP")),
        NodeOutcome::Pass if start.resource_type == "source" => (format!("PASS {}", description(start)), status(Paint::Green, "PASS")),
        NodeOutcome::Warn if start.resource_type == "source" => (format!("WARN {}", description(start)), status(Paint::Yellow, "WARN")),
        NodeOutcome::Fail if start.resource_type == "source" => (format!("ERROR STALE {}", description(start)), status(Paint::Red, "ERROR STALE")),
        NodeOutcome::Error if start.resource_type == "source" => (format!("ERROR {}", description(start)), status(Paint::Red, "ERROR")),
        NodeOutcome::Pass => (format!("PASS {}", start.name), status(Paint::Green, "PASS")),
        NodeOutcome::Warn => (format!("WARN {rows} {}", start.name), status(Paint::Yellow, &format!("WARN {rows}"))),
        NodeOutcome::Fail => (format!("FAIL {rows} {}", start.name), status(Paint::Red, &format!("FAIL {rows}"))),
        NodeOutcome::Error if is_test => (format!("ERROR {}", start.name), status(Paint::Red, "ERROR")),
        NodeOutcome::Error => (format!("ERROR {} {}", verbs(start).1, built_words(start)), status(Paint::Red, "ERROR")),
        NodeOutcome::PartialSuccess => {
            let share = done.message.lines().next().unwrap_or_default();
            (format!("PARTIALLY created {}", description(start)), status(Paint::Yellow, share))
        }
        NodeOutcome::Success => {
            let message = if done.message.is_empty() { "OK" } else { done.message.as_str() };
            (format!("OK {} {}", verbs(start).0, built_words(start)), status(Paint::Green, message))
        }
    }
}

/// As [`description`], behind a verb: "snapshotted" says that it is a snapshot.
fn built_words(start: &NodeStart) -> String {
    if matches!(start.resource_type.as_str(), "snapshot" | "clone") { relation_words(start) } else { description(start) }
}

fn verbs(start: &NodeStart) -> (&'static str, &'static str) {
    match start.resource_type.as_str() {
        "seed" => ("loaded", "loading"),
        "snapshot" => ("snapshotted", "snapshotting"),
        "clone" => ("cloned", "cloning"),
        _ => ("created", "creating"),
    }
}

pub(super) fn failing_rows(done: &NodeDone) -> Option<u64> {
    matches!(done.start.resource_type.as_str(), "test" | "unit_test").then_some(done.rows).flatten()
}

/// Singular and plural of what was found.
pub(super) fn kind_words(kind: &str) -> (String, String) {
    match kind {
        "test" => words("data test"),
        "unit_test" => words("unit test"),
        "analysis" => ("analysis".to_owned(), "analyses".to_owned()),
        "saved_query" => ("saved query".to_owned(), "saved queries".to_owned()),
        other => words(&visible_line(other).replace('_', " ")),
    }
}

/// Singular and plural of what ran: models by how they are materialized.
pub(super) fn ran_words(start: &NodeStart) -> (String, String) {
    match start.resource_type.as_str() {
        "model" => words(&format!("{} model", visible_line(&start.materialization))),
        "operation" => words("project hook"),
        other => kind_words(other),
    }
}

pub(super) fn words(singular: &str) -> (String, String) {
    (singular.to_owned(), format!("{singular}s"))
}

pub(super) fn counted(count: usize, (singular, plural): &(String, String)) -> String {
    format!("{count} {}", if count == 1 { singular } else { plural })
}

pub(super) fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

pub(super) fn duration_words(seconds: f64) -> String {
    let (hours, rest) = ((seconds / 3600.0).floor(), seconds.max(0.0) % 3600.0);
    format!("{hours:.0} hours {:.0} minutes and {:.2} seconds", (rest / 60.0).floor(), rest % 60.0)
}

pub(super) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
