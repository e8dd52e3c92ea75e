//! The columns that a changed table has afterwards, when the new rows may have others than the table.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::{Metadata, MetadataExt as _, StructField, StructType};
use deltalake::{DeltaTable, DeltaTableError};

use super::super::super::{CheckRule, EngineError, SchemaChange, TableWrite};
use super::super::failure;
use super::super::schema::table_schema;
use super::super::write::Rows;
use crate::base::{Code, nearest};
use crate::manifest::RelationName;
use crate::sql::{SqlError, type_name};

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
    let difference = Difference::between(&before, &wanted);
    if let Some((name, from, to)) =
        difference.retyped.iter().map(|(name, before, wanted)| (name, wanted, before)).find(|(_, from, to)| loses(from, to))
        && write.schema_change != SchemaChange::Sync
    {
        let message = format!(
            "column `{name}` of `{}` is {} in the query and {} in the table, which would cut its values",
            relation.short(),
            type_name(from),
            type_name(to)
        );
        return Err(EngineError::Sql(Box::new(
            SqlError::new(Code::SchemaChanged, message)
                .help("cast it in the query, set `on_schema_change` to `sync_all_columns`, or build the table anew with --full-refresh"),
        )));
    }
    match write.schema_change {
        SchemaChange::Fail if !difference.is_empty() => Err(difference.refused(&before, &wanted, relation)),
        SchemaChange::Ignore if !difference.gone.is_empty() => Err(missing(&difference.gone, relation)),
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

/// Whether a cast drops digits or times of day without an error.
fn loses(from: &DataType, to: &DataType) -> bool {
    let scale = |data_type: &DataType| match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            Some(*scale)
        }
        number if number.is_integer() => Some(0),
        _ => None,
    };
    match (from, to) {
        (DataType::Timestamp(..), DataType::Date32) | (DataType::Float64, DataType::Float32) => true,
        (from, to) if from.is_floating() => scale(to).is_some(),
        (from, to) => scale(from).zip(scale(to)).is_some_and(|(from, to)| from > to),
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

#[derive(Default)]
struct Difference {
    new: Vec<Field>,
    gone: Vec<String>,
    /// Name, type before, type wanted.
    retyped: Vec<(String, DataType, DataType)>,
}

impl Difference {
    fn between(before: &Schema, wanted: &Schema) -> Self {
        let mut found = Self::default();
        for field in wanted.fields() {
            match before.fields().iter().find(|known| same(known.name(), field.name())) {
                None => found.new.push(field.as_ref().clone()),
                Some(known) if type_name(known.data_type()) != type_name(field.data_type()) => {
                    found.retyped.push((known.name().clone(), known.data_type().clone(), field.data_type().clone()));
                }
                Some(_) => {}
            }
        }
        found.gone = before
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .filter(|name| !wanted.fields().iter().any(|field| same(field.name(), name)))
            .collect();
        found
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.retyped.is_empty()
    }

    fn refused(&self, before: &Schema, wanted: &Schema, relation: &RelationName) -> EngineError {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.new.iter().map(|field| format!("new: `{}` {}", field.name(), type_name(field.data_type()))));
        lines.extend(self.gone.iter().map(|name| format!("missing: `{name}`")));
        lines.extend(
            self.retyped
                .iter()
                .map(|(name, before, wanted)| format!("`{name}`: the table has {}, the query {}", type_name(before), type_name(wanted))),
        );
        let message = format!(
            "the query of `{}` yields other columns than the table has ({} and {})",
            relation.short(),
            wanted.fields().len(),
            before.fields().len()
        );
        let mut error = SqlError::new(Code::SchemaChanged, message)
            .help("set `on_schema_change` to `append_new_columns` or `sync_all_columns`, or build the table anew with --full-refresh");
        error.notes = lines;
        EngineError::Sql(Box::new(error))
    }
}

fn missing(gone: &[String], relation: &RelationName) -> EngineError {
    let names: Vec<String> = gone.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("the query of `{}` lacks columns that the table has: {}", relation.short(), names.join(", "));
    EngineError::Sql(Box::new(
        SqlError::new(Code::SchemaChanged, message).help("select them, or say with `on_schema_change` what is to become of them"),
    ))
}

fn partitions_stay(base: &DeltaTable, difference: &Difference, relation: &RelationName) -> Result<(), EngineError> {
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
