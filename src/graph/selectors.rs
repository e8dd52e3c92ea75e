//! `selectors.yml`: selections with a name, as a tree of unions, intersections and criteria.

use serde_json::{Map, Value as Json, json};

use super::criterion::{Criterion, Reach};
use super::method::Method;
use super::select::{Expression, IndirectSelection};
use crate::base::{Code, Diagnostic, nearest};
use crate::load::{Yaml, YamlValue};

/// How deep selectors may name others.
const DEPTH: usize = 32;

/// The selectors of a project.
pub struct Selectors {
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    default: bool,
    description: Option<String>,
    definition: Yaml,
}

impl Selectors {
    /// Reads the list; null is an empty one.
    ///
    /// # Errors
    /// If an entry has no name or no definition, or two have the same name.
    pub fn read(list: &Yaml) -> Result<Self, Diagnostic> {
        let mut entries: Vec<Entry> = Vec::new();
        let items = match &list.value {
            YamlValue::Null => return Ok(Self { entries }),
            YamlValue::Seq(items) => items,
            YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Map(_) => {
                return Err(wrong(list, "`selectors` is no list", "list entries with `name` and `definition`"));
            }
        };
        for item in items {
            let name = item.get("name").and_then(Yaml::as_str).ok_or_else(|| wrong(item, "a selector without a name", "add `name:`"))?;
            if entries.iter().any(|entry| entry.name == name) {
                return Err(wrong(item, &format!("two selectors are called `{name}`"), "rename one of them"));
            }
            let definition =
                item.get("definition").ok_or_else(|| wrong(item, &format!("the selector `{name}` has no definition"), "add `definition:`"))?;
            entries.push(Entry {
                name: name.to_owned(),
                default: item.get("default").and_then(truth).unwrap_or(false),
                description: item.get("description").and_then(Yaml::as_str).map(str::to_owned),
                definition: definition.clone(),
            });
        }
        let mut defaults = entries.iter().filter(|entry| entry.default);
        if let (Some(first), Some(second)) = (defaults.next(), defaults.next()) {
            let message = format!("`{}` and `{}` are both the default selector", first.name, second.name);
            return Err(wrong(&second.definition, &message, "take `default: true` from one of them"));
        }
        Ok(Self { entries })
    }

    /// What is wrong with a list of selectors, whether or not a command asks for them.
    #[must_use]
    pub fn wrong(list: &Yaml) -> Vec<Diagnostic> {
        match Self::read(list) {
            Ok(selectors) => selectors.entries.iter().filter_map(|entry| selectors.expression(&entry.name).err()).collect(),
            Err(found) => vec![found],
        }
    }

    /// The selector that counts where the command line says nothing.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.entries.iter().find(|entry| entry.default).map(|entry| entry.name.as_str())
    }

    pub(super) fn expression(&self, name: &str) -> Result<Expression, Diagnostic> {
        self.named(name, None, 0)
    }

    fn named(&self, name: &str, asked: Option<&Yaml>, depth: usize) -> Result<Expression, Diagnostic> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            let known = || self.entries.iter().map(|entry| entry.name.as_str());
            let list = known().collect::<Vec<_>>().join(", ");
            let otherwise = if list.is_empty() { "selectors.yml has none".to_owned() } else { format!("selectors.yml has {list}") };
            return Err(Diagnostic::error(Code::InvalidSelector, format!("there is no selector `{name}`"))
                .at_opt(asked.map(|yaml| yaml.span), "named here")
                .help_nearest(nearest(name, known()), otherwise));
        };
        if depth > DEPTH {
            return Err(wrong(&entry.definition, &format!("the selector `{name}` names itself"), "take one of the `method: selector` out"));
        }
        self.tree(&entry.definition, depth)
    }

    fn tree(&self, yaml: &Yaml, depth: usize) -> Result<Expression, Diagnostic> {
        match &yaml.value {
            YamlValue::String(text) => match text.strip_prefix("selector:") {
                Some(name) => self.named(name, Some(yaml), depth + 1),
                None => Ok(Expression::Criterion(Box::new(Criterion::parse(text).map_err(|error| error.at(yaml.span, "written here"))?))),
            },
            YamlValue::Map(entries) => match entries.iter().find(|(key, _)| matches!(key.value.as_str(), "union" | "intersection")) {
                Some((key, list)) => self.combined(&key.value, list, depth),
                None => self.single(yaml, depth),
            },
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::Seq(_) => {
                Err(wrong(yaml, "this is no definition of a selector", "write `method:` and `value:`, or `union:` or `intersection:` with a list"))
            }
        }
    }

    /// The parts of a list, of which one may say `exclude`.
    fn combined(&self, how: &str, list: &Yaml, depth: usize) -> Result<Expression, Diagnostic> {
        let YamlValue::Seq(items) = &list.value else {
            return Err(wrong(list, &format!("`{how}` is no list"), "list what is to be combined"));
        };
        let (mut parts, mut without) = (Vec::new(), Vec::new());
        for item in items {
            match item.get("exclude").filter(|_| item.entries().len() == 1) {
                Some(excluded) => without.extend(self.list(excluded, depth)?),
                None => parts.push(self.tree(item, depth)?),
            }
        }
        let whole = if how == "union" { Expression::Union(parts) } else { Expression::Intersection(parts) };
        Ok(if without.is_empty() { whole } else { Expression::Difference(Box::new(whole), without) })
    }

    fn list(&self, yaml: &Yaml, depth: usize) -> Result<Vec<Expression>, Diagnostic> {
        match &yaml.value {
            YamlValue::Seq(items) => items.iter().map(|item| self.tree(item, depth)).collect(),
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Map(_) => {
                Err(wrong(yaml, "`exclude` is no list", "list what is left out"))
            }
        }
    }

    /// `method: .., value: ..` with its operators, or `tag: nightly` for short.
    fn single(&self, yaml: &Yaml, depth: usize) -> Result<Expression, Diagnostic> {
        let text_of = |key: &str| yaml.get(key).and_then(Yaml::scalar_text);
        let (method, value) = match (text_of("method"), text_of("value")) {
            (Some(method), Some(value)) => (method, value),
            (None, None) if yaml.entries().len() == 1 => {
                let (key, value) = &yaml.entries()[0];
                (key.value.clone(), value.scalar_text().ok_or_else(|| wrong(value, "this is no value of a selection method", "write a text"))?)
            }
            _ => return Err(wrong(yaml, "a criterion needs `method` and `value`", "e.g. `{method: tag, value: nightly}`")),
        };
        let without = yaml.get("exclude").map(|list| self.list(list, depth)).transpose()?;
        let whole = if method == "selector" {
            self.named(&value, Some(yaml), depth + 1)?
        } else {
            let method = Method::parse(&format!("{method}:{value}")).map_err(|error| error.at(yaml.span, "written here"))?;
            Expression::Criterion(Box::new(criterion(yaml, method, value)?))
        };
        Ok(match without {
            Some(without) => Expression::Difference(Box::new(whole), without),
            None => whole,
        })
    }
}

