//! Where relations are: names to table folders, over object store URIs. Opens, lists and drops tables.
//!
//! Writing rows is `write`, making them visible `stage`; views have no folder and are in `views`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt as _};
use deltalake::{DeltaTable, DeltaTableBuilder};
use futures::TryStreamExt as _;
use futures::stream::StreamExt as _;
use url::Url;

use super::super::{EngineError, RelationKind, RelationState};
use super::layout::{DATABASES, LOG, decode, encode};
use super::{EngineOptions, failure, store};
use crate::base::{Code, Diagnostic};
use crate::manifest::RelationName;

/// The folder that a database is in.
#[derive(Debug, Clone)]
struct Root {
    url: Url,
    path: Path,
    store: ObjectStoreRef,
}

/// A table's folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) url: Url,
    pub(super) path: Path,
    pub(super) store: ObjectStoreRef,
}

/// The tables of all databases.
#[derive(Debug)]
pub(crate) struct Warehouse {
    main: Root,
    databases: HashMap<String, Root>,
    database: String,
    /// Loaded tables with the log entry that was their newest: they are good as long as it still is.
    open: Mutex<BTreeMap<RelationName, (DeltaTable, ObjectMeta)>>,
}

impl Warehouse {
    /// # Errors
    /// If a URI is not one or this build can't reach it.
    pub(super) fn open(options: &EngineOptions, runtime: &RuntimeEnv) -> Result<Self, EngineError> {
        let open = |written: &str| root(written, options, runtime);
        let mut databases = HashMap::new();
        for (name, uri) in &options.databases {
            databases.insert(name.to_lowercase(), open(uri)?);
        }
        Ok(Self { main: open(&options.warehouse)?, databases, database: options.database.clone(), open: Mutex::default() })
    }

    async fn database_folder(&self, database: &str) -> Result<Folder, EngineError> {
        let folder = |root: &Root| Folder { url: root.url.clone(), path: root.path.clone(), store: Arc::clone(&root.store) };
        if database.eq_ignore_ascii_case(&self.database) {
            return Ok(folder(&self.main));
        }
        if let Some(root) = self.databases.get(&database.to_lowercase()) {
            return Ok(folder(root));
        }
        let others = folder(&self.main).join(DATABASES);
        let spelling = others.spelling(&encode(database)?, database).await?;
        Ok(others.join(&spelling))
    }

    /// The folder that a new table of this name gets; folders that differ in case only are taken as they are.
    pub(super) async fn folder(&self, name: &RelationName) -> Result<Folder, EngineError> {
        let database = self.database_folder(&name.database).await?;
        let schema = encode(&name.schema)?;
        let identifier = encode(&name.identifier)?;
        let exact = database.join(&schema).join(&identifier);
        if exact.has_log(name).await? {
            return Ok(exact);
        }
        let schema = database.spelling(&schema, &name.short()).await?;
        let schema = database.join(&schema);
        let identifier = schema.spelling(&identifier, &name.short()).await?;
        Ok(schema.join(&identifier))
    }

    /// A table at its newest version; `None` where there is none.
    ///
    /// # Errors
    /// If the storage can't be read or the log is damaged.
    pub(crate) async fn open_table(&self, name: &RelationName) -> Result<Option<DeltaTable>, EngineError> {
        if let Some((table, newest)) = self.cached(name) {
            if is_newest(&table, &newest).await {
                return Ok(Some(table));
            }
            self.forget(name);
        }
        let folder = self.folder(name).await?;
        if !folder.has_log(name).await? {
            return Ok(None);
        }
        let mut table = folder.builder(name)?.build().map_err(|error| failure::reading(&error, name))?;
        if let Err(error) = table.load().await {
            let error = failure::reading(&error, name);
            return Err(folder.explained(error).await);
        }
        self.remember(name, &table).await;
        Ok(Some(table))
    }

