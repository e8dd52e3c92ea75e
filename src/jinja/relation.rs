//! Relations and columns as templates see them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::containers::{new_dict, new_list};
use super::error::{problem, unsupported};
use super::host::{RelationKind, Restriction};
use super::values::{bind_args, describe, required};
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::Semantics;

/// What `ref`, `source`, `this` and `api.Relation.create` give.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub name: RelationName,
    pub kind: Option<RelationKind>,
    /// What a macro says it is, where this warehouse has none of that.
    foreign: Option<&'static str>,
    /// Whether database, schema and identifier are printed, and quoted.
    include: [bool; 3],
    quote: [bool; 3],
    /// Printed as a query of some rows in the place of the name; `render()` still gives the name.
    restriction: Option<Restriction>,
    /// What its adapter reads texts and names by.
    semantics: Semantics,
}

const PARTS: [&str; 3] = ["database", "schema", "identifier"];

/// Types of relations that dbt knows and this warehouse has none of.
const FOREIGN: [&str; 7] = ["cte", "materialized_view", "external", "ephemeral", "dynamic_table", "pointer_table", "function"];

impl Relation {
    pub(super) fn new(name: RelationName, kind: Option<RelationKind>, semantics: Semantics) -> Self {
        Self { name, kind, foreign: None, include: [true; 3], quote: [true; 3], restriction: None, semantics }
    }

    /// What `ref`, `source` and `this` give, of which no more than some rows may be read.
    pub(super) fn restricted(self, restriction: Option<Restriction>) -> Value {
        Value::from_object(Self { restriction, ..self })
    }

    /// With these parts in quotes.
    pub(super) fn quoted(self, quote: [bool; 3]) -> Self {
        Self { quote, ..self }
    }

    /// Of which no more than some rows are read.
    pub(super) fn limited(self, limit: usize) -> Self {
        Self { restriction: Some(if limit == 0 { Restriction::Nothing } else { Restriction::Some(limit) }), ..self }
    }

    /// With all its parts, in quotes.
    pub(super) fn whole(&self) -> Self {
        Self::new(self.name.clone(), self.kind, self.semantics)
    }

    /// As `type=` says.
    pub(super) fn of_type(self, name: &str) -> Self {
        Self { kind: kind_named(name), foreign: FOREIGN.into_iter().find(|known| *known == name), ..self }
    }

