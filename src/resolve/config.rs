//! The config of a node, merged from the project file, the properties and the node's own file, then typed.
//!
//! The nearest wins; tags and hooks add up, `meta`, `docs`, `contract` and other maps merge by key, as in dbt.

mod history;
mod keys;
mod microbatch;
mod properties;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::base::{Code, Diagnostic, Sources, Span, nearest};
use crate::load::ProjectDialect;
use crate::manifest::{Access, Audit, ExternalConfig, FileFormat, Materialization, NodeConfig, OnViolation, ResourceType, TestConfig, config_keys};

/// Config keys with their values and where they stand.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigValues {
    values: IndexMap<String, (Json, Option<Span>)>,
    /// As written, where that is a template in YAML: what it gives may differ by target.
    written: Map<String, Json>,
}

const ADDITIVE: [&str; 4] = ["tags", "packages", "pre_hook", "post_hook"];
const MERGED: [&str; 6] = ["meta", "tblproperties", "column_types", "docs", "contract", "quoting"];

impl ConfigValues {
    /// Adds a value of a nearer place.
    pub(super) fn set(&mut self, key: &str, value: Json, span: Option<Span>) {
        self.set_written(key, value, None, span);
    }

    /// The same, with what was written where that is something else.
    pub(super) fn set_written(&mut self, key: &str, value: Json, written: Option<Json>, span: Option<Span>) {
        let key = spelt(key.strip_prefix('+').unwrap_or(key));
        let before = self.values.get(key).map(|(value, _)| value);
        if written.is_some() || self.written.contains_key(key) {
            let joined = merged(key, self.written.get(key).or(before), written.clone().unwrap_or_else(|| value.clone()));
            if written.is_some() || ADDITIVE.contains(&key) || MERGED.contains(&key) {
                self.written.insert(key.to_owned(), joined);
            } else {
                self.written.remove(key);
            }
        }
        let adds_up = ADDITIVE.contains(&key) || MERGED.contains(&key) || key == "grants";
        let before = self.values.get(key);
        let joined = merged(key, before.map(|(value, _)| value), value);
        // What adds nothing leaves it where it was set.
        let span = before.filter(|(value, _)| adds_up && *value == joined).map_or(span, |(_, span)| *span);
        self.values.insert(key.to_owned(), (joined, span));
    }

    pub(super) fn extend(&mut self, nearer: &Self) {
        for (key, (value, span)) in &nearer.values {
            self.set_written(key, value.clone(), nearer.written.get(key).cloned(), *span);
        }
    }

    /// Takes over what was written of values that are still those of `before`, and not set by the template `text`.
    pub(super) fn written_in(&mut self, before: &Self, text: &str) {
        if before.written.is_empty() {
            self.written.clear();
            return;
        }
        let own = config_keys(text);
        let kept = before.written.iter().filter(|(key, _)| self.get(key) == before.get(key) && !own.contains(key.as_str()));
        self.written = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    }

    /// Keys, values and where they stand, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Json, Option<Span>)> {
        self.values.iter().map(|(key, (value, span))| (key.as_str(), value, *span))
    }

    /// Puts an entry as it was, merging nothing.
    pub(super) fn restore(&mut self, key: String, value: Json, span: Option<Span>) {
        self.values.insert(key, (value, span));
    }

    /// Where a key is set to more than nothing; `fallback` where that is no place in a file.
    fn set_at(&self, key: &str, fallback: Span) -> Option<Span> {
        let (value, span) = self.values.get(key)?;
        let empty = match value {
            Json::Null | Json::Bool(false) => true,
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(map) => map.is_empty(),
            Json::Bool(true) | Json::Number(_) => false,
        };
        (!empty).then_some(span.unwrap_or(fallback))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Json> {
        self.values.get(spelt(key)).map(|(value, _)| value)
    }

    /// With the keys that stand under `meta: {alluvium: ...}`, where a project for dbt keeps what only Alluvium knows;
    /// a key that is set in the usual place wins. `None` where there are none.
    fn with_own_keys(&self) -> Option<Self> {
        let (meta, span) = self.values.get("meta")?;
        let own = meta.get("alluvium")?.as_object()?;
        let mut all = self.clone();
        for (key, value) in own.iter().filter(|(key, _)| self.get(key).is_none()) {
            all.set(key, value.clone(), *span);
        }
        Some(all)
    }

    fn spans(&self) -> BTreeMap<String, Span> {
        self.values.iter().filter_map(|(key, (_, span))| Some((key.clone(), (*span)?))).collect()
    }

    pub(super) fn raw(&self) -> Map<String, Json> {
        self.values.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect()
    }
}

