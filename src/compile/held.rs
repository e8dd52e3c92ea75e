//! What the table of a node can't take of its query, as far as that shows before a run.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};

use crate::manifest::{Materialization, Node, OnSchemaChange, RelationName};
use crate::sql::{SchemaDifference, Semantics, SqlError, is_bare_decimal, stored_type, unholdable, unnameable};

/// Columns that no Delta table holds, each with its name.
pub(super) fn unheld(node: &Node, query: &SchemaRef) -> Vec<(String, SqlError)> {
    if !is_table(node) {
        return Vec::new();
    }
    let maps = node.config.table_properties.get("delta.columnMapping.mode").is_some_and(|mode| mode != "none");
    let of = |name: &str| unnameable(name, &node.relation.as_ref().map_or_else(|| node.name.clone(), RelationName::short)).filter(|_| !maps);
    let promised = |name: &str| node.config.contract_enforced && node.columns.keys().any(|column| column.eq_ignore_ascii_case(name));
    let wrong = query.fields().iter().filter_map(|field| {
        let typed = stored_type(field.data_type()).is_none() && !promised(field.name());
        let error = of(field.name()).or_else(|| typed.then(|| unholdable(field.name(), field.data_type())))?;
        Some((field.name().clone(), error))
    });
    wrong.collect()
}

/// Columns of the query that the table does not take, where a build adds to it, and one of them that has a place.
pub(super) fn changed(node: &Node, query: &SchemaRef, table: &SchemaRef) -> Option<(Option<String>, SqlError)> {
    let config = node.config.incremental.as_ref()?;
    let query = &stored(query);
    let mut difference = SchemaDifference::between(table, query);
    if node.config.contract_enforced {
        // Values get the contract's types, which are held against the table elsewhere.
        difference.retyped.clear();
    }
    let name = node.relation.as_ref()?.short();
    let error = match config.on_schema_change {
        OnSchemaChange::SyncAllColumns => return None,
        OnSchemaChange::Fail if !difference.is_empty() => difference.refused((table, query), &name),
        OnSchemaChange::Ignore if !difference.gone.is_empty() => difference.missing(&name),
        OnSchemaChange::Ignore | OnSchemaChange::Fail | OnSchemaChange::AppendNewColumns => difference.cut(&name)?,
    };
    let new = difference.new.first().map(|field| field.name().clone());
    Some((new.or_else(|| difference.retyped.first().map(|(name, ..)| name.clone())), error))
}

/// The columns of a query as the node's relation has them: a table has the types that its contract says, as Delta stores them.
pub(super) fn as_relation(node: &Node, query: &SchemaRef, semantics: Semantics) -> SchemaRef {
    if !is_table(node) {
        return Arc::clone(query);
    }
    if !node.config.contract_enforced {
        return stored(query);
    }
    let promised = |field: &FieldRef| {
        let column = node.columns.values().find(|column| column.name.eq_ignore_ascii_case(field.name()))?;
        let text = column.data_type.as_deref()?;
        let any_decimal = is_bare_decimal(text) && matches!(field.data_type(), DataType::Decimal128(..));
        semantics.parse_type(text).ok().filter(|found| !any_decimal && found != field.data_type())
    };
    let of = |field: &FieldRef| match promised(field) {
        Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
        None => Arc::clone(field),
    };
    stored(&Arc::new(Schema::new_with_metadata(query.fields().iter().map(of).collect::<Vec<FieldRef>>(), query.metadata().clone())))
}

fn stored(query: &SchemaRef) -> SchemaRef {
    let of = |field: &FieldRef| match stored_type(field.data_type()) {
        Some(kept) if kept != *field.data_type() => Arc::new(field.as_ref().clone().with_data_type(kept)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new_with_metadata(query.fields().iter().map(of).collect::<Vec<FieldRef>>(), query.metadata().clone()))
}

fn is_table(node: &Node) -> bool {
    match node.config.materialization {
        Materialization::Table | Materialization::Refreshed(_) | Materialization::Incremental | Materialization::Snapshot => node.relation.is_some(),
        Materialization::View
        | Materialization::Ephemeral
        | Materialization::Seed
        | Materialization::Test
        | Materialization::External
        | Materialization::Custom(_) => false,
    }
}
