//! Staging rows for a table: data files go to their place, the commit that would name them stays in memory.
//!
//! An overwrite is staged as if the table were new, whatever is there: so its schema, partitions and settings are those
//! of this write alone. What it replaces is looked up when it is published.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::datasource::provider_as_source;
use deltalake::datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident, lit};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitProperties, PROTOCOL};
use deltalake::kernel::{Action, MetadataValue, StructField, StructType};
use deltalake::logstore::get_actions;
use deltalake::logstore::object_store::ObjectStoreExt as _;
use deltalake::logstore::object_store::path::Path;
use deltalake::protocol::SaveMode;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::Value as Json;

use self::same::same_rows;
use super::super::{CommitLabel, Dedupe, EngineError, InputVersion, Overlay, TableInput, TableSettings, TableWrite, WriteMode};
use super::catalog::Bound;
use super::locate::located;
use super::schema::{project, table_schema};
use super::stage::widened;
use super::store::{StagingStore, Visible, scoped_runtime};
use super::streams::Streams;
use super::sweep::sweep;
use super::tap::{Gauge, Shape, Tap};
use super::warehouse::Folder;
use super::{LocalEngine, catalog, change, failure, rules};
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{SqlError, quote_ident, unnameable};

/// Rows that are written and not published.
#[derive(Debug)]
pub(super) struct StagedTable {
    pub(super) relation: RelationName,
    pub(super) folder: Folder,
    pub(super) mode: WriteMode,
    /// What the log held when the write began; `None` where there was no table.
    pub(super) base: Option<DeltaTable>,
    /// The table as the write leaves it.
    pub(super) table: DeltaTable,
    pub(super) store: Arc<StagingStore>,
    /// What the write would commit, beside information about the commit.
    pub(super) actions: Vec<Action>,
    /// Information for the commit: where it came from, and the write's metrics.
    pub(super) metadata: HashMap<String, Json>,
    pub(super) rows: u64,
    /// The table has these very rows already, so they need not be published.
    pub(super) same: bool,
    marker: Path,
    /// What was read of sources that are streams.
    pub(super) streams: Streams,
    run_id: String,
}

/// The rows to write, planned.
pub(super) struct Rows {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) state: SessionState,
    pub(super) inputs: Vec<InputVersion>,
}

/// What a write leaves in its stage.
pub(super) struct Filled {
    pub(super) table: DeltaTable,
    pub(super) rows: u64,
    pub(super) metadata: HashMap<String, Json>,
    pub(super) actions: Vec<Action>,
}

/// Writes the rows of an input aside.
///
/// # Errors
/// If the input fails, its columns have no place in the table, or the files can't be written. Nothing stays then.
pub(super) async fn stage(engine: &LocalEngine, write: &TableWrite) -> Result<StagedTable, EngineError> {
    // Before the query is bound: what a query reads of its own table is then never older than what the write replaces.
    let base = engine.warehouse.open_table(&write.relation).await?;
    if let Some(base) = &base {
        writable(base, &write.relation)?;
    }
    let streams = Streams::begin(engine, write, base.as_ref()).await?;
    let rows = match rows(engine, write, &streams).await {
        Ok(rows) => rows,
        Err(error) => return Err(with_place(engine, error, write, &streams).await),
    };
    let folder = engine.warehouse.folder(&write.relation).await?;
    let overwrites = base.is_none() || write.mode == WriteMode::Overwrite;
    let visible = match base.as_ref().and_then(DeltaTable::version) {
        Some(version) if !overwrites => Visible::UpTo(version),
        Some(_) | None => Visible::Nothing,
    };
    let store = StagingStore::new(Arc::clone(&folder.store), folder.path.clone(), folder.local_path(), visible);
    sweep(&folder, base.as_ref()).await;
    // On a local disk the log can't be read before the table's folder is there.
    let begun = store.begin(base.as_ref().and_then(DeltaTable::version)).await;
    let marker = begun.map_err(|error| failure::storage(&error, &format!("writing `{}`", write.relation.short())))?;
    engine.stages.begin(&store);
    let outcome = async {
        let filled = match &base {
            Some(base) if !overwrites => Box::pin(change::stage(engine, rows, write, base, (&folder, &store))).await?,
            _ => overwrite(engine, rows, write, base.as_ref(), (&folder, &store)).await?,
        };
        let same = match (&base, &write.input) {
            (Some(base), TableInput::Seed(_)) => same_rows(engine, [base, &filled.table], &write.relation).await?,
            (_, TableInput::Seed(_) | TableInput::Query(_) | TableInput::Overlaid { .. }) => false,
        };
        Ok((filled, same))
    };
    let outcome = outcome.await;
    engine.stages.end(&store);
    match outcome {
        Ok((Filled { table, rows, mut metadata, mut actions }, same)) => {
            actions.extend(streams.actions());
            metadata.extend(streams.information());
            Ok(StagedTable {
                relation: write.relation.clone(),
                folder,
                mode: write.mode.clone(),
                base,
                table,
                store,
                actions,
                metadata,
                rows,
                same,
                marker,
                streams,
                run_id: write.label.run_id.clone(),
            })
        }
        Err(error) => {
            let _ = store.discard().await;
            Err(with_place(engine, error, write, &streams).await)
        }
    }
}

