//! Selection: dbt's node selection syntax over the DAG.
//!
//! A selection is a union of arguments, each an intersection (commas) of criteria, each a method with a value and
//! graph operators around it: `@x`, `+x`, `2+x`, `x+`, `x+3`. Methods themselves are in `method`.

use std::collections::{BTreeSet, HashSet};

use super::Dag;
use super::method::{Method, matches};
use crate::base::{Code, Diagnostic, nearest};
use crate::manifest::{NodeId, ResourceType};
use crate::resolve::Project;

/// What the command line selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Empty selects everything.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
}

/// The nodes that a selection names, data tests of selected nodes included (dbt's eager mode).
///
/// # Errors
/// If a criterion can't be understood, or its method is not there yet.
pub fn select(project: &Project, dag: &Dag, selection: &Selection) -> Result<BTreeSet<NodeId>, Diagnostic> {
    let included = if selection.select.is_empty() { project.nodes.keys().cloned().collect() } else { union(project, dag, &selection.select)? };
    let excluded = union(project, dag, &selection.exclude)?;
    Ok(included.into_iter().filter(|id| !excluded.contains(id)).collect())
}

/// A warning for every criterion of a selection that no node fits.
///
/// # Errors
/// As [`select`].
pub fn unmatched(project: &Project, dag: &Dag, selection: &Selection) -> Result<Vec<Diagnostic>, Diagnostic> {
    let mut found = Vec::new();
    let texts = selection.select.iter().chain(&selection.exclude).flat_map(|text| text.split_whitespace()).flat_map(|text| text.split(','));
    for text in texts {
        if evaluate(project, dag, &Criterion::parse(text)?).is_empty() {
            let name = text.trim_matches(|c: char| c == '@' || c == '+' || c.is_ascii_digit());
            let wanted = name.rsplit(':').next().unwrap_or(name);
            let names = project.nodes.values().filter(|node| node.resource_type() != ResourceType::Test).map(|node| node.name.as_str());
            let disabled = project.disabled.iter().any(|node| node.name == wanted);
            let otherwise = if disabled { "it is there and not enabled" } else { "`alluvium ls` lists what can be selected" };
            let warning = Diagnostic::warning(Code::InvalidSelector, format!("the selection criterion `{text}` matches no enabled node"));
            found.push(warning.help_nearest(nearest(wanted, names), otherwise));
        }
    }
    Ok(found)
}

fn union(project: &Project, dag: &Dag, arguments: &[String]) -> Result<HashSet<NodeId>, Diagnostic> {
    let mut all = HashSet::new();
    for argument in arguments.iter().flat_map(|text| text.split_whitespace()) {
        let mut common: Option<HashSet<NodeId>> = None;
        for text in argument.split(',') {
            let found = with_tests(project, evaluate(project, dag, &Criterion::parse(text)?));
            common = Some(match common {
                Some(before) => before.intersection(&found).cloned().collect(),
                None => found,
            });
        }
        all.extend(common.unwrap_or_default());
    }
    Ok(all)
}

/// Adds every test that reads a selected node.
fn with_tests(project: &Project, mut found: HashSet<NodeId>) -> HashSet<NodeId> {
    let tests = project.nodes.values().filter(|node| node.resource_type() == ResourceType::Test);
    let reading: Vec<NodeId> = tests.filter(|test| test.depends_on.iter().any(|parent| found.contains(parent))).map(|test| test.id.clone()).collect();
    found.extend(reading);
    found
}

/// How far a graph operator reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    None,
    Steps(usize),
    All,
}

impl Reach {
    fn depth(self) -> Option<usize> {
        match self {
            Self::None => Some(0),
            Self::Steps(steps) => Some(steps),
            Self::All => None,
        }
    }
}

struct Criterion {
    method: Method,
    parents: Reach,
    children: Reach,
    /// `@`: the children, and all that the children read.
    childrens_parents: bool,
}

impl Criterion {
    fn parse(text: &str) -> Result<Self, Diagnostic> {
        let invalid = |why: &str| {
            Diagnostic::error(Code::InvalidSelector, format!("`{text}` is not a selector: {why}"))
                .help("write a name, a path or method:value, with + or @ around it")
        };
        let (childrens_parents, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let (parents, rest) = match rest.split_once('+') {
            Some(("", rest)) => (Reach::All, rest),
            Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Reach::Steps(digits.parse().map_err(|_| invalid("the number of steps is too large"))?), rest)
            }
            _ => (Reach::None, rest),
        };
        let (children, rest) = match rest.rsplit_once('+') {
            Some((rest, "")) => (Reach::All, rest),
            Some((rest, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Reach::Steps(digits.parse().map_err(|_| invalid("the number of steps is too large"))?), rest)
            }
            _ => (Reach::None, rest),
        };
        if childrens_parents && children != Reach::None {
            return Err(invalid("`@` includes the children already, so `+` can't stand behind it"));
        }
        if rest.is_empty() {
            return Err(invalid("nothing is named"));
        }
        Ok(Self { method: Method::parse(rest)?, parents, children, childrens_parents })
    }
}

fn evaluate(project: &Project, dag: &Dag, criterion: &Criterion) -> HashSet<NodeId> {
    let named: Vec<NodeId> = project.nodes.values().filter(|node| matches(node, &criterion.method, project)).map(|node| node.id.clone()).collect();
    let mut found: HashSet<NodeId> = named.iter().cloned().collect();
    for id in &named {
        if criterion.parents != Reach::None {
            found.extend(dag.ancestors(id, criterion.parents.depth()));
        }
        if criterion.children != Reach::None {
            found.extend(dag.descendants(id, criterion.children.depth()));
        }
        if criterion.childrens_parents {
            let children = dag.descendants(id, None);
            for child in &children {
                found.extend(dag.ancestors(child, None));
            }
            found.extend(dag.ancestors(id, None));
            found.extend(children);
        }
    }
    found
}
