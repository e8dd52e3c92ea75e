//! What the config of a data test makes of its failing rows: `fail_calc` is one aggregate over them, `warn_if` and `error_if`
//! compare what it gives.

use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::TableReference;

use super::Planner;
use super::facts::leaf_facts;
use super::history::set_at;
use super::planner::{KnownTable, NamedTable};
use crate::base::{Code, Diagnostic};
use crate::manifest::{Node, RelationName, TestConfig};
use crate::resolve::Project;

/// What stands for the rows of the test.
const ROWS: &str = "failing";

/// What is wrong with it, where the test yields rows of a schema.
pub(super) async fn wrong_verdict(project: &Project, node: &Node, rows: &SchemaRef, planner: &Planner) -> Vec<Diagnostic> {
    if node.test().is_none() {
        return Vec::new();
    }
    let (config, usual) = (&node.config.test, TestConfig::default());
    let calc = format!("select cast(coalesce({}, 0) as bigint) as failures from {ROWS}", config.fail_calc);
    let compares = |condition: &str| format!("select failures {condition} as verdict from (select cast(1 as bigint) as failures) as counted");
    let all = [
        ("fail_calc", &config.fail_calc, &usual.fail_calc, calc),
        ("warn_if", &config.warn_if, &usual.warn_if, compares(&config.warn_if)),
        ("error_if", &config.error_if, &usual.error_if, compares(&config.error_if)),
    ];
    let mut found = Vec::new();
    for (option, text, _, sql) in all.into_iter().filter(|(_, text, usual, _)| text != usual) {
        let name = RelationName::new(&project.target.database, &project.target.schema, ROWS);
        let table = KnownTable {
            named: NamedTable::new(TableReference::bare(ROWS), name),
            schema: Arc::clone(rows),
            node,
            facts: leaf_facts(node, rows, None, &[]),
        };
        let wrong = match planner.parse(&sql) {
            Ok(statement) => planner.plan(&sql, statement, (vec![table], Vec::new()), Vec::new()).await.err().unwrap_or_default(),
            Err(error) => vec![*error],
        };
        // Tables beside the failing rows are known when the test runs.
        let Some(error) = wrong.into_iter().next().filter(|error| error.code != Code::UnknownTable) else { continue };
        let code = if error.code == Code::SqlSyntax { Code::ConfigType } else { error.code };
        let word = error.range.and_then(|range| sql.get(range)).filter(|word| text.contains(word)).unwrap_or(text).to_owned();
        let (place, label) = set_at(node, option, &word, &project.sources);
        let help = match option {
            "fail_calc" => "it is one aggregate over the failing rows, e.g. `count(*)`",
            _ => "it compares the number of failures, e.g. `> 10`",
        };
        found.push(Diagnostic::error(code, format!("`{option}` of `{}`: {}", node.name, error.message)).at(place, label).help(help));
    }
    found
}
