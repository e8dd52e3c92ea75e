//! One node in the manifest: what all kinds have, and what each kind has besides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::super::hex;
use super::ManifestInput;
use super::hooks::{HookEntry, hook_json};
use crate::manifest::{
    AboutSource, ColumnDecl, ConfigMirror as Config, ConstraintDecl, Described, DescribedKind, DocsMirror as Docs, Fixture, FixtureRows, GenericTest,
    Materialization, Node, NodeId, NodeKind, NodeRef, Raw, ResourceType, TestDetails, UnitTest, Version, Written as Value, alias_types,
    compiled_path, docs, file_key_name, primary_key, run_path, test_metadata,
};

/// What a node's entry needs of the other nodes.
pub(super) struct Context<'a> {
    input: &'a ManifestInput<'a>,
    nodes: &'a BTreeMap<&'a str, &'a Node>,
    /// Columns with a generic test of a name: (node, test name, column in lower case).
    tested: BTreeSet<(&'a str, &'a str, String)>,
}

impl<'a> Context<'a> {
    pub fn new(input: &'a ManifestInput<'a>, nodes: &'a BTreeMap<&'a str, &'a Node>) -> Self {
        let tests = nodes.values().filter_map(|node| node.test());
        let tested = tests.filter_map(|test| {
            Some((test.attached.as_ref()?.as_str(), test.generic.as_ref()?.name.as_str(), test.column.as_deref()?.to_lowercase()))
        });
        Self { input, nodes, tested: tested.collect() }
    }
}

/// dbt stamps nodes with the time of parsing; the artifact's own time keeps the output a function of its input.
pub(super) fn created_at(input: &ManifestInput<'_>) -> f64 {
    std::time::Duration::from_millis(u64::try_from(input.header.generated_at.timestamp_millis()).unwrap_or(0)).as_secs_f64()
}

/// A node's entry, made when it is written.
pub(super) enum Entry<'a, 'c> {
    Node { node: &'a Node, context: &'c Context<'a> },
    Hook { hook: &'a HookEntry, input: &'a ManifestInput<'a> },
}

impl Serialize for Entry<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (node, context) = match self {
            Self::Node { node, context } => (*node, *context),
            Self::Hook { hook, input } => return hook_json(hook, input).serialize(serializer),
        };
        match &node.kind {
            NodeKind::Seed { .. } => {
                let depends_on = Macros { macros: sorted(&node.depends_on_macros) };
                Seed { common: common(node, context), root_path: None, depends_on }.serialize(serializer)
            }
            NodeKind::Model => {
                Model { common: common(node, context), code: code(node, context), model: model_fields(node, context) }.serialize(serializer)
            }
            NodeKind::Function(details) => {
                let (common, code) = (common(node, context), code(node, context));
                Function { common, code, details: details.fields() }.serialize(serializer)
            }
            NodeKind::Analysis | NodeKind::Snapshot => Coded { common: common(node, context), code: code(node, context) }.serialize(serializer),
            NodeKind::Test(details) => {
                let generic = details.generic.as_ref().map(|generic| generic_fields(details, generic, context));
                Test { common: common(node, context), code: code(node, context), generic }.serialize(serializer)
            }
            NodeKind::Source { source_name, about, external: _ } => source_json(node, source_name, about, context).serialize(serializer),
            NodeKind::Described(described) => described_json(node, described, context).serialize(serializer),
            NodeKind::UnitTest(unit) => unit_test_json(node, unit, context).serialize(serializer),
        }
    }
}

#[derive(Debug, Serialize)]
struct Common<'a> {
    database: &'a str,
    schema: &'a str,
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: &'a str,
    original_file_path: &'a str,
    unique_id: &'a str,
    fqn: &'a [String],
    alias: &'a str,
    checksum: Checksum<'a>,
    config: Config<'a>,
    tags: &'a [String],
    description: &'a str,
    columns: IndexMap<&'a str, Column<'a>>,
    meta: &'a Map<String, Json>,
    group: Option<&'a str>,
    docs: Docs<'a>,
    patch_path: Option<String>,
    build_path: Option<String>,
    unrendered_config: BTreeMap<&'a str, &'a Json>,
    created_at: f64,
    /// What `config()` was called with, which comparing states reads; dbt has it in its manifest while it parses.
    #[serde(skip_serializing_if = "Map::is_empty")]
    unrendered_config_call_dict: Map<String, Json>,
    relation_name: Option<String>,
    raw_code: &'a str,
    doc_blocks: &'a [String],
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are dbt's")]
struct Code<'a> {
    language: &'static str,
    refs: Vec<Reference<'a>>,
    sources: Vec<[&'a str; 2]>,
    metrics: [(); 0],
    functions: Vec<Vec<&'a str>>,
    depends_on: DependsOn<'a>,
    compiled_path: Option<String>,
    #[serde(flatten)]
    compiled: Option<Compiled<'a>>,
    contract: Contract<'a>,
}

