//! Whole projects, loaded from temporary folders.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::base::files::write_text;
use crate::base::{Code, MemoUse, Severity};

fn options(dir: &Path) -> LoadOptions {
    LoadOptions {
        needs_warehouse: true,
        project_dir: dir.to_owned(),
        working_dir: dir.to_owned(),
        profiles_dir: None,
        profile: None,
        target: None,
        warehouse: None,
        vars: Map::new(),
        threads: None,
        target_path: None,
        memos: MemoUse { reads: false, writes: false },
    }
}

/// Loads a project of the given files.
fn load_files(files: &[(&str, &str)]) -> Result<ParsedProject, Vec<Diagnostic>> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write_text(&dir.path().join(path), text).unwrap();
    }
    load(&options(dir.path()), &Sources::new())
}

fn codes(found: &[Diagnostic]) -> Vec<&'static str> {
    found.iter().map(|diagnostic| diagnostic.code.name()).collect()
}

const PROJECT: (&str, &str) = ("project.yml", "name: shop\n");

#[test]
fn files_are_sorted_out_and_foreign_folders_left_alone() {
    let parsed = load_files(&[
        PROJECT,
        ("models/staging/stg_a.sql", "select 1"),
        ("models/b.sql", "select 2"),
        ("models/b.md", "{% docs b %}{% enddocs %}"),
        ("models/.hidden/c.sql", "x"),
        ("models/nested/dbt_project.yml", "name: other"),
        ("models/nested/models/d.sql", "x"),
        ("models/drafts/e.sql", "x"),
        (".dbtignore", "drafts/\n"),
        ("seeds/country.csv", "id\n1\n"),
        ("tests/agrees.sql", "select 1"),
        ("tests/generic/positive.sql", "{% test positive(model) %}{% endtest %}"),
        ("tests/cases/a/project.yml", "name: other"),
        ("tests/cases/a/models/f.sql", "x"),
        ("macros/m.sql", "{% macro m() %}{% endmacro %}"),
        ("analyses/n.sql", "select 1"),
        ("snapshots/s.sql", "{% snapshot s %}{% endsnapshot %}"),
    ])
    .unwrap();
    let root = &parsed.root;
    let paths = |files: &[SqlFile]| files.iter().map(|file| format!("{} {} {}", file.name, file.path, file.resource_path)).collect::<Vec<_>>();
    assert_eq!(paths(&root.models), ["b models/b.sql b.sql", "stg_a models/staging/stg_a.sql staging/stg_a.sql"]);
    assert_eq!(paths(&root.singular_tests), ["agrees tests/agrees.sql agrees.sql"]);
    assert_eq!(paths(&root.macros), ["m macros/m.sql m.sql", "positive tests/generic/positive.sql generic/positive.sql"]);
    assert_eq!((paths(&root.analyses).len(), paths(&root.snapshots).len(), root.docs.len()), (1, 1, 1));
    assert_eq!((root.seeds[0].name.as_str(), root.seeds[0].path.as_str()), ("country", "seeds/country.csv"));
    assert_eq!(&*parsed.sources.file(root.models[0].file).text, "select 2");
    assert_eq!((parsed.target.schema.as_str(), parsed.target_path.file_name().unwrap().to_str()), ("main", Some("target")));
}

