//! Several processes on one warehouse: builds at once, and a build beside a foreign writer. Nothing is lost, nothing
//! stands twice.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use deltalake::arrow::array::{Int64Array, RecordBatch, StringArray};
use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder};

use crate::literate::words;

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn start(folder: &Path, line: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alluvium"));
    command.args(words(line)).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a command prints that is told to stop once it has printed some words; it ends with 2.
#[cfg(unix)]
fn interrupted(folder: &Path, line: &str, words: &str) -> String {
    use std::io::{BufRead as _, BufReader, Read as _};

    let mut child = start(folder, line);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains(words) {
        assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{text}");
    text
}

fn finish(child: Child) -> String {
    let done = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}\n{text}", done.status);
    text
}

fn csv(folder: &Path, sql: &str) -> String {
    let finished = crate::program::alluvium(folder, &["sql".into(), sql.into(), "--output".into(), "csv".into()], "");
    assert_eq!(finished.exit_code, 0, "{sql}\n{}{}", finished.stdout, finished.stderr);
    finished.stdout
}

const PROJECT: &str = "name: example\ntargets:\n  default: local\n  local: {warehouse: warehouse, schema: main, threads: 2}\n";

#[test]
fn builds_at_once_lose_nothing_and_duplicate_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", PROJECT);
    write(folder.path(), "seeds/country.csv", "code\nPT\nBE\nES\n");
    write(
        folder.path(),
        "models/base.sql",
        "{{ config(materialized='table') }}\nselect value as id from generate_series(1, 500) as series (value)\n",
    );
    write(folder.path(), "models/v.sql", "select id from {{ ref('base') }} where id <= 100\n");
    write(folder.path(), "models/t.sql", "{{ config(materialized='table') }}\nselect id from {{ ref('v') }}\n");
    for round in 1..=3 {
        let both = [start(folder.path(), "build --target-path one --log-path one"), start(folder.path(), "build --target-path two --log-path two")];
        for child in both {
            assert!(finish(child).contains("Done. PASS=4 WARN=0 ERROR=0 SKIP=0"), "round {round}");
        }
        let sql = "select (select count(*) from main.country) as countries, (select count(distinct code) from main.country) as codes, \
                   (select count(*) from main.base) as rows, (select count(distinct id) from main.t) as ids, (select count(*) from main.t) as kept";
        assert_eq!(csv(folder.path(), sql), "countries,codes,rows,ids,kept\n3,3,500,100,100\n", "round {round}");
        let views = "select count(*) as n from information_schema.tables where table_schema = 'main' and table_name = 'v'";
        assert_eq!(csv(folder.path(), views), "n\n1\n", "round {round}");
    }
}

/// Waits for a line of a process that goes on.
#[cfg(unix)]
fn wait_for(lines: &std::sync::mpsc::Receiver<String>, wanted: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(line) = lines.recv_timeout(std::time::Duration::from_mins(2)) {
        let found = line.contains(wanted);
        seen.push(line);
        if found {
            return seen;
        }
    }
    panic!("no line with `{wanted}`: {seen:?}");
}

#[test]
#[cfg(unix)]
fn a_watched_check_reports_again_and_ends_on_interrupt() {
    use std::io::BufRead as _;

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", PROJECT);
    write(folder.path(), "models/a.sql", "select 1 as id\n");
    write(folder.path(), "models/b.sql", "select id from {{ ref('a') }}\n");
    let mut child = start(folder.path(), "check --watch --format short");
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
    wait_for(&lines, "2 nodes proved; 0 errors");
    write(folder.path(), "models/a.sql", "select 1 as key\n");
    let seen = wait_for(&lines, "1 error");
    assert!(seen.iter().any(|line| line.contains("models/b.sql:1:8") && line.contains("unknown-column")), "{seen:?}");
    write(folder.path(), "models/b.sql", "select key from {{ ref('a') }}\n");
    wait_for(&lines, "2 nodes proved; 0 errors");
    write(folder.path(), "models/b.sql", "select key from {{ ref('a') }} {{ nobody }}\n");
    wait_for(&lines, "1 warning");
    write(folder.path(), "project.yml", &format!("{PROJECT}flags: {{warn_error: true}}\n"));
    wait_for(&lines, "1 error");
    write(folder.path(), "models/b.sql", "select key from {{ ref('a') }}\n");
    wait_for(&lines, "2 nodes proved; 0 errors");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0), "the last report had no errors");
    reader.join().unwrap();
}

