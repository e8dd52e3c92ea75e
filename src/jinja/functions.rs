//! dbt's functions, as templates call them.

use std::fmt::Write as _;
use std::sync::Arc;

use md5::{Digest, Md5};
use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::{Map, Value as Json};

use super::containers::{collect, is_own, new_dict, new_list};
use super::error::{Signal, diagnosed, problem, unsupported};
use super::host::{QueryTable, Read, RefCall, SourceCall, Warned};
use super::macros::{split_kwargs, statement_result};
use super::modules::Endless;
use super::python::float_text;
use super::query::{Response, Table, statement_value};
use super::relation::Relation;
use super::render::render_within;
use super::session::{Scope, Session, lock};
use super::sets::new_set;
use super::values::{bind_args, describe, from_json, required, required_text, to_json};
use super::work;
use crate::base::{Code, Diagnostic, Heard, Span};

fn call_place(session: &Session) -> Option<Span> {
    *lock(&session.call_place)
}

/// `ref('name')`, `ref('package', 'name')`, `version=` or `v=`.
pub(super) fn reference(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let (positional, named) = split_kwargs(args)?;
    let text = |value: &Value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(problem(Code::MacroArguments, format!("`ref` expects names as text, found {}", describe(value)))),
    };
    let (package, name) = match positional {
        [name] => (None, text(name)?),
        [package, name] => (Some(text(package)?), text(name)?),
        _ => return Err(problem(Code::MacroArguments, format!("`ref` takes one or two names but was given {}", positional.len()))),
    };
    let mut version = None;
    for (key, value) in named {
        match key.as_str() {
            "version" | "v" => version = (!value.is_none() && !value.is_undefined()).then(|| value.to_string()),
            other => return Err(problem(Code::MacroArguments, format!("`ref` has no argument `{other}`"))),
        }
    }
    let call = RefCall { package, name, version, span: call_place(session) };
    let name = session.host.reference(&call)?;
    // What stands for an ephemeral model is no relation of the warehouse.
    let quoting = if name.schema.is_empty() { [true; 3] } else { session.host.quoting() };
    let relation = Relation::new(name, None, session.semantics()).quoted(quoting);
    Ok(relation.restricted(session.host.restriction(Read::Ref(&call))))
}

/// `function('name')`, `function('package', 'name')`: the name by which a function is called.
pub(super) fn function(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let text = |value: &Value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(problem(Code::MacroArguments, format!("`function` expects names as text, found {}", describe(value)))),
    };
    let (package, name) = match args {
        [name] => (None, text(name)?),
        [package, name] => (Some(text(package)?), text(name)?),
        _ => return Err(problem(Code::MacroArguments, format!("`function` takes one or two names but was given {}", args.len()))),
    };
    let call = RefCall { package, name: format!("{name}()"), version: None, span: call_place(session) };
    let relation = Relation::new(session.host.reference(&call)?, None, session.semantics());
    Ok(relation.quoted(session.host.quoting()).restricted(None))
}

pub(super) fn source(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [source, table] = bind_args("source", ["source_name", "table_name"], args)?;
    let call = SourceCall {
        source: required_text("source", "source_name", source)?,
        table: required_text("source", "table_name", table)?,
        span: call_place(session),
    };
    let name = session.host.source(&call)?;
    let relation = Relation::new(name, None, session.semantics()).quoted(session.host.quoting_of(&call));
    Ok(relation.restricted(session.host.restriction(Read::Source(&call))))
}

/// `config(..)` and `config.get(..)`.
#[derive(Debug)]
pub(super) struct Config(pub Arc<Session>);

impl Config {
    fn set(&self, args: &[Value]) -> Result<Value, Error> {
        let (positional, named) = split_kwargs(args)?;
        let mut values = Map::new();
        for value in positional {
            let Json::Object(given) = to_json(value)? else {
                let message = format!("`config` takes values by name, found {}", describe(value));
                return Err(problem(Code::MacroArguments, message));
            };
            values.extend(given);
        }
        for (name, value) in named {
            values.insert(name, to_json(&value)?);
        }
        self.0.host.config(values, call_place(&self.0))?;
        Ok(Value::from(""))
    }

    fn get(&self, state: &mut State<'_, '_>, function: &str, args: &[Value]) -> Result<Option<Value>, Error> {
        let [name, default, validator] = bind_args(function, ["name", "default", "validator"], args)?;
        let name = required_text(function, "name", name)?;
        if !self.0.execute {
            return Ok(Some(Value::from("")));
        }
        let found = self.0.host.config_get(&name).map(|json| from_json(&json)).or(default);
        validated(state, found, validator)
    }

