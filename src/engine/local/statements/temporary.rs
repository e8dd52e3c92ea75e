//! `create temporary view` and `create temporary table .. as`.

use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::datasource::MemTable;
use deltalake::datafusion::sql::sqlparser::ast::{self, ObjectName};
use futures::TryStreamExt as _;

use super::super::super::EngineError;
use super::super::failure::{self, without_place};
use super::super::temporary::Temporary;
use super::super::{LocalEngine, catalog};
use super::{invalid, proved, relation_name, tables};
use crate::sql::quote_ident;

/// The one part of a temporary name.
fn bare(name: &ObjectName) -> Result<&str, EngineError> {
    match name.0.as_slice() {
        [part] => part
            .as_ident()
            .map(|ident| ident.value.as_str())
            .ok_or_else(|| invalid(format!("`{name}` is not a name"), "write it in letters and digits, or in double quotes")),
        _ => Err(invalid(format!("the view `{name}` is temporary, and so has no schema"), "write its name alone")),
    }
}

fn free(engine: &LocalEngine, name: &str, or_replace: bool) -> Result<(), EngineError> {
    match engine.temporary.get(name) {
        Some(_) if !or_replace => Err(invalid(format!("`{name}` exists already"), "write `create or replace`, or use another name")),
        Some(_) | None => Ok(()),
    }
}

pub(super) async fn create_view(engine: &LocalEngine, create: &ast::CreateView, text: &str) -> Result<(), EngineError> {
    let name = bare(&create.name)?;
    if create.if_not_exists && engine.temporary.get(name).is_some() {
        return Ok(());
    }
    free(engine, name, create.or_replace)?;
    let (query, _) = proved(engine, &create.query, text).await?;
    let query = if create.columns.is_empty() {
        query
    } else {
        let columns: Vec<_> = create.columns.iter().map(|column| column.name.to_string()).collect();
        format!("select * from ({query}) as {} ({})", quote_ident(name), columns.join(", "))
    };
    catalog::bind_session(engine, &query, &[]).await.map_err(without_place)?;
    engine.temporary.put(name, Temporary::View(query));
    Ok(())
}

pub(super) async fn create_table(engine: &LocalEngine, create: &ast::CreateTable, text: &str) -> Result<(), EngineError> {
    if create.name.0.len() > 1 {
        let relation = relation_name(engine, &create.name)?;
        if engine.state_of(&relation).await?.is_some() && !engine.temporary.is_noted(&relation) && (create.if_not_exists || create.or_replace) {
            return if create.or_replace {
                let message = format!("`{}` is not temporary, and a temporary table would replace it", relation.short());
                Err(invalid(message, "give the temporary table a name of its own"))
            } else {
                Ok(())
            };
        }
        tables::create(engine, create, text).await?;
        engine.temporary.note(relation);
        return Ok(());
    }
    let name = bare(&create.name)?;
    if create.if_not_exists && engine.temporary.get(name).is_some() {
        return Ok(());
    }
    free(engine, name, create.or_replace)?;
    let query = tables::query_of(engine, create, text).await?;
    keep(engine, name, &query).await
}

/// Reads the rows of a query and keeps them under a name.
async fn keep(engine: &LocalEngine, name: &str, query: &str) -> Result<(), EngineError> {
    let rows = catalog::query(engine, query, &[]).await.map_err(without_place)?;
    let schema = rows.schema();
    let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(|error| without_place(failure::query(error, query)))?;
    let table = MemTable::try_new(schema, vec![batches]).map_err(|error| failure::query(error, query))?;
    engine.temporary.put(name, Temporary::Table(Arc::new(table)));
    Ok(())
}

/// The columns of a table that is kept in memory, if the name is one's.
pub(super) fn kept(engine: &LocalEngine, name: &ObjectName) -> Option<(String, SchemaRef)> {
    let name = bare(name).ok()?;
    match engine.temporary.get(name)? {
        Temporary::Table(rows) => Some((name.to_owned(), rows.schema())),
        Temporary::View(_) => None,
    }
}

/// Puts rows into a table that is kept in memory: `rows` has its columns in its types.
pub(super) async fn insert(engine: &LocalEngine, name: &str, rows: &str, overwrite: bool) -> Result<(), EngineError> {
    let before = if overwrite { String::new() } else { format!("select * from {} union all ", quote_ident(name)) };
    keep(engine, name, &format!("{before}{rows}")).await
}

/// Drops a temporary name if there is one.
pub(super) fn dropped(engine: &LocalEngine, name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| engine.temporary.remove(&ident.value)))
}
