//! Generic tests on models, columns and sources become test nodes.
//!
//! Names and ids are dbt's, which users know from their logs, select by, and have in the artifacts of other runs: the
//! test, the node, the values of the arguments in the order of their names, and in the id a hash of all that the test was
//! given. The alias and the file of a name of 64 characters or more are cut and get a hash.

use std::sync::Arc;

use indexmap::IndexMap;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value as Json, json};

use super::builder::Builder;
use super::config::{ConfigValues, typed};
use super::host::{Noted, ParseHost};
use super::nodes::checksum;
use super::project::Body;
use super::trees::YamlRenderer;
use crate::base::{Code, Diagnostic, FileId, in_parallel, nearest};
use crate::jinja::{MacroCall, MacroInfo, MacroLibrary, RenderFailure, Scope, TemplateHost, python_repr, python_text, render_call};
use crate::load::{ColumnDecl, NodeDecl, SourceDecl, SourceTableDecl, TestDecl, Yaml};
use crate::manifest::{GenericTest, ModelDetails, Node, NodeId, NodeKind, ResourceType, TestDetails};
use crate::sql::Semantics;

/// The generic tests that one node has.
pub(super) struct Wanted {
    attached: NodeId,
    package: String,
    enabled: bool,
    /// `ref('x')` or `source('a', 'b')`.
    model: String,
    /// Stands in the tests' names: the model, or `source_table`.
    label: String,
    /// The group of the model, to which its tests belong.
    group: Option<String>,
    is_source: bool,
    /// What a source and its table are tagged with: so are their tests.
    tags: Vec<String>,
    origin_path: String,
    folders: Vec<String>,
    file: FileId,
    tests: Vec<(Option<TestedColumn>, TestDecl)>,
}

/// The column that a test is about.
#[derive(Clone)]
struct TestedColumn {
    name: String,
    quoted: bool,
    /// Its tests have them too.
    tags: Vec<String>,
}

impl TestedColumn {
    fn of(column: &ColumnDecl) -> Self {
        let mut tags: Vec<String> = column.tags.iter().map(|tag| tag.value.clone()).collect();
        let configured = column.config.as_ref().and_then(|config| config.get("tags")).map(Yaml::to_json);
        match configured {
            Some(Json::Array(list)) => tags.extend(list.iter().filter_map(Json::as_str).map(str::to_owned)),
            Some(Json::String(tag)) => tags.push(tag),
            _ => {}
        }
        Self { name: column.name.value.clone(), quoted: column.quote == Some(true), tags }
    }

    /// As the test is given it.
    fn argument(&self, semantics: Semantics) -> String {
        if self.quoted { semantics.quote_ident(&self.name) } else { self.name.clone() }
    }
}

/// A tag, or a list of them.
fn tags(yaml: &Yaml) -> Vec<String> {
    yaml.items().unwrap_or(std::slice::from_ref(yaml)).iter().filter_map(Yaml::scalar_text).collect()
}

impl Wanted {
    pub(super) fn of_node(node: &Node, decl: &NodeDecl) -> Self {
        let columns = decl.columns.iter().flat_map(|column| column.tests.iter().map(|test| (Some(TestedColumn::of(column)), test.clone())));
        Self {
            attached: node.id.clone(),
            package: node.package.clone(),
            enabled: node.config.enabled,
            model: node
                .model
                .version
                .as_ref()
                .map_or_else(|| format!("ref('{}')", node.name), |version| format!("ref('{}', version='{version}')", node.name)),
            label: node.model.version.as_ref().map_or_else(|| node.name.clone(), |version| format!("{}_v{version}", node.name)),
            group: node.config.group.clone(),
            is_source: false,
            tags: Vec::new(),
            origin_path: decl.origin.path.clone(),
            folders: decl.origin.folders.clone(),
            file: decl.origin.file,
            tests: decl.tests.iter().map(|test| (None, test.clone())).chain(columns).collect(),
        }
    }

    pub(super) fn of_source(node: &Node, source: &SourceDecl, table: &SourceTableDecl) -> Self {
        let columns = table.columns.iter().flat_map(|column| column.tests.iter().map(|test| (Some(TestedColumn::of(column)), test.clone())));
        Self {
            attached: node.id.clone(),
            package: node.package.clone(),
            enabled: node.config.enabled,
            model: format!("source('{}', '{}')", source.name.value, table.name.value),
            label: format!("{}_{}", source.name.value, table.name.value),
            group: None,
            is_source: true,
            tags: [&source.config, &table.config].into_iter().flatten().filter_map(|config| config.get("tags")).flat_map(tags).collect(),
            origin_path: source.origin.path.clone(),
            folders: source.origin.folders.clone(),
            file: source.origin.file,
            tests: table.tests.iter().map(|test| (None, test.clone())).chain(columns).collect(),
        }
    }
}

