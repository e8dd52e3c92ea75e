{{ config(materialized='incremental', unique_key='id') }}
select o.id, o.customer, {{ cents('o.amount') }} as amount, o.placed_at, c.name as country
from {{ ref('stg_orders') }} as o
left join {{ ref('countries') }} as c on c.code = o.country
{% if is_incremental() %}where o.placed_at > (select max(placed_at) from {{ this }}){% endif %}
