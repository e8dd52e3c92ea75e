//! Walks the graph, level by level: what an earlier command found of a node is taken over where all that it depends on is
//! as it was; other nodes are compiled, those of one level side by side.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::described::{about_source, noting_description};
use super::kept::{self, Outcome, Standing};
use super::offline::Offline;
use super::record::Finding;
use super::state::node_text;
use super::visit::{Before, Ground, Proof, Visited};
use crate::base::{Fingerprint, Fingerprinter, Memo, in_parallel};
use crate::compile::{Broken, Compilation, CompiledProject, Planner};
use crate::graph::Dag;
use crate::manifest::{Node, NodeId, NodeKind, NodeMap, ResourceType};
use crate::resolve::Project;

/// As many nodes are sooner compiled than threads are started.
const FEW: usize = 16;

/// The outcome of a check.
#[derive(Debug)]
pub struct Checked<'m> {
    /// What was compiled; nodes of which all was known from an earlier command are not among it.
    pub compiled: CompiledProject,
    /// Of the selected nodes and the sources they read.
    pub findings: Vec<Finding>,
    /// Of the selected nodes that have SQL.
    pub proofs: BTreeMap<NodeId, Proof>,
    /// The entries of `lineage.json`, as text.
    pub states: BTreeMap<NodeId, Cow<'m, str>>,
    /// Tests that can't fail, with the proof.
    pub proved_tests: BTreeMap<String, String>,
}

/// Compiles the selected nodes and everything they read; reports on the selected ones. Results of earlier commands are
/// taken from `memo`, and new ones kept there.
pub async fn check<'m>(project: &Arc<Project>, dag: &Dag, selected: &BTreeSet<NodeId>, offline: &Arc<Offline>, memo: &'m Memo) -> Checked<'m> {
    let planner = Planner::new(project);
    let nodes: Vec<&Node> = project.nodes.values().map(Box::as_ref).collect();
    let mut walk = Walk {
        ground: Ground { project, planner: &planner, offline },
        memo,
        common: if memo.keeps() { kept::ground(project) } else { Fingerprint::default() },
        before: Before::default(),
        readers: NodeMap::default(),
        checked: Checked {
            compiled: CompiledProject { project: Arc::clone(project), nodes: BTreeMap::new() },
            findings: Vec::new(),
            proofs: BTreeMap::new(),
            states: BTreeMap::new(),
            proved_tests: BTreeMap::new(),
        },
    };
    for level in dag.levels(selected) {
        let level: Vec<&Node> = level.into_iter().filter_map(|at| nodes.get(at).copied()).collect();
        walk.level(&level, selected).await;
    }
    walk.checked.compiled.nodes = walk.before.done;
    walk.checked
}

impl Checked<'_> {
    /// Leaves only what is said of some nodes, and of the sources that they read.
    pub fn keep(&mut self, selected: &BTreeSet<NodeId>) {
        let project = &self.compiled.project;
        // All that is selected is there.
        if selected.len() == project.nodes.len() {
            return;
        }
        let is_source = |id: &NodeId| project.nodes.get(id).is_some_and(|node| node.resource_type() == ResourceType::Source);
        let read: BTreeSet<&NodeId> = selected.iter().filter_map(|id| project.nodes.get(id)).flat_map(|node| &node.depends_on).collect();
        let kept = |id: &NodeId| selected.contains(id) || is_source(id) && read.contains(id);
        self.findings.retain(|finding| finding.node.as_ref().is_none_or(kept));
        self.proofs.retain(|id, _| selected.contains(id));
        self.proved_tests.retain(|id, _| selected.contains(&NodeId::new(id.as_str())));
    }
}

fn is_compiled(node: &Node) -> bool {
    match node.resource_type() {
        ResourceType::Model
        | ResourceType::Function
        | ResourceType::Test
        | ResourceType::UnitTest
        | ResourceType::Analysis
        | ResourceType::Seed
        | ResourceType::Snapshot => true,
        ResourceType::Source | ResourceType::Exposure | ResourceType::Metric | ResourceType::SavedQuery | ResourceType::SemanticModel => false,
    }
}

struct Walk<'a, 'm> {
    ground: Ground<'a>,
    memo: &'m Memo,
    /// What all keys have in common.
    common: Fingerprint,
    before: Before,
    /// What readers of a node go by.
    readers: NodeMap<Fingerprint>,
    checked: Checked<'m>,
}

