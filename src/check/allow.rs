//! `alluvium: allow(code)` in comments, and the project's `severity`.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::Finding;
use crate::base::{Code, Diagnostic, FileId, Severity, SourceFile, Sources, Span, nearest};
use crate::load::{SeverityLevel, SeverityRule};
use crate::manifest::{Node, NodeId};
use crate::resolve::Project;

const MARK: &str = "alluvium: allow(";

/// The codes that a text allows, by line from 1; line 0 is the whole text.
#[derive(Debug, Default)]
struct Allowed {
    by_line: HashMap<u32, Vec<Code>>,
    unknown: Vec<(String, usize, usize)>,
}

impl Allowed {
    /// A comment concerns its own line; one that stands alone concerns the next line with something on it; one before
    /// everything else concerns the whole text.
    fn read(text: &str) -> Self {
        let mut allowed = Self::default();
        if !text.contains(MARK) {
            return allowed;
        }
        let (mut at, mut begun, mut waiting) = (0, false, Vec::new());
        for (line, content) in (1..).zip(text.split_inclusive('\n')) {
            let codes = allowed.codes(content, at);
            at += content.len();
            let alone = is_comment(content);
            match (alone, codes.is_empty()) {
                (true, true) => {}
                (true, false) if !begun => allowed.by_line.entry(0).or_default().extend(codes),
                (true, false) => waiting.extend(codes),
                (false, _) => {
                    begun = begun || !content.trim().is_empty();
                    let own = allowed.by_line.entry(line).or_default();
                    own.extend(codes);
                    if !content.trim().is_empty() {
                        own.append(&mut waiting);
                    }
                }
            }
        }
        allowed
    }

    fn codes(&mut self, line: &str, at: usize) -> Vec<Code> {
        let mut found = Vec::new();
        for (start, _) in line.match_indices(MARK) {
            let from = start + MARK.len();
            let list = line.get(from..).and_then(|rest| rest.split_once(')')).map_or("", |(list, _)| list);
            let mut offset = from;
            for part in list.split(',') {
                let name = part.trim();
                if let Ok(code) = name.parse::<Code>() {
                    found.push(code);
                } else {
                    let begin = at + offset + (part.len() - part.trim_start().len());
                    self.unknown.push((name.to_owned(), begin, begin + name.len()));
                }
                offset += part.len() + 1;
            }
        }
        found
    }

    fn allows(&self, code: Code, line: u32) -> bool {
        [0, line].iter().any(|at| self.by_line.get(at).is_some_and(|codes| codes.contains(&code)))
    }

    fn everywhere(&self, code: Code) -> bool {
        self.by_line.get(&0).is_some_and(|codes| codes.contains(&code))
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("--") || line.starts_with('#') || line.starts_with("{#")
}

/// Leaves out what comments allow, and weighs the rest by the project's `severity`.
pub(super) fn weigh(found: Vec<Finding>, project: Option<&Arc<Project>>, sources: &Sources, rules: &[SeverityRule]) -> Vec<Finding> {
    let mut files: HashMap<FileId, Allowed> = HashMap::new();
    let mut kept: Vec<Finding> = Vec::new();
    for mut finding in found {
        let span = finding.diagnostic.primary_span();
        let own = finding.node.as_ref().and_then(|id| node(project, id)).map(|node| node.file);
        let code = finding.diagnostic.code;
        let mut silenced = own.is_some_and(|file| read(&mut files, file, sources).everywhere(code));
        if let Some(span) = span {
            let line = sources.position(span.file, span.start).line;
            silenced |= read(&mut files, span.file, sources).allows(code, line);
        }
        let level = rules.iter().rev().find(|rule| rule.code == code).map(|rule| rule.level);
        match level {
            Some(SeverityLevel::Off) => silenced = true,
            Some(SeverityLevel::Error) => finding.diagnostic.severity = Severity::Error,
            Some(SeverityLevel::Warning) => finding.diagnostic.severity = Severity::Warning,
            None => {}
        }
        if !silenced {
            kept.push(finding);
        }
    }
    for node in project.iter().flat_map(|project| project.nodes.values()) {
        read(&mut files, node.file, sources);
    }
    for (file, allowed) in files {
        kept.extend(allowed.unknown.iter().map(|(name, start, end)| unknown_code(name, Span::new(file, *start, *end))));
    }
    kept
}

fn node<'p>(project: Option<&'p Arc<Project>>, id: &NodeId) -> Option<&'p Node> {
    project?.nodes.get(id).map(Box::as_ref)
}

fn read<'f>(files: &'f mut HashMap<FileId, Allowed>, file: FileId, sources: &Sources) -> &'f Allowed {
    files.entry(file).or_insert_with(|| {
        let file: Arc<SourceFile> = sources.file(file);
        Allowed::read(&file.text)
    })
}

fn unknown_code(name: &str, span: Span) -> Finding {
    let diagnostic = Diagnostic::warning(Code::UnknownCode, format!("`{name}` is no code of a diagnostic"))
        .at(span, "allowed here")
        .help_nearest(nearest(name, Code::ALL.iter().map(|code| code.name())), "`alluvium explain` lists the codes");
    Finding { node: None, diagnostic }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_allow_their_line_the_next_or_all() {
        let code = Code::UnknownColumn;
        let text = "-- a model\nselect\n  x, -- alluvium: allow(unknown-column)\n  -- alluvium: allow(sql-invalid, unknown-column)\n\n  y,\n  z\n";
        let allowed = Allowed::read(text);
        let lines: Vec<u32> = (1..=7).filter(|line| allowed.allows(code, *line)).collect();
        assert_eq!(lines, [3, 6]);
        assert!(Allowed::read("\n{# alluvium: allow(unknown-column) #}\nselect x").allows(code, 9));
        let wrong = Allowed::read("select 1 -- alluvium: allow(no-such, sql-invalid)");
        assert_eq!(wrong.unknown, [("no-such".to_owned(), 28, 35)]);
        assert!(wrong.allows(Code::SqlInvalid, 1) && !wrong.everywhere(Code::SqlInvalid));
    }
}
