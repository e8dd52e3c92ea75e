//! Files become nodes: models, seeds, snapshots, analyses, singular tests, and texts given on the command line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::builder::Builder;
use super::config::{ConfigValues, typed, typed_for_build};
use super::data_test::Wanted;
use super::hooks::{Hooked, references};
use super::host::{Noted, ParseHost};
use super::project::{Body, Project};
use super::python::calls_as_template;
use super::relation::{Named, node_json, relation_name};
use super::source::rendered;
use super::trees::YamlRenderer;
use super::versions::{self, ModelProperties};
use crate::base::files;
use crate::base::{Code, Diagnostic, FileId, Span, Spanned, in_parallel, nearest};
use crate::jinja::{RenderFailure, Rendered, Scope, Template, TemplateHost, render, snapshot_blocks};
use crate::load::{ColumnDecl as LoadedColumn, NodeDecl, ParsedPackage, SqlFile, Yaml};
use crate::manifest::{
    ColumnDecl, FunctionDetails, Materialization, ModelDetails, Node, NodeId, NodeKind, RelationName, ResourceType, SCHEMA_OF_FAILURES, TestDetails,
};

/// Where a node comes from, before it is parsed.
pub(super) struct Draft<'a> {
    pub kind: NodeKind,
    pub resource_type: ResourceType,
    pub name: String,
    pub package: &'a ParsedPackage,
    /// Relative to its resource path.
    pub path: String,
    /// Relative to the package.
    pub original_path: String,
    pub file: FileId,
    pub span: Span,
    pub decl: Option<&'a NodeDecl>,
    pub details: ModelDetails,
    pub template: Option<Template>,
    pub tree: Option<&'a Yaml>,
    pub raw_code: String,
    pub language: &'static str,
}

