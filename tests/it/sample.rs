//! The sample project at the root: how many nodes it has, so that no case leaks into it, and that it builds.

use std::path::Path;

use alluvium::cli::Finished;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project in a folder of its own: a build writes its warehouse and its exports there.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["project.yml", "models", "macros", "seeds", "data", "tests"];
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
    assert_eq!(names(folder.path(), "test").len(), 47);
}

#[test]
fn the_sample_project_builds_twice_with_the_same_exports() {
    let folder = copied();
    for _ in 0..2 {
        let finished = run(folder.path(), "build");
        let text = format!("{}{}", finished.stdout, finished.stderr);
        assert_eq!(finished.exit_code, 0, "{text}");
        assert!(text.contains("Done. PASS=56 WARN=2 ERROR=0 SKIP=0 NO-OP=0 TOTAL=58"), "{text}");
        let summary = std::fs::read_to_string(folder.path().join("exports/account_summary.csv")).unwrap();
        let expected = "account_type,account_count,customer_count,overdrawn_account_count,balance_amount\n\
                        current,596,275,76,1729150.75\ndeposit,151,120,0,478301.93\nsavings,733,290,3,2678872.51\n";
        assert_eq!(summary, expected);
        assert!(folder.path().join("exports/customer_profile.parquet").is_file());
    }
}
