#!/usr/bin/env python3
"""Runs the cases of `insert_overwrite` with Python dbt on Spark and with `alluvium`, and compares the rows.

    pip install 'dbt-core==1.11.*' 'dbt-spark[session]'
    tests/verify/overwrite_with_spark.py --cli target/debug/alluvium --dbt .venv/bin/dbt

dbt on DuckDB has no such strategy. Spark runs in the process of dbt, on Parquet files below the project, and needs Java. The cases are
those of `tests/cases/incremental.md` whose headings begin with the name of the strategy: every command runs in both, and the rows
of every query are compared.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

CASES = pathlib.Path(__file__).resolve().parent.parent / "cases" / "incremental.md"
PROFILES = {"example": {"target": "local", "outputs": {"local": {"type": "spark", "method": "session", "host": "none", "schema": "main"}}}}
OWN_PROFILES = {"example": {"target": "local", "outputs": {"local": {"type": "alluvium", "schema": "main"}}}}
FENCE = re.compile(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def steps(text):
    """Files and commands of a part of the case file, in order."""
    for kind, name, body in FENCE.findall(text):
        if kind == "sh":
            yield from (("command", line) for line in body.splitlines())
        elif name:
            yield "file", (name, body)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def rows(query, folder, ours, dbt, cli):
    """The rows of a query as the side shows them."""
    if ours:
        found = json.loads(run([cli, "sql", query, "--warehouse", "warehouse", "--output", "json"], folder))
        return [dict(zip((column["name"] for column in found["columns"]), row)) for row in found["rows"]]
    shown = run([dbt, "show", "--quiet", "--inline", query, "--limit", "1000", "--output", "json"], folder)
    return json.loads(shown[shown.index("{") :])["show"]


def for_spark(name, body):
    """A file as dbt-spark needs it: text is called otherwise, and the session writes a NULL of a seed as the text `None`."""
    if "partition_by=['part']" in body:
        return re.sub(r"select \* from ({{ ref\('delivery'\) }})", r"select id, nullif(part, 'None') as part from (select * from \1) as rows (id, part)", body)
    return body.replace("varchar", "string")


def compare(heading, text, dbt, cli):
    """How many queries of a case give other rows."""
    wrong = 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        for kind, what in steps(text):
            for folder in (one, two) if kind == "file" else ():
                name, body = what
                path = pathlib.Path(folder, "dbt_project.yml" if name == "project.yml" else name)
                path.parent.mkdir(parents=True, exist_ok=True)
                if name == "project.yml":
                    body = "name: example\nversion: '1.0'\nprofile: example\nflags: {send_anonymous_usage_stats: false}\n"
                    path.with_name("profiles.yml").write_text(json.dumps(PROFILES if folder == one else OWN_PROFILES))
                path.write_text(for_spark(name, body) if folder == one else body)
            if kind == "file":
                continue
            _, verb, *words = shlex.split(what)
            if verb == "sql":
                theirs, ours = rows(words[0], one, False, dbt, cli), rows(words[0], two, True, dbt, cli)
                print(f"{heading}: {len(ours)} rows, {'the same' if ours == theirs else f'OTHERS THAN DBT HAS: {theirs}, {ours}'}")
                wrong += ours != theirs
            else:
                run([dbt, verb, *words], one)
                run([cli, verb, *words, "--warehouse", "warehouse"], two)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True, type=pathlib.Path)
    parser.add_argument("--dbt", default="dbt", help="the one of an environment with dbt-spark")
    options = parser.parse_args()
    shared, *parts = re.split(r"^## ", CASES.read_text(), flags=re.MULTILINE)
    wrong = 0
    for part in parts:
        heading = part.split("\n")[0]
        if heading.startswith("insert_overwrite"):
            wrong += compare(heading, shared + part, options.dbt, str(options.cli.resolve()))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
