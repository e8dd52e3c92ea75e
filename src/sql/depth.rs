//! How deep the tree of a text will be: found from its words before it is parsed, because every stage behind walks the
//! tree by recursion and the stack is finite.

use std::ops::Range;

use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::SqlError;
use crate::base::{Code, SourceFile};

/// How many operators may stand in one chain, and how deep they and what encloses them may lie in all.
const CHAIN: usize = 5000;

/// How many levels of parentheses, calls, `case` and subqueries may lie in each other.
const NESTING: usize = 400;

/// What the parser's own limit has to be, so that it never strikes first: it counts some levels several times.
pub(super) const PARSER_LIMIT: usize = NESTING * 8;

/// Refuses a text whose tree would be too deep, at the place where it gets so.
///
/// `and`, `or` and `||` cost nothing, because [`super::rewrite`] makes broad trees of their chains.
pub(super) fn refuse_deep(sql: &str, tokens: &[TokenWithSpan]) -> Result<(), Box<SqlError>> {
    if is_shallow(sql) {
        return Ok(());
    }
    let mut open: Vec<Level> = vec![Level::default()];
    for token in tokens {
        let inner = open.len() > 1;
        let Some(level) = open.last_mut() else { break };
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(Level::default()),
            Token::RParen | Token::RBracket | Token::RBrace if inner => {
                open.pop();
            }
            Token::Comma => level.next_item(),
            Token::SemiColon => open = vec![Level::default()],
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::CASE => open.push(Level { case: true, ..Level::default() }),
                Keyword::END if level.case && inner => {
                    open.pop();
                }
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::FROM | Keyword::WHERE | Keyword::ON | Keyword::HAVING | Keyword::QUALIFY => {
                    level.next_item();
                }
                Keyword::AND | Keyword::OR => level.operators = 0,
                Keyword::NOT => level.operators += 1,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                    level.next_item();
                    level.sets += 1;
                }
                _ => {}
            },
            other if is_operator(other) => level.operators += 1,
            _ => {}
        }
        let nesting = open.len();
        let depth = nesting + open.iter().map(|level| level.operators + level.sets).sum::<usize>();
        let refused = if nesting > NESTING {
            Some((format!("the text is nested more than {NESTING} levels deep"), "take parts of it into CTEs, or into models of their own"))
        } else if depth > CHAIN {
            let help = "take parts of it into columns of a CTE, or use an aggregate, a list or a join with `values`";
            Some((format!("more than {CHAIN} operators follow one another"), help))
        } else {
            None
        };
        if let Some((message, help)) = refused {
            return Err(Box::new(SqlError::new(Code::SqlInvalid, message).range(range(token, sql)).help(help)));
        }
    }
    Ok(())
}

/// Whether a look at the letters is enough to see that nothing will be refused: levels are opened by brackets and by words
/// that begin as `case` and `distinct` do, and every operator is a letter at least.
fn is_shallow(sql: &str) -> bool {
    let opens =
        sql.as_bytes().windows(2).filter(|pair| matches!(pair, [b'(' | b'[' | b'{', _] | [b'c' | b'C', b'a' | b'A'] | [b'd' | b'D', b'i' | b'I']));
    sql.len() <= NESTING || sql.len() < CHAIN && opens.count() < NESTING - 1
}

/// What is open at one level of parentheses.
#[derive(Default)]
struct Level {
    case: bool,
    /// Operators of the present operand of `and` and `or`.
    operators: usize,
    /// Set operations of the query.
    sets: usize,
}

impl Level {
    fn next_item(&mut self) {
        self.operators = 0;
    }
}

fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Eq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Neq
            | Token::Ampersand
            | Token::Pipe
            | Token::Caret
            | Token::Arrow
            | Token::LongArrow
            | Token::DoubleColon
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Tilde
    )
}

fn range(token: &TokenWithSpan, sql: &str) -> Range<usize> {
    let text = SourceFile::new("", sql.into());
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    offset(token.span.start.line, token.span.start.column)..offset(token.span.end.line, token.span.end.column)
}

#[cfg(test)]
mod tests {
    use super::refuse_deep;
    use crate::sql::tokens::tokens;

    #[test]
    fn only_what_is_deep_is_refused() {
        let refused = |sql: String| refuse_deep(&sql, &tokens(&sql).unwrap()).err().map(|error| error.range.unwrap_or_default().start);
        assert_eq!(refused(format!("select {}", vec!["a = 1"; 9000].join(" or "))), None);
        assert_eq!(refused(format!("select {}", vec!["1"; 9000].join(", "))), None);
        assert_eq!(refused(format!("select {}", vec!["1"; 4000].join("+"))), None);
        assert_eq!(refused(format!("select {}", vec!["1"; 9000].join("+"))), Some(7 + 2 * 5000 - 1));
        assert_eq!(refused(format!("select {}1{}", "(".repeat(300), ")".repeat(300))), None);
        assert_eq!(refused(format!("select {}1{}", "(".repeat(500), ")".repeat(500))), Some(7 + 399));
        assert_eq!(refused(format!("select {}", vec!["case when a then 1 end"; 900].join(", "))), None);
        assert_eq!(refused(format!("select {} 1 {}", "case when a then ".repeat(500), "end ".repeat(500))), Some(7 + 17 * 399));
        assert_eq!(refused(format!("select{}1{}", "(".repeat(400), ")".repeat(400))), Some(6 + 399));
        assert_eq!(refused(format!("select{}1{}", "(".repeat(399), ")".repeat(399))), None);
    }
}
