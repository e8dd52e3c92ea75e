//! Where in a query it was that a value failed: DataFusion says what happened and not where. So the query runs again, with
//! some of its expressions kept from failing, until one is found without which it does not fail.
//!
//! A query that fails does so again as soon as before; a search that takes longer than a user would wait for it is given up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::physical_plan::execute_stream;
use deltalake::datafusion::sql::parser::Statement;
use futures::StreamExt as _;
use futures::future::BoxFuture;

use super::super::{EngineError, Overlay};
use super::LocalEngine;
use super::catalog::{self, Bound};
use super::streams::Part;
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{self, Mend, SqlError, Suspect, mended, suspects};

/// How long the search may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Expressions that are tried one by one.
const MOST: usize = 40;

/// A query that failed, with what it was run over.
type Query<'a> = (&'a str, &'a [Overlay]);
type Parts = BTreeMap<RelationName, Part>;

/// What a search has found.
enum Found {
    /// An expression of the query.
    Here(Range<usize>),
    /// A view that the query names, and the expression in it, if that is known.
    InView { place: Range<usize>, view: RelationName, expression: Option<String> },
    /// The query fails, and it is not known where.
    Nowhere,
}

/// The failure of a running query with its place, as far as it can be found.
pub(super) fn located<'a>(engine: &'a LocalEngine, error: EngineError, query: Query<'a>, parts: &'a Parts) -> BoxFuture<'a, EngineError> {
    Box::pin(async move {
        match error {
            // What has notes is about an option of the node and not about its query.
            EngineError::Sql(inner) if inner.code == Code::SqlInvalid && inner.notes.is_empty() => {
                EngineError::Sql(Box::new(placed(engine, *inner, query, parts).await))
            }
            other => other,
        }
    })
}

async fn placed(engine: &LocalEngine, mut error: SqlError, (sql, overlays): Query<'_>, parts: &Parts) -> SqlError {
    let search = async {
        let bound = catalog::bind_parts(engine, sql, overlays, parts).await.ok()?;
        search(engine, &bound, (sql, overlays), parts).await
    };
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(Some(Found::Here(range))) => error.range = Some(range),
        Ok(Some(Found::InView { place, view, expression })) => {
            error.range = Some(place);
            let expression = expression.map(|text| format!(": `{text}`")).unwrap_or_default();
            error.notes.push(format!("in the query of the view `{}`{expression}", view.short()));
        }
        // What the message alone tells is a guess, except where the very value stands in the text.
        Ok(Some(Found::Nowhere)) => error.range = error.range.filter(|range| sql.get(range.clone()).is_some_and(|text| text.starts_with('\''))),
        Ok(None) | Err(_) => {}
    }
    error
}

/// `None` if the query does not fail by itself.
async fn search(engine: &LocalEngine, bound: &Bound, (sql, overlays): Query<'_>, parts: &Parts) -> Option<Found> {
    let trial = Trial { state: &bound.state, statement: &bound.statement };
    if trial.passes(&[], Mend::Values).await {
        return None;
    }
    if let Some(range) = trial.first_to_blame(suspects(&bound.statement, sql, Mend::Values)).await {
        return Some(Found::Here(range));
    }
    for (view, text, place) in catalog::views(engine, bound, sql, overlays).await.ok()? {
        // Inside of itself, the name of an overlaid query means what lies below.
        let below: Vec<Overlay> =
            overlays.iter().filter(|overlay| !matches!(overlay, Overlay::Query { name, .. } if *name == view)).cloned().collect();
        let Ok(inside) = catalog::bind_view(engine, (&view, &text), &below, parts).await else { continue };
        let expression = match Box::pin(search(engine, &inside, (&text.sql, &below), parts)).await {
            None => continue,
            Some(Found::Here(range)) => text.sql.get(range).map(str::to_owned),
            Some(Found::InView { view, expression, .. }) => return Some(Found::InView { place, view, expression }),
            Some(Found::Nowhere) => None,
        };
        return Some(Found::InView { place, view, expression });
    }
    Some(trial.only_to_blame(&suspects(&bound.statement, sql, Mend::Whole)).await.map_or(Found::Nowhere, Found::Here))
}

/// A statement that fails.
struct Trial<'a> {
    state: &'a SessionState,
    statement: &'a Statement,
}

impl Trial<'_> {
    /// Whether the statement runs to its end without these expressions.
    async fn passes(&self, without: &[Suspect], mend: Mend) -> bool {
        let Ok(plan) = sql::plan(self.state, mended(self.statement, without, mend)).await else { return false };
        let Ok(plan) = self.state.create_physical_plan(&plan).await else { return false };
        let Ok(mut rows) = execute_stream(plan, self.state.task_ctx()) else { return false };
        while let Some(batch) = rows.next().await {
            if batch.is_err() {
                return false;
            }
        }
        true
    }

    /// Of expressions that can be mended without any effect on other values, the first without which the statement passes,
    /// by halves.
    async fn first_to_blame(&self, mut open: Vec<Suspect>) -> Option<Range<usize>> {
        if open.is_empty() || !self.passes(&open, Mend::Values).await {
            return None;
        }
        // With `innocent` alone the statement fails, with `open` beside it it passes.
        let mut innocent: Vec<Suspect> = Vec::new();
        while open.len() > 1 {
            let rest = open.split_off(open.len() / 2);
            let tried = [innocent.as_slice(), open.as_slice()].concat();
            if !self.passes(&tried, Mend::Values).await {
                innocent = tried;
                open = rest;
            }
        }
        open.pop().map(|suspect| suspect.range)
    }

    /// The innermost expression without which the statement passes, if it is the only one: without one that decides about
    /// rows there may be none left to fail, so these come last.
    async fn only_to_blame(&self, suspects: &[Suspect]) -> Option<Range<usize>> {
        if suspects.len() > MOST {
            return None;
        }
        for filters in [false, true] {
            let mut mending: Vec<Range<usize>> = Vec::new();
            for suspect in suspects.iter().filter(|suspect| suspect.filters == filters) {
                if self.passes(std::slice::from_ref(suspect), Mend::Whole).await {
                    mending.push(suspect.range.clone());
                }
            }
            let Some(innermost) = mending.iter().min_by_key(|range| range.len()) else { continue };
            let around = |range: &Range<usize>| range.start <= innermost.start && innermost.end <= range.end;
            return mending.iter().all(around).then(|| innermost.clone());
        }
        None
    }
}
