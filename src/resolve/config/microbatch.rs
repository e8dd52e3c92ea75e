//! The config of models that are built in batches of time.

use serde_json::Value as Json;

use super::Reader;
use crate::base::{Code, Diagnostic, moment};
use crate::manifest::{BatchSize, Microbatch};

const STRATEGY: &str = "incremental_strategy";

/// What `microbatch` needs; `None` where something is missing or wrong, which is reported.
pub(super) fn microbatch(reader: &mut Reader<'_>) -> Option<Microbatch> {
    let event_time = required(reader, "event_time", "name the column with the time that says to which batch a row belongs", Reader::text);
    let begin = required(reader, "begin", "say when the first batch begins, e.g. begin='2024-01-01'", begin);
    let size = required(reader, "batch_size", "say how long a batch is: hour, day, month or year", batch_size);
    let lookback = lookback(reader);
    if reader.flag("concurrent_batches", false) {
        let place = reader.place("concurrent_batches");
        let warning = Diagnostic::warning(Code::NotAvailable, "batches of one model run one after the other, also with `concurrent_batches`");
        reader.found.push(warning.at(place, "set here").help("leave out `concurrent_batches`: each batch builds on what the one before published"));
    }
    if reader.present("read").is_some() {
        let help = "leave out `read`: each batch reads the rows of its own time";
        reader.lacks("read", "the strategy `microbatch` reads no source as a stream", help);
    }
    Some(Microbatch { event_time: event_time?, begin: begin?, size: size?, lookback: lookback? })
}

/// A key that has to be there, read by `read`, which reports what is wrong with it.
fn required<'r, T>(reader: &mut Reader<'r>, key: &str, help: &str, read: fn(&mut Reader<'r>, &str) -> Option<T>) -> Option<T> {
    if reader.present(key).is_none() {
        let span = reader.place(STRATEGY);
        let message = format!("the strategy `microbatch` needs `{key}`");
        reader.found.push(Diagnostic::error(Code::ConfigType, message).at(span, "this config").help(help));
        return None;
    }
    read(reader, key)
}

fn begin(reader: &mut Reader<'_>, key: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    let value = reader.present(key)?;
    let begin = value.as_str().and_then(moment);
    if begin.is_none() {
        reader.wrong(key, "a date or a time in UTC, such as `2024-01-01` or `2024-01-01 06:00:00`", value);
    }
    begin
}

fn batch_size(reader: &mut Reader<'_>, key: &str) -> Option<BatchSize> {
    let value = reader.present(key)?;
    let size = value.as_str().and_then(BatchSize::from_name);
    if size.is_none() {
        reader.wrong(key, "`hour`, `day`, `month` or `year`", value);
    }
    size
}

fn lookback(reader: &mut Reader<'_>) -> Option<u32> {
    let Some(value) = reader.present("lookback") else { return Some(1) };
    let lookback = match &value {
        Json::String(text) => text.trim().parse().ok(),
        Json::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    };
    if lookback.is_none() {
        reader.wrong("lookback", "a number of batches", value);
    }
    lookback
}
