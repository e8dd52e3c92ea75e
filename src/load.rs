//! Files to typed, unresolved declarations, every value with its span: project file, targets, properties files, lists of
//! model, macro, test, seed and document files, of the project and of its installed packages.
//!
//! Leaves rendering of models, precedence of configs and looking up of names to `resolve`. The only room that reads YAML
//! and walks folders.

mod behaviour;
mod connection;
mod data_tests;
mod decl;
mod dependencies;
mod files;
mod ignore;
mod kept;
mod layers;
mod packages;
mod profiles;
mod project;
mod properties;
mod reader;
mod scalar;
mod semantic;
mod severity;
mod sources;
mod target;
mod text;
mod unit_tests;
mod versions;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

pub use behaviour::Behaviour;
pub use connection::config_key;
pub use decl::{
    ColumnDecl, ExposureDecl, ExternalDecl, FixtureDecl, FixtureSource, Freshness, FreshnessDecl, FreshnessRule, FunctionDecl, GroupDecl,
    MacroArgumentDecl, MacroDecl, MeasureDecl, NodeDecl, NodeDeclKind, Origin, OverridesDecl, Period, Properties, Quoting, SemanticDecl,
    SingularTestDecl, SourceDecl, SourceTableDecl, TestDecl, UnitInputDecl, UnitTestDecl, VersionDecl, YesNo,
};
pub use dependencies::{
    Dependencies, GitSource, LOCK_FILE, Lock, PACKAGE_FILES, PackageDecl, PackageSlots, PackageSource, load_dependencies, load_lock, package_slots,
};
pub use files::{DocFile, FixtureFile, SeedFile, SqlFile};
pub use layers::{LayerDecl, LayersDecl, MayRead, NamePattern, NamingDecl, Pattern, Requirement};
pub use packages::ParsedPackage;
pub use project::{ConfigTrees, DispatchDecl, ProjectDialect, ProjectFile, ProjectPaths};
pub use reader::MapReader;
pub use severity::{SeverityLevel, SeverityRule};
pub use target::{Secret, Target, TargetOrigin, load_target};
pub use yaml::{Yaml, YamlValue, parse_yaml, yaml_json};

use crate::base::{Code, Diagnostic, Diagnostics, Memo, MemoUse, Sources};

/// What the command line says about where and what to load.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    pub project_dir: PathBuf,
    /// Where the command runs; relative folders of the command line start here.
    pub working_dir: PathBuf,
    /// `--profiles-dir` or `DBT_PROFILES_DIR`.
    pub profiles_dir: Option<PathBuf>,
    pub profile: Option<String>,
    pub target: Option<String>,
    /// A folder or URI.
    pub warehouse: Option<String>,
    pub vars: Map<String, Json>,
    pub threads: Option<usize>,
    pub target_path: Option<String>,
    /// What is done with results of earlier commands.
    pub memos: MemoUse,
    /// Whether anything is read or written there: a foreign adapter's warehouse is none of ours.
    pub needs_warehouse: bool,
}

/// A project as its files declare it.
#[derive(Debug)]
pub struct ParsedProject {
    pub sources: Arc<Sources>,
    pub root: ParsedPackage,
    /// Installed packages, sorted by name.
    pub packages: Vec<ParsedPackage>,
    pub target: Target,
    /// Absolute; where artifacts are written.
    pub target_path: PathBuf,
    pub vars_from_cli: Map<String, Json>,
    /// The list of `selectors.yml`, rendered; null where there is none.
    pub selectors: Yaml,
    pub warnings: Diagnostics,
    /// What earlier commands kept of reading the project's files; stages of parsing share it.
    pub memo: Memo,
}

impl ParsedProject {
    /// The project itself, then its packages.
    pub fn all_packages(&self) -> impl Iterator<Item = &ParsedPackage> {
        std::iter::once(&self.root).chain(&self.packages)
    }
}

/// Loads a project and everything its files declare.
///
/// # Errors
/// All that is wrong with the files, not only the first.
pub fn load(options: &LoadOptions, sources: &Arc<Sources>) -> Result<ParsedProject, Vec<Diagnostic>> {
    load_unless(options, sources, Diagnostic::is_error)
}

