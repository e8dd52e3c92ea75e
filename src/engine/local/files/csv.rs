//! CSV: headers, types over all values, rows. Columns are matched by their names, so files may have them in any order
//! and lack some; a row that does not fit is reported with its file, line and column.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;

use csv::{ByteRecord, Reader, ReaderBuilder};
use deltalake::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, StringBuilder};
use deltalake::arrow::compute::can_cast_types;
use deltalake::arrow::datatypes::{DataType, Field, SchemaRef};

use super::super::super::EngineError;
use super::infer::Guess;
use super::location::FileEntry;
use super::options::FileOptions;
use super::quotes::Quotes;
use super::read::{BATCH_ROWS, Sent, each_file, line_at, open, quoted, text_of_line};
use super::sniff::column_names;
use super::texts::{cast_texts, misfit};
use super::{Formats, Reading, declared_type, lacks_column, moments};
use crate::base::{Code, Diagnostic};
use crate::sql::type_name;

/// A file that is read from behind the lines that are to be skipped.
struct Input {
    reader: Reader<Quotes<BufReader<super::read::Bytewise>>>,
    /// Bytes of these lines.
    skipped: u64,
}

/// The columns of all files, in the order in which they first appear; undeclared types are those that fit all values.
///
/// # Errors
/// If a file can't be read, or has a row that does not fit its header.
pub(super) async fn infer(reading: &Reading, declared: &[(String, DataType)]) -> Result<(Vec<Field>, Formats), EngineError> {
    let typed = declared.to_vec();
    let files = each_file(reading, move |reading, file| survey(reading, file, &typed)).await?;
    let files = columns_of_first(reading, files)?;
    let mut columns: Vec<(String, Guess)> = Vec::new();
    for (name, guess) in files.into_iter().flatten() {
        match columns.iter_mut().find(|(known, _)| known.to_lowercase() == name.to_lowercase()) {
            Some((_, known)) => known.merge(guess),
            None => columns.push((name, guess)),
        }
    }
    if columns.is_empty() {
        return Err(empty(&reading.listing.files));
    }
    let mut formats = Formats::new();
    let fields = columns.into_iter().map(|(name, guess)| {
        let found = || guess.found(&reading.options).unwrap_or_else(|| (reading.options.without_values(), None));
        let data_type = match declared_type(declared, &name) {
            Some(data_type) => data_type.clone(),
            None if reading.options.all_text() => DataType::Utf8,
            None => {
                let (data_type, format) = found();
                formats.extend(format.map(|format| (name.clone(), format)));
                data_type
            }
        };
        Field::new(name, data_type, true)
    });
    let fields = fields.collect();
    Ok((fields, formats))
}

/// Without `union_by_name`, a call reads the columns of its first file, and wants them in every other.
fn columns_of_first(reading: &Reading, mut files: Vec<Vec<(String, Guess)>>) -> Result<Vec<Vec<(String, Guess)>>, EngineError> {
    if reading.options.called.as_ref().is_none_or(|called| called.union_by_name) {
        return Ok(files);
    }
    let Some(at) = files.iter().position(|columns| !columns.is_empty()) else { return Ok(files) };
    let first: Vec<String> = files.get(at).into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect();
    for (file, columns) in reading.listing.files.iter().zip(&mut files).filter(|(_, columns)| !columns.is_empty()) {
        if let Some(name) = first.iter().find(|name| !columns.iter().any(|(known, _)| known.to_lowercase() == **name)) {
            return Err(lacks_column(&file.shown, name, reading.listing.files.get(at).map_or("", |file| file.shown.as_str())));
        }
        columns.retain(|(name, _)| first.contains(&name.to_lowercase()));
    }
    Ok(files)
}

/// The columns of one file with what their values can be. Where every type is declared, only the header is read.
fn survey(reading: &Reading, file: &FileEntry, declared: &[(String, DataType)]) -> Result<Vec<(String, Guess)>, EngineError> {
    let mut input = reader(reading, file)?;
    let Some(header) = header(reading, file, &mut input, declared)? else { return Ok(Vec::new()) };
    let mut guesses: Vec<(String, Guess)> = header.names.iter().map(|name| (name.clone(), Guess::default())).collect();
    let mut open_types: Vec<usize> = (0..header.names.len()).filter(|at| declared_type(declared, &header.names[*at]).is_none()).collect();
    if reading.options.all_text() {
        open_types.clear();
    }
    if open_types.is_empty() {
        return Ok(guesses);
    }
    let mut record = header.first_row.unwrap_or_default();
    let mut pending = !record.is_empty();
    while pending || next(reading, file, &mut input, &mut record)? {
        pending = false;
        check_width(reading, file, &record, header.names.len())?;
        for at in &open_types {
            if let Some(value) = value(reading, file, &record, *at)? {
                guesses[*at].1.see(value, &reading.options);
            }
        }
    }
    Ok(guesses)
}

