//! `merge into ..`.

use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Read, Reader};
use super::{Merge, MergeAction, MergeClause, MergeWhen, Piece, Word};

impl Reader {
    pub(super) fn merge(&mut self) -> Read<Merge> {
        self.form = "`merge into t using s on t.id = s.id when matched then update set * when not matched then insert *`";
        self.expect("merge")?;
        self.word("into");
        let target = self.name()?;
        let alias = self.alias(&["using"])?;
        self.expect("using")?;
        let (source, named) = self.source()?;
        let Some(source_alias) = self.alias(&["on"])?.or(named) else { return Err(self.expected("an alias of the query")) };
        self.expect("on")?;
        let on = self.expression("a condition")?;
        let mut clauses = Vec::new();
        while self.upcoming().eq_ignore_ascii_case("when") {
            clauses.push(self.clause()?);
        }
        if clauses.is_empty() {
            return Err(self.expected("`when matched` or `when not matched`"));
        }
        Ok(Merge { target, alias, source, source_alias, on, clauses })
    }

    /// A table, with the last part of its name, or a query in parentheses.
    fn source(&mut self) -> Read<(Piece, Option<Word>)> {
        let start = self.here();
        if self.token(&Token::LParen) {
            self.query()?;
            self.expect_token(&Token::RParen)?;
            return Ok((start..self.behind(), None));
        }
        let table = self.name()?;
        let last = table.name.0.last().and_then(|part| part.as_ident()).map(|part| part.value.clone()).unwrap_or_default();
        Ok((table.range.clone(), Some(Word { value: last, range: table.range })))
    }

    fn clause(&mut self) -> Read<MergeClause> {
        let start = self.here();
        self.expect("when")?;
        let when = if self.word("matched") {
            MergeWhen::Matched
        } else {
            self.expect("not")?;
            self.expect("matched")?;
            match (self.words(&["by", "source"]), self.words(&["by", "target"])) {
                (true, _) => MergeWhen::NotMatchedBySource,
                (false, _) => MergeWhen::NotMatched,
            }
        };
        let condition = if self.word("and") { Some(self.expression("a condition")?) } else { None };
        self.expect("then")?;
        let action = match when {
            MergeWhen::NotMatched => self.insert()?,
            MergeWhen::Matched | MergeWhen::NotMatchedBySource if self.word("delete") => MergeAction::Delete,
            MergeWhen::Matched | MergeWhen::NotMatchedBySource => self.update(when)?,
        };
        Ok(MergeClause { when, range: start..self.behind(), condition, action })
    }

    fn update(&mut self, when: MergeWhen) -> Read<MergeAction> {
        if !self.word("update") {
            return Err(self.expected("`update` or `delete`"));
        }
        self.expect("set")?;
        let start = self.here();
        if self.token(&Token::Mul) {
            let range = start..self.behind();
            return match when {
                MergeWhen::NotMatchedBySource => Err(self.error("there is no row of the source that `*` could take its values from", range)),
                MergeWhen::Matched | MergeWhen::NotMatched => Ok(MergeAction::UpdateAll),
            };
        }
        let assignments = self.listed(|reader| {
            let column = reader.column()?;
            reader.expect_token(&Token::Eq)?;
            Ok((column, reader.expression("a value")?))
        })?;
        Ok(MergeAction::Update(assignments))
    }

    fn insert(&mut self) -> Read<MergeAction> {
        self.expect("insert")?;
        if self.token(&Token::Mul) {
            return Ok(MergeAction::InsertAll);
        }
        self.expect_token(&Token::LParen)?;
        let columns = self.listed(Self::column)?;
        self.expect_token(&Token::RParen)?;
        self.expect("values")?;
        let start = self.here();
        self.expect_token(&Token::LParen)?;
        let values = self.listed(|reader| reader.expression("a value"))?;
        self.expect_token(&Token::RParen)?;
        if columns.len() != values.len() {
            let message = format!("expected {} values, found {}", columns.len(), values.len());
            return Err(self.error(&message, start..self.behind()));
        }
        Ok(MergeAction::Insert(columns.into_iter().zip(values).collect()))
    }

    /// A column of the target, with or without its table.
    fn column(&mut self) -> Read<Word> {
        let mut word = self.identifier("a column")?;
        while self.token(&Token::Period) {
            word = self.identifier("a column")?;
        }
        Ok(word)
    }
}