/// What a node has once it is compiled.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are dbt's")]
pub(super) struct Compiled<'a> {
    compiled: bool,
    compiled_code: &'a str,
    extra_ctes_injected: bool,
    extra_ctes: Vec<Cte<'a>>,
}

impl<'a> Compiled<'a> {
    pub fn of(code: &'a str, extra_ctes: Vec<Cte<'a>>) -> Self {
        Self { compiled: true, compiled_code: code, extra_ctes_injected: true, extra_ctes }
    }
}

/// An ephemeral model that was put into a node.
#[derive(Debug, Serialize)]
pub(super) struct Cte<'a> {
    id: &'a str,
    sql: String,
}

#[derive(Debug, Serialize)]
struct Checksum<'a> {
    name: &'static str,
    checksum: &'a str,
}

#[derive(Debug, Serialize)]
struct Column<'a> {
    name: &'a str,
    description: &'a str,
    meta: &'a Map<String, Json>,
    data_type: Option<&'a str>,
    constraints: Vec<Json>,
    quote: Option<bool>,
    config: ColumnConfig<'a>,
    tags: &'a [String],
    granularity: Option<&'a str>,
    doc_blocks: &'a [String],
}

#[derive(Debug, Serialize)]
struct ColumnConfig<'a> {
    meta: &'a Map<String, Json>,
    tags: &'a [String],
}

#[derive(Debug, Serialize)]
struct Reference<'a> {
    name: &'a str,
    package: Option<&'a str>,
    version: Option<Number<'a>>,
}

/// A version, as a number if it is one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Number<'a> {
    Whole(i64),
    Text(&'a str),
}

#[derive(Debug, Serialize)]
struct Macros<'a> {
    macros: BTreeSet<&'a String>,
}

#[derive(Debug, Serialize)]
struct DependsOn<'a> {
    macros: BTreeSet<&'a String>,
    nodes: BTreeSet<&'a str>,
}

#[derive(Debug, Serialize)]
struct Contract<'a> {
    enforced: bool,
    alias_types: Value<'a>,
    checksum: Option<String>,
}

#[derive(Debug, Serialize)]
struct ModelFields<'a> {
    access: &'static str,
    constraints: Vec<Json>,
    version: Option<&'a Json>,
    latest_version: Option<&'a Json>,
    deprecation_date: Option<String>,
    primary_key: Vec<String>,
    time_spine: Option<&'a Json>,
}

#[derive(Debug, Serialize)]
struct GenericFields<'a> {
    column_name: Option<&'a str>,
    file_key_name: Option<String>,
    attached_node: Option<&'a str>,
    test_metadata: Json,
}

#[derive(Debug, Serialize)]
struct Coded<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    #[serde(flatten)]
    code: Code<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    #[serde(flatten)]
    code: Code<'a>,
    #[serde(flatten)]
    details: Map<String, Json>,
}

#[derive(Debug, Serialize)]
struct Seed<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    root_path: Option<()>,
    depends_on: Macros<'a>,
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are dbt's")]
struct Model<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    #[serde(flatten)]
    code: Code<'a>,
    #[serde(flatten)]
    model: ModelFields<'a>,
}

#[derive(Debug, Serialize)]
struct Test<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    #[serde(flatten)]
    code: Code<'a>,
    #[serde(flatten)]
    generic: Option<GenericFields<'a>>,
}

fn common<'a>(node: &'a Node, context: &Context<'a>) -> Common<'a> {
    let (place, input) = (node.place(), context.input);
    Common {
        database: place.map_or(input.database, |name| &name.database),
        schema: place.map_or(input.schema, |name| &name.schema),
        name: &node.name,
        resource_type: node.resource_type().name(),
        package_name: &node.package,
        path: &node.path,
        original_file_path: &node.original_path,
        unique_id: node.id.as_str(),
        fqn: &node.fqn,
        alias: place.map_or(&node.name, |name| &name.identifier),
        checksum: checksum(node),
        config: Config(node),
        tags: &node.config.tags,
        description: &node.description,
        columns: columns(node),
        meta: &node.config.meta,
        group: node.config.group.as_deref(),
        docs: docs(node),
        patch_path: patch_path(node),
        build_path: input.built.contains(&node.id).then(|| format!("{}/{}", input.target_path, run_path(node))),
        unrendered_config: node.unrendered_config(),
        created_at: created_at(input),
        unrendered_config_call_dict: node.config_expressions(),
        relation_name: node.relation.as_ref().map(|name| node.relation_name(name, input.quoting)),
        raw_code: &node.raw_code,
        doc_blocks: &node.doc_blocks,
    }
}

