//! What commands keep for the next one never shows: after every kind of edit, and after the edit is taken back, a check that
//! may look at earlier results says what a check says that may not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

struct World {
    folder: tempfile::TempDir,
    environment: BTreeMap<&'static str, &'static str>,
    options: Vec<&'static str>,
}

type Seen = (Option<i32>, String, String);

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), environment: BTreeMap::new(), options: Vec::new() };
        for (path, text) in FILES {
            world.write(path, text);
        }
        world
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(path)).unwrap()
    }

    fn run(&self, target: &str, more: &[&str]) -> Seen {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alluvium"));
        command.args(["check", "--format", "json", "--target-path", target]).args(&self.options).args(more);
        command.env_remove("COLOUR").envs(&self.environment).current_dir(self.folder.path()).stdin(Stdio::null());
        let done = command.output().unwrap();
        let lineage = std::fs::read_to_string(self.folder.path().join(target).join("lineage.json")).unwrap_or_default();
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code(), text, lineage)
    }

    /// Holds a check that may look at what is kept against one that may not.
    fn compare(&self, after: &str) -> Seen {
        let warm = self.run("warm", &[]);
        let cold = self.run("cold", &["--no-partial-parse"]);
        assert_eq!(warm, cold, "after: {after}");
        warm
    }
}

const FILES: &[(&str, &str)] = &[
    (
        "project.yml",
        "name: example\nvars: {least: 1}\nmodels: {example: {+materialized: table}}\nseverity: {fan-out: warning}\n\
         targets:\n  default: dev\n  dev: {schema: main}\n  prod: {schema: live}\n",
    ),
    ("macros/m.sql", "{% macro cents(column) %}({{ column }} * 100){% endmacro %}\n"),
    ("seeds/people.csv", "id,name\n1,Ann\n"),
    (
        "sources.lock",
        "{\"format\": 1, \"sources\": {\"source.example.raw.orders\": {\"location\": \"raw.orders\", \"version\": 1, \"columns\": [\
         {\"name\": \"id\", \"type\": \"BIGINT\", \"nullable\": false}, {\"name\": \"person\", \"type\": \"BIGINT\", \"nullable\": true}, \
         {\"name\": \"amount\", \"type\": \"BIGINT\", \"nullable\": true}]}}, \"tables\": {}}\n",
    ),
    ("models/sources.yml", "sources:\n  - name: raw\n    tables: [{name: orders}]\n"),
    ("models/stg.sql", "select id, person, {{ cents('amount') }} as amount from {{ source('raw', 'orders') }}\n"),
    ("models/eph.sql", "{{ config(materialized='ephemeral') }}\nselect id, amount from {{ ref('stg') }} where amount > {{ var('least') }}\n"),
    ("models/through.sql", "select * from {{ ref('eph') }}\n"),
    ("models/mart.sql", "select t.id, p.name, t.amount\nfrom {{ ref('through') }} t\njoin {{ ref('people') }} p on p.id = t.id\n"),
    ("models/coloured.sql", "select '{{ env_var('COLOUR', 'red') }}' as colour, '{{ target.schema }}' as place, '{{ flags.FULL_REFRESH }}' as f\n"),
    ("models/asks.sql", "select {% for node in graph.nodes.values() if node.name == 'stg' %}{{ node.columns | length }}{% endfor %} as n\n"),
    (
        "models/grown.sql",
        "{{ config(materialized='incremental', unique_key='id') }}\nselect id, amount from {{ ref('stg') }}\n\
         {% if is_incremental() %}where id > (select max(id) from {{ this }}){% endif %}\n",
    ),
    (
        "models/models.yml",
        "models:\n  - name: stg\n    columns:\n      - {name: id, data_tests: [unique, not_null]}\n  - name: mart\n    config: {contract: {enforced: true}}\n\
         \x20   columns:\n      - {name: id, data_type: bigint}\n      - {name: name, data_type: text}\n      - {name: amount, data_type: bigint}\n\
         unit_tests:\n  - name: u\n    model: through\n    given: [{input: ref('eph'), rows: [{id: 1, amount: 200}]}]\n    expect: {rows: [{id: 1, amount: 200}]}\n",
    ),
];

