//! Statements about tables that the SQL parser does not know, or not as analysts write them: MERGE with `*`, ALTER TABLE as
//! Databricks has it, OPTIMIZE, VACUUM, RESTORE, DESCRIBE HISTORY and their kin.
//!
//! Says what was written and where; conditions and values stay text, so that their errors point to it.

mod alter;
mod describe;
mod function;
mod maintain;
mod merge;
mod reader;

use std::ops::Range;

use deltalake::datafusion::sql::sqlparser::ast::ObjectName;

use self::reader::Reader;
use super::SqlError;

/// A piece of the statement's text.
pub type Piece = Range<usize>;

/// The name of a table, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: ObjectName,
    pub range: Piece,
}

/// A name of one part, such as a column's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub value: String,
    pub range: Piece,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Merge(Merge),
    Alter { table: Named, if_exists: bool, change: Alteration },
    Truncate(Named),
    CommentOnTable { table: Named, text: Option<String> },
    CommentOnColumn { table: Named, column: Word, text: Option<String> },
    Describe { table: Named, what: Described },
    Show(Shown),
    Restore { table: Named, to: Moment },
    Optimize { table: Named, condition: Option<Piece>, zorder: Vec<Word> },
    Vacuum { table: Named, retain_hours: Option<u64>, dry_run: bool },
    CreateFunction(CreateFunction),
    DropFunction { name: Named, if_exists: bool },
}

/// `create function name (arguments) returns type as body`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFunction {
    pub name: Named,
    pub or_replace: bool,
    pub arguments: Vec<NewArgument>,
    pub returns: TypeName,
    /// `None` where it is as volatile as its body.
    pub volatility: Option<Volatility>,
    pub body: Piece,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArgument {
    pub name: Word,
    pub data_type: TypeName,
    pub default: Option<Piece>,
}

/// Whether a function gives the same for the same arguments, in dbt's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    Deterministic,
    /// Within one query.
    Stable,
    NonDeterministic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Described {
    Columns,
    Extended,
    History { limit: Option<u64> },
    Detail,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    Tables { schema: Option<Named>, like: Option<String> },
    Views { schema: Option<Named>, like: Option<String> },
    Schemas { like: Option<String> },
    Columns(Named),
    Properties { table: Named, key: Option<String> },
}

/// A state of a table in its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    Version(u64),
    Timestamp { text: String, range: Piece },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alteration {
    AddColumns {
        columns: Vec<NewColumn>,
        if_not_exists: bool,
    },
    DropColumns {
        columns: Vec<Word>,
        if_exists: bool,
    },
    RenameColumn {
        from: Word,
        to: Word,
    },
    RenameTable(Named),
    ChangeColumn {
        column: Word,
        data_type: Option<TypeName>,
        comment: Option<String>,
    },
    /// `None` where the default is dropped.
    Default {
        column: Word,
        value: Option<Piece>,
    },
    SetNotNull(Word),
    DropNotNull(Word),
    AddCheck {
        name: Word,
        condition: Piece,
    },
    DropConstraint {
        name: Word,
        if_exists: bool,
    },
    SetProperties(Vec<(String, String)>),
    UnsetProperties {
        keys: Vec<Word>,
        if_exists: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    pub name: Word,
    pub data_type: TypeName,
    pub not_null: bool,
    /// The value of the column in rows that do not name it.
    pub default: Option<Piece>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    pub text: String,
    pub range: Piece,
}

/// `merge into target using source on condition when ..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    pub target: Named,
    pub alias: Option<Word>,
    /// A table or a query in parentheses, without its alias.
    pub source: Piece,
    /// What the source is called: its alias, or the last part of its name.
    pub source_alias: Word,
    pub on: Piece,
    pub clauses: Vec<MergeClause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeClause {
    pub when: MergeWhen,
    /// From `when` to the end of the clause.
    pub range: Piece,
    pub condition: Option<Piece>,
    pub action: MergeAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeWhen {
    Matched,
    NotMatched,
    NotMatchedBySource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeAction {
    UpdateAll,
    Update(Vec<(Word, Piece)>),
    InsertAll,
    Insert(Vec<(Word, Piece)>),
    Delete,
}

/// The statement, if it begins as one of those that are read here.
///
/// # Errors
/// If it begins so and does not go on so.
pub fn parse_command(sql: &str) -> Result<Option<Command>, Box<SqlError>> {
    let Some(mut reader) = Reader::new(sql) else { return Ok(None) };
    if let Some(or_replace) = reader.creates_function() {
        let command = reader.create_function(or_replace)?;
        reader.end()?;
        return Ok(Some(command));
    }
    let word = reader.upcoming().to_lowercase();
    let command = match word.as_str() {
        "merge" => Command::Merge(reader.merge()?),
        "alter" if reader.second() == "table" => reader.alter()?,
        "drop" if reader.words(&["drop", "function"]) => reader.drop_function()?,
        "truncate" => reader.truncate()?,
        "comment" => reader.comment()?,
        "describe" | "desc" => reader.describe()?,
        "show" => match reader.show()? {
            Some(shown) => Command::Show(shown),
            None => return Ok(None),
        },
        "restore" => reader.restore()?,
        "optimize" => reader.optimize()?,
        "vacuum" => reader.vacuum()?,
        _ => return Ok(None),
    };
    reader.end()?;
    Ok(Some(command))
}

#[cfg(test)]
mod tests;
