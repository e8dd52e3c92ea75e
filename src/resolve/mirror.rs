//! Nodes as templates see them in `model` and `graph`: the keys that dbt has there, of which packages read many.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::project::Project;
use crate::load::{ParsedPackage, Yaml};
use crate::manifest::{
    AboutSource, ColumnDecl, ConfigMirror, ConstraintDecl, DescribedKind, Group, Node, NodeId, NodeKind, Raw, TestDetails, Version, alias_types,
    file_key_name, primary_key, test_metadata,
};

impl Project {
    /// `model` as templates see it.
    #[must_use]
    pub fn node_json(&self, node: &Node) -> Json {
        let tests = self.nodes.values().filter_map(|node| node.test()).filter(|test| test.attached.as_ref() == Some(&node.id));
        self.mirror(node, &tested(tests))
    }

    /// As [`Self::node_json`], of many nodes by their ids.
    #[must_use]
    pub fn node_jsons<'a>(&'a self, nodes: impl Iterator<Item = &'a Node>) -> BTreeMap<&'a NodeId, Json> {
        let tested = tested(self.nodes.values().filter_map(|node| node.test()));
        nodes.map(|node| (&node.id, self.mirror(node, &tested))).collect()
    }

    fn mirror(&self, node: &Node, tested: &Tested<'_>) -> Json {
        let mut map = common(node, self.relation_name(node));
        match &node.kind {
            NodeKind::Model => {
                map.extend(coded(node));
                map.extend(model(node, tested));
            }
            NodeKind::Test(details) => {
                map.extend(coded(node));
                let attached = details.attached.as_ref().and_then(|id| self.nodes.get(id));
                map.extend(test(details, attached.map(AsRef::as_ref)));
                map.insert("patch_path".into(), Json::Null);
            }
            NodeKind::Source { source_name, about, .. } => map.extend(source(node, source_name, about)),
            NodeKind::Described(described) => {
                if described.kind == DescribedKind::Exposure {
                    map.retain(|key, _| !NOT_OF_EXPOSURES.contains(&key.as_str()));
                }
                map.extend(described.fields.clone());
            }
            NodeKind::Function(details) => map.extend(details.fields()),
            NodeKind::Seed { .. } => {
                map.insert("root_path".into(), Json::Null);
                map.insert("defer_relation".into(), Json::Null);
            }
            NodeKind::Snapshot => {
                map.extend(coded(node));
                map.insert("defer_relation".into(), Json::Null);
            }
            NodeKind::Analysis => map.extend(coded(node)),
            NodeKind::UnitTest(_) => {}
        }
        Json::Object(map)
    }

    /// What the project is set to, as `builtins.ref.config` has it.
    #[must_use]
    pub fn settings_json(&self) -> Json {
        let dependency = |package: &ParsedPackage| {
            let about = json!({"project_name": package.name, "version": package.project.version, "project_root": package.root_dir});
            (package.name.clone(), about)
        };
        let dependencies: Map<String, Json> = self.parsed.all_packages().map(dependency).collect();
        json!({
            "project_name": self.name,
            "version": self.parsed.root.project.version,
            "project_root": self.parsed.root.root_dir,
            "profile_name": self.target.profile,
            "target_name": self.target.name,
            "threads": self.target.threads,
            "args": self.invocation.arguments,
            "cli_vars": self.parsed.vars_from_cli,
            "vars": self.parsed.root.project.vars.as_ref().map_or_else(|| json!({}), Yaml::to_json),
            "dependencies": dependencies,
        })
    }

