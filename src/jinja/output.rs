//! The writer under a render: collects the text and remembers where each stretch came from.
//!
//! The engine hands literal text to its writer as slices of the template's source, so a literal's offset is
//! its address less the source's. Text of an expression is announced by the session beforehand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::session::Session;
use super::work::TEXT_LIMIT;
use crate::base::Span;

/// How a stretch of rendered text relates to its place in the user's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// The same text stands there.
    Literal,
    /// An expression there printed it.
    Expression,
    /// A macro called there printed it.
    MacroCall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    start: u32,
    span: Span,
    kind: SpanKind,
}

/// Leads from offsets of rendered text to the user's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceMap {
    stretches: Vec<Stretch>,
    length: u32,
}

impl SourceMap {
    /// Where the text at a rendered offset came from. For a literal the span starts at the very character and
    /// runs to the literal's end; otherwise it is the expression or the call.
    ///
    /// The end of the text counts as its last character's place.
    #[must_use]
    pub fn lookup(&self, offset: u32) -> Option<(Span, SpanKind)> {
        let index = self.stretches.partition_point(|stretch| stretch.start <= offset).checked_sub(1)?;
        let stretch = self.stretches.get(index)?;
        if offset > self.length {
            return None;
        }
        let mut span = stretch.span;
        if stretch.kind == SpanKind::Literal {
            span.start = (span.start + (offset - stretch.start)).min(span.end);
        }
        Some((span, stretch.kind))
    }

    /// The user's range behind a rendered range: exact within one literal, else from the first place to the
    /// last, where both lie in the same file.
    #[must_use]
    pub fn lookup_range(&self, start: u32, end: u32) -> Option<(Span, SpanKind)> {
        let (first, kind) = self.lookup(start)?;
        let Some((last, last_kind)) = self.lookup(end.saturating_sub(1).max(start)) else { return Some((first, kind)) };
        if last.file != first.file || last.start < first.start {
            return Some((first, kind));
        }
        let end = if last_kind == SpanKind::Literal { last.start + u32::from(end > start) } else { last.end };
        let kind = if kind == last_kind { kind } else { SpanKind::Expression };
        Some((Span { end: end.max(first.start), ..first }, kind))
    }

    /// A map that leads from everywhere to one place.
    #[must_use]
    pub fn whole(span: Span, length: usize, kind: SpanKind) -> Self {
        Self { stretches: vec![Stretch { start: 0, span, kind }], length: to_u32(length) }
    }

    fn push(&mut self, length: usize, span: Span, kind: SpanKind) {
        let start = self.length;
        self.length = self.length.saturating_add(to_u32(length));
        let continues = |last: &Stretch| kind != SpanKind::Literal && last.kind == kind && last.span == span;
        if self.stretches.last().is_some_and(continues) {
            return;
        }
        self.stretches.push(Stretch { start, span, kind });
    }
}

/// Collects what a template prints.
pub(super) struct Writer<'s> {
    source: &'s str,
    session: Arc<Session>,
    text: Vec<u8>,
    map: SourceMap,
}

impl<'s> Writer<'s> {
    pub(super) fn new(source: &'s str, session: Arc<Session>) -> Self {
        Self { source, session, text: Vec::with_capacity(source.len()), map: SourceMap::default() }
    }

    pub(super) fn finish(self) -> (String, SourceMap) {
        let text = String::from_utf8(self.text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        (text, self.map)
    }

    /// The offset of a slice of the template's source, if it is one.
    fn offset(&self, part: &[u8]) -> Option<usize> {
        let offset = part.as_ptr().addr().checked_sub(self.source.as_ptr().addr())?;
        (offset + part.len() <= self.source.len()).then_some(offset)
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.write_all(part)?;
        Ok(part.len())
    }

    fn write_all(&mut self, part: &[u8]) -> io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let literal = if self.session.is_emitting() { None } else { self.offset(part) };
        let (span, kind) = match literal {
            Some(offset) => (self.session.main_span(offset..offset + part.len()), SpanKind::Literal),
            None => self.session.emission(),
        };
        if self.text.len() + part.len() > TEXT_LIMIT {
            self.session.full.get_or_init(|| span);
            return Err(io::Error::other("the output is too long"));
        }
        let kind = if self.session.main_is_exact() || kind != SpanKind::Literal { kind } else { SpanKind::Expression };
        self.map.push(part.len(), span, kind);
        self.text.extend_from_slice(part);
        self.session.written.store(self.text.len(), Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Sources;

    #[test]
    fn literals_are_exact_and_expressions_whole() {
        let file = Sources::new().add("m.sql", "select {{ x }} from t");
        let mut map = SourceMap::default();
        map.push(7, Span::new(file, 0, 7), SpanKind::Literal);
        map.push(3, Span::new(file, 7, 14), SpanKind::Expression);
        map.push(7, Span::new(file, 14, 21), SpanKind::Literal);
        assert_eq!(map.lookup(2), Some((Span::new(file, 2, 7), SpanKind::Literal)));
        assert_eq!(map.lookup(9), Some((Span::new(file, 7, 14), SpanKind::Expression)));
        assert_eq!(map.lookup(11), Some((Span::new(file, 15, 21), SpanKind::Literal)));
        assert_eq!(map.lookup_range(11, 15), Some((Span::new(file, 15, 19), SpanKind::Literal)));
        assert_eq!(map.lookup(99), None);
    }
}
