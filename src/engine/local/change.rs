//! Changing a table that is there: merge, delete+insert, replacing partitions or what a condition names.
//!
//! Files that hold a row to change are written anew without it, changed and new rows go to files of their own, and one
//! commit puts them in the place of the old ones. No file is read that its statistics rule out by the keys of the new rows,
//! and none is written anew that holds no row to change. Where the table has a change feed, the changed rows are written as
//! change data too, unless whole files go, which readers work out themselves.
//!
//! Queries over old and new rows are SQL in a session of their own, with the tables `source` (the new rows, each with a
//! number), `target` (the old ones), `found` (pairs that match) and `aside` (old rows that do not stay as they are).

mod changes;
mod contract;
mod files;
mod layout;
mod merge;
mod replace;
mod rows;
mod split;
mod spool;

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::Array as _;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::kernel::{Action, Metadata};
use deltalake::logstore::object_store::ObjectStoreExt as _;
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};

use self::layout::{Layout, layout};
use self::spool::Writer;
use super::super::{EngineError, TableWrite, WriteMode};
use super::store::StagingStore;
use super::warehouse::{Folder, entry};
use super::write::{self, Filled, Rows};
use super::{LocalEngine, failure, rules};

/// Says which file of the table a row stands in.
const FILE: &str = "__alluvium_file";
/// The number of a new row.
const NUMBER: &str = "__alluvium_row";

/// A change under way.
struct Change<'a> {
    engine: &'a LocalEngine,
    write: &'a TableWrite,
    base: &'a DeltaTable,
    folder: &'a Folder,
    store: &'a Arc<StagingStore>,
    layout: Layout,
    partition_by: Vec<String>,
    /// For queries over old and new rows.
    session: SessionState,
    /// The staged commits so far reach up to this version.
    version: u64,
    /// Rows that went into new files.
    added: u64,
    changes: Vec<Action>,
    metrics: HashMap<&'static str, u64>,
}

/// Stages a change of `base`.
///
/// # Errors
/// If a column or condition of the mode is wrong, the rows fail, or files can't be written.
pub(super) async fn stage(
    engine: &LocalEngine,
    rows: Rows,
    write: &TableWrite,
    base: &DeltaTable,
    place: (&Folder, &Arc<StagingStore>),
) -> Result<Filled, EngineError> {
    let relation = &write.relation;
    let unstored: &[String] = if let WriteMode::Merge(merge) = &write.mode { &merge.unstored } else { &[] };
    let layout = layout(base, &rows, write, unstored)?;
    let snapshot = base.snapshot().map_err(|error| failure::reading(&error, relation))?;
    let mut change = Change {
        engine,
        write,
        base,
        folder: place.0,
        store: place.1,
        layout,
        partition_by: snapshot.metadata().partition_columns().to_vec(),
        session: session(engine),
        version: base.version().unwrap_or(0),
        added: 0,
        changes: Vec::new(),
        metrics: HashMap::new(),
    };
    base.update_datafusion_session(&change.session).map_err(|error| failure::reading(&error, relation))?;
    let label = write::label(&write.label, &rows.inputs);
    change.evolve().await?;
    match &write.mode {
        // An overwrite is staged as a new table.
        WriteMode::Overwrite | WriteMode::Append => change.append(rows).await?,
        WriteMode::OverwritePartitions => change.overwrite_partitions(rows).await?,
        WriteMode::ReplaceWhere { condition, new } => change.replace_where(rows, condition, new).await?,
        WriteMode::DeleteInsert { keys, predicates } => change.delete_insert(rows, keys, predicates).await?,
        WriteMode::Merge(merge) => change.merge(rows, merge).await?,
    }
    change.settle().await?;
    change.filled(label).await
}

/// Joins build on the new rows, which are few, and keep the order of the old ones.
fn session(engine: &LocalEngine) -> SessionState {
    let mut session = engine.session();
    let optimizer = &mut session.config_mut().options_mut().optimizer;
    optimizer.prefer_hash_join = true;
    optimizer.repartition_joins = false;
    session
}

/// Rows kept aside for a statement.
pub(super) struct Kept {
    pub(super) provider: Arc<dyn TableProvider>,
    pub(super) rows: u64,
    /// In how many rows each column is NULL.
    pub(super) nulls: Vec<usize>,
}

