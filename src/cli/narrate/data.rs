//! The data of structured lines, with dbt's field names.

use serde_json::{Value as Json, json};

use super::super::record::timestamp;
use super::words::description;
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

pub(super) fn node_info(start: &NodeStart, done: Option<&NodeDone>) -> Json {
    let relation = start.relation.as_ref().map_or_else(
        || json!({"database": "", "schema": "", "alias": "", "relation_name": ""}),
        |name| json!({"database": name.database, "schema": name.schema, "alias": name.identifier, "relation_name": name.quoted}),
    );
    json!({
        "node_name": start.name, "unique_id": start.id, "resource_type": start.resource_type, "materialized": start.materialization,
        "node_path": start.path, "node_status": done.map_or("started", |done| done.outcome.status()),
        "node_started_at": timestamp(start.at), "node_finished_at": done.map_or_else(String::new, |done| timestamp(done.finished_at)),
        "node_relation": relation, "meta": {},
    })
}

pub(super) fn result_data(done: &NodeDone) -> Json {
    let start = &done.start;
    let mut data = json!({
        "node_info": node_info(start, Some(done)), "index": start.index, "total": start.total,
        "status": done.outcome.status(), "execution_time": done.elapsed_seconds,
    });
    let relation = |part: fn(&RelationParts) -> &String| start.relation.as_ref().map_or("", |name| part(name).as_str());
    let more = match (done.outcome, start.resource_type.as_str()) {
        (NodeOutcome::Skipped, kind) => {
            json!({"resource_type": kind, "schema": relation(|name| &name.schema), "node_name": start.name, "reason": done.message})
        }
        (_, "test") => json!({"name": start.name, "num_models": start.total, "num_failures": done.rows.unwrap_or(0)}),
        (_, "seed") => {
            json!({"result_message": done.message, "schema": relation(|name| &name.schema), "relation": relation(|name| &name.identifier)})
        }
        _ => json!({"description": description(start), "result_message": done.message}),
    };
    if let (Json::Object(data), Json::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    data
}
