//! The embedded engine: DataFusion over Delta tables in one warehouse.
//!
//! Owns what the steps share (stores, views, stages, memory) and hands every verb to the module that knows it. It
//! decides nothing about order, retries or what a node needs.

mod catalog;
mod change;
mod external;
mod failure;
mod files;
mod functions;
mod layout;
mod locate;
mod rules;
mod schema;
mod stage;
mod statements;
mod store;
mod streams;
mod sweep;
mod tap;
mod temporary;
mod views;
mod warehouse;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::common::config::ConfigNonZeroUsize;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::execution::memory_pool::{FairSpillPool, GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use deltalake::datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use deltalake::datafusion::execution::session_state::SessionState;
use futures::future::BoxFuture;
use sysinfo::System;

use self::files::FileSources;
use self::stage::{Staged, Stages};
use self::temporary::Temporaries;
use self::views::Views;
use self::warehouse::Warehouse;
use tokio::runtime::Handle;

use super::{Capabilities, Engine, EngineError, FilesBinding, Outcome, Overlay, RelationKind, RelationState, SeedInput, Step};
use crate::base::Sources;
use crate::manifest::RelationName;
use crate::sql::{self, FileCall, Semantics};

/// Where an engine stores, and what it may use.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// A folder or object store URI; a relative folder is below `project_dir`.
    pub warehouse: String,
    /// Further databases by name, each with its own root.
    pub databases: HashMap<String, String>,
    /// The name of the target's database in three-part names.
    pub database: String,
    /// The schema of names without one.
    pub schema: String,
    pub storage_options: HashMap<String, String>,
    pub project_dir: PathBuf,
    pub threads: usize,
    /// Bytes that all queries of the engine share; beyond, they spill to disk, joins too. Without it they share what
    /// [`memory_for_queries`] gives, and joins stay in memory.
    pub memory_limit: Option<u64>,
    /// What SQL means, but for views that were made with another meaning.
    pub semantics: Semantics,
    /// Where messages about files of the project find them.
    pub sources: Arc<Sources>,
}