    fn meta(&self, state: &mut State<'_, '_>, function: &str, args: &[Value]) -> Result<Option<Value>, Error> {
        let [name, default, validator] = bind_args(function, ["name", "default", "validator"], args)?;
        let name = required_text(function, "name", name)?;
        let meta = self.0.host.config_get("meta");
        validated(state, meta.as_ref().and_then(|meta| meta.get(&name)).map(from_json).or(default), validator)
    }

    fn persists(&self, what: &str) -> Value {
        let docs = self.0.host.config_get("persist_docs");
        Value::from(docs.and_then(|docs| docs.get(what).and_then(Json::as_bool)).unwrap_or(false))
    }
}

impl Object for Config {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.set(args)
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(self.0.host.config_get(key.as_str()?).map_or(Value::UNDEFINED, |json| from_json(&json)))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "get" => Ok(self.get(state, "config.get", args)?.unwrap_or_else(|| Value::from(()))),
            "require" => self.get(state, "config.require", args)?.ok_or_else(|| missing_config(args)),
            "meta_get" => Ok(self.meta(state, "config.meta_get", args)?.unwrap_or_else(|| Value::from(()))),
            "meta_require" => self.meta(state, "config.meta_require", args)?.ok_or_else(|| missing_config(args)),
            "set" => {
                let [name, value] = bind_args("config.set", ["name", "value"], args)?;
                let name = required_text("config.set", "name", name)?;
                let value = to_json(&value.unwrap_or_default())?;
                self.0.host.config(Map::from_iter([(name, value)]), call_place(&self.0))?;
                Ok(Value::from(""))
            }
            "persist_relation_docs" => Ok(self.persists("relation")),
            "persist_column_docs" => Ok(self.persists("columns")),
            other => Err(unsupported(&format!("config.{other}()"))),
        }
    }
}

/// What a config says, if `validation.any` does not refuse it.
fn validated(state: &mut State<'_, '_>, found: Option<Value>, validator: Option<Value>) -> Result<Option<Value>, Error> {
    if let (Some(value), Some(validator)) = (&found, validator.filter(|validator| validator.as_object().is_some())) {
        validator.call(state, std::slice::from_ref(value))?;
    }
    Ok(found)
}

fn missing_config(args: &[Value]) -> Error {
    let name = args.first().map(Value::to_string).unwrap_or_default();
    problem(Code::JinjaRuntime, format!("the config `{name}` is required and not set"))
}

/// `var('name', default)`.
#[derive(Debug)]
pub(super) struct Var(pub Arc<Session>);

