//! Clauses that DataFusion's planner does not know, as those that it knows.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use deltalake::datafusion::functions_aggregate::all_default_aggregate_functions;
use deltalake::datafusion::sql::sqlparser::ast::{
    self, Expr, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, Spanned, TopQuantity, Value,
    visit_expressions,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::expand::{expand, name_of};
use crate::sql::SqlError;
use crate::sql::statements::{INSTEAD_OF_ASOF, NO_ASOF};

/// `minus`, `fetch first`, `top` and `order by all` of one query.
pub(super) fn query(query: &mut Query, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    minus(&mut query.body);
    if let Some(fetch) = query.fetch.take() {
        if fetch.with_ties || fetch.percent {
            return Err(rewriter.refuse(
                "FETCH with TIES or PERCENT is not supported",
                query.body.span(),
                "use `qualify rank() over (order by ..) <= n`",
            ));
        }
        limit(query, fetch.quantity.unwrap_or_else(|| number(1)));
    }
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(top) = select.top.take()
    {
        if top.with_ties || top.percent {
            return Err(rewriter.refuse("TOP with TIES or PERCENT is not supported", select.span(), "use `qualify rank() over (order by ..) <= n`"));
        }
        let quantity = match top.quantity {
            Some(TopQuantity::Expr(expr)) => expr,
            Some(TopQuantity::Constant(rows)) => number(rows),
            None => number(1),
        };
        limit(query, quantity);
    }
    order_by_all(query, rewriter)?;
    order_by_places(query);
    Ok(())
}

/// `select distinct upper(x) .. order by upper(x)`: the planner looks for the column, not for the expression.
fn order_by_places(query: &mut Query) {
    let Some(ast::OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by else { return };
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    if select.distinct.is_none() {
        return;
    }
    let named = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    let known = select.projection.iter().take_while(|item| named(item));
    let items: Vec<&Expr> = known
        .filter_map(|item| if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item { Some(expr) } else { None })
        .collect();
    for key in keys.iter_mut().filter(|key| !matches!(key.expr, Expr::Identifier(_) | Expr::Value(_))) {
        if let Some(at) = items.iter().position(|item| **item == key.expr) {
            key.expr = number(at as u64 + 1);
        }
    }
}

fn minus(body: &mut SetExpr) {
    if let SetExpr::SetOperation { op, left, right, .. } = body {
        if *op == SetOperator::Minus {
            *op = SetOperator::Except;
        }
        minus(left);
        minus(right);
    }
}

/// Sets how many rows a query yields.
pub(super) fn limit_to(query: &mut Query, rows: Expr) {
    query.limit_clause = None;
    limit(query, rows);
}

fn limit(query: &mut Query, rows: Expr) {
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        Some(_) => {}
        none => *none = Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() }),
    }
}

fn number(value: u64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).with_empty_span())
}

/// Orders by every column of the select list, from the left.
fn order_by_all(query: &mut Query, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Some(order) = &mut query.order_by else { return Ok(()) };
    let options = match &order.kind {
        OrderByKind::All(options) => *options,
        OrderByKind::Expressions(keys) => match keys.as_slice() {
            [OrderByExpr { expr: Expr::Identifier(word), options, .. }] if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("all") => {
                *options
            }
            _ => return Ok(()),
        },
    };
    let count = match first_select(&query.body) {
        Some(select) if select.projection.iter().all(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })) => {
            select.projection.len()
        }
        _ => return Err(rewriter.refuse("ORDER BY ALL needs a select list without `*`", query.body.span(), "name the columns")),
    };
    let columns = (1..=count).map(|place| OrderByExpr { expr: number(place as u64), options, with_fill: None });
    order.kind = OrderByKind::Expressions(columns.collect());
    Ok(())
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => first_select(left),
        SetExpr::Query(query) => first_select(&query.body),
        _ => None,
    }
}

