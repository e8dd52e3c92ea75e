//! The `layers` and `naming` sections of a project file. What they demand is enforced in `resolve` and `compile`.

use regex::Regex;

use super::reader::{MapReader, items, text};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Span, Spanned, nearest};
use crate::manifest::Materialization;

/// A regular expression of the user that must match a whole name.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub text: Spanned<String>,
    regex: Regex,
}

impl Pattern {
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

/// What a layer may read beside and among layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayRead {
    Sources,
    Seeds,
    Snapshots,
    /// A layer by name.
    Layer(String),
}

/// What every model of a layer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Requirement {
    Description,
    /// A description of every declared column.
    ColumnDescriptions,
    Tests,
    Contract,
}

impl Requirement {
    pub const ALL: [Self; 4] = [Self::Description, Self::ColumnDescriptions, Self::Tests, Self::Contract];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::ColumnDescriptions => "column_descriptions",
            Self::Tests => "tests",
            Self::Contract => "contract",
        }
    }
}

/// One layer. A section that is absent sets no rule.
#[derive(Debug, Clone)]
pub struct LayerDecl {
    pub span: Span,
    pub name: Spanned<String>,
    /// Folders or globs, relative to the project.
    pub paths: Vec<Spanned<String>>,
    pub names: Option<Pattern>,
    pub may_read: Option<Vec<Spanned<MayRead>>>,
    pub materializations: Option<Vec<Spanned<Materialization>>>,
    pub require: Vec<Spanned<Requirement>>,
    globs: globset::GlobSet,
}

impl LayerDecl {
    /// Whether a file of the project belongs to this layer; `path` is relative to the project, with `/`.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        self.globs.is_match(path)
    }
}

/// Layers from the sources on.
#[derive(Debug, Clone)]
pub struct LayersDecl {
    pub span: Span,
    pub layers: Vec<LayerDecl>,
}

impl LayersDecl {
    /// The layer of a file: the first whose paths hold it.
    #[must_use]
    pub fn layer_of(&self, path: &str) -> Option<&LayerDecl> {
        self.layers.iter().find(|layer| layer.holds(path))
    }
}

/// A rule for names of models or columns.
#[derive(Debug, Clone)]
pub struct NamePattern {
    pub span: Span,
    pub pattern: Pattern,
    /// Empty: all layers, and models without one.
    pub layers: Vec<Spanned<String>>,
    /// Columns only, SQL type names; empty: all types.
    pub types: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Default)]
pub struct NamingDecl {
    pub models: Vec<NamePattern>,
    pub columns: Vec<NamePattern>,
}

impl NamingDecl {
    pub(super) fn read(yaml: &Yaml, layers: &[&str], out: &mut Diagnostics) -> Self {
        let mut reader = MapReader::new(yaml, "`naming`", out);
        let (models, columns) = (reader.take("models"), reader.take("columns"));
        let read = |value: Option<&Yaml>, what: &str, typed: bool, out: &mut Diagnostics| {
            value.map(|value| name_patterns(value, what, typed, layers, out)).unwrap_or_default()
        };
        let models = read(models, "`naming.models`", false, reader.out);
        let columns = read(columns, "`naming.columns`", true, reader.out);
        reader.finish();
        Self { models, columns }
    }
}

/// One rule, or a list of rules; a rule is a pattern, or a mapping with a pattern.
fn name_patterns(yaml: &Yaml, what: &str, typed: bool, layers: &[&str], out: &mut Diagnostics) -> Vec<NamePattern> {
    match &yaml.value {
        YamlValue::Seq(items) => items.iter().flat_map(|item| name_patterns(item, what, typed, layers, out)).collect(),
        YamlValue::Map(_) => {
            let mut reader = MapReader::new(yaml, what, out);
            let text = reader.required("pattern");
            let wanted = reader.strings("layers").unwrap_or_default();
            let types = if typed { reader.strings("types").unwrap_or_default() } else { Vec::new() };
            for layer in wanted.iter().filter(|layer| !layers.contains(&layer.value.as_str())) {
                reader.out.push(unknown_layer(layer, layers));
            }
            let pattern = text.and_then(|text| Pattern::read(text, reader.out));
            reader.finish();
            pattern.map(|pattern| NamePattern { span: yaml.span, pattern, layers: wanted, types }).into_iter().collect()
        }
        YamlValue::Null => Vec::new(),
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) => {
            let pattern = text(yaml, what, out).and_then(|text| Pattern::read(text, out));
            pattern.map(|pattern| NamePattern { span: yaml.span, pattern, layers: Vec::new(), types: Vec::new() }).into_iter().collect()
        }
    }
}

