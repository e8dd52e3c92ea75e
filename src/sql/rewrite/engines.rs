//! Functions of one engine that have a form of their own: Snowflake's `uniform`, `regexp_substr` with a place, times by a scale
//! and `object_agg`; what `BigQuery` calls by `safe.`; texts and lists out of JSON.

use deltalake::datafusion::sql::sqlparser::ast::{
    self, DataType, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName, Spanned,
    UnaryOperator, Value,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::calls::{arguments, json_path, text};
use super::expand::{expand, name_of};
use super::{Rewriter, transact};
use crate::sql::SqlError;

pub(super) fn call(name: &str, arguments: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    Ok(match (name, arguments) {
        ("uniform", [low, high, source]) => Some(uniform([low, high], source, span, rewriter)?),
        ("regexp_substr", [_, _, _, ..]) => matched(arguments, span, rewriter)?,
        (
            "to_timestamp" | "to_timestamp_ntz" | "to_timestamp_ltz" | "to_timestamp_tz" | "try_to_timestamp" | "try_to_timestamp_ntz",
            [value, scale],
        ) => match number(scale) {
            Some(scale) => timestamp(name, value, scale, span),
            None => None,
        },
        ("json_extract_array" | "json_query_array", [json]) => expand("json_texts($1)", std::slice::from_ref(json), span),
        ("json_extract_array" | "json_query_array", [json, path]) => {
            json_path(json, path, "json_get_json", rewriter, span)?.and_then(|list| expand("json_texts($1)", &[list], span))
        }
        ("md5" | "sha1" | "sha256" | "sha512", [value]) if matches!(rewriter.semantics.adapter, "bigquery" | "athena" | "trino") => {
            let written = if name == "sha1" { "sha1($1)".to_owned() } else { format!("{name}($1)") };
            bytes_of(&written, value, span)
        }
        ("to_hex", [value]) if rewriter.semantics.adapter == "bigquery" => expand("encode($1, 'hex')", std::slice::from_ref(value), span),
        ("to_hex", [value]) if matches!(rewriter.semantics.adapter, "athena" | "trino") => {
            expand("upper(encode($1, 'hex'))", std::slice::from_ref(value), span)
        }
        ("to_utf8", [value]) => expand("cast(cast($1 as varchar) as bytea)", std::slice::from_ref(value), span),
        ("from_utf8", [value]) => expand("cast($1 as varchar)", std::slice::from_ref(value), span),
        (name, arguments) if matches!(rewriter.semantics.adapter, "fabric" | "sqlserver" | "synapse") => {
            transact::call(name, arguments, span, rewriter)?
        }
        ("upper" | "lower" | "trim" | "ltrim" | "rtrim" | "btrim" | "initcap", [value]) if rewriter.semantics.takes_for_texts => {
            as_text(value, span).and_then(|value| expand(&format!("{name}($1)"), &[value], span))
        }
        _ => None,
    })
}

/// What an engine takes for a text where one is wanted: numbers and times too.
pub(super) fn as_text(value: &Expr, span: Span) -> Option<Expr> {
    if text(value).is_some() { None } else { expand("cast($1 as varchar)", std::slice::from_ref(value), span) }
}

/// A hash as bytes.
pub(super) fn bytes_of(hash: &str, value: &Expr, span: Span) -> Option<Expr> {
    let template = match hash {
        "md5($1)" => "decode(md5($1), 'hex')",
        "sha1($1)" => "decode(sha1($1), 'hex')",
        "sha256($1)" => "sha256($1)",
        _ => "sha512($1)",
    };
    expand(template, std::slice::from_ref(value), span)
}

/// A whole number that is written out.
pub(super) fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Snowflake's times by the number of digits behind the second.
fn timestamp(name: &str, value: &Expr, scale: u64, span: Span) -> Option<Expr> {
    let reader = match scale {
        0 => "to_timestamp_seconds",
        3 => "to_timestamp_millis",
        6 => "to_timestamp_micros",
        9 => "to_timestamp_nanos",
        _ => return None,
    };
    let cast = if name.starts_with("try_") { "try_cast" } else { "cast" };
    let kind = if name.ends_with("_tz") || name.ends_with("_ltz") { "timestamptz" } else { "timestamp" };
    expand(&format!("cast({reader}({cast}($1 as bigint)) as {kind})"), std::slice::from_ref(value), span)
}

/// `uniform(1, 10, random())`: whole numbers with both ends, or fractions where an end is one.
fn uniform(ends: [&Expr; 2], source: &Expr, span: Span, rewriter: &Rewriter) -> Result<Expr, Box<SqlError>> {
    let refuse = |place: Span, message: &str, help: &str| rewriter.refuse(message, place, help);
    if !matches!(source, Expr::Function(function) if matches!(name_of(function).as_str(), "random" | "rand")) {
        return Err(refuse(source.span(), "`uniform` needs `random()` for its numbers", "write it as `uniform(1, 10, random())`"));
    }
    let digits = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits.clone()),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => Some(expr.to_string()),
            _ => None,
        },
        Expr::Cast { expr, .. } if matches!(expr.as_ref(), Expr::Value(_)) => Some(expr.to_string() + ".0"),
        _ => None,
    };
    let (Some(low), Some(high)) = (digits(ends[0]), digits(ends[1])) else {
        return Err(refuse(span, "`uniform` needs its ends as numbers", "write it as `uniform(1, 10, random())`"));
    };
    let whole = low.parse::<i64>().is_ok() && high.parse::<i64>().is_ok();
    let template = if whole { "cast(floor(random() * ($2 - $1 + 1)) as bigint) + $1" } else { "$1 + random() * ($2 - $1)" };
    expand(template, &[ends[0].clone(), ends[1].clone()], span).ok_or_else(|| refuse(span, "this `uniform` is not supported", "use `random()`"))
}

