//! Sources that are read as streams: of their files, or of the rows that came to an append-only table, a write reads only
//! what no earlier write of its table has read, each exactly once.
//!
//! What was read is decided by the commit that has the rows. It carries an application transaction (`txn`) for the source:
//! for tables the version that was read up to, for files the number of the batch, whose paths stand beside it in the
//! commit's information. `_alluvium.watermarks` mirrors both, so that nothing depends on how long a log is kept; a mirror that
//! is behind, since a process ended between the two, is brought up to the log before it is used.

mod marks;
mod rows;

pub(super) use rows::table_part;

use std::collections::{BTreeMap, BTreeSet};

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::get_actions;
use deltalake::table::state::DeltaTableState;
use serde_json::{Value as Json, json};

use self::marks::Mark;
use super::super::{EngineError, StreamKind, StreamRead, TableWrite, WriteMode};
use super::{LocalEngine, failure};
use crate::base::Code;
use crate::manifest::RelationName;
use crate::sql::{SqlError, type_name};

/// Names a source's batch in the information of a commit.
const READ: &str = "alluvium.read";

/// What a write reads of a source.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// These files of a location, by the paths that the listing has; and the columns that files had before, with their types,
    /// where they had to be looked up because no file is there.
    Files(BTreeSet<String>, Option<Vec<(String, String)>>),
    /// Files of a Delta table, by version: each version's table is read with these files only.
    Versions(BTreeMap<u64, BTreeSet<String>>),
}

/// What a write reads of its streams, and what its commit says of it.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) parts: BTreeMap<RelationName, Part>,
    marks: Vec<Mark>,
}

impl Streams {
    /// Looks up what is new. `base` is the table that is written.
    ///
    /// # Errors
    /// If a source can't be read as a stream, or nobody knows what was read of it.
    pub(super) async fn begin(engine: &LocalEngine, write: &TableWrite, base: Option<&DeltaTable>) -> Result<Self, EngineError> {
        let mut streams = Self::default();
        for read in &write.streams {
            let anew = write.mode == WriteMode::Overwrite;
            let place = Place { engine, write, base, read, anew };
            let (part, mark) = match read.kind {
                StreamKind::NewFiles => place.new_files().await?,
                StreamKind::NewRows => rows::new_rows(&place).await?,
            };
            streams.parts.insert(read.source.clone(), part);
            streams.marks.extend(mark);
        }
        Ok(streams)
    }

    /// What the commit has to carry.
    pub(super) fn actions(&self) -> Vec<Action> {
        self.marks.iter().map(|mark| Action::Txn(Transaction::new(mark.app(), mark.batch))).collect()
    }

    /// What the commit says about itself.
    pub(super) fn information(&self) -> Option<(String, Json)> {
        let read: serde_json::Map<String, Json> = self.marks.iter().map(|mark| (mark.source.clone(), mark.information())).collect();
        (!read.is_empty()).then(|| (READ.to_owned(), Json::Object(read)))
    }

    /// Notes in the mirror what a commit has read.
    ///
    /// # Errors
    /// If it can't be written; the log says it all the same.
    pub(super) async fn mirror(&self, engine: &LocalEngine, write: (&RelationName, &str), table: &str, version: u64) -> Result<(), EngineError> {
        let marks: Vec<Mark> = self.marks.iter().map(|mark| Mark { table: table.to_owned(), version, ..mark.clone() }).collect();
        if marks.is_empty() { Ok(()) } else { marks::append(engine, write, &marks).await }
    }
}

/// A stream of a write.
struct Place<'a> {
    engine: &'a LocalEngine,
    write: &'a TableWrite,
    base: Option<&'a DeltaTable>,
    read: &'a StreamRead,
    /// Whether everything is read, whatever was read before.
    anew: bool,
}

