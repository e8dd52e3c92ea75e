//! Rules that a table has for its rows: conditions in its settings as Delta has them (`delta.constraints.<name>`), and which
//! of them come from a contract.
//!
//! What a contract sets it also takes away, so a setting of ours names it; rules that the table has from elsewhere stay.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use deltalake::arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, StringArray};
use deltalake::arrow::compute::{cast, filter_record_batch, is_null};
use deltalake::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::datafusion::common::{DFSchema, Result};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::physical_expr::PhysicalExpr;
use deltalake::kernel::Protocol;
use deltalake::table::state::DeltaTableState;
use serde_json::{Value as Json, json};

use super::super::{BrokenRule, CheckRule, EngineError, TableWrite, Violation};
use crate::sql;

const PREFIX: &str = "delta.constraints.";
/// The rules that a contract set, as JSON.
const CONTRACT: &str = "alluvium.contract";
/// How many rows a message shows, and how many columns of each.
pub(super) const SHOWN_ROWS: usize = 3;
const SHOWN_COLUMNS: usize = 8;
const SHOWN_LETTERS: usize = 40;

/// The settings of a table with the rules of a write in the place of those that an earlier one set. Columns are spelt as
/// in `schema`, since other readers look at their case, and what is the dialect's alone as DataFusion has it.
///
/// # Errors
/// If a condition does not parse.
pub(super) fn settled(
    mut configuration: HashMap<String, String>,
    write: &TableWrite,
    schema: &Schema,
    state: &SessionState,
) -> Result<HashMap<String, String>, EngineError> {
    let Some(checks) = &write.checks else { return Ok(configuration) };
    let before = set_by_contract(&configuration);
    for name in before.checks {
        configuration.remove(&format!("{PREFIX}{name}"));
    }
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for check in checks {
        let spelt = sql::canonical(&check.expression, columns.iter().copied());
        let expression = sql::rewritten_expression(state, &spelt).map_err(EngineError::Sql)?;
        configuration.insert(format!("{PREFIX}{}", check.name), expression);
    }
    let names: BTreeSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let filled = |column: &&super::super::TableColumn| !column.nullable;
    let not_null: BTreeSet<&str> = write.columns.iter().filter(filled).map(|column| column.name.as_str()).collect();
    if names.is_empty() && not_null.is_empty() {
        configuration.remove(CONTRACT);
    } else {
        configuration.insert(CONTRACT.into(), json!({ "checks": names, "notNull": not_null }).to_string());
    }
    Ok(configuration)
}

/// What a contract set in a table's settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SetByContract {
    pub(super) checks: BTreeSet<String>,
    pub(super) not_null: BTreeSet<String>,
}

pub(super) fn set_by_contract(configuration: &HashMap<String, String>) -> SetByContract {
    let value: Json = configuration.get(CONTRACT).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let names =
        |key: &str| value.get(key).and_then(Json::as_array).into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    SetByContract { checks: names("checks"), not_null: names("notNull") }
}

/// The conditions among a table's settings.
pub(super) fn conditions(configuration: &HashMap<String, String>) -> Vec<CheckRule> {
    let named = configuration.iter().filter_map(|(key, expression)| Some((key.strip_prefix(PREFIX)?, expression)));
    let mut found: Vec<CheckRule> = named.map(|(name, expression)| CheckRule { name: name.to_owned(), expression: expression.clone() }).collect();
    found.sort();
    found
}

/// The protocol that conditions need: from writer version 3 on they count, and from 7 on as a named feature.
pub(super) fn needed_protocol(configuration: &HashMap<String, String>) -> Option<Protocol> {
    let wanted = json!({ "minReaderVersion": 1, "minWriterVersion": 3 });
    if conditions(configuration).is_empty() { None } else { serde_json::from_value(wanted).ok() }
}

/// Whether a table's protocol makes its conditions count.
fn counted(protocol: &Protocol) -> bool {
    match protocol.min_writer_version() {
        ..3 => false,
        3..7 => true,
        _ => protocol.writer_features().is_some_and(|features| features.iter().any(|feature| feature.as_ref() == "checkConstraints")),
    }
}

/// A condition that can be asked of rows.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    rule: CheckRule,
    holds: Arc<dyn PhysicalExpr>,
}

