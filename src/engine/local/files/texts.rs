//! Texts of files as values of a type, without losing any of their digits unless asked to.

use deltalake::arrow::array::{Array, ArrayRef, StringArray};
use deltalake::arrow::compute::{CastOptions, cast_with_options};
use deltalake::arrow::datatypes::DataType;
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
    let typed = with_exponents(texts, plain, data_type)?;
    let unreadable = typed.null_count() > texts.null_count();
    let mut wrong = unreadable.then(|| (0..texts.len()).find(|row| texts.is_valid(*row) && typed.is_null(*row))).flatten();
    if let Some(scale) = scale(data_type).filter(|_| !rounds) {
        let rounded = (0..wrong.unwrap_or(texts.len())).find(|row| texts.is_valid(*row) && decimals(texts.value(*row)) > scale);
        wrong = rounded.or(wrong);
    }
    Ok((typed, wrong))
}

/// Decimals in scientific notation, which Arrow's cast of texts does not read and its own parser of them cuts off.
fn with_exponents(texts: &StringArray, typed: ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if !data_type.is_decimal() || typed.null_count() == texts.null_count() {
        return Ok(typed);
    }
    let read = |row: usize| {
        let text = texts.is_valid(row).then(|| texts.value(row))?;
        Some(if typed.is_null(row) { without_exponent(text).unwrap_or_else(|| text.to_owned()) } else { text.to_owned() })
    };
    let all: StringArray = (0..texts.len()).map(read).collect();
    cast_with_options(&all, data_type, &CastOptions { safe: true, ..Default::default() })
}

/// The same number with its point where it belongs; `None` for a text in another notation, or with more digits than any decimal.
fn without_exponent(text: &str) -> Option<String> {
    const DIGITS: i64 = 100;
    let (mantissa, exponent) = text.trim().split_once(['e', 'E'])?;
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent.parse().ok()?)?.max(-DIGITS);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let behind = i64::try_from(digits.len()).ok()? - point;
    let all = if behind <= 0 && point <= DIGITS {
        digits + &zeros(-behind)
    } else if point > DIGITS {
        return None;
    } else if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (whole, fraction) = digits.split_at_checked(usize::try_from(point).ok()?)?;
        format!("{whole}.{fraction}")
    };
    Some(if mantissa.starts_with('-') { format!("-{all}") } else { all })
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

    use super::{cast_texts, decimals, without_exponent};

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
    fn exponents_move_the_point() {
        let moved = ["1.0055e0", "-1.5E+2", "12e-4", ".5e1"].map(without_exponent);
        assert_eq!(moved, ["1.0055", "-150", "0.0012", "5"].map(|text| Some(text.to_owned())));
        let lengths = ["0e999", "1e99", "1e-999"].map(|text| without_exponent(text).map(|text| text.len()));
        assert_eq!(lengths, [None, Some(100), Some(103)]);
        assert_eq!(["1", "e5", "1e", "xe1", "--1e1"].map(without_exponent), [None, None, None, None, None]);
        let texts = StringArray::from(vec!["1.0055e0", "-1.0055e0", "100.555e-1", "4e-3"]);
        let (typed, wrong) = cast_texts(&texts, &DataType::Decimal128(10, 2), true).unwrap();
        assert_eq!((typed.as_primitive::<Decimal128Type>().values().to_vec(), wrong), (vec![101, -101, 1006, 0], None));
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
