#!/usr/bin/env python3
"""Makes the artifacts of a project of every kind of resource with Python dbt (on DuckDB) and with `alluvium`, and compares them
value by value.

    pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.11.*'
    tests/verify/artifacts_with_dbt.py --cli target/debug/alluvium --dbt .venv/bin/dbt

`manifest.json` of `parse`, of `build` and of `docs generate`, `run_results.json` of `build`, `sources.json`, `catalog.json`, and what
`ls --output json` prints. Each value that differs is printed with its path; what must differ stands in `MEANT`, with its reason.
`--keep FOLDER` leaves both projects and their artifacts there, `--only manifest` looks at one of the artifacts.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROJECT = {
    "dbt_project.yml": """\
name: shop
version: '1.0'
profile: shop
model-paths: [models]
analysis-paths: [analyses]
macro-paths: [macros]
seed-paths: [seeds]
snapshot-paths: [snapshots]
test-paths: [tests]
docs-paths: [models, texts]
function-paths: [functions]
on-run-start:
  - "select 1 as started"
  - "{{ note('start') }}"
on-run-end: "{{ note('end') }}"
flags:
  send_anonymous_usage_stats: false
  require_generic_test_arguments_property: true
vars:
  first_day: '2024-01-01'
  shop: {colour: green}
dispatch:
  - macro_namespace: tools
    search_order: [shop, tools]
query-comment:
  comment: "made by {{ target.name }}"
  append: true
models:
  +meta: {owner: data, level: 1}
  +persist_docs: {relation: false}
  shop:
    +tags: nightly
    staging:
      +materialized: view
      +schema: staging
      +docs: {node_color: silver}
    marts:
      +materialized: table
      +tags: [mart, "{{ target.name }}"]
      +meta: {level: 2, team: "{{ target.name }}"}
      +group: finance
      +post-hook:
        - "select 1 as after"
        - {sql: "select 2 as after", transaction: false}
    unused:
      +enabled: false
seeds:
  shop:
    +quote_columns: false
    +meta: {from: file}
snapshots:
  shop:
    +tags: history
data_tests:
  shop:
    +severity: warn
    +tags: [checked]
    +meta: {kind: test}
sources:
  shop:
    raw:
      +tags: [outside]
      +meta: {from: sources}
exposures:
  shop:
    +tags: [shown]
    +meta: {seen: true}
semantic-models:
  shop:
    +meta: {semantic: true}
metrics:
  shop:
    +meta: {measured: true}
saved-queries:
  shop:
    +meta: {saved: true}
unit_tests:
  shop:
    +tags: [unit]
""",
    "packages.yml": "packages:\n  - local: parts/tools\n",
    "selectors.yml": """\
selectors:
  - name: nightly
    description: What runs at night.
    default: false
    definition:
      union:
        - method: tag
          value: nightly
          children: true
        - exclude: [{method: fqn, value: second}]
  - name: marts
    definition: 'tag:mart+'
  - name: both
    definition:
      method: selector
      value: nightly
""",
    # A package of its own.
    "parts/tools/dbt_project.yml": """\
name: tools
version: '0.1'
models: {tools: {+materialized: view, +tags: [packaged]}}
on-run-start: "select 'tools' as started"
vars: {tools: {step: 5}}
""",
    "parts/tools/models/tool_numbers.sql": "select {{ var('step', 5) }} as n\n",
    "parts/tools/models/tools.yml": """\
models:
  - name: tool_numbers
    description: "{{ doc('tools', 'numbers') }}"
    columns:
      - name: n
        data_tests: [not_null, tools.positive]
macros:
  - name: cents
    description: '{{ doc("numbers") }}'
    arguments: [{name: column, type: string}]
""",
    "parts/tools/models/docs.md": "{% docs numbers %}\nNumbers of tools.\n{% enddocs %}\n",
    "parts/tools/macros/money.sql": """\
{% macro cents(column, digits=2) %}{{ return(adapter.dispatch('cents', 'tools')(column, digits)) }}{% endmacro %}
{% macro default__cents(column, digits) %}({{ column }} * 100){% endmacro %}
{%- macro helper() -%}
  {{ tools.cents('a') }}
{%- endmacro -%}
""",
    "parts/tools/macros/positive.sql": """\
{% test positive(model, column_name) %}
{{ config(severity='error', fail_calc='count(*)') }}
select * from {{ model }} where {{ column_name }} <= 0
{% endtest %}
""",
    "parts/tools/seeds/tool_seed.csv": "k,v\n1,a\n",
    "parts/tools/tests/tool_test.sql": "select * from {{ ref('tool_numbers') }} where n < 0\n",
    # Macros.
    "macros/note.sql": """\
{% macro note(what, when='now') %}
  {%- set words = helper_words(what) -%}
  select '{{ words }}' as note
{% endmacro %}

