-- Every delivery's lines as they are: names and values stay those of the file. A delivery is taken in once.
select
    CustomerId, Name, City, HasLoan, BirthDate, JoinedOn, UpdatedOn,
    cast('{{ var("delivery_date") }}' as date) as delivery_date,
    _source_file,
    _ingested_at
from {{ source('bank', 'customer') }}
{% if is_incremental() %}
where cast('{{ var("delivery_date") }}' as date) not in (select delivery_date from {{ this }})
{% endif %}
