//! Object stores: the one behind a warehouse URI, and the staging store that keeps a log's new entries in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deltalake::datafusion::common::{DataFusionError, Result as DataFusionResult};
use deltalake::datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::logstore::object_store::local::LocalFileSystem;
use deltalake::logstore::object_store::memory::InMemory;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult, UploadPart,
};
use deltalake::logstore::{ObjectStoreFactory, ObjectStoreRef, StorageConfig, object_store_factories};
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use url::Url;

use super::super::EngineError;
use super::layout::LOG;
use super::sweep::{BASE, JOURNAL};
use crate::base::{Code, Diagnostic, Journal};

/// The folder of a table that holds change data, as the Delta protocol names it.
pub(super) const CHANGE_DATA: &str = "_change_data";

/// The store of a URI's root: scheme and host, without the path.
///
/// # Errors
/// A diagnostic if the URI's scheme is unknown, or belongs to a feature that this build was made without.
pub(super) fn root_store(written: &str, url: &Url, options: &HashMap<String, String>) -> Result<ObjectStoreRef, EngineError> {
    share_memory();
    let unreadable = |reason: String| EngineError::Storage { context: format!("warehouse `{written}`"), reason };
    // A scheme alone is no URL for those of the web, and none of them is a kind of storage.
    let scheme = Url::parse(&format!("{}://", url.scheme())).ok();
    let factory = scheme.and_then(|scheme| object_store_factories().get(&scheme).map(|entry| Arc::clone(entry.value())));
    let factory = factory.ok_or_else(|| EngineError::Diagnosed(Box::new(unreachable_scheme(written, url.scheme()))))?;
    let config = StorageConfig::parse_options(options.clone()).map_err(|error| unreadable(error.to_string()))?;
    let (store, _) = factory.parse_url_opts(url, &config).map_err(|error| unreadable(error.to_string()))?;
    Ok(store)
}

fn unreachable_scheme(written: &str, scheme: &str) -> Diagnostic {
    let feature = match scheme {
        "s3" | "s3a" => Some("s3"),
        "az" | "azure" | "abfs" | "abfss" | "adl" | "wasb" | "wasbs" => Some("azure"),
        "gs" | "gcs" => Some("gcs"),
        _ => None,
    };
    match feature {
        Some(feature) => {
            Diagnostic::error(Code::StorageFeature, format!("the warehouse `{written}` needs the feature `{feature}`, which this build lacks"))
                .help(format!("build with `cargo build --release --features {feature}`"))
        }
        None => Diagnostic::error(
            Code::StorageUri,
            format!("the warehouse `{written}` is not a URI that Alluvium knows: `{scheme}` is not a kind of storage"),
        )
        .help("use a folder, or a URI of `file`, `memory`, `s3`, `az`, `abfss` or `gs`"),
    }
}

/// Hands out one in-memory store per host name for the whole process, so that `memory://name` means the same
/// everywhere.
#[derive(Debug, Default)]
struct Shared {
    memory: Mutex<HashMap<String, Arc<InMemory>>>,
}

impl ObjectStoreFactory for Shared {
    fn parse_url_opts(&self, url: &Url, _: &StorageConfig) -> Result<(ObjectStoreRef, Path), deltalake::DeltaTableError> {
        let path = Path::from_url_path(url.path())?;
        if url.scheme() == "file" {
            return Ok((Arc::new(LocalFileSystem::new()), path));
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let store = Arc::clone(memory.entry(url.authority().to_owned()).or_default());
        Ok((store, path))
    }
}

fn share_memory() {
    static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| {
        let shared = Arc::new(Shared::default());
        for scheme in ["memory://", "file://"] {
            if let Ok(scheme) = Url::parse(scheme) {
                object_store_factories().insert(scheme, Arc::clone(&shared) as Arc<dyn ObjectStoreFactory>);
            }
        }
        shared
    });
    LazyLock::force(&SHARED);
}

/// What a staged write sees of the log that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visible {
    /// Nothing: the write stages a new table.
    Nothing,
    /// Versions up to this one.
    UpTo(u64),
}

/// A store in which one table's log takes new entries in memory only; data files go through and are recorded.
#[derive(Debug)]
pub(super) struct StagingStore {
    inner: ObjectStoreRef,
    log: Path,
    /// Change data are staged as a table of their own, whose log never leaves the memory.
    change_log: Path,
    table: Path,
    visible: Visible,
    /// The table's folder on a local disk, where folders stay when their last file goes.
    local: Option<PathBuf>,
    staged: InMemory,
    written: Mutex<BTreeSet<Path>>,
    /// Tells other processes of the files, on a local disk.
    journal: OnceLock<Journal>,
    /// Set once the stage is given up: what still writes then is refused.
    closed: Arc<AtomicBool>,
}

