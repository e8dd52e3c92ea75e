//! Where a failure comes from that has no place: what DataFusion says of it names a value or an operator, and where that
//! stands once in the text, it is there.

use std::ops::Range;

use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::tokens;
use crate::base::SourceFile;

/// The place of a failure in `sql`, by what is said of it.
pub(super) fn of_failure(raw: &str, sql: &str) -> Option<Range<usize>> {
    let tokens = tokens(sql).ok()?;
    let tokens: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let found = if divides_by_zero(raw) {
        only(&tokens, |at| matches!(tokens[at].token, Token::Div | Token::Mod) || calls(&tokens, at, &["mod", "pmod"]))?
    } else if let Some(value) = unreadable(raw) {
        only(&tokens, |at| matches!(&tokens[at].token, Token::SingleQuotedString(text) if text == value)).or_else(|| only_cast(&tokens))?
    } else if raw.contains("is out of range for") && !raw.contains("overflow") {
        only_cast(&tokens)?
    } else if let Some((_, what)) = raw.split_once("integer overflow: `") {
        let operator = ["+", "-", "*"].into_iter().find(|operator| what.trim_start_matches(['-', ' ']).contains(&format!(" {operator} ")))?;
        let meant = match operator {
            "+" => Token::Plus,
            "-" => Token::Minus,
            _ => Token::Mul,
        };
        only(&tokens, |at| tokens[at].token == meant)?
    } else {
        // A value that the message names.
        let named: Vec<&str> = raw.split(['`', '\'']).skip(1).step_by(2).filter(|value| !value.is_empty()).collect();
        only(&tokens, |at| matches!(&tokens[at].token, Token::SingleQuotedString(text) if named.contains(&text.as_str())))?
    };
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    let span = tokens.get(found)?.span;
    Some(offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column))
}

/// Where the slashes of divisions stand, and how many divisions by `//` and `div` there are beside them.
#[must_use]
pub fn slashes(sql: &str) -> (Vec<usize>, usize) {
    let Ok(tokens) = tokens(sql) else { return Default::default() };
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    let slashes = tokens.iter().filter(|token| token.token == Token::Div).map(|token| offset(token.span.start.line, token.span.start.column));
    let is_whole = |token: &Token| *token == Token::DuckIntDiv || matches!(token, Token::Word(word) if word.keyword == Keyword::DIV);
    (slashes.collect(), tokens.iter().filter(|token| is_whole(&token.token)).count())
}

/// What can be done about a failure.
pub(super) fn help(raw: &str) -> Option<String> {
    if divides_by_zero(raw) {
        return Some("use `a / nullif(b, 0)` or `try_divide(a, b)`, which give NULL".into());
    }
    if unreadable(raw).is_some() || raw.contains("is out of range for") && !raw.contains("overflow") {
        return Some("`try_cast(.. as ..)` gives NULL where a value does not fit".into());
    }
    None
}

fn divides_by_zero(raw: &str) -> bool {
    raw.to_lowercase().contains("divide by zero")
}

/// The text that is no value of the wanted type.
fn unreadable(raw: &str) -> Option<&str> {
    let (head, _) = raw.split_once("` is not a value of type ")?;
    head.strip_prefix('`')
}

/// The one token that is meant.
fn only(tokens: &[&TokenWithSpan], meant: impl Fn(usize) -> bool) -> Option<usize> {
    let mut found = (0..tokens.len()).filter(|at| meant(*at));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn only_cast(tokens: &[&TokenWithSpan]) -> Option<usize> {
    only(tokens, |at| tokens[at].token == Token::DoubleColon || matches!(&tokens[at].token, Token::Word(word) if word.keyword == Keyword::CAST))
}

fn calls(tokens: &[&TokenWithSpan], at: usize, names: &[&str]) -> bool {
    matches!(&tokens[at].token, Token::Word(word) if names.contains(&word.value.to_lowercase().as_str()))
        && tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen)
}

#[cfg(test)]
mod tests {
    use super::of_failure;

    #[test]
    fn only_what_stands_once_is_the_place() {
        let found = |raw, sql: &'static str| of_failure(raw, sql).map(|range| &sql[range]);
        assert_eq!(found("Divide by zero error", "select 'a/b', 1 / 0"), Some("/"));
        assert_eq!(found("Divide by zero error", "select 1 / 0, 2 / 1"), None);
        assert_eq!(found("Divide by zero error", "select mod(1, 0)"), Some("mod"));
        assert_eq!(found("`x` is not a value of type BIGINT", "select cast('x' as bigint), cast('1' as bigint)"), Some("'x'"));
        assert_eq!(found("`x` is not a value of type BIGINT", "select cast(a as bigint) from t"), Some("cast"));
        assert_eq!(found("integer overflow: `1 + 2` is out of range for BIGINT", "select a + b - c"), Some("+"));
    }
}
