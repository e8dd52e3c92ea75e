//! The three-part name of a relation.

use std::fmt;

/// `database.schema.identifier`. Compared without regard to case, printed with the case it was given.
#[derive(Debug, Clone)]
pub struct RelationName {
    pub database: String,
    pub schema: String,
    pub identifier: String,
}

impl RelationName {
    pub fn new(database: impl Into<String>, schema: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self { database: database.into(), schema: schema.into(), identifier: identifier.into() }
    }

    /// The name folded to lower case, for use as a key.
    #[must_use]
    pub fn key(&self) -> (String, String, String) {
        (self.database.to_lowercase(), self.schema.to_lowercase(), self.identifier.to_lowercase())
    }

    /// The same name as that of a function, with `()` behind it: a table may have the name without.
    #[must_use]
    pub fn of_function(&self) -> Self {
        Self::new(&*self.database, &*self.schema, format!("{}()", self.identifier))
    }

    #[must_use]
    pub fn is_function(&self) -> bool {
        self.identifier.ends_with("()")
    }

    /// The name as templates and artifacts write it: database, schema and identifier in quotes or not, as `quoting` says.
    #[must_use]
    pub fn written(&self, quoting: [bool; 3]) -> String {
        let quoted = |(part, quote): (&str, bool)| if quote { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.to_owned() };
        let parts = self.parts().into_iter().zip(quoting).filter(|(part, _)| !part.is_empty());
        parts.map(quoted).collect::<Vec<_>>().join(".")
    }

    /// `schema.identifier`, as log lines show it.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}.{}", self.schema, self.identifier)
    }
}

/// For events, which know nothing of relations.
impl From<&RelationName> for crate::base::RelationParts {
    fn from(name: &RelationName) -> Self {
        Self { database: name.database.clone(), schema: name.schema.clone(), identifier: name.identifier.clone(), quoted: name.to_string() }
    }
}

impl RelationName {
    fn parts(&self) -> [&str; 3] {
        [&self.database, &self.schema, &self.identifier]
    }
}

impl PartialEq for RelationName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RelationName {}

impl std::hash::Hash for RelationName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for part in self.parts() {
            folded(part).for_each(|byte| state.write_u8(byte));
            state.write_u8(u8::MAX);
        }
    }
}

impl PartialOrd for RelationName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RelationName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let [own, others] = [self, other].map(|name| name.parts().map(folded));
        own.into_iter().zip(others).map(|(a, b)| a.cmp(b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// The bytes of a name in lower case.
fn folded(part: &str) -> impl Iterator<Item = u8> {
    let wide = if part.is_ascii() { String::new() } else { part.to_lowercase() };
    let plain = if wide.is_empty() { part } else { "" };
    plain.bytes().map(|byte| byte.to_ascii_lowercase()).chain(wide.into_bytes())
}

/// Every part in double quotes, a double quote inside doubled: ready to stand in SQL. Empty parts are left out, as for
/// the CTE that stands for an ephemeral model.
impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written([true; 3]))
    }
}
