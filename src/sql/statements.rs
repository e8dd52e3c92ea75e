//! Splitting and parsing SQL text of the dialect.

use std::ops::{ControlFlow, Range};

use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::sql::parser::{DFParserBuilder, Statement};
use deltalake::datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator};
use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::parser::ParserError;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, TokenizerError};

use super::depth::refuse_deep;
use super::grammar::Grammar;
use super::respell::respelt;
use super::rewrite::rewrite;
use super::semantics::Semantics;
use super::tokens::tokens;
use super::{SqlError, sql_error};
use crate::base::{Code, SourceFile};

/// The byte ranges of the statements in `sql`, without the semicolons between them; empty statements are left out.
///
/// # Errors
/// If the text can't be tokenised, e.g. because a quote is never closed.
pub fn split_statements(sql: &str) -> Result<Vec<Range<usize>>, SqlError> {
    tokens(sql).map(|tokens| ranges(&tokens, sql)).map_err(|error| uncut(error, sql))
}

/// A text that can't be cut into words.
fn uncut(error: TokenizerError, sql: &str) -> SqlError {
    let is_comment = error.message.contains("multi-line comment");
    let mut found = sql_error(&DataFusionError::from(ParserError::from(error)), sql);
    if let Some(open) = sql.rfind("/*").filter(|_| is_comment) {
        "this comment has no end".clone_into(&mut found.message);
        found.help = Some("close it with `*/`".to_owned());
        found.range = Some(open..open + 2);
    }
    found
}

/// A comma behind the last CTE, which the parser takes for a CTE called `select`.
fn comma_before_query(tokens: &[TokenWithSpan], sql: &str) -> Option<SqlError> {
    let words: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let is = |at: usize, wanted: Keyword| matches!(words.get(at).map(|word| &word.token), Some(Token::Word(word)) if word.keyword == wanted && word.quote_style.is_none());
    let at = (2..words.len()).find(|at| {
        is(*at, Keyword::SELECT)
            && words[at - 1].token == Token::Comma
            && words[at - 2].token == Token::RParen
            && !matches!(words.get(at + 1).map(|word| &word.token), Some(Token::LParen))
            && !is(at + 1, Keyword::AS)
    })?;
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    let span = words[at].span;
    let error = SqlError::new(Code::SqlSyntax, "a CTE is expected behind the comma, found `select`").help("take out the comma before `select`");
    Some(error.range(offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column)))
}

pub(super) const NO_ASOF: &str = "ASOF JOIN is not available";
/// What to write in its place.
pub(super) const INSTEAD_OF_ASOF: &str =
    "join by a range, and keep the newest row by `qualify row_number() over (partition by .. order by .. desc) = 1`";

/// `asof [left] join` as DuckDB has it, which the parser does not read.
fn asof_join(tokens: &[TokenWithSpan], sql: &str) -> Option<SqlError> {
    let words: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let is = |at: usize, wanted: &[Keyword]| matches!(words.get(at).map(|word| &word.token), Some(Token::Word(word)) if wanted.contains(&word.keyword) && word.quote_style.is_none());
    let kinds = [Keyword::LEFT, Keyword::RIGHT, Keyword::FULL, Keyword::INNER, Keyword::OUTER, Keyword::JOIN];
    let at = (0..words.len()).find(|at| is(*at, &[Keyword::ASOF]) && is(at + 1, &kinds))?;
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    let span = words[at].span;
    let error = SqlError::new(Code::SqlInvalid, NO_ASOF).help(INSTEAD_OF_ASOF);
    Some(error.range(offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column)))
}

fn ranges(tokens: &[TokenWithSpan], sql: &str) -> Vec<Range<usize>> {
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    let mut statements = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for token in tokens {
        let (start, end) = (offset(token.span.start.line, token.span.start.column), offset(token.span.end.line, token.span.end.column));
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => statements.extend(open.take()),
            _ => open = Some(open.map_or(start, |range: Range<usize>| range.start)..end),
        }
    }
    statements.extend(open);
    statements
}

