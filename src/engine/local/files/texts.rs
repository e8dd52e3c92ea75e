//! Texts of files as values of a type, without losing any of their digits unless asked to.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray as _, Decimal128Array, StringArray};
use deltalake::arrow::compute::kernels::cast_utils::parse_decimal;
use deltalake::arrow::compute::{CastOptions, cast_with_options};
use deltalake::arrow::datatypes::{DataType, Decimal128Type};
use deltalake::arrow::error::ArrowError;

use crate::sql::{iso_texts, type_name};

/// The texts as values, and the first row whose text is no value of the type. One with more digits behind the point than the
/// type keeps is none, unless it `rounds`.
///
/// # Errors
/// If the type is none that texts can become.
pub(super) fn cast_texts(texts: &StringArray, data_type: &DataType, rounds: bool) -> Result<(ArrayRef, Option<usize>), ArrowError> {
    let mended = matches!(data_type, DataType::Timestamp(..) | DataType::Date32).then(|| iso_texts(texts, data_type));
    let texts = mended.as_ref().unwrap_or(texts);
    let plain = cast_with_options(texts, data_type, &CastOptions { safe: true, ..Default::default() })?;
    let typed = with_exponents(texts, plain, data_type);
    let unreadable = typed.null_count() > texts.null_count();
    let mut wrong = unreadable.then(|| (0..texts.len()).find(|row| texts.is_valid(*row) && typed.is_null(*row))).flatten();
    if let Some(scale) = scale(data_type).filter(|_| !rounds) {
        let rounded = (0..wrong.unwrap_or(texts.len())).find(|row| texts.is_valid(*row) && decimals(texts.value(*row)) > scale);
        wrong = rounded.or(wrong);
    }
    Ok((typed, wrong))
}

/// Decimals in scientific notation, which Arrow's cast of texts does not read.
fn with_exponents(texts: &StringArray, typed: ArrayRef, data_type: &DataType) -> ArrayRef {
    let DataType::Decimal128(precision, scale) = data_type else { return typed };
    let (Some(values), true) = (typed.as_primitive_opt::<Decimal128Type>(), typed.null_count() > texts.null_count()) else { return typed };
    let read = |row: usize| {
        let text = Some(texts.value(row).trim()).filter(|text| values.is_null(row) && text.contains(['e', 'E']))?;
        parse_decimal::<Decimal128Type>(text, *precision, *scale).ok()
    };
    let all =
        (0..texts.len()).map(|row| if texts.is_null(row) { None } else { read(row).or_else(|| values.is_valid(row).then(|| values.value(row))) });
    Arc::new(all.collect::<Decimal128Array>().with_data_type(data_type.clone()))
}

/// What is wrong with a text that [`cast_texts`] refuses.
pub(super) fn misfit(text: &str, data_type: &DataType) -> String {
    let name = type_name(data_type).to_lowercase();
    match scale(data_type) {
        Some(scale) if decimals(text) > scale && text.trim().parse::<f64>().is_ok() => {
            format!("`{text}` has more digits behind the point than {name} keeps")
        }
        _ => format!("`{text}` is not {}", with_article(&name)),
    }
}

/// `a date`, `an integer`.
pub(super) fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn scale(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            Some(i64::from(*scale))
        }
        _ => None,
    }
}

/// How many digits behind the point a number in decimal notation needs: 2 for `1.250`, 3 for `12.5e-2`.
fn decimals(text: &str) -> i64 {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let length = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    // Zeros at the end of a whole number are no digits that a negative exponent would bring behind the point.
    let spare = if fraction.is_empty() { i64::try_from(whole.len() - whole.trim_end_matches('0').len()).unwrap_or(0) } else { 0 };
    let nothing = !mantissa.contains(|c: char| ('1'..='9').contains(&c));
    if nothing { 0 } else { (length - spare - exponent).max(0) }
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::array::{Array as _, AsArray as _, StringArray};
    use deltalake::arrow::datatypes::{DataType, Decimal128Type};

    use super::{cast_texts, decimals};

    #[test]
    fn decimals_in_scientific_notation() {
        let texts = StringArray::from(vec![Some("1.5e2"), None, Some("2.50"), Some("-125E-2"), Some("1e40"), Some("1e")]);
        let (typed, wrong) = cast_texts(&texts, &DataType::Decimal128(10, 2), false).unwrap();
        let typed = typed.as_primitive::<Decimal128Type>();
        let values: Vec<_> = (0..typed.len()).map(|row| typed.is_valid(row).then(|| typed.value(row))).collect();
        assert_eq!(values, [Some(15000), None, Some(250), Some(-125), None, None]);
        assert_eq!(wrong, Some(4));
    }

    #[test]
    fn digits_behind_the_point() {
        for (text, expected) in [
            ("1", 0),
            ("1.0", 0),
            ("1.005", 3),
            ("-1.250", 2),
            (".5", 1),
            ("12.5e-2", 3),
            ("1.5e3", 0),
            ("100e-2", 0),
            ("0e-9", 0),
            ("1e-3", 3),
            ("", 0),
        ] {
            assert_eq!(decimals(text), expected, "{text}");
        }
    }
}
