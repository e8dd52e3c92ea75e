//! The shape of the artifacts.

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use std::collections::BTreeSet;

use super::*;
use crate::base::{NodeOutcome, Sources, Span};
use crate::manifest::{
    AboutMacro, AboutSource, ColumnDecl, ConstraintDecl, ConstraintKind, Described, DescribedKind, DocsBlock, ExternalConfig, ExternalSource,
    FileFormat, GenericTest, MacroArgument, Materialization, NodeConfig, NodeId, NodeKind, NodeRef, NodeResult, RelationName, SourceRef, TestConfig,
    TestDetails, TimeSpan,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 250_000_000).unwrap()
}

fn header() -> ArtifactHeader {
    ArtifactHeader {
        invocation_id: "inv".into(),
        invocation_started_at: at(0),
        generated_at: at(9),
        env: BTreeMap::from([("CI".into(), "1".into())]),
    }
}

fn config(materialization: Materialization) -> NodeConfig {
    NodeConfig {
        enabled: true,
        materialization,
        alias: None,
        schema: None,
        database: None,
        tags: vec!["daily".into()],
        meta: Map::new(),
        group: None,
        access: crate::manifest::Access::Public,
        full_refresh: None,
        contract_enforced: false,
        contract_subset: false,
        partition_by: Vec::new(),
        table_properties: IndexMap::new(),
        change_feed: Some(true),
        persist_docs_relation: false,
        persist_docs_columns: false,
        external: None,
        column_types: IndexMap::new(),
        delimiter: ',',
        incremental: None,
        snapshot: None,
        test: TestConfig::default(),
        raw: Map::new(),
        written: Map::new(),
        spans: std::collections::BTreeMap::new(),
    }
}

fn span() -> Span {
    Span::file_start(Sources::new().add("models/schema.yml", ""))
}

fn node(kind: NodeKind, materialization: Materialization, name: &str, path: &str) -> Node {
    let config = config(materialization);
    let mut node = Node {
        id: NodeId::new(""),
        kind,
        name: name.into(),
        package: "bank".into(),
        path: path.rsplit('/').next().unwrap().into(),
        original_path: path.into(),
        fqn: vec!["bank".into(), name.into()],
        span: span(),
        file: span().file,
        properties_span: None,
        properties_path: Some("models/schema.yml".into()),
        raw_code: "select 1 as id".into(),
        language: "sql",
        checksum: "00ff".into(),
        config: Box::new(config),
        description: "what it is".into(),
        doc_blocks: Vec::new(),
        columns: IndexMap::new(),
        constraints: Vec::new(),
        model: crate::manifest::ModelDetails::default(),
        relation: Some(RelationName::new("alluvium", "main", name)),
        unbuilt: None,
        refs: Vec::new(),
        sources: Vec::new(),
        depends_on: Vec::new(),
        depends_on_macros: Vec::new(),
        layer: None,
    };
    node.id = NodeId::new(format!("{}.bank.{name}", node.resource_type().name()));
    node
}

fn model() -> Node {
    let mut model = node(NodeKind::Model, Materialization::Table, "stg_customer", "models/staging/stg_customer.sql");
    let key = ConstraintDecl {
        kind: ConstraintKind::NotNull,
        name: None,
        expression: None,
        columns: Vec::new(),
        to: None,
        to_columns: Vec::new(),
        references: None,
        warn_unsupported: true,
        warn_unenforced: true,
        span: span(),
        whole: span(),
    };
    let column = ColumnDecl {
        name: "id".into(),
        data_type: Some("bigint".into()),
        description: "key".into(),
        constraints: vec![key],
        tags: Vec::new(),
        meta: Map::new(),
        quote: false,
        span: span(),
        granularity: None,
        doc_blocks: vec!["doc.bank.key".into()],
        type_span: None,
    };
    model.columns.insert("id".into(), column);
    model.config.contract_enforced = true;
    model.config.group = Some("finance".into());
    let raw = json!({"materialized": "table", "post_hook": "select 1", "partition_by": ["day"], "contract": {"enforced": true}, "access": "public"});
    model.config.raw = raw.as_object().unwrap().clone();
    model.refs.push(NodeRef { package: None, name: "country".into(), version: Some("2".into()), span: None });
    model.sources.push(SourceRef { source: "raw".into(), table: "customer".into(), span: None });
    model.depends_on = vec![NodeId::new("source.bank.raw.customer"), NodeId::new("seed.bank.country")];
    model.depends_on_macros = vec!["macro.bank.z".into(), "macro.bank.a".into()];
    model
}

