//! What a template may ask of the phase that renders it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use crate::base::{Diagnostic, Heard, Span};
use crate::manifest::{RelationName, TimeWindow};

/// A call of `ref`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefCall {
    pub package: Option<String>,
    pub name: String,
    pub version: Option<String>,
    /// The call in the file that holds it, which may be a macro's.
    pub span: Option<Span>,
}

/// A call of `source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCall {
    pub source: String,
    pub table: String,
    pub span: Option<Span>,
}

/// The rows that a query gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryTable {
    /// Names and SQL types.
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Json>>,
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    Table,
    View,
}

/// What is known of a relation that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationFacts {
    pub kind: RelationKind,
    /// Names and SQL types.
    pub columns: Vec<(String, String)>,
}

/// The invocation a template is rendered in.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    pub id: String,
    pub run_started_at: DateTime<Utc>,
    pub flags: Json,
    pub arguments: Json,
}

/// One of the batches in which a model is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// E.g. `20240917`.
    pub id: String,
    pub window: TimeWindow,
    /// Whether it begins the table anew.
    pub first: bool,
}

/// What a template reads rows of.
#[derive(Debug, Clone, Copy)]
pub enum Read<'a> {
    Ref(&'a RefCall),
    Source(&'a SourceCall),
}

/// Which rows of a relation a template gets to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restriction {
    /// None: the SQL is to run, not to yield anything.
    Nothing,
    /// No more than a number of them.
    Some(usize),
    /// Those for which a condition holds, in SQL over the relation's columns.
    Rows(String),
}

/// What becomes of a warning that a template gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Warned {
    #[default]
    Shown,
    Error,
    Silent,
}

/// Why a host gives no answer.
#[derive(Debug, Clone)]
pub enum HostError {
    /// The user can mend it.
    Diagnostic(Box<Diagnostic>),
    /// The answer needs parents that are not built yet.
    Deferred { reason: String },
}

impl From<Diagnostic> for HostError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnostic(Box::new(diagnostic))
    }
}

/// What a template may ask for. `resolve` answers while parsing, `compile` and `exec` afterwards.
///
/// A diagnostic without labels gets the place of the call that led to it.
pub trait TemplateHost: Send + Sync {
    /// Whether answers are real. While parsing they are placeholders, and undefined names are let pass.
    fn execute(&self) -> bool;

    /// # Errors
    /// Nothing of that name, or no access to it.
    fn reference(&self, call: &RefCall) -> Result<RelationName, HostError>;

    /// # Errors
    /// Nothing of that name.
    fn source(&self, call: &SourceCall) -> Result<RelationName, HostError>;

    /// Whether `ref` and `this` print database, schema and identifier in quotes.
    fn quoting(&self) -> [bool; 3] {
        [true; 3]
    }

    /// The same of a source, which says it itself.
    fn quoting_of(&self, _source: &SourceCall) -> [bool; 3] {
        [true; 3]
    }

    /// Whether `ref` and `source` give only a part of the rows of what they name.
    fn restriction(&self, _read: Read<'_>) -> Option<Restriction> {
        None
    }

    /// What becomes of `exceptions.warn`.
    fn warned(&self) -> Warned {
        Warned::Shown
    }

    /// The batch that is being built, of a model that is built in batches.
    fn batch(&self) -> Option<Batch> {
        None
    }

    /// A call of `config(..)`, which prints nothing.
    ///
    /// # Errors
    /// Values that no config takes.
    fn config(&self, values: Map<String, Json>, span: Option<Span>) -> Result<(), HostError>;

    fn config_get(&self, key: &str) -> Option<Json>;

    /// A variable as the scope's package sees it; `None` where it is not set.
    fn var(&self, name: &str) -> Option<Json>;

    /// The relation of the node being rendered.
    fn this(&self) -> Option<RelationName>;

    fn target(&self) -> Json;

    fn model(&self) -> Json;

    fn graph(&self) -> Json;

    /// Where `graph` is kept once a template has asked for it. As in dbt, the templates of a run share it, and may put things of
    /// their own into it. `None` where each makes its own.
    fn kept_graph(&self) -> Option<&KeptGraph> {
        None
    }

    fn project_name(&self) -> String;

    fn invocation(&self) -> Invocation;

    /// The flags of the invocation.
    fn flags(&self) -> Json {
        self.invocation().flags
    }

    /// Whether one of dbt's behaviour flags holds; `None` where there is none of that name.
    fn behaves(&self, _flag: &str) -> Option<bool> {
        None
    }

    /// Told of variables of the environment before they are read.
    fn note_environment(&self, _name: &str) {}

    /// What the project file, its packages and the command line say, under dbt's names; null while parsing.
    fn settings(&self) -> Json {
        Json::Null
    }

    fn is_incremental(&self) -> bool;

    /// A constant in the place of a macro, called `name` or `package.name`.
    fn macro_override(&self, _name: &str) -> Option<Json> {
        None
    }

    /// A value in the place of one of the environment's variables.
    fn env_override(&self, _name: &str) -> Option<String> {
        None
    }

    /// Runs a query; blocks.
    ///
    /// # Errors
    /// The query can't run, or not yet.
    fn query(&self, sql: &str) -> Result<QueryTable, HostError>;

    /// `None` where no such relation exists.
    ///
    /// # Errors
    /// It can't be looked up, or not yet.
    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError>;

    /// The text of a docs block.
    ///
    /// # Errors
    /// Nothing of that name.
    fn doc(&self, package: Option<&str>, name: &str) -> Result<String, HostError>;

    /// A YAML document as data; `None` where it can't be read.
    fn yaml(&self, text: &str) -> Option<Json>;

    /// The ids of the nodes that the command selected; none while parsing.
    fn selected_resources(&self) -> Vec<String> {
        Vec::new()
    }

    /// What `log()` and `print()` say.
    fn log(&self, message: &str, heard: Heard);

    /// Search orders of the project file's `dispatch`, by the namespace they are for.
    fn dispatch_order(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }
}

/// `graph` as templates share it.
#[derive(Debug, Default)]
pub struct KeptGraph(pub(super) OnceLock<minijinja::Value>);
