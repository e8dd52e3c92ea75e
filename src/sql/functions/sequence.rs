//! `sequence(first, last)`, as in Spark: both ends belong to it, and it runs down where the last is the smaller one. Days
//! follow days.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use deltalake::arrow::buffer::{NullBuffer, OffsetBuffer};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, Int64Type};
use deltalake::datafusion::common::{Result, exec_datafusion_err, plan_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

/// More items than this in one list are taken for a mistake.
const MOST: u64 = 50_000_000;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Plain { name: "sequence", signature: Signature::any(2, Volatility::Immutable), returns, run }.into_udf()]
}

fn returns(arguments: &[DataType]) -> Result<DataType> {
    let number = |found: &DataType| found.is_integer() || *found == DataType::Null;
    match arguments {
        [DataType::Date32, DataType::Date32] => Ok(DataType::new_list(DataType::Date32, true)),
        [first, last] if number(first) && number(last) => Ok(DataType::new_list(DataType::Int64, true)),
        [first, last] => plan_err!("`sequence` of {} and {} needs a step", type_name(first), type_name(last)),
        _ => plan_err!("`sequence` takes a first and a last value"),
    }
}

fn run(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let DataType::List(item) = returns(&[columns[0].data_type().clone(), columns[1].data_type().clone()])? else {
        return plan_err!("`sequence` gives a list");
    };
    let whole = |column: &ArrayRef| -> Result<ArrayRef> {
        let days = if *column.data_type() == DataType::Date32 { cast(column, &DataType::Int32)? } else { Arc::clone(column) };
        Ok(cast(&days, &DataType::Int64)?)
    };
    let (firsts, lasts) = (whole(&columns[0])?, whole(&columns[1])?);
    let (firsts, lasts) = (firsts.as_primitive::<Int64Type>(), lasts.as_primitive::<Int64Type>());
    let (mut values, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..firsts.len() {
        let known = firsts.is_valid(row) && lasts.is_valid(row);
        valid.push(known);
        let before = values.len();
        if known {
            let (first, last) = (firsts.value(row), lasts.value(row));
            if first.abs_diff(last) >= MOST {
                return Err(exec_datafusion_err!("a list from {first} to {last} has too many items"));
            }
            if first <= last { values.extend(first..=last) } else { values.extend((last..=first).rev()) }
        }
        lengths.push(values.len() - before);
    }
    let numbers: ArrayRef = Arc::new(Int64Array::from(values));
    let values = if *item.data_type() == DataType::Date32 { cast(&cast(&numbers, &DataType::Int32)?, &DataType::Date32)? } else { numbers };
    let field = Arc::new(Field::new(item.name(), item.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(valid)))?))
}
