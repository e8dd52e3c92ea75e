//! One render: a template, its scope and its host to text and a source map.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock};

use minijinja::value::Tuple;
use minijinja::{Environment, Error, State, Value};
use serde_json::{Map, Value as Json};

use super::blocks::syntax_error;
use super::error::{RenderFailure, Signal, advised, diagnosed, failure, parse_diagnostic, problem, refused_range};
use super::host::TemplateHost;
use super::library::{MacroId, MacroLibrary};
use super::native::value_of;
use super::output::{SourceMap, Writer};
use super::relation::Relation;
use super::results::results;
use super::rewrite::{Rewritten, rewrite_template};
use super::scan::ScanError;
use super::session::{Given, MAIN, MAIN_NAME, Origin, Root, Scope as Names, Session, Start, lock};
use super::values::{bind_args, describe, from_json, required};
use crate::base::{Code, Diagnostic, FileId, Sources, Span};
use crate::manifest::RelationName;

/// How deep `render` may be called by what it renders, and the name that counts it.
const RENDER_DEPTH: usize = 3;
const WITHIN: &str = "__within";

/// A text with Jinja in it. Rewritten once, however often it is rendered; cheap to clone.
#[derive(Debug, Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: Arc<str>,
    range: Range<usize>,
    origin: Origin,
    rewritten: OnceLock<Result<Arc<Rewritten>, ScanError>>,
}

impl Template {
    /// A whole file.
    #[must_use]
    pub fn file(sources: &Sources, file: FileId) -> Self {
        let text = Arc::clone(&sources.file(file).text);
        let range = 0..text.len();
        Self::new(text, range, Origin::File(file))
    }

    /// A part of a file, as a snapshot's body.
    #[must_use]
    pub fn part(sources: &Sources, span: Span) -> Self {
        let text = Arc::clone(&sources.file(span.file).text);
        let range = span.start as usize..(span.end as usize).min(text.len());
        Self::new(text, range, Origin::File(span.file))
    }

    /// A text that stands somewhere within `span`, as a string of a YAML file with its escapes resolved.
    #[must_use]
    pub fn string(text: impl Into<Arc<str>>, span: Span) -> Self {
        let text = text.into();
        let range = 0..text.len();
        Self::new(text, range, Origin::Place(span))
    }

    /// The text that is rendered.
    #[must_use]
    pub fn text(&self) -> &str {
        self.inner.text.get(self.inner.range.clone()).unwrap_or_default()
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self.inner.origin {
            Origin::File(file) => Span::new(file, self.inner.range.start, self.inner.range.end),
            Origin::Place(span) => span,
        }
    }

    fn new(text: Arc<str>, range: Range<usize>, origin: Origin) -> Self {
        Self { inner: Arc::new(Inner { text, range, origin, rewritten: OnceLock::new() }) }
    }

    fn rewritten(&self) -> Result<Arc<Rewritten>, Diagnostic> {
        let inner = &self.inner;
        let rewrite = || rewrite_template(&inner.text, inner.range.clone(), MAIN).map(Arc::new);
        match inner.rewritten.get_or_init(rewrite) {
            Ok(rewritten) => Ok(Arc::clone(rewritten)),
            Err(error) => Err(match inner.origin {
                Origin::File(file) => *syntax_error(file, error),
                Origin::Place(span) => advised(Diagnostic::error(Code::JinjaSyntax, error.message).at(span, "in this text")),
            }),
        }
    }
}

/// Whose names a template sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub package: String,
}

/// What a template gave.
#[derive(Debug, Clone)]
pub struct Rendered {
    pub text: String,
    pub map: SourceMap,
    /// The macros that were called.
    pub macros: BTreeSet<MacroId>,
    /// What was printed as nothing because it is not defined.
    pub warnings: Vec<Diagnostic>,
}

/// A call of a macro from outside of any template: a generic test, `generate_schema_name`, `run-operation`.
#[derive(Debug, Clone)]
pub struct MacroCall {
    pub id: MacroId,
    /// Arguments by name. Text that is a call of `ref`, `source`, `var`, `env_var` or `doc`, or one `{{ .. }}`,
    /// is evaluated, as dbt does with a test's arguments; other values are passed as they are.
    pub arguments: Map<String, Json>,
    /// Where the call is declared; everything rendered maps to it.
    pub span: Span,
}

