//! PIVOT as filtered aggregates, UNPIVOT as lists that are unnested side by side.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{
    self, ExcludeSelectItem, Expr, ExprWithAlias, Ident, NullInclusion, ObjectNamePart, PivotValueSource, Query, Select, SelectItem, SetExpr,
    Spanned, TableAlias, TableFactor, TableWithJoins, VisitMut as _, VisitorMut, WildcardAdditionalOptions,
};

use super::Rewriter;
use super::calls::text;
use super::expand::query_at;
use crate::sql::{SqlError, quote_ident};

/// Replaces a PIVOT or UNPIVOT by a subquery over the same table.
pub(super) fn rewrite(factor: &mut TableFactor, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let span = factor.span();
    let (sql, table, alias) = match &*factor {
        TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } => {
            let PivotValueSource::List(values) = value_source else {
                return Err(rewriter.refuse("the values of a PIVOT must be listed", span, "write `for column in ('a', 'b')`"));
            };
            let [column] = value_column.as_slice() else {
                return Err(rewriter.refuse("a PIVOT over several columns is not supported", span, "combine them into one column first"));
            };
            if default_on_null.is_some() {
                return Err(rewriter.refuse("DEFAULT ON NULL of a PIVOT is not supported", span, "use `coalesce` around the new columns"));
            }
            (pivoted(aggregate_functions, column, values), table, alias)
        }
        TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
            let keep = matches!(null_inclusion, Some(NullInclusion::IncludeNulls));
            (unpivoted(value, name, columns, keep), table, alias)
        }
        _ => return Ok(()),
    };
    let built = sql.and_then(|sql| query_at(&sql, span)).and_then(|query| over(query, (**table).clone()));
    let Some(mut query) = built else {
        return Err(rewriter.refuse("this form of PIVOT or UNPIVOT is not supported", span, "name plain columns in it"));
    };
    give_places(&mut query, &columns_named(factor));
    let alias = alias.clone();
    *factor = derived(query, alias);
    Ok(())
}

/// The columns that a PIVOT or UNPIVOT names, with their places.
fn columns_named(factor: &TableFactor) -> Vec<Ident> {
    let of = |expr: &Expr| idents_of(expr);
    match factor {
        TableFactor::Pivot { aggregate_functions, value_column, .. } => {
            aggregate_functions.iter().map(|aggregate| &aggregate.expr).chain(value_column).flat_map(of).collect()
        }
        TableFactor::Unpivot { columns, .. } => columns.iter().flat_map(|column| idents_of(&column.expr)).collect(),
        _ => Vec::new(),
    }
}

/// Columns in the built query stand where they were written.
fn give_places(query: &mut Query, written: &[Ident]) {
    struct Places<'a>(&'a [Ident]);
    impl Places<'_> {
        fn give(&self, ident: &mut Ident) {
            if let Some(known) = self.0.iter().find(|known| known.value == ident.value) {
                ident.span = known.span;
            }
        }
    }
    impl VisitorMut for Places<'_> {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for item in &mut select.projection {
                let SelectItem::Wildcard(WildcardAdditionalOptions { opt_exclude: Some(ExcludeSelectItem::Multiple(names)), .. }) = item else {
                    continue;
                };
                for name in names.iter_mut().flat_map(|name| &mut name.0) {
                    if let ObjectNamePart::Identifier(ident) = name {
                        self.give(ident);
                    }
                }
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Identifier(ident) = expr {
                self.give(ident);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Places(written));
}

fn derived(query: Query, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }
}

/// Puts the table into the innermost `from`, where the text has a name that stands for it.
fn over(mut query: Query, table: TableFactor) -> Option<Query> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [TableWithJoins { relation, .. }] = select.from.as_mut_slice() else { return None };
    if let TableFactor::Derived { subquery, .. } = relation {
        **subquery = over((**subquery).clone(), table)?;
    } else {
        *relation = table;
    }
    Some(query)
}

/// Groups by every column that neither the aggregates nor the `for` name.
fn pivoted(aggregates: &[ExprWithAlias], column: &Expr, values: &[ExprWithAlias]) -> Option<String> {
    let mut used = columns_of(column);
    for aggregate in aggregates {
        used.extend(columns_of(&aggregate.expr));
    }
    used.sort();
    used.dedup();
    let mut sql = format!("select * exclude ({})", used.join(", "));
    for value in values {
        let shown = value
            .alias
            .as_ref()
            .map(|alias| alias.value.clone())
            .or_else(|| text(&value.expr).map(str::to_owned))
            .unwrap_or_else(|| value.expr.to_string());
        for aggregate in aggregates {
            let Expr::Function(function) = &aggregate.expr else { return None };
            let name = match (&aggregate.alias, aggregates.len()) {
                (Some(alias), _) => format!("{shown}_{}", alias.value),
                (None, 1) => shown.clone(),
                (None, _) => format!("{shown}_{}", aggregate.expr),
            };
            write!(sql, ", {function} filter (where {column} = {}) as {}", value.expr, quote_ident(&name)).ok()?;
        }
    }
    Some(sql + " from t group by all")
}

fn unpivoted(value: &Expr, name: &Ident, columns: &[ExprWithAlias], keep_nulls: bool) -> Option<String> {
    let Expr::Identifier(value) = value else { return None };
    let mut used = Vec::new();
    let mut labels = Vec::new();
    for column in columns {
        let Expr::Identifier(ident) = &column.expr else { return None };
        used.push(ident.to_string());
        let label = column.alias.as_ref().map_or(&ident.value, |alias| &alias.value);
        labels.push(format!("'{}'", label.replace('\'', "''")));
    }
    let (labels, used) = (labels.join(", "), used.join(", "));
    let inner = format!("select * exclude ({used}), unnest([{labels}]) as {name}, unnest([{used}]) as {value} from t");
    Some(if keep_nulls { inner } else { format!("select * from ({inner}) where {value} is not null") })
}

fn columns_of(expr: &Expr) -> Vec<String> {
    idents_of(expr).iter().map(Ident::to_string).collect()
}

fn idents_of(expr: &Expr) -> Vec<Ident> {
    let mut found = Vec::new();
    let _ = ast::visit_expressions(expr, |inner| {
        if let Expr::Identifier(name) = inner {
            found.push(name.clone());
        }
        ControlFlow::<()>::Continue(())
    });
    found
}