#[test]
fn a_build_beside_a_foreign_writer_keeps_what_that_one_appends() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", PROJECT);
    write(folder.path(), "models/sources.yml", "sources:\n  - name: raw\n    tables:\n      - name: orders\n");
    let model = "{{ config(materialized='table') }}\nselect id, origin from {{ source('raw', 'orders') }}\n";
    write(folder.path(), "models/copied.sql", model);
    finish(start(folder.path(), "sql \"create schema raw; create table raw.orders as select 0 as id, 'first' as origin\""));
    finish(start(folder.path(), "build"));

    let appended = std::thread::scope(|scope| {
        let writer = scope.spawn(|| append_rows(folder.path(), 12));
        for _ in 0..3 {
            finish(start(folder.path(), "build"));
            finish(start(folder.path(), "sql \"insert into raw.orders values (-1, 'ours')\""));
        }
        writer.join().unwrap()
    });
    finish(start(folder.path(), "build"));

    let sql = "select origin, count(*) as n, count(distinct id) as ids from raw.orders group by origin order by origin";
    assert_eq!(csv(folder.path(), sql), format!("origin,n,ids\nfirst,1,1\nforeign,{appended},{appended}\nours,3,1\n"));
    assert_eq!(csv(folder.path(), "select count(*) as n from main.copied"), format!("n\n{}\n", appended + 4));
}

/// A foreign writer: plain delta-rs that appends to the source and to the table that the build overwrites. Gives how many
/// rows it appended to the source.
fn append_rows(folder: &Path, count: i64) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for id in 1..=count {
            append(&folder.join("warehouse/raw/orders"), id).await;
            append(&folder.join("warehouse/main/copied"), 1000 + id).await;
        }
    });
    count
}

async fn append(path: &Path, id: i64) {
    let fields = vec![Field::new("id", DataType::Int64, true), Field::new("origin", DataType::Utf8, true)];
    let columns: Vec<deltalake::arrow::array::ArrayRef> = vec![Arc::new(Int64Array::from(vec![id])), Arc::new(StringArray::from(vec!["foreign"]))];
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    for _ in 0..50 {
        let table: DeltaTable =
            DeltaTableBuilder::from_url(deltalake::ensure_table_uri(path.to_string_lossy()).unwrap()).unwrap().load().await.unwrap();
        if table.write(vec![rows.clone()]).with_save_mode(SaveMode::Append).await.is_ok() {
            return;
        }
    }
    panic!("{}: could not append in 50 attempts", path.display());
}

/// Ctrl-C dismisses what is being written, reports the rest as skipped, and ends with 2.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_tables_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", PROJECT);
    write(folder.path(), "models/slow.sql", "{{ config(materialized='table') }}\nselect 1 as n\n");
    write(folder.path(), "models/below.sql", "{{ config(materialized='table') }}\nselect n from {{ ref('slow') }}\n");
    finish(start(folder.path(), "run"));
    let endless = "{{ config(materialized='table') }}\nselect count(*) as n from generate_series(1, 1000000) as a (x) \
                   cross join generate_series(1, 1000000) as b (y) where a.x % 7 = b.y % 11\n";
    write(folder.path(), "models/slow.sql", endless);

    let text = interrupted(folder.path(), "run --threads 1", "START");
    assert!(text.contains("below") && text.contains("SKIP"), "{text}");
    assert_eq!(csv(folder.path(), "select n from main.slow"), "n\n1\n");
    let below = walkdir::WalkDir::new(folder.path().join("warehouse/main/slow")).into_iter().map(Result::unwrap);
    let files = below.filter(|entry| entry.file_type().is_file() && !entry.path().to_string_lossy().contains("_delta_log")).count();
    assert_eq!(files, 1, "what was staged is still there");
}

/// Ctrl-C lets go of a source that is being asked, runs the hooks at the end, writes what is known, and ends with 2.
#[cfg(unix)]
#[test]
fn interrupted_freshness_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", &format!("{PROJECT}on-run-end: [create table main.ended as select 1 as n]\n"));
    let endless =
        "select max(now()) from generate_series(1, 1000000) as a (x) cross join generate_series(1, 1000000) as b (y) where a.x % 7 = b.y % 11";
    let sources = format!(
        "sources:\n  - name: raw\n    tables:\n      - name: slow\n        config:\n          loaded_at_query: {endless}\n          freshness: {{warn_after: {{count: 1, period: day}}}}\n"
    );
    write(folder.path(), "models/sources.yml", &sources);

    let text = interrupted(folder.path(), "source freshness", "START freshness");
    assert!(text.contains("Interrupted"), "{text}");
    assert_eq!(csv(folder.path(), "select n from main.ended"), "n\n1\n");
    assert!(folder.path().join("target/sources.json").exists());
}

