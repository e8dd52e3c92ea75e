"""Runs literate cases with Python dbt (on DuckDB) and with alluvium, and compares what templates made.

    python3 -m venv .venv && .venv/bin/pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.10.*'
    .venv/bin/python tests/verify/render_with_dbt.py --cli target/debug/alluvium [tests/cases/jinja-language.md ...]

Every heading of the given files is a project of its own. It is written twice, as the same dbt project with a DuckDB profile;
alluvium gets a folder as its warehouse. The commands of the case run in both, one after the other. After each, these are
compared: whether it ended well, what `log(.., info=true)`, `print` and warnings said, every file below target/compiled (but
for white space at the ends of lines and of the file), the rows of `alluvium sql` and `show`, and what `ls` lists. At the end every table and
view of both is compared, value by value.

What differs and is meant to stands in `render_meant.py` with its reason, text by text. Headings whose prose says `Differs from
dbt` are left out, and counted. `--only TEXT` takes the headings that hold a text. Ends with 1 if anything else differs.
"""

import argparse
import csv
import datetime
import decimal
import io
import json
import multiprocessing
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import duckdb
import yaml
from render_meant import LEFT_OUT, MEANT, OWN_TEXT

FILES = [
    "jinja-language.md",
    "jinja-context.md",
    "jinja-adapter.md",
    "jinja-overrides.md",
    "cross-database.md",
    "macro-packages.md",
    "macro-packages-more.md",
    "custom-materializations.md",
    "hooks.md",
    "run-operation.md",
    "selection.md",
    "selection-more.md",
    "selectors.md",
    "ls.md",
    "config-listed.md",
]
COMMANDS = ("compile", "run", "seed", "build", "test", "snapshot", "run-operation", "parse")
LISTS = ("ls", "list")
OURS_ALONE = ("targets", "layers", "naming", "audits")
SAID = ("JinjaLogInfo", "JinjaLogWarning", "PrintEvent")


def profile(target):
    output = {"type": "duckdb", "path": "alluvium.duckdb", "schema": "main", "threads": 1}
    return yaml.safe_dump({"example": {"target": target, "outputs": {target: output}}})


def cases(path):
    """Headings with their prose and steps; what stands before the first heading belongs to all."""
    shared, current, found = {"steps": [], "prose": ""}, None, []
    lines = path.read_text().split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        target = current or shared
        if line.startswith("## "):
            current = {"file": path.name, "name": line[3:], "steps": list(shared["steps"]), "prose": ""}
            found.append(current)
        elif line.startswith("```") and line.strip("`"):
            info = line.strip("`").split(maxsplit=1)
            fence = line[: len(line) - len(line.lstrip("`"))]
            body = []
            at += 1
            while at < len(lines) and lines[at] != fence:
                body.append(lines[at])
                at += 1
            if info[0] == "sh":
                target["steps"] += [("command", command) for command in body if command.startswith("alluvium ")]
            elif len(info) > 1:
                target["steps"].append(("file", info[1], "\n".join(body) + "\n"))
        else:
            target["prose"] += line + "\n"
        at += 1
    return found


def project_of(text):
    """A project file as both programs read it."""
    project = yaml.safe_load(text) or {}
    target = (project.get("targets") or {}).get("default", "default")
    for key in OURS_ALONE:
        project.pop(key, None)
    return {"version": "1.0", "profile": "example"} | project, target


def write(folder, name, text):
    if name in ("project.yml", "dbt_project.yml"):
        project, target = project_of(text)
        write(folder, "profiles.yml", profile(target))
        name, text = "dbt_project.yml", yaml.safe_dump(project, sort_keys=False)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def compiled(folder):
    root = folder / "target" / "compiled"
    texts = {}
    for path in sorted(root.rglob("*")):
        # dbt keeps the texts of a run's hooks too, alluvium only those of nodes.
        if path.is_file() and path.parent.name != "hooks":
            text = path.read_text().strip()
            # The words of tests that come with the program are dbt's, its lines are not.
            text = re.sub(r'"[^"]*__dbt_tmp\d{20}"', "TEMP", text)
            lines = [" ".join(text.split())] if path.parent.suffix in (".yml", ".yaml") else [line.rstrip() for line in text.split("\n")]
            texts[str(path.relative_to(root))] = "\n".join(lines)
    return texts


