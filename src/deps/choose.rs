//! From what is listed to what is installed: versions of hub packages, commits of repositories, and what each of them
//! needs in turn.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use reqwest::Client;
use semver::Version;

use super::fetch::{FetchError, client, get};
use super::hub::{HubPackage, HubVersion};
use super::version::Range;
use super::{DepsError, DepsOptions, archive, git};
use crate::base::{Code, Diagnostic, Sources, Span, Spanned, files};
use crate::load::{Dependencies, GitSource, PackageDecl, PackageSource, load_dependencies};
use crate::manifest::DBT_VERSION;

/// A package that was chosen.
#[derive(Debug, Clone)]
pub(super) struct Pin {
    /// The first entry that asked for it.
    pub decl: PackageDecl,
    /// The name of the project in it, and of its folder.
    pub name: String,
    pub pinned: Pinned,
}

/// What exactly was chosen.
#[derive(Debug, Clone)]
pub(super) enum Pinned {
    Hub {
        version: String,
        /// The newest version that could be installed.
        latest: String,
        tarball: String,
    },
    Git {
        commit: String,
        /// The package's folder in the checkout.
        folder: PathBuf,
    },
    Tarball {
        folder: PathBuf,
    },
    Local {
        folder: PathBuf,
        /// Relative to the project, as the lock has it.
        shown: String,
    },
}

/// Everything that several entries ask of one package.
struct Wanted {
    first: PackageDecl,
    ranges: Vec<(Spanned<String>, Range)>,
    prerelease: bool,
    revisions: Vec<Spanned<String>>,
}

/// What fetching needs, and what was fetched so far.
pub(super) struct Workshop {
    pub options: DepsOptions,
    pub install_path: PathBuf,
    pub warnings: Vec<Diagnostic>,
    root: Spanned<String>,
    sources: Arc<Sources>,
    client: Option<Client>,
    hub: HashMap<String, HubPackage>,
    /// Fetched trees by what they were fetched from.
    trees: HashMap<String, (PathBuf, String)>,
    scratch: PathBuf,
}

impl Workshop {
    pub(super) fn new(options: &DepsOptions, listed: &Dependencies, sources: &Arc<Sources>) -> Self {
        let install_path = options.project_dir.join(&listed.install_path);
        let name = install_path.file_name().map_or_else(|| "packages".into(), |name| name.to_string_lossy().into_owned());
        // Beside the packages folder, so that what is fetched can be moved there.
        let scratch = install_path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        Self {
            options: options.clone(),
            install_path,
            warnings: Vec::new(),
            root: listed.name.clone(),
            sources: Arc::clone(sources),
            client: None,
            hub: HashMap::new(),
            trees: HashMap::new(),
            scratch,
        }
    }

    /// A folder for things on their way; it goes when the workshop does.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Chooses versions for a list and for what its packages need.
    pub(super) async fn choose(&mut self, listed: &[PackageDecl]) -> Result<Vec<Pin>, DepsError> {
        let mut wanted: IndexMap<String, Wanted> = IndexMap::new();
        let mut queue: VecDeque<PackageDecl> = listed.iter().cloned().collect();
        let mut seen = HashSet::new();
        while let Some(decl) = queue.pop_front() {
            let key = self.key(&decl);
            let entry = wanted.entry(key.clone()).or_insert_with(|| Wanted::new(&decl));
            entry.incorporate(&decl)?;
            let entry = &wanted[&key];
            let pin = self.pin(entry).await?;
            if seen.insert((key, exactly(&pin))) {
                queue.extend(self.needs(&pin)?);
            }
        }
        let mut pins = Vec::new();
        for entry in wanted.values() {
            pins.push(self.pin(entry).await?);
            self.warn_unpinned(entry);
        }
        self.checked(pins)
    }

    /// The pins of a lock.
    pub(super) async fn pinned(&mut self, locked: &[PackageDecl]) -> Result<Vec<Pin>, DepsError> {
        let mut pins = Vec::new();
        for decl in locked {
            let mut entry = Wanted::new(decl);
            entry.incorporate(decl)?;
            pins.push(self.pin(&entry).await?);
        }
        self.checked(pins)
    }

