//! `fromyaml` and `toyaml`. What is written is what `PyYAML` 6 writes for `safe_dump`: block style, lines broken at a space
//! behind the 80th column, and quotes where YAML 1.1 would read something else.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};
use regex::Regex;

use super::containers::{collect, is_namespace, pairs};
use super::decimals::Decimal;
use super::modules::Moment;
use super::order;
use super::python::float_text;
use super::relation::Relation;
use super::session::Session;
use super::sets::Set;
use super::values::{bind_args, from_json};
use super::views::is_view;
use super::work::weight;

/// Lines are broken at the first space behind this column.
const WIDTH: usize = 80;
/// Keys of this many characters stand behind a `?`.
const LONG_KEY: usize = 123;

pub(super) fn fromyaml(session: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [text, default] = bind_args("fromyaml", ["value", "default"], args)?;
    let read = text.as_ref().and_then(Value::as_str).and_then(|text| session.host.yaml(text));
    Ok(read.map_or_else(|| default.unwrap_or_else(|| Value::from(())), |json| from_json(&json)))
}

pub(super) fn toyaml(_: &Arc<Session>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [value, default, sort] = bind_args("toyaml", ["value", "default", "sort_keys"], args)?;
    let value = value.unwrap_or_default();
    weight(&value)?;
    let Some(node) = Node::of(&value, sort.is_some_and(|sort| sort.is_true())) else {
        return Ok(default.unwrap_or_else(|| Value::from(())));
    };
    let mut writer = Writer::default();
    match &node {
        Node::List(items) if items.is_empty() => writer.text.push_str("[]\n"),
        Node::Map(pairs) if pairs.is_empty() => writer.text.push_str("{}\n"),
        Node::List(_) | Node::Map(_) | Node::Set(_) => writer.block(&node, 0),
        Node::Bare(_) | Node::Text(_) => {
            writer.scalar(&node, 0);
            // A document of one plain scalar is closed, or it could run on.
            writer.text.push_str(if writer.text.starts_with(['\'', '"']) { "\n" } else { "\n...\n" });
        }
    }
    Ok(Value::from(writer.text))
}

/// What can be written.
enum Node {
    /// A number, a date and the like, as it stands there.
    Bare(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Set(Vec<Node>),
}

impl Node {
    /// `None` where YAML has no such value.
    fn of(value: &Value, sort: bool) -> Option<Self> {
        if value.downcast_object_ref::<Relation>().is_some() || Decimal::of(value).is_some() || is_view(value) || is_namespace(value) {
            return None;
        }
        if let Some(moment) = value.downcast_object_ref::<Moment>() {
            return moment.iso(" ", "auto").ok().filter(|_| moment.has_date()).map(Self::Bare);
        }
        if value.downcast_object_ref::<Set>().is_some() {
            return collect(value).ok()?.iter().map(|item| Self::of(item, sort)).collect::<Option<_>>().map(Self::Set);
        }
        match value.kind() {
            ValueKind::None => Some(Self::Bare("null".to_owned())),
            ValueKind::Bool => Some(Self::Bare(value.is_true().to_string())),
            ValueKind::Number if value.is_integer() => Some(Self::Bare(value.to_string())),
            ValueKind::Number => f64::try_from(value.clone()).ok().map(number).map(Self::Bare),
            ValueKind::String => value.as_str().map(str::to_owned).map(Self::Text),
            ValueKind::Seq => collect(value).ok()?.iter().map(|item| Self::of(item, sort)).collect::<Option<_>>().map(Self::List),
            ValueKind::Map => {
                let mut pairs = pairs(value).ok()?;
                if sort {
                    pairs = order::by_key(pairs);
                }
                pairs.iter().map(|(key, item)| Some((Self::of(key, sort)?, Self::of(item, sort)?))).collect::<Option<_>>().map(Self::Map)
            }
            _ => None,
        }
    }

