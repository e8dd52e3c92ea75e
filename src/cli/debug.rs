//! `debug`: what was found, which target, and whether the warehouse can be written. Everything is looked at, whatever
//! else is wrong, and said in dbt's words.

use super::args::{DebugOptions, Global};
use super::session::{Session, Stop};
use super::{Exit, Invocation, Streams};
use crate::base::{Diagnostic, Event, Heard, files};
use crate::engine::local::memory_for_queries;
use crate::load::{Target, profiles_file, project_file};

pub(super) async fn debug(options: &DebugOptions, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let session = match Session::start("debug", global, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    if let Some(folder) = global.project_dir.as_ref().filter(|_| !files::is_dir(&session.project_dir)) {
        return session.fail(&format!("the folder `{}`, which --project-dir names, does not exist", folder.display())).0;
    }
    let profiles = profiles_file(session.load_options());
    let say = |text: String| session.events.send(&Event::Message { text, heard: Heard::Terminal, node: None });
    if options.config_dir {
        let asked = session.load_options().profiles_dir.as_deref();
        let folder = asked.or_else(|| profiles.as_deref()?.parent()).unwrap_or(&session.project_dir);
        say(format!("To view your profiles.yml file, look in {}", folder.display()));
        return session.complete(Exit::Fine);
    }
    let mut found = Checks { session: &session, failed: Vec::new() };
    say(format!("alluvium version: {}", env!("CARGO_PKG_VERSION")));
    say(format!("os info: {} {}", std::env::consts::OS, std::env::consts::ARCH));
    if let Some(profiles) = &profiles {
        say(format!("Using profiles dir at {}", profiles.parent().unwrap_or(profiles).display()));
        say(format!("Using profiles.yml file at {}", profiles.display()));
    }
    let target = session.check_target();
    if options.connection {
        say("Skipping steps before connection verification".into());
    } else {
        found.configuration(profiles.is_some(), target.as_ref().err());
    }
    match &target {
        Ok(target) => found.connection(target).await,
        Err(diagnostics) if options.connection => found.failed.extend(diagnostics.iter().cloned()),
        Err(_) => {}
    }
    found.conclude()
}

struct Checks<'a> {
    session: &'a Session,
    failed: Vec<Diagnostic>,
}

impl Checks<'_> {
    fn say(&self, text: String) {
        self.session.events.send(&Event::Message { text, heard: Heard::Terminal, node: None });
    }

    fn configuration(&mut self, has_profiles: bool, target: Option<&Vec<Diagnostic>>) {
        let file = project_file(&self.session.project_dir);
        let name = file.as_ref().and_then(|path| path.file_name()).map_or("dbt_project.yml".into(), |name| name.to_string_lossy().into_owned());
        if let Some(file) = &file {
            self.say(format!("Using {name} file at {}", file.display()));
        }
        let project = self.session.check_project();
        let about_profile = |diagnostic: &Diagnostic| has_profiles && diagnostic.code == crate::base::Code::ProfileInvalid;
        let profile_broken = target.is_some_and(|found| found.iter().any(about_profile));
        self.say("Configuration:".into());
        let profile = match (profile_broken, has_profiles) {
            (true, _) => "[ERROR invalid]",
            (false, true) => "[OK found and valid]",
            (false, false) => "[OK none, and none is needed]",
        };
        self.say(format!("  profiles.yml file {profile}"));
        let broken: Vec<Diagnostic> = project.as_ref().err().into_iter().flatten().filter(|found| !about_profile(found)).cloned().collect();
        let state = match (&file, broken.is_empty()) {
            (None, _) => "[ERROR not found]",
            (Some(_), true) => "[OK found and valid]",
            (Some(_), false) => "[ERROR invalid]",
        };
        self.say(format!("  {name} file {state}"));
        if let Ok(nodes) = &project {
            self.say(if *nodes == 1 { "  project [OK parses, 1 node]".into() } else { format!("  project [OK parses, {nodes} nodes]") });
        }
        self.failed.extend(broken);
        self.failed.extend(target.into_iter().flatten().filter(|found| about_profile(found)).cloned());
    }

    async fn connection(&mut self, target: &Target) {
        self.say("Connection:".into());
        self.say(format!("  target: {}", target.name));
        self.say(format!("  warehouse: {}", target.warehouse));
        self.say(format!("  schema: {}", target.schema));
        self.say(format!("  threads: {}", target.threads));
        let mebibytes = |limit: u64| format!("  memory limit: {} MiB", limit / (1 << 20));
        let of_machine = || memory_for_queries().map(|limit| format!("{}, four fifths of the machine's", mebibytes(limit)));
        self.say(target.memory_limit.map(mebibytes).or_else(of_machine).unwrap_or_else(|| "  memory limit: none".to_owned()));
        let written = match self.session.open_engine(target) {
            Ok(engine) => engine.probe().await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => self.say("  Connection test: [OK connection ok]".into()),
            Err(error) => {
                self.say("  Connection test: [ERROR]".into());
                self.failed.push(error.diagnostic(&target.warehouse, target.span.map(|span| (span, "this target"))));
            }
        }
    }

    fn conclude(self) -> Exit {
        if self.failed.is_empty() {
            self.say("All checks passed!".into());
            return self.session.complete(Exit::Fine);
        }
        let count = self.failed.len();
        self.say(if count == 1 { "1 check failed:".to_owned() } else { format!("{count} checks failed:") });
        for diagnostic in &self.failed {
            self.session.diagnosed(diagnostic);
        }
        self.session.complete(Exit::Failed)
    }
}
