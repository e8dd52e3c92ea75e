//! Filters and tests of Jinja2 that the engine lacks or has with other arguments.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::sync::{Arc, atomic};

use md5::{Digest as _, Md5};
use minijinja::functions::Function;
use minijinja::value::{DynObject, Enumerator, FunctionArgs, FunctionResult, Object, ObjectRepr, Rest, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::arithmetic::sum;
use super::containers::{collect, new_dict, new_list, pairs};
use super::decimals::Decimal;
use super::error::problem;
use super::functions::{write_json, write_json_lines};
use super::macros::{is_absent, split_kwargs};
use super::modules::span_size;
use super::order::{ordering, sorted};
use super::python::{percent, repr, text};
use super::session::session_of;
use super::sets::Set;
use super::values::{bind_args, describe, required, to_json};
use super::work::{add_filter, add_growing_filter, holds, measured, weight};
use crate::base::Code;

pub(super) fn add(environment: &mut Environment<'static>) {
    of_engine(environment);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    add_growing_filter(environment, "string", |value: Value| text(&value), weights);
    add_growing_filter(
        environment,
        "center",
        |value: Value, width: Option<usize>| centered(&text(&value), width.unwrap_or(80), ' ', true),
        |args| Ok(args.get(1).and_then(Value::as_usize).unwrap_or(0)),
    );
    add_filter(environment, "wordcount", |value: Value| {
        text(&value).split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty()).count()
    });
    add_filter(environment, "striptags", |value: Value| striptags(&text(&value)));
    add_filter(environment, "urlencode", |value: Value| urlencode(&value));
    environment.add_filter("filesizeformat", |value: Value, binary: Option<bool>| -> Result<String, Error> {
        let size = value.as_str().map_or_else(|| f64::try_from(value.clone()).ok(), |text| text.trim().parse().ok());
        let size = size.ok_or_else(|| problem(Code::JinjaRuntime, format!("{} is no size of a file", describe(&value))))?;
        Ok(filesizeformat(size, binary))
    });
    environment.add_filter("abs", |value: Value| match span_size(&value).or_else(|| Decimal::size(&value)) {
        Some(size) => Ok(size),
        None => minijinja::filters::abs(value),
    });
    environment.add_function("namespace", namespace);
    add_filter(environment, "forceescape", |value: Value| escaped(&text(&value)));
    add_growing_filter(environment, "xmlattr", super::html::xmlattr, |args| Ok(weights(args)?.saturating_mul(6)));
    // Each link, of five characters at the least, holds what its tag says.
    add_growing_filter(environment, "urlize", super::html::urlize, |args| {
        let (text, tag) = (args.first().map_or(0, |value| text(value).len()), weights(args.get(1..).unwrap_or_default())?);
        Ok(text.saturating_mul(12).saturating_add((text / 5).saturating_mul(tag.saturating_mul(5).saturating_add(64))))
    });
    add_growing_filter(environment, "replace", replace, |args| match args {
        [value, old, new, ..] => Ok(replaced_length(&text(value), &text(old), &text(new))),
        _ => Ok(0),
    });
    add_filter(environment, "int", int);
    add_filter(environment, "float", float);
    environment.add_function("dict", dict);
    add_filter(environment, "dictsort", dictsort);
    add_growing_filter(environment, "wordwrap", wordwrap, |args| {
        let longest = args.iter().skip(1).map(|arg| arg.as_str().map_or(0, str::len)).max().unwrap_or(0);
        Ok(args.first().map_or(0, |value| text(value).len()).saturating_mul(longest))
    });
    add_filter(environment, "truncate", truncate);
    add_filter(environment, "random", random);
    for name in ["default", "d"] {
        environment.add_filter(name, |value: Value, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let [other, lax] = bind_args("default", ["default_value", "boolean"], &arguments(args))?;
            let replaced = is_absent(&value) || (on(lax) && !value.is_true());
            Ok(if replaced { other.unwrap_or_else(|| Value::from("")) } else { value })
        });
    }
    value_tests(environment);
    environment.add_test("defined", |value: Value| !is_absent(&value));
    environment.add_test("undefined", |value: Value| is_absent(&value));
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
}

