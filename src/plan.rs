//! A node, its materialization and its config become steps: plain data that a dry run, a test and the docs can read.
//!
//! Decides what is to be done and in which order; runs nothing and looks nothing up.

mod contract;
mod data_test;
mod ddl;
mod incremental;
mod snapshot;
mod table;

pub use contract::rule_place;
pub use data_test::{TestQuery, test_query, verdict};
pub use ddl::run_text;
pub use table::{copy_write, seed_input};

use chrono::{DateTime, Utc};
use deltalake::arrow::datatypes::SchemaRef;

use crate::base::{Code, Diagnostic, Span};
use crate::compile::CompiledNode;
use crate::engine::{BrokenRule, FilesWrite, StreamRead, TableWrite, ViewWrite};
use crate::manifest::{ConstraintKind, Materialization, Node, NodeId};
use crate::sql::Semantics;

/// What a run knows when it plans a node.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    pub run_id: String,
    pub run_started_at: DateTime<Utc>,
    pub semantics: Semantics,
    /// The columns of the node's query, where compiling could not know them.
    pub query_schema: Option<SchemaRef>,
    /// The data tests that audit this node before it is published, in the order in which they run.
    pub audits: Vec<NodeId>,
    /// The sources that the node reads as streams.
    pub streams: Vec<StreamRead>,
    /// Whether the first build of a model with a key may yield a key twice, as in dbt; then it is a warning.
    pub keys_may_repeat: bool,
    /// The batch that is built, of a model that is built in batches.
    pub batch: Option<BatchRows>,
}

/// Which rows belong to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRows {
    /// SQL over the columns of the model.
    pub condition: String,
    /// Whether something that the model reads is filtered to the batch's time. If nothing is, each batch yields all rows,
    /// of which its own are taken; else a row of another time is an error, as it would be lost or there twice.
    pub filtered: bool,
}

/// One step of a node. Stages are named by their order: a node has at most one.
#[expect(clippy::large_enum_variant, reason = "a node has a handful of steps")]
#[derive(Debug, Clone)]
pub enum PlanStep {
    StageTable(TableWrite),
    StageFiles(FilesWrite),
    /// Refuse rows whose keys break a rule.
    Keys(KeyCheck),
    /// Run these tests with the staged rows in the place of the node's relation.
    Audit(Vec<NodeId>),
    Publish,
    PutView(ViewWrite),
}

/// A rule about keys that is to hold before rows are written or published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCheck {
    pub rule: KeyRule,
    pub columns: Vec<String>,
    /// Yields some of the keys that break the rule, and how often each stands there; of the node's relation it sees the
    /// staged rows. For [`KeyRule::Rows`] and
    /// [`KeyRule::Batch`] it yields rows.
    pub sql: String,
}

/// What a key has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRule {
    /// One row a key in the query of a merge or a snapshot, without which it has no meaning.
    OneRow { refuses: bool },
    /// A constraint of the contract: `unique` or `primary_key`.
    Unique { constraint: ConstraintKind, span: Span },
    /// A constraint of the contract: the key is one of another table.
    Foreign { to: String, span: Span },
    /// Each row belongs to the batch that is built.
    Batch { condition: String },
    /// A constraint on each row, of a relation that can't keep it itself.
    Rows { rule: BrokenRule, span: Span },
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
        Materialization::Table | Materialization::Refreshed(_) | Materialization::Seed => {
            steps.push(PlanStep::StageTable(table::table_write(node, relation, compiled, options)));
        }
        Materialization::External => steps.push(PlanStep::StageFiles(table::files_write(node, relation, compiled, options)?)),
        Materialization::Ephemeral | Materialization::Test => return Ok(NodePlan::default()),
        Materialization::Incremental => {
            let write = incremental::incremental_write(node, relation, compiled, options)?;
            let first = compiled.history.is_none();
            steps.push(PlanStep::StageTable(write));
            // A merge looks at its new rows itself.
            steps.extend(incremental::unique_key(node, relation, options).filter(|_| first).map(PlanStep::Keys));
            steps.extend(incremental::of_batch(relation, options).filter(|_| first).map(PlanStep::Keys));
        }
        Materialization::Snapshot => {
            let write = snapshot::snapshot_write(node, relation, compiled, options)?;
            steps.extend(snapshot::unique_key(node, compiled, options).map(PlanStep::Keys));
            steps.push(PlanStep::StageTable(write));
        }
        Materialization::Custom(name) => return Err(not_available(node, name)),
    }
    let rows = match &node.config.snapshot {
        Some(config) => snapshot::current_rows(config, relation, compiled, options),
        None => relation.to_string(),
    };
    steps.extend(contract::key_checks(node, relation, &rows).into_iter().map(PlanStep::Keys));
    if !options.audits.is_empty() {
        steps.push(PlanStep::Audit(options.audits.clone()));
    }
    steps.push(PlanStep::Publish);
    Ok(NodePlan { steps })
}

#[expect(clippy::unnecessary_box_returns, reason = "it is what the callers' `Err` holds")]
fn not_available(node: &Node, materialization: &str) -> Box<Diagnostic> {
    let message = format!("there is no materialization `{materialization}`, so `{}` can't be built", node.name);
    let known = "view, table, incremental, ephemeral, external, materialized_view and dynamic_table are there; others are written as `{% materialization name, default %}` in a file of macros";
    Box::new(Diagnostic::error(Code::NotAvailable, message).at(node.span, "this node").help(known))
}
