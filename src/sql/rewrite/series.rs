//! What the rows are called that functions of a `from` clause make of one value each: in Postgres the one column of
//! `generate_series(..) as d` is `d`, without an alias it has the function's name, and in `generate_series(..) as s(d)` the name of
//! the table is the value too.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{Expr, Ident, Select, SelectItem, TableAlias, TableFactor};

use super::own;
use super::tables::column;

/// Names the columns in a select. What Postgres calls so is called so where it is used, and always `in_postgres`.
pub(super) fn name(select: &mut Select, in_postgres: bool) {
    let alone = matches!(select.from.as_slice(), [only] if only.joins.is_empty());
    let tables =
        select.from.iter_mut().flat_map(|table| std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation)));
    let series: Vec<Series> = tables.filter_map(|factor| series(factor)).collect();
    for Series { table, column } in series {
        if let Some(column) = column {
            // Beside other tables the name may be that of a column of theirs.
            if alone && !column.value.eq_ignore_ascii_case(&table.value) {
                select.projection.iter_mut().for_each(|item| keep_name(item, &table));
                visited(select, &table, Some(&column));
            }
        } else if in_postgres || visited(select, &table, None) {
            for from in &mut select.from {
                called(&mut from.relation, &table);
                from.joins.iter_mut().for_each(|join| called(&mut join.relation, &table));
            }
        }
    }
}

/// A table of one column, and what is said of the names of the two.
struct Series {
    table: Ident,
    column: Option<Ident>,
}

fn series(factor: &TableFactor) -> Option<Series> {
    let (function, alias) = match factor {
        TableFactor::Table { name, args: Some(_), alias, with_ordinality: false, .. } => {
            let [part] = name.0.as_slice() else { return None };
            let function = part.as_ident()?;
            if !["generate_series", "range"].iter().any(|known| function.value.eq_ignore_ascii_case(known)) {
                return None;
            }
            (Some(function), alias)
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality: false, .. } if array_exprs.len() == 1 => (None, alias),
        _ => return None,
    };
    let column = alias.as_ref().and_then(|alias| alias.columns.first());
    // The column of `unnest` has the name of the alias as it is.
    let table = alias.as_ref().map(|alias| &alias.name).or(function).filter(|_| function.is_some() || column.is_some())?;
    Some(Series { table: table.clone(), column: column.map(|column| column.name.clone()) })
}

/// What is selected by the name of the table, as it is or cast, is called so.
fn keep_name(item: &mut SelectItem, table: &Ident) {
    let SelectItem::UnnamedExpr(expr) = &*item else { return };
    let mut inner = expr;
    while let Expr::Cast { expr, .. } | Expr::Nested(expr) = inner {
        inner = expr;
    }
    if matches!(inner, Expr::Identifier(name) if name.value.eq_ignore_ascii_case(&table.value)) {
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: table.clone() };
    }
}

/// Gives the table of that name its one column.
fn called(factor: &mut TableFactor, name: &Ident) {
    let TableFactor::Table { alias, .. } = factor else { return };
    match alias {
        Some(alias) if alias.name == *name && alias.columns.is_empty() => alias.columns.push(column(name.clone())),
        None => *alias = Some(TableAlias { explicit: true, name: name.clone(), columns: vec![column(name.clone())], at: None }),
        Some(_) => {}
    }
}

/// Whether the name of a table stands where values stand, and puts that of its column in its place. In subqueries the name may be
/// another's.
fn visited(select: &mut Select, table: &Ident, column: Option<&Ident>) -> bool {
    let is_it = |name: &Ident| name.value.eq_ignore_ascii_case(&table.value);
    let mut found = false;
    let mut name = |expr: &mut Expr| {
        match expr {
            Expr::Identifier(name) if is_it(name) => {
                found = true;
                if let Some(column) = column {
                    name.value.clone_from(&column.value);
                    name.quote_style = column.quote_style;
                }
            }
            Expr::CompoundIdentifier(parts) => found |= matches!(parts.as_slice(), [table, column] if is_it(table) && is_it(column)),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let _ = own::each(&mut select.projection, &mut name);
    let _ = own::each(&mut select.selection, &mut name);
    let _ = own::each(&mut select.group_by, &mut name);
    let _ = own::each(&mut select.having, &mut name);
    let _ = own::each(&mut select.from, &mut name);
    found
}
