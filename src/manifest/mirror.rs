//! The config of a node as dbt's manifest and its templates have it: dbt's keys with their defaults, and every other key as
//! the user wrote it.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::{ConstraintDecl, ConstraintKind, Node, OnViolation, ResourceType, SCHEMA_OF_FAILURES};

/// Config of models, seeds, snapshots and analyses.
#[derive(Debug, Serialize)]
struct NodeConfigMirror<'a> {
    #[serde(flatten)]
    common: CommonConfig<'a>,
    materialized: &'a str,
    incremental_strategy: Value<'a>,
    batch_size: Value<'a>,
    lookback: Value<'a>,
    begin: Value<'a>,
    persist_docs: Value<'a>,
    #[serde(rename = "post-hook")]
    post_hook: Vec<Hook<'a>>,
    #[serde(rename = "pre-hook")]
    pre_hook: Vec<Hook<'a>>,
    quoting: Value<'a>,
    column_types: &'a IndexMap<String, String>,
    full_refresh: Option<bool>,
    unique_key: Value<'a>,
    on_schema_change: Value<'a>,
    on_configuration_change: Value<'a>,
    grants: Value<'a>,
    packages: Value<'a>,
    docs: Docs<'a>,
    contract: Contract<'a>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, Value<'a>>,
}

#[derive(Debug, Serialize)]
struct CommonConfig<'a> {
    enabled: bool,
    alias: Option<&'a str>,
    schema: Option<&'a str>,
    database: Option<&'a str>,
    tags: &'a [String],
    meta: &'a Map<String, Json>,
    group: Option<&'a str>,
    static_analysis: Value<'a>,
}

#[derive(Debug, Serialize)]
struct TestConfigMirror<'a> {
    #[serde(flatten)]
    common: CommonConfig<'a>,
    materialized: &'static str,
    severity: Value<'a>,
    store_failures: Option<bool>,
    store_failures_as: Value<'a>,
    r#where: Option<&'a str>,
    limit: Option<u64>,
    fail_calc: &'a str,
    warn_if: &'a str,
    error_if: &'a str,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, Value<'a>>,
}

#[derive(Debug, Serialize)]
struct SourceConfigMirror<'a> {
    enabled: bool,
    event_time: Value<'a>,
    freshness: Value<'a>,
    loaded_at_field: Value<'a>,
    loaded_at_query: Value<'a>,
    meta: &'a Map<String, Json>,
    tags: &'a [String],
    static_analysis: Value<'a>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, Value<'a>>,
}

/// A value as the user wrote it, or its default.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Value<'a> {
    Given(&'a Json),
    Flag(bool),
    Number(u64),
    Text(&'a str),
    Character(char),
    List([(); 0]),
    Map(EmptyMap),
    Columns(SnapshotColumns<'a>),
    Freshness(Freshness),
    Null(()),
}

/// `{}`
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct EmptyMap {}

/// The names of a snapshot's own columns, where they are given.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are dbt's")]
pub(crate) struct SnapshotColumns<'a> {
    dbt_valid_to: Option<&'a Json>,
    dbt_valid_from: Option<&'a Json>,
    dbt_scd_id: Option<&'a Json>,
    dbt_updated_at: Option<&'a Json>,
    dbt_is_deleted: Option<&'a Json>,
}

impl<'a> SnapshotColumns<'a> {
    fn of(given: Option<&'a Json>) -> Self {
        let name = |key| given.and_then(|names| names.get(key));
        Self {
            dbt_valid_to: name("dbt_valid_to"),
            dbt_valid_from: name("dbt_valid_from"),
            dbt_scd_id: name("dbt_scd_id"),
            dbt_updated_at: name("dbt_updated_at"),
            dbt_is_deleted: name("dbt_is_deleted"),
        }
    }
}

/// What dbt has for a source of which nothing is said.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Freshness {
    warn_after: Bound,
    error_after: Bound,
    filter: Option<()>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Bound {
    count: Option<()>,
    period: Option<()>,
}

impl Freshness {
    const UNBOUND: Self = {
        let bound = Bound { count: None, period: None };
        Self { warn_after: bound, error_after: bound, filter: None }
    };
}

impl Value<'_> {
    pub(crate) const NULL: Self = Self::Null(());
    const EMPTY_MAP: Self = Self::Map(EmptyMap {});
}