    /// What an entry is about, however it is written.
    fn key(&self, decl: &PackageDecl) -> String {
        match &decl.source {
            PackageSource::Hub { package, .. } => format!("hub {package}"),
            PackageSource::Git(source) => {
                format!("git {} {}", source.url.trim_end_matches('/').trim_end_matches(".git"), source.subdirectory.as_deref().unwrap_or_default())
            }
            PackageSource::Tarball { url } => format!("tarball {url}"),
            PackageSource::Local { path } => format!("local {}", files::absolute(&self.options.project_dir.join(path)).display()),
        }
    }

    async fn pin(&mut self, wanted: &Wanted) -> Result<Pin, DepsError> {
        let decl = &wanted.first;
        let (name, pinned) = match &decl.source {
            PackageSource::Hub { package, .. } => self.pin_hub(wanted, package).await?,
            PackageSource::Git(source) => self.pin_git(wanted, source)?,
            PackageSource::Tarball { url } => self.pin_tarball(decl, url).await?,
            PackageSource::Local { path } => self.pin_local(decl, path)?,
        };
        check_name(&name, decl)?;
        Ok(Pin { decl: decl.clone(), name, pinned })
    }

    async fn pin_hub(&mut self, wanted: &Wanted, package: &str) -> Result<(String, Pinned), DepsError> {
        self.ask_hub(&wanted.first, package).await?;
        let found = self.hub.get(package).ok_or_else(|| nothing(&wanted.first))?;
        let prereleases = wanted.prerelease || wanted.ranges.iter().any(|(_, range)| range.is_prerelease());
        let dbt = Version::parse(DBT_VERSION).unwrap_or_else(|_| Version::new(1, 0, 0));
        let installable = found.installable(prereleases, &dbt);
        let fits = |version: &Version| wanted.ranges.iter().all(|(_, range)| range.accepts(version));
        let chosen = installable.iter().rev().find(|(version, _)| fits(version));
        let Some((_, version)) = chosen else { return Err(wanted.no_version(package, &installable).into()) };
        let facts = found.versions.get(*version).ok_or_else(|| nothing(&wanted.first))?;
        let latest = installable.last().map_or(*version, |(_, latest)| latest);
        let pinned = Pinned::Hub { version: (*version).to_owned(), latest: latest.to_owned(), tarball: facts.downloads.tarball.clone() };
        Ok((facts.name.clone(), pinned))
    }

    async fn ask_hub(&mut self, decl: &PackageDecl, package: &str) -> Result<(), DepsError> {
        if self.hub.contains_key(package) {
            return Ok(());
        }
        let url = format!("{}/api/v1/{package}.json", self.options.hub.trim_end_matches('/'));
        let bytes = self.download(decl, &url).await?;
        let found: HubPackage = serde_json::from_slice(&bytes).map_err(|error| {
            let diagnostic = Diagnostic::error(Code::PackageUnavailable, format!("the hub's answer for `{package}` can't be read"));
            diagnostic.at(decl.span, "listed here").note(format!("`{url}` gave what is no package of a hub: {error}")).help(self.by_hand(decl))
        })?;
        if let Some(renamed) = found.renamed() {
            let message = format!("the package `{package}` is called `{renamed}` now");
            self.warnings.push(Diagnostic::warning(Code::PackageUnavailable, message).at(decl.span, "listed here").help("list it by that name"));
        }
        self.hub.insert(package.to_owned(), found);
        Ok(())
    }

