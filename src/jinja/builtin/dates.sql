{#- Dates and series. Text that stands where a date is wanted is read as one. -#}

{#- A literal as a timestamp; other expressions as they are. -#}
{% macro alluvium__moment(expression) %}
    {%- set text = expression | string | trim -%}
    {{- return('cast(' ~ text ~ ' as timestamp)' if text.startswith("'") else text) -}}
{% endmacro %}

{% macro date(year, month, day) %}{{ return(adapter.dispatch('date', 'dbt')(year, month, day)) }}{% endmacro %}
{% macro default__date(year, month, day) %}make_date({{ year }}, {{ month }}, {{ day }}){% endmacro %}

{% macro date_trunc(datepart, date) %}{{ return(adapter.dispatch('date_trunc', 'dbt')(datepart, date)) }}{% endmacro %}
{% macro default__date_trunc(datepart, date) %}date_trunc('{{ datepart | lower }}', {{ alluvium__moment(date) }}){% endmacro %}

{% macro dateadd(datepart, interval, from_date_or_timestamp) %}{{ return(adapter.dispatch('dateadd', 'dbt')(datepart, interval, from_date_or_timestamp)) }}{% endmacro %}
{% macro default__dateadd(datepart, interval, from_date_or_timestamp) %}
    {%- set part = (datepart | lower | trim).rstrip('s') -%}
    {%- set from = alluvium__moment(from_date_or_timestamp) -%}
    {%- set count = '3 * (' ~ interval ~ ')' if part == 'quarter' else interval | string | trim -%}
    {%- set unit = 'month' if part == 'quarter' else part -%}
    {%- if unit in ['hour', 'minute', 'second', 'millisecond', 'microsecond'] -%}
        {#- A date has no hours to add to. -#}
        {%- set from = 'cast(' ~ from ~ ' as timestamp)' -%}
    {%- endif -%}
    {%- if count.lstrip('-').isdigit() -%}
        ({{ from }} + interval '{{ count }} {{ unit }}')
    {%- else -%}
        ({{ from }} + cast(cast({{ count }} as bigint) || ' {{ unit }}' as interval))
    {%- endif -%}
{% endmacro %}

{#- Counts the boundaries between two points in time, as most warehouses do. -#}
{% macro datediff(first_date, second_date, datepart) %}{{ return(adapter.dispatch('datediff', 'dbt')(first_date, second_date, datepart)) }}{% endmacro %}
{% macro default__datediff(first_date, second_date, datepart) %}
    {%- set part = datepart | lower | trim -%}
    {%- set first = 'cast(' ~ first_date ~ ' as timestamp)' -%}
    {%- set second = 'cast(' ~ second_date ~ ' as timestamp)' -%}
    {%- if part == 'week' and target.type in ['databricks', 'duckdb', 'materialize', 'postgres', 'risingwave', 'spark'] -%}
        {#- The macros of these adapters have weeks that begin on Sunday, whatever their engine truncates to. -#}
        {%- set first = '(' ~ first ~ " + interval '1 day')" -%}
        {%- set second = '(' ~ second ~ " + interval '1 day')" -%}
    {%- endif -%}
    {%- set seconds = {'week': 604800, 'day': 86400, 'hour': 3600, 'minute': 60, 'second': 1} -%}
    {%- set per_year = {'year': 1, 'quarter': 4, 'month': 12} -%}
    {%- set fractions = {'millisecond': 1000, 'microsecond': 1000000} -%}
    {#- Postgres' macro adds parts of times, which are doubles there; so what is divided of it has a fraction. -#}
    {%- set kind = 'double precision' if target.type in ['materialize', 'postgres', 'risingwave'] and part not in ['day', 'week'] else 'bigint' -%}
    {%- if part in seconds -%}
        cast((date_part('epoch', date_trunc('{{ part }}', {{ second }})) - date_part('epoch', date_trunc('{{ part }}', {{ first }}))) / {{ seconds[part] }} as {{ kind }})
    {%- elif part in per_year -%}
        cast((date_part('year', {{ second }}) - date_part('year', {{ first }})) * {{ per_year[part] }}{% if part != 'year' %} + date_part('{{ part }}', {{ second }}) - date_part('{{ part }}', {{ first }}){% endif %} as {{ kind }})
    {%- elif part in fractions -%}
        cast(round((date_part('epoch', date_trunc('{{ part }}', {{ second }})) - date_part('epoch', date_trunc('{{ part }}', {{ first }}))) * {{ fractions[part] }}) as {{ kind }})
    {%- else -%}
        {{- exceptions.raise_compiler_error('datediff knows no part `' ~ datepart ~ '`') -}}
    {%- endif -%}
{% endmacro %}

{% macro last_day(date, datepart) %}{{ return(adapter.dispatch('last_day', 'dbt')(date, datepart)) }}{% endmacro %}
{% macro default__last_day(date, datepart) %}
    {%- set next = dbt.dateadd(datepart, 1, dbt.date_trunc(datepart, date)) -%}
    cast({{ dbt.dateadd('day', -1, next) }} as date)
{% endmacro %}

{#- The least power of two, at least 1, that reaches a number. -#}
{% macro get_powers_of_two(upper_bound) %}{{ return(adapter.dispatch('get_powers_of_two', 'dbt')(upper_bound)) }}{% endmacro %}
{% macro default__get_powers_of_two(upper_bound) %}
    {%- if upper_bound <= 0 -%}
        {{- exceptions.raise_compiler_error('an upper bound is more than 0') -}}
    {%- endif -%}
    {%- set ns = namespace(power=0) -%}
    {%- for _ in range(1, 64) -%}
        {%- if 2 ** loop.index >= upper_bound and ns.power == 0 -%}{%- set ns.power = loop.index -%}{%- endif -%}
    {%- endfor -%}
    {{- return(ns.power) -}}
{% endmacro %}

{#- The whole numbers from 1 to a bound, as a query. -#}
{% macro generate_series(upper_bound) %}{{ return(adapter.dispatch('generate_series', 'dbt')(upper_bound)) }}{% endmacro %}
{% macro default__generate_series(upper_bound) %}
select value as generated_number
from (select unnest(range(1, {{ upper_bound }} + 1)) as value) as series
{% endmacro %}

{% macro get_intervals_between(start_date, end_date, datepart) %}{{ return(adapter.dispatch('get_intervals_between', 'dbt')(start_date, end_date, datepart)) }}{% endmacro %}
{% macro default__get_intervals_between(start_date, end_date, datepart) %}
    {%- if not execute -%}{{- return(0) -}}{%- endif -%}
    {%- set counted = run_query('select ' ~ dbt.datediff(start_date, end_date, datepart) ~ ' as intervals') -%}
    {{- return(counted.columns[0].values()[0] if counted else 0) -}}
{% endmacro %}

{#- Every part from a date to the one before another, as a query. -#}
{% macro date_spine(datepart, start_date, end_date) %}{{ return(adapter.dispatch('date_spine', 'dbt')(datepart, start_date, end_date)) }}{% endmacro %}
{% macro default__date_spine(datepart, start_date, end_date) %}
select {{ dbt.dateadd(datepart, 'steps.n', start_date) }} as date_{{ datepart }}
from (select unnest(range(0, {{ dbt.datediff(start_date, end_date, datepart) }})) as n) as steps
{% endmacro %}

{#- Dates as text, for loops over partitions. -#}
{% macro convert_datetime(date_str, date_fmt) %}
    {{- return(modules.datetime.datetime.strptime(date_str | string, date_fmt)) -}}
{% endmacro %}

{% macro dates_in_range(start_date_str, end_date_str=none, in_fmt='%Y%m%d', out_fmt='%Y%m%d') %}
    {%- set first = convert_datetime(start_date_str, in_fmt) -%}
    {%- set last = convert_datetime(end_date_str or start_date_str, in_fmt) -%}
    {%- set count = (last - first).days + 1 -%}
    {%- if count < 1 -%}
        {{- exceptions.raise_compiler_error('the range from ' ~ start_date_str ~ ' to ' ~ end_date_str ~ ' is empty') -}}
    {%- endif -%}
    {%- set dates = [] -%}
    {%- for step in range(count) -%}
        {%- do dates.append((first + modules.datetime.timedelta(days=step)).strftime(out_fmt)) -%}
    {%- endfor -%}
    {{- return(dates) -}}
{% endmacro %}

{% macro partition_range(raw_partition_date, date_fmt='%Y%m%d') %}
    {%- set parts = (raw_partition_date | string).split(',') -%}
    {%- if parts | length > 2 -%}
        {{- exceptions.raise_compiler_error('expected one date, or two with a comma between them, found ' ~ raw_partition_date) -}}
    {%- endif -%}
    {{- return(dates_in_range(parts[0], parts[1] if parts | length == 2 else none, in_fmt=date_fmt)) -}}
{% endmacro %}

{% macro py_current_timestring() %}
    {{- return(modules.datetime.datetime.now().strftime('%Y%m%d%H%M%S%f')) -}}
{% endmacro %}
