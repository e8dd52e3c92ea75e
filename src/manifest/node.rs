//! A node: one model, seed, source table, test and so on, as resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::{Described, ExternalConfig, ModelDetails, NodeConfig, RelationName, UnitTest};
use crate::base::{FileId, Sources, Span, Spanned, headline};

/// dbt's unique id: `model.package.name`, `source.package.source.table`, `test.package.name.hash`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

/// A map by node. Ids are hashed tens of times for each node, and nobody sends ids in order to collide.
pub type NodeMap<V> = std::collections::HashMap<NodeId, V, foldhash::fast::RandomState>;

impl NodeId {
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer).map(|id| Self::new(id.as_ref()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of resource a node is, in dbt's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    Analysis,
    Exposure,
    Function,
    Metric,
    Model,
    SavedQuery,
    Seed,
    SemanticModel,
    Snapshot,
    Source,
    Test,
    UnitTest,
}

impl ResourceType {
    pub const ALL: [Self; 12] = [
        Self::Analysis,
        Self::Exposure,
        Self::Function,
        Self::Metric,
        Self::Model,
        Self::SavedQuery,
        Self::Seed,
        Self::SemanticModel,
        Self::Snapshot,
        Self::Source,
        Self::Test,
        Self::UnitTest,
    ];

    /// Whether nodes of the kind stand in the results of a build. Exposures and saved queries do, without anything being done.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Self::Exposure | Self::Function | Self::Model | Self::SavedQuery | Self::Seed | Self::Snapshot | Self::Test | Self::UnitTest => true,
            Self::Analysis | Self::Metric | Self::SemanticModel | Self::Source => false,
        }
    }

    /// Whether `ref` leads to nodes of the kind: those that are built from the project and can be read.
    #[must_use]
    pub fn is_referable(self) -> bool {
        matches!(self, Self::Model | Self::Seed | Self::Snapshot)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
            Self::Exposure => "exposure",
            Self::Function => "function",
            Self::Metric => "metric",
            Self::Model => "model",
            Self::SavedQuery => "saved_query",
            Self::Seed => "seed",
            Self::SemanticModel => "semantic_model",
            Self::Snapshot => "snapshot",
            Self::Source => "source",
            Self::Test => "test",
            Self::UnitTest => "unit_test",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A `ref()` as written: package, name, version. A call of `function()` has `()` behind the name, so that functions share
/// no names with models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRef {
    pub package: Option<String>,
    pub name: String,
    pub version: Option<String>,
    pub span: Option<Span>,
}

impl NodeRef {
    /// The name of the function that is meant, where it is one.
    #[must_use]
    pub fn function(&self) -> Option<&str> {
        self.name.strip_suffix("()")
    }
}

/// A `source()` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRef {
    pub source: String,
    pub table: String,
    pub span: Option<Span>,
}

/// A constraint in a properties file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintDecl {
    pub kind: ConstraintKind,
    pub name: Option<String>,
    /// The condition of a check; of a foreign key the table and its columns, as they stand behind `references`.
    pub expression: Option<String>,
    /// Empty for a constraint that stands at its column.
    pub columns: Vec<String>,
    /// What a foreign key refers to, as a call of `ref` or `source`.
    pub to: Option<Spanned<String>>,
    pub to_columns: Vec<String>,
    /// The relation of `to`, once it is looked up.
    pub references: Option<RelationName>,
    /// Whether to say that the relation can't have such a constraint.
    pub warn_unsupported: bool,
    /// Whether to say that nothing looks after the constraint.
    pub warn_unenforced: bool,
    pub span: Span,
    /// All that is written of it.
    pub whole: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    NotNull,
    Unique,
    PrimaryKey,
    ForeignKey,
    Check,
    Custom,
}

impl ConstraintDecl {
    /// Where it says something; its beginning where that is not written as it stands.
    #[must_use]
    pub fn place_of(&self, words: &str, sources: &Sources) -> Span {
        let text = sources.text(self.whole);
        let part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let alone = |at: &usize| !text[..*at].ends_with(part) && !text[*at + words.len()..].starts_with(part);
        match text.match_indices(words).map(|(at, _)| at).filter(alone).last() {
            Some(at) if !words.is_empty() => {
                let start = self.whole.start + u32::try_from(at).unwrap_or_default();
                Span { start, end: start + u32::try_from(words.len()).unwrap_or_default(), ..self.whole }
            }
            _ => self.span,
        }
    }

    /// The table that a foreign key refers to, as SQL.
    #[must_use]
    pub fn foreign_table(&self) -> Option<String> {
        match (&self.references, &self.to) {
            (Some(relation), _) => Some(relation.to_string()),
            (None, Some(_)) => None,
            (None, None) => self.foreign_text().map(|(table, _)| table.to_owned()),
        }
    }

