//! `truncate`, `restore`, `optimize` and `vacuum`.

use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Read, Reader};
use super::{Command, Moment};

impl Reader {
    pub(super) fn truncate(&mut self) -> Read<Command> {
        self.form = "`truncate table t`";
        self.expect("truncate")?;
        self.word("table");
        Ok(Command::Truncate(self.name()?))
    }

    pub(super) fn restore(&mut self) -> Read<Command> {
        self.form = "`restore table t to version as of 3` or `restore table t to timestamp as of '2024-02-29 12:00:00'`";
        self.expect("restore")?;
        self.word("table");
        let table = self.name()?;
        self.word("to");
        let to = if self.word("version") {
            self.words(&["as", "of"]);
            Moment::Version(self.number("the number of a version")?)
        } else {
            self.expect("timestamp")?;
            self.words(&["as", "of"]);
            let start = self.here();
            let text = self.string("a time in quotes")?;
            Moment::Timestamp { text, range: start..self.behind() }
        };
        Ok(Command::Restore { table, to })
    }

    pub(super) fn optimize(&mut self) -> Read<Command> {
        self.form = "`optimize t [where p = 1] [zorder by (a, b)]`";
        self.expect("optimize")?;
        self.word("table");
        let table = self.name()?;
        let condition = if self.word("where") { Some(self.expression("a condition")?) } else { None };
        let mut zorder = Vec::new();
        if self.word("zorder") {
            self.expect("by")?;
            let open = self.token(&Token::LParen);
            zorder = self.listed(|reader| reader.identifier("a column"))?;
            if open {
                self.expect_token(&Token::RParen)?;
            }
        }
        Ok(Command::Optimize { table, condition, zorder })
    }

    pub(super) fn vacuum(&mut self) -> Read<Command> {
        self.form = "`vacuum t [retain 168 hours] [dry run]`";
        self.expect("vacuum")?;
        self.word("table");
        let table = self.name()?;
        let retain_hours = if self.word("retain") {
            let hours = self.number("a number of hours")?;
            if !self.word("hour") {
                self.expect("hours")?;
            }
            Some(hours)
        } else {
            None
        };
        let dry_run = self.words(&["dry", "run"]);
        Ok(Command::Vacuum { table, retain_hours, dry_run })
    }
}
