//! `.dbtignore`: patterns as in `.gitignore`, for files that are not part of the project.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::base::files;

/// The patterns of a package; the last that matches decides.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    matchers: Vec<GlobMatcher>,
    negated: bool,
}

impl Ignore {
    pub(super) fn of(root: &Path) -> Self {
        let text = files::read_text(&root.join(".dbtignore")).unwrap_or_default();
        Self { rules: text.lines().filter_map(rule).collect() }
    }

    /// Whether a path, relative to the package and with `/`, is left out.
    pub(super) fn ignores(&self, path: &str) -> bool {
        self.rules.iter().rev().find(|rule| rule.matchers.iter().any(|matcher| matcher.is_match(path))).is_some_and(|rule| !rule.negated)
    }
}

fn rule(line: &str) -> Option<Rule> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
    let pattern = pattern.trim_end_matches('/');
    let anchored = pattern.contains('/');
    let pattern = pattern.trim_start_matches('/');
    let base = if anchored { pattern.to_owned() } else { format!("**/{pattern}") };
    let matchers = [base.clone(), format!("{base}/**")]
        .iter()
        .filter_map(|glob| GlobBuilder::new(glob).literal_separator(true).build().ok())
        .map(|glob| glob.compile_matcher())
        .collect();
    Some(Rule { matchers, negated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_work_as_in_gitignore() {
        let ignore = Ignore {
            rules: ["# note", "*.tmp.sql", "/models/old/", "drafts", "!models/keep.tmp.sql"].iter().filter_map(|line| rule(line)).collect(),
        };
        assert!(ignore.ignores("models/a/x.tmp.sql"));
        assert!(!ignore.ignores("models/keep.tmp.sql"));
        assert!(ignore.ignores("models/old/deep/x.sql"));
        assert!(ignore.ignores("models/a/drafts/x.sql"));
        assert!(!ignore.ignores("other/models/old/x.sql"));
    }
}
