#!/usr/bin/env bash
# How long `alluvium parse` takes for 1,000 and for 10,000 models: each reads two others, has a config and a description,
# and every third has tests; a hundred models share a properties file. Two macros are called by all.
# The promises: 1,000 models in at most 300 ms, 10,000 in at most 2.5 s.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

project() { # project COUNT FOLDER
    python3 - "$1" "$2" <<'PYTHON'
import pathlib
import sys

count, root = int(sys.argv[1]), pathlib.Path(sys.argv[2])
(root / "macros").mkdir(parents=True)
(root / "project.yml").write_text("name: bench\nmodels:\n  bench: {+materialized: view}\n")
(root / "macros/bench.sql").write_text(
    "{% macro cents(column) %}({{ column }} / 100)::decimal(16, 2){% endmacro %}\n"
    "{% macro note(text) %}{{ return(text | upper) }}{% endmacro %}\n"
)
for at in range(count):
    folder = root / "models" / f"area_{at // 100}"
    folder.mkdir(parents=True, exist_ok=True)
    refs = " union all ".join(f"select id, amount from {{{{ ref('model_{other}') }}}}" for other in (at // 2, at // 3) if other != at)
    body = refs or "select 1 as id, 100 as amount"
    (folder / f"model_{at}.sql").write_text(
        "{{ config(tags=['area']) }}\n"
        f"with input as ({body})\n"
        f"select id, {{{{ cents('amount') }}}} as amount, '{{{{ note('of {at}') }}}}' as note\nfrom input\n"
    )
    with (folder / "models.yml").open("a") as file:
        if at % 100 == 0:
            file.write("models:\n")
        file.write(f"  - name: model_{at}\n    description: model number {at}\n")
        if at % 3 == 0:
            file.write("    columns:\n      - name: id\n        data_tests: [unique, not_null]\n")
PYTHON
}

for count in 1000 10000; do
    project "$count" "$work/$count"
    figure="$(measure 7 "$bin" parse --quiet --project-dir "$work/$count" --log-level-file none)"
    echo "alluvium parse, $count models: $figure"
done
