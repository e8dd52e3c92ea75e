//! The nodes of a project as every stage and artifact knows them: plain data with typed configs.
//!
//! Leaves reading them from files to `load`, and making them from declarations to `resolve`.

mod config;
mod expressions;
mod fingerprint;
mod generic;
mod microbatch;
mod mirror;
mod node;
mod paths;
mod previous;
mod relation;
mod resources;
mod result;

pub use config::{
    Audit, ExternalConfig, FileFormat, HardDeletes, IncrementalConfig, IncrementalStrategy, Materialization, NodeConfig, OnSchemaChange, OnViolation,
    PartitionBy, SCHEMA_OF_FAILURES, SnapshotColumns, SnapshotConfig, SnapshotStrategy, StreamKind, Streams, TestConfig,
};
pub use expressions::{config_keys, variable_names};
pub(crate) use generic::{file_key_name, test_metadata};
pub use microbatch::{BatchResults, BatchSize, Microbatch, TimeWindow};
pub(crate) use mirror::{Config as ConfigMirror, Docs as DocsMirror, Raw, Value as Written, alias_types, docs, primary_key};
pub use node::{
    AboutSource, ColumnDecl, ConstraintDecl, ConstraintKind, ExternalSource, FunctionArgument, FunctionDetails, GenericTest, Node, NodeId, NodeKind,
    NodeMap, NodeRef, ResourceType, SourceRef, TestDetails,
};
pub use paths::{batch_path, batch_run_path, compiled_path, run_path};
pub use previous::{PreviousFreshness, PreviousManifest, PreviousNode, PreviousState, VARIABLES};
pub use relation::RelationName;
pub use resources::{
    AboutMacro, Access, Described, DescribedKind, DocsBlock, Fixture, FixtureFormat, FixtureRows, Group, MacroArgument, ModelDetails, Overrides,
    UnitInput, UnitTest, Version,
};
pub use result::{FreshnessOutcome, FreshnessResult, FreshnessStatus, NodeResult, TimeSpan};

/// The version of dbt whose artifacts, log lines and `dbt_version` variable this program speaks.
pub const DBT_VERSION: &str = "1.11.2";
