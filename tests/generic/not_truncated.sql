{# Deliveries with less than `least_share` of the lines of the one before: a full extract that broke off. #}
{% test not_truncated(model, delivery='delivery_date', least_share=0.8) %}

with delivery as (
    select {{ delivery }} as delivery, count(*) as line_count from {{ model }} group by {{ delivery }}
),

compared as (
    select delivery, line_count, lag(line_count) over (order by delivery) as previous_count from delivery
)

select delivery, line_count, previous_count
from compared
where line_count < {{ least_share }} * previous_count

{% endtest %}
