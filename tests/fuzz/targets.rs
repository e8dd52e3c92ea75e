//! What fuzzers feed: one function a target, which takes any bytes. It must end, without a panic, with a result or with
//! diagnostics that are about the input: each with a message, a code and places that lie in the texts they name.
//!
//! A function gives back what was said, without the names and numbers of the input: who looks for new behaviour keeps the
//! inputs that made it say something new. `fuzz_targets/` has these functions for libFuzzer, `examples/shake.rs` feeds them
//! on a stable toolchain, and `tests/it/fuzz.rs` gives them the seeds and a few hundred more.

mod host;
mod project;
mod statement;

use std::sync::Arc;

use alluvium::base::{Diagnostic, PrintStyle, Sources, render_diagnostic};
use alluvium::jinja::{MacroFile, MacroLibrary, RenderFailure, Scope, Template, TemplateHost, render};

/// A target.
pub type Target = fn(&[u8]) -> String;

/// All of them, by name; the seeds of each lie in `seeds/NAME/`.
#[allow(dead_code, reason = "a target of libFuzzer is one of them")]
pub const TARGETS: [(&str, Target); 5] =
    [("templates", templates), ("model", model), ("properties", properties), ("selectors", selectors), ("sql", sql)];

/// A template that may call what is in a macro file, rendered in both phases. The input is the macro file, a line of three
/// dashes, and the template; without the line it is both.
pub fn templates(input: &[u8]) -> String {
    let input = String::from_utf8_lossy(input);
    let (macros, text) = input.split_once("\n---\n").unwrap_or((&input, &input));
    let sources = Sources::new();
    let macros = MacroFile { file: sources.add("macros/m.sql", macros), package: "root".to_owned() };
    let (library, found) = MacroLibrary::load(&sources, &[macros], "root");
    let mut said = told(&found, &sources);
    let template = Template::file(&sources, sources.add("models/a.sql", text));
    for execute in [false, true] {
        let host: Arc<dyn TemplateHost> = Arc::new(host::Host { execute });
        match render(&template, &Scope { package: "root".to_owned() }, &library, &host).map_err(|failure| *failure) {
            Ok(rendered) => assert!(rendered.text.len() <= 64 << 20, "a text of {} bytes", rendered.text.len()),
            Err(RenderFailure::Diagnostics(found)) => {
                assert!(!found.is_empty(), "a failure that says nothing");
                said += &told(&found, &sources);
            }
            Err(RenderFailure::Deferred { .. }) => said += "deferred\n",
        }
    }
    said
}

/// A file of a small project that is loaded and proved: a model, or what the comment in the first line says, as
/// `-- snapshots/a.sql`.
pub fn model(input: &[u8]) -> String {
    project::checked(input, "models/marts/fed.sql")
}

/// The same of the YAML files: properties, or what the first line says, as `# project.yml`.
pub fn properties(input: &[u8]) -> String {
    project::checked(input, "models/fed.yml")
}

/// What is given to `--select`, and in a second line to `--exclude`, or a `selectors.yml`.
pub fn selectors(input: &[u8]) -> String {
    project::selected(input)
}

/// A statement: parsed, rewritten and planned against two tables.
pub fn sql(input: &[u8]) -> String {
    statement::planned(&String::from_utf8_lossy(input))
}

/// What diagnostics say, after a look at whether they say it well.
fn told(found: &[Diagnostic], sources: &Sources) -> String {
    for diagnostic in found {
        for label in &diagnostic.labels {
            let (text, span) = (&sources.file(label.span.file).text, label.span);
            let inside = text.get(span.start as usize..span.end as usize).is_some();
            assert!(inside, "{}..{} is no place in {} bytes: {diagnostic:?}", span.start, span.end, text.len());
        }
        let printed = render_diagnostic(diagnostic, sources, PrintStyle::Plain);
        assert!(!printed.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "a control character is printed: {printed:?}");
    }
    found.iter().map(|diagnostic| shape(&format!("{} {}", diagnostic.code, diagnostic.message))).collect()
}

/// The words of a message without what it quotes; fails where it is none for users.
fn shape(message: &str) -> String {
    for inner in ["likely caused by a bug", "Span(Location(", "DataFusionError", "SchemaError(", "Some(", "Ident {"] {
        assert!(!message.split('`').step_by(2).any(|part| part.contains(inner)), "no message for users: {message}");
    }
    // What stands behind `found` is the input's, in quotes or not.
    let own = message.split(" found").next().unwrap_or_default();
    let words: Vec<&str> =
        own.split('`').step_by(2).flat_map(str::split_whitespace).filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')).collect();
    words.join(" ") + "\n"
}
