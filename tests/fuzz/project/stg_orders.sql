select id, customer, cast(amount as decimal(12, 2)) as amount, country, placed_at
from {{ source('shop', 'orders') }}
where amount >= {{ var('least') }}
