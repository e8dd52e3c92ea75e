//! Declarations become nodes: configs merged by precedence, refs and sources looked up, generic tests expanded, layer
//! and naming rules enforced.
//!
//! Templates are rendered here in parse mode, without a warehouse, to learn what they refer to. Reading files is left
//! to `load`, cycles and selection to `graph`.

mod access;
mod builder;
mod config;
mod constraints;
mod data_test;
mod described;
mod hooks;
mod host;
mod kept;
mod layers;
mod location;
mod lookup;
mod macros;
mod mirror;
mod nodes;
mod project;
mod python;
mod refresh;
mod relation;
mod sound;
mod source;
mod streams;
mod trees;
mod unit_test;
mod unused;
mod variables;
mod variables_read;
mod versions;

pub use hooks::{Hook, node_hooks};
pub use layers::Layers;
pub use project::{Body, Project, ResolveOptions, resolve, resolve_sound};
pub use variables::Variables;
