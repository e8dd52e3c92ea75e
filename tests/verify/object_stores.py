#!/usr/bin/env python3
"""Builds a project in object stores that are emulated on this machine, and reads what came of it with the PyPI package
`deltalake`.

    object_stores.py --cli target/release/alluvium [s3] [azure]

The program has to be built with the features s3 and azure. The emulators are `moto[server]` from PyPI (S3) and `azurite`
from npm (Azure; `--azurite` names its `azurite-blob`); `boto3` and `azure-storage-blob` make the bucket and the container.
Each listens on the loopback interface and ends with the script. Google's store is left out: its emulator on PyPI lacks the
requests that writing is made of.

The project has a seed, an incremental model that merges, a snapshot, a view, a model that is written as a file into the
store and one that reads it. It is built twice with other rows, beside the same project in a folder; then all tables have
to hold the same rows in both, for `deltalake` and for `alluvium sql`. On S3 two builds at once have to lose nothing; Azurite does not list from a name on,
which reading a table of more than two versions needs.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import read_with_deltalake
from deltalake import DeltaTable

BIN = pathlib.Path(sys.executable).parent
# The account that Azurite comes with, which its documentation names.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
FILES = {
    "seeds/country.csv": "code,name\nPT,Portugal\nBE,Belgium\n",
    "models/orders.sql": "{{ config(materialized='incremental', unique_key='id', partition_by=['country']) }}\n"
    "select n as id, case when n % 2 = 0 then 'PT' else 'BE' end as country, n * {{ var('factor') }} as amount\n"
    "from (select unnest(generate_series({{ var('first') }}, {{ var('first') }} + 9)) as n)\n",
    "models/totals.sql": "select c.name, sum(o.amount) as amount from {{ ref('orders') }} o join {{ ref('country') }} c on c.code = o.country group by c.name\n",
    "models/exported.sql": "{{ config(materialized='external', location=var('base') ~ '/exports/totals.csv') }}\nselect * from {{ ref('totals') }} order by name\n",
    "models/read_back.sql": "{{ config(materialized='table') }}\nselect * from {{ ref('exported') }}\n",
    "snapshots/orders.yml": "snapshots:\n  - name: orders_history\n    relation: ref('orders')\n"
    "    config: {unique_key: id, strategy: check, check_cols: [amount]}\n",
}
TABLES = ["country", "orders", "read_back", "orders_history"]
WHEN = ("dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_scd_id")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(command, port, folder):
    """A server, once it answers."""
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return server
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.1)
    server.kill()
    sys.exit(f"{command[0]} does not answer")


def s3(folder, _options):
    import boto3

    port = free_port()
    server = started([BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)], port, folder)
    store = {"aws_endpoint_url": f"http://127.0.0.1:{port}", "aws_allow_http": "true", "aws_region": "us-east-1",
             "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = boto3.client("s3", endpoint_url=store["aws_endpoint_url"], region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    client.create_bucket(Bucket="lake")
    return server, "s3://lake", store


def azure(folder, options):
    from azure.storage.blob import BlobServiceClient

    port = free_port()
    command = [options.azurite, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck", "--inMemoryPersistence", "--silent"]
    server = started(command, port, folder)
    account = "devstoreaccount1"
    endpoint = f"http://127.0.0.1:{port}/{account}"
    BlobServiceClient(account_url=endpoint, credential={"account_name": account, "account_key": AZURITE_KEY}).create_container("lake")
    store = {"azure_storage_account_name": account, "azure_storage_account_key": AZURITE_KEY, "azure_storage_endpoint": endpoint, "azure_allow_http": "true"}
    return server, "az://lake", store


class Project:
    def __init__(self, cli, folder, warehouse, base, store):
        self.cli, self.folder, self.warehouse, self.store = cli, folder, warehouse, store
        names = {name: f"STORE_{name.upper()}" for name in store}
        self.environment = {**os.environ, **{names[name]: value for name, value in store.items()}}
        options = json.dumps({name: "{{ env_var('%s') }}" % variable for name, variable in names.items()})
        files = dict(FILES)
        files["project.yml"] = (
            f"name: example\nvars: {{base: {json.dumps(base)}, first: 1, factor: 2}}\ntargets:\n  default: lake\n"
            f"  lake: {{warehouse: {json.dumps(warehouse)}, schema: main, threads: 2, storage_options: {options}}}\n"
        )
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def start(self, *args):
        return subprocess.Popen([self.cli, *args], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *args):
        process = self.start(*args)
        text, _ = process.communicate()
        if process.returncode != 0:
            sys.exit(f"{' '.join(args)} ended with {process.returncode}:\n{text}")
        return text

    def by_alluvium(self, table):
        text = self.run("sql", "--quiet", "--output", "json", f"select * from main.{table}")
        answer = json.loads(text[text.index('{"columns"'):])
        names = [column["name"] for column in answer["columns"]]
        return rows([dict(zip(names, row)) if isinstance(row, list) else row for row in answer["rows"]])

    def by_deltalake(self, table):
        return rows(DeltaTable(f"{self.warehouse}/main/{table}", storage_options=self.store).to_pyarrow_table().to_pylist())


def rows(found):
    """Rows in an order of their own, without the columns that tell the time of a build."""
    kept = [{name: str(read_with_deltalake.plain(value)) for name, value in row.items() if name not in WHEN} for row in found]
    return sorted(kept, key=lambda row: sorted(row.items()))


def attempt(name, open_store, cli, options):
    differences = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        server, base, store = open_store(scratch, options)
        try:
            (scratch / "far").mkdir()
            (scratch / "near").mkdir()
            far = Project(cli, scratch / "far", f"{base}/warehouse", base, store)
            near = Project(cli, scratch / "near", str(scratch / "near" / "warehouse"), str(scratch / "near"), {})
            for args in (["build"], ["build", "--vars", "{first: 6, factor: 3}"]):
                for project in (far, near):
                    project.run(*args)
            for table in TABLES:
                wanted = near.by_deltalake(table)
                for way, found in (("deltalake", far.by_deltalake(table)), ("alluvium sql", far.by_alluvium(table))):
                    if found != wanted:
                        differences += 1
                        print(f"{name}: {table} differs by {way}:\n  store:  {found}\n  folder: {wanted}")
            if name == "azure":
                return differences
            both = [far.start("run", "--select", "orders", "--vars", "{first: %d, factor: 1}" % first) for first in (100, 200)]
            for process in both:
                text, _ = process.communicate()
                if process.returncode != 0:
                    differences += 1
                    print(f"{name}: one of two builds at once failed:\n{text}")
            found = len(far.by_deltalake("orders"))
            if found != 35:
                differences += 1
                print(f"{name}: after two builds at once there are {found} rows, and 35 were written")
        finally:
            server.terminate()
            server.wait()
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", choices=["s3", "azure", []], help="which stores; all by default")
    parser.add_argument("--cli", required=True)
    parser.add_argument("--azurite", default="azurite-blob", help="Azurite's program for blobs")
    options = parser.parse_args()
    cli = str(pathlib.Path(options.cli).resolve())
    known = {"s3": s3, "azure": azure}
    total = 0
    for name in options.stores or known:
        found = attempt(name, known[name], cli, options)
        print(f"{name}: {len(TABLES)} tables, {found} differences")
        total += found
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
