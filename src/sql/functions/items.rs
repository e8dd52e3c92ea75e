//! Lists of what lies in other values: `json_items`, the items of a JSON array or the values of an object, and
//! `struct_items`, one field of each struct of a list, by its place. `flatten` and `inline` stand for them.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, GenericListArray, ListArray, ListBuilder, StringBuilder};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use deltalake::datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use deltalake::datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Plain { name: "json_items", signature: Signature::any(1, Volatility::Immutable), returns: items_type, run: items }.into_udf(),
        Arc::new(ScalarUDF::from(StructItems { signature: Signature::any(2, Volatility::Immutable) })),
    ]
}

fn items_type(arguments: &[DataType]) -> Result<DataType> {
    match &arguments[0] {
        list @ (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)) => Ok(list.clone()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(DataType::new_list(DataType::Utf8, true)),
        other => plan_err!("a value of type {} has no items", type_name(other)),
    }
}

/// Lists as they are; the items of JSON as texts, which are JSON again where they are no texts themselves.
fn items(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    if column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let texts = cast(column, &DataType::Utf8)?;
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for text in texts.as_string::<i32>() {
        let Some(found) = text.map(raw_items).transpose()?.flatten() else {
            lists.append_null();
            continue;
        };
        for item in found {
            lists.values().append_option(item);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// What lies in an array or an object, each as it is written there; nothing for other JSON.
fn raw_items(text: &str) -> Result<Option<Vec<Option<String>>>> {
    let text = text.trim();
    if !text.starts_with(['[', '{']) {
        return Ok(None);
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return exec_err!("`{}` is not JSON", text.chars().take(60).collect::<String>());
    }
    let is_object = text.starts_with('{');
    let shown = |json: &str| match json.trim() {
        "null" => None,
        json if json.starts_with('"') => serde_json::from_str::<String>(json).ok(),
        json => Some(json.to_owned()),
    };
    let inner = text.get(1..text.len() - 1).unwrap_or_default();
    if inner.trim().is_empty() {
        return Ok(Some(Vec::new()));
    }
    let value = |item: &str| if is_object { parts(item, ':').get(1).and_then(|value| shown(value)) } else { shown(item) };
    Ok(Some(parts(inner, ',').into_iter().map(value).collect()))
}

/// The parts of valid JSON between separators that lie in no brackets and no text.
fn parts(json: &str, separator: char) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
    for (at, letter) in json.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ if letter == separator && depth == 0 => {
                found.extend(json.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(json.get(start..));
    found
}

/// `struct_items(list, 2)` is the list of the second fields.
#[derive(Debug, PartialEq, Eq, Hash)]
struct StructItems {
    signature: Signature,
}

impl ScalarUDFImpl for StructItems {
    fn name(&self) -> &'static str {
        "struct_items"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("`struct_items` needs the place of a field as a number")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [_, Some(ScalarValue::Int64(Some(place)))] = args.scalar_arguments else {
            return plan_err!("`struct_items` needs the place of a field as a number");
        };
        let Some(fields) = struct_fields(args.arg_fields[0].data_type()) else {
            return plan_err!("`inline` needs a list of structs, and has {}", type_name(args.arg_fields[0].data_type()));
        };
        let Some(field) = usize::try_from(*place - 1).ok().and_then(|at| fields.get(at)) else {
            return plan_err!("the structs have {} fields, and more columns are named", fields.len());
        };
        Ok(Arc::new(Field::new(self.name(), DataType::new_list(field.data_type().clone(), true), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let column = args.args[0].to_array(args.number_rows)?;
        let (DataType::List(item), ColumnarValue::Scalar(ScalarValue::Int64(Some(place)))) = (args.return_field.data_type(), &args.args[1]) else {
            return exec_err!("`struct_items` needs the place of a field as a number");
        };
        let lists: &ListArray = column.as_list::<i32>();
        let structs = lists.values().as_struct();
        let at = usize::try_from(*place - 1).unwrap_or_default();
        let Some(field) = structs.columns().get(at) else { return exec_err!("there is no field at place {place}") };
        // A struct that is NULL has no fields.
        let nulls = deltalake::arrow::buffer::NullBuffer::union(structs.nulls(), field.nulls());
        let values = deltalake::arrow::array::make_array(field.to_data().into_builder().nulls(nulls).build()?);
        let found = GenericListArray::try_new(Arc::clone(item), lists.offsets().clone(), values, lists.nulls().cloned())?;
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

fn struct_fields(list: &DataType) -> Option<&Fields> {
    match list {
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::raw_items;

    #[test]
    fn items_stay_as_they_are_written() {
        let found = |text: &str| {
            raw_items(text).unwrap().map(|items| items.into_iter().map(|item| item.unwrap_or_else(|| "NULL".into())).collect::<Vec<_>>().join("|"))
        };
        assert_eq!(
            found(r#" [1.10, "a,\"b", null, {"k": [1, 2]}, 12345678901234567890123]"#).unwrap(),
            r#"1.10|a,"b|NULL|{"k": [1, 2]}|12345678901234567890123"#
        );
        assert_eq!(found(r#"{"a:b": 1, "c": {"d": ":"}}"#).unwrap(), r#"1|{"d": ":"}"#);
        assert_eq!(found("[]").unwrap(), "");
        assert_eq!(found("7"), None);
        assert!(raw_items("[1,").is_err());
    }
}
