//! Values to JSON and back: `to_json`, `from_json`, `parse_json`, `try_parse_json`; and what is JSON: `is_json`.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, StringBuilder, new_null_array};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use deltalake::arrow::json::ReaderBuilder;
use deltalake::arrow::json::writer::{EncoderOptions, make_encoder};
use deltalake::datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use serde_json::Value as Json;

use super::plain::Plain;
use crate::sql::parse_type;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let text = || Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    vec![
        Plain { name: "to_json", signature: Signature::any(1, Volatility::Immutable), returns: |_| Ok(DataType::Utf8), run: to_json }.into_udf(),
        Plain { name: "to_json_string", signature: Signature::any(1, Volatility::Immutable), returns: |_| Ok(DataType::Utf8), run: to_json_string }
            .into_udf(),
        Plain {
            name: "is_json",
            signature: Signature::one_of(
                vec![TypeSignature::Exact(vec![DataType::Utf8]), TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8])],
                Volatility::Immutable,
            ),
            returns: |_| Ok(DataType::Boolean),
            run: |columns| Ok(is_json(columns)),
        }
        .into_udf(),
        Plain { name: "parse_json", signature: text(), returns: |_| Ok(DataType::Utf8), run: |columns| parsed(columns, true) }.into_udf(),
        Plain { name: "try_parse_json", signature: text(), returns: |_| Ok(DataType::Utf8), run: |columns| parsed(columns, false) }.into_udf(),
        Arc::new(ScalarUDF::from(FromJson { signature: Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable) })),
    ]
}

/// One JSON text a value; fields of structs that are NULL are left out, as in Spark.
fn to_json(columns: &[ArrayRef]) -> Result<ArrayRef> {
    written(&columns[0], &EncoderOptions::default())
}

/// One JSON text a value, NULL too, as in `BigQuery`.
fn to_json_string(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = written(&columns[0], &EncoderOptions::default().with_explicit_nulls(true))?;
    let texts = texts.as_string::<i32>();
    Ok(Arc::new(texts.iter().map(|text| Some(text.unwrap_or("null"))).collect::<StringArray>()))
}

fn written(column: &ArrayRef, options: &EncoderOptions) -> Result<ArrayRef> {
    let field: FieldRef = Arc::new(Field::new("value", column.data_type().clone(), true));
    let mut encoder = make_encoder(&field, column.as_ref(), options)?;
    let mut result = StringBuilder::new();
    let mut bytes = Vec::new();
    // Of a column of nothing but NULL too.
    let nulls = column.logical_nulls();
    for row in 0..column.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            result.append_null();
            continue;
        }
        bytes.clear();
        encoder.encode(row, &mut bytes);
        result.append_value(std::str::from_utf8(&bytes).map_err(|_| exec_datafusion_err!("a value is no text in UTF-8"))?);
    }
    Ok(Arc::new(result.finish()))
}

/// The text, where it is JSON; else an error, or NULL.
fn parsed(columns: &[ArrayRef], strict: bool) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>();
    let mut result = StringBuilder::new();
    for text in texts {
        match text {
            Some(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => result.append_value(text),
            Some(text) if strict => return exec_err!("`{}` is not JSON", shortened(text)),
            None | Some(_) => result.append_null(),
        }
    }
    Ok(Arc::new(result.finish()))
}

/// Whether texts are JSON, of a kind that may be named.
fn is_json(columns: &[ArrayRef]) -> ArrayRef {
    let kinds = columns.get(1).map(AsArray::as_string::<i32>);
    let found = columns[0].as_string::<i32>().iter().enumerate().map(|(row, text)| {
        let (text, kind) = (text?, kinds.map_or("value", |kinds| kinds.value(row)));
        let begins = text.trim_start().chars().next();
        let of_kind = match kind {
            "object" => begins == Some('{'),
            "array" => begins == Some('['),
            "scalar" => !matches!(begins, Some('{' | '[')),
            _ => true,
        };
        Some(of_kind && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
    });
    Arc::new(found.collect::<BooleanArray>())
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain("...".chars()).collect() }
}

