//! The steps of a snapshot: rows that changed are closed and opened anew in one commit, as slowly changing dimensions of
//! type 2.
//!
//! One query compares the snapshot's current rows with those of its query. It yields a row for every version to open and
//! one for every version to close; a merge by the version's id carries both out. Times are those of `updated_at`, or of the
//! run. A version never begins before the one that it follows, so that versions of a key never overlap: a row that comes
//! back begins where it went, and a change that is older than what is known is left out.

use deltalake::arrow::datatypes::{DataType, SchemaRef};

use super::table::table_write;
use super::{KeyCheck, KeyRule, PlanOptions};
use crate::base::{Code, Diagnostic};
use crate::compile::CompiledNode;
use crate::engine::{Matched, Merge, NotMatched, SchemaChange, TableColumn, TableInput, TableWrite, UpdateColumns, WriteMode};
use crate::manifest::{HardDeletes, Node, RelationName, SnapshotConfig, SnapshotStrategy};
use crate::sql::{quote_ident, statement_text, type_name};

/// Says what a row is for: `open` or `close`.
const ACTION: &str = "__alluvium_action";

/// The write of a snapshot.
///
/// # Errors
/// If its config could not be read, or nothing is known of its columns.
pub(super) fn snapshot_write(
    node: &Node,
    relation: &RelationName,
    compiled: &CompiledNode,
    options: &PlanOptions,
) -> Result<TableWrite, Box<Diagnostic>> {
    let wrong = |message: String| Box::new(Diagnostic::error(Code::ConfigType, message).at(node.span, "this snapshot"));
    let config = node.config.snapshot.as_ref().ok_or_else(|| wrong(format!("the config of the snapshot `{}` is not complete", node.name)))?;
    let query = compiled.query_schema.as_ref().or(options.query_schema.as_ref());
    let query = query.ok_or_else(|| wrong(format!("the columns of the snapshot `{}` are not known", node.name)))?;
    if let Some(taken) = own_columns(config).into_iter().find(|own| query.fields().iter().any(|field| field.name().eq_ignore_ascii_case(own))) {
        return Err(Box::new(
            wrong(format!("the query of the snapshot `{}` yields `{taken}`, which the snapshot adds itself", node.name))
                .help("leave the column out, or give the snapshot's another name in `snapshot_meta_column_names`"),
        ));
    }
    let texts = Texts::new(config, query, statement_text(&compiled.sql), options);
    let mut write = table_write(node, relation, compiled, options);
    if !write.columns.is_empty() {
        write.columns.extend(texts.columns_beside(&write.columns, compiled.history.as_ref()));
    }
    match &compiled.history {
        None => write.input = TableInput::Query(texts.first()),
        Some(history) => {
            if let Some(missing) = texts.missing(history) {
                return Err(Box::new(
                    wrong(format!("the table {relation} is no snapshot of this kind: it has no column `{missing}`"))
                        .help("move the table away, or set `snapshot_meta_column_names` to the names that it has"),
                ));
            }
            write.input = TableInput::Query(texts.next(relation, history));
            write.mode = WriteMode::Merge(Merge {
                keys: vec![config.columns.scd_id.clone()],
                target_alias: "old".into(),
                source_alias: "new".into(),
                predicates: vec![texts.current("old.")],
                matched: Some(Matched {
                    condition: Some(format!("new.{} = 'close'", quote_ident(ACTION))),
                    update: UpdateColumns::Only(vec![config.columns.valid_to.clone()]),
                }),
                not_matched: Some(NotMatched { condition: Some(format!("new.{} = 'open'", quote_ident(ACTION))) }),
                not_matched_by_source: None,
                unstored: vec![ACTION.into()],
            });
            write.schema_change = SchemaChange::Append;
        }
    }
    Ok(write)
}

