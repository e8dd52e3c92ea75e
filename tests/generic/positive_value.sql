{# Rows whose value is negative, or zero unless `or_zero`. NULL passes: that is not_null's business. #}
{% test positive_value(model, column_name, or_zero=false) %}

select {{ column_name }}
from {{ model }}
where {{ column_name }} {{ '<' if or_zero else '<=' }} 0

{% endtest %}
