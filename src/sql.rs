//! The SQL dialect, in one place for planning and running alike: the session factory, identifier case, type names
//! and what a failure of the planner says to a user.
//!
//! Knows nothing of projects or warehouses: which table a name means is the caller's affair.

mod assignments;
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
pub use failure::{SqlError, sql_error};
pub use identifiers::canonical;
pub use lint::unsafe_construct;
pub use rewrite::plan;
pub use session::{SessionOptions, is_table_function, session_state};
pub use statements::{behind_with, parse_query, split_statements};
pub use types::{parse_type, type_help, type_name};

/// A name in double quotes, ready to stand in SQL.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
