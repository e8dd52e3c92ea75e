//! Where to build: the target of the project file, of a profile, or the folder `warehouse/` beside the project.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use url::Url;

use super::LoadOptions;
use super::connection;
use super::profiles::{self, Asking, Output};
use super::project::{self, ProjectDialect, ProjectFile};
use super::reader::{MapReader, wrong_type};
use super::text::TextRenderer;
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Sources, Span, Spanned, nearest};
use crate::sql::Semantics;

/// What three-part names call the target's own warehouse.
const DATABASE: &str = "alluvium";
/// The type of targets of our own.
const OWN_ADAPTER: &str = "alluvium";
/// What a project for dbt is taken to be for where no profile says it.
const NEAREST_ADAPTER: &str = "duckdb";
const DEFAULT_SCHEMA: &str = "main";
const DEFAULT_FOLDER: &str = "warehouse";
const DEFAULT_THREADS: usize = 4;

/// Schemes of URIs that a warehouse may have. Whether one is built in is for the engine to say.
const SCHEMES: [&str; 13] = ["file", "memory", "s3", "s3a", "az", "azure", "abfs", "abfss", "adl", "wasb", "wasbs", "gs", "gcs"];

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for whom it is meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Which file a target was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetOrigin {
    ProjectFile,
    Profiles(PathBuf),
    /// No file names one.
    Default,
}

/// Where to build.
#[derive(Debug, Clone)]
pub struct Target {
    pub name: String,
    pub profile: Option<String>,
    /// What templates see as `target.type`, and whose macros are taken: the `type` in the profile, or `adapter` of a target
    /// of our own; `alluvium` where neither says otherwise.
    pub adapter: String,
    /// A URI without `/` at its end.
    pub warehouse: String,
    pub schema: String,
    /// `alluvium`
    pub database: String,
    /// Further roots: names of databases and URIs.
    pub databases: BTreeMap<String, String>,
    pub threads: usize,
    /// Bytes.
    pub memory_limit: Option<u64>,
    /// Options of the object store, some of which are credentials.
    pub storage_options: BTreeMap<String, Secret>,
    /// What templates see of how a profile for another adapter connects.
    pub connection: Map<String, Json>,
    pub origin: TargetOrigin,
    /// The entry in the file that names it.
    pub span: Option<Span>,
}

impl Target {
    /// What the SQL of the project means.
    #[must_use]
    pub fn semantics(&self) -> Semantics {
        Semantics::of_adapter(&self.adapter)
    }
}

/// The target alone, for commands that need no project that parses: of the project file only what names a target is
/// used, and no other file of the project is read.
///
/// # Errors
/// If there is neither a project nor a warehouse, or what names the target is wrong.
pub fn load_target(options: &LoadOptions, sources: &Arc<Sources>) -> Result<Target, Vec<Diagnostic>> {
    let mut out = Diagnostics::new();
    let renderer = TextRenderer::new(options.vars.clone());
    let mut sections = Sections::default();
    match project::find(&options.project_dir) {
        Some(path) => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some((_, yaml)) = project::read_yaml(&path, &name, sources, &mut out) {
                sections = Sections::of_yaml(&yaml, &name, &renderer, &mut out);
            }
        }
        None if options.warehouse.is_none() && options.profile.is_none() => out.push(project::not_found(&options.project_dir)),
        None => {}
    }
    let target = if out.iter().any(Diagnostic::is_error) { None } else { choose(options, &sections, sources, &mut out) };
    target.filter(|_| !out.iter().any(Diagnostic::is_error)).ok_or(out)
}

/// What a project file says about targets.
#[derive(Debug, Default)]
pub(super) struct Sections {
    profile: Option<Spanned<String>>,
    targets: Option<Yaml>,
    /// Of the project file, for `var()` in profiles.
    vars: Map<String, Json>,
    /// Whether the project was written for dbt, and so for an adapter of dbt's.
    of_dbt: bool,
}

