//! What building a table with a contract comes to, as the statements of a database: for those who read what was run.

use crate::compile::CompiledNode;
use crate::manifest::{ColumnDecl, ConstraintDecl, ConstraintKind, Materialization, Node};
use crate::sql::quote_ident;

/// The text of what was run for a node: of a new table with a contract its definition and the rows it gets, else the query.
/// `None` for a node without a query.
#[must_use]
pub fn run_text(node: &Node, compiled: &CompiledNode) -> Option<String> {
    if compiled.sql.is_empty() {
        return None;
    }
    let makes_table = match node.config.materialization {
        Materialization::Table | Materialization::Refreshed(_) => true,
        Materialization::Incremental => compiled.history.is_none(),
        Materialization::View
        | Materialization::Ephemeral
        | Materialization::Snapshot
        | Materialization::Seed
        | Materialization::Test
        | Materialization::External
        | Materialization::Custom(_) => false,
    };
    let Some(relation) = node.relation.as_ref().filter(|_| makes_table && node.config.contract_enforced) else {
        return Some(compiled.sql.clone());
    };
    let parts = node.columns.values().map(column).chain(node.constraints.iter().filter_map(of_table));
    let definition: Vec<String> = parts.map(|part| format!("    {part}")).collect();
    let names: Vec<String> = node.columns.values().map(name).collect();
    let names = names.join(", ");
    Some(format!(
        "create table {relation} (\n{}\n) ;\ninsert into {relation} (\n    {names}\n)\n(\n    select {names}\n    from (\n{}\n    ) as model_subq\n);\n",
        definition.join(",\n"),
        compiled.sql
    ))
}

fn name(column: &ColumnDecl) -> String {
    if column.quote { quote_ident(&column.name) } else { column.name.clone() }
}

fn column(column: &ColumnDecl) -> String {
    let data_type = column.data_type.clone().unwrap_or_default();
    let rules = column.constraints.iter().filter_map(|constraint| match constraint.kind {
        ConstraintKind::ForeignKey => references(constraint),
        ConstraintKind::NotNull | ConstraintKind::Unique | ConstraintKind::PrimaryKey => Some(words(constraint.kind).to_owned()),
        ConstraintKind::Check => constraint.expression.as_ref().map(|text| format!("check ({text})")),
        ConstraintKind::Custom => None,
    });
    [name(column), data_type].into_iter().chain(rules).collect::<Vec<_>>().join(" ")
}

fn of_table(constraint: &ConstraintDecl) -> Option<String> {
    let columns = constraint.columns.join(", ");
    let rule = match constraint.kind {
        ConstraintKind::ForeignKey => format!("foreign key ({columns}) {}", references(constraint)?),
        ConstraintKind::NotNull => {
            format!("check ({})", constraint.columns.iter().map(|column| format!("{column} is not null")).collect::<Vec<_>>().join(" and "))
        }
        ConstraintKind::Unique | ConstraintKind::PrimaryKey => format!("{} ({columns})", words(constraint.kind)),
        ConstraintKind::Check => format!("check ({})", constraint.expression.as_ref()?),
        ConstraintKind::Custom => return None,
    };
    Some(match &constraint.name {
        Some(name) => format!("constraint {name} {rule}"),
        None => rule,
    })
}

fn words(kind: ConstraintKind) -> &'static str {
    match kind {
        ConstraintKind::NotNull => "not null",
        ConstraintKind::PrimaryKey => "primary key",
        ConstraintKind::Unique | ConstraintKind::ForeignKey | ConstraintKind::Check | ConstraintKind::Custom => kind.name(),
    }
}

fn references(constraint: &ConstraintDecl) -> Option<String> {
    Some(format!("references {} ({})", constraint.foreign_table()?, constraint.foreign_columns()?.join(", ")))
}