/// Tests of what a value is. As in Python, what is undefined may be looped over, indexed and called.
fn value_tests(environment: &mut Environment<'static>) {
    environment.add_test("sequence", |value: Value| match value.kind() {
        ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Undefined => true,
        ValueKind::Iterable => value.len().is_some() && value.downcast_object_ref::<Set>().is_none(),
        _ => false,
    });
    environment.add_test("iterable", |value: Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Iterable | ValueKind::Undefined)
    });
    environment.add_test("number", |value: Value| Decimal::of(&value).is_some() || minijinja::tests::is_number(&value));
    environment.add_test("callable", |value: Value| match value.kind() {
        ValueKind::Undefined => true,
        ValueKind::Plain => value.as_object().is_some() && Decimal::of(&value).is_none(),
        _ => false,
    });
}

/// The engine's own filters and tests, with what they go through and make counted.
fn of_engine(environment: &mut Environment<'static>) {
    use minijinja::filters;
    add_filter(environment, "lower", filters::lower);
    add_filter(environment, "upper", filters::upper);
    add_filter(environment, "title", filters::title);
    add_filter(environment, "capitalize", filters::capitalize);
    add_filter(environment, "trim", filters::trim);
    for name in ["escape", "e"] {
        add_filter(environment, name, |value: Value| if value.is_safe() { value } else { Value::from_safe_string(escaped(&text(&value))) });
    }
    add_growing_filter(environment, "join", filters::join, |args| {
        let items = args.first().and_then(Value::len).unwrap_or(0);
        let joiner = args.get(1).and_then(Value::as_str).map_or(0, str::len);
        Ok(weights(args)?.saturating_add(items.saturating_mul(joiner)))
    });
    add_growing_filter(environment, "indent", indent, |args| {
        let lines = args.first().map_or(0, |value| text(value).matches('\n').count() + 1);
        let width = |arg: &Value| arg.as_str().map_or_else(|| arg.as_usize().unwrap_or(4), str::len);
        Ok(args.iter().skip(1).map(width).max().unwrap_or(4).saturating_mul(lines))
    });
    add_growing_filter(environment, "pprint", filters::pprint, weights);
    add_growing_filter(environment, "tojson", tojson, weights);
    add_growing_filter(environment, "format", format, weights);
    // The number is that of lists, or of items in each, which are filled up.
    for_lists(environment, "batch", filters::batch);
    for_lists(environment, "slice", filters::slice);
    add_filter(environment, "split", filters::split);
    add_filter(environment, "lines", filters::lines);
    add_filter(environment, "items", |value: Value| if is_absent(&value) { Ok(new_list(Vec::new())) } else { filters::items(&value) });
    add_filter(environment, "reverse", filters::reverse);
    add_filter(environment, "first", filters::first);
    add_filter(environment, "last", filters::last);
    add_filter(environment, "min", |value: Value, args: Rest<ValueOrKwargs>| extreme("min", Ordering::Less, &value, args));
    add_filter(environment, "max", |value: Value, args: Rest<ValueOrKwargs>| extreme("max", Ordering::Greater, &value, args));
    add_filter(environment, "sort", sort);
    add_filter(environment, "sum", total);
    environment.add_filter("round", round);
    add_filter(environment, "select", filters::select);
    add_filter(environment, "reject", filters::reject);
    add_filter(environment, "selectattr", filters::selectattr);
    add_filter(environment, "rejectattr", filters::rejectattr);
    add_filter(environment, "map", filters::map);
    add_filter(environment, "groupby", groupby);
    add_filter(environment, "unique", unique);
    add_filter(environment, "chain", filters::chain);
    add_filter(environment, "zip", filters::zip);
}

fn for_lists<F, Rv, Args>(environment: &mut Environment<'static>, name: &'static str, filter: F)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    add_growing_filter(environment, name, filter, |args| holds(args.get(1).and_then(Value::as_usize).unwrap_or(0)).map(|()| 0));
}

/// The bytes of all arguments as they are written out.
fn weights(args: &[Value]) -> Result<usize, Error> {
    args.iter().try_fold(0_usize, |total, arg| Ok(total.saturating_add(weight(arg)?)))
}

/// The bytes of a text in which every `old` is `new`.
pub(super) fn replaced_length(text: &str, old: &str, new: &str) -> usize {
    if new.len() <= old.len() {
        return text.len();
    }
    text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len())
}

/// One of the items. Which one follows from the invocation and from how many were taken before, so that a node compiles to
/// the same text as often as one command compiles it.
fn random(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    let session = session_of(state)?;
    let items = collect(&value)?;
    let seed = format!("{} {} {}", session.host.invocation().id, session.text, session.random.fetch_add(1, atomic::Ordering::Relaxed));
    let digest = Md5::digest(seed.as_bytes());
    let number = digest.iter().take(8).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    Ok(items.get(number.checked_rem(items.len()).unwrap_or(0)).cloned().unwrap_or(Value::UNDEFINED))
}