impl Object for Var {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let [name, default] = bind_args("var", ["name", "default"], args)?;
        let name = required_text("var", "name", name)?;
        match self.0.host.var(&name) {
            // As in dbt, Jinja in a variable is rendered where the variable is used.
            Some(Json::String(text)) if self.0.scope == Scope::Node => return render_within(&self.0, state, &[Value::from(text)]),
            Some(json) => return Ok(from_json(&json)),
            None => {}
        }
        // As in dbt, a default of none still counts as one.
        default.ok_or_else(|| {
            let diagnostic = Diagnostic::error(Code::UndefinedVar, format!("variable `{name}` is not set"));
            diagnosed(diagnostic.help(format!("give a default, `var('{name}', ..)`, or set it under `vars` in the project file")))
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("has_var", [name]) => Ok(Value::from(self.0.host.var(name.as_str().unwrap_or_default()).is_some())),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}

/// The prefix of variables that only the project and profile files may read.
const SECRET_PREFIX: &str = "DBT_ENV_SECRET";

pub(super) fn env_var(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [name, default] = bind_args("env_var", ["var", "default"], args)?;
    let name = required_text("env_var", "var", name)?;
    if name.starts_with(SECRET_PREFIX) && session.scope != Scope::Yaml {
        let message = format!("the secret `{name}` can't be read here");
        let diagnostic = Diagnostic::error(Code::UndefinedEnvVar, message);
        return Err(diagnosed(diagnostic.note(format!("variables that start with `{SECRET_PREFIX}` are for profiles and package files"))));
    }
    if let Some(value) = session.host.env_override(&name) {
        return Ok(Value::from(value));
    }
    session.host.note_environment(&name);
    match std::env::var(&name) {
        Ok(value) => Ok(Value::from(value)),
        Err(_) => default.filter(|value| !value.is_undefined()).ok_or_else(|| {
            let diagnostic = Diagnostic::error(Code::UndefinedEnvVar, format!("environment variable `{name}` is not set"));
            diagnosed(diagnostic.help(format!("set it, or give a default: `env_var('{name}', ..)`")))
        }),
    }
}

pub(super) fn doc(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [first, second] = bind_args("doc", ["package", "name"], args)?;
    let first = required_text("doc", "name", first)?;
    let text = match second {
        Some(name) => session.host.doc(Some(&first), &name.to_string())?,
        None => session.host.doc(None, &first)?,
    };
    Ok(Value::from(text))
}

pub(super) fn log(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [message, info] = bind_args("log", ["msg", "info"], args)?;
    let message = required("log", "msg", message)?.to_string();
    session.work.charge(message.len())?;
    session.host.log(&message, if info.is_some_and(|info| info.is_true()) { Heard::Terminal } else { Heard::Log });
    Ok(Value::from(""))
}

pub(super) fn print(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [message] = bind_args("print", ["msg"], args)?;
    if session.host.invocation().flags.get("PRINT") == Some(&Json::Bool(false)) {
        return Ok(Value::from(""));
    }
    session.host.log(&message.unwrap_or_default().to_string(), Heard::Script);
    Ok(Value::from(""))
}

/// The thread that renders, as dbt names threads.
pub(super) fn thread_id() -> String {
    let digits: String = format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
    format!("Thread-{digits}")
}

pub(super) fn give_back(_: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [value] = bind_args("return", ["data"], args)?;
    Err(Signal::Return(value.unwrap_or_else(|| Value::from(()))).into())
}

pub(super) fn tojson(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [value, default, sort] = bind_args("tojson", ["value", "default", "sort_keys"], args)?;
    let Ok(mut json) = to_json(&value.unwrap_or_default()) else {
        return Ok(default.unwrap_or_else(|| Value::from(())));
    };
    if sort.is_some_and(|sort| sort.is_true()) {
        json.sort_all_objects();
    }
    let mut text = String::new();
    write_json(&json, &mut text);
    work::text(state, text.len())?;
    Ok(Value::from(text))
}

/// JSON with a space after commas and colons, as Python writes it.
pub(super) fn write_json(json: &Json, text: &mut String) {
    match json {
        Json::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write_json(item, text);
            }
            text.push(']');
        }
        Json::Object(pairs) => {
            text.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write_json_text(key, text);
                text.push_str(": ");
                write_json(value, text);
            }
            text.push('}');
        }
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => text.push_str(&float_text(float)),
            None => text.push_str(&number.to_string()),
        },
        Json::String(string) => write_json_text(string, text),
        Json::Null | Json::Bool(_) => text.push_str(&json.to_string()),
    }
}

/// JSON with an item a line, as Python writes it with an `indent`.
pub(super) fn write_json_lines(json: &Json, indent: usize, level: usize, text: &mut String) {
    let line = |text: &mut String, level: usize| {
        text.push('\n');
        text.push_str(&" ".repeat(indent * level));
    };
    match json {
        Json::Array(items) if !items.is_empty() => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                line(text, level + 1);
                write_json_lines(item, indent, level + 1, text);
            }
            line(text, level);
            text.push(']');
        }
        Json::Object(pairs) if !pairs.is_empty() => {
            text.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                line(text, level + 1);
                write_json_text(key, text);
                text.push_str(": ");
                write_json_lines(value, indent, level + 1, text);
            }
            line(text, level);
            text.push('}');
        }
        Json::Array(_) | Json::Object(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => write_json(json, text),
    }
}

/// A text of JSON in ASCII.
fn write_json_text(string: &str, text: &mut String) {
    for c in Json::from(string).to_string().chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}

pub(super) fn fromjson(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    count_all(state, args)?;
    let [text, default] = bind_args("fromjson", ["string", "default"], args)?;
    let read = text.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str::<Json>(text).ok());
    Ok(read.map_or_else(|| default.unwrap_or_else(|| Value::from(())), |json| from_json(&json)))
}

fn count_all(state: &State<'_, '_>, args: &[Value]) -> Result<(), Error> {
    args.iter().try_for_each(|arg| work::count(state, arg))
}

pub(super) fn set(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    count_all(state, args)?;
    let [value, default] = bind_args("set", ["value", "default"], args)?;
    let values = value.filter(|value| !value.is_none()).and_then(|value| collect(&value).ok()).filter(|values| values.iter().all(is_hashable));
    Ok(values.map_or_else(|| default.unwrap_or_else(|| Value::from(())), new_set))
}

pub(super) fn set_strict(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    count_all(state, args)?;
    let [value] = bind_args("set_strict", ["value"], args)?;
    let value = required("set_strict", "value", value)?;
    let values = if value.is_none() { None } else { Some(collect(&value)?) };
    match values.filter(|values| values.iter().all(is_hashable)) {
        Some(values) => Ok(new_set(values)),
        None => Err(problem(Code::MacroArguments, format!("`set_strict` takes a list of values that don't change, found {}", describe(&value)))),
    }
}

