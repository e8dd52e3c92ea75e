//! Words that the parser does not take where analysts write them, left out or replaced before it reads them. What stays keeps
//! its place.

mod joins;

use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Word};

use super::tokens::tokens;
use joins::nested;

/// What the function `exists(list, lambda)` is called for the parser, to which `exists` is the operator.
pub(super) const EXISTS: &str = "any_of";

/// The item that stands for the `as struct` of `select as struct`.
pub(super) const AS_STRUCT: &str = "as struct";

/// The type of `x::array`, a list of what is in JSON.
pub(super) const JSON_ARRAY: &str = "json_array";

/// The words of a text for the parser. `as [not] materialized (` loses the hint, which says nothing about the result, and the
/// types `map<k, v>` are written `map(k, v)`.
pub(super) fn respelt(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut words: Vec<TokenWithSpan> = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    // Of each open bracket, whether it is that of a cast.
    let mut casts: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let in_cast = casts.last() == Some(&true);
        match keyword(&words, at) {
            Some(Keyword::MATERIALIZED) if opens(&words, at + 1) => {
                if keyword(&words, at.wrapping_sub(1)) == Some(Keyword::AS) {
                    words.remove(at);
                } else if keyword(&words, at.wrapping_sub(1)) == Some(Keyword::NOT) && keyword(&words, at.wrapping_sub(2)) == Some(Keyword::AS) {
                    words.drain(at - 1..=at);
                    at -= 1;
                }
            }
            Some(Keyword::EXISTS)
                if opens(&words, at + 1)
                    && !opens(&words, at + 2)
                    && !is_query(&words, at + 2)
                    && keyword(&words, at.wrapping_sub(1)) != Some(Keyword::IF) =>
            {
                words[at].token = Token::make_word(EXISTS, None);
            }
            Some(Keyword::AS)
                if keyword(&words, at + 1) == Some(Keyword::STRUCT)
                    && matches!(keyword(&words, at.wrapping_sub(1)), Some(Keyword::SELECT | Keyword::DISTINCT | Keyword::ALL)) =>
            {
                words[at].token = Token::make_word(AS_STRUCT, Some('"'));
                words[at + 1].token = Token::Comma;
            }
            Some(Keyword::ARRAY) if words.get(at + 1).is_some_and(|next| next.token == Token::Lt) => typed_list(&mut words, at),
            Some(Keyword::ARRAY) if is_bare_type(&words, at, in_cast) => words[at].token = Token::make_word(JSON_ARRAY, None),
            Some(Keyword::ARRAY | Keyword::ROW) if opens(&words, at + 1) && is_type(&words, at, in_cast) => round_types(&mut words, at),
            Some(Keyword::CAST) if opens(&words, at + 1) => quoted_type(&mut words, at + 1),
            Some(Keyword::TRIM) if opens(&words, at + 1) => whole_trim(&mut words, at + 2),
            // Some functions have a syntax of their own, and can't be called by two names.
            _ if is_safe_call(&words, at) => {
                let span = words[at].span;
                let end = words[at + 2].span.end;
                let name = format!("safe.{}", words[at + 2].token);
                words.drain(at + 1..=at + 2);
                words[at] =
                    TokenWithSpan::new(Token::Word(Word { value: name, quote_style: None, keyword: Keyword::NoKeyword }), Span::new(span.start, end));
            }
            // The parser takes `t.user` for a call.
            Some(Keyword::USER) if !opens(&words, at + 1) => {
                if let Token::Word(word) = &mut words[at].token {
                    word.keyword = Keyword::NoKeyword;
                }
            }
            _ if is_raw_text(&words, at) => {
                words.remove(at);
                let text = &mut words[at].token;
                if let Token::SingleQuotedString(inner) = text {
                    *text = Token::SingleQuotedRawStringLiteral(std::mem::take(inner));
                }
            }
            Some(Keyword::MAP) if words.get(at + 1).is_some_and(|next| next.token == Token::Lt) => map_type(&mut words, at + 1),
            _ => {}
        }
        match words.get(at).map(|word| &word.token) {
            Some(Token::LParen) => {
                let called = at.checked_sub(1).and_then(|at| keyword(&words, at));
                casts.push(matches!(called, Some(Keyword::CAST | Keyword::TRY_CAST | Keyword::SAFE_CAST)));
            }
            Some(Token::RParen) => {
                casts.pop();
            }
            _ => {}
        }
        at += 1;
    }
    nested(&mut words);
    words
}

/// `cast(x, 'UInt8')` of `ClickHouse` as `cast(x as UInt8)`.
fn quoted_type(words: &mut Vec<TokenWithSpan>, open: usize) {
    let Some(end) = closing(words, open).filter(|end| *end > open + 3) else { return };
    let TokenWithSpan { token: Token::SingleQuotedString(name), span } = &words[end - 1] else { return };
    if words[end - 2].token != Token::Comma {
        return;
    }
    let span = *span;
    let Ok(named) = tokens(name) else { return };
    let named = named.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    let parts: Vec<TokenWithSpan> =
        std::iter::once(Token::make_word("as", None)).chain(named.map(|token| token.token)).map(|token| TokenWithSpan::new(token, span)).collect();
    words.splice(end - 2..end, parts);
}

