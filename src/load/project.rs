//! The project file: `project.yml`, or `dbt_project.yml` where that is absent. Config trees, vars and hooks are kept as
//! written for `resolve`; other strings are rendered here.

use std::path::{Path, PathBuf};

use super::behaviour::Behaviour;
use super::decl::Quoting;
use super::layers::{LayersDecl, NamingDecl};
use super::reader::{MapReader, wrong_type};
use super::severity::{SeverityRule, read_severity};
use super::text::TextRenderer;
use super::yaml::{Yaml, parse_noting};
use crate::base::{Code, Diagnostic, Diagnostics, FileId, Severity, Sources, Span, Spanned, files};
use crate::manifest::Audit;

/// The names a project file may have; the first that is there is read.
pub(super) const FILE_NAMES: [&str; 2] = ["project.yml", "dbt_project.yml"];

/// Which of the two project files a project has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectDialect {
    Alluvium,
    Dbt,
}

/// Folders, relative to the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectPaths {
    pub models: Vec<String>,
    pub seeds: Vec<String>,
    pub snapshots: Vec<String>,
    pub tests: Vec<String>,
    pub analyses: Vec<String>,
    pub functions: Vec<String>,
    pub macros: Vec<String>,
    pub docs: Vec<String>,
    pub assets: Vec<String>,
}

/// The config trees, unread.
#[derive(Debug, Clone, Default)]
pub struct ConfigTrees {
    pub models: Option<Yaml>,
    pub seeds: Option<Yaml>,
    pub snapshots: Option<Yaml>,
    pub sources: Option<Yaml>,
    pub data_tests: Option<Yaml>,
    pub unit_tests: Option<Yaml>,
    pub exposures: Option<Yaml>,
    pub metrics: Option<Yaml>,
    pub semantic_models: Option<Yaml>,
    pub saved_queries: Option<Yaml>,
    pub functions: Option<Yaml>,
}

/// An entry of `dispatch`.
#[derive(Debug, Clone)]
pub struct DispatchDecl {
    pub namespace: Spanned<String>,
    pub search_order: Vec<Spanned<String>>,
}

/// A project file.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    pub file: FileId,
    pub dialect: ProjectDialect,
    pub name: Spanned<String>,
    pub version: Option<String>,
    pub profile: Option<Spanned<String>>,
    pub paths: ProjectPaths,
    pub target_path: String,
    /// When tests run that do not say so themselves; `None` leaves it to the dialect.
    pub audit: Option<Audit>,
    /// What `clean` removes, each with its place; the target folder where the file names none.
    pub clean_targets: Vec<Spanned<String>>,
    pub packages_install_path: String,
    pub require_dbt_version: Option<Yaml>,
    pub restrict_access: bool,
    pub dispatch: Vec<DispatchDecl>,
    pub flags: Option<Yaml>,
    pub(super) behaviour: Vec<Behaviour>,
    /// Templates.
    pub on_run_start: Vec<Spanned<String>>,
    pub on_run_end: Vec<Spanned<String>>,
    pub query_comment: Option<Yaml>,
    pub quoting: Quoting,
    /// A map; where a key is a package's name and its value a map, that holds vars of the package.
    pub vars: Option<Yaml>,
    pub trees: ConfigTrees,
    pub layers: Option<LayersDecl>,
    pub naming: NamingDecl,
    /// What `check` makes of codes, in the order of the file.
    pub severity: Vec<SeverityRule>,
    /// The `targets` section, which `target` reads.
    pub(super) targets: Option<Yaml>,
}

/// Keys whose strings are templates of a later stage, or of which only a part is used.
const KEPT: [&str; 22] = [
    "vars",
    "targets",
    "on-run-start",
    "on-run-end",
    "query-comment",
    "models",
    "seeds",
    "snapshots",
    "sources",
    "tests",
    "data_tests",
    "unit_tests",
    "exposures",
    "analyses",
    "functions",
    "metrics",
    "semantic-models",
    "saved-queries",
    "semantic_models",
    "saved_queries",
    "require-dbt-version",
    "flags",
];

