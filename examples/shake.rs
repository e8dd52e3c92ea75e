//! Feeds a fuzz target of `tests/fuzz/targets.rs` with inputs made of its seeds, on a stable toolchain. CONTRIBUTING.md tells
//! how to run it.
//!
//! The target runs in a process of its own, so that one that overflows its stack, hangs or takes all memory is a finding as
//! a panic is. That process keeps the inputs that made the target say something new, and makes further ones of them. What
//! was found is made smaller and left in `tests/fuzz/artifacts/`.

#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a script")]

#[path = "../tests/fuzz/mutation.rs"]
mod mutation;
#[path = "../tests/fuzz/targets.rs"]
mod targets;

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alluvium::base::STACK;
use clap::Parser;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What a target may take for one input: seconds of work, far more than a program with optimisations needs for as many steps
/// as a template may take; seconds on the clock, for what waits and never wakes; memory in KiB.
const WORK: usize = 30;
const CLOCK: Duration = Duration::from_mins(4);
const LARGEST: usize = 3 << 20;

/// How long a finding is made smaller.
const SHRINKING: Duration = Duration::from_mins(1);

/// Feeds a fuzz target with changed seeds, until something is found that is not to be.
#[derive(Parser)]
struct Options {
    /// templates, model, properties, selectors or sql.
    target: String,
    /// Inputs to run as they are, instead of new ones.
    files: Vec<PathBuf>,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Settles which inputs are made.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs the files in this process.
    #[arg(long, hide = true)]
    here: bool,
    /// Feeds the target in this process; each input is written into this file first.
    #[arg(long, hide = true)]
    feed: Option<PathBuf>,
}

fn main() -> Outcome {
    let options = Options::parse();
    let target = targets::TARGETS.iter().find(|(name, _)| *name == options.target).map(|(_, target)| *target);
    let Some(target) = target else {
        let names = targets::TARGETS.map(|(name, _)| name).join(", ");
        return Err(format!("there is no target `{}`; the targets are {names}", options.target).into());
    };
    if options.here || options.feed.is_some() {
        let work = move || if let Some(current) = &options.feed { feed(target, &options, current) } else { here(target, &options.files) };
        let done = std::thread::Builder::new().stack_size(STACK).spawn(move || work().map_err(|error| error.to_string()))?.join();
        return Ok(done.map_err(|_| "the target panicked")??);
    }
    let scratch = tempfile::tempdir()?;
    let mut watch = Watch { target: options.target.clone(), scratch: scratch.path().to_owned(), found: BTreeMap::new() };
    if options.files.is_empty() {
        watch.shake(&options)?;
    } else {
        for file in &options.files {
            let said = watch.run(&std::fs::read(file)?)?;
            println!("{}: {}", file.display(), said.as_deref().unwrap_or("fine"));
            watch.found.extend(said.map(|what| (what, 1)));
        }
    }
    if watch.found.is_empty() { Ok(()) } else { Err(format!("{} findings", watch.found.len()).into()) }
}

/// The child: runs the target on some files.
fn here(target: targets::Target, files: &[PathBuf]) -> Outcome {
    abort_on_panic();
    for file in files {
        target(&std::fs::read(file)?);
    }
    Ok(())
}

/// The child: runs the target on ever new inputs, and prints a line for each; `+` where it said something new.
fn feed(target: targets::Target, options: &Options, current: &Path) -> Outcome {
    abort_on_panic();
    let words = mutation::words(include_str!("../tests/fuzz/words.dict"));
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut corpus = seeds(&options.target)?;
    let mut known: HashSet<String> = corpus.iter().flat_map(|seed| lines(&target(seed))).collect();
    loop {
        let input = mutation::mutated(&corpus, &words, &mut random);
        std::fs::write(current, &input)?;
        let before = known.len();
        known.extend(lines(&target(&input)));
        let is_new = known.len() > before && input.len() <= mutation::LONGEST / 8;
        println!("{}", if is_new { "+" } else { "" });
        if is_new {
            corpus.push(input);
        }
    }
}

fn lines(said: &str) -> Vec<String> {
    said.lines().map(str::to_owned).collect()
}

/// A panic that is caught is one all the same, but for those of the template engine's own assertions, which `jinja` makes
/// diagnostics of.
fn abort_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("minijinja-")) {
            usual(panic);
            std::process::abort();
        }
    }));
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

fn seeds(target: &str) -> Outcome<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder("seeds").join(target))?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    Ok(paths.iter().map(std::fs::read).collect::<std::io::Result<_>>()?)
}

/// The parent: looks after the child.
struct Watch {
    target: String,
    scratch: PathBuf,
    /// What was found, and how often.
    found: BTreeMap<String, usize>,
}

