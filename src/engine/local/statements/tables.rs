//! Tables made by statements, and rows put into them.

use std::sync::Arc;

use deltalake::arrow::datatypes::{Field, SchemaRef};
use deltalake::datafusion::sql::sqlparser::ast::{self, ColumnOption, TableConstraint};

use indexmap::IndexMap;

use super::super::super::{
    CommitLabel, Engine as _, EngineError, Outcome, RelationKind, SchemaChange, Step, TableColumn, TableInput, TableSettings, TableWrite, WriteMode,
};
use super::super::failure::without_place;
use super::super::write::{DEFAULT, query_text};
use super::super::{LocalEngine, catalog};
use super::{existing, invalid, kind_of, proved, relation_name, temporary, unknown};
use crate::base::{Code, nearest};
use crate::manifest::RelationName;
use crate::sql::{self, Semantics, SqlError, quote_ident, type_help, type_name};

/// What commits of statements say of where they came from.
pub(super) fn label() -> CommitLabel {
    CommitLabel { run_id: String::new(), node: "sql".into() }
}

/// `create table`, with columns or from a query.
pub(super) async fn create(engine: &LocalEngine, create: &ast::CreateTable, text: &str) -> Result<(), EngineError> {
    if create.external || create.like.is_some() || create.clone.is_some() {
        return Err(unknown(text));
    }
    let relation = relation_name(engine, &create.name)?;
    match kind_of(engine, &relation).await? {
        Some(_) if create.if_not_exists => return Ok(()),
        Some(RelationKind::Table) if create.or_replace => {}
        None => {}
        Some(_) => {
            let help = "write `create or replace table` or `create table if not exists`, or drop it first";
            return Err(invalid(format!("`{}` exists already", relation.short()), help));
        }
    }
    let columns = declared(create, engine.options.semantics)?;
    let column_defaults = declared_defaults(engine, create).await?;
    let sql = query_of(engine, create, text).await?;
    write(
        engine,
        TableWrite {
            relation,
            input: TableInput::Query(sql),
            mode: WriteMode::Overwrite,
            schema_change: SchemaChange::default(),
            dedupe: None,
            columns,
            // A table that takes the place of another is not bound by what a contract said of that one.
            checks: Some(Vec::new()),
            settings: TableSettings { column_defaults, ..TableSettings::default() },
            streams: Vec::new(),
            label: label(),
        },
        text,
    )
    .await
}

/// The query that has a new table's rows: none, where only columns are named.
pub(super) async fn query_of(engine: &LocalEngine, create: &ast::CreateTable, text: &str) -> Result<String, EngineError> {
    if let Some(query) = &create.query {
        return Ok(proved(engine, query, text).await?.0);
    }
    let columns = declared(create, engine.options.semantics)?;
    if columns.is_empty() {
        return Err(invalid(format!("the table `{}` has no columns", create.name), "name its columns and their types, or write `as select ...`"));
    }
    Ok(empty_rows(&columns))
}

fn declared(create: &ast::CreateTable, semantics: Semantics) -> Result<Vec<TableColumn>, EngineError> {
    let keys: Vec<String> = create
        .constraints
        .iter()
        .flat_map(|constraint| match constraint {
            TableConstraint::PrimaryKey(key) => {
                key.columns.iter().map(|column| column.column.expr.to_string().trim_matches(['"', '`']).to_lowercase()).collect()
            }
            _ => Vec::new(),
        })
        .collect();
    create
        .columns
        .iter()
        .map(|column| {
            let name = column.name.value.clone();
            let data_type = column.data_type.to_string();
            let parsed = semantics.parse_type(&data_type).map_err(|reason| {
                EngineError::Sql(Box::new(SqlError::new(Code::TypeUnknown, format!("column `{name}`: {reason}")).help(type_help(&data_type))))
            })?;
            let mut nullable = !keys.contains(&name.to_lowercase());
            for option in &column.options {
                match &option.option {
                    ColumnOption::NotNull | ColumnOption::PrimaryKey(_) => nullable = false,
                    ColumnOption::Null | ColumnOption::Comment(_) | ColumnOption::Unique(_) | ColumnOption::Default(_) => {}
                    other => {
                        return Err(EngineError::Unsupported {
                            message: format!("column `{name}`: `{other}` is not available yet"),
                            help: Some("leave it out".into()),
                        });
                    }
                }
            }
            Ok(TableColumn { name, data_type: type_name(&parsed), nullable })
        })
        .collect()
}

