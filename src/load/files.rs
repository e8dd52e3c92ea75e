//! The files of a package: what lies below its resource paths, sorted, sorted out by what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use walkdir::{DirEntry, WalkDir};

use super::ignore::Ignore;
use super::project::{FILE_NAMES, ProjectFile, unreadable};
use crate::base::{Code, Diagnostic, Diagnostics, FileError, FileId, Sources, beside, files, in_parallel};

/// A file with SQL and Jinja (or a model in Python): a model, snapshot, singular test, analysis, or macros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFile {
    pub file: FileId,
    /// The file's name without its ending.
    pub name: String,
    /// Relative to the package, with `/`.
    pub path: String,
    /// Relative to the resource path that it lies in.
    pub resource_path: String,
}

/// A CSV file, not read yet; its registered text is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedFile {
    pub file: FileId,
    pub name: String,
    pub path: String,
    pub resource_path: String,
    pub absolute_path: PathBuf,
}

/// A Markdown file, which may hold docs blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocFile {
    pub file: FileId,
    pub path: String,
    /// Relative to the resource path.
    pub resource_path: String,
}

/// Rows of unit tests: a CSV or SQL file below `fixtures/` of the test paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixtureFile {
    pub file: FileId,
    /// The file's name without its ending.
    pub name: String,
    pub is_csv: bool,
}

/// A properties file, found and not read yet.
#[derive(Debug)]
pub(super) struct PropertiesFile {
    pub absolute: PathBuf,
    pub path: String,
    pub resource_path: String,
}

#[derive(Debug, Default)]
pub(super) struct PackageFiles {
    pub models: Vec<SqlFile>,
    /// Models in Python, which no engine here runs.
    pub python_models: Vec<SqlFile>,
    pub snapshots: Vec<SqlFile>,
    pub singular_tests: Vec<SqlFile>,
    pub macros: Vec<SqlFile>,
    pub analyses: Vec<SqlFile>,
    pub functions: Vec<SqlFile>,
    pub python_functions: Vec<SqlFile>,
    pub seeds: Vec<SeedFile>,
    pub docs: Vec<DocFile>,
    pub fixtures: Vec<FixtureFile>,
    pub properties: Vec<PropertiesFile>,
}

/// A package's folder, and what in it is no part of the package.
pub(super) struct Ground<'a> {
    pub root: &'a Path,
    /// Stands before paths in messages.
    pub prefix: &'a str,
    pub project: &'a ProjectFile,
    pub sources: &'a Sources,
}

struct Found {
    absolute: PathBuf,
    /// Relative to the package.
    path: String,
    /// Relative to the resource path.
    below: String,
    /// Of files with SQL, which are read while others are looked for.
    text: OnceLock<Result<Arc<str>, FileError>>,
}

impl Found {
    fn text(&self) -> &Result<Arc<str>, FileError> {
        self.text.get_or_init(|| files::read_text(&self.absolute).map(Arc::from))
    }
}

/// Finds and reads the files of a package.
pub(super) fn collect(ground: &Ground<'_>, out: &mut Diagnostics) -> PackageFiles {
    beside(|found: Arc<Found>| _ = found.text(), |ahead| collect_beside(ground, ahead, out))
}

