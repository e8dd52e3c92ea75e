//! All that is wrong with a statement, and not only the first: what an error points to is taken out, NULL in its place, and
//! the rest is planned again.
//!
//! Only what can't come of the NULLs is reported beside the first: names that are not there or mean several columns, types
//! that do not fit where no NULL is near, and columns that are not grouped where no group was taken out.

use std::ops::{ControlFlow, Range};

use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Ident, Select, SelectItem, Spanned, Value, VisitMut, VisitorMut};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::{SqlError, blame, plan, sql_error};
use crate::base::{Code, SourceFile};

/// After so many the rest is left for the next time.
const MOST: usize = 20;

/// What is wrong with a statement that does not plan, by place. `first` is what the planner said of it, `sql` the text that it
/// was parsed from.
pub async fn failures(first: DataFusionError, state: &SessionState, statement: &Statement, sql: &str) -> Vec<SqlError> {
    let text = SourceFile::new("", sql.into());
    let mut statement = statement.clone();
    let mut found = vec![Box::pin(blame(sql_error(&first, sql), state, &statement, sql)).await];
    let mut taken = Taken { places: Vec::new(), grouped: false };
    let mut next = found.first().and_then(|error| error.range.clone());
    while let Some(range) = next.take() {
        if taken.places.contains(&range) || taken.places.len() >= MOST || !taken.take_out(&mut statement, &range, &text) {
            break;
        }
        taken.places.push(range);
        let Err(error) = provable(state, statement.clone()).await else { break };
        let error = Box::pin(blame(sql_error(&error, sql), state, &statement, sql)).await;
        next.clone_from(&error.range);
        if taken.allows(&error) && !follows(&error, &found) {
            note(&mut found, error);
        }
    }
    found.sort_by_key(|error| error.range.as_ref().map(|range| range.start));
    found
}

/// Whether a statement plans, its types included.
async fn provable(state: &SessionState, statement: Statement) -> Result<(), DataFusionError> {
    let planned = plan(state, statement).await?;
    state.analyzer().execute_and_check(planned, state.config_options(), |_, _| {}).map(|_| ())
}

/// Whether a column is missing because one before is misspelt: `with a as (select ordr_id ..) select order_id from a`.
fn follows(error: &SqlError, found: &[SqlError]) -> bool {
    let meant = |error: &SqlError| Some(error.help.as_ref()?.strip_prefix("did you mean ")?.strip_suffix('?')?.to_owned());
    let missing = |error: &SqlError, name: &str| error.code == Code::UnknownColumn && error.message == format!("column {name} not found");
    error.code == Code::UnknownColumn
        && meant(error)
            .is_some_and(|near| found.iter().any(|before| missing(before, &near) && meant(before).is_some_and(|right| missing(error, &right))))
}

/// The same at another place is said once, at the place that comes first.
fn note(found: &mut Vec<SqlError>, error: SqlError) {
    let Some(known) = found.iter_mut().find(|known| known.code == error.code && known.message == error.message) else {
        found.push(error);
        return;
    };
    let (Some(first), Some(again)) = (known.range.clone(), error.range.clone()) else { return };
    let (first, again) = if again.start < first.start { (again, first) } else { (first, again) };
    known.range = Some(first);
    known.relate(again, "here too");
}

/// What was taken out of a statement.
struct Taken {
    places: Vec<Range<usize>>,
    /// Whether some of it stood in a `group by`.
    grouped: bool,
}

impl Taken {
    /// Whether an error is about the statement and not about what was taken out of it.
    fn allows(&self, error: &SqlError) -> bool {
        let Some(range) = &error.range else { return false };
        if self.places.iter().any(|place| range.start <= place.start && place.end <= range.end) {
            return false;
        }
        let words = error.message.as_str();
        let about_null = || words.to_lowercase().contains("null") || error.notes.iter().any(|note| note.to_lowercase().contains("null"));
        match error.code {
            Code::UnknownColumn | Code::UnknownFunction | Code::TypeUnknown => true,
            Code::SqlInvalid if words.contains("neither grouped nor aggregated") => !self.grouped,
            Code::SqlInvalid => {
                let known = [" is ambiguous", " does not take ", "incompatible types", " cannot be cast to ", " is not a value of type "];
                known.iter().any(|known| words.contains(known)) && !about_null()
            }
            _ => false,
        }
    }

    /// Puts NULL in the place of the smallest expression that holds a place. A column of the result keeps its name.
    fn take_out(&mut self, statement: &mut Statement, place: &Range<usize>, text: &SourceFile) -> bool {
        let Statement::Statement(inner) = statement else { return false };
        let mut smallest = Smallest { place, text, at: 0, found: None, grouped: false };
        let _ = inner.visit(&mut smallest);
        let Some((wanted, _)) = smallest.found else { return false };
        self.grouped |= smallest.grouped;
        let _ = inner.visit(&mut Remover { place, text, at: 0, wanted });
        true
    }
}

/// Finds the smallest expression that holds a place, by its number in the order of visits.
struct Smallest<'a> {
    place: &'a Range<usize>,
    text: &'a SourceFile,
    at: usize,
    found: Option<(usize, usize)>,
    grouped: bool,
}

impl VisitorMut for Smallest<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            self.grouped |= keys.iter().any(|key| holds(key.span(), self.place, self.text).is_some());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(length) = holds(expr.span(), self.place, self.text)
            && self.found.is_none_or(|(_, known)| length <= known)
        {
            self.found = Some((self.at, length));
        }
        self.at += 1;
        ControlFlow::Continue(())
    }
}

struct Remover<'a> {
    place: &'a Range<usize>,
    text: &'a SourceFile,
    at: usize,
    wanted: usize,
}

impl VisitorMut for Remover<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            if holds(expr.span(), self.place, self.text).is_none() {
                continue;
            }
            let alias = match &*expr {
                Expr::Identifier(name) => name.clone(),
                Expr::CompoundIdentifier(parts) => parts.last().cloned().unwrap_or_else(|| Ident::new("")),
                other => Ident::with_quote('"', other.to_string()),
            };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let here = self.at == self.wanted;
        self.at += 1;
        if here {
            *expr = Expr::value(Value::Null);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The length of what holds a place.
fn holds(span: Span, place: &Range<usize>, text: &SourceFile) -> Option<usize> {
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    if span.start.line == 0 {
        return None;
    }
    let (start, end) = (offset(span.start.line, span.start.column), offset(span.end.line, span.end.column));
    (start <= place.start && place.end <= end).then(|| end - start)
}
