//! `state:`: whether a node means something else than in the manifest of another run. Layout and comments of SQL, the
//! order of keys, and where a target puts its relations are no changes; macros, descriptions that are written to the
//! warehouse, configs and contracts are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value as Json, json};

use crate::manifest::{ConfigMirror, Node, NodeId, NodeKind, PreviousManifest, PreviousNode, ResourceType};
use crate::resolve::Project;

/// What `state:` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    New,
    Old,
    Modified,
    Unmodified,
    Body,
    Configs,
    Relation,
    PersistedDescriptions,
    Macros,
    Contract,
}

impl Comparison {
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Old,
        Self::Modified,
        Self::Unmodified,
        Self::Body,
        Self::Configs,
        Self::Relation,
        Self::PersistedDescriptions,
        Self::Macros,
        Self::Contract,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
            Self::Modified => "modified",
            Self::Unmodified => "unmodified",
            Self::Body => "modified.body",
            Self::Configs => "modified.configs",
            Self::Relation => "modified.relation",
            Self::PersistedDescriptions => "modified.persisted_descriptions",
            Self::Macros => "modified.macros",
            Self::Contract => "modified.contract",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|comparison| comparison.name() == name)
    }
}

/// Whether a node is what a comparison asks for.
pub(super) fn changed(node: &Node, comparison: Comparison, manifest: &PreviousManifest, changes: &Changes) -> bool {
    let Some(old) = manifest.node(&node.id) else {
        return match comparison {
            Comparison::Old | Comparison::Unmodified => false,
            // A new node has changed in all ways but this one.
            Comparison::Macros => reaches(node, &changes.macros),
            Comparison::New
            | Comparison::Modified
            | Comparison::Body
            | Comparison::Configs
            | Comparison::Relation
            | Comparison::PersistedDescriptions
            | Comparison::Contract => true,
        };
    };
    match comparison {
        Comparison::New => false,
        Comparison::Old => true,
        Comparison::Modified => modified(node, old, changes),
        Comparison::Unmodified => !modified(node, old, changes),
        Comparison::Body => body(node, old) || changes.variables.contains(&node.id),
        Comparison::Configs => configs(node, old),
        Comparison::Relation => relation(node, old),
        Comparison::PersistedDescriptions => persisted_descriptions(node, old),
        Comparison::Macros => reaches(node, &changes.macros),
        Comparison::Contract => contract(node, old),
    }
}

fn modified(node: &Node, old: &PreviousNode, changes: &Changes) -> bool {
    node.fqn != old.fqn
        || body(node, old)
        || configs(node, old)
        || relation(node, old)
        || persisted_descriptions(node, old)
        || contract(node, old)
        || reaches(node, &changes.macros)
        || changes.variables.contains(&node.id)
        || changes.promised.contains(&node.id)
}

/// What changed around the nodes.
pub(super) struct Changes {
    /// Macros that are new or say something else, by id. Those of the program come with its version, and a manifest of
    /// dbt's has dbt's own.
    macros: HashSet<String>,
    /// Nodes that read a variable with another value.
    variables: HashSet<NodeId>,
    /// Nodes that read a node with other columns in its contract.
    promised: HashSet<NodeId>,
}

impl Changes {
    pub(super) fn of(project: &Project, manifest: &PreviousManifest) -> Self {
        Self {
            macros: changed_macros(project, manifest),
            variables: changed_variables(project, manifest),
            promised: other_columns(project, manifest),
        }
    }
}

fn changed_variables(project: &Project, manifest: &PreviousManifest) -> HashSet<NodeId> {
    let Some(before) = manifest.variables() else { return HashSet::new() };
    let of_macros = project.variables_of_macros();
    let differs = |node: &&Node| {
        let old = before.get(&node.package);
        project.variables_of(node, &of_macros).into_iter().any(|(name, value)| old.and_then(|old| old.get(name)).is_some_and(|old| *old != value))
    };
    project.nodes.values().map(Box::as_ref).filter(differs).map(|node| node.id.clone()).collect()
}

