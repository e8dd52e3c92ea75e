//! Sources become nodes.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::builder::Builder;
use super::config::ConfigValues;
use super::config::typed;
use super::data_test::Wanted;
use super::host::ParseHost;
use super::location::external_location;
use super::nodes::{checksum, columns};
use super::trees::YamlRenderer;
use crate::base::{Code, Diagnostic, Span, Spanned};
use crate::jinja::{RenderFailure, Scope, Template, TemplateHost, render};
use crate::load::{ExternalDecl, FreshnessDecl, FreshnessRule, ParsedPackage, ProjectDialect, Quoting, SourceDecl, SourceTableDecl, Yaml, YesNo};
use crate::manifest::{AboutSource, ExternalConfig, ExternalSource, FileFormat, ModelDetails, Node, NodeId, NodeKind, RelationName, ResourceType};

pub(super) fn add_sources(builder: &mut Builder, package: &ParsedPackage) {
    for decl in &package.properties.sources {
        let named = with_names(builder, &package.name, decl);
        for table in &named.tables {
            add_table(builder, package, &named, table);
        }
    }
}

/// A source whose name and whose tables' names are rendered.
fn with_names<'d>(builder: &mut Builder, package: &str, decl: &'d SourceDecl) -> Cow<'d, SourceDecl> {
    let is_text = |name: &Spanned<String>| !name.value.contains("{{");
    if is_text(&decl.name) && decl.tables.iter().all(|table| is_text(&table.name)) {
        return Cow::Borrowed(decl);
    }
    let mut named = decl.clone();
    named.name.value = rendered(builder, package, &decl.name);
    for table in &mut named.tables {
        table.name.value = rendered(builder, package, &table.name);
    }
    Cow::Owned(named)
}

fn described(builder: &mut Builder, package: &str, text: Option<&Spanned<String>>, span: Span) -> String {
    builder.described(package, text.map(|text| text.value.as_str()), text.map_or(span, |text| text.span))
}

/// What a table says goes before what its source says.
fn quoting(builder: &mut Builder, package: &str, source: &Quoting, table: &Quoting) -> [Option<bool>; 3] {
    let mut said = |table: &Option<YesNo>, source: &Option<YesNo>| switch(builder, package, table.as_ref().or(source.as_ref())?);
    [said(&table.database, &source.database), said(&table.schema, &source.schema), said(&table.identifier, &source.identifier)]
}

fn switch(builder: &mut Builder, package: &str, switch: &YesNo) -> Option<bool> {
    let text = match switch {
        YesNo::Known(yes) => return Some(*yes),
        YesNo::Template(text) => text,
    };
    match rendered(builder, package, text).trim().to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            let message = format!("`quoting` of a source: expected true or false, and the template gives `{other}`");
            builder.found.push(Diagnostic::error(Code::YamlType, message).at(text.span, "this template").help("make it give true or false"));
            None
        }
    }
}

