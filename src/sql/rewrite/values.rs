//! What the columns of `values (..)` are called where nobody names them, and Snowflake's `$1`, a column by its place.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, Value,
};

use super::{column, own};
use crate::sql::semantics::{Semantics, ValueColumns};

/// Names the columns of the rows that a select writes out, and those that it takes by their places.
pub(super) fn name(select: &mut Select, semantics: Semantics) {
    if semantics.value_columns != ValueColumns::Column {
        let factors = select
            .from
            .iter_mut()
            .flat_map(|table| std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation)));
        for (at, factor) in factors.enumerate() {
            columns(factor, at, semantics.value_columns);
        }
    }
    if semantics.adapter == "snowflake"
        && let [table] = select.from.as_slice()
        && table.joins.is_empty()
        && let TableFactor::Derived { subquery, alias, .. } = &table.relation
    {
        let names = called(subquery, alias.as_ref());
        let place = |expr: &mut Expr| named(expr, &names);
        let _ = own::each(&mut select.projection, place);
        let _ = own::each(&mut select.selection, place);
        let _ = own::each(&mut select.group_by, place);
        let _ = own::each(&mut select.having, place);
        let _ = own::each(&mut select.qualify, place);
    }
}

/// Names the columns of CTEs that are rows written out.
pub(super) fn of_ctes(query: &mut Query, names: ValueColumns) {
    if names == ValueColumns::Column {
        return;
    }
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        if let Some(width) = width(&cte.query).filter(|_| cte.alias.columns.is_empty()) {
            cte.alias.columns = defined(width, names);
        }
    }
}

fn defined(width: usize, names: ValueColumns) -> Vec<TableAliasColumnDef> {
    (0..width).map(|at| TableAliasColumnDef { name: Ident::new(names.name(at)), data_type: None }).collect()
}

fn width(query: &Query) -> Option<usize> {
    match query.body.as_ref() {
        SetExpr::Values(values) => values.rows.first().map(|row| row.len()),
        SetExpr::Query(inner) => width(inner),
        _ => None,
    }
}

fn columns(factor: &mut TableFactor, at: usize, names: ValueColumns) {
    let TableFactor::Derived { subquery, alias, .. } = factor else { return };
    let Some(width) = width(subquery) else { return };
    let called = TableAlias { explicit: true, name: Ident::with_quote('"', format!("values {at}")), columns: Vec::new(), at: None };
    let alias = alias.get_or_insert(called);
    if alias.columns.is_empty() {
        alias.columns = defined(width, names);
    }
}

/// What the columns of a query are called; `None` for one whose name is not written.
fn called(query: &Query, alias: Option<&TableAlias>) -> Vec<Option<Ident>> {
    if let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) {
        return alias.columns.iter().map(|column| Some(column.name.clone())).collect();
    }
    if let Some(width) = width(query) {
        return (0..width).map(|at| Some(Ident::new(ValueColumns::Column.name(at)))).collect();
    }
    let mut body = query.body.as_ref();
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let SetExpr::Select(select) = body else { return Vec::new() };
    // Behind a star no place is known.
    let item = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(Some(alias.clone())),
        SelectItem::UnnamedExpr(expr) => Some(column(expr).map(|(_, name)| Ident::new(name))),
        _ => None,
    };
    select.projection.iter().map_while(item).collect()
}

/// A place as the column that stands there.
fn named(expr: &mut Expr, names: &[Option<Ident>]) -> ControlFlow<()> {
    let place = match &*expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$').and_then(|place| place.parse::<usize>().ok()).map(|place| (place, value.span)),
            _ => None,
        },
        _ => None,
    };
    if let Some((place, span)) = place
        && let Some(Some(name)) = place.checked_sub(1).and_then(|at| names.get(at))
    {
        *expr = Expr::Identifier(Ident { span, ..name.clone() });
    }
    ControlFlow::Continue(())
}
