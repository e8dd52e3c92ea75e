//! `generate_series` and `range` as lists, of a date and a timestamp too: a date that was moved is a timestamp with some adapters.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::common::types::{NativeType, logical_date, logical_interval_mdn};
use deltalake::datafusion::functions_nested::range;
use deltalake::datafusion::logical_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, TypeSignatureClass,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [range::gen_series_udf(), range::range_udf()].map(|function| Arc::new(ScalarUDF::from(Series::of(function)))).to_vec()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    function: Arc<ScalarUDF>,
    signature: Signature,
}

impl Series {
    fn of(function: Arc<ScalarUDF>) -> Self {
        let from_date = vec![TypeSignatureClass::Native(logical_date())];
        let moment = Coercion::new_implicit(TypeSignatureClass::Timestamp, from_date, NativeType::Timestamp(TimeUnit::Microsecond, None));
        let mdn = TypeSignatureClass::Native(logical_interval_mdn());
        let step = Coercion::new_implicit(mdn, vec![TypeSignatureClass::Interval], NativeType::Interval(IntervalUnit::MonthDayNano));
        let own = function.signature().clone();
        let mixed = TypeSignature::Coercible(vec![moment.clone(), moment, step]);
        let signature = Signature::one_of(vec![own.type_signature, mixed], own.volatility);
        Self { function, signature }
    }
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.inner().return_type(arguments)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.inner().invoke_with_args(args)
    }
}
