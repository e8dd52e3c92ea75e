//! Operators that the engine has for numbers only and Python for more: `%` with text, `+` and `-` with dates. They
//! become calls, whose meaning is here; [`super::rewrite`] puts the calls in.

use std::ops::Range;

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::modules::{date_sum, is_date};
use super::python::percent;
use super::rewrite::ends_operand;
use super::scan::{Token, TokenKind, closing};

/// Words whose presence in a file says that it may reckon with dates.
pub(super) const DATE_WORDS: [&str; 5] = ["datetime", "timedelta", "run_started_at", "strptime", "pytz"];

/// A binary operator as a call: the operands, and the operator's token between them.
pub(super) struct Operation {
    pub function: &'static str,
    pub left: Range<usize>,
    pub right: Range<usize>,
    pub operator: usize,
}

/// The operations in an expression's tokens, outer ones first; ranges are of token indices.
pub(super) fn operations(text: &str, tokens: &[Token], dates: bool) -> Vec<Operation> {
    let mut found = Vec::new();
    if dates {
        sums(text, tokens, 0..tokens.len(), &mut found);
    }
    for (index, token) in tokens.iter().enumerate() {
        if token.is(text, "%") {
            found.extend(remainder(text, tokens, index));
        }
    }
    found
}

fn remainder(text: &str, tokens: &[Token], at: usize) -> Option<Operation> {
    let left = operand_before(text, tokens, at)?;
    let right = operand_after(text, tokens, at + 1)?;
    let before = left.checked_sub(1).and_then(|index| tokens.get(index));
    // What is multiplied before is no text.
    let chained = before.is_some_and(|token| ["*", "/", "//", "%", "**", "-"].iter().any(|known| token.is(text, known)));
    (!chained).then_some(Operation { function: "__mod", left: left..at, right: at + 1..right, operator: at })
}

/// Where the operand that ends before `at` begins: a name, a literal or brackets, with what hangs on to it.
fn operand_before(text: &str, tokens: &[Token], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let last = end.checked_sub(1)?;
        let token = tokens.get(last)?;
        let start = if token.kind == TokenKind::Close { opening(tokens, last)? } else { last };
        if !matches!(token.kind, TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Close) {
            return None;
        }
        let Some(before) = start.checked_sub(1).and_then(|index| tokens.get(index)) else { return Some(start) };
        end = match token.kind {
            TokenKind::Close if ends_operand(text, before) => start,
            TokenKind::Ident if before.is(text, ".") || before.is(text, "|") => start - 1,
            _ => return Some(start),
        };
    }
}

/// Where the operand that begins at `at` ends.
fn operand_after(text: &str, tokens: &[Token], at: usize) -> Option<usize> {
    let mut end = at;
    while tokens.get(end).is_some_and(|token| token.is(text, "-") || token.is(text, "+")) {
        end += 1;
    }
    let token = tokens.get(end)?;
    end = match token.kind {
        TokenKind::Open => closing(tokens, end)? + 1,
        TokenKind::Ident | TokenKind::Text | TokenKind::Number => end + 1,
        TokenKind::Close | TokenKind::Operator => return None,
    };
    loop {
        let Some(token) = tokens.get(end) else { return Some(end) };
        end = match token.kind {
            TokenKind::Open if !token.is(text, "{") => closing(tokens, end)? + 1,
            TokenKind::Operator if token.is(text, ".") || token.is(text, "|") => end + 2,
            _ => return Some(end),
        };
    }
}

fn opening(tokens: &[Token], close: usize) -> Option<usize> {
    (0..close).rev().find(|index| tokens.get(*index).is_some_and(|token| token.kind == TokenKind::Open) && closing(tokens, *index) == Some(close))
}

/// Chains of `+` and `-` within a range, and those inside its brackets.
fn sums(text: &str, tokens: &[Token], range: Range<usize>, found: &mut Vec<Operation>) {
    const ENDS: [&str; 17] = [",", ":", "=", "==", "!=", "<", ">", "<=", ">=", "and", "or", "not", "in", "is", "if", "else", "~"];
    let mut start = range.start;
    let mut operators = Vec::new();
    let mut inner = Vec::new();
    let mut index = range.start;
    while index <= range.end {
        let token = tokens.get(index).filter(|_| index < range.end);
        let Some(token) = token.filter(|token| !ENDS.iter().any(|end| token.is(text, end))) else {
            chain(start, &operators, index, found);
            operators.clear();
            index += 1;
            start = index;
            continue;
        };
        if token.kind == TokenKind::Open {
            let Some(close) = closing(tokens, index).filter(|close| *close < range.end) else { return };
            inner.push(index + 1..close);
            index = close;
        } else if token.is(text, "+") || token.is(text, "-") {
            let binary = index > start && tokens.get(index - 1).is_some_and(|token| ends_operand(text, token));
            if binary {
                operators.push((index, if token.is(text, "+") { "__add" } else { "__sub" }));
            }
        }
        index += 1;
    }
    for range in inner {
        sums(text, tokens, range, found);
    }
}

/// `a + b - c` is `(a + b) - c`: the last operator is the outermost call.
fn chain(start: usize, operators: &[(usize, &'static str)], end: usize, found: &mut Vec<Operation>) {
    let mut until = end;
    for (at, function) in operators.iter().rev() {
        found.push(Operation { function, left: start..*at, right: *at + 1..until, operator: *at });
        until = *at;
    }
}

/// `a % b`.
pub(super) fn modulo(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    match left.as_str() {
        Some(template) => percent(template, right).map(Value::from),
        None => of_engine(state, "a % b", left, right),
    }
}

/// `a + b` and `a - b`.
pub(super) fn sum(state: &State<'_, '_>, left: &Value, right: &Value, minus: bool) -> Result<Value, Error> {
    if is_date(left) || is_date(right) {
        return date_sum(left, right, minus);
    }
    of_engine(state, if minus { "a - b" } else { "a + b" }, left, right)
}

fn of_engine(state: &State<'_, '_>, expression: &str, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (true, Some(a), Some(b)) = (left.kind() == ValueKind::Number, left.as_i64(), right.as_i64()) {
        let quick = match expression {
            "a - b" => a.checked_sub(b),
            "a + b" => a.checked_add(b),
            // The sign is the divisor's, as in Python.
            _ => a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
        };
        if let Some(result) = quick.filter(|_| left.is_integer() && right.is_integer()) {
            return Ok(Value::from(result));
        }
    }
    let expression = state.env().compile_expression(expression)?;
    expression.eval(minijinja::context! { a => left.clone(), b => right.clone() })
}
