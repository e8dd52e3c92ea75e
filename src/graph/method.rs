//! The methods of selection: what a node must be for a criterion to name it.

use std::cell::OnceCell;

use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value as Json;

use super::Dag;
use super::compare::{Changes, Comparison, changed};
use crate::base::{Code, Diagnostic, nearest};
use crate::manifest::{Access, ConfigMirror, Node, NodeKind, PreviousState, ResourceType};
use crate::resolve::Project;

/// What criteria are asked about.
pub(super) struct Asked<'a> {
    pub project: &'a Project,
    pub dag: &'a Dag,
    pub previous: Option<&'a PreviousState>,
    /// Macros that are not what they were in the run before; found out once.
    pub changes: OnceCell<Changes>,
}

/// A method with its value.
pub(super) enum Method {
    Fqn(Pattern),
    Path(Pattern),
    File(Pattern),
    Tag(Pattern),
    /// `config.a.b:value`
    Config(Vec<String>, String),
    ResourceType(ResourceType),
    Source(Vec<Pattern>),
    Package(Pattern),
    TestName(Pattern),
    TestType(TestType),
    Group(Pattern),
    /// `exposure:`, `metric:` and their kin: a name, or package and name.
    Named(ResourceType, Vec<Pattern>),
    Access(Access),
    Version(VersionKind),
    State(Comparison),
    /// A status in the results of the run before.
    Result(String),
    /// `source_status:fresher`
    Fresher,
}

/// `version:`
#[derive(Clone, Copy)]
pub(super) enum VersionKind {
    Latest,
    Prerelease,
    Old,
    None,
}

/// `test_type:`
#[derive(Clone, Copy)]
pub(super) enum TestType {
    Generic,
    Singular,
    Any,
    Unit,
}

/// A value with the wildcards of `fnmatch`: `*`, `?`, `[abc]`.
pub(super) struct Pattern {
    pub text: String,
    glob: Option<GlobMatcher>,
}

const METHODS: [&str; 22] = [
    "access",
    "config.",
    "exposure",
    "file",
    "fqn",
    "group",
    "metric",
    "package",
    "path",
    "resource_type",
    "result",
    "saved_query",
    "selector",
    "semantic_model",
    "source",
    "source_status",
    "state",
    "tag",
    "test_name",
    "test_type",
    "unit_test",
    "version",
];

impl Pattern {
    fn new(text: &str) -> Result<Self, Diagnostic> {
        let glob = if text.contains(['*', '?', '[']) {
            let glob = GlobBuilder::new(text).literal_separator(false).build();
            Some(
                glob.map_err(|error| Diagnostic::error(Code::InvalidSelector, format!("`{text}` is not a pattern: {}", error.kind())))?
                    .compile_matcher(),
            )
        } else {
            None
        };
        Ok(Self { text: text.to_owned(), glob })
    }

    fn matches(&self, text: &str) -> bool {
        self.glob.as_ref().map_or(self.text == text, |glob| glob.is_match(text))
    }
}

impl Method {
    /// A criterion without its graph operators. With no method: a path if it holds a separator, a file if it ends in
    /// `.sql`, `.csv` or `.py`, else a fully qualified name.
    pub(super) fn parse(text: &str) -> Result<Self, Diagnostic> {
        let Some((method, value)) = text.split_once(':') else {
            let is_file = [".sql", ".csv", ".py"].iter().any(|ending| text.to_lowercase().ends_with(ending));
            return Ok(match (text.contains(['/', '\\']), is_file) {
                (true, _) => Self::Path(path_pattern(text)?),
                (false, true) => Self::File(Pattern::new(text)?),
                (false, false) => Self::Fqn(Pattern::new(text)?),
            });
        };
        if let Some(key) = method.strip_prefix("config.") {
            return Ok(Self::Config(key.split('.').map(str::to_owned).collect(), value.to_owned()));
        }
        Ok(match method {
            "fqn" => Self::Fqn(Pattern::new(value)?),
            "path" => Self::Path(path_pattern(value)?),
            "file" => Self::File(Pattern::new(value)?),
            "tag" => Self::Tag(Pattern::new(value)?),
            "package" => Self::Package(Pattern::new(value)?),
            "source" => Self::Source(value.split('.').map(Pattern::new).collect::<Result<_, _>>()?),
            "test_name" => Self::TestName(Pattern::new(value)?),
            "group" => Self::Group(Pattern::new(value)?),
            "exposure" | "metric" | "saved_query" | "semantic_model" | "unit_test" => {
                Self::Named(resource_type(method)?, value.split('.').map(Pattern::new).collect::<Result<_, _>>()?)
            }
            "access" => Self::Access(access(value)?),
            "version" => Self::Version(version_kind(value)?),
            "state" => Self::State(comparison(value)?),
            "result" => Self::Result(value.to_lowercase()),
            "source_status" => source_status(value)?,
            "resource_type" => Self::ResourceType(resource_type(value)?),
            "test_type" => Self::TestType(test_type(value)?),
            other => return Err(unknown_method(other)),
        })
    }
}