fn criterion(yaml: &Yaml, method: Method, text: String) -> Result<Criterion, Diagnostic> {
    const KEYS: [&str; 9] =
        ["method", "value", "parents", "children", "parents_depth", "children_depth", "childrens_parents", "indirect_selection", "exclude"];
    if yaml.entries().len() > 1
        && let Some((key, _)) = yaml.entries().iter().find(|(key, _)| !KEYS.contains(&key.value.as_str()))
    {
        return Err(Diagnostic::error(Code::UnknownKey, format!("a criterion has no key `{}`", key.value))
            .at(key.span, "this key")
            .help_nearest(nearest(&key.value, KEYS), format!("there are {}", KEYS.join(", "))));
    }
    let on = |key: &str| yaml.get(key).and_then(truth).unwrap_or(false);
    let reach = |key: &str, depth: &str| match yaml.get(depth).and_then(Yaml::scalar_text).and_then(|text| text.parse().ok()) {
        _ if !on(key) => Reach::None,
        Some(steps) => Reach::Steps(steps),
        None => Reach::All,
    };
    let indirect = match yaml.get("indirect_selection") {
        None => None,
        Some(mode) => Some(match mode.as_str().unwrap_or_default() {
            "eager" => IndirectSelection::Eager,
            "cautious" => IndirectSelection::Cautious,
            "buildable" => IndirectSelection::Buildable,
            "empty" => IndirectSelection::Empty,
            _ => return Err(wrong(mode, "this is no mode of `indirect_selection`", "the modes are eager, cautious, buildable, empty")),
        }),
    };
    Ok(Criterion {
        text,
        method,
        parents: reach("parents", "parents_depth"),
        children: reach("children", "children_depth"),
        childrens_parents: on("childrens_parents"),
        indirect,
    })
}

/// A boolean, also one that a template wrote as a text.
fn truth(yaml: &Yaml) -> Option<bool> {
    yaml.as_bool().or_else(|| yaml.as_str().map(|text| text.eq_ignore_ascii_case("true")))
}

fn wrong(yaml: &Yaml, message: &str, help: &str) -> Diagnostic {
    Diagnostic::error(Code::InvalidSelector, message).at(yaml.span, "written here").help(help)
}

/// The selectors as `manifest.json` has them: name, description and definition, short forms written out.
#[must_use]
pub fn selector_definitions(list: &Yaml) -> Map<String, Json> {
    let entries = Selectors::read(list).map(|selectors| selectors.entries).unwrap_or_default();
    let entry = |entry: &Entry| {
        let value = json!({"name": entry.name, "description": entry.description.clone().unwrap_or_default(), "definition": written_out(&entry.definition.to_json())});
        (entry.name.clone(), value)
    };
    entries.iter().map(entry).collect()
}

fn written_out(definition: &Json) -> Json {
    match definition {
        Json::String(text) => match text.split_once(':') {
            Some((method, value)) => json!({"method": method, "value": value}),
            None => json!({"method": "fqn", "value": text}),
        },
        Json::Array(items) => Json::Array(items.iter().map(written_out).collect()),
        Json::Object(map) if map.len() == 1 && !map.keys().any(|key| matches!(key.as_str(), "union" | "intersection" | "exclude")) => {
            map.iter().next().map_or(Json::Null, |(key, value)| json!({"method": key, "value": value}))
        }
        Json::Object(map) => {
            let nested = |key: &String| matches!(key.as_str(), "union" | "intersection" | "exclude");
            map.iter().map(|(key, value)| (key.clone(), if nested(key) { written_out(value) } else { value.clone() })).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => definition.clone(),
    }
}
