//! `modules.re`, with look-around and back references as Python has them. A pattern that would take too many steps on a
//! text is an error.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use fancy_regex::{Captures, Regex, RegexBuilder};
use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, State, Value};

use crate::base::Code;
use crate::jinja::containers::{new_dict, new_list};
use crate::jinja::error::{problem, unsupported};
use crate::jinja::python::repr;
use crate::jinja::session::{lock, session_of};
use crate::jinja::values::{bind_args, required, required_text};
use crate::jinja::work;

/// What a search counts beside its texts, and what a new pattern does, in bytes.
const SEARCH: usize = 4 << 10;
const PATTERN: usize = 1 << 20;
/// How often a search may go back, a tenth of a second of work at the most.
const BACKTRACKS: usize = 1_000_000;

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
            "VERBOSE" | "X" => Value::from("x"),
            other => Value::from(unsupported(&format!("modules.re.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        count(state, args)?;
        let compile = |pattern: &str, flags: Option<&Value>| compiled(state, pattern, flags);
        match method {
            "compile" => {
                let [pattern, flags] = bind_args("compile", ["pattern", "flags"], args)?;
                let pattern = required_text("compile", "pattern", pattern)?;
                Ok(Value::from_object(Pattern { regex: compile(&pattern, flags.as_ref())?, pattern }))
            }
            "escape" => {
                let [text] = bind_args("escape", ["pattern"], args)?;
                Ok(Value::from(fancy_regex::escape(&required_text("escape", "pattern", text)?).into_owned()))
            }
            "match" | "search" | "fullmatch" | "findall" | "finditer" => {
                let [pattern, text, flags] = bind_args(method, ["pattern", "string", "flags"], args)?;
                let regex = compile(&required_text(method, "pattern", pattern)?, flags.as_ref())?;
                find(method, &regex, &required(method, "string", text)?.to_string())
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
    regex: Arc<Regex>,
    pattern: String,
}

impl Object for Pattern {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "pattern").then(|| Value::from(&*self.pattern))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        count(state, args)?;
        match method {
            "match" | "search" | "fullmatch" | "findall" | "finditer" => {
                let [text] = bind_args(method, ["string"], args)?;
                find(method, &self.regex, &required(method, "string", text)?.to_string())
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
    let replaced = regex.try_replacen(&text, count, with.as_str()).map_err(|error| too_hard(&error))?;
    Ok(Value::from(replaced.into_owned()))
}

/// The parts between matches, and what their groups hold.
fn split(regex: &Regex, text: Option<Value>, limit: Option<Value>) -> Result<Value, Error> {
    let text = required("split", "string", text)?.to_string();
    let limit = limit.and_then(|limit| limit.as_usize()).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut from = 0;
    for captures in regex.captures_iter(text.as_str()).take(limit) {
        let captures = captures.map_err(|error| too_hard(&error))?;
        let Some(whole) = captures.get(0) else { continue };
        parts.push(Value::from(text.get(from..whole.start()).unwrap_or_default()));
        parts.extend(groups(&captures));
        from = whole.end();
    }
    parts.push(Value::from(text.get(from..).unwrap_or_default()));
    Ok(new_list(parts))
}

/// Counts a search: the texts, and some for the steps that it takes.
fn count(state: &State<'_, '_>, args: &[Value]) -> Result<(), Error> {
    let given = args.iter().filter_map(Value::as_str).map(str::len).sum::<usize>();
    work::charge(state, given.saturating_mul(2).saturating_add(SEARCH))
}

/// A pattern, made at its first use by a template.
fn compiled(state: &State<'_, '_>, pattern: &str, flags: Option<&Value>) -> Result<Arc<Regex>, Error> {
    let flags = flags.and_then(Value::as_str).filter(|flags| matches!(*flags, "i" | "m" | "s" | "x"));
    let escaped = plain_braces(pattern);
    let full = flags.map_or_else(|| escaped.clone(), |flags| format!("(?{flags}){escaped}"));
    let session = session_of(state)?;
    if let Some(known) = lock(&session.patterns).get(&full) {
        return Ok(Arc::clone(known));
    }
    session.work.charge(PATTERN)?;
    let made = RegexBuilder::new(&full).backtrack_limit(BACKTRACKS).build();
    let made = made.map(Arc::new).map_err(|_| problem(Code::JinjaRuntime, format!("the pattern `{pattern}` can't be read")))?;
    lock(&session.patterns).insert(full, Arc::clone(&made));
    Ok(made)
}

/// A pattern in which braces that are no repetition are escaped: Python takes them for themselves.
fn plain_braces(pattern: &str) -> String {
    let repeats = |rest: &str| {
        let inner = rest.split_once('}').map(|(inner, _)| inner);
        let number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        inner.is_some_and(|inner| match inner.split_once(',') {
            Some((from, to)) => number(from) && number(to) && inner.len() > 1,
            None => !inner.is_empty() && number(inner),
        })
    };
    let mut result = String::with_capacity(pattern.len());
    let (mut escaped, mut open) = (false, false);
    for (at, c) in pattern.char_indices() {
        let rest = pattern.get(at + 1..).unwrap_or_default();
        let literal = match c {
            '{' if escaped => false,
            '{' if repeats(rest) => {
                open = true;
                false
            }
            '{' => true,
            '}' => !escaped && !std::mem::take(&mut open),
            _ => false,
        };
        if literal {
            result.push('\\');
        }
        result.push(c);
        escaped = c == '\\' && !escaped;
    }
    result
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

fn too_hard(_: &fancy_regex::Error) -> Error {
    problem(Code::JinjaRuntime, format!("the pattern goes back more than {BACKTRACKS} times on this text"))
}

fn all<'t>(regex: &Regex, text: &'t str) -> Result<Vec<Captures<'t, str>>, Error> {
    regex.captures_iter(text).map(|captures| captures.map_err(|error| too_hard(&error))).collect()
}

fn find(method: &str, regex: &Regex, text: &str) -> Result<Value, Error> {
    if method == "findall" {
        let found = all(regex, text)?;
        let found = found.iter().map(|captures| match captures.len() {
            1 => Value::from(captures.get(0).map_or("", |part| part.as_str())),
            2 => Value::from(captures.get(1).map_or("", |part| part.as_str())),
            _ => Value::from(Tuple::from(groups(captures))),
        });
        return Ok(new_list(found.collect()));
    }
    let chars = |bytes: usize| text.get(..bytes).map_or(0, |head| head.chars().count());
    let found = |captures: &Captures<'_, str>| {
        let whole = captures.get(0);
        let span = whole.map_or((0, 0), |part| (chars(part.start()), chars(part.end())));
        let whole = whole.map_or("", |part| part.as_str()).to_owned();
        let names: Vec<_> = regex.capture_names().skip(1).map(|name| name.map(str::to_owned)).collect();
        Value::from_object(Match { whole, groups: groups(captures), names, span })
    };
    if method == "finditer" {
        return Ok(new_list(all(regex, text)?.iter().map(found).collect()));
    }
    let captures = regex.captures(text).map_err(|error| too_hard(&error))?.filter(|captures| {
        captures.get(0).is_some_and(|whole| (method == "search" || whole.start() == 0) && (method != "fullmatch" || whole.end() == text.len()))
    });
    Ok(captures.map_or_else(|| Value::from(()), |captures| found(&captures)))
}

fn groups(captures: &Captures<'_, str>) -> Vec<Value> {
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
