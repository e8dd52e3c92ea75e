//! The engine as this room sets it up: undefined values, printing, filters, Python's methods, and JSON.

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use serde_json::Value as Json;

use super::arithmetic;
use super::containers::{collect, is_own, is_plain_map, mutable, new_dict, new_list, pairs};
use super::decimals::Decimal;
use super::error::problem;
use super::filters;
use super::macros::split_kwargs;
use super::modules::object_repr;
use super::names::Unavailable;
use super::native;
use super::order;
use super::python::text as printed_text;
use super::relation::Relation;
use super::results::to_dict;
use super::session::session_of;
use super::strings::string_method;
use super::views::{self, View};
use super::work::{self, fits, weight};
use crate::base::{Code, Diagnostic, nearest};

/// The most steps that a template may take: some seconds of work, and far from what any template needs.
const STEPS: u64 = 100_000_000;

/// What a character of a text takes as an item of a list, in bytes.
const CHARACTER: usize = 24;

/// An environment. While parsing, attributes of undefined values are undefined again, as in dbt.
pub(super) fn environment(executing: bool) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(if executing { UndefinedBehavior::Lenient } else { UndefinedBehavior::Chainable });
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(print);
    environment.set_debug(false);
    environment.set_fuel(Some(STEPS));
    environment.set_auto_reload(false);
    if executing {
        environment.set_unknown_method_callback(python_method);
    } else {
        environment.set_unknown_method_callback(|state, value, method, args| match value.kind() {
            ValueKind::Undefined => Ok(Value::UNDEFINED),
            _ => python_method(state, value, method, args),
        });
    }
    let list = |value: Value| match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(new_list(Vec::new())),
        ValueKind::String => Ok(new_list(value.as_str().unwrap_or_default().chars().map(|c| Value::from(c.to_string())).collect())),
        _ => collect(&value).map(new_list),
    };
    let characters = |args: &[Value]| Ok(args.first().and_then(Value::as_str).map_or(0, |text| text.len().saturating_mul(CHARACTER)));
    work::add_growing_filter(&mut environment, "list", list, characters);
    // What `for` goes through: a text as a list, of which the length is known. None is nothing to go through.
    environment.add_filter("__it", move |state: &State<'_, '_>, value: Value| match value.kind() {
        ValueKind::String => {
            work::charge(state, value.as_str().map_or(0, str::len).saturating_mul(CHARACTER))?;
            list(value)
        }
        ValueKind::None => Err(problem(Code::JinjaRuntime, "none can't be looped over")),
        _ => Ok(value),
    });
    native::add(&mut environment);
    filters::add(&mut environment);
    arithmetic::add(&mut environment);
    order::add(&mut environment, executing);
    views::add(&mut environment);
    environment
}

fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if let Some(unavailable) = value.downcast_object_ref::<Unavailable>() {
        return Err(unavailable.error());
    }
    let printed;
    let text = match value.kind() {
        ValueKind::Undefined => {
            if let Ok(session) = session_of(state) {
                session.print_nothing();
            }
            ""
        }
        ValueKind::String => value.as_str().unwrap_or_default(),
        ValueKind::Invalid => return value.clone().try_iter().map(|_| ()),
        _ => {
            printed = printed_text(value);
            &printed
        }
    };
    let Ok(session) = session_of(state) else {
        return out.write_str(text).map_err(Error::from);
    };
    session.begin_emission(text.len())?;
    let written = out.write_str(text);
    session.end_emission();
    written.map_err(Error::from)
}

