//! A run: nodes start when what they wait for is done, up to the number of threads; what reads a failed node is skipped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::batches::BatchOptions;
use super::hooks::{self, Ground, RunHooks};
use super::node::{Ended, result, run_node};
use super::staged::StagedPort;
use super::{EnginePort, RunOrder};
use crate::base::{Code, Diagnostic, Event, Events, Failure, NodeAbout, NodeDone, NodeOutcome, NodeStart, Totals, failure_message};
use crate::compile::{Broken, Compilation, CompiledProject, Planner, Surroundings, compile_batch, compile_node};
use crate::engine::Engine;
use crate::jinja::Batch;
use crate::manifest::{BatchResults, Group, Node, NodeId, NodeKind, NodeResult, ResourceType};

/// How to run.
#[derive(Clone)]
pub struct RunOptions {
    /// Nodes that run side by side.
    pub threads: usize,
    pub fail_fast: bool,
    /// Whether a data test that would warn fails.
    pub warnings_fail: bool,
    /// Stands in every commit and every artifact.
    pub run_id: String,
    /// What log lines call the target.
    pub target: String,
    /// Where the compiled SQL of a node can be read, for messages about failures.
    pub compiled_path: Arc<dyn Fn(&Node) -> String + Send + Sync>,
    pub hooks: RunHooks,
    pub batches: BatchOptions,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// In the order of the run: parents before children, audits before the node they audited.
    pub results: Vec<NodeResult>,
    pub totals: Totals,
    pub elapsed_seconds: f64,
    pub interrupted: bool,
    /// Ephemeral models that could not be compiled, so that their readers were skipped.
    pub broken: Vec<NodeStart>,
}

/// What all nodes of a run share.
pub(super) struct Shared {
    pub compiled: Arc<CompiledProject>,
    pub order: RunOrder,
    pub engine: Arc<dyn Engine>,
    pub events: Events,
    pub options: RunOptions,
    planner: Planner,
    /// What was compiled during the run, because it had to wait for its parents.
    late: Mutex<BTreeMap<NodeId, Compilation>>,
    /// What nobody runs and could not be compiled.
    broken: Mutex<BTreeMap<NodeId, NodeStart>>,
    /// The batches of models that are being built: those that are published, and those that are not yet.
    open_batches: std::sync::Mutex<BTreeMap<NodeId, BatchResults>>,
    pub surroundings: Arc<dyn Surroundings>,
    /// The same, to tell it of what is staged.
    pub staged: Arc<StagedPort>,
}