fn other_columns(project: &Project, manifest: &PreviousManifest) -> HashSet<NodeId> {
    let differs = |id: &NodeId| Some(contract(project.nodes.get(id)?, manifest.node(id)?));
    let reads = |node: &&Node| node.resource_type() != ResourceType::Test && node.depends_on.iter().any(|parent| differs(parent) == Some(true));
    project.nodes.values().map(Box::as_ref).filter(reads).map(|node| node.id.clone()).collect()
}

/// The text of a node, or what stands for it.
fn body(node: &Node, old: &PreviousNode) -> bool {
    match &node.kind {
        NodeKind::Seed { .. } => old.checksum.name == "sha256" && old.checksum.checksum != node.checksum,
        NodeKind::Described(described) => description(node, &described.fields, old),
        NodeKind::UnitTest(_) => old.checksum.checksum != node.checksum,
        NodeKind::Source { external, .. } => {
            let raw = |key: &str| node.config.raw.get(key).cloned().unwrap_or(Json::Null);
            let location = external.as_ref().map(|external| json!(external.config.location));
            let before = old.external.get("location").filter(|location| !location.is_null());
            location.as_ref() != before
                || essence(&raw("freshness")) != essence(&old.freshness)
                || raw("loaded_at_field").as_str().unwrap_or_default() != old.loaded_at_field.as_deref().unwrap_or_default()
        }
        // A generic test is named after what it says.
        NodeKind::Test(details) if details.generic.is_some() => false,
        NodeKind::Function(details) => {
            let fields = details.fields();
            let now = |key: &str| essence(fields.get(key).unwrap_or(&Json::Null));
            now("arguments") != essence(&old.arguments)
                || now("returns") != essence(&old.returns)
                || plain_sql(&node.raw_code) != plain_sql(old.raw_code.as_deref().unwrap_or_default())
        }
        NodeKind::Model | NodeKind::Analysis | NodeKind::Snapshot | NodeKind::Test(_) => {
            plain_sql(&node.raw_code) != plain_sql(old.raw_code.as_deref().unwrap_or_default())
        }
    }
}

/// What is described and never run: of an exposure what it says of itself, of all what they depend on.
fn description(node: &Node, fields: &Map<String, Json>, old: &PreviousNode) -> bool {
    let raw = |key: &str| essence(&fields.get(key).cloned().unwrap_or(Json::Null));
    let parents: Vec<&str> = node.depends_on.iter().map(crate::manifest::NodeId::as_str).collect();
    let mut before: Vec<&str> = old.depends_on.nodes.iter().map(String::as_str).collect();
    before.sort_unstable();
    parents != before
        || raw("type") != essence(&old.kind)
        || raw("owner") != essence(&old.owner)
        || raw("maturity") != essence(&old.maturity)
        || raw("url") != essence(&old.url)
        || node.description != old.description.as_deref().unwrap_or_default()
}

/// Keys that say where a relation is, or nothing about what is built; and those that this program has beside dbt's.
const APART: [&str; 13] = [
    "alias",
    "columns",
    "database",
    "description",
    "docs",
    "event_time",
    "external",
    "freshness",
    "group",
    "loaded_at_field",
    "loaded_at_query",
    "schema",
    "tags",
];

fn configs(node: &Node, old: &PreviousNode) -> bool {
    let before = if old.unrendered_config.is_empty() && !node.config.raw.is_empty() { &old.config } else { &old.unrendered_config };
    let (mut now, mut before) = (settings(&as_written(node)), settings(before));
    // What an expression gives may differ by target; the expression says whether it was changed.
    for key in same_expressions(node, old) {
        now.remove(&key);
        before.remove(&key);
    }
    // Of rendered configs every key is there, so only those that are set here can be compared.
    if old.unrendered_config.is_empty() {
        return now.iter().any(|(key, value)| before.get(key).is_some_and(|old| old != value));
    }
    let keys: BTreeSet<&String> = now.keys().chain(before.keys()).collect();
    let mut differing = keys.into_iter().filter(|key| now.get(*key) != before.get(*key)).peekable();
    if differing.peek().is_none() {
        return false;
    }
    // Of keys that add up (`meta`, hooks) dbt keeps what was said last. What all of it came to is the same then.
    let (came_to, before) = (settings(&rendered(node)), settings(&old.config));
    differing.any(|key| came_to.get(key) != before.get(key))
}

