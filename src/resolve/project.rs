//! The resolved project, and the stage's function.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json, json};

use super::builder::Builder;
use super::host::Facts;
use super::lookup::Lookup;
use super::{Layers, Variables};
use crate::base::{Code, Diagnostic, Sources, Span};
use crate::jinja::{
    Invocation, MacroCall, MacroLibrary, RefCall, RenderFailure, Rendered, Scope, SourceCall, Template, TemplateHost, render, render_call,
};
use crate::load::{ParsedProject, Target};
use crate::manifest::{Node, NodeId, NodeKind, RelationName};

/// What a node's SQL is rendered from.
#[derive(Debug, Clone)]
pub enum Body {
    Template(Template),
    /// A generic test.
    Call(MacroCall),
}

/// A project whose names are resolved. Nothing in it has looked at a warehouse.
#[derive(Debug)]
pub struct Project {
    pub sources: Arc<Sources>,
    pub name: String,
    pub target: Target,
    /// Enabled nodes by id.
    pub nodes: BTreeMap<NodeId, Node>,
    pub disabled: Vec<Node>,
    pub library: Arc<MacroLibrary>,
    pub variables: Variables,
    pub invocation: Invocation,
    pub dispatch: BTreeMap<String, Vec<String>>,
    pub layers: Layers,
    pub warnings: Vec<Diagnostic>,
    /// What the project's files declared, for the artifacts.
    pub parsed: Arc<ParsedProject>,
    /// `--sample`: the stretch of time that refs and sources with an `event_time` are read from.
    pub sample: Option<TimeWindow>,
    /// Nodes that are read from another run's relations, with the relations they have here.
    pub deferred: BTreeMap<NodeId, RelationName>,
    /// The ids of the nodes that the command selected, once that is known.
    pub selected: OnceLock<Vec<String>>,
    pub(super) facts: Arc<Facts>,
    pub(super) bodies: HashMap<NodeId, Body>,
    pub(super) lookup: Lookup,
    pub(super) relations: HashMap<RelationName, NodeId>,
}

/// What resolving needs beside the files.
#[derive(Debug, Clone)]
pub struct ResolveOptions {
    pub invocation: Invocation,
    /// `--store-failures`
    pub store_failures: bool,
    pub sample: Option<TimeWindow>,
}

/// A stretch of time, its end excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeWindow {
    pub start: chrono::DateTime<chrono::Utc>,
    pub end: chrono::DateTime<chrono::Utc>,
}

impl TimeWindow {
    /// The SQL condition that a column's time lies in it.
    #[must_use]
    pub fn condition(&self, column: &str) -> String {
        let literal = |at: &chrono::DateTime<chrono::Utc>| format!("cast('{}' as timestamp)", at.format("%Y-%m-%d %H:%M:%S%.6f"));
        format!("cast({column} as timestamp) >= {} and cast({column} as timestamp) < {}", literal(&self.start), literal(&self.end))
    }
}

/// Resolves a project.
///
/// # Errors
/// Everything that is wrong with it, not only the first.
pub fn resolve(parsed: Arc<ParsedProject>, options: &ResolveOptions) -> Result<Project, Vec<Diagnostic>> {
    Builder::new(parsed, options).build()
}

impl Project {
    /// What `ref` means in a package.
    ///
    /// # Errors
    /// If nothing has that name, or several have.
    pub fn find_ref(&self, from: &str, call: &RefCall) -> Result<NodeId, Diagnostic> {
        self.lookup.find_ref(from, &self.name, call.package.as_deref(), &call.name, call.span)
    }

    /// What `source` means in a package.
    ///
    /// # Errors
    /// If nothing has that name.
    pub fn find_source(&self, from: &str, call: &SourceCall) -> Result<NodeId, Diagnostic> {
        self.lookup.find_source(from, &self.name, &call.source, &call.table, call.span)
    }