impl Shared {
    pub(super) fn ground(&self) -> Ground<'_> {
        Ground { project: &self.compiled.project, engine: &self.engine, surroundings: &self.surroundings, events: &self.events }
    }

    /// Notes how far a model's batches have come.
    pub(super) fn note_batches(&self, id: &NodeId, results: BatchResults) {
        self.open_batches.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), results);
    }

    /// The batches of a model that was interrupted, if some of them are published.
    fn open_batches(&self, id: &NodeId) -> Option<BatchResults> {
        let found = self.open_batches.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        found.filter(|results| !results.successful.is_empty() && !results.failed.is_empty())
    }

    pub(super) fn name(&self, id: &NodeId) -> String {
        self.compiled.project.nodes.get(id).map_or_else(|| id.to_string(), |node| node.name.clone())
    }

    /// A node's SQL: as compiled before the run, or compiled now, when its parents are built.
    pub(super) async fn compilation(&self, node: &Node) -> Compilation {
        match self.compiled.nodes.get(&node.id) {
            Some(Compilation::Deferred { .. }) | None => {}
            Some(known) => return known.clone(),
        }
        let mut late = self.late.lock().await;
        for id in self.deferred_ephemeral_parents(node) {
            if let Some(parent) = self.compiled.project.nodes.get(&id).filter(|_| !late.contains_key(&id)) {
                let compilation = compile_node(&self.compiled.project, &self.planner, parent, &self.known(parent, &late), &self.surroundings).await;
                late.insert(id, compilation);
            }
        }
        let known = self.known(node, &late);
        drop(late);
        compile_node(&self.compiled.project, &self.planner, node, &known, &self.surroundings).await
    }

    /// The SQL of one batch of a node. What it reads is built, or does not belong to this run.
    pub(super) async fn batch_compilation(&self, node: &Node, batch: Batch) -> Compilation {
        let known = self.known(node, &*self.late.lock().await);
        compile_batch(&self.compiled.project, &self.planner, (node, Some(batch)), &known, &self.surroundings).await
    }

    /// A node that can't be compiled because of another. What is wrong with one that does not run itself, as an
    /// ephemeral model, is told with the first of its readers.
    pub(super) async fn skipped(&self, because: &NodeId, at: DateTime<Utc>) -> Ended {
        let late = self.late.lock().await;
        let found = late.get(because).or_else(|| self.compiled.nodes.get(because)).cloned();
        drop(late);
        let node = self.compiled.project.nodes.get(because).filter(|node| !self.order.nodes.contains(&node.id));
        let (Some(node), Some(Compilation::Failed(Broken { found: diagnostics, .. }))) = (node, found) else {
            return Ended::skipped(&format!("because of `{}`", self.name(because)), at);
        };
        // Its SQL is part of the reader's, which is what fails.
        let is_in_sql = diagnostics.iter().find(|found| found.is_error()).is_some_and(|found| found.code.failure() == Failure::Database);
        if is_in_sql && node.resource_type() == ResourceType::Model {
            return Ended::failed(diagnostics, at);
        }
        let mut broken = self.broken.lock().await;
        if !broken.contains_key(because) {
            broken.insert(because.clone(), node_start(self, because, (0, 0), "main", at));
            for diagnostic in diagnostics {
                let sources = Arc::clone(&self.compiled.project.sources);
                self.events.send(&Event::Diagnosed { diagnostic: Box::new(diagnostic), sources, node: Some(because.to_string()) });
            }
        }
        let kind = if node.resource_type() == ResourceType::Model { "ephemeral model" } else { node.resource_type().name() };
        Ended::skipped(&format!("Compilation Error in the {kind} `{}`", node.name), at)
    }

    /// What is known of a node's parents.
    fn known(&self, node: &Node, late: &BTreeMap<NodeId, Compilation>) -> BTreeMap<NodeId, Compilation> {
        let compilation = |id: &NodeId| late.get(id).or_else(|| self.compiled.nodes.get(id)).map(|found| (id.clone(), found.clone()));
        node.depends_on.iter().filter_map(compilation).collect()
    }

    /// Parents first.
    fn deferred_ephemeral_parents(&self, node: &Node) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut open = vec![node];
        while let Some(reader) = open.pop() {
            for parent in reader.depends_on.iter().filter_map(|id| self.compiled.project.nodes.get(id)) {
                let deferred = matches!(self.compiled.nodes.get(&parent.id), Some(Compilation::Deferred { .. }));
                if deferred && parent.relation.is_none() {
                    found.push(parent.id.clone());
                    open.push(parent);
                }
            }
        }
        found.reverse();
        found
    }
}

/// Runs the nodes of `order`. Cancelling dismisses what is being staged and skips the rest.
#[expect(clippy::too_many_arguments, reason = "the room's one entry: everything a run needs, once")]
pub async fn run(
    compiled: Arc<CompiledProject>,
    order: RunOrder,
    engine: Arc<dyn Engine>,
    events: Events,
    options: RunOptions,
    cancel: CancellationToken,
) -> RunReport {
    let began = events.now();
    let total = order.nodes.len() + order.audits.values().map(Vec::len).sum::<usize>();
    events.send(&Event::RunStarted { threads: options.threads, target: options.target.clone(), total });
    let published: Arc<dyn Surroundings> =
        Arc::new(EnginePort { engine: Arc::clone(&engine), events: events.clone(), runtime: Handle::current(), queries: true });
    let planner = Planner::new(&compiled.project);
    let staged = Arc::new(StagedPort::new(published));
    let surroundings: Arc<dyn Surroundings> = Arc::<StagedPort>::clone(&staged);
    let shared = Arc::new(Shared {
        compiled,
        order,
        engine,
        events: events.clone(),
        options,
        planner,
        late: Mutex::default(),
        broken: Mutex::default(),
        open_batches: std::sync::Mutex::default(),
        surroundings,
        staged,
    });
    let mut queue = Queue::new(Arc::clone(&shared), total);
    let (mut results, mut last) = (Vec::new(), Vec::new());
    if queue.total > 0 {
        results = hooks::run_start(shared.ground(), &shared.options.hooks, &mut queue.totals).await;
    }
    let skips = hooks::end_the_run(shared.ground(), &results);
    if skips {
        queue.skip_the_rest(hooks::SKIPPED);
    } else {
        queue.work(&cancel).await;
    }
    queue.sort_results();
    if queue.total > 0 && !cancel.is_cancelled() {
        // As dbt tells them: of nodes that were never begun there is no result.
        let told = if skips { &[][..] } else { &queue.results };
        last = hooks::run_end(shared.ground(), &shared.options.hooks, told, &mut queue.totals).await;
    }
    results.append(&mut queue.results);
    results.append(&mut last);
    let elapsed_seconds = (events.now() - began).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
    let broken: Vec<NodeStart> = shared.broken.lock().await.values().cloned().collect();
    let report = RunReport { results, totals: queue.totals, elapsed_seconds, interrupted: cancel.is_cancelled(), broken };
    events.send(&Event::RunFinished { totals: report.totals, elapsed_seconds, broken: report.broken.clone() });
    report
}