fn path_pattern(text: &str) -> Result<Pattern, Diagnostic> {
    let text = text.replace('\\', "/");
    Pattern::new(text.trim_start_matches("./").trim_end_matches('/'))
}

fn unknown_method(method: &str) -> Diagnostic {
    Diagnostic::error(Code::InvalidSelector, format!("there is no selection method `{method}`"))
        .help_nearest(nearest(method, METHODS), format!("the methods are {}", METHODS.join(", ")))
}

fn resource_type(value: &str) -> Result<ResourceType, Diagnostic> {
    ResourceType::from_name(value).ok_or_else(|| {
        let names = ResourceType::ALL.map(ResourceType::name);
        Diagnostic::error(Code::InvalidSelector, format!("there is no resource type `{value}`"))
            .help_nearest(nearest(value, names), format!("the types are {}", names.join(", ")))
    })
}

fn access(value: &str) -> Result<Access, Diagnostic> {
    Access::from_name(value).ok_or_else(|| {
        Diagnostic::error(Code::InvalidSelector, format!("there is no access `{value}`"))
            .help_nearest(nearest(value, Access::NAMES), format!("it is one of {}", Access::NAMES.join(", ")))
    })
}

fn version_kind(value: &str) -> Result<VersionKind, Diagnostic> {
    match value {
        "latest" => Ok(VersionKind::Latest),
        "prerelease" => Ok(VersionKind::Prerelease),
        "old" => Ok(VersionKind::Old),
        "none" => Ok(VersionKind::None),
        other => Err(Diagnostic::error(Code::InvalidSelector, format!("`version:` knows no `{other}`"))
            .help_nearest(nearest(other, ["latest", "prerelease", "old", "none"]), "expected latest, prerelease, old or none")),
    }
}

fn test_type(value: &str) -> Result<TestType, Diagnostic> {
    match value {
        "generic" | "schema" => Ok(TestType::Generic),
        "singular" => Ok(TestType::Singular),
        "data" => Ok(TestType::Any),
        "unit" => Ok(TestType::Unit),
        other => {
            Err(Diagnostic::error(Code::InvalidSelector, format!("there is no test type `{other}`"))
                .help("the types are generic, singular, data, unit"))
        }
    }
}

fn comparison(value: &str) -> Result<Comparison, Diagnostic> {
    Comparison::from_name(value).ok_or_else(|| {
        let names = Comparison::ALL.map(Comparison::name);
        Diagnostic::error(Code::InvalidSelector, format!("there is no state `{value}`"))
            .help_nearest(nearest(value, names), format!("the states are {}", names.join(", ")))
    })
}

fn source_status(value: &str) -> Result<Method, Diagnostic> {
    if value == "fresher" {
        return Ok(Method::Fresher);
    }
    Err(Diagnostic::error(Code::InvalidSelector, format!("there is no source status `{value}`")).help("there is `source_status:fresher`"))
}

