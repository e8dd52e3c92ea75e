//! Runs the program: in this process, or as a process of its own where the environment matters.

use std::path::Path;
use std::sync::Arc;

use alluvium::base::SystemClock;
use alluvium::cli::{Finished, Invocation, invoke};

/// Runs `alluvium` with these arguments in a folder, within this process.
pub fn alluvium(folder: &Path, args: &[String], stdin: &str) -> Finished {
    invoke(Invocation {
        args: args.iter().map(Into::into).collect(),
        current_dir: folder.to_owned(),
        stdin: Box::new(std::io::Cursor::new(stdin.as_bytes().to_vec())),
        clock: Arc::new(SystemClock),
    })
}

/// Runs the built binary with further environment variables.
pub fn spawned(folder: &Path, args: &[String], env: &[(String, String)]) -> Finished {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_alluvium"));
    let done = command.args(args).current_dir(folder).envs(env.iter().cloned()).stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished {
        exit_code: done.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255),
        stdout: text(&done.stdout),
        stderr: text(&done.stderr),
    }
}