/// A failure of the rows with its place in their query.
async fn with_place(engine: &LocalEngine, error: EngineError, write: &TableWrite, streams: &Streams) -> EngineError {
    let overlays: &[Overlay] = if let TableInput::Overlaid { overlays, .. } = &write.input { overlays } else { &[] };
    match &write.input {
        TableInput::Query(sql) | TableInput::Overlaid { sql, .. } => located(engine, error, (sql, overlays), &streams.parts).await,
        TableInput::Seed(_) => error,
    }
}

/// A table of these rows and no others.
async fn overwrite(
    engine: &LocalEngine,
    rows: Rows,
    write: &TableWrite,
    base: Option<&DeltaTable>,
    place: (&Folder, &Arc<StagingStore>),
) -> Result<Filled, EngineError> {
    let unstored: &[String] = if let WriteMode::Merge(merge) = &write.mode { &merge.unstored } else { &[] };
    let query = rows.plan.schema();
    let stored = query.fields().iter().filter(|field| !unstored.iter().any(|name| name.eq_ignore_ascii_case(field.name()))).cloned();
    let schema = table_schema(&Schema::new(stored.collect::<Vec<_>>()), &write.columns, &write.relation)?;
    let configuration = configuration(write, base, &schema, &rows.state)?;
    names(&schema, &configuration, &write.relation)?;
    let partition_by = partitions(&write.settings.partition_by, &schema, &write.relation)?;
    let table = create(place, (&schema, configuration), &partition_by, write, base).await?;
    let (target, _) = table_shape(&table, &write.relation)?;
    let plan = project(rows.plan, target.fields().iter().map(AsRef::as_ref))?;
    let (table, count) = pour(engine, (plan, rows.state), table, write).await?;
    let actions = staged_actions(&table, None, &write.relation).await?;
    Ok(Filled { table, rows: count, metadata: label(&write.label, &rows.inputs), actions })
}

/// Refuses tables that a commit would be refused for, before anything is written.
fn writable(base: &DeltaTable, relation: &RelationName) -> Result<(), EngineError> {
    let state = base.snapshot().map_err(|error| failure::reading(&error, relation))?;
    PROTOCOL.can_write_to(state).map_err(|error| failure::writing(error.into(), relation))?;
    Ok(())
}

async fn rows(engine: &LocalEngine, write: &TableWrite, streams: &Streams) -> Result<Rows, EngineError> {
    match &write.input {
        TableInput::Query(_) | TableInput::Overlaid { .. } => {
            let sql = query_text(&write.input);
            let overlays: &[Overlay] = if let TableInput::Overlaid { overlays, .. } = &write.input { overlays } else { &[] };
            let mut bound = catalog::bind_parts(engine, sql, overlays, &streams.parts).await?;
            if let Some(dedupe) = &write.dedupe {
                bound.plan = one_a_key(&bound, dedupe)?;
            }
            let plan = bound.physical(sql).await?;
            Ok(Rows { plan, state: bound.state, inputs: bound.inputs })
        }
        TableInput::Seed(seed) => {
            let state = engine.session();
            let provider = engine.files.seed_provider(&state, seed).await?;
            let plan = provider.scan(&state, None, &[], None).await.map_err(|error| failure::query(error, ""))?;
            Ok(Rows { plan, state, inputs: Vec::new() })
        }
    }
}

