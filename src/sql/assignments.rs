//! `update set a = 1, b = x + 1` as columns and values.

use deltalake::datafusion::sql::sqlparser::ast::{AssignmentTarget, Statement};
use deltalake::datafusion::sql::sqlparser::parser::Parser;

use super::grammar::Grammar;

/// The columns that a text behind `update` sets, without their table, each with the SQL of its value. `None` if the text is
/// nothing of the kind.
#[must_use]
pub fn assignments(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace)?;
    if !word.eq_ignore_ascii_case("update") {
        return None;
    }
    let statements = Parser::parse_sql(&Grammar, &format!("update t {}", rest.trim())).ok()?;
    let [Statement::Update(update)] = statements.as_slice() else { return None };
    if update.selection.is_some() || update.from.is_some() {
        return None;
    }
    let assignment = |target: &AssignmentTarget| match target {
        AssignmentTarget::ColumnName(name) => name.0.last().and_then(|part| part.as_ident()).map(|part| part.value.clone()),
        AssignmentTarget::Tuple(_) => None,
    };
    update.assignments.iter().map(|found| Some((assignment(&found.target)?, found.value.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::assignments;

    #[test]
    fn texts_become_columns_and_values() {
        let found = assignments("UPDATE SET t.active = false, n = n + 1").unwrap();
        assert_eq!(found, [("active".to_owned(), "false".to_owned()), ("n".to_owned(), "n + 1".to_owned())]);
        assert_eq!(assignments("delete"), None);
        assert_eq!(assignments("update set a = 1 where b"), None);
        assert_eq!(assignments("drop table t"), None);
    }
}
