{#- What materializations written as macros are made of: hooks, temporary relations, statements of strategies. -#}

{% macro run_hooks(hooks, inside_transaction=true) %}
    {%- for hook in hooks if hook.get('transaction', true) == inside_transaction -%}
        {%- set statement_of_hook = render(hook.get('sql')) | trim -%}
        {%- if statement_of_hook -%}
            {%- call statement(auto_begin=inside_transaction) -%}{{ statement_of_hook }}{%- endcall -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}

{% macro handle_existing_table(full_refresh, old_relation) %}
    {%- do adapter.drop_relation(old_relation) -%}
{% endmacro %}

{#- Every statement is a whole of its own here, and a table has neither indexes nor grants. -#}
{% macro create_indexes(relation) %}{% endmacro %}

{% macro get_create_index_sql(relation, index_dict) %}{{ return(none) }}{% endmacro %}

{% macro should_revoke(existing_relation, full_refresh_mode=true) %}{{ return(false) }}{% endmacro %}

{% macro apply_grants(relation, grant_config, should_revoke=true) %}
    {%- if grant_config -%}
        {%- do exceptions.raise_compiler_error("`grants` has no meaning for " ~ relation ~ ": the storage says who may read a table") -%}
    {%- endif -%}
{% endmacro %}

{% macro persist_docs(relation, model, for_relation=true, for_columns=true) %}
    {{- return(adapter.dispatch('persist_docs', 'dbt')(relation, model, for_relation, for_columns)) -}}
{% endmacro %}

{% macro default__persist_docs(relation, model, for_relation, for_columns) %}
    {%- if for_relation and config.persist_relation_docs() or for_columns and config.persist_column_docs() -%}
        {%- do exceptions.warn("`persist_docs` is not carried out by a materialization that is written as a macro") -%}
    {%- endif -%}
{% endmacro %}

{% macro create_or_replace_view() %}
    {%- do run_hooks(pre_hooks) -%}
    {%- set existing = load_relation(this) -%}
    {%- if existing is not none and existing.is_table -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {%- set target = this.incorporate(type='view') -%}
    {%- call statement('main') -%}{{ get_create_view_as_sql(target, sql) }}{%- endcall -%}
    {%- do run_hooks(post_hooks) -%}
    {{- return({'relations': [target]}) -}}
{% endmacro %}

{#- A table by the project's own text. -#}
{% macro build_table_by_macros() %}
    {%- do run_hooks(pre_hooks, inside_transaction=false) -%}
    {%- do run_hooks(pre_hooks, inside_transaction=true) -%}
    {%- set existing = load_relation(this) -%}
    {%- if existing is not none and existing.is_view -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- call statement('main') -%}{{ get_create_table_as_sql(false, target, sql) }}{%- endcall -%}
    {%- do run_hooks(post_hooks, inside_transaction=true) -%}
    {%- do run_hooks(post_hooks, inside_transaction=false) -%}
    {{- return({'relations': [target]}) -}}
{% endmacro %}

{#- New rows of an incremental model by the text of a strategy's macro. -#}
{% macro build_increment_by_macros(strategy) %}
    {%- do run_hooks(pre_hooks, inside_transaction=false) -%}
    {%- do run_hooks(pre_hooks, inside_transaction=true) -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set new_rows = make_intermediate_relation(target) -%}
    {%- do run_query(get_create_table_as_sql(true, new_rows, sql)) -%}
    {%- set changes = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
    {%- set columns = process_schema_changes(changes, new_rows, target) or adapter.get_columns_in_relation(target) -%}
    {%- set asked = {
        'target_relation': target,
        'temp_relation': new_rows,
        'unique_key': config.get('unique_key'),
        'dest_columns': columns,
        'incremental_predicates': config.get('predicates', none) or config.get('incremental_predicates', none),
    } -%}
    {%- call statement('main') -%}{{ adapter.get_incremental_strategy_macro(context, strategy)(asked) }}{%- endcall -%}
    {%- do adapter.drop_relation(new_rows) -%}
    {%- do run_hooks(post_hooks, inside_transaction=true) -%}
    {%- do run_hooks(post_hooks, inside_transaction=false) -%}
    {{- return({'relations': [target]}) -}}
{% endmacro %}

{% macro drop_temporary_relations() %}
    {%- set beginning = this.identifier ~ '__dbt_tmp' -%}
    {%- for relation in adapter.list_relations_without_caching(this) if relation.identifier.startswith(beginning) -%}
        {%- do adapter.drop_relation(relation) -%}
    {%- endfor -%}
{% endmacro %}

{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') %}
    {%- set known = ['ignore', 'fail', 'append_new_columns', 'sync_all_columns'] -%}
    {{- return(on_schema_change if on_schema_change in known else default) -}}
{% endmacro %}

{% macro check_for_schema_changes(source_relation, target_relation) %}
    {%- set source_columns = adapter.get_columns_in_relation(source_relation) -%}
    {%- set target_columns = adapter.get_columns_in_relation(target_relation) -%}
    {%- set source_not_in_target = diff_columns(source_columns, target_columns) -%}
    {%- set target_not_in_source = diff_columns(target_columns, source_columns) -%}
    {%- set new_target_types = diff_column_data_types(source_columns, target_columns) -%}
    {{- return({
        'schema_changed': (source_not_in_target or target_not_in_source or new_target_types) and true or false,
        'source_not_in_target': source_not_in_target,
        'target_not_in_source': target_not_in_source,
        'source_columns': source_columns,
        'target_columns': target_columns,
        'new_target_types': new_target_types,
    }) -}}
{% endmacro %}

{% macro diff_column_data_types(source_columns, target_columns) %}
    {%- set changed = [] -%}
    {%- for source in source_columns -%}
        {%- for target in target_columns if target.name | lower == source.name | lower and target.data_type != source.data_type -%}
            {%- do changed.append({'column_name': target.name, 'new_type': source.data_type}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(changed) -}}
{% endmacro %}

{% macro process_schema_changes(on_schema_change, source_relation, target_relation) %}
    {%- if on_schema_change == 'ignore' -%}{{- return([]) -}}{%- endif -%}
    {%- set found = check_for_schema_changes(source_relation, target_relation) -%}
    {%- if found['schema_changed'] -%}
        {%- if on_schema_change == 'fail' -%}
            {%- do exceptions.raise_compiler_error("the columns of " ~ source_relation ~ " are not those of " ~ target_relation ~ ", and `on_schema_change` says to fail") -%}
        {%- endif -%}
        {%- do sync_column_schemas(on_schema_change, target_relation, found) -%}
    {%- endif -%}
    {{- return(found['source_columns']) -}}
{% endmacro %}

{% macro sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) %}
    {%- set added = schema_changes_dict['source_not_in_target'] -%}
    {%- set removed = schema_changes_dict['target_not_in_source'] if on_schema_change == 'sync_all_columns' else [] -%}
    {%- do alter_relation_add_remove_columns(target_relation, added, removed) -%}
{% endmacro %}

{% macro alter_relation_add_remove_columns(relation, add_columns=none, remove_columns=none) %}
    {%- for column in add_columns or [] -%}
        {%- do run_query("alter table " ~ relation ~ " add column " ~ adapter.quote(column.name) ~ " " ~ column.data_type) -%}
    {%- endfor -%}
    {%- for column in remove_columns or [] -%}
        {%- do run_query("alter table " ~ relation ~ " drop column " ~ adapter.quote(column.name)) -%}
    {%- endfor -%}
{% endmacro %}

{% macro alter_column_type(relation, column_name, new_column_type) %}
    {{- return(adapter.dispatch('alter_column_type', 'dbt')(relation, column_name, new_column_type)) -}}
{% endmacro %}

{#- One commit, and only to a type that holds every value of the column. -#}
{% macro default__alter_column_type(relation, column_name, new_column_type) %}
    {%- do run_query("alter table " ~ relation.render() ~ " alter column " ~ adapter.quote(column_name) ~ " type " ~ new_column_type) -%}
{% endmacro %}

{% macro get_incremental_append_sql(arg_dict) %}
    {{- return(adapter.dispatch('get_incremental_append_sql', 'dbt')(arg_dict)) -}}
{% endmacro %}

{% macro default__get_incremental_append_sql(arg_dict) %}
    {{- return(get_insert_into_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns'])) -}}
{% endmacro %}

{% macro get_insert_into_sql(target_relation, temp_relation, dest_columns) %}
    {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
insert into {{ target_relation }} ({{ columns }})
select {{ columns }} from {{ temp_relation }}
{% endmacro %}

{% macro get_incremental_default_sql(arg_dict) %}
    {{- return(get_incremental_merge_sql(arg_dict) if arg_dict['unique_key'] else get_incremental_append_sql(arg_dict)) -}}
{% endmacro %}

{% macro get_incremental_delete_insert_sql(arg_dict) %}
    {{- return(adapter.dispatch('get_incremental_delete_insert_sql', 'dbt')(arg_dict)) -}}
{% endmacro %}

{% macro default__get_incremental_delete_insert_sql(arg_dict) %}
    {{- return(get_delete_insert_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) -}}
{% endmacro %}

{% macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
    {{- return(adapter.dispatch('get_delete_insert_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) -}}
{% endmacro %}

{% macro default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
    {%- set keys = [] if not unique_key else ([unique_key] if unique_key is string else unique_key) -%}
    {%- if keys -%}
delete from {{ target }} as kept
where exists (
    select 1 from {{ source }} as new_rows
    where {% for key in keys %}new_rows.{{ key }} = kept.{{ key }}{% if not loop.last %} and {% endif %}{% endfor %}
)
        {%- for predicate in incremental_predicates or [] %} and {{ predicate }}{% endfor -%};
    {%- endif %}
{{ get_insert_into_sql(target, source, dest_columns) }}
{% endmacro %}

{% macro get_incremental_merge_sql(arg_dict) %}
    {{- return(adapter.dispatch('get_incremental_merge_sql', 'dbt')(arg_dict)) -}}
{% endmacro %}

{% macro default__get_incremental_merge_sql(arg_dict) %}
    {{- return(get_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) -}}
{% endmacro %}

{% macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
    {{- return(adapter.dispatch('get_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) -}}
{% endmacro %}

{% macro default__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
    {%- set keys = [] if not unique_key else ([unique_key] if unique_key is string else unique_key) -%}
    {%- set conditions = incremental_predicates | list if incremental_predicates else [] -%}
    {%- for key in keys -%}{%- do conditions.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INTERNAL_DEST.' ~ key) -%}{%- endfor -%}
    {%- set changed = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
    {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
merge into {{ target }} as DBT_INTERNAL_DEST
using {{ source }} as DBT_INTERNAL_SOURCE
on {{ conditions | join(' and ') if keys else 'false' }}
    {%- if keys %}
when matched then update set
    {% for column in changed %}{{ column }} = DBT_INTERNAL_SOURCE.{{ column }}{% if not loop.last %}, {% endif %}{% endfor %}
    {%- endif %}
when not matched then insert ({{ columns }}) values ({{ columns }})
{% endmacro %}

{% macro get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) %}
    {%- if merge_update_columns and merge_exclude_columns -%}
        {%- do exceptions.raise_compiler_error("give `merge_update_columns` or `merge_exclude_columns`, not both") -%}
    {%- endif -%}
    {%- if merge_update_columns -%}{{- return(merge_update_columns) -}}{%- endif -%}
    {%- set left_out = (merge_exclude_columns or []) | map('lower') | list -%}
    {%- set columns = [] -%}
    {%- for column in dest_columns if column.name | lower not in left_out -%}{%- do columns.append(adapter.quote(column.name)) -%}{%- endfor -%}
    {{- return(columns) -}}
{% endmacro %}
