//! Results kept between commands, by the fingerprint of everything they were made from: a file of records below the target
//! folder. What a record holds is its room's business.
//!
//! A record is never wrong, as its key says all that went into it; an edit gives other keys. So nothing is ever
//! invalidated: new records are put behind those that are there, in a block of their own with its sum, and once the blocks
//! behind outweigh the first the file is written anew, with what was asked for and as much of the rest, the latest first, as
//! there was before. What is cut off, damaged or written by another build of the program is as good as not there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::files;
use super::fingerprint::Fingerprint;

const MAGIC: &[u8; 16] = b"alluvium memo 2\n";
/// Of a block: the build of the program, the length of its records in bytes, their sum.
const BLOCK_HEAD: usize = Fingerprint::LENGTH + 8 + 4;
/// Of a record: key, length in bytes.
const HEAD: usize = Fingerprint::LENGTH + 4;
/// Bytes behind the first block that are always put up with.
const SMALL: usize = 1 << 20;

/// See the module's documentation.
#[derive(Debug)]
pub struct Memo {
    /// `None` where nothing is kept.
    path: Option<PathBuf>,
    writes: bool,
    bytes: Bytes,
    found: Found,
    fresh: Mutex<HashMap<Fingerprint, Vec<u8>>>,
}

/// What there is in a file.
#[derive(Debug, Default)]
struct Found {
    index: HashMap<Fingerprint, Kept>,
    /// The bytes of the records of the first block.
    first: usize,
    /// The bytes of the file that are whole blocks of this build of the program.
    sound: usize,
}

#[derive(Debug)]
struct Kept {
    /// Greater for later ones.
    at: usize,
    record: Bytes,
    asked: AtomicBool,
}

/// What a command does with files of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoUse {
    /// Whether results of earlier commands are looked at; else the file is made anew.
    pub reads: bool,
    /// Whether results are kept for later commands.
    pub writes: bool,
}

impl Memo {
    /// A file as a command uses it.
    #[must_use]
    pub fn of(path: &Path, used: MemoUse) -> Self {
        let memo = if used.reads { Self::open(path) } else { Self { path: Some(path.to_owned()), ..Self::off() } };
        Self { writes: used.writes, ..memo }
    }

    /// The records of a file, or none.
    fn open(path: &Path) -> Self {
        let bytes = Bytes::from(files::read_bytes(path).unwrap_or_default());
        let found = read(&bytes);
        Self { path: Some(path.to_owned()), writes: true, bytes, found, fresh: Mutex::default() }
    }

    /// One that knows nothing and keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { path: None, writes: false, bytes: Bytes::new(), found: Found::default(), fresh: Mutex::default() }
    }

    /// Whether there is one at all.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.path.is_some()
    }

    /// A record of an earlier command.
    #[must_use]
    pub fn get(&self, key: &Fingerprint) -> Option<&Bytes> {
        let kept = self.found.index.get(key)?;
        kept.asked.store(true, Ordering::Relaxed);
        Some(&kept.record)
    }

    /// Keeps a record for later commands.
    pub fn put(&self, key: Fingerprint, record: Vec<u8>) {
        if self.writes {
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(key, record);
        }
    }

    /// Writes what is new, if anything. Where it can't be written the next command has more to do, and that is all: no
    /// command fails for it.
    pub fn save(&self) {
        let Some(path) = &self.path else { return };
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_empty() {
            return;
        }
        let is_whole = self.found.sound > 0 && self.found.sound == self.bytes.len();
        let behind = self.found.sound.saturating_sub(self.found.first) + fresh.values().map(Vec::len).sum::<usize>();
        if is_whole && behind <= self.found.first.max(SMALL) {
            let mut block = Block::default();
            for (key, record) in fresh.iter() {
                block.append(*key, record);
            }
            // One call: blocks of commands that run side by side stand one behind the other.
            let _ = files::append_at_once(path, &block.finished());
            return;
        }
        let mut block = Block::default();
        for (key, record) in fresh.iter() {
            block.append(*key, record);
        }
        let mut unasked: Vec<(&Fingerprint, &Kept)> = Vec::new();
        for (key, kept) in self.found.index.iter().filter(|(key, _)| !fresh.contains_key(*key)) {
            if kept.asked.load(Ordering::Relaxed) {
                block.append(*key, &kept.record);
            } else {
                unasked.push((key, kept));
            }
        }
        let most = (2 * block.0.len()).max(self.found.first);
        unasked.sort_unstable_by_key(|(_, kept)| std::cmp::Reverse(kept.at));
        for (key, kept) in unasked {
            if block.0.len() + kept.record.len() > most {
                break;
            }
            block.append(*key, &kept.record);
        }
        let block = block.finished();
        let _ = files::write_with(path, |file| file.write_all(MAGIC).and_then(|()| file.write_all(&block)));
    }
}

/// The bytes of a record.
#[must_use]
pub fn record_of(value: &impl Serialize) -> Option<Vec<u8>> {
    postcard::serialize_with_flavor(value, Growing(Vec::with_capacity(256))).ok()
}

