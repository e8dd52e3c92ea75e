//! What properties files declare: plain types, filled by `properties`, `sources` and `data_tests`. Strings may hold
//! Jinja, which is left for `resolve`.

use serde_json::{Map, Value as Json};

use super::yaml::Yaml;
use crate::base::{FileId, Span, Spanned};
use crate::manifest::{ConstraintDecl, DescribedKind, FileFormat, FixtureFormat, FunctionArgument, Version};

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
    pub unit_tests: Vec<UnitTestDecl>,
    /// Metrics, semantic models and saved queries.
    pub semantics: Vec<SemanticDecl>,
    pub functions: Vec<FunctionDecl>,
}

/// Which section a [`NodeDecl`] stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeDeclKind {
    Model,
    Seed,
    Snapshot,
    Analysis,
    Function,
}

/// An entry of `functions`.
#[derive(Debug, Clone)]
pub struct FunctionDecl {
    pub node: NodeDecl,
    pub arguments: Vec<FunctionArgument>,
    pub returns: Option<Spanned<String>>,
    pub returns_description: Option<String>,
}

/// An entry of `models`, `seeds`, `snapshots` or `analyses`, and what one of `functions` shares with them.
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
    pub versions: Vec<VersionDecl>,
    pub latest_version: Option<Spanned<Version>>,
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
    /// Of a column of times, for readers of the manifest.
    pub granularity: Option<Spanned<String>>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quoting {
    pub database: Option<YesNo>,
    pub schema: Option<YesNo>,
    pub identifier: Option<YesNo>,
}

impl Quoting {
    /// What is said of database, schema and identifier without a template.
    pub fn known(&self) -> [Option<bool>; 3] {
        [&self.database, &self.schema, &self.identifier].map(|said| match said {
            Some(YesNo::Known(quoted)) => Some(*quoted),
            Some(YesNo::Template(_)) | None => None,
        })
    }
}

/// A yes or no, or the template that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum YesNo {
    Known(bool),
    Template(Spanned<String>),
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
    /// A map: name, email and what else the user keeps there.
    pub owner: Option<Yaml>,
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

/// An entry of a model's `versions`.
#[derive(Debug, Clone)]
pub struct VersionDecl {
    pub span: Span,
    pub version: Spanned<Version>,
    /// The name of the file, if it is not `<model>_v<version>`.
    pub defined_in: Option<Spanned<String>>,
    pub description: Option<Spanned<String>>,
    pub config: Option<Yaml>,
    /// The model's columns that this version has; `None` for all.
    pub include: Option<Vec<Spanned<String>>>,
    pub exclude: Vec<Spanned<String>>,
    /// Columns of this version, which win over the model's of the same name.
    pub columns: Vec<ColumnDecl>,
    /// In the place of the model's, where they are given.
    pub tests: Option<Vec<TestDecl>>,
    pub constraints: Option<Vec<ConstraintDecl>>,
    pub deprecation_date: Option<Spanned<String>>,
}

/// An entry of `unit_tests`.
#[derive(Debug, Clone)]
pub struct UnitTestDecl {
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub model: Spanned<String>,
    pub description: Option<Spanned<String>>,
    pub given: Vec<UnitInputDecl>,
    pub expect: FixtureDecl,
    pub overrides: Option<OverridesDecl>,
    pub config: Option<Yaml>,
    /// A map with `include` or `exclude`.
    pub versions: Option<Yaml>,
}

#[derive(Debug, Clone)]
pub struct UnitInputDecl {
    /// `ref(..)`, `source(..)` or `this`.
    pub input: Spanned<String>,
    pub fixture: FixtureDecl,
}

#[derive(Debug, Clone)]
pub struct FixtureDecl {
    pub span: Span,
    pub format: FixtureFormat,
    pub source: FixtureSource,
}

/// The values of one row of a fixture, by column.
pub type FixtureRow = Vec<(Spanned<String>, Yaml)>;

/// Where the rows of a fixture stand.
#[derive(Debug, Clone)]
pub enum FixtureSource {
    Rows(Vec<FixtureRow>),
    /// CSV or SQL.
    Text(Spanned<String>),
    /// The name of a fixture file, without its ending.
    File(Spanned<String>),
    /// The input is a seed, whose file is meant.
    Seed,
}

#[derive(Debug, Clone)]
pub struct OverridesDecl {
    pub macros: Option<Yaml>,
    pub vars: Option<Yaml>,
    pub env_vars: Option<Yaml>,
}

/// An entry of `metrics`, `semantic_models` or `saved_queries`.
#[derive(Debug, Clone)]
pub struct SemanticDecl {
    pub kind: DescribedKind,
    pub origin: Origin,
    pub span: Span,
    pub name: Spanned<String>,
    pub description: Option<Spanned<String>>,
    pub config: Option<Yaml>,
    /// Semantic models only: `ref(..)` as text.
    pub model: Option<Spanned<String>>,
    /// Semantic models only.
    pub measures: Vec<MeasureDecl>,
    /// Metrics only: names of measures, and how the metric uses them in the manifest's shape.
    pub uses_measures: Vec<(Spanned<String>, Json)>,
    /// Names of metrics that a metric or a saved query is made of.
    pub uses_metrics: Vec<Spanned<String>>,
    /// What only this kind of resource has, in the manifest's shape.
    pub fields: Map<String, Json>,
}

/// A measure of a semantic model, as far as others refer to it.
#[derive(Debug, Clone)]
pub struct MeasureDecl {
    pub name: Spanned<String>,
    pub label: Option<String>,
    pub expr: Json,
    /// Whether a metric of that name comes with it.
    pub create_metric: bool,
}
