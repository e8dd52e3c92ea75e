//! `adapter` and `api`.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::containers::new_list;
use super::error::{problem, unsupported};
use super::host::RelationFacts;
use super::macros::dispatch;
use super::relation::{Column, Relation, quoted};
use super::session::Session;
use super::values::{bind_args, describe, required, required_text};
use crate::base::Code;
use crate::manifest::RelationName;

/// `adapter.dispatch(..)`, `adapter.get_relation(..)` and the like.
#[derive(Debug)]
pub(super) struct Adapter(pub Arc<Session>);

impl Adapter {
    fn facts(&self, relation: &RelationName) -> Result<Option<RelationFacts>, Error> {
        if self.0.execute { Ok(self.0.host.relation(relation)?) } else { Ok(None) }
    }

    fn columns(&self, relation: &Value) -> Result<Vec<(String, String)>, Error> {
        let Some(relation) = relation.downcast_object_ref::<Relation>() else {
            return Err(problem(Code::MacroArguments, format!("expected a relation, found {}", describe(relation))));
        };
        Ok(self.facts(&relation.name)?.map(|facts| facts.columns).unwrap_or_default())
    }

    fn get_relation(&self, args: &[Value]) -> Result<Value, Error> {
        let [database, schema, identifier] = bind_args("adapter.get_relation", ["database", "schema", "identifier"], args)?;
        let text = |value: Option<Value>| value.filter(|value| !value.is_none()).map(|value| value.to_string()).unwrap_or_default();
        let name = RelationName::new(text(database), text(schema), text(identifier));
        let found = self.facts(&name)?;
        Ok(found.map_or_else(|| Value::from(()), |facts| Value::from_object(Relation::new(name, Some(facts.kind)))))
    }

    fn load_relation(&self, args: &[Value]) -> Result<Value, Error> {
        let [relation] = bind_args("adapter.load_relation", ["relation"], args)?;
        let relation = required("adapter.load_relation", "relation", relation)?;
        let Some(name) = relation.downcast_object_ref::<Relation>().map(|relation| relation.name.clone()) else {
            return Ok(Value::from(()));
        };
        let found = self.facts(&name)?;
        Ok(found.map_or_else(|| Value::from(()), |facts| Value::from_object(Relation::new(name, Some(facts.kind)))))
    }

    fn missing_columns(&self, args: &[Value]) -> Result<Value, Error> {
        let function = "adapter.get_missing_columns";
        let [from, to] = bind_args(function, ["from_relation", "to_relation"], args)?;
        let from = self.columns(&required(function, "from_relation", from)?)?;
        let to = self.columns(&required(function, "to_relation", to)?)?;
        let missing = from.iter().filter(|(name, _)| !to.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        Ok(new_list(missing.map(|(name, data_type)| Column::value(name, data_type)).collect()))
    }
}

impl Object for Adapter {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from(unsupported(&format!("adapter.{key}"))))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "dispatch" => {
                let [name, namespace] = bind_args("adapter.dispatch", ["macro_name", "macro_namespace"], args)?;
                let name = required_text("adapter.dispatch", "macro_name", name)?;
                let namespace = namespace.filter(|value| !value.is_none());
                dispatch(&self.0, &name, namespace.as_ref().and_then(Value::as_str))
            }
            "get_relation" => self.get_relation(args),
            "load_relation" => self.load_relation(args),
            "get_columns_in_relation" => {
                let [relation] = bind_args("adapter.get_columns_in_relation", ["relation"], args)?;
                let relation = required("adapter.get_columns_in_relation", "relation", relation)?;
                // While parsing, what is passed may itself be undefined.
                if !self.0.execute {
                    return Ok(new_list(Vec::new()));
                }
                let columns = self.columns(&relation)?;
                Ok(new_list(columns.iter().map(|(name, data_type)| Column::value(name, data_type)).collect()))
            }
            "get_missing_columns" if self.0.execute => self.missing_columns(args),
            "get_missing_columns" => Ok(new_list(Vec::new())),
            "quote" | "quote_as_configured" => {
                let [part, _] = bind_args("adapter.quote", ["identifier", "quote_key"], args)?;
                Ok(Value::from(quoted(&required("adapter.quote", "identifier", part)?.to_string())))
            }
            "type" => Ok(Value::from("alluvium")),
            "commit" | "cache_renamed" | "cache_added" | "cache_dropped" => Ok(Value::from("")),
            other => Err(unsupported(&format!("adapter.{other}()"))),
        }
    }
}

/// `api.Relation` and `api.Column`.
#[derive(Debug)]
pub(super) struct Api;

impl Object for Api {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "Relation" => Value::from_object(RelationApi),
            "Column" => Value::from_object(ColumnApi),
            other => Value::from(unsupported(&format!("api.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "Column" => Arc::new(ColumnApi).call(state, args),
            other => Err(unsupported(&format!("api.{other}()"))),
        }
    }
}

#[derive(Debug)]
struct RelationApi;

impl Object for RelationApi {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "Table" => Value::from("table"),
            "View" => Value::from("view"),
            "CTE" => Value::from("cte"),
            other => Value::from(unsupported(&format!("api.Relation.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        use super::host::RelationKind;
        if method != "create" {
            return Err(unsupported(&format!("api.Relation.{method}()")));
        }
        let names = ["database", "schema", "identifier", "type", "quote_policy", "include_policy"];
        let [database, schema, identifier, kind, ..] = bind_args("api.Relation.create", names, args)?;
        let text =
            |value: Option<Value>| value.filter(|value| !value.is_none() && !value.is_undefined()).map(|value| value.to_string()).unwrap_or_default();
        let kind = match text(kind).as_str() {
            "table" => Some(RelationKind::Table),
            "view" => Some(RelationKind::View),
            _ => None,
        };
        let name = RelationName::new(text(database), text(schema), text(identifier));
        Ok(Value::from_object(Relation::new(name, kind)))
    }
}

#[derive(Debug)]
struct ColumnApi;

impl Object for ColumnApi {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let [name, data_type, ..] = bind_args("api.Column", ["column", "dtype", "char_size", "numeric_precision", "numeric_scale"], args)?;
        let name = required_text("api.Column", "column", name)?;
        Ok(Column::value(&name, &data_type.unwrap_or_default().to_string()))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "create" => {
                let [name, data_type] = bind_args("api.Column.create", ["name", "label_or_dtype"], args)?;
                let name = required_text("api.Column.create", "name", name)?;
                Ok(Column::value(&name, &data_type.unwrap_or_default().to_string()))
            }
            "translate_type" => {
                let [data_type] = bind_args("api.Column.translate_type", ["dtype"], args)?;
                required("api.Column.translate_type", "dtype", data_type)
            }
            other => Err(unsupported(&format!("api.Column.{other}()"))),
        }
    }
}
