//! What an engine has to say when something fails, sorted by what a user can do about it.

use super::Violation;
use crate::base::{Code, Diagnostic, Severity, Span};
use crate::sql::SqlError;

/// What went wrong in the surroundings. The texts are for users: no type names, no dumps.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The SQL does not plan, or a row makes it fail. Spans are in the SQL as it was given.
    #[error("{}", .0.message)]
    Sql(Box<SqlError>),
    /// A problem with a file of the user's, already with its place.
    #[error("{}", .0.message)]
    Diagnosed(Box<Diagnostic>),
    /// Another writer committed first.
    #[error("another writer changed `{relation}` at the same time")]
    Conflict { relation: String },
    #[error("`{relation}` can't be read: {reason}")]
    Damaged { relation: String, reason: String },
    /// The table's log asks for something that Alluvium does not know.
    #[error("`{relation}` can't be {}: {reason}", if *.writing { "written" } else { "read" })]
    Feature { relation: String, reason: String, writing: bool },
    #[error("`{relation}` can't be written: {reason}")]
    Unwritable { relation: String, reason: String },
    /// A row breaks a constraint of the table.
    #[error("`{relation}` refuses a row: {reason}")]
    Constraint { relation: String, reason: String },
    /// Rows break a rule of the table.
    #[error("{0}")]
    Violated(Box<Violation>),
    #[error("{message}")]
    Unsupported { message: String, help: Option<String> },
    #[error("{context}: {reason}")]
    Storage { context: String, reason: String },
    /// `asked` where the target has the limit, and not the machine.
    #[error("the memory limit of {limit} was reached: {reason}")]
    Memory { limit: String, reason: String, asked: bool },
    #[error("the run was interrupted")]
    Interrupted,
}

/// What the names of Alluvium's own records begin with.
const OWN_SCHEMA: &str = "_alluvium.";

impl EngineError {
    /// The error as a diagnostic, at `place` (a span with a few words on what is there) unless it has a place of its own.
    /// `warehouse` is what the target says of it.
    ///
    /// SQL errors keep their message, notes and help; their range is in the SQL that was given, and the caller's to map.
    #[must_use]
    pub fn diagnostic(&self, warehouse: &str, place: Option<(Span, &str)>) -> Diagnostic {
        let mut found = match self {
            Self::Diagnosed(diagnostic) => (**diagnostic).clone(),
            Self::Sql(error) => {
                let mut found = Diagnostic::error(error.code, error.message.clone());
                found.notes.extend(error.notes.iter().cloned());
                found.help.clone_from(&error.help);
                found
            }
            Self::Unsupported { message, help } => {
                let found = Diagnostic::error(Code::NotAvailable, message.clone());
                found.help(help.as_deref().unwrap_or("write it in another way, or leave it out"))
            }
            Self::Conflict { .. }
            | Self::Damaged { .. }
            | Self::Feature { .. }
            | Self::Unwritable { .. }
            | Self::Constraint { .. }
            | Self::Violated(_)
            | Self::Storage { .. }
            | Self::Memory { .. }
            | Self::Interrupted => self.of_the_warehouse(warehouse),
        };
        if found.labels.is_empty()
            && let Some((span, text)) = place
        {
            found = found.at(span, text);
        }
        debug_assert!(found.severity == Severity::Error, "an engine gives errors only");
        found
    }

    fn of_the_warehouse(&self, warehouse: &str) -> Diagnostic {
        let (code, help) = match self {
            Self::Conflict { .. } => (Code::WriteConflict, "run it again when the other writer is done"),
            Self::Damaged { relation, .. } if relation.starts_with(OWN_SCHEMA) => (
                Code::TableDamaged,
                "remove the table's folder from the warehouse: Alluvium makes it again, and views are there again when they are built",
            ),
            Self::Damaged { .. } => (
                Code::TableDamaged,
                "bring the missing or broken file back from a copy; or drop the table (`alluvium sql 'drop table ...'`) and build it again",
            ),
            Self::Feature { .. } => {
                (Code::TableFeature, "drop the feature with the program that put it there, or build the table under another name")
            }
            Self::Unwritable { .. } => (Code::TableUnwritable, "change the table's properties, or build it under another name (`alias`)"),
            Self::Violated(_) => (Code::ConstraintViolated, "leave such rows out of the query, or drop the constraint"),
            Self::Constraint { .. } => {
                (Code::ConstraintViolated, "mend or leave out such rows in the query, or build the table anew with another type (`--full-refresh`)")
            }
            Self::Memory { asked: true, .. } => (Code::MemoryLimit, "raise `memory_limit` of the target, or lower `threads`"),
            Self::Memory { asked: false, .. } => (
                Code::MemoryLimit,
                "that is four fifths of the machine's memory; set `memory_limit` of the target, with which joins write to disk what does not fit",
            ),
            Self::Storage { .. } | Self::Interrupted | Self::Sql(_) | Self::Diagnosed(_) | Self::Unsupported { .. } => (
                Code::StorageAccess,
                "the warehouse must be a folder or URI that can be read and written: see `warehouse` of the target, and `--warehouse`",
            ),
        };
        let found = Diagnostic::error(code, self.to_string()).help(help);
        if code == Code::StorageAccess { found.note(format!("the warehouse is `{warehouse}`")) } else { found }
    }
}
