//! Unpacking a package's archive, which nobody vouches for: nothing is written outside of its folder, links are left
//! out, and size and number of files are bounded.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::base::files::{self, FileError};

/// What an archive may unpack to, in bytes.
const SIZE_LIMIT: u64 = 1 << 30;
const FILE_LIMIT: usize = 100_000;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("it is no tar archive: {0}")]
    Unreadable(std::io::Error),
    #[error("the path `{0}` in it leads out of its folder")]
    Outside(String),
    #[error("it has `{0}` and `{1}` side by side, and a package is one folder")]
    SeveralFolders(String, String),
    #[error("it has no files")]
    Empty,
    #[error("it unpacks to more than {} MiB or {FILE_LIMIT} files", SIZE_LIMIT >> 20)]
    TooLarge,
    #[error(transparent)]
    File(#[from] FileError),
}

/// Unpacks a tar archive, compressed or not, without the one folder that it holds everything in.
pub(super) fn unpack(bytes: &[u8], into: &Path) -> Result<(), ArchiveError> {
    let compressed = bytes.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn std::io::Read + '_> = if compressed { Box::new(GzDecoder::new(bytes)) } else { Box::new(bytes) };
    // A compressed bomb ends the reading, not the memory.
    let mut archive = Archive::new(reader.take(SIZE_LIMIT + (64 << 20)));
    let (mut top, mut size, mut count): (Option<String>, u64, usize) = (None, 0, 0);
    for entry in archive.entries().map_err(ArchiveError::Unreadable)? {
        let mut entry = entry.map_err(ArchiveError::Unreadable)?;
        let kind = entry.header().entry_type();
        if !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Directory) {
            continue;
        }
        let path = entry.path().map_err(ArchiveError::Unreadable)?.into_owned();
        let Some((folder, below)) = inside(&path)? else { continue };
        let first = top.get_or_insert_with(|| folder.clone());
        if *first != folder {
            return Err(ArchiveError::SeveralFolders(first.clone(), folder));
        }
        if kind == EntryType::Directory || below.as_os_str().is_empty() {
            continue;
        }
        (size, count) = (size.saturating_add(entry.size()), count + 1);
        if size > SIZE_LIMIT || count > FILE_LIMIT {
            return Err(ArchiveError::TooLarge);
        }
        files::write_from(&into.join(below), &mut entry)?;
    }
    if count == 0 { Err(ArchiveError::Empty) } else { Ok(()) }
}

/// The first folder of a path, and the rest; nothing for the archive's own root.
fn inside(path: &Path) -> Result<Option<(String, PathBuf)>, ArchiveError> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(ArchiveError::Outside(path.display().to_string())),
        }
    }
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Ok(None) };
    Ok(Some((first.to_string_lossy().into_owned(), parts.collect())))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An archive of files; the names are taken as they are.
    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in entries {
            let mut header = tar::Header::new_ustar();
            // `set_path` would refuse what these tests are about.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_are_laid_without_the_folder_around_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&archive(&[("p-1.0/dbt_project.yml", "name: p"), ("p-1.0/macros/a.sql", "x")])).unwrap();
        unpack(&encoder.finish().unwrap(), folder.path()).unwrap();
        assert_eq!(files::read_text(&folder.path().join("macros/a.sql")).unwrap(), "x");
        assert_eq!(files::read_text(&folder.path().join("dbt_project.yml")).unwrap(), "name: p");
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("in");
        for name in ["p/../../evil.sql", "/tmp/evil.sql", "../evil.sql"] {
            let error = unpack(&archive(&[(name, "x")]), &into).unwrap_err();
            assert!(matches!(error, ArchiveError::Outside(_)), "{name}: {error}");
        }
        assert!(!folder.path().join("evil.sql").exists());
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(unpack(b"not an archive", folder.path()), Err(ArchiveError::Unreadable(_) | ArchiveError::Empty)));
        assert!(matches!(unpack(&archive(&[]), folder.path()), Err(ArchiveError::Empty)));
        let error = unpack(&archive(&[("a/x", "1"), ("b/x", "2")]), folder.path()).unwrap_err();
        assert!(matches!(error, ArchiveError::SeveralFolders(..)), "{error}");
    }

    #[test]
    fn links_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "p/link", "/etc/passwd").unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        builder.append_data(&mut header, "p/file", &b"x"[..]).unwrap();
        unpack(&builder.into_inner().unwrap(), folder.path()).unwrap();
        assert!(folder.path().join("file").exists() && !folder.path().join("link").exists());
    }
}
