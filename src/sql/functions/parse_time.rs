//! Text read as a time by a pattern: `parse_time`, and `try_parse_time`, which gives NULL for what does not fit. DataFusion's
//! own functions promise a zone where they give none, and know no pattern of a year and a month.

use std::sync::Arc;

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{NaiveDateTime, NaiveTime};
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
        Plain { name: "parse_time", signature: signature(), returns, run: |columns| run(columns, true) }.into_udf(),
        Plain { name: "try_parse_time", signature: signature(), returns, run: |columns| run(columns, false) }.into_udf(),
    ]
}

fn run(columns: &[ArrayRef], strict: bool) -> Result<ArrayRef> {
    let columns = columns.iter().map(|column| Ok(cast(column, &DataType::Utf8)?)).collect::<Result<Vec<_>>>()?;
    let [texts, patterns, written] = columns.as_slice() else { return exec_err!("a text and its pattern are needed") };
    let (texts, patterns, written): (&StringArray, &StringArray, &StringArray) = (texts.as_string(), patterns.as_string(), written.as_string());
    let mut found = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) {
            found.push(None);
            continue;
        }
        let time = read(texts.value(row), patterns.value(row)).map(|time| time.and_utc().timestamp_micros());
        if strict && time.is_none() {
            return exec_err!("`{}` does not fit the pattern `{}`", texts.value(row), written.value(row));
        }
        found.push(time);
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(found)))
}

/// What the pattern does not ask for is the first: of January, at midnight.
fn read(text: &str, pattern: &str) -> Option<NaiveDateTime> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
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
    use super::read;

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
            assert_eq!(read(text, pattern).map(|time| time.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
