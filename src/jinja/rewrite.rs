//! From dbt's dialect of Jinja to the engine's, keeping lines: mutable lists and dicts, `do` of any expression,
//! hidden macro parameters, and markers that say where an expression or a call stands. An offset table leads
//! from the rewritten text back to the user's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use super::literals::Nesting;
use super::operators::operations;
use super::scan::{ScanError, Tag, TagKind, Tags, Token, TokenKind, closing};

/// The name every macro has inside its own template; free names thus always reach the wrappers.
pub(super) const MACRO_NAME: &str = "alv_macro";

/// Put in front of a template that may call macros: how the wrappers import one into the running state. It stands in a block
/// of its own, as a macro sees what is set in the block that declares it: imported macros see no variables of the template.
const PRELUDE: &str = "{%with%}{%macro __alv_import(__alv_n)%}{%import __alv_n as __alv_m%}{%do __keep(__alv_n,__alv_m)%}\
                       {%endmacro%}{%do __boot(__alv_import)%}{%endwith%}";

/// A rewritten template.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    pub text: String,
    pub table: OffsetTable,
    /// Names that stand before an opening parenthesis.
    pub called: BTreeSet<String>,
    /// Ranges of the expressions and call tags, in the original text; markers name them by index.
    pub sites: Vec<Range<usize>>,
    /// Whether the template is one expression and nothing else.
    pub single_expression: bool,
}

/// Leads from offsets of a rewritten text to offsets of the original.
#[derive(Debug, Default)]
pub(super) struct OffsetTable {
    /// Copied stretches: start in the rewritten text, start in the original, length.
    stretches: Vec<(usize, usize, usize)>,
}

impl OffsetTable {
    /// The offset in the original; one inside inserted text is the place of insertion.
    pub(super) fn original(&self, rewritten: usize) -> usize {
        let index = self.stretches.partition_point(|(start, _, _)| *start <= rewritten);
        match index.checked_sub(1).and_then(|index| self.stretches.get(index)) {
            Some((start, original, length)) => original + (rewritten - start).min(*length),
            None => self.stretches.first().map_or(0, |(_, original, _)| *original),
        }
    }

    /// The range in the original that a range of the rewritten text stands for.
    pub(super) fn original_range(&self, range: Range<usize>) -> Range<usize> {
        let start = self.original_start(range.start);
        start..self.original(range.end).max(start)
    }

    /// As [`OffsetTable::original`], but text that was inserted belongs to what follows it.
    fn original_start(&self, rewritten: usize) -> usize {
        let index = self.stretches.partition_point(|(start, _, _)| *start <= rewritten);
        let previous = index.checked_sub(1).and_then(|index| self.stretches.get(index));
        match (previous, self.stretches.get(index)) {
            (Some((start, original, length)), _) if rewritten < start + length => original + (rewritten - start),
            (_, Some((_, original, _))) => *original,
            (Some((_, original, length)), None) => original + length,
            (None, None) => 0,
        }
    }
}

/// A change at one place: `text` replaces `at..until`.
struct Edit {
    at: usize,
    until: usize,
    /// At the same place, what closes comes before what opens.
    opens: bool,
    text: String,
}

#[derive(Default)]
struct Edits {
    list: Vec<Edit>,
}

impl Edits {
    fn before(&mut self, at: usize, text: impl Into<String>) {
        self.list.push(Edit { at, until: at, opens: true, text: text.into() });
    }

    fn after(&mut self, at: usize, text: impl Into<String>) {
        self.list.push(Edit { at, until: at, opens: false, text: text.into() });
    }

    fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.list.push(Edit { at: range.start, until: range.end, opens: true, text: text.into() });
    }

    /// Plain spaces in the place of blanks that the engine does not know.
    fn spaces(&mut self, tag: &Tag) {
        for blank in &tag.blanks {
            self.replace(blank.clone(), " ");
        }
    }

    fn apply(mut self, original: &str, range: Range<usize>, prelude: &str) -> (String, OffsetTable) {
        self.list.sort_by_key(|edit| (edit.at, edit.opens));
        let mut text = String::with_capacity(prelude.len() + range.len() + self.list.len() * 12);
        text.push_str(prelude);
        let mut table = OffsetTable::default();
        let mut at = range.start;
        for edit in &self.list {
            copy(&mut text, &mut table, original, at..edit.at);
            let lines = original.get(edit.at..edit.until).map_or(0, |cut| cut.matches('\n').count());
            text.push_str(&edit.text);
            text.extend(std::iter::repeat_n('\n', lines));
            at = edit.until.max(at);
        }
        copy(&mut text, &mut table, original, at..range.end);
        (text, table)
    }
}

