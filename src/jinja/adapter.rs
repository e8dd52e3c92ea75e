//! `adapter` and `api`: what is known of relations, and values to name them with.

mod changes;
mod constraints;

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Error, State, Value};

use super::containers::new_list;
use super::error::{problem, unsupported};
use super::host::RelationFacts;
use super::macros::{adapter_type, dispatch};
use super::relation::{Column, Relation, string_type};
use super::session::{Session, session_of};
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
        let columns = self.facts(&relation.name)?.map(|facts| facts.columns).unwrap_or_default();
        let semantics = self.0.semantics();
        Ok(columns.into_iter().map(|(name, data_type)| (semantics.told(&name), data_type)).collect())
    }

    fn get_relation(&self, args: &[Value]) -> Result<Value, Error> {
        let [database, schema, identifier] = bind_args("adapter.get_relation", ["database", "schema", "identifier"], args)?;
        let text = |value: Option<Value>| value.filter(|value| !value.is_none()).map(|value| value.to_string()).unwrap_or_default();
        let name = RelationName::new(text(database), text(schema), text(identifier));
        let found = self.facts(&name)?;
        Ok(found.map_or_else(|| Value::from(()), |facts| Value::from_object(Relation::new(name, Some(facts.kind), self.0.semantics()))))
    }

    fn load_relation(&self, args: &[Value]) -> Result<Value, Error> {
        let [relation] = bind_args("adapter.load_relation", ["relation"], args)?;
        let relation = required("adapter.load_relation", "relation", relation)?;
        let Some(name) = relation.downcast_object_ref::<Relation>().map(|relation| relation.name.clone()) else {
            return Ok(Value::from(()));
        };
        let found = self.facts(&name)?;
        Ok(found.map_or_else(|| Value::from(()), |facts| Value::from_object(Relation::new(name, Some(facts.kind), self.0.semantics()))))
    }

    fn missing_columns(&self, args: &[Value]) -> Result<Value, Error> {
        let function = "adapter.get_missing_columns";
        let [from, to] = bind_args(function, ["from_relation", "to_relation"], args)?;
        let from = self.columns(&required(function, "from_relation", from)?)?;
        let to = self.columns(&required(function, "to_relation", to)?)?;
        let missing = from.iter().filter(|(name, _)| !to.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        Ok(new_list(missing.map(|(name, data_type)| Column::told(name, data_type, self.0.semantics())).collect()))
    }
}

