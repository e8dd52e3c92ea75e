//! Puts the nodes of a project together: collects them by package, resolves what they refer to, and checks the rules
//! that concern several nodes at once.

use std::borrow::Cow;
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json};

use super::host::Facts;
use super::kept::{self, Kept};
use super::lookup::Lookup;
use super::project::{Body, Project, ResolveOptions};
use super::{Layers, Variables, access, constraints, data_test, described, macros, nodes, refresh, sound, source, unit_test, unused};
use crate::base::{Code, Diagnostic, Severity, Sources, Span, in_parallel, nearest, side_by_side};
use crate::jinja::{KeptGraph, MacroFile, MacroLibrary, Warned};
use crate::load::{Behaviour, ParsedPackage, ParsedProject, ProjectDialect};
use crate::manifest::{AboutMacro, ConstraintKind, DocsBlock, Group, Node, NodeConfig, NodeId, NodeRef, RelationName, ResourceType, TimeWindow};
use crate::sql::{Semantics, respelt_texts};

/// The state of one resolution.
pub(super) struct Builder {
    pub parsed: Arc<ParsedProject>,
    pub facts: Arc<Facts>,
    pub library: Arc<MacroLibrary>,
    pub layers: Arc<Layers>,
    pub kept: Arc<Kept>,
    pub store_failures: bool,
    sample: Option<TimeWindow>,
    event_time: Option<TimeWindow>,
    warned: Warned,
    pub found: Vec<Diagnostic>,
    /// What is wrong with a node that dbt finds out when it compiles the node, not when it reads the project.
    pub found_late: Vec<(NodeId, Diagnostic)>,
    /// What the project's own macro says of building incremental models from nothing.
    refreshes: BTreeMap<NodeId, bool>,
    pub nodes: BTreeMap<NodeId, Box<Node>>,
    pub bodies: HashMap<NodeId, Body>,
    /// What a part has made; `None` in a builder that is no part.
    made: Option<Vec<(Box<Node>, Option<Body>)>>,
    disabled: Vec<Node>,
    /// Tests wait until all nodes have their relations.
    pub tests: Vec<data_test::Wanted>,
    pub groups: Vec<Group>,
    /// What metrics and their kin refer to by name.
    pub uses: Vec<described::Uses>,
    /// What is said of macros, by package and name.
    pub macros: BTreeMap<(String, String), AboutMacro>,
    /// Measures with their semantic models.
    pub measures: Vec<(String, NodeId, Span)>,
}

/// A finding about what a generic test refers to, at the argument that names it.
fn at_argument(mut diagnostic: Diagnostic, node: &Node, sources: &Sources) -> Diagnostic {
    if node.test().is_some_and(|test| test.generic.is_some())
        && let Some(name) = diagnostic.message.split('`').nth(1).and_then(|name| name.rsplit('.').next()).map(str::to_owned)
        && let Some(label) = diagnostic.labels.first_mut()
    {
        label.span = sources.word(label.span, &name);
    }
    diagnostic
}

/// What was made of some of a project's declarations, in their order.
pub(super) struct Part {
    made: Vec<(Box<Node>, Option<Body>)>,
    tests: Vec<data_test::Wanted>,
    found: Vec<Diagnostic>,
    found_late: Vec<(NodeId, Diagnostic)>,
}

