//! Which of two values is less, as Python has it: numbers, texts, lists, dates among their like. Anything else has no order,
//! and is an error where it is asked for.

use std::cmp::Ordering;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::containers::{collect, is_own, is_plain_seq};
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
        _ => {}
    }
    let unknown = |value: &Value| matches!(value.kind(), ValueKind::Undefined | ValueKind::None);
    if !executing && (unknown(left) || unknown(right)) {
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

/// `a == b`.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    Decimal::compared(left, right).map_or_else(|| left == right, Ordering::is_eq)
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