impl Sections {
    fn of_yaml(yaml: &Yaml, name: &str, renderer: &TextRenderer, out: &mut Diagnostics) -> Self {
        let ours = if name == project::FILE_NAMES[0] { Some(yaml) } else { yaml.get("flags").and_then(|flags| flags.get("alluvium")) };
        let profile = yaml.get("profile").map(|profile| renderer.yaml(profile, out));
        Self {
            profile: profile.and_then(|profile| Some(Spanned::new(profile.as_str()?.to_owned(), profile.span))),
            targets: ours.and_then(|ours| ours.get("targets")).cloned(),
            vars: yaml.get("vars").map(Yaml::to_json_map).unwrap_or_default(),
            of_dbt: name != project::FILE_NAMES[0],
        }
    }

    pub(super) fn of_project(project: &ProjectFile) -> Self {
        Self {
            profile: project.profile.clone(),
            targets: project.targets.clone(),
            vars: project.vars.as_ref().map(Yaml::to_json_map).unwrap_or_default(),
            of_dbt: project.dialect == ProjectDialect::Dbt,
        }
    }
}

/// The target that the options and the project's files name.
pub(super) fn choose(options: &LoadOptions, sections: &Sections, sources: &Sources, out: &mut Diagnostics) -> Option<Target> {
    let mut vars = sections.vars.clone();
    vars.extend(options.vars.clone());
    let renderer = TextRenderer::new(vars);
    if let (Some(targets), None) = (&sections.targets, &options.profile) {
        return of_targets(targets, options, &renderer, out);
    }
    let asked = options.profile.clone().map(|name| (name, None)).or_else(|| sections.profile.clone().map(|name| (name.value, Some(name.span))));
    // A profile that is elsewhere named an adapter. Which one is not known; of all, DuckDB is nearest to the dialect.
    let unprofiled = |target: Target| Target { adapter: if sections.of_dbt { NEAREST_ADAPTER } else { OWN_ADAPTER }.to_owned(), ..target };
    let Some((profile, span)) = asked else { return Some(unprofiled(of_nothing(options, None, out))) };
    // Whoever names the folder means what is in it; another warehouse than that would be a surprise.
    let named = options.profile.is_some() || options.profiles_dir.is_some() && options.warehouse.is_none() && options.needs_warehouse;
    match super::profiles_file(options) {
        Some(path) => of_profile(&path, (&profile, span), &Asking { options, renderer: &renderer, sources }, out),
        None if !named => Some(unprofiled(of_nothing(options, Some(profile), out))),
        None => {
            let diagnostic = Diagnostic::error(Code::ProfileInvalid, format!("no `profiles.yml` that could hold the profile `{profile}`"));
            out.push(diagnostic.note(profiles::looked(options)).help("add one, or leave `--profile` and `--profiles-dir` out"));
            None
        }
    }
}

fn of_targets(targets: &Yaml, options: &LoadOptions, renderer: &TextRenderer, out: &mut Diagnostics) -> Option<Target> {
    let entries: Vec<_> = targets.entries().iter().filter(|(key, value)| key.value != "default" || value.is_map()).collect();
    let default = targets.get("default").filter(|value| !value.is_map()).map(|value| renderer.yaml(value, out));
    let default = default.and_then(|value| Some(Spanned::new(value.as_str()?.to_owned(), value.span)));
    let sole = if let [(key, _)] = entries.as_slice() { Some(key.value.clone()) } else { None };
    let asked = options.target.clone().map(|name| (name, None)).or_else(|| default.map(|name| (name.value, Some(name.span))));
    let (name, span) = asked.unwrap_or_else(|| (sole.unwrap_or_else(|| "default".to_owned()), Some(targets.span)));
    let Some((key, value)) = entries.iter().find(|(key, _)| key.value == name) else {
        let names: Vec<&str> = entries.iter().map(|(key, _)| key.value.as_str()).collect();
        out.push(unknown_target(&name, span, &names, "the project file"));
        return None;
    };
    let output = Output { name, profile: None, span: key.span, yaml: renderer.yaml(value, out) };
    Some(of_output(&output, TargetOrigin::ProjectFile, options, out))
}