/// Python's `center`; the filter and the method differ in where an odd space goes.
pub(super) fn centered(text: &str, width: usize, fill: char, filter: bool) -> String {
    let padding = width.saturating_sub(text.chars().count());
    let left = padding / 2 + if filter || padding.is_multiple_of(2) { 0 } else { width & 1 };
    let fill = |count: usize| fill.to_string().repeat(count);
    format!("{}{text}{}", fill(left), fill(padding - left))
}

fn striptags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('<') {
        out.push_str(head);
        rest = tail.split_once('>').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn urlencode(value: &Value) -> Result<String, Error> {
    let part = |part: &Value| quoted(&text(part), " ").replace(' ', "+");
    Ok(match value.kind() {
        ValueKind::Map | ValueKind::Seq => {
            pairs(value)?.iter().map(|(key, value)| format!("{}={}", part(key), part(value))).collect::<Vec<_>>().join("&")
        }
        _ => quoted(&text(value), "/"),
    })
}

fn quoted(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn filesizeformat(value: f64, binary: Option<bool>) -> String {
    let binary = binary.unwrap_or(false);
    let base = if binary { 1024.0 } else { 1000.0 };
    let units = if binary { ["KiB", "MiB", "GiB", "TiB", "PiB"] } else { ["kB", "MB", "GB", "TB", "PB"] };
    if (value - 1.0).abs() < f64::EPSILON {
        return "1 Byte".to_owned();
    }
    if value < base {
        return format!("{value:.0} Bytes");
    }
    let mut size = value / base;
    for unit in &units[..4] {
        if size < base {
            return format!("{size:.1} {unit}");
        }
        size /= base;
    }
    format!("{size:.1} {}", units[4])
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('\'', "&#39;")
}

pub(super) fn arguments(args: Rest<ValueOrKwargs>) -> Vec<Value> {
    args.0.into_iter().map(ValueOrKwargs::into_value).collect()
}

pub(super) fn on(flag: Option<Value>) -> bool {
    flag.is_some_and(|flag| flag.is_true())
}

/// The engine's own filter, with what it takes by name.
fn engine_filter<F, Rv, Args>(state: &mut State<'_, '_>, filter: F, value: Value, named: Vec<(&str, Option<Value>)>) -> Result<Value, Error>
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_none())?)));
    Value::from_function(filter).call(state, &[value, Value::from(named.collect::<minijinja::value::Kwargs>())])
}

/// An attribute as filters take it: by name, or by place.
fn attribute(given: Option<Value>) -> Option<Value> {
    given.map(|given| if given.is_integer() { Value::from(given.to_string()) } else { given })
}

/// `sum(attribute=none, start=0)`.
fn total(state: &State<'_, '_>, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [by, start] = bind_args("sum", ["attribute", "start"], &arguments(args))?;
    let by = by.filter(|by| !by.is_none());
    let items = if is_absent(&value) { Vec::new() } else { collect(&value)? };
    items.iter().try_fold(start.unwrap_or_else(|| Value::from(0)), |total, item| sum(state, &total, &key_of(item, by.as_ref(), true), false))
}

/// `round(precision=0, method='common')`.
fn round(state: &mut State<'_, '_>, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = arguments(args);
    let Some(decimal) = Decimal::of(&value) else {
        return Value::from_function(minijinja::filters::round).call(state, &[vec![value], args].concat());
    };
    let [precision, method] = bind_args("round", ["precision", "method"], &args)?;
    let digits = precision.and_then(|precision| precision.as_i64()).unwrap_or(0);
    match method.as_ref().map(Value::as_str) {
        None | Some(Some("common")) => Ok(decimal.round(digits)),
        Some(Some(way @ ("ceil" | "floor"))) => Ok(decimal.round_to(digits, way == "ceil")),
        Some(_) => Err(problem(Code::MacroArguments, "`round` takes `common`, `ceil` or `floor`")),
    }
}

/// The value of an item by which a filter goes: the item, or what a path of attributes and places leads to, without regard to
/// case where that is asked for.
fn key_of(item: &Value, by: Option<&Value>, sensitive: bool) -> Value {
    let step = |item: Value, part: &str| {
        let key = part.parse::<usize>().map_or_else(|_| Value::from(part), Value::from);
        item.get_item(&key).unwrap_or_default()
    };
    let found = match by.map(text) {
        Some(path) => path.split('.').fold(item.clone(), step),
        None => item.clone(),
    };
    match found.as_str().filter(|_| !sensitive) {
        Some(text) => Value::from(text.to_lowercase()),
        None => found,
    }
}

