//! Reuse of an alias in the same select list, `select a + 1 as b, b * 2 as c`, and columns whose tables spell one name in
//! different cases.
//!
//! A column of the tables comes first, as in Spark and DuckDB; only a name that the planner does not find is looked up
//! among the aliases. So the statement is planned, and planned again with the alias's expression in its place.

use std::borrow::Cow;
use std::ops::ControlFlow;

use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::common::{Column, DataFusionError, Result, SchemaError};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::{Expr as Named, LogicalPlan};
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{Expr, Ident, Select, SelectItem, Spanned, VisitMut, VisitorMut, visit_expressions_mut};

use super::calls::literal;
use super::expand::{expand, is_volatile};
use super::{grouped, outer_fields, using, wildcards};
use crate::sql::collected;
use crate::sql::functions::cast_of;
use crate::sql::numbers::settled;

/// More reuses than this in one statement are taken for a mistake.
const MOST: usize = 200;

/// The logical plan of a statement of the dialect.
///
/// # Errors
/// What the planner says; about a name that is no alias either, what it said of the statement as it was given.
pub async fn plan(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let planning = collected::planning(state, &statement);
    let plan = settled(state, mended(&planning, statement).await?)?;
    match planning {
        Cow::Borrowed(_) => Ok(plan),
        Cow::Owned(_) => collected::ordered(plan),
    }
}

/// The plan of a statement in which aliases stand for what they are given to.
async fn mended(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let mut statement = statement;
    if wildcards::is_needed(&statement) {
        Box::pin(wildcards::expand(state, &mut statement)).await?;
        using::merge(&mut statement)?;
    }
    let mut last = None;
    let mut twice = None;
    let mut respelt = false;
    for _ in 0..MOST {
        let planned = state.statement_to_plan(statement.clone()).await;
        if !respelt && grouped::concerns(planned.as_ref(), &statement)? {
            if Box::pin(grouped::mend(state, &mut statement)).await {
                continue;
            }
            respelt = true;
        }
        let error = match planned {
            Ok(plan) if twice.is_none() && groups_twice(&plan)? => {
                twice = Some(DataFusionError::Plan("two columns of `group by` are called the same".into()));
                name_casts(&mut statement);
                continue;
            }
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        if is_twice(&error) {
            if let Some(first) = twice.take() {
                return Err(first);
            }
            name_casts(&mut statement);
            twice = Some(error);
            continue;
        }
        let mended = match (unknown_column(&error), using::ambiguous(&error)) {
            (Some(Unknown { place, spelt: Some(name), .. }), _) => respell(&mut statement, place, &name),
            (Some(Unknown { place, qualified, .. }), _) => !qualified && substitute(&mut statement, place),
            (None, Some(ambiguous)) => using::take_left(&mut statement, &ambiguous),
            (None, None) => outer_fields::outside(&error).is_some_and(|column| outer_fields::mend(&mut statement, &column)),
        };
        if !mended {
            return Err(error);
        }
        last = Some(error);
    }
    Err(last.unwrap_or_else(|| DataFusionError::Plan("too many uses of aliases in one select list".into())))
}

/// Whether two expressions of a list are called the same.
fn is_twice(error: &DataFusionError) -> bool {
    error.iter().any(|error| match error.find_root() {
        DataFusionError::SchemaError(error, _) => {
            matches!(error.as_ref(), SchemaError::DuplicateUnqualifiedField { .. } | SchemaError::DuplicateQualifiedField { .. })
        }
        other => other.message().contains("require unique expression names"),
    })
}

/// Whether two keys of one `group by` are called the same, which only the optimizer finds out.
fn groups_twice(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            let keys = &aggregate.group_expr;
            let cast = |expr: &Named| matches!(expr, Named::Cast(_));
            found = keys.iter().any(cast)
                && keys.iter().enumerate().any(|(at, key)| {
                    let name = key.schema_name().to_string();
                    keys[..at].iter().any(|other| other != key && other.schema_name().to_string() == name)
                });
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Gives casts names of their own: see [`cast_of`].
fn name_casts(statement: &mut Statement) {
    let Statement::Statement(inner) = statement else { return };
    let _ = inner.visit(&mut Casts);
}

struct Casts;

impl VisitorMut for Casts {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let shown = if let Expr::Cast { data_type, .. } = &*expr { Some(data_type.to_string()) } else { None };
        if let Some(shown) = shown {
            let span = Spanned::span(expr);
            let shown = literal(&shown, span);
            if let Some(named) = expand(&format!("{}($1, $2)", cast_of::NAME), &[expr.clone(), shown], span) {
                *expr = named;
            }
        }
        ControlFlow::Continue(())
    }
}

/// A column that is not there.
struct Unknown {
    /// Line and column where it stands.
    place: (u64, u64),
    /// The column that differs from it in case only, if there is one of the kind.
    spelt: Option<String>,
    qualified: bool,
}

fn unknown_column(error: &DataFusionError) -> Option<Unknown> {
    error.iter().find_map(|error| {
        let missing = match error.find_root() {
            DataFusionError::SchemaError(missing, _) => missing.as_ref(),
            _ => return None,
        };
        let SchemaError::FieldNotFound { field, valid_fields } = missing else { return None };
        let span = field.spans().first().or_else(|| error.diagnostic().and_then(|diagnostic| diagnostic.span))?;
        let same = |known: &&Column| {
            known.name != field.name
                && known.name.to_lowercase() == field.name.to_lowercase()
                && field.relation.as_ref().is_none_or(|relation| known.relation.as_ref() == Some(relation))
        };
        let mut alike: Vec<&str> = valid_fields.iter().filter(same).map(|known| known.name.as_str()).collect();
        alike.dedup();
        let spelt = if let [one] = alike.as_slice() { Some((*one).to_owned()) } else { None };
        Some(Unknown { place: (span.start.line, span.start.column), spelt, qualified: field.relation.is_some() })
    })
}

/// Spells the column at a place as it is defined.
fn respell(statement: &mut Statement, place: (u64, u64), name: &str) -> bool {
    let inner = match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => return respell(&mut explain.statement, place, name),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return false,
    };
    visit_expressions_mut(inner.as_mut(), |expr| {
        let (first, column) = match expr {
            Expr::Identifier(column) => (column.span, column),
            Expr::CompoundIdentifier(parts) => match parts.as_mut_slice() {
                [first, .., last] => (first.span, last),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if (first.start.line, first.start.column) != place || column.value == name {
            return ControlFlow::Continue(());
        }
        name.clone_into(&mut column.value);
        ControlFlow::Break(())
    })
    .is_break()
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