/// A file with something in it replaced.
const EDITS: &[(&str, &str, &str)] = &[
    ("models/mart.sql", "t.amount", "t.amuont"),
    ("models/mart.sql", "select t.id", "-- a line above\nselect t.id"),
    ("models/stg.sql", "select id", "select /* no change for readers */ id"),
    ("models/stg.sql", "select id, person", "select id as key, person"),
    ("models/stg.sql", "as amount", "as Amount"),
    ("models/eph.sql", "id, amount", "id, cast(amount as text) as amount"),
    ("models/eph.sql", "ephemeral", "view"),
    ("models/grown.sql", "select max(id)", "select max(key)"),
    ("models/grown.sql", "unique_key='id'", "unique_key='other'"),
    ("models/mart.sql", "join", "left join"),
    ("macros/m.sql", "* 100", "* 'x'"),
    ("macros/m.sql", "cents(column)", "cents(column, more)"),
    ("project.yml", "least: 1", "least: \"'x y'\""),
    ("project.yml", "+materialized: table", "+materialized: view"),
    ("project.yml", "fan-out: warning", "contract-mismatch: warning"),
    ("project.yml", "dev: {schema: main}", "dev: {schema: other}"),
    ("seeds/people.csv", "id,name", "id,nom"),
    ("seeds/people.csv", "1,Ann", "x1,Ann"),
    ("sources.lock", "\"amount\", \"type\": \"BIGINT\"", "\"amount\", \"type\": \"VARCHAR\""),
    ("sources.lock", "\"person\"", "\"human\""),
    (
        "sources.lock",
        "\"tables\": {}",
        "\"tables\": {\"model.example.grown\": {\"location\": \"main.grown\", \"columns\": [{\"name\": \"id\", \"type\": \"BIGINT\", \"nullable\": true}]}}",
    ),
    ("models/models.yml", "data_type: text", "data_type: int"),
    ("models/models.yml", "models:", "# a line above\n\nmodels:"),
    ("models/models.yml", "[unique, not_null]", "[not_null]"),
    ("models/models.yml", "amount: 200}]}]", "amuont: 200}]}]"),
    ("models/models.yml", "{name: id, data_tests", "{name: id, description: about it, data_tests"),
    ("models/sources.yml", "{name: orders}", "{name: orders, identifier: ORDERS_2}"),
    ("models/through.sql", "select *", "select id"),
];

#[test]
fn nothing_stale_is_reported_after_any_edit() {
    let mut world = World::new();
    let first = world.compare("the beginning");
    assert!(first.1.contains("\"errors\": 0"), "{}", first.1);
    let memo = world.read("warm/check.memo");
    world.compare("nothing");
    assert_eq!(world.read("warm/check.memo").len(), memo.len(), "nothing new was found, but for what can't be kept");

    let mut changed = 0;
    for (path, from, to) in EDITS {
        let text = String::from_utf8(world.read(path)).unwrap();
        assert!(text.contains(from), "{path} has no `{from}`");
        world.write(path, &text.replacen(from, to, 1));
        let edited = world.compare(&format!("{path}: `{from}` is `{to}`"));
        changed += usize::from(edited != first);
        world.write(path, &text);
        assert_eq!(world.run("warm", &[]), first, "after taking back {path}: `{to}`");
    }
    assert!(changed >= 20, "only {changed} edits showed");

    world.environment.insert("COLOUR", "blue");
    world.compare("a variable of the environment");
    world.environment.insert("COLOUR", "'");
    assert_ne!(world.compare("a variable of the environment that breaks the text").0, Some(0));
    world.environment.clear();
    for options in
        [vec!["--vars", "{least: \"'x y'\"}"], vec!["--target", "prod"], vec!["--full-refresh"], vec!["--select", "mart+"], vec!["--empty"]]
    {
        world.options.clone_from(&options);
        world.compare(&format!("{options:?}"));
    }
    world.options.clear();

    world.write("models/new.sql", "select id from {{ ref('mart') }}\n");
    world.compare("a model more");
    world.write("macros/generate_schema_name.sql", "{% macro generate_schema_name(custom_schema_name, node) %}x{% endmacro %}\n");
    world.compare("a macro more");
    std::fs::remove_file(world.folder.path().join("models/new.sql")).unwrap();
    std::fs::remove_file(world.folder.path().join("models/eph.sql")).unwrap();
    world.compare("a model less");
}

#[test]
fn a_damaged_file_is_ignored_and_written_again() {
    let world = World::new();
    let first = world.run("warm", &[]);
    let memo = world.read("warm/check.memo");
    for damaged in [&memo[..memo.len() / 2], b"", &[0xff; 500]] {
        world.write("warm/check.memo", "");
        std::fs::write(world.folder.path().join("warm/check.memo"), damaged).unwrap();
        assert_eq!(world.run("warm", &[]), first);
        assert_eq!(world.read("warm/check.memo").len(), memo.len());
    }
}

#[test]
fn checks_side_by_side_do_not_harm_each_other() {
    let world = World::new();
    let first = world.run("warm", &[]);
    std::thread::scope(|scope| {
        let checks: Vec<_> = (0..4).map(|at| (at, scope.spawn(|| world.run("warm", &[])))).collect();
        for (at, check) in checks {
            let seen = check.join().unwrap();
            assert_eq!((seen.0, &seen.1), (first.0, &first.1), "check {at}");
        }
    });
    assert_eq!(world.compare("checks at once"), first);
    let left = |folder: &Path| {
        std::fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")).count()
    };
    assert_eq!(left(&world.folder.path().join("warm")), 0);
}
