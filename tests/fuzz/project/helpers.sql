{% macro cents(column, digits=2) %}round({{ column }} / 100, {{ digits }}){% endmacro %}

{% macro each(columns) -%}
  {% for column in columns %}coalesce({{ column }}, '') as {{ column }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{% test positive(model, column_name, least=0) %}
select * from {{ model }} where {{ column_name }} < {{ least }}
{% endtest %}
