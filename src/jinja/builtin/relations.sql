{#- Relations and columns, for macros and operations that handle them by themselves. -#}

{% macro create_schema(relation) %}{%- do adapter.create_schema(relation) -%}{% endmacro %}

{% macro drop_schema(relation) %}{%- do adapter.drop_schema(relation) -%}{% endmacro %}

{% macro drop_schema_named(schema_name) %}
    {%- do adapter.drop_schema(api.Relation.create(database=target.database, schema=schema_name)) -%}
{% endmacro %}

{% macro drop_relation(relation) %}{%- do adapter.drop_relation(relation) -%}{% endmacro %}

{% macro drop_relation_if_exists(relation) %}
    {%- if relation is not none -%}{%- do adapter.drop_relation(relation) -%}{%- endif -%}
{% endmacro %}

{% macro truncate_relation(relation) %}{%- do adapter.truncate_relation(relation) -%}{% endmacro %}

{% macro rename_relation(from_relation, to_relation) %}{%- do adapter.rename_relation(from_relation, to_relation) -%}{% endmacro %}

{% macro check_schema_exists(information_schema, schema) %}
    {{- return(adapter.check_schema_exists(information_schema.database, schema)) -}}
{% endmacro %}

{% macro list_relations_without_caching(schema_relation) %}
    {{- return(adapter.list_relations_without_caching(schema_relation)) -}}
{% endmacro %}

{% macro list_schemas(database) %}
    {{- return(run_query("select distinct schema_name from " ~ information_schema_name(database) ~ ".schemata order by 1")) -}}
{% endmacro %}

{% macro information_schema_name(database) %}
    {{- return('"' ~ database ~ '".information_schema' if database else 'information_schema') -}}
{% endmacro %}

{% macro get_columns_in_relation(relation) %}{{- return(adapter.get_columns_in_relation(relation)) -}}{% endmacro %}

{% macro get_column_schema_from_query(select_sql, select_sql_header=none) %}
    {{- return(adapter.get_column_schema_from_query(select_sql)) -}}
{% endmacro %}

{% macro get_columns_in_query(select_sql) %}
    {{- return(adapter.get_column_schema_from_query(select_sql) | map(attribute='name') | list) -}}
{% endmacro %}

{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) %}
select * from (
    {{ select_sql }}
) as empty_subquery
where false
limit 0
{% endmacro %}

{% macro get_or_create_relation(database, schema, identifier, type) %}
    {%- set found = adapter.get_relation(database=database, schema=schema, identifier=identifier) -%}
    {%- if found -%}
        {{- return([true, found]) -}}
    {%- endif -%}
    {{- return([false, api.Relation.create(database=database, schema=schema, identifier=identifier, type=type)]) -}}
{% endmacro %}

{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') %}
    {{- return(adapter.dispatch('make_temp_relation', 'dbt')(base_relation, suffix)) -}}
{% endmacro %}

{% macro default__make_temp_relation(base_relation, suffix='__dbt_tmp') %}
    {{- return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) -}}
{% endmacro %}

{#- A temporary table of Postgres has no schema, and macros written for it count on that. -#}
{% macro postgres__make_temp_relation(base_relation, suffix='__dbt_tmp') %}
    {{- return(base_relation.incorporate(path={'database': none, 'schema': none, 'identifier': base_relation.identifier ~ suffix})) -}}
{% endmacro %}

{% macro make_intermediate_relation(base_relation, suffix='__dbt_tmp') %}
    {{- return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) -}}
{% endmacro %}

{% macro make_backup_relation(base_relation, backup_relation_type, suffix='__dbt_backup') %}
    {{- return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix}, type=backup_relation_type)) -}}
{% endmacro %}

{% macro create_table_as(temporary, relation, compiled_code, language='sql') %}
    {{- return(adapter.dispatch('create_table_as', 'dbt')(temporary, relation, compiled_code)) -}}
{% endmacro %}

{#- There are no temporary tables: what a macro makes as one stands under its own name until it is dropped. -#}
{% macro default__create_table_as(temporary, relation, compiled_code) %}
create or replace table {{ relation }} as
{{ compiled_code }}
{% endmacro %}

{% macro get_create_table_as_sql(temporary, relation, sql) %}
    {{- return(create_table_as(temporary, relation, sql)) -}}
{% endmacro %}

{% macro create_view_as(relation, sql) %}
    {{- return(adapter.dispatch('create_view_as', 'dbt')(relation, sql)) -}}
{% endmacro %}

{% macro default__create_view_as(relation, sql) %}
create or replace view {{ relation }} as
{{ sql }}
{% endmacro %}

{% macro get_create_view_as_sql(relation, sql) %}
    {{- return(create_view_as(relation, sql)) -}}
{% endmacro %}

{% macro get_quoted_csv(column_names) %}
    {%- set quoted = [] -%}
    {%- for name in column_names -%}{%- do quoted.append(adapter.quote(name)) -%}{%- endfor -%}
    {{- return(quoted | join(', ')) -}}
{% endmacro %}

{% macro diff_columns(source_columns, target_columns) %}
    {%- set known = target_columns | map(attribute='name') | map('lower') | list -%}
    {%- set missing = [] -%}
    {%- for column in source_columns if column.name | lower not in known -%}{%- do missing.append(column) -%}{%- endfor -%}
    {{- return(missing) -}}
{% endmacro %}

{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) %}
    {#- A block that it is called with says what was sent, and is not sent again. -#}
    {%- if caller is defined -%}{%- do caller() -%}{%- endif -%}
    {%- if name is not none -%}{%- do store_raw_result(name, message=message, code=code, rows_affected=rows_affected, agate_table=res) -%}{%- endif -%}
{% endmacro %}

{% macro make_hook_config(sql, inside_transaction) %}
    {{- tojson({'sql': sql, 'transaction': inside_transaction}) -}}
{% endmacro %}

{% macro before_begin(sql) %}{{ make_hook_config(sql, inside_transaction=false) }}{% endmacro %}

{% macro in_transaction(sql) %}{{ make_hook_config(sql, inside_transaction=true) }}{% endmacro %}

{% macro after_commit(sql) %}{{ make_hook_config(sql, inside_transaction=false) }}{% endmacro %}