impl Pattern {
    fn read(text: Spanned<String>, out: &mut Diagnostics) -> Option<Self> {
        match Regex::new(&format!("^(?:{})$", text.value)) {
            Ok(regex) => Some(Self { text, regex }),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                let message = format!("`{}` is no regular expression: {reason}", text.value);
                out.push(Diagnostic::error(Code::YamlType, message).at(text.span, "this pattern").help("e.g. `stg_[a-z0-9_]+`"));
                None
            }
        }
    }
}

impl LayersDecl {
    pub(super) fn read(yaml: &Yaml, out: &mut Diagnostics) -> Self {
        let default = (yaml.as_str() == Some("default")).then(|| default_layers(yaml.span));
        let yaml = default.as_ref().unwrap_or(yaml);
        let entries = items(yaml, "`layers`", out);
        let names: Vec<&str> = entries.iter().filter_map(|entry| entry.get("name")?.as_str()).collect();
        let mut layers: Vec<LayerDecl> = Vec::new();
        for entry in entries {
            let Some(layer) = LayerDecl::read(entry, &names, out) else { continue };
            match layers.iter().find(|other| other.name.value == layer.name.value) {
                Some(first) => out.push(
                    Diagnostic::error(Code::DuplicateName, format!("two layers are called `{}`", layer.name.value))
                        .at(layer.name.span, "the second")
                        .also(first.name.span, "the first")
                        .help("rename one of them"),
                ),
                None => layers.push(layer),
            }
        }
        Self { span: yaml.span, layers }
    }
}

impl LayerDecl {
    fn read(yaml: &Yaml, names: &[&str], out: &mut Diagnostics) -> Option<Self> {
        let what = yaml.get("name").and_then(Yaml::as_str).map_or_else(|| "a layer".to_owned(), |name| format!("layer `{name}`"));
        let mut reader = MapReader::new(yaml, what, out);
        let name = reader.required("name");
        let paths = reader.strings("paths");
        let pattern = reader.string("names").and_then(|text| Pattern::read(text, reader.out));
        let may_read = reader.strings("may_read");
        let may_read = may_read.map(|list| list.into_iter().filter_map(|entry| readable(entry, names, reader.out)).collect());
        let materializations = reader.strings("materializations");
        let materializations = materializations.map(|list| list.into_iter().filter_map(|name| materialization(&name, reader.out)).collect());
        let require = reader.strings("require").unwrap_or_default();
        let require = require.into_iter().filter_map(|entry| requirement(&entry, reader.out)).collect();
        let name = name?;
        let paths = paths.unwrap_or_else(|| vec![Spanned::new(format!("models/{}", name.value), name.span)]);
        let globs = globs(&paths, reader.out);
        reader.finish();
        Some(Self { span: name.span, name, paths, names: pattern, may_read, materializations, require, globs })
    }
}

fn globs(paths: &[Spanned<String>], out: &mut Diagnostics) -> globset::GlobSet {
    let mut set = globset::GlobSetBuilder::new();
    for path in paths {
        let text = path.value.trim_start_matches("./").trim_end_matches('/');
        for pattern in [text.to_owned(), format!("{text}/**")] {
            match globset::GlobBuilder::new(&pattern).literal_separator(true).build() {
                Ok(glob) => {
                    set.add(glob);
                }
                Err(error) => {
                    let message = format!("`{}` is no path pattern: {}", path.value, error.kind());
                    out.push(
                        Diagnostic::error(Code::YamlType, message).at(path.span, "this path").help("e.g. `models/staging` or `models/*/staging`"),
                    );
                    break;
                }
            }
        }
    }
    set.build().unwrap_or_default()
}

fn readable(entry: Spanned<String>, layers: &[&str], out: &mut Diagnostics) -> Option<Spanned<MayRead>> {
    let value = match entry.value.as_str() {
        name if layers.contains(&name) => MayRead::Layer(entry.value),
        "sources" => MayRead::Sources,
        "seeds" => MayRead::Seeds,
        "snapshots" => MayRead::Snapshots,
        _ => {
            out.push(unknown_layer(&entry, &[layers, &["sources", "seeds", "snapshots"]].concat()));
            return None;
        }
    };
    Some(Spanned::new(value, entry.span))
}

fn unknown_layer(name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    Diagnostic::error(Code::YamlType, format!("there is no layer `{}`", name.value))
        .at(name.span, "named here")
        .help_nearest(nearest(&name.value, known.iter().copied()), format!("expected one of {}", known.join(", ")))
}