pub(super) fn add_models(builder: &mut Builder, package: &ParsedPackage) {
    let described = versions::by_file(builder, package);
    let of_python = package.python_models.iter().map(|file| (file, "python"));
    let files: Vec<(&SqlFile, &'static str)> = package.models.iter().map(|file| (file, "sql")).chain(of_python).collect();
    // Each is rendered by itself, which is most of the work of parsing.
    let parts = in_parallel(&files, |(file, language)| {
        let properties = described.get(file.name.as_str());
        let decl = properties.map(ModelProperties::decl);
        let kind = (NodeKind::Model, ResourceType::Model);
        builder.part(|part| {
            let mut draft = sql_draft(part, package, file, kind, decl, package.project.trees.models.as_ref());
            if let Some(properties) = properties {
                draft.name.clone_from(&properties.decl().name.value);
                draft.details = properties.details();
            }
            if *language == "python" {
                draft.language = language;
                draft.template = Some(Template::string(calls_as_template(&draft.raw_code), draft.span));
            }
            add_draft(part, draft);
        })
    });
    builder.absorb(parts);
    // As in dbt, an entry counts wherever its name is found.
    let models: HashSet<&str> = package.models.iter().chain(&package.python_models).map(|file| file.name.as_str()).collect();
    let seeds: HashSet<&str> = package.seeds.iter().map(|seed| seed.name.as_str()).collect();
    let is_seed = |decl: &&NodeDecl| seeds.contains(decl.name.value.as_str()) && !models.contains(decl.name.value.as_str());
    let (misplaced, own): (Vec<&NodeDecl>, Vec<&NodeDecl>) = package.properties.models.iter().partition(is_seed);
    for decl in misplaced {
        let message = format!("`{}` is a seed, and described under `models:`", decl.name.value);
        builder.found.push(Diagnostic::warning(Code::OrphanProperties, message).at(decl.name.span, "described here").help("move it to `seeds:`"));
    }
    let versioned = package.properties.models.iter().filter(|decl| !decl.versions.is_empty()).map(|decl| decl.name.value.as_str());
    orphans(builder, own.into_iter(), models.into_iter().chain(versioned), "model");
}

pub(super) fn add_analyses(builder: &mut Builder, package: &ParsedPackage) {
    let decls = by_name(&package.properties.analyses);
    for file in &package.analyses {
        let decl = decls.get(file.name.as_str()).copied();
        // As in dbt, they are configured with the models, and stand in a folder of their own among them.
        let tree = package.project.trees.models.as_ref();
        let mut draft = sql_draft(builder, package, file, (NodeKind::Analysis, ResourceType::Analysis), decl, tree);
        draft.path = format!("analysis/{}", draft.path);
        add_draft(builder, draft);
    }
}

pub(super) fn add_functions(builder: &mut Builder, package: &ParsedPackage) {
    let of_python = package.python_functions.iter().map(|file| (file, "python"));
    let decls = &package.properties.functions;
    for (file, language) in package.functions.iter().map(|file| (file, "sql")).chain(of_python) {
        let Some(decl) = decls.iter().find(|decl| decl.node.name.value == file.name) else {
            let message = format!("the function `{}` is not described, so its arguments and its result are not known", file.name);
            builder.found.push(
                Diagnostic::error(Code::YamlType, message)
                    .at(Span::file_start(file.file), "this function")
                    .help(format!("add `functions:` with `name: {}`, `arguments:` and `returns:` to a properties file", file.name)),
            );
            continue;
        };
        let details = FunctionDetails {
            arguments: decl.arguments.clone(),
            returns: decl.returns.as_ref().map(|returns| returns.value.clone()).unwrap_or_default(),
            returns_description: decl.returns_description.clone(),
        };
        let kind = (NodeKind::Function(Box::new(details)), ResourceType::Function);
        let mut draft = sql_draft(builder, package, file, kind, Some(&decl.node), package.project.trees.functions.as_ref());
        if language == "python" {
            draft.language = language;
            draft.template = None;
        }
        add_draft(builder, draft);
    }
    let names = package.functions.iter().chain(&package.python_functions).map(|file| file.name.as_str());
    orphans(builder, decls.iter().map(|decl| &decl.node), names, "function");
}

pub(super) fn add_singular_tests(builder: &mut Builder, package: &ParsedPackage) {
    for file in &package.singular_tests {
        let details = TestDetails { generic: None, attached: None, column: None };
        let draft = sql_draft(
            builder,
            package,
            file,
            (NodeKind::Test(Box::new(details)), ResourceType::Test),
            None,
            package.project.trees.data_tests.as_ref(),
        );
        let said = package.properties.singular_tests.iter().find(|decl| decl.name.value == file.name);
        let said = said.map(|decl| Said { config: decl.config.as_ref(), description: decl.description.as_ref(), path: &decl.origin.path });
        add_configured(builder, draft, said.as_ref());
    }
}

pub(super) fn add_snapshots(builder: &mut Builder, package: &ParsedPackage) {
    let decls = by_name(&package.properties.snapshots);
    let mut names: Vec<String> = Vec::new();
    for file in &package.snapshots {
        let blocks = match snapshot_blocks(&builder.parsed.sources, file.file) {
            Ok(blocks) => blocks,
            Err(diagnostic) => {
                builder.found.push(*diagnostic);
                continue;
            }
        };
        for block in blocks {
            names.push(block.name.clone());
            let mut draft = sql_draft(
                builder,
                package,
                file,
                (NodeKind::Snapshot, ResourceType::Snapshot),
                decls.get(block.name.as_str()).copied(),
                package.project.trees.snapshots.as_ref(),
            );
            draft.span = block.name_span;
            draft.template = Some(Template::part(&builder.parsed.sources, block.body));
            draft.raw_code = builder.parsed.sources.text(block.body);
            draft.name = block.name;
            add_draft(builder, draft);
        }
    }
    for decl in package.properties.snapshots.iter().filter(|decl| decl.relation.is_some()) {
        names.push(decl.name.value.clone());
        add_draft(builder, yaml_snapshot(package, decl));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    orphans(builder, package.properties.snapshots.iter(), names.into_iter(), "snapshot");
}

/// A snapshot that a properties file declares whole.
fn yaml_snapshot<'a>(package: &'a ParsedPackage, decl: &'a NodeDecl) -> Draft<'a> {
    let relation = decl.relation.as_ref().map_or("", |relation| relation.value.as_str());
    let code = format!("select * from {{{{ {relation} }}}}");
    Draft {
        kind: NodeKind::Snapshot,
        resource_type: ResourceType::Snapshot,
        name: decl.name.value.clone(),
        package,
        path: yaml_snapshot_path(decl),
        original_path: decl.origin.path.clone(),
        file: decl.origin.file,
        span: decl.name.span,
        decl: Some(decl),
        details: ModelDetails::default(),
        template: Some(Template::string(code.as_str(), decl.relation.as_ref().map_or(decl.span, |relation| relation.span))),
        tree: package.project.trees.snapshots.as_ref(),
        raw_code: code,
        language: "sql",
    }
}

/// As dbt has it, `folder/snapshots.yml/name.sql`: several snapshots and their tests share the properties file.
fn yaml_snapshot_path(decl: &NodeDecl) -> String {
    let file = decl.origin.path.rsplit('/').next().unwrap_or_default();
    let sql = format!("{}.sql", decl.name.value);
    decl.origin.folders.iter().map(String::as_str).chain([file, &sql]).collect::<Vec<_>>().join("/")
}

pub(super) fn add_seeds(builder: &mut Builder, package: &ParsedPackage) {
    let decls = by_name(&package.properties.seeds);
    let misplaced = by_name(&package.properties.models);
    for seed in &package.seeds {
        let span = Span::file_start(seed.file);
        let draft = Draft {
            kind: NodeKind::Seed { path: seed.absolute_path.clone() },
            resource_type: ResourceType::Seed,
            name: seed.name.clone(),
            package,
            path: seed.resource_path.clone(),
            original_path: seed.path.clone(),
            file: seed.file,
            span,
            decl: decls.get(seed.name.as_str()).or_else(|| misplaced.get(seed.name.as_str())).copied(),
            details: ModelDetails::default(),
            template: None,
            tree: package.project.trees.seeds.as_ref(),
            raw_code: String::new(),
            language: "sql",
        };
        add_draft(builder, draft);
    }
    orphans(builder, package.properties.seeds.iter(), package.seeds.iter().map(|seed| seed.name.as_str()), "seed");
}

#[expect(clippy::too_many_arguments, reason = "the file and everything that is declared about it; it becomes a struct here")]
fn sql_draft<'a>(
    builder: &Builder,
    package: &'a ParsedPackage,
    file: &SqlFile,
    (kind, resource_type): (NodeKind, ResourceType),
    decl: Option<&'a NodeDecl>,
    tree: Option<&'a Yaml>,
) -> Draft<'a> {
    let sources = &builder.parsed.sources;
    Draft {
        kind,
        resource_type,
        name: file.name.clone(),
        package,
        path: file.resource_path.clone(),
        original_path: file.path.clone(),
        file: file.file,
        span: Span::file_start(file.file),
        decl,
        details: ModelDetails::default(),
        template: Some(Template::file(sources, file.file)),
        tree,
        raw_code: sources.file(file.file).text.trim().to_owned(),
        language: "sql",
    }
}

