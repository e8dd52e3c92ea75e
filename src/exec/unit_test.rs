//! Running a unit test: the rows of both sides, compared without regard to their order, and the difference as a table.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use serde_json::Value as Json;

use super::run::Shared;
use crate::base::visible_line;
use crate::compile::UnitQuery;
use crate::engine::{EngineError, json_rows};
use crate::sql::sql_error;

/// The most rows of a difference that are shown.
const SHOWN: usize = 50;

type Row = Vec<Json>;

/// The difference between what the model gives and what is expected; `None` where there is none.
///
/// # Errors
/// If the query fails.
pub(super) async fn difference(shared: &Shared, query: &UnitQuery) -> Result<Option<String>, EngineError> {
    let failed = |error| EngineError::Sql(Box::new(sql_error(&error, &query.sql)));
    let batches: Vec<_> = shared.engine.query(&query.sql, &[]).await?.try_collect().await.map_err(failed)?;
    let (mut actual, mut expected) = (Vec::new(), Vec::new());
    for batch in &batches {
        for mut row in json_rows(batch).map_err(|error| failed(error.into()))? {
            match row.pop() {
                Some(Json::String(side)) if side == "actual" => actual.push(row),
                _ => expected.push(row),
            }
        }
    }
    Ok(compare(&query.columns, actual, expected))
}

/// How a row differs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Missing(Row),
    Surplus(Row),
    /// Expected, and what is there instead.
    Other(Row, Row),
}

fn compare(columns: &[String], actual: Vec<Row>, expected: Vec<Row>) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in &actual {
        *counts.entry(key(row)).or_default() += 1;
    }
    let total = expected.len();
    let mut missing: Vec<Row> = expected.into_iter().filter(|row| !take(&mut counts, row)).collect();
    let equal = total - missing.len();
    let mut surplus: Vec<Row> = actual.into_iter().filter(|row| take(&mut counts, row)).collect();
    // An engine gives rows in any order; the message is to be the same every time.
    missing.sort_by_cached_key(|row| key(row));
    surplus.sort_by_cached_key(|row| key(row));
    if missing.is_empty() && surplus.is_empty() {
        return None;
    }
    Some(shown(columns, &paired(missing, surplus), equal))
}

/// Whether a row is among the counted ones, one of which is then gone.
fn take(counts: &mut BTreeMap<String, usize>, row: &[Json]) -> bool {
    match counts.get_mut(&key(row)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        Some(_) | None => false,
    }
}

fn key(row: &[Json]) -> String {
    Json::Array(row.to_vec()).to_string()
}

/// Rows that are missing beside the surplus rows that are most like them.
fn paired(missing: Vec<Row>, mut surplus: Vec<Row>) -> Vec<Change> {
    let alike = |a: &Row, b: &Row| a.iter().zip(b).filter(|(a, b)| a == b).count();
    let mut changes = Vec::new();
    for (at, row) in missing.into_iter().enumerate() {
        // Looking for likeness among thousands of rows helps nobody.
        let near =
            if at < SHOWN { surplus.iter().take(1_000).enumerate().max_by_key(|(at, other)| (alike(&row, other), usize::MAX - at)) } else { None };
        match near.filter(|(_, other)| alike(&row, other) > 0 || row.len() == 1).map(|(at, _)| at) {
            Some(at) => changes.push(Change::Other(row, surplus.remove(at))),
            None => changes.push(Change::Missing(row)),
        }
    }
    changes.extend(surplus.into_iter().map(Change::Surplus));
    changes
}

/// The difference as dbt shows one: `+++` a row that is not expected, `---` one that is missing, and in a row marked with an
/// arrow the expected value, an arrow and the value that is there.
fn shown(columns: &[String], changes: &[Change], equal: usize) -> String {
    let mut lines: Vec<Vec<String>> = vec![std::iter::once("@@".to_owned()).chain(columns.iter().cloned()).collect()];
    for change in changes.iter().take(SHOWN) {
        let marked = |mark: &str, row: &Row| std::iter::once(mark.to_owned()).chain(row.iter().map(text)).collect();
        lines.push(match change {
            Change::Missing(row) => marked("---", row),
            Change::Surplus(row) => marked("+++", row),
            Change::Other(expected, actual) => {
                let cell = |(expected, actual): (&Json, &Json)| {
                    if expected == actual { text(actual) } else { format!("{}→{}", text(expected), text(actual)) }
                };
                std::iter::once("→".to_owned()).chain(expected.iter().zip(actual).map(cell)).collect()
            }
        });
    }
    let widths: Vec<usize> =
        (0..=columns.len()).map(|at| lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join(" | ").trim_end().to_owned()
    };
    let mut text = format!("actual differs from expected:\n\n{}", lines.iter().map(line).collect::<Vec<_>>().join("\n"));
    let more = changes.len().saturating_sub(SHOWN);
    let rest = [(more, "more that differ"), (equal, "as expected")];
    let rest: Vec<String> = rest.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !rest.is_empty() {
        text = format!("{text}\n({})", rest.join(", "));
    }
    text
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => "NULL".to_owned(),
        Json::String(text) => visible_line(text).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(value: Json) -> Vec<Row> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn order_is_no_difference_and_numbers_of_rows_are() {
        let columns = ["id".to_owned(), "n".to_owned()];
        assert_eq!(compare(&columns, rows(json!([[1, 2], [3, 4]])), rows(json!([[3, 4], [1, 2]]))), None);
        let difference = compare(&columns, rows(json!([[1, 2], [3, 5], [7, 8]])), rows(json!([[1, 2], [1, 2], [3, 4], [null, "x"]]))).unwrap();
        assert_eq!(
            difference,
            "actual differs from expected:\n\n@@  | id   | n\n--- | 1    | 2\n→   | 3    | 4→5\n--- | NULL | x\n+++ | 7    | 8\n(1 as expected)"
        );
    }
}
