//! Runs literate cases: every `##` of `tests/cases/**.md` and of `docs/codes/*.md`, each in a project folder of its own,
//! with the commands in this process. `CASE=text` runs only what has the text in its file name or heading, `UPDATE=1`
//! rewrites the expected outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use regex::Regex;

use crate::literate::{Case, Document, Expectation, Step, Stream, matches, words};
use crate::program::{alluvium, spawned};

#[test]
fn literate_cases_hold() {
    let found = files_below(&root().join("tests/cases"));
    assert!(!found.is_empty(), "there are no cases");
    run_documents(found);
}

#[test]
fn examples_of_the_codes_pages_hold() {
    run_documents(files_below(&root().join("docs/codes")));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    entries.map(walkdir::DirEntry::into_path).filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect()
}

/// Runs documents side by side and reports every failure of all of them.
fn run_documents(paths: Vec<PathBuf>) {
    let filter = std::env::var("CASE").unwrap_or_default();
    let (next, failures, ran) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(4) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (count, failed) = run_document(path, &filter);
                    ran.fetch_add(count, Ordering::Relaxed);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let ran = ran.into_inner();
    assert!(ran > 0 || !filter.is_empty(), "nothing was run");
    assert!(failures.is_empty(), "{} of {ran} cases failed\n\n{}", failures.len(), failures.join("\n\n"));
}

fn run_document(path: &Path, filter: &str) -> (usize, Vec<String>) {
    let mut document = Document::read(path);
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let (mut ran, mut failures, mut changes) = (0, Vec::new(), Vec::new());
    for case in &document.cases {
        if !name.contains(filter) && !case.title.contains(filter) {
            continue;
        }
        ran += 1;
        let title = format!("{name}:{}: {}", case.line, case.title);
        match std::panic::catch_unwind(|| run_case(case)) {
            Ok(run) => {
                changes.extend(run.changes);
                failures.extend((!run.problems.is_empty()).then(|| format!("--- {title}\n{}", run.problems.join("\n"))));
            }
            Err(_) => failures.push(format!("--- {title}\npanicked")),
        }
    }
    if !changes.is_empty() {
        document.rewrite(changes);
    }
    (ran, failures)
}

/// What running a case gave.
#[derive(Default)]
struct Run {
    problems: Vec<String>,
    changes: Vec<((usize, usize), String)>,
    /// Diagnostics printed so far: severity, code, and the place where there is one.
    diagnosed: BTreeSet<Diagnosed>,
    stdout: String,
    stderr: String,
    /// The highest exit code.
    worst: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Diagnosed {
    severity: String,
    code: String,
    place: Option<(String, usize)>,
}

fn run_case(case: &Case) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::default();
    if !case.steps.iter().any(|step| matches!(step, Step::File { path, .. } if path.ends_with("project.yml"))) {
        write(folder.path(), "project.yml", "name: example\n");
    }
    let last_failing = case.steps.iter().rposition(|step| matches!(step, Step::Commands { .. }));
    for (at, step) in case.steps.iter().enumerate() {
        match step {
            Step::File { path, text } => write(folder.path(), path, text),
            Step::Commands { lines, exit, line } => {
                let free = exit.is_none() && !case.fails_with.is_empty() && Some(at) == last_failing;
                run_commands(&mut run, folder.path(), lines, if free { None } else { Some(exit.unwrap_or(0)) }, *line);
            }
            Step::Expect(expectation) => compare(&mut run, folder.path(), expectation),
        }
    }
    if last_failing.is_none() {
        run_commands(&mut run, folder.path(), &["alluvium build".to_owned()], None, case.line);
    }
    check_diagnosed(&mut run, case, folder.path());
    run
}

