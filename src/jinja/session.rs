//! The state of one render: the host, the macros imported so far, and where the engine is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use minijinja::value::Object;
use minijinja::{Error, State, Value};

use super::blanks::Blanks;
use super::error::{line_range, problem};
use super::host::TemplateHost;
use super::library::{MacroId, Shared};
use super::macros::adapter_type;
use super::names;
use super::native::Mark;
use super::operators::with_left_operand;
use super::output::SpanKind;
use super::rewrite::{MACRO_NAME, Rewritten};
use super::work::{TEXT_LIMIT, Work};
use crate::base::{Code, Diagnostic, FileId, Sources, Span};
use crate::sql::Semantics;

/// Marks the template itself in the markers that [`super::rewrite`] leaves; macros have their index.
pub(super) const MAIN: u32 = u32::MAX;
/// The engine's name for the template itself.
pub(super) const MAIN_NAME: &str = "main";
/// How deep macros may call macros. The engine's own limit lies a little higher.
const MACRO_DEPTH: usize = 100;
const NO_SITE: u32 = u32::MAX;

/// Where the text of a template stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// At the same offsets of a file.
    File(FileId),
    /// Somewhere within a place whose text is another (a YAML string, a call of a test).
    Place(Span),
}

/// What names a template sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A node: everything.
    Node,
    /// A string of a YAML file: variables and the like, no macros and no relations.
    Yaml,
}

/// See the module's documentation.
pub(super) struct Session {
    pub shared: Arc<Shared>,
    pub host: Arc<dyn TemplateHost>,
    pub execute: bool,
    pub scope: Scope,
    pub main: Arc<Rewritten>,
    /// The text that `main` was rewritten from.
    pub text: Arc<str>,
    pub origin: Origin,
    pub dispatch: OnceLock<BTreeMap<String, Vec<String>>>,
    /// The type of the target.
    pub adapter: OnceLock<String>,
    /// Values given to the template by name, of a generic test's call.
    pub given: BTreeMap<String, Value>,
    /// What templates put into `context`.
    pub added: Arc<Mutex<BTreeMap<String, Value>>>,
    /// Values that are dear to make, made once.
    pub made: Mutex<HashMap<&'static str, Value>>,
    /// Results of `statement` by name.
    pub results: Arc<Mutex<HashMap<String, Value>>>,
    /// Strings of YAML files: the last value that was printed, and the last that `as_number` or its like took.
    pub emitted: Mutex<Option<Value>>,
    pub marked: Mutex<Option<(Mark, Value)>>,
    /// Regular expressions by their text.
    pub patterns: Mutex<HashMap<String, Arc<fancy_regex::Regex>>>,
    /// The last `ref`, `source` or `config` call reached.
    pub call_place: Mutex<Option<Span>>,
    /// The package of the template, and that whose text is running.
    home: Arc<str>,
    package: Mutex<Arc<str>>,
    importer: OnceLock<Value>,
    imported: Mutex<HashMap<u32, Value>>,
    used: Mutex<BTreeSet<u32>>,
    /// How many items were drawn.
    pub random: AtomicUsize,
    depth: AtomicUsize,
    calls: AtomicU64,
    pub work: Arc<Work>,
    /// How long the rendered text is, and which place's text was too much for it.
    pub written: AtomicUsize,
    pub full: OnceLock<Span>,
    site: AtomicU32,
    site_is_macro: AtomicBool,
    emitting: AtomicBool,
    pub blanks: Blanks,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("session")
    }
}

/// What a session starts from.
pub(super) struct Start {
    pub shared: Arc<Shared>,
    pub host: Arc<dyn TemplateHost>,
    pub scope: Scope,
    pub main: Arc<Rewritten>,
    pub text: Arc<str>,
    pub origin: Origin,
    pub package: String,
    pub given: Given,
}

/// What a template starts with beside what its host tells.
#[derive(Default)]
pub(super) struct Given {
    /// Values by name.
    pub values: BTreeMap<String, Value>,
    /// The session of the template that asks for a text to be rendered, which shares what it has put into `context` and the
    /// results of its statements.
    pub within: Option<Arc<Session>>,
}

impl From<BTreeMap<String, Value>> for Given {
    fn from(values: BTreeMap<String, Value>) -> Self {
        Self { values, within: None }
    }
}

impl Session {
    /// What the adapter of the target reads SQL by.
    pub(super) fn semantics(&self) -> Semantics {
        Semantics::of_adapter(adapter_type(self))
    }