/// The one statement that `sql` holds; a semicolon at its end is allowed.
///
/// # Errors
/// If it does not parse, or holds no statement or several.
pub fn parse_query(state: &SessionState, sql: &str) -> Result<Statement, Box<SqlError>> {
    let tokens = tokens(sql).map_err(|error| Box::new(uncut(error, sql)))?;
    // Nearly all texts have no semicolon: they are one statement, if any.
    if tokens.iter().any(|token| token.token == Token::SemiColon)
        && let [_, second, ..] = ranges(&tokens, sql).as_slice()
    {
        let message = format!("expected one statement, found {}", ranges(&tokens, sql).len());
        return Err(Box::new(SqlError::new(Code::SqlSyntax, message).range(second.clone()).help("keep one select, and move the rest elsewhere")));
    }
    if tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::SemiColon | Token::EOF)) {
        return Err(Box::new(SqlError::new(Code::SqlSyntax, "there is no SQL statement here").help("write a select")));
    }
    refuse_deep(sql, &tokens)?;
    let mut statement = match parsed(state, tokens) {
        Ok(statement) => statement,
        // They are cut again, which is rarer than copying them for each text.
        Err(error) => {
            return Err(Box::new(
                super::tokens::tokens(sql)
                    .ok()
                    .and_then(|tokens| comma_before_query(&tokens, sql).or_else(|| asof_join(&tokens, sql)))
                    .unwrap_or_else(|| sql_error(&error, sql)),
            ));
        }
    };
    rewrite(&mut statement, sql, Semantics::of_session(state))?;
    Ok(statement)
}

/// The one statement of some words.
fn parsed(state: &SessionState, tokens: Vec<TokenWithSpan>) -> Result<Statement, DataFusionError> {
    let limit = state.config_options().sql_parser.recursion_limit.get();
    let mut parser = DFParserBuilder::new(respelt(tokens)).with_dialect(&Grammar).with_recursion_limit(limit).build()?;
    let mut statements = parser.parse_statements()?;
    statements.pop_front().ok_or_else(|| DataFusionError::Plan("there is no SQL statement here".into()))
}

/// Whether a statement writes rows in the place of yielding some.
#[must_use]
pub fn changes_rows(statement: &Statement) -> bool {
    let Statement::Statement(inner) = statement else { return false };
    matches!(inner.as_ref(), ast::Statement::Insert(_) | ast::Statement::Update { .. } | ast::Statement::Delete(_))
}

/// The byte range of the query in `insert into .. select`, `create table .. as select` or `create view .. as select`;
/// `None` where it stands in parentheses, or there is none.
#[must_use]
pub fn embedded_query(sql: &str) -> Option<Range<usize>> {
    let tokens = tokens(sql).ok()?;
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| Some(text.offset(u32::try_from(line).ok()?, u32::try_from(column).ok()?) as usize);
    let mut depth = 0_usize;
    let mut words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF | Token::SemiColon));
    let start = words.find(|token| {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                return matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES);
            }
            _ => {}
        }
        false
    })?;
    let end = words.next_back().unwrap_or(start).span.end;
    Some(offset(start.span.start.line, start.span.start.column)?..offset(end.line, end.column)?)
}

/// Where a statement that was parsed from `sql` names a table, the first time.
#[must_use]
pub fn place_of_table(statement: &Statement, sql: &str, table: &str) -> Option<Range<usize>> {
    let Statement::Statement(inner) = statement else { return None };
    let text = SourceFile::new("", sql.into());
    let offset = |at: Location| Some(text.offset(u32::try_from(at.line).ok()?, u32::try_from(at.column).ok()?) as usize);
    let found = ast::visit_relations(inner.as_ref(), |name| match name.0.last().and_then(|part| part.as_ident()) {
        Some(last) if last.value == table && last.span.start.line > 0 => ControlFlow::Break(last.span),
        Some(_) | None => ControlFlow::Continue(()),
    });
    let span = found.break_value()?;
    Some(offset(span.start)?..offset(span.end)?)
}

