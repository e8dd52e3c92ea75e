//! What a node that keeps its rows needs: its own table, and columns that its config names.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use super::{Planner, Surroundings};
use crate::base::{Code, Diagnostic, Sources, Span, nearest};
use crate::manifest::{HardDeletes, IncrementalConfig, IncrementalStrategy, Materialization, Node, OnSchemaChange, SnapshotConfig, SnapshotStrategy};
use crate::resolve::Project;
use crate::sql::{Semantics, SqlError, comparable, qualified, type_name};

/// The schema of the node's own table, if this build adds to it.
pub(super) async fn history(project: &Project, node: &Node, surroundings: &Arc<dyn Surroundings>) -> Option<SchemaRef> {
    match node.config.materialization {
        Materialization::Incremental if project.full_refresh(node) => None,
        Materialization::Incremental | Materialization::Snapshot => surroundings.table(node).await,
        Materialization::View
        | Materialization::Table
        | Materialization::Refreshed(_)
        | Materialization::Ephemeral
        | Materialization::Seed
        | Materialization::Test
        | Materialization::External
        | Materialization::Custom(_) => None,
    }
}

/// What `is_incremental()` says to a node's hooks.
pub(super) async fn is_incremental(project: &Project, node: &Node, surroundings: &Arc<dyn Surroundings>) -> bool {
    node.config.materialization == Materialization::Incremental && history(project, node, surroundings).await.is_some()
}

/// The columns of the node's relation once it is built, as its readers see them.
pub(super) fn relation_schema(node: &Node, query: &SchemaRef, history: Option<&SchemaRef>, semantics: Semantics) -> SchemaRef {
    let query = &super::held::as_relation(node, query, semantics);
    if let Some(config) = &node.config.snapshot {
        return snapshot_schema(config, query, history);
    }
    match (&node.config.incremental, history) {
        (Some(config), Some(history)) => match config.on_schema_change {
            OnSchemaChange::Ignore | OnSchemaChange::Fail => Arc::clone(history),
            OnSchemaChange::AppendNewColumns => with_columns(history, query.fields().iter().cloned()),
            OnSchemaChange::SyncAllColumns => Arc::clone(query),
        },
        _ => Arc::clone(query),
    }
}

