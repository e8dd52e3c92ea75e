//! Operators between types that DataFusion does not bring together, and the names of types that it does not know.

use std::sync::Arc;

use datafusion_functions_json::udfs::json_as_text_udf;
use datafusion_spark::function::datetime as spark;
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue, SchemaError, TableReference};
use deltalake::datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr, TypePlanner};
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, cast, lit, when};
use deltalake::datafusion::sql::sqlparser::ast::{self, BinaryOperator};

use super::functions::multiplied_interval;
use super::semantics::{Division, Semantics};

/// Text beside a number is read as a number, as in Spark; a number times an interval; a date plus a number of days, or plus hours,
/// which is a timestamp;
/// the difference of two unsigned numbers, which may be negative; a truth value beside a number is 1 or 0, as in DuckDB and
/// Snowflake; and what [`Division`] says of whole numbers.
#[derive(Debug)]
pub(super) struct Operators {
    pub(super) division: Division,
    /// See [`Semantics::moved_dates_are_times`].
    pub(super) moved_dates_are_times: bool,
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if !is_arithmetic(&expr.op) && !is_comparison(&expr.op) {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        Ok(match (&expr.op, &left, &right) {
            (BinaryOperator::DuckIntegerDivide | BinaryOperator::MyIntegerDivide, left, right) if left.is_integer() && right.is_integer() => {
                PlannerResult::Original(RawBinaryExpr { op: BinaryOperator::Divide, ..expr })
            }
            (BinaryOperator::Divide, left, right) if self.division == Division::Fraction && left.is_integer() && right.is_integer() => {
                let double = |side| cast(side, DataType::Float64);
                PlannerResult::Original(with(expr, double, double))
            }
            (BinaryOperator::Multiply, DataType::Interval(_), number) if number.is_integer() => {
                PlannerResult::Planned(multiplied_interval().call(vec![expr.left, expr.right]))
            }
            (BinaryOperator::Multiply, number, DataType::Interval(_)) if number.is_integer() => {
                PlannerResult::Planned(multiplied_interval().call(vec![expr.right, expr.left]))
            }
            (BinaryOperator::Plus, DataType::Date32, days) if days.is_integer() => {
                PlannerResult::Planned(spark::date_add().call(vec![expr.left, cast(expr.right, DataType::Int32)]))
            }
            (BinaryOperator::Minus, DataType::Date32, days) if days.is_integer() => {
                PlannerResult::Planned(spark::date_sub().call(vec![expr.left, cast(expr.right, DataType::Int32)]))
            }
            (BinaryOperator::Minus, left, right) if left.is_unsigned_integer() && right.is_unsigned_integer() => {
                PlannerResult::Original(with(expr, |side| cast(side, DataType::Int64), |side| cast(side, DataType::Int64)))
            }
            (BinaryOperator::Plus | BinaryOperator::Minus, DataType::Date32, DataType::Interval(_))
                if self.moved_dates_are_times || has_time(&expr.right) =>
            {
                PlannerResult::Original(with(expr, at_midnight, same))
            }
            (BinaryOperator::Plus, DataType::Interval(_), DataType::Date32) if self.moved_dates_are_times || has_time(&expr.left) => {
                PlannerResult::Original(with(expr, same, at_midnight))
            }
            (op, DataType::Boolean, number) if is_comparison(op) && number.is_numeric() => {
                PlannerResult::Original(with(expr, |side| cast(side, DataType::Int64), same))
            }
            (op, number, DataType::Boolean) if is_comparison(op) && number.is_numeric() => {
                PlannerResult::Original(with(expr, same, |side| cast(side, DataType::Int64)))
            }
            (op, DataType::Boolean, text) if is_comparison(op) && text.is_string() => {
                PlannerResult::Original(with(expr, same, |side| cast(side, DataType::Boolean)))
            }
            (op, text, DataType::Boolean) if is_comparison(op) && text.is_string() => {
                PlannerResult::Original(with(expr, |side| cast(side, DataType::Boolean), same))
            }
            (_, text, number) if text.is_string() && number.is_numeric() => PlannerResult::Original(with(expr, |side| as_number(side, &right), same)),
            (_, number, text) if text.is_string() && number.is_numeric() => PlannerResult::Original(with(expr, same, |side| as_number(side, &left))),
            _ => PlannerResult::Original(expr),
        })
    }
}

/// `a || b`: a column that is not there is told with its place, by which it is looked for among the aliases; and two values that
/// are no texts, where the engine takes them for such.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) takes_for_texts: bool,
}

