//! What a contract says of a table that is there: conditions and NOT NULL that come and go.
//!
//! What goes is gone before rows are written, so are conditions that come: new rows are held against them on their way. The
//! rows as they will be are looked at last, and only then a column stops taking NULL.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::array::AsArray as _;
use deltalake::arrow::datatypes::{Int64Type, Schema, SchemaRef};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::kernel::{Action, Metadata, MetadataExt as _};
use deltalake::{DeltaTable, DeltaTableError};

use super::super::super::{BrokenRule, CheckRule, EngineError, TableWrite, Violation};
use super::super::{failure, rules};
use super::Change;
use super::layout::{Layout, changed, same};
use crate::sql::{self, quote_ident};

impl Layout {
    /// The layout with what the contract says of the table's rows.
    ///
    /// # Errors
    /// If the table's metadata can't be read.
    pub(super) fn ruled(mut self, base: &DeltaTable, write: &TableWrite, state: &SessionState) -> Result<Self, EngineError> {
        if write.checks.is_none() {
            return Ok(self);
        }
        let failed = |error: DeltaTableError| failure::writing(error, &write.relation);
        let snapshot = base.snapshot().map_err(failed)?;
        let present = snapshot.metadata().configuration();
        let promised: Vec<&str> = write.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).collect();
        let promises = |name: &str| promised.iter().any(|column| same(column, name));
        let dropped = rules::set_by_contract(present).not_null;
        let dropped = |name: &str| dropped.iter().any(|column| same(column, name)) && !promises(name);
        let relaxed =
            self.after.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(field.is_nullable() || dropped(field.name()))));
        self.after = Arc::new(Schema::new(relaxed.collect::<Vec<_>>()));
        self.tightened = self.after.fields().iter().filter(|field| field.is_nullable() && promises(field.name())).map(|f| f.name().clone()).collect();
        let settled = rules::settled(present.clone(), write, &self.after, state)?;
        let known = rules::conditions(present);
        self.added = rules::conditions(&settled).into_iter().filter(|rule| !known.contains(rule)).collect();
        let stays = settled == *present && self.metadata.is_none() && nullability(&self.before) == nullability(&self.after);
        if !stays {
            let metadata = changed(base, &self.after).map_err(failed)?;
            self.metadata = Some(configured(metadata, settled).map_err(failed)?);
        }
        Ok(self)
    }
}

/// Which columns take NULL.
fn nullability(schema: &SchemaRef) -> Vec<bool> {
    schema.fields().iter().map(|field| field.is_nullable()).collect()
}

/// The metadata with these settings and no others.
fn configured(metadata: Metadata, settings: HashMap<String, String>) -> Result<Metadata, DeltaTableError> {
    let gone: Vec<String> = metadata.configuration().keys().filter(|key| !settings.contains_key(*key)).cloned().collect();
    let metadata = gone.iter().try_fold(metadata, |metadata, key| metadata.remove_config_key(key))?;
    Ok(settings.into_iter().try_fold(metadata, |metadata, (key, value)| metadata.add_config_key(key, value))?)
}

impl Change<'_> {
    /// Holds the rows as they will be against what is new in the contract, and ends with the columns that take no NULL.
    ///
    /// # Errors
    /// If a row breaks a rule.
    pub(super) async fn settle(&mut self) -> Result<(), EngineError> {
        let nulls = self.layout.tightened.iter().map(|column| BrokenRule::NotNull { column: column.clone() });
        let rules: Vec<BrokenRule> = nulls.chain(self.layout.added.iter().cloned().map(BrokenRule::Check)).collect();
        for rule in rules {
            self.hold(rule).await?;
        }
        if self.layout.tightened.is_empty() {
            return Ok(());
        }
        let fields = self.after().fields().iter().map(|field| {
            let tight = self.layout.tightened.contains(field.name());
            Arc::new(field.as_ref().clone().with_nullable(field.is_nullable() && !tight))
        });
        let tight: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let failed = |error: DeltaTableError| failure::writing(error, &self.write.relation);
        let metadata = changed(self.base, &tight).map_err(failed)?;
        let settings = match &self.layout.metadata {
            Some(metadata) => metadata.configuration().clone(),
            None => metadata.configuration().clone(),
        };
        let metadata = configured(metadata, settings).map_err(failed)?;
        self.put_commit(&[Action::Metadata(metadata)]).await
    }

    async fn hold(&self, rule: BrokenRule) -> Result<(), EngineError> {
        let holds = match &rule {
            BrokenRule::NotNull { column } => format!("{} is not null", quote_ident(column)),
            BrokenRule::Check(CheckRule { expression, .. }) => {
                sql::canonical(expression, self.after().fields().iter().map(|field| field.name().as_str()))
            }
        };
        let table = self.staged().await?;
        table.update_datafusion_session(&self.session).map_err(|error| failure::reading(&error, &self.write.relation))?;
        let rows = table.table_provider().await.map_err(|error| failure::query(error, ""))?;
        let tables = [("target", rows)];
        let count = self.batches(&format!("select count(*) from target where ({holds}\n) is not true"), &tables).await?;
        let count = count.iter().find(|batch| batch.num_rows() == 1);
        let count = count.and_then(|batch| batch.column(0).as_primitive_opt::<Int64Type>().map(|column| column.value(0))).unwrap_or(0);
        if count == 0 {
            return Ok(());
        }
        let some = self.batches(&format!("select * from target where ({holds}\n) is not true limit {}", rules::SHOWN_ROWS), &tables).await?;
        let shown = some.iter().flat_map(rules::rows_as_text).collect();
        let relation = self.write.relation.short();
        Err(EngineError::Violated(Box::new(Violation { relation, rule, rows: usize::try_from(count).unwrap_or(usize::MAX), shown })))
    }
}
