//! Statements and files for consumers through the engine, on a folder and in memory.

use deltalake::arrow::array::RecordBatch;
use futures::TryStreamExt as _;

use super::super::super::{CommitLabel, Engine, EngineError, FilesBinding, FilesWrite, Outcome, Overlay, RelationKind, Step, json_rows};
use super::super::{EngineOptions, LocalEngine, catalog};
use crate::manifest::{ExternalConfig, FileFormat, RelationName};
use crate::sql::{split_statements, type_name};

struct Room {
    engine: LocalEngine,
    dir: tempfile::TempDir,
}

/// An engine over a folder, or in memory.
fn room(memory: bool) -> Room {
    let dir = tempfile::tempdir().unwrap();
    let warehouse = if memory { format!("memory://{}", uuid::Uuid::new_v4().simple()) } else { "warehouse".into() };
    let engine = LocalEngine::open(EngineOptions::of_folder(&warehouse, dir.path())).unwrap();
    Room { engine, dir }
}

impl Room {
    /// The rows of the last statement, one a line, below its columns.
    async fn run(&self, script: &str) -> Result<String, EngineError> {
        let mut shown = String::new();
        for range in split_statements(script).unwrap() {
            shown = match self.engine.statement(&script[range]).await? {
                None => "done".into(),
                Some(stream) => {
                    let schema = stream.schema();
                    let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| super::failure::query(error, ""))?;
                    let columns: Vec<_> = schema.fields().iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
                    let mut rows: Vec<_> =
                        batches.iter().flat_map(|batch| json_rows(batch).unwrap()).map(|row| serde_json::to_string(&row).unwrap()).collect();
                    rows.sort();
                    format!("{}\n{}", columns.join(", "), rows.join("\n"))
                }
            };
        }
        Ok(shown)
    }

    async fn rows(&self, script: &str) -> String {
        let shown = self.run(script).await.unwrap_or_else(|error| panic!("{script}: {}", self.show(&error, script)));
        shown.split_once('\n').map_or(shown.clone(), |(_, rows)| rows.replace('\n', " "))
    }

    async fn refused(&self, script: &str) -> String {
        let error = self.run(script).await.expect_err(script);
        self.show(&error, script)
    }

    #[expect(clippy::unused_self, reason = "reads better beside the others")]
    fn show(&self, error: &EngineError, script: &str) -> String {
        match error {
            EngineError::Sql(inner) => {
                let at = inner.range.clone().and_then(|range| script.get(range)).map(|text| format!(" @ {text}"));
                let notes: String = inner.notes.iter().map(|note| format!(" ({note})")).collect();
                let help = inner.help.as_ref().map(|help| format!(" [{help}]"));
                format!("{}: {}{}{notes}{}", inner.code, inner.message, at.unwrap_or_default(), help.unwrap_or_default())
            }
            EngineError::Diagnosed(inner) => format!("{}: {}", inner.code, inner.message),
            other => other.to_string(),
        }
    }
}

