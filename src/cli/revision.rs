//! Another state of the project to compare with: a revision of its git repository, or a folder with a state's file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::files;

/// The files of a revision, in a folder of their own that is removed when this is dropped.
pub(super) struct Checkout {
    folder: PathBuf,
    /// The project's folder in it.
    pub project: PathBuf,
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // What stays behind stands below the target folder, which `clean` removes.
        let _ = files::remove_dir(&self.folder);
    }
}

/// Writes the files of a revision below `scratch`. The repository itself, its index and work tree stay as they are.
///
/// # Errors
/// If the project is in no git repository, there is no such revision, or git is not there; the text is for users.
pub(super) fn checkout(project: &Path, revision: &str, scratch: &Path) -> Result<Checkout, String> {
    let git = |arguments: &[&str], index: Option<&Path>| -> Result<String, String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(project).args(arguments);
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        let output = command.output().map_err(|error| format!("can't run git: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.lines().next().unwrap_or("git gave up").trim_start_matches("fatal: ").to_owned())
        }
    };
    let commit = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")], None)
        .map_err(|_| format!("`{revision}` is neither a folder nor a revision of this project's git repository"))?;
    let inside = git(&["rev-parse", "--show-prefix"], None)?;
    let top = git(&["rev-parse", "--show-toplevel"], None)?;
    let folder = scratch.join(format!("against-{}", std::process::id()));
    files::remove_dir(&folder).map_err(|error| error.to_string())?;
    files::create_dir(&folder.join("tree")).map_err(|error| error.to_string())?;
    let index = folder.join("index");
    let checkout = Checkout { project: folder.join("tree").join(inside.trim_end_matches('/')), folder };
    git(&["-C", &top, "read-tree", &commit], Some(&index))?;
    let prefix = format!("{}/", checkout.folder.join("tree").display());
    git(&["-C", &top, "checkout-index", "--all", "--force", &format!("--prefix={prefix}")], Some(&index))?;
    Ok(checkout)
}
