//! Changed and new rows on their way into files, and the change data that tells readers of the change feed about them.
//!
//! Change data are files under `_change_data/` with the table's columns and `_change_type`, named by `cdc` actions of the
//! commit, as the Delta protocol has them. They are written as a table of their own whose log is never kept.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::{Action, AddCDCFile, StructField, StructType};
use deltalake::logstore::object_store::ObjectStoreExt as _;
use deltalake::protocol::SaveMode;

use super::super::super::EngineError;
use super::super::store::CHANGE_DATA;
use super::super::warehouse::Folder;
use super::super::{failure, write};
use super::Change;
use super::rows::Tables;

/// Queries for rows that come and go, each with its change type.
#[derive(Default)]
pub(super) struct ChangedRows {
    new: Vec<(&'static str, String)>,
    gone: Vec<(&'static str, String)>,
}

impl ChangedRows {
    /// Rows that the table gets.
    pub(super) fn add(&mut self, change: &'static str, query: String) {
        self.new.push((change, query));
    }

    /// Rows that the table loses.
    pub(super) fn gone(&mut self, change: &'static str, query: String) {
        self.gone.push((change, query));
    }
}

impl Change<'_> {
    /// Writes the new rows into the table, and all of them as change data if there are rows that go.
    pub(super) async fn write_rows(&mut self, changed: &ChangedRows, tables: &Tables<'_>) -> Result<(), EngineError> {
        let new: Vec<&str> = changed.new.iter().map(|(_, query)| query.as_str()).collect();
        if !new.is_empty() {
            let plan = self.plan(&new.join(" union all "), tables).await?;
            let plan = self.aligned(plan)?;
            self.added += self.pour(plan).await?;
        }
        if changed.gone.is_empty() {
            return Ok(());
        }
        let typed: Vec<String> = changed
            .gone
            .iter()
            .chain(&changed.new)
            .map(|(change, query)| format!("select *, '{change}' as \"_change_type\" from ({query}) as \"changed rows\""))
            .collect();
        let plan = self.plan(&typed.join(" union all "), tables).await?;
        self.write_change_data(plan).await
    }

    async fn write_change_data(&mut self, plan: Arc<dyn deltalake::datafusion::physical_plan::ExecutionPlan>) -> Result<(), EngineError> {
        let relation = &self.write.relation;
        let failed = |error| failure::writing(error, relation);
        let kind = Field::new("_change_type", DataType::Utf8, false);
        let fields = self.after().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).chain([kind]);
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let schema: StructType = (&schema).try_into_kernel().map_err(|error: deltalake::arrow::error::ArrowError| failed(error.into()))?;
        let fields: Vec<StructField> = schema.fields().cloned().collect();
        let folder = self.change_folder()?;
        // On a local disk a log can't be read before its folder is there.
        let marker = folder.path.clone().join(format!("_staging-{}", uuid::Uuid::new_v4().simple()));
        let context = || format!("writing the change data of `{}`", relation.short());
        self.store.put(&marker, "".into()).await.map_err(|error| failure::storage(&error, &context()))?;
        let table = folder.builder_over(Arc::clone(self.store) as _, relation)?.build().map_err(failed)?;
        let create = table.create().with_columns(fields).with_partition_columns(self.partition_by.clone()).with_save_mode(SaveMode::ErrorIfExists);
        let table = create.await.map_err(failed)?;
        let (table, _) = write::pour(self.engine, (plan, self.session.clone()), table, self.write).await?;
        let actions = write::staged_actions(&table, None, relation).await?;
        self.changes.extend(actions.into_iter().filter_map(|action| match action {
            Action::Add(add) => Some(Action::Cdc(AddCDCFile {
                path: format!("{CHANGE_DATA}/{}", add.path),
                size: add.size,
                partition_values: add.partition_values,
                data_change: false,
                tags: None,
            })),
            _ => None,
        }));
        self.store.delete(&marker).await.map_err(|error| failure::storage(&error, &context()))
    }

    fn change_folder(&self) -> Result<Folder, EngineError> {
        let mut url = self.folder.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let url = url.join(&format!("{CHANGE_DATA}/")).map_err(|error| EngineError::Storage {
            context: format!("writing the change data of `{}`", self.write.relation.short()),
            reason: error.to_string(),
        })?;
        Ok(Folder { url, path: self.folder.path.clone().join(CHANGE_DATA), store: Arc::clone(&self.folder.store) })
    }
}
