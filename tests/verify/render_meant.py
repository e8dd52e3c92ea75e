"""What differs between Python dbt on DuckDB and alluvium in the literate cases, and is meant to, each with its reason.

`LEFT_OUT` are cases of which nothing can be compared, `OWN_TEXT` compiled files of which only the rows can, `FOR_DBT` files that dbt needs besides. `MEANT` has, for a case, texts of dbt's that stand for texts of alluvium's;
one that is not met any more is an error.
"""

ADAPTER = "the case speaks of the adapter `alluvium`, whose macros dbt does not know"
SEEDS = "refused here, because seeds and snapshots are built by the program, which runs no text of macros for them"
NO_ROLLBACK = "a statement is a transaction of its own: what ran before an error, or without a commit, stays"
OWN_TYPES = "names of types are those of the one dialect"
FILES_OF_SOURCES = "`external` reads a file here; dbt-duckdb has another key for it"
SELECTOR = "`selector:` on the command line is of dbt 2.0"
OWN_TESTS = "the tests of the program have a text of their own; how many rows they found is compared"
QUOTED_NAMES = "ephemeral models are put in with quoted names; the rows are compared"
SNAPSHOT_TEXT = "the query of a snapshot is written below target/compiled too"
DEFAULTS = "a default of dbt's parser"
TAGS = "tags count wherever they are written; in dbt those of semantic models in the project file are lost"
DAYS = "a date to which days are added stays a date; DuckDB makes a timestamp"

OWN_COMMAND = "a command or an option that dbt does not have"
STRICTER = "an error here, which dbt passes over"
INLINE = "what is compiled inline leaves no artifacts here"
OWN_NAMES = "`--warn-error-options` takes the program's own codes too"
BEGUN = "dbt had begun the next node before the first failed"
LAYOUT = "layout and comments are no modification; dbt compares the text as it is written"
CLONED = "what a clone does is not written as SQL"
KEPT = "a retry with nothing to do leaves the results of the run before"
EXPRESSION = "an expression that is as it was is no modification; dbt says so with `state_modified_compare_more_unrendered_values`"
THROUGH = "what a node reads through a variable or a contract modifies it; dbt does not follow these here"
SOURCE_BY_SOURCE = "dbt says how freshness went source by source only"
YAML_SNAPSHOTS = "dbt keeps schema and tags of the project file for a snapshot in YAML in its config, and does not go by them"

# What dbt-duckdb leaves to the project, and the program has: files for dbt alone, for all cases of a file.
FOR_DBT = {
    "incremental.md": {
        "macros/for_dbt.sql": """\
{% macro get_incremental_replace_where_sql(arg_dict) %}
{%- set columns = arg_dict.dest_columns | map(attribute='quoted') | join(', ') -%}
delete from {{ arg_dict.target_relation }} where {{ arg_dict.incremental_predicates | join(' and ') }};
insert into {{ arg_dict.target_relation }} ({{ columns }}) select {{ columns }} from {{ arg_dict.temp_relation }}
{% endmacro %}
"""
    },
    "functions.md": {
        "macros/for_dbt.sql": """\
{% macro duckdb__scalar_function_sql(target_relation) %}
create or replace macro {{ target_relation.schema }}.{{ target_relation.identifier }}(
{%- for argument in model.arguments %}{{ ', ' if not loop.first }}{{ argument.name }}{% if argument.default_value %} := {{ argument.default_value }}{% endif %}{% endfor -%}
) as ({{ model.compiled_code }})
{% endmacro %}
"""
    },
}

# What a macro of dbt calls and DuckDB has not: statements for dbt's database.
ASKED_BEFORE = {
    ("cross-database.md", "A date is made of its parts"): "create macro to_date(text, form) as cast(strptime(text, '%Y-%m-%d') as date)",
}

