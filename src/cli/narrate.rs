//! What is said about each event: dbt's lines under dbt's names.
//!
//! Wording is in `words`, the data of structured lines in `data`. Remembers what the end of a run needs: what was counted, what failed, and the diagnostics to repeat.

mod data;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::record::{Level, Paint, Record, Text, timestamp};
use crate::base::{
    Diagnostic, Event, Heard, NodeDone, NodeOutcome, NodeStart, PrintStyle, Severity, Shown, Sources, Totals, failure_message, render_diagnostic,
    visible, visible_line,
};
use data::{diagnostic_data, node_info, result_data, run_result};
use words::{batch_words, counted, description, duration_words, fancy, indented, join, kind_words, ran_words, result_words, words};

const MAIN_THREAD: &str = "MainThread";

/// Turns events into records; one for each sink.
pub(crate) struct Narrator {
    least: Level,
    structured: bool,
    width: usize,
    finished: Vec<NodeDone>,
    diagnosed: BTreeMap<String, Vec<(Diagnostic, Arc<Sources>)>>,
    interrupted: bool,
}

impl Narrator {
    /// Says what is at least of level `least`, with data for structured lines or without.
    /// Lines about nodes are `width` characters long, up to the status.
    pub fn new(least: Level, structured: bool, width: usize) -> Self {
        Self { least, structured, width, finished: Vec::new(), diagnosed: BTreeMap::new(), interrupted: false }
    }

    /// What to say about an event, in order.
    pub fn tell(&mut self, event: &Event, at: chrono::DateTime<chrono::Utc>) -> Vec<Record> {
        self.remember(event);
        let records = match event {
            Event::NodeStarted(start) => self.node_started(start),
            Event::NodeFinished(done) => self.node_finished(done),
            Event::BatchStarted { batch, start } => self.batch_started(batch, start),
            Event::BatchFinished { batch, done } => vec![self.batch_finished(batch, done)],
            Event::Diagnosed { diagnostic, sources, node } => vec![self.diagnosed(diagnostic, sources, node.as_deref())],
            Event::SqlSent { node, sql } => self.sql_sent(node, sql),
            Event::RunFinished { totals, elapsed_seconds, broken } => self.run_finished(*totals, *elapsed_seconds, broken, at),
            Event::CommandCompleted { command, success, elapsed_seconds } => vec![self.completed(command, *success, *elapsed_seconds, at)],
            Event::Message { text, heard, node } => vec![self.message(text, *heard, node.as_deref())],
            Event::Started { .. }
            | Event::Found { .. }
            | Event::RunStarted { .. }
            | Event::Interrupted
            | Event::NothingToDo
            | Event::SelectsNothing { .. }
            | Event::ArtifactWritten { .. }
            | Event::OperationFailed { .. }
            | Event::Shown(_)
            | Event::Failed { .. } => self.plain(event),
        };
        records.into_iter().filter(|record| record.asked || record.level >= self.least).collect()
    }

    fn remember(&mut self, event: &Event) {
        match event {
            Event::RunStarted { .. } => {
                self.finished.clear();
                self.diagnosed.clear();
                self.interrupted = false;
            }
            Event::NodeFinished(done) => self.finished.push((**done).clone()),
            Event::Diagnosed { diagnostic, sources, node: Some(node) } => {
                self.diagnosed.entry(node.clone()).or_default().push(((**diagnostic).clone(), Arc::clone(sources)));
            }
            Event::Interrupted => self.interrupted = true,
            Event::Started { .. }
            | Event::Found { .. }
            | Event::NodeStarted(_)
            | Event::BatchStarted { .. }
            | Event::BatchFinished { .. }
            | Event::Message { .. }
            | Event::Diagnosed { .. }
            | Event::SqlSent { .. }
            | Event::RunFinished { .. }
            | Event::NothingToDo
            | Event::SelectsNothing { .. }
            | Event::ArtifactWritten { .. }
            | Event::CommandCompleted { .. }
            | Event::OperationFailed { .. }
            | Event::Shown(_)
            | Event::Failed { .. } => {}
        }
    }

