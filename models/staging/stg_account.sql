{#- One row per account of the newest delivery: the latest line of each key, with one spelling of its type. -#}
with cleaned as (
    select
        trim(AccountId) as account_id,
        nullif(trim(CustomerId), '') as customer_id,
        lower(trim(AccountType)) as delivered_type,
        Balance as balance_amount,
        {{ parsed_date('OpenedOn') }} as opened_date,
        {{ parsed_date('UpdatedOn') }} as updated_date
    from {{ ref('src_account') }}
    where AccountId is not null and trim(AccountId) <> ''
      and delivery_date = (select max(delivery_date) from {{ ref('src_account') }})
),

latest as (
    select *
    from cleaned
    qualify row_number() over (partition by account_id order by updated_date desc, balance_amount) = 1
)

select
    latest.account_id,
    latest.customer_id,
    coalesce(spelling.account_type, 'unknown') as account_type,
    latest.balance_amount,
    latest.opened_date,
    latest.updated_date
from latest
left join {{ ref('account_type_spelling') }} as spelling on latest.delivered_type = spelling.delivered_type
