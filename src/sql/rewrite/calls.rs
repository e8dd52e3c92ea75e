//! Calls of functions that DataFusion has under another name or in another form.

use deltalake::datafusion::sql::sqlparser::ast::{
    self, CaseWhen, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName, Spanned,
    Value,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::expand::{expand, is_volatile, name_of, repeats};
use super::formats::Piece;
use super::{Rewriter, dates, engines, foreign, formats, meant, replacement, rules, windows};
use crate::sql::SqlError;
use crate::sql::collected::is_ordered;
use crate::sql::functions::is_scalar;

/// Refuses what stands beside the arguments of a function of single rows: the planner would pass over it.
pub(super) fn no_clauses(expr: &Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let (distinct, ordered) = match &function.args {
        FunctionArguments::List(list) => (
            list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
            list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_))),
        ),
        FunctionArguments::None | FunctionArguments::Subquery(_) => (false, false),
    };
    let clause = match function {
        _ if distinct => "distinct",
        _ if ordered => "order by",
        ast::Function { filter: Some(_), .. } => "filter",
        ast::Function { over: Some(_), .. } => "over",
        ast::Function { within_group, .. } if !within_group.is_empty() => "within group",
        _ => return Ok(()),
    };
    let name = name_of(function);
    if !is_scalar(&name) {
        return Ok(());
    }
    let message = format!("`{clause}` has no meaning for `{name}`, which gives a value for each row");
    Err(rewriter.refuse(&message, function.name.span(), &format!("take the `{clause}` out, or write it at an aggregate or a window function")))
}

/// Rewrites one call whose arguments have been rewritten before; leaves alone what needs nothing.
pub(super) fn rewrite(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Expr::Function(function) = expr else { return Ok(()) };
    engines::safe(function, rewriter)?;
    let name = name_of(function);
    if name.is_empty() {
        return Ok(());
    }
    if let Some(found) = windows::rewrite(function, rewriter)? {
        *expr = found;
        return Ok(());
    }
    if let Some(aggregate) = engines::aggregate(&name, function) {
        *expr = aggregate;
        return Ok(());
    }
    if name == "count" {
        count_several(function);
        return Ok(());
    }
    if matches!(name.as_str(), "listagg" | "group_concat") || name == "string_agg" && has_one_argument(function) {
        string_agg(function);
    }
    if matches!(name.as_str(), "list" | "arrayagg") {
        function.name = ObjectName::from(vec![Ident { value: "array_agg".into(), quote_style: None, span: function.name.span() }]);
    }
    if name == "ratio_to_report" {
        if let Some(ratio) = foreign::share(function) {
            *expr = ratio;
        }
        return Ok(());
    }
    if matches!(name.as_str(), "listagg" | "group_concat" | "string_agg" | "array_agg" | "list" | "arrayagg") {
        if let Some(first) = collected(function, rewriter) {
            *expr = first;
        }
        return Ok(());
    }
    if name == "localtimestamp" && matches!(function.args, FunctionArguments::None) {
        if let Some(now) = expand("cast(now() as timestamp)", &[], function.name.span()) {
            *expr = now;
        }
        return Ok(());
    }
    // These keep what stands beside their arguments: an order, a filter, a window.
    let renamed = match name.as_str() {
        "list_value" | "list_pack" | "array_construct" => Some("make_array"),
        "first" => Some("first_value"),
        "last" => Some("last_value"),
        _ => None,
    };
    if let Some(renamed) = renamed {
        function.name = ObjectName::from(vec![Ident { value: renamed.into(), quote_style: None, span: function.name.span() }]);
        return Ok(());
    }
    if name == "struct_pack" {
        if let Some(made) = packed(function) {
            *expr = made;
        }
        return Ok(());
    }
    if name == "regexp_replace" {
        replacement::rewrite(function, rewriter.semantics);
    }
    let Some(arguments) = arguments(function) else { return Ok(()) };
    let span = function.name.span();
    let replacement = match engines::call(&name, &arguments, span, rewriter)? {
        Some(found) => found,
        None if let Some(found) = special(&name, &arguments, span, rewriter)? => found,
        None if let Some(found) = foreign::call(&name, &arguments, span, rewriter)? => found,
        None if let Some(found) = meant::call(&name, &arguments, span, rewriter.semantics) => found,
        None => match by_rule(&name, &arguments, span) {
            Some(found) => found,
            None => return Ok(()),
        },
    };
    if let Some(replacement) = keep_clauses(function, replacement) {
        *expr = replacement;
    }
    Ok(())
}

