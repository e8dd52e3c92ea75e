//! Which of two values is less, as Python has it: numbers, texts, lists, dates among their like. Anything else has no order,
//! and is an error where it is asked for.

use std::cmp::Ordering;

use minijinja::value::{DynObject, Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::containers::{collect, is_own, is_plain_map, is_plain_seq};
use super::decimals::Decimal;
use super::error::problem;
use super::modules::is_date;
use super::sets::Set;
use super::values::describe;
use super::work;
use crate::base::Code;

/// The filter that [`super::operators`] makes of comparisons, and the tests that compare. While parsing, what is undefined or
/// none stands for anything, and is neither more nor less than another value.
pub(super) fn add(environment: &mut Environment<'static>, executing: bool) {
    environment.add_filter("__ord", move |state: &State<'_, '_>, first: Value, rest: Rest<Value>| -> Result<bool, Error> {
        let mut left = &first;
        for pair in rest.chunks_exact(2) {
            let [sign, right] = pair else { continue };
            if !holds(state, left, sign.as_str().unwrap_or_default(), right, executing)? {
                return Ok(false);
            }
            left = right;
        }
        Ok(true)
    });
    let tests = [
        ("lt", "<"),
        ("lessthan", "<"),
        ("<", "<"),
        ("le", "<="),
        ("<=", "<="),
        ("gt", ">"),
        ("greaterthan", ">"),
        (">", ">"),
        ("ge", ">="),
        (">=", ">="),
    ];
    for (name, sign) in tests {
        environment.add_test(name, move |state: &State<'_, '_>, left: Value, right: Value| holds(state, &left, sign, &right, executing));
    }
    environment.add_test("in", move |state: &State<'_, '_>, item: Value, holder: Value| within(state, &item, &holder, executing));
    for (name, wanted) in [("eq", true), ("equalto", true), ("==", true), ("ne", false), ("!=", false)] {
        environment.add_test(name, move |state: &State<'_, '_>, left: Value, right: Value| -> Result<bool, Error> {
            work::count(state, &right)?;
            Ok(equal(&left, &right) == wanted)
        });
    }
}

fn holds(state: &State<'_, '_>, left: &Value, sign: &str, right: &Value, executing: bool) -> Result<bool, Error> {
    if left.kind() != ValueKind::Number {
        work::count(state, right)?;
    }
    match sign {
        "==" => return Ok(equal(left, right)),
        "!=" => return Ok(!equal(left, right)),
        "in" => return within(state, left, right, executing),
        "not" => return within(state, left, right, executing).map(|found| !found),
        _ => {}
    }
    if !executing && (is_unknown(left) || is_unknown(right)) {
        return Ok(false);
    }
    if let (Some(left), Some(right)) = (left.downcast_object_ref::<Set>(), right.downcast_object_ref::<Set>()) {
        return Ok(match sign {
            "<" => left.is_within(right) && !right.is_within(left),
            "<=" => left.is_within(right),
            ">" => right.is_within(left) && !left.is_within(right),
            _ => right.is_within(left),
        });
    }
    let order = compared(left, right).map_err(|[left, right]| unordered(&left, sign, &right))?;
    Ok(match sign {
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn unordered(left: &Value, sign: &str, right: &Value) -> Error {
    problem(Code::JinjaRuntime, format!("`{sign}` can't compare {} with {}", describe(left), describe(right)))
}

fn is_unknown(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::None)
}

/// `a in b`: whether a text holds another, a list or set an item, a dict a key.
fn within(state: &State<'_, '_>, item: &Value, holder: &Value, executing: bool) -> Result<bool, Error> {
    work::count(state, holder)?;
    if let Some(text) = holder.as_str() {
        return match item.as_str() {
            Some(part) => Ok(text.contains(part)),
            None if !executing && is_unknown(item) => Ok(false),
            None => Err(problem(Code::JinjaRuntime, format!("`in` looks for text in text, not for {}", describe(item)))),
        };
    }
    match holder.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for known in holder.try_iter()?.checked() {
                if equal(item, &known?) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValueKind::None | ValueKind::Number | ValueKind::Bool if executing => {
            Err(problem(Code::JinjaRuntime, format!("`in` can't look into {}", describe(holder))))
        }
        _ => minijinja::tests::is_in(state, item, holder),
    }
}

/// `a == b`. Decimals are equal to other numbers, within lists and dicts too.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    if let Some(order) = Decimal::compared(left, right) {
        return order.is_eq();
    }
    match (left.kind(), right.kind()) {
        (ValueKind::Seq, ValueKind::Seq) if is_sequence(left) && is_sequence(right) => {
            let (Ok(a), Ok(b)) = (collect(left), collect(right)) else { return false };
            left.is_tuple() == right.is_tuple() && a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| equal(a, b))
        }
        (ValueKind::Map, ValueKind::Map) if is_dict(left) && is_dict(right) => {
            let pairs = left.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
            let value = |key: &Value| right.as_object().and_then(|right| right.get_value(key));
            left.len() == right.len() && pairs.into_iter().all(|(key, a)| value(&key).is_some_and(|b| equal(&a, &b)))
        }
        _ => left == right,
    }
}