/// Sends the rows of a file as batches of `schema`; columns that the file lacks are NULL.
///
/// # Errors
/// At the first row that does not fit.
pub(super) fn decode(reading: &Reading, file: &FileEntry, schema: &SchemaRef, send: &mut dyn FnMut(RecordBatch) -> Sent) -> Result<(), EngineError> {
    let mut input = reader(reading, file)?;
    let names: Vec<(String, DataType)> = schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let Some(header) = header(reading, file, &mut input, &names)? else { return Ok(()) };
    let places: Vec<Option<usize>> =
        names.iter().map(|(name, _)| header.names.iter().position(|column| column.to_lowercase() == name.to_lowercase())).collect();
    let mut chunk = Chunk::new(reading, file, schema, places);
    let mut record = header.first_row.unwrap_or_default();
    let mut pending = !record.is_empty();
    while pending || next(reading, file, &mut input, &mut record)? {
        pending = false;
        check_width(reading, file, &record, header.names.len())?;
        chunk.push(&record)?;
        if chunk.starts.len() == BATCH_ROWS && send(chunk.take()?) == Sent::Enough {
            return Ok(());
        }
    }
    if !chunk.starts.is_empty() {
        send(chunk.take()?);
    }
    Ok(())
}

/// Rows on their way to a batch.
struct Chunk<'a> {
    reading: &'a Reading,
    file: &'a FileEntry,
    schema: &'a SchemaRef,
    /// Where the file has each column of the schema.
    places: Vec<Option<usize>>,
    texts: Vec<StringBuilder>,
    /// Where each row begins in the file.
    starts: Vec<u64>,
}

impl<'a> Chunk<'a> {
    fn new(reading: &'a Reading, file: &'a FileEntry, schema: &'a SchemaRef, places: Vec<Option<usize>>) -> Self {
        let texts = places.iter().map(|_| StringBuilder::with_capacity(BATCH_ROWS, BATCH_ROWS * 8)).collect();
        Self { reading, file, schema, places, texts, starts: Vec::with_capacity(BATCH_ROWS) }
    }

    fn push(&mut self, record: &ByteRecord) -> Result<(), EngineError> {
        self.starts.push(start_of(record));
        for ((place, field), texts) in self.places.iter().zip(self.schema.fields()).zip(&mut self.texts) {
            let Some(place) = place else { continue };
            let found = value(self.reading, self.file, record, *place)?;
            texts.append_option(if *field.data_type() == DataType::Utf8 { found } else { found.map(str::trim).filter(|text| !text.is_empty()) });
        }
        Ok(())
    }

    fn take(&mut self) -> Result<RecordBatch, EngineError> {
        let texts: Vec<StringArray> = self.texts.iter_mut().map(StringBuilder::finish).collect();
        let columns = self
            .places
            .iter()
            .zip(self.schema.fields())
            .zip(texts)
            .map(|((place, field), texts)| self.column(*place, field, texts))
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.starts.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(self.schema), columns, &options);
        self.starts.clear();
        batch.map_err(|error| super::read::unreadable(self.file, &error))
    }

    fn column(&self, place: Option<usize>, field: &Field, texts: StringArray) -> Result<ArrayRef, EngineError> {
        match place {
            None => Ok(deltalake::arrow::array::new_null_array(field.data_type(), self.starts.len())),
            Some(_) if *field.data_type() == DataType::Utf8 => Ok(Arc::new(texts)),
            Some(place) => self.cast(&texts, place, field),
        }
    }

    fn cast(&self, texts: &StringArray, place: usize, field: &Field) -> Result<ArrayRef, EngineError> {
        if !can_cast_types(&DataType::Utf8, field.data_type()) {
            let message = format!("`{}`: column `{}` can't be read as {}", self.file.shown, field.name(), type_name(field.data_type()));
            return Err(EngineError::Diagnosed(Box::new(
                Diagnostic::error(Code::InputFile, message).help("declare it as varchar and convert it in a model"),
            )));
        }
        let formatted = self.reading.format_of(field).and_then(|format| moments::cast(texts, field.data_type(), format));
        let (typed, wrong) = match formatted {
            Some(cast) => cast,
            None => {
                cast_texts(texts, field.data_type(), self.reading.options.rounds()).map_err(|error| super::read::unreadable(self.file, &error))?
            }
        };
        match wrong.and_then(|row| Some((row, self.starts.get(row)?))) {
            None => Ok(typed),
            Some((row, start)) => {
                let message = format!("column `{}`: {}", field.name(), misfit(texts.value(row), field.data_type()));
                let record = record_at(self.reading, self.file, *start)?;
                Err(at_line(self.reading, self.file, &record, Some(place), &message, "correct the value, or declare another type for the column"))
            }
        }
    }
}

