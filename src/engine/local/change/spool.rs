//! Rows kept aside to be read more than once: in memory as long as they are few, else in files of the session's spill
//! folder.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::catalog::streaming::StreamingTable;
use deltalake::datafusion::common::Result;
use deltalake::datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::spill_file::SpillFile;
use deltalake::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use deltalake::datafusion::physical_plan::SpillManager;
use deltalake::datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use deltalake::datafusion::physical_plan::spill::get_record_batch_memory_size;
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

/// Bytes that one spool keeps in memory at most.
const IN_MEMORY: usize = 32 << 20;

/// Takes rows in, from several threads; [`Writer::finish`] makes them readable.
pub(super) struct Writer {
    schema: SchemaRef,
    manager: SpillManager,
    open: Mutex<Open>,
}

struct Open {
    batches: Vec<RecordBatch>,
    bytes: usize,
    reservation: MemoryReservation,
    files: Vec<Arc<dyn SpillFile>>,
    rows: u64,
}

impl Writer {
    pub(super) fn new(schema: SchemaRef, runtime: &Arc<RuntimeEnv>) -> Self {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let manager = SpillManager::new(Arc::clone(runtime), metrics, Arc::clone(&schema));
        let reservation = MemoryConsumer::new("rows kept aside").with_can_spill(true).register(&runtime.memory_pool);
        Self { schema, manager, open: Mutex::new(Open { batches: Vec::new(), bytes: 0, reservation, files: Vec::new(), rows: 0 }) }
    }

    /// Takes rows of the writer's schema.
    ///
    /// # Errors
    /// If the spill folder can't be written.
    pub(super) fn push(&self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let size = get_record_batch_memory_size(&batch);
        open.rows += batch.num_rows() as u64;
        let fits = open.bytes + size <= IN_MEMORY && open.reservation.try_grow(size).is_ok();
        open.batches.push(batch);
        open.bytes += size;
        if fits { Ok(()) } else { open.spill(&self.manager) }
    }

    /// What was taken in so far; the writer is empty afterwards.
    pub(super) fn finish(&self) -> Arc<Spool> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.bytes = 0;
        Arc::new(Spool {
            schema: Arc::clone(&self.schema),
            manager: self.manager.clone(),
            files: std::mem::take(&mut open.files),
            batches: std::mem::take(&mut open.batches),
            rows: std::mem::take(&mut open.rows),
            _reservation: open.reservation.take(),
        })
    }
}

impl Open {
    fn spill(&mut self, manager: &SpillManager) -> Result<()> {
        let batches = std::mem::take(&mut self.batches);
        self.files.extend(manager.spill_record_batch_and_finish(&batches, "rows kept aside")?);
        self.bytes = 0;
        self.reservation.free();
        Ok(())
    }
}

/// Rows that can be read again and again, in the order in which they came.
pub(super) struct Spool {
    schema: SchemaRef,
    manager: SpillManager,
    files: Vec<Arc<dyn SpillFile>>,
    batches: Vec<RecordBatch>,
    rows: u64,
    _reservation: MemoryReservation,
}

impl Spool {
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows as a table.
    ///
    /// # Errors
    /// Never, as the schema is the stream's own.
    pub(super) fn provider(self: &Arc<Self>) -> Result<Arc<dyn TableProvider>> {
        let rows: Arc<dyn PartitionStream> = Arc::new(Rows(Arc::clone(self)));
        Ok(Arc::new(StreamingTable::try_new(Arc::clone(&self.schema), vec![rows])?))
    }

    fn stream(self: &Arc<Self>) -> SendableRecordBatchStream {
        let spool = Arc::clone(self);
        let files =
            stream::iter(0..self.files.len()).map(move |at| spool.manager.read_spill_as_stream(Arc::clone(&spool.files[at]), None)).try_flatten();
        let spool = Arc::clone(self);
        let memory = stream::iter(0..self.batches.len()).map(move |at| Ok(spool.batches[at].clone()));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), files.chain(memory)))
    }
}

struct Rows(Arc<Spool>);

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows kept aside", self.0.rows)
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.0.stream()
    }
}
