//! Lists of what lies in other values: `json_items`, the items of a JSON array or the values of an object, and
//! `struct_items`, one field of each struct of a list, by its place. `flatten` and `inline` stand for them.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, GenericListArray, Int64Builder, ListArray, ListBuilder, StringBuilder};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use deltalake::datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use deltalake::datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::plain::Plain;
use crate::sql::type_name;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Plain { name: "json_items", signature: Signature::any(1, Volatility::Immutable), returns: items_type, run: items }.into_udf(),
        Plain { name: "json_texts", signature: Signature::any(1, Volatility::Immutable), returns: items_type, run: texts }.into_udf(),
        Plain { name: "json_values", signature: Signature::any(1, Volatility::Immutable), returns: |_| Ok(texts_type()), run: values }.into_udf(),
        Plain { name: "to_array", signature: Signature::any(1, Volatility::Immutable), returns: |given| Ok(array_type(&given[0])), run: to_array }
            .into_udf(),
        Plain {
            name: "json_places",
            signature: Signature::any(1, Volatility::Immutable),
            returns: |_| Ok(DataType::new_list(DataType::Int64, true)),
            run: places,
        }
        .into_udf(),
        Plain { name: "json_keys", signature: Signature::any(1, Volatility::Immutable), returns: |_| Ok(texts_type()), run: keys }.into_udf(),
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

fn array_type(value: &DataType) -> DataType {
    match value {
        list @ (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)) => list.clone(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => texts_type(),
        other => DataType::new_list(other.clone(), true),
    }
}

fn texts_type() -> DataType {
    DataType::new_list(DataType::Utf8, true)
}

/// The items of an array in JSON, each as JSON; NULL for other JSON.
fn texts(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    if column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    lists_of(column, |text| {
        if !text.trim_start().starts_with('[') {
            return Ok(None);
        }
        Ok(inner(text)?.map(|(inner, _)| match inner.trim() {
            "" => Vec::new(),
            inner => parts(inner, ',').into_iter().map(|item| Some(item.trim().to_owned())).collect(),
        }))
    })
}

/// The values of an object in JSON, each as JSON; NULL for other JSON.
fn values(columns: &[ArrayRef]) -> Result<ArrayRef> {
    lists_of(&columns[0], |text| {
        Ok(inner(text)?.filter(|(_, is_object)| *is_object).map(|(inside, _)| match inside.trim() {
            "" => Vec::new(),
            inside => parts(inside, ',').into_iter().map(|item| parts(item, ':').get(1).map(|value| value.trim().to_owned())).collect(),
        }))
    })
}

/// The items of an array in JSON, as [`items`] gives them; other values in a list of their own.
fn to_array(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    match column.data_type() {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Ok(Arc::clone(column)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => lists_of(column, |text| {
            let trimmed = text.trim();
            if trimmed.starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok() {
                return raw_items(text);
            }
            Ok(if trimmed == "null" { None } else { Some(vec![Some(text.to_owned())]) })
        }),
        other => {
            let field = Arc::new(Field::new_list_field(other.clone(), true));
            let lengths = (0..column.len()).map(|row| usize::from(column.is_valid(row)));
            let offsets = deltalake::arrow::buffer::OffsetBuffer::from_lengths(lengths);
            let kept = deltalake::arrow::compute::filter(column, &deltalake::arrow::compute::is_not_null(column)?)?;
            Ok(Arc::new(ListArray::try_new(field, offsets, kept, column.logical_nulls())?))
        }
    }
}

/// The keys of an object in JSON, beside its values; for an array as many NULLs as it has items.
fn keys(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    if let DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) = column.data_type() {
        let found = cast(column, &DataType::new_list(DataType::Null, true));
        return match found {
            Ok(found) => Ok(cast(&found, &texts_type())?),
            Err(_) => Ok(deltalake::arrow::array::new_null_array(&texts_type(), column.len())),
        };
    }
    lists_of(column, |text| {
        let Some((inside, is_object)) = inner(text)? else { return Ok(None) };
        if inside.trim().is_empty() {
            return Ok(Some(Vec::new()));
        }
        let key =
            |item: &str| if is_object { parts(item, ':').first().and_then(|key| serde_json::from_str::<String>(key.trim()).ok()) } else { None };
        Ok(Some(parts(inside, ',').into_iter().map(key).collect()))
    })
}

/// The places of a list's items, from 0; for an object in JSON as many NULLs as it has values.
fn places(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let found = items(columns)?;
    let lists = match found.data_type() {
        DataType::List(_) => Arc::clone(&found),
        _ => match items_type(&[found.data_type().clone()])? {
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => cast(&found, &DataType::List(item))?,
            other => cast(&found, &other)?,
        },
    };
    let lists = lists.as_list::<i32>();
    let texts = if columns[0].data_type().is_nested() { None } else { Some(cast(&columns[0], &DataType::Utf8)?) };
    let mut places = ListBuilder::new(Int64Builder::new());
    for row in 0..lists.len() {
        if lists.is_null(row) {
            places.append_null();
            continue;
        }
        let is_object = texts.as_ref().is_some_and(|texts| texts.as_string::<i32>().value(row).trim_start().starts_with('{'));
        for at in 0..i64::from(lists.value_length(row)) {
            places.values().append_option((!is_object).then_some(at));
        }
        places.append(true);
    }
    Ok(Arc::new(places.finish()))
}

/// A list for each text.
fn lists_of(column: &ArrayRef, items: impl Fn(&str) -> Result<Option<Vec<Option<String>>>>) -> Result<ArrayRef> {
    let texts = cast(column, &DataType::Utf8)?;
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for text in texts.as_string::<i32>() {
        let Some(found) = text.map(&items).transpose()?.flatten() else {
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

/// What stands between the brackets of an array or an object, and whether it is an object.
fn inner(text: &str) -> Result<Option<(&str, bool)>> {
    let text = text.trim();
    if !text.starts_with(['[', '{']) {
        return Ok(None);
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return exec_err!("`{}` is not JSON", text.chars().take(60).collect::<String>());
    }
    Ok(Some((text.get(1..text.len() - 1).unwrap_or_default(), text.starts_with('{'))))
}

/// Lists as they are; the items of JSON as texts, which are JSON again where they are no texts themselves.
fn items(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let column = &columns[0];
    if column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    lists_of(column, raw_items)
}

/// What lies in an array or an object, each as it is written there; nothing for other JSON.
fn raw_items(text: &str) -> Result<Option<Vec<Option<String>>>> {
    let Some((inner, is_object)) = inner(text)? else { return Ok(None) };
    let shown = |json: &str| match json.trim() {
        "null" => None,
        json if json.starts_with('"') => serde_json::from_str::<String>(json).ok(),
        json => Some(json.to_owned()),
    };
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
