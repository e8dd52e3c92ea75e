//! `debug`: what was found, which target, and whether the warehouse can be written.

use super::args::Global;
use super::session::{Session, Stop};
use super::{Exit, Invocation, Streams};
use crate::base::{Event, files};
use crate::load::Target;

pub(super) async fn debug(global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let session = match Session::start("debug", global, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    let say = |text: String| session.events.send(&Event::Message { text, info: true, node: None });
    say(format!("alluvium version: {}", env!("CARGO_PKG_VERSION")));
    say(format!("project folder: {}", session.project_dir.display()));
    let named = ["project.yml", "dbt_project.yml"].into_iter().find(|name| files::is_file(&session.project_dir.join(name)));
    say(named.map_or_else(|| "project file: none".to_owned(), |name| format!("project file: {name}")));
    let target = match session.target() {
        Ok(target) => target,
        Err(Stop(exit)) => return exit,
    };
    describe(&target, &say);
    let written = match session.engine(&target) {
        Ok(engine) => engine.probe().await,
        Err(Stop(exit)) => return exit,
    };
    match &written {
        Ok(()) => say("warehouse can be written: OK".into()),
        Err(error) => session.diagnosed(&error.diagnostic(&target.warehouse, target.span.map(|span| (span, "this target")))),
    }
    match session.project() {
        Ok(ready) => {
            let count = ready.project.nodes.len();
            say(format!("project `{}` parses: OK, {count} {}", ready.project.name, if count == 1 { "node" } else { "nodes" }));
        }
        Err(Stop(exit)) => return exit,
    }
    session.complete(if written.is_ok() { Exit::Fine } else { Exit::Failed })
}

fn describe(target: &Target, say: &dyn Fn(String)) {
    say(format!("target: {}", target.name));
    say(format!("warehouse: {}", target.warehouse));
    say(format!("schema: {}", target.schema));
    say(format!("threads: {}", target.threads));
    say(target.memory_limit.map_or_else(|| "memory limit: none".to_owned(), |limit| format!("memory limit: {} MiB", limit / (1 << 20))));
}