{% macro helper_words(what) -%}
  {{ what }} {{ tools.cents('1') | length }}
{%- endmacro %}

{# a comment {% macro not_one() %}{% endmacro %} #}
{%- macro undescribed(a, b=1) -%}{{ varargs }}{%- endmacro -%}
{% macro uses_many() %}
  {{ shop.note('a') }}{{ dbt.current_timestamp() }}{{ dbt.date_trunc('day', 'x') }}{{ log(undescribed(1), info=true) }}
  {% do run_query('select 1') %}{% if execute %}{{ helper_words('b') }}{% endif %}
{% endmacro %}
""",
    "macros/generate.sql": """\
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- if custom_alias_name -%}{{ custom_alias_name | trim }}
  {%- elif node.version -%}{{ node.name ~ "_v" ~ (node.version | replace(".", "_")) }}
  {%- else -%}{{ node.name }}{%- endif -%}
{%- endmacro %}
""",
    "macros/tests.sql": """\
{% test within(model, column_name, low, high=none, spare=[]) %}
  {{ config(tags=['bounds'], meta={'written': 'in the macro'}) }}
  select * from {{ model }} where {{ column_name }} < {{ low }}{% if high is not none %} or {{ column_name }} > {{ high }}{% endif %}
{% endtest %}

{% test has_rows(model) %}
  select 1 as missing from (select count(*) as n from {{ model }}) where n = 0
{% endtest %}
""",
    "macros/materialized.sql": """\
{% materialization copy, default -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {% call statement('main') -%}
    create or replace table {{ target_relation }} as ({{ sql }})
  {%- endcall %}
  {{ adapter.commit() }}
  {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
{% materialization paste, adapter='duckdb', supported_languages=['sql', 'python'] -%}
  {{ return({'relations': []}) }}
{%- endmaterialization %}
""",
    # The tables behind the sources.
    "macros/land.sql": """\
{% macro land() %}
  {% do run_query("create schema if not exists landed") %}
  {% do run_query("create or replace table landed.customers_in as select 1 as id, 'Ann' as name union all select 2, 'Bob'") %}
  {% do run_query("create or replace table landed.orders_in as select 1 as id, cast('2024-01-01 00:00:00' as timestamp) as ordered_at") %}
  {% do run_query("create or replace table landed.events as select cast('2024-01-01 00:00:00' as timestamp) as ordered_at") %}
  {% do adapter.commit() %}
{% endmacro %}
""",
    "macros/clean.sql": "{% macro clean_up(days) %}{% do log('cleaned ' ~ days, info=true) %}{% endmacro %}\n",
    "macros/macros.yml": """\
macros:
  - name: note
    description: "Says {{ doc('amount') }}"
    docs: {show: false, node_color: red}
    meta: {kind: hook}
    arguments:
      - name: what
        type: string
        description: "What it says: {{ doc('amount') }}"
      - name: when
        type: string
  - name: helper_words
    description: Puts words together.
    config:
      meta: {kind: helper}
      docs: {show: true, node_color: blue}
    arguments:
      - name: what
  - name: test_within
    description: Between two bounds.
    arguments: [{name: low, type: integer, description: The least.}]
  - name: materialization_copy_default
    description: A copy.
""",
    # Docs blocks.
    "texts/words.md": """\
{% docs amount %}An amount, in cents.{% enddocs %}

{% docs long %}
# Long

Two lines, and {{ not_rendered }}.
{% enddocs %}
{% docs __overview__ %}The shop.{% enddocs %}
""",
    # Seeds.
    "seeds/raw_orders.csv": "id,customer_id,amount,ordered_at\n1,1,10,2024-01-01 10:00:00\n2,1,20,2024-01-02 11:00:00\n3,2,30,2024-01-03 12:00:00\n",
    "seeds/raw_customers.csv": "id;name\n1;Ann\n2;Bob\n",
    "seeds/seeds.yml": """\
seeds:
  - name: raw_orders
    description: "Orders. {{ doc('amount') }}"
    config:
      column_types: {ordered_at: timestamp, id: integer, customer_id: integer, amount: integer}
      schema: landing
      tags: seeded
      meta: {rows: 3}
      pre_hook: "select 1 as before"
    columns:
      - name: id
        data_tests: [unique, not_null]
      - name: amount
        description: "{{ doc('amount') }}"
        meta: {unit: cents}
        tags: [money]
  - name: raw_customers
    config: {delimiter: ";"}
    docs: {show: false}
""",
    # Models.
    "models/staging/stg_orders.sql": """\
{{ config(tags=['daily', 'nightly'], meta={'level': 3}) }}
-- depends_on: {{ ref('raw_customers') }}
select id, customer_id, amount, ordered_at from {{ ref('raw_orders') }} where ordered_at >= '{{ var("first_day") }}'
""",
    "models/staging/stg_customers.sql": "select id, name from {{ source('raw', 'customers') }}\n",
    "models/staging/staging.yml": """\
version: 2
models:
  - name: stg_orders
    description: "Orders as they came. {{ doc('long') }}"
    config:
      alias: orders_staged
      meta: {checked: true}
      docs: {show: true, node_color: '#aabbcc'}
      contract: {enforced: false}
    tests:
      - has_rows
    columns:
      - name: id
        description: Key.
        data_type: integer
        quote: true
        config: {tags: [key], meta: {pk: true}}
        data_tests:
          - unique:
              config: {severity: error, where: "id > 0", limit: 10, error_if: ">5", warn_if: ">1"}
          - not_null:
              name: id_is_there
              description: "Every order has one. {{ doc('amount') }}"
              config: {store_failures: true, tags: [important], meta: {why: key}}
          - relationships:
              arguments: {to: ref('raw_orders'), field: id}
      - name: customer_id
        meta: {from: yaml}
        tags: [one]
        data_tests:
          - relationships:
              arguments: {to: "source('raw', 'customers')", field: id}
          - accepted_values:
              arguments: {values: [1, 2], quote: false}
          - within:
              arguments: {low: 0, high: 100, spare: [a, b]}
              config: {enabled: true, fail_calc: "count(*)", store_failures_as: view}
          - within:
              name: too_high
              arguments: {low: "{{ var('lowest', 0) }}"}
              config: {enabled: false}
      - name: ordered_at
        granularity: day
        policy: open
  - name: stg_customers
    columns: [{name: name, description: "{{ doc('shop', 'amount') }}"}]
""",
    "models/marts/orders.sql": """\
{{ config(
    unique_key='id', materialized='incremental', on_schema_change='append_new_columns', incremental_strategy='delete+insert',
    contract={'enforced': true}, pre_hook=["select 1 as one", {"sql": "{{ note('pre') }}", "transaction": false}], access='public',
    unknown_key={'a': [1, 2]}) }}
{% set words = tools.cents('amount') %}
select o.id, o.customer_id, cast({{ words }} as bigint) as cents, cast('{{ dbt_version[:1] }}' as varchar) as v
from {{ ref('stg_orders') }} as o
join {{ ref('shop', 'clean_customers') }} as c on c.id = o.customer_id
{% if is_incremental() %}where o.id > (select max(id) from {{ this }}){% endif %}
""",
    "models/marts/clean_customers.sql": "{{ config(materialized='ephemeral', access='private') }}\nselect id, name from {{ ref('stg_customers') }}\n",
    "models/marts/second.sql": "select * from {{ ref('orders') }} union all select * from {{ ref('orders') }}\n",
    "models/marts/copied.sql": "{{ config(materialized='copy') }}\nselect n from {{ ref('tools', 'tool_numbers') }}\n",
    "models/marts/by_day.sql": """\
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ordered_at', begin='2024-01-01', batch_size='year',
    lookback=2, concurrent_batches=false, full_refresh=false) }}
