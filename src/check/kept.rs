//! What a node's check came to, kept between commands by everything it depends on.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use super::Offline;
use super::visit::Proof;
use crate::base::{Diagnostic, Fingerprint, Fingerprinter, Heard, Memo, Sources, StoredDiagnostics, read_record, record_of};
use crate::compile::{Asked, Compilation, KeptNode, Planner, Surroundings, kept_schema, restored_schema};
use crate::jinja::{HostError, QueryTable, RelationFacts};
use crate::manifest::{Node, NodeId, NodeKind, NodeMap, RelationName};
use crate::resolve::Project;
use crate::sql::FileCall;

/// How a node stands for its readers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Standing {
    Ready(KeptNode),
    /// An ephemeral model that compiles: its readers need its text, so it is compiled again.
    Ephemeral,
    /// The columns that the contract of a node promises that is not proved itself.
    Promised(Vec<u8>),
    /// Nothing is known of its columns.
    Unknown,
}

impl Standing {
    pub(super) fn of(node: &Node, compilation: &Compilation, promised: Option<&SchemaRef>) -> Self {
        match (compilation, promised) {
            (_, Some(schema)) => Self::Promised(kept_schema(schema)),
            (Compilation::Ready(_), None) if is_ephemeral(node) => Self::Ephemeral,
            (Compilation::Ready(ready), None) => Self::Ready(KeptNode::of(ready)),
            (Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }, None) => Self::Unknown,
        }
    }

    /// As it is kept.
    pub(super) fn bytes(&self) -> Bytes {
        record_of(self).unwrap_or_default().into()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        read_record(bytes).unwrap_or(Self::Unknown)
    }

    pub(super) fn schema(&self) -> Option<SchemaRef> {
        match self {
            Self::Ready(kept) => kept.schema(),
            Self::Promised(bytes) => restored_schema(bytes),
            Self::Ephemeral | Self::Unknown => None,
        }
    }
}

pub(super) fn is_ephemeral(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Model) && node.relation.is_none()
}

/// What readers see of a node that was compiled now.
pub(super) fn seen_by_readers(compilation: &Compilation, promised: Option<&SchemaRef>) -> Fingerprint {
    let mut of = Fingerprinter::new("compilation");
    match compilation {
        Compilation::Ready(ready) => of.add(&0_u8).add(&ready.fingerprint_for_readers()),
        Compilation::Deferred { .. } => of.add(&1_u8),
        Compilation::Failed(_) => of.add(&2_u8),
        Compilation::Skipped { .. } => of.add(&3_u8),
    };
    of.add(&promised.map(AsRef::as_ref));
    of.finish()
}

/// A record of the memo; texts are borrowed from it, and how the node stands is read when somebody wants to know.
#[derive(Serialize, Deserialize)]
struct Record<'r> {
    conditions: Vec<(Condition, Fingerprint)>,
    seen: Fingerprint,
    proof: Proof,
    found: StoredDiagnostics,
    #[serde(borrow)]
    state: Option<&'r str>,
    #[serde(borrow)]
    proved: Option<&'r str>,
    #[serde(borrow)]
    standing: &'r [u8],
}

/// What else must be as it was.
#[derive(Serialize, Deserialize)]
enum Condition {
    Environment(String),
    Flags,
}

impl Condition {
    fn now(&self, project: &Project) -> Fingerprint {
        match self {
            Self::Environment(name) => Fingerprint::of_environment(name),
            Self::Flags => {
                let mut of = Fingerprinter::new("flags");
                of.json(&project.invocation.flags);
                of.finish()
            }
        }
    }
}

/// What a node's check came to.
pub(super) struct Outcome<'m> {
    /// What readers see of it, beside the node itself.
    pub seen: Fingerprint,
    pub proof: Proof,
    pub found: Vec<Diagnostic>,
    /// Its part of `lineage.json`.
    pub state: Option<Cow<'m, str>>,
    /// Of a test that can't fail: why.
    pub proved: Option<String>,
    /// A [`Standing`], as it is kept.
    pub standing: Bytes,
}

/// What fingerprints of nodes have in common: everything of the project that is not in the nodes.
pub(super) fn ground(project: &Project) -> Fingerprint {
    let mut of = Fingerprinter::new("check");
    of.add(&project.ground).debug(&project.sample).debug(&project.event_time).debug(&project.warned);
    of.add(&project.is_flag("EMPTY")).add(&project.is_flag("FULL_REFRESH"));
    of.finish()
}

