"""Installs packages with Python dbt and with alluvium, and compares the lock and what was installed.

    python3 -m venv .venv && .venv/bin/pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.10.*'
    .venv/bin/python tests/verify/packages_with_dbt.py --cli target/debug/alluvium --dbt .venv/bin/dbt

A hub with two packages of several versions and their archives is served on this machine; a repository with a tag, a branch and a
folder lies beside it. Each list of packages is installed by both into a project of its own: the exit, the packages folder
file by file and package-lock.yml must be the same, and `run` must then give the same rows. Ends with 1 if anything differs.
"""

import argparse
import functools
import http.server
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import threading

import yaml

VERSIONS = {"tools": ["1.0.0", "1.2.0", "2.0.0-b1", "2.0.0"], "base": ["0.1.0", "0.2.0", "0.3.0"]}
PROJECT = "name: {name}\nversion: '{version}'\nconfig-version: 2\n"
WHICH = "{{% macro which() %}}'{word}'{{% endmacro %}}\n"


def archive(folder, files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(text)
            packed.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def hub(url):
    """Paths and what is served there."""
    files = {}
    for name, versions in VERSIONS.items():
        told = {}
        for version in versions:
            needs = [{"package": "acme/base", "version": [">=0.1.0", "<0.3.0"]}] if name == "tools" and version != "1.0.0" else []
            place = f"/{name}-{version}.tar.gz"
            files[place] = archive(f"{name}-{version}", {"dbt_project.yml": PROJECT.format(name=name, version=version), "macros/which.sql": WHICH.format(word=version)})
            told[version] = {
                "id": f"acme/{name}/{version}",
                "name": name,
                "version": version,
                "packages": needs,
                "works_with": [],
                "_source": {"type": "github", "url": "", "readme": ""},
                "downloads": {"tarball": url + place, "format": "tgz", "sha1": "0"},
            }
        latest = max(version for version in versions if "-" not in version)
        index = {"name": name, "namespace": "acme", "latest": latest, "description": "", "assets": {}, "redirectname": None, "redirectnamespace": None, "versions": told}
        files[f"/api/v1/acme/{name}.json"] = json.dumps(index).encode()
    files["/api/v1/index.json"] = json.dumps([f"acme/{name}" for name in VERSIONS]).encode()
    return files


class Answer(http.server.BaseHTTPRequestHandler):
    def __init__(self, files, *rest):
        self.files = files
        super().__init__(*rest)

    def do_GET(self):
        found = self.files.get(self.path.split("?")[0])
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_):
        pass


def repository(folder):
    """A project in the folder `sub`, with a tag at the first of two commits, and a branch at the first."""

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    (folder / "sub/macros").mkdir(parents=True)
    (folder / "sub/dbt_project.yml").write_text(PROJECT.format(name="stored", version="1.0.0"))
    (folder / "sub/macros/which.sql").write_text(WHICH.format(word="first"))
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "v1")
    git("branch", "older")
    (folder / "sub/macros/which.sql").write_text(WHICH.format(word="second"))
    git("commit", "-qam", "two")
    return f"file://{folder}", git("rev-parse", "HEAD")