/// What `ahead` is given is read on another thread.
fn collect_beside(ground: &Ground<'_>, ahead: &dyn Fn(Arc<Found>), out: &mut Diagnostics) -> PackageFiles {
    let ignore = Ignore::of(ground.root);
    let paths = &ground.project.paths;
    let mut walked: BTreeMap<&str, Vec<Arc<Found>>> = BTreeMap::new();
    let of_sql = [&paths.models, &paths.snapshots, &paths.tests, &paths.analyses, &paths.functions, &paths.macros];
    for path in of_sql.into_iter().chain([&paths.seeds, &paths.docs]).flatten() {
        if !walked.contains_key(path.as_str()) {
            let has_sql = of_sql.iter().any(|paths| paths.contains(path));
            let look = |found: &Arc<Found>| {
                if has_sql && has_ending(found, &["sql"]) {
                    ahead(Arc::clone(found));
                }
            };
            walked.insert(path, walk(ground, (path, &ignore), look, out));
        }
    }
    let below = |paths: &[String]| paths.iter().filter_map(|path| walked.get(path.as_str())).flatten().map(Arc::as_ref).collect::<Vec<_>>();
    let is_generic = |found: &&Found| found.below.starts_with("generic/");
    let is_singular = |found: &&Found| !is_generic(found) && !found.below.starts_with("fixtures/");
    let mut reading = Reading { ground, out };
    let mut result = PackageFiles {
        models: reading.sql(below(&paths.models)),
        python_models: reading.ending_in("py", below(&paths.models)),
        snapshots: reading.sql(below(&paths.snapshots)),
        singular_tests: reading.sql(below(&paths.tests).into_iter().filter(is_singular).collect()),
        macros: reading.sql(below(&paths.macros).into_iter().chain(below(&paths.tests).into_iter().filter(is_generic)).collect()),
        analyses: reading.sql(below(&paths.analyses)),
        functions: reading.sql(below(&paths.functions)),
        python_functions: reading.ending_in("py", below(&paths.functions)),
        seeds: below(&paths.seeds).into_iter().filter(|found| has_ending(found, &["csv"])).map(|found| seed(ground, found)).collect(),
        docs: reading.docs(below(&paths.docs)),
        fixtures: reading.fixtures(below(&paths.tests).into_iter().filter(|found| found.below.starts_with("fixtures/")).collect()),
        properties: Vec::new(),
    };
    let described: Vec<&Vec<String>> =
        vec![&paths.models, &paths.seeds, &paths.snapshots, &paths.tests, &paths.analyses, &paths.functions, &paths.macros];
    result.properties = properties(described.into_iter().flat_map(|paths| below(paths)));
    result
}

/// The files below a resource path; each is shown to `look` as soon as it is found.
fn walk(ground: &Ground<'_>, (resource, ignore): (&str, &Ignore), look: impl Fn(&Arc<Found>), out: &mut Diagnostics) -> Vec<Arc<Found>> {
    let start = ground.root.join(resource);
    let relative = |path: &Path, base: &Path| {
        let below = path.strip_prefix(base).unwrap_or(path);
        if let Some(text) = below.to_str().filter(|_| std::path::MAIN_SEPARATOR == '/') {
            return text.to_owned();
        }
        let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        parts.join("/")
    };
    // What lies below has the path of the folder before its own: taking it apart once is enough.
    let (head, whole) = (relative(&start, ground.root), start.to_str().map(|start| start.trim_end_matches('/')));
    let below = |path: &Path| match (path.to_str(), whole) {
        (Some(path), Some(start)) if std::path::MAIN_SEPARATOR == '/' && path.len() > start.len() => {
            path[start.len()..].trim_start_matches('/').to_owned()
        }
        _ => relative(path, &start),
    };
    let in_package = |below: &str| if head.is_empty() { below.to_owned() } else { [head.as_str(), below].join("/") };
    let enters = |entry: &DirEntry| entry.depth() == 0 || enters(ground, entry, &in_package(&below(entry.path())), ignore);
    let mut found = Vec::new();
    if !files::is_dir(&start) {
        return found;
    }
    for entry in WalkDir::new(&start).follow_links(true).sort_by_file_name().into_iter().filter_entry(enters) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                let below = below(entry.path());
                let file = Arc::new(Found { path: in_package(&below), below, absolute: entry.into_path(), text: OnceLock::new() });
                look(&file);
                found.push(file);
            }
            Ok(_) => {}
            // A link that points nowhere or back is nothing that the project needs.
            Err(error) if error.loop_ancestor().is_some() || error.path().is_some_and(Path::is_symlink) => {}
            Err(error) => {
                out.push(
                    Diagnostic::error(Code::InputFile, format!("can't read the folder `{resource}`: {error}")).help("check that it may be read"),
                );
            }
        }
    }
    found
}

