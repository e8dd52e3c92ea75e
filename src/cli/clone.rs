//! `clone`: what another run built, here: tables are copied as they are, views refer to the others' relations.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Map;
use tokio::runtime::Handle;

use super::args::{Global, Switch};
use super::build::counts;
use super::selecting::selected;
use super::session::{Ready, Session, Stop, command};
use super::{Exit, Invocation, Streams, artifacts};
use crate::base::{Code, Event, Heard, NodeDone, NodeOutcome, NodeStart, Span, Totals, failure_message};
use crate::compile::{ScriptText, Surroundings, render_script};
use crate::engine::{CommitLabel, Engine, EngineError, Outcome, RelationKind, Step, ViewWrite};
use crate::exec::EnginePort;
use crate::load::Target;
use crate::manifest::{Node, NodeId, NodeResult, PreviousNode, RelationName, TimeSpan};
use crate::plan::copy_write;
use crate::sql::SqlError;

pub(super) async fn clone(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    command("clone", global, &invocation, streams, async |session| carry_out(global, session, None).await).await
}

/// Clones what the command line selects, of that only `again` where that is given.
pub(super) async fn carry_out(global: &Global, session: &Session, again: Option<&BTreeSet<NodeId>>) -> Result<Exit, Stop> {
    let manifest = super::state::deferred_manifest(global, session)?;
    let ready = session.project()?;
    if super::state::is_target(global, session, &ready.project.parsed.target_path) {
        return Ok(Exit::Failed);
    }
    session.events.send(&Event::Found { counts: counts(&ready) });
    let mut named = selected(global, session, &ready)?;
    named.retain(|id| again.is_none_or(|again| again.contains(id)));
    let wanted: Vec<&Node> = named.iter().filter_map(|id| ready.project.nodes.get(id)).map(Box::as_ref).filter(|node| can_be_cloned(node)).collect();
    if wanted.is_empty() {
        session.nothing_to_do()?;
    }
    let engine = session.project_engine(&ready.project)?;
    let began = session.events.now();
    let target = &ready.project.target;
    session.events.send(&Event::RunStarted { threads: 1, target: target.name.clone(), total: wanted.len() });
    let copies = copies_tables(session, &ready, &engine).await?;
    let anew = global.is_on(Switch::FullRefresh);
    let cloning = Cloning { session, engine: engine.as_ref(), target, copies, anew };
    let (mut results, mut totals) = (Vec::new(), Totals::default());
    for (at, node) in wanted.iter().enumerate() {
        let there = manifest.node(&node.id).and_then(PreviousNode::relation);
        let result = cloning.reported(node, there, (at + 1, wanted.len())).await;
        totals.count(result.outcome);
        results.push(result);
    }
    let elapsed_seconds = (session.events.now() - began).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
    session.events.send(&Event::RunFinished { totals, elapsed_seconds, broken: Vec::new() });
    artifacts::manifest(session, &ready.project)?;
    artifacts::results(session, &ready.project, results)?;
    Ok(if totals.error > 0 { Exit::Failed } else { Exit::Fine })
}

fn can_be_cloned(node: &Node) -> bool {
    node.resource_type().is_referable() && node.relation.is_some()
}

/// A project may say, by the macro `can_clone_table`, that tables are not to be copied: then views stand for them.
async fn copies_tables(session: &Session, ready: &Ready, engine: &Arc<dyn Engine>) -> Result<bool, Stop> {
    let surroundings: Arc<dyn Surroundings> =
        Arc::new(EnginePort { engine: Arc::clone(engine), events: session.events.clone(), runtime: Handle::current(), queries: true });
    let macros = || ready.project.library.macros();
    let own = macros().find(|info| info.name == "can_clone_table").map(|info| (info, "{{ can_clone_table() }}"));
    let dispatched = || {
        let found = macros().find(|info| info.name.ends_with("__can_clone_table"));
        found.map(|info| (info, "{{ adapter.dispatch('can_clone_table', 'dbt')() }}"))
    };
    let Some((said, call)) = own.or_else(dispatched) else { return Ok(true) };
    let script = ScriptText {
        text: call.to_owned(),
        span: Span::file_start(said.file),
        package: ready.project.name.clone(),
        node: NodeId::new("operation.clone"),
        values: Map::new(),
    };
    let text = render_script(&ready.project, script, &surroundings).await.map_err(|found| session.report(&found))?;
    Ok(text.trim().eq_ignore_ascii_case("true"))
}

