//! What delta-rs and object stores say when something goes wrong, as the engine's errors: sorted by what a user can
//! do about it, without names of types.

use deltalake::DeltaTableError;
use deltalake::datafusion::common::DataFusionError;
use deltalake::kernel::transaction::{CommitConflictError, TransactionError};
use deltalake::logstore::object_store::Error as StoreError;

use super::super::EngineError;
use crate::base::{Code, Diagnostic};
use crate::manifest::RelationName;
use crate::sql;

/// A failure of reading a table's log.
pub(super) fn reading(error: &DeltaTableError, relation: &RelationName) -> EngineError {
    let relation = relation.short();
    match error {
        DeltaTableError::ObjectStore { source } => storage(source, &format!("reading `{relation}`")),
        DeltaTableError::Io { source } => EngineError::Storage { context: format!("reading `{relation}`"), reason: io_reason(source) },
        DeltaTableError::Transaction { source: TransactionError::UnsupportedTableFeatures(features) } => {
            EngineError::Feature { relation, reason: format!("it uses {}, which Alluvium does not know", feature_names(features)), writing: false }
        }
        DeltaTableError::InvalidJsonLog { line, version, .. } => {
            EngineError::Damaged { relation, reason: format!("its log entry {version} is damaged: {}", lower_first(line)) }
        }
        DeltaTableError::NotATable(_) => EngineError::Damaged { relation, reason: "its Delta log is not complete".into() },
        DeltaTableError::UnsupportedColumnMapping { .. } => {
            EngineError::Feature { relation, reason: "it uses column mapping in a way that Alluvium does not know".into(), writing: false }
        }
        other => {
            let text = plain(&other.to_string());
            let reason = match (named_feature(&text), text.split_once("Unsupported minimum reader version ")) {
                (Some(feature), _) => format!("it uses the table feature `{feature}`, which Alluvium does not know"),
                (None, Some((_, version))) => format!("its log asks for reader version {version}, which Alluvium does not know"),
                (None, None) => return EngineError::Damaged { relation, reason: format!("its Delta log is damaged: {text}") },
            };
            EngineError::Feature { relation, reason, writing: false }
        }
    }
}

/// The feature in the kernel's text about one that it does not support.
fn named_feature(text: &str) -> Option<&str> {
    let (_, tail) = text.split_once("Feature '")?;
    let (name, rest) = tail.split_once('\'')?;
    rest.starts_with(" is not supported").then_some(name)
}

/// A failure of a write or commit.
pub(super) fn writing(error: DeltaTableError, relation: &RelationName) -> EngineError {
    let name = relation.short();
    match error {
        DeltaTableError::ObjectStore { source } => storage(&source, &format!("writing `{name}`")),
        DeltaTableError::Io { source } => EngineError::Storage { context: format!("writing `{name}`"), reason: io_reason(&source) },
        DeltaTableError::VersionAlreadyExists(_) | DeltaTableError::VersionMismatch(..) => EngineError::Conflict { relation: name },
        DeltaTableError::Transaction { source } => transaction(source, name),
        DeltaTableError::InvalidJsonLog { .. } | DeltaTableError::NotATable(_) | DeltaTableError::MetadataError(_) => reading(&error, relation),
        DeltaTableError::UnsupportedColumnMapping { .. } => {
            EngineError::Feature { relation: name, reason: "it uses column mapping, which Alluvium does not write".into(), writing: true }
        }
        DeltaTableError::Arrow { source } => EngineError::Sql(Box::new(sql::sql_error(&DataFusionError::from(source), ""))),
        other => by_text(&other.to_string(), name),
    }
}

fn transaction(error: TransactionError, relation: String) -> EngineError {
    match error {
        TransactionError::CommitConflict(CommitConflictError::UnsupportedWriterVersion(version)) => EngineError::Feature {
            relation,
            reason: format!("its log asks for writer version {version}, which Alluvium does not know"),
            writing: true,
        },
        TransactionError::CommitConflict(CommitConflictError::UnsupportedReaderVersion(version)) => EngineError::Feature {
            relation,
            reason: format!("its log asks for reader version {version}, which Alluvium does not know"),
            writing: true,
        },
        TransactionError::VersionAlreadyExists(_) | TransactionError::MaxCommitAttempts(_) | TransactionError::CommitConflict(_) => {
            EngineError::Conflict { relation }
        }
        TransactionError::ObjectStore { source } => storage(&source, &format!("writing `{relation}`")),
        TransactionError::DeltaTableAppendOnly => EngineError::Unwritable { relation, reason: "it is append-only (`delta.appendOnly`)".into() },
        TransactionError::UnsupportedTableFeatures(features) => {
            EngineError::Feature { relation, reason: format!("it uses {}, which Alluvium does not write", feature_names(&features)), writing: true }
        }
        TransactionError::TableFeaturesRequired(feature) => EngineError::Unwritable {
            relation,
            reason: format!("its log does not allow {}, which these rows need", feature_names(std::slice::from_ref(&feature))),
        },
        other => EngineError::Storage { context: format!("writing `{relation}`"), reason: plain(&other.to_string()) },
    }
}

