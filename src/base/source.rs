//! Texts that diagnostics can point into: the user's files, and SQL that was rendered from them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// A text registered with [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// One registered text. `path` is relative to the project where possible and uses `/`.
#[derive(Debug)]
pub struct SourceFile {
    pub path: String,
    pub text: Arc<str>,
    /// Whether a stage made it from the user's files, as rendered SQL.
    pub is_made: bool,
    /// Reckoned when the first position is asked for: few files have one that is shown.
    marks: OnceLock<Marks>,
}

#[derive(Debug)]
struct Marks {
    line_starts: Vec<u32>,
    /// Where every [`STEP`]th character begins, so that long lines are not walked for each place in them; empty for a
    /// text that is ASCII only, where characters are bytes.
    steps: Vec<u32>,
}

/// How many characters lie between two marks of [`Marks::steps`].
const STEP: usize = 64;

impl SourceFile {
    #[must_use]
    pub fn new(path: &str, text: Arc<str>) -> Self {
        Self { path: path.to_owned(), text, is_made: false, marks: OnceLock::new() }
    }

    fn marks(&self) -> &Marks {
        self.marks.get_or_init(|| {
            let text = &self.text;
            let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| to_u32(at + 1))).collect();
            let steps = if text.is_ascii() { Vec::new() } else { text.char_indices().step_by(STEP).map(|(at, _)| to_u32(at)).collect() };
            Marks { line_starts, steps }
        })
    }

    /// Line and column of a byte offset; an offset past the end is the end.
    #[must_use]
    pub fn position(&self, offset: u32) -> Position {
        let offset = offset.min(to_u32(self.text.len()));
        let starts = &self.marks().line_starts;
        let line = starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = starts.get(line).copied().unwrap_or(0) as usize;
        let column = self.text.get(start..offset as usize).map_or(0, |head| head.chars().count());
        Position { line: to_u32(line + 1), column: to_u32(column + 1) }
    }

    /// Byte offset of a 1-based line and column (columns in characters); clamped to the text.
    #[must_use]
    pub fn offset(&self, line: u32, column: u32) -> u32 {
        let Some(start) = self.marks().line_starts.get(line.saturating_sub(1) as usize).copied() else {
            return to_u32(self.text.len());
        };
        let ahead = column.saturating_sub(1) as usize;
        let steps = &self.marks().steps;
        if steps.is_empty() {
            return to_u32((start as usize + ahead).min(self.text.len()));
        }
        // From the mark before the line's start, so many characters further; over whole steps by the marks.
        let mark = steps.partition_point(|at| *at <= start).saturating_sub(1);
        let before = steps.get(mark).and_then(|at| self.text.get(*at as usize..start as usize)).map_or(0, |gap| gap.chars().count());
        let Some(from) = steps.get(mark + (before + ahead) / STEP).copied() else { return to_u32(self.text.len()) };
        let rest = self.text.get(from as usize..).unwrap_or_default();
        from + to_u32(rest.char_indices().nth((before + ahead) % STEP).map_or(rest.len(), |(at, _)| at))
    }
}

