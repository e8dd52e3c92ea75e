//! What a project lists in `packages.yml` or `dependencies.yml`, and what `package-lock.yml` holds of it.
//!
//! Leaves choosing versions and fetching to `deps`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value as Json};
use sha1::{Digest as _, Sha1};

use super::project::{self, ProjectFile, read_yaml};
use super::reader::{MapReader, entries, items};
use super::text::TextRenderer;
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Sources, Span, Spanned, files};

/// The files that may list packages.
pub const PACKAGE_FILES: [&str; 2] = ["packages.yml", "dependencies.yml"];
/// The file of the versions that were chosen.
pub const LOCK_FILE: &str = "package-lock.yml";

/// An entry of a list of packages.
#[derive(Debug, Clone)]
pub struct PackageDecl {
    /// The value of the entry's key.
    pub span: Span,
    /// The whole entry.
    pub entry: Span,
    /// The value of the entry's key as it is written, templates and all: `org/name`, a URL, a path.
    pub text: String,
    /// The name of the project in it, where the entry says it.
    pub name: Option<String>,
    pub source: PackageSource,
}

/// Where a package comes from; templates are rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageSource {
    Hub { package: String, versions: Vec<Spanned<String>>, prerelease: bool },
    Git(GitSource),
    Tarball { url: String },
    Local { path: String },
}

/// A repository, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    pub url: String,
    pub revision: Option<String>,
    pub subdirectory: Option<String>,
    pub warn_unpinned: bool,
    /// Whether it is listed as `private`, and the `provider` with it.
    pub private: bool,
    pub provider: Option<String>,
}

/// The packages that a project lists.
#[derive(Debug)]
pub struct Dependencies {
    /// The project's name.
    pub name: Spanned<String>,
    /// `packages-install-path`, relative to the project.
    pub install_path: String,
    /// `packages.yml` or `dependencies.yml`; the first where there is none yet.
    pub listed_in: &'static str,
    pub packages: Vec<PackageDecl>,
    /// dbt's digest of the list, which tells whether a lock belongs to it.
    pub digest: String,
    /// What is worth a word and no error.
    pub warnings: Diagnostics,
}

/// The chosen packages.
#[derive(Debug)]
pub struct Lock {
    pub packages: Vec<PackageDecl>,
    /// The digest of the list that it was made from.
    pub digest: Option<String>,
}

/// Reads what the project in a folder lists; `prefix` stands before its files' names in messages.
///
/// # Errors
/// Everything that is wrong with the project file and with the list.
pub fn load_dependencies(folder: &Path, prefix: &str, vars: &Map<String, Json>, sources: &Sources) -> Result<Dependencies, Vec<Diagnostic>> {
    let mut out = Diagnostics::new();
    let renderer = TextRenderer::new(vars.clone());
    let Some(path) = project::find(folder) else { return Err(vec![project::not_found(folder)]) };
    let project = ProjectFile::read(&path, prefix, &renderer, sources, &mut out);
    // What else a project file may hold is said when the project is loaded.
    out.retain(|diagnostic| diagnostic.is_error() && diagnostic.code != Code::UnknownKey);
    let list = read_list(folder, prefix, &renderer, sources, &mut out);
    let (warnings, errors): (Vec<_>, Vec<_>) = out.into_iter().partition(|diagnostic| !diagnostic.is_error());
    match project {
        Some(project) if errors.is_empty() => Ok(Dependencies {
            name: project.name,
            install_path: project.packages_install_path,
            listed_in: list.listed_in,
            packages: list.packages,
            digest: digest(&list.shapes),
            warnings,
        }),
        Some(_) | None => Err(errors),
    }
}

/// Reads the lock of a project; `None` where it has none.
///
/// # Errors
/// What is wrong with it.
pub fn load_lock(folder: &Path, vars: &Map<String, Json>, sources: &Sources) -> Result<Option<Lock>, Vec<Diagnostic>> {
    let path = folder.join(LOCK_FILE);
    if !files::is_file(&path) {
        return Ok(None);
    }
    let mut out = Diagnostics::new();
    let renderer = TextRenderer::new(vars.clone());
    let lock = read_yaml(&path, LOCK_FILE, sources, &mut out).map(|(_, yaml)| {
        let digest = yaml.get("sha1_hash").and_then(Yaml::scalar_text);
        let list = read_entries(&yaml, LOCK_FILE, &renderer, &mut out);
        Lock { packages: list.into_iter().map(|(package, _)| package).collect(), digest }
    });
    if out.iter().any(Diagnostic::is_error) { Err(out) } else { Ok(lock) }
}