    pub(super) fn new(start: Start) -> Arc<Self> {
        let execute = start.host.execute() || start.scope == Scope::Yaml;
        let within = start.given.within;
        let within = within.as_ref();
        Arc::new(Self {
            shared: start.shared,
            host: start.host,
            execute,
            scope: start.scope,
            main: start.main,
            text: start.text,
            origin: start.origin,
            dispatch: OnceLock::new(),
            adapter: OnceLock::new(),
            given: start.given.values,
            added: within.map(|session| Arc::clone(&session.added)).unwrap_or_default(),
            made: Mutex::default(),
            results: within.map(|session| Arc::clone(&session.results)).unwrap_or_default(),
            emitted: Mutex::default(),
            marked: Mutex::default(),
            patterns: Mutex::default(),
            call_place: Mutex::default(),
            home: start.package.as_str().into(),
            package: Mutex::new(start.package.into()),
            importer: OnceLock::new(),
            imported: Mutex::default(),
            used: Mutex::default(),
            random: AtomicUsize::new(0),
            depth: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            work: Arc::default(),
            written: AtomicUsize::new(0),
            full: OnceLock::new(),
            site: AtomicU32::new(NO_SITE),
            site_is_macro: AtomicBool::new(false),
            emitting: AtomicBool::new(false),
            blanks: Blanks::default(),
        })
    }

    pub(super) fn sources(&self) -> &Arc<Sources> {
        &self.shared.sources
    }

    pub(super) fn package(&self) -> Arc<str> {
        lock(&self.package).clone()
    }

    /// The package of the template.
    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// Whether a package is that of the template.
    pub(super) fn is_home(&self, package: &str) -> bool {
        *self.home == *package
    }

    pub(super) fn has_package(&self, package: &str) -> bool {
        self.shared.has_package(package)
    }

    pub(super) fn is_builtin(&self, span: Span) -> bool {
        self.shared.units.iter().take_while(|unit| unit.builtin).any(|unit| unit.info.file == span.file)
    }

    /// Names to suggest instead of an unknown one.
    pub(super) fn known_names(&self, name: &str) -> Vec<String> {
        let mut known = self.shared.names_like(&self.package(), name);
        known.extend(names::KNOWN.iter().map(|name| (*name).to_owned()));
        known
    }

