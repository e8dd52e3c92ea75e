{{ config(location='exports/account_summary.csv', format='csv') }}
select * from {{ ref('account_summary') }} order by account_type
