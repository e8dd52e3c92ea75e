//! Two states of a project compared, node by node and column by column: what changed, whether that breaks readers, and
//! what it reaches.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::arrow::datatypes::DataType;
use serde::Serialize;

use super::lineage::Reach;
use super::record::Finding;
use super::state::{ColumnState, ContractState, NodeState, ProjectState};
use crate::base::{Code, Diagnostic};
use crate::manifest::NodeId;
use crate::resolve::Project;
use crate::sql::parse_type;

/// What became of a node or a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    NodeAdded,
    NodeRemoved,
    ColumnAdded,
    ColumnRemoved,
    ColumnRenamed,
    /// Every old value fits the new type.
    TypeWidened,
    TypeNarrowed,
    /// The types have nothing to do with each other.
    TypeChanged,
    /// It was never NULL, and may be now.
    NullableNow,
    /// It may have been NULL, and never is now.
    NeverNullNow,
    /// The column is reckoned otherwise.
    ValueChanged,
    /// The rows are chosen, joined, grouped or ordered otherwise.
    RowsChanged,
    ContractAdded,
    ContractRemoved,
    ContractChanged,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    pub node: String,
    pub column: Option<String>,
    pub change: ChangeKind,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Whether readers that relied on the old state may fail or see wrong values.
    pub breaking: bool,
    /// Whether the node has, or had, an enforced contract.
    pub contract: bool,
    pub reaches: Reaches,
}

/// Everything downstream that a change reaches; sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Reaches {
    /// `node.column`
    pub columns: Vec<String>,
    /// Nodes whose rows it decides.
    pub rows: Vec<String>,
    /// Nodes with an enforced contract.
    pub contracts: Vec<String>,
    pub tests: Vec<String>,
    pub exposures: Vec<String>,
}

/// The differences, sorted by node and column. Tests and exposures are reached and not compared.
#[must_use]
pub fn changes(before: &ProjectState, after: &ProjectState) -> Vec<Change> {
    let reach = [Downstream::new(before), Downstream::new(after)];
    let compared = |state: &NodeState| !matches!(state.resource_type.as_str(), "test" | "exposure");
    let ids: BTreeSet<&String> = before.nodes.iter().chain(&after.nodes).filter(|(_, node)| compared(node)).map(|(id, _)| id).collect();
    let mut found = Vec::new();
    for id in ids {
        let mut list = match (before.nodes.get(id), after.nodes.get(id)) {
            (Some(old), Some(new)) => node(id, old, new),
            (Some(old), None) => vec![whole(id, old, ChangeKind::NodeRemoved)],
            (None, Some(new)) => vec![whole(id, new, ChangeKind::NodeAdded)],
            (None, None) => Vec::new(),
        };
        for change in &mut list {
            change.reaches = reach_of(change, before, after, &reach);
        }
        found.extend(list);
    }
    found.sort();
    found
}

fn whole(id: &str, node: &NodeState, kind: ChangeKind) -> Change {
    let change = Change::new(id, kind).breaking(kind == ChangeKind::NodeRemoved);
    Change { contract: node.contract.is_some(), ..change }
}

impl Change {
    fn new(node: &str, change: ChangeKind) -> Self {
        Self { node: node.to_owned(), column: None, change, before: None, after: None, breaking: false, contract: false, reaches: Reaches::default() }
    }

    fn column(mut self, name: &str) -> Self {
        self.column = Some(name.to_owned());
        self
    }

    fn values(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        (self.before, self.after) = (Some(before.into()), Some(after.into()));
        self
    }

    fn breaking(mut self, breaking: bool) -> Self {
        self.breaking = breaking;
        self
    }
}

fn node(id: &str, old: &NodeState, new: &NodeState) -> Vec<Change> {
    let mut found = Vec::new();
    if old.known && new.known {
        columns(id, old, new, &mut found);
        if old.rows_fingerprint != new.rows_fingerprint {
            found.push(Change::new(id, ChangeKind::RowsChanged));
        }
    }
    found.extend(contract(id, old.contract.as_ref(), new.contract.as_ref()));
    let contract = old.contract.is_some() || new.contract.is_some();
    for change in &mut found {
        change.contract = contract;
    }
    found
}

