//! `join .. using (..)`: what a bare name means of a column that both sides have.
//!
//! The planner takes it for the left side's column, which is NULL in rows that the right side alone has, and in `where` it takes
//! it for ambiguous. As in the standard it is the right side's in a right join, that of either side in a full one, and the
//! left side's elsewhere.

use std::ops::ControlFlow;

use deltalake::datafusion::common::{Column, DataFusionError, Diagnostic, Result, SchemaError, Span};
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    Spanned as _, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::expand::expand;
use super::own;
use crate::sql::blame::constraint;

/// A column that several tables of a `from` share.
pub(super) struct Merged {
    /// As `using` spells it.
    name: Ident,
    /// The tables that have it, by the names that they go by here.
    tables: Vec<Ident>,
    /// Those of them whose values count, in this order.
    counting: Vec<Ident>,
}

impl Merged {
    fn is(&self, name: &str) -> bool {
        same(&self.name.value, name)
    }

    /// The value, called for by `at`.
    fn value(&self, at: &Ident) -> Expr {
        let column = |table: &Ident| Expr::CompoundIdentifier(vec![Ident { span: at.span, ..table.clone() }, at.clone()]);
        let all: Vec<Expr> = self.counting.iter().map(column).collect();
        let places: Vec<String> = (1..=all.len()).map(|at| format!("${at}")).collect();
        let value = if all.len() > 1 { expand(&format!("coalesce({})", places.join(", ")), &all, at.span) } else { None };
        value.or_else(|| all.into_iter().next()).unwrap_or_else(|| Expr::Identifier(at.clone()))
    }
}

fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Whether what `using` shares is said here: where rows of the right side come without some of the left, and of more joins than
/// the planner finds its way through.
pub(super) fn is_said(select: &Select) -> bool {
    const FOUND_BY_PLANNER: usize = 2;
    let shares = |join: &&Join| matches!(constraint(&mut join.join_operator.clone()), Some(JoinConstraint::Using(_) | JoinConstraint::Natural));
    let shared: Vec<&Join> = select.from.iter().flat_map(|from| &from.joins).filter(shares).collect();
    shared.len() > FOUND_BY_PLANNER || shared.iter().any(|join| keeps_right(&join.join_operator))
}

fn keeps_right(operator: &JoinOperator) -> bool {
    matches!(operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
}

/// The columns that a star stands for, where those of the `from` without `using` are `columns`.
///
/// # Errors
/// As of [`joined_on`].
pub(super) fn star(select: &Select, columns: Vec<(Option<String>, String)>) -> Result<Vec<(Option<String>, String)>> {
    let merged = joined_on(&mut select.from.clone())?;
    let mut seen: Vec<&Ident> = Vec::new();
    let mut found = Vec::new();
    for (table, name) in columns {
        let of = |one: &&Merged| one.is(&name) && table.as_ref().is_some_and(|table| one.tables.iter().any(|known| same(&known.value, table)));
        match merged.iter().find(of) {
            Some(one) if seen.contains(&&one.name) => {}
            Some(one) => {
                seen.push(&one.name);
                found.push((None, name));
            }
            None => found.push((table, name)),
        }
    }
    Ok(found)
}

/// Writes `using` of outer joins as `on`; gives the columns that are shared.
///
/// # Errors
/// If a table has no name, or it is not known which one has a column.
pub(super) fn joined_on(from: &mut [TableWithJoins]) -> Result<Vec<Merged>> {
    let mut merged: Vec<Merged> = Vec::new();
    for tables in from {
        let mut left = vec![called(&tables.relation)];
        let first = merged.len();
        for join in &mut tables.joins {
            let right = called(&join.relation);
            let (outer, full) = (keeps_right(&join.join_operator), matches!(join.join_operator, JoinOperator::FullOuter(_)));
            let Some(constraint) = constraint(&mut join.join_operator) else {
                left.push(right);
                continue;
            };
            if let (JoinConstraint::Natural, true) = (&*constraint, outer) {
                return Err(refused("a natural join that keeps rows of its right side alone", join.relation.span()));
            }
            let JoinConstraint::Using(names) = constraint else {
                left.push(right);
                continue;
            };
            let names: Vec<Ident> = names.iter().filter_map(|name| name.0.last()?.as_ident().cloned()).collect();
            let mut conditions = Vec::new();
            for name in &names {
                let right = right.clone().ok_or_else(|| refused("`using` over a table without a name", name.span))?;
                let at = merged.iter().skip(first).position(|one| one.is(&name.value)).map(|at| first + at);
                let at = match (at, left.as_slice()) {
                    (Some(at), _) => at,
                    (None, [Some(only)]) => {
                        merged.push(Merged { name: name.clone(), tables: vec![only.clone()], counting: vec![only.clone()] });
                        merged.len() - 1
                    }
                    (None, _) if outer => return Err(refused("`using` behind several tables of which none was joined by it", name.span)),
                    // What the left side has is for the planner to find.
                    (None, _) => continue,
                };
                let Some(one) = merged.get_mut(at) else { continue };
                let column = Expr::CompoundIdentifier(vec![Ident { span: name.span, ..right.clone() }, name.clone()]);
                conditions.push(Expr::BinaryOp { left: Box::new(one.value(name)), op: BinaryOperator::Eq, right: Box::new(column) });
                if outer && !full {
                    one.counting.clear();
                }
                if outer {
                    one.counting.push(right.clone());
                }
                one.tables.push(right);
            }
            if conditions.len() == names.len() {
                let all = |left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) };
                if let Some(condition) = conditions.into_iter().reduce(all) {
                    *constraint = JoinConstraint::On(condition);
                }
            }
            left.push(right);
        }
    }
    Ok(merged)
}

