//! How Python writes values: `str` and `repr` of numbers, text and containers, and the `%` operator of text.

use std::fmt::Write as _;

use minijinja::value::{DynObject, ValueKind};
use minijinja::{Error, Value};
use serde_json::Value as Json;

use super::containers::{collect, is_namespace, is_own, is_plain_map, is_plain_seq, new_dict};
use super::decimals::Decimal;
use super::error::problem;
use super::modules::object_repr;
use super::sets::Set;
use super::values::from_json;
use super::work::{TEXT_LIMIT, limit};
use crate::base::Code;

/// The most characters that a width or a precision may ask for.
pub(super) const WIDTH_LIMIT: usize = 1 << 16;

/// `str(value)` of what was written in YAML.
#[must_use]
pub fn python_text(value: &Json) -> String {
    text(&from_json(value))
}

/// `repr(value)` of what was written in YAML.
#[must_use]
pub fn python_repr(value: &Json) -> String {
    repr(&from_json(value))
}

/// `str(value)`.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write_text(value, &mut out);
    out
}

/// `str(value)` at the end of a text.
pub(super) fn write_text(value: &Value, out: &mut String) {
    match value.kind() {
        ValueKind::Undefined => {}
        ValueKind::String => out.push_str(value.as_str().unwrap_or_default()),
        ValueKind::Number => write_number(value, out),
        ValueKind::Seq | ValueKind::Map if is_container(value) => write_repr(value, out),
        ValueKind::Map if is_namespace(value) => {
            let pairs = value.as_object().and_then(DynObject::try_iter_pairs);
            out.push_str("<Namespace ");
            write_repr(&new_dict(pairs.into_iter().flatten()), out);
            out.push('>');
        }
        _ => {
            let _ = write!(out, "{value}");
        }
    }
}

/// `repr(value)`.
pub(super) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(value, &mut out);
    out
}

fn is_container(value: &Value) -> bool {
    value.is_tuple() || is_own(value) || is_plain_seq(value) || is_plain_map(value)
}

pub(super) fn write_repr(value: &Value, out: &mut String) {
    // What is longer is refused by whoever asks for it, and need not be written to its end.
    if out.len() > TEXT_LIMIT {
        return;
    }
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::String => write_quoted(value.as_str().unwrap_or_default(), out),
        ValueKind::Number => write_number(value, out),
        ValueKind::Seq if is_container(value) => {
            let tuple = value.is_tuple();
            let items = collect(value).unwrap_or_default();
            out.push(if tuple { '(' } else { '[' });
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_repr(item, out);
            }
            out.push_str(match (tuple, items.len()) {
                (true, 1) => ",)",
                (true, _) => ")",
                (false, _) => "]",
            });
        }
        ValueKind::Iterable if value.downcast_object_ref::<Set>().is_some() => {
            let items = collect(value).unwrap_or_default();
            out.push_str(if items.is_empty() { "set(" } else { "{" });
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_repr(item, out);
            }
            out.push_str(if items.is_empty() { ")" } else { "}" });
        }
        ValueKind::Map if is_container(value) => {
            out.push('{');
            let pairs = value.as_object().and_then(DynObject::try_iter_pairs);
            for (index, (key, item)) in pairs.into_iter().flatten().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_repr(&key, out);
                out.push_str(": ");
                write_repr(&item, out);
            }
            out.push('}');
        }
        _ => match object_repr(value).or_else(|| Decimal::of(value).map(Decimal::repr)) {
            Some(repr) => out.push_str(&repr),
            None => out.push_str(&value.to_string()),
        },
    }
}

/// Text in quotes: single ones, unless only double ones save an escape.
fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if !is_printable(c) => write_escaped(c, out),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// A character by its number.
fn write_escaped(c: char, out: &mut String) {
    let number = u32::from(c);
    let _ = match number {
        0..0x100 => write!(out, "\\x{number:02x}"),
        0x100..0x1_0000 => write!(out, "\\u{number:04x}"),
        _ => write!(out, "\\U{number:08x}"),
    };
}

/// A text in ASCII: other characters by their numbers.
pub(super) fn write_ascii(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii() { out.push(c) } else { write_escaped(c, out) }
    }
}

/// Whether a character is shown: no control or format character, no blank but the space, none for private use.
pub(super) fn is_printable(c: char) -> bool {
    let formats = matches!(u32::from(c),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
        | 0xfeff | 0xfff9..=0xfffb | 0xe000..=0xf8ff | 0xe_0001..=0xe_007f | 0xf_0000..);
    c == ' ' || !(c.is_control() || c.is_whitespace() || formats)
}

