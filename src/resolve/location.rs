//! `external_location` of sources in projects for dbt-duckdb: a path or a call of a function that reads files, with names of
//! the source filled in.

use serde_json::{Map, Value as Json};

use super::builder::Builder;
use super::config::ConfigValues;
use crate::base::{Code, Diagnostic, Span};
use crate::load::{SourceDecl, SourceTableDecl, Yaml};
use crate::manifest::{ExternalConfig, ExternalSource, FileFormat, RelationName};
use crate::sql::{FileCall, FileKind};

const KEY: &str = "external_location";
const PLUGIN: &str = "plugin";

/// The files behind a source, where its `meta` or its config names them.
pub(super) fn external_location(
    builder: &mut Builder,
    (source, table): (&SourceDecl, &SourceTableDecl),
    (relation, values): (&RelationName, &ConfigValues),
) -> Option<ExternalSource> {
    let semantics = builder.parsed.target.semantics();
    if !semantics.reads_files() {
        return None;
    }
    let given = names(table, relation, values);
    let place = |key: &str| written(key, table.config.as_ref()).or_else(|| written(key, source.config.as_ref())).unwrap_or(table.name.span);
    let unread = |message: String, span: Span, help: String| {
        let diagnostic = Diagnostic::warning(Code::ConfigType, message).at(span, "set here");
        diagnostic.note("the source is taken for a table of the warehouse").help(help)
    };
    if let Some(plugin) = given.get(PLUGIN).filter(|plugin| !plugin.is_null()) {
        let message = format!("the plugin `{}` of dbt-duckdb is not run", shown(plugin));
        builder.found.push(unread(
            message,
            place(PLUGIN),
            "name files in `external_location`, or load the table with a seed or before the run".into(),
        ));
        return None;
    }
    let location = given.get(KEY).filter(|location| !location.is_null())?;
    let span = place(KEY);
    let formatter = given.get("formatter").and_then(Json::as_str).unwrap_or("newstyle");
    let filled = match location.as_str() {
        Some(location) => filled(location, formatter, &given),
        None => Err(("expected a text".to_owned(), "write a path, or a call such as `read_csv('data/orders.csv')`".to_owned())),
    };
    let call = filled.and_then(|text| FileCall::parse(&text, semantics).map_err(|wrong| (wrong.message, wrong.help)));
    match call {
        Ok(call) => Some(of_call(call, span)),
        Err((message, help)) => {
            builder.found.push(unread(format!("`{KEY}` of `{}.{}`: {message}", source.name.value, table.name.value), span, help));
            None
        }
    }
}

fn of_call(call: FileCall, span: Span) -> ExternalSource {
    let format = match call.kind {
        FileKind::Csv => FileFormat::Csv,
        FileKind::Json => FileFormat::Json,
        FileKind::Parquet => FileFormat::Parquet,
    };
    let location = call.paths.first().cloned().unwrap_or_default();
    ExternalSource {
        config: ExternalConfig { location, format, options: indexmap::IndexMap::new() },
        span,
        option_spans: std::collections::BTreeMap::new(),
        call: Some(call.text),
    }
}

/// Where a key stands in the `meta` or the config of a source.
fn written(key: &str, config: Option<&Yaml>) -> Option<Span> {
    let config = config?;
    let found = config.get(key).or_else(|| config.get("meta")?.get(key))?;
    Some(found.span)
}

/// What may be filled in: the names of the source, then `meta` and the keys of its config.
fn names(table: &SourceTableDecl, relation: &RelationName, values: &ConfigValues) -> Map<String, Json> {
    let mut names = Map::new();
    names.insert("name".into(), table.name.value.clone().into());
    names.insert("identifier".into(), relation.identifier.clone().into());
    names.insert("schema".into(), relation.schema.clone().into());
    names.insert("database".into(), relation.database.clone().into());
    names.extend(values.get("meta").and_then(Json::as_object).cloned().unwrap_or_default());
    names.extend(values.entries().filter(|(key, ..)| *key != "meta").map(|(key, value, _)| (key.to_owned(), value.clone())));
    names
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A message and its help.
type Wrong = (String, String);

/// A location with names in their places, in one of Python's three notations.
fn filled(location: &str, formatter: &str, names: &Map<String, Json>) -> Result<String, Wrong> {
    let notation: fn(&str) -> Result<Option<Piece<'_>>, Wrong> = match formatter {
        "newstyle" => newstyle,
        "oldstyle" => oldstyle,
        "template" => template,
        other => {
            return Err((format!("`{other}` is no formatter"), "expected newstyle, oldstyle or template".into()));
        }
    };
    let mut text = String::new();
    let mut rest = location;
    while let Some(letter) = rest.chars().next() {
        match notation(rest)? {
            None => {
                text.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
            Some(Piece { text: Ok(plain), length }) => {
                text.push_str(plain);
                rest = &rest[length..];
            }
            Some(Piece { text: Err(name), length }) => {
                text.push_str(&value(name, names)?);
                rest = &rest[length..];
            }
        }
    }
    Ok(text)
}

fn value(name: &str, names: &Map<String, Json>) -> Result<String, Wrong> {
    match names.get(name) {
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        Some(Json::Bool(true)) => Ok("True".into()),
        Some(Json::Bool(false)) => Ok("False".into()),
        Some(Json::Null | Json::Array(_) | Json::Object(_)) => {
            Err((format!("`{name}` is no text that can be filled in"), "fill in `name`, `identifier`, `schema` or a text of `meta`".into()))
        }
        None => {
            Err((format!("there is no `{name}` to be filled in"), "fill in `name`, `identifier`, `schema`, `database` or a key of `meta`".into()))
        }
    }
}

/// What begins a text: a character that is written doubled, or a name to be filled in; and how long it is.
struct Piece<'t> {
    text: Result<&'static str, &'t str>,
    length: usize,
}