fn is_dict(value: &Value) -> bool {
    is_own(value) || is_plain_map(value)
}

/// How two values stand to each other; `None` for what is not a number. The two that have no order, if they have none.
fn compared(left: &Value, right: &Value) -> Result<Option<Ordering>, [Value; 2]> {
    let number = |kind| matches!(kind, ValueKind::Number | ValueKind::Bool);
    let none = || Err([left.clone(), right.clone()]);
    if let Some(order) = Decimal::compared(left, right) {
        return Ok(Some(order));
    }
    match (left.kind(), right.kind()) {
        (ValueKind::Bool, ValueKind::Bool) => Ok(Some(left.is_true().cmp(&right.is_true()))),
        (a, b) if number(a) && number(b) => Ok(as_number(left).partial_cmp(&as_number(right))),
        (ValueKind::String, ValueKind::String) => Ok(left.as_str().partial_cmp(&right.as_str())),
        (ValueKind::Seq, ValueKind::Seq) if is_sequence(left) && is_sequence(right) && left.is_tuple() == right.is_tuple() => {
            let (Ok(a), Ok(b)) = (collect(left), collect(right)) else { return none() };
            match a.iter().zip(&b).find(|(a, b)| !equal(a, b)) {
                Some((a, b)) => compared(a, b),
                None => Ok(Some(a.len().cmp(&b.len()))),
            }
        }
        (ValueKind::Plain, ValueKind::Plain) if is_date(left) && is_date(right) => {
            super::modules::compared(left, right).ok_or([left.clone(), right.clone()]).map(Some)
        }
        _ => none(),
    }
}

/// A boolean as the number that it is.
fn as_number(value: &Value) -> Value {
    if value.kind() == ValueKind::Bool { Value::from(i64::from(value.is_true())) } else { value.clone() }
}

fn is_sequence(value: &Value) -> bool {
    value.is_tuple() || is_own(value) || is_plain_seq(value)
}

/// The order of two values to sort them by.
pub(super) fn ordering(left: &Value, right: &Value) -> Result<Ordering, Error> {
    match compared(left, right) {
        Ok(order) => Ok(order.unwrap_or(Ordering::Equal)),
        Err([left, right]) => Err(unordered(&left, "<", &right)),
    }
}

/// Sorts items by their keys, and keeps the order of those that are alike, also where it is the other way round. Sorting of the
/// standard library wants an order that is total, and mixed values have none.
///
/// # Errors
/// At the first two keys that have no order.
pub(super) fn sorted(keyed: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<Value>, Error> {
    let order = |a: &Value, b: &Value| ordering(a, b).map(|order| if reverse { order.reverse() } else { order });
    Ok(merge_sorted(keyed, &order)?.into_iter().map(|(_, item)| item).collect())
}

/// The pairs of a dict by their keys; as they are where two keys have no order.
pub(super) fn by_key(pairs: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    merge_sorted(pairs.clone(), &ordering).unwrap_or(pairs)
}

/// Merge sort, which asks of each pair once and may stop.
fn merge_sorted(mut left: Vec<(Value, Value)>, order: &impl Fn(&Value, &Value) -> Result<Ordering, Error>) -> Result<Vec<(Value, Value)>, Error> {
    if left.len() < 2 {
        return Ok(left);
    }
    let right = left.split_off(left.len() / 2);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = merge_sorted(left, order)?.into_iter().peekable();
    let mut right = merge_sorted(right, order)?.into_iter().peekable();
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let from_right = order(a, b)?.is_gt();
        merged.extend(if from_right { right.next() } else { left.next() });
    }
    merged.extend(left.chain(right));
    Ok(merged)
}
