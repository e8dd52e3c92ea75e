//! Events in, lines out.

use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use super::*;
use crate::base::{Code, Diagnostic, Heard, NodeAbout, NodeDone, NodeOutcome, NodeStart, RelationParts, Sources, Span, Totals};

fn noon() -> DateTime<Utc> {
    "2026-01-02T12:00:00.250Z".parse().unwrap()
}

fn shown(options: ConsoleOptions, events: &[Event]) -> String {
    let screen = Arc::new(Mutex::new(Vec::<u8>::new()));
    let mut console = Console::new(options, screen.clone());
    for event in events {
        console.event(event, noon());
    }
    String::from_utf8(screen.lock().unwrap().clone()).unwrap()
}

fn options(format: LogFormat, least: Level) -> ConsoleOptions {
    ConsoleOptions { format, least, colours: false, progress: false, width: 80, identity: LogIdentity { id: "inv".into(), process: 7 } }
}

fn plain(events: &[Event]) -> String {
    shown(options(LogFormat::Text, Level::Info), events)
}

fn start(index: usize, kind: &str, materialization: &str, name: &str) -> NodeStart {
    let relation = RelationParts {
        database: "alluvium".into(),
        schema: "main".into(),
        identifier: name.into(),
        quoted: format!("\"alluvium\".\"main\".\"{name}\""),
    };
    NodeStart {
        microbatch: false,
        index,
        total: 9,
        id: format!("{kind}.bank.{name}"),
        name: name.into(),
        resource_type: kind.into(),
        materialization: materialization.into(),
        relation: (kind != "test").then_some(relation),
        path: format!("models/{name}.sql"),
        thread: "Thread-1".into(),
        at: noon(),
        about: Arc::new(NodeAbout { path: format!("{name}.sql"), checksum: "00ff".into(), ..NodeAbout::default() }),
    }
}

fn done(start: NodeStart, outcome: NodeOutcome, message: &str, rows: Option<u64>) -> Event {
    let compiled_path = (outcome == NodeOutcome::Fail).then(|| format!("target/compiled/{}.sql", start.name));
    Event::NodeFinished(Box::new(NodeDone {
        start,
        outcome,
        message: message.into(),
        rows,
        elapsed_seconds: 0.123,
        finished_at: noon(),
        compiled_path,
    }))
}

fn totals(pass: usize, warn: usize, error: usize, skip: usize, no_op: usize) -> Totals {
    Totals { pass, warn, error, skip, no_op }
}

#[test]
fn a_run_that_goes_well_reads_as_dbts() {
    let seed = start(1, "seed", "seed", "country");
    let model = start(2, "model", "table", "stg_customer");
    let files = start(3, "model", "external", "export");
    let test = start(4, "test", "test", "unique_stg_customer_id");
    let events = [
        Event::Started { version: "0.1.0", command: "build".into() },
        Event::Found { counts: vec![("model".into(), 2), ("seed".into(), 1), ("test".into(), 1), ("analysis".into(), 2)] },
        Event::RunStarted { threads: 4, target: "dev".into(), total: 9 },
        Event::NodeStarted(seed.clone()),
        done(seed, NodeOutcome::Success, "INSERT 5", Some(5)),
        Event::NodeStarted(model.clone()),
        done(model, NodeOutcome::Success, "120 rows", Some(120)),
        Event::NodeStarted(files.clone()),
        done(files, NodeOutcome::Success, "", None),
        Event::NodeStarted(test.clone()),
        done(test, NodeOutcome::Pass, "", Some(0)),
        Event::RunFinished { totals: totals(4, 0, 0, 0, 0), elapsed_seconds: 3661.2, broken: Vec::new() },
        Event::ArtifactWritten { kind: "manifest", path: "target/manifest.json".into() },
    ];
    let expected = "\
12:00:00  Running with alluvium=0.1.0
12:00:00  Found 2 models, 1 seed, 1 data test, 2 analyses
12:00:00  \n12:00:00  Concurrency: 4 threads (target='dev')
12:00:00  \n12:00:00  1 of 9 START seed file main.country ............................................ [RUN]
12:00:00  1 of 9 OK loaded seed file main.country ........................................ [INSERT 5 in 0.12s]
12:00:00  2 of 9 START sql table model main.stg_customer ................................. [RUN]
12:00:00  2 of 9 OK created sql table model main.stg_customer ............................ [120 rows in 0.12s]
12:00:00  3 of 9 START sql external model main.export .................................... [RUN]
12:00:00  3 of 9 OK created sql external model main.export ............................... [OK in 0.12s]
12:00:00  4 of 9 START test unique_stg_customer_id ....................................... [RUN]
12:00:00  4 of 9 PASS unique_stg_customer_id ............................................. [PASS in 0.12s]
12:00:00  \n12:00:00  Finished running 1 data test, 1 external model, 1 seed, 1 table model in 1 hours 1 minutes and 1.20 seconds (3661.20s).
12:00:00  \n12:00:00  Completed successfully
12:00:00  \n12:00:00  Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4
";
    assert_eq!(plain(&events), expected);
}