fn name(identifier: &str) -> RelationName {
    RelationName::new("alluvium", "main", identifier)
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_filled_changed_and_dropped() {
    for memory in [false, true] {
        let room = room(memory);
        room.rows("create table t (Id int not null, Name varchar(20), Amount decimal(10,2))").await;
        room.rows("insert into t values (1, 'a', 1.5), (2, 'b', null); insert into T (name, id) select 'c', 3").await;
        assert_eq!(
            room.run("select * from t").await.unwrap(),
            "Id INTEGER, Name VARCHAR, Amount DECIMAL(10,2)\n[1,\"a\",\"1.50\"]\n[2,\"b\",null]\n[3,\"c\",null]"
        );
        room.rows("update t set NAME = upper(name), amount = id * 2 where ID > 1").await;
        assert_eq!(room.rows("select name, amount from main.t").await, "[\"B\",\"4.00\"] [\"C\",\"6.00\"] [\"a\",\"1.50\"]");
        room.rows("delete from t where id = (select max(id) from t)").await;
        room.rows("update t set amount = (select 9.0) where name in (select 'B')").await;
        room.rows("delete from t where t.name = 'a' or exists (select 1 where false)").await;
        room.rows("insert into t values (5, 'e', 1); delete from t where exists (select 1 from t x where x.id < t.id)").await;
        assert_eq!(room.rows("select * from \"alluvium\".\"main\".\"t\"").await, "[2,\"B\",\"9.00\"]");
        assert!(!room.refused("insert into t (name) values ('x')").await.is_empty());
        assert_eq!(room.rows("select count(*) from t").await, "[1]");
        assert_eq!(
            room.refused("create table t (a int)").await,
            "sql-invalid: `main.t` exists already @ t [write `create or replace table` or `create table if not exists`, or drop it first]"
        );
        room.rows("create table if not exists t (a int); create or replace table t as select 1 as a, 'x' as b").await;
        assert_eq!(room.run("select * from t").await.unwrap(), "a BIGINT, b VARCHAR\n[1,\"x\"]");
        room.rows("drop table t; drop table if exists t").await;
        assert_eq!(
            room.refused("select * from t").await,
            "unknown-table: there is no table `t` @ t [names without a schema are looked up in `main`]"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_seen_before_they_hold_a_table() {
    for memory in [false, true] {
        let room = room(memory);
        room.rows("create schema One; create schema if not exists one").await;
        assert_eq!(room.rows("select schema_name from information_schema.schemata where schema_name = 'One'").await, "[\"One\"]");
        room.rows("create table one.t as select 1 as id; create view one.v as select * from one.t").await;
        assert_eq!(
            room.refused("drop schema one").await,
            "sql-invalid: the schema `one` is not empty: it holds `t` @ one [write `cascade` behind the name to drop what it holds too]"
        );
        assert_eq!(
            room.rows("SELECT TABLE_NAME, Table_Type from INFORMATION_SCHEMA.tables where lower(table_schema) = 'one'").await,
            "[\"t\",\"BASE TABLE\"] [\"v\",\"VIEW\"]"
        );
        assert_eq!(
            room.rows(
                "select table_name, column_name, data_type, ordinal_position from information_schema.columns where lower(table_schema) = 'one'"
            )
            .await,
            "[\"t\",\"id\",\"BIGINT\",1] [\"v\",\"id\",\"BIGINT\",1]"
        );
        room.rows("drop schema one cascade; drop schema if exists one").await;
        assert_eq!(room.rows("select count(*) from information_schema.tables where lower(table_schema) = 'one'").await, "[0]");
        assert_eq!(
            room.refused("drop schema one").await,
            "sql-invalid: there is no schema `one` @ one [write `drop schema if exists` where that is fine]"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_whatever_their_case_and_views_are_inlined() {
    let room = room(false);
    room.rows("create table Orders as select 1 as OrderId, 2.5 as Total; create view big as select orderid, TOTAL from ORDERS where total > 1").await;
    assert_eq!(room.run("with B as (select * from Big) select o.ORDERID, b.total from orders o join b on b.OrderId = o.orderid join MAIN.Orders x on x.orderid = o.orderid").await.unwrap(), "OrderId BIGINT, Total DOUBLE\n[1,2.5]");
    let bound = catalog::bind_session(&room.engine, "select * from big, orders", &[]).await.unwrap();
    assert_eq!(bound.inputs.len(), 1);
    assert_eq!(room.refused("select * from ordes").await, "unknown-table: there is no table `ordes` @ ordes [did you mean `Orders`?]");
    assert_eq!(room.refused("select totl from orders").await.split(" @ ").next().unwrap(), "unknown-column: column `totl` not found");
    room.rows("drop table orders").await;
    assert_eq!(
        room.refused("select * from big").await,
        "unknown-table: there is no table `alluvium.main.ORDERS` (in the query of the view `main.big`) [nothing of that name has been built: build it first (`alluvium build --select ORDERS`), or fill the table; a source of files is declared with `external:`]"
    );
    room.rows("create or replace view big as select 1 as a; create view other as select * from big").await;
    room.rows("create or replace view big as select * from other").await;
    assert_eq!(
        room.refused("select * from other").await,
        "cycle: the view reads itself: `main.other` -> `main.big` -> `main.other` @ other (in the query of the view `main.big`) (in the query of the view `main.other`)"
    );
    let view = room.engine.relation(&name("missing")).await.unwrap();
    assert!(view.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_refused_by_its_name() {
    let room = room(true);
    for (statement, expected) in [
        ("alter table t add column x int", "unknown-table: there is no table `main.t` @ t"),
        ("grant select on t to u", "not-available: `grant` is not available yet @ grant [docs/sql.md lists the statements that there are]"),
        ("create table t (a strin)", "type-unknown: column `a`: `strin` is not a type @ strin [did you mean `string`?]"),
        ("insert into nowhere values (1)", "unknown-table: there is no table `main.nowhere` @ nowhere"),
    ] {
        assert_eq!(room.refused(statement).await, expected, "{statement}");
    }
    assert!(room.refused("selec 1").await.starts_with("sql-syntax"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_stands_in_for_a_relation() {
    let room = room(true);
    room.rows("create table t as select 1 as id").await;
    let over = [Overlay::Query { name: name("T"), sql: "select id + 1 as id from t".into() }];
    let batches: Vec<RecordBatch> = room.engine.query("select * from t", &over).await.unwrap().try_collect().await.unwrap();
    assert_eq!(json_rows(&batches[0]).unwrap(), [[serde_json::json!(2)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_for_consumers_are_written_aside_and_stay_queryable() {
    for (format, location) in [(FileFormat::Csv, "out/x.csv.gz"), (FileFormat::Json, "out/x.json"), (FileFormat::Parquet, "out/")] {
        let room = room(false);
        let write = FilesWrite {
            relation: name("x"),
            sql:
                "select 1 as id, 'a,\"b' as text, cast(1.5 as decimal(5,2)) as amount, date '2024-01-02' as day union all select 2, null, null, null"
                    .into(),
            config: ExternalConfig { location: location.into(), format, options: indexmap::IndexMap::new() },
            option_spans: std::collections::BTreeMap::default(),
            label: CommitLabel::default(),
        };
        let Outcome::Staged { stage, rows } = room.engine.execute(&Step::StageFiles(write.clone())).await.unwrap() else { panic!() };
        assert_eq!(rows, 2);
        let over = [Overlay::Stage { name: name("x"), stage }];
        let staged: Vec<RecordBatch> = room.engine.query("select * from x where id = 2", &over).await.unwrap().try_collect().await.unwrap();
        assert_eq!(staged.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
        let visible = || {
            std::fs::read_dir(room.dir.path().join("out"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !name.starts_with('.'))
                .collect::<Vec<_>>()
        };
        assert!(visible().is_empty());
        room.engine.execute(&Step::Publish(stage)).await.unwrap();
        assert_eq!(visible().len(), 1);
        assert_eq!(
            room.run("select * from x").await.unwrap(),
            "id BIGINT, text VARCHAR, amount DECIMAL(5,2), day DATE\n[1,\"a,\\\"b\",\"1.50\",\"2024-01-02\"]\n[2,null,null,null]",
            "{format:?}"
        );
        let Outcome::Staged { stage, .. } = room.engine.execute(&Step::StageFiles(write)).await.unwrap() else { panic!() };
        room.engine.execute(&Step::Dismiss(stage)).await.unwrap();
        assert_eq!(std::fs::read_dir(room.dir.path().join("out")).unwrap().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_files_are_relations() {
    let room = room(false);
    std::fs::write(room.dir.path().join("c.csv"), "Id,Balance\n1,2.5\n2,abc\n").unwrap();
    let binding = FilesBinding {
        name: RelationName::new("alluvium", "raw", "c"),
        config: ExternalConfig { location: "c.csv".into(), format: FileFormat::Csv, options: indexmap::IndexMap::new() },
        columns: vec![("balance".into(), Some("double".into()))],
        span: None,
        option_spans: std::collections::BTreeMap::default(),
        call: None,
    };
    room.engine.bind(binding.clone());
    let state = room.engine.relation(&binding.name).await.unwrap().unwrap();
    assert_eq!((state.kind, state.schema.fields().len()), (RelationKind::Files, 2));
    assert_eq!(room.rows("select count(ID) from RAW.C").await, "[2]");
    assert_eq!(room.refused("select * from raw.c").await, "input-file: `c.csv` line 3, column `Balance`: `abc` is not a double");
}