impl StagingStore {
    /// `table` is the table's folder as a path in `inner`.
    pub(super) fn new(inner: ObjectStoreRef, table: Path, local: Option<PathBuf>, visible: Visible) -> Arc<Self> {
        Arc::new(Self {
            inner,
            log: table.clone().join(LOG),
            change_log: table.clone().join(CHANGE_DATA).join(LOG),
            table,
            visible,
            local,
            staged: InMemory::new(),
            written: Mutex::default(),
            journal: OnceLock::new(),
            closed: Arc::default(),
        })
    }

    /// Begins a write: puts a marker beside the table, which on a local disk is a journal of the files to come. `base` is
    /// the version that the write begins with.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) async fn begin(&self, base: Option<u64>) -> StoreResult<Path> {
        let name = format!("{JOURNAL}{}", uuid::Uuid::new_v4().simple());
        let marker = self.table.clone().join(name.as_str());
        let Some(local) = &self.local else {
            self.put(&marker, "".into()).await?;
            return Ok(marker);
        };
        let failed = |error: std::io::Error| StoreError::Generic { store: "staging", source: Box::new(error) };
        let journal = Journal::create(&local.join(&name)).map_err(failed)?;
        // An entry of the log is one version further than the last; a table that is not there has none.
        let base = base.and_then(|version| i64::try_from(version).ok()).unwrap_or(-1);
        journal.note(&format!("{BASE} {base}")).map_err(failed)?;
        let _ = self.journal.set(journal);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(marker.clone());
        Ok(marker)
    }

    /// The data files written so far, as paths in the inner store.
    pub(super) fn written(&self) -> Vec<Path> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Deletes every data file that was written.
    ///
    /// # Errors
    /// If one can't be deleted; the others are.
    pub(super) async fn discard(&self) -> StoreResult<()> {
        self.closed.store(true, Ordering::SeqCst);
        self.wait_for_uploads().await;
        let mut deleted = self.inner.delete_stream(stream::iter(self.written().into_iter().map(Ok)).boxed());
        let mut failure = None;
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => failure = Some(error),
            }
        }
        self.local.iter().for_each(|path| crate::base::files::remove_empty_dirs(path));
        failure.map_or(Ok(()), Err)
    }

    /// Uploads under way hold the flag that closes them. When the last is dropped, the store removes its parts in the
    /// background; the program must not end before that.
    async fn wait_for_uploads(&self) {
        if Arc::strong_count(&self.closed) == 1 {
            return;
        }
        let patience = Instant::now() + UPLOADS_END_WITHIN;
        while Arc::strong_count(&self.closed) > 1 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fn check_open(&self) -> StoreResult<()> {
        if self.closed.load(Ordering::SeqCst) { Err(given_up()) } else { Ok(()) }
    }

    fn in_log(&self, path: &Path) -> bool {
        path.prefix_matches(&self.log) || path.prefix_matches(&self.change_log)
    }

    /// Whether an entry of the real log is one that the stage sees.
    fn sees(&self, path: &Path) -> bool {
        if path.prefix_matches(&self.change_log) {
            return false;
        }
        match self.visible {
            Visible::Nothing => !self.in_log(path),
            // The hint of the last checkpoint may point beyond what the stage sees; the listing is enough.
            Visible::UpTo(version) => {
                !self.in_log(path) || path.filename() != Some("_last_checkpoint") && log_version(path).is_none_or(|found| found <= version)
            }
        }
    }

    fn record(&self, path: &Path) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        if let (Some(journal), Some(parts)) = (self.journal.get(), path.prefix_match(&self.table)) {
            let relative: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            // Without the line the file stays, if this process is killed.
            let _ = journal.note(&relative.join("/"));
        }
    }
}

/// The version at the beginning of a log entry's name. A compacted entry `a.b.compacted.json` counts as its last.
fn log_version(path: &Path) -> Option<u64> {
    let mut parts = path.filename()?.split('.');
    let first = parts.next()?.parse().ok()?;
    Some(parts.next().and_then(|second| second.parse().ok().filter(|_| second.len() == 20)).unwrap_or(first))
}

impl fmt::Display for StagingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "staging of {}", self.table)
    }
}

