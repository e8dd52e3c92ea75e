#!/usr/bin/env python3
"""Writes a table of ten million rows with `alluvium run` and with plain delta-rs (examples/plain_delta_write.rs), one after
the other, and prints both times, the peak memory and the ratio. The promise: at most 1.15.

    tests/bench/write_10m.py [--rows 10000000] [--rounds 3]

The rows come from a Parquet file written before the clock starts, so that both sides read and write the same.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or f"{CACHE}/alluvium/target")

PROJECT = """name: bench
targets:
  default: local
  local: {{warehouse: warehouse, schema: bench, threads: {threads}}}
"""
SOURCES = """sources:
  - name: files
    tables:
      - name: input
        external: {location: input.parquet, format: parquet}
"""
MODEL = "{{ config(materialized='table') }}\nselect * from {{ source('files', 'input') }}\n"


def timed(command, cwd):
    """Wall seconds and peak resident megabytes of a command."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        sys.exit(f"{command} failed\n{output}")
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss / scale


def binaries(built):
    """The program and plain delta-rs, compiled unless they are there already."""
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--features", "yardstick", "--bin", "alluvium", "--example", "plain_delta_write"]
    if not built:
        subprocess.run(command, cwd=ROOT, env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)}, check=True)
    return str(TARGET / "release" / "alluvium"), str(TARGET / "release" / "examples" / "plain_delta_write")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--built", action="store_true", help="measure the release binaries as they are, without compiling")
    options = arguments.parse_args()
    alluvium, plain = binaries(options.built)

    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "models").mkdir()
        (folder / "project.yml").write_text(PROJECT.format(threads=options.threads))
        (folder / "models" / "sources.yml").write_text(SOURCES)
        (folder / "models" / "big.sql").write_text(MODEL)
        subprocess.run([plain, "generate", folder / "input.parquet", str(options.rows)], check=True)
        ours, theirs = [], []
        for number in range(options.rounds):
            sides = [(theirs, [plain, "write", "input.parquet", "plain"]), (ours, [alluvium, "run"])]
            # Who comes second must not pay for the pages that the first left to the disk.
            for runs, command in sides if number % 2 == 0 else reversed(sides):
                shutil.rmtree(folder / "warehouse", ignore_errors=True)
                shutil.rmtree(folder / "plain", ignore_errors=True)
                os.sync()
                runs.append(timed(command, folder))
            print(f"round {number + 1}: plain delta-rs {theirs[-1][0]:.2f} s {theirs[-1][1]:.0f} MB, alluvium {ours[-1][0]:.2f} s {ours[-1][1]:.0f} MB", flush=True)
        plain_s, ours_s = (statistics.median(seconds for seconds, _ in runs) for runs in (theirs, ours))
        print(f"{options.rows} rows: plain delta-rs {plain_s:.2f} s, alluvium {ours_s:.2f} s, ratio {ours_s / plain_s:.2f}")


if __name__ == "__main__":
    main()
