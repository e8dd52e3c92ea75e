//! SQL put together around pieces of a statement: an error in a piece leads back to where it was written.

use std::ops::Range;

use super::super::super::EngineError;
use crate::sql::Piece;

pub(super) struct Composed<'a> {
    statement: &'a str,
    text: String,
    /// Where pieces stand in the text, and where they come from.
    pieces: Vec<(Range<usize>, usize)>,
}

impl<'a> Composed<'a> {
    pub(super) fn new(statement: &'a str) -> Self {
        Self { statement, text: String::new(), pieces: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Puts a piece of the statement in.
    pub(super) fn piece(&mut self, piece: &Piece) -> &mut Self {
        let start = self.text.len();
        self.text.push_str(self.statement.get(piece.clone()).unwrap_or_default());
        self.pieces.push((start..self.text.len(), piece.start));
        self
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The error with its place in the statement, if it is in a piece of it.
    pub(super) fn locate(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Sql(mut inner) => {
                inner.range = inner.range.take().and_then(|range| {
                    let (here, from) = self.pieces.iter().find(|(here, _)| here.start <= range.start && range.end <= here.end)?;
                    Some(range.start - here.start + from..range.end - here.start + from)
                });
                EngineError::Sql(inner)
            }
            other => other,
        }
    }
}