    /// The columns that a foreign key refers to.
    #[must_use]
    pub fn foreign_columns(&self) -> Option<Vec<String>> {
        if self.to.is_some() {
            return Some(self.to_columns.clone());
        }
        let (_, columns) = self.foreign_text()?;
        let columns: Vec<String> = columns.split(',').map(|column| column.trim().trim_matches(['"', '`']).to_owned()).collect();
        (!columns.iter().any(String::is_empty)).then_some(columns)
    }

    /// `[references] table (columns)`, taken apart.
    fn foreign_text(&self) -> Option<(&str, &str)> {
        let text = self.expression.as_deref()?.trim();
        let text = text.get(..11).filter(|word| word.eq_ignore_ascii_case("references ")).map_or(text, |_| text.get(11..).unwrap_or_default());
        let (table, columns) = text.strip_suffix(')')?.rsplit_once('(')?;
        Some((table.trim(), columns)).filter(|(table, _)| !table.is_empty())
    }
}

impl ConstraintKind {
    /// The name in properties files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotNull => "not_null",
            Self::Unique => "unique",
            Self::PrimaryKey => "primary_key",
            Self::ForeignKey => "foreign_key",
            Self::Check => "check",
            Self::Custom => "custom",
        }
    }
}

/// A column as declared in a properties file.
#[derive(Debug, Clone)]
pub struct ColumnDecl {
    pub name: String,
    pub data_type: Option<String>,
    pub description: String,
    /// The ids of the docs blocks that the description names.
    pub doc_blocks: Vec<String>,
    pub constraints: Vec<ConstraintDecl>,
    pub tags: Vec<String>,
    pub meta: serde_json::Map<String, Json>,
    pub quote: bool,
    /// `day`, `month`, ...: of a column of times.
    pub granularity: Option<String>,
    pub span: Span,
    /// Where its type stands.
    pub type_span: Option<Span>,
}

/// What a source says of all its tables, for readers of the manifest.
#[derive(Debug, Clone, Default)]
pub struct AboutSource {
    pub loader: String,
    pub description: String,
    pub meta: serde_json::Map<String, Json>,
    /// Database and schema as written, templates and all.
    pub written: [Option<String>; 2],
    /// `external` as written.
    pub external: Option<Json>,
    /// Whether database, schema and identifier are to be quoted, where it is said.
    pub quoting: [Option<bool>; 3],
}

/// Where a source's rows come from when it is not a Delta table of the warehouse.
#[derive(Debug, Clone)]
pub struct ExternalSource {
    pub config: ExternalConfig,
    /// Where its location stands.
    pub span: Span,
    /// Where its options stand, by name.
    pub option_spans: std::collections::BTreeMap<String, Span>,
    /// How the files are read where that is written as a call of a function, whose first path is the location then.
    pub call: Option<String>,
}

/// What only data tests have.
#[derive(Debug, Clone)]
pub struct TestDetails {
    /// `None` for a singular test.
    pub generic: Option<GenericTest>,
    /// The node the test is attached to, where there is one.
    pub attached: Option<NodeId>,
    pub column: Option<String>,
}

/// A generic test's macro and arguments.
#[derive(Debug, Clone)]
pub struct GenericTest {
    pub package: Option<String>,
    pub name: String,
    pub arguments: serde_json::Map<String, Json>,
    pub span: Span,
}

/// What only functions have.
#[derive(Debug, Clone)]
pub struct FunctionDetails {
    pub arguments: Vec<FunctionArgument>,
    /// The type of the result.
    pub returns: String,
    pub returns_description: Option<String>,
}

impl FunctionDetails {
    /// What dbt's entry of a function has beside what all nodes have.
    #[must_use]
    pub fn fields(&self) -> serde_json::Map<String, Json> {
        let argument = |argument: &FunctionArgument| json!({"name": argument.name, "data_type": argument.data_type, "description": argument.description, "default_value": argument.default});
        let arguments: Vec<Json> = self.arguments.iter().map(argument).collect();
        let returns = json!({"data_type": self.returns, "description": self.returns_description});
        serde_json::Map::from_iter([("arguments".to_owned(), Json::from(arguments)), ("returns".to_owned(), returns)])
    }
}

#[derive(Debug, Clone)]
pub struct FunctionArgument {
    pub name: String,
    pub data_type: String,
    pub description: Option<String>,
    /// What it is where a call leaves it out: a number or a truth value, or text that is SQL.
    pub default: Option<Json>,
}

/// What differs by resource type.
#[derive(Debug, Clone)]
pub enum NodeKind {
    Model,
    Analysis,
    Described(Box<Described>),
    Function(Box<FunctionDetails>),
    Seed { path: std::path::PathBuf },
    Snapshot,
    Source { source_name: String, about: Box<AboutSource>, external: Option<ExternalSource> },
    Test(Box<TestDetails>),
    UnitTest(Box<UnitTest>),
}

impl NodeKind {
    #[must_use]
    pub fn resource_type(&self) -> ResourceType {
        match self {
            Self::Model => ResourceType::Model,
            Self::Analysis => ResourceType::Analysis,
            Self::Described(described) => described.kind.resource_type(),
            Self::Function(_) => ResourceType::Function,
            Self::Seed { .. } => ResourceType::Seed,
            Self::Snapshot => ResourceType::Snapshot,
            Self::Source { .. } => ResourceType::Source,
            Self::Test(_) => ResourceType::Test,
            Self::UnitTest(_) => ResourceType::UnitTest,
        }
    }
}

