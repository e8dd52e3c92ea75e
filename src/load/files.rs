//! The files of a package: what lies below its resource paths, sorted, sorted out by what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::ignore::Ignore;
use super::project::{FILE_NAMES, ProjectFile, unreadable};
use crate::base::{Code, Diagnostic, Diagnostics, FileError, FileId, Sources, files, in_parallel};

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
}

/// Finds and reads the files of a package.
pub(super) fn collect(ground: &Ground<'_>, out: &mut Diagnostics) -> PackageFiles {
    let ignore = Ignore::of(ground.root);
    let paths = &ground.project.paths;
    let mut walked: BTreeMap<&str, Vec<Found>> = BTreeMap::new();
    let all = [&paths.models, &paths.seeds, &paths.snapshots, &paths.tests, &paths.analyses, &paths.functions, &paths.macros, &paths.docs];
    for path in all.into_iter().flatten() {
        if !walked.contains_key(path.as_str()) {
            walked.insert(path, walk(ground, path, &ignore, out));
        }
    }
    let below = |paths: &[String]| paths.iter().filter_map(|path| walked.get(path.as_str())).flatten().collect::<Vec<_>>();
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

fn walk(ground: &Ground<'_>, resource: &str, ignore: &Ignore, out: &mut Diagnostics) -> Vec<Found> {
    let start = ground.root.join(resource);
    let relative = |path: &Path, base: &Path| {
        let below = path.strip_prefix(base).unwrap_or(path);
        if let Some(text) = below.to_str().filter(|_| std::path::MAIN_SEPARATOR == '/') {
            return text.to_owned();
        }
        let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        parts.join("/")
    };
    let enters = |entry: &DirEntry| entry.depth() == 0 || enters(ground, entry, &relative(entry.path(), ground.root), ignore);
    let mut found = Vec::new();
    if !files::is_dir(&start) {
        return found;
    }
    for entry in WalkDir::new(&start).follow_links(true).sort_by_file_name().into_iter().filter_entry(enters) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                found.push(Found { path: relative(entry.path(), ground.root), below: relative(entry.path(), &start), absolute: entry.into_path() });
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
        self.registered(found, files::read_text(&found.absolute))
    }

    fn registered(&mut self, found: &Found, text: Result<String, FileError>) -> Option<FileId> {
        let shown = format!("{}{}", self.ground.prefix, found.path);
        match text {
            Ok(text) => Some(self.ground.sources.add(&shown, text)),
            Err(error) => {
                self.out.push(unreadable(&error, &shown, self.ground.sources));
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
        let texts = in_parallel(&found, |found| files::read_text(&found.absolute));
        for (found, text) in found.into_iter().zip(texts) {
            let Some(file) = self.registered(found, text) else { continue };
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
