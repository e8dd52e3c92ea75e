//! The one integration test binary: `tidy` holds the rules of the house, `cases` runs the literate cases under
//! `tests/cases/` and the examples of `docs/codes/`, `sample` looks after the sample project at the root, `encodings` has files that no Markdown can hold, `processes`
//! has several processes at one warehouse, `histories` drives snapshots by random histories, `reuse` holds commands that use what earlier ones kept against those that do not, `fuzz` feeds the fuzz targets, `packages` has a hub and
//! repositories to install from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end by panicking")]

mod cases;
mod encodings;
mod fuzz;
mod histories;
mod literate;
mod packages;
mod processes;
mod program;
mod reuse;
mod sample;
mod tidy;
