//! Integer arithmetic that is an error where the result has no room, in place of operators that wrap.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, LazyLock};

use deltalake::arrow::array::{Array, ArrayRef, AsArray as _, Datum};
use deltalake::arrow::compute::kernels::numeric;
use deltalake::arrow::datatypes::{DataType, Decimal128Type};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::common::{DataFusionError, Result, exec_datafusion_err, exec_err, internal_err};
use deltalake::datafusion::logical_expr::{ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use deltalake::datafusion::physical_expr_common::datum::apply;

use super::plain::Plain;
use crate::sql::type_name;

/// The operation of a checked function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

/// The function for an operator of two integers of one type; `None` where the operator can't overflow unnoticed.
pub(in crate::sql) fn binary(operator: Operator) -> Option<Arc<ScalarUDF>> {
    Some(match operator {
        Operator::Plus => function(Operation::Add, 2),
        Operator::Minus => function(Operation::Subtract, 2),
        Operator::Multiply => function(Operation::Multiply, 2),
        _ => return None,
    })
}

/// The function around arithmetic of decimals that have all the digits there are: a number with more of them is an error.
pub(in crate::sql) fn decimal() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        Plain {
            name: "checked_decimal",
            signature: Signature::any(1, Volatility::Immutable),
            returns: |arguments| Ok(arguments[0].clone()),
            run: |columns| {
                if let (Some(values), DataType::Decimal128(precision, scale)) =
                    (columns[0].as_primitive_opt::<Decimal128Type>(), columns[0].data_type())
                    && values.validate_decimal_precision(*precision).is_err()
                {
                    return exec_err!("decimal overflow: a result is out of range for DECIMAL({precision},{scale})");
                }
                Ok(Arc::clone(&columns[0]))
            },
        }
        .into_udf()
    });
    Arc::clone(&FUNCTION)
}

/// Whether a function is arithmetic of integers that is checked.
pub(in crate::sql) fn is(function: &ScalarUDF) -> bool {
    (function.inner().as_ref() as &dyn std::any::Any).is::<Checked>()
}

/// The function for a minus sign before an integer.
pub(in crate::sql) fn negation() -> Arc<ScalarUDF> {
    function(Operation::Negate, 1)
}

fn function(operation: Operation, arguments: usize) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Checked { operation, signature: Signature::any(arguments, Volatility::Immutable) }))
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    /// The name of a long chain is short: written out for every link it would take the cube of its length.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        if is_deep(args) {
            let mut hasher = DefaultHasher::new();
            args.hash(&mut hasher);
            return Ok(format!("{}(#{:016x})", self.name(), hasher.finish()));
        }
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.name(), names.join(",")))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_type().clone();
        let result = match (self.operation, args.args.as_slice()) {
            (Operation::Add, [left, right]) => apply(left, right, numeric::add),
            (Operation::Subtract, [left, right]) => apply(left, right, numeric::sub),
            (Operation::Multiply, [left, right]) => apply(left, right, numeric::mul),
            (Operation::Negate, [value]) => apply(value, value, negate),
            (operation, arguments) => internal_err!("{operation:?} of {} arguments", arguments.len()),
        };
        result.map_err(|error| explained(error, &data_type))
    }
}

/// Whether a chain of checked operators is longer than what one writes by hand.
fn is_deep(args: &[Expr]) -> bool {
    const LONG: usize = 16;
    let mut at = args.first();
    for _ in 0..LONG {
        at = match at {
            Some(Expr::ScalarFunction(call)) => call.args.first(),
            Some(Expr::BinaryExpr(binary)) => Some(&binary.left),
            Some(Expr::Cast(inner)) => Some(&inner.expr),
            _ => return false,
        };
    }
    true
}

fn negate(value: &dyn Datum, _same: &dyn Datum) -> std::result::Result<ArrayRef, ArrowError> {
    numeric::neg(value.get().0 as &dyn Array)
}

fn explained(error: DataFusionError, data_type: &DataType) -> DataFusionError {
    match error.to_string().split_once("Overflow happened on: ") {
        Some((_, what)) => exec_datafusion_err!("integer overflow: `{}` is out of range for {}", what.trim(), type_name(data_type)),
        None => error,
    }
}