/// Hooks of both spellings add up, in the order in which they are set.
fn spelt(key: &str) -> &str {
    match key {
        "pre-hook" => "pre_hook",
        "post-hook" => "post_hook",
        key => key,
    }
}

/// A value joined to that of a farther place.
fn merged(key: &str, before: Option<&Json>, value: Json) -> Json {
    match before {
        Some(before) if ADDITIVE.contains(&key) => Json::Array(list(before.clone()).into_iter().chain(list(value)).collect()),
        Some(Json::Object(before)) if MERGED.contains(&key) => match value {
            Json::Object(map) => Json::Object(before.clone().into_iter().chain(map).collect()),
            other => other,
        },
        Some(Json::Object(before)) if key == "grants" => match value {
            Json::Object(map) => Json::Object(granted(before.clone(), map)),
            other => other,
        },
        _ => value,
    }
}

/// Who may do what: lists replace each other, unless their key has a `+`.
fn granted(before: Map<String, Json>, nearer: Map<String, Json>) -> Map<String, Json> {
    let mut all: Map<String, Json> = before.into_iter().map(|(key, value)| (key, Json::Array(list(value)))).collect();
    for (key, value) in nearer {
        let name = key.trim_start_matches('+');
        let farther = all.get(name).filter(|_| name != key).cloned().map(list).unwrap_or_default();
        all.insert(name.to_owned(), Json::Array(farther.into_iter().chain(list(value)).collect()));
    }
    all
}

fn list(value: Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items,
        Json::Null => Vec::new(),
        other => vec![other],
    }
}

/// Types the merged values of a node of the given kind. What can't be read is reported and takes its default.
pub(super) fn typed(
    values: &ConfigValues,
    kind: ResourceType,
    fallback: Span,
    (sources, dialect): (&Sources, ProjectDialect),
    found: &mut Vec<Diagnostic>,
) -> NodeConfig {
    let (config, late) = typed_for_build(values, kind, fallback, (sources, dialect), found);
    found.extend(late);
    config
}

/// As [`typed`], but what dbt finds only when it builds the node comes beside the config.
pub(super) fn typed_for_build(
    values: &ConfigValues,
    kind: ResourceType,
    fallback: Span,
    (sources, dialect): (&Sources, ProjectDialect),
    found: &mut Vec<Diagnostic>,
) -> (NodeConfig, Vec<Diagnostic>) {
    let with_own = values.with_own_keys();
    let values = with_own.as_ref().unwrap_or(values);
    keys::misspelt(values, sources, found);
    keys::without_effect(values, kind, fallback, found);
    let mut reader = Reader { values, kind, fallback, sources, dialect, found, late: Vec::new() };
    for key in MAPS {
        reader.map(key);
    }
    history::on_configuration_change(&mut reader);
    let contract_enforced = contract_enforced(&mut reader);
    let persist = |what: &str| values.get("persist_docs").and_then(|value| value.get(what)) == Some(&Json::Bool(true));
    let materialization = materialization(&mut reader, kind);
    let table_properties = reader.text_map("tblproperties");
    let wrong = properties::check(&table_properties, reader.place("tblproperties"));
    reader.late.extend(wrong);
    let config = NodeConfig {
        enabled: reader.flag("enabled", true),
        alias: reader.text("alias"),
        schema: reader.text(if kind == ResourceType::Snapshot && values.get("schema").is_none() { "target_schema" } else { "schema" }),
        database: reader.text("database"),
        tags: reader.texts("tags"),
        meta: reader.map("meta"),
        group: reader.text("group"),
        access: access(&mut reader, kind),
        full_refresh: reader.present("full_refresh").map(|_| reader.flag("full_refresh", false)),
        contract_enforced,
        contract_subset: contract_subset(&mut reader),
        partition_by: partition_by(&mut reader),
        table_properties,
        change_feed: reader.present("change_feed").is_some().then(|| reader.flag("change_feed", true)),
        persist_docs_relation: persist("relation"),
        persist_docs_columns: persist("columns"),
        external: external(&mut reader, &materialization),
        column_types: reader.text_map("column_types"),
        delimiter: delimiter(&mut reader),
        incremental: history::incremental(&mut reader, &materialization).map(Box::new),
        snapshot: history::snapshot(&mut reader, &materialization).map(Box::new),
        test: test_config(&mut reader),
        raw: values.raw(),
        written: values.written.clone(),
        spans: values.spans(),
        materialization,
    };
    (config, reader.late)
}