/// The defaults of columns, by name.
async fn declared_defaults(engine: &LocalEngine, create: &ast::CreateTable) -> Result<IndexMap<String, String>, EngineError> {
    let mut found = IndexMap::new();
    for column in &create.columns {
        for option in &column.options {
            let ColumnOption::Default(value) = &option.option else { continue };
            let value = value.to_string();
            catalog::bind_session(engine, &format!("select {value}"), &[]).await.map_err(without_place)?;
            if !value.eq_ignore_ascii_case("null") {
                found.insert(column.name.value.clone(), value);
            }
        }
    }
    Ok(found)
}

/// What a column is in a row that does not name it, as SQL.
pub(super) fn default_of(field: &Field) -> Option<String> {
    field.metadata().get(DEFAULT).map(|text| format!("({text})"))
}

/// A query with the columns and no rows.
fn empty_rows(columns: &[TableColumn]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| format!("cast(null as {}) as {}", column.data_type, quote_ident(&column.name))).collect();
    format!("select {} where false", columns.join(", "))
}

/// `insert into`: columns that are not named are their default or NULL, values are cast to the table's types.
pub(super) async fn insert(engine: &LocalEngine, insert: &ast::Insert, text: &str) -> Result<(), EngineError> {
    let (ast::TableObject::TableName(name), Some(source)) = (&insert.table, &insert.source) else { return Err(unknown(text)) };
    if insert.on.is_some() || insert.returning.is_some() || insert.replace_into || insert.partitioned.is_some() {
        return Err(unknown(text));
    }
    let relation = relation_name(engine, name)?;
    let kept = temporary::kept(engine, name);
    let schema = match &kept {
        Some((_, schema)) => Arc::clone(schema),
        None => table_schema(engine, &relation).await?,
    };
    let bare =
        |column: &ast::ObjectName| column.0.last().and_then(|part| part.as_ident()).map_or_else(|| column.to_string(), |part| part.value.clone());
    let named: Vec<String> = insert.columns.iter().map(bare).collect();
    let targets = targets(&schema, &named, &relation)?;
    let (source, width) = proved(engine, source, text).await?;
    let expected = targets.len();
    if named.is_empty() && width > expected || !named.is_empty() && width != expected {
        let help = "give a value for every column, or name the columns that the values are for";
        return Err(invalid(format!("`{}`: expected {expected} values, found {width}", relation.short()), help));
    }
    let sql = insert_query(&schema, targets.get(..width).unwrap_or(&targets), &source);
    if let Some((name, _)) = kept {
        return temporary::insert(engine, &name, &sql, insert.overwrite).await;
    }
    let mode = if insert.overwrite { WriteMode::Overwrite } else { WriteMode::Append };
    let columns = if insert.overwrite { columns_of(&schema) } else { Vec::new() };
    write(
        engine,
        TableWrite {
            relation,
            input: TableInput::Query(sql),
            mode,
            schema_change: SchemaChange::default(),
            dedupe: None,
            columns,
            checks: None,
            settings: TableSettings::default(),
            streams: Vec::new(),
            label: label(),
        },
        text,
    )
    .await
}