/// Runs all steps of a document one after the other in one folder, as its reader does. `UPDATE=1` rewrites what it expects.
pub fn follow(path: &Path, folder: &Path) {
    let mut document = Document::read(path);
    let mut run = Run::default();
    for step in document.cases.iter().flat_map(|case| &case.steps) {
        match step {
            Step::File { path, text } => write(folder, path, text),
            Step::Commands { lines, exit, line } => run_commands(&mut run, folder, lines, Some(exit.unwrap_or(0)), *line),
            Step::Expect(expectation) => compare(&mut run, folder, expectation),
        }
    }
    if !run.changes.is_empty() {
        document.rewrite(run.changes);
    }
    assert!(run.problems.is_empty(), "{}: {}", path.display(), run.problems.join("\n"));
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Runs the commands of one fence; all but the last must succeed. `exit` is what the last must end with, if known.
fn run_commands(run: &mut Run, folder: &Path, lines: &[String], exit: Option<u8>, line: usize) {
    run.stdout.clear();
    run.stderr.clear();
    for (at, command) in lines.iter().enumerate() {
        let (code, stdout, stderr) = run_command(folder, command);
        let wanted = if at + 1 == lines.len() { exit } else { Some(0) };
        if wanted.is_some_and(|wanted| wanted != code) {
            let output = normalised(&format!("{stdout}{stderr}"), folder);
            run.problems.push(format!("line {line}: `{command}` ended with {code}, expected {}\n{output}", wanted.unwrap_or(0)));
        }
        run.diagnosed.extend(diagnosed(&stdout));
        run.diagnosed.extend(diagnosed(&stderr));
        run.worst = run.worst.max(code);
        run.stdout.push_str(&stdout);
        run.stderr.push_str(&stderr);
    }
}

/// `alluvium ...` in this process, with `NAME=value` before it and `< file` behind it; and the few commands that look at
/// files or change them: `cat`, `ls`, `rm`, `cp`.
fn run_command(folder: &Path, command: &str) -> (u8, String, String) {
    let mut words = words(command);
    let mut env = Vec::new();
    while let Some((name, value)) = words.first().and_then(|word| word.split_once('=')) {
        env.push((name.to_owned(), value.to_owned()));
        words.remove(0);
    }
    let stdin = match words.iter().position(|word| word == "<") {
        Some(at) => {
            let path = words.drain(at..).nth(1).unwrap_or_default();
            std::fs::read_to_string(folder.join(path)).unwrap()
        }
        None => String::new(),
    };
    let program = words.remove(0);
    match program.as_str() {
        "alluvium" => {
            let finished = if env.is_empty() { alluvium(folder, &words, &stdin) } else { spawned(folder, &words, &env) };
            (finished.exit_code, finished.stdout, finished.stderr)
        }
        "cat" => (
            0,
            words
                .iter()
                .map(|path| {
                    std::fs::read_to_string(folder.join(path))
                        .map_or_else(|_| format!("{path}: not there\n"), |text| format!("{}\n", text.trim_end_matches('\n')))
                })
                .collect(),
            String::new(),
        ),
        "ls" => (0, words.iter().map(|path| listing(&folder.join(path))).collect(), String::new()),
        "rm" => {
            for path in words.iter().filter(|word| !word.starts_with('-')).map(|path| folder.join(path)) {
                if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
            }
            (0, String::new(), String::new())
        }
        "cp" => {
            let paths: Vec<PathBuf> = words.iter().filter(|word| !word.starts_with('-')).map(|path| folder.join(path)).collect();
            copy(&paths[0], &paths[1]);
            (0, String::new(), String::new())
        }
        other => (127, String::new(), format!("cases have no command `{other}`\n")),
    }
}

/// A file or a folder with all that is in it, as `cp -r` copies it; into `to` where that is a folder.
fn copy(from: &Path, to: &Path) {
    let to = if to.is_dir() { to.join(from.file_name().unwrap()) } else { to.to_owned() };
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(target).unwrap();
        } else {
            std::fs::copy(entry.path(), if entry.path() == from { &to } else { &target }).unwrap();
        }
    }
}

fn listing(folder: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(folder) else { return format!("{}: not there\n", folder.file_name().unwrap_or_default().to_string_lossy()) };
    let names: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.into_iter().map(|name| name + "\n").collect()
}

fn compare(run: &mut Run, folder: &Path, expectation: &Expectation) {
    let found = match expectation.stream {
        Stream::All => format!("{}{}", run.stdout, run.stderr),
        Stream::Result => run.stdout.clone(),
    };
    let found = normalised(&found, folder);
    if matches(&expectation.text, &found) {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        run.changes.push((expectation.span, found));
    } else {
        run.problems.push(format!("line {}: expected\n{}found\n{found}", expectation.span.0, expectation.text));
    }
}

