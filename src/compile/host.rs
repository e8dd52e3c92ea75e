//! What the template of a node may ask for once the project is resolved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value as Json};

use super::{Asked, Surroundings};
use crate::base::{Code, Diagnostic, Heard, Span};
use crate::jinja::{
    Batch, HostError, Invocation, KeptGraph, QueryTable, Read, RefCall, RelationFacts, Restriction, SourceCall, TemplateHost, Warned,
};
use crate::load::Behaviour;
use crate::manifest::{Node, NodeId, Overrides, RelationName, ResourceType};
use crate::resolve::Project;
use crate::sql::Semantics;

/// Answers for one node.
pub(super) struct NodeHost {
    pub project: Arc<Project>,
    pub node: NodeId,
    /// The package whose variables and names are meant where `node` is none of the project's.
    pub home: String,
    pub surroundings: Arc<dyn Surroundings>,
    /// Whether this build adds to rows that are there.
    pub incremental: bool,
    /// Ephemeral models that were asked for, in that order.
    pub ephemeral: Mutex<Vec<NodeId>>,
    /// The batch that is being built.
    pub batch: Option<Batch>,
    /// Where the node is rendered for a unit test.
    pub unit: Option<UnitGround>,
}

/// What a unit test puts in the place of what its model would see.
pub(super) struct UnitGround {
    pub test: NodeId,
    /// For messages.
    pub name: String,
    /// The CTEs that stand for nodes.
    pub inputs: BTreeMap<NodeId, String>,
    pub overrides: Overrides,
}

/// The column of a node with the time of a row, as SQL.
pub(super) fn event_time(node: &Node, semantics: Semantics) -> Option<String> {
    let name = node.config.raw.get("event_time").and_then(Json::as_str)?;
    let quoted = node.columns.values().any(|column| column.quote && column.name == name);
    Some(if quoted { semantics.quote_ident(name) } else { name.to_owned() })
}

impl NodeHost {
    fn node(&self) -> Option<&Node> {
        self.project.nodes.get(&self.node).map(Box::as_ref)
    }

    fn package(&self) -> &str {
        self.node().map_or(self.home.as_str(), |node| node.package.as_str())
    }

    /// What stands for a node; in a unit test only what has rows there.
    fn found(&self, id: &NodeId) -> Result<RelationName, HostError> {
        // A function has no rows: a unit test calls it as it is.
        if let Some(name) =
            self.project.nodes.get(id).filter(|node| node.resource_type() == ResourceType::Function).and_then(|node| node.relation.clone())
        {
            return Ok(name);
        }
        let Some(unit) = &self.unit else { return Ok(self.relation_of(id)) };
        if let Some(cte) = unit.inputs.get(id) {
            return Ok(RelationName::new("", "", cte));
        }
        let label = self.project.nodes.get(id).map_or_else(|| id.to_string(), |node| node.label());
        let message = format!("the unit test `{}` has no rows for `{label}`", unit.name);
        Err(Diagnostic::error(Code::UnitTestInput, message).help("add it to `given`, with `rows: []` for an empty table").into())
    }

    /// A node that says only while it is compiled what it reads.
    fn note_reading(&self, id: &NodeId) {
        if !self.node().is_some_and(|node| node.depends_on.contains(id)) {
            self.surroundings.note(Asked::Beyond);
        }
    }

    fn relation_of(&self, id: &NodeId) -> RelationName {
        let Some(node) = self.project.nodes.get(id) else { return RelationName::new("", "", "") };
        node.relation.clone().unwrap_or_else(|| {
            let mut asked = self.ephemeral.lock().unwrap_or_else(PoisonError::into_inner);
            if !asked.contains(id) {
                asked.push(id.clone());
            }
            RelationName::new("", "", super::ephemeral_cte(node))
        })
    }
}

impl TemplateHost for NodeHost {
    fn execute(&self) -> bool {
        true
    }

    fn reference(&self, call: &RefCall) -> Result<RelationName, HostError> {
        let id = self.project.find_ref(self.package(), call).map_err(HostError::from)?;
        self.note_reading(&id);
        self.found(&id)
    }

    fn source(&self, call: &SourceCall) -> Result<RelationName, HostError> {
        let id = self.project.find_source(self.package(), call).map_err(HostError::from)?;
        self.note_reading(&id);
        self.found(&id)
    }

    fn quoting(&self) -> [bool; 3] {
        self.project.quoting()
    }

    fn quoting_of(&self, source: &SourceCall) -> [bool; 3] {
        let found = self.project.find_source(self.package(), source).ok();
        let about = found.and_then(|id| self.project.nodes.get(&id)).and_then(|node| node.quoting());
        about.unwrap_or_default().map(|quoted| quoted.unwrap_or(true))
    }

