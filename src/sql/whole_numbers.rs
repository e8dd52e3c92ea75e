//! Casts of fractions to whole numbers round where the adapter's engine does; DataFusion's cut. It is done to the plan of
//! each query by itself, because a view may have another meaning than the query that reads it.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _};
use deltalake::datafusion::common::{DFSchema, Result};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::functions::math;
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan};

use super::expressions::changed;
use super::semantics::{IntegerCasts, Semantics};

/// A plan as it comes from the planner, with casts that round as the session's SQL means them.
///
/// # Errors
/// If the plan is not sound.
pub fn rounded(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    match rounds_to_even(Semantics::of_session(state).casts) {
        Some(even) => plan
            .transform_up_with_subqueries(|plan| changed(plan, to_integer, |expr, schema| Ok(expression(expr, schema, even))))
            .map(|done| done.data),
        None => Ok(plan),
    }
}

/// An expression over columns, with casts that round as the session's SQL means them.
///
/// # Errors
/// What the planner says.
pub fn plan_expression(state: &SessionState, text: &str, schema: &DFSchema) -> Result<Expr> {
    let expr = state.create_logical_expr(text, schema)?;
    match rounds_to_even(Semantics::of_session(state).casts) {
        Some(even) => expr.transform_up(|expr| Ok(expression(expr, schema, even))).map(|done| done.data),
        None => Ok(expr),
    }
}

/// Whether the half of a double goes to the even side, not away from zero; `None` where casts cut.
fn rounds_to_even(casts: IntegerCasts) -> Option<bool> {
    match casts {
        IntegerCasts::Cut => None,
        IntegerCasts::HalfEven => Some(true),
        IntegerCasts::HalfAway => Some(false),
    }
}

fn expression(mut expr: Expr, schema: &DFSchema, even: bool) -> Transformed<Expr> {
    if !to_integer(&expr) {
        return Transformed::no(expr);
    }
    let value = match &mut expr {
        Expr::Cast(cast) => &mut cast.expr,
        Expr::TryCast(cast) => &mut cast.expr,
        _ => return Transformed::no(expr),
    };
    let function = match value.get_type(schema) {
        Ok(found) if found.is_floating() && even => datafusion_spark::function::math::rint(),
        Ok(found) if found.is_floating() || is_fraction(&found) => math::round(),
        _ => return Transformed::no(expr),
    };
    **value = function.call(vec![std::mem::take(value.as_mut())]);
    Transformed::yes(expr)
}

fn is_fraction(found: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    matches!(found, Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) | Decimal256(_, scale) if *scale > 0)
}

fn to_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => cast.field.data_type().is_integer(),
        Expr::TryCast(cast) => cast.field.data_type().is_integer(),
        _ => false,
    }
}
