//! Numbers as the adapter's engine has them: casts of fractions to whole numbers that round, where DataFusion's cut; division
//! by zero that gives NULL; fractions as texts; and texts that become times, whose zone some engines pass over. It is done to the plan of each query by itself, because a view may have another
//! meaning than the query that reads it.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _};
use deltalake::datafusion::common::{DFSchema, Result, ScalarValue};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::functions::math;
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, Operator};

use super::expressions::changed;
use super::functions::{iso_time, number_text, unless_zero};
use super::semantics::{IntegerCasts, Quotients, Semantics};

/// A plan as it comes from the planner, with numbers as the session's SQL means them.
///
/// # Errors
/// If the plan is not sound.
pub fn settled(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let semantics = Semantics::of_session(state);
    if !differs(&semantics) {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|plan| changed(plan, may_concern, |expr, schema| Ok(expression(expr, schema, &semantics))))
        .map(|done| done.data)
}

/// An expression over columns, with numbers as the session's SQL means them.
///
/// # Errors
/// What the planner says.
pub fn plan_expression(state: &SessionState, text: &str, schema: &DFSchema) -> Result<Expr> {
    let semantics = Semantics::of_session(state);
    let expr = state.create_logical_expr(text, schema)?;
    if !differs(&semantics) {
        return Ok(expr);
    }
    expr.transform_up(|expr| Ok(expression(expr, schema, &semantics))).map(|done| done.data)
}

/// Whether anything is to be done at all.
fn differs(semantics: &Semantics) -> bool {
    let own = Semantics::default();
    let of = |semantics: &Semantics| (semantics.casts, semantics.by_zero, semantics.number_texts, semantics.drops_offsets);
    of(semantics) != of(&own)
}

fn may_concern(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => is_concerned(cast.field.data_type()),
        Expr::TryCast(cast) => is_concerned(cast.field.data_type()),
        Expr::BinaryExpr(binary) => matches!(binary.op, Operator::Divide | Operator::Modulo | Operator::StringConcat),
        Expr::ScalarFunction(call) => joins_texts(call.func.name()),
        _ => false,
    }
}

fn is_concerned(found: &DataType) -> bool {
    found.is_integer() || found.is_string() || matches!(found, DataType::Timestamp(_, None))
}

fn joins_texts(name: &str) -> bool {
    matches!(name, "concat" | "concat_ws")
}

fn expression(mut expr: Expr, schema: &DFSchema, semantics: &Semantics) -> Transformed<Expr> {
    let done = match &mut expr {
        Expr::Cast(found) => cast_value(&mut found.expr, found.field.data_type(), schema, semantics),
        Expr::TryCast(found) => cast_value(&mut found.expr, found.field.data_type(), schema, semantics),
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
            as_text(&mut binary.left, schema, semantics) | as_text(&mut binary.right, schema, semantics)
        }
        Expr::BinaryExpr(binary) if matches!(binary.op, Operator::Divide | Operator::Modulo) => match semantics.by_zero {
            Quotients::Plain => false,
            Quotients::Null => not_by_zero(&mut binary.right, schema),
        },
        Expr::ScalarFunction(call) if joins_texts(call.func.name()) => {
            call.args.iter_mut().fold(false, |done, argument| done | as_text(argument, schema, semantics))
        }
        _ => false,
    };
    if done { Transformed::yes(expr) } else { Transformed::no(expr) }
}

fn cast_value(value: &mut Expr, meant: &DataType, schema: &DFSchema, semantics: &Semantics) -> bool {
    if meant.is_string() {
        return as_text(value, schema, semantics);
    }
    if matches!(meant, DataType::Timestamp(_, None)) {
        return semantics.drops_offsets && as_wall_time(value, schema);
    }
    let even = match semantics.casts {
        IntegerCasts::HalfEven => true,
        IntegerCasts::HalfAway => false,
        IntegerCasts::Cut => return false,
    };
    if !meant.is_integer() {
        return false;
    }
    let function = match value.get_type(schema) {
        // The half of a double goes to the even side, or away from zero as that of a decimal.
        Ok(found) if found.is_floating() && even => datafusion_spark::function::math::rint(),
        Ok(found) if found.is_floating() || is_fraction(&found) => math::round(),
        _ => return false,
    };
    *value = function.call(vec![std::mem::take(value)]);
    true
}

/// A double that becomes a text.
fn as_text(value: &mut Expr, schema: &DFSchema, semantics: &Semantics) -> bool {
    let Some(function) = number_text::function(semantics.number_texts) else { return false };
    if !matches!(value.get_type(schema), Ok(found) if found.is_floating()) {
        return false;
    }
    *value = function.call(vec![std::mem::take(value)]);
    true
}

/// A text that becomes a timestamp without a zone.
fn as_wall_time(value: &mut Expr, schema: &DFSchema) -> bool {
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = value {
        let found = iso_time::without_zone(text);
        let changed = found.is_some();
        if let Some(found) = found {
            *text = found;
        }
        return changed;
    }
    if !value.get_type(schema).is_ok_and(|found| found.is_string()) {
        return false;
    }
    *value = iso_time::wall_time().call(vec![std::mem::take(value)]);
    true
}

/// A divisor that is NULL where it is zero.
fn not_by_zero(divisor: &mut Expr, schema: &DFSchema) -> bool {
    let Ok(found) = divisor.get_type(schema) else { return false };
    let is_number = found.is_integer() || found.is_floating() || found.is_decimal();
    if !is_number || matches!(divisor, Expr::Literal(value, _) if !is_zero(value)) || is_guarded(divisor) {
        return false;
    }
    *divisor = unless_zero().call(vec![std::mem::take(divisor)]);
    true
}

fn is_zero(value: &ScalarValue) -> bool {
    ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
}

/// What the user wrote as `nullif(x, 0)`.
fn is_guarded(divisor: &Expr) -> bool {
    let Expr::ScalarFunction(call) = divisor else { return false };
    call.func.name() == "nullif" && matches!(call.args.get(1), Some(Expr::Literal(value, _)) if is_zero(value))
}

fn is_fraction(found: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    matches!(found, Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) | Decimal256(_, scale) if *scale > 0)
}
