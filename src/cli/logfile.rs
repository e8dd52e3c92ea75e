//! Events in the log file, `logs/dbt.log` unless told otherwise: appended, so that what an earlier command said stays.

use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::narrate::Narrator;
use super::record::{Level, LogFormat, LogIdentity};
use crate::base::files::{self, FileError};
use crate::base::{Event, EventSink};

/// The name that tools look for.
pub(crate) const LOG_FILE: &str = "dbt.log";

/// The sink for the log file.
pub(crate) struct LogFile {
    format: LogFormat,
    identity: LogIdentity,
    narrator: Narrator,
    out: Box<dyn Write + Send>,
    titled: bool,
}

impl LogFile {
    /// Opens `dbt.log` in `folder`, which is created where it is missing. A file of more than `limit` bytes becomes
    /// `dbt.log.1` first; a limit of 0 is none.
    ///
    /// # Errors
    /// If the folder or the file can't be written.
    pub fn open(folder: &Path, format: LogFormat, least: Level, limit: u64, identity: LogIdentity) -> Result<Self, FileError> {
        let path = folder.join(LOG_FILE);
        if limit > 0 && files::size(&path).is_some_and(|bytes| bytes > limit) {
            files::rename(&path, &folder.join(format!("{LOG_FILE}.1")))?;
        }
        let out = files::append(&path)?;
        Ok(Self { format, identity, narrator: Narrator::new(least, format == LogFormat::Json, 80), out: Box::new(out), titled: false })
    }

    /// The line between the commands of a file of text.
    fn title(&self, at: DateTime<Utc>) -> String {
        let rule = "=".repeat(30);
        format!("\n\n{rule} {} | {} {rule}\n", at.format("%Y-%m-%d %H:%M:%S%.6f"), self.identity.id)
    }
}

impl EventSink for LogFile {
    fn event(&mut self, event: &Event, at: DateTime<Utc>) {
        let mut lines = String::new();
        for record in self.narrator.tell(event, at) {
            // What is below the level leaves no title either.
            if !self.titled && self.format != LogFormat::Json {
                lines.push_str(&self.title(at));
            }
            self.titled = true;
            match self.format {
                LogFormat::Text => lines.push_str(&record.text_line(at, false)),
                LogFormat::Debug => lines.push_str(&record.debug_line(at, false)),
                LogFormat::Json => lines.push_str(&record.json_line(at, &self.identity)),
            }
        }
        files::write_lossy(&mut self.out, &lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_append_and_debug_holds_the_sql() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        let at = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();
        let identity = LogIdentity { id: "abc".into(), process: 7 };
        let sent = Event::SqlSent { node: "model.p.a".into(), sql: "select 1\nfrom x".into() };
        LogFile::open(&logs, LogFormat::Debug, Level::Debug, 0, identity.clone()).unwrap().event(&sent, at);
        LogFile::open(&logs, LogFormat::Debug, Level::Info, 0, identity.clone()).unwrap().event(&sent, at);
        let text = std::fs::read_to_string(logs.join("dbt.log")).unwrap();
        let rule = "=".repeat(30);
        let title = format!("\n\n{rule} 2023-11-14 22:13:20.123456 | abc {rule}\n");
        assert_eq!(text, format!("{title}22:13:20.123456 [debug] [MainThread]: On model.p.a: select 1\nfrom x\n"));

        let structured = folder.path().join("structured");
        LogFile::open(&structured, LogFormat::Json, Level::Debug, 0, identity).unwrap().event(&sent, at);
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(structured.join("dbt.log")).unwrap()).unwrap();
        assert_eq!(line["info"]["name"], "SQLQuery");
        assert_eq!(line["data"]["sql"], "select 1\nfrom x");
    }

    #[test]
    fn a_file_that_is_too_large_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dbt.log"), "long ago").unwrap();
        let identity = LogIdentity { id: "abc".into(), process: 7 };
        drop(LogFile::open(folder.path(), LogFormat::Text, Level::Debug, 8, identity.clone()).unwrap());
        assert!(!folder.path().join("dbt.log.1").exists(), "as large as the limit is not larger");
        drop(LogFile::open(folder.path(), LogFormat::Text, Level::Debug, 7, identity).unwrap());
        assert_eq!(std::fs::read_to_string(folder.path().join("dbt.log.1")).unwrap(), "long ago");
        assert_eq!(std::fs::read_to_string(folder.path().join("dbt.log")).unwrap(), "");
    }

    #[test]
    fn a_folder_that_is_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("logs"), "x").unwrap();
        let identity = LogIdentity { id: "abc".into(), process: 7 };
        let error = LogFile::open(&folder.path().join("logs"), LogFormat::Text, Level::Debug, 0, identity).err().unwrap();
        assert!(error.to_string().starts_with("can't create"), "{error}");
    }
}
