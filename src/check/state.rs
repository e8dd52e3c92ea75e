//! A project as its plans say it is: for each node the columns with types, NULLs and inputs. The shape of
//! `lineage.json`, what two revisions are compared by, and what lineage is drawn from.
//!
//! The format is described in `docs/checking.md`; a field may be added without a new number.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::compile::{ColumnInput, CompiledNode, NodeFacts, Nulls};
use crate::manifest::{ConstraintKind, Node, NodeId, NodeKind};
use crate::sql::{Semantics, type_name};

const FORMAT: u32 = 1;

/// The file's name below the target folder.
pub const LINEAGE_FILE: &str = "lineage.json";

/// All nodes by unique id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectState {
    pub format: u32,
    pub nodes: BTreeMap<String, NodeState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    pub name: String,
    pub resource_type: String,
    /// Relative to the project.
    pub path: String,
    pub materialized: String,
    /// Nodes that it reads.
    pub parents: Vec<String>,
    /// Whether columns, keys and rows are known; where not, they are empty.
    pub known: bool,
    /// In the order of the relation.
    pub columns: Vec<ColumnState>,
    /// What decides which rows there are, and their order.
    pub rows: Vec<InputState>,
    pub keys: Vec<KeyState>,
    /// Changes where the rows are chosen otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rows_fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnState {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    /// `never`, `made` (by the query) or `unknown`.
    pub nulls: String,
    pub inputs: Vec<InputState>,
    /// Changes where the value is reckoned otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InputState {
    pub node: String,
    pub column: String,
    /// `copied`, `derived`, `filter`, `join`, `group` or `sort`.
    #[serde(rename = "as")]
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    pub columns: Vec<String>,
    pub because: String,
    pub assumed: bool,
}

/// An enforced contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractState {
    pub subset: bool,
    pub columns: BTreeMap<String, ContractColumn>,
    /// What else holds for the rows: keys and checks, as in `check (amount > 0)`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub constraints: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractColumn {
    #[serde(rename = "type")]
    pub data_type: String,
    pub not_null: bool,
}

impl ProjectState {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// If it is not JSON of that shape or of another format.
    pub fn parse(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if state.format == FORMAT { Ok(state) } else { Err(format!("its format is {}, this version reads {FORMAT}", state.format)) }
    }