impl Builder {
    pub(super) fn new(parsed: Arc<ParsedProject>, options: &ResolveOptions) -> Self {
        let root = parsed.root.name.clone();
        let files: Vec<MacroFile> = parsed
            .all_packages()
            .flat_map(|package| package.macros.iter().map(|file| MacroFile { file: file.file, package: package.name.clone() }))
            .collect();
        let (library, mut found) = MacroLibrary::load(&parsed.sources, &files, &root);
        let docs = docs(&parsed, &mut found);
        let facts = Facts {
            project_name: root,
            variables: variables(&parsed),
            target: target_json(&parsed),
            adapter: parsed.target.adapter.clone(),
            database: parsed.target.database.clone(),
            schema: parsed.target.schema.clone(),
            invocation: options.invocation.clone(),
            dispatch: parsed
                .root
                .project
                .dispatch
                .iter()
                .map(|decl| (decl.namespace.value.clone(), decl.search_order.iter().map(|name| name.value.clone()).collect()))
                .collect(),
            docs,
            quoting: parsed.root.project.quoting.known().map(|quoted| quoted.unwrap_or(true)),
        };
        let ground = kept::ground(&parsed, &facts);
        let kept = Kept::new(&parsed, ground);
        let layers = Layers::new(parsed.root.project.layers.clone(), parsed.root.project.naming.clone());
        Self {
            parsed,
            facts: Arc::new(facts),
            library: Arc::new(library),
            layers: Arc::new(layers),
            kept: Arc::new(kept),
            store_failures: options.store_failures,
            sample: options.sample,
            event_time: options.event_time,
            warned: options.warned,
            found,
            found_late: Vec::new(),
            refreshes: BTreeMap::new(),
            nodes: BTreeMap::new(),
            bodies: HashMap::new(),
            made: None,
            disabled: Vec::new(),
            tests: Vec::new(),
            groups: Vec::new(),
            uses: Vec::new(),
            macros: BTreeMap::new(),
            measures: Vec::new(),
        }
    }

    pub(super) fn build(self) -> Result<Project, Vec<Diagnostic>> {
        let waits = self.parsed.root.project.dialect == ProjectDialect::Dbt;
        let (builder, lookup, relations) = self.filled(|| (), waits);
        if builder.found.iter().any(Diagnostic::is_error) {
            return Err(builder.found);
        }
        Ok(builder.finish(lookup, relations))
    }

    /// The part of the project that nothing is wrong with; what is wrong is among its warnings.
    pub(super) fn build_sound(self, midway: impl FnOnce()) -> Result<Project, Vec<Diagnostic>> {
        let (mut builder, lookup, relations) = self.filled(midway, true);
        let errors: Vec<&Diagnostic> = builder.found.iter().filter(|found| found.is_error()).collect();
        let broken = sound::broken(&builder.nodes, &errors, &builder.parsed.sources);
        // What is left out is not compiled, so what waits for that is told of here.
        let is_left_out = |id: &NodeId| broken.as_ref().is_none_or(|broken| broken.contains(id));
        let mut late: Vec<(&NodeId, &Body)> = builder.bodies.iter().filter(|(id, _)| is_left_out(id)).collect();
        late.sort_by_key(|(id, _)| *id);
        let late: Vec<Diagnostic> = late.into_iter().flat_map(|(_, body)| body.wrong()).cloned().collect();
        builder.found.extend(late);
        let Some(broken) = broken else { return Err(builder.found) };
        builder.nodes.retain(|id, _| !broken.contains(id));
        Ok(builder.finish(lookup, relations))
    }

