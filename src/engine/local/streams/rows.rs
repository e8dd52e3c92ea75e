//! Rows that came to an append-only Delta table since a version, by the files that its log adds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::datasource::empty::EmptyTable;
use deltalake::datafusion::datasource::{ViewTable, provider_as_source};
use deltalake::datafusion::logical_expr::LogicalPlanBuilder;
use deltalake::kernel::Action;
use deltalake::logstore::get_actions;

use super::super::super::{EngineError, StreamKind};
use super::super::{LocalEngine, failure};
use super::marks::Mark;
use super::{Part, Place, unreadable};
use crate::manifest::RelationName;

/// What the source got since the version that the table has read up to.
pub(super) async fn new_rows(place: &Place<'_>) -> Result<(Part, Option<Mark>), EngineError> {
    let source = &place.read.source;
    let Some(table) = place.engine.warehouse.open_table(source).await? else {
        return Err(unreadable(
            format!("`{}` is no Delta table, so it can't be read by `new_rows`", source.short()),
            "use `read: new_files` for a source of files",
        ));
    };
    let newest = table.version().unwrap_or(0);
    let last = place.last().await?;
    let files = match (place.base, last) {
        (Some(_), None) if !place.anew => return Err(place.unknown()),
        (Some(_), Some(last)) if !place.anew => added(&table, source, u64::try_from(last).unwrap_or(0), newest).await?,
        (Some(_) | None, _) => BTreeMap::from([(newest, present(&table, source)?)]),
    };
    let mark = Mark {
        kind: StreamKind::NewRows,
        source: place.source(),
        table: String::new(),
        batch: i64::try_from(newest).unwrap_or(i64::MAX),
        first: 0,
        files: Vec::new(),
        columns: Vec::new(),
        version: 0,
    };
    let begins = place.base.is_none() || place.anew;
    let any = begins || files.values().any(|files| !files.is_empty());
    Ok((Part::Versions(files), any.then_some(mark)))
}

fn present(table: &DeltaTable, source: &RelationName) -> Result<BTreeSet<String>, EngineError> {
    let state = table.snapshot().map_err(|error| failure::reading(&error, source))?;
    Ok(state.log_data().iter().map(|file| file.path().into_owned()).collect())
}

/// The files that the versions behind `last` add, by the version in which they are read: the newest, or for one that was
/// rewritten in the meantime the one that added it.
async fn added(table: &DeltaTable, source: &RelationName, last: u64, newest: u64) -> Result<BTreeMap<u64, BTreeSet<String>>, EngineError> {
    let failed = |error| failure::reading(&error, source);
    if newest < last {
        return Err(not_append_only(source, "it was replaced by another table"));
    }
    let there = present(table, source)?;
    let mut found: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for version in last + 1..=newest {
        let entry = table.log_store().read_commit_entry(version).await.map_err(failed)?;
        let entry = entry.ok_or_else(|| not_append_only(source, &format!("the log entry of its version {version} is gone")))?;
        for action in get_actions(version, &entry).map_err(failed)? {
            match action {
                Action::Add(add) if add.data_change => {
                    let at = if there.contains(&add.path) { newest } else { version };
                    found.entry(at).or_default().insert(add.path);
                }
                Action::Remove(remove) if remove.data_change => {
                    return Err(not_append_only(source, &format!("its version {version} changes or deletes rows")));
                }
                Action::Add(_)
                | Action::Remove(_)
                | Action::Metadata(_)
                | Action::Protocol(_)
                | Action::Cdc(_)
                | Action::Txn(_)
                | Action::CommitInfo(_)
                | Action::DomainMetadata(_) => {}
            }
        }
    }
    Ok(found)
}

/// The rows of some files of a table.
///
/// # Errors
/// If the table, or an older version of it, can't be read.
pub(in super::super) async fn table_part(
    engine: &LocalEngine,
    name: &RelationName,
    table: &DeltaTable,
    files: &BTreeMap<u64, BTreeSet<String>>,
) -> Result<Arc<dyn TableProvider>, EngineError> {
    let failed = |error: DataFusionError| failure::query(error, "");
    let mut parts: Option<LogicalPlanBuilder> = None;
    for (version, files) in files {
        let mut at = table.clone();
        if table.version() != Some(*version) {
            at.load_version(*version).await.map_err(|error| failure::reading(&error, name))?;
        }
        at.update_datafusion_session(&engine.session()).map_err(|error| failure::reading(&error, name))?;
        let provider = at.table_provider().with_file_paths(files.iter().cloned()).await.map_err(failed)?;
        let part = LogicalPlanBuilder::scan("part", provider_as_source(provider), None).map_err(failed)?;
        parts = Some(match parts {
            None => part,
            Some(before) => before.union_by_name(part.build().map_err(failed)?).map_err(failed)?,
        });
    }
    let Some(parts) = parts else {
        let schema = table.snapshot().map_err(|error| failure::reading(&error, name))?.snapshot().arrow_schema();
        return Ok(Arc::new(EmptyTable::new(schema)));
    };
    Ok(Arc::new(ViewTable::new(parts.build().map_err(failed)?, None)))
}

fn not_append_only(source: &RelationName, why: &str) -> EngineError {
    unreadable(
        format!("`{}` can't be read by `new_rows`: {why}", source.short()),
        "build the model anew with --full-refresh, or read the source without `read: new_rows`",
    )
}
