#!/usr/bin/env python3
"""Builds a dbt project through astronomer-cosmos (Airflow), with `alluvium` as its dbt executable.

    pip install astronomer-cosmos apache-airflow
    tests/verify/run_with_cosmos.py --project PATH --cli target/debug/alluvium

The project needs a dbt_project.yml, and a profiles.yml whose warehouse is an absolute path or a URI: Cosmos runs every task
in a copy of the project. Cosmos makes a task of every model, seed and snapshot, and one of the tests of each, once from
what `alluvium ls` prints and once from manifest.json; both must know the same tasks. Then every task runs in the order of
the graph, each starting `alluvium` for itself, and every one must succeed.
"""

import argparse
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True, type=pathlib.Path)
    parser.add_argument("--cli", required=True, type=pathlib.Path)
    options = parser.parse_args()
    project, cli = options.project.resolve(), str(options.cli.resolve())

    home = tempfile.mkdtemp()
    os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    os.environ |= {"AIRFLOW__COSMOS__ENABLE_CACHE": "False", "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
    from airflow import DAG
    from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
    from cosmos.constants import InvocationMode, LoadMode

    subprocess.run([cli, "parse", "--quiet", "--project-dir", project], check=True)
    profile = (project / "dbt_project.yml").read_text().split("profile:")[1].split()[0].strip("\"'")
    target = (project / "profiles.yml").read_text().split("target:")[1].split()[0]

    def dag(name, mode):
        with DAG(name, start_date=datetime.datetime(2024, 1, 1), schedule=None) as made:
            DbtTaskGroup(
                group_id="dbt",
                project_config=ProjectConfig(
                    dbt_project_path=project, manifest_path=project / "target/manifest.json", project_name=project.name
                ),
                profile_config=ProfileConfig(
                    profile_name=profile, target_name=target, profiles_yml_filepath=project / "profiles.yml"
                ),
                execution_config=ExecutionConfig(dbt_executable_path=cli, invocation_mode=InvocationMode.SUBPROCESS),
                render_config=RenderConfig(load_method=mode, dbt_executable_path=cli, invocation_mode=InvocationMode.SUBPROCESS),
                operator_args={"install_deps": False},
            )
        return made

    listed, read = dag("listed", LoadMode.DBT_LS), dag("read", LoadMode.DBT_MANIFEST)
    if set(listed.task_dict) != set(read.task_dict):
        sys.exit(f"only one of the two knows: {sorted(set(listed.task_dict) ^ set(read.task_dict))}")
    for task in listed.topological_sort():
        task.execute(context={"run_id": "check"})
        print(f"ran {task.task_id}")
    print(f"{len(listed.task_dict)} tasks ran")


if __name__ == "__main__":
    main()
