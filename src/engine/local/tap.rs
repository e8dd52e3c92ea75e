//! Rows on their way into a table: cast to the table's types, checked for NULL where the table allows none, counted.
//!
//! A table provider around a query's plan, so that delta-rs plans its write over a schema that is exactly the table's.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deltalake::arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, RecordBatchOptions};
use deltalake::arrow::compute::kernels::nullif::nullif;
use deltalake::arrow::compute::{CastOptions, cast_with_options, is_null};
use deltalake::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::common::{DataFusionError, Result};
use deltalake::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use deltalake::datafusion::logical_expr::{Expr, TableType};
use deltalake::datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use deltalake::datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use deltalake::datafusion::physical_plan::projection::ProjectionExec;
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties};
use futures::StreamExt as _;

use super::super::{BrokenRule, EngineError, Violation};
use super::rules::{Condition, violation};

/// What a tap tells about the rows that went through it.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauge {
    rows: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<DataFusionError>>>,
}

impl Gauge {
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// The first error of the rows; delta-rs passes errors on as text only.
    pub(super) fn failure(&self) -> Option<DataFusionError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: DataFusionError) -> DataFusionError {
        let error = Arc::new(error);
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| DataFusionError::Shared(Arc::clone(&error)));
        DataFusionError::Shared(error)
    }
}

/// What rows have to look like.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) schema: SchemaRef,
    /// Stands in messages.
    pub(super) relation: String,
    pub(super) partition_by: Vec<String>,
    /// What has to hold for every row.
    pub(super) conditions: Vec<Condition>,
}

/// A query's rows in the shape of a table.
pub(super) struct Tap {
    plan: Arc<TapExec>,
}

impl Tap {
    /// `plan` yields the columns of the shape in that order, under whatever names and types.
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>, shape: Shape, gauge: Gauge) -> Self {
        Self { plan: Arc::new(TapExec::new(plan, shape, gauge)) }
    }
}

impl Tap {
    /// The rows as a plan.
    pub(super) fn into_plan(self) -> Arc<dyn ExecutionPlan> {
        self.plan
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

#[async_trait]
impl TableProvider for Tap {
    fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan: Arc<dyn ExecutionPlan> = Arc::clone(&self.plan) as _;
        let Some(columns) = projection else { return Ok(plan) };
        let schema = self.schema();
        if columns.iter().copied().eq(0..schema.fields().len()) {
            return Ok(plan);
        }
        let named = columns.iter().map(|at| {
            let name = schema.field(*at).name();
            let column: Arc<dyn PhysicalExpr> = Arc::new(deltalake::datafusion::physical_expr::expressions::Column::new(name, *at));
            (column, name.clone())
        });
        Ok(Arc::new(ProjectionExec::try_new(named.collect::<Vec<_>>(), plan)?))
    }
}

#[derive(Debug)]
struct TapExec {
    input: Arc<dyn ExecutionPlan>,
    shape: Shape,
    gauge: Gauge,
    properties: Arc<PlanProperties>,
}

impl TapExec {
    fn new(input: Arc<dyn ExecutionPlan>, shape: Shape, gauge: Gauge) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&shape.schema)),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, shape, gauge, properties: Arc::new(properties) }
    }
}

impl DisplayAs for TapExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TapExec: {}", self.shape.relation)
    }
}

impl ExecutionPlan for TapExec {
    fn name(&self) -> &'static str {
        "TapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: the input is optimised already, and rules that run twice fail (a join whose filter is built can't be swapped).
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context).map_err(|error| self.gauge.note(error))?;
        let (shape, gauge) = (self.shape.clone(), self.gauge.clone());
        let shaped = input.map(move |batch| {
            let batch = batch.and_then(|batch| shape.apply(&batch)).map_err(|error| gauge.note(error))?;
            gauge.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.shape.schema), shaped)))
    }
}

impl Shape {
    /// A batch with the table's names, types and nullability.
    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns =
            batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| self.column(column, field)).collect::<Result<Vec<_>>>()?;
        self.without_nulls(&columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        for condition in &self.conditions {
            if let Some(broken) = condition.broken(&batch, &self.relation)? {
                return Err(violated(broken));
            }
        }
        Ok(batch)
    }

    /// Refuses NULL where the table allows none, with some of the rows.
    fn without_nulls(&self, columns: &[ArrayRef]) -> Result<()> {
        let fields = self.schema.fields();
        let Some((column, field)) = columns.iter().zip(fields).find(|(column, field)| !field.is_nullable() && column.null_count() > 0) else {
            return Ok(());
        };
        let nullable: Vec<Field> = fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(nullable)), columns.to_vec())?;
        let rule = BrokenRule::NotNull { column: field.name().clone() };
        match violation(&rule, &rows, &is_null(column)?, &self.relation)? {
            Some(broken) => Err(violated(broken)),
            None => Ok(()),
        }
    }

    fn column(&self, column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let column = if column.data_type() == field.data_type() {
            Arc::clone(column)
        } else {
            cast_with_options(column, field.data_type(), &strict).map_err(|error| {
                let reason = format!("column `{}`: {}", field.name(), crate::sql::sql_error(&DataFusionError::from(error), "").message);
                self.refused(reason)
            })?
        };
        let column = if self.partition_by.contains(field.name()) { without_empty(column)? } else { column };
        Ok(column)
    }

    fn refused(&self, reason: String) -> DataFusionError {
        DataFusionError::External(Box::new(EngineError::Constraint { relation: self.relation.clone(), reason }))
    }
}

fn violated(broken: Violation) -> DataFusionError {
    DataFusionError::External(Box::new(EngineError::Violated(Box::new(broken))))
}

/// Text with NULL in the place of empty text: Delta's log knows no empty partition value.
fn without_empty(column: ArrayRef) -> Result<ArrayRef> {
    let Some(text) = column.as_string_opt::<i32>() else { return Ok(column) };
    let empty: BooleanArray = text.iter().map(|value| Some(value == Some(""))).collect();
    Ok(nullif(&column, &empty)?)
}
