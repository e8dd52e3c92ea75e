//! What templates are told of relations that are not there yet while a command compiles against the warehouse: the columns
//! that were compiled for them, or that the answer has to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deltalake::arrow::datatypes::SchemaRef;

use super::{Compilation, Surroundings};
use crate::base::{Diagnostic, Heard};
use crate::jinja::{HostError, QueryTable, RelationFacts, RelationKind};
use crate::manifest::{Materialization, Node, NodeId, RelationName};
use crate::sql::{FileCall, type_name};

/// Answers as what it is made of, but for nodes compiled before whose relation is missing.
pub(super) struct Foreseen {
    inner: Arc<dyn Surroundings>,
    /// Nodes compiled so far.
    compiled: Mutex<BTreeMap<RelationName, Seen>>,
}

/// What is known of a node that was compiled.
#[derive(Debug, Clone)]
enum Seen {
    Known(RelationFacts),
    /// Its columns show only in a run.
    Unknown,
}

impl Foreseen {
    pub(super) fn new(inner: &Arc<dyn Surroundings>) -> Self {
        Self { inner: Arc::clone(inner), compiled: Mutex::default() }
    }

    pub(super) fn note(&self, node: &Node, compilation: &Compilation) {
        let built = node.resource_type().is_referable();
        let Some(name) = node.relation.as_ref().filter(|_| built) else { return };
        let schema = match compilation {
            Compilation::Ready(compiled) => compiled.schema.as_ref(),
            Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. } => None,
        };
        let kind = if node.config.materialization == Materialization::View { RelationKind::View } else { RelationKind::Table };
        let columns = |schema: &SchemaRef| schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
        let facts = schema.map_or(Seen::Unknown, |schema| Seen::Known(RelationFacts { kind, columns: columns(schema) }));
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), facts);
    }

    fn compiled(&self, name: &RelationName) -> Option<Seen> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A compiled node that a query reads and that is not there.
    fn missing_in(&self, sql: &str) -> Option<RelationName> {
        let named: Vec<RelationName> = {
            let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            // Templates of some adapters print names in backquotes.
            let sql = sql.replace('`', "\"");
            compiled.keys().filter(|name| sql.contains(&name.to_string())).cloned().collect()
        };
        named.into_iter().find(|name| matches!(self.inner.relation(name), Ok(None)))
    }
}

fn wait(name: &RelationName) -> HostError {
    HostError::Deferred { reason: format!("it asks for {name}, which is not built yet") }
}

#[async_trait]
impl Surroundings for Foreseen {
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
        match self.inner.query(sql) {
            Err(HostError::Diagnostic(failed)) => Err(self.missing_in(sql).map_or(HostError::Diagnostic(failed), |name| wait(&name))),
            Ok(answer) => {
                // What a template has dropped itself is to be gone for it.
                if sql.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("drop")) {
                    self.compiled.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
                Ok(answer)
            }
            Err(deferred @ HostError::Deferred { .. }) => Err(deferred),
        }
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        match (self.inner.relation(name)?, self.compiled(name)) {
            (None, Some(Seen::Known(foreseen))) => Ok(Some(foreseen)),
            (None, Some(Seen::Unknown)) => Err(wait(name)),
            (known, _) => Ok(known),
        }
    }

    fn log(&self, message: &str, heard: Heard, node: &NodeId) {
        self.inner.log(message, heard, node);
    }
}
