//! JSON: objects one after the other, usually one a line, or an array of them.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use deltalake::arrow::array::{AsArray as _, RecordBatch};
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::arrow::json::ReaderBuilder;
use deltalake::arrow::json::reader::infer_json_schema_from_iterator;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

use super::super::super::EngineError;
use super::infer::Guess;
use super::location::FileEntry;
use super::read::{BATCH_ROWS, Sent, each_file, line_at, open, quoted, text_of_line};
use super::texts::{cast_texts, misfit, with_article};
use super::{Reading, declared_type};
use crate::base::{Code, Diagnostic};
use crate::sql::type_name;

/// The fields of all objects of all files, declared types in front of found ones.
///
/// # Errors
/// If a file is not JSON, or a field has values that no type fits.
pub(super) async fn infer(reading: &Reading, declared: &[(String, DataType)]) -> Result<Vec<Field>, EngineError> {
    let typed = declared.to_vec();
    let files = each_file(reading, move |reading, file| survey(reading, file, &typed)).await?;
    let mut texts: Texts = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    for (field, text) in files.into_iter().flatten() {
        note(&mut texts, field.name(), |known| known.merge(text));
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            None => fields.push(field),
            Some(known) if known.data_type() == field.data_type() => {}
            Some(known) => *known = Field::new(known.name(), wider(known.data_type(), field.data_type()), true),
        }
    }
    let mut fields: Vec<Field> = fields.into_iter().map(|field| named_type(&as_moment(reading, field, &texts), declared)).collect();
    if reading.options.called.as_ref().is_some_and(|called| called.all_named) {
        fields.retain(|field| declared_type(declared, field.name()).is_some());
        let place = |field: &Field| declared.iter().position(|(name, _)| name.to_lowercase() == field.name().to_lowercase());
        fields.sort_by_key(place);
    }
    // Objects leave out what they have no value for, so a declared field may be in none of them.
    for (name, data_type) in declared {
        if !fields.iter().any(|field| field.name().to_lowercase() == name.to_lowercase()) {
            fields.push(Field::new(name, data_type.clone(), true));
        }
    }
    Ok(fields)
}

/// What the texts of fields can be in a call, where dates and times are told from other texts.
type Texts = Vec<(String, Guess)>;

fn note(texts: &mut Texts, name: &str, sees: impl FnOnce(&mut Guess)) {
    if let Some((_, known)) = texts.iter_mut().find(|(known, _)| known == name) {
        return sees(known);
    }
    let mut new = Guess::default();
    sees(&mut new);
    texts.push((name.to_owned(), new));
}

/// A field whose texts are all dates or times in ISO's notation, as one of these.
fn as_moment(reading: &Reading, field: Field, texts: &Texts) -> Field {
    if reading.options.called.is_none() || *field.data_type() != DataType::Utf8 {
        return field;
    }
    let found = texts.iter().find(|(name, _)| name == field.name()).and_then(|(_, guess)| guess.data_type());
    match found.filter(|found| matches!(found, DataType::Date32 | DataType::Timestamp(..))) {
        Some(found) => field.with_data_type(found),
        None => field,
    }
}

