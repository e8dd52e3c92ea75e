//! The project and its installed packages, each read in the same way.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::LoadOptions;
use super::decl::{Origin, Properties};
use super::dependencies::{PackageDecl, PackageSource, read_list};
use super::files::{DocFile, FixtureFile, Ground, PackageFiles, PropertiesFile, SeedFile, SqlFile, collect};
use super::kept::kept_or_parsed;
use super::project::{self, ProjectDialect, ProjectFile, unreadable};
use super::reader::read_past_unknown_keys;
use super::target::{Sections, Target, choose};
use super::text::TextRenderer;
use super::yaml::Yaml;
use crate::base::{Code, Diagnostic, Diagnostics, Memo, Sources, files, in_parallel};

/// A package as its files declare it.
#[derive(Debug)]
pub struct ParsedPackage {
    pub name: String,
    pub root_dir: PathBuf,
    /// Stands before the package's paths in registered file names: empty for the project itself, else e.g.
    /// `dbt_packages/dbt_utils/`.
    pub prefix: String,
    pub project: ProjectFile,
    pub models: Vec<SqlFile>,
    pub python_models: Vec<SqlFile>,
    pub snapshots: Vec<SqlFile>,
    pub singular_tests: Vec<SqlFile>,
    /// Files of macros, and of generic tests.
    pub macros: Vec<SqlFile>,
    pub analyses: Vec<SqlFile>,
    pub functions: Vec<SqlFile>,
    /// Functions in Python, which no engine here runs.
    pub python_functions: Vec<SqlFile>,
    pub seeds: Vec<SeedFile>,
    pub docs: Vec<DocFile>,
    pub fixtures: Vec<FixtureFile>,
    pub properties: Properties,
}

type Loaded = (ParsedPackage, Vec<ParsedPackage>, Target, PathBuf, Memo);

/// The file below the target folder with what is kept of parsing.
const PARSE_MEMO: &str = "parse.memo";

/// The project file and the target, without the project's other files.
pub(super) fn load_file(options: &LoadOptions, sources: &Sources, out: &mut Diagnostics) -> Option<(ProjectFile, Target)> {
    let renderer = TextRenderer::new(options.vars.clone());
    let project = read_file(options, &renderer, sources, out)?;
    let target = choose(options, &Sections::of_project(&project), sources, out)?;
    Some((project, target))
}

fn read_file(options: &LoadOptions, renderer: &TextRenderer, sources: &Sources, out: &mut Diagnostics) -> Option<ProjectFile> {
    let Some(path) = project::find(&options.project_dir) else {
        out.push(project::not_found(&options.project_dir));
        return None;
    };
    let mut project = ProjectFile::read(&path, "", renderer, sources, out)?;
    if let Some(target_path) = &options.target_path {
        if let [only] = project.clean_targets.as_mut_slice()
            && only.value == project.target_path
        {
            only.value.clone_from(target_path);
        }
        target_path.clone_into(&mut project.target_path);
    }
    Some(project)
}

pub(super) fn load_all(options: &LoadOptions, sources: &Sources, out: &mut Diagnostics) -> Option<Loaded> {
    let folder = &options.project_dir;
    let renderer = TextRenderer::new(options.vars.clone());
    let project = read_file(options, &renderer, sources, out)?;
    let target = choose(options, &Sections::of_project(&project), sources, out);
    let target_path = folder.join(&project.target_path);
    let memo = Memo::of(&target_path.join(PARSE_MEMO), options.memos);
    let packages = load_packages(folder, &project, &Reading { renderer: &renderer, sources, memo: &memo }, out);
    let mut found = Diagnostics::new();
    let root = load_package(folder, String::new(), project, (sources, &memo), &mut found);
    out.extend(match root.project.dialect {
        ProjectDialect::Alluvium => found,
        ProjectDialect::Dbt => read_past_unknown_keys(found, sources),
    });
    Some((root, packages, target?, target_path, memo))
}