pub(super) fn add_generic_tests(builder: &mut Builder) {
    let parsed = Arc::clone(&builder.parsed);
    let wanted = std::mem::take(&mut builder.tests);
    let parts = in_parallel(&wanted, |wanted| {
        let tree = parsed.all_packages().find(|package| package.name == wanted.package);
        builder.part(|part| {
            for (column, test) in wanted.tests.iter().filter(|_| wanted.enabled) {
                add_test(part, wanted, column.as_ref(), test, tree);
            }
        })
    });
    builder.absorb(parts);
}

/// The macro of a test, if it is there and takes these arguments; else what is wrong.
fn macro_that_takes(builder: &mut Builder, test: &TestDecl, arguments: &Map<String, Json>) -> Result<MacroInfo, Vec<Diagnostic>> {
    let info = macro_of(&builder.library, test).map_err(|missing| vec![missing])?;
    let wrong = check_arguments(builder, test, &info, arguments);
    if wrong.is_empty() { Ok(info) } else { Err(wrong) }
}

fn macro_of(library: &MacroLibrary, test: &TestDecl) -> Result<MacroInfo, Diagnostic> {
    if let Some(info) = library.test(test.package.as_deref(), &test.test.value) {
        return Ok(info.clone());
    }
    let wanted = test.package.as_ref().map_or_else(|| test.test.value.clone(), |package| format!("{package}.{}", test.test.value));
    let names = library.test_names();
    let diagnostic = Diagnostic::error(Code::UndefinedMacro, format!("there is no generic test `{wanted}`")).at(test.test.span, "used here");
    Err(diagnostic.help_nearest(
        nearest(&wanted, names.iter().map(String::as_str)),
        format!("the tests are {}", names.iter().cloned().collect::<Vec<_>>().join(", ")),
    ))
}

fn add_test(
    builder: &mut Builder,
    wanted: &Wanted,
    column: Option<&TestedColumn>,
    test: &TestDecl,
    tree_package: Option<&crate::load::ParsedPackage>,
) {
    let mut arguments: Map<String, Json> = test.arguments.iter().map(|(name, value)| (name.value.clone(), value.to_json())).collect();
    if let Some(column) = column.filter(|_| !arguments.contains_key("column_name")) {
        arguments.insert("column_name".into(), Json::from(column.argument(builder.parsed.target.semantics())));
    }
    let its_macro = macro_that_takes(builder, test, &arguments);
    let (short, full) = names(wanted, test, &arguments);
    let (short, name) = test.name.as_ref().map_or((short, full), |name| (name.value.clone(), name.value.clone()));
    let fqn: Vec<String> = std::iter::once(wanted.package.clone()).chain(wanted.folders.iter().cloned()).chain([name.clone()]).collect();
    let mut values = tree_package.map(|package| builder.tree_values(package, package.project.trees.data_tests.as_ref(), &fqn)).unwrap_or_default();
    let mut own = ConfigValues::default();
    if let Some(config) = &test.config {
        let renderer = YamlRenderer::new(&builder.library, &builder.facts, &wanted.package);
        own = renderer.config(config, &mut builder.found);
        values.extend(&own);
    }
    let of_root = tree_package.map(|package| builder.root_values(package, ResourceType::Test, &fqn)).unwrap_or_default();
    values.extend(&of_root);
    let mut config =
        typed(&values, ResourceType::Test, test.span, (&builder.parsed.sources, builder.parsed.root.project.dialect), &mut builder.found);
    let mut passed = arguments.clone();
    passed.insert("model".into(), Json::from(model_argument(wanted)));
    let call = its_macro.as_ref().ok().map(|info| MacroCall { id: info.id.clone(), arguments: passed, span: test.span });
    let (noted, macros) = match &call {
        Some(call) => note(builder, wanted, (&name, values.clone()), call),
        None => (Noted { config: values.clone(), ..Noted::default() }, Vec::new()),
    };
    // The test's own macro may set what its users do not, such as `fail_calc`.
    if noted.config.raw() != values.raw() {
        config =
            typed(&noted.config, ResourceType::Test, test.span, (&builder.parsed.sources, builder.parsed.root.project.dialect), &mut builder.found);
    }
    config.test.store_failures |= builder.stores_failures(&config);
    config.group.clone_from(&wanted.group);
    add_tags(&mut config.tags, column.iter().flat_map(|column| &column.tags).chain(&wanted.tags));
    if config.alias.is_none() && short != name {
        config.alias = Some(short.clone());
        own.set("alias", Json::from(short.clone()), None);
    }
    let hash = hash(wanted, test, &name, &arguments);
    let namespace = test.package.as_ref().map(|package| format!("{package}.")).unwrap_or_default();
    let raw_code = format!("{{{{ {namespace}test_{}(**_dbt_generic_test_kwargs) }}}}{}", test.test.value, config_call(&own));
    let details = TestDetails {
        generic: Some(GenericTest { package: test.package.clone(), name: test.test.value.clone(), arguments, span: test.span }),
        attached: Some(wanted.attached.clone()),
        column: column.map(|column| column.name.clone()),
    };
    let written = test.description.as_ref().map(|text| text.value.as_str());
    let mut node = Node {
        id: NodeId::new(format!("test.{}.{name}.{hash}", wanted.package)),
        kind: NodeKind::Test(Box::new(details)),
        path: format!("{short}.sql"),
        name,
        package: wanted.package.clone(),
        original_path: wanted.origin_path.clone(),
        fqn,
        span: test.span,
        file: wanted.file,
        properties_span: Some(test.span),
        properties_path: Some(wanted.origin_path.clone()),
        checksum: checksum(""),
        raw_code,
        language: "sql",
        config: Box::new(config),
        doc_blocks: builder.docs_in(&wanted.package, written),
        description: builder.described(&wanted.package, written, test.span),
        columns: IndexMap::new(),
        constraints: Vec::new(),
        model: ModelDetails::default(),
        relation: None,
        unbuilt: None,
        refs: noted.refs,
        sources: noted.sources,
        depends_on: vec![wanted.attached.clone()],
        depends_on_macros: macros,
        layer: None,
    };
    builder.place(&mut node);
    builder.found_late.extend(its_macro.err().into_iter().flatten().map(|diagnostic| (node.id.clone(), diagnostic)));
    builder.add(node, call.map(Body::Call));
}

