//! `truncate`, `restore`, `optimize` and `vacuum`: delta-rs's operations.

use std::sync::Arc;

use deltalake::arrow::array::{Int64Array, StringArray};
use deltalake::arrow::compute::kernels::cast_utils::string_to_datetime;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::sql::sqlparser::ast::{self, BinaryOperator};
use deltalake::kernel::CommitInfo;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{Error as StoreError, ObjectStoreExt as _};
use deltalake::operations::optimize::OptimizeType;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::{DeltaTable, DeltaTableError, FilterLiteral, FilterOp, FilterValue};

use futures::{StreamExt as _, TryStreamExt as _};

use super::super::super::EngineError;
use super::super::{LocalEngine, failure};
use super::describe::one_batch;
use super::rows::delta_session;
use super::tables::{position, table_schema};
use super::{at, invalid_at, relation_name};
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{Moment, Named, Piece, SqlError, Word};

type RowsOf = Result<Option<SendableRecordBatchStream>, EngineError>;

/// The Delta table under a name.
///
/// # Errors
/// If there is none, or it can't be read.
pub(super) async fn open(engine: &LocalEngine, named: &Named) -> Result<(RelationName, DeltaTable), EngineError> {
    let relation = relation_name(engine, &named.name)?;
    table_schema(engine, &relation).await.map_err(|error| at(error, &named.range))?;
    match engine.warehouse.open_table(&relation).await? {
        Some(table) => Ok((relation, table)),
        None => Err(EngineError::Damaged { relation: relation.short(), reason: "it went away".into() }),
    }
}

/// Deletes all rows.
pub(super) async fn truncate(engine: &LocalEngine, named: &Named) -> RowsOf {
    let (relation, table) = open(engine, named).await?;
    let (table, _) = table.delete().with_session_state(delta_session(&engine.session())).await.map_err(|error| failure::writing(error, &relation))?;
    engine.warehouse.remember(&relation, &table).await;
    Ok(None)
}

/// Brings a state back as a new version.
pub(super) async fn restore(engine: &LocalEngine, named: &Named, to: &Moment) -> RowsOf {
    let (relation, table) = open(engine, named).await?;
    let newest = table.version().unwrap_or(0);
    let builder = match to {
        Moment::Version(version) if *version > newest => {
            let help = format!("its versions go up to {newest}: see `describe history {}`", relation.short());
            return Err(invalid_at(&format!("`{}` has no version {version}", relation.short()), &named.range, &help));
        }
        Moment::Version(version) => table.restore().with_version_to_restore(*version),
        Moment::Timestamp { text, range } => {
            let time = string_to_datetime(&chrono::Utc, text)
                .map_err(|_| invalid_at(&format!("`{text}` is not a time"), range, "write it as '2024-02-29 12:00:00', in UTC"))?;
            let commits: Vec<CommitInfo> =
                table.history(None).try_collect().await.map_err(|error: DeltaTableError| failure::reading(&error, &relation))?;
            let first = commits.last().and_then(|commit| commit.timestamp);
            if first.is_none_or(|first| time.timestamp_millis() < first) {
                let help = format!("see `describe history {}` for what there is", relation.short());
                return Err(invalid_at(&format!("`{}` was not there yet, or its log does not reach back", relation.short()), range, &help));
            }
            table.restore().with_datetime_to_restore(time)
        }
    };
    let (table, _) = builder.await.map_err(|error| gone(error, &relation))?;
    engine.warehouse.remember(&relation, &table).await;
    Ok(None)
}

/// What is restored may have been vacuumed, or never have been there.
fn gone(error: DeltaTableError, relation: &RelationName) -> EngineError {
    match failure::writing(error, relation) {
        EngineError::Storage { reason, .. } => EngineError::Unsupported {
            message: format!("`{}` can't be restored: {reason}", relation.short()),
            help: Some(format!("see `describe history {}` for the versions that are there", relation.short())),
        },
        other => other,
    }
}

/// Makes few large files of many small ones, in the order of columns if there are some.
pub(super) async fn optimize(engine: &LocalEngine, statement: &str, (named, condition, zorder): (&Named, Option<&Piece>, &[Word])) -> RowsOf {
    let (relation, table) = open(engine, named).await?;
    let schema = table_schema(engine, &relation).await?;
    let partitions = super::super::warehouse::state(&table, &relation)?.partition_by;
    let mut columns = Vec::new();
    for word in zorder {
        let name = schema.field(position(&schema, &word.value, &relation).map_err(|error| at(error, &word.range))?).name().clone();
        if partitions.contains(&name) {
            return Err(invalid_at(
                &format!("`{name}` is a column of the partitions, whose files have one value of it"),
                &word.range,
                "leave it out",
            ));
        }
        columns.push(name);
    }
    let filters = match condition {
        Some(piece) => filters(engine, statement, piece, &partitions)?,
        None => Vec::new(),
    };
    let filters: Vec<FilterLiteral<'_>> = filters.iter().map(Filter::literal).collect();
    let kind = if columns.is_empty() { OptimizeType::Compact } else { OptimizeType::ZOrder(columns) };
    let builder = table.optimize().with_type(kind).with_filters(&filters).with_session_state(delta_session(&engine.session()));
    let (table, metrics) = builder.await.map_err(|error| failure::writing(error, &relation))?;
    engine.warehouse.remember(&relation, &table).await;
    let count = |value: u64| Arc::new(Int64Array::from(vec![i64::try_from(value).unwrap_or(i64::MAX)])) as _;
    one_batch(vec![
        ("files_added", count(metrics.num_files_added)),
        ("files_removed", count(metrics.num_files_removed)),
        ("partitions_optimized", count(metrics.partitions_optimized)),
    ])
}

