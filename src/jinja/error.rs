//! From the engine's errors to diagnostics with places in the user's files.

use std::fmt;
use std::ops::Range;

use minijinja::{Error, ErrorKind, Value};

use super::host::HostError;
use super::session::Session;
use crate::base::{Code, Diagnostic, Span, nearest};

/// Why a template gave no text.
#[derive(Debug, Clone)]
pub enum RenderFailure {
    Diagnostics(Vec<Diagnostic>),
    /// It asked for what only a run can tell.
    Deferred {
        reason: String,
    },
}

impl From<Diagnostic> for Box<RenderFailure> {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::new(RenderFailure::Diagnostics(vec![diagnostic]))
    }
}

/// What travels through the engine as the source of one of its errors.
pub(super) enum Signal {
    /// `return(value)`, on its way to the macro that called it.
    Return(Value),
    Problem(Box<Diagnostic>),
    Deferred(String),
    /// An error inside a macro; the engine adds the place of the call to the error that carries this.
    InMacro {
        name: String,
        error: Error,
    },
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Return(_) => f.write_str("return outside of a macro"),
            Self::Problem(diagnostic) => f.write_str(&diagnostic.message),
            Self::Deferred(reason) => f.write_str(reason),
            Self::InMacro { name, error } => write!(f, "in macro {name}: {error}"),
        }
    }
}

impl std::error::Error for Signal {}

impl From<Signal> for Error {
    fn from(signal: Signal) -> Self {
        Self::from(ErrorKind::InvalidOperation).with_source(signal)
    }
}

/// The signal an error carries.
pub(super) fn signal(error: &Error) -> Option<&Signal> {
    std::error::Error::source(error)?.downcast_ref()
}

/// An error that becomes a diagnostic at the place of the call.
pub(super) fn problem(code: Code, message: impl Into<String>) -> Error {
    Signal::Problem(Box::new(Diagnostic::error(code, message))).into()
}

pub(super) fn diagnosed(diagnostic: Diagnostic) -> Error {
    Signal::Problem(Box::new(diagnostic)).into()
}

/// For what dbt has and this room does not have yet.
pub(super) fn unsupported(what: &str) -> Error {
    problem(Code::JinjaUnsupported, format!("`{what}` is not available in alluvium yet"))
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Diagnostic(diagnostic) => Signal::Problem(diagnostic).into(),
            HostError::Deferred { reason } => Signal::Deferred(reason).into(),
        }
    }
}

/// The failure an error of the engine amounts to: its innermost cause, with the calls that led there.
#[expect(clippy::unnecessary_box_returns, reason = "it is what the callers' `Err` holds")]
pub(super) fn failure(session: &Session, error: &Error) -> Box<RenderFailure> {
    let mut calls = Vec::new();
    let mut inner = error;
    while let Some(Signal::InMacro { name, error }) = signal(inner) {
        calls.push((name.clone(), place(session, inner).map(|(span, _)| span)));
        inner = error;
    }
    if let Some(Signal::Deferred(reason)) = signal(inner) {
        return Box::new(RenderFailure::Deferred { reason: reason.clone() });
    }
    let (at, text) = place(session, inner).map_or((session.full.get().copied(), String::new()), |(span, text)| (Some(span), text));
    let mut diagnostic = advised(cause(session, inner, &text));
    calls.reverse();
    if diagnostic.labels.is_empty() {
        // A macro of ours is no place for the user to look at: then the innermost call of theirs is.
        let own = at.filter(|span| !session.is_builtin(*span));
        let called = calls.iter().filter_map(|(_, span)| *span).find(|span| !session.is_builtin(*span));
        diagnostic = diagnostic.at_opt(own.or(called), "here");
    }
    let primary = diagnostic.primary_span();
    let mut notes: Vec<(&str, usize)> = Vec::new();
    for (name, span) in &calls {
        match span.filter(|span| Some(*span) != primary && !session.is_builtin(*span)) {
            Some(span) => diagnostic = diagnostic.also(span, format!("macro `{name}` called here")),
            None => match notes.last_mut().filter(|(last, _)| last == name) {
                Some((_, times)) => *times += 1,
                None => notes.push((name, 1)),
            },
        }
    }
    for (name, times) in notes {
        let often = if times == 1 { String::new() } else { format!(", {times} times") };
        diagnostic = diagnostic.note(format!("in macro `{name}`{often}"));
    }
    diagnostic.into()
}