    fn pin_git(&mut self, wanted: &Wanted, source: &GitSource) -> Result<(String, Pinned), DepsError> {
        let decl = &wanted.first;
        let revision = wanted.revision()?;
        let key = format!("{} {}", source.url, revision.unwrap_or_default());
        if !self.trees.contains_key(&key) {
            let folder = self.scratch(&format!("tree{}", self.trees.len()));
            let commit = git::checkout(&source.url, revision, &folder).map_err(|error| {
                let said = without_secrets(&error.to_string().replace(&source.url, &decl.text));
                let what = revision.map_or_else(String::new, |revision| format!(" at `{revision}`"));
                let diagnostic = Diagnostic::error(Code::PackageUnavailable, format!("can't get the repository `{}`{what}: {said}", decl.text));
                diagnostic.at(decl.span, "listed here").help(self.by_hand(decl))
            })?;
            self.trees.insert(key.clone(), (folder, commit));
        }
        let (tree, commit) = self.trees.get(&key).cloned().ok_or_else(|| nothing(decl))?;
        let folder = match &source.subdirectory {
            Some(below) if !is_below(below) => {
                let message = format!("the subdirectory `{below}` leads out of the repository");
                return Err(Diagnostic::error(Code::PackageUnavailable, message).at(decl.span, "of this package").help("give a folder in it").into());
            }
            Some(below) => tree.join(below),
            None => tree,
        };
        Ok((self.project_name(decl, &folder)?, Pinned::Git { commit, folder }))
    }

    async fn pin_tarball(&mut self, decl: &PackageDecl, url: &str) -> Result<(String, Pinned), DepsError> {
        let folder = self.unpacked(decl, url).await?;
        let found = self.project_name(decl, &folder)?;
        Ok((decl.name.clone().unwrap_or(found), Pinned::Tarball { folder }))
    }

    /// The folder of an archive's content.
    pub(super) async fn unpacked(&mut self, decl: &PackageDecl, url: &str) -> Result<PathBuf, DepsError> {
        if let Some((folder, _)) = self.trees.get(url) {
            return Ok(folder.clone());
        }
        let bytes = self.download(decl, url).await?;
        let folder = self.scratch(&format!("tree{}", self.trees.len()));
        archive::unpack(&bytes, &folder).map_err(|error| {
            let diagnostic = Diagnostic::error(Code::PackageUnavailable, format!("the archive of `{}` can't be unpacked: {error}", decl.text));
            diagnostic.at(decl.span, "listed here").help(self.by_hand(decl))
        })?;
        self.trees.insert(url.to_owned(), (folder.clone(), String::new()));
        Ok(folder)
    }

    fn pin_local(&mut self, decl: &PackageDecl, path: &str) -> Result<(String, Pinned), DepsError> {
        let folder = self.options.project_dir.join(path);
        if !files::is_dir(&folder) {
            let message = format!("there is no folder `{path}` for a local package");
            let diagnostic = Diagnostic::error(Code::PackageUnavailable, message).at(decl.span, "listed here");
            return Err(diagnostic.note(format!("looked for `{}`", folder.display())).help("a local path is relative to the project").into());
        }
        let name = self.project_name(decl, &folder)?;
        Ok((name, Pinned::Local { folder: files::absolute(&folder), shown: path.to_owned() }))
    }

    fn project_name(&self, decl: &PackageDecl, folder: &Path) -> Result<String, DepsError> {
        Ok(self.read(decl, folder)?.name.value)
    }

    fn read(&self, decl: &PackageDecl, folder: &Path) -> Result<Dependencies, DepsError> {
        let prefix = format!("{}/", decl.text.trim_end_matches('/'));
        load_dependencies(folder, &prefix, &self.options.vars, &self.sources).map_err(|found| {
            if !found.iter().any(|diagnostic| diagnostic.code == Code::ProjectNotFound) {
                return DepsError::from(found);
            }
            let message = format!("there is no project in the package `{}`", decl.text);
            let diagnostic = Diagnostic::error(Code::PackageUnavailable, message).at(decl.span, "listed here");
            diagnostic.help("where the project lies deeper in a repository, name its folder as `subdirectory:`").into()
        })
    }

    /// What a chosen package lists itself.
    fn needs(&self, pin: &Pin) -> Result<Vec<PackageDecl>, DepsError> {
        match &pin.pinned {
            Pinned::Hub { version, .. } => {
                let PackageSource::Hub { package, .. } = &pin.decl.source else { return Ok(Vec::new()) };
                let facts = self.hub.get(package).and_then(|found| found.versions.get(version));
                Ok(facts.map(|facts: &HubVersion| facts.needs(&pin.decl)).unwrap_or_default())
            }
            Pinned::Git { folder, .. } | Pinned::Tarball { folder } => Ok(self.read(&pin.decl, folder)?.packages),
            Pinned::Local { folder, shown } => {
                let listed = self.read(&pin.decl, folder)?.packages;
                Ok(listed.into_iter().map(|decl| self.rebased(decl, shown)).collect())
            }
        }
    }

