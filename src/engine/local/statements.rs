//! Statements of the `sql` command, of hooks and of operations: queries, schemas, tables, views, rows put in, changed
//! and removed, and what is said of tables and done to keep them.
//!
//! Says what a statement does; writing goes through the engine's steps like every other write, so that constraints
//! hold and each statement is one commit. What is not known is refused by its name.

mod alter;
mod composed;
mod describe;
mod maintain;
mod merge;
mod related;
mod rows;
mod tables;
mod temporary;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use deltalake::datafusion::common::TableReference;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::planner::object_name_to_table_reference;
use deltalake::datafusion::sql::resolve::resolve_table_references;
use deltalake::datafusion::sql::sqlparser::ast::{self, ObjectName, ObjectType};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};

use self::composed::Composed;
use super::super::{Engine as _, EngineError, Outcome, RelationKind, Step, ViewWrite};
use super::LocalEngine;
use super::catalog::{self, Scope};
use super::failure::{self, without_place};
use super::functions;
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{self, Command, CreateFunction, Named, Piece, SqlError};

/// How often a statement that lost against another writer is run again.
const ATTEMPTS: usize = 10;

/// Runs one statement; rows stream for those that have some.
///
/// # Errors
/// If the statement does not parse or is not known, and as its parts fail.
pub(super) async fn run(engine: &LocalEngine, text: &str) -> Result<Option<SendableRecordBatchStream>, EngineError> {
    carried_out(engine, text).await.map_err(|error| placed(error, text))
}

/// The error, where a name of it stands in the statement, if it has no place.
fn placed(error: EngineError, text: &str) -> EngineError {
    match error {
        // What is said of a value names no part of the statement.
        EngineError::Sql(mut inner) if inner.range.is_none() && !inner.message.contains("is not a value of type") => {
            let names: Vec<&str> = inner.message.split('`').skip(1).step_by(2).filter_map(|name| name.rsplit('.').next()).collect();
            inner.range = names.iter().rev().find_map(|name| sql::place_of(text, name));
            EngineError::Sql(inner)
        }
        other => other,
    }
}

async fn carried_out(engine: &LocalEngine, text: &str) -> Result<Option<SendableRecordBatchStream>, EngineError> {
    if let Some(command) = sql::parse_command(text).map_err(EngineError::Sql)? {
        return again(|| carry_out(engine, &command, text).boxed()).await;
    }
    let statement = match sql::parse_query(&engine.session(), text) {
        Ok(statement) => statement,
        // Whatever its body looks like.
        Err(_) if defines_macro(text) => return Err(unknown(text)),
        Err(error) => return Err(EngineError::Sql(error)),
    };
    let statement = match statement {
        Statement::Explain(_) => return catalog::query(engine, text, &[]).await.map(Some),
        Statement::Statement(statement) => *statement,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Err(unknown(text)),
    };
    if let ast::Statement::Query(_) = &statement {
        return catalog::query(engine, text, &[]).await.map(Some);
    }
    again(|| change(engine, &statement, text).map_ok(|()| None).boxed()).await
}