fn events_of_a_failing_run() -> Vec<Event> {
    let sources = Sources::new();
    let file = sources.add("models/broken.sql", "select nam from x");
    let diagnostic = Diagnostic::error(Code::UnknownColumn, "no column `nam`").at(Span::new(file, 7, 10), "not found").help("did you mean `name`?");
    vec![
        Event::RunStarted { threads: 1, target: "dev".into(), total: 9 },
        Event::Diagnosed { diagnostic: Box::new(diagnostic), sources, node: Some("model.bank.broken".into()) },
        done(start(1, "model", "view", "broken"), NodeOutcome::Error, "Database Error in model broken (models/broken.sql)\n  no column `nam`", None),
        done(start(2, "model", "table", "child"), NodeOutcome::Skipped, "because of `broken`", None),
        done(start(3, "test", "test", "unique_child"), NodeOutcome::Skipped, "", None),
        done(start(4, "test", "test", "accepted"), NodeOutcome::Fail, "Got 3 results, configured to fail if != 0", Some(3)),
        done(start(5, "test", "test", "soft"), NodeOutcome::Warn, "Got 2 results, configured to warn if != 0", Some(2)),
        done(
            start(6, "seed", "seed", "country"),
            NodeOutcome::Error,
            "Database Error in seed country (models/country.sql)\n  line 3 has 4 fields\n  expected 2",
            None,
        ),
        done(start(7, "snapshot", "snapshot", "history"), NodeOutcome::Success, "OK", None),
        done(start(8, "test", "test", "odd"), NodeOutcome::Error, "x", None),
        done(start(9, "model", "view", "same"), NodeOutcome::NoOp, "", None),
        Event::RunFinished { totals: totals(1, 1, 4, 2, 1), elapsed_seconds: 1.2, broken: Vec::new() },
    ]
}

const REPEATED: &str = "\
12:00:00  Completed with 4 errors, 1 warning:
12:00:00  \n12:00:00  Warning in test soft (models/soft.sql)
12:00:00    Got 2 results, configured to warn if != 0
12:00:00  \n12:00:00  Failure in model broken (models/broken.sql)
12:00:00    Database Error in model broken (models/broken.sql)
error[unknown-column]: no column `nam`
 --> models/broken.sql:1:8
  |
1 | select nam from x
  |        ^^^ not found
  |
  = help: did you mean `name`?

12:00:00  \n12:00:00  Failure in test accepted (models/accepted.sql)
12:00:00    Got 3 results, configured to fail if != 0
12:00:00  \n12:00:00    compiled code at target/compiled/accepted.sql
12:00:00  \n12:00:00  Failure in seed country (models/country.sql)
12:00:00    Database Error in seed country (models/country.sql)\n  line 3 has 4 fields\n  expected 2
12:00:00  \n12:00:00  Failure in test odd (models/odd.sql)
12:00:00    x
12:00:00  \n12:00:00  Done. PASS=1 WARN=1 ERROR=4 SKIP=2 NO-OP=1 TOTAL=9
";

