//! Diagnostics as text, with the user's lines quoted. What comes from the user is made safe to print.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::escape::{visible, visible_line};
use super::{Diagnostic, Failure, FileId, Label, Severity, Sources, Span};

/// How diagnostics are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintStyle {
    Plain,
    Colour,
}

/// The full text of a diagnostic: first line, the places with their lines, notes and help. No line end at the end.
#[must_use]
pub fn render_diagnostic(diagnostic: &Diagnostic, sources: &Sources, style: PrintStyle) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code.name());
    let snippets = files_of(diagnostic).into_iter().map(|file| snippet(file, diagnostic, sources));
    let notes = diagnostic.notes.iter().map(|note| Level::NOTE.message(visible(note)));
    let help = diagnostic.help.iter().map(|help| Level::HELP.message(visible(help)));
    let group = Group::with_title(title).elements(snippets).elements(notes).elements(help);
    let renderer = match style {
        PrintStyle::Plain => Renderer::plain(),
        PrintStyle::Colour => Renderer::styled(),
    };
    let text = renderer.render(&[group]);
    // The renderer pads quoted lines; trailing blanks differ by content and help nobody.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Kind, name and file of a node, as failures name it: `model orders (models/orders.sql)`.
#[must_use]
pub fn headline(kind: &str, name: &str, path: &str) -> String {
    format!("{kind} {name} ({path})")
}

/// What a node that failed says of itself where there is one text for it, as dbt words it: a headline with the kind of failure
/// and the node, and below it, indented, the first error: message, place, notes and help. `what` is the node with its
/// file; without an error it is `otherwise` that is told.
#[must_use]
pub fn failure_message(what: &str, diagnostics: &[Diagnostic], sources: &Sources, otherwise: &str) -> String {
    let error = diagnostics.iter().find(|diagnostic| diagnostic.is_error());
    let failure = error.map_or(Failure::Runtime, |error| error.code.failure());
    let body = error.map_or_else(|| otherwise.to_owned(), |error| brief(error, sources));
    let lines = body.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("\n  {line}") });
    format!("{} in {what}{}", failure.name(), lines.collect::<String>())
}

/// A diagnostic without the lines it is about.
fn brief(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = diagnostic.primary_span().map(|span| {
        let at = sources.position(span.file, span.start);
        format!(" --> {}:{}:{}", sources.file(span.file).path, at.line, at.column)
    });
    let notes = diagnostic.notes.iter().map(|note| format!("note: {note}"));
    let help = diagnostic.help.iter().map(|help| format!("help: {help}"));
    let lines: Vec<String> = std::iter::once(diagnostic.message.clone()).chain(place).chain(notes).chain(help).collect();
    lines.join("\n")
}

/// The files with labels, that of the primary place first.
fn files_of(diagnostic: &Diagnostic) -> Vec<FileId> {
    let mut files: Vec<FileId> = diagnostic.primary_span().map(|span| span.file).into_iter().collect();
    for label in &diagnostic.labels {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    files
}

fn snippet<'a>(id: FileId, diagnostic: &'a Diagnostic, sources: &Sources) -> Snippet<'a, Annotation<'a>> {
    let file = sources.file(id);
    let text = same_length_safe(&file.text);
    let labels = diagnostic.labels.iter().filter(|label| label.span.file == id);
    let annotations: Vec<_> = labels.map(|label| annotation(label, &text)).collect();
    let path = visible_line(&file.path).into_owned();
    Snippet::source(text).path(path).fold(true).annotations(annotations)
}

fn annotation<'a>(label: &'a Label, text: &str) -> Annotation<'a> {
    let kind = if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
    let span = kind.span(quoted_range(label.span, text));
    // An empty label would still be drawn as a line of its own.
    if label.text.is_empty() { span } else { span.label(visible_line(&label.text)) }
}

/// The span as a range of `text`: on character boundaries, and without the line end it may run into.
fn quoted_range(span: Span, text: &str) -> Range<usize> {
    let floor = |at: u32| text.floor_char_boundary((at as usize).min(text.len()));
    let (start, end) = (floor(span.start), floor(span.end));
    let covered = text.get(start..end).unwrap_or_default();
    start..start + covered.trim_end_matches(['\n', '\r']).len()
}

