"""What differs between Python dbt on DuckDB and alluvium in the literate cases, and is meant to, each with its reason.

`LEFT_OUT` are cases of which nothing can be compared, `OWN_TEXT` compiled files of which only the rows can. `MEANT` has, for a case, texts of dbt's that stand for texts of alluvium's;
one that is not met any more is an error.
"""

ADAPTER = "the case speaks of the adapter `alluvium`, whose macros dbt does not know"
SEEDS = "refused here, because seeds and snapshots are built by the program, which runs no text of macros for them"
NO_ROLLBACK = "a statement is a transaction of its own: what ran before an error, or without a commit, stays"
OWN_TYPES = "names of types are those of the one dialect"
SELECTOR = "`selector:` on the command line is of dbt 2.0"
DAYS = "a date to which days are added stays a date; DuckDB makes a timestamp"

LEFT_OUT = {
    ("cross-database.md", "Weeks begin where the adapter's macros have them begin"): "two targets with adapters of their own; the macro of dbt-duckdb gives what the first shows",
    ("custom-materializations.md", "The one for this adapter goes before the one for all"): ADAPTER,
    ("custom-materializations.md", "`alter_column_type` gives a column a type that holds all its values"): "narrower types are refused, and the column keeps its place",
    ("custom-materializations.md", "The project overrides a materialization of the program"): "dbt-duckdb has a `table` of its own, which goes before one for all adapters",
    ("custom-materializations.md", "What would be passed over is refused"): SEEDS,
    ("custom-materializations.md", "Text that would make a seed or a snapshot is refused, as none is run"): SEEDS,
    ("custom-materializations.md", "A strategy that nobody wrote"): "dbt looks for the strategy when the table is there, in the second run",
    ("custom-materializations.md", "The project overrides the text of a strategy of the program"): "dbt-duckdb's default is delete+insert",
    ("selectors.md", "A selector that names another, and selector: on the command line"): SELECTOR,
    ("selectors.md", "`exclude` of a criterion, and of a union within an intersection"): SELECTOR,
}

OWN_TEXT = {
    ("config-listed.md", "Materializations"): {"example/models/a_table.sql": "ephemeral models are put in with quoted names; the rows are compared"},
    ("macro-packages-more.md", "A spine from the first to the last day of a table"): {"example/models/days.sql": "`dbt.date_spine` has a text of its own; its rows are compared"},
}

MEANT = {
    ("config-listed.md", "The config of models"): [('"2024-01-01T00:00:00"', '"2024-01-01"', "a day is told as it is written")],
    ("config-listed.md", "Properties of models"): [
        ("ref('other')", '\\"alluvium\\".\\"main\\".\\"other\\"', "the other table is named from the start; dbt names it when it compiles"),
    ],
    ("config-listed.md", "Snapshots, seeds and sources"): [
        ('"schema": null, "snapshot', '"schema": "kept", "snapshot', "`target_schema` is an older name of `schema`"),
    ],
    ("jinja-adapter.md", "Relations name themselves, in parts"): [
        ("True False False", "True False True", "a relation is a mapping, as packages ask"),
        ("INFORMATION_SCHEMA", "information_schema", "written small; either is found"),
        ('[<DuckDBRelation "db"."sch"."Tab">]', '["db"."sch"."Tab"]', "a relation within a list prints as it does alone"),
        ("TEMP", '"db"."sch"."Tab__dbt_tmp"', "there are no temporary tables, so theirs has a schema and no time in its name"),
    ],
    ("jinja-adapter.md", "Columns know their types"): [
        ("['id', 'amount']", "['amount']", "columns are the same without regard to case"),
    ],
    ("jinja-adapter.md", "What stands in the warehouse can be looked up"): [
        ("id INTEGER", "id BIGINT", "a whole number has 64 bits"),
        ("character varying(256)", "VARCHAR", "text has no length"),
        ("a INTEGER", "a BIGINT", "a whole number has 64 bits"),
    ],
    ("jinja-adapter.md", "And changed"): [("", "view", "dbt keeps a list of relations, in which those that a statement made are not")],
    ("jinja-adapter.md", "Dispatch finds overrides, and a strategy its macro"): [("another engine's", "own 1", ADAPTER)],
    ("jinja-overrides.md", "Relations are dropped, with or without looking them up"): [("main.t", "", NO_ROLLBACK)],
    ("cross-database.md", "Dates are moved by parts"): [('T00:00:00"', '"', DAYS), ('"2023-12-31"', '"2023-12-31T00:00:00"', DAYS)],
    ("cross-database.md", "Series of dates and numbers"): [('T00:00:00"', '"', DAYS)],
    ("cross-database.md", "A project and a package put their own in their place"): [('["3", "mine"', '["103", "mine"', ADAPTER)],
    ("macro-packages.md", "Keys, columns, pivots and stacks"): [
        ("as TEXT)", "as varchar)", OWN_TYPES),
        ("as INTEGER)", "as BIGINT)", "a whole number has 64 bits"),
        ("as character varying(256))", "as VARCHAR)", "text has no length"),
        ("as DECIMAL(3,1))", "as DOUBLE)", "a number with a point is a double"),
    ],
    ("custom-materializations.md", "One that does not say what it made"): [("", "main.b", NO_ROLLBACK)],
    ("custom-materializations.md", "The project overrides the text that makes a table, by any of its names"): [
        ('["1"]', '["20"]', "dbt-duckdb's `table` does not call `get_create_table_as_sql`"),
    ],
    ("hooks.md", "Hooks of properties files, and maps without a plus sign"): [
        ('["properties True"]', '["project a"]', "a map under the name of a config is one; dbt takes it for a folder of that name"),
        ("", '["properties True"]', "the line after it"),
    ],
    ("hooks.md", "A hook that fails makes the node an error"): [("", "main.b", NO_ROLLBACK)],
    ("hooks.md", "Around a run, with its results"): [("starting on default", "", "dbt says it once more while it parses")],
    ("run-operation.md", "Its statements reach the warehouse"): [("", '["2"]', NO_ROLLBACK), ("", '["3"]', NO_ROLLBACK)],
}
