//! Long chains of `and`, `or` and `||` as broad trees: the parser makes a tree of a chain that is as deep as the chain is
//! long. These operators are associative, so nothing else changes.

use std::convert::Infallible;
use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Statement, VisitMut as _, VisitorMut};

/// Chains that are shorter stay as they are.
const SHORT: usize = 64;

/// Broadens the long chains of a statement.
pub(super) fn broaden(statement: &mut Statement) {
    match statement.visit(&mut Broadening) {
        ControlFlow::Continue(()) => {}
        ControlFlow::Break(never) => match never {},
    }
}

struct Broadening;

impl VisitorMut for Broadening {
    type Break = Infallible;

    /// From the outside in, so that a chain is taken apart before anything walks down into it.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if let Expr::BinaryOp { op, .. } = expr
            && matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::StringConcat)
        {
            let op = op.clone();
            if length(expr, &op) > SHORT {
                let whole = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
                *expr = tree(taken_apart(whole, &op), &op);
            }
        }
        ControlFlow::Continue(())
    }
}

fn length(expr: &Expr, meant: &BinaryOperator) -> usize {
    let (mut count, mut rest) = (1, expr);
    while let Expr::BinaryOp { left, op, .. } = rest
        && op == meant
    {
        count += 1;
        rest = left;
    }
    count
}

/// The operands from the right to the left.
fn taken_apart(whole: Expr, meant: &BinaryOperator) -> Vec<Expr> {
    let mut operands = Vec::new();
    let mut rest = whole;
    loop {
        match rest {
            Expr::BinaryOp { left, op, right } if op == *meant => {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                return operands;
            }
        }
    }
}

fn tree(operands: Vec<Expr>, op: &BinaryOperator) -> Expr {
    let mut level: Vec<Expr> = operands.into_iter().rev().collect();
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut pairs = level.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) },
                None => left,
            });
        }
        level = next;
    }
    level.pop().unwrap_or_else(|| Expr::Identifier(Ident::new("")))
}
