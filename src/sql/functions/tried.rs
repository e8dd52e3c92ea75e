//! `try_add`, `try_subtract` and `try_multiply` of Databricks: NULL where the result has no room, which is an error elsewhere.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, new_null_array};
use deltalake::arrow::compute::kernels::numeric::{add, mul, sub};
use deltalake::arrow::compute::{cast, concat};
use deltalake::arrow::datatypes::DataType;
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::common::Result;
use deltalake::datafusion::logical_expr::binary::BinaryTypeCoercer;
use deltalake::datafusion::logical_expr::{Operator, ScalarUDF, Signature, Volatility};

use super::plain::Plain;

type Kernel = fn(&ArrayRef, &ArrayRef) -> std::result::Result<ArrayRef, ArrowError>;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let signature = || Signature::any(2, Volatility::Immutable);
    vec![
        Plain {
            name: "try_add",
            signature: signature(),
            returns: |given| result(given, Operator::Plus),
            run: |columns| tried(columns, Operator::Plus, |left, right| add(left, right)),
        }
        .into_udf(),
        Plain {
            name: "try_subtract",
            signature: signature(),
            returns: |given| result(given, Operator::Minus),
            run: |columns| tried(columns, Operator::Minus, |left, right| sub(left, right)),
        }
        .into_udf(),
        Plain {
            name: "try_multiply",
            signature: signature(),
            returns: |given| result(given, Operator::Multiply),
            run: |columns| tried(columns, Operator::Multiply, |left, right| mul(left, right)),
        }
        .into_udf(),
    ]
}

fn result(given: &[DataType], operator: Operator) -> Result<DataType> {
    BinaryTypeCoercer::new(&given[0], &operator, &given[1]).get_result_type()
}

/// All rows at once, and where one of them has no room, one after the other.
fn tried(columns: &[ArrayRef], operator: Operator, kernel: Kernel) -> Result<ArrayRef> {
    let (left, right) = (columns[0].data_type(), columns[1].data_type());
    let meant = result(&[left.clone(), right.clone()], operator)?;
    let (first, second) = BinaryTypeCoercer::new(left, &operator, right).get_input_types()?;
    let (first, second) = (cast(&columns[0], &first)?, cast(&columns[1], &second)?);
    if let Ok(found) = kernel(&first, &second) {
        return Ok(cast(&found, &meant)?);
    }
    let one = |row: usize| match kernel(&first.slice(row, 1), &second.slice(row, 1)) {
        Ok(found) => Ok(cast(&found, &meant)?),
        Err(_) => Ok(new_null_array(&meant, 1)),
    };
    let rows = (0..first.len()).map(one).collect::<Result<Vec<ArrayRef>>>()?;
    Ok(concat(&rows.iter().map(AsRef::as_ref).collect::<Vec<_>>())?)
}
