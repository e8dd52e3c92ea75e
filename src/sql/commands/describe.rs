//! `describe`, `show` and `comment on`.

use deltalake::datafusion::sql::sqlparser::ast::ObjectName;
use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Read, Reader};
use super::{Command, Described, Named, Shown, Word};

impl Reader {
    pub(super) fn describe(&mut self) -> Read<Command> {
        self.form = "`describe t`, `describe extended t`, `describe history t` or `describe detail t`";
        if !self.word("describe") {
            self.expect("desc")?;
        }
        // A table may be called as one of these words: then no name comes behind it.
        let qualified = !self.second().is_empty();
        let what = if qualified && self.word("history") {
            Described::History { limit: None }
        } else if qualified && self.word("detail") {
            Described::Detail
        } else {
            let _ = qualified && self.word("table");
            if !self.second().is_empty() && (self.word("extended") || self.word("formatted")) { Described::Extended } else { Described::Columns }
        };
        let table = self.name()?;
        let what = match what {
            Described::History { .. } if self.word("limit") => Described::History { limit: Some(self.number("a number of rows")?) },
            other => other,
        };
        Ok(Command::Describe { table, what })
    }

    /// `None` for settings of the session, which are shown elsewhere.
    pub(super) fn show(&mut self) -> Read<Option<Shown>> {
        self.form = "`show tables [in s]`, `show views`, `show schemas`, `show columns in t` or `show tblproperties t`";
        self.expect("show")?;
        if self.word("tables") {
            let schema = self.container()?;
            return Ok(Some(Shown::Tables { schema, like: self.like()? }));
        }
        if self.word("views") {
            let schema = self.container()?;
            return Ok(Some(Shown::Views { schema, like: self.like()? }));
        }
        if self.word("schemas") || self.word("databases") {
            return Ok(Some(Shown::Schemas { like: self.like()? }));
        }
        if self.word("columns") {
            if !self.word("in") {
                self.expect("from")?;
            }
            let table = self.name()?;
            return Ok(Some(Shown::Columns(self.inside(table)?)));
        }
        if self.word("tblproperties") {
            let table = self.name()?;
            let mut key = None;
            if self.token(&Token::LParen) {
                key = Some(self.key()?.value);
                self.expect_token(&Token::RParen)?;
            }
            return Ok(Some(Shown::Properties { table, key }));
        }
        Ok(None)
    }

    fn container(&mut self) -> Read<Option<Named>> {
        if self.word("in") || self.word("from") { self.name().map(Some) } else { Ok(None) }
    }

    /// `show columns in t in s`.
    fn inside(&mut self, table: Named) -> Read<Named> {
        match self.container()? {
            None => Ok(table),
            Some(schema) => {
                let parts = schema.name.0.into_iter().chain(table.name.0).collect();
                Ok(Named { name: ObjectName(parts), range: table.range })
            }
        }
    }

    fn like(&mut self) -> Read<Option<String>> {
        if self.word("like") || self.at_string() { self.string("a pattern").map(Some) } else { Ok(None) }
    }

    pub(super) fn comment(&mut self) -> Read<Command> {
        self.form = "`comment on table t is 'text'` or `comment on column t.c is 'text'`";
        self.expect("comment")?;
        self.expect("on")?;
        if self.word("column") {
            let mut name = self.name()?;
            let column = name.name.0.pop().and_then(|part| part.as_ident().cloned());
            let (Some(column), false) = (column, name.name.0.is_empty()) else {
                return Err(self.error("a column needs the name of its table", name.range));
            };
            let range = name.range.end.saturating_sub(self.slice(&name.range).rsplit('.').next().map_or(0, str::len))..name.range.end;
            let text = self.is_text()?;
            return Ok(Command::CommentOnColumn { table: name, column: Word { value: column.value, range }, text });
        }
        if !self.word("view") {
            self.expect("table")?;
        }
        let table = self.name()?;
        let text = self.is_text()?;
        Ok(Command::CommentOnTable { table, text })
    }

    fn is_text(&mut self) -> Read<Option<String>> {
        self.expect("is")?;
        if self.word("null") { Ok(None) } else { self.string("a text").map(Some) }
    }
}
