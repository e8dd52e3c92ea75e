//! `* rename (a as b)` and `* ilike 'a%'`: the columns that the star stands for are looked up by planning what it stands
//! before, and written out.

use std::ops::ControlFlow;

use deltalake::datafusion::common::{DataFusionError, Diagnostic, Result, Span};
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    self, ExceptSelectItem, Expr, GroupByExpr, Ident, IdentWithAlias, Query, RenameSelectItem, Select, SelectItem, SetExpr, Visit, VisitMut, Visitor,
    VisitorMut, WildcardAdditionalOptions, With,
};

use super::using;
use crate::base::nearest;

/// Whether something in a statement is for [`expand`], or for [`using::merge`].
pub(super) fn is_needed(statement: &Statement) -> bool {
    let Statement::Statement(inner) = statement else { return false };
    holds(inner.as_ref(), &|select| select.projection.iter().any(|item| is_special(item) || is_replacing(item)) || using::is_said(select))
}

/// Writes out the stars that DataFusion can't.
///
/// # Errors
/// If what a star stands before does not plan.
pub(super) async fn expand(state: &SessionState, statement: &mut Statement) -> Result<()> {
    let Statement::Statement(inner) = statement else { return Ok(()) };
    loop {
        let mut finder = Finder::default();
        let _ = inner.visit(&mut finder);
        let Some((probe, named)) = finder.found else {
            for (probe, named) in finder.replacing {
                all_known(&named, &columns_of(state, probe).await?)?;
            }
            return Ok(());
        };
        let columns = columns_of(state, probe).await?;
        all_known(&named, &columns)?;
        let mut writer = Finder { columns: Some(columns), ..Finder::default() };
        let _ = inner.visit(&mut writer);
    }
}

/// The columns of a query, each with its table.
///
/// # Errors
/// If the query does not plan.
pub(super) async fn columns_of(state: &SessionState, probe: Query) -> Result<Columns> {
    let plan = state.statement_to_plan(Statement::Statement(Box::new(ast::Statement::Query(Box::new(probe))))).await?;
    Ok(plan.schema().iter().map(|(table, field)| (table.map(|table| table.table().to_owned()), field.name().clone())).collect())
}

/// Refuses names that a star does not stand for, which DataFusion passes over.
fn all_known(named: &[Ident], columns: &Columns) -> Result<()> {
    let known = || columns.iter().map(|(_, name)| name.as_str());
    let Some(wrong) = named.iter().find(|ident| !known().any(|name| name.to_lowercase() == ident.value.to_lowercase())) else { return Ok(()) };
    let hint = match nearest(&wrong.value, known()) {
        Some(near) => format!("Did you mean '{near}'?"),
        None => format!("Valid fields are {}.", known().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("column '{}' not found", wrong.value);
    let diagnostic = Diagnostic::new_error(message.clone(), Span::try_from_sqlparser_span(wrong.span));
    Err(DataFusionError::Plan(format!("{message}. {hint}")).with_diagnostic(diagnostic))
}

pub(super) type Columns = Vec<(Option<String>, String)>;

/// Finds the first star to write out, and writes it out once its columns are known.
#[derive(Default)]
struct Finder {
    scopes: Vec<Option<With>>,
    /// A query of the star alone, and the columns that its options name.
    found: Option<(Query, Vec<Ident>)>,
    /// The same of stars that DataFusion writes out.
    replacing: Vec<(Query, Vec<Ident>)>,
    columns: Option<Columns>,
}

impl VisitorMut for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let Some(at) = special(select) else {
            if let Some(at) = select.projection.iter().position(is_replacing) {
                self.replacing.push((self.probe(select, at), named(&select.projection[at])));
            }
            return ControlFlow::Continue(());
        };
        match self.columns.take() {
            None => self.found = Some((self.probe(select, at), named(&select.projection[at]))),
            Some(columns) => {
                // What is wrong with the joins is told when they are written out themselves.
                let columns = if using::is_said(select) { using::star(select, columns.clone()).unwrap_or(columns) } else { columns };
                let item = select.projection.remove(at);
                let written = written_out(item, columns);
                drop(select.projection.splice(at..at, written));
            }
        }
        ControlFlow::Break(())
    }
}

impl Finder {
    /// A query of the star alone, over the same tables.
    fn probe(&self, select: &Select, at: usize) -> Query {
        // What comes behind the star's own CTE is not known to it.
        probe(&self.scopes, select, select.projection.get(at), &|inner| special(inner).is_some())
    }
}

