//! What is right by the rules of SQL and yet worth a word, and NULLs where a contract has none.

use std::collections::BTreeSet;

use deltalake::datafusion::sql::parser::Statement;

use super::facts::{Doubt, DoubtKind, NodeFacts, NullMaker, Nulls};
use super::{CompiledNode, Planner};
use crate::base::{Code, Diagnostic, Severity, Span};
use crate::manifest::{ConstraintKind, Node, RelationName};
use crate::sql::{SqlError, open_stars};

/// Nothing of a generic test, whose text is not the project's.
pub(super) fn doubts(
    node: &Node,
    compiled: &CompiledNode,
    (facts, doubts): (&NodeFacts, &[Doubt]),
    place: impl Fn(&str) -> Option<Span>,
) -> Vec<Diagnostic> {
    if node.test().is_some_and(|test| test.generic.is_some()) {
        return Vec::new();
    }
    let mut found: Vec<Diagnostic> = doubts.iter().map(|doubt| doubtful(node, compiled, doubt)).collect();
    found.extend(nulls(node, facts, place));
    found
}

fn doubtful(node: &Node, compiled: &CompiledNode, doubt: &Doubt) -> Diagnostic {
    let (code, message, help) = match &doubt.kind {
        DoubtKind::FanOut { left, right } => (
            Code::FanOut,
            format!("this join multiplies rows: neither {left} nor {right} is unique on its side"),
            "join on a key of one side, or group that side by these columns first",
        ),
        DoubtKind::GroupedByMissing { column } => (
            Code::OuterJoinGroup,
            format!("rows are grouped by `{column}`, which the outer join leaves NULL where nothing matches"),
            "group by the column of the side that always has a row, or use an inner join",
        ),
        DoubtKind::CountsMissing => (
            Code::OuterJoinGroup,
            "`count(*)` counts 1 where the outer join matches nothing".to_owned(),
            "count a column of the joined side, e.g. its key",
        ),
        DoubtKind::IntegerDivision => (
            Code::IntegerDivision,
            "the quotient of two integers is an integer, its fraction is cut off".to_owned(),
            "write `a * 1.0 / b` for the fraction; other engines give it here",
        ),
    };
    let mut error = SqlError::new(code, message).help(help);
    error.range.clone_from(&doubt.range);
    let mut diagnostic = compiled.diagnose(&error, &format!("this {}", node.resource_type().name()));
    diagnostic.severity = Severity::Warning;
    diagnostic
}

/// Columns that an enforced contract holds to be never NULL, and that the query itself makes NULL.
fn nulls(node: &Node, facts: &NodeFacts, place: impl Fn(&str) -> Option<Span>) -> Vec<Diagnostic> {
    if !node.config.contract_enforced {
        return Vec::new();
    }
    let mut found = Vec::new();
    for column in &facts.columns {
        let Nulls::Made(maker) = column.nulls else { continue };
        let Some(span) = promise(node, &column.name) else { continue };
        let message = format!("the contract of `{}` says that `{}` is never NULL, and {}", node.name, column.name, maker.because());
        let diagnostic = if maker == NullMaker::Always {
            Diagnostic::error(Code::ContractNull, message)
        } else {
            Diagnostic::warning(Code::ContractNull, message)
        };
        let diagnostic = match place(&column.name) {
            Some(query) => diagnostic.at(span, "promised here").also(query, format!("the query's `{}`", column.name)),
            None => diagnostic.at(span, "promised here"),
        };
        found.push(diagnostic.help("give it a value with `coalesce`, filter the rows, or take the constraint out"));
    }
    found
}

/// Where a contract says that a column is never NULL.
fn promise(node: &Node, name: &str) -> Option<Span> {
    let not_null = |kind: ConstraintKind| matches!(kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey);
    let column = node.columns.values().find(|column| column.name.eq_ignore_ascii_case(name));
    let own = column.and_then(|column| column.constraints.iter().find(|constraint| not_null(constraint.kind)).map(|_| column.span));
    let named = |list: &[String]| list.iter().any(|column| column.eq_ignore_ascii_case(name));
    own.or_else(|| {
        node.constraints.iter().find(|constraint| not_null(constraint.kind) && named(&constraint.columns)).map(|constraint| constraint.span)
    })
}

/// `select *` from a source in a model whose contract lists all columns: a new column of the source breaks the model.
pub(super) fn stars<'s>(
    node: &Node,
    compiled: &CompiledNode,
    planner: &Planner,
    statement: impl FnOnce() -> Option<&'s Statement>,
    sources: &BTreeSet<RelationName>,
) -> Vec<Diagnostic> {
    if !node.config.contract_enforced || node.config.contract_subset || sources.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (parts, range) in statement().into_iter().flat_map(|statement| open_stars(statement, &compiled.sql)) {
        let Some(name) = planner.full_name(&parts).filter(|name| sources.contains(name)) else { continue };
        let mut error = SqlError::new(
            Code::SelectStar,
            format!("`*` takes in whatever is added to the source `{}`, which the contract then refuses", name.identifier),
        )
        .help("list the columns");
        error.range = range;
        let mut diagnostic = compiled.diagnose(&error, "this model");
        diagnostic.severity = Severity::Warning;
        found.push(diagnostic);
    }
    found
}
