"""What differs between Python dbt on DuckDB and alluvium in the literate cases, and is meant to, each with its reason.

`LEFT_OUT` are cases of which nothing can be compared, `OWN_TEXT` compiled files of which only the rows can, `FOR_DBT` files that dbt needs besides. `MEANT` has, for a case, texts of dbt's that stand for texts of alluvium's;
one that is not met any more is an error.
"""

FINE = "ends well"  # stands for what is no error

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
WAREHOUSE = "a warehouse that is named on the command line or in the environment stands in for the profile"
SERVICES = "saved queries are described here, and a flag that would make tables of them is refused; dbt takes it and makes none"
FAILS_THERE = "a test fails, which dbt runs since it takes the flag"
HEADERS = "`sql_header` is no part of a Delta table, and a warning says so; DuckDB runs it"
LOST_CONNECTION = "dbt-duckdb loses its connection on one thread"
ROTATED = "a log file is set aside once, when a command begins; dbt does it while it writes, and keeps five"
PROJECT_FLAGS = "dbt takes these on the command line and in the environment only"
FILE_OPTIONS = "DuckDB reads files as it does; what an option, a type or a name means is the program's"
CONTRACT_INCREMENTAL = "dbt wants `on_schema_change` to be `append_new_columns` or `fail` beside a contract"
CONSTRAINTS_CHANGE = "constraints of a table that is there follow the contract; dbt leaves them as they were made"
WIDENED = "whole numbers fit where their values do; dbt-duckdb wants the type itself"
NOT_ASKED = "a source that could not be asked is told in sources.json; dbt leaves it out"
DUCKDB_FUNCTIONS = "DuckDB has no statement that makes a function with types"
NULL_KEYS = "NULL is a key like any other, and no empty text; dbt finds no row by it, and makes its id as that of empty text"
BEFORE_RUN = "what is wrong with a config is said before anything runs"
SNAPSHOT_SUPERSET = "dbt refuses it"
FLAGS_SHOWN = "dbt shows templates some of its flags only: not `POPULATE_CACHE` and `LOG_FORMAT_FILE`"
SIBLING = "a package's macro finds another of the same package by its bare name too; dbt does not"
BACKUP = "dbt-duckdb leaves the table that was there"
YAML_SNAPSHOTS = "dbt keeps schema and tags of the project file for a snapshot in YAML in its config, and does not go by them"

FUNCTIONS = """\
{% macro duckdb__scalar_function_sql(target_relation) %}
create or replace macro {{ target_relation.schema }}.{{ target_relation.identifier }}(
{%- for argument in model.arguments %}{{ ', ' if not loop.first }}{{ argument.name }}{% if argument.default_value %} := {{ argument.default_value }}{% endif %}{% endfor -%}
) as ({{ model.compiled_code }})
{% endmacro %}
"""

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
    # dbt-duckdb makes the table of a seed anew, with other columns, in a full refresh only.
    "snapshots.md": {"macros/for_dbt.sql": "{% macro should_full_refresh() %}{{ return(true) }}{% endmacro %}\n"},
    # Whole numbers of a seed have 32 bits in dbt-duckdb.
    "contracts.md": {"seeds/for_dbt.yml": "seeds: [{name: delivery, config: {column_types: {id: bigint, amount: bigint}}}]\n"},
    "functions.md": {"macros/for_dbt.sql": FUNCTIONS},
}

INPUTS = (
    "create schema raw; create table raw.payments (id bigint, paid_at timestamp, amount decimal(10, 2)); create table rates (currency varchar, rate double); "
    "create table stg_orders (id int, currency varchar, amount decimal(10, 2), ordered_at date); create table eph as select id, currency, amount from stg_orders; "
    "create table inc as select id, amount from stg_orders"
)

# What a macro of dbt calls and DuckDB has not, and inputs of unit tests, whose columns dbt asks the database for: statements for dbt's database.
ASKED_BEFORE = {
    ("unit-tests.md", "All formats, inputs of all kinds, and columns that are left out"): INPUTS,
    ("unit-tests.md", "Incremental models, with this as an input"): INPUTS,
    ("unit-tests.md", "Versions have a test each"): INPUTS,
    ("unit-tests.md", "No rows are rows too"): INPUTS,
    ("cross-database.md", "A date is made of its parts"): "create macro to_date(text, form) as cast(strptime(text, '%Y-%m-%d') as date)",
}

