//! What the command line selects, with all that selection needs: selectors, types, artifacts of another run.

use std::collections::BTreeSet;

use super::args::{Global, IndirectSelection as IndirectArgument, Switch};
use super::narrate::selects_nothing;
use super::session::{Ready, Session, Stop};
use super::warnings::Verdict;
use crate::base::{Code, Diagnostic, Event, nearest};
use crate::graph::{Idle, IndirectSelection, Selection, select};
use crate::manifest::{NodeId, ResourceType};

/// The nodes that the command line names, of whatever type, in the project as it is.
pub(super) fn selected(global: &Global, session: &Session, ready: &Ready) -> Result<BTreeSet<NodeId>, Stop> {
    let types = Types::read(global).map_err(|diagnostic| session.report(&[diagnostic]))?;
    let selection = Selection {
        select: global.select.clone(),
        exclude: global.exclude.clone(),
        selector: global.selector.clone(),
        indirect: indirect(global.indirect_selection),
        previous: super::state::previous(global, session, &ready.project.parsed.target_path)?,
    };
    let found = select(&ready.project, &ready.dag, &selection).map_err(|diagnostic| session.report(&[diagnostic]))?;
    for idle in found.idle {
        session.selects_nothing(idle, global.is_on(Switch::Quiet))?;
    }
    Ok(found.nodes.into_iter().filter(|id| ready.project.nodes.get(id).is_some_and(|node| types.take(node.resource_type()))).collect())
}

impl Session {
    /// Warns, or does what `--warn-error` makes of it.
    fn selects_nothing(&self, Idle { criterion, near }: Idle, quiet: bool) -> Result<(), Stop> {
        match self.verdict("NoNodesForSelectionCriteria") {
            Verdict::Silence => Ok(()),
            Verdict::Warn => {
                if !quiet {
                    self.note_aside(&selects_nothing(&criterion, near.as_deref()));
                }
                self.events.send(&Event::SelectsNothing { criterion, near });
                Ok(())
            }
            Verdict::Error => Err(self.fail(&selects_nothing(&criterion, near.as_deref()))),
        }
    }
}

fn indirect(argument: Option<IndirectArgument>) -> IndirectSelection {
    match argument {
        None | Some(IndirectArgument::Eager) => IndirectSelection::Eager,
        Some(IndirectArgument::Cautious) => IndirectSelection::Cautious,
        Some(IndirectArgument::Buildable) => IndirectSelection::Buildable,
        Some(IndirectArgument::Empty) => IndirectSelection::Empty,
    }
}

/// `--resource-type` and `--exclude-resource-type`.
pub(super) struct Types {
    /// Empty takes all.
    only: Vec<ResourceType>,
    not: Vec<ResourceType>,
    /// Whether types were named of which this program has no nodes.
    foreign: bool,
}

impl Types {
    fn read(global: &Global) -> Result<Self, Diagnostic> {
        let (only, foreign) = types(&global.resource_types)?;
        let (not, _) = types(&global.exclude_resource_types)?;
        Ok(Self { only, not, foreign })
    }

    fn take(&self, kind: ResourceType) -> bool {
        let wanted = self.only.contains(&kind) || self.only.is_empty() && !self.foreign;
        wanted && !self.not.contains(&kind)
    }
}

/// Types of dbt of which there are never nodes here.
const FOREIGN: [&str; 3] = ["function", "operation", "group"];

fn types(arguments: &[String]) -> Result<(Vec<ResourceType>, bool), Diagnostic> {
    let (mut found, mut foreign) = (Vec::new(), false);
    let names = arguments.iter().flat_map(|names| names.split([' ', ','])).filter(|name| !name.is_empty());
    for name in names.filter(|name| *name != "all" && *name != "default") {
        match ResourceType::from_name(name) {
            Some(kind) => found.push(kind),
            None if FOREIGN.contains(&name) => foreign = true,
            None => {
                let known = ResourceType::ALL.map(ResourceType::name);
                return Err(Diagnostic::error(Code::InvalidSelector, format!("there is no resource type `{name}`"))
                    .help_nearest(nearest(name, known), format!("the types are {}", known.join(", "))));
            }
        }
    }
    Ok((found, foreign))
}
