//! Selection: dbt's node selection syntax over the DAG.
//!
//! A selection is a union of arguments, each an intersection (commas) of criteria; `selectors.yml` says the same as a
//! tree. What criteria are is in `criterion`, what their methods name in `method`, the file in `selectors`.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::Dag;
use super::criterion::{Criterion, Reach};
use super::likely::likely;
use super::method::{Asked, Method, matches};
use super::selectors::Selectors;
use crate::base::Diagnostic;
use crate::manifest::{NodeId, PreviousState, ResourceType};
use crate::resolve::Project;

/// Which tests come along with what they test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IndirectSelection {
    /// Those that read anything that is selected.
    #[default]
    Eager,
    /// Those that read nothing but what is selected.
    Cautious,
    /// Those that read nothing but what is selected or lies above it.
    Buildable,
    /// None.
    Empty,
}

/// What the command line selects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Empty selects everything, or what the default selector of `selectors.yml` names.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    /// A selector of `selectors.yml`, in the place of the others.
    pub selector: Option<String>,
    pub indirect: IndirectSelection,
    /// What `state:`, `result:` and `source_status:` compare with.
    pub previous: Option<Arc<PreviousState>>,
}

/// What a selection came to.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    pub nodes: BTreeSet<NodeId>,
    pub idle: Vec<Idle>,
}

/// A criterion that names nothing.
#[derive(Debug, Clone)]
pub struct Idle {
    /// As it was written.
    pub criterion: String,
    /// What was likely meant.
    pub near: Option<String>,
}

/// Sets of nodes by criteria and by the others.
pub(super) enum Expression {
    Criterion(Box<Criterion>),
    /// `selector:name`, or `method: selector`, with what stands around it; the name is resolved already.
    Union(Vec<Expression>),
    Intersection(Vec<Expression>),
    Difference(Box<Expression>, Vec<Expression>),
    Everything,
}

/// The nodes that a selection names.
///
/// # Errors
/// If a criterion can't be understood, or asks for artifacts that are not there.
pub fn select(project: &Project, dag: &Dag, selection: &Selection) -> Result<Selected, Diagnostic> {
    let selectors = Selectors::read(&project.parsed.selectors)?;
    let given = !selection.select.is_empty() || !selection.exclude.is_empty();
    let expression = match (&selection.selector, selectors.default_name().filter(|_| !given)) {
        (Some(name), _) => selectors.expression(name)?,
        (None, Some(name)) => selectors.expression(name)?,
        (None, None) => of_arguments(selection, &selectors)?,
    };
    let asked = Asked { project, dag, previous: selection.previous.as_deref(), changes: OnceCell::new() };
    let mut evaluation = Evaluation { asked, indirect: selection.indirect, idle: Vec::new() };
    let found = evaluation.sets(&expression)?;
    Ok(Selected { nodes: found.direct.into_iter().collect(), idle: evaluation.idle })
}

fn of_arguments(selection: &Selection, selectors: &Selectors) -> Result<Expression, Diagnostic> {
    let included = if selection.select.is_empty() { Expression::Everything } else { union(&selection.select, selectors)? };
    if selection.exclude.is_empty() {
        return Ok(included);
    }
    Ok(Expression::Difference(Box::new(included), vec![union(&selection.exclude, selectors)?]))
}

fn union(arguments: &[String], selectors: &Selectors) -> Result<Expression, Diagnostic> {
    let intersection = |argument: &str| -> Result<Expression, Diagnostic> {
        let mut parts = Vec::new();
        for text in argument.split(',') {
            parts.push(criterion(text, selectors)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Intersection(parts) })
    };
    arguments.iter().flat_map(|text| text.split_whitespace()).map(intersection).collect::<Result<_, _>>().map(Expression::Union)
}

/// A criterion of the command line; `selector:name` stands for what the file says.
fn criterion(text: &str, selectors: &Selectors) -> Result<Expression, Diagnostic> {
    match text.strip_prefix("selector:") {
        Some(name) => selectors.expression(name),
        None => Ok(Expression::Criterion(Box::new(Criterion::parse(text)?))),
    }
}

/// Nodes that are selected, and tests that may be once their other parents are.
#[derive(Default)]
struct Sets {
    direct: HashSet<NodeId>,
    /// `direct`, and those tests.
    all: HashSet<NodeId>,
}

struct Evaluation<'a> {
    asked: Asked<'a>,
    indirect: IndirectSelection,
    idle: Vec<Idle>,
}