/// The project file of a folder, if it has one.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    FILE_NAMES.iter().map(|name| folder.join(name)).find(|path| files::is_file(path))
}

pub(super) fn not_found(folder: &Path) -> Diagnostic {
    Diagnostic::error(Code::ProjectNotFound, format!("no project in `{}`", folder.display()))
        .note(format!("looked for `{}` and `{}` there", FILE_NAMES[0], FILE_NAMES[1]))
        .help("go to the project's folder, name it with `--project-dir`, or make one with `alluvium init NAME`")
}

/// A file that can't be read, registered under `shown` as far as it is text.
pub(super) fn unreadable(error: &files::FileError, shown: &str, sources: &Sources) -> Diagnostic {
    let bytes = if error.source.kind() == std::io::ErrorKind::InvalidData { files::read_bytes(&error.path).ok() } else { None };
    let Some(Err(wrong)) = bytes.as_deref().map(std::str::from_utf8) else {
        return Diagnostic::error(Code::InputFile, error.to_string()).help("check that the file is there and may be read");
    };
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let begin = wrong.valid_up_to();
    let end = begin + char::REPLACEMENT_CHARACTER.len_utf8();
    Diagnostic::error(Code::InputFile, format!("`{shown}` is not UTF-8"))
        .at(Span::new(sources.add(shown, text), begin, end), "the first byte that is not")
        .help("save the file as UTF-8")
}

/// Reads and parses a YAML file, registered under `shown`.
pub(super) fn read_yaml(path: &Path, shown: &str, sources: &Sources, out: &mut Diagnostics) -> Option<(FileId, Yaml)> {
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(error) => {
            out.push(unreadable(&error, shown, sources));
            return None;
        }
    };
    let file = sources.add(shown, text);
    parse_yaml(file, sources, out).map(|yaml| (file, yaml))
}

/// Parses a YAML file that is registered.
pub(super) fn parse_yaml(file: FileId, sources: &Sources, out: &mut Diagnostics) -> Option<Yaml> {
    parse_noting(sources, file, out).map_err(|diagnostic| out.push(diagnostic)).ok()
}

