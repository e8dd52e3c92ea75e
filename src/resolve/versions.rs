//! Versions of models: which file is which version, and what of the model's properties each version has.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::builder::Builder;
use crate::base::{Code, Diagnostic, Spanned, nearest};
use crate::load::{NodeDecl, ParsedPackage, VersionDecl, Yaml, YamlValue};
use crate::manifest::{ModelDetails, Version};

/// The properties of one file of models. There are as many as models, so what few have is elsewhere.
pub(super) struct ModelProperties<'p> {
    model: &'p NodeDecl,
    /// The model's properties as this version has them.
    of_version: Option<Box<NodeDecl>>,
    /// `None` where there is nothing to say.
    details: Option<Box<ModelDetails>>,
}

impl ModelProperties<'_> {
    pub(super) fn decl(&self) -> &NodeDecl {
        self.of_version.as_deref().unwrap_or(self.model)
    }

    pub(super) fn details(&self) -> ModelDetails {
        self.details.as_deref().cloned().unwrap_or_default()
    }
}

/// The properties of every model of a package, by the name of its file.
pub(super) fn by_file<'p>(builder: &mut Builder, package: &'p ParsedPackage) -> HashMap<Cow<'p, str>, ModelProperties<'p>> {
    let files: HashSet<&str> = package.models.iter().chain(&package.python_models).map(|file| file.name.as_str()).collect();
    let mut found = HashMap::with_capacity(package.properties.models.len());
    for decl in &package.properties.models {
        let time_spine = decl.time_spine.as_ref().map(time_spine);
        if decl.versions.is_empty() {
            let deprecation_date = decl.deprecation_date.as_ref().and_then(|text| date(text, &mut builder.found));
            let said = deprecation_date.is_some() || time_spine.is_some();
            let details = said.then(|| Box::new(ModelDetails { deprecation_date, time_spine, ..ModelDetails::default() }));
            found.insert(Cow::Borrowed(decl.name.value.as_str()), ModelProperties { model: decl, of_version: None, details });
            continue;
        }
        let latest = latest(builder, &package.name, decl);
        for version in &decl.versions {
            let Some(file) = file_of(builder, decl, version, &latest, &files) else { continue };
            let deprecated = version.deprecation_date.as_ref().and_then(|text| date(text, &mut builder.found));
            let details = ModelDetails {
                version: Some(version.version.value.clone()),
                latest: Some(latest.clone()),
                deprecation_date: deprecated,
                time_spine: time_spine.clone(),
            };
            let of_version = Some(Box::new(of_version(builder, decl, version)));
            found.insert(Cow::Owned(file), ModelProperties { model: decl, of_version, details: Some(Box::new(details)) });
        }
    }
    found
}

/// The version that `ref` without one means: the one the user named, maybe by an expression, else the highest.
fn latest(builder: &mut Builder, package: &str, decl: &NodeDecl) -> Version {
    let versions = || decl.versions.iter().map(|version| &version.version.value);
    let highest = versions().max().cloned();
    let Some(named) = &decl.latest_version else { return highest.unwrap_or_default() };
    let said = builder.described(package, Some(&named.value.to_string()), named.span);
    let said = Version::from_json(&said.trim().into()).unwrap_or_else(|| named.value.clone());
    if let Some(version) = versions().find(|version| **version == said) {
        return version.clone();
    }
    let known: Vec<String> = versions().map(ToString::to_string).collect();
    let message = format!("the latest version of `{}` is to be {said}, which it does not have", decl.name.value);
    builder
        .found
        .push(Diagnostic::error(Code::YamlType, message).at(named.span, "this version").help(format!("the versions are {}", known.join(", "))));
    named.value.clone()
}

/// The file of a version: the one it names, else `<model>_v<version>`; of the latest version also `<model>`.
fn file_of(builder: &mut Builder, decl: &NodeDecl, version: &VersionDecl, latest: &Version, files: &HashSet<&str>) -> Option<String> {
    let name = &decl.name.value;
    let named = version.defined_in.as_ref().map(|file| file.value.trim_end_matches(".sql").to_owned());
    let wanted = named.unwrap_or_else(|| format!("{name}_v{}", version.version.value));
    if files.contains(wanted.as_str()) {
        return Some(wanted);
    }
    if version.version.value == *latest && files.contains(name.as_str()) {
        return Some(name.clone());
    }
    let span = version.defined_in.as_ref().map_or(version.version.span, |file| file.span);
    let message = format!("version {} of the model `{name}` has no file `{wanted}.sql`", version.version.value);
    let diagnostic = Diagnostic::warning(Code::OrphanProperties, message).at(span, "this entry has no effect");
    builder.found.push(diagnostic.help_nearest(nearest(&wanted, files.iter().copied()), "add the file, or name it with `defined_in:`"));
    None
}