fn by_name(decls: &[NodeDecl]) -> HashMap<&str, &NodeDecl> {
    decls.iter().map(|decl| (decl.name.value.as_str(), decl)).collect()
}

/// Properties of something that is not there.
fn orphans<'a>(builder: &mut Builder, decls: impl Iterator<Item = &'a NodeDecl>, names: impl Iterator<Item = &'a str>, kind: &str) {
    let names: std::collections::BTreeSet<&str> = names.collect();
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for decl in decls {
        let name = decl.name.value.as_str();
        if let Some(first) = seen.insert(name, decl.name.span) {
            let message = format!("the {kind} `{name}` is described twice");
            builder.found.push(
                Diagnostic::error(Code::DuplicateName, message)
                    .at(decl.name.span, "the second")
                    .also(first, "the first")
                    .help("keep one of the two entries"),
            );
        }
        if !names.contains(name) {
            let message = format!("properties are set for the {kind} `{name}`, which is not there");
            let diagnostic = Diagnostic::warning(Code::OrphanProperties, message).at(decl.name.span, "this entry has no effect");
            builder.found.push(diagnostic.help_nearest(nearest(name, names.iter().copied()), "remove the entry, or add the file"));
        }
    }
}

fn add_draft(builder: &mut Builder, draft: Draft<'_>) {
    let said = draft.decl.map(|decl| Said { config: decl.config.as_ref(), description: decl.description.as_ref(), path: &decl.origin.path });
    add_configured(builder, draft, said.as_ref());
}

