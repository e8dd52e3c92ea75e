//! What operators mean that [`super::operators`] makes calls of, with what they make counted.

use minijinja::value::{Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::containers::{collect, is_own, is_plain_seq, new_list};
use super::decimals::{Decimal, Operator};
use super::modules::{date_sum, is_date, span_negated, span_product, span_quotient, span_rest};
use super::names::Unavailable;
use super::python::{percent, write_text};
use super::sets::difference;
use super::work::{self, ITEM};

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("__add", |state: &State<'_, '_>, a: Value, b: Value| sum(state, &a, &b, false));
    environment.add_filter("__sub", |state: &State<'_, '_>, a: Value, b: Value| sum(state, &a, &b, true));
    environment.add_filter("__mul", |state: &State<'_, '_>, a: Value, b: Value| product(state, &a, &b));
    environment.add_filter("__div", |state: &State<'_, '_>, a: Value, b: Value| quotient(state, &a, &b, false));
    environment.add_filter("__floor", |state: &State<'_, '_>, a: Value, b: Value| quotient(state, &a, &b, true));
    environment.add_filter("__mod", |state: &State<'_, '_>, a: Value, b: Value| modulo(state, &a, &b));
    environment.add_filter("__pow", |state: &State<'_, '_>, a: Value, b: Value| power(state, &a, &b));
    environment.add_filter("__cat", |state: &State<'_, '_>, first: Value, rest: Rest<Value>| concatenated(state, &first, &rest));
    environment.add_filter("__neg", |state: &State<'_, '_>, a: Value| negated(state, &a));
}

/// `-a`.
fn negated(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    match span_negated(value).or_else(|| Decimal::negated(value)) {
        Some(negated) => Ok(negated),
        None => of_engine(state, "-a", value, &Value::UNDEFINED),
    }
}

/// `a % b`.
fn modulo(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(template) = left.as_str() {
        let made = percent(template, right)?;
        work::text(state, made.len())?;
        return Ok(Value::from(made));
    }
    if let Some(rest) = span_rest(left, right) {
        return rest;
    }
    // The sign is the divisor's, as in Python.
    let signed = |(a, b): (i64, i64)| a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest });
    if let Some(rest) = integers(left, right).and_then(signed) {
        return Ok(Value::from(rest));
    }
    match Decimal::reckoned(left, Operator::Rest, right) {
        Some(rest) => rest,
        None => of_engine(state, "a % b", left, right),
    }
}

/// `a + b` and `a - b`.
pub(super) fn sum(state: &State<'_, '_>, left: &Value, right: &Value, minus: bool) -> Result<Value, Error> {
    if let Some((a, b)) = integers(left, right)
        && let Some(sum) = if minus { a.checked_sub(b) } else { a.checked_add(b) }
    {
        return Ok(Value::from(sum));
    }
    if let (Some(a), Some(b), false) = (left.as_str(), right.as_str(), minus) {
        work::joined(state, a.len().saturating_add(b.len()))?;
        return Ok(Value::from([a, b].concat()));
    }
    if let Some(sum) = Decimal::reckoned(left, if minus { Operator::Subtract } else { Operator::Add }, right) {
        return sum;
    }
    if is_date(left) || is_date(right) {
        return date_sum(left, right, minus);
    }
    if minus && let Some(rest) = difference(left, right) {
        return Ok(rest);
    }
    if !minus && let (Some(kind), Some(other)) = (sequence(left), sequence(right)) {
        work::count(state, left)?;
        work::count(state, right)?;
        if kind == other {
            return Ok(kind.of([collect(left)?, collect(right)?].concat()));
        }
    }
    of_engine(state, if minus { "a - b" } else { "a + b" }, left, right)
}

/// `a * b`.
fn product(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(product) = integers(left, right).and_then(|(a, b)| a.checked_mul(b)) {
        return Ok(Value::from(product));
    }
    if let Some(product) = span_product(left, right).or_else(|| Decimal::reckoned(left, Operator::Multiply, right)) {
        return product;
    }
    let (repeated, times) = if right.is_integer() { (left, right) } else { (right, left) };
    // Fewer than no times is none, as in Python.
    let times = times.as_i64().filter(|_| times.is_integer()).map(|times| usize::try_from(times).unwrap_or(0));
    match (times, repeated.as_str(), sequence(repeated)) {
        (Some(times), Some(part), _) => {
            work::text(state, part.len().saturating_mul(times))?;
            Ok(Value::from(part.repeat(times)))
        }
        (Some(times), None, Some(kind)) => {
            let items = collect(repeated)?;
            work::charge(state, items.len().saturating_mul(times).saturating_mul(ITEM))?;
            Ok(kind.of(std::iter::repeat_n(&items, times).flatten().cloned().collect()))
        }
        (Some(_), None, None) | (None, _, _) => of_engine(state, "a * b", left, right),
    }
}

/// `a / b` and `a // b`.
fn quotient(state: &State<'_, '_>, left: &Value, right: &Value, whole: bool) -> Result<Value, Error> {
    let operator = if whole { Operator::Whole } else { Operator::Divide };
    match span_quotient(left, right, whole).or_else(|| Decimal::reckoned(left, operator, right)) {
        Some(quotient) => quotient,
        None => of_engine(state, if whole { "a // b" } else { "a / b" }, left, right),
    }
}

/// `a ** b`.
fn power(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    match Decimal::power(left, right) {
        Some(power) => power,
        None => of_engine(state, "a ** b", left, right),
    }
}

/// `a ~ b`, of any number of operands.
fn concatenated(state: &State<'_, '_>, first: &Value, rest: &[Value]) -> Result<Value, Error> {
    let mut made = String::new();
    for part in std::iter::once(first).chain(rest) {
        if let Some(unavailable) = part.downcast_object_ref::<Unavailable>() {
            return Err(unavailable.error());
        }
        match part.kind() {
            ValueKind::String => made.push_str(part.as_str().unwrap_or_default()),
            ValueKind::Invalid => return part.clone().try_iter().map(|_| Value::UNDEFINED),
            _ => write_text(part, &mut made),
        }
        work::limit(made.len())?;
    }
    work::joined(state, made.len())?;
    Ok(Value::from(made))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sequence {
    List,
    Tuple,
}

impl Sequence {
    fn of(self, items: Vec<Value>) -> Value {
        match self {
            Self::List => new_list(items),
            Self::Tuple => Value::from(Tuple::from(items)),
        }
    }
}

fn sequence(value: &Value) -> Option<Sequence> {
    if value.kind() != ValueKind::Seq {
        return None;
    }
    if value.is_tuple() {
        return Some(Sequence::Tuple);
    }
    (is_own(value) || is_plain_seq(value)).then_some(Sequence::List)
}

fn integers(left: &Value, right: &Value) -> Option<(i64, i64)> {
    if left.kind() != ValueKind::Number || right.kind() != ValueKind::Number || !left.is_integer() || !right.is_integer() {
        return None;
    }
    Some((left.as_i64()?, right.as_i64()?))
}

fn of_engine(state: &State<'_, '_>, expression: &str, left: &Value, right: &Value) -> Result<Value, Error> {
    let expression = state.env().compile_expression(expression)?;
    let made = expression.eval(minijinja::context! { a => left.clone(), b => right.clone() });
    // What is wrong stands in the template, not in this expression.
    made.map_err(|error| error.detail().map_or_else(|| Error::from(error.kind()), |detail| Error::new(error.kind(), detail.to_owned())))
}