fn refused(what: &str, span: deltalake::datafusion::sql::sqlparser::tokenizer::Span) -> DataFusionError {
    let message = format!("{what} is not available");
    let place = Span::try_from_sqlparser_span(span);
    let help = "write the condition with `on`, and `coalesce(left.x, right.x)` for a column of both";
    DataFusionError::Plan(format!("{message}: {help}")).with_diagnostic(Diagnostic::new_error(message, place).with_help(help, None))
}

/// The name that a table goes by.
fn called(table: &TableFactor) -> Option<Ident> {
    let alias = match table {
        TableFactor::Table { name, alias, .. } => {
            return alias.as_ref().map(|alias| alias.name.clone()).or_else(|| name.0.last()?.as_ident().cloned());
        }
        TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. } => alias,
        _ => return None,
    };
    alias.as_ref().map(|alias| alias.name.clone())
}

/// Says of every bare name that an outer join shares which value it means.
///
/// # Errors
/// As of [`joined_on`].
pub(super) fn merge(statement: &mut Statement) -> Result<()> {
    match inner(statement).map_or(ControlFlow::Continue(()), |inner| inner.visit(&mut Merger)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn inner(statement: &mut Statement) -> Option<&mut ast::Statement> {
    match statement {
        Statement::Statement(inner) => Some(inner),
        Statement::Explain(explain) => inner(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => None,
    }
}

struct Merger;

impl VisitorMut for Merger {
    type Break = DataFusionError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match of_body(&mut query.body, query.order_by.as_mut()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn of_body(body: &mut SetExpr, order_by: Option<&mut OrderBy>) -> Result<()> {
    match body {
        SetExpr::Select(select) if is_said(select) => of_select(select, order_by),
        SetExpr::SetOperation { left, right, .. } => of_body(left, None).and_then(|()| of_body(right, None)),
        _ => Ok(()),
    }
}

fn of_select(select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<()> {
    let merged = joined_on(&mut select.from)?;
    name_all(select, order_by, &merged);
    Ok(())
}

/// Puts values in the places of the bare names of a select, and of the order of its query.
fn name_all(select: &mut Select, order_by: Option<&mut OrderBy>, merged: &[Merged]) {
    let mut value = |expr: &mut Expr| {
        if let Expr::Identifier(name) = &*expr
            && let Some(one) = merged.iter().find(|one| one.is(&name.value))
        {
            *expr = one.value(name);
        }
        ControlFlow::Continue(())
    };
    let mut name = |expr: &mut Expr| {
        let _ = bare(expr, &mut value);
    };
    let yielded: Vec<String> = select.projection.iter().filter_map(name_of).collect();
    if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order_by {
        for key in keys {
            // A name of the result goes before one of the tables.
            if !matches!(&key.expr, Expr::Identifier(name) if yielded.iter().any(|known| same(known, &name.value))) {
                name(&mut key.expr);
            }
        }
    }
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                if let Some(one) = merged.iter().find(|one| one.is(&name.value)) {
                    *item = SelectItem::ExprWithAlias { expr: one.value(name), alias: name.clone() };
                }
            }
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => name(expr),
            _ => {}
        }
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        for key in keys {
            name(key);
        }
    }
    let filters = [&mut select.selection, &mut select.having, &mut select.qualify];
    filters.into_iter().flatten().for_each(name);
}

fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) | SelectItem::ExprWithAlias { alias: name, .. } => Some(name.value.clone()),
        _ => None,
    }
}

