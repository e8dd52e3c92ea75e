#!/usr/bin/env python3
"""Changes a table of ten million rows with incremental models, and with plain delta-rs where it has the same change
(examples/plain_delta_write.rs), one after the other; prints times, peak memory and ratios.

    tests/bench/change_10m.py [--rows 10000000] [--rounds 3]

Every change starts from the same table. Deliveries are Parquet files written before the clock starts. Alluvium's table has
its change feed on, as is the default; plain delta-rs writes none.

| change | promise |
| merge of 1 % of the rows, next to each other | at most 1/6 of writing the table |
| merge of 1 %, spread over all files | at most 1.0 times delta-rs's merge, with less memory |
| append of 1 % | at most 1/25 of writing the table |
| replace_where of one of twelve partitions | at most 1/8 of writing the table |
| merge of 10 %, spread, with memory_limit 512MiB | works |
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

from write_10m import binaries, timed

PROJECT = """name: bench
targets:
  default: local
  local: {{warehouse: warehouse, schema: bench, threads: {threads}}}
  tight: {{warehouse: warehouse, schema: bench, threads: {threads}, memory_limit: 512MiB}}
"""
DELIVERIES = ["input", "clustered", "spread", "tenth", "more", "part"]
SOURCES = "sources:\n  - name: files\n    tables:\n" + "".join(
    f"      - name: {name}\n        external: {{location: {name}.parquet, format: parquet}}\n" for name in DELIVERIES
)
MERGED = "{{ config(materialized='incremental', unique_key='id') }}\nselect * from {{ source('files', var('delivery')) }}\n"
APPENDED = "{{ config(materialized='incremental') }}\nselect * from {{ source('files', var('delivery')) }}\n"
REPLACED = """{{ config(materialized='incremental', incremental_strategy='replace_where', partition_by=['account_type'],
          incremental_predicates="account_type = 'type 3'") }}
select * from {{ source('files', var('delivery')) }}
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--built", action="store_true", help="measure the release binaries as they are, without compiling")
    options = arguments.parse_args()
    alluvium, plain = binaries(options.built)
    rows = options.rows
    half = rows // 2
    conditions = {
        "input": (rows, "true"),
        "clustered": (rows, f"id between {half} and {half + rows // 100}"),
        "spread": (rows, "id % 100 = 7"),
        "tenth": (rows, "id % 10 = 7"),
        "more": (rows + rows // 100, f"id > {rows}"),
        "part": (rows, "id % 12 = 3"),
    }

    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "models").mkdir()
        (folder / "project.yml").write_text(PROJECT.format(threads=options.threads))
        (folder / "models" / "sources.yml").write_text(SOURCES)
        for name, model in [("merged", MERGED), ("appended", APPENDED), ("replaced", REPLACED)]:
            (folder / "models" / f"{name}.sql").write_text(model)
        for name, (count, condition) in conditions.items():
            subprocess.run([plain, "generate", f"{name}.parquet", str(count), condition], cwd=folder, check=True)

        def run(model, delivery, target="local"):
            command = [alluvium, "run", "--select", model, "--target", target, "--vars", f"{{delivery: {delivery}}}"]
            return timed(command, folder)

        subprocess.run([plain, "write", "input.parquet", "plain"], cwd=folder, check=True)
        written = run("merged", "input")[0]
        run("appended", "input")
        run("replaced", "input")
        os.rename(folder / "warehouse", folder / "warehouse.before")
        os.rename(folder / "plain", folder / "plain.before")
        print(f"{rows} rows: written by Alluvium in {written:.2f} s", flush=True)

        def fresh():
            """Both tables as they were; files never change once written, so links will do."""
            for name in ["warehouse", "plain"]:
                shutil.rmtree(folder / name, ignore_errors=True)
                shutil.copytree(folder / f"{name}.before", folder / name, copy_function=os.link)

        def change(title, model, delivery, yardstick=False, target="local"):
            ours, theirs = [], []
            for _ in range(options.rounds):
                fresh()
                ours.append(run(model, delivery, target))
                if yardstick:
                    theirs.append(timed([plain, "merge", f"{delivery}.parquet", "plain"], folder))
            seconds = statistics.median(seconds for seconds, _ in ours)
            line = f"{title}: {seconds:.2f} s {max(mb for _, mb in ours):.0f} MB, 1/{written / seconds:.1f} of writing the table"
            if theirs:
                plain_s = statistics.median(seconds for seconds, _ in theirs)
                line += f"; plain delta-rs {plain_s:.2f} s {max(mb for _, mb in theirs):.0f} MB, ratio {seconds / plain_s:.2f}"
            print(line, flush=True)

        change("merge 1 %, clustered", "merged", "clustered", yardstick=True)
        change("merge 1 %, spread", "merged", "spread", yardstick=True)
        change("append 1 %", "appended", "more")
        change("replace_where, one of twelve partitions", "replaced", "part")
        change("merge 10 %, spread, memory_limit 512MiB", "merged", "tenth", target="tight")


if __name__ == "__main__":
    main()
