//! What is written in a call, as values: texts, numbers, flags, lists and maps of texts.

use deltalake::datafusion::sql::sqlparser::ast::{Array, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, UnaryOperator, Value};

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
    Map(Vec<(String, String)>),
}

/// One path or a list of them.
pub(super) fn paths(expr: &Expr) -> Option<Vec<String>> {
    match given(expr)? {
        Given::Text(path) => Some(vec![path]),
        Given::List(paths) => Some(paths),
        Given::Flag(_) | Given::Number(_) | Given::Map(_) => None,
    }
}

/// The name of an option and what it is set to: `name = value`, `name := value`, `name => value`.
pub(super) fn option(argument: &FunctionArg) -> Option<(String, &Expr)> {
    match argument {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => Some((name.value.to_lowercase(), value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::Assignment, right })) => {
            match left.as_ref() {
                Expr::Identifier(name) => Some((name.value.to_lowercase(), right)),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn given(expr: &Expr) -> Option<Given> {
    match expr {
        Expr::Nested(inner) => given(inner),
        Expr::Value(value) => scalar(&value.value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match given(expr)? {
            Given::Number(number) => Some(Given::Number(-number)),
            Given::Flag(_) | Given::Text(_) | Given::List(_) | Given::Map(_) => None,
        },
        // A text in double quotes where no column can be meant.
        Expr::Identifier(name) if name.quote_style == Some('"') => Some(Given::Text(name.value.clone())),
        Expr::Array(Array { elem, .. }) => elem.iter().map(text).collect::<Option<_>>().map(Given::List),
        Expr::Dictionary(fields) => {
            fields.iter().map(|field| Some((field.key.value.clone(), text(&field.value)?))).collect::<Option<_>>().map(Given::Map)
        }
        Expr::Map(map) => map.entries.iter().map(|entry| Some((text(&entry.key)?, text(&entry.value)?))).collect::<Option<_>>().map(Given::Map),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match given(expr)? {
        Given::Text(text) => Some(text),
        Given::Flag(_) | Given::Number(_) | Given::List(_) | Given::Map(_) => None,
    }
}

fn scalar(value: &Value) -> Option<Given> {
    match value {
        Value::SingleQuotedString(text) => Some(Given::Text(text.clone())),
        Value::Boolean(flag) => Some(Given::Flag(*flag)),
        Value::Number(text, _) => text.parse().ok().map(Given::Number),
        _ => None,
    }
}
