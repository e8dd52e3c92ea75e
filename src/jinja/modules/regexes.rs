//! `modules.re`, on Rust's regular expressions: all of Python's but look-around and back references.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, State, Value};
use regex::Regex;

use crate::base::Code;
use crate::jinja::containers::{new_dict, new_list};
use crate::jinja::error::{problem, unsupported};
use crate::jinja::python::repr;
use crate::jinja::values::{bind_args, required, required_text};

#[derive(Debug)]
pub(super) struct ReModule;

impl Object for ReModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "IGNORECASE" | "I" => Value::from("i"),
            "MULTILINE" | "M" => Value::from("m"),
            "DOTALL" | "S" => Value::from("s"),
            other => Value::from(unsupported(&format!("modules.re.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "compile" => {
                let [pattern, flags] = bind_args("compile", ["pattern", "flags"], args)?;
                let pattern = required_text("compile", "pattern", pattern)?;
                Ok(Value::from_object(Pattern { regex: compile(&pattern, flags.as_ref())?, pattern }))
            }
            "escape" => {
                let [text] = bind_args("escape", ["pattern"], args)?;
                Ok(Value::from(regex::escape(&required_text("escape", "pattern", text)?)))
            }
            "match" | "search" | "fullmatch" | "findall" | "finditer" => {
                let [pattern, text, flags] = bind_args(method, ["pattern", "string", "flags"], args)?;
                let regex = compile(&required_text(method, "pattern", pattern)?, flags.as_ref())?;
                Ok(find(method, &regex, &required(method, "string", text)?.to_string()))
            }
            "sub" => {
                let [pattern, with, text, count, flags] = bind_args("sub", ["pattern", "repl", "string", "count", "flags"], args)?;
                let regex = compile(&required_text("sub", "pattern", pattern)?, flags.as_ref())?;
                replaced(&regex, with, text, count)
            }
            "split" => {
                let [pattern, text, limit, flags] = bind_args("split", ["pattern", "string", "maxsplit", "flags"], args)?;
                let regex = compile(&required_text("split", "pattern", pattern)?, flags.as_ref())?;
                split(&regex, text, limit)
            }
            other => Err(unsupported(&format!("modules.re.{other}()"))),
        }
    }
}

/// What `re.compile` gives.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    pattern: String,
}

impl Object for Pattern {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "pattern").then(|| Value::from(&*self.pattern))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "match" | "search" | "fullmatch" | "findall" | "finditer" => {
                let [text] = bind_args(method, ["string"], args)?;
                Ok(find(method, &self.regex, &required(method, "string", text)?.to_string()))
            }
            "sub" => {
                let [with, text, count] = bind_args("sub", ["repl", "string", "count"], args)?;
                replaced(&self.regex, with, text, count)
            }
            "split" => {
                let [text, limit] = bind_args("split", ["string", "maxsplit"], args)?;
                split(&self.regex, text, limit)
            }
            other => Err(unsupported(&format!("{other}() of a pattern"))),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "re.compile({})", repr(&Value::from(&*self.pattern)))
    }
}

fn replaced(regex: &Regex, with: Option<Value>, text: Option<Value>, count: Option<Value>) -> Result<Value, Error> {
    let with = python_replacement(&required_text("sub", "repl", with)?);
    let text = required("sub", "string", text)?.to_string();
    let count = count.and_then(|count| count.as_usize()).unwrap_or(0);
    Ok(Value::from(regex.replacen(&text, count, with).into_owned()))
}

/// The parts between matches, and what their groups hold.
fn split(regex: &Regex, text: Option<Value>, limit: Option<Value>) -> Result<Value, Error> {
    let text = required("split", "string", text)?.to_string();
    let limit = limit.and_then(|limit| limit.as_usize()).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut from = 0;
    for captures in regex.captures_iter(&text).take(limit) {
        let Some(whole) = captures.get(0) else { continue };
        parts.push(Value::from(text.get(from..whole.start()).unwrap_or_default()));
        parts.extend(groups(&captures));
        from = whole.end();
    }
    parts.push(Value::from(text.get(from..).unwrap_or_default()));
    Ok(new_list(parts))
}