/// A hook in dbt's full form.
#[derive(Debug, Serialize)]
struct Hook<'a> {
    sql: Value<'a>,
    transaction: Value<'a>,
    index: Option<()>,
}

/// `docs` of a node: whether the site shows it, and its colour.
#[derive(Debug, Serialize)]
pub(crate) struct Docs<'a> {
    show: Value<'a>,
    node_color: Value<'a>,
}

#[derive(Debug, Serialize)]
struct Contract<'a> {
    enforced: bool,
    alias_types: Value<'a>,
}

/// Keys that have a field of their own in the mirrors.
const NODE_KEYS: [&str; 31] = [
    "alias",
    "batch_size",
    "begin",
    "column_types",
    "contract",
    "database",
    "docs",
    "enabled",
    "full_refresh",
    "grants",
    "group",
    "incremental_strategy",
    "lookback",
    "materialized",
    "meta",
    "on_configuration_change",
    "on_schema_change",
    "packages",
    "persist_docs",
    "post_hook",
    "pre_hook",
    "quoting",
    "schema",
    "static_analysis",
    "tags",
    "unique_key",
    "event_time",
    "concurrent_batches",
    "access",
    "freshness",
    "snapshot_meta_column_names",
];
const TEST_KEYS: [&str; 17] = [
    "alias",
    "database",
    "enabled",
    "error_if",
    "fail_calc",
    "group",
    "limit",
    "materialized",
    "meta",
    "schema",
    "severity",
    "static_analysis",
    "store_failures",
    "store_failures_as",
    "tags",
    "warn_if",
    "where",
];
/// Keys that dbt writes for every snapshot.
const SNAPSHOT_KEYS: [&str; 6] = ["check_cols", "dbt_valid_to_current", "strategy", "target_database", "target_schema", "updated_at"];
const SOURCE_KEYS: [&str; 8] = ["enabled", "event_time", "freshness", "loaded_at_field", "loaded_at_query", "meta", "static_analysis", "tags"];

/// The config of a node, made when it is written.
#[derive(Debug)]
pub(crate) struct Config<'a>(pub &'a Node);

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let node = self.0;
        match node.resource_type() {
            ResourceType::Test => test_config(node).serialize(serializer),
            ResourceType::Source => source_config(node).serialize(serializer),
            ResourceType::Exposure => {
                json!({"enabled": node.config.enabled, "tags": node.config.tags, "meta": node.config.meta}).serialize(serializer)
            }
            ResourceType::UnitTest => {
                let analysis = node.config.raw.get("static_analysis");
                json!({"enabled": node.config.enabled, "tags": node.config.tags, "meta": node.config.meta, "static_analysis": analysis})
                    .serialize(serializer)
            }
            ResourceType::Metric | ResourceType::SemanticModel => {
                let mut config = json!({"enabled": node.config.enabled, "group": node.config.group, "meta": node.config.meta});
                if node.resource_type() == ResourceType::SemanticModel && !node.config.tags.is_empty() {
                    config["tags"] = json!(node.config.tags);
                }
                config.serialize(serializer)
            }
            ResourceType::SavedQuery => saved_query_config(node).serialize(serializer),
            ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Analysis | ResourceType::Function => {
                node_config(node).serialize(serializer)
            }
        }
    }
}

fn common<'a>(node: &'a Node, schema: Option<&'static str>) -> CommonConfig<'a> {
    let config = &node.config;
    CommonConfig {
        enabled: config.enabled,
        alias: config.alias.as_deref(),
        schema: config.schema.as_deref().or(schema),
        database: config.database.as_deref(),
        tags: &config.tags,
        meta: &config.meta,
        group: config.group.as_deref(),
        static_analysis: Raw(&config.raw).or("static_analysis", Value::NULL),
    }
}

