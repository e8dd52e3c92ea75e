//! `context`, which looks names up by text.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, State, Value};

use super::containers::pairs;
use super::macros::split_kwargs;
use super::names::{self, KNOWN};
use super::session::{Session, lock};
use super::values::{bind_args, required_text};
use super::work::fits;

/// All names of a template as a mapping.
#[derive(Debug)]
pub(super) struct Context(pub Arc<Session>);

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.find(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(KNOWN)
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "get" | "setdefault" => {
                let [name, default] = bind_args(&format!("context.{method}"), ["name", "default"], args)?;
                let name = required_text(&format!("context.{method}"), "name", name)?;
                let default = default.unwrap_or_else(|| Value::from(()));
                if let Some(found) = self.find(&name) {
                    return Ok(found);
                }
                if method == "setdefault" {
                    self.put(state, name, &default)?;
                }
                Ok(default)
            }
            "update" => {
                let (positional, named) = split_kwargs(args)?;
                for (name, value) in positional.iter().map(pairs).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
                    self.put(state, required_text("context.update", "name", Some(name))?, &value)?;
                }
                named.into_iter().try_for_each(|(name, value)| self.put(state, name, &value))?;
                Ok(Value::from(()))
            }
            _ => match self.find(method) {
                Some(value) => value.call(state, args),
                None => Err(ErrorKind::UnknownMethod.into()),
            },
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<context>")
    }
}

impl Context {
    /// What was put in goes before what is there.
    fn find(&self, name: &str) -> Option<Value> {
        let added = lock(&self.0.added).get(name).cloned();
        added.or_else(|| names::lookup(&self.0, name))
    }

    /// It stays as long as the rendering of a node, and may grow with each call.
    fn put(&self, state: &State<'_, '_>, name: String, value: &Value) -> Result<(), Error> {
        fits(state, None, value)?;
        lock(&self.0.added).insert(name, value.clone());
        Ok(())
    }
}
