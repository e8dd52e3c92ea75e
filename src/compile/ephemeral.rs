//! Ephemeral models appear in the SQL of those that read them as CTEs, named as dbt names them.

use crate::manifest::Node;
use crate::sql::behind_with;

/// The name of the CTE that stands for an ephemeral model.
#[must_use]
pub fn cte_name(model: &str) -> String {
    format!("__dbt__cte__{model}")
}

/// The name of the CTE of an ephemeral model: that of the relation that it would be.
pub(super) fn ephemeral_cte(node: &Node) -> String {
    cte_name(node.place().map_or(&node.name, |place| &place.identifier))
}

/// Text put into a rendered query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Insertion {
    /// Byte offset in the rendered text.
    pub at: usize,
    pub text: String,
}

/// Where and how CTEs are put in front of a query: before its own CTEs, or before the query.
pub(super) fn insertion(sql: &str, ctes: &[(String, String)]) -> Insertion {
    if ctes.is_empty() {
        return Insertion::default();
    }
    let list: Vec<String> = ctes.iter().map(|(name, body)| format!("\"{name}\" as (\n{}\n)", body.trim().trim_end_matches(';'))).collect();
    let list = list.join(", ");
    match behind_with(sql) {
        Some(at) => Insertion { at, text: format!(" {list},") },
        None => Insertion { at: 0, text: format!("with {list}\n") },
    }
}

#[cfg(test)]
mod tests {
    use super::insertion;

    fn applied(sql: &str) -> String {
        let found = insertion(sql, &[("c".into(), "select 1;".into())]);
        format!("{}{}{}", &sql[..found.at], found.text, &sql[found.at..])
    }

    #[test]
    fn ctes_come_before_those_of_the_query() {
        assert_eq!(applied("select * from c"), "with \"c\" as (\nselect 1\n)\nselect * from c");
        assert_eq!(applied("-- x\nWITH a as (select 2) select 3"), "-- x\nWITH \"c\" as (\nselect 1\n), a as (select 2) select 3");
        assert_eq!(applied("with recursive a as (select 2) select 3"), "with recursive \"c\" as (\nselect 1\n), a as (select 2) select 3");
    }
}