/// Methods of Python's strings, dicts and lists on the engine's own values.
fn python_method(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    const CHANGES: [&str; 9] = ["append", "extend", "insert", "pop", "remove", "sort", "update", "setdefault", "clear"];
    count_method(state, value, method, args)?;
    if let ("join", Some(_), [items]) = (method, value.as_str(), args) {
        texts_only(items)?;
    }
    if let Some(given) = value.as_str().and_then(|text| string_method(text, method, args)) {
        return given;
    }
    if let ("index", true, [item, ..]) = (method, value.is_tuple(), args) {
        let at = collect(value)?.iter().position(|known| known == item);
        return at.map(Value::from).ok_or_else(|| problem(Code::JinjaRuntime, format!("`{item}` is not in the tuple")));
    }
    if value.kind() == ValueKind::Number && method == "is_integer" {
        return Ok(Value::from(value.is_integer() || f64::try_from(value.clone()).is_ok_and(|number| number.fract() == 0.0)));
    }
    let result = minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args);
    match result {
        Ok(found) => match method {
            "keys" => collect(&found).map(View::keys),
            "values" => collect(&found).map(View::values),
            "items" => collect(&found).map(View::pairs),
            _ => Ok(found),
        },
        Err(error) if error.kind() == ErrorKind::UnknownMethod => {
            if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) && CHANGES.contains(&method) {
                let message = format!("`.{method}` can't change this value in place");
                return Err(super::error::diagnosed(
                    Diagnostic::error(Code::JinjaUnsupported, message).help("assign it with `{% set %}` first, and change that"),
                ));
            }
            // What dbt gives as objects, such as results and nodes, are mappings already.
            if method == "to_dict" && value.kind() == ValueKind::Map {
                return Ok(to_dict(value));
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// What `join` of a text puts together; the filter of that name takes anything.
fn texts_only(items: &Value) -> Result<(), Error> {
    for (index, item) in items.try_iter()?.checked().enumerate() {
        let item = item?;
        if item.as_str().is_none() && !item.is_undefined() {
            let message = format!("`join` takes texts, and item {index} is {}", describe(&item));
            return Err(super::error::diagnosed(
                Diagnostic::error(Code::JinjaRuntime, message).help("make texts of the items, `items | map('string')`, or use the filter `join`"),
            ));
        }
    }
    Ok(())
}

/// Counts what a method goes through and makes.
fn count_method(state: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<(), Error> {
    work::count(state, value)?;
    let Some(text) = value.as_str() else { return Ok(()) };
    let argument = |index: usize| args.get(index).and_then(Value::as_str).unwrap_or_default();
    let made = match method {
        "replace" => filters::replaced_length(text, argument(0), argument(1)),
        "join" => {
            let items = args.first().cloned().unwrap_or_default();
            weight(&items)?.saturating_add(items.len().unwrap_or(0).saturating_mul(text.len()))
        }
        "split" | "rsplit" | "splitlines" => text.len().saturating_mul(CHARACTER),
        "expandtabs" => text.len().saturating_mul(args.first().and_then(Value::as_usize).unwrap_or(8).min(64)),
        "format" => args.iter().try_fold(format_length(text), |total, arg| Ok::<_, Error>(total.saturating_add(weight(arg)?)))?,
        "zfill" | "rjust" | "ljust" | "center" => args.first().and_then(Value::as_usize).unwrap_or(0).max(text.len()),
        _ => text.len(),
    };
    work::text(state, made)
}

/// The most that a template of `str.format` makes without its values: the numbers in it may be widths.
fn format_length(template: &str) -> usize {
    let numbers = template.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    numbers.map(|digits| digits.parse().unwrap_or(usize::MAX)).fold(template.len(), usize::saturating_add)
}

/// JSON as a value of the engine.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => new_list(items.iter().map(from_json).collect()),
        Json::Object(pairs) => new_dict(pairs.iter().map(|(key, value)| (Value::from(key.as_str()), from_json(value)))),
    }
}

/// A value as JSON; relations and the like as their text.
pub(super) fn to_json(value: &Value) -> Result<Json, Error> {
    weight(value)?;
    json_of(value)
}

fn json_of(value: &Value) -> Result<Json, Error> {
    if value.downcast_object_ref::<Relation>().is_some() {
        return Ok(Json::String(value.to_string()));
    }
    if let Some(decimal) = Decimal::of(value) {
        return Ok(decimal.json());
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => collect(value)?.iter().map(json_of).collect::<Result<Vec<_>, _>>().map(Json::Array),
        ValueKind::Map if is_own(value) || is_plain_map(value) => {
            let pairs = pairs(value)?.into_iter().map(|(key, item)| Ok((json_key(&key)?, json_of(&item)?)));
            pairs.collect::<Result<serde_json::Map<_, _>, Error>>().map(Json::Object)
        }
        _ => serde_json::to_value(value).map_err(|error| problem(Code::JinjaRuntime, format!("this value can't be written as data: {error}"))),
    }
}

/// The name that a key has in JSON, as Python writes it.
fn json_key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String | ValueKind::Number => Ok(printed_text(key)),
        ValueKind::Bool => Ok(key.is_true().to_string()),
        ValueKind::None => Ok("null".to_owned()),
        _ => Err(problem(Code::JinjaRuntime, format!("this value can't be written as data: {} is no key", describe(key)))),
    }
}

