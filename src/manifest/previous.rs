//! The artifacts of another run, ours or dbt's, as far as selection, `--defer`, `clone` and `retry` read them: mirrors in
//! which every field may be missing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{NodeId, RelationName};

/// What a folder of artifacts says.
#[derive(Debug, Clone, Default)]
pub struct PreviousState {
    /// As messages name the folder.
    pub folder: String,
    pub manifest: Option<PreviousManifest>,
    /// The status of each node in `run_results.json`; `None` where there is no such file.
    pub results: Option<BTreeMap<NodeId, String>>,
    /// What `sources.json` says there, and what it says here.
    pub freshness: Option<(PreviousFreshness, PreviousFreshness)>,
}

/// `sources.json`: when each source got its last rows, where that was found out.
pub type PreviousFreshness = BTreeMap<NodeId, Option<chrono::DateTime<chrono::Utc>>>;

/// Under which name `metadata.env` of a manifest has the project's variables, as far as nodes ask for them: a map by
/// package, as text.
pub const VARIABLES: &str = "ALLUVIUM_VARS";

/// `manifest.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousManifest {
    pub nodes: BTreeMap<String, PreviousNode>,
    pub sources: BTreeMap<String, PreviousNode>,
    pub exposures: BTreeMap<String, PreviousNode>,
    pub metrics: BTreeMap<String, PreviousNode>,
    pub semantic_models: BTreeMap<String, PreviousNode>,
    pub saved_queries: BTreeMap<String, PreviousNode>,
    pub unit_tests: BTreeMap<String, PreviousNode>,
    pub functions: BTreeMap<String, PreviousNode>,
    pub macros: BTreeMap<String, PreviousMacro>,
    pub metadata: PreviousMetadata,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousMetadata {
    pub env: BTreeMap<String, String>,
}

impl PreviousManifest {
    /// The variables of the run by package; `None` where the manifest does not tell.
    #[must_use]
    pub fn variables(&self) -> Option<Map<String, Json>> {
        serde_json::from_str(self.metadata.env.get(VARIABLES)?).ok()
    }

    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&PreviousNode> {
        let files = [&self.nodes, &self.sources, &self.functions, &self.unit_tests];
        let described = [&self.exposures, &self.metrics, &self.semantic_models, &self.saved_queries];
        files.into_iter().chain(described).find_map(|map| map.get(id.as_str()))
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousMacro {
    pub macro_sql: String,
}

/// A node, of whatever kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousNode {
    pub raw_code: Option<String>,
    pub checksum: PreviousChecksum,
    pub fqn: Vec<String>,
    pub config: Map<String, Json>,
    pub unrendered_config: Map<String, Json>,
    pub unrendered_config_call_dict: Option<Map<String, Json>>,
    pub description: Option<String>,
    pub columns: BTreeMap<String, PreviousColumn>,
    pub constraints: Vec<Json>,
    pub depends_on: PreviousDependencies,
    pub database: Option<String>,
    pub schema: Option<String>,
    pub alias: Option<String>,
    pub identifier: Option<String>,
    pub relation_name: Option<String>,
    pub freshness: Json,
    pub loaded_at_field: Option<String>,
    pub external: Json,
    #[serde(rename = "type")]
    pub kind: Json,
    pub owner: Json,
    pub maturity: Json,
    pub url: Json,
    /// Of functions.
    pub arguments: Json,
    pub returns: Json,
}

/// Of a unit test the checksum is a text, of every other node a map with the method's name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Json")]
pub struct PreviousChecksum {
    pub name: String,
    pub checksum: String,
}

impl From<Json> for PreviousChecksum {
    fn from(value: Json) -> Self {
        let text = |value: Option<&Json>| value.and_then(Json::as_str).unwrap_or_default().to_owned();
        match &value {
            Json::String(checksum) => Self { name: "sha256".to_owned(), checksum: checksum.clone() },
            other => Self { name: text(other.get("name")), checksum: text(other.get("checksum")) },
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousColumn {
    pub name: String,
    pub description: Option<String>,
    pub data_type: Option<String>,
    pub constraints: Vec<Json>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousDependencies {
    pub nodes: Vec<String>,
    pub macros: Vec<String>,
}

impl PreviousNode {
    /// Where its rows are; `None` for what has no relation.
    #[must_use]
    pub fn relation(&self) -> Option<RelationName> {
        self.relation_name.as_ref()?;
        let name = self.identifier.as_deref().or(self.alias.as_deref())?;
        Some(RelationName::new(self.database.clone().unwrap_or_default(), self.schema.clone()?, name))
    }
}
