//! Parquet files: schemas merged by name, scans with pruning by `DataFusion`.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::common::{Column, DFSchema, Result as DfResult, ScalarValue};
use deltalake::datafusion::datasource::file_format::FileFormat as _;
use deltalake::datafusion::datasource::file_format::parquet::ParquetFormat;
use deltalake::datafusion::datasource::listing::PartitionedFile;
use deltalake::datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use deltalake::datafusion::datasource::table_schema::TableSchema;
use deltalake::datafusion::datasource::{ViewTable, provider_as_source};
use deltalake::datafusion::logical_expr::utils::conjunction;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, cast};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::logstore::object_store::ObjectMeta;
use futures::future::BoxFuture;

use super::super::super::EngineError;
use super::super::failure::{self, plain};
use super::location::FileEntry;
use super::{Reading, declared_type, lacks_column};
use crate::base::{Code, Diagnostic};
use crate::sql::type_name;

/// The columns of all files, merged by name.
///
/// # Errors
/// If a file is not Parquet, or two files disagree on the type of a column.
pub(super) async fn infer(session: &dyn Session, reading: &Reading) -> Result<Vec<Field>, EngineError> {
    let all = merged(session, reading, &reading.listing.files).await?;
    let Some((first, others)) = reading.listing.files.split_first() else { return Ok(all) };
    if others.is_empty() || reading.options.called.as_ref().is_none_or(|called| called.union_by_name) {
        return Ok(all);
    }
    // Without `union_by_name`, a call reads the columns of its first file, and wants them in every other.
    let wanted = merged(session, reading, std::slice::from_ref(first)).await?;
    for file in others {
        let found = merged(session, reading, std::slice::from_ref(file)).await?;
        if let Some(field) = wanted.iter().find(|field| !found.iter().any(|known| known.name() == field.name())) {
            return Err(lacks_column(&file.shown, field.name(), &first.shown));
        }
    }
    Ok(all.into_iter().filter(|field| wanted.iter().any(|known| known.name() == field.name())).collect())
}

async fn merged(session: &dyn Session, reading: &Reading, files: &[FileEntry]) -> Result<Vec<Field>, EngineError> {
    let metas: Vec<ObjectMeta> = files.iter().map(|file| file.meta.clone()).collect();
    let schema =
        ParquetFormat::default().with_force_view_types(false).infer_schema(session, &reading.listing.store, &metas).await.map_err(|error| {
            let files: Vec<&str> = files.iter().map(|file| file.shown.as_str()).collect();
            let shown = match files.as_slice() {
                [one] => format!("`{one}`"),
                [first, ..] => format!("one of the files `{first}`, ..."),
                [] => "a file".to_owned(),
            };
            let message = format!("{shown} can't be read as Parquet: {}", plain(&error.strip_backtrace()));
            EngineError::Diagnosed(Box::new(
                Diagnostic::error(Code::InputFile, message).help("check that the file is whole, and that `format` is right"),
            ))
        })?;
    Ok(schema.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect())
}

