//! `--warn-error` and `--warn-error-options`: which warnings are errors, and which are not shown.

mod names;

use serde_json::Value as Json;

use self::names::EVENT_NAMES;
use super::args::{Global, Switch};
use crate::base::{Code, nearest};

/// What becomes of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Warn,
    Error,
    Silence,
}

#[derive(Debug, Clone, Default)]
enum Names {
    All,
    #[default]
    None,
    Only(Vec<String>),
}

impl Names {
    fn hold(&self, names: &[&str]) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(list) => {
                let is_deprecation = names.iter().any(|name| name.ends_with("Deprecation"));
                list.iter().any(|name| names.contains(&name.as_str()) || is_deprecation && name == DEPRECATIONS)
            }
        }
    }
}

/// The options, read. A warning goes by its code (`orphan-properties`) and by dbt's name of its event.
#[derive(Debug, Clone, Default)]
pub(super) struct Warnings {
    error: Names,
    warn: Names,
    silence: Names,
}

impl Warnings {
    /// # Errors
    /// With one sentence, if the options are no map of names.
    pub fn read(global: &Global) -> Result<Self, String> {
        let mut warnings = Self::default();
        if let Some(text) = &global.warn_error_options {
            let yaml = crate::load::yaml_json(text).ok_or_else(|| format!("--warn-error-options: `{text}` is no YAML"))?;
            let map = match &yaml {
                Json::Null => return Ok(warnings.with_switch(global)),
                Json::Object(map) => map,
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                    return Err(format!("--warn-error-options: expected a map, e.g. '{{error: all}}', found `{text}`"));
                }
            };
            for (key, value) in map {
                match key.as_str() {
                    "error" | "include" => warnings.error = names(key, value)?,
                    "warn" | "exclude" => warnings.warn = names(key, value)?,
                    "silence" => warnings.silence = names(key, value)?,
                    other => return Err(format!("--warn-error-options: there is no key `{other}`; there are `error`, `warn` and `silence`")),
                }
            }
        }
        Ok(warnings.with_switch(global))
    }

    fn with_switch(mut self, global: &Global) -> Self {
        if global.is_on(Switch::WarnError) {
            self.error = Names::All;
        }
        self
    }

    /// What becomes of a warning that goes by these names.
    pub fn verdict(&self, names: &[&str]) -> Verdict {
        if self.silence.hold(names) {
            Verdict::Silence
        } else if self.error.hold(names) && !self.warn.hold(names) {
            Verdict::Error
        } else {
            Verdict::Warn
        }
    }

    /// What becomes of a warning of a code.
    pub fn of_code(&self, code: Code) -> Verdict {
        let names = [code.name(), event_name(code)];
        self.verdict(&names)
    }
}

fn names(key: &str, value: &Json) -> Result<Names, String> {
    let wrong = || format!("--warn-error-options: `{key}` is `all` or a list of names");
    match value {
        Json::Null => Ok(Names::None),
        Json::String(text) if text == "all" || text == "*" => Ok(Names::All),
        Json::Array(items) => {
            let list: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            let list = list.ok_or_else(wrong)?;
            match list.iter().find(|name| !is_known(name)) {
                Some(unknown) => Err(format!("--warn-error-options: `{unknown}` is no valid dbt error name{}", likely(unknown))),
                None => Ok(Names::Only(list)),
            }
        }
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => Err(wrong()),
    }
}

/// Stands for all events that tell of something deprecated.
const DEPRECATIONS: &str = "Deprecations";

fn is_known(name: &str) -> bool {
    name.parse::<Code>().is_ok() || EVENT_NAMES.split_whitespace().any(|known| known == name)
}

fn likely(name: &str) -> String {
    let codes = Code::ALL.iter().map(|code| code.name());
    nearest(name, EVENT_NAMES.split_whitespace().chain(codes)).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// dbt's name of the event that says the same; empty where it has none.
fn event_name(code: Code) -> &'static str {
    const NAMES: [(Code, &str); 7] = [
        (Code::MacroArguments, "InvalidMacroAnnotation"),
        (Code::BatchUnfiltered, "MicrobatchModelNoEventTimeInputs"),
        (Code::OrphanProperties, "NoNodeForYamlKey"),
        (Code::UnresolvedRef, "NodeNotFoundOrDisabled"),
        (Code::UnresolvedSource, "NodeNotFoundOrDisabled"),
        (Code::UnknownKey, "CustomKeyInObjectDeprecation"),
        (Code::RaisedByProject, "JinjaLogWarning"),
    ];
    NAMES.iter().find(|(known, _)| *known == code).map_or("", |(_, name)| name)
}
