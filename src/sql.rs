//! The SQL dialect, in one place for planning and running alike: the session factory, identifier case, type names
//! and what a failure of the planner says to a user.
//!
//! Knows nothing of projects or warehouses: which table a name means is the caller's affair.

mod assignments;
mod commands;
mod failure;
mod functions;
mod identifiers;
mod lint;
mod operators;
mod overflow;
mod rewrite;
mod session;
mod statements;
mod types;

#[cfg(test)]
mod probe;
#[cfg(test)]
mod reference;

pub use assignments::assignments;
pub use commands::{
    Alteration, Command, Described, Merge, MergeAction, MergeClause, MergeWhen, Moment, Named, NewColumn, Piece, Shown, Word, parse_command,
};
pub use failure::{SqlError, sql_error};
pub use identifiers::canonical;
pub use lint::unsafe_construct;
pub use rewrite::plan;
pub use session::{SessionOptions, is_table_function, session_state};
pub use statements::{behind_with, parse_query, rewritten_expression, split_statements, statement_text};
pub use types::{comparable, is_bare_decimal, parse_type, type_help, type_name};

/// A name in double quotes, ready to stand in SQL.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
