//! Results of queries as templates see them: `run_query`, `statement` and `load_result`.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::containers::{collect, new_dict, new_list};
use super::decimals::Decimal;
use super::error::unsupported;
use super::functions::write_json;
use super::host::QueryTable;
use super::modules::Moment;
use super::python::{repr, text};
use super::session::session_of;
use super::values::{bind_args, from_json, required};
use crate::base::Heard;

mod groups;

/// A table of results: loops over its rows.
#[derive(Debug)]
pub(super) struct Table {
    names: Arc<[String]>,
    types: Vec<String>,
    rows: Vec<Arc<Row>>,
}

/// One row, by position or by column name.
#[derive(Debug)]
pub(super) struct Row {
    names: Arc<[String]>,
    values: Vec<Value>,
}

/// One column with its values.
#[derive(Debug)]
struct ResultColumn {
    index: usize,
    name: String,
    data_type: String,
    values: Vec<Value>,
}

impl Table {
    pub(super) fn value(table: &QueryTable) -> Value {
        let names: Arc<[String]> = table.columns.iter().map(|(name, _)| name.clone()).collect();
        let row = |values: &Vec<Json>| {
            let cells = values.iter().zip(&table.columns).map(|(value, (_, data_type))| cell(value, data_type));
            Arc::new(Row { names: Arc::clone(&names), values: cells.collect() })
        };
        let rows = table.rows.iter().map(row).collect();
        let types = table.columns.iter().map(|(_, data_type)| data_type.clone()).collect();
        Value::from_object(Self { names: Arc::clone(&names), types, rows })
    }

    /// The columns at some positions, with all rows.
    fn selected(&self, positions: &[usize]) -> Value {
        let names: Arc<[String]> = positions.iter().filter_map(|at| self.names.get(*at).cloned()).collect();
        let types = positions.iter().filter_map(|at| self.types.get(*at).cloned()).collect();
        let row = |row: &Arc<Row>| {
            Arc::new(Row { names: Arc::clone(&names), values: positions.iter().filter_map(|at| row.values.get(*at).cloned()).collect() })
        };
        Value::from_object(Self { rows: self.rows.iter().map(row).collect(), names: Arc::clone(&names), types })
    }

    /// The rows that a change of their list leaves.
    fn with_rows(&self, rows: Vec<Arc<Row>>) -> Value {
        Value::from_object(Self { names: Arc::clone(&self.names), types: self.types.clone(), rows })
    }

    fn ordered(&self, args: &[Value]) -> Result<Value, Error> {
        let [key, reverse] = bind_args("order_by", ["key", "reverse"], args)?;
        let key = required("order_by", "key", key)?;
        let keys = if key.as_str().is_some() || key.is_integer() { vec![key] } else { collect(&key)? };
        let at: Option<Vec<usize>> = keys.iter().map(|key| position(&self.names, key)).collect();
        let at = at.ok_or_else(|| unsupported("order_by() of that column"))?;
        let mut rows = self.rows.clone();
        // Nulls come last, as agate has them.
        let cells = |row: &Arc<Row>| -> Vec<(bool, Value)> {
            let cells = at.iter().map(|at| row.values.get(*at).cloned().unwrap_or_default());
            cells.map(|cell| (cell.is_none(), cell)).collect()
        };
        rows.sort_by(|a, b| cells(a).partial_cmp(&cells(b)).unwrap_or(std::cmp::Ordering::Equal));
        if reverse.is_some_and(|reverse| reverse.is_true()) {
            rows.reverse();
        }
        Ok(self.with_rows(rows))
    }

    fn limited(&self, args: &[Value]) -> Result<Value, Error> {
        let [first, second, step] = bind_args("limit", ["start_or_stop", "stop", "step"], args)?;
        let number = |value: Option<Value>| value.and_then(|value| value.as_usize());
        let (start, stop) = if second.is_none() { (0, number(first)) } else { (number(first).unwrap_or(0), number(second)) };
        let rows = self.rows.iter().take(stop.unwrap_or(usize::MAX)).skip(start).step_by(number(step).unwrap_or(1).max(1));
        Ok(self.with_rows(rows.cloned().collect()))
    }