#[async_trait]
impl ObjectStore for StagingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
        if self.in_log(location) {
            return self.staged.put_opts(location, payload, opts).await;
        }
        self.check_open()?;
        self.record(location);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        if self.in_log(location) {
            return self.staged.put_multipart_opts(location, opts).await;
        }
        self.check_open()?;
        self.record(location);
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(StagedUpload { inner, closed: Arc::clone(&self.closed) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if self.in_log(location) {
            match self.staged.get_opts(location, options.clone()).await {
                Err(StoreError::NotFound { .. }) if self.sees(location) => {}
                other => return other,
            }
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let Some(prefix) = prefix.filter(|prefix| self.in_log(prefix)) else {
            return self.inner.list(prefix);
        };
        let visible = if prefix.prefix_matches(&self.change_log) { Visible::Nothing } else { self.visible };
        let log = self.log.clone();
        let real = match visible {
            Visible::Nothing => stream::empty().boxed(),
            Visible::UpTo(version) => self
                .inner
                .list(Some(prefix))
                .try_filter(move |meta| {
                    std::future::ready(!meta.location.prefix_matches(&log) || log_version(&meta.location).is_none_or(|found| found <= version))
                })
                .boxed(),
        };
        let staged = self.staged.list(Some(prefix));
        // Readers of logs rely on the order, which a chain of two listings does not keep.
        stream::once(async move {
            let mut found: BTreeMap<Path, ObjectMeta> = real.map_ok(|meta| (meta.location.clone(), meta)).try_collect().await?;
            let staged: Vec<ObjectMeta> = staged.try_collect().await?;
            found.extend(staged.into_iter().map(|meta| (meta.location.clone(), meta)));
            Ok::<_, StoreError>(stream::iter(found.into_values().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        let Some(prefix) = prefix.filter(|prefix| self.in_log(prefix)) else {
            return self.inner.list_with_delimiter(prefix).await;
        };
        let objects = self.list(Some(prefix)).try_collect().await?;
        Ok(ListResult { common_prefixes: Vec::new(), objects })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.record(to);
        self.inner.copy_opts(from, to, options).await
    }
}

/// How long an upload may take to notice that its stage is given up.
const UPLOADS_END_WITHIN: Duration = Duration::from_secs(3);

fn given_up() -> StoreError {
    StoreError::Generic { store: "staging", source: "the stage is dismissed".into() }
}

/// An upload that can't be completed once its stage is given up.
#[derive(Debug)]
struct StagedUpload {
    inner: Box<dyn MultipartUpload>,
    closed: Arc<AtomicBool>,
}

#[async_trait]
impl MultipartUpload for StagedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.closed.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(given_up())));
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        if self.closed.load(Ordering::SeqCst) {
            self.inner.abort().await?;
            return Err(given_up());
        }
        self.inner.complete().await
    }

    async fn abort(&mut self) -> StoreResult<()> {
        self.inner.abort().await
    }
}

/// Stores for one write: what it registers stays with it, everything else is found in the engine's registry.
#[derive(Debug)]
struct ScopedStores {
    own: DefaultObjectStoreRegistry,
    parent: Arc<dyn ObjectStoreRegistry>,
}

impl ObjectStoreRegistry for ScopedStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.own.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> DataFusionResult<Arc<dyn ObjectStore>, DataFusionError> {
        self.own.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> DataFusionResult<Arc<dyn ObjectStore>, DataFusionError> {
        self.parent.get_store(url).or_else(|_| self.own.get_store(url))
    }
}

/// The engine's runtime with a registry of its own, so that what delta-rs registers for a write goes when it ends.
pub(super) fn scoped_runtime(runtime: &RuntimeEnv) -> Arc<RuntimeEnv> {
    let mut scoped = runtime.clone();
    scoped.object_store_registry =
        Arc::new(ScopedStores { own: DefaultObjectStoreRegistry::new(), parent: Arc::clone(&runtime.object_store_registry) });
    Arc::new(scoped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn log_entries_stay_in_memory_and_data_files_are_forgotten_on_discard() {
        let inner: ObjectStoreRef = Arc::new(InMemory::new());
        for version in ["00000000000000000000", "00000000000000000001", "00000000000000000002"] {
            inner.put(&Path::from(format!("t/_delta_log/{version}.json")), "real".into()).await.unwrap();
        }
        let staging = StagingStore::new(Arc::clone(&inner), Path::from("t"), None, Visible::UpTo(1));
        let log = Path::from("t/_delta_log");
        staging.put(&log.clone().join("00000000000000000002.json"), "staged".into()).await.unwrap();
        staging.put(&Path::from("t/part.parquet"), "rows".into()).await.unwrap();

        let seen: Vec<_> =
            staging.list(Some(&log)).map_ok(|meta| meta.location.filename().unwrap_or_default().to_owned()).try_collect().await.unwrap();
        assert_eq!(seen, ["00000000000000000000.json", "00000000000000000001.json", "00000000000000000002.json"]);
        let entry = staging.get(&log.clone().join("00000000000000000002.json")).await.unwrap().bytes().await.unwrap();
        assert_eq!(entry.as_ref(), b"staged");
        let real = inner.get(&log.join("00000000000000000002.json")).await.unwrap().bytes().await.unwrap();
        assert_eq!(real.as_ref(), b"real");

        staging.discard().await.unwrap();
        assert!(inner.head(&Path::from("t/part.parquet")).await.is_err());
    }
}
