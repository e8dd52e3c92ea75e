//! `date_trunc` of a date: in microseconds, as in Delta. DataFusion's gives nanoseconds, which end in the year 2262.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use deltalake::datafusion::common::{Result, plan_err};
use deltalake::datafusion::functions::datetime;
use deltalake::datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let inner = datetime::date_trunc();
    vec![Arc::new(ScalarUDF::from(DateTrunc { inner, aliases: vec!["datetrunc".into()], signature: Signature::user_defined(Volatility::Immutable) }))]
}

/// DataFusion's function, given timestamps in microseconds.
#[derive(Debug)]
struct DateTrunc {
    inner: Arc<ScalarUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

impl PartialEq for DateTrunc {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for DateTrunc {}

impl Hash for DateTrunc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &'static str {
        "date_trunc"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [_, value] = arguments else { return plan_err!("`date_trunc` takes a unit and a time, found {} arguments", arguments.len()) };
        let value = match value {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => value.clone(),
            DataType::Null | DataType::Date32 | DataType::Date64 | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            other => return plan_err!("`date_trunc` takes a date or a time, found {}", crate::sql::type_name(other)),
        };
        Ok(vec![DataType::Utf8, value])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }
}
