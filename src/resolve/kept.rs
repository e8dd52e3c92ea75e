//! What templates noted while the project was parsed, kept between commands: rendering them all is most of the work of
//! parsing, and an edit changes few.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::config::ConfigValues;
use super::host::{Facts, Noted};
use crate::base::{Fingerprint, Fingerprinter, Memo, Sources, Span, read_record, record_of};
use crate::jinja::{MacroCall, Template};
use crate::load::ParsedProject;
use crate::manifest::{NodeRef, SourceRef};

/// The project, whose memo is used, and what all keys have in common.
#[derive(Debug)]
pub(super) struct Kept {
    parsed: Arc<ParsedProject>,
    ground: Fingerprint,
}

/// What a template took from elsewhere than the project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Asked {
    Environment(String),
    Flags,
    /// What can't be told from another time.
    Beyond,
}

/// What a template asked for while it was rendered.
pub(super) type AskedSet = Mutex<BTreeSet<Asked>>;

/// Everything of a project that is not in its nodes: settings, vars, the target, macros.
pub(super) fn ground(parsed: &ParsedProject, facts: &Facts) -> Fingerprint {
    let mut of = Fingerprinter::new("project");
    of.add(&facts.project_name).add(&facts.database).add(&facts.schema).json(&facts.target);
    of.add(&parsed.target.adapter);
    of.debug(&facts.variables).debug(&facts.dispatch);
    for package in parsed.all_packages() {
        of.add(&package.name).add(&package.prefix).debug(&package.project);
        for file in &package.macros {
            of.add(&file.path).add(&parsed.sources.file(file.file).text);
        }
    }
    of.finish()
}

type Place = Option<(String, u32, u32)>;

#[derive(Serialize, Deserialize)]
struct Record {
    conditions: Vec<(Asked, Fingerprint)>,
    refs: Vec<(Option<String>, String, Option<String>, Place)>,
    sources: Vec<(String, String, Place)>,
    /// Values as JSON text.
    config: Vec<(String, String, Place)>,
    macros: Vec<String>,
}

impl Kept {
    pub(super) fn ground(&self) -> Fingerprint {
        self.ground
    }

    pub(super) fn new(parsed: &Arc<ParsedProject>, ground: Fingerprint) -> Self {
        Self { parsed: Arc::clone(parsed), ground }
    }

    pub(super) fn memo(&self) -> &Memo {
        &self.parsed.memo
    }

    /// The key of the template of a node, whose config before it is given.
    pub(super) fn key_of_text(&self, (package, name): (&str, &str), template: &Template, config: &ConfigValues, sources: &Sources) -> Fingerprint {
        let mut of = Fingerprinter::new("template");
        of.add(&self.ground).add(package).add(name).add(template.text()).add(&place(Some(template.span()), sources));
        add_config(&mut of, config, sources);
        of.finish()
    }

    /// The key of a generic test.
    pub(super) fn key_of_call(&self, (package, name): (&str, &str), call: &MacroCall, config: &ConfigValues, sources: &Sources) -> Fingerprint {
        let mut of = Fingerprinter::new("call");
        of.add(&self.ground).add(package).add(name).add(call.id.as_str()).json_map(&call.arguments).add(&place(Some(call.span), sources));
        add_config(&mut of, config, sources);
        of.finish()
    }

    pub(super) fn recall(&self, key: &Fingerprint, facts: &Facts, sources: &Sources) -> Option<(Noted, Vec<String>)> {
        let record: Record = read_record(self.memo().get(key)?)?;
        if record.conditions.iter().any(|(asked, then)| now(asked, facts) != *then) {
            return None;
        }
        let mut noted = Noted::default();
        for (package, name, version, place) in record.refs {
            noted.refs.push(NodeRef { package, name, version, span: span(place, sources)? });
        }
        for (source, table, place) in record.sources {
            noted.sources.push(SourceRef { source, table, span: span(place, sources)? });
        }
        for (key, value, place) in record.config {
            noted.config.restore(key, serde_json::from_str(&value).ok()?, span(place, sources)?);
        }
        Some((noted, record.macros))
    }

    #[expect(clippy::too_many_arguments, reason = "what was noted, and all that it rests on; called in two places")]
    pub(super) fn keep(&self, key: Fingerprint, (noted, macros): (&Noted, &[String]), asked: &BTreeSet<Asked>, facts: &Facts, sources: &Sources) {
        if asked.contains(&Asked::Beyond) {
            return;
        }
        let record = Record {
            conditions: asked.iter().map(|asked| (asked.clone(), now(asked, facts))).collect(),
            refs: noted.refs.iter().map(|call| (call.package.clone(), call.name.clone(), call.version.clone(), place(call.span, sources))).collect(),
            sources: noted.sources.iter().map(|call| (call.source.clone(), call.table.clone(), place(call.span, sources))).collect(),
            config: noted.config.entries().map(|(key, value, span)| (key.to_owned(), value.to_string(), place(span, sources))).collect(),
            macros: macros.to_vec(),
        };
        if let Some(bytes) = record_of(&record) {
            self.memo().put(key, bytes);
        }
    }
}

fn now(asked: &Asked, facts: &Facts) -> Fingerprint {
    match asked {
        Asked::Environment(name) => Fingerprint::of_environment(name),
        Asked::Flags => {
            let mut of = Fingerprinter::new("flags");
            of.json(&facts.invocation.flags);
            of.finish()
        }
        Asked::Beyond => Fingerprint::default(),
    }
}

fn add_config(of: &mut Fingerprinter, config: &ConfigValues, sources: &Sources) {
    for (key, value, span) in config.entries() {
        of.add(key).json(value).add(&place(span, sources));
    }
}

fn place(span: Option<Span>, sources: &Sources) -> Place {
    span.map(|span| (sources.file(span.file).path.clone(), span.start, span.end))
}

/// `None` where the file is gone.
#[expect(clippy::option_option, reason = "no place is a place too")]
fn span(place: Place, sources: &Sources) -> Option<Option<Span>> {
    match place {
        None => Some(None),
        Some((path, start, end)) => Some(Some(Span { file: sources.named(&path)?, start, end })),
    }
}

/// A value that was kept is what it was: numbers of JSON are as exact as those of YAML.
#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    #[test]
    fn values_come_back_as_they_were() {
        for text in ["1", "1.5", "-0.1", "1e300", "\"\u{e9}\\n\"", "[1,null,true]", "{\"b\":1,\"a\":{}}", "18446744073709551615"] {
            let value: Json = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_str::<Json>(&value.to_string()).unwrap(), value);
        }
    }
}
