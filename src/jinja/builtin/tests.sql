{#- The generic tests that every project has. Each selects the rows that fail. -#}

{% test not_null(model, column_name) %}
select {{ '*' if should_store_failures() else column_name }}
from {{ model }}
where {{ column_name }} is null
{% endtest %}

{% test unique(model, column_name) %}
select {{ column_name }} as unique_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endtest %}

{% test accepted_values(model, column_name, values, quote=true) %}
select {{ column_name }} as value_field, count(*) as n_records
from {{ model }}
where {{ column_name }} not in (
    {#- A quote that is written as two, or behind a backslash, is right as it stands, as in dbt. -#}
    {%- for value in values %}
    {%- set bare = value | string | replace("''", "") | replace("\\'", "") %}
    {% if quote %}'{{ (value | string | replace("'", "''")) if "'" in bare else value }}'{% else %}{{ value }}{% endif %}{{ ',' if not loop.last }}
    {%- endfor %}
)
group by {{ column_name }}
{% endtest %}

{% test relationships(model, column_name, to, field) %}
with child as (select {{ column_name }} as from_field from {{ model }} where {{ column_name }} is not null),
parent as (select {{ field }} as to_field from {{ to }})
select child.from_field
from child
left join parent on child.from_field = parent.to_field
where parent.to_field is null
{% endtest %}

{#- What a test reads: the node, or the rows of it that the test's `where` leaves. -#}
{% macro get_where_subquery(relation) %}{{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}{% endmacro %}

{% macro default__get_where_subquery(relation) %}
    {%- set where = config.get('where', '') -%}
    {%- if where -%}
        {{- return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') dbt_subquery') -}}
    {%- else -%}
        {{- return(relation) -}}
    {%- endif -%}
{% endmacro %}

{% macro should_store_failures() %}
    {%- set own = config.get('store_failures') -%}
    {{- return(flags.STORE_FAILURES if own is none else own) -}}
{% endmacro %}

{% macro should_full_refresh() %}
    {%- set own = config.get('full_refresh') -%}
    {{- return(flags.FULL_REFRESH if own is none else own) -}}
{% endmacro %}
