//! One table of type names: Spark's, Databricks', DuckDB's, Postgres' and ANSI's, nested ones included.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use super::semantics::{Floats, Semantics};
use crate::base::nearest;

/// The Arrow type of a type name, e.g. `decimal(10, 2)`, `character varying(20)`, `array<struct<a: int>>`, `bigint[]`.
///
/// Lengths of text types are accepted and not enforced, as in Delta. `timestamp` has no zone and is Delta's
/// `timestamp_ntz`; `timestamptz` is UTC.
///
/// # Errors
/// With what was not understood, as a phrase for a message.
pub fn parse_type(name: &str) -> Result<DataType, String> {
    named_type(name, Semantics::default())
}

/// The same, with types as wide as an engine has them.
pub(super) fn named_type(name: &str, semantics: Semantics) -> Result<DataType, String> {
    let mut reader = Reader { rest: name.trim(), semantics };
    let found = reader.data_type().ok_or_else(|| format!("`{}` is not a type", name.trim()))?;
    if reader.rest.trim().is_empty() {
        Ok(found)
    } else {
        Err(format!("`{}` is not a type: nothing is expected behind `{}`", name.trim(), name.trim().trim_end_matches(reader.rest).trim()))
    }
}

/// What to write in the place of a name that [`parse_type`] does not know.
#[must_use]
pub fn type_help(name: &str) -> String {
    const COMMON: [&str; 22] = [
        "boolean",
        "tinyint",
        "smallint",
        "int",
        "integer",
        "bigint",
        "long",
        "real",
        "float",
        "double",
        "varchar",
        "string",
        "text",
        "binary",
        "date",
        "timestamp",
        "timestamptz",
        "timestamp_ntz",
        "decimal",
        "numeric",
        "array",
        "struct",
    ];
    let base = name.split(['(', '<', '[', ' ']).next().unwrap_or_default();
    match nearest(base, COMMON) {
        Some(near) if !near.eq_ignore_ascii_case(base) => format!("did you mean `{near}`?"),
        _ => "types are e.g. bigint, double, decimal(18, 2), varchar, boolean, date, timestamp, array<bigint>".to_owned(),
    }
}

/// Whether a type name is that of decimals without saying how many digits.
#[must_use]
pub fn is_bare_decimal(name: &str) -> bool {
    ["decimal", "numeric", "dec"].iter().any(|bare| name.trim().eq_ignore_ascii_case(bare))
}

/// Whether values of two types can be equal: both numbers, texts or times, or of one type.
#[must_use]
pub fn comparable(left: &DataType, right: &DataType) -> bool {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
    let time = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
    left == right || text(left) && text(right) || left.is_numeric() && right.is_numeric() || time(left) && time(right)
}

/// The name under which Alluvium shows a type.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::UInt8 => "UTINYINT".into(),
        DataType::UInt16 => "USMALLINT".into(),
        DataType::UInt32 => "UINTEGER".into(),
        DataType::UInt64 => "UBIGINT".into(),
        DataType::Float16 | DataType::Float32 => "REAL".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BINARY".into(),
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".into(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            format!("DECIMAL({p},{s})")
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            format!("ARRAY<{}>", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| format!("{}: {}", field.name(), type_name(field.data_type()))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => format!("MAP<{}, {}>", type_name(pair[0].data_type()), type_name(pair[1].data_type())),
            _ => "MAP".into(),
        },
        DataType::Dictionary(_, value) => type_name(value),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        DataType::Union(..) => "UNION".into(),
    }
}

struct Reader<'a> {
    rest: &'a str,
    semantics: Semantics,
}

