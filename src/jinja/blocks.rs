//! Top-level blocks of dbt's files: macros, generic tests, materializations, snapshots and docs.

use std::ops::Range;
use std::sync::Arc;

use super::error::advised;
use super::scan::{ScanError, Tag, TagKind, Tags, Token, TokenKind};
use crate::base::{Code, Diagnostic, FileId, Sources, Span};

/// A `{% docs name %}` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocBlock {
    pub name: String,
    /// The text between the tags, without surrounding whitespace.
    pub text: String,
    /// The name in the opening tag.
    pub span: Span,
}

/// A `{% snapshot name %}` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotBlock {
    pub name: String,
    pub name_span: Span,
    /// What stands between the tags: the template to render.
    pub body: Span,
}

/// The blocks that dbt finds at the top of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    Macro,
    Test,
    Materialization,
    Snapshot,
    Docs,
}

impl BlockKind {
    fn of(keyword: &str) -> Option<Self> {
        match keyword {
            "macro" => Some(Self::Macro),
            "test" | "data_test" => Some(Self::Test),
            "materialization" => Some(Self::Materialization),
            "snapshot" => Some(Self::Snapshot),
            "docs" => Some(Self::Docs),
            _ => None,
        }
    }
}

/// A block with its tags.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub kind: BlockKind,
    pub name: String,
    pub name_at: Range<usize>,
    pub outer: Range<usize>,
    pub body: Range<usize>,
    /// `adapter='x'` of a materialization; `default` where it says so or nothing.
    pub adapter: String,
    /// `supported_languages=['sql', ..]` of a materialization; SQL where it says nothing.
    pub languages: Vec<String>,
}

/// The docs blocks of a file, in order.
///
/// # Errors
/// A block without a name or an end, as one diagnostic.
pub fn doc_blocks(sources: &Arc<Sources>, file: FileId) -> Result<Vec<DocBlock>, Box<Diagnostic>> {
    let source = sources.file(file);
    let blocks = find_blocks(&source.text).map_err(|error| syntax_error(file, &error))?;
    let docs = blocks.into_iter().filter(|block| block.kind == BlockKind::Docs);
    Ok(docs
        .map(|block| DocBlock {
            text: source.text.get(block.body).unwrap_or_default().trim().to_owned(),
            span: Span::new(file, block.name_at.start, block.name_at.end),
            name: block.name,
        })
        .collect())
}

/// The snapshot blocks of a file, in order.
///
/// # Errors
/// A block without a name or an end, as one diagnostic.
pub fn snapshot_blocks(sources: &Arc<Sources>, file: FileId) -> Result<Vec<SnapshotBlock>, Box<Diagnostic>> {
    let source = sources.file(file);
    let blocks = find_blocks(&source.text).map_err(|error| syntax_error(file, &error))?;
    let snapshots = blocks.into_iter().filter(|block| block.kind == BlockKind::Snapshot);
    Ok(snapshots
        .map(|block| SnapshotBlock {
            name: block.name,
            name_span: Span::new(file, block.name_at.start, block.name_at.end),
            body: Span::new(file, block.body.start, block.body.end),
        })
        .collect())
}

#[expect(clippy::unnecessary_box_returns, reason = "it is what the callers' `Err` holds")]
pub(super) fn syntax_error(file: FileId, error: &ScanError) -> Box<Diagnostic> {
    let span = Span::new(file, error.at.start, error.at.end);
    Box::new(advised(Diagnostic::error(Code::JinjaSyntax, error.message).at(span, "here")))
}

/// All top-level blocks of a text.
pub(super) fn find_blocks(text: &str) -> Result<Vec<Block>, ScanError> {
    let mut blocks = Vec::new();
    let mut tags = Tags::new(text, 0);
    while let Some(tag) = tags.next() {
        let tag = tag?;
        let Some(kind) = tag.keyword(text).and_then(BlockKind::of) else { continue };
        let end = if kind == BlockKind::Docs { docs_end(text, &tag)? } else { block_end(text, &tag)? };
        blocks.push(block(text, kind, &tag, &end)?);
        tags.skip_to(end.end);
    }
    Ok(blocks)
}

