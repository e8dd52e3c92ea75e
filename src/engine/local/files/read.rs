//! Text files as a table: what CSV and JSON have in common. Files are read as a stream by blocking tasks, a few side by
//! side, and only the columns that a query uses are made.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use deltalake::arrow::compute::{CastOptions, cast_with_options};
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::common::{DataFusionError, Result as DfResult};
use deltalake::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use deltalake::datafusion::logical_expr::{Expr, TableType};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use deltalake::datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use deltalake::logstore::object_store::ObjectStoreExt as _;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::super::super::EngineError;
use super::super::failure::store_reason;
use super::Reading;
use super::location::FileEntry;
use super::options::packing;
use crate::base::{Code, Diagnostic, Span};

/// Rows of one batch.
pub(super) const BATCH_ROWS: usize = 8192;

/// Reads one file and sends its batches, which have the columns of the schema that the files themselves hold.
pub(super) type Decode = fn(&Reading, &FileEntry, &SchemaRef, &mut dyn FnMut(RecordBatch) -> Sent) -> Result<(), EngineError>;

/// Whether anybody still wants rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    More,
    Enough,
}

/// A table over the files.
pub(super) fn table(reading: Reading, schema: SchemaRef, decode: Decode) -> Arc<dyn TableProvider> {
    Arc::new(TextTable { reading, schema, decode })
}

struct TextTable {
    reading: Reading,
    schema: SchemaRef,
    decode: Decode,
}

impl fmt::Debug for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextTable").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for TextTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, _: &[Expr], limit: Option<usize>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let files = &self.reading.listing.files;
        let groups = state.config().target_partitions().clamp(1, files.len().max(1));
        let partitions = (0..groups).map(|group| {
            let files = files.iter().skip(group).step_by(groups).cloned().collect();
            Arc::new(TextFiles { reading: self.reading.clone(), files, schema: Arc::clone(&schema), decode: self.decode }) as Arc<dyn PartitionStream>
        });
        Ok(Arc::new(StreamingTableExec::try_new(Arc::clone(&schema), partitions.collect(), None, None, false, limit)?))
    }
}

/// The files that one partition of a scan reads.
struct TextFiles {
    reading: Reading,
    files: Vec<FileEntry>,
    schema: SchemaRef,
    decode: Decode,
}

impl fmt::Debug for TextFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextFiles").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl PartitionStream for TextFiles {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), 2);
        let (reading, files, schema, decode, sender) =
            (self.reading.clone(), self.files.clone(), Arc::clone(&self.schema), self.decode, builder.tx());
        builder.spawn_blocking(move || {
            for file in &files {
                if read_file(&reading, file, &schema, decode, &sender)? == Sent::Enough {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// Reads one file: its own columns by `decode`, those in the names of its folders from the listing.
fn read_file(reading: &Reading, file: &FileEntry, schema: &SchemaRef, decode: Decode, sender: &Sender<DfResult<RecordBatch>>) -> DfResult<Sent> {
    let partition = |name: &str| reading.listing.partition_columns.iter().position(|column| column == name);
    let own: Vec<usize> = (0..schema.fields().len()).filter(|at| partition(schema.field(*at).name()).is_none()).collect();
    let own_schema = Arc::new(schema.project(&own)?);
    let mut last = Sent::More;
    let mut send = |batch: RecordBatch| {
        let whole = with_partitions(&batch, schema, file, &partition);
        last = if sender.blocking_send(whole).is_ok() { Sent::More } else { Sent::Enough };
        last
    };
    decode(reading, file, &own_schema, &mut send).map_err(|error| DataFusionError::External(Box::new(reading.placed(error))))?;
    Ok(last)
}

fn with_partitions(batch: &RecordBatch, schema: &SchemaRef, file: &FileEntry, partition: &dyn Fn(&str) -> Option<usize>) -> DfResult<RecordBatch> {
    let rows = batch.num_rows();
    let mut own = batch.columns().iter();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        match partition(field.name()) {
            Some(at) => {
                let value = file.partitions.get(at).and_then(Option::as_deref);
                let text: StringArray = std::iter::repeat_n(value, rows).collect();
                columns.push(cast_with_options(&text, field.data_type(), &CastOptions { safe: false, ..Default::default() })?);
            }
            None => columns.extend(own.next().cloned()),
        }
    }
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &RecordBatchOptions::new().with_row_count(Some(rows)))?)
}

/// The decompressed bytes of a file, for reading on a blocking thread of the runtime.
///
/// # Errors
/// If the file can't be opened.
pub(super) fn open(reading: &Reading, file: &FileEntry) -> Result<BufReader<Bytewise>, EngineError> {
    let handle = Handle::current();
    let got = handle.block_on(reading.listing.store.get(&file.meta.location)).map_err(|error| unreadable(file, &store_reason(&error)))?;
    let chunks = got.into_stream().map(|chunk| chunk.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))).boxed();
    let chunks = packing(&file.shown, &reading.options).convert_stream(chunks).map_err(|error| unreadable(file, &error))?;
    Ok(BufReader::with_capacity(1 << 16, Bytewise { handle, chunks, chunk: Bytes::new() }))
}

