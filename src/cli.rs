//! The command line: arguments, thin commands, printing, exit codes.

mod args;
mod artifacts;
mod build;
mod check;
mod clean;
mod clone;
mod console;
mod contract;
mod debug;
mod dependencies;
mod docs;
mod explain;
mod flags;
mod freshness;
mod init;
mod inspect;
mod lineage;
mod logfile;
mod narrate;
mod operation;
mod output;
mod record;
mod retry;
mod revision;
mod sample;
mod selecting;
mod session;
mod sources;
mod sql;
mod state;
mod warnings;
mod watch;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{Clock, STACK, SystemClock};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Fine,
    /// A node or a test failed.
    Failed,
    /// The project can't be loaded, parsed or compiled; wrong usage; Ctrl-C.
    Unusable,
}

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Unusable => 2,
        }
    }
}

/// Where a command prints to. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Streams {
    pub out: Stream,
    pub err: Stream,
    /// Whether `out` is a terminal.
    pub terminal: bool,
}

/// A shared writer.
pub(crate) type Stream = Arc<Mutex<dyn Write + Send>>;

impl Streams {
    pub(crate) fn print(&self, text: &str) {
        crate::base::files::write_lossy(&mut *self.out.lock().unwrap_or_else(PoisonError::into_inner), text);
    }

    pub(crate) fn complain(&self, text: &str) {
        crate::base::files::write_lossy(&mut *self.err.lock().unwrap_or_else(PoisonError::into_inner), text);
    }
}

/// One call of the program, with everything it takes from its surroundings.
pub struct Invocation {
    /// Without the program's name.
    pub args: Vec<OsString>,
    pub current_dir: PathBuf,
    pub stdin: Box<dyn std::io::Read + Send>,
    pub clock: Arc<dyn Clock>,
}

/// What a call printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub exit_code: u8,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program on the real terminal and gives its exit code.
#[must_use]
pub fn main() -> u8 {
    let invocation = Invocation {
        args: std::env::args_os().skip(1).collect(),
        current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        stdin: Box::new(std::io::stdin()),
        clock: Arc::new(SystemClock),
    };
    let streams = Streams {
        out: Arc::new(Mutex::new(std::io::stdout())),
        err: Arc::new(Mutex::new(std::io::stderr())),
        terminal: std::io::stdout().is_terminal(),
    };
    dispatch(invocation, &streams).code()
}

/// Runs the program within this process and captures what it prints; for tests and embedding.
#[must_use]
pub fn invoke(invocation: Invocation) -> Finished {
    let out = Arc::new(Mutex::new(Vec::<u8>::new()));
    let err = Arc::new(Mutex::new(Vec::<u8>::new()));
    let streams = Streams { out: out.clone(), err: err.clone(), terminal: false };
    let exit_code = dispatch(invocation, &streams).code();
    let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    Finished { exit_code, stdout: text(&out), stderr: text(&err) }
}

fn dispatch(invocation: Invocation, streams: &Streams) -> Exit {
    let words = std::iter::once(OsString::from("alluvium")).chain(invocation.args.iter().cloned());
    let arguments = match args::parse(words) {
        Ok(arguments) => arguments,
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => {
            streams.print(concat!("alluvium ", env!("CARGO_PKG_VERSION"), "\n"));
            return Exit::Fine;
        }
        Err(error) if error.use_stderr() => {
            streams.complain(&error.render().to_string());
            return Exit::Unusable;
        }
        Err(error) => {
            streams.print(&error.render().to_string());
            return Exit::Fine;
        }
    };
    let started = std::thread::scope(|scope| {
        let work = || {
            let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build()?;
            let exit = runtime.block_on(run_command(arguments, invocation, streams));
            // Tasks that were dropped may still have files to remove.
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
            Ok(exit)
        };
        let thread = std::thread::Builder::new().name("main".into()).stack_size(STACK).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    match started {
        Ok(exit) => exit,
        Err(error) => {
            let error: std::io::Error = error;
            streams.complain(&format!("can't start: {error}\n"));
            Exit::Unusable
        }
    }
}

async fn run_command(arguments: args::Arguments, invocation: Invocation, streams: &Streams) -> Exit {
    use args::{Command, DocsCommand, SourceCommand};
    let mut global = arguments.global;
    if let Command::Check(options) = &arguments.command
        && options.watch
    {
        return Box::pin(check::keep_checking(options, &global, &invocation, streams)).await;
    }
    if let Err(message) = flags::settle(&mut global, matches!(arguments.command, Command::Ls(_)), &invocation.current_dir) {
        streams.complain(&format!("error: {message}\n"));
        return Exit::Unusable;
    }
    match arguments.command {
        Command::Explain { code } => explain::explain(code.as_deref(), streams),
        Command::Init(options) => init::init(
            &options.name,
            &global.project_dir.map_or_else(|| invocation.current_dir.clone(), |dir| invocation.current_dir.join(dir)),
            streams,
        ),
        Command::Sql(options) => sql::sql(&options, &global, invocation, streams).await,
        Command::Debug(options) => debug::debug(&options, &global, invocation, streams).await,
        Command::Clean(_) => clean::clean(&global, invocation, streams),
        Command::Docs(DocsCommand::Generate(options)) => docs::generate(&options, &global, invocation, streams).await,
        Command::Docs(DocsCommand::Serve(_)) => docs::serve(streams),
        Command::Source(SourceCommand::Freshness(options)) => freshness::freshness(&options, &global, invocation, streams).await,
        Command::Retry => retry::retry(&global, invocation, streams).await,
        Command::Clone => clone::clone(&global, invocation, streams).await,
        Command::Deps(options) => dependencies::deps(&options, &global, invocation, streams).await,
        Command::Parse => inspect::parse(&global, invocation, streams),
        Command::Ls(options) => inspect::ls(&options, &global, invocation, streams),
        Command::Compile(options) => inspect::compile(&options, &global, invocation, streams).await,
        Command::Show(options) => inspect::show(&options, &global, invocation, streams).await,
        Command::RunOperation(options) => operation::run_operation(&options, &global, invocation, streams).await,
        Command::Check(options) => Box::pin(check::check(&options, &global, &invocation, streams)).await,
        Command::Contract { command: args::ContractCommand::Infer { model } } => contract::infer(&model, &global, invocation, streams).await,
        Command::Lineage(options) => lineage::lineage(&options, &global, invocation, streams).await,
        Command::Sources { command: args::SourcesCommand::Lock } => sources::lock(&global, invocation, streams).await,
        Command::Seed(options) => build::build(build::Kind::Seed { show: options.show }, &global, invocation, streams).await,
        Command::Snapshot => build::build(build::Kind::Snapshot, &global, invocation, streams).await,
        Command::Run => build::build(build::Kind::Run, &global, invocation, streams).await,
        Command::Test(options) => build::build(build::Kind::Test { skip_proved: options.skip_proved }, &global, invocation, streams).await,
        Command::Build(options) => build::build(build::Kind::Build { show: options.show }, &global, invocation, streams).await,
    }
}
