//! Files for consumers: the rows of a query as one CSV, JSON or Parquet file, written aside and renamed.
//!
//! After publication the relation's name means the file, so that models downstream can read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::csv::WriterBuilder as CsvBuilder;
use deltalake::arrow::datatypes::{DataType, SchemaRef};
use deltalake::arrow::json::WriterBuilder as JsonBuilder;
use deltalake::arrow::json::writer::LineDelimited;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::physical_plan::execute_stream;
use deltalake::logstore::object_store::buffered::BufWriter;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{Error as StoreError, ObjectStoreExt as _};
use deltalake::parquet::arrow::AsyncArrowWriter;
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::WriterProperties;
use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::super::{EngineError, FilesBinding, FilesWrite};
use super::files::{FileOptions, Location, compression};
use super::locate::located;
use super::{LocalEngine, catalog, failure};
use crate::base::{Code, Diagnostic};
use crate::manifest::{ExternalConfig, FileFormat, RelationName};
use crate::sql::{parse_type, type_name};

/// A file that is written and not yet in its place.
#[derive(Debug)]
pub(super) struct StagedFiles {
    relation: RelationName,
    /// With the location of the file itself.
    config: ExternalConfig,
    location: Location,
    aside: Path,
    schema: SchemaRef,
}

/// Writes the rows of a query aside, and counts them.
///
/// # Errors
/// If the query fails, its columns do not fit the format, or the file can't be written.
pub(super) async fn stage(engine: &LocalEngine, write: &FilesWrite) -> Result<(StagedFiles, u64), EngineError> {
    let mut config = write.config.clone();
    if config.location.ends_with('/') {
        config.location = format!("{}{}.{}", config.location, write.relation.identifier, config.format.name());
    }
    let location = engine.files.stores().locate(&config.location)?;
    if location.is_glob() {
        let message = format!("`{}` is not a file to write: it has a wildcard", config.location);
        return Err(EngineError::Diagnosed(Box::new(Diagnostic::error(Code::StorageUri, message).help("give the location of one file"))));
    }
    let options = FileOptions::parse(&config, &write.option_spans)?;
    let bound = catalog::bind_session(engine, &write.sql, &[]).await?;
    let schema: SchemaRef = Arc::new(bound.plan.schema().as_arrow().clone());
    check_columns(&schema, &config)?;
    let plan = bound.physical(&write.sql).await?;
    let rows = execute_stream(plan, bound.state.task_ctx()).map_err(|error| failure::query(error, &write.sql))?;
    let aside = aside(&location.path);
    let staged = StagedFiles { relation: write.relation.clone(), config, location, aside, schema };
    match staged.write(rows, &options).await {
        Ok(count) => Ok((staged, count)),
        Err(error) => {
            let _ = staged.dismiss().await;
            Err(match error {
                Failed::Query(error) => located(engine, failure::query(error, &write.sql), (&write.sql, &[]), &BTreeMap::new()).await,
                Failed::Storage(reason) => unwritable(&staged.config.location, &reason),
            })
        }
    }
}

/// Why a file could not be written.
enum Failed {
    Query(DataFusionError),
    Storage(String),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        // Object stores wrap the error of the file system in theirs.
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>()).map(failure::store_reason);
        Self::Storage(inner.unwrap_or_else(|| failure::io_reason(&error)))
    }
}

fn unwritable(location: &str, reason: &str) -> EngineError {
    let diagnostic = Diagnostic::error(Code::StorageAccess, format!("`{location}` can't be written: {reason}"));
    EngineError::Diagnosed(Box::new(diagnostic.help("give another `location`, or make its folder writable")))
}

/// A hidden name in the same folder.
fn aside(path: &Path) -> Path {
    let name = format!(".{}.{}.tmp", path.filename().unwrap_or("file"), uuid::Uuid::new_v4().simple());
    let parts: Vec<_> = path.parts().collect();
    parts.iter().take(parts.len().saturating_sub(1)).cloned().chain([name.into()]).collect()
}

/// What has no place in the format is said before anything is read.
fn check_columns(schema: &SchemaRef, config: &ExternalConfig) -> Result<(), EngineError> {
    let nested = |data_type: &DataType| data_type.is_nested();
    match (config.format, schema.fields().iter().find(|field| nested(field.data_type()))) {
        (FileFormat::Csv, Some(field)) => {
            let message = format!("column `{}` is {} and can't be written as CSV", field.name(), type_name(field.data_type()));
            Err(EngineError::Diagnosed(Box::new(
                Diagnostic::error(Code::SqlInvalid, message).help("write JSON or Parquet, or make it text in the query"),
            )))
        }
        (FileFormat::Csv | FileFormat::Json | FileFormat::Parquet, _) => Ok(()),
    }
}