# Files that are mostly about what the program has beyond dbt on DuckDB (its strategies, refusals and files, other adapters): the cases
# that both can run.
SOME = {
    "dbt-projects.md": (
        "A target of our own may say which adapter it stands for",
        "In a project of our own only what is disabled is left out",
        "Values in YAML keep the type of their expression",
    ),
    "incremental.md": (
        "`is_incremental()` is false in the first run and true in the next",
        "--full-refresh builds the table anew and keeps its history",
        "`full_refresh: false` keeps the rows whatever the flag says",
        "`full_refresh: true` builds anew in every run",
        "Without a strategy and a key rows are appended",
        "An empty `unique_key` is none",
        "Without a strategy and with a key rows are merged",
        "The strategy append takes no notice of a key",
        "A model reads what it already has",
        "A first delivery without rows makes an empty table, which later rows join",
        "A key is found without regard to case",
        "Another writer's rows are merged with and kept",
        "The first delivery must not repeat keys either",
        "delete+insert replaces the rows of the delivered keys, and may bring several of a key",
        "A bare name in the predicates of delete+insert is a column of the table",
        "A first build that repeats a key is refused; in a dbt project it is a warning, and the merge updates both rows",
        "replace_where replaces what the condition names",
        "A rerun of the same merge changes no row",
        "A missing column is refused where `on_schema_change` says nothing",
        "`on_schema_change: fail` tells of every difference",
        "`sync_all_columns` with the strategy append, in a partitioned table",
        "`sync_all_columns` with the strategy delete+insert, in a partitioned table",
        "A wider value does not fit the table's type unnoticed",
        "A failing audit leaves the table as it was, and the next run goes on from there",
        "A view of that name is replaced, and the first run is one",
        "A table of that name is added to",
        "A contract counts in every run",
        "The change feed tells of a merge row by row",
        "Without a change feed a merge leaves no change data",
        "A merge moves a row to another partition",
        "`sync_all_columns` reaches another writer's rows and rows that stay",
        "`sync_all_columns` with insert_overwrite can not remove a column",
        "New columns come although nothing is delivered",
        "A changed type of the key is refused",
        "A merge that changes nothing commits nothing",
        "A condition may end in a comment",
        "Refused: merge without a key",
        "Refused: delete+insert without a key",
        "Refused: a `unique_key` that is a number",
        "Refused: insert_overwrite where the table has other partitions than its model",
        "Refused: a `full_refresh` that is neither true nor false",
    ),
}

