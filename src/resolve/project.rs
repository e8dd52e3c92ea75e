//! The resolved project, and the stage's function.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json};

use super::builder::Builder;
use super::host::Facts;
use super::lookup::Lookup;
use super::{Layers, Variables};
use crate::base::{Code, Diagnostic, Fingerprint, Sources, Span};
use crate::jinja::{
    Invocation, KeptGraph, MacroCall, MacroInfo, MacroLibrary, RefCall, RenderFailure, Rendered, Scope, SourceCall, Template, TemplateHost, Warned,
    render, render_call,
};
use crate::load::{Behaviour, ParsedProject, Target};
use crate::manifest::{
    AboutMacro, DocsBlock, Group, IncrementalStrategy, Materialization, Node, NodeId, NodeRef, RelationName, ResourceType, TimeWindow,
};

/// Macros of dbt's whose text makes a table, a view, a seed or a snapshot. A project that has its own means its text.
const TABLE_MACROS: [&str; 2] = ["get_create_table_as_sql", "create_table_as"];
const VIEW_MACROS: [&str; 3] = ["create_or_replace_view", "get_create_view_as_sql", "create_view_as"];
const SEED_MACROS: [&str; 6] = ["create_csv_table", "reset_csv_table", "load_csv_rows", "basic_load_csv_rows", "get_csv_sql", "get_create_seed_sql"];
const SNAPSHOT_MACROS: [&str; 9] = [
    "snapshot_merge_sql",
    "build_snapshot_table",
    "build_snapshot_staging_table",
    "snapshot_staging_table",
    "snapshot_hash_arguments",
    "snapshot_check_strategy",
    "snapshot_timestamp_strategy",
    "snapshot_get_time",
    "strategy_dispatch",
];

fn refuse_overridden(library: &MacroLibrary, node: &Node, names: &[&str]) -> Result<Option<MacroCall>, Box<Diagnostic>> {
    match library.overridden(names) {
        Some(info) => Err(refused(node, info)),
        None => Ok(None),
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "it is what the callers' `Err` holds")]
fn refused(node: &Node, info: &MacroInfo) -> Box<Diagnostic> {
    let kind = node.resource_type().name();
    let message = format!("the project's macro `{}` would be passed over when the {kind} `{}` is built", info.name, node.name);
    let diagnostic = Diagnostic::error(Code::NotAvailable, message).at(info.span, "this macro").also(node.span, format!("this {kind}"));
    Box::new(
        diagnostic
            .note(format!("a {kind} is built by the program itself, which runs no text of macros for it"))
            .help("remove the macro, or rename it"),
    )
}

/// What a node's SQL is rendered from.
#[derive(Debug, Clone)]
pub enum Body {
    Template(Template),
    /// A generic test.
    Call(MacroCall),
    /// Nothing, as something about the node is wrong that dbt finds out when it compiles the node.
    Wrong(Vec<Diagnostic>),
}

impl Body {
    /// What is wrong with it.
    pub(super) fn wrong(&self) -> &[Diagnostic] {
        match self {
            Self::Wrong(found) => found,
            Self::Template(_) | Self::Call(_) => &[],
        }
    }
}

/// A project whose names are resolved. Nothing in it has looked at a warehouse.
#[derive(Debug)]
pub struct Project {
    pub sources: Arc<Sources>,
    pub name: String,
    pub target: Target,
    /// Enabled nodes by id.
    /// Each by itself, because nodes are large and a tree moves what it holds.
    pub nodes: BTreeMap<NodeId, Box<Node>>,
    pub groups: Vec<Group>,
    pub disabled: Vec<Node>,
    /// What properties files say of macros, by package and name.
    pub macros: BTreeMap<(String, String), AboutMacro>,
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
    /// `--event-time-start` and `--event-time-end`: the stretch of time of which batches are built.
    pub event_time: Option<TimeWindow>,
    /// What becomes of warnings that templates give.
    pub warned: Warned,
    /// Nodes that are read from another run's relations, with the relations they have here.
    pub deferred: BTreeMap<NodeId, RelationName>,
    /// The ids of the nodes that the command selected, once that is known.
    pub selected: OnceLock<Vec<String>>,
    /// `graph` as templates see it, once one has asked for it.
    pub graph: KeptGraph,
    /// Changes with everything of the project that is not in its nodes: settings, vars, the target, macros.
    pub ground: Fingerprint,
    pub(super) facts: Arc<Facts>,
    /// What the project's own macro says of building incremental models from nothing.
    pub(super) refreshes: BTreeMap<NodeId, bool>,
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
    pub event_time: Option<TimeWindow>,
    pub warned: Warned,
}

