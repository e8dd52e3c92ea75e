//! Diagnostics as flat records: the shape of the JSON output, and what the other formats are written from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::against::Change;
use super::allow::weigh;
use super::visit::Proof;
use crate::base::{Code, Diagnostic, Severity, Sources, Span};
use crate::load::SeverityRule;
use crate::manifest::NodeId;
use crate::resolve::Project;

/// A diagnostic and the node it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub node: Option<NodeId>,
    pub diagnostic: Diagnostic,
}

/// One diagnostic. Lines and columns count from 1, columns in characters; the end is behind the last character. `file`
/// is relative to the project, with `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Record {
    pub code: String,
    pub severity: String,
    pub message: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub end_line: Option<u32>,
    pub end_column: Option<u32>,
    pub node: Option<String>,
    pub labels: Vec<RecordLabel>,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

/// A place with a few words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RecordLabel {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
    pub text: String,
    pub primary: bool,
}

/// The counts of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub errors: usize,
    pub warnings: usize,
    /// Nodes that were planned against known schemas.
    pub proved: usize,
    /// Nodes with an error.
    pub wrong: usize,
    /// Nodes that read what is not known.
    pub unknown: usize,
}

/// Everything a check has to say, sorted by place.
#[derive(Debug)]
pub struct Report {
    pub findings: Vec<(Finding, Record)>,
    pub summary: Summary,
    /// How each node stands, sorted by id.
    pub nodes: BTreeMap<NodeId, Proof>,
    /// The differences to another state, where one was given.
    pub changes: Option<Vec<Change>>,
    /// Data tests that can't fail, with the proof, by id.
    pub proved_tests: BTreeMap<String, String>,
}

impl Report {
    /// Gives each warning the severity that its code has now; without one it is left out.
    pub fn weigh_warnings(&mut self, severity: impl Fn(Code) -> Option<Severity>) {
        self.findings.retain_mut(|(finding, record)| {
            if finding.diagnostic.severity != Severity::Warning {
                return true;
            }
            let Some(now) = severity(finding.diagnostic.code) else { return false };
            finding.diagnostic.severity = now;
            severity_name(now).clone_into(&mut record.severity);
            true
        });
        let count = |wanted: Severity| self.findings.iter().filter(|(finding, _)| finding.diagnostic.severity == wanted).count();
        (self.summary.errors, self.summary.warnings) = (count(Severity::Error), count(Severity::Warning));
    }
}

/// Weighs, sorts and counts. `project` is `None` where it could not be resolved.
#[must_use]
pub fn report(
    found: Vec<Finding>,
    nodes: BTreeMap<NodeId, Proof>,
    project: Option<&Arc<Project>>,
    sources: &Sources,
    rules: &[SeverityRule],
) -> Report {
    let mut findings: Vec<(Finding, Record)> =
        weigh(found, project, sources, rules).into_iter().map(|finding| (record(&finding, sources), finding)).map(|(a, b)| (b, a)).collect();
    sort(&mut findings);
    findings.dedup_by(|(_, left), (_, right)| same(left, right));
    join_holes(&mut findings);
    let severity = |wanted: Severity| findings.iter().filter(|(finding, _)| finding.diagnostic.severity == wanted).count();
    let count = |wanted: fn(&Proof) -> bool| nodes.values().filter(|proof| wanted(proof)).count();
    let summary = Summary {
        errors: severity(Severity::Error),
        warnings: severity(Severity::Warning),
        proved: count(|proof| matches!(proof, Proof::Proved)),
        wrong: count(|proof| matches!(proof, Proof::Wrong)),
        unknown: count(|proof| matches!(proof, Proof::Unknown { .. })),
    };
    Report { findings, summary, nodes, changes: None, proved_tests: BTreeMap::new() }
}

/// Whether two findings are one: nodes that render the same text find the same in it.
fn same(left: &Record, right: &Record) -> bool {
    let said = |record: &Record| (record.code.clone(), record.severity.clone(), record.message.clone(), record.file.clone());
    let place = |record: &Record| (record.line, record.column, record.end_line, record.end_column);
    left.file.is_some() && said(left) == said(right) && place(left) == place(right) || left == right
}

/// SQL that can't be read because of what a template left out is no finding of its own: it makes an error of the one about
/// the template.
fn join_holes(findings: &mut Vec<(Finding, Record)>) {
    let is_hole = |hole: &Finding, of: &Record| matches!(hole.diagnostic.code, Code::MacroArguments | Code::UndefinedName) && of.file.is_some();
    if !findings.iter().any(|(hole, of)| is_hole(hole, of)) {
        return;
    }
    let place = |record: &Record| (record.file.clone(), record.line, record.column);
    let (broken, kept): (Vec<_>, Vec<_>) = std::mem::take(findings).into_iter().partition(|(_, record)| record.code == Code::SqlSyntax.name());
    *findings = kept;
    let mut holes = HashMap::new();
    for (at, (_, of)) in findings.iter().enumerate().filter(|(_, (hole, of))| is_hole(hole, of)) {
        holes.entry(place(of)).or_insert(at);
    }
    let mut alone = Vec::new();
    for (finding, record) in broken {
        match holes.get(&place(&record)).and_then(|at| findings.get_mut(*at)) {
            Some((hole, of)) => {
                let note = format!("the SQL can't be read without it: {}", record.message);
                hole.diagnostic.severity = Severity::Error;
                severity_name(Severity::Error).clone_into(&mut of.severity);
                hole.diagnostic.notes.push(note.clone());
                of.notes.push(note);
            }
            None => alone.push((finding, record)),
        }
    }
    findings.extend(alone);
    sort(findings);
}

/// By place, then by what is said.
fn sort(findings: &mut [(Finding, Record)]) {
    findings.sort_by_cached_key(|(_, record)| {
        (record.file.clone(), record.line, record.column, record.severity.clone(), record.code.clone(), record.message.clone(), record.node.clone())
    });
}

fn record(finding: &Finding, sources: &Sources) -> Record {
    let diagnostic = &finding.diagnostic;
    let place = diagnostic.primary_span().map(|span| label(span, "", true, sources));
    Record {
        code: diagnostic.code.name().to_owned(),
        severity: severity_name(diagnostic.severity).to_owned(),
        message: diagnostic.message.clone(),
        file: place.as_ref().map(|place| place.file.clone()),
        line: place.as_ref().map(|place| place.line),
        column: place.as_ref().map(|place| place.column),
        end_line: place.as_ref().map(|place| place.end_line),
        end_column: place.as_ref().map(|place| place.end_column),
        node: finding.node.as_ref().map(ToString::to_string),
        labels: diagnostic.labels.iter().map(|found| label(found.span, &found.text, found.primary, sources)).collect(),
        notes: diagnostic.notes.clone(),
        help: diagnostic.help.clone(),
    }
}

/// A span without the white space it may end in: that of a YAML entry runs to the next entry.
fn label(span: Span, text: &str, primary: bool, sources: &Sources) -> RecordLabel {
    let file = sources.file(span.file);
    let covered = file.text.get(span.start as usize..span.end as usize).unwrap_or_default();
    let end = if covered.trim().is_empty() { span.end } else { span.start + u32::try_from(covered.trim_end().len()).unwrap_or(0) };
    let (from, to) = (file.position(span.start), file.position(end));
    RecordLabel {
        file: file.path.clone(),
        line: from.line,
        column: from.column,
        end_line: to.line,
        end_column: to.column,
        text: text.to_owned(),
        primary,
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
