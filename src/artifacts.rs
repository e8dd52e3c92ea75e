//! The files that other tools read, in dbt's shape: `manifest.json` (v12), `run_results.json` (v6), `catalog.json` (v1),
//! `sources.json` (v3), and the SQL of each node under `compiled/` and `run/`. The same input gives the same bytes.
//!
//! Decides nothing about nodes: what is written comes in as explicit inputs. Where the target folder is, is up to the
//! caller.

mod catalog;
mod manifest;
mod run_results;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use catalog::{CatalogColumn, CatalogTable, catalog_json};
pub use manifest::{HookEntry, MacroEntry, ManifestInput, node_entries};
pub use run_results::{RunResultsInput, run_results_json};
pub use sources::sources_json;

use crate::base::files::{self, FileError};
use crate::manifest::{DBT_VERSION, Node, batch_path, batch_run_path, compiled_path, run_path};

/// Whose artifacts these are; stands in the metadata of each.
#[derive(Debug, Clone)]
pub struct ArtifactHeader {
    pub invocation_id: String,
    pub invocation_started_at: DateTime<Utc>,
    pub generated_at: DateTime<Utc>,
    /// Environment variables that begin with `DBT_ENV_CUSTOM_ENV_`, without that prefix.
    pub env: BTreeMap<String, String>,
}

/// Writes `manifest.json` into the target folder.
///
/// # Errors
/// If the folder or the file can't be written.
pub fn write_manifest(target: &Path, input: &ManifestInput<'_>) -> Result<(), FileError> {
    files::write_with(&target.join("manifest.json"), |out| manifest::write_entries(input, out))
}

/// Writes `run_results.json` into the target folder.
///
/// # Errors
/// If the folder or the file can't be written.
pub fn write_run_results(target: &Path, input: &RunResultsInput<'_>) -> Result<(), FileError> {
    files::write_text(&target.join("run_results.json"), &run_results_json(input).to_string())
}

/// Writes an artifact under a path.
///
/// # Errors
/// If the folder or the file can't be written.
pub fn write_json(path: &Path, artifact: &serde_json::Value) -> Result<(), FileError> {
    files::write_text(path, &artifact.to_string())
}

/// Writes a node's compiled SQL into the target folder and gives its path below that folder.
///
/// # Errors
/// If a folder or the file can't be written.
pub fn write_compiled(target: &Path, node: &Node, sql: &str) -> Result<String, FileError> {
    write_sql(target, compiled_path(node), sql)
}

/// Writes the SQL of a batch of a node into the target folder, as it was compiled and as it ran.
///
/// # Errors
/// If a folder or the file can't be written.
pub fn write_batch(target: &Path, node: &Node, batch: &str, sql: &str) -> Result<(), FileError> {
    write_sql(target, batch_path(node, batch), sql)?;
    write_sql(target, batch_run_path(node, batch), sql).map(|_| ())
}

/// Writes the SQL that a node ran into the target folder and gives its path below that folder.
///
/// # Errors
/// If a folder or the file can't be written.
pub fn write_run(target: &Path, node: &Node, sql: &str) -> Result<String, FileError> {
    write_sql(target, run_path(node), sql)
}

fn write_sql(target: &Path, path: String, sql: &str) -> Result<String, FileError> {
    files::write_text(&target.join(&path), sql)?;
    Ok(path)
}

/// The fields of dbt's metadata that every artifact has.
#[derive(Debug, Serialize)]
struct Metadata<'a> {
    dbt_schema_version: &'static str,
    dbt_version: &'static str,
    generated_at: String,
    invocation_id: &'a str,
    invocation_started_at: String,
    env: &'a BTreeMap<String, String>,
}

impl<'a> Metadata<'a> {
    fn new(dbt_schema_version: &'static str, header: &'a ArtifactHeader) -> Self {
        Self {
            dbt_schema_version,
            dbt_version: DBT_VERSION,
            generated_at: timestamp(header.generated_at),
            invocation_id: &header.invocation_id,
            invocation_started_at: timestamp(header.invocation_started_at),
            env: &header.env,
        }
    }
}

/// Time as dbt writes it, in UTC with microseconds.
fn timestamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A mirror as JSON. Mirrors hold text keys and plain values only, which always have a JSON form.
fn to_json(mirror: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(mirror).unwrap_or_default()
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
mod tests;