/// A comparison of a partition's column.
struct Filter {
    column: String,
    op: FilterOp,
    values: Vec<String>,
}

impl Filter {
    fn literal(&self) -> FilterLiteral<'_> {
        let value = match (self.op, self.values.first()) {
            (FilterOp::In | FilterOp::NotIn, _) | (_, None) => FilterValue::Set(self.values.iter().map(String::as_str).collect()),
            (FilterOp::Eq | FilterOp::Ne | FilterOp::Lt | FilterOp::Le | FilterOp::Gt | FilterOp::Ge, Some(value)) => FilterValue::Scalar(value),
        };
        (&self.column, self.op, value)
    }
}

fn filters(engine: &LocalEngine, statement: &str, piece: &Piece, partitions: &[String]) -> Result<Vec<Filter>, EngineError> {
    let state = engine.session();
    let text = statement.get(piece.clone()).unwrap_or_default();
    let parsed = state.sql_to_expr(text, &state.config_options().sql_parser.dialect).map_err(|error| failure::query(error, text))?;
    let mut found = Vec::new();
    if filter(&parsed, partitions, &mut found) {
        return Ok(found);
    }
    let help = match partitions {
        [] => "the table has no partitions: leave `where` out".to_owned(),
        names => format!("compare {} with values, joined by `and`", names.join(", ")),
    };
    Err(invalid_at("`optimize` chooses by columns of the partitions only", piece, &help))
}

/// Takes comparisons joined by `and`; false where something else stands.
fn filter(expr: &ast::Expr, partitions: &[String], found: &mut Vec<Filter>) -> bool {
    let column = |expr: &ast::Expr| match expr {
        ast::Expr::Identifier(name) => partitions.iter().find(|known| known.to_lowercase() == name.value.to_lowercase()).cloned(),
        _ => None,
    };
    match expr {
        ast::Expr::Nested(inner) => filter(inner, partitions, found),
        ast::Expr::BinaryOp { left, op: BinaryOperator::And, right } => filter(left, partitions, found) && filter(right, partitions, found),
        ast::Expr::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::Eq => FilterOp::Eq,
                BinaryOperator::NotEq => FilterOp::Ne,
                BinaryOperator::Lt => FilterOp::Lt,
                BinaryOperator::LtEq => FilterOp::Le,
                BinaryOperator::Gt => FilterOp::Gt,
                BinaryOperator::GtEq => FilterOp::Ge,
                _ => return false,
            };
            let (Some(column), Some(value)) = (column(left), value(right)) else { return false };
            found.push(Filter { column, op, values: vec![value] });
            true
        }
        ast::Expr::InList { expr, list, negated } => {
            let (Some(column), Some(values)) = (column(expr), list.iter().map(value).collect::<Option<Vec<_>>>()) else { return false };
            found.push(Filter { column, op: if *negated { FilterOp::NotIn } else { FilterOp::In }, values });
            true
        }
        _ => false,
    }
}

/// A literal as the log writes values of partitions.
fn value(expr: &ast::Expr) -> Option<String> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) | ast::Value::Number(text, _) => Some(text.clone()),
            ast::Value::Boolean(truth) => Some(truth.to_string()),
            _ => None,
        },
        ast::Expr::TypedString(typed) => match &typed.value.value {
            ast::Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => value(expr).map(|value| format!("-{value}")),
        _ => None,
    }
}

/// Deletes files that no version within the retention needs; a dry run lists them.
pub(super) async fn vacuum(engine: &LocalEngine, named: &Named, retain_hours: Option<u64>, dry_run: bool) -> RowsOf {
    let (relation, table) = open(engine, named).await?;
    let retention = match retain_hours {
        None => None,
        Some(hours) => {
            let hours = i64::try_from(hours).ok().and_then(chrono::Duration::try_hours);
            Some(hours.ok_or_else(|| invalid_at("the retention is out of range", &named.range, "keep fewer hours"))?)
        }
    };
    let run = |dry_run: bool| {
        let builder = table.clone().vacuum().with_mode(VacuumMode::Full).with_dry_run(dry_run);
        match retention {
            Some(hours) => builder.with_retention_period(hours),
            None => builder,
        }
    };
    let planned = run(true).await;
    let (_, metrics) = planned.map_err(|error| {
        let text = error.to_string();
        if !text.contains("Invalid retention period") {
            return failure::writing(error, &relation);
        }
        let message = format!("`{}` keeps its files longer than {} hours", relation.short(), retain_hours.unwrap_or(0));
        let help = format!(
            "readers of older versions need them; if there are none: alter table {} set tblproperties ('delta.deletedFileRetentionDuration' = 'interval {} hours')",
            relation.short(),
            retain_hours.unwrap_or(0)
        );
        EngineError::Sql(Box::new(SqlError::new(Code::SqlInvalid, message).range(named.range.clone()).help(help)))
    })?;
    let mut files = present(&table, metrics.files_deleted).await;
    files.sort();
    if !dry_run && !files.is_empty() {
        let (table, _) = run(false).await.map_err(|error| failure::writing(error, &relation))?;
        engine.warehouse.remember(&relation, &table).await;
    }
    one_batch(vec![("path", Arc::new(StringArray::from(files)) as _)])
}

/// The files that are still there: the log names deleted ones until it is checkpointed.
async fn present(table: &DeltaTable, files: Vec<String>) -> Vec<String> {
    const AT_ONCE: usize = 32;
    let store = table.object_store();
    let looked = futures::stream::iter(files).map(|file| {
        let store = Arc::clone(&store);
        async move {
            let found = store.head(&Path::from(file.as_str())).await;
            (!matches!(found, Err(StoreError::NotFound { .. }))).then_some(file)
        }
    });
    looked.buffer_unordered(AT_ONCE).filter_map(futures::future::ready).collect().await
}
