-- Fails if the days do not add up to all orders.
select days.total, orders.total as expected
from (select sum(total_amount) as total from {{ ref('orders_by_day') }}) as days
cross join (select sum(amount) as total from {{ ref('stg_orders') }}) as orders
where days.total != orders.total