    /// `waits` says whether what dbt finds out late waits until the node is compiled.
    fn filled(mut self, midway: impl FnOnce(), waits: bool) -> (Self, Lookup, HashMap<RelationName, NodeId>) {
        let parsed = Arc::clone(&self.parsed);
        for package in parsed.all_packages() {
            nodes::add_models(&mut self, package);
            nodes::add_seeds(&mut self, package);
            nodes::add_snapshots(&mut self, package);
            nodes::add_analyses(&mut self, package);
            nodes::add_functions(&mut self, package);
            source::add_sources(&mut self, package);
            macros::add_macros(&mut self, package);
            described::add_groups(&mut self, package);
            described::add_exposures(&mut self, package);
            described::add_semantics(&mut self, package);
            super::hooks::of_runs(&mut self, package);
            nodes::add_singular_tests(&mut self, package);
        }
        midway();
        let own_first = self.parsed.root.project.behaves(Behaviour::RefSearchesNodePackageBeforeRoot);
        let lookup = Lookup::new(self.nodes.values().map(Box::as_ref), self.disabled.iter(), own_first);
        data_test::add_generic_tests(&mut self);
        unit_test::add_unit_tests(&mut self, &lookup);
        self.connect(&lookup);
        constraints::connect(&mut self, &lookup);
        described::connect(&mut self);
        described::relations_of_semantic_models(&mut self);
        let (relations, types) = (OnceLock::new(), OnceLock::new());
        let found = side_by_side(&[
            &|| {
                let (names, found) = self.relations();
                relations.get_or_init(|| names);
                found
            },
            &|| self.check_layers(),
            &|| access::check(&self),
            &|| self.check_locations(),
            &|| self.check_materializations(),
            &|| self.check_batches(),
            &|| {
                let (late, found) = self.check_types();
                types.get_or_init(|| late);
                found
            },
            &|| self.nodes.values().flat_map(|node| constraints::check(node, &self.parsed.sources)).collect(),
            &|| unused::check(&self),
            &|| macros::check(&self),
        ]);
        self.found.extend(found.into_iter().flatten());
        self.found_late.extend(types.into_inner().into_iter().flatten());
        self.refreshes = refresh::decided(&mut self);
        self.settle_late(waits);
        // What stands in a tree of the project file is read for every node below it.
        let mut seen = HashSet::new();
        self.found.retain(|diagnostic| seen.insert((diagnostic.code, diagnostic.message.clone(), diagnostic.primary_span())));
        (self, lookup, relations.into_inner().unwrap_or_default())
    }

    fn settle_late(&mut self, waits: bool) {
        let late = std::mem::take(&mut self.found_late).into_iter().filter(|(id, _)| self.nodes.contains_key(id));
        if !waits {
            self.found.extend(late.map(|(_, diagnostic)| diagnostic));
            return;
        }
        let mut wrong: BTreeMap<NodeId, Vec<Diagnostic>> = BTreeMap::new();
        for (id, diagnostic) in late {
            wrong.entry(id).or_default().push(diagnostic);
        }
        self.bodies.extend(wrong.into_iter().map(|(id, found)| (id, Body::Wrong(found))));
    }

    pub(super) fn disabled(&self) -> impl Iterator<Item = &Node> {
        self.disabled.iter()
    }

    fn finish(self, lookup: Lookup, relations: HashMap<RelationName, NodeId>) -> Project {
        self.kept.memo().save();
        let Facts { project_name, variables, invocation, dispatch, .. } = (*self.facts).clone();
        Project {
            sources: Arc::clone(&self.parsed.sources),
            name: project_name,
            target: self.parsed.target.clone(),
            nodes: self.nodes,
            groups: self.groups,
            disabled: self.disabled,
            macros: self.macros,
            library: self.library,
            variables,
            invocation,
            dispatch,
            layers: Arc::unwrap_or_clone(self.layers),
            warnings: self.found,
            parsed: self.parsed,
            sample: self.sample,
            event_time: self.event_time,
            warned: self.warned,
            deferred: BTreeMap::new(),
            selected: OnceLock::new(),
            graph: KeptGraph::default(),
            facts: self.facts,
            refreshes: self.refreshes,
            bodies: self.bodies,
            lookup,
            relations,
            ground: self.kept.ground(),
        }
    }

    /// What `work` makes of a project of which there are no nodes yet; taken in by [`Builder::absorb`].
    pub(super) fn part(&self, work: impl FnOnce(&mut Self)) -> Part {
        let mut part = Self {
            parsed: Arc::clone(&self.parsed),
            facts: Arc::clone(&self.facts),
            library: Arc::clone(&self.library),
            layers: Arc::clone(&self.layers),
            kept: Arc::clone(&self.kept),
            store_failures: self.store_failures,
            sample: None,
            event_time: None,
            warned: self.warned,
            found: Vec::new(),
            found_late: Vec::new(),
            refreshes: BTreeMap::new(),
            nodes: BTreeMap::new(),
            bodies: HashMap::new(),
            made: Some(Vec::with_capacity(1)),
            disabled: Vec::new(),
            tests: Vec::new(),
            groups: Vec::new(),
            uses: Vec::new(),
            macros: BTreeMap::new(),
            measures: Vec::new(),
        };
        work(&mut part);
        Part { made: part.made.unwrap_or_default(), tests: part.tests, found: part.found, found_late: part.found_late }
    }