/// The check that every row of the query has a key of its own.
pub(super) fn unique_key(node: &Node, compiled: &CompiledNode, options: &PlanOptions) -> Option<KeyCheck> {
    let config = node.config.snapshot.as_ref()?;
    let query = compiled.query_schema.as_ref().or(options.query_schema.as_ref())?;
    let keys: Vec<String> = config.unique_key.iter().map(|key| term("", key, query)).collect();
    let keys = keys.join(", ");
    let sql = format!(
        "select {keys}, count(*) as \"times\" from (\n{}\n) as snapshot_query group by {keys} having count(*) > 1 order by {keys} limit 5",
        statement_text(&compiled.sql)
    );
    Some(KeyCheck { rule: KeyRule::OneRow { refuses: true }, columns: config.unique_key.clone(), sql })
}

/// The current versions of a snapshot's keys, as what stands behind `from`.
pub(super) fn current_rows(config: &SnapshotConfig, relation: &RelationName, compiled: &CompiledNode, options: &PlanOptions) -> String {
    match compiled.query_schema.as_ref().or(options.query_schema.as_ref()) {
        Some(query) => format!(
            "(select * from {relation} where {}) as current_rows",
            Texts::new(config, query, statement_text(&compiled.sql), options).current("")
        ),
        None => relation.to_string(),
    }
}

fn own_columns(config: &SnapshotConfig) -> Vec<&str> {
    let names = &config.columns;
    let mut own = vec![names.scd_id.as_str(), &names.updated_at, &names.valid_from, &names.valid_to];
    if config.hard_deletes == HardDeletes::NewRecord {
        own.push(&names.is_deleted);
    }
    own
}

/// A column by name, or SQL as it stands.
fn term(alias: &str, text: &str, schema: &SchemaRef) -> String {
    match schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(text)) {
        Some(field) => format!("{alias}{}", quote_ident(field.name())),
        None => format!("({text})"),
    }
}

/// Microseconds, as tables have them: nanoseconds end in the year 2262.
const TIMESTAMP: &str = "timestamp(6)";

/// The type of a snapshot's times, as SQL.
fn time_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(_, Some(_)) => "timestamp(6) with time zone".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        // Text is read as a timestamp.
        _ => TIMESTAMP.into(),
    }
}

/// The SQL of one snapshot.
struct Texts<'a> {
    config: &'a SnapshotConfig,
    query: &'a SchemaRef,
    sql: &'a str,
    /// The moment of the run, in the type of the snapshot's times.
    now: String,
    /// The type of the snapshot's times.
    time_type: String,
}

impl<'a> Texts<'a> {
    fn new(config: &'a SnapshotConfig, query: &'a SchemaRef, sql: &'a str, options: &PlanOptions) -> Self {
        let time_type = match &config.strategy {
            SnapshotStrategy::Check { .. } => TIMESTAMP.to_owned(),
            SnapshotStrategy::Timestamp { updated_at } => query
                .fields()
                .iter()
                .find(|field| field.name().eq_ignore_ascii_case(updated_at))
                .map_or_else(|| TIMESTAMP.to_owned(), |field| time_type(field.data_type())),
        };
        let now = format!("cast(timestamp '{}' as {time_type})", options.run_started_at.format("%Y-%m-%d %H:%M:%S%.6f"));
        Self { config, query, sql, now, time_type }
    }

    /// The rows of the query, with their keys and the time of their last change.
    fn rows(&self) -> String {
        let changed_at = match &self.config.strategy {
            SnapshotStrategy::Timestamp { updated_at } => {
                format!("coalesce(cast({} as {}), {})", term("", updated_at, self.query), self.time_type, self.now)
            }
            SnapshotStrategy::Check { .. } => self.now.clone(),
        };
        // A row without a time is a version of its own once, and never a change.
        let dated = match &self.config.strategy {
            SnapshotStrategy::Timestamp { updated_at } => format!("{} is not null", term("", updated_at, self.query)),
            SnapshotStrategy::Check { .. } => "true".to_owned(),
        };
        let columns: Vec<String> = self.query.fields().iter().map(|field| quote_ident(field.name())).collect();
        let keys = self.keys("", self.query);
        format!(
            "select {}, {keys}, {changed_at} as \"__changed_at\", {dated} as \"__dated\", true as \"__there\" from (\n{}\n) as snapshot_query",
            columns.join(", "),
            self.sql
        )
    }

