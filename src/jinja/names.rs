//! Every name a template can use, in the order dbt looks them up: macros, packages, then the functions and
//! values below. What dbt has and this room lacks is an error that says so, never an undefined value.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, State, Value};

use super::adapter::{Adapter, Api, ColumnApi};
use super::containers::{collect, new_dict, new_list};
use super::context::Context;
use super::error::problem;
use super::functions as f;
use super::library::BUILTIN_PACKAGE;
use super::macros::PackageObject;
use super::modules::{Modules, Moment};
use super::relation::Relation;
use super::session::{MAIN, Scope, Session, attach, lock, session_of};
use super::validation::Validation;
use super::values::{assigned, from_json};
use super::work::fits;
use super::yaml::{fromyaml, toyaml};
use crate::base::Code;

/// Functions and values of dbt's that templates may use, for suggestions.
pub(super) const KNOWN: &[&str] = &[
    "adapter",
    "api",
    "as_bool",
    "builtins",
    "config",
    "context",
    "database",
    "dbt_metadata_envs",
    "dbt_version",
    "diff_of_two_dicts",
    "doc",
    "env_var",
    "exceptions",
    "execute",
    "flags",
    "fromjson",
    "fromyaml",
    "function",
    "graph",
    "invocation_args_dict",
    "invocation_id",
    "is_incremental",
    "load_relation",
    "load_result",
    "local_md5",
    "log",
    "model",
    "modules",
    "namespace",
    "print",
    "project_name",
    "range",
    "ref",
    "render",
    "return",
    "run_query",
    "run_started_at",
    "schema",
    "selected_resources",
    "set",
    "set_strict",
    "source",
    "statement",
    "store_raw_result",
    "store_result",
    "target",
    "this",
    "tojson",
    "toyaml",
    "try_or_compiler_error",
    "var",
    "zip",
    "zip_strict",
];

/// What dbt has and this room does not, or only while a node is built by a macro.
const UNSUPPORTED: &[&str] = &["submit_python_job", "metric", "write", "load_agate_table"];

type Run = fn(&Arc<Session>, &mut State<'_, '_>, &[Value]) -> Result<Value, Error>;

/// One of our functions.
pub(super) struct Function {
    name: &'static str,
    run: Run,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let session = session_of(state)?;
        (self.run)(&session, state, args)
    }
}

pub(super) fn function(name: &'static str, run: Run) -> Value {
    Value::from_object(Function { name, run })
}

/// The value of a name, or `None` where it is undefined.
pub(super) fn lookup(session: &Arc<Session>, name: &str) -> Option<Value> {
    if let Some(value) = internal(session, name) {
        return Some(value);
    }
    if let Some(value) = session.given.get(name) {
        return Some(value.clone());
    }
    if session.scope == Scope::Yaml {
        return of_yaml(session, name);
    }
    if let Some(value) = overridden(session, name) {
        return Some(value);
    }
    let package = session.package();
    if let Some(id) = session.shared.resolve_within(session.home(), &package, name) {
        let of_package = session.shared.unit(id).is_some_and(|unit| is_of_package(session, &unit.info.package));
        // A package's macro of the name of something else is there by its package's name alone, as `package.model()`.
        let of_dbt = if of_package { of_node(session, name).or_else(|| of_both(session, name)) } else { None };
        return of_dbt.or_else(|| session.shared.value(id));
    }
    if session.shared.has_package(name) {
        return Some(PackageObject::value(session, name));
    }
    if let Some(value) = of_node(session, name).or_else(|| of_both(session, name)) {
        return Some(value);
    }
    if let Some(value) = lock(&session.added).get(name) {
        return Some(value.clone());
    }
    if UNSUPPORTED.contains(&name) {
        return Some(Value::from_object(Unavailable(format!("`{name}` is not available in alluvium yet"))));
    }
    let called = session.main.called.contains(name) || session.shared.called.contains(name);
    (!session.execute && called && !is_of_engine(name)).then(|| Value::from_object(Stub))
}

/// Whether a package is one that the template's own and the project use.
fn is_of_package(session: &Session, package: &str) -> bool {
    package != BUILTIN_PACKAGE && package != session.shared.root && !session.is_home(package)
}

/// What a host gives in the place of a macro: a function that takes anything and always gives that.
pub(super) fn overridden(session: &Arc<Session>, name: &str) -> Option<Value> {
    session.host.macro_override(name).map(|value| Value::from_object(Constant(from_json(&value))))
}

#[derive(Debug)]
struct Constant(Value);

impl Object for Constant {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Ok(self.0.clone())
    }
}

/// Names the engine itself knows.
fn is_of_engine(name: &str) -> bool {
    matches!(name, "range" | "dict" | "namespace" | "debug" | "cycler" | "joiner" | "caller" | "loop" | "super" | "self")
}

