//! Where files are: paths and URIs to object stores, and the files that a path, folder or glob means.

use std::collections::HashMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::datafusion::execution::object_store::ObjectStoreUrl;
use deltalake::logstore::StorageConfig;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use futures::TryStreamExt as _;
use globset::{GlobBuilder, GlobMatcher};
use url::Url;

use super::super::super::EngineError;
use super::super::failure::store_reason;
use super::declared_type;
use super::infer::Guess;
use super::options::FileOptions;
use crate::base::{Code, Diagnostic};
use crate::manifest::FileFormat;

/// The object stores of one engine, each opened once.
#[derive(Debug)]
pub(crate) struct Stores {
    project_dir: PathBuf,
    options: HashMap<String, String>,
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// A path, folder or glob in an object store.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) store_url: ObjectStoreUrl,
    /// Everything in front of the first part with a wildcard.
    pub(crate) path: Path,
    pattern: Option<GlobMatcher>,
    /// As the user wrote it.
    pub(crate) written: String,
    /// Absolute, for messages on where was looked.
    looked: String,
}

/// The files of a location.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) store_url: ObjectStoreUrl,
    pub(super) files: Vec<FileEntry>,
    /// Columns that folder names of the form `name=value` tell.
    pub(super) partition_columns: Vec<String>,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct FileEntry {
    pub(super) meta: ObjectMeta,
    /// The file as messages name it.
    pub(super) shown: String,
    /// Values of the listing's partition columns.
    pub(super) partitions: Vec<Option<String>>,
}

impl Stores {
    pub(super) fn new(project_dir: &FsPath, options: HashMap<String, String>) -> Self {
        Self { project_dir: crate::base::files::absolute(project_dir), options, open: Mutex::default() }
    }

    /// What a location means: a URI, or a path relative to the project.
    ///
    /// # Errors
    /// If this build can't reach it.
    pub(crate) fn locate(&self, written: &str) -> Result<Location, EngineError> {
        match written.split_once("://") {
            Some(("file", path)) => self.local(written, FsPath::new(path.strip_prefix("localhost").unwrap_or(path))),
            Some(_) => self.remote(written),
            None => self.local(written, &self.project_dir.join(written.trim_end_matches('/'))),
        }
    }

    /// One file of the local file system, whatever characters its name has.
    ///
    /// # Errors
    /// If the path can't be told to an object store.
    pub(crate) fn locate_file(&self, path: &FsPath) -> Result<Location, EngineError> {
        let absolute = normalised(&self.project_dir.join(path));
        let written = absolute.strip_prefix(&self.project_dir).unwrap_or(&absolute).display().to_string();
        let invalid = |reason: String| invalid(&written, &reason);
        let place = Path::from_absolute_path(&absolute).map_err(|error| invalid(error.to_string()))?;
        let url = Url::parse("file:///").map_err(|error| invalid(error.to_string()))?;
        let store = self.store(&url, "file://").map_err(|error| invalid(error.to_string()))?;
        Self::location(&written, absolute.display().to_string(), (store, ObjectStoreUrl::local_filesystem()), place, None)
    }

    fn local(&self, written: &str, path: &FsPath) -> Result<Location, EngineError> {
        let invalid = |reason: String| invalid(written, &reason);
        let normal = normalised(path);
        let looked = normal.display().to_string();
        let (base, pattern) = split_glob(&looked);
        let path = Path::from_absolute_path(base).map_err(|error| invalid(error.to_string()))?;
        let url = Url::parse("file:///").map_err(|error| invalid(error.to_string()))?;
        let store = self.store(&url, "file://").map_err(|error| invalid(error.to_string()))?;
        Self::location(written, looked.clone(), (store, ObjectStoreUrl::local_filesystem()), path, pattern)
    }

    fn remote(&self, written: &str) -> Result<Location, EngineError> {
        let (base, pattern) = split_glob(written);
        let url = Url::parse(base).map_err(|error| invalid(written, &error.to_string()))?;
        let root = format!("{}://{}", url.scheme(), url.authority());
        let store = self.store(&url, &root).map_err(|_| unreachable_scheme(written, url.scheme()))?;
        let path = Path::from_url_path(url.path()).map_err(|error| invalid(written, &error.to_string()))?;
        let store_url = ObjectStoreUrl::parse(if url.authority().is_empty() { format!("{}://", url.scheme()) } else { root })
            .map_err(|error| invalid(written, &error.strip_backtrace()))?;
        Self::location(written, written.to_owned(), (store, store_url), path, pattern)
    }

    /// A file's name whatever the spelling of its location: below the project relative to it, else absolute.
    pub(super) fn name_of(&self, store: &ObjectStoreUrl, file: &Path) -> String {
        if *store != ObjectStoreUrl::local_filesystem() {
            return format!("{}{file}", store.as_str());
        }
        let absolute = format!("/{file}");
        let project = self.project_dir.display().to_string();
        match absolute.strip_prefix(&project).and_then(|rest| rest.strip_prefix('/')) {
            Some(relative) => relative.to_owned(),
            None => absolute,
        }
    }

