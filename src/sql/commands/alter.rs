//! `alter table ..`.

use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Read, Reader};
use super::{Alteration, Command, NewColumn, Piece, Word};

const FORM: &str = "`alter table t add column c int`, `drop column c`, `rename column c to d`, `alter column c type bigint`, `add constraint n check (c > 0)` or `set tblproperties ('k' = 'v')`";

impl Reader {
    pub(super) fn alter(&mut self) -> Read<Command> {
        self.form = FORM;
        self.words(&["alter", "table"]);
        let if_exists = self.if_exists();
        let table = self.name()?;
        let change = match self.upcoming().to_lowercase().as_str() {
            "add" => self.add()?,
            "drop" => self.drop()?,
            "rename" => self.rename()?,
            "alter" | "change" => self.column_change()?,
            "set" => self.set()?,
            "unset" => {
                self.expect("unset")?;
                self.expect("tblproperties")?;
                let if_exists = self.if_exists();
                Alteration::UnsetProperties { keys: self.keys()?, if_exists }
            }
            _ => return Err(self.expected("what to alter")),
        };
        Ok(Command::Alter { table, if_exists, change })
    }

    fn add(&mut self) -> Read<Alteration> {
        self.expect("add")?;
        if self.word("constraint") {
            let name = self.identifier("a constraint's name")?;
            let start = self.here();
            if !self.word("check") {
                let message = "only `check` constraints can be added to a table: keys are not enforced by Delta";
                return Err(self.error(message, start..start + self.upcoming().len().max(1)));
            }
            self.expect_token(&Token::LParen)?;
            let condition = self.expression("a condition")?;
            self.expect_token(&Token::RParen)?;
            return Ok(Alteration::AddCheck { name, condition });
        }
        let _ = self.word("columns") || self.word("column");
        let if_not_exists = self.words(&["if", "not", "exists"]);
        let columns = if self.token(&Token::LParen) {
            let columns = self.listed(Self::new_column)?;
            self.expect_token(&Token::RParen)?;
            columns
        } else {
            self.listed(|reader| {
                // `add column a int, add column b int`
                reader.words(&["add", "column"]);
                reader.new_column()
            })?
        };
        Ok(Alteration::AddColumns { columns, if_not_exists })
    }

    fn new_column(&mut self) -> Read<NewColumn> {
        let name = self.identifier("a column")?;
        let data_type = self.data_type()?;
        let mut column = NewColumn { name, data_type, not_null: false, default: None, comment: None };
        loop {
            let start = self.here();
            if self.words(&["not", "null"]) {
                column.not_null = true;
            } else if self.word("default") {
                let (value, not_null) = self.default_value()?;
                column.default = Some(value);
                column.not_null |= not_null;
            } else if self.word("comment") {
                column.comment = Some(self.string("a text")?);
            } else if self.word("first") || self.word("after") {
                return Err(self.error("a column is added behind the others: a place for it can't be given", start..self.behind()));
            } else if self.word("generated") {
                return Err(self.error("generated columns are not available", start..self.behind()));
            } else {
                return Ok(column);
            }
        }
    }

    /// A default, and whether `not null` stands behind it: to the parser that is a condition on the value.
    fn default_value(&mut self) -> Read<(Piece, bool)> {
        let value = self.expression("a value")?;
        let text = self.slice(&value).to_lowercase();
        let bare = text.strip_suffix("null").and_then(|head| head.trim_end().strip_suffix("not")).map(str::trim_end);
        match bare.filter(|head| !head.ends_with(" is")) {
            Some(bare) => Ok((value.start..value.start + bare.len(), true)),
            None => Ok((value, false)),
        }
    }

    fn drop(&mut self) -> Read<Alteration> {
        self.expect("drop")?;
        if self.word("constraint") {
            let if_exists = self.if_exists();
            return Ok(Alteration::DropConstraint { name: self.identifier("a constraint's name")?, if_exists });
        }
        if !self.word("columns") {
            self.expect("column")?;
        }
        let if_exists = self.if_exists();
        let columns = if self.token(&Token::LParen) {
            let columns = self.listed(|reader| reader.identifier("a column"))?;
            self.expect_token(&Token::RParen)?;
            columns
        } else {
            self.listed(|reader| {
                reader.words(&["drop", "column"]);
                reader.identifier("a column")
            })?
        };
        Ok(Alteration::DropColumns { columns, if_exists })
    }

    fn rename(&mut self) -> Read<Alteration> {
        self.expect("rename")?;
        if self.word("to") {
            return Ok(Alteration::RenameTable(self.name()?));
        }
        self.word("column");
        let from = self.identifier("a column")?;
        self.expect("to")?;
        Ok(Alteration::RenameColumn { from, to: self.identifier("a column")? })
    }

    fn column_change(&mut self) -> Read<Alteration> {
        let changes = self.word("change");
        if !changes {
            self.expect("alter")?;
        }
        self.word("column");
        let column = self.identifier("a column")?;
        if self.words(&["set", "not", "null"]) {
            return Ok(Alteration::SetNotNull(column));
        }
        if self.words(&["drop", "not", "null"]) {
            return Ok(Alteration::DropNotNull(column));
        }
        if self.words(&["set", "default"]) {
            return Ok(Alteration::Default { column, value: Some(self.default_value()?.0) });
        }
        if self.words(&["drop", "default"]) {
            return Ok(Alteration::Default { column, value: None });
        }
        let typed = self.word("type") || self.words(&["set", "data", "type"]);
        if !typed && self.word("comment") {
            return Ok(Alteration::ChangeColumn { column, data_type: None, comment: Some(self.string("a text")?) });
        }
        if !typed && !changes {
            return Err(self.expected("`type`, `comment`, `set` or `drop` with `not null` or `default`"));
        }
        // `change column a a bigint` names the column twice.
        if changes && self.upcoming().eq_ignore_ascii_case(&column.value) {
            self.identifier("a column")?;
        }
        let data_type = Some(self.data_type()?);
        let comment = if self.word("comment") { Some(self.string("a text")?) } else { None };
        Ok(Alteration::ChangeColumn { column, data_type, comment })
    }

    fn set(&mut self) -> Read<Alteration> {
        self.expect("set")?;
        self.expect("tblproperties")?;
        self.expect_token(&Token::LParen)?;
        let properties = self.listed(|reader| {
            let key = reader.key()?.value;
            reader.token(&Token::Eq);
            let start = reader.here();
            let value = if reader.at_string() {
                reader.string("a text")?
            } else {
                let value = reader.expression("a value")?;
                reader.slice(&value).to_owned()
            };
            if value.is_empty() && reader.behind() == start {
                return Err(reader.expected("a value"));
            }
            Ok((key, value))
        })?;
        self.expect_token(&Token::RParen)?;
        Ok(Alteration::SetProperties(properties))
    }

    fn keys(&mut self) -> Read<Vec<Word>> {
        self.expect_token(&Token::LParen)?;
        let keys = self.listed(Self::key)?;
        self.expect_token(&Token::RParen)?;
        Ok(keys)
    }

    /// `'delta.x'`, or the same without quotes.
    pub(super) fn key(&mut self) -> Read<Word> {
        let start = self.here();
        let value = if self.at_string() {
            self.string("a property's name")?
        } else {
            let mut parts = vec![self.identifier("a property's name")?.value];
            while self.token(&Token::Period) {
                parts.push(self.identifier("a property's name")?.value);
            }
            parts.join(".")
        };
        Ok(Word { value, range: start..self.behind() })
    }
}
