//! Which files of a table a change reads and replaces.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use deltalake::arrow::array::{AsArray as _, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::logical_expr::{Expr, lit};
use deltalake::kernel::Action;
use percent_encoding::percent_decode_str;
use url::Url;

use super::super::super::EngineError;
use super::super::failure;
use super::spool::Spool;
use super::{Change, FILE};
use crate::sql::quote_ident;

/// Up to so many values of a key are named one by one when files are chosen; beyond, only their range is.
const NAMED_VALUES: usize = 64;

impl Change<'_> {
    /// The old rows, each with the file it stands in; `files` leaves out all others.
    ///
    /// # Errors
    /// If the table can't be read.
    pub(super) async fn target(&self, files: Option<&BTreeSet<String>>) -> Result<Arc<dyn TableProvider>, EngineError> {
        let mut builder = self.base.table_provider().with_file_column(FILE);
        if let Some(files) = files {
            builder = builder.with_file_paths(files.iter().cloned());
        }
        builder.await.map_err(|error| failure::query(error, ""))
    }

    /// Every file of the table, as rows name them.
    pub(super) async fn all_files(&self) -> Result<BTreeSet<String>, EngineError> {
        let target = self.target(None).await?;
        let text = format!("select distinct {} from target", quote_ident(FILE));
        Ok(texts(&self.batches(&text, &[("target", target)]).await?, 0))
    }

    /// Stages the removal of files.
    ///
    /// # Errors
    /// If the table's log does not have them any more.
    pub(super) async fn remove(&mut self, files: &BTreeSet<String>) -> Result<(), EngineError> {
        if files.is_empty() {
            return Ok(());
        }
        let relation = &self.write.relation;
        let snapshot = self.base.snapshot().map_err(|error| failure::reading(&error, relation))?;
        let wanted: HashSet<String> = files.iter().map(|file| plain_path(file)).collect();
        let root = plain_path(self.folder.url.as_str());
        let root = root.trim_end_matches('/');
        let removed: Vec<Action> = snapshot
            .log_data()
            .iter()
            .filter(|file| {
                let path = file.path();
                let inside = format!("{root}/{}", decoded(&path));
                wanted.contains(&inside) || wanted.contains(&plain_path(&path))
            })
            .map(|file| Action::Remove(file.remove_action(true)))
            .collect();
        if removed.len() != wanted.len() {
            let reason = format!("{} of {} files to replace are not in its log", wanted.len() - removed.len(), wanted.len());
            return Err(EngineError::Damaged { relation: relation.short(), reason });
        }
        self.put_commit(&removed).await
    }

    /// What the keys of the new rows say about the old rows that can match; `None` if nothing.
    ///
    /// # Errors
    /// If the new rows can't be read again.
    pub(super) async fn key_range(&self, source: &Arc<Spool>, keys: &[String]) -> Result<Option<Expr>, EngineError> {
        let mut range: Option<Expr> = None;
        for key in keys {
            let field = source.schema().field_with_name(key).map_err(|error| failure::query(error.into(), ""))?;
            let Some(own) = self.key_values(source, key, field.data_type()).await? else { continue };
            range = Some(match range {
                None => own,
                Some(other) => other.and(own),
            });
        }
        Ok(range)
    }

    async fn key_values(&self, source: &Arc<Spool>, key: &str, data_type: &DataType) -> Result<Option<Expr>, EngineError> {
        if data_type.is_nested() || data_type.is_floating() {
            return Ok(None);
        }
        let tables = [("source", source.provider().map_err(|error| failure::query(error, ""))?)];
        let (name, column) = (quote_ident(key), Expr::Column(deltalake::datafusion::common::Column::from_name(key)));
        let few = self.batches(&format!("select distinct {name} from source limit {}", NAMED_VALUES + 1), &tables).await?;
        let values = scalars(&few)?;
        let has_null = values.iter().any(ScalarValue::is_null);
        if values.len() <= NAMED_VALUES {
            let named: Vec<Expr> = values.into_iter().filter(|value| !value.is_null()).map(lit).collect();
            let named = if named.is_empty() { None } else { Some(column.clone().in_list(named, false)) };
            return Ok(match (named, has_null) {
                (Some(named), true) => Some(named.or(column.is_null())),
                (Some(named), false) => Some(named),
                (None, true) => Some(column.is_null()),
                (None, false) => Some(lit(false)),
            });
        }
        let ends = self.batches(&format!("select min({name}), max({name}), count(*) - count({name}) from source"), &tables).await?;
        let Some(batch) = ends.iter().find(|batch| batch.num_rows() == 1) else { return Ok(None) };
        let end = |at: usize| ScalarValue::try_from_array(batch.column(at), 0).map_err(|error| failure::query(error, ""));
        let (least, most, nulls) = (end(0)?, end(1)?, end(2)?);
        let between = column.clone().between(lit(least), lit(most));
        let none = matches!(nulls, ScalarValue::Int64(Some(0)));
        Ok(Some(if none { between } else { between.or(column.is_null()) }))
    }
}

fn scalars(batches: &[RecordBatch]) -> Result<Vec<ScalarValue>, EngineError> {
    let mut values = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            values.push(ScalarValue::try_from_array(batch.column(0), row).map_err(|error| failure::query(error, ""))?);
        }
    }
    Ok(values)
}

/// The texts of a column, sorted.
pub(super) fn texts(batches: &[RecordBatch], column: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for batch in batches {
        if let Ok(array) = cast(batch.column(column), &DataType::Utf8) {
            found.extend(array.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
    }
    found
}

/// The path of a file without anything escaped: logs, URLs and delta-rs escape differently.
fn plain_path(file: &str) -> String {
    match Url::parse(file) {
        Ok(url) => decoded(url.path()),
        Err(_) => decoded(file),
    }
}

fn decoded(path: &str) -> String {
    let mut path = path.to_owned();
    loop {
        let once = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if once == path {
            return path;
        }
        path = once;
    }
}
