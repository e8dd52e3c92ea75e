select account_id, customer_id, customer_name, balance_amount, opened_date
from {{ ref('int_account_with_customer') }}
where account_type = 'savings'
