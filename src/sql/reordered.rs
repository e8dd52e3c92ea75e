//! Casts that change the order of values: 3 stands before 23, and '23' before '3'. Where it knows the least and the greatest value
//! of a column, DataFusion takes what they are cast to for the least and the greatest of the cast, so that `min` and `max` of texts
//! of numbers would be wrong. Such casts are wrapped here when all else is done with a plan; behind the function nothing is known
//! of their values.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::datatypes::{DataType, FieldRef};
use deltalake::datafusion::common::tree_node::Transformed;
use deltalake::datafusion::common::{DFSchema, Result, internal_err};
use deltalake::datafusion::logical_expr::expr::ScalarFunction;
use deltalake::datafusion::logical_expr::expr_rewriter::NamePreserver;
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use deltalake::datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// See the module. Only projections pass on what is known of columns.
#[derive(Debug)]
pub(super) struct Reordered;

impl OptimizerRule for Reordered {
    fn name(&self) -> &'static str {
        "reordered"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        let LogicalPlan::Projection(projection) = plan else { return Ok(Transformed::no(plan)) };
        let schema = projection.input.schema();
        if !projection.expr.iter().any(|expr| is_reordered(expr, schema)) {
            return Ok(Transformed::no(LogicalPlan::Projection(projection)));
        }
        let wrapped = |expr: Expr| {
            if is_reordered(&expr, schema) {
                let name = names.save(&expr);
                name.restore(function(expr.unalias()))
            } else {
                expr
            }
        };
        let exprs = projection.expr.into_iter().map(wrapped).collect();
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&projection.input))?)))
    }
}

/// Whether an expression is casts and nothing else, of which one changes the order of values.
fn is_reordered(expr: &Expr, schema: &DFSchema) -> bool {
    let cast = match expr {
        Expr::Alias(alias) => return is_reordered(&alias.expr, schema),
        Expr::Cast(cast) => cast,
        _ => return false,
    };
    let keeps = cast.expr.get_type(schema).is_ok_and(|from| keeps_order(&from, cast.field.data_type()));
    !keeps || is_reordered(&cast.expr, schema)
}

/// Whether of two values the one that is no greater is cast to one that is no greater.
fn keeps_order(from: &DataType, to: &DataType) -> bool {
    from == to
        || from.is_string() && to.is_string()
        || (from.is_numeric() || *from == DataType::Boolean) && to.is_numeric()
        || has_day(from) && has_day(to)
}

fn has_day(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

fn function(value: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::from(AnyOrder { signature: Signature::any(1, Volatility::Immutable) })));
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&FUNCTION), vec![value]))
}

/// Its value as it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AnyOrder {
    signature: Signature,
}

impl ScalarUDFImpl for AnyOrder {
    fn name(&self) -> &'static str {
        "any_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [kind] = arguments else { return internal_err!("`any_order` takes one value") };
        Ok(kind.clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [field] = arguments.arg_fields else { return internal_err!("`any_order` takes one value") };
        Ok(Arc::clone(field))
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = arguments.args.pop() else { return internal_err!("`any_order` takes one value") };
        Ok(value)
    }
}
