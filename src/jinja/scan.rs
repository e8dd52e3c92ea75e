//! The outer shape of a template: literal text, expression tags, block tags, comments and raw blocks, with the
//! tokens inside the tags. Knows the lexical rules only; what a tag means is the parser's business.

use std::ops::Range;

/// What a tag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagKind {
    Expression,
    Block,
    Comment,
    Raw,
}

/// A tag of a template. `outer` covers the delimiters.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub kind: TagKind,
    pub outer: Range<usize>,
    /// Tokens of expression and block tags.
    pub tokens: Vec<Token>,
    /// Blanks between the tokens that Python takes for such and the engine does not, as U+00A0.
    pub blanks: Vec<Range<usize>>,
}

impl Tag {
    /// The first word of a block tag.
    pub(super) fn keyword<'t>(&self, text: &'t str) -> Option<&'t str> {
        let first = self.tokens.first().filter(|_| self.kind == TagKind::Block)?;
        (first.kind == TokenKind::Ident).then(|| first.text(text))
    }

    /// Whether whitespace after the tag is taken away.
    pub(super) fn trims_after(&self, text: &str) -> bool {
        text.as_bytes().get(self.outer.end.saturating_sub(3)) == Some(&b'-')
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Ident,
    Text,
    Number,
    Open,
    Close,
    Operator,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub(super) fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is(&self, text: &str, wanted: &str) -> bool {
        self.text(text) == wanted
    }
}

/// A tag that does not end, or a string in it that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScanError {
    pub at: Range<usize>,
    pub message: &'static str,
}

/// Iterates over the tags of a text, from a given offset.
pub(super) struct Tags<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tags<'t> {
    pub(super) fn new(text: &'t str, from: usize) -> Self {
        Self { text, at: from }
    }

    /// Continues after an offset, for bodies that are not template text.
    pub(super) fn skip_to(&mut self, offset: usize) {
        self.at = offset;
    }
}

impl Iterator for Tags<'_> {
    type Item = Result<Tag, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        loop {
            let open = self.at + bytes.get(self.at..)?.iter().position(|byte| *byte == b'{')?;
            let result = match bytes.get(open + 1) {
                Some(b'{') => code_tag(self.text, open, TagKind::Expression),
                Some(b'%') => code_tag(self.text, open, TagKind::Block),
                Some(b'#') => comment(self.text, open),
                _ => {
                    self.at = open + 1;
                    continue;
                }
            };
            self.at = match &result {
                Ok(tag) => tag.outer.end,
                Err(_) => bytes.len(),
            };
            return Some(result);
        }
    }
}

fn comment(text: &str, open: usize) -> Result<Tag, ScanError> {
    let Some(length) = text.get(open + 2..).and_then(|rest| rest.find("#}")) else {
        return Err(ScanError { at: open..open + 2, message: "this comment has no end" });
    };
    let close = open + 2 + length;
    Ok(Tag { kind: TagKind::Comment, outer: open..close + 2, tokens: Vec::new(), blanks: Vec::new() })
}

fn code_tag(text: &str, open: usize, kind: TagKind) -> Result<Tag, ScanError> {
    let bytes = text.as_bytes();
    let end_mark: &[u8] = if kind == TagKind::Expression { b"}}" } else { b"%}" };
    let mut at = open + 2;
    if matches!(bytes.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let (mut tokens, mut blanks) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    loop {
        while let Some(blank) = text.get(at..).and_then(|rest| rest.chars().next()).filter(|c| c.is_whitespace()) {
            if !blank.is_ascii() {
                blanks.push(at..at + blank.len_utf8());
            }
            at += blank.len_utf8();
        }
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
            return Err(ScanError { at: open..open + 2, message: "this tag has no end" });
        };
        if depth == 0 {
            let control = usize::from(matches!(rest.first(), Some(b'-' | b'+')) && rest.get(1..3) == Some(end_mark));
            if control == 1 || rest.starts_with(end_mark) {
                let tag = Tag { kind, outer: open..at + control + 2, tokens, blanks };
                return if tag.keyword(text) == Some("raw") && tag.tokens.len() == 1 { raw(text, tag) } else { Ok(tag) };
            }
        }
        let token = next_token(text, at)?;
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Operator => {}
        }
        at = token.end;
        tokens.push(token);
    }
}