fn columns(id: &str, old: &NodeState, new: &NodeState, found: &mut Vec<Change>) {
    let by_name = |columns: &[ColumnState]| columns.iter().map(|column| (column.name.to_lowercase(), column.clone())).collect::<BTreeMap<_, _>>();
    let (olds, news) = (by_name(&old.columns), by_name(&new.columns));
    let mut added: Vec<&ColumnState> = new.columns.iter().filter(|column| !olds.contains_key(&column.name.to_lowercase())).collect();
    for column in &old.columns {
        if let Some(now) = news.get(&column.name.to_lowercase()) {
            same_column(id, column, now, found);
            continue;
        }
        // The same value under another name is the column renamed.
        let renamed = added.iter().position(|now| now.data_type == column.data_type && !now.fingerprint.is_empty() && now.same_value(column));
        match renamed {
            Some(at) => {
                let now = added.remove(at);
                found.push(Change::new(id, ChangeKind::ColumnRenamed).column(&column.name).values(&column.name, &now.name).breaking(true));
            }
            None => found.push(Change::new(id, ChangeKind::ColumnRemoved).column(&column.name).breaking(true)),
        }
    }
    found.extend(
        added.iter().map(|column| Change { after: Some(column.data_type.clone()), ..Change::new(id, ChangeKind::ColumnAdded).column(&column.name) }),
    );
}

fn same_column(id: &str, old: &ColumnState, new: &ColumnState, found: &mut Vec<Change>) {
    let change = |kind| Change::new(id, kind).column(&new.name);
    if old.data_type != new.data_type {
        let kind = type_change(&old.data_type, &new.data_type);
        found.push(change(kind).values(&old.data_type, &new.data_type).breaking(kind != ChangeKind::TypeWidened));
    }
    match (old.nulls.as_str(), new.nulls.as_str()) {
        ("never", "made" | "unknown") => found.push(change(ChangeKind::NullableNow).breaking(true)),
        ("made" | "unknown", "never") => found.push(change(ChangeKind::NeverNullNow)),
        _ => {}
    }
    if !old.same_value(new) && old.data_type == new.data_type {
        found.push(change(ChangeKind::ValueChanged));
    }
}

/// Whether every value of the old type is one of the new type.
fn type_change(old: &str, new: &str) -> ChangeKind {
    let (Ok(before), Ok(after)) = (parse_type(old), parse_type(new)) else { return ChangeKind::TypeChanged };
    // Digits before and behind the point; floating point numbers hold whole numbers up to 2^24 and 2^53.
    let digits = |data_type: &DataType| match data_type {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Decimal128(precision, scale) => Some((i32::from(*precision) - i32::from(*scale), i32::from(*scale))),
        _ => None,
    };
    if let (Some((whole, part)), Some((more, further))) = (digits(&before), digits(&after)) {
        return if more >= whole && further >= part { ChangeKind::TypeWidened } else { ChangeKind::TypeNarrowed };
    }
    match (before, after) {
        (DataType::Float32 | DataType::Int8 | DataType::Int16 | DataType::Int32, DataType::Float64)
        | (DataType::Int8 | DataType::Int16, DataType::Float32)
        | (DataType::Date32, DataType::Timestamp(_, None)) => ChangeKind::TypeWidened,
        (DataType::Float64, DataType::Float32) | (DataType::Timestamp(..), DataType::Date32) => ChangeKind::TypeNarrowed,
        _ => ChangeKind::TypeChanged,
    }
}

fn contract(id: &str, old: Option<&ContractState>, new: Option<&ContractState>) -> Vec<Change> {
    match (old, new) {
        (None, None) => Vec::new(),
        (None, Some(_)) => vec![Change::new(id, ChangeKind::ContractAdded)],
        (Some(_), None) => vec![Change::new(id, ChangeKind::ContractRemoved).breaking(true)],
        (Some(old), Some(new)) => {
            let names: BTreeSet<&String> = old.columns.keys().chain(new.columns.keys()).collect();
            let shown = |contract: &ContractState, name: &String| {
                contract.columns.get(name).map(|column| format!("{}{}", column.data_type, if column.not_null { " not null" } else { "" }))
            };
            let differing = names.into_iter().filter(|name| old.columns.get(*name) != new.columns.get(*name));
            let change = |name: &String| Change {
                before: shown(old, name),
                after: shown(new, name),
                ..Change::new(id, ChangeKind::ContractChanged).column(name).breaking(breaks(old, new, name))
            };
            let of_rows = |before: Option<&String>, after: Option<&String>| Change {
                before: before.cloned(),
                after: after.cloned(),
                ..Change::new(id, ChangeKind::ContractChanged).breaking(after.is_none())
            };
            let gone = old.constraints.difference(&new.constraints).map(|gone| of_rows(Some(gone), None));
            let come = new.constraints.difference(&old.constraints).map(|come| of_rows(None, Some(come)));
            let extent = |contract: &ContractState| if contract.subset { "some of its columns" } else { "all of its columns" }.to_owned();
            let extent = (old.subset != new.subset).then(|| of_rows(Some(&extent(old)), Some(&extent(new))));
            differing.map(change).chain(gone).chain(come).chain(extent).collect()
        }
    }
}

