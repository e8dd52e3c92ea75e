//! Results kept between commands, by the fingerprint of everything they were made from: a file of records below the target
//! folder. What a record holds is its room's business.
//!
//! A record is never wrong, as its key says all that went into it; an edit gives other keys. So nothing is ever
//! invalidated: records that nothing asks for age and are left out. The file is replaced as a whole, so that commands that
//! run side by side each see a whole one and the last one wins; one that is cut off, damaged or written by another build of
//! the program is as good as none.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::files;
use super::fingerprint::Fingerprint;

const MAGIC: &[u8; 16] = b"alluvium memo 1\n";
/// How often a record may go unasked before it is left out.
const MOST_AGE: u8 = 8;
/// Key, age, length.
const HEAD: usize = Fingerprint::LENGTH + 1 + 4;

/// See the module's documentation.
#[derive(Debug)]
pub struct Memo {
    /// `None` where nothing is kept.
    path: Option<PathBuf>,
    writes: bool,
    bytes: Vec<u8>,
    index: HashMap<Fingerprint, Kept>,
    fresh: Mutex<HashMap<Fingerprint, Vec<u8>>>,
}

#[derive(Debug)]
struct Kept {
    age: u8,
    range: Range<usize>,
    asked: AtomicBool,
}

impl Memo {
    /// The records of a file, or none.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let bytes = files::read_bytes(path).unwrap_or_default();
        let index = index(&bytes).unwrap_or_default();
        Self { path: Some(path.to_owned()), writes: true, bytes, index, fresh: Mutex::default() }
    }

    /// One that knows nothing and keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { path: None, writes: false, bytes: Vec::new(), index: HashMap::new(), fresh: Mutex::default() }
    }

    /// One that knows nothing and replaces the file.
    #[must_use]
    pub fn anew(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), writes: true, ..Self::off() }
    }

    /// The same for a command that writes nothing.
    #[must_use]
    pub fn writing(self, writes: bool) -> Self {
        Self { writes, ..self }
    }

    /// Whether there is one at all.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.path.is_some()
    }

    /// A record of an earlier command.
    #[must_use]
    pub fn get(&self, key: &Fingerprint) -> Option<&[u8]> {
        let kept = self.index.get(key)?;
        kept.asked.store(true, Ordering::Relaxed);
        self.bytes.get(kept.range.clone())
    }

    /// Keeps a record for later commands.
    pub fn put(&self, key: Fingerprint, record: Vec<u8>) {
        if self.writes {
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(key, record);
        }
    }

    /// Writes the file, unless it would say the same. Where it can't be written the next command has more to do, and that is
    /// all: no command fails for it.
    pub fn save(&self) {
        let Some(path) = &self.path else { return };
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_empty() {
            return;
        }
        let mut out = Vec::with_capacity(self.bytes.len() + fresh.values().map(|record| record.len() + HEAD).sum::<usize>() + 128);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(build().bytes());
        for (key, kept) in self.index.iter().filter(|(key, _)| !fresh.contains_key(*key)) {
            let age = if kept.asked.load(Ordering::Relaxed) { 0 } else { kept.age + 1 };
            if age <= MOST_AGE
                && let Some(record) = self.bytes.get(kept.range.clone())
            {
                append(&mut out, *key, age, record);
            }
        }
        for (key, record) in fresh.iter() {
            append(&mut out, *key, 0, record);
        }
        let sum = Fingerprint::of_bytes(&out);
        out.extend_from_slice(sum.bytes());
        let _ = files::write_with(path, |file| file.write_all(&out));
    }
}

/// The bytes of a record.
#[must_use]
pub fn record_of(value: &impl Serialize) -> Option<Vec<u8>> {
    postcard::serialize_with_flavor(value, Bytes(Vec::with_capacity(256))).ok()
}

/// What the bytes of a record say; `None` if they were made of something else.
#[must_use]
pub fn read_record<'r, T: Deserialize<'r>>(bytes: &'r [u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

struct Bytes(Vec<u8>);

impl Flavor for Bytes {
    type Output = Vec<u8>;

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

fn append(out: &mut Vec<u8>, key: Fingerprint, age: u8, record: &[u8]) {
    let Ok(length) = u32::try_from(record.len()) else { return };
    out.extend_from_slice(key.bytes());
    out.push(age);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(record);
}

/// Where the records stand; `None` if this is no whole file of this build of the program.
fn index(bytes: &[u8]) -> Option<HashMap<Fingerprint, Kept>> {
    let body = bytes.len().checked_sub(Fingerprint::LENGTH)?;
    if Fingerprint::of_bytes(bytes.get(..body)?).bytes().as_slice() != bytes.get(body..)? {
        return None;
    }
    let mut at = MAGIC.len() + Fingerprint::LENGTH;
    let head = bytes.get(..at.min(body))?;
    if head.strip_prefix(MAGIC)? != build().bytes().as_slice() {
        return None;
    }
    let mut found = HashMap::with_capacity(body / 256);
    while at < body {
        let head = bytes.get(at..at + HEAD)?;
        let key = Fingerprint::from_bytes(head.get(..Fingerprint::LENGTH)?.try_into().ok()?);
        let age = *head.get(Fingerprint::LENGTH)?;
        let length = u32::from_le_bytes(head.get(Fingerprint::LENGTH + 1..)?.try_into().ok()?) as usize;
        at += HEAD;
        found.insert(key, Kept { age, range: at..at + length, asked: AtomicBool::new(false) });
        at += length;
    }
    (at == body).then_some(found)
}

/// The build of the program: its version, and its file, which is another for every build of one version.
fn build() -> Fingerprint {
    static BUILD: std::sync::OnceLock<Fingerprint> = std::sync::OnceLock::new();
    *BUILD.get_or_init(|| {
        let program = std::env::current_exe().ok();
        let stamp = program.as_deref().and_then(files::stamp);
        let mut of = super::Fingerprinter::new("build");
        of.add(env!("CARGO_PKG_VERSION")).add(&program).add(&stamp);
        of.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_until_nobody_asks_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.memo");
        let (a, b) = (Fingerprint::of_text("a"), Fingerprint::of_text("b"));
        let memo = Memo::open(&path);
        memo.put(a, b"one".to_vec());
        memo.put(b, b"two".to_vec());
        memo.save();
        let whole = std::fs::read(&path).unwrap();
        for round in 0..=MOST_AGE {
            let memo = Memo::open(&path);
            assert_eq!(memo.get(&a), Some(&b"one"[..]));
            memo.put(Fingerprint::of_text(&round.to_string()), Vec::new());
            memo.save();
        }
        let memo = Memo::open(&path);
        assert_eq!((memo.get(&a), memo.get(&b)), (Some(&b"one"[..]), None), "nobody asked for the second");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(Memo::open(&path).get(&a), None, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(Memo::open(&path).get(&a), None, "cut at {at}");
        }
        assert!(Memo::off().get(&a).is_none());
    }
}
