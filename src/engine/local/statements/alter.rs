//! `alter table` and `comment on`.
//!
//! What is only said of a table is a commit without files. What its files would have to follow, dropped, renamed and
//! retyped columns and new ones with a value, is a copy of the rows into new files in one commit: Alluvium's tables do not map their columns.

mod metadata;

use deltalake::arrow::datatypes::{DataType, Field, SchemaRef};
use deltalake::datafusion::sql::sqlparser::ast;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::{MetadataValue, StructField};
use deltalake::{DeltaTable, DeltaTableError};

use super::super::super::{EngineError, RelationKind, SchemaChange, TableColumn, TableInput, TableSettings, TableWrite, WriteMode};
use super::super::write::DEFAULT;
use super::super::{LocalEngine, failure};
use super::composed::Composed;
use super::maintain::open;
use super::rows::delta_session;
use super::tables::{columns_of, label, position, table_schema, typed, write};
use super::{at, existing, invalid_at, kind_of, relation_name};
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{Alteration, Named, NewColumn, Piece, SqlError, Word, quote_ident, type_name};

/// The prefix of a CHECK constraint's property.
const CONSTRAINT: &str = "delta.constraints.";

/// A table to alter.
struct Altered<'a> {
    engine: &'a LocalEngine,
    statement: &'a str,
    relation: RelationName,
    schema: SchemaRef,
    table: DeltaTable,
}

pub(super) async fn alter(engine: &LocalEngine, statement: &str, (named, if_exists): (&Named, bool), change: &Alteration) -> Result<(), EngineError> {
    let relation = relation_name(engine, &named.name)?;
    if if_exists && kind_of(engine, &relation).await?.is_none() {
        return Ok(());
    }
    if let Alteration::RenameTable(to) = change {
        return rename_table(engine, &relation, named, to).await;
    }
    let (relation, table) = open(engine, named).await?;
    let schema = table_schema(engine, &relation).await?;
    let altered = Altered { engine, statement, relation, schema, table };
    match change {
        Alteration::AddColumns { columns, if_not_exists } => altered.add_columns(columns, *if_not_exists).await,
        Alteration::DropColumns { columns, if_exists } => altered.drop_columns(columns, *if_exists).await,
        Alteration::RenameColumn { from, to } => altered.rename_column(from, to).await,
        Alteration::RenameTable(_) => Ok(()),
        Alteration::ChangeColumn { column, data_type, comment } => {
            if let Some(data_type) = data_type {
                altered.change_type(column, &data_type.text, &data_type.range).await?;
            }
            match comment {
                Some(comment) => comment_on_column(engine, named, column, Some(comment)).await,
                None => Ok(()),
            }
        }
        Alteration::Default { column, value } => altered.set_default(column, value.as_ref()).await,
        Alteration::SetNotNull(column) => altered.set_not_null(column).await,
        Alteration::DropNotNull(column) => altered.drop_not_null(column).await,
        Alteration::AddCheck { name, condition } => altered.add_check(name, condition).await,
        Alteration::DropConstraint { name, if_exists } => altered.drop_constraint(name, *if_exists).await,
        Alteration::SetProperties(properties) => altered.set_properties(named, properties).await,
        Alteration::UnsetProperties { keys, if_exists } => altered.unset_properties(keys, *if_exists).await,
    }
}

/// Moves a table's files to another name; a view goes by its definition.
async fn rename_table(engine: &LocalEngine, from: &RelationName, named: &Named, to: &Named) -> Result<(), EngineError> {
    let mut target = relation_name(engine, &to.name)?;
    if to.name.0.len() == 1 {
        // A bare name stays in the schema of the table.
        target = RelationName::new(&from.database, &from.schema, &target.identifier);
    }
    match existing(engine, from).await.map_err(|error| at(error, &named.range))? {
        RelationKind::Table => {}
        RelationKind::View | RelationKind::Files => {
            return Err(invalid_at(&format!("`{}` is not a table", from.short()), &named.range, "drop it, and create it under the other name"));
        }
    }
    if kind_of(engine, &target).await?.is_some() {
        return Err(invalid_at(&format!("`{}` exists already", target.short()), &to.range, "drop it first, or take another name"));
    }
    engine.warehouse.rename_table(from, &target).await?;
    if engine.temporary.is_noted(from) {
        engine.temporary.forget(from);
        engine.temporary.note(target);
    }
    Ok(())
}

