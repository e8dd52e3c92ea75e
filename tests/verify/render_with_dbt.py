"""Runs literate cases with Python dbt (on DuckDB) and with alluvium, and compares what templates made.

    python3 -m venv .venv && .venv/bin/pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.10.*'
    .venv/bin/python tests/verify/render_with_dbt.py --cli target/debug/alluvium [tests/cases/jinja-language.md ...]

Every heading of the given files is a project of its own. It is written twice, as the same dbt project with a DuckDB profile;
alluvium gets a folder as its warehouse. The commands of the case run in both, one after the other. After each, these are
compared: whether it ended well, what `log(.., info=true)`, `print` and warnings said, every file below target/compiled (but
for white space at the ends of lines and of the file), the rows of `alluvium sql` and `show`, what `ls` lists, the statuses in `run_results.json`
and `sources.json`, what `catalog.json` holds, and which files lie in the project's folder. At the end every table and view of both is compared,
value by value. In the files of `AS_IS` both run the commands exactly as they stand, and what they print and log is compared in its
form (nothing, text or JSON, with colours or without) and in the lines that both have.

What differs and is meant to stands in `render_meant.py` with its reason, text by text. Headings whose prose says `Differs from
dbt` are left out, and counted; of the files in `SOME` the cases that stand there are taken. `--only TEXT` takes the headings that hold a text, `--jobs N` runs N cases at once. Ends with 1 if anything else differs.
"""

import argparse
import concurrent.futures
import datetime
import decimal
import itertools
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
import render_left
import yaml
from render_meant import ASKED_BEFORE, FINE, FOR_DBT, LEFT_OUT, MEANT, OWN_TEXT, SOME

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
    "beside-dbt.md",
    "commands.md",
    "config.md",
    "flags.md",
    "flags-more.md",
    "logging.md",
    "packages.md",
    "state.md",
    "data-tests.md",
    "artifacts.md",
    "semantics.md",
    "older-spellings.md",
    "flags-environment.md",
    "docs-generate.md",
    "contracts.md",
    "seeds.md",
    "sources.md",
    "freshness.md",
    "test-options.md",
    "unit-tests.md",
    "versions.md",
    "functions.md",
    "paths.md",
    "snapshots.md",
    "materializations.md",
    "behaviour-flags.md",
    "exit-codes.md",
    "targets.md",
    "config-meanings.md",
    "show.md",
    "run-time-errors.md",
    "odd-names.md",
    "layers.md",
    "config-keys.md",
    "microbatch.md",
    *SOME,
]
AS_IS = ("commands.md", "flags.md", "flags-more.md", "flags-environment.md", "logging.md", "beside-dbt.md")
COMMANDS = ("compile", "run", "seed", "build", "test", "snapshot", "run-operation", "parse", "deps", "clean", "clone", "retry", "source", "docs", "debug")
SPEAKING = ("deps", "clean", "debug", "docs")  # what these say of themselves is each program's own
SERVING = ("docs", "serve")  # which in dbt goes on until it is stopped
LISTS = ("ls", "list")
OURS_ALONE = ("targets", "layers", "naming", "audits")
AS_SETS = (" leaves", " logs", ": statuses", ": catalog", " prints", "relations")
FILTERED = re.compile(
    r"(cast\((?P<cast>\w+) as timestamp\)|\b(?P<column>\w+)) (?P<sign>>=|<) (cast\()?'(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.0+|\+00:00)'( as timestamp\))?"
)
NOW = "during the run"
DAYS = tuple((datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).strftime("%Y-%m-%dT") for days in (0, 1))
READING = re.compile(r"\bread_(csv|json|parquet)\('")
QUERY = re.compile(r"\s*(select|with|from|values|show|describe)\b", re.IGNORECASE)
SAID = ("JinjaLogInfo", "JinjaLogWarning", "PrintEvent")


def outputs(folder, targets):
    """Targets as both programs read them: all in one file of DuckDB, or one warehouse."""
    own = {"type": "duckdb", "path": str(folder / "alluvium.duckdb")}
    settings = {name: target for name, target in targets.items() if isinstance(target, dict)}
    return {
        name: own | {"schema": target.get("schema", "main"), "threads": target.get("threads", 1)}
        for name, target in (settings or {"default": {}}).items()
    }