fn add_table(builder: &mut Builder, package: &ParsedPackage, source: &SourceDecl, table: &SourceTableDecl) {
    let (source_name, name) = (&source.name.value, &table.name.value);
    let fqn: Vec<String> =
        std::iter::once(package.name.clone()).chain(source.origin.folders.iter().cloned()).chain([source_name.clone(), name.clone()]).collect();
    let mut values = builder.tree_values(package, package.project.trees.sources.as_ref(), &fqn);
    let renderer = YamlRenderer::new(&builder.library, &builder.facts, &package.name);
    for config in [&source.config, &table.config].into_iter().flatten() {
        values.extend(&renderer.config(config, &mut builder.found));
    }
    let mut text = |value: Option<&Spanned<String>>| value.map(|value| rendered(builder, &package.name, value));
    let schema = text(source.schema.as_ref()).unwrap_or_else(|| source_name.clone());
    let database = text(source.database.as_ref());
    let identifier = text(table.identifier.as_ref()).unwrap_or_else(|| name.clone());
    let loader = text(table.loader.as_ref().or(source.loader.as_ref())).unwrap_or_default();
    let meta = source.config.as_ref().and_then(|config| config.get("meta")).map(Yaml::to_json);
    let about = AboutSource {
        loader,
        description: described(builder, &package.name, source.description.as_ref(), source.span),
        meta: meta.and_then(|meta| meta.as_object().cloned()).unwrap_or_default(),
        quoting: quoting(builder, &package.name, &source.quoting, &table.quoting),
        written: [&source.database, &source.schema].map(|text| text.as_ref().map(|text| text.value.clone())),
        external: table.external.as_ref().map(|external| external.raw.to_json()),
    };
    let database = database.unwrap_or_else(|| builder.facts.database.clone());
    let relation = RelationName::new(database, schema, identifier);
    freshness(builder, package, (source, table), &relation, &mut values);
    values.extend(&builder.root_values(package, ResourceType::Source, &fqn));
    let external = match &table.external {
        Some(external) => external_source(builder, &package.name, external),
        None => external_location(builder, (source, table), (&relation, &values)),
    };
    let config = typed(&values, ResourceType::Source, table.span, (&builder.parsed.sources, package.project.dialect), &mut builder.found);
    let node = Node {
        id: NodeId::new(format!("source.{}.{source_name}.{name}", package.name)),
        kind: NodeKind::Source { source_name: source_name.clone(), about: Box::new(about), external },
        name: name.clone(),
        package: package.name.clone(),
        path: source.origin.path.clone(),
        original_path: source.origin.path.clone(),
        fqn,
        span: table.name.span,
        file: source.origin.file,
        properties_span: Some(table.name.span),
        properties_path: Some(source.origin.path.clone()),
        raw_code: String::new(),
        language: "sql",
        checksum: checksum(""),
        config: Box::new(config),
        doc_blocks: builder.docs_in(&package.name, table.description.as_ref().map(|text| text.value.as_str())),
        description: described(builder, &package.name, table.description.as_ref(), table.span),
        columns: columns(builder, &package.name, &table.columns),
        constraints: Vec::new(),
        model: ModelDetails::default(),
        relation: Some(relation),
        unbuilt: None,
        refs: Vec::new(),
        sources: Vec::new(),
        depends_on: Vec::new(),
        depends_on_macros: Vec::new(),
        layer: None,
    };
    builder.tests.push(Wanted::of_source(&node, source, table));
    builder.add(node, None);
}

/// When rows came, and how old they may be: what the table says, else its source.
fn freshness(
    builder: &mut Builder,
    package: &ParsedPackage,
    (source, table): (&SourceDecl, &SourceTableDecl),
    relation: &RelationName,
    values: &mut ConfigValues,
) {
    let asked = [
        ("loaded_at_field", table.loaded_at_field.as_ref().or(source.loaded_at_field.as_ref())),
        ("loaded_at_query", table.loaded_at_query.as_ref().or(source.loaded_at_query.as_ref())),
    ];
    // A query of the table wins over a field of the source, and the other way round.
    let own = table.loaded_at_field.is_some() || table.loaded_at_query.is_some();
    let kept = |key: &str| match key {
        "loaded_at_field" => !own || table.loaded_at_field.is_some(),
        _ => !own || table.loaded_at_query.is_some(),
    };
    for (key, text) in asked.into_iter().filter(|(key, _)| kept(key)) {
        if let Some(text) = text {
            if key == "loaded_at_query" {
                let query = with_relation(builder, &package.name, text, relation);
                let written = (query != text.value).then(|| Json::from(text.value.clone()));
                values.set_written(key, Json::from(query), written, Some(text.span));
            } else {
                values.set(key, Json::from(rendered(builder, &package.name, text)), Some(text.span));
            }
        }
    }
    let of_source = match &source.freshness {
        Some(FreshnessDecl::On(freshness)) => Some(freshness),
        Some(FreshnessDecl::Off) | None => None,
    };
    let rules = match &table.freshness {
        Some(FreshnessDecl::Off) => None,
        Some(FreshnessDecl::On(own)) => Some((own.warn_after.as_ref(), own.error_after.as_ref(), own.filter.as_ref(), of_source)),
        None => of_source.map(|freshness| (freshness.warn_after.as_ref(), freshness.error_after.as_ref(), freshness.filter.as_ref(), None)),
    };
    let Some((warn, error, filter, inherited)) = rules else {
        if table.freshness.is_some() {
            values.set("freshness", Json::Null, None);
        }
        return;
    };
    let rule = |own: Option<&FreshnessRule>, inherited: Option<&FreshnessRule>| {
        own.or(inherited).map_or_else(|| json!({"count": null, "period": null}), |rule| json!({"count": rule.count, "period": rule.period.name()}))
    };
    let filter = filter.or(inherited.and_then(|freshness| freshness.filter.as_ref()));
    let place = filter.map(|filter| filter.span);
    let filter = filter.map(|filter| rendered(builder, &package.name, filter));
    let value = json!({
        "warn_after": rule(warn, inherited.and_then(|freshness| freshness.warn_after.as_ref())),
        "error_after": rule(error, inherited.and_then(|freshness| freshness.error_after.as_ref())),
        "filter": filter,
    });
    // Of its parts the filter alone can be wrong later.
    values.set("freshness", value, place);
}