impl Altered<'_> {
    fn column(&self, word: &Word) -> Result<&Field, EngineError> {
        position(&self.schema, &word.value, &self.relation).map(|place| self.schema.field(place)).map_err(|error| at(error, &word.range))
    }

    fn absent(&self, word: &Word) -> Result<(), EngineError> {
        match self.schema.fields().iter().find(|field| field.name().to_lowercase() == word.value.to_lowercase()) {
            None => Ok(()),
            Some(field) => {
                let message = format!("`{}` has a column `{}` already", self.relation.short(), field.name());
                Err(invalid_at(&message, &word.range, "take another name"))
            }
        }
    }

    async fn remember(&self, table: &DeltaTable) {
        self.engine.warehouse.remember(&self.relation, table).await;
    }

    fn failed(&self, error: DeltaTableError) -> EngineError {
        failure::writing(error, &self.relation)
    }

    /// Columns without a default are only said of the table; those with one are written into the rows that are there.
    async fn add_columns(self, columns: &[NewColumn], if_not_exists: bool) -> Result<(), EngineError> {
        let mut fields: Vec<StructField> = Vec::new();
        let mut filled = Vec::new();
        for column in columns {
            let known = self.absent(&column.name);
            if known.is_err() && if_not_exists {
                continue;
            }
            known?;
            if fields.iter().any(|field| field.name().eq_ignore_ascii_case(&column.name.value)) {
                return Err(invalid_at(&format!("the column `{}` is added twice", column.name.value), &column.name.range, "add it once"));
            }
            let default = self.default_value(column.default.as_ref()).await?;
            if column.not_null && default.is_none() {
                let help = "add it with `default` and a value, or add it without, fill it, then `alter column .. set not null`";
                return Err(invalid_at("a column that is added is NULL in the rows that are there", &column.name.range, help));
            }
            let data_type = data_type(self.engine, &column.data_type.text, &column.data_type.range)?;
            let arrow = Field::new(&column.name.value, data_type, !column.not_null);
            let mut field: StructField = (&arrow).try_into_kernel().map_err(|error| self.failed(DeltaTableError::from(error)))?;
            field.metadata.extend(column.comment.iter().map(|text| ("comment".to_owned(), MetadataValue::String(text.clone()))));
            fields.push(field);
            filled.push((arrow, column, default));
        }
        if fields.is_empty() {
            return Ok(());
        }
        if filled.iter().any(|(_, _, default)| default.is_some()) {
            return self.add_filled(&filled).await;
        }
        let table = self.table.clone().add_columns().with_fields(fields).await.map_err(|error| self.failed(error))?;
        self.remember(&table).await;
        Ok(())
    }

    /// Writes the rows anew, with columns more.
    async fn add_filled(&self, added: &[(Field, &NewColumn, Option<String>)]) -> Result<(), EngineError> {
        let mut select: Vec<String> = self.schema.fields().iter().map(|field| quote_ident(field.name())).collect();
        let mut columns = columns_of(&self.schema);
        let mut settings = TableSettings::default();
        for (field, column, default) in added {
            let value = default.as_ref().map_or_else(|| "null".to_owned(), |default| format!("({default})"));
            select.push(format!("{} as {}", typed(&value, field), quote_ident(field.name())));
            columns.push(TableColumn { name: field.name().clone(), data_type: type_name(field.data_type()), nullable: field.is_nullable() });
            settings.column_comments.extend(column.comment.iter().map(|text| (field.name().clone(), text.clone())));
            settings.column_defaults.extend(default.iter().map(|text| (field.name().clone(), text.clone())));
        }
        self.copy(select, columns, settings).await
    }

    /// The text of a default that plans by itself; `None` where it is NULL.
    async fn default_value(&self, value: Option<&Piece>) -> Result<Option<String>, EngineError> {
        let Some(piece) = value else { return Ok(None) };
        let mut text = Composed::new(self.statement);
        text.push("select ").piece(piece);
        super::super::catalog::bind_session(self.engine, text.text(), &[]).await.map_err(|error| match text.locate(error) {
            EngineError::Sql(mut inner) if inner.code == Code::UnknownColumn => {
                inner.help = Some("a default is the same for all rows: it can't use columns".into());
                EngineError::Sql(inner)
            }
            other => other,
        })?;
        let value = self.statement.get(piece.clone()).unwrap_or_default().trim();
        Ok((!value.eq_ignore_ascii_case("null")).then(|| value.to_owned()))
    }

    /// Rows that are there stay as they are.
    async fn set_default(&self, column: &Word, value: Option<&Piece>) -> Result<(), EngineError> {
        let name = self.column(column)?.name().clone();
        let value = self.default_value(value).await?;
        self.edit_field(&name, |field| {
            let metadata = field.entry("metadata").or_insert_with(|| serde_json::json!({})).as_object_mut()?;
            match value {
                Some(value) => metadata.insert(DEFAULT.to_owned(), value.into()),
                None => metadata.remove(DEFAULT),
            }
        })
        .await
    }

    async fn drop_columns(&self, columns: &[Word], if_exists: bool) -> Result<(), EngineError> {
        let mut dropped = Vec::new();
        for column in columns {
            match self.column(column) {
                Ok(field) => {
                    self.unused(field.name(), column)?;
                    dropped.push(field.name().clone());
                }
                Err(_) if if_exists => {}
                Err(error) => return Err(error),
            }
        }
        let kept: Vec<&Field> = self.schema.fields().iter().map(AsRef::as_ref).filter(|field| !dropped.contains(field.name())).collect();
        if kept.is_empty() {
            let range = columns.first().map_or(0..0, |column| column.range.clone());
            return Err(invalid_at("a table needs a column", &range, "use `drop table` to drop all of it"));
        }
        if dropped.is_empty() {
            return Ok(());
        }
        let select = kept.iter().map(|field| quote_ident(field.name())).collect();
        let columns = columns_of(&self.schema).into_iter().filter(|column| !dropped.contains(&column.name)).collect();
        self.copy(select, columns, TableSettings::default()).await
    }

    async fn rename_column(&self, from: &Word, to: &Word) -> Result<(), EngineError> {
        let field = self.column(from)?;
        let before = field.name().clone();
        if before.to_lowercase() != to.value.to_lowercase() {
            self.absent(to)?;
        }
        self.unused(&before, from)?;
        let renamed = |name: &str| if name == before { to.value.clone() } else { name.to_owned() };
        let select =
            self.schema.fields().iter().map(|field| format!("{} as {}", quote_ident(field.name()), quote_ident(&renamed(field.name())))).collect();
        let columns = columns_of(&self.schema).into_iter().map(|column| TableColumn { name: renamed(&column.name), ..column }).collect();
        let mut settings = TableSettings::default();
        if let Some(comment) = field.metadata().get("comment") {
            settings.column_comments.insert(to.value.clone(), comment.clone());
        }
        if let Some(default) = field.metadata().get(DEFAULT) {
            settings.column_defaults.insert(to.value.clone(), default.clone());
        }
        self.copy(select, columns, settings).await
    }

    async fn change_type(&self, column: &Word, text: &str, range: &Piece) -> Result<(), EngineError> {
        let field = self.column(column)?;
        let wanted = data_type(self.engine, text, range)?;
        if *field.data_type() == wanted {
            return Ok(());
        }
        if !widens(field.data_type(), &wanted) {
            let message = format!("`{}` is {} and can't become {}", field.name(), type_name(field.data_type()), type_name(&wanted));
            let help = "only types that hold every value can follow; cast in `create or replace table .. as select` for others";
            return Err(invalid_at(&message, range, help));
        }
        self.unused_by_partitions(field.name(), column)?;
        let name = field.name().clone();
        let cast = |field: &Field| {
            let column = quote_ident(field.name());
            if *field.name() == name { format!("cast({column} as {text}) as {column}") } else { column }
        };
        let select = self.schema.fields().iter().map(|field| cast(field)).collect();
        let retyped = |found: TableColumn| if found.name == name { TableColumn { data_type: type_name(&wanted), ..found } } else { found };
        let columns = columns_of(&self.schema).into_iter().map(retyped).collect();
        self.copy(select, columns, TableSettings::default()).await
    }

    /// The rows are read once: a NULL among them is an error.
    async fn set_not_null(&self, column: &Word) -> Result<(), EngineError> {
        let name = self.column(column)?.name().clone();
        let query = format!("select count(*) from {} where {} is null", self.from(), quote_ident(&name));
        let nulls = super::rows::first_number(self.engine, &query).await?;
        if nulls > 0 {
            let message = format!("{nulls} rows of `{}` have no `{name}`", self.relation.short());
            return Err(invalid_at(&message, &column.range, "fill or delete them first"));
        }
        self.edit_field(&name, |field| field.insert("nullable".into(), false.into())).await
    }

    async fn drop_not_null(&self, column: &Word) -> Result<(), EngineError> {
        let name = self.column(column)?.name().clone();
        self.edit_field(&name, |field| field.insert("nullable".into(), true.into())).await
    }

    async fn add_check(self, name: &Word, condition: &Piece) -> Result<(), EngineError> {
        let key = format!("{CONSTRAINT}{}", name.value.to_lowercase());
        if self.properties()?.keys().any(|known| known.to_lowercase() == key) {
            return Err(invalid_at(&format!("`{}` has a constraint `{}` already", self.relation.short(), name.value), &name.range, "drop it first"));
        }
        let mut text = Composed::new(self.statement);
        text.push("select (").piece(condition).push(") is true from ").push(&self.from());
        super::super::catalog::bind_session(self.engine, text.text(), &[]).await.map_err(|error| text.locate(error))?;
        let rule = self.statement.get(condition.clone()).unwrap_or_default();
        let rule = crate::sql::canonical(rule, self.schema.fields().iter().map(|field| field.name().as_str()));
        let builder = self.table.clone().add_constraint().with_constraint(&name.value, rule.as_str());
        let table = builder.with_session_state(delta_session(&self.engine.session())).await.map_err(|error| match self.failed(error) {
            EngineError::Constraint { reason, .. } => {
                let message = format!("rows of `{}` break the condition: {reason}", self.relation.short());
                invalid_at(&message, condition, "correct them first; a row for which the condition is NULL breaks it too")
            }
            other => other,
        })?;
        self.remember(&table).await;
        Ok(())
    }

    async fn drop_constraint(&self, name: &Word, if_exists: bool) -> Result<(), EngineError> {
        let wanted = format!("{CONSTRAINT}{}", name.value.to_lowercase());
        let known = self.properties()?;
        let Some(key) = known.keys().find(|known| known.to_lowercase() == wanted).cloned() else {
            if if_exists {
                return Ok(());
            }
            let names: Vec<&str> = known.keys().filter_map(|key| key.strip_prefix(CONSTRAINT)).collect();
            let help = match crate::base::nearest(&name.value, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "it has none".to_owned(),
                None => format!("its constraints are {}", names.join(", ")),
            };
            return Err(invalid_at(&format!("`{}` has no constraint `{}`", self.relation.short(), name.value), &name.range, &help));
        };
        self.drop_properties(&[key]).await
    }

    async fn set_properties(self, named: &Named, properties: &[(String, String)]) -> Result<(), EngineError> {
        for (key, _) in properties {
            refused_property(key, named)?;
        }
        let ours = properties.iter().all(|(key, _)| key.starts_with("delta."));
        let builder = self.table.clone().set_tbl_properties().with_properties(properties.iter().cloned().collect()).with_raise_if_not_exists(ours);
        let table = builder.await.map_err(|error| match self.failed(error) {
            EngineError::Storage { reason, .. } => invalid_at(
                &format!("a property can't be set: {reason}"),
                &named.range,
                "see the Delta protocol for what `delta.` properties there are",
            ),
            other => other,
        })?;
        self.remember(&table).await;
        Ok(())
    }

    async fn unset_properties(&self, keys: &[Word], if_exists: bool) -> Result<(), EngineError> {
        let known = self.properties()?;
        let mut found = Vec::new();
        for key in keys {
            match known.contains_key(&key.value) {
                true => found.push(key.value.clone()),
                false if if_exists => {}
                false => {
                    let near = crate::base::nearest(&key.value, known.keys().map(String::as_str));
                    let help =
                        near.map_or_else(|| format!("see `show tblproperties {}`", self.relation.short()), |near| format!("did you mean `{near}`?"));
                    return Err(invalid_at(&format!("`{}` has no property `{}`", self.relation.short(), key.value), &key.range, &help));
                }
            }
        }
        if found.is_empty() { Ok(()) } else { self.drop_properties(&found).await }
    }

    fn from(&self) -> String {
        let RelationName { database, schema, identifier } = &self.relation;
        [database, schema, identifier].map(|part| quote_ident(part)).join(".")
    }

    /// Refuses a column that partitions or a constraint of the table use.
    fn unused(&self, name: &str, word: &Word) -> Result<(), EngineError> {
        self.unused_by_partitions(name, word)?;
        let state = self.engine.session();
        for (key, rule) in self.properties()? {
            let Some(constraint) = key.strip_prefix(CONSTRAINT) else { continue };
            let parsed = state.sql_to_expr(&rule, &state.config_options().sql_parser.dialect);
            let uses = parsed.map_or(true, |mut rule| names(&mut rule, name));
            if uses {
                let message = format!("the constraint `{constraint}` of `{}` uses `{name}`", self.relation.short());
                return Err(invalid_at(
                    &message,
                    &word.range,
                    &format!("drop it first: alter table {} drop constraint {constraint}", self.relation.short()),
                ));
            }
        }
        Ok(())
    }

    fn unused_by_partitions(&self, name: &str, word: &Word) -> Result<(), EngineError> {
        let partitions = super::super::warehouse::state(&self.table, &self.relation)?.partition_by;
        if partitions.iter().any(|known| known == name) {
            let message = format!("`{}` is partitioned by `{name}`", self.relation.short());
            return Err(invalid_at(&message, &word.range, "build the table anew with other partitions"));
        }
        Ok(())
    }

    /// Writes the rows anew, with other columns, in one commit.
    async fn copy(&self, select: Vec<String>, columns: Vec<TableColumn>, mut settings: TableSettings) -> Result<(), EngineError> {
        for field in self.schema.fields() {
            if let Some(default) = field.metadata().get(DEFAULT) {
                settings.column_defaults.entry(field.name().clone()).or_insert_with(|| default.clone());
            }
        }
        if let Some(field) = self
            .schema
            .fields()
            .iter()
            .find(|field| field.metadata().keys().any(|key| key.starts_with("delta.generation") || key.starts_with("delta.columnMapping")))
        {
            let message = format!("`{}` has the column `{}`, whose definition a copy would lose", self.relation.short(), field.name());
            return Err(EngineError::Unsupported { message, help: Some("alter it with the engine that made it".into()) });
        }
        let partition_by = super::super::warehouse::state(&self.table, &self.relation)?.partition_by;
        write(
            self.engine,
            TableWrite {
                relation: self.relation.clone(),
                input: TableInput::Query(format!("select {} from {}", select.join(", "), self.from())),
                mode: WriteMode::Overwrite,
                schema_change: SchemaChange::default(),
                dedupe: None,
                columns,
                checks: None,
                settings: TableSettings { partition_by, ..settings },
                streams: Vec::new(),
                label: label(),
            },
            // The query is none of the user's.
            "",
        )
        .await
    }
}