    /// The text of a docs block.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn find_doc(&self, from: &str, name: &str) -> Result<String, Diagnostic> {
        self.facts.doc(from, name).map(str::to_owned).ok_or_else(|| self.facts.no_doc(name))
    }

    /// The node whose relation has a name.
    #[must_use]
    pub fn node_of_relation(&self, name: &RelationName) -> Option<&Node> {
        self.nodes.get(self.relations.get(name)?)
    }

    /// Docs blocks: package, name and text, sorted.
    pub fn docs(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.facts.docs.iter().map(|((package, name), text)| (package.as_str(), name.as_str(), text.as_str()))
    }

    /// Renders the SQL of a node, or of a text in the place of one.
    ///
    /// # Errors
    /// If the template fails, or needs what only a run can tell.
    pub fn render(&self, node: &Node, host: &Arc<dyn TemplateHost>) -> Result<Rendered, RenderFailure> {
        let scope = Scope { package: node.package.clone() };
        match self.bodies.get(&node.id) {
            Some(Body::Template(template)) => render(template, &scope, &self.library, host).map_err(|failure| *failure),
            Some(Body::Call(call)) => render_call(call, &scope, &self.library, host).map_err(|failure| *failure),
            None => Err(RenderFailure::Diagnostics(vec![
                Diagnostic::error(Code::NotAvailable, format!("`{}` has no SQL", node.name)).at(node.span, "this node"),
            ])),
        }
    }

    /// This project with one more analysis, made of a text: for `--inline`.
    ///
    /// # Errors
    /// If the text's template or its refs are wrong.
    pub fn with_inline(self, name: &str, sql: &str) -> Result<(Self, NodeId), Vec<Diagnostic>> {
        super::nodes::inline(self, name, sql)
    }

    /// Whether a flag of the command is on, by its name in templates' `flags`.
    #[must_use]
    pub fn is_flag(&self, name: &str) -> bool {
        self.invocation.flags.get(name) == Some(&Json::Bool(true))
    }

    /// Reads a node from another relation from now on, whoever refers to it.
    pub fn defer(&mut self, id: &NodeId, relation: RelationName) {
        if let Some(node) = self.nodes.get_mut(id) {
            self.relations.insert(relation.clone(), id.clone());
            if let Some(own) = node.relation.replace(relation) {
                self.deferred.entry(id.clone()).or_insert(own);
            }
        }
    }

    /// Whether an incremental node is to be built from nothing: its own config wins over the command's.
    #[must_use]
    pub fn full_refresh(&self, node: &Node) -> bool {
        node.config.full_refresh.unwrap_or_else(|| self.is_flag("FULL_REFRESH"))
    }

    /// `target` as templates see it.
    #[must_use]
    pub fn target_json(&self) -> Json {
        self.facts.target.clone()
    }

    /// `model` as templates see it.
    #[must_use]
    pub fn node_json(&self, node: &Node) -> Json {
        let relation = node.relation.as_ref();
        let columns: Map<String, Json> = node
            .columns
            .iter()
            .map(|(name, column)| {
                let value = json!({
                    "name": column.name, "description": column.description, "data_type": column.data_type,
                    "meta": column.meta, "tags": column.tags, "quote": column.quote,
                });
                (name.clone(), value)
            })
            .collect();
        let mut config = node.config.raw.clone();
        config.insert("materialized".into(), Json::from(node.config.materialization.name()));
        config.insert("tags".into(), Json::from(node.config.tags.clone()));
        config.insert("meta".into(), Json::Object(node.config.meta.clone()));
        config.insert("enabled".into(), Json::from(node.config.enabled));
        let mut value = json!({
            "unique_id": node.id.as_str(),
            "name": node.name,
            "resource_type": node.resource_type().name(),
            "package_name": node.package,
            "path": node.path,
            "original_file_path": node.original_path,
            "fqn": node.fqn,
            "alias": relation.map_or(&node.name, |relation| &relation.identifier),
            "database": relation.map(|relation| &relation.database),
            "schema": relation.map(|relation| &relation.schema),
            "relation_name": relation.map(ToString::to_string),
            "description": node.description,
            "columns": columns,
            "config": config,
            "tags": node.config.tags,
            "meta": node.config.meta,
            "depends_on": { "nodes": node.depends_on.iter().map(NodeId::as_str).collect::<Vec<_>>(), "macros": node.depends_on_macros },
            "refs": node.refs.iter().map(|call| json!({ "name": call.name, "package": call.package, "version": call.version })).collect::<Vec<_>>(),
            "sources": node.sources.iter().map(|call| [&call.source, &call.table]).collect::<Vec<_>>(),
            "raw_code": node.raw_code,
            "language": node.language,
        });
        if let (NodeKind::Source { source_name, .. }, Some(map)) = (&node.kind, value.as_object_mut()) {
            map.insert("source_name".into(), Json::from(source_name.clone()));
            map.insert("identifier".into(), Json::from(relation.map_or("", |relation| relation.identifier.as_str())));
        }
        value
    }

    /// `graph` as templates see it.
    #[must_use]
    pub fn graph_json(&self) -> Json {
        let (mut nodes, mut sources, mut exposures) = (Map::new(), Map::new(), Map::new());
        for (id, node) in &self.nodes {
            let map = match node.kind {
                NodeKind::Source { .. } => &mut sources,
                NodeKind::Exposure => &mut exposures,
                NodeKind::Model | NodeKind::Analysis | NodeKind::Seed { .. } | NodeKind::Snapshot | NodeKind::Test(_) => &mut nodes,
            };
            map.insert(id.to_string(), self.node_json(node));
        }
        json!({ "nodes": nodes, "sources": sources, "exposures": exposures, "metrics": {}, "groups": {} })
    }

    /// Where a node is described, for messages: its properties, else its file.
    #[must_use]
    pub fn place_of(&self, node: &Node) -> Span {
        node.properties_span.unwrap_or(node.span)
    }
}
