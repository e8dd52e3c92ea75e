//! The options of a location: how its files are written down.

use std::collections::BTreeMap;

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::datasource::file_format::file_compression_type::FileCompressionType;

use super::super::super::EngineError;
use super::called::Called;
use crate::base::{Code, Diagnostic, Span, nearest};
use crate::manifest::{ExternalConfig, FileFormat};
use crate::sql::Packing;

/// How CSV files are written down; the other formats need no options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileOptions {
    pub(crate) header: bool,
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    /// Whether values stand in quotes at all.
    pub(crate) quotes: bool,
    /// `None`: a quote inside quotes is doubled.
    pub(crate) escape: Option<u8>,
    /// What stands for NULL beside the empty value.
    pub(crate) null_value: Option<String>,
    /// Read as dbt reads seeds: `null` in any case and mere spaces mean NULL too, and a column without values has whole numbers.
    pub(crate) as_seed: Option<SeedRows>,
    /// Read as a function of `DuckDB`'s reads files.
    pub(crate) called: Option<Called>,
}

/// What the rows of a seed may be that do not quite fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeedRows {
    /// They fit.
    Exact,
    /// Numbers are rounded to the digits of their decimal, as `DuckDB` does, which reads the file itself.
    Rounded,
    /// Fields that a row lacks at its end are NULL too: dbt reads the file, and its engine rounds.
    Padded,
}

impl SeedRows {
    fn of(adapter: &str) -> Self {
        match adapter {
            "alluvium" => Self::Exact,
            "duckdb" => Self::Rounded,
            _ => Self::Padded,
        }
    }
}

const NAMES: [&str; 6] = ["header", "delimiter", "quote", "escape", "null_value", "encoding"];

impl FileOptions {
    fn plain() -> Self {
        Self { header: true, delimiter: b',', quote: b'"', quotes: true, escape: None, null_value: None, as_seed: None, called: None }
    }

    /// How a seed is written that is read as an adapter's.
    pub(crate) fn seed(delimiter: char, adapter: &str) -> Self {
        let delimiter = u8::try_from(delimiter).unwrap_or(b',');
        Self { delimiter, as_seed: Some(SeedRows::of(adapter)), ..Self::plain() }
    }

    /// Whether a row may end before its last fields.
    pub(crate) fn pads_rows(&self) -> bool {
        self.as_seed == Some(SeedRows::Padded) || self.called.as_ref().is_some_and(|called| called.pads)
    }

    /// Whether every column is a text.
    pub(crate) fn all_text(&self) -> bool {
        self.called.as_ref().is_some_and(|called| called.all_text)
    }

    /// Whether numbers are rounded to the digits that their decimal keeps.
    pub(crate) fn rounds(&self) -> bool {
        matches!(self.as_seed, Some(SeedRows::Rounded | SeedRows::Padded)) || self.called.is_some()
    }

    /// Whether the text of a field means NULL.
    pub(crate) fn is_null(&self, text: &str) -> bool {
        if let Some(Called { nulls: Some(nulls), .. }) = &self.called {
            return nulls.iter().any(|null| null == text);
        }
        let bare = text.trim();
        text.is_empty()
            || self.null_value.as_deref() == Some(text)
            || self.as_seed.is_some() && (bare.is_empty() || bare.eq_ignore_ascii_case("null"))
    }

    /// The type of a column that has no value in any row.
    pub(crate) fn without_values(&self) -> DataType {
        if self.as_seed.is_some() { DataType::Int64 } else { DataType::Utf8 }
    }

    /// # Errors
    /// A diagnostic for an option that is not known or has a value that is not allowed.
    pub(crate) fn parse(config: &ExternalConfig, places: &BTreeMap<String, Span>) -> Result<Self, EngineError> {
        let mut options = Self::plain();
        for (name, value) in &config.options {
            options.set(name, value).map_err(|diagnostic| {
                let diagnostic = diagnostic.at_opt(places.get(name).copied(), "set here");
                EngineError::Diagnosed(Box::new(diagnostic.note(format!("the location is `{}`", config.location))))
            })?;
        }
        if config.format == FileFormat::Csv && options.delimiter == options.quote {
            let same = Diagnostic::error(Code::ConfigType, "the options `delimiter` and `quote` are the same character")
                .at_opt(places.get("quote").or_else(|| places.get("delimiter")).copied(), "set here")
                .help("give them different characters");
            return Err(EngineError::Diagnosed(Box::new(same)));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Diagnostic> {
        match name.to_lowercase().as_str() {
            "header" => self.header = parse_bool(name, value)?,
            "delimiter" | "delim" | "sep" | "separator" => self.delimiter = parse_byte(name, value)?,
            "quote" => self.quote = parse_byte(name, value)?,
            "escape" => self.escape = Some(parse_byte(name, value)?).filter(|escape| *escape != self.quote),
            "null_value" | "nullstr" | "null" => self.null_value = Some(value.to_owned()),
            "encoding" if ["utf-8", "utf8"].contains(&value.to_lowercase().as_str()) => {}
            "encoding" => return Err(wrong(name, "utf-8", value)),
            _ => {
                let unknown = Diagnostic::error(Code::UnknownKey, format!("unknown option `{name}` of a file location"));
                return Err(unknown.help_nearest(nearest(name, NAMES), format!("the options are {}", NAMES.join(", "))));
            }
        }
        Ok(())
    }
}

fn parse_bool(name: &str, value: &str) -> Result<bool, Diagnostic> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(wrong(name, "true or false", value)),
    }
}

fn parse_byte(name: &str, value: &str) -> Result<u8, Diagnostic> {
    match (value, value.as_bytes()) {
        ("\\t" | "tab", _) => Ok(b'\t'),
        (_, [byte]) if byte.is_ascii() => Ok(*byte),
        _ => Err(wrong(name, "one ASCII character", value)),
    }
}

fn wrong(name: &str, expected: &str, found: &str) -> Diagnostic {
    Diagnostic::error(Code::ConfigType, format!("option `{name}`: expected {expected}, found `{found}`")).help(format!("give `{name}` {expected}"))
}

/// The compression of a file: what is said of it, else what its name tells.
pub(super) fn packing(path: &str, options: &FileOptions) -> FileCompressionType {
    match options.called.as_ref().and_then(|called| called.packing) {
        Some(Packing::None) => FileCompressionType::UNCOMPRESSED,
        Some(Packing::Gzip) => FileCompressionType::GZIP,
        Some(Packing::Zstd) => FileCompressionType::ZSTD,
        None => compression(path),
    }
}

/// The compression that a file name tells by its ending.
pub(crate) fn compression(path: &str) -> FileCompressionType {
    match path.rsplit('.').next().map(str::to_lowercase).as_deref() {
        Some("gz") => FileCompressionType::GZIP,
        Some("bz2") => FileCompressionType::BZIP2,
        Some("xz") => FileCompressionType::XZ,
        Some("zst") => FileCompressionType::ZSTD,
        _ => FileCompressionType::UNCOMPRESSED,
    }
}