/// Collected values with their order; what a call that takes the first of them stands for.
fn collected(function: &mut ast::Function, rewriter: &Rewriter) -> Option<Expr> {
    order_within(function);
    sorted_if_distinct(function);
    if name_is(&function.name, "string_agg")
        && let Some(texts) = engines::first_texts(function).or_else(|| engines::distinct_texts(function))
    {
        return Some(texts);
    }
    if name_is(&function.name, "array_agg") && rewriter.semantics.array_agg_skips_nulls {
        meant::without_nulls(function);
    }
    first_values(function)
}

/// `struct_pack(a := 1)` as `named_struct('a', 1)`.
fn packed(function: &ast::Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let mut parts = Vec::new();
    for argument in &list.args {
        let FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } = argument else { return None };
        parts.extend([literal(&name.value, name.span), value.clone()]);
    }
    let places: Vec<String> = (1..=parts.len()).map(|at| format!("${at}")).collect();
    expand(&format!("named_struct({})", places.join(", ")), &parts, function.name.span())
}

/// The arguments of a call, if all of them are plain expressions and nothing else stands in the parentheses.
pub(super) fn arguments(function: &ast::Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn by_rule(name: &str, arguments: &[Expr], span: Span) -> Option<Expr> {
    let rule = rules::find(name, arguments.len())?;
    let rolls = arguments.iter().enumerate().any(|(at, argument)| repeats(rule.stands_for, at + 1) && is_volatile(argument));
    (!rolls).then(|| expand(rule.stands_for, arguments, span)).flatten()
}

/// Forms that depend on what an argument says.
fn special(name: &str, arguments: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    Ok(match (name, arguments) {
        ("decode", [subject, pairs @ ..]) if pairs.len() >= 2 => Some(decode(subject, pairs)),
        ("dateadd" | "date_add" | "timestampadd" | "datediff" | "date_diff" | "timestampdiff" | "date_sub", [unit, first, second]) => {
            let behind = || if name == "date_diff" { dates::unit_behind(name, [unit, first], second, span, rewriter) } else { None };
            // A column may be called as a unit is.
            let meant = if rewriter.semantics.unit_behind { behind() } else { None };
            match meant {
                Some(found) => Some(found),
                None => dates::with_unit(name, unit, [first, second], span, rewriter)?.or_else(behind),
            }
        }
        ("timestamp_diff" | "datetime_diff", [to, from, unit]) => dates::unit_behind(name, [to, from], unit, span, rewriter),
        ("dayofweek", [date]) => expand(dates::day_of_week(rewriter.semantics), std::slice::from_ref(date), span),
        ("date_add" | "datetime_add" | "timestamp_add", [date, amount]) if dates::is_interval(amount) => {
            expand("$1 + $2", &[date.clone(), amount.clone()], span)
        }
        ("date_sub" | "datetime_sub" | "timestamp_sub", [date, amount]) if dates::is_interval(amount) => {
            expand("$1 - $2", &[date.clone(), amount.clone()], span)
        }
        ("to_binary", [value, format]) => text(format).and_then(|format| bytes(value, format, span)),
        ("trunc", [date, unit]) => text(unit).map(|unit| dates::trunc(date, unit, span, rewriter)).transpose()?.flatten(),
        ("date_trunc" | "datetrunc" | "timestamp_trunc" | "datetime_trunc", [first, second]) => dates::truncated(first, second, span, rewriter)?,
        ("date_part" | "datepart" | "extract", [part, date]) => {
            let bare = word(part).filter(|word| name != "extract" && dates::is_part(word, rewriter.semantics));
            let named = text(part).or(bare);
            named.map(|word| dates::known_part(word, part.span(), rewriter)).transpose()?;
            match named.and_then(|word| dates::extracted(word, date, rewriter.semantics)) {
                Some(meant) => Some(meant),
                None => bare.and_then(|word| expand("date_part($1, $2)", &[literal(word, part.span()), date.clone()], span)),
            }
        }
        // Where the match begins; behind it (1) there is nothing for.
        ("regexp_instr", [text, pattern, from, nth, option]) if is_zero(option) => {
            expand("regexp_instr($1, $2, $3, $4)", &[text.clone(), pattern.clone(), from.clone(), nth.clone()], span)
        }
        ("regexp_instr", [text, pattern, from, nth, option, flags]) if is_zero(option) => expand(
            "regexp_instr($1, case when translate($5, 'ce', '') = '' then $2 else '(?' || translate($5, 'ce', '') || ')' || $2 end, $3, $4)",
            &[text.clone(), pattern.clone(), from.clone(), nth.clone(), flags.clone()],
            span,
        ),
        ("date_format", [value, pattern]) => with_java(value, pattern, "to_char(cast($1 as timestamp), $2)", rewriter, span)?,
        ("from_unixtime", [value, pattern]) if text(pattern).is_some_and(|pattern| !pattern.contains('/')) => {
            with_java(value, pattern, "to_char(from_unixtime($1), $2)", rewriter, span)?
        }
        ("unix_timestamp", [value, pattern]) => {
            parsed(value, pattern, rewriter, span, "cast(floor(date_part('epoch', parse_time($1, $2, $3))) as bigint)")?
        }
        ("to_char" | "to_varchar", [value, pattern]) => written(value, pattern, rewriter, span)?,
        ("strftime", [value, pattern]) => strftime(value, pattern, span),
        ("to_date", [value, pattern]) | ("parse_date", [pattern, value]) => {
            parsed(value, pattern, rewriter, span, "cast(parse_time($1, $2, $3) as date)")?
        }
        ("try_to_date", [value, pattern]) | ("safe_parse_date", [pattern, value]) => {
            parsed(value, pattern, rewriter, span, "cast(try_parse_time($1, $2, $3) as date)")?
        }
        ("to_timestamp", [value]) => expand("to_timestamp(with_time($1))", std::slice::from_ref(value), span),
        ("to_timestamp" | "to_timestamp_ntz" | "strptime", [value, pattern]) | ("parse_datetime" | "parse_timestamp", [pattern, value]) => {
            parsed(value, pattern, rewriter, span, "parse_time($1, $2, $3)")?
        }
        ("try_to_timestamp" | "try_strptime", [value, pattern]) | ("safe_parse_timestamp" | "safe_parse_datetime", [pattern, value]) => {
            parsed(value, pattern, rewriter, span, "try_parse_time($1, $2, $3)")?
        }
        ("get_path", [json, path]) => match text(path) {
            Some(keys) => json_path(json, &literal(&format!("$.{keys}"), path.span()), "json_as_text", rewriter, span)?,
            None => None,
        },
        ("get_json_object" | "json_extract_string", [json, path]) => json_path(json, path, "json_as_text", rewriter, span)?,
        ("json_extract_scalar" | "json_value", [json, path]) => json_scalar(json, path, rewriter, span)?,
        ("json_extract_scalar" | "json_value" | "string", [json]) if rewriter.semantics.adapter == "bigquery" => json_text(json, rewriter, span)?,
        ("json_extract" | "json_query", [json]) if rewriter.semantics.adapter == "bigquery" => Some(json.clone()),
        ("json_extract_scalar" | "json_value", [json]) => json_scalar(json, &literal("$", span), rewriter, span)?,
        ("json_extract" | "json_query", [json, path]) => json_path(json, path, "json_get_json", rewriter, span)?,
        _ => None,
    })
}

/// Bytes of a text in a format of Snowflake's.
fn bytes(value: &Expr, format: &str, span: Span) -> Option<Expr> {
    let template = match format.to_lowercase().as_str() {
        "hex" => "decode($1, 'hex')",
        "base64" => "unbase64($1)",
        "utf-8" | "utf8" => "cast(cast($1 as varchar) as bytea)",
        _ => return None,
    };
    expand(template, std::slice::from_ref(value), span)
}

fn is_zero(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "0"))
}

