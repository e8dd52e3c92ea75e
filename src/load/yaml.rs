//! YAML texts to trees in which every key and value has its span. Built from the parser's events rather than through
//! serde, which loses the places of map keys and the order of alternatives.
//!
//! Anchors and merge keys are resolved here, what aliases may expand to is bounded, and keys that stand twice are
//! reported. What the values mean is left to the readers.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as EventSpan, StrInput, StructureStyle};

use super::scalar;
use crate::base::{Code, Diagnostic, Diagnostics, FileId, Sources, Span, Spanned};

/// Nodes that the aliases of one file may add, and how deep a tree may become by them.
const ALIAS_NODE_LIMIT: usize = 200_000;
const DEPTH_LIMIT: usize = 200;

/// A value and where it stands. A value that came by an alias or a merge key stands where it was defined.
#[derive(Debug, Clone, PartialEq)]
pub struct Yaml {
    pub span: Span,
    pub value: YamlValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum YamlValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    Seq(Vec<Yaml>),
    /// In the order of the file, each key once.
    Map(Vec<(Spanned<String>, Yaml)>),
}

impl Yaml {
    /// The value at a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }

    /// The entries of a map; nothing for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Spanned<String>, Self)] {
        match &self.value {
            YamlValue::Map(entries) => entries,
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Seq(_) => &[],
        }
    }

    /// The items of a list; `None` for anything else.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match &self.value {
            YamlValue::Seq(items) => Some(items),
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Map(_) => None,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let YamlValue::String(text) = &self.value { Some(text) } else { None }
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let YamlValue::Bool(value) = &self.value { Some(*value) } else { None }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == YamlValue::Null
    }

    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.value, YamlValue::Map(_))
    }

    /// What the value is, in a user's words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            YamlValue::Null => "nothing",
            YamlValue::Bool(_) => "true or false",
            YamlValue::Int(_) | YamlValue::Float(_) => "a number",
            YamlValue::String(_) => "a text",
            YamlValue::Seq(_) => "a list",
            YamlValue::Map(_) => "a mapping",
        }
    }

    /// A scalar as text, numbers and booleans included.
    #[must_use]
    pub fn scalar_text(&self) -> Option<String> {
        match &self.value {
            YamlValue::Bool(value) => Some(value.to_string()),
            YamlValue::Int(value) => Some(value.to_string()),
            YamlValue::Float(value) => Some(format!("{value:?}")),
            YamlValue::String(text) => Some(text.clone()),
            YamlValue::Null | YamlValue::Seq(_) | YamlValue::Map(_) => None,
        }
    }

    /// The value without its places. Infinite numbers, which JSON lacks, become texts.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            YamlValue::Null => Json::Null,
            YamlValue::Bool(value) => Json::Bool(*value),
            YamlValue::Int(value) => Json::from(*value),
            YamlValue::Float(value) => serde_json::Number::from_f64(*value).map_or_else(|| Json::String(value.to_string()), Json::Number),
            YamlValue::String(text) => Json::String(text.clone()),
            YamlValue::Seq(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            YamlValue::Map(entries) => Json::Object(entries.iter().map(|(key, value)| (key.value.clone(), value.to_json())).collect()),
        }
    }

    /// The entries of a map as JSON.
    #[must_use]
    pub fn to_json_map(&self) -> Map<String, Json> {
        self.entries().iter().map(|(key, value)| (key.value.clone(), value.to_json())).collect()
    }
}

/// Parses the text of a registered file; an empty one is `Null`. Of a key that stands twice the last one counts.
///
/// # Errors
/// If the text is no YAML, with the exact place.
pub fn parse_yaml(sources: &Sources, file: FileId) -> Result<Yaml, Diagnostic> {
    parse_noting(sources, file, &mut Diagnostics::new())
}

/// A document as data, for templates; `None` where it can't be read.
#[must_use]
pub fn yaml_json(text: &str) -> Option<Json> {
    let sources = Sources::new();
    let file = sources.add("yaml", text);
    parse_yaml(&sources, file).ok().map(|yaml| yaml.to_json())
}

/// As [`parse_yaml`]; a key that stands twice is a warning in `out`. It is no error because dbt takes such files.
pub(super) fn parse_noting(sources: &Sources, file: FileId, out: &mut Diagnostics) -> Result<Yaml, Diagnostic> {
    let source = sources.file(file);
    let mut options = Options::default();
    options.emit_comments = false;
    let parser = Parser::new_from_str_with_options(&source.text, options);
    let mut composer = Composer { parser, file, text: &source.text, anchors: HashMap::new(), expanded: 0, out };
    composer.document()
}