    fn location(
        written: &str,
        looked: String,
        (store, store_url): (Arc<dyn ObjectStore>, ObjectStoreUrl),
        path: Path,
        pattern: Option<&str>,
    ) -> Result<Location, EngineError> {
        let pattern = match pattern {
            None => None,
            Some(pattern) => {
                let glob = GlobBuilder::new(pattern).literal_separator(true).build();
                Some(glob.map_err(|error| invalid(written, &error.to_string()))?.compile_matcher())
            }
        };
        Ok(Location { store, store_url, path, pattern, written: written.to_owned(), looked })
    }

    fn store(&self, url: &Url, root: &str) -> Result<Arc<dyn ObjectStore>, deltalake::DeltaTableError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(root) {
            return Ok(Arc::clone(store));
        }
        let invalid = || deltalake::DeltaTableError::InvalidTableLocation(root.to_owned());
        let scheme = Url::parse(&format!("{}://", url.scheme())).map_err(|_| invalid())?;
        let factory = deltalake::logstore::object_store_factories().get(&scheme).map(|entry| Arc::clone(entry.value())).ok_or_else(invalid)?;
        let (store, _) = factory.parse_url_opts(url, &StorageConfig::parse_options(self.options.clone())?)?;
        open.insert(root.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

fn unreachable_scheme(written: &str, scheme: &str) -> EngineError {
    let feature = match scheme {
        "s3" | "s3a" => Some("s3"),
        "az" | "azure" | "abfs" | "abfss" | "adl" => Some("azure"),
        "gs" | "gcs" => Some("gcs"),
        _ => None,
    };
    let message = format!("location `{written}`: this build does not reach `{scheme}://`");
    EngineError::Diagnosed(Box::new(match feature {
        Some(feature) => Diagnostic::error(Code::StorageFeature, message).help(format!("build with `cargo build --release --features {feature}`")),
        None => Diagnostic::error(Code::StorageUri, message).help("use a path, or a URI of `file`, `s3`, `az`, `abfss` or `gs`"),
    }))
}

fn invalid(written: &str, reason: &str) -> EngineError {
    let diagnostic = Diagnostic::error(Code::StorageUri, format!("location `{written}`: {}", reason.trim()));
    EngineError::Diagnosed(Box::new(diagnostic.help("use a path relative to the project, or a URI of `file`, `s3`, `az`, `abfss` or `gs`")))
}

/// The path without `.` and `..`, which object stores don't know.
fn normalised(path: &FsPath) -> PathBuf {
    use std::path::Component;
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => result.push(part),
        }
    }
    result
}

/// Splits in front of the first part with a wildcard.
fn split_glob(path: &str) -> (&str, Option<&str>) {
    let Some(first) = path.find(['*', '?', '[', '{']) else {
        return (path, None);
    };
    match path.get(..first).and_then(|head| head.rfind('/')) {
        Some(cut) => (path.get(..=cut).unwrap_or(path), path.get(cut + 1..)),
        None => ("", Some(path)),
    }
}

impl Location {
    pub(crate) fn is_glob(&self) -> bool {
        self.pattern.is_some()
    }

    /// Another file in the same store, under the same name for users.
    pub(crate) fn at(&self, path: Path) -> Self {
        Self { path, pattern: None, ..self.clone() }
    }

    /// The files the location means, sorted by path.
    ///
    /// # Errors
    /// A diagnostic if there is none.
    pub(super) async fn list(&self, format: FileFormat) -> Result<Listing, EngineError> {
        let (listing, others) = self.look(format).await?;
        if listing.files.is_empty() { Err(self.missing(format, others)) } else { Ok(listing) }
    }

