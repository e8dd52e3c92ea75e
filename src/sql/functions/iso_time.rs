//! Texts that are times, as the cast to a time wants them: `iso_time`, `iso_date` and `wall_time`; and times that are texts. Casts
//! take months, days and hours of two digits and seconds; people also write `2024-1-5`, `2024-01-05 9:30` and, for a date, a text
//! with a time of day.

use std::sync::{Arc, LazyLock};

use chrono::{NaiveDate, NaiveTime};
use deltalake::arrow::array::{ArrayRef, AsArray, Float64Array, StringArray, TimestampMicrosecondArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, TimeUnit};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![time(), date(), text(), of_seconds(), wall_time()]
}

/// A text for the cast to a timestamp.
pub(in crate::sql) fn time() -> Arc<ScalarUDF> {
    function("iso_time", |columns| Ok(mended(&columns[0], full)))
}

/// A text for the cast to a date.
pub(in crate::sql) fn date() -> Arc<ScalarUDF> {
    function("iso_date", |columns| Ok(mended(&columns[0], day)))
}

/// A text without the zone that stands behind a time of day in it, for engines that take no notice of it.
pub(in crate::sql) fn wall_time() -> Arc<ScalarUDF> {
    function("wall_time", |columns| Ok(mended(&columns[0], without_zone)))
}

/// `None` where there is no zone.
pub(in crate::sql) fn without_zone(text: &str) -> Option<String> {
    let day = text.find(':')?;
    let clock = text[day..].find(|letter: char| !letter.is_ascii_digit() && letter != ':' && letter != '.')? + day;
    let zone = text[clock..].trim();
    let offset = zone
        .strip_prefix(['+', '-'])
        .is_some_and(|digits| !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|digit| digit.is_ascii_digit() || digit == b':'));
    let name = zone.contains('/') || ["z", "utc", "gmt"].contains(&zone.to_lowercase().as_str());
    (offset || name).then(|| text[..clock].to_owned())
}

/// A timestamp as text: `2024-01-02 03:04:05.5`, with `+00` where it is in a zone, which is UTC.
pub(in crate::sql) fn text() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::any(1, Volatility::Immutable);
        Plain { name: "time_as_text", signature, returns: |_| Ok(DataType::Utf8), run: |columns| written(&columns[0]) }.into_udf()
    });
    Arc::clone(&FUNCTION)
}

/// Seconds since 1970, with a fraction, as a timestamp.
pub(in crate::sql) fn of_seconds() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
        let returns = |_: &[DataType]| Ok(DataType::Timestamp(TimeUnit::Microsecond, None));
        Plain { name: "time_of_seconds", signature, returns, run: |columns| stamps(columns[0].as_primitive()) }.into_udf()
    });
    Arc::clone(&FUNCTION)
}

fn stamps(seconds: &Float64Array) -> Result<ArrayRef> {
    let stamp = |seconds: f64| {
        let micros = (seconds * 1e6).round();
        // Years beyond 262143 have no date.
        #[expect(clippy::cast_possible_truncation, reason = "looked at before")]
        if micros.abs() < 8.2e18 { Ok(micros as i64) } else { exec_err!("a time of {seconds} seconds since 1970 is out of range for TIMESTAMP") }
    };
    let found = seconds.iter().map(|seconds| seconds.map(stamp).transpose()).collect::<Result<Vec<Option<i64>>>>()?;
    Ok(Arc::new(TimestampMicrosecondArray::from(found)))
}

fn written(times: &ArrayRef) -> Result<ArrayRef> {
    let zoned = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
    let local = match times.data_type() {
        DataType::Timestamp(unit, Some(_)) => cast(times, &DataType::Timestamp(*unit, Some("UTC".into())))?,
        _ => Arc::clone(times),
    };
    let texts = cast(&local, &DataType::Utf8)?;
    let blank = |text: &str| {
        let text = text.trim_end_matches('Z');
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        format!("{}{}", text.replacen('T', " ", 1), if zoned { "+00" } else { "" })
    };
    Ok(Arc::new(texts.as_string::<i32>().iter().map(|text| text.map(blank)).collect::<StringArray>()))
}

/// Texts for the cast to a timestamp or date.
pub(crate) fn iso_texts(texts: &StringArray, meant: &DataType) -> StringArray {
    let column: ArrayRef = Arc::new(texts.clone());
    let mended = mended(&column, if *meant == DataType::Date32 { day } else { full });
    mended.as_string::<i32>().clone()
}