impl Reader<'_> {
    fn data_type(&mut self) -> Option<DataType> {
        let mut found = self.base()?;
        while self.eat("[") {
            self.eat("]").then_some(())?;
            found = DataType::List(Arc::new(Field::new("element", found, true)));
        }
        Some(found)
    }

    fn base(&mut self) -> Option<DataType> {
        let name = self.word()?.to_lowercase();
        match name.as_str() {
            "array" | "list" => return self.array(),
            "map" => return self.map(),
            "struct" | "row" => return self.structure(),
            "nullable" | "lowcardinality" => return self.wrapped(),
            _ => {}
        }
        let name = self.long_name(name);
        let arguments = self.arguments()?;
        let name = self.zone_suffix(name);
        if let (Some((precision, scale)), "decimal" | "numeric" | "number" | "dec", []) = (self.semantics.decimal, name.as_str(), &*arguments) {
            return Some(DataType::Decimal128(precision, scale));
        }
        let found = floating(&name, &arguments, self.semantics.floats).or_else(|| scalar(&name, &arguments))?;
        let wider = self.semantics.wide_integers && matches!(found, DataType::Int8 | DataType::Int16 | DataType::Int32);
        Some(if wider { DataType::Int64 } else { found })
    }

    /// Names of several words: `double precision`, `character varying`.
    fn long_name(&mut self, name: String) -> String {
        let second = match name.as_str() {
            "double" => "precision",
            "character" | "char" => "varying",
            _ => return name,
        };
        let before = self.rest;
        match self.word() {
            Some(word) if word.eq_ignore_ascii_case(second) => format!("{name} {second}"),
            _ => {
                self.rest = before;
                name
            }
        }
    }

    /// `timestamp with time zone` and `timestamp without time zone`, behind a precision too.
    fn zone_suffix(&mut self, name: String) -> String {
        let before = self.rest;
        if name == "timestamp" {
            let words: Vec<String> = std::iter::from_fn(|| self.word().map(str::to_lowercase)).take(4).collect();
            match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["with", "time", "zone"] | ["with", "local", "time", "zone"] => return "timestamptz".into(),
                ["without", "time", "zone"] => return name,
                _ => self.rest = before,
            }
        }
        name
    }

    /// The type in the brackets: what `ClickHouse` says around it is about its storage, and about NULL, which every type has here.
    fn wrapped(&mut self) -> Option<DataType> {
        self.eat("(").then_some(())?;
        let found = self.data_type()?;
        self.eat(")").then_some(found)
    }

    fn array(&mut self) -> Option<DataType> {
        let close = if self.eat("<") { ">" } else { self.eat("(").then_some(")")? };
        let item = self.data_type()?;
        self.eat(close).then(|| DataType::List(Arc::new(Field::new("element", item, true))))
    }

    fn map(&mut self) -> Option<DataType> {
        let close = if self.eat("<") { ">" } else { self.eat("(").then_some(")")? };
        let key = self.data_type()?;
        self.eat(",").then_some(())?;
        let value = self.data_type()?;
        self.eat(close).then_some(())?;
        let pair = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
        Some(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair), false)), false))
    }

    fn structure(&mut self) -> Option<DataType> {
        let close = if self.eat("<") { ">" } else { self.eat("(").then_some(")")? };
        let mut fields = Vec::new();
        loop {
            let name = self.word()?.to_owned();
            let _ = self.eat(":");
            fields.push(Field::new(name, self.data_type()?, true));
            if self.eat(close) {
                return Some(DataType::Struct(fields.into()));
            }
            self.eat(",").then_some(())?;
        }
    }

    fn arguments(&mut self) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        if self.eat("(") {
            loop {
                found.push(self.word()?.parse().ok()?);
                if self.eat(")") {
                    break;
                }
                self.eat(",").then_some(())?;
            }
        }
        Some(found)
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&str> {
        let start = self.rest.trim_start();
        let end = start.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(start.len());
        let (word, rest) = start.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Floating-point types; the one argument is a number of binary digits.
fn floating(name: &str, arguments: &[u32], floats: Floats) -> Option<DataType> {
    let of_width = |single: bool| Some(if single { DataType::Float32 } else { DataType::Float64 });
    match (name, arguments) {
        ("float", []) => of_width(floats == Floats::Single),
        ("float", [digits @ 1..=53]) => of_width(*digits <= 24 && floats != Floats::AlwaysDouble),
        ("real" | "float4", []) => of_width(floats != Floats::AlwaysDouble),
        ("float32", []) => of_width(true),
        ("double" | "double precision" | "float8" | "float64", []) => of_width(false),
        _ => None,
    }
}

fn scalar(name: &str, arguments: &[u32]) -> Option<DataType> {
    let plain = match name {
        "boolean" | "bool" | "logical" | "bit" => DataType::Boolean,
        "tinyint" | "byte" | "int1" | "byteint" => DataType::Int8,
        "smallint" | "short" | "int2" | "int16" | "utinyint" | "uint8" => DataType::Int16,
        "int" | "integer" | "int4" | "int32" | "usmallint" | "uint16" => DataType::Int32,
        "bigint" | "long" | "int8" | "int64" | "uinteger" | "uint32" => DataType::Int64,
        "string" | "text" | "varchar" | "char" | "character" | "character varying" | "char varying" | "nvarchar" | "nchar" | "bpchar"
        | "fixedstring" | "uuid" | "uniqueidentifier" => DataType::Utf8,
        // Values of many shapes are JSON, as text.
        "json" | "jsonb" | "variant" | "object" | "super" if arguments.is_empty() => DataType::Utf8,
        "binary" | "varbinary" | "bytea" | "blob" | "bytes" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" | "timestamp_ntz" | "datetime" | "datetime2" | "datetime64" | "smalldatetime" | "timestamp_s" | "timestamp_ms"
        | "timestamp_us" | "timestamp_ns" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" | "timestamp_ltz" | "timestamp_tz" | "datetimeoffset" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "hugeint" if arguments.is_empty() => DataType::Decimal128(38, 0),
        // Unsigned numbers are not known to Delta: the next signed type that holds them.
        "ubigint" | "uint64" if arguments.is_empty() => DataType::Decimal128(20, 0),
        "decimal" | "numeric" | "number" | "dec" => return decimal(arguments),
        _ => return None,
    };
    let takes_length = matches!(plain, DataType::Utf8 | DataType::Binary | DataType::Timestamp(..));
    (arguments.is_empty() || takes_length && arguments.len() == 1).then_some(plain)
}

/// Without arguments the widest type with the scale of money in most engines: (38, 10) would lose digits of sums, so
/// DuckDB's default of (18, 3) is taken.
fn decimal(arguments: &[u32]) -> Option<DataType> {
    let (precision, scale) = match arguments {
        [] => (18, 3),
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return None,
    };
    (1..=38).contains(&precision).then_some(())?;
    (scale <= precision).then_some(DataType::Decimal128(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_dialects_are_understood() {
        for (name, shown) in [
            ("character varying (20)", "VARCHAR"),
            ("DOUBLE PRECISION", "DOUBLE"),
            ("decimal(10, 2)", "DECIMAL(10,2)"),
            ("timestamp with time zone", "TIMESTAMPTZ"),
            ("timestamp(6) without time zone", "TIMESTAMP"),
            ("array<struct<a: int, b varchar(3)>>", "ARRAY<STRUCT<a: INTEGER, b: VARCHAR>>"),
            ("LowCardinality(Nullable(String))", "VARCHAR"),
            ("Array(Nullable(DateTime64(3)))", "ARRAY<TIMESTAMP>"),
            ("map<string, bigint[]>", "MAP<VARCHAR, ARRAY<BIGINT>>"),
        ] {
            assert_eq!(parse_type(name).map(|found| type_name(&found)), Ok(shown.to_owned()), "{name}");
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for name in ["", "strin", "decimal(50, 2)", "decimal(3,5)", "int(3)", "array<", "int extra"] {
            assert!(parse_type(name).is_err(), "{name}");
        }
    }
}