fn generic_test(name: &str) -> Node {
    let generic = GenericTest { package: None, name: name.into(), arguments: Map::new(), span: span() };
    let details = TestDetails { generic: Some(generic), attached: Some(NodeId::new("model.bank.stg_customer")), column: Some("id".into()) };
    let mut test = node(NodeKind::Test(Box::new(details)), Materialization::Test, &format!("{name}_stg_customer_id"), "models/schema.yml");
    test.path = format!("{}.sql", test.name);
    test.relation = None;
    test.unbuilt = Some(Box::new(RelationName::new("alluvium", "main_dbt_test__audit", name)));
    test.depends_on = vec![NodeId::new("model.bank.stg_customer")];
    test
}

fn source() -> Node {
    let external = ExternalSource {
        config: ExternalConfig {
            location: "data/customer.csv".into(),
            format: FileFormat::Csv,
            options: IndexMap::from([("header".to_owned(), "true".to_owned())]),
        },
        span: span(),
        option_spans: std::collections::BTreeMap::new(),
        call: None,
    };
    let about = AboutSource { external: Some(json!({"location": "data/customer.csv"})), ..AboutSource::default() };
    let mut source = node(
        NodeKind::Source { source_name: "raw".into(), about: Box::new(about), external: Some(external) },
        Materialization::Table,
        "customer",
        "models/schema.yml",
    );
    source.id = NodeId::new("source.bank.raw.customer");
    source
}

fn exposure() -> Node {
    let fields = json!({"type": "dashboard", "owner": {"email": "a@example.org"}, "maturity": "high"}).as_object().unwrap().clone();
    let described = Described { kind: DescribedKind::Exposure, fields };
    let mut exposure = node(NodeKind::Described(Box::new(described)), Materialization::View, "board", "models/schema.yml");
    exposure.depends_on = vec![NodeId::new("model.bank.stg_customer")];
    exposure
}

fn nodes() -> Vec<Node> {
    let mut singular = node(
        NodeKind::Test(Box::new(TestDetails { generic: None, attached: None, column: None })),
        Materialization::Test,
        "no_orphans",
        "tests/no_orphans.sql",
    );
    singular.relation = None;
    vec![
        model(),
        generic_test("unique"),
        generic_test("not_null"),
        singular,
        source(),
        exposure(),
        node(NodeKind::Seed { path: "seeds/country.csv".into() }, Materialization::Seed, "country", "seeds/country.csv"),
        node(NodeKind::Snapshot, Materialization::Snapshot, "history", "snapshots/history.sql"),
        node(NodeKind::Analysis, Materialization::View, "look", "analyses/look.sql"),
    ]
}