fn compile(pattern: &str, flags: Option<&Value>) -> Result<Regex, Error> {
    let flags = flags.and_then(Value::as_str).filter(|flags| matches!(*flags, "i" | "m" | "s"));
    let full = flags.map_or_else(|| pattern.to_owned(), |flags| format!("(?{flags}){pattern}"));
    Regex::new(&full).map_err(|_| problem(Code::JinjaRuntime, format!("the pattern `{pattern}` can't be read")))
}

/// `\1` and `\g<name>` as the regex crate writes them.
fn python_replacement(with: &str) -> String {
    let mut result = String::new();
    let mut rest = with;
    while let Some((head, tail)) = rest.split_once('\\') {
        result.push_str(&head.replace('$', "$$"));
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let _ = write!(result, "${{{}}}", tail.get(..digits).unwrap_or_default());
            rest = tail.get(digits..).unwrap_or_default();
        } else if let Some((name, after)) = tail.strip_prefix("g<").and_then(|tail| tail.split_once('>')) {
            let _ = write!(result, "${{{name}}}");
            rest = after;
        } else {
            result.push('\\');
            rest = tail;
        }
    }
    result.push_str(&rest.replace('$', "$$"));
    result
}

fn find(method: &str, regex: &Regex, text: &str) -> Value {
    if method == "findall" {
        let found = regex.captures_iter(text).map(|captures| match captures.len() {
            1 => Value::from(captures.get(0).map_or("", |part| part.as_str())),
            2 => Value::from(captures.get(1).map_or("", |part| part.as_str())),
            _ => Value::from(Tuple::from(groups(&captures))),
        });
        return new_list(found.collect());
    }
    let chars = |bytes: usize| text.get(..bytes).map_or(0, |head| head.chars().count());
    let found = |captures: &regex::Captures<'_>| {
        let whole = captures.get(0);
        let span = whole.map_or((0, 0), |part| (chars(part.start()), chars(part.end())));
        let whole = whole.map_or("", |part| part.as_str()).to_owned();
        let names: Vec<_> = regex.capture_names().skip(1).map(|name| name.map(str::to_owned)).collect();
        Value::from_object(Match { whole, groups: groups(captures), names, span })
    };
    if method == "finditer" {
        return new_list(regex.captures_iter(text).map(|captures| found(&captures)).collect());
    }
    let captures = regex.captures(text).filter(|captures| {
        captures.get(0).is_some_and(|whole| (method == "search" || whole.start() == 0) && (method != "fullmatch" || whole.end() == text.len()))
    });
    captures.map_or_else(|| Value::from(()), |captures| found(&captures))
}

fn groups(captures: &regex::Captures<'_>) -> Vec<Value> {
    captures.iter().skip(1).map(|part| part.map_or_else(|| Value::from(()), |part| Value::from(part.as_str()))).collect()
}

#[derive(Debug)]
struct Match {
    whole: String,
    groups: Vec<Value>,
    names: Vec<Option<String>>,
    /// In characters.
    span: (usize, usize),
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("group", []) => Ok(Value::from(&*self.whole)),
            ("group", [key]) => {
                let index = match key.as_str() {
                    Some(name) => self.names.iter().position(|known| known.as_deref() == Some(name)),
                    None => match key.as_usize() {
                        Some(0) => return Ok(Value::from(&*self.whole)),
                        number => number.and_then(|number| number.checked_sub(1)),
                    },
                };
                let found = index.and_then(|index| self.groups.get(index)).cloned();
                found.ok_or_else(|| problem(Code::JinjaRuntime, format!("the pattern has no group `{key}`")))
            }
            ("start", []) => Ok(Value::from(self.span.0)),
            ("end", []) => Ok(Value::from(self.span.1)),
            ("span", []) => Ok(Value::from(Tuple::from([self.span.0, self.span.1].map(Value::from)))),
            ("groupdict", []) => {
                let named = self.names.iter().zip(&self.groups).filter_map(|(name, group)| Some((Value::from(name.as_deref()?), group.clone())));
                Ok(new_dict(named))
            }
            ("groups", []) => Ok(Value::from(Tuple::from(self.groups.clone()))),
            (other, _) => Err(unsupported(&format!("{other}() of a match"))),
        }
    }
}
