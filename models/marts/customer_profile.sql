{{ config(unique_key='customer_id') }}
with account as (
    select
        customer_id,
        count(*) as account_count,
        sum(balance_amount) as balance_amount
    from {{ ref('int_account_with_customer') }}
    where customer_id is not null
    group by customer_id
),

savings as (
    select customer_id, sum(balance_amount) as savings_amount
    from {{ ref('int_savings_account_only') }}
    where customer_id is not null
    group by customer_id
)

select
    customer.customer_id,
    customer.customer_name,
    customer.city_name,
    customer.has_loan_flag,
    customer.joined_date,
    coalesce(account.account_count, 0) as account_count,
    cast(coalesce(account.balance_amount, 0) as decimal(18, 2)) as balance_amount,
    cast(coalesce(savings.savings_amount, 0) as decimal(18, 2)) as savings_amount
from {{ ref('snap_customer') }} as customer
left join account on customer.customer_id = account.customer_id
left join savings on customer.customer_id = savings.customer_id
where customer.dbt_valid_to is null
