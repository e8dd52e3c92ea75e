//! The seam between the compiler and whatever runs SQL: a trait with few verbs, and steps as plain data.
//!
//! An engine knows relations, not nodes. It decides nothing: what to do comes as [`Step`]s from `plan`, in the order
//! in which `exec` sends them. Every write goes stage, (audit,) publish; a staged relation can be queried before it is
//! published, and dismissing it leaves the warehouse as it was.

pub mod local;
mod rows;
mod step;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use futures::future::BoxFuture;

pub use rows::json_rows;
pub use step::{
    BrokenRule, CheckRule, CommitLabel, Dedupe, FilesWrite, InputVersion, Matched, Merge, NotMatched, NotMatchedBySource, Outcome, SchemaChange,
    SeedInput, StageId, Step, StreamRead, TableColumn, TableInput, TableSettings, TableWrite, UpdateColumns, ViewWrite, Violation, WriteMode,
};

use crate::base::Diagnostic;
pub use crate::manifest::StreamKind;
use crate::manifest::{ExternalConfig, RelationName};
pub use crate::sql::SqlError;

/// What a relation is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    Table,
    View,
    /// Files that a source names.
    Files,
}

/// A relation as it stands in the warehouse.
#[derive(Debug, Clone)]
pub struct RelationState {
    pub kind: RelationKind,
    /// Column names, Arrow types and nullability, as a query sees them.
    pub schema: SchemaRef,
    /// The version of the Delta log; `None` for views and files.
    pub version: Option<u64>,
    /// The defining query of a view.
    pub sql: Option<String>,
    pub partition_by: Vec<String>,
    /// Conditions that the table holds its rows to, by name.
    pub constraints: std::collections::BTreeMap<String, String>,
}

/// Tells the engine of a relation that is not in the warehouse: files that a source names.
#[derive(Debug, Clone)]
pub struct FilesBinding {
    pub name: RelationName,
    pub config: ExternalConfig,
    /// Declared columns with their types; they win over what the files suggest. Others are inferred.
    pub columns: Vec<(String, Option<String>)>,
    /// Where the files are named, for messages about them.
    pub span: Option<crate::base::Span>,
}

/// Puts something else in the place of a relation for the length of a query.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// Rows that are staged and not published.
    Stage { name: RelationName, stage: StageId },
    /// A query, as if it were a view of that name.
    Query { name: RelationName, sql: String },
}

/// What an engine can do; what is missing is a diagnostic when a node is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    pub views: bool,
    pub change_feed: bool,
    pub external_files: bool,
}

/// Something that stores relations and runs SQL over them. Its futures are boxed by hand: under `async_trait`'s bounds the
/// compiler proves again and again that plans may be sent between threads, which was two thirds of checking this crate.
pub trait Engine: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// What stands under a name; `None` where nothing does.
    ///
    /// # Errors
    /// If the storage can't be read, or what is there is damaged.
    fn relation<'a>(&'a self, name: &'a RelationName) -> BoxFuture<'a, Result<Option<RelationState>, EngineError>>;

    /// Makes files readable under a name. Nothing is read before the name is used.
    ///
    /// # Errors
    /// If the location is not a path or URI that this build can reach.
    fn bind(&self, binding: FilesBinding) -> BoxFuture<'_, Result<(), EngineError>>;

    /// The columns that a seed's file gives, without loading it.
    ///
    /// # Errors
    /// If the file is missing or can't be read as CSV.
    fn seed_schema<'a>(&'a self, seed: &'a SeedInput) -> BoxFuture<'a, Result<SchemaRef, EngineError>>;

    /// Runs one query. Rows stream; dropping the stream ends the work.
    ///
    /// # Errors
    /// If the query can't be planned, or something it reads is missing or damaged.
    fn query<'a>(&'a self, sql: &'a str, overlays: &'a [Overlay]) -> BoxFuture<'a, Result<SendableRecordBatchStream, EngineError>>;

    /// Runs one statement of the `sql` command, a hook or an operation, and gives the rows it has, if any.
    ///
    /// # Errors
    /// As [`Engine::query`], and where the statement is not one that the engine knows.
    fn statement<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Option<SendableRecordBatchStream>, EngineError>>;

    /// Carries out one step.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] if another writer won: dismiss, and run the node's steps again.
    fn execute<'a>(&'a self, step: &'a Step) -> BoxFuture<'a, Result<Outcome, EngineError>>;

    /// Tries whether the warehouse can be written, leaving nothing behind.
    ///
    /// # Errors
    /// If it can't.
    fn probe(&self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Dismisses everything that is staged and not published.
    fn cancel(&self) -> BoxFuture<'_, ()>;
}

/// What went wrong in the surroundings. The texts are for users: no type names, no dumps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The SQL does not plan, or a row makes it fail. Spans are in the SQL as it was given.
    #[error("{}", .0.message)]
    Sql(Box<SqlError>),
    /// A problem with a file of the user's, already with its place.
    #[error("{}", .0.message)]
    Diagnosed(Box<Diagnostic>),
    /// Another writer committed first.
    #[error("another writer changed `{relation}` at the same time")]
    Conflict { relation: String },
    #[error("`{relation}` can't be read: {reason}")]
    Damaged { relation: String, reason: String },
    #[error("`{relation}` can't be written: {reason}")]
    Unwritable { relation: String, reason: String },
    /// A row breaks a constraint of the table.
    #[error("`{relation}` refuses a row: {reason}")]
    Constraint { relation: String, reason: String },
    /// Rows break a rule of the table.
    #[error("{0}")]
    Violated(Box<Violation>),
    #[error("{message}")]
    Unsupported { message: String, help: Option<String> },
    #[error("{context}: {reason}")]
    Storage { context: String, reason: String },
    #[error("the memory limit of {limit} was reached: {reason}")]
    Memory { limit: String, reason: String },
    #[error("the run was interrupted")]
    Interrupted,
}
