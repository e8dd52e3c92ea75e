//! Macros as the templates see them: wrappers that bind arguments, catch `return`, and keep the stack of calls;
//! namespaces of packages; `adapter.dispatch`.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Kwargs, Object, ObjectRepr, Tuple};
use minijinja::{Error, State, Value};
use serde_json::Value as Json;

use super::containers::new_dict;
use super::error::{Signal, diagnosed, problem, signal, unsupported};
use super::library::{BUILTIN_PACKAGE, Shared, Unit};
use super::session::{Session, lock, session_of};
use crate::base::{Code, Diagnostic, nearest};

/// The adapters whose macros are taken for a target, in order: those written for this program, those of the adapter that
/// the target says it is and of what that adapter is made from, and those for all. The dialect has what DuckDB has, and packages
/// write for that adapter what their default text would get wrong here: its macros come before those for all in a target of
/// our own, and behind them where SQL means what it means elsewhere.
pub(super) fn adapters_of(target: &str) -> Vec<&str> {
    // What dbt's adapters name as their dependencies.
    const MADE_FROM: [(&str, &str); 7] = [
        ("databricks", "spark"),
        ("fabricspark", "spark"),
        ("redshift", "postgres"),
        ("materialize", "postgres"),
        ("risingwave", "postgres"),
        ("synapse", "fabric"),
        ("sqlserver", "fabric"),
    ];
    let parent = MADE_FROM.iter().find(|(adapter, _)| *adapter == target).map(|(_, parent)| *parent);
    let mut adapters = vec![OWN_ADAPTER];
    let last = if target == OWN_ADAPTER { ["duckdb", "default"] } else { ["default", "duckdb"] };
    for adapter in std::iter::once(target).chain(parent).chain(last) {
        if !adapters.contains(&adapter) {
            adapters.push(adapter);
        }
    }
    adapters
}

/// What the target of a session says it is.
pub(super) fn adapter_type(session: &Session) -> &str {
    session.adapter.get_or_init(|| session.host.target().get("type").and_then(Json::as_str).unwrap_or(OWN_ADAPTER).to_owned())
}

/// The type of a target that says nothing else.
const OWN_ADAPTER: &str = "alluvium";

/// A macro of the library.
#[derive(Debug)]
pub(super) struct MacroObject {
    id: u32,
}

impl MacroObject {
    pub(super) fn new(id: u32) -> Self {
        Self { id }
    }
}

impl Object for MacroObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let session = session_of(state)?;
        let shared = Arc::clone(&session.shared);
        let unit = shared.unit(self.id).ok_or_else(|| problem(Code::JinjaRuntime, "this macro is not known"))?;
        let back = session.enter(self.id, &unit.info.package)?;
        let result = call(&session, state, self.id, unit, args);
        session.leave(back);
        match result {
            Ok(value) => Ok(value),
            Err(error) => match signal(&error) {
                Some(Signal::Return(value)) => Ok(value.clone()),
                Some(Signal::Problem(_) | Signal::Deferred(_) | Signal::InMacro { .. }) | None => {
                    Err(Signal::InMacro { name: unit.info.name.clone(), error }.into())
                }
            },
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        other.downcast_ref::<Self>().map(|other| self.id.cmp(&other.id))
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<macro>")
    }
}

fn call(session: &Session, state: &mut State<'_, '_>, id: u32, unit: &Unit, args: &[Value]) -> Result<Value, Error> {
    let inner = session.imported(state, id, &unit.template)?;
    let takes_caller = inner.get_attr("caller").is_ok_and(|value| value.is_true());
    let mut bound = bind(unit, takes_caller, args)?;
    if session.execute {
        keep_undefined(unit, args, &mut bound)?;
    }
    // Noted beside what is printed, which only a template that is executed does.
    let parameters = unit.signature.parameters.iter().zip(&bound).filter(|_| session.execute);
    let lacking: Vec<String> =
        parameters.filter(|(name, value)| value.is_undefined() && unit.signature.required.contains(name)).map(|(name, _)| name.clone()).collect();
    let lacks = !lacking.is_empty() && session.is_home(&unit.info.package);
    if lacks {
        session.blanks.enter(session.depth(), &unit.info.name, lacking);
    }
    let result = inner.call(state, &bound);
    if lacks {
        session.blanks.leave();
    }
    let result = result?;
    session.begin_emission(result.as_str().map_or(0, str::len))?;
    session.end_emission();
    Ok(result)
}