/// dbt's own macros that are functions here, as in `dbt.run_query(..)`.
pub(super) fn of_dbt(session: &Arc<Session>, name: &str) -> Option<Value> {
    let macros = ["is_incremental", "run_query", "statement", "ref", "source", "load_relation", "load_cached_relation"];
    if macros.contains(&name) { of_node(session, name) } else { None }
}

/// The names that [`super::rewrite`] puts into templates.
fn internal(session: &Arc<Session>, name: &str) -> Option<Value> {
    if !name.starts_with("__") {
        return None;
    }
    Some(match name {
        "__boot" => Value::from_object(Boot(Arc::clone(session))),
        "__keep" => function("keep", |session, _, args| match args {
            [template, module] => session.keep(template.as_str().unwrap_or_default(), module).map(|()| Value::UNDEFINED),
            _ => Ok(Value::UNDEFINED),
        }),
        "__b" => function("begin", |session, _, args| {
            let site = args.first().and_then(Value::as_i64).unwrap_or(-1);
            Ok(Value::from(site << 32 | i64::try_from(session.calls() & 0xffff_ffff).unwrap_or(0)))
        }),
        "__e" => function("emit", emit),
        "__c" => function("call", |_, _, args| match args {
            [site, callee] => Ok(Value::from_object(Placed {
                place: Place::Site(site.as_usize().and_then(|site| u32::try_from(site).ok()).unwrap_or(MAIN)),
                callee: callee.clone(),
            })),
            _ => Ok(Value::UNDEFINED),
        }),
        "__at" => function("at", |_, _, args| match args {
            [origin, start, end, callee] => {
                let number = |value: &Value| value.as_usize().unwrap_or(0);
                let origin = u32::try_from(number(origin)).unwrap_or(MAIN);
                let place = Place::Span(origin, number(start), number(end));
                Ok(Value::from_object(Placed { place, callee: callee.clone() }))
            }
            _ => Ok(Value::UNDEFINED),
        }),
        "__s" => function("set", |_, state, args| assigned(state, args)),
        "__over" => function("over", |session, _, args| match args {
            [value, start, end] => {
                if value.is_undefined() {
                    session.loop_over_nothing(start.as_usize().unwrap_or(0)..end.as_usize().unwrap_or(0));
                }
                Ok(value.clone())
            }
            _ => Ok(Value::UNDEFINED),
        }),
        "__do" => function("do", |_, _, _| Ok(Value::UNDEFINED)),
        "__l" => function("list", |_, state, args| {
            let items = collect(args.first().unwrap_or(&Value::UNDEFINED))?;
            items.iter().try_for_each(|item| fits(state, None, item))?;
            Ok(new_list(items))
        }),
        "__d" => function("dict", |_, state, args| {
            let pairs = args.first().and_then(Value::as_object).and_then(minijinja::value::DynObject::try_iter_pairs);
            let pairs: Vec<_> = pairs.into_iter().flatten().collect();
            pairs.iter().try_for_each(|(_, item)| fits(state, None, item))?;
            Ok(new_dict(pairs))
        }),
        "__n" => Value::from_dyn_object(Arc::clone(&session.work)),
        "__unset" => Value::from_object(Unset),
        _ => return None,
    })
}

fn emit(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let Some((begin, values)) = args.split_first() else { return Ok(Value::UNDEFINED) };
    let begin = begin.as_i64().unwrap_or(-1);
    let calls = i64::try_from(session.calls() & 0xffff_ffff).unwrap_or(0);
    let site = u32::try_from(begin >> 32).unwrap_or(MAIN);
    session.place_blanks(site, u64::try_from(begin & 0xffff_ffff).unwrap_or(0));
    session.set_site(site, begin & 0xffff_ffff != calls);
    match values {
        [value] if value.is_kwargs() => Err(problem(Code::JinjaSyntax, "unexpected `=` in an expression")),
        [value] => {
            if session.scope == Scope::Yaml {
                *lock(&session.emitted) = Some(value.clone());
            }
            Ok(value.clone())
        }
        values => Ok(Value::from(minijinja::value::Tuple::from(values.to_vec()))),
    }
}