/// What a properties file says of a node of any kind.
struct Said<'a> {
    config: Option<&'a Yaml>,
    description: Option<&'a Spanned<String>>,
    path: &'a str,
}

fn add_configured(builder: &mut Builder, draft: Draft<'_>, said: Option<&Said<'_>>) {
    let fqn = fqn(&draft);
    let mut values = builder.tree_values(draft.package, draft.tree, &fqn);
    let renderer = YamlRenderer::new(&builder.library, &builder.facts, &draft.package.name);
    if let Some(config) = said.and_then(|said| said.config) {
        values.extend(&renderer.config(config, &mut builder.found));
    }
    let of_root = builder.root_values(draft.package, draft.resource_type, &fqn);
    let above = values.clone();
    let mut parsed = parse(builder, &draft, values, enabled(&of_root));
    parsed.noted.config.written_in(&above, &draft.raw_code);
    parsed.noted.config.extend(&of_root);
    let hooked = Hooked { name: &draft.name, package: &draft.package.name, kind: draft.resource_type, span: draft.span };
    let of_hooks = references(builder, &hooked, &parsed.noted.config);
    parsed.noted.refs.extend(of_hooks.refs);
    parsed.noted.sources.extend(of_hooks.sources);
    parsed.macros.extend(of_hooks.macros);
    if draft.language == "python" && draft.resource_type == ResourceType::Model && parsed.noted.config.get("materialized").is_none() {
        parsed.noted.config.set("materialized", Json::from("table"), None);
    }
    let about = (&*builder.parsed.sources, draft.package.project.dialect);
    let (mut config, late) = typed_for_build(&parsed.noted.config, draft.resource_type, draft.span, about, &mut builder.found);
    config.test.store_failures |= draft.resource_type == ResourceType::Test && builder.stores_failures(&config);
    let version = draft.details.version.as_ref().map(|version| format!(".v{version}")).unwrap_or_default();
    let id = NodeId::new(format!("{}.{}.{}{version}", draft.resource_type.name(), draft.package.name, draft.name));
    builder.found_late.extend(late.into_iter().map(|diagnostic| (id.clone(), diagnostic)));
    let described = said.and_then(|said| said.description);
    let written = described.map(|text| text.value.as_str());
    let mut node = Node {
        id,
        relation: None,
        unbuilt: None,
        name: draft.name,
        package: draft.package.name.clone(),
        layer: builder.layers.layer_of(&draft.original_path),
        path: draft.path,
        original_path: draft.original_path,
        fqn,
        span: draft.span,
        file: draft.file,
        properties_span: draft.decl.map(|decl| decl.name.span),
        properties_path: said.map(|said| said.path.to_owned()),
        checksum: if let NodeKind::Seed { path } = &draft.kind { seed_checksum(path) } else { checksum(&draft.raw_code) },
        raw_code: draft.raw_code,
        language: draft.language,
        doc_blocks: builder.docs_in(&draft.package.name, written),
        description: builder.described(&draft.package.name, written, described.map_or(draft.span, |text| text.span)),
        columns: draft.decl.map(|decl| columns(builder, &draft.package.name, &decl.columns)).unwrap_or_default(),
        constraints: draft.decl.map(|decl| decl.constraints.clone()).unwrap_or_default(),
        model: draft.details,
        refs: parsed.noted.refs,
        sources: parsed.noted.sources,
        depends_on: Vec::new(),
        depends_on_macros: parsed.macros,
        kind: draft.kind,
        config: Box::new(config),
    };
    builder.place(&mut node);
    super::constraints::add_parents(builder, &mut node);
    if let Some(decl) = draft.decl {
        builder.tests.push(Wanted::of_node(&node, decl));
    }
    builder.add(node, draft.template.filter(|_| draft.language == "sql").map(Body::Template));
}

