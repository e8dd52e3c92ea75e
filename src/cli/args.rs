//! The arguments, as clap reads them. Every global flag may stand before or behind the command.

mod check;
mod foreign;
mod options;
mod switches;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, Resettable};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub(crate) use check::{CheckOptions, ContractCommand, FailOn, LineageOptions, LineageOutput, ReportFormat, SourcesCommand, TestOptions};
use foreign::refuse_foreign;
pub(crate) use options::{
    AddedFrom, CleanOptions, CompileOptions, CompileOutput, DebugOptions, DepsArguments, DocsCommand, FreshnessOptions, GenerateOptions, InitOptions,
    ListOptions, ListOutput, OperationOptions, RowsOutput, SeedOptions, ShowOptions, SourceCommand, SqlOptions,
};
pub(crate) use switches::{Switch, Switches};

/// Builds tables and views from SQL models, on embedded DataFusion over Delta Lake.
#[derive(Debug, Parser)]
#[command(
    name = "alluvium",
    version,
    propagate_version = true,
    disable_version_flag = true,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
    /// Print the version
    #[arg(short = 'V', short_alias = 'v', long, global = true, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// Reads the words of a command line, the program's name first.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut command = with_environment(Arguments::command());
    let mut matches = command.try_get_matches_from_mut(words)?;
    refuse_foreign(&matches)?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// An option takes `DBT_ENGINE_X` before `DBT_X`, and a variable that is empty counts as not set; both as in dbt.
fn with_environment(command: clap::Command) -> clap::Command {
    let is_set = |name: &OsString| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let command = command.mut_args(|arg| {
        let Some(name) = arg.get_env().map(OsString::from) else { return arg };
        let newer = name.to_str().and_then(|name| name.strip_prefix("DBT_")).map(|rest| OsString::from(format!("DBT_ENGINE_{rest}")));
        match newer.filter(is_set) {
            Some(newer) => arg.env(newer),
            None if is_set(&name) || std::env::var_os(&name).is_none() => arg,
            None => arg.env(Resettable::Reset),
        }
    });
    command.mut_subcommands(with_environment)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a small project that runs at once
    Init(InitOptions),
    /// Show what was found, which target is used, and whether the warehouse can be written
    Debug(DebugOptions),
    /// Install the packages that the project lists
    Deps(DepsArguments),
    /// Read and resolve the project, and write the manifest
    Parse,
    /// Render and plan the selected nodes without running them, and write their SQL
    Compile(CompileOptions),
    /// Prove the selected nodes without reading data: refs, columns, types, contracts, rules
    Check(CheckOptions),
    /// Contracts of models
    Contract {
        #[command(subcommand)]
        command: ContractCommand,
    },
    /// Show where a column comes from, or what comes from it
    Lineage(LineageOptions),
    /// Note what sources look like, for checking without them
    Sources {
        #[command(subcommand)]
        command: SourcesCommand,
    },
    /// List the selected nodes
    #[command(alias = "list")]
    Ls(ListOptions),
    /// Load the selected seeds
    Seed(SeedOptions),
    /// Build the selected models
    Run,
    /// Run the selected data tests
    Test(TestOptions),
    /// Take the snapshots: note which rows changed
    Snapshot,
    /// Seeds, functions, models, snapshots and tests together, in the order of the graph
    Build(SeedOptions),
    /// Run again what failed or was skipped last time, with the same flags
    Retry,
    /// Make the selected nodes here out of what --state names: without reading their rows again
    Clone,
    /// Call a macro, which may run statements
    RunOperation(OperationOptions),
    /// Show rows of a model or of a query, without writing anything
    Show(ShowOptions),
    /// Whether sources are as fresh as they should be
    #[command(subcommand)]
    Source(SourceCommand),
    /// What the project documents, for other tools
    #[command(subcommand)]
    Docs(DocsCommand),
    /// Remove the target folder and what else clean-targets names
    Clean(CleanOptions),
    /// Explain a diagnostic's code, or list all codes
    Explain { code: Option<String> },
    /// Run SQL statements against the target
    Sql(SqlOptions),
}

