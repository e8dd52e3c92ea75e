//! `epoch_ms`, and `at time zone`, as in Postgres and DuckDB: of a timestamp without a zone it says where it was taken, of one with a zone
//! it gives the time that clocks there show.

use std::sync::Arc;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use deltalake::arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use deltalake::datafusion::common::{Result, exec_datafusion_err, plan_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Plain { name: "at_time_zone", signature: Signature::any(2, Volatility::Immutable), returns, run }.into_udf(),
        Plain { name: "epoch_ms", signature: Signature::any(1, Volatility::Immutable), returns: epoch_type, run: epoch }.into_udf(),
    ]
}

fn local() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn absolute() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn returns(arguments: &[DataType]) -> Result<DataType> {
    if !arguments[1].is_string() && arguments[1] != DataType::Null {
        return plan_err!("a time zone is a text, found {}", type_name(&arguments[1]));
    }
    match &arguments[0] {
        DataType::Timestamp(_, Some(_)) => Ok(local()),
        DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 | DataType::Null => Ok(absolute()),
        text if text.is_string() => Ok(absolute()),
        other => plan_err!("{} has no time zone", type_name(other)),
    }
}

fn run(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let zones = cast(&columns[1], &DataType::Utf8)?;
    let zones = zones.as_string::<i32>();
    let to_local = matches!(columns[0].data_type(), DataType::Timestamp(_, Some(_)));
    let times = cast(&columns[0], &if to_local { absolute() } else { local() })?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut known: Option<(String, Tz)> = None;
    let mut found = Vec::with_capacity(times.len());
    for row in 0..times.len() {
        if times.is_null(row) || zones.is_null(row) {
            found.push(None);
            continue;
        }
        let name = zones.value(row);
        let zone = match &known {
            Some((last, zone)) if last == name => *zone,
            _ => {
                let zone = named(name)?;
                known = Some((name.to_owned(), zone));
                zone
            }
        };
        let out_of_range = || exec_datafusion_err!("a time is out of range for TIMESTAMP");
        let written = DateTime::from_timestamp_micros(times.value(row)).ok_or_else(out_of_range)?.naive_utc();
        let moved = if to_local {
            written.checked_add_offset(zone.offset_from_utc_datetime(&written).fix()).ok_or_else(out_of_range)?
        } else {
            utc(zone, written).ok_or_else(out_of_range)?
        };
        found.push(Some(moved.and_utc().timestamp_micros()));
    }
    let found = TimestampMicrosecondArray::from(found);
    Ok(Arc::new(if to_local { found } else { found.with_timezone("UTC") }))
}

/// DuckDB's `epoch_ms`: the milliseconds of a time, or the time of milliseconds.
fn epoch_type(arguments: &[DataType]) -> Result<DataType> {
    match &arguments[0] {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Ok(DataType::Int64),
        number if number.is_integer() || *number == DataType::Null => Ok(local()),
        other => plan_err!("`epoch_ms` does not take {}", type_name(other)),
    }
}

fn epoch(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let to_time = epoch_type(&[columns[0].data_type().clone()])? == local();
    if to_time {
        let numbers = cast(&columns[0], &DataType::Int64)?;
        let overflow = || exec_datafusion_err!("a time is out of range for TIMESTAMP");
        let micros =
            numbers.as_primitive::<Int64Type>().iter().map(|number| number.map(|number| number.checked_mul(1000).ok_or_else(overflow)).transpose());
        return Ok(Arc::new(micros.collect::<Result<TimestampMicrosecondArray>>()?));
    }
    let times = cast(&columns[0], &local())?;
    let millis = times.as_primitive::<TimestampMicrosecondType>().iter().map(|time| time.map(|time| time / 1000));
    Ok(Arc::new(millis.collect::<Int64Array>()))
}

fn named(name: &str) -> Result<Tz> {
    // Engines take names in any case: `utc`, `europe/berlin`.
    let alike = || chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied();
    name.parse().ok().or_else(alike).ok_or_else(|| exec_datafusion_err!("there is no time zone `{name}`"))
}

/// The moment at which clocks show a time. Of two such moments the later one; a time that clocks skip is taken by the clock
/// of before, so that it lies behind the gap. DuckDB does the same.
fn utc(zone: Tz, local: NaiveDateTime) -> Option<NaiveDateTime> {
    match zone.offset_from_local_datetime(&local) {
        LocalResult::Single(offset) => local.checked_sub_offset(offset.fix()),
        LocalResult::Ambiguous(_, later) => local.checked_sub_offset(later.fix()),
        LocalResult::None => {
            let before = zone.offset_from_local_datetime(&local.checked_sub_signed(Duration::hours(24))?).latest()?;
            local.checked_sub_offset(before.fix())
        }
    }
}
