//! The place of a planning error that has none: the expression without which the statement plans, and words of the
//! message that stand once in the text.

use std::ops::{ControlFlow, Range};

use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{Expr, Spanned as _, Value, visit_expressions_mut};

use super::{SqlError, plan};
use crate::base::{Code, SourceFile};

/// Statements with more expressions than this are not tried.
const MOST: usize = 150;

/// Gives an error its place, if one can be found. `sql` is the text that `statement` was parsed from.
pub async fn blame(mut error: SqlError, state: &SessionState, statement: &Statement, sql: &str) -> SqlError {
    if error.range.is_none() {
        error.range = word(&error, sql);
    }
    if error.range.is_none() && matches!(error.code, Code::SqlInvalid | Code::UnknownColumn) {
        error.range = culprit(state, statement, sql).await;
    }
    error
}

/// A name or a type in the message that stands once in the text.
fn word(error: &SqlError, sql: &str) -> Option<Range<usize>> {
    let message = error.message.as_str();
    let behind = |opening: &str| {
        let rest = message.split_once(opening)?.1.trim_start_matches(['`', '"']);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.get(..end).filter(|word| !word.is_empty())
    };
    let wanted = behind("invalid qualifier ")
        .or_else(|| behind("unsupported SQL type "))
        .or_else(|| behind("column `"))
        .or_else(|| behind("cannot find column with position "))?;
    let mut found = sql.match_indices(wanted).filter(|(at, _)| stands_alone(sql, *at, wanted.len()));
    let (at, _) = found.next()?;
    found.next().is_none().then(|| at..at + wanted.len())
}

fn stands_alone(sql: &str, at: usize, length: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !sql.get(..at).unwrap_or_default().ends_with(part) && !sql.get(at + length..).unwrap_or_default().starts_with(part)
}

/// The smallest expression in whose place a NULL mends the statement; of those the smallest call or operation.
async fn culprit(state: &SessionState, statement: &Statement, sql: &str) -> Option<Range<usize>> {
    // What plans as it is fails for the sake of its values.
    if plans(state, statement.clone()).await {
        return None;
    }
    let text = SourceFile::new("", sql.into());
    let mut places: Vec<(Option<Range<usize>>, bool)> = Vec::new();
    each(&mut statement.clone(), |expr| {
        places.push((range(expr, &text), is_plain(expr)));
        ControlFlow::Continue(())
    });
    if places.len() > MOST {
        return None;
    }
    let mut mending: Vec<(Range<usize>, bool)> = Vec::new();
    for (at, (place, plain)) in places.into_iter().enumerate() {
        let Some(place) = place else { continue };
        let mut without = statement.clone();
        let mut seen = 0;
        each(&mut without, |expr| {
            if seen == at {
                *expr = Expr::value(Value::Null);
                return ControlFlow::Break(());
            }
            seen += 1;
            ControlFlow::Continue(())
        });
        if plans(state, without).await {
            mending.push((place, plain));
        }
    }
    let smallest = |plain: bool| mending.iter().filter(|(_, found)| *found == plain).map(|(place, _)| place.clone()).min_by_key(Range::len);
    smallest(false).or_else(|| smallest(true))
}

async fn plans(state: &SessionState, statement: Statement) -> bool {
    match plan(state, statement).await {
        Ok(planned) => state.analyzer().execute_and_check(planned, state.config_options(), |_, _| {}).is_ok(),
        Err(_) => false,
    }
}

pub(super) fn each(statement: &mut Statement, visit: impl FnMut(&mut Expr) -> ControlFlow<()>) {
    if let Statement::Statement(inner) = statement {
        let _ = visit_expressions_mut(inner.as_mut(), visit);
    }
}

pub(super) fn is_plain(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_))
}

pub(super) fn range(expr: &Expr, text: &SourceFile) -> Option<Range<usize>> {
    let span = expr.span();
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    (span.start.line > 0).then(|| offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column))
}
