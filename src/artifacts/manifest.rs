//! `manifest.json`, version 12: the parts around the nodes. The nodes themselves are in `node`, their config in
//! `config`.

mod hooks;
mod node;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use md5::{Digest as _, Md5};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

pub use self::hooks::HookEntry;
use self::node::Entry;
use super::{ArtifactHeader, Metadata, hex, to_json};
use crate::base::{in_order, in_parallel};
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
    /// Whether database, schema and identifier of a relation are printed in quotes.
    pub quoting: [bool; 3],
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
    /// Names of its arguments, where they are told although no properties file does.
    pub arguments: Vec<String>,
    /// Ids of the macros it calls.
    pub depends_on: Vec<String>,
    /// `sql` and `python`, of a materialization.
    pub languages: Option<Vec<String>>,
}

/// As many entries make one text, which is large enough to go to the file as it is.
const PIECE: usize = 32;

/// Writes the artifact, everything sorted by id. Entries of nodes are made some at a time, as they are written.
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
        let mut first = true;
        let pieces: Vec<&[(&str, Entry<'_, '_>)]> = entries.chunks(PIECE).collect();
        in_order(
            &pieces,
            |piece| piece_text(piece),
            |text| {
                let mut text = text?;
                if std::mem::take(&mut first)
                    && let Some(comma) = text.first_mut()
                {
                    *comma = b'{';
                }
                self.out.write_all(&text)
            },
        )?;
        self.out.write_all(if entries.is_empty() { b"{}" } else { b"}" })
    }
}

/// `,"id":{...}` for each entry.
fn piece_text(piece: &[(&str, Entry<'_, '_>)]) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(piece.len() * 3072);
    for (id, entry) in piece {
        text.push(b',');
        serde_json::to_writer(&mut text, id)?;
        text.push(b':');
        serde_json::to_writer(&mut text, entry)?;
    }
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
        quoting: json!({"database": input.quoting[0], "schema": input.quoting[1], "identifier": input.quoting[2], "column": null}),
        run_started_at: super::timestamp(input.header.invocation_started_at),
    })
}

/// What each node is next to, sorted by the nodes' ids.
struct Edges<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl Serialize for Edges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, others)| (id, others)))
    }
}

/// Parents and children of every node. Both maps have every node as a key.
fn edges<'a>(nodes: &BTreeMap<&'a str, &'a Node>, hooks: &'a [(String, &HookEntry)]) -> (Edges<'a>, Edges<'a>) {
    let read = |node: &'a Node| node.depends_on.iter().map(NodeId::as_str).collect();
    let of_nodes = nodes.iter().map(|(id, node)| (*id, read(node)));
    let mut parents: Vec<(&str, Vec<&str>)> = of_nodes.chain(hooks.iter().map(|(id, _)| (id.as_str(), Vec::new()))).collect();
    parents.sort_unstable_by_key(|(id, _)| *id);
    let places: HashMap<&str, usize> = parents.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let mut children: Vec<(&str, Vec<&str>)> = parents.iter().map(|(id, _)| (*id, Vec::new())).collect();
    // The lists come out sorted: nodes are walked by id, and their parents are.
    for (id, read) in &parents {
        for parent in read {
            if let Some((_, readers)) = places.get(parent).and_then(|at| children.get_mut(*at)) {
                readers.push(id);
            }
        }
    }
    (Edges(parents), Edges(children))
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

fn group_map<'a>(nodes: &BTreeMap<&'a str, &'a Node>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
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
        arguments: match about.map(|about| &about.arguments).filter(|described| !described.is_empty()) {
            Some(described) => described.iter().map(argument).collect(),
            None => entry.arguments.iter().map(|name| json!({"name": name, "type": null, "description": ""})).collect(),
        },
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
