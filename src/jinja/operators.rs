//! Operators that the engine has for numbers only and Python for more (`%` with text, `+` and `-` with dates and sets, `**`), those
//! that it has for all and Python for fewer (`<`), and those whose results may be large (`*`, `~`, `+`, slices, comparison with
//! long values): they become calls, so that what they make is counted. This module finds them; [`super::arithmetic`] has their meaning, [`super::rewrite`] puts the calls in.

use std::ops::Range;

use super::scan::{Token, TokenKind};

/// What a stretch of tokens becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub function: &'static str,
    pub operands: Range<usize>,
    pub operators: Vec<usize>,
}

/// The filter that a chain of comparisons becomes, the one of a sign, and the function that counts a value.
const ORDER: &str = "__ord";
const NEGATED: &str = "__neg";
const COUNTED: &str = "__n";

impl Operation {
    /// What goes before the operands and behind them, and into the place of an operator: the left operand becomes what a filter
    /// is applied to, the others its arguments. The engine finds filters sooner than functions.
    pub(super) fn frame(&self) -> (&'static str, String) {
        match self.function {
            COUNTED => ("__n(", ")".to_owned()),
            NEGATED => ("((", format!(")|{NEGATED})")),
            _ => ("((", "))".to_owned()),
        }
    }

    pub(super) fn operator(&self, at: usize, sign: &str) -> String {
        let first = self.operators.first() == Some(&at);
        match (self.function, first) {
            (NEGATED, _) => " ".to_owned(),
            (ORDER, true) => format!(")|{ORDER}('{sign}',"),
            (ORDER, false) => format!(",'{sign}',"),
            (function, true) => format!(")|{function}("),
            (_, false) => ",".to_owned(),
        }
    }
}

/// The range of an operation in a rewritten text, of which the engine only tells where the filter and its arguments stand.
pub(super) fn with_left_operand(text: &str, range: Range<usize>) -> Range<usize> {
    let before = text.get(..range.start).unwrap_or_default();
    let is_ours = text.get(range.start..).is_some_and(|filter| filter.starts_with("__"));
    let Some(operand) = before.strip_suffix(")|").filter(|_| is_ours) else { return range };
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in operand.char_indices().rev() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (')', None) => depth += 1,
            ('(', None) if depth == 0 => return at + 1..range.end,
            ('(', None) => depth -= 1,
            _ => {}
        }
    }
    range
}

/// How tightly operators bind, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Compare,
    Sum,
    Concat,
    Product,
    Power,
}

impl Level {
    fn tighter(self) -> Option<Self> {
        match self {
            Self::Compare => Some(Self::Sum),
            Self::Sum => Some(Self::Concat),
            Self::Concat => Some(Self::Product),
            Self::Product => Some(Self::Power),
            Self::Power => None,
        }
    }
}

/// The operations in an expression's tokens, outer ones first; ranges are of token indices.
pub(super) fn operations(text: &str, tokens: &[Token]) -> Vec<Operation> {
    const SIGNS: [&str; 15] = ["%", "*", "**", "/", "//", "~", "+", "-", "[", "==", "!=", "<", ">", "<=", ">="];
    let interesting = |token: &Token| match token.kind {
        TokenKind::Open | TokenKind::Operator => SIGNS.contains(&token.text(text)),
        TokenKind::Ident => token.is(text, "in"),
        TokenKind::Close | TokenKind::Text | TokenKind::Number => false,
    };
    if !tokens.iter().any(interesting) {
        return Vec::new();
    }
    let mut finder = Finder { text, tokens, closers: closers(tokens), end: tokens.len(), inner: Vec::new(), found: Vec::new() };
    finder.inner.push(0..tokens.len());
    while let Some(range) = finder.inner.pop() {
        finder.end = range.end;
        let mut at = range.start;
        while at < range.end {
            at = finder.level(at, Level::Compare).unwrap_or(at + 1);
        }
    }
    finder.found.sort_by_key(|found| (found.operands.start, std::cmp::Reverse(found.operands.end)));
    finder.found
}

