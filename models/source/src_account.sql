-- Every delivery's lines as they are: names and values stay those of the file. A delivery is taken in once.
select
    AccountId, CustomerId, AccountType, Balance, OpenedOn, UpdatedOn,
    cast('{{ var("delivery_date") }}' as date) as delivery_date,
    _source_file,
    _ingested_at
from {{ source('bank', 'account') }}
{% if is_incremental() %}
where cast('{{ var("delivery_date") }}' as date) not in (select delivery_date from {{ this }})
{% endif %}
