select
    order_id,
    trim(customer) as customer_name,
    cast(ordered_at as date) as ordered_on,
    coalesce(cast(amount as decimal(10, 2)), 0) as amount
from {{ ref('raw_orders') }}