fn decode(subject: &Expr, pairs: &[Expr]) -> Expr {
    let (pairs, rest) = pairs.split_at(pairs.len() - pairs.len() % 2);
    let conditions = pairs
        .chunks_exact(2)
        .map(|pair| CaseWhen { condition: Expr::IsNotDistinctFrom(Box::new(subject.clone()), Box::new(pair[0].clone())), result: pair[1].clone() })
        .collect();
    Expr::Case {
        case_token: ast::helpers::attached_token::AttachedToken::empty(),
        end_token: ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: rest.first().cloned().map(Box::new),
    }
}

/// The text of a literal.
pub(super) fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            Value::DollarQuotedString(text) => Some(&text.value),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn literal(text: &str, span: Span) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).with_span(span))
}

/// A bare word.
pub(super) fn word(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) if name.quote_style.is_none() => Some(&name.value),
        _ => None,
    }
}

/// A pattern that may be Java's; one with `%` is in the engine's own language.
fn pattern_of(pattern: &Expr, rewriter: &Rewriter) -> Result<String, Box<SqlError>> {
    let Some(written) = text(pattern) else {
        return Err(rewriter.refuse(
            "a pattern of dates that is not a literal is not supported",
            pattern.span(),
            "write the pattern as a text, e.g. 'yyyy-MM-dd'",
        ));
    };
    if written.contains('%') {
        return Ok(formats::from_strftime(written));
    }
    formats::from_java(written).map_err(|letters| no_counterpart(&letters, pattern, rewriter, "use y, M, d, D, E, H, h, m, s, S and a"))
}

