//! Dates and times in the notations that `DuckDB` knows in CSV files beside ISO's, and in those that a call names.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use deltalake::arrow::array::{Array as _, ArrayRef, Date32Array, StringArray, TimestampMicrosecondArray};
use deltalake::arrow::datatypes::{DataType, TimeUnit};

/// Formats of dates; the first that fits all values is taken.
pub(super) const DATES: [&str; 9] = ["%d-%m-%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%m/%d/%Y", "%m.%d.%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"];

/// What stands behind the date of a timestamp.
const CLOCKS: [&str; 2] = [" %H:%M:%S", " %I:%M:%S %p"];

/// How many formats there are: dates, then timestamps.
const COUNT: usize = DATES.len() * (1 + CLOCKS.len());

/// All of them.
pub(super) const ALL_FORMATS: u32 = (1 << COUNT) - 1;

/// The formats that a value has, as bits.
pub(super) fn formats_of(value: &str) -> u32 {
    let separator = value.find(|letter: char| !letter.is_ascii_digit());
    let Some(separator) = separator.and_then(|at| value.get(at..=at)).filter(|found| ["-", "/", "."].contains(found)) else { return 0 };
    let clock = value.split_once(' ').map(|(_, clock)| clock);
    let fits = |at: &usize| {
        let is_moment = *at >= DATES.len();
        is_moment == clock.is_some() && format(*at).is_some_and(|format| format.contains(separator) && parse(value, &format).is_some())
    };
    (0..COUNT).filter(fits).fold(0, |bits, at| bits | 1 << at)
}

/// The type and the format of values that all have the formats of some bits.
pub(super) fn of_formats(bits: u32) -> Option<(DataType, String)> {
    let at = (0..COUNT).find(|at| bits & (1 << at) != 0)?;
    let data_type = if at < DATES.len() { DataType::Date32 } else { DataType::Timestamp(TimeUnit::Microsecond, None) };
    Some((data_type, format(at)?))
}

fn format(at: usize) -> Option<String> {
    let date = DATES.get(at % DATES.len())?;
    match (at / DATES.len()).checked_sub(1) {
        None => Some((*date).to_owned()),
        Some(clock) => Some(format!("{date}{}", CLOCKS.get(clock)?)),
    }
}

/// A date or a time in a format.
pub(super) fn parse(value: &str, format: &str) -> Option<NaiveDateTime> {
    // A year of two digits is none of four.
    let year = || value.split(['-', '/', '.', ' ']).any(|part| part.len() == 4);
    if format.contains("%Y") && !format.contains("%Y%") && !year() {
        return None;
    }
    let day = || NaiveDate::parse_from_str(value, format).ok()?.and_hms_opt(0, 0, 0);
    NaiveDateTime::parse_from_str(value, format).ok().or_else(day)
}

/// The texts as dates or timestamps, and the first row whose text is none in the format; `None` for another type.
pub(super) fn cast(texts: &StringArray, data_type: &DataType, format: &str) -> Option<(ArrayRef, Option<usize>)> {
    let moment = |text: Option<&str>| text.and_then(|text| parse(text.trim(), format));
    let typed: ArrayRef = match data_type {
        DataType::Date32 => {
            let days = |moment: NaiveDateTime| i32::try_from(moment.and_utc().timestamp().div_euclid(86_400)).ok();
            Arc::new(texts.iter().map(|text| moment(text).and_then(days)).collect::<Date32Array>())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let times = texts.iter().map(|text| moment(text).map(|moment| moment.and_utc().timestamp_micros()));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        _ => return None,
    };
    let wrong = (0..texts.len()).find(|row| texts.is_valid(*row) && typed.is_null(*row));
    Some((typed, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str]) -> Option<String> {
        of_formats(values.iter().fold(ALL_FORMATS, |bits, value| bits & formats_of(value))).map(|(_, format)| format)
    }

    #[test]
    fn the_first_format_that_fits_all() {
        for (values, expected) in [
            (&["01/02/2024"][..], Some("%d/%m/%Y")),
            (&["01/02/2024", "01/31/2024"], Some("%m/%d/%Y")),
            (&["31.1.2024"], Some("%d.%m.%Y")),
            (&["2024/01/31"], Some("%Y/%m/%d")),
            (&["2024-1-2"], Some("%Y-%m-%d")),
            (&["01/31/2024 10:00:00 PM"], Some("%m/%d/%Y %I:%M:%S %p")),
            (&["31-01-2024 10:00:00"], Some("%d-%m-%Y %H:%M:%S")),
            (&["31-01-2024", "31/01/2024"], None),
            (&["01-02-24"], None),
            (&["1.5"], None),
            (&["x"], None),
        ] {
            assert_eq!(found(values).as_deref(), expected, "{values:?}");
        }
    }
}
