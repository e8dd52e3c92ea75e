//! The config trees of a project file: what they say for one node.

use std::sync::Arc;

use serde_json::Value as Json;

use super::config::ConfigValues;
use super::host::{Facts, ParseHost};
use crate::base::Diagnostic;
use crate::jinja::{MacroLibrary, RenderFailure, TemplateHost, render_text};
use crate::load::{Yaml, YamlValue, config_key};

/// Renders the strings of YAML values, which may ask for vars and the target.
pub(super) struct YamlRenderer<'a> {
    library: &'a MacroLibrary,
    host: Arc<dyn TemplateHost>,
    adapter: &'a str,
}

impl<'a> YamlRenderer<'a> {
    pub(super) fn new(library: &'a MacroLibrary, facts: &'a Arc<Facts>, package: &str) -> Self {
        let host: Arc<dyn TemplateHost> = ParseHost::new(facts, package, "", ConfigValues::default());
        Self { library, host, adapter: &facts.adapter }
    }

    /// A value with every string in it rendered.
    pub(super) fn json(&self, yaml: &Yaml, found: &mut Vec<Diagnostic>) -> Json {
        match &yaml.value {
            YamlValue::Null => Json::Null,
            YamlValue::Bool(flag) => Json::from(*flag),
            YamlValue::Int(number) => Json::from(*number),
            YamlValue::Float(number) => Json::from(*number),
            YamlValue::String(text) => self.text(text, yaml, found),
            YamlValue::Seq(items) => Json::Array(items.iter().map(|item| self.json(item, found)).collect()),
            YamlValue::Map(entries) => Json::Object(entries.iter().map(|(key, value)| (key.value.clone(), self.json(value, found))).collect()),
        }
    }

    fn text(&self, text: &str, yaml: &Yaml, found: &mut Vec<Diagnostic>) -> Json {
        match render_text(text, yaml.span, self.library, &self.host).map_err(|failure| *failure) {
            Ok(value) => value,
            Err(RenderFailure::Diagnostics(diagnostics)) => {
                found.extend(diagnostics);
                Json::Null
            }
            Err(RenderFailure::Deferred { .. }) => Json::from(text),
        }
    }

    /// The entries of a `config:` map. Hooks and texts that are SQL of tests stay as written.
    pub(super) fn config(&self, yaml: &Yaml, found: &mut Vec<Diagnostic>) -> ConfigValues {
        let mut values = ConfigValues::default();
        if let YamlValue::Map(entries) = &yaml.value {
            for (key, value) in entries {
                self.set(&mut values, &key.value, value, found);
            }
        }
        values
    }

    fn set(&self, values: &mut ConfigValues, key: &str, value: &Yaml, found: &mut Vec<Diagnostic>) {
        let key = config_key(self.adapter, key.strip_prefix('+').unwrap_or(key));
        let rendered = self.config_value(key, value, found);
        let written = Some(value.to_json()).filter(|written| *written != rendered);
        values.set_written(key, rendered, written, Some(value.span));
    }

    fn config_value(&self, key: &str, value: &Yaml, found: &mut Vec<Diagnostic>) -> Json {
        let late = matches!(key, "pre_hook" | "post_hook" | "pre-hook" | "post-hook" | "loaded_at_query");
        if late { value.to_json() } else { self.json(value, found) }
    }

    /// What a tree says for a node: from the root of the tree to the folder or model nearest to the node.
    ///
    /// A key with `+` is a config; another key is a folder if the node's name has it next, else a config, unless it holds
    /// a map and is not one of the configs that are maps.
    pub(super) fn walk(&self, tree: &Yaml, fqn: &[String], found: &mut Vec<Diagnostic>) -> ConfigValues {
        let mut values = ConfigValues::default();
        let YamlValue::Map(entries) = &tree.value else { return values };
        let mut below = None;
        for (key, value) in entries {
            let is_map = matches!(value.value, YamlValue::Map(_));
            if fqn.first() == Some(&key.value) && is_map {
                below = Some(value);
            } else if !is_path(&key.value, value) {
                self.set(&mut values, &key.value, value, found);
            }
        }
        if let Some(below) = below {
            values.extend(&self.walk(below, fqn.get(1..).unwrap_or_default(), found));
        }
        values
    }
}

/// Whether a key of a tree is a name of a package, folder or resource, and no config.
pub(super) fn is_path(key: &str, value: &Yaml) -> bool {
    value.is_map() && !key.starts_with('+') && !MAPS.contains(&key)
}

const MAPS: [&str; 13] = [
    "meta",
    "persist_docs",
    "column_types",
    "tblproperties",
    "contract",
    "docs",
    "grants",
    "options",
    "quoting",
    "pre_hook",
    "pre-hook",
    "post_hook",
    "post-hook",
];
