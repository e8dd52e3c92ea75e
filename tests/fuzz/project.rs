//! A small project on disk, one file of which is the input.
#![allow(clippy::expect_used, reason = "where there is no folder nothing can be tried")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use alluvium::base::{Diagnostic, Events, Memo, MemoUse, Sources, SystemClock};
use alluvium::check::{CheckFormat, Finding, Offline, ProjectState, SourcesLock, check, declared_schema, render_findings, report};
use alluvium::graph::{Dag, IndirectSelection, Selection, select, selector_definitions};
use alluvium::jinja::Invocation;
use alluvium::load::{LoadOptions, load, load_dependencies, load_lock};
use alluvium::manifest::{NodeId, NodeKind};
use alluvium::resolve::{Project, ResolveOptions, resolve};
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde_json::{Map, json};

use super::told;

/// The project. An input may take the place of any of these, or of what [`MORE`] names.
const FILES: &[(&str, &str)] = &[
    ("dbt_project.yml", include_str!("project/dbt_project.yml")),
    ("macros/helpers.sql", include_str!("project/helpers.sql")),
    ("models/marts/orders.sql", include_str!("project/orders.sql")),
    ("models/staging/stg_orders.sql", include_str!("project/stg_orders.sql")),
    ("models/staging/shop.yml", include_str!("project/shop.yml")),
    ("seeds/countries.csv", "code,name\nDE,Germany\nNL,Netherlands\n"),
    ("tests/no_debts.sql", "select * from {{ ref('orders') }} where amount < 0\n"),
];

/// Further files that an input may be.
const MORE: &[&str] = &[
    "analyses/a.sql",
    "dependencies.yml",
    "docs/d.md",
    "models/fed.yml",
    "models/marts/fed.sql",
    "models/py.py",
    "package-lock.yml",
    "packages.yml",
    "profiles.yml",
    "project.yml",
    "selectors.yml",
    "snapshots/s.sql",
    "sources.lock",
    "tests/fixtures/f.csv",
    "tests/generic/g.sql",
];

