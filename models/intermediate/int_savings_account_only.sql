{{ config(unique_key='account_id') }}
select
    account_id,
    customer_id,
    balance_amount,
    opened_date,
    cast(dbt_valid_from as date) as valid_from_date
from {{ ref('snap_account') }}
where dbt_valid_to is null and account_type = 'savings'
