//! What DataFusion would run and give something other than the text says: refused before planning.

use std::ops::Range;

use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::SqlError;
use crate::base::{Code, SourceFile};

/// The first construct of a query that would silently be ignored or mean something else.
#[must_use]
pub fn unsafe_construct(sql: &str) -> Option<SqlError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().ok()?;
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    let words: Vec<(&Token, Range<usize>)> = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .map(|token| (&token.token, offset(token.span.start.line, token.span.start.column)..offset(token.span.end.line, token.span.end.column)))
        .collect();
    let is = |at: usize, name: &str| matches!(words.get(at), Some((Token::Word(word), _)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name));
    let range = |first: usize, last: usize| Some(words.get(first)?.1.start..words.get(last)?.1.end);
    (0..words.len()).find_map(|at| {
        let (first, last, message, help) = if is(at, "tablesample") {
            (at, at, "TABLESAMPLE would be ignored", "filter instead, e.g. `where random() < 0.1`")
        } else if is(at, "similar") && is(at + 1, "to") {
            (at, at + 1, "SIMILAR TO would take its pattern for a regular expression", "use `~` with a regular expression, or `like`")
        } else if matches!(words.get(at), Some((Token::Mul, _))) && is(at + 1, "ilike") {
            (at, at + 1, "ILIKE behind `*` would be ignored", "name the columns")
        } else {
            return None;
        };
        Some(SqlError::new(Code::SqlUnsafe, message).range(range(first, last)?).help(help))
    })
}

#[cfg(test)]
mod tests {
    use super::unsafe_construct;

    #[test]
    fn what_would_be_ignored_is_refused() {
        for sql in ["select * from t TableSample (10)", "select a similar to 'x' from t", "select * ilike '%x' from t"] {
            assert!(unsafe_construct(sql).is_some(), "{sql}");
        }
        for sql in ["select 'tablesample' as \"similar\", a * b from t where a ilike 'x'", "select similar from t"] {
            assert_eq!(unsafe_construct(sql), None, "{sql}");
        }
    }
}