#[test]
fn properties_become_typed_declarations() {
    let parsed = load_files(&[
        PROJECT,
        ("models/a.sql", "select 1"),
        (
            "models/shop/shop.yml",
            r"
version: 2
models:
  - name: a
    description: The first.
    tags: daily
    config: {materialized: table, tags: [core]}
    constraints: [{type: primary_key, columns: [id]}]
    columns:
      - name: id
        data_type: bigint
        quote: true
        constraints: [{type: not_null}]
        data_tests: [unique]
sources:
  - name: raw
    schema: lake
    freshness: {warn_after: {count: 1, period: day}}
    tables:
      - name: orders
        freshness: null
        external: {location: 'data/*.csv', format: csv, options: {header: true}}
exposures:
  - {name: board, type: dashboard, owner: {name: Ann, email: [a@x.org]}, depends_on: [ref('a')]}
groups: [{name: finance, owner: {name: Bo}}]
macros: [{name: m, arguments: [{name: x, type: int}]}]
unit_tests: [{name: u, model: a, given: [], expect: {rows: []}}]
data_tests: [{name: agrees, config: {severity: warn}}]
",
        ),
    ])
    .unwrap();
    let properties = &parsed.root.properties;
    let model = &properties.models[0];
    assert_eq!(model.origin.folders, ["shop"]);
    assert_eq!(model.config.as_ref().unwrap().to_json(), serde_json::json!({"tags": ["daily", "core"], "materialized": "table"}));
    assert_eq!((model.columns[0].quote, model.columns[0].tests[0].test.value.as_str(), model.constraints.len()), (Some(true), "unique", 1));
    assert_eq!(parsed.sources.text(model.columns[0].data_type.as_ref().unwrap().span), "bigint");
    let source = &properties.sources[0];
    let Some(FreshnessDecl::On(Freshness { warn_after: Some(warn_after), .. })) = &source.freshness else { panic!("a rule") };
    assert_eq!(warn_after.period, Period::Day);
    assert_eq!(source.tables[0].freshness, Some(FreshnessDecl::Off));
    let external = source.tables[0].external.as_ref().unwrap();
    assert_eq!((external.format.as_ref().unwrap().value, external.options[0].1.value.as_str()), (crate::manifest::FileFormat::Csv, "true"));
    assert_eq!(properties.exposures[0].depends_on[0].value, "ref('a')");
    assert_eq!((properties.groups.len(), properties.macros[0].arguments.len(), properties.singular_tests.len()), (1, 1, 1));
    assert_eq!((properties.unit_tests[0].name.value.as_str(), properties.unit_tests[0].model.value.as_str()), ("u", "a"));
}

#[test]
fn all_that_is_wrong_is_reported_at_once() {
    let found = load_files(&[
        ("project.yml", "name: shop\nmodel-path: [x]\nclean-targets: {a: b}\n"),
        ("models/a.yml", "models:\n  - nmae: a\n"),
        ("models/b.yml", "models: [\n"),
        ("models/c.yml", "models: {}\nmodls: []\n"),
        ("models/d.yml", "models:\n  - name: d\n    expectations: []\n"),
    ])
    .unwrap_err();
    let mut codes = codes(&found);
    codes.sort_unstable();
    assert_eq!(codes, ["not-available", "unknown-key", "unknown-key", "yaml-syntax", "yaml-type", "yaml-type", "yaml-type"]);
    let required = found.iter().find(|diagnostic| diagnostic.message.ends_with("lacks `name`")).unwrap();
    assert_eq!(required.help.as_deref(), Some("did you mean `name`?"), "one typo is one error");
    let typo = found.iter().find(|diagnostic| diagnostic.message.contains("model-path")).unwrap();
    assert_eq!(typo.help.as_deref(), Some("did you mean `model-paths`?"));
}

#[test]
fn project_files_are_rendered_where_values_are_needed_at_once() {
    let parsed = load_files(&[(
        "dbt_project.yml",
        "name: shop\nversion: 1.0.0\nmodel-paths: [\"{{ env_var('NOT_SET_ANYWHERE', 'sql') }}\", ./more/]\nvars: {d: '{{ x }}', shop: {e: 1}}\non-run-end: \"{{ grant() }}\"\nmodels: {shop: {+materialized: \"{{ var('m') }}\"}}\nflags: {alluvium: {layers: [{name: staging}], naming: {columns: '[a-z]+'}}}\ndispatch: [{macro_namespace: dbt_utils, search_order: [shop, dbt_utils]}]\n",
    )])
    .unwrap();
    let project = &parsed.root.project;
    assert_eq!((project.dialect, project.version.as_deref()), (ProjectDialect::Dbt, Some("1.0.0")));
    assert_eq!(project.paths.models, ["sql", "more"]);
    assert_eq!(project.on_run_end[0].value, "{{ grant() }}");
    assert_eq!(project.vars.as_ref().unwrap().to_json()["d"], "{{ x }}");
    assert_eq!(project.layers.as_ref().unwrap().layers[0].paths[0].value, "models/staging");
    assert_eq!((project.naming.columns.len(), project.clean_targets[0].value.as_str()), (1, "target"));
    assert_eq!(project.dispatch[0].search_order[0].value, "shop");
    let read_past = load_files(&[("dbt_project.yml", "name: shop\nlayers: []\n")]).unwrap();
    assert_eq!(codes(&read_past.warnings), ["unknown-key"]);
}