#[cfg(test)]
impl EngineOptions {
    /// What the room's tests use: one database, two threads, no memory limit.
    fn of_folder(warehouse: &str, project_dir: &std::path::Path) -> Self {
        Self {
            warehouse: warehouse.to_owned(),
            databases: HashMap::new(),
            database: "alluvium".into(),
            schema: "main".into(),
            storage_options: HashMap::new(),
            project_dir: project_dir.to_owned(),
            threads: 2,
            memory_limit: None,
            semantics: Semantics::default(),
            sources: Sources::new(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct LocalEngine {
    pub(super) options: EngineOptions,
    pub(super) warehouse: Arc<Warehouse>,
    pub(super) views: Views,
    pub(super) files: Arc<FileSources>,
    pub(super) stages: Stages,
    pub(super) temporary: Temporaries,
    pub(super) runtime: Arc<RuntimeEnv>,
    /// Of the runtime that opened the engine.
    handle: Option<Handle>,
}

/// Under a memory limit, a batch has one row for so many bytes of it, but never fewer rows than these.
const BYTES_PER_BATCH_ROW: usize = 128 << 10;
const SMALLEST_BATCH: usize = 512;

/// How many consumers of memory an error of the pool names; the first is the one that is told.
const TOLD_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

impl LocalEngine {
    /// Opens a warehouse. Nothing is read or written yet.
    ///
    /// # Errors
    /// If a URI is not one, or this build can't reach it.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        let runtime = runtime(options.memory_limit)?;
        let warehouse = Arc::new(Warehouse::open(&options, &runtime)?);
        let files = FileSources::new(&options.project_dir, options.storage_options.clone(), Arc::clone(&options.sources));
        let views = Views::new(Arc::clone(&warehouse));
        Ok(Self {
            options,
            warehouse,
            views,
            files,
            stages: Stages::default(),
            temporary: Temporaries::default(),
            runtime,
            handle: Handle::try_current().ok(),
        })
    }

    /// A session of the dialect with an empty catalog, on the engine's memory pool and stores.
    pub(super) fn session(&self) -> SessionState {
        self.session_with(self.options.semantics)
    }

    /// The same, for SQL that was written with certain semantics.
    fn session_with(&self, semantics: Semantics) -> SessionState {
        let mut state = sql::session_state(&sql::SessionOptions {
            threads: self.options.threads,
            runtime: Arc::clone(&self.runtime),
            spilling_joins: self.options.memory_limit.is_some(),
            semantics,
        });
        if let Some(limit) = self.options.memory_limit {
            // Every sort keeps this much aside for merging what it spilled; the default takes a small pool by itself.
            let share = usize::try_from(limit).unwrap_or(usize::MAX) / (16 * self.options.threads.max(1));
            let execution = &mut state.config_mut().options_mut().execution;
            execution.sort_spill_reservation_bytes = execution.sort_spill_reservation_bytes.min(share);
            // What merges spilled runs holds two batches of each; wide rows would fill a small pool with them.
            let rows = (usize::try_from(limit).unwrap_or(usize::MAX) / BYTES_PER_BATCH_ROW).max(SMALLEST_BATCH);
            if let Ok(rows) = ConfigNonZeroUsize::try_new(rows.min(execution.batch_size.into())) {
                execution.batch_size = rows;
            }
        }
        state
    }

    async fn state_of(&self, name: &RelationName) -> Result<Option<RelationState>, EngineError> {
        if name.schema.is_empty() && self.temporary.get(&name.identifier).is_some() {
            let bound = catalog::bind_session(self, &format!("select * from {}", sql::quote_ident(&name.identifier)), &[]).await?;
            let schema = Arc::clone(bound.plan.schema().inner());
            let (kind, constraints) = (RelationKind::Table, BTreeMap::new());
            return Ok(Some(RelationState { kind, schema, version: None, sql: None, partition_by: Vec::new(), constraints }));
        }
        // As in SQL, what a name leaves out is the target's.
        let or = |part: &str, target: &str| if part.is_empty() { target.to_owned() } else { part.to_owned() };
        let name = &RelationName::new(or(&name.database, &self.options.database), or(&name.schema, &self.options.schema), name.identifier.as_str());
        if let Some(view) = self.views.get(name).await? {
            let schema = catalog::view_schema(self, name).await?;
            return Ok(Some(RelationState {
                kind: RelationKind::View,
                schema,
                version: None,
                sql: Some(view.sql),
                partition_by: Vec::new(),
                constraints: BTreeMap::new(),
            }));
        }
        if let Some(table) = self.warehouse.open_table(name).await? {
            return Ok(Some(warehouse::state(&table, name)?));
        }
        catalog::files_state(self, name).await
    }

    async fn carry_out(&self, step: &Step) -> Result<Outcome, EngineError> {
        match step {
            Step::StageTable(write) => {
                let staged = write::stage(self, write).await?;
                let rows = staged.rows;
                Ok(Outcome::Staged { stage: self.stages.add(Staged::Table(Box::new(staged))), rows })
            }
            Step::StageFiles(write) => {
                let (staged, rows) = external::stage(self, write).await?;
                Ok(Outcome::Staged { stage: self.stages.add(Staged::Files(Box::new(staged))), rows })
            }
            Step::PutView(view) => {
                if !view.proved {
                    catalog::bind_session(self, &view.sql, &[]).await?;
                }
                let recorded = self.views.put(view, self.options.semantics).await?;
                let replaced = self.warehouse.drop_table(&view.relation).await?;
                Ok(Outcome::Done { changed: recorded || replaced })
            }
            Step::Publish(stage) => self.stages.publish(*stage, self).await,
            Step::Dismiss(stage) => Ok(Outcome::Done { changed: self.stages.dismiss(*stage).await? }),
            Step::Drop(name) => Ok(Outcome::Done { changed: self.drop_relation(name).await? }),
        }
    }

    /// Removes what stands under a name, table or view, and tells whether something did.
    async fn drop_relation(&self, name: &RelationName) -> Result<bool, EngineError> {
        self.temporary.forget(name);
        let view = self.views.remove(name).await?;
        let table = self.warehouse.drop_table(name).await?;
        Ok(view || table)
    }
}

/// Bytes that queries may use where the target says nothing: four fifths of what the machine, or the container in it, has.
/// A query that wants more then ends with an error, and not with the end of the process. `None` where it can't be found out.
#[must_use]
pub fn memory_for_queries() -> Option<u64> {
    let mut system = System::new();
    system.refresh_memory();
    let of_machine = system.total_memory();
    let whole = system.cgroup_limits().map_or(of_machine, |limits| limits.total_memory.min(of_machine));
    (whole > 0).then_some(whole / 5 * 4)
}

/// One pool for everything that runs in the engine. Under a limit of the target, consumers that spill share it fairly.
fn runtime(memory_limit: Option<u64>) -> Result<Arc<RuntimeEnv>, EngineError> {
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let pool: Option<Arc<dyn MemoryPool>> = match memory_limit {
        Some(limit) => Some(Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes(limit)), TOLD_CONSUMERS))),
        None => memory_for_queries().map(|limit| Arc::new(TrackConsumersPool::new(GreedyMemoryPool::new(bytes(limit)), TOLD_CONSUMERS)) as _),
    };
    let mut builder = RuntimeEnvBuilder::new();
    if let Some(pool) = pool {
        builder = builder.with_memory_pool(pool);
    }
    builder.build_arc().map_err(|error| EngineError::Storage { context: "folder for spilled rows".into(), reason: error.strip_backtrace() })
}

