//! Texts as some engines write them: with a backslash before what can't be written, as in Snowflake, `BigQuery`, Spark and
//! `MySQL`, and in double quotes, as in the last three.

use std::borrow::Cow;
use std::ops::Range;

use super::semantics::{Backslash, DoubleQuotes, Semantics};

/// Words behind which a name stands, whatever it is quoted by.
const BEFORE_NAMES: [&str; 15] =
    ["add", "as", "column", "drop", "exists", "from", "function", "into", "join", "recursive", "schema", "table", "to", "update", "view"];

/// SQL whose texts are written as the dialect writes them: a quote behind a backslash is doubled, and texts in double quotes
/// stand in single ones. The same length, byte for byte. SQL goes through this where it comes in: when a template is rendered, a
/// script is run, the `sql` command is given a text.
///
/// Names in double quotes that a project writes for other engines too stay names where that is plain: they have a point beside
/// them, or stand behind `from`, `table`, `as` and the like.
#[must_use]
pub fn respelt_texts(semantics: Semantics, sql: &str) -> Cow<'_, str> {
    let has_doubled = semantics.double_quotes == DoubleQuotes::Text && sql.contains('"');
    let has_comments = matches!(semantics.adapter, "bigquery" | "mysql") && sql.contains('#');
    let has_capitals = semantics.capitals && sql.contains('"');
    let has_slashes = semantics.adapter == "snowflake" && sql.contains("//");
    let is_same = !(has_doubled || has_comments || has_capitals || has_slashes || sql.contains("\\'"));
    if semantics.backslash == Backslash::Letter || is_same {
        return Cow::Borrowed(sql);
    }
    let bytes = sql.as_bytes();
    let mut respelt = bytes.to_vec();
    let next = |at: usize| bytes.get(at + 1).copied();
    let behind = |ends: &[u8], from: usize| found(bytes, from, ends).map_or(bytes.len(), |at| at + ends.len());
    let mut words = Words::default();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at = match (bytes[at], next(at)) {
            (b'-', Some(b'-')) => behind(b"\n", at),
            (b'/', Some(b'*')) => behind(b"*/", at + 2),
            (b'#', _) if has_comments => {
                dashes(sql, at, &mut respelt);
                behind(b"\n", at)
            }
            (b'/', Some(b'/')) if has_slashes => {
                respelt[at..at + 2].fill(b'-');
                behind(b"\n", at)
            }
            (b'$', Some(b'$')) if semantics.adapter == "snowflake" => behind(b"$$", at + 2),
            (b'"', _) if has_doubled => doubled(sql, at, words.before_name(sql), (semantics, &mut respelt)),
            (quote @ (b'"' | b'`'), _) => {
                let end = behind(&[quote], at + 1);
                if has_capitals && is_unquoted(bytes, at..end) {
                    respelt[at..end].make_ascii_lowercase();
                }
                end
            }
            (b'\'', _) if is_raw(bytes, at) => raw_end(bytes, at + 1, b"'", semantics),
            (b'\'', _) => text(bytes, at + 1, &mut respelt),
            (letter, _) if is_letter(letter) => at + bytes[at..].iter().take_while(|byte| is_letter(**byte)).count(),
            _ => at + 1,
        };
        words.pass(bytes[start], start..at);
    }
    String::from_utf8(respelt).map_or(Cow::Borrowed(sql), Cow::Owned)
}

/// Whether a quoted name means the same without quotes to an engine that takes names in capitals: all of it is in capitals, and
/// it is no part of the quoted path to a table, nor a key of JSON.
fn is_unquoted(bytes: &[u8], quoted: Range<usize>) -> bool {
    let name = bytes.get(quoted.start + 1..quoted.end.saturating_sub(1)).unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'$');
    let in_path = bytes.get(quoted.end) == Some(&b'.') || bytes[..quoted.start].ends_with(b"\".");
    let path = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.' | b'[' | b']' | b'"' | b'\'');
    let before = &bytes[..quoted.start];
    let start = before.len() - before.iter().rev().take_while(|byte| path(byte)).count();
    let is_key = before[..start].ends_with(b":") && !before[..start].ends_with(b"::");
    !in_path && !is_key && name.iter().all(plain) && name.first().is_some_and(|first| !first.is_ascii_digit())
}