/// The text without characters that steer a terminal, byte for byte as long, so that spans keep pointing where they
/// did. The renderer shows the other control characters itself, and leaves out only these of two bytes.
fn same_length_safe(text: &str) -> String {
    let shown = text.chars().map(|c| if ('\u{80}'..'\u{a0}').contains(&c) { '\u{b7}' } else { c });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    fn draw(diagnostic: &Diagnostic, sources: &Sources) -> String {
        render_diagnostic(diagnostic, sources, PrintStyle::Plain)
    }

    #[test]
    fn a_place_is_quoted_with_file_line_and_column() {
        let sources = Sources::new();
        let file = sources.add("models/a.sql", "select *\nfrom {{ ref('stg_custmer') }}\n");
        let diagnostic = Diagnostic::error(Code::UnresolvedRef, "no node is named `stg_custmer`")
            .at(Span::new(file, 21, 34), "not found")
            .note("models, seeds and snapshots can be referred to")
            .help("did you mean `stg_customer`?");
        let expected = "\
error[unresolved-ref]: no node is named `stg_custmer`
 --> models/a.sql:2:13
  |
2 | from {{ ref('stg_custmer') }}
  |             ^^^^^^^^^^^^^ not found
  |
  = note: models, seeds and snapshots can be referred to
  = help: did you mean `stg_customer`?";
        assert_eq!(draw(&diagnostic, &sources), expected);
        let coloured = render_diagnostic(&diagnostic, &sources, PrintStyle::Colour);
        assert!(coloured.starts_with("\u{1b}[1m\u{1b}[91merror[unresolved-ref]\u{1b}[0m"), "{coloured:?}");
    }

    #[test]
    fn every_file_is_shown_and_the_primary_one_first() {
        let sources = Sources::new();
        let other = sources.add("models/schema.yml", "a: 1\nb: 2\n");
        let main = sources.add("models/a.sql", "select 1");
        let diagnostic = Diagnostic::warning(Code::ContractMismatch, "`a` is declared otherwise")
            .also(Span::new(other, 5, 6), "declared here")
            .at(Span::new(main, 7, 8), "integer");
        let expected = "\
warning[contract-mismatch]: `a` is declared otherwise
 --> models/a.sql:1:8
  |
1 | select 1
  |        ^ integer
  |
 ::: models/schema.yml:2:1
  |
2 | b: 2
  | - declared here";
        assert_eq!(draw(&diagnostic, &sources), expected);
    }

    #[test]
    fn without_a_place_there_is_a_message_alone() {
        let sources = Sources::new();
        let diagnostic = Diagnostic::error(Code::ProjectNotFound, "no project here").help("run `alluvium init`");
        assert_eq!(draw(&diagnostic, &sources), "error[project-not-found]: no project here\n |\n = help: run `alluvium init`");
    }

    #[test]
    fn any_range_can_be_drawn() {
        let sources = Sources::new();
        let text = "s\u{e9}lect a\r\nfrom b\r\n";
        let file = sources.add("crlf.sql", text);
        let caret = |start: usize, end: usize| draw(&Diagnostic::error(Code::SqlSyntax, "m").at(Span::new(file, start, end), "here"), &sources);
        // Over the line end, on the line end, empty, at the end of the text, past it, inside a character.
        assert!(caret(8, 11).contains("1 | s\u{e9}lect a\n  |        ^ here"), "{}", caret(8, 11));
        assert!(caret(9, 11).contains("  |         ^ here"), "{}", caret(9, 11));
        assert!(caret(11, 11).contains("2 | from b\n  | ^ here"), "{}", caret(11, 11));
        assert!(caret(11, 15).contains("2 | from b\n  | ^^^^ here"), "{}", caret(11, 15));
        assert!(caret(2, 3).contains("crlf.sql:1:2"), "{}", caret(2, 3));
        assert!(caret(text.len(), text.len()).contains("here"), "{}", caret(text.len(), text.len()));
        assert!(caret(900, 950).contains("here"), "{}", caret(900, 950));
        let empty = sources.add("empty.sql", "");
        let shown = draw(&Diagnostic::error(Code::SqlSyntax, "m").at(Span::file_start(empty), "empty"), &sources);
        assert!(shown.contains("empty.sql:1:1"), "{shown}");
        for start in 0..=text.len() {
            for end in start..=text.len() + 1 {
                caret(start, end);
            }
        }
    }

    #[test]
    fn a_long_range_is_folded() {
        let sources = Sources::new();
        let file = sources.add("long.sql", "select 1\n".repeat(500));
        let shown = draw(&Diagnostic::error(Code::SqlSyntax, "m").at(Span::new(file, 0, 4000), "all of it"), &sources);
        assert!(shown.lines().count() < 20, "{shown}");
    }

    #[test]
    fn what_steers_a_terminal_never_comes_through() {
        let sources = Sources::new();
        let evil = "\u{1b}[2J\u{9b}31m\u{7}\u{202e}";
        let file = sources.add(&format!("a{evil}.sql"), format!("select '{evil}' x"));
        let diagnostic = Diagnostic::error(Code::SqlSyntax, evil).at(Span::new(file, 22, 23), evil).note(evil).help(evil);
        let shown = draw(&diagnostic, &sources);
        assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
    }

    #[test]
    fn the_text_keeps_its_length() {
        assert_eq!(same_length_safe("a\u{80}b\u{9f}\u{a0}c"), "a\u{b7}b\u{b7}\u{a0}c");
    }
}
