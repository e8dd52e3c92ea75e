//! Snapshots driven by random histories, held against a plain implementation of what `docs/histories.md` says: inserts,
//! updates, deletes, late rows, rows of the future, rows without a time, and runs without a change.
//!
//! The histories come from a small generator with fixed seeds: one short history, or with `HISTORIES=20` in the environment
//! that many long ones, of all variants. Times of a run are not known beforehand: one that lies
//! between the beginning and the end of a round's run counts as that round's time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::program::alluvium;

const KEYS: u64 = 6;

/// xorshift64*: enough for histories, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end
    }
}

/// A time: one of the data, in hours of its first year, or that of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Time {
    Past(u64),
    Run(usize),
    Future(u64),
}

impl Time {
    fn csv(self) -> String {
        let (year, hour) = match self {
            Self::Past(hour) => (2020, hour),
            Self::Future(hour) => (2099, hour),
            Self::Run(_) => unreachable!("data have no time of a run"),
        };
        format!("{year}-01-{:02} {:02}:00:00", hour / 24 + 1, hour % 24)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    value: String,
    at: Option<Time>,
}

/// The rows of a delivery by key; one key may be absent, which stands for NULL.
type Delivery = BTreeMap<Option<u64>, Row>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletes {
    Ignore,
    Invalidate,
    NewRecord,
}

#[derive(Debug, Clone, Copy)]
struct Variant {
    name: &'static str,
    by_time: bool,
    deletes: Deletes,
}

const VARIANTS: [Variant; 6] = [
    Variant { name: "time_ignore", by_time: true, deletes: Deletes::Ignore },
    Variant { name: "time_invalidate", by_time: true, deletes: Deletes::Invalidate },
    Variant { name: "time_record", by_time: true, deletes: Deletes::NewRecord },
    Variant { name: "check_record", by_time: false, deletes: Deletes::NewRecord },
    Variant { name: "check_ignore", by_time: false, deletes: Deletes::Ignore },
    Variant { name: "check_invalidate", by_time: false, deletes: Deletes::Invalidate },
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    key: Option<u64>,
    from: Time,
    to: Option<Time>,
    row: Row,
    updated: Time,
    deleted: bool,
}

/// The plain implementation.
#[derive(Default)]
struct Reference {
    versions: Vec<Version>,
}

impl Reference {
    fn run(&mut self, variant: Variant, delivery: &Delivery, now: Time) {
        for (key, row) in delivery {
            self.see(variant, *key, row, now);
        }
        if variant.deletes == Deletes::Ignore {
            return;
        }
        let gone: Vec<usize> = (0..self.versions.len())
            .filter(|at| self.versions[*at].to.is_none() && !self.versions[*at].deleted && !delivery.contains_key(&self.versions[*at].key))
            .collect();
        for at in gone {
            let ends = now.max(self.versions[at].from);
            self.versions[at].to = Some(ends);
            if variant.deletes == Deletes::NewRecord {
                let marked = Version { from: ends, to: None, updated: now, deleted: true, ..self.versions[at].clone() };
                self.versions.push(marked);
            }
        }
    }

    fn see(&mut self, variant: Variant, key: Option<u64>, row: &Row, now: Time) {
        let changed_at = if variant.by_time { row.at.unwrap_or(now) } else { now };
        let current = self.versions.iter().position(|version| version.key == key && version.to.is_none());
        let begins = match current {
            Some(at) => changed_at.max(self.versions[at].from),
            None => self.versions.iter().filter(|version| version.key == key).filter_map(|version| version.to).fold(changed_at, Time::max),
        };
        if let Some(at) = current {
            let before = &self.versions[at];
            let changed = before.deleted
                || if variant.by_time { row.at.is_some() && (changed_at > before.updated || before.row.at.is_none()) } else { before.row != *row };
            if !changed {
                return;
            }
            self.versions[at].to = Some(begins);
        }
        self.versions.push(Version { key, from: begins, to: None, row: row.clone(), updated: changed_at, deleted: false });
    }