/// The query's rows, the first of each key in the wanted order.
fn one_a_key(bound: &Bound, dedupe: &Dedupe) -> Result<LogicalPlan, EngineError> {
    let noted = |error| match failure::query(error, &dedupe.order_by) {
        EngineError::Sql(mut inner) => {
            inner.range = None;
            inner.notes.push(format!("in `dedupe`: order by {}", dedupe.order_by));
            EngineError::Sql(inner)
        }
        other => other,
    };
    let schema = Arc::clone(bound.plan.schema());
    let spelt = |text: &str| crate::sql::canonical(text, schema.fields().iter().map(|field| field.name().as_str()));
    let keys: Vec<String> = dedupe.keys.iter().map(|key| quote_ident(key)).collect();
    let ranked = format!("row_number() over (partition by {} order by {})", keys.join(", "), dedupe.order_by);
    let bare = LogicalPlanBuilder::from(bound.plan.clone()).alias("rows").and_then(LogicalPlanBuilder::build).map_err(noted)?;
    let ranked = crate::sql::rewritten_expression(&bound.state, &spelt(&ranked)).map_err(|mut error| {
        error.range = None;
        error.notes.push(format!("in `dedupe`: order by {}", dedupe.order_by));
        EngineError::Sql(error)
    })?;
    let rank = crate::sql::plan_expression(&bound.state, &ranked, bare.schema()).map_err(noted)?.alias(RANK);
    let columns: Vec<Expr> = bare.schema().columns().into_iter().map(Expr::Column).collect();
    let ranked = LogicalPlanBuilder::from(bare).window([rank]);
    let first = ranked.and_then(|rows| rows.filter(ident(RANK).eq(lit(1_u64))));
    first.and_then(|rows| rows.project(columns)).and_then(LogicalPlanBuilder::build).map_err(noted)
}

/// The column by which [`one_a_key`] picks rows.
const RANK: &str = "__alluvium_rank";

/// Refuses names of columns that Delta refuses, unless the table maps its columns.
fn names(schema: &Schema, configuration: &HashMap<String, String>, relation: &RelationName) -> Result<(), EngineError> {
    if configuration.get("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
        return Ok(());
    }
    let odd = schema.fields().iter().find_map(|field| unnameable(field.name(), &relation.short()));
    odd.map_or(Ok(()), |error| Err(EngineError::Sql(Box::new(error))))
}

/// Partition columns as the schema spells them.
fn partitions(wanted: &[String], schema: &Schema, relation: &RelationName) -> Result<Vec<String>, EngineError> {
    if !wanted.is_empty() && wanted.len() >= schema.fields().len() {
        let message = format!("`{}` is to be partitioned by all its columns, which leaves none for the files", relation.short());
        return Err(EngineError::Sql(Box::new(SqlError::new(Code::SqlInvalid, message).help("partition by fewer columns"))));
    }
    wanted
        .iter()
        .map(|name| {
            let found = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
            found.map(|field| field.name().clone()).ok_or_else(|| {
                let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                let near = crate::base::nearest(name, columns.iter().copied())
                    .map_or_else(|| format!("the columns are {}", columns.join(", ")), |near| format!("did you mean `{near}`?"));
                EngineError::Sql(Box::new(
                    SqlError::new(Code::UnknownColumn, format!("`{}` is to be partitioned by `{name}`, which is no column of it", relation.short()))
                        .help(near),
                ))
            })
        })
        .collect()
}

pub(super) async fn open(folder: &Folder, store: &Arc<StagingStore>, relation: &RelationName) -> Result<DeltaTable, EngineError> {
    let mut table = folder.builder_over(Arc::clone(store) as _, relation)?.build().map_err(|error| failure::reading(&error, relation))?;
    table.load().await.map_err(|error| failure::reading(&error, relation))?;
    Ok(table)
}