/// `regexp_substr(text, pattern, from, nth, flags, group)`; NULL where nothing matches.
fn matched(given: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let [value, pattern, from, rest @ ..] = given else { return Ok(None) };
    let flags = match rest.get(1) {
        None => "",
        Some(flags) => {
            text(flags).ok_or_else(|| rewriter.refuse("the flags have to be a text in quotes", flags.span(), "write them as 'i' or 'e'"))?
        }
    };
    if let Some(flag) = flags.chars().find(|flag| !"ceimsp".contains(*flag)) {
        let place = rest.get(1).map_or(span, Spanned::span);
        return Err(rewriter.refuse(&format!("the flag `{flag}` is not known"), place, "the flags are c, e, i, m, p and s"));
    }
    let inline: String = flags.chars().filter(|flag| "ims".contains(*flag)).collect();
    // Where there is no group, the whole match is meant.
    let without = text(pattern).is_some_and(|pattern| regex::Regex::new(pattern).is_ok_and(|regex| regex.captures_len() == 1));
    let group = match rest.get(2).filter(|_| !without) {
        Some(group) => group.clone(),
        None if without => match expand("0", &[], span) {
            Some(group) => group,
            None => return Ok(None),
        },
        None => match expand(if flags.contains('e') { "1" } else { "0" }, &[], span) {
            Some(group) => group,
            None => return Ok(None),
        },
    };
    let nth = match rest.first() {
        Some(nth) => nth.clone(),
        None => match expand("1", &[], span) {
            Some(one) => one,
            None => return Ok(None),
        },
    };
    let subject = if number(from) == Some(1) { "$1" } else { "text_part($1, $3)" };
    let pattern_text = if inline.is_empty() { "$2".to_owned() } else { format!("'(?{inline})' || $2") };
    Ok(expand(
        &format!("array_element(regexp_extract_all({subject}, {pattern_text}, $5), $4)"),
        &[value.clone(), pattern.clone(), from.clone(), nth, group],
        span,
    ))
}

/// Aggregates that stand for others: what is given keeps its order and filter.
pub(super) fn aggregate(name: &str, function: &ast::Function) -> Option<Expr> {
    let span = function.name.span();
    match name {
        "array_concat_agg" => {
            let mut list = renamed(function, "array_agg");
            super::meant::without_nulls(&mut list);
            let limited = super::calls::first_values(&mut list).unwrap_or(Expr::Function(list));
            expand("flatten($1)", &[limited], span)
        }
        "approx_quantiles" => {
            let [value, parts] = arguments_of(function)?;
            let mut list = renamed(function, "array_agg");
            let options = ast::OrderByOptions { asc: Some(true), nulls_first: None };
            if let FunctionArguments::List(given) = &mut list.args {
                given.args.truncate(1);
                given.clauses.push(FunctionArgumentClause::OrderBy(vec![ast::OrderByExpr { expr: value, options, with_fill: None }]));
            }
            super::meant::without_nulls(&mut list);
            expand("list_quantiles($1, $2)", &[Expr::Function(list), parts], span)
        }
        "object_agg" => {
            let [key, value] = arguments(function)?.try_into().ok()?;
            let known = expand("$1 is not null and $2 is not null", &[key.clone(), value.clone()], span)?;
            let list = |of: &Expr| {
                let mut list = renamed(function, "array_agg");
                if let FunctionArguments::List(given) = &mut list.args {
                    given.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(of.clone()))];
                }
                list.filter = Some(Box::new(known.clone()));
                Expr::Function(list)
            };
            let key = expand("cast($1 as varchar)", &[key], span)?;
            expand("coalesce(to_json(map_from_arrays($1, $2)), '{}')", &[list(&key), list(&value)], span)
        }
        _ => None,
    }
}