    fn sorted(&self) -> Vec<Version> {
        let mut versions = self.versions.clone();
        versions.sort();
        versions
    }
}

fn next(random: &mut Random, before: &Delivery, round: usize) -> Delivery {
    if random.below(6) == 0 {
        return before.clone();
    }
    if random.below(12) == 0 {
        return Delivery::new();
    }
    let mut delivery = before.clone();
    for number in 0..KEYS {
        let key = (number > 0).then_some(number);
        match random.below(5) {
            0 => drop(delivery.remove(&key)),
            1 | 2 => {
                let hour = round as u64 * 24 + random.below(20);
                let at = match random.below(10) {
                    0 => None,
                    1 => Some(Time::Past(random.below(48))),
                    2 => Some(Time::Future(hour)),
                    _ => Some(Time::Past(hour)),
                };
                drop(delivery.insert(key, Row { value: format!("v{}", random.below(4)), at }));
            }
            _ => {}
        }
    }
    delivery
}

fn csv(delivery: &Delivery) -> String {
    let mut text = String::from("id,value,at\n");
    for (key, row) in delivery {
        let key = key.map_or_else(String::new, |key| key.to_string());
        writeln!(text, "{key},{},{}", row.value, row.at.map_or_else(String::new, Time::csv)).unwrap();
    }
    text
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn run(folder: &Path, line: &[&str]) -> String {
    let args: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    let finished = alluvium(folder, &args, "");
    assert_eq!(finished.exit_code, 0, "{line:?}\n{}{}", finished.stdout, finished.stderr);
    finished.stdout
}

fn project(folder: &Path, variants: &[Variant]) {
    write(folder, "project.yml", "name: example\ntargets:\n  default: local\n  local: {warehouse: warehouse, schema: main, threads: 2}\n");
    write(
        folder,
        "models/sources.yml",
        "sources:\n  - name: raw\n    tables:\n      - name: delivery\n        external: {location: delivery.csv, format: csv}\n        columns:\n          - {name: id, data_type: bigint}\n          - {name: value, data_type: varchar}\n          - {name: at, data_type: timestamp}\n",
    );
    for variant in variants {
        let strategy = if variant.by_time { "strategy='timestamp', updated_at='at'" } else { "strategy='check', check_cols='all'" };
        let deletes = match variant.deletes {
            Deletes::Ignore => "ignore",
            Deletes::Invalidate => "invalidate",
            Deletes::NewRecord => "new_record",
        };
        let text = format!(
            "{{% snapshot {} %}}\n{{{{ config(unique_key='id', {strategy}, hard_deletes='{deletes}') }}}}\nselect id, value, at from {{{{ source('raw', 'delivery') }}}}\n{{% endsnapshot %}}\n",
            variant.name
        );
        write(folder, &format!("snapshots/{}.sql", variant.name), &text);
    }
}

/// A time of a table as the reference knows it.
fn time(text: &str, rounds: &[(String, String)]) -> Time {
    let hour = || (text[8..10].parse::<u64>().unwrap() - 1) * 24 + text[11..13].parse::<u64>().unwrap();
    match &text[..4] {
        "2020" => Time::Past(hour()),
        "2099" => Time::Future(hour()),
        _ => {
            let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
            let text = format!("{}.{fraction:0<6}", seconds.replace('T', " "));
            let round = rounds.iter().position(|(begin, end)| (begin..=end).contains(&&text));
            Time::Run(round.unwrap_or_else(|| panic!("{text} is the time of no run: {rounds:?}")))
        }
    }
}

fn found(folder: &Path, variant: Variant, rounds: &[(String, String)]) -> (Vec<Version>, usize) {
    let deleted = if variant.deletes == Deletes::NewRecord { "dbt_is_deleted" } else { "'False'" };
    let sql =
        format!("select id, value, at, dbt_valid_from, dbt_valid_to, dbt_updated_at, {deleted} as deleted, dbt_scd_id from main.{}", variant.name);
    let text = run(folder, &["sql", &sql, "--output", "csv"]);
    let mut ids = BTreeSet::new();
    let mut versions: Vec<Version> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let optional = |at: usize| (!cells[at].is_empty()).then(|| time(cells[at], rounds));
            ids.insert(cells[7].to_owned());
            Version {
                key: cells[0].parse().ok(),
                from: time(cells[3], rounds),
                to: optional(4),
                row: Row { value: cells[1].to_owned(), at: optional(2) },
                updated: time(cells[5], rounds),
                deleted: cells[6] == "True",
            }
        })
        .collect();
    versions.sort();
    (versions, ids.len())
}