    /// What the file would say that is made of the texts of nodes.
    ///
    /// # Errors
    /// If one of them is no node's.
    pub fn of_texts(nodes: &BTreeMap<NodeId, Cow<'_, str>>) -> Result<Self, String> {
        let node = |(id, text): (&NodeId, &Cow<'_, str>)| Ok((id.to_string(), serde_json::from_str(text)?));
        let nodes: Result<BTreeMap<String, NodeState>, serde_json::Error> = nodes.iter().map(node).collect();
        nodes.map(|nodes| Self { format: FORMAT, nodes }).map_err(|error| error.to_string())
    }
}

/// Writes the file, made of the texts of its nodes: a line for each.
///
/// # Errors
/// What the writer fails with.
pub fn write_state(nodes: &BTreeMap<NodeId, Cow<'_, str>>, out: &mut dyn Write) -> std::io::Result<()> {
    write!(out, "{{\n  \"format\": {FORMAT},\n  \"nodes\": {{")?;
    for (at, (id, text)) in nodes.iter().enumerate() {
        write!(out, "{}\n    {}: ", if at == 0 { "" } else { "," }, serde_json::Value::from(id.as_str()))?;
        out.write_all(text.as_bytes())?;
    }
    out.write_all(if nodes.is_empty() { b"}\n}\n" } else { b"\n  }\n}\n" })
}

/// The text of a node in the file; `None` for what has no rows that others could read.
pub(super) fn node_text(node: &Node, ready: Option<&CompiledNode>, inputs: &super::Offline, semantics: Semantics) -> Option<String> {
    let has_columns = match node.kind {
        NodeKind::Model | NodeKind::Seed { .. } | NodeKind::Snapshot | NodeKind::Source { .. } | NodeKind::Test(_) | NodeKind::Described(_) => true,
        NodeKind::Analysis | NodeKind::Function(_) | NodeKind::UnitTest(_) => false,
    };
    has_columns.then(|| serde_json::to_string(&node_state(node, ready, inputs, semantics)).unwrap_or_default())
}

fn node_state(node: &Node, ready: Option<&CompiledNode>, inputs: &super::Offline, semantics: Semantics) -> NodeState {
    let schema = ready.and_then(|ready| ready.schema.clone()).or_else(|| inputs.input(&node.id));
    let empty = NodeFacts::default();
    let facts = ready.and_then(|ready| ready.facts.as_deref());
    let known = facts.unwrap_or(&empty);
    let columns = schema.iter().flat_map(|schema| schema.fields()).map(|field| {
        let at = known.columns.iter().position(|column| column.name.eq_ignore_ascii_case(field.name()));
        let column = at.and_then(|at| known.columns.get(at));
        let nulls = if field.is_nullable() { column.map_or(Nulls::Unknown, |column| column.nulls.clone()) } else { Nulls::Never };
        ColumnState {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            nulls: nulls_name(&nulls).to_owned(),
            inputs: column.map(|column| inputs_of(&column.inputs)).unwrap_or_default(),
            fingerprint: at.and_then(|at| known.expressions.get(at)).cloned().unwrap_or_default(),
        }
    });
    let columns: Vec<ColumnState> = columns.collect();
    NodeState {
        name: title(node),
        resource_type: node.resource_type().name().to_owned(),
        path: node.original_path.clone(),
        materialized: node.config.materialization.name().to_owned(),
        parents: node.depends_on.iter().map(ToString::to_string).collect(),
        known: schema.is_some(),
        columns,
        rows: inputs_of(&known.rows),
        keys: known.keys.iter().map(|key| KeyState { columns: key.columns.clone(), because: key.because.clone(), assumed: key.assumed }).collect(),
        rows_fingerprint: facts.and_then(|facts| facts.expressions.last()).cloned().unwrap_or_default(),
        contract: node.config.contract_enforced.then(|| contract(node, semantics)),
    }
}

fn title(node: &Node) -> String {
    match &node.kind {
        NodeKind::Source { source_name, .. } => format!("{source_name}.{}", node.name),
        NodeKind::Model
        | NodeKind::Seed { .. }
        | NodeKind::Snapshot
        | NodeKind::Analysis
        | NodeKind::Described(_)
        | NodeKind::Function(_)
        | NodeKind::Test(_)
        | NodeKind::UnitTest(_) => node.name.clone(),
    }
}

fn nulls_name(nulls: &Nulls) -> &'static str {
    match nulls {
        Nulls::Never => "never",
        Nulls::Made(_) => "made",
        Nulls::Unknown => "unknown",
    }
}

fn inputs_of(inputs: &[ColumnInput]) -> Vec<InputState> {
    inputs.iter().map(|input| InputState { node: input.node.to_string(), column: input.column.clone(), kind: input.kind.name().to_owned() }).collect()
}

fn contract(node: &Node, semantics: Semantics) -> ContractState {
    let not_null = |kind: ConstraintKind| matches!(kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey);
    let column = |column: &crate::manifest::ColumnDecl| {
        let data_type = semantics.plain_type(column.data_type.as_deref().unwrap_or_default());
        (column.name.clone(), ContractColumn { data_type, not_null: column.constraints.iter().any(|found| not_null(found.kind)) })
    };
    let others = node.all_constraints().filter(|(_, found)| found.kind != ConstraintKind::NotNull).map(|(column, found)| {
        let columns = match column {
            Some(column) => column.name.clone(),
            None => found.columns.join(", "),
        };
        match (&found.expression, found.kind) {
            (Some(condition), ConstraintKind::Check | ConstraintKind::Custom) => format!("{} ({condition})", found.kind.name()),
            (Some(rest), _) => format!("{} ({columns}) {rest}", found.kind.name()),
            (None, _) => format!("{} ({columns})", found.kind.name()),
        }
    });
    let constraints = others.collect();
    ContractState { subset: node.config.contract_subset, columns: node.columns.values().map(column).collect(), constraints }
}
