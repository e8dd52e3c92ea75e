//! Bare names of columns as columns of one of several tables.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{Expr, Ident, visit_expressions_mut};
use deltalake::datafusion::sql::sqlparser::parser::Parser;

use super::grammar::Grammar;
use super::identifiers::canonical;

/// A condition in which bare names mean the columns of the table `alias`. A text that does not parse, or that asks other
/// tables in a subquery, is left as it stands.
#[must_use]
pub fn qualified<'c>(text: &str, alias: &str, columns: impl IntoIterator<Item = &'c str>) -> String {
    let columns: Vec<&str> = columns.into_iter().collect();
    let spelt = canonical(text, columns.iter().copied());
    let parsed = Parser::new(&Grammar).try_with_sql(&spelt).and_then(|mut parser| parser.parse_expr());
    let Ok(mut expr) = parsed else { return text.to_owned() };
    let mut own = false;
    let asks_elsewhere = |expr: &Expr| matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. });
    let left = visit_expressions_mut(&mut expr, |inner| {
        if asks_elsewhere(inner) {
            return ControlFlow::Break(());
        }
        if let Expr::Identifier(name) = inner
            && columns.contains(&name.value.as_str())
        {
            own = true;
            *inner = Expr::CompoundIdentifier(vec![Ident::with_quote('"', alias), Ident::with_quote('"', name.value.as_str())]);
        }
        ControlFlow::Continue(())
    });
    if own && left.is_continue() { expr.to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::qualified;

    #[test]
    fn bare_names_are_columns_of_the_table() {
        let with = |text: &str| qualified(text, "old", ["id", "Day"]);
        assert_eq!(with("id != 2"), r#""old"."id" <> 2"#);
        assert_eq!(with("day >= current_date - 3 and new.id > 1"), r#""old"."Day" >= current_date - 3 AND new.id > 1"#);
        assert_eq!(with("old.id = 1"), "old.id = 1");
        assert_eq!(with("id in (select id from t)"), "id in (select id from t)");
        assert_eq!(with("id >"), "id >");
    }
}
