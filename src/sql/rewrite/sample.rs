//! `tablesample`: a part of a table's rows, taken by chance.

use deltalake::datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SetExpr, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleMethod, TableSampleUnit,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::expand::{expand, query_at};
use crate::sql::SqlError;

/// `t tablesample (10 percent)` as the rows of `t` for which a die falls so; `(5 rows)` as its first rows.
pub(super) fn rewrite(factor: &mut TableFactor, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let (alias, sample, last) = match factor {
        TableFactor::Table { name, alias, sample, .. } => (alias, sample, name.0.last().and_then(|part| part.as_ident()).cloned()),
        TableFactor::Derived { alias, sample, .. } => {
            let called = alias.as_ref().map(|alias| alias.name.clone());
            (alias, sample, Some(called.unwrap_or_else(|| Ident::new("sampled"))))
        }
        _ => return Ok(()),
    };
    let Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample.take() else { return Ok(()) };
    let span = last.as_ref().map_or_else(Span::empty, |name| name.span);
    let refuse = |message: &str| rewriter.refuse_unsafe(message, span, "write it as `t tablesample (10 percent)` or `t tablesample (5 rows)`");
    let (Some(last), Some(quantity)) = (last, sample_of(&sample).map_err(refuse)?) else { return Err(refuse("this TABLESAMPLE is not supported")) };
    let text = match quantity {
        Quantity::Rows(_) => "select * from a limit 1",
        Quantity::Percent(_) => "select * from (select * from a limit 9223372036854775807) as b where true",
    };
    let mut query = query_at(text, span).ok_or_else(|| refuse("this TABLESAMPLE is not supported"))?;
    let inner = alias.clone();
    let called: TableAlias =
        alias.take().unwrap_or_else(|| TableAlias { explicit: true, name: Ident { span, ..last }, columns: Vec::new(), at: None });
    if let SetExpr::Select(select) = query.body.as_mut() {
        let mut sampled = factor.clone();
        if let TableFactor::Derived { alias, .. } = &mut sampled {
            *alias = inner;
        }
        put(select, sampled);
        if let Quantity::Percent(percent) = &quantity {
            select.selection = expand("random() * 100 < $1", std::slice::from_ref(percent), span);
        }
    }
    if let Quantity::Rows(rows) = quantity {
        super::select::limit_to(&mut query, rows);
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(called), sample: None };
    Ok(())
}

/// Puts what is sampled at the bottom of the template. For a chance it stands under a limit that lets all pass, because a
/// filter that uses no column would be moved below what makes several rows of one.
fn put(select: &mut Select, sampled: TableFactor) {
    let Some(table) = select.from.first_mut() else { return };
    match &mut table.relation {
        TableFactor::Derived { subquery, .. } => {
            if let SetExpr::Select(inner) = subquery.body.as_mut() {
                put(inner, sampled);
            }
        }
        other => *other = sampled,
    }
}

enum Quantity {
    Rows(Expr),
    Percent(Expr),
}

fn sample_of(sample: &TableSample) -> Result<Option<Quantity>, &'static str> {
    if sample.seed.is_some() {
        return Err("a TABLESAMPLE that repeats (SEED or REPEATABLE) is not supported");
    }
    if sample.bucket.is_some() || sample.offset.is_some() {
        return Err("a TABLESAMPLE of buckets is not supported");
    }
    let Some(quantity) = &sample.quantity else { return Ok(None) };
    let chance =
        matches!(sample.name, Some(TableSampleMethod::Bernoulli | TableSampleMethod::System | TableSampleMethod::Row | TableSampleMethod::Block));
    Ok(match quantity.unit {
        Some(TableSampleUnit::Rows) => Some(Quantity::Rows(quantity.value.clone())),
        Some(TableSampleUnit::Percent) => Some(Quantity::Percent(quantity.value.clone())),
        None if chance => Some(Quantity::Percent(quantity.value.clone())),
        None => return Err("a TABLESAMPLE without PERCENT or ROWS means different things in different engines"),
    })
}