impl StagedFiles {
    async fn write(&self, rows: SendableRecordBatchStream, options: &FileOptions) -> Result<u64, Failed> {
        match self.config.format {
            FileFormat::Parquet => self.write_parquet(rows).await,
            FileFormat::Csv => {
                let options = options.clone();
                let head = csv(&RecordBatch::new_empty(Arc::clone(&self.schema)), &options, options.header)?;
                self.write_text(rows, head, move |batch| csv(batch, &options, false)).await
            }
            FileFormat::Json => self.write_text(rows, Vec::new(), json).await,
        }
    }

    async fn write_text(
        &self,
        mut rows: SendableRecordBatchStream,
        head: Vec<u8>,
        mut encode: impl FnMut(&RecordBatch) -> Result<Vec<u8>, Failed>,
    ) -> Result<u64, Failed> {
        let plain = BufWriter::new(Arc::clone(&self.location.store), self.aside.clone());
        let mut writer: Box<dyn AsyncWrite + Send + Unpin> =
            compression(&self.config.location).convert_async_writer(plain).map_err(|error| Failed::Storage(error.strip_backtrace()))?;
        writer.write_all(&head).await?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(Failed::Query)?;
            count += batch.num_rows() as u64;
            writer.write_all(&encode(&batch)?).await?;
        }
        writer.shutdown().await?;
        Ok(count)
    }

    async fn write_parquet(&self, mut rows: SendableRecordBatchStream) -> Result<u64, Failed> {
        let storage = |error: deltalake::parquet::errors::ParquetError| Failed::Storage(error.to_string());
        let level = ZstdLevel::try_new(3).map_err(storage)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let target = BufWriter::new(Arc::clone(&self.location.store), self.aside.clone());
        let mut writer = AsyncArrowWriter::try_new(target, rows.schema(), Some(properties)).map_err(storage)?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(Failed::Query)?;
            count += batch.num_rows() as u64;
            writer.write(&batch).await.map_err(storage)?;
        }
        writer.close().await.map_err(storage)?;
        Ok(count)
    }

    /// Puts the file in its place; the relation's name means it from now on.
    ///
    /// # Errors
    /// If it can't be renamed.
    pub(super) async fn publish(&self, engine: &LocalEngine) -> Result<(), EngineError> {
        let moved = self.location.store.rename(&self.aside, &self.location.path).await;
        moved.map_err(|error| unwritable(&self.config.location, &failure::store_reason(&error)))?;
        engine.files.bind(self.binding(self.config.clone()));
        Ok(())
    }

    /// Deletes the file.
    ///
    /// # Errors
    /// If it can't be deleted.
    pub(super) async fn dismiss(&self) -> Result<(), EngineError> {
        match self.location.store.delete(&self.aside).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(unwritable(&self.config.location, &failure::store_reason(&error))),
        }
    }

    /// The staged rows, for audits.
    ///
    /// # Errors
    /// If the file can't be read.
    pub(super) async fn provider(&self, engine: &LocalEngine) -> Result<Arc<dyn TableProvider>, EngineError> {
        engine.files.provider_at(&engine.session(), &self.binding(self.config.clone()), self.location.at(self.aside.clone())).await
    }

    fn binding(&self, config: ExternalConfig) -> FilesBinding {
        let columns = self.schema.fields().iter().map(|field| {
            let name = type_name(field.data_type());
            (field.name().clone(), parse_type(&name).is_ok().then_some(name))
        });
        FilesBinding { name: self.relation.clone(), config, columns: columns.collect(), span: None, option_spans: BTreeMap::new(), call: None }
    }
}

fn csv(batch: &RecordBatch, options: &FileOptions, header: bool) -> Result<Vec<u8>, Failed> {
    let mut text = Vec::new();
    let mut builder = CsvBuilder::new().with_header(header).with_delimiter(options.delimiter).with_quote(options.quote);
    if let Some(escape) = options.escape {
        builder = builder.with_escape(escape).with_double_quote(false);
    }
    if let Some(null) = &options.null_value {
        builder = builder.with_null(null.clone());
    }
    let mut writer = builder.build(&mut text);
    writer.write(batch).map_err(|error| Failed::Storage(error.to_string()))?;
    drop(writer);
    Ok(text)
}

fn json(batch: &RecordBatch) -> Result<Vec<u8>, Failed> {
    let mut writer = JsonBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|error| Failed::Storage(error.to_string()))?;
    Ok(writer.into_inner())
}
