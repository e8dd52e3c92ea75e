#!/usr/bin/env python3
"""Kills builds at random moments, and checks that building on ends with the same rows.

    tests/verify/kill_builds.py --cli target/release/alluvium [--project small|sample] [--kills 200] [--seed 1]

The small project reads files as a stream into a table that is appended to and one that is merged, takes a snapshot of the
latter, and builds a table and a view on it. Five deliveries make a history; one history runs undisturbed, in the others
every build is killed (SIGKILL) at a random moment and then run again, until so many builds were killed. At the end of
each history the tables have to hold the same rows, no file may lie beside the tables that no commit names, and the
files that were read have to be recorded once.

The sample project is the one at the root, with its two deliveries; of its tables all columns are compared but the one that
says when a row came in.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

FILES = {
    "project.yml": "name: example\ntargets:\n  default: local\n  local: {warehouse: warehouse, schema: main, threads: 2}\n",
    "models/sources.yml": "sources:\n  - name: raw\n    tables:\n      - name: orders\n"
    "        external: {location: data/*.csv, format: csv}\n"
    "        columns: [{name: id, data_type: bigint}, {name: amount, data_type: bigint}, {name: at, data_type: timestamp}]\n",
    "models/appended.sql": "{{ config(materialized='incremental', read='new_files', partition_by=['part']) }}\n"
    "select id, amount, at, id % 3 as part from {{ source('raw', 'orders') }}\n",
    "models/merged.sql": "{{ config(materialized='incremental', unique_key='id', read='new_files') }}\n"
    "select id, amount, at from {{ source('raw', 'orders') }}\n",
    "models/models.yml": "models:\n  - name: merged\n    config: {contract: {enforced: true}}\n    columns:\n"
    "      - {name: id, data_type: bigint, constraints: [{type: primary_key}]}\n"
    "      - {name: amount, data_type: bigint, constraints: [{type: check, expression: amount >= 0}]}\n"
    "      - {name: at, data_type: timestamp}\n",
    "snapshots/s.sql": "{% snapshot s %}\n{{ config(unique_key='id', strategy='timestamp', updated_at='at') }}\n"
    "select * from {{ ref('merged') }}\n{% endsnapshot %}\n",
    "models/total.sql": "{{ config(materialized='table') }}\nselect sum(amount) as amount from {{ ref('s') }} where dbt_valid_to is null\n",
    "models/doubled.sql": "select amount * 2 as amount from {{ ref('total') }}\n",
}
QUERIES = [
    "select id, amount, part from main.appended order by id, amount",
    "select id, amount from main.merged order by id",
    "select id, amount, dbt_valid_from, dbt_valid_to, dbt_scd_id from main.s order by id, dbt_valid_from",
    "select amount from main.total",
    "select amount from main.doubled",
    "select distinct identifier, batch, file from _alluvium.watermarks order by identifier, batch, file",
]
DAYS = 5

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ["project.yml", "models", "snapshots", "macros", "seeds", "data", "tests/generic", *(f"tests/{path.name}" for path in (ROOT / "tests").glob("*.sql"))]
DELIVERIES = ["2025-06-02", "2025-06-03"]
# The column of the sample's tables with the time of the build that wrote a row.
CLOCKED = {"_ingested_at"}


def delivery(day):
    rows = [(key, key * 10 + day) for key in range(1, 40) if key % (day + 1) == 0 or day == 0]
    return "id,amount,at\n" + "".join(f"{key},{amount},2026-01-{day + 1:02}\n" for key, amount in rows)


def put(folder, path, text):
    path = folder / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def start(cli, folder, more=()):
    return subprocess.Popen([cli, "build", *more], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def build(cli, folder, more=()):
    process = start(cli, folder, more)
    output = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f"a build failed in {folder}:\n{output}")


def kill(cli, folder, seconds, more=()):
    """Whether the build was still running."""
    process = start(cli, folder, more)
    time.sleep(seconds)
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


def query(cli, folder, text, output="csv"):
    done = subprocess.run([cli, "sql", text, "--output", output], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{text}\n{done.stdout}{done.stderr}")
    return done.stdout


def rows(cli, folder):
    return {text: query(cli, folder, text) for text in QUERIES}


def sample_rows(cli, folder):
    """Of every table of the sample: its rows, sorted, without the columns that tell the time of a build."""
    found = {}
    for table in sorted(path.name for path in (folder / "warehouse/bank").iterdir()):
        result = json.loads(query(cli, folder, f"select * from bank.{table}", "json"))
        kept = [at for at, column in enumerate(result["columns"]) if column["name"] not in CLOCKED]
        found[table] = "\n".join(sorted(json.dumps([row[at] for at in kept]) for row in result["rows"]))
    for path in sorted((folder / "exports").rglob("*.csv")):
        found[path.name] = "\n".join(sorted(path.read_text().splitlines()))
    return found


def orphans(folder):
    """Files beside the tables that no log entry names."""
    found = []
    for table in (folder / "warehouse/main").iterdir():
        named = set()
        for entry in (table / "_delta_log").glob("*.json"):
            for line in entry.read_text().splitlines():
                action = json.loads(line)
                named |= {action[kind]["path"] for kind in ("add", "cdc") if kind in action}
        for path in table.rglob("*"):
            relative = path.relative_to(table).as_posix()
            if path.is_file() and not relative.startswith("_delta_log/") and relative not in named:
                found.append(f"{table.name}/{relative}")
    return found


def sample_history(cli, disturb):
    """The sample's two deliveries, and its rows behind them."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path in SAMPLE:
            if (ROOT / path).is_dir():
                shutil.copytree(ROOT / path, folder / path)
            elif (ROOT / path).is_file():
                (folder / path).parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / path, folder / path)
        for day in DELIVERIES:
            more = ["--vars", f"delivery_date: {day}"]
            disturb(folder, more)
            build(cli, folder, more)
        return sample_rows(cli, folder)


