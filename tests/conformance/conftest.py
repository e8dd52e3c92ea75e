"""Puts the program in the place of Python dbt: dbt's own fixtures and helpers stay, and what they call is replaced.

pytest imports this before any of dbt's test modules, so that they import the replacements.
"""

import argparse
import json
import os
import pathlib
import sys

import dbt.flags
import dbt.tests.fixtures.project
import dbt.tests.util
import pytest

import program
import warehouse

current = None  # the adapter of the class that runs
write_file = dbt.tests.util.write_file


def begin_capturing(text):
    program.Runner.captured = text


def end_capturing():
    program.Runner.captured = None


def write_in_our_spelling(contents, *path):
    write_file(program.spelled(contents), *path)


dbt.tests.util.dbtRunner = program.Runner
dbt.tests.util.capture_stdout_logs = begin_capturing
dbt.tests.util.stop_capture_stdout_logs = end_capturing
dbt.tests.util.get_manifest = program.manifest
dbt.tests.util.write_file = dbt.tests.fixtures.project.write_file = write_in_our_spelling
dbt.tests.fixtures.project.get_adapter_by_type = lambda _type: current


@pytest.fixture(scope="class")
def dbt_profile_target(tmp_path_factory):
    return {"type": "alluvium", "warehouse": str(tmp_path_factory.mktemp("warehouse")), "threads": 4}


@pytest.fixture(scope="class")
def adapter(logs_dir, unique_schema, project_root, profiles_root, profiles_yml, dbt_profile_target, dbt_project_yml):
    """In place of the adapter that dbt loads. dbt's `run_dbt` takes the two folders from dbt's flags."""
    global current
    dbt.flags.set_from_args(argparse.Namespace(project_dir=str(project_root), profiles_dir=str(profiles_root)), {})
    profiles_root.join("dbt_project.yml").write("name: test\nprofile: test\n")
    current = warehouse.Adapter(dbt_profile_target["warehouse"], profiles_root, unique_schema)
    return current


def package_folder(request):
    """Where the module of the test's class lies in dbt's package, with the files it reads."""
    module = request.cls.upstream.split("::")[0]
    return pathlib.Path(sys.modules[f"dbt.tests.adapter.{module}"].__file__).parent


@pytest.fixture(scope="class")
def test_data_dir(request, tmp_path_factory):
    """The package's, or a folder that a test may make."""
    packed = package_folder(request) / "data"
    return packed if packed.exists() else tmp_path_factory.mktemp("package") / "data"


@pytest.fixture(scope="class")
def project_setup(project_setup, request):
    project_setup.test_dir = str(package_folder(request))
    return project_setup


def pytest_collection_modifyitems(items):
    """Leaves the tests that were chosen, each with its name as the list has it."""
    chosen = json.loads(os.environ["CONFORMANCE_TESTS"])
    left = []
    for item in items:
        name = f"{item.cls.upstream}::{item.name}"
        if name in chosen:
            item.user_properties.append(("test", name))
            if not chosen[name]:
                item.add_marker(pytest.mark.xfail(reason="differs, as docs/conformance.md tells"))
            left.append(item)
    items[:] = left


class Outcomes:
    """Writes what became of each test, for run.py to read: by name, an empty text or the error's first line."""

    def __init__(self, path):
        self.path, self.errors = path, {}

    def pytest_runtest_logreport(self, report):
        name = dict(report.user_properties).get("test")
        if name is None:
            return
        # What was set up and never called died with its process.
        self.errors.setdefault(name, "it did not come to its end")
        if report.when == "call" and report.passed and self.errors[name] == "it did not come to its end":
            self.errors[name] = ""
        elif not report.passed and self.errors[name] in ("", "it did not come to its end"):
            self.errors[name] = f"{report.when}: {first_line(report)}"

    def pytest_sessionfinish(self):
        with open(self.path, "w") as file:
            json.dump(self.errors, file)


def first_line(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(report.longrepr)).strip().splitlines()
    return lines[0] if lines else report.outcome


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(os.environ["CONFORMANCE_OUTCOMES"]))
