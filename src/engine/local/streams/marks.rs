//! The table `_alluvium.watermarks`: what the tables of a warehouse have read of their streams.
//!
//! Columns: `database`, `schema`, `identifier` (the table that reads), `table_id` (its id in the log, which a table of the
//! same name that comes later does not share), `source`, `read` (`new_files` or `new_rows`), `batch` (bigint; for `new_rows`
//! the version that was read up to), `first_batch` (since when the batches count), `file` (NULL for `new_rows` and for a
//! batch without files), `version` (of the table that reads), `run_id`, `recorded_at`. Rows are only added; one that stands
//! there twice says the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake::arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use deltalake::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use deltalake::protocol::SaveMode;
use futures::TryStreamExt as _;

use super::super::super::{EngineError, StreamKind};
use super::super::{LocalEngine, catalog, failure, views};
use crate::manifest::RelationName;

/// How often a record is tried against other writers.
const ATTEMPTS: u32 = 10;

/// What one commit has read of a source.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) kind: StreamKind,
    pub(super) source: String,
    /// The id of the table that reads.
    pub(super) table: String,
    pub(super) batch: i64,
    pub(super) first: i64,
    pub(super) files: Vec<String>,
    /// Of the files, with their types. The log alone keeps them, for runs that find no file.
    pub(super) columns: Vec<(String, String)>,
    /// Of the table that reads.
    pub(super) version: u64,
}

impl Mark {
    pub(super) fn app(&self) -> String {
        app(self.kind, &self.source)
    }
}

/// The application id of a source in a log.
pub(super) fn app(kind: StreamKind, source: &str) -> String {
    format!("alluvium.{}:{source}", kind.name())
}

fn own(engine: &LocalEngine) -> RelationName {
    RelationName::new(engine.options.database.clone(), "_alluvium", "watermarks")
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let mut fields: Vec<Field> = ["database", "schema", "identifier", "table_id", "source", "read"].map(text).into();
    fields.extend(["batch", "first_batch"].map(number));
    fields.push(text("file"));
    fields.push(number("version"));
    fields.push(text("run_id"));
    fields.push(Field::new("recorded_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true));
    Arc::new(Schema::new(fields))
}

/// The batches of a source that are recorded for a table.
///
/// # Errors
/// If the records can't be read.
pub(super) async fn read(engine: &LocalEngine, table: &str, source: &str) -> Result<BTreeMap<i64, Mark>, EngineError> {
    let own = own(engine);
    if engine.warehouse.open_table(&own).await?.is_none() {
        return Ok(BTreeMap::new());
    }
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let query = format!(
        "select batch, first_batch, cast(file as varchar) as file from {own} where table_id = {} and source = {} and \"read\" = 'new_files'",
        literal(table),
        literal(source)
    );
    let rows = catalog::query(engine, &query, &[]).await?;
    let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(|error| failure::query(error, ""))?;
    let mut marks: BTreeMap<i64, Mark> = BTreeMap::new();
    for batch in &batches {
        let number = |at: usize, row: usize| batch.column(at).as_primitive_opt::<Int64Type>().map_or(0, |column| column.value(row));
        let files = deltalake::arrow::compute::cast(batch.column(2), &DataType::Utf8).map_err(|error| failure::query(error.into(), ""))?;
        let files = files.as_string::<i32>();
        for row in 0..batch.num_rows() {
            let mark = marks.entry(number(0, row)).or_insert_with(|| Mark {
                kind: StreamKind::NewFiles,
                source: source.to_owned(),
                table: table.to_owned(),
                batch: number(0, row),
                first: number(1, row),
                files: Vec::new(),
                columns: Vec::new(),
                version: 0,
            });
            if !files.is_null(row) {
                mark.files.push(files.value(row).to_owned());
            }
        }
    }
    Ok(marks)
}

/// Adds records.
///
/// # Errors
/// If they can't be written.
pub(super) async fn append(engine: &LocalEngine, (relation, run): (&RelationName, &str), marks: &[Mark]) -> Result<(), EngineError> {
    let own = own(engine);
    let batch = records(relation, run, marks).map_err(|error| failure::writing(error.into(), &own))?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let table = views::own_table(&engine.warehouse, &own, &schema()).await?;
        match table.write(vec![batch.clone()]).with_save_mode(SaveMode::Append).await.map_err(|error| failure::writing(error, &own)) {
            Ok(table) => {
                engine.warehouse.remember(&own, &table).await;
                return Ok(());
            }
            Err(EngineError::Conflict { .. }) if attempt < ATTEMPTS => tokio::time::sleep(Duration::from_millis(u64::from(10 * attempt))).await,
            Err(error) => return Err(error),
        }
    }
}

fn records(relation: &RelationName, run: &str, marks: &[Mark]) -> Result<RecordBatch, deltalake::arrow::error::ArrowError> {
    let rows: Vec<(&Mark, Option<&str>)> = marks
        .iter()
        .flat_map(|mark| {
            let none = mark.files.is_empty().then_some((mark, None));
            mark.files.iter().map(move |file| (mark, Some(file.as_str()))).chain(none)
        })
        .collect();
    let text = |value: &dyn Fn(&Mark) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|(mark, _)| value(mark)))) };
    let number = |value: &dyn Fn(&Mark) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(|(mark, _)| value(mark)))) };
    let now = chrono::Utc::now().timestamp_micros();
    RecordBatch::try_new(
        schema(),
        vec![
            text(&|_| relation.database.clone()),
            text(&|_| relation.schema.clone()),
            text(&|_| relation.identifier.clone()),
            text(&|mark| mark.table.clone()),
            text(&|mark| mark.source.clone()),
            text(&|mark| mark.kind.name().to_owned()),
            number(&|mark| mark.batch),
            number(&|mark| mark.first),
            Arc::new(rows.iter().map(|(_, file)| *file).collect::<StringArray>()),
            number(&|mark| i64::try_from(mark.version).unwrap_or(i64::MAX)),
            text(&|_| run.to_owned()),
            Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|_| now)).with_timezone("UTC")),
        ],
    )
}
