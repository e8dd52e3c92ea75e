//! `context`, which looks names up by text, and YAML as templates read and write it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::containers::pairs;
use super::macros::split_kwargs;
use super::names::{self, KNOWN};
use super::python::float_text;
use super::session::{Session, lock};
use super::values::{bind_args, from_json, required_text, to_json};
use super::work::fits;

/// All names of a template as a mapping.
#[derive(Debug)]
pub(super) struct Context(pub Arc<Session>);

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.find(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(KNOWN)
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "get" | "setdefault" => {
                let [name, default] = bind_args(&format!("context.{method}"), ["name", "default"], args)?;
                let name = required_text(&format!("context.{method}"), "name", name)?;
                let default = default.unwrap_or_else(|| Value::from(()));
                if let Some(found) = self.find(&name) {
                    return Ok(found);
                }
                if method == "setdefault" {
                    self.put(state, name, &default)?;
                }
                Ok(default)
            }
            "update" => {
                let (positional, named) = split_kwargs(args)?;
                for (name, value) in positional.iter().map(pairs).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
                    self.put(state, required_text("context.update", "name", Some(name))?, &value)?;
                }
                named.into_iter().try_for_each(|(name, value)| self.put(state, name, &value))?;
                Ok(Value::from(()))
            }
            _ => match self.find(method) {
                Some(value) => value.call(state, args),
                None => Err(ErrorKind::UnknownMethod.into()),
            },
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<context>")
    }
}

impl Context {
    /// What was put in goes before what is there.
    fn find(&self, name: &str) -> Option<Value> {
        let added = lock(&self.0.added).get(name).cloned();
        added.or_else(|| names::lookup(&self.0, name))
    }

    /// It stays as long as the rendering of a node, and may grow with each call.
    fn put(&self, state: &State<'_, '_>, name: String, value: &Value) -> Result<(), Error> {
        fits(state, None, value)?;
        lock(&self.0.added).insert(name, value.clone());
        Ok(())
    }
}

pub(super) fn fromyaml(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [text, default] = bind_args("fromyaml", ["value", "default"], args)?;
    let read = text.as_ref().and_then(Value::as_str).and_then(|text| session.host.yaml(text));
    Ok(read.map_or_else(|| default.unwrap_or_else(|| Value::from(())), |json| from_json(&json)))
}

pub(super) fn toyaml(_: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [value, default, sort] = bind_args("toyaml", ["value", "default", "sort_keys"], args)?;
    let Ok(mut json) = to_json(&value.unwrap_or_default()) else {
        return Ok(default.unwrap_or_else(|| Value::from(())));
    };
    if sort.is_some_and(|sort| sort.is_true()) {
        json.sort_all_objects();
    }
    let mut text = String::new();
    match &json {
        Json::Array(items) if !items.is_empty() => write_block(&json, 0, &mut text),
        Json::Object(pairs) if !pairs.is_empty() => write_block(&json, 0, &mut text),
        Json::Array(_) | Json::Object(_) => text = scalar(&json, 0) + "\n",
        // A document of one plain scalar is closed, or it could run on.
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Number(_) => {
            text = scalar(&json, 0);
            text.push_str(if text.starts_with(['\'', '"']) { "\n" } else { "\n...\n" });
        }
    }
    Ok(Value::from(text))
}

/// A list or map in block style. The caller has written the indentation of the first line.
fn write_block(json: &Json, indent: usize, text: &mut String) {
    let pad = |text: &mut String, first: bool| {
        if !first {
            text.push_str(&" ".repeat(indent));
        }
    };
    match json {
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pad(text, index == 0);
                text.push_str("- ");
                if is_block(item) {
                    write_block(item, indent + 2, text);
                } else {
                    text.push_str(&scalar(item, indent));
                    text.push('\n');
                }
            }
        }
        Json::Object(pairs) => {
            for (index, (key, item)) in pairs.iter().enumerate() {
                pad(text, index == 0);
                text.push_str(&scalar(&Json::from(key.as_str()), indent));
                text.push(':');
                match item {
                    Json::Array(_) if is_block(item) => {
                        text.push('\n');
                        text.push_str(&" ".repeat(indent));
                        write_block(item, indent, text);
                    }
                    _ if is_block(item) => {
                        text.push('\n');
                        text.push_str(&" ".repeat(indent + 2));
                        write_block(item, indent + 2, text);
                    }
                    _ => {
                        text.push(' ');
                        text.push_str(&scalar(item, indent));
                        text.push('\n');
                    }
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => text.push_str(&scalar(json, indent)),
    }
}

fn is_block(json: &Json) -> bool {
    match json {
        Json::Array(items) => !items.is_empty(),
        Json::Object(pairs) => !pairs.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

fn scalar(json: &Json, indent: usize) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // YAML 1.1 reads a number with an exponent only if it has a point.
            Some(float) => match float_text(float) {
                text if text.contains('.') => text,
                text => text.replacen('e', ".0e", 1),
            },
            None => number.to_string(),
        },
        Json::String(text) if !is_printed(text) => escaped(text),
        Json::String(text) if is_plain(text) => text.clone(),
        Json::String(text) => single_quoted(text, indent),
        Json::Array(_) => "[]".to_owned(),
        Json::Object(_) => "{}".to_owned(),
    }
}

