-- What is current in the snapshot of accounts is what the newest delivery names, once each.
with version as (
    select account_id, count(*) as version_count
    from {{ ref('snap_account') }}
    where dbt_valid_to is null
    group by account_id
)

select coalesce(delivered.account_id, version.account_id) as account_id, version.version_count
from {{ ref('stg_account') }} as delivered
full join version on delivered.account_id = version.account_id
where delivered.account_id is null or version.account_id is null or version.version_count <> 1