    /// The files there are, maybe none, and how many others lie there.
    ///
    /// # Errors
    /// If the location can't be reached.
    pub(super) async fn look(&self, format: FileFormat) -> Result<(Listing, usize), EngineError> {
        if self.pattern.is_none() {
            match self.store.head(&self.path).await {
                Ok(meta) => return Ok((self.listing(vec![(meta, Vec::new())]), 0)),
                Err(StoreError::NotFound { .. }) => {}
                // A folder of the local file system is neither a file nor missing.
                Err(_) if self.store_url == ObjectStoreUrl::local_filesystem() => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        let found: Result<Vec<ObjectMeta>, _> = self.store.list(Some(&self.path)).try_collect().await;
        let mut found = match found {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(self.unreadable(&error)),
        };
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let all = found.len();
        let files: Vec<_> = found.into_iter().filter_map(|meta| self.accept(meta, format)).collect();
        Ok((self.listing(files), all))
    }

    /// The file with the folders between it and the location, if the location means it.
    fn accept(&self, meta: ObjectMeta, format: FileFormat) -> Option<(ObjectMeta, Vec<String>)> {
        let parts: Vec<String> = meta.location.prefix_match(&self.path)?.map(|part| part.as_ref().to_owned()).collect();
        let hidden = |part: &String| part.starts_with('.') || part.starts_with('_') && !part.contains('=');
        let wanted = match &self.pattern {
            Some(pattern) => pattern.is_match(parts.join("/")) && !parts.iter().any(|part| part.starts_with('.')),
            None => !parts.iter().any(hidden) && FileFormat::from_location(parts.last()?) == Some(format),
        };
        let folders = parts.get(..parts.len().saturating_sub(1)).unwrap_or_default().to_vec();
        wanted.then_some((meta, folders))
    }

    fn listing(&self, files: Vec<(ObjectMeta, Vec<String>)>) -> Listing {
        let mut partition_columns: Vec<String> = Vec::new();
        for name in files.iter().flat_map(|(_, folders)| folders).filter_map(|folder| folder.split_once('=')).map(|(name, _)| name) {
            if !name.is_empty() && !partition_columns.iter().any(|known| known.to_lowercase() == name.to_lowercase()) {
                partition_columns.push(name.to_owned());
            }
        }
        let files = files
            .into_iter()
            .map(|(meta, folders)| FileEntry {
                shown: self.shown(&meta.location),
                partitions: partition_columns.iter().map(|column| partition_value(folders.iter().map(String::as_str), column)).collect(),
                meta,
            })
            .collect();
        Listing { store: Arc::clone(&self.store), store_url: self.store_url.clone(), files, partition_columns }
    }

    /// A file in the way its location was written: relative to the project where the location is.
    fn shown(&self, file: &Path) -> String {
        let below: Vec<_> = file.prefix_match(&self.path).map(|parts| parts.map(|part| part.as_ref().to_owned()).collect()).unwrap_or_default();
        let (base, _) = split_glob(&self.written);
        if below.is_empty() {
            self.written.clone()
        } else if base.is_empty() {
            below.join("/")
        } else {
            format!("{}/{}", base.trim_end_matches('/'), below.join("/"))
        }
    }

    fn missing(&self, format: FileFormat, others: usize) -> EngineError {
        let what = match (&self.pattern, others) {
            (Some(_), _) => format!("no file matches `{}`", self.written),
            (None, 0) => format!("there is no file `{}`", self.written),
            (None, _) => format!("the folder `{}` has no {} file", self.written, format.name()),
        };
        EngineError::Diagnosed(Box::new(
            Diagnostic::error(Code::InputMissing, what)
                .note(format!("looked for `{}`", self.looked))
                .help("locations are relative to the project's folder"),
        ))
    }

    fn unreadable(&self, error: &StoreError) -> EngineError {
        let message = format!("the location `{}` can't be read: {}", self.written, store_reason(error));
        EngineError::Diagnosed(Box::new(Diagnostic::error(Code::InputFile, message).help("check that it is there and may be read")))
    }
}

/// What the names of folders say of a column.
pub(super) fn partition_value<'f>(folders: impl Iterator<Item = &'f str>, column: &str) -> Option<String> {
    let value = folders.filter_map(|folder| folder.split_once('=')).find(|(name, _)| name.to_lowercase() == column.to_lowercase())?.1;
    let decoded = percent_decoded(value);
    (!["__HIVE_DEFAULT_PARTITION__", ""].contains(&decoded.as_str())).then_some(decoded)
}

fn percent_decoded(text: &str) -> String {
    let query = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes()).next().map_or_else(|| text.to_owned(), |(_, value)| value.into_owned())
}

impl Listing {
    /// The files of several listings of one store, each once.
    ///
    /// # Errors
    /// If they are of several stores.
    pub(super) fn joined(mut self, other: Self) -> Result<Self, EngineError> {
        if self.store_url != other.store_url {
            let message = format!("`{}` and `{}` are in two stores, and are read as one table", self.store_url, other.store_url);
            let help = "read them in two tables, and join these with `union all`";
            return Err(EngineError::Diagnosed(Box::new(Diagnostic::error(Code::StorageUri, message).help(help))));
        }
        self.files.extend(other.files);
        Ok(self)
    }

    /// What the files are at the moment: changes when a file changes, comes or goes.
    pub(super) fn fingerprint(&self) -> String {
        let files =
            self.files.iter().map(|file| format!("|{} {} {} {:?}", file.meta.location, file.meta.size, file.meta.last_modified, file.meta.e_tag));
        std::iter::once(self.store_url.to_string()).chain(files).collect()
    }

    /// The schema of the files with the partition columns behind; a partition column replaces one of its name.
    pub(super) fn with_partition_columns(&self, fields: Vec<Field>, declared: &[(String, DataType)], options: &FileOptions) -> Schema {
        let is_partition = |field: &Field| self.partition_columns.iter().any(|column| column.to_lowercase() == field.name().to_lowercase());
        let mut fields: Vec<Field> = fields.into_iter().filter(|field| !is_partition(field)).collect();
        for (at, column) in self.partition_columns.iter().enumerate() {
            let data_type = declared_type(declared, column).cloned().unwrap_or_else(|| {
                let mut guess = Guess::default();
                self.files.iter().filter_map(|file| file.partitions.get(at)?.as_deref()).for_each(|value| guess.see(value, options));
                guess.data_type().unwrap_or(DataType::Utf8)
            });
            fields.push(Field::new(column, data_type, true));
        }
        Schema::new(fields)
    }
}
