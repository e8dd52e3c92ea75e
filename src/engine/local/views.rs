//! Views: their definitions live in the Delta table `_alluvium.relations` of the warehouse, so that they are
//! transactional too.
//!
//! Columns: `database`, `schema`, `identifier`, `kind` (`view` or `function`), `sql`, `description`, `run_id`, `node` (all text),
//! `recorded_at` (timestamp with zone, microseconds), `dropped` (boolean), `adapter` (text: the dbt adapter for which the SQL
//! was written). The table is append-only: of several rows about one name the latest counts. An unchanged definition writes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deltalake::arrow::array::{Array as _, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use deltalake::datafusion::prelude::SessionContext;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::kernel::{StructField, StructType};
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableError};

use super::super::{CommitLabel, EngineError, ViewWrite};
use super::failure;
use super::warehouse::Warehouse;
use crate::manifest::RelationName;
use crate::sql::Semantics;

/// A view as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sql: String,
    pub(super) semantics: Semantics,
    pub(super) description: Option<String>,
    recorded_at: i64,
    dropped: bool,
}

/// The views that a version of the record holds.
type Recorded = (u64, Arc<BTreeMap<RelationName, View>>);

/// The views of a warehouse.
#[derive(Debug)]
pub(crate) struct Views {
    warehouse: Arc<Warehouse>,
    /// What was read last, and of which version.
    read: Mutex<Option<Recorded>>,
}

/// How often a record is tried against other writers.
const ATTEMPTS: u32 = 10;

impl Views {
    pub(super) fn new(warehouse: Arc<Warehouse>) -> Self {
        Self { warehouse, read: Mutex::default() }
    }

    fn table_name(&self) -> RelationName {
        let database = self.warehouse.database_names().into_iter().next().unwrap_or_default();
        RelationName::new(database, "_alluvium", "relations")
    }

    /// A view by its name.
    ///
    /// # Errors
    /// If the records can't be read.
    pub(super) async fn get(&self, name: &RelationName) -> Result<Option<View>, EngineError> {
        Ok(self.all().await?.get(name).filter(|view| !view.dropped).cloned())
    }

    /// All views, sorted.
    ///
    /// # Errors
    /// If the records can't be read.
    pub(super) async fn list(&self) -> Result<Vec<(RelationName, View)>, EngineError> {
        Ok(self.recorded().await?.into_iter().filter(|(name, _)| !name.is_function()).collect())
    }

    /// All views and functions, sorted.
    ///
    /// # Errors
    /// If the records can't be read.
    pub(super) async fn recorded(&self) -> Result<Vec<(RelationName, View)>, EngineError> {
        Ok(self.all().await?.iter().filter(|(_, view)| !view.dropped).map(|(name, view)| (name.clone(), view.clone())).collect())
    }

    /// Records a view. Tells whether anything is new about it.
    ///
    /// # Errors
    /// If the record can't be written.
    pub(super) async fn put(&self, write: &ViewWrite, semantics: Semantics) -> Result<bool, EngineError> {
        let known = self.get(&write.relation).await?;
        if known.is_some_and(|view| view.sql == write.sql && view.semantics == semantics && view.description == write.description) {
            return Ok(false);
        }
        let view = View { sql: write.sql.clone(), semantics, description: write.description.clone(), recorded_at: 0, dropped: false };
        self.record(&write.relation, &view, &write.label).await?;
        Ok(true)
    }

    /// Records that a view is gone. Tells whether it was there.
    ///
    /// # Errors
    /// If the record can't be written.
    pub(super) async fn remove(&self, name: &RelationName) -> Result<bool, EngineError> {
        if *name == self.table_name() {
            return Ok(false);
        }
        let Some(view) = self.get(name).await? else { return Ok(false) };
        self.record(name, &View { dropped: true, ..view }, &CommitLabel::default()).await?;
        Ok(true)
    }

