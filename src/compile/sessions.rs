//! Sessions for planning: making one takes longer than planning a small query, so they are used again, each time over
//! other tables.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use deltalake::datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProviderList};
use deltalake::datafusion::execution::session_state::{SessionState, SessionStateBuilder};

/// Sessions that nobody uses.
pub(super) struct Sessions {
    base: SessionState,
    idle: Mutex<Vec<Idle>>,
}

type Idle = (SessionState, Arc<Tables>);

/// A session over some tables; it goes back when it is dropped.
pub(super) struct Session<'a> {
    home: &'a Sessions,
    idle: Option<Idle>,
}

/// The tables of a session, which can be exchanged.
#[derive(Debug)]
struct Tables(RwLock<Arc<dyn CatalogProviderList>>);

impl Sessions {
    pub(super) fn new(base: SessionState) -> Self {
        Self { base, idle: Mutex::default() }
    }

    pub(super) fn over(&self, tables: Arc<dyn CatalogProviderList>) -> Session<'_> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let idle = idle.unwrap_or_else(|| {
            let list = Arc::new(Tables(RwLock::new(Arc::new(MemoryCatalogProviderList::new()))));
            let known: Arc<dyn CatalogProviderList> = Arc::<Tables>::clone(&list);
            (SessionStateBuilder::new_from_existing(self.base.clone()).with_catalog_list(known).build(), list)
        });
        *idle.1.0.write().unwrap_or_else(PoisonError::into_inner) = tables;
        Session { home: self, idle: Some(idle) }
    }
}

impl Deref for Session<'_> {
    type Target = SessionState;

    fn deref(&self) -> &SessionState {
        self.idle.as_ref().map_or(&self.home.base, |(state, _)| state)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.idle.take());
    }
}

impl Tables {
    fn now(&self) -> Arc<dyn CatalogProviderList> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CatalogProviderList for Tables {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        self.now().register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.now().catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        self.now().catalog(name)
    }
}