    /// `key as "__key_0", ...`
    fn keys(&self, alias: &str, schema: &SchemaRef) -> String {
        let keys = self.config.unique_key.iter().enumerate().map(|(at, key)| format!("{} as \"__key_{at}\"", term(alias, key, schema)));
        keys.collect::<Vec<_>>().join(", ")
    }

    /// The id of a version: of its key, the time of its change and, where that is another time, of its beginning. A key that
    /// comes back (`again`) may have had a version of the same times.
    fn version_id(&self, alias: &str, (changed_at, begins): (&str, &str), again: Option<&str>) -> String {
        // What separates the parts, and stands for NULL, is told apart from the same letters in a key.
        let part = |at: usize| format!("coalesce(replace(replace(cast({alias}\"__key_{at}\" as varchar), '\\', '\\\\'), '|', '\\p'), '\\N')");
        let mut parts: Vec<String> = (0..self.config.unique_key.len()).map(part).collect();
        parts.push(format!("coalesce(cast({changed_at} as varchar), '')"));
        // Where nothing more is to be said, the text is the one that dbt's ids are made of.
        let mut terms = vec![parts.join(", '|', ")];
        if begins != changed_at {
            terms.push(format!("case when {begins} <> {changed_at} then concat('|', cast({begins} as varchar)) else '' end"));
        }
        terms.extend(again.map(|again| format!("case when {again} then concat('|', cast({} as varchar)) else '' end", self.now)));
        format!("md5(concat({}))", terms.join(", "))
    }

    /// The end of validity of a current row.
    fn open_end(&self) -> String {
        match &self.config.valid_to_current {
            None => format!("cast(null as {})", self.time_type),
            Some(text) => format!("cast(({text}) as {})", self.time_type),
        }
    }

    /// Whether a row of the snapshot is current.
    fn current(&self, alias: &str) -> String {
        let valid_to = format!("{alias}{}", quote_ident(&self.config.columns.valid_to));
        match &self.config.valid_to_current {
            None => format!("{valid_to} is null"),
            Some(_) => format!("({valid_to} is null or {valid_to} = {})", self.open_end()),
        }
    }

    /// The first version of every row.
    fn first(&self) -> String {
        let names = &self.config.columns;
        let mut columns: Vec<String> = self.query.fields().iter().map(|field| quote_ident(field.name())).collect();
        let at = "\"__changed_at\"";
        columns.push(format!("{} as {}", self.version_id("", (at, at), None), quote_ident(&names.scd_id)));
        columns.push(format!("{at} as {}", quote_ident(&names.updated_at)));
        columns.push(format!("{at} as {}", quote_ident(&names.valid_from)));
        columns.push(format!("{} as {}", self.open_end(), quote_ident(&names.valid_to)));
        if self.config.hard_deletes == HardDeletes::NewRecord {
            columns.push(format!("'False' as {}", quote_ident(&names.is_deleted)));
        }
        format!("select {} from (\n{}\n) as snapshot_rows", columns.join(", "), self.rows())
    }

    /// The columns of the table that are not those of the contract: its own, and what earlier queries left.
    fn columns_beside(&self, contract: &[TableColumn], history: Option<&SchemaRef>) -> Vec<TableColumn> {
        let names = &self.config.columns;
        let column = |name: &str, data_type: String| TableColumn { name: name.to_owned(), data_type, nullable: true };
        let time = || self.time_type.clone();
        let mut beside: Vec<TableColumn> = history
            .into_iter()
            .flat_map(|history| history.fields().iter().map(|field| column(field.name(), type_name(field.data_type()))))
            .chain([column(&names.scd_id, "varchar".into()), column(&names.updated_at, time())])
            .chain([column(&names.valid_from, time()), column(&names.valid_to, time())])
            .collect();
        if self.config.hard_deletes == HardDeletes::NewRecord {
            beside.push(column(&names.is_deleted, "varchar".into()));
        }
        let mut known: Vec<String> = contract.iter().map(|column| column.name.to_lowercase()).collect();
        beside.retain(|column| {
            let name = column.name.to_lowercase();
            let new = !known.contains(&name);
            known.push(name);
            new
        });
        beside
    }