    async fn all(&self) -> Result<Arc<BTreeMap<RelationName, View>>, EngineError> {
        let name = self.table_name();
        let Some(table) = self.warehouse.open_table(&name).await? else { return Ok(Arc::default()) };
        let version = table.version().unwrap_or(0);
        if let Some((read, views)) = &*self.read.lock().unwrap_or_else(PoisonError::into_inner)
            && *read == version
        {
            return Ok(Arc::clone(views));
        }
        let views = Arc::new(read(&table, &name).await?);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, Arc::clone(&views)));
        Ok(views)
    }

    async fn record(&self, name: &RelationName, view: &View, label: &CommitLabel) -> Result<(), EngineError> {
        let own = self.table_name();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let table = own_table(&self.warehouse, &own, &schema()).await?;
            // Later than every record that is there, whatever the clocks say.
            let latest = self.all().await?.values().map(|view| view.recorded_at).max();
            let now = chrono::Utc::now().timestamp_micros().max(latest.map_or(0, |latest| latest + 1));
            let batch =
                row(name, &View { recorded_at: now, ..view.clone() }, label).map_err(|error| failure::writing(DeltaTableError::from(error), &own))?;
            match table
                .write(vec![batch])
                .with_save_mode(SaveMode::Append)
                .with_schema_mode(SchemaMode::Merge)
                .await
                .map_err(|error| failure::writing(error, &own))
            {
                Ok(table) => {
                    self.warehouse.remember(&own, &table).await;
                    return Ok(());
                }
                Err(EngineError::Conflict { .. }) if attempt < ATTEMPTS => tokio::time::sleep(Duration::from_millis(u64::from(10 * attempt))).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// One of Alluvium's own tables, created where it is missing.
///
/// # Errors
/// If it can't be opened or created.
pub(super) async fn own_table(warehouse: &Warehouse, own: &RelationName, schema: &SchemaRef) -> Result<DeltaTable, EngineError> {
    if let Some(table) = warehouse.open_table(own).await? {
        return Ok(table);
    }
    let schema: StructType = schema.as_ref().try_into_kernel().map_err(|error| failure::writing(DeltaTableError::from(error), own))?;
    let columns: Vec<StructField> = schema.fields().cloned().collect();
    let table = warehouse.folder(own).await?.builder(own)?.build().map_err(|error| failure::reading(&error, own))?;
    // Trying again would make a second creation into version 1, with the table's metadata once more.
    let once = CommitProperties::default().with_max_retries(0);
    match table.create().with_columns(columns).with_save_mode(SaveMode::ErrorIfExists).with_commit_properties(once).await {
        Ok(table) => Ok(table),
        // Somebody else created it in the meantime.
        Err(error) => warehouse.open_table(own).await?.ok_or_else(|| failure::writing(error, own)),
    }
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields: Vec<Field> = ["database", "schema", "identifier", "kind", "sql", "description", "run_id", "node"].map(text).into();
    fields.push(Field::new("recorded_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true));
    fields.push(Field::new("dropped", DataType::Boolean, true));
    fields.push(Field::new("adapter", DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

fn row(name: &RelationName, view: &View, label: &CommitLabel) -> Result<RecordBatch, deltalake::arrow::error::ArrowError> {
    let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as _;
    RecordBatch::try_new(
        schema(),
        vec![
            text(Some(&name.database)),
            text(Some(&name.schema)),
            text(Some(&name.identifier)),
            text(Some(if name.is_function() { "function" } else { "view" })),
            text(Some(&view.sql)),
            text(view.description.as_deref()),
            text(Some(&label.run_id)),
            text(Some(&label.node)),
            Arc::new(TimestampMicrosecondArray::from(vec![view.recorded_at]).with_timezone("UTC")),
            Arc::new(BooleanArray::from(vec![view.dropped])),
            text(Some(view.semantics.adapter)),
        ],
    )
}

async fn read(table: &DeltaTable, own: &RelationName) -> Result<BTreeMap<RelationName, View>, EngineError> {
    let session = SessionContext::new();
    table.update_datafusion_session(&session.state()).map_err(|error| failure::reading(&error, own))?;
    let unreadable = |error| failure::query(error, "");
    let provider = table.table_provider().await.map_err(unreadable)?;
    let batches = session.read_table(provider).map_err(unreadable)?.collect().await.map_err(unreadable)?;
    let mut views: BTreeMap<RelationName, View> = BTreeMap::new();
    for batch in &batches {
        for (name, view) in rows(batch) {
            if views.get(&name).is_none_or(|known| known.recorded_at <= view.recorded_at) {
                views.insert(name, view);
            }
        }
    }
    Ok(views)
}

fn rows(batch: &RecordBatch) -> Vec<(RelationName, View)> {
    let text = |column: &str, at: usize| -> Option<String> {
        let array = deltalake::arrow::compute::cast(batch.column_by_name(column)?, &DataType::Utf8).ok()?;
        let array = array.as_string::<i32>();
        (!array.is_null(at)).then(|| array.value(at).to_owned())
    };
    let row = |at: usize| {
        let name = RelationName::new(text("database", at)?, text("schema", at)?, text("identifier", at)?);
        let recorded_at = batch.column_by_name("recorded_at")?.as_primitive_opt::<TimestampMicrosecondType>()?.value(at);
        let dropped = batch.column_by_name("dropped")?.as_boolean_opt()?.value(at);
        let semantics = text("adapter", at).map(|adapter| Semantics::of_adapter(&adapter)).unwrap_or_default();
        Some((name, View { sql: text("sql", at)?, semantics, description: text("description", at), recorded_at, dropped }))
    };
    (0..batch.num_rows()).filter_map(row).collect()
}
