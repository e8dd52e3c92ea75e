//! Replacing what a condition names, and the partitions that new rows belong to.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use deltalake::arrow::array::AsArray as _;
use deltalake::arrow::datatypes::Int64Type;
use deltalake::kernel::Action;

use super::super::super::EngineError;
use super::super::failure::{self, without_place};
use super::super::write::{self, Rows};
use super::changes::ChangedRows;
use super::layout::same;
use super::merge::provider;
use super::rows::invalid;
use super::split::{STAYS, Split};
use super::spool::{Spool, Writer};
use super::{Change, FILE};
use crate::sql::quote_ident;

impl Change<'_> {
    /// New rows, for all of which `new` holds, in the place of those for which the condition holds.
    pub(super) async fn replace_where(&mut self, rows: Rows, condition: &str, new: &str) -> Result<(), EngineError> {
        let before = Arc::clone(&self.layout.before);
        let held = self.condition("replace_where", condition, &[("target", &before)])?;
        let source = self.source(rows, &[]).await?;
        self.inside(&source.spool, new).await?;
        let (mut whole, mut partly) = self.holds(&held).await?;
        if self.layout.rewrite {
            partly = self.all_files().await?;
            whole.clear();
        } else if !partly.is_empty() && self.has_change_feed() {
            // Change data tell of the whole commit or not at all.
            partly.append(&mut whole);
        }
        self.remove(&whole).await?;
        let aside = self.copy_others(&held, &partly).await?;
        let columns: Vec<String> = self.after().fields().iter().map(|field| quote_ident(field.name())).collect();
        let columns = columns.join(", ");
        let mut changed = ChangedRows::default();
        if source.spool.rows() > 0 {
            changed.add("insert", format!("select {columns} from source"));
        }
        if !partly.is_empty() && self.has_change_feed() {
            changed.gone("delete", format!("select {columns} from aside"));
        }
        self.metrics.insert("numTargetFilesRemoved", (whole.len() + partly.len()) as u64);
        self.write_rows(&changed, &[("source", provider(&source.spool)?), ("aside", provider(&aside)?)]).await
    }

    /// Refuses new rows for which the condition does not hold.
    async fn inside(&self, source: &Arc<Spool>, condition: &str) -> Result<(), EngineError> {
        let held = self.condition("replace_where", condition, &[("source", source.schema())])?;
        let text = format!("select count(*) from source where ({held}) is not true");
        let batches = self.batches(&text, &[("source", provider(source)?)]).await?;
        let outside = batches
            .iter()
            .find(|batch| batch.num_rows() == 1)
            .map_or(0, |batch| batch.column(0).as_primitive_opt::<Int64Type>().map_or(0, |column| column.value(0)));
        if outside == 0 {
            return Ok(());
        }
        let message =
            format!("{outside} of the {} rows for `{}` are outside of `replace_where`: {condition}", source.rows(), self.write.relation.short());
        Err(invalid(message, "filter the query by the same condition"))
    }

    /// The files in which the condition holds for every row, and for some.
    async fn holds(&self, held: &str) -> Result<(BTreeSet<String>, BTreeSet<String>), EngineError> {
        let file = quote_ident(FILE);
        let target = self.target(None).await?;
        let some = format!("select distinct {file} from target where {held}");
        let some = super::files::texts(&self.batches(&some, &[("target", target)]).await?, 0);
        if some.is_empty() {
            return Ok((BTreeSet::new(), BTreeSet::new()));
        }
        let target = self.target(Some(&some)).await?;
        let others = format!("select distinct {file} from target where ({held}) is not true");
        let others = super::files::texts(&self.batches(&others, &[("target", target)]).await?, 0);
        Ok((some.difference(&others).cloned().collect(), others))
    }

    /// Writes files anew with the rows for which the condition does not hold. The others are kept aside for change data.
    async fn copy_others(&mut self, held: &str, files: &BTreeSet<String>) -> Result<Arc<Spool>, EngineError> {
        let width = self.after().fields().len();
        let action = format!("case when {held} then {} else {STAYS} end", STAYS + 1);
        let text = format!("select {}, cast({action} as bigint) as \"__alluvium_action\" from target", self.old_columns("target"));
        let plan = self.plan(&text, &[("target", self.target(Some(files)).await?)]).await?;
        let kept: Vec<usize> = if self.has_change_feed() { (0..width).collect() } else { vec![width] };
        let schema = plan.schema().project(&kept).map_err(|error| failure::query(error.into(), ""))?;
        let writer = Arc::new(Writer::new(Arc::new(schema), &self.engine.runtime));
        if !files.is_empty() {
            let split = Split::new(plan, width, Arc::new(kept), Arc::clone(&writer)).map_err(|error| failure::query(error, ""))?;
            self.remove(files).await?;
            let copied = self.pour(Arc::new(split)).await.map_err(without_place)?;
            self.metrics.insert("numTargetRowsCopied", copied);
        }
        Ok(writer.finish())
    }

    /// New rows in the place of the partitions that they belong to.
    pub(super) async fn overwrite_partitions(&mut self, rows: Rows) -> Result<(), EngineError> {
        if self.layout.rewrite {
            return Err(invalid(
                format!("a column of `{}` goes or changes its type, and only some partitions are written anew", self.write.relation.short()),
                "build the table anew with --full-refresh",
            ));
        }
        let wanted = &self.write.settings.partition_by;
        if wanted.len() != self.partition_by.len() || wanted.iter().zip(&self.partition_by).any(|(wanted, known)| !same(wanted, known)) {
            let shown = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            let message = format!(
                "`{}` is to be partitioned by {}, and its table is partitioned by {}",
                self.write.relation.short(),
                shown(wanted),
                shown(&self.partition_by)
            );
            return Err(invalid(message, "build the table anew with --full-refresh"));
        }
        let before = self.version;
        self.append(rows).await?;
        let table = self.staged().await?;
        let staged = write::staged_actions(&table, Some(before), &self.write.relation).await?;
        let written: HashSet<Vec<(String, Option<String>)>> = staged
            .iter()
            .filter_map(|action| if let Action::Add(add) = action { Some(&add.partition_values) } else { None })
            .map(|values| sorted(values.iter()))
            .collect();
        let snapshot = self.base.snapshot().map_err(|error| failure::reading(&error, &self.write.relation))?;
        let removed: Vec<Action> = snapshot
            .log_data()
            .iter()
            .map(|file| file.remove_action(true))
            .filter(|file| written.contains(&sorted(file.partition_values.iter().flatten())))
            .map(Action::Remove)
            .collect();
        self.metrics.insert("numTargetFilesRemoved", removed.len() as u64);
        if removed.is_empty() { Ok(()) } else { self.put_commit(&removed).await }
    }
}

fn sorted<'a>(values: impl Iterator<Item = (&'a String, &'a Option<String>)>) -> Vec<(String, Option<String>)> {
    let mut values: Vec<_> = values.map(|(name, value)| (name.clone(), value.clone().filter(|value| !value.is_empty()))).collect();
    values.sort();
    values
}
