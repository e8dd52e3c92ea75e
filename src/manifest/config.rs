//! What can be configured about a node, typed.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{Access, Microbatch};
use crate::base::Span;

/// How a node becomes a relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Materialization {
    View,
    Table,
    /// A table that a database would refresh by itself, by the name it has there; here each run builds it anew.
    Refreshed(&'static str),
    Incremental,
    Ephemeral,
    Snapshot,
    Seed,
    Test,
    /// Files for consumers.
    External,
    /// A materialization macro of the project, by name.
    Custom(String),
}

impl Materialization {
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::Refreshed(name) => name,
            Self::Incremental => "incremental",
            Self::Ephemeral => "ephemeral",
            Self::Snapshot => "snapshot",
            Self::Seed => "seed",
            Self::Test => "test",
            Self::External => "external",
            Self::Custom(name) => name,
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "view" => Self::View,
            "table" => Self::Table,
            "incremental" => Self::Incremental,
            "ephemeral" => Self::Ephemeral,
            "snapshot" => Self::Snapshot,
            "seed" => Self::Seed,
            "test" => Self::Test,
            "external" => Self::External,
            "materialized_view" => Self::Refreshed("materialized_view"),
            "dynamic_table" => Self::Refreshed("dynamic_table"),
            other => Self::Custom(other.to_owned()),
        }
    }
}

/// A format of files that Alluvium reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileFormat {
    Csv,
    Json,
    Parquet,
}

impl FileFormat {
    pub const NAMES: [&'static str; 3] = ["csv", "json", "parquet"];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }

    /// The format of that name; `ndjson` and `jsonl` are names of JSON too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" | "ndjson" | "jsonl" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The format that a file name suggests by its ending, compressed (`.gz` and the like) or not.
    #[must_use]
    pub fn from_location(location: &str) -> Option<Self> {
        let mut endings = location.rsplit('/').next().unwrap_or(location).rsplit('.');
        let last = endings.next()?;
        Self::from_name(last).or_else(|| matches!(last, "gz" | "bz2" | "xz" | "zst").then(|| endings.next().and_then(Self::from_name)).flatten())
    }
}

/// `location`, `format` and `options` of an external model or an external source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalConfig {
    /// A path relative to the project, or a URI; of a source also a glob or a folder.
    pub location: String,
    pub format: FileFormat,
    /// `header`, `delimiter`, `quote`, `null_value`, ... as text.
    pub options: IndexMap<String, String>,
}

/// Columns a table is partitioned by.
pub type PartitionBy = Vec<String>;

/// When a data test runs relative to the publication of what it tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audit {
    BeforeCommit,
    After,
}

/// What a failing test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnViolation {
    Warn,
    Error,
}

/// The custom schema of tests, in which they store failing rows, where they name no other.
pub const SCHEMA_OF_FAILURES: &str = "dbt_test__audit";

/// The config of a data test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestConfig {
    pub severity: OnViolation,
    /// A comparison with the number of failures, e.g. `!= 0` or `> 10`.
    pub error_if: String,
    pub warn_if: String,
    /// An aggregate over the failing rows, e.g. `count(*)`.
    pub fail_calc: String,
    pub limit: Option<u64>,
    pub filter: Option<String>,
    pub store_failures: bool,
    /// Whether what is stored is a view of the failing rows, and not a table of them.
    pub failures_as_view: bool,
    /// `None` leaves it to the project's default.
    pub audit: Option<Audit>,
}

impl Default for TestConfig {
    fn default() -> Self {
        Self {
            severity: OnViolation::Error,
            error_if: "!= 0".into(),
            warn_if: "!= 0".into(),
            fail_calc: "count(*)".into(),
            limit: None,
            filter: None,
            store_failures: false,
            failures_as_view: false,
            audit: None,
        }
    }
}

/// How a source is read as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKind {
    /// The files that were not read before.
    NewFiles,
    /// The rows that came to an append-only Delta table since it was read.
    NewRows,
}

impl StreamKind {
    pub const ALL: [Self; 2] = [Self::NewFiles, Self::NewRows];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewFiles => "new_files",
            Self::NewRows => "new_rows",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which sources an incremental model reads as streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Streams {
    #[default]
    None,
    /// All sources of a kind: files, or Delta tables.
    All(StreamKind),
    /// These, by `source.table`.
    Named(Vec<(String, StreamKind)>),
}

/// How the rows of an incremental model meet those that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncrementalStrategy {
    Append,
    Merge,
    DeleteInsert,
    InsertOverwrite,
    ReplaceWhere,
    /// Each batch of time replaces the rows of its window.
    Microbatch(Box<Microbatch>),
    /// One that only a macro of the project can carry out, by name.
    Other(String),
}