def profiles(folder, text):
    """A file of profiles, in which ours are DuckDB's."""
    held = yaml.safe_load(text)
    for profile in held.values():
        for name, output in profile.get("outputs", {}).items():
            if output.get("type") == "alluvium":
                profile["outputs"] |= outputs(folder, {name: output})
    return yaml.safe_dump(held)


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
                commands = commands_of("\n".join(body).replace("\\\n", " "))
                target["steps"] += [("command", command) for command in commands if re.match(r"(\w+=(\"[^\"]*\"|[^\s\"]*) +)*(alluvium|rm|cp) ", command)]
            elif len(info) > 1:
                target["steps"].append(("file", info[1], "\n".join(body) + "\n"))
        else:
            target["prose"] += line + "\n"
        at += 1
    return found


def commands_of(text):
    """Commands, each with all its lines: what stands in quotes may go over several."""
    commands, command = [], ""
    for line in text.split("\n"):
        command = f"{command}\n{line}" if command else line
        if command.count('"') % 2 == 0:
            commands.append(command)
            command = ""
    return commands


def project_of(folder, text):
    """A project file as both programs read it, and its targets as profiles."""
    project = yaml.safe_load(text) or {}
    targets = dict(project.get("targets") or {})
    made = outputs(folder, targets)
    default = targets.get("default")
    targets = {"example": {"target": default if isinstance(default, str) else next(iter(made)), "outputs": made}}
    for key in OURS_ALONE:
        project.pop(key, None)
    return {"version": "1.0", "profile": "example"} | project, targets


def files_of_sources(text):
    """Properties in which sources over files are said as dbt-duckdb reads them."""
    held = yaml.safe_load(text)
    for source in held.get("sources") or [] if isinstance(held, dict) else []:
        for table in source.get("tables") or []:
            if isinstance(table.get("external"), dict):
                table["config"] = (table.get("config") or {}) | {"meta": {"external_location": reading(table["external"], table.get("columns") or [])}}
                text = yaml.safe_dump(held, sort_keys=False)
    return text


def reading(external, columns):
    """The call that reads files in DuckDB."""
    location, options = external.get("location", ""), external.get("options") or {}
    format = external.get("format") or {".json": "json", ".jsonl": "json", ".parquet": "parquet"}.get(pathlib.PurePath(location).suffix, "csv")
    if location.endswith("/") or "." not in location.rsplit("/", 1)[-1]:
        location = f"{location.rstrip('/')}/**/*.{format}"
    named = {"delimiter": "delim", "null_value": "nullstr"}
    told = [f"{named.get(name, name)} = {value if isinstance(value, bool) else literal(value)}" for name, value in options.items()]
    if format != "parquet" and columns and all("data_type" in column for column in columns):
        types = [f"{column['name']} := {literal(column['data_type'])}" for column in columns]
        names = "types" if format == "csv" and options.get("header", True) else "columns"
        told.append(f"{names} = struct_pack({', '.join(types)})")
    return f"read_{format}({', '.join([literal(location), *told, *['union_by_name = true'] * ('*' in location)])})"


def literal(text):
    return "'" + str(text).replace("'", "''") + "'"


def write(folder, name, text, is_dbt):
    file = pathlib.PurePath(name).name
    if file in ("project.yml", "dbt_project.yml"):
        project, targets = project_of(folder, text)
        if name == file and project["profile"] == "example":
            (folder / "profiles.yml").write_text(yaml.safe_dump(targets))
        name, text = str(pathlib.PurePath(name).with_name("dbt_project.yml")), yaml.safe_dump(project, sort_keys=False)
    elif file == "profiles.yml":
        text = profiles(folder, text)
    elif is_dbt and "external:" in text and file.endswith((".yml", ".yaml")):
        text = files_of_sources(text)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def compiled(folder):
    texts = {}
    roots = [root for root in folder.rglob("compiled") if root.is_dir()]
    for root, path in sorted((root, path) for root in roots for path in root.rglob("*")):
        # dbt keeps the texts of a run's hooks too, alluvium only those of nodes.
        if path.is_file() and path.parent.name not in ("hooks", "sql"):
            text = path.read_text().strip()
            # The words of tests that come with the program are dbt's, its lines are not.
            text = re.sub(r'"[^"]*__dbt_tmp\d{20}"', "TEMP", text)
            text = FILTERED.sub(filtered, text)
            lines = [" ".join(text.split())] if path.parent.suffix in (".yml", ".yaml") else [line.rstrip() for line in text.split("\n")]
            place = str(path.relative_to(root))
            texts[place if root.parent.name == "target" else f"{root.parent.relative_to(folder)}: {place}"] = "\n".join(lines)
    return texts