/// Whether a text can stand in YAML as it is: ASCII, and no line that begins or ends with a space at a break.
fn is_printed(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)) && !text.contains("\n ") && !text.contains(" \n")
}

/// A text in single quotes, where a break is an empty line and the next line is indented.
fn single_quoted(text: &str, indent: usize) -> String {
    let mut out = String::from("'");
    let mut breaks = 0_usize;
    for c in text.chars().chain(std::iter::once('\'')) {
        if c == '\n' {
            breaks += 1;
            continue;
        }
        if breaks > 0 {
            out.push_str(&"\n".repeat(breaks + 1));
            out.push_str(&" ".repeat(indent + 2));
            breaks = 0;
        }
        out.push_str(if c == '\'' { "''" } else { "" });
        if c != '\'' {
            out.push(c);
        }
    }
    // The last quote is the one that closes, and stands once.
    out.pop();
    out
}

/// A text in double quotes, in ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            ' '..='~' => out.push(c),
            c => {
                let (letter, width) = if (c as u32) < 0x100 {
                    ('x', 2)
                } else if (c as u32) < 0x1_0000 {
                    ('u', 4)
                } else {
                    ('U', 8)
                };
                let _ = write!(out, "\\{letter}{:0width$X}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Whether YAML 1.1 reads a text as a number, a time of day or a date.
fn reads_otherwise(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit());
    let of_base = |prefix: &str, base: u32| {
        unsigned.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c == '_' || c.is_digit(base)))
    };
    let sixty =
        begins && unsigned.contains(':') && unsigned.split(':').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || c == '.'));
    let float = unsigned.split_once('.').is_some_and(|(whole, rest)| {
        let (fraction, exponent) = rest.split_once(['e', 'E']).map_or((rest, None), |(fraction, exponent)| (fraction, Some(exponent)));
        let signed = exponent.is_none_or(|exponent| exponent.strip_prefix(['+', '-']).is_some_and(|size| !size.is_empty() && digits(size)));
        digits(whole) && digits(fraction) && signed && (begins || fraction.starts_with(|c: char| c.is_ascii_digit()))
    });
    let named = matches!(unsigned.to_lowercase().as_str(), ".inf" | ".nan");
    let date = text.len() >= 8 && text.get(..4).is_some_and(|year| year.chars().all(|c| c.is_ascii_digit())) && {
        let date = text.get(..text.find(['T', 't', ' ']).unwrap_or(text.len())).unwrap_or_default();
        let parts: Vec<&str> = date.split('-').collect();
        parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.len() <= 4 && part.chars().all(|c| c.is_ascii_digit()))
    };
    (begins && digits(unsigned)) || of_base("0x", 16) || of_base("0b", 2) || sixty || float || named || date
}

/// Whether a text reads back as the same text without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "~", "true", "false", "yes", "no", "on", "off", "="];
    let mut chars = text.chars();
    let first = chars.next().unwrap_or(' ');
    let begins = match first {
        '?' | ':' | '-' => chars.next().is_some_and(|next| next != ' ') && !text.starts_with("---"),
        first => !" #,[]{}&*!|>'\"%@`".contains(first) && text != "<<" && !text.starts_with("..."),
    };
    let inside = !text.contains(": ") && !text.contains(" #") && !text.contains('\n') && !text.ends_with([':', ' ']);
    begins && inside && !reads_otherwise(text) && !WORDS.contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_is_written_in_blocks() {
        let mut text = String::new();
        write_block(
            &json!({"a": [1, {"b": "x", "c": null}], "d": {"e": "yes", "f": "2024-01-01"}, "g": [], "h": [["i"]], "j": "x\ny", "k": "é", "l": "1e3"}),
            0,
            &mut text,
        );
        assert_eq!(text, "a:\n- 1\n- b: x\n  c: null\nd:\n  e: 'yes'\n  f: '2024-01-01'\ng: []\nh:\n- - i\nj: 'x\n\n  y'\nk: \"\\xE9\"\nl: 1e3\n");
    }
}
