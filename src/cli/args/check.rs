//! What `check`, `lineage`, `contract`, `sources` and `test` take beside the global flags.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Form of the report
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: ReportFormat,
    /// Compare with a git revision, or with a folder that has a lineage.json
    #[arg(long, value_name = "REF|DIR")]
    pub against: Option<String>,
    /// Differences that fail the command
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub fail_on: Option<FailOn>,
    /// Report again whenever a file of the project is saved, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Changes that may break readers
    Breaking,
    /// Any change of a model with an enforced contract
    Contract,
    /// Any warning
    Warning,
}

#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    /// Leave out tests that can't fail, as the queries of what they test prove
    #[arg(long)]
    pub skip_proved: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LineageOptions {
    /// A node, or a column of it as `node.column`; sources as `source.table`
    #[arg(value_name = "MODEL[.COLUMN]")]
    pub name: String,
    /// What it comes from (the default)
    #[arg(long)]
    pub up: bool,
    /// What comes from it
    #[arg(long)]
    pub down: bool,
    #[arg(long, value_enum, default_value = "tree", value_name = "FORMAT")]
    pub format: LineageOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineageOutput {
    Tree,
    Json,
    Mermaid,
    Dot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// With the lines quoted
    Text,
    /// One line each
    Short,
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// XML as test runners write it
    Junit,
    /// Annotations of GitHub's workflows
    Github,
    /// For a comment
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Print a contract for a model, from what its query is known to yield
    Infer { model: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// Write the columns, types and constraints of the selected sources to sources.lock
    Lock,
}
