//! Rows of rewritten files on their way: those that stay go on, the others are kept aside.

use std::fmt;
use std::sync::Arc;

use deltalake::arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use deltalake::arrow::compute::filter_record_batch;
use deltalake::arrow::compute::kernels::boolean::not;
use deltalake::arrow::datatypes::{Int64Type, SchemaRef};
use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::common::{DataFusionError, Result};
use deltalake::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use deltalake::datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use deltalake::datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties};
use futures::StreamExt as _;

use super::spool::Writer;

/// The action, as a bigint in the last column, of a row that stays.
pub(super) const STAYS: i64 = 0;

/// Passes on the first `width` columns of rows that stay. Of the others, the columns `aside` go to the writer.
pub(super) struct Split {
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    width: usize,
    aside: Arc<Vec<usize>>,
    writer: Arc<Writer>,
    properties: Arc<PlanProperties>,
}

impl Split {
    /// # Errors
    /// If the input has fewer columns.
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, width: usize, aside: Arc<Vec<usize>>, writer: Arc<Writer>) -> Result<Self> {
        let schema = Arc::new(input.schema().project(&(0..width).collect::<Vec<_>>())?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { input, schema, width, aside, writer, properties: Arc::new(properties) })
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Split")
    }
}

impl DisplayAs for Split {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SplitExec")
    }
}

impl ExecutionPlan for Split {
    fn name(&self) -> &'static str {
        "SplitExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::new(input, self.width, Arc::clone(&self.aside), Arc::clone(&self.writer))?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (width, aside, writer) = (self.width, Arc::clone(&self.aside), Arc::clone(&self.writer));
        let kept = input.map(move |batch| split(&batch?, width, &aside, &writer));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), kept)))
    }
}

fn split(batch: &RecordBatch, width: usize, aside: &[usize], writer: &Writer) -> Result<RecordBatch> {
    let kept: Vec<usize> = (0..width).collect();
    let stays = stays(batch)?;
    if stays.true_count() == batch.num_rows() {
        return Ok(batch.project(&kept)?);
    }
    writer.push(filter_record_batch(&batch.project(aside)?, &not(&stays)?)?)?;
    Ok(filter_record_batch(&batch.project(&kept)?, &stays)?)
}

fn stays(batch: &RecordBatch) -> Result<BooleanArray> {
    let action = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    let action = action.ok_or_else(|| DataFusionError::Internal("rows to split carry no action".into()))?;
    Ok((0..action.len()).map(|at| Some(action.is_null(at) || action.value(at) == STAYS)).collect())
}
