//! Each fuzz target with its seeds, what was once found among them, and a few hundred inputs more, the same each time.
//! `examples/shake.rs` goes on for as long as one likes.

#[path = "../fuzz/mutation.rs"]
mod mutation;
#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

/// Of the inputs made here; long ones take their time.
const LONGEST: usize = 1500;

fn fed(name: &str, count: usize) {
    let (_, target) = targets::TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let words = mutation::words(include_str!("../fuzz/words.dict"));
    let mut random = fastrand::Rng::with_seed(1);
    let more = std::iter::repeat_with(|| mutation::mutated(&corpus, &words, &mut random)).filter(|input| input.len() <= LONGEST).take(count);
    let inputs: Vec<Vec<u8>> = corpus.iter().cloned().chain(more).collect();
    assert!(corpus.len() > 2, "{name} has seeds");
    // As the program's threads are.
    let feeding = std::thread::Builder::new().stack_size(alluvium::base::STACK).spawn(move || {
        for input in inputs {
            let text = String::from_utf8_lossy(&input).into_owned();
            let fed = std::panic::catch_unwind(|| target(&input));
            assert!(fed.is_ok(), "the target panics at\n{text}");
        }
    });
    assert!(feeding.unwrap().join().is_ok(), "see above");
}

#[test]
fn templates() {
    fed("templates", 200);
}

#[test]
fn models() {
    fed("model", 100);
}

#[test]
fn properties() {
    fed("properties", 100);
}

#[test]
fn selectors() {
    fed("selectors", 300);
}

#[test]
fn statements() {
    fed("sql", 300);
}