    fn type_name(&self) -> Option<&'static str> {
        match self.kind {
            Some(RelationKind::Table) => Some("table"),
            Some(RelationKind::View) => Some("view"),
            None => self.foreign,
        }
    }

    fn parts(&self) -> [&str; 3] {
        [&self.name.database, &self.name.schema, &self.name.identifier]
    }

    fn text(&self) -> String {
        let mut printed = Vec::new();
        for ((part, include), quote) in self.parts().into_iter().zip(self.include).zip(self.quote) {
            if include && !part.is_empty() {
                printed.push(if quote { self.semantics.quote_ident(part) } else { part.to_owned() });
            }
        }
        printed.join(".")
    }

    /// What a query reads: the name, or a query of some of its rows.
    fn read(&self) -> String {
        match &self.restriction {
            None => self.text(),
            Some(Restriction::Nothing) => format!("(select * from {} where false limit 0)", self.text()),
            Some(Restriction::Some(limit)) => format!("(select * from {} limit {limit})", self.text()),
            Some(Restriction::Rows(condition)) => format!("(select * from {} where {condition})", self.text()),
        }
    }

    /// As `quote_policy` and `include_policy` of `api.Relation.create` say.
    pub(super) fn with_policies(mut self, quote: Option<&Value>, include: Option<&Value>) -> Self {
        for (flags, policy) in [(&mut self.quote, quote), (&mut self.include, include)] {
            for (flag, part) in flags.iter_mut().zip(PARTS) {
                if let Some(given) = policy.and_then(|policy| policy.get_attr(part).ok()).filter(|value| value.kind() == ValueKind::Bool) {
                    *flag = given.is_true();
                }
            }
        }
        self
    }

    /// `incorporate(path={..}, type=..)`: this relation with other parts.
    fn incorporated(&self, args: &[Value]) -> Result<Self, Error> {
        let [path, kind, ..] = bind_args("incorporate", ["path", "type", "quote_policy", "include_policy"], args)?;
        let part = |name: &str, old: &str| {
            let found = path.as_ref().and_then(|path| path.get_attr(name).ok()).filter(|value| !value.is_undefined());
            found.map_or_else(|| old.to_owned(), |value| if value.is_none() { String::new() } else { value.to_string() })
        };
        let name =
            RelationName::new(part("database", &self.name.database), part("schema", &self.name.schema), part("identifier", &self.name.identifier));
        let changed = Self { name, ..self.clone() };
        Ok(match kind {
            Some(kind) => changed.of_type(kind.as_str().unwrap_or_default()),
            None => changed,
        })
    }

    /// Whether the parts that are given are this relation's, without regard to case.
    fn matches(&self, args: &[Value]) -> Result<bool, Error> {
        let given = bind_args("matches", PARTS, args)?;
        let alike = |(part, given): (&str, Option<Value>)| {
            given.is_none_or(|given| given.is_none() || given.as_str().is_some_and(|given| given.eq_ignore_ascii_case(part)))
        };
        Ok(self.parts().into_iter().zip(given).all(alike))
    }

    /// `include(..)` and `quote(..)`: the flags given by name.
    fn flags(old: [bool; 3], function: &str, args: &[Value]) -> Result<[bool; 3], Error> {
        let given = bind_args(function, PARTS, args)?;
        let mut flags = old;
        for (flag, given) in flags.iter_mut().zip(given) {
            if let Some(given) = given.filter(|value| !value.is_none() && !value.is_undefined()) {
                *flag = given.is_true();
            }
        }
        Ok(flags)
    }

    fn replaced(&self, args: &[Value]) -> Result<Self, Error> {
        let [database, schema, identifier] = bind_args("replace_path", PARTS, args)?;
        let text = |new: Option<Value>, old: &str| new.map_or_else(|| old.to_owned(), |value| value.to_string());
        let name = RelationName::new(text(database, &self.name.database), text(schema, &self.name.schema), text(identifier, &self.name.identifier));
        Ok(Self { name, ..self.clone() })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// What `type=` of a relation says.
pub(super) fn kind_named(name: &str) -> Option<RelationKind> {
    match name {
        "table" => Some(RelationKind::Table),
        "view" => Some(RelationKind::View),
        _ => None,
    }
}

fn policy(flags: [bool; 3]) -> Value {
    new_dict(PARTS.into_iter().zip(flags).map(|(part, flag)| (Value::from(part), Value::from(flag))))
}

/// Packages ask `is mapping` and for `metadata.type` to tell a relation from text, so it is a mapping.
impl Object for Relation {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let is = |wanted: &str| Value::from(self.type_name() == Some(wanted));
        let part = |part: &str| if part.is_empty() { Value::from(()) } else { Value::from(part) };
        Some(match key.as_str()? {
            "database" => part(&self.name.database),
            "schema" => part(&self.name.schema),
            "identifier" | "name" | "table" => part(&self.name.identifier),
            "is_table" => is("table"),
            "is_view" => is("view"),
            "is_cte" => is("cte"),
            "is_materialized_view" => is("materialized_view"),
            "is_dynamic_table" => is("dynamic_table"),
            "is_function" => is("function"),
            "is_pointer" => is("pointer_table"),
            "type" => self.type_name().map_or_else(|| Value::from(()), Value::from),
            "Table" => Value::from("table"),
            "View" => Value::from("view"),
            "CTE" => Value::from("cte"),
            "MaterializedView" => Value::from("materialized_view"),
            "External" => Value::from("external"),
            "limit" => match &self.restriction {
                Some(Restriction::Nothing) => Value::from(0),
                Some(Restriction::Some(limit)) => Value::from(*limit),
                Some(Restriction::Rows(_)) | None => Value::from(()),
            },
            "event_time_filter" | "catalog" => Value::from(()),
            "quote_character" => Value::from("\""),
            "can_be_renamed" => Value::from(self.kind == Some(RelationKind::Table)),
            "can_be_replaced" => Value::from(true),
            "include_policy" => policy(self.include),
            "quote_policy" => policy(self.quote),
            "metadata" => new_dict([(Value::from("type"), Value::from("AlluviumRelation"))]),
            "path" => new_dict(PARTS.into_iter().zip(self.parts()).map(|(key, name)| (Value::from(key), part(name)))),
            // As in dbt, undefined; so are attributes of a node that is taken for its relation.
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let changed = match method {
            "include" => Self { include: Self::flags(self.include, "include", args)?, ..(**self).clone() },
            "quote" => Self { quote: Self::flags(self.quote, "quote", args)?, ..(**self).clone() },
            "replace_path" => self.replaced(args)?,
            "incorporate" => self.incorporated(args)?,
            "matches" => return Ok(Value::from(self.matches(args)?)),
            "information_schema" => {
                let [view] = bind_args("information_schema", ["view_name"], args)?;
                let view = view.filter(|view| !view.is_none()).map(|view| view.to_string()).unwrap_or_default();
                let name = RelationName::new(self.name.database.as_str(), "information_schema", view.as_str());
                Self {
                    include: [true, true, !view.is_empty()],
                    quote: [true, false, false],
                    ..Self::new(name, Some(RelationKind::View), self.semantics)
                }
            }
            "without_identifier" => Self { include: [self.include[0], self.include[1], false], ..(**self).clone() },
            "to_dict" => {
                let parts = ["path", "type", "quote_character", "include_policy", "quote_policy"];
                return Ok(new_dict(parts.into_iter().filter_map(|part| Some((Value::from(part), self.get_value(&Value::from(part))?)))));
            }
            "render" => return Ok(Value::from(self.text())),
            "render_limited" => return Ok(Value::from(self.read())),
            "add_ephemeral_prefix" => {
                let [name] = bind_args("add_ephemeral_prefix", ["name"], args)?;
                return Ok(Value::from(format!("__dbt__cte__{}", required("add_ephemeral_prefix", "name", name)?)));
            }
            "get" => {
                let [key, default] = bind_args("get", ["key", "default"], args)?;
                let found = key.and_then(|key| self.get_value(&key)).filter(|value| value.kind() != ValueKind::Invalid);
                return Ok(found.or(default).unwrap_or_else(|| Value::from(())));
            }
            "quoted" => {
                let [part] = bind_args("quoted", ["identifier"], args)?;
                return Ok(Value::from(self.semantics.quote_ident(&part.unwrap_or_default().to_string())));
            }
            other => return Err(unsupported(&format!("relation.{other}()"))),
        };
        Ok(Value::from_object(changed))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["database", "schema", "identifier", "type"])
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.name.cmp(&other.downcast_ref::<Self>()?.name))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.read())
    }
}