/// One node of the project.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: NodeId,
    pub kind: NodeKind,
    pub name: String,
    pub package: String,
    /// Relative to the resource path, e.g. `staging/stg_customer.sql`; `/` as separator.
    pub path: String,
    /// Relative to the project, e.g. `models/staging/stg_customer.sql`.
    pub original_path: String,
    pub fqn: Vec<String>,
    /// Where the node's text stands: the whole file of a model, the block of a snapshot, the entry of a source.
    pub span: Span,
    pub file: FileId,
    /// Where a properties file describes it.
    pub properties_span: Option<Span>,
    /// The properties file, relative to the project.
    pub properties_path: Option<String>,
    pub raw_code: String,
    pub language: &'static str,
    /// SHA-256 of the file, hexadecimal.
    pub checksum: String,
    /// By itself, as it is most of a node, and nodes are moved.
    pub config: Box<NodeConfig>,
    pub description: String,
    /// The ids of the docs blocks that the description names.
    pub doc_blocks: Vec<String>,
    pub columns: IndexMap<String, ColumnDecl>,
    pub constraints: Vec<ConstraintDecl>,
    pub model: ModelDetails,
    /// `None` for what has no relation of its own: tests, analyses, exposures, ephemeral models.
    pub relation: Option<RelationName>,
    /// Where a test, an analysis or an ephemeral model would stand if it had a relation: artifacts and macros are told so.
    pub unbuilt: Option<Box<RelationName>>,
    pub refs: Vec<NodeRef>,
    pub sources: Vec<SourceRef>,
    /// Sorted and without repetitions.
    pub depends_on: Vec<NodeId>,
    pub depends_on_macros: Vec<String>,
    pub layer: Option<String>,
}

impl Node {
    /// The config as written, under dbt's names of the keys.
    #[must_use]
    pub fn unrendered_config(&self) -> BTreeMap<&str, &Json> {
        let named = |key| match key {
            "pre_hook" => "pre-hook",
            "post_hook" => "post-hook",
            key => key,
        };
        self.config.raw.iter().map(|(key, value)| (named(key.as_str()), self.config.written.get(key).unwrap_or(value))).collect()
    }

    /// What a source says of quotes around database, schema and identifier; `None` for other nodes.
    #[must_use]
    pub fn quoting(&self) -> Option<[Option<bool>; 3]> {
        if let NodeKind::Source { about, .. } = &self.kind { Some(about.quoting) } else { None }
    }

    /// Where its relation stands, or would stand if it had one.
    #[must_use]
    pub fn place(&self) -> Option<&RelationName> {
        self.relation.as_ref().or(self.unbuilt.as_deref())
    }

    /// The name of its relation as artifacts write it: what a source says of quotes goes before what the project says.
    #[must_use]
    pub fn relation_name(&self, relation: &RelationName, project: [bool; 3]) -> String {
        let own = self.quoting().unwrap_or_default();
        relation.written([0, 1, 2].map(|part| own[part].unwrap_or(project[part])))
    }

    #[must_use]
    pub fn resource_type(&self) -> ResourceType {
        self.kind.resource_type()
    }

    /// The name with the version, as messages and selection have it: `orders.v2`.
    #[must_use]
    pub fn label(&self) -> String {
        self.model.version.as_ref().map_or_else(|| self.name.clone(), |version| format!("{}.v{version}", self.name))
    }

    /// Kind, name and file, as headlines of failures have them: `model orders (models/orders.sql)`.
    #[must_use]
    pub fn described(&self) -> String {
        headline(self.resource_type().name(), &self.name, &self.original_path)
    }

    /// The constraints of the node and of its columns, those of a column with its name.
    pub fn all_constraints(&self) -> impl Iterator<Item = (Option<&ColumnDecl>, &ConstraintDecl)> {
        let of_columns = self.columns.values().flat_map(|column| column.constraints.iter().map(move |constraint| (Some(column), constraint)));
        of_columns.chain(self.constraints.iter().map(|constraint| (None, constraint)))
    }

    #[must_use]
    pub fn test(&self) -> Option<&TestDetails> {
        let NodeKind::Test(details) = &self.kind else { return None };
        Some(details)
    }

    #[must_use]
    pub fn function(&self) -> Option<&FunctionDetails> {
        let NodeKind::Function(details) = &self.kind else { return None };
        Some(details)
    }

    /// Whether it is a model or a test of a file with nothing but white space: it is not there yet.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self.resource_type(), ResourceType::Model | ResourceType::Test) && self.raw_code.trim().is_empty()
    }

    #[must_use]
    pub fn unit_test(&self) -> Option<&UnitTest> {
        let NodeKind::UnitTest(details) = &self.kind else { return None };
        Some(details)
    }
}
