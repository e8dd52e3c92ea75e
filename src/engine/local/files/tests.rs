//! Files as users deliver them: types, shapes, partitions, and what is wrong with them by file and line.

use std::sync::Arc;

use deltalake::arrow::util::pretty::pretty_format_batches;
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::prelude::SessionContext;
use indexmap::IndexMap;

use super::*;
use crate::manifest::ExternalConfig;
use crate::sql::{Semantics, SessionOptions, session_state};

struct Room {
    dir: tempfile::TempDir,
    files: Arc<FileSources>,
    context: SessionContext,
    sources: Arc<Sources>,
}

fn room(texts: &[(&str, &str)]) -> Room {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in texts {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let sources = Sources::new();
    let options = SessionOptions { threads: 2, runtime: Arc::new(RuntimeEnv::default()), spilling_joins: false, semantics: Semantics::default() };
    let files = FileSources::new(dir.path(), HashMap::new(), Arc::clone(&sources));
    Room { dir, files, context: SessionContext::new_with_state(session_state(&options)), sources }
}

fn binding(location: &str, options: &[(&str, &str)], columns: &[(&str, &str)]) -> FilesBinding {
    FilesBinding {
        name: RelationName::new("alluvium", "raw", "t"),
        config: ExternalConfig {
            location: location.into(),
            format: FileFormat::from_location(location).unwrap_or(FileFormat::Csv),
            options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        },
        columns: columns.iter().map(|(name, data_type)| ((*name).to_owned(), Some((*data_type).to_owned()))).collect(),
        span: None,
        option_spans: std::collections::BTreeMap::new(),
        call: None,
    }
}

impl Room {
    async fn read(&self, binding: &FilesBinding) -> Result<String, String> {
        let provider = self.files.provider(&self.context.state(), binding).await.map_err(|error| self.show(&error))?;
        self.rows(provider).await
    }

    async fn rows(&self, provider: Arc<dyn TableProvider>) -> Result<String, String> {
        let types: Vec<_> =
            provider.schema().fields().iter().map(|field| format!("{} {}", field.name(), crate::sql::type_name(field.data_type()))).collect();
        let batches = match self.context.read_table(provider).unwrap().collect().await {
            Ok(batches) => batches,
            Err(error) => {
                let deltalake::datafusion::common::DataFusionError::External(error) = error.find_root() else { return Err(error.to_string()) };
                return Err(self.show(error.downcast_ref().unwrap()));
            }
        };
        let table = pretty_format_batches(&batches).unwrap().to_string();
        let mut rows: Vec<_> = table
            .lines()
            .skip(3)
            .filter(|line| line.starts_with('|'))
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .map(|cells| cells[1..cells.len() - 1].join(","))
            .collect();
        rows.sort();
        Ok(format!("{}\n{}", types.join(", "), rows.join("\n")))
    }

    fn show(&self, error: &EngineError) -> String {
        match error {
            EngineError::Diagnosed(diagnostic) => {
                let place = diagnostic.primary_span().map(|span| {
                    let position = self.sources.position(span.file, span.start);
                    format!(" @ {}:{} `{}`", position.line, position.column, self.sources.text(span))
                });
                format!("{}: {}{}", diagnostic.code, diagnostic.message, place.unwrap_or_default())
            }
            other => other.to_string(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_types_are_inferred_over_all_rows_and_declared_ones_win() {
    let room = room(&[("data/a.csv", "\u{feff}Id,Zip,Name,Paid,Since,Note\n1,007,\"Ann, \"\"A\"\"\nB\",true,2024-01-02,\n2,12,,false,,\n")]);
    let read = room.read(&binding("data/a.csv", &[], &[("id", "decimal(10,2)")])).await;
    assert_eq!(
        read.unwrap(),
        "Id DECIMAL(10,2), Zip VARCHAR, Name VARCHAR, Paid BOOLEAN, Since DATE, Note VARCHAR\n,,B,,,\n1.00,007,Ann, \"A\",true,2024-01-02,\n2.00,12,,false,,"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_csv_files_is_united_by_name() {
    let room = room(&[
        ("in/year=2023/a.csv", "id,name\n1,x\n"),
        ("in/year=2024/b.csv", "extra,NAME,id\n9.5,y,2\n"),
        ("in/_tmp/c.csv", "broken"),
        ("in/.d.csv", "broken"),
    ]);
    let read = room.read(&binding("in", &[], &[])).await;
    assert_eq!(read.unwrap(), "id BIGINT, name VARCHAR, extra DOUBLE, year BIGINT\n1,x,,2023\n2,y,9.5,2024");
    let glob = room.read(&binding("in/*/b.csv", &[], &[])).await;
    assert_eq!(glob.unwrap(), "extra DOUBLE, NAME VARCHAR, id BIGINT, year BIGINT\n9.5,y,2,2024");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_say_how_a_csv_file_is_written() {
    let room = room(&[("a.csv", "1;'a;b';-\n2;c;3\n")]);
    let read = room.read(&binding("a.csv", &[("header", "false"), ("delimiter", ";"), ("quote", "'"), ("null_value", "-")], &[])).await;
    assert_eq!(read.unwrap(), "column_1 BIGINT, column_2 VARCHAR, column_3 BIGINT\n1,a;b,\n2,c,3");
    let wrong = room.files.provider(&room.context.state(), &binding("a.csv", &[("delimeter", ";")], &[])).await.unwrap_err();
    assert_eq!(room.show(&wrong), "unknown-key: unknown option `delimeter` of a file location");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_is_named_by_file_line_and_column() {
    let room = room(&[("c.csv", "id,Balance\n1,\"x\ny\"\n"), ("d.csv", "id,b\r\n1,2\r\n\r\n2,3,4\r\n"), ("e.csv", "id,b\n1\n")]);
    let value = room.read(&binding("c.csv", &[], &[("id", "int"), ("balance", "double")])).await;
    assert_eq!(value.unwrap_err(), "input-file: `c.csv` line 2, column `Balance`: `x\ny` is not a double @ 2:3 `\"x\ny\"`");
    let many = room.read(&binding("d.csv", &[], &[])).await;
    assert_eq!(many.unwrap_err(), "input-file: `d.csv` line 4, expected 2 fields, found 3 @ 4:5 `4`");
    let few = room.read(&binding("e.csv", &[], &[("id", "int"), ("b", "int")])).await;
    assert_eq!(few.unwrap_err(), "input-file: `e.csv` line 2, expected 2 fields, found 1 @ 2:1 `1`");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let room = room(&[("in/a.txt", "x")]);
    for (location, expected) in
        [("no.csv", "there is no file `no.csv`"), ("in/*.csv", "no file matches `in/*.csv`"), ("in", "the folder `in` has no csv file")]
    {
        assert_eq!(room.read(&binding(location, &[], &[])).await.unwrap_err(), format!("input-missing: {expected}"));
    }
    let s3 = room.read(&binding("s3://bucket/a.csv", &[], &[])).await.unwrap_err();
    assert!(cfg!(feature = "s3") || s3 == "storage-feature: location `s3://bucket/a.csv`: this build does not reach `s3://`", "{s3}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_read_by_line_and_as_an_array() {
    let room = room(&[
        ("a.jsonl", "{\"id\": 1, \"v\": {\"x\": [1, 2]}}\n{\"id\": 2.5, \"w\": \"[,]\"}\n"),
        ("b.json", "[\n {\"id\": 1, \"t\": \"a, [b] \\\" c\"},\n {\"id\": 2, \"n\": [1,2]}\n]\n"),
        ("c.json", "{\"id\": 1}\n{\"id\": }\n"),
    ]);
    let lines = room.read(&binding("a.jsonl", &[], &[("w", "varchar")])).await;
    assert_eq!(lines.unwrap(), "id DOUBLE, v STRUCT<x: ARRAY<BIGINT>>, w VARCHAR\n1.0,{x: [1, 2]},\n2.5,,[,]");
    let array = room.read(&binding("b.json", &[], &[("id", "int")])).await;
    assert_eq!(array.unwrap(), "id INTEGER, t VARCHAR, n ARRAY<BIGINT>\n1,a, [b] \" c,\n2,,[1, 2]");
    let broken = room.read(&binding("c.json", &[], &[])).await;
    assert_eq!(broken.unwrap_err(), "input-file: `c.json` line 2, expected value @ 2:1 `{\"id\": }`");
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_are_read_with_their_folders() {
    let room = room(&[]);
    for (year, sql) in [(2023, "select 1 as id, 'a' as name"), (2024, "select 2 as id, 1.5 as extra")] {
        let path = room.dir.path().join(format!("p/year={year}/x.parquet"));
        let frame = room.context.sql(sql).await.unwrap();
        frame.write_parquet(path.to_str().unwrap(), deltalake::datafusion::dataframe::DataFrameWriteOptions::new(), None).await.unwrap();
    }
    let mut whole = binding("p", &[], &[("id", "int")]);
    whole.config.format = FileFormat::Parquet;
    assert_eq!(room.read(&whole).await.unwrap(), "id INTEGER, name VARCHAR, extra DOUBLE, year BIGINT\n1,a,,2023\n2,,1.5,2024");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_takes_its_types_from_all_values() {
    let room = room(&[("seeds/s.csv", "id,amount,flag,day,at,code,empty\n1,1.5,true,2024-01-01,2024-01-01 10:00:00,null,\n2,2,False,,,01,\n")]);
    let file = room.sources.add("seeds/s.csv", "");
    let seed = SeedInput {
        path: room.dir.path().join("seeds/s.csv"),
        column_types: IndexMap::from([("ID".to_owned(), "varchar".to_owned())]),
        delimiter: ',',
        span: crate::base::Span::file_start(file),
    };
    let provider = room.files.seed_provider(&room.context.state(), &seed).await.unwrap();
    assert_eq!(
        room.rows(provider).await.unwrap(),
        "id VARCHAR, amount DOUBLE, flag BOOLEAN, day DATE, at TIMESTAMP, code VARCHAR, empty BIGINT\n1,1.5,true,2024-01-01,2024-01-01T10:00:00,,\n2,2.0,false,,,01,"
    );
}