/// Readers lose a promise: a column is gone, has another type, or may be NULL now.
fn breaks(old: &ContractState, new: &ContractState, name: &String) -> bool {
    match (old.columns.get(name), new.columns.get(name)) {
        (Some(old), Some(new)) => old.data_type != new.data_type || old.not_null && !new.not_null,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The walks downstream of one state.
struct Downstream<'a> {
    columns: Reach<'a>,
    children: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Downstream<'a> {
    fn new(state: &'a ProjectState) -> Self {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, node) in &state.nodes {
            for parent in &node.parents {
                children.entry(parent).or_default().push(id);
            }
        }
        Self { columns: Reach::new(state), children }
    }

    fn descendants(&self, id: &str) -> BTreeSet<&'a str> {
        let (mut open, mut seen) = (vec![id], BTreeSet::new());
        while let Some(next) = open.pop() {
            for child in self.children.get(next).into_iter().flatten() {
                if seen.insert(*child) {
                    open.push(child);
                }
            }
        }
        seen
    }
}

/// What a change reaches, in both states: a column that is gone reached something before.
fn reach_of(change: &Change, before: &ProjectState, after: &ProjectState, walks: &[Downstream<'_>; 2]) -> Reaches {
    let (mut columns, mut rows, mut nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (state, walk) in [before, after].into_iter().zip(walks) {
        let Some(node) = state.nodes.get(&change.node) else { continue };
        let names: Vec<String> = match (&change.column, change.change) {
            (Some(column), ChangeKind::ColumnRenamed) => [Some(column.clone()), change.after.clone()].into_iter().flatten().collect(),
            (Some(column), _) => vec![column.clone()],
            (None, _) => node.columns.iter().map(|column| column.name.clone()).collect(),
        };
        let spelt: Vec<String> = node
            .columns
            .iter()
            .filter(|column| names.iter().any(|name| name.eq_ignore_ascii_case(&column.name)))
            .map(|column| column.name.clone())
            .collect();
        let (reached, decided) = walk.columns.of(&change.node, &spelt);
        let below = walk.descendants(&change.node);
        let touched: BTreeSet<&str> = if change.column.is_some() {
            reached.iter().map(|(node, _)| node.as_str()).chain(decided.iter().map(String::as_str)).chain([change.node.as_str()]).collect()
        } else {
            below.iter().copied().chain([change.node.as_str()]).collect()
        };
        // Tests and exposures read relations whole, as far as lineage tells.
        for id in &below {
            let Some(child) = state.nodes.get(*id) else { continue };
            let special = matches!(child.resource_type.as_str(), "test" | "exposure");
            let uses = |child: &NodeState| {
                let named = |inputs: &[super::state::InputState]| {
                    inputs.iter().any(|input| {
                        (input.node == change.node && spelt.contains(&input.column)) || reached.contains(&(input.node.clone(), input.column.clone()))
                    })
                };
                !child.known || child.columns.iter().any(|column| named(&column.inputs)) || named(&child.rows)
            };
            let reads = child.parents.iter().any(|parent| touched.contains(parent.as_str()));
            if special && reads && (change.column.is_none() || child.resource_type == "exposure" || uses(child)) {
                nodes.insert((*id).to_owned());
            }
        }
        nodes.extend(touched.iter().filter(|id| **id != change.node).map(|id| (*id).to_owned()));
        columns.extend(reached.into_iter().map(|(node, column)| format!("{node}.{column}")));
        rows.extend(decided);
    }
    let state = |id: &String| after.nodes.get(id).or_else(|| before.nodes.get(id));
    let of_type = |wanted: &str| nodes.iter().filter(|id| state(id).is_some_and(|node| node.resource_type == wanted)).cloned().collect();
    Reaches {
        columns: columns.into_iter().collect(),
        rows: rows.into_iter().collect(),
        contracts: nodes.iter().filter(|id| state(id).is_some_and(|node| node.contract.is_some())).cloned().collect(),
        tests: of_type("test"),
        exposures: of_type("exposure"),
    }
}

/// The changes that are worth a diagnostic: broken contracts are errors, other breaking changes warnings.
#[must_use]
pub fn findings_of_changes(changes: &[Change], project: &Project) -> Vec<Finding> {
    let mut found = Vec::new();
    for change in changes.iter().filter(|change| change.breaking) {
        let gone = change.change == ChangeKind::NodeRemoved && change.contract;
        let of_contract = gone || matches!(change.change, ChangeKind::ContractChanged | ChangeKind::ContractRemoved);
        let message = if gone { format!("{}, and it had an enforced contract", change.sentence()) } else { change.sentence() };
        let diagnostic = if of_contract {
            let help = if gone {
                "keep the model, or give it a `deprecation_date` and remove it when nothing reads it any more"
            } else {
                "keep the contract, or give the model a new version and leave this one as it was"
            };
            Diagnostic::error(Code::ContractChanged, message).help(help)
        } else {
            Diagnostic::warning(Code::BreakingChange, message)
        };
        let id = NodeId::new(change.node.as_str());
        let node = project.nodes.get(&id);
        let declared = node
            .and_then(|node| node.columns.values().find(|column| change.column.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&column.name))));
        let place = node.map(|node| match declared {
            Some(column) if of_contract => column.span,
            Some(_) | None => {
                if of_contract {
                    project.place_of(node)
                } else {
                    node.span
                }
            }
        });
        let mut diagnostic = diagnostic.at_opt(place, "changed here");
        diagnostic.notes.extend(change.reaches.sentence());
        found.push(Finding { node: Some(id), diagnostic });
    }
    found
}