fn fqn(draft: &Draft<'_>) -> Vec<String> {
    let whole = draft.decl.filter(|decl| decl.relation.is_some() && decl.origin.path == draft.original_path);
    let folders: Vec<String> = if let Some(decl) = whole {
        decl.origin.folders.clone()
    } else {
        // Of snapshots, several stand in a file, whose name is one of the folders then.
        let snapshot = (draft.resource_type == ResourceType::Snapshot).then(|| draft.path.strip_suffix(".sql")).flatten();
        let folders = snapshot.unwrap_or_else(|| draft.path.rsplit_once('/').map_or("", |(folders, _)| folders));
        folders.split('/').filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
    };
    let version = draft.details.version.as_ref().map(|version| format!("v{version}"));
    std::iter::once(draft.package.name.clone()).chain(folders).chain([draft.name.clone()]).chain(version).collect()
}

struct Parsed {
    noted: Noted,
    macros: Vec<String>,
}

/// Renders a draft in parse mode to learn its config and what it refers to. What is wrong with a node that is not
/// `wanted`, or disables itself, is nobody's concern.
fn parse(builder: &mut Builder, draft: &Draft<'_>, values: ConfigValues, wanted: bool) -> Parsed {
    let sources = Arc::clone(&builder.parsed.sources);
    let named = (draft.package.name.as_str(), draft.name.as_str());
    let key = draft.template.as_ref().map(|template| builder.kept.key_of_text(named, template, &values, &sources));
    if let Some((noted, macros)) = key.and_then(|key| builder.kept.recall(&key, &builder.facts, &sources)) {
        return Parsed { noted, macros };
    }
    let host = ParseHost::new(&builder.facts, &draft.package.name, &draft.name, values);
    let mut macros = Vec::new();
    if let Some(template) = &draft.template {
        let asked: Arc<dyn TemplateHost> = host.clone();
        let scope = Scope { package: draft.package.name.clone() };
        match render(template, &scope, &builder.library, &asked).map_err(|failure| *failure) {
            Ok(Rendered { macros: called, .. }) => {
                macros = called.iter().map(|id| id.as_str().to_owned()).collect();
                if let Some(key) = key {
                    builder.kept.keep(key, (&host.noted(), &macros), &host.asked(), &builder.facts, &sources);
                }
            }
            Err(RenderFailure::Diagnostics(diagnostics)) if wanted && enabled(&host.noted().config) => builder.found.extend(diagnostics),
            Err(RenderFailure::Diagnostics(_) | RenderFailure::Deferred { .. }) => {}
        }
    }
    Parsed { noted: host.noted(), macros }
}

/// A template that is broken may say before that it is disabled.
fn enabled(values: &ConfigValues) -> bool {
    values.get("enabled") != Some(&Json::Bool(false))
}

/// SHA-256, hexadecimal.
pub(super) fn checksum(text: &str) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    Sha256::digest(text.as_bytes()).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The largest seed that is read for its checksum: dbt's limit.
const SEED_LIMIT: u64 = 1 << 20;