/// What is asked for needs artifacts of another run.
fn lacking(method: &str, file: &str, asked: &Asked<'_>) -> Diagnostic {
    let message = match asked.previous {
        None => format!("`{method}:` compares with another run, and no --state is given"),
        Some(previous) => format!("`{method}:` needs `{file}`, which is not in `{}`", previous.folder),
    };
    Diagnostic::error(Code::InvalidSelector, message).help(format!("name a folder with `{file}` by --state or DBT_STATE"))
}

/// Whether a criterion names a node.
///
/// # Errors
/// If it compares with artifacts that are not there.
pub(super) fn matches(node: &Node, method: &Method, asked: &Asked<'_>) -> Result<bool, Diagnostic> {
    let previous = asked.previous;
    Ok(match method {
        Method::State(comparison) => {
            let manifest = previous.and_then(|previous| previous.manifest.as_ref());
            let manifest = manifest.ok_or_else(|| lacking("state", "manifest.json", asked))?;
            let changes = asked.changes.get_or_init(|| Changes::of(asked.project, manifest));
            changed(node, *comparison, manifest, changes)
        }
        Method::Result(status) => {
            let results = previous.and_then(|previous| previous.results.as_ref());
            let results = results.ok_or_else(|| lacking("result", "run_results.json", asked))?;
            results.get(&node.id).is_some_and(|found| found == status)
        }
        Method::Fresher => {
            let both = previous.and_then(|previous| previous.freshness.as_ref());
            let (before, now) = both.ok_or_else(|| lacking("source_status", "sources.json", asked))?;
            match (before.get(&node.id), now.get(&node.id)) {
                (Some(Some(before)), Some(Some(now))) => now > before,
                (None, Some(Some(_))) => true,
                (_, _) => false,
            }
        }
        Method::Fqn(_)
        | Method::Path(_)
        | Method::File(_)
        | Method::Tag(_)
        | Method::Config(..)
        | Method::ResourceType(_)
        | Method::Source(_)
        | Method::Package(_)
        | Method::TestName(_)
        | Method::TestType(_)
        | Method::Group(_)
        | Method::Named(..)
        | Method::Access(_)
        | Method::Version(_) => matches_alone(node, method, asked.project),
    })
}

/// The methods that look at the project and nothing else.
fn matches_alone(node: &Node, method: &Method, project: &Project) -> bool {
    match method {
        Method::State(_) | Method::Result(_) | Method::Fresher => false,
        Method::Fqn(pattern) => matches_fqn(node, pattern),
        Method::Path(pattern) => matches_path(node, pattern),
        Method::File(pattern) => {
            let file = node.original_path.rsplit('/').next().unwrap_or_default();
            pattern.matches(file) || pattern.matches(file.rsplit_once('.').map_or(file, |(stem, _)| stem))
        }
        Method::Tag(pattern) => node.config.tags.iter().any(|tag| pattern.matches(tag)),
        Method::Config(keys, value) => matches_config(node, keys, value),
        Method::ResourceType(kind) => node.resource_type() == *kind,
        Method::Source(parts) => matches_source(node, parts),
        Method::Package(pattern) => pattern.matches(&node.package) || pattern.text == "this" && node.package == project.name,
        Method::TestName(pattern) => match node.test() {
            Some(test) => test.generic.as_ref().map_or_else(|| pattern.matches(&node.name), |generic| pattern.matches(&generic.name)),
            None => node.unit_test().is_some() && pattern.matches(&node.name),
        },
        Method::TestType(kind) => match kind {
            TestType::Generic => node.test().is_some_and(|test| test.generic.is_some()),
            TestType::Singular => node.test().is_some_and(|test| test.generic.is_none()),
            TestType::Any => node.test().is_some(),
            TestType::Unit => node.unit_test().is_some(),
        },
        Method::Group(pattern) => node.config.group.as_deref().is_some_and(|group| pattern.matches(group)),
        Method::Named(kind, parts) => {
            node.resource_type() == *kind
                && match parts.as_slice() {
                    [name] => name.matches(&node.name),
                    [package, name] => package.matches(&node.package) && name.matches(&node.name),
                    _ => false,
                }
        }
        Method::Access(access) => node.resource_type() == ResourceType::Model && node.config.access == *access,
        Method::Version(kind) => node.resource_type() == ResourceType::Model && matches_version(node, *kind),
    }
}