pub(super) fn unknown_target(name: &str, span: Option<Span>, known: &[&str], place: &str) -> Diagnostic {
    let list = if known.is_empty() { "it has none".to_owned() } else { format!("expected one of {}", known.join(", ")) };
    Diagnostic::error(Code::ProfileInvalid, format!("no target `{name}` in {place}"))
        .at_opt(span, "asked for here")
        .help_nearest(nearest(name, known.iter().copied()), list)
}

fn of_profile(path: &Path, (profile, span): (&str, Option<Span>), asking: &Asking<'_>, out: &mut Diagnostics) -> Option<Target> {
    let options = asking.options;
    let output = profiles::output(path, (profile, span), asking, out)?;
    let adapter = output.yaml.get("type").and_then(Yaml::as_str).unwrap_or_default().to_owned();
    let origin = TargetOrigin::Profiles(path.to_owned());
    if adapter == OWN_ADAPTER {
        return Some(of_output(&output, origin, options, out));
    }
    if options.warehouse.is_none() && options.needs_warehouse {
        let place = output.yaml.get("type").map_or(output.span, |kind| kind.span);
        let found = if adapter.is_empty() { "no `type`".to_owned() } else { format!("the adapter `{adapter}`") };
        out.push(
            Diagnostic::error(
                Code::ForeignAdapter,
                format!("the target `{}` of the profile `{profile}` has {found}, expected `alluvium`", output.name),
            )
            .at(place, "only `type: alluvium` can be built")
            .help("add `--warehouse warehouse` to build into a local folder; schema, threads and vars still count"),
        );
        return None;
    }
    let text = |key: &str| output.yaml.get(key).and_then(Yaml::scalar_text).filter(|text| !text.is_empty());
    let mut target = of_nothing(options, Some(profile.to_owned()), out);
    // BigQuery calls a schema a dataset.
    target.schema = text("schema").or_else(|| text("dataset")).unwrap_or(target.schema);
    target.threads = options.threads.or_else(|| text("threads")?.parse().ok().filter(|threads| *threads > 0)).unwrap_or(target.threads);
    let connection = connection::shown(&adapter, &output.yaml, &target.database, &target.schema);
    Some(Target { name: output.name, adapter, connection, origin, span: Some(output.span), ..target })
}

/// The target of a project that names none.
fn of_nothing(options: &LoadOptions, profile: Option<String>, out: &mut Diagnostics) -> Target {
    if let (Some(name), None) = (&options.target, &options.warehouse) {
        out.push(
            Diagnostic::error(Code::ProfileInvalid, format!("no target `{name}`: the project names no targets"))
                .help("add it under `targets:` in `project.yml`, or leave `--target` out"),
        );
    }
    Target {
        name: options.target.clone().unwrap_or_else(|| "default".to_owned()),
        profile,
        adapter: OWN_ADAPTER.to_owned(),
        warehouse: warehouse(None, options, out),
        schema: DEFAULT_SCHEMA.to_owned(),
        database: DATABASE.to_owned(),
        databases: BTreeMap::new(),
        threads: options.threads.unwrap_or(DEFAULT_THREADS),
        memory_limit: None,
        storage_options: BTreeMap::new(),
        connection: Map::new(),
        origin: TargetOrigin::Default,
        span: None,
    }
}