/// Keys that hold maps, of which nothing else is read here.
const MAPS: [&str; 4] = ["docs", "grants", "persist_docs", "quoting"];

/// Keys of values that dbt holds against their types as soon as it reads the project. What else is wrong it finds when the node is built.
const HELD_AT_ONCE: [&str; 29] = [
    "access",
    "alias",
    "batch_size",
    "begin",
    "check_cols",
    "column_types",
    "contract",
    "database",
    "docs",
    "enabled",
    "error_if",
    "fail_calc",
    "full_refresh",
    "grants",
    "group",
    "limit",
    "materialized",
    "meta",
    "on_configuration_change",
    "persist_docs",
    "quoting",
    "schema",
    "severity",
    "store_failures",
    "store_failures_as",
    "tags",
    "target_schema",
    "warn_if",
    "where",
];

/// Of these, texts are looked at when the node is built.
const TEXTS: [&str; 5] = ["hard_deletes", "incremental_strategy", "on_schema_change", "strategy", "unique_key"];

fn is_held_at_once(key: &str, found: &Json) -> bool {
    HELD_AT_ONCE.contains(&key) || TEXTS.contains(&key) && !found.is_string()
}

fn materialization(reader: &mut Reader<'_>, kind: ResourceType) -> Materialization {
    match kind {
        ResourceType::Seed => Materialization::Seed,
        ResourceType::Snapshot => Materialization::Snapshot,
        ResourceType::Test | ResourceType::UnitTest => Materialization::Test,
        ResourceType::Function => Materialization::Custom("function".into()),
        ResourceType::Model => reader.text("materialized").map_or(Materialization::View, |name| Materialization::from_name(&name)),
        ResourceType::Analysis
        | ResourceType::Exposure
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
        | ResourceType::Source => Materialization::Ephemeral,
    }
}

fn access(reader: &mut Reader<'_>, kind: ResourceType) -> Access {
    let Some(name) = (if kind == ResourceType::Model { reader.text("access") } else { None }) else { return Access::default() };
    let found = Access::from_name(&name);
    if found.is_none() {
        reader.wrong("access", "`private`, `protected` or `public`", Json::from(name));
    }
    found.unwrap_or_default()
}