struct Cloning<'a> {
    session: &'a Session,
    engine: &'a dyn Engine,
    target: &'a Target,
    copies: bool,
    /// Whether what is there is made anew.
    anew: bool,
}

impl Cloning<'_> {
    async fn reported(&self, node: &Node, there: Option<RelationName>, (index, total): (usize, usize)) -> NodeResult {
        let events = &self.session.events;
        let start = NodeStart {
            microbatch: false,
            index,
            total,
            id: node.id.to_string(),
            name: node.name.clone(),
            resource_type: "clone".to_owned(),
            materialization: node.config.materialization.name().to_owned(),
            relation: node.relation.as_ref().map(Into::into),
            path: node.original_path.clone(),
            thread: "Thread-1".to_owned(),
            at: events.now(),
            about: std::sync::Arc::default(),
        };
        events.send(&Event::NodeStarted(start.clone()));
        let (outcome, message) = match self.one(node, there).await {
            Ok(message) => (NodeOutcome::Success, message.to_owned()),
            Err(error) => {
                let found = [error.diagnostic(&self.target.warehouse, Some((node.span, "this node")))];
                let message = failure_message(&node.described(), &found, &self.session.sources, "");
                let [found] = found;
                let sources = Arc::clone(&self.session.sources);
                events.send(&Event::Diagnosed { diagnostic: Box::new(found), sources, node: Some(node.id.to_string()) });
                (NodeOutcome::Error, message)
            }
        };
        let finished_at = events.now();
        let span = TimeSpan { start: start.at, end: finished_at };
        let done =
            NodeDone { start, outcome, message: message.clone(), rows: None, elapsed_seconds: span.seconds(), finished_at, compiled_path: None };
        events.send(&Event::NodeFinished(Box::new(done)));
        NodeResult {
            batches: None,
            batch_sql: Vec::new(),
            id: node.id.clone(),
            outcome,
            message,
            failures: None,
            rows_affected: None,
            compile: None,
            execute: Some(span),
            thread: "Thread-1".to_owned(),
            compiled_sql: None,
            run_sql: None,
            relation: node.relation.clone(),
        }
    }

    /// Makes one relation and says what was done.
    async fn one(&self, node: &Node, there: Option<RelationName>) -> Result<&'static str, EngineError> {
        let say = |text: String, heard: Heard| self.session.events.send(&Event::Message { text, heard, node: Some(node.id.to_string()) });
        let Some(here) = node.relation.clone() else { return Ok("No-op") };
        let Some(there) = there else {
            say(format!("No relation found in state manifest for {}", node.id), Heard::Terminal);
            return Ok("No-op");
        };
        if here == there {
            say(format!("skipping clone for relation {here}: it is the one that --state names"), Heard::Log);
            return Ok("No-op");
        }
        if self.engine.relation(&here).await?.is_some() && !self.anew {
            say(format!("Relation {here} already exists"), Heard::Terminal);
            return Ok("No-op");
        }
        let missing = || {
            let error = SqlError::new(Code::UnknownTable, format!("there is no table `{}` to clone, which --state names", there.short()));
            EngineError::Sql(Box::new(error.help("build it there first, or leave the node out with `--exclude`")))
        };
        let original = self.engine.relation(&there).await?.ok_or_else(missing)?;
        let label = CommitLabel { run_id: self.session.id.clone(), node: node.id.to_string() };
        let sql = format!("select * from {there}");
        if original.kind == RelationKind::Table && self.copies {
            let write = copy_write(node, (&here, self.target.semantics()), sql, original.partition_by, label);
            if let Outcome::Staged { stage, .. } = self.engine.execute(&Step::StageTable(write)).await? {
                self.engine.execute(&Step::Publish(stage)).await?;
            }
        } else {
            self.engine.execute(&Step::PutView(ViewWrite { relation: here, sql, proved: true, description: None, label })).await?;
        }
        Ok("OK")
    }
}
