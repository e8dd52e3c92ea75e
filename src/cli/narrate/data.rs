//! The data of structured lines, with dbt's field names.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::super::record::timestamp;
use super::words::{description, failing_rows, relation_words};
use crate::base::{Diagnostic, NodeDone, NodeOutcome, NodeStart, RelationParts, Sources};

pub(super) fn diagnostic_data(diagnostic: &Diagnostic, sources: &Sources, node: Option<&str>) -> Json {
    let places = diagnostic.labels.iter().map(|label| {
        let (start, end) = (sources.position(label.span.file, label.span.start), sources.position(label.span.file, label.span.end));
        json!({
            "path": sources.file(label.span.file).path, "line": start.line, "column": start.column,
            "end_line": end.line, "end_column": end.column, "text": label.text, "primary": label.primary,
        })
    });
    json!({
        "code": diagnostic.code.name(), "message": diagnostic.message, "labels": places.collect::<Vec<_>>(),
        "notes": diagnostic.notes, "help": diagnostic.help, "node_info": node.map(|id| json!({"unique_id": id})),
    })
}

/// A time as dbt has it of a node: in UTC, without saying so.
fn moment(at: DateTime<Utc>) -> String {
    timestamp(at).trim_end_matches('Z').to_owned()
}

/// `run_result` of a node that ended.
pub(super) fn run_result(done: &NodeDone) -> Json {
    let start = &done.start;
    let ran = !matches!(done.outcome, NodeOutcome::Skipped);
    let execute = json!({"name": "execute", "started_at": timestamp(start.at), "completed_at": timestamp(done.finished_at)});
    json!({
        "status": status(done), "message": done.message, "thread": start.thread, "execution_time": done.elapsed_seconds,
        "timing_info": ran.then_some(execute).into_iter().collect::<Vec<_>>(), "adapter_response": adapter_response(done),
        "num_failures": failing_rows(done).unwrap_or(0),
    })
}

/// What the engine said of a node that went through, as in the run's results.
fn adapter_response(done: &NodeDone) -> Json {
    match done.outcome {
        _ if done.start.resource_type == "operation" => json!({}),
        NodeOutcome::Success => match done.rows {
            Some(rows) => json!({"_message": done.message, "rows_affected": rows}),
            None => json!({"_message": done.message}),
        },
        NodeOutcome::Pass | NodeOutcome::Warn | NodeOutcome::Fail => json!({"_message": "OK"}),
        NodeOutcome::Error | NodeOutcome::PartialSuccess | NodeOutcome::Skipped | NodeOutcome::NoOp => json!({}),
    }
}

/// dbt's word for how a node ended; of a source it says whether it is stale or could not be asked.
fn status(done: &NodeDone) -> &'static str {
    match done.outcome {
        NodeOutcome::Fail if done.start.resource_type == "source" => "error",
        NodeOutcome::Error if done.start.resource_type == "source" => "runtime error",
        outcome => outcome.status(),
    }
}

pub(super) fn node_info(start: &NodeStart, done: Option<&NodeDone>) -> Json {
    let relation = start.relation.as_ref().map_or_else(
        || json!({"database": "", "schema": "", "alias": "", "relation_name": ""}),
        |name| json!({"database": name.database, "schema": name.schema, "alias": name.identifier, "relation_name": name.quoted}),
    );
    // A hook has the name of its node, and a file that is none.
    let hook = (start.resource_type == "operation").then(|| start.id.rsplit('.').next().unwrap_or_default());
    // Lines name a source with its table, which is the node.
    let table = start.name.split_once('.').filter(|_| start.resource_type == "source").map(|(_, table)| table);
    let path = match hook {
        Some(name) => format!("hooks/{name}.sql"),
        None if start.about.path.is_empty() => start.path.clone(),
        None => start.about.path.clone(),
    };
    json!({
        "node_name": hook.unwrap_or_else(|| table.unwrap_or(&start.name)), "unique_id": start.id, "resource_type": start.resource_type, "materialized": start.materialization,
        "node_path": path,
        "node_status": done.map_or("started", status), "node_started_at": moment(start.at),
        "node_finished_at": done.map_or_else(String::new, |done| moment(done.finished_at)),
        "node_relation": relation, "node_checksum": start.about.checksum, "meta": start.about.meta,
    })
}

pub(super) fn result_data(done: &NodeDone) -> Json {
    let start = &done.start;
    let mut data = json!({
        "node_info": node_info(start, Some(done)), "index": start.index, "total": start.total,
        "status": status(done), "execution_time": done.elapsed_seconds,
    });
    if let (Some(group), Some(data)) = (&start.about.group, data.as_object_mut()) {
        data.insert("group".into(), group.clone());
    }
    let relation = |part: fn(&RelationParts) -> &String| start.relation.as_ref().map_or("", |name| part(name).as_str());
    let more = match (done.outcome, start.resource_type.as_str()) {
        (NodeOutcome::Skipped, kind) => {
            json!({"resource_type": kind, "schema": relation(|name| &name.schema), "node_name": start.name, "reason": done.message})
        }
        (_, "test" | "unit_test") => json!({
            "name": start.name, "num_models": start.total, "num_failures": done.rows.unwrap_or(0),
            "attached_node": start.about.attached.as_deref().unwrap_or_default(),
        }),
        (_, "operation") => json!({"statement": start.name}),
        (_, "source") => {
            let (source, table) = start.name.split_once('.').unwrap_or(("", &start.name));
            json!({"source_name": source, "table_name": table})
        }
        // As in dbt, the status of a model that went well is what its adapter said.
        (NodeOutcome::Success, "model" | "function") => {
            json!({"description": description(start), "status": if done.message.is_empty() { "OK" } else { done.message.as_str() }})
        }
        (_, "seed") => {
            json!({"result_message": done.message, "schema": relation(|name| &name.schema), "relation": relation(|name| &name.identifier)})
        }
        (_, "snapshot") => json!({"description": relation_words(start), "result_message": done.message}),
        _ => json!({"description": description(start), "result_message": done.message}),
    };
    if let (Json::Object(data), Json::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    data
}