    /// The events that are one fixed line each.
    fn plain(&self, event: &Event) -> Vec<Record> {
        match event {
            Event::Started { version, command } => {
                let data = self.data(|| json!({"version": version, "log_version": 3, "command": command}));
                vec![record("MainReportVersion", "A001", Level::Info, Text::new(format!("Running with alluvium={version}")), data)]
            }
            Event::Found { counts } => {
                let found = join(counts.iter().map(|(kind, count)| counted(*count, &kind_words(kind))));
                let line = if counts.is_empty() { "no nodes".to_owned() } else { found };
                let data = self.data(|| json!({"stat_line": line}));
                vec![record("FoundStats", "W006", Level::Info, Text::new(format!("Found {line}")), data), self.blank()]
            }
            Event::RunStarted { threads, target, total } => {
                let data = self.data(|| json!({"num_threads": threads, "target_name": target, "node_count": total}));
                let text = format!("Concurrency: {} (target='{}')", counted(*threads, &words("thread")), visible_line(target));
                vec![record("ConcurrencyLine", "Q027", Level::Info, Text::new(text), data), self.blank()]
            }
            Event::Interrupted => {
                vec![record(
                    "Note",
                    "Z050",
                    Level::Warn,
                    Text::painted(Paint::Yellow, "Interrupted: what is running is dismissed, the rest is skipped"),
                    Json::Null,
                )]
            }
            Event::NothingToDo => {
                vec![
                    record("NoNodesSelected", "Q038", Level::Debug, Text::new("No nodes selected!"), Json::Null),
                    record("NothingToDo", "Q035", Level::Warn, Text::painted(Paint::Yellow, NOTHING_TO_DO), Json::Null),
                ]
            }
            Event::SelectsNothing { criterion, near } => {
                let data = self.data(|| json!({"spec_raw": criterion}));
                let text = selects_nothing(criterion, near.as_deref());
                vec![record("NoNodesForSelectionCriteria", "M030", Level::Warn, Text::painted(Paint::Yellow, &text), data)]
            }
            Event::ArtifactWritten { kind, path } => {
                let data = self.data(|| json!({"artifact_type": kind, "artifact_path": path}));
                vec![record("ArtifactWritten", "P001", Level::Debug, Text::new(format!("Wrote artifact {kind} to {}", visible_line(path))), data)]
            }
            Event::OperationFailed { message } => {
                let data = self.data(|| json!({"exc": message}));
                let text = Text::painted(Paint::Red, "Encountered an error while running operation: ")
                    .then(&visible_line(message.lines().next().unwrap_or_default()));
                vec![record("RunningOperationCaughtError", "Q001", Level::Error, text, data)]
            }
            Event::Shown(shown) => vec![self.shown(shown)],
            Event::Failed { message } => {
                let data = self.data(|| json!({"exc": message}));
                let text = Text::painted(Paint::Red, "Encountered an error:").then("\n").then(&visible(message));
                vec![record("MainEncounteredError", "Z002", Level::Error, text, data)]
            }
            Event::NodeStarted(_)
            | Event::NodeFinished(_)
            | Event::BatchStarted { .. }
            | Event::BatchFinished { .. }
            | Event::Message { .. }
            | Event::Diagnosed { .. }
            | Event::SqlSent { .. }
            | Event::RunFinished { .. }
            | Event::CommandCompleted { .. } => Vec::new(),
        }
    }

    fn node_started(&self, start: &NodeStart) -> Vec<Record> {
        let line = fancy(&format!("START {}", description(start)), (start, self.width), &Text::new("RUN"), None);
        let hook = start.resource_type == "operation";
        let (name, code, what) = if hook { ("LogHookStartLine", "Q032", "statement") } else { ("LogStartLine", "Q011", "description") };
        let said = if hook { start.name.clone() } else { description(start) };
        let data = self.data(|| json!({"node_info": node_info(start, None), what: said, "index": start.index, "total": start.total}));
        vec![self.begun(start), record(name, code, Level::Info, line, data).on(&start.thread)]
    }