/// Where a name stands in a statement, if it stands there once.
#[must_use]
pub fn place_of(sql: &str, name: &str) -> Option<Range<usize>> {
    let tokens = tokens(sql).ok()?;
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| Some(text.offset(u32::try_from(line).ok()?, u32::try_from(column).ok()?) as usize);
    let mut found = tokens.iter().filter(|token| matches!(&token.token, Token::Word(word) if word.value.to_lowercase() == name.to_lowercase()));
    match (found.next(), found.next()) {
        (Some(token), None) => Some(offset(token.span.start.line, token.span.start.column)?..offset(token.span.end.line, token.span.end.column)?),
        _ => None,
    }
}

/// The text of the one statement of `sql`, from its beginning, without what closes it; all of it where there is not one.
#[must_use]
pub fn statement_text(sql: &str) -> &str {
    match split_statements(sql).unwrap_or_default().as_slice() {
        [range] => sql.get(..range.end).unwrap_or(sql),
        _ => sql,
    }
}

/// An expression as the planner takes it: what the dialect writes in another way is rewritten.
///
/// # Errors
/// If it does not parse as one expression.
pub fn rewritten_expression(state: &SessionState, text: &str) -> Result<String, Box<SqlError>> {
    let Statement::Statement(statement) = parse_query(state, &format!("select {text}\n"))? else { return Err(no_expression(text)) };
    let ast::Statement::Query(query) = *statement else { return Err(no_expression(text)) };
    let bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    let ast::SetExpr::Select(select) = *query.body else { return Err(no_expression(text)) };
    match select.projection.as_slice() {
        [ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }]
            if bare && select.from.is_empty() && select.selection.is_none() && select.having.is_none() =>
        {
            let mut expr = expr.clone();
            let _ = ast::visit_expressions_mut(&mut expr, |inner| {
                parenthesize(inner);
                std::ops::ControlFlow::<()>::Continue(())
            });
            Ok(expr.to_string())
        }
        _ => Err(no_expression(text)),
    }
}

/// Parentheses around operands whose place in the tree the text alone does not tell to a parser with other precedences.
fn parenthesize(expr: &mut Expr) {
    let joins = matches!(expr, Expr::BinaryOp { op: BinaryOperator::StringConcat, .. });
    let within = |operand: &mut Box<Expr>| {
        let loose = match operand.as_ref() {
            Expr::BinaryOp { op, .. } => joins != (*op == BinaryOperator::StringConcat),
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => true,
            _ => false,
        };
        if loose {
            let inner = std::mem::replace(operand.as_mut(), Expr::value(ast::Value::Null));
            **operand = Expr::Nested(Box::new(inner));
        }
    };
    match expr {
        Expr::BinaryOp { left, right, .. } | Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            within(left);
            within(right);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => within(expr),
        _ => {}
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
fn no_expression(text: &str) -> Box<SqlError> {
    Box::new(SqlError::new(Code::SqlSyntax, format!("expected one expression: {}", text.trim())))
}

/// The byte offset behind the `with` or `with recursive` that opens a query.
#[must_use]
pub fn behind_with(sql: &str) -> Option<usize> {
    let tokens = tokens(sql).ok()?;
    let text = SourceFile::new("", sql.into());
    let mut words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let keyword = |token: &Token| match token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let first = words.next().filter(|token| keyword(&token.token) == Keyword::WITH)?;
    let last = words.next().filter(|token| keyword(&token.token) == Keyword::RECURSIVE).unwrap_or(first);
    Some(text.offset(u32::try_from(last.span.end.line).ok()?, u32::try_from(last.span.end.column).ok()?) as usize)
}

#[cfg(test)]
mod tests {
    use super::split_statements;

    #[test]
    fn the_query_of_a_statement_is_found() {
        let found = |sql: &'static str| super::embedded_query(sql).map(|range| &sql[range]);
        assert_eq!(found("insert into t (a, b) select 1, (2) ;"), Some("select 1, (2)"));
        assert_eq!(found("create table t as with x as (select 1) select * from x"), Some("with x as (select 1) select * from x"));
        assert_eq!(found("create table t (a int)"), None);
    }

    #[test]
    fn splits_outside_of_texts_and_comments() {
        let sql = "select ';' ; -- a;b\n insert into t values (1);;";
        let parts: Vec<_> = split_statements(sql).unwrap().into_iter().map(|range| &sql[range]).collect();
        assert_eq!(parts, ["select ';'", "insert into t values (1)"]);
    }
}
