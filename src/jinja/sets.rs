//! Sets as Python's: no repetitions, equal whatever the order, and shown in the order of first appearance.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, Mutex};

use indexmap::IndexSet;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::containers::collect;
use super::error::problem;
use super::python::repr;
use super::session::lock;
use super::views::View;
use crate::base::Code;

/// A set.
#[derive(Debug, Default)]
pub(super) struct Set(Mutex<IndexSet<Value>>);

pub(super) fn new_set(values: Vec<Value>) -> Value {
    Value::from_object(Set(Mutex::new(values.into_iter().collect())))
}

/// `a - b` of two sets, or of a dict's keys or pairs and anything that can be looped over.
pub(super) fn difference(left: &Value, right: &Value) -> Option<Value> {
    let items = |value: &Value| -> Option<IndexSet<Value>> {
        let set = value.downcast_object_ref::<Set>().map(Set::items);
        set.or_else(|| View::set(value).map(|items| items.iter().cloned().collect()))
    };
    let own = items(left)?;
    let gone = items(right).or_else(|| View::set(left).and_then(|_| collect(right).ok()).map(|items| items.into_iter().collect()))?;
    Some(new_set(own.into_iter().filter(|item| !gone.contains(item)).collect()))
}

impl Set {
    fn items(&self) -> IndexSet<Value> {
        lock(&self.0).clone()
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.items().is_subset(&other.items())
    }

    /// The items of all arguments of a method.
    fn others(args: &[Value]) -> Result<Vec<IndexSet<Value>>, Error> {
        args.iter().map(|arg| Ok(collect(arg)?.into_iter().collect())).collect()
    }

    fn combined(&self, method: &str, args: &[Value]) -> Result<IndexSet<Value>, Error> {
        let mut items = self.items();
        for other in Self::others(args)? {
            match method {
                "union" | "update" => items.extend(other),
                "intersection" | "intersection_update" => items.retain(|item| other.contains(item)),
                "difference" | "difference_update" => items.retain(|item| !other.contains(item)),
                _ => items = items.symmetric_difference(&other).cloned().collect(),
            }
        }
        Ok(items)
    }

    fn remove(&self, item: &Value) -> bool {
        lock(&self.0).shift_remove(item)
    }
}

impl Object for Set {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items().into_iter().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !lock(&self.0).is_empty()
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let (own, other) = (self.items(), other.downcast_ref::<Self>()?.items());
        if own == other {
            return Some(Ordering::Equal);
        }
        Some(own.len().cmp(&other.len()).then_with(|| own.iter().cmp(other.iter())))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&repr(&Value::from_dyn_object(Arc::clone(self))))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let none = Value::from(());
        let absent = |item: &Value| problem(Code::JinjaRuntime, format!("`{item}` is not in the set"));
        match (method, args) {
            ("union" | "intersection" | "difference" | "symmetric_difference", _) => Ok(new_set(self.combined(method, args)?.into_iter().collect())),
            ("update" | "intersection_update" | "difference_update" | "symmetric_difference_update", _) => {
                let items = self.combined(method, args)?;
                *lock(&self.0) = items;
                Ok(none)
            }
            ("add", [item]) => {
                lock(&self.0).insert(item.clone());
                Ok(none)
            }
            ("discard", [item]) => {
                self.remove(item);
                Ok(none)
            }
            ("remove", [item]) => self.remove(item).then_some(none).ok_or_else(|| absent(item)),
            ("pop", []) => lock(&self.0).shift_remove_index(0).ok_or_else(|| problem(Code::JinjaRuntime, "pop from an empty set")),
            ("clear", []) => {
                lock(&self.0).clear();
                Ok(none)
            }
            ("copy", []) => Ok(new_set(self.items().into_iter().collect())),
            ("issubset" | "issuperset" | "isdisjoint", [_]) => {
                let own = self.items();
                let other = Self::others(args)?.pop().unwrap_or_default();
                Ok(Value::from(match method {
                    "issubset" => own.is_subset(&other),
                    "issuperset" => own.is_superset(&other),
                    _ => own.is_disjoint(&other),
                }))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}
