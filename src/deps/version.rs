//! Versions and ranges of hub packages, by dbt's rules: a bare version is exact, and a range with an upper bound takes no
//! prereleases of that bound.

use std::cmp::Ordering;

use semver::Version;

/// One comparison, as `>=1.0.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    comparison: Comparison,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Exact,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Range {
    /// Reads a comparison; `None` where it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let operators = [
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            ("==", Comparison::Exact),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
            ("=", Comparison::Exact),
            ("", Comparison::Exact),
        ];
        let (comparison, rest) = operators.into_iter().find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))?;
        Some(Self { comparison, version: read_version(rest)? })
    }

    pub(super) fn accepts(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.comparison {
            Comparison::Exact => order == Ordering::Equal,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
            Comparison::Less => order == Ordering::Less && !self.is_prerelease_of_bound(version),
            Comparison::LessOrEqual => order != Ordering::Greater,
        }
    }

    fn is_prerelease_of_bound(&self, version: &Version) -> bool {
        let base = |version: &Version| (version.major, version.minor, version.patch);
        self.version.pre.is_empty() && !version.pre.is_empty() && base(version) == base(&self.version)
    }

    /// Whether the range itself names a prerelease, and so asks for some.
    pub(super) fn is_prerelease(&self) -> bool {
        !self.version.pre.is_empty()
    }
}

/// A version of three numbers, perhaps after a `v`. What it is a prerelease of may stand before it without a dash, as in Python.
pub(super) fn read_version(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(numbers);
    let dash = if rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) { "-" } else { "" };
    Version::parse(&format!("{numbers}{dash}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(range: &str, version: &str) -> bool {
        Range::read(range).unwrap().accepts(&read_version(version).unwrap())
    }

    #[test]
    fn ranges_compare_as_dbt_compares_them() {
        assert!(accepts(">=1.0.0", "1.0.0") && accepts(">1.0.0", "1.0.1") && !accepts(">1.0.0", "1.0.0"));
        assert!(accepts("<2.0.0", "1.9.9") && !accepts("<2.0.0", "2.0.0") && accepts("<=2.0.0", "2.0.0"));
        assert!(accepts("1.1.0", "1.1.0") && !accepts("=1.1.0", "1.1.1") && accepts("==v1.1.0", "1.1.0"));
        assert!(!accepts("<2.0.0", "2.0.0-b1") && accepts("<2.0.0-b2", "2.0.0-b1") && accepts("<2.0.0", "1.9.0-rc1"));
        assert!(!accepts(">=1.0.0", "1.0.0-rc1"));
        assert!(accepts(">=1.6.0rc2", "1.6.0") && accepts(">=1.6.0rc2", "1.6.0-rc2") && !accepts(">=1.6.0rc2", "1.6.0b1"));
    }

    #[test]
    fn a_version_has_three_numbers() {
        assert_eq!(Range::read("0.9"), None);
        assert_eq!(Range::read(">=one"), None);
        assert_eq!(Range::read("~1.0.0"), None);
    }
}
