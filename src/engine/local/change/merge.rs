//! Merge and delete+insert: new rows meet old ones by key.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::arrow::array::{AsArray as _, RecordBatch};
use deltalake::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::datafusion::catalog::TableProvider;

use super::super::super::{EngineError, Matched, Merge, NotMatchedBySource, UpdateColumns};
use super::super::failure::{self, without_place};
use super::super::write::Rows;
use super::changes::ChangedRows;
use super::layout::{column, same};
use super::rows::{Source, filtered, invalid, of};
use super::split::{STAYS, Split};
use super::spool::{Spool, Writer};
use super::{Change, FILE, NUMBER};
use crate::manifest::IncrementalConfig;
use crate::sql::{comparable, quote_ident, type_name};

/// What becomes of an old row that does not stay as it is.
const UPDATED: i64 = 1;
const DELETED: i64 = 2;
/// Updated although no new row matches it.
const UPDATED_ALONE: i64 = 3;

/// The name of the action's column.
const ACTION: &str = "__alluvium_action";

/// How many repeated keys a message names.
const NAMED_KEYS: usize = 5;

/// A merge whose columns and conditions are known to be there.
struct Checked {
    target: String,
    source: String,
    keys: Vec<String>,
    /// When an old and a new row match.
    on: String,
    /// The action on an old row with a match, and without one.
    matched: String,
    alone: Option<String>,
    insert: Option<String>,
    /// Columns that an update takes from the new row.
    taken: Vec<String>,
    /// Column and SQL of updates without a match.
    assigned: Vec<(String, String)>,
    /// Whether an updated row needs the old one's columns.
    partly: bool,
}

