//! One node becomes SQL that is known to plan: rendered, planned against the schemas of its parents, held against its
//! contract. `compile` walks the DAG with it.
//!
//! Reads no data. What it needs of the surroundings comes through [`Surroundings`]; a template that asks for more than
//! can be known before a run is [`Compilation::Deferred`], and `exec` calls [`compile_node`] again when the parents are
//! built.

mod batches;
mod contract;
mod division;
mod doubts;
mod ephemeral;
mod facts;
mod files;
mod foreseen;
mod functions;
mod held;
mod history;
mod host;
mod kept;
mod literals;
mod named;
mod node;
mod planner;
mod proved;
mod script;
mod seeds;
mod sessions;
mod stranger;
mod unit_test;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use deltalake::arrow::datatypes::SchemaRef;

use ephemeral::ephemeral_cte;
use foreseen::Foreseen;

pub use ephemeral::cte_name;
pub use facts::{ColumnFacts, ColumnInput, FlowKind, NodeFacts, NullMaker, Nulls, UniqueKey};
pub use kept::{KeptNode, kept_schema, restored_schema};
pub use node::{CompiledNode, compile_batch, compile_node};
pub use planner::Planner;
pub use proved::proved_test;
pub use script::{QueryComment, ScriptText, query_comment, render_materialization, render_operation, render_script, wrong_hooks};
pub use seeds::{seed_contract_difference, unknown_column_types};
pub use unit_test::UnitQuery;

use crate::base::{Diagnostic, Heard};
use crate::graph::Dag;
use crate::jinja::{HostError, QueryTable, RelationFacts};
use crate::manifest::{Node, NodeId, RelationName, ResourceType};
use crate::resolve::Project;
use crate::sql::FileCall;

/// What compiling may ask of the world outside of the project.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// The schema of what a node stands for in the warehouse or in files; `None` where it is not known.
    async fn schema(&self, node: &Node) -> Option<SchemaRef>;

    /// The schema of a node's own table in the warehouse; `None` where there is none, or something else has its name.
    async fn table(&self, node: &Node) -> Option<SchemaRef>;

    /// The columns of files that a query names as a table; `None` where they are not there, or may not be looked at.
    ///
    /// # Errors
    /// What is wrong with them.
    async fn files(&self, call: &FileCall) -> Result<Option<SchemaRef>, Box<Diagnostic>>;

    /// Answers `run_query` and `statement`; called on a thread that may block.
    ///
    /// # Errors
    /// The query fails, or can't be answered before a run.
    fn query(&self, sql: &str) -> Result<QueryTable, HostError>;

    /// Answers `adapter.get_relation` and its kin; called on a thread that may block.
    ///
    /// # Errors
    /// It can't be looked up.
    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError>;

    /// What a template logs.
    fn log(&self, message: &str, heard: Heard, node: &NodeId);

    /// Whether an answer may take its time, so that nothing else should wait for it.
    fn may_block(&self) -> bool {
        true
    }

    /// Told of everything that a node takes from elsewhere than itself, the project's macros and settings, and the nodes that
    /// it depends on.
    fn note(&self, _asked: Asked) {}
}

/// What a node took from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// A variable of the environment.
    Environment(String),
    /// The flags of the command.
    Flags,
    /// Something that can't be told from another time: the whole graph, the invocation, the selection, docs, other nodes.
    Beyond,
}

/// What became of a node.
#[derive(Debug, Clone)]
pub enum Compilation {
    Ready(Arc<CompiledNode>),
    /// It asks for what only a run can tell.
    Deferred {
        reason: String,
    },
    Failed(Broken),
    /// A parent failed.
    Skipped {
        because: NodeId,
    },
}

/// What is wrong with a node.
#[derive(Debug, Clone, Default)]
pub struct Broken {
    pub found: Vec<Diagnostic>,
    /// Its SQL, where it came as far as that.
    pub compiled: Option<Arc<CompiledNode>>,
}

impl From<Vec<Diagnostic>> for Broken {
    fn from(found: Vec<Diagnostic>) -> Self {
        Self { found, compiled: None }
    }
}

/// Every selected node, compiled as far as it can be.
#[derive(Debug, Clone)]
pub struct CompiledProject {
    pub project: Arc<Project>,
    pub nodes: BTreeMap<NodeId, Compilation>,
}

