//! `clean`: removes the target folder and what else the project file names.

use std::path::Path;

use super::args::Global;
use super::session::{Session, Stop};
use super::{Exit, Invocation, Streams};
use crate::base::{Event, files};

pub(super) fn clean(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let cleaned = Session::start("clean", global, &invocation, streams).and_then(|session| {
        let ready = session.project()?;
        let parsed = &ready.project.parsed;
        for folder in &parsed.root.project.clean_targets {
            let path = session.project_dir.join(folder);
            if !is_inside(&path, &session.project_dir) {
                return Err(session.fail(&format!("`{folder}` of clean-targets is not a folder inside of the project, so nothing more is removed")));
            }
            files::remove_dir(&path).map_err(|error| session.fail(&error.to_string()))?;
            session.events.send(&Event::Message { text: format!("Cleaned {folder}/"), info: true, node: None });
        }
        Ok(session.complete(Exit::Fine))
    });
    cleaned.unwrap_or_else(|Stop(exit)| exit)
}

/// Whether a folder lies below another, links and `..` resolved.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    let (path, folder) = (files::absolute(path), files::absolute(folder));
    !climbs && path.starts_with(&folder) && path != folder
}