# Files that are mostly about what the program has beyond dbt on DuckDB (its strategies, refusals and files): the cases that both can run.
SOME = {
    "incremental.md": (
        "`is_incremental()` is false in the first run and true in the next",
        "The strategy append takes no notice of a key",
        "delete+insert replaces the rows of the delivered keys, and may bring several of a key",
        "replace_where replaces what the condition names",
    ),
    "materializations.md": (
        "A view is the default, a table holds rows, both can be read",
        "An ephemeral model is a CTE of those that read it",
        "A materialized view is not available, and says so",
    ),
    "snapshots.md": ("A snapshot in YAML and one in a block keep the same history",),
    "unit-tests.md": (
        "Rows as CSV, in the properties file and in a file of their own",
        "A table that is there is an input as `this`",
        "Macros, variables and the environment are overridden",
    ),
    "functions.md": (
        "A build makes the functions before the models that call them",
        "They are listed, selected and in the manifest",
    ),
    "freshness.md": ("Sources that are tables, by a column, by a query, and of some rows",),
    "test-options.md": ("severity from the project file",),
    "versions.md": ("Each version is a node with a relation of its own, and ref means the latest",),
}

LEFT_OUT = {
    ("state.md", "retry of an operation and of compiling"): "a column that is not there is an error when a model is compiled",
    ("state.md", "retry --warn-error runs tests that warned"): KEPT,
    ("state.md", "A manifest that dbt wrote has of `meta` and hooks what was said last, and that is no change"): "dbt reads whole manifests only; this one has what is compared",
    ("commands.md", "init makes a project that runs at once"): "`init` is compared in beside-dbt.md; the project that it makes is each program's own",
    ("commands.md", "init into another folder"): "dbt has no `--project-dir` that is not there",
    ("commands.md", "init --skip-profile-setup makes the same project"): "`init` is compared in beside-dbt.md; the project that it makes is each program's own",
    ("commands.md", "init does not touch what is there"): "dbt asks for a profile where there is a project",
    ("commands.md", "init beside a folder of that name"): "dbt asks for a profile where there is a project",
    ("commands.md", "init wants a name"): "dbt asks for it",
    ("commands.md", "init wants a name that a project may have"): "dbt asks for another",
    ("commands.md", "compile of one inline text"): INLINE,
    ("commands.md", "compile finds an unknown column without running anything"): "dbt does not look at columns",
    ("commands.md", "compile prints what is named, not its tests"): "unit tests are compiled with their model",
    ("commands.md", "explain prints a page"): OWN_COMMAND,
    ("commands.md", "explain lists the codes"): OWN_COMMAND,
    ("commands.md", "explain of a code that does not exist"): OWN_COMMAND,
    ("commands.md", "explain of a code that is almost one"): OWN_COMMAND,
    ("commands.md", "explain of a code that is like none"): OWN_COMMAND,
    ("commands.md", "debug says if the warehouse can't be written"): OWN_COMMAND,
    ("commands.md", "parse needs no warehouse"): OWN_COMMAND,
    ("commands.md", "Two files in one: nothing is left of a project that is elsewhere"): "a project within a project is left out of it; dbt reads its models",
    ("commands.md", "debug in a project that does not parse"): "dbt's debug does not parse the project",
    ("commands.md", "clean removes folders of the project only, whatever is said"): "nothing outside the project is ever removed",
    ("config.md", "--warehouse wins over the target"): OWN_COMMAND,
    ("config.md", "A memory warehouse leaves nothing behind"): OWN_COMMAND,
    ("flags-more.md", "The command line wins over the environment, and that over the project"): "dbt does not read `quiet` in the project file",
    ("flags-more.md", "What tunes dbt's own machinery is accepted"): "dbt wants the file of `--partial-parse-file-path` to be there",
    ("flags-more.md", "What would be ignored where it matters is refused"): STRICTER,
    ("flags-more.md", "--warn-error-options: what is excepted, and what is silent"): OWN_NAMES,
    ("flags-more.md", "The project file says how wide lines are and which warnings count"): OWN_NAMES,
    ("flags-more.md", "--sample reads a stretch of time"): "dbt wants times in quotes, as in beside-dbt.md",
    ("flags-more.md", "--sample takes the time from what is named, and filters ephemeral models too"): "dbt wants times in quotes, as in beside-dbt.md",
    ("flags-more.md", "--no-inject-ephemeral-ctes"): "dbt writes no compiled files then",
    ("flags-more.md", "show --inline-direct reads no project"): "dbt's result has no table; it prints it",
    ("logging.md", "What is shown is an event among structured lines"): "an event of its own form in each; the rows of `show` are compared elsewhere",
    ("logging.md", "--log-format json for a node that fails"): "dbt runs what does not compile here",
    ("state.md", "retry keeps the flags of the run before"): "flags given to `retry` count; dbt takes them and goes by those of the run before",
    ("state.md", "retry of a sampled run reads the same stretch of time"): "dbt has no `flags.SAMPLE` in templates",
    ("cross-database.md", "Weeks begin where the adapter's macros have them begin"): "two targets with adapters of their own; the macro of dbt-duckdb gives what the first shows",
    ("custom-materializations.md", "The one for this adapter goes before the one for all"): ADAPTER,
    ("custom-materializations.md", "`alter_column_type` gives a column a type that holds all its values"): "narrower types are refused, and the column keeps its place",
    ("custom-materializations.md", "The project overrides a materialization of the program"): "dbt-duckdb has a `table` of its own, which goes before one for all adapters",
    ("custom-materializations.md", "What would be passed over is refused"): SEEDS,
    ("custom-materializations.md", "Text that would make a seed or a snapshot is refused, as none is run"): SEEDS,
    ("custom-materializations.md", "A strategy that nobody wrote"): "dbt looks for the strategy when the table is there, in the second run",
    ("custom-materializations.md", "The project overrides the text of a strategy of the program"): "dbt-duckdb's default is delete+insert",
    ("data-tests.md", "A generic test that nobody wrote"): "said when the project is read; dbt looks for it when it compiles",
    ("data-tests.md", "Tests of sources and seeds"): FILES_OF_SOURCES,
    ("artifacts.md", "Sources are told as they are written: schema, external files, and a query that asks for `this`"): "the time of its rows is now, and DuckDB has `at` for a keyword; a case of freshness.md compares such sources",
    ("semantics.md", "A whole number beside a decimal does not widen it"): "types of the one dialect",
    ("selectors.md", "A selector that names another, and selector: on the command line"): SELECTOR,
    ("selectors.md", "`exclude` of a criterion, and of a union within an intersection"): SELECTOR,
}

