//! Expressions that may fail for the sake of the values they meet, and a statement in which some of them do not: who wants
//! to know which one it was runs the statement anew without them.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{BinaryOperator, CastKind, Expr, Join, JoinConstraint, Select, Value, Visit as _, Visitor};
use deltalake::datafusion::sql::sqlparser::parser::Parser;

use super::blame::{constraint, each, is_plain, range};
use super::grammar::Grammar;
use crate::base::SourceFile;

/// How an expression is kept from failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Casts and divisions give NULL for values they can't take, and what they gave for all others.
    Values,
    /// Any other expression gives NULL always, so rows may be missing then.
    Whole,
}

/// An expression, as often as it stands in a statement: what is grouped by stands in two places, and means one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The first place.
    pub range: Range<usize>,
    /// Whether it decides about rows, by `where`, `having`, `qualify` or the `on` of a join.
    pub filters: bool,
    positions: Vec<usize>,
}

/// What may be to blame, in the order of the text. `sql` is the text that `statement` was parsed from.
#[must_use]
pub fn suspects(statement: &Statement, sql: &str, mend: Mend) -> Vec<Suspect> {
    let text = SourceFile::new("", sql.into());
    let filters = filters(statement, &text, sql);
    let mut found: BTreeMap<String, Suspect> = BTreeMap::new();
    let mut position = 0;
    each(&mut statement.clone(), |expr| {
        let at = position;
        position += 1;
        if is_suspect(expr, mend)
            && let Some(place) = place(expr, &text, sql)
        {
            let filters = filters.iter().any(|filter| filter.start <= place.start && place.end <= filter.end);
            let suspect = found.entry(expr.to_string()).or_insert_with(|| Suspect { range: place.clone(), filters, positions: Vec::new() });
            suspect.positions.push(at);
            suspect.filters &= filters;
            if place.start < suspect.range.start {
                suspect.range = place;
            }
        }
        ControlFlow::Continue(())
    });
    let mut found: Vec<Suspect> = found.into_values().collect();
    found.sort_by_key(|suspect| (suspect.range.start, suspect.range.end));
    found
}

/// The statement in which these expressions do not fail.
#[must_use]
pub fn mended(statement: &Statement, suspects: &[Suspect], mend: Mend) -> Statement {
    let mut mended = statement.clone();
    let mut position = 0;
    each(&mut mended, |expr| {
        if suspects.iter().any(|suspect| suspect.positions.contains(&position)) {
            match mend {
                Mend::Values => forgive(expr),
                Mend::Whole => silence(expr),
            }
        }
        position += 1;
        ControlFlow::Continue(())
    });
    mended
}

fn is_suspect(expr: &Expr, mend: Mend) -> bool {
    let forgiving = matches!(expr, Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, .. })
        || matches!(expr, Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo | BinaryOperator::DuckIntegerDivide, .. });
    match mend {
        Mend::Values => forgiving,
        Mend::Whole => {
            let logic = matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. });
            !forgiving && !logic && !is_plain(expr) && !matches!(expr, Expr::Nested(_) | Expr::Case { .. } | Expr::Wildcard(_))
        }
    }
}

fn forgive(expr: &mut Expr) {
    match expr {
        Expr::Cast { kind, .. } => *kind = CastKind::TryCast,
        Expr::BinaryOp { right, .. } => {
            if let Some(guarded) = around("case when x = 0 then null else x end", right) {
                **right = Expr::Nested(Box::new(guarded));
            }
        }
        _ => {}
    }
}

fn silence(expr: &mut Expr) {
    if let Some(silenced) = around("case when true then null else x end", expr) {
        *expr = silenced;
    }
}

/// A text with an expression in the place of each `x`.
fn around(text: &str, inner: &Expr) -> Option<Expr> {
    let mut outer = Parser::new(&Grammar).try_with_sql(text).ok()?.parse_expr().ok()?;
    let _ = deltalake::datafusion::sql::sqlparser::ast::visit_expressions_mut(&mut outer, |expr| {
        if matches!(expr, Expr::Identifier(name) if name.value == "x") {
            *expr = inner.clone();
        }
        ControlFlow::<()>::Continue(())
    });
    Some(outer)
}

/// The places of what decides about rows.
fn filters(statement: &Statement, text: &SourceFile, sql: &str) -> Vec<Range<usize>> {
    struct Filters<'a> {
        text: &'a SourceFile,
        sql: &'a str,
        found: Vec<Range<usize>>,
    }
    impl Visitor for Filters<'_> {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let joins: Vec<Expr> = select.from.iter().flat_map(|from| &from.joins).filter_map(condition).collect();
            let filters = select.selection.iter().chain(&select.having).chain(&select.qualify).chain(&joins);
            self.found.extend(filters.filter_map(|expr| place(expr, self.text, self.sql)));
            ControlFlow::Continue(())
        }
    }
    let mut filters = Filters { text, sql, found: Vec::new() };
    if let Statement::Statement(inner) = statement {
        let _ = inner.visit(&mut filters);
    }
    filters.found
}