    fn chosen(&self, function: &str, args: &[Value], keep: bool) -> Result<Value, Error> {
        let [key] = bind_args(function, ["key"], args)?;
        let key = required(function, "key", key)?;
        let keys = if key.as_str().is_some() { vec![key] } else { collect(&key)? };
        let named: Vec<usize> = keys.iter().filter_map(|key| position(&self.names, key)).collect();
        if named.len() != keys.len() {
            return Err(super::error::problem(
                crate::base::Code::JinjaRuntime,
                format!("the result has no column of that name; it has `{}`", self.names.join("`, `")),
            ));
        }
        let others: Vec<usize> = (0..self.names.len()).filter(|at| !named.contains(at)).collect();
        Ok(self.selected(if keep { &named } else { &others }))
    }

    /// With other names: a list in the order of the columns, or new names by old ones.
    fn renamed(&self, args: &[Value]) -> Result<Value, Error> {
        let [given, ..] = bind_args("rename", ["column_names", "row_names", "slug_columns", "slug_rows"], args)?;
        let given = required("rename", "column_names", given)?;
        let new: Vec<Value> = if given.kind() == ValueKind::Map {
            self.names.iter().map(|name| given.get_item(&Value::from(&**name))).collect::<Result<_, _>>()?
        } else {
            collect(&given)?
        };
        let name = |(at, old): (usize, &String)| new.get(at).filter(|name| !name.is_undefined()).map_or_else(|| old.clone(), text);
        let names: Arc<[String]> = self.names.iter().enumerate().map(name).collect();
        let row = |row: &Arc<Row>| Arc::new(Row { names: Arc::clone(&names), values: row.values.clone() });
        Ok(Value::from_object(Self { rows: self.rows.iter().map(row).collect(), names: Arc::clone(&names), types: self.types.clone() }))
    }

    /// The first row of each value of a column, or of all columns.
    fn distinct(&self, args: &[Value]) -> Result<Value, Error> {
        let [key] = bind_args("distinct", ["key"], args)?;
        let keys = match key.filter(|key| !key.is_none()) {
            None => Vec::new(),
            Some(key) if key.as_str().is_some() || key.is_integer() => vec![key],
            Some(keys) => collect(&keys)?,
        };
        let at: Vec<usize> = keys.iter().filter_map(|key| position(&self.names, key)).collect();
        let mut seen = HashSet::new();
        let new = |row: &&Arc<Row>| {
            let cells = row.values.iter().enumerate().filter(|(index, _)| keys.is_empty() || at.contains(index));
            seen.insert(cells.map(|(_, value)| repr(value)).collect::<Vec<_>>())
        };
        Ok(self.with_rows(self.rows.iter().filter(new).cloned().collect()))
    }