#[derive(Default)]
pub(super) struct List {
    pub listed_in: &'static str,
    pub packages: Vec<PackageDecl>,
    shapes: Vec<Json>,
}

/// The list of a folder. What is wrong with it is reported.
pub(super) fn read_list(folder: &Path, prefix: &str, renderer: &TextRenderer, sources: &Sources, out: &mut Diagnostics) -> List {
    let mut list = List { listed_in: PACKAGE_FILES[0], ..List::default() };
    let mut first: Option<Span> = None;
    for name in PACKAGE_FILES {
        let path = folder.join(name);
        if !files::is_file(&path) {
            continue;
        }
        let Some((_, yaml)) = read_yaml(&path, &format!("{prefix}{name}"), sources, out) else { continue };
        entries(&yaml, &format!("`{name}`"), out);
        if let Some((key, _)) = yaml.entries().iter().find(|(key, _)| key.value == "projects") {
            let message = "references across projects (`projects`) are not available";
            out.push(Diagnostic::warning(Code::NotAvailable, message).at(key.span, "listed here").help("list the other project under `packages`"));
        }
        let Some((key, _)) = yaml.entries().iter().find(|(key, _)| key.value == "packages") else { continue };
        if let Some(first) = first {
            let message = "`packages` stands in both `packages.yml` and `dependencies.yml`";
            out.push(Diagnostic::error(Code::DuplicateKey, message).at(key.span, "again here").also(first, "first here").help("keep one of the two"));
            continue;
        }
        first = Some(key.span);
        list.listed_in = name;
        (list.packages, list.shapes) = read_entries(&yaml, name, renderer, out).into_iter().unzip();
    }
    list
}

fn read_entries(yaml: &Yaml, file: &str, renderer: &TextRenderer, out: &mut Diagnostics) -> Vec<(PackageDecl, Json)> {
    let Some(list) = yaml.get("packages") else { return Vec::new() };
    let mut found = Vec::new();
    for item in items(list, &format!("`packages` of `{file}`"), out) {
        let rendered = renderer.yaml(item, out);
        found.extend(read_entry(item, &rendered, out).map(|decl| {
            let shape = shape(&rendered, item, &decl);
            (decl, shape)
        }));
    }
    found
}

const KINDS: [&str; 5] = ["package", "git", "local", "tarball", "private"];

fn read_entry(item: &Yaml, rendered: &Yaml, out: &mut Diagnostics) -> Option<PackageDecl> {
    let before = out.len();
    let mut reader = MapReader::new(rendered, "an entry of `packages`", out);
    let kinds = KINDS.map(|kind| (kind, reader.string(kind)));
    let found: Vec<_> = kinds.into_iter().filter_map(|(kind, text)| Some((kind, text?))).collect();
    let [(kind, value)] = found.as_slice() else {
        if reader.out.len() == before {
            let message =
                if found.is_empty() { "an entry of `packages` says nothing of where from" } else { "an entry of `packages` has two origins" };
            let diagnostic = Diagnostic::error(Code::YamlType, message).at(super::reader::beginning(item.span), "this entry");
            reader.out.push(diagnostic.help("give one of `package`, `git`, `local`, `tarball` and `private`"));
        }
        return None;
    };
    let name = reader.string("name");
    let revision = reader.string("revision").map(|text| text.value);
    let subdirectory = reader.string("subdirectory").map(|text| text.value);
    let warn_unpinned = [reader.bool("warn-unpinned"), reader.bool("warn_unpinned")].into_iter().flatten().all(|warn| warn);
    let provider = reader.string("provider").map(|text| text.value);
    let versions = reader.strings("version");
    let prerelease = [reader.bool("install_prerelease"), reader.bool("install-prerelease")].into_iter().flatten().any(|yes| yes);
    reader.finish();
    let git = |url: String| GitSource { url, revision, subdirectory, warn_unpinned, private: *kind == "private", provider };
    let source = match *kind {
        "package" => hub(value, versions, prerelease, out)?,
        "git" => PackageSource::Git(git(value.value.clone())),
        "private" => PackageSource::Git(private(git(String::new()), value, out)?),
        "tarball" => {
            if name.is_none() {
                let message = format!("the tarball `{}` lacks `name`", written(item, kind));
                out.push(
                    Diagnostic::error(Code::YamlType, message).at(value.span, "this entry").help("add `name:` with the name of the project in it"),
                );
                return None;
            }
            PackageSource::Tarball { url: value.value.clone() }
        }
        _ => PackageSource::Local { path: value.value.clone() },
    };
    Some(PackageDecl { span: value.span, entry: item.span, text: written(item, kind), name: name.map(|name| name.value), source })
}

