//! The DAG over a project's nodes: cycles, neighbours, the order of work, and selection.

mod compare;
mod criterion;
mod dag;
mod likely;
mod method;
mod select;
mod selectors;

pub use dag::Dag;
pub use select::{Idle, IndirectSelection, Selected, Selection, select};
pub use selectors::{Selectors, selector_definitions};