/// Reads rows to their end and keeps them aside.
///
/// # Errors
/// If the rows fail, or the spill folder can't be written.
pub(super) async fn kept(engine: &LocalEngine, mut rows: SendableRecordBatchStream) -> Result<Kept, DataFusionError> {
    let writer = Writer::new(rows.schema(), &engine.runtime);
    let mut nulls = vec![0; rows.schema().fields().len()];
    while let Some(batch) = rows.try_next().await? {
        for (count, column) in nulls.iter_mut().zip(batch.columns()) {
            *count += column.logical_null_count();
        }
        writer.push(batch)?;
    }
    let spool = writer.finish();
    Ok(Kept { provider: spool.provider()?, rows: spool.rows(), nulls })
}

impl Change<'_> {
    /// Gives the staged table its new columns.
    async fn evolve(&mut self) -> Result<(), EngineError> {
        let Some(metadata) = self.layout.metadata.clone() else { return Ok(()) };
        let snapshot = self.base.snapshot().map_err(|error| failure::reading(&error, &self.write.relation))?;
        let mut actions = Vec::new();
        if let Some(wanted) = needed_protocol(&metadata) {
            actions.extend(super::stage::widened(snapshot.protocol(), &wanted).map(Action::Protocol));
        }
        actions.push(Action::Metadata(metadata));
        self.put_commit(&actions).await
    }

    /// Stages a commit of actions that need no files.
    async fn put_commit(&mut self, actions: &[Action]) -> Result<(), EngineError> {
        let lines: Result<Vec<String>, _> = actions.iter().map(serde_json::to_string).collect();
        let lines = lines.map_err(|error| failure::writing(error.into(), &self.write.relation))?;
        self.version += 1;
        let mut path = self.folder.path.clone();
        for part in entry(self.version).parts() {
            path = path.join(part);
        }
        let context = || format!("staging `{}`", self.write.relation.short());
        self.store.put(&path, lines.join("\n").into()).await.map(|_| ()).map_err(|error| failure::storage(&error, &context()))
    }

    /// The table as staged so far.
    async fn staged(&self) -> Result<DeltaTable, EngineError> {
        write::open(self.folder, self.store, &self.write.relation).await
    }

    /// Streams rows of the table's columns into new files.
    async fn pour(&mut self, plan: Arc<dyn ExecutionPlan>) -> Result<u64, EngineError> {
        let table = self.staged().await?;
        let (table, rows) = write::pour(self.engine, (plan, self.session.clone()), table, self.write).await?;
        self.version = table.version().unwrap_or(self.version);
        Ok(rows)
    }

    async fn append(&mut self, rows: Rows) -> Result<(), EngineError> {
        let plan = self.aligned(rows.plan)?;
        self.session = rows.state;
        self.added += self.pour(plan).await?;
        Ok(())
    }

    async fn filled(mut self, label: HashMap<String, Json>) -> Result<Filled, EngineError> {
        let table = self.staged().await?;
        let mut actions = write::staged_actions(&table, self.base.version(), &self.write.relation).await?;
        actions.append(&mut self.changes);
        let mut metadata = label;
        if !self.metrics.is_empty() {
            let metrics: serde_json::Map<String, Json> = self.metrics.iter().map(|(name, count)| ((*name).to_owned(), Json::from(*count))).collect();
            metadata.insert("operationMetrics".into(), Json::Object(metrics));
        }
        Ok(Filled { table, rows: self.added, metadata, actions })
    }

    /// What the staged rows look like.
    fn after(&self) -> &SchemaRef {
        &self.layout.after
    }

    fn has_change_feed(&self) -> bool {
        let configured = |snapshot: &deltalake::table::state::DeltaTableState| {
            snapshot.metadata().configuration().get("delta.enableChangeDataFeed").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        self.base.snapshot().is_ok_and(configured)
    }
}

/// What a reader or writer must know because of the types of a table's columns and its conditions.
fn needed_protocol(metadata: &Metadata) -> Option<deltalake::kernel::Protocol> {
    let value = serde_json::to_value(metadata).ok()?;
    let has_times = value.get("schemaString").and_then(Json::as_str).is_some_and(|schema| schema.contains("\"timestamp_ntz\""));
    let conditions = rules::needed_protocol(metadata.configuration());
    if !has_times {
        return conditions;
    }
    let writer: &[&str] = if conditions.is_some() { &["timestampNtz", "checkConstraints"] } else { &["timestampNtz"] };
    let protocol = json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["timestampNtz"], "writerFeatures": writer });
    serde_json::from_value(protocol).ok()
}

#[cfg(test)]
mod tests;
