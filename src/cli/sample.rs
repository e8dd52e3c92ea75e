//! `--sample`: a stretch of time, as "3 days" back from now or as a start and an end.

use chrono::{DateTime, Duration, Months, Utc};
use serde_json::{Value as Json, json};

use super::args::Global;
use crate::base::moment;
use crate::manifest::TimeWindow;

/// # Errors
/// With one sentence, if the text is neither.
pub(super) fn window(global: &Global, now: DateTime<Utc>) -> Result<Option<TimeWindow>, String> {
    let Some(text) = global.sample.as_deref().filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let wrong = || {
        format!(
            "--sample: `{text}` is no stretch of time: expected e.g. '3 days' (hours, days, months, years), or '{{start: 2024-07-01, end: 2024-07-08}}'"
        )
    };
    let window = match crate::load::yaml_json(text) {
        Some(Json::Object(map)) => {
            let at = |key: &str| map.get(key).and_then(Json::as_str).and_then(moment);
            TimeWindow { start: at("start").ok_or_else(wrong)?, end: at("end").ok_or_else(wrong)? }
        }
        _ => TimeWindow { start: back(text, now).ok_or_else(wrong)?, end: now },
    };
    if window.start < window.end { Ok(Some(window)) } else { Err(format!("--sample: `{text}` ends before it begins")) }
}

/// The stretch of time as artifacts keep it, so that what is tried again reads the same rows: dbt's form.
pub(super) fn recorded(window: &TimeWindow) -> Json {
    let text =
        |at: DateTime<Utc>| at.format(if at.timestamp_subsec_micros() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" });
    json!({"start": text(window.start).to_string(), "end": text(window.end).to_string()})
}

/// The stretch of time that `--event-time-start` and `--event-time-end` name; they go together.
///
/// # Errors
/// With one sentence, if one is missing, or they are no times in order.
pub(super) fn event_times(global: &Global) -> Result<Option<TimeWindow>, String> {
    let read = |name: &str, text: &str| {
        moment(text).ok_or_else(|| format!("--{name}: `{text}` is no time: expected e.g. 2024-07-01 or '2024-07-01 12:00:00', in UTC"))
    };
    match (&global.event_time_start, &global.event_time_end) {
        (None, None) => Ok(None),
        (Some(start), Some(end)) => {
            let window = TimeWindow { start: read("event-time-start", start)?, end: read("event-time-end", end)? };
            let in_order = window.start < window.end;
            if in_order { Ok(Some(window)) } else { Err(format!("--event-time-start `{start}` is not before --event-time-end `{end}`")) }
        }
        (Some(_), None) => Err("--event-time-start goes with --event-time-end, which is missing".into()),
        (None, Some(_)) => Err("--event-time-end goes with --event-time-start, which is missing".into()),
    }
}

fn back(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (count, unit) = text.trim().split_once(' ')?;
    let count: u32 = count.parse().ok()?;
    match unit.trim().to_lowercase().trim_end_matches('s') {
        "hour" => now.checked_sub_signed(Duration::try_hours(i64::from(count))?),
        "day" => now.checked_sub_signed(Duration::try_days(i64::from(count))?),
        "month" => now.checked_sub_months(Months::new(count)),
        "year" => now.checked_sub_months(Months::new(count.checked_mul(12)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time() {
        let now = moment("2024-03-31 12:00:00").unwrap();
        assert_eq!(back("3 days", now), moment("2024-03-28T12:00"));
        assert_eq!(back("1 hour", now), moment("2024-03-31 11:00"));
        assert_eq!(back("1 month", now), moment("2024-02-29 12:00"));
        assert_eq!(back("2 Years", now), moment("2022-03-31 12:00"));
        for wrong in ["3", "days", "three days", "3 weeks", "-1 days", ""] {
            assert_eq!(back(wrong, now), None, "{wrong}");
        }
        assert_eq!(moment("2024-07-01"), moment("2024-07-01T00:00:00Z"));
        assert_eq!(moment("2024-07-01T02:00:00+02:00"), moment("2024-07-01"));
    }
}