fn start_of(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::byte)
}

/// The row that begins at a place in the file.
fn record_at(reading: &Reading, file: &FileEntry, start: u64) -> Result<ByteRecord, EngineError> {
    let mut input = reader(reading, file)?;
    let mut record = ByteRecord::new();
    while next(reading, file, &mut input, &mut record)? && start_of(&record) < start {}
    Ok(record)
}

struct Header {
    names: Vec<String>,
    /// Without a header line, the first row has been read to know the number of columns.
    first_row: Option<ByteRecord>,
}

fn reader(reading: &Reading, file: &FileEntry) -> Result<Input, EngineError> {
    let FileOptions { delimiter, quote, quotes, escape, .. } = &reading.options;
    let mut input = open(reading, file)?;
    let mut skipped = 0;
    let mut line = Vec::new();
    for _ in 0..reading.options.called.as_ref().map_or(0, |called| called.skip) {
        line.clear();
        skipped += input.read_until(b'\n', &mut line).map_err(|error| super::read::unreadable(file, &error))? as u64;
    }
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(*delimiter)
        .quote(*quote)
        .quoting(*quotes)
        .escape(*escape)
        .double_quote(escape.is_none())
        .from_reader(Quotes::new(input, &reading.options));
    Ok(Input { reader, skipped })
}

/// `None` for an empty file.
fn header(reading: &Reading, file: &FileEntry, input: &mut Input, declared: &[(String, DataType)]) -> Result<Option<Header>, EngineError> {
    let mut record = ByteRecord::new();
    if !next(reading, file, input, &mut record)? {
        return Ok(None);
    }
    if let Some(called) = &reading.options.called {
        let first: Vec<String> = (0..record.len()).map(|at| text(reading, file, &record, at).map(str::to_owned)).collect::<Result<_, _>>()?;
        if called.all_named && called.names.len() != first.len() && !called.pads {
            let message = format!("expected the {} columns that are named, found {}", called.names.len(), first.len());
            return Err(at_line(reading, file, &record, None, &message, "name all columns of the file, in their order"));
        }
        let names = column_names(&first, &reading.options, called);
        return Ok(Some(Header { names, first_row: (!reading.options.header).then_some(record) }));
    }
    if !reading.options.header {
        let names = (0..record.len()).map(|at| declared.get(at).map_or_else(|| format!("column_{}", at + 1), |(name, _)| name.clone())).collect();
        return Ok(Some(Header { names, first_row: Some(record) }));
    }
    let mut names = Vec::with_capacity(record.len());
    let mut known = HashSet::new();
    for at in 0..record.len() {
        let name = match text(reading, file, &record, at)?.trim() {
            "" => format!("column_{}", at + 1),
            name if reading.options.as_seed.is_some() => unquoted(name).to_owned(),
            name => name.to_owned(),
        };
        if !known.insert(name.to_lowercase()) {
            return Err(at_line(
                reading,
                file,
                &record,
                Some(at),
                &format!("the header names column `{name}` twice"),
                "give every column a name of its own",
            ));
        }
        names.push(name);
    }
    Ok(Some(Header { names, first_row: None }))
}

/// A name in the quotes of SQL, which dbt writes into the statement that makes the seed as it stands.
fn unquoted(name: &str) -> &str {
    let within = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.is_empty() && !inner.contains(quote));
    within('"').or_else(|| within('`')).unwrap_or(name)
}