impl IncrementalStrategy {
    /// The strategies that are there, as configs spell them.
    pub const NAMES: [&'static str; 6] = ["append", "merge", "delete+insert", "insert_overwrite", "replace_where", "microbatch"];

    /// A strategy that has nothing but its name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "append" => Self::Append,
            "merge" => Self::Merge,
            "delete+insert" | "delete_insert" => Self::DeleteInsert,
            "insert_overwrite" | "insert+overwrite" => Self::InsertOverwrite,
            "replace_where" => Self::ReplaceWhere,
            other => Self::Other(other.to_owned()),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Append => "append",
            Self::Merge => "merge",
            Self::DeleteInsert => "delete+insert",
            Self::InsertOverwrite => "insert_overwrite",
            Self::ReplaceWhere => "replace_where",
            Self::Microbatch(_) => "microbatch",
            Self::Other(name) => name,
        }
    }
}

/// What an incremental model does when its query yields other columns than its table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSchemaChange {
    #[default]
    Ignore,
    Fail,
    AppendNewColumns,
    SyncAllColumns,
}

/// The config of an incremental model. Conditions are SQL over the table's row and the new row, under their aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementalConfig {
    pub strategy: IncrementalStrategy,
    /// Empty where the model has no key.
    pub unique_key: Vec<String>,
    pub on_schema_change: OnSchemaChange,
    pub predicates: Vec<String>,
    pub merge_update_columns: Vec<String>,
    pub merge_exclude_columns: Vec<String>,
    pub matched_condition: Option<String>,
    pub not_matched_condition: Option<String>,
    pub not_matched_by_source_condition: Option<String>,
    /// `delete`, or `update set column = value, ...`.
    pub not_matched_by_source_action: Option<String>,
    pub skip_matched_step: bool,
    pub skip_not_matched_step: bool,
    pub target_alias: String,
    pub source_alias: String,
    /// An `order by` list: the first row of each key stays.
    pub dedupe: Option<String>,
    pub streams: Streams,
}

impl IncrementalConfig {
    /// The batches, where the model is built in batches.
    #[must_use]
    pub fn microbatch(&self) -> Option<&Microbatch> {
        if let IncrementalStrategy::Microbatch(config) = &self.strategy { Some(config) } else { None }
    }

    /// What conditions call the row of the table, unless the config says otherwise.
    pub const TARGET_ALIAS: &'static str = "DBT_INTERNAL_DEST";
    /// What they call the new row.
    pub const SOURCE_ALIAS: &'static str = "DBT_INTERNAL_SOURCE";
}

/// How a snapshot notices that a row changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotStrategy {
    /// By a column with the time of the last change.
    Timestamp { updated_at: String },
    /// By comparing columns; `None` compares all.
    Check { columns: Option<Vec<String>> },
}

/// What a snapshot does with rows that are gone from its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HardDeletes {
    #[default]
    Ignore,
    Invalidate,
    NewRecord,
}

/// The names of the columns that a snapshot adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotColumns {
    pub scd_id: String,
    pub updated_at: String,
    pub valid_from: String,
    pub valid_to: String,
    pub is_deleted: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotConfig {
    pub strategy: SnapshotStrategy,
    pub unique_key: Vec<String>,
    pub hard_deletes: HardDeletes,
    /// SQL for the end of validity of current rows, NULL where absent.
    pub valid_to_current: Option<String>,
    pub columns: SnapshotColumns,
}

/// The merged config of a node. What Alluvium acts on is typed; `raw` keeps every key as the user wrote it, for
/// `config.get`, selection by `config.` and the manifest.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    pub enabled: bool,
    pub materialization: Materialization,
    pub alias: Option<String>,
    pub schema: Option<String>,
    pub database: Option<String>,
    pub tags: Vec<String>,
    pub meta: serde_json::Map<String, Json>,
    pub group: Option<String>,
    pub access: Access,
    pub full_refresh: Option<bool>,
    pub contract_enforced: bool,
    /// Whether the query may yield more columns than the contract lists: `contract: {enforced: true, columns: subset}`.
    pub contract_subset: bool,
    pub partition_by: PartitionBy,
    pub table_properties: IndexMap<String, String>,
    /// `None`: on for a table that is made, and left as it is for one that is there.
    pub change_feed: Option<bool>,
    pub persist_docs_relation: bool,
    pub persist_docs_columns: bool,
    /// External models only.
    pub external: Option<ExternalConfig>,
    /// Seeds only: types by column name.
    pub column_types: IndexMap<String, String>,
    /// Seeds only.
    pub delimiter: char,
    /// Incremental models only.
    pub incremental: Option<Box<IncrementalConfig>>,
    /// Snapshots only; `None` for one whose config can't be read.
    pub snapshot: Option<Box<SnapshotConfig>>,
    /// Data tests only.
    pub test: TestConfig,
    pub raw: serde_json::Map<String, Json>,
    /// What was written for keys of `raw` whose values come of templates in YAML.
    pub written: serde_json::Map<String, Json>,
    /// Where the keys of `raw` were set, as far as that is a place in a file.
    pub spans: BTreeMap<String, Span>,
}

impl NodeConfig {
    /// Where a key was set.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<Span> {
        self.spans.get(key).copied()
    }

    /// Where the options of an external model were set, by name.
    #[must_use]
    pub fn option_places(&self) -> BTreeMap<String, Span> {
        let named = |span| self.external.iter().flat_map(move |external| external.options.keys().map(move |name| (name.clone(), span)));
        self.place("options").map(|span| named(span).collect()).unwrap_or_default()
    }
}
