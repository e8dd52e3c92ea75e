//! The config keys that dbt, its adapters and this program know, to notice misspelt ones. A project may keep keys of its
//! own among them, so only a key that is nearly a known one is worth a word.

use serde_json::Value as Json;

use super::ConfigValues;
use crate::base::{Code, Diagnostic, Sources, Span, nearest};
use crate::manifest::{Materialization, ResourceType};

/// Every key that some resource has.
const KNOWN: &[&str] = &[
    "access",
    "alias",
    "as_columnstore",
    "audit",
    "auto_refresh",
    "batch_size",
    "begin",
    "buckets",
    "cache",
    "catalog_name",
    "change_feed",
    "check_cols",
    "cluster_by",
    "clustered_by",
    "column_types",
    "concurrent_batches",
    "contract",
    "copy_grants",
    "database",
    "databricks_tags",
    "dbt_valid_to_current",
    "dedupe",
    "delimiter",
    "dist",
    "docs",
    "enabled",
    "error_if",
    "event_time",
    "export_as",
    "fail_calc",
    "file_format",
    "format",
    "freshness",
    "full_refresh",
    "grants",
    "group",
    "hard_deletes",
    "incremental_predicates",
    "incremental_strategy",
    "indexes",
    "invalidate_hard_deletes",
    "labels",
    "limit",
    "liquid_clustered_by",
    "loaded_at_field",
    "loaded_at_query",
    "location",
    "location_root",
    "lookback",
    "matched_condition",
    "materialized",
    "merge_exclude_columns",
    "merge_update_columns",
    "merge_with_schema_evolution",
    "meta",
    "node_color",
    "not_matched_by_source_action",
    "not_matched_by_source_condition",
    "not_matched_condition",
    "on_configuration_change",
    "on_error",
    "on_schema_change",
    "options",
    "packages",
    "partition_by",
    "persist_docs",
    "post-hook",
    "post_hook",
    "pre-hook",
    "pre_hook",
    "predicates",
    "query_tag",
    "quote_columns",
    "quoting",
    "schema",
    "secure",
    "severity",
    "skip_matched_step",
    "skip_not_matched_step",
    "snapshot_meta_column_names",
    "snowflake_warehouse",
    "sort",
    "sort_type",
    "source_alias",
    "sql_header",
    "static_analysis",
    "store_failures",
    "store_failures_as",
    "strategy",
    "submission_method",
    "table_format",
    "tags",
    "target_alias",
    "target_database",
    "target_lag",
    "target_schema",
    "tblproperties",
    "transient",
    "unique_key",
    "unlogged",
    "updated_at",
    "warn_if",
    "where",
    "zorder",
];

/// The distance at which a name is more likely another name than a slip.
const FAR: usize = 2;

/// Keys of other warehouses that say where rows lie, who reads them or what is sent before them, and what to do here.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("grants", "who may read a table is up to the storage that it lies in"),
    ("location_root", "a table lies in the folder of its schema in the warehouse; `databases` of the target names further warehouses"),
    ("sql_header", "send the statement in a `pre_hook`"),
];

/// Says of such keys that nothing comes of them.
pub(super) fn without_effect(values: &ConfigValues, kind: ResourceType, fallback: Span, found: &mut Vec<Diagnostic>) {
    // A macro may make something of them.
    let built_in =
        values.get("materialized").and_then(Json::as_str).is_none_or(|name| !matches!(Materialization::from_name(name), Materialization::Custom(_)));
    if !kind.is_referable() || !built_in {
        return;
    }
    for (key, place, help) in WITHOUT_EFFECT.iter().filter_map(|(key, help)| Some((key, values.set_at(key, fallback)?, help))) {
        let diagnostic = Diagnostic::warning(Code::NotAvailable, format!("the config `{key}` has no effect on Delta tables")).at(place, "set here");
        found.push(diagnostic.help(*help));
    }
}

/// A warning for each key that is nearly a known one.
pub(super) fn misspelt(values: &ConfigValues, sources: &Sources, found: &mut Vec<Diagnostic>) {
    for (key, (_, span)) in &values.values {
        let Some(near) = near(key) else { continue };
        found.push(
            Diagnostic::warning(Code::UnknownKey, format!("nothing reads the config key `{key}`"))
                .at_opt(span.map(|value| sources.key_of(value, key)), "set here")
                .help(format!("did you mean `{near}`? A key of your own is safe below `meta`")),
        );
    }
}

fn near(key: &str) -> Option<&'static str> {
    if KNOWN.binary_search(&key).is_ok() || key.chars().count() < 4 {
        return None;
    }
    let near = nearest(key, KNOWN.iter().copied())?;
    let slip = strsim::damerau_levenshtein(&key.to_lowercase(), near) <= FAR.min(key.chars().count() / 3);
    (slip || near.replace(['_', '-'], "") == key.to_lowercase().replace(['_', '-'], "")).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_noticed_and_own_keys_are_not() {
        assert!(KNOWN.is_sorted());
        for (key, wanted) in [("materialised", "materialized"), ("severty", "severity"), ("partitionby", "partition_by"), ("tag", "")] {
            assert_eq!(near(key).unwrap_or_default(), wanted);
        }
        for own in ["materialized", "owner", "team", "sla", "my_option", "color", "elementary", "dagster", "datavault", "model_type"] {
            assert_eq!(near(own), None, "{own}");
        }
    }
}
