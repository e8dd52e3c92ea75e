//! Temporary views and tables of statements: they last as long as the engine, and have names without a schema.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::datafusion::catalog::TableProvider;

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

    /// Forgets a name. Tells whether it was there.
    pub(super) fn remove(&self, name: &str) -> bool {
        self.names().remove(&name.to_lowercase()).is_some()
    }
}
