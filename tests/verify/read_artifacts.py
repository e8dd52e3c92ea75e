#!/usr/bin/env python3
"""Reads the artifacts of a target folder with the PyPI packages that others read them with.

    pip install dbt-artifacts-parser dagster-dbt
    tests/verify/read_artifacts.py target

dbt-artifacts-parser checks the shape of manifest.json, run_results.json, catalog.json and sources.json, each where it is
there; dagster-dbt, where it is installed, makes its assets of the manifest.
"""

import json
import pathlib
import sys

from dbt_artifacts_parser import parser


def dagster(manifest):
    try:
        from dagster_dbt import dbt_assets
    except ImportError:
        return None

    @dbt_assets(manifest=manifest)
    def assets(context):
        yield from ()

    return len(assets.keys)


def main():
    folder = pathlib.Path(sys.argv[1])
    seen = {}
    for name, parse in (
        ("manifest", parser.parse_manifest),
        ("run_results", parser.parse_run_results),
        ("catalog", parser.parse_catalog),
        ("sources", parser.parse_sources),
    ):
        path = folder / f"{name}.json"
        if path.exists():
            seen[name] = json.loads(path.read_text())
            print(f"{name}.json: {type(parse(seen[name])).__name__}")
    if not seen:
        sys.exit(f"no artifacts in {folder}")
    manifest = seen.get("manifest")
    built = [node for node in (manifest or {}).get("nodes", {}).values() if node["resource_type"] in ("model", "seed", "snapshot")]
    assets = dagster(manifest) if manifest else None
    if assets is None:
        print("dagster-dbt: not installed")
    else:
        print(f"dagster-dbt: {assets} assets")
        if assets < len(built):
            sys.exit(f"dagster-dbt makes {assets} assets of {len(built)} models, seeds and snapshots")


if __name__ == "__main__":
    main()
