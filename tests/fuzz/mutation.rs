//! New inputs from old ones, by chance that a number settles: parts of texts taken out, doubled, exchanged and put together,
//! words of a dictionary, odd letters and numbers, and deep nesting.
//!
//! Works on words, for a text whose bytes are changed is nearly always refused by the first reader and tells nothing of
//! those behind it.

use fastrand::Rng;

/// What an input may grow to.
pub const LONGEST: usize = 1 << 16;

const ODD: [&str; 22] = [
    "\0",
    "\u{1b}[31m",
    "\r\n",
    "\r",
    "\t",
    "\u{a0}",
    "\u{feff}",
    "\u{202e}",
    "\u{2028}",
    "\u{301}",
    "\u{130}",
    "\u{df}",
    "\u{65e5}\u{672c}",
    "\u{1f642}",
    "\u{10ffff}",
    "\\",
    "\u{85}",
    "''",
    "\"\"",
    "``",
    "\\u0000",
    "\u{fb03}",
];

const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "2",
    "00",
    "255",
    "256",
    "32768",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "1e309",
    "1e-400",
    "0.1",
    ".5",
    "0x10",
];

/// What may enclose a part, many times over.
const ENCLOSING: [(&str, &str); 24] = [
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("{{ ", " }}"),
    ("{% if x %}", "{% endif %}"),
    ("{% for i in [1] %}", "{% endfor %}"),
    ("{# ", " #}"),
    ("\"", "\""),
    ("'", "'"),
    ("/* ", " */"),
    ("case when ", " then 1 end"),
    ("not ", ""),
    ("-", ""),
    ("- ", ""),
    ("(select ", ")"),
    ("a: {b: ", "}"),
    ("f(", ")"),
    ("1 + ", ""),
    ("select * from (", ") as t"),
    ("{% set x %}", "{% endset %}"),
    ("  ", ""),
    ("", "::int"),
    ("", " or true"),
    ("", " | upper"),
];

/// A file of words in libFuzzer's form, `"word"` a line, for all targets.
#[must_use]
pub fn words(dictionary: &str) -> Vec<String> {
    let quoted =
        |line: &str| Some(line.trim().strip_prefix('"')?.strip_suffix('"')?.replace("\\x0A", "\n").replace("\\\"", "\"").replace("\\\\", "\\"));
    dictionary.lines().filter_map(quoted).collect()
}

/// One more input.
#[must_use]
pub fn mutated(corpus: &[Vec<u8>], words: &[String], random: &mut Rng) -> Vec<u8> {
    let Some(start) = random.choice(corpus) else { return Vec::new() };
    let mut input = start.clone();
    for _ in 0..=random.usize(0..4) {
        input = if random.u8(0..40) == 0 { bytes_changed(input, random) } else { words_changed(&input, corpus, words, random) };
    }
    input.truncate(LONGEST);
    input
}

fn bytes_changed(mut input: Vec<u8>, random: &mut Rng) -> Vec<u8> {
    for _ in 0..random.usize(1..4) {
        if input.is_empty() {
            return input;
        }
        let at = random.usize(0..input.len());
        match random.u8(0..3) {
            0 => input[at] ^= 1 << random.u8(0..8),
            1 => input.insert(at, random.u8(..)),
            _ => input.truncate(at),
        }
    }
    input
}

fn words_changed(input: &[u8], corpus: &[Vec<u8>], words: &[String], random: &mut Rng) -> Vec<u8> {
    let text = String::from_utf8_lossy(input).into_owned();
    let other = random.choice(corpus).map(|other| String::from_utf8_lossy(other).into_owned()).unwrap_or_default();
    let (mut parts, others) = (split(&text), split(&other));
    let new: String;
    match random.u8(0..14) {
        0 => {
            parts.truncate(random.usize(0..=parts.len()));
            parts.extend(&others[random.usize(0..=others.len())..]);
        }
        1 | 2 => drop(parts.drain(span(parts.len(), random))),
        3 => {
            let part = parts[span(parts.len(), random)].to_vec();
            insert(&mut parts, &part, random);
        }
        4 => {
            let part: Vec<&str> = parts.drain(span(parts.len(), random)).collect();
            insert(&mut parts, &part, random);
        }
        5 => insert(&mut parts, &others[span(others.len(), random)], random),
        6 | 7 => {
            let word = random.choice(words).map_or("", String::as_str);
            let space = if random.bool() { " " } else { "" };
            insert(&mut parts, &[space, word, space], random);
        }
        8 | 9 => replace(&mut parts, random.choice(words).map_or("", String::as_str), |_| true, random),
        10 => replace(&mut parts, random.choice(&others).copied().unwrap_or_default(), |part| !part.trim().is_empty(), random),
        11 => {
            let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
            replace(&mut parts, random.choice(NUMBERS).unwrap_or_default(), is_number, random);
        }
        12 => insert(&mut parts, &[random.choice(ODD).unwrap_or_default()], random),
        _ => {
            let (open, close) = random.choice(ENCLOSING).unwrap_or_default();
            let times = random.choice([1, 2, 2, 5, 30, 100, 450, 6000]).unwrap_or(1);
            let inner = span(parts.len(), random);
            new = format!("{}{}{}", open.repeat(times), parts[inner.clone()].concat(), close.repeat(times));
            parts.splice(inner, [new.as_str()]);
        }
    }
    parts.concat().into_bytes()
}

fn insert<'t>(parts: &mut Vec<&'t str>, more: &[&'t str], random: &mut Rng) {
    let at = random.usize(0..=parts.len());
    parts.splice(at..at, more.iter().copied());
}

fn replace<'t>(parts: &mut [&'t str], by: &'t str, which: impl Fn(&str) -> bool, random: &mut Rng) {
    let places: Vec<usize> = parts.iter().enumerate().filter(|(_, part)| which(part)).map(|(at, _)| at).collect();
    if let Some(at) = random.choice(places) {
        parts[at] = by;
    }
}

/// Some parts that follow one another, mostly few.
fn span(length: usize, random: &mut Rng) -> std::ops::Range<usize> {
    let most = random.choice([1, 1, 2, 4, 16, usize::MAX]).unwrap_or(1).min(length);
    let size = if most == 0 { 0 } else { random.usize(1..=most) };
    let start = random.usize(0..=length - size);
    start..start + size
}

/// Words, numbers, whole stretches of white space, and other characters each for itself.
fn split(text: &str) -> Vec<&str> {
    let kind = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            1
        } else if c == ' ' {
            2
        } else {
            0
        }
    };
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        let now = kind(c);
        if at > 0 && (now == 0 || before != Some(now)) {
            parts.push(&text[start..at]);
            start = at;
        }
        before = Some(now);
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}
