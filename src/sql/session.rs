//! The session factory: every query of the program, planned or run, gets its session here.

use std::sync::Arc;

use deltalake::datafusion::common::TableReference;
use deltalake::datafusion::common::config::ConfigNonZeroUsize;
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use deltalake::datafusion::optimizer::{Analyzer, AnalyzerRule};
use deltalake::datafusion::prelude::SessionConfig;

use super::correlated::CorrelatedRows;
use super::depth::PARSER_LIMIT;
use super::determined;
use super::digits::Digits;
use super::estimates;
use super::frames::Frames;
use super::functions;
use super::lateral::LateralUnnest;
use super::limits;
use super::nested::NestedRows;
use super::operators::{FromZero, Joined, JsonFields, Operators, TypeNames};
use super::overflow::CheckedIntegers;
use super::refused::{Impossible, Misplaced};
use super::relations::Relations;
use super::reordered::Reordered;
use super::semantics::{ListBase, NullOrder, Semantics};
use super::timestamps::Microseconds;
use super::truth::Truth;

/// What a session may differ in; of the dialect only [`Semantics`].
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// How many partitions of one query run side by side.
    pub threads: usize,
    /// Memory pool, spill files and object stores.
    pub runtime: Arc<RuntimeEnv>,
    /// Sort-merge joins in place of hash joins, which can't spill: for runs with a memory limit.
    pub spilling_joins: bool,
    pub semantics: Semantics,
}

/// A session of the dialect, with an empty catalog.
///
/// Sessions are UTC, so that casts to `timestamptz` keep their meaning; spans are collected; identifiers are taken as
/// they stand, because [`super::canonical`] has made their case right; text is Arrow's plain `Utf8`, as in Delta.
#[must_use]
pub fn session_state(options: &SessionOptions) -> SessionState {
    let mut config = SessionConfig::new()
        // DataFusion plans joins that spill only where there are several partitions.
        .with_target_partitions(options.threads.max(if options.spilling_joins { 2 } else { 1 }))
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("alluvium", "main")
        .with_extension(Arc::new(options.semantics));
    let settings = config.options_mut();
    settings.execution.time_zone = Some("UTC".into());
    // Unions of `coalesce` are known not to be NULL in the logical plan and not in the physical one, which is no harm.
    settings.execution.skip_physical_aggregate_schema_check = true;
    if let Ok(limit) = ConfigNonZeroUsize::try_new(PARSER_LIMIT) {
        settings.sql_parser.recursion_limit = limit;
    }
    settings.sql_parser.collect_spans = true;
    settings.sql_parser.default_null_ordering = String::from(match options.semantics.nulls {
        NullOrder::Largest => "nulls_max",
        NullOrder::Smallest => "nulls_min",
        NullOrder::Last => "nulls_last",
    });
    settings.sql_parser.enable_ident_normalization = false;
    settings.sql_parser.map_string_types_to_utf8view = false;
    settings.optimizer.prefer_hash_join = !options.spilling_joins;
    settings.optimizer.use_statistics_registry = true;
    let mut builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(&options.runtime))
        .with_default_features()
        .with_type_planner(Arc::new(TypeNames { semantics: options.semantics }))
        .with_statistics_registry(estimates::registry())
        .with_relation_planners(vec![Arc::new(Relations { semantics: options.semantics })])
        .with_analyzer_rules(analyzer_rules(&options.runtime))
        .with_optimizer_rules(determined::optimizer_rules())
        .with_optimizer_rule(Arc::new(Reordered))
        .with_physical_optimizer_rules(limits::physical_rules());
    functions::register(&mut builder, options.semantics);
    let planners = builder.expr_planners().get_or_insert_default();
    // Before DataFusion's own, which asks for the types of columns without looking whether they are there.
    let takes_for_texts = matches!(options.semantics.adapter, "databricks" | "duckdb" | "snowflake" | "spark");
    planners.insert(0, Arc::new(Joined { takes_for_texts }));
    planners.push(Arc::new(Operators { division: options.semantics.division, moved_dates_are_times: options.semantics.moved_dates_are_times }));
    match options.semantics.lists {
        ListBase::One => {}
        // Before DataFusion's own, which takes what it is given.
        ListBase::Zero => planners.insert(0, Arc::new(FromZero)),
    }
    if matches!(options.semantics.adapter, "snowflake" | "redshift" | "bigquery") {
        planners.insert(0, Arc::new(JsonFields { points: options.semantics.adapter != "snowflake" }));
    }
    let mut state = builder.build();
    // The time that `now()` and its kin give.
    state.mark_start_execution();
    state
}

/// DataFusion's rules with the dialect's around them: times have one unit before types are coerced, arithmetic is checked
/// when both sides of an operator have one type, and what can't be run is refused.
fn analyzer_rules(runtime: &Arc<RuntimeEnv>) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(Misplaced), Arc::new(Digits), Arc::new(Truth), Arc::new(Microseconds), Arc::new(Frames)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(Impossible));
    rules.push(Arc::new(LateralUnnest));
    rules.push(Arc::new(CheckedIntegers));
    rules.push(Arc::new(NestedRows { runtime: Arc::clone(runtime) }));
    rules.push(Arc::new(CorrelatedRows));
    rules
}

/// Whether a name in a `from` clause is a function that yields rows, such as `generate_series`.
#[must_use]
pub fn is_table_function(state: &SessionState, reference: &TableReference) -> bool {
    reference.schema().is_none() && state.table_functions().contains_key(&reference.table().to_lowercase())
}
