//! What is staged, and how it is published: one commit for a table, one rename for a file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::datafusion::catalog::TableProvider;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, Metadata, Protocol};
use deltalake::logstore::get_actions;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::{Value as Json, json};

use super::super::{EngineError, Merge, Outcome, StageId, WriteMode};
use super::external::StagedFiles;
use super::store::StagingStore;
use super::write::StagedTable;
use super::{LocalEngine, failure};

/// Something written and not visible yet.
#[derive(Debug)]
pub(super) enum Staged {
    Table(Box<StagedTable>),
    Files(Box<StagedFiles>),
}

/// The open stages of an engine.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    next: AtomicU64,
    open: Mutex<BTreeMap<StageId, Arc<Staged>>>,
    /// Writes under way, which may be dropped at any moment.
    writing: Mutex<Vec<Arc<StagingStore>>>,
}

impl Stages {
    pub(super) fn add(&self, staged: Staged) -> StageId {
        let stage = StageId(self.next.fetch_add(1, Ordering::Relaxed));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, Arc::new(staged));
        stage
    }

    /// Notes a write that begins, so that what it leaves can be deleted if it is dropped.
    pub(super) fn begin(&self, store: &Arc<StagingStore>) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(store));
    }

    /// Notes that a write came to an end.
    pub(super) fn end(&self, store: &Arc<StagingStore>) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, store));
    }

    fn get(&self, stage: StageId) -> Result<Arc<Staged>, EngineError> {
        let found = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&stage).cloned();
        found.ok_or_else(|| EngineError::Unsupported { message: "what was staged is published or dismissed already".into(), help: None })
    }

    fn take(&self, stage: StageId) -> Option<Arc<Staged>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&stage)
    }

    /// Makes a stage visible. Where that fails the stage stays open, to be dismissed.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] if the table was changed since it was staged.
    pub(super) async fn publish(&self, stage: StageId, engine: &LocalEngine) -> Result<Outcome, EngineError> {
        let staged = self.get(stage)?;
        // While the commit is under way nobody may delete its files: it may be there before we hear of it.
        self.take(stage);
        let published = match staged.as_ref() {
            Staged::Table(table) => commit(table, engine).await.map(Some),
            Staged::Files(files) => files.publish(engine).await.map(|()| None),
        };
        let version = match published {
            Ok(version) => version,
            Err(error) => {
                self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, staged);
                return Err(error);
            }
        };
        if let Staged::Table(table) = staged.as_ref() {
            table.tidy().await;
            engine.warehouse.forget(&table.relation);
            if table.mode != WriteMode::Append {
                // What stands under a temporary name now is another table, which stays.
                engine.temporary.forget(&table.relation);
            }
            if let Some(version) = version {
                // The commit says it already: what is missing here is noted by the next write.
                let _ = table.note_streams(engine, version).await;
            }
            engine.views.remove(&table.relation).await?;
        }
        Ok(Outcome::Published { version })
    }

    /// Deletes what a stage wrote. Tells whether it was open.
    ///
    /// # Errors
    /// If files can't be deleted.
    pub(super) async fn dismiss(&self, stage: StageId) -> Result<bool, EngineError> {
        let Some(staged) = self.take(stage) else { return Ok(false) };
        match staged.as_ref() {
            Staged::Table(table) => table.dismiss().await?,
            Staged::Files(files) => files.dismiss().await?,
        }
        Ok(true)
    }

    /// Dismisses every stage, and every write that was dropped before it became one.
    pub(super) async fn dismiss_all(&self) {
        let dropped = std::mem::take(&mut *self.writing.lock().unwrap_or_else(PoisonError::into_inner));
        for store in dropped {
            let _ = store.discard().await;
        }
        let open: Vec<StageId> = self.open.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        for stage in open {
            let _ = self.dismiss(stage).await;
        }
    }

    /// A stage as a table that can be read.
    ///
    /// # Errors
    /// If it is not open, or can't be read.
    pub(super) async fn provider(&self, stage: StageId, engine: &LocalEngine) -> Result<Arc<dyn TableProvider>, EngineError> {
        match self.get(stage)?.as_ref() {
            Staged::Table(table) => table.provider(engine).await,
            Staged::Files(files) => files.provider(engine).await,
        }
    }
}