#[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
fn no_counterpart(letters: &str, pattern: &Expr, rewriter: &Rewriter, help: &str) -> Box<SqlError> {
    rewriter.refuse(&format!("the letters `{letters}` of the pattern have no counterpart"), pattern.span(), help)
}

/// A pattern of `to_char`.
fn words_of(pattern: &Expr, written: &str, rewriter: &Rewriter) -> Result<Vec<Piece>, Box<SqlError>> {
    let help = "use YYYY, YY, Q, MM, Mon, FMMonth, DD, DDD, Dy, FMDay, IYYY, IW, HH24, HH12, MI, SS, MS, US and AM, or a pattern of `strftime`";
    formats::from_words(written, rewriter.semantics.adapter == "snowflake").map_err(|letters| no_counterpart(&letters, pattern, rewriter, help))
}

/// A time as text. A pattern that is not a literal is in the engine's own language.
fn written(value: &Expr, pattern: &Expr, rewriter: &Rewriter, span: Span) -> Result<Option<Expr>, Box<SqlError>> {
    let Some(words) = text(pattern) else { return Ok(None) };
    let pieces = if words.contains('%') { vec![Piece::Pattern(formats::from_strftime(words))] } else { words_of(pattern, words, rewriter)? };
    let mut parts = vec![value.clone()];
    let mut templates = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let place = parts.len() + 1;
        let written = format!("to_char(cast($1 as timestamp), ${place})");
        let known = match piece {
            // Letters between two names are no pattern when they are read again.
            Piece::Pattern(known) => {
                templates.push(if known.contains('%') { written } else { format!("${place}") });
                known
            }
            Piece::Around(known, template) => {
                templates.push(template.replace("$#", &written));
                known
            }
            Piece::Reckoned(template) => {
                templates.push(template.to_owned());
                continue;
            }
        };
        parts.push(literal(&known, pattern.span()));
    }
    if templates.len() > 1 && is_volatile(value) {
        return Ok(None);
    }
    Ok(expand(&templates.join(" || "), &parts, span))
}

