//! Random histories of changes against a plain reference, and the change feed against both.

use std::collections::BTreeMap;

use deltalake::arrow::array::RecordBatch;
use deltalake::datafusion::prelude::SessionContext;
use deltalake::delta_datafusion::DeltaCdfTableProvider;
use futures::TryStreamExt as _;

use super::super::super::{
    CommitLabel, Engine as _, EngineError, Matched, Merge, NotMatched, NotMatchedBySource, Outcome, SchemaChange, Step, TableInput, TableSettings,
    TableWrite, UpdateColumns, WriteMode, json_rows,
};
use super::super::{EngineOptions, LocalEngine};
use crate::manifest::RelationName;

/// Key, part, label; every one may be NULL but the part.
type Row = (Option<i64>, i64, Option<String>);

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn rows(&mut self, most: u64, keys: u64, distinct: bool) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..self.roll(most + 1) {
            let key = (self.roll(8) != 0).then(|| i64::try_from(self.roll(keys)).unwrap());
            if distinct && rows.iter().any(|row| row.0 == key) {
                continue;
            }
            let label = (self.roll(6) != 0).then(|| format!("l{}", self.roll(100)));
            rows.push((key, i64::try_from(self.roll(3)).unwrap(), label));
        }
        rows
    }
}

fn sql(rows: &[Row]) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "null".into());
    let values = rows.iter().map(|(key, part, label)| {
        let label = label.as_ref().map(|label| format!("'{label}'"));
        format!(
            "select cast({} as bigint) as id, cast({part} as bigint) as part, cast({} as varchar) as label",
            text(key.map(|key| key.to_string())),
            text(label)
        )
    });
    let values: Vec<String> = values.collect();
    if values.is_empty() { format!("select * from ({}) as r where false", sql(&[(None, 0, None)])) } else { values.join(" union all ") }
}

fn table() -> RelationName {
    RelationName::new("alluvium", "main", "t")
}

fn write(query: String, mode: WriteMode, partitioned: bool, change_feed: bool) -> TableWrite {
    let partition_by = if partitioned { vec!["part".to_owned()] } else { Vec::new() };
    TableWrite {
        relation: table(),
        input: TableInput::Query(query),
        mode,
        schema_change: SchemaChange::Ignore,
        dedupe: None,
        columns: Vec::new(),
        checks: None,
        streams: Vec::new(),
        settings: TableSettings { partition_by, change_feed, ..TableSettings::default() },
        label: CommitLabel::default(),
    }
}

fn upsert() -> Merge {
    Merge {
        keys: vec!["ID".into()],
        target_alias: "old".into(),
        source_alias: "new".into(),
        predicates: Vec::new(),
        matched: Some(Matched { condition: None, update: UpdateColumns::All }),
        not_matched: Some(NotMatched { condition: None }),
        not_matched_by_source: None,
        unstored: Vec::new(),
    }
}

async fn build(engine: &LocalEngine, write: TableWrite) -> Result<(), EngineError> {
    let Outcome::Staged { stage, .. } = engine.execute(&Step::StageTable(write)).await? else { panic!("nothing staged") };
    engine.execute(&Step::Publish(stage)).await.map(|_| ())
}

async fn rows(engine: &LocalEngine, text: &str) -> Vec<String> {
    let batches: Vec<RecordBatch> = engine.query(text, &[]).await.unwrap().try_collect().await.unwrap();
    let mut rows: Vec<String> = batches.iter().flat_map(|batch| json_rows(batch).unwrap()).map(|row| serde_json::to_string(&row).unwrap()).collect();
    rows.sort();
    rows
}

fn shown(rows: &[Row]) -> Vec<String> {
    let mut shown: Vec<String> = rows.iter().map(|(key, part, label)| serde_json::json!([key, part, label]).to_string()).collect();
    shown.sort();
    shown
}