/// For each opening bracket the index of the one that closes it.
fn closers(tokens: &[Token]) -> Vec<usize> {
    let mut closers = vec![usize::MAX; tokens.len()];
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => open.push(index),
            TokenKind::Close => {
                if let Some(slot) = open.pop().and_then(|open| closers.get_mut(open)) {
                    *slot = index;
                }
            }
            TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Operator => {}
        }
    }
    closers
}

struct Finder<'t> {
    text: &'t str,
    tokens: &'t [Token],
    closers: Vec<usize>,
    /// Where the brackets end that are looked into.
    end: usize,
    /// What stands in brackets and is still to be looked into.
    inner: Vec<Range<usize>>,
    found: Vec<Operation>,
}

impl Finder<'_> {
    fn token(&self, at: usize) -> Option<Token> {
        self.tokens.get(at).filter(|_| at < self.end).copied()
    }

    fn is(&self, at: usize, wanted: &str) -> bool {
        self.token(at).is_some_and(|token| token.is(self.text, wanted))
    }

    /// The level of the operator at an index, and where it ends.
    fn operator(&self, at: usize) -> Option<(Level, usize)> {
        let token = self.token(at)?;
        let level = match (token.kind, token.text(self.text)) {
            (TokenKind::Operator, "==" | "!=" | "<" | ">" | "<=" | ">=") | (TokenKind::Ident, "in") => Level::Compare,
            (TokenKind::Ident, "not") if self.is(at + 1, "in") => return Some((Level::Compare, at + 2)),
            (TokenKind::Operator, "+" | "-") => Level::Sum,
            (TokenKind::Operator, "~") => Level::Concat,
            (TokenKind::Operator, "*" | "/" | "//" | "%") => Level::Product,
            (TokenKind::Operator, "**") => Level::Power,
            _ => return None,
        };
        Some((level, at + 1))
    }

    /// Reads operands that operators of a level or tighter ones join; gives where they end.
    fn level(&mut self, from: usize, level: Level) -> Option<usize> {
        let next = |finder: &mut Self, at| match level.tighter() {
            Some(tighter) => finder.level(at, tighter),
            None => finder.operand(at),
        };
        let mut end = next(self, from)?;
        let mut joined = Vec::new();
        while let Some((_, after)) = self.operator(end).filter(|(found, _)| *found == level) {
            let Some(right) = next(self, after) else { break };
            self.join(level, from, (end, after), right);
            joined.push(end);
            end = right;
        }
        if level == Level::Compare && !joined.is_empty() {
            self.compare(from..end, joined);
        } else if level == Level::Concat && !joined.is_empty() {
            self.found.push(Operation { function: "__cat", operands: from..end, operators: joined });
        }
        Some(end)
    }

    /// Notes what a chain of comparisons becomes, if anything.
    fn compare(&mut self, operands: Range<usize>, operators: Vec<usize>) {
        let ends = operators.iter().skip(1).copied().chain([operands.end]);
        let rights: Vec<Range<usize>> = operators.iter().zip(ends).map(|(at, end)| at + if self.is(*at, "not") { 2 } else { 1 }..end).collect();
        let left = operands.start..operators.first().copied().unwrap_or(operands.end);
        let is_plain = |range: &Range<usize>| self.is_literal(range.clone()) && !self.is_number(range.clone()) && !self.is(range.start, "(");
        let within = operators.iter().all(|at| self.is(*at, "in") || self.is(*at, "not"));
        let equality = operators.iter().all(|at| self.is(*at, "==") || self.is(*at, "!="));
        let plain = match rights.as_slice() {
            // Among texts there is nothing that Python finds and the engine does not, and what is looked for costs no more than they.
            [right] if within => self.is_text(left.clone()) || self.is_texts(right.clone()),
            _ => equality && (is_plain(&left) || rights.iter().any(is_plain)),
        };
        let numbers = self.is_number(left) && rights.into_iter().all(|right| self.is_number(right));
        if !plain && !numbers {
            self.found.push(Operation { function: ORDER, operands, operators });
        }
    }

    /// Notes the call that an operator becomes, if it becomes one.
    fn join(&mut self, level: Level, from: usize, operator: (usize, usize), end: usize) {
        let (at, right) = (operator.0, operator.1..end);
        let numbers = (self.is_number(from..at), self.is_number(right.clone()));
        let function = match level {
            Level::Compare | Level::Concat => return,
            Level::Sum | Level::Product | Level::Power if numbers == (true, true) => return,
            Level::Power => "__pow",
            Level::Sum if self.is(at, "-") => "__sub",
            Level::Sum => "__add",
            Level::Product if self.is(at, "%") => "__mod",
            Level::Product if self.is(at, "*") => "__mul",
            Level::Product if self.is(at, "/") => "__div",
            Level::Product => "__floor",
        };
        self.found.push(Operation { function, operands: from..end, operators: vec![at] });
    }

    fn is_number(&self, range: Range<usize>) -> bool {
        range.len() == 1 && self.token(range.start).is_some_and(|token| token.kind == TokenKind::Number)
    }

    fn is_text(&self, range: Range<usize>) -> bool {
        range.len() == 1 && self.token(range.start).is_some_and(|token| token.kind == TokenKind::Text)
    }

    /// A list of texts.
    fn is_texts(&self, range: Range<usize>) -> bool {
        self.is_literal(range.clone())
            && self.is(range.start, "[")
            && (range.start + 1..range.end - 1).all(|at| self.is(at, ",") || self.token(at).is_some_and(|token| token.kind == TokenKind::Text))
    }

    fn is_literal(&self, range: Range<usize>) -> bool {
        const WORDS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];
        let first = self.token(range.start);
        first.is_some_and(|token| match token.kind {
            TokenKind::Text | TokenKind::Number => range.len() == 1,
            TokenKind::Ident => range.len() == 1 && WORDS.contains(&token.text(self.text)),
            TokenKind::Open => self.closers.get(range.start).is_some_and(|close| close + 1 == range.end),
            TokenKind::Close | TokenKind::Operator => false,
        })
    }

    /// A name, a literal or brackets, with signs before it and what hangs on to it; gives where it ends.
    fn operand(&mut self, from: usize) -> Option<usize> {
        let mut start = from;
        while self.is(start, "-") || self.is(start, "+") {
            start += 1;
        }
        let mut at = self.primary(start)?;
        // A sign belongs to the value with its parts, not to what filters make of it.
        let signed = start.checked_sub(1).filter(|sign| *sign >= from && self.is(*sign, "-") && !self.is_number(start..at));
        let mut done = false;
        let mut negated = |finder: &mut Self, end: usize| {
            if let Some(sign) = signed.filter(|_| !std::mem::replace(&mut done, true)) {
                finder.found.push(Operation { function: NEGATED, operands: sign..end, operators: vec![sign] });
            }
        };
        loop {
            let Some(token) = self.token(at) else {
                negated(self, at);
                return Some(at);
            };
            if !matches!((token.kind, token.text(self.text)), (TokenKind::Open, "(" | "[") | (TokenKind::Operator, ".")) {
                negated(self, at);
            }
            at = match (token.kind, token.text(self.text)) {
                (TokenKind::Open, "(" | "[") => {
                    let close = self.group(at)?;
                    if token.is(self.text, "[") && self.is_slice(at + 1..close) {
                        self.found.push(Operation { function: COUNTED, operands: start..close + 1, operators: Vec::new() });
                    }
                    close + 1
                }
                (TokenKind::Operator, "." | "|") => at + 2,
                (TokenKind::Ident, "is") => {
                    let name = if self.is(at + 1, "not") { at + 2 } else { at + 1 };
                    // A test's argument may stand without brackets.
                    if self.is(name + 1, "(") { name + 1 } else { self.primary(name + 1).unwrap_or(name + 1) }
                }
                _ => return Some(at),
            };
        }
    }

    fn primary(&mut self, at: usize) -> Option<usize> {
        const WORDS: [&str; 12] = ["in", "not", "and", "or", "if", "else", "elif", "is", "for", "recursive", "import", "as"];
        let token = self.token(at)?;
        match token.kind {
            TokenKind::Text => (at..self.end).find(|next| self.token(*next).is_none_or(|token| token.kind != TokenKind::Text)).or(Some(self.end)),
            TokenKind::Ident if WORDS.contains(&token.text(self.text)) => None,
            TokenKind::Ident | TokenKind::Number => Some(at + 1),
            TokenKind::Open => self.group(at).map(|close| close + 1),
            TokenKind::Close | TokenKind::Operator => None,
        }
    }

    /// Where brackets close; what is in them is looked into later.
    fn group(&mut self, open: usize) -> Option<usize> {
        let close = self.closers.get(open).copied().filter(|close| *close < self.end)?;
        self.inner.push(open + 1..close);
        Some(close)
    }

    fn is_slice(&self, range: Range<usize>) -> bool {
        let mut at = range.start;
        while at < range.end {
            if self.is(at, ":") {
                return true;
            }
            at = self.closers.get(at).copied().filter(|close| *close < range.end).map_or(at + 1, |close| close + 1);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{TagKind, Tags};
    use super::*;

    fn calls(expression: &str) -> Vec<String> {
        let text = format!("{{{{ {expression} }}}}");
        let tag = Tags::new(&text, 0).next().unwrap().unwrap();
        assert_eq!(tag.kind, TagKind::Expression);
        let shown = |found: Operation| {
            let part = |range: Range<usize>| &text[tag.tokens[range.start].start..tag.tokens[range.end - 1].end];
            format!("{} {}", found.function, part(found.operands))
        };
        operations(&text, &tag.tokens).into_iter().map(shown).collect()
    }

    #[test]
    fn operators_bind_as_in_jinja() {
        assert_eq!(calls("a ~ b * 2 ~ 'c' | upper"), ["__cat a ~ b * 2 ~ 'c' | upper", "__mul b * 2"]);
        assert_eq!(calls("a * b % c"), ["__mod a * b % c", "__mul a * b"]);
        assert_eq!(calls("x + y ~ z"), ["__add x + y ~ z", "__cat y ~ z"]);
        assert_eq!(calls("-a[1:2].b * f(c ~ d)"), ["__mul -a[1:2].b * f(c ~ d)", "__neg -a[1:2].b", "__n a[1:2]", "__cat c ~ d"]);
        assert_eq!(calls("a * b is number"), ["__mul a * b is number"]);
        assert_eq!(
            calls("[x, y * 2] + {'a': b ~ c}['a':]"),
            ["__add [x, y * 2] + {'a': b ~ c}['a':]", "__mul y * 2", "__n {'a': b ~ c}['a':]", "__cat b ~ c"]
        );
    }

    #[test]
    fn what_can_only_be_cheap_stays() {
        let plain = [
            "2 * 3",
            "1 < 2",
            "-1",
            "a == 'x'",
            "a in ['x', 'y']",
            "f(*args, **kwargs)",
            "x[0]",
            "not a and b",
            "a if b else c",
            "'1' in a",
            "2 ** 3",
        ];
        for plain in plain {
            assert!(calls(plain).is_empty(), "{plain}");
        }
        assert_eq!(calls("a not in b"), ["__ord a not in b"]);
        assert_eq!(calls("1 in a and 'x' < b in ['x']"), ["__ord 1 in a", "__ord 'x' < b in ['x']"]);
        assert_eq!(calls("-a ** b * 2"), ["__mul -a ** b * 2", "__pow -a ** b", "__neg -a"]);
        assert_eq!(calls("a if b == c else d"), ["__ord b == c"]);
        assert_eq!(calls("0 < a <= b and not c > -d | abs"), ["__ord 0 < a <= b", "__ord c > -d | abs", "__neg -d"]);
        assert_eq!(calls("a is divisibleby 3 and b * c"), ["__mul b * c"]);
    }
}