/// Whether a set may hold a value: a list or a dict could change in it.
fn is_hashable(value: &Value) -> bool {
    value.is_tuple()
        || !(is_own(value) || matches!(value.kind(), ValueKind::Seq | ValueKind::Map) && value.downcast_object_ref::<Relation>().is_none())
}

fn zipped(state: &State<'_, '_>, lists: &[Value]) -> Result<Value, Error> {
    let ending = |list: &Value| if list.downcast_object_ref::<Endless>().is_some() { Ok(None) } else { collect(list).map(Some) };
    let found = lists.iter().map(ending).collect::<Result<Vec<_>, Error>>()?;
    // What has no end goes as far as the others.
    let length = found.iter().flatten().map(Vec::len).min().unwrap_or(usize::MAX);
    let items = |(list, found): (&Value, Option<Vec<Value>>)| match found {
        Some(items) => Ok(items),
        None => Ok(Endless::first(state, list, length)?.unwrap_or_default()),
    };
    let lists = lists.iter().zip(found).map(items).collect::<Result<Vec<_>, Error>>()?;
    let length = lists.iter().map(Vec::len).min().unwrap_or(0);
    let row = |index: usize| {
        let row: Vec<Value> = lists.iter().filter_map(|list| list.get(index).cloned()).collect();
        Value::from(Tuple::from(row))
    };
    Ok(new_list((0..length).map(row).collect()))
}

pub(super) fn zip(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    count_all(state, args)?;
    let (lists, named) = split_kwargs(args)?;
    let default = named.into_iter().find(|(name, _)| name == "default").map(|(_, value)| value);
    let zipped = if lists.iter().any(Value::is_none) { None } else { zipped(state, lists).ok() };
    Ok(zipped.or(default).unwrap_or_else(|| Value::from(())))
}

pub(super) fn zip_strict(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    count_all(state, args)?;
    zipped(state, args)
}

pub(super) fn local_md5(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    count_all(state, args)?;
    let [value] = bind_args("local_md5", ["value"], args)?;
    let digest = Md5::digest(required("local_md5", "value", value)?.to_string().as_bytes());
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Value::from(text))
}

/// `exceptions.raise_compiler_error(..)` and `exceptions.warn(..)`.
#[derive(Debug)]
pub(super) struct Exceptions;