/// `# comment` as `-- comment`, in the place of the letter behind the sign.
fn dashes(sql: &str, at: usize, respelt: &mut [u8]) {
    let next = sql[at + 1..].chars().next().filter(|next| *next != '\n');
    let width = next.map_or(0, char::len_utf8);
    respelt[at..=at + width].fill(b' ');
    if width > 0 {
        respelt[at..at + 2].fill(b'-');
    }
}

/// Behind the end of a raw text. In `BigQuery` what stands behind a backslash does not end it, though both are letters.
fn raw_end(bytes: &[u8], from: usize, ends: &[u8], semantics: Semantics) -> usize {
    let mut at = from;
    while at < bytes.len() && !bytes[at..].starts_with(ends) {
        at += if bytes[at] == b'\\' && semantics.adapter == "bigquery" { 2 } else { 1 };
    }
    bytes.len().min(at + ends.len())
}

/// The words before a place, as far as they say what stands there.
#[derive(Default)]
struct Words {
    /// The last one, while only blanks stand behind it, and the one before.
    last: Range<usize>,
    second: Range<usize>,
    /// The word before each bracket that is open.
    brackets: Vec<Range<usize>>,
}

impl Words {
    fn pass(&mut self, first: u8, part: Range<usize>) {
        match first {
            letter if is_letter(letter) => self.second = std::mem::replace(&mut self.last, part),
            b'(' => {
                self.brackets.push(self.last.clone());
                (self.last, self.second) = (0..0, 0..0);
            }
            b')' => {
                self.brackets.pop();
                (self.last, self.second) = (0..0, 0..0);
            }
            blank if blank.is_ascii_whitespace() => {}
            _ => (self.last, self.second) = (0..0, 0..0),
        }
    }

