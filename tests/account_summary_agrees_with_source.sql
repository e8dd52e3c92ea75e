-- The marts' totals, computed once more straight from the delivered lines.
with delivered as (
    select AccountId, Balance, {{ parsed_date('UpdatedOn') }} as updated_date
    from {{ source('bank', 'account') }}
    where AccountId is not null and AccountId <> ''
),

latest as (
    select * from delivered
    qualify row_number() over (partition by AccountId order by updated_date desc, Balance) = 1
),

expected as (
    select count(*) as account_count, cast(sum(Balance) as decimal(18, 2)) as balance_amount from latest
),

found as (
    select
        cast(sum(account_count) as bigint) as account_count,
        cast(sum(balance_amount) as decimal(18, 2)) as balance_amount
    from {{ ref('account_summary') }}
)

select
    expected.account_count as expected_account_count, found.account_count,
    expected.balance_amount as expected_balance_amount, found.balance_amount
from expected
cross join found
where (expected.account_count is distinct from found.account_count)
   or (expected.balance_amount is distinct from found.balance_amount)