/// Names of columns. `BigQuery`'s form, a map with `field`, means the column as it is where the parts are days of a date;
/// other parts would be computed of the column, and have no effect.
fn partition_by(reader: &mut Reader<'_>) -> Vec<String> {
    let place = reader.place("partition_by");
    let enabled = reader.values.get("enabled") != Some(&Json::Bool(false));
    let mut columns: Vec<String> = Vec::new();
    for item in reader.present("partition_by").map(list).unwrap_or_default() {
        let text = |key: &str| item.get(key).and_then(Json::as_str).map(str::to_lowercase);
        let column = match &item {
            // Macros give an empty one where they mean none.
            Json::String(column) => Some(column.clone()).filter(|column| !column.is_empty()),
            Json::Object(map) => {
                let days = text("data_type").is_none_or(|kind| kind == "date") && text("granularity").is_none_or(|part| part == "day");
                let column = map.get("field").and_then(Json::as_str).filter(|_| days && !map.contains_key("range"));
                if column.is_none() && enabled {
                    let warning = Diagnostic::warning(Code::ConfigType, "config `partition_by`: a table is parted by columns as they are")
                        .at(place, "this has no effect")
                        .help("name columns, e.g. partition_by=['country'], or dates: {'field': 'day', 'data_type': 'date'}");
                    reader.found.push(warning);
                }
                column.map(str::to_owned)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => {
                reader.wrong("partition_by", "the name of a column or a list of names", item.clone());
                None
            }
        };
        columns.extend(column.filter(|column| !columns.contains(column)));
    }
    columns
}

fn external(reader: &mut Reader<'_>, materialization: &Materialization) -> Option<ExternalConfig> {
    if *materialization != Materialization::External {
        return None;
    }
    let Some(location) = reader.text("location") else {
        let missing = Diagnostic::error(Code::ConfigType, "an external model needs a `location`: where to write its rows");
        let help = "add it to the config, e.g. location='exports/customers.csv'";
        reader.late.push(missing.at(reader.place("materialized"), "this model is external").help(help));
        return None;
    };
    if location.contains(['*', '?', '[']) {
        let wildcard = Diagnostic::error(Code::ConfigType, format!("`{location}` is not a file to write: it has a wildcard"));
        reader.late.push(wildcard.at(reader.place("location"), "set here").help("give the location of one file, or of a folder with `/` at its end"));
        return None;
    }
    let format = if let Some(name) = reader.text("format") {
        let found = FileFormat::from_name(&name);
        if found.is_none() {
            reader.wrong("format", &format!("one of {}", FileFormat::NAMES.join(", ")), Json::from(name));
        }
        found?
    } else {
        let Some(format) = FileFormat::from_location(&location) else {
            let unclear = Diagnostic::error(Code::ConfigType, format!("the format of `{location}` can't be told from its name"));
            reader.late.push(unclear.at(reader.place("location"), "set here").help("add `format` to the config: csv, json or parquet"));
            return None;
        };
        format
    };
    Some(ExternalConfig { location, format, options: reader.text_map("options") })
}

fn delimiter(reader: &mut Reader<'_>) -> char {
    let Some(text) = reader.text("delimiter") else { return ',' };
    let text = if text == "\\t" { "\t".to_owned() } else { text };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(found), None) if found.is_ascii() => found,
        _ => {
            reader.wrong("delimiter", "one ASCII character", Json::from(text));
            ','
        }
    }
}

fn test_config(reader: &mut Reader<'_>) -> TestConfig {
    let fallback = TestConfig::default();
    let severity = match reader.text("severity").map(|text| text.to_lowercase()).as_deref() {
        None | Some("error") => OnViolation::Error,
        Some("warn") => OnViolation::Warn,
        Some(other) => {
            reader.wrong("severity", "`error` or `warn`", Json::from(other));
            OnViolation::Error
        }
    };
    let audit = match reader.values.get("audit").cloned() {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) if text == "before_commit" => Some(Audit::BeforeCommit),
        Some(Json::String(text)) if text == "after" => Some(Audit::After),
        Some(Json::Bool(false)) => Some(Audit::After),
        Some(other) => {
            reader.wrong("audit", "`before_commit` or `after`", other);
            None
        }
    };
    // `store_failures_as` wins over `store_failures`.
    let kept_as = reader.text("store_failures_as");
    let (store_failures, failures_as_view) = match kept_as.as_deref() {
        None => (reader.flag("store_failures", false), false),
        Some("table") => (true, false),
        Some("view") => (true, true),
        Some("ephemeral") => (false, false),
        Some(other) => {
            reader.wrong("store_failures_as", "`table`, `view` or `ephemeral`", Json::from(other));
            (false, false)
        }
    };
    TestConfig {
        severity,
        error_if: reader.text("error_if").unwrap_or(fallback.error_if),
        warn_if: reader.text("warn_if").unwrap_or(fallback.warn_if),
        fail_calc: reader.text("fail_calc").unwrap_or(fallback.fail_calc),
        limit: reader.count("limit"),
        filter: reader.text("where"),
        store_failures,
        failures_as_view,
        audit,
    }
}