fn load_unless(options: &LoadOptions, sources: &Arc<Sources>, prevents: impl Fn(&Diagnostic) -> bool) -> Result<ParsedProject, Vec<Diagnostic>> {
    let mut out = Diagnostics::new();
    let parsed = packages::load_all(options, sources, &mut out);
    let selectors = selectors(options, sources, &mut out);
    // In the order in which a user reads the files; readers ask for keys in an order of their own.
    out.sort_by_key(Diagnostic::primary_span);
    let prevented = out.iter().any(prevents);
    match parsed {
        Some(parsed) if !prevented => {
            let (root, packages, target, target_path, memo) = parsed;
            let vars_from_cli = options.vars.clone();
            Ok(ParsedProject { sources: Arc::clone(sources), root, packages, target, target_path, vars_from_cli, selectors, warnings: out, memo })
        }
        Some(_) | None => Err(out),
    }
}

/// As [`load`], for a report of everything: keys that nothing reads are among the warnings, as errors.
///
/// # Errors
/// All that is wrong with the files, where other errors are among it.
pub fn load_sound(options: &LoadOptions, sources: &Arc<Sources>) -> Result<ParsedProject, Vec<Diagnostic>> {
    load_unless(options, sources, |found| found.is_error() && found.code != Code::UnknownKey)
}

/// Reads the project file and the target alone, for commands that need no more of the project.
///
/// # Errors
/// What is wrong with them.
pub fn load_project_file(options: &LoadOptions, sources: &Arc<Sources>) -> Result<(ProjectFile, Target), Vec<Diagnostic>> {
    let mut out = Diagnostics::new();
    let found = packages::load_file(options, sources, &mut out);
    found.filter(|_| !out.iter().any(Diagnostic::is_error)).ok_or(out)
}

/// `selectors.yml`, or `selectors.yaml`.
fn selectors(options: &LoadOptions, sources: &Sources, out: &mut Diagnostics) -> Yaml {
    let nothing = |file| Yaml { span: crate::base::Span::file_start(file), value: YamlValue::Null };
    let named = ["selectors.yml", "selectors.yaml"].into_iter().find(|name| crate::base::files::is_file(&options.project_dir.join(name)));
    let Some(name) = named else { return nothing(sources.add("selectors.yml", "")) };
    let Some((file, yaml)) = project::read_yaml(&options.project_dir.join(name), name, sources, out) else {
        return nothing(sources.add(name, ""));
    };
    let rendered = text::TextRenderer::new(options.vars.clone()).yaml(&yaml, out);
    rendered.get("selectors").cloned().unwrap_or_else(|| nothing(file))
}

/// The project file of a folder, if it has one.
#[must_use]
pub fn project_file(folder: &Path) -> Option<PathBuf> {
    project::find(folder)
}

/// The `profiles.yml` that is read, if there is one.
#[must_use]
pub fn profiles_file(options: &LoadOptions) -> Option<PathBuf> {
    profiles::find(options.profiles_dir.as_deref(), &options.working_dir, &options.project_dir)
}

/// The `flags` of a folder's project file, or else the `config` of `profiles.yml`, which is where they stood in older
/// projects. As far as they can be read: what is wrong with a file is said when it is loaded, and flags are needed before that.
#[must_use]
pub fn project_flags(project_dir: &Path, working_dir: &Path, profiles_dir: Option<&Path>) -> Map<String, Json> {
    let of_profiles = || peek_file(&profiles::find(profiles_dir, working_dir, project_dir)?, "config");
    peek(project_dir, "flags").or_else(of_profiles).and_then(|flags| flags.as_object().cloned()).unwrap_or_default()
}

/// The target folder that a folder's project file names, before that is loaded.
#[must_use]
pub fn target_folder(project_dir: &Path) -> String {
    peek(project_dir, "target-path").and_then(|path| path.as_str().map(str::to_owned)).unwrap_or_else(|| "target".to_owned())
}

/// The folder for logs that a folder's project file names.
#[must_use]
pub fn log_folder(project_dir: &Path) -> Option<PathBuf> {
    peek(project_dir, "log-path")?.as_str().filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn peek(project_dir: &Path, key: &str) -> Option<Json> {
    peek_file(&project::find(project_dir)?, key)
}

fn peek_file(path: &Path, key: &str) -> Option<Json> {
    let sources = Sources::new();
    let file = sources.add("the file", crate::base::files::read_text(path).ok()?);
    Some(parse_yaml(&sources, file).ok()?.get(key)?.to_json())
}

#[cfg(test)]
mod tests;