/// Resolves a project.
///
/// # Errors
/// Everything that is wrong with it, not only the first.
pub fn resolve(parsed: Arc<ParsedProject>, options: &ResolveOptions) -> Result<Project, Vec<Diagnostic>> {
    Builder::new(parsed, options).build()
}

/// Resolves what is sound of a project: nodes with errors and all that read them are left out, and the errors are among its
/// warnings. `midway` is called when the nodes are made: until then all cores are busy, from there on it is mostly one.
///
/// # Errors
/// Everything that is wrong, where some of it is not about nodes.
pub fn resolve_sound(parsed: Arc<ParsedProject>, options: &ResolveOptions, midway: impl FnOnce()) -> Result<Project, Vec<Diagnostic>> {
    Builder::new(parsed, options).build_sound(midway)
}

impl Project {
    /// Whether database, schema and identifier of a relation are printed in quotes.
    #[must_use]
    pub fn quoting(&self) -> [bool; 3] {
        self.facts.quoting
    }

    /// The name of a node's relation as templates and artifacts write it. What a source says of itself goes first.
    #[must_use]
    pub fn relation_name(&self, node: &Node) -> Option<String> {
        Some(node.relation_name(node.relation.as_ref()?, self.quoting()))
    }

    /// What `ref` means in a package.
    ///
    /// # Errors
    /// If nothing has that name, or several have.
    pub fn find_ref(&self, from: &str, call: &RefCall) -> Result<NodeId, Diagnostic> {
        let asked = NodeRef { package: call.package.clone(), name: call.name.clone(), version: call.version.clone(), span: call.span };
        self.lookup.find_ref(from, &self.name, &asked)
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
        self.nodes.get(self.relations.get(name)?).map(Box::as_ref)
    }

    /// What a node means by a relation: that of what it refers to, where others have the same one.
    #[must_use]
    pub fn node_read_by(&self, reader: &Node, name: &RelationName) -> Option<&Node> {
        let referred = reader.depends_on.iter().filter_map(|id| self.nodes.get(id));
        referred.map(Box::as_ref).find(|node| node.relation.as_ref() == Some(name)).or_else(|| self.node_of_relation(name))
    }

    /// Docs blocks with their packages and names, sorted.
    pub fn docs(&self) -> impl Iterator<Item = (&str, &str, &DocsBlock)> {
        self.facts.docs.iter().map(|((package, name), block)| (package.as_str(), name.as_str(), block))
    }

