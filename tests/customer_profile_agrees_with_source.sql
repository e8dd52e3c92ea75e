-- Every customer of the newest delivery has a profile, once, and no profile has another key.
with expected as (
    {{ delivered_customers() }}
),

found as (
    select customer_id, count(*) as profile_count from {{ ref('customer_profile') }} group by customer_id
)

select coalesce(expected.customer_id, found.customer_id) as customer_id, found.profile_count
from expected
full join found on expected.customer_id = found.customer_id
where expected.customer_id is null or found.customer_id is null or found.profile_count <> 1