impl Watch {
    fn shake(&mut self, options: &Options) -> Outcome {
        let begin = Instant::now();
        let (mut inputs, mut kept) = (0, 0);
        for round in 0.. {
            let left = Duration::from_secs(options.seconds).saturating_sub(begin.elapsed());
            if left.is_zero() {
                break;
            }
            let current = self.scratch.join("current");
            std::fs::write(&current, "")?;
            let seed = (options.seed + round).to_string();
            let mut child = self.child(&["--seed", &seed, "--feed"], &current)?;
            let (count, new) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let reader = std::thread::spawn({
                let (out, count, new) = (child.stdout.take().ok_or("no output")?, Arc::clone(&count), Arc::clone(&new));
                move || {
                    for line in BufReader::new(out).lines().map_while(Result::ok) {
                        count.fetch_add(1, Ordering::Relaxed);
                        new.fetch_add(usize::from(line == "+"), Ordering::Relaxed);
                    }
                }
            });
            let said = self.wait(&mut child, left, &count)?;
            reader.join().map_err(|_| "the reader panicked")?;
            inputs += count.load(Ordering::Relaxed);
            kept += new.load(Ordering::Relaxed);
            if let Some(what) = said {
                let times = self.found.entry(what.clone()).or_default();
                *times += 1;
                if *times == 1 {
                    self.keep(&what, std::fs::read(&current)?)?;
                }
            }
        }
        println!("{}: {inputs} inputs in {} s, {kept} said something new", self.target, begin.elapsed().as_secs());
        for (what, times) in &self.found {
            println!("{times} times: {what}");
        }
        Ok(())
    }

    fn child(&self, arguments: &[&str], file: &Path) -> Outcome<Child> {
        let errors = std::fs::File::create(self.scratch.join("errors"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(&self.target).args(arguments).arg(file).env("TMPDIR", &self.scratch);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn()?)
    }

    /// Waits for the child's end, or ends it; tells what was wrong with the last input.
    fn wait(&self, child: &mut Child, most: Duration, count: &AtomicUsize) -> Outcome<Option<String>> {
        let begin = Instant::now();
        let mut last = (usize::MAX, begin, 0);
        let said = loop {
            if let Some(status) = child.try_wait()? {
                break if status.success() { None } else { Some(self.last_words(&status.to_string())?) };
            }
            let now = count.load(Ordering::Relaxed);
            let worked = work(child.id());
            if last.0 != now {
                last = (now, Instant::now(), worked);
            }
            if worked.saturating_sub(last.2) > WORK || last.1.elapsed() > CLOCK {
                break Some(format!("takes over {WORK} s of work"));
            }
            if memory(child.id()) > LARGEST {
                break Some(format!("takes over {} GiB", LARGEST >> 20));
            }
            if begin.elapsed() > most {
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        // One that ended is no longer there to be ended.
        drop(child.kill());
        child.wait()?;
        Ok(said)
    }

    /// Where the child panicked, and why.
    fn last_words(&self, status: &str) -> Outcome<String> {
        let errors = String::from_utf8_lossy(&std::fs::read(self.scratch.join("errors"))?).into_owned();
        let mut lines = errors.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("overflowed its stack"));
        let Some(first) = lines.next() else { return Ok(format!("{status}: {}", errors.trim())) };
        if first.contains("overflowed its stack") {
            return Ok("overflows its stack".to_owned());
        }
        let place = first.split("panicked at ").last().unwrap_or_default().trim_end_matches(':');
        let why: String = lines.next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
        Ok(format!("panics at {place} {why}"))
    }

    /// What is wrong with an input, in a child of its own.
    fn run(&self, input: &[u8]) -> Outcome<Option<String>> {
        let file = self.scratch.join("input");
        std::fs::write(&file, input)?;
        self.wait(&mut self.child(&["--here"], &file)?, CLOCK * 2, &AtomicUsize::new(0))
    }

    /// Makes a finding smaller, writes it and says how to run it.
    fn keep(&self, what: &str, input: Vec<u8>) -> Outcome {
        let small = self.shrunk(what, input)?;
        let sum = small.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        let path = folder("artifacts").join(format!("{}-{sum:08x}.txt", self.target));
        std::fs::create_dir_all(folder("artifacts"))?;
        std::fs::write(&path, &small)?;
        println!("{what}\n  cargo run --example shake --features yardstick -- {} {}", self.target, path.display());
        Ok(std::io::stdout().flush()?)
    }

    /// Takes out halves, quarters and so on, as long as the same is wrong with what is left.
    fn shrunk(&self, what: &str, mut input: Vec<u8>) -> Outcome<Vec<u8>> {
        let begin = Instant::now();
        let mut size = input.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < input.len() && begin.elapsed() < SHRINKING {
                let without = [&input[..at], &input[input.len().min(at + size)..]].concat();
                if self.run(&without)?.as_deref() == Some(what) { input = without } else { at += size }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        Ok(input)
    }
}

/// How many seconds a process has worked, where the system tells. It counts hundredths.
fn work(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = status.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<usize>().ok()).sum::<usize>() / 100
}

/// What a process holds in memory, in KiB, where the system tells.
fn memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