/// Of a seed's text without the blanks around it, as dbt has it; of a large one only its length counts.
fn seed_checksum(path: &std::path::Path) -> String {
    match files::size(path) {
        Some(length) if length > SEED_LIMIT => checksum(&format!("{length} bytes")),
        _ => files::read_bytes(path).map_or_else(|_| String::new(), |bytes| checksum(String::from_utf8_lossy(&bytes).trim())),
    }
}

pub(super) fn columns(builder: &mut Builder, package: &str, decls: &[LoadedColumn]) -> IndexMap<String, ColumnDecl> {
    let mut columns = IndexMap::new();
    for decl in decls {
        let meta = match decl.meta.as_ref().map(Yaml::to_json) {
            Some(Json::Object(map)) => map,
            _ => Map::new(),
        };
        let column = ColumnDecl {
            name: decl.name.value.clone(),
            data_type: decl.data_type.as_ref().map(|data_type| rendered(builder, package, data_type)),
            doc_blocks: builder.docs_in(package, decl.description.as_ref().map(|text| text.value.as_str())),
            description: builder.described(
                package,
                decl.description.as_ref().map(|text| text.value.as_str()),
                decl.description.as_ref().map_or(decl.name.span, |text| text.span),
            ),
            constraints: decl.constraints.clone(),
            tags: decl.tags.iter().map(|tag| tag.value.clone()).collect(),
            meta,
            quote: decl.quote.unwrap_or(false),
            granularity: decl.granularity.as_ref().map(|unit| unit.value.clone()),
            span: decl.name.span,
            type_span: decl.data_type.as_ref().map(|data_type| data_type.span),
        };
        columns.insert(decl.name.value.clone(), column);
    }
    columns
}

impl Builder {
    /// What the root project's file says for a node of a package. It wins over everything that the package says, its
    /// files' own `config()` included, as in dbt.
    pub(super) fn root_values(&mut self, package: &ParsedPackage, kind: ResourceType, fqn: &[String]) -> ConfigValues {
        let parsed = Arc::clone(&self.parsed);
        let trees = &parsed.root.project.trees;
        let tree = match kind {
            ResourceType::Model | ResourceType::Analysis => &trees.models,
            ResourceType::Seed => &trees.seeds,
            ResourceType::Snapshot => &trees.snapshots,
            ResourceType::Test => &trees.data_tests,
            ResourceType::Source => &trees.sources,
            ResourceType::Exposure => &trees.exposures,
            ResourceType::Metric => &trees.metrics,
            ResourceType::SemanticModel => &trees.semantic_models,
            ResourceType::SavedQuery => &trees.saved_queries,
            ResourceType::UnitTest => &trees.unit_tests,
            ResourceType::Function => &trees.functions,
        };
        if package.name == parsed.root.name { ConfigValues::default() } else { self.tree_values(&parsed.root, tree.as_ref(), fqn) }
    }

    /// What a project file says for a node.
    pub(super) fn tree_values(&mut self, package: &ParsedPackage, tree: Option<&Yaml>, fqn: &[String]) -> ConfigValues {
        let mut values = ConfigValues::default();
        if let Some(tree) = tree {
            let renderer = YamlRenderer::new(&self.library, &self.facts, &package.name);
            values.extend(&renderer.walk(tree, fqn, &mut self.found));
        }
        values
    }

    /// A description, or another text of a properties file, with its docs blocks and other expressions put in.
    pub(super) fn described(&mut self, package: &str, text: Option<&str>, span: Span) -> String {
        let Some(text) = text else { return String::new() };
        if !text.contains("{{") {
            return text.to_owned();
        }
        let host: Arc<dyn TemplateHost> = ParseHost::new(&self.facts, package, "", ConfigValues::default());
        match render(&Template::string(text, span), &Scope { package: package.to_owned() }, &self.library, &host).map_err(|failure| *failure) {
            Ok(rendered) => rendered.text,
            Err(RenderFailure::Diagnostics(diagnostics)) => {
                self.found.extend(diagnostics);
                String::new()
            }
            Err(RenderFailure::Deferred { .. }) => String::new(),
        }
    }