    /// Lines as agate prints a table.
    fn lines(&self, max_rows: usize, max_columns: usize) -> String {
        let shown = self.names.len().min(max_columns);
        let mut cells: Vec<Vec<String>> = vec![self.names.iter().take(shown).cloned().collect()];
        cells.extend(
            self.rows
                .iter()
                .take(max_rows)
                .map(|row| row.values.iter().take(shown).map(|value| if value.is_none() { String::new() } else { text(value) }).collect()),
        );
        let dots = |row: &mut Vec<String>| row.push("...".to_owned());
        if shown < self.names.len() {
            cells.iter_mut().for_each(dots);
        }
        if self.rows.len() > max_rows {
            cells.push(cells.first().map(|row| row.iter().map(|_| "...".to_owned()).collect()).unwrap_or_default());
        }
        let columns = cells.first().map_or(0, Vec::len);
        let width = |at: usize| cells.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let numeric: Vec<bool> = (0..columns)
            .map(|at| {
                !self.rows.is_empty()
                    && self
                        .rows
                        .iter()
                        .all(|row| row.values.get(at).is_some_and(|value| value.is_none() || value.is_number() || Decimal::of(value).is_some()))
            })
            .collect();
        let mut out = Vec::new();
        for (index, row) in cells.iter().enumerate() {
            let line = row
                .iter()
                .zip(&widths)
                .zip(&numeric)
                .map(|((cell, width), numeric)| if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
            out.push(format!("| {} |", line.collect::<Vec<_>>().join(" | ")));
            if index == 0 {
                out.push(format!("| {} |", widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join(" | ")));
            }
        }
        out.join("\n")
    }

    /// Names and kinds of the columns, as agate prints a table that is put into a text.
    fn structure(&self) -> String {
        let kinds = self.types.iter().map(|data_type| agate_type(data_type));
        let pairs: Vec<(&str, &str)> = self.names.iter().map(String::as_str).zip(kinds).collect();
        let width = |heading: &str, longest: usize| heading.len().max(longest);
        let left = width("column", pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0));
        let right = width("data_type", pairs.iter().map(|(_, kind)| kind.len()).max().unwrap_or(0));
        let line = |(name, kind): (&str, &str)| format!("| {name:<left$} | {kind:<right$} |\n");
        let head = line(("column", "data_type")) + &line((&"-".repeat(left), &"-".repeat(right)));
        pairs.into_iter().map(line).fold(head, |text, line| text + &line)
    }

    fn column(&self, index: usize) -> Option<Value> {
        let name = self.names.get(index)?.clone();
        let values = self.rows.iter().map(|row| row.values.get(index).cloned().unwrap_or_default()).collect();
        let data_type = self.types.get(index).cloned().unwrap_or_default();
        Some(Value::from_object(ResultColumn { index, name, data_type, values }))
    }

    fn rows(&self) -> Vec<Value> {
        self.rows.iter().map(|row| Value::from_dyn_object(Arc::clone(row))).collect()
    }
}

/// The position a key names: a number, or a column's name without regard to case.
fn position(names: &[String], key: &Value) -> Option<usize> {
    match key.as_str() {
        Some(name) => names.iter().position(|known| known == name).or_else(|| names.iter().position(|known| known.eq_ignore_ascii_case(name))),
        None => key.as_usize(),
    }
}

impl Object for Table {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(index) = key.as_usize() {
            return self.rows.get(index).map(|row| Value::from_dyn_object(Arc::clone(row)));
        }
        Some(match key.as_str()? {
            "rows" => Value::from_object(Rows(self.rows())),
            "columns" => {
                let columns = (0..self.names.len()).filter_map(|index| self.column(index)).collect();
                Value::from_object(Columns { names: Arc::clone(&self.names), columns })
            }
            "column_types" => new_list(self.types.iter().map(|data_type| Value::from(&**data_type)).collect()),
            "row_names" => Value::from(()),
            "column_names" => Value::from(Tuple::from(self.names.iter().map(|name| Value::from(&**name)).collect::<Vec<_>>())),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.rows())
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("select", _) => self.chosen("select", args, true),
            ("exclude", _) => self.chosen("exclude", args, false),
            ("order_by", _) => self.ordered(args),
            ("limit", _) => self.limited(args),
            ("rename", _) => self.renamed(args),
            ("distinct", _) => self.distinct(args),
            ("group_by", _) => groups::grouped(self, args),
            ("pivot", _) => groups::pivoted(self, args),
            ("print_table", _) => {
                let [rows, columns, ..] = bind_args("print_table", PRINT_TABLE, args)?;
                let number =
                    |value: Option<Value>, default| value.filter(|value| !value.is_none()).and_then(|value| value.as_usize()).unwrap_or(default);
                let lines = self.lines(number(rows, 20), number(columns, 6));
                session_of(state)?.host.log(lines.trim_end(), Heard::Script);
                Ok(Value::from(()))
            }
            ("column", [key]) => Ok(position(&self.names, key).and_then(|index| self.column(index)).unwrap_or_default()),
            (other, _) => Err(unsupported(&format!("{other}() of a query's result"))),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.structure())
    }
}

