//! The options of single commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// Name of the project and of its folder
    pub name: String,
    /// Make no profile (none is ever made: the target stands in the project file)
    #[arg(long, hide_short_help = true)]
    pub skip_profile_setup: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DebugOptions {
    /// Look at the target and its warehouse alone, not at the project
    #[arg(long)]
    pub connection: bool,
    /// Print the folder of profiles.yml and stop
    #[arg(long)]
    pub config_dir: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DepsArguments {
    /// Choose the newest versions that fit, whatever the lock says
    #[arg(long)]
    pub upgrade: bool,
    /// Write the lock and install nothing
    #[arg(long)]
    pub lock: bool,
    /// Add a package to the list first, as `name@version`
    #[arg(long, value_name = "PACKAGE")]
    pub add_package: Option<String>,
    /// Where the added package comes from
    #[arg(long, value_enum, default_value = "hub", value_name = "SOURCE")]
    pub source: AddedFrom,
}

/// Origin of an added package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddedFrom {
    Hub,
    Git,
    Local,
}

#[derive(Debug, Args)]
pub(crate) struct CompileOptions {
    /// Compile this SQL in the place of a model
    #[arg(long, value_name = "SQL", allow_hyphen_values = true)]
    pub inline: Option<String>,
    #[arg(long, value_enum, ignore_case = true, default_value = "text")]
    pub output: CompileOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompileOutput {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct SeedOptions {
    /// Show rows of each seed that was loaded
    #[arg(long)]
    pub show: bool,
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
    #[arg(long, value_enum, ignore_case = true, default_value = "selector")]
    pub output: ListOutput,
    /// The fields that --output json has
    #[arg(long, value_name = "KEY", num_args = 1..)]
    pub output_keys: Vec<String>,
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
    #[arg(long, value_name = "SQL", allow_hyphen_values = true, conflicts_with = "inline_direct")]
    pub inline: Option<String>,
    /// Show the rows of this SQL as it stands, without templates and without reading the project
    #[arg(long, value_name = "SQL")]
    pub inline_direct: Option<String>,
    /// Rows to show; -1 for all
    #[arg(long, default_value_t = 5, allow_negative_numbers = true, value_name = "N")]
    pub limit: i64,
    #[arg(long, value_enum, ignore_case = true, default_value = "table")]
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
    #[arg(long, value_enum, ignore_case = true, default_value = "table")]
    pub output: RowsOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowsOutput {
    #[value(alias = "text")]
    Table,
    Json,
    Csv,
}

impl ShowOptions {
    /// How many rows, all of them without a number, and in which form.
    pub(crate) fn rows(&self) -> (Option<usize>, RowsOutput) {
        (usize::try_from(self.limit).ok(), self.output)
    }
}

#[derive(Debug, Args)]
pub(crate) struct CleanOptions {
    /// Folders outside of the project are never removed, whatever is said here
    #[arg(long, env = "DBT_CLEAN_PROJECT_FILES_ONLY", value_parser = clap::builder::BoolishValueParser::new(), hide_short_help = true)]
    pub clean_project_files_only: bool,
    /// See --clean-project-files-only
    #[arg(long, hide = true)]
    pub no_clean_project_files_only: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// When each selected source got its last rows, against its `freshness`
    #[command(alias = "snapshot-freshness")]
    Freshness(FreshnessOptions),
}

#[derive(Debug, Args)]
pub(crate) struct FreshnessOptions {
    /// Where the results are written, instead of sources.json in the target folder
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DocsCommand {
    /// Write manifest.json and catalog.json
    Generate(GenerateOptions),
    /// Show the site (not there yet)
    Serve(ServeOptions),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateOptions {
    /// Don't compile first: the manifest is without compiled SQL
    #[arg(long)]
    pub no_compile: bool,
    /// Compile first, which is the default
    #[arg(long, hide = true, overrides_with = "no_compile")]
    pub compile: bool,
    /// Look at no table: a catalog without nodes
    #[arg(long)]
    pub empty_catalog: bool,
    /// Write a page too, which holds and shows both
    #[arg(long = "static")]
    pub static_page: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[arg(long, hide = true)]
    pub host: Option<String>,
    #[arg(long, hide = true)]
    pub port: Option<u16>,
    #[arg(long, hide = true, overrides_with = "no_browser")]
    pub browser: bool,
    #[arg(long, hide = true)]
    pub no_browser: bool,
}

/// Statements may begin with a comment; an option that is not there is no comment.
fn statements(text: &str) -> Result<String, String> {
    if text.starts_with('-') && !text.contains(char::is_whitespace) {
        return Err("there is no such option; `alluvium sql --help` lists those that are there".to_owned());
    }
    Ok(text.to_owned())
}
