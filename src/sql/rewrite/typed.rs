//! Values that say their type: `struct<a int64>(1)`, `array<struct<a int64>>[(1)]`, `[struct(1 as a), struct(2)]`, and JSON that
//! is cast to a list.

use deltalake::datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, CastKind, DataType, Expr, Ident, ObjectNamePart, Spanned, StructField};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::calls::literal;
use super::expand::{expand, name_of};
use crate::sql::SqlError;
use crate::sql::respell::JSON_ARRAY;

pub(super) fn rewrite(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let found = match &*expr {
        Expr::Struct { values, fields } if !fields.is_empty() => Some(structure(values, fields, expr.span(), rewriter)?),
        Expr::Array(array) => {
            let Some(first @ Expr::Struct { .. }) = array.elem.first() else { return Ok(()) };
            let mut named = array.clone();
            named.elem.iter_mut().skip(1).for_each(|item| called(item, first));
            Some(Expr::Array(named))
        }
        Expr::Cast { expr: value, data_type, .. } => cast(value, data_type, rewriter)?,
        _ => None,
    };
    if let Some(found) = found {
        *expr = found;
    }
    Ok(())
}

fn name(value: &Expr) -> Option<Ident> {
    match value {
        Expr::Named { name, .. } | Expr::Identifier(name) => Some(name.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    }
}

/// The fields of a struct without names of its own are called as those of the first, in it too.
fn called(item: &mut Expr, first: &Expr) {
    let Expr::Struct { values: known, fields } = first else {
        if let (Expr::Array(list), Expr::Array(known)) = (&mut *item, first)
            && let Some(first) = known.elem.first()
        {
            list.elem.iter_mut().for_each(|item| called(item, first));
        }
        return;
    };
    let (Expr::Struct { values, fields: own }, true) = (&mut *item, fields.is_empty()) else {
        if let Expr::Tuple(values) = item {
            *item = Expr::Struct { values: std::mem::take(values), fields: Vec::new() };
            called(item, first);
        }
        return;
    };
    if !own.is_empty() || values.len() != known.len() {
        return;
    }
    for (value, known) in values.iter_mut().zip(known) {
        let inner = if let Expr::Named { expr, .. } = known { expr.as_ref() } else { known };
        if let Expr::Named { expr, .. } = value {
            called(expr, inner);
            continue;
        }
        called(value, inner);
        if let Some(name) = name(known) {
            *value = Expr::Named { expr: Box::new(value.clone()), name };
        }
    }
}

/// `struct<a int64, b string>(1, 'x')`.
fn structure(values: &[Expr], fields: &[StructField], span: Span, rewriter: &Rewriter) -> Result<Expr, Box<SqlError>> {
    if values.len() != fields.len() {
        let message = format!("the struct has {} fields, and {} values", fields.len(), values.len());
        return Err(rewriter.refuse(&message, span, "give each field a value"));
    }
    let mut parts = Vec::new();
    for (at, (value, field)) in values.iter().zip(fields).enumerate() {
        let value = if let Expr::Named { expr, .. } = value { expr.as_ref() } else { value };
        let name = field.field_name.as_ref().map_or_else(|| format!("_{}", at + 1), |name| name.value.clone());
        parts.extend([literal(&name, span), typed(value, &field.field_type, rewriter)?]);
    }
    let places: Vec<String> = (1..=parts.len()).map(|at| format!("${at}")).collect();
    let refuse = || rewriter.refuse("this struct is not supported", span, "write it as `struct(1 as a, ..)`");
    expand(&format!("named_struct({})", places.join(", ")), &parts, span).ok_or_else(refuse)
}

/// A value of a type: tuples and structs by their places.
fn typed(value: &Expr, data_type: &DataType, rewriter: &Rewriter) -> Result<Expr, Box<SqlError>> {
    match (value, data_type) {
        (Expr::Nested(inner), DataType::Struct(..)) if !matches!(inner.as_ref(), Expr::Subquery(_)) => {
            typed(&Expr::Tuple(vec![inner.as_ref().clone()]), data_type, rewriter)
        }
        (Expr::Tuple(values) | Expr::Struct { values, .. }, DataType::Struct(fields, _)) => structure(values, fields, value.span(), rewriter),
        (Expr::Array(array), DataType::Array(ArrayElemTypeDef::AngleBracket(item))) if matches!(item.as_ref(), DataType::Struct(..)) => {
            let mut array = array.clone();
            for element in &mut array.elem {
                *element = typed(element, item, rewriter)?;
            }
            if array.elem.is_empty() {
                return Ok(cast_to(Expr::Array(array), data_type));
            }
            Ok(Expr::Array(array))
        }
        _ => Ok(cast_to(value.clone(), data_type)),
    }
}

fn cast_to(value: Expr, data_type: &DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type: data_type.clone(), array: false, format: None }
}

fn cast(value: &Expr, data_type: &DataType, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let span = value.span();
    match data_type {
        DataType::Custom(name, _) if matches!(name.0.as_slice(), [ObjectNamePart::Identifier(name)] if name.value == JSON_ARRAY) => {
            Ok(expand("to_array($1)", std::slice::from_ref(value), span))
        }
        DataType::Array(ArrayElemTypeDef::AngleBracket(item))
            if matches!(item.as_ref(), DataType::Struct(..)) && matches!(value, Expr::Array(array) if array.elem.iter().any(is_placed)) =>
        {
            typed(value, data_type, rewriter).map(Some)
        }
        DataType::Array(_) | DataType::Struct(..) | DataType::Map(..)
            if is_json(value) && matches!(rewriter.semantics.adapter, "trino" | "athena") =>
        {
            Ok(expand("from_json($1, $2)", &[value.clone(), literal(&data_type.to_string(), span)], span))
        }
        _ => Ok(None),
    }
}

/// Whether an item is a struct whose fields have no names.
fn is_placed(item: &Expr) -> bool {
    match item {
        Expr::Tuple(_) | Expr::Nested(_) => true,
        Expr::Struct { values, fields } => fields.is_empty() && !values.iter().any(|value| matches!(value, Expr::Named { .. })),
        _ => false,
    }
}

fn is_json(value: &Expr) -> bool {
    match value {
        Expr::Nested(inner) => is_json(inner),
        Expr::Function(function) => matches!(name_of(function).as_str(), "parse_json" | "json_parse" | "json_get_json" | "to_json"),
        _ => false,
    }
}
