//! The options of the functions that read files. What can't be had here is refused where it is written, never passed over;
//! what only tunes a mechanism of `DuckDB` is taken.

use deltalake::datafusion::sql::sqlparser::ast::{FunctionArg, Spanned};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::values::{Given, given, option};
use super::{FileKind, WrongCall};
use crate::base::nearest;
use crate::sql::semantics::Semantics;
use crate::sql::{type_help, type_name};

/// How files are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

/// What a call says of its files. What it does not say is found out from the files, as in `DuckDB`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    pub header: Option<bool>,
    pub delimiter: Option<u8>,
    /// `Some(None)`: no quote at all.
    pub quote: Option<Option<u8>>,
    pub escape: Option<u8>,
    /// What stands for NULL, in place of the empty text.
    pub nulls: Option<Vec<String>>,
    /// Lines in front of the header.
    pub skip: usize,
    /// Whether all columns are texts.
    pub all_text: bool,
    /// All columns with their types.
    pub columns: Vec<(String, String)>,
    /// Types of some columns, by name.
    pub types: Vec<(String, String)>,
    /// Types of the first columns.
    pub type_list: Vec<String>,
    /// Names of the first columns.
    pub names: Vec<String>,
    /// What the column is called that holds the path of the file.
    pub filename: Option<String>,
    /// Whether names of folders are columns; where nothing is said, they are.
    pub hive: Option<bool>,
    pub union_by_name: bool,
    pub date_format: Option<String>,
    pub timestamp_format: Option<String>,
    /// Whether a row may lack its last fields.
    pub pads: bool,
    /// Whether nothing is found out from the files.
    pub fixed: bool,
    pub packing: Option<Packing>,
}

/// The options that there are, for a hint.
const OF_CSV: [&str; 26] = [
    "all_varchar",
    "auto_detect",
    "column_names",
    "columns",
    "compression",
    "dateformat",
    "delim",
    "delimiter",
    "dtypes",
    "encoding",
    "escape",
    "filename",
    "header",
    "hive_partitioning",
    "ignore_errors",
    "names",
    "null_padding",
    "nullstr",
    "quote",
    "sample_size",
    "sep",
    "skip",
    "strict_mode",
    "timestampformat",
    "types",
    "union_by_name",
];
const OF_JSON: [&str; 9] =
    ["auto_detect", "columns", "compression", "filename", "format", "hive_partitioning", "ignore_errors", "records", "sample_size"];
const OF_PARQUET: [&str; 3] = ["filename", "hive_partitioning", "union_by_name"];

/// What says how `DuckDB` goes about it, and changes no row.
const TUNING: [&str; 7] =
    ["buffer_size", "max_line_size", "maximum_line_size", "maximum_object_size", "maximum_sample_files", "parallel", "sample_size"];

impl FileKind {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &OF_CSV,
            Self::Json => &OF_JSON,
            Self::Parquet => &OF_PARQUET,
        }
    }
}

/// One option as it is written.
struct Written<'a> {
    name: &'a str,
    value: &'a Given,
    shown: String,
    span: Span,
}

impl ReadOptions {
    pub(super) fn read(kind: FileKind, function: &str, arguments: &[FunctionArg], semantics: Semantics) -> Result<Self, WrongCall> {
        let mut options = Self::default();
        for argument in arguments {
            let Some((name, expr)) = option(argument) else {
                let help = "write options by their names: `header = true`";
                return Err(WrongCall::new(format!("`{function}` takes one path or list of paths, found `{argument}`"), argument.span(), help));
            };
            let span = argument.span();
            let Some(value) = given(expr) else {
                let help = "write a text, a number, true or false, a list of texts or a map of texts";
                return Err(WrongCall::new(format!("the option `{name}` of `{function}` is no plain value: `{expr}`"), span, help));
            };
            let written = Written { name: &name, value: &value, shown: expr.to_string(), span };
            options.set(kind, function, &written, semantics)?;
        }
        Ok(options)
    }

