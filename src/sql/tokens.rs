//! The words of a text, each with its place. Every text of the dialect is cut into words here.

use deltalake::datafusion::sql::sqlparser::keywords::{self, Keyword};
use deltalake::datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError, Word};

use super::grammar::Grammar;
use crate::base::SourceFile;

/// After so many fields that begin with `_` behind a bracket, the rest is left to the tokenizer, which refuses it.
const MOST: usize = 1000;

/// The words of a text.
///
/// Numbers have no `_`; what begins with a digit is a number with a suffix of Spark (`5L`, `1.5BD`), two words that nothing
/// parts (`1then`), or a name.
///
/// # Errors
/// If the text can't be cut into words, e.g. because a quote is never closed.
pub(super) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let found = parted(sql)?;
    if found.iter().any(|token| begins_with_digit(&token.token)) { Ok(numbers(found)) } else { Ok(found) }
}

/// The tokenizer takes the `._` of `list[1]._field` for a number gone wrong: there it gets a blank between the two, and the
/// places behind are put back.
fn parted(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let mut text = sql.to_owned();
    let mut blanks: Vec<Location> = Vec::new();
    loop {
        let meant = |at: Location| {
            let before = blanks.iter().filter(|blank| blank.line == at.line && blank.column < at.column).count() as u64;
            Location { line: at.line, column: at.column - before }
        };
        match Tokenizer::new(&Grammar, &text).tokenize_with_location() {
            Ok(found) if blanks.is_empty() => return Ok(found),
            Ok(mut found) => {
                for token in &mut found {
                    token.span = Span::new(meant(token.span.start), meant(token.span.end));
                }
                return Ok(found);
            }
            Err(error) if error.message.contains("'_'") && blanks.len() < MOST => {
                let dot = SourceFile::new("", text.as_str().into()).offset(line(error.location.line), line(error.location.column)) as usize;
                if text.get(dot..dot + 2) != Some("._") {
                    return Err(TokenizerError { location: meant(error.location), ..error });
                }
                text.insert(dot + 1, ' ');
                blanks.push(Location { line: error.location.line, column: error.location.column + 1 });
            }
            Err(error) => return Err(TokenizerError { location: meant(error.location), ..error }),
        }
    }
}

fn line(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn begins_with_digit(token: &Token) -> bool {
    match token {
        Token::Number(digits, _) => digits.contains('_'),
        Token::Word(word) => word.quote_style.is_none() && word.value.starts_with(|letter: char| letter.is_ascii_digit()),
        _ => false,
    }
}

fn numbers(found: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(found.len());
    // Behind `as` and a point stands a name.
    let mut names = false;
    for token in found {
        let next_names = match &token.token {
            Token::Whitespace(_) => names,
            Token::Word(word) => word.quote_style.is_none() && word.keyword == Keyword::AS,
            other => *other == Token::Period,
        };
        match &token.token {
            Token::Number(digits, long) if digits.contains('_') => {
                result.push(TokenWithSpan::new(Token::Number(digits.replace('_', ""), *long), token.span));
            }
            Token::Word(word) if !names && begins_with_digit(&token.token) => result.extend(number(word, token.span)),
            _ => result.push(token),
        }
        names = next_names;
    }
    result
}

/// What a word means that begins with a digit.
fn number(word: &Word, span: Span) -> Vec<TokenWithSpan> {
    let at = word.value.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(word.value.len());
    let (digits, rest) = word.value.split_at(at);
    let number = |digits: String, long| vec![TokenWithSpan::new(Token::Number(digits, long), span)];
    let whole = !digits.contains('.');
    match rest.to_ascii_lowercase().as_str() {
        "l" if whole => return number(digits.to_owned(), true),
        "d" => return number(if whole { format!("{digits}.0") } else { digits.to_owned() }, false),
        "f" => return cast(digits, "float", span),
        "s" if whole => return cast(digits, "smallint", span),
        "y" if whole => return cast(digits, "tinyint", span),
        "bd" => {
            let scale = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            return cast(
                &format!("'{digits}'"),
                &format!("decimal({}, {scale})", digits.trim_start_matches(['0', '.']).replace('.', "").len().max(scale).max(1)),
                span,
            );
        }
        _ => {}
    }
    let second = Token::make_word(rest, None);
    let Token::Word(known) = &second else { return Vec::new() };
    if whole && !separate(known.keyword) {
        return vec![TokenWithSpan::new(Token::Word(word.clone()), span)];
    }
    let between = Location { line: span.start.line, column: span.start.column + digits.len() as u64 };
    vec![
        TokenWithSpan::new(Token::Number(digits.to_owned(), false), Span::new(span.start, between)),
        TokenWithSpan::new(second, Span::new(between, span.end)),
    ]
}

/// Words that can't be the end of a name, as in `case when 1then 2end`.
fn separate(keyword: Keyword) -> bool {
    use Keyword::{AND, AS, ASC, BETWEEN, DESC, ELSE, IN, IS, LIKE, NOT, OR, THEN, WHEN};
    matches!(keyword, AND | AS | ASC | BETWEEN | DESC | ELSE | IN | IS | LIKE | NOT | OR | THEN | WHEN)
        || keywords::RESERVED_FOR_COLUMN_ALIAS.contains(&keyword)
}

fn cast(value: &str, data_type: &str, span: Span) -> Vec<TokenWithSpan> {
    let text = format!("cast({value} as {data_type})");
    let found = Tokenizer::new(&Grammar, &text).tokenize().unwrap_or_default();
    found.into_iter().map(|token| TokenWithSpan::new(token, span)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(sql: &str) -> Vec<String> {
        let found = tokens(sql).unwrap();
        found.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn what_begins_with_a_digit_is_a_number_a_name_or_two_words() {
        assert_eq!(words("1_000 2a 3then 4L 5d"), ["1000", "2a", "3", "then", "4L", "5.0"]);
        assert_eq!(
            words("x as 7d, t.30d, 1.5bd"),
            ["x", "as", "7d", ",", "t", ".", "30d", ",", "cast", "(", "'1.5'", "as", "decimal", "(", "2", ",", "1", ")", ")"]
        );
        assert_eq!(words("1e5 2020_sales 2020_april 0x1F"), ["1e5", "2020_sales", "2020_april", "X'1F'"]);
    }

    #[test]
    fn a_field_behind_a_bracket_may_begin_with_an_underscore() {
        let found = tokens("x[1]._a, f(2)._b, ']._'").unwrap();
        let places: Vec<(String, u64)> = found
            .iter()
            .filter(|token| matches!(token.token, Token::Word(_)))
            .map(|token| (token.token.to_string(), token.span.start.column))
            .collect();
        assert_eq!(places, [("x".to_owned(), 1), ("_a".to_owned(), 6), ("f".to_owned(), 10), ("_b".to_owned(), 15)]);
        assert_eq!(found.last().map(|token| token.token.to_string()), Some("']._'".to_owned()));
        assert_eq!(tokens("x[1]._a 'b").unwrap_err().location.column, 9);
    }
}