impl ProjectFile {
    /// Reads the project file of a folder; `prefix` stands before its name in messages.
    pub(super) fn read(path: &Path, prefix: &str, renderer: &TextRenderer, sources: &Sources, out: &mut Diagnostics) -> Option<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let dialect = if name == FILE_NAMES[0] { ProjectDialect::Alluvium } else { ProjectDialect::Dbt };
        let (file, yaml) = read_yaml(path, &format!("{prefix}{name}"), sources, out)?;
        if !yaml.is_map() {
            out.push(wrong_type(&Yaml { span: Span::file_start(file), ..yaml }, &format!("`{name}`"), "a mapping"));
            return None;
        }
        Self::of_yaml(&rendered(&yaml, renderer, out), file, dialect, out)
    }

    fn of_yaml(yaml: &Yaml, file: FileId, dialect: ProjectDialect, out: &mut Diagnostics) -> Option<Self> {
        let mut reader = MapReader::new(yaml, "the project file", out);
        let name = reader.required("name");
        if let Some(name) = &name {
            check_name(name, reader.out);
        }
        let name = name?;
        let paths = read_paths(&mut reader);
        let flags = reader.map("flags").cloned();
        let ours = flags.as_ref().and_then(|flags| flags.get("alluvium")).cloned();
        let behaviour = Behaviour::read(flags.as_ref(), reader.out);
        let mut project = Self {
            file,
            dialect,
            name,
            version: reader.string("version").map(|version| version.value),
            profile: reader.string("profile"),
            target_path: text_or(&mut reader, "target-path", "target"),
            clean_targets: reader.strings("clean-targets").unwrap_or_default(),
            packages_install_path: text_or(&mut reader, "packages-install-path", "dbt_packages"),
            require_dbt_version: reader.take("require-dbt-version").cloned(),
            restrict_access: reader.bool("restrict-access").unwrap_or(false),
            dispatch: dispatch(&mut reader),
            on_run_start: reader.strings("on-run-start").unwrap_or_default(),
            on_run_end: reader.strings("on-run-end").unwrap_or_default(),
            query_comment: reader.take("query-comment").cloned(),
            quoting: quoting(&mut reader),
            vars: reader.map("vars").cloned(),
            trees: trees(&mut reader),
            audit: None,
            layers: None,
            naming: NamingDecl::default(),
            severity: Vec::new(),
            targets: None,
            paths,
            flags,
            behaviour,
        };
        for key in ["config-version", "dbt-cloud", "anchors", "analyses", "log-path"] {
            reader.take(key);
        }
        match dialect {
            ProjectDialect::Alluvium => project.own_sections(&mut reader),
            ProjectDialect::Dbt => {
                if let Some(ours) = &ours {
                    let mut nested = MapReader::new(ours, "`flags.alluvium`", reader.out);
                    project.own_sections(&mut nested);
                    nested.finish();
                }
            }
        }
        if project.clean_targets.is_empty() {
            project.clean_targets = vec![Spanned::new(project.target_path.clone(), Span::file_start(file))];
        }
        let before = reader.out.len();
        reader.finish();
        if dialect == ProjectDialect::Dbt {
            out.iter_mut().skip(before).for_each(|unknown| unknown.severity = Severity::Warning);
        }
        Some(project)
    }

    /// Whether a flag of dbt's holds. Only those of the root project count.
    #[must_use]
    pub fn behaves(&self, behaviour: Behaviour) -> bool {
        self.behaviour.contains(&behaviour)
    }

    fn own_sections(&mut self, reader: &mut MapReader<'_, '_>) {
        let (layers, naming) = (reader.take("layers"), reader.take("naming"));
        self.audit = reader.string("audit").and_then(|word| read_audit(&word, reader.out));
        self.targets = reader.map("targets").cloned();
        self.layers = layers.filter(|yaml| !yaml.is_null()).map(|yaml| LayersDecl::read(yaml, reader.out));
        let names: Vec<&str> = self.layers.iter().flat_map(|decl| decl.layers.iter().map(|layer| layer.name.value.as_str())).collect();
        if let Some(yaml) = reader.map("severity") {
            self.severity = read_severity(yaml, reader.out);
        }
        if let Some(yaml) = naming {
            self.naming = NamingDecl::read(yaml, &names, reader.out);
        }
    }
}

fn read_audit(word: &Spanned<String>, out: &mut Diagnostics) -> Option<Audit> {
    match word.value.as_str() {
        "before_commit" => Some(Audit::BeforeCommit),
        "after" => Some(Audit::After),
        other => {
            let message = format!("`audit`: expected `before_commit` or `after`, found `{other}`");
            out.push(
                Diagnostic::error(Code::YamlType, message)
                    .at(word.span, "set here")
                    .help("tests run between writing and publishing (`before_commit`), or behind it (`after`)"),
            );
            None
        }
    }
}

/// The project file with its strings rendered, but for those that belong to later stages.
fn rendered(yaml: &Yaml, renderer: &TextRenderer, out: &mut Diagnostics) -> Yaml {
    let entries = yaml.entries().iter().map(|(key, value)| {
        let value = if KEPT.contains(&key.value.as_str()) { value.clone() } else { renderer.yaml(value, out) };
        (key.clone(), value)
    });
    Yaml { span: yaml.span, value: super::yaml::YamlValue::Map(entries.collect()) }
}

fn check_name(name: &Spanned<String>, out: &mut Diagnostics) {
    let starts_well = name.value.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
    if !starts_well || !name.value.chars().all(|c| c.is_alphanumeric() || c == '_') {
        out.push(
            Diagnostic::error(Code::YamlType, format!("`{}` is no name for a project", name.value))
                .at(name.span, "expected letters, digits and `_`")
                .help(format!("e.g. `{}`", name.value.replace(|c: char| !c.is_alphanumeric(), "_"))),
        );
    }
}