/// A column of a relation.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub name: String,
    pub data_type: String,
    /// What its adapter reads texts and names by.
    semantics: Semantics,
}

impl Column {
    pub(super) fn value(name: &str, data_type: &str, semantics: Semantics) -> Value {
        Value::from_object(Self { name: name.to_owned(), data_type: data_type.to_owned(), semantics })
    }

    /// The column of a table, whose type is told as the engine of the adapter tells it.
    pub(super) fn told(name: &str, data_type: &str, semantics: Semantics) -> Value {
        Self::value(name, &semantics.told_type(data_type), semantics)
    }

    /// The first number in the type's parentheses.
    fn size(&self) -> Option<u64> {
        let (_, arguments) = self.data_type.split_once('(')?;
        arguments.split([',', ')']).next()?.trim().parse().ok()
    }

    /// The second number in the type's parentheses.
    fn scale(&self) -> Option<u64> {
        let (_, arguments) = self.data_type.split_once('(')?;
        arguments.split([',', ')']).nth(1)?.trim().parse().ok()
    }

    /// As dbt reads a type: `varchar(20)`, `decimal(10,2)`.
    pub(super) fn type_text(data_type: &str, size: Option<&Value>, digits: Option<(&Value, &Value)>) -> String {
        match (size, digits) {
            (Some(size), _) => format!("{data_type}({size})"),
            (None, Some((precision, scale))) => format!("{data_type}({precision},{scale})"),
            (None, None) => data_type.to_owned(),
        }
    }

    /// The type as it is written in SQL: text that has a length is written as dbt does.
    fn written(&self) -> String {
        match self.size() {
            Some(size) if self.is_one_of(STRINGS) => string_type(&size.to_string()),
            Some(_) | None => self.data_type.clone(),
        }
    }

    /// Whether it is a list, as `BigQuery`'s mode says, and the fields of the structure that it has or is a list of.
    fn nested(&self) -> (bool, Vec<Self>) {
        let kind = |text: &'_ str, name: &str| {
            let inner = text.get(..name.len()).filter(|word| word.eq_ignore_ascii_case(name)).and(text.get(name.len()..))?;
            inner.trim().strip_prefix('<')?.strip_suffix('>').map(|inner| inner.trim().to_owned())
        };
        let item = kind(self.data_type.trim(), "array");
        let record = kind(item.as_deref().unwrap_or(self.data_type.trim()), "struct");
        let fields = record.as_deref().map(parts).unwrap_or_default().into_iter().filter_map(|field| {
            let (name, data_type) = match field.strip_prefix(['"', '`']) {
                Some(quoted) => quoted.split_once(['"', '`'])?,
                None => field.split_once([' ', ':'])?,
            };
            let data_type = data_type.trim_start_matches(':').trim().to_owned();
            Some(Self { name: name.trim_end_matches(':').to_owned(), data_type, semantics: self.semantics })
        });
        (item.is_some(), fields.collect())
    }

    fn mode(&self) -> &'static str {
        if self.nested().0 { "REPEATED" } else { "NULLABLE" }
    }

    /// The columns within, by their paths; a column that is no structure is its own.
    fn flattened(&self) -> Vec<Self> {
        let (_, fields) = self.nested();
        if fields.is_empty() {
            return vec![self.clone()];
        }
        let inner = fields.iter().flat_map(Self::flattened);
        inner.map(|field| Self { name: format!("{}.{}", self.name, field.name), ..field }).collect()
    }

    /// dbt's figure for text without a length is 256.
    fn string_size(&self) -> u64 {
        self.size().unwrap_or(256)
    }

    fn is_one_of(&self, kinds: &[&str]) -> bool {
        let data_type = self.data_type.to_lowercase();
        let base = data_type.split('(').next().unwrap_or_default().trim();
        kinds.contains(&base)
    }
}

