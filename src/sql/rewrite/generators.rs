//! What makes several rows of one: `lateral view`, and `posexplode` and `stack` in a select list, as UNNEST.

use deltalake::datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LateralView, Select, SelectItem, Spanned, TableFactor, Value,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::expand::{expand, name_of, query_at};
use crate::sql::SqlError;

const HELP: &str = "LATERAL VIEW takes explode, posexplode, inline and stack";

/// A list that makes one row where it is NULL or empty.
pub(super) const KEPT: &str = "case when cardinality($1) > 0 then $1 else make_array(null) end";

/// The lists that a generator unnests side by side, and what their columns are called.
struct Lists {
    exprs: Vec<Expr>,
    names: Vec<String>,
}

/// `row_number() over (order by seq4())` numbers rows as they come, as `seq4()` does itself.
pub(super) fn numbered(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    if name_of(function) != "row_number" {
        return;
    }
    let Some(ast::WindowType::WindowSpec(window)) = &mut function.over else { return };
    let is_sequence = |by: &ast::OrderByExpr| {
        by.options.asc != Some(false)
            && matches!(&by.expr, Expr::Function(call) if matches!(name_of(call).as_str(), "seq1" | "seq2" | "seq4" | "seq8"))
    };
    if matches!(window.order_by.as_slice(), [only] if is_sequence(only)) {
        window.order_by.clear();
    }
}

/// Rewrites the generators of a select.
pub(super) fn rewrite(select: &mut Select, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
        plain_joins(&mut join.join_operator);
    }
    for view in std::mem::take(&mut select.lateral_views) {
        let join = join(&view, rewriter)?;
        match select.from.last_mut() {
            Some(table) => table.joins.push(join),
            None => return Err(rewriter.refuse("LATERAL VIEW needs a table before it", view.lateral_view.span(), "use `from unnest(..)`")),
        }
    }
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match listed(&item, rewriter)? {
            Some(lists) => items.extend(lists.exprs.into_iter().zip(lists.names).filter_map(|(list, name)| {
                let expr = expand("unnest($1)", std::slice::from_ref(&list), list.span())?;
                Some(SelectItem::ExprWithAlias { expr, alias: Ident::new(name) })
            })),
            None => items.push(item),
        }
    }
    select.projection = items;
    Ok(())
}

/// `semi join` and `anti join` are the left ones.
fn plain_joins(join: &mut ast::JoinOperator) {
    let empty = ast::JoinOperator::CrossJoin(ast::JoinConstraint::None);
    *join = match std::mem::replace(join, empty) {
        ast::JoinOperator::Semi(on) => ast::JoinOperator::LeftSemi(on),
        ast::JoinOperator::Anti(on) => ast::JoinOperator::LeftAnti(on),
        other => other,
    };
}

/// A generator that stands in a select list and makes several columns.
fn listed(item: &SelectItem, rewriter: &Rewriter) -> Result<Option<Lists>, Box<SqlError>> {
    let (function, alias) = match item {
        SelectItem::UnnamedExpr(Expr::Function(function)) => (function, None),
        SelectItem::ExprWithAlias { expr: Expr::Function(function), alias } => (function, Some(alias)),
        SelectItem::ExprWithAliases { expr: Expr::Function(function), aliases } => {
            let mut lists = generator(function, aliases.len(), rewriter)?;
            if lists.exprs.len() != aliases.len() {
                let message = format!("`{}` makes {} columns, and {} are named", name_of(function), lists.exprs.len(), aliases.len());
                return Err(rewriter.refuse(&message, function.name.span(), "give each column a name, or leave the names out"));
            }
            lists.names = aliases.iter().map(|alias| alias.value.clone()).collect();
            return Ok(Some(lists));
        }
        _ => return Ok(None),
    };
    let name = name_of(function);
    if matches!(name.as_str(), "inline" | "inline_outer") {
        let help = "write `from t lateral view inline(list) v as a, b`, which names the columns";
        return Err(rewriter.refuse(&format!("`{name}` in a select list is not available"), function.name.span(), help));
    }
    if !matches!(name.as_str(), "posexplode" | "stack") {
        return Ok(None);
    }
    let mut lists = generator(function, 0, rewriter)?;
    if let Some(alias) = alias {
        if lists.exprs.len() > 1 {
            let message = format!("`{name}` makes {} columns, and one is named", lists.exprs.len());
            return Err(rewriter.refuse(&message, alias.span, "leave the alias out, or use LATERAL VIEW, which names each of them"));
        }
        lists.names = vec![alias.value.clone()];
    }
    Ok(Some(lists))
}