impl ExprPlanner for Joined {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        for side in [&expr.left, &expr.right] {
            side.apply(|part| match part {
                Expr::Column(column) if !schema.has_column(column) => {
                    let missing = SchemaError::FieldNotFound { field: Box::new(column.clone()), valid_fields: schema.columns() };
                    Err(DataFusionError::SchemaError(Box::new(missing), Box::new(None)))
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })?;
        }
        let is_value = |side: &Expr| side.get_type(schema).is_ok_and(|found| found.is_numeric() || found.is_temporal() || found == DataType::Boolean);
        if self.takes_for_texts && is_value(&expr.left) && is_value(&expr.right) {
            return Ok(PlannerResult::Original(with(expr, as_text, as_text)));
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn as_text(value: Expr) -> Expr {
    cast(value, DataType::Utf8)
}

fn with(expr: RawBinaryExpr, left: impl FnOnce(Expr) -> Expr, right: impl FnOnce(Expr) -> Expr) -> RawBinaryExpr {
    RawBinaryExpr { op: expr.op, left: left(expr.left), right: right(expr.right) }
}

fn same(expr: Expr) -> Expr {
    expr
}

/// A date that gets a time of day.
fn at_midnight(date: Expr) -> Expr {
    cast(date, DataType::Timestamp(TimeUnit::Microsecond, None))
}

/// Whether a stretch of time that is written out has hours, or less: a date has no room for them.
fn has_time(stretch: &Expr) -> bool {
    let in_hours = |part: &Expr| match part {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(stretch)), _) => stretch.nanoseconds != 0,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(stretch)), _) => stretch.milliseconds != 0,
        _ => false,
    };
    stretch.exists(|part| Ok(in_hours(part))).unwrap_or_default()
}

fn as_number(text: Expr, other: &DataType) -> Expr {
    cast(text, if other.is_integer() { DataType::Int64 } else { DataType::Float64 })
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, DuckIntegerDivide, Minus, Modulo, Multiply, MyIntegerDivide, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | DuckIntegerDivide | MyIntegerDivide | Modulo)
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq)
}

/// `list[0]` is the first item; before it there is none.
#[derive(Debug)]
pub(super) struct FromZero;

impl ExprPlanner for FromZero {
    fn plan_field_access(&self, access: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { expr, field_access } = access;
        let field_access = match field_access {
            GetFieldAccess::ListIndex { key } if is_list(&expr.get_type(schema)?) && key.get_type(schema)?.is_integer() => {
                GetFieldAccess::ListIndex { key: Box::new(from_one(*key)?) }
            }
            other => other,
        };
        Ok(PlannerResult::Original(RawFieldAccessExpr { expr, field_access }))
    }
}

/// `json['a']['b']`, `json[0]` and `json.a.b` of JSON, which is a text here: the value as text, as `json:a.b` gives it.
#[derive(Debug)]
pub(super) struct JsonFields {
    /// Whether a point behind a column leads into it; Snowflake has a colon there.
    pub(super) points: bool,
}

impl ExprPlanner for JsonFields {
    fn plan_field_access(&self, access: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let is_text = matches!(access.expr.get_type(schema)?, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let key = match &access.field_access {
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name.clone(), None),
            GetFieldAccess::ListIndex { key } => key.as_ref().clone(),
            GetFieldAccess::ListRange { .. } => return Ok(PlannerResult::Original(access)),
        };
        if !is_text {
            return Ok(PlannerResult::Original(access));
        }
        Ok(PlannerResult::Planned(json_as_text_udf().call(vec![access.expr, key])))
    }

    fn plan_compound_identifier(&self, field: &Field, qualifier: Option<&TableReference>, names: &[String]) -> Result<PlannerResult<Vec<Expr>>> {
        if !self.points || !field.data_type().is_string() {
            return Ok(PlannerResult::Original(Vec::new()));
        }
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name().clone()));
        let arguments = std::iter::once(column).chain(names.iter().map(|name| lit(name.as_str()))).collect();
        Ok(PlannerResult::Planned(json_as_text_udf().call(arguments)))
    }
}

fn is_list(found: &DataType) -> bool {
    matches!(found, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_) | DataType::LargeListView(_))
}

fn from_one(place: Expr) -> Result<Expr> {
    if let Expr::Literal(ScalarValue::Int64(Some(place)), _) = place {
        let place = if place < 0 { None } else { place.checked_add(1) };
        return Ok(Expr::Literal(ScalarValue::Int64(place), None));
    }
    when(place.clone().gt_eq(lit(0_i64)), place + lit(1_i64)).end()
}

/// Names of types beyond DataFusion's, by the dialect's one table of names; and `timestamp`, which has microseconds as in
/// Delta: nanoseconds end in the year 2262.
#[derive(Debug)]
pub(super) struct TypeNames {
    pub(super) semantics: Semantics,
}

impl TypePlanner for TypeNames {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        // Nested types are the planner's, but for maps, which it does not know; a decimal without digits is its affair too.
        let ours = match sql_type {
            ast::DataType::Array(_) | ast::DataType::Struct(..) => sql_type.to_string().to_lowercase().contains("map("),
            ast::DataType::Decimal(digits) | ast::DataType::Numeric(digits) | ast::DataType::Dec(digits) => {
                self.semantics.decimal.is_some() && *digits == ast::ExactNumberInfo::None
            }
            _ => true,
        };
        Ok(ours
            .then(|| self.semantics.parse_type(&sql_type.to_string()).ok())
            .flatten()
            .map(|found| Arc::new(Field::new("", found, true)) as FieldRef))
    }
}
