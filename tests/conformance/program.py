"""The program as dbt's tests see it: commands by subprocess in place of dbt's runner, results read from the artifacts.

`Runner` stands where dbt's `dbtRunner` stood, so dbt's own `run_dbt` still compares the exit state and raises. A command
that says it succeeded and wrote no artifact anew, or that fails without a word about it, fails the test: else a program
that does nothing would pass. Statements of tests go through `alluvium sql`.
"""

import datetime
import decimal
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest.mock

import freezegun.api
import pytest
from dbt.cli.exceptions import DbtUsageException
from dbt.cli.main import dbtRunnerResult
from dbt.exceptions import ParsingError
from dbt.materializations.incremental.microbatch import MicrobatchBuilder
from dbt_common.exceptions import CompilationError, DbtDatabaseError

PROGRAM = os.environ.get("CONFORMANCE_PROGRAM", "alluvium")
CLOCK = os.environ.get("CONFORMANCE_CLOCK")
SECONDS = 120

# What a command leaves behind when it is done; the commands that are not here leave nothing but what they print.
ARTIFACTS = {
    **dict.fromkeys(["build", "clone", "compile", "retry", "run", "run-operation", "seed", "show", "snapshot", "test"], "run_results.json"),
    "docs": "catalog.json",
    "parse": "manifest.json",
    "source": "sources.json",
}
COMMANDS = {*ARTIFACTS, "clean", "debug", "deps", "list", "ls"}
# After this comes the text of what went wrong.
ENCOUNTERED = "Encountered an error:\n"


class Refused(CompilationError, ParsingError, DbtUsageException):
    """The program did not begin, exit code 2: what dbt raises as one of these classes."""

    def __init__(self, text):
        super().__init__(text)

    def __str__(self):
        return self.args[0]


class Record(dict):
    """An object of a JSON file, whose keys are attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Results(list):
    """What a command did, node by node, as dbt's tests take it: a list that is also an object with one."""

    def __init__(self, results, args):
        super().__init__(results)
        self.results, self.args = self, args


def load(path):
    return json.loads(pathlib.Path(path).read_text(), object_hook=Record)


def manifest(project_root):
    """Replaces dbt's `get_manifest`, which reads a file that only dbt writes."""
    path = pathlib.Path(project_root, "target", "manifest.json")
    return load(path) if path.exists() else None


def environment():
    """The test's own, and the clock as it has frozen it."""
    now = None
    if freezegun.api.freeze_factories:
        now = freezegun.api.freeze_factories[-1]().replace(tzinfo=datetime.timezone.utc)
    if isinstance(MicrobatchBuilder.build_end_time, unittest.mock.Mock):
        now = MicrobatchBuilder.build_end_time.return_value
    if now is None:
        return None
    if not CLOCK:
        pytest.fail("this test is about a time that is not now, and there is no C compiler to make the clock for it")
    return {**os.environ, "LD_PRELOAD": CLOCK, "FIXED_CLOCK": str(int(now.timestamp()))}


def call(args, text=None):
    """Runs the program to its end, in the folder the test is in."""
    try:
        return subprocess.run(
            [PROGRAM, *args], input=text or "", capture_output=True, text=True, timeout=SECONDS, env=environment()
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"not done after {SECONDS} seconds: {' '.join(args)}")