select id, ordered_at from {{ ref('stg_orders') }}
""",
    "models/marts/marts.yml": """\
version: 2
groups:
  - name: finance
    owner: {name: Fin, email: fin@example.com, slack: "#fin"}
    description: The money.
    config: {meta: {cost: 1}}
  - name: logistics
    owner: {email: [a@example.com, b@example.com]}
models:
  - name: orders
    description: |
      Orders of the shop.
      On two lines.
    access: public
    group: finance
    deprecation_date: 2031-05-01
    constraints:
      - {type: primary_key, columns: [id], name: orders_key}
      - {type: check, expression: "cents >= 0"}
    columns:
      - {name: id, data_type: integer, description: Key., constraints: [{type: not_null}, {type: check, expression: id > 0, name: positive, warn_unenforced: false}]}
      - {name: customer_id, data_type: int}
      - {name: cents, data_type: "{{ 'bigint' }}"}
      - {name: v, data_type: varchar, tags: [text, short]}
    data_tests:
      - unique: {arguments: {column_name: "id || v"}}
  - name: clean_customers
    config: {group: finance}
  - name: copied
    config: {group: logistics, tags: [copied], grants: {}, event_time: n}
    columns: [{name: n, data_tests: [not_null]}]
  - name: priced
    description: Prices.
    latest_version: 1
    access: protected
    config: {tags: [versioned], materialized: table}
    meta: {all: versions}
    columns:
      - {name: id, description: Key., data_type: integer, data_tests: [unique, not_null]}
      - {name: price, description: The price., data_type: integer}
    versions:
      - v: 1
        config: {alias: priced}
      - v: 2
        description: Without a price.
        defined_in: priced_two
        deprecation_date: 2032-01-01 10:00:00
        columns:
          - include: all
            exclude: [price]
          - {name: cost, data_type: integer, description: The cost.}
        data_tests: [has_rows]
        config: {meta: {newer: true}}
