//! Files as relations: CSV, JSON and Parquet that a source names, and seeds.
//!
//! Says which files a binding means and how they become a table provider. How a format is read is in the modules
//! below; writing files for consumers is `external`.

mod called;
mod csv;
mod infer;
mod json;
mod location;
mod moments;
mod options;
mod parquet;
mod quotes;
mod read;
mod sniff;
mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::datasource::empty::EmptyTable;

pub(crate) use location::{Location, Stores};
pub(crate) use options::{FileOptions, compression};

use super::super::{EngineError, FilesBinding, SeedInput};
use crate::base::{Code, Diagnostic, Sources, Span, nearest};
use crate::manifest::{FileFormat, RelationName};
use crate::sql::{FileCall, Semantics};
use location::Listing;

/// What every reader of files needs.
#[derive(Debug, Clone)]
struct Reading {
    listing: Arc<Listing>,
    options: FileOptions,
    sources: Arc<Sources>,
    /// Where the files are named, for messages about them.
    span: Option<Span>,
    /// How the values of columns are written, where that is not ISO's notation.
    formats: Formats,
}

/// Formats of dates and times by column.
type Formats = Vec<(String, String)>;

impl Reading {
    fn format_of(&self, field: &Field) -> Option<&str> {
        let named = || {
            let called = self.options.called.as_ref()?;
            match field.data_type() {
                DataType::Date32 => called.date_format.as_deref(),
                DataType::Timestamp(..) => called.timestamp_format.as_deref(),
                _ => None,
            }
        };
        self.formats.iter().find(|(name, _)| name.to_lowercase() == field.name().to_lowercase()).map(|(_, format)| format.as_str()).or_else(named)
    }

    fn placed(&self, error: EngineError) -> EngineError {
        placed(error, self.span)
    }
}

/// A message about files with the place that names them, where it has none of its own.
fn placed(error: EngineError, span: Option<Span>) -> EngineError {
    match (error, span) {
        (EngineError::Diagnosed(diagnostic), Some(span)) if diagnostic.labels.is_empty() => {
            EngineError::Diagnosed(Box::new(diagnostic.at(span, "named here")))
        }
        // The start of a file is where a seed is: it needs no naming.
        (EngineError::Diagnosed(diagnostic), Some(span)) if diagnostic.labels.len() == 1 && span.end > 0 => {
            EngineError::Diagnosed(Box::new(diagnostic.also(span, "the file is named here")))
        }
        (error, _) => error,
    }
}

/// What was found out from the files: their columns, how they are written, and how the values of some are.
type Inferred = (SchemaRef, FileOptions, Formats);

/// The files that are bound to relation names, and the stores they are in.
#[derive(Debug)]
pub(crate) struct FileSources {
    stores: Stores,
    sources: Arc<Sources>,
    bindings: RwLock<BTreeMap<RelationName, FilesBinding>>,
    /// Schemas by what they were inferred from, so that a file is read through once and not once a query.
    inferred: Mutex<HashMap<String, Inferred>>,
}

impl FileSources {
    pub(crate) fn new(project_dir: &Path, storage_options: HashMap<String, String>, sources: Arc<Sources>) -> Arc<Self> {
        Arc::new(Self { stores: Stores::new(project_dir, storage_options), sources, bindings: RwLock::default(), inferred: Mutex::default() })
    }

    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Makes files readable under a name. Nothing is looked at.
    pub(crate) fn bind(&self, binding: FilesBinding) {
        self.bindings.write().unwrap_or_else(PoisonError::into_inner).insert(binding.name.clone(), binding);
    }