    fn set(&mut self, kind: FileKind, function: &str, option: &Written<'_>, semantics: Semantics) -> Result<(), WrongCall> {
        match option.name {
            "filename" => {
                self.filename = match option.value {
                    Given::Text(name) => Some(name.clone()),
                    Given::Flag(_) | Given::Number(_) | Given::List(_) | Given::Map(_) => option.flag()?.then(|| "filename".to_owned()),
                };
            }
            "hive_partitioning" => self.hive = Some(option.flag()?),
            // Fields of JSON are always told by their names.
            "union_by_name" if kind == FileKind::Json => option.only(true, "objects have the fields of all files")?,
            "union_by_name" => self.union_by_name = option.flag()?,
            name if TUNING.contains(&name) && kind != FileKind::Parquet => {}
            name if !kind.options().contains(&name) => return Err(unknown(kind, function, option)),
            "columns" => self.columns = option.types(option.map()?, semantics)?,
            "dateformat" | "date_format" => self.date_format = option.format()?,
            "timestampformat" | "timestamp_format" => self.timestamp_format = option.format()?,
            "compression" => self.packing = option.packing()?,
            "ignore_errors" => option.only(false, "rows that can't be read are errors with their file and line")?,
            "auto_detect" if kind == FileKind::Json => option.only(true, "name the fields in `columns` where others are not wanted")?,
            // Both are told from the files.
            "format" => option.one_of(&["auto", "newline_delimited", "nd", "array"])?,
            "records" => option.one_of(&["auto", "true"])?,
            "auto_detect" => self.fixed = !option.flag()?,
            _ => self.set_of_csv(option, semantics)?,
        }
        Ok(())
    }

    fn set_of_csv(&mut self, option: &Written<'_>, semantics: Semantics) -> Result<(), WrongCall> {
        match option.name {
            "header" => self.header = Some(option.flag()?),
            "delim" | "delimiter" | "sep" => self.delimiter = Some(option.byte()?.ok_or_else(|| option.expected("one ASCII character"))?),
            "quote" => self.quote = Some(option.byte()?),
            "escape" => self.escape = option.byte()?,
            "nullstr" => self.nulls = Some(option.texts()?),
            "skip" => self.skip = option.count()?,
            "all_varchar" => self.all_text = option.flag()?,
            "types" | "dtypes" => match option.value {
                Given::List(types) => {
                    let places: Vec<(String, String)> = types.iter().map(|name| (String::new(), name.clone())).collect();
                    self.type_list = option.types(places, semantics)?.into_iter().map(|(_, data_type)| data_type).collect();
                }
                Given::Map(_) | Given::Flag(_) | Given::Number(_) | Given::Text(_) => self.types = option.types(option.map()?, semantics)?,
            },
            "names" | "column_names" => self.names = option.texts()?,
            "null_padding" => self.pads = option.flag()?,
            "strict_mode" => option.only(true, "rows that are no regular CSV are errors with their file and line")?,
            _ => option.one_of(&["utf-8", "utf8"])?,
        }
        Ok(())
    }
}

