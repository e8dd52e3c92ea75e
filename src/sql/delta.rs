//! What a Delta table can hold: types, and names of columns.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use super::{SqlError, type_name};
use crate::base::Code;

/// A column whose values a Delta table has no type for.
#[must_use]
pub fn unholdable(column: &str, data_type: &DataType) -> SqlError {
    let help = match data_type {
        DataType::Decimal256(..) => "cast it to decimal(38, s)",
        _ => "cast it, e.g. to text or to a number of seconds",
    };
    let message = format!("column `{column}` is {}, which a Delta table can't hold", type_name(data_type));
    SqlError::new(Code::StorageFeature, message).help(help)
}

/// A column whose name a Delta table refuses, unless it maps its columns.
#[must_use]
pub fn unnameable(column: &str, table: &str) -> Option<SqlError> {
    const REFUSED: &str = " ,;{}()\n\t=";
    (column.is_empty() || column.contains(|letter| REFUSED.contains(letter))).then(|| {
        let message = format!("column `{column}` of `{table}` has a name that a Delta table can't hold");
        SqlError::new(Code::SqlInvalid, message).help("give it a name without spaces and without any of `,;{}()=` by `as`")
    })
}

/// The type in which Delta holds values of a type: unsigned integers widen, timestamps are microseconds, a column that
/// is always NULL is text. `None` where values would be lost.
#[must_use]
pub fn stored_type(data_type: &DataType) -> Option<DataType> {
    let item = |field: &Field| stored_type(field.data_type()).map(|data_type| Arc::new(Field::new(field.name(), data_type, true)));
    Some(match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Dictionary(_, value) => stored_type(value)?,
        DataType::RunEndEncoded(_, values) => stored_type(values.data_type())?,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => DataType::List(item(field)?),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| item(field)).collect::<Option<Fields>>()?),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return None };
            let [key, value] = pair.iter().collect::<Vec<_>>()[..] else { return None };
            let pair = Fields::from(vec![
                Field::new(key.name(), stored_type(key.data_type())?, false),
                Field::new(value.name(), stored_type(value.data_type())?, true),
            ]);
            DataType::Map(Arc::new(Field::new(entries.name(), DataType::Struct(pair), false)), *sorted)
        }
        DataType::Decimal256(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Union(..) => return None,
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Decimal128(..) => data_type.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_lose_their_range() {
        assert_eq!(stored_type(&DataType::UInt8), Some(DataType::Int16));
        assert_eq!(stored_type(&DataType::UInt32), Some(DataType::Int64));
        assert_eq!(stored_type(&DataType::Timestamp(TimeUnit::Nanosecond, None)), Some(DataType::Timestamp(TimeUnit::Microsecond, None)));
        assert_eq!(stored_type(&DataType::Time64(TimeUnit::Microsecond)), None);
    }
}
