//! A contract held against what a query yields, and against the table that a build adds to: all differences at once, as a
//! table of expected and found.

use deltalake::arrow::datatypes::{DataType, SchemaRef};

use super::Planner;
use super::literals::{Need, fits};
use crate::base::{Code, Diagnostic, Sources, Span, nearest};
use crate::load::ProjectDialect;
use crate::manifest::{ConstraintDecl, ConstraintKind, Node, OnSchemaChange};
use crate::resolve::Project;
use crate::sql::{is_bare_decimal, type_name};

/// Of so many columns that differ the places in the query are shown.
const MOST_PLACES: usize = 8;

/// The difference between a node's enforced contract and a planned schema, if there is one.
///
/// Names are compared without regard to case; types as Delta stores them, so that `varchar(20)` is `string`, and `decimal`
/// without digits is any. Numbers that are written out in the query fit into narrower types than the planner gives them. In
/// a project that was written for dbt a number may be of another type where warehouses differ; a value that does not fit is
/// refused when it is written.
/// `place` tells where the query names a column.
pub(super) fn contract_difference(
    project: &Project,
    node: &Node,
    (schema, needs): (&SchemaRef, &[Need]),
    place: impl Fn(&str) -> Option<Span>,
) -> Option<Diagnostic> {
    if !node.config.contract_enforced {
        return None;
    }
    let of_dbt = project.parsed.root.project.dialect == ProjectDialect::Dbt;
    let mut rows: Vec<[String; 4]> = Vec::new();
    for (name, column) in &node.columns {
        let expected = column.data_type.clone().unwrap_or_default();
        let at = schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name));
        let found = at.and_then(|at| schema.fields().get(at));
        let need = at.and_then(|at| needs.get(at)).copied().unwrap_or(Need::Type);
        let never = if takes_null(node, name) { "" } else { " not null" };
        match (found, project.target.semantics().parse_type(&expected)) {
            (None, Ok(wanted)) => rows.push([name.clone(), format!("{}{never}", type_name(&wanted)), String::new(), "missing in definition".into()]),
            (None, Err(_)) => rows.push([name.clone(), expected, String::new(), "missing in definition".into()]),
            (Some(_), Err(why)) => rows.push([name.clone(), expected, String::new(), why]),
            (Some(field), Ok(wanted)) => {
                let any_decimal = is_bare_decimal(&expected) && matches!(field.data_type(), DataType::Decimal128(..));
                let as_there = of_dbt && reckoned_so_elsewhere(&wanted, field.data_type(), need, project.target.semantics().adapter);
                let same = any_decimal || as_there || same_type(&wanted, field.data_type()) || fits(need, field.data_type(), &wanted);
                let always_null = !never.is_empty() && *field.data_type() == DataType::Null;
                if !same || always_null {
                    let what = if same { "always NULL" } else { "data type mismatch" };
                    rows.push([name.clone(), format!("{}{never}", type_name(&wanted)), type_name(field.data_type()), what.into()]);
                }
            }
        }
    }
    for field in schema.fields().iter().filter(|_| !node.config.contract_subset) {
        if !node.columns.keys().any(|name| name.eq_ignore_ascii_case(field.name())) {
            rows.push([field.name().clone(), String::new(), type_name(field.data_type()), "missing in contract".into()]);
        }
    }
    (!rows.is_empty()).then(|| {
        let message = format!("the query of `{}` does not yield what its contract promises", node.name);
        let mut diagnostic = difference(node, message, ["column", "contract", "query", "difference"], &rows);
        let named = rows.iter().filter_map(|[name, ..]| Some((place(name)?, format!("the query's `{name}`"))));
        for (span, what) in named.take(MOST_PLACES) {
            diagnostic = diagnostic.also(span, what);
        }
        diagnostic.help("change the select, or the columns of the contract; `cast(x as type)` gives a column its type")
    })
}

/// The difference between a node's contract and the table that it adds to, where the build would not bring the table to it.
pub(super) fn table_difference(project: &Project, node: &Node, table: &SchemaRef) -> Option<Diagnostic> {
    let config = node.config.incremental.as_ref().filter(|_| node.config.contract_enforced)?;
    let grows = match config.on_schema_change {
        OnSchemaChange::SyncAllColumns => return None,
        OnSchemaChange::AppendNewColumns => true,
        OnSchemaChange::Ignore | OnSchemaChange::Fail => false,
    };
    let mut rows: Vec<[String; 4]> = Vec::new();
    for (name, column) in &node.columns {
        let Ok(wanted) = project.target.semantics().parse_type(column.data_type.as_deref().unwrap_or_default()) else { continue };
        match table.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)) {
            None if grows => {}
            None => rows.push([name.clone(), type_name(&wanted), String::new(), "missing in the table".into()]),
            Some(field) if same_type(&wanted, field.data_type()) => {}
            Some(field) if column.data_type.as_deref().is_some_and(is_bare_decimal) && matches!(field.data_type(), DataType::Decimal128(..)) => {}
            Some(field) => rows.push([name.clone(), type_name(&wanted), type_name(field.data_type()), "data type mismatch".into()]),
        }
    }
    (!rows.is_empty()).then(|| {
        let message = format!("the table of `{}` is not what its contract promises, and this run would add to it", node.name);
        difference(node, message, ["column", "contract", "table", "difference"], &rows)
            .help("build it anew with --full-refresh, or set `on_schema_change` to `sync_all_columns`")
    })
}

