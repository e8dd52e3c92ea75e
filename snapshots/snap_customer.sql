{% snapshot snap_customer %}
{{ config(unique_key='customer_id') }}
select customer_id, customer_name, city_name, has_loan_flag, birth_date, joined_date, updated_date
from {{ ref('stg_customer') }}
{% endsnapshot %}