/// Generic tests have no file of their own; dbt writes an empty checksum of kind `none` for them.
fn checksum(node: &Node) -> Checksum<'_> {
    let generated = node.test().is_some_and(|test| test.generic.is_some());
    if generated { Checksum { name: "none", checksum: "" } } else { Checksum { name: "sha256", checksum: &node.checksum } }
}

fn patch_path(node: &Node) -> Option<String> {
    let described = match node.resource_type() {
        ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Analysis | ResourceType::Function => true,
        // A test of a column has no other place.
        ResourceType::Test => node.test().is_some_and(|test| test.generic.is_none()),
        ResourceType::Exposure
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
        | ResourceType::Source
        | ResourceType::UnitTest => false,
    };
    node.properties_path.as_ref().filter(|_| described).map(|path| format!("{}://{path}", node.package))
}

fn sorted(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}

fn refs(node: &Node) -> Vec<Reference<'_>> {
    // The text of a test of a whole model names the model's version in quotes.
    let attached = node.test().filter(|test| test.generic.is_some() && test.column.is_none()).and_then(|test| test.attached.as_ref());
    let quoted = |name: &str| attached.and_then(|id| id.as_str().split('.').nth(2)) == Some(name);
    let called = node.refs.iter().filter(|reference| reference.function().is_none());
    called.map(|reference| reference_json(reference, quoted(&reference.name))).collect()
}

fn reference_json(reference: &NodeRef, quoted: bool) -> Reference<'_> {
    let number = |version| if quoted { Number::Text(version) } else { str::parse(version).map_or(Number::Text(version), Number::Whole) };
    Reference { name: &reference.name, package: reference.package.as_deref(), version: reference.version.as_deref().map(number) }
}

/// The functions that a node calls: names, with their package where it is given.
fn functions(node: &Node) -> Vec<Vec<&str>> {
    let called = node.refs.iter().filter_map(|reference| Some((reference.package.as_deref(), reference.function()?)));
    called.map(|(package, name)| package.into_iter().chain([name]).collect()).collect()
}

fn sources(node: &Node) -> Vec<[&str; 2]> {
    node.sources.iter().map(|source| [source.source.as_str(), source.table.as_str()]).collect()
}

fn depends_on(node: &Node) -> DependsOn<'_> {
    DependsOn { macros: sorted(&node.depends_on_macros), nodes: node.depends_on.iter().map(NodeId::as_str).collect() }
}

fn code<'a>(node: &'a Node, context: &Context<'a>) -> Code<'a> {
    let compiled_code = context.input.compiled.get(&node.id).map(String::as_str);
    let has_file = compiled_code.is_some() && node.resource_type() != ResourceType::Snapshot;
    Code {
        language: node.language,
        refs: refs(node),
        sources: sources(node),
        metrics: [],
        functions: functions(node),
        depends_on: depends_on(node),
        compiled_path: has_file.then(|| format!("{}/{}", context.input.target_path, compiled_path(node))),
        compiled: compiled_code.map(|code| Compiled::of(code, extra_ctes(node, context))),
        contract: contract(node),
    }
}

/// The ephemeral models that a node reads, and those that these read, which come first.
fn extra_ctes<'a>(node: &'a Node, context: &Context<'a>) -> Vec<Cte<'a>> {
    let mut found: Vec<Cte<'a>> = Vec::new();
    let ephemeral = |id: &NodeId| context.nodes.get(id.as_str()).copied().filter(|node| node.config.materialization == Materialization::Ephemeral);
    for parent in node.depends_on.iter().filter_map(ephemeral).filter(|parent| parent.resource_type() == ResourceType::Model) {
        let Some(code) = context.input.compiled.get(&parent.id) else { continue };
        let before = extra_ctes(parent, context);
        let name = parent.place().map_or(&parent.name, |place| &place.identifier);
        let own = Cte { id: parent.id.as_str(), sql: format!(" __dbt__cte__{name} as (\n{code}\n)") };
        for cte in before.into_iter().chain([own]) {
            if !found.iter().any(|known| known.id == cte.id) {
                found.push(cte);
            }
        }
    }
    found
}

