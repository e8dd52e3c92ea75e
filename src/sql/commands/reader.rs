//! Reading words, names and pieces of text from a statement, each with its place.

use deltalake::datafusion::sql::sqlparser::parser::{Parser, ParserError};
use deltalake::datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::{Named, Piece, TypeName, Word};
use crate::base::{Code, SourceFile};
use crate::sql::SqlError;
use crate::sql::grammar::Grammar;
use crate::sql::tokens::tokens;

pub(super) type Read<T> = Result<T, Box<SqlError>>;

pub(super) struct Reader {
    parser: Parser<'static>,
    tokens: Vec<TokenWithSpan>,
    text: SourceFile,
    sql: String,
    /// The whole form of the statement, for help.
    pub(super) form: &'static str,
}

impl Reader {
    /// `None` where the text can't even be cut into tokens: what parses it next says so.
    pub(super) fn new(sql: &str) -> Option<Self> {
        let tokens = tokens(sql).ok()?;
        let end = tokens.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_) | Token::SemiColon | Token::EOF))? + 1;
        let tokens: Vec<_> = tokens.into_iter().take(end).collect();
        let parser = Parser::new(&Grammar).with_tokens_with_locations(tokens.clone());
        Some(Self { parser, tokens, text: SourceFile::new("", sql.into()), sql: sql.to_owned(), form: "" })
    }

    fn offset(&self, at: Location) -> usize {
        self.text.offset(u32::try_from(at.line).unwrap_or(u32::MAX), u32::try_from(at.column).unwrap_or(u32::MAX)) as usize
    }

    /// Where the next token begins.
    pub(super) fn here(&self) -> usize {
        let next = self.parser.peek_token_ref();
        if next.token == Token::EOF { self.sql.trim_end_matches([';', ' ', '\n', '\t', '\r']).len() } else { self.offset(next.span.start) }
    }

    /// Where the last token that was read ends.
    pub(super) fn behind(&self) -> usize {
        let read = self.tokens.get(..self.parser.index()).unwrap_or(&self.tokens);
        read.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_))).map_or(0, |token| self.offset(token.span.end))
    }

    pub(super) fn slice(&self, piece: &Piece) -> &str {
        self.sql.get(piece.clone()).unwrap_or_default()
    }

    /// The next word, or nothing where no word comes.
    pub(super) fn upcoming(&self) -> &str {
        bare(&self.parser.peek_token_ref().token)
    }

    /// The word behind the next.
    pub(super) fn second(&self) -> String {
        bare(&self.parser.peek_nth_token_ref(1).token).to_lowercase()
    }

    /// Takes a word if it comes.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.upcoming().eq_ignore_ascii_case(word);
        if found {
            self.parser.next_token();
        }
        found
    }

    /// Takes several words if all of them come.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(at, word)| bare(&self.parser.peek_nth_token_ref(at).token).eq_ignore_ascii_case(word));
        if found {
            for _ in words {
                self.parser.next_token();
            }
        }
        found
    }

    pub(super) fn expect(&mut self, word: &str) -> Read<()> {
        if self.word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    pub(super) fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Read<()> {
        if self.token(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    /// An error about the next token.
    #[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
    pub(super) fn expected(&self, what: &str) -> Box<SqlError> {
        let next = self.parser.peek_token_ref();
        let (found, range) = if next.token == Token::EOF {
            let end = self.here();
            ("the end of the statement".to_owned(), self.sql.floor_char_boundary(end.saturating_sub(1))..end)
        } else {
            (format!("`{}`", next.token), self.offset(next.span.start)..self.offset(next.span.end))
        };
        self.error(&format!("expected {what}, found {found}"), range)
    }

    #[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
    pub(super) fn error(&self, message: &str, range: Piece) -> Box<SqlError> {
        let error = SqlError::new(Code::SqlSyntax, message).range(range);
        Box::new(if self.form.is_empty() { error } else { error.help(format!("write it as {}", self.form)) })
    }

    pub(super) fn end(&self) -> Read<()> {
        if self.parser.peek_token_ref().token == Token::EOF { Ok(()) } else { Err(self.expected("the end of the statement")) }
    }

    /// Reads by the SQL parser, and says where.
    fn piece<T>(&mut self, what: &str, read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>) -> Read<(T, Piece)> {
        let start = self.here();
        match read(&mut self.parser) {
            Ok(value) => Ok((value, start..self.behind())),
            Err(ParserError::RecursionLimitExceeded) => {
                Err(self.error("the statement is nested too deeply", start..self.sql.ceil_char_boundary(start + 1)))
            }
            Err(ParserError::TokenizerError(_) | ParserError::ParserError(_)) => Err(self.expected(what)),
        }
    }

    /// Reads one token by the SQL parser, if it is of the kind that it takes.
    fn one<T>(
        &mut self,
        what: &str,
        fits: impl Fn(&Token) -> bool,
        read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> Read<(T, Piece)> {
        if fits(&self.parser.peek_token_ref().token) { self.piece(what, read) } else { Err(self.expected(what)) }
    }

    pub(super) fn name(&mut self) -> Read<Named> {
        let (name, range) = self.one("a table's name", |token| matches!(token, Token::Word(_)), |parser| parser.parse_object_name(true))?;
        Ok(Named { name, range })
    }

    pub(super) fn identifier(&mut self, what: &str) -> Read<Word> {
        let (found, range) = self.one(what, |token| matches!(token, Token::Word(_)), Parser::parse_identifier)?;
        Ok(Word { value: found.value, range })
    }

    pub(super) fn expression(&mut self, what: &str) -> Read<Piece> {
        Ok(self.piece(what, Parser::parse_expr)?.1)
    }

    pub(super) fn query(&mut self) -> Read<Piece> {
        Ok(self.piece("a query", Parser::parse_query)?.1)
    }

    pub(super) fn string(&mut self, what: &str) -> Read<String> {
        Ok(self.one(what, |token| matches!(token, Token::SingleQuotedString(_)), Parser::parse_literal_string)?.0)
    }

    pub(super) fn number(&mut self, what: &str) -> Read<u64> {
        Ok(self.one(what, |token| matches!(token, Token::Number(..)), Parser::parse_literal_uint)?.0)
    }

    pub(super) fn data_type(&mut self) -> Read<TypeName> {
        let (found, range) = self.piece("a type", Parser::parse_data_type)?;
        Ok(TypeName { text: found.to_string(), range })
    }

    /// Whether the next token is a text in single quotes.
    pub(super) fn at_string(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::SingleQuotedString(_))
    }

    /// Whether the next token is a text in quotes of any kind.
    pub(super) fn at_text(&self) -> bool {
        self.at_string() || matches!(self.parser.peek_token_ref().token, Token::DollarQuotedString(_))
    }

    /// Whether an alias comes: a word that opens no clause.
    pub(super) fn alias(&mut self, stop: &[&str]) -> Read<Option<Word>> {
        let explicit = self.word("as");
        let next = &self.parser.peek_token_ref().token;
        let plain = matches!(next, Token::Word(word) if word.quote_style.is_some() || !stop.contains(&word.value.to_lowercase().as_str()));
        if explicit || plain { self.identifier("an alias").map(Some) } else { Ok(None) }
    }

    /// Words separated by commas.
    pub(super) fn listed<T>(&mut self, mut one: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut found = vec![one(self)?];
        while self.token(&Token::Comma) {
            found.push(one(self)?);
        }
        Ok(found)
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.words(&["if", "exists"])
    }
}

fn bare(token: &Token) -> &str {
    match token {
        Token::Word(word) if word.quote_style.is_none() => &word.value,
        _ => "",
    }
}
