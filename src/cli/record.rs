//! A record: one thing that is said about an event, ready for every kind of output. Text for the terminal (plain and
//! coloured), and name, code and data under dbt's names for structured lines.
//!
//! Leaves deciding what is said to `narrate`, and where it goes to `console` and `logfile`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json, json};

/// How much a record matters. Names are dbt's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How records become lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// `HH:MM:SS  text`.
    Text,
    /// One JSON object a line.
    Json,
    /// `HH:MM:SS.ffffff [level] [thread]: text`.
    Debug,
}

/// A colour that repeats what the words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Green,
    Yellow,
    Red,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Red => "\u{1b}[31m",
        }
    }
}

/// Text with and without colours. Whoever makes one has made the user's parts of it safe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub plain: String,
    pub coloured: String,
}

impl Text {
    pub fn new(plain: impl Into<String>) -> Self {
        let plain = plain.into();
        Self { coloured: plain.clone(), plain }
    }

    pub fn painted(paint: Paint, text: &str) -> Self {
        Self::default().paint(Some(paint), text)
    }

    /// The text with more behind it.
    pub fn then(self, text: &str) -> Self {
        self.paint(None, text)
    }

    /// The text with another one, painted or not, behind it.
    pub fn with(mut self, other: &Self) -> Self {
        self.plain.push_str(&other.plain);
        self.coloured.push_str(&other.coloured);
        self
    }

    pub fn paint(mut self, paint: Option<Paint>, text: &str) -> Self {
        self.plain.push_str(text);
        match paint {
            Some(paint) => self.coloured.extend([paint.code(), text, "\u{1b}[0m"]),
            None => self.coloured.push_str(text),
        }
        self
    }
}

/// One thing to say.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// dbt's name of the event, by which tools recognise it.
    pub name: &'static str,
    /// dbt's code of the event; empty where it has none.
    pub code: &'static str,
    pub level: Level,
    pub text: Text,
    /// Whether the time stands in front of it on a terminal; blocks that quote the user's files stand alone.
    pub stamped: bool,
    /// Whether it is what a script asked for, which is told where all else is quiet.
    pub asked: bool,
    pub thread: String,
    /// Null unless structured output was asked for.
    pub data: Json,
}

/// Whose lines these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogIdentity {
    pub id: String,
    pub process: u32,
}

impl Record {
    /// `HH:MM:SS  text`, times in UTC as dbt's.
    pub fn text_line(&self, at: DateTime<Utc>, colours: bool) -> String {
        let text = if colours { &self.text.coloured } else { &self.text.plain };
        if self.stamped { format!("{}  {text}\n", at.format("%H:%M:%S")) } else { format!("{text}\n") }
    }

    /// `HH:MM:SS.ffffff [level] [thread]: text`.
    pub fn debug_line(&self, at: DateTime<Utc>, colours: bool) -> String {
        let text = if colours { &self.text.coloured } else { &self.text.plain };
        format!("{} [{:<5}] [{:<10}]: {text}\n", at.format("%H:%M:%S%.6f"), self.level.name(), self.thread)
    }

    /// The structured line.
    pub fn json_line(&self, at: DateTime<Utc>, identity: &LogIdentity) -> String {
        let mut info = Map::new();
        info.insert("name".into(), json!(self.name));
        info.insert("code".into(), json!(self.code));
        info.insert("msg".into(), json!(self.text.plain));
        info.insert("level".into(), json!(self.level.name()));
        info.insert("ts".into(), json!(timestamp(at)));
        info.insert("invocation_id".into(), json!(identity.id));
        info.insert("pid".into(), json!(identity.process));
        info.insert("thread".into(), json!(self.thread));
        info.insert("category".into(), json!(""));
        info.insert("extra".into(), json!({}));
        let data = if self.data.is_null() { json!({}) } else { self.data.clone() };
        let mut line = escape_json(&json!({"info": info, "data": data}).to_string());
        line.push('\n');
        line
    }
}

/// Time as dbt writes it, in UTC with microseconds.
pub(crate) fn timestamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// JSON leaves DEL and the C1 controls as they are; a terminal that shows the line must not obey them.
fn escape_json(line: &str) -> String {
    if !line.chars().any(char::is_control) {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() {
            write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default();
        } else {
            out.push(c);
        }
    }
    out
}
