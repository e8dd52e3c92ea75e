//! A node, its materialization and its config become steps: plain data that a dry run, a test and the docs can read.
//!
//! Decides what is to be done and in which order; runs nothing and looks nothing up.

mod data_test;
mod table;

pub use data_test::{TestQuery, test_query, verdict};
pub use table::seed_input;

use crate::base::{Code, Diagnostic};
use crate::compile::CompiledNode;
use crate::engine::{FilesWrite, TableWrite, ViewWrite};
use crate::manifest::{Materialization, Node, NodeId, NodeKind};

/// What a run knows when it plans a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOptions {
    pub run_id: String,
    /// The data tests that audit this node before it is published, in the order in which they run.
    pub audits: Vec<NodeId>,
}

/// One step of a node. Stages are named by their order: a node has at most one.
#[expect(clippy::large_enum_variant, reason = "a node has a handful of steps")]
#[derive(Debug, Clone)]
pub enum PlanStep {
    StageTable(TableWrite),
    StageFiles(FilesWrite),
    /// Run these tests with the staged rows in the place of the node's relation.
    Audit(Vec<NodeId>),
    Publish,
    PutView(ViewWrite),
}

/// What is to be done for one node, in order.
#[derive(Debug, Clone, Default)]
pub struct NodePlan {
    pub steps: Vec<PlanStep>,
}

/// The steps of one node. A node that has no relation of its own (ephemeral models, analyses) has none.
///
/// # Errors
/// With a diagnostic if the materialization or a setting is not there yet.
pub fn plan_node(node: &Node, compiled: &CompiledNode, options: &PlanOptions) -> Result<NodePlan, Box<Diagnostic>> {
    let Some(relation) = &node.relation else { return Ok(NodePlan::default()) };
    let mut steps = Vec::new();
    match &node.config.materialization {
        Materialization::View => {
            steps.push(PlanStep::PutView(table::view_write(node, relation, compiled, options)));
            if !options.audits.is_empty() {
                steps.insert(0, PlanStep::Audit(options.audits.clone()));
            }
            return Ok(NodePlan { steps });
        }
        Materialization::Table | Materialization::Seed => steps.push(PlanStep::StageTable(table::table_write(node, relation, compiled, options))),
        Materialization::External => steps.push(PlanStep::StageFiles(table::files_write(node, relation, compiled, options)?)),
        Materialization::Ephemeral | Materialization::Test => return Ok(NodePlan::default()),
        missing @ (Materialization::Incremental | Materialization::Snapshot) => return Err(not_available(node, missing.name())),
        Materialization::Custom(name) => return Err(not_available(node, name)),
    }
    if !options.audits.is_empty() {
        steps.push(PlanStep::Audit(options.audits.clone()));
    }
    steps.push(PlanStep::Publish);
    Ok(NodePlan { steps })
}

#[expect(clippy::unnecessary_box_returns, reason = "it is what the callers' `Err` holds")]
fn not_available(node: &Node, materialization: &str) -> Box<Diagnostic> {
    let kind = match node.kind {
        NodeKind::Snapshot => "snapshots are".to_owned(),
        _ => format!("the materialization `{materialization}` is"),
    };
    Box::new(
        Diagnostic::error(Code::NotAvailable, format!("{kind} not available yet, so `{}` can't be built", node.name))
            .at(node.span, "this node")
            .help("available are view, table, ephemeral, seed and external"),
    )
}