/// A target as our own keys describe it.
fn of_output(output: &Output, origin: TargetOrigin, options: &LoadOptions, out: &mut Diagnostics) -> Target {
    let before = out.len();
    let mut reader = MapReader::new(&output.yaml, format!("target `{}`", output.name), out);
    reader.take("type");
    let adapter = reader.string("adapter").map_or_else(|| OWN_ADAPTER.to_owned(), |adapter| adapter.value.to_lowercase());
    let place = reader.string("warehouse");
    let schema = reader.string("schema").map_or_else(|| DEFAULT_SCHEMA.to_owned(), |schema| schema.value);
    let threads = reader.take("threads").filter(|yaml| !yaml.is_null());
    let threads = threads.and_then(|yaml| read_threads(yaml, reader.out));
    let memory = reader.string("memory_limit");
    let memory_limit = memory.and_then(|text| read_memory(&text, reader.out));
    let databases = reader.map("databases");
    let databases = databases.map(|yaml| read_databases(yaml, options, reader.out)).unwrap_or_default();
    let storage = reader.map("storage_options").map(Yaml::entries).unwrap_or_default();
    let storage_options = storage.iter().filter_map(|(key, value)| Some((key.value.clone(), Secret(value.scalar_text()?)))).collect();
    if let Some(database) = reader.string("database").filter(|database| database.value != DATABASE) {
        reader.out.push(
            Diagnostic::error(Code::ProfileInvalid, format!("the database of a target is called `{DATABASE}`, found `{}`", database.value))
                .at(database.span, "another name")
                .help("name further databases under `databases:`"),
        );
    }
    reader.finish();
    for diagnostic in out.iter_mut().skip(before).filter(|diagnostic| diagnostic.code == Code::YamlType) {
        diagnostic.code = Code::ProfileInvalid;
    }
    let warehouse = warehouse(place.as_ref(), options, out);
    Target {
        name: output.name.clone(),
        profile: output.profile.clone(),
        adapter,
        warehouse,
        schema,
        database: DATABASE.to_owned(),
        databases,
        threads: options.threads.or(threads).unwrap_or(DEFAULT_THREADS),
        memory_limit,
        storage_options,
        connection: Map::new(),
        origin,
        span: Some(output.span),
    }
}

fn read_threads(yaml: &Yaml, out: &mut Diagnostics) -> Option<usize> {
    let found = yaml.scalar_text().and_then(|text| text.parse().ok()).filter(|threads: &usize| *threads > 0);
    if found.is_none() {
        let found = yaml.scalar_text().map_or_else(|| yaml.kind().to_owned(), |text| format!("`{text}`"));
        out.push(
            Diagnostic::error(Code::YamlType, format!("`threads`: expected a whole number from 1, found {found}"))
                .at(yaml.span, "set here")
                .help("say how many nodes may run side by side, e.g. `threads: 4`"),
        );
    }
    found
}

fn read_databases(yaml: &Yaml, options: &LoadOptions, out: &mut Diagnostics) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in yaml.entries() {
        match &value.value {
            YamlValue::String(text) => {
                let uri = to_uri(text, &options.project_dir, Some(value.span), out);
                found.extend(uri.map(|uri| (key.value.clone(), uri)));
            }
            YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::Seq(_) | YamlValue::Map(_) => {
                out.push(wrong_type(value, &format!("database `{}`", key.value), "a folder or a URI"));
            }
        }
    }
    found
}

/// Bytes of a text as `512MiB` or `2GB`.
fn read_memory(text: &Spanned<String>, out: &mut Diagnostics) -> Option<u64> {
    let found = bytes(&text.value);
    if found.is_none() {
        out.push(
            Diagnostic::error(Code::ProfileInvalid, format!("`{}` is no amount of memory", text.value))
                .at(text.span, "this amount")
                .help("e.g. `512MiB` or `2GB`"),
        );
    }
    found
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let tenths = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let rest = tenths.checked_mul(u128::from(factor))? / scale;
    let bytes = whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(u64::try_from(rest).ok()?)?;
    (bytes > 0).then_some(bytes)
}

/// The warehouse's URI: of the command line, else of the target, else the folder beside the project.
fn warehouse(place: Option<&Spanned<String>>, options: &LoadOptions, out: &mut Diagnostics) -> String {
    let found = match (&options.warehouse, place) {
        (Some(given), _) => to_uri(given, &options.working_dir, None, out),
        (None, Some(place)) => to_uri(&place.value, &options.project_dir, Some(place.span), out),
        (None, None) => to_uri(DEFAULT_FOLDER, &options.project_dir, None, out),
    };
    found.unwrap_or_default()
}

