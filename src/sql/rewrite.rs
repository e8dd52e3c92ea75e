//! What analysts write and DataFusion's planner does not know, as what it knows: on the syntax tree, whose nodes keep
//! their places in the text, so that an error about rewritten SQL still points to what was written.

mod aliases;
mod calls;
mod dates;
mod engines;
mod expand;
mod files;
mod foreign;
mod formats;
mod generators;
mod grouped;
mod lambdas;
mod meant;
mod named;
mod outer_fields;
mod own;
mod paths;
mod patterns;
mod pivot;
mod replacement;
mod rows;
mod rules;
mod sample;
mod select;
mod series;
mod shadow;
mod tables;
mod transact;
mod tuples;
mod typed;
mod using;
mod values;
mod wildcards;
mod windows;

use std::ops::{ControlFlow, Range};

use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, DataType, DateTimeField, DollarQuotedString, Expr, Ident, Interval, JsonPath, JsonPathElem, Query, Select,
    SelectItem, Spanned, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

pub use aliases::plan;

use super::SqlError;
use super::literals::unescaped;
use super::respell::EXISTS;
use super::semantics::{Backslash, DoubleQuotes, Semantics, Unnamed};
use crate::base::{Code, SourceFile};

#[cfg(test)]
pub(crate) use rules::RULES;