fn piece(text: &'static str, length: usize) -> Piece<'static> {
    Piece { text: Ok(text), length }
}

/// `{name}`
fn newstyle(rest: &str) -> Result<Option<Piece<'_>>, Wrong> {
    if rest.starts_with("{{") {
        return Ok(Some(piece("{", 2)));
    }
    if rest.starts_with("}}") {
        return Ok(Some(piece("}", 2)));
    }
    let Some(inner) = rest.strip_prefix('{') else {
        return if rest.starts_with('}') { Err(unbalanced("}")) } else { Ok(None) };
    };
    let (name, _) = inner.split_once('}').ok_or_else(|| unbalanced("{"))?;
    if !is_name(name) {
        return Err((format!("`{{{name}}}` is no name alone"), "write `{name}`, and a bracket that belongs to the text doubled".into()));
    }
    Ok(Some(Piece { text: Err(name), length: name.len() + 2 }))
}

fn unbalanced(bracket: &str) -> Wrong {
    (format!("a `{bracket}` stands alone"), "write a bracket that belongs to the text doubled, or take `formatter: template`".into())
}

/// `%(name)s`
fn oldstyle(rest: &str) -> Result<Option<Piece<'_>>, Wrong> {
    let Some(inner) = rest.strip_prefix('%') else { return Ok(None) };
    if inner.starts_with('%') {
        return Ok(Some(piece("%", 2)));
    }
    let name = inner.strip_prefix('(').and_then(|inner| inner.split_once(")s")).map(|(name, _)| name).filter(|name| is_name(name));
    match name {
        Some(name) => Ok(Some(Piece { text: Err(name), length: name.len() + 4 })),
        None => Err(("a `%` stands alone".into(), "write `%(name)s`, and a `%` that belongs to the text doubled".into())),
    }
}

/// `$name` or `${name}`
fn template(rest: &str) -> Result<Option<Piece<'_>>, Wrong> {
    let Some(inner) = rest.strip_prefix('$') else { return Ok(None) };
    if inner.starts_with('$') {
        return Ok(Some(piece("$", 2)));
    }
    let bare = inner.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).map_or(inner, |end| &inner[..end]);
    let (name, around) = match inner.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        Some((name, _)) => (name, 3),
        None => (bare, 1),
    };
    if !is_name(name) {
        return Err(("a `$` stands alone".into(), "write `$name` or `${name}`, and a `$` that belongs to the text doubled".into()));
    }
    Ok(Some(Piece { text: Err(name), length: name.len() + around }))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_') && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_filled_in() {
        let names = json!({"name": "orders", "schema": "raw", "n": 3, "l": []});
        let names = names.as_object().unwrap();
        for (formatter, location, expected) in [
            ("newstyle", "data/{schema}/{name}_{n}.csv", Some("data/raw/orders_3.csv")),
            ("newstyle", "read_csv('{name}.csv', columns = {{'a': 'int'}})", Some("read_csv('orders.csv', columns = {'a': 'int'})")),
            ("newstyle", "{other}.csv", None),
            ("newstyle", "{name!r}.csv", None),
            ("newstyle", "{l}.csv", None),
            ("newstyle", "a}.csv", None),
            ("newstyle", "{a.csv", None),
            ("oldstyle", "%(name)s{x}%%.csv", Some("orders{x}%.csv")),
            ("oldstyle", "%d.csv", None),
            ("template", "$schema/${name}s$$é.csv", Some("raw/orderss$é.csv")),
            ("template", "a$.csv", None),
            ("other", "a.csv", None),
        ] {
            assert_eq!(filled(location, formatter, names).ok().as_deref(), expected, "{location}");
        }
    }
}
