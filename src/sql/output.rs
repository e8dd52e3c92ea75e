//! Where the columns of a query's result get their names.

use std::ops::{ControlFlow, Range};

use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement as Ast, TableFactor, Visit as _, Visitor,
    visit_relations,
};

use super::stars::factors;
use crate::base::SourceFile;

/// The names as they are written, each with the place of the alias or of the column in `sql`; through `*` of CTEs and
/// subqueries too, and of a union its first part. Columns that no name is written for are left out.
#[must_use]
pub fn output_columns(statement: &Statement, sql: &str) -> Vec<(String, Range<usize>)> {
    let Statement::Statement(inner) = statement else { return Vec::new() };
    let Ast::Query(query) = inner.as_ref() else { return Vec::new() };
    let text = SourceFile::new("", sql.into());
    of_query(query, &[]).into_iter().filter_map(|ident| Some((ident.value.clone(), range(ident, &text)?))).collect()
}

/// The names of all CTEs of a statement, in the order in which they stand.
#[must_use]
pub fn cte_names(statement: &Statement) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0.extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    if let Statement::Statement(inner) = statement {
        let _ = inner.visit(&mut names);
    }
    names.0
}

/// The tables, by the last part of their names, that the CTEs of a name read.
#[must_use]
pub fn cte_tables(statement: &Statement, cte: &str) -> Vec<String> {
    struct Tables<'a>(&'a str, Vec<String>);
    impl Visitor for Tables<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables).filter(|cte| cte.alias.name.value.eq_ignore_ascii_case(self.0)) {
                let _ = visit_relations(&cte.query, |name| {
                    self.1.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()));
                    ControlFlow::<()>::Continue(())
                });
            }
            ControlFlow::Continue(())
        }
    }
    let mut tables = Tables(cte, Vec::new());
    if let Statement::Statement(inner) = statement {
        let _ = inner.visit(&mut tables);
    }
    tables.1
}

fn of_query<'q>(query: &'q Query, around: &[&'q Cte]) -> Vec<&'q Ident> {
    let own = query.with.iter().flat_map(|with| &with.cte_tables);
    // The nearest of a name comes first.
    let ctes: Vec<&Cte> = own.rev().chain(around.iter().copied()).collect();
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return of_select(select, &ctes),
            SetExpr::Query(query) => return of_query(query, &ctes),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Values(_) | SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => {
                return Vec::new();
            }
        }
    }
}

fn of_select<'q>(select: &'q Select, ctes: &[&'q Cte]) -> Vec<&'q Ident> {
    let mut found = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => found.push(name),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => found.extend(parts.last()),
            SelectItem::ExprWithAlias { alias, .. } => found.push(alias),
            SelectItem::Wildcard(_) => found.extend(of_tables(select, ctes, None)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let only = name.0.last().and_then(|part| part.as_ident());
                found.extend(only.into_iter().flat_map(|only| of_tables(select, ctes, Some(only))));
            }
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) => {}
        }
    }
    found
}

/// What `*` stands for, or `only.*`.
fn of_tables<'q>(select: &'q Select, ctes: &[&'q Cte], only: Option<&Ident>) -> Vec<&'q Ident> {
    let mut found = Vec::new();
    for factor in select.from.iter().flat_map(factors) {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias, .. } => (name.0.as_slice(), alias),
            TableFactor::Derived { alias, .. } => (&[] as &[_], alias),
            _ => continue,
        };
        let name = if let [one] = name { one.as_ident() } else { None };
        let called = alias.as_ref().map(|alias| &alias.name).or(name);
        if only.is_some_and(|only| !called.is_some_and(|called| called.value.eq_ignore_ascii_case(&only.value))) {
            continue;
        }
        if let TableFactor::Derived { subquery, .. } = factor {
            found.extend(of_query(subquery, ctes));
        } else if let Some(name) = name
            && let Some(at) = ctes.iter().position(|cte| cte.alias.name.value.eq_ignore_ascii_case(&name.value))
        {
            // A CTE sees those before it.
            found.extend(of_query(&ctes[at].query, &ctes[at + 1..]));
        }
    }
    found
}

fn range(ident: &Ident, text: &SourceFile) -> Option<Range<usize>> {
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    (ident.span.start.line > 0).then(|| offset(ident.span.start.line, ident.span.start.column)..offset(ident.span.end.line, ident.span.end.column))
}
