//! The config of models that keep what earlier runs wrote: incremental models and snapshots.

use serde_json::Value as Json;

use super::Reader;
use super::microbatch::microbatch;
use crate::base::{Code, Diagnostic, nearest};
use crate::load::ProjectDialect;
use crate::manifest::{
    HardDeletes, IncrementalConfig, IncrementalStrategy, Materialization, OnSchemaChange, ResourceType, SnapshotColumns, SnapshotConfig,
    SnapshotStrategy, StreamKind, Streams,
};

pub(super) fn incremental(reader: &mut Reader<'_>, materialization: &Materialization) -> Option<IncrementalConfig> {
    if *materialization != Materialization::Incremental {
        return None;
    }
    let unique_key = keys(reader);
    let strategy = strategy(reader, &unique_key);
    let predicates = if reader.present("incremental_predicates").is_some() { "incremental_predicates" } else { "predicates" };
    let predicates = reader.texts(predicates);
    if strategy == IncrementalStrategy::ReplaceWhere && predicates.is_empty() {
        reader.lacks("incremental_strategy", "the strategy `replace_where` needs `incremental_predicates`", "say which rows are replaced");
    }
    let update = reader.texts("merge_update_columns");
    let exclude = reader.texts("merge_exclude_columns");
    if !update.is_empty() && !exclude.is_empty() {
        reader.lacks("merge_exclude_columns", "`merge_update_columns` and `merge_exclude_columns` exclude each other", "keep one of them");
    }
    let target_alias = reader.text("target_alias").unwrap_or_else(|| IncrementalConfig::TARGET_ALIAS.into());
    let source_alias = reader.text("source_alias").unwrap_or_else(|| IncrementalConfig::SOURCE_ALIAS.into());
    if target_alias.eq_ignore_ascii_case(&source_alias) {
        let message = format!("`target_alias` and `source_alias` are both `{source_alias}`");
        reader.lacks("source_alias", &message, "give the new row and the old one different names");
    }
    let evolves = reader.flag("merge_with_schema_evolution", false);
    let on_schema_change = on_schema_change(reader);
    Some(IncrementalConfig {
        on_schema_change: if evolves && on_schema_change == OnSchemaChange::Ignore { OnSchemaChange::AppendNewColumns } else { on_schema_change },
        predicates,
        merge_update_columns: update,
        merge_exclude_columns: exclude,
        matched_condition: reader.text("matched_condition"),
        not_matched_condition: reader.text("not_matched_condition"),
        not_matched_by_source_condition: reader.text("not_matched_by_source_condition"),
        not_matched_by_source_action: reader.text("not_matched_by_source_action"),
        skip_matched_step: reader.flag("skip_matched_step", false),
        skip_not_matched_step: reader.flag("skip_not_matched_step", false),
        target_alias,
        source_alias,
        dedupe: dedupe(reader, &unique_key),
        streams: streams(reader),
        strategy,
        unique_key,
    })
}

/// `unique_key` as a list; an empty text is no key, as in dbt.
fn keys(reader: &mut Reader<'_>) -> Vec<String> {
    reader.texts("unique_key").into_iter().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).collect()
}

fn strategy(reader: &mut Reader<'_>, unique_key: &[String]) -> IncrementalStrategy {
    let Some(name) = reader.text("incremental_strategy").filter(|name| name != "default") else {
        return if unique_key.is_empty() { IncrementalStrategy::Append } else { IncrementalStrategy::Merge };
    };
    if name == "microbatch" {
        // What is wrong with it stops the command, so the strategy that stands for it meets nothing.
        return microbatch(reader).map_or(IncrementalStrategy::Append, |config| IncrementalStrategy::Microbatch(Box::new(config)));
    }
    let strategy = IncrementalStrategy::from_name(&name);
    if unique_key.is_empty() && matches!(strategy, IncrementalStrategy::Merge | IncrementalStrategy::DeleteInsert) {
        let help = "add unique_key, or use the strategy `append`";
        match reader.dialect {
            ProjectDialect::Alluvium => reader.lacks("incremental_strategy", &format!("the strategy `{name}` needs a `unique_key`"), help),
            // As in dbt, where nothing matches without a key.
            ProjectDialect::Dbt => {
                reader.warns("incremental_strategy", &format!("without a `unique_key` the strategy `{name}` adds all rows"), help);
            }
        }
        return IncrementalStrategy::Append;
    }
    if let (IncrementalStrategy::Other(_), Some(near)) = (&strategy, nearest(&name, IncrementalStrategy::NAMES)) {
        let message = format!("config `incremental_strategy`: there is no strategy `{name}`");
        reader.lacks("incremental_strategy", &message, &format!("did you mean `{near}`?"));
    }
    strategy
}