/// `sort(reverse=false, case_sensitive=false, attribute=none)`; several attributes stand with commas between.
fn sort(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [reverse, sensitive, by] = bind_args("sort", ["reverse", "case_sensitive", "attribute"], &arguments(args))?;
    let (by, sensitive) = (by.filter(|by| !by.is_none()), on(sensitive));
    let paths: Vec<Value> = by.iter().flat_map(|by| text(by).split(',').map(Value::from).collect::<Vec<_>>()).collect();
    let key = |item: &Value| match paths.as_slice() {
        [] | [_] => key_of(item, paths.first(), sensitive),
        paths => Value::from(Tuple::from(paths.iter().map(|path| key_of(item, Some(path), sensitive)).collect::<Vec<_>>())),
    };
    let items = if is_absent(&value) { Vec::new() } else { collect(&value)? };
    Ok(new_list(sorted(items.into_iter().map(|item| (key(&item), item)).collect(), on(reverse))?))
}

/// `min` and `max`, with `case_sensitive=false, attribute=none`: of those that are alike, the first.
fn extreme(name: &'static str, wanted: Ordering, value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [sensitive, by] = bind_args(name, ["case_sensitive", "attribute"], &arguments(args))?;
    let (by, sensitive) = (by.filter(|by| !by.is_none()), on(sensitive));
    let items = if is_absent(value) { Vec::new() } else { collect(value)? };
    let mut found: Option<(Value, Value)> = None;
    for item in items {
        let key = key_of(&item, by.as_ref(), sensitive);
        if match &found {
            Some((known, _)) => ordering(&key, known)? == wanted,
            None => true,
        } {
            found = Some((key, item));
        }
    }
    Ok(found.map(|(_, item)| item).unwrap_or_default())
}

/// `unique(case_sensitive=false, attribute=none)`.
fn unique(state: &mut State<'_, '_>, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [sensitive, by] = bind_args("unique", ["case_sensitive", "attribute"], &arguments(args))?;
    engine_filter(state, minijinja::filters::unique, value, vec![("case_sensitive", sensitive), ("attribute", attribute(by))])
}

/// `groupby(attribute, default=none, case_sensitive=false)`: groups in order; each is named as its first item is spelt.
fn groupby(state: &mut State<'_, '_>, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [by, default, sensitive] = bind_args("groupby", ["attribute", "default", "case_sensitive"], &arguments(args))?;
    let by = required("groupby", "attribute", attribute(by))?.to_string();
    let key = |item: &Value| {
        let found = by.split('.').try_fold(item.clone(), |item, part| match part.parse::<usize>() {
            Ok(index) => item.get_item(&Value::from(index)).ok(),
            Err(_) => item.get_item(&Value::from(part)).ok(),
        });
        found.filter(|found| !found.is_undefined()).or_else(|| default.clone()).unwrap_or(Value::UNDEFINED)
    };
    let folded = |key: &Value| match key.as_str().filter(|_| !sensitive.as_ref().is_some_and(Value::is_true)) {
        Some(text) => Value::from(text.to_lowercase()),
        None => key.clone(),
    };
    let items = collect(&value)?;
    super::work::charge(state, items.len().saturating_mul(super::work::ITEM))?;
    let keyed = items.into_iter().map(|item| (folded(&key(&item)), item)).collect();
    let keyed: Vec<(Value, Value)> = sorted(keyed, false)?.into_iter().map(|item| (key(&item), item)).collect();
    let groups = keyed.chunk_by(|a, b| folded(&a.0) == folded(&b.0)).filter_map(|group| {
        let grouper = group.first()?.0.clone();
        Some(Value::from_object(Group { grouper, list: new_list(group.iter().map(|(_, item)| item.clone()).collect()) }))
    });
    Ok(new_list(groups.collect()))
}