impl Engine for LocalEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities { views: true, change_feed: true, external_files: true }
    }

    fn relation<'a>(&'a self, name: &'a RelationName) -> BoxFuture<'a, Result<Option<RelationState>, EngineError>> {
        Box::pin(self.state_of(name))
    }

    fn bind(&self, binding: FilesBinding) {
        self.files.bind(binding);
    }

    fn failure<'a>(&'a self, error: DataFusionError, sql: &'a str, overlays: &'a [Overlay]) -> BoxFuture<'a, EngineError> {
        Box::pin(async move { locate::located(self, failure::query(error, sql), (sql, overlays), &BTreeMap::new()).await })
    }

    fn seed_schema<'a>(&'a self, seed: &'a SeedInput) -> BoxFuture<'a, Result<SchemaRef, EngineError>> {
        Box::pin(async { Ok(self.files.seed_provider(&self.session(), seed).await?.schema()) })
    }

    fn files_schema<'a>(&'a self, call: &'a FileCall) -> BoxFuture<'a, Result<SchemaRef, EngineError>> {
        let (files, session, call) = (Arc::clone(&self.files), self.session(), call.clone());
        let work = async move { Ok(files.provider_of_call(&session, call).await?.schema()) };
        // Whoever plans may do so on a thread of its own, on which nothing that waits for files can run.
        let Some(handle) = &self.handle else { return Box::pin(work) };
        let task = handle.spawn(work);
        Box::pin(async move {
            let ended = |_| EngineError::Storage { context: "files can't be read".into(), reason: "the work on them ended".into() };
            task.await.map_err(ended)?
        })
    }

    fn semantics(&self) -> Semantics {
        self.options.semantics
    }

    fn query<'a>(&'a self, sql: &'a str, overlays: &'a [Overlay]) -> BoxFuture<'a, Result<SendableRecordBatchStream, EngineError>> {
        Box::pin(catalog::query(self, sql, overlays))
    }

    fn statement<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Option<SendableRecordBatchStream>, EngineError>> {
        Box::pin(statements::run(self, sql))
    }

    fn execute<'a>(&'a self, step: &'a Step) -> BoxFuture<'a, Result<Outcome, EngineError>> {
        Box::pin(self.carry_out(step))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.warehouse.probe())
    }

    fn cancel(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.stages.dismiss_all())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            for table in self.temporary.take_tables() {
                // One that stays is in nobody's way.
                let _ = self.drop_relation(&table).await;
            }
        })
    }
}
