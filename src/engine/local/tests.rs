//! Staging and publishing against Delta's traps, on a folder and in memory.

use deltalake::arrow::array::RecordBatch;
use futures::TryStreamExt as _;

use super::super::{
    BrokenRule, CommitLabel, Engine, EngineError, Outcome, Overlay, SchemaChange, StageId, Step, TableColumn, TableInput, TableSettings, TableWrite,
    ViewWrite, WriteMode, json_rows,
};
use super::{EngineOptions, LocalEngine};
use crate::manifest::RelationName;
use crate::sql::type_name;

struct Room {
    engines: [LocalEngine; 2],
    _dir: tempfile::TempDir,
}

/// Two engines over one warehouse: ours, and another writer.
fn room(memory: bool) -> Room {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = if memory { format!("memory://{}", uuid::Uuid::new_v4().simple()) } else { "warehouse".into() };
    let open = || LocalEngine::open(EngineOptions::of_folder(&warehouse, dir.path())).unwrap();
    Room { engines: [open(), open()], _dir: dir }
}

fn name() -> RelationName {
    RelationName::new("alluvium", "main", "t")
}

fn write(sql: &str, mode: WriteMode) -> TableWrite {
    let settings = TableSettings { change_feed: true, ..TableSettings::default() };
    TableWrite {
        relation: name(),
        input: TableInput::Query(sql.into()),
        mode,
        schema_change: SchemaChange::default(),
        dedupe: None,
        columns: Vec::new(),
        checks: None,
        streams: Vec::new(),
        settings,
        label: CommitLabel::default(),
    }
}

async fn stage(engine: &LocalEngine, write: TableWrite) -> Result<StageId, EngineError> {
    match engine.execute(&Step::StageTable(write)).await? {
        Outcome::Staged { stage, .. } => Ok(stage),
        other => panic!("{other:?}"),
    }
}

async fn put(engine: &LocalEngine, write: TableWrite) -> Result<Outcome, EngineError> {
    let stage = stage(engine, write).await?;
    engine.execute(&Step::Publish(stage)).await
}

async fn rows(engine: &LocalEngine, sql: &str, overlays: &[Overlay]) -> String {
    let batches: Vec<RecordBatch> = engine.query(sql, overlays).await.unwrap().try_collect().await.unwrap();
    let rows: Vec<_> = batches.iter().flat_map(|batch| json_rows(batch).unwrap()).map(|row| serde_json::to_string(&row).unwrap()).collect();
    rows.join(" ")
}

