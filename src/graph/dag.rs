//! The graph itself: who reads whom.

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::base::{Code, Diagnostic};
use crate::manifest::{NodeId, NodeMap};
use crate::resolve::Project;

/// Nodes with an edge from each to those that read it. Acyclic.
#[derive(Debug, Clone)]
pub struct Dag {
    graph: DiGraph<NodeId, ()>,
    index: NodeMap<NodeIndex>,
    order: Vec<NodeId>,
    /// The order, by place in the graph.
    places: Vec<NodeIndex>,
}

impl Dag {
    /// The graph of all enabled nodes of a project.
    ///
    /// # Errors
    /// With a diagnostic for each cycle, shown whole.
    pub fn build(project: &Project) -> Result<Self, Vec<Diagnostic>> {
        let mut graph = DiGraph::with_capacity(project.nodes.len(), project.nodes.len() * 2);
        let index: NodeMap<NodeIndex> = project.nodes.keys().map(|id| (id.clone(), graph.add_node(id.clone()))).collect();
        // Looking whether an edge is there already would walk all readers of a parent, for each of them.
        for (to, node) in project.nodes.values().enumerate() {
            let mut parents: Vec<NodeIndex> = node.depends_on.iter().filter_map(|parent| index.get(parent).copied()).collect();
            parents.sort_unstable();
            parents.dedup();
            for from in parents {
                graph.add_edge(from, NodeIndex::new(to), ());
            }
        }
        let cycles: Vec<Diagnostic> = cycles(&graph).iter().map(|cycle| cycle_diagnostic(project, cycle)).collect();
        if !cycles.is_empty() {
            return Err(cycles);
        }
        let places = ordered(&graph);
        let order = places.iter().filter_map(|at| graph.node_weight(*at).cloned()).collect();
        Ok(Self { graph, index, order, places })
    }

    /// Every node, parents before children, else by id.
    #[must_use]
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// Some nodes and everything they read, each level reading only those before it; by their places in the order of ids,
    /// which is that of the project's nodes.
    #[must_use]
    pub fn levels(&self, ids: &BTreeSet<NodeId>) -> Vec<Vec<usize>> {
        let mut wanted = vec![false; self.graph.node_count()];
        let mut edge: Vec<NodeIndex> = ids.iter().filter_map(|id| self.index.get(id).copied()).collect();
        for at in &edge {
            wanted[at.index()] = true;
        }
        while let Some(at) = edge.pop() {
            for parent in self.graph.neighbors_directed(at, Direction::Incoming) {
                if !std::mem::replace(&mut wanted[parent.index()], true) {
                    edge.push(parent);
                }
            }
        }
        let mut level_of = vec![0; wanted.len()];
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for at in self.places.iter().filter(|at| wanted[at.index()]) {
            let above = self.graph.neighbors_directed(*at, Direction::Incoming).map(|parent| level_of[parent.index()] + 1).max();
            let level: usize = above.unwrap_or(0);
            level_of[at.index()] = level;
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(at.index());
        }
        levels
    }

    /// Direct parents, sorted.
    #[must_use]
    pub fn parents(&self, id: &NodeId) -> Vec<&NodeId> {
        self.neighbours(id, Direction::Incoming)
    }

    /// Direct children, sorted.
    #[must_use]
    pub fn children(&self, id: &NodeId) -> Vec<&NodeId> {
        self.neighbours(id, Direction::Outgoing)
    }

    /// Everything that `id` reads, directly or not, up to `depth` steps away; without `id` itself.
    #[must_use]
    pub fn ancestors(&self, id: &NodeId, depth: Option<usize>) -> HashSet<NodeId> {
        self.reach(id, Direction::Incoming, depth)
    }

    /// Everything that reads `id`, directly or not, up to `depth` steps away; without `id` itself.
    #[must_use]
    pub fn descendants(&self, id: &NodeId, depth: Option<usize>) -> HashSet<NodeId> {
        self.reach(id, Direction::Outgoing, depth)
    }

    /// A set with everything that its nodes read, up to `depth` steps away; in one sweep, however many they are.
    #[must_use]
    pub fn with_ancestors(&self, ids: &HashSet<NodeId>, depth: Option<usize>) -> HashSet<NodeId> {
        self.sweep(ids.iter(), Direction::Incoming, depth)
    }

    /// A set with everything that reads its nodes, up to `depth` steps away.
    #[must_use]
    pub fn with_descendants(&self, ids: &HashSet<NodeId>, depth: Option<usize>) -> HashSet<NodeId> {
        self.sweep(ids.iter(), Direction::Outgoing, depth)
    }

    fn neighbours(&self, id: &NodeId, direction: Direction) -> Vec<&NodeId> {
        let Some(at) = self.index.get(id) else { return Vec::new() };
        let mut found: Vec<&NodeId> = self.graph.neighbors_directed(*at, direction).filter_map(|next| self.graph.node_weight(next)).collect();
        found.sort_unstable();
        found
    }

