//! Sums and differences of timestamps by unit: `timestampadd`, `timestampdiff` (whole units passed, as in Databricks),
//! `boundaries_between` (DuckDB's `date_diff`) and `months_between`.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, NaiveDateTime, Timelike};
use deltalake::arrow::array::{Array, ArrayRef, AsArray, Float64Builder, Int64Array, Int64Builder, StringArray, TimestampMicrosecondBuilder};
use deltalake::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use deltalake::datafusion::common::{Result, exec_datafusion_err, exec_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;

const DAY: i64 = 86_400_000_000;

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let between = |name, run| {
        let signature = Signature::exact(vec![DataType::Utf8, timestamp(), timestamp()], Volatility::Immutable);
        Plain { name, signature, returns: |_| Ok(DataType::Int64), run }.into_udf()
    };
    vec![
        between("timestampdiff", |columns| difference(columns, whole)),
        between("boundaries_between", |columns| difference(columns, boundaries)),
        Plain {
            name: "timestampadd",
            signature: Signature::exact(vec![DataType::Utf8, DataType::Int64, timestamp()], Volatility::Immutable),
            returns: |_| Ok(timestamp()),
            run: add,
        }
        .into_udf(),
        Plain {
            name: "months_between",
            signature: Signature::exact(vec![timestamp(), timestamp(), DataType::Boolean], Volatility::Immutable),
            returns: |_| Ok(DataType::Float64),
            run: months_between,
        }
        .into_udf(),
    ]
}

/// Microseconds of a unit of fixed length.
fn fixed(unit: &str) -> Option<i64> {
    Some(match unit {
        "microsecond" => 1,
        "millisecond" => 1_000,
        "second" => 1_000_000,
        "minute" => 60_000_000,
        "hour" => 3_600_000_000,
        "day" => DAY,
        "week" => 7 * DAY,
        _ => return None,
    })
}

/// Months of a unit that months make up.
fn months(unit: &str) -> Option<i64> {
    Some(match unit {
        "month" => 1,
        "quarter" => 3,
        "year" => 12,
        _ => return None,
    })
}

fn civil(micros: i64) -> Result<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc()).ok_or_else(|| exec_datafusion_err!("a timestamp is out of range"))
}

/// Months since the year 0.
fn month_number(time: NaiveDateTime) -> i64 {
    i64::from(time.year()) * 12 + i64::from(time.month0())
}

fn texts(column: &ArrayRef) -> &StringArray {
    column.as_string::<i32>()
}

fn difference(columns: &[ArrayRef], count: fn(&str, i64, i64) -> Result<i64>) -> Result<ArrayRef> {
    let (units, from, to) =
        (texts(&columns[0]), columns[1].as_primitive::<TimestampMicrosecondType>(), columns[2].as_primitive::<TimestampMicrosecondType>());
    let mut result = Int64Builder::with_capacity(units.len());
    for row in 0..units.len() {
        if units.is_null(row) || from.is_null(row) || to.is_null(row) {
            result.append_null();
        } else {
            result.append_value(count(units.value(row), from.value(row), to.value(row))?);
        }
    }
    Ok(Arc::new(result.finish()))
}

/// Whole units from one timestamp to another, towards zero.
fn whole(unit: &str, from: i64, to: i64) -> Result<i64> {
    if let Some(length) = fixed(unit) {
        let passed = to.checked_sub(from).ok_or_else(|| exec_datafusion_err!("a difference of timestamps is out of range"))?;
        return Ok(passed / length);
    }
    let Some(length) = months(unit) else { return unknown(unit) };
    let (start, end) = (civil(from)?, civil(to)?);
    let mut passed = month_number(end) - month_number(start);
    let within = |time: NaiveDateTime| (time.day(), time.time());
    if passed > 0 && within(end) < within(start) {
        passed -= 1;
    } else if passed < 0 && within(end) > within(start) {
        passed += 1;
    }
    Ok(passed / length)
}

/// How many times a unit begins behind the first timestamp and up to the second; a week is seven such days, as in
/// DuckDB 2.0.
fn boundaries(unit: &str, from: i64, to: i64) -> Result<i64> {
    if let Some(length) = fixed(unit) {
        let (step, of) = if unit == "week" { (DAY, 7) } else { (length, 1) };
        return Ok((to.div_euclid(step) - from.div_euclid(step)) / of);
    }
    let Some(length) = months(unit) else { return unknown(unit) };
    Ok(month_number(civil(to)?).div_euclid(length) - month_number(civil(from)?).div_euclid(length))
}

