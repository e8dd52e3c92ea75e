//! `strtok_to_array`: the parts of a text between any of several letters, as Snowflake has it; `strtok` stands for one of them.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, AsArray, ListBuilder, StringBuilder};
use deltalake::arrow::datatypes::{DataType, Field};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable);
    Plain { name: "strtok_to_array", signature, returns: |_| Ok(DataType::new_list(DataType::Utf8, true)), run: |columns| Ok(parts(columns)) }
        .into_udf()
}

/// Parts without a letter are none; without a separator a text is one part.
fn parts(columns: &[ArrayRef]) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for (text, between) in columns[0].as_string::<i32>().iter().zip(columns[1].as_string::<i32>()) {
        let (Some(text), Some(between)) = (text, between) else {
            lists.append_null();
            continue;
        };
        for part in text.split(|letter| between.contains(letter)).filter(|part| !part.is_empty()) {
            lists.values().append_value(part);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}
