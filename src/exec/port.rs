//! The engine as compiling sees it: schemas of what is there, and queries that templates make.

use std::sync::Arc;

use async_trait::async_trait;
use deltalake::arrow::datatypes::SchemaRef;
use futures::StreamExt as _;
use tokio::runtime::Handle;

use crate::base::{Code, Diagnostic, Event, Events, Heard};
use crate::compile::Surroundings;
use crate::engine::{Engine, EngineError, RelationKind, json_rows, known_files};
use crate::jinja::{HostError, QueryTable, RelationFacts};
use crate::manifest::{Node, NodeId, NodeKind, RelationName};
use crate::sql::{FileCall, respelt_texts, split_statements, type_name};

/// The most rows that a template may fetch; more would be data work that belongs into SQL.
const ROW_LIMIT: usize = 1_000_000;

/// Answers compiling from an engine.
pub struct EnginePort {
    pub engine: Arc<dyn Engine>,
    pub events: Events,
    pub runtime: Handle,
    /// Whether queries are answered. Before a run they are not: their parents may be about to be built.
    pub queries: bool,
}

#[async_trait]
impl Surroundings for EnginePort {
    async fn schema(&self, node: &Node) -> Option<SchemaRef> {
        if matches!(node.kind, NodeKind::Seed { .. }) {
            return self.engine.seed_schema(&crate::plan::seed_input(node)?).await.ok();
        }
        let state = self.engine.relation(node.relation.as_ref()?).await.ok()??;
        Some(state.schema)
    }

    async fn table(&self, node: &Node) -> Option<SchemaRef> {
        let state = self.engine.relation(node.relation.as_ref()?).await.ok()??;
        (state.kind == RelationKind::Table).then_some(state.schema)
    }

    async fn files(&self, call: &FileCall) -> Result<Option<SchemaRef>, Box<Diagnostic>> {
        known_files(self.engine.files_schema(call).await)
    }

    fn query(&self, sql: &str) -> Result<QueryTable, HostError> {
        if !self.queries {
            return Err(HostError::Deferred { reason: "it runs a query".into() });
        }
        self.runtime.block_on(run_text(self.engine.as_ref(), sql)).map_err(|error| HostError::from(query_failed(sql, &error)))
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        if !self.queries {
            return Err(HostError::Deferred { reason: format!("it looks up the relation {name}") });
        }
        let state = self.runtime.block_on(self.engine.relation(name));
        let state = state.map_err(|error| HostError::from(Diagnostic::error(Code::JinjaRuntime, error.to_string())))?;
        Ok(state.map(|state| RelationFacts {
            kind: if state.kind == RelationKind::View { crate::jinja::RelationKind::View } else { crate::jinja::RelationKind::Table },
            columns: state.schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect(),
        }))
    }

    fn log(&self, message: &str, heard: Heard, node: &NodeId) {
        self.events.send(&Event::Message { text: message.to_owned(), heard, node: Some(node.to_string()) });
    }
}

/// Runs the statements of a text in order; the rows are those of the last.
pub(super) async fn run_text(engine: &dyn Engine, sql: &str) -> Result<QueryTable, EngineError> {
    let sql = &*respelt_texts(engine.semantics(), sql);
    let ranges = split_statements(sql).map_err(|error| EngineError::Sql(Box::new(error)))?;
    let mut table = QueryTable::default();
    for range in ranges {
        table = rows(engine, sql.get(range).unwrap_or_default()).await?;
    }
    Ok(table)
}

async fn rows(engine: &dyn Engine, sql: &str) -> Result<QueryTable, EngineError> {
    let Some(mut stream) = engine.statement(sql).await? else { return Ok(QueryTable::default()) };
    let mut table = QueryTable {
        columns: stream.schema().fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect(),
        rows: Vec::new(),
    };
    while let Some(batch) = stream.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return Err(engine.failure(error, sql, &[]).await),
        };
        let batch =
            json_rows(&batch).map_err(|error| EngineError::Storage { context: "a result can't be shown".into(), reason: error.to_string() })?;
        table.rows.extend(batch);
        if table.rows.len() > ROW_LIMIT {
            return Err(EngineError::Unsupported {
                message: format!("a template's query gave more than {ROW_LIMIT} rows"),
                help: Some("aggregate in the query, or use a limit".into()),
            });
        }
    }
    Ok(table)
}

fn query_failed(sql: &str, error: &EngineError) -> Diagnostic {
    let shown: String = sql.trim().chars().take(200).collect();
    Diagnostic::error(Code::JinjaRuntime, format!("a query of the template fails: {error}")).note(format!("the query: {shown}"))
}