impl Object for Adapter {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("Relation") => Some(Value::from_object(RelationApi)),
            Some("Column") => Some(Value::from_object(ColumnApi)),
            Some("behavior") => Some(Value::from_object(Behaviours(Arc::clone(&self.0)))),
            Some(method) if [&METHODS[..], &changes::METHODS, &constraints::METHODS].iter().any(|known| known.contains(&method)) => {
                Some(Value::from_object(Method { adapter: Arc::clone(self), name: method.to_owned() }))
            }
            _ => None,
        }
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
                Ok(new_list(columns.iter().map(|(name, data_type)| Column::told(name, data_type, self.0.semantics())).collect()))
            }
            "get_missing_columns" if self.0.execute => self.missing_columns(args),
            "get_missing_columns" => Ok(new_list(Vec::new())),
            "get_incremental_strategy_macro" => {
                let [_, strategy] = bind_args("adapter.get_incremental_strategy_macro", ["model_context", "strategy"], args)?;
                let strategy = required_text("adapter.get_incremental_strategy_macro", "strategy", strategy)?;
                let name = format!("get_incremental_{}_sql", strategy.replace('+', "_"));
                let found = self.0.shared.resolve_within(self.0.home(), &self.0.package(), &name).and_then(|id| self.0.shared.value(id));
                found.ok_or_else(|| problem(Code::UndefinedMacro, format!("no macro `{name}` for the incremental strategy `{strategy}`")))
            }
            "quote" | "quote_as_configured" => {
                let [part, key] = bind_args("adapter.quote", ["identifier", "quote_key"], args)?;
                let part = required("adapter.quote", "identifier", part)?.to_string();
                let key = key.filter(|_| method == "quote_as_configured");
                let place = key.and_then(|key| ["database", "schema", "identifier"].iter().position(|part| key.as_str() == Some(part)));
                let plain = place.is_some_and(|place| !self.0.host.quoting()[place]);
                Ok(Value::from(if plain { part } else { self.0.semantics().quote_ident(&part) }))
            }
            "quote_seed_column" => {
                let [column, quote] = bind_args("adapter.quote_seed_column", ["column", "quote_config"], args)?;
                let column = required("adapter.quote_seed_column", "column", column)?.to_string();
                let plain = quote.is_some_and(|quote| quote.kind() == ValueKind::Bool && !quote.is_true());
                Ok(Value::from(if plain { column } else { self.0.semantics().quote_ident(&column) }))
            }
            "type" => Ok(Value::from(adapter_type(&self.0))),
            // Text has no length here, and every statement is a transaction of its own.
            "expand_target_column_types" | "commit" | "cache_renamed" | "cache_added" | "cache_dropped" | "verify_database" => Ok(Value::from("")),
            other if changes::METHODS.contains(&other) => changes::call(&self.0, other, args),
            // While parsing, a table of results is not there.
            "standardize_grants_dict" | "convert_type" if !self.0.execute => Ok(Value::UNDEFINED),
            other if constraints::METHODS.contains(&other) => constraints::call(&self.0, other, args),
            // As in dbt, what is not there is only missed where it is used for something.
            _ if !self.0.execute => Ok(Value::UNDEFINED),
            other => Err(unsupported(&format!("adapter.{other}()"))),
        }
    }
}

/// `adapter.behavior`: dbt's behaviour flags by their keys.
#[derive(Debug)]
struct Behaviours(Arc<Session>);

impl Object for Behaviours {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.host.behaves(key.as_str()?).map(|holds| Value::from_object(BehaviourFlag(holds)))
    }
}

/// A flag, and `no_warn`, which asks for it without saying anything.
#[derive(Debug)]
struct BehaviourFlag(bool);

impl Object for BehaviourFlag {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        matches!(key.as_str()?, "no_warn" | "setting").then(|| Value::from(self.0))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.0
    }
}

const METHODS: [&str; 16] = [
    "dispatch",
    "get_relation",
    "load_relation",
    "get_columns_in_relation",
    "get_missing_columns",
    "get_incremental_strategy_macro",
    "quote",
    "quote_as_configured",
    "quote_seed_column",
    "type",
    "expand_target_column_types",
    "commit",
    "cache_renamed",
    "cache_added",
    "cache_dropped",
    "verify_database",
];

/// A method that is not called where it is named.
#[derive(Debug)]
struct Method {
    adapter: Arc<Adapter>,
    name: String,
}

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.adapter.call_method(state, &self.name, args)
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
            "MaterializedView" => Value::from("materialized_view"),
            "External" => Value::from("external"),
            other => Value::from(unsupported(&format!("api.Relation.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "create" => {}
            "create_from" => {
                let [_, node] = bind_args("api.Relation.create_from", ["config", "node"], args)?;
                let session = session_of(state)?;
                return Ok(Value::from_object(of_node(&required("api.Relation.create_from", "node", node)?, &session)));
            }
            "create_from_node" => {
                let [_, node, ..] = bind_args("api.Relation.create_from_node", ["config", "node", "quote_policy"], args)?;
                let session = session_of(state)?;
                return Ok(Value::from_object(of_node(&required("api.Relation.create_from_node", "node", node)?, &session)));
            }
            other => return Err(unsupported(&format!("api.Relation.{other}()"))),
        }
        let names = ["database", "schema", "identifier", "type", "quote_policy", "include_policy", "limit"];
        let [database, schema, identifier, kind, quote, include, limit] = bind_args("api.Relation.create", names, args)?;
        let text =
            |value: Option<Value>| value.filter(|value| !value.is_none() && !value.is_undefined()).map(|value| value.to_string()).unwrap_or_default();
        let name = RelationName::new(text(database), text(schema), text(identifier));
        let limit = limit.filter(|limit| !limit.is_none()).map(|limit| {
            limit.as_usize().ok_or_else(|| problem(Code::MacroArguments, format!("`limit` is a number of rows, found {}", describe(&limit))))
        });
        let session = session_of(state)?;
        let made = Relation::new(name, None, session.semantics()).quoted(session.host.quoting());
        let made = made.of_type(&text(kind)).with_policies(quote.as_ref(), include.as_ref());
        Ok(Value::from_object(match limit.transpose()? {
            Some(limit) => made.limited(limit),
            None => made,
        }))
    }
}

