//! Date functions whose first argument is a unit: a bare word as in Databricks, or a text as in DuckDB.

use deltalake::datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Interval, Spanned, Value};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::calls::{arguments, literal, text, word};
use super::expand::{expand, name_of};
use crate::sql::SqlError;
use crate::sql::semantics::{Differences, Semantics, Sunday, WeekStart};

/// `dateadd(unit, n, date)` and `datediff(unit, from, to)`, with the names they have elsewhere.
///
/// Where the adapter's engine does not decide, a difference with a bare unit counts whole units that have passed, as Databricks
/// documents it; with a unit in quotes it counts the boundaries between the two, as DuckDB documents it.
pub(super) fn with_unit(name: &str, unit: &Expr, values: [&Expr; 2], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let (word, is_text) = match unit {
        Expr::Identifier(word) if word.quote_style.is_none() => (word.value.as_str(), false),
        quoted => match text(quoted) {
            Some(word) => (word, true),
            None => return Ok(None),
        },
    };
    let Some(known) = canonical_unit(word) else {
        return Err(no_unit(word, unit.span(), rewriter));
    };
    let function = match name {
        "dateadd" | "date_add" | "timestampadd" => "timestampadd",
        "datediff" | "date_diff" => match rewriter.semantics.differences {
            Differences::ByQuotes if is_text => "boundaries_between",
            Differences::ByQuotes | Differences::Passed => "timestampdiff",
            Differences::Boundaries => "boundaries_between",
        },
        _ => "timestampdiff",
    };
    let [first, second] = values.map(Clone::clone);
    let week = week_begin(word, rewriter.semantics);
    // An amount is made whole as the engine makes it.
    let first = if function == "timestampadd" && !is_whole(&first) {
        expand("cast($1 as bigint)", std::slice::from_ref(&first), span).unwrap_or(first)
    } else {
        first
    };
    Ok(expand(&between(function, known, week, rewriter.semantics), &[literal(known, unit.span()), first, second], span))
}

/// A number without a fraction that is written out.
fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits.bytes().all(|digit| digit.is_ascii_digit())),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => is_whole(expr),
        _ => false,
    }
}

/// `BigQuery`'s `date_diff(to, from, unit)`, which counts boundaries but for timestamps.
pub(super) fn unit_behind(name: &str, values: [&Expr; 2], unit: &Expr, span: Span, rewriter: &Rewriter) -> Option<Expr> {
    let Expr::Identifier(word) = unit else { return None };
    let known = canonical_unit(&word.value)?;
    let function = if name == "timestamp_diff" { "timestampdiff" } else { "boundaries_between" };
    let semantics = Semantics { differences: Differences::Boundaries, ..rewriter.semantics };
    let week = week_begin(&word.value, semantics);
    let [to, from] = values.map(Clone::clone);
    expand(&between(function, known, week, semantics), &[literal(known, unit.span()), from, to], span)
}

/// A function over a unit, a time or an amount, and a time. DuckDB's weeks between two times are seven days each; elsewhere
/// they have a day on which they begin, `begin` days behind a Monday.
fn between(function: &str, unit: &str, begin: i8, semantics: Semantics) -> String {
    let week = |number: u8| format!("time_cut('week', {})", days_before(&format!("cast(${number} as timestamp)"), begin));
    if function == "timestampadd" {
        "timestampadd($1, $2, cast($3 as timestamp))".to_owned()
    } else if unit == "week" && function == "boundaries_between" && semantics.differences == Differences::Boundaries {
        format!("{function}($1, {}, {})", week(2), week(3))
    } else {
        format!("{function}($1, cast($2 as timestamp), cast($3 as timestamp))")
    }
}

/// So many days before a time.
fn days_before(time: &str, days: i8) -> String {
    match days {
        0 => time.to_owned(),
        before if before > 0 => format!("{time} - interval '{before} day'"),
        behind => format!("{time} + interval '{} day'", -behind),
    }
}

