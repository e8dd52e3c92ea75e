//! Methods of Python's text, with all their arguments by position and by name.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};

use super::containers::{new_dict, new_list, pairs};
use super::error::problem;
use super::filters::centered;
use super::format::formatted;
use super::python::{is_printable, text as printed};
use super::values::{bind_args, describe, required, required_text};
use crate::base::Code;

/// What a method of a text gives; `None` where it is left to the engine's collection, or is none.
pub(super) fn string_method(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match method {
        "split" | "rsplit" => split(text, method, args),
        "splitlines" => splitlines(text, args),
        "partition" | "rpartition" => partition(text, method, args),
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith" => searched(text, method, args),
        "zfill" | "rjust" | "ljust" | "center" => filled(text, method, args),
        "removeprefix" | "removesuffix" => affix(text, method, args),
        "title" => Ok(Value::from(title(text))),
        "translate" => translated(text, args),
        "maketrans" => translation(args),
        "format" => formatted(text, args).map(Value::from),
        "format_map" => match args {
            [map] => pairs(map).and_then(|pairs| {
                let named = pairs.into_iter().map(|(key, value)| (printed(&key), value)).collect::<minijinja::value::Kwargs>();
                formatted(text, &[Value::from(named)]).map(Value::from)
            }),
            _ => Err(problem(Code::MacroArguments, "`format_map` takes one dict")),
        },
        "expandtabs" => bind_args("expandtabs", ["tabsize"], args)
            .map(|[size]| Value::from(expand_tabs(text, size.and_then(|size| size.as_usize()).unwrap_or(8).min(64)))),
        _ => return simple(text, method, args).map(Ok),
    })
}

/// Methods without arguments.
fn simple(text: &str, method: &str, args: &[Value]) -> Option<Value> {
    let has_letters = || text.chars().any(char::is_alphabetic);
    Some(match (method, args) {
        ("swapcase", []) => Value::from(
            text.chars().map(|c| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() }).collect::<String>(),
        ),
        ("istitle", []) => {
            let mut inside = false;
            let right = text.chars().all(|c| {
                let right = !c.is_alphabetic() || c.is_uppercase() != inside;
                inside = c.is_alphabetic();
                right
            });
            Value::from(right && has_letters())
        }
        ("casefold", []) => Value::from(text.to_lowercase().replace('ß', "ss")),
        ("isidentifier", []) => {
            let starts = text.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic());
            Value::from(starts && text.chars().all(|c| c == '_' || c.is_alphanumeric()))
        }
        ("isdecimal", []) => Value::from(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())),
        ("isprintable", []) => Value::from(text.chars().all(is_printable)),
        ("encode" | "decode", _) => Value::from(text),
        _ => return None,
    })
}

/// `split(sep=None, maxsplit=-1)` and `rsplit`.
fn split(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [separator, limit] = bind_args(method, ["sep", "maxsplit"], args)?;
    let limit =
        limit.and_then(|limit| limit.as_i64()).and_then(|limit| usize::try_from(limit).ok()).map_or(usize::MAX, |limit| limit.saturating_add(1));
    let separator = separator.filter(|separator| !separator.is_none() && !separator.is_undefined());
    let separator = separator.map(|separator| required_text(method, "sep", Some(separator))).transpose()?;
    let from_right = method == "rsplit";
    let mut parts: Vec<&str> = match separator.as_deref() {
        Some("") => return Err(problem(Code::MacroArguments, format!("`{method}` takes no empty separator"))),
        Some(separator) if from_right => text.rsplitn(limit, separator).collect(),
        Some(separator) => text.splitn(limit, separator).collect(),
        None => by_blanks(text, limit, from_right),
    };
    if from_right {
        parts.reverse();
    }
    Ok(new_list(parts.into_iter().map(Value::from).collect()))
}

/// Words between blanks, the last one with all that is left; from the right in reverse order.
fn by_blanks(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let cut = |rest: &mut &'_ str| -> Option<usize> { if from_right { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) } };
    let trimmed = |rest| -> &str { if from_right { str::trim_end(rest) } else { str::trim_start(rest) } };
    let mut parts = Vec::new();
    let mut rest = trimmed(text);
    while !rest.is_empty() {
        let at = if parts.len() + 1 < limit { cut(&mut rest) } else { None };
        let Some(at) = at else {
            parts.push(rest);
            break;
        };
        let (head, tail) = rest.split_at(at);
        let blank = tail.chars().next().map_or(0, char::len_utf8);
        let (part, left) = if from_right { (tail.get(blank..).unwrap_or_default(), head) } else { (head, tail) };
        parts.push(part);
        rest = trimmed(left);
    }
    parts
}

fn splitlines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let [keep] = bind_args("splitlines", ["keepends"], args)?;
    let keep = keep.is_some_and(|keep| keep.is_true());
    let lines = text.split_inclusive('\n').flat_map(|line| {
        // A carriage return alone ends a line, too.
        let mut parts: Vec<&str> = line.split_inclusive('\r').collect();
        if let [.., before, "\n"] = parts.as_slice() {
            let both = before.len() + 1;
            let start = line.len() - both;
            parts.truncate(parts.len() - 2);
            parts.push(line.get(start..).unwrap_or_default());
        }
        parts
    });
    Ok(new_list(lines.map(|line| Value::from(if keep { line } else { line.trim_end_matches(['\r', '\n']) })).collect()))
}