""",
    "models/marts/priced_v1.sql": "select 1 as id, 2 as price\n",
    "models/marts/priced_two.sql": "select 1 as id, 3 as cost\n",
    "models/marts/reads_priced.sql": "select a.id from {{ ref('priced') }} as a join {{ ref('priced', v=2) }} as b on a.id = b.id\n",
    "models/unused/unused.sql": "select 1 as a\n",
    "models/unused/off_inline.sql": "{{ config(enabled=false, tags='x') }}\nselect * from {{ ref('unused') }}\n",
    "models/unused/off.yml": "models: [{name: unused, description: Not used., columns: [{name: a, data_tests: [not_null]}]}]\n",
    "models/calendar.sql": "{{ config(materialized='table') }}\nselect cast('2024-01-01' as date) as date_day\n",
    "models/broken.sql": "{{ config(materialized='table') }}\nselect cast('x' || cast(date_day as varchar) as integer) as n from {{ ref('calendar') }}\n",
    "models/after_broken.sql": "{{ config(materialized='table') }}\nselect * from {{ ref('broken') }}\n",
    "models/calls.sql": "select {{ function('plus_one') }}(1) as n, '{{ model.name }}' as m\n",
    # Sources.
    "models/sources.yml": """\
version: 2
sources:
  - name: raw
    description: "From outside. {{ doc('amount') }}"
    loader: airbyte
    schema: landed
    meta: {team: ingest}
    tags: [raw]
    config:
      freshness: {warn_after: {count: 12, period: hour}, error_after: {count: 100, period: day}}
      loaded_at_field: ordered_at
    quoting: {identifier: true}
    tables:
      - name: customers
        description: Customers.
        identifier: customers_in
        config: {freshness: null, meta: {rows: 2}, tags: [people]}
        columns:
          - name: id
            description: Key.
            data_tests: [not_null, {unique: {config: {severity: warn}}}]
          - name: name
            data_type: varchar
            meta: {pii: true}
        data_tests: [has_rows]
      - name: orders_in
        loaded_at_field: ordered_at
        freshness: {error_after: {count: 1, period: day}, filter: "id > 0"}
        config: {event_time: ordered_at}
      - name: events
        config:
          loaded_at_query: "select max(ordered_at) from {{ this }}"
          freshness: {warn_after: {count: 100000, period: day}}
      - name: lost
        config: {freshness: {error_after: {count: 1, period: day}}}
      - name: from_file
        external: {location: "files/*.csv", file_format: csv, partitions: [{name: day, data_type: date}], auto_refresh: true}
      - name: hidden
        config: {enabled: false}
  - name: plain
    database: "{{ target.database }}"
    schema: "{{ target.schema }}"
    tables: [{name: calendar}, {name: other, meta: {a: 1}}]
""",
    # Snapshots.
    "snapshots/old_style.sql": """\
{% snapshot orders_history %}
{{ config(target_schema='history', unique_key='id', strategy='check', check_cols=['amount'], tags=['old']) }}
select id, amount from {{ ref('raw_orders') }}
{% endsnapshot %}
{% snapshot second_history %}
{{ config(schema='history', unique_key=['id', 'amount'], strategy='timestamp', updated_at='ordered_at', hard_deletes='invalidate') }}
select * from {{ ref('raw_orders') }}
{% endsnapshot %}
""",
    "snapshots/snapshots.yml": """\