/// The config in dbt's shape.
fn rendered(node: &Node) -> Map<String, Json> {
    let config = serde_json::to_value(ConfigMirror(node)).ok();
    config.and_then(|config| config.as_object().cloned()).unwrap_or_default()
}

/// Configs with templates as they stand in YAML, which give one thing or another by target.
fn as_written(node: &Node) -> Map<String, Json> {
    let mut config = node.config.raw.clone();
    config.extend(node.config.written.clone());
    config
}

/// The keys that the node's own file sets by the expression that it had before.
fn same_expressions(node: &Node, old: &PreviousNode) -> Vec<String> {
    let before = old.unrendered_config_call_dict.clone().unwrap_or_default();
    let mut now = node.config_expressions();
    now.retain(|key, value| before.get(key) == Some(value));
    now.into_iter().map(|(key, _)| key).collect()
}

/// Configs under one spelling, without what is compared elsewhere or says nothing.
fn settings(config: &Map<String, Json>) -> BTreeMap<String, Json> {
    let entries = config.iter().map(|(key, value)| (key.trim_start_matches('+').replace('-', "_"), essence(value)));
    entries.filter(|(key, value)| !APART.contains(&key.as_str()) && !value.is_null()).collect()
}

/// A value without what is empty in it: dbt writes defaults out, we don't.
fn essence(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let kept: Map<String, Json> =
                map.iter().map(|(key, value)| (key.clone(), essence(value))).filter(|(_, value)| !value.is_null()).collect();
            if kept.is_empty() { Json::Null } else { Json::Object(kept) }
        }
        Json::Array(items) if items.is_empty() => Json::Null,
        Json::Array(items) if items.len() == 1 && items[0].is_string() => items[0].clone(),
        Json::Array(items) => Json::Array(items.iter().map(essence).collect()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
    }
}

/// Where the project puts a relation: as configured, since every target has schemas of its own.
fn relation(node: &Node, old: &PreviousNode) -> bool {
    // Tests build nothing that others read.
    if node.resource_type() == ResourceType::Test {
        return false;
    }
    let configured = |config: &Map<String, Json>, key: &str| config.get(key).and_then(Json::as_str).map(str::to_owned);
    if node.resource_type() == ResourceType::Source {
        let identifier = node.relation.as_ref().map(|name| name.identifier.as_str());
        return identifier.is_some() && old.identifier.is_some() && identifier != old.identifier.as_deref();
    }
    let same = same_expressions(node, old);
    let written = as_written(node);
    if old.unrendered_config.is_empty() && !old.config.is_empty() {
        return ["schema", "database", "alias"].iter().any(|key| configured(&node.config.raw, key) != configured(&old.config, key));
    }
    let keys = ["schema", "database", "alias"].into_iter().filter(|key| !same.iter().any(|known| known == key));
    keys.into_iter().any(|key| configured(&written, key) != configured(&old.unrendered_config, key))
}

/// Descriptions count where `persist_docs` writes them to the warehouse.
fn persisted_descriptions(node: &Node, old: &PreviousNode) -> bool {
    let persisted = |what: &str| node.config.raw.get("persist_docs").and_then(|docs| docs.get(what)).and_then(Json::as_bool).unwrap_or(false);
    let of_relation = persisted("relation") && node.description.trim() != old.description.as_deref().unwrap_or_default().trim();
    let described = |name: &str, text: &str| (name.to_lowercase(), text.trim().to_owned());
    let of_columns = || {
        let filled = |(_, text): &(String, String)| !text.is_empty();
        let now: BTreeMap<String, String> = node.columns.values().map(|column| described(&column.name, &column.description)).filter(filled).collect();
        let columns = old.columns.values().map(|column| described(&column.name, column.description.as_deref().unwrap_or_default()));
        now != columns.filter(filled).collect::<BTreeMap<_, _>>()
    };
    of_relation || persisted("columns") && of_columns()
}

