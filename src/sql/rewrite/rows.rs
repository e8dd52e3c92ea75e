//! Rows and lists as `BigQuery` has them: lists in a `from` clause under their path, the fields of their items as columns, a
//! table's name for its row, `array(select ..)`, `select as struct`, and `s.*` of a struct.
//!
//! What a name stands for there depends on types. So the tables that it is about are marked here, and get their columns from
//! [`crate::sql::relations`] when they are planned.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned, TableAlias, TableAliasColumnDef, TableFactor, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::expand::{expand, name_of, query_at};
use super::{Rewriter, column};
use crate::sql::SqlError;
use crate::sql::relations::{FIELDS, ROW, row_of};
use crate::sql::respell::AS_STRUCT;

/// Adapters whose lists stand in a `from` clause as `t.list`.
const PATHS: [&str; 2] = ["bigquery", "redshift"];

/// The names of the tables of a `from` clause.
pub(super) fn names(select: &Select) -> Vec<Ident> {
    let mut found = Vec::new();
    for table in &select.from {
        known(&table.relation, &mut found);
        table.joins.iter().for_each(|join| known(&join.relation, &mut found));
    }
    found
}

/// What the items of lists are called that a select reads.
fn lists(select: &Select) -> Vec<Ident> {
    let factors = select.from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    factors.filter(|factor| matches!(factor, TableFactor::UNNEST { .. })).filter_map(name).collect()
}

/// The same of lists whose column is not named.
fn bare_lists(select: &Select) -> Vec<Ident> {
    let factors = select.from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    let bare = |factor: &&TableFactor| matches!(factor, TableFactor::UNNEST { alias: Some(alias), .. } if alias.columns.is_empty());
    factors.filter(bare).filter_map(name).collect()
}

fn known(factor: &TableFactor, found: &mut Vec<Ident>) {
    if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
        known(&table_with_joins.relation, found);
        table_with_joins.joins.iter().for_each(|join| known(&join.relation, found));
    }
    found.extend(name(factor));
}

/// What a table is called.
fn name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::Pivot { alias: Some(alias), .. }
        | TableFactor::Unpivot { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last().and_then(ObjectNamePart::as_ident).cloned(),
        _ => None,
    }
}

fn same(left: &Ident, right: &Ident) -> bool {
    left.value.to_lowercase() == right.value.to_lowercase()
}

pub(super) fn is_name(name: &Ident, known: &[Ident]) -> bool {
    known.iter().any(|other| same(other, name))
}

/// Rewrites a select before its parts are.
pub(super) fn select(select: &mut Select, rewriter: &mut Rewriter) -> Result<(), Box<SqlError>> {
    joins(select);
    if PATHS.contains(&rewriter.semantics.adapter) {
        paths(select, rewriter);
    }
    as_struct(select, rewriter)?;
    if rewriter.semantics.adapter != "alluvium" {
        field_names(select, rewriter);
        struct_stars(select);
    }
    if rewriter.semantics.adapter == "bigquery" {
        whole_rows(select);
    }
    rewriter.tables.push(names(select));
    Ok(())
}

/// Joins with the list of a row need no condition.
fn joins(select: &mut Select) {
    for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
        let makes_rows = match &join.relation {
            TableFactor::UNNEST { .. } | TableFactor::Function { lateral: true, .. } => true,
            TableFactor::Table { name, args: None, .. } => name.0.len() > 1,
            _ => false,
        };
        if !makes_rows || matches!(join.relation, TableFactor::Table { .. }) {
            continue;
        }
        without_condition(&mut join.join_operator, join.relation.span());
    }
}

fn without_condition(join: &mut JoinOperator, span: Span) {
    match join {
        JoinOperator::Left(constraint @ JoinConstraint::None) | JoinOperator::LeftOuter(constraint @ JoinConstraint::None) => {
            if let Some(always) = expand("true", &[], span) {
                *constraint = JoinConstraint::On(always);
            }
        }
        JoinOperator::Join(JoinConstraint::None) | JoinOperator::Inner(JoinConstraint::None) => {
            *join = JoinOperator::CrossJoin(JoinConstraint::None);
        }
        _ => {}
    }
}

/// `from t, t.list as x` as `from t, unnest(t.list) as x`.
fn paths(select: &mut Select, rewriter: &Rewriter) {
    let mut before: Vec<Ident> = rewriter.tables.iter().flatten().cloned().collect();
    for table in &mut select.from {
        path(&mut table.relation, &before);
        known(&table.relation, &mut before);
        for join in &mut table.joins {
            if path(&mut join.relation, &before) {
                without_condition(&mut join.join_operator, join.relation.span());
            }
            known(&join.relation, &mut before);
        }
    }
}

