-- The delivery as it is: names and values stay those of the file.
select CustomerId, Name, City, HasLoan, BirthDate, JoinedOn, UpdatedOn
from {{ source('bank', 'customer') }}
