//! `cast_of(cast(x as t), 't')`: a cast under a name of its own. To the planner a cast is called as what it casts, so that
//! `max(x::text)` and `max(x)` can't stand in one list; the optimizer takes the call out again.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, FieldRef};
use deltalake::datafusion::common::{Result, internal_datafusion_err};
use deltalake::datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(in crate::sql) const NAME: &str = "cast_of";

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::from(CastOf { signature: Signature::any(2, Volatility::Immutable) }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CastOf {
    signature: Signature,
}

impl ScalarUDFImpl for CastOf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_name(NAME)))
    }

    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        args.into_iter().next().map(ExprSimplifyResult::Simplified).ok_or_else(|| internal_datafusion_err!("`{NAME}` without an argument"))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args[0].clone())
    }
}
