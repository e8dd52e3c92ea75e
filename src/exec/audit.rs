//! Which data tests audit which node: they run between writing a node's rows and publishing them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::graph::Dag;
use crate::load::ProjectDialect;
use crate::manifest::{Audit, Materialization, Node, NodeId, ResourceType};
use crate::resolve::Project;

/// The audits of the selected nodes, each list sorted.
///
/// A test audits a node if all its other parents are ancestors of that node, and its config (or, without one, the kind of
/// project file) says before the commit. Tests that the user excluded (`named` has them not) don't audit.
#[must_use]
pub fn audits(project: &Project, dag: &Dag, selected: &BTreeSet<NodeId>, named: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Vec<NodeId>> {
    let mut found: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let mut ancestors: HashMap<NodeId, HashSet<NodeId>> = HashMap::new();
    for test in project.nodes.values().filter(|node| node.resource_type() == ResourceType::Test && named.contains(&node.id)) {
        if !before_commit(project, test) {
            continue;
        }
        let audited = test.depends_on.iter().filter(|id| selected.contains(*id) && can_be_audited(project, id)).find(|id| {
            let above = ancestors.entry((*id).clone()).or_insert_with(|| dag.ancestors(id, None));
            test.depends_on.iter().all(|parent| parent == *id || above.contains(parent))
        });
        if let Some(node) = audited {
            found.entry(node.clone()).or_default().push(test.id.clone());
        }
    }
    found
}

fn before_commit(project: &Project, test: &Node) -> bool {
    match test.config.test.audit {
        Some(audit) => audit == Audit::BeforeCommit,
        None => match project.parsed.root.project.audit {
            Some(audit) => audit == Audit::BeforeCommit,
            None => project.parsed.root.project.dialect == ProjectDialect::Alluvium,
        },
    }
}

fn can_be_audited(project: &Project, id: &NodeId) -> bool {
    // What a macro builds is published by its own statements; there is nothing to look at before.
    let by_macro = |node: &Node| [false, true].iter().any(|adds| !matches!(project.builder(node, *adds), Ok(None)));
    project.nodes.get(id).filter(|node| !by_macro(node)).is_some_and(|node| match node.resource_type() {
        ResourceType::Model => matches!(
            node.config.materialization,
            Materialization::Table | Materialization::Refreshed(_) | Materialization::View | Materialization::External | Materialization::Incremental
        ),
        ResourceType::Seed | ResourceType::Snapshot => true,
        ResourceType::Analysis
        | ResourceType::Exposure
        | ResourceType::Function
        | ResourceType::Metric
        | ResourceType::SavedQuery
        | ResourceType::SemanticModel
        | ResourceType::Source
        | ResourceType::Test
        | ResourceType::UnitTest => false,
    })
}