/// Whether a walk looks at an entry: not at what is hidden or ignored, and not into other projects, the target folder
/// and the installed packages.
fn enters(ground: &Ground<'_>, entry: &DirEntry, relative: &str, ignore: &Ignore) -> bool {
    if entry.file_name().to_string_lossy().starts_with('.') || ignore.ignores(relative) {
        return false;
    }
    if !entry.file_type().is_dir() {
        return true;
    }
    let project = ground.project;
    relative != project.target_path.trim_end_matches('/')
        && relative != project.packages_install_path.trim_end_matches('/')
        && !FILE_NAMES.iter().any(|name| files::is_file(&entry.path().join(name)))
}

fn has_ending(found: &Found, endings: &[&str]) -> bool {
    let ending = found.below.rsplit_once('.').map_or("", |(_, ending)| ending);
    endings.iter().any(|wanted| ending.eq_ignore_ascii_case(wanted))
}

/// The file's name without its ending.
fn stem(found: &Found) -> String {
    let name = found.below.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

fn seed(ground: &Ground<'_>, found: &Found) -> SeedFile {
    SeedFile {
        file: ground.sources.add(&format!("{}{}", ground.prefix, found.path), ""),
        name: stem(found),
        path: found.path.clone(),
        resource_path: found.below.clone(),
        absolute_path: found.absolute.clone(),
    }
}

fn properties<'f>(found: impl Iterator<Item = &'f Found>) -> Vec<PropertiesFile> {
    let mut seen = BTreeSet::new();
    let mut result: Vec<PropertiesFile> = found
        .filter(|found| has_ending(found, &["yml", "yaml"]) && seen.insert(found.path.as_str()))
        .map(|found| PropertiesFile { absolute: found.absolute.clone(), path: found.path.clone(), resource_path: found.below.clone() })
        .collect();
    result.sort_by(|a, b| a.path.cmp(&b.path));
    result
}

struct Reading<'a, 'd> {
    ground: &'a Ground<'a>,
    out: &'d mut Diagnostics,
}

impl Reading<'_, '_> {
    fn register(&mut self, found: &Found) -> Option<FileId> {
        let shown = format!("{}{}", self.ground.prefix, found.path);
        match found.text() {
            Ok(text) => Some(self.ground.sources.add(&shown, Arc::clone(text))),
            Err(error) => {
                self.out.push(unreadable(error, &shown, self.ground.sources));
                None
            }
        }
    }

    fn sql(&mut self, found: Vec<&Found>) -> Vec<SqlFile> {
        self.ending_in("sql", found)
    }

    fn ending_in(&mut self, ending: &str, found: Vec<&Found>) -> Vec<SqlFile> {
        let mut result = Vec::new();
        let found: Vec<&Found> = found.into_iter().filter(|found| has_ending(found, &[ending])).collect();
        in_parallel(&found, |found| _ = found.text());
        for found in found {
            let Some(file) = self.register(found) else { continue };
            result.push(SqlFile { file, name: stem(found), path: found.path.clone(), resource_path: found.below.clone() });
        }
        result
    }

    fn docs(&mut self, found: Vec<&Found>) -> Vec<DocFile> {
        let mut result = Vec::new();
        for found in found.into_iter().filter(|found| has_ending(found, &["md"])) {
            let Some(file) = self.register(found) else { continue };
            result.push(DocFile { file, path: found.path.clone(), resource_path: found.below.clone() });
        }
        result
    }

    fn fixtures(&mut self, found: Vec<&Found>) -> Vec<FixtureFile> {
        let mut result = Vec::new();
        for found in found.into_iter().filter(|found| has_ending(found, &["csv", "sql"])) {
            let Some(file) = self.register(found) else { continue };
            result.push(FixtureFile { file, name: stem(found), is_csv: has_ending(found, &["csv"]) });
        }
        result
    }
}