    fn is_block(&self) -> bool {
        match self {
            Self::List(items) => !items.is_empty(),
            Self::Map(pairs) => !pairs.is_empty(),
            Self::Set(_) => true,
            Self::Bare(_) | Self::Text(_) => false,
        }
    }
}

fn number(float: f64) -> String {
    match float_text(float) {
        text if text.contains("inf") || text == "nan" => text.replace("inf", ".inf").replace("nan", ".nan"),
        // YAML 1.1 reads a number with an exponent only if it has a point.
        text if text.contains('.') => text,
        text => text.replacen('e', ".0e", 1),
    }
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    /// Characters on the line so far. All that is written is ASCII.
    fn column(&self) -> usize {
        self.text.len() - self.text.rfind('\n').map_or(0, |at| at + 1)
    }

    fn line(&mut self, indent: usize) {
        self.text.push('\n');
        self.text.push_str(&" ".repeat(indent));
    }

    /// A list, map or set that is not empty, whose first line begins here, with a break behind its last one.
    fn block(&mut self, node: &Node, indent: usize) {
        match node {
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.begin(index, indent);
                    self.text.push_str("- ");
                    self.item(item, indent);
                }
            }
            Node::Map(pairs) => {
                for (index, (key, item)) in pairs.iter().enumerate() {
                    self.begin(index, indent);
                    self.pair(key, item, indent);
                }
            }
            Node::Set(items) if items.is_empty() => self.text.push_str("!!set {}\n"),
            Node::Set(items) => {
                self.text.push_str("!!set");
                let nothing = Node::Bare("null".to_owned());
                for item in items {
                    self.text.push_str(if self.text.ends_with('\n') { "" } else { "\n" });
                    self.text.push_str(&" ".repeat(indent));
                    self.pair(item, &nothing, indent);
                }
            }
            Node::Bare(_) | Node::Text(_) => self.item(node, indent),
        }
    }

    fn begin(&mut self, index: usize, indent: usize) {
        if index > 0 {
            self.text.push_str(&" ".repeat(indent));
        }
    }

    /// What stands behind a `- `, or behind the `: ` of a key that has a line of its own.
    fn item(&mut self, item: &Node, indent: usize) {
        if item.is_block() {
            self.block(item, indent + 2);
        } else {
            self.scalar(item, indent);
            self.text.push('\n');
        }
    }

    fn pair(&mut self, key: &Node, item: &Node, indent: usize) {
        let before = self.text.len();
        if let Node::Bare(text) | Node::Text(text) = key
            && !text.is_empty()
            && text.chars().count() < LONG_KEY
            && !text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}'])
        {
            self.styled(key, indent, false);
        }
        if self.text.len() == before {
            self.text.push_str("? ");
            self.item(key, indent);
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(": ");
            self.item(item, indent);
            return;
        }
        self.text.push(':');
        match item {
            Node::List(items) if !items.is_empty() => {
                self.line(indent);
                self.block(item, indent);
            }
            Node::Map(pairs) if !pairs.is_empty() => {
                self.line(indent + 2);
                self.block(item, indent + 2);
            }
            Node::List(_) | Node::Map(_) | Node::Set(_) | Node::Bare(_) | Node::Text(_) => {
                self.text.push(' ');
                self.item(item, indent);
            }
        }
    }

    fn scalar(&mut self, node: &Node, indent: usize) {
        self.styled(node, indent, true);
    }

    /// `breaks` says whether its lines may be broken.
    fn styled(&mut self, node: &Node, indent: usize, breaks: bool) {
        let indent = indent + 2;
        match node {
            Node::Bare(text) => self.text.push_str(text),
            Node::Text(text) if !is_printed(text) => self.escaped(text, indent, breaks),
            Node::Text(text) if is_plain(text) => self.words(text, indent, breaks, false),
            Node::Text(text) => self.words(text, indent, breaks, true),
            Node::List(_) => self.text.push_str("[]"),
            Node::Map(_) | Node::Set(_) => self.text.push_str("{}"),
        }
    }

    /// A plain text, or one in single quotes: a line may end at a space that stands alone, and a break is written as an empty line.
    fn words(&mut self, text: &str, indent: usize, breaks: bool, quoted: bool) {
        let mut column = self.column() + usize::from(quoted);
        self.text.push_str(if quoted { "'" } else { "" });
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = rest.find(|c: char| if matches!(first, ' ' | '\n') { c != first } else { matches!(c, ' ' | '\n') });
            let (run, behind) = rest.split_at(length.unwrap_or(rest.len()));
            let is_edge = quoted && (rest.len() == text.len() || behind.is_empty());
            match first {
                '\n' => {
                    self.text.push_str(run);
                    self.line(indent);
                    column = indent;
                }
                ' ' if run.len() == 1 && column > WIDTH && breaks && !is_edge => {
                    self.line(indent);
                    column = indent;
                }
                _ if quoted => {
                    let run = run.replace('\'', "''");
                    self.text.push_str(&run);
                    column += run.len();
                }
                _ => {
                    self.text.push_str(run);
                    column += run.len();
                }
            }
            rest = behind;
        }
        self.text.push_str(if quoted { "'" } else { "" });
    }

    /// A text in double quotes, in ASCII. A line ends with a backslash, and the next begins with one if it begins with a space.
    fn escaped(&mut self, text: &str, indent: usize, breaks: bool) {
        let mut column = self.column() + 1;
        self.text.push('"');
        let chars: Vec<char> = text.chars().collect();
        // Characters that stand for themselves are written with the next one that does not, or at the next break.
        let mut waiting = String::new();
        for (at, c) in chars.iter().copied().enumerate() {
            let stands = (' '..='~').contains(&c) && !matches!(c, '"' | '\\');
            let mut is_wide = column + waiting.len() > WIDTH && (c == ' ' || waiting.is_empty());
            if !stands {
                column += waiting.len();
                self.text.push_str(&std::mem::take(&mut waiting));
                let escape = escape(c);
                column += escape.len();
                self.text.push_str(&escape);
                is_wide = column > WIDTH + 1;
            }
            if is_wide && breaks && 0 < at && at + 1 < chars.len() {
                self.text.push_str(&std::mem::take(&mut waiting));
                self.text.push('\\');
                self.line(indent);
                column = indent;
                if chars.get(if stands { at } else { at + 1 }) == Some(&' ') {
                    self.text.push('\\');
                    column += 1;
                }
            }
            if stands {
                waiting.push(c);
            }
        }
        self.text.push_str(&waiting);
        self.text.push('"');
    }
}

