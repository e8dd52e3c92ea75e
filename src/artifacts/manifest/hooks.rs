//! Hooks of a whole run as nodes of the manifest, under the ids that their results have.
//!
//! Their texts are rendered when their time has come, so what they refer to is not known here.

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::super::{hex, to_json};
use super::ManifestInput;
use super::node::{Compiled, created_at};
use crate::manifest::NodeId;

/// A hook of a whole run.
#[derive(Debug, Clone)]
pub struct HookEntry {
    pub package: String,
    /// `on-run-start` or `on-run-end`.
    pub when: &'static str,
    /// Its position among the hooks of its package.
    pub index: usize,
    pub text: String,
    /// The project file, relative to the package's folder.
    pub path: String,
}

impl HookEntry {
    fn name(&self) -> String {
        format!("{}-{}-{}", self.package, self.when, self.index)
    }

    pub(super) fn id(&self) -> String {
        format!("operation.{}.{}", self.package, self.name())
    }
}

pub(super) fn hook_json(hook: &HookEntry, input: &ManifestInput<'_>) -> Json {
    let name = hook.name();
    let docs = json!({"show": true, "node_color": null});
    let contract = json!({"enforced": false, "alias_types": true});
    let mut json = json!({
        "database": input.database, "schema": input.schema, "name": name, "resource_type": "operation", "package_name": hook.package,
        "path": format!("hooks/{name}.sql"), "original_file_path": hook.path, "unique_id": hook.id(), "fqn": [hook.package, "hooks", name],
        "alias": name, "checksum": {"name": "sha256", "checksum": hex(&Sha256::digest(&hook.text))},
        "config": {
            "enabled": true, "alias": null, "schema": null, "database": null, "tags": [], "meta": {}, "group": null, "static_analysis": null, "materialized": "view",
            "incremental_strategy": null, "batch_size": null, "lookback": 1, "begin": null, "persist_docs": {}, "post-hook": [], "pre-hook": [],
            "quoting": {}, "column_types": {}, "full_refresh": null, "unique_key": null, "on_schema_change": "ignore",
            "on_configuration_change": "apply", "grants": {}, "packages": [], "docs": docs, "contract": contract, "event_time": null,
            "concurrent_batches": null,
        },
        "tags": [hook.when], "description": "", "columns": {}, "meta": {}, "group": null, "docs": docs, "patch_path": null, "build_path": null,
        "unrendered_config": {}, "created_at": created_at(input), "relation_name": null, "raw_code": hook.text, "doc_blocks": [], "language": "sql",
        "refs": [], "sources": [], "metrics": [], "functions": [], "depends_on": {"macros": [], "nodes": []}, "compiled_path": null,
        "contract": {"enforced": false, "alias_types": true, "checksum": null}, "index": hook.index,
    });
    if let (Some(code), Some(fields)) = (input.compiled.get(&NodeId::new(hook.id())), json.as_object_mut())
        && let Json::Object(compiled) = to_json(&Compiled::of(code, Vec::new()))
    {
        fields.extend(compiled);
    }
    json
}