    fn begun(&self, start: &NodeStart) -> Record {
        let text = Text::new(format!("Began running node {}", visible_line(&start.id)));
        record("NodeStart", "Q024", Level::Debug, text, self.data(|| json!({"node_info": node_info(start, None)}))).on(&start.thread)
    }

    fn node_finished(&self, done: &NodeDone) -> Vec<Record> {
        let start = &done.start;
        let said = self.data(|| json!({"node_info": node_info(start, Some(done)), "run_result": run_result(done)}));
        let text = Text::new(format!("Finished running node {}", visible_line(&start.id)));
        let begun = match done.outcome {
            // What does nothing begins all the same.
            NodeOutcome::Skipped | NodeOutcome::NoOp => Some(self.begun(start)),
            NodeOutcome::Success | NodeOutcome::PartialSuccess | NodeOutcome::Pass | NodeOutcome::Warn | NodeOutcome::Fail | NodeOutcome::Error => {
                None
            }
        };
        let ended = [self.result_line(done).on(&start.thread), record("NodeFinished", "Q025", Level::Debug, text, said).on(&start.thread)];
        begun.into_iter().chain(ended).collect()
    }

    fn batch_started(&self, batch: &str, start: &NodeStart) -> Vec<Record> {
        let description = batch_words(batch, start);
        let line = Text::new("Batch ").with(&fancy(&format!("START {description}"), (start, self.width), &Text::new("RUN"), None));
        let info = self.data(|| node_info(start, None));
        let data = self.data(|| json!({"node_info": info, "description": description, "batch_index": start.index, "total_batches": start.total}));
        let how = format!("{description} is being run sequentially");
        vec![
            record("MicrobatchExecutionDebug", "Q044", Level::Debug, Text::new(how.as_str()), self.data(|| json!({"msg": how}))).on(&start.thread),
            record("LogStartBatch", "Q045", Level::Info, line, data).on(&start.thread),
        ]
    }

    fn batch_finished(&self, batch: &str, done: &NodeDone) -> Record {
        let start = &done.start;
        let description = batch_words(batch, start);
        let (verb, paint, status, level) = match done.outcome {
            NodeOutcome::Success => ("OK created", Paint::Green, done.message.as_str(), Level::Info),
            NodeOutcome::Skipped => ("SKIP", Paint::Yellow, "SKIPPED", Level::Info),
            NodeOutcome::Pass | NodeOutcome::Warn | NodeOutcome::NoOp => ("OK created", Paint::Green, "OK", Level::Info),
            NodeOutcome::Fail | NodeOutcome::Error | NodeOutcome::PartialSuccess => ("ERROR creating", Paint::Red, "ERROR", Level::Error),
        };
        let status = Text::painted(paint, &visible_line(status));
        let line = fancy(&format!("{verb} {description}"), (start, self.width), &status, Some(done.elapsed_seconds));
        let data = self.data(|| {
            json!({"node_info": node_info(start, Some(done)), "description": description, "batch_index": start.index, "total_batches": start.total,
                "status": if done.outcome == NodeOutcome::Success { done.message.as_str() } else { done.outcome.status() },
                "execution_time": done.elapsed_seconds})
        });
        record("LogBatchResult", "Q046", level, Text::new("Batch ").with(&line), data).on(&start.thread)
    }

