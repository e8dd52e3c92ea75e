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
    // The month's name where it stands alone, which in English is the same.
    ("LLLL", "%B"),
    ("LLL", "%b"),
    ("LL", "%m"),
    ("L", "%-m"),
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

/// A part of what `to_char` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A pattern of chrono.
    Pattern(String),
    /// A pattern of chrono, and SQL around what it gives, which is `$#` there.
    Around(String, &'static str),
    /// SQL over the time, which is `$1` there.
    Reckoned(&'static str),
}

/// What `to_char` has, in any case; what begins another stands behind it. `FM` before one takes the zeros or blanks away.
const WORDS: &[(&str, &str)] = &[
    ("fmhh24", "%-H"),
    ("fmhh12", "%-I"),
    ("fmddd", "%-j"),
    ("fmmm", "%-m"),
    ("fmdd", "%-d"),
    ("fmmi", "%-M"),
    ("fmss", "%-S"),
    ("fmiw", "%-V"),
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

/// The last three digits of a year.
const YEAR_OF_THREE: &str = "lpad(cast(date_part('year', cast($1 as timestamp)) % 1000 as varchar), 3, '0')";

/// What Postgres has beside them.
const RECKONED: &[(&str, Piece)] = &[
    ("yyy", Piece::Reckoned(YEAR_OF_THREE)),
    ("fmww", Piece::Reckoned("cast((date_part('doy', cast($1 as timestamp)) + 6) div 7 as varchar)")),
    ("ww", Piece::Reckoned("lpad(cast((date_part('doy', cast($1 as timestamp)) + 6) div 7 as varchar), 2, '0')")),
    ("id", Piece::Reckoned("cast((time_part('dow', cast($1 as timestamp)) + 6) % 7 + 1 as varchar)")),
    ("w", Piece::Reckoned("cast((date_part('day', cast($1 as timestamp)) + 6) div 7 as varchar)")),
    ("d", Piece::Reckoned("cast(time_part('dow', cast($1 as timestamp)) + 1 as varchar)")),
    ("j", Piece::Reckoned("cast(unix_date(cast($1 as date)) + 2440588 as varchar)")),
];

/// The names of days and months, whose case is that of the word; those of one word have blanks behind them up to nine letters.
const NAMES: &[(&str, &str)] = &[("month", "%B"), ("day", "%A"), ("mon", "%b"), ("dy", "%a")];

/// `st`, `nd`, `rd` or `th` behind a number.
const ORDINAL: &str = "$# || case when left(right($#, 2), 1) = '1' and length($#) > 1 then 'th' else case right($#, 1) when '1' then 'st' when '2' then 'nd' when '3' then 'rd' else 'th' end end";
const UPPER_ORDINAL: &str = "$# || case when left(right($#, 2), 1) = '1' and length($#) > 1 then 'TH' else case right($#, 1) when '1' then 'ST' when '2' then 'ND' when '3' then 'RD' else 'TH' end end";

/// A pattern of `to_char` in Postgres and Oracle, or in Snowflake, to which case says nothing and names have no blanks.
///
/// # Errors
/// With the letters that have no counterpart.
pub(super) fn from_words(pattern: &str, snowflake: bool) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let begins = |word: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        // These begin as others do.
        if let Some(word) = ["iddd", "ssss"].iter().find(|word| begins(word)) {
            return Err(rest[..word.len()].to_owned());
        }
        if let Some((piece, length)) = name(rest, snowflake) {
            push(&mut pieces, piece);
            rest = &rest[length..];
        } else if let Some((word, known)) =
            WORDS.iter().find(|(word, _)| begins(word)).filter(|(word, _)| *word != "yy" || snowflake || !begins("yyy"))
        {
            rest = &rest[word.len()..];
            match ordinal(rest).filter(|_| !snowflake && !known.ends_with(['f', 'p', 'z'])) {
                Some(template) => {
                    pieces.push(Piece::Around((*known).to_owned(), template));
                    rest = &rest[2..];
                }
                None => push(&mut pieces, Piece::Pattern((*known).to_owned())),
            }
        } else if let Some((word, known)) = RECKONED.iter().find(|(word, _)| !snowflake && begins(word)) {
            pieces.push(known.clone());
            rest = &rest[word.len()..];
        } else if first == '"' {
            let (inside, behind) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            push(&mut pieces, Piece::Pattern(inside.replace('%', "%%")));
            rest = behind;
        } else if first.is_ascii_alphabetic() && !(first == 'T' && rest[1..].to_lowercase().starts_with("hh")) {
            return Err(rest.chars().take_while(char::is_ascii_alphabetic).collect());
        } else {
            push(&mut pieces, Piece::Pattern(if first == '%' { "%%".to_owned() } else { rest[..first.len_utf8()].to_owned() }));
            rest = &rest[first.len_utf8()..];
        }
    }
    // A pattern of digits is one for numbers.
    let of_times = |piece: &Piece| match piece {
        Piece::Pattern(known) => known.contains('%'),
        Piece::Around(..) | Piece::Reckoned(_) => true,
    };
    if pieces.iter().any(of_times) { Ok(pieces) } else { Err(pattern.to_owned()) }
}