/// What holds for every snapshot, whatever its history.
fn sound(variant: Variant, versions: &[Version], delivery: &Delivery) {
    let mut by_key: BTreeMap<Option<u64>, Vec<&Version>> = BTreeMap::new();
    for version in versions {
        by_key.entry(version.key).or_default().push(version);
    }
    for (key, versions) in &mut by_key {
        versions.sort_by_key(|version| (version.from, version.to.is_none(), version.to));
        let what = format!("{}: {key:?}: {versions:#?}", variant.name);
        for pair in versions.windows(2) {
            let end = pair[0].to.unwrap_or_else(|| panic!("a current version is followed by another, {what}"));
            assert!(end <= pair[1].from, "versions overlap, {what}");
            assert!(end == pair[1].from || variant.deletes == Deletes::Invalidate, "there is a gap, {what}");
        }
        let current = versions.iter().filter(|version| version.to.is_none()).count();
        let living = delivery.contains_key(key) || variant.deletes != Deletes::Invalidate;
        assert_eq!(current, usize::from(living), "current versions, {what}");
    }
    assert!(delivery.keys().all(|key| by_key.contains_key(key)), "{}: a key is lost", variant.name);
}

#[test]
fn snapshots_of_random_histories_are_those_of_a_plain_implementation() {
    let wanted: Option<u64> = std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok());
    let (rounds, variants) = if wanted.is_some() { (10, &VARIANTS[..]) } else { (5, &VARIANTS[..4]) };
    for seed in 1..=wanted.unwrap_or(1) {
        history(seed * 7919, rounds, variants);
    }
}

fn history(seed: u64, length: usize, variants: &[Variant]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    project(folder, variants);
    let mut random = Random(seed);
    let mut references: Vec<Reference> = variants.iter().map(|_| Reference::default()).collect();
    let mut rounds: Vec<(String, String)> = Vec::new();
    let mut delivery = Delivery::new();
    for round in 0..length {
        delivery = next(&mut random, &delivery, round);
        write(folder, "delivery.csv", &csv(&delivery));
        let stamp = || chrono::Utc::now().format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        let begin = stamp();
        run(folder, &["snapshot", "--quiet"]);
        rounds.push((begin, stamp()));
        for (variant, reference) in variants.iter().zip(&mut references) {
            reference.run(*variant, &delivery, Time::Run(round));
        }
    }
    for (variant, reference) in variants.iter().zip(&references) {
        let (versions, ids) = found(folder, *variant, &rounds);
        assert_eq!(versions, reference.sorted(), "{} with the seed {seed}", variant.name);
        assert_eq!(ids, versions.len(), "{} with the seed {seed}: ids stand twice", variant.name);
        sound(*variant, &versions, &delivery);
    }
    let logs = || {
        walkdir::WalkDir::new(folder.join("warehouse/main"))
            .into_iter()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "json"))
            .count()
    };
    let before = logs();
    run(folder, &["snapshot", "--quiet"]);
    assert_eq!(logs(), before, "a run without a change commits nothing");
}
