//! The query that turns the failing rows of a data test into its verdict.

use crate::manifest::TestConfig;

/// A data test, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestQuery {
    /// Yields one row: the number of failures, whether to warn, whether to fail.
    pub verdict: String,
    /// Yields the failing rows.
    pub rows: String,
}

/// Wraps the SQL of a test: `fail_calc` over its rows (at most `limit` of them), compared as `warn_if` and `error_if` say.
#[must_use]
pub fn test_query(sql: &str, config: &TestConfig) -> TestQuery {
    let limit = config.limit.map_or_else(String::new, |limit| format!("\nlimit {limit}"));
    let rows = format!("select *\nfrom (\n{}\n) as test_rows{limit}", sql.trim().trim_end_matches(';'));
    let verdict = verdict(&format!("(\n{rows}\n)"), config);
    TestQuery { verdict, rows }
}

/// The same over a relation that holds the failing rows already.
#[must_use]
pub fn verdict(from: &str, config: &TestConfig) -> String {
    let TestConfig { fail_calc, warn_if, error_if, .. } = config;
    format!(
        "select failures, failures {warn_if} as should_warn, failures {error_if} as should_error\nfrom (\nselect cast(coalesce({fail_calc}, 0) as bigint) as failures\nfrom {from} as failing\n) as counted"
    )
}
