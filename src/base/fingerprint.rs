//! Fingerprints: what a result was made from, in 16 bytes. Equal fingerprints mean equal inputs; the hash is BLAKE3, so
//! nobody meets two inputs that share one.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub const LENGTH: usize = 16;

    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::cut(blake3::hash(bytes))
    }

    /// What the environment has under a name, and under names that begin with it.
    #[must_use]
    pub fn of_environment(name: &str) -> Self {
        let mut found: Vec<_> = std::env::vars_os().filter(|(known, _)| known.to_string_lossy().starts_with(name)).collect();
        found.sort();
        let mut of = Fingerprinter::new("environment");
        of.add(name).add(&found);
        of.finish()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    fn cut(hash: blake3::Hash) -> Self {
        let mut bytes = [0; Self::LENGTH];
        bytes.copy_from_slice(&hash.as_bytes()[..Self::LENGTH]);
        Self(bytes)
    }
}

/// Takes the parts of a fingerprint. Every part says where it ends, so that no two lists of parts look alike.
#[derive(Debug, Default)]
pub struct Fingerprinter {
    bytes: Vec<u8>,
}

impl Fingerprinter {
    /// `what` tells the kinds of results apart.
    #[must_use]
    pub fn new(what: &str) -> Self {
        let mut new = Self { bytes: Vec::with_capacity(1024) };
        new.add(&what);
        new
    }

    /// A part that can be hashed: texts, numbers, options and lists of them, other fingerprints.
    pub fn add(&mut self, part: &(impl Hash + ?Sized)) -> &mut Self {
        part.hash(self);
        self
    }

    /// A part by how it prints for programmers: for what is rare, and has parts that can't be hashed.
    pub fn debug(&mut self, part: &impl fmt::Debug) -> &mut Self {
        let before = self.bytes.len();
        let _ = write!(Text(&mut self.bytes), "{part:?}");
        let length = self.bytes.len() - before;
        self.add(&length)
    }

    /// A part as it prints.
    pub fn shown(&mut self, part: &impl fmt::Display) -> &mut Self {
        let before = self.bytes.len();
        let _ = write!(Text(&mut self.bytes), "{part}");
        let length = self.bytes.len() - before;
        self.add(&length)
    }

    /// A map, in its order: templates see that.
    pub fn json_map(&mut self, map: &Map<String, Json>) -> &mut Self {
        self.add(&map.len());
        for (key, value) in map {
            self.add(key).json(value);
        }
        self
    }

    pub fn json(&mut self, value: &Json) -> &mut Self {
        match value {
            Json::Null => self.add(&0_u8),
            Json::Bool(flag) => self.add(&1_u8).add(flag),
            Json::Number(number) => self.add(&2_u8).shown(number),
            Json::String(text) => self.add(&3_u8).add(text),
            Json::Array(items) => {
                self.add(&4_u8).add(&items.len());
                items.iter().fold(self, Self::json)
            }
            Json::Object(map) => self.add(&5_u8).json_map(map),
        }
    }

    #[must_use]
    pub fn finish(&self) -> Fingerprint {
        Fingerprint::of_bytes(&self.bytes)
    }
}

/// Takes what is hashed as it is, the end of a text included.
impl Hasher for Fingerprinter {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Nobody asks: [`Fingerprinter::finish`] is what a fingerprint is made by.
    fn finish(&self) -> u64 {
        0
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fill: impl FnOnce(&mut Fingerprinter)) -> Fingerprint {
        let mut fingerprinter = Fingerprinter::new("test");
        fill(&mut fingerprinter);
        fingerprinter.finish()
    }

    fn all(_: &mut Fingerprinter) {}

    #[test]
    fn parts_do_not_run_into_each_other_and_order_counts() {
        assert_ne!(of(|f| all(f.add("ab").add("c"))), of(|f| all(f.add("a").add("bc"))));
        assert_ne!(of(|f| all(f.add(&vec!["a"]).add("b"))), of(|f| all(f.add(&vec!["a", "b"]))));
        assert_ne!(of(|f| all(f.json(&json!({"a": 1, "b": 2})))), of(|f| all(f.json(&json!({"b": 2, "a": 1})))));
        assert_ne!(of(|f| all(f.json(&json!("1")))), of(|f| all(f.json(&json!(1)))));
        assert_ne!(of(|f| all(f.debug(&"a").debug(&"b"))), of(|f| all(f.debug(&"a\"\"b"))));
        assert_eq!(of(|f| all(f.json(&json!([null, true, 1.5])))), of(|f| all(f.json(&json!([null, true, 1.5])))));
    }
}