impl Evaluation<'_> {
    fn sets(&mut self, expression: &Expression) -> Result<Sets, Diagnostic> {
        let (direct, all) = match expression {
            Expression::Criterion(criterion) => return self.criterion(criterion),
            Expression::Everything => {
                let all: HashSet<NodeId> = self.asked.project.nodes.keys().cloned().collect();
                return Ok(Sets { direct: all.clone(), all });
            }
            Expression::Union(parts) => {
                let mut found = Sets::default();
                for part in parts {
                    let sets = self.sets(part)?;
                    found.direct.extend(sets.direct);
                    found.all.extend(sets.all);
                }
                (found.direct, found.all)
            }
            Expression::Intersection(parts) => {
                let mut common: Option<Sets> = None;
                for part in parts {
                    let sets = self.sets(part)?;
                    common = Some(match common {
                        Some(before) => Sets {
                            direct: before.direct.into_iter().filter(|id| sets.direct.contains(id)).collect(),
                            all: before.all.into_iter().filter(|id| sets.all.contains(id)).collect(),
                        },
                        None => sets,
                    });
                }
                let found = common.unwrap_or_default();
                (found.direct, found.all)
            }
            Expression::Difference(from, without) => {
                let mut found = self.sets(from)?;
                for part in without {
                    let sets = self.sets(part)?;
                    found.direct.retain(|id| !sets.direct.contains(id));
                    found.all.retain(|id| !sets.all.contains(id));
                }
                (found.direct, found.all)
            }
        };
        Ok(self.completed(direct, all))
    }

    /// Tests whose parents have all come together are selected now.
    fn completed(&self, mut direct: HashSet<NodeId>, all: HashSet<NodeId>) -> Sets {
        let reach = match self.indirect {
            IndirectSelection::Cautious => direct.clone(),
            IndirectSelection::Buildable => self.with_ancestors(&direct),
            IndirectSelection::Eager | IndirectSelection::Empty => return Sets { direct, all },
        };
        let ready = all.iter().filter(|id| !direct.contains(*id) && self.parents(id).all(|parent| reach.contains(parent)));
        let ready: Vec<NodeId> = ready.cloned().collect();
        direct.extend(ready);
        Sets { direct, all }
    }

    fn criterion(&mut self, criterion: &Criterion) -> Result<Sets, Diagnostic> {
        let selected = self.named(criterion)?;
        if selected.is_empty() {
            self.idle.push(Idle { criterion: criterion.text.clone(), near: likely(&criterion.method, self.asked.project) });
        }
        let mode = criterion.indirect.unwrap_or(self.indirect);
        if mode == IndirectSelection::Empty {
            return Ok(Sets { all: selected.clone(), direct: selected });
        }
        let above = if mode == IndirectSelection::Buildable { self.with_ancestors(&selected) } else { HashSet::new() };
        let (mut direct, mut all) = (selected.clone(), selected.clone());
        for test in self.tests_of(&selected) {
            let complete = |reach: &HashSet<NodeId>| self.parents(&test).all(|parent| reach.contains(parent));
            let included = match mode {
                IndirectSelection::Eager => true,
                IndirectSelection::Cautious => complete(&selected),
                IndirectSelection::Buildable => complete(&selected) || complete(&above),
                IndirectSelection::Empty => false,
            };
            if included {
                direct.insert(test.clone());
            }
            all.insert(test);
        }
        Ok(Sets { direct, all })
    }

    /// What a criterion names, and what its operators add.
    fn named(&self, criterion: &Criterion) -> Result<HashSet<NodeId>, Diagnostic> {
        let dag = self.asked.dag;
        let nodes = self.asked.project.nodes.values();
        let method: &Method = &criterion.method;
        let mut named = HashSet::new();
        for node in nodes {
            if matches(node, method, &self.asked)? {
                named.insert(node.id.clone());
            }
        }
        let mut found = named.clone();
        if criterion.parents != Reach::None {
            found.extend(dag.with_ancestors(&named, criterion.parents.depth()));
        }
        if criterion.children != Reach::None {
            found.extend(dag.with_descendants(&named, criterion.children.depth()));
        }
        if criterion.childrens_parents {
            found.extend(dag.with_ancestors(&dag.with_descendants(&named, None), None));
        }
        Ok(found)
    }

    /// Tests that read a node of a set.
    fn tests_of(&self, nodes: &HashSet<NodeId>) -> Vec<NodeId> {
        let tests = self.asked.project.nodes.values().filter(|node| is_test(node.resource_type()));
        tests.filter(|test| test.depends_on.iter().any(|parent| nodes.contains(parent))).map(|test| test.id.clone()).collect()
    }

    fn parents<'b>(&'b self, id: &NodeId) -> impl Iterator<Item = &'b NodeId> + use<'b> {
        self.asked.project.nodes.get(id).into_iter().flat_map(|node| &node.depends_on)
    }

    /// A set, everything above it, and all sources.
    fn with_ancestors(&self, nodes: &HashSet<NodeId>) -> HashSet<NodeId> {
        let mut found = self.asked.dag.with_ancestors(nodes, None);
        let sources = self.asked.project.nodes.values().filter(|node| node.resource_type() == ResourceType::Source);
        found.extend(sources.map(|node| node.id.clone()));
        found
    }
}

fn is_test(kind: ResourceType) -> bool {
    matches!(kind, ResourceType::Test | ResourceType::UnitTest)
}
