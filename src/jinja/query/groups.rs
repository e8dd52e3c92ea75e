//! `group_by` and `pivot` of a query's result.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::{Row, Table, position};
use crate::base::Code;
use crate::jinja::containers::{collect, new_list};
use crate::jinja::error::{problem, unsupported};
use crate::jinja::python::{repr, text};
use crate::jinja::values::{bind_args, required};

/// What `group_by` gives: a table for each value of a column, in the order in which they appear.
#[derive(Debug)]
struct TableSet {
    keys: Vec<Value>,
    tables: Vec<Value>,
}

/// `group_by(key, key_name=none, key_type=none)`.
pub(super) fn grouped(table: &Table, args: &[Value]) -> Result<Value, Error> {
    let [key, ..] = bind_args("group_by", ["key", "key_name", "key_type"], args)?;
    let at = column(table, &required("group_by", "key", key)?)?;
    let mut groups: IndexMap<String, (Value, Vec<Arc<Row>>)> = IndexMap::new();
    for row in &table.rows {
        let key = row.values.get(at).cloned().unwrap_or_default();
        groups.entry(repr(&key)).or_insert_with(|| (key, Vec::new())).1.push(Arc::clone(row));
    }
    let (keys, tables) = groups.into_values().map(|(key, rows)| (key, table.with_rows(rows))).unzip();
    Ok(Value::from_object(TableSet { keys, tables }))
}

/// `pivot(key=none, pivot=none)`: how many rows there are of each key, in a column for each value of `pivot`.
pub(super) fn pivoted(table: &Table, args: &[Value]) -> Result<Value, Error> {
    let names = ["key", "pivot", "aggregation", "computation", "default_value", "key_name"];
    let [key, pivot, aggregation, computation, default, _] = bind_args("pivot", names, args)?;
    if aggregation.or(computation).is_some_and(|given| !given.is_none()) {
        return Err(unsupported("pivot() with an aggregation"));
    }
    let given = |value: Option<Value>| value.filter(|value| !value.is_none());
    let keys = match given(key) {
        None => Vec::new(),
        Some(key) if key.as_str().is_some() || key.is_integer() => vec![key],
        Some(keys) => collect(&keys)?,
    };
    let keys = keys.iter().map(|key| column(table, key)).collect::<Result<Vec<_>, _>>()?;
    let pivot = given(pivot).map(|pivot| column(table, &pivot)).transpose()?;
    let mut headings: IndexSet<String> = IndexSet::new();
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    let mut groups: IndexMap<String, Vec<Value>> = IndexMap::new();
    for row in &table.rows {
        let cell = |at: usize| row.values.get(at).cloned().unwrap_or_default();
        let key: Vec<Value> = keys.iter().map(|at| cell(*at)).collect();
        let written = repr(&new_list(key.clone()));
        groups.entry(written.clone()).or_insert(key);
        let heading = pivot.map_or_else(|| "Count".to_owned(), |at| text(&cell(at)));
        headings.insert(heading.clone());
        *counts.entry((written, heading)).or_default() += 1;
    }
    let own = |names: &[String]| keys.iter().filter_map(|at| names.get(*at).cloned()).collect::<Vec<_>>();
    let names: Arc<[String]> = own(&table.names).into_iter().chain(headings.iter().cloned()).collect();
    let types = own(&table.types).into_iter().chain(headings.iter().map(|_| "BIGINT".to_owned())).collect();
    let default = default.unwrap_or_else(|| Value::from(0));
    let rows = groups.into_iter().map(|(written, key)| {
        let count = |heading: &String| counts.get(&(written.clone(), heading.clone())).map_or_else(|| default.clone(), |count| Value::from(*count));
        let values = key.into_iter().chain(headings.iter().map(count)).collect();
        Arc::new(Row { names: Arc::clone(&names), values })
    });
    Ok(Value::from_object(Table { rows: rows.collect(), names: Arc::clone(&names), types }))
}

fn column(table: &Table, key: &Value) -> Result<usize, Error> {
    let at = position(&table.names, key).filter(|at| *at < table.names.len());
    at.ok_or_else(|| problem(Code::JinjaRuntime, format!("the result has no column `{key}`; it has `{}`", table.names.join("`, `"))))
}

impl TableSet {
    fn position(&self, key: &Value) -> Option<usize> {
        match key.as_usize() {
            Some(index) => Some(index),
            None => self.keys.iter().position(|known| known == key),
        }
    }
}

impl Object for TableSet {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.tables.get(self.position(key)?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.tables.clone())
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("keys", []) => Ok(Value::from(Tuple::from(self.keys.clone()))),
            ("values", []) => Ok(Value::from(Tuple::from(self.tables.clone()))),
            ("items", []) => {
                let pairs = self.keys.iter().cloned().zip(self.tables.iter().cloned());
                Ok(new_list(pairs.map(|(key, table)| Value::from(Tuple::from([key, table]))).collect()))
            }
            ("get", [key] | [key, _]) => {
                let found = self.position(key).and_then(|at| self.tables.get(at));
                Ok(found.or_else(|| args.get(1)).cloned().unwrap_or_else(|| Value::from(())))
            }
            // What a table can do is done with each.
            ("select" | "exclude" | "order_by" | "limit" | "distinct" | "rename", _) => {
                let tables = self.tables.iter().map(|table| table.call_method(state, method, args)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::from_object(Self { keys: self.keys.clone(), tables }))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |table: &Value| table.downcast_object_ref::<Table>().map_or(0, |table| table.rows.len()).to_string();
        let lines: Vec<(String, String)> = self.keys.iter().map(text).zip(self.tables.iter().map(rows)).collect();
        let width = |heading: &str, cells: &mut dyn Iterator<Item = usize>| cells.fold(heading.len(), usize::max);
        let left = width("table", &mut lines.iter().map(|(key, _)| key.chars().count()));
        let right = width("rows", &mut lines.iter().map(|(_, rows)| rows.len()));
        writeln!(f, "| {:<left$} | {:<right$} |", "table", "rows")?;
        writeln!(f, "| {} | {} |", "-".repeat(left), "-".repeat(right))?;
        lines.iter().try_for_each(|(key, rows)| writeln!(f, "| {key:<left$} | {rows:<right$} |"))
    }
}
