//! Does something again whenever files of the project are saved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::session::cancel_on_interrupt;
use super::{Exit, Streams};
use crate::base::{Fingerprint, Fingerprinter, files};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// How long they must have been as they are: editors save in several steps, and `git checkout` many files.
const QUIET: Duration = Duration::from_millis(100);

/// Calls `round` now and after every change below `folder`, until Ctrl-C. The files are looked at by their length and time,
/// which works on every file system. What lies below the folders that `written` names, hidden files and Delta tables are no
/// part of the project.
pub(super) async fn watch(folder: &Path, written: impl Fn() -> Vec<PathBuf>, streams: &Streams, mut round: impl AsyncFnMut() -> Exit) -> Exit {
    let stop = cancel_on_interrupt();
    loop {
        // Taken before, so that what is saved meanwhile is not missed.
        let seen = state(folder, &written());
        let exit = round().await;
        // A round that is told of another target folder by the project file writes there.
        let except = written();
        streams.complain("watching for changes, Ctrl-C ends it\n");
        loop {
            if wait(PERIOD, &stop).await {
                return exit;
            }
            let mut now = state(folder, &except);
            if now == seen {
                continue;
            }
            loop {
                if wait(QUIET, &stop).await {
                    return exit;
                }
                let then = std::mem::replace(&mut now, state(folder, &except));
                if now == then {
                    break;
                }
            }
            break;
        }
    }
}

/// Whether the end was asked for before the time was over.
async fn wait(time: Duration, stop: &tokio_util::sync::CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(time) => false,
    }
}

fn state(folder: &Path, except: &[PathBuf]) -> Fingerprint {
    let mut of = Fingerprinter::new("files");
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = files::list(&folder).unwrap_or_default();
        if entries.iter().any(|path| path.ends_with("_delta_log")) {
            continue;
        }
        for path in entries {
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if hidden || except.contains(&path) {
                continue;
            }
            // A link to a folder might lead back here; its own time tells when it is changed.
            if files::is_dir(&path) && !path.is_symlink() {
                open.push(path);
            } else {
                of.add(&path).add(&files::stamp(&path));
            }
        }
    }
    of.finish()
}