/// A diagnostic for what the parser refuses.
pub(super) fn parse_diagnostic(error: &Error, span: Option<Span>) -> Diagnostic {
    advised(Diagnostic::error(Code::JinjaSyntax, detail(error)).at_opt(span, "here"))
}

/// The bytes of the rewritten text that the parser speaks of; it counts bytes where it meets a character it does not know.
pub(super) fn refused_range(error: &Error, text: &str) -> Range<usize> {
    let range = error.range().unwrap_or_else(|| line_range(text, error.line().unwrap_or(1)));
    text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end)
}

fn detail(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn place(session: &Session, error: &Error) -> Option<(Span, String)> {
    session.locate(error.name()?, error.range(), error.line())
}

/// The bytes of the rewritten text that a line covers, without indentation.
pub(super) fn line_range(text: &str, line: usize) -> Range<usize> {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let content = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let indent = content.len() - content.trim_start().len();
    start + indent..start + content.len()
}

fn cause(session: &Session, error: &Error, text: &str) -> Diagnostic {
    match signal(error) {
        Some(Signal::Problem(diagnostic)) => return (**diagnostic).clone(),
        Some(Signal::Return(_)) => return Diagnostic::error(Code::JinjaRuntime, "`return` outside of a macro"),
        Some(Signal::Deferred(_) | Signal::InMacro { .. }) | None => {}
    }
    let message = detail(error);
    match error.kind() {
        ErrorKind::SyntaxError => Diagnostic::error(Code::JinjaSyntax, message),
        ErrorKind::UnknownFunction => undefined_macro(session, message.strip_suffix(" is unknown").unwrap_or(&message)),
        ErrorKind::InvalidOperation if message == "value of type undefined is not callable" => undefined_macro(session, callee(text)),
        ErrorKind::UnknownMethod if message.starts_with("undefined has no method") => undefined_macro(session, callee(text)),
        ErrorKind::UndefinedError => match path(text) {
            "" => Diagnostic::error(Code::JinjaRuntime, "an undefined value is used here"),
            name => {
                let owner = name.rsplit_once('.').map_or(name, |(owner, _)| owner);
                Diagnostic::error(Code::JinjaRuntime, format!("`{owner}` is undefined"))
            }
        },
        ErrorKind::TooManyArguments | ErrorKind::MissingArgument => Diagnostic::error(Code::MacroArguments, message),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => Diagnostic::error(Code::JinjaRuntime, message),
        ErrorKind::OutOfFuel => Diagnostic::error(Code::JinjaRuntime, "the template takes more than 100 million steps"),
        ErrorKind::WriteFailure => Diagnostic::error(Code::JinjaRuntime, "the rendered text is longer than 64 MiB"),
        _ if message == "recursion limit exceeded" => Diagnostic::error(Code::JinjaRuntime, "macros are nested too deeply"),
        _ => Diagnostic::error(Code::JinjaRuntime, message),
    }
}

/// A diagnostic of a template with what to do about it, where it does not say so itself.
pub(super) fn advised(diagnostic: Diagnostic) -> Diagnostic {
    if diagnostic.help.is_some() {
        return diagnostic;
    }
    let help = advice(diagnostic.code, &diagnostic.message);
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn advice(code: Code, message: &str) -> Option<String> {
    let has = |text: &str| message.contains(text);
    Some(match code {
        Code::JinjaSyntax if has("tag has no end") => "close `{{` with `}}`, `{%` with `%}` and `{#` with `#}`".into(),
        Code::JinjaSyntax if has("comment has no end") => "close the comment with `#}`".into(),
        Code::JinjaSyntax if has("string has no end") => "close the string with the quote that opens it".into(),
        Code::JinjaSyntax if has("end of block") || has("block has no end") => {
            "close every block: `{% if %}` with `{% endif %}`, `{% for %}` with `{% endfor %}`, `{% macro %}` with `{% endmacro %}`".into()
        }
        Code::JinjaSyntax if has("unknown statement") => {
            let word = message.rsplit(' ').next().unwrap_or_default();
            match nearest(word, STATEMENTS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("a value is printed by `{{{{ {word} }}}}`; statements are {}", STATEMENTS.join(", ")),
            }
        }
        Code::JinjaSyntax => {
            "inside of `{{ }}` and `{% %}` stands one expression or statement of Jinja; take the part out that is too much, or add what lacks".into()
        }
        Code::MacroArguments if has("`ref`") => "write `ref('model')`, or `ref('package', 'model')`".into(),
        Code::MacroArguments if has("`source`") => "write `source('source name', 'table name')`".into(),
        Code::MacroArguments => "give the arguments that the macro names, in their order or by name".into(),
        Code::RaisedByProject => "the project, or one of its packages, raises this itself: do what the message asks for, or change the macro".into(),
        Code::JinjaRuntime if has("is undefined") || has("undefined value") => {
            "set it before it is used (`{% set name = ... %}`), or test it: `{% if name is defined %}`".into()
        }
        Code::JinjaRuntime if has("filter") && has("unknown") => {
            "use a filter of Jinja's, e.g. `upper`, `join`, `default`, `tojson`, or call a macro".into()
        }
        Code::JinjaRuntime if has("test") && has("unknown") => "use a test of Jinja's, e.g. `defined`, `none`, `string`, `number`".into(),
        Code::JinjaRuntime if has("has no method") => "call a method that values of this kind have in Python, or use a filter".into(),
        Code::JinjaRuntime if has("100 million steps") => "look for a loop that grows with every turn".into(),
        Code::JinjaRuntime if has("2 GiB") || has("a million values") || has("60 deep") || has("a text is longer") => {
            "look for a text or list that grows with every turn of a loop, or is made anew in it: make it once, before the loop".into()
        }
        Code::JinjaRuntime if has("range has") => {
            "loop over two ranges, one within the other, or make the rows in SQL: `generate_series(1, 1000000)`".into()
        }
        Code::JinjaRuntime if has("64 MiB") => "split the model: one text of SQL can't be that long".into(),
        Code::JinjaRuntime if has("nested too deeply") => "look for a macro that calls itself without an end".into(),
        Code::JinjaRuntime => "look at the values that go into this expression: `{{ log(value, info=true) }}` shows one".into(),
        _ => return None,
    })
}

const STATEMENTS: [&str; 18] = [
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "do",
    "raw",
    "endraw",
    "include",
];

fn undefined_macro(session: &Session, name: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::UndefinedMacro, format!("`{name}` is undefined"));
    let known = session.known_names(name);
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => match name.split_once('.') {
            Some((package, _)) if !session.has_package(package) => diagnostic
                .note(format!("no package `{package}` is installed"))
                .help(format!("add `{package}` to packages.yml and run `alluvium deps`, or correct the name")),
            _ => diagnostic
                .note("neither a macro of the project and its packages nor a function of dbt's")
                .help(format!("define it (`{{% macro {name}() %}}` in a file below `macros/`), or install the package that has it")),
        },
    }
}

/// `a.b` of `a.b(c)`.
fn callee(text: &str) -> &str {
    path(text.split_once('(').map_or(text, |(head, _)| head))
}

/// The dotted name a text starts with.
fn path(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| c != '_' && c != '.' && !c.is_alphanumeric()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_end_matches('.')
}