/// The days of a week, in `BigQuery`'s words for weeks that begin with them.
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// How many days behind a Monday a week begins; for a Sunday it is one before.
fn week_begin(word: &str, semantics: Semantics) -> i8 {
    let word = word.to_lowercase();
    let named = word.strip_prefix("week(").and_then(|day| day.strip_suffix(')'));
    match named.and_then(|day| DAYS.iter().zip(0_i8..).find(|(known, _)| **known == day)) {
        Some((_, 6)) => -1,
        Some((_, days)) => days,
        None if word == "isoweek" => 0,
        None => match semantics.week {
            WeekStart::Monday => 0,
            WeekStart::Sunday => -1,
        },
    }
}

/// `week(monday)`, a unit of time in `BigQuery`, as a word.
pub(super) fn week_of_its_own(expr: &mut Expr, semantics: Semantics) {
    let Expr::Function(function) = &*expr else { return };
    if semantics.adapter != "bigquery" || name_of(function) != "week" {
        return;
    }
    let day = match arguments(function).as_deref() {
        Some([day]) => word(day).map(str::to_lowercase),
        _ => None,
    };
    if let Some(day) = day.filter(|day| DAYS.contains(&day.as_str())) {
        *expr = Expr::Identifier(Ident::with_span(function.name.span(), format!("week({day})")));
    }
}

/// `BigQuery`'s number of a week in its year: those that begin in the year count, and what is before them is week 0.
fn week_number(word: &str, value: &Expr, semantics: Semantics) -> Option<Expr> {
    let sunday = (week_begin(word, semantics) + 1).rem_euclid(7);
    let template = format!("(date_part('doy', $1) + 6 - (time_part('dow', $1) + 7 - {sunday}) % 7) div 7");
    expand(&template, std::slice::from_ref(value), value.span())
}

/// `date_trunc` with a unit in any of its names: as a text, as a bare word, and behind the time as in `BigQuery`.
pub(super) fn truncated(first: &Expr, second: &Expr, span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let bare = |expr: &Expr| match expr {
        Expr::Identifier(word) if word.quote_style.is_none() => canonical_unit(&word.value),
        _ => None,
    };
    let (unit, value, known) = match (text(first), bare(first), bare(second)) {
        (Some(word), _, behind) => match (canonical_unit(word), behind) {
            (Some(known), _) => (first, second, known),
            // A time that is written as a text.
            (None, Some(_)) => {
                let time = expand("cast($1 as timestamp)", std::slice::from_ref(first), first.span());
                return truncated(second, &time.unwrap_or_else(|| first.clone()), span, rewriter);
            }
            (None, None) => return Err(no_unit(word, first.span(), rewriter)),
        },
        (None, Some(known), None) => (first, second, known),
        (None, Some(known), Some(_)) if !rewriter.semantics.unit_behind => (first, second, known),
        (None, _, Some(known)) => (second, first, known),
        (None, None, None) => return Ok(None),
    };
    let begin = word(unit).or_else(|| text(unit)).map_or(0, |word| week_begin(word, rewriter.semantics));
    let template = match rewriter.semantics.week {
        WeekStart::Sunday if known == "week" => days_before(&format!("time_cut($1, {})", days_before("$2", begin)), -begin),
        WeekStart::Sunday | WeekStart::Monday => "date_trunc($1, $2)".to_owned(),
    };
    Ok(expand(&template, &[literal(known, unit.span()), value.clone()], span))
}

#[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
fn no_unit(word: &str, span: Span, rewriter: &Rewriter) -> Box<SqlError> {
    rewriter.refuse(
        &format!("`{word}` is not a unit of time"),
        span,
        "the units are year, quarter, month, week, day, hour, minute, second, millisecond and microsecond",
    )
}

/// Whether a word names a part of a time.
pub(super) fn is_part(word: &str, semantics: Semantics) -> bool {
    const OTHERS: [&str; 9] = ["isoyear", "isodow", "dow", "doy", "epoch", "nanosecond", "nanoseconds", "m", "s"];
    const SHORT: [&str; 6] = ["ms", "us", "msec", "usec", "mins", "secs"];
    let lower = word.trim_matches('\'').to_lowercase();
    canonical_unit(&lower).is_some() || part(&lower, semantics).is_some() || OTHERS.contains(&lower.as_str()) || SHORT.contains(&lower.as_str())
}