/// The contract, with a fingerprint of the columns it promises where it is enforced.
fn contract(node: &Node) -> Contract<'_> {
    let enforced = node.config.contract_enforced;
    let checksum = enforced.then(|| {
        // As dbt has it, so far as Python's words for constraints don't come in.
        let constraints = |constraints: &[ConstraintDecl]| {
            let texts: Vec<String> = constraints.iter().map(|constraint| constraint_json(constraint, false).to_string()).collect();
            format!("[{}]", texts.join(", "))
        };
        let mut columns: Vec<&ColumnDecl> = node.columns.values().collect();
        columns.sort_by(|a, b| a.name.cmp(&b.name));
        let mut text = String::new();
        for column in columns {
            let _ = write!(text, "|{}{}{}", column.name, column.data_type.as_deref().unwrap_or("None"), constraints(&column.constraints));
        }
        if matches!(node.config.materialization, Materialization::Table | Materialization::Incremental) {
            let _ = write!(text, "{}{}", node.config.materialization.name(), constraints(&node.constraints));
        }
        hex(&Sha256::digest(text))
    });
    Contract { enforced, alias_types: alias_types(node), checksum }
}

fn columns(node: &Node) -> IndexMap<&str, Column<'_>> {
    node.columns.values().map(|declared| (declared.name.as_str(), column(declared))).collect()
}

fn column(column: &ColumnDecl) -> Column<'_> {
    Column {
        name: &column.name,
        description: &column.description,
        meta: &column.meta,
        data_type: column.data_type.as_deref(),
        constraints: column.constraints.iter().map(|constraint| constraint_json(constraint, false)).collect(),
        quote: column.quote.then_some(true),
        config: ColumnConfig { meta: &column.meta, tags: &column.tags },
        tags: &column.tags,
        granularity: column.granularity.as_deref(),
        doc_blocks: &column.doc_blocks,
    }
}

fn constraint_json(constraint: &ConstraintDecl, of_model: bool) -> Json {
    let to = constraint.references.as_ref().map(ToString::to_string);
    let mut json = json!({
        "type": constraint.kind.name(), "name": constraint.name, "expression": constraint.expression,
        "warn_unenforced": constraint.warn_unenforced, "warn_unsupported": constraint.warn_unsupported,
        "to": to.or_else(|| constraint.to.as_ref().map(|to| to.value.clone())), "to_columns": constraint.to_columns,
    });
    if of_model && let Json::Object(fields) = &mut json {
        fields.insert("columns".into(), json!(constraint.columns));
    }
    json
}

fn model_fields<'a>(node: &'a Node, context: &Context<'_>) -> ModelFields<'a> {
    ModelFields {
        access: node.config.access.name(),
        constraints: node.constraints.iter().map(|constraint| constraint_json(constraint, true)).collect(),
        version: node.model.version.as_ref().map(Version::json),
        latest_version: node.model.latest.as_ref().map(Version::json),
        deprecation_date: node.model.deprecation_date.map(|date| date.to_rfc3339()),
        primary_key: primary_key(node, |test, column| context.tested.contains(&(node.id.as_str(), test, column.to_lowercase()))),
        time_spine: node.model.time_spine.as_ref(),
    }
}

fn generic_fields<'a>(details: &'a TestDetails, generic: &'a GenericTest, context: &Context<'_>) -> GenericFields<'a> {
    let attached = details.attached.as_ref().and_then(|id| context.nodes.get(id.as_str()).copied());
    GenericFields {
        column_name: details.column.as_ref().and_then(|_| generic.arguments.get("column_name")?.as_str()),
        file_key_name: attached.map(file_key_name),
        // dbt names models here, and nothing else.
        attached_node: details.attached.as_ref().filter(|id| !id.as_str().starts_with("source.")).map(NodeId::as_str),
        test_metadata: test_metadata(details, generic, attached),
    }
}

/// As written, with dbt's keys.
fn external_json(written: &Json) -> Json {
    let keys = ["location", "file_format", "row_format", "tbl_properties", "partitions"];
    let mut all = Map::from_iter(keys.map(|key| (key.to_owned(), Json::Null)));
    all.extend(written.as_object().cloned().unwrap_or_default());
    Json::Object(all)
}

