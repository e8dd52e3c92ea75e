//! The schema that a table gets for the rows of a query: only types that Delta has, nullable unless a contract says
//! otherwise.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::physical_expr::PhysicalExpr;
use deltalake::datafusion::physical_expr::expressions::{Column, Literal};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::projection::ProjectionExec;

use super::super::{EngineError, TableColumn};
use super::failure;
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{SqlError, parse_type, type_name};

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
        let data_type = stored(&data_type).ok_or_else(|| no_place(field.name(), &data_type))?;
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

fn no_place(column: &str, data_type: &DataType) -> EngineError {
    let help = match data_type {
        DataType::Decimal256(..) => "cast it to decimal(38, s)",
        _ => "cast it, e.g. to text or to a number of seconds",
    };
    let message = format!("column `{column}` is {}, which a Delta table can't hold", type_name(data_type));
    EngineError::Sql(Box::new(SqlError::new(Code::StorageFeature, message).help(help)))
}

/// The type in which Delta holds values of a type: unsigned integers widen, timestamps are microseconds, a column that
/// is always NULL is text. `None` where values would be lost.
fn stored(data_type: &DataType) -> Option<DataType> {
    let item = |field: &Field| stored(field.data_type()).map(|data_type| Arc::new(Field::new(field.name(), data_type, true)));
    Some(match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Dictionary(_, value) => stored(value)?,
        DataType::RunEndEncoded(_, values) => stored(values.data_type())?,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => DataType::List(item(field)?),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| item(field)).collect::<Option<Fields>>()?),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return None };
            let [key, value] = pair.iter().collect::<Vec<_>>()[..] else { return None };
            let pair = Fields::from(vec![
                Field::new(key.name(), stored(key.data_type())?, false),
                Field::new(value.name(), stored(value.data_type())?, true),
            ]);
            DataType::Map(Arc::new(Field::new(entries.name(), DataType::Struct(pair), false)), *sorted)
        }
        DataType::Decimal256(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Union(..) => return None,
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Decimal128(..) => data_type.clone(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_lose_their_range() {
        assert_eq!(stored(&DataType::UInt8), Some(DataType::Int16));
        assert_eq!(stored(&DataType::UInt32), Some(DataType::Int64));
        assert_eq!(stored(&DataType::Timestamp(TimeUnit::Nanosecond, None)), Some(DataType::Timestamp(TimeUnit::Microsecond, None)));
        assert_eq!(stored(&DataType::Time64(TimeUnit::Microsecond)), None);
    }
}
