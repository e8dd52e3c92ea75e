//! Lists and dicts that can be changed, as Python's can. The engine's own are constants; [`super::rewrite`] wraps
//! literals and assigned values so that they become these.

use std::fmt;
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, State, Value};

use super::error::problem;
use super::macros::split_kwargs;
use super::order::{equal, sorted};
use super::python::repr;
use super::session::lock;
use super::sets::Set;
use super::views::{View, is_view};
use super::work::{ITEM, charge, count, fits};
use crate::base::Code;

/// A mutable list.
#[derive(Debug, Default)]
pub(super) struct List(Mutex<Vec<Value>>);

/// A mutable dict, in order of insertion.
#[derive(Debug, Default)]
pub(super) struct Dict(Mutex<IndexMap<Value, Value>>, Lacking);

/// What a dict gives for a key that it has not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Lacking {
    #[default]
    Undefined,
    /// dbt's objects for configs have every key.
    None,
}

pub(super) fn new_list(items: Vec<Value>) -> Value {
    Value::from_object(List(Mutex::new(items)))
}

pub(super) fn new_dict(pairs: impl IntoIterator<Item = (Value, Value)>) -> Value {
    Value::from_object(Dict(Mutex::new(pairs.into_iter().collect()), Lacking::Undefined))
}

/// As [`new_dict`], with None for every key that it has not.
pub(super) fn new_config(pairs: impl IntoIterator<Item = (Value, Value)>) -> Value {
    Value::from_object(Dict(Mutex::new(pairs.into_iter().collect()), Lacking::None))
}

/// A list or dict of the engine as one that can be changed; anything else as it is.
pub(super) fn mutable(value: Value) -> Result<Value, Error> {
    if value.is_tuple() || value.is_kwargs() || is_own(&value) || is_view(&value) {
        return Ok(value);
    }
    // Objects that only look like a list or dict (a query's result, the graph) stay what they are.
    match value.kind() {
        ValueKind::Seq if is_plain_seq(&value) => collect(&value).map(new_list),
        ValueKind::Iterable if value.len().is_some() => collect(&value).map(new_list),
        ValueKind::Map if is_plain_map(&value) => {
            let pairs = value.as_object().and_then(DynObject::try_iter_pairs);
            Ok(new_dict(pairs.into_iter().flatten()))
        }
        _ => Ok(value),
    }
}

/// The items of anything that can be looped over.
pub(super) fn collect(value: &Value) -> Result<Vec<Value>, Error> {
    value.try_iter()?.checked().collect()
}

pub(super) fn is_own(value: &Value) -> bool {
    value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Dict>().is_some() || value.downcast_object_ref::<Set>().is_some()
}

/// A list of the engine's own.
pub(super) fn is_plain_seq(value: &Value) -> bool {
    value.downcast_object_ref::<Vec<Value>>().is_some()
}

/// A dict of the engine's own.
pub(super) fn is_plain_map(value: &Value) -> bool {
    value.downcast_object_ref::<IndexMap<Value, Value>>().is_some()
}

/// What `namespace()` gives.
pub(super) fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("Namespace"))
}

/// The items of lists, tuples and dicts, and of namespaces; none of other values.
pub(super) fn items(value: &Value) -> Vec<Value> {
    let Some(object) = value.as_object().filter(|_| matches!(value.kind(), ValueKind::Seq | ValueKind::Map)) else {
        return Vec::new();
    };
    if let Some(list) = object.downcast_ref::<List>() {
        return lock(&list.0).clone();
    }
    if let Some(dict) = object.downcast_ref::<Dict>() {
        return lock(&dict.0).values().cloned().collect();
    }
    match value.kind() {
        ValueKind::Seq if value.is_tuple() || is_plain_seq(value) => collect(value).unwrap_or_default(),
        ValueKind::Map if is_plain_map(value) || is_namespace(value) => object.try_iter_pairs().into_iter().flatten().map(|(_, item)| item).collect(),
        _ => Vec::new(),
    }
}

/// Where a list or dict of this module lies.
pub(super) fn address(object: &DynObject) -> usize {
    match (object.downcast_ref::<List>(), object.downcast_ref::<Dict>()) {
        (Some(list), _) => std::ptr::from_ref(list).addr(),
        (None, Some(dict)) => std::ptr::from_ref(dict).addr(),
        (None, None) => 0,
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        lock(&self.0).get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr(&Value::from_dyn_object(Arc::clone(self))))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (positional, named) = split_kwargs(args)?;
        let none = Value::from(());
        if !matches!((method, positional), ("append", _) | ("pop", [])) {
            charge(state, lock(&self.0).len().saturating_mul(ITEM))?;
        }
        match (method, positional) {
            ("append", [item]) => {
                self.insert_checked(state, item)?;
                lock(&self.0).push(item.clone());
            }
            ("extend", [items]) => {
                count(state, items)?;
                for item in collect(items)? {
                    self.insert_checked(state, &item)?;
                    lock(&self.0).push(item);
                }
            }
            ("insert", [at, item]) => {
                self.insert_checked(state, item)?;
                let mut list = lock(&self.0);
                let at = index(at, list.len()).unwrap_or(list.len()).min(list.len());
                list.insert(at, item.clone());
            }
            ("pop", [] | [_]) => return self.pop(positional.first()),
            ("remove", [item]) => {
                let at = lock(&self.0).iter().position(|known| equal(known, item));
                let at = at.ok_or_else(|| problem(Code::JinjaRuntime, format!("`{item}` is not in the list")))?;
                lock(&self.0).remove(at);
            }
            ("clear", []) => lock(&self.0).clear(),
            ("reverse", []) => lock(&self.0).reverse(),
            ("copy", []) => return Ok(new_list(lock(&self.0).clone())),
            ("index", [item] | [item, _] | [item, _, _]) => {
                let list = lock(&self.0).clone();
                let place = |at: usize, default| positional.get(at).and_then(|at| index(at, list.len())).unwrap_or(default);
                let at = (place(1, 0)..place(2, list.len()).min(list.len())).find(|at| list.get(*at).is_some_and(|known| equal(known, item)));
                return at.map(Value::from).ok_or_else(|| problem(Code::JinjaRuntime, format!("`{item}` is not in the list")));
            }
            ("sort", []) => {
                let reverse = named.iter().any(|(name, value)| name == "reverse" && value.is_true());
                let items = lock(&self.0).clone();
                let items = sorted(items.into_iter().map(|item| (item.clone(), item)).collect(), reverse)?;
                *lock(&self.0) = items;
            }
            _ => return Err(minijinja::ErrorKind::UnknownMethod.into()),
        }
        Ok(none)
    }
}