/// What stands between the commas of a structure's type, those within other types apart.
fn parts(fields: &str) -> Vec<&str> {
    let (mut found, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, c) in fields.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(fields.get(from..at).unwrap_or_default().trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(fields.get(from..).unwrap_or_default().trim());
    found
}

/// Text of a length.
pub(super) fn string_type(size: &str) -> String {
    format!("character varying({size})")
}

// What any of dbt's adapters takes for one.
const STRINGS: &[&str] = &["string", "varchar", "text", "char", "character", "character varying", "nvarchar", "bpchar"];
const INTEGERS: &[&str] = &[
    "tinyint",
    "smallint",
    "int",
    "integer",
    "bigint",
    "hugeint",
    "long",
    "short",
    "byteint",
    "int1",
    "int2",
    "int4",
    "int8",
    "int64",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "smallserial",
    "serial",
    "bigserial",
];
const FLOATS: &[&str] = &["float", "float4", "float8", "float64", "real", "double", "double precision"];
const NUMERICS: &[&str] = &["decimal", "numeric", "number", "bignumeric", "bigdecimal"];

impl Object for Column {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" | "column" => Value::from(&*self.name),
            "quoted" => Value::from(self.semantics.quote_ident(&self.name)),
            "data_type" | "expanded_data_type" => Value::from(self.written()),
            "mode" if self.semantics.adapter == "bigquery" => Value::from(self.mode()),
            "fields" if self.semantics.adapter == "bigquery" => new_list(self.nested().1.into_iter().map(Value::from_object).collect()),
            "dtype" if self.semantics.adapter == "bigquery" && !self.nested().1.is_empty() => Value::from("RECORD"),
            "dtype" => Value::from(self.data_type.split('(').next().unwrap_or_default().trim()),
            "char_size" if self.is_one_of(STRINGS) => self.size().map_or_else(|| Value::from(()), Value::from),
            "numeric_precision" if self.is_one_of(NUMERICS) => self.size().map_or_else(|| Value::from(()), Value::from),
            "numeric_scale" if self.is_one_of(NUMERICS) => self.scale().map_or_else(|| Value::from(()), Value::from),
            "char_size" | "numeric_precision" | "numeric_scale" => Value::from(()),
            // Columns of other adapters have more; macros ask whether they are there.
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "can_expand_to" => {
                let [other] = bind_args("can_expand_to", ["other_column"], args)?;
                let other = required("can_expand_to", "other_column", other)?;
                let Some(other) = other.downcast_object_ref::<Self>() else {
                    return Err(problem(Code::MacroArguments, format!("expected a column, found {}", describe(&other))));
                };
                Ok(Value::from(self.is_one_of(STRINGS) && other.is_one_of(STRINGS) && other.string_size() > self.string_size()))
            }
            "string_type" => {
                let [size] = bind_args("string_type", ["size"], args)?;
                Ok(Value::from(string_type(&required("string_type", "size", size)?.to_string())))
            }
            "literal" => {
                let [value] = bind_args("literal", ["value"], args)?;
                Ok(Value::from(format!("{}::{}", value.unwrap_or_default(), self.written())))
            }
            "is_string" => Ok(Value::from(self.is_one_of(STRINGS))),
            "is_integer" => Ok(Value::from(self.is_one_of(INTEGERS))),
            "is_float" => Ok(Value::from(self.is_one_of(FLOATS))),
            "is_numeric" => Ok(Value::from(self.is_one_of(NUMERICS))),
            "is_number" => Ok(Value::from([INTEGERS, FLOATS, NUMERICS].iter().any(|kinds| self.is_one_of(kinds)))),
            "flatten" if self.semantics.adapter == "bigquery" => Ok(new_list(self.flattened().into_iter().map(Value::from_object).collect())),
            // A structure with fields is one column.
            "flatten" => Ok(new_list(vec![Value::from_dyn_object(Arc::clone(self))])),
            "string_size" => Ok(Value::from(self.string_size())),
            "name" | "column" | "quoted" | "dtype" | "data_type" => Err(ErrorKind::UnknownMethod.into()),
            other => Err(unsupported(&format!("column.{other}()"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some((&self.name, &self.data_type).cmp(&(&other.name, &other.data_type)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Column {} ({})>", self.name, self.data_type)
    }
}
