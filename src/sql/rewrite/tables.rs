//! What makes rows in a `from` clause, as UNNEST: `unnest .. with ordinality`, the `with offset` of `BigQuery`, Snowflake's `flatten`
//! and `generator`, and `explode` and `posexplode` behind LATERAL.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Select, Spanned, TableAlias, TableAliasColumnDef,
    TableFactor, Value, VisitMut, VisitorMut,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::expand::{expand, query_at};
use super::generators::KEPT;
use crate::sql::SqlError;

/// The most rows that `generator` makes.
const MOST: u64 = 1_000_000_000;

/// Rewrites one table of a `from` clause.
pub(super) fn rewrite(factor: &mut TableFactor, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    match factor {
        TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } => {
            let place = if std::mem::take(with_ordinality) {
                Some(("generate_series(1, $1)", Ident::new("ordinality")))
            } else if std::mem::take(with_offset) {
                Some(("generate_series(0, $1 - 1)", with_offset_alias.take().unwrap_or_else(|| Ident::new("offset"))))
            } else {
                None
            };
            unnested(alias, array_exprs, place);
        }
        TableFactor::Table { name, args: Some(given), .. } if matches!(name.to_string().to_lowercase().as_str(), "generate_series" | "range") => {
            if let [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(first)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(last)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Interval(_))),
            ] = given.args.as_mut_slice()
            {
                // The unit that the function wants.
                for end in [first, last] {
                    if let Some(cast) = expand("arrow_cast($1, 'Timestamp(Nanosecond, None)')", std::slice::from_ref(end), end.span()) {
                        *end = cast;
                    }
                }
            }
        }
        TableFactor::Table { name, args: Some(given), with_ordinality, alias, .. }
            if ITEMS.iter().any(|(known, _)| *known == name.to_string().to_lowercase()) =>
        {
            let asked = *with_ordinality;
            if let Some(found) = made(name, &given.args, alias, rewriter)? {
                *factor = found;
                if let TableFactor::UNNEST { with_ordinality, .. } = factor {
                    *with_ordinality = asked;
                }
                return rewrite(factor, rewriter);
            }
        }
        TableFactor::Function { lateral: true, name, args, with_ordinality, alias } => {
            let asked = *with_ordinality;
            if let Some(found) = made(name, args, alias, rewriter)? {
                *factor = found;
                if let TableFactor::UNNEST { with_ordinality, .. } = factor {
                    *with_ordinality = asked;
                }
                return rewrite(factor, rewriter);
            }
        }
        TableFactor::TableFunction { expr: Expr::Function(function), alias } => {
            if let FunctionArguments::List(list) = &function.args
                && let Some(found) = made(&function.name, &list.args, alias, rewriter)?
            {
                *factor = found;
                return rewrite(factor, rewriter);
            }
            let help = "`table(..)` takes flatten, split_to_table, generator, explode and posexplode";
            return Err(rewriter.refuse(&format!("`table({}(..))` is not available", function.name), function.name.span(), help));
        }
        _ => {}
    }
    Ok(())
}

/// What the names of rows stand for that functions over JSON make, in a select: such a function has a column `value`, and its
/// name alone is the item too.
pub(super) fn name_rows(select: &mut Select) {
    let mut given: Vec<Ident> = Vec::new();
    let factors = |select: &mut Select, each: &mut dyn FnMut(&ObjectName, &mut TableAlias)| {
        for table in &mut select.from {
            for factor in std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation)) {
                if let TableFactor::Table { name, args: Some(_), alias: Some(alias), .. } | TableFactor::Function { name, alias: Some(alias), .. } =
                    factor
                    && alias.columns.is_empty()
                    && (ITEMS.iter().any(|(known, _)| *known == name.to_string().to_lowercase()))
                {
                    each(name, alias);
                }
            }
        }
    };
    factors(select, &mut |_, alias| given.push(alias.name.clone()));
    if given.is_empty() {
        return;
    }
    let mut used = Items { names: &given, alone: Vec::new(), beside: Vec::new() };
    let _ = select.projection.visit(&mut used);
    let _ = select.selection.visit(&mut used);
    let _ = select.group_by.visit(&mut used);
    let _ = select.having.visit(&mut used);
    let _ = select.from.visit(&mut used);
    let (alone, beside) = (used.alone, used.beside);
    factors(select, &mut |_, alias| {
        let called = alias.name.value.to_lowercase();
        if alone.contains(&called) {
            alias.columns = vec![column(alias.name.clone())];
            if called != VALUE && beside.contains(&called) {
                alias.columns.push(column(Ident::new(VALUE)));
            }
        }
    });
}

/// Finds names of tables that stand alone where values stand.
struct Items<'a> {
    names: &'a [Ident],
    alone: Vec<String>,
    /// Those whose column is named too.
    beside: Vec<String>,
}

