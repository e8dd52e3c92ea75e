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
        let compile = |function: &str, pattern: Option<Value>, flags: Option<Value>| {
            let pattern = required(function, "pattern", pattern)?;
            match pattern.downcast_object_ref::<Pattern>() {
                Some(made) => Ok(Arc::clone(&made.regex)),
                None => compiled(state, &required_text(function, "pattern", Some(pattern))?, flags.as_ref()),
            }
        };
        match method {
            "compile" => {
                let [pattern, flags] = bind_args("compile", ["pattern", "flags"], args)?;
                if pattern.as_ref().is_some_and(|pattern| pattern.downcast_object_ref::<Pattern>().is_some()) {
                    return Ok(pattern.unwrap_or_default());
                }
                let regex = compile("compile", pattern.clone(), flags)?;
                Ok(Value::from_object(Pattern { regex, pattern: pattern.unwrap_or_default().to_string() }))
            }
            "escape" => {
                let [text] = bind_args("escape", ["pattern"], args)?;
                Ok(Value::from(escaped(&required_text("escape", "pattern", text)?)))
            }
            "match" | "search" | "fullmatch" | "findall" | "finditer" => {
                let [pattern, text, flags] = bind_args(method, ["pattern", "string", "flags"], args)?;
                let regex = compile(method, pattern, flags)?;
                find(method, &regex, &required(method, "string", text)?.to_string())
            }
            "sub" | "subn" => {
                let [pattern, with, text, count, flags] = bind_args(method, ["pattern", "repl", "string", "count", "flags"], args)?;
                let regex = compile(method, pattern, flags)?;
                replaced(state, &regex, method == "subn", [with, text, count])
            }
            "split" => {
                let [pattern, text, limit, flags] = bind_args("split", ["pattern", "string", "maxsplit", "flags"], args)?;
                let regex = compile("split", pattern, flags)?;
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
        match key.as_str()? {
            "pattern" => Some(Value::from(&*self.pattern)),
            "groups" => Some(Value::from(self.regex.captures_len().saturating_sub(1))),
            _ => None,
        }
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        count(state, args)?;
        match method {
            "match" | "search" | "fullmatch" | "findall" | "finditer" => {
                let [text] = bind_args(method, ["string"], args)?;
                find(method, &self.regex, &required(method, "string", text)?.to_string())
            }
            "sub" | "subn" => replaced(state, &self.regex, method == "subn", bind_args(method, ["repl", "string", "count"], args)?),
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

/// `sub`, and `subn`, which also says how often. What goes into the place of a match is a text, or what a function makes of it.
fn replaced(state: &mut State<'_, '_>, regex: &Regex, counted: bool, [with, text, count]: [Option<Value>; 3]) -> Result<Value, Error> {
    let with = required("sub", "repl", with)?;
    let template = with.as_str().map(python_replacement);
    let text = required("sub", "string", text)?.to_string();
    let count = count.and_then(|count| count.as_usize()).filter(|count| *count > 0).unwrap_or(usize::MAX);
    let (mut made, mut from, mut times) = (String::new(), 0, 0);
    for captures in all(regex, &text)?.into_iter().take(count) {
        let Some(whole) = captures.get(0) else { continue };
        made.push_str(text.get(from..whole.start()).unwrap_or_default());
        match &template {
            Some(template) => captures.expand(template, &mut made),
            None => made.push_str(&with.call(state, &[found(regex, &text, &captures)])?.to_string()),
        }
        work::limit(made.len())?;
        (from, times) = (whole.end(), times + 1);
    }
    made.push_str(text.get(from..).unwrap_or_default());
    work::text(state, made.len())?;
    let made = Value::from(made);
    Ok(if counted { Value::from(Tuple::from([made, Value::from(times)])) } else { made })
}

/// Python's `re.escape`.
fn escaped(text: &str) -> String {
    let special = |c: char| "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The parts between matches, and what their groups hold.
fn split(regex: &Regex, text: Option<Value>, limit: Option<Value>) -> Result<Value, Error> {
    let text = required("split", "string", text)?.to_string();
    let limit = limit.and_then(|limit| limit.as_usize()).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut from = 0;
    for captures in all(regex, &text)?.into_iter().take(limit) {
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

/// Whether a pattern sets a flag itself, `(?im)`.
fn has_flag(pattern: &str, flag: char) -> bool {
    pattern.split("(?").skip(1).any(|rest| {
        let flags = rest.split(|letter: char| !letter.is_ascii_lowercase()).next().unwrap_or_default();
        flags.contains(flag) && rest.get(flags.len()..).is_some_and(|behind| behind.starts_with([')', ':']))
    })
}

/// A pattern, made at its first use by a template.
fn compiled(state: &State<'_, '_>, pattern: &str, flags: Option<&Value>) -> Result<Arc<Regex>, Error> {
    let flags = flags.and_then(Value::as_str).filter(|flags| !flags.is_empty() && flags.chars().all(|flag| "imsx".contains(flag)));
    let lines = flags.is_some_and(|flags| flags.contains('m')) || has_flag(pattern, 'm');
    let escaped = with_python_ends(&plain_braces(pattern), lines);
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

/// `$`, which in Python also stands before a break that ends the text, and `\Z`, which is the end of the text alone.
fn with_python_ends(pattern: &str, lines: bool) -> String {
    let mut result = String::with_capacity(pattern.len());
    let (mut escaped, mut class) = (false, false);
    for c in pattern.chars() {
        match c {
            'Z' if escaped && !class => result.push('z'),
            '$' if !escaped && !class && !lines => result.push_str(r"(?=\n?\z)"),
            c => result.push(c),
        }
        class = match c {
            '[' if !escaped => true,
            ']' if !escaped => false,
            _ => class,
        };
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
        } else if let Some(plain) = tail.chars().next().and_then(control) {
            result.push(plain);
            rest = tail.get(1..).unwrap_or_default();
        } else {
            result.push('\\');
            rest = tail;
        }
    }
    result.push_str(&rest.replace('$', "$$"));
    result
}

/// The character that a letter behind a backslash stands for.
fn control(letter: char) -> Option<char> {
    match letter {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '\\' => Some('\\'),
        _ => None,
    }
}

fn too_hard(_: &fancy_regex::Error) -> Error {
    problem(Code::JinjaRuntime, format!("the pattern goes back more than {BACKTRACKS} times on this text"))
}

/// All matches. As in Python, one that is empty may stand right behind another.
fn all<'t>(regex: &Regex, text: &'t str) -> Result<Vec<Captures<'t, str>>, Error> {
    let mut found = Vec::new();
    let mut from = 0;
    while from <= text.len() {
        let Some(captures) = regex.captures_from_pos(text, from).map_err(|error| too_hard(&error))? else { break };
        let Some(whole) = captures.get(0) else { break };
        from = whole.end();
        if whole.start() == whole.end() {
            from += text.get(from..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        }
        found.push(captures);
    }
    Ok(found)
}

/// A match as templates see it.
fn found(regex: &Regex, text: &str, captures: &Captures<'_, str>) -> Value {
    let chars = |bytes: usize| text.get(..bytes).map_or(0, |head| head.chars().count());
    let whole = captures.get(0);
    let span = whole.map_or((0, 0), |part| (chars(part.start()), chars(part.end())));
    let whole = whole.map_or("", |part| part.as_str()).to_owned();
    let names: Vec<_> = regex.capture_names().skip(1).map(|name| name.map(str::to_owned)).collect();
    let spans = captures.iter().skip(1).map(|part| part.map(|part| (chars(part.start()), chars(part.end())))).collect();
    Value::from_object(Match { whole, groups: groups(captures), names, span, spans, text: text.to_owned() })
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
    if method == "finditer" {
        return Ok(new_list(all(regex, text)?.iter().map(|captures| found(regex, text, captures)).collect()));
    }
    let captures = regex.captures(text).map_err(|error| too_hard(&error))?.filter(|captures| {
        captures.get(0).is_some_and(|whole| (method == "search" || whole.start() == 0) && (method != "fullmatch" || whole.end() == text.len()))
    });
    Ok(captures.map_or_else(|| Value::from(()), |captures| found(regex, text, &captures)))
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
    spans: Vec<Option<(usize, usize)>>,
    text: String,
}

impl Match {
    /// The place of a group that is given by number or name, counted from 0 for the whole.
    fn place(&self, key: &Value) -> Result<usize, Error> {
        let index = match key.as_str() {
            Some(name) => self.names.iter().position(|known| known.as_deref() == Some(name)).map(|index| index + 1),
            None => key.as_usize().filter(|index| *index <= self.groups.len()),
        };
        index.ok_or_else(|| problem(Code::JinjaRuntime, format!("the pattern has no group `{key}`")))
    }

    fn group(&self, key: &Value) -> Result<Value, Error> {
        Ok(match self.place(key)?.checked_sub(1) {
            None => Value::from(&*self.whole),
            Some(index) => self.groups.get(index).cloned().unwrap_or_default(),
        })
    }

    fn span_of(&self, args: &[Value]) -> Result<[Value; 2], Error> {
        let place = args.first().map_or(Ok(0), |key| self.place(key))?;
        let span = match place.checked_sub(1) {
            None => Some(self.span),
            Some(index) => self.spans.get(index).copied().flatten(),
        };
        Ok(span.map_or([-1, -1].map(Value::from), |(start, end)| [Value::from(start), Value::from(end)]))
    }
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("group", []) => Ok(Value::from(&*self.whole)),
            ("group", [key]) => self.group(key),
            ("group", keys) => Ok(Value::from(Tuple::from(keys.iter().map(|key| self.group(key)).collect::<Result<Vec<_>, _>>()?))),
            ("start" | "end" | "span", [] | [_]) => {
                let [start, end] = self.span_of(args)?;
                Ok(match method {
                    "start" => start,
                    "end" => end,
                    _ => Value::from(Tuple::from([start, end])),
                })
            }
            ("groups" | "groupdict", _) => {
                let [default] = bind_args(method, ["default"], args)?;
                let default = default.unwrap_or_else(|| Value::from(()));
                let groups = self.groups.iter().map(|group| if group.is_none() { default.clone() } else { group.clone() });
                Ok(match method {
                    "groups" => Value::from(Tuple::from(groups.collect::<Vec<_>>())),
                    _ => new_dict(self.names.iter().zip(groups).filter_map(|(name, group)| Some((Value::from(name.as_deref()?), group)))),
                })
            }
            (other, _) => Err(unsupported(&format!("{other}() of a match"))),
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("string") => Some(Value::from(&*self.text)),
            Some("lastindex") => Some(self.spans.iter().rposition(Option::is_some).map_or_else(|| Value::from(()), |index| Value::from(index + 1))),
            Some(_) | None => self.group(key).ok(),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<re.Match object; span=({}, {}), match={}>", self.span.0, self.span.1, repr(&Value::from(&*self.whole)))
    }
}