impl CompiledProject {
    #[must_use]
    pub fn ready(&self, id: &NodeId) -> Option<&Arc<CompiledNode>> {
        match self.nodes.get(id) {
            Some(Compilation::Ready(node)) => Some(node),
            Some(Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }) | None => None,
        }
    }

    /// The SQL of a node, also where something is wrong with it.
    #[must_use]
    pub fn sql(&self, id: &NodeId) -> Option<&str> {
        let node = match self.nodes.get(id)? {
            Compilation::Ready(node) => node,
            Compilation::Failed(broken) => broken.compiled.as_ref()?,
            Compilation::Deferred { .. } | Compilation::Skipped { .. } => return None,
        };
        Some(node.sql.as_str()).filter(|sql| !sql.is_empty())
    }

    /// Every diagnostic of every node that failed, in the order of the nodes' ids.
    pub fn failures(&self) -> impl Iterator<Item = (&NodeId, &Vec<Diagnostic>)> {
        self.nodes.iter().filter_map(|(id, compilation)| match compilation {
            Compilation::Failed(broken) => Some((id, &broken.found)),
            Compilation::Ready(_) | Compilation::Deferred { .. } | Compilation::Skipped { .. } => None,
        })
    }
}

/// Compiles the selected nodes, parents before children, and the ephemeral models that they read.
///
/// A node that fails hides no other; what reads it is [`Compilation::Skipped`].
pub async fn compile(project: &Arc<Project>, dag: &Dag, selected: &BTreeSet<NodeId>, surroundings: &Arc<dyn Surroundings>) -> CompiledProject {
    let planner = Planner::new(project);
    let wanted = with_ephemeral_parents(project, dag, selected);
    let foreseen = Arc::new(Foreseen::new(surroundings));
    let surroundings: Arc<dyn Surroundings> = Arc::<Foreseen>::clone(&foreseen);
    let mut done = CompiledProject { project: Arc::clone(project), nodes: BTreeMap::new() };
    for id in dag.order().iter().filter(|id| wanted.contains(*id)) {
        let Some(node) = project.nodes.get(id) else { continue };
        let compilation = match broken_parent(&done, node) {
            Some(parent) => Compilation::Skipped { because: parent },
            None => compile_node(project, &planner, node, &done.nodes, &surroundings).await,
        };
        foreseen.note(node, &compilation);
        done.nodes.insert(id.clone(), compilation);
    }
    done
}

/// Sources, exposures and analyses have nothing that can break a child; tests have no children that read them.
fn broken_parent(done: &CompiledProject, node: &Node) -> Option<NodeId> {
    // A unit test reads fixtures; what is wrong with its model it finds itself.
    if node.unit_test().is_some() {
        return None;
    }
    node.depends_on.iter().find_map(|parent| match done.nodes.get(parent)? {
        Compilation::Failed(_) => Some(parent.clone()),
        Compilation::Skipped { because } => Some(because.clone()),
        Compilation::Ready(_) | Compilation::Deferred { .. } => None,
    })
}

/// The nodes and what is compiled along with them: ephemeral models and functions, which are part of the text that reads them.
fn with_ephemeral_parents(project: &Project, dag: &Dag, selected: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let mut wanted: BTreeSet<NodeId> = selected.iter().filter(|id| is_compiled(project, id)).cloned().collect();
    let mut open: Vec<NodeId> = wanted.iter().cloned().collect();
    while let Some(id) = open.pop() {
        for parent in dag.parents(&id) {
            let within = project.nodes.get(parent).is_some_and(|node| match node.resource_type() {
                ResourceType::Model => node.relation.is_none(),
                kind => kind == ResourceType::Function,
            });
            if within && wanted.insert(parent.clone()) {
                open.push(parent.clone());
            }
        }
    }
    wanted
}

fn is_compiled(project: &Project, id: &NodeId) -> bool {
    project.nodes.get(id).is_some_and(|node| match node.resource_type() {
        ResourceType::Model
        | ResourceType::Function
        | ResourceType::Test
        | ResourceType::Analysis
        | ResourceType::Seed
        | ResourceType::Snapshot
        | ResourceType::UnitTest => true,
        ResourceType::Exposure | ResourceType::Metric | ResourceType::SavedQuery | ResourceType::SemanticModel | ResourceType::Source => false,
    })
}