/// What the project says with the input as one of its files: the one that its first line names in a comment, or `usual`.
pub fn checked(input: &[u8], usual: &'static str) -> String {
    let first = String::from_utf8_lossy(input.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let named = first.trim_start_matches(['-', '#', ' ']).trim();
    let known = FILES.iter().map(|(path, _)| *path).chain(MORE.iter().copied());
    let path = known.into_iter().find(|path| first.len() > named.len() && *path == named).unwrap_or(usual);
    let folder = written(Some((path, input)));
    let sources = Sources::new();
    match path {
        "dependencies.yml" | "packages.yml" => {
            let found = load_dependencies(folder.path(), "", &Map::new(), &sources).map(drop);
            return told(&found.err().unwrap_or_default(), &sources);
        }
        "package-lock.yml" => {
            let found = load_lock(folder.path(), &Map::new(), &sources).map(drop);
            return told(&found.err().unwrap_or_default(), &sources);
        }
        _ => {}
    }
    match resolved(folder.path(), &sources) {
        Ok((project, dag)) => proved(&project, &dag, folder.path()),
        Err(found) => {
            assert!(found.iter().any(Diagnostic::is_error), "a project that fails without an error");
            told(&found, &sources)
        }
    }
}

/// What a selection says of the project.
pub fn selected(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    if !text.starts_with("selectors:") {
        static FIXED: OnceLock<(Project, Dag)> = OnceLock::new();
        let (project, dag) = FIXED.get_or_init(|| {
            let sources = Sources::new();
            let (project, dag) = resolved(written(None).path(), &sources).expect("the project resolves");
            (Arc::into_inner(project).expect("nobody else has the project"), dag)
        });
        let words = |line: Option<&str>| line.into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect();
        let mut lines = text.lines();
        let selection = Selection { select: words(lines.next()), exclude: words(lines.next()), ..Selection::default() };
        return picked(project, dag, &selection);
    }
    let folder = written(Some(("selectors.yml", input)));
    let sources = Sources::new();
    let (project, dag) = match resolved(folder.path(), &sources) {
        Ok(found) => found,
        Err(found) => return told(&found, &sources),
    };
    let mut said = picked(&project, &dag, &Selection::default());
    for name in selector_definitions(&project.parsed.selectors).keys().take(8) {
        said += &picked(&project, &dag, &Selection { selector: Some(name.clone()), indirect: IndirectSelection::Buildable, ..Selection::default() });
    }
    said
}

fn picked(project: &Project, dag: &Dag, selection: &Selection) -> String {
    match select(project, dag, selection) {
        Ok(found) => {
            assert!(found.nodes.iter().all(|id| project.nodes.contains_key(id)), "a node that is not there");
            format!("{} nodes, {} idle\n", found.nodes.len(), found.idle.len())
        }
        Err(diagnostic) => told(&[diagnostic], &project.sources),
    }
}

fn written(input: Option<(&'static str, &[u8])>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for a project");
    let own_project = input.is_some_and(|(path, _)| path == "project.yml");
    let fixed = FILES.iter().filter(|(path, _)| !own_project || *path != "dbt_project.yml").map(|(path, text)| (*path, text.as_bytes()));
    for (path, bytes) in fixed.chain(input) {
        let path = folder.path().join(path);
        let made = std::fs::create_dir_all(path.parent().unwrap_or(&path)).and_then(|()| std::fs::write(&path, bytes));
        made.expect("a file of the project");
    }
    folder
}

fn resolved(folder: &Path, sources: &Arc<Sources>) -> Result<(Arc<Project>, Dag), Vec<Diagnostic>> {
    let options = LoadOptions {
        project_dir: folder.to_owned(),
        working_dir: folder.to_owned(),
        profiles_dir: Some(folder.to_owned()),
        profile: None,
        target: None,
        warehouse: None,
        vars: Map::new(),
        threads: None,
        target_path: None,
        memos: MemoUse { reads: false, writes: false },
        needs_warehouse: false,
    };
    let resolving = ResolveOptions {
        invocation: Invocation {
            id: "i".to_owned(),
            run_started_at: chrono::DateTime::UNIX_EPOCH,
            flags: json!({"FULL_REFRESH": false}),
            arguments: json!({}),
        },
        store_failures: false,
        sample: None,
        event_time: None,
        warned: alluvium::jinja::Warned::Shown,
    };
    let project = resolve(Arc::new(load(&options, sources)?), &resolving)?;
    let dag = Dag::build(&project)?;
    Ok((Arc::new(project), dag))
}

/// What a check finds, in all its forms.
fn proved(project: &Arc<Project>, dag: &Dag, folder: &Path) -> String {
    let lock = std::fs::read_to_string(folder.join("sources.lock")).ok().and_then(|text| SourcesLock::parse(&text).ok()).unwrap_or_default();
    let locked = alluvium::check::locked_schemas(&lock.sources);
    let schema = |node: &alluvium::manifest::Node| match &node.kind {
        NodeKind::Source { .. } => locked.get(&node.id).cloned().or_else(|| declared_schema(node, project.target.semantics())),
        NodeKind::Seed { .. } => Some(seed()),
        _ => None,
    };
    let inputs = project.nodes.values().filter_map(|node| Some((node.id.clone(), schema(node)?))).collect();
    let events = Events::new(Arc::new(SystemClock), Vec::new());
    let offline = Arc::new(Offline::new(project, inputs, BTreeMap::new(), events));
    let all: BTreeSet<NodeId> = project.nodes.keys().cloned().collect();
    let memo = Memo::off();
    let checked = futures::executor::block_on(check(project, dag, &all, &offline, &memo));
    let sources = &project.sources;
    let of_project = project.parsed.warnings.iter().chain(&project.warnings).cloned().map(|diagnostic| Finding { node: None, diagnostic });
    let findings: Vec<Finding> = checked.findings.into_iter().chain(of_project).collect();
    let diagnostics: Vec<Diagnostic> = findings.iter().map(|finding| finding.diagnostic.clone()).collect();
    let said = told(&diagnostics, sources);
    let report = report(findings, checked.proofs, Some(project), sources, &project.parsed.root.project.severity);
    for format in [CheckFormat::Text { colour: true }, CheckFormat::Short, CheckFormat::Junit, CheckFormat::Markdown] {
        drop(render_findings(&report, sources, &format));
    }
    drop(render_findings(&report, sources, &CheckFormat::Github { folder: String::new() }));
    for format in [CheckFormat::Json, CheckFormat::Sarif] {
        let text = render_findings(&report, sources, &format);
        let read: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(read.is_ok(), "this is no JSON: {text}");
    }
    assert!(ProjectState::of_texts(&checked.states).is_ok(), "the state can't be read: {:?}", checked.states);
    said
}

fn seed() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("code", DataType::Utf8, true), Field::new("name", DataType::Utf8, true)]))
}