/// The conditions that count for a table, planned over rows of its schema. One that only another engine understands is
/// left to delta-rs, which refuses the write.
pub(super) fn planned(table: &DeltaTableState, schema: &SchemaRef, state: &SessionState) -> Vec<Condition> {
    if !counted(table.protocol()) {
        return Vec::new();
    }
    let rules = conditions(table.metadata().configuration()).into_iter();
    rules.filter_map(|rule| Some(Condition { holds: plan(&rule, schema, state).ok()?, rule })).collect()
}

fn plan(rule: &CheckRule, schema: &SchemaRef, state: &SessionState) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = DFSchema::try_from(Arc::clone(schema))?;
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    let expression = state.create_logical_expr(&sql::canonical(&rule.expression, columns), &schema)?;
    state.create_physical_expr(expression, &schema)
}

impl Condition {
    /// The rows of a batch that break the condition.
    ///
    /// # Errors
    /// If the condition fails on a row.
    pub(super) fn broken(&self, batch: &RecordBatch, relation: &str) -> Result<Option<Violation>> {
        let held = self.holds.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(held) = held.as_boolean_opt() else { return Ok(None) };
        let broken: BooleanArray = (0..held.len()).map(|at| Some(held.is_null(at) || !held.value(at))).collect();
        violation(&BrokenRule::Check(self.rule.clone()), batch, &broken, relation)
    }
}

/// The rule that delta-rs means where it refuses rows: it shows some of them, drawn as a table, and names no rule. `None` where
/// the drawing can't be read.
pub(super) fn named(text: &str, table: &DeltaTableState, state: &SessionState, relation: &str) -> Option<Violation> {
    let (head, drawing) = text.split_once(" rows failed validation check")?;
    let rows: usize = head.rsplit(' ').next()?.parse().ok()?;
    let schema = table.snapshot().arrow_schema();
    let shown = drawn(drawing, &schema)?;
    let of_batch = schema.fields().iter().zip(shown.columns()).find(|(field, column)| !field.is_nullable() && column.null_count() > 0);
    let found = match of_batch {
        Some((field, column)) => violation(&BrokenRule::NotNull { column: field.name().clone() }, &shown, &is_null(column).ok()?, relation).ok()?,
        None => planned(table, &schema, state).iter().find_map(|condition| condition.broken(&shown, relation).ok()?),
    };
    Some(Violation { rows, ..found? })
}

/// The rows of a table that is drawn with `|` between its columns, in the columns of `schema`.
fn drawn(drawing: &str, schema: &SchemaRef) -> Option<RecordBatch> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    let mut lines = drawing.lines().filter_map(cells);
    let names = lines.next()?;
    let rows: Vec<Vec<String>> = lines.collect();
    let is_whole = rows.iter().all(|row| row.len() == names.len());
    let mut columns = Vec::new();
    for field in schema.fields() {
        let at = names.iter().position(|name| name == field.name()).filter(|_| is_whole)?;
        let texts: StringArray = rows.iter().map(|row| row.get(at).map(String::as_str).filter(|cell| !cell.is_empty())).collect();
        columns.push(cast(&texts, field.data_type()).ok()?);
    }
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).ok()
}

/// What to say of the rows of a batch that break a rule; `None` where there are none.
///
/// # Errors
/// Never, as the mask is as long as the batch.
pub(super) fn violation(rule: &BrokenRule, batch: &RecordBatch, broken: &BooleanArray, relation: &str) -> Result<Option<Violation>> {
    let rows = broken.true_count();
    if rows == 0 {
        return Ok(None);
    }
    let shown = rows_as_text(&filter_record_batch(batch, broken)?);
    Ok(Some(Violation { relation: relation.to_owned(), rule: rule.clone(), rows, shown }))
}

/// Some rows, each as `(column: value, ...)`.
pub(super) fn rows_as_text(batch: &RecordBatch) -> Vec<String> {
    let format = FormatOptions::default().with_null("NULL").with_display_error(true);
    let schema = batch.schema();
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .take(SHOWN_COLUMNS)
        .filter_map(|(field, column)| Some((field.name().as_str(), ArrayFormatter::try_new(column, &format).ok()?)))
        .collect();
    let more = if batch.num_columns() > SHOWN_COLUMNS { ", ..." } else { "" };
    let row = |at: usize| {
        let cells: Vec<String> = columns.iter().map(|(name, column)| format!("{name}: {}", shortened(&column.value(at).to_string()))).collect();
        format!("({}{more})", cells.join(", "))
    };
    (0..batch.num_rows().min(SHOWN_ROWS)).map(row).collect()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN_LETTERS {
        return text.to_owned();
    }
    text.chars().take(SHOWN_LETTERS).chain("...".chars()).collect()
}