def filtered(found):
    """The rows of a stretch of time, in words of neither program."""
    return f"{found['column'] or found['cast']} {found['sign']} '{found['time']}'"


def plain(value):
    """A value as both sides can be compared: numbers by their value, the rest as texts."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        number = f"{float(value):.9g}"
        return "0" if number == "-0" else number
    if str(value).startswith("[") and isinstance(value, str):  # a list as `show` of dbt prints it
        try:
            return plain(json.loads(value))
        except json.JSONDecodeError:
            return value
    if isinstance(value, datetime.datetime):
        return plain(value.isoformat().replace("+00:00", "Z"))
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if re.fullmatch(r"-?\d+\.\d+", str(value)):  # a decimal in JSON
        return f"{float(value):.9g}"
    return NOW if str(value).startswith(DAYS) and "T" in str(value) else str(value)


def rows_of(columns, rows, ordered):
    """Rows as lines; the id of a row of a snapshot that is made of the time of the run is not compared."""
    rows = [[plain(value) for value in row] for row in rows]
    if "dbt_scd_id" in columns:
        rows = [[NOW if name == "dbt_scd_id" and NOW in row else value for name, value in zip(columns, row)] for row in rows]
    lines = [json.dumps(row) for row in rows]
    return "\n".join([json.dumps(list(columns)), *(lines if ordered else sorted(lines))])


class Dbt:
    """Python dbt; each command in a process of its own, because dbt keeps its connection to DuckDB."""

    def __init__(self, folder):
        self.folder = folder

    def invoke(self, *arguments, environment={}):
        """Whether the command ended well, what it said or listed, and why it did not; the rows that it showed stand in `rows`."""
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=self.child, args=(theirs, arguments, environment))
        child.start()
        theirs.close()
        try:
            *answer, self.rows = ours.recv()
        except EOFError:
            answer, self.rows = (2, "", "no answer"), ([], [])
        child.join()
        self.printed = self.output().read_text()
        self.output().unlink()
        return answer

    def output(self):
        return self.folder.with_name(self.folder.name + ".printed")

    def child(self, pipe, arguments, environment):
        os.chdir(self.folder)
        # What is kept of the parse before may hold tests of entries that are gone.
        own = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PARTIAL_PARSE": "false", "TZ": "UTC"}
        os.environ |= own | environment
        with open(self.output(), "w") as output:
            os.dup2(output.fileno(), 1)
        from dbt.cli.main import dbtRunner

        said, wrong = [], []

        def heard(event):
            if event.info.name in SAID:
                said.append(event.data.msg)
            if event.info.level == "error":
                wrong.append(event.info.msg)

        result = dbtRunner(callbacks=[heard]).invoke(list(arguments))
        sys.stdout.flush()
        code = 0 if result.success else 2 if result.exception else 1
        if verb_of(arguments) in LISTS and isinstance(result.result, list):
            said = [str(line) for line in result.result]
        tables = [found.agate_table for found in getattr(result.result, "results", []) if getattr(found, "agate_table", None)]
        rows = [(list(table.column_names), [list(row) for row in table.rows]) for table in tables if verb_of(arguments) == "show"]
        pipe.send((code, "\n".join(said), str(result.exception or "\n".join(wrong)), rows[0] if rows else ([], [])))
        pipe.close()

    def query(self, text):
        """Columns and rows, or an error."""
        with duckdb.connect(str(self.folder / "alluvium.duckdb")) as connection:
            try:
                connection.execute("set timezone = 'UTC'")
                # Views over files name them from the project's folder, where dbt was when it made them.
                connection.execute("set file_search_path = '" + str(self.folder).replace("'", "''") + "'")
                found = connection.execute(text)
                if found is None or found.description is None:
                    return [], [], ""
                return [column[0] for column in found.description], found.fetchall(), ""
            except duckdb.Error as error:
                return [], [], str(error)

    def show(self, arguments, environment):
        code, _, wrong = self.invoke("show", *arguments, environment=environment)
        return *self.rows, (wrong or "it failed") if code else ""


class Alluvium:
    def __init__(self, folder, cli):
        self.folder, self.cli = folder, cli

    def run(self, *arguments, environment={}):
        surroundings = os.environ | {"ALLUVIUM_WAREHOUSE": str(self.folder / "warehouse"), "TZ": "UTC"} | environment
        return subprocess.run([self.cli, *arguments], cwd=self.folder, env=surroundings, capture_output=True, text=True)

    def invoke(self, *arguments, environment={}):
        done = self.run(*arguments, "--log-format", "json", "--log-level", "info", environment=environment)
        said, wrong = [], []
        for line in done.stdout.split("\n"):
            if verb_of(arguments) in LISTS and line and not line.startswith('{"info"'):
                said.append(line)
            if line.startswith('{"info"'):
                event = json.loads(line)
                if event["info"]["name"] in SAID:
                    said.append(event["data"]["msg"])
                if event["info"]["level"] == "error":
                    wrong.append(event["info"]["msg"])
        return done.returncode, "\n".join(said), "\n".join(wrong) or done.stderr

    def table(self, *arguments, environment={}):
        done = self.run(*arguments, "--output", "json", environment=environment)
        if done.returncode:
            return [], [], done.stdout + done.stderr
        if not done.stdout.strip():
            return [], [], ""
        found = json.loads(done.stdout.strip().split("\n")[-1])
        if "columns" not in found:
            return list((found.get("show") or [{}])[0]), [list(row.values()) for row in found.get("show", [])], ""
        return [column["name"] for column in found["columns"]], found["rows"], ""

    def query(self, text):
        """Columns and rows, or an error."""
        profiles = sorted(self.folder.rglob("profiles.yml"))
        return self.table("sql", text, *(["--profiles-dir", str(profiles[0].parent)] if profiles else []))

    def show(self, arguments, environment):
        """Lists are texts, as dbt has them when it shows them."""
        columns, rows, wrong = self.table("show", "--quiet", *arguments, environment=environment)
        return columns, [[str(value) if isinstance(value, list) else value for value in row] for row in rows], wrong


class Comparison:
    """What differs in one case, but for what is meant to."""

    def __init__(self, case):
        self.own_text = OWN_TEXT.get((case["file"], case["name"]), {})
        self.meant = MEANT.get((case["file"], case["name"]), [])
        self.as_is = case["file"] in AS_IS
        self.logged = case["name"].startswith("Hooks of both spellings")
        self.used, self.found, self.their_files = set(), [], set()

    def texts(self, where, theirs, ours):
        left, right = theirs.split("\n"), ours.split("\n")
        if where.endswith(AS_SETS):
            left, right = sorted(set(left) - set(right)), sorted(set(right) - set(left))
        for number in range(max(len(left), len(right))):
            a, b = (side[number] if number < len(side) else "" for side in (left, right))
            if a != b and self.translated(a, b) != b:
                self.found += [f"{where}, line {number + 1}", f"  dbt:      {a}", f"  alluvium: {b}"]

    def ends_meant(self, theirs, ours):
        """Whether a text of each says that one command ended otherwise than the other's, and is meant to."""
        for entry in self.meant:
            if (entry[0] == theirs == FINE and entry[1] in ours) or (entry[1] == ours == FINE and entry[0] in theirs):
                self.used.add(entry)
                return True
        return False

    def translated(self, text, ours):
        for entry in self.meant:
            theirs, mine, _ = entry
            if (theirs in text if theirs else not text) and (mine in ours if mine else not ours):
                self.used.add(entry)
                text = text.replace(theirs, mine)
        return text

    def rows(self, where, ordered, theirs, ours):
        if theirs[2] or ours[2]:
            if not (theirs[2] and ours[2]) and not self.ends_meant(theirs[2] or FINE, ours[2] or FINE):
                self.found += [where, f"  dbt:      {theirs[2] or FINE}", f"  alluvium: {ours[2] or FINE}"]
            return
        self.texts(where, rows_of(*theirs[:2], ordered), rows_of(*ours[:2], ordered))


