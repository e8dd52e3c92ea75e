{#- Functions of the project: the macro that makes one is named after its type and its language, so that a project may have
    its own. -#}

{% macro build_function() %}
    {%- do run_hooks(pre_hooks) -%}
    {%- set kind = config.get('type', 'scalar') -%}
    {%- set language = model.language -%}
    {%- if language == 'python' and not config.get('runtime_version') -%}
        {%- do exceptions.raise_compiler_error("A `runtime_version` is required for python functions") -%}
    {%- endif -%}
    {%- if language == 'python' and not config.get('entry_point') -%}
        {%- do exceptions.raise_compiler_error("An `entry_point` is required for python functions") -%}
    {%- endif -%}
    {%- set maker = kind ~ '_function_' ~ language -%}
    {%- if maker not in context and 'default__' ~ maker not in context -%}
        {%- do exceptions.raise_compiler_error(
            "No macro named '" ~ maker ~ "' found within namespace: functions of the type `" ~ kind ~ "` in " ~ language ~ " can't be made"
        ) -%}
    {%- endif -%}
    {%- call statement('main') -%}{{ context[maker](this) }}{%- endcall -%}
    {%- do run_hooks(post_hooks) -%}
    {{- return({'relations': [this]}) -}}
{% endmacro %}

{% macro scalar_function_sql(target_relation) %}
    {{- return(adapter.dispatch('scalar_function_sql', 'dbt')(target_relation)) -}}
{% endmacro %}

{% macro default__scalar_function_sql(target_relation) %}
create or replace function {{ target_relation }} ({{ formatted_scalar_function_args_sql() }})
returns {{ model.returns.data_type }} {{ scalar_function_volatility_sql() }}
as
{{ model.compiled_code }}
{% endmacro %}

{% macro formatted_scalar_function_args_sql() %}
    {{- return(adapter.dispatch('formatted_scalar_function_args_sql', 'dbt')()) -}}
{% endmacro %}

{% macro default__formatted_scalar_function_args_sql() %}
    {%- for argument in model.arguments -%}
        {{- adapter.quote(argument.name) }} {{ argument.data_type -}}
        {%- if argument.default_value is not none %} default {{ argument.default_value }}{% endif -%}
        {{- ', ' if not loop.last -}}
    {%- endfor -%}
{% endmacro %}

{% macro scalar_function_volatility_sql() %}
    {{- return(adapter.dispatch('scalar_function_volatility_sql', 'dbt')()) -}}
{% endmacro %}

{% macro default__scalar_function_volatility_sql() %}
    {{- {'deterministic': 'immutable', 'stable': 'stable', 'non-deterministic': 'volatile'}.get(config.get('volatility'), '') -}}
{% endmacro %}