fn on_schema_change(reader: &mut Reader<'_>) -> OnSchemaChange {
    match reader.text("on_schema_change").as_deref() {
        None | Some("ignore") => OnSchemaChange::Ignore,
        Some("fail") => OnSchemaChange::Fail,
        Some("append_new_columns") => OnSchemaChange::AppendNewColumns,
        Some("sync_all_columns") => OnSchemaChange::SyncAllColumns,
        Some(other) => {
            reader.wrong("on_schema_change", "`ignore`, `fail`, `append_new_columns` or `sync_all_columns`", Json::from(other));
            OnSchemaChange::Ignore
        }
    }
}

/// Nothing here can be changed in its place, so any of its values does; but it is one of them.
pub(super) fn on_configuration_change(reader: &mut Reader<'_>) {
    if let Some(other) = reader.text("on_configuration_change").filter(|text| !["apply", "continue", "fail"].contains(&text.as_str())) {
        reader.wrong("on_configuration_change", "`apply`, `continue` or `fail`", Json::from(other));
    }
}

fn dedupe(reader: &mut Reader<'_>, unique_key: &[String]) -> Option<String> {
    let value = reader.present("dedupe")?;
    let order_by = match &value {
        Json::Object(map) if map.len() == 1 => map.get("order_by").and_then(Json::as_str),
        _ => None,
    };
    if order_by.is_none() {
        reader.wrong("dedupe", "a map with `order_by`", value.clone());
    } else if unique_key.is_empty() {
        reader.lacks("dedupe", "`dedupe` needs a `unique_key`", "say which columns make a row the same row");
    }
    order_by.map(str::to_owned)
}

/// `read`: which sources are read as streams.
fn streams(reader: &mut Reader<'_>) -> Streams {
    const EXPECTED: &str = "`new_files`, `new_rows`, or a map of sources to them";
    let kind = |value: &Json| value.as_str().and_then(StreamKind::from_name);
    let Some(value) = reader.present("read") else { return Streams::None };
    let read = match &value {
        Json::Object(map) => map.iter().map(|(name, value)| Some((name.clone(), kind(value)?))).collect::<Option<Vec<_>>>().map(Streams::Named),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => kind(&value).map(Streams::All),
    };
    read.unwrap_or_else(|| {
        reader.wrong("read", EXPECTED, value);
        Streams::None
    })
}

pub(super) fn snapshot(reader: &mut Reader<'_>, materialization: &Materialization) -> Option<SnapshotConfig> {
    if *materialization != Materialization::Snapshot {
        return None;
    }
    let unique_key = keys(reader);
    if unique_key.is_empty() {
        reader.lacks("unique_key", "a snapshot needs a `unique_key`", "name the column, or the columns, that identify a row");
    }
    let strategy = snapshot_strategy(reader)?;
    Some(SnapshotConfig {
        hard_deletes: hard_deletes(reader),
        valid_to_current: reader.text("dbt_valid_to_current"),
        columns: snapshot_columns(reader),
        strategy,
        unique_key,
    })
}

