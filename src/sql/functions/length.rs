//! `len`: the letters of a text, the bytes of a binary value, the items of a list or map, as DuckDB and Spark count them.
//! DataFusion's `length` takes a list for its text. And `typeof`, the type under the name that users know.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::compute::kernels::length::length;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::{Result, exec_err, plan_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let type_of = |columns: &[ArrayRef]| -> Result<ArrayRef> {
        let name = type_name(columns[0].data_type());
        Ok(Arc::new(StringArray::from(vec![name; columns[0].len()])))
    };
    vec![
        Plain { name: "len", signature: Signature::any(1, Volatility::Immutable), returns, run }.into_udf(),
        Plain { name: "typeof", signature: Signature::any(1, Volatility::Immutable), returns: |_| Ok(DataType::Utf8), run: type_of }.into_udf(),
    ]
}

fn returns(arguments: &[DataType]) -> Result<DataType> {
    match &arguments[0] {
        DataType::Struct(_) | DataType::Union(..) => plan_err!("a value of type {} has no length", type_name(&arguments[0])),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => Ok(DataType::Int64),
        _ => Ok(DataType::Int32),
    }
}

fn run(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    match column.data_type() {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Ok(cast(&length(column.as_ref())?, &DataType::Int64)?),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => Ok(cast(&length(column.as_ref())?, &DataType::Int32)?),
        DataType::BinaryView => Ok(length(&cast(column, &DataType::Binary)?)?),
        DataType::Map(..) => {
            let map = column.as_map();
            Ok(Arc::new((0..map.len()).map(|row| map.is_valid(row).then(|| i64::from(map.value_length(row)))).collect::<Int64Array>()))
        }
        kind if kind.is_nested() => exec_err!("a value of type {} has no length", type_name(kind)),
        _ => {
            let texts = cast(column, &DataType::Utf8)?;
            let letters = |text: Option<&str>| text.map(|text| i32::try_from(text.chars().count()).unwrap_or(i32::MAX));
            Ok(Arc::new(texts.as_string::<i32>().iter().map(letters).collect::<Int32Array>()))
        }
    }
}
