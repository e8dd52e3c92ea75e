//! Functions that give something else in the engine of an adapter, in place of those of the same name.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray};
use deltalake::arrow::buffer::NullBuffer;
use deltalake::arrow::compute::kernels::cmp::eq;
use deltalake::arrow::compute::{binary, nullif, unary};
use deltalake::arrow::datatypes::{DataType, FieldRef, Float64Type};
use deltalake::datafusion::common::{Result, ScalarValue};
use deltalake::datafusion::functions::{core, string};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::plain::Plain;
use crate::sql::semantics::{Logarithm, NullArguments, Semantics};

/// What differs from the dialect's own functions.
pub(super) fn functions(semantics: Semantics) -> Vec<Arc<ScalarUDF>> {
    static GREATEST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Strict::of(core::greatest()));
    static LEAST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Strict::of(core::least()));
    static CONCAT_WS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Strict::of(string::concat_ws()));
    static NATURAL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| logarithm(base_first));
    static NATURAL_BASE_LAST: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| logarithm(base_last));
    let mut found = Vec::new();
    match semantics.concat {
        NullArguments::Skipped => {}
        NullArguments::Decide => found.push(datafusion_spark::function::string::concat()),
    }
    match semantics.greatest {
        NullArguments::Skipped => {}
        NullArguments::Decide => found.extend([Arc::clone(&GREATEST), Arc::clone(&LEAST)]),
    }
    match semantics.concat_ws {
        NullArguments::Skipped => {}
        NullArguments::Decide => found.push(Arc::clone(&CONCAT_WS)),
    }
    match semantics.logarithm {
        Logarithm::Ten => {}
        Logarithm::Natural => found.push(Arc::clone(&NATURAL)),
        Logarithm::NaturalBaseLast => found.push(Arc::clone(&NATURAL_BASE_LAST)),
    }
    found
}

/// A function that gives NULL where any of its arguments is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Strict {
    inner: Arc<ScalarUDF>,
}

impl Strict {
    fn of(inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self { inner }))
    }
}

impl ScalarUDFImpl for Strict {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let found = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(found.as_ref().clone().with_nullable(nullable)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let known = columns.iter().fold(None, |known: Option<NullBuffer>, column| NullBuffer::union(known.as_ref(), column.logical_nulls().as_ref()));
        let found = self.inner.invoke_with_args(args)?;
        let Some(known) = known else { return Ok(found) };
        let unknown = BooleanArray::new(!known.inner(), None);
        let found = found.into_array(unknown.len())?;
        Ok(ColumnarValue::Array(nullif(&found, &unknown)?))
    }
}

/// A number that is NULL where it is zero, for what is divided by it. It is no `nullif`, of which users are told that it makes NULLs:
/// here nobody has said that there are zeros.
pub(in crate::sql) fn unless_zero() -> &'static Arc<ScalarUDF> {
    static UNLESS_ZERO: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::numeric(1, Volatility::Immutable);
        let run = |columns: &[ArrayRef]| {
            let zero = ScalarValue::new_zero(columns[0].data_type())?.to_scalar()?;
            Ok(nullif(&columns[0], &eq(&columns[0], &zero)?)?)
        };
        Plain { name: "_unless_zero", signature, returns: |types| Ok(types[0].clone()), run }.into_udf()
    });
    &UNLESS_ZERO
}

/// `log` of doubles, natural where there is no base.
fn logarithm(run: fn(&[ArrayRef]) -> Result<ArrayRef>) -> Arc<ScalarUDF> {
    let numbers = |count: usize| TypeSignature::Exact(vec![DataType::Float64; count]);
    let signature = Signature::one_of(vec![numbers(1), numbers(2)], Volatility::Immutable);
    Plain { name: "log", signature, returns: |_| Ok(DataType::Float64), run }.into_udf()
}

fn base_first(columns: &[ArrayRef]) -> Result<ArrayRef> {
    match columns {
        [base, value] => by_base(value, base),
        _ => Ok(natural(&columns[0])),
    }
}

fn base_last(columns: &[ArrayRef]) -> Result<ArrayRef> {
    match columns {
        [value, base] => by_base(value, base),
        _ => Ok(natural(&columns[0])),
    }
}

fn natural(values: &ArrayRef) -> ArrayRef {
    Arc::new(unary::<_, _, Float64Type>(values.as_primitive::<Float64Type>(), f64::ln))
}

fn by_base(values: &ArrayRef, bases: &ArrayRef) -> Result<ArrayRef> {
    let (values, bases) = (values.as_primitive::<Float64Type>(), bases.as_primitive::<Float64Type>());
    Ok(Arc::new(binary::<_, _, _, Float64Type>(values, bases, f64::log)?))
}