/// `BigQuery`'s `project.dataset.information_schema.tables` as the rows of that schema.
pub(super) fn of_dataset(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias, args: None, .. } = &*factor else { return };
    let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
    let Some([.., dataset, information, table]) = parts.as_deref() else { return };
    // Schemas belong to a project.
    if !information.value.eq_ignore_ascii_case("information_schema") || table.value.eq_ignore_ascii_case("schemata") {
        return;
    }
    let text = format!(
        "select * from information_schema.\"{}\" where table_schema = '{}'",
        table.value.to_lowercase().replace('"', "\"\""),
        dataset.value.replace('\'', "''")
    );
    let Some(query) = query_at(&text, name.span()) else { return };
    let alias = alias.clone().or_else(|| Some(TableAlias { explicit: true, name: table.clone(), columns: Vec::new(), at: None }));
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None };
}

fn path(factor: &mut TableFactor, before: &[Ident]) -> bool {
    let TableFactor::Table { name, alias, args: None, .. } = factor else { return false };
    let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
    let Some(parts) = parts else { return false };
    let ([first, _, ..], Some(last)) = (parts.as_slice(), parts.last().cloned()) else { return false };
    if !is_name(first, before) {
        return false;
    }
    let alias = alias.take().unwrap_or(TableAlias { explicit: true, name: last, columns: Vec::new(), at: None });
    *factor = TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![Expr::CompoundIdentifier(parts)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    true
}

/// `select as struct a, b` selects one struct.
fn as_struct(select: &mut Select, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    if !select.projection.first().is_some_and(is_as_struct) {
        return Ok(());
    }
    let mark = select.projection.remove(0);
    let span = mark.span();
    let refuse = || rewriter.refuse("this `select as struct` is not supported", span, "name each of its values: `select as struct a as x, ..`");
    let stars = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    if stars {
        // A row of the same select.
        let inner = std::mem::replace(select, bare(span).ok_or_else(refuse)?);
        let Some(table) = select.from.first_mut() else { return Err(refuse()) };
        if let TableFactor::Derived { subquery, .. } = &mut table.relation {
            *subquery.body = SetExpr::Select(Box::new(inner));
        }
        return Ok(());
    }
    let mut parts = Vec::new();
    for (at, item) in std::mem::take(&mut select.projection).into_iter().enumerate() {
        let (expr, name) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value),
            SelectItem::UnnamedExpr(expr) => {
                let name = match &expr {
                    Expr::CompoundFieldAccess { .. } => None,
                    other => column(other).map(|(_, name)| name),
                };
                (expr, name.unwrap_or_else(|| format!("_{}", at + 1)))
            }
            _ => return Err(refuse()),
        };
        parts.extend([super::calls::literal(&name, span), expr]);
    }
    let places: Vec<String> = (1..=parts.len()).map(|at| format!("${at}")).collect();
    let made = expand(&format!("named_struct({})", places.join(", ")), &parts, span).ok_or_else(refuse)?;
    select.projection = vec![SelectItem::ExprWithAlias { expr: made, alias: Ident::with_quote('"', "struct") }];
    Ok(())
}

/// `select r from (..) as r`, whose row is asked for.
fn bare(span: Span) -> Option<Select> {
    let text = format!("select \"struct of\".\"{0}\" as \"struct\" from (select 1) as \"struct of\"(\"{ROW}\")", row_of("struct of"));
    let SetExpr::Select(select) = *query_at(&text, span)?.body else { return None };
    Some(*select)
}

/// `select t.s.a` and `select s.a` of a struct are called `a`.
fn field_names(select: &mut Select, rewriter: &Rewriter) {
    let mut tables = names(select);
    let items = if rewriter.semantics.adapter == "bigquery" { Vec::new() } else { bare_lists(select) };
    tables.extend(rewriter.tables.iter().flatten().cloned());
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item else { continue };
        let Expr::CompoundIdentifier(parts) = &*expr else { continue };
        let of_table = parts.first().is_some_and(|first| is_name(first, &tables));
        let of_item = parts.first().is_some_and(|first| is_name(first, &items));
        if let Some(last) = parts.last().cloned()
            && if of_table && !of_item { parts.len() >= 3 } else { parts.len() == 2 || parts.len() > 2 && !is_name(&parts[1], &tables) }
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: last };
        }
    }
}