impl Change {
    /// The change in a sentence, as messages have it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let node = self.node.split('.').skip(2).collect::<Vec<_>>().join(".");
        let column = self.column.as_deref().unwrap_or_default();
        let (old, new) = (self.before.as_deref().unwrap_or("nothing"), self.after.as_deref().unwrap_or("nothing"));
        match self.change {
            ChangeKind::NodeAdded => format!("`{node}` is new"),
            ChangeKind::NodeRemoved => format!("`{node}` is gone"),
            ChangeKind::ColumnAdded => format!("`{node}` has a new column `{column}`, {new}"),
            ChangeKind::ColumnRemoved => format!("the column `{column}` of `{node}` is gone"),
            ChangeKind::ColumnRenamed => format!("the column `{old}` of `{node}` is called `{new}` now"),
            ChangeKind::TypeWidened => format!("the column `{column}` of `{node}` is {new} now, which holds all of {old}"),
            ChangeKind::TypeNarrowed => format!("the column `{column}` of `{node}` is {new} now, which does not hold all of {old}"),
            ChangeKind::TypeChanged => format!("the column `{column}` of `{node}` is {new} now, it was {old}"),
            ChangeKind::NullableNow => format!("the column `{column}` of `{node}` may be NULL now"),
            ChangeKind::NeverNullNow => format!("the column `{column}` of `{node}` is never NULL now"),
            ChangeKind::ValueChanged => format!("the column `{column}` of `{node}` is reckoned otherwise"),
            ChangeKind::RowsChanged => format!("the rows of `{node}` are chosen, joined, grouped or ordered otherwise"),
            ChangeKind::ContractAdded => format!("`{node}` has an enforced contract now"),
            ChangeKind::ContractRemoved => format!("the contract of `{node}` is no longer enforced"),
            ChangeKind::ContractChanged if self.column.is_none() => match (&self.before, &self.after) {
                (Some(old), Some(new)) => format!("the contract of `{node}` lists {new} now, it listed {old}"),
                (Some(old), None) => format!("the contract of `{node}` no longer has `{old}`"),
                (None, _) => format!("the contract of `{node}` has `{new}` now"),
            },
            ChangeKind::ContractChanged => format!("the contract of `{node}` says {new} for `{column}` now, it said {old}"),
        }
    }
}

impl Reaches {
    /// `reaches 3 columns (a.x, ..), 1 test (..)`; nothing where it reaches nothing.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let part = |what: &str, list: &[String]| {
            let shown = list.iter().take(5).map(|id| short(id)).collect::<Vec<_>>().join(", ");
            let more = if list.len() > 5 { ", .." } else { "" };
            (!list.is_empty()).then(|| format!("{} {what}{} ({shown}{more})", list.len(), if list.len() == 1 { "" } else { "s" }))
        };
        let parts = [
            part("column", &self.columns),
            part("node", &self.rows).map(|text| format!("the rows of {text}")),
            part("contract", &self.contracts),
            part("test", &self.tests),
            part("exposure", &self.exposures),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("it reaches {}", parts.join(", ")))
    }
}

/// A unique id without its type and package.
fn short(id: &str) -> String {
    id.split('.').skip(2).collect::<Vec<_>>().join(".")
}