fn manifest(nodes: &[Node]) -> Json {
    let nodes: Vec<&Node> = nodes.iter().collect();
    let mut off = model();
    off.id = NodeId::new("model.bank.off");
    off.config.enabled = false;
    let argument = MacroArgument { name: "a".into(), data_type: Some("string".into()), description: String::new() };
    let about = AboutMacro { description: "A macro.".into(), arguments: vec![argument], path: "macros/macros.yml".into(), ..AboutMacro::default() };
    let macros = [MacroEntry {
        id: "macro.bank.z".into(),
        package: "bank".into(),
        name: "z".into(),
        path: "macros/z.sql".into(),
        macro_sql: "{% macro z(a) %}{% endmacro %}".into(),
        about: Some(&about),
        arguments: Vec::new(),
        depends_on: vec!["macro.bank.y".into()],
        languages: None,
    }];
    let block = DocsBlock { text: "the key".into(), path: "docs.md".into(), original_path: "models/docs.md".into() };
    let docs = [("bank", "key", &block)];
    let hooks = [HookEntry { package: "bank".into(), when: "on-run-start", index: 0, text: "select 1".into(), path: "dbt_project.yml".into() }];
    let input = ManifestInput {
        quoting: [true; 3],
        header: &header(),
        hooks: &hooks,
        project_name: "bank",
        adapter_type: "alluvium",
        database: "alluvium",
        schema: "main",
        target_path: "target",
        nodes: &nodes,
        groups: &[],
        disabled: &[&off],
        compiled: &BTreeMap::from([(NodeId::new("model.bank.stg_customer"), "select 1 as id".to_owned())]),
        built: &BTreeSet::from([NodeId::new("model.bank.stg_customer")]),
        macros: &macros,
        docs: &docs,
        variables: &Map::new(),
        selectors: &Map::new(),
    };
    let mut text = Vec::new();
    manifest::write_entries(&input, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn result(id: &str, outcome: NodeOutcome) -> NodeResult {
    let skipped = outcome == NodeOutcome::Skipped;
    let span = |start, end| (!skipped).then_some(TimeSpan { start: at(start), end: at(end) });
    NodeResult {
        batches: None,
        batch_sql: Vec::new(),
        id: NodeId::new(id),
        outcome,
        message: if skipped { String::new() } else { "120 rows".into() },
        failures: id.starts_with("test.").then_some(3),
        rows_affected: Some(120),
        compile: span(1, 2),
        execute: span(2, 5),
        thread: "Thread-1".into(),
        compiled_sql: (!skipped).then(|| "select 1".to_owned()),
        run_sql: None,
        relation: Some(RelationName::new("alluvium", "main", "x")),
    }
}

fn run_results() -> Json {
    let results = [
        result("model.bank.a", NodeOutcome::Success),
        result("model.bank.b", NodeOutcome::Skipped),
        result("seed.bank.s", NodeOutcome::Error),
        result("test.bank.t", NodeOutcome::Fail),
    ];
    let args = json!({"which": "build"});
    run_results_json(&RunResultsInput {
        header: &header(),
        results: &results,
        elapsed_seconds: 4.5,
        quoting: [true; 3],
        args: args.as_object().unwrap(),
    })
}

#[test]
fn a_model_has_dbts_fields() {
    let manifest = manifest(&nodes());
    let model = &manifest["nodes"]["model.bank.stg_customer"];
    assert_eq!(model["config"]["materialized"], "table");
    assert_eq!(model["config"]["partition_by"], json!(["day"]));
    assert_eq!(model["config"]["post-hook"], json!([{"sql": "select 1", "transaction": true, "index": null}]));
    assert_eq!(model["config"]["contract"], json!({"enforced": true, "alias_types": true}));
    assert_eq!((&model["access"], &model["alias"], &model["schema"]), (&json!("public"), &json!("stg_customer"), &json!("main")));
    assert_eq!(model["relation_name"], "\"alluvium\".\"main\".\"stg_customer\"");
    assert_eq!(model["refs"], json!([{"name": "country", "package": null, "version": 2}]));
    assert_eq!(model["sources"], json!([["raw", "customer"]]));
    assert_eq!(model["depends_on"], json!({"macros": ["macro.bank.a", "macro.bank.z"], "nodes": ["seed.bank.country", "source.bank.raw.customer"]}));
    assert_eq!(model["compiled_path"], "target/compiled/bank/models/staging/stg_customer.sql");
    assert_eq!(model["patch_path"], "bank://models/schema.yml");
    assert_eq!(model["primary_key"], json!(["id"]));
    assert_eq!(model["columns"]["id"]["constraints"][0]["type"], "not_null");
    assert_eq!(model["contract"]["checksum"].as_str().map(str::len), Some(64));
}

#[test]
fn the_manifest_holds_every_kind_and_how_they_hang_together() {
    let manifest = manifest(&nodes());
    let metadata = &manifest["metadata"];
    assert_eq!(metadata["dbt_schema_version"], "https://schemas.getdbt.com/dbt/manifest/v12.json");
    assert_eq!(
        (&metadata["project_id"], &metadata["generated_at"]),
        (&json!("bd5af1f610a12434c9128e4a399cef8a"), &json!("2023-11-14T22:13:29.250000Z"))
    );
    assert_eq!(manifest["parent_map"]["exposure.bank.board"], json!(["model.bank.stg_customer"]));
    assert_eq!(
        manifest["child_map"]["model.bank.stg_customer"],
        json!(["exposure.bank.board", "test.bank.not_null_stg_customer_id", "test.bank.unique_stg_customer_id"])
    );
    assert_eq!(manifest["child_map"]["test.bank.no_orphans"], json!([]));
    assert_eq!(manifest["group_map"], json!({"finance": ["model.bank.stg_customer"]}));
    assert_eq!(manifest["disabled"]["model.bank.off"][0]["config"]["enabled"], false);
    assert_eq!(manifest["sources"]["source.bank.raw.customer"]["external"]["location"], "data/customer.csv");
    assert_eq!(manifest["exposures"]["exposure.bank.board"]["type"], "dashboard");
    assert_eq!(manifest["macros"]["macro.bank.z"]["arguments"][0]["name"], "a");
    assert_eq!(manifest["docs"]["doc.bank.key"]["block_contents"], "the key");
    let test = &manifest["nodes"]["test.bank.unique_stg_customer_id"];
    assert_eq!(
        test["test_metadata"],
        json!({"name": "unique", "kwargs": {"column_name": "id", "model": "{{ get_where_subquery(ref('stg_customer')) }}"}, "namespace": null})
    );
    assert_eq!(
        (&test["schema"], &test["file_key_name"], &test["attached_node"]),
        (&json!("main_dbt_test__audit"), &json!("models.stg_customer"), &json!("model.bank.stg_customer"))
    );
    assert!(manifest["nodes"]["test.bank.no_orphans"].get("test_metadata").is_none());
}

#[test]
fn the_order_of_the_input_does_not_show() {
    let mut backwards = nodes();
    backwards.reverse();
    assert_eq!(manifest(&backwards).to_string(), manifest(&nodes()).to_string());
}

#[test]
fn run_results_have_dbts_shape() {
    let json = run_results();
    let ids: Vec<_> = json["results"].as_array().unwrap().iter().map(|result| result["unique_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["model.bank.a", "model.bank.b", "seed.bank.s", "test.bank.t"]);
    let expected = json!({
        "status": "success",
        "timing": [
            {"name": "compile", "started_at": "2023-11-14T22:13:21.250000Z", "completed_at": "2023-11-14T22:13:22.250000Z"},
            {"name": "execute", "started_at": "2023-11-14T22:13:22.250000Z", "completed_at": "2023-11-14T22:13:25.250000Z"},
        ],
        "thread_id": "Thread-1", "execution_time": 4.0, "adapter_response": {"_message": "120 rows", "rows_affected": 120}, "message": "120 rows",
        "failures": null, "unique_id": "model.bank.a", "compiled": true, "compiled_code": "select 1",
        "relation_name": "\"alluvium\".\"main\".\"x\"", "batch_results": null,
    });
    assert_eq!(json["results"][0], expected);
    assert_eq!(
        (&json["results"][1]["timing"], &json["results"][1]["message"], &json["results"][1]["execution_time"]),
        (&json!([]), &Json::Null, &json!(0.0))
    );
    assert_eq!((&json["results"][3]["failures"], &json["elapsed_time"], &json["args"]["which"]), (&json!(3), &json!(4.5), &json!("build")));
}

#[test]
fn sql_is_written_where_dbt_writes_it() {
    let target = tempfile::tempdir().unwrap();
    let test = generic_test("unique");
    assert_eq!(write_compiled(target.path(), &test, "select 2").unwrap(), "compiled/bank/models/schema.yml/unique_stg_customer_id.sql");
    assert_eq!(write_run(target.path(), &model(), "create").unwrap(), "run/bank/models/staging/stg_customer.sql");
    assert_eq!(std::fs::read_to_string(target.path().join("compiled/bank/models/schema.yml/unique_stg_customer_id.sql")).unwrap(), "select 2");
}

#[test]
fn no_name_leads_out_of_the_target_folder() {
    let mut evil = model();
    evil.original_path = "../../etc/./a\\..\\b:\u{1b}.sql".into();
    evil.path = "../x.sql".into();
    assert_eq!(compiled_path(&evil), "compiled/bank/etc/a/b__.sql/x.sql");
}

/// Writes the artifacts of this file's project for a look with other tools, where `ALLUVIUM_ARTIFACTS_OUT` names a folder.
#[test]
fn artifacts_are_files() {
    let folder = tempfile::tempdir().unwrap();
    let target = std::env::var_os("ALLUVIUM_ARTIFACTS_OUT").map_or_else(|| folder.path().to_owned(), std::path::PathBuf::from);
    files::write_text(&target.join("manifest.json"), &manifest(&nodes()).to_string()).unwrap();
    files::write_text(&target.join("run_results.json"), &run_results().to_string()).unwrap();
    let read: Json = serde_json::from_str(&std::fs::read_to_string(target.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(read["metadata"]["project_name"], "bank");
}
