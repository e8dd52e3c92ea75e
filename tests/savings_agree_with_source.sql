-- Savings of known customers, summed from the delivered lines and from the profiles.
with delivered as (
    select AccountId, CustomerId, lower(trim(AccountType)) as delivered_type, Balance, {{ parsed_date('UpdatedOn') }} as updated_date
    from {{ source('bank', 'account') }}
    where AccountId is not null and AccountId <> ''
),

latest as (
    select * from delivered
    qualify row_number() over (partition by AccountId order by updated_date desc, Balance) = 1
),

expected as (
    select cast(sum(Balance) as decimal(18, 2)) as savings_amount
    from latest
    where delivered_type in (select delivered_type from {{ ref('account_type_spelling') }} where account_type = 'savings')
      and CustomerId in (select CustomerId from {{ source('bank', 'customer') }} where CustomerId is not null)
),

found as (
    select cast(sum(savings_amount) as decimal(18, 2)) as savings_amount from {{ ref('customer_profile') }}
)

select expected.savings_amount as expected_savings_amount, found.savings_amount
from expected
cross join found
where expected.savings_amount is distinct from found.savings_amount
