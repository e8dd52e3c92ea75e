//! Finding what a `ref` or a `source` names.

use std::collections::HashMap;

use crate::base::{Code, Diagnostic, Span, nearest};
use crate::manifest::{Node, NodeId, NodeKind, ResourceType};

/// Names that can be referred to.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup {
    /// Models, seeds and snapshots by name.
    refs: HashMap<String, Vec<(String, NodeId)>>,
    /// Source tables by source and table.
    sources: HashMap<(String, String), Vec<(String, NodeId)>>,
    disabled: HashMap<String, Span>,
}

impl Lookup {
    pub(super) fn new<'a>(nodes: impl Iterator<Item = &'a Node>, disabled: impl Iterator<Item = &'a Node>) -> Self {
        let mut lookup = Self::default();
        for node in nodes {
            let entry = (node.package.clone(), node.id.clone());
            match (&node.kind, node.resource_type()) {
                (NodeKind::Source { source_name, .. }, _) => lookup.sources.entry((source_name.clone(), node.name.clone())).or_default().push(entry),
                (_, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot) => {
                    lookup.refs.entry(node.name.clone()).or_default().push(entry);
                }
                (_, ResourceType::Analysis | ResourceType::Exposure | ResourceType::Source | ResourceType::Test) => {}
            }
        }
        lookup.disabled = disabled.map(|node| (node.name.clone(), node.span)).collect();
        lookup
    }

    /// What `ref(name)` means in a package: its own node of that name, else the only one there is.
    #[expect(clippy::too_many_arguments, reason = "what is asked for, by whom, and the place in the file that asks")]
    pub(super) fn find_ref(&self, from: &str, root: &str, package: Option<&str>, name: &str, span: Option<Span>) -> Result<NodeId, Diagnostic> {
        let candidates = self.refs.get(name).map(Vec::as_slice).unwrap_or_default();
        let of = |wanted: &str| candidates.iter().find(|(package, _)| package == wanted).map(|(_, id)| id.clone());
        let found = match package {
            Some(package) => of(package),
            None => of(from).or_else(|| of(root)).or_else(|| candidates.first().filter(|_| candidates.len() == 1).map(|(_, id)| id.clone())),
        };
        found.ok_or_else(|| self.no_ref(package, name, candidates, span))
    }

    fn no_ref(&self, package: Option<&str>, name: &str, candidates: &[(String, NodeId)], span: Option<Span>) -> Diagnostic {
        if package.is_none() && candidates.len() > 1 {
            let packages: Vec<String> = candidates.iter().map(|(package, _)| format!("`{package}`")).collect();
            return Diagnostic::error(Code::AmbiguousRef, format!("`{name}` is a node of several packages: {}", packages.join(", ")))
                .at_opt(span, "referred to here")
                .help(format!("name the package: ref('{}', '{name}')", candidates.first().map_or("package", |(package, _)| package)));
        }
        let message = match package {
            Some(package) => format!("there is no node `{name}` in the package `{package}`"),
            None => format!("there is no model, seed or snapshot `{name}`"),
        };
        let diagnostic = Diagnostic::error(Code::UnresolvedRef, message).at_opt(span, "referred to here");
        if let Some(disabled) = self.disabled.get(name) {
            return diagnostic.also(*disabled, "this one is disabled").help("enable it, or take the ref out");
        }
        diagnostic.help_nearest(
            nearest(name, self.refs.keys().map(String::as_str)),
            "`alluvium ls --resource-type model seed snapshot` lists what can be referred to",
        )
    }

    /// What `source(source, table)` means in a package.
    #[expect(clippy::too_many_arguments, reason = "what is asked for, by whom, and the place in the file that asks")]
    pub(super) fn find_source(&self, from: &str, root: &str, source: &str, table: &str, span: Option<Span>) -> Result<NodeId, Diagnostic> {
        let candidates = self.sources.get(&(source.to_owned(), table.to_owned())).map(Vec::as_slice).unwrap_or_default();
        let of = |wanted: &str| candidates.iter().find(|(package, _)| package == wanted).map(|(_, id)| id.clone());
        of(from).or_else(|| of(root)).or_else(|| candidates.first().map(|(_, id)| id.clone())).ok_or_else(|| {
            let message = format!("there is no source `{source}.{table}`");
            let tables = self.sources.keys().filter(|(name, _)| name == source).map(|(_, table)| table.as_str());
            let suggestion = nearest(table, tables).map(|table| format!("{source}.{table}"));
            let suggestion = suggestion.or_else(|| {
                let source = nearest(source, self.sources.keys().map(|(name, _)| name.as_str()))?;
                Some(format!("{source}.{table}"))
            });
            Diagnostic::error(Code::UnresolvedSource, message)
                .at_opt(span, "read here")
                .help_nearest(suggestion.as_deref(), "declare it under `sources:` in a properties file")
        })
    }
}
