//! What templates say beside what they give: the expressions of their `config()` calls, and the names of their variables.
//! Both are read from the text, to compare a node with what it was in another run, for another target.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::Node;

impl Node {
    /// The keys that a call of `config()` in the node's file sets to more than a plain value, with that expression.
    #[must_use]
    pub fn config_expressions(&self) -> Map<String, Json> {
        let mut found = Map::new();
        let mut rest = self.raw_code.as_str();
        while let Some(inside) = call(&mut rest, "config") {
            let arguments = split(inside).into_iter().filter_map(|argument| argument.split_once('='));
            for (key, value) in arguments.map(|(key, value)| (key.trim(), value.trim())) {
                if is_name(key) && names_something(value) {
                    found.insert(key.to_owned(), Json::from(value.split_whitespace().collect::<Vec<_>>().join(" ")));
                }
            }
        }
        found
    }
}

/// The keys that calls of `config()` in a template set by name.
#[must_use]
pub fn config_keys(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(inside) = call(&mut rest, "config") {
        found.extend(split(inside).into_iter().filter_map(|argument| argument.split_once('=')).map(|(key, _)| key.trim()).filter(|key| is_name(key)));
    }
    found
}

/// The variables that a template asks for by `var('name')`.
#[must_use]
pub fn variable_names(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(inside) = call(&mut rest, "var") {
        let first = inside.trim_start();
        let quote = first.chars().next().filter(|c| matches!(c, '\'' | '"'));
        found.extend(quote.and_then(|quote| first[1..].split_once(quote)).map(|(name, _)| name));
    }
    found
}

/// What stands in the parentheses of the next call of a function; the rest is moved behind its beginning.
fn call<'t>(rest: &mut &'t str, name: &str) -> Option<&'t str> {
    loop {
        let at = rest.find(name)?;
        let alone = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
        let behind = &rest[at + name.len()..];
        *rest = behind;
        let Some(open) = behind.trim_start().strip_prefix('(').filter(|_| alone) else { continue };
        return Some(&open[..end(open)]);
    }
}

/// Where a parenthesis is closed that was opened before the text.
fn end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in bare(text) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => return at,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// The text at its commas, those in parentheses and quotes left out.
fn split(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in bare(text) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

/// The characters that stand in no quotes.
fn bare(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().filter(move |(_, c)| {
        match quote {
            Some(open) => {
                if !escaped && *c == open {
                    quote = None;
                }
                escaped = *c == '\\' && !escaped;
                return false;
            }
            None if matches!(c, '\'' | '"') => quote = Some(*c),
            None => return true,
        }
        false
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether an expression has a name in it, and so may give one thing or another.
fn names_something(value: &str) -> bool {
    const VALUES: [&str; 6] = ["true", "false", "none", "True", "False", "None"];
    let text: String = bare(value).map(|(_, c)| c).collect();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    words.into_iter().any(|word| !VALUES.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_that_calls_name() {
        let text = "{{ var('a') }} {{ var( \"b\", 1) }} {{ env_var('C') }} {{ my.var('d') }} {{ var(name) }} variable('e')";
        assert_eq!(variable_names(text).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_call_is_split_at_its_own_commas() {
        assert_eq!(split("a='x,y', b=f(1, 2), c=[1, 2]"), ["a='x,y'", " b=f(1, 2)", " c=[1, 2]"]);
        assert_eq!(config_keys("{{ config(a='x', b = 2) }} {{ config.get('c') }}").into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(names_something("'a' if target.name == 'b' else 'c'"));
        assert!(!names_something("['target', true, 1.5]"));
    }
}