fn copy(text: &mut String, table: &mut OffsetTable, original: &str, range: Range<usize>) {
    if let Some(part) = original.get(range.clone()).filter(|part| !part.is_empty()) {
        table.stretches.push((text.len(), range.start, part.len()));
        text.push_str(part);
    }
}

/// Rewrites what a user's node or string holds. `origin` goes into the markers of `ref`, `source` and `config`.
pub(super) fn rewrite_template(text: &str, range: Range<usize>, origin: u32) -> Result<Rewritten, ScanError> {
    let mut edits = Edits::default();
    let mut result = Rewritten::default();
    let mut literal_from = range.start;
    let mut has_text = false;
    let mut expressions = 0_usize;
    let mut nesting = Nesting::default();
    for tag in tags_within(text, &range) {
        let tag = tag?;
        has_text |= !text.get(literal_from..tag.outer.start).unwrap_or_default().trim().is_empty();
        count(&nesting, text, literal_from..tag.outer.start, &mut edits);
        nesting.pass(text, &tag);
        literal_from = tag.outer.end;
        edits.spaces(&tag);
        match tag.kind {
            TagKind::Comment => {}
            TagKind::Raw => has_text = true,
            TagKind::Expression => {
                expressions += 1;
                mark_expression(&tag, &mut edits, &mut result.sites);
                rewrite_tokens(text, &tag.tokens, origin, &mut edits, &mut result.called);
            }
            TagKind::Block => {
                expressions += 2;
                if let Some(skipped) = definition(text, &tag) {
                    edits.replace(skipped.0, skipped.1);
                    continue;
                }
                if tag.keyword(text) == Some("call") {
                    mark_call(text, &tag, &mut edits, &mut result.sites);
                }
                rewrite_block(text, &tag, origin, &mut edits, &mut result.called);
            }
        }
    }
    has_text |= !text.get(literal_from..range.end).unwrap_or_default().trim().is_empty();
    result.single_expression = expressions == 1 && !has_text;
    let prelude = if expressions == 0 { "" } else { PRELUDE };
    (result.text, result.table) = edits.apply(text, range, prelude);
    Ok(result)
}

/// What stands in the place of the tags around a generic test or a materialization: one that is defined in a node's own text
/// defines nothing that anybody finds, and yields no text.
fn definition(text: &str, tag: &Tag) -> Option<(Range<usize>, &'static str)> {
    let (first, last) = (tag.tokens.first()?, tag.tokens.last()?);
    let skipped = match tag.keyword(text)? {
        "test" | "data_test" | "materialization" => "if false",
        "endtest" | "enddata_test" | "endmaterialization" => "endif",
        _ => return None,
    };
    Some((first.start..last.end, skipped))
}

/// Counts the text before a tag where loops may put it into a value.
fn count(nesting: &Nesting, text: &str, range: Range<usize>, edits: &mut Edits) {
    if let Some(at) = nesting.counted(text, range.clone()) {
        edits.before(at, format!("{{%do __n(0,{})%}}", range.len()));
    }
}

/// What a macro's own tag says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signature {
    pub parameters: Vec<String>,
    /// Those without a default.
    pub required: Vec<String>,
    pub varargs: bool,
    pub kwargs: bool,
}

