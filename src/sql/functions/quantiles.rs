//! `list_quantiles`: the values that part a sorted list into so many parts of one size, with its ends. `approx_quantiles` stands for
//! it over all values, and so is exact here.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt64Array};
use deltalake::arrow::buffer::{NullBuffer, OffsetBuffer};
use deltalake::arrow::compute::{cast, take};
use deltalake::arrow::datatypes::{DataType, Int64Type};
use deltalake::datafusion::common::{Result, exec_err, plan_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

pub(super) fn function() -> Arc<ScalarUDF> {
    Plain { name: "list_quantiles", signature: Signature::any(2, Volatility::Immutable), returns, run }.into_udf()
}

fn returns(given: &[DataType]) -> Result<DataType> {
    match (&given[0], &given[1]) {
        (DataType::List(_), number) if number.is_integer() => Ok(given[0].clone()),
        (list, number) => plan_err!("`list_quantiles` takes a list and a number of parts, and has {}, {}", type_name(list), type_name(number)),
    }
}

/// NULL where there are no values.
fn run(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let lists: &ListArray = columns[0].as_list::<i32>();
    let numbers = cast(&columns[1], &DataType::Int64)?;
    let numbers: &Int64Array = numbers.as_primitive::<Int64Type>();
    let DataType::List(item) = lists.data_type() else { return exec_err!("`list_quantiles` takes a list") };
    let mut places: Vec<u64> = Vec::new();
    let mut lengths = Vec::with_capacity(lists.len());
    let mut known = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let (start, end) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
        let last = u64::try_from(end - start).unwrap_or_default().checked_sub(1);
        let (Some(last), true, true) = (last, lists.is_valid(row), numbers.is_valid(row)) else {
            known.push(false);
            lengths.push(0);
            continue;
        };
        let Some(parts) = u64::try_from(numbers.value(row)).ok().filter(|parts| (1..=10_000).contains(parts)) else {
            return exec_err!("`{}` is no number of quantiles", numbers.value(row));
        };
        let start = u64::try_from(start).unwrap_or_default();
        places.extend((0..=parts).map(|at| start + at * last / parts));
        lengths.push(usize::try_from(parts + 1).unwrap_or_default());
        known.push(true);
    }
    let values = take(lists.values(), &UInt64Array::from(places), None)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(known)))?))
}
