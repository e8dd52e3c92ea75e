//! Running: a ready queue over the DAG, one node's steps in order, retries, cancellation, and the results.
//!
//! Knows nodes, compiled SQL and the engine's verbs; decides nothing about materializations (`plan` does) and prints
//! nothing (events do).

mod audit;
mod batches;
mod comment;
mod ended;
mod freshness;
mod hooks;
mod keys;
mod node;
mod port;
mod queue;
mod run;
mod staged;
mod unit_test;
mod verdict;

pub use audit::audits;
pub use batches::BatchOptions;
pub use freshness::{FreshnessReport, criteria, freshness};
pub use hooks::RunHooks;
pub use port::EnginePort;
pub use queue::{RunOrder, run_order};
pub use run::{RunOptions, RunReport, run};