/// With what packages are read.
struct Reading<'a> {
    renderer: &'a TextRenderer,
    sources: &'a Sources,
    memo: &'a Memo,
}

fn load_package(root: &Path, prefix: String, project: ProjectFile, (sources, memo): (&Sources, &Memo), out: &mut Diagnostics) -> ParsedPackage {
    let ground = Ground { root, prefix: &prefix, project: &project, sources };
    let found = collect(&ground, out);
    let mut properties = Properties::default();
    read_properties(&found.properties, (&ground, memo), &mut properties, out);
    let PackageFiles {
        models,
        python_models,
        snapshots,
        singular_tests,
        macros,
        analyses,
        functions,
        python_functions,
        seeds,
        docs,
        fixtures,
        properties: _,
    } = found;
    let (name, root_dir) = (project.name.value.clone(), root.to_owned());
    ParsedPackage {
        name,
        root_dir,
        prefix,
        project,
        models,
        python_models,
        snapshots,
        singular_tests,
        macros,
        analyses,
        functions,
        python_functions,
        seeds,
        docs,
        fixtures,
        properties,
    }
}

fn read_properties(found: &[PropertiesFile], (ground, memo): (&Ground<'_>, &Memo), properties: &mut Properties, out: &mut Diagnostics) {
    let texts = in_parallel(found, |file| files::read_text(&file.absolute));
    let mut registered = Vec::with_capacity(found.len());
    for (file, text) in found.iter().zip(texts) {
        let shown = format!("{}{}", ground.prefix, file.path);
        match text {
            Ok(text) => registered.push((file, ground.sources.add(&shown, text))),
            Err(error) => out.push(unreadable(&error, &shown, ground.sources)),
        }
    }
    let parsed = in_parallel(&registered, |(_, id)| {
        let mut found = Diagnostics::new();
        let yaml = kept_or_parsed(*id, ground.sources, memo, &mut found);
        (yaml, found)
    });
    let entries = |yaml: &Yaml| yaml.get("models").map_or(0, |models| models.items().map_or(0, <[Yaml]>::len));
    properties.models.reserve(parsed.iter().filter_map(|(yaml, _)| yaml.as_ref()).map(entries).sum());
    for ((file, id), (yaml, found)) in registered.into_iter().zip(parsed) {
        out.extend(found);
        let Some(yaml) = yaml else { continue };
        let folders = file.resource_path.rsplit_once('/').map_or("", |(folders, _)| folders);
        let folders = folders.split('/').filter(|folder| !folder.is_empty()).map(str::to_owned).collect();
        let origin = Origin { file: id, path: file.path.clone(), folders, package: ground.project.name.value.clone() };
        properties.read(&yaml, &origin, out);
    }
}

/// Packages that are installed, and those that lie in a folder of the user's; sorted by name.
fn load_packages(folder: &Path, root: &ProjectFile, reading: &Reading<'_>, out: &mut Diagnostics) -> Vec<ParsedPackage> {
    let sources = reading.sources;
    let install = folder.join(&root.packages_install_path);
    let entries = read_list(folder, "", reading.renderer, sources, out).packages;
    let mut places: Vec<(PathBuf, String)> = Vec::new();
    match files::list(&install) {
        Ok(paths) => {
            for path in paths.into_iter().filter(|path| files::is_dir(path)) {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if name.starts_with('.') {
                    continue;
                }
                places.push((path, format!("{}/{name}/", root.packages_install_path.trim_end_matches('/'))));
            }
        }
        Err(error) => out.push(unreadable(&error, &root.packages_install_path, sources)),
    }
    let installed: HashSet<PathBuf> = places.iter().map(|(path, _)| files::absolute(path)).collect();
    for local in entries.iter().filter_map(local_path) {
        let path = folder.join(local);
        if files::is_dir(&path) && !installed.contains(&files::absolute(&path)) {
            places.push((path, format!("{}/", local.trim_end_matches('/'))));
        }
    }
    let mut packages: Vec<ParsedPackage> = Vec::new();
    let mut folders: Vec<String> = Vec::new();
    let mut loaded: HashSet<PathBuf> = HashSet::new();
    for (path, prefix) in places {
        let Some(package) = load_installed(&path, prefix, reading, out) else { continue };
        loaded.insert(files::absolute(&path));
        folders.push(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
        // A local package may be installed as a copy, too.
        let is_copy = packages.iter().any(|other| other.name == package.name);
        if package.name == root.name.value {
            out.push(
                Diagnostic::error(Code::DuplicateName, format!("a package has the name of the project, `{}`", package.name))
                    .at(package.project.name.span, "the package")
                    .also(root.name.span, "the project")
                    .help("rename the project, or remove the package"),
            );
        } else if !is_copy {
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let names = packages.iter().map(|package| package.name.clone()).chain(folders).map(|name| comparable(&name)).collect();
    report_missing(&entries, &names, &loaded, (folder, root), out);
    packages
}

/// Reads an installed package. Keys that we don't know are its author's business and not reported.
fn load_installed(path: &Path, prefix: String, reading: &Reading<'_>, out: &mut Diagnostics) -> Option<ParsedPackage> {
    let file = project::find(path)?;
    let mut found = Diagnostics::new();
    let project = ProjectFile::read(&file, &prefix, reading.renderer, reading.sources, &mut found);
    let package = project.map(|project| load_package(path, prefix, project, (reading.sources, reading.memo), &mut found));
    out.extend(found.into_iter().filter(|diagnostic| diagnostic.code != Code::UnknownKey));
    package
}

/// Names of packages differ in `-` and `_`, and the folders of some begin with `dbt-`.
fn comparable(name: &str) -> String {
    let name = name.to_lowercase().replace(['-', '.'], "_");
    name.strip_prefix("dbt_").unwrap_or(&name).to_owned()
}

fn local_path(entry: &PackageDecl) -> Option<&str> {
    if let PackageSource::Local { path } = &entry.source { Some(path) } else { None }
}

/// The folder that a package would be installed in, as far as the list tells.
fn folder_of(entry: &PackageDecl) -> &str {
    let below = if let PackageSource::Git(source) = &entry.source { source.subdirectory.as_deref() } else { None };
    let named = entry.name.as_deref().or(below).unwrap_or(&entry.text);
    let last = named.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    last.trim_end_matches(".git")
}

fn report_missing(entries: &[PackageDecl], names: &HashSet<String>, places: &HashSet<PathBuf>, ground: (&Path, &ProjectFile), out: &mut Diagnostics) {
    let (folder, root) = ground;
    let is_there = |entry: &&PackageDecl| match local_path(entry) {
        Some(path) => places.contains(&files::absolute(&folder.join(path))),
        None => names.contains(&comparable(folder_of(entry))),
    };
    let (found, mut missing): (Vec<_>, Vec<_>) = entries.iter().partition(is_there);
    // The project in a repository may be called quite otherwise than the repository: packages that nothing else names
    // are taken for those.
    let mut unclaimed = places.len().saturating_sub(found.len());
    missing.retain(|entry| {
        let loose = matches!(entry.source, PackageSource::Git(_) | PackageSource::Tarball { .. });
        let taken = loose && unclaimed > 0;
        unclaimed -= usize::from(taken);
        !taken
    });
    for entry in missing {
        let help = if let Some(path) = local_path(entry) {
            format!("check the path: `{path}` has no project file")
        } else {
            let install = root.packages_install_path.trim_end_matches('/');
            format!("run `alluvium deps`, or put its folder at `{install}/{}/`", folder_of(entry))
        };
        out.push(
            Diagnostic::error(Code::PackagesMissing, format!("the package `{}` is not installed", entry.text))
                .at(entry.span, "listed here")
                .help(help),
        );
    }
}