/// A node that ended, as its task hands it back.
struct Finished {
    id: NodeId,
    start: NodeStart,
    slot: usize,
    ended: Ended,
}

struct Queue {
    shared: Arc<Shared>,
    total: usize,
    started: usize,
    /// What each node still waits for.
    waiting: HashMap<NodeId, BTreeSet<NodeId>>,
    /// Who waits for a node.
    readers: HashMap<NodeId, Vec<NodeId>>,
    /// By position in the order.
    ready: BTreeSet<usize>,
    position: HashMap<NodeId, usize>,
    /// Nodes that will not run, and because of which.
    blocked: HashMap<NodeId, NodeId>,
    free: BTreeSet<usize>,
    /// Nodes that have begun and not ended.
    running: HashMap<NodeId, NodeStart>,
    results: Vec<NodeResult>,
    totals: Totals,
    stopping: bool,
}

impl Queue {
    fn new(shared: Arc<Shared>, total: usize) -> Self {
        let position: HashMap<NodeId, usize> = shared.order.nodes.iter().enumerate().map(|(at, id)| (id.clone(), at)).collect();
        let waiting = shared.order.waits_for.clone();
        let mut readers: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for (id, parents) in &waiting {
            for parent in parents {
                readers.entry(parent.clone()).or_default().push(id.clone());
            }
        }
        let ready =
            shared.order.nodes.iter().enumerate().filter(|(_, id)| waiting.get(*id).is_none_or(BTreeSet::is_empty)).map(|(at, _)| at).collect();
        let free = (1..=shared.options.threads.max(1)).collect();
        Self {
            shared,
            total,
            started: 0,
            waiting,
            readers,
            ready,
            position,
            blocked: HashMap::new(),
            running: HashMap::new(),
            free,
            results: Vec::new(),
            totals: Totals::default(),
            stopping: false,
        }
    }

    /// Which of several nodes ended first is chance; what is reported has their order.
    fn sort_results(&mut self) {
        let audited: HashMap<&NodeId, &NodeId> =
            self.shared.order.audits.iter().flat_map(|(node, tests)| tests.iter().map(move |test| (test, node))).collect();
        let position = |id: &NodeId| self.position.get(audited.get(id).copied().unwrap_or(id)).copied();
        self.results.sort_by_cached_key(|result| position(&result.id));
    }

