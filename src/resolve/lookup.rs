//! Finding what a `ref` or a `source` names.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::base::{Code, Diagnostic, Span, nearest};
use crate::manifest::{Node, NodeId, NodeKind, NodeRef, ResourceType, Version};

/// Names that can be referred to.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup {
    /// Models, seeds and snapshots by name.
    refs: HashMap<String, Vec<Candidate>>,
    /// Source tables by source and table.
    sources: HashMap<(String, String), Vec<(String, NodeId)>>,
    /// Whether a package's own node goes before the project's of the same name.
    own_first: bool,
    disabled: HashMap<String, Span>,
    /// Disabled source tables by source and table.
    disabled_sources: HashSet<(String, String)>,
}

/// A node of a name.
#[derive(Debug, Clone)]
struct Candidate {
    package: String,
    id: NodeId,
    version: Option<Version>,
    /// Whether it is what `ref` without a version means.
    is_latest: bool,
}

impl Lookup {
    pub(super) fn new<'a>(nodes: impl Iterator<Item = &'a Node>, disabled: impl Iterator<Item = &'a Node>, own_first: bool) -> Self {
        let mut lookup = Self { own_first, ..Self::default() };
        for node in nodes {
            match (&node.kind, node.resource_type()) {
                (NodeKind::Source { source_name, .. }, _) => {
                    let entry = (node.package.clone(), node.id.clone());
                    lookup.sources.entry((source_name.clone(), node.name.clone())).or_default().push(entry);
                }
                (_, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot) => {
                    let version = node.model.version.clone();
                    let is_latest = version == node.model.latest;
                    let candidate = Candidate { package: node.package.clone(), id: node.id.clone(), version, is_latest };
                    lookup.refs.entry(node.name.clone()).or_default().push(candidate);
                }
                (_, ResourceType::Function) => {
                    let candidate = Candidate { package: node.package.clone(), id: node.id.clone(), version: None, is_latest: true };
                    lookup.refs.entry(format!("{}()", node.name)).or_default().push(candidate);
                }
                (
                    _,
                    ResourceType::Analysis
                    | ResourceType::Exposure
                    | ResourceType::Metric
                    | ResourceType::SavedQuery
                    | ResourceType::SemanticModel
                    | ResourceType::Source
                    | ResourceType::Test
                    | ResourceType::UnitTest,
                ) => {}
            }
        }
        for node in disabled {
            if let NodeKind::Source { source_name, .. } = &node.kind {
                lookup.disabled_sources.insert((source_name.clone(), node.name.clone()));
            } else if node.resource_type() == ResourceType::Function {
                lookup.disabled.insert(format!("{}()", node.name), node.span);
            } else {
                lookup.disabled.insert(node.name.clone(), node.span);
            }
        }
        lookup
    }

    pub(super) fn is_disabled(&self, name: &str) -> bool {
        self.disabled.contains_key(name)
    }

    pub(super) fn is_disabled_source(&self, source: &str, table: &str) -> bool {
        self.disabled_sources.contains(&(source.to_owned(), table.to_owned()))
    }

    /// The versions that a package has of a model, lowest first.
    pub(super) fn versions(&self, package: &str, name: &str) -> Vec<(Version, NodeId)> {
        let candidates = self.refs.get(name).into_iter().flatten().filter(|candidate| candidate.package == package);
        let mut found: Vec<_> = candidates.filter_map(|candidate| Some((candidate.version.clone()?, candidate.id.clone()))).collect();
        found.sort();
        found
    }

    /// What `ref(name)` means in a package: the root project's node of that name, else the package's own, or the other way
    /// round, else the only one there is; without a version the latest.
    pub(super) fn find_ref(&self, from: &str, root: &str, call: &NodeRef) -> Result<NodeId, Diagnostic> {
        let named = self.refs.get(&call.name).map(Vec::as_slice).unwrap_or_default();
        let fits = |candidate: &&Candidate| match &call.version {
            Some(text) => candidate.version.as_ref().is_some_and(|version| version.is(text)),
            None => candidate.is_latest,
        };
        let candidates: Vec<&Candidate> = named.iter().filter(fits).collect();
        let of = |wanted: &str| candidates.iter().find(|candidate| candidate.package == wanted).map(|candidate| candidate.id.clone());
        let (first, second) = if self.own_first { (from, root) } else { (root, from) };
        let only = || candidates.first().filter(|_| candidates.len() == 1).map(|only| only.id.clone());
        let found = match &call.package {
            Some(package) => of(package),
            None => of(first).or_else(|| of(second)).or_else(only),
        };
        found.ok_or_else(|| self.no_ref(call, named, &candidates))
    }

    fn no_ref(&self, call: &NodeRef, named: &[Candidate], candidates: &[&Candidate]) -> Diagnostic {
        let (name, span) = (&call.name, call.span);
        if call.package.is_none() && candidates.len() > 1 {
            let packages: Vec<String> = candidates.iter().map(|candidate| format!("`{}`", candidate.package)).collect();
            return Diagnostic::error(Code::AmbiguousRef, format!("`{name}` is a node of several packages: {}", packages.join(", ")))
                .at_opt(span, "referred to here")
                .help(format!("name the package: ref('{}', '{name}')", candidates.first().map_or("package", |first| first.package.as_str())));
        }
        if let Some(version) = call.version.as_ref().filter(|_| candidates.is_empty() && !named.is_empty()) {
            return no_version(name, version, named, span);
        }
        if let Some(function) = call.function() {
            let diagnostic = Diagnostic::error(Code::UnresolvedRef, format!("there is no function `{function}`")).at_opt(span, "called here");
            if let Some(disabled) = self.disabled.get(name) {
                return diagnostic.also(*disabled, "this one is disabled").help("enable it, or take the call out");
            }
            let known = self.refs.keys().filter_map(|name| name.strip_suffix("()"));
            return diagnostic.help_nearest(nearest(function, known), "`alluvium ls --resource-type function` lists the functions");
        }
        let message = match &call.package {
            Some(package) => format!("there is no node `{name}` in the package `{package}`"),
            None => format!("there is no model, seed or snapshot `{name}`"),
        };
        let diagnostic = Diagnostic::error(Code::UnresolvedRef, message).at_opt(span, "referred to here");
        if let Some(disabled) = self.disabled.get(name) {
            return diagnostic.also(*disabled, "this one is disabled").help("enable it, or take the ref out");
        }
        if !named.is_empty() && call.package.is_none() {
            return diagnostic.note("its latest version is not there").help("name a version, e.g. with `v=1`, or declare the latest one");
        }
        if let Some(call) = self.written_as_file(name) {
            return diagnostic.help(format!("did you mean `{call}`?"));
        }
        diagnostic.help_nearest(
            nearest(name, self.refs.keys().map(String::as_str).filter(|name| !name.ends_with(')'))),
            "`alluvium ls --resource-type model seed snapshot` lists what can be referred to",
        )
    }

    /// The ref that a user meant who wrote `model_v1`.
    fn written_as_file(&self, name: &str) -> Option<String> {
        let (model, version) = name.rsplit_once("_v")?;
        let found = self.refs.get(model)?.iter().find_map(|candidate| candidate.version.as_ref().filter(|known| known.is(version)))?;
        Some(format!("ref('{model}', v={})", found.json()))
    }

    /// What `source(source, table)` means in a package.
    #[expect(clippy::too_many_arguments, reason = "what is asked for, by whom, and the place in the file that asks")]
    pub(super) fn find_source(&self, from: &str, root: &str, source: &str, table: &str, span: Option<Span>) -> Result<NodeId, Diagnostic> {
        let candidates = self.sources.get(&(source.to_owned(), table.to_owned())).map(Vec::as_slice).unwrap_or_default();
        let of = |wanted: &str| candidates.iter().find(|(package, _)| package == wanted).map(|(_, id)| id.clone());
        let (first, second) = if self.own_first { (from, root) } else { (root, from) };
        of(first).or_else(|| of(second)).or_else(|| candidates.first().map(|(_, id)| id.clone())).ok_or_else(|| {
            let message = format!("there is no source `{source}.{table}`");
            let tables: BTreeSet<&str> = self.sources.keys().filter(|(name, _)| name == source).map(|(_, table)| table.as_str()).collect();
            let suggestion = nearest(table, tables.iter().copied()).map(|table| format!("{source}.{table}"));
            let suggestion = suggestion.or_else(|| {
                let names: BTreeSet<&str> = self.sources.keys().map(|(name, _)| name.as_str()).filter(|name| *name != source).collect();
                Some(format!("{}.{table}", nearest(source, names)?))
            });
            Diagnostic::error(Code::UnresolvedSource, message)
                .at_opt(span, "read here")
                .help_nearest(suggestion.as_deref(), "declare it under `sources:` in a properties file")
        })
    }
}

fn no_version(name: &str, version: &str, named: &[Candidate], span: Option<Span>) -> Diagnostic {
    let mut versions: Vec<&Version> = named.iter().filter_map(|candidate| candidate.version.as_ref()).collect();
    versions.sort();
    let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
    let diagnostic = Diagnostic::error(Code::UnresolvedRef, format!("there is no version {version} of `{name}`")).at_opt(span, "referred to here");
    if versions.is_empty() {
        return diagnostic.help("it has no versions; leave `v` out");
    }
    diagnostic.help(format!("its versions are {}", versions.join(", ")))
}
