//! The sample project at the root: how many nodes it has, so that no case leaks into it, that it builds, and that a
//! second delivery changes what it must and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use alluvium::cli::Finished;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project in a folder of its own: a build writes its warehouse and its exports there.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["project.yml", "models", "snapshots", "macros", "seeds", "data", "tests"];
    for entry in
        parts.iter().flat_map(|part| walkdir::WalkDir::new(root().join(part))).map(Result::unwrap).filter(|entry| entry.file_type().is_file())
    {
        let to = folder.path().join(entry.path().strip_prefix(root()).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(entry.path(), to).unwrap();
    }
    folder
}

fn run(folder: &Path, line: &str) -> Finished {
    crate::program::alluvium(folder, &crate::literate::words(line), "")
}

fn names(folder: &Path, kind: &str) -> Vec<String> {
    let finished = run(folder, &format!("ls --quiet --output name --resource-type {kind}"));
    assert_eq!(finished.exit_code, 0, "{}{}", finished.stdout, finished.stderr);
    finished.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_sample_project_holds_its_own_nodes_only() {
    let folder = copied();
    assert_eq!(names(folder.path(), "model").len(), 10);
    assert_eq!(names(folder.path(), "seed"), ["account_type_spelling"]);
    assert_eq!(names(folder.path(), "source").len(), 2);
    assert_eq!(names(folder.path(), "snapshot"), ["snap_account", "snap_customer"]);
    assert_eq!(names(folder.path(), "test").len(), 63);
}

/// Builds without errors, and the summary is written out.
fn build(folder: &Path, arguments: &str, summary: [&str; 3]) {
    let finished = run(folder, &format!("build {arguments}"));
    let text = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.exit_code, 0, "{text}");
    assert!(text.contains("Done. PASS=74 WARN=2 ERROR=0 SKIP=0 NO-OP=0 TOTAL=76"), "{text}");
    let header = "account_type,account_count,customer_count,overdrawn_account_count,balance_amount";
    let found = std::fs::read_to_string(folder.join("exports/account_summary.csv")).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), [&[header], summary.as_slice()].concat());
    assert!(folder.join("exports/customer_profile.parquet").is_file());
}

/// The newest version of each table of the project.
fn versions(folder: &Path) -> BTreeMap<String, usize> {
    let tables = std::fs::read_dir(folder.join("warehouse/bank")).unwrap().map(Result::unwrap);
    let log = |table: &Path| std::fs::read_dir(table.join("_delta_log")).unwrap().map(Result::unwrap);
    let commits = |table: &Path| log(table).filter(|entry| entry.path().extension().is_some_and(|ending| ending == "json")).count();
    tables.map(|table| (table.file_name().into_string().unwrap(), commits(&table.path()) - 1)).collect()
}

/// Rows that a version of a table updated, deleted, and left as they were.
fn changes(folder: &Path, table: &str, version: usize) -> [u64; 3] {
    let commit = folder.join(format!("warehouse/bank/{table}/_delta_log/{version:020}.json"));
    let actions = std::fs::read_to_string(commit).unwrap();
    let mut actions = actions.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let metrics = actions.find_map(|action| action.get("commitInfo").map(|info| info["operationMetrics"].clone())).unwrap();
    ["numTargetRowsUpdated", "numTargetRowsDeleted", "numTargetRowsCopied"].map(|name| metrics[name].as_u64().unwrap_or(0))
}

/// What `tests/verify/recompute_sample.py` computes from the files, for each delivery.
const FIRST: [&str; 3] = ["current,930,429,111,2777436.51", "deposit,261,215,0,1083583.40", "savings,1189,464,3,4561605.96"];
const SECOND: [&str; 3] = ["current,933,427,111,2769218.54", "deposit,264,215,0,1089367.17", "savings,1183,460,3,4527767.60"];

#[test]
fn a_second_delivery_changes_its_keys_alone_and_a_build_without_news_commits_nothing() {
    let folder = copied();
    let folder = folder.path();
    build(folder, "", FIRST);
    let first = versions(folder);
    assert_eq!(first.len(), 9, "{first:?}");
    assert!(first.values().all(|version| *version == 0), "{first:?}");

    let next = "--vars 'delivery_date: 2025-06-03'";
    build(folder, next, SECOND);
    let second = versions(folder);
    for (table, version) in &second {
        assert_eq!(*version, usize::from(table != "account_type_spelling"), "{table}");
    }
    // 26 customers differ and 4 are gone; 115 accounts differ and 26 are gone. The others are not touched.
    assert_eq!(changes(folder, "snap_customer", 1), [30, 0, 490]);
    assert_eq!(changes(folder, "snap_account", 1), [141, 0, 2239]);
    // An account differs too where its owner does.
    assert_eq!(changes(folder, "int_account_with_customer", 1), [232, 26, 2122]);
    assert_eq!(changes(folder, "int_savings_account_only", 1), [56, 21, 1112]);
    assert_eq!(changes(folder, "account_summary", 1), [3, 0, 0]);
    assert_eq!(changes(folder, "customer_profile", 1), [151, 4, 365]);

    build(folder, next, SECOND);
    assert_eq!(versions(folder), second);
    // The first delivery is known, so asking for it again changes nothing either.
    build(folder, "", SECOND);
    assert_eq!(versions(folder), second);
}

#[test]
fn the_page_about_the_five_layers_holds() {
    let folder = copied();
    crate::cases::follow(&root().join("docs/five-layers.md"), folder.path());
}
