//! Properties files to declarations: models, seeds, snapshots, analyses, exposures, macros, groups, and the sections that
//! are kept for later. Sources and generic tests have files of their own.

use super::data_tests::{read_singular, read_tests};
use super::decl::{ColumnDecl, ExposureDecl, FunctionDecl, GroupDecl, MacroArgumentDecl, MacroDecl, NodeDecl, NodeDeclKind, Origin, Properties};
use super::reader::{MapReader, items, unknown_key, wrong_type};
use super::semantic::{read_metric, read_saved_query, read_semantic_model};
use super::sources::read_source;
use super::unit_tests::read_unit_test;
use super::versions::{read_version, read_versions};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Span, Spanned, nearest};
use crate::manifest::{ConstraintDecl, ConstraintKind, FunctionArgument};

const SECTIONS: [&str; 16] = [
    "version",
    "models",
    "seeds",
    "snapshots",
    "analyses",
    "sources",
    "data_tests",
    "exposures",
    "macros",
    "groups",
    "unit_tests",
    "metrics",
    "semantic_models",
    "saved_queries",
    "functions",
    "anchors",
];

impl Properties {
    /// Adds what a properties file declares.
    pub(super) fn read(&mut self, yaml: &Yaml, origin: &Origin, out: &mut Diagnostics) {
        if !yaml.is_map() && !yaml.is_null() {
            let top = Yaml { span: Span::file_start(origin.file), value: yaml.value.clone() };
            out.push(wrong_type(&top, &format!("`{}`", origin.path), "a mapping"));
        }
        for (key, value) in yaml.entries() {
            if matches!(key.value.as_str(), "version" | "anchors") || value.is_null() {
                continue;
            }
            if !SECTIONS.contains(&key.value.as_str()) {
                let near = if key.value == "tests" { Some("data_tests") } else { nearest(&key.value, SECTIONS) };
                out.push(unknown_key(key, "a properties file", near, SECTIONS.into_iter()));
                continue;
            }
            for entry in items(value, &format!("`{}`", key.value), out) {
                self.read_entry(&key.value, entry, origin, out);
            }
        }
    }

    fn read_entry(&mut self, section: &str, entry: &Yaml, origin: &Origin, out: &mut Diagnostics) {
        match section {
            "models" => self.models.extend(read_node(NodeDeclKind::Model, entry, origin, out)),
            "seeds" => self.seeds.extend(read_node(NodeDeclKind::Seed, entry, origin, out)),
            "snapshots" => self.snapshots.extend(read_node(NodeDeclKind::Snapshot, entry, origin, out)),
            "analyses" => self.analyses.extend(read_node(NodeDeclKind::Analysis, entry, origin, out)),
            "sources" => self.sources.extend(read_source(entry, origin, out)),
            "data_tests" => self.singular_tests.extend(read_singular(entry, origin, out)),
            "exposures" => self.exposures.extend(read_exposure(entry, origin, out)),
            "macros" => self.macros.extend(read_macro(entry, origin, out)),
            "groups" => self.groups.extend(read_group(entry, origin, out)),
            "unit_tests" => self.unit_tests.extend(read_unit_test(entry, origin, out)),
            "metrics" => self.semantics.extend(read_metric(entry, origin, out)),
            "semantic_models" => self.semantics.extend(read_semantic_model(entry, origin, out)),
            "saved_queries" => self.semantics.extend(read_saved_query(entry, origin, out)),
            _ => self.functions.extend(read_function(entry, origin, out)),
        }
    }
}

/// What an entry is called in messages.
pub(super) fn title(kind: &str, entry: &Yaml) -> String {
    entry.get("name").and_then(Yaml::as_str).map_or_else(|| format!("a {kind}"), |name| format!("{kind} `{name}`"))
}

/// `config:` and the config keys beside it as one map. Tags are joined; otherwise `config:` wins.
pub(super) fn joined_config(beside: &[&(Spanned<String>, Yaml)], config: Option<&Yaml>) -> Option<Yaml> {
    let span = config.map(|config| config.span).or_else(|| beside.first().map(|(key, _)| key.span))?;
    let mut joined: Vec<(Spanned<String>, Yaml)> = beside.iter().filter(|(_, value)| !value.is_null()).map(|entry| (*entry).clone()).collect();
    for (key, value) in config.map(Yaml::entries).unwrap_or_default() {
        match joined.iter_mut().find(|(other, _)| other.value == key.value) {
            Some((_, before)) if key.value == "tags" => before.value = YamlValue::Seq(list(before).into_iter().chain(list(value)).collect()),
            Some(before) => *before = (key.clone(), value.clone()),
            None => joined.push((key.clone(), value.clone())),
        }
    }
    (!joined.is_empty()).then_some(Yaml { span, value: YamlValue::Map(joined) })
}

