//! Identifiers resolve without regard to case and keep the case of their definition.
//!
//! DataFusion either folds unquoted identifiers to lower case, which loses the case of a table's columns, or compares
//! them to the letter. This makes the letters right before it looks: every spelling of a name is replaced, in the text
//! and at the same length, by the spelling of its definition, so that positions in errors stay true.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::tokens;
use crate::base::SourceFile;

/// `sql` with identifiers spelt as they are defined: as in `known` (the columns of the tables it reads), else as the
/// query's own `as` clauses spell them, else as at their first appearance.
///
/// A name with several definitions that differ in case is left as it stands. Text that can't be tokenised is returned
/// as it is; the parser will say why. The result has the same length, byte for byte.
#[must_use]
pub fn canonical<'a>(sql: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    // Where all letters are small, there is one spelling of each name.
    if is_small(sql) && known.iter().all(|name| is_small(name)) {
        return sql.to_owned();
    }
    let Ok(tokens) = tokens(sql) else {
        return sql.to_owned();
    };
    let text = SourceFile::new("", sql.into());
    let words: Vec<Word> = words(&tokens, &text);
    let mut definitions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in known {
        definitions.entry(name.to_lowercase()).or_default().insert(name);
    }
    for word in words.iter().filter(|word| word.defines) {
        definitions.entry(word.value.to_lowercase()).or_default().insert(&word.value);
    }
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut result = sql.to_owned();
    for word in &words {
        let key = word.value.to_lowercase();
        let wanted = match definitions.get(&key) {
            Some(spellings) if spellings.len() == 1 => spellings.first().copied().unwrap_or(&word.value),
            Some(_) => &word.value,
            None => first.entry(key).or_insert(&word.value),
        };
        let range = word.start..word.start + word.value.len();
        if wanted.len() == word.value.len() && sql.get(range.clone()) == Some(&word.value) {
            result.replace_range(range, wanted);
        }
    }
    result
}

fn is_small(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
}

struct Word {
    value: String,
    /// Byte offset of the name itself, behind an opening quote.
    start: usize,
    /// Stands behind `as`, and so says how a column or table is to be called.
    defines: bool,
}

fn words(tokens: &[deltalake::datafusion::sql::sqlparser::tokenizer::TokenWithSpan], text: &SourceFile) -> Vec<Word> {
    let mut found = Vec::new();
    let mut after_as = false;
    let mut keys = Keys::default();
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => {}
            _ if keys.holds(&token.token) => after_as = false,
            Token::Word(word) => {
                let at = text.offset(clamp(token.span.start.line), clamp(token.span.start.column)) as usize;
                let start = at + usize::from(word.quote_style.is_some());
                let is_as = word.quote_style.is_none() && word.value.eq_ignore_ascii_case("as");
                if !is_as {
                    found.push(Word { value: word.value.clone(), start, defines: after_as });
                }
                after_as = is_as;
            }
            _other => after_as = false,
        }
    }
    found
}

/// Follows paths into JSON, `json:a.b[0].c`, whose names are keys.
#[derive(Default)]
struct Keys {
    /// Which brackets are open; within square and curly ones a colon leads nowhere.
    open: Vec<Token>,
    /// How many brackets were open where the path began.
    path: Option<usize>,
    /// Whether a point or the colon stood before.
    next: bool,
}

impl Keys {
    /// Whether a token is a key.
    fn holds(&mut self, token: &Token) -> bool {
        let inside = self.path.is_some_and(|depth| depth < self.open.len());
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                if !inside && *token != Token::LBracket {
                    self.path = None;
                }
                self.open.push(token.clone());
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                self.open.pop();
                if self.path.is_some_and(|depth| depth > self.open.len()) {
                    self.path = None;
                }
            }
            Token::Colon if !matches!(self.open.last(), Some(Token::LBracket | Token::LBrace)) => {
                (self.path, self.next) = (Some(self.open.len()), true);
            }
            Token::Period if self.path.is_some() && !inside => self.next = true,
            Token::Word(_) if self.path.is_some() && !inside => {
                let key = std::mem::take(&mut self.next);
                if !key {
                    self.path = None;
                }
                return key;
            }
            _ if !inside => self.path = None,
            _ => {}
        }
        false
    }
}

fn clamp(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn columns_take_the_spelling_of_their_table() {
        assert_eq!(canonical("SELECT name, T.BALANCE from t", ["Name", "Balance"]), "SELECT Name, T.Balance from T");
    }

    #[test]
    fn an_alias_keeps_its_own_spelling_beside_the_column() {
        assert_eq!(canonical("select trim(Name) as name from t", ["Name"]), "select trim(Name) as name from t");
    }

    #[test]
    fn aliases_and_ctes_resolve_whatever_their_case() {
        let sql = "with Base as (select 1 as Total) select TOTAL from base";
        assert_eq!(canonical(sql, []), "with Base as (select 1 as Total) select Total from Base");
    }

    #[test]
    fn keys_of_json_are_left_alone() {
        assert_eq!(
            canonical("select raw:name.id[n].Id::text, NAME, l[n:ID]", ["Name", "ID", "Raw", "N"]),
            "select Raw:name.id[N].Id::text, Name, l[N:ID]"
        );
    }

    #[test]
    fn texts_and_comments_are_left_alone() {
        let sql = "select 'NAME' /* NAME */, \"NAME\" from t -- NAME";
        assert_eq!(canonical(sql, ["name"]), "select 'NAME' /* NAME */, \"name\" from t -- NAME");
    }
}
