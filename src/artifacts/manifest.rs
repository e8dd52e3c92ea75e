//! `manifest.json`, version 12: the parts around the nodes. The nodes themselves are in `node`, their config in
//! `config`.

mod config;
mod hooks;
mod node;

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

pub use self::hooks::HookEntry;
use self::hooks::{Nodes, hook_json};
use self::node::Entry;
use super::{ArtifactHeader, Metadata, hex, to_json};
use crate::manifest::{Group, Node, NodeId, ResourceType, VARIABLES};

/// What `manifest.json` is made from.
#[derive(Debug)]
pub struct ManifestInput<'a> {
    pub header: &'a ArtifactHeader,
    pub project_name: &'a str,
    pub adapter_type: &'a str,
    /// The target's database and schema, for nodes without a relation of their own.
    pub database: &'a str,
    pub schema: &'a str,
    /// The target folder as compiled paths name it, e.g. `target`.
    pub target_path: &'a str,
    /// `on-run-start` and `on-run-end` of the project and its packages.
    pub hooks: &'a [HookEntry],
    /// Every enabled node, sources and exposures too.
    pub nodes: &'a [&'a Node],
    pub groups: &'a [Group],
    pub disabled: &'a [&'a Node],
    /// The SQL of the nodes that were compiled.
    pub compiled: &'a BTreeMap<NodeId, String>,
    pub macros: &'a [MacroEntry],
    pub docs: &'a [DocEntry],
    /// The variables that nodes ask for, by package.
    pub variables: &'a Map<String, Json>,
    /// The definitions of `selectors.yml` by name.
    pub selectors: &'a Map<String, Json>,
}

/// A macro of the project or of a package.
#[derive(Debug, Clone)]
pub struct MacroEntry {
    /// `macro.package.name`.
    pub id: String,
    pub package: String,
    pub name: String,
    /// Relative to the package's folder, with `/`.
    pub path: String,
    pub macro_sql: String,
    pub description: String,
    /// Names of the declared arguments.
    pub arguments: Vec<String>,
    /// Ids of the macros it calls.
    pub depends_on: Vec<String>,
    /// The properties file that describes it.
    pub properties_path: Option<String>,
}

/// A docs block.
#[derive(Debug, Clone)]
pub struct DocEntry {
    pub package: String,
    pub name: String,
    /// Relative to the package's folder, with `/`.
    pub path: String,
    pub contents: String,
}

/// Hands the artifact to a serializer, everything sorted by id. Entries are made one at a time as they are written.
///
/// # Errors
/// What the serializer fails with.
pub fn serialize_manifest<S: Serializer>(input: &ManifestInput<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown: BTreeMap<&str, &Node> = input.nodes.iter().map(|node| (node.id.as_str(), *node)).collect();
    let context = node::Context::new(input, &shown);
    let of_kind = |wanted: fn(ResourceType) -> bool| -> BTreeMap<&str, Entry<'_, '_>> {
        let wanted = shown.iter().filter(|(_, node)| wanted(node.resource_type()));
        wanted.map(|(id, node)| (*id, Entry { node, context: &context })).collect()
    };
    let mut disabled: BTreeMap<&str, Vec<Entry<'_, '_>>> = BTreeMap::new();
    for node in input.disabled {
        disabled.entry(node.id.as_str()).or_default().push(Entry { node, context: &context });
    }
    let (mut parent_map, mut child_map) = edges(&shown);
    let hook_ids: Vec<String> = input.hooks.iter().map(HookEntry::id).collect();
    for id in &hook_ids {
        parent_map.entry(id).or_default();
        child_map.entry(id).or_default();
    }
    let manifest = Manifest {
        metadata: metadata(input),
        nodes: Nodes {
            of_files: of_kind(|kind| match kind {
                ResourceType::Analysis | ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Test => true,
                ResourceType::Exposure
                | ResourceType::Function
                | ResourceType::Metric
                | ResourceType::SavedQuery
                | ResourceType::SemanticModel
                | ResourceType::Source
                | ResourceType::UnitTest => false,
            }),
            hooks: input.hooks.iter().map(|hook| (hook.id(), hook_json(hook, input))).collect(),
        },
        sources: of_kind(|kind| kind == ResourceType::Source),
        macros: input.macros.iter().map(|entry| (entry.id.as_str(), macro_json(entry, input))).collect(),
        docs: input.docs.iter().map(|entry| (doc_id(entry), doc_json(entry))).collect(),
        exposures: of_kind(|kind| kind == ResourceType::Exposure),
        metrics: of_kind(|kind| kind == ResourceType::Metric),
        semantic_models: of_kind(|kind| kind == ResourceType::SemanticModel),
        saved_queries: of_kind(|kind| kind == ResourceType::SavedQuery),
        unit_tests: of_kind(|kind| kind == ResourceType::UnitTest),
        functions: of_kind(|kind| kind == ResourceType::Function),
        groups: input.groups.iter().map(|group| (group.id.as_str(), group_json(group))).collect(),
        selectors: input.selectors.iter().collect(),
        disabled,
        parent_map,
        child_map,
        group_map: group_map(&shown),
    };
    manifest.serialize(serializer)
}

