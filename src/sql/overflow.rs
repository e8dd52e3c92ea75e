//! What has to be done when types are known. Timestamps as text have a blank before the time of day, as in all engines.
//! Arithmetic of integers and decimals is checked: DataFusion's operators wrap integers, and give decimals more digits
//! than their type has and cut quotients, so the analyzer puts checked functions in their place.

use deltalake::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::Transformed;
use deltalake::datafusion::common::{DFSchema, Result};
use deltalake::datafusion::logical_expr::expr::ScalarFunction;
use deltalake::datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast};
use deltalake::datafusion::optimizer::AnalyzerRule;

use super::expressions::changed;
use super::functions::{checked, iso_time};

/// Spark has no unsigned integers, and its function takes none; here numbers of rows are unsigned.
const SIGNED_ONLY: &str = "xxhash64";

/// Runs behind type coercion, when both sides of an operator have one type.
#[derive(Debug)]
pub(super) struct CheckedIntegers;

impl AnalyzerRule for CheckedIntegers {
    fn name(&self) -> &'static str {
        "checked_integers"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| changed(plan, concerns, |expr, schema| Ok(check(expr, schema)))).map(|checked| checked.data)
    }
}

fn concerns(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(found) => found.field.data_type().is_string(),
        Expr::TryCast(found) => found.field.data_type().is_string(),
        Expr::BinaryExpr(binary) => binary.op.is_numerical_operators(),
        Expr::Negative(_) => true,
        Expr::ScalarFunction(call) => call.func.name() == SIGNED_ONLY,
        _ => false,
    }
}

fn check(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_integer = |expr: &Expr| expr.get_type(schema).is_ok_and(|found: DataType| found.is_integer());
    match expr {
        Expr::BinaryExpr(binary) if binary.op.is_numerical_operators() => {
            // Both sides have one type by now, and the right one is the shallow one of a chain.
            match binary.right.get_type(schema) {
                Ok(right) if right.is_integer() && (is_checked(&binary.left) || is_integer(&binary.left)) => match checked::binary(binary.op) {
                    Some(function) => Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*binary.left, *binary.right]))),
                    None => Transformed::no(Expr::BinaryExpr(binary)),
                },
                Ok(DataType::Decimal128(..)) if binary.op == Operator::Divide => quotient(binary, schema),
                Ok(DataType::Decimal128(..)) => full_decimal(Expr::BinaryExpr(binary), schema),
                _ => Transformed::no(Expr::BinaryExpr(binary)),
            }
        }
        Expr::Negative(value) if is_integer(&value) => {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(checked::negation(), vec![*value])))
        }
        Expr::ScalarFunction(mut call) if call.func.name() == SIGNED_ONLY => {
            call.args = call.args.into_iter().map(|argument| signed(argument, schema)).collect();
            Transformed::yes(Expr::ScalarFunction(call))
        }
        Expr::Cast(mut found) if is_text_of_time(&found.expr, found.field.data_type(), schema) => {
            Transformed::yes(text_of(&mut found.expr, found.field.data_type()))
        }
        Expr::TryCast(mut found) if is_text_of_time(&found.expr, found.field.data_type(), schema) => {
            Transformed::yes(text_of(&mut found.expr, found.field.data_type()))
        }
        other => Transformed::no(other),
    }
}

fn is_text_of_time(value: &Expr, meant: &DataType, schema: &DFSchema) -> bool {
    meant.is_string() && matches!(value.get_type(schema), Ok(DataType::Timestamp(..)))
}

fn signed(value: Expr, schema: &DFSchema) -> Expr {
    if matches!(value.get_type(schema), Ok(DataType::UInt64)) { cast(value, DataType::Int64) } else { value }
}

/// What stands beside it may be a text of another kind, such as tables give.
fn text_of(time: &mut Expr, meant: &DataType) -> Expr {
    let text = iso_time::text().call(vec![std::mem::take(time)]);
    if *meant == DataType::Utf8 { text } else { cast(text, meant.clone()) }
}

/// The quotient of decimals, which DataFusion cuts, with its last digit rounded: it is taken with one digit more.
fn quotient(mut binary: BinaryExpr, schema: &DFSchema) -> Transformed<Expr> {
    let whole = Expr::BinaryExpr(binary.clone());
    let types = (binary.left.get_type(schema), whole.get_type(schema));
    let (Ok(DataType::Decimal128(digits, scale)), Ok(meant @ DataType::Decimal128(most, places))) = types else {
        return full_decimal(whole, schema);
    };
    if digits >= DECIMAL128_MAX_PRECISION || most >= DECIMAL128_MAX_PRECISION {
        return full_decimal(whole, schema);
    }
    binary.left = Box::new(cast(*binary.left, DataType::Decimal128(digits + 1, scale + 1)));
    let longer = Expr::BinaryExpr(binary);
    match longer.get_type(schema) {
        Ok(DataType::Decimal128(_, found)) if found == places + 1 => Transformed::yes(cast(longer, meant)),
        _ => full_decimal(whole, schema),
    }
}

fn full_decimal(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    if matches!(expr.get_type(schema), Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, _))) {
        return Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(checked::decimal(), vec![expr])));
    }
    Transformed::no(expr)
}

/// Whether an expression is arithmetic of integers that is checked already.
fn is_checked(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if checked::is(&call.func))
}