/// A node that an alias may name, with what it costs to repeat it.
struct Anchored {
    yaml: Yaml,
    size: usize,
    depth: usize,
}

struct Composer<'t, 'd> {
    parser: Parser<'t, StrInput<'t>>,
    file: FileId,
    text: &'t str,
    anchors: HashMap<usize, Anchored>,
    expanded: usize,
    out: &'d mut Diagnostics,
}

type Composed<T> = Result<T, Diagnostic>;

impl<'t> Composer<'t, '_> {
    fn next(&mut self) -> Composed<(Event<'t>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(span))),
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Ok((Event::StreamEnd, Span::new(self.file, self.text.len(), self.text.len()))),
        }
    }

    fn span(&self, span: EventSpan) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        // The place where a mapping begins is one byte, whatever stands there.
        Span::new(self.file, self.text.floor_char_boundary(range.start), self.text.ceil_char_boundary(range.end))
    }

    fn document(&mut self) -> Composed<Yaml> {
        let mut root = Yaml { span: Span::file_start(self.file), value: YamlValue::Null };
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) => documents += 1,
                Event::StreamStart | Event::DocumentEnd | Event::Comment(..) => {}
                _ if documents > 1 => {
                    return Err(Diagnostic::error(Code::YamlSyntax, "more than one YAML document in a file")
                        .at(span, "a second document")
                        .help("remove the `---` between the documents, or put them into two files"));
                }
                event => root = self.node(event, span)?.yaml,
            }
        }
    }

    /// The node that an event begins, anchors noted.
    fn node(&mut self, event: Event<'t>, span: Span) -> Composed<Anchored> {
        let anchor = event.anchor_id();
        let node = match event {
            Event::Scalar(text, style, _, tag) => {
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let value = if is_text { YamlValue::String(text.into_owned()) } else { scalar::plain(&text) };
                Anchored { yaml: Yaml { span, value }, size: 1, depth: 1 }
            }
            Event::SequenceStart(style, ..) => self.sequence(style, span)?,
            Event::MappingStart(style, ..) => self.mapping(style, span)?,
            Event::Alias(id) => self.alias(id, span)?,
            _ => return Err(Diagnostic::error(Code::YamlSyntax, "invalid YAML: expected a value").at(span, "here").help(GENERAL_HELP)),
        };
        if node.depth > DEPTH_LIMIT {
            return Err(Self::too_large(span));
        }
        if let Some(id) = anchor {
            self.anchors.insert(id, Anchored { yaml: node.yaml.clone(), size: node.size, depth: node.depth });
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Composed<Anchored> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Diagnostic::error(Code::YamlSyntax, "an alias inside the value that it stands for")
                .at(span, "this alias")
                .help("write the value out, or set the anchor somewhere else"));
        };
        self.expanded += anchored.size;
        if self.expanded > ALIAS_NODE_LIMIT {
            return Err(Self::too_large(span));
        }
        Ok(Anchored { yaml: anchored.yaml.clone(), size: anchored.size, depth: anchored.depth })
    }

    fn too_large(span: Span) -> Diagnostic {
        Diagnostic::error(Code::YamlSyntax, "the aliases or nested values of this file make too large a tree")
            .at(span, "the limit is passed here")
            .note(format!("at most {ALIAS_NODE_LIMIT} values by aliases, at most {DEPTH_LIMIT} levels"))
            .help("use fewer aliases of aliases")
    }

    fn sequence(&mut self, style: StructureStyle, start: Span) -> Composed<Anchored> {
        let (mut items, mut size, mut depth, mut end) = (Vec::new(), 1, 0, start.end);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = if style == StructureStyle::Flow { span.end } else { end };
                return Ok(Anchored { yaml: Yaml { span: Span { end, ..start }, value: YamlValue::Seq(items) }, size, depth: depth + 1 });
            }
            let item = self.node(event, span)?;
            (size, depth, end) = (size + item.size, depth.max(item.depth), span.end.max(Self::end_of(&item.yaml, end)));
            items.push(item.yaml);
        }
    }

    /// The end of a value, unless an alias brought it from elsewhere: then what was there before.
    fn end_of(yaml: &Yaml, before: u32) -> u32 {
        if yaml.span.start >= before { yaml.span.end } else { before }
    }

    fn mapping(&mut self, style: StructureStyle, start: Span) -> Composed<Anchored> {
        let mut map = MapBuilder::default();
        let (mut size, mut depth, mut end) = (1, 0, start.end);
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let end = if style == StructureStyle::Flow { span.end } else { end };
                return Ok(Anchored { yaml: Yaml { span: Span { end, ..start }, value: map.finish() }, size, depth: depth + 1 });
            }
            let merges = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.key(event, span)?;
            let (event, span) = self.next()?;
            let item = self.node(event, span)?;
            (size, depth, end) = (size + item.size + 1, depth.max(item.depth), span.end.max(Self::end_of(&item.yaml, end)));
            if merges {
                map.merge(item.yaml)?;
            } else if let Some(first) = map.insert(key.clone(), item.yaml) {
                self.out.push(
                    Diagnostic::warning(Code::YamlSyntax, format!("key `{}` stands twice in one mapping, the last one counts", key.value))
                        .at(key.span, "this one counts")
                        .also(first, "this one is not read")
                        .help("join the two, or remove one"),
                );
            }
        }
    }

    fn key(&mut self, event: Event<'t>, span: Span) -> Composed<Spanned<String>> {
        match event {
            Event::Scalar(text, ..) => Ok(Spanned::new(text.into_owned(), span)),
            Event::Alias(id) => {
                let key = self.alias(id, span)?.yaml;
                key.scalar_text().map(|text| Spanned::new(text, span)).ok_or_else(|| not_a_key(span))
            }
            _ => Err(not_a_key(span)),
        }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let offset = error.marker().byte_offset().unwrap_or(self.text.len());
        let offset = self.text.floor_char_boundary(offset);
        let is_tab = error.info().contains("tab");
        let offset = is_tab.then(|| self.text.get(offset..)?.find('\t').map(|at| offset + at)).flatten().unwrap_or(offset);
        let width = self.text.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let span = Span::new(self.file, offset, offset + width);
        let line_start = self.text.get(..offset).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let help = if error.info().contains("recursion") { "nest lists and mappings less deeply" } else { help_for(line) };
        Diagnostic::error(Code::YamlSyntax, format!("invalid YAML: {}", error.info())).at(span, "here").help(help)
    }
}

