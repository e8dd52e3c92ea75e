//! What compiling may ask of the world, answered from what is written down: locked and declared schemas, and those of
//! the nodes that were compiled before.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::arrow::datatypes::SchemaRef;
use serde_json::Value as Json;

use super::kept::Standing;
use super::record::Finding;
use crate::base::{Code, Diagnostic, Event, Events, Heard, Severity};
use crate::compile::{Planner, Surroundings};
use crate::jinja::{HostError, QueryTable, RelationFacts, RelationKind};
use crate::load::ProjectDialect;
use crate::manifest::{ColumnDecl, Node, NodeId, NodeKind, RelationName};
use crate::resolve::Project;
use crate::sql::{parse_type, type_name};

/// Schemas that are known without a warehouse.
#[derive(Debug)]
pub struct Offline {
    /// Of sources and seeds.
    inputs: BTreeMap<NodeId, SchemaRef>,
    /// Of the own tables of incremental models and snapshots.
    tables: BTreeMap<NodeId, SchemaRef>,
    learned: RwLock<HashMap<RelationName, SchemaRef>>,
    /// How nodes stand after earlier commands, not read yet.
    kept: RwLock<HashMap<NodeId, Bytes>>,
    events: Events,
}

impl Offline {
    /// `inputs` are sources and seeds, `tables` the own tables of nodes that add to theirs.
    #[must_use]
    pub fn new(project: &Project, inputs: BTreeMap<NodeId, SchemaRef>, tables: BTreeMap<NodeId, SchemaRef>, events: Events) -> Self {
        let named = |(id, schema): (&NodeId, &SchemaRef)| Some((project.nodes.get(id)?.relation.clone()?, Arc::clone(schema)));
        let learned = inputs.iter().filter_map(named).collect();
        Self { inputs, tables, learned: RwLock::new(learned), kept: RwLock::default(), events }
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

    /// What is wrong with how a source is described, or that its columns are not known.
    pub(super) fn about_source(&self, project: &Project, planner: &Planner, node: &Node) -> Vec<Finding> {
        let NodeKind::Source { source_name, .. } = &node.kind else { return Vec::new() };
        let mut found: Vec<Diagnostic> = node.columns.values().filter_map(|column| unknown_type(project, node, column)).collect();
        match self.inputs.get(&node.id) {
            Some(schema) => found.extend(wrong_freshness(project, planner, node, schema)),
            None => found.push(unknown_source(project, node, source_name)),
        }
        found.into_iter().map(|diagnostic| Finding { node: Some(node.id.clone()), diagnostic }).collect()
    }
}

/// dbt never reads the types that a source declares, so in a project for dbt they may be those of any database.
fn unknown_type(project: &Project, node: &Node, column: &ColumnDecl) -> Option<Diagnostic> {
    let why = parse_type(column.data_type.as_deref()?).err()?;
    let message = format!("the column `{}` of `{}` has no type that is known: {why}", column.name, node.label());
    let severity = match project.parsed.root.project.dialect {
        ProjectDialect::Alluvium => Severity::Error,
        ProjectDialect::Dbt => Severity::Warning,
    };
    let diagnostic = Diagnostic::error(Code::TypeUnknown, message).at(column.type_span.unwrap_or(column.span), "this type");
    Some(Diagnostic { severity, ..diagnostic.help("write it as a `cast` in a query would, e.g. `bigint`, `decimal(18, 2)` or `timestamp`") })
}

/// What tells when rows came has to be there.
fn wrong_freshness(project: &Project, planner: &Planner, node: &Node, schema: &SchemaRef) -> Vec<Diagnostic> {
    let over = [(node.name.as_str(), schema)];
    let field = node.config.raw.get("loaded_at_field").and_then(Json::as_str);
    let filter = node.config.raw.get("freshness").and_then(|rules| rules.get("filter")).and_then(Json::as_str);
    let wrong = [
        field.and_then(|text| Some(("loaded_at_field", text, planner.wrong_value(text, &over)?))),
        filter.and_then(|text| Some(("freshness", text, planner.wrong_condition(text, &over)?))),
    ];
    let found = wrong.into_iter().flatten().map(|(key, text, error)| {
        let message = format!("the `{}` of `{}` can't be read: {}", if key == "freshness" { "filter" } else { key }, node.label(), error.message);
        let place = node.config.place(key).unwrap_or_else(|| project.place_of(node));
        let mut diagnostic = Diagnostic::error(error.code, message).at(place, "asked for here").note(format!("it says: {text}"));
        diagnostic.help = error.help;
        diagnostic
    });
    found.collect()
}

fn unknown_source(project: &Project, node: &Node, source_name: &str) -> Diagnostic {
    Diagnostic::warning(Code::SourceUnknown, format!("the columns of the source `{source_name}.{}` are not known", node.name))
        .at(project.place_of(node), "this table")
        .note("what reads it is not proved")
        .help("run `alluvium sources lock` where the source can be read, or list all its columns with their `data_type`")
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
#[derive(Debug)]
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
