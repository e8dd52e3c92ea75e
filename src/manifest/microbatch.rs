//! Batches of time: what a model with the strategy `microbatch` builds, one window after the other.
//!
//! The arithmetic is dbt's: windows lie on the hour, day, month or year in UTC, the last one ends with the one that the end
//! falls into, and the first one is `begin`, or as far back as `lookback` says.

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Timelike, Utc};

/// A stretch of time, its end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeWindow {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl TimeWindow {
    /// The SQL condition that a column's time lies in it.
    #[must_use]
    pub fn condition(&self, column: &str) -> String {
        let literal = |at: &DateTime<Utc>| format!("cast('{}' as timestamp)", at.format("%Y-%m-%d %H:%M:%S%.6f"));
        format!("cast({column} as timestamp) >= {} and cast({column} as timestamp) < {}", literal(&self.start), literal(&self.end))
    }

    /// What both have; a window that ends before it begins holds nothing.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }
}

/// The length of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    Hour,
    Day,
    Month,
    Year,
}

impl BatchSize {
    /// As configs spell them.
    pub const NAMES: [&'static str; 4] = ["hour", "day", "month", "year"];

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// The beginning of the window that a time lies in.
    #[must_use]
    pub fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let day = at.date_naive();
        let date = match self {
            Self::Hour | Self::Day => Some(day),
            Self::Month => NaiveDate::from_ymd_opt(day.year(), day.month(), 1),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        };
        let hour = if self == Self::Hour { at.hour() } else { 0 };
        date.and_then(|date| date.and_hms_opt(hour, 0, 0)).map_or(at, |floor| floor.and_utc())
    }

    /// The beginning of the window that lies `windows` behind that of a time; before it where that is negative. A time
    /// beyond what a calendar holds stays where it is.
    #[must_use]
    pub fn shift(self, at: DateTime<Utc>, windows: i64) -> DateTime<Utc> {
        let floor = self.floor(at);
        let months = |count: i64| {
            let months = Months::new(u32::try_from(count.unsigned_abs()).ok()?);
            if count < 0 { floor.checked_sub_months(months) } else { floor.checked_add_months(months) }
        };
        let shifted = match self {
            Self::Hour => TimeDelta::try_hours(windows).and_then(|hours| floor.checked_add_signed(hours)),
            Self::Day => TimeDelta::try_days(windows).and_then(|days| floor.checked_add_signed(days)),
            Self::Month => months(windows),
            Self::Year => windows.checked_mul(12).and_then(months),
        };
        shifted.unwrap_or(floor)
    }

    fn ceiling(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(at);
        if floor == at { at } else { self.shift(floor, 1) }
    }

    /// The name of the window that begins at a time, e.g. `2024-09-17`.
    #[must_use]
    pub fn label(self, start: DateTime<Utc>) -> String {
        let format = match self {
            Self::Hour => "%Y-%m-%dT%H",
            Self::Day => "%Y-%m-%d",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        start.format(format).to_string()
    }
}

/// The config of a model that is built in batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microbatch {
    /// The column with the time that says to which batch a row belongs.
    pub event_time: String,
    pub begin: DateTime<Utc>,
    pub size: BatchSize,
    /// How many windows before the current one are built again.
    pub lookback: u32,
}

impl Microbatch {
    /// The windows of a run, in order; none where it ends before `begin`. `adds` says whether the table is there and stays,
    /// `asked` is the stretch that the command names, `now` where it ends otherwise.
    #[must_use]
    pub fn windows(&self, adds: bool, asked: Option<TimeWindow>, now: DateTime<Utc>) -> Vec<TimeWindow> {
        let end = self.size.ceiling(asked.map_or(now, |asked| asked.end));
        let start = match asked {
            Some(asked) => self.size.floor(asked.start),
            None if adds => self.size.shift(end, -1 - i64::from(self.lookback)),
            None => self.size.floor(self.begin),
        };
        let mut windows = Vec::new();
        let mut at = start;
        while at < end {
            let next = self.size.shift(at, 1);
            if next <= at {
                break;
            }
            windows.push(TimeWindow { start: at, end: next.min(end) });
            at = next;
        }
        windows
    }

    /// The name of a window: of its log lines and its files.
    #[must_use]
    pub fn label(&self, window: &TimeWindow) -> String {
        self.size.label(window.start)
    }

    /// The id of a window, as `model.batch.id` has it.
    #[must_use]
    pub fn id(&self, window: &TimeWindow) -> String {
        self.label(window).replace('-', "")
    }
}

/// What became of the batches of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchResults {
    pub successful: Vec<TimeWindow>,
    pub failed: Vec<TimeWindow>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::moment;

    fn at(text: &str) -> DateTime<Utc> {
        moment(text).unwrap()
    }

    fn shown(size: &str, lookback: u32, adds: bool, now: &str) -> String {
        let config = Microbatch { event_time: "t".into(), begin: at("2020-03-01 09:30"), size: BatchSize::from_name(size).unwrap(), lookback };
        let windows = config.windows(adds, None, at(now));
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return "none".into() };
        format!("{} {} to {} until {}", windows.len(), config.label(first), config.label(last), last.end.format("%Y-%m-%dT%H"))
    }

    /// The figures are those of Python dbt 1.11 for the same config.
    #[test]
    fn windows_are_those_of_dbt() {
        for (size, lookback, adds, now, wanted) in [
            ("hour", 0, true, "2020-03-03 13:57", "1 2020-03-03T13 to 2020-03-03T13 until 2020-03-03T14"),
            ("hour", 1, true, "2020-03-01 00:00", "2 2020-02-29T22 to 2020-02-29T23 until 2020-03-01T00"),
            ("hour", 1, false, "2020-03-03 13:57", "53 2020-03-01T09 to 2020-03-03T13 until 2020-03-03T14"),
            ("day", 1, true, "2020-03-03 13:57", "2 2020-03-02 to 2020-03-03 until 2020-03-04T00"),
            ("day", 2, true, "2020-03-01 00:00", "3 2020-02-27 to 2020-02-29 until 2020-03-01T00"),
            ("day", 0, false, "2020-03-03 13:00", "3 2020-03-01 to 2020-03-03 until 2020-03-04T00"),
            ("month", 2, true, "2020-03-01 00:00", "3 2019-12 to 2020-02 until 2020-03-01T00"),
            ("month", 0, false, "2020-03-03 13:57", "1 2020-03 to 2020-03 until 2020-04-01T00"),
            ("year", 2, true, "2020-03-03 13:57", "3 2018 to 2020 until 2021-01-01T00"),
        ] {
            assert_eq!(shown(size, lookback, adds, now), wanted, "{size} {lookback} {adds} {now}");
        }
        assert_eq!(shown("day", 1, false, "2020-02-01"), "none");
    }

    #[test]
    fn a_stretch_that_is_asked_for_is_widened_to_whole_windows() {
        let config = Microbatch { event_time: "t".into(), begin: at("2024-01-01"), size: BatchSize::Day, lookback: 5 };
        let asked = TimeWindow { start: at("2020-01-01 05:00"), end: at("2020-01-03 05:00") };
        let windows = config.windows(true, Some(asked), at("2024-05-05"));
        let days: Vec<String> = windows.iter().map(|window| config.id(window)).collect();
        assert_eq!(days, ["20200101", "20200102", "20200103"]);
        assert!(windows.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}