/// Commits a staged write to the real log, on the version it was staged against.
async fn commit(staged: &StagedTable, engine: &LocalEngine) -> Result<u64, EngineError> {
    let relation = &staged.relation;
    let reading = |error: DeltaTableError| failure::reading(&error, relation);
    let table = match &staged.base {
        Some(table) => table.clone(),
        None => staged.folder.builder(relation)?.build().map_err(reading)?,
    };
    let snapshot = staged.base.as_ref().map(|table| table.snapshot().map(DeltaTableState::snapshot)).transpose().map_err(reading)?;
    let actions = actions(staged)?;
    if let Some(version) = base_version(staged).filter(|_| actions.is_empty()) {
        return Ok(version);
    }
    let partition_by = staged.table.snapshot().map_err(reading)?.metadata().partition_columns().to_vec();
    let mut properties = CommitProperties::default().with_metadata(metadata(staged));
    if staged.mode != WriteMode::Append || staged.base.is_none() || !staged.streams.parts.is_empty() {
        // What replaces rows replaces those that were there when it began, and a new table is version 0 or nothing:
        // whatever another writer commits in between is a conflict, also what delta-rs would let pass. So it is with what
        // was read of a stream.
        properties = properties.with_max_retries(0);
    }
    let commit = CommitBuilder::from(properties).with_actions(actions).build(
        snapshot.map(|snapshot| snapshot as &dyn TableReference),
        table.log_store(),
        operation(staged, partition_by),
    );
    let prepared = commit.into_prepared_commit_future().await.map_err(|error| failure::writing(error, relation))?;
    match prepared.await {
        Ok(done) => {
            let version = done.version;
            // From here on the rows are in the table, whether or not a checkpoint can be written behind them.
            let _ = done.await;
            Ok(version)
        }
        Err(error) => match landed(staged, engine).await {
            Some(version) => Ok(version),
            None => Err(failure::writing(error, relation)),
        },
    }
}

fn base_version(staged: &StagedTable) -> Option<u64> {
    staged.base.as_ref().and_then(DeltaTable::version)
}

/// What the table's history calls the write.
fn operation(staged: &StagedTable, partition_by: Vec<String>) -> DeltaOperation {
    let partition_by = (!partition_by.is_empty()).then_some(partition_by);
    let write = |mode, predicate| DeltaOperation::Write { mode, partition_by: partition_by.clone(), predicate };
    let merge = |keys: &[String]| DeltaOperation::Merge {
        predicate: None,
        merge_predicate: Some(keys.iter().map(|key| format!("target.{key} <=> source.{key}")).collect::<Vec<_>>().join(" AND ")),
        matched_predicates: Vec::new(),
        not_matched_predicates: Vec::new(),
        not_matched_by_source_predicates: Vec::new(),
    };
    match &staged.mode {
        _ if staged.base.is_none() => write(SaveMode::Overwrite, None),
        WriteMode::Overwrite | WriteMode::OverwritePartitions => write(SaveMode::Overwrite, None),
        WriteMode::ReplaceWhere { condition, .. } => write(SaveMode::Overwrite, Some(condition.clone())),
        WriteMode::Append => write(SaveMode::Append, None),
        WriteMode::Merge(Merge { keys, .. }) | WriteMode::DeleteInsert { keys, .. } => merge(keys),
    }
}

/// The version that holds the staged files although the store reported a failure, as networks do.
async fn landed(staged: &StagedTable, engine: &LocalEngine) -> Option<u64> {
    let path = |actions: &[Action]| actions.iter().find_map(|action| if let Action::Add(add) = action { Some(add.path.clone()) } else { None });
    let wanted = path(&staged.actions)?;
    engine.warehouse.forget(&staged.relation);
    let table = engine.warehouse.open_table(&staged.relation).await.ok()??;
    let first = staged.base.as_ref().and_then(DeltaTable::version).map_or(0, |version| version + 1);
    for version in first..=table.version()? {
        let bytes = table.log_store().read_commit_entry(version).await.ok()??;
        let actions = get_actions(version, &bytes).ok()?;
        if actions.iter().any(|action| matches!(action, Action::Add(add) if add.path == wanted)) {
            return Some(version);
        }
    }
    None
}

fn metadata(staged: &StagedTable) -> HashMap<String, Json> {
    let mut metadata = staged.metadata.clone();
    let files = staged.actions.iter().filter(|action| matches!(action, Action::Add(_))).count();
    if !metadata.contains_key("operationMetrics") {
        metadata.insert("operationMetrics".into(), json!({ "numOutputRows": staged.rows.to_string(), "numFiles": files.to_string() }));
    }
    metadata
}

