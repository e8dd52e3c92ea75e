//! Proves a project without data: everything that compiling a node finds, for all nodes at once, from schemas that are
//! written down. What is not known is said once and spreads no errors.
//!
//! What a node's check came to is kept between commands, by the fingerprint of all that it depends on (`kept`).
//!
//! Compiling itself, its proofs and its lineage are `compile`'s; here the nodes are walked, and what was found is
//! sorted, weighed by the project's `severity`, silenced by comments, and written in the formats of other tools.

mod against;
mod allow;
mod described;
mod format;
mod kept;
mod lineage;
mod lock;
mod offline;
mod record;
mod state;
mod visit;
mod walk;

pub use against::{Change, ChangeKind, Reaches, changes, findings_of_changes};
pub use format::{CheckFormat, render_findings};
pub use lineage::{Direction, LineageFormat, lineage};
pub use lock::{LOCK_FILE, LockError, LockedColumn, LockedRelation, SourcesLock, declared_schema, locked_schemas};
pub use offline::{Offline, is_below};
pub use record::{Finding, Record, RecordLabel, Report, Summary, report};
pub use state::{ColumnState, ContractState, LINEAGE_FILE, NodeState, ProjectState, write_state};
pub use visit::Proof;
pub use walk::{Checked, check};