/// What the bytes of a record say; `None` if they were made of something else.
#[must_use]
pub fn read_record<'r, T: Deserialize<'r>>(bytes: &'r [u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

struct Growing(Vec<u8>);

impl Flavor for Growing {
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

/// Records in the making, behind room for the head.
struct Block(Vec<u8>);

impl Default for Block {
    fn default() -> Self {
        Self(vec![0; BLOCK_HEAD])
    }
}

impl Block {
    fn append(&mut self, key: Fingerprint, record: &[u8]) {
        let Ok(length) = u32::try_from(record.len()) else { return };
        self.0.extend_from_slice(key.bytes());
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(record);
    }

    fn finished(self) -> Vec<u8> {
        let mut bytes = self.0;
        let (head, records) = bytes.split_at_mut(BLOCK_HEAD);
        let mut written = Vec::with_capacity(BLOCK_HEAD);
        written.extend_from_slice(build().bytes());
        written.extend_from_slice(&(records.len() as u64).to_le_bytes());
        written.extend_from_slice(&crc32fast::hash(records).to_le_bytes());
        head.copy_from_slice(&written);
        bytes
    }
}

/// All blocks up to the first that is not whole or of another build. A later record of a key takes the place of an earlier.
fn read(bytes: &Bytes) -> Found {
    let mut found = Found::default();
    if !bytes.starts_with(MAGIC) {
        return found;
    }
    let mut at = MAGIC.len();
    while let Some(records) = block_at(bytes, at) {
        if found.sound == 0 {
            found.first = records.len();
            found.index.reserve(records.len() / 512);
        }
        at += BLOCK_HEAD + records.len();
        if index(&records, at, &mut found.index).is_none() {
            return Found::default();
        }
        found.sound = at;
    }
    found
}

fn block_at(bytes: &Bytes, at: usize) -> Option<Bytes> {
    let head = bytes.get(at..at + BLOCK_HEAD)?;
    let (build_of, rest) = head.split_at_checked(Fingerprint::LENGTH)?;
    let (length, sum) = rest.split_at_checked(8)?;
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let start = at + BLOCK_HEAD;
    let end = start.checked_add(length).filter(|end| *end <= bytes.len())?;
    let records = bytes.slice(start..end);
    (build_of == build().bytes().as_slice() && sum == crc32fast::hash(&records).to_le_bytes()).then_some(records)
}

fn index(records: &Bytes, start: usize, found: &mut HashMap<Fingerprint, Kept>) -> Option<()> {
    let mut at = 0;
    while at < records.len() {
        let head = records.get(at..at + HEAD)?;
        let key = Fingerprint::from_bytes(head.get(..Fingerprint::LENGTH)?.try_into().ok()?);
        let length = u32::from_le_bytes(head.get(Fingerprint::LENGTH..)?.try_into().ok()?) as usize;
        at += HEAD;
        records.get(at..at + length)?;
        found.insert(key, Kept { at: start + at, record: records.slice(at..at + length), asked: AtomicBool::new(false) });
        at += length;
    }
    Some(())
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

    const USED: MemoUse = MemoUse { reads: true, writes: true };

    fn kept(path: &Path, key: Fingerprint) -> Option<Vec<u8>> {
        Memo::of(path, USED).get(&key).map(|record| record.to_vec())
    }

    #[test]
    fn records_stand_behind_each_other_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.memo");
        let (a, b) = (Fingerprint::of_text("a"), Fingerprint::of_text("b"));
        let first = Memo::of(&path, USED);
        first.put(a, b"one".to_vec());
        first.save();
        let alone = std::fs::read(&path).unwrap().len();
        // Two commands at once.
        let (left, right) = (Memo::of(&path, USED), Memo::of(&path, USED));
        left.put(b, b"two".to_vec());
        right.put(a, b"one again".to_vec());
        left.save();
        right.save();
        assert_eq!((kept(&path, a), kept(&path, b)), (Some(b"one again".to_vec()), Some(b"two".to_vec())));
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let expected = if at < alone { None } else { Some(b"one".to_vec()) };
            assert_eq!(kept(&path, a), expected, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(kept(&path, a), if at < alone { None } else { Some(b"one".to_vec()) }, "cut at {at}");
            // What is damaged is replaced.
            let after = Memo::of(&path, USED);
            after.put(b, b"three".to_vec());
            after.save();
            assert_eq!((kept(&path, a), kept(&path, b)), (if at < alone { None } else { Some(b"one".to_vec()) }, Some(b"three".to_vec())));
        }
        assert!(Memo::off().get(&a).is_none());
    }

    #[test]
    fn the_file_does_not_grow_for_ever_and_forgets_what_nobody_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.memo");
        let (a, b) = (Fingerprint::of_text("a"), Fingerprint::of_text("b"));
        let memo = Memo::of(&path, USED);
        memo.put(a, b"one".to_vec());
        memo.put(b, b"two".to_vec());
        memo.save();
        let large = vec![7; SMALL / 4];
        let mut most = 0;
        for round in 0..64 {
            let memo = Memo::of(&path, USED);
            assert_eq!(memo.get(&a).map(|record| &record[..]), Some(&b"one"[..]));
            memo.put(Fingerprint::of_text(&round.to_string()), large.clone());
            memo.save();
            most = most.max(std::fs::metadata(&path).unwrap().len());
        }
        assert_eq!((kept(&path, a), kept(&path, b)), (Some(b"one".to_vec()), None), "nobody asked for the second");
        assert!(most < 32 * SMALL as u64, "{most}");
    }
}
