//! Patterns of dates and times: Java's letters, as Spark has them, those of Oracle, Postgres and Snowflake, and `strftime`'s in
//! DuckDB's reading, as the patterns of DataFusion's functions (those of the crate chrono).

/// Java's letters, longest run first, and what stands for them.
const LETTERS: &[(&str, &str)] = &[
    ("yyyy", "%Y"),
    ("yy", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("dd", "%d"),
    ("d", "%-d"),
    ("DDD", "%j"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
    ("EE", "%a"),
    ("E", "%a"),
    ("HH", "%H"),
    ("H", "%-H"),
    ("hh", "%I"),
    ("h", "%-I"),
    ("mm", "%M"),
    ("m", "%-M"),
    ("ss", "%S"),
    ("s", "%-S"),
    ("SSSSSSSSS", "%9f"),
    ("SSSSSS", "%6f"),
    ("SSS", "%3f"),
    ("a", "%p"),
    ("y", "%Y"),
];

/// A pattern of Spark's `date_format` and its kin.
///
/// # Errors
/// With the letters that have no counterpart.
pub(super) fn from_java(pattern: &str) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(rest, &mut result);
        } else if first.is_ascii_alphabetic() {
            let length = rest.chars().take_while(|letter| *letter == first).count();
            let (run, tail) = rest.split_at(length);
            let (_, known) = LETTERS.iter().find(|(letters, _)| *letters == run).ok_or_else(|| run.to_owned())?;
            result.push_str(known);
            rest = tail;
        } else {
            result.push_str(if first == '%' { "%%" } else { &rest[..first.len_utf8()] });
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(result)
}

/// What `to_char` has, in any case; what begins another stands behind it. `FM` before one takes the zeros or blanks away.
const WORDS: &[(&str, &str)] = &[
    ("fmmonth", "%B"),
    ("fmday", "%A"),
    ("fmhh24", "%-H"),
    ("fmhh12", "%-I"),
    ("fmmm", "%-m"),
    ("fmdd", "%-d"),
    ("fmddd", "%-j"),
    ("fmmi", "%-M"),
    ("fmss", "%-S"),
    ("tzh:tzm", "%:z"),
    ("iyyy", "%G"),
    ("yyyy", "%Y"),
    ("hh24", "%H"),
    ("hh12", "%I"),
    ("mmmm", "%B"),
    ("ddd", "%j"),
    ("ff9", "%9f"),
    ("ff6", "%6f"),
    ("ff3", "%3f"),
    ("yy", "%y"),
    ("iw", "%V"),
    ("mm", "%m"),
    ("mi", "%M"),
    ("ms", "%3f"),
    ("us", "%6f"),
    ("ff", "%9f"),
    ("dd", "%d"),
    ("hh", "%I"),
    ("ss", "%S"),
    ("am", "%p"),
    ("pm", "%p"),
    ("q", "%q"),
];

/// Words that say by their case how the name is written: the one way that there is here.
const NAMES: &[(&str, &str)] = &[("Mon", "%b"), ("Dy", "%a")];

/// A pattern of `to_char` in Postgres, Oracle and Snowflake.
///
/// # Errors
/// With the letters that have no counterpart.
pub(super) fn from_words(pattern: &str) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let begins = |word: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        if let Some((name, known)) = NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
            // `Month` is padded with blanks and `Mon` is not.
            if begins("month") {
                return Err("Month".to_owned());
            }
            result.push_str(known);
            rest = &rest[name.len()..];
        } else if let Some((word, known)) = WORDS.iter().find(|(word, _)| begins(word)) {
            result.push_str(known);
            rest = &rest[word.len()..];
        } else if first == '"' {
            let (inside, behind) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            result.push_str(&inside.replace('%', "%%"));
            rest = behind;
        } else if first.is_ascii_alphabetic() && !(first == 'T' && rest[1..].to_lowercase().starts_with("hh")) {
            return Err(rest.chars().take_while(char::is_ascii_alphabetic).collect());
        } else {
            result.push_str(if first == '%' { "%%" } else { &rest[..first.len_utf8()] });
            rest = &rest[first.len_utf8()..];
        }
    }
    // A pattern of digits is one for numbers.
    if result.contains('%') { Ok(result) } else { Err(pattern.to_owned()) }
}

