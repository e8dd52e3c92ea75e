//! What properties files declare: plain types, filled by `properties`, `sources` and `data_tests`. Strings may hold
//! Jinja, which is left for `resolve`.

use super::yaml::Yaml;
use crate::base::{FileId, Span, Spanned};
use crate::manifest::{ConstraintDecl, FileFormat};

/// The properties file a declaration stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub file: FileId,
    /// Relative to the package, with `/`.
    pub path: String,
    /// Folders of the file below its resource path, for the fqn of sources.
    pub folders: Vec<String>,
    pub package: String,
}

/// Everything that the properties files of one package declare, in order of path and of appearance.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    pub models: Vec<NodeDecl>,
    pub seeds: Vec<NodeDecl>,
    pub snapshots: Vec<NodeDecl>,
    pub analyses: Vec<NodeDecl>,
    pub sources: Vec<SourceDecl>,
    /// Descriptions and configs of tests that are files: top level `data_tests:` entries.
    pub singular_tests: Vec<SingularTestDecl>,
    pub exposures: Vec<ExposureDecl>,
    pub macros: Vec<MacroDecl>,
    pub groups: Vec<GroupDecl>,
    /// Sections that are accepted and not read further yet.
    pub later: Vec<RawDecl>,
}

/// Which section a [`NodeDecl`] stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeDeclKind {
    Model,
    Seed,
    Snapshot,
    Analysis,
}

/// An entry of `models`, `seeds`, `snapshots` or `analyses`.
#[derive(Debug, Clone)]
pub struct NodeDecl {
    pub kind: NodeDeclKind,
    pub origin: Origin,
    /// The whole entry.
    pub span: Span,
    pub name: Spanned<String>,
    pub description: Option<Spanned<String>>,
    /// A map: the keys of `config:`, and those dbt allows beside it (`tags`, `meta`, `docs`, `access`, ...); where both
    /// name a key, tags are joined and `config:` wins otherwise.
    pub config: Option<Yaml>,
    pub columns: Vec<ColumnDecl>,
    pub constraints: Vec<ConstraintDecl>,
    pub tests: Vec<TestDecl>,
    /// Models only.
    pub versions: Option<Yaml>,
    pub latest_version: Option<Yaml>,
    pub deprecation_date: Option<Spanned<String>>,
    pub time_spine: Option<Yaml>,
    /// Snapshots only: `ref(..)` or `source(..)` as text.
    pub relation: Option<Spanned<String>>,
}

/// A column of a model, seed, snapshot or source table.
#[derive(Debug, Clone)]
pub struct ColumnDecl {
    pub span: Span,
    pub name: Spanned<String>,
    pub data_type: Option<Spanned<String>>,
    pub description: Option<Spanned<String>>,
    pub constraints: Vec<ConstraintDecl>,
    pub tests: Vec<TestDecl>,
    pub quote: Option<bool>,
    pub tags: Vec<Spanned<String>>,
    /// A map.
    pub meta: Option<Yaml>,
    /// As in [`NodeDecl::config`], `tags` and `meta` included.
    pub config: Option<Yaml>,
    pub raw_policies: Option<Yaml>,
}

/// A generic test on a node, a column, a source or a source table.
#[derive(Debug, Clone)]
pub struct TestDecl {
    /// The whole entry.
    pub span: Span,
    /// `dbt_utils` of `dbt_utils.equality`.
    pub package: Option<String>,
    /// The test's name without the package; the span covers both.
    pub test: Spanned<String>,
    /// `name:`, the user's own name for this test.
    pub name: Option<Spanned<String>>,
    pub description: Option<Spanned<String>>,
    /// Inline ones and those of `arguments:`.
    pub arguments: Vec<(Spanned<String>, Yaml)>,
    /// A map: config keys written inline, and those of `config:`, which win.
    pub config: Option<Yaml>,
}

/// Description and config of a test that is a file.
#[derive(Debug, Clone)]
pub struct SingularTestDecl {
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub description: Option<Spanned<String>>,
    pub config: Option<Yaml>,
}

