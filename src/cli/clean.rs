//! `clean`: removes the target folder and what else the project file names.

use std::path::Path;

use super::args::Global;
use super::session::{Session, Stop};
use super::{Exit, Invocation, Streams};
use crate::base::{Code, Diagnostic, Event, Heard, files};
use crate::load::ProjectPaths;

pub(super) fn clean(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let cleaned = Session::start("clean", global, &invocation, streams).and_then(|session| {
        let (project, target) = session.project_file()?;
        let found: Vec<Diagnostic> = project
            .clean_targets
            .iter()
            .filter_map(|folder| {
                let path = session.project_dir.join(&folder.value);
                let refused = |message: String, help: &str| {
                    Some(Diagnostic::error(Code::ConfigType, message).at(folder.span, "so nothing is removed").help(help))
                };
                if !is_inside(&path, &session.project_dir) {
                    let message = format!("`{}` of clean-targets is not a folder inside of the project", folder.value);
                    return refused(message, "name folders below the project that hold nothing but what a run makes");
                }
                let kept = kept_folders(&project.paths, &target.warehouse);
                let (kept, what) = kept.into_iter().find(|(kept, _)| overlap(&path, &session.project_dir.join(kept)))?;
                refused(format!("`{}` of clean-targets would remove {what} (`{kept}`)", folder.value), "take it out of clean-targets")
            })
            .collect();
        if !found.is_empty() {
            return Err(session.report(&found));
        }
        for folder in &project.clean_targets {
            let path = session.project_dir.join(&folder.value);
            files::remove_dir(&path).map_err(|error| session.fail(&error.to_string()))?;
            session.events.send(&Event::Message { text: format!("Cleaned {}/", folder.value), heard: Heard::Terminal, node: None });
        }
        Ok(session.complete(Exit::Fine))
    });
    cleaned.unwrap_or_else(|Stop(exit)| exit)
}

/// Folders that hold what cannot be made again, and what that is.
fn kept_folders<'a>(paths: &'a ProjectPaths, warehouse: &'a str) -> Vec<(&'a str, &'static str)> {
    let ProjectPaths { models, seeds, snapshots, tests, analyses, functions, macros, docs: _, assets } = paths;
    let named = [
        (models, "models"),
        (seeds, "seeds"),
        (snapshots, "snapshots"),
        (tests, "tests"),
        (analyses, "analyses"),
        (functions, "functions"),
        (macros, "macros"),
        (assets, "assets"),
    ];
    let folders = named.into_iter().flat_map(|(folders, what)| folders.iter().map(move |folder| (folder.as_str(), what)));
    let warehouse = warehouse.strip_prefix("file://").unwrap_or(warehouse);
    folders.chain(std::iter::once((warehouse, "the warehouse")).filter(|(warehouse, _)| !warehouse.contains("://"))).collect()
}

/// Whether one of two folders lies below the other, or they are the same.
fn overlap(one: &Path, other: &Path) -> bool {
    let (one, other) = (files::absolute(one), files::absolute(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// Whether a folder lies below another, links and `..` resolved.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    let (path, folder) = (files::absolute(path), files::absolute(folder));
    !climbs && path.starts_with(&folder) && path != folder
}