/// A raw block from its opening tag to the end of its closing tag.
fn raw(text: &str, open: Tag) -> Result<Tag, ScanError> {
    let mut at = open.outer.end;
    while let Some(length) = text.get(at..).and_then(|rest| rest.find("{%")) {
        let start = at + length;
        let rest = text.get(start + 2..).unwrap_or_default();
        let word = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start();
        if let Some(tail) = word.strip_prefix("endraw") {
            let tail = tail.trim_start();
            let tail = tail.strip_prefix(['-', '+']).unwrap_or(tail);
            if let Some(after) = tail.strip_prefix("%}") {
                let end = text.len() - after.len();
                return Ok(Tag { kind: TagKind::Raw, outer: open.outer.start..end, tokens: Vec::new(), blanks: Vec::new() });
            }
        }
        at = start + 2;
    }
    Err(ScanError { at: open.outer, message: "this raw block has no `endraw`" })
}

fn next_token(text: &str, at: usize) -> Result<Token, ScanError> {
    let rest = text.get(at..).unwrap_or_default();
    let first = rest.chars().next().unwrap_or(' ');
    let token = |kind, length: usize| Ok(Token { kind, start: at, end: at + length });
    match first {
        '\'' | '"' => match string_length(rest.as_bytes()) {
            Some(length) => token(TokenKind::Text, length),
            None => Err(ScanError { at: at..at + 1, message: "this string has no end" }),
        },
        '(' | '[' | '{' => token(TokenKind::Open, 1),
        ')' | ']' | '}' => token(TokenKind::Close, 1),
        '0'..='9' => token(TokenKind::Number, number_length(rest.as_bytes())),
        _ if first == '_' || first.is_alphanumeric() => {
            let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            token(TokenKind::Ident, length)
        }
        _ => {
            let two = ["//", "**", "==", "!=", ">=", "<="].iter().any(|operator| rest.starts_with(operator));
            token(TokenKind::Operator, if two { 2 } else { first.len_utf8() })
        }
    }
}

fn string_length(rest: &[u8]) -> Option<usize> {
    let quote = *rest.first()?;
    let mut at = 1;
    loop {
        match rest.get(at)? {
            b'\\' => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn number_length(rest: &[u8]) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let part = |from: usize| rest.get(from..).map_or(0, |tail| tail.iter().take_while(|byte| is_part(byte)).count());
    let mut length = part(0);
    if rest.get(length) == Some(&b'.') && rest.get(length + 1).is_some_and(u8::is_ascii_digit) {
        length += 1 + part(length + 1);
    }
    // The sign of an exponent belongs to the number.
    let exponent = !rest.starts_with(b"0x") && matches!(rest.get(length.wrapping_sub(1)), Some(b'e' | b'E'));
    if exponent && matches!(rest.get(length), Some(b'+' | b'-')) && rest.get(length + 1).is_some_and(u8::is_ascii_digit) {
        length += 1 + part(length + 1);
    }
    length
}

/// Index of the token that closes the bracket opened by token `open`.
pub(super) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(index);
                }
            }
            TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Operator => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_tags_and_skips_comments_raw_and_strings() {
        let text = "a {{ x['}}'] }} {# {{ #} {% raw %}{{ y }}{% endraw %}{%- if {'a': {'b': 1}} -%}z";
        let tags: Vec<_> = Tags::new(text, 0).map(|tag| tag.map(|tag| (tag.kind, text[tag.outer].to_owned()))).collect();
        let expected = [
            (TagKind::Expression, "{{ x['}}'] }}"),
            (TagKind::Comment, "{# {{ #}"),
            (TagKind::Raw, "{% raw %}{{ y }}{% endraw %}"),
            (TagKind::Block, "{%- if {'a': {'b': 1}} -%}"),
        ];
        assert_eq!(tags, expected.map(|(kind, text)| Ok((kind, text.to_owned()))));
    }

    #[test]
    fn an_exponents_sign_is_part_of_the_number() {
        let tokens = |text: &str| {
            let tag = Tags::new(text, 0).next().unwrap().unwrap();
            tag.tokens.iter().map(|token| token.text(text).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(tokens("{{ 'x' ~ 1.5e-7 }}"), ["'x'", "~", "1.5e-7"]);
        assert_eq!(tokens("{{ 0x1e-1 }}"), ["0x1e", "-", "1"]);
    }

    #[test]
    fn names_what_has_no_end() {
        let error = Tags::new("a {{ 'x }}", 0).next().unwrap().unwrap_err();
        assert_eq!(error, ScanError { at: 5..6, message: "this string has no end" });
        assert!(Tags::new("{% if x", 0).next().unwrap().is_err());
    }
}