impl List {
    fn insert_checked(self: &Arc<Self>, state: &State<'_, '_>, item: &Value) -> Result<(), Error> {
        fits(state, Some(&Value::from_dyn_object(Arc::clone(self))), item)
    }

    fn pop(&self, at: Option<&Value>) -> Result<Value, Error> {
        let mut list = lock(&self.0);
        let length = list.len();
        let at = at.map_or_else(|| length.checked_sub(1), |at| index(at, length));
        match at.filter(|at| *at < length) {
            Some(at) => Ok(list.remove(at)),
            None => Err(problem(Code::JinjaRuntime, "pop from outside of the list")),
        }
    }
}

/// A Python index, which counts from the end where it is negative.
fn index(at: &Value, length: usize) -> Option<usize> {
    let at = at.as_i64()?;
    if at < 0 { Some(length.saturating_sub(usize::try_from(at.unsigned_abs()).ok()?)) } else { usize::try_from(at).ok() }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = lock(&self.0).get(key).cloned();
        found.or_else(|| (self.1 == Lacking::None).then(|| Value::from(())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr(&Value::from_dyn_object(Arc::clone(self))))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (positional, named) = split_kwargs(args)?;
        if !matches!(method, "update" | "setdefault") {
            charge(state, lock(&self.0).len().saturating_mul(ITEM))?;
        }
        match (method, positional) {
            ("update", [] | [_]) => {
                for pair in positional.first().map(pairs).transpose()?.unwrap_or_default() {
                    self.set(state, pair.0, pair.1)?;
                }
                for (name, value) in named {
                    self.set(state, Value::from(name), value)?;
                }
                Ok(Value::from(()))
            }
            ("pop", [key]) => {
                let found = lock(&self.0).shift_remove(key);
                found.ok_or_else(|| problem(Code::JinjaRuntime, format!("the dict has no key `{key}`")))
            }
            ("pop", [key, default]) => Ok(lock(&self.0).shift_remove(key).unwrap_or_else(|| default.clone())),
            ("setdefault", [key] | [key, _]) => {
                let found = lock(&self.0).get(key).cloned();
                if let Some(found) = found {
                    return Ok(found);
                }
                let value = positional.get(1).cloned().unwrap_or_else(|| Value::from(()));
                self.set(state, key.clone(), value.clone())?;
                Ok(value)
            }
            ("popitem", []) => {
                let last = lock(&self.0).pop();
                let (key, value) = last.ok_or_else(|| problem(Code::JinjaRuntime, "the dict is empty"))?;
                Ok(Value::from(Tuple::from([key, value])))
            }
            ("clear", []) => {
                lock(&self.0).clear();
                Ok(Value::from(()))
            }
            ("get", [key, default]) if self.1 == Lacking::None => Ok(lock(&self.0).get(key).unwrap_or(default).clone()),
            ("copy", []) => Ok(new_dict(lock(&self.0).clone())),
            ("fromkeys", [keys] | [keys, _]) => {
                let value = positional.get(1).cloned().unwrap_or_else(|| Value::from(()));
                Ok(new_dict(collect(keys)?.into_iter().map(|key| (key, value.clone()))))
            }
            ("keys", []) => Ok(View::keys(lock(&self.0).keys().cloned().collect())),
            ("values", []) => Ok(View::values(lock(&self.0).values().cloned().collect())),
            ("items", []) => {
                let items = lock(&self.0).clone();
                Ok(View::pairs(items.into_iter().map(|(key, value)| Value::from(Tuple::from([key, value]))).collect()))
            }
            _ => Err(minijinja::ErrorKind::UnknownMethod.into()),
        }
    }
}

impl Dict {
    fn set(self: &Arc<Self>, state: &State<'_, '_>, key: Value, value: Value) -> Result<(), Error> {
        fits(state, Some(&Value::from_dyn_object(Arc::clone(self))), &value)?;
        lock(&self.0).insert(key, value);
        Ok(())
    }
}

/// The pairs of a mapping, or of a list of pairs.
pub(super) fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() == ValueKind::Map {
        return Ok(value.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten().collect());
    }
    collect(value)?.iter().map(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?))).collect()
}