fn partition(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [separator] = bind_args(method, ["sep"], args)?;
    let separator = required_text(method, "sep", separator)?;
    let found = if method == "partition" { text.split_once(&*separator) } else { text.rsplit_once(&*separator) };
    let parts = match found {
        Some((head, tail)) => [head, &separator, tail],
        None if method == "partition" => [text, "", ""],
        None => ["", "", text],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

/// The methods that take a part and, if given, the stretch to look into, counted in characters, from the end where negative.
fn searched(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [part, start, end] = bind_args(method, ["sub", "start", "end"], args)?;
    let part = required(method, "sub", part)?;
    let length = text.chars().count();
    let place = |at: Option<Value>, default: usize| match at.filter(|at| !at.is_none()).map(|at| at.as_i64()) {
        Some(Some(at)) if at < 0 => length.saturating_sub(usize::try_from(at.unsigned_abs()).unwrap_or(length)),
        Some(Some(at)) => usize::try_from(at).unwrap_or(usize::MAX),
        Some(None) | None => default,
    };
    let (start, end) = (place(start, 0), place(end, length).min(length));
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let within = if start <= end { text.get(byte(start)..byte(end)) } else { None };
    if matches!(method, "startswith" | "endswith") {
        let one = |part: &str| within.is_some_and(|within| if method == "startswith" { within.starts_with(part) } else { within.ends_with(part) });
        let parts = if part.kind() == ValueKind::Seq { super::containers::collect(&part)? } else { vec![part] };
        let parts = parts.into_iter().map(|part| required_text(method, "prefix", Some(part))).collect::<Result<Vec<_>, _>>()?;
        return Ok(Value::from(parts.iter().any(|part| one(part))));
    }
    let part = required_text(method, "sub", Some(part))?;
    if method == "count" {
        return Ok(Value::from(within.map_or(0, |within| within.matches(&*part).count())));
    }
    let found = within.and_then(|within| {
        let at = if method.starts_with('r') { within.rfind(&*part) } else { within.find(&*part) };
        at.map(|at| start + within.get(..at).unwrap_or_default().chars().count())
    });
    match found {
        Some(at) => Ok(Value::from(at)),
        None if method.ends_with("find") => Ok(Value::from(-1)),
        None => Err(problem(Code::JinjaRuntime, format!("`{part}` is not in `{text}`"))),
    }
}

fn filled(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [width, fill] = bind_args(method, ["width", "fillchar"], args)?;
    let width = required(method, "width", width)?;
    let width = match width.as_i64() {
        Some(width) => usize::try_from(width).unwrap_or(0),
        None => return Err(problem(Code::MacroArguments, format!("`{method}` takes a number, found {}", describe(&width)))),
    };
    let fill = fill.as_ref().and_then(Value::as_str).and_then(|fill| fill.chars().next()).unwrap_or(' ');
    let padding = |fill: char| fill.to_string().repeat(width.saturating_sub(text.chars().count()));
    Ok(Value::from(match method {
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            format!("{sign}{}{digits}", padding('0'))
        }
        "rjust" => padding(fill) + text,
        "ljust" => text.to_owned() + &padding(fill),
        _ => centered(text, width, fill, false),
    }))
}

fn affix(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [part] = bind_args(method, ["affix"], args)?;
    let part = required_text(method, "affix", part)?;
    let left = if method == "removeprefix" { text.strip_prefix(&*part) } else { text.strip_suffix(&*part) };
    Ok(Value::from(left.unwrap_or(text)))
}

/// A capital after whatever is no letter.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

/// `maketrans`: characters to characters, by their numbers as in Python.
fn translation(args: &[Value]) -> Result<Value, Error> {
    let number = |c: char| Value::from(u32::from(c));
    let texts = args.iter().map(|arg| required_text("maketrans", "x", Some(arg.clone())));
    match args {
        [map] => {
            let number = |key: Value| match key.as_str().and_then(|key| key.chars().next()) {
                Some(c) => number(c),
                None => key,
            };
            Ok(new_dict(pairs(map)?.into_iter().map(|(key, value)| (number(key), value))))
        }
        [_, _] | [_, _, _] => {
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            let chars = |index: usize| texts.get(index).map(|text| text.chars().collect::<Vec<_>>()).unwrap_or_default();
            if chars(0).len() != chars(1).len() {
                return Err(problem(Code::MacroArguments, "`maketrans` takes two texts of the same length"));
            }
            let replaced = chars(0).into_iter().zip(chars(1)).map(|(from, to)| (number(from), number(to)));
            Ok(new_dict(replaced.chain(chars(2).into_iter().map(|gone| (number(gone), Value::from(()))))))
        }
        _ => Err(problem(Code::MacroArguments, "`maketrans` takes a dict, or two texts and the characters that go")),
    }
}

fn translated(text: &str, args: &[Value]) -> Result<Value, Error> {
    let [table] = bind_args("translate", ["table"], args)?;
    let table: std::collections::BTreeMap<Value, Value> = pairs(&required("translate", "table", table)?)?.into_iter().collect();
    let mut out = String::new();
    for c in text.chars() {
        match table.get(&Value::from(u32::from(c))) {
            None => out.push(c),
            Some(gone) if gone.is_none() => {}
            Some(with) => match with.as_i64().and_then(|number| u32::try_from(number).ok()).and_then(char::from_u32) {
                Some(with) => out.push(with),
                None => out.push_str(&printed(with)),
            },
        }
        super::work::limit(out.len())?;
    }
    Ok(Value::from(out))
}

fn expand_tabs(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        if c == '\t' {
            let spaces = if width == 0 { 0 } else { width - column % width };
            out.push_str(&" ".repeat(spaces));
            column += spaces;
        } else {
            column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_blanks_from_both_sides() {
        assert_eq!(by_blanks("  a b  c ", usize::MAX, false), ["a", "b", "c"]);
        assert_eq!(by_blanks(" a b c ", 2, false), ["a", "b c "]);
        assert_eq!(by_blanks(" a b c ", 2, true), ["c", " a b"]);
        assert_eq!(title("they're 3d-x"), "They'Re 3D-X");
    }
}
