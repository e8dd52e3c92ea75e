//! `strptime`: a text as a point in time, by Python's format. Formats that count weeks are left to chrono.

use chrono::format::{Parsed, StrftimeItems};
use chrono::{NaiveDate, NaiveDateTime};

const MONTHS: [&str; 12] = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What the text says: the local time, and the seconds that it is ahead of UTC, if it says so.
pub(super) fn parsed(text: &str, format: &str) -> Option<(NaiveDateTime, Option<i32>)> {
    let weeks = ["%U", "%W", "%w", "%u", "%V", "%G"].iter().any(|directive| format.contains(directive));
    if weeks { of_weeks(text, format).map(|at| (at, None)) } else { Reader { rest: text, ..Reader::default() }.read(format) }
}

/// What a format says nothing of is the start of 1900, as in Python.
struct Reader<'t> {
    rest: &'t str,
    year: u32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: u32,
    /// Whether the hour is one of twelve, and of which half of the day.
    half: Option<bool>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    micro: u32,
    offset: Option<i32>,
}

impl Default for Reader<'_> {
    fn default() -> Self {
        Self {
            rest: "",
            year: 1900,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half: None,
            afternoon: None,
            minute: 0,
            second: 0,
            micro: 0,
            offset: None,
        }
    }
}

impl Reader<'_> {
    fn read(mut self, format: &str) -> Option<(NaiveDateTime, Option<i32>)> {
        let mut format = format.chars();
        while let Some(sign) = format.next() {
            match sign {
                '%' => self.directive(format.next()?)?,
                blank if blank.is_whitespace() => {
                    let rest = self.rest.trim_start();
                    // Blanks of the format stand for as many of the text, but for none.
                    if rest.len() == self.rest.len() {
                        return None;
                    }
                    self.rest = rest;
                    format = format.as_str().trim_start().chars();
                }
                sign => {
                    let found = self.rest.chars().next().filter(|found| found.to_lowercase().eq(sign.to_lowercase()))?;
                    self.rest = self.rest.get(found.len_utf8()..)?;
                }
            }
        }
        self.rest.is_empty().then(|| self.time()).flatten()
    }

    fn directive(&mut self, directive: char) -> Option<()> {
        match directive {
            'Y' => self.year = self.number(4, 4)?,
            'y' => self.year = self.number(2, 2).map(|year| year + if year < 69 { 2000 } else { 1900 })?,
            'm' => self.month = self.number(1, 2)?,
            'd' => {
                // A day below ten may have a blank in the place of the zero.
                let blank = self.rest.strip_prefix(' ').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                if let Some(rest) = blank {
                    self.rest = rest;
                }
                self.day = self.number(1, if blank.is_some() { 1 } else { 2 })?;
            }
            'j' => self.day_of_year = Some(self.number(1, 3)?),
            'H' => self.hour = self.number(1, 2)?,
            'I' => {
                self.hour = self.number(1, 2).filter(|hour| (1..=12).contains(hour))?;
                self.half = Some(true);
            }
            'p' => self.afternoon = Some(self.word(&["am", "pm"])? == 1),
            'M' => self.minute = self.number(1, 2)?,
            'S' => self.second = self.number(1, 2)?,
            'f' => {
                let before = self.rest.len();
                let number = self.number(1, 6)?;
                let digits = u32::try_from(before - self.rest.len()).ok()?;
                self.micro = number * 10_u32.pow(6 - digits);
            }
            'B' => self.month = u32::try_from(self.word(&MONTHS)?).ok()? + 1,
            'b' | 'h' => self.month = u32::try_from(self.word(&MONTHS.map(short))?).ok()? + 1,
            'A' => self.word(&DAYS).map(drop)?,
            'a' => self.word(&DAYS.map(short)).map(drop)?,
            'z' => self.offset = Some(self.read_offset()?),
            'Z' => self.word(&["utc", "gmt"]).map(drop)?,
            '%' => self.rest = self.rest.strip_prefix('%')?,
            // Those that stand for others.
            'D' => ['m', '/', 'd', '/', 'y'].into_iter().try_for_each(|part| self.part(part))?,
            'F' => ['Y', '-', 'm', '-', 'd'].into_iter().try_for_each(|part| self.part(part))?,
            'T' | 'X' => ['H', ':', 'M', ':', 'S'].into_iter().try_for_each(|part| self.part(part))?,
            'x' => ['m', '/', 'd', '/', 'y'].into_iter().try_for_each(|part| self.part(part))?,
            _ => return None,
        }
        Some(())
    }

    fn part(&mut self, part: char) -> Option<()> {
        if part.is_alphabetic() {
            return self.directive(part);
        }
        self.rest = self.rest.strip_prefix(part)?;
        Some(())
    }

    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at_checked(digits).filter(|_| digits >= least)?;
        self.rest = rest;
        number.parse().ok()
    }

    /// Which of some words comes next, the longest of those that do.
    fn word(&mut self, words: &[&str]) -> Option<usize> {
        let comes = |word: &&str| self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        let (index, word) = words.iter().enumerate().filter(|(_, word)| comes(word)).max_by_key(|(_, word)| word.len())?;
        self.rest = self.rest.get(word.len()..)?;
        Some(index)
    }

    /// `Z`, or `+hh:mm` with seconds or without, where the colons may be missing.
    fn read_offset(&mut self) -> Option<i32> {
        if let Some(rest) = self.rest.strip_prefix(['Z', 'z']) {
            self.rest = rest;
            return Some(0);
        }
        let sign = if self.rest.starts_with('-') { -1 } else { 1 };
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let hours = self.number(2, 2)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = self.number(2, 2).filter(|minutes| *minutes < 60)?;
        let mut seconds = 0;
        let after = self.rest.strip_prefix(':').unwrap_or(self.rest);
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            self.rest = after;
            seconds = self.number(2, 2).filter(|seconds| *seconds < 60)?;
        }
        i32::try_from(hours * 3600 + minutes * 60 + seconds).ok().map(|offset| sign * offset)
    }

    fn time(self) -> Option<(NaiveDateTime, Option<i32>)> {
        let year = i32::try_from(self.year).ok().filter(|year| *year > 0)?;
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(year, day)?,
            None => NaiveDate::from_ymd_opt(year, self.month, self.day)?,
        };
        let hour = match self.half {
            Some(_) => self.hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 },
            None => self.hour,
        };
        Some((date.and_hms_micro_opt(hour, self.minute, self.second, self.micro)?, self.offset))
    }
}

