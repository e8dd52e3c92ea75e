//! Trees of properties files, kept between commands by the text that they were made of: parsing YAML takes ten times as
//! long as reading what came of it, and an edit changes few files.

use serde::{Deserialize, Serialize};

use super::project::parse_yaml;
use super::yaml::{Yaml, YamlValue};
use crate::base::{Diagnostics, FileId, Fingerprinter, Memo, Sources, Span, Spanned, read_record, record_of};

/// A value with the bytes of its file that it stands in.
#[derive(Serialize, Deserialize)]
struct Node<'r>(u32, u32, #[serde(borrow)] Value<'r>);

#[derive(Serialize, Deserialize)]
enum Value<'r> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    #[serde(borrow)]
    String(&'r str),
    #[serde(borrow)]
    Seq(Vec<Node<'r>>),
    #[serde(borrow)]
    Map(Vec<(Key<'r>, Node<'r>)>),
}

#[derive(Serialize, Deserialize)]
struct Key<'r>(u32, u32, &'r str);

/// The tree of a registered file. What is wrong with a file is found by parsing it, so only sound files are kept.
pub(super) fn kept_or_parsed(file: FileId, sources: &Sources, memo: &Memo, out: &mut Diagnostics) -> Option<Yaml> {
    let mut of = Fingerprinter::new("yaml");
    of.add(&sources.file(file).text);
    let key = of.finish();
    if let Some(node) = memo.get(&key).and_then(|record| read_record::<Node<'_>>(record)) {
        return Some(node.restored(file));
    }
    let before = out.len();
    let yaml = parse_yaml(file, sources, out)?;
    if out.len() == before
        && let Some(record) = record_of(&Node::of(&yaml))
    {
        memo.put(key, record);
    }
    Some(yaml)
}

impl<'r> Node<'r> {
    fn of(yaml: &'r Yaml) -> Self {
        let value = match &yaml.value {
            YamlValue::Null => Value::Null,
            YamlValue::Bool(value) => Value::Bool(*value),
            YamlValue::Int(value) => Value::Int(*value),
            YamlValue::Float(value) => Value::Float(*value),
            YamlValue::String(text) => Value::String(text),
            YamlValue::Seq(items) => Value::Seq(items.iter().map(Node::of).collect()),
            YamlValue::Map(entries) => {
                Value::Map(entries.iter().map(|(key, value)| (Key(key.span.start, key.span.end, &key.value), Node::of(value))).collect())
            }
        };
        Self(yaml.span.start, yaml.span.end, value)
    }

    fn restored(self, file: FileId) -> Yaml {
        let Self(start, end, value) = self;
        let value = match value {
            Value::Null => YamlValue::Null,
            Value::Bool(value) => YamlValue::Bool(value),
            Value::Int(value) => YamlValue::Int(value),
            Value::Float(value) => YamlValue::Float(value),
            Value::String(text) => YamlValue::String(text.to_owned()),
            Value::Seq(items) => YamlValue::Seq(items.into_iter().map(|item| item.restored(file)).collect()),
            Value::Map(entries) => YamlValue::Map(
                entries
                    .into_iter()
                    .map(|(Key(start, end, key), value)| (Spanned::new(key.to_owned(), Span { file, start, end }), value.restored(file)))
                    .collect(),
            ),
        };
        Yaml { span: Span { file, start, end }, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MemoUse;

    #[test]
    fn what_is_kept_is_what_was_parsed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memo");
        let used = MemoUse { reads: true, writes: true };
        let text = "a: &a {x: 1, y: [1.5, true, null, 'é', -3]}\nb:\n  <<: *a\n  z: |\n    two\n    lines\nc: *a\n";
        let parse = |memo: &Memo, before: &str| {
            let sources = Sources::new();
            // Another number of the file each time.
            sources.add("before", before);
            if !before.is_empty() {
                sources.add("another", before);
            }
            let file = sources.add("a.yml", text);
            let yaml = kept_or_parsed(file, &sources, memo, &mut Diagnostics::new()).unwrap();
            assert_eq!(yaml.entries()[1].0.span.file, file);
            assert_eq!(sources.text(yaml.entries()[1].0.span), "b");
            (yaml.to_json(), yaml.span.start, yaml.span.end, sources.text(yaml.get("b").unwrap().get("z").unwrap().span))
        };
        let memo = Memo::of(&path, used);
        let parsed = parse(&memo, "");
        memo.save();
        let again = Memo::of(&path, used);
        assert_eq!(parse(&again, "x"), parsed);
        let sources = Sources::new();
        let file = sources.add("b.yml", "a: 1\na: 2\n");
        for _ in 0..2 {
            let mut out = Diagnostics::new();
            kept_or_parsed(file, &sources, &again, &mut out);
            assert_eq!(out.len(), 1, "a warning is given each time");
        }
    }
}
