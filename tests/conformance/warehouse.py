"""The warehouse as dbt's tests see it: what they ask of a dbt adapter, answered by statements that the program runs.

Only what the tests use is here. Where a test looks at a table's columns, the Python package `deltalake` must read the same
columns and as many rows from the table's folder.
"""

import contextlib
import pathlib
import types

from dbt.adapters.base import BaseAdapter, BaseRelation, Column
from deltalake import DeltaTable

import program

DATABASE = "alluvium"
KINDS = {"BASE TABLE": "table", "VIEW": "view"}


class Adapter:
    """Stands in for the adapter object that dbt's fixtures make and dbt's helpers call."""

    Relation = BaseRelation
    connections = types.SimpleNamespace(get_thread_connection=lambda: None)
    # dbt's own texts of statements, so that what is compared is not ours to say.
    get_rows_different_sql = BaseAdapter.get_rows_different_sql
    update_column_sql = BaseAdapter.update_column_sql
    timestamp_add_sql = BaseAdapter.timestamp_add_sql
    string_add_sql = BaseAdapter.string_add_sql

    def __init__(self, folder, profiles_dir, schema):
        self.folder, self.profiles_dir = pathlib.Path(folder), str(profiles_dir)
        credentials = types.SimpleNamespace(database=DATABASE, schema=schema)
        self.config = types.SimpleNamespace(credentials=credentials, target_name="default")

    @staticmethod
    def type():
        return "alluvium"

    @staticmethod
    def quote(name):
        return f'"{name}"'

    @contextlib.contextmanager
    def connection_named(self, _name):
        yield

    def get_macro_resolver(self):
        return self

    def ask(self, statements):
        return program.sql(statements, self.profiles_dir)

    def run_sql_for_tests(self, sql, fetch, _connection):
        rows = self.ask(sql)
        if fetch == "one":
            return rows[0] if rows else None
        return rows if fetch == "all" else None

    def execute(self, sql, auto_begin=False, fetch=False):
        return None, self.ask(sql)

    def commit_if_has_connection(self):
        pass

    def create_schema(self, relation):
        self.ask(f"create schema if not exists {self.quote(relation.schema)}")

    def drop_schema(self, relation):
        self.ask(f"drop schema if exists {self.quote(relation.schema)} cascade")

    def list_schemas(self, _database):
        return [name for (name,) in self.ask("select schema_name from information_schema.schemata")]

    def list_relations(self, database, schema):
        return self.list_relations_without_caching(self.Relation.create(database=database, schema=schema))

    def list_relations_without_caching(self, schema):
        rows = self.ask(
            f"select table_name, table_type from information_schema.tables where table_schema = '{schema.schema}'"
        )
        return [
            self.Relation.create(database=DATABASE, schema=schema.schema, identifier=name, type=KINDS[kind])
            for name, kind in rows
        ]

    def get_columns_in_relation(self, relation):
        rows = self.ask(
            "select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale"
            f" from information_schema.columns where table_schema = '{relation.schema}'"
            f" and table_name = '{relation.identifier}' order by ordinal_position"
        )
        columns = [Column(*row) for row in rows]
        self.compare_with_deltalake(relation, [column.name for column in columns])
        return columns

    def compare_with_deltalake(self, relation, columns):
        folder = self.folder / relation.schema / relation.identifier
        if not (folder / "_delta_log").exists():
            return
        table = DeltaTable(str(folder))
        read = [field.name for field in table.schema().fields]
        assert read == columns, f"deltalake reads the columns {read} of {relation}, the program says {columns}"
        ((counted,),) = self.ask(f"select count(*) from {relation}")
        rows = table.count()
        assert rows == counted, f"deltalake reads {rows} rows of {relation}, the program says {counted}"
