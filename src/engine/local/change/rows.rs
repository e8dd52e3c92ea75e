//! Queries over old and new rows, and the new rows in the table's columns.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::common::{DFSchema, DataFusionError, TableReference};
use deltalake::datafusion::datasource::{ViewTable, provider_as_source};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use deltalake::datafusion::physical_plan::{ExecutionPlan, execute_stream};
use deltalake::datafusion::prelude::SessionContext;
use futures::TryStreamExt as _;

use super::super::super::EngineError;
use super::super::failure::{self, without_place};
use super::super::schema::project;
use super::super::tap::{Gauge, Shape, Tap};
use super::super::write::{Rows, query_text};
use super::layout::same;
use super::spool::{Spool, Writer};
use super::{Change, NUMBER};
use crate::base::Code;
use crate::sql::{self, SqlError, quote_ident, settled};

/// The new rows, kept aside.
pub(super) struct Source {
    pub(super) spool: Arc<Spool>,
    /// The table's columns that the query yields; the others are NULL in a new row and stay in a changed one.
    pub(super) given: Vec<String>,
}

impl Change<'_> {
    /// The rows of a plan in the table's columns; one that the query lacks is NULL.
    ///
    /// # Errors
    /// If the plan can't be built.
    pub(super) fn aligned(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
        project(plan, self.after().fields().iter().map(AsRef::as_ref))
    }

    /// Reads the query once: its rows as the table's columns and types, with a number each, and the columns that only
    /// conditions use. NULLs are checked when rows are written.
    pub(super) async fn source(&self, rows: Rows, unstored: &[String]) -> Result<Source, EngineError> {
        let query = rows.plan.schema();
        let given = self.after().fields().iter().map(|field| field.name().clone());
        let given = given.filter(|name| query.fields().iter().any(|field| same(field.name(), name))).collect();
        let extra = query.fields().iter().filter(|field| unstored.iter().any(|name| same(name, field.name())));
        let fields: Vec<Field> = self.after().fields().iter().chain(extra).map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let plan = project(rows.plan, fields.iter())?;
        let gauge = Gauge::default();
        let shape = Shape {
            schema: Arc::new(Schema::new(fields.clone())),
            relation: self.write.relation.short(),
            partition_by: self.partition_by.clone(),
            conditions: Vec::new(),
        };
        let sql = query_text(&self.write.input);
        let failed = |error| failure::query(gauge.failure().unwrap_or(error), sql);
        let plan = Tap::new(plan, shape, gauge.clone()).into_plan();
        let numbered: Vec<Field> = fields.into_iter().chain([Field::new(NUMBER, DataType::Int64, false)]).collect();
        let numbered = Arc::new(Schema::new(numbered));
        let writer = Writer::new(Arc::clone(&numbered), &self.engine.runtime);
        let mut stream = execute_stream(plan, rows.state.task_ctx()).map_err(failed)?;
        let mut next = 0_i64;
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            let end = next + i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(next..end));
            next = end;
            let columns = batch.columns().iter().cloned().chain([numbers]).collect();
            let batch = RecordBatch::try_new(Arc::clone(&numbered), columns).map_err(|error| failed(error.into()))?;
            writer.push(batch).map_err(failed)?;
        }
        Ok(Source { spool: writer.finish(), given })
    }

    /// Plans SQL over the given tables.
    ///
    /// # Errors
    /// If it does not plan.
    pub(super) async fn plan(&self, text: &str, tables: &Tables<'_>) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
        let context = SessionContext::new_with_state(self.session.clone());
        let failed = |error| without_place(failure::query(error, text));
        register(&context, tables).map_err(failed)?;
        let state = context.state();
        let plan = state.create_logical_plan(text).await.and_then(|plan| settled(&state, plan)).map_err(failed)?;
        state.create_physical_plan(&plan).await.map_err(failed)
    }

    /// Runs SQL over the given tables and keeps its rows aside.
    pub(super) async fn collect(&self, text: &str, tables: &Tables<'_>) -> Result<Arc<Spool>, EngineError> {
        let plan = self.plan(text, tables).await?;
        let failed = |error| without_place(failure::query(error, text));
        let writer = Writer::new(plan.schema(), &self.engine.runtime);
        let mut stream = execute_stream(plan, self.session.task_ctx()).map_err(failed)?;
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            writer.push(batch).map_err(failed)?;
        }
        Ok(writer.finish())
    }

    /// Runs SQL that yields few rows.
    pub(super) async fn batches(&self, text: &str, tables: &Tables<'_>) -> Result<Vec<RecordBatch>, EngineError> {
        let plan = self.plan(text, tables).await?;
        let failed = |error| without_place(failure::query(error, text));
        execute_stream(plan, self.session.task_ctx()).map_err(failed)?.try_collect().await.map_err(failed)
    }

    /// A condition of the config, respelt as the columns are and known to plan over the given tables.
    ///
    /// # Errors
    /// If it does not; the message names the option.
    pub(super) fn condition(&self, option: &str, text: &str, over: &[(&str, &SchemaRef)]) -> Result<String, EngineError> {
        let columns = over.iter().flat_map(|(_, schema)| schema.fields().iter().map(|field| field.name().as_str()));
        let aliases = over.iter().map(|(alias, _)| *alias);
        let spelt = sql::canonical(text, columns.chain(aliases).collect::<Vec<_>>());
        let noted = |error: DataFusionError| match without_place(failure::query(error, &spelt)) {
            EngineError::Sql(mut inner) => {
                inner.notes.push(format!("in `{option}`: {text}"));
                EngineError::Sql(inner)
            }
            other => other,
        };
        let mut known = DFSchema::empty();
        for (alias, schema) in over {
            let schema = DFSchema::try_from_qualified_schema(TableReference::bare(*alias), schema).map_err(noted)?;
            known = known.join(&schema).map_err(noted)?;
        }
        let rewritten = sql::rewritten_expression(&self.session, &spelt).map_err(|error| match without_place(EngineError::Sql(error)) {
            EngineError::Sql(mut inner) => {
                inner.notes.push(format!("in `{option}`: {text}"));
                EngineError::Sql(inner)
            }
            other => other,
        })?;
        self.session.create_logical_expr(&rewritten, &known).map_err(noted)?;
        Ok(format!("({rewritten})"))
    }
}

/// Tables by name.
pub(super) type Tables<'a> = [(&'a str, Arc<dyn TableProvider>)];

fn register(context: &SessionContext, tables: &Tables<'_>) -> Result<(), DataFusionError> {
    use deltalake::datafusion::catalog::{CatalogProvider as _, MemoryCatalogProvider, MemorySchemaProvider};
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("main", Arc::new(MemorySchemaProvider::new()))?;
    context.register_catalog("alluvium", Arc::new(catalog));
    for (name, provider) in tables {
        context.register_table(*name, Arc::clone(provider))?;
    }
    Ok(())
}

/// A table of which only some rows are read.
///
/// # Errors
/// If the filter does not fit the table.
pub(super) fn filtered(provider: Arc<dyn TableProvider>, filter: Option<Expr>) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let Some(filter) = filter else { return Ok(provider) };
    let plan = LogicalPlanBuilder::scan("target", provider_as_source(provider), None)?.filter(filter)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

pub(super) fn invalid(message: String, help: &str) -> EngineError {
    EngineError::Sql(Box::new(SqlError::new(Code::SqlInvalid, message).help(help)))
}

/// `alias."column"`.
pub(super) fn of(alias: &str, column: &str) -> String {
    format!("{}.{}", quote_ident(alias), quote_ident(column))
}