    /// `graph` as templates see it.
    #[must_use]
    pub fn graph_json(&self) -> Json {
        let (mut nodes, mut sources, mut exposures) = (Map::new(), Map::new(), Map::new());
        let (mut metrics, mut models, mut queries, mut unit_tests) = (Map::new(), Map::new(), Map::new(), Map::new());
        let mut functions = Map::new();
        let tested = tested(self.nodes.values().filter_map(|node| node.test()));
        for (id, node) in &self.nodes {
            let map = match &node.kind {
                NodeKind::Source { .. } => &mut sources,
                NodeKind::Described(described) => match described.kind {
                    DescribedKind::Exposure => &mut exposures,
                    DescribedKind::Metric => &mut metrics,
                    DescribedKind::SemanticModel => &mut models,
                    DescribedKind::SavedQuery => &mut queries,
                },
                NodeKind::UnitTest(_) => &mut unit_tests,
                NodeKind::Function(_) => &mut functions,
                NodeKind::Model | NodeKind::Analysis | NodeKind::Seed { .. } | NodeKind::Snapshot | NodeKind::Test(_) => &mut nodes,
            };
            map.insert(id.to_string(), self.mirror(node, &tested));
        }
        let groups: Map<String, Json> = self.groups.iter().map(|group| (group.id.clone(), group_json(group))).collect();
        json!({
            "nodes": nodes, "sources": sources, "exposures": exposures, "metrics": metrics, "groups": groups, "semantic_models": models,
            "saved_queries": queries, "unit_tests": unit_tests, "functions": functions,
        })
    }
}

/// Columns with a generic test of a name: (node, test name, column in lower case).
type Tested<'p> = BTreeSet<(&'p str, &'p str, String)>;

fn tested<'p>(tests: impl Iterator<Item = &'p TestDetails>) -> Tested<'p> {
    tests
        .filter_map(|test| Some((test.attached.as_ref()?.as_str(), test.generic.as_ref()?.name.as_str(), test.column.as_deref()?.to_lowercase())))
        .collect()
}

fn group_json(group: &Group) -> Json {
    json!({
        "name": group.name, "resource_type": "group", "package_name": group.package, "path": group.path, "original_file_path": group.original_path,
        "unique_id": group.id, "owner": group.owner, "description": group.description, "config": {"meta": group.meta},
    })
}

fn entries(json: Json) -> Map<String, Json> {
    if let Json::Object(map) = json { map } else { Map::new() }
}

fn common(node: &Node, relation_name: Option<String>) -> Map<String, Json> {
    let place = node.place();
    let columns: Map<String, Json> = node.columns.iter().map(|(name, column)| (name.clone(), column_json(column))).collect();
    entries(json!({
        "unique_id": node.id.as_str(),
        "name": node.name,
        "resource_type": node.resource_type().name(),
        "package_name": node.package,
        "path": node.path,
        "original_file_path": node.original_path,
        "patch_path": node.properties_path.as_ref().map(|path| format!("{}://{path}", node.package)),
        "fqn": node.fqn,
        "alias": place.map_or(&node.name, |relation| &relation.identifier),
        "database": place.map(|relation| &relation.database),
        "schema": place.map(|relation| &relation.schema),
        "relation_name": relation_name,
        "description": node.description,
        "columns": columns,
        "config": serde_json::to_value(ConfigMirror(node)).unwrap_or_default(),
        "unrendered_config": node.unrendered_config(),
        "tags": node.config.tags,
        "meta": node.config.meta,
        "group": node.config.group,
        "docs": node.config.raw.get("docs").cloned().unwrap_or_else(|| json!({"show": true, "node_color": null})),
        "checksum": {"name": "sha256", "checksum": node.checksum},
        "depends_on": { "nodes": node.depends_on.iter().map(NodeId::as_str).collect::<Vec<_>>(), "macros": node.depends_on_macros },
        "refs": node.refs.iter().map(|call| json!({ "name": call.name, "package": call.package, "version": call.version })).collect::<Vec<_>>(),
        "sources": node.sources.iter().map(|call| [&call.source, &call.table]).collect::<Vec<_>>(),
        "metrics": [],
        "raw_code": node.raw_code,
        "language": node.language,
        "build_path": null,
        "config_call_dict": {},
        "unrendered_config_call_dict": node.config_expressions(),
        "doc_blocks": node.doc_blocks,
    }))
}