/// Makes items of `s.*` where `s` is no table.
fn struct_stars(select: &mut Select) {
    let tables = names(select);
    for item in &mut select.projection {
        let SelectItem::QualifiedWildcard(kind, options) = &*item else { continue };
        if !is_plain(options) {
            continue;
        }
        let expr = match kind {
            SelectItemQualifiedWildcardKind::Expr(expr) => expr.clone(),
            SelectItemQualifiedWildcardKind::ObjectName(ObjectName(parts)) => {
                let parts: Option<Vec<Ident>> = parts.iter().map(|part| part.as_ident().cloned()).collect();
                match parts.as_deref() {
                    Some([only]) if !is_name(only, &tables) => Expr::Identifier(only.clone()),
                    Some([first, second]) if is_name(first, &tables) && !is_name(second, &tables) => {
                        Expr::CompoundIdentifier(vec![first.clone(), second.clone()])
                    }
                    _ => continue,
                }
            }
        };
        let alias = Ident { value: format!("{FIELDS}{expr}"), quote_style: Some('"'), span: expr.span() };
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_rename.is_none()
        && options.opt_replace.is_none()
        && options.opt_ilike.is_none()
}

fn has_struct_star(select: &Select) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.starts_with(FIELDS)))
}

/// Puts a query around one that selects `s.*`, in which the struct becomes its fields.
pub(super) fn query(query: &mut Query) {
    if matches!(query.body.as_ref(), SetExpr::Select(select) if has_struct_star(select)) {
        let Some(mut outer) = around(query.body.span()) else { return };
        outer.with = query.with.take();
        let inner = std::mem::replace(query, outer);
        put(&mut query.body, inner);
    } else {
        parts(&mut query.body);
    }
}

fn parts(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) if has_struct_star(select) => {
            let (Some(outer), Some(mut inner)) = (around(select.span()), around(select.span())) else { return };
            let select = std::mem::replace(body, *outer.body);
            *inner.body = select;
            put(body, inner);
        }
        SetExpr::SetOperation { left, right, .. } => {
            parts(left);
            parts(right);
        }
        _ => {}
    }
}

fn around(span: Span) -> Option<Query> {
    query_at(&format!("select * from (select 1) as \"{FIELDS}\""), span)
}

fn put(body: &mut SetExpr, inner: Query) {
    if let SetExpr::Select(select) = body
        && let Some(table) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut table.relation
    {
        **subquery = inner;
    }
}

/// A table's name in the place of a value is its row: the table gets a column for it, which stars leave out.
fn whole_rows(select: &mut Select) {
    let mut tables = Vec::new();
    for table in &select.from {
        rowed(&table.relation, &mut tables);
        table.joins.iter().for_each(|join| rowed(&join.relation, &mut tables));
    }
    if tables.is_empty() {
        return;
    }
    let aliases: Vec<Ident> = select
        .projection
        .iter()
        .filter_map(|item| if let SelectItem::ExprWithAlias { alias, .. } = item { Some(alias.clone()) } else { None })
        .collect();
    let mut names = Named { tables: &tables, aliases: &[], depth: 0, units: Vec::new(), used: Vec::new() };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr @ Expr::Identifier(_)) = item
            && let Some(alias) = names.named(expr)
        {
            let _ = expr.visit(&mut names);
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        } else {
            let _ = item.visit(&mut names);
        }
    }
    let _ = select.selection.visit(&mut names);
    let _ = select.having.visit(&mut names);
    let _ = select.qualify.visit(&mut names);
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        names.aliases = &aliases;
        let _ = keys.visit(&mut names);
    }
    let used = names.used;
    let mut rows: Vec<Ident> = Vec::new();
    for table in &mut select.from {
        mark(&mut table.relation, &used, &mut rows);
        table.joins.iter_mut().for_each(|join| mark(&mut join.relation, &used, &mut rows));
    }
    for item in &mut select.projection {
        let (options, of) = match item {
            SelectItem::Wildcard(options) => (options, None),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                (options, name.0.last().and_then(ObjectNamePart::as_ident).cloned())
            }
            _ => continue,
        };
        let hidden: Vec<Ident> = rows.iter().filter(|row| of.as_ref().is_none_or(|of| same(of, row))).map(hidden).collect();
        leave_out(options, hidden);
    }
}

/// The names of lists in the order of a query stand for their items, unless something selected is called so.
pub(super) fn order(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let lists = lists(select);
    let is_struct = select.projection.first().is_some_and(is_as_struct);
    let selected = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    };
    let aliases: Vec<Ident> = if is_struct { Vec::new() } else { select.projection.iter().filter_map(selected).collect() };
    let mut names = Named { tables: &lists, aliases: &aliases, depth: 0, units: Vec::new(), used: Vec::new() };
    let _ = query.order_by.visit(&mut names);
}

