{# Rows whose date lies before `min_date` or after `max_date`, both inclusive bounds. #}
{% test valid_date_range(model, column_name, min_date, max_date) %}

select {{ column_name }}
from {{ model }}
where {{ column_name }} < cast('{{ min_date }}' as date)
   or {{ column_name }} > cast('{{ max_date }}' as date)

{% endtest %}