const GENERAL_HELP: &str = "check the indentation, quotes and brackets of this line and the one before";
const QUOTE_JINJA: &str = "put quotes around a text that begins with `{{`";

fn not_a_key(span: Span) -> Diagnostic {
    Diagnostic::error(Code::YamlSyntax, "a key must be a text, found a list or a mapping").at(span, "this key").help(QUOTE_JINJA)
}

/// The likeliest cause, by the look of the line.
fn help_for(line: &str) -> &'static str {
    if line.trim_start_matches(' ').starts_with('\t') {
        "indent with spaces, YAML takes no tabs"
    } else if line.contains("{{") || line.contains("{%") {
        QUOTE_JINJA
    } else if line.matches(": ").count() > 1 {
        "put quotes around a text that holds `: `, and check the indentation"
    } else {
        GENERAL_HELP
    }
}

/// Entries of a mapping, with what `<<` brought kept apart until the end: keys of the mapping itself win.
#[derive(Default)]
struct MapBuilder {
    own: Vec<(Spanned<String>, Yaml)>,
    /// Filled when a mapping has so many keys that looking through them would take long.
    index: HashMap<String, usize>,
    merged: Vec<(Spanned<String>, Yaml)>,
}

const SMALL_MAP: usize = 16;

impl MapBuilder {
    /// Adds an entry; the place of an earlier one of that name, if there is one, which it replaces.
    fn insert(&mut self, key: Spanned<String>, value: Yaml) -> Option<Span> {
        if let Some(entry) = self.find(&key.value).and_then(|at| self.own.get_mut(at)) {
            let first = entry.0.span;
            *entry = (key, value);
            return Some(first);
        }
        self.push(key, value);
        None
    }

    fn find(&self, key: &str) -> Option<usize> {
        if self.own.len() < SMALL_MAP { self.own.iter().position(|(name, _)| name.value == key) } else { self.index.get(key).copied() }
    }

    fn push(&mut self, key: Spanned<String>, value: Yaml) {
        self.own.push((key, value));
        if self.own.len() >= SMALL_MAP {
            let missing = self.own.iter().enumerate().skip(self.index.len());
            self.index.extend(missing.map(|(at, (name, _))| (name.value.clone(), at)));
        }
    }

