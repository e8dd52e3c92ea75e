//! Which macros a macro's text calls, found without running it, as the manifest tells.
//!
//! What a name leads to only when the macro runs (a name from a variable, a method of the adapter) is not among them.

use std::collections::{BTreeMap, BTreeSet};

use super::library::{MacroId, MacroInfo, MacroLibrary};
use super::macros::{Dispatch, adapters_of};
use super::scan::{Tags, Token, TokenKind};

/// A call as it is written.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call<'t> {
    Own(&'t str),
    Of(&'t str, &'t str),
    Dispatched { name: &'t str, namespace: Option<&'t str> },
}

impl MacroLibrary {
    /// The ids of the macros that a macro calls, and of those that its `adapter.dispatch` leads to for an adapter, with the
    /// packages that the project has each namespace searched in.
    #[must_use]
    pub fn called_by(&self, info: &MacroInfo, adapter: &str, order: &BTreeMap<String, Vec<String>>) -> BTreeSet<MacroId> {
        let shared = &self.shared;
        let prefixes: Vec<String> = adapters_of(adapter).into_iter().map(|adapter| format!("{adapter}__")).collect();
        let found = calls(&info.macro_sql).into_iter().filter_map(|call| match call {
            Call::Own(name) if name == info.name => None,
            Call::Own(name) => shared.resolve(&info.package, name),
            Call::Of(package, name) => shared.in_package(package, name),
            Call::Dispatched { name, namespace } => {
                Dispatch { name, namespace, home: &info.package, package: &info.package, prefixes: &prefixes }.find(shared, order)
            }
        });
        found.filter_map(|id| shared.unit(id)).map(|unit| unit.info.id.clone()).filter(|id| *id != info.id).collect()
    }
}

fn calls(text: &str) -> BTreeSet<Call<'_>> {
    let mut found = BTreeSet::new();
    for tag in Tags::new(text, 0).map_while(Result::ok) {
        // The name in the tag that opens the macro is called by nobody.
        let from = if matches!(tag.keyword(text), Some("macro" | "test" | "data_test" | "materialization")) { 2 } else { 0 };
        found.extend((from..tag.tokens.len()).filter_map(|index| call(text, &tag.tokens, index)));
    }
    found
}

/// The call whose last name is this token, if it is one.
fn call<'t>(text: &'t str, tokens: &[Token], index: usize) -> Option<Call<'t>> {
    let token = tokens.get(index).filter(|token| token.kind == TokenKind::Ident)?;
    tokens.get(index + 1).filter(|next| next.is(text, "("))?;
    let before = |back: usize| index.checked_sub(back).and_then(|index| tokens.get(index));
    let name = token.text(text);
    if !before(1).is_some_and(|token| token.is(text, ".")) {
        return Some(Call::Own(name));
    }
    let owner = before(2).filter(|owner| owner.kind == TokenKind::Ident && !before(3).is_some_and(|token| token.is(text, ".")))?;
    if owner.is(text, "adapter") {
        return (name == "dispatch").then(|| dispatch(text, tokens.get(index + 2..).unwrap_or_default())).flatten();
    }
    Some(Call::Of(owner.text(text), name))
}

/// `adapter.dispatch('name', 'namespace')`, from its first argument on.
fn dispatch<'t>(text: &'t str, arguments: &[Token]) -> Option<Call<'t>> {
    let mut given = [None, None];
    let (mut at, mut position) = (0, 0);
    while let Some(token) = arguments.get(at).filter(|token| !token.is(text, ")")) {
        match (token.kind, token.text(text)) {
            (TokenKind::Text, written) => *given.get_mut(position)? = written.get(1..written.len().saturating_sub(1)),
            (TokenKind::Ident, "macro_name") => position = 0,
            (TokenKind::Ident, "macro_namespace") => position = 1,
            (_, ",") => position += 1,
            (_, "=") => {}
            // What is computed is known when it runs.
            (TokenKind::Ident | TokenKind::Number | TokenKind::Open | TokenKind::Close | TokenKind::Operator, _) => break,
        }
        at += 1;
    }
    let [name, namespace] = given;
    Some(Call::Dispatched { name: name?, namespace })
}

/// The docs blocks that a description names with `doc('name')` or `doc('package', 'name')`, in their order.
#[must_use]
pub fn docs_named(text: &str) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    for tag in Tags::new(text, 0).map_while(Result::ok) {
        for (index, _) in tag.tokens.iter().enumerate().filter(|(_, token)| token.is(text, "doc")) {
            let arguments = tag.tokens.iter().skip(index + 1).take_while(|token| !token.is(text, ")"));
            let texts: Vec<&str> =
                arguments.filter(|token| token.kind == TokenKind::Text).map(|token| token.text(text).trim_matches(['"', '\''])).collect();
            match texts[..] {
                [name] => found.push((None, name.to_owned())),
                [package, name] => found.push((Some(package.to_owned()), name.to_owned())),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_wherever_a_macro_makes_them() {
        let text =
            "{% macro a(x=one()) %}{{ two.three(four(1)) }}{% set y = x.five() %}{# six() #}{% if seven ( ) %}eight(){% endif %}{% endmacro %}";
        let wanted = [Call::Own("four"), Call::Own("one"), Call::Own("seven"), Call::Of("two", "three"), Call::Of("x", "five")];
        assert_eq!(calls(text), BTreeSet::from(wanted));
    }

    #[test]
    fn docs_blocks_are_named_with_or_without_their_package() {
        let text = "doc('no') {{ doc('a') }} and {{ doc(\"p\", 'b') }}{{ doc(c) }}";
        assert_eq!(docs_named(text), vec![(None, "a".to_owned()), (Some("p".to_owned()), "b".to_owned())]);
    }

    #[test]
    fn what_is_dispatched_is_found_by_place_and_by_name() {
        let dispatched = |text: &'static str| calls(text).pop_first();
        assert_eq!(dispatched("{{ adapter.dispatch('a')() }}"), Some(Call::Dispatched { name: "a", namespace: None }));
        assert_eq!(dispatched("{{ adapter.dispatch('a', 'b')(c) }}"), Some(Call::Dispatched { name: "a", namespace: Some("b") }));
        let named = "{{ adapter.dispatch(macro_namespace=\"b\", macro_name=\"a\")() }}";
        assert_eq!(dispatched(named), Some(Call::Dispatched { name: "a", namespace: Some("b") }));
        assert_eq!(dispatched("{{ adapter.dispatch(a, 'b')() }}"), None);
        assert_eq!(dispatched("{{ adapter.quote('a') }}"), None);
    }
}
