//! A report in the formats of terminals and of other tools.

mod junit;
mod sarif;

use std::fmt::Write as _;

use serde_json::json;

use super::against::Change;
use super::record::{Record, Report, Summary};
use crate::base::{PrintStyle, Sources, render_diagnostic, visible, visible_line};

/// The forms of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFormat {
    /// With the lines quoted.
    Text {
        colour: bool,
    },
    /// One line each: `file:line:column: severity[code]: message`.
    Short,
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// The XML of `JUnit`: one test case a node.
    Junit,
    /// Workflow commands, which GitHub shows at the lines of a pull request.
    Github {
        /// Folder of the project in the repository, with `/` at its end; empty where they are the same.
        folder: String,
    },
    /// For a comment.
    Markdown,
}

/// The whole report as a text that ends with a line end, or nothing.
#[must_use]
pub fn render_findings(report: &Report, sources: &Sources, format: &CheckFormat) -> String {
    let records = || report.findings.iter().map(|(_, record)| record);
    match format {
        CheckFormat::Text { colour } => text(report, sources, if *colour { PrintStyle::Colour } else { PrintStyle::Plain }),
        CheckFormat::Short => {
            let changes = report.changes.iter().flatten().map(|change| format!("{}\n", line(change)));
            records().map(short).chain(changes).chain([counted(report.summary)]).collect()
        }
        CheckFormat::Json => {
            let records: Vec<&Record> = records().collect();
            let mut value = json!({ "diagnostics": records, "summary": report.summary, "proved_tests": report.proved_tests });
            if let (Some(changes), Some(map)) = (&report.changes, value.as_object_mut()) {
                map.insert("changes".into(), json!(changes));
            }
            pretty(&value)
        }
        CheckFormat::Sarif => pretty(&sarif::sarif(&records().collect::<Vec<_>>())),
        CheckFormat::Junit => junit::junit(report),
        CheckFormat::Github { folder } => records().map(|record| github(record, folder)).collect(),
        CheckFormat::Markdown => markdown(report),
    }
}

fn pretty(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn text(report: &Report, sources: &Sources, style: PrintStyle) -> String {
    let mut out = String::new();
    for (finding, _) in &report.findings {
        out.push_str(&render_diagnostic(&finding.diagnostic, sources, style));
        out.push_str("\n\n");
    }
    if let Some(changes) = &report.changes {
        for change in changes {
            let _ = writeln!(out, "{}", line(change));
            out.extend(change.reaches.sentence().map(|reached| format!("    {reached}\n")));
        }
        out.push_str(if changes.is_empty() { "nothing changed\n\n" } else { "\n" });
    }
    out + &counted(report.summary)
}

/// A change with its weight.
fn line(change: &Change) -> String {
    format!("{} {}", if change.breaking { "breaking:" } else { "change:" }, visible_line(&change.sentence()))
}

fn short(record: &Record) -> String {
    let place = match (&record.file, record.line, record.column) {
        (Some(file), Some(line), Some(column)) => format!("{}:{line}:{column}: ", visible_line(file)),
        (Some(file), _, _) => format!("{}: ", visible_line(file)),
        (None, _, _) => String::new(),
    };
    format!("{place}{}[{}]: {}\n", record.severity, record.code, visible_line(&record.message))
}

/// `12 proved, 1 wrong, 2 not known: 1 error, 3 warnings`
fn counted(summary: Summary) -> String {
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let nodes = number(summary.proved, "node") + " proved";
    let more = [(summary.wrong, "wrong"), (summary.unknown, "not known")];
    let more: String = more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}")).collect();
    format!("{nodes}{more}; {}, {}\n", number(summary.errors, "error"), number(summary.warnings, "warning"))
}

/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>
fn github(record: &Record, folder: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut properties = Vec::new();
    if let Some(file) = &record.file {
        properties.push(format!("file={}{}", property(folder), property(file)));
    }
    let numbers = [("line", record.line), ("endLine", record.end_line), ("col", record.column), ("endColumn", record.end_column)];
    properties.extend(numbers.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))));
    properties.push(format!("title={}", property(&record.code)));
    let mut message = record.message.clone();
    for line in record.notes.iter().chain(&record.help) {
        message.push('\n');
        message.push_str(line);
    }
    format!("::{} {}::{}\n", record.severity, properties.join(","), data(&visible(&message)))
}

fn markdown(report: &Report) -> String {
    let cell = |text: &str| visible_line(text).replace('|', "\\|").replace('\n', " ");
    let mut out = format!("### alluvium check\n\n{}", counted(report.summary));
    if !report.findings.is_empty() {
        out.push_str("\n| | where | what |\n|---|---|---|\n");
    }
    for (_, record) in &report.findings {
        let place = match (&record.file, record.line) {
            (Some(file), Some(line)) => format!("`{}:{line}`", cell(file)),
            (Some(file), None) => format!("`{}`", cell(file)),
            (None, _) => String::new(),
        };
        let help = record.help.as_ref().map(|help| format!(" ({})", cell(help))).unwrap_or_default();
        let _ = writeln!(out, "| {} | {place} | `{}` {}{help} |", record.severity, record.code, cell(&record.message));
    }
    let changes = report.changes.as_deref().unwrap_or_default();
    if !changes.is_empty() {
        out.push_str("\n| | change | reaches |\n|---|---|---|\n");
    }
    for change in changes {
        let reached = change.reaches.sentence().unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            if change.breaking { "**breaking**" } else { "" },
            cell(&change.sentence()),
            cell(reached.trim_start_matches("it reaches "))
        );
    }
    out
}