/// A name alone, or a prefix of the fully qualified name with or without its package.
fn matches_fqn(node: &Node, pattern: &Pattern) -> bool {
    if matches!(node.kind, NodeKind::Source { .. }) {
        return false;
    }
    let versioned = node.model.version.is_some();
    let leaf = if versioned { Some(&node.name) } else { node.fqn.last() };
    if pattern.matches(&node.name) || leaf.is_some_and(|last| pattern.matches(last)) {
        return true;
    }
    // `orders.v2` and `orders_v2` both name a version.
    if versioned
        && (pattern.matches(&node.label()) || node.model.version.as_ref().is_some_and(|version| pattern.text == format!("{}_v{version}", node.name)))
    {
        return true;
    }
    let whole = node.fqn.join(".");
    let bare = node.fqn.get(1..).unwrap_or_default().join(".");
    let prefix = |name: &str| name == pattern.text || name.strip_prefix(pattern.text.as_str()).is_some_and(|rest| rest.starts_with('.'));
    if pattern.glob.is_some() { pattern.matches(&whole) || pattern.matches(&bare) } else { prefix(&whole) || prefix(&bare) }
}

fn matches_version(node: &Node, kind: VersionKind) -> bool {
    let (version, latest) = (&node.model.version, &node.model.latest);
    match kind {
        VersionKind::Latest => version.is_some() && version == latest,
        VersionKind::Prerelease => version > latest,
        VersionKind::Old => version < latest,
        VersionKind::None => version.is_none(),
    }
}

/// The file itself, a folder above it, or the file that describes it.
fn matches_path(node: &Node, pattern: &Pattern) -> bool {
    if node.properties_path.as_deref().is_some_and(|path| pattern.matches(path)) {
        return true;
    }
    let declared = node.properties_path.as_deref().filter(|_| matches!(node.kind, NodeKind::Source { .. }));
    std::iter::once(node.original_path.as_str()).chain(declared).any(|path| {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        pattern.matches(path) || above.into_iter().any(|folder| pattern.matches(folder))
    })
}

fn matches_source(node: &Node, parts: &[Pattern]) -> bool {
    let NodeKind::Source { source_name, .. } = &node.kind else { return false };
    match parts {
        [source] => source.matches(source_name),
        [first, second] => first.matches(source_name) && second.matches(&node.name) || first.matches(&node.package) && second.matches(source_name),
        [package, source, table] => package.matches(&node.package) && source.matches(source_name) && table.matches(&node.name),
        _ => false,
    }
}

/// The config at a path of keys equals the value as text, or is a list that holds it, or a map that has it as a key.
fn matches_config(node: &Node, keys: &[String], wanted: &str) -> bool {
    let materialized = Json::from(node.config.materialization.name());
    let tags = Json::from(node.config.tags.clone());
    let mut found = match keys.first().map(String::as_str) {
        Some("materialized") => Some(&materialized),
        Some("tags") => Some(&tags),
        Some(key) => node.config.raw.get(key),
        None => None,
    };
    for key in keys.iter().skip(1) {
        found = found.and_then(|value| value.get(key));
    }
    let severity = matches!(keys, [key] if key == "severity");
    let unset = if found.is_none() { default_config(node, keys) } else { None };
    match found.or(unset.as_ref()) {
        Some(Json::String(text)) if severity => text.eq_ignore_ascii_case(wanted),
        Some(Json::Array(items)) => items.iter().any(|item| text_of(item) == wanted),
        Some(Json::Object(map)) => map.contains_key(wanted),
        Some(value) => text_of(value).eq_ignore_ascii_case(wanted) && (value.is_boolean() || text_of(value) == wanted),
        None => false,
    }
}

/// What dbt has in the config of a node about which nothing is said.
fn default_config(node: &Node, keys: &[String]) -> Option<Json> {
    let config = serde_json::to_value(ConfigMirror(node)).ok()?;
    keys.iter().try_fold(&config, |value, key| value.get(key)).filter(|value| !value.is_null()).cloned()
}

fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
