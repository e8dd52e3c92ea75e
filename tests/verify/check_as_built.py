"""Compares what `check` says of every model, seed and snapshot of the literate cases with the Delta table that a build writes.

    python3 -m venv .venv && .venv/bin/pip install 'deltalake==1.6.6'
    .venv/bin/python tests/verify/check_as_built.py --cli target/release/alluvium [tests/cases/contracts.md ...]

The cases' commands run one after the other, as in the tests. After each that builds and ends well, `check` runs on the same
files, and for each node that was built as a table the columns of `lineage.json` (names in their order, types) and the NOT NULL
of its contract are compared with the schema that the Python package deltalake reads. What is not known to `check` (a source
without columns, SQL that a query decides) is counted, not compared. Ends with 1 if anything differs.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import deltalake

BUILDS = ("build", "run", "seed", "snapshot")
# Statements that a project runs itself, and a file that has more columns than are declared, are known when they are run.
LEFT_OUT = {
    "`alter_column_type` gives a column a type that holds all its values": "an operation changes the table",
    "The project overrides a materialization of the program": "a macro makes the table",
    "The project overrides the text that makes a table": "a macro makes the table",
    "A column that a hook adds can be tested": "a hook changes the table",
}
PRIMITIVES = {
    "long": "BIGINT", "integer": "INTEGER", "short": "SMALLINT", "byte": "TINYINT", "double": "DOUBLE", "float": "REAL", "boolean": "BOOLEAN",
    "string": "VARCHAR", "binary": "BINARY", "date": "DATE", "timestamp": "TIMESTAMPTZ", "timestamp_ntz": "TIMESTAMP",
}


def cases(path):
    """Headings with their steps; what stands before the first heading belongs to all."""
    shared, found, lines = [], [], iter(path.read_text().split("\n"))
    steps = shared
    for line in lines:
        if line.startswith("## "):
            steps = list(shared)
            found.append((path.name, line[3:], steps))
        elif line.startswith("```") and line.strip("`"):
            fence = line[: len(line) - len(line.lstrip("`"))]
            info, body = line.strip("`").split(maxsplit=1), []
            for inside in lines:
                if inside == fence:
                    break
                body.append(inside)
            if info[0] == "sh":
                steps += [("command", command) for command in body if command.startswith("alluvium ")]
            elif len(info) > 1:
                steps.append(("file", info[1], "\n".join(body) + "\n"))
    return found


def type_of(found):
    """A type of Delta in the names that `check` uses."""
    if isinstance(found, str):
        decimal = re.fullmatch(r"decimal\((\d+), ?(\d+)\)", found)
        return f"DECIMAL({decimal[1]},{decimal[2]})" if decimal else PRIMITIVES[found]
    if found["type"] == "array":
        return f"ARRAY<{type_of(found['elementType'])}>"
    if found["type"] == "map":
        return f"MAP<{type_of(found['keyType'])},{type_of(found['valueType'])}>"
    return "STRUCT<" + ",".join(f"{field['name']}:{type_of(field['type'])}" for field in found["fields"]) + ">"


def plain(name):
    return re.sub(r"\s*([,:<>()])\s*", r"\1", name)


def compare(case, cli):
    """How many nodes agree, are unknown, and what differs."""
    file, heading, steps = case
    agree, unknown, differ = 0, 0, []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, "project")
        folder.mkdir()
        if not any(step[0] == "file" and step[1].endswith("project.yml") for step in steps):
            (folder / "project.yml").write_text("name: example\n")

        def run(words):
            environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
            return subprocess.run([cli, *words], cwd=folder, env=environment | {"HOME": scratch}, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)

        for step in steps:
            if step[0] == "file":
                place = folder / step[1]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(step[2])
                continue
            try:
                words = shlex.split(step[1])[1:]
            except ValueError:
                continue
            if any(word in ("--watch", "|", ">", "&") for word in words):
                continue
            ended = run(words)
            built = folder / "target" / "run_results.json"
            command = next((word for word in words if word in BUILDS), None)
            if ended.returncode != 0 or command is None or "--target-path" in words or "--empty" in words or not built.exists():
                continue
            results = json.loads(built.read_text())["results"]
            manifest = json.loads((folder / "target" / "manifest.json").read_text())["nodes"]
            context = [word for at, word in enumerate(words) for flag in ("--target", "-t", "--vars", "--project-dir", "--profiles-dir", "--profile") if word == flag or at and words[at - 1] == flag or word.startswith(flag + "=")]
            # The tables that incremental models and snapshots add to are known from the lock.
            lock = folder / "sources.lock"
            was_locked = lock.exists()
            run(["sources", "lock", "--target-path", "checked", *context])
            run(["check", "--target-path", "checked", "--format", "json", *context])
            if not was_locked:
                lock.unlink(missing_ok=True)
            said = folder / "checked" / "lineage.json"
            if not said.exists():
                continue
            lineage = json.loads(said.read_text())["nodes"]
            for result in results:
                node, known = manifest.get(result["unique_id"]), lineage.get(result["unique_id"])
                if node is None or result["status"] != "success" or node["resource_type"] not in ("model", "seed", "snapshot"):
                    continue
                tables = [log.parent for log in folder.rglob("_delta_log") if log.parts[-3:-1] == (node["schema"], node["alias"])]
                if len(tables) != 1:
                    continue
                if known is None or not known.get("known"):
                    unknown += 1
                    continue
                fields = json.loads(deltalake.DeltaTable(str(tables[0])).schema().to_json())["fields"]
                table = [(field["name"], type_of(field["type"])) for field in fields]
                checked = [(column["name"], plain(column["type"])) for column in known["columns"]]
                enforced = (node["config"].get("contract") or {}).get("enforced")
                # NOT NULL is a constraint of the contract, or stands in the SQL of a materialization.
                declared = {
                    name.lower()
                    for name, column in node["columns"].items()
                    if enforced and any(constraint["type"] in ("not_null", "primary_key") for constraint in column.get("constraints") or [])
                }
                if enforced:
                    keys = [constraint for constraint in node.get("constraints") or [] if constraint["type"] in ("not_null", "primary_key")]
                    declared |= {name.lower() for constraint in keys for name in constraint.get("columns") or []}
                wanted = {field["name"].lower() for field in fields if not field["nullable"]}
                where = f"{file}: {heading}: {result['unique_id']} after `{step[1]}`"
                if table != checked:
                    differ.append(f"{where}\n  check {checked}\n  table {table}")
                elif declared != wanted:
                    differ.append(f"{where}\n  declared NOT NULL {sorted(declared)}\n  table {sorted(wanted)}")
                else:
                    agree += 1
    return agree, unknown, differ


def attempt(arguments):
    case, cli = arguments
    try:
        return compare(case, cli)
    except Exception as error:  # a case that can't be followed is told, and is a difference
        return 0, 0, [f"{case[0]}: {case[1]}: {type(error).__name__}: {error}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--only", default="", help="headings that hold this text")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent.parent / "cases"
    found = [case for path in options.files or sorted(folder.glob("*.md")) for case in cases(path) if options.only in case[1] and case[1] not in LEFT_OUT]
    cli = str(pathlib.Path(options.cli).resolve())
    totals = collections.Counter()
    with multiprocessing.Pool(2) as pool:
        for agree, unknown, differ in pool.imap(attempt, [(case, cli) for case in found]):
            totals.update(agree=agree, unknown=unknown, differ=len(differ))
            for one in differ:
                print(one, flush=True)
    for heading, reason in LEFT_OUT.items():
        print(f"left out: {heading}: {reason}")
    print(f"{totals['agree']} nodes agree, {totals['unknown']} are not known to check, {totals['differ']} differ, in {len(found)} cases")
    return 1 if totals["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
