//! Which type a string of a YAML file has once its template is rendered. As in dbt, a single expression keeps the type of
//! its value, unless it is made of literals alone; `as_bool`, `as_number`, `as_native` and `as_text` say what the text of
//! the expression is read as. Inside of a larger expression, and in SQL, they change nothing.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, State, Value};
use serde_json::Value as Json;

use super::error::problem;
use super::scan::{TagKind, Tags, TokenKind};
use super::session::{Scope, Session, lock, session_of};
use super::values::to_json;
use crate::base::Code;

/// What a text is to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Bool,
    Number,
    Native,
    Text,
}

pub(super) fn add(environment: &mut Environment<'static>) {
    for (name, mark) in [("as_bool", Mark::Bool), ("as_number", Mark::Number), ("as_native", Mark::Native), ("as_text", Mark::Text)] {
        environment.add_filter(name, move |state: &State<'_, '_>, value: Value| -> Result<Value, Error> {
            let session = session_of(state)?;
            if session.scope == Scope::Yaml {
                *lock(&session.marked) = Some((mark, value.clone()));
            }
            Ok(value)
        });
    }
}

/// The value of a rendered string.
///
/// # Errors
/// If its text can't be read as what it is marked to be.
pub(super) fn value_of(session: &Session, text: String) -> Result<Json, Error> {
    let Some(value) = lock(&session.emitted).take().filter(|_| session.main.single_expression) else { return Ok(Json::String(text)) };
    let mark = lock(&session.marked).take().filter(|(_, marked)| *marked == value).map(|(mark, _)| mark);
    let plain = !matches!(value.kind(), ValueKind::String | ValueKind::Undefined | ValueKind::Plain | ValueKind::Bytes | ValueKind::Invalid);
    Ok(match mark {
        Some(Mark::Bool) => Json::Bool(as_bool(&value)?),
        Some(Mark::Number) => as_number(&value)?,
        Some(Mark::Native) => as_native(&value, text)?,
        None if plain && !is_literal(&session.text) => to_json(&value)?,
        Some(Mark::Text) | None => Json::String(text),
    })
}

/// Whether an expression names nothing, as `{{ 1 == 2 }}`.
fn is_literal(text: &str) -> bool {
    const WORDS: [&str; 14] = ["true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else", "defined"];
    let tags = Tags::new(text, 0).flatten().filter(|tag| tag.kind == TagKind::Expression);
    tags.flat_map(|tag| tag.tokens).all(|token| token.kind != TokenKind::Ident || WORDS.contains(&token.text(text)))
}

fn as_bool(value: &Value) -> Result<bool, Error> {
    match value.as_str().map(str::to_lowercase).as_deref() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        None if value.kind() == ValueKind::Bool => Ok(value.is_true()),
        Some(_) | None => Err(problem(Code::JinjaRuntime, format!("expected a boolean, found `{value}`"))),
    }
}

fn as_number(value: &Value) -> Result<Json, Error> {
    let text = match value.as_str().map(str::trim) {
        None if value.is_number() => return to_json(value),
        None => return Err(problem(Code::JinjaRuntime, format!("expected a number, found `{value}`"))),
        Some(text) => text,
    };
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(number), _) => Ok(Json::from(number)),
        (Err(_), Ok(number)) if number.is_finite() => Ok(Json::from(number)),
        (Err(_), Ok(_) | Err(_)) => Err(problem(Code::JinjaRuntime, format!("expected a number, found `{text}`"))),
    }
}

fn as_native(value: &Value, text: String) -> Result<Json, Error> {
    Ok(match value.as_str().map(str::trim) {
        None => to_json(value)?,
        Some("None" | "none") => Json::Null,
        Some(read) if read.eq_ignore_ascii_case("true") => Json::Bool(true),
        Some(read) if read.eq_ignore_ascii_case("false") => Json::Bool(false),
        Some(read) => serde_json::from_str::<Json>(read).unwrap_or(Json::String(text)),
    })
}