    /// Takes in the nodes and tests of parts, in their order.
    pub(super) fn absorb(&mut self, parts: Vec<Part>) {
        for Part { made, tests, found, found_late } in parts {
            self.found.extend(found);
            self.found_late.extend(found_late);
            self.tests.extend(tests);
            for (node, body) in made {
                self.take(node, body);
            }
        }
    }

    /// Takes a node in, unless it is disabled or its id is taken.
    pub(super) fn add(&mut self, node: Node, body: Option<Body>) {
        self.take(Box::new(node), body);
    }

    fn take(&mut self, mut node: Box<Node>, body: Option<Body>) {
        respell_conditions(&mut node, self.parsed.target.semantics());
        if let Some(made) = &mut self.made {
            made.push((node, body));
            return;
        }
        if !node.config.enabled {
            self.disabled.push(*node);
            return;
        }
        let free = match self.nodes.entry(node.id.clone()) {
            Entry::Vacant(free) => free,
            Entry::Occupied(first) => {
                // A test that is written once belongs to two nodes of one name, of which it is said.
                if !(node.resource_type() == ResourceType::Test && first.get().span == node.span) {
                    let found = twice(first.get(), &node);
                    self.found.push(found);
                }
                return;
            }
        };
        if let Some(body) = body {
            self.bodies.insert(node.id.clone(), body);
        }
        free.insert(node);
    }

    /// Whether `--store-failures` concerns a test: what its own config says wins.
    pub(super) fn stores_failures(&self, config: &NodeConfig) -> bool {
        let said = ["store_failures", "store_failures_as"].iter().any(|key| config.raw.get(*key).is_some_and(|value| !value.is_null()));
        self.store_failures && !said
    }

    /// Turns refs and sources into ids. As in dbt, a test that reads what is disabled is left out; so is, in a project for
    /// dbt, a test that reads what is not there.
    fn connect(&mut self, lookup: &Lookup) {
        let root = self.facts.project_name.clone();
        let of_dbt = self.parsed.root.project.dialect == ProjectDialect::Dbt;
        let of_node = |node: &&Node| {
            let mut connected = Connected { parents: node.depends_on.iter().cloned().collect(), found: Vec::new(), is_left_out: false };
            let place = |span: Option<Span>| span.or(Some(node.properties_span.unwrap_or(node.span)));
            let of_refs = node.refs.iter().map(|call| {
                let asked = NodeRef { span: place(call.span), ..call.clone() };
                (lookup.find_ref(&node.package, &root, &asked), lookup.is_disabled(&call.name))
            });
            let of_sources = node.sources.iter().map(|call| {
                let source = lookup.find_source(&node.package, &root, &call.source, &call.table, place(call.span));
                (source, lookup.is_disabled_source(&call.source, &call.table))
            });
            for (parent, disabled) in of_refs.chain(of_sources) {
                match parent {
                    Ok(id) => drop(connected.parents.insert(id)),
                    Err(diagnostic) if node.resource_type() == ResourceType::Test && (disabled || of_dbt) => {
                        if node.package == root {
                            let told = at_argument(diagnostic, node, &self.parsed.sources).note(format!("the test `{}` is left out", node.name));
                            connected.found.push(Diagnostic { severity: Severity::Warning, ..told });
                        }
                        connected.is_left_out = true;
                    }
                    Err(diagnostic) => connected.found.push(at_argument(diagnostic, node, &self.parsed.sources)),
                }
            }
            connected
        };
        let nodes: Vec<&Node> = self.nodes.values().map(Box::as_ref).collect();
        let connected = in_parallel(&nodes, of_node);
        let mut left_out = Vec::new();
        for (node, Connected { parents, found, is_left_out }) in self.nodes.values_mut().zip(connected) {
            node.depends_on = parents.into_iter().collect();
            self.found.extend(found);
            if is_left_out {
                left_out.push(node.id.clone());
            }
        }
        let left_out = left_out.iter().filter_map(|id| self.nodes.remove(id));
        self.disabled.extend(left_out.map(|mut node| {
            node.config.enabled = false;
            *node
        }));
        self.check_names();
    }

