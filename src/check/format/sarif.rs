//! SARIF 2.1.0, which GitHub's code scanning and editors read.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::super::record::{Record, RecordLabel};

pub(super) fn sarif(records: &[&Record]) -> Json {
    let codes: BTreeSet<&str> = records.iter().map(|record| record.code.as_str()).collect();
    let rules: Vec<Json> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<Json> = records.iter().map(|record| result(record, &codes)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "alluvium",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "PROJECT": { "description": { "text": "the folder of the project file" } } },
            "results": results,
        }],
    })
}

/// The first paragraph of the code's page describes the rule.
fn rule(code: &str) -> Json {
    let page = code.parse::<crate::base::Code>().map_or("", crate::base::Code::page);
    let summary = page.lines().skip(1).find(|line| !line.trim().is_empty()).unwrap_or_default();
    json!({ "id": code, "shortDescription": { "text": summary }, "help": { "text": page, "markdown": page } })
}

fn result(record: &Record, codes: &BTreeSet<&str>) -> Json {
    let mut text = record.message.clone();
    for line in record.notes.iter().chain(&record.help) {
        text.push('\n');
        text.push_str(line);
    }
    let mut value = json!({
        "ruleId": record.code,
        "ruleIndex": codes.iter().position(|code| *code == record.code),
        "level": record.severity,
        "message": { "text": text },
        "locations": record.labels.iter().filter(|label| label.primary).take(1).map(location).collect::<Vec<_>>(),
    });
    let mut related: Vec<Json> = Vec::new();
    for place in record.labels.iter().filter(|label| !label.primary && !label.file.contains(' ')).map(location) {
        if !related.contains(&place) {
            related.push(place);
        }
    }
    if let (false, Some(map)) = (related.is_empty(), value.as_object_mut()) {
        map.insert("relatedLocations".into(), Json::Array(related));
    }
    value
}

fn location(label: &RecordLabel) -> Json {
    let mut value = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": label.file.replace(' ', "%20"), "uriBaseId": "PROJECT" },
            "region": {
                "startLine": label.line, "startColumn": label.column,
                "endLine": label.end_line, "endColumn": label.end_column,
            },
        },
    });
    if let (false, Some(map)) = (label.text.is_empty(), value.as_object_mut()) {
        map.insert("message".into(), json!({ "text": label.text }));
    }
    value
}
