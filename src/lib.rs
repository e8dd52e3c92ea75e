//! Alluvium: a dbt-style transformation compiler in one binary, on embedded DataFusion over Delta Lake.
//!
//! Data flows one way, each arrow is one public function, each stage has its own output type:
//! `load` (files to declarations), `resolve` (declarations to nodes), `graph` (nodes to a DAG), `compile` (one node:
//! rendered and planned), `plan` (steps as data), `exec` (steps run by an engine), `artifacts` and the terminal.
//! `ARCHITECTURE.md` tells which room may use what.

#![forbid(unsafe_code)]

pub mod artifacts;
pub mod base;
pub mod check;
pub mod cli;
pub mod compile;
pub mod deps;
pub mod engine;
pub mod exec;
pub mod graph;
pub mod jinja;
pub mod load;
pub mod manifest;
pub mod plan;
pub mod resolve;
pub mod sql;