/// A value of a result: dates can be reckoned with, and decimals with a fraction too, digit by digit; lists and structures are JSON, as in dbt.
fn cell(value: &Json, data_type: &str) -> Value {
    match value {
        Json::String(text) if is_date(data_type) => Moment::read(text).map_or_else(|| from_json(value), Moment::value),
        // Whole numbers and floats print alike as decimals and as numbers, and numbers are found in lists and dicts of numbers.
        Json::String(text) if is_decimal(data_type) => match text.parse::<i64>() {
            Ok(whole) => Value::from(whole),
            Err(_) => Decimal::read(text).unwrap_or_else(|| from_json(value)),
        },
        Json::Array(_) | Json::Object(_) => {
            let mut text = String::new();
            write_json(value, &mut text);
            Value::from(text)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => from_json(value),
    }
}

/// What agate calls a column of a SQL type.
fn agate_type(data_type: &str) -> &'static str {
    let lower = data_type.to_lowercase();
    match lower.split('(').next().unwrap_or_default().trim() {
        "tinyint" | "smallint" | "int" | "integer" | "bigint" | "hugeint" => "Integer",
        "float" | "real" | "double" | "decimal" => "Number",
        "boolean" => "Boolean",
        "date" => "Date",
        kind if kind.starts_with("timestamp") => "DateTime",
        _ => "Text",
    }
}

/// The rows of a table, as a list that prints as agate's.
#[derive(Debug)]
struct Rows(Vec<Value>);

impl Object for Rows {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("values", []) => Ok(Value::from(Tuple::from(self.0.clone()))),
            // Rows have no names.
            ("keys", []) => Ok(Value::from(())),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sequence("MappedSequence", &self.0, f)
    }
}

/// `<agate.Row: (1, 'x')>`.
fn write_sequence(kind: &str, values: &[Value], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // agate shows the first five, and that there are more.
    let shown: Vec<String> = values.iter().take(5).map(repr).collect();
    let end = if values.len() > 5 { ", ..." } else { "" };
    write!(f, "<agate.{kind}: ({}{end})>", shown.join(", "))
}

/// The arguments of `print_table`, of which the first two count.
const PRINT_TABLE: [&str; 6] = ["max_rows", "max_columns", "output", "max_column_width", "locale", "max_precision"];

impl Object for Row {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.values.get(position(&self.names, key)?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let keys = || self.names.iter().map(|name| Value::from(&**name));
        match (method, args) {
            ("values", []) => Ok(Value::from(Tuple::from(self.values.clone()))),
            ("keys", []) => Ok(Value::from(Tuple::from(keys().collect::<Vec<_>>()))),
            ("items", []) => {
                let pairs = keys().zip(self.values.iter().cloned());
                Ok(new_list(pairs.map(|(key, value)| Value::from(Tuple::from([key, value]))).collect()))
            }
            ("dict", []) => Ok(new_dict(keys().zip(self.values.iter().cloned()))),
            ("get", [key] | [key, _]) => {
                let found = position(&self.names, key).and_then(|index| self.values.get(index));
                Ok(found.or_else(|| args.get(1)).cloned().unwrap_or_else(|| Value::from(())))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sequence("Row", &self.values, f)
    }
}

impl Object for ResultColumn {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("name") => Some(Value::from(&*self.name)),
            Some("index") => Some(Value::from(self.index)),
            Some("data_type") => Some(Value::from_object(ColumnType(self.data_type.clone()))),
            Some(_) => None,
            None => self.values.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, _: &[Value]) -> Result<Value, Error> {
        match method {
            "values" => Ok(Value::from(Tuple::from(self.values.clone()))),
            "values_without_nulls" => Ok(Value::from(Tuple::from(self.present()))),
            "values_sorted" => {
                let mut sorted = self.present();
                sorted.sort();
                sorted.extend(self.values.iter().filter(|value| value.is_none()).cloned());
                Ok(new_list(sorted))
            }
            "values_without_nulls_sorted" => {
                let mut sorted = self.present();
                sorted.sort();
                Ok(new_list(sorted))
            }
            "values_distinct" => {
                let mut seen = HashSet::new();
                let distinct: Vec<Value> = self.values.iter().filter(|value| seen.insert(repr(value))).cloned().collect();
                Ok(Value::from(Tuple::from(distinct)))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sequence("Column", &self.values, f)
    }
}

/// The SQL type of a column: its text, with what agate's types can do.
#[derive(Debug)]
struct ColumnType(String);

impl Object for ColumnType {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }

    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("jsonify", [value]) => Ok(match value.kind() {
                ValueKind::None | ValueKind::Undefined | ValueKind::Bool | ValueKind::Number => value.clone(),
                _ => {
                    let text = text(value);
                    let number = if self.0.starts_with("DECIMAL") { text.parse::<f64>().ok() } else { None };
                    number.map_or_else(|| Value::from(text), Value::from)
                }
            }),
            _ => Value::from(&*self.0).call_method(state, method, args),
        }
    }
}