    /// A local path in a local package is relative to the project, as in dbt, or else to the package.
    fn rebased(&self, decl: PackageDecl, package: &str) -> PackageDecl {
        match &decl.source {
            PackageSource::Local { path } if !files::is_dir(&self.options.project_dir.join(path)) => {
                let path = plain(&format!("{package}/{path}"));
                PackageDecl { source: PackageSource::Local { path }, ..decl }
            }
            PackageSource::Local { .. } | PackageSource::Hub { .. } | PackageSource::Git(_) | PackageSource::Tarball { .. } => decl,
        }
    }

    fn warn_unpinned(&mut self, wanted: &Wanted) {
        let PackageSource::Git(source) = &wanted.first.source else { return };
        let moving = wanted.revisions.first().is_none_or(|revision| ["HEAD", "main", "master"].contains(&revision.value.as_str()));
        if moving && source.warn_unpinned {
            let message = format!("the package `{}` is not pinned to a revision", wanted.first.text);
            let diagnostic = Diagnostic::warning(Code::PackageVersion, message).at(wanted.first.span, "may change from one day to the next");
            self.warnings.push(diagnostic.help("add `revision:` with a tag or a commit, or `warn-unpinned: false`"));
        }
    }

    /// Projects of one name can't lie side by side.
    fn checked(&self, pins: Vec<Pin>) -> Result<Vec<Pin>, DepsError> {
        let mut names: BTreeMap<&str, Span> = BTreeMap::from([(self.root.value.as_str(), self.root.span)]);
        for pin in &pins {
            if let Some(first) = names.insert(&pin.name, pin.decl.span) {
                let message = format!("two projects are called `{}`, and packages are told apart by that name", pin.name);
                let diagnostic = Diagnostic::error(Code::DuplicateName, message).at(pin.decl.span, "brings the second").also(first, "the first");
                return Err(diagnostic.help("list one of them only, in the same way wherever it is needed").into());
            }
        }
        Ok(pins)
    }

    async fn download(&mut self, decl: &PackageDecl, url: &str) -> Result<Vec<u8>, DepsError> {
        let client = if let Some(client) = &self.client {
            client.clone()
        } else {
            let made = client().map_err(|error| {
                Diagnostic::error(Code::PackageUnavailable, format!("can't fetch anything: {error}")).at(decl.span, "needed here")
            })?;
            self.client.insert(made).clone()
        };
        get(&client, url).await.map_err(|error| {
            let message = match (&error, &decl.source) {
                (FetchError::NotFound, PackageSource::Hub { package, .. }) => format!("the hub has no package `{package}`"),
                _ => format!("can't fetch the package `{}`: {}", decl.text, without_secrets(&error.to_string())),
            };
            let url = without_secrets(url);
            Diagnostic::error(Code::PackageUnavailable, message)
                .at(decl.span, "listed here")
                .note(format!("looked for `{url}`"))
                .help(self.by_hand(decl))
                .into()
        })
    }

    /// How to do without the network.
    fn by_hand(&self, decl: &PackageDecl) -> String {
        let last = decl.text.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let name = decl.name.as_deref().unwrap_or(last).trim_end_matches(".git").trim_end_matches(".tar.gz").trim_end_matches(".tgz");
        let folder = self.install_path.strip_prefix(&self.options.project_dir).unwrap_or(&self.install_path);
        let elsewhere = if matches!(decl.source, PackageSource::Hub { .. }) { "; `DBT_PACKAGE_HUB_URL` names another hub" } else { "" };
        format!("without it, put the package's folder at `{}` by hand, or list it as `local:`{elsewhere}", folder.join(name).display())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What can't be removed is hidden and in nobody's way.
        let _ = files::remove_dir(&self.scratch);
    }
}

impl Wanted {
    fn new(decl: &PackageDecl) -> Self {
        Self { first: decl.clone(), ranges: Vec::new(), prerelease: false, revisions: Vec::new() }
    }

