//! The config of a node in the manifest: dbt's keys with their defaults, and every other key as the user wrote it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::super::to_json;
use crate::manifest::{Node, OnViolation, ResourceType};

/// Config of models, seeds, snapshots and analyses.
#[derive(Debug, Serialize)]
struct NodeConfigMirror<'a> {
    #[serde(flatten)]
    common: CommonConfig<'a>,
    materialized: &'a str,
    incremental_strategy: Json,
    batch_size: Json,
    lookback: Json,
    begin: Json,
    persist_docs: Json,
    #[serde(rename = "post-hook")]
    post_hook: Vec<Json>,
    #[serde(rename = "pre-hook")]
    pre_hook: Vec<Json>,
    quoting: Json,
    column_types: Json,
    full_refresh: Option<bool>,
    unique_key: Json,
    on_schema_change: Json,
    on_configuration_change: Json,
    grants: Json,
    packages: Json,
    docs: Json,
    contract: Json,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, Json>,
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
}

#[derive(Debug, Serialize)]
struct TestConfigMirror<'a> {
    #[serde(flatten)]
    common: CommonConfig<'a>,
    materialized: &'static str,
    severity: &'static str,
    store_failures: Option<bool>,
    store_failures_as: Json,
    r#where: Option<&'a str>,
    limit: Option<u64>,
    fail_calc: &'a str,
    warn_if: &'a str,
    error_if: &'a str,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, Json>,
}

#[derive(Debug, Serialize)]
struct SourceConfigMirror<'a> {
    enabled: bool,
    event_time: Json,
    freshness: Json,
    loaded_at_field: Json,
    loaded_at_query: Json,
    meta: &'a Map<String, Json>,
    tags: &'a [String],
    #[serde(flatten)]
    extra: BTreeMap<&'a str, Json>,
}

/// Keys that have a field of their own in the mirrors.
const NODE_KEYS: [&str; 32] = [
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
    "post-hook",
    "post_hook",
    "pre-hook",
    "pre_hook",
    "quoting",
    "schema",
    "tags",
    "unique_key",
    "event_time",
    "concurrent_batches",
    "access",
    "freshness",
    "snapshot_meta_column_names",
];
const TEST_KEYS: [&str; 16] = [
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
    "store_failures",
    "store_failures_as",
    "tags",
    "warn_if",
    "where",
];
/// Keys that dbt writes for every snapshot.
const SNAPSHOT_KEYS: [&str; 6] = ["check_cols", "dbt_valid_to_current", "strategy", "target_database", "target_schema", "updated_at"];
const SOURCE_KEYS: [&str; 7] = ["enabled", "event_time", "freshness", "loaded_at_field", "loaded_at_query", "meta", "tags"];

pub(super) fn config_json(node: &Node) -> Json {
    match node.resource_type() {
        ResourceType::Test => test_config(node),
        ResourceType::Source => source_config(node),
        ResourceType::Exposure | ResourceType::UnitTest => {
            json!({"enabled": node.config.enabled, "tags": node.config.tags, "meta": node.config.meta})
        }
        ResourceType::Metric => json!({"enabled": node.config.enabled, "group": node.config.group, "meta": node.config.meta}),
        ResourceType::SemanticModel => {
            let mut config = json!({"enabled": node.config.enabled, "group": node.config.group, "meta": node.config.meta});
            if !node.config.tags.is_empty() {
                config["tags"] = json!(node.config.tags);
            }
            config
        }
        ResourceType::SavedQuery => saved_query_config(node),
        ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Analysis | ResourceType::Function => node_config(node),
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
    }
}

fn node_config(node: &Node) -> Json {
    let config = &node.config;
    let raw = Raw(&config.raw);
    let column_types: Map<String, Json> = config.column_types.iter().map(|(name, kind)| (name.clone(), json!(kind))).collect();
    to_json(&NodeConfigMirror {
        common: common(node, None),
        materialized: config.materialization.name(),
        incremental_strategy: raw.or("incremental_strategy", Json::Null),
        batch_size: raw.or("batch_size", Json::Null),
        lookback: raw.or("lookback", json!(1)),
        begin: raw.or("begin", Json::Null),
        persist_docs: raw.or("persist_docs", json!({})),
        post_hook: hooks(&raw, "post-hook", "post_hook"),
        pre_hook: hooks(&raw, "pre-hook", "pre_hook"),
        quoting: raw.or("quoting", json!({})),
        column_types: Json::Object(column_types),
        full_refresh: config.full_refresh,
        unique_key: raw.or("unique_key", Json::Null),
        on_schema_change: raw.or("on_schema_change", json!("ignore")),
        on_configuration_change: raw.or("on_configuration_change", json!("apply")),
        grants: raw.or("grants", json!({})),
        packages: raw.or("packages", json!([])),
        docs: docs_json(node),
        contract: json!({"enforced": config.contract_enforced, "alias_types": raw.inside("contract", "alias_types", json!(true))}),
        extra: node_extra(node, &raw),
    })
}