fn next(reading: &Reading, file: &FileEntry, input: &mut Input, record: &mut ByteRecord) -> Result<bool, EngineError> {
    let found = input.reader.read_byte_record(record).map_err(|error| super::read::unreadable(file, &error))?;
    if input.skipped > 0
        && let Some(mut position) = record.position().cloned()
    {
        position.set_byte(position.byte() + input.skipped);
        record.set_position(Some(position));
    }
    match input.reader.get_ref().unclosed() {
        None => Ok(found),
        Some(start) => Err(unclosed(reading, file, start + input.skipped)),
    }
}

fn empty(files: &[FileEntry]) -> EngineError {
    let message = match files {
        [one] => format!("`{}` is empty", one.shown),
        files => format!("all {} files are empty, `{}` the first", files.len(), files.first().map_or("", |file| file.shown.as_str())),
    };
    EngineError::Diagnosed(Box::new(Diagnostic::error(Code::InputFile, message).help("a CSV file has at least a line with the names of its columns")))
}

/// A quote that is open when the file ends: the rest of the file is no value that anybody meant.
fn unclosed(reading: &Reading, file: &FileEntry, start: u64) -> EngineError {
    let line = match line_at(reading, file, start, &[]) {
        Ok(line) => line,
        Err(error) => return error,
    };
    let row = text_of_line(reading, file, line);
    let quote = char::from(reading.options.quote);
    let message = format!("`{}` line {line}, a quote is not closed", file.shown);
    let help = match reading.options.escape {
        None => format!("close it before the next delimiter; a `{quote}` that belongs to a value is doubled, and the value stands in quotes"),
        Some(escape) => format!("close it before the next delimiter; a `{quote}` that belongs to a value has a `{}` in front", char::from(escape)),
    };
    let span = quoted(reading, file, line, &row, 0..row.len());
    EngineError::Diagnosed(Box::new(Diagnostic::error(Code::InputFile, message).at(span, "in this row").help(help)))
}

fn check_width(reading: &Reading, file: &FileEntry, record: &ByteRecord, expected: usize) -> Result<(), EngineError> {
    if record.len() == expected || record.len() < expected && reading.options.pads_rows() {
        return Ok(());
    }
    let place = (record.len() > expected).then_some(expected);
    let message = format!("expected {expected} fields, found {}", record.len());
    Err(at_line(reading, file, record, place, &message, "quote values that hold the delimiter, and close every quote"))
}

/// The value of a field; `None` where it means NULL.
fn value<'a>(reading: &Reading, file: &FileEntry, record: &'a ByteRecord, at: usize) -> Result<Option<&'a str>, EngineError> {
    let text = text(reading, file, record, at)?;
    Ok((!reading.options.is_null(text)).then_some(text))
}

fn text<'a>(reading: &Reading, file: &FileEntry, record: &'a ByteRecord, at: usize) -> Result<&'a str, EngineError> {
    std::str::from_utf8(record.get(at).unwrap_or_default())
        .map_err(|_| at_line(reading, file, record, Some(at), &format!("field {} is not UTF-8", at + 1), "save the file as UTF-8"))
}

/// A message about a row, with the row as it stands in the file.
#[expect(clippy::too_many_arguments, reason = "a place in a file and the two texts about it")]
fn at_line(reading: &Reading, file: &FileEntry, record: &ByteRecord, place: Option<usize>, message: &str, help: &str) -> EngineError {
    // The parser's own count is behind after empty lines and where lines end in CR LF.
    let line = match line_at(reading, file, start_of(record), b"\r\n") {
        Ok(line) => line,
        Err(error) => return error,
    };
    let (row, range) = written(record, place, reading.options.delimiter);
    let span = quoted(reading, file, line, &row, range);
    let diagnostic = Diagnostic::error(Code::InputFile, format!("`{}` line {line}, {message}", file.shown));
    EngineError::Diagnosed(Box::new(diagnostic.at(span, "in this row").help(help)))
}

/// The row as a writer of CSV would write it, and the range of one field in it.
fn written(record: &ByteRecord, place: Option<usize>, delimiter: u8) -> (String, std::ops::Range<usize>) {
    let mut row = String::new();
    let mut range = None;
    for (at, field) in record.iter().enumerate() {
        if at > 0 {
            row.push(char::from(delimiter));
        }
        let start = row.len();
        let text = String::from_utf8_lossy(field);
        if text.contains(['"', '\n', '\r', char::from(delimiter)]) {
            row.extend(["\"", &text.replace('"', "\"\""), "\""]);
        } else {
            row.push_str(&text);
        }
        if place == Some(at) {
            range = Some(start..row.len());
        }
    }
    let whole = 0..row.len();
    (row, range.unwrap_or(whole))
}