struct Reader<'a> {
    values: &'a ConfigValues,
    kind: ResourceType,
    fallback: Span,
    sources: &'a Sources,
    /// Of the package: what dbt lets pass is a warning in its projects.
    dialect: ProjectDialect,
    found: &'a mut Vec<Diagnostic>,
    /// What dbt finds when the node is built.
    late: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Where a key was set.
    fn place(&self, key: &str) -> Span {
        let set = self.values.values.get(key).and_then(|(_, span)| *span);
        set.map_or(self.fallback, |span| self.sources.argument(span, key))
    }

    fn wrong(&mut self, key: &str, expected: &str, found: Json) {
        let span = self.place(key);
        let message = format!("config `{key}`: expected {expected}, found {}", shown(&found));
        let place = if is_held_at_once(key, &found) { &mut *self.found } else { &mut self.late };
        place.push(Diagnostic::error(Code::ConfigType, message).at(span, "set here").help(format!("set `{key}` to {expected}")));
    }

    fn present(&self, key: &str) -> Option<Json> {
        self.values.get(key).filter(|value| !value.is_null()).cloned()
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.present(key)? {
            Json::String(text) => Some(text),
            Json::Number(number) => Some(number.to_string()),
            other => {
                self.wrong(key, "text", other);
                None
            }
        }
    }

    fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.present(key) {
            None => default,
            Some(Json::Bool(flag)) => flag,
            Some(Json::String(text)) if matches!(text.to_lowercase().as_str(), "true" | "false") => text.eq_ignore_ascii_case("true"),
            Some(other) => {
                self.wrong(key, "true or false", other);
                default
            }
        }
    }

    fn count(&mut self, key: &str) -> Option<u64> {
        let value = self.present(key)?;
        let count = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if count.is_none() {
            self.wrong(key, "a whole number", value);
        }
        count
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for item in self.present(key).map(list).unwrap_or_default() {
            match item {
                Json::String(text) => {
                    if !texts.contains(&text) {
                        texts.push(text);
                    }
                }
                other => self.wrong(key, "text or a list of texts", other),
            }
        }
        texts
    }

    fn map(&mut self, key: &str) -> Map<String, Json> {
        match self.present(key) {
            None => Map::new(),
            Some(Json::Object(map)) => map,
            Some(other) => {
                self.wrong(key, "a map", other);
                Map::new()
            }
        }
    }

    fn text_map(&mut self, key: &str) -> IndexMap<String, String> {
        let text = |value: Json| match value {
            Json::String(text) => text,
            other => other.to_string(),
        };
        self.map(key).into_iter().map(|(name, value)| (name, text(value))).collect()
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => format!("`{text}`"),
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "a map".into(),
        other => format!("`{other}`"),
    }
}

/// `enforced` of `contract`, whose other keys are looked at too; a bare true or false stands for it.
fn contract_enforced(reader: &mut Reader<'_>) -> bool {
    const KEYS: [&str; 4] = ["enforced", "alias_types", "columns", "checksum"];
    let map = match reader.values.get("contract") {
        Some(Json::Object(map)) => map,
        None | Some(Json::Null) => return false,
        Some(Json::Bool(enforced)) => return *enforced,
        Some(other) => {
            let other = other.clone();
            reader.wrong("contract", "a map, e.g. `{enforced: true}`", other);
            return false;
        }
    };
    let unknown: Vec<String> = map.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
    let enforced = map.get("enforced").cloned();
    for key in unknown {
        let diagnostic = Diagnostic::error(Code::UnknownKey, format!("unknown key `{key}` in `contract`")).at(reader.place("contract"), "set here");
        reader.found.push(diagnostic.help_nearest(nearest(&key, KEYS), "the keys are `enforced`, `columns` and `alias_types`"));
    }
    match enforced {
        None | Some(Json::Null) => false,
        Some(Json::Bool(enforced)) => enforced,
        Some(Json::String(text)) if matches!(text.to_lowercase().as_str(), "true" | "false") => text.eq_ignore_ascii_case("true"),
        Some(other) => {
            reader.wrong("contract", "true or false as `enforced`", other);
            false
        }
    }
}

/// `columns` of `contract`: `all`, or `subset` where the query may yield more than the contract lists.
fn contract_subset(reader: &mut Reader<'_>) -> bool {
    match reader.values.get("contract").and_then(|contract| contract.get("columns")) {
        None | Some(Json::Null) => false,
        Some(Json::String(text)) if text == "all" => false,
        Some(Json::String(text)) if text == "subset" => true,
        Some(other) => {
            let other = other.clone();
            reader.wrong("contract", "`all` or `subset` as its `columns`", other);
            false
        }
    }
}
