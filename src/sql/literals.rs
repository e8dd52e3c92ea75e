//! Texts in which a backslash stands before what can't be written, as in Snowflake, `BigQuery`, Spark and `MySQL`.

use std::borrow::Cow;

use super::semantics::{Backslash, Semantics};

/// SQL in which a quote behind a backslash is doubled, as the dialect writes one in a text: the same length, byte for byte.
/// SQL goes through this where it comes in: when a template is rendered, a script is run, the `sql` command is given a text.
#[must_use]
pub fn doubled_quotes(semantics: Semantics, sql: &str) -> Cow<'_, str> {
    if semantics.backslash == Backslash::Letter || !sql.contains("\\'") {
        return Cow::Borrowed(sql);
    }
    let bytes = sql.as_bytes();
    let mut doubled = bytes.to_vec();
    let next = |at: usize| bytes.get(at + 1).copied();
    // Behind the next of some bytes, or at the end.
    let behind = |at: usize, ends: &[u8]| sql.get(at..).and_then(|rest| rest.as_bytes().windows(ends.len()).position(|found| found == ends));
    let mut at = 0;
    while at < bytes.len() {
        let skipped = |ends: &[u8], from: usize| behind(from, ends).map_or(bytes.len(), |found| from + found + ends.len());
        at = match (bytes[at], next(at)) {
            (b'-', Some(b'-')) => skipped(b"\n", at),
            (b'/', Some(b'*')) => skipped(b"*/", at + 2),
            (quote @ (b'"' | b'`'), _) => skipped(&[quote], at + 1),
            (b'\'', _) if is_raw(bytes, at) => skipped(b"'", at + 1),
            (b'\'', _) => text(bytes, at + 1, &mut doubled),
            _ => at + 1,
        };
    }
    String::from_utf8(doubled).map_or(Cow::Borrowed(sql), Cow::Owned)
}

/// Whether the quote at a place opens `r'..'`.
fn is_raw(bytes: &[u8], at: usize) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    let before = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at));
    matches!(before(1), Some(b'r' | b'R')) && !before(2).is_some_and(is_letter)
}

/// Goes to the end of a text that begins at a place.
fn text(bytes: &[u8], mut at: usize, doubled: &mut [u8]) -> usize {
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'\\', Some(b'\'')) => {
                doubled[at] = b'\'';
                at += 2;
            }
            (b'\\', Some(_)) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// What a text with backslashes stands for. `\%` and `\_` stay as they are, for `like`.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut found = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            found.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => found.push('\n'),
            Some('t') => found.push('\t'),
            Some('r') => found.push('\r'),
            Some('b') => found.push('\u{8}'),
            Some('f') => found.push('\u{c}'),
            Some('0') => found.push('\0'),
            Some(kind @ ('u' | 'x')) => match coded(letters.as_str(), if kind == 'u' { 4 } else { 2 }) {
                Some((meant, rest)) => {
                    found.push(meant);
                    letters = rest.chars();
                }
                None => found.push(kind),
            },
            Some(wild @ ('%' | '_')) => found.extend(['\\', wild]),
            Some(other) => found.push(other),
            None => found.push('\\'),
        }
    }
    Cow::Owned(found)
}

/// A letter by its number in so many hexadecimal digits, and what stands behind.
fn coded(text: &str, digits: usize) -> Option<(char, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    Some((char::from_u32(u32::from_str_radix(number, 16).ok()?)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_behind_a_backslash_are_doubled_in_texts_alone() {
        let spark = Semantics::of_adapter("spark");
        for (sql, meant) in [
            (r"select 'it\'s', 'b'", "select 'it''s', 'b'"),
            (r"select 'a\\', 'it\'s'", r"select 'a\\', 'it''s'"),
            (r"select 'a''b\'c' -- it\'s", r"select 'a''b''c' -- it\'s"),
            (r#"select "a\'b", `c\'`, /* \' */ r'\', 'd\'e'"#, r#"select "a\'b", `c\'`, /* \' */ r'\', 'd''e'"#),
            (r"select 'open\'", "select 'open''"),
        ] {
            assert_eq!(doubled_quotes(spark, sql), meant);
            assert_eq!(doubled_quotes(spark, meant), meant);
        }
        assert_eq!(doubled_quotes(Semantics::of_adapter("postgres"), r"select 'a\', 'b'"), r"select 'a\', 'b'");
    }

    #[test]
    fn backslashes_stand_before_what_is_meant() {
        for (text, meant) in
            [(r"\\d+", r"\d+"), (r"\d", "d"), (r"a\nb\t", "a\nb\t"), (r"100\%", r"100\%"), (r"\u00e4\x41\u1", "äAu1"), ("\\", "\\"), (r"\ä", "ä")]
        {
            assert_eq!(unescaped(text), meant);
        }
    }
}