LEFT_OUT = {
    ("commands.md", "--fail-fast stops at the first failure"): "whether dbt had begun the next node before the first failed differs from run to run",
    ("microbatch.md", "Inputs without a time are read in full by each batch, which takes its own rows"): "dbt puts the rows of all times in by each batch",
    ("microbatch.md", "Refused: a batch with rows of another time, in the first batch and later"): STRICTER,
    ("microbatch.md", "Refused: an `event_time` that is no column, or no time"): OWN_COMMAND,
    ("microbatch.md", "Refused: a `begin` that is still to come"): STRICTER,
    ("snapshots.md", "With the strategy check a new column makes new versions of the rows that have a value in it"): "dbt makes a version of every row then",
    ("snapshots.md", "Refused: a key that has another type than in the snapshot"): STRICTER,
    ("snapshots.md", "A value of another type is compared as the snapshot holds it"): "a query may end with a semicolon, which DuckDB does not take",
    ("snapshots.md", "A row of the future that goes and comes back twice has an id for each version"): "dbt gives both versions one id",
    ("snapshots.md", "A time that comes later to a row without one makes a version"): "dbt never finds a row without a time changed",
    ("flags-environment.md", "`single_threaded`, `fail_fast`, `store_failures`, `warn_error` of the project file do what the options do"): PROJECT_FLAGS,
    ("paths.md", "model-paths, macro-paths, function-paths and seed-paths say where things lie"): "dbt-duckdb makes functions by a macro beside, which the folders of this case leave out",
    ("snapshots.md", "Several columns make a key, each of which may be NULL"): NULL_KEYS,
    ("snapshots.md", "A key that is NULL has versions like any other"): NULL_KEYS,
    ("snapshots.md", "Empty text and NULL are two keys"): NULL_KEYS,
    ("snapshots.md", "A key that comes back unchanged after `invalidate` begins where it ended, without overlap"): "dbt opens the row again where it began, beside the version that was closed",
    ("snapshots.md", "Keys that the delivery repeats are refused by name, and nothing is written"): STRICTER,
    ("snapshots.md", "The first delivery must not repeat keys either"): STRICTER,
    ("snapshots.md", "Keys of several columns are not mixed up"): "ids of versions are made of keys that keep their bounds; dbt joins them with a sign that may be in them",
    ("snapshots.md", "A row without `updated_at` is no other version in the next run"): "a version without a time begins with the run; dbt leaves it without a begin",
    ("snapshots.md", "Refused: a column of `check_cols` that the query does not yield"): STRICTER,
    ("snapshots.md", "Refused: another name for a column that a snapshot does not add"): STRICTER,
    ("snapshots.md", "Refused: a query that yields a column of the snapshot's own"): STRICTER,
    ("snapshots.md", "Refused: two of a snapshot's columns under one name"): STRICTER,
    ("snapshots.md", "Refused: an `updated_at` that is no time"): STRICTER,
    ("snapshots.md", "A snapshot takes the place of a view of its name"): SNAPSHOT_SUPERSET,
    ("snapshots.md", "From timestamp to check, and `new_record` set later"): SNAPSHOT_SUPERSET,
    ("snapshots.md", "Values that are lists, structs and not a number are compared"): "functions of the one dialect",
    ("snapshots.md", "A row with a time to come that is deleted ends where it begins"): "a version does not end before it begins",
    ("snapshots.md", "An `updated_at` that is text is read as a timestamp"): "times of a snapshot are timestamps",
    ("contracts.md", "NULL where the contract has none is refused"): "dbt sets `not_null` of columns, and passes over that of a model",
    ("contracts.md", "A foreign key is one of the other table"): "a key may lead into its own table, which dbt takes for a cycle",
    ("run-time-errors.md", "An aggregate"): "a sum of BIGINT is one here, and 128 bits wide in DuckDB",
    ("odd-names.md", "A column name that Delta does not hold, in a table and in a view"): "a Delta table does not hold the name",
    ("layers.md", "A column's name"): "dbt does not look at columns",
    ("config-keys.md", "Keys of other warehouses stay in the config and change nothing here"): "dbt wants each adapter's own keys to hold for it",
    ("sources.md", "A row with too few fields"): STRICTER,
    ("sources.md", "A decimal of Parquet that is declared with fewer digits"): STRICTER,
    ("seeds.md", "A delimiter that is not that of the file, and one of two characters"): FILE_OPTIONS,
    ("seeds.md", "A header in the quotes of SQL"): "dbt-duckdb does not take such a header",
    ("contracts.md", "Constraints that go from the contract go from the table, those from elsewhere stay"): CONSTRAINTS_CHANGE,
    ("contracts.md", "Constraints that come are held against the rows that are there"): CONSTRAINTS_CHANGE,
    ("contracts.md", "A column that comes with NOT NULL needs values in all rows"): CONSTRAINTS_CHANGE,
    ("contracts.md", "A contract that the table of an incremental model does not keep is refused"): CONTRACT_INCREMENTAL,
    ("contracts.md", "A table with timestamps names the feature in its protocol"): CONTRACT_INCREMENTAL,
    ("contracts.md", "All differences are shown at once"): "contracts are held against the query when it is compiled, before anything runs; dbt does it when the table is made",
    ("contracts.md", "Conditions that are none are refused before anything runs"): "constraints are looked at when a model is compiled; dbt leaves them to the database",
    ("contracts.md", "Numbers that are written out fit into narrower types"): WIDENED,
    ("contracts.md", "Integers of any width in a project for dbt"): WIDENED,
    ("contracts.md", "Snapshots keep constraints too"): "the columns that a snapshot adds are no part of its contract; dbt wants them there",
    ("unit-tests.md", "Rows in SQL may hold Jinja"): "macros of the project may stand in such rows; dbt has none there",
    ("unit-tests.md", "Jinja in SQL rows, in a check"): OWN_COMMAND,
    ("functions.md", "A body is one expression over the arguments"): OWN_COMMAND,
    ("functions.md", "Statements make functions, views keep them, and a schema goes with them"): DUCKDB_FUNCTIONS,
    ("paths.md", "A project in a folder with spaces"): "names of models may have spaces; dbt wants a flag for it",
    ("paths.md", "A project without anything to run"): OWN_COMMAND,
    ("behaviour-flags.md", "A flag that is neither on nor off"): STRICTER,
    ("behaviour-flags.md", "A package overrides a materialization only where the project lets it"): "dbt-duckdb has a `table` of its own, which goes before one for all adapters",
    ("materializations.md", "External models write files for others"): "dbt-duckdb makes no folders for its files",
    ("materializations.md", "An external model can be read by another"): "dbt-duckdb makes no folders for its files",
    ("exit-codes.md", "Unknown command"): "each has commands of its own",
    ("exit-codes.md", "Help is no failure"): "each has words of its own",
    ("targets.md", "The flag's threads win over the target's"): "dbt's debug has no threads",
    ("targets.md", "Further databases are further roots"): "databases of a warehouse",
    ("targets.md", "A database that nobody named lives below the warehouse"): "databases of a warehouse",
    ("targets.md", "profiles.yml may use env_var and var"): "variables of the project file are known in profiles; dbt has those of the command line only",
    ("targets.md", "Another adapter without --warehouse"): "an adapter that is not installed beside dbt",
    ("targets.md", "Of another adapter's target, schema (a BigQuery dataset) and threads count with --warehouse"): WAREHOUSE,
    ("config-meanings.md", "Types of a contract mean the same with `alias_types` and without, and the manifest tells which"): WIDENED,
    ("show.md", "Five rows unless --limit says otherwise"): "the column of `generate_series` has another name in DuckDB",
    ("show.md", "Statements are refused"): "dbt runs any statement here",
    ("show.md", "Several models"): "dbt's result has a table for each, of which the script looks at the first",
    ("older-spellings.md", "What Delta tables have nothing for is said, once for each place"): HEADERS,
    ("docs-generate.md", "Assets are left alone where the target folder is the project's own, or lies in them"): "dbt deletes the assets then, or copies them without end",
    ("flags-environment.md", "ALLUVIUM_WAREHOUSE"): WAREHOUSE,
    ("flags-environment.md", "A folder without profiles.yml is not what --profiles-dir was meant to name"): WAREHOUSE,
    ("flags-environment.md", "Flags of the project file that dbt wants on the command line or in the environment"): PROJECT_FLAGS,
    ("flags-environment.md", "A switch of the project file that is neither on nor off"): STRICTER,
    ("versions.md", "A group's members read its private models, and so do their tests"): STRICTER,
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
    ("older-spellings.md", "Paths, `tests:`, inline arguments, `target_schema` and `invalidate_hard_deletes` mean what they meant"): {
        "made: example/queries/m.yml/accepted_values_m_a__False__1__3.sql": OWN_TESTS,
        "made: example/histories/kept.sql": SNAPSHOT_TEXT,
    },
    ("older-spellings.md", "Environment variables and flags have their older names too"): {
        "made/state: example/queries/m.yml/accepted_values_m_a__False__1__3.sql": OWN_TESTS,
        "made: example/queries/m.yml/accepted_values_m_a__False__1__3.sql": OWN_TESTS,
    },
    ("older-spellings.md", "Flags of services are refused, and their opposites accepted"): {"made: example/queries/m.yml/accepted_values_m_a__False__1__3.sql": OWN_TESTS},
    ("flags-environment.md", "DBT_EMPTY, DBT_SAMPLE and DBT_FULL_REFRESH"): {"example/models/c.sql": "the stretch of time is written in the dialect"},
    ("test-options.md", "accepted_values with numbers"): {"example/models/models.yml/accepted_values_customer_amount__False__10__5.sql": OWN_TESTS},
    ("test-options.md", "relationships lets NULL pass"): {"example/models/models.yml/relationships_account_customer_id__id__ref_customer_.sql": OWN_TESTS},
    ("test-options.md", "limit"): {"example/models/models.yml/accepted_values_customer_grade__none.sql": OWN_TESTS},
    ("beside-dbt.md", "What a run is asked to read: nothing, or a stretch of time"): {"example/models/days.sql": "the stretch of time is written in the dialect; the rows are compared"},
    ("data-tests.md", "unique, accepted_values and relationships"): {
        "example/models/models.yml/accepted_values_customer_grade__gold__silver.sql": OWN_TESTS,
        "example/models/models.yml/relationships_account_customer_id__id__ref_customer_.sql": OWN_TESTS,
    },
    ("data-tests.md", "Arguments may stand inline, as in older projects"): {
        "example/models/models.yml/accepted_values_customer_grade__gold__silver__lead.sql": OWN_TESTS,
    },
    ("snapshots.md", "A snapshot in YAML and one in a block keep the same history"): {
        "example/snapshots/blocks.sql": SNAPSHOT_TEXT,
        "example/snapshots/in_yaml.yml/in_yaml.yml/in_yaml.sql": SNAPSHOT_TEXT,
    },
    ("versions.md", "Each version is a node with a relation of its own, and ref means the latest"): {
        "example/models/models.yml/accepted_values_dim_v1_id__1.sql": OWN_TESTS,
    },
    ("microbatch.md", "An ephemeral input with a time, and one whose relation a source has too, are filtered"): {
        f"example/models/of_passing/of_passing_2024-01-{day}.sql": QUOTED_NAMES for day in ("01", "02")
    },
    ("materializations.md", "An ephemeral model is a CTE of those that read it"): {"example/models/t.sql": QUOTED_NAMES},
    ("artifacts.md", "What was compiled and run says where, and brings the ephemeral models along"): {"example/models/b.sql": QUOTED_NAMES},
    ("config-listed.md", "Materializations"): {"example/models/a_table.sql": QUOTED_NAMES},
    ("macro-packages-more.md", "A spine from the first to the last day of a table"): {"example/models/days.sql": "`dbt.date_spine` has a text of its own; its rows are compared"},
}

