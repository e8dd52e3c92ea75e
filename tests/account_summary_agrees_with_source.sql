-- Accounts, customers and balances of each type, computed once more from the delivered lines.
with account as (
    {{ delivered_accounts() }}
),

expected as (
    select
        spelling.account_type,
        count(account.account_id) as account_count,
        count(distinct customer.customer_id) as customer_count,
        count(case when account.balance_amount < 0 then 1 end) as overdrawn_account_count,
        cast(sum(account.balance_amount) as decimal(18, 2)) as balance_amount
    from account
    inner join {{ ref('account_type_spelling') }} as spelling on account.delivered_type = spelling.delivered_type
    left join ({{ delivered_customers() }}) as customer on account.customer_id = customer.customer_id
    group by spelling.account_type
),

found as (
    select account_type, account_count, customer_count, overdrawn_account_count, balance_amount
    from {{ ref('account_summary') }}
)

(select 'expected' as side, * from (select * from expected except select * from found))
union all
(select 'found' as side, * from (select * from found except select * from expected))
