#!/usr/bin/env python3
"""Reads every table of a warehouse with the PyPI package `deltalake` and compares names, rows and values with what
`alluvium sql --output json` gives.

    read_with_deltalake.py WAREHOUSE [--cli alluvium]

Ends with 1 if anything differs. Alluvium's own schema `_alluvium` is compared too.
"""

import argparse
import datetime
import decimal
import json
import pathlib
import subprocess
import sys
import tempfile

from deltalake import DeltaTable


def plain(value):
    """A value as text that both sides agree on."""
    match value:
        case None | bool():
            return value
        case int() | decimal.Decimal():
            return format(decimal.Decimal(value).normalize(), "f")
        case float():
            return repr(value)
        case datetime.datetime():
            return value.isoformat().replace("+00:00", "").replace("Z", "")
        case datetime.date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case list():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case _:
            return str(value)


def as_read(value, kind):
    """A value of the JSON output, in the form that `plain` gives it."""
    kind = kind.lower()
    if value is None or isinstance(value, (bool, list, dict)):
        return plain(value)
    if kind.startswith(("decimal", "numeric", "bigint", "int", "smallint", "tinyint")):
        return plain(decimal.Decimal(str(value)))
    if kind.startswith(("double", "float", "real")):
        return plain(float(value))
    if kind.startswith("timestamp"):
        return plain(datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00")))
    return str(value)


def ours(cli, warehouse, schema, table):
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
    with tempfile.TemporaryDirectory() as folder:
        command = [cli, "sql", f"select * from {quoted}", "--output", "json", "--warehouse", str(warehouse)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    answer = json.loads(done.stdout, parse_float=decimal.Decimal)
    kinds = [column["type"] for column in answer["columns"]]
    rows = [[as_read(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in answer["rows"]]
    return [column["name"] for column in answer["columns"]], rows


def theirs(path):
    read = DeltaTable(str(path)).to_pyarrow_table()
    rows = [list(row.values()) for row in read.to_pylist()]
    return read.column_names, [[plain(value) for value in row] for row in rows]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("warehouse", type=pathlib.Path)
    arguments.add_argument("--cli", default="alluvium")
    options = arguments.parse_args()
    tables = sorted(path.parent for path in options.warehouse.glob("*/*/_delta_log"))
    if not tables:
        sys.exit(f"{options.warehouse}: no tables")
    differing = 0
    for path in tables:
        names, rows = theirs(path)
        our_names, our_rows = ours(options.cli, options.warehouse.resolve(), path.parent.name, path.name)
        same = names == our_names and sorted(map(json.dumps, rows)) == sorted(map(json.dumps, our_rows))
        differing += not same
        print(f"{'same  ' if same else 'DIFFER'} {path.parent.name}.{path.name}: {len(rows)} rows, {len(names)} columns")
        if not same:
            print(f"  deltalake: {names}\n  alluvium:  {our_names}")
            for row in [row for row in rows if row not in our_rows][:3]:
                print(f"  only deltalake: {row}")
            for row in [row for row in our_rows if row not in rows][:3]:
                print(f"  only alluvium:  {row}")
    print(f"{len(tables)} tables, {differing} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