fn is_as_struct(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(name)) if name.value == AS_STRUCT)
}

/// The column of a table's row.
fn hidden(table: &Ident) -> Ident {
    Ident { value: row_of(&table.value), quote_style: Some('"'), span: table.span }
}

fn leave_out(options: &mut WildcardAdditionalOptions, names: Vec<Ident>) {
    use deltalake::datafusion::sql::sqlparser::ast::{ExceptSelectItem, ExcludeSelectItem};
    let mut names = names.into_iter();
    match (&mut options.opt_exclude, &mut options.opt_except) {
        (Some(ExcludeSelectItem::Multiple(known)), _) => known.extend(names.map(|name| ObjectName::from(vec![name]))),
        (Some(single @ ExcludeSelectItem::Single(_)), _) => {
            let ExcludeSelectItem::Single(first) = single.clone() else { return };
            *single = ExcludeSelectItem::Multiple(std::iter::once(first).chain(names.map(|name| ObjectName::from(vec![name]))).collect());
        }
        (None, Some(known)) => known.additional_elements.extend(names),
        (None, none) => {
            if let Some(first_element) = names.next() {
                *none = Some(ExceptSelectItem { first_element, additional_elements: names.collect() });
            }
        }
    }
}

/// The tables whose names may stand for their rows.
fn rowed(factor: &TableFactor, found: &mut Vec<Ident>) {
    if let TableFactor::Table { args: None, .. } | TableFactor::Derived { .. } | TableFactor::UNNEST { .. } = factor
        && let Some(name) = name(factor)
    {
        found.push(name);
    }
}

fn mark(factor: &mut TableFactor, used: &[Ident], rows: &mut Vec<Ident>) {
    let Some(called) = name(factor) else { return };
    let is_used = is_name(&called, used);
    match factor {
        // These have the column in any case.
        TableFactor::UNNEST { .. } => rows.push(called),
        TableFactor::Table { alias, args: None, .. } | TableFactor::Derived { alias, .. } if is_used => {
            let alias = alias.get_or_insert_with(|| TableAlias { explicit: true, name: called.clone(), columns: Vec::new(), at: None });
            alias.columns.push(TableAliasColumnDef { name: Ident::with_quote('"', ROW), data_type: None });
            rows.push(called);
        }
        _ => {}
    }
}

/// Finds names of tables where values stand, outside of subqueries.
struct Named<'a> {
    tables: &'a [Ident],
    /// What comes before tables.
    aliases: &'a [Ident],
    depth: usize,
    /// Where words stand that are units of time: `date_diff(day, first, day)`.
    units: Vec<Span>,
    used: Vec<Ident>,
}

/// The beginnings of functions whose last argument may be a unit.
const WITH_UNITS: [&str; 5] = ["date_", "datetime_", "timestamp_", "time_", "last_day"];

impl Named<'_> {
    fn named(&self, expr: &Expr) -> Option<Ident> {
        match expr {
            Expr::Identifier(name) if self.depth == 0 && is_name(name, self.tables) && !is_name(name, self.aliases) => {
                (!self.units.contains(&name.span)).then(|| name.clone())
            }
            _ => None,
        }
    }
}

impl VisitorMut for Named<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && WITH_UNITS.iter().any(|begin| name_of(function).starts_with(begin))
            && let FunctionArguments::List(list) = &function.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(unit)))) = list.args.last()
            && list.args.len() > 1
        {
            self.units.push(unit.span);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(name) = self.named(expr)
            && let Some(table) = self.tables.iter().find(|table| same(table, &name))
        {
            self.used.push(table.clone());
            *expr = Expr::CompoundIdentifier(vec![Ident { span: name.span, ..table.clone() }, Ident { span: name.span, ..hidden(table) }]);
        }
        ControlFlow::Continue(())
    }
}

/// `array(select ..)` is the list of the rows, an empty one where there are none.
pub(super) fn list_of(expr: &mut Expr) -> bool {
    const LIST: &str = "select coalesce(array_agg(\"array of\".\"value\"), make_array()) from (select 1) as \"array of\"(\"value\")";
    let Expr::Function(function) = expr else { return false };
    let FunctionArguments::Subquery(rows) = &function.args else { return false };
    if name_of(function) != "array" {
        return false;
    }
    let Some(mut list) = query_at(LIST, function.name.span()) else { return false };
    put(&mut list.body, rows.as_ref().clone());
    *expr = Expr::Subquery(Box::new(list));
    true
}