/// dbt's name for the type of text, which is the same type here; other names of types are as they are.
fn translated(data_type: &str) -> String {
    if data_type.eq_ignore_ascii_case("string") { "TEXT".to_owned() } else { data_type.to_owned() }
}

/// The relation of a node of `graph`; a source says itself which parts are quoted.
fn of_node(node: &Value, session: &Session) -> Relation {
    let text = |key: &str| node.get_attr(key).ok().filter(|value| !value.is_none() && !value.is_undefined()).map(|value| value.to_string());
    let identifier = text("alias").or_else(|| text("identifier")).or_else(|| text("name")).unwrap_or_default();
    let name = RelationName::new(text("database").unwrap_or_default(), text("schema").unwrap_or_default(), identifier);
    let own = node.get_attr("quoting").ok();
    Relation::new(name, None, session.semantics()).quoted(session.host.quoting()).with_policies(own.as_ref(), None)
}

#[derive(Debug)]
pub(super) struct ColumnApi;

impl Object for ColumnApi {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let names = ["column", "dtype", "char_size", "numeric_precision", "numeric_scale"];
        let [name, data_type, size, precision, scale] = bind_args("api.Column", names, args)?;
        let name = required_text("api.Column", "column", name)?;
        let given = |value: Option<Value>| value.filter(|value| !value.is_none());
        let (size, digits) = (given(size), given(precision).zip(given(scale)));
        let data_type = data_type.unwrap_or_default().to_string();
        let data_type = Column::type_text(&data_type, size.as_ref(), digits.as_ref().map(|(precision, scale)| (precision, scale)));
        Ok(Column::value(&name, &data_type, session_of(state)?.semantics()))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "create" => {
                let [name, data_type] = bind_args("api.Column.create", ["name", "label_or_dtype"], args)?;
                let name = required_text("api.Column.create", "name", name)?;
                Ok(Column::value(&name, &translated(&data_type.unwrap_or_default().to_string()), session_of(state)?.semantics()))
            }
            "from_description" => {
                let [name, data_type] = bind_args("api.Column.from_description", ["name", "raw_data_type"], args)?;
                let name = required_text("api.Column.from_description", "name", name)?;
                let data_type = required_text("api.Column.from_description", "raw_data_type", data_type)?;
                Ok(Column::value(&name, &data_type, session_of(state)?.semantics()))
            }
            "string_type" => {
                let [size] = bind_args("api.Column.string_type", ["size"], args)?;
                Ok(Value::from(string_type(&required("api.Column.string_type", "size", size)?.to_string())))
            }
            "numeric_type" => {
                let [data_type, precision, scale] = bind_args("api.Column.numeric_type", ["dtype", "precision", "scale"], args)?;
                let data_type = required_text("api.Column.numeric_type", "dtype", data_type)?;
                let digits = precision.filter(|value| !value.is_none()).zip(scale.filter(|value| !value.is_none()));
                Ok(Value::from(Column::type_text(&data_type, None, digits.as_ref().map(|(precision, scale)| (precision, scale)))))
            }
            "translate_type" => {
                let [data_type] = bind_args("api.Column.translate_type", ["dtype"], args)?;
                Ok(Value::from(translated(&required_text("api.Column.translate_type", "dtype", data_type)?)))
            }
            other => Err(unsupported(&format!("api.Column.{other}()"))),
        }
    }
}