/// What every command takes, before or behind its name.
#[derive(Debug, Args, Clone)]
pub(crate) struct Global {
    /// Folder of the project file; by default this folder or the nearest one above it
    #[arg(long, global = true, env = "DBT_PROJECT_DIR", value_name = "DIR")]
    pub project_dir: Option<PathBuf>,
    /// Folder of profiles.yml
    #[arg(long, global = true, env = "DBT_PROFILES_DIR", value_name = "DIR")]
    pub profiles_dir: Option<PathBuf>,
    /// Profile to use in place of the project's
    #[arg(long, global = true, env = "DBT_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// Target to build into
    #[arg(short, long, global = true, env = "DBT_TARGET", value_name = "NAME")]
    pub target: Option<String>,
    /// Folder or URI of the warehouse, whatever the target says
    #[arg(long, global = true, env = "ALLUVIUM_WAREHOUSE", value_name = "URI")]
    pub warehouse: Option<String>,
    #[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
    /// Variables as YAML, e.g. '{min_amount: 10}'
    #[arg(long, global = true, value_name = "YAML")]
    pub vars: Option<String>,
    /// Nodes to select: names, paths, method:value, with + and @
    #[arg(short, long, global = true, num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// As --select; for `ls`, only models
    #[arg(short, long, global = true, num_args = 1.., value_name = "SELECTOR", alias = "model")]
    pub models: Vec<String>,
    /// Nodes to leave out
    #[arg(long, global = true, num_args = 1.., value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// A selector of selectors.yml, in place of --select and --exclude
    #[arg(long, global = true, value_name = "NAME")]
    pub selector: Option<String>,
    /// Which tests come along with what they test [default: eager]
    #[arg(long, global = true, env = "DBT_INDIRECT_SELECTION", value_enum, ignore_case = true, value_name = "MODE")]
    pub indirect_selection: Option<IndirectSelection>,
    /// Only nodes of these types
    #[arg(long = "resource-type", alias = "resource-types", global = true, env = "DBT_RESOURCE_TYPES", num_args = 1.., value_name = "TYPE")]
    pub resource_types: Vec<String>,
    /// No nodes of these types
    #[arg(long = "exclude-resource-type", alias = "exclude-resource-types", global = true, env = "DBT_EXCLUDE_RESOURCE_TYPES", num_args = 1.., value_name = "TYPE")]
    pub exclude_resource_types: Vec<String>,
    /// Folder with the artifacts of another run: to compare with, to defer to, to clone
    #[arg(long, global = true, env = "DBT_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// As --state, for --defer alone
    #[arg(long, global = true, env = "DBT_DEFER_STATE", value_name = "DIR")]
    pub defer_state: Option<PathBuf>,
    /// Nodes that run side by side
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Microbatches from this time on, in UTC
    #[arg(long, global = true, env = "DBT_EVENT_TIME_START", value_name = "TIME")]
    pub event_time_start: Option<String>,
    /// Microbatches before this time, in UTC
    #[arg(long, global = true, env = "DBT_EVENT_TIME_END", value_name = "TIME")]
    pub event_time_end: Option<String>,
    /// Build from a stretch of time only, of what has an event time: '3 days', or {start: .., end: ..}
    #[arg(long, global = true, env = "DBT_SAMPLE", value_name = "SPAN")]
    pub sample: Option<String>,
    /// Which warnings are errors or are silent, as YAML: '{error: all, silence: [..]}'
    #[arg(long, global = true, env = "DBT_WARN_ERROR_OPTIONS", value_name = "YAML")]
    pub warn_error_options: Option<String>,
    /// Form of the lines on standard output [default: default]
    #[arg(long, global = true, env = "DBT_LOG_FORMAT", value_enum, ignore_case = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Form of the lines in the log file [default: debug]
    #[arg(long, global = true, env = "DBT_LOG_FORMAT_FILE", value_enum, ignore_case = true, value_name = "FORMAT")]
    pub log_format_file: Option<LogFormat>,
    /// The least important lines that are printed [default: info]
    #[arg(long, global = true, env = "DBT_LOG_LEVEL", value_enum, ignore_case = true, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// The least important lines in the log file [default: debug]
    #[arg(long, global = true, env = "DBT_LOG_LEVEL_FILE", value_enum, ignore_case = true, value_name = "LEVEL")]
    pub log_level_file: Option<LogLevel>,
    /// Folder of the log file
    #[arg(long, global = true, env = "DBT_LOG_PATH", value_name = "DIR")]
    pub log_path: Option<PathBuf>,
    /// A log file that is larger is set aside before it is written to; 0 for never [default: 10485760]
    #[arg(long, global = true, env = "DBT_LOG_FILE_MAX_BYTES", value_name = "BYTES", hide_short_help = true)]
    pub log_file_max_bytes: Option<u64>,
    /// Width of the lines about nodes [default: 80]
    #[arg(long, global = true, env = "DBT_PRINTER_WIDTH", value_name = "CHARACTERS", hide_short_help = true)]
    pub printer_width: Option<u16>,
    /// Folder for artifacts and compiled SQL
    #[arg(long, global = true, env = "DBT_TARGET_PATH", value_name = "DIR")]
    pub target_path: Option<PathBuf>,
    #[command(flatten)]
    pub switches: Switches,
    #[command(flatten)]
    pub retired: Retired,
}