/// `from_json(text, 'a int, b array<string>')`: what does not fit its type is NULL, and so is what is no JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FromJson {
    signature: Signature,
}

impl ScalarUDFImpl for FromJson {
    fn name(&self) -> &'static str {
        "from_json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("`from_json` needs its type as a text")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [_, Some(ScalarValue::Utf8(Some(text)))] = args.scalar_arguments else {
            return plan_err!("the type of `from_json` has to be a text in quotes, such as 'a int, b string'");
        };
        match wanted(text) {
            Ok(found) => Ok(Arc::new(Field::new("from_json", found, true))),
            Err(reason) => plan_err!("the type of `from_json`: {reason}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let target = args.return_field.data_type().clone();
        let texts = args.args[0].to_array(args.number_rows)?;
        read(texts.as_string::<i32>(), &target).map(ColumnarValue::Array)
    }
}

/// A type's name, or the columns of a struct.
fn wanted(text: &str) -> std::result::Result<DataType, String> {
    match parse_type(text) {
        Ok(found) if found.is_nested() => Ok(found),
        Ok(_) | Err(_) => parse_type(&format!("struct<{text}>")),
    }
}

fn read(texts: &StringArray, target: &DataType) -> Result<ArrayRef> {
    let whole = Arc::new(Schema::new(vec![Field::new("value", target.clone(), true)]));
    let mut rows = Vec::with_capacity(texts.len());
    for text in texts {
        let value = text.and_then(|text| serde_json::from_str::<Json>(text).ok()).map_or(Json::Null, |value| fitting(value, target));
        rows.push(serde_json::json!({ "value": value }));
    }
    if rows.is_empty() {
        return Ok(new_null_array(target, 0));
    }
    let mut decoder = ReaderBuilder::new(whole).with_batch_size(rows.len()).build_decoder()?;
    decoder.serialize(&rows)?;
    match decoder.flush()? {
        Some(batch) => Ok(Arc::clone(batch.column(0))),
        None => Ok(new_null_array(target, texts.len())),
    }
}

/// A value with NULL in place of every part that is not of its type.
fn fitting(value: Json, target: &DataType) -> Json {
    match (target, value) {
        (_, Json::Null) => Json::Null,
        (DataType::Struct(fields), Json::Object(mut map)) => {
            let field = |field: &FieldRef| {
                let found = map.remove(field.name()).unwrap_or(Json::Null);
                (field.name().clone(), fitting(found, field.data_type()))
            };
            Json::Object(fields.iter().map(field).collect())
        }
        (DataType::List(item) | DataType::LargeList(item), Json::Array(items)) => {
            Json::Array(items.into_iter().map(|value| fitting(value, item.data_type())).collect())
        }
        (DataType::Map(entries, _), Json::Object(map)) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                Json::Object(map.into_iter().map(|(key, value)| (key, fitting(value, pair[1].data_type()))).collect())
            }
            _ => Json::Null,
        },
        (DataType::Boolean, Json::Bool(truth)) => Json::Bool(truth),
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, value) => match value {
            Json::String(text) => Json::String(text),
            other => Json::String(other.to_string()),
        },
        (scalar, value @ (Json::Number(_) | Json::String(_))) if !scalar.is_nested() && *scalar != DataType::Boolean => {
            let text = match &value {
                Json::String(text) if scalar.is_numeric() => return if text.is_empty() { Json::Null } else { number(text, scalar) },
                Json::String(text) => text.clone(),
                other => return number(&other.to_string(), scalar),
            };
            if casts(&text, scalar) { value } else { Json::Null }
        }
        _ => Json::Null,
    }
}

fn number(text: &str, target: &DataType) -> Json {
    if casts(text, target) { Json::String(text.to_owned()) } else { Json::Null }
}

/// Whether a text can be read as a value of a type.
fn casts(text: &str, target: &DataType) -> bool {
    let one: ArrayRef = Arc::new(StringArray::from(vec![text]));
    cast(&one, target).is_ok_and(|found| found.is_valid(0))
}