/// Calls `on` for each bare name, but not within subqueries.
fn bare(node: &mut impl VisitMut, mut on: impl FnMut(&mut Expr) -> ControlFlow<()>) -> ControlFlow<()> {
    own::each(node, |expr: &mut Expr| if matches!(expr, Expr::Identifier(_)) { on(expr) } else { ControlFlow::Continue(()) })
}

/// A name that stands for columns of several tables.
pub(super) struct Ambiguous {
    name: String,
    /// Line and column where it stands.
    place: (u64, u64),
    columns: Vec<Column>,
}

pub(super) fn ambiguous(error: &DataFusionError) -> Option<Ambiguous> {
    error.iter().find_map(|error| {
        let DataFusionError::SchemaError(found, _) = error.find_root() else { return None };
        let SchemaError::AmbiguousReference { field } = found.as_ref() else { return None };
        let diagnostic = error.diagnostic()?;
        let span = diagnostic.span.or_else(|| field.spans().first())?;
        let columns = diagnostic.notes.iter().filter_map(|note| note.message.strip_prefix("possible column ")).map(Column::from_qualified_name);
        Some(Ambiguous { name: field.name.clone(), place: (span.start.line, span.start.column), columns: columns.collect() })
    })
}

/// Names the left side's column in a select whose joins share all that a name may mean.
pub(super) fn take_left(statement: &mut Statement, found: &Ambiguous) -> bool {
    inner(statement).is_some_and(|inner| inner.visit(&mut Left { found }).is_break())
}

struct Left<'a> {
    found: &'a Ambiguous,
}

impl VisitorMut for Left<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.body(&mut query.body, query.order_by.as_mut()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Left<'_> {
    fn body(&self, body: &mut SetExpr, order_by: Option<&mut OrderBy>) -> bool {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::SetOperation { left, right, .. } => self.body(left, None) || self.body(right, None),
            _ => false,
        }
    }

    fn select(&self, select: &mut Select, order_by: Option<&mut OrderBy>) -> bool {
        let Some(Column { relation: Some(table), .. }) = self.found.columns.first() else { return false };
        let shared = |join: &&Join| match constraint(&mut join.join_operator.clone()) {
            Some(JoinConstraint::Using(names)) => {
                names.iter().any(|name| name.0.last().and_then(|part| part.as_ident()).is_some_and(|part| same(&part.value, &self.found.name)))
            }
            Some(JoinConstraint::Natural) => true,
            _ => false,
        };
        let joins = select.from.iter().flat_map(|from| &from.joins).filter(shared).count();
        let is_here = joins > 0
            && joins + 1 == self.found.columns.len()
            && (stands_in(select, self.found) || order_by.as_deref().is_some_and(|order_by| stands_in(order_by, self.found)));
        if is_here {
            let table = Ident::with_quote('"', table.table());
            name_all(select, order_by, &[Merged { name: Ident::new(&*self.found.name), tables: Vec::new(), counting: vec![table] }]);
        }
        is_here
    }
}

/// Whether the name stands there, outside of subqueries.
fn stands_in(what: &(impl VisitMut + Clone), found: &Ambiguous) -> bool {
    let is_it = |expr: &mut Expr| match expr {
        Expr::Identifier(name) if (name.span.start.line, name.span.start.column) == found.place => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    bare(&mut what.clone(), is_it).is_break()
}
