//! Methods of `adapter` that run statements: on schemas and relations, and the text a macro gives.

use std::sync::Arc;

use minijinja::value::Tuple;
use minijinja::{Error, Value};
use serde_json::Value as Json;

use crate::base::{Code, Diagnostic, Heard};
use crate::jinja::containers::new_list;
use crate::jinja::error::{diagnosed, problem};
use crate::jinja::host::{QueryTable, RelationKind};
use crate::jinja::query::Table;
use crate::jinja::relation::{Column, Relation, kind_named};
use crate::jinja::session::Session;
use crate::jinja::values::{bind_args, describe, required, required_text};
use crate::manifest::RelationName;

pub(super) const METHODS: [&str; 15] = [
    "execute",
    "add_query",
    "get_columns_in_table",
    "warn_once",
    "create_schema",
    "drop_schema",
    "check_schema_exists",
    "list_schemas",
    "list_relations",
    "list_relations_without_caching",
    "get_column_schema_from_query",
    "drop_relation",
    "truncate_relation",
    "rename_relation",
    "already_exists",
];

/// Calls one of [`METHODS`]. While parsing nothing runs.
pub(super) fn call(session: &Arc<Session>, method: &str, args: &[Value]) -> Result<Value, Error> {
    if !session.execute {
        return Ok(match method {
            "execute" => pair(&QueryTable::default()),
            "add_query" | "get_columns_in_table" => Value::UNDEFINED,
            "check_schema_exists" | "already_exists" => Value::from(false),
            "list_schemas" | "list_relations" | "list_relations_without_caching" | "get_column_schema_from_query" => new_list(Vec::new()),
            _ => Value::from(""),
        });
    }
    match method {
        "execute" => {
            let [sql, ..] = bind_args("adapter.execute", ["sql", "auto_begin", "fetch", "limit"], args)?;
            Ok(pair(&session.host.query(&required_text("adapter.execute", "sql", sql)?)?))
        }
        "add_query" => {
            let [sql, ..] = bind_args("adapter.add_query", ["sql", "auto_begin", "bindings", "abridge_sql_log"], args)?;
            session.host.query(&required_text("adapter.add_query", "sql", sql)?)?;
            // There is neither a connection nor a cursor to give.
            Ok(Value::from(Tuple::from([Value::from(()), Value::from(())])))
        }
        "get_columns_in_table" => {
            let [schema, table] = bind_args("adapter.get_columns_in_table", ["schema_name", "table_name"], args)?;
            let schema = required_text("adapter.get_columns_in_table", "schema_name", schema)?;
            let name = RelationName::new(database(session), schema, required_text("adapter.get_columns_in_table", "table_name", table)?);
            let columns = session.host.relation(&name)?.map(|facts| facts.columns).unwrap_or_default();
            Ok(new_list(columns.iter().map(|(name, data_type)| Column::told(name, data_type, session.semantics())).collect()))
        }
        "warn_once" => {
            let [message] = bind_args("adapter.warn_once", ["msg"], args)?;
            session.host.log(required("adapter.warn_once", "msg", message)?.to_string().trim(), Heard::Warning);
            Ok(Value::from(()))
        }
        "create_schema" => schema_statement(session, "create schema if not exists", "", args),
        "drop_schema" => schema_statement(session, "drop schema if exists", " cascade", args),
        "check_schema_exists" => check_schema(session, args),
        "list_schemas" => list_schemas(session, args),
        "list_relations" | "list_relations_without_caching" => list_relations(session, method, args),
        "get_column_schema_from_query" => {
            let [sql] = bind_args("adapter.get_column_schema_from_query", ["sql"], args)?;
            let sql = required_text("adapter.get_column_schema_from_query", "sql", sql)?;
            let semantics = session.semantics();
            let table = session.host.query(&format!("select * from (\n{sql}\n) as columns_of_query limit 0"))?;
            Ok(new_list(table.columns.iter().map(|(name, data_type)| Column::told(name, data_type, semantics)).collect()))
        }
        "drop_relation" => drop_relation(session, &relation(method, args)?),
        "truncate_relation" => statement(session, &format!("delete from {}", text(&relation(method, args)?))),
        "rename_relation" => rename(session, args),
        _ => {
            let [schema, table] = bind_args("adapter.already_exists", ["schema", "name"], args)?;
            let schema = required_text("adapter.already_exists", "schema", schema)?;
            let name = RelationName::new(database(session), schema, required_text("adapter.already_exists", "name", table)?);
            Ok(Value::from(session.host.relation(&name)?.is_some()))
        }
    }
}

/// What `adapter.execute` gives: a response, and the rows.
fn pair(table: &QueryTable) -> Value {
    Value::from(Tuple::from([Value::from("OK"), Table::value(table)]))
}

fn statement(session: &Session, sql: &str) -> Result<Value, Error> {
    session.host.query(sql)?;
    Ok(Value::from(""))
}