pub(super) fn with_java(value: &Expr, pattern: &Expr, template: &str, rewriter: &Rewriter, span: Span) -> Result<Option<Expr>, Box<SqlError>> {
    let known = pattern_of(pattern, rewriter)?;
    Ok(expand(template, &[value.clone(), literal(&known, pattern.span())], span))
}

/// Text read by a pattern: `template` with the text, the pattern and the pattern as it was written.
fn parsed(value: &Expr, pattern: &Expr, rewriter: &Rewriter, span: Span, template: &str) -> Result<Option<Expr>, Box<SqlError>> {
    let words = text(pattern).filter(|words| !words.contains('%') && formats::has_words(words));
    let known = match words {
        Some(words) => formats::to_read(words_of(pattern, words, rewriter)?).map_err(|letters| {
            no_counterpart(letters, pattern, rewriter, "what is read is read by years, months, days, hours, minutes and seconds")
        })?,
        None => pattern_of(pattern, rewriter)?,
    };
    let ahead = template.replace("parse_time(", "parse_time_ahead(");
    let template = if rewriter.semantics.times_may_go_on && words.is_some() { &ahead } else { template };
    Ok(expand(template, &[value.clone(), literal(&known, pattern.span()), pattern.clone()], span))
}

/// DuckDB takes the pattern on either side.
pub(super) fn strftime(first: &Expr, second: &Expr, span: Span) -> Option<Expr> {
    let (value, pattern) = if text(second).is_some() { (first, second) } else { (second, first) };
    let known = formats::from_strftime(text(pattern)?);
    expand("to_char(cast($1 as timestamp), $2)", &[value.clone(), literal(&known, pattern.span())], span)
}

/// `$.a[0].b` as the keys of a function of JSON.
pub(super) fn json_path(json: &Expr, path: &Expr, reader: &str, rewriter: &Rewriter, span: Span) -> Result<Option<Expr>, Box<SqlError>> {
    let refuse = || rewriter.refuse("this path into JSON is not supported", path.span(), "write a path of names and places, e.g. '$.a.b[0]'");
    // What is lax, as in Trino, gives nothing where there is nothing, as everywhere else.
    let Some(steps) = text(path).map(|path| path.strip_prefix("lax ").unwrap_or(path)).and_then(|path| path.trim_start().strip_prefix('$')) else {
        return Err(refuse());
    };
    let is_null = matches!(json, Expr::Value(value) if value.value == Value::Null);
    let mut arguments = vec![if is_null { expand("cast(null as varchar)", &[], span).unwrap_or_else(|| json.clone()) } else { json.clone() }];
    for step in steps.replace('[', ".[").split('.').skip(1).filter(|step| !step.is_empty()) {
        arguments.push(match step.strip_prefix('[').map(|place| place.trim_end_matches(']')) {
            Some(place) if place.starts_with('\'') || place.starts_with('"') => literal(place.trim_matches(['\'', '"']), span),
            Some(place) => Expr::Value(Value::Number(place.parse::<u32>().map_err(|_| refuse())?.to_string(), false).with_span(span)),
            None if step.contains('*') => return Err(refuse()),
            None => literal(step, span),
        });
    }
    let list: Vec<String> = (1..=arguments.len()).map(|number| format!("${number}")).collect();
    Ok(expand(&format!("{reader}({})", list.join(", ")), &arguments, span))
}

/// The text of what a path leads to; NULL for an object or a list, which are no scalars.
fn json_scalar(json: &Expr, path: &Expr, rewriter: &Rewriter, span: Span) -> Result<Option<Expr>, Box<SqlError>> {
    let (Some(whole), Some(text)) = (json_path(json, path, "json_get_json", rewriter, span)?, json_path(json, path, "json_as_text", rewriter, span)?)
    else {
        return Ok(None);
    };
    Ok(expand("case when left(ltrim($1), 1) not in ('{', '[') then $2 end", &[whole, text], span))
}