fn named_type(field: &Field, declared: &[(String, DataType)]) -> Field {
    let data_type = match (declared_type(declared, field.name()), field.data_type()) {
        (Some(data_type), _) => data_type.clone(),
        (None, DataType::Null) => DataType::Utf8,
        (None, found) => found.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// A type for two files that disagree: numbers widen, everything else is text.
fn wider(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (DataType::Null, known) | (known, DataType::Null) => known.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

fn survey(reading: &Reading, file: &FileEntry, declared: &[(String, DataType)]) -> Result<Vec<(Field, Guess)>, EngineError> {
    let mut names: Vec<String> = Vec::new();
    let mut texts: Texts = Vec::new();
    let mut wrong = None;
    let mut objects = serde_json::Deserializer::from_reader(BufReader::new(Objects::new(open(reading, file)?))).into_iter::<Json>();
    let mut next = || {
        let start = objects.byte_offset();
        objects.next().map(|object| (start, object))
    };
    let values = std::iter::from_fn(&mut next).map_while(|(start, object)| match object {
        Ok(Json::Object(mut fields)) => {
            for name in fields.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>() {
                names.push(name);
            }
            if reading.options.called.is_some() {
                for (name, value) in &fields {
                    match value {
                        Json::String(text) => note(&mut texts, name, |guess| guess.see_text(text, &reading.options)),
                        Json::Null => {}
                        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => note(&mut texts, name, Guess::see_other),
                    }
                }
            }
            // What is declared needs no type that fits its values.
            fields.iter_mut().filter(|(name, _)| declared_type(declared, name).is_some()).for_each(|(_, value)| *value = Json::Null);
            Some(Ok(Json::Object(fields)))
        }
        Ok(_) => {
            wrong = Some(at_object(reading, file, start, None, "expected an object, found another value", FORM));
            None
        }
        Err(error) => {
            wrong = Some(broken(reading, file, start, &error));
            None
        }
    });
    let schema = infer_json_schema_from_iterator(values).map_err(|error| malformed(file, &arrow_reason(&error)));
    if let Some(error) = wrong {
        return Err(error);
    }
    let schema = schema?;
    let text = |name: &String| texts.iter().find(|(known, _)| known == name).map(|(_, guess)| *guess).unwrap_or_default();
    Ok(names.iter().filter_map(|name| Some((schema.field_with_name(name).ok()?.clone(), text(name)))).collect())
}

/// Sends the objects of a file as batches of `schema`; fields that an object lacks are NULL.
///
/// # Errors
/// If the file is not JSON, or a value does not fit its type.
pub(super) fn decode(reading: &Reading, file: &FileEntry, schema: &SchemaRef, send: &mut dyn FnMut(RecordBatch) -> Sent) -> Result<(), EngineError> {
    let input = BufReader::new(Objects::new(open(reading, file)?));
    let written = as_written(schema);
    let reader = ReaderBuilder::new(Arc::clone(&written)).with_batch_size(BATCH_ROWS).with_coerce_primitive(true).build(input);
    let mut rows = 0;
    for batch in reader.map_err(|error| malformed(file, &arrow_reason(&error)))? {
        let batch = batch.map_err(|error| diagnose(reading, file, &written, &error))?;
        let count = batch.num_rows();
        if send(with_decimals(reading, file, schema, batch, rows)?) == Sent::Enough {
            break;
        }
        rows += count;
    }
    Ok(())
}

/// Decimals as texts: Arrow rounds what has more digits than they keep.
fn as_written(schema: &SchemaRef) -> SchemaRef {
    let text = |field: &Field| Arc::new(field.clone().with_data_type(DataType::Utf8));
    let fields = schema.fields().iter().map(|field| if field.data_type().is_decimal() { text(field) } else { Arc::clone(field) });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The decimals of a batch whose first object is the file's `start`th, out of their texts.
fn with_decimals(reading: &Reading, file: &FileEntry, schema: &SchemaRef, batch: RecordBatch, start: usize) -> Result<RecordBatch, EngineError> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let mut columns = batch.columns().to_vec();
    for (field, column) in schema.fields().iter().zip(&mut columns).filter(|(field, _)| field.data_type().is_decimal()) {
        let Some(texts) = column.as_string_opt::<i32>() else { continue };
        let (typed, wrong) = cast_texts(texts, field.data_type(), false).map_err(|error| malformed(file, &arrow_reason(&error)))?;
        if let Some(row) = wrong {
            let reason = format!("column `{}`: {}", field.name(), misfit(texts.value(row), field.data_type()));
            return Err(at_row(reading, file, start + row, &reason));
        }
        *column = typed;
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| malformed(file, &arrow_reason(&error)))
}

/// Reads the file again up to an object, by its number from 0, whose value does not fit.
fn at_row(reading: &Reading, file: &FileEntry, row: usize, reason: &str) -> EngineError {
    let input = match open(reading, file) {
        Ok(input) => input,
        Err(error) => return error,
    };
    let mut objects = serde_json::Deserializer::from_reader(BufReader::new(Objects::new(input))).into_iter::<IgnoredAny>();
    for _ in 0..row {
        objects.next();
    }
    at_object(reading, file, objects.byte_offset(), None, reason, VALUE_HELP)
}

const VALUE_HELP: &str = "correct the value, or declare another type for the column";

/// Reads the file again, object by object, to say which one is wrong.
fn diagnose(reading: &Reading, file: &FileEntry, schema: &SchemaRef, error: &ArrowError) -> EngineError {
    let input = match open(reading, file) {
        Ok(input) => input,
        Err(error) => return error,
    };
    let mut objects = serde_json::Deserializer::from_reader(BufReader::new(Objects::new(input))).into_iter::<Json>();
    loop {
        let start = objects.byte_offset();
        let object = match objects.next() {
            None => break,
            Some(Ok(object)) => object,
            Some(Err(error)) => return broken(reading, file, start, &error),
        };
        let Ok(mut decoder) = ReaderBuilder::new(Arc::clone(schema)).with_coerce_primitive(true).build_decoder() else { break };
        let text = object.to_string();
        if let Err(error) = decoder.serialize(&[object]).and_then(|()| decoder.flush().map(|_| ())) {
            return at_object(reading, file, start, Some(text), &wrong_value(&error), VALUE_HELP);
        }
    }
    malformed(file, &arrow_reason(error))
}

/// An object that is no JSON.
fn broken(reading: &Reading, file: &FileEntry, start: usize, error: &serde_json::Error) -> EngineError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    let reason = if error.is_eof() { "the file ends within an object" } else { reason };
    at_object(reading, file, start, None, reason, FORM)
}

const FORM: &str = "expected one JSON object a line, or one array of objects";

/// A message about the object that was read from the byte `start` on.
#[expect(clippy::too_many_arguments, reason = "a place in a file and the two texts about it")]
fn at_object(reading: &Reading, file: &FileEntry, start: usize, object: Option<String>, reason: &str, help: &str) -> EngineError {
    let line = match line_at(reading, file, start as u64, b" \t\r\n,") {
        Ok(line) => line,
        Err(error) => return error,
    };
    let shown: String = object.unwrap_or_else(|| text_of_line(reading, file, line)).chars().take(500).collect();
    let span = quoted(reading, file, line, &shown, 0..shown.len());
    let diagnostic = Diagnostic::error(Code::InputFile, format!("`{}` line {line}, {reason}", file.shown));
    EngineError::Diagnosed(Box::new(diagnostic.at(span, "in this object").help(help)))
}

/// What Arrow says of a value that does not fit its type, in the names of types that users know.
fn wrong_value(error: &ArrowError) -> String {
    let text = arrow_reason(error);
    let mut fields = Vec::new();
    let mut rest = text.as_str();
    while let Some((field, tail)) = rest.strip_prefix("whilst decoding field '").and_then(|tail| tail.split_once("': ")) {
        fields.push(field);
        rest = arrow_prefix(tail);
    }
    let named = |arrow: &str| arrow.trim().parse::<DataType>().map_or_else(|_| arrow.to_owned(), |found| type_name(&found).to_lowercase());
    let reason = match rest.strip_prefix("failed to parse ").and_then(|tail| tail.rsplit_once(" as ")) {
        Some((value, arrow)) => format!("`{}` is not {}", value.trim_matches('"'), with_article(&named(arrow))),
        None => rest.replace(" got ", ", found "),
    };
    match fields.as_slice() {
        [] => reason,
        fields => format!("column `{}`: {reason}", fields.join(".")),
    }
}

fn arrow_reason(error: &ArrowError) -> String {
    arrow_prefix(&error.to_string()).to_owned()
}

/// Without `Json error: ` and its like.
fn arrow_prefix(text: &str) -> &str {
    text.split_once(" error: ").map_or(text, |(_, reason)| reason)
}

fn malformed(file: &FileEntry, reason: &str) -> EngineError {
    EngineError::Diagnosed(Box::new(Diagnostic::error(Code::InputFile, format!("`{}`: {reason}", file.shown)).help(FORM)))
}
/// Makes an array of objects into objects one after the other, by blanking its brackets and commas. Bytes keep their
/// places, and so do lines.
struct Objects<R> {
    input: R,
    /// `None` until the first byte that is not white space has told.
    is_array: Option<bool>,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl<R: Read> Objects<R> {
    fn new(input: R) -> Self {
        Self { input, is_array: None, depth: 0, in_text: false, escaped: false }
    }

    fn pass(&mut self, byte: u8) -> u8 {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return byte;
        }
        match byte {
            b'"' => self.in_text = true,
            b'[' if self.depth == 0 => {
                self.depth = 1;
                return b' ';
            }
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return b' ';
                }
            }
            b',' if self.depth == 1 => return b' ',
            _ => {}
        }
        byte
    }
}

impl<R: Read> Read for Objects<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(target)?;
        let Some(filled) = target.get_mut(..length) else { return Ok(length) };
        if self.is_array.is_none() {
            // A byte order mark is white space to nobody but Windows.
            if filled.starts_with(&[0xef, 0xbb, 0xbf]) {
                filled.iter_mut().take(3).for_each(|byte| *byte = b' ');
            }
            self.is_array = filled.iter().find(|byte| !byte.is_ascii_whitespace()).map(|byte| *byte == b'[');
        }
        if self.is_array == Some(true) {
            for byte in filled.iter_mut() {
                *byte = self.pass(*byte);
            }
        }
        Ok(length)
    }
}
