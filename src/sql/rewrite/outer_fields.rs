//! Fields of a struct that lies outside of a subquery, `t.s.list` in `(select .. from unnest(t.s.list))`, which the planner knows
//! for columns of the subquery alone: as a call.

use std::ops::ControlFlow;

use deltalake::datafusion::common::{Column, DataFusionError, TableReference};
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{Expr, Ident, Select, Spanned, VisitMut, VisitorMut};

use super::calls::literal;
use super::expand::expand;
use super::rows::{is_name, names};

/// The struct whose fields the planner did not take.
pub(super) fn outside(error: &DataFusionError) -> Option<Column> {
    let message = error.find_root().message();
    let (_, column) = message.split_once("Nested identifiers are not yet supported for OuterReferenceColumn ")?;
    Some(Column::from_qualified_name(column.trim()))
}

/// Writes its fields as calls; whether there were any.
pub(super) fn mend(statement: &mut Statement, column: &Column) -> bool {
    let inner = match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => return mend(&mut explain.statement, column),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return false,
    };
    let mut fields = Fields { column, tables: Vec::new(), found: false };
    let _ = inner.visit(&mut fields);
    fields.found
}

struct Fields<'a> {
    column: &'a Column,
    tables: Vec<Vec<Ident>>,
    found: bool,
}

impl VisitorMut for Fields<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.tables.push(names(select));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.tables.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::CompoundIdentifier(parts) = &*expr else { return ControlFlow::Continue(()) };
        let table = self.column.relation.as_ref().map(TableReference::table);
        let is_table = |name: &Ident| self.tables.iter().any(|tables| is_name(name, tables));
        let own = match parts.as_slice() {
            [first, second, _, ..] if Some(first.value.as_str()) == table && second.value == self.column.name => 2,
            [first, _, ..] if first.value == self.column.name && !is_table(first) => 1,
            _ => return ControlFlow::Continue(()),
        };
        let (whole, fields) = parts.split_at(own);
        let span = expr.span();
        let mut found = match whole {
            [only] => Expr::Identifier(only.clone()),
            several => Expr::CompoundIdentifier(several.to_vec()),
        };
        for field in fields {
            let Some(call) = expand("get_field($1, $2)", &[found, literal(&field.value, span)], span) else { return ControlFlow::Continue(()) };
            found = call;
        }
        *expr = found;
        self.found = true;
        ControlFlow::Continue(())
    }
}
