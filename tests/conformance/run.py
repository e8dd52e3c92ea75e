#!/usr/bin/env python3
"""Runs dbt's adapter test suite, the PyPI package dbt-tests-adapter, against the program, and compares with tests.txt.

    tests/conformance/run.py --cli target/debug/alluvium             # all tests of the list
    tests/conformance/run.py --cli PATH --passing                    # those that are known to pass
    tests/conformance/run.py --cli PATH --area basic --area hooks    # some areas
    tests/conformance/run.py --cli PATH --area seeds -k delimiter    # pytest's -k
    tests/conformance/run.py --cli PATH --update                     # writes the list anew, as far as it ran

Prints a table of areas, and ends with 1 if a test that is known to pass did not. The package, Python dbt and pytest are
installed from PyPI into a virtual environment below ~/.cache/alluvium (or $XDG_CACHE_HOME) when it is not there or
requirements.txt has changed. Nothing else is left behind. docs/conformance.md tells of the tests that do not pass.
"""

import argparse
import collections
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import selection  # noqa: E402: a module beside this one, of which nothing is to be written into the checkout

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "alluvium", "conformance")
SECONDS = 3600


def python():
    """The interpreter of the virtual environment, which is made if need be."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder, stamp = CACHE / "venv", CACHE / "venv" / "installed.txt"
    interpreter = folder / "bin" / "python"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text()}"
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return interpreter
        shutil.rmtree(folder, ignore_errors=True)
        print(f"installing dbt's test suite into {folder}", flush=True)
        must([sys.executable, "-m", "venv", folder], "no virtual environment (Debian has it in python3-venv)")
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
        must([*pip, "--requirement", REQUIREMENTS], "the packages could not be fetched from PyPI")
        stamp.write_text(wanted)
    return interpreter


def must(command, problem):
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode != 0:
        sys.exit(f"{ended.stdout}\n{problem}: `{' '.join(map(str, command))}` ended with {ended.returncode}")


def clock(folder):
    """The library that sets the program's clock, built where there is a C compiler."""
    library = pathlib.Path(folder, "fixed_clock.so")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler:
        must([compiler, "-shared", "-fPIC", "-o", library, HERE / "fixed_clock.c"], "the clock of the tests does not compile")
    return {"CONFORMANCE_CLOCK": str(library)} if compiler else {}


def outcomes(tests, options):
    """Runs pytest; {test: empty if it passed, else the error's first line}."""
    program = shutil.which(options.cli)
    if program is None:
        sys.exit(f"no program `{options.cli}`")
    interpreter = python()
    with tempfile.TemporaryDirectory(prefix="alluvium-conformance-") as folder:
        report = pathlib.Path(folder, "outcomes.json")
        command = [interpreter, "-m", "pytest", HERE, "--rootdir", folder, "--confcutdir", HERE, "--basetemp", f"{folder}/tests"]
        command += ["-p", "no:cacheprovider", "-p", "dbt.tests.fixtures.project", "--quiet", "--no-header", "--tb=short", "-rN"]
        command += ["-W", "ignore", "-n", str(options.jobs), "--dist", "loadscope"]
        command += ["-k", options.k] if options.k else []
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ALLUVIUM_", "DBT_", "PYTEST", "PYTHON"))}
        ours |= {"PYTHONDONTWRITEBYTECODE": "1", "CONFORMANCE_PROGRAM": os.path.abspath(program), **clock(folder)}
        ours |= {"CONFORMANCE_OUTCOMES": str(report), "CONFORMANCE_TESTS": json.dumps({test.name: test.passes for test in tests})}
        to_its_end(command, ours)
        if not report.exists():
            sys.exit("pytest did not come to its end")
        return json.loads(report.read_text())


def to_its_end(command, environment):
    """Ends the workers too when this is interrupted or takes too long."""
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as running:
        try:
            running.wait(SECONDS)
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True, help="the program")
    parser.add_argument("--area", action="append", help="only this area (may be repeated)")
    parser.add_argument("-k", help="only tests whose names have this, as pytest's -k")
    parser.add_argument("--jobs", type=int, default=2, help="how many tests run at a time (2)")
    parser.add_argument("--passing", action="store_true", help="only the tests that are known to pass")
    parser.add_argument("--update", action="store_true", help="write into the list what passed and what did not")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))

    listed = selection.read()
    unknown = set(options.area or []) - {test.area for test in listed}
    if unknown:
        parser.error(f"no area `{min(unknown)}`; there are {', '.join(sorted({test.area for test in listed}))}")
    chosen = [test for test in listed if (not options.area or test.area in options.area) and (test.passes or not options.passing)]
    errors = outcomes(chosen, options)
    ran = [test for test in chosen if test.name in errors or not options.k]
    now = {test.name for test in ran if errors.get(test.name) == ""}

    selected = collections.Counter(test.area for test in ran)
    passed = collections.Counter(test.area for test in ran if test.name in now)
    print(f"\n{'area':24}{'passed':>7}{'selected':>10}")
    for area in sorted(selected):
        print(f"{area:24}{passed[area]:7}{selected[area]:10}")
    print(f"{'all':24}{passed.total():7}{selected.total():10}")

    lost = [test for test in ran if test.passes and test.name not in now]
    for test in lost:
        print(f"no longer passes: {test.name}: {errors.get(test.name, 'is not in the package')}")
    for test in ran:
        if not test.passes:
            print(f"passes now: {test.name}" if test.name in now else f"differs: {test.name}: {errors.get(test.name)}")
    if options.update:
        for test in ran:
            test.passes = test.name in now
        selection.write(listed)
        return 0
    return 1 if lost or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
