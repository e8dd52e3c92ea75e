//! Events on standard output, as dbt prints them: plain lines, coloured lines with a progress line on a terminal, or
//! structured lines.
//!
//! Leaves to `narrate` what is said, and to the command line which options hold.

use std::sync::PoisonError;

use chrono::{DateTime, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Stream;
use super::narrate::Narrator;
use super::record::{Level, LogFormat, LogIdentity, Record};
use crate::base::{Event, EventSink, files, visible_line};

/// How the console prints.
#[derive(Debug, Clone)]
pub(crate) struct ConsoleOptions {
    pub format: LogFormat,
    /// What matters less is left out: `--debug` lowers it, `--quiet` raises it to errors.
    pub least: Level,
    pub colours: bool,
    /// A line at the bottom of the terminal that shows what runs.
    pub progress: bool,
    /// Characters of a line about a node, up to its status.
    pub width: usize,
    pub identity: LogIdentity,
}

impl ConsoleOptions {
    /// Colours and progress on a terminal only, and colours also where `use_colors` says so. `Some(false)` stands for
    /// `--no-use-colors` and for `NO_COLOR`.
    #[must_use]
    pub fn on(terminal: bool, format: LogFormat, least: Level, use_colors: Option<bool>, identity: LogIdentity) -> Self {
        let text = format != LogFormat::Json;
        let colours = text && use_colors.unwrap_or(terminal);
        Self { format, least, colours, progress: terminal && text && least <= Level::Info, width: 80, identity }
    }
}

/// The sink for standard output.
pub(crate) struct Console {
    options: ConsoleOptions,
    narrator: Narrator,
    out: Stream,
    progress: Option<Progress>,
}

impl Console {
    #[must_use]
    pub fn new(options: ConsoleOptions, out: Stream) -> Self {
        let narrator = Narrator::new(options.least, options.format == LogFormat::Json, options.width);
        Self { options, narrator, out, progress: None }
    }

    fn line(&self, record: &Record, at: DateTime<Utc>) -> String {
        match self.options.format {
            LogFormat::Text => record.text_line(at, self.options.colours),
            LogFormat::Debug => record.debug_line(at, self.options.colours),
            LogFormat::Json => record.json_line(at, &self.options.identity),
        }
    }

    fn write(&self, lines: &str) {
        let write = || files::write_lossy(&mut *self.out.lock().unwrap_or_else(PoisonError::into_inner), lines);
        match &self.progress {
            Some(progress) => progress.bar.suspend(write),
            None => write(),
        }
    }
}

impl EventSink for Console {
    fn event(&mut self, event: &Event, at: DateTime<Utc>) {
        if ends_run(event)
            && let Some(progress) = self.progress.take()
        {
            progress.bar.finish_and_clear();
        }
        let lines: String = self.narrator.tell(event, at).iter().map(|record| self.line(record, at)).collect();
        if !lines.is_empty() {
            self.write(&lines);
        }
        if let Event::RunStarted { total, .. } = event
            && self.options.progress
        {
            self.progress = Some(Progress::new(*total));
        }
        if let Some(progress) = &mut self.progress {
            progress.event(event);
        }
    }
}

fn ends_run(event: &Event) -> bool {
    matches!(event, Event::RunFinished { .. } | Event::Failed { .. } | Event::NothingToDo | Event::CommandCompleted { .. })
}

/// The progress line: n of m, and the names of the nodes that run.
struct Progress {
    bar: ProgressBar,
    running: Vec<String>,
}

impl Progress {
    fn new(total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stdout());
        // The default style of the library is better than no run, should the template ever not parse.
        let style = ProgressStyle::with_template("{elapsed_precise}  {pos} of {len}  {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        Self { bar, running: Vec::new() }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::NodeStarted(start) => self.running.push(visible_line(&start.name).into_owned()),
            Event::NodeFinished(done) => {
                let name = visible_line(&done.start.name);
                if let Some(at) = self.running.iter().position(|running| *running == name) {
                    self.running.remove(at);
                }
                self.bar.inc(1);
            }
            Event::Started { .. }
            | Event::Found { .. }
            | Event::RunStarted { .. }
            | Event::Message { .. }
            | Event::BatchStarted { .. }
            | Event::BatchFinished { .. }
            | Event::Diagnosed { .. }
            | Event::SqlSent { .. }
            | Event::Interrupted
            | Event::RunFinished { .. }
            | Event::NothingToDo
            | Event::SelectsNothing { .. }
            | Event::ArtifactWritten { .. }
            | Event::CommandCompleted { .. }
            | Event::OperationFailed { .. }
            | Event::Shown(_)
            | Event::Failed { .. } => return,
        }
        self.bar.set_message(self.message());
    }

    fn message(&self) -> String {
        if self.running.is_empty() { String::new() } else { format!("running {}", self.running.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