/// Runs a statement until it does not lose against another writer.
async fn again<'a, T>(statement: impl Fn() -> BoxFuture<'a, Result<T, EngineError>>) -> Result<T, EngineError> {
    let mut attempt = 1;
    loop {
        match statement().await {
            Err(EngineError::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

/// A statement that the SQL parser does not read.
async fn carry_out(engine: &LocalEngine, command: &Command, text: &str) -> Result<Option<SendableRecordBatchStream>, EngineError> {
    match command {
        Command::Merge(merge) => merge::run(engine, merge, text).await.map(|()| None),
        Command::Alter { table, if_exists, change } => alter::alter(engine, text, (table, *if_exists), change).await.map(|()| None),
        Command::Truncate(table) => maintain::truncate(engine, table).await,
        Command::CommentOnTable { table, text } => alter::comment_on_table(engine, table, text.as_deref()).await.map(|()| None),
        Command::CommentOnColumn { table, column, text } => alter::comment_on_column(engine, table, column, text.as_ref()).await.map(|()| None),
        Command::Describe { table, what } => describe::describe(engine, table, *what).await,
        Command::Show(shown) => describe::show(engine, shown).await,
        Command::Restore { table, to } => maintain::restore(engine, table, to).await,
        Command::Optimize { table, condition, zorder } => maintain::optimize(engine, text, (table, condition.as_ref(), zorder)).await,
        Command::CreateFunction(create) => create_function(engine, create, text).await.map(|()| None),
        Command::DropFunction { name, if_exists } => drop_function(engine, name, *if_exists).await.map(|()| None),
        Command::Vacuum { table, retain_hours, dry_run } => maintain::vacuum(engine, table, *retain_hours, *dry_run).await,
    }
}

/// A statement that has no rows.
async fn change(engine: &LocalEngine, statement: &ast::Statement, text: &str) -> Result<(), EngineError> {
    match statement {
        ast::Statement::CreateSchema { schema_name, if_not_exists, .. } => create_schema(engine, schema_name, *if_not_exists).await,
        ast::Statement::Drop { object_type, if_exists, names, cascade, .. } => {
            for name in names {
                if matches!(object_type, ObjectType::Table | ObjectType::View) && temporary::dropped(engine, name) {
                    continue;
                }
                match object_type {
                    ObjectType::Schema => drop_schema(engine, name, *if_exists, *cascade).await?,
                    ObjectType::Table => drop_relation(engine, name, *if_exists, RelationKind::Table).await?,
                    ObjectType::View => drop_relation(engine, name, *if_exists, RelationKind::View).await?,
                    _ => return Err(unknown(text)),
                }
            }
            Ok(())
        }
        ast::Statement::CreateTable(create) if create.temporary => temporary::create_table(engine, create, text).await,
        ast::Statement::CreateView(create) if create.temporary => temporary::create_view(engine, create, text).await,
        ast::Statement::CreateTable(create) => tables::create(engine, create, text).await,
        ast::Statement::CreateView(create) if !create.materialized => create_view(engine, create, text).await,
        ast::Statement::Insert(insert) => tables::insert(engine, insert, text).await,
        ast::Statement::Update(update) => rows::update(engine, update, text).await,
        ast::Statement::Delete(delete) => rows::delete(engine, delete, text).await,
        // Every statement is a transaction of its own; what dbt's hooks send around them changes nothing.
        ast::Statement::Commit { .. } | ast::Statement::StartTransaction { .. } => Ok(()),
        _ => Err(unknown(text)),
    }
}

fn defines_macro(text: &str) -> bool {
    let words: Vec<String> = text.split_whitespace().take(5).map(str::to_lowercase).collect();
    words.first().is_some_and(|word| word == "create") && words.iter().any(|word| word == "macro")
}

fn unknown(text: &str) -> EngineError {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_').to_lowercase());
    let mut words = words.filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let two = ["alter", "create", "drop", "show", "comment", "set"].contains(&first.as_str());
    let name = match words.next().filter(|_| two) {
        Some(second) => format!("{first} {second}"),
        None => first.clone(),
    };
    let start = text.to_lowercase().find(&first).unwrap_or(0);
    let error = SqlError::new(Code::NotAvailable, format!("`{name}` is not available yet")).range(start..start + first.len());
    EngineError::Sql(Box::new(error.help("docs/sql.md lists the statements that there are")))
}

/// Plans the query in a statement, for errors with their place in it, and gives its text and its number of columns.
async fn proved(engine: &LocalEngine, query: &ast::Query, text: &str) -> Result<(String, usize), EngineError> {
    let Some(range) = sql::embedded_query(text) else {
        let query = query.to_string();
        let bound = catalog::bind_session(engine, &query, &[]).await.map_err(without_place)?;
        return Ok((query, bound.plan.schema().fields().len()));
    };
    let mut whole = Composed::new(text);
    whole.piece(&range);
    let bound = catalog::bind_session(engine, whole.text(), &[]).await.map_err(|error| whole.locate(error))?;
    Ok((whole.text().to_owned(), bound.plan.schema().fields().len()))
}

/// What a name of a statement means in the target.
fn relation_name(engine: &LocalEngine, name: &ObjectName) -> Result<RelationName, EngineError> {
    let reference: TableReference = object_name_to_table_reference(name.clone(), false).map_err(|error| failure::query(error, ""))?;
    let scope = Scope { database: engine.options.database.clone(), schema: engine.options.schema.clone() };
    Ok(scope.name(&reference))
}

/// `schema` or `database.schema`.
fn schema_of(engine: &LocalEngine, name: &ObjectName) -> Result<(String, String), EngineError> {
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.clone()).collect();
    match parts.as_slice() {
        [schema] => Ok((engine.options.database.clone(), schema.clone())),
        [database, schema] => Ok((database.clone(), schema.clone())),
        _ => Err(invalid(format!("`{name}` is not a schema's name"), "write `schema` or `database.schema`")),
    }
}

/// An error about a place in the statement.
fn invalid_at(message: &str, place: &Piece, help: &str) -> EngineError {
    EngineError::Sql(Box::new(SqlError::new(Code::SqlInvalid, message).range(place.clone()).help(help)))
}

/// The error, at a place if it has none.
fn at(error: EngineError, place: &Piece) -> EngineError {
    match error {
        EngineError::Sql(mut inner) => {
            inner.range.get_or_insert_with(|| place.clone());
            EngineError::Sql(inner)
        }
        other => other,
    }
}

fn invalid(message: String, help: &str) -> EngineError {
    EngineError::Sql(Box::new(SqlError::new(Code::SqlInvalid, message).help(help)))
}

/// What stands under a name, without opening it.
async fn kind_of(engine: &LocalEngine, name: &RelationName) -> Result<Option<RelationKind>, EngineError> {
    if engine.views.get(name).await?.is_some() {
        return Ok(Some(RelationKind::View));
    }
    if engine.warehouse.folder(name).await?.has_log(name).await? {
        return Ok(Some(RelationKind::Table));
    }
    Ok(engine.files.get(name).map(|_| RelationKind::Files))
}

async fn existing(engine: &LocalEngine, name: &RelationName) -> Result<RelationKind, EngineError> {
    if let Some(kind) = kind_of(engine, name).await? {
        return Ok(kind);
    }
    let known = catalog::relations(engine).await.unwrap_or_default();
    let here = known.keys().filter(|known| known.schema.eq_ignore_ascii_case(&name.schema)).map(|known| known.identifier.as_str());
    let near = crate::base::nearest(&name.identifier, here);
    let mut error = SqlError::new(Code::UnknownTable, format!("there is no table `{}`", name.short()));
    error.help = near.map(|near| format!("did you mean `{}.{near}`?", name.schema));
    Err(EngineError::Sql(Box::new(error)))
}

async fn create_schema(engine: &LocalEngine, name: &ast::SchemaName, if_not_exists: bool) -> Result<(), EngineError> {
    let (ast::SchemaName::Simple(name) | ast::SchemaName::NamedAuthorization(name, _)) = name else {
        return Err(invalid("a schema needs a name".into(), "write it behind `create schema`"));
    };
    let (database, schema) = schema_of(engine, name)?;
    let created = engine.warehouse.create_schema(&database, &schema).await?;
    if created || if_not_exists {
        Ok(())
    } else {
        Err(invalid(format!("the schema `{schema}` exists already"), "write `create schema if not exists` where that is fine"))
    }
}

async fn drop_schema(engine: &LocalEngine, name: &ObjectName, if_exists: bool, cascade: bool) -> Result<(), EngineError> {
    let (database, schema) = schema_of(engine, name)?;
    let inside = |name: &RelationName| name.database.eq_ignore_ascii_case(&database) && name.schema.eq_ignore_ascii_case(&schema);
    let tables = engine.warehouse.tables_of(&database, &schema).await?;
    let views: Vec<_> = engine.views.recorded().await?.into_iter().map(|(name, _)| name).filter(inside).collect();
    if !cascade && let Some(first) = tables.first().or(views.first()) {
        let help = "write `cascade` behind the name to drop what it holds too";
        return Err(invalid(format!("the schema `{schema}` is not empty: it holds `{}`", first.identifier), help));
    }
    for view in &views {
        engine.views.remove(view).await?;
    }
    let dropped = engine.warehouse.drop_schema(&database, &schema).await?;
    if dropped || !views.is_empty() || if_exists {
        Ok(())
    } else {
        Err(invalid(format!("there is no schema `{schema}`"), "write `drop schema if exists` where that is fine"))
    }
}

async fn drop_relation(engine: &LocalEngine, name: &ObjectName, if_exists: bool, wanted: RelationKind) -> Result<(), EngineError> {
    let name = relation_name(engine, name)?;
    let word = |kind| match kind {
        RelationKind::Table => "table",
        RelationKind::View => "view",
        RelationKind::Files => "source of files",
    };
    match kind_of(engine, &name).await? {
        None if if_exists => Ok(()),
        None => existing(engine, &name).await.map(|_| ()),
        Some(kind) if kind == wanted => engine.execute(&Step::Drop(name)).await.map(|_| ()),
        Some(kind) => Err(invalid(
            format!("`{}` is a {}, not a {}", name.short(), word(kind), word(wanted)),
            &format!("drop it with `drop {}`", if kind == RelationKind::View { "view" } else { "table" }),
        )),
    }
}

async fn create_view(engine: &LocalEngine, create: &ast::CreateView, text: &str) -> Result<(), EngineError> {
    let relation = relation_name(engine, &create.name)?;
    match kind_of(engine, &relation).await? {
        Some(_) if create.if_not_exists => return Ok(()),
        Some(RelationKind::View) if create.or_replace => {}
        None => {}
        Some(_) => {
            return Err(invalid(format!("`{}` exists already", relation.short()), "write `create or replace view`, or drop it first"));
        }
    }
    proved(engine, &create.query, text).await?;
    let query = qualified(engine, &create.query)?;
    let sql = if create.columns.is_empty() {
        query
    } else {
        let columns: Vec<_> = create.columns.iter().map(|column| column.name.to_string()).collect();
        format!("select * from ({query}) as \"{}\" ({})", relation.identifier.replace('"', "\"\""), columns.join(", "))
    };
    catalog::bind_session(engine, &sql, &[]).await.map_err(without_place)?;
    let write = ViewWrite { relation, sql, proved: true, description: create.comment.clone(), label: tables::label() };
    engine.execute(&Step::PutView(write)).await.map(|_: Outcome| ())
}

async fn create_function(engine: &LocalEngine, create: &CreateFunction, text: &str) -> Result<(), EngineError> {
    let relation = relation_name(engine, &create.name.name)?;
    let sql = sql::statement_text(text).to_owned();
    let write = ViewWrite { relation, sql, proved: true, description: None, label: tables::label() };
    functions::create(engine, (create, text), write).await
}

async fn drop_function(engine: &LocalEngine, named: &Named, if_exists: bool) -> Result<(), EngineError> {
    let name = relation_name(engine, &named.name)?;
    if functions::remove(engine, &name).await? || if_exists {
        return Ok(());
    }
    Err(invalid_at(&format!("there is no function `{}`", name.short()), &named.range, "write `drop function if exists` where that is fine"))
}

/// A query with its names of tables spelt out, so that it means the same wherever it is read from.
fn qualified(engine: &LocalEngine, query: &ast::Query) -> Result<String, EngineError> {
    let statement = Statement::Statement(Box::new(ast::Statement::Query(Box::new(query.clone()))));
    let (tables, ctes) = resolve_table_references(&statement, false).map_err(|error| failure::query(error, ""))?;
    let lower = |references: &[TableReference]| references.iter().map(|reference| reference.to_string().to_lowercase()).collect::<BTreeSet<_>>();
    // Files have no name that could be spelt out.
    let tables: Vec<TableReference> = tables.into_iter().filter(|table| sql::file_call(table.table(), engine.options.semantics).is_none()).collect();
    let (tables, ctes) = (lower(&tables), lower(&ctes));
    let mut query = query.clone();
    let _ = ast::visit_relations_mut(&mut query, |name| {
        let written = object_name_to_table_reference(name.clone(), false).map(|reference| reference.to_string().to_lowercase());
        if let (Ok(full), true) = (relation_name(engine, name), written.is_ok_and(|written| tables.contains(&written) && !ctes.contains(&written))) {
            let parts = [full.database, full.schema, full.identifier];
            *name = ObjectName::from(parts.into_iter().map(|part| ast::Ident::with_quote('"', part)).collect::<Vec<_>>());
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(query.to_string())
}

#[cfg(test)]
mod tests;
