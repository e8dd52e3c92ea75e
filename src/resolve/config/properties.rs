//! `tblproperties` held against what Delta knows: a misspelt property, or one that asks for what Alluvium does not do,
//! would stand in the table's log and mean nothing.

use indexmap::IndexMap;

use crate::base::{Code, Diagnostic, Span, nearest};

/// What a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Number,
    /// `interval 7 days`.
    Interval,
    OneOf(&'static [&'static str]),
    Text,
}

/// The properties that a table of Alluvium can have.
const KNOWN: [(&str, Kind); 22] = [
    ("delta.appendOnly", Kind::Flag),
    ("delta.autoOptimize.autoCompact", Kind::OneOf(&["true", "false", "auto", "legacy"])),
    ("delta.autoOptimize.optimizeWrite", Kind::Flag),
    ("delta.checkpoint.writeStatsAsJson", Kind::Flag),
    ("delta.checkpoint.writeStatsAsStruct", Kind::Flag),
    ("delta.checkpointInterval", Kind::Number),
    ("delta.checkpointPolicy", Kind::OneOf(&["classic"])),
    ("delta.columnMapping.mode", Kind::OneOf(&["none", "name", "id"])),
    ("delta.dataSkippingNumIndexedCols", Kind::Number),
    ("delta.dataSkippingStatsColumns", Kind::Text),
    ("delta.deletedFileRetentionDuration", Kind::Interval),
    ("delta.enableChangeDataFeed", Kind::Flag),
    ("delta.enableExpiredLogCleanup", Kind::Flag),
    ("delta.isolationLevel", Kind::OneOf(&["Serializable", "WriteSerializable", "SnapshotIsolation"])),
    ("delta.logRetentionDuration", Kind::Interval),
    ("delta.minReaderVersion", Kind::Number),
    ("delta.minWriterVersion", Kind::Number),
    ("delta.randomPrefixLength", Kind::Number),
    ("delta.randomizeFilePrefixes", Kind::Flag),
    ("delta.setTransactionRetentionDuration", Kind::Interval),
    ("delta.targetFileSize", Kind::Text),
    ("delta.tuneFileSizesForRewrites", Kind::Flag),
];

/// Properties that ask for a feature which Alluvium does not write; `false` and `none` ask for nothing.
const NOT_KEPT: [&str; 8] = [
    "delta.coordinatedCommits.commitCoordinator-preview",
    "delta.enableDeletionVectors",
    "delta.enableIcebergCompatV1",
    "delta.enableIcebergCompatV2",
    "delta.enableInCommitTimestamps",
    "delta.enableRowTracking",
    "delta.enableTypeWidening",
    "delta.universalFormat.enabledFormats",
];

/// What is wrong with the properties; names that do not begin with `delta.` are the user's own.
pub(super) fn check(properties: &IndexMap<String, String>, span: Span) -> Vec<Diagnostic> {
    properties
        .iter()
        .filter(|(name, _)| name.starts_with("delta."))
        .filter_map(|(name, value)| wrong(name, value))
        .map(|found| found.at(span, "set here"))
        .collect()
}

fn wrong(name: &str, value: &str) -> Option<Diagnostic> {
    if let Some((_, kind)) = KNOWN.iter().find(|(known, _)| *known == name) {
        let expected = mismatch(*kind, value)?;
        let message = format!("table property `{name}`: expected {expected}, found `{value}`");
        return Some(Diagnostic::error(Code::ConfigType, message).help(format!("set `{name}` to {expected}")));
    }
    if NOT_KEPT.contains(&name) || name.starts_with("delta.feature.") {
        let asks = !["false", "none", ""].contains(&value.to_lowercase().as_str());
        return asks.then(|| {
            Diagnostic::error(Code::NotAvailable, format!("table property `{name}` asks for a feature that Alluvium does not write"))
                .help("leave it out: the table would say what its files do not keep")
        });
    }
    // Column constraints and what engines note for themselves.
    if ["delta.constraints.", "delta.columnMapping.", "delta.rowTracking.", "delta.identity."].iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let names = KNOWN.iter().map(|(known, _)| *known).chain(NOT_KEPT);
    let unknown = Diagnostic::error(Code::UnknownKey, format!("Delta has no table property `{name}`"));
    Some(unknown.help_nearest(nearest(name, names), "names of your own begin with something other than `delta.`"))
}

/// What was expected, where the value is something else.
fn mismatch(kind: Kind, value: &str) -> Option<String> {
    let value = value.trim();
    let (fits, expected) = match kind {
        Kind::Flag => (["true", "false"].contains(&value.to_lowercase().as_str()), "`true` or `false`".to_owned()),
        Kind::Number => (value.parse::<i64>().is_ok(), "a whole number".to_owned()),
        Kind::Interval => (is_interval(value), "an interval, e.g. `interval 7 days`".to_owned()),
        Kind::OneOf(values) => (
            values.iter().any(|known| known.eq_ignore_ascii_case(value)),
            format!("one of {}", values.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")),
        ),
        Kind::Text => (!value.is_empty(), "a text".to_owned()),
    };
    (!fits).then_some(expected)
}

/// `interval 7 days`: what delta-rs reads; months and years have no length of their own.
fn is_interval(value: &str) -> bool {
    const UNITS: [&str; 8] = ["nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day", "week"];
    let words: Vec<String> = value.to_lowercase().split_whitespace().map(str::to_owned).collect();
    match words.as_slice() {
        [interval, number, unit] => {
            interval == "interval"
                && number.parse::<u64>().is_ok()
                && UNITS.iter().any(|known| unit == known || unit.strip_suffix('s') == Some(known))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn properties_are_known_misspelt_or_not_kept() {
        let code = |name: &str, value: &str| wrong(name, value).map(|found| found.code.name());
        assert_eq!(code("delta.logRetentionDuration", "interval 7 days"), None);
        assert_eq!(code("delta.logRetentionDuration", "a week"), Some("config-type"));
        assert_eq!(code("delta.logRetentionDuratoin", "interval 7 days"), Some("unknown-key"));
        assert_eq!(code("delta.enableRowTracking", "true"), Some("not-available"));
        assert_eq!(code("delta.enableRowTracking", "false"), None);
        assert_eq!(code("delta.feature.deletionVectors", "supported"), Some("not-available"));
        assert_eq!(code("delta.constraints.positive", "amount > 0"), None);
    }
}