def relations(side):
    names = "select table_schema || '.' || table_name from information_schema.tables where table_schema not in ('information_schema', '_alluvium')"
    return {row[0] for row in side.query(names)[1]}


def quoted(name):
    return ".".join(f'"{part}"' for part in name.split(".", 1))


def verb_of(arguments):
    return next((word for word in arguments if word in COMMANDS or word in LISTS or word in ("sql", "show", "init")), "")


def without(arguments, *options):
    """Arguments without these options and their values."""
    kept = list(arguments)
    for option in options:
        if option in kept:
            del kept[kept.index(option) : kept.index(option) + 2]
    return kept


def parts(command):
    """The environment, the program, and its arguments."""
    words = shlex.split(re.sub(r" < [\w./-]+$", "", command))
    environment = {}
    while "=" in words[0]:
        name, value = words.pop(0).split("=", 1)
        environment[name] = value
    return environment, words[0], words[1:]


def step(command, theirs, ours, comparison):
    environment, program, arguments = parts(command)
    arguments = without(arguments, "--warehouse")
    verb = verb_of(arguments)
    if tuple(arguments[:2]) == SERVING:
        return
    if program in ("rm", "cp"):
        for side in (theirs, ours):
            words = [re.sub(r"(^|/)project\.yml$", r"\1dbt_project.yml", word) for word in arguments]
            subprocess.run([program, *(["-r"] if program == "cp" else ["-rf"]), *words], cwd=side.folder)
    elif verb in COMMANDS and comparison.as_is:
        a, done = theirs.invoke(*arguments, environment=environment), ours.run(*arguments, environment=environment)
        b = (done.returncode, "", done.stdout + done.stderr)
        ended(command, a, b, comparison)
        if not a[0] and not b[0]:
            comparison.texts(f"`{command}` prints", *(render_left.shown(text, "USE_COLORS" in command.upper().replace("-", "_")) for text in (theirs.printed, done.stdout)))
            for text in filter(None, a[1].split("\n")):
                comparison.texts(f"`{command}` prints `{text}`", str(text in theirs.printed), str(text in done.stdout))
        left_behind(command, a, b, theirs, ours, comparison)
    elif verb in COMMANDS:
        words = [word for word in arguments if word not in ("--quiet", "-q")]
        a, b = (side.invoke(*words, environment=environment) for side in (theirs, ours))
        ended(command, a, b, comparison)
        if verb not in SPEAKING:
            comparison.texts(f"`{command}` says", a[1], b[1])
        left_behind(command, a, b, theirs, ours, comparison)
    elif verb in LISTS:
        words = [word for word in arguments if word not in ("--quiet", "-q")]
        a, b = (side.invoke(*words, environment=environment) for side in (theirs, ours))
        ended(command, a, b, comparison)
        if not a[0] and not b[0]:
            comparison.texts(f"`{command}` lists", listed(a[1]), listed(b[1]))
    elif verb == "sql":
        text = next(word for word in without(arguments, "--target", "--output") if word not in ("sql", "--quiet", "-q"))
        a, b = theirs.query(text), ours.query(text)
        if not QUERY.match(text):  # what a statement tells of its work is each program's own
            a, b = (([], [], side[2]) for side in (a, b))
        comparison.rows(f"`{command}`", "order by" in text, a, b)
    elif verb == "show":
        words = [word for word in without(arguments, "--output", "-o") if word not in ("--quiet", "-q", "show")]
        comparison.rows(f"`{command}`", False, *(side.show(words, environment) for side in (theirs, ours)))
    elif {"--version", "-V", "-v"} & set(arguments):
        pass  # each names its own
    elif verb == "init":
        a, b = theirs.invoke(*arguments, environment=environment), ours.run(*arguments, environment=environment)
        ended(command, a, (b.returncode, "", b.stdout + b.stderr), comparison)
        made = [yaml.safe_load(path.read_text())["name"] for side in (theirs, ours) for path in side.folder.glob("*/*project.yml")]
        if len(made) != 2 or made[0] != made[1]:
            comparison.found.append(f"`{command}` makes the projects {made}")
    else:
        comparison.found.append(f"`{command}` is not compared")