#[test]
fn failures_are_told_and_repeated_in_full() {
    let text = plain(&events_of_a_failing_run());
    for line in [
        "1 of 9 ERROR creating sql view model main.broken ............................... [ERROR in 0.12s]\n",
        "2 of 9 SKIP relation main.child ................................................ [SKIP] because of `broken`\n",
        "3 of 9 SKIP test unique_child .................................................. [SKIP]\n",
        "4 of 9 FAIL 3 accepted ......................................................... [FAIL 3 in 0.12s]\n",
        "5 of 9 WARN 2 soft ............................................................. [WARN 2 in 0.12s]\n",
        "6 of 9 ERROR loading seed file main.country .................................... [ERROR in 0.12s]\n",
        "7 of 9 OK snapshotted main.history ............................................. [OK in 0.12s]\n",
        "8 of 9 ERROR odd ............................................................... [ERROR in 0.12s]\n",
        "9 of 9 NO-OP sql view model main.same .......................................... [NO-OP in 0.12s]\n",
    ] {
        assert!(text.contains(&format!("12:00:00  {line}")), "{line}{text}");
    }
    assert_eq!(text.split_once("12:00:00  Completed").map(|(_, end)| format!("12:00:00  Completed{end}")), Some(REPEATED.to_owned()));
    assert_eq!(text.matches("error[unknown-column]").count(), 2);
}

#[test]
fn a_warning_of_a_failing_node_is_not_taken_for_its_failure() {
    let sources = Sources::new();
    let diagnostic = Box::new(Diagnostic::warning(Code::NamingModel, "odd name"));
    let events = [
        Event::Diagnosed { diagnostic, sources, node: Some("model.bank.a".into()) },
        done(start(1, "model", "view", "a"), NodeOutcome::Error, "disk full", None),
        Event::RunFinished { totals: totals(0, 0, 1, 0, 0), elapsed_seconds: 0.0, broken: Vec::new() },
    ];
    let text = plain(&events);
    assert!(text.contains("Failure in model a (models/a.sql)\n12:00:00    disk full\n"), "{text}");
}

#[test]
fn an_interrupted_run_says_so() {
    let text = plain(&[Event::Interrupted, Event::RunFinished { totals: totals(0, 0, 0, 2, 0), elapsed_seconds: 0.0, broken: Vec::new() }]);
    assert!(text.contains("12:00:00  Exited because of keyboard interrupt\n"), "{text}");
    assert!(text.contains("Finished running in 0 hours 0 minutes and 0.00 seconds (0.00s)."), "{text}");
}

#[test]
fn quiet_prints_errors_alone_and_debug_prints_more() {
    let mut events = events_of_a_failing_run();
    events.push(Event::SqlSent { node: "model.bank.a".into(), sql: "select 1".into() });
    events.push(Event::CommandCompleted { command: "alluvium run".into(), success: false, elapsed_seconds: 2.0 });
    events.push(Event::Failed { message: "no space".into() });
    let quiet = shown(options(LogFormat::Text, Level::Error), &events);
    assert!(quiet.contains("FAIL 3 accepted") && quiet.ends_with("12:00:00  Encountered an error:\nno space\n"), "{quiet}");
    for absent in ["Done.", "WARN", "SKIP", "Concurrency", "OK snapshotted"] {
        assert!(!quiet.contains(absent), "{quiet}");
    }
    let debug = shown(options(LogFormat::Text, Level::Debug), &events);
    assert!(debug.contains("12:00:00  On model.bank.a: select 1\n"), "{debug}");
    assert!(debug.contains("Command `alluvium run` failed at 12:00:00.250000 after 2.00 seconds"), "{debug}");
}

#[test]
fn colours_repeat_what_the_words_say() {
    let mut coloured = options(LogFormat::Text, Level::Info);
    coloured.colours = true;
    let text = shown(coloured, &events_of_a_failing_run());
    assert!(text.contains("[\u{1b}[31mFAIL 3\u{1b}[0m in 0.12s]"), "{text:?}");
    let mut plain_again = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain_again.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain_again.push_str(rest);
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&plain_again), trimmed(&plain(&events_of_a_failing_run())));
}