/// A query of a star alone, over the tables of a select. CTEs are known as far as none holds the select itself.
pub(super) fn probe(scopes: &[Option<With>], select: &Select, star: Option<&SelectItem>, is_own: &dyn Fn(&Select) -> bool) -> Query {
    let mut bare = select.clone();
    if using::is_said(select) {
        let _ = using::joined_on(&mut bare.from);
    }
    bare.projection = match star {
        Some(SelectItem::QualifiedWildcard(kind, _)) => vec![SelectItem::QualifiedWildcard(kind.clone(), WildcardAdditionalOptions::default())],
        _ => vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
    };
    (bare.selection, bare.having, bare.qualify, bare.distinct) = (None, None, None, None);
    bare.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    let mut with: Option<With> = None;
    for scope in scopes.iter().flatten() {
        let before = scope.cte_tables.iter().take_while(|cte| !holds(cte.query.as_ref(), is_own)).cloned();
        let all = with.get_or_insert_with(|| With { cte_tables: Vec::new(), ..scope.clone() });
        for cte in before {
            all.cte_tables.retain(|known| known.alias.name.value != cte.alias.name.value);
            all.cte_tables.push(cte);
        }
    }
    Query {
        with: with.filter(|with| !with.cte_tables.is_empty()),
        body: Box::new(SetExpr::Select(Box::new(bare))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn options(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => Some(options),
        _ => None,
    }
}

/// The columns that the options of a star name.
fn named(item: &SelectItem) -> Vec<Ident> {
    let Some(options) = options(item) else { return Vec::new() };
    let replaced = options.opt_replace.iter().flat_map(|replace| &replace.items).map(|item| item.column_name.clone());
    let renamed: &[IdentWithAlias] = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(several)) => several,
        None => &[],
    };
    replaced.chain(renamed.iter().map(|one| one.ident.clone())).collect()
}

fn is_special(item: &SelectItem) -> bool {
    options(item).is_some_and(|options| options.opt_rename.is_some() || options.opt_ilike.is_some())
}

fn is_replacing(item: &SelectItem) -> bool {
    options(item).is_some_and(|options| options.opt_replace.is_some())
}

/// The first star that is written out here: one with options, or over tables that share columns.
fn special(select: &Select) -> Option<usize> {
    let is_said = using::is_said(select);
    select.projection.iter().position(|item| is_special(item) || is_said && matches!(item, SelectItem::Wildcard(_)))
}

/// Whether there is such a select.
fn holds(what: &impl Visit, wanted: &dyn Fn(&Select) -> bool) -> bool {
    struct Wanted<'a>(&'a dyn Fn(&Select) -> bool);
    impl Visitor for Wanted<'_> {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if self.0(select) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    what.visit(&mut Wanted(wanted)).is_break()
}

fn written_out(item: SelectItem, columns: Columns) -> Vec<SelectItem> {
    let (SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) = item else { return vec![item] };
    let same = |left: &str, right: &str| left.to_lowercase() == right.to_lowercase();
    let left_out: Vec<Ident> = match (&options.opt_exclude, &options.opt_except) {
        (Some(ast::ExcludeSelectItem::Single(name)), _) => name.0.last().and_then(|part| part.as_ident()).cloned().into_iter().collect(),
        (Some(ast::ExcludeSelectItem::Multiple(names)), _) => {
            names.iter().filter_map(|name| name.0.last().and_then(|part| part.as_ident()).cloned()).collect()
        }
        (None, Some(ExceptSelectItem { first_element, additional_elements })) => {
            std::iter::once(first_element).chain(additional_elements).cloned().collect()
        }
        (None, None) => Vec::new(),
    };
    let renamed: &[IdentWithAlias] = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(several)) => several,
        None => &[],
    };
    let shown = |name: &str| options.opt_ilike.as_ref().is_none_or(|ilike| matches_like(&ilike.pattern.to_lowercase(), &name.to_lowercase()));
    let kept = columns.into_iter().filter(|(_, name)| shown(name) && !left_out.iter().any(|known| same(&known.value, name)));
    kept.map(|(table, name)| {
        let replaced = options.opt_replace.iter().flat_map(|replace| &replace.items).find(|item| same(&item.column_name.value, &name));
        let quoted = |name: &str| Ident::with_quote('"', name);
        let column = match table {
            Some(table) => Expr::CompoundIdentifier(vec![quoted(&table), quoted(&name)]),
            None => Expr::Identifier(quoted(&name)),
        };
        let alias = renamed.iter().find(|one| same(&one.ident.value, &name)).map(|one| one.alias.clone());
        match (replaced, alias) {
            (Some(item), alias) => SelectItem::ExprWithAlias { expr: item.expr.clone(), alias: alias.unwrap_or_else(|| quoted(&name)) },
            (None, Some(alias)) => SelectItem::ExprWithAlias { expr: column, alias },
            (None, None) => SelectItem::UnnamedExpr(column),
        }
    })
    .collect()
}

/// LIKE over a name: `%` stands for any letters, `_` for one.
fn matches_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match letter {
                '%' => reached[at] || at > 0 && next[at - 1],
                '_' => at > 0 && reached[at - 1],
                other => at > 0 && reached[at - 1] && name[at - 1] == other,
            };
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::matches_like;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, wanted) in
            [("a%", "abc", true), ("%c", "abc", true), ("a_c", "abc", true), ("a_", "abc", false), ("%", "", true), ("b%", "abc", false)]
        {
            assert_eq!(matches_like(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
