//! Any text as a macro file and as a template that may call what is in it: parsed and rendered in both phases. It must end,
//! within the bounds of steps, depth and size, with a text or with diagnostics, and must not panic.
//!
//! The input is the macro file, a line of three dashes, and the template; without the line it is both.

#![no_main]

use std::sync::Arc;

use alluvium::base::{Sources, Span};
use alluvium::jinja::{
    HostError, Invocation, MacroFile, MacroLibrary, QueryTable, RefCall, RelationFacts, RelationKind, RenderFailure, Scope, SourceCall, Template,
    TemplateHost, render,
};
use alluvium::manifest::RelationName;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value as Json, json};

/// Has an answer to everything.
struct Host {
    execute: bool,
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

    fn log(&self, _: &str, _: bool) {}
}

fuzz_target!(|input: &str| {
    let (macros, text) = input.split_once("\n---\n").unwrap_or((input, input));
    let sources = Sources::new();
    let macros = MacroFile { file: sources.add("macros/m.sql", macros), package: "root".to_owned() };
    let (library, _) = MacroLibrary::load(&sources, &[macros], "root");
    let template = Template::file(&sources, sources.add("models/a.sql", text));
    for execute in [false, true] {
        let host: Arc<dyn TemplateHost> = Arc::new(Host { execute });
        match render(&template, &Scope { package: "root".to_owned() }, &library, &host).map_err(|failure| *failure) {
            Ok(rendered) => assert!(rendered.text.len() <= 64 << 20),
            Err(RenderFailure::Diagnostics(found)) => assert!(!found.is_empty()),
            Err(RenderFailure::Deferred { .. }) => {}
        }
    }
});
