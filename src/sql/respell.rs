//! Words that the parser does not know, blanked out or replaced before it reads them, at the same length: places stay true.

use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::base::SourceFile;

/// What the function `exists(list, lambda)` is called for the parser, to which `exists` is the operator.
pub(super) const EXISTS: &str = "any_of";

/// `sql` for the parser. `as [not] materialized (` loses the hint, which says nothing about the result.
pub(super) fn respelt(sql: &str) -> String {
    let lower = sql.to_ascii_lowercase();
    if !lower.contains("materialized") && !lower.contains("exists") {
        return sql.to_owned();
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else { return sql.to_owned() };
    let text = SourceFile::new("", sql.into());
    let tokens: Vec<_> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let is = |at: usize, name: &str| matches!(tokens.get(at).map(|token| &token.token), Some(Token::Word(word)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name));
    let opens = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::LParen);
    let offset = |at: usize| {
        let start = tokens.get(at)?.span.start;
        Some(text.offset(u32::try_from(start.line).ok()?, u32::try_from(start.column).ok()?) as usize)
    };
    let mut result = sql.to_owned();
    for at in 0..tokens.len() {
        let blanked: &[(usize, &str)] = if is(at, "as") && is(at + 1, "materialized") && opens(at + 2) {
            &[(1, "materialized")]
        } else if is(at, "as") && is(at + 1, "not") && is(at + 2, "materialized") && opens(at + 3) {
            &[(1, "not"), (2, "materialized")]
        } else {
            &[]
        };
        for (ahead, word) in blanked {
            if let Some(start) = offset(at + ahead) {
                result.replace_range(start..start + word.len(), &" ".repeat(word.len()));
            }
        }
        let query = ["select", "with", "values", "from", "table"].iter().any(|word| is(at + 2, word)) || opens(at + 2);
        let condition = at.checked_sub(1).is_some_and(|before| is(before, "if"));
        if is(at, "exists")
            && opens(at + 1)
            && !query
            && !condition
            && let Some(start) = offset(at)
        {
            result.replace_range(start..start + EXISTS.len(), EXISTS);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::respelt;

    #[test]
    fn words_go_and_places_stay() {
        assert_eq!(respelt("with a as not materialized (select 1) select 1"), "with a as                  (select 1) select 1");
        assert_eq!(
            respelt("select exists(l, x -> x), exists (select 1), exists((select 1))"),
            "select any_of(l, x -> x), exists (select 1), exists((select 1))"
        );
        assert_eq!(respelt("select 'as materialized (' as materialized"), "select 'as materialized (' as materialized");
    }
}