fn node_config(node: &Node) -> NodeConfigMirror<'_> {
    let config = &node.config;
    let raw = Raw(&config.raw);
    NodeConfigMirror {
        common: common(node, None),
        // An analysis is never built, whatever it is configured to be.
        materialized: if node.resource_type() == ResourceType::Analysis {
            config.raw.get("materialized").and_then(Json::as_str).unwrap_or("view")
        } else {
            config.materialization.name()
        },
        incremental_strategy: raw.or("incremental_strategy", Value::NULL),
        batch_size: raw.or("batch_size", Value::NULL),
        lookback: raw.or("lookback", Value::Number(1)),
        begin: raw.or("begin", Value::NULL),
        persist_docs: raw.or("persist_docs", Value::EMPTY_MAP),
        post_hook: hooks(&raw, "post_hook"),
        pre_hook: hooks(&raw, "pre_hook"),
        quoting: raw.or("quoting", Value::EMPTY_MAP),
        column_types: &config.column_types,
        full_refresh: config.full_refresh,
        unique_key: raw.or("unique_key", Value::NULL),
        on_schema_change: raw.or("on_schema_change", Value::Text("ignore")),
        on_configuration_change: raw.or("on_configuration_change", Value::Text("apply")),
        grants: raw.or("grants", Value::EMPTY_MAP),
        packages: raw.or("packages", Value::List([])),
        docs: docs(node),
        contract: Contract { enforced: config.contract_enforced, alias_types: alias_types(node) },
        extra: node_extra(node, &raw),
    }
}

fn node_extra<'a>(node: &'a Node, raw: &Raw<'a>) -> BTreeMap<&'a str, Value<'a>> {
    let mut extra = raw.others(&NODE_KEYS);
    extra.insert("event_time", raw.or("event_time", Value::NULL));
    extra.insert("concurrent_batches", raw.or("concurrent_batches", Value::NULL));
    match node.resource_type() {
        ResourceType::Seed => {
            extra.insert("delimiter", Value::Character(node.config.delimiter));
            extra.entry("quote_columns").or_insert(Value::NULL);
        }
        ResourceType::Model => {
            extra.insert("access", Value::Text(node.config.access.name()));
            extra.insert("freshness", raw.or("freshness", Value::NULL));
        }
        ResourceType::Snapshot => {
            for key in SNAPSHOT_KEYS {
                extra.entry(key).or_insert(Value::NULL);
            }
            extra.insert("snapshot_meta_column_names", Value::Columns(SnapshotColumns::of(raw.0.get("snapshot_meta_column_names"))));
        }
        ResourceType::Function => {
            extra.entry("type").or_insert(Value::Text("scalar"));
            for key in ["volatility", "runtime_version", "entry_point"] {
                extra.entry(key).or_insert(Value::NULL);
            }
        }
        ResourceType::Analysis
        | ResourceType::Exposure
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
        | ResourceType::Source
        | ResourceType::Test
        | ResourceType::UnitTest => {}
    }
    extra
}

fn test_config(node: &Node) -> TestConfigMirror<'_> {
    let test = &node.config.test;
    let raw = Raw(&node.config.raw);
    let store_failures = (test.store_failures || raw.0.contains_key("store_failures")).then_some(test.store_failures);
    let stored_as = match store_failures {
        None => Value::NULL,
        Some(true) => Value::Text("table"),
        Some(false) => Value::Text("ephemeral"),
    };
    TestConfigMirror {
        // The group of a test is that of what it tests, and no config of its own.
        common: CommonConfig { group: None, ..common(node, Some(SCHEMA_OF_FAILURES)) },
        materialized: "test",
        // As it is written; dbt has its default in capital letters.
        severity: raw.or(
            "severity",
            Value::Text(match test.severity {
                OnViolation::Warn => "WARN",
                OnViolation::Error => "ERROR",
            }),
        ),
        store_failures,
        store_failures_as: raw.or("store_failures_as", stored_as),
        r#where: test.filter.as_deref(),
        limit: test.limit,
        fail_calc: &test.fail_calc,
        warn_if: &test.warn_if,
        error_if: &test.error_if,
        extra: raw.others(&TEST_KEYS),
    }
}