/// Table features by the names that stand in the log.
fn feature_names<T: std::fmt::Display>(features: &[T]) -> String {
    let mut names: Vec<_> = features.iter().map(|feature| format!("`{feature}`")).collect();
    names.sort();
    match names.as_slice() {
        [one] => format!("the table feature {one}"),
        _ => format!("the table features {}", names.join(", ")),
    }
}

/// delta-rs turns most failures below it into text.
fn by_text(text: &str, relation: String) -> EngineError {
    let text = plain(text);
    if text.contains("validation check") {
        return EngineError::Constraint { relation, reason: broken_rule(&text) };
    }
    if let Some(limit) = out_of_memory(&text) {
        return limit;
    }
    EngineError::Storage { context: format!("writing `{relation}`"), reason: text }
}

/// The first lines of delta-rs's text: how many rows break which rule, with a preview of them.
fn broken_rule(text: &str) -> String {
    lower_first(text.trim_start_matches("Invalid data found: ").trim())
}

fn out_of_memory(text: &str) -> Option<EngineError> {
    let reason = text.strip_prefix("Resources exhausted: ").or_else(|| text.split_once("Resources exhausted: ").map(|(_, rest)| rest))?;
    let of_target = reason.rsplit_once("fair(");
    let limit = reason.rsplit_once("greedy(").or(of_target).and_then(|(_, rest)| rest.split(')').next()).unwrap_or("the engine");
    Some(EngineError::Memory {
        limit: limit.trim_start_matches("pool_size: ").to_owned(),
        reason: format!("{} needs more", hungry(reason)),
        asked: of_target.is_some(),
    })
}

/// What asked for memory that was not there, from DataFusion's name of the consumer.
fn hungry(reason: &str) -> &'static str {
    const KNOWN: [(&str, &str); 6] = [
        ("HashJoin", "a join"),
        ("NestedLoopJoin", "a join"),
        ("ExternalSorter", "a sort"),
        ("SortPreservingMerge", "a sort"),
        ("GroupedHashAggregate", "a grouping"),
        ("TopK", "a sort with a limit"),
    ];
    let consumer = reason.split_once("failed for ").map_or("", |(_, rest)| rest);
    KNOWN.iter().find(|(name, _)| consumer.starts_with(name)).map_or("the query", |(_, what)| what)
}

/// An error in SQL that was put together anew: its places are not those of the user's text.
pub(super) fn without_place(error: EngineError) -> EngineError {
    match error {
        EngineError::Sql(mut inner) => {
            inner.range = None;
            EngineError::Sql(inner)
        }
        other => other,
    }
}

/// An error of planning or running a query for a relation, with what it wraps taken out.
pub(super) fn query(error: DataFusionError, sql: &str) -> EngineError {
    if let Some(inner) = external(&error) {
        return inner;
    }
    if let Some(lost) = missing_file(&error).or_else(|| broken_file(&error)) {
        return lost;
    }
    if let DataFusionError::ResourcesExhausted(reason) = error.find_root() {
        return out_of_memory(&format!("Resources exhausted: {reason}")).unwrap_or(EngineError::Interrupted);
    }
    EngineError::Sql(Box::new(sql::sql_error(&error, sql)))
}

/// A file of a table that its log names and the storage does not have.
fn missing_file(error: &DataFusionError) -> Option<EngineError> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = at {
        if let Some(StoreError::NotFound { path, .. }) = current.downcast_ref::<StoreError>() {
            return Some(gone(path));
        }
        at = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::ObjectStore(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ParquetError(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            _ => current.source(),
        };
    }
    let text = error.to_string();
    let (_, tail) = text.split_once("Object at location ")?;
    let (path, _) = tail.split_once(" not found")?;
    Some(gone(path))
}