/// Names that YAML strings and nodes share.
fn of_both(session: &Arc<Session>, name: &str) -> Option<Value> {
    Some(match name {
        "var" => Value::from_object(f::Var(Arc::clone(session))),
        "env_var" => function("env_var", f::env_var),
        "target" => made(session, "target", |session| from_json(&session.host.target())),
        "project_name" => Value::from(session.host.project_name()),
        "doc" => function("doc", f::doc),
        "log" => function("log", f::log),
        "print" => function("print", f::print),
        "return" => function("return", f::give_back),
        "tojson" => function("tojson", f::tojson),
        "fromjson" => function("fromjson", f::fromjson),
        "fromyaml" => function("fromyaml", fromyaml),
        "toyaml" => function("toyaml", toyaml),
        "diff_of_two_dicts" => function("diff_of_two_dicts", f::diff_of_two_dicts),
        "dbt_metadata_envs" => {
            session.host.note_environment(f::METADATA_PREFIX);
            f::metadata_envs()
        }
        "set" => function("set", f::set),
        "set_strict" => function("set_strict", f::set_strict),
        "zip" => function("zip", f::zip),
        "zip_strict" => function("zip_strict", f::zip_strict),
        "local_md5" => function("local_md5", f::local_md5),
        "exceptions" => Value::from_object(f::Exceptions),
        "modules" => Value::from_object(Modules),
        "dbt_version" => Value::from(crate::manifest::DBT_VERSION),
        "run_started_at" => Moment::utc_now(session.host.invocation().run_started_at).value(),
        "invocation_id" => Value::from(session.host.invocation().id),
        "invocation_args_dict" => made(session, "arguments", |session| from_json(&session.host.invocation().arguments)),
        "flags" => made(session, "flags", |session| from_json(&session.host.flags())),
        _ => return None,
    })
}

fn of_yaml(session: &Arc<Session>, name: &str) -> Option<Value> {
    if let Some(value) = of_both(session, name) {
        return Some(value);
    }
    let elsewhere = ["ref", "source", "this", "adapter", "config", "run_query", "execute", "graph", "model", "api", "is_incremental"];
    let message = || format!("`{name}` is not available in this file");
    elsewhere.contains(&name).then(|| Value::from_object(Unavailable(message())))
}

/// Names that only nodes have.
fn of_node(session: &Arc<Session>, name: &str) -> Option<Value> {
    Some(match name {
        "ref" => function("ref", f::reference),
        "source" => function("source", f::source),
        "function" => function("function", f::function),
        "config" => Value::from_object(f::Config(Arc::clone(session))),
        "this" => {
            let relation = |name| Relation::new(name, None, session.semantics()).quoted(session.host.quoting());
            session.host.this().map_or_else(|| Value::from(()), |name| relation(name).restricted(None))
        }
        "execute" => Value::from(session.execute),
        "thread_id" => Value::from(f::thread_id()),
        "is_incremental" => function("is_incremental", |session, _, _| Ok(Value::from(session.host.is_incremental()))),
        "run_query" => function("run_query", f::run_query),
        "render" => function("render", super::render::render_within),
        "statement" => function("statement", f::statement),
        "load_result" => function("load_result", f::load_result),
        "store_result" => function("store_result", f::store_result),
        "store_raw_result" => function("store_raw_result", f::store_raw_result),
        "try_or_compiler_error" => function("try_or_compiler_error", f::try_or_compiler_error),
        "selected_resources" => new_list(session.host.selected_resources().into_iter().map(Value::from).collect()),
        "context" => Value::from_object(Context(Arc::clone(session))),
        "adapter" => Value::from_object(Adapter(Arc::clone(session))),
        "load_relation" | "load_cached_relation" => {
            function("load_relation", |session, state, args| Arc::new(Adapter(Arc::clone(session))).call_method(state, "load_relation", args))
        }
        "api" => Value::from_object(Api),
        "model" => Value::from_object(Lazy { name: "model", make: |session| model(session), session: Arc::clone(session) }),
        "graph" => Value::from_object(Lazy { name: "graph", make: graph, session: Arc::clone(session) }),
        "schema" | "database" => made(session, if name == "schema" { "schema" } else { "database" }, |session| {
            let this = session.host.this();
            let own = this.map(|this| if name == "schema" { this.schema } else { this.database });
            own.map_or_else(|| session.host.target().get(name).map(from_json).unwrap_or_default(), Value::from)
        }),
        "validation" => Value::from_object(Validation),
        "column" => Value::from_object(ColumnApi),
        "env" => made(session, "target", |session| from_json(&session.host.target())),
        "sql_now" => Value::from("now()"),
        // A node that is built by a macro is given its own.
        "pre_hooks" | "post_hooks" => {
            let hooks = session.host.config_get(if name == "pre_hooks" { "pre-hook" } else { "post-hook" });
            hooks.map_or_else(|| new_list(Vec::new()), |hooks| from_json(&hooks))
        }
        "sql" | "compiled_code" | "defer_relation" => Value::from(()),
        "builtins" => Value::from_object(Builtins(Arc::clone(session))),
        BUILTIN_PACKAGE => PackageObject::value(session, BUILTIN_PACKAGE),
        _ => return None,
    })
}

/// `graph`, made at its first use in a run.
fn graph(session: &Session) -> Value {
    let make = || from_json(&session.host.graph());
    session.host.kept_graph().map_or_else(make, |kept| kept.0.get_or_init(make).clone())
}

