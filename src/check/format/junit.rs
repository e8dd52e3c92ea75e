//! The XML of `JUnit`: a test case for each node, and one for what belongs to no node.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::record::{Record, Report};
use super::super::visit::Proof;
use super::short;
use crate::manifest::NodeId;

pub(super) fn junit(report: &Report) -> String {
    let mut cases: BTreeMap<&str, Vec<&Record>> = report.nodes.keys().map(|id| (id.as_str(), Vec::new())).collect();
    for (_, record) in &report.findings {
        cases.entry(record.node.as_deref().unwrap_or("project")).or_default().push(record);
    }
    let failures = cases.values().filter(|records| records.iter().any(|record| record.severity == "error")).count();
    let unknown = |name: &str| matches!(report.nodes.get(&NodeId::new(name)), Some(Proof::Unknown { .. }));
    let skipped = cases.iter().filter(|(name, records)| !is_wrong(records) && unknown(name)).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"alluvium check\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\">", cases.len());
    let _ = writeln!(out, "  <testsuite name=\"alluvium check\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\">", cases.len());
    for (name, records) in &cases {
        case(&mut out, name, records, report);
    }
    out + "  </testsuite>\n</testsuites>\n"
}

fn is_wrong(records: &[&Record]) -> bool {
    records.iter().any(|record| record.severity == "error")
}

fn case(out: &mut String, name: &str, records: &[&Record], report: &Report) {
    let kind = name.split('.').next().unwrap_or_default();
    let proof = report.nodes.get(&NodeId::new(name));
    let _ = write!(out, "    <testcase classname=\"{}\" name=\"{}\"", escaped(kind), escaped(name));
    if records.is_empty() && !matches!(proof, Some(Proof::Unknown { .. })) {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    let errors: Vec<&Record> = records.iter().copied().filter(|record| record.severity == "error").collect();
    if let [first, others @ ..] = errors.as_slice() {
        let mut text = String::new();
        for record in &errors {
            text.push_str(&short(record));
            for line in record.notes.iter().chain(&record.help) {
                text.push_str(line);
                text.push('\n');
            }
        }
        // Readers of the format take one failure of a test case.
        let more = if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
        let message = escaped(&format!("{}{more}", first.message));
        let _ = writeln!(out, "      <failure type=\"{}\" message=\"{message}\">{}</failure>", first.code, escaped(text.trim_end()));
    }
    if let (Some(Proof::Unknown { because }), false) = (proof, is_wrong(records)) {
        let _ = writeln!(out, "      <skipped message=\"{}\"/>", escaped(because));
    }
    let warnings: String = records.iter().filter(|record| record.severity != "error").map(|record| short(record)).collect();
    if !warnings.is_empty() {
        let _ = writeln!(out, "      <system-out>{}</system-out>", escaped(warnings.trim_end()));
    }
    out.push_str("    </testcase>\n");
}

/// Characters that XML has no place for become a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
