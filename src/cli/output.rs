//! Rows on the screen: as a table, as JSON, as CSV.

use deltalake::arrow::datatypes::{FieldRef, SchemaRef};
use deltalake::arrow::record_batch::RecordBatch;
use serde_json::{Map, Value as Json, json};

use super::Streams;
use super::args::RowsOutput;
use crate::base::visible;
use crate::engine::json_rows;
use crate::sql::type_name;

/// What JSON output looks like around the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonShape<'a> {
    /// `{"columns": [{"name", "type"}], "rows": [[..]]}`
    Columns,
    /// `{"node": name, "show": [{..}, ..]}`, without a name where the query is inline; decimals are numbers, as in dbt.
    Show { node: Option<&'a str> },
    /// The rows alone, as those.
    Rows,
}

/// Prints a result. Text of the data is shown with its control characters escaped.
///
/// # Errors
/// If a value has no text form.
pub(super) fn print_rows(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    output: RowsOutput,
    shape: JsonShape<'_>,
    streams: &Streams,
) -> Result<(), String> {
    streams.print(&rows_text(schema, batches, output, shape)?);
    Ok(())
}

/// A result as it is printed.
///
/// # Errors
/// If a value has no text form.
pub(super) fn rows_text(schema: &SchemaRef, batches: &[RecordBatch], output: RowsOutput, shape: JsonShape<'_>) -> Result<String, String> {
    let mut rows: Vec<Vec<Json>> = Vec::new();
    for batch in batches {
        rows.extend(json_rows(batch).map_err(|error| error.to_string())?);
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    Ok(match output {
        RowsOutput::Table => table(&names, schema, &rows),
        RowsOutput::Csv => csv(&names, &rows)?,
        RowsOutput::Json => json_text(&names, schema, rows, shape),
    })
}

fn json_text(names: &[&str], schema: &SchemaRef, rows: Vec<Vec<Json>>, shape: JsonShape<'_>) -> String {
    let value = match shape {
        JsonShape::Columns => {
            let columns: Vec<Json> =
                schema.fields().iter().map(|field| json!({ "name": field.name(), "type": type_name(field.data_type()) })).collect();
            json!({ "columns": columns, "rows": rows })
        }
        JsonShape::Show { .. } | JsonShape::Rows => {
            let number = |(field, value): (&FieldRef, Json)| {
                let decimal = value.as_str().filter(|_| field.data_type().is_decimal()).and_then(|text| text.parse::<f64>().ok());
                decimal.map_or(value, Json::from)
            };
            let values = |row: Vec<Json>| schema.fields().iter().zip(row).map(number).collect::<Vec<_>>();
            let object = |row: Vec<Json>| Json::Object(names.iter().map(|name| (*name).to_owned()).zip(values(row)).collect::<Map<_, _>>());
            let rows: Json = rows.into_iter().map(object).collect();
            match shape {
                JsonShape::Show { node: Some(node) } => json!({"node": node, "show": rows}),
                JsonShape::Show { node: None } => json!({"show": rows}),
                JsonShape::Columns | JsonShape::Rows => rows,
            }
        }
    };
    format!("{value}\n")
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv(names: &[&str], rows: &[Vec<Json>]) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names).map_err(|error| error.to_string())?;
    for row in rows {
        writer.write_record(row.iter().map(cell)).map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn table(names: &[&str], schema: &SchemaRef, rows: &[Vec<Json>]) -> String {
    let shown = |value: &Json| if value.is_null() { "NULL".to_owned() } else { visible(&cell(value)).replace('\n', "\\n") };
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|at| cells.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).chain([names[at].chars().count()]).max().unwrap_or(0))
        .collect();
    let rule: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect::<String>() + "+\n";
    let line = |row: &[String], numbers: &[bool]| -> String {
        let padded = row.iter().zip(&widths).zip(numbers).map(|((text, width), right)| {
            let space = " ".repeat(width.saturating_sub(text.chars().count()));
            if *right { format!("| {space}{text} ") } else { format!("| {text}{space} ") }
        });
        padded.collect::<String>() + "|\n"
    };
    let numbers: Vec<bool> = schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
    let header: Vec<String> = names.iter().map(|name| visible(name).into_owned()).collect();
    let mut text = format!("{rule}{}{rule}", line(&header, &vec![false; names.len()]));
    for row in &cells {
        text.push_str(&line(row, &numbers));
    }
    text.push_str(&rule);
    text
}
