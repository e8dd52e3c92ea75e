//! CTEs of a subquery that are called like a CTE around it: the inner one hides the outer one, as everywhere in SQL. The planner
//! knows one CTE of each name, so the inner one gets another, and its old name where it is read.

use std::collections::HashMap;
use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, TableAlias, TableFactor, VisitMut, VisitorMut};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

/// Two CTEs of one `with` that have one name.
pub(super) struct Twice {
    pub name: String,
    pub second: Span,
}

/// Renames what hides something, and finds what is there twice.
pub(super) fn rewrite(statement: &mut impl VisitMut) -> Result<(), Twice> {
    let mut scopes = Scopes { open: Vec::new(), renamed: 0 };
    match statement.visit(&mut scopes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(twice) => Err(twice),
    }
}

struct Scopes {
    open: Vec<Scope>,
    renamed: usize,
}

/// One query that is being walked through.
#[derive(Default)]
struct Scope {
    /// What its CTEs are called, as far as they can be seen.
    seen: HashMap<String, Ident>,
    /// CTEs whose own queries are not done, last ones first.
    pending: Vec<(String, Ident)>,
}

impl Scopes {
    fn found(&self, name: &str) -> Option<&Ident> {
        self.open.iter().rev().find_map(|scope| scope.seen.get(name))
    }
}

impl VisitorMut for Scopes {
    type Break = Twice;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Twice> {
        let mut scope = Scope::default();
        if let Some(with) = &mut query.with {
            for cte in &mut with.cte_tables {
                let name = cte.alias.name.value.to_lowercase();
                if scope.pending.iter().any(|(other, _)| *other == name) {
                    return ControlFlow::Break(Twice { name: cte.alias.name.value.clone(), second: cte.alias.name.span });
                }
                // Also a CTE that is not done yet: the planner has its name already.
                let hides = self.open.iter().any(|scope| scope.seen.contains_key(&name) || scope.pending.iter().any(|(other, _)| *other == name));
                if hides {
                    self.renamed += 1;
                    // Nobody else gives such a name.
                    cte.alias.name.value = format!("{} ({})", cte.alias.name.value, self.renamed);
                    cte.alias.name.quote_style = Some('"');
                }
                scope.pending.push((name, cte.alias.name.clone()));
            }
            if with.recursive {
                scope.seen.extend(scope.pending.iter().cloned());
            }
            scope.pending.reverse();
        }
        self.open.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Twice> {
        self.open.pop();
        // The queries of CTEs come first, in their order.
        if let Some(around) = self.open.last_mut()
            && let Some((name, ident)) = around.pending.pop()
        {
            around.seen.insert(name, ident);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Twice> {
        let TableFactor::Table { name: ObjectName(parts), alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let [ObjectNamePart::Identifier(ident)] = parts.as_mut_slice() else { return ControlFlow::Continue(()) };
        let Some(meant) = self.found(&ident.value.to_lowercase()).filter(|meant| !meant.value.eq_ignore_ascii_case(&ident.value)) else {
            return ControlFlow::Continue(());
        };
        let written = ident.clone();
        ident.value.clone_from(&meant.value);
        ident.quote_style = meant.quote_style;
        if alias.is_none() {
            *alias = Some(TableAlias { explicit: true, name: written, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }
}