/// Of a model in batches, those that are published are told in the results, and `retry` builds the others.
#[cfg(unix)]
#[test]
fn an_interrupted_model_in_batches_is_retried_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "project.yml", PROJECT);
    let model = |slow: &str| {
        format!(
            "{{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ts', begin='2024-01-01', batch_size='day') }}}}\n\
             select timestamp '2024-01-01' + interval '1 day' * x as ts, '{{{{ invocation_id }}}}' as run from generate_series(0, 3) as t (x)\n\
             {{% if model.batch and model.batch.id == '20240103' %}}{slow}{{% endif %}}"
        )
    };
    let endless = "where (select count(*) from generate_series(1, 1000000) as a (x) cross join generate_series(1, 1000000) as b (y) \
                   where a.x % 7 = b.y % 11) > 0";
    write(folder.path(), "models/daily.sql", &model(endless));

    interrupted(folder.path(), "run --event-time-start 2024-01-01 --event-time-end 2024-01-05", "3 of 4 START");
    let results = std::fs::read_to_string(folder.path().join("target/run_results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let batches = &results["results"][0]["batch_results"];
    let count = |key: &str| batches[key].as_array().map(Vec::len);
    assert_eq!((count("successful"), count("failed")), (Some(2), Some(2)), "{results}");

    write(folder.path(), "models/daily.sql", &model(""));
    let retried = finish(start(folder.path(), "retry"));
    assert!(!retried.contains("batch 2024-01-02") && retried.contains("batch 2024-01-03") && retried.contains("batch 2024-01-04"), "{retried}");
    assert_eq!(csv(folder.path(), "select count(*) as n, count(distinct run) as runs from main.daily"), "n,runs\n4,2\n");
}

/// A process that is killed at whatever moment leaves a warehouse that the next build brings to the same rows.
#[cfg(unix)]
#[test]
fn a_build_that_is_killed_is_made_up_for_by_the_next() {
    let expected = {
        let folder = tempfile::tempdir().unwrap();
        small_project(folder.path());
        finish(start(folder.path(), "build"));
        second_day(folder.path());
        finish(start(folder.path(), "build"));
        rows_of_small_project(folder.path())
    };
    for moment in [120, 260, 420, 640, 900] {
        let folder = tempfile::tempdir().unwrap();
        small_project(folder.path());
        killed_after(folder.path(), moment);
        finish(start(folder.path(), "build"));
        second_day(folder.path());
        killed_after(folder.path(), moment);
        finish(start(folder.path(), "build"));
        assert_eq!(rows_of_small_project(folder.path()), expected, "killed after {moment} ms");
    }
}

#[cfg(unix)]
fn killed_after(folder: &Path, milliseconds: u64) {
    let mut child = start(folder, "build");
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    let _ = child.kill();
    child.wait().unwrap();
}

/// A stream of files into a merge, a snapshot, a table and a view on it.
#[cfg(unix)]
fn small_project(folder: &Path) {
    write(folder, "project.yml", PROJECT);
    write(
        folder,
        "models/sources.yml",
        "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external: {location: data/*.csv, format: csv}\n        columns: [{name: id, data_type: bigint}, {name: amount, data_type: bigint}, {name: at, data_type: timestamp}]\n",
    );
    write(folder, "data/day1.csv", "id,amount,at\n1,10,2026-01-01\n2,20,2026-01-01\n");
    write(
        folder,
        "models/appended.sql",
        "{{ config(materialized='incremental', read='new_files') }}\nselect id, amount, at from {{ source('raw', 'orders') }}\n",
    );
    write(
        folder,
        "models/merged.sql",
        "{{ config(materialized='incremental', unique_key='id', read='new_files') }}\nselect id, amount, at from {{ source('raw', 'orders') }}\n",
    );
    write(
        folder,
        "snapshots/s.sql",
        "{% snapshot s %}\n{{ config(unique_key='id', strategy='timestamp', updated_at='at', hard_deletes='invalidate') }}\nselect * from {{ ref('merged') }}\n{% endsnapshot %}\n",
    );
    write(
        folder,
        "models/total.sql",
        "{{ config(materialized='table') }}\nselect sum(amount) as amount from {{ ref('s') }} where dbt_valid_to is null\n",
    );
}

#[cfg(unix)]
fn second_day(folder: &Path) {
    write(folder, "data/day2.csv", "id,amount,at\n2,25,2026-01-02\n3,30,2026-01-02\n");
}

#[cfg(unix)]
fn rows_of_small_project(folder: &Path) -> String {
    let queries = [
        "select id, amount from main.appended order by id, amount",
        "select id, amount from main.merged order by id",
        "select id, amount, dbt_valid_from, dbt_valid_to, dbt_scd_id from main.s order by id, dbt_valid_from",
        "select amount from main.total",
        "select identifier, batch, file from _alluvium.watermarks group by identifier, batch, file order by identifier, batch, file",
    ];
    queries.map(|sql| csv(folder, sql)).concat()
}
