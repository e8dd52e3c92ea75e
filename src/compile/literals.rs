//! What a column's numbers need, whatever type the planner gives them: a literal `1` is planned as BIGINT and fits into
//! any integer, and what is made of literals and narrower columns fits into what those fit into.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, Operator};

/// The least that the values of a column need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// An integer of so many bytes.
    Integer(usize),
    /// A number with so many digits behind the point.
    Fraction(usize),
    /// What its type says.
    Type,
    /// What its type says, which another engine might have reckoned in another one: it is a sum, a quotient and the like, and
    /// neither a column of a table nor cast to that type.
    Reckoned,
}

/// What each column of a plan needs.
pub(super) fn needs(plan: &LogicalPlan) -> Vec<Need> {
    (0..plan.schema().fields().len()).map(|at| column(plan, at)).collect()
}

/// Whether values that need no more can be cast to a type without loss.
pub(super) fn fits(need: Need, found: &DataType, wanted: &DataType) -> bool {
    match (found, wanted) {
        (DataType::Null, _) => true,
        (DataType::List(found), DataType::List(wanted)) => fits(need, found.data_type(), wanted.data_type()),
        _ => match need {
            Need::Integer(bytes) => integer_fits(bytes, wanted),
            Need::Fraction(digits) => match wanted {
                DataType::Float64 => true,
                DataType::Decimal128(_, scale) => usize::try_from(*scale).is_ok_and(|scale| digits <= scale),
                _ => false,
            },
            Need::Type | Need::Reckoned => {
                found.is_integer() && found.primitive_width().is_some_and(|bytes| wanted.is_integer() && integer_fits(bytes, wanted))
            }
        },
    }
}

fn integer_fits(bytes: usize, wanted: &DataType) -> bool {
    match wanted {
        DataType::Float64 => bytes <= 4,
        // 3, 5, 10 and 19 digits.
        DataType::Decimal128(precision, scale) => {
            [(1, 3), (2, 5), (4, 10), (8, 19)].iter().any(|(width, digits)| *width == bytes && i16::from(*precision) - i16::from(*scale) >= *digits)
                || bytes == 1 && precision > &0
        }
        wanted => wanted.is_integer() && wanted.primitive_width().is_some_and(|width| bytes <= width),
    }
}

fn column(plan: &LogicalPlan, at: usize) -> Need {
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.get(at).map_or(Need::Type, |expr| value(expr, &projection.input)),
        LogicalPlan::SubqueryAlias(alias) => column(&alias.input, at),
        LogicalPlan::Filter(filter) => column(&filter.input, at),
        LogicalPlan::Sort(sort) => column(&sort.input, at),
        LogicalPlan::Limit(limit) => column(&limit.input, at),
        LogicalPlan::Distinct(Distinct::All(input)) => column(input, at),
        LogicalPlan::Union(union) => union.inputs.iter().map(|input| column(input, at)).reduce(most).unwrap_or(Need::Type),
        LogicalPlan::Join(join) if matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) => {
            let left = join.left.schema().fields().len();
            if at < left { column(&join.left, at) } else { column(&join.right, at - left) }
        }
        LogicalPlan::Values(values) => {
            values.values.iter().filter_map(|row| row.get(at)).map(|expr| value(expr, plan)).reduce(most).unwrap_or(Need::Type)
        }
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.get(at) {
            Some(expr) if !matches!(expr, Expr::GroupingSet(_)) => value(expr, &aggregate.input),
            Some(_) => by_type(plan, at),
            None => reckoned(by_type(plan, at)),
        },
        LogicalPlan::Window(window) => {
            if at < window.input.schema().fields().len() {
                column(&window.input, at)
            } else {
                reckoned(by_type(plan, at))
            }
        }
        other => by_type(other, at),
    }
}

fn by_type(plan: &LogicalPlan, at: usize) -> Need {
    plan.schema().fields().get(at).map_or(Need::Type, |field| of_type(field.data_type()))
}

fn reckoned(need: Need) -> Need {
    if need == Need::Type { Need::Reckoned } else { need }
}

fn value(expr: &Expr, input: &LogicalPlan) -> Need {
    match expr {
        Expr::Alias(alias) => value(&alias.expr, input),
        Expr::Literal(literal, _) => of_literal(literal),
        Expr::Negative(inner) => value(inner, input),
        Expr::Column(name) => input.schema().maybe_index_of_column(name).map_or(Need::Type, |at| column(input, at)),
        Expr::Cast(cast) => of_type(cast.field.data_type()),
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
            branches.map(|branch| value(branch, input)).reduce(most).unwrap_or(Need::Type)
        }
        Expr::BinaryExpr(binary) if matches!(binary.op, Operator::Plus | Operator::Minus | Operator::Multiply) => {
            match most(value(&binary.left, input), value(&binary.right, input)) {
                // Sums of small numbers are not small; an overflow at writing is an error.
                Need::Integer(bytes) => Need::Integer(bytes.max(4)),
                Need::Fraction(_) | Need::Type | Need::Reckoned => Need::Reckoned,
            }
        }
        Expr::ScalarFunction(call) if ["make_array", "coalesce"].contains(&call.name()) => {
            call.args.iter().map(|arg| value(arg, input)).reduce(most).unwrap_or(Need::Type)
        }
        _ => Need::Reckoned,
    }
}

fn of_type(data_type: &DataType) -> Need {
    data_type.primitive_width().filter(|_| data_type.is_integer()).map_or(Need::Type, Need::Integer)
}

fn of_literal(literal: &ScalarValue) -> Need {
    let whole = match literal {
        ScalarValue::Int8(value) => value.map(i64::from),
        ScalarValue::Int16(value) => value.map(i64::from),
        ScalarValue::Int32(value) => value.map(i64::from),
        ScalarValue::Int64(value) => *value,
        ScalarValue::UInt64(value) => value.and_then(|value| i64::try_from(value).ok()),
        ScalarValue::Float64(Some(value)) => {
            let text = value.to_string();
            return match text.split_once('.') {
                Some((_, digits)) => Need::Fraction(digits.len()),
                None if value.is_finite() => Need::Fraction(0),
                None => Need::Type,
            };
        }
        literal if literal.is_null() => Some(0),
        _ => return Need::Type,
    };
    match whole.unwrap_or(0) {
        -0x80..=0x7f => Need::Integer(1),
        -0x8000..=0x7fff => Need::Integer(2),
        -0x8000_0000..=0x7fff_ffff => Need::Integer(4),
        _ => Need::Integer(8),
    }
}

fn most(left: Need, right: Need) -> Need {
    match (left, right) {
        (Need::Integer(left), Need::Integer(right)) => Need::Integer(left.max(right)),
        (Need::Fraction(left), Need::Fraction(right)) => Need::Fraction(left.max(right)),
        (Need::Fraction(digits), Need::Integer(bytes)) | (Need::Integer(bytes), Need::Fraction(digits)) if bytes <= 4 => Need::Fraction(digits),
        (Need::Reckoned, _) | (_, Need::Reckoned) => Need::Reckoned,
        _ => Need::Type,
    }
}