/// The last day of the month, quarter, year or week of a date; `None` for another unit.
pub(super) fn last_day(date: &Expr, unit: &str, span: Span, semantics: Semantics) -> Option<Expr> {
    let template = match (canonical_unit(unit).filter(|_| !unit.contains('('))?, semantics.week) {
        ("month", _) => "last_day(cast($1 as date))",
        ("quarter", _) => "cast(date_trunc('quarter', cast($1 as timestamp)) + interval '3 months' - interval '1 day' as date)",
        ("year", _) => "make_date(date_part('year', cast($1 as date)), 12, 31)",
        ("week", WeekStart::Sunday) if !unit.eq_ignore_ascii_case("isoweek") => {
            "cast(time_cut('week', cast($1 as timestamp) + interval '1 day') + interval '5 days' as date)"
        }
        ("week", _) => "cast(time_cut('week', cast($1 as timestamp)) + interval '6 days' as date)",
        _ => return None,
    };
    expand(template, std::slice::from_ref(date), span)
}

/// Refuses a part of a time that there is none of.
pub(super) fn known_part(word: &str, span: Span, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    if is_part(word, rewriter.semantics) {
        return Ok(());
    }
    let parts = "the parts are year, quarter, month, week, day, hour, minute, second, millisecond, microsecond, dow, isodow, doy, isoyear and epoch";
    Err(rewriter.refuse(&format!("`{word}` is not a part of a time"), span, parts))
}

/// Spark's `trunc(date, 'month')`, which is a date.
pub(super) fn trunc(date: &Expr, unit: &str, span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let template = match unit.to_lowercase().as_str() {
        "year" | "yyyy" | "yy" => "make_date(date_part('year', cast($1 as date)), 1, 1)",
        "quarter" => "make_date(date_part('year', cast($1 as date)), cast(date_part('quarter', cast($1 as date)) * 3 - 2 as int), 1)",
        "month" | "mon" | "mm" => "make_date(date_part('year', cast($1 as date)), date_part('month', cast($1 as date)), 1)",
        "week" => "date_sub(cast($1 as date), cast((time_part('dow', cast($1 as date)) + 6) % 7 as int))",
        _ => {
            return Err(rewriter.refuse(
                &format!("`{unit}` is not a unit that a date is cut to"),
                span,
                "the units are year, quarter, month and week",
            ));
        }
    };
    Ok(expand(template, std::slice::from_ref(date), span))
}

/// A part of a date that DataFusion has under another name, or not at all; days of the week count as the functions of
/// these names do.
pub(super) fn part(word: &str, semantics: Semantics) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "dow" if semantics.dow_as_dayofweek => day_of_week(semantics),
        "dayofweek" | "day_of_week" | "dw" => day_of_week(semantics),
        "date" => "cast($1 as date)",
        "dayofyear" | "day_of_year" => "date_part('doy', $1)",
        "epoch_second" | "epoch_seconds" => "cast(floor(date_part('epoch', $1)) as bigint)",
        "epoch_millisecond" | "epoch_milliseconds" => "cast(floor(round(date_part('epoch', $1) * 1000000) / 1000) as bigint)",
        "epoch_microsecond" | "epoch_microseconds" => "cast(round(date_part('epoch', $1) * 1000000) as bigint)",
        "weekday" => "(time_part('dow', $1) + 6) % 7",
        "dayofweek_iso" | "dayofweekiso" | "dow_iso" | "isodow" => "(time_part('dow', $1) + 6) % 7 + 1",
        "dayofmonth" | "day_of_month" | "days" => "date_part('day', $1)",
        "weekofyear" | "week_of_year" | "week_iso" | "weekiso" | "isoweek" | "weeks" => "time_part('week', $1)",
        "yearofweek" | "year_of_week" | "yearofweekiso" => "date_part('isoyear', $1)",
        "years" => "date_part('year', $1)",
        "months" | "mon" => "date_part('month', $1)",
        "quarters" => "date_part('quarter', $1)",
        "hours" => "date_part('hour', $1)",
        "minutes" => "date_part('minute', $1)",
        "seconds" => "date_part('second', $1)",
        _ => return None,
    })
}