    pub(crate) fn get(&self, name: &RelationName) -> Option<FilesBinding> {
        self.bindings.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<RelationName> {
        self.bindings.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The files of a binding as a table.
    ///
    /// # Errors
    /// If the location can't be reached by this build, an option is not known, no file is there, or one can't be read.
    pub(crate) async fn provider(&self, session: &dyn Session, binding: &FilesBinding) -> Result<Arc<dyn TableProvider>, EngineError> {
        let (reading, schema, declared) = Box::pin(self.reading(session, binding, self.located(binding)?)).await?;
        table(reading, schema, binding.config.format, &declared)
    }

    fn located(&self, binding: &FilesBinding) -> Result<Vec<Location>, EngineError> {
        let located = |location: &String| self.stores.locate(location).map_err(|error| placed(error, binding.span));
        match &binding.call {
            Some(call) => call.paths.iter().map(located).collect(),
            None => Ok(vec![located(&binding.config.location)?]),
        }
    }

    /// As [`FileSources::provider`], with the files of another location.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn provider_at(
        &self,
        session: &dyn Session,
        binding: &FilesBinding,
        location: Location,
    ) -> Result<Arc<dyn TableProvider>, EngineError> {
        let (reading, schema, declared) = Box::pin(self.reading(session, binding, vec![location])).await?;
        table(reading, schema, binding.config.format, &declared)
    }

    /// Some files of a binding as a table, with the columns that all of them have. Where no file is there any more, it has
    /// the columns that are `known` of earlier ones, in the types that are declared.
    ///
    /// # Errors
    /// As [`FileSources::provider`].
    pub(crate) async fn provider_of(
        &self,
        session: &dyn Session,
        binding: &FilesBinding,
        wanted: &BTreeSet<String>,
        known: Option<&[(String, String)]>,
    ) -> Result<Arc<dyn TableProvider>, EngineError> {
        if wanted.is_empty()
            && self.paths(binding).await?.is_empty()
            && let Some(schema) = without_files(binding, known)?
        {
            return Ok(Arc::new(EmptyTable::new(schema)));
        }
        let (mut reading, schema, declared) = Box::pin(self.reading(session, binding, self.located(binding)?)).await?;
        let mut listing = (*reading.listing).clone();
        listing.files.retain(|file| wanted.contains(&self.stores.name_of(&listing.store_url, &file.meta.location)));
        if listing.files.is_empty() {
            return Ok(Arc::new(EmptyTable::new(schema)));
        }
        reading.listing = Arc::new(listing);
        table(reading, schema, binding.config.format, &declared)
    }

    /// The names of a binding's files, by which they are told apart whatever the spelling of their location; there may be none.
    ///
    /// # Errors
    /// If the location can't be listed.
    pub(crate) async fn paths(&self, binding: &FilesBinding) -> Result<Vec<String>, EngineError> {
        let mut paths = Vec::new();
        for location in self.located(binding)? {
            let (listing, _) = location.look(binding.config.format).await.map_err(|error| placed(error, binding.span))?;
            paths.extend(listing.files.iter().map(|file| self.stores.name_of(&listing.store_url, &file.meta.location)));
        }
        Ok(paths)
    }

    async fn reading(
        &self,
        session: &dyn Session,
        binding: &FilesBinding,
        locations: Vec<Location>,
    ) -> Result<(Reading, SchemaRef, Vec<(String, DataType)>), EngineError> {
        let at_binding = |error| placed(error, binding.span);
        let format = binding.config.format;
        let mut listing: Option<Listing> = None;
        for location in locations {
            let next = location.list(format).await.map_err(at_binding)?;
            listing = Some(match listing {
                Some(listing) => listing.joined(next).map_err(at_binding)?,
                None => next,
            });
        }
        let Some(mut listing) = listing else {
            return Err(EngineError::Damaged { relation: binding.name.short(), reason: "it names no files".into() });
        };
        if let Some(call) = &binding.call {
            let (options, mut declared) = called::of_call(call);
            called::name_files(&mut listing, call, &mut declared);
            let (reading, schema) = self.open(session, (listing, format), options, &declared, binding.span).await?;
            return match unknown_type_of(call, &schema) {
                None => Ok((reading, schema, declared)),
                Some(diagnostic) => Err(at_binding(EngineError::Diagnosed(Box::new(diagnostic)))),
            };
        }
        let mut declared = declared(binding).map_err(at_binding)?;
        let options = FileOptions::parse(&binding.config, &binding.option_spans).map_err(at_binding)?;
        self.add_origin(binding, &mut listing, &mut declared);
        let (reading, schema) = self.open(session, (listing, format), options, &declared, binding.span).await?;
        match lacking(binding, &declared, &schema) {
            None => Ok((reading, schema, declared)),
            Some(diagnostic) => Err(at_binding(EngineError::Diagnosed(Box::new(diagnostic)))),
        }
    }

    /// The files that a query names as a table.
    ///
    /// # Errors
    /// As [`FileSources::provider`].
    pub(crate) async fn provider_of_call(&self, session: &dyn Session, call: FileCall) -> Result<Arc<dyn TableProvider>, EngineError> {
        let binding = FilesBinding::of_call(RelationName::new("", "", &call.text), call);
        self.provider(session, &binding).await
    }

    /// The columns that tell where a row comes from and when it was read, where the source declares them.
    fn add_origin(&self, binding: &FilesBinding, listing: &mut Listing, declared: &mut Vec<(String, DataType)>) {
        let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        let origins = [(SOURCE_FILE, DataType::Utf8), (INGESTED_AT, DataType::Timestamp(TimeUnit::Microsecond, None))];
        for (name, data_type) in origins {
            let Some((column, _)) = binding.columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)) else { continue };
            if listing.partition_columns.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            listing.partition_columns.push(column.clone());
            for file in &mut listing.files {
                let value = if name == SOURCE_FILE { self.stores.name_of(&listing.store_url, &file.meta.location) } else { now.clone() };
                file.partitions.push(Some(value));
            }
            if declared_type(declared, column).is_none() {
                declared.push((column.clone(), data_type));
            }
        }
    }

    /// A seed's file as a table; types that are not given are inferred from all its values.
    ///
    /// # Errors
    /// If the file is missing or not a regular CSV file, or a type is not one.
    pub(crate) async fn seed_provider(&self, session: &dyn Session, seed: &SeedInput) -> Result<Arc<dyn TableProvider>, EngineError> {
        let semantics = Semantics::of_session(session);
        let mut declared = Vec::new();
        for (name, type_name) in &seed.column_types {
            declared.push((
                name.clone(),
                parse_declared(name, &semantics.plain_type(type_name))
                    .map_err(|diagnostic| EngineError::Diagnosed(Box::new(diagnostic.at(seed.span, "this seed"))))?,
            ));
        }
        let listing = self.stores.locate_file(&seed.path)?.list(FileFormat::Csv).await.map_err(|error| placed(error, Some(seed.span)))?;
        let options = FileOptions::seed(seed.delimiter, semantics.adapter);
        let (reading, schema) = self.open(session, (listing, FileFormat::Csv), options, &declared, Some(seed.span)).await?;
        table(reading, schema, FileFormat::Csv, &declared)
    }

    #[expect(clippy::too_many_arguments, reason = "what to read and how to read it; a struct would be taken apart at once")]
    async fn open(
        &self,
        session: &dyn Session,
        (listing, format): (Listing, FileFormat),
        options: FileOptions,
        declared: &[(String, DataType)],
        span: Option<Span>,
    ) -> Result<(Reading, SchemaRef), EngineError> {
        let listing = Arc::new(listing);
        session.runtime_env().register_object_store(listing.store_url.as_ref(), Arc::clone(&listing.store));
        let mut reading = Reading { listing, options, sources: Arc::clone(&self.sources), span, formats: Formats::new() };
        let key = format!("{:?}|{:?}|{declared:?}|{}", format, reading.options, reading.listing.fingerprint());
        let known = self.inferred.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let (schema, options, formats) = if let Some(known) = known {
            known
        } else {
            let mut typed = declared.to_vec();
            if format == FileFormat::Csv && reading.options.called.is_some() {
                let asked = reading.clone();
                let settled = tokio::task::spawn_blocking(move || sniff::settle(&asked)).await;
                let (options, listed) = settled.unwrap_or_else(|_| Ok((reading.options.clone(), Vec::new())))?;
                reading.options = options;
                typed.extend(listed);
            }
            let (schema, formats) = infer_schema(session, &reading, format, &typed).await.map_err(|error| reading.placed(error))?;
            let found = (schema, reading.options.clone(), formats);
            self.inferred.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
            found
        };
        (reading.options, reading.formats) = (options, formats);
        Ok((reading, schema))
    }
}