    /// Whether a name comes next.
    fn before_name(&self, sql: &str) -> bool {
        let is = |word: &Range<usize>, wanted: &[&str]| {
            sql.get(word.clone()).is_some_and(|word| wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
        };
        // `distinct from`, `extract(day from ..)`, `trim(both .. from ..)`
        let compares = is(&self.last, &["from"])
            && (is(&self.second, &["distinct"]) || self.brackets.last().is_some_and(|word| is(word, &["extract", "trim", "substring", "overlay"])));
        is(&self.last, &BEFORE_NAMES) && !compares
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn found(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(wanted.len()).position(|found| found == wanted).map(|at| from + at)
}

/// Goes to the end of what begins with a double quote, and makes it a text in single quotes unless it is a name. A single quote
/// in it takes two bytes then, which blanks beside it give; where there are none it stays as it is.
fn doubled(sql: &str, start: usize, name_expected: bool, (semantics, respelt): (Semantics, &mut [u8])) -> usize {
    let bytes = sql.as_bytes();
    let raw = is_raw(bytes, start);
    // Three quotes are one of BigQuery's; elsewhere two inside are one.
    let of_bigquery = semantics.adapter == "bigquery";
    let width = if of_bigquery && bytes[start..].starts_with(b"\"\"\"") { 3 } else { 1 };
    let closing = &bytes[start..start + width];
    let mut close = start + width;
    while close < bytes.len() && (!bytes[close..].starts_with(closing) || !of_bigquery && bytes.get(close + 1) == Some(&b'"')) {
        close += if bytes[close] == b'\\' || bytes[close] == b'"' && width == 1 { 2 } else { 1 };
    }
    let end = close + width;
    let (Some(inside), Some(rest)) = (sql.get(start + width..close), bytes.get(end..)) else { return bytes.len() };
    let is_point = |byte: Option<&u8>| byte == Some(&b'.');
    let is_name = name_expected
        || is_point(bytes[..start].iter().rev().find(|byte| !byte.is_ascii_whitespace()))
        || is_point(rest.iter().find(|byte| !byte.is_ascii_whitespace()));
    // In a raw text there is no way to write a single quote.
    if is_name && width == 1 || raw && inside.contains('\'') {
        return end;
    }
    let text = match (raw, of_bigquery) {
        (true, _) => inside.to_owned(),
        (false, true) => with_doubled(inside),
        (false, false) => with_doubled(&inside.replace("\"\"", "\"")),
    };
    let blanks = |bytes: &mut dyn Iterator<Item = &u8>| bytes.take_while(|byte| **byte == b' ').count();
    let missing = (text.len() + 2).saturating_sub(end - start);
    let from_left = if raw { 0 } else { missing.min(blanks(&mut bytes[..start].iter().rev())) };
    let from_right = missing - from_left;
    if from_right > blanks(&mut rest.iter()) {
        return end;
    }
    put(respelt, start - from_left, &text, end + from_right);
    end + from_right
}

/// A text whose single quotes are doubled, those behind a backslash in its place.
fn with_doubled(text: &str) -> String {
    let mut found = String::with_capacity(text.len() + 4);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => found.push_str("''"),
            '\\' => match letters.next() {
                Some('\'') => found.push_str("''"),
                other => found.extend(std::iter::once(letter).chain(other)),
            },
            _ => found.push(letter),
        }
    }
    found
}

/// Puts a text in single quotes at a place, and blanks behind it up to another.
fn put(respelt: &mut [u8], start: usize, text: &str, end: usize) {
    let quoted = [b"'", text.as_bytes(), b"'"].concat();
    let blanks = std::iter::repeat_n(b' ', (end - start).saturating_sub(quoted.len()));
    for (place, byte) in respelt[start..end].iter_mut().zip(quoted.iter().copied().chain(blanks)) {
        *place = byte;
    }
}

/// Whether the quote at a place opens `r'..'`.
fn is_raw(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at));
    matches!(before(1), Some(b'r' | b'R')) && !before(2).is_some_and(|byte| is_letter(*byte))
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
            (r#"select "a\'b", `c\'`, /* \' */ r'\', 'd\'e'"#, r"select 'a''b', `c\'`, /* \' */ r'\', 'd''e'"),
            (r"select 'open\'", "select 'open''"),
            (r#"select "a", r"\d", "" from t"#, r"select 'a', r'\d', '' from t"),
            (r#"select "it's" as x, ( "it's"), ("a'b" )"#, r"select'it''s' as x, ('it''s'), ('a''b')"),
            (r#"select "it\'s", "say \"a\"", ("b'c")"#, r#"select 'it''s', 'say \"a\"', ("b'c")"#),
            (r#"select "x" from "main"."t" as "u" join "v" -- "w""#, r#"select 'x' from "main"."t" as "u" join "v" -- "w""#),
            (r#"create temporary table "t__tmp" as select "u" . "x""#, r#"create temporary table "t__tmp" as select "u" . "x""#),
            (r#"where a = "oops"#, r#"where a = "oops"#),
            (r#"where a = "oops \"#, r#"where a = "oops \"#),
            (r#"a is distinct from "x" or b is not distinct  from "y""#, r"a is distinct from 'x' or b is not distinct  from 'y'"),
            (r#"extract(day from "2024-01-01"), f(x) from "t""#, r#"extract(day from '2024-01-01'), f(x) from "t""#),
            (r#"select "say ""hi""", """a""", """" from t"#, r#"select 'say "hi"'  , '"a"'  , '"'  from t"#),
            (r#"where a = "ä" and b in ("x","y")"#, r"where a = 'ä' and b in ('x','y')"),
        ] {
            assert_eq!(respelt_texts(spark, sql), meant);
            assert_eq!(respelt_texts(spark, meant), meant);
        }
        let bigquery = Semantics::of_adapter("bigquery");
        for (sql, meant) in [
            (r#"select """a "b" 'c'""", '"d"'"#, r#"select 'a "b" ''c'''  , '"d"'"#),
            (r#"select r'a\'"b' as a, "c" as c"#, r#"select r'a\'"b' as a, 'c' as c"#),
            ("select 1 # it's\n#\n#ä\n, '#', `#` -- #", "select 1 --it's\n \n-- \n, '#', `#` -- #"),
        ] {
            assert_eq!(respelt_texts(bigquery, sql), meant);
            assert_eq!(respelt_texts(bigquery, meant), meant);
        }
        assert_eq!(respelt_texts(Semantics::of_adapter("postgres"), r"select 'a\', 'b'"), r"select 'a\', 'b'");
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