/// A 1-based line and column; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// A byte range of a registered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `file`; texts over 4 GiB are cut off there.
    #[must_use]
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        Self { file, start: to_u32(start), end: to_u32(end.max(start)) }
    }

    /// The first character of a file, for messages about the file as a whole.
    #[must_use]
    pub fn file_start(file: FileId) -> Self {
        Self { file, start: 0, end: 0 }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// The texts of one invocation. Append-only, shared by all stages.
#[derive(Debug, Default)]
pub struct Sources {
    files: RwLock<Vec<Arc<SourceFile>>>,
    /// Ids by path, of as many files as were there when somebody last asked by a path.
    named: Mutex<(usize, HashMap<String, FileId>)>,
}

impl Sources {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn add(&self, path: &str, text: impl Into<Arc<str>>) -> FileId {
        self.push(SourceFile::new(path, text.into()))
    }

    /// Adds a text that a stage made; `path` says what it is.
    pub fn add_made(&self, path: &str, text: impl Into<Arc<str>>) -> FileId {
        self.push(SourceFile { is_made: true, ..SourceFile::new(path, text.into()) })
    }

    fn push(&self, file: SourceFile) -> FileId {
        let file = Arc::new(file);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.push(file);
        FileId(to_u32(files.len() - 1))
    }

    /// The text behind an id.
    ///
    /// Ids come from [`Sources::add`] of the same registry; one from another registry yields an empty text.
    #[must_use]
    pub fn file(&self, id: FileId) -> Arc<SourceFile> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(id.0 as usize).cloned().unwrap_or_else(|| Arc::new(SourceFile::new("", Arc::from(""))))
    }

    /// The text of a path; of several the first.
    #[must_use]
    pub fn named(&self, path: &str) -> Option<FileId> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, ids) = &mut *named;
        for (at, file) in files.iter().enumerate().skip(*seen) {
            if file.is_made {
                continue;
            }
            ids.entry(file.path.clone()).or_insert(FileId(to_u32(at)));
        }
        *seen = files.len();
        ids.get(path).copied()
    }

    #[must_use]
    pub fn position(&self, id: FileId, offset: u32) -> Position {
        self.file(id).position(offset)
    }

    /// The text a span covers.
    #[must_use]
    pub fn text(&self, span: Span) -> String {
        self.file(span.file).text.get(span.start as usize..span.end as usize).unwrap_or_default().to_owned()
    }

    /// The first place of a word within a span; the whole span where it has none.
    #[must_use]
    pub fn word(&self, span: Span, word: &str) -> Span {
        let text = self.text(span);
        let part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let alone = |at: &usize| !text[..*at].ends_with(part) && !text[*at + word.len()..].starts_with(part);
        match text.match_indices(word).map(|(at, _)| at).find(alone) {
            Some(at) if !word.is_empty() => within(span, at, word.len()),
            _ => span,
        }
    }

    /// The key that stands before a value; the value itself where there is none.
    #[must_use]
    pub fn key_of(&self, value: Span, key: &str) -> Span {
        let file = self.file(value.file);
        let before = file.text.get(..value.start as usize).unwrap_or_default();
        let line = before.trim_end_matches(|letter: char| letter.is_whitespace() || matches!(letter, ':' | '=' | '"' | '\'' | '|' | '>'));
        match line.strip_suffix(key) {
            Some(head) if !head.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') => {
                Span { start: to_u32(head.len()), end: to_u32(head.len() + key.len()), ..value }
            }
            _ => value,
        }
    }

    /// The place of a value in a call with `key=value` among its arguments; the whole span where there is none.
    #[must_use]
    pub fn argument(&self, span: Span, key: &str) -> Span {
        let text = self.text(span);
        let part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let value = text.match_indices(key).filter(|(at, _)| !text[..*at].ends_with(part)).find_map(|(at, _)| {
            let rest = text[at + key.len()..].trim_start().strip_prefix('=').filter(|rest| !rest.starts_with('='))?;
            Some(text.len() - rest.trim_start().len())
        });
        match value {
            Some(at) => within(span, at, value_length(&text[at..])),
            None => span,
        }
    }
}

fn within(span: Span, at: usize, length: usize) -> Span {
    let start = span.start + to_u32(at);
    Span { start, end: start + to_u32(length), ..span }
}

/// How far a value goes: to the comma or the bracket behind it; those in quotes and brackets of its own do not count.
fn value_length(text: &str) -> usize {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) => quote = (open != letter).then_some(open),
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}' | ',') if depth == 0 => return text[..at].trim_end().len(),
            (None, ')' | ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_arguments_are_found_in_a_span() {
        let sources = Sources::new();
        let id = sources.add("a.sql", "x config(unique_key=['a', 'b_c'], on = {'x': \"),\"}, b='c')");
        let call = Span::new(id, 2, 58);
        let shown = |span: Span| sources.text(span);
        assert_eq!(shown(sources.argument(call, "unique_key")), "['a', 'b_c']");
        assert_eq!(shown(sources.argument(call, "on")), "{'x': \"),\"}");
        assert_eq!(shown(sources.argument(call, "b")), "'c'");
        assert_eq!(sources.argument(call, "key"), call);
        assert_eq!(sources.word(call, "b").start, sources.argument(call, "b").start - 2);
        assert_eq!(sources.word(call, "no"), call);
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let sources = Sources::new();
        let id = sources.add("a.sql", "s\u{e9}lect\n  x");
        assert_eq!(sources.position(id, 0), Position { line: 1, column: 1 });
        assert_eq!(sources.position(id, 3), Position { line: 1, column: 3 });
        assert_eq!(sources.position(id, 10), Position { line: 2, column: 3 });
        assert_eq!(sources.file(id).offset(2, 3), 10);
        assert_eq!(sources.file(id).offset(1, 3), 3);
        assert_eq!(sources.position(id, 999), Position { line: 2, column: 4 });
    }

    #[test]
    fn places_of_long_lines_are_those_of_a_walk() {
        for text in ["größe, \u{1f642}\n".repeat(60) + &"日本x".repeat(100), "plain\n".repeat(3) + &"x".repeat(500)] {
            let file = SourceFile::new("a.sql", text.as_str().into());
            for (line, start) in std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).enumerate() {
                for column in [1, 2, 9, 63, 64, 65, 128, 300, 2000] {
                    let walked = text[start..].char_indices().nth(column - 1).map_or(text.len(), |(at, _)| start + at);
                    assert_eq!(file.offset(to_u32(line + 1), to_u32(column)) as usize, walked, "line {line}, column {column}");
                }
            }
        }
    }
}
