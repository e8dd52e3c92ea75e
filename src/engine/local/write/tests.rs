//! Tables and views through the engine's steps, on a folder and in memory, beside other writers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deltalake::arrow::array::{Int64Array, RecordBatch};
use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result as StoreResult,
};
use deltalake::protocol::SaveMode;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value as Json;

use super::super::super::{
    BrokenRule, CommitLabel, Engine as _, EngineError, Outcome, Overlay, RelationKind, RelationState, SchemaChange, StageId, Step, TableColumn,
    TableInput, TableSettings, TableWrite, ViewWrite, WriteMode, json_rows,
};
use super::super::stage::Staged;
use super::super::{EngineOptions, LocalEngine, write};
use crate::base::Sources;
use crate::manifest::RelationName;
use crate::sql::type_name;

fn options(warehouse: &str, folder: &FsPath) -> EngineOptions {
    EngineOptions {
        warehouse: warehouse.into(),
        databases: HashMap::new(),
        database: "alluvium".into(),
        schema: "main".into(),
        storage_options: HashMap::new(),
        project_dir: folder.to_owned(),
        threads: 2,
        memory_limit: None,
        semantics: crate::sql::Semantics::default(),
        sources: Sources::new(),
    }
}

struct Room {
    engine: LocalEngine,
    folder: tempfile::TempDir,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(options("warehouse", folder.path())).unwrap();
    Room { engine, folder }
}

fn in_memory() -> LocalEngine {
    let uri = format!("memory://{}", uuid::Uuid::new_v4().simple());
    LocalEngine::open(options(&uri, FsPath::new("."))).unwrap()
}

fn name(identifier: &str) -> RelationName {
    RelationName::new("alluvium", "main", identifier)
}

fn overwrite(table: &str, sql: &str) -> TableWrite {
    TableWrite {
        relation: name(table),
        input: TableInput::Query(sql.into()),
        mode: WriteMode::Overwrite,
        schema_change: SchemaChange::default(),
        dedupe: None,
        columns: Vec::new(),
        checks: None,
        streams: Vec::new(),
        settings: TableSettings::default(),
        label: CommitLabel { run_id: "run-1".into(), node: format!("model.example.{table}") },
    }
}

fn append(table: &str, sql: &str) -> TableWrite {
    TableWrite { mode: WriteMode::Append, ..overwrite(table, sql) }
}

async fn stage(engine: &LocalEngine, write: TableWrite) -> Result<StageId, EngineError> {
    match engine.execute(&Step::StageTable(write)).await? {
        Outcome::Staged { stage, .. } => Ok(stage),
        other => panic!("{other:?}"),
    }
}

async fn publish(engine: &LocalEngine, stage: StageId) -> Result<Option<u64>, EngineError> {
    match engine.execute(&Step::Publish(stage)).await? {
        Outcome::Published { version } => Ok(version),
        other => panic!("{other:?}"),
    }
}

async fn build(engine: &LocalEngine, write: TableWrite) -> Option<u64> {
    let stage = stage(engine, write).await.unwrap();
    publish(engine, stage).await.unwrap()
}

async fn rows_over(engine: &LocalEngine, sql: &str, overlays: &[Overlay]) -> String {
    let batches: Vec<RecordBatch> = engine.query(sql, overlays).await.unwrap().try_collect().await.unwrap();
    let rows = batches.iter().flat_map(|batch| json_rows(batch).unwrap());
    rows.map(|row| serde_json::to_string(&row).unwrap()).collect::<Vec<_>>().join(" ")
}

async fn rows(engine: &LocalEngine, sql: &str) -> String {
    rows_over(engine, sql, &[]).await
}

async fn state(engine: &LocalEngine, table: &str) -> RelationState {
    engine.relation(&name(table)).await.unwrap().unwrap()
}

fn shown(state: &RelationState) -> String {
    let column =
        |field: &Arc<Field>| format!("{} {}{}", field.name(), type_name(field.data_type()), if field.is_nullable() { "" } else { " not null" });
    state.schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

/// A foreign writer.
async fn append_foreign(engine: &LocalEngine, table: &str, id: i64) {
    let found = engine.warehouse.folder(&name(table)).await.unwrap();
    let mut table = found.builder(&name(table)).unwrap().build().unwrap();
    table.load().await.unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![id]))]).unwrap();
    table.write(vec![batch]).with_save_mode(SaveMode::Append).await.unwrap();
}

