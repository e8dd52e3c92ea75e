//! Which nodes run, and what each waits for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::graph::Dag;
use crate::manifest::{Materialization, NodeId, NodeKind, ResourceType};
use crate::resolve::Project;

/// Nodes in the order of the DAG, with what each waits for and which tests audit it.
#[derive(Debug, Clone, Default)]
pub struct RunOrder {
    /// By level, else by id: first all that wait for nothing, then what waits for those alone, as dbt runs them. Macros that
    /// query tables which they do not name rest on it.
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
    let placed = |id: &NodeId| selected.contains(id) && !audited.contains(id) && is_built(project, id);
    let nodes: Vec<NodeId> = dag.order().iter().filter(|id| placed(id)).cloned().collect();
    let mut nearest: HashMap<NodeId, BTreeSet<NodeId>> = HashMap::new();
    for id in dag.order() {
        let mut found = BTreeSet::new();
        for parent in dag.parents(id) {
            if placed(parent) {
                found.insert(parent.clone());
            } else if let Some(above) = nearest.get(parent) {
                found.extend(above.iter().cloned());
            }
        }
        nearest.insert(id.clone(), found);
    }
    let mut waits_for: HashMap<NodeId, BTreeSet<NodeId>> =
        nodes.iter().map(|id| (id.clone(), nearest.get(id).cloned().unwrap_or_default())).collect();
    add_unit_tests(project, &nodes, &nearest, &mut waits_for);
    if tests_gate {
        add_test_gates(project, dag, &nodes, &mut waits_for);
    }
    let nodes = by_level(&nodes, &waits_for);
    let (nodes, waits_for) = without_ephemeral(project, nodes, waits_for);
    RunOrder { nodes, waits_for, audits: audits.clone() }
}

/// Ephemeral models have their level and wait for tests, but do not run: what waits for one waits for what it waits for.
fn without_ephemeral(
    project: &Project,
    nodes: Vec<NodeId>,
    mut waits_for: HashMap<NodeId, BTreeSet<NodeId>>,
) -> (Vec<NodeId>, HashMap<NodeId, BTreeSet<NodeId>>) {
    let (ephemeral, running): (Vec<NodeId>, Vec<NodeId>) = nodes.iter().cloned().partition(|id| is_ephemeral(project, id));
    if ephemeral.is_empty() {
        return (nodes, waits_for);
    }
    let ephemeral: HashSet<NodeId> = ephemeral.into_iter().collect();
    for id in &nodes {
        let Some(parents) = waits_for.get(id) else { continue };
        let (through, mut direct): (BTreeSet<NodeId>, BTreeSet<NodeId>) = parents.iter().cloned().partition(|parent| ephemeral.contains(parent));
        direct.extend(through.iter().filter_map(|parent| waits_for.get(parent)).flatten().cloned());
        waits_for.insert(id.clone(), direct);
    }
    waits_for.retain(|id, _| !ephemeral.contains(id));
    (running, waits_for)
}

/// Nodes by the length of the longest way to what waits for nothing, and by id within a level.
fn by_level(nodes: &[NodeId], waits_for: &HashMap<NodeId, BTreeSet<NodeId>>) -> Vec<NodeId> {
    let mut open: HashMap<&NodeId, usize> = waits_for.iter().map(|(id, parents)| (id, parents.len())).collect();
    let mut children: HashMap<&NodeId, Vec<&NodeId>> = HashMap::new();
    for (id, parents) in waits_for {
        for parent in parents {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut ordered: Vec<&NodeId> = Vec::with_capacity(nodes.len());
    let mut level: Vec<&NodeId> = nodes.iter().filter(|id| open.get(id).is_none_or(|count| *count == 0)).collect();
    while !level.is_empty() {
        level.sort();
        ordered.extend(&level);
        let below = level.iter().flat_map(|id| children.get(id).into_iter().flatten().copied());
        let is_ready = |id: &&NodeId| {
            open.get_mut(*id).is_some_and(|count| {
                *count -= 1;
                *count == 0
            })
        };
        level = below.filter(is_ready).collect();
    }
    debug_assert_eq!(ordered.len(), nodes.len(), "each node waits for such that run, and none for itself");
    ordered.into_iter().cloned().collect()
}

/// A unit test runs before its model, as soon as what the model waits for is done, and the model waits for it.
fn add_unit_tests(
    project: &Project,
    nodes: &[NodeId],
    nearest: &HashMap<NodeId, BTreeSet<NodeId>>,
    waits_for: &mut HashMap<NodeId, BTreeSet<NodeId>>,
) {
    for unit in nodes {
        let Some(model) = project.nodes.get(unit).and_then(|node| Some(node.unit_test()?.tested.clone())) else { continue };
        waits_for.insert(unit.clone(), nearest.get(&model).cloned().unwrap_or_default());
        if let Some(waits) = waits_for.get_mut(&model) {
            waits.insert(unit.clone());
        }
    }
}

/// What reads a tested node waits for the test, unless the test itself needs something beside or below that reader. Readers
/// are looked for through what is not selected; tests of that wait too. What is never built waits for no test, as in dbt.
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

fn is_built(project: &Project, id: &NodeId) -> bool {
    project.nodes.get(id).is_some_and(|node| node.resource_type().is_built())
}

fn is_ephemeral(project: &Project, id: &NodeId) -> bool {
    let Some(node) = project.nodes.get(id) else { return false };
    node.resource_type() == ResourceType::Model && node.config.materialization == Materialization::Ephemeral
}
