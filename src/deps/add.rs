//! `deps --add-package`: one more entry in the file of packages. What else stands in the file stays as it is, but for
//! entries of the same package, which the new one replaces.

use std::fmt::Write as _;
use std::path::Path;

use super::DepsError;
use super::lock::scalar;
use crate::base::{Code, Diagnostic, Sources, Span, files};
use crate::load::{PackageSlots, package_slots};

/// Where an added package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdditionSource {
    Hub,
    Git,
    Local,
}

/// A package to add.
#[derive(Debug, Clone)]
pub struct Addition {
    pub name: String,
    /// A version, a range as `>=1.0.0,<2.0.0`, or a revision.
    pub version: Option<String>,
    pub source: AdditionSource,
}

/// Adds a package to the file that lists them, `packages.yml` where there is none. Gives the file's name, and the
/// packages whose entries were replaced.
///
/// # Errors
/// If the file can't be read or written, or has its list in a form that can't be added to.
pub fn add_package(folder: &Path, addition: &Addition, listed_in: &'static str, sources: &Sources) -> Result<Vec<String>, DepsError> {
    let path = folder.join(listed_in);
    if !files::is_file(&path) {
        files::write_text(&path, &format!("packages:\n{}", entry(addition, "  ")))?;
        return Ok(Vec::new());
    }
    let slots = package_slots(sources, &path, listed_in)?;
    let text = files::read_text(&path)?;
    if !slots.block {
        let file = sources.add(listed_in, text.as_str());
        let diagnostic = Diagnostic::error(Code::NotAvailable, format!("`packages` of `{listed_in}` is written in brackets, and can't be added to"));
        return Err(diagnostic.at(Span::file_start(file), "this file").help("write one package a line, each after `- `").into());
    }
    let (text, replaced) = with_entry(&text, &slots, addition);
    files::write_text(&path, &text)?;
    Ok(replaced)
}

fn with_entry(text: &str, slots: &PackageSlots, addition: &Addition) -> (String, Vec<String>) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let starts: Vec<usize> =
        slots.entries.iter().map(|(span, _)| text.get(..span.start as usize).map_or(0, |head| head.matches('\n').count())).collect();
    let indent =
        starts.first().and_then(|line| lines.get(*line)).map_or("  ", |line| line.get(..line.len() - line.trim_start().len()).unwrap_or("  "));
    // An entry reaches to the next one; the last, to the next line that is no part of the list.
    let last = starts.last().map(|start| {
        let deeper = |line: &&str| line.trim().is_empty() || line.len() - line.trim_start().len() > indent.len();
        start + 1 + lines.iter().skip(start + 1).take_while(|line| deeper(line)).filter(|line| !line.trim().is_empty()).count()
    });
    let mut result = String::new();
    let mut replaced = Vec::new();
    let mut added = false;
    for (number, line) in lines.iter().enumerate() {
        if Some(number) == last {
            result.push_str(&entry(addition, indent));
            added = true;
        }
        let at = starts.iter().rposition(|start| *start <= number).filter(|_| last.is_some_and(|last| number < last));
        let same = at.and_then(|at| slots.entries.get(at)).filter(|(_, key)| is_same(key, &addition.name));
        match same {
            Some((_, key)) => {
                if at.and_then(|at| starts.get(at)) == Some(&number) {
                    replaced.push(key.clone());
                }
            }
            None => result.push_str(line),
        }
    }
    if !added {
        if !result.is_empty() && !result.ends_with('\n') {
            result.push('\n');
        }
        if starts.is_empty() {
            // The list is empty or not there.
            result = result.lines().filter(|line| !line.trim_start().starts_with("packages:")).map(|line| format!("{line}\n")).collect();
            result.push_str("packages:\n");
        }
        result.push_str(&entry(addition, indent));
    }
    (result, replaced)
}

fn entry(addition: &Addition, indent: &str) -> String {
    let (kind, version_key) = match addition.source {
        AdditionSource::Hub => ("package", "version"),
        AdditionSource::Git => ("git", "revision"),
        AdditionSource::Local => ("local", "version"),
    };
    let mut text = format!("{indent}- {kind}: {}\n", scalar(&addition.name));
    if let Some(version) = addition.version.as_deref().filter(|_| addition.source != AdditionSource::Local) {
        let parts: Vec<&str> = version.split(',').map(str::trim).collect();
        let value = match parts.as_slice() {
            [one] => scalar(one),
            several => format!("[{}]", several.iter().map(|part| scalar(part)).collect::<Vec<_>>().join(", ")),
        };
        let _ = writeln!(text, "{indent}  {version_key}: {value}");
    }
    text
}

/// Whether two names mean one package: `-` and `_` are alike, and a repository is called as its package is.
fn is_same(listed: &str, added: &str) -> bool {
    let short = |name: &str| {
        let name = name.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        name.trim_end_matches(".git").replace('-', "_")
    };
    short(listed) == short(added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::PACKAGE_FILES;

    fn added(text: &str, name: &str, version: &str) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PACKAGE_FILES[0]);
        files::write_text(&path, text).unwrap();
        let addition = Addition { name: name.into(), version: Some(version.into()), source: AdditionSource::Hub };
        let replaced = add_package(folder.path(), &addition, PACKAGE_FILES[0], &Sources::new()).unwrap();
        (files::read_text(&path).unwrap(), replaced)
    }

    #[test]
    fn an_entry_is_added_and_the_rest_stays() {
        let (text, replaced) = added("# ours\npackages:\n- local: ../a # near\n\nother: 1\n", "acme/tools", ">=1.0.0,<2.0.0");
        assert_eq!(text, "# ours\npackages:\n- local: ../a # near\n- package: acme/tools\n  version: ['>=1.0.0', '<2.0.0']\n\nother: 1\n");
        assert!(replaced.is_empty());
    }

    #[test]
    fn an_entry_of_the_same_package_is_replaced() {
        let (text, replaced) =
            added("packages:\n  - git: https://x.org/acme/dbt-tools.git\n    revision: v1\n  - local: b", "acme/dbt_tools", "1.0.0");
        assert_eq!(text, "packages:\n  - local: b\n  - package: acme/dbt_tools\n    version: 1.0.0\n");
        assert_eq!(replaced, ["https://x.org/acme/dbt-tools.git"]);
    }

    #[test]
    fn an_empty_list_takes_its_first_entry() {
        assert_eq!(added("packages: []\n", "a/b", "1.0.0").0, "packages:\n  - package: a/b\n    version: 1.0.0\n");
        assert_eq!(added("", "a/b", "1.0.0").0, "packages:\n  - package: a/b\n    version: 1.0.0\n");
    }
}