fn node_extra<'a>(node: &'a Node, raw: &Raw<'a>) -> BTreeMap<&'a str, Json> {
    let mut extra = raw.others(&NODE_KEYS);
    extra.insert("event_time", raw.or("event_time", Json::Null));
    extra.insert("concurrent_batches", raw.or("concurrent_batches", Json::Null));
    match node.resource_type() {
        ResourceType::Seed => {
            extra.insert("delimiter", json!(node.config.delimiter));
            extra.entry("quote_columns").or_insert(Json::Null);
        }
        ResourceType::Model => {
            extra.insert("access", json!(node.config.access.name()));
            extra.insert("freshness", raw.or("freshness", Json::Null));
        }
        ResourceType::Snapshot => {
            for key in SNAPSHOT_KEYS {
                extra.entry(key).or_insert(Json::Null);
            }
            extra.insert("snapshot_meta_column_names", raw.or("snapshot_meta_column_names", json!({})));
        }
        ResourceType::Function => {
            extra.entry("type").or_insert(json!("scalar"));
            for key in ["volatility", "runtime_version", "entry_point"] {
                extra.entry(key).or_insert(Json::Null);
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

fn test_config(node: &Node) -> Json {
    let test = &node.config.test;
    let raw = Raw(&node.config.raw);
    to_json(&TestConfigMirror {
        common: common(node, Some("dbt_test__audit")),
        materialized: "test",
        severity: match test.severity {
            OnViolation::Warn => "WARN",
            OnViolation::Error => "ERROR",
        },
        store_failures: (test.store_failures || raw.0.contains_key("store_failures")).then_some(test.store_failures),
        store_failures_as: raw.or("store_failures_as", Json::Null),
        r#where: test.filter.as_deref(),
        limit: test.limit,
        fail_calc: &test.fail_calc,
        warn_if: &test.warn_if,
        error_if: &test.error_if,
        extra: raw.others(&TEST_KEYS),
    })
}

fn saved_query_config(node: &Node) -> Json {
    let raw = Raw(&node.config.raw);
    json!({
        "enabled": node.config.enabled, "group": node.config.group, "meta": node.config.meta, "export_as": raw.or("export_as", Json::Null),
        "schema": node.config.schema, "cache": {"enabled": raw.inside("cache", "enabled", json!(false))},
    })
}

fn source_config(node: &Node) -> Json {
    let raw = Raw(&node.config.raw);
    to_json(&SourceConfigMirror {
        enabled: node.config.enabled,
        event_time: raw.or("event_time", Json::Null),
        freshness: raw.or("freshness", Json::Null),
        loaded_at_field: raw.or("loaded_at_field", Json::Null),
        loaded_at_query: raw.or("loaded_at_query", Json::Null),
        meta: &node.config.meta,
        tags: &node.config.tags,
        extra: raw.others(&SOURCE_KEYS),
    })
}

/// `docs` of a node: whether the site shows it, and its colour.
pub(super) fn docs_json(node: &Node) -> Json {
    let raw = Raw(&node.config.raw);
    json!({"show": raw.inside("docs", "show", json!(true)), "node_color": raw.inside("docs", "node_color", Json::Null)})
}

/// The keys as the user wrote them.
pub(super) struct Raw<'a>(pub &'a Map<String, Json>);

impl<'a> Raw<'a> {
    pub fn or(&self, key: &str, default: Json) -> Json {
        self.0.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(default)
    }

    fn inside(&self, key: &str, inner: &str, default: Json) -> Json {
        self.0.get(key).and_then(|value| value.get(inner)).filter(|value| !value.is_null()).cloned().unwrap_or(default)
    }

    fn others(&self, known: &[&str]) -> BTreeMap<&'a str, Json> {
        let pairs = self.0.iter().map(|(key, value)| (key.trim_start_matches('+'), value));
        pairs.filter(|(key, _)| !known.contains(key)).map(|(key, value)| (key, value.clone())).collect()
    }
}

/// Hooks in dbt's full form, from a text, a mapping, or a list of these.
fn hooks(raw: &Raw<'_>, name: &str, other_name: &str) -> Vec<Json> {
    let hook = |value: &Json| match value {
        Json::String(sql) => json!({"sql": sql, "transaction": true, "index": null}),
        other => json!({
            "sql": other.get("sql").cloned().unwrap_or_else(|| json!("")),
            "transaction": other.get("transaction").cloned().unwrap_or(json!(true)), "index": null,
        }),
    };
    match raw.or(name, raw.or(other_name, Json::Null)) {
        Json::Null => Vec::new(),
        Json::Array(values) => values.iter().map(hook).collect(),
        value => vec![hook(&value)],
    }
}
