//! The DAG over a project's nodes: cycles, neighbours, the order of work, and selection.

mod dag;
mod method;
mod select;

pub use dag::Dag;
pub use select::{Selection, select, unmatched};
