//! Commits that change what is said of a table and none of its files.

use std::collections::HashMap;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, StructField};
use deltalake::operations::update_table_metadata::TableMetadataUpdate;
use deltalake::protocol::DeltaOperation;
use serde_json::{Map, Value as Json};

use super::super::super::super::EngineError;
use super::super::super::failure;
use super::Altered;

impl Altered<'_> {
    /// The table's properties, constraints among them.
    pub(super) fn properties(&self) -> Result<HashMap<String, String>, EngineError> {
        let snapshot = self.table.snapshot().map_err(|error| failure::reading(&error, &self.relation))?;
        Ok(snapshot.metadata().configuration().clone())
    }

    pub(super) async fn drop_properties(&self, keys: &[String]) -> Result<(), EngineError> {
        let operation = match keys {
            [key] if key.starts_with(super::CONSTRAINT) => {
                DeltaOperation::DropConstraint { name: key.trim_start_matches(super::CONSTRAINT).to_owned() }
            }
            _ => DeltaOperation::SetTableProperties { properties: HashMap::new() },
        };
        let edit = |metadata: &mut Map<String, Json>| {
            if let Some(configuration) = metadata.get_mut("configuration").and_then(Json::as_object_mut) {
                configuration.retain(|key, _| !keys.contains(key));
            }
        };
        self.edit(edit, operation).await
    }

    /// Sets or removes the description.
    pub(super) async fn describe(&self, text: Option<&str>) -> Result<(), EngineError> {
        let metadata_update = TableMetadataUpdate { name: None, description: Some(text.unwrap_or_default().to_owned()) };
        let edit = |metadata: &mut Map<String, Json>| {
            metadata.insert("description".into(), text.map_or(Json::Null, Json::from));
        };
        self.edit(edit, DeltaOperation::UpdateTableMetadata { metadata_update }).await
    }

    /// Sets or removes a column's description.
    pub(super) async fn comment(&self, column: &str, text: Option<&str>) -> Result<(), EngineError> {
        self.edit_field(column, |field| {
            let metadata = field.entry("metadata").or_insert_with(|| Json::Object(Map::new())).as_object_mut()?;
            match text {
                Some(text) => metadata.insert("comment".into(), text.into()),
                None => metadata.remove("comment"),
            }
        })
        .await
    }

    /// Changes the entry of a column in the schema.
    pub(super) async fn edit_field(&self, column: &str, change: impl FnOnce(&mut Map<String, Json>) -> Option<Json>) -> Result<(), EngineError> {
        let snapshot = self.table.snapshot().map_err(|error| failure::reading(&error, &self.relation))?;
        let fields: Vec<StructField> = snapshot.schema().field(column).cloned().into_iter().collect();
        let edit = |metadata: &mut Map<String, Json>| {
            let schema = metadata.get("schemaString").and_then(Json::as_str).and_then(|text| serde_json::from_str::<Json>(text).ok());
            let Some(mut schema) = schema else { return };
            let columns = schema.get_mut("fields").and_then(Json::as_array_mut);
            let entry = columns.and_then(|columns| columns.iter_mut().find(|entry| entry.get("name").and_then(Json::as_str) == Some(column)));
            if let Some(entry) = entry.and_then(Json::as_object_mut) {
                change(entry);
            }
            metadata.insert("schemaString".into(), schema.to_string().into());
        };
        self.edit(edit, DeltaOperation::UpdateFieldMetadata { fields }).await
    }

    /// Commits the table's metadata with a change; nothing where the change changes nothing.
    async fn edit(&self, change: impl FnOnce(&mut Map<String, Json>), operation: DeltaOperation) -> Result<(), EngineError> {
        let reading = |error: DeltaTableError| failure::reading(&error, &self.relation);
        let snapshot = self.table.snapshot().map_err(reading)?;
        let before = serde_json::to_value(snapshot.metadata()).map_err(|error| failure::writing(error.into(), &self.relation))?;
        let mut after = before.clone();
        if let Some(metadata) = after.as_object_mut() {
            change(metadata);
        }
        if after == before {
            return Ok(());
        }
        let metadata = serde_json::from_value(after).map_err(|error| failure::writing(error.into(), &self.relation))?;
        let commit = CommitBuilder::from(CommitProperties::default()).with_actions(vec![Action::Metadata(metadata)]).build(
            Some(snapshot.snapshot()),
            self.table.log_store(),
            operation,
        );
        commit.await.map_err(|error| failure::writing(error, &self.relation))?;
        self.engine.warehouse.forget(&self.relation);
        Ok(())
    }
}