/// The type of a snapshot's times: that of `updated_at` where it is a time, of text it is read from.
fn snapshot_time(config: &SnapshotConfig, query: &SchemaRef) -> DataType {
    let time = match &config.strategy {
        SnapshotStrategy::Timestamp { updated_at } => query.fields().iter().find(|field| field.name().eq_ignore_ascii_case(updated_at)),
        SnapshotStrategy::Check { .. } => None,
    };
    match time.map(|field| field.data_type()) {
        Some(data_type @ (DataType::Date32 | DataType::Timestamp(..))) => data_type.clone(),
        _ => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

fn snapshot_schema(config: &SnapshotConfig, query: &SchemaRef, history: Option<&SchemaRef>) -> SchemaRef {
    let time = snapshot_time(config, query);
    let names = &config.columns;
    let mut own = vec![
        Field::new(&names.scd_id, DataType::Utf8, true),
        Field::new(&names.updated_at, time.clone(), true),
        Field::new(&names.valid_from, time.clone(), true),
        Field::new(&names.valid_to, time, true),
    ];
    if config.hard_deletes == HardDeletes::NewRecord {
        own.push(Field::new(&names.is_deleted, DataType::Utf8, true));
    }
    with_columns(history.unwrap_or(query), query.fields().iter().cloned().chain(own.into_iter().map(Arc::new)))
}

/// A schema with those of the given columns that it lacks.
fn with_columns(schema: &SchemaRef, more: impl Iterator<Item = FieldRef>) -> SchemaRef {
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    for field in more {
        if !fields.iter().any(|known| known.name().eq_ignore_ascii_case(field.name())) {
            fields.push(field);
        }
    }
    Arc::new(Schema::new(fields))
}

/// What the config of an incremental model or a snapshot says about columns that its query does not yield, and conditions
/// that do not plan.
pub(super) fn wrong_config(node: &Node, query: &SchemaRef, history: Option<&SchemaRef>, planner: &Planner, project: &Project) -> Vec<Diagnostic> {
    let sources: &Sources = &project.sources;
    let mut found = unknown_columns(node, query, history.is_none(), sources);
    if let Some(config) = &node.config.snapshot {
        // It is the same for all rows, so it sees no column.
        let text = config.valid_to_current.as_ref();
        let wrong = text.and_then(|text| planner.wrong_constant(text, &snapshot_time(config, query)));
        found.extend(wrong.map(|error| wrong_condition(node, "dbt_valid_to_current", text, *error, sources)));
        if found.is_empty() {
            found.extend(wrong_time(node, config, query, planner, sources));
            found.extend(history.into_iter().flat_map(|history| retyped_keys(node, config, query, history)));
        }
    }
    if let Some(config) = &node.config.incremental {
        let (target, source) = (config.target_alias.as_str(), config.source_alias.as_str());
        let both = [(target, history.unwrap_or(query)), (source, query)];
        let mut check = |option: &str, text: Option<&String>, over: &[(&str, &SchemaRef)]| {
            let wrong = text.and_then(|text| planner.wrong_condition(text, over));
            found.extend(wrong.map(|error| wrong_condition(node, option, text, *error, sources)));
        };
        match &config.strategy {
            IncrementalStrategy::Merge => {
                config.predicates.iter().for_each(|predicate| check("incremental_predicates", Some(predicate), &both));
                check("matched_condition", config.matched_condition.as_ref(), &both);
                check("not_matched_condition", config.not_matched_condition.as_ref(), &both[1..]);
                check("not_matched_by_source_condition", config.not_matched_by_source_condition.as_ref(), &both[..1]);
            }
            IncrementalStrategy::DeleteInsert => {
                let (target, source) = (IncrementalConfig::TARGET_ALIAS, IncrementalConfig::SOURCE_ALIAS);
                let columns = || both[0].1.fields().iter().map(|field| field.name().as_str());
                for predicate in &config.predicates {
                    let of_table = qualified(predicate, target, columns());
                    check("incremental_predicates", Some(&of_table), &[(target, both[0].1), (source, query)]);
                }
            }
            IncrementalStrategy::ReplaceWhere => {
                config.predicates.iter().for_each(|predicate| check("incremental_predicates", Some(predicate), &[(node.name.as_str(), query)]));
            }
            IncrementalStrategy::Microbatch(_) => {
                config.predicates.iter().for_each(|predicate| check("incremental_predicates", Some(predicate), &[(node.name.as_str(), query)]));
            }
            IncrementalStrategy::Append | IncrementalStrategy::InsertOverwrite => {}
            IncrementalStrategy::Other(name) => found.extend(no_strategy(node, name, project)),
        }
    }
    found
}

/// A strategy that neither the program nor a macro knows.
fn no_strategy(node: &Node, name: &str, project: &Project) -> Option<Diagnostic> {
    let its_macro = format!("get_incremental_{}_sql", name.replace('+', "_"));
    if project.library.find(&node.package, &its_macro).is_some() {
        return None;
    }
    let (place, label) = set_at(node, "incremental_strategy", "", &project.sources);
    let help = format!("there are {}; a macro `{its_macro}` makes another", IncrementalStrategy::NAMES.join(", "));
    let message = format!("config `incremental_strategy`: there is no strategy `{name}`");
    Some(Diagnostic::error(Code::ConfigType, message).at(place, label).help(help))
}

/// An `updated_at` that is no time.
fn wrong_time(node: &Node, config: &SnapshotConfig, query: &SchemaRef, planner: &Planner, sources: &Sources) -> Option<Diagnostic> {
    let SnapshotStrategy::Timestamp { updated_at } = &config.strategy else { return None };
    let field = query.fields().iter().find(|field| field.name().eq_ignore_ascii_case(updated_at));
    let found = match field {
        Some(field) => field.data_type().clone(),
        None => match planner.type_of(updated_at, &[(node.name.as_str(), query)]) {
            Ok(data_type) => data_type,
            Err(error) => return Some(wrong_condition(node, "updated_at", Some(updated_at), *error, sources)),
        },
    };
    let is_time = matches!(found, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Null);
    // Text is read as a timestamp.
    let is_text = matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    (!is_time && !is_text).then(|| {
        let message = format!("`updated_at` of `{}` is {}, expected a date or a timestamp", node.name, type_name(&found));
        let (place, label) = set_at(node, "updated_at", updated_at, sources);
        Diagnostic::error(Code::ConfigType, message).at(place, label).help("name the column with the time of the last change, or cast it")
    })
}

/// Keys of which the snapshot has values of another kind.
fn retyped_keys(node: &Node, config: &SnapshotConfig, query: &SchemaRef, history: &SchemaRef) -> Vec<Diagnostic> {
    let field = |schema: &SchemaRef, name: &str| schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)).cloned();
    let keys = config.unique_key.iter().filter_map(|key| Some((key, field(query, key)?, field(history, key)?)));
    keys.filter(|(_, new, old)| !comparable(new.data_type(), old.data_type()))
        .map(|(key, new, old)| {
            let (old, new) = (type_name(old.data_type()), type_name(new.data_type()));
            Diagnostic::error(Code::SqlInvalid, format!("the key `{key}` of `{}` is {old} in the table and {new} in the query", node.name))
                .at(node.span, "this snapshot")
                .help("cast it to the table's type; or give the snapshot another name, to begin a new history")
        })
        .collect()
}