pub(super) fn unreadable(file: &FileEntry, error: &dyn fmt::Display) -> EngineError {
    let diagnostic = Diagnostic::error(Code::InputFile, format!("`{}` can't be read: {error}", file.shown));
    EngineError::Diagnosed(Box::new(diagnostic.help("check that the file may be read, is whole, and is what its name says")))
}

/// The line, from 1, in which the first byte from `start` on stands that is none of `between`: what begins there was
/// read from `start`.
///
/// # Errors
/// If the file can't be read.
pub(super) fn line_at(reading: &Reading, file: &FileEntry, start: u64, between: &[u8]) -> Result<usize, EngineError> {
    let mut line = 1;
    for (at, byte) in (0..).zip(open(reading, file)?.bytes()) {
        match byte.map_err(|error| unreadable(file, &error))? {
            b'\n' => line += 1,
            byte if at >= start && !between.contains(&byte) => break,
            _ => {}
        }
    }
    Ok(line)
}

/// A line of the file as it stands there, as far as a message can show it.
pub(super) fn text_of_line(reading: &Reading, file: &FileEntry, line: usize) -> String {
    let found = open(reading, file).ok().and_then(|input| input.split(b'\n').nth(line - 1)?.ok());
    String::from_utf8_lossy(&found.unwrap_or_default()).trim_end_matches('\r').chars().take(500).collect()
}

/// A text of the user's file in the line that it has there, as a place for messages.
pub(super) fn quoted(reading: &Reading, file: &FileEntry, line: usize, text: &str, range: std::ops::Range<usize>) -> Span {
    // So many empty lines in front that the place has the number of its line; not for lines far down in huge files.
    let padding = line - 1;
    let padding = if padding <= 1_000_000 { padding } else { 0 };
    let id = reading.sources.add(&file.shown, format!("{}{text}", "\n".repeat(padding)));
    Span::new(id, padding + range.start, padding + range.end)
}

/// A stream of chunks as a reader.
pub(super) struct Bytewise {
    handle: Handle,
    chunks: BoxStream<'static, DfResult<Bytes>>,
    chunk: Bytes,
}

impl Read for Bytewise {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.handle.block_on(self.chunks.next()) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = target.len().min(self.chunk.len());
        let head = self.chunk.split_to(length);
        target.iter_mut().zip(head.iter()).for_each(|(to, from)| *to = *from);
        Ok(length)
    }
}

/// Runs `work` on every file on blocking threads, a few side by side; results are in the order of the files.
///
/// # Errors
/// The first error in the order of the files.
pub(super) async fn each_file<T: Send + 'static>(
    reading: &Reading,
    work: impl Fn(&Reading, &FileEntry) -> Result<T, EngineError> + Send + Sync + Clone + 'static,
) -> Result<Vec<T>, EngineError> {
    let tasks = reading.listing.files.clone().into_iter().map(|file| {
        let (reading, work) = (reading.clone(), work.clone());
        async move {
            let name = file.shown.clone();
            let done = tokio::task::spawn_blocking(move || work(&reading, &file)).await;
            done.map_err(|error| {
                let message = format!("`{name}` can't be read: {error}");
                EngineError::Diagnosed(Box::new(Diagnostic::error(Code::InputFile, message).help("check that the file is what its name says")))
            })?
        }
    });
    let results: Vec<Result<T, EngineError>> = futures::stream::iter(tasks).buffered(4).collect().await;
    results.into_iter().collect()
}
