//! A contract held against what a query yields: all differences at once, as a table of expected and found.

use deltalake::arrow::datatypes::{DataType, SchemaRef};

use crate::base::{Code, Diagnostic};
use crate::manifest::Node;
use crate::sql::{parse_type, type_name};

/// The difference between a node's enforced contract and a planned schema, if there is one.
///
/// Names are compared without regard to case; types as Delta stores them, so that `varchar(20)` is `string`. A number
/// that fits the contract's type without loss by a cast at writing (a wider integer, a wider decimal) still counts as a
/// difference, because what the query yields is not what was promised.
pub(super) fn contract_difference(node: &Node, schema: &SchemaRef) -> Option<Diagnostic> {
    if !node.config.contract_enforced {
        return None;
    }
    let mut rows: Vec<[String; 4]> = Vec::new();
    for (name, column) in &node.columns {
        let expected = column.data_type.clone().unwrap_or_default();
        let found = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        match (found, parse_type(&expected)) {
            (None, _) => rows.push([name.clone(), expected, String::new(), "missing in the query".into()]),
            (Some(_), Err(why)) => rows.push([name.clone(), expected, String::new(), why]),
            (Some(field), Ok(wanted)) if !same_type(&wanted, field.data_type()) => {
                rows.push([name.clone(), type_name(&wanted), type_name(field.data_type()), "another type".into()]);
            }
            (Some(_), Ok(_)) => {}
        }
    }
    for field in schema.fields().iter().filter(|_| !node.config.contract_subset) {
        if !node.columns.keys().any(|name| name.eq_ignore_ascii_case(field.name())) {
            rows.push([field.name().clone(), String::new(), type_name(field.data_type()), "missing in the contract".into()]);
        }
    }
    (!rows.is_empty()).then(|| difference(node, rows))
}

fn same_type(wanted: &DataType, found: &DataType) -> bool {
    type_name(wanted) == type_name(found) || literal_fits(wanted, found)
}

/// The literal `1` is a bigint and `null` has no type: both are cast to what the contract says.
fn literal_fits(wanted: &DataType, found: &DataType) -> bool {
    matches!(found, DataType::Null) || wanted.is_integer() && found.is_integer() && wanted.primitive_width() >= found.primitive_width()
}

fn difference(node: &Node, mut rows: Vec<[String; 4]>) -> Diagnostic {
    rows.insert(0, ["column".into(), "contract".into(), "query".into(), "difference".into()]);
    let widths: Vec<usize> = (0..4).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 4]| {
        row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let table: Vec<String> = rows.iter().map(line).collect();
    let span = node.properties_span.unwrap_or(node.span);
    Diagnostic::error(Code::ContractMismatch, format!("the query of `{}` does not yield what its contract promises", node.name))
        .at(span, "the contract")
        .note(table.join("\n"))
        .help("change the select, or the columns of the contract; `cast(x as type)` gives a column its type")
}
