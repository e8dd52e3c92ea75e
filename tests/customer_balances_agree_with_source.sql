-- The balance of every known customer, summed from the delivered lines and as the profile has it.
with account as (
    {{ delivered_accounts() }}
),

expected as (
    select
        customer.customer_id,
        count(account.account_id) as account_count,
        cast(coalesce(sum(account.balance_amount), 0) as decimal(18, 2)) as balance_amount
    from ({{ delivered_customers() }}) as customer
    left join account on customer.customer_id = account.customer_id
    group by customer.customer_id
)

select
    coalesce(expected.customer_id, found.customer_id) as customer_id,
    expected.account_count as expected_account_count, found.account_count,
    expected.balance_amount as expected_balance_amount, found.balance_amount
from expected
full join {{ ref('customer_profile') }} as found on expected.customer_id = found.customer_id
where (expected.account_count is distinct from found.account_count)
   or (expected.balance_amount is distinct from found.balance_amount)
