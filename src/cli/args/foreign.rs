//! Options that stand behind every command, and that some commands have no use for: where they were typed, they were meant.

use clap::ArgMatches;
use clap::error::ErrorKind;
use clap::parser::ValueSource;

/// What selects nodes, by the names of the arguments.
const SELECTION: [&str; 6] = ["select", "models", "exclude", "selector", "resource_types", "exclude_resource_types"];
/// What says which rows are read.
const ROWS: [&str; 4] = ["sample", "event_time_start", "event_time_end", "empty"];
const BUILDING: [&str; 2] = ["full-refresh", "store-failures"];

/// The options of which a command makes nothing; all of them are refused by dbt too.
fn foreign(command: &str) -> &'static [&'static [&'static str]] {
    match command {
        "clean" | "debug" | "deps" | "docs serve" | "explain" | "init" | "parse" => &[&SELECTION, &ROWS, &BUILDING],
        "contract infer" | "run-operation" | "sql" => &[&SELECTION, &ROWS],
        "retry" => &[&SELECTION],
        "ls" | "source freshness" => &[&ROWS, &BUILDING],
        "clone" | "seed" => &[&ROWS, &["store-failures"]],
        "test" => &[&["sample", "event_time_start", "event_time_end"]],
        _ => &[],
    }
}

/// # Errors
/// If an option was typed that the command has no use for. What the environment sets is for all commands.
pub(super) fn refuse_foreign(matches: &ArgMatches) -> Result<(), clap::Error> {
    let (mut names, mut at) = (Vec::new(), matches);
    while let Some((name, below)) = at.subcommand() {
        names.push(name);
        at = below;
    }
    let command = names.join(" ");
    let typed = |name: &&&str| at.try_contains_id(name).is_ok() && at.value_source(name) == Some(ValueSource::CommandLine);
    match foreign(&command).iter().flat_map(|group| group.iter()).find(typed) {
        Some(name) => {
            let option = match *name {
                "resource_types" => "resource-type".to_owned(),
                "exclude_resource_types" => "exclude-resource-type".to_owned(),
                other => other.replace('_', "-"),
            };
            let message = format!("`{command}` takes no --{option}: it would have no effect\n");
            Err(clap::Error::raw(ErrorKind::UnknownArgument, message))
        }
        None => Ok(()),
    }
}