impl Room {
    fn table(&self, table: &str) -> PathBuf {
        self.folder.path().join("warehouse/main").join(table)
    }

    /// Every file of the warehouse.
    fn files(&self) -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(self.folder.path()).sort_by_file_name();
        all.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
    }

    /// The actions of a log entry by their kind.
    fn log(&self, table: &str, version: u64) -> BTreeMap<String, Vec<Json>> {
        let text = std::fs::read_to_string(self.table(table).join(format!("_delta_log/{version:020}.json"))).unwrap();
        let mut actions: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for line in text.lines() {
            let Json::Object(entry) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
            for (kind, action) in entry {
                actions.entry(kind).or_default().push(action);
            }
        }
        actions
    }

    fn kinds(&self, table: &str, version: u64) -> String {
        self.log(table, version).iter().map(|(kind, actions)| format!("{kind}:{}", actions.len())).collect::<Vec<_>>().join(" ")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_table_is_one_commit_with_its_settings_and_where_it_came_from() {
    let room = room();
    build(&room.engine, overwrite("raw", "select 1 as id")).await;
    let mut write = overwrite("orders", "select id, 'a' as kind from main.raw");
    write.settings = TableSettings {
        partition_by: vec!["KIND".into()],
        properties: [("delta.logRetentionDuration".to_owned(), "interval 7 days".to_owned()), ("owner".into(), "me".into())].into_iter().collect(),
        change_feed: true,
        switch_change_feed: None,
        description: Some("all orders".into()),
        column_comments: [("id".to_owned(), "the \"key\"".to_owned())].into_iter().collect(),
        column_defaults: indexmap::IndexMap::new(),
    };
    assert_eq!(build(&room.engine, write).await, Some(0));

    assert_eq!(room.kinds("orders", 0), "add:1 commitInfo:1 metaData:1 protocol:1");
    let log = room.log("orders", 0);
    let metadata = &log["metaData"][0];
    assert_eq!(metadata["partitionColumns"], serde_json::json!(["kind"]));
    assert_eq!(metadata["description"], "all orders");
    let configuration = serde_json::json!({"delta.enableChangeDataFeed": "true", "delta.logRetentionDuration": "interval 7 days", "owner": "me"});
    assert_eq!(metadata["configuration"], configuration);
    let schema: Json = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    assert_eq!(schema["fields"][0]["metadata"]["comment"], "the \"key\"");
    let commit = &log["commitInfo"][0];
    assert_eq!(commit["alluvium.runId"], "run-1");
    assert_eq!(commit["alluvium.node"], "model.example.orders");
    assert_eq!(commit["alluvium.inputs"].as_object().unwrap().values().collect::<Vec<_>>(), [&Json::from(0)]);
    assert_eq!(commit["operationMetrics"]["numOutputRows"], "1");
    assert_eq!(room.files().iter().filter(|file| file.to_string_lossy().contains("_staging")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_changes_schema_and_partitions_and_keeps_the_history() {
    let room = room();
    build(&room.engine, overwrite("t", "select 1 as id union all select 2")).await;
    assert_eq!(build(&room.engine, overwrite("t", "select 3 as id")).await, Some(1));
    assert!(!room.log("t", 1).contains_key("metaData"), "nothing about the table changed: {}", room.kinds("t", 1));

    let mut write = overwrite("t", "select 'x' as code, timestamp '2026-01-02 03:04:05' as at, 4 as id");
    write.settings.partition_by = vec!["code".into()];
    assert_eq!(build(&room.engine, write).await, Some(2));
    let state = state(&room.engine, "t").await;
    assert_eq!((shown(&state).as_str(), state.partition_by), ("code VARCHAR, at TIMESTAMP, id BIGINT", vec!["code".to_owned()]));
    assert_eq!(rows(&room.engine, "select code, id from main.t").await, r#"["x",4]"#);
    assert_eq!(room.log("t", 2)["metaData"][0]["id"], room.log("t", 0)["metaData"][0]["id"]);

    let folder = room.engine.warehouse.folder(&name("t")).await.unwrap();
    let first = folder.builder(&name("t")).unwrap().with_version(0).load().await.unwrap();
    assert_eq!(first.snapshot().unwrap().log_data().iter().filter_map(|file| file.num_records()).sum::<usize>(), 2);
    let newest = folder.builder(&name("t")).unwrap().load().await.unwrap();
    assert_eq!(newest.snapshot().unwrap().log_data().num_files(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn appended_columns_meet_the_table_s_by_name() {
    for engine in [room().engine, in_memory()] {
        build(&engine, append("t", "select 1 as id, 'one' as Name")).await;
        build(&engine, append("t", "select 'two' as name, 2 as ID")).await;
        build(&engine, append("t", "select 'three' as name, 3 as id")).await;
        assert_eq!(rows(&engine, "select id, name from main.t order by id").await, r#"[1,"one"] [2,"two"] [3,"three"]"#);
        let more = append("t", "select 4 as id, 'four' as name, true as flag");
        let extra = stage(&engine, TableWrite { schema_change: SchemaChange::Fail, ..more.clone() }).await.unwrap_err();
        assert_eq!(extra.to_string(), "the query of `main.t` yields other columns than the table has (3 and 2)");
        let missing = stage(&engine, append("t", "select 4 as id")).await.unwrap_err();
        assert_eq!(missing.to_string(), "the query of `main.t` lacks columns that the table has: `Name`");
        build(&engine, TableWrite { schema_change: SchemaChange::Append, ..more }).await;
        assert_eq!(rows(&engine, "select id, name, flag from main.t where id > 2 order by id").await, r#"[3,"three",null] [4,"four",true]"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_rows_are_for_audits_only_and_go_when_dismissed() {
    let room = room();
    build(&room.engine, overwrite("t", "select 1 as id")).await;
    let before = room.files();
    for write in [overwrite("t", "select 5 as id, 'new' as more"), append("t", "select 6 as id"), overwrite("other", "select 7 as id")] {
        let relation = write.relation.clone();
        let mode = write.mode.clone();
        let stage = stage(&room.engine, write).await.unwrap();
        let over = [Overlay::Stage { name: relation.clone(), stage }];
        let seen = rows_over(&room.engine, &format!("select id from {relation} order by id"), &over).await;
        let expected = match (relation.identifier.as_str(), mode) {
            ("other", _) => "[7]",
            (_, WriteMode::Overwrite) => "[5]",
            (_, _) => "[1] [6]",
        };
        assert_eq!(seen, expected);
        assert_eq!(rows(&room.engine, "select id from main.t").await, "[1]");
        assert_eq!(room.engine.execute(&Step::Dismiss(stage)).await.unwrap(), Outcome::Done { changed: true });
        assert_eq!(room.files(), before);
        assert_eq!(room.engine.execute(&Step::Dismiss(stage)).await.unwrap(), Outcome::Done { changed: false });
    }
    assert!(room.engine.relation(&name("other")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_loses_against_any_commit_since_it_was_staged() {
    for engine in [room().engine, in_memory()] {
        build(&engine, overwrite("t", "select 1 as id where false")).await;
        for round in 0..2 {
            let ours = stage(&engine, overwrite("t", "select 10 as id")).await.unwrap();
            if round == 0 {
                append_foreign(&engine, "t", 2).await;
            } else {
                build(&engine, overwrite("t", "select 3 as id where false")).await;
                build(&engine, overwrite("t", "select 3 as id")).await;
            }
            assert!(matches!(publish(&engine, ours).await, Err(EngineError::Conflict { .. })));
            engine.execute(&Step::Dismiss(ours)).await.unwrap();
            assert_eq!(rows(&engine, "select id from main.t").await, if round == 0 { "[2]" } else { "[3]" });
        }
        // Two overwrites of an empty table: only one may stay.
        build(&engine, overwrite("t", "select 1 as id where false")).await;
        let (one, two) =
            (stage(&engine, overwrite("t", "select 1 as id")).await.unwrap(), stage(&engine, overwrite("t", "select 2 as id")).await.unwrap());
        publish(&engine, one).await.unwrap();
        assert!(matches!(publish(&engine, two).await, Err(EngineError::Conflict { .. })));
        // An append gets along with others.
        let ours = stage(&engine, append("t", "select 4 as id")).await.unwrap();
        append_foreign(&engine, "t", 5).await;
        publish(&engine, ours).await.unwrap();
        assert_eq!(rows(&engine, "select id from main.t order by id").await, "[1] [4] [5]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_creations_one_wins() {
    let room = room();
    let other = LocalEngine::open(options("warehouse", room.folder.path())).unwrap();
    let one = stage(&room.engine, overwrite("t", "select 1 as id")).await.unwrap();
    let two = stage(&other, overwrite("t", "select 2 as id")).await.unwrap();
    assert_eq!(publish(&other, two).await.unwrap(), Some(0));
    assert!(matches!(publish(&room.engine, one).await, Err(EngineError::Conflict { .. })));
    room.engine.execute(&Step::Dismiss(one)).await.unwrap();
    assert_eq!(rows(&room.engine, "select id from main.t").await, "[2]");
    assert_eq!(build(&room.engine, overwrite("t", "select 3 as id")).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_types_that_delta_holds_and_are_nullable() {
    for engine in [room().engine, in_memory()] {
        let sql = "select 1 as one, coalesce(null, 2) as two, null as nothing, arrow_cast(3, 'UInt8') as small, arrow_cast(4, 'UInt64') as big, \
                   arrow_cast('2026-01-02T03:04:05.123456', 'Timestamp(Nanosecond, None)') as plain, \
                   arrow_cast('2026-01-02T03:04:05', 'Timestamp(Second, Some(\"+02:00\"))') as zoned, \
                   arrow_cast('text', 'Dictionary(Int32, Utf8)') as word, arrow_cast('view', 'Utf8View') as seen, [1, 2] as list, \
                   row_number() over () as nr, cast(1.5 as decimal(10, 2)) as price, date '2026-01-02' as day, cast('x' as bytea) as raw";
        build(&engine, overwrite("t", sql)).await;
        let expected = "one BIGINT, two BIGINT, nothing VARCHAR, small SMALLINT, big BIGINT, plain TIMESTAMP, zoned TIMESTAMPTZ, word VARCHAR, \
                        seen VARCHAR, list ARRAY<BIGINT>, nr BIGINT, price DECIMAL(10,2), day DATE, raw BINARY";
        assert_eq!(shown(&state(&engine, "t").await), expected);
        let seen = rows(&engine, "select one, nothing, small, big, word, seen, list, nr, cast(plain as text) as p from main.t").await;
        assert_eq!(seen, r#"[1,null,3,4,"text","view",[1,2],1,"2026-01-02 03:04:05.123456"]"#);
        build(&engine, append("t", "select * replace (null as one, null as two) from main.t")).await;
        assert_eq!(rows(&engine, "select count(*) as n, count(one) as ones from main.t").await, "[2,1]");
        let too_big = stage(&engine, overwrite("u", "select arrow_cast(18446744073709551615, 'UInt64') as n")).await.unwrap_err();
        assert!(too_big.to_string().contains("column `n`"), "{too_big}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_delta_can_t_hold_is_refused_by_name_and_leaves_nothing() {
    let room = room();
    build(&room.engine, overwrite("t", "select 1 as id")).await;
    let before = room.files();
    let mut partitioned = overwrite("t", "select 1 as id, 2 as kind");
    partitioned.settings.partition_by = vec!["kin".into()];
    let mut all = overwrite("t", "select 1 as id");
    all.settings.partition_by = vec!["id".into()];
    let mut invalid = overwrite("new", "select 1 as id");
    invalid.settings.properties.insert("delta.enableChangeDataFeed".into(), "perhaps".into());
    for (write, words) in [
        (overwrite("t", "select arrow_cast('01:02:03', 'Time64(Microsecond)') as noon"), "column `noon` is TIME"),
        (overwrite("t", "select interval '1 day' as span"), "column `span` is INTERVAL"),
        (overwrite("t", "select 1 as id, 2 as \"Id\""), "two columns of `main.t` are called `Id`"),
        (overwrite("t", "select 1 as \"a b\""), "`a b`"),
        (overwrite("new", "select 1 as \"a;b\""), "`a;b`"),
        (partitioned, "partitioned by `kin`"),
        (all, "partitioned by all its columns"),
        (invalid, "delta.enableChangeDataFeed"),
        (overwrite("new", "select 1 / (id - 1) as x from main.t"), "divide by zero"),
    ] {
        let error = stage(&room.engine, write).await.expect_err(words);
        assert!(error.to_string().to_lowercase().contains(&words.to_lowercase()), "expected {words}, found {error}");
        assert_eq!(room.files(), before, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_decides_on_types_and_nulls() {
    let room = room();
    let column = |name: &str, data_type: &str, nullable| TableColumn { name: name.into(), data_type: data_type.into(), nullable };
    let contract =
        |sql: &str| TableWrite { columns: vec![column("id", "int", false), column("price", "decimal(10,2)", true)], ..overwrite("t", sql) };
    build(&room.engine, contract("select 1 as id, 2.5 as price")).await;
    assert_eq!(shown(&state(&room.engine, "t").await), "id INTEGER not null, price DECIMAL(10,2)");
    let before = room.files();
    for sql in ["select null as id, 1 as price", "select case when v < 3 then v end as id, v as price from generate_series(1, 3) as g (v)"] {
        let error = stage(&room.engine, contract(sql)).await.unwrap_err();
        assert!(matches!(&error, EngineError::Violated(broken) if broken.rule == BrokenRule::NotNull { column: "id".into() }), "{error}");
    }
    let error = stage(&room.engine, contract("select 3000000000 as id, 1 as price")).await.unwrap_err();
    assert!(matches!(&error, EngineError::Constraint { reason, .. } if reason.contains("column `id`")), "{error}");
    assert_eq!(room.files(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_and_settings_of_a_table_outlive_an_overwrite() {
    let room = room();
    let mut write = overwrite("t", "select 1 as id");
    write.settings.properties.insert("owner".into(), "me".into());
    write.settings.column_comments.insert("id".into(), "the key".into());
    build(&room.engine, write).await;
    let table = room.engine.warehouse.open_table(&name("t")).await.unwrap().unwrap();
    table.add_constraint().with_constraint("positive", "id > 0").await.unwrap();

    build(&room.engine, overwrite("t", "select 2 as id, now() as at")).await;
    let error = stage(&room.engine, overwrite("t", "select -1 as id")).await.unwrap_err();
    assert!(matches!(&error, EngineError::Violated(broken) if broken.shown == ["(id: -1)"]), "{error}");
    let metadata = room.log("t", 2)["metaData"][0].clone();
    assert_eq!(metadata["configuration"], serde_json::json!({"owner": "me", "delta.constraints.positive": "id > 0"}));
    assert!(metadata["schemaString"].as_str().unwrap().contains("the key"));
    assert_eq!(rows(&room.engine, "select id from main.t").await, "[2]");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_map_their_columns_are_written_too() {
    let room = room();
    let mut write = overwrite("t", "select 1 as id, 'x' as \"a b\"");
    write.settings.properties.insert("delta.columnMapping.mode".into(), "name".into());
    build(&room.engine, write.clone()).await;
    build(&room.engine, append("t", "select 'y' as \"a b\", 2 as id")).await;
    assert_eq!(rows(&room.engine, "select id, \"a b\" from main.t order by id").await, r#"[1,"x"] [2,"y"]"#);
    write.input = TableInput::Query("select 'z' as \"a b\", true as flag".into());
    build(&room.engine, write).await;
    assert_eq!(rows(&room.engine, "select * from main.t").await, r#"["z",true]"#);
    let folder = room.engine.warehouse.folder(&name("t")).await.unwrap();
    let first = folder.builder(&name("t")).unwrap().with_version(1).load().await.unwrap();
    assert_eq!(first.snapshot().unwrap().log_data().num_files(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_unwritable_tables_are_told_apart() {
    let room = room();
    build(&room.engine, overwrite("t", "select 1 as id")).await;
    let log = room.table("t").join("_delta_log");
    let feature = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata"]}}"#;
    std::fs::write(log.join("00000000000000000001.json"), feature).unwrap();
    let before = room.files();
    for write in [overwrite("t", "select 2 as id"), append("t", "select 2 as id")] {
        let error = stage(&room.engine, write).await.unwrap_err();
        assert!(matches!(&error, EngineError::Feature { reason, writing: true, .. } if reason.contains("rowTracking")), "{error}");
    }
    assert_eq!(room.files(), before);
    assert_eq!(rows(&room.engine, "select id from main.t").await, "[1]");

    std::fs::write(log.join("00000000000000000001.json"), "{\"add\": {\"path\": ").unwrap();
    let error = room.engine.relation(&name("t")).await.unwrap_err();
    assert!(matches!(&error, EngineError::Damaged { relation, .. } if relation == "main.t"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_whatever_their_case_and_stay_in_the_warehouse() {
    let room = room();
    let relation = |schema: &str, identifier: &str| RelationName::new("alluvium", schema, identifier);
    build(&room.engine, TableWrite { relation: relation("Sales", "Orders"), ..overwrite("t", "select 1 as id") }).await;
    build(&room.engine, TableWrite { relation: relation("SALES", "ORDERS"), ..overwrite("t", "select 2 as id") }).await;
    assert_eq!(rows(&room.engine, "select id from sales.orders").await, "[2]");
    build(&room.engine, TableWrite { relation: relation("../up", "a/b c"), ..overwrite("t", "select 3 as id") }).await;
    build(&room.engine, TableWrite { relation: RelationName::new("Elsewhere", "s", "t"), ..overwrite("t", "select 4 as id") }).await;
    assert_eq!(rows(&room.engine, "select id from \"../up\".\"a/b c\" union all select id from elsewhere.s.t order by id").await, "[3] [4]");
    let folders: Vec<_> = ["Sales/Orders", "+2E.+2Fup/a+2Fb+20c", "_db/Elsewhere/s/t"]
        .map(|path| room.folder.path().join("warehouse").join(path).join("_delta_log"))
        .into();
    assert!(folders.iter().all(|folder| folder.is_dir()), "{:?}", room.files());
    let listed: Vec<String> = room.engine.warehouse.list().await.unwrap().iter().map(RelationName::short).collect();
    assert_eq!(listed, ["../up.a/b c", "Sales.Orders"]);
    room.engine.execute(&Step::Drop(relation("sales", "orders"))).await.unwrap();
    assert!(room.engine.relation(&relation("Sales", "Orders")).await.unwrap().is_none());
    assert!(!room.folder.path().join("warehouse/Sales/Orders").exists());
}

fn view(identifier: &str, sql: &str) -> Step {
    Step::PutView(ViewWrite { relation: name(identifier), sql: sql.into(), proved: false, description: None, label: CommitLabel::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_tables_take_each_other_s_place() {
    for engine in [room().engine, in_memory()] {
        build(&engine, overwrite("t", "select 1 as id")).await;
        let records = RelationName::new("alluvium", "_alluvium", "relations");
        assert_eq!(engine.execute(&view("v", "select id from main.t")).await.unwrap(), Outcome::Done { changed: true });
        let version = engine.warehouse.open_table(&records).await.unwrap().unwrap().version();
        assert_eq!(engine.execute(&view("V", "select id from main.t")).await.unwrap(), Outcome::Done { changed: false });
        assert_eq!(engine.warehouse.open_table(&records).await.unwrap().unwrap().version(), version);
        engine.execute(&view("v", "select id + 1 as next from main.t")).await.unwrap();
        assert_eq!(rows(&engine, "select * from main.v").await, "[2]");

        build(&engine, overwrite("v", "select 9 as id")).await;
        assert_eq!(state(&engine, "v").await.kind, RelationKind::Table);
        engine.execute(&view("v", "select 8 as id")).await.unwrap();
        assert_eq!(state(&engine, "v").await.kind, RelationKind::View);
        assert!(engine.warehouse.open_table(&name("v")).await.unwrap().is_none());
        assert_eq!(engine.execute(&Step::Drop(name("v"))).await.unwrap(), Outcome::Done { changed: true });
        assert!(engine.relation(&name("v")).await.unwrap().is_none());
        assert_eq!(engine.execute(&Step::Drop(name("v"))).await.unwrap(), Outcome::Done { changed: false });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_several_writers_all_stay() {
    let folder = tempfile::tempdir().unwrap();
    let engines: Vec<_> = (0..4).map(|_| Arc::new(LocalEngine::open(options("warehouse", folder.path())).unwrap())).collect();
    let writers = engines.iter().enumerate().map(|(at, engine)| {
        let engine = Arc::clone(engine);
        tokio::spawn(async move {
            for nr in 0..3 {
                engine.execute(&view(&format!("v{at}_{nr}"), "select 1 as id")).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for engine in &engines {
        assert_eq!(engine.views.list().await.unwrap().len(), 12);
    }
    let log = folder.path().join("warehouse/_alluvium/relations/_delta_log");
    let entries = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "json"));
    let creations = entries.filter(|path| std::fs::read_to_string(path).unwrap().contains("\"metaData\"")).count();
    assert_eq!(creations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_cut_off_leaves_nothing() {
    let room = room();
    let sql = "select a.value as x, b.value as y from generate_series(1, 100000) as a cross join generate_series(1, 100000) as b";
    let cut_off = tokio::time::timeout(Duration::from_millis(800), stage(&room.engine, overwrite("t", sql))).await;
    assert!(cut_off.is_err());
    room.engine.cancel().await;
    assert_eq!(room.files(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_limit_makes_rows_spill() {
    let folder = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(EngineOptions { memory_limit: Some(48 << 20), ..options("warehouse", folder.path()) }).unwrap();
    let sql = "select a.value as id, sha256(cast(a.value as text)) as code from generate_series(1, 200000) as a order by code";
    build(&engine, overwrite("t", sql)).await;
    let joined = "select count(*) as n from main.t as l join main.t as r on l.code = r.code";
    assert_eq!(rows(&engine, joined).await, "[200000]");
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_leaves_nothing_and_tells_what_is_in_the_way() {
    let room = room();
    room.engine.probe().await.unwrap();
    assert_eq!(room.files(), Vec::<PathBuf>::new());
    std::fs::write(room.folder.path().join("file"), "").unwrap();
    let blocked = LocalEngine::open(options("file/warehouse", room.folder.path())).unwrap();
    assert!(matches!(blocked.probe().await.unwrap_err(), EngineError::Storage { .. }));
    let above = LocalEngine::open(options("inner/../above", room.folder.path())).unwrap();
    build(&above, overwrite("t", "select 1 as id")).await;
    assert!(room.folder.path().join("above/main/t").is_dir());
    let unknown = LocalEngine::open(options("ftp://example.com/x", room.folder.path())).unwrap_err();
    assert!(matches!(&unknown, EngineError::Diagnosed(inner) if inner.code.name() == "storage-uri"), "{unknown}");
}

/// A store that commits and then says it did not, as a connection that breaks does.
#[derive(Debug)]
struct Broken(ObjectStoreRef);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

#[async_trait]
impl ObjectStore for Broken {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
        self.0.put_opts(location, payload, opts).await?;
        Err(StoreError::Generic { store: "broken", source: "connection reset".into() })
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrived_counts_although_its_answer_was_lost() {
    let room = room();
    let mut staged = write::stage(&room.engine, &overwrite("t", "select 1 as id")).await.unwrap();
    staged.folder.store = Arc::new(Broken(Arc::clone(&staged.folder.store)));
    let stage = room.engine.stages.add(Staged::Table(Box::new(staged)));
    assert_eq!(publish(&room.engine, stage).await.unwrap(), Some(0));
    assert_eq!(room.engine.execute(&Step::Dismiss(stage)).await.unwrap(), Outcome::Done { changed: false });
    assert_eq!(rows(&room.engine, "select id from main.t").await, "[1]");
}
