//! Everything that happens during a command and that somebody may want to see. One closed enum: the console, the
//! log files and the structured log lines are all made from it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use super::{Diagnostic, Sources, headline};

/// Who hears a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The log file.
    Log,
    /// The terminal too.
    Terminal,
    /// The terminal, as a warning.
    Warning,
    /// The terminal, as the message stands and where all else is quiet: it is what a script asked for.
    Script,
}

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A command began.
    Started {
        version: &'static str,
        command: String,
    },
    /// What the project holds, counted: `("model", 12)`, sorted by name.
    Found {
        counts: Vec<(String, usize)>,
    },
    /// A run is about to begin.
    RunStarted {
        threads: usize,
        target: String,
        total: usize,
    },
    NodeStarted(NodeStart),
    NodeFinished(Box<NodeDone>),
    /// A batch of a node began; its position is the one among the node's batches.
    BatchStarted {
        batch: String,
        start: NodeStart,
    },
    BatchFinished {
        batch: String,
        done: Box<NodeDone>,
    },
    /// A template or the program has something to say.
    Message {
        text: String,
        heard: Heard,
        node: Option<String>,
    },
    /// Something about the user's project; the texts it points into come with it.
    Diagnosed {
        diagnostic: Box<Diagnostic>,
        sources: Arc<Sources>,
        node: Option<String>,
    },
    /// SQL that was sent to the engine, for the debug log.
    SqlSent {
        node: String,
        sql: String,
    },
    /// Ctrl-C was pressed: what is running is dismissed, the rest is skipped.
    Interrupted,
    /// All nodes are done.
    RunFinished {
        totals: Totals,
        elapsed_seconds: f64,
        /// Nodes that have no line of their own and could not be compiled, so that their readers were skipped.
        broken: Vec<NodeStart>,
    },
    /// A selection matched nothing.
    NothingToDo,
    /// One criterion of a selection names nothing, as it was written.
    SelectsNothing {
        criterion: String,
        /// What was likely meant.
        near: Option<String>,
    },
    /// `kind` is `manifest`, `run_results`, ...
    ArtifactWritten {
        kind: &'static str,
        path: String,
    },
    /// A command ended, whatever it did.
    CommandCompleted {
        command: String,
        success: bool,
        elapsed_seconds: f64,
    },
    /// A macro that was called as an operation failed.
    OperationFailed {
        message: String,
    },
    /// What was asked to be shown, where lines are structured; else it is printed as it is.
    Shown(Box<Shown>),
    /// The surroundings failed the whole command.
    Failed {
        message: String,
    },
}

/// Rows or SQL that were asked for.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Whether it is SQL, and not rows.
    pub compiled: bool,
    pub name: String,
    pub id: String,
    pub inline: bool,
    /// Whether `text` is JSON.
    pub json: bool,
    pub quiet: bool,
    pub text: String,
}

/// A node that begins.
#[derive(Debug, Clone)]
pub struct NodeStart {
    /// Position in the run, from 1.
    pub index: usize,
    pub total: usize,
    pub id: String,
    pub name: String,
    /// `model`, `seed`, `test`, ...
    pub resource_type: String,
    /// `table`, `view`, ...; for tests `test`.
    pub materialization: String,
    /// Whether it is built in batches.
    pub microbatch: bool,
    /// What the node builds, where it builds something.
    pub relation: Option<RelationParts>,
    pub path: String,
    /// The worker the node runs on, e.g. `Thread-1`.
    pub thread: String,
    pub at: DateTime<Utc>,
    pub about: Arc<NodeAbout>,
}

/// What structured lines tell of a node besides.
#[derive(Debug, Clone, Default)]
pub struct NodeAbout {
    /// The file, relative to its resource path.
    pub path: String,
    pub checksum: String,
    pub meta: Map<String, Json>,
    /// Name, package and owner of its group.
    pub group: Option<Json>,
    /// The id of what a test is attached to.
    pub attached: Option<String>,
}

impl NodeStart {
    /// Kind, name and file, as headlines of failures have them: `model orders (models/orders.sql)`.
    #[must_use]
    pub fn described(&self) -> String {
        headline(&self.resource_type, &self.name, &self.path)
    }
}

/// A relation's name as log lines need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationParts {
    pub database: String,
    pub schema: String,
    pub identifier: String,
    /// All three parts, quoted for SQL.
    pub quoted: String,
}

/// A node that ended.
#[derive(Debug, Clone)]
pub struct NodeDone {
    pub start: NodeStart,
    pub outcome: NodeOutcome,
    /// What to show behind the status, e.g. `120 rows`; for failures the whole reason; for skipped nodes because of
    /// what, e.g. "because of `stg_customer`".
    pub message: String,
    /// Rows written (models, seeds) or failing rows (tests).
    pub rows: Option<u64>,
    pub elapsed_seconds: f64,
    pub finished_at: DateTime<Utc>,
    /// Where the compiled SQL was written, for failures.
    pub compiled_path: Option<String>,
}

/// How a node ended. The names are those of dbt's `run_results.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeOutcome {
    Success,
    Pass,
    Warn,
    Fail,
    Error,
    /// Some of its batches failed.
    PartialSuccess,
    Skipped,
    NoOp,
}

impl NodeOutcome {
    /// The status in `run_results.json`.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::PartialSuccess => "partial success",
            Self::Skipped => "skipped",
            Self::NoOp => "no-op",
        }
    }

    /// Whether the command exits with 1 because of it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Error | Self::PartialSuccess)
    }
}

/// The counts of the `Done.` line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub pass: usize,
    pub warn: usize,
    pub error: usize,
    pub skip: usize,
    pub no_op: usize,
}

impl Totals {
    pub fn count(&mut self, outcome: NodeOutcome) {
        match outcome {
            NodeOutcome::Success | NodeOutcome::Pass => self.pass += 1,
            NodeOutcome::Warn => self.warn += 1,
            NodeOutcome::Fail | NodeOutcome::Error | NodeOutcome::PartialSuccess => self.error += 1,
            NodeOutcome::Skipped => self.skip += 1,
            NodeOutcome::NoOp => self.no_op += 1,
        }
    }

    #[must_use]
    pub fn total(&self) -> usize {
        self.pass + self.warn + self.error + self.skip + self.no_op
    }
}

/// Somebody who wants to see events.
pub trait EventSink: Send {
    fn event(&mut self, event: &Event, at: DateTime<Utc>);
}

/// The way to all sinks; cheap to clone. Events reach every sink in the order in which they were sent.
#[derive(Clone)]
pub struct Events {
    sinks: Arc<Mutex<Vec<Box<dyn EventSink>>>>,
    clock: Arc<dyn super::Clock>,
}

impl Events {
    #[must_use]
    pub fn new(clock: Arc<dyn super::Clock>, sinks: Vec<Box<dyn EventSink>>) -> Self {
        Self { sinks: Arc::new(Mutex::new(sinks)), clock }
    }

    pub fn send(&self, event: &Event) {
        let at = self.clock.now();
        for sink in self.sinks.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            sink.event(event, at);
        }
    }

    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
