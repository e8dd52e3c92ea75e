{# What the deliveries say is there now, straight from the delivered lines and past all models between: the keys of the
   newest delivery, each with the latest line of any delivery. Tests compare the marts with it. #}

{% macro delivered_accounts() -%}
    select
        AccountId as account_id,
        CustomerId as customer_id,
        lower(trim(AccountType)) as delivered_type,
        Balance as balance_amount
    from {{ ref('src_account') }}
    where AccountId in (
        select AccountId from {{ ref('src_account') }}
        where delivery_date = (select max(delivery_date) from {{ ref('src_account') }})
    )
      and AccountId <> ''
    qualify row_number() over (partition by AccountId order by {{ parsed_date('UpdatedOn') }} desc, delivery_date, Balance) = 1
{%- endmacro %}

{% macro delivered_customers() -%}
    select distinct CustomerId as customer_id
    from {{ ref('src_customer') }}
    where delivery_date = (select max(delivery_date) from {{ ref('src_customer') }})
      and CustomerId <> ''
{%- endmacro %}