    fn cached(&self, name: &RelationName) -> Option<(DeltaTable, ObjectMeta)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn forget(&self, name: &RelationName) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Keeps a loaded table until its log moves.
    pub(super) async fn remember(&self, name: &RelationName, table: &DeltaTable) {
        let Some(version) = table.version() else { return };
        if let Ok(newest) = table.object_store().head(&entry(version)).await {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), (table.clone(), newest));
        }
    }

    /// All tables of the target's database and the databases it names, sorted.
    ///
    /// # Errors
    /// If the storage can't be listed.
    pub(crate) async fn list(&self) -> Result<Vec<RelationName>, EngineError> {
        let mut names = Vec::new();
        for database in self.database_names() {
            for schema in self.schemas_of(&database).await? {
                names.extend(self.tables_of(&database, &schema).await?);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The target's database and the ones it names, the target's first.
    pub(crate) fn database_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.databases.keys().filter(|name| !name.eq_ignore_ascii_case(&self.database)).cloned().collect();
        names.sort();
        names.insert(0, self.database.clone());
        names
    }

    /// The schemas of a database that have a folder, sorted; Alluvium's own is among them.
    ///
    /// # Errors
    /// If the storage can't be listed.
    pub(crate) async fn schemas_of(&self, database: &str) -> Result<Vec<String>, EngineError> {
        let folders = self.database_folder(database).await?.folders().await?;
        let mut names: Vec<_> = folders.iter().filter_map(|folder| decode(folder)).collect();
        names.sort();
        Ok(names)
    }

    /// The tables of a schema, sorted.
    ///
    /// # Errors
    /// If the storage can't be listed.
    pub(crate) async fn tables_of(&self, database: &str, schema: &str) -> Result<Vec<RelationName>, EngineError> {
        let root = self.database_folder(database).await?;
        let folder = root.join(&root.spelling(&encode(schema)?, schema).await?);
        let mut names = Vec::new();
        for part in folder.folders().await? {
            let Some(identifier) = decode(&part) else { continue };
            let name = RelationName::new(database, schema, identifier);
            if folder.join(&part).has_log(&name).await? {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes a schema stay although it has no table. Tells whether it is new.
    ///
    /// # Errors
    /// If the storage can't be written.
    pub(crate) async fn create_schema(&self, database: &str, schema: &str) -> Result<bool, EngineError> {
        if self.schemas_of(database).await?.iter().any(|known| known.to_lowercase() == schema.to_lowercase()) {
            return Ok(false);
        }
        let folder = self.database_folder(database).await?.join(&encode(schema)?);
        let marker = folder.path.clone().join(MARKER);
        folder.store.put(&marker, "".into()).await.map_err(|error| failure::storage(&error, &format!("creating the schema `{schema}`")))?;
        Ok(true)
    }

    /// Removes a schema's folder with all that is in it. Tells whether it was there.
    ///
    /// # Errors
    /// If the storage can't be written.
    pub(crate) async fn drop_schema(&self, database: &str, schema: &str) -> Result<bool, EngineError> {
        for name in self.tables_of(database, schema).await? {
            self.drop_table(&name).await?;
        }
        let root = self.database_folder(database).await?;
        let folder = root.join(&root.spelling(&encode(schema)?, schema).await?);
        folder.delete(&format!("dropping the schema `{schema}`")).await
    }

    /// Removes a table's folder. Tells whether there was a table.
    ///
    /// # Errors
    /// If something can't be removed.
    pub(crate) async fn drop_table(&self, name: &RelationName) -> Result<bool, EngineError> {
        self.forget(name);
        let folder = self.folder(name).await?;
        if !folder.has_log(name).await? {
            return Ok(false);
        }
        folder.delete(&format!("dropping `{}`", name.short())).await
    }

    /// Moves a table to another name that nothing has: files are copied, the log last and in order, then the old ones are
    /// deleted, so that at any moment one of the names is a whole table.
    ///
    /// # Errors
    /// If something can't be copied or removed.
    pub(crate) async fn rename_table(&self, from: &RelationName, to: &RelationName) -> Result<(), EngineError> {
        let (old, new) = (self.folder(from).await?, self.folder(to).await?);
        let context = format!("renaming `{}`", from.short());
        let failed = |error| failure::storage(&error, &context);
        let found: Vec<ObjectMeta> = old.store.list(Some(&old.path)).try_collect().await.map_err(failed)?;
        let mut paths: Vec<Path> = found.into_iter().map(|meta| meta.location).collect();
        let log = old.path.clone().join(LOG);
        paths.sort_by_key(|path| (path.prefix_matches(&log), path.clone()));
        for path in &paths {
            let mut target = new.path.clone();
            for part in path.prefix_match(&old.path).into_iter().flatten() {
                target = target.join(part);
            }
            old.store.copy(path, &target).await.map_err(failed)?;
        }
        self.forget(from);
        self.forget(to);
        old.delete(&context).await.map(|_| ())
    }

    /// Writes a small object and removes it.
    ///
    /// # Errors
    /// If either fails.
    pub(super) async fn probe(&self) -> Result<(), EngineError> {
        let path = self.main.path.clone().join(format!(".probe-{}", uuid::Uuid::new_v4()));
        let context = "the warehouse can't be written".to_owned();
        self.main.store.put(&path, "probe".into()).await.map_err(|error| failure::storage(&error, &context))?;
        self.main.store.delete(&path).await.map_err(|error| failure::storage(&error, &context))
    }
}

/// Keeps an empty schema's folder.
const MARKER: &str = ".schema";

/// The path of a log entry below a table's folder.
pub(super) fn entry(version: u64) -> Path {
    Path::from(format!("{LOG}/{version:020}.json"))
}

/// Whether a loaded table's newest log entry is still there, the same, and the newest.
async fn is_newest(table: &DeltaTable, known: &ObjectMeta) -> bool {
    let Some(version) = table.version() else { return false };
    let store = table.object_store();
    let (last, next) = (entry(version), entry(version + 1));
    let (last, next) = futures::join!(store.head(&last), store.head(&next));
    let same = last.is_ok_and(|found| found.last_modified == known.last_modified && found.size == known.size && found.e_tag == known.e_tag);
    same && matches!(next, Err(StoreError::NotFound { .. }))
}

/// A loaded table as the engine's callers see it.
///
/// # Errors
/// If the table's schema can't be read.
pub(super) fn state(table: &DeltaTable, name: &RelationName) -> Result<RelationState, EngineError> {
    let snapshot = table.snapshot().map_err(|error| failure::reading(&error, name))?;
    let schema = snapshot.snapshot().arrow_schema();
    let partition_by = snapshot.metadata().partition_columns().to_vec();
    let conditions = snapshot.metadata().configuration().iter();
    let constraints = conditions.filter_map(|(key, value)| Some((key.strip_prefix("delta.constraints.")?.to_owned(), value.clone()))).collect();
    Ok(RelationState { kind: RelationKind::Table, schema, version: table.version(), sql: None, partition_by, constraints })
}

impl Folder {
    fn join(&self, part: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{part}/", self.url.path().trim_end_matches('/')));
        Self { url, path: self.path.clone().join(part), store: Arc::clone(&self.store) }
    }

    /// A builder of the table in this folder, over the folder's store.
    pub(super) fn builder(&self, name: &RelationName) -> Result<DeltaTableBuilder, EngineError> {
        self.builder_over(Arc::clone(&self.store), name)
    }

    /// As [`Folder::builder`], over another store with the same paths.
    pub(super) fn builder_over(&self, store: ObjectStoreRef, name: &RelationName) -> Result<DeltaTableBuilder, EngineError> {
        let builder = DeltaTableBuilder::from_url(self.url.clone()).map_err(|error| failure::reading(&error, name))?;
        Ok(builder.with_storage_backend(store, self.url.clone()))
    }

    pub(super) async fn has_log(&self, name: &RelationName) -> Result<bool, EngineError> {
        match self.store.list(Some(&self.path.clone().join(LOG))).next().await {
            None | Some(Err(StoreError::NotFound { .. })) => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(failure::storage(&error, &format!("reading `{}`", name.short()))),
        }
    }

    /// The error about a log with the entry that is broken or lacks, where there is one: what reads the log does not say.
    async fn explained(&self, error: EngineError) -> EngineError {
        let EngineError::Damaged { relation, reason } = error else { return error };
        let reason = self.broken_entry().await.unwrap_or(reason);
        EngineError::Damaged { relation, reason }
    }

    async fn broken_entry(&self) -> Option<String> {
        let found: Vec<ObjectMeta> = self.store.list(Some(&self.path.clone().join(LOG))).try_collect().await.ok()?;
        let mut names: Vec<String> = found.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect();
        names.sort();
        let entries: Vec<&String> = names.iter().filter(|name| name.strip_suffix(".json").is_some_and(|version| version.len() == 20)).collect();
        for name in &entries {
            let bytes = self.store.get(&self.path.clone().join(LOG).join(name.as_str())).await.ok()?.bytes().await.ok()?;
            let text = String::from_utf8_lossy(&bytes);
            let wrong = text
                .lines()
                .position(|line| !line.trim().is_empty() && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_err());
            if let Some(line) = wrong {
                return Some(format!("its log entry `{name}` is broken in line {}", line + 1));
            }
        }
        let has_checkpoint = names.iter().any(|name| name.contains(".checkpoint"));
        let versions: Vec<u64> = entries.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        let first = versions.first().filter(|first| **first > 0 && !has_checkpoint).map(|_| 0);
        let gap = versions.windows(2).find_map(|pair| if let [one, next] = pair { (*next > one + 1).then_some(one + 1) } else { None });
        first.or(gap).map(|version| format!("its log entry `{version:020}.json` is missing"))
    }

    /// The names of the folders in this one.
    async fn folders(&self) -> Result<Vec<String>, EngineError> {
        match self.store.list_with_delimiter(Some(&self.path)).await {
            Ok(found) => Ok(found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect()),
            Err(StoreError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(failure::storage(&error, &format!("listing `{}`", self.path))),
        }
    }

    /// How a part is spelt in this folder: itself, one that differs in case only, or itself where there is none.
    async fn spelling(&self, part: &str, written: &str) -> Result<String, EngineError> {
        let mut same: Vec<_> = self.folders().await?.into_iter().filter(|found| found.eq_ignore_ascii_case(part)).collect();
        same.sort();
        match same.as_slice() {
            [] => Ok(part.to_owned()),
            [one] => Ok(one.clone()),
            _ if same.iter().any(|found| found == part) => Ok(part.to_owned()),
            _ => Err(EngineError::Unsupported {
                message: format!(
                    "`{written}` means several folders that differ in case: {}",
                    same.iter().map(|found| format!("`{found}`")).collect::<Vec<_>>().join(", ")
                ),
                help: Some("spell the name as the folder that is meant".into()),
            }),
        }
    }

    /// Deletes everything below the folder: the log first, newest entry first, so that no reader finds a log whose
    /// files are gone. Tells whether there was anything.
    async fn delete(&self, context: &str) -> Result<bool, EngineError> {
        let found: Result<Vec<ObjectMeta>, _> = self.store.list(Some(&self.path)).try_collect().await;
        let mut paths: Vec<Path> = match found {
            Ok(found) => found.into_iter().map(|meta| meta.location).collect(),
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(failure::storage(&error, context)),
        };
        let log = self.path.clone().join(LOG);
        paths.sort_by_key(|path| (!path.prefix_matches(&log), std::cmp::Reverse(path.clone())));
        let any = !paths.is_empty();
        let logs = paths.iter().take_while(|path| path.prefix_matches(&log)).count();
        let data = paths.split_off(logs);
        for group in [paths, data] {
            let mut deleted = self.store.delete_stream(futures::stream::iter(group.into_iter().map(Ok)).boxed());
            while let Some(result) = deleted.next().await {
                match result {
                    Ok(_) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => return Err(failure::storage(&error, context)),
                }
            }
        }
        self.local_path().iter().for_each(|path| crate::base::files::remove_empty_dirs(path));
        Ok(any)
    }

    /// The folder on a local disk, where folders stay when their last file goes.
    pub(super) fn local_path(&self) -> Option<PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()
    }
}

fn root(written: &str, options: &EngineOptions, runtime: &RuntimeEnv) -> Result<Root, EngineError> {
    let invalid = |reason: String| {
        EngineError::Diagnosed(Box::new(
            Diagnostic::error(Code::StorageUri, format!("the warehouse `{written}` is not a path or URI: {reason}"))
                .help("use a folder, or a URI of `file`, `memory`, `s3`, `az`, `abfss` or `gs`"),
        ))
    };
    // Parsing takes `..` out of the path of a folder; stores don't know it.
    let mut url = if written.contains("://") {
        Url::parse(written).map_err(|error| invalid(error.to_string()))?
    } else {
        let project = std::path::absolute(&options.project_dir).map_err(|error| invalid(error.to_string()))?;
        let folder = Url::from_directory_path(project.join(written)).map_err(|()| invalid("the path is not absolute".into()))?;
        Url::parse(folder.as_str()).map_err(|error| invalid(error.to_string()))?
    };
    url.set_path(&format!("{}/", escaped(url.path().trim_end_matches('/'))));
    let store = store::root_store(written, &url, &options.storage_options)?;
    if url.scheme() != "file" {
        runtime.register_object_store(&url, Arc::clone(&store));
    }
    let path = Path::from_url_path(url.path()).map_err(|error| invalid(error.to_string()))?;
    // Reading a log undoes escapes once more, and would look elsewhere.
    if let Some(escape) = escape(path.as_ref()) {
        return Err(invalid(format!("the part `{escape}` of a folder's name would be taken for an escape")));
    }
    Ok(Root { url, path, store })
}

/// What looks like an escape of a URL.
fn escape(path: &str) -> Option<&str> {
    let places = path.match_indices('%').filter_map(|(at, _)| path.get(at..at + 3));
    places.into_iter().find(|found| found.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit()))
}

/// A path of a URL without what may stand there plainly, but not in the names that delta-rs makes of it for its stores.
fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '[' => escaped.push_str("%5B"),
            ']' => escaped.push_str("%5D"),
            '^' => escaped.push_str("%5E"),
            '|' => escaped.push_str("%7C"),
            '@' => escaped.push_str("%40"),
            other => escaped.push(other),
        }
    }
    escaped
}