    /// Models, seeds and snapshots of a package share one space of names, because `ref` does not tell them apart.
    fn check_names(&mut self) {
        let mut first: HashMap<(&str, &str), &Node> = HashMap::new();
        let referable = self.nodes.values().filter(|node| node.resource_type().is_referable());
        for node in referable {
            if let Some(other) = first.insert((&node.package, &node.name), node)
                && (other.model.version.is_none() || node.model.version.is_none())
            {
                let message = format!("a {} and a {} are both called `{}`", other.resource_type().name(), node.resource_type().name(), node.name);
                self.found.push(
                    Diagnostic::error(Code::DuplicateName, message)
                        .at(node.span, "the second")
                        .also(other.span, "the first")
                        .help("rename one of them"),
                );
            }
        }
    }

    fn relations(&self) -> (HashMap<RelationName, NodeId>, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let mut relations: HashMap<RelationName, NodeId> = HashMap::new();
        for node in self.nodes.values() {
            let Some(name) = &node.relation else { continue };
            if node.resource_type() == ResourceType::Function {
                // A table may have the name of a function.
                relations.insert(name.of_function(), node.id.clone());
                continue;
            }
            let Some(first) = relations.insert(name.clone(), node.id.clone()).and_then(|id| self.nodes.get(&id)) else { continue };
            let both_read = [first, node].iter().all(|node| node.resource_type() == ResourceType::Source);
            let reads_model = [first, node].iter().any(|node| node.resource_type() == ResourceType::Source);
            // Two of one name are said to be so already.
            let same_name = first.name == node.name && first.package == node.package;
            if both_read || reads_model || same_name {
                continue;
            }
            let message = format!("`{}` and `{}` are both written to `{}`", first.name, node.name, name.short());
            found.push(
                Diagnostic::error(Code::DuplicateRelation, message)
                    .at(node.span, "the second")
                    .also(first.span, "the first")
                    .help("give one of them another `alias` or `schema`"),
            );
        }
        (relations, found)
    }

    /// Two external models that write one file: the last one would win.
    fn check_locations(&self) -> Vec<Diagnostic> {
        let mut first: HashMap<String, &Node> = HashMap::new();
        let mut found = Vec::new();
        for node in self.nodes.values() {
            let Some(external) = node.config.external.as_ref().filter(|_| node.resource_type() == ResourceType::Model) else { continue };
            let name = if external.location.ends_with('/') { format!("{}.{}", node.name, external.format.name()) } else { String::new() };
            let location = format!("{}{name}", external.location.trim_start_matches("./"));
            let Some(other) = first.insert(location.clone(), node) else { continue };
            let place = |node: &Node| node.config.place("location").unwrap_or(node.span);
            found.push(
                Diagnostic::error(Code::DuplicateRelation, format!("`{}` and `{}` are both written to `{location}`", other.name, node.name))
                    .at(place(node), "the second")
                    .also(place(other), "the first")
                    .help("give one of them another `location`"),
            );
        }
        found
    }

    /// A materialization that nobody has, with a name near to one that is there: a slip of the pen.
    fn check_materializations(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for node in self.nodes.values().filter(|node| node.resource_type() == ResourceType::Model) {
            let crate::manifest::Materialization::Custom(name) = &node.config.materialization else { continue };
            let Some(near) = nearest(name, ["view", "table", "incremental", "ephemeral", "external", "materialized_view", "dynamic_table"]) else {
                continue;
            };
            let texts = self.parsed.all_packages().flat_map(|package| &package.macros);
            let defined = texts.into_iter().any(|file| {
                let text = self.parsed.sources.file(file.file);
                text.text.contains("materialization") && text.text.contains(name.as_str())
            });
            if !defined {
                found.push(
                    Diagnostic::error(Code::ConfigType, format!("config `materialized`: there is no materialization `{name}`"))
                        .at(self.set_at(node, "materialized"), "set here")
                        .help(format!("did you mean `{near}`?")),
                );
            }
        }
        found
    }

