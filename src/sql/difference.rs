//! Columns of a query beside those of the table that it adds to.

use deltalake::arrow::datatypes::{DataType, Field, Schema};

use super::{SqlError, type_name};
use crate::base::Code;

/// What is different, names compared without regard to case.
#[derive(Debug, Default)]
pub struct SchemaDifference {
    pub new: Vec<Field>,
    pub gone: Vec<String>,
    /// Name, type before, type wanted.
    pub retyped: Vec<(String, DataType, DataType)>,
}

impl SchemaDifference {
    #[must_use]
    pub fn between(before: &Schema, wanted: &Schema) -> Self {
        let mut found = Self::default();
        for field in wanted.fields() {
            match before.fields().iter().find(|known| same(known.name(), field.name())) {
                None => found.new.push(field.as_ref().clone()),
                Some(known) if type_name(known.data_type()) != type_name(field.data_type()) => {
                    found.retyped.push((known.name().clone(), known.data_type().clone(), field.data_type().clone()));
                }
                Some(_) => {}
            }
        }
        found.gone = before
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .filter(|name| !wanted.fields().iter().any(|field| same(field.name(), name)))
            .collect();
        found
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.retyped.is_empty()
    }

    /// A column whose values the table's type would cut.
    #[must_use]
    pub fn cut(&self, table: &str) -> Option<SqlError> {
        let (name, before, wanted) = self.retyped.iter().find(|(_, before, wanted)| loses(wanted, before))?;
        let (wanted, before) = (type_name(wanted), type_name(before));
        let message = format!("column `{name}` of `{table}` is {wanted} in the query and {before} in the table, which would cut its values");
        let help = "cast it in the query, set `on_schema_change` to `sync_all_columns`, or build the table anew with --full-refresh";
        Some(SqlError::new(Code::SchemaChanged, message).help(help))
    }

    /// Where no difference is allowed.
    #[must_use]
    pub fn refused(&self, (before, wanted): (&Schema, &Schema), table: &str) -> SqlError {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.new.iter().map(|field| format!("new: `{}` {}", field.name(), type_name(field.data_type()))));
        lines.extend(self.gone.iter().map(|name| format!("missing: `{name}`")));
        lines.extend(
            self.retyped
                .iter()
                .map(|(name, before, wanted)| format!("`{name}`: the table has {}, the query {}", type_name(before), type_name(wanted))),
        );
        let (wanted, before) = (wanted.fields().len(), before.fields().len());
        let message = format!("the query of `{table}` yields other columns than the table has ({wanted} and {before})");
        let mut error = SqlError::new(Code::SchemaChanged, message)
            .help("set `on_schema_change` to `append_new_columns` or `sync_all_columns`, or build the table anew with --full-refresh");
        error.notes = lines;
        error
    }

    /// Where the table has columns that the query lacks.
    #[must_use]
    pub fn missing(&self, table: &str) -> SqlError {
        let names: Vec<String> = self.gone.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("the query of `{table}` lacks columns that the table has: {}", names.join(", "));
        SqlError::new(Code::SchemaChanged, message).help("select them, or say with `on_schema_change` what is to become of them")
    }
}

fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Whether a cast drops digits or times of day without an error.
fn loses(from: &DataType, to: &DataType) -> bool {
    let scale = |data_type: &DataType| match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            Some(*scale)
        }
        number if number.is_integer() => Some(0),
        _ => None,
    };
    match (from, to) {
        (DataType::Timestamp(..), DataType::Date32) | (DataType::Float64, DataType::Float32) => true,
        (from, to) if from.is_floating() => scale(to).is_some(),
        (from, to) => scale(from).zip(scale(to)).is_some_and(|(from, to)| from > to),
    }
}