    async fn work(&mut self, cancel: &CancellationToken) {
        let mut running: JoinSet<Finished> = JoinSet::new();
        loop {
            while !self.stopping && !cancel.is_cancelled() {
                let Some(slot) = self.free.first().copied() else { break };
                let Some(at) = self.ready.pop_first() else { break };
                self.start(at, slot, &mut running);
            }
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !running.is_empty() => {
                    self.interrupt(&mut running).await;
                    break;
                }
                done = running.join_next() => match done {
                    Some(Ok(finished)) => self.finish(finished),
                    Some(Err(_)) => self.stopping = true,
                    None => if self.stopping || cancel.is_cancelled() || self.ready.is_empty() { break },
                },
            }
        }
        self.skip_the_rest(if cancel.is_cancelled() { "the run was interrupted" } else { "an earlier node failed and --fail-fast is set" });
    }

    fn start(&mut self, at: usize, slot: usize, running: &mut JoinSet<Finished>) {
        let shared = Arc::clone(&self.shared);
        let Some(id) = shared.order.nodes.get(at).cloned() else { return };
        let start = self.begin(&id, &format!("Thread-{slot}"), shared.events.now());
        if let Some(cause) = self.blocked.get(&id).cloned() {
            let message = format!("because of `{}`", shared.name(&cause));
            self.skip(&id, start, &message);
            return;
        }
        if shared.compiled.project.nodes.get(&id).is_some_and(|node| matches!(node.kind, NodeKind::Described(_))) {
            let ended = Ended::no_op(start.at);
            self.report(&id, start, ended, "main");
            self.release(&id, None);
            return;
        }
        self.free.remove(&slot);
        self.running.insert(id.clone(), start.clone());
        shared.events.send(&Event::NodeStarted(start.clone()));
        running.spawn(async move {
            let ended = match shared.compiled.project.nodes.get(&id) {
                Some(node) => {
                    let work = AssertUnwindSafe(run_node(&shared, node, &start.thread)).catch_unwind();
                    work.await.unwrap_or_else(|_| broken_down(&shared, node))
                }
                None => unknown(&shared),
            };
            Finished { id, start, slot, ended }
        });
    }

    fn begin(&mut self, id: &NodeId, thread: &str, at: DateTime<Utc>) -> NodeStart {
        self.started += 1;
        node_start(&self.shared, id, (self.started, self.total), thread, at)
    }

    fn finish(&mut self, finished: Finished) {
        let Finished { id, start, slot, mut ended } = finished;
        self.free.insert(slot);
        self.running.remove(&id);
        let thread = format!("Thread-{slot}");
        for (test, audit, at) in std::mem::take(&mut ended.audits) {
            let start = self.begin(&test, &thread, at);
            self.shared.events.send(&Event::NodeStarted(start.clone()));
            self.report(&test, start, audit, &thread);
        }
        let broken = ended.outcome.is_failure() || ended.outcome == NodeOutcome::Skipped;
        let failed = ended.outcome.is_failure();
        self.report(&id, start, ended, &thread);
        let blocks = broken && !self.goes_on(&id);
        self.release(&id, blocks.then_some(&id));
        if failed && self.shared.options.fail_fast {
            self.stopping = true;
        }
    }

    /// Whether what reads a node runs though the node failed: `on_error: continue`.
    fn goes_on(&self, id: &NodeId) -> bool {
        let config = self.shared.compiled.project.nodes.get(id).and_then(|node| node.config.raw.get("on_error"));
        config.and_then(serde_json::Value::as_str) == Some("continue")
    }

    /// Lets go of those that wait for a node; `cause` blocks them.
    fn release(&mut self, id: &NodeId, cause: Option<&NodeId>) {
        let cause = cause.map(|cause| self.blocked.get(id).cloned().unwrap_or_else(|| cause.clone()));
        for reader in self.readers.get(id).cloned().unwrap_or_default() {
            if let Some(cause) = &cause {
                self.blocked.entry(reader.clone()).or_insert_with(|| cause.clone());
            }
            let open = self.waiting.get_mut(&reader).is_some_and(|parents| {
                parents.remove(id);
                parents.is_empty()
            });
            if let Some(at) = self.position.get(&reader).filter(|_| open) {
                self.ready.insert(*at);
            }
        }
    }

    fn report(&mut self, id: &NodeId, start: NodeStart, mut ended: Ended, thread: &str) {
        let shared = Arc::clone(&self.shared);
        let Some(node) = shared.compiled.project.nodes.get(id) else { return };
        let finished_at = shared.events.now();
        for diagnostic in &ended.diagnostics {
            let sources = Arc::clone(&shared.compiled.project.sources);
            shared.events.send(&Event::Diagnosed { diagnostic: Box::new(diagnostic.clone()), sources, node: Some(id.to_string()) });
        }
        if ended.outcome == NodeOutcome::Error {
            ended.message = failure_message(&node.described(), &ended.diagnostics, &shared.compiled.project.sources, &ended.message);
        }
        self.totals.count(ended.outcome);
        let result = result(node, &ended, start.at, finished_at, thread);
        let rows = if matches!(node.resource_type(), ResourceType::Test | ResourceType::UnitTest) { ended.failures } else { ended.rows };
        let elapsed_seconds = (finished_at - start.at).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64());
        let told = ended.outcome.is_failure() || ended.outcome == NodeOutcome::Warn;
        let compiled = ended.compiled.as_ref().filter(|compiled| told && !compiled.sql.is_empty());
        let compiled_path = compiled.map(|_| (shared.options.compiled_path)(node));
        let done = NodeDone { start, outcome: ended.outcome, message: ended.message.clone(), rows, elapsed_seconds, finished_at, compiled_path };
        shared.events.send(&Event::NodeFinished(Box::new(done)));
        self.results.push(result);
    }

    fn skip(&mut self, id: &NodeId, start: NodeStart, message: &str) {
        let ended = Ended { batches: self.shared.open_batches(id), ..Ended::skipped(message, start.at) };
        let audits = self.shared.order.audits.get(id).cloned().unwrap_or_default();
        let at = ended.compiled_at;
        self.report(id, start, ended, "main");
        for test in audits {
            let start = self.begin(&test, "main", at);
            let ended = Ended::skipped(message, at);
            self.report(&test, start, ended, "main");
        }
        self.release(id, Some(id));
    }

    async fn interrupt(&mut self, running: &mut JoinSet<Finished>) {
        self.shared.events.send(&Event::Interrupted);
        running.abort_all();
        while running.join_next().await.is_some() {}
        self.shared.engine.cancel().await;
    }

    /// Everything that has no result yet, in the order of the run.
    fn skip_the_rest(&mut self, message: &str) {
        let shared = Arc::clone(&self.shared);
        let done: BTreeSet<NodeId> = self.results.iter().map(|result| result.id.clone()).collect();
        for id in shared.order.nodes.iter().filter(|id| !done.contains(*id)) {
            let message = self.blocked.get(id).map_or_else(|| message.to_owned(), |cause| format!("because of `{}`", shared.name(cause)));
            let start = self.running.remove(id).unwrap_or_else(|| self.begin(id, "main", shared.events.now()));
            self.skip(id, start, &message);
        }
    }
}