    fn restriction(&self, read: Read<'_>) -> Option<Restriction> {
        // Fixtures are small and meant.
        if self.unit.is_some() {
            return None;
        }
        if self.project.is_flag("EMPTY") {
            return Some(Restriction::Nothing);
        }
        // Tests look at what there is.
        if !matches!(self.node()?.resource_type(), ResourceType::Model | ResourceType::Snapshot) {
            return None;
        }
        let batch = self.batch.as_ref().map(|batch| batch.window);
        let window = match (batch, self.project.sample) {
            (Some(batch), Some(sample)) => batch.within(&sample),
            (Some(window), None) | (None, Some(window)) => window,
            (None, None) => return None,
        };
        let id = match read {
            Read::Ref(call) => self.project.find_ref(self.package(), call),
            Read::Source(call) => self.project.find_source(self.package(), call),
        };
        let column = event_time(self.project.nodes.get(&id.ok()?)?, self.project.target.semantics())?;
        Some(Restriction::Rows(window.condition(&column)))
    }

    fn warned(&self) -> Warned {
        self.project.warned
    }

    fn batch(&self) -> Option<Batch> {
        self.batch.clone()
    }

    fn config(&self, _values: Map<String, Json>, _span: Option<Span>) -> Result<(), HostError> {
        Ok(())
    }

    fn config_get(&self, key: &str) -> Option<Json> {
        let config = &self.node()?.config;
        match key {
            "materialized" => Some(Json::from(config.materialization.name())),
            "tags" => Some(Json::from(config.tags.clone())),
            "meta" => Some(Json::Object(config.meta.clone())),
            "enabled" => Some(Json::from(config.enabled)),
            other => config.raw.get(other).cloned(),
        }
    }

    fn var(&self, name: &str) -> Option<Json> {
        if let Some(value) = self.unit.as_ref().and_then(|unit| unit.overrides.vars.get(name)) {
            return Some(value.clone());
        }
        self.project.variables.get(self.package(), name)
    }

    /// As in dbt, what builds nothing still has a name.
    fn this(&self) -> Option<RelationName> {
        let node = self.node()?;
        if let Some(cte) = self.unit.as_ref().and_then(|unit| unit.inputs.get(&self.node)) {
            return Some(RelationName::new("", "", cte));
        }
        node.place().cloned()
    }

    fn target(&self) -> Json {
        self.project.target_json()
    }

    fn model(&self) -> Json {
        self.node().map_or(Json::Null, |node| self.project.node_json(node))
    }

    fn graph(&self) -> Json {
        self.surroundings.note(Asked::Beyond);
        self.project.graph_json()
    }

    fn kept_graph(&self) -> Option<&KeptGraph> {
        self.surroundings.note(Asked::Beyond);
        Some(&self.project.graph)
    }

    fn project_name(&self) -> String {
        self.project.name.clone()
    }

    fn invocation(&self) -> Invocation {
        self.surroundings.note(Asked::Beyond);
        self.project.invocation.clone()
    }

    fn flags(&self) -> Json {
        self.surroundings.note(Asked::Flags);
        self.project.invocation.flags.clone()
    }

    fn behaves(&self, flag: &str) -> Option<bool> {
        self.surroundings.note(Asked::Beyond);
        Behaviour::named(flag).map(|flag| self.project.parsed.root.project.behaves(flag))
    }

    fn note_environment(&self, name: &str) {
        self.surroundings.note(Asked::Environment(name.to_owned()));
    }

    fn settings(&self) -> Json {
        self.surroundings.note(Asked::Beyond);
        self.project.settings_json()
    }

    fn is_incremental(&self) -> bool {
        let said = self.unit.as_ref().and_then(|unit| unit.overrides.macros.get("is_incremental"));
        said.and_then(Json::as_bool).unwrap_or(self.incremental)
    }

    fn macro_override(&self, name: &str) -> Option<Json> {
        let macros = &self.unit.as_ref()?.overrides.macros;
        macros.get(name).or_else(|| macros.get(name.strip_prefix("dbt.")?)).cloned()
    }

    fn env_override(&self, name: &str) -> Option<String> {
        let value = self.unit.as_ref()?.overrides.env_vars.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn query(&self, sql: &str) -> Result<QueryTable, HostError> {
        self.surroundings.query(sql)
    }

    fn relation(&self, name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        self.surroundings.relation(name)
    }

    fn doc(&self, package: Option<&str>, name: &str) -> Result<String, HostError> {
        self.surroundings.note(Asked::Beyond);
        self.project.find_doc(package.unwrap_or(self.package()), name).map_err(HostError::from)
    }

    fn yaml(&self, text: &str) -> Option<Json> {
        crate::load::yaml_json(text)
    }

    fn selected_resources(&self) -> Vec<String> {
        self.surroundings.note(Asked::Beyond);
        self.project.selected.get().cloned().unwrap_or_default()
    }

    fn log(&self, message: &str, heard: Heard) {
        self.surroundings.log(message, heard, self.unit.as_ref().map_or(&self.node, |unit| &unit.test));
    }

    fn dispatch_order(&self) -> BTreeMap<String, Vec<String>> {
        self.project.dispatch.clone()
    }
}