fn database(session: &Session) -> String {
    session.host.target().get("database").and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn relation(method: &str, args: &[Value]) -> Result<Relation, Error> {
    let [relation] = bind_args(method, ["relation"], args)?;
    of(&required(method, "relation", relation)?)
}

fn of(value: &Value) -> Result<Relation, Error> {
    let found = value.downcast_object_ref::<Relation>().cloned();
    found.ok_or_else(|| problem(Code::MacroArguments, format!("expected a relation, found {}", describe(value))))
}

fn text(relation: &Relation) -> String {
    relation.whole().to_string()
}

fn schema_statement(session: &Session, verb: &str, rest: &str, args: &[Value]) -> Result<Value, Error> {
    let name = relation("relation", args)?.name;
    let database = if name.database.is_empty() { database(session) } else { name.database };
    statement(session, &format!("{verb} {}.{}{rest}", session.semantics().quote_ident(&database), session.semantics().quote_ident(&name.schema)))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.to_lowercase().replace('\'', "''"))
}

fn check_schema(session: &Session, args: &[Value]) -> Result<Value, Error> {
    let [database_name, schema] = bind_args("adapter.check_schema_exists", ["database", "schema"], args)?;
    let database = database_name.filter(|name| !name.is_none()).map_or_else(|| database(session), |name| name.to_string());
    let schema = required_text("adapter.check_schema_exists", "schema", schema)?;
    let sql = format!(
        "select schema_name from information_schema.schemata where lower(catalog_name) = {} and lower(schema_name) = {}",
        literal(&database),
        literal(&schema)
    );
    Ok(Value::from(!session.host.query(&sql)?.rows.is_empty()))
}

fn list_schemas(session: &Session, args: &[Value]) -> Result<Value, Error> {
    let [database_name] = bind_args("adapter.list_schemas", ["database"], args)?;
    let database = database_name.filter(|name| !name.is_none()).map_or_else(|| database(session), |name| name.to_string());
    let sql = format!("select distinct schema_name from information_schema.schemata where lower(catalog_name) = {} order by 1", literal(&database));
    let rows = session.host.query(&sql)?.rows;
    Ok(new_list(rows.iter().filter_map(|row| row.first()?.as_str().map(Value::from)).collect()))
}

/// Of a schema's relation, or of a database and a schema.
fn list_relations(session: &Session, method: &str, args: &[Value]) -> Result<Value, Error> {
    let name = match args {
        [relation] if relation.downcast_object_ref::<Relation>().is_some() => of(relation)?.name,
        _ => {
            let [database, schema] = bind_args(method, ["database", "schema"], args)?;
            RelationName::new(required(method, "database", database)?.to_string(), required(method, "schema", schema)?.to_string(), "")
        }
    };
    let database = if name.database.is_empty() { database(session) } else { name.database };
    let sql = format!(
        "select table_schema, table_name, table_type from information_schema.tables where lower(table_catalog) = {} and lower(table_schema) = {} order by 2",
        literal(&database),
        literal(&name.schema)
    );
    let rows = session.host.query(&sql)?.rows;
    let found = rows.iter().filter_map(|row| {
        let [schema, table, kind] = row.as_slice() else { return None };
        let kind = if kind.as_str() == Some("VIEW") { "view" } else { "table" };
        let name = RelationName::new(database.as_str(), schema.as_str()?, table.as_str()?);
        Some(Value::from_object(Relation::new(name, kind_named(kind), session.semantics())))
    });
    Ok(new_list(found.collect()))
}

fn drop_relation(session: &Session, relation: &Relation) -> Result<Value, Error> {
    let Some(facts) = session.host.relation(&relation.name)? else { return Ok(Value::from("")) };
    let kind = match facts.kind {
        RelationKind::Table => "table",
        RelationKind::View => "view",
    };
    statement(session, &format!("drop {kind} if exists {}", text(relation)))
}

/// A table's rows go into a table of the new name, and the old one is dropped: a Delta table's folder can't be
/// renamed in an object store.
fn rename(session: &Session, args: &[Value]) -> Result<Value, Error> {
    let [from, to] = bind_args("adapter.rename_relation", ["from_relation", "to_relation"], args)?;
    let from = of(&required("adapter.rename_relation", "from_relation", from)?)?;
    let to = of(&required("adapter.rename_relation", "to_relation", to)?)?;
    match session.host.relation(&from.name)?.map(|facts| facts.kind) {
        None => Err(problem(Code::JinjaRuntime, format!("there is no relation {} to rename", text(&from)))),
        Some(RelationKind::View) => Err(diagnosed(
            Diagnostic::error(Code::JinjaUnsupported, format!("the view {} can't be renamed", text(&from)))
                .help("create a view of the new name, and drop this one"),
        )),
        Some(RelationKind::Table) => {
            session.host.query(&format!("create or replace table {} as select * from {}", text(&to), text(&from)))?;
            statement(session, &format!("drop table {}", text(&from)))
        }
    }
}