/// A pair that has names, too.
#[derive(Debug)]
struct Group {
    grouper: Value,
    list: Value,
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match (key.as_usize(), key.as_str()) {
            (Some(0), _) | (_, Some("grouper")) => Some(self.grouper.clone()),
            (Some(1), _) | (_, Some("list")) => Some(self.list.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", repr(&self.grouper), repr(&self.list))
    }
}

/// `indent(width=4, first=false, blank=false)`; the width may be the text to put in front of lines.
fn indent(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [width, first, blank] = bind_args("indent", ["width", "first", "blank"], &arguments(args))?;
    let indention = match width.as_ref().map(|width| (width.as_str(), width.as_usize())) {
        Some((Some(text), _)) => text.to_owned(),
        Some((None, Some(width))) => " ".repeat(width),
        Some((None, None)) => return Err(problem(Code::MacroArguments, "`indent` takes a number or a text")),
        None => " ".repeat(4),
    };
    let (text, blank) = (text(&value), on(blank));
    let mut out = if on(first) { indention.clone() } else { String::new() };
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        out.push_str(if index > 0 { "\n" } else { "" });
        out.push_str(if index > 0 && (blank || !line.is_empty()) { &indention } else { "" });
        out.push_str(line);
    }
    Ok(out)
}

/// `format(values, ..)` by place or by name, as `%` formats.
fn format(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let args = arguments(args);
    let (positional, named) = split_kwargs(&args)?;
    let values = if named.is_empty() {
        Value::from(Tuple::from(positional.to_vec()))
    } else {
        new_dict(named.into_iter().map(|(name, value)| (Value::from(name), value)))
    };
    percent(&text(&value), &values)
}

/// JSON that may stand in HTML, with its keys sorted.
fn tojson(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [indent] = bind_args("tojson", ["indent"], &arguments(args))?;
    let mut json = to_json(&value)?;
    json.sort_all_objects();
    let mut out = String::new();
    match indent.filter(|indent| !indent.is_none()).map(|indent| indent.as_usize().unwrap_or(0).min(64)) {
        Some(indent) => write_json_lines(&json, indent, 0, &mut out),
        None => write_json(&json, &mut out),
    }
    Ok(out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027"))
}

/// `namespace(mapping, name=value, ..)`.
fn namespace(state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let given = dict(state, args)?;
    Value::from_function(minijinja::functions::namespace).call(state, &[given])
}

fn replace(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [old, new, count] = bind_args("replace", ["old", "new", "count"], &arguments(args))?;
    let (old, new) = (text(&required("replace", "old", old)?), text(&required("replace", "new", new)?));
    let value = text(&value);
    Ok(match count.and_then(|count| count.as_usize()) {
        Some(count) => value.replacen(&old, &new, count),
        None => value.replace(&old, &new),
    })
}

/// `int(default=0, base=10)`: what can't be read is the default.
fn int(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default, base] = bind_args("int", ["default", "base"], &arguments(args))?;
    let base = base.and_then(|base| base.as_usize()).and_then(|base| u32::try_from(base).ok()).filter(|base| (2..=36).contains(base)).unwrap_or(10);
    #[expect(clippy::cast_possible_truncation, reason = "`int` cuts off, and floats beyond 64 bits are no counts")]
    let cut = |float: f64| float.is_finite().then(|| Value::from(float as i64));
    let read = match value.kind() {
        ValueKind::Bool => Some(Value::from(i64::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => Some(value.clone()),
        ValueKind::Number => f64::try_from(value.clone()).ok().and_then(cut),
        ValueKind::Plain => {
            Decimal::of(&value).and_then(Decimal::whole).map(|whole| i64::try_from(whole).map_or_else(|_| Value::from(whole), Value::from))
        }
        ValueKind::String => read_int(value.as_str().unwrap_or_default().trim(), base).or_else(|| value.as_str()?.trim().parse().ok().and_then(cut)),
        _ => None,
    };
    Ok(read.or(default).unwrap_or_else(|| Value::from(0)))
}

/// `float(default=0.0)`: what can't be read is the default.
fn float(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default] = bind_args("float", ["default"], &arguments(args))?;
    let read = match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value).ok(),
        ValueKind::Plain => Decimal::of(&value).map(Decimal::float),
        ValueKind::String => value.as_str().and_then(|text| text.trim().replace('_', "").parse().ok()),
        _ => None,
    };
    Ok(read.map(Value::from).or(default).unwrap_or_else(|| Value::from(0.0)))
}

/// `dict(mapping or pairs, name=value, ..)`.
fn dict(state: &State<'_, '_>, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = arguments(args);
    let (positional, named) = split_kwargs(&args)?;
    args.iter().try_for_each(|arg| super::work::count(state, arg))?;
    let given = match positional {
        [] => Vec::new(),
        [given] => pairs(given)?,
        _ => return Err(problem(Code::MacroArguments, format!("`dict` takes one value by position but was given {}", positional.len()))),
    };
    Ok(new_dict(given.into_iter().chain(named.into_iter().map(|(name, value)| (Value::from(name), value)))))
}

