//! Parts of a text by a regular expression, in the syntax of the crate regex (no look-around, no back-references).

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use deltalake::arrow::datatypes::{DataType, Field, Int64Type};
use deltalake::datafusion::common::{Result, exec_datafusion_err, exec_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use regex::Regex;

use super::plain::Plain;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let with_group = || {
        let two = vec![DataType::Utf8, DataType::Utf8];
        let three = vec![DataType::Utf8, DataType::Utf8, DataType::Int64];
        Signature::one_of(vec![TypeSignature::Exact(two), TypeSignature::Exact(three)], Volatility::Immutable)
    };
    let two = || Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable);
    let returns_list: fn(&[DataType]) -> Result<DataType> = |_| Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))));
    vec![
        Plain { name: "regexp_extract", signature: with_group(), returns: |_| Ok(DataType::Utf8), run: extract }.into_udf(),
        Plain { name: "regexp_extract_all", signature: with_group(), returns: returns_list, run: extract_all }.into_udf(),
        Plain { name: "regexp_substr", signature: two(), returns: |_| Ok(DataType::Utf8), run: substr }.into_udf(),
        Plain { name: "split", signature: two(), returns: returns_list, run: split }.into_udf(),
    ]
}

/// Compiled patterns of one batch; nearly always there is one.
#[derive(Default)]
struct Patterns {
    known: HashMap<String, Regex>,
}

impl Patterns {
    fn get(&mut self, pattern: &str) -> Result<&Regex> {
        if !self.known.contains_key(pattern) {
            let regex = Regex::new(pattern).map_err(|_| exec_datafusion_err!("`{pattern}` is not a regular expression"))?;
            self.known.insert(pattern.to_owned(), regex);
        }
        self.known.get(pattern).ok_or_else(|| exec_datafusion_err!("`{pattern}` is not a regular expression"))
    }
}

/// Calls `found` with text, pattern and the wanted group of each row without NULLs, `none` for the others.
fn rows<B>(columns: &[ArrayRef], builder: &mut B, mut found: impl FnMut(&mut B, &str, &Regex, usize), mut none: impl FnMut(&mut B)) -> Result<()> {
    let (texts, patterns): (&StringArray, &StringArray) = (columns[0].as_string(), columns[1].as_string());
    let groups = columns.get(2).map(AsArray::as_primitive::<Int64Type>);
    let mut known = Patterns::default();
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) || groups.is_some_and(|groups| groups.is_null(row)) {
            none(builder);
            continue;
        }
        let regex = known.get(patterns.value(row))?;
        let group = match groups {
            Some(groups) => wanted(groups.value(row), regex)?,
            None => usize::from(regex.captures_len() > 1),
        };
        found(builder, texts.value(row), regex, group);
    }
    Ok(())
}

fn wanted(group: i64, regex: &Regex) -> Result<usize> {
    match usize::try_from(group) {
        Ok(group) if group < regex.captures_len() => Ok(group),
        _ => exec_err!("`{regex}` has no group {group}: it has {}", regex.captures_len() - 1),
    }
}

/// The group of the first match; empty where nothing matches, as in Spark and DuckDB.
fn extract(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut builder = StringBuilder::new();
    let group_of = |text: &str, regex: &Regex, group| regex.captures(text).and_then(|found| found.get(group).map(|part| part.as_str().to_owned()));
    rows(
        columns,
        &mut builder,
        |builder, text, regex, group| builder.append_value(group_of(text, regex, group).unwrap_or_default()),
        StringBuilder::append_null,
    )?;
    Ok(Arc::new(builder.finish()))
}

fn extract_all(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut builder = ListBuilder::new(StringBuilder::new());
    let all = |builder: &mut ListBuilder<StringBuilder>, text: &str, regex: &Regex, group: usize| {
        for found in regex.captures_iter(text) {
            builder.values().append_value(found.get(group).map_or("", |part| part.as_str()));
        }
        builder.append(true);
    };
    rows(columns, &mut builder, all, ListBuilder::append_null)?;
    Ok(Arc::new(builder.finish()))
}

/// The first match; NULL where nothing matches.
fn substr(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut builder = StringBuilder::new();
    rows(
        columns,
        &mut builder,
        |builder, text, regex, _| builder.append_option(regex.find(text).map(|found| found.as_str())),
        StringBuilder::append_null,
    )?;
    Ok(Arc::new(builder.finish()))
}

/// The text between the matches, as Spark's `split` has it.
fn split(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut builder = ListBuilder::new(StringBuilder::new());
    let parts = |builder: &mut ListBuilder<StringBuilder>, text: &str, regex: &Regex, _: usize| {
        regex.split(text).for_each(|part| builder.values().append_value(part));
        builder.append(true);
    };
    rows(columns, &mut builder, parts, ListBuilder::append_null)?;
    Ok(Arc::new(builder.finish()))
}
