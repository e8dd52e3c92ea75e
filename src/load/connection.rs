//! What templates see of a target beside its name and schema: how a profile for a dbt adapter says that it connects, as far as
//! that adapter shows it. Passwords, keys and tokens are none of it.

use serde_json::{Map, Value as Json};

use super::yaml::Yaml;

/// What adapters show of their connections: names of keys in a profile (the `_connection_keys` of their credentials).
const SHOWN: [(&str, &[&str]); 11] = [
    ("athena", &["s3_staging_dir", "s3_data_dir", "s3_data_naming", "work_group", "region_name", "aws_profile_name", "poll_interval", "num_retries"]),
    (
        "bigquery",
        &[
            "method",
            "execution_project",
            "location",
            "priority",
            "maximum_bytes_billed",
            "impersonate_service_account",
            "job_retries",
            "job_retry_deadline_seconds",
            "job_creation_timeout_seconds",
            "job_execution_timeout_seconds",
            "timeout_seconds",
            "compute_region",
            "dataproc_cluster_name",
            "gcs_bucket",
        ],
    ),
    ("clickhouse", &["driver", "host", "port", "user", "cluster", "database_engine", "secure", "verify", "retries"]),
    ("databricks", &["host", "http_path"]),
    ("duckdb", &["path"]),
    (
        "postgres",
        &[
            "host",
            "port",
            "user",
            "connect_timeout",
            "role",
            "search_path",
            "keepalives_idle",
            "sslmode",
            "sslrootcert",
            "application_name",
            "retries",
        ],
    ),
    (
        "redshift",
        &[
            "host",
            "port",
            "user",
            "method",
            "cluster_id",
            "iam_profile",
            "sslmode",
            "region",
            "autocreate",
            "db_groups",
            "ra3_node",
            "connect_timeout",
            "role",
            "retries",
        ],
    ),
    (
        "snowflake",
        &[
            "account",
            "user",
            "warehouse",
            "role",
            "authenticator",
            "query_tag",
            "client_session_keep_alive",
            "host",
            "port",
            "proxy_host",
            "proxy_port",
            "protocol",
            "connect_retries",
            "connect_timeout",
            "retry_on_database_errors",
            "retry_all",
            "reuse_connections",
        ],
    ),
    ("spark", &["host", "method", "port", "cluster", "endpoint", "organization"]),
    ("sqlserver", &["server", "port", "UID", "authentication", "encrypt", "trust_cert", "retries", "login_timeout", "query_timeout"]),
    ("trino", &["method", "host", "port", "user", "prepared_statements_enabled"]),
];

/// Other names that adapters have for the database and the schema.
fn aliases(adapter: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match adapter {
        "postgres" | "redshift" => (&["dbname"], &[]),
        "bigquery" => (&["project", "execution_project"], &["dataset"]),
        "databricks" | "trino" | "athena" => (&["catalog"], &[]),
        _ => (&[], &[]),
    }
}

/// A config key under the name that all adapters know it by: databases and schemas have other names with some.
#[must_use]
pub fn config_key<'k>(adapter: &str, key: &'k str) -> &'k str {
    match (adapter, key) {
        ("bigquery", "project") | ("databricks" | "trino" | "athena", "catalog") | ("postgres" | "redshift", "dbname") => "database",
        ("bigquery", "dataset") => "schema",
        ("bigquery", "target_project") => "target_database",
        ("bigquery", "target_dataset") => "target_schema",
        (_, key) => key,
    }
}

/// The keys of a profile that an adapter shows.
pub(super) fn keys(adapter: &str) -> &'static [&'static str] {
    SHOWN.iter().find(|(known, _)| *known == adapter).map_or(&[], |(_, keys)| keys)
}

/// The keys of `output`, a target of a profile, that its adapter shows, with None for those that it lacks; and the adapter's own
/// names for the database and the schema that relations have here.
pub(super) fn shown(adapter: &str, output: &Yaml, database: &str, schema: &str) -> Map<String, Json> {
    let (of_database, of_schema) = aliases(adapter);
    let named = of_database.iter().map(|name| (*name, database)).chain(of_schema.iter().map(|name| (*name, schema)));
    let mut shown: Map<String, Json> = named.map(|(name, value)| (name.to_owned(), value.into())).collect();
    for key in keys(adapter) {
        if let Some(value) = output.get(key) {
            shown.insert((*key).to_owned(), value.to_json());
        } else {
            shown.entry(*key).or_insert(Json::Null);
        }
    }
    shown
}