/// What is wrong with the conditions of `check` constraints, each at its place.
pub(super) fn wrong_checks(node: &Node, schema: &SchemaRef, planner: &Planner, sources: &Sources) -> Vec<Diagnostic> {
    let checks = node.all_constraints().filter(|(_, constraint)| node.config.contract_enforced && constraint.kind == ConstraintKind::Check);
    checks
        .filter_map(|(_, constraint)| {
            let text = constraint.expression.as_ref()?;
            let error = planner.wrong_condition(text, &[(node.name.as_str(), schema)])?;
            let message = format!("the `check` constraint of `{}` is no condition on its rows: {}", node.name, error.message);
            let whole = constraint.place_of(text, sources);
            let wrong = error.range.as_ref().and_then(|range| text.get(range.clone())).filter(|_| whole != constraint.span);
            let place = wrong.map_or(whole, |words| sources.word(whole, words));
            let mut diagnostic = Diagnostic::error(Code::ConstraintInvalid, message).at(place, "in this constraint");
            diagnostic.notes.push(format!("it says: {text}"));
            diagnostic.help = error.help;
            Some(diagnostic)
        })
        .collect()
}

/// The foreign keys of a contract, with the nodes they refer to.
pub(super) fn foreign_keys<'p>(project: &'p Project, node: &'p Node) -> impl Iterator<Item = (&'p ConstraintDecl, &'p Node)> {
    let keys = node.all_constraints().map(|(_, constraint)| constraint);
    let keys = keys.filter(|constraint| node.config.contract_enforced && constraint.kind == ConstraintKind::ForeignKey);
    keys.filter_map(|constraint| Some((constraint, project.node_of_relation(constraint.references.as_ref()?)?)))
}

/// What is wrong with a foreign key where the table that it refers to has these columns.
pub(super) fn wrong_foreign_key(
    node: &Node,
    constraint: &ConstraintDecl,
    (read, schema): (&Node, &SchemaRef),
    sources: &Sources,
) -> Option<Diagnostic> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let columns = constraint.foreign_columns()?;
    let unknown = columns.iter().find(|column| !names().any(|name| name.eq_ignore_ascii_case(column)))?;
    let message = format!("the `foreign_key` constraint of `{}` refers to the column `{unknown}`, which `{}` does not have", node.name, read.label());
    let list = names().take(MOST_PLACES).collect::<Vec<_>>().join(", ");
    Some(
        Diagnostic::error(Code::ConstraintInvalid, message)
            .at(constraint.place_of(unknown, sources), "named here")
            .also(read.span, "what it refers to")
            .help_nearest(nearest(unknown, names()), format!("it has {list}")),
    )
}

/// Whether a warehouse may have one type where it is the other here. Any integer and whole decimal stand for an integer; of
/// what is reckoned, decimals that hold more, as of a sum, and doubles, as of a mean or a quotient; in `BigQuery` every timestamp
/// is a moment.
fn reckoned_so_elsewhere(wanted: &DataType, found: &DataType, need: Need, adapter: &str) -> bool {
    match (wanted, found) {
        (DataType::Decimal128(digits, scale), DataType::Decimal128(had, behind)) => {
            need == Need::Reckoned && scale >= behind && i16::from(*digits) - i16::from(*scale) >= i16::from(*had) - i16::from(*behind)
        }
        (DataType::Decimal128(_, scale), found) => found.is_integer() && *scale == 0,
        (DataType::Float64, DataType::Decimal128(..)) => need == Need::Reckoned,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => adapter == "bigquery",
        (wanted, found) => wanted.is_integer() && found.is_integer(),
    }
}

fn takes_null(node: &Node, column: &str) -> bool {
    !node.all_constraints().any(|(at, constraint)| {
        let here =
            at.map_or_else(|| constraint.columns.iter().any(|name| name.eq_ignore_ascii_case(column)), |decl| decl.name.eq_ignore_ascii_case(column));
        here && matches!(constraint.kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey)
    })
}

fn same_type(wanted: &DataType, found: &DataType) -> bool {
    type_name(wanted) == type_name(found)
}

/// At the first declared column that differs, else at the contract as a whole.
fn difference(node: &Node, message: String, titles: [&str; 4], rows: &[[String; 4]]) -> Diagnostic {
    let titles = titles.map(str::to_owned);
    let all = || std::iter::once(&titles).chain(rows);
    let widths: Vec<usize> = (0..4).map(|at| all().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 4]| {
        row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let table: Vec<String> = all().map(line).collect();
    let declared = rows.iter().find_map(|[name, ..]| node.columns.get(name)).map(|column| (column.span, "the contract's column"));
    let (span, what) = declared.unwrap_or((node.properties_span.unwrap_or(node.span), "the contract"));
    Diagnostic::error(Code::ContractMismatch, message).at(span, what).note(table.join("\n"))
}
