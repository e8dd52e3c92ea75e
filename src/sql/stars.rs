//! Tables whose columns reach the result of a query through nothing but `*`: what is added to them is added to it.

use std::ops::Range;

use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    Cte, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement as Ast, TableFactor, TableWithJoins,
    WildcardAdditionalOptions,
};

use crate::base::SourceFile;

/// The tables, by their parts as written and unquoted, each with the place of the last `*` on the way in `sql`.
#[must_use]
pub fn open_stars(statement: &Statement, sql: &str) -> Vec<(Vec<String>, Option<Range<usize>>)> {
    let Statement::Statement(inner) = statement else { return Vec::new() };
    let Ast::Query(query) = inner.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    in_query(query, &[], &SourceFile::new("", sql.into()), &mut found);
    found
}

type Found = Vec<(Vec<String>, Option<Range<usize>>)>;

fn in_query(query: &Query, around: &[&Cte], text: &SourceFile, found: &mut Found) {
    let own = query.with.iter().flat_map(|with| &with.cte_tables);
    // The nearest of a name comes first.
    let ctes: Vec<&Cte> = own.rev().chain(around.iter().copied()).collect();
    in_body(&query.body, &ctes, text, found);
}

fn in_body(body: &SetExpr, ctes: &[&Cte], text: &SourceFile, found: &mut Found) {
    match body {
        SetExpr::Select(select) => in_select(select, ctes, text, found),
        SetExpr::Query(query) => in_query(query, ctes, text, found),
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left, ctes, text, found);
            in_body(right, ctes, text, found);
        }
        SetExpr::Values(_) | SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => {}
    }
}

fn in_select(select: &Select, ctes: &[&Cte], text: &SourceFile, found: &mut Found) {
    for item in &select.projection {
        let (only, options) = match item {
            SelectItem::Wildcard(options) => (None, options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => (Some(name.to_string()), options),
            _ => continue,
        };
        let place = range(options, text);
        for factor in select.from.iter().flat_map(factors) {
            match factor {
                TableFactor::Table { name, alias, .. } => {
                    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect();
                    let called = alias.as_ref().map_or_else(|| parts.last().cloned().unwrap_or_default(), |alias| alias.name.value.clone());
                    if only.as_ref().is_some_and(|only| !only.trim_matches('"').eq_ignore_ascii_case(&called)) {
                        continue;
                    }
                    let at = ctes.iter().position(|cte| matches!(parts.as_slice(), [one] if cte.alias.name.value.eq_ignore_ascii_case(one)));
                    match at {
                        // A CTE sees those before it.
                        Some(at) => in_query(&ctes[at].query, &ctes[at + 1..], text, found),
                        None => found.push((parts, place.clone())),
                    }
                }
                TableFactor::Derived { subquery, .. } if only.is_none() => in_query(subquery, ctes, text, found),
                _ => {}
            }
        }
    }
}

pub(super) fn factors(table: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
}

fn range(options: &WildcardAdditionalOptions, text: &SourceFile) -> Option<Range<usize>> {
    let span = options.wildcard_token.0.span;
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    (span.start.line > 0).then(|| offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column))
}