fn function(name: &'static str, run: fn(&[ArrayRef]) -> Result<ArrayRef>) -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    Plain { name, signature, returns: |_| Ok(DataType::Utf8), run }.into_udf()
}

/// A column as it is, where none of its texts has to be written anew: then it is not copied.
fn mended(column: &ArrayRef, mend: fn(&str) -> Option<String>) -> ArrayRef {
    let texts = column.as_string::<i32>();
    let Some(first) = texts.iter().position(|text| text.is_some_and(|text| mend(text).is_some())) else { return Arc::clone(column) };
    let rows = texts.iter().enumerate().map(|(row, text)| {
        text.map(|text| match if row < first { None } else { mend(text) } {
            Some(written) => written.into(),
            None => std::borrow::Cow::Borrowed(text),
        })
    });
    Arc::new(rows.collect::<StringArray>())
}

/// `None` for what the cast takes, and for what is no time at all, of which the cast says so.
pub(in crate::sql) fn full(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let has = |at: usize, letter: u8| bytes.get(at) == Some(&letter);
    if has(4, b'-') && has(7, b'-') && (bytes.len() == 10 || has(13, b':') && has(16, b':')) {
        return None;
    }
    let (date, time, zone) = read(text)?;
    Some(format!("{}T{}{zone}", date.format("%Y-%m-%d"), time.format("%H:%M:%S%.f")))
}

/// The same for a date.
pub(in crate::sql) fn day(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() == 10 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') {
        return None;
    }
    read(text).map(|(date, ..)| date.format("%Y-%m-%d").to_string())
}

/// A date, the time of day behind it, which is midnight where there is none, and a zone as it stands.
fn read(text: &str) -> Option<(NaiveDate, NaiveTime, &str)> {
    let text = text.trim();
    let (day, rest) = text.find(['T', ' ']).map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    let mut parts = day.split('-');
    let (year, month, date) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || day.split('-').next().is_some_and(|year| year.len() != 4) {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, date)?;
    let rest = rest.trim();
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ':' && letter != '.').unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    if clock.is_empty() {
        return zone.is_empty().then_some((date, NaiveTime::MIN, ""));
    }
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = whole.split(':');
    let hour = number(parts.next()?, 2)?;
    // An hour alone is no time: it may be anything.
    let minute = number(parts.next()?, 2)?;
    let second = parts.next().map_or(Some(0), |part| number(part, 2))?;
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some((date, NaiveTime::from_hms_nano_opt(hour, minute, second, nanoseconds)?, zone.trim_start()))
}

fn number(digits: &str, most: usize) -> Option<u32> {
    (digits.len() <= most && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{day, full, without_zone};

    #[test]
    fn texts_get_the_digits_that_are_missing() {
        for (text, wanted) in [
            ("2021-01-01 00:00", Some("2021-01-01T00:00:00")),
            ("2021-1-5", Some("2021-01-05T00:00:00")),
            ("2021-01-05 9:30:15.25", Some("2021-01-05T09:30:15.250")),
            ("2021-01-05 09:30+02:00", Some("2021-01-05T09:30:00+02:00")),
            ("2021-01-05 09:30:15", None),
            ("2021-01-05T09:30:15.123456Z", None),
            ("2021-01-05", None),
            ("2021-02-30 00:00", None),
            ("2021-01-05 25:00", None),
            ("2021-01-05 9", None),
            ("21-1-5", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(full(text).as_deref(), wanted, "{text}");
        }
        for (text, wanted) in [
            ("1997-09-29 06:14:00-07:00", Some("1997-09-29 06:14:00")),
            ("1997-09-29T06:14:00.5Z", Some("1997-09-29T06:14:00.5")),
            ("1997-09-29 06:14 +02", Some("1997-09-29 06:14")),
            ("1997-09-29 06:14:00 Europe/Berlin", Some("1997-09-29 06:14:00")),
            ("1997-09-29 06:14:00 PM", None),
            ("1997-09-29 06:14:00", None),
            ("1997-09-29", None),
        ] {
            assert_eq!(without_zone(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(day("2021-01-05 09:30:15").as_deref(), Some("2021-01-05"));
        assert_eq!(day("2021-1-5").as_deref(), Some("2021-01-05"));
        assert_eq!(day("2021-01-05"), None);
        assert_eq!(day("2021-01-05 later"), None);
    }
}