impl Change<'_> {
    pub(super) async fn merge(&mut self, rows: Rows, merge: &Merge) -> Result<(), EngineError> {
        let keys = self.keys(&merge.keys, &rows.plan.schema())?;
        let source = self.source(rows, &merge.unstored).await?;
        let checked = self.check(merge, keys, &source)?;
        self.distinct(&source, &checked.keys).await?;
        if source.spool.rows() == 0 && checked.alone.is_none() && !self.layout.rewrite {
            return Ok(());
        }
        let found = self.found(&checked, &source).await?;
        let mut touched = self.touched(&checked, &source, &found).await?;
        if self.layout.rewrite {
            touched = self.all_files().await?;
        }
        let aside = self.rewrite(&checked, &source, &touched).await?;
        self.write_changed(&checked, &source, &found, &aside).await
    }

    /// Deletes by key, then inserts everything.
    pub(super) async fn delete_insert(&mut self, rows: Rows, keys: &[String], predicates: &[String]) -> Result<(), EngineError> {
        let keys = self.keys(keys, &rows.plan.schema())?;
        let source = self.source(rows, &[]).await?;
        if source.spool.rows() == 0 && !self.layout.rewrite {
            return Ok(());
        }
        let names: Vec<String> = keys.iter().map(|key| quote_ident(key)).collect();
        let number = quote_ident(NUMBER);
        let text = format!("select {0}, cast(min({number}) as bigint) as {number} from source group by {0}", names.join(", "));
        let distinct = self.collect(&text, &[("source", provider(&source.spool)?)]).await?;
        let merge = Merge {
            keys: keys.clone(),
            target_alias: IncrementalConfig::TARGET_ALIAS.into(),
            source_alias: IncrementalConfig::SOURCE_ALIAS.into(),
            predicates: predicates.to_vec(),
            matched: None,
            not_matched: None,
            not_matched_by_source: None,
            unstored: Vec::new(),
        };
        let mut checked = self.check(&merge, keys, &source)?;
        checked.matched = DELETED.to_string();
        let by_key = Source { spool: distinct, given: source.given.clone() };
        let found = self.found(&checked, &by_key).await?;
        let mut touched = self.touched(&checked, &by_key, &found).await?;
        if self.layout.rewrite {
            touched = self.all_files().await?;
        }
        let aside = self.rewrite(&checked, &by_key, &touched).await?;
        checked.insert = Some("true".into());
        let nothing = Writer::new(Arc::clone(found.schema()), &self.engine.runtime).finish();
        self.write_changed(&checked, &source, &nothing, &aside).await
    }

    /// The key columns as the table spells them.
    fn keys(&self, wanted: &[String], query: &SchemaRef) -> Result<Vec<String>, EngineError> {
        let relation = self.write.relation.short();
        let mut keys = Vec::new();
        for key in wanted {
            let new = column(query, key, "unique_key", "the query")?;
            let old = column(&self.layout.before, key, "unique_key", &format!("the table `{relation}`"))?;
            if !comparable(old.data_type(), new.data_type()) {
                let message = format!(
                    "the key `{key}` of `{relation}` is {} in the table and {} in the query",
                    type_name(old.data_type()),
                    type_name(new.data_type())
                );
                return Err(invalid(message, "cast it to the table's type, or build the table anew with --full-refresh"));
            }
            keys.push(old.name().clone());
        }
        Ok(keys)
    }

    fn check(&self, merge: &Merge, keys: Vec<String>, source: &Source) -> Result<Checked, EngineError> {
        let (target, new) = (merge.target_alias.clone(), merge.source_alias.clone());
        let both = [(target.as_str(), &self.layout.before), (new.as_str(), source.spool.schema())];
        let mut on: Vec<String> = keys.iter().map(|key| format!("({} is not distinct from {})", of(&new, key), of(&target, key))).collect();
        for predicate in &merge.predicates {
            on.push(self.condition("incremental_predicates", predicate, &both)?);
        }
        let taken = self.taken(merge.matched.as_ref().map(|matched| &matched.update), &source.given)?;
        let differs = self.differs(&target, &new, &taken);
        let matched = match &merge.matched {
            None => STAYS.to_string(),
            Some(Matched { condition: None, .. }) => format!("case when {differs} then {UPDATED} else {STAYS} end"),
            Some(Matched { condition: Some(condition), .. }) => {
                format!("case when {} and {differs} then {UPDATED} else {STAYS} end", self.condition("matched_condition", condition, &both)?)
            }
        };
        let insert = match &merge.not_matched {
            None => None,
            Some(insert) => Some(match &insert.condition {
                None => "true".to_owned(),
                Some(condition) => self.condition("not_matched_condition", condition, &both[1..])?,
            }),
        };
        let (alone, assigned) = self.alone(merge.not_matched_by_source.as_ref(), &target, &both[..1])?;
        let partly = taken.len() < self.after().fields().len();
        Ok(Checked { on: on.join(" and "), target, source: new, keys, matched, alone, insert, taken, assigned, partly })
    }

    /// Whether an update would change anything about an old row. Maps can't be compared: they count as changed.
    fn differs(&self, target: &str, new: &str, taken: &[String]) -> String {
        let mut compared = Vec::new();
        for name in taken {
            let before = self.layout.before.fields().iter().find(|field| same(field.name(), name));
            match before {
                Some(field) if has_map(field.data_type()) => return "true".into(),
                Some(field) => compared.push(format!("{} is distinct from {}", of(new, name), of(target, field.name()))),
                None => compared.push(format!("{} is not null", of(new, name))),
            }
        }
        if compared.is_empty() { "false".into() } else { format!("(({}))", compared.join(") or (")) }
    }

    fn taken(&self, update: Option<&UpdateColumns>, given: &[String]) -> Result<Vec<String>, EngineError> {
        let table = format!("the table `{}`", self.write.relation.short());
        let named = |names: &[String], option: &str| {
            names.iter().map(|name| column(self.after(), name, option, &table).map(|field| field.name().clone())).collect::<Result<Vec<_>, _>>()
        };
        Ok(match update {
            None | Some(UpdateColumns::All) => given.to_vec(),
            Some(UpdateColumns::Only(names)) => {
                let names = named(names, "merge_update_columns")?;
                given.iter().filter(|name| names.contains(name)).cloned().collect()
            }
            Some(UpdateColumns::Except(names)) => {
                let names = named(names, "merge_exclude_columns")?;
                given.iter().filter(|name| !names.contains(name)).cloned().collect()
            }
        })
    }

    /// The action on old rows without a match, and the columns it sets.
    #[expect(clippy::type_complexity, reason = "two parts of one thing, taken apart at once")]
    fn alone(
        &self,
        action: Option<&NotMatchedBySource>,
        alias: &str,
        target: &[(&str, &SchemaRef)],
    ) -> Result<(Option<String>, Vec<(String, String)>), EngineError> {
        let Some(action) = action else { return Ok((None, Vec::new())) };
        let table = format!("the table `{}`", self.write.relation.short());
        let mut assigned = Vec::new();
        for (name, value) in action.update.iter().flatten() {
            let name = column(self.after(), name, "not_matched_by_source_action", &table)?.name().clone();
            assigned.push((name, self.condition("not_matched_by_source_action", value, target)?));
        }
        let done = if action.update.is_some() { UPDATED_ALONE } else { DELETED };
        let mut holds: Vec<String> = Vec::new();
        if let Some(condition) = &action.condition {
            holds.push(self.condition("not_matched_by_source_condition", condition, target)?);
        }
        if action.update.is_some() {
            holds.push(self.reassigns(alias, &assigned));
        }
        let text = if holds.is_empty() { done.to_string() } else { format!("case when {} then {done} else {STAYS} end", holds.join(" and ")) };
        Ok((Some(text), assigned))
    }

    /// Whether an update by assignments would change anything about an old row.
    fn reassigns(&self, alias: &str, assigned: &[(String, String)]) -> String {
        let mut compared = Vec::new();
        for (name, value) in assigned {
            match self.layout.before.fields().iter().find(|field| same(field.name(), name)) {
                Some(field) if has_map(field.data_type()) => return "true".into(),
                Some(field) => compared.push(format!("{value} is distinct from {}", of(alias, field.name()))),
                None => compared.push(format!("{value} is not null")),
            }
        }
        format!("(({}))", compared.join(") or ("))
    }

    /// Refuses several new rows with one key.
    async fn distinct(&self, source: &Source, keys: &[String]) -> Result<(), EngineError> {
        let names: Vec<String> = keys.iter().map(|key| quote_ident(key)).collect();
        let names = names.join(", ");
        let text = format!("select {names}, count(*) from source group by {names} having count(*) > 1 order by {names} limit {NAMED_KEYS}");
        let repeated = self.batches(&text, &[("source", provider(&source.spool)?)]).await?;
        if repeated.iter().all(|batch| batch.num_rows() == 0) { Ok(()) } else { Err(self.repeated(keys, &repeated)) }
    }

    fn repeated(&self, keys: &[String], batches: &[RecordBatch]) -> EngineError {
        let mut shown = Vec::new();
        let format = FormatOptions::default().with_null("NULL");
        for batch in batches {
            for row in 0..batch.num_rows() {
                let value = |at: usize| {
                    let text = ArrayFormatter::try_new(batch.column(at), &format).map(|shown| shown.value(row).to_string());
                    text.unwrap_or_default()
                };
                let key: Vec<String> = (0..keys.len()).map(value).collect();
                shown.push(format!("({}) {} times", key.join(", "), value(keys.len())));
            }
        }
        let message = format!("the query of `{}` yields rows with the same key ({})", self.write.relation.short(), keys.join(", "));
        let mut error = crate::sql::SqlError::new(crate::base::Code::DuplicateKey, message)
            .help("make the key unique, or say with `dedupe: {order_by: ...}` which row is to stay");
        error.notes.push(format!("for example {}", shown.join(", ")));
        EngineError::Sql(Box::new(error))
    }

    /// The pairs that match: file, number of the new row, action.
    async fn found(&self, checked: &Checked, source: &Source) -> Result<Arc<Spool>, EngineError> {
        let range = self.key_range(&source.spool, &checked.keys).await?;
        let target = filtered(self.target(None).await?, range).map_err(|error| failure::query(error, ""))?;
        let (old, new) = (quote_ident(&checked.target), quote_ident(&checked.source));
        let text = format!(
            "select cast({old}.{file} as varchar) as {file}, {new}.{number} as {number}, cast({} as bigint) as {action} from source as {new} join target as {old} on {}",
            checked.matched,
            checked.on,
            file = quote_ident(FILE),
            number = quote_ident(NUMBER),
            action = quote_ident(ACTION),
        );
        self.collect(&text, &[("source", provider(&source.spool)?), ("target", target)]).await
    }

    /// The files that hold a row to change.
    async fn touched(&self, checked: &Checked, source: &Source, found: &Arc<Spool>) -> Result<BTreeSet<String>, EngineError> {
        let (file, action) = (quote_ident(FILE), quote_ident(ACTION));
        let matched = self.batches(&format!("select distinct {file} from found where {action} <> {STAYS}"), &[("found", provider(found)?)]).await?;
        let mut files = super::files::texts(&matched, 0);
        if let Some(alone) = &checked.alone {
            let (old, new) = (quote_ident(&checked.target), quote_ident(&checked.source));
            let text = format!(
                "select distinct {old}.{file} from source as {new} right anti join target as {old} on {} where ({alone}) <> {STAYS}",
                checked.on
            );
            let tables = [("source", provider(&source.spool)?), ("target", self.target(None).await?)];
            files.extend(super::files::texts(&self.batches(&text, &tables).await?, 0));
        }
        Ok(files)
    }

    /// Writes the touched files anew without the rows that change. Those are kept aside.
    async fn rewrite(&mut self, checked: &Checked, source: &Source, touched: &BTreeSet<String>) -> Result<Arc<Spool>, EngineError> {
        let (old, new) = (quote_ident(&checked.target), quote_ident(&checked.source));
        let number = quote_ident(NUMBER);
        let matched = format!("{new}.{number} is not null");
        let action = match &checked.alone {
            None => format!("case when {matched} then {} else {STAYS} end", checked.matched),
            Some(alone) => format!("case when {matched} then {} else {alone} end", checked.matched),
        };
        let text = format!(
            "select {}, {new}.{number} as {number}, cast({action} as bigint) as {} from source as {new} right join target as {old} on {}",
            self.old_columns(&checked.target),
            quote_ident(ACTION),
            checked.on
        );
        let tables = [("source", provider(&source.spool)?), ("target", self.target(Some(touched)).await?)];
        let plan = self.plan(&text, &tables).await?;
        let width = self.after().fields().len();
        let whole = self.has_change_feed() || checked.partly || !checked.assigned.is_empty();
        let kept: Vec<usize> = if whole { (0..width + 2).collect() } else { vec![width, width + 1] };
        let schema = plan.schema().project(&kept).map_err(|error| failure::query(error.into(), ""))?;
        let writer = Arc::new(Writer::new(Arc::new(schema), &self.engine.runtime));
        if !touched.is_empty() {
            let split = Split::new(plan, width, Arc::new(kept), Arc::clone(&writer)).map_err(|error| failure::query(error, ""))?;
            self.remove(touched).await?;
            let copied = self.pour(Arc::new(split)).await.map_err(without_place)?;
            self.metrics.insert("numTargetRowsCopied", copied);
        }
        self.metrics.insert("numTargetFilesRemoved", touched.len() as u64);
        Ok(writer.finish())
    }

    /// The table's columns as they were, by their names as they will be.
    pub(super) fn old_columns(&self, alias: &str) -> String {
        let columns = self.after().fields().iter().map(|field| {
            let known = self.layout.before.fields().iter().find(|known| same(known.name(), field.name()));
            let value = known.map_or_else(|| "null".to_owned(), |known| of(alias, known.name()));
            format!("{value} as {}", quote_ident(field.name()))
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Writes updated and new rows, and the change data.
    async fn write_changed(&mut self, checked: &Checked, source: &Source, found: &Arc<Spool>, aside: &Arc<Spool>) -> Result<(), EngineError> {
        let tables = [("source", provider(&source.spool)?), ("found", provider(found)?), ("aside", provider(aside)?)];
        let updated = format!(
            "select {} from aside join source on aside.{number} = source.{number} where aside.{action} = {UPDATED}",
            self.updated_columns(&checked.taken),
            number = quote_ident(NUMBER),
            action = quote_ident(ACTION)
        );
        let mut changed = ChangedRows::default();
        changed.add("update_postimage", updated);
        if !checked.assigned.is_empty() {
            let text = format!(
                "select {} from aside as {} where {} = {UPDATED_ALONE}",
                self.assigned_columns(checked),
                quote_ident(&checked.target),
                quote_ident(ACTION)
            );
            changed.add("update_postimage", text);
        }
        if let Some(condition) = &checked.insert {
            let new = quote_ident(&checked.source);
            let columns: Vec<String> = self.after().fields().iter().map(|field| of(&checked.source, field.name())).collect();
            let text = format!(
                "select {} from found right anti join source as {new} on found.{number} = {new}.{number} where {condition}",
                columns.join(", "),
                number = quote_ident(NUMBER)
            );
            changed.add("insert", text);
        }
        let columns: Vec<String> = self.after().fields().iter().map(|field| quote_ident(field.name())).collect();
        let columns = columns.join(", ");
        let action = quote_ident(ACTION);
        if self.has_change_feed() {
            changed.gone("update_preimage", format!("select {columns} from aside where {action} in ({UPDATED}, {UPDATED_ALONE})"));
            changed.gone("delete", format!("select {columns} from aside where {action} = {DELETED}"));
        }
        self.write_rows(&changed, &tables).await?;
        self.count(aside).await
    }

    fn updated_columns(&self, taken: &[String]) -> String {
        let columns = self.after().fields().iter().map(|field| {
            let name = quote_ident(field.name());
            let from = if taken.contains(field.name()) { "source" } else { "aside" };
            format!("{from}.{name} as {name}")
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    fn assigned_columns(&self, checked: &Checked) -> String {
        let columns = self.after().fields().iter().map(|field| {
            let assigned = checked.assigned.iter().find(|(name, _)| name == field.name());
            let value = assigned.map_or_else(|| of(&checked.target, field.name()), |(_, value)| value.clone());
            format!("{value} as {}", quote_ident(field.name()))
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Notes for the commit how many rows were updated and deleted.
    async fn count(&mut self, aside: &Arc<Spool>) -> Result<(), EngineError> {
        let action = quote_ident(ACTION);
        let text = format!("select {action}, count(*) from aside group by {action}");
        for batch in self.batches(&text, &[("aside", provider(aside)?)]).await? {
            for row in 0..batch.num_rows() {
                let number = |at: usize| batch.column(at).as_primitive_opt::<Int64Type>().map_or(0, |column| column.value(row));
                let name = if number(0) == DELETED { "numTargetRowsDeleted" } else { "numTargetRowsUpdated" };
                *self.metrics.entry(name).or_default() += u64::try_from(number(1)).unwrap_or(0);
            }
        }
        Ok(())
    }
}

pub(super) fn provider(spool: &Arc<Spool>) -> Result<Arc<dyn TableProvider>, EngineError> {
    spool.provider().map_err(|error| failure::query(error, ""))
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) | DataType::LargeList(item) => has_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}
