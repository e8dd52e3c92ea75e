//! What `DuckDB` finds out from the beginning of a CSV file that a call says nothing of: the delimiter, whether there is a
//! header, and which names the types of a list belong to.

use std::io::{BufRead as _, Read as _};

use csv::{ByteRecord, ReaderBuilder};
use deltalake::arrow::datatypes::DataType;

use super::super::super::EngineError;
use super::Reading;
use super::called::{Called, Declared};
use super::infer::Guess;
use super::location::FileEntry;
use super::options::FileOptions;
use super::read::{open, unreadable};
use crate::sql::parse_type;

/// Bytes that are looked at.
const SAMPLE: u64 = 1 << 16;

const DELIMITERS: [u8; 4] = [b',', b'|', b';', b'\t'];

/// The options with what the first file that is not empty tells, and the types of a list with the names of their columns.
///
/// # Errors
/// If a file can't be read.
pub(super) fn settle(reading: &Reading) -> Result<(FileOptions, Declared), EngineError> {
    let mut options = reading.options.clone();
    let Some(called) = options.called.clone() else { return Ok((options, Vec::new())) };
    for file in &reading.listing.files {
        let (sample, whole) = sample(reading, file, called.skip)?;
        if sample.is_empty() {
            continue;
        }
        if called.finds_delimiter {
            options.delimiter = delimiter(&sample, whole, &options);
        }
        let rows = rows(&sample, whole, &options);
        if called.finds_header {
            options.header = has_header(&rows, &options);
        }
        let first = rows.first().map(texts).unwrap_or_default();
        let names = column_names(&first, &options, &called);
        let typed = names.into_iter().zip(&called.types).filter_map(|(name, data_type)| Some((name, parse_type(data_type).ok()?)));
        return Ok((options, typed.collect()));
    }
    Ok((options, Vec::new()))
}

/// The beginning of a file, and whether that is all of it.
fn sample(reading: &Reading, file: &FileEntry, skip: usize) -> Result<(Vec<u8>, bool), EngineError> {
    let mut input = open(reading, file)?;
    let mut line = Vec::new();
    for _ in 0..skip {
        line.clear();
        input.read_until(b'\n', &mut line).map_err(|error| unreadable(file, &error))?;
    }
    let mut sample = Vec::new();
    input.take(SAMPLE).read_to_end(&mut sample).map_err(|error| unreadable(file, &error))?;
    let whole = (sample.len() as u64) < SAMPLE;
    Ok((sample, whole))
}

/// The rows of a sample, without one that is cut off.
fn rows(sample: &[u8], whole: bool, options: &FileOptions) -> Vec<ByteRecord> {
    let mut reader = ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(options.delimiter).quote(options.quote).quoting(options.quotes);
    reader.escape(options.escape).double_quote(options.escape.is_none());
    let mut rows: Vec<ByteRecord> = reader.from_reader(sample).into_byte_records().map_while(Result::ok).collect();
    if !whole && rows.len() > 1 {
        rows.pop();
    }
    rows
}

/// The delimiter that parts all rows into as many fields, more than one; of several the one that makes the most.
fn delimiter(sample: &[u8], whole: bool, options: &FileOptions) -> u8 {
    let width = |delimiter: u8| {
        let rows = rows(sample, whole, &FileOptions { delimiter, ..options.clone() });
        let width = rows.first().map_or(0, ByteRecord::len);
        (width > 1 && rows.iter().all(|row| row.len() == width)).then_some(width)
    };
    let mut best = (1, b',');
    for delimiter in DELIMITERS.into_iter().filter(|delimiter| *delimiter != options.quote || !options.quotes) {
        if let Some(width) = width(delimiter).filter(|width| *width > best.0) {
            best = (width, delimiter);
        }
    }
    best.1
}

fn texts(row: &ByteRecord) -> Vec<String> {
    row.iter().map(|field| String::from_utf8_lossy(field).trim_start_matches('\u{feff}').to_owned()).collect()
}

/// Whether the first row is one of names: a value in it is none of the type of the rows below, or all of them are texts.
fn has_header(rows: &[ByteRecord], options: &FileOptions) -> bool {
    let Some((first, body)) = rows.split_first() else { return true };
    let mut columns = vec![Guess::default(); first.len()];
    for row in body {
        for (text, guess) in texts(row).iter().zip(&mut columns).filter(|(text, _)| !options.is_null(text)) {
            guess.see(text, options);
        }
    }
    let is_text = |guess: &Guess| guess.data_type().is_none_or(|found| found == DataType::Utf8);
    let first = texts(first);
    let alone = |text: &str| {
        let mut guess = Guess::default();
        guess.see(text, options);
        guess
    };
    if columns.iter().all(is_text) {
        return !first.iter().zip(&columns).any(|(text, guess)| guess.data_type().is_none() && !options.is_null(text) && !is_text(&alone(text)));
    }
    first.iter().zip(&columns).any(|(text, guess)| {
        let mut both = *guess;
        both.merge(alone(text));
        !options.is_null(text) && !is_text(guess) && is_text(&both)
    })
}

/// The names of the columns, as `DuckDB` gives them where the first row has none.
pub(super) fn column_names(first: &[String], options: &FileOptions, called: &Called) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(first.len());
    for (at, text) in first.iter().enumerate() {
        let found = if options.header { text.trim() } else { "" };
        let name = match (called.names.get(at), found) {
            (Some(name), _) => name.clone(),
            (None, "") => format!("column{at}"),
            (None, found) => found.to_owned(),
        };
        let taken = |name: &str| names.iter().any(|known| known.to_lowercase() == name.to_lowercase());
        let again = (1..=first.len()).map(|time| format!("{name}_{time}")).find(|other| !taken(other));
        names.push(if taken(&name) { again.unwrap_or(name) } else { name });
    }
    names
}
