//! Paths of the project file's config trees that no resource lies at, which are mostly misspelt names of folders.

use std::collections::{BTreeMap, BTreeSet};

use super::builder::Builder;
use super::trees::is_path;
use crate::base::{Code, Diagnostic, nearest};
use crate::load::Yaml;
use crate::manifest::ResourceType;

/// Warns of every path of the root project's trees that applies to nothing.
pub(super) fn check(builder: &mut Builder) {
    let trees = &builder.parsed.root.project.trees;
    let trees = [
        ("models", trees.models.clone(), ResourceType::Model),
        ("seeds", trees.seeds.clone(), ResourceType::Seed),
        ("snapshots", trees.snapshots.clone(), ResourceType::Snapshot),
        ("sources", trees.sources.clone(), ResourceType::Source),
        ("data_tests", trees.data_tests.clone(), ResourceType::Test),
        ("unit_tests", trees.unit_tests.clone(), ResourceType::UnitTest),
        ("functions", trees.functions.clone(), ResourceType::Function),
        ("exposures", trees.exposures.clone(), ResourceType::Exposure),
    ];
    let mut found = Vec::new();
    for (name, tree, kind) in trees.iter().filter_map(|(name, tree, kind)| Some((name, tree.as_ref()?, kind))) {
        let mut below: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
        let nodes = builder.nodes.values().map(Box::as_ref).chain(builder.disabled());
        for node in nodes.filter(|node| node.resource_type() == *kind) {
            for (at, part) in node.fqn.iter().enumerate() {
                below.entry(node.fqn.get(..at).unwrap_or_default().to_vec()).or_default().insert(part.clone());
            }
        }
        walk(tree, &mut Vec::new(), &below, name, &mut found);
    }
    builder.found.extend(found);
}

fn walk(tree: &Yaml, path: &mut Vec<String>, below: &BTreeMap<Vec<String>, BTreeSet<String>>, section: &str, found: &mut Vec<Diagnostic>) {
    let none = BTreeSet::new();
    let known = below.get(path).unwrap_or(&none);
    for (key, value) in tree.entries().iter().filter(|(key, value)| is_path(&key.value, value)) {
        if known.contains(&key.value) {
            path.push(key.value.clone());
            walk(value, path, below, section, found);
            path.pop();
            continue;
        }
        let full: Vec<&str> = path.iter().map(String::as_str).chain([key.value.as_str()]).collect();
        let message = format!("the config below `{section}: {}` applies to nothing", full.join(": "));
        let diagnostic = Diagnostic::warning(Code::OrphanProperties, message).at(key.span, "nothing lies here");
        found.push(diagnostic.help_nearest(nearest(&key.value, known.iter().map(String::as_str)), "correct the path, or take it out"));
    }
}
