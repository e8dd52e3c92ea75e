-- The delivery as it is: names and values stay those of the file.
select AccountId, CustomerId, AccountType, Balance, OpenedOn, UpdatedOn
from {{ source('bank', 'account') }}