fn wrong_condition(node: &Node, option: &str, text: Option<&String>, error: SqlError, sources: &Sources) -> Diagnostic {
    let (place, label) = set_at(node, option, "", sources);
    let mut diagnostic = Diagnostic::error(error.code, format!("`{option}` of `{}`: {}", node.name, error.message)).at(place, label);
    diagnostic.notes.extend(text.map(|text| format!("it says: {text}")));
    diagnostic.help = error.help;
    diagnostic
}

/// Where a config names a word, and what that place is called.
pub(super) fn set_at(node: &Node, option: &str, word: &str, sources: &Sources) -> (Span, String) {
    match node.config.place(option) {
        Some(set) => (sources.word(sources.argument(set, option), word), "set here".to_owned()),
        None => (node.span, format!("this {}", node.resource_type().name())),
    }
}

/// Names of columns only: keys and times of snapshots may be expressions.
fn unknown_columns(node: &Node, schema: &SchemaRef, is_first: bool, sources: &Sources) -> Vec<Diagnostic> {
    let name = |option: &'static str, columns: &[String]| columns.iter().map(|column| (option, column.clone())).collect::<Vec<_>>();
    let mut wanted: Vec<(&'static str, String)> = match node.config.materialization {
        Materialization::Table | Materialization::Refreshed(_) | Materialization::Incremental if is_first => {
            name("partition_by", &node.config.partition_by)
        }
        // Of a table that is there its own log tells.
        Materialization::Table
        | Materialization::Refreshed(_)
        | Materialization::Incremental
        | Materialization::View
        | Materialization::Ephemeral
        | Materialization::Snapshot
        | Materialization::Seed
        | Materialization::Test
        | Materialization::External
        | Materialization::Custom(_) => Vec::new(),
    };
    if let Some(config) = &node.config.incremental {
        wanted.extend(name("unique_key", &config.unique_key));
        wanted.extend(name("merge_update_columns", &config.merge_update_columns));
        wanted.extend(name("merge_exclude_columns", &config.merge_exclude_columns));
    }
    if let Some(config) = &node.config.snapshot {
        wanted.extend(name("unique_key", &config.unique_key));
        match &config.strategy {
            SnapshotStrategy::Timestamp { updated_at } => wanted.push(("updated_at", updated_at.clone())),
            SnapshotStrategy::Check { columns } => wanted.extend(name("check_cols", columns.as_deref().unwrap_or_default())),
        }
    }
    let known = || schema.fields().iter().map(|field| field.name().as_str());
    wanted
        .into_iter()
        .filter(|(option, column)| {
            node.config.snapshot.is_none() || *option == "check_cols" || column.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
        .filter(|(_, column)| !known().any(|name| name.eq_ignore_ascii_case(column)))
        .map(|(option, column)| {
            let help = nearest(&column, known())
                .map_or_else(|| format!("the columns are {}", known().collect::<Vec<_>>().join(", ")), |near| format!("did you mean `{near}`?"));
            let (place, label) = set_at(node, option, &column, sources);
            Diagnostic::error(Code::UnknownColumn, format!("`{option}` of `{}` names `{column}`, which its query does not yield", node.name))
                .at(place, label)
                .help(help)
        })
        .collect()
}