/// What other nodes have: nothing is built of an exposure, and it has no columns.
const NOT_OF_EXPOSURES: [&str; 15] = [
    "alias",
    "build_path",
    "checksum",
    "columns",
    "config_call_dict",
    "database",
    "doc_blocks",
    "docs",
    "group",
    "language",
    "patch_path",
    "raw_code",
    "relation_name",
    "schema",
    "unrendered_config_call_dict",
];

fn contract(node: &Node) -> Json {
    json!({"enforced": node.config.contract_enforced, "alias_types": alias_types(node), "checksum": null})
}

/// What all nodes have whose text is SQL or Python.
fn coded(node: &Node) -> Map<String, Json> {
    entries(json!({"contract": contract(node), "functions": [], "compiled_path": null}))
}

fn column_json(column: &ColumnDecl) -> Json {
    json!({
        "name": column.name, "description": column.description, "data_type": column.data_type, "meta": column.meta, "tags": column.tags,
        "quote": column.quote.then_some(true), "constraints": column.constraints.iter().map(constraint).collect::<Vec<_>>(),
        "config": {"meta": column.meta, "tags": column.tags}, "granularity": column.granularity, "doc_blocks": column.doc_blocks,
    })
}

fn constraint(constraint: &ConstraintDecl) -> Json {
    json!({"type": constraint.kind.name(), "name": constraint.name, "expression": constraint.expression, "columns": constraint.columns})
}

/// A key of the raw config, or what stands for its absence.
fn raw(node: &Node, key: &str, absent: Json) -> Json {
    node.config.raw.get(key).cloned().unwrap_or(absent)
}

fn model(node: &Node, tested: &Tested<'_>) -> Map<String, Json> {
    let tested = |test: &str, column: &str| tested.contains(&(node.id.as_str(), test, column.to_lowercase()));
    entries(json!({
        "access": node.config.access.name(),
        "constraints": node.constraints.iter().map(constraint).collect::<Vec<_>>(),
        "version": node.model.version.as_ref().map(Version::json),
        "latest_version": node.model.latest.as_ref().map(Version::json),
        "deprecation_date": node.model.deprecation_date.map(|date| date.to_rfc3339()),
        "defer_relation": null,
        "primary_key": primary_key(node, tested),
        "time_spine": node.model.time_spine,
        "batch": null,
    }))
}

fn test(details: &TestDetails, attached: Option<&Node>) -> Map<String, Json> {
    let mut map = entries(json!({
        "column_name": details.column, "attached_node": details.attached.as_ref().map(NodeId::as_str), "file_key_name": attached.map(file_key_name),
    }));
    // A test that is a query has no such key at all.
    let metadata = details.generic.as_ref().map(|generic| test_metadata(details, generic, attached));
    map.extend(metadata.map(|metadata| ("test_metadata".to_owned(), metadata)));
    map
}

fn source(node: &Node, source_name: &str, about: &AboutSource) -> Map<String, Json> {
    let relation = node.relation.as_ref();
    entries(json!({
        "source_name": source_name,
        "source_description": about.description,
        "source_meta": about.meta,
        "loader": about.loader,
        "identifier": relation.map_or(node.name.as_str(), |relation| relation.identifier.as_str()),
        "loaded_at_field": raw(node, "loaded_at_field", Json::Null),
        "loaded_at_query": raw(node, "loaded_at_query", Json::Null),
        "unrendered_database": about.written[0],
        "unrendered_schema": about.written[1],
        "freshness": serde_json::to_value(Raw(&node.config.raw).freshness()).unwrap_or_default(),
        "external": about.external,
        "quoting": {"database": about.quoting[0], "schema": about.quoting[1], "identifier": about.quoting[2], "column": null},
    }))
}
