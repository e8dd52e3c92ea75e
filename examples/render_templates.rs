//! The yardstick of `tests/bench/render.py`: templates rendered with nothing of a project around them.
//!
//! `render_templates small N` renders a small model N times, `render_templates models N THREADS [MACROS]` N models of four
//! macro calls each, out of a package of MACROS macros (600); both print nanoseconds a render, parsing included.

#![allow(clippy::print_stdout, reason = "a script")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use alluvium::base::{Sources, Span};
use alluvium::jinja::{
    HostError, Invocation, MacroFile, MacroLibrary, QueryTable, RefCall, RelationFacts, RenderFailure, Scope, SourceCall, Template, TemplateHost,
    render,
};
use alluvium::manifest::RelationName;
use serde_json::{Map, Value as Json, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["small", count] => small(count.parse()?),
        ["models", count, threads] => models(count.parse()?, threads.parse()?, 600),
        ["models", count, threads, macros] => models(count.parse()?, threads.parse()?, macros.parse()?),
        _ => Err("small N, or models N THREADS [MACROS]".into()),
    }
}

fn small(count: usize) -> Outcome {
    let sources = Sources::new();
    let (library, _) = MacroLibrary::load(&sources, &[], "root");
    let file = sources.add("models/a.sql", "{{ config(materialized='table') }}\nselect id, {{ var('limit') }} as size from {{ ref('orders') }}\n");
    let begin = Instant::now();
    for _ in 0..count {
        one(&Template::file(&sources, file), &library)?;
    }
    println!("{}", begin.elapsed().as_nanos() / count.max(1) as u128);
    Ok(())
}

fn models(count: usize, threads: usize, macros: usize) -> Outcome {
    let sources = Sources::new();
    let text: String = (0..macros)
        .map(|at| {
            format!(
                "{{% macro key_{at}(columns) %}}{{{{ return(adapter.dispatch('key_{at}', 'root')(columns)) }}}}{{% endmacro %}}\n\
                 {{% macro default__key_{at}(columns) %}}{{% set parts = [] %}}{{% for column in columns %}}{{% do parts.append('coalesce(' ~ column ~ \", '')\") %}}\
                 {{% endfor %}}md5({{{{ parts | join(' || ') }}}}){{% endmacro %}}\n"
            )
        })
        .collect();
    let (library, found) = MacroLibrary::load(&sources, &[MacroFile { file: sources.add("macros/keys.sql", text), package: "root".into() }], "root");
    assert!(found.is_empty());
    let files: Vec<_> = (0..count)
        .map(|at| {
            let call = |step: usize| format!("{{{{ key_{}(['a', 'b', 'c_{at}']) }}}} as k{step}", (at * 7 + step) % macros.max(1));
            let text = format!("select {}, {}, {}, {} from {{{{ ref('m_{at}') }}}}", call(0), call(1), call(2), call(3));
            sources.add(&format!("models/m_{at}.sql"), text)
        })
        .collect();
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                scope.spawn(|| {
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        one(&Template::file(&sources, *file), &library).map_err(|error| error.to_string())?;
                    }
                    Ok::<(), String>(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a worker panicked".into())))
    })?;
    println!("{}", begin.elapsed().as_nanos() / count.max(1) as u128);
    Ok(())
}

fn one(template: &Template, library: &MacroLibrary) -> Outcome {
    let host: Arc<dyn TemplateHost> = Arc::new(Host);
    match render(template, &Scope { package: "root".into() }, library, &host).map_err(|failure| *failure) {
        Ok(rendered) if rendered.text.contains("from \"db\"") => Ok(()),
        Ok(rendered) => Err(format!("rendered `{}`", rendered.text).into()),
        Err(RenderFailure::Diagnostics(found)) => Err(found.iter().map(|diagnostic| diagnostic.message.as_str()).collect::<String>().into()),
        Err(RenderFailure::Deferred { reason }) => Err(reason.into()),
    }
}

struct Host;

impl TemplateHost for Host {
    fn execute(&self) -> bool {
        true
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

    fn config_get(&self, _: &str) -> Option<Json> {
        None
    }

    fn var(&self, _: &str) -> Option<Json> {
        Some(json!(7))
    }

    fn this(&self) -> Option<RelationName> {
        None
    }

    fn target(&self) -> Json {
        json!({"name": "dev", "schema": "main", "database": "db", "type": "alluvium"})
    }

    fn model(&self) -> Json {
        json!({})
    }

    fn graph(&self) -> Json {
        json!({})
    }

    fn project_name(&self) -> String {
        "root".into()
    }

    fn invocation(&self) -> Invocation {
        Invocation { id: String::new(), run_started_at: chrono::DateTime::UNIX_EPOCH, flags: json!({}), arguments: json!({}) }
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn query(&self, _: &str) -> Result<QueryTable, HostError> {
        Ok(QueryTable::default())
    }

    fn relation(&self, _: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        Ok(None)
    }

    fn doc(&self, _: Option<&str>, _: &str) -> Result<String, HostError> {
        Ok(String::new())
    }

    fn yaml(&self, _: &str) -> Option<Json> {
        None
    }

    fn log(&self, _: &str, _: alluvium::base::Heard) {}
}