    fn reach(&self, id: &NodeId, direction: Direction, depth: Option<usize>) -> HashSet<NodeId> {
        let mut found = self.sweep(std::iter::once(id), direction, depth);
        found.remove(id);
        found
    }

    fn sweep<'a>(&self, starts: impl Iterator<Item = &'a NodeId>, direction: Direction, depth: Option<usize>) -> HashSet<NodeId> {
        let mut edge: Vec<NodeIndex> = starts.filter_map(|id| self.index.get(id).copied()).collect();
        let mut seen: HashSet<NodeIndex, RandomState> = edge.iter().copied().collect();
        let mut step = 0;
        while !edge.is_empty() && depth.is_none_or(|depth| step < depth) {
            edge = edge.iter().flat_map(|at| self.graph.neighbors_directed(*at, direction)).filter(|next| seen.insert(*next)).collect();
            step += 1;
        }
        seen.into_iter().filter_map(|at| self.graph.node_weight(at).cloned()).collect()
    }
}

/// Kahn's algorithm with a sorted ready set, so that the order is the same from run to run. Indices have the order of ids.
fn ordered(graph: &DiGraph<NodeId, ()>) -> Vec<NodeIndex> {
    // By index.
    let mut waiting: Vec<usize> = graph.node_indices().map(|at| graph.neighbors_directed(at, Direction::Incoming).count()).collect();
    let mut ready: BTreeSet<NodeIndex> = graph.externals(Direction::Incoming).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(at) = ready.pop_first() {
        order.push(at);
        for child in graph.neighbors_directed(at, Direction::Outgoing) {
            if let Some(count) = waiting.get_mut(child.index()) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(child);
                }
            }
        }
    }
    order
}

/// One cycle of each strongly connected component, as a path that starts at its smallest id.
fn cycles(graph: &DiGraph<NodeId, ()>) -> Vec<Vec<NodeId>> {
    let mut found = Vec::new();
    for component in tarjan_scc(graph) {
        let looped = component.first().is_some_and(|at| graph.contains_edge(*at, *at));
        if component.len() < 2 && !looped {
            continue;
        }
        let members: HashSet<NodeIndex> = component.iter().copied().collect();
        let Some(start) = component.iter().copied().min_by_key(|at| graph.node_weight(*at)) else { continue };
        found.push(shortest_way_back(graph, start, &members).into_iter().filter_map(|at| graph.node_weight(at).cloned()).collect());
    }
    found.sort();
    found
}

fn shortest_way_back(graph: &DiGraph<NodeId, ()>, start: NodeIndex, members: &HashSet<NodeIndex>) -> Vec<NodeIndex> {
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut edge = vec![start];
    while !edge.is_empty() && !came_from.contains_key(&start) {
        let mut next_edge = Vec::new();
        for at in edge {
            let mut next: Vec<_> = graph.neighbors_directed(at, Direction::Outgoing).filter(|next| members.contains(next)).collect();
            next.sort_by_key(|at| graph.node_weight(*at));
            for child in next {
                if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(child) {
                    entry.insert(at);
                    next_edge.push(child);
                }
            }
        }
        edge = next_edge;
    }
    let mut path = vec![start];
    let mut at = start;
    while let Some(from) = came_from.get(&at).copied() {
        if from == start || path.len() > members.len() {
            break;
        }
        path.push(from);
        at = from;
    }
    path[1..].reverse();
    path
}

fn cycle_diagnostic(project: &Project, cycle: &[NodeId]) -> Diagnostic {
    let name = |id: &NodeId| project.nodes.get(id).map_or_else(|| id.to_string(), |node| node.name.clone());
    let mut shown: Vec<String> = cycle.iter().map(name).collect();
    shown.extend(cycle.first().map(name));
    let mut diagnostic = Diagnostic::error(Code::Cycle, format!("the refs of {} go in a circle: {}", count(cycle.len()), shown.join(" -> ")));
    for (at, id) in cycle.iter().enumerate() {
        let reader = &cycle[(at + 1) % cycle.len()];
        let (Some(node), Some(read)) = (project.nodes.get(reader), project.nodes.get(id)) else { continue };
        let span = node.refs.iter().find(|call| call.name == read.name).and_then(|call| call.span).unwrap_or(node.span);
        let text = format!("`{}` reads `{}`", node.name, read.name);
        diagnostic = if at == 0 { diagnostic.at(span, text) } else { diagnostic.also(span, text) };
    }
    diagnostic.help("take one of these refs out, or split a model in two")
}

fn count(models: usize) -> String {
    if models == 1 { "one model".into() } else { format!("{models} models") }
}