fn block(text: &str, kind: BlockKind, tag: &Tag, end: &Range<usize>) -> Result<Block, ScanError> {
    let name = tag.tokens.get(1).filter(|token| token.kind == TokenKind::Ident);
    let name = name.ok_or_else(|| ScanError { at: tag.outer.clone(), message: "this block has no name" })?;
    Ok(Block {
        kind,
        name: name.text(text).to_owned(),
        name_at: name.start..name.end,
        outer: tag.outer.start..end.end,
        body: tag.outer.end..end.start,
        adapter: adapter(text, &tag.tokens),
        languages: languages(text, &tag.tokens),
    })
}

fn languages(text: &str, tokens: &[Token]) -> Vec<String> {
    let Some(at) = tokens.iter().position(|token| token.is(text, "supported_languages")) else { return vec!["sql".to_owned()] };
    let listed = tokens.iter().skip(at + 3).take_while(|token| !token.is(text, "]")).filter(|token| token.kind == TokenKind::Text);
    listed.map(|token| token.text(text).trim_matches(['"', '\'']).to_owned()).collect()
}

fn adapter(text: &str, tokens: &[Token]) -> String {
    let value = tokens.iter().position(|token| token.is(text, "adapter")).and_then(|index| tokens.get(index + 2));
    value.map_or_else(|| "default".to_owned(), |token| token.text(text).trim_matches(['\'', '"']).to_owned())
}

/// The range of the closing tag of a docs block, whose text is not a template.
fn docs_end(text: &str, open: &Tag) -> Result<Range<usize>, ScanError> {
    let mut at = open.outer.end;
    while let Some(length) = text.get(at..).and_then(|rest| rest.find("{%")) {
        let start = at + length;
        let inner = text.get(start + 2..).unwrap_or_default();
        let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_start();
        if let Some(rest) = inner.strip_prefix("enddocs") {
            let rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix("%}") {
                return Ok(start..text.len() - after.len());
            }
        }
        at = start + 2;
    }
    Err(ScanError { at: open.outer.clone(), message: "this docs block has no `enddocs`" })
}

/// The range of the tag that closes a block; blocks of the same kind may lie inside.
fn block_end(text: &str, open: &Tag) -> Result<Range<usize>, ScanError> {
    let keyword = open.keyword(text).unwrap_or_default();
    let mut depth = 1_usize;
    for tag in Tags::new(text, open.outer.end) {
        let tag = tag?;
        let Some(word) = tag.keyword(text).filter(|_| tag.kind == TagKind::Block) else { continue };
        if word == keyword {
            depth += 1;
        } else if word.strip_prefix("end") == Some(keyword) {
            depth -= 1;
            if depth == 0 {
                return Ok(tag.outer);
            }
        }
    }
    Err(ScanError { at: open.outer.clone(), message: "this block has no end" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_are_text_and_snapshots_have_bodies() {
        let sources = Sources::new();
        let file = sources.add("a.md", "{% docs one %}\n a {{ b {% if %}\n{% enddocs %}x");
        let docs = doc_blocks(&sources, file).unwrap();
        assert_eq!((docs[0].name.as_str(), docs[0].text.as_str()), ("one", "a {{ b {% if %}"));
        let file = sources.add("s.sql", "{% snapshot s %}{{ config(a=1) }} select 1{% endsnapshot %}");
        let snapshots = snapshot_blocks(&sources, file).unwrap();
        assert_eq!(sources.text(snapshots[0].body), "{{ config(a=1) }} select 1");
        let file = sources.add("b.md", "{% docs two %} never");
        assert_eq!(doc_blocks(&sources, file).unwrap_err().code, Code::JinjaSyntax);
    }

    #[test]
    fn materializations_name_their_adapter() {
        let text = "{% materialization m, adapter='spark' %}{% endmaterialization %}{% macro a() %}{% endmacro %}";
        let blocks = find_blocks(text).unwrap();
        assert_eq!((blocks[0].name.as_str(), blocks[0].adapter.as_str()), ("m", "spark"));
        assert_eq!((blocks[1].kind, &text[blocks[1].outer.clone()]), (BlockKind::Macro, "{% macro a() %}{% endmacro %}"));
    }
}
