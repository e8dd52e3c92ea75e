#!/usr/bin/env python3
"""Runs the 22 queries of TPC-H or the 99 of TPC-DS in alluvium and in DuckDB and compares the rows.

    python3 -m venv .venv
    .venv/bin/pip install duckdb==1.4.4 duckdb-ext-tpch==1.4.4.20260205 duckdb-ext-tpcds==1.4.4.20260205
    .venv/bin/python tests/verify/compare_tpc.py tpch --scale 1 --cli target/release/alluvium --folder /tmp/tpch
    .venv/bin/python tests/verify/compare_tpc.py tpcds --scale 0.1 --cli target/release/alluvium --folder /tmp/tpcds

DuckDB's extensions generate the data and hold the texts of the queries; alluvium builds Delta tables of the same Parquet
files by a project of one model a table, and each query runs as it is. Rows are compared as bags, numbers within one part
in a million, because averages of decimals are doubles in one engine and decimals in the other. Where a query has a LIMIT
whose last place is shared by several rows, the engines may choose different ones: such a query is compared without its
LIMIT. Ends with 1 where a query differs or fails, and prints the seconds that each took.
"""

import argparse
import glob
import json
import pathlib
import re
import subprocess
import sys
import sysconfig
import time
from decimal import Decimal

import duckdb


LIMIT = re.compile(r"\blimit\s+\d+\s*;?\s*$", re.IGNORECASE)


def connect(benchmark):
    site = sysconfig.get_paths()["purelib"]
    found = glob.glob(f"{site}/duckdb_ext/extensions/*/*/{benchmark}.duckdb_extension")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    if found:
        connection.load_extension(found[0])
    else:
        connection.execute(f"install {benchmark}; load {benchmark}")
    return connection


def generate(connection, benchmark, scale, folder):
    """Parquet files, once."""
    connection.execute(f"call {'dbgen' if benchmark == 'tpch' else 'dsdgen'}(sf={scale})")
    tables = [name for (name,) in connection.execute("select table_name from information_schema.tables order by 1").fetchall()]
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        file = folder / f"{table}.parquet"
        if not file.exists():
            connection.execute(f"copy {table} to '{file}' (format parquet)")
    return tables


def build(cli, folder, tables):
    """A project of one model a table, run once."""
    project = folder / "project"
    if (project / "warehouse").exists():
        return project
    (project / "models").mkdir(parents=True, exist_ok=True)
    (project / "project.yml").write_text("name: tpc\ntargets:\n  default: local\n  local: {warehouse: warehouse, schema: main}\n")
    lines = ["sources:", "  - name: files", "    tables:"]
    for table in tables:
        lines += [f"      - name: {table}", f"        external: {{location: '../files/{table}.parquet', format: parquet}}"]
        (project / "models" / f"{table}.sql").write_text("{{ config(materialized='table') }}\nselect * from {{ source('files', '%s') }}\n" % table)
    (project / "models" / "sources.yml").write_text("\n".join(lines) + "\n")
    done = subprocess.run([cli, "run", "--quiet"], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return project


def plain(value):
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return float(value)
    return None if value is None else str(value)


def number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def same(left, right):
    if left == right:
        return True
    first, second = number(left), number(right)
    if first is None or second is None:
        return False
    return abs(first - second) <= max(1e-4, 1e-6 * max(abs(first), abs(second)))


def key(row):
    return tuple("" if value is None else f"{number(value):.2f}" if number(value) is not None else str(value) for value in row)


def differences(ours, theirs):
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, DuckDB {len(theirs)}"
    left = sorted(ours, key=key)
    right = sorted(theirs, key=key)
    for mine, other in zip(left, right):
        if not all(same(a, b) for a, b in zip(mine, other)):
            return f"{mine} <> {other}"
    return None


def ask(cli, project, sql):
    start = time.time()
    done = subprocess.run([cli, "sql", "--stdin", "--output", "json"], cwd=project, input=sql, capture_output=True, text=True, timeout=600)
    seconds = time.time() - start
    if done.returncode:
        return None, " ".join((done.stdout + done.stderr).split())[:300], seconds
    return [[plain(value) for value in row] for row in json.loads(done.stdout)["rows"]], None, seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark", choices=["tpch", "tpcds"])
    parser.add_argument("--cli", required=True)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--folder", default="/tmp/tpc")
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    folder = pathlib.Path(options.folder).resolve()
    cli = str(pathlib.Path(options.cli).resolve())
    connection = connect(options.benchmark)
    tables = generate(connection, options.benchmark, options.scale, folder / "files")
    project = build(cli, folder, tables)
    bad = 0
    for place, sql in connection.execute(f"select * from {options.benchmark}_queries()").fetchall():
        if options.only and place != options.only:
            continue
        start = time.time()
        theirs = [[plain(value) for value in row] for row in connection.execute(sql).fetchall()]
        duck = time.time() - start
        ours, failure, seconds = ask(cli, project, sql)
        found = failure or differences(ours, theirs)
        whole = LIMIT.sub("", sql)
        if found and not failure and whole != sql:
            # Several rows share the last place: then all of them have to agree.
            ours, failure, _ = ask(cli, project, whole)
            found = failure or differences(ours, [[plain(value) for value in row] for row in connection.execute(whole).fetchall()])
        bad += found is not None
        print(f"{place:>3} {'differs: ' + found if found else 'equal'} ({len(theirs)} rows, {seconds:.2f} s, DuckDB {duck:.2f} s)", flush=True)
    print(f"{bad} queries differ" if bad else "all queries give the same rows")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
