{{ config(location='exports/customer_profile.parquet', format='parquet') }}
select * from {{ ref('customer_profile') }} order by customer_id
