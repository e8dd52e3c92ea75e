//! What dbt tells of a generic test, in its manifest and to templates.

use serde_json::{Value as Json, json};

use super::{GenericTest, Node, NodeKind, ResourceType, TestDetails};

/// `test_metadata`: the test's name, its package, and what it is given.
pub(crate) fn test_metadata(details: &TestDetails, generic: &GenericTest, attached: Option<&Node>) -> Json {
    let mut kwargs = generic.arguments.clone();
    if let Some(column) = &details.column {
        kwargs.entry("column_name").or_insert_with(|| json!(column));
    }
    if let Some(model) = attached {
        kwargs.entry("model").or_insert_with(|| json!(format!("{{{{ get_where_subquery({}) }}}}", call_of(model))));
    }
    kwargs.sort_keys();
    json!({"name": generic.name, "kwargs": kwargs, "namespace": generic.package})
}

/// `file_key_name`: where the node that is tested is described.
pub(crate) fn file_key_name(tested: &Node) -> String {
    format!("{}.{}", properties_key(tested), if let NodeKind::Source { source_name, .. } = &tested.kind { source_name } else { &tested.name })
}

fn call_of(node: &Node) -> String {
    match (&node.kind, &node.model.version) {
        (NodeKind::Source { source_name, .. }, _) => format!("source('{source_name}', '{}')", node.name),
        (_, Some(version)) => format!("ref('{}', version='{version}')", node.name),
        (_, None) => format!("ref('{}')", node.name),
    }
}

/// The list of a properties file in which a node is described.
fn properties_key(node: &Node) -> &'static str {
    match node.resource_type() {
        ResourceType::Analysis => "analyses",
        ResourceType::Exposure => "exposures",
        ResourceType::Function => "functions",
        ResourceType::Metric => "metrics",
        ResourceType::Model => "models",
        ResourceType::SavedQuery => "saved_queries",
        ResourceType::Seed => "seeds",
        ResourceType::SemanticModel => "semantic_models",
        ResourceType::Snapshot => "snapshots",
        ResourceType::Source => "sources",
        ResourceType::Test => "data_tests",
        ResourceType::UnitTest => "unit_tests",
    }
}
