//! The type that fits all values of a column of text.

use deltalake::arrow::datatypes::{DataType, TimeUnit};

use super::moments::{self, ALL_FORMATS};
use super::options::FileOptions;

/// What the values seen so far can all be read as. Values with leading zeros, as in postal codes, stay text; so do
/// numbers with more digits than a double keeps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Guess {
    seen: bool,
    /// Bits of the types that no value has ruled out.
    ruled_out: u8,
    /// Bits of the formats of dates and times that no value has ruled out, but for ISO's; none are looked for but in a call.
    lost_formats: u32,
}

/// A type, and the format of its values where that is none of ISO's.
pub(super) type Found = (DataType, Option<String>);

const BOOLEAN: u8 = 1;
const BIGINT: u8 = 2;
const DOUBLE: u8 = 4;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 16;
const TIMESTAMPTZ: u8 = 32;
const ALL: u8 = 63;

impl Guess {
    /// Takes one value into account. Values that mean NULL are not to be shown.
    pub(super) fn see(&mut self, value: &str, options: &FileOptions) {
        self.seen = true;
        let value = value.trim();
        if self.ruled_out != ALL {
            self.ruled_out |= ALL & !(fits(value) & allowed(options) | called(value, options));
        }
        match &options.called {
            Some(called) if called.date_format.is_none() && called.timestamp_format.is_none() => {
                if self.lost_formats != ALL_FORMATS {
                    self.lost_formats |= ALL_FORMATS & !moments::formats_of(value);
                }
            }
            Some(_) | None => self.lost_formats = ALL_FORMATS,
        }
    }

    /// The same for values of JSON, of which only texts are seen.
    pub(super) fn see_text(&mut self, value: &str, options: &FileOptions) {
        self.see(value, options);
        self.ruled_out |= BOOLEAN | BIGINT | DOUBLE;
    }

    /// Rules out everything: no text was seen.
    pub(super) fn see_other(&mut self) {
        (self.seen, self.ruled_out, self.lost_formats) = (true, ALL, ALL_FORMATS);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.seen |= other.seen;
        self.ruled_out |= other.ruled_out;
        self.lost_formats |= other.lost_formats;
    }

    /// The narrowest type for the values, and their format; `None` where there was none.
    pub(super) fn found(self, options: &FileOptions) -> Option<Found> {
        let named = |data_type: &DataType| {
            let called = options.called.as_ref()?;
            if *data_type == DataType::Date32 { called.date_format.clone() } else { called.timestamp_format.clone() }
        };
        match self.data_type()? {
            DataType::Utf8 => Some(
                moments::of_formats(ALL_FORMATS & !self.lost_formats).map_or((DataType::Utf8, None), |(data_type, format)| (data_type, Some(format))),
            ),
            found @ (DataType::Date32 | DataType::Timestamp(..)) => {
                let format = named(&found);
                Some((found, format))
            }
            found => Some((found, None)),
        }
    }