fn saved_query_config(node: &Node) -> Json {
    let raw = Raw(&node.config.raw);
    json!({
        "enabled": node.config.enabled, "group": node.config.group, "meta": node.config.meta, "export_as": raw.or("export_as", Value::NULL),
        "schema": node.config.schema, "cache": {"enabled": raw.inside("cache", "enabled", Value::Flag(false))},
    })
}

fn source_config(node: &Node) -> SourceConfigMirror<'_> {
    let raw = Raw(&node.config.raw);
    SourceConfigMirror {
        enabled: node.config.enabled,
        event_time: raw.or("event_time", Value::NULL),
        freshness: raw.freshness(),
        loaded_at_field: raw.or("loaded_at_field", Value::NULL),
        loaded_at_query: given(node.config.written.get("loaded_at_query")).unwrap_or_else(|| raw.or("loaded_at_query", Value::NULL)),
        meta: &node.config.meta,
        tags: &node.config.tags,
        static_analysis: raw.or("static_analysis", Value::NULL),
        extra: raw.others(&SOURCE_KEYS),
    }
}

pub(crate) fn docs(node: &Node) -> Docs<'_> {
    let raw = Raw(&node.config.raw);
    Docs { show: raw.inside("docs", "show", Value::Flag(true)), node_color: raw.inside("docs", "node_color", Value::NULL) }
}

/// Whether types of a contract may be spelt in other ways.
pub(crate) fn alias_types(node: &Node) -> Value<'_> {
    Raw(&node.config.raw).inside("contract", "alias_types", Value::Flag(true))
}

/// The keys as the user wrote them.
pub(crate) struct Raw<'a>(pub &'a Map<String, Json>);

impl<'a> Raw<'a> {
    pub fn or(&self, key: &str, default: Value<'a>) -> Value<'a> {
        given(self.0.get(key)).unwrap_or(default)
    }

    fn inside(&self, key: &str, inner: &str, default: Value<'a>) -> Value<'a> {
        given(self.0.get(key).and_then(|value| value.get(inner))).unwrap_or(default)
    }

    /// How old rows of a source may be; where nothing is said, a rule without bounds.
    pub fn freshness(&self) -> Value<'a> {
        self.0.get("freshness").map_or(Value::Freshness(Freshness::UNBOUND), Value::Given)
    }

    fn others(&self, known: &[&str]) -> BTreeMap<&'a str, Value<'a>> {
        let pairs = self.0.iter().map(|(key, value)| (key.trim_start_matches('+'), value));
        pairs.filter(|(key, _)| !known.contains(key)).map(|(key, value)| (key, Value::Given(value))).collect()
    }
}

fn given(value: Option<&Json>) -> Option<Value<'_>> {
    value.filter(|value| !value.is_null()).map(Value::Given)
}

/// Hooks, from a text, a mapping, or a list of these.
fn hooks<'a>(raw: &Raw<'a>, name: &str) -> Vec<Hook<'a>> {
    let hook = |value: &'a Json| match value {
        Json::String(sql) => Hook { sql: Value::Text(sql), transaction: Value::Flag(true), index: None },
        other => Hook {
            sql: other.get("sql").map_or(Value::Text(""), Value::Given),
            transaction: other.get("transaction").map_or(Value::Flag(true), Value::Given),
            index: None,
        },
    };
    match raw.0.get(name).filter(|value| !value.is_null()) {
        None => Vec::new(),
        Some(Json::Array(values)) => values.iter().map(hook).collect(),
        Some(value) => vec![hook(value)],
    }
}

/// A declared key of a model, or else the columns that are tested to be unique and not null, as `tested` says of a test's name
/// and a column.
pub(crate) fn primary_key(node: &Node, tested: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let is_key = |constraint: &&ConstraintDecl| constraint.kind == ConstraintKind::PrimaryKey;
    if let Some(key) = node.constraints.iter().find(is_key) {
        return key.columns.clone();
    }
    let declared = node.columns.values().filter(|column| column.constraints.iter().any(|constraint| is_key(&constraint)));
    let declared: Vec<String> = declared.map(|column| column.name.clone()).collect();
    if !declared.is_empty() {
        return declared;
    }
    let columns = node.columns.values().map(|column| &column.name);
    columns.filter(|column| tested("unique", column) && tested("not_null", column)).cloned().collect()
}