    /// The line with how a node ended.
    fn result_line(&self, done: &NodeDone) -> Record {
        let start = &done.start;
        let (name, code) = match (done.outcome, start.resource_type.as_str()) {
            (NodeOutcome::Skipped, kind) if kind != "operation" => ("SkippingDetails", "Q034"),
            (NodeOutcome::NoOp, _) => ("LogNodeNoOpResult", "Q019"),
            (_, "test" | "unit_test") => ("LogTestResult", "Q007"),
            (_, "operation") => ("LogHookEndLine", "Q033"),
            (_, "function") => ("LogFunctionResult", "Q047"),
            (_, "source") => ("LogFreshnessResult", "Q018"),
            (_, "seed") => ("LogSeedResult", "Q016"),
            (_, "snapshot") => ("LogSnapshotResult", "Q015"),
            _ => ("LogModelResult", "Q012"),
        };
        let level = match done.outcome {
            NodeOutcome::Fail | NodeOutcome::Error | NodeOutcome::PartialSuccess => Level::Error,
            NodeOutcome::Warn => Level::Warn,
            NodeOutcome::Success | NodeOutcome::Pass | NodeOutcome::Skipped | NodeOutcome::NoOp => Level::Info,
        };
        let elapsed = (done.outcome != NodeOutcome::Skipped).then_some(done.elapsed_seconds);
        let (what, status) = result_words(done);
        let mut line = fancy(&what, (start, self.width), &status, elapsed);
        if done.outcome == NodeOutcome::Skipped && !done.message.is_empty() {
            line = line.then(&format!(" {}", visible_line(&done.message)));
        }
        record(name, code, level, line, self.data(|| result_data(done)))
    }