/// A new table in memory, with the schema to the letter.
async fn create(
    (folder, store): (&Folder, &Arc<StagingStore>),
    (schema, configuration): (&SchemaRef, HashMap<String, String>),
    partition_by: &[String],
    write: &TableWrite,
    base: Option<&DeltaTable>,
) -> Result<DeltaTable, EngineError> {
    let relation = &write.relation;
    let table = folder.builder_over(Arc::clone(store) as _, relation)?.build().map_err(|error| failure::reading(&error, relation))?;
    // What the table's settings mean depends on its protocol: constraints count from a writer version on.
    let present = base.and_then(|table| table.snapshot().ok()).map(|snapshot| snapshot.protocol().clone());
    let needed = rules::needed_protocol(&configuration);
    let protocol = match (&present, &needed) {
        (Some(present), Some(needed)) => widened(present, needed).or_else(|| Some(present.clone())),
        (present, needed) => present.clone().or_else(|| needed.clone()),
    };
    let mut create = table
        .create()
        .with_columns(delta_fields(schema, &write.settings, base).map_err(|error| failure::writing(error, relation))?)
        .with_partition_columns(partition_by.to_vec())
        .with_configuration(configuration.into_iter().map(|(key, value)| (key, Some(value))))
        .with_raise_if_key_not_exists(false)
        .with_save_mode(SaveMode::ErrorIfExists);
    if let Some(description) = &write.settings.description {
        create = create.with_comment(description);
    }
    if let Some(protocol) = protocol {
        create = create.with_actions([Action::Protocol(protocol)]);
    }
    create.await.map_err(|error| failure::writing(error, relation))
}