/// Whether a pattern to read times by is of the kind that `to_char` has: Java knows years as `yyyy`, and minutes as `mm`
/// beside hours.
pub(super) fn has_words(pattern: &str) -> bool {
    let marks = ["YYYY", "DD", "HH24", "hh24", "MI", "Mon", "MON"];
    marks.iter().any(|mark| pattern.contains(mark)) && !pattern.contains("DDD") || pattern.contains("mm") && !pattern.contains(['M', 'h', 'H'])
}

/// Text in quotes stands for itself, two quotes for one; gives what is left behind it.
fn quoted<'a>(text: &'a str, result: &mut String) -> &'a str {
    let inside = &text[1..];
    if let Some(rest) = inside.strip_prefix('\'') {
        result.push('\'');
        return rest;
    }
    let (body, rest) = inside.split_once('\'').unwrap_or((inside, ""));
    result.push_str(&body.replace('%', "%%"));
    rest
}

/// A pattern of DuckDB's `strftime`: `%f` are microseconds and `%g` milliseconds there.
pub(super) fn from_strftime(pattern: &str) -> String {
    pattern.replace("%f", "%6f").replace("%g", "%3f").replace("%n", "%9f")
}

/// A pattern of `MySQL`, as Trino's `date_parse` has it too.
pub(super) fn from_mysql(pattern: &str) -> String {
    let mut result = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        match letters.next() {
            Some('i') => result.push_str("%M"),
            Some('s') => result.push_str("%S"),
            Some('M') => result.push_str("%B"),
            Some('W') => result.push_str("%A"),
            Some('h') => result.push_str("%I"),
            Some('f') => result.push_str("%6f"),
            Some('c') => result.push_str("%-m"),
            Some('e') => result.push_str("%-d"),
            Some('k') => result.push_str("%-H"),
            other => result.extend(std::iter::once('%').chain(other)),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{from_java, from_words, has_words};

    #[test]
    fn words_become_specifiers() {
        for (words, chrono) in [
            ("YYYY-MM-DD HH24:MI:SS", "%Y-%m-%d %H:%M:%S"),
            ("yyyymmdd", "%Y%m%d"),
            ("DD-Mon-YYYY HH12:MI AM", "%d-%b-%Y %I:%M %p"),
            ("FMMonth FMDD, YYYY 100%", "%B %-d, %Y 100%%"),
            ("YYYY-MM-01", "%Y-%m-01"),
            ("YYYY-MM-DDTHH24:MI:SS.MS", "%Y-%m-%dT%H:%M:%S.%3f"),
            ("YYYY\"Q\"Q", "%YQ%q"),
            ("IYYY-IW", "%G-%V"),
        ] {
            assert_eq!(from_words(words).as_deref(), Ok(chrono), "{words}");
        }
        for (words, letters) in [("Month", "Month"), ("MON", "MON"), ("J", "J"), ("999.99", "999.99"), ("YYYY WW", "WW")] {
            assert_eq!(from_words(words), Err(letters.to_owned()), "{words}");
        }
        for (pattern, wanted) in [
            ("YYYY-MM-DD", true),
            ("yyyy-mm-dd", true),
            ("yyyy-MM-dd", false),
            ("yyyy-MM-dd HH:mm", false),
            ("HH:mm", false),
            ("DD/MM/YYYY", true),
            ("yyyy-DDD", false),
        ] {
            assert_eq!(has_words(pattern), wanted, "{pattern}");
        }
    }

    #[test]
    fn letters_become_specifiers() {
        for (java, chrono) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "%Y-%m-%d %H:%M:%S.%3f"),
            ("d/M/yy h:mm a", "%-d/%-m/%y %-I:%M %p"),
            ("yyyy-MM-dd'T'HH''", "%Y-%m-%dT%H'"),
            ("EEEE, MMMM 100%", "%A, %B 100%%"),
        ] {
            assert_eq!(from_java(java).as_deref(), Ok(chrono), "{java}");
        }
        assert_eq!(from_java("yyyy-ww"), Err("ww".to_owned()));
    }
}