def plain(value):
    """A value as both sides can be compared: numbers by their value, the rest as texts."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        number = f"{float(value):.9g}"
        return "0" if number == "-0" else number
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if re.fullmatch(r"-?\d+\.\d+", str(value)):  # a decimal in JSON
        return f"{float(value):.9g}"
    return str(value)


def rows_of(columns, rows, ordered):
    lines = [json.dumps([plain(value) for value in row]) for row in rows]
    return "\n".join([json.dumps(list(columns)), *(lines if ordered else sorted(lines))])


class Dbt:
    """Python dbt; each command in a process of its own, because dbt keeps its connection to DuckDB."""

    def __init__(self, folder):
        self.folder = folder

    def invoke(self, *arguments):
        """Whether the command ended well, what it said, and why it did not."""
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=self.child, args=(theirs, arguments))
        child.start()
        theirs.close()
        try:
            answer = ours.recv()
        except EOFError:
            answer = (2, "", "no answer")
        child.join()
        return answer

    def child(self, pipe, arguments):
        from dbt.cli.main import dbtRunner

        said, wrong = [], []

        def heard(event):
            if event.info.name in SAID:
                said.append(event.data.msg)
            if event.info.level == "error":
                wrong.append(event.info.msg)

        os.chdir(self.folder)
        os.environ |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "TZ": "UTC"}
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            result = dbtRunner(callbacks=[heard]).invoke(list(arguments))
        code = 0 if result.success else 2 if result.exception else 1
        if arguments[0] in LISTS and isinstance(result.result, list):
            said = [str(line) for line in result.result]
        pipe.send((code, "\n".join(said), str(result.exception or "\n".join(wrong))))
        pipe.close()

    def query(self, text):
        """Columns and rows, or an error."""
        with duckdb.connect(str(self.folder / "alluvium.duckdb")) as connection:
            try:
                connection.execute("set timezone = 'UTC'")
                found = connection.execute(text)
                if found is None or found.description is None:
                    return [], [], ""
                return [column[0] for column in found.description], found.fetchall(), ""
            except duckdb.Error as error:
                return [], [], str(error)

    def show(self, arguments):
        if "--limit" in arguments:
            del arguments[arguments.index("--limit") : arguments.index("--limit") + 2]
        done = self.invoke("compile", *arguments)
        name = arguments[arguments.index("--select") + 1]
        found = [text for path, text in compiled(self.folder).items() if path.endswith(f"/{name}.sql")]
        return self.query(found[0]) if found else ([], [], done[2])


class Alluvium:
    def __init__(self, folder, cli):
        self.folder, self.cli = folder, cli

    def run(self, *arguments):
        surroundings = os.environ | {"ALLUVIUM_WAREHOUSE": "warehouse", "TZ": "UTC"}
        return subprocess.run([self.cli, *arguments], cwd=self.folder, env=surroundings, capture_output=True, text=True)

    def invoke(self, *arguments):
        done = self.run(*arguments, "--log-format", "json", "--log-level", "info")
        said, wrong = [], []
        for line in done.stdout.split("\n"):
            if arguments[0] in LISTS and line and not line.startswith('{"info"'):
                said.append(line)
            if line.startswith('{"info"'):
                event = json.loads(line)
                if event["info"]["name"] in SAID:
                    said.append(event["data"]["msg"])
                if event["info"]["level"] == "error":
                    wrong.append(event["info"]["msg"])
        return done.returncode, "\n".join(said), "\n".join(wrong) or done.stderr

    def table(self, *arguments):
        done = self.run(*arguments, "--output", "json")
        if done.returncode:
            return [], [], done.stdout + done.stderr
        if not done.stdout.strip():
            return [], [], ""
        found = json.loads(done.stdout.strip().split("\n")[-1])
        if "columns" not in found:
            return list((found.get("show") or [{}])[0]), [list(row.values()) for row in found.get("show", [])], ""
        return [column["name"] for column in found["columns"]], found["rows"], ""

    def query(self, text):
        return self.table("sql", text)

    def show(self, arguments):
        limit = [] if "--limit" in arguments else ["--limit", "-1"]
        return self.table("show", "--quiet", *arguments, *limit)


class Comparison:
    """What differs in one case, but for what is meant to."""

    def __init__(self, case):
        self.own_text = OWN_TEXT.get((case["file"], case["name"]), {})
        self.meant = MEANT.get((case["file"], case["name"]), [])
        self.used, self.found = set(), []

    def texts(self, where, theirs, ours):
        left, right = theirs.split("\n"), ours.split("\n")
        for number in range(max(len(left), len(right))):
            a, b = (side[number] if number < len(side) else "" for side in (left, right))
            if a != b and self.translated(a, b) != b:
                self.found += [f"{where}, line {number + 1}", f"  dbt:      {a}", f"  alluvium: {b}"]

    def translated(self, text, ours):
        for entry in self.meant:
            theirs, mine, _ = entry
            if theirs in text and mine in ours:
                self.used.add(entry)
                text = text.replace(theirs, mine)
        return text

    def rows(self, where, ordered, theirs, ours):
        if theirs[2] or ours[2]:
            if not (theirs[2] and ours[2]):
                self.found += [where, f"  dbt:      {theirs[2] or 'fine'}", f"  alluvium: {ours[2] or 'fine'}"]
            return
        self.texts(where, rows_of(*theirs[:2], ordered), rows_of(*ours[:2], ordered))


def relations(side):
    names = "select table_schema || '.' || table_name from information_schema.tables where table_schema not in ('information_schema', '_alluvium')"
    return {row[0] for row in side.query(names)[1]}


def quoted(name):
    return ".".join(f'"{part}"' for part in name.split(".", 1))


def step(command, theirs, ours, comparison):
    arguments = shlex.split(command.split(" < ")[0])[1:]
    verb, rest = arguments[0], [word for word in arguments[1:] if word != "--quiet"]
    if verb in COMMANDS:
        a, b = theirs.invoke(verb, *rest), ours.invoke(verb, *rest)
        if bool(a[0]) != bool(b[0]):
            comparison.found += [f"`{command}` ends", f"  dbt:      {a[0]} {a[2]}", f"  alluvium: {b[0]} {b[2]}"]
        comparison.texts(f"`{command}` says", a[1], b[1])
        if not a[0] and not b[0]:
            left, right = compiled(theirs.folder), compiled(ours.folder)
            for name in sorted((left.keys() | right.keys()) - comparison.own_text.keys()):
                comparison.texts(f"`{command}`: {name}", left.get(name, ""), right.get(name, ""))
    elif verb in LISTS:
        a, b = theirs.invoke(verb, *rest), ours.invoke(verb, *rest)
        if bool(a[0]) != bool(b[0]):
            comparison.found += [f"`{command}` ends", f"  dbt:      {a[0]} {a[2]}", f"  alluvium: {b[0]} {b[2]}"]
        comparison.texts(f"`{command}` lists", listed(a[1]), listed(b[1]))
    elif verb in ("sql", "show"):
        for option in ("--output", "-o"):
            if option in rest:
                del rest[rest.index(option) : rest.index(option) + 2]
        if verb == "sql":
            comparison.rows(f"`{command}`", "order by" in rest[0], theirs.query(rest[0]), ours.query(rest[0]))
        else:
            comparison.rows(f"`{command}`", False, theirs.show(list(rest)), ours.show(list(rest)))


def listed(text):
    """Lines of a list in order; those that are JSON without regard to the order of their keys."""
    lines = [json.dumps(json.loads(line), sort_keys=True) if line.startswith("{") else line for line in text.split("\n")]
    return "\n".join(sorted(lines))


def compare(case, cli):
    """The differences of one case, as lines."""
    comparison = Comparison(case)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        theirs, ours = Dbt(pathlib.Path(one)), Alluvium(pathlib.Path(two), cli)
        for side in (theirs, ours):
            write(side.folder, "project.yml", "name: example\n")
        changed = False
        for kind, *rest in case["steps"]:
            if kind == "file":
                for side in (theirs, ours):
                    write(side.folder, *rest)
                changed = changed or rest[0] == "packages.yml"
            else:
                if changed:
                    theirs.invoke("deps")
                    changed = False
                step(rest[0], theirs, ours, comparison)
        if (theirs.folder / "alluvium.duckdb").exists():
            left, right = relations(theirs), relations(ours)
            comparison.texts("relations", "\n".join(sorted(left)), "\n".join(sorted(right)))
            for name in sorted(left & right):
                comparison.rows(name, False, *(side.query(f"select * from {quoted(name)}") for side in (theirs, ours)))
    for entry in comparison.meant:
        if entry not in comparison.used:
            comparison.found.append(f"what is meant to differ does not: {entry[0]} -> {entry[1]}")
    return comparison.found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", default="target/debug/alluvium")
    parser.add_argument("--only", default="")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent.parent / "cases"
    files = options.files or [folder / name for name in FILES]
    cli = str(pathlib.Path(options.cli).resolve())
    import dbt.cli.main  # once, for all the processes that follow

    alike = differing = left_out = 0
    for path in files:
        for case in cases(path):
            if options.only not in case["name"]:
                continue
            if "differs from dbt" in case["prose"].lower() or (case["file"], case["name"]) in LEFT_OUT:
                left_out += 1
                continue
            found = compare(case, cli)
            alike, differing = alike + (not found), differing + bool(found)
            if found:
                print(f"{path.name}: {case['name']}")
                print("\n".join("  " + line for line in found), flush=True)
    print(f"{alike} alike, {differing} different, {left_out} left out")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
