//! Files that SQL names as a table: `read_csv('data/x.csv', header = true)`, `'data/*.parquet'`. What DuckDB's functions and
//! their options say, as data; reading is the engine's affair.
//!
//! A rewritten statement names such a table by the text of its call, so that what resolves names needs nothing more.

mod options;
mod values;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use deltalake::datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, Value};
use deltalake::datafusion::sql::sqlparser::parser::Parser;
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

pub use options::{Packing, ReadOptions};

use super::grammar::Grammar;
use super::semantics::Semantics;
use crate::base::nearest;

/// How files are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Csv,
    Json,
    Parquet,
}

/// Files that a query reads, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCall {
    pub kind: FileKind,
    /// Paths, globs and URIs.
    pub paths: Vec<String>,
    pub options: ReadOptions,
    /// As it is written, by which a statement names the table.
    pub text: String,
}

/// What is wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongCall {
    pub message: String,
    pub help: String,
    /// In the text that was parsed.
    pub(super) span: Span,
}

impl WrongCall {
    fn new(message: impl Into<String>, span: Span, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), span }
    }
}

const FUNCTIONS: [(&str, FileKind); 8] = [
    ("read_csv", FileKind::Csv),
    ("read_csv_auto", FileKind::Csv),
    ("read_parquet", FileKind::Parquet),
    ("parquet_scan", FileKind::Parquet),
    ("read_json", FileKind::Json),
    ("read_json_auto", FileKind::Json),
    ("read_ndjson", FileKind::Json),
    ("read_ndjson_auto", FileKind::Json),
];

/// The names of the functions that read files.
pub fn file_functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

fn kind_of_function(name: &str) -> Option<FileKind> {
    FUNCTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
}

/// Whether a name is that of a function that reads files.
pub(super) fn is_file_function(name: &str) -> bool {
    kind_of_function(name).is_some()
}

impl FileCall {
    /// A call of a function that reads files, a path in quotes, or a path alone.
    ///
    /// # Errors
    /// If the text is something else, or an option is not there.
    pub fn parse(text: &str, semantics: Semantics) -> Result<Self, WrongCall> {
        let text = text.trim();
        if !text.contains('(') && !text.starts_with('\'') {
            return Self::of_path(text, Span::empty());
        }
        let parser = Parser::new(&Grammar).try_with_sql(text);
        let whole = parser.and_then(|mut parser| Ok((parser.parse_expr()?, parser.peek_token().token)));
        let help = format!("write a path, or a call of {}", FUNCTIONS.map(|(name, _)| name).join(", "));
        let (expr, behind) =
            whole.map_err(|_| WrongCall::new(format!("`{text}` is no call of a function that reads files"), Span::empty(), &help))?;
        let ends = behind == deltalake::datafusion::sql::sqlparser::tokenizer::Token::EOF;
        match &expr {
            Expr::Value(value) if ends => match &value.value {
                Value::SingleQuotedString(path) => Self::of_path(path, value.span),
                _ => Err(WrongCall::new(format!("`{text}` is no path"), value.span, help)),
            },
            Expr::Function(function) if ends => match &function.args {
                FunctionArguments::List(list) => Self::of_call(&function.name.to_string(), &list.args, function.name.span(), semantics),
                FunctionArguments::None | FunctionArguments::Subquery(_) => {
                    Err(WrongCall::new(format!("`{text}` names no files"), function.name.span(), help))
                }
            },
            _ => Err(WrongCall::new(format!("`{text}` is no call of a function that reads files"), Span::empty(), help)),
        }
    }

    /// The files of a path, whose format its ending tells.
    pub(super) fn of_path(path: &str, span: Span) -> Result<Self, WrongCall> {
        let Some(kind) = kind_of_path(path) else {
            let help = "read it with `read_csv`, `read_json` or `read_parquet`";
            return Err(WrongCall::new(format!("the format of `{path}` can't be told from its name"), span, help));
        };
        let options = ReadOptions { delimiter: tabbed(path).then_some(b'\t'), ..ReadOptions::default() };
        Ok(Self { kind, paths: vec![path.to_owned()], options, text: named(format!("'{}'", path.replace('\'', "''"))) })
    }