/// Rewrites one macro, test or materialization block to a macro named [`MACRO_NAME`]. `range` covers the block,
/// its tags included.
pub(super) fn rewrite_macro(text: &str, range: Range<usize>, origin: u32) -> Result<(Rewritten, Signature), ScanError> {
    let mut edits = Edits::default();
    let mut result = Rewritten::default();
    let tags = tags_within(text, &range).collect::<Result<Vec<_>, _>>()?;
    let (Some(open), Some(close)) = (tags.first(), tags.last().filter(|_| tags.len() > 1)) else {
        return Err(ScanError { at: range, message: "this block has no end" });
    };
    let body = tags.get(1..tags.len() - 1).unwrap_or_default();
    let mentions = |name: &str| body.iter().any(|tag| tag.tokens.iter().any(|token| token.is(text, name)));
    let mut signature = Signature { varargs: mentions("varargs"), kwargs: mentions("kwargs"), ..Signature::default() };
    edits.spaces(open);
    open_tag(text, open, origin, &mut edits, &mut signature, &mut result.called)?;
    let mut nesting = Nesting::of_macro();
    let mut literal_from = open.outer.end;
    for tag in body {
        count(&nesting, text, literal_from..tag.outer.start, &mut edits);
        nesting.pass(text, tag);
        literal_from = tag.outer.end;
        edits.spaces(tag);
        match tag.kind {
            TagKind::Comment | TagKind::Raw => {}
            TagKind::Expression => rewrite_tokens(text, &tag.tokens, origin, &mut edits, &mut result.called),
            TagKind::Block => rewrite_block(text, tag, origin, &mut edits, &mut result.called),
        }
    }
    if let (Some(first), Some(last)) = (close.tokens.first(), close.tokens.last()) {
        edits.replace(first.start..last.end, "endmacro");
    }
    (result.text, result.table) = edits.apply(text, range, "");
    Ok((result, signature))
}

/// The tags that start inside a range. A tag that runs over its end is reported by the parser.
fn tags_within<'t>(text: &'t str, range: &Range<usize>) -> impl Iterator<Item = Result<Tag, ScanError>> + use<'t> {
    let text = text.get(..range.end).unwrap_or(text);
    Tags::new(text, range.start)
}

/// `{% macro name(a, b=c) %}` and its like: the keyword, the name and the parameters.
#[expect(clippy::too_many_arguments, reason = "the text, where it stands, and the collectors that every rewriting function fills")]
fn open_tag(
    text: &str,
    tag: &Tag,
    origin: u32,
    edits: &mut Edits,
    signature: &mut Signature,
    called: &mut BTreeSet<String>,
) -> Result<(), ScanError> {
    let (Some(keyword), Some(last)) = (tag.tokens.first(), tag.tokens.last()) else {
        return Err(ScanError { at: tag.outer.clone(), message: "this block has no name" });
    };
    if keyword.is(text, "materialization") {
        edits.replace(keyword.start..last.end, format!("macro {MACRO_NAME}()"));
        return Ok(());
    }
    edits.replace(keyword.start..keyword.end, "macro");
    let Some(name) = tag.tokens.get(1).filter(|token| token.kind == TokenKind::Ident) else {
        return Err(ScanError { at: tag.outer.clone(), message: "this block has no name" });
    };
    edits.replace(name.start..name.end, MACRO_NAME);
    let end = tag.tokens.get(2).filter(|token| token.is(text, "(")).and_then(|_| closing(&tag.tokens, 2));
    let Some(end) = end else {
        return Err(ScanError { at: name.start..name.end, message: "expected `(` and parameters after the name" });
    };
    let late = parameters(text, tag.tokens.get(3..end).unwrap_or_default(), origin, edits, signature, called);
    let mut hidden = String::new();
    let trailing_comma = tag.tokens.get(end - 1).is_some_and(|token| token.is(text, ",") || token.is(text, "("));
    for name in [("varargs", signature.varargs), ("kwargs", signature.kwargs)].iter().filter(|(_, on)| *on).map(|(name, _)| name) {
        let comma = if hidden.is_empty() && trailing_comma { "" } else { "," };
        let _ = write!(hidden, "{comma}{name}=none");
    }
    if let Some(token) = tag.tokens.get(end).filter(|_| !hidden.is_empty()) {
        edits.after(token.start, hidden);
    }
    if let Some(late) = late {
        let control = if tag.trims_after(text) { "{%if true-%}{%endif-%}" } else { "" };
        edits.after(tag.outer.end, format!("{late}{control}"));
    }
    Ok(())
}