def lists(url, stored, commit):
    """What `packages.yml` holds, and the package whose macro is called."""
    tools = {"package": "acme/tools"}
    git = {"git": stored, "subdirectory": "sub"}
    return {
        "a range of versions": ([tools | {"version": [">=1.0.0", "<2.0.0"]}], "tools"),
        "one version": ([tools | {"version": "1.0.0"}], "tools"),
        "the newest": ([tools | {"version": ">=1.0.0"}], "tools"),
        "one before its release": ([tools | {"version": [">=2.0.0-b1", "<2.0.0"], "install_prerelease": True}], "tools"),
        "a version that needs another package": ([tools | {"version": "1.2.0"}, {"package": "acme/base", "version": "0.1.0"}], "base"),
        "no version fits": ([tools | {"version": ">=3.0.0"}], "tools"),
        "no such package": ([{"package": "acme/nothing", "version": "1.0.0"}], "tools"),
        "an archive": ([{"tarball": f"{url}/tools-1.0.0.tar.gz", "name": "tools"}], "tools"),
        "an archive that is not there": ([{"tarball": f"{url}/nothing.tar.gz", "name": "tools"}], "tools"),
        "a tag": ([git | {"revision": "v1"}], "stored"),
        "a branch": ([git | {"revision": "older"}], "stored"),
        "a commit": ([git | {"revision": commit}], "stored"),
        "no revision": ([git | {"warn-unpinned": False}], "stored"),
        "a revision that is not there": ([git | {"revision": "v9"}], "stored"),
        "a folder": ([{"local": "parts/near"}], "near"),
        "a folder that is not there": ([{"local": "parts/nothing"}], "near"),
        "several": ([{"local": "parts/near"}, tools | {"version": "1.2.0"}, git | {"revision": "v1"}], "base"),
    }


def project(folder, packages, called):
    files = {
        "dbt_project.yml": "name: example\nversion: '1.0'\nprofile: example\n",
        "profiles.yml": yaml.safe_dump({"example": {"target": "dev", "outputs": {"dev": {"type": "duckdb", "path": "alluvium.duckdb", "schema": "main"}}}}),
        "packages.yml": yaml.safe_dump({"packages": packages}),
        "models/m.sql": f"select {{{{ {called}.which() }}}} as which",
        "parts/near/dbt_project.yml": PROJECT.format(name="near", version="1.0.0"),
        "parts/near/macros/which.sql": WHICH.format(word="near"),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def outcome(program, folder, environment):
    def run(*arguments):
        return subprocess.run([program, *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True)

    done = run("deps")
    found = {"ends": str(min(done.returncode, 1))}
    if done.returncode:
        return found, done.stdout + done.stderr
    installed = folder / "dbt_packages"
    for root, folders, names in os.walk(installed, followlinks=True):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            path = pathlib.Path(root) / name
            found[str(path.relative_to(installed))] = path.read_text()
    found["package-lock.yml"] = yaml.safe_load((folder / "package-lock.yml").read_text())
    ran = run("compile", "--quiet", "--select", "m")
    compiled = folder / "target/compiled/example/models/m.sql"
    found["compiled"] = compiled.read_text().strip() if compiled.exists() else ran.stdout + ran.stderr
    return found, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--dbt", required=True)
    options = parser.parse_args()
    programs = [str(pathlib.Path(program).absolute()) for program in (options.dbt, options.cli)]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), None)
    url = f"http://127.0.0.1:{server.server_port}"
    server.RequestHandlerClass = functools.partial(Answer, hub(url))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {"DBT_PACKAGE_HUB_URL": url + "/", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "ALLUVIUM_WAREHOUSE": "warehouse", "DBT_PROFILES_DIR": "."}
    different = 0
    with tempfile.TemporaryDirectory() as scratch:
        stored, commit = repository(pathlib.Path(scratch) / "repository")
        given = lists(url, stored, commit)
        for number, (name, (packages, called)) in enumerate(given.items()):
            sides = []
            for program, side in zip(programs, ("dbt", "alluvium")):
                folder = pathlib.Path(scratch) / f"{number}-{side}"
                project(folder, packages, called)
                sides.append(outcome(program, folder, environment))
            (theirs, their_text), (ours, our_text) = sides
            differing = [key for key in sorted(theirs.keys() | ours.keys()) if theirs.get(key) != ours.get(key)]
            different += bool(differing)
            for key in differing:
                print(f"{name}: {key}\n  dbt:      {theirs.get(key)!r}\n  alluvium: {ours.get(key)!r}")
            if "ends" in differing:
                print(f"  dbt says:      {their_text[-600:]}\n  alluvium says: {our_text[-600:]}")
    print(f"{len(given) - different} alike, {different} different")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
