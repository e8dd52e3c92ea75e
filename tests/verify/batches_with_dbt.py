#!/usr/bin/env python3
"""Builds models in batches of time with Python dbt (on DuckDB) and with `alluvium`, and compares the rows.

    pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.11.*'
    tests/verify/batches_with_dbt.py --cli target/debug/alluvium --dbt .venv/bin/dbt

Random events, built by the hour, the day and the month: a first build of a stretch of time, one of a stretch within it after
rows came, changed and went, and a full refresh. Every row carries what the template said of its batch, so `model.batch` is
compared too.
"""

import argparse
import datetime
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import duckdb

SIZES = ("hour", "day", "month")
MODEL = """\
{{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ts', begin='2024-01-30', batch_size='{size}', lookback=2) }}}}
select id, ts, amount, '{{{{ model.batch.id if model.batch }}}}' as batch,
    '{{{{ model.batch.event_time_start if model.batch }}}}' as since, '{{{{ model.batch.event_time_end if model.batch }}}}' as until
from {{{{ ref('event') }}}}
"""
PROJECT = """\
name: batches
version: '1.0'
profile: batches
flags: {send_anonymous_usage_stats: false}
seeds: {+event_time: ts, +column_types: {ts: timestamp}}
"""


class Events:
    def __init__(self, path, seed):
        self.path, self.rows, self.random = path, [], random.Random(seed)

    def add(self, count, first_hour, last_hour):
        for _ in range(count):
            seconds = self.random.randint(first_hour * 3600, last_hour * 3600)
            at = datetime.datetime(2024, 1, 30) + datetime.timedelta(seconds=seconds)
            if self.random.random() < 0.3:  # on the edge of an hour
                at = at.replace(minute=0, second=0)
            self.rows.append((len(self.rows) + 1, at, self.random.randint(1, 99)))

    def change(self):
        self.rows = [(number, at, amount + 1) for number, at, amount in self.rows if number % 7]

    def write(self):
        lines = [f"{number},{at:%Y-%m-%d %H:%M:%S},{amount}" for number, at, amount in self.rows]
        self.path.write_text("\n".join(["id,ts,amount", *lines]) + "\n")


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True, type=pathlib.Path)
    parser.add_argument("--dbt", default="dbt")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    cli, wrong = str(options.cli.resolve()), 0

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part in ("models", "seeds"):
            (folder / part).mkdir()
        (folder / "dbt_project.yml").write_text(PROJECT)
        profile = {"target": "dev", "outputs": {"dev": {"type": "duckdb", "path": f"{name}/dbt.duckdb", "schema": "main"}}}
        (folder / "profiles.yml").write_text(json.dumps({"batches": profile}))
        for size in SIZES:
            (folder / f"models/by_{size}.sql").write_text(MODEL.format(size=size))
        events = Events(folder / "seeds/event.csv", options.seed)

        def step(what, *arguments):
            events.write()
            run([options.dbt, "build", *arguments], folder)
            run([cli, "build", "--warehouse", "warehouse", *arguments], folder)
            differences = 0
            with duckdb.connect(f"{name}/dbt.duckdb", read_only=True) as connection:
                for size in SIZES:
                    query = f"select id, cast(ts as varchar), amount, batch, since, until from main.by_{size} order by id, batch"
                    shown = json.loads(run([cli, "sql", "--warehouse", "warehouse", "--output", "json", query], folder))["rows"]
                    theirs, ours = ([[str(value).replace("T", " ") for value in row] for row in rows] for rows in (connection.execute(query).fetchall(), shown))
                    print(f"{what}, by {size}: {len(ours)} rows, {'the same' if ours == theirs else 'OTHERS THAN DBT HAS'}")
                    differences += ours != theirs
            return differences

        events.add(60, -30, 60)
        wrong += step("first build", "--event-time-start", "2024-01-30", "--event-time-end", "2024-02-01 05:00:00")
        events.add(20, 0, 60)
        events.change()
        wrong += step("a stretch within", "--event-time-start", "2024-01-31 03:30:00", "--event-time-end", "2024-01-31 09:00:00")
        wrong += step("full refresh", "--full-refresh", "--event-time-start", "2024-01-31", "--event-time-end", "2024-02-01")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
