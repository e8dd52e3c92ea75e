//! `a is distinct from b or c` means `(a is distinct from b) or c`. The parser takes all that follows `from` for the right
//! side, `and` and `or` included, so its tree is regrouped. Parentheses stay in the tree, what stands in them is left alone.

use std::convert::Infallible;
use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Statement, UnaryOperator, VisitMut as _, VisitorMut};

/// Regroups a statement in place.
pub(super) fn regroup(statement: &mut Statement) {
    match statement.visit(&mut Regrouping) {
        ControlFlow::Continue(()) => {}
        ControlFlow::Break(never) => match never {},
    }
}

struct Regrouping;

impl VisitorMut for Regrouping {
    type Break = Infallible;

    /// From the inside out: what moved up from below may have to move up further.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if is_wrong(expr) {
            let whole = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
            *expr = regrouped(whole);
        }
        ControlFlow::Continue(())
    }
}

/// Whether an operand holds an operator that binds weaker. Without `is distinct from` the parser never does that.
fn is_wrong(expr: &Expr) -> bool {
    match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => joins(right, is_logical),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => joins(expr, is_logical),
        Expr::BinaryOp { op: BinaryOperator::And, right, .. } => joins(right, is_or),
        _ => false,
    }
}

fn regrouped(whole: Expr) -> Expr {
    match whole {
        Expr::IsDistinctFrom(left, right) => graft(*right, is_logical, |first| Expr::IsDistinctFrom(left, first)),
        Expr::IsNotDistinctFrom(left, right) => graft(*right, is_logical, |first| Expr::IsNotDistinctFrom(left, first)),
        Expr::UnaryOp { op, expr } => graft(*expr, is_logical, |first| Expr::UnaryOp { op, expr: first }),
        Expr::BinaryOp { left, op, right } => graft(*right, is_or, |first| Expr::BinaryOp { left, op, right: first }),
        other => other,
    }
}

/// The tree with its leftmost operand, below the operators that are meant, replaced by what `node` makes of it.
fn graft(tree: Expr, meant: fn(&BinaryOperator) -> bool, node: impl FnOnce(Box<Expr>) -> Expr) -> Expr {
    let mut above = Vec::new();
    let mut first = tree;
    loop {
        match first {
            Expr::BinaryOp { left, op, right } if meant(&op) => {
                above.push((op, right));
                first = *left;
            }
            other => {
                let grown = node(Box::new(other));
                return above.into_iter().rev().fold(grown, |left, (op, right)| Expr::BinaryOp { left: Box::new(left), op, right });
            }
        }
    }
}

fn joins(expr: &Expr, meant: fn(&BinaryOperator) -> bool) -> bool {
    matches!(expr, Expr::BinaryOp { op, .. } if meant(op))
}

fn is_or(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Or)
}

fn is_logical(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or)
}