/// `interval x day`, which the planner only takes with a number that is written down, as so many times one day.
pub(super) fn reckoned_interval(interval: &Interval) -> Option<Expr> {
    let is_written = match interval.value.as_ref() {
        Expr::Value(_) => true,
        Expr::UnaryOp { expr, .. } => matches!(expr.as_ref(), Expr::Value(_)),
        _ => false,
    };
    if is_written || interval.last_field.is_some() {
        return None;
    }
    let unit = interval.leading_field.as_ref()?.to_string().to_lowercase();
    let once = match unit.as_str() {
        "quarter" | "quarters" => "3 month",
        other => &format!("1 {other}"),
    };
    expand(&format!("$1 * interval '{once}'"), std::slice::from_ref(&*interval.value), Spanned::span(interval.value.as_ref()))
}

/// A clock in the text of an interval, `'1 day 02:03:04.5'`, in words: hours, minutes and seconds.
pub(super) fn clock_in_words(value: &mut Expr) {
    let Some(written) = text(value).filter(|written| written.contains(':')) else { return };
    let words: Option<Vec<String>> =
        written.split_whitespace().map(|part| if part.contains(':') { clock(part) } else { Some(part.to_owned()) }).collect();
    if let Some(words) = words {
        *value = literal(&words.join(" "), value.span());
    }
}

/// `-02:03:04.5` as `-2 hours -3 minutes -4.5 seconds`.
fn clock(part: &str) -> Option<String> {
    let (sign, digits) = match part.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", part.strip_prefix('+').unwrap_or(part)),
    };
    let parts: Vec<&str> = digits.split(':').collect();
    let whole = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let known = whole(hours) && whole(minutes) && seconds.split('.').count() <= 2 && seconds.split('.').all(whole);
    known.then(|| format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds"))
}

/// Whether an expression is a stretch of time as it is written, or as [`reckoned_interval`] wrote it.
pub(super) fn is_interval(expr: &Expr) -> bool {
    match expr {
        Expr::Interval(_) => true,
        Expr::Nested(inner) => is_interval(inner),
        Expr::BinaryOp { op: BinaryOperator::Multiply, right, .. } => is_interval(right),
        _ => false,
    }
}

/// The day of the week as the function `dayofweek` counts it.
pub(super) fn day_of_week(semantics: Semantics) -> &'static str {
    match semantics.sunday {
        Sunday::One => "time_part('dow', $1) + 1",
        Sunday::Zero => "time_part('dow', $1)",
        Sunday::Seven => "(time_part('dow', $1) + 6) % 7 + 1",
    }
}

/// `extract(part from date)` with a part that DataFusion does not know.
pub(super) fn extracted(word: &str, value: &Expr, semantics: Semantics) -> Option<Expr> {
    if semantics.adapter == "bigquery" && (word.eq_ignore_ascii_case("week") || word.to_lowercase().starts_with("week(")) {
        return week_number(word, value, semantics);
    }
    expand(part(word, semantics)?, std::slice::from_ref(value), value.span())
}

fn canonical_unit(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    Some(match word.strip_suffix('s').unwrap_or(&word) {
        "year" | "yy" | "yyyy" | "yr" | "y" => "year",
        "quarter" | "qtr" | "q" | "qq" => "quarter",
        "month" | "mon" | "mm" => "month",
        "week" | "wk" | "ww" | "w" | "isoweek" => "week",
        "day" | "dd" | "d" | "dayofyear" => "day",
        "hour" | "hh" | "hr" | "h" => "hour",
        "minute" | "min" | "mi" => "minute",
        "second" | "sec" => "second",
        "millisecond" => "millisecond",
        "microsecond" => "microsecond",
        day if day.strip_prefix("week(").and_then(|day| day.strip_suffix(')')).is_some_and(|day| DAYS.contains(&day)) => "week",
        _ => return None,
    })
}