    fn merge(&mut self, value: Yaml) -> Composed<()> {
        match value.value {
            YamlValue::Map(entries) => self.merged.extend(entries),
            YamlValue::Seq(items) if items.iter().all(Yaml::is_map) => {
                for item in items {
                    self.merge(item)?;
                }
            }
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Seq(_) => {
                return Err(Diagnostic::error(Code::YamlSyntax, "the merge key `<<` wants a mapping or a list of mappings")
                    .at(value.span, "this is none")
                    .help("give it an alias of a mapping, e.g. `<<: *defaults`"));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> YamlValue {
        // Of several merged mappings the first wins, as YAML has it.
        for (key, value) in std::mem::take(&mut self.merged) {
            if self.find(&key.value).is_none() {
                self.push(key, value);
            }
        }
        YamlValue::Map(self.own)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn parse(text: &str) -> (std::sync::Arc<Sources>, Result<Yaml, Diagnostic>, Diagnostics) {
        let sources = Sources::new();
        let file = sources.add("a.yml", text);
        let mut out = Diagnostics::new();
        let yaml = parse_noting(&sources, file, &mut out);
        (sources, yaml, out)
    }

    #[test]
    fn every_key_and_value_has_its_span() {
        let (sources, yaml, _) = parse("# h\nmodels:\n  - name: caf\u{e9}\n    tags: [a, 'b']\nlast: 1\n");
        let yaml = yaml.unwrap();
        let models = yaml.get("models").unwrap();
        assert_eq!(sources.text(models.span), "- name: caf\u{e9}\n    tags: [a, 'b']");
        let YamlValue::Seq(items) = &models.value else { panic!("a list") };
        assert_eq!(sources.text(items[0].span), "name: caf\u{e9}\n    tags: [a, 'b']");
        assert_eq!(sources.text(items[0].get("name").unwrap().span), "caf\u{e9}");
        assert_eq!(sources.text(items[0].get("tags").unwrap().span), "[a, 'b']");
        assert_eq!(sources.text(yaml.entries()[1].0.span), "last");
    }

    #[test]
    fn merge_keys_give_way_to_own_keys() {
        let (_, yaml, out) = parse("a: &a {x: 1, y: 2}\nb: &b {x: 9, z: 3}\nc:\n  <<: [*a, *b]\n  y: 5\nd: *a\n");
        assert_eq!(out, []);
        let json = yaml.unwrap().to_json();
        assert_eq!(json["c"], serde_json::json!({"y": 5, "x": 1, "z": 3}));
        assert_eq!(json["d"], serde_json::json!({"x": 1, "y": 2}));
    }

    #[test]
    fn the_last_of_two_keys_counts_and_both_are_shown() {
        let (sources, yaml, out) = parse("a: 1\nb: 2\na: 3\n");
        assert_eq!(yaml.unwrap().to_json(), serde_json::json!({"a": 3, "b": 2}));
        assert_eq!(out.len(), 1);
        assert_eq!(sources.position(out[0].labels[0].span.file, out[0].labels[0].span.start).line, 3);
        assert_eq!(sources.position(out[0].labels[1].span.file, out[0].labels[1].span.start).line, 1);
    }

    #[test]
    fn large_mappings_find_their_keys_too() {
        let mut text = (0..100).map(|key| format!("k{key}: {key}")).collect::<Vec<_>>().join("\n");
        text += "\n";
        text += "k3: again\nk99: again\n<<: {k50: no, new: yes}\n";
        let (_, yaml, out) = parse(&text);
        let yaml = yaml.unwrap();
        assert_eq!((yaml.entries().len(), out.len()), (101, 2));
        assert_eq!((yaml.get("k3").unwrap().as_str(), &yaml.get("k50").unwrap().value), (Some("again"), &YamlValue::Int(50)));
    }

    #[test]
    fn syntax_errors_have_a_place_and_help() {
        let (sources, yaml, _) = parse("name: shop\nmodels:\n  a: b: c\n");
        let error = yaml.unwrap_err();
        let span = error.primary_span().unwrap();
        assert_eq!((error.code, sources.position(span.file, span.start).line), (Code::YamlSyntax, 3));
        assert_eq!(parse("schema: {{ target.schema }}\n").1.unwrap_err().help.as_deref(), Some(QUOTE_JINJA));
        assert!(parse("a: 1\n---\nb: 2\n").1.unwrap_err().message.contains("more than one"));
        assert!(parse("a: [1, 2\n").1.is_err());
    }

    #[test]
    fn alias_bombs_are_bounded() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = level - 1;
            writeln!(text, "a{level}: &a{level} [{}]", vec![format!("*a{before}"); 10].join(", ")).unwrap();
        }
        assert!(parse(&text).1.unwrap_err().message.contains("too large"));
        let mut deep = String::from("a0: &a0 [x]\n");
        for level in 1..2000 {
            writeln!(deep, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
        }
        assert!(parse(&deep).1.unwrap_err().message.contains("too large"));
        assert!(parse("a: &a [*a]\n").1.is_err());
        assert_eq!(parse("").1.unwrap().value, YamlValue::Null);
    }
}
