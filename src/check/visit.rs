//! One node: compiled against the schemas of its parents, an incremental model in both its forms.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::kept::{Notes, Outcome, Standing, Witness, is_ephemeral, seen_by_readers};
use super::lock::declared_schema;
use super::offline::{Grown, Offline};
use super::state::node_text;
use crate::base::{Code, Diagnostic};
use crate::compile::{Compilation, Planner, Surroundings, compile_node, proved_test, wrong_hooks};
use crate::manifest::{Materialization, Node, NodeId, NodeKind, ResourceType};
use crate::resolve::Project;
use crate::sql::Semantics;

/// What is known of a node after a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// It was planned against schemas that are known.
    Proved,
    /// It has an error.
    Wrong,
    /// Not all that it reads is known.
    Unknown { because: String },
}

/// What all visits of a check share.
pub(super) struct Ground<'a> {
    pub project: &'a Arc<Project>,
    pub planner: &'a Planner,
    pub offline: &'a Arc<Offline>,
}

/// The nodes before the one that is visited.
#[derive(Default)]
pub(super) struct Before {
    pub done: BTreeMap<NodeId, Compilation>,
    /// Nodes that are not proved and whose contract says what they yield: their readers go by that.
    pub held: BTreeSet<NodeId>,
}

/// A node that was compiled now.
pub(super) struct Visited {
    pub compilation: Compilation,
    /// What its contract promises where it is not proved.
    pub promised: Option<SchemaRef>,
    pub outcome: Outcome<'static>,
    pub notes: Arc<Notes>,
}

impl Ground<'_> {
    pub(super) async fn visit(&self, node: &Node, before: &Before) -> Visited {
        let notes = Arc::<Notes>::default();
        let (compilation, mut found) = self.compiled(node, before, &notes).await;
        let proof = self.proof(node, &compilation, &found, before);
        if let Compilation::Deferred { reason } = &compilation {
            found.push(not_proved(node, reason));
        }
        let promised = promised(node, &compilation, self.project.target.semantics());
        let ready = match &compilation {
            Compilation::Ready(ready) => Some(ready.as_ref()),
            Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. } => None,
        };
        let outcome = Outcome {
            seen: seen_by_readers(&compilation, promised.as_ref()),
            proof,
            found,
            state: node_text(node, ready, self.offline, self.project.target.semantics()).map(Cow::Owned),
            proved: proved_test(self.project, &before.done, node),
            standing: Standing::of(node, &compilation, promised.as_ref()).bytes(),
        };
        Visited { compilation, promised, outcome, notes }
    }

    async fn compiled(&self, node: &Node, before: &Before, notes: &Arc<Notes>) -> (Compilation, Vec<Diagnostic>) {
        if let Some(parent) = self.missing_text(node, before) {
            return (Compilation::Skipped { because: parent }, Vec::new());
        }
        let mut compilation = self.compile(node, before, self.offline, notes).await;
        let mut found = diagnostics(&compilation);
        if let Compilation::Ready(ready) = &compilation {
            let schema = ready.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
            let quiet: Arc<dyn Surroundings> = Arc::new(Grown { offline: Arc::clone(self.offline), id: node.id.clone(), schema });
            found.extend(wrong_hooks(self.project, node, &quiet));
        }
        if let Some(base) = self.grows(node, &compilation) {
            let grown = Arc::new(Grown { offline: Arc::clone(self.offline), id: node.id.clone(), schema: base });
            let second = self.compile(node, before, &grown, notes).await;
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
        (compilation, found)
    }

    async fn compile<S: Surroundings + 'static>(&self, node: &Node, before: &Before, inner: &Arc<S>, notes: &Arc<Notes>) -> Compilation {
        let surroundings: Arc<dyn Surroundings> = Arc::new(Witness {
            inner: Arc::clone(inner),
            offline: Arc::clone(self.offline),
            project: Arc::clone(self.project),
            notes: Arc::clone(notes),
        });
        compile_node(self.project, self.planner, node, &before.done, &surroundings).await
    }

    /// An ephemeral parent that did not compile leaves a hole in the text.
    fn missing_text(&self, node: &Node, before: &Before) -> Option<NodeId> {
        let ephemeral = |id: &&NodeId| self.project.nodes.get(*id).is_some_and(|node| is_ephemeral(node));
        node.depends_on.iter().filter(ephemeral).find(|id| !matches!(before.done.get(*id), Some(Compilation::Ready(_)))).cloned()
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

    fn proof(&self, node: &Node, compilation: &Compilation, found: &[Diagnostic], before: &Before) -> Proof {
        if found.iter().any(Diagnostic::is_error) {
            return Proof::Wrong;
        }
        match compilation {
            Compilation::Ready(ready)
                if ready.query_schema.is_some() || matches!(node.resource_type(), ResourceType::Analysis | ResourceType::Function) =>
            {
                Proof::Proved
            }
            Compilation::Ready(_) => match (&node.kind, self.unknown_parent(node, before)) {
                // Its inputs are written in it, so it is as well known as the model that it is about.
                (NodeKind::UnitTest(unit), _) if self.is_known(&unit.tested, before) => Proof::Proved,
                (_, because) => Proof::Unknown { because },
            },
            Compilation::Deferred { reason } => Proof::Unknown { because: reason.clone() },
            Compilation::Skipped { because } => Proof::Unknown { because: format!("of `{because}`") },
            Compilation::Failed(_) => Proof::Wrong,
        }
    }

    fn is_known(&self, id: &NodeId, before: &Before) -> bool {
        match before.done.get(id) {
            _ if before.held.contains(id) => true,
            Some(Compilation::Ready(parent)) => parent.schema.is_some(),
            Some(Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }) => false,
            None => self.offline.knows(id),
        }
    }

    fn unknown_parent(&self, node: &Node, before: &Before) -> String {
        node.depends_on
            .iter()
            .find(|id| !self.is_known(id, before))
            .map_or_else(|| "it reads what is no node of the project".to_owned(), |id| format!("the columns of `{id}` are not known"))
    }
}

/// What the contract of a node that is not proved promises to its readers.
fn promised(node: &Node, compilation: &Compilation, semantics: Semantics) -> Option<SchemaRef> {
    let known = matches!(compilation, Compilation::Ready(ready) if ready.schema.is_some());
    if known || !node.config.contract_enforced || node.config.contract_subset || node.relation.is_none() {
        return None;
    }
    declared_schema(node, semantics)
}

fn diagnostics(compilation: &Compilation) -> Vec<Diagnostic> {
    match compilation {
        Compilation::Ready(ready) => ready.warnings.clone(),
        Compilation::Failed(broken) => broken.found.clone(),
        Compilation::Deferred { .. } | Compilation::Skipped { .. } => Vec::new(),
    }
}

fn not_proved(node: &Node, reason: &str) -> Diagnostic {
    Diagnostic::warning(Code::NotProved, format!("`{}` can't be proved before a run: {reason}", node.name))
        .at(node.span, format!("this {}", node.resource_type().name()))
        .help("what reads it is checked without its columns; a contract on it would make them known")
}