snapshots:
  - name: customers_history
    relation: source('raw', 'customers')
    description: Customers over time.
    config:
      unique_key: id
      strategy: check
      check_cols: all
      hard_deletes: new_record
      dbt_valid_to_current: "cast('9999-12-31' as timestamp)"
      snapshot_meta_column_names: {dbt_valid_from: since}
      meta: {new: style}
    columns: [{name: id, data_tests: [not_null]}]
  - name: orders_history
    description: "{{ doc('amount') }}"
    columns: [{name: id, description: Key.}]
""",
    # Tests.
    "tests/orders_have_customers.sql": """\
{{ config(severity='error', error_if='>10', warn_if='>=1', tags=['single'], store_failures=false, alias='single_one', meta={'a': 1}) }}
select * from {{ ref('stg_orders') }} where customer_id is null
""",
    "tests/warns.sql": "select 1 as a union all select 2\n",
    "tests/fails.sql": "{{ config(severity='error') }}\nselect * from {{ ref('second') }}\n",
    "tests/described.yml": """\
data_tests:
  - name: orders_have_customers
    description: "Each order has one. {{ doc('amount') }}"
    config: {meta: {b: 2}}
""",
    "tests/generic/even.sql": "{% test even(model, column_name) %}select * from {{ model }} where {{ column_name }} % 2 = 1{% endtest %}\n",
    # Unit tests.
    "models/unit_tests.yml": """\
unit_tests:
  - name: staged_orders
    description: "Keeps orders. {{ doc('amount') }}"
    model: stg_orders
    config: {tags: [quick], meta: {who: me}}
    overrides:
      vars: {first_day: '2020-01-01'}
      macros: {is_incremental: false}
      env_vars: {SOME: 'x'}
    given:
      - input: ref('raw_orders')
        rows: [{id: 1, customer_id: 1, amount: 5, ordered_at: "2024-01-01 00:00:00"}]
      - input: ref('raw_customers')
        format: csv
        rows: |
          id,name
          1,Ann
    expect:
      rows: [{id: 1, amount: 5}]
  - name: staged_customers
    model: stg_customers
    given:
      - input: source('raw', 'customers')
        format: csv
        fixture: people
    expect:
      format: sql
      rows: select 1 as id, 'Ann' as name
  - name: both_versions
    model: priced
    versions: {include: [1]}
    given: []
    expect: {rows: [{id: 1}]}
  - name: unit_off
    model: stg_customers
    config: {enabled: false}
    given: [{input: "source('raw', 'customers')", rows: []}]
    expect: {rows: []}
""",
    "tests/fixtures/people.csv": "id,name\n1,Ann\n",
    # Described resources.
    "models/exposures.yml": """\
exposures:
  - name: weekly
    label: Weekly figures
    type: dashboard
    maturity: high
    url: https://example.com/weekly
    description: "What is shown. {{ doc('amount') }}"
    depends_on: [ref('orders'), "source('raw', 'customers')", "ref('priced', v=2)", metric('order_count')]
    owner: {name: Ann, email: ann@example.com, phone: "1"}
    tags: [board]
    meta: {page: 1}
  - name: notebook
    type: notebook
    owner: {email: bob@example.com}
    depends_on: [ref('second')]
    config: {enabled: true, tags: [n], meta: {x: y}}
  - name: exposure_off
    type: ml
    owner: {name: Bob}
    config: {enabled: false}
""",
    "models/semantic.yml": """\
models:
  - name: calendar
    description: Days.
    time_spine:
      standard_granularity_column: date_day
      custom_granularities: [{name: fiscal_year, column_name: date_day}]
    columns: [{name: date_day, granularity: day}]
semantic_models:
  - name: order_facts
    label: Orders
    description: "Orders to measure. {{ doc('amount') }}"
    model: ref('stg_orders')
    defaults: {agg_time_dimension: ordered_at}
    primary_entity: order_id
    config: {meta: {s: 1}, group: finance}
    entities:
      - {name: customer, type: foreign, expr: customer_id, description: Who.}
    dimensions:
      - {name: ordered_at, type: time, type_params: {time_granularity: day}, label: When}
      - {name: is_large, type: categorical, expr: "amount > 10", description: Large or not.}
    measures:
      - {name: orders, agg: count, expr: id, create_metric: true, label: Number}
      - {name: amount_sum, agg: sum, expr: amount, description: All., non_additive_dimension: {name: ordered_at, window_choice: max}}
      - {name: high, agg: percentile, expr: amount, agg_params: {percentile: 0.9, use_discrete_percentile: true}}