    /// A column of its own that the table lacks.
    fn missing(&self, history: &SchemaRef) -> Option<&str> {
        let names = &self.config.columns;
        let needed = [names.scd_id.as_str(), &names.updated_at, &names.valid_from, &names.valid_to];
        needed.into_iter().find(|name| !history.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)))
    }

    /// The versions to open and to close.
    fn next(&self, relation: &RelationName, history: &SchemaRef) -> String {
        let names = &self.config.columns;
        let deletes = self.config.hard_deletes;
        let has_mark = history.fields().iter().any(|field| field.name().eq_ignore_ascii_case(&names.is_deleted));
        let old = |name: &str| format!("old.{}", quote_ident(name));
        let gone = if has_mark { format!("coalesce({}, 'False') = 'True'", old(&names.is_deleted)) } else { "false".to_owned() };
        let begins = format!(
            "case when old.\"__there\" and {0} > new.\"__changed_at\" then {0} when past.\"__ended\" > new.\"__changed_at\" then past.\"__ended\" else new.\"__changed_at\" end",
            old(&names.valid_from)
        );
        let joined = format!(
            "select {columns}, {old_columns}, coalesce(new.\"__there\", false) as \"__new\", case when new.\"__there\" then new.\"__changed_at\" else {now} end as \"__at\", \
             case when new.\"__there\" then {begins} when {from} > {now} then {from} else {now} end as \"__begins\", \
             {keys}, past.\"__ended\" is not null and old.\"__there\" is null as \"__again\", \
             case when old.\"__there\" is null then 'insert' when new.\"__there\" is null then {deleted} when {gone} or {changed} then 'update' end as \"__kind\" \
             from new full join old on {on} left join past on {past_on}",
            columns = self.each(|name| format!("new.{}", quote_ident(name)), "new"),
            old_columns = Self::old_columns(history),
            now = self.now,
            from = old(&names.valid_from),
            keys = (0..self.config.unique_key.len())
                .map(|at| format!("case when new.\"__there\" then new.\"__key_{at}\" else old.\"__key_{at}\" end as \"__key_{at}\""))
                .collect::<Vec<_>>()
                .join(", "),
            deleted = if deletes == HardDeletes::Ignore { "null".to_owned() } else { format!("case when {gone} then null else 'delete' end") },
            changed = self.changed(history),
            on = self.same_key("new", "old"),
            past_on = self.same_key("new", "past"),
        );
        format!(
            "with new as (\n{}\n), old as (select *, {}, true as \"__there\" from {relation} as h where {}), \
             past as (select {}, max(h.{ended}) as \"__ended\" from {relation} as h where not ({}) group by {}), \
             joined as ({joined}) \
             select {} from joined cross join (select 'close' as \"__step\" union all select 'open' as \"__step\") as steps \
             where \"__kind\" is not null and (\"__step\" = 'open' or \"__kind\" <> 'insert') and (\"__step\" = 'close' or \"__kind\" <> 'delete'{})",
            self.rows(),
            self.keys("h.", history),
            self.current("h."),
            self.keys("h.", history),
            self.current("h."),
            self.config.unique_key.iter().map(|key| term("h.", key, history)).collect::<Vec<_>>().join(", "),
            self.output(history),
            if deletes == HardDeletes::NewRecord { " or true" } else { "" },
            ended = quote_ident(&names.valid_to),
        )
    }

    /// The query's columns, each under its name with a prefix.
    fn each(&self, value: impl Fn(&str) -> String, prefix: &str) -> String {
        let columns =
            self.query.fields().iter().map(|field| format!("{} as {}", value(field.name()), quote_ident(&format!("__{prefix}_{}", field.name()))));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The snapshot's columns, each under its name with a prefix.
    fn old_columns(history: &SchemaRef) -> String {
        let columns =
            history.fields().iter().map(|field| format!("old.{} as {}", quote_ident(field.name()), quote_ident(&format!("__old_{}", field.name()))));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn same_key(&self, left: &str, right: &str) -> String {
        let keys = (0..self.config.unique_key.len()).map(|at| format!("({left}.\"__key_{at}\" is not distinct from {right}.\"__key_{at}\")"));
        keys.collect::<Vec<_>>().join(" and ")
    }

    /// Whether the new row is another version than the current one.
    fn changed(&self, history: &SchemaRef) -> String {
        let names = &self.config.columns;
        match &self.config.strategy {
            SnapshotStrategy::Timestamp { updated_at } => {
                // A version without a time of its own is older than any that comes.
                let known = history.fields().iter().find(|field| field.name().eq_ignore_ascii_case(updated_at));
                let undated = known.map_or_else(|| "false".to_owned(), |field| format!("old.{} is null", quote_ident(field.name())));
                format!("(new.\"__dated\" and ({undated} or coalesce(new.\"__changed_at\" > old.{}, true)))", quote_ident(&names.updated_at))
            }
            SnapshotStrategy::Check { columns } => {
                let all: Vec<String> = self.query.fields().iter().map(|field| field.name().clone()).collect();
                let compared = columns.as_ref().unwrap_or(&all).iter().map(|column| {
                    let known = history.fields().iter().find(|field| field.name().eq_ignore_ascii_case(column));
                    let before = known.map_or_else(|| "null".to_owned(), |field| format!("old.{}", quote_ident(field.name())));
                    let new = term("new.", column, self.query);
                    let queried = self.query.fields().iter().find(|field| field.name().eq_ignore_ascii_case(column));
                    // Compared as the table holds it; a value that does not fit is another one, and refused when it is written.
                    let both = known.zip(queried).map(|(known, queried)| (known.data_type(), queried.data_type()));
                    match both.filter(|(known, queried)| type_name(known) != type_name(queried) && !known.is_nested()) {
                        Some((known, _)) => {
                            let cast = format!("try_cast({new} as {})", type_name(known));
                            format!("(({cast} is distinct from {before}) or ({cast} is null and {new} is not null))")
                        }
                        None => format!("({new} is distinct from {before})"),
                    }
                });
                format!("({})", compared.collect::<Vec<_>>().join(" or "))
            }
        }
    }

    /// The snapshot's columns of a version to open or to close, and which of the two.
    fn output(&self, history: &SchemaRef) -> String {
        let names = &self.config.columns;
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        let mut all: Vec<String> = history.fields().iter().map(|field| field.name().clone()).collect();
        let mut missing: Vec<String> = self.query.fields().iter().map(|field| field.name().clone()).collect();
        if self.config.hard_deletes == HardDeletes::NewRecord {
            missing.push(names.is_deleted.clone());
        }
        for name in missing {
            if !all.iter().any(|known| is(known, &name)) {
                all.push(name);
            }
        }
        let columns = all.iter().map(|name| {
            let known = history.fields().iter().any(|field| is(field.name(), name));
            let old = if known { quote_ident(&format!("__old_{name}")) } else { "null".to_owned() };
            let (close, open) = if is(name, &names.scd_id) {
                (old, self.version_id("", ("\"__at\"", "\"__begins\""), Some("\"__again\"")))
            } else if is(name, &names.updated_at) {
                (old, "\"__at\"".to_owned())
            } else if is(name, &names.valid_from) {
                (old, "\"__begins\"".to_owned())
            } else if is(name, &names.valid_to) {
                ("\"__begins\"".to_owned(), self.open_end())
            } else if is(name, &names.is_deleted) {
                (old, "case when \"__new\" then 'False' else 'True' end".to_owned())
            } else if let Some(field) = self.query.fields().iter().find(|field| is(field.name(), name)) {
                let new = quote_ident(&format!("__new_{}", field.name()));
                (old.clone(), format!("case when \"__new\" then {new} else {old} end"))
            } else {
                (old.clone(), format!("case when \"__new\" then null else {old} end"))
            };
            format!("case when \"__step\" = 'close' then {close} else {open} end as {}", quote_ident(name))
        });
        let mut columns: Vec<String> = columns.collect();
        columns.push(format!("\"__step\" as {}", quote_ident(ACTION)));
        columns.join(", ")
    }
}
