//! Reading typed values out of YAML trees: what is expected and what was found, and keys that nobody asked for.

use std::collections::HashMap;

use super::decl::YesNo;
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Severity, Sources, Span, Spanned, nearest};

/// A value of another kind than wanted.
pub(super) fn wrong_type(yaml: &Yaml, what: &str, expected: &str) -> Diagnostic {
    Diagnostic::error(Code::YamlType, format!("{what}: expected {expected}, found {}", yaml.kind()))
        .at(yaml.span, format!("expected {expected}"))
        .help(format!("write {expected} here"))
}

/// The entries of a mapping; nothing, where it is no mapping, which is reported unless it is empty.
pub(super) fn entries<'y>(yaml: &'y Yaml, what: &str, out: &mut Diagnostics) -> &'y [(Spanned<String>, Yaml)] {
    if !yaml.is_map() && !yaml.is_null() {
        out.push(wrong_type(yaml, what, "a mapping"));
    }
    yaml.entries()
}

/// The items of a list; nothing, where it is no list, which is reported unless it is empty.
pub(super) fn items<'y>(yaml: &'y Yaml, what: &str, out: &mut Diagnostics) -> &'y [Yaml] {
    match &yaml.value {
        YamlValue::Seq(items) => items,
        YamlValue::Null => &[],
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Map(_) => {
            out.push(wrong_type(yaml, what, "a list"));
            &[]
        }
    }
}