metrics:
  - name: order_count
    label: Orders
    description: "How many. {{ doc('amount') }}"
    type: simple
    type_params: {measure: {name: orders, filter: "{{ Dimension('order_id__is_large') }}", fill_nulls_with: 0, join_to_timespine: true}}
    config: {meta: {m: 1}, group: finance, enabled: true, tags: [measured]}
  - name: amount_total
    label: Amount
    type: simple
    type_params: {measure: amount_sum}
    filter: "{{ Dimension('order_id__is_large') }} = true"
  - name: per_order
    label: Per order
    type: ratio
    type_params: {numerator: amount_total, denominator: {name: order_count, alias: nn}}
  - name: twice
    label: Twice
    type: derived
    type_params:
      expr: aa * 2
      metrics: [{name: amount_total, alias: aa, offset_window: 1 month}]
  - name: running
    label: Running
    type: cumulative
    type_params: {measure: amount_sum, cumulative_type_params: {window: 7 days, period_agg: last}}
  - name: converted
    label: Converted
    type: conversion
    type_params:
      conversion_type_params:
        base_measure: orders
        conversion_measure: {name: orders}
        entity: customer
        window: 7 days
        calculation: conversion_rate
  - name: metric_off
    label: Metric off
    type: simple
    type_params: {measure: orders}
    config: {enabled: false}
saved_queries:
  - name: by_day_query
    label: By day
    description: "Each day. {{ doc('amount') }}"
    query_params:
      metrics: [order_count, per_order]
      group_by: ["TimeDimension('order_id__ordered_at', 'day')", Entity('customer')]
      where: ["{{ Dimension('order_id__is_large') }} = true"]
      order_by: ["Metric('order_count')"]
      limit: 10
    exports:
      - name: by_day_export
        config: {export_as: table, alias: exported, schema: out}
    config: {cache: {enabled: true}, meta: {q: 1}, tags: [asked], group: finance}
    tags: [top]
""",
    "files/day.csv": "id,day\n1,2024-01-01\n",
    # Analyses and functions.
    "analyses/look.sql": "{{ config(tags=['looked']) }}\nselect count(*) from {{ ref('orders') }}\n",
    "analyses/analyses.yml": "analyses: [{name: look, description: A look., config: {meta: {l: 1}}, columns: [{name: n, description: Rows.}]}]\n",
    "functions/plus_one.sql": "x + 1\n",
    "functions/functions.yml": """\
functions:
  - name: plus_one
    description: "One more. {{ doc('amount') }}"
    config: {volatility: deterministic, tags: [fn], meta: {f: 1}}
    arguments: [{name: x, data_type: integer, description: A number.}]
    returns: {data_type: integer, description: The next.}