    /// A call with its arguments: paths first, then options by name.
    pub(super) fn of_call(name: &str, arguments: &[FunctionArg], span: Span, semantics: Semantics) -> Result<Self, WrongCall> {
        let Some(kind) = kind_of_function(name) else {
            let known = || FUNCTIONS.iter().map(|(known, _)| *known);
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("files are read by {}", known().collect::<Vec<_>>().join(", ")),
            };
            return Err(WrongCall::new(format!("`{name}` is no function that reads files"), span, help));
        };
        let mut given = arguments.iter();
        let paths = match given.next() {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) => values::paths(first),
            _ => None,
        };
        let Some(paths) = paths.filter(|paths| !paths.is_empty()) else {
            let help = format!("write the path as a text: `{name}('data/orders.csv')`, or a list of them");
            return Err(WrongCall::new(format!("`{name}` needs a path as its first argument"), span, help));
        };
        let options = ReadOptions::read(kind, name, given.as_slice(), semantics)?;
        let written: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Ok(Self { kind, paths, options, text: named(format!("{}({})", name.to_lowercase(), written.join(", "))) })
    }

    /// What the table is called that has no alias.
    pub(super) fn alias(&self) -> String {
        match (self.text.split('(').next(), self.paths.first()) {
            (Some(function), _) if is_file_function(function) => function.to_owned(),
            (_, Some(path)) => {
                let file = path.rsplit('/').next().unwrap_or(path);
                file.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(file).to_owned()
            }
            (_, None) => "files".to_owned(),
        }
    }
}

/// The files that the name of a table in a rewritten statement means.
#[must_use]
pub fn file_call(table: &str, semantics: Semantics) -> Option<FileCall> {
    let is_call = || table.split_once('(').is_some_and(|(function, _)| is_file_function(function));
    (table.starts_with('\'') || is_call()).then(|| FileCall::parse(table, semantics).ok()).flatten()
}

/// Names of tables are compared whatever their case, and paths are not.
fn named(text: String) -> String {
    if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        let mut of = DefaultHasher::new();
        text.hash(&mut of);
        return format!("{text} /* {:x} */", of.finish());
    }
    text
}

fn kind_of_path(path: &str) -> Option<FileKind> {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let mut endings = name.rsplit('.');
    let last = endings.next()?;
    let ending = if matches!(last, "gz" | "zst" | "bz2" | "xz") { endings.next()? } else { last };
    match ending {
        "csv" | "tsv" => Some(FileKind::Csv),
        "json" | "ndjson" | "jsonl" => Some(FileKind::Json),
        "parquet" => Some(FileKind::Parquet),
        _ => None,
    }
}

fn tabbed(path: &str) -> bool {
    path.to_lowercase().rsplit('/').next().is_some_and(|name| name.split('.').any(|part| part == "tsv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<FileCall, WrongCall> {
        FileCall::parse(text, Semantics::of_adapter("duckdb"))
    }

    #[test]
    fn calls_paths_and_what_is_neither() {
        let call = parsed("READ_CSV(['a.csv', 'b.csv'], delim = ';', header = true, nullstr = ['-', 'NA'])").unwrap();
        assert_eq!((call.kind, call.paths.as_slice()), (FileKind::Csv, &["a.csv".to_owned(), "b.csv".to_owned()][..]));
        assert_eq!((call.options.delimiter, call.options.header), (Some(b';'), Some(true)));
        assert_eq!(call.options.nulls, Some(vec!["-".to_owned(), "NA".to_owned()]));
        assert_eq!(parsed("data/x.parquet").map(|call| (call.kind, call.text)), Ok((FileKind::Parquet, "'data/x.parquet'".to_owned())));
        assert_eq!(parsed("'it''s.json.gz'").map(|call| call.paths), Ok(vec!["it's.json.gz".to_owned()]));
        assert_eq!(parsed("x.tsv").map(|call| call.options.delimiter), Ok(Some(b'\t')));
        for wrong in ["x.xlsx", "(select 1)", "postgres_scan('a')", "read_csv()", "read_csv(a)", "read_csv('a') where true", "read_csv('a', b = 1)"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_call_is_found_again_by_its_name() {
        for text in ["read_csv('A.csv', columns = {'x': 'integer'}, types = {'y': 'date'})", "'Data/x.csv'", "read_json('a.json', filename = true)"] {
            let call = parsed(text).unwrap();
            assert_eq!(file_call(&call.text, Semantics::of_adapter("duckdb")).as_ref(), Some(&call), "{text}");
        }
        assert_ne!(parsed("'A.csv'").unwrap().text.to_lowercase(), parsed("'a.csv'").unwrap().text.to_lowercase());
        assert_eq!(file_call("orders", Semantics::default()), None);
    }
}