/// The two arguments of an aggregate, also of different values; `None` where something else stands beside them.
fn arguments_of(function: &ast::Function) -> Option<[Expr; 2]> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(first)), FunctionArg::Unnamed(FunctionArgExpr::Expr(second))] if list.clauses.is_empty() => {
            Some([first.clone(), second.clone()])
        }
        _ => None,
    }
}

fn renamed(function: &ast::Function, name: &str) -> ast::Function {
    let name = ObjectName::from(vec![Ident { value: name.into(), quote_style: None, span: function.name.span() }]);
    ast::Function { name, ..function.clone() }
}

/// `string_agg(x, ',' order by y limit 2)` as the text of the first values.
pub(super) fn first_texts(function: &ast::Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.clauses.iter().find(|clause| matches!(clause, FunctionArgumentClause::Limit(_)))?;
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(_)), FunctionArg::Unnamed(FunctionArgExpr::Expr(between))] = list.args.as_slice() else {
        return None;
    };
    let mut values = renamed(function, "array_agg");
    if let FunctionArguments::List(list) = &mut values.args {
        list.args.truncate(1);
    }
    super::meant::without_nulls(&mut values);
    let first = super::calls::first_values(&mut values)?;
    expand("array_to_string($1, $2)", &[first, between.clone()], function.name.span())
}

/// `string_agg(distinct x, ',' order by x)` as the text of a list, which takes values of any type, and other aggregates beside it.
pub(super) fn distinct_texts(function: &ast::Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArgumentClause::OrderBy(order)] = list.clauses.as_slice() else { return None };
    let ([by], Some(DuplicateTreatment::Distinct)) = (order.as_slice(), list.duplicate_treatment) else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(text)), FunctionArg::Unnamed(FunctionArgExpr::Expr(between))] = list.args.as_slice() else {
        return None;
    };
    let value = match text {
        Expr::Cast { expr, data_type: DataType::Varchar(None), .. } if **expr == by.expr => expr.as_ref(),
        other if *other == by.expr => other,
        _ => return None,
    };
    let mut values = renamed(function, "array_agg");
    if let FunctionArguments::List(list) = &mut values.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
    }
    super::meant::without_nulls(&mut values);
    expand("array_to_string(cast($1 as varchar[]), $2)", &[Expr::Function(values), between.clone()], function.name.span())
}

/// What `safe.f(..)` stands for: a function that gives NULL where `f` fails, or `f`, if it never does.
pub(super) fn safe(function: &mut ast::Function, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    const NEVER_FAIL: [&str; 14] = [
        "substr",
        "substring",
        "left",
        "right",
        "lower",
        "upper",
        "trim",
        "concat",
        "length",
        "format_date",
        "regexp_contains",
        "to_json_string",
        "safe_divide",
        "reverse",
    ];
    let called = name_of(function);
    // Numbers stay as they are written here.
    if matches!(called.as_str(), "parse_json" | "safe.parse_json")
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args.retain(|argument| !matches!(argument, FunctionArg::Named { name, .. } if name.value.eq_ignore_ascii_case("wide_number_mode")));
    }
    let Some(name) = called.strip_prefix("safe.") else { return Ok(()) };
    let meant = match name {
        "parse_json" => "try_parse_json",
        "parse_date" => "safe_parse_date",
        "parse_timestamp" => "safe_parse_timestamp",
        "parse_datetime" => "safe_parse_datetime",
        "divide" => "safe_divide",
        known if NEVER_FAIL.contains(&known) => known,
        _ => {
            let help = "`safe_cast(..)`, `safe_divide(..)` and `try_..` give NULL where a value does not fit";
            return Err(rewriter.refuse(&format!("`safe.{name}` is not available"), function.name.span(), help));
        }
    };
    let span = function.name.span();
    function.name = ObjectName::from(vec![Ident { value: meant.to_owned(), quote_style: None, span }]);
    Ok(())
}
