//! Date functions whose first argument is a unit: a bare word as in Databricks, or a text as in DuckDB.

use deltalake::datafusion::sql::sqlparser::ast::{Expr, Spanned};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::calls::{literal, text};
use super::expand::expand;
use crate::sql::SqlError;

/// `dateadd(unit, n, date)` and `datediff(unit, from, to)`, with the names they have elsewhere.
///
/// A difference with a bare unit counts whole units that have passed, as Databricks documents it; with a unit in
/// quotes it counts the boundaries between the two, as DuckDB documents it.
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
        "datediff" | "date_diff" if is_text => "boundaries_between",
        _ => "timestampdiff",
    };
    let [first, second] = values.map(Clone::clone);
    let template = if function == "timestampadd" {
        "timestampadd($1, $2, cast($3 as timestamp))".to_owned()
    } else {
        format!("{function}($1, cast($2 as timestamp), cast($3 as timestamp))")
    };
    Ok(expand(&template, &[literal(known, unit.span()), first, second], span))
}

/// `date_trunc` with a unit in any of its names: as a text, as a bare word, and behind the time as in `BigQuery`.
pub(super) fn truncated(first: &Expr, second: &Expr, span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let bare = |expr: &Expr| match expr {
        Expr::Identifier(word) if word.quote_style.is_none() => canonical_unit(&word.value),
        _ => None,
    };
    let (unit, value, known) = match (text(first), bare(first), bare(second)) {
        (Some(word), ..) => match canonical_unit(word) {
            Some(known) => (first, second, known),
            None => return Err(no_unit(word, first.span(), rewriter)),
        },
        (None, Some(known), _) => (first, second, known),
        (None, None, Some(known)) => (second, first, known),
        (None, None, None) => return Ok(None),
    };
    Ok(expand("date_trunc($1, $2)", &[literal(known, unit.span()), value.clone()], span))
}

#[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
fn no_unit(word: &str, span: Span, rewriter: &Rewriter) -> Box<SqlError> {
    rewriter.refuse(
        &format!("`{word}` is not a unit of time"),
        span,
        "the units are year, quarter, month, week, day, hour, minute, second, millisecond and microsecond",
    )
}

/// Refuses a part of a time that there is none of.
pub(super) fn known_part(word: &str, span: Span, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    const OTHERS: [&str; 9] = ["isoyear", "isodow", "dow", "doy", "epoch", "nanosecond", "nanoseconds", "m", "s"];
    const SHORT: [&str; 6] = ["ms", "us", "msec", "usec", "mins", "secs"];
    let lower = word.trim_matches('\'').to_lowercase();
    if canonical_unit(&lower).is_some() || part(&lower).is_some() || OTHERS.contains(&lower.as_str()) || SHORT.contains(&lower.as_str()) {
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
        "week" => "date_sub(cast($1 as date), cast((date_part('dow', cast($1 as date)) + 6) % 7 as int))",
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
pub(super) fn part(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "dayofyear" => "date_part('doy', $1)",
        "dayofweek" => "date_part('dow', $1) + 1",
        "weekday" => "(date_part('dow', $1) + 6) % 7",
        "dayofweek_iso" | "dayofweekiso" | "dow_iso" | "isodow" => "(date_part('dow', $1) + 6) % 7 + 1",
        "dayofmonth" | "days" => "date_part('day', $1)",
        "weekofyear" | "week_iso" | "weeks" => "date_part('week', $1)",
        "yearofweek" | "yearofweekiso" => "date_part('isoyear', $1)",
        "years" => "date_part('year', $1)",
        "months" | "mon" => "date_part('month', $1)",
        "quarters" => "date_part('quarter', $1)",
        "hours" => "date_part('hour', $1)",
        "minutes" => "date_part('minute', $1)",
        "seconds" => "date_part('second', $1)",
        _ => return None,
    })
}

/// `extract(part from date)` with a part that DataFusion does not know.
pub(super) fn extracted(word: &str, value: &Expr) -> Option<Expr> {
    expand(part(word)?, std::slice::from_ref(value), value.span())
}

fn canonical_unit(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    Some(match word.strip_suffix('s').unwrap_or(&word) {
        "year" | "yy" | "yyyy" | "yr" | "y" => "year",
        "quarter" | "qtr" | "q" | "qq" => "quarter",
        "month" | "mon" | "mm" => "month",
        "week" | "wk" | "ww" | "w" => "week",
        "day" | "dd" | "d" | "dayofyear" => "day",
        "hour" | "hh" | "hr" | "h" => "hour",
        "minute" | "min" | "mi" => "minute",
        "second" | "sec" => "second",
        "millisecond" => "millisecond",
        "microsecond" => "microsecond",
        _ => return None,
    })
}
