{#- One row per customer of the newest delivery: the latest line of each key, trimmed, typed and renamed. -#}
with cleaned as (
    select
        trim(CustomerId) as customer_id,
        {{ person_name('Name') }} as customer_name,
        trim(City) as city_name,
        {{ flag('HasLoan') }} as has_loan_flag,
        {{ parsed_date('BirthDate') }} as birth_date,
        {{ parsed_date('JoinedOn') }} as joined_date,
        {{ parsed_date('UpdatedOn') }} as updated_date
    from {{ ref('src_customer') }}
    where CustomerId is not null and trim(CustomerId) <> ''
      and delivery_date = (select max(delivery_date) from {{ ref('src_customer') }})
)

select customer_id, customer_name, city_name, has_loan_flag, birth_date, joined_date, updated_date
from cleaned
qualify row_number() over (partition by customer_id order by updated_date desc, city_name) = 1