fn written(item: &Yaml, kind: &str) -> String {
    item.get(kind).and_then(Yaml::scalar_text).unwrap_or_default()
}

fn hub(value: &Spanned<String>, versions: Option<Vec<Spanned<String>>>, prerelease: bool, out: &mut Diagnostics) -> Option<PackageSource> {
    let message = if !value.value.contains('/') {
        format!("`{}` is no package of a hub, whose names are `owner/name`", value.value)
    } else if versions.as_ref().is_none_or(Vec::is_empty) {
        format!("the package `{}` lacks `version`", value.value)
    } else {
        let parts = versions.into_iter().flatten().flat_map(|version| {
            let parts: Vec<_> = version.value.split(',').map(|part| Spanned::new(part.trim().to_owned(), version.span)).collect();
            parts
        });
        return Some(PackageSource::Hub { package: value.value.clone(), versions: parts.collect(), prerelease });
    };
    let help = "e.g. `package: dbt-labs/dbt_utils` with `version: [\">=1.0.0\", \"<2.0.0\"]`";
    out.push(Diagnostic::error(Code::YamlType, message).at(value.span, "listed here").help(help));
    None
}

/// The address of a private repository, which git reaches with the user's own key.
fn private(source: GitSource, value: &Spanned<String>, out: &mut Diagnostics) -> Option<GitSource> {
    let host = match source.provider.as_deref().unwrap_or("github") {
        "github" => "git@github.com:",
        "gitlab" => "git@gitlab.com:",
        "ado" | "azure_devops" => "git@ssh.dev.azure.com:v3/",
        other => {
            let message = format!("`{other}` is no provider of private packages");
            out.push(
                Diagnostic::error(Code::YamlType, message).at(value.span, "this package").help("the providers are github, gitlab and azure_devops"),
            );
            return None;
        }
    };
    let ending = if host.ends_with("v3/") { "" } else { ".git" };
    Some(GitSource { url: format!("{host}{}{ending}", value.value), ..source })
}

/// An entry as dbt writes it before it takes the digest: rendered, with what is absent as null where dbt has it so, and
/// as it is written under `unrendered`.
fn shape(rendered: &Yaml, item: &Yaml, decl: &PackageDecl) -> Json {
    let mut map = rendered.to_json_map();
    map.insert("unrendered".into(), item.to_json());
    match &decl.source {
        PackageSource::Hub { prerelease, .. } => {
            map.insert("install_prerelease".into(), Json::from(*prerelease));
        }
        PackageSource::Git(source) => {
            let optional = if source.private { ["provider", "revision", "subdirectory", "warn-unpinned"] } else { ["revision"; 4] };
            for key in optional.into_iter().chain(["subdirectory", "warn-unpinned"]) {
                map.entry(key).or_insert(Json::Null);
            }
        }
        PackageSource::Tarball { .. } | PackageSource::Local { .. } => {}
    }
    Json::Object(map)
}

/// SHA-1, hexadecimal, of the entries as Python writes them as JSON, sorted.
fn digest(shapes: &[Json]) -> String {
    let mut texts: Vec<String> = shapes.iter().map(python_json).collect();
    texts.sort();
    Sha1::digest(texts.join("\n").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON as Python's `json.dumps(.., sort_keys=True)` writes it.
fn python_json(json: &Json) -> String {
    match json {
        Json::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{}: {}", python_text(key), python_json(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Json::String(text) => python_text(text),
        Json::Null | Json::Bool(_) | Json::Number(_) => json.to_string(),
    }
}

/// A text in quotes, with everything beyond ASCII escaped.
fn python_text(text: &str) -> String {
    let quoted = Json::from(text).to_string();
    let mut result = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        if c.is_ascii() {
            result.push(c);
        } else {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(result, "\\u{unit:04x}");
            }
        }
    }
    result
}