#[test]
fn a_long_name_is_whole_and_dots_fill_by_characters() {
    let (long, short) = ("\u{e9}".repeat(90), "\u{e9}".repeat(10));
    let text = plain(&[&long, &short].map(|name| Event::NodeStarted(start(1, "test", "test", name))));
    let filled = format!("12:00:00  1 of 9 START test {short} {} [RUN]\n", ".".repeat(51));
    assert_eq!(text, format!("12:00:00  1 of 9 START test {long}  [RUN]\n{filled}"));
}

#[test]
fn structured_lines_have_dbts_names_and_fields() {
    let mut events = events_of_a_failing_run();
    events.insert(1, Event::NodeStarted(start(1, "model", "view", "broken")));
    let text = shown(options(LogFormat::Json, Level::Debug), &events);
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().map(|line| line["info"]["name"].as_str().unwrap()).collect();
    for name in [
        "ConcurrencyLine",
        "NodeStart",
        "LogStartLine",
        "LogModelResult",
        "NodeFinished",
        "SkippingDetails",
        "LogTestResult",
        "LogSeedResult",
        "LogSnapshotResult",
        "FinishedRunningStats",
        "EndOfRunSummary",
        "RunResultWarning",
        "RunResultFailure",
        "RunResultError",
        "StatsLine",
    ] {
        assert!(names.contains(&name), "{name} {names:?}");
    }
    let line = |name: &str| lines.iter().find(|line| line["info"]["name"] == name).unwrap();
    let info = &line("LogStartLine")["info"];
    assert_eq!(info["ts"], "2026-01-02T12:00:00.250000Z");
    assert_eq!(
        (&info["invocation_id"], &info["pid"], &info["thread"], &info["level"]),
        (&"inv".into(), &7.into(), &"Thread-1".into(), &"info".into())
    );
    let data = &line("LogModelResult")["data"];
    assert_eq!(data["node_info"]["unique_id"], "model.bank.broken");
    assert_eq!(data["node_info"]["node_status"], "error");
    assert_eq!(data["node_info"]["node_relation"]["relation_name"], "\"alluvium\".\"main\".\"broken\"");
    assert_eq!(line("LogTestResult")["data"]["num_failures"], 3);
    assert_eq!(line("StatsLine")["data"]["stats"]["noop"], 1);
    assert_eq!(line("Diagnostic")["data"]["labels"][0]["column"], 8);
}

#[test]
fn what_steers_a_terminal_is_escaped_everywhere() {
    let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\r";
    let node = start(1, "model", evil, evil);
    let events = [
        Event::Started { version: "0.1.0", command: evil.into() },
        Event::Found { counts: vec![(evil.into(), 1)] },
        Event::RunStarted { threads: 1, target: evil.into(), total: 1 },
        Event::NodeStarted(node.clone()),
        Event::Message { text: evil.into(), heard: Heard::Terminal, node: None },
        Event::SqlSent { node: evil.into(), sql: evil.into() },
        done(node.clone(), NodeOutcome::Success, evil, None),
        done(node.clone(), NodeOutcome::Skipped, evil, None),
        done(node, NodeOutcome::Fail, evil, Some(1)),
        Event::RunFinished { totals: totals(0, 0, 1, 0, 0), elapsed_seconds: 0.0, broken: Vec::new() },
        Event::ArtifactWritten { kind: "manifest", path: evil.into() },
        Event::CommandCompleted { command: evil.into(), success: true, elapsed_seconds: 0.0 },
        Event::Failed { message: evil.into() },
    ];
    for format in [LogFormat::Text, LogFormat::Debug, LogFormat::Json] {
        let text = shown(options(format, Level::Debug), &events);
        assert!(text.contains("x1b]0;x") || text.contains("u001b]0;x"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{format:?} {text:?}");
    }
}
