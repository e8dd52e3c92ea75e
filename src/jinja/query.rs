//! Results of queries as templates see them: `run_query`, `statement` and `load_result`.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::containers::{new_dict, new_list};
use super::error::unsupported;
use super::host::QueryTable;
use super::values::from_json;

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
    name: String,
    data_type: String,
    values: Vec<Value>,
}

impl Table {
    pub(super) fn value(table: &QueryTable) -> Value {
        let names: Arc<[String]> = table.columns.iter().map(|(name, _)| name.clone()).collect();
        let row = |values: &Vec<serde_json::Value>| Arc::new(Row { names: Arc::clone(&names), values: values.iter().map(from_json).collect() });
        let rows = table.rows.iter().map(row).collect();
        let types = table.columns.iter().map(|(_, data_type)| data_type.clone()).collect();
        Value::from_object(Self { names: Arc::clone(&names), types, rows })
    }

    fn column(&self, index: usize) -> Option<Value> {
        let name = self.names.get(index)?.clone();
        let values = self.rows.iter().map(|row| row.values.get(index).cloned().unwrap_or_default()).collect();
        let data_type = self.types.get(index).cloned().unwrap_or_default();
        Some(Value::from_object(ResultColumn { name, data_type, values }))
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
            "rows" => new_list(self.rows()),
            "columns" => {
                let columns = (0..self.names.len()).filter_map(|index| self.column(index)).collect();
                Value::from_object(Columns { names: Arc::clone(&self.names), columns })
            }
            "column_names" => Value::from(Tuple::from(self.names.iter().map(|name| Value::from(&**name)).collect::<Vec<_>>())),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.rows())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("column", [key]) => Ok(position(&self.names, key).and_then(|index| self.column(index)).unwrap_or_default()),
            ("print_table" | "print_csv" | "print_json", _) => Ok(Value::from("")),
            (other, _) => Err(unsupported(&format!("{other}() of a query's result"))),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<table of {} rows>", self.rows.len())
    }
}

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
            ("values", []) => Ok(new_list(self.values.clone())),
            ("keys", []) => Ok(new_list(keys().collect())),
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
}

impl Object for ResultColumn {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("name") => Some(Value::from(&*self.name)),
            Some("data_type") => Some(Value::from(&*self.data_type)),
            Some(_) => None,
            None => self.values.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, _: &[Value]) -> Result<Value, Error> {
        match method {
            "values" => Ok(new_list(self.values.clone())),
            "values_distinct" => {
                let mut distinct: Vec<Value> = Vec::new();
                for value in &self.values {
                    if !distinct.contains(value) {
                        distinct.push(value.clone());
                    }
                }
                Ok(new_list(distinct))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
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

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, _: &[Value]) -> Result<Value, Error> {
        match method {
            "keys" => Ok(new_list(self.names.iter().map(|name| Value::from(&**name)).collect())),
            "values" => Ok(new_list(self.columns.clone())),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}

/// What `load_result` gives: `table`, `data` and `response`.
pub(super) fn statement_value(table: &QueryTable) -> Value {
    let rows = table.rows.iter().map(|row| Value::from(Tuple::from(row.iter().map(from_json).collect::<Vec<_>>())));
    new_dict([
        (Value::from("response"), Value::from("OK")),
        (Value::from("data"), new_list(rows.collect())),
        (Value::from("table"), Table::value(table)),
    ])
}