fn condition(join: &Join) -> Option<Expr> {
    match constraint(&mut join.join_operator.clone()) {
        Some(JoinConstraint::On(condition)) => Some(std::mem::replace(condition, Expr::value(Value::Null))),
        _ => None,
    }
}

/// Where an expression stands. The parser's places of casts, calls and what is in parentheses are those of what stands in
/// or before these.
fn place(expr: &Expr, text: &SourceFile, sql: &str) -> Option<Range<usize>> {
    let found = range(expr, text);
    match expr {
        Expr::BinaryOp { left, right, .. } => Some(place(left, text, sql)?.start..place(right, text, sql)?.end),
        Expr::Nested(inner) => place(inner, text, sql).map(|inner| in_parentheses(&inner, sql).unwrap_or(inner)),
        Expr::Cast { expr: inner, .. } => place(inner, text, sql).map(|inner| of_cast(&inner, sql).unwrap_or(inner)),
        Expr::Function(_) => found.map(|call| of_call(&call, sql).unwrap_or(call)),
        _ => found,
    }
}

fn in_parentheses(inner: &Range<usize>, sql: &str) -> Option<Range<usize>> {
    let before = sql.get(..inner.start)?.trim_end();
    let rest = sql.get(inner.end..)?;
    let end = inner.end + rest.len() - rest.trim_start().strip_prefix(')')?.len();
    before.ends_with('(').then(|| before.len() - 1..end)
}

/// `name(..)`: the parser's place ends with the arguments.
fn of_call(call: &Range<usize>, sql: &str) -> Option<Range<usize>> {
    let open = call.start + sql.get(call.start..)?.find('(')?;
    let is_name = sql.get(call.start..open)?.chars().all(|c| c.is_alphanumeric() || "_.\" ".contains(c));
    Some(call.start..closing(sql, open).filter(|_| is_name)?)
}

/// `cast(inner as type)` or `inner::type`.
fn of_cast(inner: &Range<usize>, sql: &str) -> Option<Range<usize>> {
    if let Some(name) = sql.get(inner.end..)?.trim_start().strip_prefix("::") {
        let name = name.trim_start();
        let word = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        return Some(inner.start..sql.len() - name.len() + word);
    }
    let open = sql.get(..inner.start)?.trim_end().strip_suffix('(')?;
    let word = open.trim_end();
    let start = word.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    word.get(start..)?.to_lowercase().ends_with("cast").then_some(())?;
    Some(start..closing(sql, open.len())?)
}

/// Behind the bracket that closes the one at `open`.
fn closing(sql: &str, open: usize) -> Option<usize> {
    sql.get(open..)?.starts_with('(').then_some(())?;
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, letter) in sql.get(open..)?.char_indices() {
        match (quote, letter) {
            (Some(end), letter) if letter == end => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake::datafusion::execution::runtime_env::RuntimeEnv;

    use super::*;
    use crate::sql::{Semantics, SessionOptions, parse_query, session_state};

    fn parsed(sql: &str) -> Statement {
        let options = SessionOptions { threads: 1, runtime: Arc::new(RuntimeEnv::default()), spilling_joins: false, semantics: Semantics::default() };
        parse_query(&session_state(&options), sql).unwrap()
    }

    fn texts(sql: &str, mend: Mend) -> Vec<&str> {
        suspects(&parsed(sql), sql, mend).into_iter().map(|suspect| &sql[suspect.range]).collect()
    }

    #[test]
    fn casts_and_divisions_are_found_as_they_stand() {
        let sql = "select cast(a as int), try_cast(b as int), c::date, x / (y % 2), cast(a as int) / f(')') from t where cast('1)' as int) = 1";
        assert_eq!(texts(sql, Mend::Values), ["cast(a as int)", "c::date", "x / (y % 2)", "y % 2", "cast(a as int) / f(')')", "cast('1)' as int)"]);
    }

    #[test]
    fn what_is_grouped_by_is_one_suspect() {
        let sql = "select cast(a as int), count(*) from t group by cast(a as int)";
        assert_eq!(texts(sql, Mend::Values), ["cast(a as int)"]);
        let statement = parsed(sql);
        let all = suspects(&statement, sql, Mend::Values);
        let shown = mended(&statement, &all, Mend::Values).to_string();
        assert_eq!(shown.matches("TRY_CAST(a AS INT)").count(), 2, "{shown}");
    }

    #[test]
    fn other_expressions_tell_whether_they_decide_about_rows() {
        let sql = "select f(a), b + 1 from t join u on g(t.k) = u.k where h(c)";
        let found = suspects(&parsed(sql), sql, Mend::Whole);
        let shown: Vec<(&str, bool)> = found.iter().map(|suspect| (&sql[suspect.range.clone()], suspect.filters)).collect();
        assert_eq!(shown, [("f(a)", false), ("b + 1", false), ("g(t.k)", true), ("g(t.k) = u.k", true), ("h(c)", true)]);
    }
}
