-- Savings of known customers in all, summed from the delivered lines and from the profiles.
with account as (
    {{ delivered_accounts() }}
),

expected as (
    select cast(sum(balance_amount) as decimal(18, 2)) as savings_amount
    from account
    where delivered_type in (select delivered_type from {{ ref('account_type_spelling') }} where account_type = 'savings')
      and customer_id in ({{ delivered_customers() }})
),

found as (
    select cast(sum(savings_amount) as decimal(18, 2)) as savings_amount from {{ ref('customer_profile') }}
)

select expected.savings_amount as expected_savings_amount, found.savings_amount
from expected
cross join found
where expected.savings_amount is distinct from found.savings_amount