/// Renders a node, a snapshot's body or a hook.
///
/// # Errors
/// Diagnostics with places in the user's files, or that the text can only be had while running.
pub fn render(template: &Template, scope: &Scope, library: &MacroLibrary, host: &Arc<dyn TemplateHost>) -> Result<Rendered, Box<RenderFailure>> {
    let (session, text, map) = run(template, Names::Node, &scope.package, BTreeMap::new(), library, host)?;
    Ok(Rendered { text, map, macros: session.macros_used(), warnings: session.warnings() })
}

/// Renders a script: as [`render`], with values of its own by name. Pairs under `database_schemas` are tuples, as macros
/// expect them.
///
/// # Errors
/// As [`render`].
pub fn render_script(
    template: &Template,
    scope: &Scope,
    values: &Map<String, Json>,
    library: &MacroLibrary,
    host: &Arc<dyn TemplateHost>,
) -> Result<Rendered, Box<RenderFailure>> {
    let pairs = |json: &Json| {
        let tuples = json.as_array().into_iter().flatten().map(|pair| {
            let parts: Vec<Value> = pair.as_array().into_iter().flatten().map(from_json).collect();
            Value::from(Tuple::from(parts))
        });
        Value::from(tuples.collect::<Vec<_>>())
    };
    let given = values.iter().map(|(name, json)| {
        let value = match name.as_str() {
            "database_schemas" => pairs(json),
            "results" => results(json),
            _ => from_json(json),
        };
        (name.clone(), value)
    });
    let (session, text, map) = run(template, Names::Node, &scope.package, given.collect::<BTreeMap<_, _>>(), library, host)?;
    Ok(Rendered { text, map, macros: session.macros_used(), warnings: Vec::new() })
}

/// Calls a macro with arguments that are passed as they are: an operation.
///
/// # Errors
/// As [`render_call`].
pub fn render_operation(
    call: &MacroCall,
    scope: &Scope,
    library: &MacroLibrary,
    host: &Arc<dyn TemplateHost>,
) -> Result<Rendered, Box<RenderFailure>> {
    // As in dbt, an operation is no node, and has no relation.
    let given = BTreeMap::from([("this".to_owned(), Value::UNDEFINED)]);
    call_macro(call, given, (scope, library, host), give)
}

/// Calls the macro that builds a node, with `values` by name beside what every template sees. Gives the relations that it
/// says it made.
///
/// # Errors
/// As [`render_call`]; also where the macro does not give a dict with `relations`.
pub fn render_materialization(
    call: &MacroCall,
    values: &Map<String, Json>,
    scope: &Scope,
    library: &MacroLibrary,
    host: &Arc<dyn TemplateHost>,
) -> Result<Vec<RelationName>, Box<RenderFailure>> {
    let shared = &library.shared;
    let made = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&made);
    let note = Value::from_function(move |given: Value| match relations(&given) {
        Some(relations) => {
            *lock(&noted) = relations;
            Ok("")
        }
        None => Err(problem(Code::JinjaRuntime, format!("a materialization gives `{{'relations': [...]}}`, this one gave {}", describe(&given)))),
    });
    let Some(callee) = shared.by_id(&call.id).and_then(|id| shared.value(id)) else {
        let message = format!("there is no macro `{}`", call.id);
        return Err(Diagnostic::error(Code::UndefinedMacro, message).at(call.span, "needed here").into());
    };
    let mut given: BTreeMap<String, Value> = values.iter().map(|(name, json)| (name.clone(), from_json(json))).collect();
    given.extend([("__callee".to_owned(), callee), ("__note".to_owned(), note)]);
    let mut passed = Passed { before: String::new(), text: String::from("{{ __note(__callee("), given };
    for (index, (name, value)) in call.arguments.iter().enumerate() {
        let _ = write!(passed.text, "{}{name}=", if index == 0 { "" } else { ", " });
        give(value, &mut passed);
    }
    let template = Template::string(format!("{})) }}}}{{% do drop_temporary_relations() %}}", passed.text), call.span);
    run(&template, Names::Node, &scope.package, passed.given, library, host)?;
    let relations = std::mem::take(&mut *lock(&made));
    Ok(relations)
}