impl Object for Exceptions {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let message = args.first().map(Value::to_string).unwrap_or_default();
        match method {
            "raise_compiler_error"
            | "raise_not_implemented"
            | "raise_parsing_error"
            | "raise_fail_fast_error"
            | "raise_database_error"
            | "raise_contract_error"
            | "raise_dataclass_not_dict"
            | "raise_invalid_property_yml_version"
            | "relation_wrong_type"
            | "missing_config"
            | "missing_relation"
            | "missing_materialization"
            | "column_type_missing"
            | "doc_target_not_found"
            | "ref_target_not_found"
            | "ref_bad_context"
            | "ref_invalid_args"
            | "dependency_not_found"
            | "raise_dependency_error"
            | "raise_dep_not_found"
            | "raise_duplicate_resource_name"
            | "raise_duplicate_patch_name"
            | "raise_ambiguous_alias"
            | "raise_ambiguous_catalog_match"
            | "raise_cache_inconsistent"
            | "package_not_found" => Err(problem(Code::RaisedByProject, message.trim())),
            "warn" => {
                let session = super::session::session_of(state)?;
                match session.host.warned() {
                    Warned::Shown => session.host.log(message.trim(), Heard::Warning),
                    Warned::Error => return Err(problem(Code::RaisedByProject, message.trim())),
                    Warned::Silent => {}
                }
                Ok(Value::from(""))
            }
            other => Err(unsupported(&format!("exceptions.{other}()"))),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// The rows of a query; undefined while parsing, as in dbt.
pub(super) fn run_query(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [sql] = bind_args("run_query", ["sql"], args)?;
    let sql = required("run_query", "sql", sql)?;
    if !session.execute {
        return Ok(Value::UNDEFINED);
    }
    Ok(Table::value(&query(session, &sql)?))
}

fn query(session: &Session, sql: &Value) -> Result<QueryTable, Error> {
    match sql.kind() {
        ValueKind::String => Ok(session.host.query(sql.as_str().unwrap_or_default())?),
        _ => Err(problem(Code::MacroArguments, format!("a query has to be text, found {}", describe(sql)))),
    }
}

/// `{% call statement('name', fetch_result=true) %} sql {% endcall %}`.
pub(super) fn statement(session: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let names = ["name", "fetch_result", "auto_begin", "language", "caller"];
    let [name, _, _, language, caller] = bind_args("statement", names, args)?;
    if language.is_some_and(|language| language.as_str().is_some_and(|language| language != "sql")) {
        return Err(unsupported("statement(language='python')"));
    }
    let sql = required("statement", "caller", caller)?.call(state, &[])?;
    if session.execute {
        let value = statement_value(&query(session, &sql)?);
        if let Some(name) = name.as_ref().and_then(Value::as_str) {
            lock(&session.results).insert(name.to_owned(), value);
        }
    }
    Ok(Value::from(""))
}

/// `store_result(name, response, agate_table=none)`.
pub(super) fn store_result(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [name, response, table] = bind_args("store_result", ["name", "response", "agate_table"], args)?;
    let name = required_text("store_result", "name", name)?;
    store(session, name, response.unwrap_or_default(), table);
    Ok(Value::from(""))
}

/// `store_raw_result(name, message, code, rows_affected, agate_table)`.
pub(super) fn store_raw_result(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let names = ["name", "message", "code", "rows_affected", "agate_table"];
    let [name, message, code, rows, table] = bind_args("store_raw_result", names, args)?;
    let name = required_text("store_raw_result", "name", name)?;
    let none = || Value::from(());
    let response = Response { message: message.unwrap_or_else(none), code: code.unwrap_or_else(none), rows: rows.unwrap_or_else(none) };
    store(session, name, response.value(), table);
    Ok(Value::from(""))
}

fn store(session: &Session, name: String, response: Value, table: Option<Value>) {
    let table = table.filter(|table| !table.is_none()).unwrap_or_else(|| Table::value(&QueryTable::default()));
    let rows = collect(&table).unwrap_or_default();
    let pairs = [("response", response), ("data", new_list(rows)), ("table", table)];
    let value = new_dict(pairs.map(|(key, value)| (Value::from(key), value)));
    lock(&session.results).insert(name, value);
}

/// `try_or_compiler_error(message, function, ..)`: the function's value, or the message as an error.
pub(super) fn try_or_compiler_error(_: &Arc<Session>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [message, function, rest @ ..] = args else {
        return Err(problem(Code::MacroArguments, "`try_or_compiler_error` takes a message and a function"));
    };
    let result = function.call(state, rest);
    result.map_err(|error| match super::error::signal(&error) {
        Some(Signal::Deferred(_)) => error,
        _ => problem(Code::RaisedByProject, message.to_string()),
    })
}

/// What the first dict has in its lists and the second has not, without regard to case, as in dbt.
pub(super) fn diff_of_two_dicts(_: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [left, right] = bind_args("diff_of_two_dicts", ["dict_a", "dict_b"], args)?;
    let lower = |value: &Value| value.to_string().to_lowercase();
    let lists = |dict: Value| -> Result<Vec<(String, Vec<Value>)>, Error> {
        collect(&dict)?.iter().map(|key| Ok((key.to_string(), collect(&dict.get_item(key)?)?))).collect()
    };
    let right = lists(required("diff_of_two_dicts", "dict_b", right)?)?;
    let mut found = Vec::new();
    for (key, items) in lists(required("diff_of_two_dicts", "dict_a", left)?)? {
        let items = match right.iter().find(|(known, _)| known.to_lowercase() == key.to_lowercase()) {
            None => items,
            Some((_, known)) => {
                let known: Vec<String> = known.iter().map(lower).collect();
                let items: Vec<Value> = items.into_iter().filter(|item| !known.contains(&lower(item))).collect();
                if items.is_empty() {
                    continue;
                }
                items
            }
        };
        found.push((Value::from(key), new_list(items)));
    }
    Ok(new_dict(found))
}

pub(super) const METADATA_PREFIX: &str = "DBT_ENV_CUSTOM_ENV_";

/// Environment variables that say something about the run, by the names without their prefix.
pub(super) fn metadata_envs() -> Value {
    let mut found: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.to_str()?.strip_prefix(METADATA_PREFIX)?.to_owned(), value.to_str()?.to_owned())))
        .collect();
    found.sort();
    new_dict(found.into_iter().map(|(name, value)| (Value::from(name), Value::from(value))))
}

pub(super) fn load_result(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [name] = bind_args("load_result", ["name"], args)?;
    let name = required_text("load_result", "name", name)?;
    Ok(statement_result(session, &name).unwrap_or_else(|| Value::from(())))
}
