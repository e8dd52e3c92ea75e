//! What templates ask for, where no project stands behind them.

use alluvium::base::Span;
use alluvium::jinja::{HostError, Invocation, QueryTable, RefCall, RelationFacts, RelationKind, SourceCall, TemplateHost};
use alluvium::manifest::RelationName;
use serde_json::{Map, Value as Json, json};

/// Has an answer to everything.
pub struct Host {
    pub execute: bool,
}

impl TemplateHost for Host {
    fn execute(&self) -> bool {
        self.execute
    }

    fn reference(&self, call: &RefCall) -> Result<RelationName, HostError> {
        Ok(RelationName::new("db", "main", call.name.as_str()))
    }

    fn source(&self, call: &SourceCall) -> Result<RelationName, HostError> {
        Ok(RelationName::new("db", call.source.as_str(), call.table.as_str()))
    }

    fn config(&self, _: Map<String, Json>, _: Option<Span>) -> Result<(), HostError> {
        Ok(())
    }

    fn config_get(&self, key: &str) -> Option<Json> {
        (key == "materialized").then(|| json!("table"))
    }

    fn var(&self, name: &str) -> Option<Json> {
        (!name.is_empty()).then(|| json!([1, {"a": null}, "text", 2.5]))
    }

    fn this(&self) -> Option<RelationName> {
        Some(RelationName::new("db", "main", "me"))
    }

    fn target(&self) -> Json {
        json!({"name": "dev", "schema": "main", "database": "db", "type": "alluvium"})
    }

    fn model(&self) -> Json {
        json!({"name": "me", "columns": {"id": {"name": "id"}}})
    }

    fn graph(&self) -> Json {
        json!({"nodes": {"model.p.a": {"name": "a"}}, "sources": {}})
    }

    fn project_name(&self) -> String {
        "root".to_owned()
    }

    fn invocation(&self) -> Invocation {
        Invocation { id: "i".to_owned(), run_started_at: chrono::DateTime::UNIX_EPOCH, flags: json!({"FULL_REFRESH": false}), arguments: json!({}) }
    }

    fn is_incremental(&self) -> bool {
        self.execute
    }

    fn query(&self, _: &str) -> Result<QueryTable, HostError> {
        let columns = vec![("id".to_owned(), "BIGINT".to_owned()), ("at".to_owned(), "TIMESTAMP".to_owned())];
        Ok(QueryTable { columns, rows: vec![vec![json!(1), json!("2024-01-02T03:04:05")], vec![Json::Null, Json::Null]] })
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        let columns = vec![("id".to_owned(), "BIGINT".to_owned()), ("Name".to_owned(), "VARCHAR(10)".to_owned())];
        Ok((!name.identifier.is_empty()).then_some(RelationFacts { kind: RelationKind::Table, columns }))
    }

    fn doc(&self, _: Option<&str>, name: &str) -> Result<String, HostError> {
        Ok(name.to_owned())
    }

    fn yaml(&self, text: &str) -> Option<Json> {
        serde_json::from_str(text).ok()
    }

    fn log(&self, _: &str, _: alluvium::base::Heard) {}
}
