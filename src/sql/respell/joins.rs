//! `a join b left join c on c.x = b.x on a.y = b.y`: the conditions stand behind each other, the last one belongs to the first
//! join. The parser reads joins from the left, and takes this with brackets alone: `a join (b left join c on c.x = b.x) on ..`.

use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::keyword;

/// A join whose condition has not been met yet.
struct Open {
    /// Where the word behind `join` stands.
    relation: usize,
    /// Whether another join stands behind it.
    followed: bool,
}

/// Brackets around the joins that stand between a `join` and its condition.
pub(super) fn nested(words: &mut Vec<TokenWithSpan>) {
    let mut brackets: Vec<(usize, Token)> = Vec::new();
    // Of each open bracket, the joins that wait for a condition, and whether the last word said one.
    let mut levels: Vec<Vec<Open>> = vec![Vec::new()];
    for at in 0..words.len() {
        match &words[at].token {
            Token::LParen => levels.push(Vec::new()),
            Token::RParen if levels.len() > 1 => {
                levels.pop();
            }
            _ => {}
        }
        let Some(open) = levels.last_mut() else { return };
        if words[at].token == Token::Comma || words[at].token == Token::SemiColon {
            open.clear();
            continue;
        }
        match keyword(words, at) {
            Some(Keyword::JOIN) => {
                for earlier in open.iter_mut() {
                    earlier.followed = true;
                }
                let kinds = (0..at).rev().map_while(|at| keyword(words, at));
                let mut first =
                    kinds.skip_while(|word| matches!(word, Keyword::INNER | Keyword::OUTER | Keyword::LEFT | Keyword::RIGHT | Keyword::FULL));
                if !matches!(first.next(), Some(Keyword::NATURAL | Keyword::CROSS | Keyword::ARRAY)) {
                    open.push(Open { relation: at + 1, followed: false });
                }
            }
            Some(Keyword::ON | Keyword::USING) => {
                if let Some(found) = open.pop().filter(|found| found.followed) {
                    brackets.push((found.relation, Token::LParen));
                    brackets.push((at, Token::RParen));
                }
            }
            Some(
                Keyword::SELECT
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::QUALIFY
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT,
            ) => open.clear(),
            _ => {}
        }
    }
    // From the back, so that places stay. Where several open at one place their order is of no matter.
    brackets.sort_by_key(|(at, _)| *at);
    for (at, token) in brackets.into_iter().rev() {
        let span = words[at.min(words.len() - 1)].span;
        words.insert(at, TokenWithSpan::new(token, span));
    }
}
