//! An interval some number of times.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoBuilder};
use deltalake::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use deltalake::datafusion::common::{Result, exec_datafusion_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;

pub(in crate::sql) fn multiplied_interval() -> Arc<ScalarUDF> {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    Plain {
        name: "multiplied_interval",
        signature: Signature::exact(vec![interval, DataType::Int64], Volatility::Immutable),
        returns: |_| Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
        run: multiplied,
    }
    .into_udf()
}

fn multiplied(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (intervals, counts) = (columns[0].as_primitive::<IntervalMonthDayNanoType>(), columns[1].as_primitive::<Int64Type>());
    let mut result = IntervalMonthDayNanoBuilder::with_capacity(intervals.len());
    for row in 0..intervals.len() {
        if intervals.is_null(row) || counts.is_null(row) {
            result.append_null();
        } else {
            let count = counts.value(row);
            let product = times(intervals.value(row), count).ok_or_else(|| exec_datafusion_err!("an interval times {count} is out of range"))?;
            result.append_value(product);
        }
    }
    Ok(Arc::new(result.finish()))
}

fn times(interval: IntervalMonthDayNano, count: i64) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano {
        months: i32::try_from(i64::from(interval.months).checked_mul(count)?).ok()?,
        days: i32::try_from(i64::from(interval.days).checked_mul(count)?).ok()?,
        nanoseconds: interval.nanoseconds.checked_mul(count)?,
    })
}