impl Written<'_> {
    fn expected(&self, what: &str) -> WrongCall {
        WrongCall::new(format!("the option `{}` is `{}`, expected {what}", self.name, self.shown), self.span, format!("give `{}` {what}", self.name))
    }

    fn flag(&self) -> Result<bool, WrongCall> {
        match self.value {
            Given::Flag(flag) => Ok(*flag),
            Given::Number(0) => Ok(false),
            Given::Number(1) => Ok(true),
            Given::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Given::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Given::Number(_) | Given::Text(_) | Given::List(_) | Given::Map(_) => Err(self.expected("true or false")),
        }
    }

    fn count(&self) -> Result<usize, WrongCall> {
        match self.value {
            Given::Number(number) => usize::try_from(*number).map_err(|_| self.expected("a number of lines")),
            Given::Flag(_) | Given::Text(_) | Given::List(_) | Given::Map(_) => Err(self.expected("a number of lines")),
        }
    }

    fn text(&self) -> Result<&str, WrongCall> {
        match self.value {
            Given::Text(text) => Ok(text),
            Given::Flag(_) | Given::Number(_) | Given::List(_) | Given::Map(_) => Err(self.expected("a text")),
        }
    }

    fn texts(&self) -> Result<Vec<String>, WrongCall> {
        match self.value {
            Given::Text(text) => Ok(vec![text.clone()]),
            Given::List(texts) => Ok(texts.clone()),
            Given::Flag(_) | Given::Number(_) | Given::Map(_) => Err(self.expected("a text or a list of texts")),
        }
    }

    fn map(&self) -> Result<Vec<(String, String)>, WrongCall> {
        match self.value {
            Given::Map(map) => Ok(map.clone()),
            Given::Flag(_) | Given::Number(_) | Given::Text(_) | Given::List(_) => Err(self.expected("a map such as `{'id': 'bigint'}`")),
        }
    }

    /// A character of one byte; `None` for the empty text.
    fn byte(&self) -> Result<Option<u8>, WrongCall> {
        match (self.text()?, self.text()?.as_bytes()) {
            ("", _) => Ok(None),
            ("\\t", _) => Ok(Some(b'\t')),
            (_, [byte]) if byte.is_ascii() => Ok(Some(*byte)),
            _ => Err(self.expected("one ASCII character")),
        }
    }

    /// A format of times; `auto` is as good as none.
    fn format(&self) -> Result<Option<String>, WrongCall> {
        let format = self.text()?;
        if matches!(format.to_lowercase().as_str(), "" | "auto") {
            return Ok(None);
        }
        let known = chrono::format::StrftimeItems::new(format).all(|item| item != chrono::format::Item::Error);
        known.then(|| Some(format.to_owned())).ok_or_else(|| self.expected("a format such as `%d.%m.%Y`"))
    }

    fn packing(&self) -> Result<Option<Packing>, WrongCall> {
        match self.text()?.to_lowercase().as_str() {
            "auto" | "auto_detect" => Ok(None),
            "none" => Ok(Some(Packing::None)),
            "gzip" => Ok(Some(Packing::Gzip)),
            "zstd" => Ok(Some(Packing::Zstd)),
            _ => Err(self.expected("auto, none, gzip or zstd")),
        }
    }

    /// An option that can't be had another way.
    fn only(&self, wanted: bool, why: &str) -> Result<(), WrongCall> {
        if self.flag()? == wanted {
            return Ok(());
        }
        Err(WrongCall::new(format!("the option `{} = {}` is not available", self.name, self.shown), self.span, format!("leave it out: {why}")))
    }

    fn one_of(&self, known: &[&str]) -> Result<(), WrongCall> {
        let found = match self.value {
            Given::Flag(flag) => flag.to_string(),
            Given::Number(_) | Given::Text(_) | Given::List(_) | Given::Map(_) => self.text()?.to_lowercase(),
        };
        if known.contains(&found.as_str()) { Ok(()) } else { Err(self.expected(&known.join(" or "))) }
    }

    /// Types in the names that are the same for every adapter.
    fn types(&self, types: Vec<(String, String)>, semantics: Semantics) -> Result<Vec<(String, String)>, WrongCall> {
        let plain = |(column, name): (String, String)| match semantics.parse_type(&name) {
            Ok(found) => Ok((column, type_name(&found))),
            Err(why) => Err(WrongCall::new(format!("the option `{}`: {why}", self.name), self.span, type_help(&name))),
        };
        types.into_iter().map(plain).collect()
    }
}

fn unknown(kind: FileKind, function: &str, option: &Written<'_>) -> WrongCall {
    let known = kind.options();
    let help = match nearest(option.name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the options are {}", known.join(", ")),
    };
    WrongCall::new(format!("`{function}` has no option `{}` here", option.name), option.span, help)
}
