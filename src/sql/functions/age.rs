//! `calendar_age`, for `age`: the time between two timestamps in years, months, days and hours of the calendar, as Postgres and DuckDB count it.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use deltalake::arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoBuilder};
use deltalake::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use deltalake::datafusion::common::{Result, exec_datafusion_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;

const DAY: i64 = 86_400_000_000_000;

pub(super) fn function() -> Arc<ScalarUDF> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    Plain {
        name: "calendar_age",
        signature: Signature::exact(vec![time.clone(), time], Volatility::Immutable),
        returns: |_| Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
        run: ages,
    }
    .into_udf()
}

fn ages(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (ends, begins) = (columns[0].as_primitive::<TimestampMicrosecondType>(), columns[1].as_primitive::<TimestampMicrosecondType>());
    let mut result = IntervalMonthDayNanoBuilder::with_capacity(ends.len());
    for row in 0..ends.len() {
        if ends.is_null(row) || begins.is_null(row) {
            result.append_null();
            continue;
        }
        let (end, begin) = (moment(ends.value(row))?, moment(begins.value(row))?);
        result.append_value(if end < begin { negative(between(begin, end)) } else { between(end, begin) });
    }
    Ok(Arc::new(result.finish()))
}

fn moment(micros: i64) -> Result<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc()).ok_or_else(|| exec_datafusion_err!("a time is out of range for TIMESTAMP"))
}

/// A day that is lacking is borrowed from the month in which the earlier time lies.
fn between(end: NaiveDateTime, begin: NaiveDateTime) -> IntervalMonthDayNano {
    let clock = |time: NaiveDateTime| i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond());
    let mut months = (end.year() - begin.year()) * 12 + end.month().cast_signed() - begin.month().cast_signed();
    let mut days = end.day().cast_signed() - begin.day().cast_signed();
    let mut nanoseconds = clock(end) - clock(begin);
    if nanoseconds < 0 {
        nanoseconds += DAY;
        days -= 1;
    }
    while days < 0 {
        days += days_of_month(begin);
        months -= 1;
    }
    IntervalMonthDayNano { months, days, nanoseconds }
}

fn negative(interval: IntervalMonthDayNano) -> IntervalMonthDayNano {
    IntervalMonthDayNano { months: -interval.months, days: -interval.days, nanoseconds: -interval.nanoseconds }
}

fn days_of_month(time: NaiveDateTime) -> i32 {
    let next =
        if time.month() == 12 { NaiveDate::from_ymd_opt(time.year() + 1, 1, 1) } else { NaiveDate::from_ymd_opt(time.year(), time.month() + 1, 1) };
    next.and_then(|next| next.pred_opt()).map_or(31, |last| last.day().cast_signed())
}
