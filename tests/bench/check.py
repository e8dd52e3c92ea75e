#!/usr/bin/env python3
"""How long `alluvium check` takes on a generated project: models of four CTEs each, contracts on every tenth.

    tests/bench/check.py --cli target/release/alluvium [--models 10000] [--rounds 3]

Prints wall time and the most memory of a check that finds nothing kept (cold), of one with nothing changed, of one after an
edit of a leaf model, and of one after an edit of a properties file. The promises, for 10,000 models in a release build on
two cores: cold at most 6 s and 800 MB, after editing a leaf at most 300 ms.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def generate(count: int, root: pathlib.Path) -> pathlib.Path:
    """Writes the project and gives a leaf: a model that nothing reads."""
    (root / "macros").mkdir(parents=True)
    (root / "project.yml").write_text("name: bench\nmodels:\n  bench: {+materialized: view}\n")
    (root / "macros" / "bench.sql").write_text("{% macro cents(column) %}cast({{ column }} / 100 as decimal(16, 2)){% endmacro %}\n")
    sources = "version: 2\nsources:\n  - name: raw\n    tables:\n"
    for at in range(20):
        sources += f"      - name: orders_{at}\n        columns:\n"
        for name, kind in (("id", "bigint"), ("customer", "bigint"), ("amount", "bigint"), ("status", "text"), ("at", "timestamp")):
            sources += f"          - {{name: {name}, data_type: {kind}}}\n"
    (root / "models").mkdir()
    (root / "models" / "sources.yml").write_text(sources)
    for at in range(count):
        folder = root / "models" / f"area_{at // 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"m_{at}.sql").write_text(model(at))
        with (folder / "models.yml").open("a") as file:
            if at % 100 == 0:
                file.write("version: 2\nmodels:\n")
            file.write(properties(at))
    leaf = count - 1
    return root / "models" / f"area_{leaf // 100}" / f"m_{leaf}.sql"


def model(at: int) -> str:
    first = f"{{{{ source('raw', 'orders_{at % 20}') }}}}" if at < 100 else f"{{{{ ref('m_{at // 2}') }}}}"
    second = f"{{{{ ref('m_{at // 3}') }}}}" if at >= 100 else first
    amount = "{{ cents('amount') }}" if at < 100 else "amount"
    return f"""with orders as (
    select id, customer, {amount} as amount, status, at from {first}
),
others as (
    select id, amount as other_amount, status as other_status from {second} where status is not null
),
joined as (
    select orders.id, orders.customer, orders.amount, others.other_amount, orders.status, orders.at,
        case when others.other_status = 'open' then 1 else 0 end as is_open
    from orders left join others on orders.id = others.id
),
final as (
    select id, max(customer) as customer, cast(sum(amount) as decimal(16, 2)) as amount, max(status) as status, max(at) as at,
        count(status) as lines, sum(is_open) as open_lines
    from joined group by id
)
select id, customer, amount, status, at, coalesce(lines, 0) as lines, open_lines from final
"""


def properties(at: int) -> str:
    out = f"  - name: m_{at}\n    description: model number {at}\n"
    if at % 10 == 0:
        out += "    config: {contract: {enforced: true}}\n    columns:\n"
        columns = (("id", "bigint"), ("customer", "bigint"), ("amount", "decimal(16, 2)"), ("status", "text"), ("at", "timestamp"),
                   ("lines", "bigint"), ("open_lines", "bigint"))
        for name, kind in columns:
            tests = ", data_tests: [unique, not_null]" if name == "id" else ""
            out += f"      - {{name: {name}, data_type: '{kind}'{tests}}}\n"
    return out


def run(cli: str, root: pathlib.Path) -> tuple[float, int, str]:
    begin = time.perf_counter()
    process = subprocess.Popen([cli, "check", "--project-dir", str(root)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - begin
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"check ended with {status}:\n{out[-3000:]}")
    return took * 1000, usage.ru_maxrss, out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", help="write the project to this folder and leave it there")
    options = parser.parse_args()
    work = pathlib.Path(options.keep) if options.keep else pathlib.Path(tempfile.mkdtemp())
    root = work / "project"
    try:
        leaf = generate(options.models, root)
        yaml = leaf.with_name("models.yml")

        def cold(_: int) -> None:
            shutil.rmtree(root / "target", ignore_errors=True)

        def edit_leaf(round_: int) -> None:
            leaf.write_text(model(options.models - 1).replace("as lines,", f"as lines, {round_} as round,"))

        def edit_yaml(round_: int) -> None:
            yaml.write_text(yaml.read_text().replace("model number", f"model {round_} number", 1))

        cases = (("cold", cold), ("nothing changed", lambda _: None), ("a leaf edited", edit_leaf), ("a properties file edited", edit_yaml))
        for title, prepare in cases:
            times, memory, out = [], [], ""
            for round_ in range(options.rounds):
                prepare(round_)
                took, most, out = run(options.cli, root)
                times.append(took)
                memory.append(most)
            summary = out.strip().splitlines()[-1] if out.strip() else ""
            print(f"alluvium check, {options.models} models, {title}: least {min(times):.0f} ms, median {statistics.median(times):.0f} ms "
                  f"of {options.rounds}, {max(memory) // 1024} MB   ({summary})")
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
