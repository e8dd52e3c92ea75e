//! Entries of `sources`: tables that are there already, or files.

use super::data_tests::read_tests;
use super::decl::{ExternalDecl, Freshness, FreshnessDecl, FreshnessRule, Origin, Period, SourceDecl, SourceTableDecl};
use super::project::quoting;
use super::properties::{read_columns, take_config, title};
use super::reader::{MapReader, entries, wrong_type};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Spanned, nearest};
use crate::manifest::FileFormat;

pub(super) fn read_source(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<SourceDecl> {
    let mut reader = MapReader::new(entry, title("source", entry), out);
    let name = reader.required("name");
    let description = reader.string("description");
    // As BigQuery, Databricks and Trino call them too.
    let schema = reader.string("schema").or_else(|| reader.string("dataset"));
    let database = reader.string("database").or_else(|| reader.string("catalog")).or_else(|| reader.string("project"));
    let loader = reader.string("loader");
    let config = take_config(&mut reader, &["tags", "meta", "enabled"]);
    let fields = Loaded::read(&mut reader, config.as_ref());
    let quoting = quoting(&mut reader);
    let overrides = reader.string("overrides");
    let tests = read_tests(&mut reader);
    let mut tables: Vec<SourceTableDecl> = Vec::new();
    for item in reader.items("tables") {
        tables.extend(read_table(item, reader.out));
    }
    reader.finish();
    Some(SourceDecl {
        origin: origin.clone(),
        span: entry.span,
        name: name?,
        description,
        schema,
        database,
        loader,
        loaded_at_field: fields.at_field,
        loaded_at_query: fields.at_query,
        freshness: fields.freshness,
        quoting,
        overrides,
        config,
        tests,
        tables,
    })
}

fn read_table(item: &Yaml, out: &mut Diagnostics) -> Option<SourceTableDecl> {
    let mut reader = MapReader::new(item, title("source table", item), out);
    let name = reader.required("name");
    let (identifier, description, loader) = (reader.string("identifier"), reader.string("description"), reader.string("loader"));
    let config = take_config(&mut reader, &["tags", "meta", "enabled"]);
    let fields = Loaded::read(&mut reader, config.as_ref());
    let quoting = quoting(&mut reader);
    let external = reader.map("external").map(|yaml| read_external(yaml, reader.out));
    let columns = read_columns(&mut reader);
    let tests = read_tests(&mut reader);
    reader.finish();
    Some(SourceTableDecl {
        span: item.span,
        name: name?,
        identifier,
        description,
        loader,
        loaded_at_field: fields.at_field,
        loaded_at_query: fields.at_query,
        freshness: fields.freshness,
        quoting,
        external,
        config,
        columns,
        tests,
    })
}

/// What says how fresh rows are; it may stand in `config:` too.
struct Loaded {
    at_field: Option<Spanned<String>>,
    at_query: Option<Spanned<String>>,
    freshness: Option<FreshnessDecl>,
}

impl Loaded {
    fn read(reader: &mut MapReader<'_, '_>, config: Option<&Yaml>) -> Self {
        let in_config = |key: &str| config.and_then(|config| config.get(key));
        let text = |yaml: &Yaml| Some(Spanned::new(yaml.as_str()?.to_owned(), yaml.span));
        let at_field = reader.string("loaded_at_field").or_else(|| in_config("loaded_at_field").and_then(text));
        let at_query = reader.string("loaded_at_query").or_else(|| in_config("loaded_at_query").and_then(text));
        let freshness = reader.take("freshness").or_else(|| in_config("freshness"));
        Self { at_field, at_query, freshness: freshness.map(|yaml| read_freshness(yaml, reader.out)) }
    }
}

fn read_freshness(yaml: &Yaml, out: &mut Diagnostics) -> FreshnessDecl {
    if yaml.is_null() {
        return FreshnessDecl::Off;
    }
    let mut reader = MapReader::new(yaml, "`freshness`", out);
    let (warn, error) = (reader.map("warn_after"), reader.map("error_after"));
    let filter = reader.string("filter");
    let warn_after = warn.and_then(|yaml| read_rule(yaml, reader.out));
    let error_after = error.and_then(|yaml| read_rule(yaml, reader.out));
    reader.finish();
    FreshnessDecl::On(Freshness { warn_after, error_after, filter })
}

fn read_rule(yaml: &Yaml, out: &mut Diagnostics) -> Option<FreshnessRule> {
    if yaml.entries().is_empty() {
        return None;
    }
    let mut reader = MapReader::new(yaml, "a freshness rule", out);
    let count = reader.unsigned("count");
    let period = reader.required("period");
    let known = [("minute", Period::Minute), ("hour", Period::Hour), ("day", Period::Day)];
    let found = period.as_ref().and_then(|period| known.iter().find(|(name, _)| *name == period.value).map(|(_, known)| *known));
    if let (None, Some(period)) = (found, &period) {
        reader.out.push(
            Diagnostic::error(Code::YamlType, format!("`{}` is no period", period.value))
                .at(period.span, "this period")
                .help("expected minute, hour or day"),
        );
    }
    reader.finish();
    Some(FreshnessRule { count: count?.value, period: found?, span: yaml.span })
}

/// What engines are told of external tables by macros; files are read without it.
const OF_EXTERNAL_TABLES: [&str; 22] = [
    "ansi_nulls",
    "auto_refresh",
    "aws_sns_topic",
    "data_source",
    "file_format",
    "ignore_case",
    "infer_schema",
    "integration",
    "object_name",
    "partitions",
    "pattern",
    "quoted_identifier",
    "refresh_on_create",
    "reject_type",
    "reject_value",
    "row_format",
    "schema_name",
    "snowpipe",
    "table_format",
    "table_properties",
    "tbl_properties",
    "using",
];

fn read_external(yaml: &Yaml, out: &mut Diagnostics) -> ExternalDecl {
    let mut reader = MapReader::new(yaml, "`external`", out);
    let location = reader.string("location");
    let format = reader.string("format").and_then(|format| read_format(&format, reader.out));
    let what = "an option of `external`";
    let options = reader.take("options");
    let options = options.map(|options| read_options(options, what, reader.out)).unwrap_or_default();
    // What the dbt package for external tables reads; it is kept in `raw`.
    for key in OF_EXTERNAL_TABLES {
        reader.take(key);
    }
    reader.finish();
    ExternalDecl { span: yaml.span, location, format, options, raw: yaml.clone() }
}

fn read_format(format: &Spanned<String>, out: &mut Diagnostics) -> Option<Spanned<FileFormat>> {
    let found = FileFormat::from_name(&format.value);
    if found.is_none() {
        out.push(
            Diagnostic::error(Code::YamlType, format!("`{}` is no format of files", format.value))
                .at(format.span, "this format")
                .help_nearest(nearest(&format.value, FileFormat::NAMES), format!("expected one of {}", FileFormat::NAMES.join(", "))),
        );
    }
    found.map(|found| Spanned::new(found, format.span))
}

/// Options as text. A text instead of a mapping is how projects for other warehouses write them; it is left in `raw`.
fn read_options(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> Vec<(Spanned<String>, Spanned<String>)> {
    if matches!(yaml.value, YamlValue::String(_)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (key, value) in entries(yaml, "`options` of `external`", out) {
        match value.scalar_text() {
            Some(text) => found.push((key.clone(), Spanned::new(text, value.span))),
            None if value.is_null() => found.push((key.clone(), Spanned::new(String::new(), value.span))),
            // A list of locations, as BigQuery has it, is left in `raw` too.
            None if matches!(value.value, YamlValue::Seq(_)) => {}
            None => out.push(wrong_type(value, what, "a text or a number")),
        }
    }
    found
}