fn short(word: &'static str) -> &'static str {
    word.get(..3).unwrap_or(word)
}

fn of_weeks(text: &str, format: &str) -> Option<NaiveDateTime> {
    let mut parts = Parsed::new();
    chrono::format::parse(&mut parts, text, StrftimeItems::new(format)).ok()?;
    if parts.year().is_none() && parts.year_mod_100().is_none() && parts.isoyear().is_none() {
        parts.set_year(1900).ok()?;
    }
    if parts.hour_mod_12().is_none() {
        parts.set_hour(0).ok()?;
    }
    if parts.hour_div_12().is_none() {
        parts.set_ampm(false).ok()?;
    }
    if parts.minute().is_none() {
        parts.set_minute(0).ok()?;
    }
    parts.to_naive_datetime_with_offset(0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_by_their_formats() {
        let read = |text: &str, format: &str| parsed(text, format).map(|(at, offset)| (at.to_string(), offset));
        let naive = |text: &str| Some((text.to_owned(), None));
        assert_eq!(read("2024-05-06", "%Y-%m-%d"), naive("2024-05-06 00:00:00"));
        assert_eq!(read("Jan 5, 2024 3PM", "%b %d, %Y %I%p"), naive("2024-01-05 15:00:00"));
        assert_eq!(read("2024-060", "%Y-%j"), naive("2024-02-29 00:00:00"));
        assert_eq!(read("1.5", "%S.%f"), naive("1900-01-01 00:00:01.500"));
        assert_eq!(read("10:20-0130", "%H:%M%z"), Some(("1900-01-01 10:20:00".to_owned(), Some(-5400))));
        assert_eq!(read("0Z", "%H%z"), Some(("1900-01-01 00:00:00".to_owned(), Some(0))));
        assert_eq!(read("2024 1 1", "%G %V %u"), naive("2024-01-01 00:00:00"));
        assert_eq!((read("2024-13-01", "%Y-%m-%d"), read("2024-01-01x", "%Y-%m-%d"), read("24", "%Y")), (None, None, None));
    }
}