    /// Where a config key has its value.
    fn set_at(&self, node: &Node, key: &str) -> Span {
        node.config.place(key).map_or(node.span, |span| self.parsed.sources.argument(span, key))
    }

    /// Models that are built in batches of time, and read nothing that has a time.
    fn check_batches(&self) -> Vec<Diagnostic> {
        let in_batches = |node: &&Node| node.config.incremental.as_ref().is_some_and(|config| config.microbatch().is_some());
        let has_time = |id: &NodeId| self.nodes.get(id).is_some_and(|node| node.config.raw.get("event_time").is_some_and(Json::is_string));
        let unfiltered = self.nodes.values().map(Box::as_ref).filter(in_batches).filter(|node| !node.depends_on.iter().any(has_time));
        let found: Vec<Diagnostic> = unfiltered
            .map(|node| {
                Diagnostic::warning(Code::BatchUnfiltered, format!("every batch of `{}` reads all of its inputs", node.name))
                    .at(node.config.place("incremental_strategy").unwrap_or(node.span), "set here")
                    .help("set `event_time` of the model or source that it reads, to the column with the time of a row")
            })
            .collect();
        found
    }

    /// Type names of contracts, seeds and files: first what is wrong with contracts, which dbt looks at late.
    fn check_types(&self) -> (Vec<(NodeId, Diagnostic)>, Vec<Diagnostic>) {
        let (mut late, mut found) = (Vec::new(), Vec::new());
        for node in self.nodes.values() {
            // Beside a call they are documentation.
            let is_file = matches!(&node.kind, crate::manifest::NodeKind::Source { external: Some(external), .. } if external.call.is_none());
            for column in node.columns.values().filter(|_| node.config.contract_enforced || is_file) {
                let wrong = match column.data_type.as_deref().map(crate::sql::parse_type) {
                    Some(Err(why)) => Diagnostic::error(Code::TypeUnknown, why)
                        .at(column.type_span.unwrap_or(column.span), format!("the type of a column of `{}`", node.name))
                        .help(crate::sql::type_help(column.data_type.as_deref().unwrap_or_default())),
                    None if node.config.contract_enforced => {
                        let message = format!("the column `{}` of `{}` has no `data_type`, which its contract needs", column.name, node.name);
                        Diagnostic::error(Code::ContractMismatch, message).at(column.span, "this column").help("add `data_type:`")
                    }
                    Some(Ok(_)) | None => continue,
                };
                if is_file {
                    found.push(wrong);
                } else {
                    late.push((node.id.clone(), wrong));
                }
            }
            if node.config.contract_enforced && node.columns.is_empty() {
                let message = format!("the contract of `{}` has no columns", node.name);
                found.push(
                    Diagnostic::error(Code::ContractMismatch, message)
                        .at(node.properties_span.unwrap_or(node.span), "this model")
                        .help("list its columns with their types in a properties file"),
                );
            }
            for (column, data_type) in &node.config.column_types {
                if let Err(why) = crate::sql::parse_type(data_type) {
                    found.push(
                        Diagnostic::error(Code::TypeUnknown, why)
                            .at(
                                node.config.place("column_types").or(node.properties_span).unwrap_or(node.span),
                                format!("the type of the column `{column}`"),
                            )
                            .help(crate::sql::type_help(data_type)),
                    );
                }
            }
        }
        (late, found)
    }