/// Arguments of one of our functions, by position or by name.
pub(super) fn bind_args<const N: usize>(function: &str, names: [&str; N], args: &[Value]) -> Result<[Option<Value>; N], Error> {
    let (positional, named) = split_kwargs(args)?;
    if positional.len() > N {
        let message = format!("`{function}` takes at most {N} arguments but was given {}", positional.len());
        return Err(problem(Code::MacroArguments, message));
    }
    let mut bound = [const { None }; N];
    for (slot, value) in bound.iter_mut().zip(positional) {
        *slot = Some(value.clone());
    }
    for (name, value) in named {
        let index = names.iter().position(|known| *known == name);
        match index.and_then(|index| bound.get_mut(index)) {
            Some(slot @ None) => *slot = Some(value),
            Some(Some(_)) => {
                return Err(problem(Code::MacroArguments, format!("`{function}` was given `{name}` twice")));
            }
            None => {
                let diagnostic = Diagnostic::error(Code::MacroArguments, format!("`{function}` has no argument `{name}`"));
                let near = nearest(&name, names);
                return Err(super::error::diagnosed(diagnostic.help_nearest(near, format!("it takes `{}`", names.join("`, `")))));
            }
        }
    }
    Ok(bound)
}

/// An argument that has to be there.
pub(super) fn required(function: &str, name: &str, value: Option<Value>) -> Result<Value, Error> {
    value.ok_or_else(|| problem(Code::MacroArguments, format!("`{function}` needs an argument `{name}`")))
}

/// An argument that has to be there and to be text.
pub(super) fn required_text(function: &str, name: &str, value: Option<Value>) -> Result<String, Error> {
    let value = required(function, name, value)?;
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(problem(Code::MacroArguments, format!("`{function}` expects text for `{name}`, found {}", describe(&value)))),
    }
}

/// What a value is, in words.
pub(super) fn describe(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => "an undefined value".to_owned(),
        ValueKind::None => "none".to_owned(),
        ValueKind::Bool => "a boolean".to_owned(),
        ValueKind::Number => format!("the number `{value}`"),
        ValueKind::String => format!("`{value}`"),
        ValueKind::Seq | ValueKind::Iterable => "a list".to_owned(),
        ValueKind::Map => "a dict".to_owned(),
        _ if Decimal::of(value).is_some() => format!("the number `{value}`"),
        _ => object_repr(value).map_or_else(|| "an object".to_owned(), |repr| format!("`{repr}`")),
    }
}

/// For [`super::names`]: what `{% set %}` does to a value.
pub(super) fn assigned(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let (positional, named) = split_kwargs(args)?;
    if named.iter().any(|(name, _)| name != "__t") {
        return Err(problem(Code::JinjaSyntax, "a `set` has one `=`"));
    }
    // What is put into a namespace lives on through the turns of a loop, and may grow with each.
    if !named.is_empty() {
        positional.iter().try_for_each(|value| fits(state, None, value))?;
    }
    positional.iter().try_for_each(|value| if is_own(value) || value.as_str().is_some() { Ok(()) } else { work::count(state, value) })?;
    match positional {
        [value] => mutable(value.clone()),
        values => {
            let values = values.iter().cloned().map(mutable).collect::<Result<Vec<_>, _>>()?;
            Ok(Value::from(minijinja::value::Tuple::from(values)))
        }
    }
}