fn escape(c: char) -> String {
    const LETTERS: [(char, char); 15] = [
        ('\0', '0'),
        ('\u{7}', 'a'),
        ('\u{8}', 'b'),
        ('\t', 't'),
        ('\n', 'n'),
        ('\u{b}', 'v'),
        ('\u{c}', 'f'),
        ('\r', 'r'),
        ('\u{1b}', 'e'),
        ('"', '"'),
        ('\\', '\\'),
        ('\u{85}', 'N'),
        ('\u{a0}', '_'),
        ('\u{2028}', 'L'),
        ('\u{2029}', 'P'),
    ];
    if let Some((_, letter)) = LETTERS.iter().find(|(known, _)| *known == c) {
        return format!("\\{letter}");
    }
    let mut out = String::new();
    let (letter, width) = match c as u32 {
        0..=0xff => ('x', 2),
        0x100..=0xffff => ('u', 4),
        _ => ('U', 8),
    };
    let _ = write!(out, "\\{letter}{:0width$X}", c as u32);
    out
}

/// Whether a text can stand in YAML as it is: ASCII, and no line that begins or ends with a space at a break.
fn is_printed(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)) && !text.contains("\n ") && !text.contains(" \n")
}

/// What YAML 1.1 reads as something else than a text (the patterns of yaml.org/type, without those of base 60 that it leaves out).
static READS_OTHERWISE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = ["", "~", "=", "<<", "null|Null|NULL", "true|True|TRUE|false|False|FALSE", "yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"];
    let whole = ["[-+]?0b[01_]+", "[-+]?0[0-7_]+", "[-+]?(?:0|[1-9][0-9_]*)", "[-+]?0x[0-9a-fA-F_]+", "[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+"];
    let real = [
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?",
        r"[-+]?\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
        r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*",
        r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    ];
    let times = [
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?",
    ];
    let all: Vec<&str> = words.into_iter().chain(whole).chain(real).chain(times).collect();
    Regex::new(&format!("^(?:{})$", all.join("|"))).ok()
});

/// Whether a text reads back as the same text without quotes.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().unwrap_or(' ');
    let begins = match first {
        '?' | ':' | '-' => chars.next().is_some_and(|next| next != ' ') && !text.starts_with("---"),
        first => !" #,[]{}&*!|>'\"%@`".contains(first) && !text.starts_with("..."),
    };
    let inside = !text.contains(": ") && !text.contains(" #") && !text.contains('\n') && !text.ends_with([':', ' ']);
    begins && inside && READS_OTHERWISE.as_ref().is_some_and(|pattern| !pattern.is_match(text))
}
