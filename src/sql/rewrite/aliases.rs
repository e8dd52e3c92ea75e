//! Reuse of an alias in the same select list: `select a + 1 as b, b * 2 as c`.
//!
//! A column of the tables comes first, as in Spark and DuckDB; only a name that the planner does not find is looked up
//! among the aliases. So the statement is planned, and planned again with the alias's expression in its place.

use std::ops::ControlFlow;

use deltalake::datafusion::common::{DataFusionError, Result, SchemaError};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{Expr, Ident, Select, SelectItem, VisitMut, VisitorMut, visit_expressions_mut};

use super::expand::is_volatile;

/// More reuses than this in one statement are taken for a mistake.
const MOST: usize = 200;

/// The logical plan of a statement of the dialect.
///
/// # Errors
/// What the planner says; about a name that is no alias either, what it said of the statement as it was given.
pub async fn plan(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let mut statement = statement;
    let mut last = None;
    for _ in 0..MOST {
        let error = match state.statement_to_plan(statement.clone()).await {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        let Some(place) = unknown_column(&error) else { return Err(error) };
        if !substitute(&mut statement, place) {
            return Err(error);
        }
        last = Some(error);
    }
    Err(last.unwrap_or_else(|| DataFusionError::Plan("too many uses of aliases in one select list".into())))
}

/// Line and column of an unqualified column that is not there.
fn unknown_column(error: &DataFusionError) -> Option<(u64, u64)> {
    error.iter().find_map(|error| {
        let missing = match error.find_root() {
            DataFusionError::SchemaError(missing, _) => missing.as_ref(),
            _ => return None,
        };
        let SchemaError::FieldNotFound { field, .. } = missing else { return None };
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span).or_else(|| field.spans().first())?;
        field.relation.is_none().then_some((span.start.line, span.start.column))
    })
}

fn substitute(statement: &mut Statement, place: (u64, u64)) -> bool {
    let mut finder = Finder { place, done: false };
    match statement {
        Statement::Statement(inner) => {
            let _ = inner.visit(&mut finder);
        }
        Statement::Explain(explain) => return substitute(&mut explain.statement, place),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {}
    }
    finder.done
}

struct Finder {
    place: (u64, u64),
    done: bool,
}

impl VisitorMut for Finder {
    type Break = ();

    /// Inner selects are left before outer ones, so that the nearest list with the alias is taken.
    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.done = self.in_list(select) || self.in_filter(select);
        if self.done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Finder {
    fn in_list(&self, select: &mut Select) -> bool {
        let mut known: Vec<(Ident, Expr)> = Vec::new();
        for item in &mut select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
            if self.replace(expr, &known) {
                return true;
            }
            if let SelectItem::ExprWithAlias { expr, alias } = item {
                known.push((alias.clone(), expr.clone()));
            }
        }
        false
    }

    fn in_filter(&self, select: &mut Select) -> bool {
        let known: Vec<(Ident, Expr)> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => Some((alias.clone(), expr.clone())),
                _ => None,
            })
            .collect();
        select.selection.as_mut().is_some_and(|filter| self.replace(filter, &known))
    }

    fn replace(&self, expr: &mut Expr, known: &[(Ident, Expr)]) -> bool {
        visit_expressions_mut(expr, |inner| {
            let Expr::Identifier(name) = inner else { return ControlFlow::Continue(()) };
            if (name.span.start.line, name.span.start.column) != self.place {
                return ControlFlow::Continue(());
            }
            match known.iter().rev().find(|(alias, meant)| alias.value == name.value && !is_volatile(meant) && !names(meant, name)) {
                Some((_, meant)) => {
                    *inner = Expr::Nested(Box::new(meant.clone()));
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            }
        })
        .is_break()
    }
}

/// Whether an expression uses a name; an alias of the same name would stand for itself without end.
fn names(expr: &Expr, name: &Ident) -> bool {
    let mut probe = expr.clone();
    visit_expressions_mut(&mut probe, |inner| match inner {
        Expr::Identifier(found) if found.value == name.value => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}
