//! The place of a planning error that has none, or a poor one: the branch of a set operation, one of two columns of the same
//! name, a column of `using`, words of the message that stand once in the text, and the expression without which the
//! statement plans.

use std::ops::{ControlFlow, Range};

use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr, Spanned as _, TableFactor, Value, Visit as _,
    VisitMut as _, Visitor, VisitorMut, visit_expressions_mut,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::{SqlError, plan, sql_error};
use crate::base::{Code, SourceFile};

/// Statements with more expressions than this are not tried.
const MOST: usize = 150;

/// Gives an error its place, if one can be found. `sql` is the text that `statement` was parsed from.
pub async fn blame(mut error: SqlError, state: &SessionState, statement: &Statement, sql: &str) -> SqlError {
    let text = SourceFile::new("", sql.into());
    if error.message.contains("queries have different number of columns") {
        branch(&mut error, statement, &text);
    }
    if let Some(name) = error.message.strip_prefix("two columns are called `").and_then(|rest| rest.strip_suffix('`'))
        && let Some((place, first)) = repeated(statement, name, sql)
    {
        error.range = Some(place);
        if let Some(first) = first {
            error.relate(first, "the other one");
        }
    }
    if error.range.is_none() {
        error.range = word(&error, sql);
    }
    if error.range.is_none() || error.message.starts_with("a subquery in the place of a value") {
        error.range = in_select(&mut error, statement, &text).or(error.range);
    }
    if error.range.is_none() && error.code == Code::UnknownColumn {
        error.range = of_using(&error, state, statement, sql).await;
    }
    if error.range.is_none() && matches!(error.code, Code::SqlInvalid | Code::UnknownColumn | Code::NotAvailable) {
        error.range = culprit(&error, state, statement, sql).await;
    }
    if let Some(name) = error.message.strip_prefix("the struct has no field `").and_then(|rest| rest.strip_suffix('`'))
        && let Some(whole) = error.range.clone()
        && let Some(at) = sql.get(whole.clone()).and_then(|text| text.rfind(name))
    {
        error.range = Some(whole.start + at..whole.start + at + name.len());
    }
    error
}

/// A set operation of branches with different numbers of columns: the branch that differs from what is before it.
fn branch(error: &mut SqlError, statement: &Statement, text: &SourceFile) {
    struct Finder<'a> {
        whole: &'a Range<usize>,
        text: &'a SourceFile,
        found: Option<Range<usize>>,
    }
    impl Finder<'_> {
        fn look(&mut self, body: &SetExpr) {
            let SetExpr::SetOperation { left, right, .. } = body else { return };
            if at(body.span(), self.text).as_ref() == Some(self.whole) {
                self.found = at(right.span(), self.text);
            }
            self.look(left);
            self.look(right);
        }
    }
    impl Visitor for Finder<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.look(&query.body);
            ControlFlow::Continue(())
        }
    }
    let (Some(whole), Statement::Statement(inner)) = (error.range.clone(), statement) else { return };
    let mut finder = Finder { whole: &whole, text, found: None };
    let _ = inner.visit(&mut finder);
    let Some(place) = finder.found else { return };
    let counts: Vec<&str> = error.notes.iter().filter_map(|note| note.strip_prefix("this side has ")?.strip_suffix(" fields")).collect();
    if let [before, own] = counts.as_slice() {
        let columns = if *own == "1" { "column" } else { "columns" };
        let operation = error.message.split_whitespace().next().unwrap_or_default();
        error.message = format!("this branch of the {operation} has {own} {columns}, and what is before it has {before}");
        error.notes.clear();
    }
    error.range = Some(place);
    error.help = Some("give both the same columns in the same order; `null as name` fills a gap".to_owned());
}

