//! Names in `group by` that a column of the tables and an alias of the select list spell in different cases, as in
//! `select round(A, 1) as a from t group by round(a, 1)`: the column comes first, as where both are spelt alike.
//!
//! The planner, which goes by the letter, takes the alias. What columns there are is known once the tables are planned, which is
//! done only where a group is made of rows with such a column, or where the planner misses one among the groups.

use std::ops::ControlFlow;

use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::common::{DataFusionError, Result};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, Visit, Visitor, With, visit_expressions, visit_expressions_mut,
};

use super::wildcards::{columns_of, probe};

/// Whether what the planner made of a statement is to be looked at: its groups are made of rows with a column that an alias is
/// spelt like but for the case.
pub(super) fn concerns(planned: std::result::Result<&LogicalPlan, &DataFusionError>, statement: &Statement) -> Result<bool> {
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => return Ok(error.to_string().contains("must appear in the GROUP BY clause")),
    };
    let mut names: Option<Vec<String>> = None;
    let mut hides = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            let names = names.get_or_insert_with(|| spelt(statement));
            if names.is_empty() {
                return Ok(TreeNodeRecursion::Stop);
            }
            hides |= aggregate.input.schema().fields().iter().any(|field| names.iter().any(|name| differs(name, field.name())));
        }
        Ok(if hides { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(hides)
}

/// Spells such names as the columns are; says whether there were any.
pub(super) async fn mend(state: &SessionState, statement: &mut Statement) -> bool {
    let mut mended = false;
    for (query, name) in found(statement) {
        // What is wrong with the tables is told of the whole statement.
        let Ok(columns) = columns_of(state, query).await else { continue };
        if columns.iter().any(|(_, column)| *column == name.value) {
            continue;
        }
        let mut alike = columns.iter().map(|(_, column)| column).filter(|column| differs(column, &name.value));
        let (Some(column), None) = (alike.next(), alike.next()) else { continue };
        let Statement::Statement(inner) = &mut *statement else { continue };
        mended = true;
        let _: ControlFlow<()> = visit_expressions_mut(inner.as_mut(), |expr| {
            // An engine's own grouping by aliases has put what an alias stands for in the place of the name.
            if let Expr::Identifier(known) = expr
                && known.span == name.span
                && known.value == name.value
            {
                column.clone_into(&mut known.value);
            }
            ControlFlow::Continue(())
        });
    }
    mended
}

fn differs(left: &str, right: &str) -> bool {
    left != right && left.to_lowercase() == right.to_lowercase()
}

/// The same names alone.
fn spelt(statement: &Statement) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            self.0.extend(aliases_of_groups(select).into_iter().map(|name| name.value));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    if let Statement::Statement(inner) = statement {
        let _ = inner.visit(&mut names);
    }
    names.0
}

/// The names in `group by` that are aliases of the same select, each with a query of all columns of the select's tables.
fn found(statement: &Statement) -> Vec<(Query, Ident)> {
    let Statement::Statement(inner) = statement else { return Vec::new() };
    let mut finder = Finder::default();
    let _ = inner.visit(&mut finder);
    finder.found
}

#[derive(Default)]
struct Finder {
    scopes: Vec<Option<With>>,
    found: Vec<(Query, Ident)>,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for name in aliases_of_groups(select) {
            let own = |inner: &Select| aliases_of_groups(inner).iter().any(|other| other.span == name.span);
            self.found.push((probe(&self.scopes, select, None, &own), name));
        }
        ControlFlow::Continue(())
    }
}

/// The names in a `group by` that are aliases of its select, to the letter.
fn aliases_of_groups(select: &Select) -> Vec<Ident> {
    let mut names: Vec<Ident> = Vec::new();
    let GroupByExpr::Expressions(keys, _) = &select.group_by else { return names };
    let is_alias =
        |name: &Ident| select.projection.iter().any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == name.value));
    let _: ControlFlow<()> = visit_expressions(keys, |expr| {
        if let Expr::Identifier(name) = expr
            && is_alias(name)
        {
            names.push(name.clone());
        }
        ControlFlow::Continue(())
    });
    names
}