/// A table over the files; columns whose declared type is another one are cast.
///
/// # Errors
/// If a column can't be cast.
pub(super) fn table(reading: &Reading, schema: &SchemaRef, declared: &[(String, DataType)]) -> Result<Arc<dyn TableProvider>, EngineError> {
    let table: Arc<dyn TableProvider> = Arc::new(ParquetTable { reading: reading.clone(), schema: Arc::clone(schema) });
    let wanted = |field: &Field| declared_type(declared, field.name()).filter(|data_type| *data_type != field.data_type()).cloned();
    if !schema.fields().iter().any(|field| wanted(field).is_some()) {
        return Ok(table);
    }
    for (field, wanted) in schema.fields().iter().filter_map(|field| Some((field, wanted(field)?))) {
        if loses_digits(field.data_type(), &wanted) {
            return Err(too_narrow(field, &wanted));
        }
    }
    let columns = schema.fields().iter().map(|field| {
        let column = Expr::Column(Column::from_name(field.name()));
        match wanted(field) {
            Some(data_type) => cast(column, data_type).alias(field.name()),
            None => column,
        }
    });
    let plan =
        LogicalPlanBuilder::scan("files", provider_as_source(table), None).and_then(|scan| scan.project(columns)).and_then(LogicalPlanBuilder::build);
    let plan = plan.map_err(|error| failure::query(error, ""))?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Whether a cast would round without a word.
fn loses_digits(found: &DataType, wanted: &DataType) -> bool {
    match (found, wanted) {
        (
            DataType::Decimal32(_, found) | DataType::Decimal64(_, found) | DataType::Decimal128(_, found) | DataType::Decimal256(_, found),
            DataType::Decimal128(_, wanted),
        ) => found > wanted,
        (found, wanted) => found.is_decimal() && wanted.is_integer(),
    }
}

fn too_narrow(field: &Field, wanted: &DataType) -> EngineError {
    let (found, wanted) = (type_name(field.data_type()).to_lowercase(), type_name(wanted).to_lowercase());
    let message = format!("the files' `{}` is {found}, and {wanted} keeps fewer digits behind the point", field.name());
    EngineError::Diagnosed(Box::new(
        Diagnostic::error(Code::InputFile, message).help(format!("declare the column as {found}, and round it in a model where that is meant")),
    ))
}

#[derive(Debug)]
struct ParquetTable {
    reading: Reading,
    schema: SchemaRef,
}

impl ParquetTable {
    fn partition_count(&self) -> usize {
        self.reading.listing.partition_columns.len()
    }

    fn table_schema(&self) -> TableSchema {
        let own = self.schema.fields().len() - self.partition_count();
        let file_schema = Arc::new(Schema::new(self.schema.fields().iter().take(own).cloned().collect::<Vec<_>>()));
        TableSchema::builder(file_schema).with_table_partition_cols(self.schema.fields().iter().skip(own).cloned().collect::<Vec<_>>()).build()
    }

    fn files(&self) -> DfResult<Vec<PartitionedFile>> {
        let own = self.schema.fields().len() - self.partition_count();
        let mut files = Vec::with_capacity(self.reading.listing.files.len());
        for file in &self.reading.listing.files {
            let values = self.schema.fields().iter().skip(own).zip(&file.partitions).map(|(field, value)| match value {
                Some(value) => ScalarValue::try_from_string(value.clone(), field.data_type()),
                None => ScalarValue::try_from(field.data_type()),
            });
            files.push(PartitionedFile::new_from_meta(file.meta.clone()).with_partition_values(values.collect::<DfResult<_>>()?));
        }
        Ok(files)
    }
}

impl ParquetTable {
    /// What is read of the files: chosen columns, rows that may match, a limit.
    fn scanning(&self, state: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> DfResult<FileScanConfig> {
        let mut source = ParquetSource::new(self.table_schema());
        if let Some(predicate) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
            source = source.with_predicate(state.create_physical_expr(predicate, &schema)?);
        }
        let groups = FileGroup::new(self.files()?).split_files(state.config().target_partitions());
        Ok(FileScanConfigBuilder::new(self.reading.listing.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(if filters.is_empty() { limit } else { None })
            .build())
    }
}

/// What `scan` gives. Not an `async` method under `async_trait`: for each of those the compiler proves anew that expressions
/// may be sent between threads, which took it a third of the time for this crate.
fn planned(state: &dyn Session, config: DfResult<FileScanConfig>) -> BoxFuture<'_, DfResult<Arc<dyn ExecutionPlan>>> {
    Box::pin(async move { ParquetFormat::default().with_force_view_types(false).create_physical_plan(state, config?).await })
}

impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn scan<'table, 'session, 'columns, 'filters, 'scan>(
        &'table self,
        state: &'session dyn Session,
        projection: Option<&'columns Vec<usize>>,
        filters: &'filters [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'scan, DfResult<Arc<dyn ExecutionPlan>>>
    where
        'table: 'scan,
        'session: 'scan,
        'columns: 'scan,
        'filters: 'scan,
        Self: 'scan,
    {
        planned(state, self.scanning(state, projection, filters, limit))
    }
}
