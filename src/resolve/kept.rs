//! What templates noted while the project was parsed, kept between commands: rendering them all is most of the work of
//! parsing, and an edit changes few.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::config::ConfigValues;
use super::host::{Facts, Noted};
use crate::base::{FileId, Fingerprint, Fingerprinter, Memo, Sources, Span, read_record, record_of};
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

/// A file's path, and from where to where.
type Place<T> = Option<(T, u32, u32)>;

/// Package, name, version.
type Call<'r> = (Option<&'r str>, &'r str, Option<&'r str>);

/// Read with all texts borrowed from the memo; written with some that are made for it, of type `T`.
#[derive(Serialize, Deserialize)]
struct Record<'r, T> {
    conditions: Vec<(Asked, Fingerprint)>,
    #[serde(borrow)]
    refs: Vec<(Call<'r>, Place<T>)>,
    #[serde(borrow)]
    sources: Vec<(&'r str, &'r str, Place<T>)>,
    /// Values as JSON text.
    #[serde(borrow)]
    config: Vec<(&'r str, T, Place<T>)>,
    #[serde(borrow)]
    macros: Vec<&'r str>,
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
        add_place(of.add(&self.ground).add(package).add(name).add(template.text()), Some(template.span()), sources);
        add_config(&mut of, config, sources);
        of.finish()
    }

    /// The key of a generic test.
    pub(super) fn key_of_call(&self, (package, name): (&str, &str), call: &MacroCall, config: &ConfigValues, sources: &Sources) -> Fingerprint {
        let mut of = Fingerprinter::new("call");
        add_place(of.add(&self.ground).add(package).add(name).add(call.id.as_str()).json_map(&call.arguments), Some(call.span), sources);
        add_config(&mut of, config, sources);
        of.finish()
    }

    pub(super) fn recall(&self, key: &Fingerprint, facts: &Facts, sources: &Sources) -> Option<(Noted, Vec<String>)> {
        let record: Record<'_, &str> = read_record(self.memo().get(key)?)?;
        if record.conditions.iter().any(|(asked, then)| now(asked, facts) != *then) {
            return None;
        }
        let mut noted = Noted::default();
        let mut places = Places { sources, last: None };
        for ((package, name, version), place) in record.refs {
            let span = places.span(place)?;
            noted.refs.push(NodeRef { package: package.map(str::to_owned), name: name.to_owned(), version: version.map(str::to_owned), span });
        }
        for (source, table, place) in record.sources {
            noted.sources.push(SourceRef { source: source.to_owned(), table: table.to_owned(), span: places.span(place)? });
        }
        for (key, value, place) in record.config {
            noted.config.restore(key.to_owned(), serde_json::from_str(value).ok()?, places.span(place)?);
        }
        Some((noted, record.macros.into_iter().map(str::to_owned).collect()))
    }

    #[expect(clippy::too_many_arguments, reason = "what was noted, and all that it rests on; called in two places")]
    pub(super) fn keep(&self, key: Fingerprint, (noted, macros): (&Noted, &[String]), asked: &BTreeSet<Asked>, facts: &Facts, sources: &Sources) {
        if asked.contains(&Asked::Beyond) {
            return;
        }
        let record = Record {
            conditions: asked.iter().map(|asked| (asked.clone(), now(asked, facts))).collect(),
            refs: noted
                .refs
                .iter()
                .map(|call| ((call.package.as_deref(), call.name.as_str(), call.version.as_deref()), place(call.span, sources)))
                .collect(),
            sources: noted.sources.iter().map(|call| (call.source.as_str(), call.table.as_str(), place(call.span, sources))).collect(),
            config: noted.config.entries().map(|(key, value, span)| (key, value.to_string(), place(span, sources))).collect(),
            macros: macros.iter().map(String::as_str).collect(),
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
        add_place(of.add(key).json(value), span, sources);
    }
}

fn add_place(of: &mut Fingerprinter, span: Option<Span>, sources: &Sources) {
    let file = span.map(|span| sources.file(span.file));
    of.add(&file.as_ref().zip(span).map(|(file, span)| (file.path.as_str(), span.start, span.end)));
}

fn place(span: Option<Span>, sources: &Sources) -> Place<String> {
    span.map(|span| (sources.file(span.file).path.clone(), span.start, span.end))
}

/// Finds the files that places are in; most of a node's are in one.
struct Places<'s> {
    sources: &'s Sources,
    last: Option<(String, FileId)>,
}

impl Places<'_> {
    /// `None` where the file is gone.
    #[expect(clippy::option_option, reason = "no place is a place too")]
    fn span(&mut self, place: Place<&str>) -> Option<Option<Span>> {
        let Some((path, start, end)) = place else { return Some(None) };
        let file = match &self.last {
            Some((last, file)) if *last == path => *file,
            _ => {
                let file = self.sources.named(path)?;
                self.last = Some((path.to_owned(), file));
                file
            }
        };
        Some(Some(Span { file, start, end }))
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