/// Adds what a test has of its column and source, where that is anything.
fn add_tags<'t>(tags: &mut Vec<String>, inherited: impl Iterator<Item = &'t String>) {
    let before = tags.len();
    tags.extend(inherited.cloned());
    if tags.len() > before {
        tags.sort();
        tags.dedup();
    }
}

/// The call of `config` that dbt writes behind that of the test, for what is set where it is used.
fn config_call(own: &ConfigValues) -> String {
    const KEYS: [&str; 14] = [
        "severity",
        "tags",
        "enabled",
        "where",
        "limit",
        "warn_if",
        "error_if",
        "fail_calc",
        "store_failures",
        "store_failures_as",
        "meta",
        "database",
        "schema",
        "alias",
    ];
    let value = |value: &Json| value.as_str().map_or_else(|| python_repr(value), |text| format!("\"{}\"", text.replace('"', "\\\"")));
    let set: Vec<String> = KEYS.iter().filter_map(|key| Some(format!("{key}={}", value(own.get(key)?)))).collect();
    if set.is_empty() { String::new() } else { format!("{{{{ config({}) }}}}", set.join(",")) }
}

/// What the test sees as `model`: the relation, or the rows of it that `where` leaves. A project's own macro may make it otherwise.
fn model_argument(wanted: &Wanted) -> String {
    format!("{{{{ get_where_subquery({}) }}}}", wanted.model)
}

/// Arguments that the test's macro does not take; those that it needs and does not get are warnings.
fn check_arguments(builder: &mut Builder, test: &TestDecl, info: &MacroInfo, arguments: &Map<String, Json>) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    let takes =
        |name: &str| info.arguments.iter().any(|argument| argument.trim_start_matches('*').split('=').next().unwrap_or_default().trim() == name);
    let any = info.arguments.iter().any(|argument| argument.starts_with("**")) || info.macro_sql.contains("kwargs");
    let unknown: Vec<_> = test.arguments.iter().filter(|(name, _)| !any && !takes(&name.value)).collect();
    for (name, _) in &unknown {
        let known = info.arguments.iter().map(|argument| argument.split('=').next().unwrap_or_default().trim());
        let message = format!("the test `{}` takes no argument `{}`", test.test.value, name.value);
        let list: Vec<&str> = known.clone().filter(|name| *name != "model").collect();
        let diagnostic = Diagnostic::error(Code::MacroArguments, message).at(name.span, "given here").also(info.span, "the test");
        wrong.push(diagnostic.help_nearest(nearest(&name.value, known), format!("it takes {}", list.join(", "))));
    }
    let stray = arguments.contains_key("column_name") && !takes("column_name") && !any;
    if stray {
        let message = format!("the test `{}` is not about a column", test.test.value);
        wrong.push(
            Diagnostic::error(Code::MacroArguments, message)
                .at(test.test.span, "used on a column")
                .also(info.span, "takes no `column_name`")
                .help("move it to the `data_tests` of the model"),
        );
    }
    // One that is misspelt is given, and said to be wrong already.
    let misspelt = |wanted: &str| unknown.iter().any(|(name, _)| nearest(&name.value, [wanted]).is_some());
    let lacks = |name: &str| name != "model" && !arguments.contains_key(name) && !asks_for(&info.macro_sql, name) && !misspelt(name);
    let missing: Vec<&String> = info.required.iter().filter(|name| lacks(name)).collect();
    for name in &missing {
        let message = format!("the test `{}` needs the argument `{name}`", test.test.value);
        let help =
            if *name == "column_name" { "move it to the `data_tests` of a column".to_owned() } else { format!("add `{name}:` below `arguments:`") };
        // As in dbt, the test may still do without it; if it can't, it fails when it runs.
        builder.found.push(Diagnostic::warning(Code::MacroArguments, message).at(test.test.span, "used here").also(info.span, "the test").help(help));
    }
    wrong
}

