//! Patterns of dates and times: Java's letters, as Spark has them, and `strftime`'s in DuckDB's reading, as the
//! patterns of DataFusion's functions (those of the crate chrono).

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

#[cfg(test)]
mod tests {
    use super::from_java;

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