/// A text; numbers are taken as they are written.
pub(super) fn text(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> Option<Spanned<String>> {
    match &yaml.value {
        YamlValue::String(text) => Some(Spanned::new(text.clone(), yaml.span)),
        YamlValue::Int(_) | YamlValue::Float(_) => yaml.scalar_text().map(|text| Spanned::new(text, yaml.span)),
        YamlValue::Null | YamlValue::Bool(_) | YamlValue::Seq(_) | YamlValue::Map(_) => {
            out.push(wrong_type(yaml, what, "a text"));
            None
        }
    }
}

/// A text or a list of texts.
pub(super) fn string_list(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> Vec<Spanned<String>> {
    match &yaml.value {
        YamlValue::Null => Vec::new(),
        YamlValue::Seq(items) => items.iter().filter_map(|item| text(item, what, out)).collect(),
        YamlValue::Bool(_) | YamlValue::Map(_) => {
            out.push(wrong_type(yaml, what, "a text or a list of texts"));
            Vec::new()
        }
        YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) => text(yaml, what, out).into_iter().collect(),
    }
}

/// A mapping read key by key. [`MapReader::finish`] reports the keys that were not taken.
pub struct MapReader<'y, 'd> {
    what: String,
    span: Span,
    entries: Vec<Option<&'y (Spanned<String>, Yaml)>>,
    known: Vec<&'static str>,
    pub out: &'d mut Diagnostics,
}

impl<'y, 'd> MapReader<'y, 'd> {
    /// `what` names the section in messages. A value that is no mapping is reported and read as an empty one.
    pub fn new(yaml: &'y Yaml, what: impl Into<String>, out: &'d mut Diagnostics) -> Self {
        let what = what.into();
        let entries = entries(yaml, &what, out).iter().map(Some).collect();
        Self { what, span: yaml.span, entries, known: Vec::new(), out }
    }

    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The value of a key, which from now on counts as known.
    pub fn take(&mut self, key: &'static str) -> Option<&'y Yaml> {
        self.take_entry(key).map(|(_, value)| value)
    }

    /// As [`MapReader::take`], with the key's place; an empty value counts too.
    pub fn take_entry(&mut self, key: &'static str) -> Option<&'y (Spanned<String>, Yaml)> {
        self.known.push(key);
        self.entries.iter_mut().find(|entry| entry.is_some_and(|(name, _)| name.value == key))?.take()
    }

    fn take_value(&mut self, key: &'static str) -> Option<&'y Yaml> {
        self.take(key).filter(|value| !value.is_null())
    }

    fn name_of(&self, key: &str) -> String {
        format!("`{key}` of {}", self.what)
    }

    pub fn string(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let value = self.take_value(key)?;
        // Messages need the name of the key; nearly all values are right and spare making it.
        match &value.value {
            YamlValue::String(text) => Some(Spanned::new(text.clone(), value.span)),
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::Seq(_) | YamlValue::Map(_) => {
                text(value, &self.name_of(key), self.out)
            }
        }
    }

    /// As [`MapReader::string`], for a key that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let before = self.out.len();
        let value = self.string(key).filter(|text| !text.value.trim().is_empty());
        if value.is_none() && self.out.len() == before {
            let diagnostic = Diagnostic::error(Code::YamlType, format!("{} lacks `{key}`", self.what));
            self.out.push(diagnostic.at(beginning(self.span), "this entry").help(format!("add `{key}:` with a text")));
        }
        value
    }

    /// Reports that a key is not there.
    pub fn lacks(&mut self, key: &str, expected: &str) {
        let diagnostic = Diagnostic::error(Code::YamlType, format!("{} lacks `{key}`", self.what));
        self.out.push(diagnostic.at(beginning(self.span), "this entry").help(format!("add `{key}:` with {expected}")));
    }

    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take_value(key)?;
        if value.as_bool().is_none() {
            self.out.push(wrong_type(value, &self.name_of(key), "true or false"));
        }
        value.as_bool()
    }

    /// A yes or no that a template may say.
    pub fn switch(&mut self, key: &'static str) -> Option<YesNo> {
        let given = self.entries.iter().flatten().find(|(name, _)| name.value == key);
        match given.and_then(|(_, value)| Some((value.as_str().filter(|text| text.contains("{{"))?, value.span))) {
            Some((text, span)) => {
                self.take(key);
                Some(YesNo::Template(Spanned::new(text.to_owned(), span)))
            }
            None => self.bool(key).map(YesNo::Known),
        }
    }

    pub fn unsigned(&mut self, key: &'static str) -> Option<Spanned<u64>> {
        let value = self.take_value(key)?;
        if let YamlValue::Int(number) = &value.value
            && let Ok(number) = u64::try_from(*number)
        {
            return Some(Spanned::new(number, value.span));
        }
        self.out.push(wrong_type(value, &self.name_of(key), "a whole number from 0"));
        None
    }

    /// A text or a list of texts; `None` where the key is absent.
    pub fn strings(&mut self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let value = self.take_value(key)?;
        Some(string_list(value, &self.name_of(key), self.out))
    }

    /// The items of a list; nothing where the key is absent.
    pub fn items(&mut self, key: &'static str) -> &'y [Yaml] {
        match self.take_value(key) {
            Some(Yaml { value: YamlValue::Seq(items), .. }) => items,
            Some(value) => items(value, &self.name_of(key), self.out),
            None => &[],
        }
    }

    /// A mapping kept as it is.
    pub fn map(&mut self, key: &'static str) -> Option<&'y Yaml> {
        let value = self.take_value(key)?;
        if !value.is_map() {
            self.out.push(wrong_type(value, &self.name_of(key), "a mapping"));
            return None;
        }
        Some(value)
    }

    /// What is left for somebody else: all entries not taken yet, which then count as taken.
    pub fn rest(&mut self) -> Vec<&'y (Spanned<String>, Yaml)> {
        self.entries.iter_mut().filter_map(Option::take).collect()
    }

    /// Reports every key that was not taken.
    pub fn finish(self) {
        for (key, _) in self.entries.into_iter().flatten() {
            let known = || self.known.iter().copied();
            if let Some(near) = nearest(&key.value, known())
                && let Some(lacking) = self.out.iter_mut().rev().find(|found| found.message == format!("{} lacks `{near}`", self.what))
            {
                *lacking = Diagnostic::error(lacking.code, lacking.message.clone()).at(key.span, "instead of this").help_nearest(Some(near), "");
                continue;
            }
            self.out.push(unknown_key(key, &self.what, nearest(&key.value, known()), known()));
        }
    }
}

/// Keys that users often write beside `config:`.
const CONFIG_KEYS: [&str; 12] = [
    "alias",
    "contract",
    "database",
    "enabled",
    "full_refresh",
    "incremental_strategy",
    "materialized",
    "on_schema_change",
    "partition_by",
    "schema",
    "tblproperties",
    "unique_key",
];

/// A key that nothing reads.
pub(super) fn unknown_key<'a>(key: &Spanned<String>, what: &str, near: Option<&str>, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let diagnostic = Diagnostic::error(Code::UnknownKey, format!("unknown key `{}` in {what}", key.value)).at(key.span, "nothing reads this key");
    if near.is_some() {
        return diagnostic.help_nearest(near, "");
    }
    if CONFIG_KEYS.contains(&key.value.as_str()) && known.contains(&"config") {
        return diagnostic.help("move it below `config:`");
    }
    diagnostic.note(format!("known keys: {}", known.join(", "))).help("remove it, or keep it under `meta:` if it is your own")
}

/// Findings about files that were written for dbt, which reads past keys that it does not know: each such key is one
/// warning, at the first place of all.
pub(super) fn read_past_unknown_keys(found: Diagnostics, sources: &Sources) -> Diagnostics {
    let mut kept = Diagnostics::new();
    let mut seen: HashMap<String, (usize, usize)> = HashMap::new();
    for mut diagnostic in found {
        let key = diagnostic.primary_span().filter(|_| diagnostic.code == Code::UnknownKey).map(|span| sources.text(span));
        if let Some(key) = key {
            let (first, places) = seen.entry(key).or_insert((kept.len(), 0));
            *places += 1;
            if *first < kept.len() {
                continue;
            }
            diagnostic.severity = Severity::Warning;
        }
        kept.push(diagnostic);
    }
    for (key, (first, places)) in seen.into_iter().filter(|(_, (_, places))| *places > 1) {
        if let Some(diagnostic) = kept.get_mut(first) {
            diagnostic.notes.insert(0, format!("`{key}` stands in {places} places that do not know it; this is the first"));
        }
    }
    kept
}

/// A place that stands for an entry of many lines: where it begins, which a label then marks.
pub(super) fn beginning(span: Span) -> Span {
    Span { end: span.start, ..span }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Sources;
    use crate::load::yaml::parse_yaml;

    #[test]
    fn kinds_and_unknown_keys_are_reported_with_suggestions() {
        let sources = Sources::new();
        let file = sources.add("a.yml", "name: [x]\ndescripton: d\nquote: 1\ntags: t\ncount: -1\n");
        let yaml = parse_yaml(&sources, file).unwrap();
        let mut out = Diagnostics::new();
        let mut reader = MapReader::new(&yaml, "model `a`", &mut out);
        assert!(reader.required("name").is_none());
        assert!(reader.string("description").is_none());
        assert!(reader.bool("quote").is_none());
        assert!(reader.unsigned("count").is_none());
        assert_eq!(reader.strings("tags").unwrap()[0].value, "t");
        assert!(reader.required("owner").is_none());
        reader.finish();
        let found: Vec<_> = out.iter().map(|d| (d.code.name(), sources.text(d.labels[0].span), d.message.as_str())).collect();
        assert_eq!(found[0], ("yaml-type", "[x]".into(), "`name` of model `a`: expected a text, found a list"));
        assert_eq!(found[1].2, "`quote` of model `a`: expected true or false, found a number");
        assert_eq!(found[2].2, "`count` of model `a`: expected a whole number from 0, found a number");
        assert_eq!(found[3].2, "model `a` lacks `owner`");
        assert_eq!(found[4], ("unknown-key", "descripton".into(), "unknown key `descripton` in model `a`"));
        assert_eq!(out[4].help.as_deref(), Some("did you mean `description`?"));
        assert_eq!(out.len(), 5);
    }
}