/// What a mode makes of rows, in plain Rust.
fn reference(old: &[Row], new: &[Row], kind: u64) -> (WriteMode, Vec<Row>) {
    let is_new = |row: &Row| new.iter().any(|new| new.0 == row.0);
    let is_old = |row: &Row| old.iter().any(|old| old.0 == row.0);
    let untouched = || old.iter().filter(|row| !is_new(row)).cloned();
    let matched = || old.iter().filter_map(|row| Some((row, new.iter().find(|new| new.0 == row.0)?)));
    let inserted = || new.iter().filter(|row| !is_old(row)).cloned();
    match kind {
        0 => (WriteMode::Merge(upsert()), untouched().chain(matched().map(|(_, new)| new.clone())).chain(inserted()).collect()),
        1 => {
            let update = UpdateColumns::Only(vec!["Label".into()]);
            let merge = Merge { matched: Some(Matched { condition: None, update }), ..upsert() };
            let kept = matched().map(|(old, new)| (old.0, old.1, new.2.clone()));
            (WriteMode::Merge(merge), untouched().chain(kept).chain(inserted()).collect())
        }
        2 => {
            let condition = Some("old.Part < new.part".to_owned());
            let merge = Merge {
                matched: Some(Matched { condition, update: UpdateColumns::Except(vec!["part".into()]) }),
                not_matched: Some(NotMatched { condition: Some("new.part > 0".into()) }),
                ..upsert()
            };
            let kept = matched().map(|(old, new)| if old.1 < new.1 { (new.0, old.1, new.2.clone()) } else { old.clone() });
            (WriteMode::Merge(merge), untouched().chain(kept).chain(inserted().filter(|row| row.1 > 0)).collect())
        }
        3 => {
            let merge = Merge {
                matched: None,
                not_matched_by_source: Some(NotMatchedBySource { condition: Some("old.part = 1".into()), update: None }),
                ..upsert()
            };
            (WriteMode::Merge(merge), untouched().filter(|row| row.1 != 1).chain(matched().map(|(old, _)| old.clone())).chain(inserted()).collect())
        }
        4 => {
            let update = Some(vec![("label".to_owned(), "concat('gone ', old.id)".to_owned())]);
            let merge = Merge { not_matched: None, not_matched_by_source: Some(NotMatchedBySource { condition: None, update }), ..upsert() };
            let gone = untouched().map(|row| (row.0, row.1, Some(format!("gone {}", row.0.map_or_else(String::new, |key| key.to_string())))));
            (WriteMode::Merge(merge), gone.chain(matched().map(|(_, new)| new.clone())).collect())
        }
        5 => (WriteMode::DeleteInsert { keys: vec!["id".into()], predicates: Vec::new() }, untouched().chain(new.iter().cloned()).collect()),
        6 => {
            let predicates = vec!["DBT_INTERNAL_DEST.part <> 2".to_owned()];
            let kept = old.iter().filter(|row| !is_new(row) || row.1 == 2).cloned();
            (WriteMode::DeleteInsert { keys: vec!["id".into()], predicates }, kept.chain(new.iter().cloned()).collect())
        }
        7 => {
            let kept = old.iter().filter(|row| row.0.is_none_or(|key| key < 10)).cloned();
            (WriteMode::ReplaceWhere { condition: "ID >= 10".into(), new: "ID >= 10".into() }, kept.chain(new.iter().cloned()).collect())
        }
        8 => {
            let kept = old.iter().filter(|row| !new.iter().any(|new| new.1 == row.1)).cloned();
            (WriteMode::OverwritePartitions, kept.chain(new.iter().cloned()).collect())
        }
        _ => (WriteMode::Append, old.iter().chain(new).cloned().collect()),
    }
}

async fn history(seed: u64, partitioned: bool, change_feed: bool) {
    let uri = format!("memory://{}", uuid::Uuid::new_v4().simple());
    let engine = LocalEngine::open(EngineOptions::of_folder(&uri, std::path::Path::new("."))).unwrap();
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut old = dice.rows(40, 30, true);
    build(&engine, write(sql(&old), WriteMode::Overwrite, partitioned, change_feed)).await.unwrap();
    let mut states = vec![old.clone()];
    for turn in 0..6 {
        let kind = dice.roll(10);
        let mut new = dice.rows(12, 30, kind < 5);
        if kind == 7 {
            new.retain(|row| row.0.is_some_and(|key| key >= 10));
        }
        if kind == 8 && !partitioned {
            continue;
        }
        let (mode, expected) = reference(&old, &new, kind);
        let step = format!("seed {seed}, turn {turn}, kind {kind}, {mode:?}\nold {old:?}\nnew {new:?}");
        build(&engine, write(sql(&new), mode, partitioned, change_feed)).await.unwrap_or_else(|error| panic!("{step}\n{error:?}"));
        assert_eq!(rows(&engine, "select * from t").await, shown(&expected), "{step}");
        old = expected;
        states.push(old.clone());
    }
    if change_feed {
        feed_tells_the_same(&engine, &states[0], &old, seed).await;
    }
}

/// Every change of the feed, applied to the first state, gives the last.
async fn feed_tells_the_same(engine: &LocalEngine, first: &[Row], last: &[Row], seed: u64) {
    let table = engine.warehouse.open_table(&table()).await.unwrap().unwrap();
    let builder = table.clone().scan_cdf().with_starting_version(1);
    if table.version() == Some(0) {
        return;
    }
    let context = SessionContext::new();
    table.update_datafusion_session(&context.state()).unwrap();
    let feed = DeltaCdfTableProvider::try_new(builder).unwrap();
    context.register_table("feed", std::sync::Arc::new(feed)).unwrap();
    let query = "select id, part, label, _change_type from feed";
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for row in shown(first) {
        *counts.entry(row).or_default() += 1;
    }
    for row in batches.iter().flat_map(|batch| json_rows(batch).unwrap()) {
        let mut row = row;
        let kind = row.pop().unwrap();
        let gain = if matches!(kind.as_str(), Some("insert" | "update_postimage")) { 1 } else { -1 };
        *counts.entry(serde_json::to_string(&row).unwrap()).or_default() += gain;
    }
    let mut rows = Vec::new();
    for (row, count) in counts {
        assert!(count >= 0, "seed {seed}: {row} goes {} times too often", -count);
        rows.extend(std::iter::repeat_n(row, usize::try_from(count).unwrap()));
    }
    rows.sort();
    assert_eq!(rows, shown(last), "seed {seed}");
}

#[tokio::test]
async fn every_mode_does_what_the_reference_does() {
    for seed in 1..=6 {
        history(seed, seed % 2 == 0, seed % 3 != 0).await;
    }
}
