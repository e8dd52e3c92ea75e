{# Versions of one key that overlap, end before they begin, or follow a current one. Between versions there may be gaps. #}
{% test scd2_no_overlap(model, key, valid_from='dbt_valid_from', valid_to='dbt_valid_to') %}

with version as (
    select
        {{ key }} as version_key,
        {{ valid_from }} as valid_from,
        {{ valid_to }} as valid_to,
        lead({{ valid_from }}) over (partition by {{ key }} order by {{ valid_from }}, {{ valid_to }} nulls last) as next_from
    from {{ model }}
)

select version_key, valid_from, valid_to, next_from
from version
where valid_from is null
   or valid_to < valid_from
   or (next_from is not null and (valid_to is null or next_from < valid_to))

{% endtest %}