""",
}

# dbt-duckdb leaves functions to the project: those of DuckDB are macros.
ONLY_DBT = {
    "macros/functions.sql": """\
{% macro duckdb__scalar_function_sql(target_relation) %}
create or replace macro {{ target_relation.schema }}.{{ target_relation.identifier }}(x) as ({{ model.compiled_code }})
{% endmacro %}
""",
}

# Commands that both run, the artifacts that each leaves behind, and the code it ends with.
STEPS = (
    ("parse", ["parse", "--no-partial-parse"], ["manifest"], 0),
    ("land", ["run-operation", "land"], [], 0),
    ("build", ["build"], ["manifest", "run_results"], 1),
    ("freshness", ["source", "freshness"], ["sources"], 1),
    ("docs", ["docs", "generate"], ["manifest", "catalog"], 0),
    ("ls", ["ls", "--output", "json", "--quiet"], ["printed"], 0),
)

# What differs and is meant to: steps, a pattern of the path, and why.
MEANT = [
    ("", r"\w+:(.*/)?(created_at|generated_at|invocation_id|invocation_started_at|run_started_at|elapsed_time)", "times and ids of this run"),
    ("", r"\w+:metadata/(dbt_version|user_id)", "the program's own"),
    ("", r"manifest:metadata/adapter_type", "the engine that ran"),
    ("", r"manifest:metadata/env/ALLUVIUM_VARS", "the variables that nodes read, which `state:modified.vars` compares"),
    ("", r"manifest:(macros/macro|docs/doc)\.dbt(_duckdb)?\..*", "dbt's macros are built in"),
    ("", r"manifest:macros/macro.shop.duckdb__scalar_function_sql", "a macro for dbt alone"),
    ("", r"manifest:.*/unrendered_config_call_dict", "what was written in `config()`, which `state:modified` compares: dbt reads the files again"),
    ("", r"manifest:.*/unrendered_config(/.*)?", "dbt has of each key what was said last, also of those that add up, and nulls of a source"),
    ("", r"(manifest|printed):.*/depends_on/macros.*", "of a node the macros called by those it calls are there too, and those of functions are not its own"),
    ("", r"manifest:nodes/operation\..*", "hooks take nothing from the config of models, and stand in the project file by its name"),
    ("", r"manifest:.*/nodes/.*not_null_unused_a.*|manifest:(nodes|parent_map|child_map)/test.shop.not_null_unused_a.*", "the test of a disabled model is no test"),
    ("", r"(manifest|printed):.*/config/begin", "a time stays as it is written"),
    ("", r"manifest:nodes/model.shop.orders/contract/checksum", "dbt has in it how Python prints constraints"),
    ("", r"manifest:(unit_tests|disabled)/unit_test.*/checksum", "dbt has in it how Python prints rows"),
    ("", r"manifest:.*/columns/ordered_at/policy", "an unknown key of a column is warned about and left out"),
    ("", r"manifest:(docs/doc.shop.long/block_contents|nodes/model.shop.stg_orders/description)", "a docs block is text, in which dbt renders templates"),
    ("", r"manifest:nodes/model.shop.stg_orders/primary_key/0", "a name of a column, which dbt has in the quotes of its test"),
    ("", r"manifest:nodes/seed\..*/root_path", "nothing of the machine stands in a manifest"),
    ("", r"(manifest|printed):.*snapshot.shop.orders_history/config/schema", "`target_schema` is the schema"),
    ("", r"(manifest|printed):.*test\..*/config/tags", "the tags of a column are in the config of its tests"),
    ("", r"(manifest|printed):.*(source|exposure)\..*/(config/)?(tags|meta/seen)(/.*)?", "dbt forgets what the project file says where the properties say more"),
    ("", r"(manifest|printed):(.*/)?(metric|saved_query)\..*/(config/)?tags", "tags count wherever they are written"),
    ("", r"manifest:groups/.*/config/.*", "dbt puts the config of some models into groups"),
    ("", r"(manifest|printed):(.*/)?metric.shop.orders/(config/)?meta/.*", "a metric that a measure makes has its own meta, not that of its semantic model"),
    ("", r"manifest:semantic_models/.*/(dimensions|entities|measures)/\d/config/meta/.*", "what a semantic model says of itself is said there once"),
    ("", r"manifest:semantic_models/.*/create_metric", "dbt forgets it once it is done"),
    ("", r"manifest:(.*/agg_params/use_approximate_percentile|.*/conversion_type_params/(base|conversion)_metric)", "a default of dbt's parser"),
    ("", r"manifest:saved_queries/.*/exports/0/config/database", "an export goes where the target is"),
    ("", r"manifest:selectors/.*", "as they are written, where dbt has them taken apart"),
    ("", r"manifest:(functions|unit_tests|disabled)/.*/(description|source_description|doc_blocks)", "docs blocks are put in wherever descriptions are"),
    ("", r"manifest:functions/.*/relation_name", "what a function is called in SQL"),
    ("", r"manifest:disabled/.*/(depends_on/nodes|schema)", "what is disabled refers to something all the same"),
    ("", r"manifest:macros/.*/macro_sql", "dbt has the blanks around some macros"),
    ("", r"manifest:.*snapshot\..*/checksum/checksum", "of a snapshot its own text, not that of its whole file"),
    ("", r"(manifest|printed):.*test\.shop\.source_.*/tags", "tests of a source have its tags, also those of its config"),
    ("", r"manifest:nodes/model.shop.after_broken/(compiled.*|extra_ctes.*)", "all models are compiled before anything runs"),
    ("", r"(manifest:nodes|run_results:results)/model.shop.by_day/(compiled.*|extra_ctes.*|build_path)", "a model in batches has the SQL of its last one"),
    ("", r"run_results:results/operation\..*/timing", "hooks are rendered as they run"),
    ("", r"sources:results/source.shop.raw.(from_file|lost)", "a source that can't be asked is told with its error"),
    ("", r"catalog:sources/source.shop.raw.from_file", "files are read as they are"),
    ("", r"run_results:(args/.*|.*/(thread_id|execution_time|timing/.*))", "options and times of this run"),
    ("", r"sources:.*/(snapshotted_at|max_loaded_at_time_ago_in_s|execution_time|thread_id|timing)", "times of this run"),
    ("", r"(run_results|manifest):.*/compiled_code|manifest:.*/extra_ctes/0/sql", "tests and incremental models are rendered by macros of the program, in its dialect"),
    ("", r"run_results:.*/(message|adapter_response(/.*)?)", "what an engine says"),
    ("", r"catalog:.*/type", "the types of the engine"),
]

# Macros of dbt itself, which are built in.
BUILT_IN = re.compile(r"macro\.dbt(_duckdb)?\.")

# Lists that are sets: in whatever order a program came to their members.
SETS = r"(manifest|printed):(.*/)?(depends_on/(nodes|macros)|tags|(parent|child|group)_map/.*)"


def walk(theirs, ours, path):
    """The paths of all values that differ, with both."""
    if isinstance(theirs, list) and isinstance(ours, list) and re.fullmatch(SETS, joined(path)):
        theirs, ours = (sorted({item for item in side if not BUILT_IN.match(item)}) for side in (theirs, ours))
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            if key not in ours:
                yield (*path, key), theirs[key], MISSING
            elif key not in theirs:
                yield (*path, key), MISSING, ours[key]
            else:
                yield from walk(theirs[key], ours[key], (*path, key))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for at, (left, right) in enumerate(zip(theirs, ours)):
            yield from walk(left, right, (*path, str(at)))
    elif theirs != ours or type(theirs) is not type(ours):
        yield path, theirs, ours


class Missing:
    def __repr__(self):
        return "(nothing)"


MISSING = Missing()


def by_id(artifact):
    """Results by the id of their node, so that the order of a run is no difference."""
    if isinstance(artifact.get("results"), list):
        artifact["results"] = {result["unique_id"]: result for result in artifact["results"]}
    return artifact


class Side:
    """One of the two programs, with its own copy of the project."""

    def __init__(self, folder, command, more):
        self.folder, self.command, self.more = folder, command, more
        profile = {"type": "duckdb", "path": str(folder / "alluvium.duckdb"), "schema": "main", "threads": 1}
        files = {**PROJECT, "profiles.yml": json.dumps({"shop": {"target": "dev", "outputs": {"dev": profile}}})}
        for name, text in files.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, arguments, wanted=0):
        environment = {**os.environ, "DBT_PROFILES_DIR": str(self.folder), "DBT_ENV_CUSTOM_ENV_TEAM": "data", "NO_COLOR": "1"}
        command = [*self.command, *arguments, *(self.more if arguments != ["deps"] else [])]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        if done.returncode != wanted:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}, not {wanted}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
        return done.stdout

    def step(self, name, arguments, kinds, wanted):
        printed = self.run(arguments, wanted)
        found = {}
        for kind in kinds:
            if kind == "printed":
                lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
                found[kind] = {line["unique_id"]: line for line in lines}
                continue
            text = (self.folder / "target" / f"{kind}.json").read_text()
            kept = self.folder / "artifacts" / f"{name}.{kind}.json"
            self.write(f"artifacts/{kept.name}", text)
            found[kind] = by_id(json.loads(text.replace(str(self.folder), "<project>")))
        return found


def joined(path):
    """`kind:key/key`"""
    return f"{path[0]}:{'/'.join(path[1:])}"


def reason(step, path):
    return next((why for steps, pattern, why in MEANT if (not steps or step in steps) and re.fullmatch(pattern, joined(path))), None)


def shown(value):
    text = repr(value) if isinstance(value, Missing) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "..."


def compare(step, theirs, ours):
    """Prints the differences of a step, each kind of path once where many nodes share it, and gives their number."""
    wrong = 0
    for kind in theirs:
        for path, left, right in walk(theirs[kind], ours[kind], (kind,)):
            if reason(step, path):
                continue
            wrong += 1
            print(f"{step} {joined(path)}\n    dbt:      {shown(left)}\n    alluvium: {shown(right)}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True, type=pathlib.Path)
    parser.add_argument("--dbt", default="dbt")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = (options.keep or pathlib.Path(name)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        theirs = Side(folder / "dbt" / "shop", [options.dbt], [])
        ours = Side(folder / "alluvium" / "shop", [str(options.cli.resolve())], ["--warehouse", "warehouse"])
        for path, text in ONLY_DBT.items():
            theirs.write(path, text)
        for side in (theirs, ours):
            side.run(["deps"])
        for step, arguments, kinds, code in STEPS:
            left, right = (side.step(step, arguments, kinds, code) for side in (theirs, ours))
            wrong += compare(step, {kind: left[kind] for kind in kinds if options.only in kind}, right)
    print(f"{wrong} differences")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
