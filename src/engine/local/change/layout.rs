//! The columns that a changed table has afterwards, when the new rows may have others than the table.

use std::sync::Arc;

use deltalake::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::{Metadata, MetadataExt as _, StructField, StructType};
use deltalake::{DeltaTable, DeltaTableError};

use super::super::super::{CheckRule, EngineError, SchemaChange, TableWrite};
use super::super::failure;
use super::super::schema::table_schema;
use super::super::write::Rows;
use crate::base::{Code, nearest};
use crate::manifest::RelationName;
use crate::sql::{SchemaDifference, SqlError};

/// What the table looks like before and after.
pub(super) struct Layout {
    pub(super) before: SchemaRef,
    pub(super) after: SchemaRef,
    /// The table's metadata with the new columns; `None` where it stays as it is.
    pub(super) metadata: Option<Metadata>,
    /// Whether files that are there no longer fit, since a column goes or changes its type.
    pub(super) rewrite: bool,
    /// Columns that take no NULL once the rows are there.
    pub(super) tightened: Vec<String>,
    /// Conditions that the table did not have.
    pub(super) added: Vec<CheckRule>,
}

impl Layout {
    fn new(before: SchemaRef, after: SchemaRef, metadata: Option<Metadata>, rewrite: bool) -> Self {
        Self { before, after, metadata, rewrite, tightened: Vec::new(), added: Vec::new() }
    }

    fn unchanged(before: SchemaRef) -> Self {
        Self::new(Arc::clone(&before), before, None, false)
    }
}

/// The layout for new rows, without the columns that are not stored.
///
/// # Errors
/// If the columns differ in a way that `schema_change` does not allow.
pub(super) fn layout(base: &DeltaTable, rows: &Rows, write: &TableWrite, unstored: &[String]) -> Result<Layout, EngineError> {
    let (query, state) = (rows.plan.schema(), &rows.state);
    let relation = &write.relation;
    let snapshot = base.snapshot().map_err(|error| failure::reading(&error, relation))?;
    let before = snapshot.snapshot().arrow_schema();
    let stored: Vec<_> = query.fields().iter().filter(|field| !contains(unstored, field.name())).cloned().collect();
    let wanted = table_schema(&Schema::new(stored), &write.columns, relation)?;
    let difference = SchemaDifference::between(&before, &wanted);
    if let Some(error) = difference.cut(&relation.short()).filter(|_| write.schema_change != SchemaChange::Sync) {
        return Err(EngineError::Sql(Box::new(error)));
    }
    match write.schema_change {
        SchemaChange::Fail if !difference.is_empty() => Err(EngineError::Sql(Box::new(difference.refused((&before, &wanted), &relation.short())))),
        SchemaChange::Ignore if !difference.gone.is_empty() => Err(EngineError::Sql(Box::new(difference.missing(&relation.short())))),
        SchemaChange::Fail | SchemaChange::Ignore => Layout::unchanged(before).ruled(base, write, state),
        SchemaChange::Append if difference.new.is_empty() => Layout::unchanged(before).ruled(base, write, state),
        SchemaChange::Append => {
            let fields = before.fields().iter().cloned().chain(difference.new.iter().map(|field| Arc::new(nullable(field))));
            let after = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let metadata = Some(changed(base, &after).map_err(|error| failure::writing(error, relation))?);
            Layout::new(before, after, metadata, false).ruled(base, write, state)
        }
        SchemaChange::Sync if difference.is_empty() => Layout::unchanged(before).ruled(base, write, state),
        SchemaChange::Sync => {
            partitions_stay(base, &difference, relation)?;
            let after = synced(&before, &wanted);
            let metadata = Some(changed(base, &after).map_err(|error| failure::writing(error, relation))?);
            let rewrite = !difference.gone.is_empty() || !difference.retyped.is_empty();
            Layout::new(before, after, metadata, rewrite).ruled(base, write, state)
        }
    }
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|known| same(known, name))
}

pub(super) fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// A column that comes to a table with rows has no value in them.
fn nullable(field: &Field) -> Field {
    field.clone().with_nullable(true)
}

/// The table's columns that stay, in their order and spelling, then the new ones.
fn synced(before: &Schema, wanted: &Schema) -> SchemaRef {
    let stay = before.fields().iter().filter_map(|field| {
        let found = wanted.fields().iter().find(|wanted| same(wanted.name(), field.name()))?;
        Some(field.as_ref().clone().with_data_type(found.data_type().clone()))
    });
    let new = wanted.fields().iter().filter(|field| !before.fields().iter().any(|known| same(known.name(), field.name())));
    Arc::new(Schema::new(stay.chain(new.map(|field| nullable(field))).collect::<Vec<_>>()))
}

/// The metadata of a table with other columns; comments of those that stay are kept.
pub(super) fn changed(base: &DeltaTable, after: &SchemaRef) -> Result<Metadata, DeltaTableError> {
    let snapshot = base.snapshot()?;
    let present = snapshot.schema();
    let converted: StructType = after.as_ref().try_into_kernel()?;
    let fields: Vec<StructField> = converted
        .fields()
        .map(|field| {
            let mut field = field.clone();
            if let Some(known) = present.field(field.name()) {
                field.metadata.clone_from(&known.metadata);
            }
            field
        })
        .collect();
    snapshot.metadata().clone().with_schema(&StructType::try_new(fields)?).map_err(DeltaTableError::from)
}

fn partitions_stay(base: &DeltaTable, difference: &SchemaDifference, relation: &RelationName) -> Result<(), EngineError> {
    let snapshot = base.snapshot().map_err(|error| failure::reading(&error, relation))?;
    let partitions = snapshot.metadata().partition_columns().to_vec();
    let lost = partitions.iter().find(|name| difference.gone.contains(name) || difference.retyped.iter().any(|(retyped, ..)| retyped == *name));
    match lost {
        None => Ok(()),
        Some(name) => {
            let message = format!("`{}` is partitioned by `{name}`, which the query leaves out or gives another type", relation.short());
            Err(EngineError::Sql(Box::new(SqlError::new(Code::SchemaChanged, message).help("build the table anew with --full-refresh"))))
        }
    }
}

/// A column as the schema spells it.
///
/// # Errors
/// If there is none; `option` names the config that asks for it.
pub(super) fn column<'a>(schema: &'a Schema, name: &str, option: &str, of: &str) -> Result<&'a Field, EngineError> {
    if let Some(field) = schema.fields().iter().find(|field| same(field.name(), name)) {
        return Ok(field);
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let help = nearest(name, names.iter().copied())
        .map_or_else(|| format!("the columns are {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
    Err(EngineError::Sql(Box::new(SqlError::new(Code::UnknownColumn, format!("`{option}` names `{name}`, which is no column of {of}")).help(help))))
}
