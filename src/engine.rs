//! The seam between the compiler and whatever runs SQL: a trait with few verbs, and steps as plain data.
//!
//! An engine knows relations, not nodes. It decides nothing: what to do comes as [`Step`]s from `plan`, in the order
//! in which `exec` sends them. Every write goes stage, (audit,) publish; a staged relation can be queried before it is
//! published, and dismissing it leaves the warehouse as it was.

mod error;
pub mod local;
mod rows;
mod step;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use futures::future::BoxFuture;

pub use error::EngineError;
pub use rows::json_rows;
pub use step::{
    BrokenRule, CheckRule, CommitLabel, Dedupe, FilesWrite, InputVersion, Matched, Merge, NotMatched, NotMatchedBySource, Outcome, SchemaChange,
    SeedInput, StageId, Step, StreamRead, TableColumn, TableInput, TableSettings, TableWrite, UpdateColumns, ViewWrite, Violation, WriteMode,
};

use crate::base::{Code, Diagnostic};
pub use crate::manifest::StreamKind;
use crate::manifest::{ExternalConfig, FileFormat, RelationName};
pub use crate::sql::SqlError;
use crate::sql::{FileCall, FileKind, Semantics};

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
    /// Where the options stand, by name.
    pub option_spans: std::collections::BTreeMap<String, crate::base::Span>,
    /// How they are read, where that is written as a call of a function of DuckDB's; `config` has one of its paths then.
    pub call: Option<FileCall>,
}

impl FilesBinding {
    /// The files that a call means.
    #[must_use]
    pub fn of_call(name: RelationName, call: FileCall) -> Self {
        let format = match call.kind {
            FileKind::Csv => FileFormat::Csv,
            FileKind::Json => FileFormat::Json,
            FileKind::Parquet => FileFormat::Parquet,
        };
        let location = call.paths.first().cloned().unwrap_or_default();
        let config = ExternalConfig { location, format, options: indexmap::IndexMap::new() };
        Self { name, config, columns: Vec::new(), span: None, option_spans: std::collections::BTreeMap::new(), call: Some(call) }
    }
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

    /// Makes files readable under a name. Nothing is looked at before the name is used: what is wrong with the location
    /// or an option fails the queries that read it, and no other.
    fn bind(&self, binding: FilesBinding);

    /// The columns that a seed's file gives, without loading it.
    ///
    /// # Errors
    /// If the file is missing or can't be read as CSV.
    fn seed_schema<'a>(&'a self, seed: &'a SeedInput) -> BoxFuture<'a, Result<SchemaRef, EngineError>>;

    /// The columns of files that a query names as a table, without reading more than tells them.
    ///
    /// # Errors
    /// If the files are missing or can't be read.
    fn files_schema<'a>(&'a self, call: &'a FileCall) -> BoxFuture<'a, Result<SchemaRef, EngineError>>;

    /// What the SQL of its target means.
    fn semantics(&self) -> Semantics;

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

    /// What an error in the stream of a query's or statement's rows means, and where in it it comes from. This may run parts of
    /// the query again.
    fn failure<'a>(&'a self, error: DataFusionError, sql: &'a str, overlays: &'a [Overlay]) -> BoxFuture<'a, EngineError>;

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

    /// Drops the temporary tables that statements made in the warehouse: the work is done.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What [`Engine::files_schema`] found, for those who go on without files that are not there.
///
/// # Errors
/// What is wrong with files that are there.
pub fn known_files(found: Result<SchemaRef, EngineError>) -> Result<Option<SchemaRef>, Box<Diagnostic>> {
    match found {
        Ok(schema) => Ok(Some(schema)),
        Err(EngineError::Diagnosed(diagnostic)) if diagnostic.code == Code::InputMissing => Ok(None),
        Err(EngineError::Diagnosed(diagnostic)) => Err(diagnostic),
        Err(error) => {
            let help = "check that the files may be read, and are what their names say";
            Err(Box::new(Diagnostic::error(Code::InputFile, error.to_string()).help(help)))
        }
    }
}