impl<'m> Walk<'_, 'm> {
    async fn level(&mut self, nodes: &[&Node], selected: &BTreeSet<NodeId>) {
        let (compiled, given): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| is_compiled(node));
        for node in given {
            self.given(node);
        }
        let known: Vec<(Fingerprint, Option<(Outcome<'m>, Fingerprint)>)> = if self.memo.keeps() {
            in_parallel(&compiled, |node| self.recall(node))
        } else {
            compiled.iter().map(|_| (Fingerprint::default(), None)).collect()
        };
        let mut open: Vec<(&Node, Fingerprint)> = Vec::new();
        for (node, (key, outcome)) in compiled.into_iter().zip(known) {
            match outcome {
                Some((mut outcome, reader)) => {
                    let standing = std::mem::take(&mut outcome.standing);
                    self.ground.offline.keep(&node.id, standing);
                    self.take(node, outcome, reader, selected.contains(&node.id));
                }
                None => open.push((node, key)),
            }
        }
        for (node, _) in &open {
            Box::pin(self.restore_what_it_reads(node)).await;
        }
        let visited = self.visit_all(&open).await;
        for ((node, _), (visited, reader)) in open.into_iter().zip(visited) {
            let Visited { compilation, promised, outcome, .. } = visited;
            self.learn(node, compilation, promised);
            self.take(node, outcome, reader, selected.contains(&node.id));
        }
    }

    /// Sources and what has no SQL.
    fn given(&mut self, node: &Node) {
        let offline = self.ground.offline;
        self.checked.findings.extend(about_source(self.ground.project, self.ground.planner, offline, node));
        let schema = offline.input(&node.id);
        let mut of = Fingerprinter::new("given");
        of.add(&schema.as_deref());
        self.readers.insert(node.id.clone(), kept::for_readers(node, self.ground.planner, &of.finish()));
        if let Some(text) = node_text(node, None, offline, self.ground.project.target.semantics()) {
            self.checked.states.insert(node.id.clone(), Cow::Owned(text));
        }
    }

    /// The key of a node, and what an earlier command found of it with what its readers go by.
    fn recall(&self, node: &Node) -> (Fingerprint, Option<(Outcome<'m>, Fingerprint)>) {
        let project = self.ground.project;
        if matches!(node.kind, NodeKind::Seed { .. }) {
            return (Fingerprint::default(), None);
        }
        let key = kept::key(&self.common, project, node, &self.readers, self.ground.offline);
        let Some(outcome) = kept::recall(self.memo, &key, project, &project.sources) else { return (key, None) };
        let reader = kept::for_readers(node, self.ground.planner, &outcome.seen);
        (key, Some((outcome, reader)))
    }

    /// Visits nodes that nothing is known of, keeps what comes of it, and says what readers go by.
    async fn visit_all(&self, open: &[(&Node, Fingerprint)]) -> Vec<(Visited, Fingerprint)> {
        if open.len() < FEW {
            let mut visited = Vec::with_capacity(open.len());
            for (node, key) in open {
                visited.push(self.visit(node, *key).await);
            }
            return visited;
        }
        // Planning is reckoning alone: threads of our own serve it better than tasks, which are for waiting.
        in_parallel(open, |(node, key)| futures::executor::block_on(self.visit(node, *key)))
    }

    async fn visit(&self, node: &Node, key: Fingerprint) -> (Visited, Fingerprint) {
        let visited = Box::pin(self.ground.visit(node, &self.before)).await;
        if !matches!(node.kind, NodeKind::Seed { .. }) {
            kept::keep(self.memo, key, &visited.outcome, &visited.notes, self.ground.project);
        }
        let reader = kept::for_readers(node, self.ground.planner, &visited.outcome.seen);
        (visited, reader)
    }

    /// Notes what a node came to.
    fn take(&mut self, node: &Node, outcome: Outcome<'m>, reader: Fingerprint, reported: bool) {
        let Outcome { seen: _, proof, found, state, proved, standing: _ } = outcome;
        self.readers.insert(node.id.clone(), reader);
        if let Some(state) = state {
            self.checked.states.insert(node.id.clone(), state);
        }
        if !reported {
            return;
        }
        let about = |diagnostic| Finding {
            node: Some(node.id.clone()),
            diagnostic: noting_description(self.ground.project, self.ground.offline, node, diagnostic),
        };
        self.checked.findings.extend(found.into_iter().map(about));
        self.checked.proved_tests.extend(proved.map(|proved| (node.id.to_string(), proved)));
        if node.resource_type() != ResourceType::Seed {
            self.checked.proofs.insert(node.id.clone(), proof);
        }
    }

    /// Makes a node known to those who read it.
    fn learn(&mut self, node: &Node, compilation: Compilation, promised: Option<deltalake::arrow::datatypes::SchemaRef>) {
        let schema = match (&compilation, promised) {
            (Compilation::Ready(ready), None) => ready.schema.clone(),
            (_, Some(schema)) => {
                self.before.held.insert(node.id.clone());
                Some(schema)
            }
            (Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }, None) => None,
        };
        if let (Some(relation), Some(schema)) = (&node.relation, &schema) {
            self.ground.offline.learn(relation, schema);
        }
        if !self.before.held.contains(&node.id) {
            self.before.done.insert(node.id.clone(), compilation);
        }
    }

    /// Brings back what an earlier command kept of the nodes that a node reads.
    async fn restore_what_it_reads(&mut self, node: &Node) {
        let project = self.ground.project;
        let mut read: Vec<&NodeId> = node.depends_on.iter().collect();
        if let NodeKind::UnitTest(unit) = &node.kind {
            read.extend(project.nodes.get(&unit.tested).iter().flat_map(|tested| &tested.depends_on));
            read.extend(unit.given.iter().map(|given| &given.node));
        }
        for parent in read.into_iter().filter_map(|id| project.nodes.get(id)) {
            let Some(standing) = self.ground.offline.take_kept(&parent.id) else { continue };
            let unknown = || Compilation::Failed(Broken::default());
            let compilation = match standing {
                Standing::Ready(kept) => kept.restored(parent).map_or_else(unknown, |ready| Compilation::Ready(Arc::new(ready))),
                Standing::Ephemeral => {
                    Box::pin(self.restore_what_it_reads(parent)).await;
                    self.ground.visit(parent, &self.before).await.compilation
                }
                Standing::Promised(_) => {
                    let schema = standing.schema();
                    self.learn(parent, unknown(), schema);
                    continue;
                }
                Standing::Unknown => unknown(),
            };
            self.learn(parent, compilation, None);
        }
    }
}