/// Collects the parameters; returns statements for defaults that read other parameters, which the engine would
/// evaluate from right to left and thus see as undefined.
#[expect(clippy::too_many_arguments, reason = "the text, where it stands, and the collectors that every rewriting function fills")]
fn parameters(
    text: &str,
    tokens: &[Token],
    origin: u32,
    edits: &mut Edits,
    signature: &mut Signature,
    called: &mut BTreeSet<String>,
) -> Option<String> {
    let mut late = String::new();
    for part in split_commas(text, tokens) {
        let Some(name) = part.first().filter(|token| token.kind == TokenKind::Ident) else { continue };
        let name = name.text(text).to_owned();
        let default = part.get(2..).unwrap_or_default();
        let reads_parameter =
            default.iter().any(|token| token.kind == TokenKind::Ident && signature.parameters.iter().any(|known| token.is(text, known)));
        if let (true, Some(first), Some(last)) = (reads_parameter, default.first(), default.last()) {
            let expression = text.get(first.start..last.end).unwrap_or_default().replace('\n', " ");
            edits.replace(first.start..last.end, "__unset");
            let _ = write!(late, "{{%if {name} is sameas __unset%}}{{%set {name}=({expression})%}}{{%endif%}}");
        } else {
            rewrite_tokens(text, default, origin, edits, called);
        }
        if default.is_empty() {
            signature.required.push(name.clone());
        }
        signature.parameters.push(name);
    }
    (!late.is_empty()).then_some(late)
}

fn split_commas<'a>(text: &str, tokens: &'a [Token]) -> Vec<&'a [Token]> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Operator if depth == 0 && token.is(text, ",") => {
                parts.extend(tokens.get(from..index));
                from = index + 1;
            }
            TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Operator => {}
        }
    }
    parts.extend(tokens.get(from..));
    parts
}

fn mark_expression(tag: &Tag, edits: &mut Edits, sites: &mut Vec<Range<usize>>) {
    if let (Some(first), Some(last)) = (tag.tokens.first(), tag.tokens.last()) {
        edits.before(first.start, format!("__e(__b({}),", sites.len()));
        edits.after(last.end, ")");
        sites.push(tag.outer.clone());
    }
}

/// `{% call(x) callee(args) %}`: the callee is wrapped, so that the output of the block has a place.
fn mark_call(text: &str, tag: &Tag, edits: &mut Edits, sites: &mut Vec<Range<usize>>) {
    let mut from = 1;
    if tag.tokens.get(1).is_some_and(|token| token.is(text, "(")) {
        from = closing(&tag.tokens, 1).map_or(from, |index| index + 1);
    }
    let last = tag.tokens.len().saturating_sub(1);
    let arguments = (from..last)
        .rev()
        .find(|index| tag.tokens.get(*index).is_some_and(|token| token.is(text, "(")) && closing(&tag.tokens, *index) == Some(last));
    let arguments = arguments.and_then(|index| tag.tokens.get(index));
    if let (Some(first), Some(arguments)) = (tag.tokens.get(from), arguments)
        && first.start < arguments.start
    {
        edits.before(first.start, format!("__c({},", sites.len()));
        edits.after(arguments.start, ")");
        sites.push(tag.outer.clone());
    }
}