fn snapshot_strategy(reader: &mut Reader<'_>) -> Option<SnapshotStrategy> {
    match reader.text("strategy").as_deref() {
        Some("timestamp") => {
            let updated_at = reader.text("updated_at");
            if updated_at.is_none() {
                reader.lacks("strategy", "the strategy `timestamp` needs `updated_at`", "name the column with the time of the last change");
            }
            Some(SnapshotStrategy::Timestamp { updated_at: updated_at? })
        }
        Some("check") => {
            let columns = match reader.present("check_cols") {
                Some(Json::String(text)) if text == "all" => None,
                Some(_) => Some(reader.texts("check_cols")),
                None => Some(Vec::new()),
            };
            if columns.as_ref().is_some_and(Vec::is_empty) {
                reader.lacks("strategy", "the strategy `check` needs `check_cols`", "name the columns to compare, or say `all`");
                return None;
            }
            Some(SnapshotStrategy::Check { columns })
        }
        Some(other) => {
            reader.wrong("strategy", "`timestamp` or `check`", Json::from(other));
            None
        }
        None => {
            reader.lacks("strategy", "a snapshot needs a `strategy`", "use `timestamp` with `updated_at`, or `check` with `check_cols`");
            None
        }
    }
}

fn hard_deletes(reader: &mut Reader<'_>) -> HardDeletes {
    if reader.present("hard_deletes").is_some() && reader.present("invalidate_hard_deletes").is_some() {
        let message = "`hard_deletes` and `invalidate_hard_deletes` exclude each other";
        reader.lacks("invalidate_hard_deletes", message, "keep `hard_deletes`; `invalidate_hard_deletes` is its older spelling");
    }
    match reader.text("hard_deletes").as_deref() {
        None if reader.flag("invalidate_hard_deletes", false) => HardDeletes::Invalidate,
        None | Some("ignore") => HardDeletes::Ignore,
        Some("invalidate") => HardDeletes::Invalidate,
        Some("new_record") => HardDeletes::NewRecord,
        Some(other) => {
            reader.wrong("hard_deletes", "`ignore`, `invalidate` or `new_record`", Json::from(other));
            HardDeletes::Ignore
        }
    }
}

fn snapshot_columns(reader: &mut Reader<'_>) -> SnapshotColumns {
    const KEYS: [&str; 5] = ["dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_is_deleted"];
    let names = reader.text_map("snapshot_meta_column_names");
    for name in names.keys().filter(|name| !KEYS.contains(&name.as_str())) {
        let help = nearest(name, KEYS).map_or_else(|| format!("the columns are {}", KEYS.join(", ")), |near| format!("did you mean `{near}`?"));
        reader.lacks("snapshot_meta_column_names", &format!("a snapshot adds no column `{name}`"), &help);
    }
    let name = |key: &str| names.get(key).cloned().unwrap_or_else(|| key.to_owned());
    let twice = KEYS.iter().enumerate().find(|(at, key)| KEYS[..*at].iter().any(|other| name(other).eq_ignore_ascii_case(&name(key))));
    if let Some((_, key)) = twice {
        let message = format!("two of a snapshot's own columns are called `{}`", name(key));
        reader.lacks("snapshot_meta_column_names", &message, "give each a name of its own");
    }
    SnapshotColumns {
        scd_id: name(KEYS[0]),
        updated_at: name(KEYS[1]),
        valid_from: name(KEYS[2]),
        valid_to: name(KEYS[3]),
        is_deleted: name(KEYS[4]),
    }
}

impl Reader<'_> {
    /// Warns of what a config comes to, at `key` where that is set.
    fn warns(&mut self, key: &str, message: &str, help: &str) {
        let span = self.values.values.get(key).and_then(|(_, span)| *span).unwrap_or(self.fallback);
        self.found.push(Diagnostic::warning(Code::ConfigType, message).at(span, "this config").help(help));
    }

    /// Reports what a config needs, at `key` where that is set.
    pub(super) fn lacks(&mut self, key: &str, message: &str, help: &str) {
        let span = self.values.values.get(key).and_then(|(_, span)| *span).unwrap_or(self.fallback);
        // Of snapshots dbt asks for all that they need as soon as it reads them.
        let place = if self.kind == ResourceType::Snapshot { &mut *self.found } else { &mut self.late };
        place.push(Diagnostic::error(Code::ConfigType, message).at(span, "this config").help(help));
    }
}
