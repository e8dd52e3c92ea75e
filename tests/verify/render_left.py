"""What a command leaves behind and shows, in a form that Python dbt and alluvium have in common (for `render_with_dbt.py`)."""

import json
import os
import re

# Files of a warehouse, of what each keeps for itself, and of dbt's that nobody reads here.
OWN_FILES = re.compile(
    r"(^|/)(warehouse|\.git)/|\.duckdb(\.wal)?$|\.memo$|(^|/)(partial_parse\.msgpack|perf_info\.json|semantic_manifest\.json|graph\.gpickle|graph_summary\.json|\.user\.yml|index\.html|lineage\.json)$"
    r"|(^|/)(compiled|run)/([^/]+/)*(hooks|from remote system\.sql)/|(^|/)run/([^/]+/)*[^/]+\.csv$"
)
BATCH = re.compile(r"/[^/]+_\d{4}(-\d\d){0,2}(T\d\d)?\.sql$")
UNIT_TESTS = re.compile(r"\.ya?ml/models/[^/]+\.sql$")
STEPS = re.compile(r"^\d+ of \d+ (START|OK|ERROR|PASS|FAIL|WARN|SKIP|NO-OP|CANCEL)\b")
ENDS = ("Done. PASS", "Completed ", "Nothing to do")
THREADS = "Concurrency: "
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CLOCK = re.compile(r"^(\d\d:\d\d:\d\d(\.\d+)? (\[\w+ ?\] \[[^]]*\]:)? ?)")


def files(folder, besides=()):
    """The paths of all files below a folder, but for those of `OWN_FILES` and some besides."""
    found, kept = [], snapshots(folder)
    for root, _, names in os.walk(folder, followlinks=True):
        found += [os.path.relpath(os.path.join(root, name), folder) for name in names]
    unread = {name for name in found if "compiled/" in name and name.rsplit("/", 1)[-1] in kept} | in_batches(found) | unit_tests(name for name in found if "/" in name)
    return "\n".join(sorted(name for name in found if name not in besides and not OWN_FILES.search(name) and name not in unread))


def in_batches(names):
    """The compiled files of models that are built in batches: alluvium writes the whole too, dbt that of each batch only."""
    names = set(names)
    return {name for name in names if not name.startswith("run/") and "/run/" not in name and any(BATCH.match(other[len(name) - 4 :]) for other in names if other.startswith(name[:-4] + "/"))}


def unit_tests(names):
    """The compiled files of unit tests, whose text is each program's own, and those of their rows, which dbt writes beside them."""
    names = list(names)
    made = {name for name in names if UNIT_TESTS.search(name)}
    folders = {name[: name.rindex("/models/") + 1] for name in made}
    return made | {name for name in names if name[: name.rindex("/") + 1] in folders}


def snapshots(folder):
    """The files of compiled snapshots: alluvium writes their SQL too, dbt doesn't."""
    nodes = [json.loads(path.read_text())["nodes"].values() for path in folder.rglob("manifest.json")]
    found = [node for some in nodes for node in some if node["resource_type"] == "snapshot"]
    return {name for node in found for name in (node["name"] + ".sql", node["path"].rsplit("/", 1)[-1])}


def statuses(folder):
    """Of every `run_results.json` and `sources.json` the status of each node, and what was found of tests."""
    lines = []
    for path in sorted([*folder.rglob("run_results.json"), *folder.rglob("sources.json")]):
        for result in json.loads(path.read_text()).get("results", []):
            told = [result["unique_id"], result["status"], result.get("failures"), result.get("max_loaded_at"), result.get("criteria")]
            lines.append(f"{path.relative_to(folder)}: {json.dumps(told)}")
    return "\n".join(sorted(lines))


def catalog(folder):
    """Of every `catalog.json` the nodes and the names of their columns in order."""
    lines = []
    for path in sorted(folder.rglob("catalog.json")):
        held = json.loads(path.read_text())
        for kind in ("nodes", "sources"):
            for name, node in held[kind].items():
                columns = sorted(node["columns"].values(), key=lambda column: column["index"])
                told = [name, node["metadata"]["schema"], node["metadata"]["name"], [column["name"] for column in columns]]
                lines.append(f"{path.relative_to(folder)}: {json.dumps(told)}")
    return "\n".join(sorted(lines))


def shown(text, colours):
    """The form of what a command printed or logged, and those of its lines that both programs have.

    Whether it is coloured is part of it only where that was asked for: left alone dbt colours what goes to a file too."""
    plain = COLOURS.sub("", text)
    lines = [line for line in plain.split("\n") if line.strip()]
    structured = bool(lines) and all(line.startswith("{") for line in lines)
    if structured:
        lines = [json.loads(line)["info"]["msg"] for line in lines]
    found, threads = [], []
    for line in lines:
        line = CLOCK.sub("", COLOURS.sub("", line)).strip().replace(" 1 threads", " 1 thread").replace("data test", "test")
        if STEPS.match(line):
            found.append(re.sub(r" \.{2,} ", " ", line) if line.endswith("[RUN]") else re.sub(r"\.* *\[.*|\.{2,}.*", "", line).strip())
        elif line.startswith("Finished running "):
            found.append("Finished " + ", ".join(sorted(re.sub(r" in \d.*", "", line)[len("Finished running ") :].split(", "))))
        elif line.startswith(ENDS):
            found.append(line)
        elif line.startswith(THREADS):
            threads = [line]
        elif line.startswith("On model.") and not line.endswith((" BEGIN", " COMMIT", " ROLLBACK", " Close")):
            # The comment that dbt puts before each statement where the project says nothing of one.
            found.append(re.sub(r' */\* \{"app": .*', "", line.split("\n")[0]).strip())
    form = [f"empty: {not text.strip()}", f"json: {structured}"] + [f"colours: {plain != text}"] * colours
    # dbt tells of threads where it only compiles, too.
    return "\n".join(form + threads * bool(found) + sorted(found))


def logged(folder):
    """The form of each log file."""
    lines = []
    for path in sorted(folder.rglob("dbt.log")):
        form = shown(path.read_text(), False).split("\n")[:2]
        lines.append(f"{path.relative_to(folder)}: {', '.join(form)}")
    return "\n".join(lines)


def statements(folder, texts):
    """The queries that the log files tell of models, in order, but for those of the models themselves (`texts`): what is left are hooks."""
    own = {" ".join(text.split()) for text in texts}
    found = []
    for path in sorted(folder.rglob("dbt.log")):
        lines = COLOURS.sub("", path.read_text())
        if lines.startswith("{"):
            lines = "\n".join(f"00:00:00 {json.loads(line)['info']['msg']}" for line in lines.splitlines())
        for text in re.findall(r"On model\.\S+: (.*?)(?=\n\d\d:\d\d:\d\d|\Z)", lines, re.DOTALL):
            text = " ".join(re.sub(r"/\*.*?\*/", "", text).split())
            if text.startswith("select ") and text not in own:
                found.append(text)
    return "\n".join(found)