fn rewrite_block(text: &str, tag: &Tag, origin: u32, edits: &mut Edits, called: &mut BTreeSet<String>) {
    let keyword = tag.keyword(text).unwrap_or_default();
    let Some(last) = tag.tokens.last() else { return };
    let mut from = 1;
    // What closes at one place closes the innermost first.
    let mut closer = None;
    let mut looped = None;
    match keyword {
        "set" => {
            let mut depth = 0_usize;
            let assign = tag.tokens.iter().position(|token| {
                match token.kind {
                    TokenKind::Open => depth += 1,
                    TokenKind::Close => depth = depth.saturating_sub(1),
                    TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Operator => {}
                }
                depth == 0 && token.is(text, "=")
            });
            if let Some(first) = assign.and_then(|index| tag.tokens.get(index + 1)) {
                let dotted = tag.tokens.get(2).is_some_and(|token| token.is(text, "."));
                let target = tag.tokens.get(1).filter(|_| dotted).map(|token| token.text(text));
                edits.before(first.start, "__s(");
                closer = Some(target.map_or_else(|| ")".to_owned(), |target| format!(",__t={target})")));
            }
        }
        "do" => {
            if let Some(first) = tag.tokens.get(1) {
                edits.before(first.start, "__do(");
                closer = Some(")".to_owned());
            }
        }
        // The names before the first `in` are no operands of it.
        "for" => {
            from = tag.tokens.iter().position(|token| token.is(text, "in")).unwrap_or(1);
            let through = iterable(text, &tag.tokens, from + 1);
            looped = through.filter(|(first, _)| !tag.tokens.get(*first).is_some_and(|token| token.is(text, "[")));
            if let Some(first) = looped.and_then(|(first, _)| tag.tokens.get(first)) {
                edits.before(first.start, " ((");
            }
            // A name by itself that is not defined is hardly ever meant.
            let name = through.filter(|(first, last)| first == last).and_then(|(first, _)| tag.tokens.get(first));
            if let Some(name) = name.filter(|token| token.kind == TokenKind::Ident) {
                edits.before(name.start, "__over(");
                edits.after(name.end, format!(",{},{})", name.start, name.end));
            }
        }
        _ => {}
    }
    if matches!(keyword, "if" | "elif" | "for" | "else") && last.is(text, ":") {
        edits.replace(last.start..last.end, " ");
    }
    rewrite_tokens(text, tag.tokens.get(from..).unwrap_or_default(), origin, edits, called);
    if let Some(last) = looped.and_then(|(_, last)| tag.tokens.get(last)) {
        edits.after(last.end, ")|__it)");
    }
    if let Some(closer) = closer {
        edits.after(last.end, closer);
    }
}

/// The first and the last token of what a loop goes through: up to its condition, or how it is called again.
fn iterable(text: &str, tokens: &[Token], from: usize) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut last = None;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Ident if depth == 0 && (token.is(text, "if") || token.is(text, "recursive")) => break,
            TokenKind::Operator if depth == 0 && token.is(text, ":") => break,
            TokenKind::Ident | TokenKind::Text | TokenKind::Number | TokenKind::Operator => {}
        }
        last = Some(index);
    }
    last.map(|last| (from, last))
}

