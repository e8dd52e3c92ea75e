//! The closed set of steps that an engine carries out: plain data.

use indexmap::IndexMap;

use super::Overlay;
use crate::base::Span;
use crate::manifest::{ExternalConfig, RelationName, StreamKind};

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

/// How rows meet those that are there. Where there is no table yet, every mode makes one of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteMode {
    /// Replace all rows, and the schema with them; the history stays.
    Overwrite,
    Append,
    Merge(Merge),
    /// Remove the rows whose key is among the new rows' keys, and add all new rows.
    DeleteInsert {
        keys: Vec<String>,
        /// Conditions on the rows that may be removed, all of which must hold.
        predicates: Vec<String>,
    },
    /// Replace the partitions that the new rows belong to.
    OverwritePartitions,
    /// Replace the rows for which a condition holds. New rows for which `new` does not hold are refused.
    ReplaceWhere {
        condition: String,
        new: String,
    },
}

/// New rows meet old ones by key, NULL being equal to NULL. Conditions are SQL over both, under their aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    pub keys: Vec<String>,
    pub target_alias: String,
    pub source_alias: String,
    /// What else must hold for two rows to match.
    pub predicates: Vec<String>,
    /// What happens to a row that matches; `None` leaves it as it is.
    pub matched: Option<Matched>,
    /// What happens to a new row without a match.
    pub not_matched: Option<NotMatched>,
    /// What happens to an old row without a match; `None` leaves it as it is.
    pub not_matched_by_source: Option<NotMatchedBySource>,
    /// Columns of the new rows that conditions use and the table does not get.
    pub unstored: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    pub condition: Option<String>,
    pub update: UpdateColumns,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotMatched {
    pub condition: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotMatchedBySource {
    pub condition: Option<String>,
    /// Column and SQL over the old row; `None` deletes the row.
    pub update: Option<Vec<(String, String)>>,
}

/// The columns that a match takes over from the new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateColumns {
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

/// Of several rows of the input with one key the first stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    pub keys: Vec<String>,
    /// An `order by` list, in SQL.
    pub order_by: String,
}

/// What happens when the new rows have other columns than the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaChange {
    /// New columns are left out, a missing one is an error.
    #[default]
    Ignore,
    /// Any difference is an error.
    Fail,
    /// New columns are added; one that is missing is NULL in the new rows.
    Append,
    /// The table gets the columns and types of the new rows.
    Sync,
}

/// Rows for a Delta table.
#[derive(Debug, Clone)]
pub struct TableWrite {
    pub relation: RelationName,
    pub input: TableInput,
    pub mode: WriteMode,
    /// Counts for every mode but [`WriteMode::Overwrite`].
    pub schema_change: SchemaChange,
    pub dedupe: Option<Dedupe>,
    /// The columns of a contract: types are cast to, nullability is set on the table. Empty where there is none;
    /// then names and types follow the query and every column is nullable.
    pub columns: Vec<TableColumn>,
    /// The conditions that every row has to keep from now on, in the place of those that earlier writes set; `None`
    /// leaves them, and which columns take NULL, as they are. Those that the table has from elsewhere stay.
    pub checks: Option<Vec<CheckRule>>,
    pub settings: TableSettings,
    /// Sources of which only what is new is read. An overwrite reads them from their beginning.
    pub streams: Vec<StreamRead>,
    pub label: CommitLabel,
}

/// A source of which a write reads only what no earlier write of its table has read, wherever its query names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRead {
    pub source: RelationName,
    pub kind: StreamKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// A type name of the dialect.
    pub data_type: String,
    pub nullable: bool,
}

/// A condition that holds for every row of a table. NULL is not enough, as Delta has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckRule {
    /// In lower case.
    pub name: String,
    /// SQL over the table's columns.
    pub expression: String,
}

/// A rule of a table about its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokenRule {
    NotNull { column: String },
    Check(CheckRule),
}

impl std::fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotNull { column } => write!(f, "`{column}` is NULL, and the table allows none"),
            Self::Check(CheckRule { name, expression }) => write!(f, "the constraint `{name}` does not hold: {expression}"),
        }
    }
}

/// Rows that break a rule of their table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub relation: String,
    pub rule: BrokenRule,
    /// How many of the rows looked at break it; the first batch with such rows ends the look.
    pub rows: usize,
    /// Some of them, as text.
    pub shown: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = if self.rows == 1 { "a row".to_owned() } else { format!("{} rows", self.rows) };
        write!(f, "`{}` refuses {rows}: {}; for example {}", self.relation, self.rule, self.shown.join(", "))
    }
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
    /// For a table that is there: on, off, or as it is.
    pub switch_change_feed: Option<bool>,
    pub description: Option<String>,
    pub column_comments: IndexMap<String, String>,
    /// SQL of the values of columns in rows that do not name them.
    pub column_defaults: IndexMap<String, String>,
}

/// Files for consumers: one file, written aside and renamed.
#[derive(Debug, Clone)]
pub struct FilesWrite {
    pub relation: RelationName,
    pub sql: String,
    pub config: ExternalConfig,
    /// Where the options stand, by name.
    pub option_spans: std::collections::BTreeMap<String, crate::base::Span>,
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