/// What a message about a whole select is about: its star, a position in `group by`, the one list that is unnested.
fn in_select(error: &mut SqlError, statement: &Statement, text: &SourceFile) -> Option<Range<usize>> {
    struct Finder<'a> {
        message: &'a str,
        whole: Option<&'a Range<usize>>,
        text: &'a SourceFile,
        found: Vec<(Span, Option<String>)>,
    }
    impl Finder<'_> {
        fn grouped_aggregate(&mut self, select: &Select) {
            let Some(name) = self.message.strip_prefix("two columns are called `").and_then(|rest| rest.split_once('(')) else { return };
            let GroupByExpr::Expressions(keys, _) = &select.group_by else { return };
            for key in keys {
                let Expr::Value(number) = key else { continue };
                let at = number.value.to_string().parse::<usize>().ok().and_then(|at| at.checked_sub(1));
                let (SelectItem::UnnamedExpr(Expr::Function(call)) | SelectItem::ExprWithAlias { expr: Expr::Function(call), .. }) =
                    (match at.and_then(|at| select.projection.get(at)) {
                        Some(item) => item,
                        None => continue,
                    })
                else {
                    continue;
                };
                if call.name.to_string().eq_ignore_ascii_case(name.0) {
                    self.found.push((key.span(), Some(format!("position {} of `group by` is an aggregate", number.value))));
                }
            }
        }
    }
    impl Visitor for Finder<'_> {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let is_star = |item: &&SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
            let star = select.projection.iter().find(is_star).map(|star| (star.span(), None));
            if self.message.ends_with("neither grouped nor aggregated") {
                self.found.extend(star);
            } else if self.message.starts_with("a subquery in the place of a value") {
                let inside = |place: Range<usize>| self.whole.is_some_and(|whole| whole.start <= place.start && place.end <= whole.end);
                self.found.extend(star.filter(|(span, _)| at(*span, self.text).is_some_and(inside)));
            }
            self.grouped_aggregate(select);
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::UNNEST { array_exprs, .. } = factor
                && self.message == "only an array can be unnested"
            {
                self.found.extend(array_exprs.iter().map(|list| (list.span(), None)));
            }
            ControlFlow::Continue(())
        }
    }
    let Statement::Statement(inner) = statement else { return None };
    let mut finder = Finder { message: &error.message, whole: error.range.as_ref(), text, found: Vec::new() };
    let _ = inner.visit(&mut finder);
    let [(span, message)] = finder.found.as_mut_slice() else { return None };
    let (span, message) = (*span, message.take());
    if let Some(message) = message {
        error.message = message;
        error.help = Some("group by the columns that are not aggregated".to_owned());
    }
    at(span, text)
}