    fn check_layers(&self) -> Vec<Diagnostic> {
        if self.layers.is_empty() {
            return Vec::new();
        }
        let tested: HashSet<NodeId> =
            self.nodes.values().filter(|node| node.resource_type() == ResourceType::Test).flat_map(|test| test.depends_on.iter().cloned()).collect();
        let mut found = Vec::new();
        for node in self.nodes.values() {
            found.extend(self.layers.check_node(node, tested.contains(&node.id)));
            found.extend(self.layers.check_columns(
                node,
                node.columns.values().map(|column| (column.name.as_str(), column.data_type.clone())),
                |_| None,
            ));
            if node.resource_type() == ResourceType::Model {
                let parents = node.depends_on.iter().filter_map(|id| self.nodes.get(id));
                found.extend(parents.filter_map(|parent| self.layers.check_read(node, parent)));
            }
        }
        found
    }
}

/// What the refs and sources of a node come to.
struct Connected {
    parents: BTreeSet<NodeId>,
    found: Vec<Diagnostic>,
    is_left_out: bool,
}

/// Conditions that no template renders, with texts as SQL has them.
fn respell_conditions(node: &mut Node, semantics: Semantics) {
    let predicates = node.config.incremental.iter_mut().flat_map(|config| &mut config.predicates);
    let of_columns = node.columns.values_mut().flat_map(|column| &mut column.constraints);
    let checks = node.constraints.iter_mut().chain(of_columns).filter(|constraint| constraint.kind == ConstraintKind::Check);
    for condition in predicates.chain(checks.filter_map(|check| check.expression.as_mut())) {
        if let Cow::Owned(respelt) = respelt_texts(semantics, condition) {
            *condition = respelt;
        }
    }
}

/// Two nodes of one id.
fn twice(first: &Node, second: &Node) -> Diagnostic {
    let message = format!("two {}s are called `{}`", second.resource_type().name(), second.name);
    let files = if first.original_path == second.original_path {
        format!("both are in {}", second.original_path)
    } else {
        format!("they are in {} and {}", first.original_path, second.original_path)
    };
    let diagnostic = Diagnostic::error(Code::DuplicateName, message).at(second.span, "the second").also(first.span, "the first");
    diagnostic.help(format!("rename one of them, or take it out: {files}"))
}

fn docs(parsed: &ParsedProject, found: &mut Vec<Diagnostic>) -> BTreeMap<(String, String), DocsBlock> {
    let mut docs: BTreeMap<(String, String), (DocsBlock, Span)> = BTreeMap::new();
    for package in parsed.all_packages() {
        for file in &package.docs {
            match crate::jinja::doc_blocks(&parsed.sources, file.file) {
                Ok(blocks) => {
                    for block in blocks {
                        let about = DocsBlock { text: block.text, path: file.resource_path.clone(), original_path: file.path.clone() };
                        let before = docs.insert((package.name.clone(), block.name.clone()), (about, block.span));
                        if let Some((_, span)) = before {
                            let message = format!("two docs blocks are called `{}`", block.name);
                            found.push(
                                Diagnostic::error(Code::DuplicateName, message)
                                    .at(block.span, "the second")
                                    .also(span, "the first")
                                    .help("rename one of them"),
                            );
                        }
                    }
                }
                Err(diagnostic) => found.push(*diagnostic),
            }
        }
    }
    docs.into_iter().map(|(key, (block, _))| (key, block)).collect()
}

fn variables(parsed: &ParsedProject) -> Variables {
    let vars = |package: &ParsedPackage| match package.project.vars.as_ref().map(crate::load::Yaml::to_json) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    let packages = parsed.packages.iter().map(|package| (package.name.clone(), vars(package))).collect();
    Variables::new(parsed.vars_from_cli.clone(), vars(&parsed.root), packages)
}

/// `target` as templates see it: no secrets.
fn target_json(parsed: &ParsedProject) -> Json {
    let target = &parsed.target;
    let own = [
        ("name", Json::from(target.name.as_str())),
        ("target_name", target.name.as_str().into()),
        ("profile_name", target.profile.as_deref().unwrap_or("default").into()),
        ("schema", target.schema.as_str().into()),
        ("database", target.database.as_str().into()),
        ("type", target.adapter.as_str().into()),
        ("threads", target.threads.into()),
    ];
    Json::Object(own.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(target.connection.clone()).collect())
}