/// The URI of a folder or URI, without `/` at its end; relative folders start at `base`.
fn to_uri(text: &str, base: &Path, span: Option<Span>, out: &mut Diagnostics) -> Option<String> {
    let wrong = |message: String| {
        Diagnostic::error(Code::StorageUri, message).at_opt(span, "this warehouse").help("give a folder, or a URI as `s3://bucket/folder`")
    };
    let found = match text.split_once("://") {
        Some((scheme, _)) => {
            let scheme = scheme.to_ascii_lowercase();
            if !SCHEMES.contains(&scheme.as_str()) {
                out.push(wrong(format!("`{text}` has the scheme `{scheme}`, expected a folder or one of {}", SCHEMES.join(", "))));
                return None;
            }
            let url = Url::parse(text).ok();
            // A `%` that begins no escape is one all the same.
            if scheme == "file" { url.and_then(|url| Url::from_file_path(url.to_file_path().ok()?).ok()) } else { url }
        }
        None => Url::from_file_path(flat(&base.join(in_home(text)))).ok(),
    };
    let found = found.map(String::from);
    if found.is_none() {
        out.push(wrong(format!("`{text}` is neither a folder nor a URI")));
    }
    found.map(|uri| if uri.ends_with("://") || uri.ends_with(":///") { uri } else { uri.trim_end_matches('/').to_owned() })
}

/// A path with the user's folder for a leading `~`, as shells read it: in YAML no shell does.
fn in_home(text: &str) -> PathBuf {
    let rest = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', std::path::MAIN_SEPARATOR]));
    match (rest, std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches(['/', std::path::MAIN_SEPARATOR])),
        _ => PathBuf::from(text),
    }
}

