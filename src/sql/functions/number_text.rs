//! Doubles as texts, as engines write them where DataFusion writes `1.0` and `1e20`.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray};
use deltalake::arrow::datatypes::{DataType, Float32Type, Float64Type};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::plain::Plain;
use crate::sql::semantics::NumberTexts;

/// The function that writes doubles; `None` for the dialect's own way.
pub(in crate::sql) fn function(texts: NumberTexts) -> Option<&'static Arc<ScalarUDF>> {
    static SHORT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| udf("_number_text_short", |columns| written(&columns[0], &C)));
    static JAVA: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| udf("_number_text_java", |columns| written(&columns[0], &OF_JAVA)));
    static SIGNED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| udf("_number_text_signed", |columns| written(&columns[0], &OF_DUCKDB)));
    match texts {
        NumberTexts::WithPoint => None,
        NumberTexts::Signed => Some(&SIGNED),
        NumberTexts::Short => Some(&SHORT),
        NumberTexts::Java => Some(&JAVA),
    }
}

fn udf(name: &'static str, run: fn(&[ArrayRef]) -> Result<ArrayRef>) -> Arc<ScalarUDF> {
    let signature = Signature::uniform(1, vec![DataType::Float32, DataType::Float64], Volatility::Immutable);
    Plain { name, signature, returns: |_| Ok(DataType::Utf8), run }.into_udf()
}

/// How numbers are spelt.
struct Spelling {
    /// The least power of ten that is written with an exponent, of singles and of doubles, and the greatest small one.
    large: (i32, i32),
    small: i32,
    exponent: fn(&str, i32) -> String,
    whole: &'static str,
}

/// `%g` with as many digits as it takes: Postgres, `BigQuery`, Snowflake.
const C: Spelling = Spelling { large: (6, 15), small: -5, exponent: signed, whole: "" };

/// As Python does.
const OF_DUCKDB: Spelling = Spelling { large: (16, 16), small: -5, exponent: signed, whole: ".0" };

/// `Double.toString`: Spark, Trino.
const OF_JAVA: Spelling = Spelling {
    large: (7, 7),
    small: -4,
    exponent: |digits, power| format!("{digits}{}E{power}", if digits.contains('.') { "" } else { ".0" }),
    whole: ".0",
};

fn signed(digits: &str, power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.abs())
}

fn written(column: &ArrayRef, spelling: &Spelling) -> Result<ArrayRef> {
    let texts: StringArray = match column.data_type() {
        DataType::Float32 => {
            let singles = column.as_primitive::<Float32Type>();
            singles.iter().map(|value| Some(spelt(&format!("{:e}", value?), spelling, spelling.large.0))).collect()
        }
        DataType::Float64 => {
            let doubles = column.as_primitive::<Float64Type>();
            doubles.iter().map(|value| Some(spelt(&format!("{:e}", value?), spelling, spelling.large.1))).collect()
        }
        other => return exec_err!("a number is written as a text, found {other}"),
    };
    Ok(Arc::new(texts))
}

/// A number from its shortest digits, as `-1.25e3`.
fn spelt(scientific: &str, spelling: &Spelling, large: i32) -> String {
    let (sign, rest) = scientific.strip_prefix('-').map_or(("", scientific), |rest| ("-", rest));
    let Some((digits, power)) = rest.split_once('e').and_then(|(digits, power)| Some((digits, power.parse::<i32>().ok()?))) else {
        return if rest == "inf" { format!("{sign}Infinity") } else { rest.to_owned() };
    };
    if power >= large || power <= spelling.small {
        return format!("{sign}{}", (spelling.exponent)(digits, power));
    }
    let bare: String = digits.chars().filter(char::is_ascii_digit).collect();
    let before = usize::try_from(power + 1).unwrap_or(0);
    if before == 0 {
        let zeros = usize::try_from(-power - 1).unwrap_or(0);
        return format!("{sign}0.{}{bare}", "0".repeat(zeros));
    }
    match bare.split_at_checked(before) {
        Some((whole, part)) if !part.is_empty() => format!("{sign}{whole}.{part}"),
        _ => format!("{sign}{bare}{}{}", "0".repeat(before.saturating_sub(bare.len())), spelling.whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelt_as_in_c_and_in_java() {
        for (number, short, java) in [
            (0.0, "0", "0.0"),
            (-0.0, "-0", "-0.0"),
            (1.0, "1", "1.0"),
            (-2.5, "-2.5", "-2.5"),
            (100.0, "100", "100.0"),
            (1234.5, "1234.5", "1234.5"),
            (0.1, "0.1", "0.1"),
            (0.001, "0.001", "0.001"),
            (0.0001, "0.0001", "1.0E-4"),
            (0.00001, "1e-05", "1.0E-5"),
            (1.5e-7, "1.5e-07", "1.5E-7"),
            (9_999_999.0, "9999999", "9999999.0"),
            (12_345_678.0, "12345678", "1.2345678E7"),
            (123_456_789_012_345.0, "123456789012345", "1.23456789012345E14"),
            (1e15, "1e+15", "1.0E15"),
            (1e20, "1e+20", "1.0E20"),
            (1.5e300, "1.5e+300", "1.5E300"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "Infinity", "Infinity"),
            (f64::NEG_INFINITY, "-Infinity", "-Infinity"),
        ] {
            let scientific = format!("{number:e}");
            assert_eq!((spelt(&scientific, &C, 15).as_str(), spelt(&scientific, &OF_JAVA, 7).as_str()), (short, java), "{number}");
        }
        assert_eq!(spelt("1e15", &OF_DUCKDB, 16), "1000000000000000.0");
        assert_eq!(spelt("1e16", &OF_DUCKDB, 16), "1e+16");
        assert_eq!(spelt(&format!("{:e}", 1_000_000_f32), &C, 6), "1e+06");
        assert_eq!(spelt(&format!("{:e}", 0.1_f32), &C, 6), "0.1");
    }
}