/// Where in a file of packages an entry of the same package stands, and where the next one may be put.
///
/// Used to add a package to a file without touching what else stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSlots {
    /// The entries: where each begins, and the value of its key.
    pub entries: Vec<(Span, String)>,
    /// Whether the file has a list in block style, or none at all.
    pub block: bool,
}

/// Reads where the entries of a text of packages stand.
///
/// # Errors
/// If the text is not YAML, or its list is no list.
pub fn package_slots(sources: &Sources, path: &Path, shown: &str) -> Result<PackageSlots, Vec<Diagnostic>> {
    let mut out = Diagnostics::new();
    let Some((file, yaml)) = read_yaml(path, shown, sources, &mut out) else { return Err(out) };
    let Some(list) = yaml.get("packages").filter(|list| !list.is_null()) else {
        return Ok(PackageSlots { entries: Vec::new(), block: yaml.get("packages").is_none_or(Yaml::is_null) });
    };
    let found = items(list, &format!("`packages` of `{shown}`"), &mut out);
    if !out.is_empty() {
        return Err(out);
    }
    let text = sources.file(file);
    let block = !text.text.get(list.span.start as usize..).is_some_and(|text| text.starts_with('['));
    let key = |item: &Yaml| KINDS.iter().find_map(|kind| item.get(kind)).and_then(Yaml::scalar_text).unwrap_or_default();
    let entries = found.iter().map(|item| (item.span, key(item))).collect();
    let empty = matches!(&list.value, YamlValue::Seq(items) if items.is_empty());
    Ok(PackageSlots { entries, block: block || empty })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> (Vec<PackageDecl>, String) {
        let sources = Sources::new();
        let folder = tempfile::tempdir().unwrap();
        files::write_text(&folder.path().join("dbt_project.yml"), "name: main\n").unwrap();
        files::write_text(&folder.path().join("packages.yml"), text).unwrap();
        let found = load_dependencies(folder.path(), "", &Map::new(), &sources).unwrap();
        (found.packages, found.digest)
    }

    #[test]
    fn the_digest_is_the_one_that_dbt_writes() {
        let text = r#"packages:
  - local: ../loc
  - git: "file:///srv/gitp"
    revision: v1
    subdirectory: sub
  - tarball: http://127.0.0.1:8765/files/tarp.tgz
    name: tarp
  - package: acme/hubp
    version: [">=1.0.0", "<2.0.0"]
"#;
        assert_eq!(list(text).1, "124382cab571cef04446cbeaf4df7b18f01b2929");
        assert_eq!(list("packages: [{private: acme/tools}, {git: ü, revision: 1.0}]\n").1, "f0f99861cbc1d0dcdc532eda47474c3d8b5120da");
        assert_eq!(list("packages: [{local: ../}]\n").1, list("packages:\n  - local: ../\n").1);
    }

    #[test]
    fn a_private_repository_is_reached_with_the_key_of_the_user() {
        let (packages, _) = list("packages:\n  - private: acme/tools\n    provider: gitlab\n  - private: acme/tools\n");
        let urls: Vec<_> = packages
            .iter()
            .map(|package| match &package.source {
                PackageSource::Git(source) => source.url.as_str(),
                PackageSource::Hub { .. } | PackageSource::Tarball { .. } | PackageSource::Local { .. } => "",
            })
            .collect();
        assert_eq!(urls, ["git@gitlab.com:acme/tools.git", "git@github.com:acme/tools.git"]);
    }

    #[test]
    fn texts_are_escaped_as_python_escapes_them() {
        assert_eq!(
            python_json(&serde_json::json!({"b": "ü😀\n", "a": [1, 0.9, null]})),
            "{\"a\": [1, 0.9, null], \"b\": \"\\u00fc\\ud83d\\ude00\\n\"}"
        );
    }
}