/// What differs from run to run, named instead.
fn normalised(text: &str, folder: &Path) -> String {
    let text = text.replace('\r', "").replace(&*folder.canonicalize().unwrap_or_default().to_string_lossy(), "<project>");
    let text = text.replace(&*folder.to_string_lossy(), "<project>");
    let replacements = [
        (r"\x1b\[[0-9;]*m", ""),
        (r"(?m)^\d\d:\d\d:\d\d", "<clock>"),
        (r"\[in \d+(\.\d+)?s\]", "[in <time>]"),
        (r"in \d+ hours \d+ minutes and \d+\.\d+ seconds \(\d+\.\d+s\)", "in <time>"),
        (r"\d+\.\d\ds\b", "<time>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "<instant>"),
    ];
    let text = replacements.iter().fold(text, |text, (pattern, with)| Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned());
    text.replace(concat!("alluvium ", env!("CARGO_PKG_VERSION")), "alluvium <version>")
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The diagnostics in a command's output: `error[code]: ...` and, below it, ` --> path:line:column`.
fn diagnosed(output: &str) -> Vec<Diagnosed> {
    let title = Regex::new(r"(?:^|\s)(error|warning)\[([a-z-]+)\]").unwrap();
    let place = Regex::new(r"^\s*(?:\d\d:\d\d:\d\d\s+)?-->\s*(.+?):(\d+):\d+").unwrap();
    let mut all: Vec<Diagnosed> = Vec::new();
    let mut open = false;
    for line in output.lines() {
        if let Some(found) = title.captures(line) {
            all.push(Diagnosed { severity: found[1].to_owned(), code: found[2].to_owned(), place: None });
            open = true;
        } else if let Some(found) = place.captures(line).filter(|_| open) {
            all.last_mut().unwrap().place = Some((found[1].to_owned(), found[2].parse().unwrap()));
            open = false;
        }
    }
    all
}

/// Compares what was diagnosed with the comments in the files and with what the prose says.
fn check_diagnosed(run: &mut Run, case: &Case, folder: &Path) {
    let marked = marks(case);
    let errors: BTreeSet<&Diagnosed> = run.diagnosed.iter().filter(|one| one.severity == "error").collect();
    let warnings: BTreeSet<&str> = run.diagnosed.iter().filter(|one| one.severity == "warning").map(|one| one.code.as_str()).collect();
    let mut problems = Vec::new();
    for (code, (path, line)) in &marked {
        if !errors.iter().any(|one| one.code == *code && one.place.as_ref().is_some_and(|place| place.0.ends_with(path.as_str()) && place.1 == *line))
        {
            problems.push(format!("expected `{code}` at {path}:{line}"));
        }
    }
    let wanted: BTreeSet<&str> = marked.iter().map(|(code, _)| code.as_str()).chain(case.fails_with.iter().map(String::as_str)).collect();
    let found: BTreeSet<&str> = errors.iter().map(|one| one.code.as_str()).collect();
    if !wanted.is_empty() && wanted != found {
        problems.push(format!("expected errors {wanted:?}, found {found:?}"));
    }
    if !marked.is_empty() && errors.len() > marked.len().max(wanted.len()) {
        problems.push(format!("expected {} errors, found {errors:?}", marked.len()));
    }
    if !wanted.is_empty() && run.worst == 0 {
        problems.push("expected a failure, every command succeeded".to_owned());
    }
    for code in &case.warns_with {
        if !warnings.contains(code.as_str()) {
            problems.push(format!("expected the warning `{code}`, found {warnings:?}"));
        }
    }
    if !problems.is_empty() && run.problems.is_empty() {
        problems.push(normalised(&format!("{}{}", run.stdout, run.stderr), folder));
    }
    run.problems.extend(problems);
}

/// `-- error: [code]` and `# error: [code]` in the files of a case as they stood when a command ran, each with its place.
fn marks(case: &Case) -> BTreeSet<(String, (String, usize))> {
    let mark = Regex::new(r"(?:--|#) error: \[([a-z-]+)\]").unwrap();
    let mut standing: BTreeMap<&str, Vec<(String, usize)>> = BTreeMap::new();
    let mut all = BTreeSet::new();
    let gather = |standing: &BTreeMap<&str, Vec<(String, usize)>>, all: &mut BTreeSet<_>| {
        for (path, marks) in standing {
            all.extend(marks.iter().map(|(code, line)| (code.clone(), ((*path).to_owned(), *line))));
        }
    };
    for step in &case.steps {
        match step {
            Step::File { path, text } => {
                let lines = text.lines().enumerate();
                let marks = lines.flat_map(|(at, line)| mark.captures_iter(line).map(move |found| (found[1].to_owned(), at + 1)));
                standing.insert(path, marks.collect());
            }
            Step::Commands { .. } => gather(&standing, &mut all),
            Step::Expect(_) => {}
        }
    }
    if !case.steps.iter().any(|step| matches!(step, Step::Commands { .. })) {
        gather(&standing, &mut all);
    }
    all
}
