//! `describe` and `show`: what the warehouse knows of its tables, as rows.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use deltalake::arrow::datatypes::{Field, Schema};
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::kernel::CommitInfo;
use deltalake::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use serde_json::Value as Json;

use super::super::super::{EngineError, RelationKind};
use super::super::{LocalEngine, catalog, failure};
use super::maintain::open;
use super::{at, existing, relation_name, schema_of};
use crate::manifest::RelationName;
use crate::sql::{Described, Named, Shown};

type RowsOf = Result<Option<SendableRecordBatchStream>, EngineError>;

/// Columns of equal length as the rows of a statement.
pub(super) fn one_batch(columns: Vec<(&str, ArrayRef)>) -> RowsOf {
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| failure::query(error.into(), ""))?;
    Ok(Some(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)])))))
}

fn texts<T: Into<Option<String>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<StringArray>())
}

pub(super) async fn describe(engine: &LocalEngine, named: &Named, what: Described) -> RowsOf {
    match what {
        Described::Columns => columns(engine, named).await,
        Described::Extended => extended(engine, named).await,
        Described::History { limit } => {
            let (relation, table) = open(engine, named).await?;
            history(&table, &relation, limit).await
        }
        Described::Detail => {
            let (relation, table) = open(engine, named).await?;
            let (names, values): (Vec<_>, Vec<_>) = detail(&table, &relation).await?.into_iter().unzip();
            one_batch(names.into_iter().zip(values.into_iter().map(|value| texts([value]))).collect())
        }
    }
}

async fn columns(engine: &LocalEngine, named: &Named) -> RowsOf {
    let name = relation_name(engine, &named.name)?;
    existing(engine, &name).await.map_err(|error| at(error, &named.range))?;
    let query = format!(
        "select column_name as {}, data_type, is_nullable from information_schema.columns where lower(table_catalog) = {} and lower(table_schema) = {} and lower(table_name) = {} order by ordinal_position",
        first_column(engine),
        literal(&name.database),
        literal(&name.schema),
        literal(&name.identifier)
    );
    catalog::query(engine, &query, &[]).await.map(Some)
}

/// What the names of columns are called.
fn first_column(engine: &LocalEngine) -> &'static str {
    match engine.options.semantics.adapter {
        "spark" | "databricks" => "col_name",
        _ => "column_name",
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.to_lowercase().replace('\'', "''"))
}

/// The columns with their comments, then what `describe detail` shows, below each other.
async fn extended(engine: &LocalEngine, named: &Named) -> RowsOf {
    let name = relation_name(engine, &named.name)?;
    let kind = existing(engine, &name).await.map_err(|error| at(error, &named.range))?;
    let Some(state) = super::super::super::Engine::relation(engine, &name).await? else { return columns(engine, named).await };
    let mut rows: Vec<(String, Option<String>, Option<String>)> = state
        .schema
        .fields()
        .iter()
        .map(|field| {
            let null = if field.is_nullable() { "" } else { " NOT NULL" };
            let kind = format!("{}{null}", crate::sql::type_name(field.data_type()));
            (field.name().clone(), Some(kind), field.metadata().get("comment").cloned())
        })
        .collect();
    if kind == RelationKind::Table {
        let (relation, table) = open(engine, named).await?;
        rows.push((String::new(), None, None));
        rows.extend(detail(&table, &relation).await?.into_iter().map(|(key, value)| (format!("# {key}"), value, None)));
    }
    if let Some(sql) = state.sql {
        rows.push((String::new(), None, None));
        rows.push(("# view".into(), Some(sql), None));
    }
    one_batch(vec![
        (first_column(engine), texts(rows.iter().map(|row| row.0.clone()))),
        ("data_type", texts(rows.iter().map(|row| row.1.clone()))),
        ("comment", texts(rows.iter().map(|row| row.2.clone()))),
    ])
}