    fn diagnosed(&self, diagnostic: &Diagnostic, sources: &Sources, node: Option<&str>) -> Record {
        let level = match diagnostic.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warn,
        };
        let data = self.data(|| diagnostic_data(diagnostic, sources, node));
        record("Diagnostic", "", level, drawn(diagnostic, sources), data).standing_alone()
    }

    fn message(&self, text: &str, heard: Heard, node: Option<&str>) -> Record {
        let data = self.data(|| json!({"msg": text, "node_info": node.map(|id| json!({"unique_id": id}))}));
        let (name, code, level) = match heard {
            Heard::Log => ("JinjaLogDebug", "I063", Level::Debug),
            Heard::Terminal => ("JinjaLogInfo", "I062", Level::Info),
            Heard::Warning => ("JinjaLogWarning", "I061", Level::Warn),
            Heard::Script => ("PrintEvent", "Z052", Level::Info),
        };
        let asked = heard == Heard::Script;
        let line = if heard == Heard::Warning { Text::painted(Paint::Yellow, "warning: ").then(&visible(text)) } else { Text::new(visible(text)) };
        Record { asked, stamped: !asked, ..record(name, code, level, line, data) }
    }

    /// Said where all else is quiet: it is what was asked for.
    fn shown(&self, shown: &Shown) -> Record {
        let Shown { compiled, name, id, inline, json, quiet, text } = shown;
        let (event, code, field, heading) = match (*compiled, *inline) {
            (true, true) => ("CompiledNode", "Q042", "compiled", "Compiled inline node is:".to_owned()),
            (true, false) => ("CompiledNode", "Q042", "compiled", format!("Compiled node '{name}' is:")),
            (false, true) => ("ShowNode", "Q041", "preview", "Previewing inline node:".to_owned()),
            (false, false) => ("ShowNode", "Q041", "preview", format!("Previewing node '{name}':")),
        };
        let format = if *json { "json" } else { "text" };
        let mut data = json!({"node_name": name, "unique_id": id, "is_inline": inline, "output_format": format, "quiet": quiet});
        if let Some(data) = data.as_object_mut() {
            data.insert(field.to_owned(), Json::from(text.as_str()));
        }
        let line = match (*json, *quiet) {
            (true, _) => shown_json(shown),
            (false, true) => visible(text).into_owned(),
            (false, false) => format!("{}\n{}", visible_line(&heading), visible(text)),
        };
        Record { asked: true, ..record(event, code, Level::Info, Text::new(line), self.data(|| data)) }
    }

    fn sql_sent(&self, node: &str, sql: &str) -> Vec<Record> {
        if self.least > Level::Debug {
            return Vec::new();
        }
        let text = Text::new(format!("On {}: {}", visible_line(node), visible(sql)));
        let data = self.data(|| json!({"conn_name": node, "sql": sql, "node_info": {"unique_id": node}}));
        vec![record("SQLQuery", "E016", Level::Debug, text, data)]
    }

    fn completed(&self, command: &str, success: bool, seconds: f64, at: chrono::DateTime<chrono::Utc>) -> Record {
        let status = if success { "succeeded" } else { "failed" };
        let text = format!("Command `{}` {status} at {} after {seconds:.2} seconds", visible_line(command), at.format("%H:%M:%S%.6f"));
        let data = self.data(|| json!({"command": command, "success": success, "completed_at": timestamp(at), "elapsed": seconds}));
        record("CommandCompleted", "Q039", Level::Debug, Text::new(text), data)
    }

    /// The end of a run: what ran, whether it went well, every failure once more in full, the counts.
    fn run_finished(&self, totals: Totals, seconds: f64, broken: &[NodeStart], at: chrono::DateTime<chrono::Utc>) -> Vec<Record> {
        let ran = self.ran();
        let execution = format!(" in {}", duration_words(seconds));
        let data = self.data(|| json!({"stat_line": ran, "execution": execution, "execution_time": seconds}));
        let text = format!("Finished running{}{ran}{execution} ({seconds:.2}s).", if ran.is_empty() { "" } else { " " });
        let mut records = vec![self.blank(), record("FinishedRunningStats", "E047", Level::Info, Text::new(text), data), self.blank()];
        records.push(self.summary(totals, broken.len()));
        let warnings = self.finished.iter().filter(|done| done.outcome == NodeOutcome::Warn);
        let failures = self.finished.iter().filter(|done| done.outcome.is_failure());
        for done in warnings.chain(failures) {
            records.extend(self.repeated(done));
        }
        for start in broken {
            let found = self.diagnosed.get(&start.id).map(Vec::as_slice).unwrap_or_default();
            let message = found
                .first()
                .map_or_else(String::new, |(first, sources)| failure_message(&start.described(), std::slice::from_ref(first), sources, ""));
            let (start, outcome) = (start.clone(), NodeOutcome::Error);
            let done = NodeDone { start, outcome, message, rows: None, elapsed_seconds: 0.0, finished_at: at, compiled_path: None };
            records.extend(self.repeated(&done));
        }
        let stats = json!({"pass": totals.pass, "warn": totals.warn, "error": totals.error, "skip": totals.skip, "noop": totals.no_op, "total": totals.total()});
        let done = format!(
            "Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP={} TOTAL={}",
            totals.pass,
            totals.warn,
            totals.error,
            totals.skip,
            totals.no_op,
            totals.total()
        );
        records.extend([self.blank(), record("StatsLine", "Z023", Level::Info, Text::new(done), self.data(|| json!({"stats": stats})))]);
        records
    }

    fn ran(&self) -> String {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for done in &self.finished {
            *counts.entry(ran_words(&done.start)).or_default() += 1;
        }
        join(counts.iter().map(|(words, count)| counted(*count, words)))
    }

    fn summary(&self, totals: Totals, broken: usize) -> Record {
        let errors = totals.error + broken;
        let partial = self.finished.iter().filter(|done| done.outcome == NodeOutcome::PartialSuccess).count();
        let data = self.data(
            || json!({"num_errors": errors - partial, "num_warnings": totals.warn, "num_partial_success": partial, "keyboard_interrupt": self.interrupted}),
        );
        let partly = |text: String| {
            if partial == 0 { text } else { format!("{text}, {}", counted(partial, &("partial success".into(), "partial successes".into()))) }
        };
        let (paint, text) = if self.interrupted {
            (Paint::Yellow, "Exited because of keyboard interrupt".to_owned())
        } else if errors > 0 {
            let errors = partly(counted(errors.saturating_sub(partial), &words("error")));
            (Paint::Red, format!("Completed with {errors}, {}:", counted(totals.warn, &words("warning"))))
        } else if totals.warn > 0 {
            (Paint::Yellow, format!("Completed with {}:", counted(totals.warn, &words("warning"))))
        } else {
            (Paint::Green, "Completed successfully".to_owned())
        };
        record("EndOfRunSummary", "Z030", Level::Info, Text::painted(paint, &text), data)
    }

    /// A failure or warning once more: what, why, and where the SQL is.
    fn repeated(&self, done: &NodeDone) -> Vec<Record> {
        let start = &done.start;
        let failed = done.outcome.is_failure();
        let (level, paint, word) = if failed { (Level::Error, Paint::Red, "Failure") } else { (Level::Warn, Paint::Yellow, "Warning") };
        let title = format!("{word} in {} {} ({})", start.resource_type, visible_line(&start.name), visible_line(&start.path));
        let info = self.data(|| node_info(start, Some(done)));
        let data = self.data(|| json!({"resource_type": start.resource_type, "node_name": start.name, "path": start.path, "node_info": info}));
        let (name, code) = if failed { ("RunResultFailure", "Z022") } else { ("RunResultWarning", "Z021") };
        let mut records = vec![self.blank(), record(name, code, level, Text::painted(paint, &title), data)];
        let (name, code) = if failed { ("RunResultError", "Z024") } else { ("RunResultWarningMessage", "Z046") };
        let diagnostics = self.diagnosed.get(&start.id).map(Vec::as_slice).unwrap_or_default();
        let mut errors = diagnostics.iter().filter(|(diagnostic, _)| diagnostic.is_error() || !failed).peekable();
        if !done.message.is_empty() {
            // The terminal has the diagnostics below, so the headline of them is enough.
            let shown = if errors.peek().is_some() { done.message.lines().next().unwrap_or_default() } else { done.message.as_str() };
            let data = self.data(|| json!({"msg": done.message, "node_info": info}));
            // What stands below a headline is indented already.
            let text = if done.outcome == NodeOutcome::Error { format!("  {}", visible(shown)) } else { indented(&visible(shown)) };
            records.push(record(name, code, level, Text::new(text), data));
        }
        records.extend(errors.map(|(diagnostic, sources)| self.diagnosed(diagnostic, sources, Some(&start.id))));
        if let Some(path) = &done.compiled_path {
            let data = self.data(|| json!({"path": path, "node_info": info}));
            let text = Text::new(format!("  compiled code at {}", visible_line(path)));
            records.extend([self.blank(), record("SQLCompiledPath", "Z026", Level::Info, text, data)]);
        }
        records
    }

    fn blank(&self) -> Record {
        record("Formatting", "Z017", Level::Info, Text::default(), self.data(|| json!({"msg": ""})))
    }

    fn data(&self, make: impl FnOnce() -> Json) -> Json {
        if self.structured { make() } else { Json::Null }
    }
}