/// What goes into the commit: the staged files, in place of those that are there, and what changes about the table.
fn actions(staged: &StagedTable) -> Result<Vec<Action>, EngineError> {
    let Some(base) = &staged.base else {
        return Ok(staged.actions.iter().filter(|action| !matches!(action, Action::CommitInfo(_))).cloned().collect());
    };
    let state = base.snapshot().map_err(|error| failure::reading(&error, &staged.relation))?;
    let mut actions = Vec::new();
    // A commit says once what the table looks like.
    let last = staged.actions.iter().rposition(|action| matches!(action, Action::Metadata(_)));
    let last_protocol = staged.actions.iter().rposition(|action| matches!(action, Action::Protocol(_)));
    for (at, action) in staged.actions.iter().enumerate() {
        match action {
            Action::CommitInfo(_) => {}
            Action::Metadata(_) if last != Some(at) => {}
            Action::Protocol(_) if last_protocol != Some(at) => {}
            Action::Protocol(wanted) => actions.extend(widened(state.protocol(), wanted).map(Action::Protocol)),
            Action::Metadata(wanted) => actions.extend(changed(state.metadata(), wanted).map(Action::Metadata)),
            Action::Add(_) if staged.same => {}
            other => actions.push(other.clone()),
        }
    }
    if staged.mode == WriteMode::Overwrite && !staged.same {
        actions.extend(state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
    }
    Ok(actions)
}

/// The wanted metadata under the table's own identity; `None` where nothing differs.
fn changed(present: &Metadata, wanted: &Metadata) -> Option<Metadata> {
    let mut value = serde_json::to_value(wanted).ok()?;
    let before = serde_json::to_value(present).ok()?;
    let map = value.as_object_mut()?;
    for key in ["id", "name", "createdTime"] {
        map.insert(key.into(), before.get(key).cloned().unwrap_or(Json::Null));
    }
    if map.get("description").is_none_or(Json::is_null) {
        map.insert("description".into(), before.get("description").cloned().unwrap_or(Json::Null));
    }
    let schema = |value: &Json| value.get("schemaString").and_then(Json::as_str).and_then(|text| serde_json::from_str::<Json>(text).ok());
    let same =
        schema(&value) == schema(&before) && ["partitionColumns", "configuration", "description"].iter().all(|key| value.get(key) == before.get(key));
    if same { None } else { serde_json::from_value(value).ok() }
}

/// A protocol with the features of both; `None` where the table's own has all that is wanted.
pub(super) fn widened(present: &Protocol, wanted: &Protocol) -> Option<Protocol> {
    let (present, wanted) = (serde_json::to_value(present).ok()?, serde_json::to_value(wanted).ok()?);
    let version = |value: &Json, key: &str| value.get(key).and_then(Json::as_u64).unwrap_or(1);
    let features = |value: &Json, key: &str| -> BTreeSet<String> {
        value.get(key).and_then(Json::as_array).into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let mut writer = features(&present, "writerFeatures");
    writer.extend(implied(version(&present, "minWriterVersion")));
    let mut reader = features(&present, "readerFeatures");
    if version(&present, "minReaderVersion") == 2 {
        reader.insert("columnMapping".into());
    }
    let mut wanted_writer = features(&wanted, "writerFeatures");
    wanted_writer.extend(implied(version(&wanted, "minWriterVersion")));
    let wanted_reader = features(&wanted, "readerFeatures");
    let most = |key: &str| version(&present, key).max(version(&wanted, key));
    if most("minWriterVersion") < 7 && most("minReaderVersion") < 3 {
        // Of versions without lists of features the higher one stands for both.
        let (reader, writer) = (most("minReaderVersion"), most("minWriterVersion"));
        let same = (reader, writer) == (version(&present, "minReaderVersion"), version(&present, "minWriterVersion"));
        return if same { None } else { serde_json::from_value(json!({ "minReaderVersion": reader, "minWriterVersion": writer })).ok() };
    }
    let legacy_is_enough = version(&wanted, "minWriterVersion") <= version(&present, "minWriterVersion")
        && version(&wanted, "minReaderVersion") <= version(&present, "minReaderVersion");
    if wanted_writer.is_subset(&writer) && wanted_reader.is_subset(&reader) && (legacy_is_enough || version(&present, "minWriterVersion") == 7) {
        return None;
    }
    writer.extend(wanted_writer);
    reader.extend(wanted_reader);
    let value = if reader.is_empty() {
        json!({ "minReaderVersion": version(&present, "minReaderVersion"), "minWriterVersion": 7, "writerFeatures": writer })
    } else {
        json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": writer })
    };
    serde_json::from_value(value).ok()
}

/// The features that a writer version without a list of features stands for, as the Delta protocol has them.
fn implied(writer_version: u64) -> Vec<String> {
    const LEGACY: [(u64, &str); 7] = [
        (2, "appendOnly"),
        (2, "invariants"),
        (3, "checkConstraints"),
        (4, "changeDataFeed"),
        (4, "generatedColumns"),
        (5, "columnMapping"),
        (6, "identityColumns"),
    ];
    LEGACY.iter().filter(|(since, _)| *since <= writer_version && writer_version < 7).map(|(_, name)| (*name).to_owned()).collect()
}
