//! What an unquoted YAML scalar is. The rules are those of `PyYAML` (YAML 1.1 without base-60 numbers and dates), since
//! the files were written for a Python program: `yes` and `off` are booleans, `010` is octal, `1e3` is a text.

use super::yaml::YamlValue;

pub(super) fn plain(text: &str) -> YamlValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => YamlValue::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => YamlValue::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => YamlValue::Bool(false),
        other => number(other).unwrap_or_else(|| YamlValue::String(other.to_owned())),
    }
}

fn number(text: &str) -> Option<YamlValue> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let first = unsigned.chars().next()?;
    if !first.is_ascii_digit() && first != '.' {
        return None;
    }
    integer(text, unsigned).map(YamlValue::Int).or_else(|| float(text, unsigned).map(YamlValue::Float))
}

fn integer(text: &str, unsigned: &str) -> Option<i64> {
    let digits = unsigned.replace('_', "");
    let (radix, digits) = if let Some(binary) = digits.strip_prefix("0b") {
        (2, binary)
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        (16, hexadecimal)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits.strip_prefix('0').unwrap_or(&digits))
    } else {
        (10, digits.as_str())
    };
    // `from_str_radix` takes a sign of its own, which `-` in `0x-1` must not become.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn float(text: &str, unsigned: &str) -> Option<f64> {
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
    let exponent_fits =
        exponent.is_none_or(|exponent| exponent.starts_with(['+', '-']) && exponent.len() > 1 && digits(exponent.get(1..).unwrap_or_default()));
    if !digits(whole) || !digits(fraction) || whole.is_empty() && fraction.is_empty() || !exponent_fits {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_pyyaml() {
        assert_eq!(plain("yes"), YamlValue::Bool(true));
        assert_eq!(plain("NULL"), YamlValue::Null);
        assert_eq!(plain("-1_000"), YamlValue::Int(-1000));
        assert_eq!(plain("010"), YamlValue::Int(8));
        assert_eq!(plain("0x-1"), YamlValue::String("0x-1".into()));
        assert_eq!(plain("1.5"), YamlValue::Float(1.5));
        assert_eq!(plain("."), YamlValue::String(".".into()));
        assert_eq!(plain("1.2.3"), YamlValue::String("1.2.3".into()));
        assert_eq!(plain("1e3"), YamlValue::String("1e3".into()));
        assert_eq!(plain("2026-03-02"), YamlValue::String("2026-03-02".into()));
        assert_eq!(plain("99999999999999999999"), YamlValue::String("99999999999999999999".into()));
    }
}
