//! Tables that no node stands for. Whether one is there shows in a run, save for those that are clearly a slip: a name without
//! a schema that is nearly the name of a CTE of the query.

use std::ops::Range;

use deltalake::datafusion::sql::parser::Statement;

use super::planner::NamedTable;
use super::{CompiledNode, Planner};
use crate::base::{Code, Diagnostic, Severity, nearest};
use crate::manifest::Node;
use crate::resolve::Project;
use crate::sql::{SqlError, cte_names, cte_tables};

/// What is said of such a table: an error where it is a slip, else a warning.
pub(super) fn unknown_relation(
    project: &Project,
    planner: &Planner,
    (node, compiled): (&Node, &CompiledNode),
    statement: &Statement,
    stranger: &NamedTable,
) -> Diagnostic {
    let about = format!("this {}", node.resource_type().name());
    let name = stranger.name.identifier.as_str();
    let place = place(&compiled.sql, name);
    if let Some(mut error) = slip(planner, (name, &compiled.sql), statement, stranger) {
        error.range = place;
        return compiled.diagnose(&error, &about);
    }
    let message = format!("`{}` reads `{name}`, which is no node of the project, so it is not proved", node.name);
    let referable = |node: &&Node| node.resource_type().is_referable();
    let near = nearest(name, project.nodes.values().map(Box::as_ref).filter(referable).map(|node| node.name.as_str())).filter(|_| stranger.is_bare());
    let mut error = SqlError::new(Code::NotProved, message);
    error.help = Some(near.map_or_else(|| "read it through `ref` or `source`".to_owned(), |near| format!("did you mean `{{{{ ref('{near}') }}}}`?")));
    error.range = place;
    let mut diagnostic = compiled.diagnose(&error, &about);
    diagnostic.severity = Severity::Warning;
    diagnostic
}

fn slip(planner: &Planner, (name, sql): (&str, &str), statement: &Statement, stranger: &NamedTable) -> Option<SqlError> {
    if !stranger.is_bare() {
        return None;
    }
    if place(sql, name).is_some_and(|place| sql[place.end..].trim_start().starts_with('(')) {
        let known = planner.table_functions();
        let error = SqlError::new(Code::UnknownFunction, format!("there is no function `{name}` that yields rows"));
        return Some(match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("there are {}", known.join(", "))),
        });
    }
    let ctes = cte_names(statement);
    let message = format!("there is no table `{name}`");
    if ctes.iter().any(|cte| cte.eq_ignore_ascii_case(name)) {
        return Some(
            SqlError::new(Code::UnknownTable, message)
                .help(format!("`{name}` is a CTE that stands behind this one, or inside another; move it before")),
        );
    }
    // `with customer as (select * from customers)` reads a table that is there, perhaps.
    let near = nearest(name, ctes.iter().map(String::as_str))?;
    let own = cte_tables(statement, near).iter().any(|table| table.eq_ignore_ascii_case(name));
    (!own).then(|| SqlError::new(Code::UnknownTable, message).help(format!("did you mean `{near}`?")))
}

/// Where a table is named behind `from`, `join` or a comma, the first time.
fn place(sql: &str, name: &str) -> Option<Range<usize>> {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let opens = |before: &str| {
        // The schema and the database before the name.
        let before =
            before.trim_end_matches(|letter: char| part(letter) && before.ends_with(['.', '"', '`']) || matches!(letter, '"' | '`')).trim_end();
        let word = before.rsplit(|letter: char| !part(letter)).next().unwrap_or_default().to_lowercase();
        matches!(word.as_str(), "from" | "join") || before.ends_with(',')
    };
    let lower = sql.to_lowercase();
    let alone = |at: &usize| {
        !lower[..*at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            && !lower[*at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    let wanted = name.to_lowercase();
    if lower.len() != sql.len() || wanted.len() != name.len() {
        return None;
    }
    let all: Vec<usize> = lower.match_indices(&wanted).map(|(at, _)| at).filter(alone).collect();
    let at = all.iter().copied().find(|at| opens(&lower[..*at])).or_else(|| all.first().copied().filter(|_| all.len() == 1))?;
    Some(at..at + name.len())
}