def history(cli, disturb):
    """Runs a history and gives its rows; `disturb` kills the builds of a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path, text in FILES.items():
            put(folder, path, text)
        for day in range(DAYS):
            put(folder, f"data/day{day}.csv", delivery(day))
            disturb(folder)
            build(cli, folder)
        # What a killed write left is swept by the next write of the table, which a change brings about.
        put(folder, "data/last.csv", "id,amount,at\n99,990,2026-02-01\n")
        build(cli, folder)
        left = orphans(folder)
        if left:
            sys.exit(f"files that no commit names: {left}")
        return rows(cli, folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", required=True)
    parser.add_argument("--project", choices=["small", "sample"], default="small")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cli = str(pathlib.Path(options.cli).resolve())
    moments = random.Random(options.seed)

    begin = time.monotonic()
    run, builds = (sample_history, len(DELIVERIES)) if options.project == "sample" else (history, DAYS + 2)
    expected = run(cli, lambda folder, more=(): None)
    longest = (time.monotonic() - begin) / builds
    killed = late = 0

    def disturb(folder, more=()):
        nonlocal killed, late
        for _ in range(moments.randint(1, 3)):
            if kill(cli, folder, moments.uniform(0.01, longest * 1.2), more):
                killed += 1
            else:
                late += 1

    histories = 0
    while killed < options.kills:
        found = run(cli, disturb)
        histories += 1
        print(f"{killed} of {options.kills} killed", file=sys.stderr, flush=True)
        if found.keys() != expected.keys():
            sys.exit(f"undisturbed: {sorted(expected)}\nkilled: {sorted(found)}")
        for name, before in expected.items():
            if before != found[name]:
                sys.exit(f"{name}\nundisturbed:\n{before}\nkilled:\n{found[name]}")
    left = "" if options.project == "sample" else ", nothing left behind"
    print(f"{killed} builds killed in {histories} histories ({late} had ended before): the same rows as undisturbed{left}")


if __name__ == "__main__":
    main()
