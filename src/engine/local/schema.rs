//! The schema that a table gets for the rows of a query: only types that Delta has, nullable unless a contract says
//! otherwise.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::physical_expr::PhysicalExpr;
use deltalake::datafusion::physical_expr::expressions::{Column, Literal};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::projection::ProjectionExec;

use super::super::{EngineError, TableColumn};
use super::failure;
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{SqlError, parse_type, stored_type, unholdable};

/// The table's schema. With contract columns: their types and nullability, in the order of the query.
///
/// # Errors
/// If two columns differ in case only, a type has no place in Delta, or the contract names other columns.
pub(super) fn table_schema(query: &Schema, contract: &[TableColumn], relation: &RelationName) -> Result<SchemaRef, EngineError> {
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(query.fields().len());
    for field in query.fields() {
        if !seen.insert(field.name().to_lowercase()) {
            return Err(invalid(
                format!("two columns of `{}` are called `{}`", relation.short(), field.name()),
                "give one of them another name with `as`",
            ));
        }
        let promised = contract.iter().find(|column| column.name.eq_ignore_ascii_case(field.name()));
        let (data_type, nullable) = match promised {
            Some(column) => (parse_type(&column.data_type).map_err(|why| invalid(why, "correct the contract"))?, column.nullable),
            None if contract.is_empty() => (field.data_type().clone(), true),
            None => {
                return Err(invalid(
                    format!("the contract of `{}` has no column `{}`", relation.short(), field.name()),
                    "add the column to the contract",
                ));
            }
        };
        let data_type = stored_type(&data_type).ok_or_else(|| EngineError::Sql(Box::new(unholdable(field.name(), &data_type))))?;
        fields.push(Field::new(field.name(), data_type, nullable));
    }
    if let Some(missing) = contract.iter().find(|column| !seen.contains(&column.name.to_lowercase())) {
        return Err(invalid(
            format!("the query of `{}` has no column `{}`, which its contract promises", relation.short(), missing.name),
            "add it to the select, or take it out of the contract",
        ));
    }
    if fields.is_empty() {
        return Err(invalid(format!("`{}` has no columns", relation.short()), "select at least one"));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn invalid(message: String, help: &str) -> EngineError {
    EngineError::Sql(Box::new(SqlError::new(Code::SqlInvalid, message).help(help)))
}

/// The wanted columns of a plan, by name without regard to case; one that it lacks is NULL.
///
/// # Errors
/// If the plan can't be built.
pub(super) fn project<'a>(plan: Arc<dyn ExecutionPlan>, wanted: impl Iterator<Item = &'a Field>) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
    let query = plan.schema();
    let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
    for field in wanted {
        let expression: Arc<dyn PhysicalExpr> =
            match query.fields().iter().position(|found| found.name().to_lowercase() == field.name().to_lowercase()) {
                Some(at) => Arc::new(Column::new(query.field(at).name(), at)),
                None => Arc::new(Literal::new(ScalarValue::try_from(field.data_type()).map_err(|error| failure::query(error, ""))?)),
            };
        columns.push((expression, field.name().clone()));
    }
    Ok(Arc::new(ProjectionExec::try_new(columns, plan).map_err(|error| failure::query(error, ""))?))
}
