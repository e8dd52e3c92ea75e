{{ config(severity='warn', limit=50) }}
select account_id, opened_date, updated_date
from {{ ref('stg_account') }}
where opened_date > updated_date