impl Global {
    pub(crate) fn is_on(&self, switch: Switch) -> bool {
        self.switches.is_on(switch)
    }
}

/// Options with a value of mechanisms that are dbt's alone.
#[derive(Debug, Args, Clone)]
pub(crate) struct Retired {
    /// Where a saved parse lies; accepted and without effect, as parsing is always whole here
    #[arg(long, global = true, env = "DBT_PARTIAL_PARSE_FILE_PATH", value_name = "FILE", hide_short_help = true)]
    pub partial_parse_file_path: Option<PathBuf>,
    /// Limits of Python's sqlparse; accepted and without effect, as it is not used here
    #[arg(long, global = true, env = "DBT_ENGINE_SQLPARSE", value_name = "YAML", hide_short_help = true)]
    pub sqlparse: Option<String>,
    /// A profile of the Python interpreter: there is none here, so this is refused
    #[arg(short = 'r', long, global = true, value_name = "FILE", hide = true)]
    pub record_timing_info: Option<PathBuf>,
    /// Sends artifacts to a service: nothing is ever sent anywhere, so this is refused
    #[arg(long, global = true, env = "DBT_UPLOAD_TO_ARTIFACTS_INGEST_API", value_parser = BoolishValueParser::new(), hide = true)]
    pub upload_to_artifacts_ingest_api: bool,
    #[arg(long, global = true, hide = true)]
    pub no_upload_to_artifacts_ingest_api: bool,
    /// Tables of saved queries: nothing runs them here, so this is refused
    #[arg(long, global = true, env = "DBT_EXPORT_SAVED_QUERIES", value_parser = BoolishValueParser::new(), hide = true)]
    pub export_saved_queries: bool,
    #[arg(long, global = true, hide = true)]
    pub no_export_saved_queries: bool,
    /// Saved queries stand in the results of every build, without anything being done
    #[arg(long, global = true, env = "DBT_INCLUDE_SAVED_QUERY", value_parser = BoolishValueParser::new(), hide = true)]
    pub include_saved_query: bool,
}

/// Which tests come along with what they test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndirectSelection {
    /// Those that read anything that is selected
    Eager,
    /// Those that read nothing but what is selected
    Cautious,
    /// Those that read nothing but what is selected or lies above it
    Buildable,
    /// None but those that are named
    Empty,
}

impl IndirectSelection {
    /// As the command line and artifacts spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Cautious => "cautious",
            Self::Buildable => "buildable",
            Self::Empty => "empty",
        }
    }
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Default,
    Text,
    Debug,
    Json,
}

/// How much matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    None,
}