/// `model`, with the batch that is being built, if the node is built in batches.
fn model(session: &Session) -> Value {
    let host = &session.host;
    let batch = match host.batch() {
        Some(batch) => new_dict([
            (Value::from("id"), Value::from(batch.id)),
            (Value::from("event_time_start"), Moment::utc_now(batch.window.start).value()),
            (Value::from("event_time_end"), Moment::utc_now(batch.window.end).value()),
        ]),
        None if host.config_get("incremental_strategy").is_some_and(|name| name == "microbatch") => Value::from_object(NoBatch),
        None => return from_json(&host.model()),
    };
    let model = host.model();
    let own = model.as_object().into_iter().flatten().map(|(key, value)| (Value::from(key.as_str()), from_json(value)));
    new_dict(own.chain([(Value::from("batch"), batch)]))
}

/// `model.batch` where the SQL is looked at as a whole: false, and empty in all its parts, as in dbt.
#[derive(Debug)]
struct NoBatch;

impl Object for NoBatch {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(Arc::clone(self)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Value]) -> Result<Value, Error> {
        Ok(Value::from_dyn_object(Arc::clone(self)))
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// dbt's own functions and values, whatever macros of their names the project has.
#[derive(Debug)]
struct Builtins(Arc<Session>);

impl Object for Builtins {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str().filter(|name| KNOWN.contains(name) && *name != "builtins" && *name != "context")?;
        let callee = of_node(&self.0, name).or_else(|| of_both(&self.0, name))?;
        let looked_at = matches!(name, "ref" | "source");
        Some(if looked_at { Value::from_object(Builtin { callee, session: Arc::clone(&self.0) }) } else { callee })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(KNOWN)
    }
}

/// `builtins.ref` and `builtins.source`, at which some packages look for what the project is set to.
#[derive(Debug)]
struct Builtin {
    callee: Value,
    session: Arc<Session>,
}

impl Object for Builtin {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let settings = || made(&self.session, "settings", |session| from_json(&session.host.settings()));
        (key.as_str() == Some("config")).then(settings).filter(|settings| !settings.is_none())
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.callee.call(state, args)
    }
}

/// A value made at its first use.
fn made(session: &Arc<Session>, name: &'static str, make: impl FnOnce(&Arc<Session>) -> Value) -> Value {
    let found = lock(&session.made).get(name).cloned();
    found.unwrap_or_else(|| {
        let value = make(session);
        lock(&session.made).insert(name, value.clone());
        value
    })
}

/// Takes the importer and starts the session.
#[derive(Debug)]
struct Boot(Arc<Session>);

impl Object for Boot {
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        attach(state, &self.0);
        self.0.set_importer(args.first().cloned().unwrap_or_default());
        Ok(Value::UNDEFINED)
    }
}

/// Stands for an argument that was not given.
#[derive(Debug)]
struct Unset;

impl Object for Unset {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// A callable with the place of its call.
#[derive(Debug)]
struct Placed {
    place: Place,
    callee: Value,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Site(u32),
    Span(u32, usize, usize),
}

impl Object for Placed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let session = session_of(state)?;
        match self.place {
            Place::Site(site) => {
                let before = session.calls();
                let value = self.callee.call(state, args)?;
                session.place_blanks(site, before);
                session.set_site(site, session.calls() != before);
                Ok(value)
            }
            Place::Span(origin, start, end) => {
                *lock(&session.call_place) = session.marked_span(origin, start, end);
                self.callee.call(state, args)
            }
        }
    }
}

/// A name that is known and can't be used: any use of it is an error.
#[derive(Debug)]
pub(super) struct Unavailable(String);

impl Unavailable {
    pub(super) fn error(&self) -> Error {
        problem(Code::JinjaUnsupported, self.0.clone())
    }
}

impl Object for Unavailable {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from(self.error()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![Value::from(self.error())])
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }
}

/// What an unknown name that is called stands for while parsing: everything about it is undefined.
#[derive(Debug)]
struct Stub;

impl Object for Stub {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Ok(Value::UNDEFINED)
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Value]) -> Result<Value, Error> {
        Ok(Value::UNDEFINED)
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// A large value that is only made where a template looks into it.
struct Lazy {
    name: &'static str,
    make: fn(&Session) -> Value,
    session: Arc<Session>,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Lazy {
    fn value(&self) -> Value {
        made(&self.session, self.name, |session| (self.make)(session))
    }
}

impl Object for Lazy {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.value().get_item(key).ok().filter(|value| value.kind() != ValueKind::Undefined)
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        self.value().call_method(state, method, args)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.value().try_iter().map_or(Enumerator::Empty, |keys| Enumerator::Values(keys.collect()))
    }
}