impl Place<'_> {
    fn source(&self) -> String {
        self.read.source.to_string()
    }

    fn app(&self) -> String {
        marks::app(self.read.kind, &self.source())
    }

    fn state(&self) -> Result<Option<&DeltaTableState>, EngineError> {
        self.base.map(|table| table.snapshot().map_err(|error| failure::reading(&error, &self.write.relation))).transpose()
    }

    /// The number that the last commit about the source carries.
    async fn last(&self) -> Result<Option<i64>, EngineError> {
        let (Some(table), Some(state)) = (self.base, self.state()?) else { return Ok(None) };
        let found = state.transaction_version(table.log_store().as_ref(), self.app()).await;
        found.map_err(|error| failure::reading(&error, &self.write.relation))
    }

    /// What is said where a table adds rows of a source of which it never noted what it has.
    fn unknown(&self) -> EngineError {
        let (relation, source) = (self.write.relation.short(), self.read.source.short());
        unreadable(
            format!("nothing is known of what `{relation}` has read of `{source}`: it was not built with `read: {}`", self.read.kind.name()),
            "build it anew with --full-refresh",
        )
    }

    fn lost(&self) -> EngineError {
        let (relation, source) = (self.write.relation.short(), self.read.source.short());
        unreadable(
            format!("what `{relation}` has read of `{source}` is known no more: the log entries that say it are gone"),
            "build it anew with --full-refresh",
        )
    }

    async fn new_files(&self) -> Result<(Part, Option<Mark>), EngineError> {
        let Some(binding) = self.engine.files.get(&self.read.source) else {
            return Err(unreadable(
                format!("`{}` has no files, so it can't be read by `new_files`", self.read.source.short()),
                "use `read: new_rows` for a Delta table",
            ));
        };
        let there = self.engine.files.paths(&binding).await?;
        let last = self.last().await?;
        let (seen, first) = match (self.base, last) {
            (None, _) => (BTreeSet::new(), None),
            (Some(_), _) if self.anew => (BTreeSet::new(), None),
            (Some(_), None) => return Err(self.unknown()),
            // Files that were read may be moved away: then there is nothing new.
            (Some(table), Some(_)) if there.is_empty() => return Ok((Part::Files(BTreeSet::new(), self.columns(table).await?), None)),
            (Some(table), Some(last)) => {
                let (seen, first) = self.seen(table, last).await?;
                (seen, Some(first))
            }
        };
        // Where no file was ever there, this says so.
        let schema = self.engine.files.provider(&self.engine.session(), &binding).await?.schema();
        let new: BTreeSet<String> = there.into_iter().filter(|path| !seen.contains(path)).collect();
        let batch = last.unwrap_or(0) + 1;
        let mark = Mark {
            kind: StreamKind::NewFiles,
            source: self.source(),
            table: String::new(),
            batch,
            first: first.unwrap_or(batch),
            files: new.iter().cloned().collect(),
            columns: schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect(),
            version: 0,
        };
        // A batch without files is one only where it ends what was before.
        let mark = (!new.is_empty() || first.is_none()).then_some(mark);
        Ok((Part::Files(new, None), mark))
    }

    /// The files that the table has, and the batch with which they began.
    async fn seen(&self, table: &DeltaTable, last: i64) -> Result<(BTreeSet<String>, i64), EngineError> {
        let state = table.snapshot().map_err(|error| failure::reading(&error, &self.write.relation))?;
        let id = state.metadata().id().to_owned();
        let mut known = marks::read(self.engine, &id, &self.source()).await?;
        if !known.contains_key(&last) {
            let missing = self.missing(table, last, &known, &id).await?;
            marks::append(self.engine, (&self.write.relation, ""), &missing).await?;
            known.extend(missing.into_iter().map(|mark| (mark.batch, mark)));
        }
        let first = known.get(&last).map(|mark| mark.first).ok_or_else(|| self.lost())?;
        let mut seen = BTreeSet::new();
        for batch in first..=last {
            seen.extend(known.get(&batch).ok_or_else(|| self.lost())?.files.iter().cloned());
        }
        Ok((seen, first))
    }

    /// The columns that the files of the last commit about the source had, if the log still says so.
    async fn columns(&self, table: &DeltaTable) -> Result<Option<Vec<(String, String)>>, EngineError> {
        let failed = |error| failure::reading(&error, &self.write.relation);
        for version in (0..=table.version().unwrap_or(0)).rev() {
            let Some(entry) = table.log_store().read_commit_entry(version).await.map_err(failed)? else { return Ok(None) };
            let actions = get_actions(version, &entry).map_err(failed)?;
            let information = actions.iter().find_map(|action| if let Action::CommitInfo(info) = action { info.info.get(READ) } else { None });
            let mark = information.and_then(|read| Mark::parse(self.read.kind, &self.source(), read.get(self.source())?));
            if let Some(mark) = mark.filter(|mark| !mark.columns.is_empty()) {
                return Ok(Some(mark.columns));
            }
        }
        Ok(None)
    }

    /// The batches that the mirror lacks, newest first, from the log.
    async fn missing(&self, table: &DeltaTable, last: i64, known: &BTreeMap<i64, Mark>, id: &str) -> Result<Vec<Mark>, EngineError> {
        let failed = |error| failure::reading(&error, &self.write.relation);
        let mut found: Vec<Mark> = Vec::new();
        let mut wanted = last;
        let mut version = table.version().unwrap_or(0);
        loop {
            let entry = table.log_store().read_commit_entry(version).await.map_err(failed)?.ok_or_else(|| self.lost())?;
            let actions = get_actions(version, &entry).map_err(failed)?;
            let information = actions.iter().find_map(|action| if let Action::CommitInfo(info) = action { info.info.get(READ) } else { None });
            if let Some(mut mark) = information.and_then(|read| Mark::parse(self.read.kind, &self.source(), read.get(self.source())?)) {
                id.clone_into(&mut mark.table);
                mark.version = version;
                let (batch, first) = (mark.batch, mark.first);
                if batch == wanted {
                    found.push(mark);
                    wanted -= 1;
                }
                if wanted < first || known.contains_key(&wanted) {
                    return Ok(found);
                }
            }
            version = version.checked_sub(1).ok_or_else(|| self.lost())?;
        }
    }
}

/// A source that can't be read as a stream.
fn unreadable(message: String, help: &str) -> EngineError {
    EngineError::Sql(Box::new(SqlError::new(Code::StreamUnreadable, message).help(help)))
}

impl Mark {
    fn information(&self) -> Json {
        match self.kind {
            StreamKind::NewFiles => json!({ "batch": self.batch, "first": self.first, "files": self.files, "columns": self.columns }),
            StreamKind::NewRows => json!({ "version": self.batch }),
        }
    }

    fn parse(kind: StreamKind, source: &str, value: &Json) -> Option<Self> {
        let number = |key: &str| value.get(key).and_then(Json::as_i64);
        let files = value.get("files").and_then(Json::as_array).into_iter().flatten().filter_map(|file| file.as_str().map(str::to_owned));
        Some(Self {
            kind,
            source: source.to_owned(),
            table: String::new(),
            batch: number("batch")?,
            first: number("first")?,
            files: files.collect(),
            columns: value.get("columns").and_then(|columns| serde_json::from_value(columns.clone()).ok()).unwrap_or_default(),
            version: 0,
        })
    }
}