fn list(yaml: &Yaml) -> Vec<Yaml> {
    match &yaml.value {
        YamlValue::Seq(items) => items.clone(),
        YamlValue::Null => Vec::new(),
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Map(_) => vec![yaml.clone()],
    }
}

/// Takes `config:` and the given config keys beside it.
pub(super) fn take_config(reader: &mut MapReader<'_, '_>, beside: &[&'static str]) -> Option<Yaml> {
    let beside: Vec<_> = beside.iter().filter_map(|key| reader.take_entry(key)).collect();
    let config = reader.map("config");
    joined_config(&beside, config)
}

fn read_node(kind: NodeDeclKind, entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<NodeDecl> {
    let word = match kind {
        NodeDeclKind::Model => "model",
        NodeDeclKind::Seed => "seed",
        NodeDeclKind::Snapshot => "snapshot",
        NodeDeclKind::Analysis => "analysis",
        NodeDeclKind::Function => "function",
    };
    let mut reader = MapReader::new(entry, title(word, entry), out);
    let name = reader.required("name");
    let description = reader.string("description");
    let config = take_config(&mut reader, &["tags", "meta", "docs", "group", "access", "freshness"]);
    let columns = read_columns(&mut reader);
    let constraints = read_constraints(&mut reader);
    let tests = read_tests(&mut reader);
    let is_model = kind == NodeDeclKind::Model;
    let mut for_models = |key: &'static str| if is_model { reader.take(key).cloned() } else { None };
    let (latest_version, time_spine) = (for_models("latest_version"), for_models("time_spine"));
    for_models("primary_key");
    let versions = if is_model { read_versions(&mut reader) } else { Vec::new() };
    let latest_version = latest_version.and_then(|yaml| read_version(&yaml, "`latest_version`", reader.out));
    let deprecation_date = if is_model { reader.string("deprecation_date") } else { None };
    if is_model {
        semantics_of_model(&mut reader);
    }
    if kind == NodeDeclKind::Function {
        // Read by `read_function`.
        reader.take("arguments");
        reader.take("returns");
    }
    let relation = if kind == NodeDeclKind::Snapshot { reader.string("relation") } else { None };
    if let Some((key, _)) = reader.take_entry("expectations").filter(|_| is_model) {
        reader.out.push(
            Diagnostic::error(Code::NotAvailable, "expectations are not available yet")
                .at(key.span, "declared here")
                .help("write the rule as a data test for now"),
        );
    }
    reader.finish();
    let name = name?;
    Some(NodeDecl {
        kind,
        origin: origin.clone(),
        span: entry.span,
        name,
        description,
        config,
        columns,
        constraints,
        tests,
        versions,
        latest_version,
        deprecation_date,
        time_spine,
        relation,
    })
}

fn read_function(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<FunctionDecl> {
    let node = read_node(NodeDeclKind::Function, entry, origin, out)?;
    let what = title("function", entry);
    let mut arguments = Vec::new();
    if let Some(list) = entry.get("arguments").filter(|list| !list.is_null()) {
        for item in items(list, &format!("`arguments` of {what}"), out) {
            let mut reader = MapReader::new(item, title("argument", item), out);
            let (name, data_type) = (reader.required("name"), reader.required("data_type"));
            let description = reader.string("description").map(|text| text.value);
            let default = reader.take("default_value").map(Yaml::to_json).filter(|value| !value.is_null());
            reader.finish();
            if let (Some(name), Some(data_type)) = (name, data_type) {
                arguments.push(FunctionArgument { name: name.value, data_type: data_type.value, description, default });
            }
        }
    }
    let (mut returns, mut returns_description) = (None, None);
    match entry.get("returns") {
        Some(yaml) => {
            let mut reader = MapReader::new(yaml, format!("`returns` of {what}"), out);
            returns = reader.required("data_type");
            returns_description = reader.string("description").map(|text| text.value);
            reader.finish();
        }
        None => out.push(
            Diagnostic::error(Code::YamlType, format!("{what} lacks `returns`"))
                .at(node.name.span, "this function")
                .help("add `returns:` with the `data_type` of the result"),
        ),
    }
    Some(FunctionDecl { node, arguments, returns, returns_description })
}

/// Semantic models written as part of a model, which newer tools read.
fn semantics_of_model(reader: &mut MapReader<'_, '_>) {
    for key in ["semantic_model", "metrics", "derived_semantics", "agg_time_dimension", "primary_entity"] {
        if let Some((key, _)) = reader.take_entry(key) {
            reader.out.push(
                Diagnostic::warning(Code::NotAvailable, format!("`{}` of a model has no effect yet", key.value))
                    .at(key.span, "left out")
                    .help("describe it under `semantic_models:` and `metrics:`"),
            );
        }
    }
}

pub(super) fn read_columns(reader: &mut MapReader<'_, '_>) -> Vec<ColumnDecl> {
    let mut columns: Vec<ColumnDecl> = Vec::new();
    for item in reader.items("columns") {
        let Some(column) = read_column(item, reader.out) else { continue };
        if let Some(first) = columns.iter().find(|other| other.name.value == column.name.value) {
            // No error, because dbt takes the last one.
            reader.out.push(
                Diagnostic::warning(Code::DuplicateName, format!("the column `{}` is described twice", column.name.value))
                    .at(column.name.span, "this one counts")
                    .also(first.name.span, "the first")
                    .help("join the two entries"),
            );
        }
        columns.push(column);
    }
    columns
}

pub(super) fn read_column(item: &Yaml, out: &mut Diagnostics) -> Option<ColumnDecl> {
    let mut reader = MapReader::new(item, title("column", item), out);
    let name = reader.required("name");
    let data_type = reader.string("data_type");
    let description = reader.string("description");
    let constraints = read_constraints(&mut reader);
    let tests = read_tests(&mut reader);
    let quote = reader.bool("quote");
    let config = take_config(&mut reader, &["tags", "meta"]);
    let granularity = reader.string("granularity");
    for key in ["dimension", "entity", "time_granularity", "databricks_tags", "column_mask", "policy_tags"] {
        reader.take(key);
    }
    reader.finish();
    let tags = config.as_ref().and_then(|config| config.get("tags")).map(list).unwrap_or_default();
    let tags = tags.iter().filter_map(|tag| Some(Spanned::new(tag.scalar_text()?, tag.span))).collect();
    let meta = config.as_ref().and_then(|config| config.get("meta")).filter(|meta| meta.is_map()).cloned();
    let name = name?;
    Some(ColumnDecl { span: item.span, name, data_type, description, constraints, tests, quote, tags, meta, config, granularity })
}

pub(super) fn read_constraints(reader: &mut MapReader<'_, '_>) -> Vec<ConstraintDecl> {
    let items = reader.items("constraints");
    let mut found = Vec::new();
    for item in items {
        let what = format!("a constraint of {}", reader.what());
        found.extend(read_constraint(item, &what, reader.out));
    }
    found
}

const CONSTRAINTS: [(&str, ConstraintKind); 6] = [
    ("not_null", ConstraintKind::NotNull),
    ("unique", ConstraintKind::Unique),
    ("primary_key", ConstraintKind::PrimaryKey),
    ("foreign_key", ConstraintKind::ForeignKey),
    ("check", ConstraintKind::Check),
    ("custom", ConstraintKind::Custom),
];

fn read_constraint(item: &Yaml, what: &str, out: &mut Diagnostics) -> Option<ConstraintDecl> {
    let whole = item.span;
    let mut reader = MapReader::new(item, what, out);
    let kind = reader.required("type");
    let name = reader.string("name").map(|name| name.value);
    let expression = reader.string("expression").map(|text| text.value);
    // Some spell names here as their database wants them, in quotes.
    let bare = |column: Spanned<String>| column.value.trim_matches(['"', '`']).to_owned();
    let columns: Vec<String> = reader.strings("columns").unwrap_or_default().into_iter().map(bare).collect();
    let to = reader.string("to");
    let to_columns: Vec<String> = reader.strings("to_columns").unwrap_or_default().into_iter().map(bare).collect();
    let warn_unsupported = reader.bool("warn_unsupported").unwrap_or(true);
    let warn_unenforced = reader.bool("warn_unenforced").unwrap_or(true);
    let kind = kind?;
    let known = CONSTRAINTS.iter().find(|(name, _)| *name == kind.value);
    if known.is_none() {
        let names = || CONSTRAINTS.iter().map(|(name, _)| *name);
        let list = names().collect::<Vec<_>>().join(", ");
        reader.out.push(
            Diagnostic::error(Code::YamlType, format!("`{}` is no type of constraint", kind.value))
                .at(kind.span, "this type")
                .help_nearest(nearest(&kind.value, names()), format!("expected one of {list}")),
        );
    }
    reader.finish();
    known.map(|(_, known)| ConstraintDecl {
        kind: *known,
        name,
        expression,
        columns,
        to,
        to_columns,
        references: None,
        warn_unsupported,
        warn_unenforced,
        span: kind.span,
        whole,
    })
}

const EXPOSURES: [&str; 5] = ["dashboard", "notebook", "analysis", "ml", "application"];
const MATURITIES: [&str; 3] = ["low", "medium", "high"];

fn read_exposure(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<ExposureDecl> {
    let mut reader = MapReader::new(entry, title("exposure", entry), out);
    let name = reader.required("name");
    let (kind, label, description) = (reader.required("type"), reader.string("label"), reader.string("description"));
    let (maturity, url) = (reader.string("maturity"), reader.string("url"));
    let depends_on = reader.strings("depends_on").unwrap_or_default();
    let owner = reader.map("owner").cloned();
    match &owner {
        None => reader.lacks("owner", "a mapping with `name` or `email`"),
        Some(owner) if owner.get("name").is_none() && owner.get("email").is_none() => {
            let diagnostic = Diagnostic::error(Code::YamlType, format!("the owner of {} has neither a name nor an email", reader.what()));
            reader.out.push(diagnostic.at(owner.span, "this owner").help("add `name:` or `email:`"));
        }
        Some(_) => {}
    }
    if let Some(kind) = &kind
        && !EXPOSURES.contains(&kind.value.as_str())
    {
        let diagnostic = Diagnostic::error(Code::YamlType, format!("`{}` is no type of exposure", kind.value)).at(kind.span, "this type");
        reader.out.push(diagnostic.help_nearest(nearest(&kind.value, EXPOSURES), format!("expected one of {}", EXPOSURES.join(", "))));
    }
    if let Some(maturity) = maturity.as_ref().filter(|maturity| !MATURITIES.contains(&maturity.value.as_str())) {
        let diagnostic = Diagnostic::error(Code::YamlType, format!("`{}` is no maturity", maturity.value)).at(maturity.span, "this maturity");
        reader.out.push(diagnostic.help_nearest(nearest(&maturity.value, MATURITIES), format!("expected one of {}", MATURITIES.join(", "))));
    }
    let config = take_config(&mut reader, &["tags", "meta", "enabled"]);
    reader.finish();
    let origin = origin.clone();
    Some(ExposureDecl { origin, span: entry.span, name: name?, kind, label, description, maturity, url, owner, depends_on, config })
}

fn read_group(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<GroupDecl> {
    let mut reader = MapReader::new(entry, title("group", entry), out);
    let name = reader.required("name");
    let description = reader.string("description");
    let owner = reader.map("owner").cloned();
    if owner.is_none() {
        reader.lacks("owner", "a mapping with `name` or `email`");
    }
    let config = take_config(&mut reader, &["tags", "meta"]);
    reader.finish();
    Some(GroupDecl { origin: origin.clone(), span: entry.span, name: name?, description, owner, config })
}

fn read_macro(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<MacroDecl> {
    let mut reader = MapReader::new(entry, title("macro", entry), out);
    let name = reader.required("name");
    let description = reader.string("description");
    let config = take_config(&mut reader, &["meta", "docs"]);
    let mut arguments = Vec::new();
    for item in reader.items("arguments") {
        let mut argument = MapReader::new(item, title("argument", item), reader.out);
        let name = argument.required("name");
        let (data_type, description) = (argument.string("type"), argument.string("description"));
        argument.rest();
        arguments.extend(name.map(|name| MacroArgumentDecl { name, data_type, description }));
    }
    reader.finish();
    Some(MacroDecl { origin: origin.clone(), span: entry.span, name: name?, description, arguments, config })
}