/// The names in what a materialization gives.
fn relations(given: &Value) -> Option<Vec<RelationName>> {
    let list = given.get_attr("relations").ok().filter(|list| !list.is_undefined() && !list.is_none())?;
    let names = list.try_iter().ok()?.map(|relation| relation.downcast_object_ref::<Relation>().map(|relation| relation.name.clone()));
    names.collect()
}

/// `render(text)`: a text with Jinja, rendered with the names of the node's own template, whichever package's macro asks for it.
pub(super) fn render_within(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [text] = bind_args("render", ["string"], args)?;
    let text = required("render", "string", text)?.to_string();
    if !has_jinja(&text) {
        return Ok(Value::from(text));
    }
    let span = lock(&session.call_place).unwrap_or_else(|| session.main_span(0..0));
    let library = MacroLibrary { shared: Arc::clone(&session.shared) };
    // Each text is rendered within the one that asks for it, so they must come to an end.
    let depth = session.given.get(WITHIN).and_then(Value::as_usize).unwrap_or(0);
    if depth >= RENDER_DEPTH {
        return Err(problem(Code::JinjaRuntime, format!("texts are rendered within texts more than {RENDER_DEPTH} deep")));
    }
    let mut values = session.given.clone();
    values.insert(WITHIN.to_owned(), Value::from(depth + 1));
    let given = Given { values, within: Some(Arc::clone(session)) };
    let rendered = run(&Template::string(text, span), session.scope, session.home(), given, &library, &session.host);
    match rendered.map_err(|failure| *failure) {
        Ok((_, text, _)) => Ok(Value::from(text)),
        Err(RenderFailure::Deferred { reason }) => Err(Signal::Deferred(reason).into()),
        Err(RenderFailure::Diagnostics(mut diagnostics)) => {
            let first = if diagnostics.is_empty() { None } else { Some(diagnostics.swap_remove(0)) };
            Err(first.map_or_else(|| problem(Code::JinjaRuntime, "this text can't be rendered"), diagnosed))
        }
    }
}

/// Renders the call of a macro.
///
/// # Errors
/// As [`render`]; also where no such macro is in the library.
pub fn render_call(call: &MacroCall, scope: &Scope, library: &MacroLibrary, host: &Arc<dyn TemplateHost>) -> Result<Rendered, Box<RenderFailure>> {
    call_macro(call, BTreeMap::new(), (scope, library, host), argument)
}

fn call_macro(
    call: &MacroCall,
    mut given: BTreeMap<String, Value>,
    (scope, library, host): (&Scope, &MacroLibrary, &Arc<dyn TemplateHost>),
    argument: fn(&Json, &mut Passed),
) -> Result<Rendered, Box<RenderFailure>> {
    let shared = &library.shared;
    let Some(callee) = shared.by_id(&call.id).and_then(|id| shared.value(id)) else {
        let message = format!("there is no macro `{}`", call.id);
        return Err(Diagnostic::error(Code::UndefinedMacro, message).at(call.span, "called here").into());
    };
    given.insert("__callee".to_owned(), callee);
    let mut passed = Passed { before: String::new(), text: String::from("{{ __callee("), given };
    for (index, (name, value)) in call.arguments.iter().enumerate() {
        let _ = write!(passed.text, "{}{name}=", if index == 0 { "" } else { ", " });
        argument(value, &mut passed);
    }
    let Passed { before, text, given } = passed;
    let template = Template::string(format!("{before}{text}) }}}}"), call.span);
    let (session, text, map) = run(&template, Names::Node, &scope.package, given, library, host)?;
    Ok(Rendered { text, map, macros: session.macros_used(), warnings: Vec::new() })
}

/// The template of a call while it is written.
struct Passed {
    /// Texts that are rendered before the call.
    before: String,
    text: String,
    given: BTreeMap<String, Value>,
}

