//! `coalesce` as DataFusion has it, but that a date or timestamp may stand beside a text, which is read as one: people write
//! `coalesce(valid_to, '9999-12-31')`; and that bytes are bytes, however Arrow holds them.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::functions::core::coalesce::CoalesceFunc;
use deltalake::datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use deltalake::datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Coalesce {
    inner: CoalesceFunc,
}

pub(super) fn function() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Coalesce::default())));
    Arc::clone(&FUNCTION)
}

/// The time that texts beside times are read as; `None` where there are no times, no texts, or something else.
pub(in crate::sql) fn time_beside_text(types: &[DataType]) -> Option<DataType> {
    if !types.iter().any(DataType::is_string) || !types.iter().all(|found| found.is_string() || found.is_null() || is_time(found)) {
        return None;
    }
    let stamp = types.iter().find_map(|found| match found {
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        _ => None,
    });
    stamp.or_else(|| types.iter().find(|found| is_time(found)).cloned())
}

fn is_time(found: &DataType) -> bool {
    matches!(found, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

fn is_bytes(found: &DataType) -> bool {
    matches!(found, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

impl ScalarUDFImpl for Coalesce {
    fn name(&self) -> &'static str {
        "coalesce"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match time_beside_text(types) {
            Some(time) => Ok(vec![time; types.len()]),
            None if types.iter().any(is_bytes) && types.iter().all(|found| is_bytes(found) || found.is_null()) => {
                Ok(vec![DataType::Binary; types.len()])
            }
            None => self.inner.coerce_types(types),
        }
    }
}
