//! What a contract asks of the rows of a table: columns, conditions, and keys that are looked at before rows are published.

use std::collections::HashSet;

use deltalake::arrow::datatypes::{DataType, SchemaRef};

use super::{KeyCheck, KeyRule};
use crate::base::Span;
use crate::engine::{BrokenRule, CheckRule, TableColumn};
use crate::manifest::{ColumnDecl, ConstraintDecl, ConstraintKind, Materialization, Node, RelationName};
use crate::sql::{Semantics, is_bare_decimal, quote_ident, type_name};

/// How many keys or rows a message shows.
const SHOWN: usize = 5;

/// The columns of an enforced contract; compiling has proved that the query yields them. Decimals of which it says no
/// digits have those of the query.
pub(super) fn columns(node: &Node, query: Option<&SchemaRef>, semantics: Semantics) -> Vec<TableColumn> {
    if !node.config.contract_enforced {
        return Vec::new();
    }
    let of_query = |name: &str| query?.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)).map(|field| field.data_type().clone());
    let column = |(name, decl): (&String, &ColumnDecl)| {
        let declared = decl.data_type.clone()?;
        let data_type = match of_query(name) {
            Some(found @ DataType::Decimal128(..)) if is_bare_decimal(&declared) => type_name(&found),
            Some(_) | None => semantics.plain_type(&declared),
        };
        Some(TableColumn { name: name.clone(), data_type, nullable: not_null(node, name).is_none() })
    };
    let mut columns: Vec<TableColumn> = node.columns.iter().filter_map(column).collect();
    let further = query.iter().filter(|_| node.config.contract_subset).flat_map(|schema| schema.fields());
    for field in further {
        if !columns.iter().any(|column| column.name.eq_ignore_ascii_case(field.name())) {
            columns.push(TableColumn { name: field.name().clone(), data_type: type_name(field.data_type()), nullable: true });
        }
    }
    columns
}

/// The constraint that keeps NULL out of a column.
fn not_null<'a>(node: &'a Node, column: &str) -> Option<&'a ConstraintDecl> {
    let keeps = |constraint: &&ConstraintDecl| matches!(constraint.kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey);
    let named = |constraint: &&ConstraintDecl| constraint.columns.iter().any(|name| name.eq_ignore_ascii_case(column));
    let own = node.columns.get(column).and_then(|decl| decl.constraints.iter().find(keeps));
    own.or_else(|| node.constraints.iter().filter(keeps).find(named))
}

/// The conditions that an enforced contract sets on every row.
pub(super) fn checks(node: &Node) -> Vec<CheckRule> {
    named_checks(node).into_iter().map(|(rule, _)| rule).collect()
}

/// Checks with the places where they are declared. One without a name gets that of its table and column, as databases do.
fn named_checks(node: &Node) -> Vec<(CheckRule, Span)> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut found = Vec::new();
    for (column, constraint) in node.all_constraints().filter(|_| node.config.contract_enforced) {
        let Some(expression) = constraint.expression.clone().filter(|_| constraint.kind == ConstraintKind::Check) else { continue };
        let wanted = constraint.name.clone().unwrap_or_else(|| match column {
            Some(column) => format!("{}_{}_check", node.name, column.name),
            None => format!("{}_check", node.name),
        });
        // Delta's names of constraints have no case.
        let wanted = wanted.to_lowercase();
        let mut name = wanted.clone();
        let mut number = 0_usize;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        found.push((CheckRule { name, expression }, constraint.span));
    }
    found
}

/// Where a properties file says the rule that rows break; `None` for one that the table has from elsewhere.
#[must_use]
pub fn rule_place(node: &Node, rule: &BrokenRule) -> Option<Span> {
    match rule {
        BrokenRule::NotNull { column } => {
            let (name, _) = node.columns.iter().find(|(name, _)| name.eq_ignore_ascii_case(column))?;
            not_null(node, name).map(|constraint| constraint.span)
        }
        BrokenRule::Check(check) => named_checks(node).into_iter().find(|(rule, _)| rule.name == check.name).map(|(_, span)| span),
    }
}

/// The keys of a contract as queries over the rows as they will be. `rows` is what stands behind `from`: the node's
/// relation, or of a snapshot its current versions.
pub(super) fn key_checks(node: &Node, relation: &RelationName, rows: &str) -> Vec<KeyCheck> {
    let mut found = Vec::new();
    for (column, constraint) in node.all_constraints().filter(|_| node.config.contract_enforced) {
        let columns: Vec<String> = match column {
            Some(column) => vec![column.name.clone()],
            None => constraint.columns.clone(),
        };
        match constraint.kind {
            ConstraintKind::Unique | ConstraintKind::PrimaryKey => found.push(unique(constraint, columns, rows)),
            ConstraintKind::ForeignKey => found.extend(foreign(constraint, columns, rows)),
            ConstraintKind::NotNull | ConstraintKind::Check | ConstraintKind::Custom => {}
        }
    }
    if node.config.materialization == Materialization::External {
        found.extend(row_checks(node, relation));
    }
    found
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quote_ident(column)).collect::<Vec<_>>().join(", ")
}

/// A key with a NULL is equal to no other, as SQL has it.
fn complete(columns: &[String]) -> String {
    columns.iter().map(|column| format!("{} is not null", quote_ident(column))).collect::<Vec<_>>().join(" and ")
}

fn unique(constraint: &ConstraintDecl, columns: Vec<String>, rows: &str) -> KeyCheck {
    let keys = list(&columns);
    let sql = format!(
        "select {keys}, count(*) as \"times\" from {rows} where {} group by {keys} having count(*) > 1 order by {keys} limit {SHOWN}",
        complete(&columns)
    );
    KeyCheck { rule: KeyRule::Unique { constraint: constraint.kind, span: constraint.span }, columns, sql }
}

fn foreign(constraint: &ConstraintDecl, columns: Vec<String>, rows: &str) -> Option<KeyCheck> {
    let (table, to_columns) = (constraint.foreign_table()?, constraint.foreign_columns()?);
    let keys = list(&columns);
    let on: Vec<String> =
        columns.iter().zip(&to_columns).map(|(own, other)| format!("child.{} = parent.{}", quote_ident(own), quote_ident(other))).collect();
    let sql = format!(
        "select {keys}, count(*) as \"times\" from (select {keys} from {rows} where {}) as child left anti join {table} as parent on {} \
         group by {keys} order by {keys} limit {SHOWN}",
        complete(&columns),
        on.join(" and ")
    );
    let to = format!("{} ({})", constraint.references.as_ref().map_or(table, RelationName::short), to_columns.join(", "));
    Some(KeyCheck { rule: KeyRule::Foreign { to, span: constraint.span }, columns, sql })
}

/// Files have no constraints of their own, so their rows are looked at.
fn row_checks(node: &Node, relation: &RelationName) -> Vec<KeyCheck> {
    let columns: Vec<String> = node.columns.keys().cloned().collect();
    let rows = |rule: BrokenRule, holds: String, span: Span| KeyCheck {
        rule: KeyRule::Rows { rule, span },
        columns: columns.clone(),
        sql: format!("select * from {relation} where ({holds}\n) is not true limit {SHOWN}"),
    };
    let nulls = node.columns.keys().filter_map(|name| {
        let span = not_null(node, name)?.span;
        Some(rows(BrokenRule::NotNull { column: name.clone() }, format!("{} is not null", quote_ident(name)), span))
    });
    let checks = named_checks(node).into_iter().map(|(check, span)| {
        let holds = check.expression.clone();
        rows(BrokenRule::Check(check), holds, span)
    });
    nulls.chain(checks).collect()
}
