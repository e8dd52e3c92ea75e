//! `create function` and `drop function`.

use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Read, Reader};
use super::{Command, CreateFunction, NewArgument, Volatility};

const FORM: &str = "`create [or replace] function f (a int, b int default 1) returns int as a + b`";

impl Reader {
    /// Whether a function is made; if so, the words before its name are read.
    pub(super) fn creates_function(&mut self) -> Option<bool> {
        if self.words(&["create", "or", "replace", "function"]) {
            return Some(true);
        }
        self.words(&["create", "function"]).then_some(false)
    }

    pub(super) fn create_function(&mut self, or_replace: bool) -> Read<Command> {
        self.form = FORM;
        let name = self.name()?;
        self.expect_token(&Token::LParen)?;
        let mut arguments = Vec::new();
        if !self.token(&Token::RParen) {
            arguments = self.listed(Self::new_argument)?;
            self.expect_token(&Token::RParen)?;
        }
        self.expect("returns")?;
        let returns = self.data_type()?;
        let mut volatility = None;
        loop {
            let start = self.here();
            if self.word("immutable") || self.word("deterministic") {
                volatility = Some(Volatility::Deterministic);
            } else if self.word("stable") {
                volatility = Some(Volatility::Stable);
            } else if self.word("volatile") || self.words(&["not", "deterministic"]) {
                volatility = Some(Volatility::NonDeterministic);
            } else if self.word("language") {
                let language = self.identifier("a language")?;
                if !language.value.eq_ignore_ascii_case("sql") {
                    return Err(self.error(&format!("functions in {} can't be made: only SQL is run", language.value), start..self.behind()));
                }
            } else {
                break;
            }
        }
        if !self.word("as") {
            self.expect("return")?;
        }
        if self.at_text() {
            return Err(self.error("the body of a function stands without quotes", self.here()..self.here() + 1));
        }
        let query = matches!(self.upcoming().to_lowercase().as_str(), "select" | "with");
        let body = if query { self.query()? } else { self.expression("an expression")? };
        Ok(Command::CreateFunction(CreateFunction { name, or_replace, arguments, returns, volatility, body }))
    }

    fn new_argument(&mut self) -> Read<NewArgument> {
        let name = self.identifier("an argument")?;
        let data_type = self.data_type()?;
        let default = if self.word("default") || self.token(&Token::Eq) { Some(self.expression("a value")?) } else { None };
        Ok(NewArgument { name, data_type, default })
    }

    pub(super) fn drop_function(&mut self) -> Read<Command> {
        self.form = "`drop function [if exists] f`";
        let if_exists = self.if_exists();
        let name = self.name()?;
        if self.token(&Token::LParen) && !self.token(&Token::RParen) {
            self.listed(Self::data_type)?;
            self.expect_token(&Token::RParen)?;
        }
        Ok(Command::DropFunction { name, if_exists })
    }
}
