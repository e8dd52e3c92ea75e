//! Templates to text: dbt's Jinja on an embedded engine.
//!
//! Responsible for the language (macros across files and packages, `return`, mutable lists, dbt's functions), for
//! errors with places in the user's files, and for the map from rendered text back to them. What `ref` finds or a
//! query returns is up to the [`TemplateHost`] that a phase brings along.

mod adapter;
mod arithmetic;
mod blanks;
mod blocks;
mod builtin;
mod calls;
mod containers;
mod context;
mod decimals;
mod error;
mod filters;
mod format;
mod functions;
mod host;
mod html;
mod library;
mod literals;
mod macros;
mod modules;
mod names;
mod native;
mod operators;
mod order;
mod output;
mod python;
mod query;
mod relation;
mod render;
mod results;
mod rewrite;
mod scan;
mod session;
mod sets;
mod strings;
#[cfg(test)]
mod tests;
mod validation;
mod values;
mod views;
mod work;
mod yaml;

pub use blocks::{DocBlock, SnapshotBlock, doc_blocks, snapshot_blocks};
pub use calls::docs_named;
pub use error::RenderFailure;
pub use host::{
    Batch, HostError, Invocation, KeptGraph, QueryTable, Read, RefCall, RelationFacts, RelationKind, Restriction, SourceCall, TemplateHost, Warned,
};
pub use library::{MacroFile, MacroId, MacroInfo, MacroKind, MacroLibrary};
pub use output::{SourceMap, SpanKind};
pub use python::{python_repr, python_text};
pub use render::{MacroCall, Rendered, Scope, Template, render, render_call, render_materialization, render_operation, render_script, render_text};