/// What there is to say of a table beside its columns; times in UTC, sizes in bytes.
async fn detail(table: &DeltaTable, relation: &RelationName) -> Result<Vec<(&'static str, Option<String>)>, EngineError> {
    let snapshot = table.snapshot().map_err(|error| failure::reading(&error, relation))?;
    let metadata = snapshot.metadata();
    let protocol = serde_json::to_value(snapshot.protocol()).unwrap_or_default();
    let (mut files, mut bytes) = (0_u64, 0_i64);
    for file in snapshot.log_data() {
        files += 1;
        bytes += file.size();
    }
    let last: Vec<CommitInfo> = table.history(Some(1)).try_collect().await.map_err(|error: DeltaTableError| failure::reading(&error, relation))?;
    let mut properties: Vec<_> = metadata.configuration().iter().map(|(key, value)| format!("{key}={value}")).collect();
    properties.sort();
    let number = |key: &str| protocol.get(key).map(Json::to_string);
    let features = |key: &str| protocol.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut names: Vec<String> =
        features("readerFeatures").iter().chain(&features("writerFeatures")).filter_map(|name| name.as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    Ok(vec![
        ("format", Some("delta".into())),
        ("id", Some(metadata.id().to_owned())),
        ("name", Some([&*relation.database, &*relation.schema, &*relation.identifier].join("."))),
        ("description", metadata.description().map(str::to_owned)),
        ("location", Some(table.log_store().root_url().to_string())),
        ("created_at", metadata.created_time().and_then(time)),
        ("last_modified", last.first().and_then(|commit| commit.timestamp).and_then(time)),
        ("partition_columns", Some(metadata.partition_columns().join(", "))),
        ("version", table.version().map(|version| version.to_string())),
        ("num_files", Some(files.to_string())),
        ("size_in_bytes", Some(bytes.to_string())),
        ("properties", Some(properties.join(", "))),
        ("min_reader_version", number("minReaderVersion")),
        ("min_writer_version", number("minWriterVersion")),
        ("table_features", Some(names.join(", "))),
    ])
}

fn time(milliseconds: i64) -> Option<String> {
    chrono::DateTime::from_timestamp_millis(milliseconds).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The commits, newest first; what an operation was told and counted is JSON.
async fn history(table: &DeltaTable, relation: &RelationName, limit: Option<u64>) -> RowsOf {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let commits: Vec<CommitInfo> = table.history(limit).try_collect().await.map_err(|error: DeltaTableError| failure::reading(&error, relation))?;
    let newest = table.version().and_then(|version| i64::try_from(version).ok()).unwrap_or(0);
    let json = |value: Option<String>| value.filter(|text| text != "null" && text != "{}");
    let sorted = |commit: &CommitInfo| {
        let parameters: std::collections::BTreeMap<_, _> = commit.operation_parameters.iter().flatten().collect();
        json(serde_json::to_string(&parameters).ok())
    };
    one_batch(vec![
        ("version", Arc::new((0_i64..).take(commits.len()).map(|back| newest - back).collect::<Int64Array>()) as _),
        (
            "timestamp",
            Arc::new(
                commits
                    .iter()
                    .map(|commit| commit.timestamp.map(|time| time.saturating_mul(1000)))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ) as _,
        ),
        ("operation", texts(commits.iter().map(|commit| commit.operation.clone()))),
        ("operation_parameters", texts(commits.iter().map(sorted))),
        ("operation_metrics", texts(commits.iter().map(|commit| json(commit.info.get("operationMetrics").map(Json::to_string))))),
        ("run_id", texts(commits.iter().map(|commit| commit.info.get("alluvium.runId").and_then(Json::as_str).map(str::to_owned)))),
        ("node", texts(commits.iter().map(|commit| commit.info.get("alluvium.node").and_then(Json::as_str).map(str::to_owned)))),
        ("engine_info", texts(commits.iter().map(|commit| commit.engine_info.clone()))),
    ])
}

pub(super) async fn show(engine: &LocalEngine, shown: &Shown) -> RowsOf {
    match shown {
        Shown::Tables { schema, like } => relations(engine, schema.as_ref(), like.as_deref(), "true").await,
        Shown::Views { schema, like } => relations(engine, schema.as_ref(), like.as_deref(), "table_type = 'VIEW'").await,
        Shown::Schemas { like } => {
            let query = format!(
                "select schema_name from information_schema.schemata where schema_name <> '_alluvium' and {} order by 1",
                matching("schema_name", like.as_deref())
            );
            catalog::query(engine, &query, &[]).await.map(Some)
        }
        Shown::Columns(named) => columns(engine, named).await,
        Shown::Properties { table: named, key } => {
            let (relation, table) = open(engine, named).await?;
            let snapshot = table.snapshot().map_err(|error| failure::reading(&error, &relation))?;
            let mut found: Vec<_> =
                snapshot.metadata().configuration().iter().filter(|(name, _)| key.as_ref().is_none_or(|key| key == *name)).collect();
            found.sort();
            one_batch(vec![
                ("key", texts(found.iter().map(|(key, _)| (*key).clone()))),
                ("value", texts(found.iter().map(|(_, value)| (*value).clone()))),
            ])
        }
    }
}

async fn relations(engine: &LocalEngine, schema: Option<&Named>, like: Option<&str>, kind: &str) -> RowsOf {
    let mut conditions = vec!["table_schema <> '_alluvium'".to_owned(), kind.to_owned(), matching("table_name", like)];
    if let Some(named) = schema {
        let (database, schema) = schema_of(engine, &named.name)?;
        let known = engine.warehouse.schemas_of(&database).await?;
        let views = engine.views.list().await?;
        let same = |name: &str| name.eq_ignore_ascii_case(&schema);
        if !known.iter().any(|name| same(name)) && !views.iter().any(|(name, _)| same(&name.schema)) {
            let near = crate::base::nearest(&schema, known.iter().map(String::as_str));
            let help = near.map_or_else(|| "`show schemas` lists those that are there".to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(super::invalid_at(&format!("there is no schema `{schema}`"), &named.range, &help));
        }
        conditions.push(format!("lower(table_catalog) = {} and lower(table_schema) = {}", literal(&database), literal(&schema)));
    }
    let query =
        format!("select table_schema, table_name, table_type from information_schema.tables where {} order by 1, 2", conditions.join(" and "));
    catalog::query(engine, &query, &[]).await.map(Some)
}

/// A pattern of `show`: `*` and `%` stand for any letters, `|` separates patterns.
fn matching(column: &str, like: Option<&str>) -> String {
    let Some(like) = like else { return "true".into() };
    let one = |pattern: &str| format!("lower({column}) like {}", literal(&pattern.replace('*', "%")));
    format!("({})", like.split('|').map(one).collect::<Vec<_>>().join(" or "))
}
