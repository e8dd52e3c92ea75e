//! What a template may cost in bytes. The engine counts steps; a step may be of any size, so whatever makes, copies or looks
//! through long texts and lists counts their bytes here. Far from what any template needs, and some seconds of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult, Object, ObjectRepr, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::containers::{is_own, items};
use super::error::problem;
use super::session::session_of;
use crate::base::Code;

/// The longest text that a template may give or make.
pub(super) const TEXT_LIMIT: usize = 64 << 20;
/// The most bytes that a template may make in all.
const LIMIT: usize = 2 << 30;
/// What an item of a list counts, in bytes.
pub(super) const ITEM: usize = 8;
/// How many bytes are copied in the time that one is made.
const COPIES: usize = 16;
/// The most values that one list or dict may have, those within its items included.
const VALUES: usize = 1_000_000;
/// How deep lists and dicts may be nested; deeper ones could not be printed or dropped safely.
const NESTING: usize = 60;
/// What is no more than this is paid for by the step that makes it.
const FREE: usize = 256;

/// The bytes that a render has made so far.
#[derive(Debug, Default)]
pub(super) struct Work(AtomicUsize);

impl Work {
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Error> {
        let before = self.0.fetch_add(bytes.min(LIMIT), Ordering::Relaxed);
        if before.saturating_add(bytes) > LIMIT {
            return Err(problem(Code::JinjaRuntime, "the template makes more than 2 GiB of text and lists"));
        }
        Ok(())
    }
}

/// `__n(value)`: the value, counted. `__n(none, bytes)` counts text that stands in the template.
impl Object for Work {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match args {
            [_, bytes] => self.charge(bytes.as_usize().unwrap_or(0)).map(|()| Value::UNDEFINED),
            [value] => {
                let size = size(value);
                if size > FREE {
                    self.charge(size)?;
                }
                Ok(value.clone())
            }
            _ => Ok(Value::UNDEFINED),
        }
    }
}

/// Counts bytes.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    if bytes <= FREE {
        return Ok(());
    }
    match session_of(state) {
        Ok(session) => session.work.charge(bytes),
        // Before a session is attached there is only what stands in the template.
        Err(_) => Ok(()),
    }
}

/// Counts a text that is made, and refuses one that is too long for any use.
pub(super) fn text(state: &State<'_, '_>, length: usize) -> Result<(), Error> {
    limit(length)?;
    charge(state, length)
}

/// As [`text`], for one that is put together of others: they are copied and not looked into, which is soon done. Macros make long
/// statements row by row, and copy what they have with each.
pub(super) fn joined(state: &State<'_, '_>, length: usize) -> Result<(), Error> {
    limit(length)?;
    charge(state, length / COPIES)
}

/// As [`joined`], for a value whose items are only counted.
pub(super) fn measured(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    charge(state, size(value) / COPIES)
}

/// Refuses a text that is too long for any use.
pub(super) fn limit(length: usize) -> Result<(), Error> {
    if length > TEXT_LIMIT {
        return Err(problem(Code::JinjaRuntime, "a text is longer than 64 MiB"));
    }
    Ok(())
}

/// Counts a value that is made or gone through.
pub(super) fn count(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    charge(state, size(value))
}

/// The bytes of a text, or what the items of a list or dict count.
fn size(value: &Value) -> usize {
    match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => value.len().unwrap_or(0).saturating_mul(ITEM),
        _ => 0,
    }
}

/// The bytes of a value as it is written out, that of all values in it included.
///
/// # Errors
/// If that is more than a text may have.
pub(super) fn weight(value: &Value) -> Result<usize, Error> {
    let mut total = 0;
    let mut open = vec![value.clone()];
    while let Some(value) = open.pop() {
        total += ITEM + value.as_str().map_or(0, str::len);
        limit(total)?;
        if value.kind() != ValueKind::String {
            open.extend(items(&value));
        }
    }
    Ok(total)
}

/// Refuses to put a value into a list or dict that would become too deep or too large by it; `own` is that list or dict, if
/// it exists by now. A value may stand in another many times, so what it holds is counted as often.
pub(super) fn fits(state: &State<'_, '_>, own: Option<&Value>, value: &Value) -> Result<(), Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        return Ok(());
    }
    let mut seen = 0;
    let mut open = vec![(value.clone(), 1)];
    while let Some((value, depth)) = open.pop() {
        if depth > NESTING {
            return Err(problem(Code::JinjaRuntime, format!("lists and dicts are nested more than {NESTING} deep")));
        }
        if own.is_some_and(|own| same(own, &value)) {
            return Err(problem(Code::JinjaRuntime, "a list or dict can't contain itself"));
        }
        let items = items(&value);
        seen += items.len();
        holds(seen)?;
        open.extend(items.into_iter().filter(|item| matches!(item.kind(), ValueKind::Seq | ValueKind::Map)).map(|item| (item, depth + 1)));
    }
    charge(state, seen * ITEM)
}

/// Refuses a list or dict that is too long for any use.
pub(super) fn holds(values: usize) -> Result<(), Error> {
    if values > VALUES {
        return Err(problem(Code::JinjaRuntime, "a list or dict has more than a million values"));
    }
    Ok(())
}

fn same(a: &Value, b: &Value) -> bool {
    let address = |value: &Value| value.as_object().filter(|_| is_own(value)).map(super::containers::address);
    address(a).is_some_and(|a| address(b) == Some(a))
}

/// Registers a filter that counts what it is given and what it makes. `grows` says how long a text it can make of that,
/// where this is much more.
pub(super) fn add_filter<F, Rv, Args>(environment: &mut Environment<'static>, name: &'static str, filter: F)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    add_growing_filter(environment, name, filter, |_| Ok(0));
}

/// As [`add_filter`], for one that can make much more than it is given: `grows` gives the bytes.
pub(super) fn add_growing_filter<F, Rv, Args>(
    environment: &mut Environment<'static>,
    name: &'static str,
    filter: F,
    grows: fn(&[Value]) -> Result<usize, Error>,
) where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    let filter = Value::from_function(filter);
    environment.add_filter(name, move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let args: Vec<Value> = args.0.into_iter().map(ValueOrKwargs::into_value).collect();
        let given = args.iter().map(size).fold(0, usize::saturating_add);
        charge(state, given)?;
        limit(grows(&args)?)?;
        let made = filter.call(state, &args)?;
        match made.as_str() {
            Some(made) => text(state, made.len())?,
            None => count(state, &made)?,
        }
        Ok(made)
    });
}
