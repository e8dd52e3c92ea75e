//! The type of `round(decimal, digits)` follows from the digits where they are a literal, and DataFusion asks for it before and
//! after it gives the literal the type that the function takes. In between it is none, and what was made of the type by then
//! (of a `case`, say) is wrong. Runs before type coercion and gives the digits their type at once.

use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::Transformed;
use deltalake::datafusion::common::{Result, ScalarValue};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, lit};
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
        plan.transform_up_with_subqueries(|plan| expressions::changed(plan, rounds, |expr, _| Ok(typed(expr)))).map(|done| done.data)
    }
}

fn rounds(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == "round" && call.args.len() == 2)
}

fn typed(mut expr: Expr) -> Transformed<Expr> {
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