    /// The ids of the docs blocks that a description names.
    pub(super) fn docs_in(&self, package: &str, text: Option<&str>) -> Vec<String> {
        let named = text.filter(|text| text.contains("doc")).map(crate::jinja::docs_named).unwrap_or_default();
        named.iter().filter_map(|(of, name)| self.facts.doc_id(of.as_deref().unwrap_or(package), name)).collect()
    }

    /// Says where the relation of a node stands, or would stand.
    pub(super) fn place(&mut self, node: &mut Node) {
        let kind = node.resource_type();
        let built = match kind {
            ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function => {
                node.config.materialization != Materialization::Ephemeral
            }
            ResourceType::Test => node.config.test.store_failures,
            ResourceType::Analysis => false,
            ResourceType::Exposure
            | ResourceType::Metric
            | ResourceType::SavedQuery
            | ResourceType::SemanticModel
            | ResourceType::Source
            | ResourceType::UnitTest => return,
        };
        let named = Named {
            name: &node.name,
            package: &node.package,
            version: node.model.version.as_ref(),
            config: &node.config,
            schema: node.config.schema.as_deref().or((kind == ResourceType::Test).then_some(SCHEMA_OF_FAILURES)),
            node: &|| node_json(node, &node.config),
            span: node.span,
        };
        let relation = relation_name(&self.facts, &self.library, &named, &mut self.found);
        if built { node.relation = Some(relation) } else { node.unbuilt = Some(Box::new(relation)) }
    }
}

/// A project with one more analysis, made of a text of the command line.
pub(super) fn inline(mut project: Project, name: &str, sql: &str) -> Result<(Project, NodeId), Vec<Diagnostic>> {
    let file = project.sources.add("inline query", sql);
    let template = Template::file(&project.sources, file);
    let host = ParseHost::new(&project.facts, &project.name, name, ConfigValues::default());
    let asked: Arc<dyn TemplateHost> = host.clone();
    let scope = Scope { package: project.name.clone() };
    if let Err(RenderFailure::Diagnostics(diagnostics)) = render(&template, &scope, &project.library, &asked).map_err(|failure| *failure) {
        return Err(diagnostics);
    }
    let noted = host.noted();
    let mut found = Vec::new();
    let config =
        typed(&noted.config, ResourceType::Analysis, Span::file_start(file), (&project.sources, project.parsed.root.project.dialect), &mut found);
    let id = NodeId::new(format!("sql_operation.{}.{name}", project.name));
    let mut parents = std::collections::BTreeSet::new();
    for call in &noted.refs {
        match project.lookup.find_ref(&project.name, &project.name, call) {
            Ok(id) => drop(parents.insert(id)),
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    for call in &noted.sources {
        match project.lookup.find_source(&project.name, &project.name, &call.source, &call.table, call.span) {
            Ok(id) => drop(parents.insert(id)),
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    let node = Node {
        id: id.clone(),
        kind: NodeKind::Analysis,
        name: name.to_owned(),
        package: project.name.clone(),
        path: format!("{name}.sql"),
        original_path: format!("{name}.sql"),
        model: ModelDetails::default(),
        fqn: vec![project.name.clone(), name.to_owned()],
        span: Span::new(file, 0, sql.len()),
        file,
        properties_span: None,
        properties_path: None,
        raw_code: sql.to_owned(),
        language: "sql",
        checksum: checksum(sql),
        config: Box::new(config),
        description: String::new(),
        doc_blocks: Vec::new(),
        columns: IndexMap::new(),
        constraints: Vec::new(),
        relation: None,
        unbuilt: Some(Box::new(RelationName::new(project.target.database.as_str(), project.target.schema.as_str(), name))),
        refs: noted.refs,
        sources: noted.sources,
        depends_on: parents.into_iter().collect(),
        depends_on_macros: Vec::new(),
        layer: None,
    };
    project.bodies.insert(id.clone(), Body::Template(template));
    project.nodes.insert(id.clone(), Box::new(node));
    Ok((project, id))
}