/// The text of JSON that is a scalar. Members of `BigQuery`'s JSON are JSON too, `j.a`, where they are texts here already: what is
/// no JSON stands for itself.
fn json_text(json: &Expr, rewriter: &Rewriter, span: Span) -> Result<Option<Expr>, Box<SqlError>> {
    let Some(json) = expand("cast($1 as varchar)", std::slice::from_ref(json), span) else { return Ok(None) };
    let scalar = json_scalar(&json, &literal("$", span), rewriter, span)?;
    Ok(scalar.and_then(|scalar| expand("case when try_parse_json($1) is null then $1 else $2 end", &[json, scalar], span)))
}

/// `count(distinct a, b)` counts the combinations without a NULL.
fn count_several(function: &mut ast::Function) {
    let span = function.name.span();
    let FunctionArguments::List(list) = &mut function.args else { return };
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) || list.args.len() < 2 {
        return;
    }
    let columns: Option<Vec<Expr>> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    let Some(columns) = columns else { return };
    let each = |form: &str, between: &str| (1..=columns.len()).map(|at| form.replace('#', &at.to_string())).collect::<Vec<_>>().join(between);
    let template = format!("case when {} then struct({}) end", each("$# is not null", " and "), each("$#", ", "));
    if let Some(combined) = expand(&template, &columns, span) {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(combined))];
    }
}

fn has_one_argument(function: &ast::Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.args.len() == 1)
}

/// `listagg(x, sep) within group (order by y)` as `string_agg(x, sep order by y)`; without a separator there is none.
fn string_agg(function: &mut ast::Function) {
    let span = function.name.span();
    let FunctionArguments::List(list) = &mut function.args else { return };
    if list.args.len() == 1 {
        let separator = if name_is(&function.name, "listagg") { "" } else { "," };
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(literal(separator, span))));
    }
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first_mut()
        && let Some(cast) = expand("cast($1 as varchar)", std::slice::from_ref(value), span)
    {
        *value = cast;
    }
    function.name = ObjectName::from(vec![Ident { value: "string_agg".into(), quote_style: None, span }]);
}

/// `within group (order by y)` as an order among the arguments.
fn order_within(function: &mut ast::Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && !function.within_group.is_empty()
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(std::mem::take(&mut function.within_group)));
    }
}

/// `array_agg(x order by y limit n)` as the first values of a list.
pub(super) fn first_values(function: &mut ast::Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    let at = list.clauses.iter().position(|clause| matches!(clause, FunctionArgumentClause::Limit(_)))?;
    let FunctionArgumentClause::Limit(count) = list.clauses.remove(at) else { return None };
    let span = function.name.span();
    expand("array_slice($1, 1, $2)", &[Expr::Function(function.clone()), count], span)
}

/// Different values without an order are sorted, as in Postgres, which finds them by sorting.
fn sorted_if_distinct(function: &mut ast::Function) {
    let is_ordered = is_ordered(function);
    let FunctionArguments::List(list) = &mut function.args else { return };
    if is_ordered || !matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) {
        return;
    }
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first() {
        let options = ast::OrderByOptions { asc: Some(true), nulls_first: Some(false) };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![ast::OrderByExpr { expr: value.clone(), options, with_fill: None }]));
    }
}

fn name_is(name: &ObjectName, wanted: &str) -> bool {
    name.to_string().eq_ignore_ascii_case(wanted)
}

/// `filter (where ..)` and `over (..)` of a call go to the function it stands for; where that is no function, the call
/// stays as it is and the planner refuses it.
fn keep_clauses(call: &ast::Function, replacement: Expr) -> Option<Expr> {
    if call.filter.is_none() && call.over.is_none() && call.within_group.is_empty() && call.null_treatment.is_none() {
        return Some(replacement);
    }
    let Expr::Function(mut function) = replacement else { return None };
    function.filter = match (function.filter.take(), call.filter.clone()) {
        (Some(own), Some(given)) => Some(Box::new(Expr::BinaryOp { left: own, op: ast::BinaryOperator::And, right: given })),
        (own, given) => own.or(given),
    };
    function.over.clone_from(&call.over);
    function.null_treatment = call.null_treatment;
    if !call.within_group.is_empty() {
        function.within_group.clone_from(&call.within_group);
    }
    Some(Expr::Function(function))
}