fn source_json(node: &Node, source_name: &str, about: &AboutSource, context: &Context<'_>) -> Json {
    let raw = Raw(&node.config.raw);
    let relation = node.relation.as_ref();
    json!({
        "database": relation.map_or(context.input.database, |name| name.database.as_str()),
        "schema": relation.map_or(context.input.schema, |name| name.schema.as_str()),
        "name": node.name, "resource_type": "source", "package_name": node.package,
        "path": node.original_path, "original_file_path": node.original_path, "unique_id": node.id.as_str(), "fqn": node.fqn,
        "source_name": source_name, "source_description": about.description, "loader": about.loader,
        "identifier": relation.map_or(node.name.as_str(), |name| name.identifier.as_str()),
        "quoting": {"database": about.quoting[0], "schema": about.quoting[1], "identifier": about.quoting[2], "column": null},
        "loaded_at_field": raw.or("loaded_at_field", Value::NULL), "loaded_at_query": node.config.written.get("loaded_at_query").map_or(raw.or("loaded_at_query", Value::NULL), Value::Given),
        "freshness": raw.freshness(),
        "external": about.external.as_ref().map(external_json),
        "description": node.description, "columns": columns(node), "meta": node.config.meta, "source_meta": about.meta,
        "tags": node.config.tags, "config": Config(node), "patch_path": null, "unrendered_config": node.unrendered_config(),
        "relation_name": relation.map(|name| node.relation_name(name, context.input.quoting)), "created_at": created_at(context.input),
        "unrendered_database": about.written[0], "unrendered_schema": about.written[1], "doc_blocks": node.doc_blocks,
    })
}

/// An exposure, metric, semantic model or saved query.
fn described_json(node: &Node, described: &Described, context: &Context<'_>) -> Json {
    let mut json = json!({
        "name": node.name, "resource_type": node.resource_type().name(), "package_name": node.package, "path": node.path,
        "original_file_path": node.original_path, "unique_id": node.id.as_str(), "fqn": node.fqn, "description": node.description,
        "config": Config(node), "unrendered_config": node.unrendered_config(), "depends_on": depends_on(node), "refs": refs(node),
        "created_at": created_at(context.input),
    });
    let more = match described.kind {
        DescribedKind::Exposure => json!({"meta": node.config.meta, "tags": node.config.tags, "sources": sources(node)}),
        DescribedKind::Metric => json!({
            "meta": node.config.meta, "tags": node.config.tags, "sources": sources(node), "metrics": [], "group": node.config.group,
        }),
        DescribedKind::SavedQuery => json!({"tags": node.config.tags, "group": node.config.group}),
        DescribedKind::SemanticModel => json!({"group": node.config.group}),
    };
    for (key, value) in described.fields.iter().chain(more.as_object().into_iter().flatten()) {
        json[key] = value.clone();
    }
    json
}

fn unit_test_json(node: &Node, unit: &UnitTest, context: &Context<'_>) -> Json {
    let rows = |fixture: &Fixture| match &fixture.rows {
        FixtureRows::Rows(rows) => json!(rows),
        FixtureRows::Sql(sql) => json!(sql),
    };
    let fixture = |fixture: &Fixture| json!({"rows": rows(fixture), "format": fixture.format.name(), "fixture": fixture.file});
    let given: Vec<Json> = unit
        .given
        .iter()
        .map(|given| {
            let mut json = fixture(&given.fixture);
            json["input"] = json!(given.input);
            json
        })
        .collect();
    let tested = node.depends_on.iter().filter_map(|id| context.nodes.get(id.as_str()));
    let tested = tested.filter(|tested| tested.resource_type() == ResourceType::Model).find(|tested| tested.name == unit.model);
    let schema = tested.and_then(|tested| tested.relation.as_ref()).map_or(context.input.schema, |relation| &relation.schema);
    let overrides =
        unit.overrides.as_ref().map(|overrides| json!({"macros": overrides.macros, "vars": overrides.vars, "env_vars": overrides.env_vars}));
    json!({
        "model": unit.model, "given": given, "expect": fixture(&unit.expect), "name": node.name, "resource_type": "unit_test",
        "package_name": node.package, "path": node.path, "original_file_path": node.original_path, "unique_id": node.id.as_str(), "fqn": node.fqn,
        "description": node.description, "overrides": overrides, "depends_on": depends_on(node), "config": Config(node),
        "checksum": node.checksum, "schema": schema, "created_at": created_at(context.input),
        "versions": unit.versions.as_ref().map(|versions| json!({"include": versions.get("include"), "exclude": versions.get("exclude")})),
        "version": unit.version.as_ref().map(Version::json),
    })
}
