//! The closed set of steps that an engine carries out: plain data.

use indexmap::IndexMap;

use super::Overlay;
use crate::base::Span;
use crate::manifest::{ExternalConfig, RelationName};

/// One thing for an engine to do.
#[expect(clippy::large_enum_variant, reason = "a node has a handful of steps, and they are never kept")]
#[derive(Debug, Clone)]
pub enum Step {
    /// Write rows aside: the table is as before until they are published.
    StageTable(TableWrite),
    /// Write files for consumers aside.
    StageFiles(FilesWrite),
    /// Record a view; unchanged definitions write nothing. A table of that name is replaced.
    PutView(ViewWrite),
    /// Make a stage visible, by one commit or rename.
    Publish(StageId),
    /// Forget a stage and delete what it wrote.
    Dismiss(StageId),
    /// Remove a relation and what belongs to it; a name that is not there is fine.
    Drop(RelationName),
}

/// Names what a [`Step::StageTable`] or [`Step::StageFiles`] staged; unique within an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub u64);

/// How rows meet those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Replace all rows, and the schema with them; the history stays.
    Overwrite,
    Append,
}

/// Rows for a Delta table.
#[derive(Debug, Clone)]
pub struct TableWrite {
    pub relation: RelationName,
    pub input: TableInput,
    pub mode: WriteMode,
    /// The columns of a contract: types are cast to, nullability is set on the table. Empty where there is none;
    /// then names and types follow the query and every column is nullable.
    pub columns: Vec<TableColumn>,
    pub settings: TableSettings,
    pub label: CommitLabel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// A type name of the dialect.
    pub data_type: String,
    pub nullable: bool,
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum TableInput {
    Query(String),
    /// A query that sees something else in the place of some relations, such as rows that are staged.
    Overlaid {
        sql: String,
        overlays: Vec<Overlay>,
    },
    Seed(SeedInput),
}

/// A CSV file of the project.
#[derive(Debug, Clone)]
pub struct SeedInput {
    pub path: std::path::PathBuf,
    /// Types by column; the others are inferred from all values: boolean, bigint, double, date, timestamp, else text.
    pub column_types: IndexMap<String, String>,
    pub delimiter: char,
    /// The seed's entry, for messages about the file.
    pub span: Span,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableSettings {
    pub partition_by: Vec<String>,
    pub properties: IndexMap<String, String>,
    /// Only for a table that this write creates.
    pub change_feed: bool,
    pub description: Option<String>,
    pub column_comments: IndexMap<String, String>,
}

/// Files for consumers: one file, written aside and renamed.
#[derive(Debug, Clone)]
pub struct FilesWrite {
    pub relation: RelationName,
    pub sql: String,
    pub config: ExternalConfig,
    pub label: CommitLabel,
}

#[derive(Debug, Clone)]
pub struct ViewWrite {
    pub relation: RelationName,
    pub sql: String,
    /// Whether compiling has planned the query; otherwise it is planned before it is recorded.
    pub proved: bool,
    pub description: Option<String>,
    pub label: CommitLabel,
}

/// What a commit says of where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitLabel {
    pub run_id: String,
    pub node: String,
}

/// A relation that was read, and at which version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputVersion {
    pub relation: String,
    pub version: u64,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Staged {
        stage: StageId,
        rows: u64,
    },
    Published {
        version: Option<u64>,
    },
    /// Whether anything changed.
    Done {
        changed: bool,
    },
}