/// What `layers: default` stands for. Every place in it is that of the word.
fn default_layers(span: Span) -> Yaml {
    const TEXT: &str = "\
- {name: source, paths: [models/source, models/sources], may_read: [sources, seeds]}
- {name: staging, paths: [models/staging], names: 'stg_.+', may_read: [sources, seeds, source]}
- {name: snapshot, paths: [snapshots, models/snapshot, models/snapshots], may_read: [sources, seeds, source, staging]}
- {name: intermediate, paths: [models/intermediate], names: 'int_.+', may_read: [seeds, staging, snapshots, snapshot, intermediate]}
- {name: marts, paths: [models/marts, models/mart], may_read: [seeds, staging, snapshots, snapshot, intermediate, marts]}
";
    fn at(yaml: &Yaml, span: Span) -> Yaml {
        let value = match &yaml.value {
            YamlValue::Seq(items) => YamlValue::Seq(items.iter().map(|item| at(item, span)).collect()),
            YamlValue::Map(entries) => {
                YamlValue::Map(entries.iter().map(|(key, value)| (Spanned::new(key.value.clone(), span), at(value, span))).collect())
            }
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) => yaml.value.clone(),
        };
        Yaml { span, value }
    }
    let sources = crate::base::Sources::new();
    let file = sources.add("the default layers", TEXT);
    let parsed = super::yaml::parse_yaml(&sources, file).ok();
    parsed.map_or(Yaml { span, value: YamlValue::Null }, |yaml| at(&yaml, span))
}

/// A materialization by its name; one that no macro would have, because it is nearly one of ours, is misspelt.
fn materialization(name: &Spanned<String>, out: &mut Diagnostics) -> Option<Spanned<Materialization>> {
    const OURS: [&str; 7] = ["view", "table", "incremental", "ephemeral", "snapshot", "seed", "external"];
    let found = Materialization::from_name(&name.value);
    if let Materialization::Custom(custom) = &found
        && let Some(near) = nearest(custom, OURS)
    {
        let message = format!("there is no materialization `{custom}`");
        out.push(Diagnostic::error(Code::YamlType, message).at(name.span, "named here").help(format!("did you mean `{near}`?")));
        return None;
    }
    Some(Spanned::new(found, name.span))
}

fn requirement(entry: &Spanned<String>, out: &mut Diagnostics) -> Option<Spanned<Requirement>> {
    let found = Requirement::ALL.into_iter().find(|requirement| requirement.name() == entry.value);
    if found.is_none() {
        let known = Requirement::ALL.map(Requirement::name);
        out.push(
            Diagnostic::error(Code::YamlType, format!("a layer can't require `{}`", entry.value))
                .at(entry.span, "named here")
                .help_nearest(nearest(&entry.value, known), format!("expected one of {}", known.join(", "))),
        );
    }
    found.map(|requirement| Spanned::new(requirement, entry.span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Sources;
    use crate::load::yaml::parse_yaml;

    fn read(text: &str) -> (LayersDecl, Diagnostics) {
        let sources = Sources::new();
        let file = sources.add("project.yml", text);
        let yaml = parse_yaml(&sources, file).unwrap();
        let mut out = Diagnostics::new();
        (LayersDecl::read(&yaml, &mut out), out)
    }

    #[test]
    fn layers_hold_paths_and_rules() {
        let (decl, out) = read(
            "- {name: staging, paths: [models/staging, 'models/*/stg'], names: 'stg_.+', may_read: [sources], materializations: [view], require: [tests]}\n- {name: marts, may_read: [staging, seeds]}\n",
        );
        assert_eq!(out, []);
        assert_eq!(decl.layer_of("models/staging/deep/stg_a.sql").unwrap().name.value, "staging");
        assert_eq!(decl.layer_of("models/shop/stg/stg_a.sql").unwrap().name.value, "staging");
        assert_eq!(decl.layer_of("models/marts/a.sql").unwrap().name.value, "marts");
        assert!(decl.layer_of("models/staging2/a.sql").is_none());
        let staging = &decl.layers[0];
        assert!(staging.names.as_ref().unwrap().matches("stg_a") && !staging.names.as_ref().unwrap().matches("my_stg_a"));
        assert_eq!(decl.layers[1].may_read.as_ref().unwrap()[0].value, MayRead::Layer("staging".into()));
        assert!(decl.layers[1].materializations.is_none());
    }

    #[test]
    fn wrong_names_in_layers_are_reported() {
        let (_, out) = read("- {name: staging, names: '(', may_read: [source], require: [test], reeds: []}\n- {name: staging}\n");
        let found: Vec<_> = out.iter().map(|diagnostic| (diagnostic.code.name(), diagnostic.help.clone().unwrap_or_default())).collect();
        assert_eq!(found[0].0, "yaml-type");
        assert_eq!(found[1].1, "did you mean `sources`?");
        assert_eq!(found[2].1, "did you mean `tests`?");
        assert_eq!(found[3].0, "unknown-key");
        assert_eq!(found[4].0, "duplicate-name");
        assert_eq!(found.len(), 5);
    }
}
