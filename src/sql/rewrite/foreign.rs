//! Functions that single engines have, whose form depends on what their arguments say; those that are another spelling alone are
//! in `rules`.

use deltalake::datafusion::sql::sqlparser::ast::{self, Expr, Ident, ObjectName, Spanned};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::calls::{arguments, json_path, literal, strftime, text, with_java, word};
use super::expand::{expand, name_of};
use super::{Rewriter, dates, formats};
use crate::sql::SqlError;

pub(super) fn call(name: &str, arguments: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    Ok(match (name, arguments) {
        ("format_datetime", [value, pattern]) if matches!(rewriter.semantics.adapter, "trino" | "athena") => {
            with_java(value, pattern, "to_char(cast($1 as timestamp), $2)", rewriter, span)?
        }
        ("format_date" | "format_datetime" | "format_timestamp", [pattern, value]) if text(pattern).is_some() => strftime(value, pattern, span),
        ("format_timestamp", [pattern, value, zone]) if text(pattern).is_some() => {
            let there = expand("from_utc_timestamp(cast($1 as timestamp), $2)", &[value.clone(), zone.clone()], span);
            there.and_then(|there| strftime(&there, pattern, span))
        }
        ("to_number" | "to_numeric" | "to_decimal" | "try_to_number" | "try_to_numeric" | "try_to_decimal", [value, digits @ ..])
            if !digits.is_empty() =>
        {
            number(name, value, digits, rewriter, span)?
        }
        ("object_construct", pairs) => object("to_json", pairs, span, rewriter)?,
        ("object_construct_keep_null" | "json_object" | "json_build_object" | "jsonb_build_object", pairs) if pairs.len() % 2 == 0 => {
            object("to_json_string", pairs, span, rewriter)?
        }
        ("format", [pattern, _, ..]) if text(pattern).is_some() && matches!(rewriter.semantics.adapter, "bigquery" | "trino" | "athena") => {
            expand(&format!("format_string({})", places(arguments.len())), arguments, span)
        }
        ("json_extract_path_text", [_, _, _, ..]) if arguments[1..].iter().all(|key| text(key).is_some()) => {
            expand(&format!("json_as_text({})", places(arguments.len())), arguments, span)
        }
        ("json_extract_string_array" | "json_value_array", [json, path]) => {
            json_path(json, path, "json_get_json", rewriter, span)?.and_then(|list| expand("json_items($1)", &[list], span))
        }
        ("date_parse" | "str_to_date", [value, pattern]) => text(pattern).and_then(|written| {
            let known = literal(&formats::from_mysql(written), pattern.span());
            let has_time = written.split('%').skip(1).any(|part| part.starts_with(['H', 'h', 'k', 'l', 'I', 'i', 's', 'S', 'f', 'T', 'r', 'p']));
            let is_date = name == "str_to_date" && !has_time;
            let template = if is_date { "cast(parse_time($1, $2, $3) as date)" } else { "parse_time($1, $2, $3)" };
            expand(template, &[value.clone(), known, pattern.clone()], span)
        }),
        ("current_date", [zone]) => expand("cast(from_utc_timestamp(cast(now() as timestamp), $1) as date)", std::slice::from_ref(zone), span),
        ("current_datetime", [zone]) => expand("from_utc_timestamp(cast(now() as timestamp), $1)", std::slice::from_ref(zone), span),
        ("last_day", [date, unit]) => text(unit).or_else(|| word(unit)).and_then(|unit| dates::last_day(date, unit, span, rewriter.semantics)),
        _ => None,
    })
}

/// `ratio_to_report(x) over (..)`: the part of the sum; NULL where that is zero.
pub(super) fn share(function: &ast::Function) -> Option<Expr> {
    let value = arguments(function)?.first()?.clone();
    let span = function.name.span();
    let sum = ast::Function { name: ObjectName::from(vec![Ident { value: "sum".into(), quote_style: None, span }]), ..function.clone() };
    sum.over.as_ref()?;
    expand("cast($1 as double) / nullif($2, 0)", &[value, Expr::Function(sum)], span)
}

/// Snowflake's conversions with digits, `to_number(x, 10, 2)`.
fn number(name: &str, value: &Expr, digits: &[Expr], rewriter: &Rewriter, span: Span) -> Result<Option<Expr>, Box<SqlError>> {
    if let Some(format) = digits.iter().find(|digit| text(digit).is_some()) {
        return Err(rewriter.refuse(
            "formats of numbers are not supported",
            format.span(),
            "take the other letters away with `replace`, and cast the rest",
        ));
    }
    let cast = if name.starts_with("try_") { "try_cast" } else { "cast" };
    let template = match digits {
        [digits] => format!("{cast}($1 as decimal({digits}, 0))"),
        [digits, scale] => format!("{cast}($1 as decimal({digits}, {scale}))"),
        _ => return Ok(None),
    };
    Ok(expand(&template, std::slice::from_ref(value), span))
}

/// `object_construct('a', 1, ..)`: JSON without what is NULL. One within another is an object in it.
fn object(writer: &str, pairs: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    if pairs.is_empty() {
        return Ok(Some(literal("{}", span)));
    }
    let mut parts = Vec::with_capacity(pairs.len());
    for part in pairs {
        parts.push(match part {
            Expr::Function(call) if matches!(name_of(call).as_str(), "to_json" | "to_json_string") => match arguments(call).as_deref() {
                Some([inner @ Expr::Function(made)]) if name_of(made) == "named_struct" => inner.clone(),
                _ => return Err(json_inside(part, rewriter)),
            },
            Expr::Function(call) if matches!(name_of(call).as_str(), "parse_json" | "try_parse_json" | "json_get_json") => {
                return Err(json_inside(part, rewriter));
            }
            plain => plain.clone(),
        });
    }
    Ok(expand(&format!("{writer}(named_struct({}))", places(parts.len())), &parts, span))
}

#[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
fn json_inside(part: &Expr, rewriter: &Rewriter) -> Box<SqlError> {
    rewriter.refuse("JSON that is a text can't stand in an object", part.span(), "take the values that are wanted out of it")
}

/// `$1, $2, ..`
fn places(count: usize) -> String {
    (1..=count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}
