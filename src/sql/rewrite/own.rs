//! Going through the expressions of one select, but not through its subqueries, whose tables may have columns of the same names.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{Expr, Query, VisitMut, VisitorMut};

/// Calls `on` for each expression, its parts first, until it breaks off.
pub(super) fn each(node: &mut impl VisitMut, on: impl FnMut(&mut Expr) -> ControlFlow<()>) -> ControlFlow<()> {
    node.visit(&mut Own { depth: 0, on })
}

struct Own<F> {
    depth: usize,
    on: F,
}

impl<F: FnMut(&mut Expr) -> ControlFlow<()>> VisitorMut for Own<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 { (self.on)(expr) } else { ControlFlow::Continue(()) }
    }
}
