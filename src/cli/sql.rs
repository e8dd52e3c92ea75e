//! `sql`: statements against the target. A project that does not parse is none to them: its files are not known then.

use std::io::Read as _;

use futures::TryStreamExt as _;

use super::args::{Global, SqlOptions, Switch};
use super::output::{JsonShape, print_rows};
use super::session::{ProjectFiles, Session, Stop};
use super::{Exit, Invocation, Streams};
use crate::base::{Diagnostic, FileId, Span};
use crate::engine::{Engine, EngineError, SqlError};
use crate::sql::{respelt_texts, split_statements};

pub(super) async fn sql(options: &SqlOptions, global: &Global, mut invocation: Invocation, streams: &Streams) -> Exit {
    let mut quiet = global.clone();
    quiet.switches.set(Switch::Quiet, true);
    let session = match Session::start("sql", &quiet, &invocation, streams) {
        Ok(session) => session,
        Err(Stop(exit)) => return exit,
    };
    let text = if let Some(text) = &options.statements {
        text.clone()
    } else {
        let mut text = String::new();
        if let Err(error) = invocation.stdin.read_to_string(&mut text) {
            let Stop(exit) = session.fail(&format!("standard input can't be read: {error}"));
            return exit;
        }
        text
    };
    let done = carry_out(options, &session, &text, streams).await;
    session.end(done).await
}

async fn carry_out(options: &SqlOptions, session: &Session, text: &str, streams: &Streams) -> Result<Exit, Stop> {
    let file = session.sources.add(if options.stdin { "standard input" } else { "statement" }, text);
    let target = session.target()?;
    let text = &*respelt_texts(target.semantics(), text);
    let ranges = match split_statements(text) {
        Ok(ranges) => ranges,
        Err(error) => {
            session.diagnosed(&diagnostic(&error, file, 0));
            return Ok(Exit::Failed);
        }
    };
    let engine = session.engine(&target)?;
    let mut files = ProjectFiles::new(session, &target, engine.as_ref());
    if ranges.is_empty() && options.output == super::args::RowsOutput::Json {
        streams.print(NO_ROWS);
    }
    for (at, range) in ranges.iter().enumerate() {
        let statement = text.get(range.clone()).unwrap_or_default();
        let last = at + 1 == ranges.len();
        let mut done = one(options, engine.as_ref(), statement, last, streams).await;
        if done.as_ref().is_err_and(|error| files.may_help(error)) {
            done = one(options, engine.as_ref(), statement, last, streams).await;
        }
        if let Err(error) = done {
            let whole = Span::new(file, range.start, range.start + statement.trim_end().len());
            let mut found = match &error {
                EngineError::Sql(error) if error.range.is_some() => diagnostic(error, file, range.start),
                error => error.diagnostic(&target.warehouse, Some((whole, "this statement"))),
            };
            files.note_unread(&mut found);
            session.diagnosed(&found);
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Fine)
}

/// A result without columns, as JSON.
const NO_ROWS: &str = "{\"columns\":[],\"rows\":[]}\n";

/// Runs one statement; the rows of the last one are printed.
async fn one(options: &SqlOptions, engine: &dyn Engine, statement: &str, last: bool, streams: &Streams) -> Result<(), EngineError> {
    let rows = engine.statement(statement).await?;
    let shown = |reason| EngineError::Storage { context: "the rows can't be shown".into(), reason };
    match rows {
        Some(stream) => {
            let schema = stream.schema();
            let batches: Vec<_> = match stream.try_collect().await {
                Ok(batches) => batches,
                Err(error) => return Err(engine.failure(error, statement, &[]).await),
            };
            if last {
                print_rows(&schema, &batches, options.output, JsonShape::Columns, streams).map_err(shown)?;
            }
        }
        None if last && options.output == super::args::RowsOutput::Json => streams.print(NO_ROWS),
        None => {}
    }
    Ok(())
}

pub(super) fn diagnostic(error: &SqlError, file: FileId, offset: usize) -> Diagnostic {
    let span = error.range.as_ref().map(|range| Span::new(file, offset + range.start, offset + range.end));
    let mut diagnostic = Diagnostic::error(error.code, error.message.clone()).at_opt(span, "");
    for (range, what) in &error.related {
        diagnostic = diagnostic.also(Span::new(file, offset + range.start, offset + range.end), what.as_str());
    }
    diagnostic.notes.extend(error.notes.iter().cloned());
    diagnostic.help.clone_from(&error.help);
    diagnostic
}
