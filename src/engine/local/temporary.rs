//! Temporary views and tables of statements: they last as long as the engine. Those with a name of one part are kept in memory;
//! a table with a schema is one of the warehouse, which goes when the work is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::datafusion::catalog::TableProvider;

use crate::manifest::RelationName;

/// What a temporary name stands for.
#[derive(Debug, Clone)]
pub(super) enum Temporary {
    /// A query, read anew each time.
    View(String),
    /// Rows that were read once and are kept in memory.
    Table(Arc<dyn TableProvider>),
}

/// The temporary names of an engine, whatever their case.
#[derive(Debug, Default)]
pub(crate) struct Temporaries {
    known: Mutex<BTreeMap<String, Temporary>>,
    tables: Mutex<BTreeSet<RelationName>>,
}

impl Temporaries {
    fn names(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Temporary>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, name: &str) -> Option<Temporary> {
        self.names().get(&name.to_lowercase()).cloned()
    }

    pub(super) fn put(&self, name: &str, meant: Temporary) {
        self.names().insert(name.to_lowercase(), meant);
    }

    /// Notes a table of the warehouse that is to go in the end.
    pub(super) fn note(&self, table: RelationName) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(table);
    }

    /// Whether a table of the warehouse is to go in the end.
    pub(super) fn is_noted(&self, table: &RelationName) -> bool {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).contains(table)
    }

    /// A table of that name was dropped, replaced by one that stays, or has another name now.
    pub(super) fn forget(&self, table: &RelationName) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).remove(table);
    }

    /// The tables that were noted, once.
    pub(super) fn take_tables(&self) -> BTreeSet<RelationName> {
        std::mem::take(&mut *self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets a name. Tells whether it was there.
    pub(super) fn remove(&self, name: &str) -> bool {
        self.names().remove(&name.to_lowercase()).is_some()
    }
}
