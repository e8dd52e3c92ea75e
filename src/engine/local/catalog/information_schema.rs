//! `information_schema` over the whole warehouse. Made when a query names it; only `columns` opens tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::datasource::MemTable;
use futures::StreamExt as _;

use super::super::super::{Engine as _, EngineError, RelationKind};
use super::super::write::DEFAULT;
use super::super::{LocalEngine, failure};
use super::{listed_schema, relations};
use crate::manifest::RelationName;
use crate::sql::type_name;

/// The table of that name in `information_schema`; `None` where there is no such table. While the columns of everything are
/// listed, `columns` is empty: a view that reads it is planned for its own columns, and would list them again.
///
/// # Errors
/// If the warehouse can't be listed.
pub(super) async fn table(engine: &LocalEngine, name: &RelationName, listing: bool) -> Result<Option<Arc<dyn TableProvider>>, EngineError> {
    let batch = match name.identifier.to_lowercase().as_str() {
        "tables" => tables(engine).await?,
        "views" => views(engine).await?,
        "schemata" => schemata(engine).await?,
        "columns" if listing => columns_of(&[])?,
        "columns" => columns(engine).await?,
        _ => return Ok(None),
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|error| failure::query(error, ""))?;
    Ok(Some(Arc::new(table)))
}

fn text<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, EngineError> {
    let fields: Vec<_> = columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, values)| values).collect())
        .map_err(|error| failure::query(error.into(), ""))
}

async fn tables(engine: &LocalEngine) -> Result<RecordBatch, EngineError> {
    let known = relations(engine).await?;
    let kind = |kind: &RelationKind| match kind {
        RelationKind::Table => "BASE TABLE",
        RelationKind::View => "VIEW",
        RelationKind::Files => "EXTERNAL",
    };
    batch(vec![
        ("table_catalog", text(known.keys().map(|name| name.database.as_str()))),
        ("table_schema", text(known.keys().map(|name| name.schema.as_str()))),
        ("table_name", text(known.keys().map(|name| name.identifier.as_str()))),
        ("table_type", text(known.values().map(kind))),
    ])
}

async fn views(engine: &LocalEngine) -> Result<RecordBatch, EngineError> {
    let views = engine.views.list().await?;
    batch(vec![
        ("table_catalog", text(views.iter().map(|(name, _)| name.database.as_str()))),
        ("table_schema", text(views.iter().map(|(name, _)| name.schema.as_str()))),
        ("table_name", text(views.iter().map(|(name, _)| name.identifier.as_str()))),
        ("view_definition", text(views.iter().map(|(_, view)| view.sql.as_str()))),
    ])
}

/// Every schema: a folder, or the schema of a view or of bound files.
pub(in super::super) async fn schemas(engine: &LocalEngine) -> Result<Vec<(String, String)>, EngineError> {
    let mut known = BTreeSet::new();
    for database in engine.warehouse.database_names() {
        known.extend(engine.warehouse.schemas_of(&database).await?.into_iter().map(|schema| (database.clone(), schema)));
    }
    let unlisted = engine.views.list().await?.into_iter().map(|(name, _)| name).chain(engine.files.names());
    for name in unlisted {
        if !known.iter().any(|(database, schema)| database.eq_ignore_ascii_case(&name.database) && schema.eq_ignore_ascii_case(&name.schema)) {
            known.insert((name.database, name.schema));
        }
    }
    Ok(known.into_iter().collect())
}

async fn schemata(engine: &LocalEngine) -> Result<RecordBatch, EngineError> {
    let known = schemas(engine).await?;
    batch(vec![
        ("catalog_name", text(known.iter().map(|(database, _)| database.as_str()))),
        ("schema_name", text(known.iter().map(|(_, schema)| schema.as_str()))),
    ])
}

async fn columns(engine: &LocalEngine) -> Result<RecordBatch, EngineError> {
    let found: Vec<(RelationName, SchemaRef)> = futures::stream::iter(relations(engine).await?)
        .map(|(name, kind)| async move {
            // A view that does not plan any more or a damaged table has no columns to show.
            let schema = match kind {
                RelationKind::View => listed_schema(engine, &name).await.ok(),
                RelationKind::Table | RelationKind::Files => engine.relation(&name).await.ok().flatten().map(|state| state.schema),
            };
            schema.map(|schema| (name, schema))
        })
        .buffered(8)
        .filter_map(|found| async move { found })
        .collect()
        .await;
    columns_of(&found)
}

fn columns_of(found: &[(RelationName, SchemaRef)]) -> Result<RecordBatch, EngineError> {
    let rows: Vec<(&RelationName, usize, &Arc<Field>)> =
        found.iter().flat_map(|(name, schema)| schema.fields().iter().enumerate().map(move |(at, field)| (name, at, field))).collect();
    let types: Vec<String> = rows.iter().map(|(_, _, field)| type_name(field.data_type())).collect();
    let precision = rows.iter().map(|(_, _, field)| numeric(field.data_type()).map(|(precision, _)| precision));
    let scale = rows.iter().map(|(_, _, field)| numeric(field.data_type()).and_then(|(_, scale)| scale));
    batch(vec![
        ("table_catalog", text(rows.iter().map(|(name, ..)| name.database.as_str()))),
        ("table_schema", text(rows.iter().map(|(name, ..)| name.schema.as_str()))),
        ("table_name", text(rows.iter().map(|(name, ..)| name.identifier.as_str()))),
        ("column_name", text(rows.iter().map(|(_, _, field)| field.name().as_str()))),
        ("ordinal_position", Arc::new(rows.iter().map(|(_, at, _)| i64::try_from(at + 1).ok()).collect::<Int64Array>())),
        ("column_default", Arc::new(rows.iter().map(|(_, _, field)| field.metadata().get(DEFAULT).map(String::as_str)).collect::<StringArray>())),
        ("is_nullable", text(rows.iter().map(|(_, _, field)| if field.is_nullable() { "YES" } else { "NO" }))),
        ("data_type", text(types.iter().map(String::as_str))),
        ("character_maximum_length", Arc::new(std::iter::repeat_n(None, rows.len()).collect::<Int64Array>())),
        ("numeric_precision", Arc::new(precision.collect::<Int64Array>())),
        ("numeric_scale", Arc::new(scale.collect::<Int64Array>())),
    ])
}

/// Digits of a number and those behind the point.
fn numeric(data_type: &DataType) -> Option<(i64, Option<i64>)> {
    match data_type {
        DataType::Int8 => Some((8, Some(0))),
        DataType::Int16 => Some((16, Some(0))),
        DataType::Int32 => Some((32, Some(0))),
        DataType::Int64 => Some((64, Some(0))),
        DataType::Float32 => Some((24, None)),
        DataType::Float64 => Some((53, None)),
        DataType::Decimal128(precision, scale) => Some((i64::from(*precision), Some(i64::from(*scale)))),
        _ => None,
    }
}
