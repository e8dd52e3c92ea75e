//! What hooks at the end of a run see of it: `results`, `schemas` and `database_schemas`, in dbt's shape.

use serde_json::{Map, Value as Json, json};

use crate::base::NodeOutcome;
use crate::manifest::{Node, NodeResult, compiled_path, run_path};
use crate::resolve::Project;

/// The values by name.
pub(super) fn end_values(project: &Project, results: &[NodeResult]) -> Map<String, Json> {
    let (mut schemas, mut pairs) = (Vec::new(), Vec::new());
    for result in results.iter().filter(|result| result.outcome == NodeOutcome::Success) {
        let Some(relation) = project.nodes.get(&result.id).and_then(|node| node.relation.as_ref()) else { continue };
        let (schema, pair) = (json!(relation.schema), json!([relation.database, relation.schema]));
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
    }
    // In the order of their names: that in which nodes end is no order.
    let text = |json: &Json| json.to_string();
    schemas.sort_by_key(text);
    pairs.sort_by_key(text);
    let mut nodes = project.node_jsons(results.iter().filter_map(|result| project.nodes.get(&result.id).map(AsRef::as_ref)));
    let rows = results.iter().map(|result| {
        let node = project.nodes.get(&result.id).and_then(|node| Some(with_code(project, node, result, nodes.remove(&node.id)?)));
        row(result, node.unwrap_or(Json::Null))
    });
    let rows = Json::Array(rows.collect());
    Map::from_iter([("results".to_owned(), rows), ("schemas".to_owned(), Json::Array(schemas)), ("database_schemas".to_owned(), Json::Array(pairs))])
}

fn row(result: &NodeResult, node: Json) -> Json {
    let at = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let timing = result.timing().into_iter().map(|(name, span)| json!({"name": name, "started_at": at(span.start), "completed_at": at(span.end)}));
    json!({
        "status": result.outcome.status(),
        "timing": timing.collect::<Vec<_>>(),
        "thread_id": result.thread,
        "execution_time": result.seconds(),
        "adapter_response": result.adapter_response(),
        // Of what did not run, dbt says nothing here.
        "message": result.shown_message().filter(|_| result.outcome != NodeOutcome::Skipped),
        "failures": result.counted_failures(),
        "node": node,
        "agate_table": null,
        "batch_results": null,
    })
}

/// A node with what compiling it came to.
fn with_code(project: &Project, node: &Node, result: &NodeResult, mut json: Json) -> Json {
    let Some(map) = json.as_object_mut().filter(|map| map.contains_key("raw_code")) else { return json };
    let parsed = &project.parsed;
    let target = parsed.target_path.strip_prefix(&parsed.root.root_dir).unwrap_or(&parsed.target_path);
    let below = |path: String| target.join(path).to_string_lossy().replace('\\', "/");
    let ran = !matches!(result.outcome, NodeOutcome::Skipped | NodeOutcome::NoOp);
    map.insert("build_path".to_owned(), json!(ran.then(|| below(run_path(node)))));
    if map.contains_key("compiled_path") {
        let code = result.compiled_sql.as_ref();
        map.insert("compiled_path".to_owned(), json!(code.map(|_| below(compiled_path(node)))));
        map.insert("compiled".to_owned(), json!(code.is_some()));
        map.insert("compiled_code".to_owned(), json!(code));
    }
    json
}