/// The model's properties as one version has them.
fn of_version(builder: &mut Builder, decl: &NodeDecl, version: &VersionDecl) -> NodeDecl {
    let mut own = decl.clone();
    own.versions = Vec::new();
    own.description = version.description.clone().or_else(|| decl.description.clone());
    own.config = overlaid(decl.config.as_ref(), version.config.as_ref());
    for name in version.include.iter().flatten().chain(&version.exclude) {
        if !decl.columns.iter().any(|column| column.name.value == name.value) {
            let message = format!("the model `{}` describes no column `{}`", decl.name.value, name.value);
            let near = nearest(&name.value, decl.columns.iter().map(|column| column.name.value.as_str()));
            builder.found.push(
                Diagnostic::warning(Code::UnknownColumn, message)
                    .at(name.span, "this column")
                    .help_nearest(near, "describe it among the model's `columns`"),
            );
        }
    }
    let names = |list: &[Spanned<String>], name: &str| list.iter().any(|other| other.value == name);
    own.columns.retain(|column| {
        let name = &column.name.value;
        version.include.as_ref().is_none_or(|include| names(include, name)) && !names(&version.exclude, name)
    });
    for column in &version.columns {
        match own.columns.iter_mut().find(|other| other.name.value == column.name.value) {
            Some(other) => *other = column.clone(),
            None => own.columns.push(column.clone()),
        }
    }
    if let Some(tests) = &version.tests {
        own.tests.clone_from(tests);
    }
    if let Some(constraints) = &version.constraints {
        own.constraints.clone_from(constraints);
    }
    own
}

/// A config with the keys of another one, which win; maps merge and lists add up, as in dbt.
fn overlaid(config: Option<&Yaml>, over: Option<&Yaml>) -> Option<Yaml> {
    let (Some(config), Some(over)) = (config, over) else { return over.or(config).cloned() };
    let mut entries = config.entries().to_vec();
    for (key, value) in over.entries() {
        let before = entries.iter().position(|(other, _)| other.value == key.value).map(|at| entries.remove(at).1);
        let value = match (&value.value, before.as_ref().map(|before| &before.value)) {
            (YamlValue::Map(_), Some(YamlValue::Map(_))) => overlaid(before.as_ref(), Some(value)).unwrap_or_else(|| value.clone()),
            (YamlValue::Seq(items), Some(YamlValue::Seq(others))) => {
                Yaml { span: value.span, value: YamlValue::Seq(items.iter().chain(others).cloned().collect()) }
            }
            _ => value.clone(),
        };
        entries.push((key.clone(), value));
    }
    Some(Yaml { span: over.span, value: YamlValue::Map(entries) })
}

fn time_spine(yaml: &Yaml) -> serde_json::Value {
    let mut found = yaml.to_json();
    if let Some(map) = found.as_object_mut() {
        map.entry("custom_granularities").or_insert_with(|| serde_json::json!([]));
    }
    found
}

/// A date or a moment; without an offset it is UTC.
fn date(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Option<DateTime<Utc>> {
    let trimmed = text.value.trim();
    let moment = DateTime::parse_from_rfc3339(&trimmed.replacen(' ', "T", 1)).map(|moment| moment.with_timezone(&Utc)).ok();
    let moment = moment.or_else(|| DateTime::parse_from_str(trimmed, "%Y-%m-%d %H:%M:%S%.f%z").map(|moment| moment.with_timezone(&Utc)).ok());
    let naive = || {
        let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
        let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(trimmed, format).ok());
        time.or_else(|| NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)).map(|time| time.and_utc())
    };
    let date = moment.or_else(naive);
    if date.is_none() {
        found.push(Diagnostic::error(Code::YamlType, format!("`{trimmed}` is no date")).at(text.span, "expected a date").help("e.g. 2026-03-31"));
    }
    date
}