/// `exists (..)` in a select list as a count, which can be planned there.
///
/// Only where the subquery's rows are those of its `from` and `where`: grouping, limits and the like stay as they are.
pub(super) fn exists_in_list(item: &mut SelectItem) {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
    let _ = ast::visit_expressions_mut(expr, |inner| {
        match inner {
            Expr::Exists { subquery, negated } => {
                if let Some(counted) = counted(subquery, *negated) {
                    *inner = counted;
                }
            }
            Expr::InSubquery { expr, subquery, negated } if !matches!(**expr, Expr::Tuple(_)) => {
                if let Some(found) = among(expr, subquery, *negated) {
                    *inner = found;
                }
            }
            _ => {}
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
}

/// `a in (select ..)` in a select list, by counting: how many are equal, how many there are, how many of them are NULL.
fn among(value: &Expr, query: &Query, negated: bool) -> Option<Expr> {
    let span = value.span();
    let counting = |text: &str| -> Option<Expr> {
        let mut outer = super::expand::query_at(text, span)?;
        let SetExpr::Select(select) = outer.body.as_mut() else { return None };
        if let ast::TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation {
            **subquery = query.clone();
        }
        Some(Expr::Subquery(Box::new(outer)))
    };
    let equal = counting("select count(1) from (select 1) as in__(value__) where in__.value__ = placeholder__")?;
    let Expr::Subquery(mut equal) = equal else { return None };
    if let SetExpr::Select(select) = equal.body.as_mut()
        && let Some(Expr::BinaryOp { right, .. }) = &mut select.selection
    {
        **right = Expr::Nested(Box::new(value.clone()));
    }
    let all = counting("select count(1) from (select 1) as in__(value__)")?;
    let known = counting("select count(in__.value__) from (select 1) as in__(value__)")?;
    let template = "case when coalesce($1, 0) > 0 then true when $2 = 0 then false when $4 is null or $3 < $2 then null else false end";
    let found = expand(template, &[Expr::Subquery(equal), all, known, value.clone()], span)?;
    if negated { expand("not ($1)", &[found], span) } else { Some(found) }
}

fn counted(query: &Query, negated: bool) -> Option<Expr> {
    let mut query = query.clone();
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    query.order_by = None;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let grouped = !matches!(&select.group_by, ast::GroupByExpr::Expressions(keys, _) if keys.is_empty());
    if grouped || select.having.is_some() || select.qualify.is_some() || select.projection.iter().any(has_call) {
        return None;
    }
    select.distinct = None;
    select.projection = vec![SelectItem::UnnamedExpr(expand("count(1)", &[], Span::empty())?)];
    let count = Expr::Subquery(Box::new(query));
    expand(if negated { "coalesce($1, 0) = 0" } else { "coalesce($1, 0) > 0" }, &[count], Span::empty())
}

/// Whether a list item calls a function: it may be an aggregate, which gives a row where there is none.
fn has_call(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    let mut probe = expr.clone();
    ast::visit_expressions_mut(&mut probe, |inner| match inner {
        Expr::Function(_) => std::ops::ControlFlow::Break(()),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .is_break()
}

/// Joins and lists that would fail late, or mean something else.
pub(super) fn refused(select: &Select, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    for join in select.from.iter().flat_map(|table| &table.joins) {
        if matches!(join.join_operator, ast::JoinOperator::AsOf { .. }) {
            return Err(rewriter.refuse(NO_ASOF, join.relation.span(), INSTEAD_OF_ASOF));
        }
        let bare =
            matches!(join.join_operator, ast::JoinOperator::Join(ast::JoinConstraint::None) | ast::JoinOperator::Inner(ast::JoinConstraint::None));
        if bare && !rewriter.semantics.joins_without_condition && joins_a_table(&join.relation) {
            let help = "say how rows belong together with `on` or `using`, or write `cross join` where all are to meet";
            return Err(rewriter.refuse_unsafe("a join without a condition pairs every row with every row", join.relation.span(), help));
        }
    }
    for item in &select.projection {
        if let SelectItem::UnnamedExpr(Expr::Array(array)) = item
            && let [Expr::Identifier(name)] = array.elem.as_slice()
        {
            let help = format!("write \"{0}\" for the column, or `[{0}] as ..` for a list", name.value);
            return Err(rewriter.refuse_unsafe(
                &format!("`[{}]` is a list here, and a column's name in other engines", name.value),
                name.span,
                &help,
            ));
        }
    }
    if let Some(span) = select.selection.as_ref().and_then(window_call) {
        return Err(rewriter.refuse(
            "a window function can't stand in `where`",
            span,
            "put the condition into `qualify`, or into a query around this one",
        ));
    }
    twice(select, rewriter)
}

/// Whether what is joined stands for itself: lists and the like that belong to the row before need no condition.
fn joins_a_table(factor: &ast::TableFactor) -> bool {
    match factor {
        ast::TableFactor::Table { args, .. } => args.is_none(),
        ast::TableFactor::Derived { lateral, .. } => !lateral,
        ast::TableFactor::NestedJoin { .. } => true,
        _ => false,
    }
}

/// The place of a window function in an expression, outside of its subqueries.
fn window_call(expr: &Expr) -> Option<Span> {
    struct Windows {
        depth: usize,
    }
    impl ast::Visitor for Windows {
        type Break = Span;

        fn pre_visit_query(&mut self, _: &Query) -> std::ops::ControlFlow<Span> {
            self.depth += 1;
            std::ops::ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> std::ops::ControlFlow<Span> {
            self.depth -= 1;
            std::ops::ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<Span> {
            match expr {
                Expr::Function(function) if self.depth == 0 && function.over.is_some() => std::ops::ControlFlow::Break(function.name.span()),
                _ => std::ops::ControlFlow::Continue(()),
            }
        }
    }
    ast::Visit::visit(expr, &mut Windows { depth: 0 }).break_value()
}

/// Refuses two columns of one name, with both places.
fn twice(select: &Select, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let mut known: std::collections::BTreeMap<&str, Span> = std::collections::BTreeMap::new();
    for item in &select.projection {
        let SelectItem::ExprWithAlias { alias, .. } = item else { continue };
        if let Some(first) = known.insert(&alias.value, alias.span)
            && let (Some(first), Some(_)) = (rewriter.range(first), rewriter.range(alias.span))
        {
            let mut error = rewriter.refuse(&format!("two columns are called `{}`", alias.value), alias.span, "give one of them another name");
            error.relate(first, "the other one");
            return Err(error);
        }
    }
    Ok(())
}

/// `(select f(t.x))` is `f(t.x)`: there is one row, which the planner would have to join with.
pub(super) fn without_tables(query: &Query) -> Option<Expr> {
    let bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let plain = select.from.is_empty()
        && select.lateral_views.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && matches!(&select.group_by, ast::GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_slice() else { return None };
    (bare && plain && !has_rows(expr)).then(|| Expr::Nested(Box::new(expr.clone())))
}

/// Whether an expression goes by several rows, or gives several.
pub(super) fn has_rows(expr: &Expr) -> bool {
    static OF_ROWS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let aggregates = all_default_aggregate_functions();
        let names = aggregates.iter().flat_map(|function| function.aliases().iter().cloned().chain([function.name().to_owned()]));
        let ours = ["unnest", "explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "flatten", "generate_series", "range"];
        let more = [
            "mode",
            "listagg",
            "group_concat",
            "collect_list",
            "collect_set",
            "any_value",
            "min_by",
            "max_by",
            "count_if",
            "countif",
            "try_sum",
            "logical_or",
            "logical_and",
        ];
        names.chain(ours.into_iter().chain(more).map(str::to_owned)).collect()
    });
    visit_expressions(expr, |inner| match inner {
        Expr::Function(function) if function.over.is_some() || OF_ROWS.contains(&name_of(function)) => ControlFlow::Break(()),
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// `(select y from u where u.k = t.k order by d limit 1)` as an aggregate, which can be worked out for all rows at once.
pub(super) fn first_row(query: &mut Query) {
    let one = matches!(&query.limit_clause, Some(LimitClause::LimitOffset { limit: Some(Expr::Value(value)), offset: None, limit_by })
        if limit_by.is_empty() && matches!(&value.value, Value::Number(text, _) if text == "1"));
    if !one || query.fetch.is_some() || query.with.is_some() {
        return;
    }
    let keys = match &query.order_by {
        None => Vec::new(),
        Some(ast::OrderBy { kind: OrderByKind::Expressions(keys), .. }) => keys.clone(),
        Some(_) => return,
    };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let grouped = !matches!(&select.group_by, ast::GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let [item] = select.projection.as_mut_slice() else { return };
    let by_place = keys.iter().any(|key| matches!(key.expr, Expr::Value(_)));
    if grouped
        || select.having.is_some()
        || select.qualify.is_some()
        || select.distinct.is_some()
        || select.selection.is_none()
        || by_place
        || has_call(item)
    {
        return;
    }
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
    let Some(Expr::Function(mut first)) = expand("first_value($1)", std::slice::from_ref(expr), expr.span()) else { return };
    if let ast::FunctionArguments::List(list) = &mut first.args
        && !keys.is_empty()
    {
        list.clauses.push(ast::FunctionArgumentClause::OrderBy(keys));
    }
    *expr = Expr::Function(first);
    query.limit_clause = None;
    query.order_by = None;
}
