//! Which nodes run, and what each waits for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::graph::Dag;
use crate::manifest::{Materialization, Node, NodeId, NodeKind, ResourceType};
use crate::resolve::Project;

/// Nodes in the order of the DAG, with what each waits for and which tests audit it.
#[derive(Debug, Clone, Default)]
pub struct RunOrder {
    /// Parents before children, else by id.
    pub nodes: Vec<NodeId>,
    /// Selected nodes that must be done before.
    pub waits_for: HashMap<NodeId, BTreeSet<NodeId>>,
    /// Tests that run between writing a node's files and committing them. They are not in `nodes`.
    pub audits: BTreeMap<NodeId, Vec<NodeId>>,
}

/// The order in which the selected nodes run.
///
/// A node waits for its nearest selected ancestors, whatever lies between them. With `tests_gate` (as `build` has it), a
/// node also waits for the tests of its ancestors, so that it is skipped if one fails. With `audits`, tests whose other
/// parents are all ancestors of the node they are about become audits of it.
#[must_use]
pub fn run_order(project: &Project, dag: &Dag, selected: &BTreeSet<NodeId>, tests_gate: bool, audits: &BTreeMap<NodeId, Vec<NodeId>>) -> RunOrder {
    let audited: HashSet<&NodeId> = audits.values().flatten().collect();
    let runs = |id: &NodeId| selected.contains(id) && !audited.contains(id) && is_run(project, id);
    let nodes: Vec<NodeId> = dag.order().iter().filter(|id| runs(id)).cloned().collect();
    let mut nearest: HashMap<NodeId, BTreeSet<NodeId>> = HashMap::new();
    for id in dag.order() {
        let mut found = BTreeSet::new();
        for parent in dag.parents(id) {
            if runs(parent) {
                found.insert(parent.clone());
            } else if let Some(above) = nearest.get(parent) {
                found.extend(above.iter().cloned());
            }
        }
        nearest.insert(id.clone(), found);
    }
    let mut waits_for: HashMap<NodeId, BTreeSet<NodeId>> =
        nodes.iter().map(|id| (id.clone(), nearest.get(id).cloned().unwrap_or_default())).collect();
    let nodes = with_unit_tests(project, nodes, &nearest, &mut waits_for);
    if tests_gate {
        add_test_gates(project, dag, &nodes, &mut waits_for);
    }
    RunOrder { nodes, waits_for, audits: audits.clone() }
}

/// A unit test runs before its model, as soon as what the model waits for is done, and the model waits for it.
fn with_unit_tests(
    project: &Project,
    nodes: Vec<NodeId>,
    nearest: &HashMap<NodeId, BTreeSet<NodeId>>,
    waits_for: &mut HashMap<NodeId, BTreeSet<NodeId>>,
) -> Vec<NodeId> {
    let tested = |id: &NodeId| project.nodes.get(id)?.unit_test().map(|unit| unit.tested.clone());
    let running: HashSet<NodeId> = nodes.iter().cloned().collect();
    let (units, mut others): (Vec<NodeId>, Vec<NodeId>) = nodes.into_iter().partition(|id| tested(id).is_some());
    let mut before: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for unit in units {
        let Some(model) = tested(&unit) else { continue };
        waits_for.insert(unit.clone(), nearest.get(&model).cloned().unwrap_or_default());
        if running.contains(&model) {
            waits_for.entry(model.clone()).or_default().insert(unit.clone());
            before.entry(model).or_default().push(unit);
        } else {
            others.push(unit);
        }
    }
    others.into_iter().flat_map(|id| before.remove(&id).into_iter().flatten().chain([id])).collect()
}

/// What reads a tested node waits for the test, unless the test itself needs something beside or below that reader. Readers
/// are looked for through what does not run, as ephemeral models; tests of those wait too. What is never built waits for no
/// test, as in dbt.
fn add_test_gates(project: &Project, dag: &Dag, nodes: &[NodeId], waits_for: &mut HashMap<NodeId, BTreeSet<NodeId>>) {
    let is = |id: &NodeId, kind: ResourceType| project.nodes.get(id).is_some_and(|node| node.resource_type() == kind);
    let is_described = |id: &NodeId| project.nodes.get(id).is_some_and(|node| matches!(node.kind, NodeKind::Described(_)));
    let running: HashSet<&NodeId> = nodes.iter().collect();
    for test in nodes.iter().filter(|id| is(id, ResourceType::Test)) {
        let parents = dag.parents(test);
        let below_all = below_all(dag, &parents);
        let is_below = |id: &NodeId| below_all.as_ref().is_none_or(|below| below.contains(id));
        let mut seen: HashSet<&NodeId> = HashSet::new();
        let mut open: Vec<&NodeId> = parents;
        while let Some(id) = open.pop() {
            for child in dag.children(id) {
                let runs = running.contains(child);
                if is(child, ResourceType::Test) {
                    if runs && seen.contains(id) && is_below(id) {
                        waits_for.entry(child.clone()).or_default().insert(test.clone());
                    }
                } else if !is(child, ResourceType::UnitTest) && !is_described(child) && seen.insert(child) {
                    if runs && is_below(child) {
                        waits_for.entry(child.clone()).or_default().insert(test.clone());
                    } else {
                        open.push(child);
                    }
                }
            }
        }
    }
}

/// What lies below all parents of a test; `None` for one parent, below which everything is found.
fn below_all(dag: &Dag, parents: &[&NodeId]) -> Option<HashSet<NodeId>> {
    let (first, others) = parents.split_first()?;
    if others.is_empty() {
        return None;
    }
    let mut below = dag.descendants(first, None);
    for parent in others {
        let also = dag.descendants(parent, None);
        below.retain(|id| also.contains(id));
    }
    Some(below)
}

fn is_run(project: &Project, id: &NodeId) -> bool {
    let is_ephemeral = |node: &Node| node.resource_type() == ResourceType::Model && node.config.materialization == Materialization::Ephemeral;
    project.nodes.get(id).is_some_and(|node| node.resource_type().is_built() && !is_ephemeral(node))
}