fn write_number(value: &Value, out: &mut String) {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => out.push_str(&float_text(float)),
        Ok(_) | Err(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// The shortest text that reads back as the same float, with an exponent where Python has one.
pub(super) fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = float.abs();
    if float == 0.0 || (1e-4..1e16).contains(&size) {
        let text = float.to_string();
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{float:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    with_exponent(mantissa, exponent.parse().unwrap_or(0), 'e')
}

fn with_exponent(mantissa: &str, exponent: i32, letter: char) -> String {
    format!("{mantissa}{letter}{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// One `%` conversion.
#[derive(Default)]
struct Conversion {
    key: Option<String>,
    left: bool,
    zero: bool,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

/// `template % values`, as Python's text has it.
pub(super) fn percent(template: &str, values: &Value) -> Result<String, Error> {
    let positional = if values.is_tuple() { collect(values)? } else { vec![values.clone()] };
    let mut next = positional.iter();
    let mut used_key = false;
    let mut out = String::new();
    let mut rest = template;
    while let Some((head, tail)) = rest.split_once('%') {
        out.push_str(head);
        let (conversion, after) = conversion(tail, &mut next)?;
        rest = after;
        if conversion.kind == '%' {
            out.push('%');
            continue;
        }
        let value = match &conversion.key {
            Some(key) => {
                used_key = true;
                let found = values.get_item(&Value::from(key.as_str())).ok().filter(|value| !value.is_undefined());
                found.ok_or_else(|| failed(format!("the dict has no key `{key}`")))?
            }
            None => next.next().cloned().ok_or_else(|| failed("there are fewer values than the format has places"))?,
        };
        out.push_str(&converted(&conversion, &value)?);
        limit(out.len())?;
    }
    out.push_str(rest);
    if !used_key && next.next().is_some() && values.kind() != ValueKind::Map {
        return Err(failed("there are more values than the format has places"));
    }
    Ok(out)
}

fn failed(message: impl Into<String>) -> Error {
    problem(Code::JinjaRuntime, message)
}

fn conversion<'t>(text: &'t str, next: &mut std::slice::Iter<'_, Value>) -> Result<(Conversion, &'t str), Error> {
    let mut found = Conversion::default();
    let mut rest = text;
    if let Some(tail) = rest.strip_prefix('(') {
        let (key, tail) = tail.split_once(')').ok_or_else(|| failed("a key in the format is not closed"))?;
        found.key = Some(key.to_owned());
        rest = tail;
    }
    while let Some(flag) = rest.chars().next().filter(|c| "#0- +".contains(*c)) {
        match flag {
            '-' => found.left = true,
            '0' => found.zero = true,
            '#' => found.alternate = true,
            sign if found.sign != Some('+') => found.sign = Some(sign),
            _ => {}
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    (found.width, rest) = amount(rest, next)?;
    if let Some(tail) = rest.strip_prefix('.') {
        let (precision, tail) = amount(tail, next)?;
        (found.precision, rest) = (Some(precision), tail);
    }
    rest = rest.trim_start_matches(['l', 'h', 'L']);
    let mut letters = rest.chars();
    found.kind = letters.next().ok_or_else(|| failed("the format ends in the middle of a place"))?;
    Ok((found, letters.as_str()))
}

fn amount<'t>(text: &'t str, next: &mut std::slice::Iter<'_, Value>) -> Result<(usize, &'t str), Error> {
    if let Some(rest) = text.strip_prefix('*') {
        let width = next.next().and_then(Value::as_usize).ok_or_else(|| failed("`*` in the format needs a number"))?;
        return Ok((within(width)?, rest));
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let width = if number.is_empty() { 0 } else { number.parse().unwrap_or(usize::MAX) };
    Ok((within(width)?, rest))
}

fn within(width: usize) -> Result<usize, Error> {
    if width > WIDTH_LIMIT { Err(failed(format!("a width or precision of the format is more than {WIDTH_LIMIT}"))) } else { Ok(width) }
}

fn converted(conversion: &Conversion, value: &Value) -> Result<String, Error> {
    let cut = |text: String| match conversion.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    };
    let body = match conversion.kind {
        's' => return Ok(padded(conversion, "", &cut(text(value)))),
        'a' => {
            let mut ascii = String::new();
            write_ascii(&repr(value), &mut ascii);
            return Ok(padded(conversion, "", &cut(ascii)));
        }
        'r' => return Ok(padded(conversion, "", &cut(repr(value)))),
        'c' => {
            if let Some(text) = value.as_str() {
                return Ok(padded(conversion, "", text));
            }
            let letter = whole(value)?.try_into().ok().and_then(char::from_u32);
            let letter = letter.ok_or_else(|| failed("`%c` needs a character"))?;
            return Ok(padded(conversion, "", &letter.to_string()));
        }
        'd' | 'i' | 'u' => {
            let digits = whole(value)?.unsigned_abs().to_string();
            // A precision is the least number of digits.
            "0".repeat(conversion.precision.unwrap_or(0).saturating_sub(digits.len())) + &digits
        }
        'x' | 'X' | 'o' => {
            let number = whole(value)?.unsigned_abs();
            match conversion.kind {
                'x' => format!("{}{number:x}", if conversion.alternate { "0x" } else { "" }),
                'X' => format!("{}{number:X}", if conversion.alternate { "0X" } else { "" }),
                _ => format!("{}{number:o}", if conversion.alternate { "0o" } else { "" }),
            }
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => real(conversion.kind, conversion.precision, float(value)?.abs()),
        other => return Err(failed(format!("`%{other}` is no place of a format"))),
    };
    let negative = if value.is_integer() || value.kind() == ValueKind::Bool {
        whole(value)? < 0
    } else {
        float(value).is_ok_and(|float| float.is_sign_negative() && !float.is_nan())
    };
    let sign = if negative { "-".to_owned() } else { conversion.sign.map(String::from).unwrap_or_default() };
    Ok(padded(conversion, &sign, &body))
}

/// The size of a number as `e`, `f` and `g` write it.
pub(super) fn real(kind: char, precision: Option<usize>, size: f64) -> String {
    let precision = precision.unwrap_or(6);
    let scientific = |precision: usize, letter: char| {
        let text = format!("{size:.precision$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        (mantissa.to_owned(), exponent.parse::<i32>().unwrap_or(0), letter)
    };
    match kind {
        'f' | 'F' => format!("{size:.precision$}"),
        'e' | 'E' => {
            let (mantissa, exponent, letter) = scientific(precision, kind);
            with_exponent(&mantissa, exponent, letter)
        }
        _ => {
            let digits = precision.max(1);
            let (mantissa, exponent, letter) = scientific(digits - 1, if kind == 'G' { 'E' } else { 'e' });
            let short = |text: &str| if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() };
            if exponent < -4 || usize::try_from(exponent).is_ok_and(|exponent| exponent >= digits) {
                with_exponent(&short(&mantissa), exponent, letter)
            } else {
                let after = i32::try_from(digits).unwrap_or(i32::MAX).saturating_sub(1).saturating_sub(exponent).max(0);
                let after = usize::try_from(after).unwrap_or(0);
                short(&format!("{size:.after$}"))
            }
        }
    }
}

fn whole(value: &Value) -> Result<i128, Error> {
    if let Some(whole) = Decimal::of(value).and_then(Decimal::whole) {
        return Ok(whole);
    }
    let found = if value.kind() == ValueKind::Bool {
        Some(i128::from(value.is_true()))
    } else {
        value.is_integer().then(|| i128::try_from(value.clone()).ok()).flatten()
    };
    #[expect(clippy::cast_possible_truncation, reason = "Python cuts a float off, too, and what does not fit is far from any use")]
    let cut = || f64::try_from(value.clone()).ok().filter(|_| value.is_number()).map(|float| float as i128);
    found.or_else(cut).ok_or_else(|| failed(format!("the format needs a number, found {}", super::values::describe(value))))
}

fn float(value: &Value) -> Result<f64, Error> {
    if let Some(decimal) = Decimal::of(value) {
        return Ok(decimal.float());
    }
    let found = f64::try_from(value.clone()).ok().filter(|_| value.is_number());
    found.ok_or_else(|| failed(format!("the format needs a number, found {}", super::values::describe(value))))
}

fn padded(conversion: &Conversion, sign: &str, body: &str) -> String {
    let padding = conversion.width.saturating_sub(sign.chars().count() + body.chars().count());
    let numeric = !matches!(conversion.kind, 's' | 'r' | 'a' | 'c');
    if conversion.left {
        format!("{sign}{body}{}", " ".repeat(padding))
    } else if conversion.zero && numeric {
        format!("{sign}{}{body}", "0".repeat(padding))
    } else {
        format!("{}{sign}{body}", " ".repeat(padding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::value::Tuple;

    #[test]
    fn floats_have_pythons_exponents() {
        let written = [1.0, 0.1 + 0.2, 1e16, 1e20, 1.5e-7, 0.0001, 123_456_789.5].map(float_text);
        assert_eq!(written, ["1.0", "0.30000000000000004", "1e+16", "1e+20", "1.5e-07", "0.0001", "123456789.5"]);
    }

    #[test]
    fn percent_formats_as_python_does() {
        let many = |values: Vec<Value>| Value::from(Tuple::from(values));
        let args = many(vec![Value::from(42), Value::from(2.71), Value::from(255), Value::from("ab")]);
        assert_eq!(percent("%05d|%.2f|%#x|%-5s|%%", &args).unwrap(), "00042|2.71|0xff|ab   |%");
        assert_eq!(percent("%+d % d %g %e", &many(vec![5.into(), 5.into(), 0.0001.into(), 12.5.into()])).unwrap(), "+5  5 0.0001 1.250000e+01");
        assert!(percent("%s %s", &Value::from("one")).is_err() && percent("none", &Value::from("one")).is_err());
    }
}
