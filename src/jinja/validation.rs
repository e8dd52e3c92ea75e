//! `validation.any`: what checks the values that `config.get` and `config.require` give.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::error::problem;
use super::order::equal;
use super::python::text;
use super::values::describe;
use crate::base::Code;

/// `validation`.
#[derive(Debug)]
pub(super) struct Validation;

impl Object for Validation {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("any")).then(|| Value::from_object(Any(None)))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "any" => Ok(Value::from_object(Any(Some(args.to_vec())))),
            _ => Err(minijinja::ErrorKind::UnknownMethod.into()),
        }
    }
}

/// `validation.any`, and what it gives for values: `any(a, b)` refuses others. `any[a]`, with names of types that templates do
/// not have, refuses nothing, as in dbt.
#[derive(Debug)]
struct Any(Option<Vec<Value>>);

impl Object for Any {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<validator>")
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_object(Self(Some(Vec::new()))))
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let Some(known) = &self.0 else { return Ok(Value::from_object(Self(Some(args.to_vec())))) };
        match args {
            [value] if !known.is_empty() && !known.iter().any(|known| equal(known, value)) => {
                let known: Vec<String> = known.iter().map(text).collect();
                Err(problem(Code::JinjaRuntime, format!("expected one of `{}`, found {}", known.join("`, `"), describe(value))))
            }
            _ => Ok(Value::from(())),
        }
    }
}