fn read_int(text: &str, base: u32) -> Option<Value> {
    let digits = text.replace('_', "");
    let (sign, digits) = digits.strip_prefix('-').map_or((1, digits.as_str()), |digits| (-1, digits));
    let lower = digits.to_lowercase();
    let bare = match base {
        16 => lower.strip_prefix("0x"),
        8 => lower.strip_prefix("0o"),
        2 => lower.strip_prefix("0b"),
        _ => None,
    };
    let number = i128::from_str_radix(bare.unwrap_or(&lower), base).ok()?;
    Some(i64::try_from(sign * number).map_or_else(|_| Value::from(sign * number), Value::from))
}

/// `dictsort(case_sensitive=false, by='key', reverse=false)`.
fn dictsort(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [sensitive, by, reverse] = bind_args("dictsort", ["case_sensitive", "by", "reverse"], &arguments(args))?;
    let by_value = match by.as_ref().map(Value::as_str) {
        None | Some(Some("key")) => false,
        Some(Some("value")) => true,
        Some(_) => return Err(problem(Code::MacroArguments, "`dictsort` sorts by `key` or by `value`")),
    };
    let sensitive = on(sensitive);
    let pairs = value.as_object().filter(|_| value.kind() == ValueKind::Map).and_then(DynObject::try_iter_pairs);
    let pairs: Vec<(Value, Value)> = pairs.ok_or_else(|| problem(Code::MacroArguments, "`dictsort` sorts a dict"))?.collect();
    let key = |pair: &(Value, Value)| {
        let key = if by_value { &pair.1 } else { &pair.0 };
        match key.as_str().filter(|_| !sensitive) {
            Some(text) => Value::from(text.to_lowercase()),
            None => key.clone(),
        }
    };
    let keyed = pairs.into_iter().map(|pair| (key(&pair), Value::from(Tuple::from([pair.0, pair.1]))));
    Ok(new_list(sorted(keyed.collect(), on(reverse))?))
}

/// `wordwrap(width=79, break_long_words=true, wrapstring=newline, break_on_hyphens=true)`.
fn wordwrap(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, break_long, wrap, _] = bind_args("wordwrap", names, &arguments(args))?;
    let width = width.and_then(|width| width.as_usize()).unwrap_or(79).max(1);
    let break_long = break_long.is_none_or(|flag| flag.is_true());
    let wrap = wrap.map_or_else(|| "\n".to_owned(), |wrap| text(&wrap));
    let text = text(&value);
    let lines: Vec<String> = text.lines().map(|line| wrapped(line, width, break_long).join(&wrap)).collect();
    Ok(lines.join(&wrap))
}

fn wrapped(line: &str, width: usize, break_long: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let Some(last) = lines.last_mut() else { return lines };
            let used = last.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width || (used == 0 && !break_long) {
                last.push_str(if gap == 1 { " " } else { "" });
                last.extend(word);
                break;
            }
            if used == 0 {
                let rest = word.split_off(width);
                last.extend(word);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// What is undefined has no items, as in Python.
fn length(state: &State<'_, '_>, value: Value) -> Result<usize, Error> {
    measured(state, &value)?;
    if is_absent(&value) { Ok(0) } else { minijinja::filters::length(&value) }
}

/// `truncate(length, killwords, end, leeway)` by position or by name.
fn truncate(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [length, kill, end, leeway] = bind_args("truncate", ["length", "killwords", "end", "leeway"], &arguments(args))?;
    let length = length.and_then(|value| value.as_usize()).unwrap_or(255);
    let leeway = leeway.and_then(|value| value.as_usize()).unwrap_or(5);
    let end = end.map_or_else(|| "...".to_owned(), |value| text(&value));
    let text = text(&value);
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let mut head: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    if !kill.is_some_and(|value| value.is_true()) {
        let words = head.rsplit_once(' ').map_or(head.len(), |(words, _)| words.len());
        head.truncate(words);
    }
    Ok(head + &end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_centred_and_stripped() {
        assert_eq!(wrapped("aa bb cc", 5, true), ["aa bb", "cc"]);
        assert_eq!(wrapped("abcdefg", 3, true), ["abc", "def", "g"]);
        assert_eq!(centered("a", 4, ' ', true), " a  ");
        assert_eq!(striptags("<b>x</b>  y"), "x y");
        assert_eq!(filesizeformat(1024.0, None), "1.0 kB");
    }
}
