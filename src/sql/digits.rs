//! Whole numbers that are written down and decide the type of a decimal, given the type that they are meant to have. Runs before
//! type coercion.
//!
//! - `round(decimal, digits)`: DataFusion asks for the type of the result before and after it gives the digits the type that the
//!   function takes. In between it is none, and what was made of the type by then (of a `case`, say) is wrong.
//! - `coalesce(decimal, 0)`, `case .. then decimal else 0 end`: a literal that a decimal has room for does not widen it, as in DuckDB.
//!   By itself `0` is a BIGINT, and beside it DECIMAL(18, 2) would become DECIMAL(22, 2).

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _};
use deltalake::datafusion::common::{DFSchema, Result, ScalarValue};
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, lit};
use deltalake::datafusion::optimizer::AnalyzerRule;

use super::expressions;

/// See the module.
#[derive(Debug)]
pub(super) struct Digits;

impl AnalyzerRule for Digits {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut changed = false;
        // The columns of a recursive query have the types that its first term had when it was planned.
        let recursive = plan.exists(|plan| Ok(matches!(plan, LogicalPlan::RecursiveQuery(_))))?;
        plan.transform_up_with_subqueries(|plan| {
            let done = match plan {
                // Its columns have types of their own.
                LogicalPlan::Values(_) => Transformed::no(plan),
                plan if recursive => expressions::changed(plan, rounds, |expr, _| Ok(rounded(expr)))?,
                plan => expressions::changed(plan, may_concern, |expr, schema| Ok(typed(expr, schema)))?,
            };
            changed |= done.transformed;
            // What reads it may have other types now.
            if changed { done.data.recompute_schema().map(Transformed::yes) } else { Ok(done) }
        })
        .map(|done| done.data)
    }
}

fn may_concern(expr: &Expr) -> bool {
    rounds(expr) || values(expr).iter().any(|value| whole_literal(value).is_some())
}

fn rounds(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == "round" && call.args.len() == 2)
}

/// `round` with digits of the type that it takes.
fn rounded(mut expr: Expr) -> Transformed<Expr> {
    if rounds(&expr)
        && let Expr::ScalarFunction(call) = &mut expr
        && let Some(digits) = call.args.get_mut(1)
        && let Some(number) = number(digits)
    {
        *digits = lit(number);
        return Transformed::yes(expr);
    }
    Transformed::no(expr)
}

fn typed(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    if rounds(&expr) {
        return rounded(expr);
    }
    let mut expr = expr;
    let Some((precision, scale)) = decimal_of(&values(&expr), schema) else { return Transformed::no(expr) };
    let mut done = false;
    for value in values_mut(&mut expr) {
        let fitting = whole_literal(value).and_then(|number| as_decimal(number, precision, scale));
        if let Some(fitting) = fitting {
            *value = fitting;
            done = true;
        }
    }
    Transformed::new_transformed(expr, done)
}

/// The number that an expression is, where it is written down.
fn number(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => i32::try_from(*number).ok(),
        Expr::Literal(ScalarValue::Int32(Some(number)), _) => Some(*number),
        Expr::Negative(inner) => number(inner)?.checked_neg(),
        Expr::Cast(cast) if cast.field.data_type().is_integer() => number(&cast.expr),
        _ => None,
    }
}

/// A whole number as it stands in a text; one that is cast has the type that its writer gave it.
fn whole_literal(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => Some(i128::from(*number)),
        Expr::Negative(inner) => whole_literal(inner)?.checked_neg(),
        _ => None,
    }
}

/// What an expression gives one of.
fn values(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Case(case) => case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref()).collect(),
        Expr::ScalarFunction(call) if gives_one(call.func.name()) => call.args.iter().collect(),
        _ => Vec::new(),
    }
}

fn values_mut(expr: &mut Expr) -> Vec<&mut Expr> {
    match expr {
        Expr::Case(case) => case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut()).chain(case.else_expr.as_deref_mut()).collect(),
        Expr::ScalarFunction(call) if gives_one(call.func.name()) => call.args.iter_mut().collect(),
        _ => Vec::new(),
    }
}

fn gives_one(name: &str) -> bool {
    matches!(name, "coalesce" | "nvl" | "ifnull" | "greatest" | "least")
}

/// The type of the decimals among values, if all that are no whole literals have one, or are NULL.
fn decimal_of(values: &[&Expr], schema: &DFSchema) -> Option<(u8, i8)> {
    let mut found: Option<(u8, i8)> = None;
    for value in values.iter().filter(|value| whole_literal(value).is_none()) {
        match value.get_type(schema).ok()? {
            DataType::Null => {}
            DataType::Decimal128(precision, scale) if found.is_none_or(|known| known == (precision, scale)) => found = Some((precision, scale)),
            _ => return None,
        }
    }
    found
}

fn as_decimal(number: i128, precision: u8, scale: i8) -> Option<Expr> {
    let digits = u32::from(precision);
    let scaled = number.checked_mul(10_i128.checked_pow(u32::try_from(scale).ok()?)?)?;
    let has_room = digits >= 39 || scaled.unsigned_abs() < 10_u128.checked_pow(digits)?;
    has_room.then_some(Expr::Literal(ScalarValue::Decimal128(Some(scaled), precision, scale), None))
}
