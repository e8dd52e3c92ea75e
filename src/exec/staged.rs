//! What compiling sees while a node is audited: the staged columns of a relation in the place of the published ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deltalake::arrow::datatypes::SchemaRef;

use crate::base::{Diagnostic, Heard};
use crate::compile::Surroundings;
use crate::engine::{Engine, Overlay};
use crate::jinja::{HostError, QueryTable, RelationFacts, RelationKind};
use crate::manifest::{Node, NodeId, RelationName};
use crate::sql::{FileCall, type_name};

/// Answers from what is staged, and else as the engine does.
pub(super) struct StagedPort {
    published: Arc<dyn Surroundings>,
    staged: Mutex<HashMap<RelationName, RelationFacts>>,
}

impl StagedPort {
    pub(super) fn new(published: Arc<dyn Surroundings>) -> Self {
        Self { published, staged: Mutex::default() }
    }

    /// From now on a relation has the columns that an overlay gives it, until [`StagedPort::forget`]. If the overlay can't
    /// be planned the audits say so themselves.
    pub(super) async fn note(&self, engine: &dyn Engine, name: &RelationName, overlays: &[Overlay]) {
        let Ok(stream) = engine.query(&format!("select * from {name} limit 0"), overlays).await else { return };
        let columns = stream.schema().fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
        let view = overlays.iter().any(|overlay| matches!(overlay, Overlay::Query { .. }));
        let facts = RelationFacts { kind: if view { RelationKind::View } else { RelationKind::Table }, columns };
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), facts);
    }

    pub(super) fn forget(&self, name: &RelationName) {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[async_trait]
impl Surroundings for StagedPort {
    async fn schema(&self, node: &Node) -> Option<SchemaRef> {
        self.published.schema(node).await
    }

    async fn table(&self, node: &Node) -> Option<SchemaRef> {
        self.published.table(node).await
    }

    async fn files(&self, call: &FileCall) -> Result<Option<SchemaRef>, Box<Diagnostic>> {
        self.published.files(call).await
    }

    fn query(&self, sql: &str) -> Result<QueryTable, HostError> {
        self.published.query(sql)
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        let staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if staged.is_some() { Ok(staged) } else { self.published.relation(name) }
    }

    fn log(&self, message: &str, heard: Heard, node: &NodeId) {
        self.published.log(message, heard, node);
    }
}