    /// What was printed as nothing.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        if !self.blanks.any() {
            return Vec::new();
        }
        let word = |place, name: &str| self.sources().word(place, name);
        self.blanks.warnings(self.original_span(0..self.text.len()), |name| self.known_names(name), word)
    }

    /// The macros called so far.
    pub(super) fn macros_used(&self) -> BTreeSet<MacroId> {
        lock(&self.used).iter().filter_map(|id| self.shared.unit(*id)).map(|unit| unit.info.id.clone()).collect()
    }

    // Places

    /// The place of a range of the template's rewritten text.
    pub(super) fn main_span(&self, range: Range<usize>) -> Span {
        self.original_span(self.main.table.original_range(range))
    }

    fn original_span(&self, range: Range<usize>) -> Span {
        match self.origin {
            Origin::File(file) => Span::new(file, range.start, range.end),
            Origin::Place(span) => span,
        }
    }

    pub(super) fn main_is_exact(&self) -> bool {
        matches!(self.origin, Origin::File(_))
    }

    /// The place of an error by the engine's name of the template, and the text that stands there.
    pub(super) fn locate(&self, name: &str, range: Option<Range<usize>>, line: Option<usize>) -> Option<(Span, String)> {
        if name == MAIN_NAME {
            let range = range.or_else(|| Some(line_range(&self.main.text, line?)))?;
            let range = with_left_operand(&self.main.text, range);
            let range = whole_operand(&self.text, self.main.table.original_range(range));
            let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
            return Some((self.original_span(range), text));
        }
        let unit = self.shared.unit(name.strip_prefix('m')?.parse().ok()?)?;
        let file = self.sources().file(unit.info.file);
        let span = self.shared.locate(unit, range, line);
        let range = whole_operand(&file.text, span.start as usize..span.end as usize);
        let text = file.text.get(range.clone()).unwrap_or_default().to_owned();
        Some((Span::new(span.file, range.start, range.end), text))
    }

    /// The place a marker speaks of.
    pub(super) fn marked_span(&self, origin: u32, start: usize, end: usize) -> Option<Span> {
        if origin == MAIN {
            return Some(self.original_span(start..end));
        }
        self.shared.unit(origin).map(|unit| Span::new(unit.info.file, start, end))
    }

    // Output

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Says which expression the next output belongs to.
    pub(super) fn set_site(&self, site: u32, is_macro: bool) {
        self.site.store(site, Ordering::Relaxed);
        self.site_is_macro.store(is_macro, Ordering::Relaxed);
    }

    /// Notes that something undefined is printed, where that says anything: in the project's own text.
    pub(super) fn print_nothing(&self) {
        if !self.execute || self.scope != Scope::Node {
            return;
        }
        let depth = self.depth();
        if depth > 0 {
            self.blanks.printed_in_macro(depth, self.calls());
        } else if let Some(range) = self.main.sites.get(self.site.load(Ordering::Relaxed) as usize) {
            self.blanks.printed(self.text.get(range.clone()).unwrap_or_default(), self.original_span(range.clone()));
        }
    }

    /// Notes that the template itself loops over the name in this range, which is not defined.
    pub(super) fn loop_over_nothing(&self, name: Range<usize>) {
        if self.execute && self.scope == Scope::Node && self.depth() == 0 {
            self.blanks.printed(self.text.get(name.clone()).unwrap_or_default(), self.original_span(name));
        }
    }

    /// The expression at `site` has called all macros after the first `calls`.
    pub(super) fn place_blanks(&self, site: u32, calls: u64) {
        if self.blanks.any()
            && let Some(range) = self.main.sites.get(site as usize)
        {
            self.blanks.place(calls, self.original_span(range.clone()));
        }
    }

    pub(super) fn begin_emission(&self, length: usize) -> Result<(), Error> {
        if self.written.load(Ordering::Relaxed).saturating_add(length) > TEXT_LIMIT {
            return Err(problem(Code::JinjaRuntime, "the rendered text is longer than 64 MiB"));
        }
        self.work.charge(length)?;
        self.emitting.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn end_emission(&self) {
        self.emitting.store(false, Ordering::Relaxed);
        self.set_site(NO_SITE, false);
    }

    pub(super) fn is_emitting(&self) -> bool {
        self.emitting.load(Ordering::Relaxed)
    }

    /// The place of the expression that is being printed.
    pub(super) fn emission(&self) -> (Span, SpanKind) {
        let site = self.site.load(Ordering::Relaxed) as usize;
        let range = self.main.sites.get(site).cloned().unwrap_or_else(|| {
            let last = self.main.table.original(self.main.text.len());
            last..last
        });
        let kind = if self.site_is_macro.load(Ordering::Relaxed) { SpanKind::MacroCall } else { SpanKind::Expression };
        (self.original_span(range), kind)
    }

    // Macros

    /// Enters a macro: counts it, and lets its code see its package's names. Returns the package to go back to.
    pub(super) fn enter(&self, id: u32, package: &str) -> Result<Arc<str>, Error> {
        if self.depth.fetch_add(1, Ordering::Relaxed) >= MACRO_DEPTH {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            return Err(problem(Code::JinjaRuntime, format!("macros call each other more than {MACRO_DEPTH} deep")));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        lock(&self.used).insert(id);
        Ok(std::mem::replace(&mut *lock(&self.package), package.into()))
    }

    pub(super) fn leave(&self, package: Arc<str>) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
        *lock(&self.package) = package;
    }

    /// The engine's own macro for a unit, brought into the running state at its first use.
    pub(super) fn imported(&self, state: &mut State<'_, '_>, id: u32, template: &str) -> Result<Value, Error> {
        if let Some(found) = lock(&self.imported).get(&id) {
            return Ok(found.clone());
        }
        let importer = self.importer.get().cloned().unwrap_or_default();
        importer.call(state, &[Value::from(template)])?;
        let found = lock(&self.imported).get(&id).cloned();
        found.ok_or_else(|| problem(Code::JinjaRuntime, "this macro can't be read"))
    }

    /// Called by the importer with the module it has read.
    pub(super) fn keep(&self, template: &str, module: &Value) -> Result<(), Error> {
        if let Some(id) = template.strip_prefix('m').and_then(|id| id.parse().ok()) {
            let value = module.get_attr(MACRO_NAME)?;
            lock(&self.imported).insert(id, value);
        }
        Ok(())
    }

    pub(super) fn set_importer(&self, importer: Value) {
        let _ = self.importer.set(importer);
    }
}

/// The session of a running state.
#[derive(Clone)]
struct Handle(Arc<Session>);

pub(super) fn attach(state: &mut State<'_, '_>, session: &Arc<Session>) {
    state.get_or_insert_extension(Handle(Arc::clone(session)));
}

pub(super) fn session_of(state: &State<'_, '_>) -> Result<Arc<Session>, Error> {
    let handle = state.get_extension::<Handle>();
    handle.map(|handle| Arc::clone(&handle.0)).ok_or_else(|| problem(Code::JinjaRuntime, "this can't be called here"))
}

/// The root of a render's names.
#[derive(Debug)]
pub(super) struct Root(pub Arc<Session>);

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        names::lookup(&self.0, key)
    }
}

/// The engine's ranges of method calls and subscripts begin at the dot or bracket; this takes in what stands
/// before it.
fn whole_operand(text: &str, range: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let mut start = range.start;
    if !matches!(bytes.get(start), Some(b'.' | b'[' | b'(')) {
        return range;
    }
    let mut depth = 0_usize;
    while let Some(previous) = start.checked_sub(1).and_then(|index| bytes.get(index)) {
        match previous {
            b')' | b']' => depth += 1,
            b'(' | b'[' if depth > 0 => depth -= 1,
            b'_' | b'.' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ if depth > 0 => {}
            _ => break,
        }
        start -= 1;
    }
    if text.is_char_boundary(start) { start..range.end } else { range }
}

/// A lock that a panic elsewhere does not close.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
