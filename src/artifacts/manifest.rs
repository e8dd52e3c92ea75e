//! `manifest.json`, version 12: the parts around the nodes. The nodes themselves are in `node`, their config in
//! `config`.

mod hooks;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::mpsc;

use md5::{Digest as _, Md5};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

pub use self::hooks::HookEntry;
use self::node::Entry;
use super::{ArtifactHeader, Metadata, hex, to_json};
use crate::base::{STACK, in_parallel};
use crate::manifest::{AboutMacro, DocsBlock, Group, MacroArgument, Node, NodeId, ResourceType, VARIABLES};

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
    /// The nodes whose SQL was run.
    pub built: &'a BTreeSet<NodeId>,
    pub macros: &'a [MacroEntry<'a>],
    /// Docs blocks with their packages and names.
    pub docs: &'a [(&'a str, &'a str, &'a DocsBlock)],
    /// The variables that nodes ask for, by package.
    pub variables: &'a Map<String, Json>,
    /// The definitions of `selectors.yml` by name.
    pub selectors: &'a Map<String, Json>,
}

/// A macro of the project or of a package.
#[derive(Debug, Clone)]
pub struct MacroEntry<'a> {
    /// `macro.package.name`.
    pub id: String,
    pub package: String,
    pub name: String,
    /// Relative to the package's folder, with `/`.
    pub path: String,
    pub macro_sql: String,
    /// What a properties file says of it.
    pub about: Option<&'a AboutMacro>,
    /// Ids of the macros it calls.
    pub depends_on: Vec<String>,
    /// `sql` and `python`, of a materialization.
    pub languages: Option<Vec<String>>,
}

/// As many entries are made at a time, on all cores.
const PORTION: usize = 1024;

/// Writes the artifact, everything sorted by id. Entries of nodes are made a portion at a time as they are written.
///
/// # Errors
/// What the writer fails with.
pub fn write_entries(input: &ManifestInput<'_>, out: &mut dyn Write) -> io::Result<()> {
    let shown: BTreeMap<&str, &Node> = input.nodes.iter().map(|node| (node.id.as_str(), *node)).collect();
    let context = node::Context::new(input, &shown);
    let of_kind = |wanted: fn(ResourceType) -> bool| -> Vec<(&str, Entry<'_, '_>)> {
        let wanted = shown.iter().filter(|(_, node)| wanted(node.resource_type()));
        wanted.map(|(id, node)| (*id, Entry::Node { node, context: &context })).collect()
    };
    let mut disabled: BTreeMap<&str, Vec<Entry<'_, '_>>> = BTreeMap::new();
    for node in input.disabled {
        disabled.entry(node.id.as_str()).or_default().push(Entry::Node { node, context: &context });
    }
    let mut nodes = of_kind(|kind| match kind {
        ResourceType::Analysis | ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Test => true,
        ResourceType::Exposure
        | ResourceType::Function
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
        | ResourceType::Source
        | ResourceType::UnitTest => false,
    });
    let hooks: Vec<(String, &HookEntry)> = input.hooks.iter().map(|hook| (hook.id(), hook)).collect();
    nodes.extend(hooks.iter().map(|(id, hook)| (id.as_str(), Entry::Hook { hook, input })));
    nodes.sort_by_key(|(id, _)| *id);
    let (parents, children) = edges(&shown, &hooks);
    let mut fields = Fields { out, any: false };
    fields.field("metadata", &metadata(input))?;
    fields.entries("nodes", &nodes)?;
    fields.entries("sources", &of_kind(|kind| kind == ResourceType::Source))?;
    fields.field("macros", &input.macros.iter().map(|entry| (entry.id.as_str(), macro_json(entry, input))).collect::<BTreeMap<_, _>>())?;
    fields.field("docs", &input.docs.iter().map(doc_json).collect::<BTreeMap<_, _>>())?;
    fields.entries("exposures", &of_kind(|kind| kind == ResourceType::Exposure))?;
    fields.entries("metrics", &of_kind(|kind| kind == ResourceType::Metric))?;
    fields.field("groups", &input.groups.iter().map(|group| (group.id.as_str(), group_json(group))).collect::<BTreeMap<_, _>>())?;
    fields.field("selectors", &input.selectors.iter().collect::<BTreeMap<_, _>>())?;
    fields.field("disabled", &disabled)?;
    fields.field("parent_map", &parents)?;
    fields.field("child_map", &children)?;
    fields.field("group_map", &group_map(&shown))?;
    fields.entries("saved_queries", &of_kind(|kind| kind == ResourceType::SavedQuery))?;
    fields.entries("semantic_models", &of_kind(|kind| kind == ResourceType::SemanticModel))?;
    fields.entries("unit_tests", &of_kind(|kind| kind == ResourceType::UnitTest))?;
    fields.entries("functions", &of_kind(|kind| kind == ResourceType::Function))?;
    fields.out.write_all(b"}")
}

/// What the artifact says of some of the nodes, in their order.
#[must_use]
pub fn node_entries(input: &ManifestInput<'_>, wanted: &[&Node]) -> Vec<Json> {
    let shown: BTreeMap<&str, &Node> = input.nodes.iter().map(|node| (node.id.as_str(), *node)).collect();
    let context = node::Context::new(input, &shown);
    in_parallel(wanted, |node| to_json(&Entry::Node { node, context: &context }))
}

