//! `context`, which looks names up by text, and YAML as templates read and write it.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::names::{self, KNOWN};
use super::python::float_text;
use super::session::Session;
use super::values::{bind_args, from_json, required_text, to_json};

/// All names of a template as a mapping.
#[derive(Debug)]
pub(super) struct Context(pub Arc<Session>);

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        names::lookup(&self.0, key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(KNOWN)
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        if method == "get" {
            let [name, default] = bind_args("context.get", ["name", "default"], args)?;
            let found = names::lookup(&self.0, &required_text("context.get", "name", name)?);
            return Ok(found.or(default).unwrap_or_else(|| Value::from(())));
        }
        match names::lookup(&self.0, method) {
            Some(value) => value.call(state, args),
            None => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<context>")
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
        Json::Array(_) | Json::Object(_) | Json::String(_) => text = scalar(&json) + "\n",
        // A document of one plain scalar is closed, or it could run on.
        Json::Null | Json::Bool(_) | Json::Number(_) => text = scalar(&json) + "\n...\n",
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
                    text.push_str(&scalar(item));
                    text.push('\n');
                }
            }
        }
        Json::Object(pairs) => {
            for (index, (key, item)) in pairs.iter().enumerate() {
                pad(text, index == 0);
                text.push_str(&scalar(&Json::from(key.as_str())));
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
                        text.push_str(&scalar(item));
                        text.push('\n');
                    }
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => text.push_str(&scalar(json)),
    }
}

fn is_block(json: &Json) -> bool {
    match json {
        Json::Array(items) => !items.is_empty(),
        Json::Object(pairs) => !pairs.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

fn scalar(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => float_text(float),
            None => number.to_string(),
        },
        Json::String(text) if text.chars().any(char::is_control) => json.to_string(),
        Json::String(text) if is_plain(text) => text.clone(),
        Json::String(text) => format!("'{}'", text.replace('\'', "''")),
        Json::Array(_) => "[]".to_owned(),
        Json::Object(_) => "{}".to_owned(),
    }
}

/// Whether a text reads back as the same text without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "~", "true", "false", "yes", "no", "on", "off", "="];
    let starts = text.starts_with(|c: char| c.is_alphanumeric() || "_/.$(+".contains(c));
    let inside = !text.contains(": ") && !text.contains(" #") && !text.ends_with(':') && !text.ends_with(' ');
    let number_or_date = text.starts_with(|c: char| c.is_ascii_digit() || "+.".contains(c))
        && text.chars().all(|c| c.is_ascii_digit() || "+-._:exabcdefoEXABCDEFT Z".contains(c));
    starts && inside && !number_or_date && !WORDS.contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_is_written_in_blocks() {
        let mut text = String::new();
        write_block(&json!({"a": [1, {"b": "x", "c": null}], "d": {"e": "yes", "f": "2024-01-01"}, "g": [], "h": [["i"]]}), 0, &mut text);
        assert_eq!(text, "a:\n- 1\n- b: x\n  c: null\nd:\n  e: 'yes'\n  f: '2024-01-01'\ng: []\nh:\n- - i\n");
    }
}