fn unknown<T>(unit: &str) -> Result<T> {
    exec_err!("`{unit}` is not a unit of time")
}

fn add(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (units, amounts, times): (_, &Int64Array, _) =
        (texts(&columns[0]), columns[1].as_primitive::<Int64Type>(), columns[2].as_primitive::<TimestampMicrosecondType>());
    let mut result = TimestampMicrosecondBuilder::with_capacity(units.len());
    for row in 0..units.len() {
        if units.is_null(row) || amounts.is_null(row) || times.is_null(row) {
            result.append_null();
        } else {
            result.append_value(later(units.value(row), amounts.value(row), times.value(row))?);
        }
    }
    Ok(Arc::new(result.finish()))
}

/// A day that a shorter month lacks becomes its last.
fn later(unit: &str, amount: i64, time: i64) -> Result<i64> {
    let out_of_range = || exec_datafusion_err!("a timestamp plus {amount} {unit}s is out of range");
    if let Some(length) = fixed(unit) {
        return amount.checked_mul(length).and_then(|passed| time.checked_add(passed)).ok_or_else(out_of_range);
    }
    let Some(length) = months(unit) else { return unknown(unit) };
    let count = amount.checked_mul(length).ok_or_else(out_of_range)?;
    let step = Months::new(u32::try_from(count.unsigned_abs()).map_err(|_| out_of_range())?);
    let start = civil(time)?;
    let moved = if count < 0 { start.checked_sub_months(step) } else { start.checked_add_months(step) };
    Ok(moved.ok_or_else(out_of_range)?.and_utc().timestamp_micros())
}

/// Spark's: months from the second to the first; whole where both are the same day of the month or both the last, else
/// the rest counts by 31 days. Rounded to 8 digits if the third argument is true.
fn months_between(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (later, earlier, round) =
        (columns[0].as_primitive::<TimestampMicrosecondType>(), columns[1].as_primitive::<TimestampMicrosecondType>(), columns[2].as_boolean());
    let mut result = Float64Builder::with_capacity(later.len());
    for row in 0..later.len() {
        if later.is_null(row) || earlier.is_null(row) || round.is_null(row) {
            result.append_null();
            continue;
        }
        let (end, start) = (civil(later.value(row))?, civil(earlier.value(row))?);
        let whole = month_number(end) - month_number(start);
        let months = if end.day() == start.day() || (is_last(end) && is_last(start)) {
            real(whole)
        } else {
            real(whole) + real(second_of_month(end) - second_of_month(start)) / (31.0 * 86_400.0)
        };
        result.append_value(if round.value(row) { (months * 1e8).round() / 1e8 } else { months });
    }
    Ok(Arc::new(result.finish()))
}

fn second_of_month(time: NaiveDateTime) -> i64 {
    i64::from(time.day()) * 86_400 + i64::from(time.num_seconds_from_midnight())
}

fn is_last(time: NaiveDateTime) -> bool {
    time.date().succ_opt().is_none_or(|next| next.day() == 1)
}

/// Counts of months and of the seconds of one are exact in a double.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn real(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::{boundaries, later, whole};

    fn at(text: &str) -> i64 {
        text.parse::<chrono::NaiveDateTime>().unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn whole_units_and_boundaries_differ() {
        for (unit, from, to, passed, begun) in [
            ("month", "2024-01-31T12:00:00", "2024-02-29T12:00:00", 0, 1),
            ("month", "2024-03-31T00:00:00", "2024-02-29T00:00:00", -1, -1),
            ("year", "2024-12-31T23:59:59", "2025-01-01T00:00:00", 0, 1),
            ("week", "2024-02-28T12:00:00", "2024-03-06T11:00:00", 0, 1),
            ("day", "1969-12-31T23:00:00", "1970-01-01T22:59:59", 0, 1),
            ("quarter", "2024-03-31T00:00:00", "2024-10-01T00:00:00", 2, 3),
        ] {
            assert_eq!((whole(unit, at(from), at(to)).unwrap(), boundaries(unit, at(from), at(to)).unwrap()), (passed, begun), "{unit} {from} {to}");
        }
    }

    #[test]
    fn a_day_that_a_month_lacks_is_its_last() {
        assert_eq!(later("month", 1, at("2024-01-31T01:02:03")).unwrap(), at("2024-02-29T01:02:03"));
        assert_eq!(later("year", -1, at("2024-02-29T00:00:00")).unwrap(), at("2023-02-28T00:00:00"));
        assert!(later("day", i64::MAX, 0).is_err());
    }
}
