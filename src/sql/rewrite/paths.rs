//! The column that a path of fields and places begins with: `t.list[0].field`, whose `t` the planner takes for a column.

use deltalake::datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Ident};

use super::rows::is_name;

/// Puts a table's name before the column it belongs to.
pub(super) fn of_tables(root: &mut Expr, chain: &mut Vec<AccessExpr>, tables: &[Vec<Ident>]) {
    let Expr::Identifier(first) = &*root else { return };
    let named = |step: &AccessExpr| if let AccessExpr::Dot(Expr::Identifier(name)) = step { Some(name.clone()) } else { None };
    let names: Vec<Ident> = std::iter::once(first.clone()).chain(chain.iter().map_while(named)).collect();
    // Before the table there may be its schema and database.
    let is_table = |name: &Ident| tables.iter().any(|known| is_name(name, known));
    let Some(at) = names.iter().take(3).position(is_table).filter(|at| at + 1 < names.len()) else { return };
    chain.drain(..=at);
    *root = Expr::CompoundIdentifier(names.into_iter().take(at + 2).collect());
}