OWN_TEXT = {
    ("beside-dbt.md", "What a run is asked to read: nothing, or a stretch of time"): {"example/models/days.sql": "the stretch of time is written in the dialect; the rows are compared"},
    ("data-tests.md", "unique, accepted_values and relationships"): {
        "example/models/models.yml/accepted_values_customer_grade__gold__silver.sql": OWN_TESTS,
        "example/models/models.yml/relationships_account_customer_id__id__ref_customer_.sql": OWN_TESTS,
    },
    ("data-tests.md", "Arguments may stand inline, as in older projects"): {
        "example/models/models.yml/accepted_values_customer_grade__gold__silver__lead.sql": OWN_TESTS,
    },
    ("data-tests.md", "where and limit"): {"example/models/models.yml/not_null_customer_amount.sql": OWN_TESTS},
    ("snapshots.md", "A snapshot in YAML and one in a block keep the same history"): {
        "example/snapshots/blocks.sql": SNAPSHOT_TEXT,
        "example/snapshots/in_yaml.yml/in_yaml.yml/in_yaml.sql": SNAPSHOT_TEXT,
    },
    ("versions.md", "Each version is a node with a relation of its own, and ref means the latest"): {
        "example/models/models.yml/accepted_values_dim_v1_id__1.sql": OWN_TESTS,
    },
    ("materializations.md", "An ephemeral model is a CTE of those that read it"): {"example/models/t.sql": QUOTED_NAMES},
    ("artifacts.md", "What was compiled and run says where, and brings the ephemeral models along"): {"example/models/b.sql": QUOTED_NAMES},
    ("config-listed.md", "Materializations"): {"example/models/a_table.sql": QUOTED_NAMES},
    ("macro-packages-more.md", "A spine from the first to the last day of a table"): {"example/models/days.sql": "`dbt.date_spine` has a text of its own; its rows are compared"},
}

