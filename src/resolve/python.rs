//! Models in Python: what they refer to and how they are configured. No engine here runs them, but they are nodes, and
//! what reads them is built where their tables are there.

use std::fmt::Write as _;

/// The calls `dbt.ref(..)`, `dbt.source(..)` and `dbt.config(..)` of a model, as a template that makes the same calls:
/// dbt allows literals as their arguments only, and those are the same in both languages.
pub(super) fn calls_as_template(code: &str) -> String {
    let mut template = String::new();
    for (at, _) in code.match_indices("dbt.") {
        let word_before = code.get(..at).and_then(|before| before.chars().next_back()).is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let Some(rest) = code.get(at + "dbt.".len()..).filter(|_| !word_before && !in_comment(code, at)) else { continue };
        let Some(function) = ["ref", "source", "config"].into_iter().find(|name| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
        else {
            continue;
        };
        if let Some(arguments) = rest.get(function.len()..).and_then(in_parentheses) {
            let _ = writeln!(template, "{{{{ {function}{arguments} }}}}");
        }
    }
    template
}

fn in_comment(code: &str, at: usize) -> bool {
    let line = code.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
    line.trim_start().starts_with('#')
}

/// What begins with a parenthesis, up to the one that closes it; without comments.
fn in_parentheses(text: &str) -> Option<String> {
    let (mut depth, mut quote, mut found) = (0_usize, None, String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') => {
                chars.by_ref().find(|c| *c == '\n');
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (Some(open), c) if c == open => quote = None,
            (Some(_), '\\') => {
                found.push(c);
                found.extend(chars.next());
                continue;
            }
            (Some(_) | None, _) => {}
        }
        found.push(c);
        if depth == 0 {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_with_their_arguments() {
        let code = "def model(dbt, session):\n    dbt.config(\n        materialized='table',  # as it is\n        tags=[\"a)\"],\n    )\n    \
                    # dbt.ref('not_this')\n    a = dbt.ref(\"x\", v=2).to_pandas()\n    return my_dbt.ref('nor_this'), dbt.source('s', 't')\n";
        let found = calls_as_template(code);
        assert_eq!(
            found,
            "{{ config(\n        materialized='table',          tags=[\"a)\"],\n    ) }}\n{{ ref(\"x\", v=2) }}\n{{ source('s', 't') }}\n"
        );
        assert_eq!(calls_as_template("dbt.ref('a'"), "");
    }
}