impl VisitorMut for Items<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let is_known = |name: &Ident| self.names.iter().any(|known| known.value.eq_ignore_ascii_case(&name.value));
        match &*expr {
            Expr::Identifier(name) if is_known(name) => self.alone.push(name.value.to_lowercase()),
            Expr::Identifier(name) if name.value.eq_ignore_ascii_case(VALUE) => {
                self.beside.extend(self.names.iter().map(|name| name.value.to_lowercase()));
            }
            Expr::CompoundIdentifier(parts) => {
                if let [table, field] = parts.as_slice()
                    && is_known(table)
                    && field.value.eq_ignore_ascii_case(VALUE)
                {
                    self.beside.push(table.value.to_lowercase());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The column of the items of JSON.
const VALUE: &str = "value";

/// Postgres' functions that make rows of JSON, and the lists that they make them of, with the names of their columns.
const ITEMS: [(&str, &[(&str, &str)]); 10] = [
    ("json_array_elements", &[("json_texts($1)", "value")]),
    ("jsonb_array_elements", &[("json_texts($1)", "value")]),
    ("json_array_elements_text", &[("json_items($1)", "value")]),
    ("jsonb_array_elements_text", &[("json_items($1)", "value")]),
    ("json_object_keys", &[("json_object_keys($1)", "json_object_keys")]),
    ("jsonb_object_keys", &[("json_object_keys($1)", "jsonb_object_keys")]),
    ("json_each", &[("json_object_keys($1)", "key"), ("json_values($1)", "value")]),
    ("jsonb_each", &[("json_object_keys($1)", "key"), ("json_values($1)", "value")]),
    ("json_each_text", &[("json_object_keys($1)", "key"), ("json_items($1)", "value")]),
    ("jsonb_each_text", &[("json_object_keys($1)", "key"), ("json_items($1)", "value")]),
];

/// What the call of a function that makes rows stands for.
fn made(
    name: &ObjectName,
    arguments: &[FunctionArg],
    alias: &mut Option<TableAlias>,
    rewriter: &Rewriter,
) -> Result<Option<TableFactor>, Box<SqlError>> {
    let span = name.span();
    let list = argument(arguments, "input", 0).cloned();
    let unnest = |array_exprs: Vec<Expr>, alias: Option<TableAlias>| TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    Ok(match (name.to_string().to_lowercase().as_str(), list) {
        ("unnest" | "explode", Some(_)) => {
            let lists: Option<Vec<Expr>> = arguments.iter().map(plain).collect();
            lists.map(|lists| unnest(lists, alias.take()))
        }
        (called, Some(list)) if let Some((known, items)) = ITEMS.iter().find(|(known, _)| *known == called) => {
            // The items under two names.
            let twice = items.len() == 1
                && alias.as_ref().is_some_and(|alias| match alias.columns.as_slice() {
                    [first, second] => first.name == alias.name && second.name.value == VALUE,
                    _ => false,
                });
            let templates = items.iter().map(|(template, _)| (*template).to_owned());
            // The planner takes no list twice.
            let again = items.iter().filter(|_| twice).map(|(template, _)| format!("case when true then {template} end"));
            let lists = templates.chain(again).filter_map(|template| expand(&template, std::slice::from_ref(&list), span)).collect();
            let columns: Vec<&str> = items.iter().map(|(_, column)| *column).collect();
            Some(unnest(lists, Some(named(alias.take(), &columns, known, span))))
        }
        ("posexplode", Some(list)) => Some(unnest(places_and(&list, "$1", span), Some(named(alias.take(), &["pos", "col"], "posexplode", span)))),
        ("flatten", Some(list)) => {
            let outer = argument(arguments, "outer", usize::MAX).is_some_and(|given| given.to_string().eq_ignore_ascii_case("true"));
            if let Some(other) = arguments.iter().find_map(|given| match given {
                FunctionArg::Named { name, .. } if !matches!(name.value.to_lowercase().as_str(), "input" | "outer") => Some(name),
                _ => None,
            }) {
                let help = "flatten the list itself: `flatten(input => get(value, 'name'))`, or twice where lists lie in lists";
                return Err(rewriter.refuse(&format!("`flatten` with `{}` is not available", other.value), other.span, help));
            }
            let made: &[&str] = if rewriter.semantics.adapter == "snowflake" {
                &["json_places($1)", "json_items($1)", "json_keys($1)"]
            } else {
                &["generate_series(0, cast(cardinality(json_items($1)) as bigint) - 1)", "json_items($1)"]
            };
            let lists = made.iter().filter_map(|made| {
                let template = if outer { made.replace("json_items($1)", &KEPT.replace("$1", "json_items($1)")) } else { (*made).to_owned() };
                expand(&template, std::slice::from_ref(&list), span)
            });
            Some(unnest(lists.collect(), Some(named(alias.take(), &["index", "value", "key"][..made.len()], "flatten", span))))
        }
        ("split_to_table", Some(list)) => {
            let parts = argument(arguments, "delimiter", 1)
                .and_then(|between| expand("case when $1 = '' then [''] else string_to_array($1, $2) end", &[list.clone(), between.clone()], span));
            let places =
                parts.as_ref().and_then(|parts| expand("generate_series(1, cast(cardinality($1) as bigint))", std::slice::from_ref(parts), span));
            Some(unnest(places.into_iter().chain(parts).collect(), Some(named(alias.take(), &["index", "value"], "split_to_table", span))))
        }
        ("generator", _) => Some(generator(arguments, alias.take(), span, rewriter)?),
        _ => None,
    })
}

fn plain(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// An argument by its name, or by its place where it has none.
fn argument<'a>(arguments: &'a [FunctionArg], wanted: &str, place: usize) -> Option<&'a Expr> {
    arguments.iter().enumerate().find_map(|(at, argument)| match argument {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } if name.value.eq_ignore_ascii_case(wanted) => Some(expr),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if at == place => Some(expr),
        _ => None,
    })
}

/// The places of a list's items, from 0, and the items.
fn places_and(list: &Expr, items: &str, span: Span) -> Vec<Expr> {
    let items = expand(items, std::slice::from_ref(list), span);
    let places =
        items.as_ref().and_then(|items| expand("generate_series(0, cast(cardinality($1) as bigint) - 1)", std::slice::from_ref(items), span));
    places.into_iter().chain(items).collect()
}

/// The alias of a table, with names for its columns where it gives none.
fn named(alias: Option<TableAlias>, columns: &[&str], name: &str, span: Span) -> TableAlias {
    let mut alias = alias.unwrap_or_else(|| TableAlias { explicit: true, name: Ident::with_span(span, name), columns: Vec::new(), at: None });
    if alias.columns.is_empty() {
        alias.columns = columns.iter().map(|name| column(Ident::with_span(span, *name))).collect();
    }
    alias
}

pub(super) fn column(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}

/// The places beside the items where they are asked for, and a name for the one column of `unnest(l) as x`, which is `x`.
fn unnested(alias: &mut Option<TableAlias>, lists: &mut Vec<Expr>, place: Option<(&str, Ident)>) {
    let span = lists.first().map_or_else(Span::empty, Spanned::span);
    let asked = place.is_some();
    let one = lists.len() == 1;
    let mut names: Vec<Ident> = Vec::new();
    if let Some((template, name)) = place {
        let lengths: Vec<String> = (1..=lists.len()).map(|at| format!("coalesce(cast(cardinality(${at}) as bigint), 0)")).collect();
        let length = if one { lengths.concat() } else { format!("greatest({})", lengths.join(", ")) };
        lists.extend(expand(&template.replace("$1", &length), lists, span));
        names.push(name);
    }
    match alias {
        Some(alias) if alias.columns.is_empty() && one => {
            alias.columns = std::iter::once(alias.name.clone()).chain(names).map(column).collect();
        }
        // Behind the alias in BigQuery: the columns that are named are those of the lists.
        Some(alias) if asked && alias.columns.len() + 1 == lists.len() => alias.columns.extend(names.into_iter().map(column)),
        None if asked && one => {
            let columns = std::iter::once(Ident::new("unnest")).chain(names).map(column).collect();
            *alias = Some(TableAlias { explicit: true, name: Ident::new("unnest"), columns, at: None });
        }
        Some(_) | None => {}
    }
}

/// A whole number that may be written as a product or a sum.
fn reckoned(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) => reckoned(inner),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (reckoned(left)?, reckoned(right)?);
            match op {
                BinaryOperator::Plus => left.checked_add(right),
                BinaryOperator::Minus => left.checked_sub(right),
                BinaryOperator::Multiply => left.checked_mul(right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `generator(rowcount => n)` as a query of so many rows.
fn generator(arguments: &[FunctionArg], alias: Option<TableAlias>, span: Span, rewriter: &Rewriter) -> Result<TableFactor, Box<SqlError>> {
    let rows = argument(arguments, "rowcount", usize::MAX).and_then(reckoned).filter(|rows| *rows <= MOST);
    let refuse = || rewriter.refuse("`generator` needs a number of rows", span, "write it as `table(generator(rowcount => 100))`");
    let rows = rows.ok_or_else(refuse)?;
    let query = query_at(&format!("select value as generated from range({rows})"), span).ok_or_else(refuse)?;
    let alias = alias.or_else(|| Some(TableAlias { explicit: true, name: Ident::with_span(span, "generator"), columns: Vec::new(), at: None }));
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None })
}