/// A contract that is enforced, or was: columns, types and constraints.
fn contract(node: &Node, old: &PreviousNode) -> bool {
    let enforced_before = old.config.get("contract").and_then(|contract| contract.get("enforced")).and_then(Json::as_bool).unwrap_or(false);
    if node.resource_type() != ResourceType::Model || !(node.config.contract_enforced || enforced_before) {
        return false;
    }
    if node.config.contract_enforced != enforced_before {
        return true;
    }
    let kind = |data_type: Option<&str>| data_type.unwrap_or_default().trim().to_lowercase();
    let now: BTreeMap<String, (String, usize)> =
        node.columns.values().map(|column| (column.name.to_lowercase(), (kind(column.data_type.as_deref()), column.constraints.len()))).collect();
    let before: BTreeMap<String, (String, usize)> =
        old.columns.values().map(|column| (column.name.to_lowercase(), (kind(column.data_type.as_deref()), column.constraints.len()))).collect();
    now != before || node.constraints.len() != old.constraints.len()
}

fn changed_macros(project: &Project, manifest: &PreviousManifest) -> HashSet<String> {
    let is_changed = |id: &str, now: &str| manifest.macros.get(id).is_none_or(|old| plain_sql(&old.macro_sql) != plain_sql(now));
    let macros = project.library.macros().filter(|info| info.package != "dbt" && is_changed(info.id.as_str(), &info.macro_sql));
    macros.map(|info| info.id.as_str().to_owned()).collect()
}

fn reaches(node: &Node, macros: &HashSet<String>) -> bool {
    node.depends_on_macros.iter().any(|id| macros.contains(id))
}

/// SQL with Jinja without comments, and with one space wherever there are any. Comments with Jinja in them are kept: what
/// it does is done. Texts in quotes stay as they are.
fn plain_sql(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut space = false;
    while let Some(c) = rest.chars().next() {
        let comment = if rest.starts_with("{#") {
            Some(rest.find("#}").map_or(rest.len(), |end| end + 2))
        } else if rest.starts_with("--") {
            Some(rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            Some(rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else {
            None
        };
        if let Some(end) = comment
            && (rest.starts_with("{#") || !rest[..end].contains("{{") && !rest[..end].contains("{%"))
        {
            rest = &rest[end..];
            space = true;
            continue;
        }
        if c.is_whitespace() {
            space = true;
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if space && !out.is_empty() {
            out.push(' ');
        }
        space = false;
        let taken = if matches!(c, '\'' | '"') { rest[1..].find(c).map_or(1, |end| end + 2) } else { c.len_utf8() };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain_sql;

    #[test]
    fn layout_and_comments_are_no_changes() {
        let plain = plain_sql("select a, 'x  --y' as b from {{ ref('c') }}");
        assert_eq!(plain_sql("{# why #}\nselect a,\n  'x  --y' as b -- the text\nfrom /* of */ {{ ref('c') }}\n\n"), plain);
        assert_ne!(plain_sql("select a, 'x --y' as b from {{ ref('c') }}"), plain);
        assert_ne!(plain_sql("select a, 'x  --y' as b from {{ ref('d') }}"), plain);
    }

    #[test]
    fn a_comment_with_jinja_counts() {
        assert_ne!(plain_sql("select 1 -- {{ ref('a') }}"), plain_sql("select 1"));
        assert_eq!(plain_sql("select 1 -- of old"), plain_sql("select 1"));
    }

    #[test]
    fn what_never_ends_is_no_trouble() {
        for text in ["select 'a", "{# a", "/* a", "--", "\"", "é -- ü"] {
            let _ = plain_sql(text);
        }
        assert_eq!(plain_sql("select 'é'  "), "select 'é'");
    }
}
