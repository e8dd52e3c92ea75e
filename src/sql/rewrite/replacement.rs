//! What stands in the place of a match of `regexp_replace`: groups as the engine of the adapter names them, and what is a letter like
//! any other there, in the words of the crate regex.

use std::fmt::Write as _;

use deltalake::datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned};

use super::calls::{literal, text};
use crate::sql::semantics::Semantics;

/// How a replacement names groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Groups {
    /// `\1`, and `\\` for a backslash; a dollar is a letter: Postgres, DuckDB, Snowflake, `BigQuery`.
    Backslash,
    /// `$1`; a backslash stands before a letter that is only that: Java's, in Spark and Trino.
    Dollar,
}

/// Rewrites a replacement that is a literal, where it is known how the engine reads one.
pub(super) fn rewrite(function: &mut ast::Function, semantics: Semantics) {
    let groups = match semantics.adapter {
        "postgres" | "greenplum" | "materialize" | "netezza" | "risingwave" | "duckdb" | "snowflake" | "bigquery" => Groups::Backslash,
        "databricks" | "fabricspark" | "spark" | "athena" | "trino" => Groups::Dollar,
        _ => return,
    };
    let FunctionArguments::List(list) = &mut function.args else { return };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(by))) = list.args.get_mut(2) else { return };
    let known = text(by).filter(|written| written.contains(['\\', '$'])).map(|written| known(written, groups));
    if let Some(known) = known {
        *by = literal(&known, by.span());
    }
}

/// As the crate regex reads it, behind DataFusion's own reading of `\1` as a group.
fn known(written: &str, groups: Groups) -> String {
    let mut known = String::with_capacity(written.len() + 4);
    let mut letters = written.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, groups) {
            ('\\', Groups::Backslash) => match letters.next_if(|next| next.is_ascii_digit() || matches!(next, '\\' | '&')) {
                Some('\\') | None => backslash(&mut known),
                Some('&') => known.push_str("${0}"),
                Some(group) => {
                    let _ = write!(known, "${{{group}}}");
                }
            },
            ('\\', Groups::Dollar) => match letters.next() {
                Some('$') => known.push_str("$$"),
                Some('\\') | None => backslash(&mut known),
                Some(plain) => known.push(plain),
            },
            ('$', Groups::Dollar) if letters.peek().is_some_and(char::is_ascii_digit) => {
                known.push_str("${");
                while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                    known.push(digit);
                }
                known.push('}');
            }
            ('$', Groups::Backslash) => known.push_str("$$"),
            (plain, _) => known.push(plain),
        }
    }
    known
}

/// A backslash before a group without a name, which is nothing, so that no digit behind it makes a group of it.
fn backslash(known: &mut String) {
    known.push_str("\\${}");
}
