//! A data test's answer becomes an outcome.

use crate::base::NodeOutcome;
use crate::manifest::{OnViolation, TestConfig};

/// What a test's verdict query said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub failures: u64,
    pub should_warn: bool,
    pub should_error: bool,
}

/// The outcome and the message, as dbt has them: with severity `error` the error condition counts first, then the warning
/// condition; with severity `warn` only the latter. `warnings_fail` makes a failure of a warning.
pub(super) fn judge(verdict: Verdict, config: &TestConfig, warnings_fail: bool) -> (NodeOutcome, String) {
    let count = if verdict.failures == 1 { "1 result".to_owned() } else { format!("{} results", verdict.failures) };
    if config.severity == OnViolation::Error && verdict.should_error {
        return (NodeOutcome::Fail, format!("Got {count}, configured to fail if {}", config.error_if));
    }
    if verdict.should_warn && warnings_fail {
        return (NodeOutcome::Fail, format!("Got {count}, configured to fail if {}", config.warn_if));
    }
    if verdict.should_warn {
        return (NodeOutcome::Warn, format!("Got {count}, configured to warn if {}", config.warn_if));
    }
    (NodeOutcome::Pass, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_decides_which_condition_counts() {
        let bad = Verdict { failures: 3, should_warn: true, should_error: true };
        let mut config = TestConfig::default();
        assert_eq!(judge(bad, &config, false).0, NodeOutcome::Fail);
        assert_eq!(judge(Verdict { should_error: false, ..bad }, &config, false).0, NodeOutcome::Warn);
        config.severity = OnViolation::Warn;
        assert_eq!(judge(bad, &config, false), (NodeOutcome::Warn, "Got 3 results, configured to warn if != 0".into()));
        assert_eq!(judge(bad, &config, true), (NodeOutcome::Fail, "Got 3 results, configured to fail if != 0".into()));
        assert_eq!(judge(Verdict { failures: 0, should_warn: false, should_error: false }, &config, false).0, NodeOutcome::Pass);
    }
}
