"""Renders the literate cases with Python dbt and with alluvium, and compares the compiled SQL.

    python3 -m venv .venv && .venv/bin/pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.10.*'
    .venv/bin/python tests/verify/render_with_dbt.py --cli target/debug/alluvium [tests/cases/jinja-language.md ...]

Every heading of the given files is a project of its own. The files under analyses/, models/ and macros/ are written twice:
for alluvium with a project file and nothing else, for dbt with a DuckDB profile beside it. Both compile, and what stands in
target/compiled is compared, without regard to white space at the ends of lines and of the file. Commands of a case that
stand before `alluvium compile` (`alluvium run`, `alluvium seed`) are run in both. Headings whose prose says
`Differs from dbt` are not compared, and counted. `--only TEXT` takes the headings that hold a text. Ends with 1 if any
text differs.
"""

import argparse
import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FILES = ["jinja-language.md", "jinja-context.md"]
PROJECT = "name: example\nversion: '1.0'\nprofile: example\n"
PROFILE = "example:\n  target: local\n  outputs:\n    local: {type: duckdb, path: alluvium.duckdb, schema: main, threads: 1}\n"


def cases(path):
    """Headings with their prose, files and commands; what stands before the first heading belongs to all."""
    shared, current, found = {"files": {}, "commands": [], "prose": ""}, None, []
    lines = path.read_text().split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        target = current or shared
        if line.startswith("## "):
            current = {"name": line[3:], "files": dict(shared["files"]), "commands": [], "prose": ""}
            found.append(current)
        elif line.startswith("```") and line != "```":
            info = line[3:].split()
            fence = line[: len(line) - len(line.lstrip("`"))]
            body = []
            at += 1
            while at < len(lines) and lines[at] != fence:
                body.append(lines[at])
                at += 1
            if len(info) > 1 and info[0] != "sh":
                target["files"][info[1]] = "\n".join(body) + "\n"
            elif info[0] == "sh":
                target["commands"] += body
        else:
            target["prose"] += line + "\n"
        at += 1
    return found


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def compiled(folder):
    root = folder / "target" / "compiled" / "example"
    texts = {}
    for path in sorted(root.rglob("*.sql")):
        lines = [line.rstrip() for line in path.read_text().strip().split("\n")]
        texts[str(path.relative_to(root))] = "\n".join(lines)
    return texts


def steps(case):
    wanted = [command.split()[1:] for command in case["commands"] if command.startswith("alluvium ")]
    wanted = [step for step in wanted if step and step[0] in ("compile", "run", "seed", "build")]
    return wanted or [["compile"]]


def with_dbt(folder, case):
    from dbt.cli.main import dbtRunner

    write(folder, {"dbt_project.yml": PROJECT, "profiles.yml": PROFILE} | case["files"])
    here, said = os.getcwd(), io.StringIO()
    os.chdir(folder)
    try:
        for step in steps(case):
            with contextlib.redirect_stdout(said):
                result = dbtRunner().invoke(["--no-send-anonymous-usage-stats", *step])
            if not result.success:
                return {}, str(result.exception or said.getvalue()[-900:])
    finally:
        os.chdir(here)
    return compiled(folder), ""


def with_alluvium(folder, case, cli):
    write(folder, {"project.yml": "name: example\n"} | case["files"])
    for step in steps(case):
        done = subprocess.run([cli, *step], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            return {}, (done.stdout + done.stderr)[-1500:]
    return compiled(folder), ""


def compare(case, cli):
    """The differences of one case, as lines."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        theirs, their_error = with_dbt(pathlib.Path(one), case)
        ours, our_error = with_alluvium(pathlib.Path(two), case, cli)
    if their_error or our_error:
        return [f"dbt: {their_error}"] * bool(their_error) + [f"alluvium: {our_error}"] * bool(our_error)
    found = []
    for name in sorted(theirs.keys() | ours.keys()):
        left, right = theirs.get(name, "").split("\n"), ours.get(name, "").split("\n")
        for number in range(max(len(left), len(right))):
            a, b = (side[number] if number < len(side) else "" for side in (left, right))
            if a != b:
                found += [f"{name}:{number + 1}", f"  dbt:      {a}", f"  alluvium: {b}"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cli", default="target/debug/alluvium")
    parser.add_argument("--only", default="")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent.parent / "cases"
    files = options.files or [folder / name for name in FILES if (folder / name).exists()]
    cli = str(pathlib.Path(options.cli).resolve())
    alike = differing = skipped = 0
    for path in files:
        for case in cases(path):
            if options.only not in case["name"]:
                continue
            if re.search(r"differs from dbt", case["prose"], re.IGNORECASE):
                skipped += 1
                continue
            found = compare(case, cli)
            alike, differing = alike + (not found), differing + bool(found)
            if found:
                print(f"{path.name}: {case['name']}")
                print("\n".join("  " + line for line in found))
    print(f"{alike} alike, {differing} different, {skipped} left out")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
