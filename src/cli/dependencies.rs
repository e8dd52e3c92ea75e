//! `deps`: installs the packages that the project lists.

use super::args::{AddedFrom, DepsArguments, Global};
use super::session::{Session, Stop};
use super::{Exit, Invocation, Streams};
use crate::base::{Event, Heard};
use crate::deps::{Addition, AdditionSource, DEFAULT_HUB, DepsError, DepsOptions, add_package, install_packages};
use crate::load::load_dependencies;

pub(super) async fn deps(options: &DepsArguments, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let session = match Session::start("deps", global, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    let carried_out = match add(options, &session) {
        Ok(()) => install(options, &session).await,
        Err(error) => Err(error),
    };
    match carried_out {
        Ok(()) => session.complete(Exit::Fine),
        Err(DepsError::Diagnosed(found)) => session.report(&found).0,
        Err(DepsError::File(error)) => session.fail(&error.to_string()).0,
    }
}

/// `--add-package`.
fn add(options: &DepsArguments, session: &Session) -> Result<(), DepsError> {
    let Some(text) = &options.add_package else { return Ok(()) };
    let source = match options.source {
        AddedFrom::Hub => AdditionSource::Hub,
        AddedFrom::Git => AdditionSource::Git,
        AddedFrom::Local => AdditionSource::Local,
    };
    // The address of a repository may have an `@` of its own.
    let split = text.rsplit_once('@').filter(|(_, version)| !version.contains(['/', ':']));
    let (name, version) = split.map_or((text.as_str(), None), |(name, version)| (name, Some(version.to_owned())));
    let addition = Addition { name: name.to_owned(), version: version.clone(), source };
    let listed = load_dependencies(&session.project_dir, "", &session.load_options().vars, &session.sources)?.listed_in;
    for replaced in add_package(&session.project_dir, &addition, listed, &session.sources)? {
        say(session, format!("Found duplicate package in {listed}, removing: {replaced}"));
    }
    let version = version.map_or_else(String::new, |version| format!("@{version}"));
    say(session, format!("Added new package {name}{version} to {}", session.project_dir.join(listed).display()));
    Ok(())
}

async fn install(options: &DepsArguments, session: &Session) -> Result<(), DepsError> {
    let hub = std::env::var("DBT_PACKAGE_HUB_URL").ok().filter(|url| !url.is_empty());
    let options = DepsOptions {
        project_dir: session.project_dir.clone(),
        vars: session.load_options().vars.clone(),
        hub: hub.unwrap_or_else(|| DEFAULT_HUB.to_owned()),
        upgrade: options.upgrade || options.add_package.is_some(),
        lock_only: options.lock,
    };
    let warnings = install_packages(&options, &session.sources, &|line| say(session, line)).await?;
    for warning in &warnings {
        session.diagnosed(warning);
    }
    Ok(())
}

fn say(session: &Session, text: String) {
    session.events.send(&Event::Message { text, heard: Heard::Terminal, node: None });
}
