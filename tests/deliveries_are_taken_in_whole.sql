-- The source layer has as many lines of this delivery as its files, and the same sum of balances.
with file as (
    select
        (select count(*) from {{ source('bank', 'customer') }}) as customer_lines,
        (select count(*) from {{ source('bank', 'account') }}) as account_lines,
        (select sum(Balance) from {{ source('bank', 'account') }}) as balance_amount
),

kept as (
    select
        (select count(*) from {{ ref('src_customer') }} where delivery_date = date '{{ var("delivery_date") }}') as customer_lines,
        (select count(*) from {{ ref('src_account') }} where delivery_date = date '{{ var("delivery_date") }}') as account_lines,
        (select sum(Balance) from {{ ref('src_account') }} where delivery_date = date '{{ var("delivery_date") }}') as balance_amount
)

select
    file.customer_lines as customer_lines_in_file, kept.customer_lines,
    file.account_lines as account_lines_in_file, kept.account_lines,
    file.balance_amount as balance_amount_in_file, kept.balance_amount
from file
cross join kept
where file.customer_lines <> kept.customer_lines
   or file.account_lines <> kept.account_lines
   or (file.balance_amount is distinct from kept.balance_amount)
