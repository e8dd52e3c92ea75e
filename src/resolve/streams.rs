//! Which sources an incremental model reads as streams (`read` in its config).

use std::collections::BTreeSet;

use super::project::Project;
use crate::base::{Code, Diagnostic, nearest};
use crate::manifest::{Materialization, Node, NodeId, NodeKind, RelationName, ResourceType, StreamKind, Streams};

impl Project {
    /// The relations that a node reads as streams, with how, sorted. A source behind a view or an ephemeral model counts as
    /// if the node named it.
    ///
    /// # Errors
    /// With a diagnostic if `read` names something that is not there, or fits no source.
    pub fn streams(&self, node: &Node) -> Result<Vec<(RelationName, StreamKind)>, Box<Diagnostic>> {
        let Some(config) = &node.config.incremental else { return Ok(Vec::new()) };
        let sources = self.sources_of(node);
        match &config.streams {
            Streams::None => Ok(Vec::new()),
            Streams::All(kind) => {
                let fitting: Vec<_> =
                    sources.iter().filter(|source| fits(source, *kind)).filter_map(|source| Some((source.relation.clone()?, *kind))).collect();
                if fitting.is_empty() { Err(wrong(node, format!("`{}` reads no source {}", node.name, of_kind(*kind)), None)) } else { Ok(fitting) }
            }
            Streams::Named(named) => named.iter().map(|(name, kind)| stream(node, &sources, (name, *kind))).collect(),
        }
    }

    /// The sources that a node reads itself or through views and ephemeral models, by id.
    fn sources_of(&self, node: &Node) -> Vec<&Node> {
        let mut seen: BTreeSet<&NodeId> = BTreeSet::new();
        let mut open: Vec<&NodeId> = node.depends_on.iter().collect();
        let mut found = Vec::new();
        while let Some(id) = open.pop() {
            let Some(parent) = self.nodes.get(id).map(Box::as_ref).filter(|_| seen.insert(id)) else { continue };
            match parent.resource_type() {
                ResourceType::Source => found.push(parent),
                ResourceType::Model if matches!(parent.config.materialization, Materialization::View | Materialization::Ephemeral) => {
                    open.extend(&parent.depends_on);
                }
                ResourceType::Model
                | ResourceType::Analysis
                | ResourceType::Exposure
                | ResourceType::Function
                | ResourceType::Metric
                | ResourceType::SavedQuery
                | ResourceType::SemanticModel
                | ResourceType::Seed
                | ResourceType::Snapshot
                | ResourceType::Test
                | ResourceType::UnitTest => {}
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}

/// One source that `read` names.
fn stream(node: &Node, sources: &[&Node], (name, kind): (&str, StreamKind)) -> Result<(RelationName, StreamKind), Box<Diagnostic>> {
    let full = |source: &Node| match &source.kind {
        NodeKind::Source { source_name, .. } => format!("{source_name}.{}", source.name),
        _ => source.name.clone(),
    };
    let Some(source) = sources.iter().find(|source| full(source) == name) else {
        let names: Vec<String> = sources.iter().map(|source| full(source)).collect();
        let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        return Err(wrong(node, format!("`{}` reads no source `{name}`", node.name), near));
    };
    if !fits(source, kind) {
        return Err(wrong(node, format!("the source `{name}` is not one {}", of_kind(kind)), None));
    }
    let relation = source.relation.clone().ok_or_else(|| wrong(node, format!("the source `{name}` has no relation"), None))?;
    Ok((relation, kind))
}

fn fits(source: &Node, kind: StreamKind) -> bool {
    match &source.kind {
        NodeKind::Source { external, .. } => external.is_some() == (kind == StreamKind::NewFiles),
        NodeKind::Model
        | NodeKind::Analysis
        | NodeKind::Described(_)
        | NodeKind::Function(_)
        | NodeKind::Seed { .. }
        | NodeKind::Snapshot
        | NodeKind::Test(_)
        | NodeKind::UnitTest(_) => false,
    }
}

fn of_kind(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::NewFiles => "of files, as `read: new_files` needs",
        StreamKind::NewRows => "that is a Delta table, as `read: new_rows` needs",
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "it is what the callers' `Err` holds")]
fn wrong(node: &Node, message: String, help: Option<String>) -> Box<Diagnostic> {
    let help = help.unwrap_or_else(|| "name sources as `source.table: new_files` or `source.table: new_rows`".into());
    Box::new(Diagnostic::error(Code::ConfigType, message).at(node.span, "this model").help(help))
}