/// Properties that have a statement of their own, or would make the table one that can't be written any more.
fn refused_property(key: &str, named: &Named) -> Result<(), EngineError> {
    const UNWRITABLE: [&str; 6] = [
        "delta.columnMapping.",
        "delta.enableDeletionVectors",
        "delta.enableInCommitTimestamps",
        "delta.enableRowTracking",
        "delta.enableTypeWidening",
        "delta.feature.",
    ];
    if key.starts_with(CONSTRAINT) {
        return Err(invalid_at(
            "a constraint is no property to set",
            &named.range,
            "use `add constraint .. check (..)`, which looks at the rows too",
        ));
    }
    if UNWRITABLE.iter().any(|known| key.starts_with(known)) {
        let message = format!("the property `{key}` would make the table one that can't be written from here");
        let error = SqlError::new(Code::NotAvailable, message).range(named.range.clone());
        return Err(EngineError::Sql(Box::new(error.help("leave it out"))));
    }
    Ok(())
}

fn data_type(engine: &LocalEngine, text: &str, range: &Piece) -> Result<DataType, EngineError> {
    engine
        .options
        .semantics
        .parse_type(text)
        .map_err(|reason| EngineError::Sql(Box::new(SqlError::new(Code::TypeUnknown, reason).range(range.clone()))))
}

