//! `severity`: how bad a diagnostic of a code is to `check`, as the project sees it.

use super::reader::{entries, text};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, nearest};

/// What a project makes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeverityLevel {
    Error,
    Warning,
    /// It is not reported.
    Off,
}

/// One entry of `severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeverityRule {
    pub code: Code,
    pub level: SeverityLevel,
}

pub(super) fn read_severity(yaml: &Yaml, out: &mut Diagnostics) -> Vec<SeverityRule> {
    let mut rules = Vec::new();
    for (key, value) in entries(yaml, "`severity`", out) {
        let code = key.value.parse::<Code>();
        if code.is_err() {
            out.push(
                Diagnostic::error(Code::UnknownCode, format!("`severity` names `{}`, which is no code of a diagnostic", key.value))
                    .at(key.span, "not a code")
                    .help_nearest(nearest(&key.value, Code::ALL.iter().map(|code| code.name())), "`alluvium explain` lists the codes"),
            );
        }
        // YAML reads a bare `off` as false.
        if matches!(value.value, YamlValue::Bool(false)) {
            rules.extend(code.ok().map(|code| SeverityRule { code, level: SeverityLevel::Off }));
            continue;
        }
        let Some(level) = text(value, &format!("the severity of `{}`", key.value), out) else { continue };
        let level = match level.value.to_lowercase().as_str() {
            "error" => SeverityLevel::Error,
            "warn" | "warning" => SeverityLevel::Warning,
            "off" | "ignore" => SeverityLevel::Off,
            other => {
                out.push(
                    Diagnostic::error(Code::ConfigType, format!("`{other}` is no severity"))
                        .at(level.span, "expected `error`, `warning` or `off`")
                        .help_nearest(nearest(other, ["error", "warning", "off"]), "e.g. `warning`"),
                );
                continue;
            }
        };
        rules.extend(code.ok().map(|code| SeverityRule { code, level }));
    }
    rules
}
