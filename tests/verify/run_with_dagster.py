#!/usr/bin/env python3
"""Builds a project through dagster-dbt, with `alluvium` as its dbt executable.

    pip install dagster-dbt python-dateutil
    tests/verify/run_with_dagster.py --project PATH --cli target/debug/alluvium

Dagster makes an asset of every model, seed and snapshot of the manifest and a check of every data test, starts `alluvium
build` with its own flags and selection, and follows the structured log lines. Every asset must be materialized, and every
check evaluated.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from dagster import AssetExecutionContext, materialize
from dagster_dbt import DbtCliResource, dbt_assets


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True, type=pathlib.Path)
    parser.add_argument("--cli", required=True, type=pathlib.Path)
    options = parser.parse_args()
    project, cli = options.project.resolve(), str(options.cli.resolve())
    subprocess.run([cli, "parse", "--quiet", "--project-dir", project, "--target-path", project / "target"], check=True)
    manifest = json.loads((project / "target/manifest.json").read_text())
    kinds = [node["resource_type"] for node in manifest["nodes"].values() if node["config"]["materialized"] != "ephemeral"]

    @dbt_assets(manifest=manifest)
    def assets(context: AssetExecutionContext, dbt: DbtCliResource):
        yield from dbt.cli(["build"], context=context).stream()

    dbt = DbtCliResource(project_dir=str(project), dbt_executable=cli)
    done = materialize([assets], resources={"dbt": dbt}, raise_on_error=False)
    built, checked = len(done.get_asset_materialization_events()), len(done.get_asset_check_evaluations())
    expected = sum(kind in ("model", "seed", "snapshot") for kind in kinds)
    tests = kinds.count("test")
    print(f"{built} of {expected} assets materialized, {checked} checks of {tests} data tests, success: {done.success}")
    sys.exit(0 if done.success and built == expected else 1)


if __name__ == "__main__":
    main()
