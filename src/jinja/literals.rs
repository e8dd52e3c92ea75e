//! Which literal text of a template is to be counted: the engine copies it at the cost of one step, however long it is, so
//! that loops could fill the memory with it. What goes to the output is counted there.

use std::ops::Range;

use super::scan::Tag;

/// Shorter text is paid for by the step that copies it.
const LONG_TEXT: usize = 64;

/// The blocks that are open at a place of a template.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    open: Vec<Block>,
    /// Whether all of it becomes a value, as in a macro.
    is_value: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Loop,
    /// One whose text becomes a value.
    Value,
}

impl Nesting {
    pub(super) fn of_macro() -> Self {
        Self { is_value: true, ..Self::default() }
    }

    /// Goes on after a tag.
    pub(super) fn pass(&mut self, text: &str, tag: &Tag) {
        match tag.keyword(text).unwrap_or_default() {
            "for" => self.open.push(Block::Loop),
            "call" | "filter" | "macro" => self.open.push(Block::Value),
            "set" if !tag.tokens.iter().any(|token| token.is(text, "=")) => self.open.push(Block::Value),
            "endfor" | "endcall" | "endfilter" | "endmacro" | "endset" => {
                self.open.pop();
            }
            _ => {}
        }
    }

    /// Where in the middle of a literal it can be counted: a place that no control of blanks reaches. `None` where it need
    /// not be.
    pub(super) fn counted(&self, text: &str, range: Range<usize>) -> Option<usize> {
        let valued = self.is_value || self.open.contains(&Block::Value);
        if range.len() < LONG_TEXT || !valued || !self.open.contains(&Block::Loop) {
            return None;
        }
        let literal = text.get(range.clone())?;
        let chars = || literal.char_indices();
        // After a brace a tag would become another.
        let between = chars().zip(chars().skip(1)).find(|((_, a), (_, b))| !a.is_whitespace() && *a != '{' && !b.is_whitespace());
        between.map(|(_, (at, _))| range.start + at)
    }
}