/// The second of two columns of one name in a select list, and the first where it has a name there.
#[must_use]
pub fn repeated(statement: &Statement, name: &str, sql: &str) -> Option<(Range<usize>, Option<Range<usize>>)> {
    struct Finder<'a> {
        name: &'a str,
        pairs: Vec<(Span, Option<Span>)>,
        stars: Vec<(Span, Option<Span>)>,
    }
    impl Visitor for Finder<'_> {
        type Break = ();
        fn post_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let same = |ident: &Ident| ident.value.eq_ignore_ascii_case(self.name);
            let (mut named, mut stars) = (Vec::new(), Vec::new());
            for item in &select.projection {
                match item {
                    SelectItem::ExprWithAlias { alias, .. } if same(alias) => named.push(alias.span),
                    SelectItem::UnnamedExpr(Expr::Identifier(column)) if same(column) => named.push(column.span),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) if parts.last().is_some_and(same) => named.push(item.span()),
                    SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => stars.push(item.span()),
                    _ => {}
                }
            }
            match (named.as_slice(), stars.as_slice()) {
                ([first, second, ..], _) => self.pairs.push((*second, Some(*first))),
                ([one], [_, ..]) => self.stars.push((*one, None)),
                ([], [.., last]) => self.stars.push((*last, None)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let text = SourceFile::new("", sql.into());
    let Statement::Statement(inner) = statement else { return None };
    let mut finder = Finder { name, pairs: Vec::new(), stars: Vec::new() };
    let _ = inner.visit(&mut finder);
    // Where only stars tell, the outermost select is the last one left.
    let (place, first) = finder.pairs.into_iter().next().or_else(|| finder.stars.into_iter().next_back())?;
    Some((at(place, &text)?, first.and_then(|first| at(first, &text))))
}

/// A name or a type in the message that stands once in the text.
fn word(error: &SqlError, sql: &str) -> Option<Range<usize>> {
    let message = error.message.as_str();
    let behind = |opening: &str| {
        let rest = message.split_once(opening)?.1.trim_start_matches(['`', '"']);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.get(..end).filter(|word| !word.is_empty())
    };
    let whole = || Some(message.strip_prefix("column `")?.strip_suffix("` not found")?).filter(|name| name.contains('.'));
    let wanted = whole()
        .or_else(|| behind("there is no table "))
        .or_else(|| behind("there is no window "))
        .or_else(|| if error.code == Code::TypeUnknown { behind("`") } else { None })
        .or_else(|| behind("column `"))
        .or_else(|| behind("cannot find column with position "))?;
    // Types are told in capitals.
    let of_type = error.code == Code::TypeUnknown;
    let (text, wanted) = if of_type { (sql.to_lowercase(), wanted.to_lowercase()) } else { (sql.to_owned(), wanted.to_owned()) };
    if text.len() != sql.len() {
        return None;
    }
    let mut found = text.match_indices(wanted.as_str()).filter(|(at, _)| stands_alone(&text, *at, wanted.len()));
    let (at, _) = found.next()?;
    found.next().is_none().then(|| at..at + wanted.len())
}

fn stands_alone(sql: &str, at: usize, length: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !sql.get(..at).unwrap_or_default().ends_with(part) && !sql.get(at + length..).unwrap_or_default().starts_with(part)
}

/// The column of a `using` without which the planner has something else to say.
async fn of_using(error: &SqlError, state: &SessionState, statement: &Statement, sql: &str) -> Option<Range<usize>> {
    struct Remover<'a> {
        name: &'a str,
        skip: usize,
        removed: Option<Span>,
    }
    impl VisitorMut for Remover<'_> {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
                let Some(constraint) = constraint(&mut join.join_operator) else { continue };
                let JoinConstraint::Using(columns) = constraint else { continue };
                let named = |ident: &Ident| ident.value.eq_ignore_ascii_case(self.name);
                let at = columns.iter().position(|column| column.0.last().and_then(|part| part.as_ident()).is_some_and(named));
                let Some(at) = at else { continue };
                if self.skip > 0 {
                    self.skip -= 1;
                    continue;
                }
                self.removed = Some(columns.remove(at).span());
                if columns.is_empty() {
                    *constraint = JoinConstraint::On(Expr::value(Value::Boolean(true)));
                }
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    let name = error.message.strip_prefix("column `")?.strip_suffix("` not found")?;
    let without_one = |skip: usize| {
        let mut without = statement.clone();
        let Statement::Statement(inner) = &mut without else { return None };
        let mut remover = Remover { name, skip, removed: None };
        let _ = inner.visit(&mut remover);
        Some((without, remover.removed?))
    };
    // Joins are planned from the left, so what stands behind the culprit changes nothing.
    let all: Vec<(Statement, Span)> = (0..MOST).map_while(without_one).collect();
    for (without, removed) in all.into_iter().rev() {
        let left = plan(state, without).await.err().map(|left| sql_error(&left, sql).message);
        if left.as_ref() != Some(&error.message) {
            return at(removed, &SourceFile::new("", sql.into()));
        }
    }
    None
}

/// What a join goes by.
pub(super) fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

/// The smallest expression in whose place a NULL mends the statement; of those the smallest call or operation.
async fn culprit(error: &SqlError, state: &SessionState, statement: &Statement, sql: &str) -> Option<Range<usize>> {
    // What plans as it is fails for the sake of its values.
    if plans(state, statement.clone()).await {
        return None;
    }
    let text = SourceFile::new("", sql.into());
    let mut places: Vec<(Option<Range<usize>>, bool)> = Vec::new();
    each(&mut statement.clone(), |expr| {
        places.push((at(expr.span(), &text), is_plain(expr)));
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
    if error.message.starts_with("expected a condition") {
        return mending.into_iter().map(|(place, _)| place).min_by_key(Range::len);
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
    at(expr.span(), text)
}

fn at(span: Span, text: &SourceFile) -> Option<Range<usize>> {
    let offset = |line: u64, column: u64| text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize;
    (span.start.line > 0).then(|| offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column))
}
