//! The steps of an incremental model that adds to its table.

use super::table::table_write;
use super::{KeyCheck, KeyRule, PlanOptions};
use crate::base::{Code, Diagnostic};
use crate::compile::CompiledNode;
use crate::engine::{Dedupe, Matched, Merge, NotMatched, NotMatchedBySource, SchemaChange, TableInput, TableWrite, UpdateColumns, WriteMode};
use crate::manifest::{IncrementalConfig, IncrementalStrategy, Node, OnSchemaChange, RelationName};
use crate::sql::{assignments, qualified, quote_ident, statement_text};

/// The write of an incremental model: of its new rows only, where its table is there.
///
/// # Errors
/// With a diagnostic if its strategy is not there yet, or its config does not make sense.
pub(super) fn incremental_write(
    node: &Node,
    relation: &RelationName,
    compiled: &CompiledNode,
    options: &PlanOptions,
) -> Result<TableWrite, Box<Diagnostic>> {
    let mut write = table_write(node, relation, compiled, options);
    let Some(config) = &node.config.incremental else { return Ok(write) };
    if let Some(batch) = options.batch.as_ref().filter(|batch| !batch.filtered) {
        let sql = format!("select * from (\n{}\n) as batch_rows where {}", statement_text(&compiled.sql), batch.condition);
        write.input = TableInput::Query(sql);
    }
    let mode = mode(node, config, compiled, options)?;
    write.dedupe = config.dedupe.clone().map(|order_by| Dedupe { keys: config.unique_key.clone(), order_by });
    if compiled.history.is_some() {
        write.mode = mode;
        write.schema_change = match config.on_schema_change {
            OnSchemaChange::Ignore => SchemaChange::Ignore,
            OnSchemaChange::Fail => SchemaChange::Fail,
            OnSchemaChange::AppendNewColumns => SchemaChange::Append,
            OnSchemaChange::SyncAllColumns => SchemaChange::Sync,
        };
    }
    Ok(write)
}

/// The check that the rows of a first batch belong to it. Later ones replace where they do, which is checked there.
pub(super) fn of_batch(relation: &RelationName, options: &PlanOptions) -> Option<KeyCheck> {
    let batch = options.batch.as_ref().filter(|batch| batch.filtered)?;
    let condition = batch.condition.clone();
    let sql = format!("select * from {relation} where ({condition}) is not true limit 5");
    Some(KeyCheck { rule: KeyRule::Batch { condition }, columns: Vec::new(), sql })
}

/// The check that a first build has one row a key, without which later merges have no meaning.
pub(super) fn unique_key(node: &Node, relation: &RelationName, options: &PlanOptions) -> Option<KeyCheck> {
    let config = node.config.incremental.as_ref()?;
    if config.strategy != IncrementalStrategy::Merge || config.dedupe.is_some() {
        return None;
    }
    let keys: Vec<String> = config.unique_key.iter().map(|key| quote_ident(key)).collect();
    let keys = keys.join(", ");
    let sql = format!("select {keys}, count(*) as \"times\" from {relation} group by {keys} having count(*) > 1 order by {keys} limit 5");
    Some(KeyCheck { rule: KeyRule::OneRow { refuses: !options.keys_may_repeat }, columns: config.unique_key.clone(), sql })
}

fn mode(node: &Node, config: &IncrementalConfig, compiled: &CompiledNode, options: &PlanOptions) -> Result<WriteMode, Box<Diagnostic>> {
    Ok(match &config.strategy {
        IncrementalStrategy::Append => WriteMode::Append,
        IncrementalStrategy::InsertOverwrite => WriteMode::OverwritePartitions,
        IncrementalStrategy::DeleteInsert => WriteMode::DeleteInsert { keys: config.unique_key.clone(), predicates: of_table(config, compiled) },
        IncrementalStrategy::ReplaceWhere => {
            let condition = conjunction(&config.predicates);
            WriteMode::ReplaceWhere { new: condition.clone(), condition }
        }
        // Predicates say which old rows of the batch go. What comes is all of its rows.
        IncrementalStrategy::Microbatch(_) => {
            let batch = options.batch.as_ref().map(|batch| batch.condition.clone());
            let replaced = config.predicates.iter().cloned().chain(batch.clone()).collect::<Vec<_>>();
            WriteMode::ReplaceWhere { condition: conjunction(&replaced), new: conjunction(batch.as_slice()) }
        }
        IncrementalStrategy::Merge => WriteMode::Merge(merge(node, config)?),
        IncrementalStrategy::Other(name) => {
            return Err(Box::new(
                Diagnostic::error(
                    Code::NotAvailable,
                    format!("the incremental strategy `{name}` is not available yet, so `{}` can't be built", node.name),
                )
                .at(node.span, "this model")
                .help(format!("available are {}", IncrementalStrategy::NAMES.join(", "))),
            ));
        }
    })
}

/// A deletion looks at the rows of the table: a bare name is a column of it.
fn of_table(config: &IncrementalConfig, compiled: &CompiledNode) -> Vec<String> {
    let Some(table) = &compiled.history else { return config.predicates.clone() };
    let columns = || table.fields().iter().map(|field| field.name().as_str());
    config.predicates.iter().map(|predicate| qualified(predicate, IncrementalConfig::TARGET_ALIAS, columns())).collect()
}

fn conjunction(predicates: &[String]) -> String {
    match predicates {
        [one] => one.clone(),
        several => several.iter().map(|predicate| format!("({predicate})")).collect::<Vec<_>>().join(" and "),
    }
}

fn merge(node: &Node, config: &IncrementalConfig) -> Result<Merge, Box<Diagnostic>> {
    let update = match (config.merge_update_columns.as_slice(), config.merge_exclude_columns.as_slice()) {
        ([], []) => UpdateColumns::All,
        ([], excluded) => UpdateColumns::Except(excluded.to_vec()),
        (updated, _) => UpdateColumns::Only(updated.to_vec()),
    };
    Ok(Merge {
        keys: config.unique_key.clone(),
        target_alias: config.target_alias.clone(),
        source_alias: config.source_alias.clone(),
        predicates: config.predicates.clone(),
        matched: (!config.skip_matched_step).then(|| Matched { condition: config.matched_condition.clone(), update }),
        not_matched: (!config.skip_not_matched_step).then(|| NotMatched { condition: config.not_matched_condition.clone() }),
        not_matched_by_source: not_matched_by_source(node, config)?,
        unstored: Vec::new(),
    })
}

fn not_matched_by_source(node: &Node, config: &IncrementalConfig) -> Result<Option<NotMatchedBySource>, Box<Diagnostic>> {
    let condition = config.not_matched_by_source_condition.clone();
    let wrong = |message: &str| {
        let diagnostic = Diagnostic::error(Code::ConfigType, format!("{message} (`{}`)", node.name));
        Err(Box::new(diagnostic.at(node.span, "this model").help("write `delete`, or `update set column = value`")))
    };
    match config.not_matched_by_source_action.as_deref().map(str::trim) {
        None if condition.is_some() => wrong("`not_matched_by_source_condition` needs `not_matched_by_source_action`"),
        None => Ok(None),
        Some(action) if action.eq_ignore_ascii_case("delete") => Ok(Some(NotMatchedBySource { condition, update: None })),
        Some(action) => match assignments(action) {
            Some(update) => Ok(Some(NotMatchedBySource { condition, update: Some(update) })),
            None => wrong(&format!("`not_matched_by_source_action` is neither a deletion nor an update: {action}")),
        },
    }
}