/// A Parquet file whose name is right and whose bytes are not.
fn broken_file(error: &DataFusionError) -> Option<EngineError> {
    let text = error.find_root().strip_backtrace();
    // An error in a filter that the file's reader has applied is about the query.
    let reason = text.strip_prefix("Parquet error: ").filter(|reason| !reason.contains("Error evaluating filter predicate"))?;
    let message = match reason.strip_prefix("Parquet error: ").unwrap_or(reason).strip_prefix("Failed to fetch metadata for file ") {
        Some(rest) => format!("a Parquet file is broken: `{}`", absolute(rest.split(": ").next().unwrap_or(rest))),
        None => format!("a Parquet file is broken: {}", plain(reason)),
    };
    let note = "the file is cut off, or was changed after it was written";
    Some(damaged(message, note))
}

fn gone(path: &str) -> EngineError {
    let message = format!("a file of a table is gone: `{}`", absolute(path));
    damaged(message, "the table's Delta log names the file, so something other than Alluvium has removed it")
}

fn damaged(message: String, note: &str) -> EngineError {
    let help = "bring the file back from a copy, or build the table again (`--full-refresh` for one that is built bit by bit)";
    EngineError::Diagnosed(Box::new(Diagnostic::error(Code::TableDamaged, message).note(note).help(help)))
}

/// An error of ours that went through DataFusion.
fn external(error: &DataFusionError) -> Option<EngineError> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = at {
        if let Some(found) = current.downcast_ref::<EngineError>() {
            return Some(found.clone());
        }
        if let Some(DeltaTableError::ObjectStore { source }) = current.downcast_ref::<DeltaTableError>() {
            return Some(storage(source, "reading a table"));
        }
        if let Some(source) = current.downcast_ref::<StoreError>() {
            return Some(storage(source, "reading files"));
        }
        at = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ObjectStore(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            _ => current.source(),
        };
    }
    None
}

/// A failure of an object store.
pub(super) fn storage(error: &StoreError, context: &str) -> EngineError {
    EngineError::Storage { context: context.to_owned(), reason: store_reason(error) }
}

/// Why an object store could not do what it was asked for.
pub(super) fn store_reason(error: &StoreError) -> String {
    match error {
        StoreError::NotFound { path, .. } => format!("`{}` is not there", absolute(path)),
        StoreError::AlreadyExists { path, .. } => format!("`{}` is there already", absolute(path)),
        StoreError::PermissionDenied { path, .. } => format!("permission to `{}` was denied", absolute(path)),
        StoreError::Unauthenticated { path, .. } => format!("the credentials do not open `{path}`"),
        other => {
            let mut deepest: &dyn std::error::Error = other;
            while let Some(source) = deepest.source() {
                deepest = source;
            }
            match deepest.downcast_ref::<std::io::Error>() {
                Some(source) => io_reason(source),
                None => plain(&deepest.to_string()),
            }
        }
    }
}

/// Stores name files of the local disk with and without the slash in front.
fn absolute(path: &str) -> String {
    let with_slash = format!("/{path}");
    let local = !path.starts_with('/') && std::path::Path::new(&with_slash).parent().is_some_and(crate::base::files::is_dir);
    if local { with_slash } else { path.to_owned() }
}

pub(super) fn io_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::StorageFull => "the disk is full".into(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        ErrorKind::NotADirectory => "a part of the path is a file and not a folder".into(),
        ErrorKind::NotFound => "it is not there and can't be made".into(),
        _ => lower_first(&error.to_string()),
    }
}

/// Without the words that libraries put before every message.
pub(super) fn plain(text: &str) -> String {
    // What libraries add when the environment asks for backtraces.
    let text = text.split("\n\nbacktrace:").next().unwrap_or_default();
    let text = text.split("\n   0: ").next().unwrap_or_default();
    let noise = [
        "Generic DeltaTable error: ",
        "Generic error: ",
        "Generic delta kernel error: ",
        "Kernel error: ",
        "Kernel: ",
        "External error: ",
        "Execution error: ",
        "Arrow error: ",
        "Error during planning: ",
        "Transaction failed: ",
        "Failed to commit transaction: ",
        "Parquet error: ",
        "Error interacting with object store: ",
    ];
    let mut text = text.trim();
    while let Some(rest) = noise.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest.trim();
    }
    lower_first(text.trim_end_matches('.'))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