/// The columns of a table that can be written.
pub(super) async fn table_schema(engine: &LocalEngine, relation: &RelationName) -> Result<SchemaRef, EngineError> {
    match (existing(engine, relation).await?, engine.relation(relation).await?) {
        (RelationKind::Table, Some(state)) => Ok(state.schema),
        (RelationKind::View, _) => {
            Err(invalid(format!("`{}` is a view: its rows can't be changed", relation.short()), "change the tables that the view reads"))
        }
        (RelationKind::Files | RelationKind::Table, _) => Err(invalid(
            format!("the rows of `{}` can't be changed: they are in files", relation.short()),
            "build a table from them, and change that",
        )),
    }
}

pub(super) fn columns_of(schema: &SchemaRef) -> Vec<TableColumn> {
    schema
        .fields()
        .iter()
        .map(|field| TableColumn { name: field.name().clone(), data_type: type_name(field.data_type()), nullable: field.is_nullable() })
        .collect()
}

/// The positions of the named columns; of all where none is named.
fn targets(schema: &SchemaRef, named: &[String], relation: &RelationName) -> Result<Vec<usize>, EngineError> {
    if named.is_empty() {
        return Ok((0..schema.fields().len()).collect());
    }
    let mut found = Vec::new();
    for name in named {
        let at = position(schema, name, relation)?;
        if found.contains(&at) {
            return Err(invalid(format!("the column `{name}` is named twice"), "name every column once"));
        }
        found.push(at);
    }
    Ok(found)
}

pub(super) fn position(schema: &SchemaRef, name: &str, relation: &RelationName) -> Result<usize, EngineError> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    names().position(|known| known == name).or_else(|| names().position(|known| known.to_lowercase() == name.to_lowercase())).ok_or_else(|| {
        let mut error = SqlError::new(Code::UnknownColumn, format!("`{}` has no column `{name}`", relation.short()));
        error.help = nearest(name, names()).map(|near| format!("did you mean `{near}`?"));
        EngineError::Sql(Box::new(error))
    })
}

/// The source's columns, matched by position, in the table's order and types.
fn insert_query(schema: &SchemaRef, targets: &[usize], source: &str) -> String {
    let names: Vec<String> = (1..=targets.len()).map(|at| format!("__value_{at}")).collect();
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let value = match targets.iter().position(|target| *target == at) {
                Some(place) => names.get(place).cloned(),
                None => default_of(field),
            };
            format!("{} as {}", typed(value.as_deref().unwrap_or("null"), field), quote_ident(field.name()))
        })
        .collect();
    format!("select {} from ({source}) as __source ({})", columns.join(", "), names.join(", "))
}

/// A value in a column's type; nested types are left to the write.
pub(super) fn typed(value: &str, field: &Field) -> String {
    if field.data_type().is_nested() {
        value.to_owned()
    } else {
        format!("arrow_cast({value}, '{}')", field.data_type().to_string().replace('\'', "''"))
    }
}

/// A place in the query of a write as the place in the statement that the query stands in.
fn in_statement(error: EngineError, step: &Step, text: &str) -> EngineError {
    let (EngineError::Sql(mut inner), Step::StageTable(write)) = (error.clone(), step) else { return error };
    let query = query_text(&write.input);
    let place = sql::embedded_query(text).and_then(|place| Some((query.find(text.get(place.clone())?)?, place)));
    inner.range = inner.range.zip(place).and_then(|(range, (begin, place))| {
        let (start, end) = (range.start.checked_sub(begin)?, range.end.checked_sub(begin)?);
        (end <= place.len()).then_some(place.start + start..place.start + end)
    });
    EngineError::Sql(inner)
}

/// Stages and publishes; what was staged is dismissed where publishing fails.
pub(super) async fn write(engine: &LocalEngine, write: TableWrite, text: &str) -> Result<(), EngineError> {
    let step = Step::StageTable(write);
    let staged = engine.execute(&step).await;
    let Outcome::Staged { stage, .. } = staged.map_err(|error| in_statement(error, &step, text))? else {
        return Ok(());
    };
    match engine.execute(&Step::Publish(stage)).await {
        Ok(_) => Ok(()),
        Err(error) => {
            engine.execute(&Step::Dismiss(stage)).await?;
            Err(error)
        }
    }
}