/// `trim(both from x)` says no letters: it is `trim(both x)` to the parser.
fn whole_trim(words: &mut Vec<TokenWithSpan>, at: usize) {
    let sided = matches!(keyword(words, at), Some(Keyword::BOTH | Keyword::LEADING | Keyword::TRAILING));
    let from = if sided { at + 1 } else { at };
    if keyword(words, from) == Some(Keyword::FROM) {
        words.remove(from);
    }
}

fn keyword(words: &[TokenWithSpan], at: usize) -> Option<Keyword> {
    match &words.get(at)?.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn opens(words: &[TokenWithSpan], at: usize) -> bool {
    words.get(at).is_some_and(|word| word.token == Token::LParen)
}

/// Whether a type stands at a place, behind `::` or in a cast.
fn is_type(words: &[TokenWithSpan], at: usize, in_cast: bool) -> bool {
    let before = at.checked_sub(1).map(|before| &words[before].token);
    before == Some(&Token::DoubleColon) || in_cast && keyword(words, at.wrapping_sub(1)) == Some(Keyword::AS)
}

/// `x::array` and `cast(x as array)`.
fn is_bare_type(words: &[TokenWithSpan], at: usize, in_cast: bool) -> bool {
    let next = words.get(at + 1).map(|next| &next.token);
    !matches!(next, Some(Token::Lt | Token::LParen | Token::LBracket)) && is_type(words, at, in_cast)
}

/// The place of the bracket that closes the one at a place.
fn closing(words: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The type `array(row(a t))` of Trino as `array<struct<a t>>`.
fn round_types(words: &mut [TokenWithSpan], at: usize) {
    let Some(end) = closing(words, at + 1) else { return };
    for inner in at + 2..end {
        if matches!(keyword(words, inner), Some(Keyword::ARRAY | Keyword::ROW)) && opens(words, inner + 1) {
            round_types(words, inner);
        }
    }
    if keyword(words, at) == Some(Keyword::ROW) {
        words[at].token = Token::make_word("struct", None);
    }
    words[at + 1].token = Token::Lt;
    words[end].token = Token::Gt;
}

/// `array<t>[..]` as `cast([..] as array<t>)`.
fn typed_list(words: &mut Vec<TokenWithSpan>, at: usize) {
    let mut depth = 0_usize;
    let mut end = at + 1;
    loop {
        match words.get(end).map(|word| &word.token) {
            Some(Token::Lt) => depth += 1,
            Some(Token::Gt) if depth == 1 => break,
            Some(Token::Gt) => depth -= 1,
            Some(Token::ShiftRight) if depth == 2 => break,
            Some(Token::ShiftRight) if depth > 2 => depth -= 2,
            Some(Token::Word(word)) if !matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::FROM | Keyword::WHERE) => {}
            Some(Token::Comma | Token::LParen | Token::RParen | Token::Number(..)) => {}
            _ => return,
        }
        end += 1;
    }
    if words.get(end + 1).is_none_or(|next| next.token != Token::LBracket) {
        return;
    }
    let Some(last) = closing(words, end + 1) else { return };
    let span = words[at].span;
    let placed = |token: Token| TokenWithSpan::new(token, span);
    let data_type: Vec<TokenWithSpan> = words[at..=end].to_vec();
    let list: Vec<TokenWithSpan> = words[end + 1..=last].to_vec();
    let opening = [placed(Token::make_word("cast", None)), placed(Token::LParen)];
    let parts = opening.into_iter().chain(list).chain([placed(Token::make_word("as", None))]).chain(data_type).chain([placed(Token::RParen)]);
    let parts: Vec<TokenWithSpan> = parts.collect();
    words.splice(at..=last, parts);
}

/// `safe.f(..)` of `BigQuery`.
fn is_safe_call(words: &[TokenWithSpan], at: usize) -> bool {
    let is_safe = matches!(&words[at].token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("safe"));
    is_safe
        && words.get(at + 1).is_some_and(|next| next.token == Token::Period)
        && matches!(words.get(at + 2).map(|next| &next.token), Some(Token::Word(word)) if word.quote_style.is_none())
        && opens(words, at + 3)
        && at.checked_sub(1).is_none_or(|before| words[before].token != Token::Period)
}

/// `r'..'`, in which a backslash is a letter everywhere.
fn is_raw_text(words: &[TokenWithSpan], at: usize) -> bool {
    match (words.get(at), words.get(at + 1)) {
        (Some(TokenWithSpan { token: Token::Word(word), span }), Some(TokenWithSpan { token: Token::SingleQuotedString(_), span: text })) => {
            word.quote_style.is_none() && word.value.eq_ignore_ascii_case("r") && span.end == text.start
        }
        _ => false,
    }
}

fn is_query(words: &[TokenWithSpan], at: usize) -> bool {
    matches!(keyword(words, at), Some(Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::FROM | Keyword::TABLE))
}

/// Round brackets for the type that `<` at a place opens, if it is a type: names, numbers and brackets up to the end.
fn map_type(words: &mut Vec<TokenWithSpan>, open: usize) {
    let (mut depth, mut round, mut at) = (0_usize, 0_usize, open);
    loop {
        match words.get(at).map(|word| &word.token) {
            Some(Token::Lt) => depth += 1,
            Some(Token::Gt) => depth -= 1,
            Some(Token::ShiftRight) => {
                let span = words[at].span;
                let between = Location { line: span.start.line, column: span.start.column + 1 };
                words[at] = TokenWithSpan::new(Token::Gt, Span::new(span.start, between));
                words.insert(at + 1, TokenWithSpan::new(Token::Gt, Span::new(between, span.end)));
                depth -= 1;
            }
            Some(Token::LParen) => round += 1,
            Some(Token::RParen) if round > 0 => round -= 1,
            Some(Token::Word(word)) if !matches!(word.keyword, Keyword::AND | Keyword::OR) => {}
            Some(Token::Number(..)) if round > 0 => {}
            Some(Token::Comma | Token::Colon | Token::LBracket | Token::RBracket) => {}
            _ => return,
        }
        if depth == 0 {
            words[open].token = Token::LParen;
            words[at].token = Token::RParen;
            return;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> String {
        respelt(tokens(sql).unwrap()).iter().map(|word| word.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn hints_go_and_names_are_replaced() {
        assert_eq!(
            read("with a as not materialized (select 1), b as materialized (select 2) select 1"),
            "with a as ( select 1 ) , b as ( select 2 ) select 1"
        );
        assert_eq!(
            read("select exists(l, x -> x), exists (select 1), exists((select 1))"),
            "select any_of ( l , x -> x ) , exists ( select 1 ) , exists ( ( select 1 ) )"
        );
        assert_eq!(read("select 'as materialized (' as materialized"), "select 'as materialized (' as materialized");
    }

    #[test]
    fn types_are_told_from_names_by_the_cast_around_them() {
        assert_eq!(
            read("with c as not materialized (select cast(f(x) as array), (g(x) as array)) select y::array"),
            "with c as ( select cast ( f ( x ) as json_array ) , ( g ( x ) as array ) ) select y :: json_array"
        );
        assert_eq!(
            read("select cast(x as array(row(a int, b array(int)))), array(select 1)"),
            "select cast ( x as array < struct < a int , b array < int > > > ) , array ( select 1 )"
        );
    }

    #[test]
    fn joins_whose_conditions_stand_behind_each_other_are_nested() {
        assert_eq!(
            read("select 1 from a join b left join c on c.x = b.x on a.y = b.y where (a.z)"),
            "select 1 from a join ( b left join c on c.x = b.x ) on a.y = b.y where ( a . z )"
                .replace("c.x", "c . x")
                .replace("b.x", "b . x")
                .replace("a.y", "a . y")
                .replace("b.y", "b . y")
        );
        assert_eq!(read("from a join b join c join d on 1 on 2 on 3"), "from a join ( b join ( c join d on 1 ) on 2 ) on 3");
        assert_eq!(read("from a join b left join c using (x) using (y), d"), "from a join ( b left join c using ( x ) ) using ( y ) , d");
        for plain in [
            "from a join b on 1 join c on 2",
            "from a join b left join c on 1",
            "from a join ( b join c on 1 ) on 2",
            "from a cross join b join c on 1",
            "from a join b , c join d on 1",
            "select distinct on ( a ) b from a join b on 1 order by 1",
        ] {
            assert_eq!(read(plain), plain);
        }
    }

    #[test]
    fn a_type_may_be_a_text() {
        assert_eq!(read("cast(f(x, 'y'), 'Nullable(UInt8)'), f(x, 'y')"), "cast ( f ( x , 'y' ) as Nullable ( UInt8 ) ) , f ( x , 'y' )");
    }

    #[test]
    fn trim_of_no_letters_needs_no_from() {
        assert_eq!(read("trim(both from x), trim(from x), trim(both 'y' from x)"), "trim ( both x ) , trim ( x ) , trim ( both 'y' from x )");
    }

    #[test]
    fn maps_are_written_with_round_brackets() {
        assert_eq!(read("x::map<string, array<map<int, decimal(3, 1)>>>"), "x :: map ( string , array < map ( int , decimal ( 3 , 1 ) ) > )");
        assert_eq!(read("map < 3 and x > 2"), "map < 3 and x > 2");
    }
}
