//! Text read as a time by a pattern: `parse_time`, and `try_parse_time`, which gives NULL for what does not fit. DataFusion's
//! own functions promise a zone where they give none, and know no pattern of a year and a month.

use std::sync::Arc;

use chrono::format::{Parsed, StrftimeItems, parse, parse_and_remainder};
use chrono::{Datelike, NaiveDateTime, NaiveTime};
use deltalake::arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, TimeUnit};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    // A text, the pattern of chrono, and the pattern as it was written.
    let signature = || Signature::exact(vec![DataType::Utf8; 3], Volatility::Immutable);
    let returns = |_: &[DataType]| Ok(DataType::Timestamp(TimeUnit::Microsecond, None));
    vec![
        Plain { name: "parse_time", signature: signature(), returns, run: |columns| run(columns, true, read) }.into_udf(),
        Plain { name: "try_parse_time", signature: signature(), returns, run: |columns| run(columns, false, read) }.into_udf(),
        Plain {
            name: "with_time",
            signature: Signature::any(1, Volatility::Immutable),
            returns: |types| Ok(timed(&types[0])),
            run: |columns| Ok(cast(&columns[0], &timed(columns[0].data_type()))?),
        }
        .into_udf(),
        Plain { name: "parse_time_ahead", signature: signature(), returns, run: |columns| run(columns, true, read_ahead) }.into_udf(),
    ]
}

fn run(columns: &[ArrayRef], strict: bool, read: fn(&str, &str, &str) -> Option<NaiveDateTime>) -> Result<ArrayRef> {
    let columns = columns.iter().map(|column| Ok(cast(column, &DataType::Utf8)?)).collect::<Result<Vec<_>>>()?;
    let [texts, patterns, written] = columns.as_slice() else { return exec_err!("a text and its pattern are needed") };
    let (texts, patterns, written): (&StringArray, &StringArray, &StringArray) = (texts.as_string(), patterns.as_string(), written.as_string());
    let mut found = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) {
            found.push(None);
            continue;
        }
        let time = read(texts.value(row), patterns.value(row), written.value(row)).map(|time| time.and_utc().timestamp_micros());
        if strict && time.is_none() {
            return exec_err!("`{}` does not fit the pattern `{}`", texts.value(row), written.value(row));
        }
        found.push(time);
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(found)))
}

/// A date as its first moment; anything else as it is.
fn timed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => other.clone(),
    }
}

/// The whole text by a pattern.
fn read(text: &str, pattern: &str, _: &str) -> Option<NaiveDateTime> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    time_of(parsed)
}

/// What the text begins with, as Postgres reads it: what stands behind it says nothing, and a year of `YYY` that has fewer than four
/// digits is one near 2020.
fn read_ahead(text: &str, pattern: &str, written: &str) -> Option<NaiveDateTime> {
    let mut parsed = Parsed::new();
    parse_and_remainder(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    let time = time_of(parsed)?;
    let words = written.to_lowercase();
    let century = match time.year() {
        70..100 => 1900,
        0..70 | 100..520 => 2000,
        520..1000 => 1000,
        _ => 0,
    };
    if words.contains("yyy") && !words.contains("yyyy") { time.with_year(time.year() + century) } else { Some(time) }
}

/// What the pattern does not ask for is the first: of January, at midnight.
fn time_of(mut parsed: Parsed) -> Option<NaiveDateTime> {
    if parsed.timestamp().is_some() {
        return parsed.to_naive_datetime_with_offset(0).ok();
    }
    if parsed.ordinal().is_none() && parsed.isoyear().is_none() {
        if parsed.month().is_none() {
            parsed.set_month(1).ok()?;
        }
        if parsed.day().is_none() {
            parsed.set_day(1).ok()?;
        }
    }
    let date = parsed.to_naive_date().ok()?;
    let time = if parsed.hour_mod_12().is_none() {
        NaiveTime::MIN
    } else {
        if parsed.hour_div_12().is_none() {
            parsed.set_ampm(false).ok()?;
        }
        if parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        parsed.to_naive_time().ok()?
    };
    let time = date.and_time(time);
    match parsed.offset() {
        Some(seconds) => time.checked_sub_signed(chrono::Duration::seconds(i64::from(seconds))),
        None => Some(time),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, read_ahead};

    #[test]
    fn what_stands_behind_says_nothing_where_postgres_reads() {
        for (text, written, wanted) in [
            ("2024-02-29 12:30:45", "YYYY-MM-DD", Some("2024-02-29 00:00:00")),
            ("9999-12-31 23:59:59.999", "YYY-MM-DD", Some("9999-12-31 00:00:00")),
            ("024-02-29", "YYY-MM-DD", Some("2024-02-29 00:00:00")),
            ("975-02-28", "YYY-MM-DD", Some("1975-02-28 00:00:00")),
            ("0024-02-29", "YYYY-MM-DD", Some("0024-02-29 00:00:00")),
            ("2024-02", "YYYY-MM-DD", None),
        ] {
            assert_eq!(read_ahead(text, "%Y-%m-%d", written).map(|time| time.to_string()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn parts_that_are_missing_are_the_first() {
        for (text, pattern, wanted) in [
            ("2024-02-29 12:30:45", "%Y-%m-%d %H:%M:%S", Some("2024-02-29 12:30:45")),
            ("2024-02", "%Y-%m", Some("2024-02-01 00:00:00")),
            ("2024", "%Y", Some("2024-01-01 00:00:00")),
            ("29.02.2024 09 PM", "%d.%m.%Y %I %p", Some("2024-02-29 21:00:00")),
            ("2024-060", "%Y-%j", Some("2024-02-29 00:00:00")),
            ("2024-02-29 12:00 +0200", "%Y-%m-%d %H:%M %z", Some("2024-02-29 10:00:00")),
            ("2023-02-29", "%Y-%m-%d", None),
            ("2024-02-29 x", "%Y-%m-%d", None),
        ] {
            assert_eq!(read(text, pattern, pattern).map(|time| time.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
