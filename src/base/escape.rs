//! Text from the user's data, names and files made safe to print: what could steer a terminal is shown instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with control characters and characters that turn the direction of writing replaced by escapes such as
/// `\x1b`; line ends and tabs stay.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_hidden(c) && !matches!(c, '\n' | '\t'))
}

/// As [`visible`], for what must stay on one line: line ends and tabs are escaped too.
#[must_use]
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

fn escape(text: &str, hide: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hide) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // The line ends of Windows are line ends.
            '\r' if chars.peek() == Some(&'\n') && !hide('\n') => {}
            c if !hide(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)).unwrap_or_default(),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default(),
        }
    }
    Cow::Owned(out)
}

/// Controls (C0, DEL, C1), line and paragraph separators, and the overrides of writing direction.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(visible("a\x1b[31mb\u{9b}2J\u{202e}c\x07"), "a\\x1b[31mb\\x9b2J\\u{202e}c\\x07");
        assert_eq!(visible("one\r\ntwo\tthree\rfour"), "one\ntwo\tthree\\rfour");
        assert_eq!(visible_line("one\r\ntwo\tx"), "one\\r\\ntwo\\tx");
        assert!(matches!(visible("caf\u{e9} \u{1f41f}"), Cow::Borrowed(_)));
    }
}