/// Patterns side by side are one.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Pattern(before)), Piece::Pattern(behind)) => before.push_str(&behind),
        (_, piece) => pieces.push(piece),
    }
}

/// The name of a day or month that a pattern begins with, and the length of its word.
fn name(pattern: &str, snowflake: bool) -> Option<(Piece, usize)> {
    let bare = pattern.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("fm"));
    let rest = if bare { &pattern[2..] } else { pattern };
    // Snowflake has the short ones alone.
    let known = if snowflake { &NAMES[2..] } else { NAMES };
    let (word, chrono) = known.iter().find(|(word, _)| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)))?;
    let padded = !bare && (word.len() > 3 || *word == "day");
    let mut letters = rest.chars();
    let template = match (letters.next().is_some_and(char::is_uppercase), letters.next().is_some_and(char::is_uppercase)) {
        _ if snowflake => None,
        (true, true) if padded => Some("upper(rpad($#, 9))"),
        (true, true) => Some("upper($#)"),
        (true, false) if padded => Some("rpad($#, 9)"),
        (true, false) => None,
        (false, _) if padded => Some("lower(rpad($#, 9))"),
        (false, _) => Some("lower($#)"),
    };
    let piece = match template {
        Some(template) => Piece::Around((*chrono).to_owned(), template),
        None => Piece::Pattern((*chrono).to_owned()),
    };
    Some((piece, word.len() + if bare { 2 } else { 0 }))
}

/// `th` behind a number; the T before hours is a letter.
fn ordinal(rest: &str) -> Option<&'static str> {
    if rest.get(2..3).is_some_and(|next| next.eq_ignore_ascii_case("h")) {
        return None;
    }
    match rest.get(..2)? {
        "th" => Some(ORDINAL),
        "TH" => Some(UPPER_ORDINAL),
        _ => None,
    }
}

/// The pattern to read times by: names are read in any case.
///
/// # Errors
/// With what times can't be read by.
pub(super) fn to_read(pieces: Vec<Piece>) -> Result<String, &'static str> {
    let mut pattern = String::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Around(_, ORDINAL | UPPER_ORDINAL) => return Err("TH"),
            Piece::Pattern(known) | Piece::Around(known, _) => pattern.push_str(&known),
            // Before what is no digit, a year of three digits takes as many as there are.
            Piece::Reckoned(YEAR_OF_THREE) if pieces.peek().is_none_or(|next| matches!(next, Piece::Pattern(known) if !known.starts_with('%'))) => {
                pattern.push_str("%Y");
            }
            Piece::Reckoned(YEAR_OF_THREE) => return Err("YYY"),
            Piece::Reckoned(_) => return Err("WW, W, D, ID or J"),
        }
    }
    Ok(pattern)
}

/// Whether a pattern to read times by is of the kind that `to_char` has: Java knows years as `yyyy`, and minutes as `mm`
/// beside hours.
pub(super) fn has_words(pattern: &str) -> bool {
    let marks = ["YYY", "DD", "HH24", "hh24", "MI", "Mon", "MON"];
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

/// A pattern of DuckDB's `strftime`, where `%f` are microseconds and `%g` milliseconds, with what `BigQuery` has beside it.
pub(super) fn from_strftime(pattern: &str) -> String {
    const KNOWN: [(&str, &str); 8] =
        [("%f", "%6f"), ("%g", "%3f"), ("%n", "%9f"), ("%E3S", "%S%.3f"), ("%E6S", "%S%.6f"), ("%E*S", "%S%.f"), ("%E4Y", "%Y"), ("%Ez", "%:z")];
    KNOWN.iter().fold(pattern.to_owned(), |pattern, (written, known)| pattern.replace(written, known))
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
    use super::{Piece, from_java, from_words, has_words, to_read};

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
            assert_eq!(from_words(words, false), Ok(vec![Piece::Pattern(chrono.to_owned())]), "{words}");
        }
        assert_eq!(from_words("MON-dy", true), Ok(vec![Piece::Pattern("%b-%a".to_owned())]));
        assert_eq!(from_words("DD-MON-YYYY", false).map(to_read), Ok(Ok("%d-%b-%Y".to_owned())));
        assert_eq!(from_words("DDth", false).map(to_read), Ok(Err("TH")));
        for (words, letters) in [("BC", "BC"), ("999.99", "999.99"), ("YYYY RM", "RM"), ("IDDD", "IDDD")] {
            assert_eq!(from_words(words, false), Err(letters.to_owned()), "{words}");
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
