//! Jinja in the strings of project files and profiles, which must be values before anything else is known: only
//! `env_var`, `var` and `target` mean something there.

use std::sync::{Arc, OnceLock};

use chrono::DateTime;
use serde_json::{Map, Value as Json};

use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Heard, Sources, Span};
use crate::jinja::{HostError, Invocation, MacroLibrary, QueryTable, RefCall, RelationFacts, RenderFailure, SourceCall, TemplateHost, render_text};
use crate::manifest::RelationName;

/// Renders strings; what it needs of the template engine is made when the first string has Jinja in it.
pub(super) struct TextRenderer {
    library: OnceLock<MacroLibrary>,
    host: Arc<dyn TemplateHost>,
}

impl TextRenderer {
    pub(super) fn new(vars: Map<String, Json>) -> Self {
        Self { library: OnceLock::new(), host: Arc::new(FileHost { vars }) }
    }

    /// The value with every string in it rendered; places stay. What can't be rendered is reported and becomes nothing.
    pub(super) fn yaml(&self, yaml: &Yaml, out: &mut Diagnostics) -> Yaml {
        let value = match &yaml.value {
            YamlValue::String(text) if has_jinja(text) => self.text(text, yaml.span, out),
            YamlValue::Seq(items) => YamlValue::Seq(items.iter().map(|item| self.yaml(item, out)).collect()),
            YamlValue::Map(entries) => YamlValue::Map(entries.iter().map(|(key, value)| (key.clone(), self.yaml(value, out))).collect()),
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) => yaml.value.clone(),
        };
        Yaml { span: yaml.span, value }
    }

    fn text(&self, text: &str, span: Span, out: &mut Diagnostics) -> YamlValue {
        let library = self.library.get_or_init(|| MacroLibrary::load(&Sources::new(), &[], "").0);
        match render_text(text, span, library, &self.host).map_err(|failure| *failure) {
            Ok(value) => from_json(&value, span),
            Err(RenderFailure::Diagnostics(found)) => {
                out.extend(found.into_iter().map(|found| if found.labels.is_empty() { found.at(span, "in this text") } else { found }));
                YamlValue::Null
            }
            Err(RenderFailure::Deferred { reason }) => {
                out.push(Diagnostic::error(Code::JinjaRuntime, format!("this text can't be rendered here: {reason}")).at(span, "this text"));
                YamlValue::Null
            }
        }
    }
}

fn has_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

fn from_json(value: &Json, span: Span) -> YamlValue {
    let nested = |value: &Json| Yaml { span, value: from_json(value, span) };
    match value {
        Json::Null => YamlValue::Null,
        Json::Bool(value) => YamlValue::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => YamlValue::Int(whole),
            (None, Some(real)) => YamlValue::Float(real),
            (None, None) => YamlValue::String(number.to_string()),
        },
        Json::String(text) => YamlValue::String(text.clone()),
        Json::Array(items) => YamlValue::Seq(items.iter().map(nested).collect()),
        Json::Object(map) => YamlValue::Map(map.iter().map(|(key, value)| (crate::base::Spanned::new(key.clone(), span), nested(value))).collect()),
    }
}

/// Answers with vars and nothing else.
struct FileHost {
    vars: Map<String, Json>,
}

fn nothing_here<T>(name: &str) -> Result<T, HostError> {
    Err(Diagnostic::error(Code::JinjaRuntime, format!("`{name}` means nothing in this file"))
        .help("project files and profiles know `env_var` and `var`")
        .into())
}

impl TemplateHost for FileHost {
    fn execute(&self) -> bool {
        true
    }

    fn reference(&self, _: &RefCall) -> Result<RelationName, HostError> {
        nothing_here("ref")
    }

    fn source(&self, _: &SourceCall) -> Result<RelationName, HostError> {
        nothing_here("source")
    }

    fn config(&self, _: Map<String, Json>, _: Option<Span>) -> Result<(), HostError> {
        nothing_here("config")
    }

    fn config_get(&self, _: &str) -> Option<Json> {
        None
    }

    fn var(&self, name: &str) -> Option<Json> {
        self.vars.get(name).cloned()
    }

    fn this(&self) -> Option<RelationName> {
        None
    }

    fn target(&self) -> Json {
        Json::Object(Map::new())
    }

    fn model(&self) -> Json {
        Json::Null
    }

    fn graph(&self) -> Json {
        Json::Object(Map::new())
    }

    fn project_name(&self) -> String {
        String::new()
    }

    fn invocation(&self) -> Invocation {
        Invocation { id: String::new(), run_started_at: DateTime::UNIX_EPOCH, flags: Json::Null, arguments: Json::Null }
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn query(&self, _: &str) -> Result<QueryTable, HostError> {
        nothing_here("run_query")
    }

    fn relation(&self, _: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        nothing_here("adapter")
    }

    fn doc(&self, _: Option<&str>, _: &str) -> Result<String, HostError> {
        nothing_here("doc")
    }

    fn yaml(&self, text: &str) -> Option<Json> {
        super::yaml::yaml_json(text)
    }

    fn log(&self, _: &str, _: Heard) {}
}