    /// The narrowest type for the values; `None` where there was none.
    pub(super) fn data_type(self) -> Option<DataType> {
        if !self.seen {
            return None;
        }
        let candidates = [
            (BOOLEAN, DataType::Boolean),
            (BIGINT, DataType::Int64),
            (DOUBLE, DataType::Float64),
            (DATE, DataType::Date32),
            (TIMESTAMP, DataType::Timestamp(TimeUnit::Microsecond, None)),
            (TIMESTAMPTZ, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ];
        let fitting = candidates.into_iter().find(|(bit, _)| self.ruled_out & bit == 0);
        Some(fitting.map_or(DataType::Utf8, |(_, data_type)| data_type))
    }
}

/// The types whose usual notation counts: those that a call gives a format have that alone.
fn allowed(options: &FileOptions) -> u8 {
    let Some(called) = &options.called else { return ALL };
    let dates = if called.date_format.is_some() { DATE } else { 0 };
    let times = if called.timestamp_format.is_some() { TIMESTAMP | TIMESTAMPTZ } else { 0 };
    ALL & !(dates | times)
}

/// What a value can be in a call alone.
fn called(value: &str, options: &FileOptions) -> u8 {
    let Some(called) = &options.called else { return 0 };
    let has = |format: &Option<String>| format.as_ref().is_some_and(|format| moments::parse(value, format).is_some());
    let truth = ["t", "f", "yes", "no"].iter().any(|word| value.eq_ignore_ascii_case(word));
    let bit = |has: bool, bit: u8| if has { bit } else { 0 };
    bit(truth, BOOLEAN) | bit(has(&called.date_format), DATE) | bit(has(&called.timestamp_format), TIMESTAMP)
}

fn fits(value: &str) -> u8 {
    match value.as_bytes().first() {
        Some(b't' | b'T' | b'f' | b'F') if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") => BOOLEAN,
        Some(b'0'..=b'9' | b'-' | b'.') => number(value) | moment(value),
        _ => 0,
    }
}

fn number(value: &str) -> u8 {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 1 && unsigned.starts_with('0') {
        return 0;
    }
    if digits == unsigned.len() {
        return match value.parse::<i64>() {
            Ok(_) => BIGINT | DOUBLE,
            Err(_) => 0,
        };
    }
    let plain = unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+'));
    if plain && value.parse::<f64>().is_ok_and(f64::is_finite) { DOUBLE } else { 0 }
}

fn moment(value: &str) -> u8 {
    let Some((date, time)) = value.split_at_checked(10) else { return 0 };
    if chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_err() {
        return 0;
    }
    if time.is_empty() {
        return DATE | TIMESTAMP;
    }
    let Some(time) = time.strip_prefix(['T', ' ']) else { return 0 };
    let clock_end = time.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(time.len());
    let (clock, zone) = time.split_at(clock_end);
    let clock_fits = ["%H:%M:%S%.f", "%H:%M"].iter().any(|format| chrono::NaiveTime::parse_from_str(clock, format).is_ok());
    match (clock_fits, zone.trim()) {
        (true, "") => TIMESTAMP,
        (true, zone) if is_zone(zone) => TIMESTAMPTZ,
        (true | false, _) => 0,
    }
}

/// `Z`, `+02`, `+0200`, `+02:00`.
fn is_zone(zone: &str) -> bool {
    let offset = zone.strip_prefix(['+', '-']).map(|offset| offset.replacen(':', "", 1));
    zone.eq_ignore_ascii_case("z")
        || zone == "UTC"
        || offset.is_some_and(|offset| [2, 4].contains(&offset.len()) && offset.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::type_name;

    fn guess(values: &[&str]) -> String {
        let mut guess = Guess::default();
        for value in values {
            guess.see(value, &FileOptions::seed(',', "alluvium"));
        }
        guess.data_type().map_or_else(|| "none".to_owned(), |found| type_name(&found))
    }

    #[test]
    fn the_narrowest_type_that_fits_all_values() {
        for (values, expected) in [
            (&["1", "-2", "0"][..], "BIGINT"),
            (&["1", "2.5", "1e3"], "DOUBLE"),
            (&["007", "12"], "VARCHAR"),
            (&["00.5"], "VARCHAR"),
            (&["0.5", ".5"], "DOUBLE"),
            (&["12345678901234567890"], "VARCHAR"),
            (&["true", "FALSE"], "BOOLEAN"),
            (&["true", "1"], "VARCHAR"),
            (&["2024-02-29"], "DATE"),
            (&["2023-02-29"], "VARCHAR"),
            (&["2024-02-29", "2024-03-01 10:00:00"], "TIMESTAMP"),
            (&["2024-03-01T10:00:00.5Z", "2024-03-01 10:00:00+02:00"], "TIMESTAMPTZ"),
            (&["2024-03-01T10:00:00Z", "2024-03-01 10:00:00"], "VARCHAR"),
            (&["+49123"], "VARCHAR"),
            (&["-", "."], "VARCHAR"),
            (&[], "none"),
        ] {
            assert_eq!(guess(values), expected, "{values:?}");
        }
    }
}