MEANT = {
    ("macro-packages-more.md", "A relation without a schema is one of the target's schema where no temporary table has its name"): [("main.made", "", NO_ROLLBACK)],
    ("macro-packages-more.md", "A package's macro of the name of one of dbt's is there by its package's name alone"): [
        ("'sibling' is undefined", FINE, SIBLING),
        ("", "in the materialization: (d + interval '2 day')", SIBLING),
    ],
    ("incremental.md", "--full-refresh builds the table anew and keeps its history"): [("main.t__dbt_backup", "", BACKUP)],
    ("incremental.md", "`full_refresh: true` builds anew in every run"): [("main.t__dbt_backup", "", BACKUP)],
    ("jinja-overrides.md", "What tests read, and whether a model is built from nothing, is the project's to say"): [
        ("main.other_rows__dbt_backup", "", BACKUP)
    ],
    ("microbatch.md", "A full refresh begins the table anew with its first batch"): [("main.daily__dbt_backup", "", BACKUP)],
    ("test-options.md", "audit of another word"): [("main.customer", "", BEFORE_RUN)],
    ("test-options.md", "store_failures_as: something else"): [("main.a", "", BEFORE_RUN), ("main.customer", "", BEFORE_RUN)],
    ("flags-environment.md", "Flags of the project file, as dbt reads them there"): [
        ("-- True False False False False", "-- True False False False False False", FLAGS_SHOWN),
        ("-- cautious True False 50", "-- cautious True False 50 json", FLAGS_SHOWN),
    ],
    ("paths.md", "A folder of the target in the project file"): [("Table with name b does not exist", FINE, "a name without a schema is looked up in that of the target")],
    ("snapshots.md", "Refused: `hard_deletes` beside `invalidate_hard_deletes`"): [("main.delivery", "", BEFORE_RUN)],
    ("unit-tests.md", "Incremental models, with this as an input"): [
        (' where id > (select max(id) from "alluvium"."main"."inc")', "", "for dbt the table is there before the first build"),
        ("", '["1", "10.5"]', "for dbt the table is there before the first build"),
    ],
    ("seeds.md", "Quotes, commas, line ends and NULL"): [('["5", "null"]', '["5", null]', "`null` is NULL in a seed of dbt's; dbt-duckdb reads the file itself")],
    ("sources.md", "Decimals of JSON keep their digits, and no digit is lost"): [(FINE, "has more digits behind the point than decimal(20,2) keeps", STRICTER)],
    ("freshness.md", "Nothing says when rows came, and no row does"): [
        ("", 'target/sources.json: ["source.example.raw.old", "runtime error", null, null, null]', NOT_ASKED),
    ],
    ("freshness.md", "A query may ask another source, or the run"): [
        ("", 'target/sources.json: ["source.example.raw.asking", "runtime error", null, null, null]', NOT_ASKED),
    ],
    ("sources.md", "What a source says of itself is in the manifest: loader, meta, quoting"): [
        ("is not valid under any of the given schemas", FINE, "a table may have a loader of its own"),
    ],
    ("behaviour-flags.md", "Or that nothing is looked at"): [
        ("", 'target/sources.json: ["source.example.raw.old", "runtime error", null, null, null]', NOT_ASKED),
    ],
    ("materializations.md", "Empty text has no partition"): [
        ('["1", ""]', '["1", null]', "a Delta table has no partition of empty text"),
        ("", '["1"]', "a Delta table has no partition of empty text"),
    ],
    ("materializations.md", "Sources over Parquet, JSON and globs"): [("main.write_p", "", "dbt-duckdb keeps a view over what it wrote")],
    ("targets.md", "--profile takes another one"): [("other.a", "", "a table in the warehouse of the other profile; dbt has one file for all here")],
    ("exit-codes.md", "An ephemeral model that can't be compiled fails the run, and is told of once"): [
        ('"model.example.one", "error"', '"model.example.one", "skipped"', "what is wrong with an ephemeral model is its own error; dbt tells of it for each that reads it"),
        ('"model.example.two", "error"', '"model.example.two", "skipped"', "what is wrong with an ephemeral model is its own error; dbt tells of it for each that reads it"),
    ],
    ("older-spellings.md", "Flags of services are refused, and their opposites accepted"): [(FINE, "--export-saved-queries makes tables", SERVICES)],
    ("docs-generate.md", "The page needs the manifest"): [(FINE, "the page of --static shows manifest.json", "dbt's page has no manifest then")],
    ("flags-environment.md", "DBT_STORE_FAILURES and DBT_WARN_ERROR"): [("orphan-properties is not a valid", FINE, OWN_NAMES)],
    ("flags-environment.md", "DBT_SINGLE_THREADED and --single-threaded"): [("Connection already closed", FINE, LOST_CONNECTION)],
    ("flags-environment.md", "A log file that has grown too large is set aside"): [(f"told/dbt.log.{number}", "", ROTATED) for number in (2, 3, 4, 5)],
    ("flags-environment.md", "What tunes dbt's own machinery is read too, and has no effect"): [
        ("No such option '--show-resource-report'", FINE, "an option of dbt's that `run` of 1.11 does not have"),
        ("File 'x' does not exist", FINE, "dbt wants the file to be there"),
        ('select * from "alluvium"."dev"."s" where id > 0', "", FAILS_THERE),
        ("target/compiled/example/tests/t.sql", "", FAILS_THERE),
        ("target/run/example/tests/t.sql", "", FAILS_THERE),
    ],
    ("flags-environment.md", "Older: flags stood in profiles.yml, as `config`"): [
        ("Do not specify both 'config' in profiles.yml", FINE, "both may be there, and the project file counts"),
        ("", "old.a", "the run that dbt refuses"),
    ],
    ("test-options.md", "fail_calc over no rows is no failure"): [
        ("None is not of type 'integer'", FINE, "a sum over no rows is NULL, which dbt can't take for a count"),
        ('["test.example.a", "error", null, null, null]', '["test.example.a", "pass", 0, null, null]', "a sum over no rows is NULL, which dbt can't take for a count"),
    ],
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