/// Rewrites a parsed statement in place.
///
/// # Errors
/// Where a construct can't be expressed, with its place in `sql`.
pub fn rewrite(statement: &mut Statement, sql: &str, semantics: Semantics) -> Result<(), Box<SqlError>> {
    let mut rewriter =
        Rewriter { text: SourceFile::new("", sql.into()), names: Vec::new(), ordered_plainly: Vec::new(), tables: Vec::new(), semantics };
    let flow = match statement {
        Statement::Statement(inner) => {
            if let Err(twice) = shadow::rewrite(inner) {
                let message = format!("two CTEs are called `{}`", twice.name);
                return Err(rewriter.refuse(&message, twice.second, "rename one of them"));
            }
            inner.visit(&mut rewriter)
        }
        Statement::Explain(explain) => return rewrite(&mut explain.statement, sql, semantics),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Ok(()),
    };
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter {
    text: SourceFile,
    /// For each open select list: what its items without an alias are called.
    names: Vec<Vec<Option<Given>>>,
    /// For each open query: whether engines' names for columns can't be mistaken in its order.
    ordered_plainly: Vec<bool>,
    /// For each open select: what its tables are called.
    tables: Vec<Vec<Ident>>,
    semantics: Semantics,
}

impl Rewriter {
    #[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
    fn refuse(&self, message: &str, span: Span, help: &str) -> Box<SqlError> {
        let error = SqlError::new(Code::SqlInvalid, message).help(help);
        Box::new(match self.range(span) {
            Some(range) => error.range(range),
            None => error,
        })
    }

    /// Refuses what means something else in other engines.
    #[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
    fn refuse_unsafe(&self, message: &str, span: Span, help: &str) -> Box<SqlError> {
        let mut error = self.refuse(message, span, help);
        error.code = Code::SqlUnsafe;
        error
    }

    /// Fields are told by their names, as texts, and places as lists count them here.
    fn path(&self, root: &mut Expr, chain: &mut Vec<AccessExpr>) {
        paths::of_tables(root, chain, &self.tables);
        for step in chain {
            meant::place_in_list(step, self.semantics);
            if let AccessExpr::Dot(Expr::Identifier(name)) = step {
                *step = AccessExpr::Dot(calls::literal(&name.value, name.span));
            }
        }
    }

    fn range(&self, span: Span) -> Option<Range<usize>> {
        let offset = |line: u64, column: u64| {
            (line > 0).then(|| self.text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize)
        };
        Some(offset(span.start.line, span.start.column)?..offset(span.end.line, span.end.column)?)
    }
}

impl VisitorMut for Rewriter {
    type Break = Box<SqlError>;

    fn pre_visit_statement(&mut self, statement: &mut ast::Statement) -> ControlFlow<Self::Break> {
        match statement {
            ast::Statement::Delete(ast::Delete { selection: Some(condition), .. })
            | ast::Statement::Update(ast::Update { selection: Some(condition), .. }) => flow(tuples::condition(condition, self)),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.ordered_plainly.push(named::is_ordered_plainly(query));
        values::of_ctes(query, self.semantics.value_columns);
        if self.semantics.adapter == "bigquery" {
            rows::order(query);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        flow(select::refused(select, self))?;
        values::name(select, self.semantics);
        tables::name_rows(select);
        series::name(select, self.semantics.unnamed == Unnamed::Figured);
        flow(rows::select(select, self))?;
        if let Some(condition) = &mut select.selection {
            flow(tuples::condition(condition, self))?;
        }
        flow(generators::rewrite(select, self))?;
        if self.semantics.groups_by_alias {
            meant::group_by_aliases(select);
        }
        let by_engine = self.ordered_plainly.last() == Some(&true) && select.qualify.is_none();
        self.names.push(select.projection.iter().map(|item| given_name(item, by_engine.then_some(self.semantics))).collect());
        select.projection.iter_mut().for_each(select::exists_in_list);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        keep_names(&mut select.projection, self.names.pop().unwrap_or_default());
        self.tables.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.ordered_plainly.pop();
        flow(select::query(query, self))?;
        rows::query(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        flow(files::rewrite(factor, self))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if self.semantics.adapter == "bigquery" {
            rows::of_dataset(factor);
        }
        flow(tables::rewrite(factor, self))?;
        flow(sample::rewrite(factor, self))?;
        flow(pivot::rewrite(factor, self))
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Self::Break> {
        match &value.value {
            Value::SingleQuotedString(text) if self.semantics.backslash == Backslash::Escapes => {
                value.value = as_it_is(unescaped(text).into_owned());
            }
            Value::SingleQuotedRawStringLiteral(text) => value.value = as_it_is(text.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.semantics.double_quotes == DoubleQuotes::Text {
            quoted_text(expr);
        }
        generators::numbered(expr);
        dates::week_of_its_own(expr, self.semantics);
        flow(lambdas::rewrite(expr, self))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        flow(typed::rewrite(expr, self))?;
        match expr {
            Expr::Function(_) => {
                if rows::list_of(expr) {
                    return ControlFlow::Continue(());
                }
                flow(calls::rewrite(expr, self))?;
                return flow(calls::no_clauses(expr, self));
            }
            Expr::RLike { .. } | Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } => return flow(patterns::rewrite(expr, self)),
            Expr::InUnnest { .. } => in_list(expr),
            Expr::InSubquery { .. } => return flow(tuples::elsewhere(expr, self)),
            Expr::Subquery(query) => {
                if let Some(value) = select::without_tables(query) {
                    *expr = value;
                } else {
                    select::first_row(query);
                }
            }
            Expr::Extract { field, expr: value, .. } => {
                let place = if let DateTimeField::Custom(word) = field { word.span } else { Spanned::span(value.as_ref()) };
                flow(dates::known_part(&field.to_string(), place, self))?;
                if let Some(part) = dates::extracted(&field.to_string(), value, self.semantics) {
                    *expr = part;
                }
            }
            Expr::Trim { expr: value, .. } if self.semantics.takes_for_texts => {
                if let Some(text) = engines::as_text(value, Spanned::span(value.as_ref())) {
                    **value = text;
                }
            }
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                let span = Spanned::span(text.as_ref());
                let first = expand::expand("1", &[], span);
                let start = substring_from.as_deref().cloned().or(first);
                let parts: Vec<Expr> = std::iter::once((**text).clone()).chain(start).chain(substring_for.as_deref().cloned()).collect();
                let template = if parts.len() == 3 { "text_part($1, $2, $3)" } else { "text_part($1, $2)" };
                if let Some(call) = expand::expand(template, &parts, span) {
                    *expr = call;
                }
            }
            Expr::Interval(interval) => {
                if let Some(reckoned) = plain_interval(interval) {
                    *expr = reckoned;
                }
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                let span = Spanned::span(timestamp.as_ref());
                if let Some(call) = expand::expand("at_time_zone($1, $2)", &[(**timestamp).clone(), (**time_zone).clone()], span) {
                    *expr = call;
                }
            }
            Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, .. } => return flow(json_operator(expr, self)),
            Expr::BinaryOp { op: BinaryOperator::HashArrow | BinaryOperator::HashLongArrow, .. } => return flow(json_keys(expr, self)),
            Expr::BinaryOp { left, op, right }
                if *op == BinaryOperator::PGExp || *op == BinaryOperator::BitwiseXor && self.semantics.caret_is_power() =>
            {
                let operands = [(**left).clone(), (**right).clone()];
                if let Some(call) = expand::expand("power(cast($1 as double), $2)", &operands, Spanned::span(left.as_ref())) {
                    *expr = call;
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::BitwiseXor, .. } => {
                let help = "write `power(a, b)`, or `bitxor(a, b)`";
                let message = "`^` is a power in Postgres and DuckDB, and an exclusive or in Spark and BigQuery";
                return ControlFlow::Break(self.refuse_unsafe(message, Spanned::span(left.as_ref()), help));
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.path(root, access_chain),
            Expr::Cast { expr: text, data_type: DataType::Interval { .. }, .. } => dates::clock_in_words(text),
            Expr::Cast { .. } if self.semantics.varchar_cuts => meant::cut_text(expr),
            Expr::JsonAccess { value, path } => {
                if let Some(call) = json_path(value, path) {
                    *expr = call;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Writes what an interval is made of as the planner takes it; gives what stands in the place of one that is reckoned.
fn plain_interval(interval: &mut Interval) -> Option<Expr> {
    dates::clock_in_words(&mut interval.value);
    // The planner takes `interval 30 day` everywhere but in the frame of a window.
    if let Expr::Value(ValueWithSpan { value: Value::Number(number, _), span }) = interval.value.as_ref() {
        *interval.value = Expr::Value(Value::SingleQuotedString(number.clone()).with_span(*span));
        return None;
    }
    dates::reckoned_interval(interval)
}

fn flow(result: Result<(), Box<SqlError>>) -> ControlFlow<Box<SqlError>> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// A text in double quotes that has single quotes in it, for which there was no room before: no column is called so.
fn quoted_text(expr: &mut Expr) {
    if let Expr::Identifier(name) = &*expr
        && name.quote_style == Some('"')
        && name.value.contains('\'')
    {
        *expr = calls::literal(&name.value, name.span);
    }
}

/// `x in unnest(list)`.
fn in_list(expr: &mut Expr) {
    const FOUND: &str =
        "case when $1 is null then null when array_has($2, $1) then true when array_position($2, null) is not null then null else false end";
    let Expr::InUnnest { expr: value, array_expr, negated } = &*expr else { return };
    let template = if *negated { format!("not ({FOUND})") } else { FOUND.to_owned() };
    if let Some(found) = expand::expand(&template, &[(**value).clone(), (**array_expr).clone()], Spanned::span(value.as_ref())) {
        *expr = found;
    }
}

/// What an item without an alias is called.
struct Given {
    /// As it was written, whatever it is rewritten to.
    written: String,
    /// As its engine calls it.
    by_engine: Option<String>,
}

fn given_name(item: &SelectItem, engine: Option<Semantics>) -> Option<Given> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => None,
        // A struct becomes several columns.
        SelectItem::UnnamedExpr(Expr::Function(function)) if expand::name_of(function) == "unnest" => None,
        SelectItem::UnnamedExpr(expr) => Some(Given {
            written: expr.to_string().replace(&format!("{EXISTS}("), "exists("),
            by_engine: engine.and_then(|semantics| named::name(expr, semantics)),
        }),
        _ => None,
    }
}

/// Names the items that have none; of those that are written alike, columns too, the second is called `.._2`.
fn keep_names(items: &mut [SelectItem], names: Vec<Option<Given>>) {
    let mut given: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut taken: std::collections::BTreeSet<String> = items.iter().filter_map(called).collect();
    // What a wildcard stands for may have the engine's name too.
    let open = items.iter().any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    for (item, name) in items.iter_mut().zip(names) {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let alias = match name {
            Some(Given { by_engine: Some(name), .. }) if !open && taken.insert(name.to_lowercase()) => name,
            name => {
                let Some((written, name)) = name.map(|name| (name.written.clone(), name.written)).or_else(|| column(expr)) else { continue };
                let count = given.entry(written).or_default();
                *count += 1;
                if *count == 1 && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    continue;
                }
                let mut alias = if *count > 1 { format!("{name}_{count}") } else { name.clone() };
                while *count > 1 && taken.contains(&alias.to_lowercase()) {
                    *count += 1;
                    alias = format!("{name}_{count}");
                }
                alias
            }
        };
        let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
        let span = Spanned::span(&expr);
        *item = SelectItem::ExprWithAlias { expr, alias: Ident { value: alias, quote_style: Some('"'), span } };
    }
}

/// A text in which a backslash is a letter, also when it is printed and read again.
fn as_it_is(text: String) -> Value {
    if text.contains('\\') && !text.contains("$$") {
        Value::DollarQuotedString(DollarQuotedString { value: text, tag: None })
    } else {
        Value::SingleQuotedString(text)
    }
}

/// What an item is called without doubt, in small letters.
fn called(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => column(expr).map(|(_, name)| name.to_lowercase()),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
        _ => None,
    }
}

/// How a column is written, and what it is called.
fn column(expr: &Expr) -> Option<(String, String)> {
    let name = match expr {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    Some((expr.to_string().to_lowercase(), name.value.clone()))
}

/// `json:a.b[0]` is the value as text, as in Databricks.
fn json_path(value: &Expr, path: &JsonPath) -> Option<Expr> {
    let span = Spanned::span(value);
    let mut arguments = vec![value.clone()];
    arguments.extend(path.path.iter().map(|step| match step {
        JsonPathElem::Dot { key, .. } => calls::literal(key, span),
        JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => key.clone(),
    }));
    let places: Vec<String> = (1..=arguments.len()).map(|at| format!("${at}")).collect();
    expand::expand(&format!("json_as_text({})", places.join(", ")), &arguments, span)
}

/// Postgres' `json #>> '{a,b}'`, the value under several keys; `#>` is JSON.
fn json_keys(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Expr::BinaryOp { left, op, right } = &*expr else { return Ok(()) };
    let keys = calls::text(right).and_then(|keys| keys.trim().strip_prefix('{')?.strip_suffix('}'));
    let Some(keys) = keys.filter(|keys| !keys.contains(['"', '\\', '{'])) else {
        return Err(rewriter.refuse("these keys are not supported", Spanned::span(right.as_ref()), "write them as a text: `json #>> '{a,b}'`"));
    };
    let span = Spanned::span(left.as_ref());
    let mut arguments = vec![(**left).clone()];
    arguments.extend(keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(|key| match key.parse::<u32>() {
        Ok(_) => Expr::Value(Value::Number(key.to_owned(), false).with_span(span)),
        Err(_) => calls::literal(key, span),
    }));
    let reader = if *op == BinaryOperator::HashArrow { "json_get_json" } else { "json_as_text" };
    let places: Vec<String> = (1..=arguments.len()).map(|at| format!("${at}")).collect();
    if let Some(call) = expand::expand(&format!("{reader}({})", places.join(", ")), &arguments, span) {
        *expr = call;
    }
    Ok(())
}

/// `json -> key` is JSON as text, `json ->> key` the value as text. A key may be a path: `'$.a[0]'`.
fn json_operator(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let Expr::BinaryOp { left, op, right } = &*expr else { return Ok(()) };
    let reader = if *op == BinaryOperator::Arrow { "json_get_json" } else { "json_as_text" };
    let span = Spanned::span(left.as_ref());
    let call = if calls::text(right).is_some_and(|key| key.starts_with('$')) {
        calls::json_path(left, right, reader, rewriter, span)?
    } else {
        expand::expand(&format!("{reader}($1, $2)"), &[(**left).clone(), (**right).clone()], span)
    };
    if let Some(call) = call {
        *expr = call;
    }
    Ok(())
}
