//! The SQL dialect, in one place for planning and running alike: the session factory, identifier case, type names
//! and what a failure of the planner says to a user.
//!
//! Knows nothing of projects or warehouses: which table a name means is the caller's affair.

mod assignments;
mod blame;
mod brief;
mod collected;
mod commands;
mod correlated;
mod defined;
mod delta;
mod depth;
mod determined;
mod difference;
mod digits;
mod estimates;
mod expressions;
mod failure;
mod files;
mod frames;
mod functions;
mod grammar;
mod identifiers;
mod lateral;
mod limits;
mod literals;
mod nested;
mod numbers;
mod operators;
mod outer;
mod output;
mod overflow;
mod place;
mod qualified;
mod recover;
mod refused;
mod relations;
mod reordered;
mod respell;
mod rewrite;
mod said;
mod semantics;
mod session;
mod stars;
mod statements;
mod suspects;
mod timestamps;
mod tokens;
mod truth;
mod types;

#[cfg(test)]
mod probe;
#[cfg(test)]
mod reference;

pub use assignments::assignments;
pub use blame::{blame, repeated};
pub use collected::keeps_order;
pub use commands::{
    Alteration, Command, CreateFunction, Described, Merge, MergeAction, MergeClause, MergeWhen, Moment, Named, NewColumn, Piece, Shown, Volatility,
    Word, parse_command,
};
pub use defined::{Argument, CalledFunction, Definition, called_functions, parsed_body, register, scalar_function};
pub use delta::{stored_type, unholdable, unnameable};
pub use difference::SchemaDifference;
pub use failure::{SqlError, sql_error};
pub use files::{FileCall, FileKind, Packing, ReadOptions, WrongCall, file_call, file_functions};
pub(crate) use functions::iso_time::iso_texts;
pub use identifiers::canonical;
pub use literals::respelt_texts;
pub use numbers::{plan_expression, settled};
pub use outer::wrong_subquery;
pub use output::{cte_names, cte_tables, output_columns};
pub use place::slashes;
pub use qualified::qualified;
pub use recover::failures;
pub use rewrite::plan;
pub use semantics::Semantics;
pub use session::{SessionOptions, is_table_function, session_state};
pub use stars::open_stars;
pub use statements::{
    behind_with, changes_rows, embedded_query, parse_query, place_of, place_of_table, rewritten_expression, split_statements, statement_text,
};
pub use suspects::{Mend, Suspect, mended, suspects};
pub use types::{comparable, is_bare_decimal, parse_type, type_help, type_name};

/// A name in double quotes, ready to stand in SQL.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
