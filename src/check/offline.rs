//! What compiling may ask of the world, answered from what is written down: locked and declared schemas, and those of
//! the nodes that were compiled before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::arrow::datatypes::SchemaRef;

use super::kept::Standing;
use crate::base::{Diagnostic, Event, Events, Heard};
use crate::compile::Surroundings;
use crate::engine::{Engine, known_files};
use crate::jinja::{HostError, QueryTable, RelationFacts, RelationKind};
use crate::manifest::{Node, NodeId, NodeMap, RelationName};
use crate::resolve::Project;
use crate::sql::{FileCall, type_name};

/// Schemas that are known without a warehouse.
pub struct Offline {
    /// Of sources and seeds.
    inputs: BTreeMap<NodeId, SchemaRef>,
    /// Sources whose columns are those that their description lists.
    described: BTreeSet<NodeId>,
    /// Why the files of a source can't be read.
    unreadable: BTreeMap<NodeId, Diagnostic>,
    /// Of the own tables of incremental models and snapshots.
    tables: BTreeMap<NodeId, SchemaRef>,
    learned: RwLock<HashMap<RelationName, SchemaRef>>,
    /// How nodes stand after earlier commands, not read yet.
    kept: RwLock<NodeMap<Bytes>>,
    events: Events,
    /// Looks at files of the project that queries name.
    engine: Option<Arc<dyn Engine>>,
}

/// Whether a location lies in the project's folder.
#[must_use]
pub fn is_below(location: &str) -> bool {
    !location.contains("://") && !location.starts_with(['/', '\\', '~']) && !location.split(['/', '\\']).any(|part| part == "..")
}

impl Offline {
    /// `inputs` are sources and seeds, `tables` the own tables of nodes that add to theirs.
    #[must_use]
    pub fn new(project: &Project, inputs: BTreeMap<NodeId, SchemaRef>, tables: BTreeMap<NodeId, SchemaRef>, events: Events) -> Self {
        let named = |(id, schema): (&NodeId, &SchemaRef)| Some((project.nodes.get(id)?.relation.clone()?, Arc::clone(schema)));
        let learned = inputs.iter().filter_map(named).collect();
        Self {
            inputs,
            described: BTreeSet::new(),
            unreadable: BTreeMap::new(),
            tables,
            learned: RwLock::new(learned),
            kept: RwLock::default(),
            events,
            engine: None,
        }
    }

    /// With the sources of which nothing but their description is known.
    #[must_use]
    pub fn with_described(self, described: BTreeSet<NodeId>) -> Self {
        Self { described, ..self }
    }

    /// With what looks at files of the project.
    #[must_use]
    pub fn with_engine(self, engine: Arc<dyn Engine>) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// Whether the columns of a source are those that its description lists.
    pub(super) fn is_described(&self, id: &NodeId) -> bool {
        self.described.contains(id)
    }

    /// With what is wrong with the files of sources.
    #[must_use]
    pub fn with_unreadable(self, unreadable: BTreeMap<NodeId, Diagnostic>) -> Self {
        Self { unreadable, ..self }
    }

    /// Why the files of a source can't be read.
    pub(super) fn unreadable(&self, id: &NodeId) -> Option<&Diagnostic> {
        self.unreadable.get(id)
    }

    /// The schema of a source or a seed.
    pub(super) fn input(&self, id: &NodeId) -> Option<SchemaRef> {
        self.inputs.get(id).cloned()
    }

    pub(super) fn knows(&self, id: &NodeId) -> bool {
        self.inputs.contains_key(id)
    }

    pub(super) fn locked_table(&self, id: &NodeId) -> Option<SchemaRef> {
        self.tables.get(id).cloned()
    }

    /// Notes what the relation of a compiled node has.
    pub(super) fn learn(&self, relation: &RelationName, schema: &SchemaRef) {
        self.learned.write().unwrap_or_else(PoisonError::into_inner).insert(relation.clone(), Arc::clone(schema));
    }

    /// Takes what an earlier command kept of a node.
    pub(super) fn keep(&self, id: &NodeId, standing: Bytes) {
        self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), standing);
    }

    pub(super) fn take_kept(&self, id: &NodeId) -> Option<Standing> {
        let bytes = self.kept.write().unwrap_or_else(PoisonError::into_inner).remove(id)?;
        Some(Standing::from_bytes(&bytes))
    }

    /// What is known of a relation whose node was not looked at any more.
    pub(super) fn kept_relation(&self, id: &NodeId) -> Option<RelationFacts> {
        let bytes = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(id)?.clone();
        let schema = Standing::from_bytes(&bytes).schema()?;
        Some(relation_facts(&schema))
    }
}

#[async_trait]
impl Surroundings for Offline {
    async fn schema(&self, node: &Node) -> Option<SchemaRef> {
        let known = || self.learned.read().unwrap_or_else(PoisonError::into_inner).get(node.relation.as_ref()?).cloned();
        self.inputs.get(&node.id).cloned().or_else(known)
    }

    /// A first build; [`Grown`] is any other.
    async fn table(&self, _node: &Node) -> Option<SchemaRef> {
        None
    }

    /// Data need not be where a check runs: only files of the project are looked at.
    async fn files(&self, call: &FileCall) -> Result<Option<SchemaRef>, Box<Diagnostic>> {
        match &self.engine {
            Some(engine) if call.paths.iter().all(|path| is_below(path)) => known_files(engine.files_schema(call).await),
            Some(_) | None => Ok(None),
        }
    }

    fn query(&self, _sql: &str) -> Result<QueryTable, HostError> {
        Err(HostError::Deferred { reason: "it runs a query".into() })
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        let Some(schema) = learned.get(name) else {
            return Err(HostError::Deferred { reason: format!("it looks up the relation {name}") });
        };
        Ok(Some(relation_facts(schema)))
    }

    fn may_block(&self) -> bool {
        false
    }

    fn log(&self, message: &str, heard: Heard, node: &NodeId) {
        self.events.send(&Event::Message { text: message.to_owned(), heard, node: Some(node.to_string()) });
    }
}

fn relation_facts(schema: &SchemaRef) -> RelationFacts {
    let columns = schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
    RelationFacts { kind: RelationKind::Table, columns }
}

/// The same, with a table of its own for one node.
pub(super) struct Grown {
    pub offline: Arc<Offline>,
    pub id: NodeId,
    pub schema: SchemaRef,
}

#[async_trait]
impl Surroundings for Grown {
    async fn schema(&self, node: &Node) -> Option<SchemaRef> {
        if node.id == self.id { Some(Arc::clone(&self.schema)) } else { self.offline.schema(node).await }
    }

    async fn table(&self, node: &Node) -> Option<SchemaRef> {
        (node.id == self.id).then(|| Arc::clone(&self.schema))
    }

    async fn files(&self, call: &FileCall) -> Result<Option<SchemaRef>, Box<Diagnostic>> {
        self.offline.files(call).await
    }

    fn query(&self, sql: &str) -> Result<QueryTable, HostError> {
        self.offline.query(sql)
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        self.offline.relation(name)
    }

    /// The first form has said it already.
    fn log(&self, _message: &str, _heard: Heard, _node: &NodeId) {}

    fn may_block(&self) -> bool {
        false
    }
}
