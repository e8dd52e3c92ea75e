{{ config(unique_key='account_id') }}
select
    account.account_id,
    account.account_type,
    account.balance_amount,
    coalesce(account.balance_amount < 0, false) as is_overdrawn_flag,
    account.opened_date,
    customer.customer_id,
    customer.customer_name,
    customer.city_name,
    customer.has_loan_flag
from {{ ref('snap_account') }} as account
left join {{ ref('snap_customer') }} as customer
    on account.customer_id = customer.customer_id and customer.dbt_valid_to is null
where account.dbt_valid_to is null
