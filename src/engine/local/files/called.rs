//! Files that are read as `DuckDB`'s functions read them: what their options mean for a reader.

use deltalake::arrow::datatypes::DataType;

use super::location::Listing;
use super::options::FileOptions;
use crate::sql::{FileCall, FileKind, Packing, ReadOptions, parse_type};

/// What a call says beside the options that all files have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Called {
    /// What stands for NULL, in place of the empty text.
    pub(super) nulls: Option<Vec<String>>,
    /// Lines in front of the header.
    pub(super) skip: usize,
    pub(super) pads: bool,
    pub(super) all_text: bool,
    /// Names of the first columns, or of all.
    pub(super) names: Vec<String>,
    /// Whether there are no other columns than those that are named.
    pub(super) all_named: bool,
    /// Types of the first columns.
    pub(super) types: Vec<String>,
    pub(super) date_format: Option<String>,
    pub(super) timestamp_format: Option<String>,
    pub(super) packing: Option<Packing>,
    pub(super) finds_delimiter: bool,
    pub(super) finds_header: bool,
    pub(super) union_by_name: bool,
}

/// Columns with their types.
pub(super) type Declared = Vec<(String, DataType)>;

/// The options of a call, and the types that it gives to columns.
pub(super) fn of_call(call: &FileCall) -> (FileOptions, Declared) {
    let ReadOptions { columns, types, .. } = &call.options;
    let declared = columns.iter().chain(types).filter_map(|(name, data_type)| Some((name.clone(), parse_type(data_type).ok()?))).collect();
    let given = call.options.clone();
    let names = if given.columns.is_empty() { given.names } else { given.columns.into_iter().map(|(name, _)| name).collect() };
    let called = Called {
        nulls: given.nulls,
        skip: given.skip,
        pads: given.pads,
        all_text: given.all_text,
        names,
        all_named: !columns.is_empty(),
        types: given.type_list,
        date_format: given.date_format,
        timestamp_format: given.timestamp_format,
        packing: given.packing,
        finds_delimiter: !given.fixed && given.delimiter.is_none(),
        finds_header: !given.fixed && given.header.is_none(),
        union_by_name: given.union_by_name || call.kind == FileKind::Json,
    };
    let quote = given.quote.unwrap_or(Some(b'"'));
    let options = FileOptions {
        header: given.header.unwrap_or(!given.fixed),
        delimiter: given.delimiter.unwrap_or(b','),
        quote: quote.unwrap_or(b'"'),
        quotes: quote.is_some(),
        escape: given.escape.filter(|escape| Some(*escape) != quote),
        null_value: None,
        as_seed: None,
        called: Some(called),
    };
    (options, declared)
}

/// The columns that come from the paths of files, as a call wants them: the path itself, then what the names of folders tell,
/// wherever they stand in it.
pub(super) fn name_files(listing: &mut Listing, call: &FileCall, declared: &mut Declared) {
    let mut columns: Vec<String> = Vec::new();
    if call.options.hive != Some(false) {
        for (name, _) in listing.files.iter().flat_map(|file| folders(&file.shown)) {
            if !columns.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                columns.push(name.to_owned());
            }
        }
    }
    for file in &mut listing.files {
        let found = |column: &String| super::location::partition_value(file.shown.split('/'), column);
        file.partitions = columns.iter().map(found).collect();
    }
    if let Some(name) = &call.options.filename {
        columns.insert(0, name.clone());
        for file in &mut listing.files {
            file.partitions.insert(0, Some(file.shown.clone()));
        }
        declared.push((name.clone(), DataType::Utf8));
    }
    listing.partition_columns = columns;
}

fn folders(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').filter_map(|folder| folder.split_once('=')).filter(|(name, _)| !name.is_empty())
}
