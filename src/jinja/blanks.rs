//! What a template printed as nothing because it is not defined, as Jinja has it: hardly ever meant, and silent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::session::lock;
use crate::base::{Code, Diagnostic, Span, nearest};

/// What a template printed as nothing, as it comes to light.
#[derive(Debug, Default)]
pub(super) struct Blanks {
    found: Mutex<Vec<Blank>>,
    /// The macros that are running and were not given all that they need, with how deep they are.
    lacking: Mutex<Vec<Lacking>>,
    any: AtomicBool,
}

#[derive(Debug, Clone)]
struct Lacking {
    depth: usize,
    name: String,
    parameters: Vec<String>,
}

#[derive(Debug)]
struct Blank {
    what: What,
    /// How many macros had been called by then.
    calls: u64,
    place: Option<Span>,
}

#[derive(Debug)]
enum What {
    Name(String),
    Parameters(Lacking),
}

impl Blanks {
    /// That a macro begins that lacks arguments. Undone by [`Blanks::leave`].
    pub(super) fn enter(&self, depth: usize, name: &str, parameters: Vec<String>) {
        lock(&self.lacking).push(Lacking { depth, name: name.to_owned(), parameters });
    }

    pub(super) fn leave(&self) {
        lock(&self.lacking).pop();
    }

    /// Something undefined is printed in a macro that runs at `depth`.
    pub(super) fn printed_in_macro(&self, depth: usize, calls: u64) {
        let Some(lacking) = lock(&self.lacking).last().filter(|lacking| lacking.depth == depth).cloned() else { return };
        self.note(Blank { what: What::Parameters(lacking), calls, place: None });
    }

    /// Something undefined is printed or looped over in the template itself, by this expression. Attributes and the like may be left out on purpose;
    /// a bare name is not.
    pub(super) fn printed(&self, expression: &str, place: Span) {
        let name = expression.trim_start_matches("{{").trim_end_matches("}}").trim_matches('-').trim();
        if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            self.note(Blank { what: What::Name(name.to_owned()), calls: 0, place: Some(place) });
        }
    }

    fn note(&self, blank: Blank) {
        self.any.store(true, Ordering::Relaxed);
        lock(&self.found).push(blank);
    }

    /// Whether there is something whose place is still to be told.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// The expression at `place` called all macros after the first `calls`.
    pub(super) fn place(&self, calls: u64, place: Span) {
        for blank in lock(&self.found).iter_mut().filter(|blank| blank.calls > calls) {
            blank.place.get_or_insert(place);
        }
    }

    /// A warning for each, once; `known` names what a name may have been meant for.
    pub(super) fn warnings(&self, whole: Span, known: impl Fn(&str) -> Vec<String>, word: impl Fn(Span, &str) -> Span) -> Vec<Diagnostic> {
        let mut warnings: Vec<Diagnostic> = Vec::new();
        for blank in lock(&self.found).iter() {
            let warning = match &blank.what {
                What::Name(name) => {
                    let known = known(name);
                    Diagnostic::warning(Code::UndefinedName, format!("`{name}` is not defined and gives nothing")).help_nearest(
                        nearest(name, known.iter().map(String::as_str)),
                        format!("set it, e.g. `{{% set {name} = .. %}}`, or write `{{{{ {name} or '' }}}}` where nothing is meant"),
                    )
                }
                What::Parameters(Lacking { name, parameters, .. }) => {
                    let list = parameters.iter().map(|parameter| format!("`{parameter}`")).collect::<Vec<_>>().join(", ");
                    Diagnostic::warning(Code::MacroArguments, format!("`{name}` is given nothing for {list} and prints it"))
                        .help("give it, or give the macro's parameter a default")
                }
            };
            let place = match &blank.what {
                What::Name(name) => blank.place.map(|place| word(place, name)),
                What::Parameters(_) => blank.place,
            };
            let warning = warning.at(place.unwrap_or(whole), "here");
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }
}
