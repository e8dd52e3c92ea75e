//! What only some resources have: versions of models, groups, unit tests, and what is described and never run.

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use super::{NodeId, ResourceType};
use crate::base::{FileId, Span};

/// The version of a model, as the user wrote it: a number or a text.
#[derive(Debug, Clone)]
pub struct Version(Json);

impl Version {
    /// `None` for what is neither a number nor a text.
    #[must_use]
    pub fn from_json(value: &Json) -> Option<Self> {
        match value {
            Json::Number(_) => Some(Self(value.clone())),
            Json::String(text) if !text.trim().is_empty() => Some(Self(value.clone())),
            Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    #[must_use]
    pub fn json(&self) -> &Json {
        &self.0
    }

    /// Whether a text, as `ref('x', v=..)` has it, names this version.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.to_string() == text.trim()
    }

    fn number(&self) -> Option<f64> {
        self.0.as_f64().or_else(|| self.0.as_str()?.trim().parse().ok())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Json::String(text) => f.write_str(text),
            other => write!(f, "{other}"),
        }
    }
}

/// The first one, `1`.
impl Default for Version {
    fn default() -> Self {
        Self(Json::from(1))
    }
}

/// Numbers by size, anything else as text.
impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.to_string().cmp(&other.to_string()),
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// What only models have; empty for every other node.
#[derive(Debug, Clone, Default)]
pub struct ModelDetails {
    pub version: Option<Version>,
    /// What `ref` without a version means.
    pub latest: Option<Version>,
    pub deprecation_date: Option<DateTime<Utc>>,
    /// As the manifest has it.
    pub time_spine: Option<Json>,
}

/// Who may refer to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// Its own group.
    Private,
    /// Its own package, where that restricts access.
    #[default]
    Protected,
    Public,
}

impl Access {
    pub const NAMES: [&'static str; 3] = ["private", "protected", "public"];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Protected => "protected",
            Self::Public => "public",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Private, Self::Protected, Self::Public].into_iter().find(|access| access.name() == name)
    }
}

/// Owners of models; private models are for their group alone.
#[derive(Debug, Clone)]
pub struct Group {
    /// `group.package.name`
    pub id: String,
    pub name: String,
    pub package: String,
    pub path: String,
    pub original_path: String,
    pub description: String,
    pub owner: Map<String, Json>,
    pub meta: Map<String, Json>,
    pub span: Span,
}

/// What a properties file says of a macro.
#[derive(Debug, Clone, Default)]
pub struct AboutMacro {
    pub description: String,
    pub arguments: Vec<MacroArgument>,
    pub meta: Map<String, Json>,
    /// `show` and `node_color`, where they are given.
    pub docs: Map<String, Json>,
    /// The properties file, relative to the package.
    pub path: String,
}

#[derive(Debug, Clone)]
pub struct MacroArgument {
    pub name: String,
    pub data_type: Option<String>,
    pub description: String,
}

/// A docs block.
#[derive(Debug, Clone)]
pub struct DocsBlock {
    pub text: String,
    /// Relative to the folder of docs, with `/`.
    pub path: String,
    /// Relative to the package.
    pub original_path: String,
}

/// What is described in YAML and never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DescribedKind {
    Exposure,
    Metric,
    SavedQuery,
    SemanticModel,
}

impl DescribedKind {
    #[must_use]
    pub fn resource_type(self) -> ResourceType {
        match self {
            Self::Exposure => ResourceType::Exposure,
            Self::Metric => ResourceType::Metric,
            Self::SavedQuery => ResourceType::SavedQuery,
            Self::SemanticModel => ResourceType::SemanticModel,
        }
    }
}

/// An exposure, metric, semantic model or saved query.
#[derive(Debug, Clone)]
pub struct Described {
    pub kind: DescribedKind,
    /// What only this kind of resource has, as the manifest shows it.
    pub fields: Map<String, Json>,
}

/// How the rows of a fixture are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FixtureFormat {
    Dict,
    Csv,
    Sql,
}

impl FixtureFormat {
    pub const NAMES: [&'static str; 3] = ["dict", "csv", "sql"];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dict => "dict",
            Self::Csv => "csv",
            Self::Sql => "sql",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Dict, Self::Csv, Self::Sql].into_iter().find(|format| format.name() == name)
    }
}

/// The rows of an input or of what is expected.
#[derive(Debug, Clone)]
pub enum FixtureRows {
    /// Column and value; what a row leaves out is NULL.
    Rows(Vec<Map<String, Json>>),
    /// A query.
    Sql(String),
}

/// Rows that a unit test gives or expects.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub format: FixtureFormat,
    pub rows: FixtureRows,
    /// The name of the file that holds the rows.
    pub file: Option<String>,
    pub span: Span,
}

/// What stands in the place of a node.
#[derive(Debug, Clone)]
pub struct UnitInput {
    /// As written: `ref(..)`, `source(..)` or `this`.
    pub input: String,
    pub node: NodeId,
    pub fixture: Fixture,
}

/// What a unit test says in the place of macros, variables and the environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub macros: Map<String, Json>,
    pub vars: Map<String, Json>,
    pub env_vars: Map<String, Json>,
}

/// A unit test: a model, rows for what it reads, and the rows it must give.
#[derive(Debug, Clone)]
pub struct UnitTest {
    /// The model's name as written.
    pub model: String,
    pub tested: NodeId,
    pub given: Vec<UnitInput>,
    pub expect: Fixture,
    pub overrides: Option<Overrides>,
    /// As written, for the manifest.
    pub versions: Option<Json>,
    pub version: Option<Version>,
    pub file: FileId,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers_where_they_are() {
        let version = |value: Json| Version::from_json(&value).unwrap();
        assert!(version(json!(10)) > version(json!(2)) && version(json!("10")) > version(json!(9.5)));
        assert!(version(json!("beta")) > version(json!("alpha")));
        assert!(version(json!(2)).is("2") && version(json!("2")).is(" 2") && Version::from_json(&json!(true)).is_none());
    }
}