fn external_source(builder: &mut Builder, package: &str, decl: &ExternalDecl) -> Option<ExternalSource> {
    let Some(location) = &decl.location else {
        // What the dbt package for external tables describes may be a table of a warehouse; options of ours never are.
        if decl.format.is_some() || !decl.options.is_empty() {
            builder.found.push(
                Diagnostic::error(Code::YamlType, "`external` lacks `location`")
                    .at(decl.span, "this source")
                    .help("add `location:` with a path, a folder, a glob or a URI"),
            );
        }
        return None;
    };
    let location = rendered(builder, package, location);
    // What the dbt package for external tables calls it.
    let named = ["file_format", "using"].iter().filter_map(|key| decl.raw.get(key)?.scalar_text()).find_map(|name| FileFormat::from_name(&name));
    let format = decl.format.as_ref().map(|format| format.value).or(named).or_else(|| FileFormat::from_location(&location));
    let Some(format) = format else {
        let message = format!("the format of `{location}` can't be told from its name");
        // A project for dbt describes files so that another program makes tables of them.
        let diagnostic = match builder.parsed.root.project.dialect {
            ProjectDialect::Dbt => Diagnostic::warning(Code::ConfigType, message).note("the source is taken for a table of the warehouse"),
            ProjectDialect::Alluvium => Diagnostic::error(Code::ConfigType, message),
        };
        builder.found.push(diagnostic.at(decl.span, "this source").help("add `format: csv`, `format: json` or `format: parquet`"));
        return None;
    };
    let options: IndexMap<String, String> = decl.options.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect();
    Some(ExternalSource {
        config: ExternalConfig { location, format, options },
        span: decl.location.as_ref().map_or(decl.span, |location| location.span),
        option_spans: decl.options.iter().map(|(name, value)| (name.value.clone(), Span { end: value.span.end, ..name.span })).collect(),
        call: None,
    })
}

/// A query about a source, in which `this` is its relation.
fn with_relation(builder: &mut Builder, package: &str, text: &Spanned<String>, relation: &RelationName) -> String {
    let host: Arc<dyn TemplateHost> = ParseHost::of_relation(&builder.facts, package, relation);
    let scope = Scope { package: package.to_owned() };
    match render(&Template::string(text.value.as_str(), text.span), &scope, &builder.library, &host).map_err(|failure| *failure) {
        Ok(rendered) => rendered.text,
        Err(RenderFailure::Diagnostics(diagnostics)) => {
            builder.found.extend(diagnostics);
            text.value.clone()
        }
        Err(RenderFailure::Deferred { .. }) => text.value.clone(),
    }
}

pub(super) fn rendered(builder: &mut Builder, package: &str, text: &Spanned<String>) -> String {
    if !text.value.contains("{{") {
        return text.value.clone();
    }
    let host: Arc<dyn TemplateHost> = ParseHost::new(&builder.facts, package, "", ConfigValues::default());
    match crate::jinja::render_text(&text.value, text.span, &builder.library, &host).map_err(|failure| *failure) {
        Ok(Json::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(RenderFailure::Diagnostics(diagnostics)) => {
            builder.found.extend(diagnostics);
            text.value.clone()
        }
        Err(RenderFailure::Deferred { .. }) => text.value.clone(),
    }
}
