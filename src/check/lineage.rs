//! The lineage of a node or of one of its columns, upwards or downwards, in the formats that are drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use super::state::{ColumnState, NodeState, ProjectState};
use crate::base::nearest;

/// Which way lineage is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what it comes from.
    Up,
    /// To what comes from it.
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineageFormat {
    Tree,
    Json,
    Mermaid,
    Dot,
}

/// A column of a node; `None` stands for all its rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    node: String,
    column: Option<String>,
}

/// A part that one column has in another, or in all rows of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: Place,
    to: Place,
    kind: String,
}

/// Edges by the place they start from, in the direction that is followed.
struct Graph<'a> {
    state: &'a ProjectState,
    edges: BTreeMap<Place, Vec<Edge>>,
    direction: Direction,
}

/// Draws the lineage of what `wanted` names: a node, or `node.column`.
///
/// # Errors
/// If nothing has that name; the message suggests one.
pub fn lineage(state: &ProjectState, wanted: &str, directions: &[Direction], format: LineageFormat) -> Result<String, String> {
    let (id, columns) = find(state, wanted)?;
    let starts: Vec<Place> = columns.iter().map(|column| Place { node: id.clone(), column: Some(column.clone()) }).collect();
    let graphs: Vec<Graph<'_>> = directions.iter().map(|direction| Graph::new(state, *direction)).collect();
    if format == LineageFormat::Tree {
        let mut out = String::new();
        for graph in &graphs {
            for start in &starts {
                let _ = writeln!(out, "{}", graph.title(start));
                graph.tree(start, "", &mut BTreeSet::from([start.clone()]), &mut out);
            }
        }
        return Ok(out);
    }
    let edges: BTreeSet<Edge> = graphs.iter().flat_map(|graph| graph.reached(&starts)).collect();
    Ok(match format {
        LineageFormat::Tree | LineageFormat::Json => as_json(&starts, &edges),
        LineageFormat::Mermaid => mermaid(state, &starts, &edges),
        LineageFormat::Dot => dot(state, &starts, &edges),
    })
}

fn find(state: &ProjectState, wanted: &str) -> Result<(String, Vec<String>), String> {
    let node = |name: &str| {
        state.nodes.iter().find(|(id, node)| id.as_str() == name || node.name == name).filter(|(_, node)| !node.columns.is_empty() || !node.known)
    };
    let known = |node: &NodeState, wanted: &str| if node.known { Ok(()) } else { Err(format!("the columns of `{wanted}` are not known")) };
    if let Some((id, found)) = node(wanted) {
        known(found, wanted)?;
        return Ok((id.clone(), found.columns.iter().map(|column| column.name.clone()).collect()));
    }
    if let Some((head, column)) = wanted.rsplit_once('.')
        && let Some((id, found)) = node(head)
    {
        known(found, head)?;
        let names = || found.columns.iter().map(|column| column.name.as_str());
        return match names().find(|name| name.eq_ignore_ascii_case(column)) {
            Some(name) => Ok((id.clone(), vec![name.to_owned()])),
            None => Err(match nearest(column, names()) {
                Some(near) => format!("`{head}` has no column `{column}`; did you mean `{near}`?"),
                None => format!("`{head}` has no column `{column}`; it has {}", names().collect::<Vec<_>>().join(", ")),
            }),
        };
    }
    let names = state.nodes.values().map(|node| node.name.as_str());
    Err(match nearest(wanted, names) {
        Some(near) => format!("there is no `{wanted}`; did you mean `{near}`?"),
        None => format!("there is no `{wanted}`: name a model, seed, snapshot or source.table, and a column behind a dot"),
    })
}

impl<'a> Graph<'a> {
    fn new(state: &'a ProjectState, direction: Direction) -> Self {
        let mut graph = Self { state, edges: BTreeMap::new(), direction };
        for (id, node) in &state.nodes {
            if node.resource_type == "test" {
                continue;
            }
            for column in &node.columns {
                graph.inputs(Place { node: id.clone(), column: Some(column.name.clone()) }, &column.inputs);
            }
            graph.inputs(Place { node: id.clone(), column: None }, &node.rows);
        }
        graph
    }

    fn inputs(&mut self, to: Place, inputs: &[super::state::InputState]) {
        for input in inputs {
            let from = Place { node: input.node.clone(), column: Some(input.column.clone()) };
            let start = if self.direction == Direction::Up { to.clone() } else { from.clone() };
            self.edges.entry(start).or_default().push(Edge { from, to: to.clone(), kind: input.kind.clone() });
        }
    }

    /// The edges of one step. Upwards, a column also has the part of what decides its rows.
    fn next(&self, place: &Place) -> Vec<(&Edge, &Place)> {
        let of = |place: &Place| self.edges.get(place).into_iter().flatten();
        match self.direction {
            Direction::Up => of(place).chain(of(&Place { node: place.node.clone(), column: None })).map(|edge| (edge, &edge.from)).collect(),
            Direction::Down => of(place).map(|edge| (edge, &edge.to)).collect(),
        }
    }

    /// Whether the walk goes on behind an edge: what decides rows is shown and left at that.
    fn goes_on(edge: &Edge) -> bool {
        edge.to.column.is_some()
    }

