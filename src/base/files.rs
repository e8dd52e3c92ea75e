//! The file system, for reading projects and writing artifacts. Warehouses never come through here: they are
//! reached by object store URIs.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A file of the project or of the target folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} `{}`: {source}", path.display())]
pub struct FileError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: std::io::Error,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    move |source| FileError { action, path: path.to_owned(), source }
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// If the file can't be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    let text = read_to_end(path).map_err(failed("read", path))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(stripped) => stripped.to_owned(),
        None => text,
    })
}

/// As `std::fs::read_to_string`, which asks for the length before it reads: of ten thousand small files that is a third of
/// the calls.
fn read_to_end(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut start = [0; 1 << 14];
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut bytes = start[..length].to_vec();
    if length == start.len() {
        file.read_to_end(&mut bytes)?;
    }
    String::from_utf8(bytes).map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

/// The bytes of a file.
///
/// # Errors
/// If the file can't be read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(failed("read", path))
}

/// What tells one state of a file from another: its length and the time of its last change; `None` where it is not there.
#[must_use]
pub fn stamp(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

#[must_use]
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

#[must_use]
pub fn is_dir(path: &Path) -> bool {
    path.is_dir()
}

/// The absolute form of a path with links resolved, or the path itself where it does not exist.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Writes a text, creating folders on the way. Readers see the old text or the new one, never a part: the text is
/// written beside the file and renamed.
///
/// # Errors
/// If a folder or the file can't be written.
pub fn write_text(path: &Path, text: &str) -> Result<(), FileError> {
    write_with(path, |out| out.write_all(text.as_bytes()))
}

/// Writes a file as `write_text` does, from what `fill` writes piece by piece.
///
/// # Errors
/// If the file or a folder above it can't be written.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::File::create(&aside).and_then(|file| {
        let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
        fill(&mut out)?;
        out.flush()
    });
    written.and_then(|()| std::fs::rename(&aside, path)).map_err(failed("write", path))
}

/// Puts bytes behind those of a file that is there, by one call where the system takes them all at once.
///
/// # Errors
/// If the file is not there or can't be written.
pub fn append_at_once(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let file = std::fs::OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).map_err(failed("write", path))
}

/// Makes a folder and those above it.
///
/// # Errors
/// If it can't be made.
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(failed("create", path))
}

/// Writes what a reader gives into a new file, creating folders on the way.
///
/// # Errors
/// If the file can't be written or the reader fails.
pub fn write_from(path: &Path, reader: &mut dyn std::io::Read) -> Result<(), FileError> {
    create_dir(path.parent().unwrap_or(Path::new(".")))?;
    let mut file = std::fs::File::create(path).map_err(failed("write", path))?;
    std::io::copy(reader, &mut file).map(drop).map_err(failed("write", path))
}

/// Makes `link` stand for a folder. Where links to folders can't be made, the folder is copied.
///
/// # Errors
/// If neither is possible.
pub fn link_dir(folder: &Path, link: &Path) -> Result<(), FileError> {
    create_dir(link.parent().unwrap_or(Path::new(".")))?;
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(folder, link);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_dir(folder, link);
    #[cfg(not(any(unix, windows)))]
    let linked: std::io::Result<()> = Err(std::io::ErrorKind::Unsupported.into());
    match linked {
        Ok(()) => Ok(()),
        Err(_) => copy_dir(folder, link),
    }
}

/// Copies a folder with everything below it, but for links.
///
/// # Errors
/// If something can't be read or written.
pub fn copy_dir(from: &Path, to: &Path) -> Result<(), FileError> {
    create_dir(to)?;
    for entry in list(from)?.into_iter().filter(|entry| !entry.is_symlink()) {
        let copy = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() {
            copy_dir(&entry, &copy)?;
        } else {
            std::fs::copy(&entry, &copy).map(drop).map_err(failed("copy", &entry))?;
        }
    }
    Ok(())
}

/// A file opened for appending, its folder created.
///
/// # Errors
/// If the folder or the file can't be written.
pub fn append(path: &Path) -> Result<impl std::io::Write + Send + use<>, FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed("open", path))?;
    Ok(std::io::LineWriter::new(file))
}

/// The size of a file in bytes; `None` where there is no such file.
#[must_use]
pub fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|data| data.len())
}

/// Gives a file or folder another name within its file system; a file that is there already is replaced.
///
/// # Errors
/// If that can't be done.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    std::fs::rename(from, to).map_err(failed("rename", from))
}

/// Writes bytes to standard output or the like, ignoring a reader that went away.
pub fn write_lossy(out: &mut dyn std::io::Write, text: &str) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Removes a folder and everything below it; a folder that is not there is fine.
///
/// # Errors
/// If something below it can't be removed.
pub fn remove_dir(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

/// Removes a folder and the folders below it as far as they hold no files; what can't be removed stays.
pub fn remove_empty_dirs(path: &Path) {
    for entry in list(path).unwrap_or_default() {
        if entry.is_dir() && !entry.is_symlink() {
            remove_empty_dirs(&entry);
        }
    }
    let _ = std::fs::remove_dir(path);
}

/// Entries of a folder, sorted by name; a folder that is not there has none.
///
/// # Errors
/// If the folder can't be read.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", path)(error)),
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed("list", path))?;
    paths.sort();
    Ok(paths)
}
