//! Repositories, through the `git` program: the user's own keys, proxies and settings hold.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crate::base::files;

/// Why a repository could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("the program `git` can't be run: {0}")]
    NoProgram(std::io::Error),
    #[error("{0}")]
    Failed(String),
}

/// Lays a revision (a tag, a branch, a commit; the default branch where none is given) into an empty folder and gives its
/// commit.
pub(super) fn checkout(url: &str, revision: Option<&str>, into: &Path) -> Result<String, GitError> {
    for text in [Some(url), revision].into_iter().flatten() {
        if text.starts_with('-') {
            return Err(GitError::Failed(format!("`{text}` is no address and no revision")));
        }
    }
    files::create_dir(into).map_err(|error| GitError::Failed(error.to_string()))?;
    git(into, &["init", "--quiet"])?;
    git(into, &["remote", "add", "origin", url])?;
    fetch(into, revision)?;
    Ok(git(into, &["rev-parse", "HEAD"])?.trim().to_owned())
}

fn fetch(into: &Path, revision: Option<&str>) -> Result<(), GitError> {
    let shallow = |reference: &str| {
        git(into, &["fetch", "--quiet", "--depth", "1", "origin", reference])?;
        git(into, &["checkout", "--quiet", "--detach", "FETCH_HEAD"])
    };
    let Some(revision) = revision else { return shallow("HEAD").map(drop) };
    // A tag is meant before a branch of the same name, as in dbt.
    let tag = format!("refs/tags/{revision}");
    if !is_commit(revision) && shallow(&tag).is_ok() {
        return Ok(());
    }
    let Err(first) = shallow(revision) else { return Ok(()) };
    // Servers may refuse to give a single commit, and a part of its name is none to them.
    if !revision.chars().all(|c| c.is_ascii_hexdigit()) || revision.len() < 7 {
        return Err(first);
    }
    git(into, &["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"])?;
    git(into, &["checkout", "--quiet", "--detach", revision]).map(drop)
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit())
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let mut command = Command::new("git");
    // Nobody is there to answer a question, and messages are read by a program.
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    let repository = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"];
    let output = repository.iter().fold(&mut command, |command, name| command.env_remove(name)).output().map_err(GitError::NoProgram)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let fatal = lines.iter().find(|line| line.starts_with("fatal:") || line.starts_with("error:")).or(lines.first());
    let reason = fatal.map_or("it gave no reason", |line| line.trim_start_matches("fatal: ").trim_start_matches("error: "));
    Err(GitError::Failed(format!("git says: {reason}")))
}
