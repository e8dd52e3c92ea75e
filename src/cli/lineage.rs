//! `lineage`: where a column comes from, and what comes from it.

use std::collections::BTreeSet;

use super::args::{Global, LineageOptions, LineageOutput, Switch};
use super::check::{offline, write_lineage};
use super::session::{Session, Stop, command};
use super::{Exit, Invocation, Streams};
use crate::base::Event;
use crate::check::{Direction, LineageFormat, ProjectState, check as prove, lineage as draw};
use crate::manifest::NodeId;

pub(super) async fn lineage(options: &LineageOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut quiet = global.clone();
    quiet.switches.set(Switch::Quiet, true);
    command("lineage", &quiet, &invocation, streams, async |session| carry_out(options, session, streams).await).await
}

async fn carry_out(options: &LineageOptions, session: &Session, streams: &Streams) -> Result<Exit, Stop> {
    session.read_ahead();
    let ready = session.project()?;
    let all: BTreeSet<NodeId> = ready.project.nodes.keys().cloned().collect();
    let offline = offline(session, &ready, &all, &mut Vec::new()).await?;
    let memo = session.check_memo(&ready);
    let checked = prove(&ready.project, &ready.dag, &all, &offline, &memo).await;
    memo.save();
    write_lineage(session, &ready, &checked.states)?;
    let state = ProjectState::of_texts(&checked.states).map_err(|reason| session.fail(&reason))?;
    let directions: &[Direction] = match (options.up, options.down) {
        (true, true) => &[Direction::Up, Direction::Down],
        (false, true) => &[Direction::Down],
        (_, false) => &[Direction::Up],
    };
    let format = match options.format {
        LineageOutput::Tree => LineageFormat::Tree,
        LineageOutput::Json => LineageFormat::Json,
        LineageOutput::Mermaid => LineageFormat::Mermaid,
        LineageOutput::Dot => LineageFormat::Dot,
    };
    match draw(&state, &options.name, directions, format) {
        Ok(text) => {
            streams.print(&text);
            Ok(Exit::Fine)
        }
        Err(message) => {
            session.events.send(&Event::Failed { message });
            Ok(Exit::Unusable)
        }
    }
}