    fn reached(&self, starts: &[Place]) -> BTreeSet<Edge> {
        let (mut open, mut seen, mut found) = (starts.to_vec(), starts.iter().cloned().collect::<BTreeSet<_>>(), BTreeSet::new());
        while let Some(place) = open.pop() {
            for (edge, next) in self.next(&place) {
                found.insert(edge.clone());
                if Self::goes_on(edge) && seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        found
    }

    fn tree(&self, place: &Place, indent: &str, shown: &mut BTreeSet<Place>, out: &mut String) {
        let edges = self.next(place);
        for (at, (edge, next)) in edges.iter().enumerate() {
            let last = at + 1 == edges.len();
            let (branch, below) = if last { ("`- ", "   ") } else { ("|- ", "|  ") };
            // What was drawn with its own lineage before is not drawn again.
            let again = Self::goes_on(edge) && !shown.insert((*next).clone()) && !self.next(next).is_empty();
            let _ = writeln!(out, "{indent}{branch}{}{}", self.step(edge, next), if again { " (see above)" } else { "" });
            if Self::goes_on(edge) && !again {
                self.tree(next, &format!("{indent}{below}"), shown, out);
            }
        }
    }

    fn step(&self, edge: &Edge, next: &Place) -> String {
        let title = self.title(next);
        match (edge.kind.as_str(), self.direction) {
            ("copied" | "derived", Direction::Up) => format!("{} from {title}", edge.kind),
            ("copied" | "derived", Direction::Down) => format!("{} to {title}", edge.kind),
            (kind, Direction::Up) => format!("{kind} by {title}"),
            (kind, Direction::Down) => format!("{kind} of {title}"),
        }
    }

    fn title(&self, place: &Place) -> String {
        title(self.state, place)
    }
}

fn title(state: &ProjectState, place: &Place) -> String {
    let node = state.nodes.get(&place.node).map_or(place.node.as_str(), |node| node.name.as_str());
    match &place.column {
        Some(column) => format!("{node}.{column}"),
        None => format!("the rows of {node}"),
    }
}

fn as_json(starts: &[Place], edges: &BTreeSet<Edge>) -> String {
    let place = |place: &Place| json!({ "node": place.node, "column": place.column });
    let edges: Vec<_> = edges.iter().map(|edge| json!({ "from": place(&edge.from), "to": place(&edge.to), "as": edge.kind })).collect();
    let value = json!({ "columns": starts.iter().map(place).collect::<Vec<_>>(), "edges": edges });
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

/// Every place of some edges with a short name, sorted.
fn numbered<'e>(starts: &'e [Place], edges: &'e BTreeSet<Edge>) -> BTreeMap<&'e Place, String> {
    let places: BTreeSet<&Place> = starts.iter().chain(edges.iter().flat_map(|edge| [&edge.from, &edge.to])).collect();
    places.into_iter().enumerate().map(|(at, place)| (place, format!("c{at}"))).collect()
}

fn mermaid(state: &ProjectState, starts: &[Place], edges: &BTreeSet<Edge>) -> String {
    let names = numbered(starts, edges);
    let mut out = String::from("flowchart LR\n");
    for (place, name) in &names {
        let _ = writeln!(out, "  {name}[\"{}\"]", title(state, place).replace('"', "#quot;"));
    }
    for edge in edges {
        let _ = writeln!(out, "  {} -->|{}| {}", names[&edge.from], edge.kind, names[&edge.to]);
    }
    out
}

fn dot(state: &ProjectState, starts: &[Place], edges: &BTreeSet<Edge>) -> String {
    let names = numbered(starts, edges);
    let mut out = String::from("digraph lineage {\n  rankdir=LR;\n  node [shape=box];\n");
    for (place, name) in &names {
        let _ = writeln!(out, "  {name} [label=\"{}\"];", title(state, place).replace('\\', "\\\\").replace('"', "\\\""));
    }
    for edge in edges {
        let _ = writeln!(out, "  {} -> {} [label=\"{}\"];", names[&edge.from], names[&edge.to], edge.kind);
    }
    out + "}\n"
}

/// Everything that a column reaches downwards: columns of other nodes, and nodes whose rows it decides.
pub(super) struct Reach<'a> {
    graph: Graph<'a>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(state: &'a ProjectState) -> Self {
        Self { graph: Graph::new(state, Direction::Down) }
    }

    /// Columns as `(node, column)`, and nodes whose rows are decided; sorted.
    pub(super) fn of(&self, node: &str, columns: &[String]) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
        let starts: Vec<Place> = columns.iter().map(|column| Place { node: node.to_owned(), column: Some(column.clone()) }).collect();
        let (mut reached, mut rows) = (BTreeSet::new(), BTreeSet::new());
        for edge in self.graph.reached(&starts) {
            match edge.to.column {
                Some(column) => drop(reached.insert((edge.to.node, column))),
                None => drop(rows.insert(edge.to.node)),
            }
        }
        (reached, rows)
    }
}

impl ColumnState {
    /// Whether two columns are reckoned alike.
    pub(super) fn same_value(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}
