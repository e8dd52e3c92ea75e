//! The arguments, as clap reads them. Every global flag may stand before or behind the command.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Builds tables and views from SQL models, on embedded DataFusion over Delta Lake.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a small project that runs at once
    Init {
        /// Name of the project and of its folder
        name: String,
    },
    /// Show what was found, which target is used, and whether the warehouse can be written
    Debug,
    /// Read and resolve the project, and write the manifest
    Parse,
    /// Render and plan the selected nodes without running them, and write their SQL
    Compile(CompileOptions),
    /// List the selected nodes
    #[command(alias = "list")]
    Ls(ListOptions),
    /// Load the selected seeds
    Seed,
    /// Build the selected models
    Run,
    /// Run the selected data tests
    Test,
    /// Take the snapshots: note which rows changed
    Snapshot,
    /// Seeds, models, snapshots and tests together, in the order of the graph
    Build,
    /// Call a macro, which may run statements
    RunOperation(OperationOptions),
    /// Show rows of a model or of a query, without writing anything
    Show(ShowOptions),
    /// Remove the target folder and what else clean-targets names
    Clean,
    /// Explain a diagnostic's code, or list all codes
    Explain { code: Option<String> },
    /// Run SQL statements against the target
    Sql(SqlOptions),
}

#[derive(Debug, Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
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
    #[arg(short, long, global = true, num_args = 1.., value_name = "SELECTOR", visible_short_alias = 'm', visible_alias = "models")]
    pub select: Vec<String>,
    /// Nodes to leave out
    #[arg(long, global = true, num_args = 1.., value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// Nodes that run side by side
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Rebuild incremental models from nothing
    #[arg(short, long, global = true, env = "DBT_FULL_REFRESH", value_parser = FalseyValueParser::new())]
    pub full_refresh: bool,
    /// Stop at the first failure
    #[arg(short = 'x', long, global = true, env = "DBT_FAIL_FAST", value_parser = FalseyValueParser::new())]
    pub fail_fast: bool,
    /// Keep the failing rows of tests in tables
    #[arg(long, global = true, env = "DBT_STORE_FAILURES", value_parser = FalseyValueParser::new())]
    pub store_failures: bool,
    /// Form of the lines on standard output
    #[arg(long, global = true, env = "DBT_LOG_FORMAT", value_enum, default_value = "default", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Form of the lines in the log file
    #[arg(long, global = true, env = "DBT_LOG_FORMAT_FILE", value_enum, default_value = "debug", value_name = "FORMAT")]
    pub log_format_file: LogFormat,
    /// Folder of the log file
    #[arg(long, global = true, env = "DBT_LOG_PATH", value_name = "DIR")]
    pub log_path: Option<PathBuf>,
    /// Print errors and results only
    #[arg(short, long, global = true, env = "DBT_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Print debug lines too
    #[arg(short, long, global = true, env = "DBT_DEBUG", value_parser = FalseyValueParser::new())]
    pub debug: bool,
    /// Plain text without colours
    #[arg(long, global = true)]
    pub no_use_colors: bool,
    /// Folder for artifacts and compiled SQL
    #[arg(long, global = true, env = "DBT_TARGET_PATH", value_name = "DIR")]
    pub target_path: Option<PathBuf>,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Default,
    Text,
    Debug,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CompileOptions {
    /// Compile this SQL in the place of a model
    #[arg(long, value_name = "SQL", allow_hyphen_values = true)]
    pub inline: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OperationOptions {
    /// Name of the macro, as `macro` or `package.macro`
    #[arg(value_name = "MACRO")]
    pub name: String,
    /// Arguments by name as YAML, e.g. '{days: 10}'
    #[arg(long, value_name = "YAML")]
    pub args: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// What to print of each node
    #[arg(long, value_enum, default_value = "selector")]
    pub output: ListOutput,
    /// Only nodes of these types
    #[arg(long = "resource-type", alias = "resource-types", value_name = "TYPE", num_args = 1..)]
    pub resource_types: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListOutput {
    Selector,
    Name,
    Path,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// Show this SQL in the place of a model
    #[arg(long, value_name = "SQL", allow_hyphen_values = true)]
    pub inline: Option<String>,
    /// Rows to show; -1 for all
    #[arg(long, default_value_t = 5, allow_negative_numbers = true, value_name = "N")]
    pub limit: i64,
    #[arg(long, value_enum, default_value = "table")]
    pub output: RowsOutput,
}

#[derive(Debug, Args)]
pub(crate) struct SqlOptions {
    /// Statements, separated by semicolons
    #[arg(required_unless_present = "stdin", conflicts_with = "stdin", value_parser = statements, allow_hyphen_values = true)]
    pub statements: Option<String>,
    /// Read the statements from standard input
    #[arg(long)]
    pub stdin: bool,
    #[arg(long, value_enum, default_value = "table")]
    pub output: RowsOutput,
}

/// Statements may begin with a comment; an option that is not there is no comment.
fn statements(text: &str) -> Result<String, String> {
    match text.starts_with('-') && !text.contains(char::is_whitespace) {
        true => Err("there is no such option; `alluvium sql --help` lists those that are there".to_owned()),
        false => Ok(text.to_owned()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowsOutput {
    Table,
    Json,
    Csv,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_may_begin_with_a_comment_and_options_may_not_be_mistaken_for_one() {
        let sql = |words: &[&str]| match Arguments::try_parse_from(["alluvium", "sql"].iter().chain(words)).map(|found| found.command) {
            Ok(Command::Sql(options)) => Ok((options.statements, options.output)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.kind()),
        };
        let text = "-- one\nselect 1";
        assert_eq!(sql(&[text, "--output", "json"]), Ok((Some(text.to_owned()), RowsOutput::Json)));
        assert_eq!(sql(&["--output", "json", text]), Ok((Some(text.to_owned()), RowsOutput::Json)));
        assert_eq!(sql(&["--stdin"]), Ok((None, RowsOutput::Table)));
        assert!(sql(&["--outputt"]).is_err());
        assert!(Arguments::try_parse_from(["alluvium", "show", "--inline", text]).is_ok());
    }
}