/// Whether a macro itself looks whether an argument is there.
fn asks_for(macro_sql: &str, name: &str) -> bool {
    [format!("{name} is "), format!("if {name}"), format!("{name} or "), format!("{name} |"), format!("{name}|"), format!("not {name}")]
        .iter()
        .any(|text| macro_sql.contains(text))
}

/// What the test asks for, whose name and config so far are given.
fn note(builder: &mut Builder, wanted: &Wanted, (name, config): (&str, ConfigValues), call: &MacroCall) -> (super::host::Noted, Vec<String>) {
    let sources = Arc::clone(&builder.parsed.sources);
    let key = builder.kept.key_of_call((&wanted.package, name), call, &config, &sources);
    if let Some(known) = builder.kept.recall(&key, &builder.facts, &sources) {
        return known;
    }
    let host = ParseHost::new(&builder.facts, &wanted.package, name, config);
    let asked: Arc<dyn TemplateHost> = host.clone();
    let mut macros = Vec::new();
    match render_call(call, &Scope { package: wanted.package.clone() }, &builder.library, &asked).map_err(|failure| *failure) {
        Ok(rendered) => {
            macros = rendered.macros.iter().map(|id| id.as_str().to_owned()).collect();
            builder.kept.keep(key, (&host.noted(), &macros), &host.asked(), &builder.facts, &sources);
        }
        Err(RenderFailure::Diagnostics(diagnostics)) => builder.found.extend(diagnostics),
        Err(RenderFailure::Deferred { .. }) => {}
    }
    (host.noted(), macros)
}

/// The name as files and tables have it, and in full.
fn names(wanted: &Wanted, test: &TestDecl, arguments: &Map<String, Json>) -> (String, String) {
    let kind = if wanted.is_source { format!("source_{}", test.test.value) } else { test.test.value.clone() };
    let kind = test.package.as_ref().map_or_else(|| kind.clone(), |package| format!("{package}_{kind}"));
    let mut sorted: Vec<(&String, &Json)> = arguments.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let parts: Vec<String> = sorted.into_iter().flat_map(|(_, value)| flat(value)).map(|part| clean(&part)).collect();
    let identifier = format!("{kind}_{}", wanted.label);
    let full = format!("{identifier}_{}", parts.join("__"));
    if full.chars().count() < 64 {
        return (full.clone(), full);
    }
    let head: String = identifier.chars().take(30).collect();
    let hash: String = Md5::digest(full.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("{head}_{hash}"), full)
}

fn flat(value: &Json) -> Vec<String> {
    match value {
        Json::Array(items) => items.iter().map(python_text).collect(),
        Json::Object(map) => map.values().map(python_text).collect(),
        other => vec![python_text(other)],
    }
}

/// Runs of what can't stand in an identifier become one underscore.
fn clean(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            result.push(c);
        } else if !result.ends_with('\u{1}') {
            result.push('\u{1}');
        }
    }
    result.replace('\u{1}', "_")
}

/// The end of a test's id, which tells tests of one name apart: ten digits of the MD5 of the name and of what the test is
/// given as Python prints it, every value as text.
fn hash(wanted: &Wanted, test: &TestDecl, name: &str, arguments: &Map<String, Json>) -> String {
    let mut given = arguments.clone();
    given.insert("model".into(), Json::from(model_argument(wanted)));
    let test = json!({"kwargs": given, "name": test.test.value, "namespace": test.package});
    let digest: String = Md5::digest(format!("{name}{}", python_repr(&as_texts(&test)))).iter().map(|byte| format!("{byte:02x}")).collect();
    digest.chars().skip(22).collect()
}

/// Every value within as text, and maps by their keys.
fn as_texts(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(as_texts).collect(),
        Json::Object(map) => {
            let mut sorted: Vec<_> = map.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            Json::Object(sorted.into_iter().map(|(key, value)| (key.clone(), as_texts(value))).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Json::from(python_text(value)),
    }
}