/// Writes an argument as an expression; what is not evaluated becomes a given value.
fn argument(value: &Json, passed: &mut Passed) {
    match value {
        Json::String(code) => match expression(code) {
            Some(expression) => {
                let _ = write!(passed.text, "({expression})");
            }
            None if has_jinja(code) => {
                let name = format!("__text{}", passed.before.len());
                let _ = write!(passed.before, "{{% set {name} %}}{code}{{% endset %}}");
                passed.text.push_str(&name);
            }
            None => give(value, passed),
        },
        Json::Array(items) => {
            passed.text.push('[');
            for item in items {
                argument(item, passed);
                passed.text.push(',');
            }
            passed.text.push(']');
        }
        Json::Object(pairs) => {
            passed.text.push('{');
            for (key, item) in pairs {
                give(&Json::from(key.as_str()), passed);
                passed.text.push(':');
                argument(item, passed);
                passed.text.push(',');
            }
            passed.text.push('}');
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => give(value, passed),
    }
}

fn has_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Passes a value as it is.
fn give(value: &Json, passed: &mut Passed) {
    let name = format!("__given{}", passed.given.len());
    passed.text.push_str(&name);
    passed.given.insert(name, from_json(value));
}

/// The expression that a test's argument is, if it is one.
fn expression(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")) {
        return (!inner.contains("}}") && !inner.contains("{{")).then_some(inner.trim_matches('-'));
    }
    let name = text.split_once('(').filter(|_| text.ends_with(')'))?.0.trim_end();
    matches!(name, "ref" | "source" | "var" | "env_var" | "doc").then_some(text)
}

/// Renders a string of a YAML file, which sees variables and the target but no macros and relations.
///
/// # Errors
/// As [`render`].
pub fn render_text(text: &str, span: Span, library: &MacroLibrary, host: &Arc<dyn TemplateHost>) -> Result<Json, Box<RenderFailure>> {
    if !has_jinja(text) {
        return Ok(Json::from(text));
    }
    let template = Template::string(text, span);
    let (session, text, _) = run(&template, Names::Yaml, "", BTreeMap::new(), library, host)?;
    value_of(&session, text).map_err(|error| {
        let mut failed = failure(&session, &error);
        if let RenderFailure::Diagnostics(found) = failed.as_mut() {
            found.iter_mut().filter(|found| found.labels.is_empty()).for_each(|found| *found = found.clone().at(span, "in this text"));
        }
        failed
    })
}

type Run = (Arc<Session>, String, SourceMap);

#[expect(clippy::too_many_arguments, reason = "the one place that brings a template, its names and its host together")]
fn run(
    template: &Template,
    names: Names,
    package: &str,
    given: impl Into<Given>,
    library: &MacroLibrary,
    host: &Arc<dyn TemplateHost>,
) -> Result<Run, Box<RenderFailure>> {
    let main = template.rewritten()?;
    let session = Session::new(Start {
        shared: Arc::clone(&library.shared),
        host: Arc::clone(host),
        scope: names,
        main: Arc::clone(&main),
        text: Arc::clone(&template.inner.text),
        origin: template.inner.origin,
        package: package.to_owned(),
        given: given.into(),
    });
    let environment = if session.execute { &library.shared.executing } else { &library.shared.parsing };
    // The engine asserts its own invariants; one that a template breaks must not take the program down.
    let result = catch_unwind(AssertUnwindSafe(|| evaluate(environment, &main, &session)));
    match result {
        Ok(Ok((text, map))) => Ok((session, text, map)),
        Ok(Err(failure)) => Err(failure),
        Err(_) => {
            let message = "the template engine can't run this template";
            Err(Diagnostic::error(Code::JinjaRuntime, message).at(session.main_span(0..0), "in this text").into())
        }
    }
}

fn evaluate(environment: &Environment<'_>, main: &Rewritten, session: &Arc<Session>) -> Result<(String, SourceMap), Box<RenderFailure>> {
    let template = environment
        .template_from_named_str(MAIN_NAME, &main.text)
        .map_err(|error| parse_diagnostic(&error, Some(session.main_span(refused_range(&error, &main.text)))))?;
    let mut writer = Writer::new(&main.text, Arc::clone(session));
    let root = Value::from_object(Root(Arc::clone(session)));
    match template.render_captured_to(root, &mut writer) {
        Ok(_) => Ok(writer.finish()),
        Err(error) => Err(failure(session, &error)),
    }
}