fn names(rule: &mut ast::Expr, name: &str) -> bool {
    let found = |ident: &ast::Ident| ident.value.to_lowercase() == name.to_lowercase();
    ast::visit_expressions_mut(rule, |inner| match inner {
        ast::Expr::Identifier(ident) if found(ident) => std::ops::ControlFlow::Break(()),
        ast::Expr::CompoundIdentifier(parts) if parts.iter().any(found) => std::ops::ControlFlow::Break(()),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .is_break()
}

/// Whether every value of a type is one of another.
fn widens(from: &DataType, to: &DataType) -> bool {
    let integer = |kind: &DataType| match kind {
        DataType::Int8 => Some(3_u8),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    };
    match (integer(from), integer(to), from, to) {
        (Some(from), Some(to), ..) => from < to,
        (Some(digits), None, _, DataType::Decimal128(precision, scale)) => i16::from(*precision) - i16::from(*scale) >= i16::from(digits),
        (Some(digits), None, _, DataType::Float64) => digits <= 10,
        (None, None, DataType::Float32, DataType::Float64) | (None, None, DataType::Date32, DataType::Timestamp(_, None)) => true,
        (None, None, DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => {
            t >= s && i16::from(*q) - i16::from(*t) >= i16::from(*p) - i16::from(*s)
        }
        (_, _, from, DataType::Utf8) => !from.is_nested() && !matches!(from, DataType::Binary | DataType::LargeBinary | DataType::BinaryView),
        _ => false,
    }
}

/// Sets or removes a table's description.
pub(super) async fn comment_on_table(engine: &LocalEngine, named: &Named, text: Option<&str>) -> Result<(), EngineError> {
    let (relation, table) = open(engine, named).await?;
    let schema = table_schema(engine, &relation).await?;
    Altered { engine, statement: "", relation, schema, table }.describe(text).await
}

/// Sets or removes a column's description.
pub(super) async fn comment_on_column(engine: &LocalEngine, named: &Named, column: &Word, text: Option<&String>) -> Result<(), EngineError> {
    let (relation, table) = open(engine, named).await?;
    let schema = table_schema(engine, &relation).await?;
    let altered = Altered { engine, statement: "", relation, schema, table };
    let name = altered.column(column)?.name().clone();
    altered.comment(&name, text.map(String::as_str)).await
}
