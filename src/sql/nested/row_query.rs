//! The function that a subquery over lists becomes: it runs a plan over the rows of a batch.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

use deltalake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array, new_null_array};
use deltalake::arrow::compute::{concat, take};
use deltalake::arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use deltalake::datafusion::common::{Result, exec_err, internal_err};
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use deltalake::datafusion::logical_expr::{ColumnarValue, LogicalPlan, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use deltalake::datafusion::physical_plan::execution_plan::reset_plan_states;
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::datafusion::physical_plan::streaming::PartitionStream;
use deltalake::datafusion::physical_plan::{ExecutionPlan, collect};

use crate::base::STACK;
use crate::sql::semantics::Semantics;
use crate::sql::session::{SessionOptions, session_state};

/// Plans are optimized for one thread, and so that none of their operators starts another; they are run with the memory of the
/// session that they belong to.
static STATE: LazyLock<SessionState> = LazyLock::new(|| {
    let options = SessionOptions { threads: 1, runtime: Arc::new(RuntimeEnv::default()), spilling_joins: false, semantics: Semantics::default() };
    let mut state = session_state(&options);
    let settings = state.config_mut().options_mut();
    settings.execution.sort_in_place_threshold_bytes = usize::MAX;
    settings.optimizer.enable_dynamic_filter_pushdown = false;
    // It gives columns names that others beside them have.
    settings.optimizer.enable_leaf_expression_pushdown = false;
    state
});

/// The rows of a batch, for the plan that runs over them.
#[derive(Debug)]
struct Rows(RecordBatch);

/// A table of the rows that a plan is run for.
#[derive(Debug)]
pub(super) struct Given {
    pub schema: SchemaRef,
}

impl PartitionStream for Given {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = context.session_config().get_extension::<Rows>().map(|rows| Ok(rows.0.clone()));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(rows)))
    }
}

/// Runs a plan, whose columns are the number of a row and a value, over the rows of a [`Given`].
#[derive(Debug)]
pub(super) struct RowQuery {
    plan: LogicalPlan,
    given: SchemaRef,
    signature: Signature,
    runtime: Arc<RuntimeEnv>,
    physical: OnceLock<Arc<dyn ExecutionPlan>>,
}

impl RowQuery {
    pub(super) fn new((plan, given): (LogicalPlan, SchemaRef), volatility: Volatility, runtime: &Arc<RuntimeEnv>) -> Self {
        Self { plan, given, signature: Signature::variadic_any(volatility), runtime: Arc::clone(runtime), physical: OnceLock::new() }
    }

    fn physical(&self) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(known) = self.physical.get() {
            return Ok(Arc::clone(known));
        }
        let planned = wait(STATE.create_physical_plan(&self.plan))?;
        Ok(Arc::clone(self.physical.get_or_init(|| planned)))
    }
}

impl PartialEq for RowQuery {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan && self.given == other.given
    }
}

impl Eq for RowQuery {}

impl Hash for RowQuery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plan.hash(state);
    }
}

impl ScalarUDFImpl for RowQuery {
    fn name(&self) -> &'static str {
        "row_query"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let Some(value) = self.plan.schema().fields().get(1) else { return internal_err!("a subquery without a value") };
        Ok(value.data_type().clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..args.number_rows as u64));
        let columns: Vec<ArrayRef> =
            std::iter::once(Ok(numbers)).chain(args.args.iter().map(|given| given.to_array(args.number_rows))).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.given), columns, &options)?;
        let plan = reset_plan_states(self.physical()?)?;
        let config = STATE.config().clone().with_extension(Arc::new(Rows(rows)));
        let context = TaskContext::new(
            None,
            String::new(),
            config,
            HashMap::default(),
            HashMap::default(),
            HashMap::default(),
            HashMap::default(),
            Arc::clone(&self.runtime),
        );
        let batches = wait(collect(plan, Arc::new(context)))?;
        values(&batches, args.number_rows, args.return_type()).map(ColumnarValue::Array)
    }
}

/// One value a row, NULL for a row that the plan gives none for.
fn values(batches: &[RecordBatch], rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    let mut places: Vec<Option<u32>> = vec![None; rows];
    let mut at = 0_u32;
    for batch in batches {
        for row in batch.column(0).as_primitive::<UInt64Type>().values() {
            let Some(place) = usize::try_from(*row).ok().and_then(|row| places.get_mut(row)) else {
                return internal_err!("a subquery gives a value for a row that is not there");
            };
            if place.replace(at).is_some() {
                return exec_err!("a subquery in the place of a value yields several rows");
            }
            at += 1;
        }
    }
    let columns: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(1).as_ref()).collect();
    if columns.is_empty() {
        return Ok(new_null_array(data_type, rows));
    }
    Ok(take(&concat(&columns)?, &UInt32Array::from(places), None)?)
}

/// Runs what has nothing to wait for but itself, on a thread of its own: a task that holds this one up can't give way, and what
/// counts its steps would wait for that without end.
fn wait<T: Send>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    std::thread::scope(|threads| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(threads, || futures::executor::block_on(work));
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => internal_err!("a subquery over a list came to no end"),
            Err(error) => exec_err!("there is no thread for a subquery over a list: {error}"),
        }
    })
}