fn values(list: Vec<Spanned<String>>) -> Vec<String> {
    list.into_iter().map(|text| text.value).collect()
}

fn text_or(reader: &mut MapReader<'_, '_>, key: &'static str, otherwise: &str) -> String {
    reader.string(key).map_or_else(|| otherwise.to_owned(), |text| text.value)
}

fn read_paths(reader: &mut MapReader<'_, '_>) -> ProjectPaths {
    // The second name is the one that dbt had before 1.0.
    let mut paths = |key: &'static str, old: Option<&'static str>, otherwise: &[&str]| {
        let found = reader.strings(key).or_else(|| old.and_then(|old| reader.strings(old)));
        let found = found.map_or_else(|| otherwise.iter().map(|&path| path.to_owned()).collect(), values);
        found.into_iter().map(|path: String| clean(&path)).collect::<Vec<_>>()
    };
    let models = paths("model-paths", Some("source-paths"), &["models"]);
    let seeds = paths("seed-paths", Some("data-paths"), &["seeds"]);
    let snapshots = paths("snapshot-paths", None, &["snapshots"]);
    let tests = paths("test-paths", None, &["tests"]);
    let analyses = paths("analysis-paths", None, &["analyses"]);
    let macros = paths("macro-paths", None, &["macros"]);
    let functions = paths("function-paths", None, &["functions"]);
    let all: Vec<&str> = [&models, &seeds, &snapshots, &analyses, &macros, &functions].into_iter().flatten().map(String::as_str).collect();
    let docs = paths("docs-paths", None, &all);
    let assets = paths("asset-paths", None, &[]);
    ProjectPaths { models, seeds, snapshots, tests, analyses, functions, macros, docs, assets }
}

/// A folder as the rest of the room compares it: with `/`, without `./` before and `/` behind.
fn clean(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.trim_end_matches('/');
    path.strip_prefix("./").unwrap_or(path).to_owned()
}

fn dispatch(reader: &mut MapReader<'_, '_>) -> Vec<DispatchDecl> {
    let mut found = Vec::new();
    for item in reader.items("dispatch") {
        let mut entry = MapReader::new(item, "an entry of `dispatch`", reader.out);
        let namespace = entry.required("macro_namespace");
        let search_order = entry.strings("search_order").unwrap_or_default();
        entry.finish();
        found.extend(namespace.map(|namespace| DispatchDecl { namespace, search_order }));
    }
    found
}

/// The `quoting` section of a project, a source or a table.
pub(super) fn quoting(reader: &mut MapReader<'_, '_>) -> Quoting {
    let Some(yaml) = reader.map("quoting") else { return Quoting::default() };
    let mut nested = MapReader::new(yaml, format!("`quoting` of {}", reader.what()), reader.out);
    let found = Quoting { database: nested.switch("database"), schema: nested.switch("schema"), identifier: nested.switch("identifier") };
    nested.take("snowflake_ignore_case");
    nested.take("column");
    nested.finish();
    found
}

fn trees(reader: &mut MapReader<'_, '_>) -> ConfigTrees {
    let mut tree = |key: &'static str| reader.map(key).cloned();
    ConfigTrees {
        models: tree("models"),
        seeds: tree("seeds"),
        snapshots: tree("snapshots"),
        sources: tree("sources"),
        data_tests: match (tree("data_tests"), tree("tests")) {
            (Some(new), _) => Some(new),
            (None, old) => old,
        },
        unit_tests: tree("unit_tests"),
        exposures: tree("exposures"),
        metrics: tree("metrics"),
        semantic_models: tree("semantic-models").or_else(|| tree("semantic_models")),
        saved_queries: tree("saved-queries").or_else(|| tree("saved_queries")),
        functions: tree("functions"),
    }
}
