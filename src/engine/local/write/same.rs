//! Whether what replaces a table's rows are the very rows that are there.

use std::collections::BTreeMap;

use deltalake::DeltaTable;
use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::compute::concat_batches;
use deltalake::datafusion::prelude::SessionContext;

use super::super::{EngineError, LocalEngine, failure};
use crate::manifest::RelationName;

/// Compares two tables of a single file each, row by row in the order of their files; where there are more files, or the
/// tables are laid out in other ways, they count as different. For inputs that are small and keep their order, such as seeds.
///
/// # Errors
/// If one can't be read.
pub(super) async fn same_rows(engine: &LocalEngine, tables: [&DeltaTable; 2], relation: &RelationName) -> Result<bool, EngineError> {
    if layout(tables[0], relation)? != layout(tables[1], relation)? {
        return Ok(false);
    }
    let [Some(before), Some(after)] = [only_file(engine, tables[0], relation).await?, only_file(engine, tables[1], relation).await?] else {
        return Ok(false);
    };
    let shape =
        |rows: &RecordBatch| -> Vec<_> { rows.schema_ref().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect() };
    Ok(shape(&before) == shape(&after) && before.columns() == after.columns())
}

/// What decides how files are read: the partitions and the settings.
fn layout(table: &DeltaTable, relation: &RelationName) -> Result<(Vec<String>, BTreeMap<String, String>), EngineError> {
    let metadata = table.snapshot().map_err(|error| failure::reading(&error, relation))?.metadata();
    let settings = metadata.configuration().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok((metadata.partition_columns().to_vec(), settings))
}

async fn only_file(engine: &LocalEngine, table: &DeltaTable, relation: &RelationName) -> Result<Option<RecordBatch>, EngineError> {
    let reading = |error| failure::reading(&error, relation);
    if table.snapshot().map_err(reading)?.log_data().num_files() != 1 {
        return Ok(None);
    }
    let state = engine.session();
    table.update_datafusion_session(&state).map_err(reading)?;
    let query = |error| failure::query(error, "");
    let provider = table.table_provider().await.map_err(query)?;
    let schema = provider.schema();
    let batches = SessionContext::new_with_state(state).read_table(provider).map_err(query)?.collect().await.map_err(query)?;
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    concat_batches(&schema, &batches).map(Some).map_err(|error| query(error.into()))
}