impl Record {
    fn on(mut self, thread: &str) -> Self {
        thread.clone_into(&mut self.thread);
        self
    }

    fn standing_alone(mut self) -> Self {
        self.stamped = false;
        self
    }
}

/// A criterion that names nothing, in dbt's words, with what was likely meant.
/// What was asked for as JSON, with the node's name where there is a node.
fn shown_json(shown: &Shown) -> String {
    let (key, value) = if shown.compiled {
        ("compiled", Json::from(shown.text.as_str()))
    } else {
        ("show", serde_json::from_str(&shown.text).unwrap_or(Json::Null))
    };
    let whole = if shown.inline { json!({ key: value }) } else { json!({"node": shown.name, key: value}) };
    format!("{whole:#}")
}

/// What is said where a command has nothing to do.
pub(super) const NOTHING_TO_DO: &str = "Nothing to do. Try checking your model configs and model specification args";

pub(super) fn selects_nothing(criterion: &str, near: Option<&str>) -> String {
    let near = near.map(|near| format!("; did you mean '{}'?", visible_line(near))).unwrap_or_default();
    format!("The selection criterion '{}' does not match any enabled nodes{near}", visible_line(criterion))
}

fn record(name: &'static str, code: &'static str, level: Level, text: Text, data: Json) -> Record {
    Record { name, code, level, text, stamped: true, asked: false, thread: MAIN_THREAD.to_owned(), data }
}

fn drawn(diagnostic: &Diagnostic, sources: &Sources) -> Text {
    let draw = |style| render_diagnostic(diagnostic, sources, style) + "\n";
    Text { plain: draw(PrintStyle::Plain), coloured: draw(PrintStyle::Colour) }
}