/// The settings of a table that is there stay unless this write names them; the change feed is on by itself in new
/// tables only.
fn configuration(
    write: &TableWrite,
    base: Option<&DeltaTable>,
    schema: &Schema,
    state: &SessionState,
) -> Result<HashMap<String, String>, EngineError> {
    const CHANGE_FEED: &str = "delta.enableChangeDataFeed";
    let mut configuration: HashMap<String, String> = HashMap::new();
    match base.and_then(|table| table.snapshot().ok()) {
        Some(snapshot) => {
            configuration.extend(snapshot.metadata().configuration().clone());
            let is_on = configuration.get(CHANGE_FEED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
            if let Some(wanted) = write.settings.switch_change_feed.filter(|wanted| *wanted != is_on) {
                configuration.insert(CHANGE_FEED.into(), wanted.to_string());
            }
        }
        None if write.settings.change_feed => drop(configuration.insert(CHANGE_FEED.into(), "true".into())),
        None => {}
    }
    configuration.extend(write.settings.properties.clone());
    rules::settled(configuration, write, schema, state)
}

/// Where the schema of a Delta table holds what a column is in rows that do not name it. delta-rs can't write tables that
/// have the feature `allowColumnDefaults`, so that is not set: the default is for statements that run here.
pub(super) const DEFAULT: &str = "CURRENT_DEFAULT";

/// The columns with their comments; a comment that is there stays unless this write has another.
fn delta_fields(schema: &SchemaRef, settings: &TableSettings, base: Option<&DeltaTable>) -> Result<Vec<StructField>, DeltaTableError> {
    const COMMENT: &str = "comment";
    let converted: StructType = schema.as_ref().try_into_kernel()?;
    let present = base.and_then(|table| table.snapshot().ok()).map(DeltaTableState::schema);
    let commented = |field: &StructField| {
        let given = settings.column_comments.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
        let comment = match given {
            Some((_, text)) => Some(MetadataValue::String(text.clone())),
            None => present.as_ref().and_then(|schema| schema.field(field.name())).and_then(|known| known.metadata().get(COMMENT).cloned()),
        };
        let mut field = field.clone();
        field.metadata.extend(comment.map(|comment| (COMMENT.to_owned(), comment)));
        let default = settings.column_defaults.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
        field.metadata.extend(default.map(|(_, text)| (DEFAULT.to_owned(), MetadataValue::String(text.clone()))));
        field
    };
    Ok(converted.fields().map(commented).collect())
}

/// Streams rows, in the table's columns and their order, into a staged table.
///
/// # Errors
/// If the rows fail, do not fit, or can't be written.
pub(super) async fn pour(
    engine: &LocalEngine,
    (plan, state): (Arc<dyn ExecutionPlan>, SessionState),
    table: DeltaTable,
    write: &TableWrite,
) -> Result<(DeltaTable, u64), EngineError> {
    let gauge = Gauge::default();
    let (target, partition_by) = table_shape(&table, &write.relation)?;
    let snapshot = table.snapshot().map_err(|error| failure::reading(&error, &write.relation))?;
    let conditions = rules::planned(snapshot, &target, &state);
    let shape = Shape { schema: target, relation: write.relation.short(), partition_by, conditions };
    let plan = logical(plan, shape, gauge.clone())?;
    let state = SessionStateBuilder::new_from_existing(state)
        .with_runtime_env(scoped_runtime(&engine.runtime))
        .with_query_planner(DeltaPlanner::new())
        .build();
    let properties = CommitProperties::default().with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
    let written = table
        .write(vec![])
        .with_input_plan(plan)
        .with_session_state(Arc::new(state))
        .with_save_mode(SaveMode::Append)
        .with_commit_properties(properties)
        .await;
    let table = written.map_err(|error| match gauge.failure() {
        Some(cause) => failure::query(cause, query_text(&write.input)),
        None => failure::writing(error, &write.relation),
    })?;
    Ok((table, gauge.rows()))
}

pub(super) fn query_text(input: &TableInput) -> &str {
    match input {
        TableInput::Query(sql) | TableInput::Overlaid { sql, .. } => sql,
        TableInput::Seed(_) => "",
    }
}

/// The schema of a table, and what it is partitioned by.
fn table_shape(table: &DeltaTable, relation: &RelationName) -> Result<(SchemaRef, Vec<String>), EngineError> {
    let snapshot = table.snapshot().map_err(|error| failure::reading(&error, relation))?;
    Ok((snapshot.snapshot().arrow_schema(), snapshot.metadata().partition_columns().to_vec()))
}

fn logical(plan: Arc<dyn ExecutionPlan>, shape: Shape, gauge: Gauge) -> Result<LogicalPlan, EngineError> {
    let tap: Arc<dyn TableProvider> = Arc::new(Tap::new(plan, shape, gauge));
    let built = LogicalPlanBuilder::scan("rows", provider_as_source(tap), None).and_then(LogicalPlanBuilder::build);
    built.map_err(|error| failure::query(error, ""))
}

/// What a commit says of where it came from.
pub(super) fn label(label: &CommitLabel, inputs: &[InputVersion]) -> HashMap<String, Json> {
    let inputs: serde_json::Map<String, Json> = inputs.iter().map(|input| (input.relation.clone(), Json::from(input.version))).collect();
    let mut metadata = HashMap::from([("alluvium.inputs".to_owned(), Json::Object(inputs))]);
    if !label.run_id.is_empty() {
        metadata.insert("alluvium.runId".into(), Json::from(label.run_id.clone()));
        metadata.insert("alluvium.node".into(), Json::from(label.node.clone()));
    }
    metadata
}

/// The actions of all commits behind a version, in order.
///
/// # Errors
/// If one can't be read.
pub(super) async fn staged_actions(table: &DeltaTable, behind: Option<u64>, relation: &RelationName) -> Result<Vec<Action>, EngineError> {
    let first = behind.map_or(0, |version| version + 1);
    let mut actions = Vec::new();
    for version in first..=table.version().unwrap_or(0) {
        let bytes = table.log_store().read_commit_entry(version).await.map_err(|error| failure::reading(&error, relation))?;
        let Some(bytes) = bytes else { continue };
        actions.extend(get_actions(version, &bytes).map_err(|error| failure::reading(&error, relation))?);
    }
    Ok(actions)
}

impl StagedTable {
    /// The table with the staged rows, for audits.
    ///
    /// # Errors
    /// If it can't be read.
    pub(super) async fn provider(&self, engine: &LocalEngine) -> Result<Arc<dyn TableProvider>, EngineError> {
        self.table.update_datafusion_session(&engine.session()).map_err(|error| failure::reading(&error, &self.relation))?;
        self.table.table_provider().await.map_err(|error| failure::query(error, ""))
    }

    /// Notes what was read of streams, once the rows are published.
    ///
    /// # Errors
    /// If it can't be noted.
    pub(super) async fn note_streams(&self, engine: &LocalEngine, version: u64) -> Result<(), EngineError> {
        let table = self.base.as_ref().unwrap_or(&self.table).snapshot().map_err(|error| failure::reading(&error, &self.relation))?;
        self.streams.mirror(engine, (&self.relation, &self.run_id), table.metadata().id(), version).await
    }

    /// Removes what only staging needed, once the rows are published.
    pub(super) async fn tidy(&self) {
        if self.same {
            let _ = self.store.discard().await;
        }
        let _ = self.folder.store.delete(&self.marker).await;
    }

    /// Deletes the files that were written.
    ///
    /// # Errors
    /// If one can't be deleted.
    pub(super) async fn dismiss(&self) -> Result<(), EngineError> {
        self.store.discard().await.map_err(|error| failure::storage(&error, &format!("dismissing what was staged for `{}`", self.relation.short())))
    }
}

mod same;
#[cfg(test)]
mod tests;
