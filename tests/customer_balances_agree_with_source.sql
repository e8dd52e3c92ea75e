-- The balances of known customers, summed from the delivered lines and from the profiles.
with delivered as (
    select AccountId, CustomerId, Balance, {{ parsed_date('UpdatedOn') }} as updated_date
    from {{ source('bank', 'account') }}
    where AccountId is not null and AccountId <> ''
),

latest as (
    select * from delivered
    qualify row_number() over (partition by AccountId order by updated_date desc, Balance) = 1
),

expected as (
    select cast(sum(Balance) as decimal(18, 2)) as balance_amount
    from latest
    where CustomerId in (select CustomerId from {{ source('bank', 'customer') }} where CustomerId is not null)
),

found as (
    select cast(sum(balance_amount) as decimal(18, 2)) as balance_amount from {{ ref('customer_profile') }}
)

select expected.balance_amount as expected_balance_amount, found.balance_amount
from expected
cross join found
where expected.balance_amount is distinct from found.balance_amount
