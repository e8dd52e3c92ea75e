//! What Python can loop over and makes no list of, and prints as what it is: the views of a dict, and ranges.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Rest};
use minijinja::{Environment, Error, State, Value};

use super::error::problem;
use super::python::write_repr;
use super::values::describe;
use crate::base::Code;

/// How many numbers a range may have.
const LIMIT: usize = 100_000;

/// A view of a dict's keys, values or pairs, as they are when it is asked for.
#[derive(Debug)]
pub(super) struct View {
    name: &'static str,
    items: Vec<Value>,
}

impl View {
    pub(super) fn keys(items: Vec<Value>) -> Value {
        Value::from_object(Self { name: "dict_keys", items })
    }

    pub(super) fn values(items: Vec<Value>) -> Value {
        Value::from_object(Self { name: "dict_values", items })
    }

    pub(super) fn pairs(items: Vec<Value>) -> Value {
        Value::from_object(Self { name: "dict_items", items })
    }

    /// The keys or pairs, which are a set.
    pub(super) fn set(value: &Value) -> Option<&[Value]> {
        value.downcast_object_ref::<Self>().filter(|view| view.name != "dict_values").map(|view| view.items.as_slice())
    }
}

/// Whether a value is neither a list nor to be made one.
pub(super) fn is_view(value: &Value) -> bool {
    value.downcast_object_ref::<View>().is_some() || value.downcast_object_ref::<Range>().is_some()
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("{}([", self.name);
        for (index, item) in self.items.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { ", " });
            write_repr(item, &mut out);
        }
        f.write_str(&out)?;
        f.write_str("])")
    }
}

/// `range(start, stop, step)`.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: i64,
    stop: i64,
    step: i64,
}

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function("range", |_: &State<'_, '_>, args: Rest<Value>| range(&args));
}

fn range(args: &[Value]) -> Result<Value, Error> {
    let whole = |value: &Value| {
        let whole = value.as_i64().filter(|_| value.is_integer());
        whole.ok_or_else(|| problem(Code::MacroArguments, format!("`range` takes whole numbers, found {}", describe(value))))
    };
    let range = match args {
        [stop] => Range { start: 0, stop: whole(stop)?, step: 1 },
        [start, stop] => Range { start: whole(start)?, stop: whole(stop)?, step: 1 },
        [start, stop, step] => Range { start: whole(start)?, stop: whole(stop)?, step: whole(step)? },
        _ => return Err(problem(Code::MacroArguments, format!("`range` takes one to three arguments, found {}", args.len()))),
    };
    if range.step == 0 {
        return Err(problem(Code::MacroArguments, "the step of a range is not 0"));
    }
    match range.length() {
        Some(length) if length <= LIMIT => Ok(Value::from_object(range)),
        Some(_) | None => Err(problem(Code::JinjaRuntime, "a range has more than 100,000 numbers")),
    }
}

impl Range {
    fn length(self) -> Option<usize> {
        let (start, stop, step) = (i128::from(self.start), i128::from(self.stop), i128::from(self.step));
        let distance = if step > 0 { stop - start } else { start - stop };
        usize::try_from((distance.max(0) + step.abs() - 1) / step.abs()).ok()
    }

    fn at(self, index: usize) -> Option<Value> {
        let offset = i64::try_from(index).ok().filter(|_| self.length().is_some_and(|length| index < length))?.checked_mul(self.step)?;
        self.start.checked_add(offset).map(Value::from)
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.at(key.as_usize()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.length().unwrap_or(0))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        self.length()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "range({}, {}", self.start, self.stop)?;
        if self.step != 1 {
            write!(f, ", {}", self.step)?;
        }
        f.write_str(")")
    }
}