/// As in Jinja2, an undefined value that is passed stays undefined; the engine would take the parameter's default for it.
fn keep_undefined(unit: &Unit, args: &[Value], bound: &mut [Value]) -> Result<(), Error> {
    let (positional, named) = split_kwargs(args)?;
    for (index, (parameter, value)) in unit.signature.parameters.iter().zip(bound).enumerate() {
        let given = index < positional.len() || named.iter().any(|(name, _)| name == parameter);
        if given && value.is_undefined() && !unit.signature.required.contains(parameter) {
            *value = Value::from_object(Absent);
        }
    }
    Ok(())
}

/// An undefined value on its way through a macro's parameter: false, empty and printed as nothing.
#[derive(Debug)]
pub(super) struct Absent;

impl Object for Absent {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

/// Whether a value is undefined, or was when it was passed to a macro.
pub(super) fn is_absent(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Absent>().is_some()
}

/// Puts arguments in the order of the parameters, the surplus into `varargs` and `kwargs` where the macro reads
/// them.
fn bind(unit: &Unit, takes_caller: bool, args: &[Value]) -> Result<Vec<Value>, Error> {
    let (positional, named) = split_kwargs(args)?;
    let parameters = &unit.signature.parameters;
    let mut bound: Vec<Value> = positional.iter().take(parameters.len()).cloned().collect();
    bound.resize(parameters.len(), Value::UNDEFINED);
    let surplus = positional.get(parameters.len()..).unwrap_or_default();
    if !surplus.is_empty() && !unit.signature.varargs {
        let message = format!("macro `{}` takes {} but was given {} by position", unit.info.name, count(parameters.len()), positional.len());
        return Err(arguments_problem(unit, message));
    }
    let mut others = Vec::new();
    let mut caller = None;
    for (name, value) in named {
        match parameters.iter().position(|parameter| *parameter == name) {
            Some(index) if index < positional.len() => {
                return Err(arguments_problem(unit, format!("macro `{}` was given `{name}` twice", unit.info.name)));
            }
            Some(index) => {
                if let Some(slot) = bound.get_mut(index) {
                    *slot = value;
                }
            }
            None if name == "caller" && takes_caller => caller = Some(value),
            None => others.push((name, value)),
        }
    }
    if let Some((name, _)) = others.first().filter(|_| !unit.signature.kwargs) {
        return Err(unknown_argument(unit, name));
    }
    if unit.signature.varargs {
        bound.push(Value::from(Tuple::from(surplus.to_vec())));
    }
    if unit.signature.kwargs {
        bound.push(new_dict(others.into_iter().map(|(name, value)| (Value::from(name), value))));
    }
    if takes_caller {
        bound.push(Value::from(Kwargs::from_iter([("caller", caller.unwrap_or_default())])));
    }
    Ok(bound)
}

fn count(parameters: usize) -> String {
    if parameters == 1 { "1 argument".to_owned() } else { format!("{parameters} arguments") }
}

fn arguments_problem(unit: &Unit, message: String) -> Error {
    diagnosed(Diagnostic::error(Code::MacroArguments, message).note(signature(unit)))
}

fn unknown_argument(unit: &Unit, name: &str) -> Error {
    let message = format!("macro `{}` has no argument `{name}`", unit.info.name);
    let known = unit.signature.parameters.iter().map(String::as_str);
    let diagnostic = Diagnostic::error(Code::MacroArguments, message).note(signature(unit));
    diagnosed(match nearest(name, known) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    })
}

fn signature(unit: &Unit) -> String {
    format!("it is `{}({})`", unit.info.name, unit.signature.parameters.join(", "))
}

/// Arguments given by name.
pub(super) type Named = Vec<(String, Value)>;

/// Positional arguments, and named ones in the order given.
pub(super) fn split_kwargs(args: &[Value]) -> Result<(&[Value], Named), Error> {
    match args.split_last() {
        Some((last, positional)) if last.is_kwargs() => {
            let kwargs = Kwargs::try_from(last.clone())?;
            let mut pairs = Vec::new();
            for name in kwargs.args() {
                pairs.push((name.to_owned(), kwargs.peek::<Value>(name)?));
            }
            Ok((positional, pairs))
        }
        Some(_) | None => Ok((args, Vec::new())),
    }
}

/// `dbt_utils` in `dbt_utils.star(..)`.
#[derive(Debug)]
pub(super) struct PackageObject {
    session: Arc<Session>,
    package: String,
}

impl PackageObject {
    pub(super) fn value(session: &Arc<Session>, package: &str) -> Value {
        Value::from_object(Self { session: Arc::clone(session), package: package.to_owned() })
    }
}

