//! What an engine calls a column that is given no alias, where others read such names: Postgres and its kin after the column,
//! function or keyword that makes the value (`FigureColname` of Postgres' parser), Spark a cast of a column after the column.

use deltalake::datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, FunctionArguments, OrderByKind, Query, SelectItem, SetExpr, TimezoneInfo, TrimWhereField,
};

use super::expand::name_of;
use crate::sql::semantics::{Semantics, Unnamed};

/// The name of an expression; `None` where it is called as it is written, or nobody knows it by its name.
pub(super) fn name(expr: &Expr, semantics: Semantics) -> Option<String> {
    match semantics.unnamed {
        Unnamed::AsWritten => None,
        Unnamed::CastAsColumn => of_cast(expr),
        Unnamed::Figured => figured(expr).map(|(name, _)| name),
    }
}

/// Whether a query orders its rows by places and names alone, if at all. In expressions of an order the planner takes a name for
/// an alias of the list first, engines for a column that is read, so an alias that nobody wrote could change what they mean.
pub(super) fn is_ordered_plainly(query: &Query) -> bool {
    match query.order_by.as_ref().map(|order| &order.kind) {
        None | Some(OrderByKind::All(_)) => true,
        Some(OrderByKind::Expressions(keys)) => keys.iter().all(|key| matches!(key.expr, Expr::Identifier(_) | Expr::Value(_))),
    }
}

fn of_cast(expr: &Expr) -> Option<String> {
    let mut inner = expr;
    while let Expr::Cast { expr, .. } | Expr::Nested(expr) = inner {
        inner = expr;
    }
    match inner {
        _ if std::ptr::eq(inner, expr) => None,
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        _ => None,
    }
}

/// How sure a name is: that of a type or of `case` gives way to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

fn figured(expr: &Expr) -> Option<(String, Strength)> {
    use Strength::{Strong, Weak};
    let strong = |name: &str| Some((name.to_owned(), Strong));
    match expr {
        Expr::Identifier(name) => strong(&name.value),
        Expr::CompoundIdentifier(names) => strong(&names.last()?.value),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.iter().rev().find_map(|access| match access {
            AccessExpr::Dot(field) => Some(field),
            AccessExpr::Subscript(_) => None,
        }) {
            Some(field) => figured(field),
            None => figured(root),
        },
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figured(inner),
        Expr::Cast { expr, data_type, .. } => match figured(expr) {
            Some((name, Strong)) => Some((name, Strong)),
            Some((_, Weak)) | None => Some((type_name(data_type), Weak)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), Weak)),
        Expr::Interval(_) => Some(("interval".to_owned(), Weak)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figured) {
            Some((name, Strong)) => Some((name, Strong)),
            Some((_, Weak)) | None => Some(("case".to_owned(), Weak)),
        },
        Expr::Function(function) => match name_of(function) {
            name if name.is_empty() || matches!(function.args, FunctionArguments::Subquery(_)) => None,
            name => strong(&name),
        },
        Expr::Extract { .. } => strong("extract"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Position { .. } => strong("position"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        }),
        Expr::Exists { .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::ExprWithAlias { alias, .. }] => strong(&alias.value),
                [SelectItem::UnnamedExpr(expr)] => figured(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// What Postgres calls a type itself.
fn type_name(data_type: &DataType) -> String {
    let known = match data_type {
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4",
        DataType::BigInt(_) | DataType::Int8(_) => "int8",
        DataType::SmallInt(_) | DataType::Int2(_) => "int2",
        DataType::Boolean | DataType::Bool => "bool",
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric",
        DataType::DoublePrecision | DataType::Double(_) | DataType::Float8 => "float8",
        DataType::Real | DataType::Float4 => "float4",
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
        DataType::Char(_) | DataType::Character(_) => "bpchar",
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => "timestamptz",
        DataType::Timestamp(..) => "timestamp",
        other => return other.to_string().to_lowercase().split('(').next().unwrap_or_default().to_owned(),
    };
    known.to_owned()
}