    /// What dbt finds to be wrong with a node only when it builds it.
    #[must_use]
    pub fn found_late(&self, node: &Node) -> &[Diagnostic] {
        self.bodies.get(&node.id).map_or(&[], Body::wrong)
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
            Some(Body::Wrong(found)) => Err(RenderFailure::Diagnostics(found.clone())),
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

    /// The macro that builds a node in the place of the program, where the project or a package has one: a materialization
    /// of its own, or a text that the program would otherwise not look at. `adds` says whether rows are added to a table
    /// that is there.
    ///
    /// # Errors
    /// If the project overrides a macro whose text the program can't run for this node.
    pub fn builder(&self, node: &Node, adds: bool) -> Result<Option<MacroCall>, Box<Diagnostic>> {
        let library = &self.library;
        let materialization = &node.config.materialization;
        if node.resource_type() == ResourceType::Function && library.materialization("function", false, false, &self.target.adapter).is_none() {
            let call = |info: &MacroInfo| MacroCall { id: info.id.clone(), arguments: Map::new(), span: node.span };
            return Ok(library.find("dbt", "build_function").map(call));
        }
        let built_in = !matches!(materialization, Materialization::Custom(_));
        let call = |info: &MacroInfo, arguments| Some(MacroCall { id: info.id.clone(), arguments, span: node.span });
        let by_packages = !self.parsed.root.project.behaves(Behaviour::ExplicitPackageOverridesForBuiltinMaterializations);
        if let Some(info) = library.materialization(materialization.name(), built_in, by_packages, &self.target.adapter) {
            return match materialization {
                Materialization::Seed | Materialization::Snapshot | Materialization::Test | Materialization::Ephemeral => Err(refused(node, info)),
                Materialization::View
                | Materialization::Table
                | Materialization::Refreshed(_)
                | Materialization::Incremental
                | Materialization::External
                | Materialization::Custom(_) => Ok(call(info, Map::new())),
            };
        }
        if node.config.incremental.as_ref().is_some_and(|config| config.microbatch().is_some()) {
            return refuse_overridden(library, node, &[TABLE_MACROS.as_slice(), &["get_incremental_microbatch_sql"]].concat());
        }
        let own = |name: &str, arguments| library.find("dbt", name).and_then(|info| call(info, arguments));
        match materialization {
            Materialization::Table | Materialization::Incremental if !adds && library.overridden(&TABLE_MACROS).is_some() => {
                Ok(own("build_table_by_macros", Map::new()))
            }
            // The program does not know what the strategy will need of its table, so the table is made as macros make it.
            Materialization::Incremental if !adds && self.has_own_strategy(node) => Ok(own("build_table_by_macros", Map::new())),
            Materialization::View if library.overridden(&VIEW_MACROS).is_some() => Ok(own("create_or_replace_view", Map::new())),
            Materialization::Incremental if adds => Ok(self
                .strategy_macro(node)
                .and_then(|strategy| own("build_increment_by_macros", Map::from_iter([("strategy".to_owned(), Json::from(strategy))])))),
            Materialization::Seed => refuse_overridden(library, node, &SEED_MACROS),
            Materialization::Snapshot => refuse_overridden(library, node, &SNAPSHOT_MACROS),
            Materialization::Table
            | Materialization::Refreshed(_)
            | Materialization::View
            | Materialization::Incremental
            | Materialization::Ephemeral
            | Materialization::Test
            | Materialization::External
            | Materialization::Custom(_) => Ok(None),
        }
    }

    /// The strategy of an incremental node as its macro's name has it, where the project has that macro or, for a strategy
    /// of the program's own, one that it is made of.
    fn strategy_macro(&self, node: &Node) -> Option<String> {
        let config = node.config.incremental.as_ref()?;
        let named = node.config.raw.get("incremental_strategy").and_then(Json::as_str).filter(|name| *name != "default");
        let strategy = config.strategy.name().replace('+', "_");
        let own = format!("get_incremental_{strategy}_sql");
        let parts: &[&str] = match config.strategy {
            IncrementalStrategy::Merge => &["get_merge_sql", "get_merge_update_columns"],
            IncrementalStrategy::DeleteInsert => &["get_delete_insert_merge_sql"],
            IncrementalStrategy::Append => &["get_insert_into_sql"],
            IncrementalStrategy::InsertOverwrite => &["get_insert_overwrite_merge_sql"],
            IncrementalStrategy::ReplaceWhere => &[],
            // Each batch replaces its window; a macro for all of them has no place in that.
            IncrementalStrategy::Microbatch(_) => return None,
            IncrementalStrategy::Other(_) => return self.library.find(&node.package, &own).map(|_| strategy),
        };
        if named.is_none() && self.library.overridden(&["get_incremental_default_sql"]).is_some() {
            return Some("default".to_owned());
        }
        let asked: Vec<&str> = std::iter::once(own.as_str()).chain(parts.iter().copied()).collect();
        self.library.overridden(&asked).map(|_| strategy)
    }

    fn has_own_strategy(&self, node: &Node) -> bool {
        let strategy = node.config.incremental.as_ref().map(|config| &config.strategy);
        matches!(strategy, Some(IncrementalStrategy::Other(_))) && self.strategy_macro(node).is_some()
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

    /// Whether an incremental node is to be built from nothing: a macro of the project's decides, else the node's own config, else
    /// the command.
    #[must_use]
    pub fn full_refresh(&self, node: &Node) -> bool {
        if let Some(decided) = self.refreshes.get(&node.id) {
            return *decided;
        }
        node.config.full_refresh.unwrap_or_else(|| self.is_flag("FULL_REFRESH"))
    }

    /// `target` as templates see it.
    #[must_use]
    pub fn target_json(&self) -> Json {
        self.facts.target.clone()
    }

    /// Where a node is described, for messages: its properties, else its file.
    #[must_use]
    pub fn place_of(&self, node: &Node) -> Span {
        node.properties_span.unwrap_or(node.span)
    }
}
