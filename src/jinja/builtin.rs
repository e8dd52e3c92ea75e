//! The macros that come with the program, as package `dbt`; a macro of the root project takes precedence.

/// Paths as diagnostics name them, and texts.
pub(super) const FILES: &[(&str, &str)] = &[
    ("dbt/names.sql", include_str!("builtin/names.sql")),
    ("dbt/dates.sql", include_str!("builtin/dates.sql")),
    ("dbt/expressions.sql", include_str!("builtin/expressions.sql")),
    ("dbt/relations.sql", include_str!("builtin/relations.sql")),
    ("dbt/materialize.sql", include_str!("builtin/materialize.sql")),
    ("dbt/functions.sql", include_str!("builtin/functions.sql")),
    ("dbt/types.sql", include_str!("builtin/types.sql")),
    ("dbt/tests.sql", include_str!("builtin/tests.sql")),
];