/// The absolute path without `.` and `..`, whether or not it is there.
fn flat(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => result.push(part),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MemoUse;
    use crate::base::files::write_text;

    fn options(dir: &Path) -> LoadOptions {
        LoadOptions {
            project_dir: dir.to_owned(),
            working_dir: dir.to_owned(),
            profiles_dir: Some(dir.to_owned()),
            profile: None,
            target: None,
            warehouse: None,
            needs_warehouse: true,
            vars: Map::new(),
            threads: None,
            target_path: None,
            memos: MemoUse { reads: false, writes: false },
        }
    }

    fn load(project: (&str, &str), profiles: Option<&str>, change: impl FnOnce(&mut LoadOptions)) -> Result<(Target, PathBuf), Vec<Diagnostic>> {
        let dir = tempfile::tempdir().unwrap();
        write_text(&dir.path().join(project.0), project.1).unwrap();
        if let Some(text) = profiles {
            write_text(&dir.path().join("profiles.yml"), text).unwrap();
        }
        let mut options = options(dir.path());
        change(&mut options);
        load_target(&options, &Sources::new()).map(|target| (target, dir.path().to_owned()))
    }

    const PROFILES: &str = "shop:\n  target: dev\n  outputs:\n    dev:\n      type: postgres\n      schema: analytics\n      threads: 7\n      password: \"{{ env_var('NOT_SET_ANYWHERE', 'x') }}\"\n    ours:\n      type: alluvium\n      warehouse: s3://lake/shop/\n      threads: \"{{ var('n') }}\"\n      storage_options: {aws_secret_access_key: hush}\n    other:\n      type: alluvium\n      schema: \"{{ env_var('NOT_SET_ANYWHERE') }}\"\n";
    const DBT: (&str, &str) = ("dbt_project.yml", "name: shop\nprofile: shop\nvars: {n: 3}\nmodels: [broken]\n");

    #[test]
    fn targets_of_the_project_file() {
        let text = "name: shop\ntargets:\n  default: local\n  local: {warehouse: ../lake, schema: s, threads: 2, memory_limit: 1.5GiB, databases: {raw: 'memory:///'}}\n  prod: {}\n";
        let (target, dir) = load(("project.yml", text), None, |_| {}).unwrap();
        assert_eq!((target.name.as_str(), target.schema.as_str(), target.threads), ("local", "s", 2));
        assert_eq!(target.warehouse, format!("file://{}/lake", dir.parent().unwrap().display()));
        assert_eq!(target.memory_limit, Some(1_610_612_736));
        assert_eq!(target.databases["raw"], "memory:///");
        let found = load(("project.yml", text), None, |options| options.target = Some("prdo".into())).unwrap_err();
        assert_eq!((found[0].code, found[0].help.as_deref()), (Code::ProfileInvalid, Some("did you mean `prod`?")));
    }

    #[test]
    fn a_project_without_targets_has_a_folder() {
        let (target, dir) = load(("project.yml", "name: shop\n"), None, |_| {}).unwrap();
        assert_eq!((target.warehouse, target.schema.as_str()), (format!("file://{}/warehouse", dir.display()), "main"));
    }

    #[test]
    fn foreign_adapters_need_a_warehouse() {
        let found = load(DBT, Some(PROFILES), |_| {}).unwrap_err();
        assert_eq!((found.len(), found[0].code), (1, Code::ForeignAdapter));
        assert!(found[0].help.as_ref().unwrap().contains("--warehouse"));
        let (target, dir) = load(DBT, Some(PROFILES), |options| options.warehouse = Some("wh".into())).unwrap();
        assert_eq!((target.schema.as_str(), target.threads, target.adapter.as_str()), ("analytics", 7, "postgres"));
        assert_eq!(target.warehouse, format!("file://{}/wh", dir.display()));
    }

    #[test]
    fn only_the_chosen_output_is_rendered_and_secrets_stay_secret() {
        let (target, _) = load(DBT, Some(PROFILES), |options| options.target = Some("ours".into())).unwrap();
        assert_eq!((target.warehouse.as_str(), target.threads), ("s3://lake/shop", 3));
        assert_eq!(target.storage_options["aws_secret_access_key"].expose(), "hush");
        assert!(!format!("{target:?}").contains("hush"));
        let found = load(DBT, Some(PROFILES), |options| options.target = Some("other".into())).unwrap_err();
        assert_eq!(found[0].code, Code::UndefinedEnvVar);
    }

    #[test]
    fn folders_may_have_any_name_and_uris_may_have_escapes() {
        let found = |warehouse: &str| {
            let (target, dir) = load(("project.yml", "name: a\n"), None, |options| options.warehouse = Some(warehouse.into())).unwrap();
            target.warehouse.replace(&dir.display().to_string(), "<dir>")
        };
        assert_eq!(found("my lake"), "file://<dir>/my%20lake");
        assert_eq!(found("100%"), "file://<dir>/100%25");
        assert_eq!(found("file:///a%20b/c d/50%/é"), "file:///a%20b/c%20d/50%25/%C3%A9");
        let home = std::env::home_dir().unwrap();
        assert_eq!(found("~/lake"), format!("file://{}/lake", home.display()));
        assert_eq!(found("~lake"), "file://<dir>/~lake");
    }

    #[test]
    fn wrong_places_and_amounts_are_reported() {
        let found = load(("project.yml", "name: a\n"), None, |options| options.warehouse = Some("ftp://x/y".into())).unwrap_err();
        assert_eq!(found[0].code, Code::StorageUri);
        let text = "name: a\ntargets: {local: {memory_limit: much, threads: 0, wharehouse: x}}\n";
        let found = load(("project.yml", text), None, |_| {}).unwrap_err();
        assert_eq!(found.iter().map(|d| d.code.name()).collect::<Vec<_>>(), ["profile-invalid", "profile-invalid", "unknown-key"]);
        let found = load(("readme.txt", ""), None, |_| {}).unwrap_err();
        assert_eq!(found[0].code, Code::ProjectNotFound);
        assert_eq!(
            [bytes("512MiB"), bytes("2GB"), bytes("10"), bytes("1x"), bytes("0")],
            [Some(536_870_912), Some(2_000_000_000), Some(10), None, None]
        );
    }
}