impl ResultColumn {
    fn present(&self) -> Vec<Value> {
        self.values.iter().filter(|value| !value.is_none()).cloned().collect()
    }
}

/// Whether values of a SQL type are dates or timestamps.
fn is_date(data_type: &str) -> bool {
    let data_type = data_type.to_lowercase();
    data_type.starts_with("date") || data_type.starts_with("timestamp")
}

fn is_decimal(data_type: &str) -> bool {
    data_type.to_lowercase().starts_with("decimal")
}

/// The columns of a table, by position or by name.
#[derive(Debug)]
struct Columns {
    names: Arc<[String]>,
    columns: Vec<Value>,
}

impl Object for Columns {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.columns.get(position(&self.names, key)?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.columns.clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "items" => {
                let names = self.names.iter().map(|name| Value::from(&**name));
                Ok(new_list(names.zip(self.columns.iter().cloned()).map(|(name, column)| Value::from(Tuple::from([name, column]))).collect()))
            }
            "get" => {
                let [key, default] = bind_args("get", ["key", "default"], args)?;
                let found = position(&self.names, &required("get", "key", key)?).and_then(|at| self.columns.get(at)).cloned();
                Ok(found.or(default).unwrap_or_else(|| Value::from(())))
            }
            "keys" => Ok(Value::from(Tuple::from(self.names.iter().map(|name| Value::from(&**name)).collect::<Vec<_>>()))),
            "values" => Ok(Value::from(Tuple::from(self.columns.clone()))),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sequence("MappedSequence", &self.columns, f)
    }
}

/// What a warehouse says of a statement: dbt's `AdapterResponse`, which prints its message.
#[derive(Debug)]
pub(super) struct Response {
    pub message: Value,
    pub code: Value,
    /// How many rows were changed, if that is told.
    pub rows: Value,
}

impl Response {
    pub(super) fn value(self) -> Value {
        Value::from_object(self)
    }
}

impl Object for Response {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "_message" => Some(self.message.clone()),
            "code" => Some(self.code.clone()),
            "rows_affected" => Some(self.rows.clone()),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::python::text(&self.message))
    }
}

/// What `load_result` gives: `table`, `data` and `response`.
pub(super) fn statement_value(table: &QueryTable) -> Value {
    let cells = |row: &Vec<Json>| row.iter().zip(&table.columns).map(|(value, (_, data_type))| cell(value, data_type)).collect::<Vec<_>>();
    let rows = table.rows.iter().map(|row| Value::from(Tuple::from(cells(row))));
    new_dict([
        (Value::from("response"), Response { message: Value::from("OK"), code: Value::from(""), rows: Value::from(()) }.value()),
        (Value::from("data"), new_list(rows.collect())),
        (Value::from("table"), Table::value(table)),
    ])
}