/// Marks calls of `ref`, `source` and `config`, makes list and dict literals mutable, and operators calls.
fn rewrite_tokens(text: &str, tokens: &[Token], origin: u32, edits: &mut Edits, called: &mut BTreeSet<String>) {
    // Operators come first: of what opens at one place, the first opens outermost.
    let operations = operations(text, tokens);
    // Of what closes at one place, the innermost closes first.
    for operation in operations.iter().rev() {
        if let Some(last) = tokens.get(operation.operands.end - 1) {
            edits.after(last.end, operation.frame().1);
        }
    }
    for operation in operations {
        let Some(first) = tokens.get(operation.operands.start) else { continue };
        edits.before(first.start, operation.frame().0);
        for (at, operator) in operation.operators.iter().filter_map(|at| Some((*at, tokens.get(*at)?))) {
            // `not in` is one operator of two words.
            let end = if operator.is(text, "not") { tokens.get(at + 1) } else { None }.unwrap_or(operator).end;
            edits.replace(operator.start..end, operation.operator(at, operator.text(text)));
        }
    }
    for (index, token) in tokens.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|index| tokens.get(index));
        match token.kind {
            TokenKind::Ident => {
                let calls = tokens.get(index + 1).is_some_and(|next| next.is(text, "("));
                if calls {
                    rewrite_called(text, tokens, index, origin, edits, called);
                }
            }
            TokenKind::Open if !token.is(text, "(") => {
                let literal = token.is(text, "{") || !previous.is_some_and(|token| ends_operand(text, token));
                if let Some(close) = closing(tokens, index).filter(|_| literal).and_then(|close| tokens.get(close)) {
                    // A word may stand right before it, as in `in[1]`.
                    let gap = if previous.is_some_and(|word| word.kind == TokenKind::Ident && word.end == token.start) { " " } else { "" };
                    edits.before(token.start, format!("{gap}{}", if token.is(text, "{") { "__d(" } else { "__l(" }));
                    edits.after(close.end, ")");
                } else if let Some(close) = closing(tokens, index).filter(|_| !literal) {
                    // Several values between the brackets of a subscript are one tuple.
                    let inner = tokens.get(index + 1..close).unwrap_or_default();
                    if let (true, Some(first), Some(last)) = (split_commas(text, inner).len() > 1, inner.first(), inner.last()) {
                        edits.before(first.start, "(");
                        edits.after(last.end, ")");
                    }
                }
            }
            // A sign that changes nothing, which the engine does not know.
            TokenKind::Operator if token.is(text, "+") && !previous.is_some_and(|token| ends_operand(text, token)) => {
                edits.replace(token.start..token.end, " ");
            }
            TokenKind::Open | TokenKind::Text | TokenKind::Number | TokenKind::Close | TokenKind::Operator => {}
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the text, where it stands, and the collectors that every rewriting function fills")]
fn rewrite_called(text: &str, tokens: &[Token], index: usize, origin: u32, edits: &mut Edits, called: &mut BTreeSet<String>) {
    let Some(token) = tokens.get(index) else { return };
    let name = token.text(text);
    let dotted = index.checked_sub(1).and_then(|index| tokens.get(index)).is_some_and(|token| token.is(text, "."));
    let owner = index.checked_sub(2).and_then(|index| tokens.get(index)).filter(|_| dotted);
    if !dotted {
        called.insert(name.to_owned());
    }
    let start = match owner {
        None => token.start,
        Some(owner) if owner.is(text, "builtins") => owner.start,
        Some(_) => return,
    };
    if !matches!(name, "ref" | "source" | "config" | "function") || (dotted && owner.is_none()) {
        return;
    }
    if let Some(end) = closing(tokens, index + 1).and_then(|close| tokens.get(close)) {
        edits.before(start, format!("__at({origin},{start},{},", end.end));
        edits.after(token.end, ")");
    }
}

/// Whether a `[` after this token is a subscript.
pub(super) fn ends_operand(text: &str, token: &Token) -> bool {
    const WORDS: [&str; 14] = ["in", "not", "and", "or", "if", "else", "elif", "is", "for", "do", "set", "call", "recursive", "import"];
    match token.kind {
        TokenKind::Text | TokenKind::Number | TokenKind::Close => true,
        TokenKind::Ident => !WORDS.contains(&token.text(text)),
        TokenKind::Open | TokenKind::Operator => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> String {
        let rewritten = rewrite_template(text, 0..text.len(), 7).unwrap();
        rewritten.text.strip_prefix(PRELUDE).unwrap().to_owned()
    }

    #[test]
    fn marks_expressions_and_calls_and_wraps_literals() {
        assert_eq!(body("{{ ref('a') }}"), "{{ __e(__b(0),__at(7,3,11,ref)('a')) }}");
        assert_eq!(body("{% set x = [1, {'a': y[0]}] %}"), "{% set x = __s(__l([1, __d({'a': y[0]})])) %}");
        assert_eq!(body("{% set ns.x = 1 %}"), "{% set ns.x = __s(1,__t=ns) %}");
        assert_eq!(body("{% call(r) m.n(1) %}{% endcall %}"), "{% call(r) __c(0,m.n)(1) %}{% endcall %}");
        assert_eq!(body("{% if x: %}{% endif %}"), "{% if x  %}{% endif %}");
    }

    #[test]
    fn macros_get_the_common_name_and_hidden_parameters() {
        let text = "{% test t(model, k=model) %}{{ kwargs }}{% endtest %}";
        let (rewritten, signature) = rewrite_macro(text, 0..text.len(), 0).unwrap();
        assert_eq!(
            rewritten.text,
            "{% macro alv_macro(model, k=__unset,kwargs=none) %}{%if k is sameas __unset%}{%set k=(model)%}{%endif%}{{ kwargs }}{% endmacro %}"
        );
        assert_eq!(
            signature,
            Signature { parameters: vec!["model".into(), "k".into()], required: vec!["model".into()], varargs: false, kwargs: true }
        );
    }

    #[test]
    fn the_offset_table_leads_back() {
        let text = "select {{ ref('a') }} from [x]";
        let rewritten = rewrite_template(text, 0..text.len(), 0).unwrap();
        let at = rewritten.text.find("ref)").unwrap();
        assert_eq!(rewritten.table.original(at), text.find("ref").unwrap());
        let call = rewritten.text.find("__at").unwrap()..rewritten.text.find(") }}").unwrap();
        assert_eq!(&text[rewritten.table.original_range(call)], "ref('a')");
        assert_eq!(rewritten.table.original(rewritten.text.len()), text.len());
    }
}