/// A column that a call gives a type and that no file has.
fn unknown_type_of(call: &FileCall, schema: &SchemaRef) -> Option<Diagnostic> {
    let has = |name: &str| schema.fields().iter().any(|field| field.name().to_lowercase() == name.to_lowercase());
    let (name, _) = call.options.types.iter().find(|(name, _)| !has(name))?;
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let found = Diagnostic::error(Code::InputFile, format!("the files have no column `{name}`, which `types` names"));
    Some(found.help_nearest(nearest(name, columns.iter().copied()), format!("the columns are {}", columns.join(", "))))
}

/// A file without a column that the first one has.
fn lacks_column(file: &str, column: &str, first: &str) -> EngineError {
    let message = format!("`{file}` has no column `{column}`, which `{first}` has");
    EngineError::Diagnosed(Box::new(Diagnostic::error(Code::InputFile, message).help("add `union_by_name = true` to read the columns of all files")))
}

/// The columns of a source without files; `None` where neither earlier files nor its declaration tell all of them.
fn without_files(binding: &FilesBinding, known: Option<&[(String, String)]>) -> Result<Option<SchemaRef>, EngineError> {
    let declared = declared(binding).map_err(|error| placed(error, binding.span))?;
    let mut fields: Vec<Field> = Vec::new();
    for (name, type_name) in known.unwrap_or_default() {
        let Ok(data_type) = crate::sql::parse_type(type_name) else { return Ok(None) };
        fields.push(Field::new(name, declared_type(&declared, name).cloned().unwrap_or(data_type), true));
    }
    if known.is_none() {
        if declared.is_empty() || declared.len() < binding.columns.len() {
            return Ok(None);
        }
        fields.extend(declared.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)));
    }
    Ok(Some(Arc::new(Schema::new(fields))))
}

