{{ config(unique_key='account_type') }}
select
    account_type,
    count(*) as account_count,
    count(distinct customer_id) as customer_count,
    sum(case when is_overdrawn_flag then 1 else 0 end) as overdrawn_account_count,
    cast(coalesce(sum(balance_amount), 0) as decimal(18, 2)) as balance_amount
from {{ ref('int_account_with_customer') }}
group by account_type