/// The key of a node: what its check depends on. `readers` has what is seen of the nodes before it.
pub(super) fn key(ground: &Fingerprint, project: &Project, node: &Node, readers: &NodeMap<Fingerprint>, offline: &Offline) -> Fingerprint {
    let mut of = Fingerprinter::new("node's check");
    of.add(ground).add(&node.fingerprint()).add(&offline.locked_table(&node.id));
    for parent in &node.depends_on {
        of.add(&readers.get(parent));
    }
    if let NodeKind::UnitTest(unit) = &node.kind {
        let tested = project.nodes.get(&unit.tested);
        of.add(&tested.map(|node| node.fingerprint()));
        for read in tested.iter().flat_map(|tested| &tested.depends_on).chain(unit.given.iter().map(|given| &given.node)) {
            of.add(&readers.get(read));
        }
    }
    of.finish()
}

/// What a reader of a node goes by: what is seen of its compilation, what is declared, and what tests look after.
pub(super) fn for_readers(node: &Node, planner: &Planner, seen: &Fingerprint) -> Fingerprint {
    let mut of = Fingerprinter::new("reader");
    of.add(seen).add(&node.fingerprint_for_readers()).add(planner.tested(&node.id));
    of.finish()
}

/// What an earlier command found, if it would be found again.
pub(super) fn recall<'m>(memo: &'m Memo, key: &Fingerprint, project: &Project, sources: &Sources) -> Option<Outcome<'m>> {
    let bytes = memo.get(key)?;
    let record: Record<'m> = read_record(bytes)?;
    if record.conditions.iter().any(|(condition, then)| condition.now(project) != *then) {
        return None;
    }
    Some(Outcome {
        seen: record.seen,
        proof: record.proof,
        found: if record.found.is_empty() { Vec::new() } else { record.found.restored(sources)? },
        state: record.state.map(Cow::Borrowed),
        proved: record.proved.map(str::to_owned),
        standing: bytes.slice_ref(record.standing),
    })
}

/// Keeps what was found, unless something was asked that can't be told from another time.
pub(super) fn keep(memo: &Memo, key: Fingerprint, outcome: &Outcome<'_>, notes: &Notes, project: &Project) {
    let asked = notes.0.lock().unwrap_or_else(PoisonError::into_inner);
    if !memo.keeps() || asked.contains(&Asked::Beyond) {
        return;
    }
    let conditions = asked.iter().filter_map(|asked| match asked {
        Asked::Environment(name) => Some(Condition::Environment(name.clone())),
        Asked::Flags => Some(Condition::Flags),
        Asked::Beyond => None,
    });
    let sources = &project.sources;
    let record = Record {
        conditions: conditions.map(|condition| (condition.now(project), condition)).map(|(now, condition)| (condition, now)).collect(),
        seen: outcome.seen,
        proof: outcome.proof.clone(),
        found: StoredDiagnostics::new(&outcome.found, sources),
        state: outcome.state.as_deref(),
        proved: outcome.proved.as_deref(),
        standing: &outcome.standing,
    };
    if let Some(bytes) = record_of(&record) {
        memo.put(key, bytes);
    }
}

/// What a node asked for while it was compiled.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<BTreeSet<Asked>>);

impl Notes {
    fn add(&self, asked: Asked) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(asked);
    }
}

/// Surroundings that note what they are asked.
pub(super) struct Witness<S> {
    pub inner: Arc<S>,
    pub offline: Arc<Offline>,
    pub project: Arc<Project>,
    pub notes: Arc<Notes>,
}

#[async_trait]
impl<S: Surroundings + 'static> Surroundings for Witness<S> {
    async fn schema(&self, node: &Node) -> Option<SchemaRef> {
        self.inner.schema(node).await
    }

    async fn table(&self, node: &Node) -> Option<SchemaRef> {
        self.inner.table(node).await
    }

    async fn files(&self, call: &FileCall) -> Result<Option<SchemaRef>, Box<Diagnostic>> {
        self.inner.files(call).await
    }

    fn query(&self, sql: &str) -> Result<QueryTable, HostError> {
        self.notes.add(Asked::Beyond);
        self.inner.query(sql)
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        self.notes.add(Asked::Beyond);
        let kept = || self.offline.kept_relation(&self.project.node_of_relation(name)?.id);
        self.inner.relation(name).or_else(|error| kept().map(Some).ok_or(error))
    }

    fn log(&self, message: &str, heard: Heard, node: &NodeId) {
        self.notes.add(Asked::Beyond);
        self.inner.log(message, heard, node);
    }

    fn may_block(&self) -> bool {
        self.inner.may_block()
    }

    fn note(&self, asked: Asked) {
        self.notes.add(asked);
    }
}