/// `lateral view [outer] explode(l) t as e` as `cross join unnest(l) as t(e)`.
fn join(view: &LateralView, rewriter: &Rewriter) -> Result<ast::Join, Box<SqlError>> {
    let span = view.lateral_view.span();
    let Expr::Function(function) = &view.lateral_view else { return Err(rewriter.refuse("LATERAL VIEW needs a generator", span, HELP)) };
    let mut lists = generator(function, view.lateral_col_alias.len(), rewriter)?;
    if view.outer {
        lists.exprs = lists.exprs.iter().filter_map(|list| expand(KEPT, std::slice::from_ref(list), span)).collect();
    }
    let mut names: Vec<Ident> = lists.names.iter().map(|name| Ident { value: name.clone(), quote_style: None, span }).collect();
    if !view.lateral_col_alias.is_empty() {
        if view.lateral_col_alias.len() != names.len() {
            let message = format!("`{}` makes {} columns, and {} are named", name_of(function), names.len(), view.lateral_col_alias.len());
            return Err(rewriter.refuse(&message, span, "name each of them"));
        }
        names.clone_from(&view.lateral_col_alias);
    }
    let refuse = || rewriter.refuse("this LATERAL VIEW is not supported", span, HELP);
    let template = query_at("select 1 from a cross join unnest(b) as t(c)", span).ok_or_else(refuse)?;
    let ast::SetExpr::Select(inner) = *template.body else { return Err(refuse()) };
    let mut join = inner.from.into_iter().next().and_then(|table| table.joins.into_iter().next()).ok_or_else(refuse)?;
    let TableFactor::UNNEST { alias: Some(alias), array_exprs, .. } = &mut join.relation else { return Err(refuse()) };
    if let Some(name) = view.lateral_view_name.0.last().and_then(|part| part.as_ident()) {
        alias.name = name.clone();
    }
    alias.columns = names.into_iter().map(|name| ast::TableAliasColumnDef { name, data_type: None }).collect();
    *array_exprs = lists.exprs;
    Ok(join)
}

fn generator(function: &ast::Function, aliases: usize, rewriter: &Rewriter) -> Result<Lists, Box<SqlError>> {
    let span = function.name.span();
    let arguments = arguments(function);
    let lists = |templates: &[&str], names: &[&str], list: &Expr| {
        let exprs = templates.iter().filter_map(|template| expand(template, std::slice::from_ref(list), span)).collect();
        Lists { exprs, names: names.iter().map(|name| (*name).to_owned()).collect() }
    };
    match (name_of(function).as_str(), arguments.as_slice()) {
        ("explode" | "explode_outer" | "unnest" | "flatten", [map]) if aliases == 2 => {
            Ok(lists(&["map_keys($1)", "map_values($1)"], &["key", "value"], map))
        }
        ("explode" | "explode_outer" | "unnest", [list]) => Ok(lists(&["$1"], &["col"], list)),
        ("posexplode" | "posexplode_outer", [list]) => {
            Ok(lists(&["generate_series(0, cast(cardinality($1) as bigint) - 1)", "$1"], &["pos", "col"], list))
        }
        ("inline" | "inline_outer", [list]) => {
            let exprs = (1..=aliases).filter_map(|place| expand(&format!("struct_items($1, {place})"), std::slice::from_ref(list), span)).collect();
            Ok(Lists { exprs, names: (1..=aliases).map(|place| format!("col{place}")).collect() })
        }
        ("stack", [rows, values @ ..]) => stack(rows, values, span, rewriter),
        (name, _) => Err(rewriter.refuse(&format!("`{name}` is no generator of rows that is known, or has other arguments"), span, HELP)),
    }
}

/// `stack(2, a, b, c, d)` lays the values out in two rows.
fn stack(rows: &Expr, values: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Lists, Box<SqlError>> {
    let count = match rows {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse::<usize>().ok(),
            _ => None,
        },
        _ => None,
    };
    let Some(count) = count.filter(|count| *count > 0 && !values.is_empty()) else {
        return Err(rewriter.refuse("`stack` needs a number of rows, and values", span, "write it as `stack(2, 'a', 1, 'b', 2)`"));
    };
    let width = values.len().div_ceil(count);
    let column = |at: usize| {
        let cells: Vec<Expr> =
            (0..count).map(|row| values.get(row * width + at).cloned().unwrap_or_else(|| Expr::Value(Value::Null.with_span(span)))).collect();
        let list: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
        expand(&format!("make_array({})", list.join(", ")), &cells, span)
    };
    Ok(Lists { exprs: (0..width).filter_map(column).collect(), names: (0..width).map(|at| format!("col{at}")).collect() })
}

fn arguments(function: &ast::Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    list.args
        .iter()
        .filter_map(|argument| if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument { Some(expr.clone()) } else { None })
        .collect()
}
