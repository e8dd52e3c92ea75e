#!/usr/bin/env python3
"""Runs dbt's adapter test suite against `alluvium` and compares with the tests that are known to pass.

The harness that drives the PyPI package dbt-tests-adapter is not part of this repository: --harness names its folder, in
which `run` is (it makes its own virtual environment from PyPI). The passing tests are listed in dbt_adapter_suite.txt, an
area and a test a line; one that is listed and does not pass fails this script. docs/conformance.md tells of the others.

    tests/verify/dbt_adapter_suite.py --harness PATH --cli target/debug/alluvium
    tests/verify/dbt_adapter_suite.py --harness PATH --cli PATH --area basic --area hooks
    tests/verify/dbt_adapter_suite.py --harness PATH --cli PATH --update    # rewrites the list
    tests/verify/dbt_adapter_suite.py --report report.json --report more.json --update
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

LIST = pathlib.Path(__file__).with_suffix(".txt")
HEAD = "# area, test; written by dbt_adapter_suite.py --update\n"


def run(options):
    """The outcomes of the harness: {test: {area, outcome, error}}."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        command = [sys.executable, str(pathlib.Path(options.harness, "run")), "--cli", options.cli, "--jobs", options.jobs]
        command += ["--report", str(report), "--failures", str(pathlib.Path(folder, "failures.json"))]
        for area in options.area or []:
            command += ["--area", area]
        subprocess.run(command)
        if not report.exists():
            sys.exit("the harness wrote no report")
        return json.loads(report.read_text())


def known():
    if not LIST.exists():
        return set()
    return {tuple(line.split("\t")) for line in LIST.read_text().splitlines() if line and not line.startswith("#")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", help="the folder of the harness")
    parser.add_argument("--cli", help="the program")
    parser.add_argument("--area", action="append", help="only this area (may be repeated)")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--report", action="append", help="outcomes of an earlier run of the harness, instead of a run")
    parser.add_argument("--update", action="store_true", help="rewrite the list, for the areas that ran")
    options = parser.parse_args()
    if options.report:
        outcomes = {}
        for report in options.report:
            outcomes.update(json.loads(pathlib.Path(report).read_text()))
    elif options.harness and options.cli:
        outcomes = run(options)
    else:
        parser.error("--harness and --cli are needed, or --report")

    passed = {(seen["area"], test) for test, seen in outcomes.items() if seen["outcome"] == "passed"}
    areas = {seen["area"] for seen in outcomes.values()}
    selected = collections.Counter(seen["area"] for seen in outcomes.values())
    counted = collections.Counter(area for area, _ in passed)
    for area in sorted(areas):
        print(f"{area:24}{counted[area]:4} of {selected[area]}")
    print(f"{'all':24}{len(passed):4} of {len(outcomes)}")

    before = {entry for entry in known() if entry[0] in areas}
    lost = sorted(before - passed)
    for area, test in lost:
        print(f"no longer passes: {area}: {test}: {outcomes.get(test, {}).get('error', 'did not run')}")
    for area, test in sorted(passed - before):
        print(f"passes now: {area}: {test}")
    if options.update:
        kept = {entry for entry in known() if entry[0] not in areas} | passed
        LIST.write_text(HEAD + "".join(f"{area}\t{test}\n" for area, test in sorted(kept)))
        return 0
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
