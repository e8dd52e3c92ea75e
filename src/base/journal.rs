//! Journals of files that a process is writing on a local disk. Each is held by a lock as long as the process lives, so that
//! another one can tell what was left behind by a process that was killed from what is still being written.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A journal that this process writes.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// Creates a journal, with the folders on the way, and holds it until it is dropped.
    ///
    /// # Errors
    /// If it can't be created.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        // Where locks are not to be had, nobody else can take one and sweep either.
        let _ = file.try_lock();
        Ok(Self { file: Mutex::new(file) })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn note(&self, line: &str) -> std::io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes())
    }
}

/// A journal whose process is gone, held while it is worked through.
#[derive(Debug)]
pub struct Abandoned {
    path: PathBuf,
    _held: File,
    pub lines: Vec<String>,
}

impl Abandoned {
    /// Takes a journal that nobody holds; `None` where somebody does, or it is not there.
    #[must_use]
    pub fn take(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        // The last line may have been cut off.
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let lines = whole.lines().map(str::to_owned).collect();
        Some(Self { path: path.to_owned(), _held: file, lines })
    }

    /// Removes files below a folder, with what an upload that never ended has left beside them.
    pub fn remove_files(&self, folder: &Path, files: &[String]) {
        for file in files {
            let path = folder.join(file);
            let _ = std::fs::remove_file(&path);
            let mut part = path.into_os_string();
            part.push("#1");
            let _ = std::fs::remove_file(PathBuf::from(part));
        }
    }

    /// Removes the journal.
    pub fn end(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_taken_only_when_its_writer_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table/_staging-1");
        let journal = Journal::create(&path).unwrap();
        journal.note("base 3").unwrap();
        journal.note("part-1.parquet").unwrap();
        assert!(Abandoned::take(&path).is_none());
        std::fs::write(folder.path().join("table/part-1.parquet"), "rows").unwrap();
        drop(journal);
        let found = Abandoned::take(&path).unwrap();
        assert_eq!(found.lines, ["base 3", "part-1.parquet"]);
        assert!(Abandoned::take(&path).is_none());
        found.remove_files(&folder.path().join("table"), &found.lines[1..]);
        found.end();
        assert_eq!(std::fs::read_dir(folder.path().join("table")).unwrap().count(), 0);
    }
}
