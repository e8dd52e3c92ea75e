//! Walks the graph: each node is compiled against the schemas of its parents, an incremental model in both its forms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;

use super::lock::declared_schema;
use super::offline::{Grown, Offline};
use super::record::Finding;
use crate::base::{Code, Diagnostic};
use crate::compile::{Compilation, CompiledProject, Planner, Surroundings, compile_node};
use crate::graph::Dag;
use crate::manifest::{Materialization, Node, NodeId, NodeKind, RelationName, ResourceType};
use crate::resolve::Project;

/// What is known of a node after a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It was planned against schemas that are known.
    Proved,
    /// It has an error.
    Wrong,
    /// Not all that it reads is known.
    Unknown { because: String },
}

/// The outcome of a check.
#[derive(Debug)]
pub struct Checked {
    pub compiled: CompiledProject,
    /// Of the selected nodes and the sources they read.
    pub findings: Vec<Finding>,
    /// Of the selected nodes that have SQL.
    pub proofs: BTreeMap<NodeId, Proof>,
}

/// Compiles the selected nodes and everything they read; reports on the selected ones.
pub async fn check(project: &Arc<Project>, dag: &Dag, selected: &BTreeSet<NodeId>, offline: &Arc<Offline>) -> Checked {
    let planner = Planner::new(project);
    let mut walk = Walk { project, planner: &planner, offline, done: BTreeMap::new(), held: BTreeMap::new(), findings: Vec::new() };
    let mut wanted = selected.clone();
    wanted.extend(selected.iter().flat_map(|id| dag.ancestors(id, None)));
    let mut proofs = BTreeMap::new();
    for node in dag.order().iter().filter(|id| wanted.contains(*id)).filter_map(|id| project.nodes.get(id)) {
        if let NodeKind::Source { .. } = node.kind {
            walk.findings.extend(offline.unknown_source(project, node));
        }
        if !is_checked(node) {
            continue;
        }
        let reported = selected.contains(&node.id);
        let proof = walk.visit(node, reported).await;
        if reported && node.resource_type() != ResourceType::Seed {
            proofs.insert(node.id.clone(), proof);
        }
    }
    let (findings, mut nodes) = (walk.findings, walk.done);
    nodes.extend(walk.held);
    Checked { compiled: CompiledProject { project: Arc::clone(project), nodes }, findings, proofs }
}

impl Checked {
    /// Leaves only what is said of some nodes, and of the sources that they read.
    pub fn keep(&mut self, selected: &BTreeSet<NodeId>) {
        let project = &self.compiled.project;
        let is_source = |id: &NodeId| project.nodes.get(id).is_some_and(|node| node.resource_type() == ResourceType::Source);
        let read: BTreeSet<&NodeId> = selected.iter().filter_map(|id| project.nodes.get(id)).flat_map(|node| &node.depends_on).collect();
        let kept = |id: &NodeId| selected.contains(id) || is_source(id) && read.contains(id);
        self.findings.retain(|finding| finding.node.as_ref().is_none_or(kept));
        self.proofs.retain(|id, _| selected.contains(id));
    }
}

fn is_checked(node: &Node) -> bool {
    match node.resource_type() {
        ResourceType::Model | ResourceType::Test | ResourceType::UnitTest | ResourceType::Analysis | ResourceType::Seed | ResourceType::Snapshot => {
            true
        }
        ResourceType::Source | ResourceType::Exposure | ResourceType::Metric | ResourceType::SavedQuery | ResourceType::SemanticModel => false,
    }
}