impl Object for PackageObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if let Some(value) = super::names::overridden(&self.session, &format!("{}.{name}", self.package)) {
            return Some(value);
        }
        let found = self.session.shared.in_package(&self.package, name);
        match found.and_then(|id| self.session.shared.value(id)) {
            Some(value) => Some(value),
            None if self.package == BUILTIN_PACKAGE => {
                super::names::of_dbt(&self.session, name).or_else(|| Some(Value::from(unsupported(&format!("dbt.{name}")))))
            }
            None => None,
        }
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match self.get_value(&Value::from(method)) {
            Some(value) => match value.kind() {
                minijinja::value::ValueKind::Invalid => Err(unsupported(&format!("{}.{method}", self.package))),
                _ => value.call(state, args),
            },
            // A package is a mapping of its names.
            None if method == "get" => match args {
                [key] | [key, _] => Ok(self.get_value(key).or_else(|| args.get(1).cloned()).unwrap_or_else(|| Value::from(()))),
                _ => Err(minijinja::ErrorKind::MissingArgument.into()),
            },
            None if self.session.execute => {
                let name = format!("{}.{method}", self.package);
                let known = self.session.known_names(&name);
                let message = format!("package `{}` has no macro `{method}`", self.package);
                let diagnostic = Diagnostic::error(Code::UndefinedMacro, message);
                Err(diagnosed(match nearest(&name, known.iter().map(String::as_str)) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic,
                }))
            }
            None => Ok(Value::UNDEFINED),
        }
    }
}

/// What `adapter.dispatch` is asked for, in code of a package.
pub(super) struct Dispatch<'a> {
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    /// The package of what is rendered.
    pub home: &'a str,
    /// The package of the macro that asks.
    pub package: &'a str,
    /// `alluvium__` and the like, in order.
    pub prefixes: &'a [String],
}

impl Dispatch<'_> {
    /// The packages to search, where the namespace says so: as in dbt, one that is no package says nothing.
    fn packages(&self, shared: &Shared, order: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
        let known = |namespace: &&str| order.contains_key(*namespace) || *namespace == BUILTIN_PACKAGE || shared.has_package(namespace);
        self.namespace.filter(known).map(|namespace| match order.get(namespace) {
            Some(order) => order.clone(),
            None => vec![shared.root.clone(), namespace.to_owned()],
        })
    }

    /// The macro, by the order in which namespaces are searched. dbt looks through all prefixes of one package before it goes
    /// on to the next; what stands behind `default__` is dbt's no more, and taken where no package has another.
    pub(super) fn find(&self, shared: &Shared, order: &BTreeMap<String, Vec<String>>) -> Option<u32> {
        let usual = self.prefixes.iter().position(|prefix| prefix == "default__").map_or(self.prefixes.len(), |at| at + 1);
        let (usual, last) = self.prefixes.split_at(usual);
        let packages = self.packages(shared, order);
        let prefixed = |prefix: &String| format!("{prefix}{}", self.name);
        [usual, last].into_iter().find_map(|prefixes| match &packages {
            None => {
                let known = |prefix| shared.resolve(self.home, &prefixed(prefix));
                prefixes.iter().find_map(known).or_else(|| prefixes.iter().find_map(|prefix| shared.in_package(self.package, &prefixed(prefix))))
            }
            Some(packages) => packages.iter().find_map(|package| prefixes.iter().find_map(|prefix| shared.in_package(package, &prefixed(prefix)))),
        })
    }
}

/// `adapter.dispatch(name, namespace)`: the first of the prefixed macros in the packages to search.
pub(super) fn dispatch(session: &Arc<Session>, name: &str, namespace: Option<&str>) -> Result<Value, Error> {
    if name.contains('.') {
        let message = format!("`adapter.dispatch` was given `{name}`, and takes a name without a package");
        return Err(diagnosed(Diagnostic::error(Code::JinjaRuntime, message).help("give the package as the second argument")));
    }
    let shared = &session.shared;
    let order = session.dispatch.get_or_init(|| session.host.dispatch_order());
    let prefixes: Vec<String> = adapters_of(adapter_type(session)).into_iter().map(|adapter| format!("{adapter}__")).collect();
    let asked = Dispatch { name, namespace, home: session.home(), package: &session.package(), prefixes: &prefixes };
    if let Some(value) = asked.find(shared, order).and_then(|id| shared.value(id)) {
        return Ok(value);
    }
    let packages = asked.packages(shared, order);
    let looked = prefixes.iter().map(|prefix| format!("`{prefix}{name}`")).collect::<Vec<_>>().join(" or ");
    let place = packages.map_or_else(|| "any package".to_owned(), |packages| format!("`{}`", packages.join("`, `")));
    Err(diagnosed(
        Diagnostic::error(Code::UndefinedMacro, format!("no macro to dispatch `{name}` to")).note(format!("looked for {looked} in {place}")),
    ))
}

/// The results of `statement`, which macros read by name.
pub(super) fn statement_result(session: &Session, name: &str) -> Option<Value> {
    lock(&session.results).get(name).cloned()
}