class Runner:
    """Stands in for dbt's `dbtRunner`."""

    captured = None  # what `run_dbt_and_capture` reads, while it does

    def __init__(self, manifest=None, callbacks=None):
        self.callbacks = callbacks or []

    def invoke(self, args):
        args = [str(arg) for arg in args]
        command = next(arg for arg in args if arg in COMMANDS)
        artifact = target(args) / ARTIFACTS[command] if command in ARTIFACTS else None
        before = written(artifact)
        if command == "show" and "--output" not in args and Runner.captured is None:
            args += ["--output", "json"]
        with tempfile.TemporaryDirectory() as logs:
            events = ["--log-format-file", "json", "--log-level-file", "debug", "--log-path", logs] if self.callbacks else []
            ended = call(args + events)
            self.tell(pathlib.Path(logs, "dbt.log"))
        print(ended.stdout, ended.stderr, sep="")
        if Runner.captured is not None:
            Runner.captured.write(ended.stdout)
        said = ended.stdout + ended.stderr
        if not re.search("error|fail|warning" if ended.returncode else ".", said, re.IGNORECASE):
            pytest.fail(f"ended with {ended.returncode} and did not say why: {' '.join(args)}")
        if ended.returncode < 0:
            pytest.fail(f"ended by signal {-ended.returncode}: {' '.join(args)}")
        if ended.returncode > 1:
            return dbtRunnerResult(success=False, exception=Refused(said.partition(ENCOUNTERED)[2] or said))
        fresh = artifact is None or written(artifact) != before
        if ended.returncode == 0 and not fresh:
            pytest.fail(f"ended with 0 and wrote no {artifact}: {' '.join(args)}")
        outcome = result(command, artifact, ended.stdout) if fresh else Results([], Record())
        return dbtRunnerResult(success=ended.returncode == 0, result=outcome)

    def tell(self, log):
        """Hands each event of the log file to those who listen."""
        lines = log.read_text().splitlines() if self.callbacks and log.exists() else []
        for line in lines:
            event = json.loads(line, object_hook=Record)
            for callback in self.callbacks:
                callback(event)


def target(args):
    """The folder of the artifacts."""
    for at, arg in enumerate(args):
        if arg == "--target-path":
            return pathlib.Path(args[at + 1])
    return pathlib.Path(os.environ.get("DBT_TARGET_PATH", "target"))


def written(artifact):
    if artifact is None or not artifact.exists():
        return None
    seen = artifact.stat()
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def result(command, artifact, stdout):
    """What dbt's runner would return."""
    if command in ("ls", "list"):
        return stdout.split("\n")[:-1]
    if artifact is None:
        return None
    read = load(artifact)
    if artifact.name != "run_results.json":
        return read
    known = load(artifact.with_name("manifest.json"))
    nodes = {**known.nodes, **known.get("unit_tests", {}), **known.get("functions", {})}
    for ran in read.results:
        name = ran.unique_id.split(".")[-1]
        ran["node"] = Record(nodes.get(ran.unique_id) or {"unique_id": ran.unique_id, "name": name})
        if ran.compiled:
            ran.node["compiled_code"] = ran.compiled_code
        if command == "show" and stdout.startswith("{"):
            ran["agate_table"] = json.loads(stdout)["show"]
    return Results(read.results, read.args)


def spelled(text):
    """What tests write, in the spelling of standard SQL: Postgres reads the offset `-0` of a time, which needs two digits."""
    return text.replace("00-0'", "00-00'")


def sql(statements, profiles_dir):
    """The rows of the last statement, as tuples. Needs nothing of the test's project, which may be broken on purpose."""
    where = ["--project-dir", profiles_dir, "--profiles-dir", profiles_dir]
    ended = call(["sql", "--stdin", "--output", "json", *where], spelled(statements))
    if ended.returncode != 0:
        raise DbtDatabaseError(f"{ended.stderr or ended.stdout}\n{statements}")
    answer = json.loads(ended.stdout)
    readers = [reader(column["type"].lower()) for column in answer["columns"]]
    return [tuple(value if value is None else read(value) for read, value in zip(readers, row)) for row in answer["rows"]]


def reader(kind):
    """From JSON to what a database's driver for Python gives."""
    if kind.startswith("timestamp"):
        return datetime.datetime.fromisoformat
    if kind == "date":
        return datetime.date.fromisoformat
    if kind.startswith(("decimal", "numeric")):
        return lambda value: decimal.Decimal(str(value))
    return lambda value: value