async fn columns(engine: &LocalEngine) -> String {
    let state = engine.relation(&name()).await.unwrap().unwrap();
    let shown = |field: &deltalake::arrow::datatypes::Field| {
        format!("{} {}{}", field.name(), type_name(field.data_type()), if field.is_nullable() { "" } else { " not null" })
    };
    state.schema.fields().iter().map(|field| shown(field)).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn staged_rows_are_seen_by_audits_only_and_dismissing_leaves_the_table() {
    for memory in [false, true] {
        let room = room(memory);
        let [ours, other] = &room.engines;
        put(ours, write("select 1 as n", WriteMode::Overwrite)).await.unwrap();
        let stage = stage(ours, write("select 2 as n union all select 3", WriteMode::Overwrite)).await.unwrap();
        let over = [Overlay::Stage { name: name(), stage }];
        assert_eq!(rows(ours, "select sum(n) as s from t", &over).await, "[5]");
        assert_eq!(rows(ours, "select n from t", &[]).await, "[1]");
        ours.execute(&Step::Dismiss(stage)).await.unwrap();
        assert_eq!(rows(other, "select n from t", &[]).await, "[1]");
        assert!(matches!(ours.execute(&Step::Publish(stage)).await, Err(EngineError::Unsupported { .. })));
    }
}

#[tokio::test]
async fn a_dismissed_first_write_leaves_no_table() {
    for memory in [false, true] {
        let room = room(memory);
        let [ours, other] = &room.engines;
        let stage = stage(ours, write("select 1 as n where false", WriteMode::Overwrite)).await.unwrap();
        assert_eq!(rows(ours, "select count(*) as c from t", &[Overlay::Stage { name: name(), stage }]).await, "[0]");
        ours.execute(&Step::Dismiss(stage)).await.unwrap();
        assert!(other.relation(&name()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_overwrite_that_another_writer_came_before_is_a_conflict() {
    for mode in [WriteMode::Append, WriteMode::Overwrite] {
        let room = room(true);
        let [ours, other] = &room.engines;
        put(ours, write("select 1 as n", WriteMode::Overwrite)).await.unwrap();
        let stage = stage(ours, write("select 2 as n", WriteMode::Overwrite)).await.unwrap();
        put(other, write("select 9 as n", mode.clone())).await.unwrap();
        let lost = ours.execute(&Step::Publish(stage)).await;
        assert!(matches!(lost, Err(EngineError::Conflict { .. })), "{mode:?}: {lost:?}");
        ours.execute(&Step::Dismiss(stage)).await.unwrap();
        put(ours, write("select n + 10 as n from t", WriteMode::Overwrite)).await.unwrap();
        let expected = if mode == WriteMode::Append { "[11] [19]" } else { "[19]" };
        assert_eq!(rows(other, "select n from t order by n", &[]).await, expected);
    }
}

#[tokio::test]
async fn of_two_that_create_a_table_one_wins() {
    for memory in [false, true] {
        let room = room(memory);
        let [ours, other] = &room.engines;
        let first = stage(ours, write("select 1 as n", WriteMode::Overwrite)).await.unwrap();
        let second = stage(other, write("select 2 as n", WriteMode::Overwrite)).await.unwrap();
        let published = ours.execute(&Step::Publish(first)).await.unwrap();
        assert_eq!(published, Outcome::Published { version: Some(0) });
        assert!(matches!(other.execute(&Step::Publish(second)).await, Err(EngineError::Conflict { .. })));
        other.execute(&Step::Dismiss(second)).await.unwrap();
        assert_eq!(rows(other, "select n from t", &[]).await, "[1]");
    }
}

#[tokio::test]
async fn a_new_schema_replaces_the_old_one_and_the_history_stays() {
    let room = room(false);
    let [ours, _] = &room.engines;
    put(ours, write("select 1 as id, coalesce(null, 'x') as label", WriteMode::Overwrite)).await.unwrap();
    assert_eq!(columns(ours).await, "id BIGINT, label VARCHAR");
    let mut partitioned = write("select cast('2026-01-01' as timestamp) as at, 2.5 as amount, null as nothing, 'a' as part", WriteMode::Overwrite);
    partitioned.settings.partition_by = vec!["PART".into()];
    let published = put(ours, partitioned).await.unwrap();
    assert_eq!(published, Outcome::Published { version: Some(1) });
    assert_eq!(columns(ours).await, "at TIMESTAMP, amount DOUBLE, nothing VARCHAR, part VARCHAR");
    assert_eq!(ours.relation(&name()).await.unwrap().unwrap().partition_by, ["part"]);
    put(ours, write("select row_number() over () as n", WriteMode::Overwrite)).await.unwrap();
    assert_eq!(columns(ours).await, "n BIGINT");
    assert_eq!(rows(ours, "select n from t", &[]).await, "[1]");
}

#[tokio::test]
async fn a_contract_sets_types_and_refuses_null() {
    let room = room(true);
    let [ours, _] = &room.engines;
    let column = |name: &str, data_type: &str, nullable| TableColumn { name: name.into(), data_type: data_type.into(), nullable };
    let mut promised = write("select 1 as id, '2.50' as amount", WriteMode::Overwrite);
    promised.columns = vec![column("id", "int", false), column("amount", "decimal(10,2)", true)];
    put(ours, promised.clone()).await.unwrap();
    assert_eq!(columns(ours).await, "id INTEGER not null, amount DECIMAL(10,2)");
    promised.input = TableInput::Query("select cast(null as int) as id, '1' as amount".into());
    let refused = put(ours, promised.clone()).await;
    assert!(matches!(&refused, Err(EngineError::Violated(broken)) if broken.rule == BrokenRule::NotNull { column: "id".into() }), "{refused:?}");
    promised.input = TableInput::Query("select 1 as id".into());
    assert!(put(ours, promised).await.is_err());
    assert_eq!(rows(ours, "select id from t", &[]).await, "[1]");
}

#[tokio::test]
async fn views_are_recorded_once_and_change_places_with_tables() {
    let room = room(false);
    let [ours, other] = &room.engines;
    let view =
        |sql: &str| Step::PutView(ViewWrite { relation: name(), sql: sql.into(), proved: false, description: None, label: CommitLabel::default() });
    assert_eq!(ours.execute(&view("select 1 as n")).await.unwrap(), Outcome::Done { changed: true });
    assert_eq!(ours.execute(&view("select 1 as n")).await.unwrap(), Outcome::Done { changed: false });
    assert!(ours.execute(&view("select nothing from nowhere")).await.is_err());
    assert_eq!(rows(other, "select n from t", &[]).await, "[1]");
    put(other, write("select 2 as n", WriteMode::Overwrite)).await.unwrap();
    assert_eq!(rows(ours, "select n from t", &[]).await, "[2]");
    assert_eq!(ours.execute(&view("select 3 as n")).await.unwrap(), Outcome::Done { changed: true });
    assert_eq!(rows(other, "select n from t", &[]).await, "[3]");
    assert_eq!(other.execute(&Step::Drop(name())).await.unwrap(), Outcome::Done { changed: true });
    assert!(ours.relation(&name()).await.unwrap().is_none());
}
