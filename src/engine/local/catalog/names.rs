//! The catalog of one query: the tables it names and nothing else, whatever the case of the names.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use deltalake::datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use deltalake::datafusion::common::Result as DfResult;

use crate::manifest::RelationName;

/// Tables by database, schema and identifier in lower case.
type Tables = HashMap<(String, String, String), Arc<dyn TableProvider>>;

#[derive(Debug, Default)]
pub(super) struct QueryCatalog {
    tables: Tables,
}

#[derive(Debug)]
struct Database {
    name: String,
    tables: Tables,
}

#[derive(Debug)]
struct Schema {
    /// Identifiers in lower case.
    tables: HashMap<String, Arc<dyn TableProvider>>,
}

impl QueryCatalog {
    pub(super) fn add(&mut self, name: &RelationName, provider: Arc<dyn TableProvider>) {
        self.tables.insert(name.key(), provider);
    }
}

impl CatalogProviderList for QueryCatalog {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.tables.keys().map(|(database, ..)| database.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        Some(Arc::new(Database { name: name.to_lowercase(), tables: self.tables.clone() }))
    }
}

impl CatalogProvider for Database {
    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.tables.keys().filter(|(database, ..)| *database == self.name).map(|(_, schema, _)| schema.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let wanted = name.to_lowercase();
        let inside = self.tables.iter().filter(|((database, schema, _), _)| *database == self.name && *schema == wanted);
        Some(Arc::new(Schema { tables: inside.map(|((_, _, identifier), provider)| (identifier.clone(), Arc::clone(provider))).collect() }))
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.tables.keys().cloned().collect();
        names.sort();
        names
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.get(&name.to_lowercase()).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(&name.to_lowercase())
    }
}