#[test]
fn packages_are_loaded_and_missing_ones_named() {
    let parsed = load_files(&[
        ("dbt_project.yml", "name: shop\n"),
        (
            "packages.yml",
            "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.0.0\n  - local: ../nowhere/../lib\n  - git: https://x.org/quite/other.git\n    revision: v1\n",
        ),
        ("dbt_packages/dbt_utils/dbt_project.yml", "name: dbt_utils\nstrange: 1\n"),
        ("dbt_packages/dbt_utils/macros/star.sql", "x"),
        ("dbt_packages/dbt_utils/models/u.yml", "models: [{name: u, odd: 1}]\n"),
        ("dbt_packages/quite/dbt_project.yml", "name: quite_another\n"),
    ]);
    let found = parsed.unwrap_err();
    assert_eq!(codes(&found), ["packages-missing"]);
    assert!(found[0].message.contains("lib") && found[0].help.as_ref().unwrap().contains("no project file"), "{found:?}");

    let parsed = load_files(&[
        ("dbt_project.yml", "name: shop\n"),
        ("dependencies.yml", "packages: [{local: lib}]\n"),
        ("lib/dbt_project.yml", "name: common\nprofile: x\n"),
        ("lib/macros/m.sql", "x"),
    ])
    .unwrap();
    assert_eq!((parsed.packages[0].name.as_str(), parsed.packages[0].prefix.as_str()), ("common", "lib/"));
    assert_eq!(parsed.sources.file(parsed.packages[0].macros[0].file).path, "lib/macros/m.sql");
    assert_eq!(parsed.all_packages().count(), 2);
}

#[test]
fn a_folder_without_a_project_says_where_was_looked() {
    let found = load_files(&[("readme.md", "")]).unwrap_err();
    assert_eq!(codes(&found), ["project-not-found"]);
    assert!(found[0].notes[0].contains("dbt_project.yml"));
}

#[test]
fn warnings_do_not_stop_loading() {
    let parsed = load_files(&[PROJECT, ("models/a.yml", "models: []\nseeds: []\nmodels: []\n")]).unwrap();
    assert_eq!((parsed.warnings[0].code, parsed.warnings[0].severity), (Code::YamlSyntax, Severity::Warning));
}

#[test]
fn many_models_load_quickly() {
    let dir = tempfile::tempdir().unwrap();
    let (count, in_folder) = (2_000, 100);
    write_text(&dir.path().join("project.yml"), "name: shop\n").unwrap();
    for folder in 0..count / in_folder {
        let mut properties = String::from("models:\n");
        for model in 0..in_folder {
            let name = format!("m{folder}_{model}");
            write_text(&dir.path().join(format!("models/f{folder}/{name}.sql")), "select 1 as id").unwrap();
            writeln!(properties, "  - name: {name}\n    columns:\n      - name: id\n        data_tests: [unique, not_null]").unwrap();
        }
        write_text(&dir.path().join(format!("models/f{folder}/properties.yml")), &properties).unwrap();
    }
    let started = std::time::Instant::now();
    let parsed = load(&options(dir.path()), &Sources::new()).unwrap();
    assert_eq!((parsed.root.models.len(), parsed.root.properties.models.len()), (count, count));
    // A generous bound for a slow machine and an unoptimised build; what grows with the square of the models passes it.
    assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
}