pub(super) fn node_start(shared: &Shared, id: &NodeId, (index, total): (usize, usize), thread: &str, at: DateTime<Utc>) -> NodeStart {
    let node = shared.compiled.project.nodes.get(id);
    NodeStart {
        index,
        total,
        id: id.to_string(),
        name: node.map_or_else(|| id.to_string(), |node| shown_name(node)),
        resource_type: node.map_or("", |node| node.resource_type().name()).to_owned(),
        materialization: node.map_or("", |node| node.config.materialization.name()).to_owned(),
        microbatch: node.and_then(|node| node.config.incremental.as_ref()?.microbatch()).is_some(),
        relation: node.and_then(|node| node.relation.as_ref()).map(Into::into),
        path: node.map_or_else(String::new, |node| node.original_path.clone()),
        thread: thread.to_owned(),
        at,
        about: node.map(|node| Arc::new(about(node, &shared.compiled.project.groups))).unwrap_or_default(),
    }
}

/// What structured lines tell of a node.
pub(super) fn about(node: &Node, groups: &[Group]) -> NodeAbout {
    let group = node.config.group.as_ref().and_then(|name| groups.iter().find(|group| group.name == *name));
    NodeAbout {
        path: node.path.clone(),
        checksum: if node.raw_code.is_empty() { String::new() } else { node.checksum.clone() },
        meta: node.config.meta.clone(),
        group: group.map(|group| json!({"name": group.name, "package_name": group.package, "owner": group.owner})),
        attached: node.test().and_then(|test| test.attached.as_ref()).map(ToString::to_string),
    }
}

/// The name that log lines have; of a unit test with its model, as dbt's.
fn shown_name(node: &Node) -> String {
    node.unit_test().map_or_else(
        || node.name.clone(),
        |unit| {
            let version = unit.version.as_ref().map(|version| format!("_v{version}")).unwrap_or_default();
            format!("{}::{}{version}", unit.model, node.name)
        },
    )
}

/// Of a node in which the program, or a library of it, panicked: it has failed, and the run goes on without it.
fn broken_down(shared: &Shared, node: &Node) -> Ended {
    let diagnostic = Diagnostic::error(Code::InternalError, format!("the program broke down while it worked on `{}`", node.name))
        .at(node.span, "this node")
        .help("this is a mistake in Alluvium and not in the project: report it with the lines above that begin with `thread`");
    Ended::failed(vec![diagnostic], shared.events.now())
}

fn unknown(shared: &Shared) -> Ended {
    Ended::skipped("it is not part of the project", shared.events.now())
}