/// The fields of the artifact, as they are written.
struct Fields<'w> {
    out: &'w mut dyn Write,
    any: bool,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) -> io::Result<()> {
        write!(self.out, "{}\"{name}\":", if self.any { "," } else { "{" })?;
        self.any = true;
        Ok(())
    }

    fn field(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.name(name)?;
        Ok(serde_json::to_writer(&mut *self.out, value)?)
    }

    fn entries(&mut self, name: &str, entries: &[(&str, Entry<'_, '_>)]) -> io::Result<()> {
        self.name(name)?;
        let mut before = b"{";
        let mut put = |texts: Vec<io::Result<Vec<u8>>>| {
            texts.into_iter().try_for_each(|text| {
                self.out.write_all(before)?;
                before = b",";
                self.out.write_all(&text?)
            })
        };
        if entries.len() <= PORTION {
            put(in_parallel(entries, entry_text))?;
        } else {
            std::thread::scope(|scope| {
                // One portion is written while the next is put into text.
                let (send, receive) = mpsc::sync_channel(1);
                std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
                    // Nobody receives any more where writing failed, which is told there.
                    entries.chunks(PORTION).all(|portion| send.send(in_parallel(portion, entry_text)).is_ok())
                })?;
                receive.into_iter().try_for_each(put)
            })?;
        }
        self.out.write_all(if entries.is_empty() { b"{}" } else { b"}" })
    }
}

/// `"id":{...}`
fn entry_text((id, entry): &(&str, Entry<'_, '_>)) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(4096);
    serde_json::to_writer(&mut text, id)?;
    text.push(b':');
    serde_json::to_writer(&mut text, entry)?;
    Ok(text)
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

type Edges<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Parents and children of every node. Both maps have every node as a key.
fn edges<'a>(nodes: &BTreeMap<&'a str, &'a Node>, hooks: &'a [(String, &HookEntry)]) -> (Edges<'a>, Edges<'a>) {
    let all = nodes.keys().copied().chain(hooks.iter().map(|(id, _)| id.as_str()));
    let mut parents: Edges<'a> = all.map(|id| (id, Vec::new())).collect();
    let mut children = parents.clone();
    // Both lists come out sorted: nodes are walked by id, and their parents are.
    for (id, node) in nodes {
        parents.insert(id, node.depends_on.iter().map(NodeId::as_str).collect());
        for parent in &node.depends_on {
            children.entry(parent.as_str()).or_default().push(id);
        }
    }
    (parents, children)
}

fn group_json(group: &Group) -> Json {
    let mut owner = Map::from_iter(["email", "name"].map(|key| (key.to_owned(), Json::Null)));
    owner.extend(group.owner.clone());
    let description = Some(&group.description).filter(|text| !text.is_empty());
    json!({
        "name": group.name, "resource_type": "group", "package_name": group.package, "path": group.path,
        "original_file_path": group.original_path, "unique_id": group.id, "owner": owner, "description": description,
        "config": {"meta": group.meta},
    })
}

fn group_map<'a>(nodes: &BTreeMap<&'a str, &'a Node>) -> Edges<'a> {
    let mut groups: Edges<'a> = BTreeMap::new();
    for (id, node) in nodes {
        if let Some(group) = &node.config.group {
            groups.entry(group).or_default().push(id);
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
    supported_languages: Option<&'a [String]>,
}

fn macro_json(entry: &MacroEntry<'_>, input: &ManifestInput<'_>) -> Json {
    let about = entry.about;
    let docs = |key: &str| about.and_then(|about| about.docs.get(key)).cloned();
    let docs = json!({"show": docs("show").unwrap_or(Json::Bool(true)), "node_color": docs("node_color")});
    let meta = about.map(|about| about.meta.clone()).unwrap_or_default();
    let argument = |argument: &MacroArgument| json!({"name": argument.name, "type": argument.data_type, "description": argument.description});
    to_json(&Macro {
        name: &entry.name,
        resource_type: "macro",
        package_name: &entry.package,
        path: &entry.path,
        original_file_path: &entry.path,
        unique_id: &entry.id,
        macro_sql: &entry.macro_sql,
        depends_on: json!({"macros": entry.depends_on.iter().collect::<BTreeSet<_>>()}),
        description: about.map_or("", |about| &about.description),
        config: json!({"meta": meta, "docs": docs}),
        meta: meta.into(),
        docs,
        patch_path: about.map(|about| format!("{}://{}", entry.package, about.path)),
        arguments: about.iter().flat_map(|about| &about.arguments).map(argument).collect(),
        created_at: node::created_at(input),
        supported_languages: entry.languages.as_deref(),
    })
}

fn doc_json((package, name, block): &(&str, &str, &DocsBlock)) -> (String, Json) {
    let id = format!("doc.{package}.{name}");
    let json = json!({
        "name": name, "resource_type": "doc", "package_name": package, "path": block.path,
        "original_file_path": block.original_path, "unique_id": id, "block_contents": block.text,
    });
    (id, json)
}
