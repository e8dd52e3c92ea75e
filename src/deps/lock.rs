//! `package-lock.yml`, in dbt's shape, so that both programs can share it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::choose::{Pin, Pinned};
use crate::base::files::{self, FileError};
use crate::load::{LOCK_FILE, PackageSource};

/// Writes the lock and gives its path.
pub(super) fn write(project: &Path, pins: &[Pin], digest: &str) -> Result<PathBuf, FileError> {
    let mut text = String::from("packages:\n");
    for pin in pins {
        for (index, (key, value)) in entry(pin).into_iter().enumerate() {
            let _ = writeln!(text, "  {} {key}: {}", if index == 0 { "-" } else { " " }, scalar(&value));
        }
    }
    let _ = writeln!(text, "sha1_hash: {}", scalar(digest));
    let path = project.join(LOCK_FILE);
    files::write_text(&path, &text)?;
    Ok(path)
}

/// The keys of an entry, sorted.
fn entry(pin: &Pin) -> BTreeMap<&'static str, String> {
    let mut keys = BTreeMap::from([("name", pin.name.clone())]);
    match (&pin.pinned, &pin.decl.source) {
        (Pinned::Hub { version, .. }, _) => {
            keys.insert("package", pin.decl.text.clone());
            keys.insert("version", version.clone());
        }
        (Pinned::Git { commit, .. }, source) => {
            keys.insert("revision", commit.clone());
            let source = if let PackageSource::Git(source) = source { Some(source) } else { None };
            keys.insert(if source.is_some_and(|source| source.private) { "private" } else { "git" }, pin.decl.text.clone());
            keys.extend(source.and_then(|source| source.provider.clone()).map(|provider| ("provider", provider)));
            keys.extend(source.and_then(|source| source.subdirectory.clone()).map(|folder| ("subdirectory", folder)));
        }
        (Pinned::Tarball { .. }, _) => {
            keys.insert("tarball", pin.decl.text.clone());
        }
        (Pinned::Local { shown, .. }, _) => {
            keys.insert("local", shown.clone());
        }
    }
    keys
}

/// A text as YAML reads it back: plain where that is certain, else quoted.
pub(super) fn scalar(text: &str) -> String {
    let letters = |c: char| c.is_alphanumeric() || "_-./+@~".contains(c);
    let starts = text.starts_with(|c: char| c.is_alphanumeric() || "_./".contains(c));
    let colons = text.matches(':').count()
        == text.match_indices(':').filter(|(at, _)| text.get(at + 1..).is_some_and(|rest| rest.starts_with(letters))).count();
    let plain = starts && colons && text.chars().all(|c| letters(c) || c == ':');
    // What looks like a number, a time, a truth value or nothing would be read as that.
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.chars().all(|c| c.is_ascii_hexdigit() || ".:_+-xo".contains(c));
    let version = text.split('.').count() > 2 && !text.contains(':');
    let commit = text.len() == 40 && text.chars().any(|c| c.is_ascii_alphabetic() && c != 'e');
    let ambiguous = words.contains(&text.to_lowercase().as_str()) || (numeric && !version && !commit);
    if plain && !ambiguous { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_as_texts() {
        let texts = [
            "1.1.0",
            "1.0",
            "1e5",
            "04bd68856e6be354abd9030fc26bcd23aafe1ee3",
            "1111111111111111111111111111111111111111",
            "null",
            "../",
            "a: b",
            "{{ env_var('X') }}",
            "https://x.org/a.git",
            "git@github.com:a/b.git",
            "",
            "yes",
            "dbt-labs/dbt_utils",
            "10:30",
            "1.1.0-b1",
            "# no",
        ];
        for text in texts {
            let read = crate::load::yaml_json(&format!("key: {}\n", scalar(text))).unwrap();
            assert_eq!(read["key"], serde_json::json!(text), "{}", scalar(text));
        }
        assert_eq!([scalar("1.1.0"), scalar("../"), scalar("https://x.org/a.git")], ["1.1.0", "../", "https://x.org/a.git"]);
    }
}
