//! Paths of the project file's config trees that no resource lies at, which are mostly misspelt names of folders.

use std::collections::HashSet;

use super::builder::Builder;
use super::trees::is_path;
use crate::base::{Code, Diagnostic, nearest};
use crate::load::Yaml;
use crate::manifest::ResourceType;

/// Warns of every path of the root project's trees that applies to nothing.
pub(super) fn check(builder: &Builder) -> Vec<Diagnostic> {
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
        let mut there: HashSet<&[String]> = HashSet::new();
        let nodes = builder.nodes.values().map(Box::as_ref).chain(builder.disabled());
        for node in nodes.filter(|node| node.resource_type() == *kind) {
            // Where a path is known, those above it are.
            (1..=node.fqn.len()).rev().take_while(|depth| there.insert(node.fqn.get(..*depth).unwrap_or_default())).for_each(drop);
        }
        walk(tree, &mut Vec::new(), &there, name, &mut found);
    }
    found
}

fn walk(tree: &Yaml, path: &mut Vec<String>, there: &HashSet<&[String]>, section: &str, found: &mut Vec<Diagnostic>) {
    for (key, value) in tree.entries().iter().filter(|(key, value)| is_path(&key.value, value)) {
        path.push(key.value.clone());
        let is_there = there.contains(path.as_slice());
        if is_there {
            walk(value, path, there, section, found);
        }
        let full = path.join(": ");
        path.pop();
        if is_there {
            continue;
        }
        let known = there.iter().filter_map(|other| other.split_last()).filter(|(_, above)| above == path).map(|(last, _)| last.as_str());
        let message = format!("the config below `{section}: {full}` applies to nothing");
        let diagnostic = Diagnostic::warning(Code::OrphanProperties, message).at(key.span, "nothing lies here");
        found.push(diagnostic.help_nearest(nearest(&key.value, known), "correct the path, or take it out"));
    }
}
