//! Which quote of a CSV file is open when the file ends. A parser reads such a file as one long value and says nothing.

use std::io::{self, Read};

use super::options::FileOptions;

/// Passes bytes on and follows their quotes, by the rules of the `csv` crate: a quote opens a value where the value
/// begins; inside, a doubled quote, or one behind the escape character, is part of the value.
pub(super) struct Quotes<R> {
    input: R,
    delimiter: u8,
    quote: u8,
    /// Whether values stand in quotes at all.
    quoting: bool,
    escape: Option<u8>,
    state: State,
    /// How many bytes went by.
    passed: u64,
    /// Where the last quote was opened.
    opened: u64,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Where a value begins.
    Start,
    /// In a value without quotes, or behind the end of one with quotes.
    Outside,
    Inside,
    /// Inside, behind the escape character.
    Escaped,
    /// Behind a quote that ends the value unless another one follows.
    MaybeEnd,
}

impl<R> Quotes<R> {
    pub(super) fn new(input: R, options: &FileOptions) -> Self {
        Self {
            input,
            delimiter: options.delimiter,
            quote: options.quote,
            quoting: options.quotes,
            escape: options.escape,
            state: State::Start,
            passed: 0,
            opened: 0,
            ended: false,
        }
    }

    /// Where the quote stands that is open at the end of the file, once that is read.
    pub(super) fn unclosed(&self) -> Option<u64> {
        (self.ended && matches!(self.state, State::Inside | State::Escaped)).then_some(self.opened)
    }

    fn pass(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            // What is neither a quote nor an escape leaves the inside as it is: most of a long value in one go.
            if self.state == State::Inside {
                let rest = bytes.get(at..).unwrap_or_default();
                match rest.iter().position(|byte| *byte == self.quote || Some(*byte) == self.escape) {
                    None => break,
                    Some(skip) => {
                        at += skip;
                        let closes = rest.get(skip) == Some(&self.quote);
                        self.state = if closes { State::MaybeEnd } else { State::Escaped };
                    }
                }
            } else {
                self.state = self.outside(*byte, at);
            }
            at += 1;
        }
        self.passed += bytes.len() as u64;
    }

    fn outside(&mut self, byte: u8, at: usize) -> State {
        // What Windows puts in front of a file is no part of its first value.
        let mark = [0xef, 0xbb, 0xbf];
        if self.state == State::Start && usize::try_from(self.passed).is_ok_and(|passed| mark.get(passed + at) == Some(&byte)) {
            return State::Start;
        }
        let begins = byte == self.delimiter || byte == b'\n' || byte == b'\r';
        match self.state {
            State::Escaped => State::Inside,
            State::Start if byte == self.quote && self.quoting => {
                self.opened = self.passed + at as u64;
                State::Inside
            }
            State::MaybeEnd if byte == self.quote && self.escape.is_none() => State::Inside,
            State::Start | State::Outside | State::Inside | State::MaybeEnd if begins => State::Start,
            State::Start | State::Outside | State::Inside | State::MaybeEnd => State::Outside,
        }
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(target)?;
        self.ended = length == 0 && !target.is_empty();
        self.pass(target.get(..length).unwrap_or_default());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_at(text: &str, escape: Option<u8>) -> Option<u64> {
        let options = FileOptions { escape, ..FileOptions::seed(',', "alluvium") };
        let mut quotes = Quotes::new(text.as_bytes(), &options);
        // Bytes one by one, so that every state meets the end of a chunk.
        while quotes.read(&mut [0]).unwrap() > 0 {}
        quotes.unclosed()
    }

    #[test]
    fn a_quote_is_open_or_not() {
        for (text, expected) in [
            ("a,b\n1,\"x\ny\"\n", None),
            ("a,b\n1,\"x\n2,y\n", Some(6)),
            ("a\n\"x\"\"\n", Some(2)),
            ("a\n\"x\"\"\"\n", None),
            ("a\n5\" nail\n", None),
            ("a\n\"x\" y \"\n", None),
            ("\"", Some(0)),
            ("", None),
            ("a\r\n\"x", Some(3)),
            ("\u{feff}\"x,\"\n1\n", None),
            ("\u{feff}\"x,\n1\n", Some(3)),
        ] {
            assert_eq!(open_at(text, None), expected, "{text:?}");
        }
        assert_eq!(open_at("a\n\"x\\\"y\"\n", Some(b'\\')), None);
        assert_eq!(open_at("a\n\"x\\\"y\n", Some(b'\\')), Some(2));
    }
}