/// `database`, `schema` and `identifier` of a `quoting:` section.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quoting {
    pub database: Option<bool>,
    pub schema: Option<bool>,
    pub identifier: Option<bool>,
}

/// A unit in `freshness`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Minute,
    Hour,
    Day,
}

impl Period {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessRule {
    pub count: u64,
    pub period: Period,
    pub span: Span,
}

/// `freshness:` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreshnessDecl {
    /// `freshness: null`, which switches an inherited one off.
    Off,
    On(Freshness),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    pub warn_after: Option<FreshnessRule>,
    pub error_after: Option<FreshnessRule>,
    pub filter: Option<Spanned<String>>,
}

/// An entry of `sources`.
#[derive(Debug, Clone)]
pub struct SourceDecl {
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub description: Option<Spanned<String>>,
    pub schema: Option<Spanned<String>>,
    pub database: Option<Spanned<String>>,
    pub loader: Option<Spanned<String>>,
    pub loaded_at_field: Option<Spanned<String>>,
    pub loaded_at_query: Option<Spanned<String>>,
    pub freshness: Option<FreshnessDecl>,
    pub quoting: Quoting,
    /// A package whose source of that name this one stands in for.
    pub overrides: Option<Spanned<String>>,
    /// As in [`NodeDecl::config`].
    pub config: Option<Yaml>,
    pub tests: Vec<TestDecl>,
    pub tables: Vec<SourceTableDecl>,
}

#[derive(Debug, Clone)]
pub struct SourceTableDecl {
    pub span: Span,
    pub name: Spanned<String>,
    pub identifier: Option<Spanned<String>>,
    pub description: Option<Spanned<String>>,
    pub loader: Option<Spanned<String>>,
    pub loaded_at_field: Option<Spanned<String>>,
    pub loaded_at_query: Option<Spanned<String>>,
    pub freshness: Option<FreshnessDecl>,
    pub quoting: Quoting,
    pub external: Option<ExternalDecl>,
    pub config: Option<Yaml>,
    pub columns: Vec<ColumnDecl>,
    pub tests: Vec<TestDecl>,
}

/// `external:` of a source table.
#[derive(Debug, Clone)]
pub struct ExternalDecl {
    pub span: Span,
    /// Absent where a project describes an external table of another warehouse.
    pub location: Option<Spanned<String>>,
    pub format: Option<Spanned<FileFormat>>,
    /// Scalars as text, in order.
    pub options: Vec<(Spanned<String>, Spanned<String>)>,
    /// The section as written, for the manifest.
    pub raw: Yaml,
}

#[derive(Debug, Clone)]
pub struct ExposureDecl {
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub kind: Option<Spanned<String>>,
    pub label: Option<Spanned<String>>,
    pub description: Option<Spanned<String>>,
    pub maturity: Option<Spanned<String>>,
    pub url: Option<Spanned<String>>,
    pub owner_name: Option<Spanned<String>>,
    /// One or more.
    pub owner_email: Vec<Spanned<String>>,
    /// `ref(..)`, `source(..)`, `metric(..)` as text.
    pub depends_on: Vec<Spanned<String>>,
    pub config: Option<Yaml>,
}

#[derive(Debug, Clone)]
pub struct GroupDecl {
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub description: Option<Spanned<String>>,
    /// A map: name, email and what else the user keeps there.
    pub owner: Option<Yaml>,
    pub config: Option<Yaml>,
}

#[derive(Debug, Clone)]
pub struct MacroDecl {
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub description: Option<Spanned<String>>,
    pub arguments: Vec<MacroArgumentDecl>,
    /// `meta`, `docs` and the like.
    pub config: Option<Yaml>,
}

#[derive(Debug, Clone)]
pub struct MacroArgumentDecl {
    pub name: Spanned<String>,
    pub data_type: Option<Spanned<String>>,
    pub description: Option<Spanned<String>>,
}

/// A section that is accepted and kept for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawKind {
    UnitTest,
    Metric,
    SemanticModel,
    SavedQuery,
    Function,
}

#[derive(Debug, Clone)]
pub struct RawDecl {
    pub kind: RawKind,
    pub origin: Origin,
    pub name: Spanned<String>,
    pub yaml: Yaml,
}