struct Walk<'a> {
    project: &'a Arc<Project>,
    planner: &'a Planner,
    offline: &'a Arc<Offline>,
    done: BTreeMap<NodeId, Compilation>,
    /// Nodes that are not proved and whose contract says what they yield: their readers go by that.
    held: BTreeMap<NodeId, Compilation>,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    async fn visit(&mut self, node: &Node, reported: bool) -> Proof {
        if let Some(parent) = self.missing_text(node) {
            let because = format!("of `{parent}`");
            self.done.insert(node.id.clone(), Compilation::Skipped { because: parent });
            return Proof::Unknown { because };
        }
        let surroundings: Arc<dyn Surroundings> = Arc::<Offline>::clone(self.offline);
        let mut compilation = compile_node(self.project, self.planner, node, &self.done, &surroundings).await;
        let mut found = diagnostics(&compilation);
        if let Some(base) = self.grows(node, &compilation) {
            let grown: Arc<dyn Surroundings> = Arc::new(Grown { offline: Arc::clone(self.offline), id: node.id.clone(), schema: base });
            let second = compile_node(self.project, self.planner, node, &self.done, &grown).await;
            for diagnostic in diagnostics(&second) {
                if !found.contains(&diagnostic) {
                    found.push(diagnostic.note("this is the form of the model that adds to its table"));
                }
            }
            // Readers see the table that is there, with what this build adds to it.
            if matches!(compilation, Compilation::Ready(_)) && self.offline.locked_table(&node.id).is_some() {
                compilation = second;
            }
        }
        if let (Compilation::Ready(ready), Some(relation)) = (&compilation, &node.relation)
            && let Some(schema) = &ready.schema
        {
            self.offline.learn(relation, schema);
        }
        let proof = self.proof(node, &compilation, &found);
        if let (Compilation::Deferred { reason }, true) = (&compilation, reported) {
            found.push(not_proved(node, reason));
        }
        if reported {
            self.findings.extend(found.into_iter().map(|diagnostic| Finding { node: Some(node.id.clone()), diagnostic }));
        }
        match Self::promised(node, &compilation) {
            Some((relation, schema)) => {
                self.offline.learn(relation, &schema);
                self.held.insert(node.id.clone(), compilation);
            }
            None => drop(self.done.insert(node.id.clone(), compilation)),
        }
        proof
    }

    /// What the contract of a node that is not proved promises to its readers.
    fn promised<'n>(node: &'n Node, compilation: &Compilation) -> Option<(&'n RelationName, SchemaRef)> {
        let known = matches!(compilation, Compilation::Ready(ready) if ready.schema.is_some());
        if known || !node.config.contract_enforced || node.config.contract_subset {
            return None;
        }
        Some((node.relation.as_ref()?, declared_schema(node)?))
    }

    /// An ephemeral parent that did not compile leaves a hole in the text.
    fn missing_text(&self, node: &Node) -> Option<NodeId> {
        let ephemeral = |id: &&NodeId| {
            self.project.nodes.get(*id).is_some_and(|parent| parent.resource_type() == ResourceType::Model && parent.relation.is_none())
        };
        node.depends_on.iter().filter(ephemeral).find(|id| !matches!(self.done.get(*id), Some(Compilation::Ready(_)))).cloned()
    }

    /// The table that an incremental model would add to: as it is locked, or as a first build makes it.
    fn grows(&self, node: &Node, first: &Compilation) -> Option<SchemaRef> {
        if !matches!(node.config.materialization, Materialization::Incremental | Materialization::Snapshot) || self.project.full_refresh(node) {
            return None;
        }
        let built = match first {
            Compilation::Ready(ready) => ready.schema.clone(),
            Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. } => None,
        };
        self.offline.locked_table(&node.id).or(built)
    }

    fn proof(&self, node: &Node, compilation: &Compilation, found: &[Diagnostic]) -> Proof {
        if found.iter().any(Diagnostic::is_error) {
            return Proof::Wrong;
        }
        match compilation {
            Compilation::Ready(ready) if ready.query_schema.is_some() || node.resource_type() == ResourceType::Analysis => Proof::Proved,
            Compilation::Ready(_) => Proof::Unknown { because: self.unknown_parent(node) },
            Compilation::Deferred { reason } => Proof::Unknown { because: reason.clone() },
            Compilation::Skipped { because } => Proof::Unknown { because: format!("of `{because}`") },
            Compilation::Failed(_) => Proof::Wrong,
        }
    }

    fn unknown_parent(&self, node: &Node) -> String {
        let known = |id: &NodeId| match self.done.get(id) {
            Some(Compilation::Ready(parent)) => parent.schema.is_some(),
            Some(Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }) => false,
            None => self.held.contains_key(id) || self.offline.knows(id),
        };
        node.depends_on
            .iter()
            .find(|id| !known(id))
            .map_or_else(|| "it reads what is no node of the project".to_owned(), |id| format!("the columns of `{id}` are not known"))
    }
}

fn diagnostics(compilation: &Compilation) -> Vec<Diagnostic> {
    match compilation {
        Compilation::Ready(ready) => ready.warnings.clone(),
        Compilation::Failed(found) => found.clone(),
        Compilation::Deferred { .. } | Compilation::Skipped { .. } => Vec::new(),
    }
}

fn not_proved(node: &Node, reason: &str) -> Diagnostic {
    Diagnostic::warning(Code::NotProved, format!("`{}` can't be proved before a run: {reason}", node.name))
        .at(node.span, format!("this {}", node.resource_type().name()))
        .help("what reads it is checked without its columns; a contract on it would make them known")
}