MEANT = {
    ("flags-more.md", "--no-print keeps what print() says to itself"): [("True", "False", "dbt parses the models, and prints, for an operation too")],
    ("beside-dbt.md", "Sources are fresh, stale, or fresher than before"): [
        ("", "Completed with 2 warnings:", SOURCE_BY_SOURCE),
        ("", "Done. PASS=1 WARN=2 ERROR=0 SKIP=0 NO-OP=0 TOTAL=3", SOURCE_BY_SOURCE),
        ("", "Completed with 1 warning:", SOURCE_BY_SOURCE),
        ("", "Done. PASS=0 WARN=1 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1", SOURCE_BY_SOURCE),
    ],
    ("beside-dbt.md", "Configs of snapshots, tests, unit tests and exposures in the project file"): [
        ("main.kept", "main_kept.kept", YAML_SNAPSHOTS),
        ("example.two", "example.kept", YAML_SNAPSHOTS),
        ("exposure:example.board", "example.two", "the line after it"),
        ("unit_test:example.one", "exposure:example.board", "the line after it"),
        ("", "unit_test:example.one", "the line after it"),
    ],
    ("beside-dbt.md", "Modified nodes, as dbt finds them with its flags for what templates and variables give"): [
        ("", "example.c", THROUGH),
        ("example.d", "example.c", THROUGH),
        ("", "example.d", "the line after it"),
        ("example.c", "", THROUGH),
    ],
    ("state.md", "Nothing is modified by layout, comments or another target"): [
        ("example.a", "", LAYOUT),
        ("example.b", "example.a", LAYOUT),
        ("example.c", "example.b", "the line after it"),
        ("", "example.c", "the line after it"),
    ],
    ("state.md", "What templates give for a target is no modification; the templates are"): [("example.c", "", EXPRESSION)],
    ("state.md", "A variable with another value modifies what reads it"): [("", "b", THROUGH), ("", "c", THROUGH)],
    ("state.md", "Other columns in a contract modify what reads them"): [("", "b", THROUGH)],
    ("state.md", "retry runs what failed and what was skipped"): [
        ("", 'target/run_results.json: ["model.example.b", "success", null, null, null]', KEPT),
        ("", 'target/run_results.json: ["model.example.c", "success", null, null, null]', KEPT),
    ],
    ("state.md", "clone copies tables and refers to views"): [
        ("target/run/example/models/a.sql", "", CLONED),
        ("target/run/example/models/b.sql", "", CLONED),
        ("target/run/example/models/c.sql", "", CLONED),
        ('["b", "VIEW"]', '["b", "BASE TABLE"]', "tables are copied, which DuckDB's adapter can't do: dbt makes a view of the other"),
    ],
    ("state.md", "clone of what is not there"): [("target/run/example/models/b.sql", "", CLONED)],
    ("commands.md", "--fail-fast stops at the first failure"): [("main.c1", "", BEGUN)],
    ("flags.md", "--fail-fast skips what has not begun, and says why"): [("main.b", "", BEGUN)],
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
    ("incremental.md", "delete+insert replaces the rows of the delivered keys, and may bring several of a key"): [
        ('[null, "none"]', "", "NULL is a key like any other; DuckDB finds no row by it"),
    ],
    ("semantics.md", "Every key is in the manifest as it was written"): [
        ("", "semantic_model:example.sm", TAGS),
        ("", "semantic_model:example.states", TAGS),
        ('"name": "visits"}, "calculation"', '"name": "visits"}, "base_metric": null, "calculation"', DEFAULTS),
        ('"name": "purchases"}, "entity"', '"name": "purchases"}, "conversion_metric": null, "entity"', DEFAULTS),
        ('"use_approximate_percentile": false, "use_discrete', '"use_discrete', DEFAULTS),
        ('"database": "alluvium", "export_as"', '"database": null, "export_as"', "an export goes where the target is"),
    ],
    ("hooks.md", "Around a run, with its results"): [("starting on default", "", "dbt says it once more while it parses")],
    ("run-operation.md", "Its statements reach the warehouse"): [("", '["2"]', NO_ROLLBACK), ("", '["3"]', NO_ROLLBACK)],
}
