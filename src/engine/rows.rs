//! Arrow rows as plain values, for `run_query`, `show` and `sql`.
//!
//! Integers and floats become numbers (not finite ones become text), decimals become text that keeps every digit,
//! dates and timestamps ISO 8601 text, lists arrays, structs and maps with text keys objects.

use deltalake::arrow::array::{Array, AsArray, RecordBatch};
use deltalake::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use deltalake::arrow::error::ArrowError;
use deltalake::arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use serde_json::Value as Json;

/// The rows of a batch, each a list of values in the order of the columns.
///
/// # Errors
/// If a value has no text form.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<Vec<Json>>, ArrowError> {
    let columns = batch.columns().iter().map(|column| json_column(column.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    Ok((0..batch.num_rows()).map(|_| columns.iter_mut().map(|column| column.next().unwrap_or(Json::Null)).collect()).collect())
}

fn json_column(array: &dyn Array) -> Result<Vec<Json>, ArrowError> {
    macro_rules! numbers {
        ($kind:ty) => {
            array.as_primitive::<$kind>().iter().map(|value| value.map_or(Json::Null, Json::from)).collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Null => vec![Json::Null; array.len()],
        DataType::Boolean => array.as_boolean().iter().map(|value| value.map_or(Json::Null, Json::from)).collect(),
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| value.map_or(Json::Null, |value| float(f64::from(value), &value.to_string())))
            .collect(),
        DataType::Float64 => {
            array.as_primitive::<Float64Type>().iter().map(|value| value.map_or(Json::Null, |value| float(value, &value.to_string()))).collect()
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (0..list.len())
                .map(|at| if list.is_null(at) { Ok(Json::Null) } else { json_column(list.value(at).as_ref()).map(Json::Array) })
                .collect::<Result<_, _>>()?
        }
        DataType::Map(..) => maps(array)?,
        DataType::Struct(fields) => structs(array, fields)?,
        _ => texts(array)?,
    })
}

fn float(value: f64, text: &str) -> Json {
    serde_json::Number::from_f64(value).map_or_else(|| Json::from(text), Json::Number)
}

fn structs(array: &dyn Array, fields: &deltalake::arrow::datatypes::Fields) -> Result<Vec<Json>, ArrowError> {
    let data = array.as_struct();
    let columns = data.columns().iter().map(|column| json_column(column.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let row = |at: usize| {
        fields.iter().zip(&columns).map(|(field, column)| (field.name().clone(), column.get(at).cloned().unwrap_or(Json::Null))).collect()
    };
    Ok((0..data.len()).map(|at| if data.is_null(at) { Json::Null } else { Json::Object(row(at)) }).collect())
}

/// A map with text keys is an object, any other a list of pairs.
fn maps(array: &dyn Array) -> Result<Vec<Json>, ArrowError> {
    let map = array.as_map();
    let one = |at: usize| -> Result<Json, ArrowError> {
        if map.is_null(at) {
            return Ok(Json::Null);
        }
        let entries = map.value(at);
        let (keys, values) = (json_column(entries.column(0).as_ref())?, json_column(entries.column(1).as_ref())?);
        if keys.iter().all(Json::is_string) {
            return Ok(Json::Object(keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).zip(values).collect()));
        }
        Ok(Json::Array(keys.into_iter().zip(values).map(|(key, value)| Json::Array(vec![key, value])).collect()))
    };
    (0..map.len()).map(one).collect()
}

fn texts(array: &dyn Array) -> Result<Vec<Json>, ArrowError> {
    let options = FormatOptions::new().with_duration_format(DurationFormat::ISO8601);
    let formatter = ArrayFormatter::try_new(array, &options)?;
    (0..array.len()).map(|at| if array.is_null(at) { Ok(Json::Null) } else { formatter.value(at).try_to_string().map(Json::from) }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake::arrow::array::{ArrayRef, Decimal128Array, Float64Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn values_keep_their_digits() {
        let decimals = Decimal128Array::from(vec![Some(12_345), None]).with_precision_and_scale(20, 2).unwrap();
        let times = TimestampMicrosecondArray::from(vec![Some(0), Some(1_500_000)]);
        let floats = Float64Array::from(vec![Some(f64::NAN), Some(0.5)]);
        let columns: Vec<(&str, ArrayRef)> = vec![("d", Arc::new(decimals)), ("t", Arc::new(times)), ("f", Arc::new(floats))];
        let rows = json_rows(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        assert_eq!(serde_json::to_string(&rows).unwrap(), r#"[["123.45","1970-01-01T00:00:00","NaN"],[null,"1970-01-01T00:00:01.500",0.5]]"#);
    }
}