/// Where a row comes from.
const SOURCE_FILE: &str = "_source_file";
/// When it was read.
const INGESTED_AT: &str = "_ingested_at";

fn table(reading: Reading, schema: SchemaRef, format: FileFormat, declared: &[(String, DataType)]) -> Result<Arc<dyn TableProvider>, EngineError> {
    match format {
        FileFormat::Csv => Ok(read::table(reading, schema, csv::decode)),
        FileFormat::Json => Ok(read::table(reading, schema, json::decode)),
        FileFormat::Parquet => parquet::table(&reading, &schema, declared),
    }
}

/// A column that is declared with a type and stands in none of the files: its declaration would mean nothing.
fn lacking(binding: &FilesBinding, declared: &[(String, DataType)], schema: &SchemaRef) -> Option<Diagnostic> {
    let has = |name: &str| schema.fields().iter().any(|field| field.name().to_lowercase() == name.to_lowercase());
    let (name, _) = declared.iter().find(|(name, _)| !has(name))?;
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let message = format!("`{}` has no column `{name}`, which is declared", binding.config.location);
    let found = Diagnostic::error(Code::InputFile, message);
    Some(found.help_nearest(nearest(name, columns.iter().copied()), format!("the columns are {}", columns.join(", "))))
}

/// The columns of the files, then those in the names of their folders.
async fn infer_schema(
    session: &dyn Session,
    reading: &Reading,
    format: FileFormat,
    declared: &[(String, DataType)],
) -> Result<(SchemaRef, Formats), EngineError> {
    let (fields, formats) = match format {
        FileFormat::Csv => csv::infer(reading, declared).await?,
        FileFormat::Json => (json::infer(reading, declared).await?, Formats::new()),
        FileFormat::Parquet => (parquet::infer(session, reading).await?, Formats::new()),
    };
    Ok((Arc::new(reading.listing.with_partition_columns(fields, declared, &reading.options)), formats))
}

fn declared(binding: &FilesBinding) -> Result<Vec<(String, DataType)>, EngineError> {
    let typed = binding.columns.iter().filter_map(|(name, data_type)| Some((name, data_type.as_ref()?)));
    typed
        .map(|(name, data_type)| {
            parse_declared(name, data_type).map(|parsed| (name.clone(), parsed)).map_err(|diagnostic| EngineError::Diagnosed(Box::new(diagnostic)))
        })
        .collect()
}

fn parse_declared(column: &str, type_name: &str) -> Result<DataType, Diagnostic> {
    let unknown = |reason| Diagnostic::error(Code::TypeUnknown, format!("column `{column}`: {reason}")).help(crate::sql::type_help(type_name));
    crate::sql::parse_type(type_name).map_err(unknown)
}

/// The type that is declared for a column, whatever the case of its name.
fn declared_type<'a>(declared: &'a [(String, DataType)], column: &str) -> Option<&'a DataType> {
    declared.iter().find(|(name, _)| name.to_lowercase() == column.to_lowercase()).map(|(_, data_type)| data_type)
}

#[cfg(test)]
mod tests;