#[derive(Serialize)]
struct Manifest<'a, 'c> {
    metadata: Json,
    nodes: Nodes<'a, 'c>,
    sources: BTreeMap<&'a str, Entry<'a, 'c>>,
    macros: BTreeMap<&'a str, Json>,
    docs: BTreeMap<String, Json>,
    exposures: BTreeMap<&'a str, Entry<'a, 'c>>,
    metrics: BTreeMap<&'a str, Entry<'a, 'c>>,
    groups: BTreeMap<&'a str, Json>,
    selectors: BTreeMap<&'a String, &'a Json>,
    disabled: BTreeMap<&'a str, Vec<Entry<'a, 'c>>>,
    parent_map: BTreeMap<&'a str, BTreeSet<&'a str>>,
    child_map: BTreeMap<&'a str, BTreeSet<&'a str>>,
    group_map: BTreeMap<&'a str, BTreeSet<&'a str>>,
    saved_queries: BTreeMap<&'a str, Entry<'a, 'c>>,
    semantic_models: BTreeMap<&'a str, Entry<'a, 'c>>,
    unit_tests: BTreeMap<&'a str, Entry<'a, 'c>>,
    functions: BTreeMap<&'a str, Entry<'a, 'c>>,
}

#[derive(Debug, Serialize)]
struct ManifestMetadata<'a> {
    #[serde(flatten)]
    common: Metadata<'a>,
    project_name: &'a str,
    /// dbt's id of a project: the MD5 of its name.
    project_id: String,
    /// Nothing phones home, so there are no users.
    user_id: Option<()>,
    send_anonymous_usage_stats: bool,
    adapter_type: &'a str,
    quoting: Json,
    run_started_at: String,
}

fn metadata(input: &ManifestInput<'_>) -> Json {
    let mut header = input.header.clone();
    if !input.variables.is_empty() {
        // dbt's schema has no place for them but this one, which takes any text.
        header.env.insert(VARIABLES.to_owned(), Json::Object(input.variables.clone()).to_string());
    }
    to_json(&ManifestMetadata {
        common: Metadata::new("https://schemas.getdbt.com/dbt/manifest/v12.json", &header),
        project_name: input.project_name,
        project_id: hex(&Md5::digest(input.project_name)),
        user_id: None,
        send_anonymous_usage_stats: false,
        adapter_type: input.adapter_type,
        quoting: json!({"database": true, "schema": true, "identifier": true, "column": null}),
        run_started_at: super::timestamp(input.header.invocation_started_at),
    })
}

type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Parents and children of every node. Both maps have every node as a key.
fn edges<'a>(nodes: &BTreeMap<&'a str, &'a Node>) -> (Edges<'a>, Edges<'a>) {
    let mut parents: Edges<'a> = nodes.keys().map(|id| (*id, BTreeSet::new())).collect();
    let mut children = parents.clone();
    for (id, node) in nodes {
        for parent in &node.depends_on {
            parents.entry(id).or_default().insert(parent.as_str());
            children.entry(parent.as_str()).or_default().insert(id);
        }
    }
    (parents, children)
}

fn group_json(group: &Group) -> Json {
    json!({
        "name": group.name, "resource_type": "group", "package_name": group.package, "path": group.path,
        "original_file_path": group.original_path, "unique_id": group.id, "owner": group.owner, "description": group.description,
        "config": {"meta": group.meta},
    })
}

fn group_map<'a>(nodes: &BTreeMap<&'a str, &'a Node>) -> Edges<'a> {
    let mut groups: Edges<'a> = BTreeMap::new();
    for (id, node) in nodes {
        if let Some(group) = &node.config.group {
            groups.entry(group).or_default().insert(id);
        }
    }
    groups
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are dbt's")]
struct Macro<'a> {
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: &'a str,
    original_file_path: &'a str,
    unique_id: &'a str,
    macro_sql: &'a str,
    depends_on: Json,
    description: &'a str,
    meta: Json,
    docs: Json,
    config: Json,
    patch_path: Option<String>,
    arguments: Vec<Json>,
    created_at: f64,
    supported_languages: Option<()>,
}

fn macro_json(entry: &MacroEntry, input: &ManifestInput<'_>) -> Json {
    let docs = json!({"show": true, "node_color": null});
    to_json(&Macro {
        name: &entry.name,
        resource_type: "macro",
        package_name: &entry.package,
        path: &entry.path,
        original_file_path: &entry.path,
        unique_id: &entry.id,
        macro_sql: &entry.macro_sql,
        depends_on: json!({"macros": entry.depends_on.iter().collect::<BTreeSet<_>>()}),
        description: &entry.description,
        meta: json!({}),
        config: json!({"meta": {}, "docs": docs}),
        docs,
        patch_path: entry.properties_path.as_ref().map(|path| format!("{}://{path}", entry.package)),
        arguments: entry.arguments.iter().map(|name| json!({"name": name, "type": null, "description": ""})).collect(),
        created_at: node::created_at(input),
        supported_languages: None,
    })
}

fn doc_id(entry: &DocEntry) -> String {
    format!("doc.{}.{}", entry.package, entry.name)
}

fn doc_json(entry: &DocEntry) -> Json {
    json!({
        "name": entry.name, "resource_type": "doc", "package_name": entry.package, "path": entry.path,
        "original_file_path": entry.path, "unique_id": doc_id(entry), "block_contents": entry.contents,
    })
}