def ended(command, theirs, ours, comparison):
    if bool(theirs[0]) != bool(ours[0]) and not comparison.ends_meant(*(side[2] if side[0] else FINE for side in (theirs, ours))):
        comparison.found += [f"`{command}` ends", f"  dbt:      {theirs[0]} {theirs[2]}", f"  alluvium: {ours[0]} {ours[2]}"]


def left_behind(command, a, b, theirs, ours, comparison):
    """Compares what lies below the two folders after a command."""
    if not a[0] and not b[0]:
        left, right = compiled(theirs.folder), compiled(ours.folder)
        unread = {name for name in right if name.rsplit("/", 1)[-1] in render_left.snapshots(ours.folder)}
        unread |= {name for name, text in left.items() if READING.search(text)} | render_left.in_batches(right)
        unread |= render_left.unit_tests({*left, *right})
        for name in sorted((left.keys() | right.keys()) - comparison.own_text.keys() - unread):
            comparison.texts(f"`{command}`: {name}", left.get(name, ""), right.get(name, ""))
        if "--inline" not in command:  # which writes no artifacts here
            comparison.texts(f"`{command}` leaves", render_left.files(theirs.folder, comparison.their_files), render_left.files(ours.folder))
        comparison.texts(f"`{command}`: catalog", render_left.catalog(theirs.folder), render_left.catalog(ours.folder))
    if a[0] != 2 and b[0] != 2:
        comparison.texts(f"`{command}`: statuses", render_left.statuses(theirs.folder), render_left.statuses(ours.folder))
    if comparison.logged:
        comparison.texts(f"`{command}` logs", *(render_left.statements(side.folder, compiled(side.folder).values()) for side in (theirs, ours)))
    if comparison.as_is and a[0] != 2 and b[0] != 2:
        comparison.texts(f"`{command}` logs", render_left.logged(theirs.folder), render_left.logged(ours.folder))


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
            write(side.folder, "project.yml", "name: example\n", False)
        for name, text in FOR_DBT.get(case["file"], {}).items():
            write(theirs.folder, name, text, True)
            comparison.their_files.add(name)
        made_before = set()
        if text := ASKED_BEFORE.get((case["file"], case["name"])):
            theirs.query(text)
            made_before = relations(theirs)
        changed = False
        for kind, *rest in case["steps"]:
            if kind == "file":
                for side in (theirs, ours):
                    write(side.folder, *rest, side is theirs)
                changed = changed or rest[0] == "packages.yml" and case["file"] != "packages.md"
            else:
                if changed:
                    for side in (theirs, ours):
                        side.invoke("deps")
                    changed = False
                step(rest[0], theirs, ours, comparison)
        if (theirs.folder / "alluvium.duckdb").exists():
            right = relations(ours)
            left = relations(theirs) - (made_before - right)
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
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent.parent / "cases"
    cli = str(pathlib.Path(options.cli).resolve())
    import dbt.cli.main  # once, for all the processes that follow

    taken, left_out = [], 0
    for path in options.files or [folder / name for name in FILES]:
        for case in cases(path):
            if options.only not in case["name"] or case["name"] not in SOME.get(path.name, (case["name"],)):
                continue
            if "differs from dbt" in case["prose"].lower() or (case["file"], case["name"]) in LEFT_OUT:
                left_out += 1
            else:
                taken.append(case)
    differing = 0
    with concurrent.futures.ProcessPoolExecutor(options.jobs, multiprocessing.get_context("fork")) as pool:
        for case, found in zip(taken, pool.map(compare, taken, itertools.repeat(cli))):
            if found:
                differing += 1
                print(f"{case['file']}: {case['name']}")
                print("\n".join("  " + line for line in found), flush=True)
    print(f"{len(taken) - differing} alike, {differing} different, {left_out} left out")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