    fn incorporate(&mut self, decl: &PackageDecl) -> Result<(), DepsError> {
        match &decl.source {
            PackageSource::Hub { versions, prerelease, .. } => {
                self.prerelease |= prerelease;
                for version in versions {
                    let Some(range) = Range::read(&version.value) else {
                        let message = format!("`{}` is no version and no range of versions", version.value);
                        let diagnostic = Diagnostic::error(Code::PackageVersion, message).at(version.span, "expected three numbers, e.g. `>=1.0.0`");
                        return Err(diagnostic.help("a range is a list of bounds: [\">=1.0.0\", \"<2.0.0\"]").into());
                    };
                    if !self.ranges.iter().any(|(known, _)| known.value == version.value) {
                        self.ranges.push((version.clone(), range));
                    }
                }
            }
            PackageSource::Git(source) => {
                if let Some(revision) = &source.revision
                    && !self.revisions.iter().any(|known| known.value == *revision)
                {
                    self.revisions.push(Spanned::new(revision.clone(), decl.span));
                }
            }
            PackageSource::Tarball { .. } | PackageSource::Local { .. } => {}
        }
        Ok(())
    }

    fn revision(&self) -> Result<Option<&str>, DepsError> {
        let [first, second, ..] = self.revisions.as_slice() else { return Ok(self.revisions.first().map(|revision| revision.value.as_str())) };
        let message = format!("`{}` is wanted at `{}` and at `{}`", self.first.text, first.value, second.value);
        let diagnostic = Diagnostic::error(Code::PackageVersion, message).at(second.span, "the one").also(first.span, "the other");
        Err(diagnostic.help("pin it to one revision").into())
    }

    fn no_version(&self, package: &str, installable: &[(Version, &str)]) -> Diagnostic {
        let asked = self.ranges.iter().map(|(text, _)| format!("`{}`", text.value)).collect::<Vec<_>>().join(", ");
        let span = self.ranges.first().map_or(self.first.span, |(text, _)| text.span);
        let mut diagnostic = Diagnostic::error(Code::PackageVersion, format!("no version of `{package}` is {asked}")).at(span, "asked for here");
        for (other, _) in self.ranges.iter().filter(|(text, _)| text.span != span) {
            diagnostic = diagnostic.also(other.span, "and here");
        }
        let has: Vec<&str> = installable.iter().rev().take(8).map(|(_, text)| *text).collect();
        let has = if has.is_empty() { "the hub has none that can be installed".to_owned() } else { format!("the hub has {}", has.join(", ")) };
        diagnostic.note(has).help("widen the range; prereleases need `install_prerelease: true`")
    }
}

/// What a pin was set to, to tell whether what it needs has been looked at.
fn exactly(pin: &Pin) -> String {
    match &pin.pinned {
        Pinned::Hub { version, .. } => version.clone(),
        Pinned::Git { commit, .. } => commit.clone(),
        Pinned::Tarball { .. } | Pinned::Local { .. } => String::new(),
    }
}

/// A text of another program or server with the values of secret variables put out.
fn without_secrets(text: &str) -> String {
    let secrets = std::env::vars().filter(|(name, value)| name.starts_with("DBT_ENV_SECRET_") && !value.is_empty());
    secrets.fold(text.to_owned(), |text, (_, value)| text.replace(&value, "*****"))
}

fn nothing(decl: &PackageDecl) -> Diagnostic {
    Diagnostic::error(Code::PackageUnavailable, format!("nothing came for the package `{}`", decl.text)).at(decl.span, "listed here")
}

/// A name becomes a folder, so it must not be a path.
fn check_name(name: &str, decl: &PackageDecl) -> Result<(), DepsError> {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(());
    }
    let message = format!("the package `{}` calls itself `{name}`, which is no name of a project", decl.text);
    Err(Diagnostic::error(Code::PackageUnavailable, message).at(decl.span, "listed here").help("a name has letters, digits and `_`").into())
}

/// A relative path without steps that take each other back.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match parts.last() {
            Some(last) if part == ".." && *last != ".." => drop(parts.pop()),
            Some(_) | None => parts.push(part),
        }
    }
    let start = if path.starts_with('/') { "/" } else { "" };
    format!("{start}{}", parts.join("/"))
}

fn is_below(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}
