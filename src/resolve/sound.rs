//! Which nodes errors are about, and all that read those: what is left can be proved on its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Code, Diagnostic, Sources};
use crate::manifest::{Node, NodeId, ResourceType};

/// The nodes to leave out; `None` where an error is about no node, or about one that is not there, so that what reads it
/// would be said to be wrong too.
pub(super) fn broken(nodes: &BTreeMap<NodeId, Box<Node>>, errors: &[&Diagnostic], sources: &Sources) -> Option<BTreeSet<NodeId>> {
    let mut broken: BTreeSet<NodeId> = BTreeSet::new();
    for error in errors {
        if !of_one_node(error.code) {
            return None;
        }
        let place = error.primary_span()?;
        // A test is about others, and no others are about it.
        let tests: Vec<&NodeId> =
            nodes.values().filter(|node| is_test(node) && error.labels.iter().any(|label| label.span == node.span)).map(|node| &node.id).collect();
        if error.code == Code::UnitTestInput || !tests.is_empty() {
            broken.extend(tests.into_iter().cloned());
            continue;
        }
        if error.code == Code::DuplicateName {
            return None;
        }
        let own: Vec<&NodeId> = nodes.values().filter(|node| node.file == place.file).map(|node| &node.id).collect();
        let path = &sources.file(place.file).path;
        let described = nodes.values().filter(|node| node.properties_path.as_ref() == Some(path)).map(|node| &node.id);
        let about: BTreeSet<NodeId> = own.into_iter().chain(described).cloned().collect();
        if about.is_empty() {
            return None;
        }
        broken.extend(about);
    }
    loop {
        let reads_broken = |node: &&Node| !broken.contains(&node.id) && node.depends_on.iter().any(|id| broken.contains(id));
        let more: Vec<NodeId> = nodes.values().map(Box::as_ref).filter(reads_broken).map(|node| node.id.clone()).collect();
        if more.is_empty() {
            return Some(broken);
        }
        broken.extend(more);
    }
}

fn is_test(node: &Node) -> bool {
    matches!(node.resource_type(), ResourceType::Test | ResourceType::UnitTest)
}

/// Errors that leave the node they are about where it is, and other nodes as they are.
fn of_one_node(code: Code) -> bool {
    matches!(
        code,
        Code::UnresolvedRef
            | Code::UnresolvedSource
            | Code::AmbiguousRef
            | Code::AccessDenied
            | Code::LayerRead
            | Code::LayerMaterialization
            | Code::LayerRequirement
            | Code::NamingModel
            | Code::NamingColumn
            | Code::ConfigType
            | Code::ContractMismatch
            | Code::ConstraintInvalid
            | Code::UnknownGroup
            | Code::MacroArguments
            | Code::UnitTestInput
            | Code::DuplicateName
            | Code::UnknownKey
            | Code::UndefinedMacro
            | Code::UndefinedVar
            | Code::UndefinedEnvVar
            | Code::JinjaRuntime
            | Code::JinjaSyntax
            | Code::JinjaUnsupported
            | Code::RaisedByProject
            | Code::TypeUnknown
    )
}
