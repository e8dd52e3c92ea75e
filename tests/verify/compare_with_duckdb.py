"""Compares functions of the dialect with DuckDB on a grid: NULL, empty, extremes, Unicode, leap days.

    python3 -m venv .venv && .venv/bin/pip install duckdb
    .venv/bin/python tests/verify/compare_with_duckdb.py --cli PATH_TO_ALLUVIUM

Each line of CHECKS is an expression of the dialect, the same in DuckDB's words where they differ, and the grid whose
columns it uses. Both engines answer for every row; a row on which one of them fails is asked by itself, and two
failures are an agreement. Differences that are meant stand in KNOWN with their reason. The exit code is 1 if there is
any other. `--write tests/cases/sql-grid.md` writes the answers that agree as cases.
"""

import argparse
import json
import math
import subprocess
import sys
import re
import tempfile
import zlib
from pathlib import Path

import duckdb

DATES = ["null", "date '1970-01-01'", "date '2024-02-29'", "date '2023-12-31'", "date '1900-03-01'", "date '2000-02-28'", "date '9999-12-31'", "date '0001-01-01'"]
TIMES = ["null", "timestamp '1969-12-31 23:59:59.999999'", "timestamp '2024-02-29 12:30:45.123456'", "timestamp '2024-03-31 00:00:00'", "timestamp '2023-02-28 23:59:59'", "timestamp '2000-01-01 00:00:00'"]
TEXTS = ["null", "''", "'a'", "'abcabc'", "'größe'", "'日本語'", "' padded '", "'a,b,,c'", "'O''Brien'", "'🙂🙂'", "'100-200'"]
NUMBERS = ["null", "0", "1", "-1", "7", "-7", "9223372036854775807", "-9223372036854775807"]
CLOCKS = ["null", "timestamp '2024-03-31 01:59:59.999999'", "timestamp '2024-03-31 02:30:00'", "timestamp '2024-03-31 03:00:00'", "timestamp '2024-10-27 02:30:00'", "timestamp '2024-10-27 03:00:00'", "timestamp '1969-12-31 23:59:59'", "timestamp '2024-07-01 12:00:00'"]
LISTS = ["null", "cast([] as bigint[])", "[1]", "[3, 1, 2]", "[null, 1]", "[2, 2, null, 5]"]
DAYS = ["null", "'2024-02-29'", "'2023-02-29'", "'29.02.2024'", "''", "'2024-2-9'", "'2024-02-29 12:30:45'"]
DECIMALS = ["null", "0.00", "1.25", "-1.25", "99999999.99", "2.50", "-3.50"]
JSON = ["null", "'{\"a\": 1, \"b\": {\"c\": [1, \"x\", null]}}'", "'{\"a\": null}'", "'{\"a\": \"größe\", \"b\": true}'", "'[1, 2]'", "'{}'", "'{\"a\": 1.5}'"]
FLOATS = ["null", "cast(0 as double)", "cast(1.5 as double)", "cast(-2.5 as double)", "cast(1e300 as double)"]

GRIDS = {
    "date": ("d", DATES),
    "time": ("t", TIMES),
    "text": ("s", TEXTS),
    "number": ("n", NUMBERS),
    "float": ("f", FLOATS),
    "two dates": ("d, e", [f"{a}, {b}" for a in DATES[:6] for b in DATES[:6]]),
    "two times": ("t, u", [f"{a}, {b}" for a in TIMES for b in TIMES]),
    "two numbers": ("n, m", [f"{a}, {b}" for a in NUMBERS for b in NUMBERS]),
    "clock": ("t", CLOCKS),
    "list": ("l", LISTS),
    "two lists": ("l, k", [f"{a}, {b}" for a in LISTS for b in LISTS]),
    "day text": ("s", DAYS),
    "decimal": ("x", DECIMALS),
    "two decimals": ("x, y", [f"{a}, {b}" for a in DECIMALS for b in DECIMALS]),
    "date and time": ("d, t", [f"{a}, {b}" for a in DATES[:7] for b in [*TIMES, "timestamp '9999-12-31 00:00:00'"]]),
    "number and list": ("n, l", [f"{a}, {b}" for a in NUMBERS[:5] for b in LISTS]),
    "json": ("j", JSON),
    "two texts": ("s, r", [f"{a}, {b}" for a in TEXTS for b in ["null", "''", "'a'", "'b'", "'ö'"]]),
}

CASTS = {"d": "date", "e": "date", "t": "timestamp", "u": "timestamp", "s": "varchar", "r": "varchar", "n": "bigint", "m": "bigint", "f": "double", "l": "bigint[]", "k": "bigint[]", "j": "varchar", "x": "decimal(10, 2)", "y": "decimal(10, 2)"}

UNITS = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]

CHECKS = [
    *[(f"{part}(d)", None, "date") for part in ["year", "quarter", "month", "day", "dayofmonth", "dayofyear", "week", "weekofyear", "last_day"]],
    ("dayofweek(d)", "dayofweek(d) + 1", "date"),
    ("dayofweekiso(d)", "isodow(d)", "date"),
    ("weekday(d)", "isodow(d) - 1", "date"),
    ("dayname(d)", "left(dayname(d), 3)", "date"),
    ("monthname(d)", "left(monthname(d), 3)", "date"),
    *[(f"{part}(t)", None, "time") for part in ["hour", "minute", "second", "epoch"]],
    ("strftime(t, '%Y-%m-%d %H:%M:%S.%f %j')", None, "time"),
    ("date_format(t, 'yyyy/MM/dd hh:mm a')", "strftime(t, '%Y/%m/%d %I:%M %p')", "time"),
    ("unix_timestamp(t)", "cast(floor(epoch(t)) as bigint)", "time"),
    ("trunc(d, 'month')", "cast(date_trunc('month', d) as date)", "date"),
    ("trunc(d, 'week')", "cast(date_trunc('week', d) as date)", "date"),
    *[(f"date_diff('{unit}', t, u)", None, "two times") for unit in UNITS],
    *[(f"datediff({unit}, t, u)", f"date_sub('{unit}', t, u)", "two times") for unit in UNITS],
    *[(f"date_diff('{unit}', d, e)", None, "two dates") for unit in UNITS[:5]],
    *[(f"dateadd({unit}, 13, t)", f"t + interval 13 {unit}", "time") for unit in UNITS],
    *[(f"dateadd({unit}, -1, t)", f"t - interval 1 {unit}", "time") for unit in UNITS],
    ("add_months(d, 1)", "cast(d + interval 1 month as date)", "date"),
    ("datediff(d, e)", "date_diff('day', e, d)", "two dates"),
    ("date_add(d, 5)", "d + 5", "date"),
    ("date_sub(d, 5)", "d - 5", "date"),
    ("d + 5", None, "date"),
    ("iff(n > 0, 'yes', 'no')", "case when n > 0 then 'yes' else 'no' end", "number"),
    ("decode(n, 1, 'one', null, 'none', 'many')", "case when n is not distinct from 1 then 'one' when n is null then 'none' else 'many' end", "number"),
    ("equal_null(n, m)", "n is not distinct from m", "two numbers"),
    ("zeroifnull(n)", "coalesce(n, 0)", "number"),
    ("n + m", None, "two numbers"),
    ("n - m", None, "two numbers"),
    ("n * m", None, "two numbers"),
    ("-n", None, "number"),
    ("n % m", None, "two numbers"),
    ("mod(n, m)", "n % m", "two numbers"),
    ("cast(n as int)", None, "number"),
    ("cast(f as bigint)", None, "float"),
    ("len(s)", None, "text"),
    ("charindex(r, s)", "strpos(s, r)", "two texts"),
    ("startswith(s, r)", "starts_with(s, r)", "two texts"),
    ("endswith(s, r)", "ends_with(s, r)", "two texts"),
    ("string_split(s, ',')", None, "text"),
    ("editdist(s, r)", "levenshtein(s, r)", "two texts"),
    ("regexp_extract(s, '([a-z])([a-z])', 2)", None, "text"),
    ("regexp_extract(s, '[a-z]+')", None, "text"),
    ("regexp_extract_all(s, '[a-z]')", None, "text"),
    ("regexp_matches(s, 'b')", None, "text"),
    ("split(s, '[a,]')", "regexp_split_to_array(s, '[a,]')", "text"),
    ("ucase(s)", "upper(s)", "text"),
    ("sha1(s)", None, "text"),
    ("sha2(s, 256)", "sha256(s)", "text"),
    ("base64(s)", "to_base64(encode(s))", "text"),
    ("hex(s)", None, "text"),
    # Functions that both have under one name.
    *[(f"{name}(s)", None, "text") for name in ["upper", "lower", "trim", "ltrim", "rtrim", "length", "reverse", "md5", "ascii", "bit_length"]],
    *[(f"{name}(s, 3)", None, "text") for name in ["left", "right", "repeat"]],
    *[(f"{name}(s, -1)", None, "text") for name in ["left", "right"]],
    *[(f"substr(s, {start})", None, "text") for start in [1, 2, 20]],
    *[(f"substr(s, {start}, {length})", None, "text") for start, length in [(1, 2), (2, 0), (2, 100)]],
    ("substring(s from 2 for 2)", "substring(s, 2, 2)", "text"),
    ("overlay(s placing 'XX' from 2 for 1)", "case when s is not null then left(s, 1) || 'XX' || substr(s, 3) end", "text"),
    *[(f"{name}(s, 8, '*')", None, "text") for name in ["lpad", "rpad"]],
    ("replace(s, 'a', 'bb')", None, "text"),
    ("translate(s, 'abc', 'xy')", None, "text"),
    ("concat(s, '-', s)", None, "text"),
    ("concat_ws('-', s, null, 'z')", None, "text"),
    ("s || '!'", None, "text"),
    ("contains(s, r)", None, "two texts"),
    ("starts_with(s, r)", None, "two texts"),
    ("ends_with(s, r)", None, "two texts"),
    ("strpos(s, r)", None, "two texts"),
    ("position(r in s)", None, "two texts"),
    ("instr(s, r)", None, "two texts"),
    ("split_part(s, ',', 2)", None, "text"),
    ("split_part(s, ',', -1)", None, "text"),
    ("greatest(s, r)", None, "two texts"),
    ("least(s, r)", None, "two texts"),
    ("nullif(s, r)", None, "two texts"),
    ("coalesce(s, r, 'none')", None, "two texts"),
    ("s like 'a%'", None, "text"),
    ("s ilike '%B%'", None, "text"),
    ("s like any ('a%', '%é')", "s like 'a%' or s like '%é'", "text"),
    ("s like all ('a%', '%c')", "s like 'a%' and s like '%c'", "text"),
    ("s similar to '(abc)+'", None, "text"),
    ("regexp_replace(s, '[aeiou]', '_')", None, "text"),
    ("regexp_replace(s, '[aeiou]', '_', 'g')", None, "text"),
    ("regexp_replace(s, '([a-z])', '<\\1>')", None, "text"),
    ("sha256(s)", None, "text"),
    ("levenshtein('abc', s)", None, "text"),
    ("to_base64(s)", "to_base64(encode(s))", "text"),
    ("chr(64 + cast(abs(n % 20) as int))", None, "number"),
    *[(f"{name}(n)", None, "number") for name in ["abs", "to_hex", "bit_count"]],
    *[(f"{name}(f)", None, "float") for name in ["abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "atan", "cbrt", "degrees", "radians", "sign", "trunc", "isnan", "sinh", "tanh"]],
    *[(f"round(f, {places})", None, "float") for places in [0, 1, -1]],
    ("power(f, 2)", None, "float"),
    ("atan2(f, 2.0)", None, "float"),
    ("gcd(n, m)", None, "two numbers"),
    ("greatest(n, m)", None, "two numbers"),
    ("least(n, m)", None, "two numbers"),
    ("nullif(n, m)", None, "two numbers"),
    ("n between m and 7", None, "two numbers"),
    ("n in (1, m)", None, "two numbers"),
    ("n is distinct from m", None, "two numbers"),
    ("n & m", None, "two numbers"),
    ("n | m", None, "two numbers"),
    ("xor(n, m)", None, "two numbers"),
    ("cast(n as varchar)", None, "number"),
    ("cast(f as varchar)", None, "float"),
    ("cast(s as varchar(3))", "s", "text"),
    ("try_cast(s as bigint)", None, "text"),
    ("try_cast(s as date)", None, "text"),
    ("cast(n as decimal(20, 2))", None, "number"),
    ("cast(f as decimal(10, 1))", None, "float"),
    ("cast(n as double) / 3", None, "number"),
    *[(f"date_trunc('{unit}', t)", None, "time") for unit in UNITS],
    *[(f"date_trunc('{unit}', d)", f"cast(date_trunc('{unit}', d) as timestamp)", "date") for unit in UNITS[:5]],
    *[(f"date_part('{part}', t)", None, "time") for part in ["year", "quarter", "month", "week", "day", "doy", "dow", "isodow", "hour", "minute", "second", "epoch", "millisecond", "microsecond"]],
    *[(f"extract({part} from d)", None, "date") for part in ["year", "quarter", "month", "week", "day", "doy", "dow"]],
    *[(f"t + interval '{amount}'", None, "time") for amount in ["1 day", "1 month", "1 year", "90 minutes", "-1 month"]],
    ("d - e", None, "two dates"),
    ("cast(t as date)", None, "time"),
    ("cast(d as timestamp)", None, "date"),
    ("cast(d as varchar)", None, "date"),
    ("make_date(2024, 2, 29)", None, "date"),
    ("d between date '2000-01-01' and e", None, "two dates"),
    ("greatest(d, e)", None, "two dates"),
    # Lists.
    ("len(string_split(s, ','))", None, "text"),
    ("array_length(string_split(s, ','))", "len(string_split(s, ','))", "text"),
    *[(f"{name}([3, n, 1])", None, "number") for name in ["list_sort", "list_reverse"]],
    ("array_max([3, n, 1])", "list_max([3, n, 1])", "number"),
    ("array_min([3, n, 1])", "list_min([3, n, 1])", "number"),
    ("list_contains([3, 1], n)", None, "number"),
    ("array_contains([3, 1], n)", None, "number"),
    ("list_position([3, 1], n)", None, "number"),
    ("array_append([3, 1], n)", None, "number"),
    ("array_prepend(n, [3, 1])", "list_prepend(n, [3, 1])", "number"),
    ("list_concat([3, 1], [n])", None, "number"),
    ("array_to_string(['a', s, 'b'], '-')", None, "text"),
    ("[3, n, 1][2]", None, "number"),
    ("array_slice([1, 2, 3, 4], 2, 3)", None, "number"),
    ("flatten([[1, n], [3]])", None, "number"),
    ("range(3)", None, "number"),
    ("generate_series(1, 4)", None, "number"),
    ("transform([1, 2, n], x -> x % 10)", "list_transform([1, 2, n], lambda x: x % 10)", "number"),
    ("filter([1, 2, n], x -> x > 1)", "list_filter([1, 2, n], lambda x: x > 1)", "number"),
    ("reduce(l, 0, (a, x) -> a * 10 + coalesce(x, 7))", "list_reduce(l, lambda a, x: a * 10 + coalesce(x, 7), 0)", "list"),
    ("transform(l, (x, i) -> x * 10 + i)", "list_transform(l, lambda x, i: x * 10 + i - 1)", "list"),
    ("transform(l, x -> x + n)", "list_transform(l, lambda x: x + n)", "number and list"),
    ("filter(l, x -> x > n)", "list_filter(l, lambda x: x > n)", "number and list"),
    ("zip_with(l, k, (x, y) -> x + y)", "case when l is not null and k is not null then list_transform(list_zip(l, k), lambda z: z[1] + z[2]) end", "two lists"),
    ("list_concat(l, k)", None, "two lists"),
    ("array_distinct(l)", "list_sort(list_distinct(l))", "list"),
    *[(f"{name}(l)", None, "list") for name in ["len", "array_length", "list_reverse"]],
    ("array_max(l)", "list_max(l)", "list"),
    ("array_min(l)", "list_min(l)", "list"),
    ("sort_array(l)", "list_sort(l, 'asc', 'nulls first')", "list"),
    ("sort_array(l, false)", "list_sort(l, 'desc', 'nulls last')", "list"),
    *[(f"element_at(l, {place})", f"l[{place}]", "list") for place in [1, 3, -1, 9]],
    ("get(l, 0)", "l[1]", "list"),
    ("slice(l, 1, 2)", "l[1:2]", "list"),
    ("array_contains(l, n)", None, "number and list"),
    ("array_position(l, n)", "list_position(l, n)", "number and list"),
    ("array_append(l, n)", "list_append(l, n)", "number and list"),
    ("array_to_string(l, '-')", None, "list"),
    ("l[2]", None, "list"),
    ("l = k", None, "two lists"),
    ("array_size(l)", "len(l)", "list"),
    ("size(map_from_arrays(l, l))", "cardinality(map(l, l))", "list"),
    # Times together.
    ("t at time zone 'Europe/Berlin'", "t at time zone 'Europe/Berlin' at time zone 'UTC'", "clock"),
    ("t at time zone 'America/New_York'", "t at time zone 'America/New_York' at time zone 'UTC'", "clock"),
    ("t at time zone 'UTC' at time zone 'Europe/Berlin'", None, "clock"),
    ("cast(t as timestamptz) at time zone 'Asia/Kathmandu'", None, "clock"),
    ("from_utc_timestamp(t, 'Europe/Berlin')", "t at time zone 'UTC' at time zone 'Europe/Berlin'", "clock"),
    ("to_utc_timestamp(t, 'America/New_York')", "t at time zone 'America/New_York' at time zone 'UTC'", "clock"),
    ("convert_timezone('UTC', 'Asia/Kathmandu', t)", "t at time zone 'UTC' at time zone 'Asia/Kathmandu'", "clock"),
    *[(f"dateadd({unit}, 1, t)", f"t + interval 1 {unit}", "clock") for unit in UNITS],
    *[(f"coalesce({order})", None, "date and time") for order in ["d, t", "t, d"]],
    *[(f"{name}(d, t)", None, "date and time") for name in ["greatest", "least", "nullif", "ifnull"]],
    *[(f"d {op} t", None, "date and time") for op in ["=", "<>", "<", "<=", ">", ">=", "is distinct from"]],
    ("case when d > t then d else t end", None, "date and time"),
    ("t between d and timestamp '9999-12-31'", None, "date and time"),
    ("d in (t, date '2024-02-29')", None, "date and time"),
    ("t > '2000-01-01'", None, "time"),
    ("t in ('2000-01-01', '9999-12-31 00:00:00')", None, "time"),
    ("epoch_ms(t)", None, "time"),
    ("epoch_ms(n % 1000000)", None, "number"),
    ("typeof(n)", None, "number"),
    ("cast(s as date)", None, "day text"),
    ("try_cast(s as timestamp)", None, "day text"),
    ("to_date(s, 'dd.MM.yyyy')", "cast(strptime(s, '%d.%m.%Y') as date)", "day text"),
    ("to_timestamp(s, 'yyyy-MM-dd HH:mm:ss')", "strptime(s, '%Y-%m-%d %H:%M:%S')", "day text"),
    ("date_part('dayofweek', d)", "dayofweek(d) + 1", "date"),
    ("date_part('weekday', d)", "isodow(d) - 1", "date"),
    ("extract(isodow from d)", None, "date"),
    ("extract(dayofyear from d)", "dayofyear(d)", "date"),
    # Decimals.
    *[(f"x {op} y", None, "two decimals") for op in ["+", "-", "*", "=", "<", "%"]],
    *[(f"{name}(x)", None, "decimal") for name in ["abs", "floor", "ceil", "round", "sign"]],
    ("round(x, 1)", None, "decimal"),
    ("cast(x as bigint)", None, "decimal"),
    ("cast(x as varchar)", None, "decimal"),
    ("coalesce(x, 0)", None, "decimal"),
    ("nvl(x, y)", "coalesce(x, y)", "two decimals"),
    ("-x", None, "decimal"),
    # Rewritten clauses.
    ("n in (select v from (values (1), (7)) as w(v))", None, "number"),
    ("n not in (select v from (values (1), (7)) as w(v))", None, "number"),
    ("n in (select v from (values (1), (null)) as w(v))", None, "number"),
    ("n not in (select v from (values (1), (null)) as w(v))", None, "number"),
    ("n in (select v from (values (1)) as w(v) where false)", None, "number"),
    ("exists (select 1 from (values (1), (7)) as w(v) where v = n)", None, "number"),
    ("(select max(v) from (values (1), (7)) as w(v) where v = n)", None, "number"),
    ("n is distinct from m or n = 7", None, "two numbers"),
    ("n is not distinct from m and m > 0", None, "two numbers"),
    # Text.
    ("nvl2(s, 'yes', 'no')", "case when s is not null then 'yes' else 'no' end", "text"),
    ("s || null", None, "text"),
    ("concat(s, null, 'x')", None, "text"),
    ("regexp_count(s, 'a')", "len(regexp_extract_all(s, 'a'))", "text"),
    ("regexp_substr(s, '[0-9]+')", "nullif(regexp_extract(s, '[0-9]+'), '')", "text"),
    ("locate(r, s)", "strpos(s, r)", "two texts"),
    ("btrim(s)", "trim(s)", "text"),
    ("space(3) || s", "repeat(' ', 3) || s", "text"),
    ("url_encode(s)", "replace(url_encode(s), '%20', '+')", "text"),
    ("substring(s, -2)", None, "text"),
    ("octet_length(s)", "strlen(s)", "text"),
    ("pmod(n, m)", "case when n % m < 0 then (n % m + m) % m else n % m end", "two numbers"),
    ("try_divide(n, m)", "case when m <> 0 then n / cast(m as double) end", "two numbers"),
    ("div0(n, m)", "case when m = 0 then 0.0 * n else n / cast(m as double) end", "two numbers"),
    ("bround(f)", "round_even(f, 0)", "float"),
    ("nanvl(f, 1.0)", "case when isnan(f) then 1.0 else f end", "float"),
    ("try_cast(f as int)", "try_cast(trunc(f) as int)", "float"),
    ("n << 2", None, "number"),
    ("n >> 1", None, "number"),
    # JSON.
    *[(f"'{{\"a\": {{\"b\": [1, \"x\", null]}}, \"c\": {value}}}' ->> '{key}'", None, "number") for value in ["1.5", "true", "null", '"t"'] for key in ["c", "z"]],
    ("j ->> 'a'", None, "json"),
    ("j ->> 'a' = '1'", "(j ->> 'a') = '1'", "json"),
    ("j ->> '$.b.c[1]'", None, "json"),
    ("j:b.c[0]", "json_extract_string(j, '$.b.c[0]')", "json"),
    ("get_json_object(j, '$.b.c[1]')", "json_extract_string(j, '$.b.c[1]')", "json"),
    ("json_extract_path_text(j, 'a')", "json_extract_string(j, 'a')", "json"),
    ("json_as_text(j, 'b', 'c', 0)", "json_extract_string(j, '$.b.c[0]')", "json"),
    ("json_get_str(j, 'a')", "case when json_type(j, '$.a') = 'VARCHAR' then json_extract_string(j, 'a') end", "json"),
    ("json_get_int(j, 'a')", "case when json_type(j, '$.a') = 'UBIGINT' then cast(json_extract_string(j, 'a') as bigint) end", "json"),
    ("json_get_float(j, 'a')", "case when json_type(j, '$.a') in ('UBIGINT', 'DOUBLE') then cast(json_extract_string(j, 'a') as double) end", "json"),
    ("json_get_bool(j, 'b')", "case when json_type(j, '$.b') = 'BOOLEAN' then json_extract_string(j, 'b') = 'true' end", "json"),
    ("replace(json_extract(j, '$.b.c'), ' ', '')", "cast(json_extract(j, '$.b.c') as varchar)", "json"),
    ("replace(json_get_json(j, 'b'), ' ', '')", "cast(json_extract(j, 'b') as varchar)", "json"),
    ("json_contains(j, 'a')", "coalesce(json_exists(j, '$.a'), false)", "json"),
    ("json_object_keys(j)", "case when json_type(j) = 'OBJECT' then json_keys(j) end", "json"),
    ("json_length(j)", "case json_type(j) when 'ARRAY' then json_array_length(j) when 'OBJECT' then len(json_keys(j)) end", "json"),
    ("json_array_length('[1, [2]]')", None, "json"),
    ("transform(json_items(j), x -> replace(x, ' ', ''))", "case json_type(j) when 'ARRAY' then json_extract_string(j, '$[*]') when 'OBJECT' then [replace(v, ' ', '') for v in json_extract_string(j, '$.*')] end", "json"),
    ("json_valid(j)", "coalesce(json_valid(j), false)", "json"),
    ("parse_json(j)", "j", "json"),
    ("try_parse_json(s)", "case when json_valid(s) then s end", "text"),
    ("to_json(l)", "cast(to_json(l) as varchar)", "list"),
    # Operators that bind in other ways elsewhere.
    ("'n' || n + 1", "'n' || (n + 1)", "number"),
    ("'n' || n % 5 * 2 || 's'", "'n' || (n % 5 * 2) || 's'", "number"),
    ("f ** 2", None, "float"),
    ("-f ** 2", "(-f) ** 2", "float"),
    ("n div 2", "n // 2", "number"),
    ("n // m", None, "two numbers"),
    # The other names of functions, and those that have one in one engine only.
    ("array(n, 1)", "[n, 1]", "number"),
    ("base64_encode(s)", "to_base64(encode(s))", "text"),
    ("cast(from_base64(base64(s)) as varchar)", "s", "text"),
    ("cast(unbase64(base64(s)) as varchar)", "s", "text"),
    ("cast(unhex(hex(s)) as varchar)", "s", "text"),
    ("bin(n)", None, "number"),
    *[(f"{name}(n, m)", form, "two numbers") for name, form in [("bitand", "n & m"), ("bitor", "n | m"), ("bitxor", "xor(n, m)")]],
    ("ceiling(f)", "ceil(f)", "float"),
    ("century(d)", None, "date"),
    ("char(64 + cast(abs(n % 20) as int))", "chr(64 + cast(abs(n % 20) as int))", "number"),
    ("date_from_parts(2024, 2, 29)", "make_date(2024, 2, 29)", "number"),
    ("dayofweek_iso(d)", "isodow(d)", "date"),
    ("isodow(d)", None, "date"),
    ("div0null(n, m)", "case when coalesce(m, 0) = 0 then 0.0 * n else n / cast(m as double) end", "two numbers"),
    ("editdistance(s, 'abc')", "levenshtein(s, 'abc')", "text"),
    ("elt(1, s, 'b')", "s", "text"),
    ("elt(2, s, 'b')", "'b'", "text"),
    ("expm1(f)", "exp(f) - 1", "float"),
    ("forall(l, x -> x > 0)", "case when l is null then null when len([x for x in l if x <= 0]) > 0 then false when len([x for x in l if x is null]) > 0 then null else true end", "list"),
    ("exists(l, x -> x > 1)", "case when l is null then null when len([x for x in l if x > 1]) > 0 then true when len([x for x in l if x is null]) > 0 then null else false end", "list"),
    ("format_string('%5d|%s', n, 'x')", "printf('%5d|%s', n, 'x')", "number"),
    ("from_unixtime(n % 1000000)", "make_timestamp(n % 1000000 * 1000000)", "number"),
    ("hypot(f, 2.0)", "case when abs(f) > 1e200 then abs(f) else sqrt(f * f + 4.0) end", "float"),
    ("isnull(n)", "n is null", "number"),
    ("isnotnull(n)", "n is not null", "number"),
    ("lcase(s)", "lower(s)", "text"),
    ("mid(s, 2, 2)", "substring(s, 2, 2)", "text"),
    ("make_timestamp(2024, 2, 29, 10, 30, 1.5)", None, "number"),
    ("timestamp_from_parts(2024, 2, 29, 10, 30, 0)", "make_timestamp(2024, 2, 29, 10, 30, 0)", "number"),
    ("map_contains_key(map(['a', 'b'], [1, 2]), s)", "list_contains(['a', 'b'], s)", "text"),
    ("map_from_entries([struct('a', 1)])['a']", "1", "number"),
    ("next_day(d, 'Mon')", "d + cast(8 - isodow(d) as int)", "date"),
    ("nullifzero(n)", "nullif(n, 0)", "number"),
    ("ord(s)", "ascii(s)", "text"),
    ("rint(f)", "round_even(f, 0)", "float"),
    ("rlike(s, '^a.*c$')", "regexp_matches(s, '^a.*c$')", "text"),
    ("regexp(s, 'b')", "regexp_matches(s, 'b')", "text"),
    ("sequence(1, n % 5)", "generate_series(1, n % 5, case when n % 5 < 1 then -1 else 1 end)", "number"),
    ("sha(s)", "sha1(s)", "text"),
    ("shiftright(n, 1)", "n >> 1", "number"),
    ("shiftleft(abs(n % 1000), 2)", "abs(n % 1000) << 2", "number"),
    ("str_split(s, ',')", None, "text"),
    ("time_bucket(interval '1 hour', t)", None, "time"),
    ("timestampadd(day, 3, t)", "t + interval 3 day", "time"),
    ("timestampdiff(month, t, u)", "date_sub('month', t, u)", "two times"),
    ("to_timestamp_ntz(t)", "t", "time"),
    ("to_varchar(n)", "cast(n as varchar)", "number"),
    ("truncate(f, 1)", "trunc(f * 10) / 10", "float"),
    ("try_to_timestamp(s, 'yyyy-MM-dd')", "try_strptime(s, '%Y-%m-%d')", "day text"),
    ("try_to_date(s)", "try_cast(s as date)", "day text"),
    ("try_to_timestamp(s)", "try_cast(s as timestamp)", "day text"),
    ("unix_date(d)", "d - date '1970-01-01'", "date"),
    ("unix_micros(cast(t as timestamptz))", "epoch_us(t)", "time"),
    ("unix_millis(cast(t as timestamptz))", "cast(floor(epoch_us(t) / 1000) as bigint)", "time"),
    ("unix_seconds(cast(t as timestamptz))", "cast(floor(epoch(t)) as bigint)", "time"),
    ("url_decode(url_encode(s))", "s", "text"),
    ("width_bucket(f, 0.0, 10.0, 5)", "case when f < 0 then 0 when f >= 10 then 6 else cast(floor(f / 2) as int) + 1 end", "float"),
    ("yearweek(d)", None, "date"),
    ("if(n > 0, 1, 2)", "case when n > 0 then 1 else 2 end", "number"),
    ("try_strptime(s, '%Y-%m-%d')", None, "day text"),
    ("strptime(s, '%Y-%m-%d %H:%M:%S')", None, "day text"),
    ("struct_pack(a := n)['a']", "n", "number"),
    ("json_extract_string('{\"a\": {\"b\": [1, \"x\", null]}}', '$.a.b[1]')", None, "number"),
]

AGGREGATES = [
    ("sum(n)", None),
    ("count_if(n > 0)", None),
    ("mode(n)", "case when count(n) = 0 then null else list_aggregate(list_sort([x for x in list(n) if x is not null]), 'mode') end"),
    ("min_by(n, -n)", None),
    ("arg_max(n, n)", None),
    ("bool_or(n > 0)", None),
    ("count(distinct n)", None),
    ("listagg(n, ',') within group (order by n)", "string_agg(n, ',' order by n)"),
    ("percentile(n, 0.5)", "quantile_cont(n, 0.5)"),
    *[(f"{name}(n)", None) for name in ["avg", "min", "max", "count", "median", "stddev", "stddev_pop", "var_samp", "var_pop", "bit_and", "bit_or", "bit_xor", "any_value"]],
    ("bool_and(n > 0)", None),
    *[(f"{name}(n > 0)", "bool_and(n > 0)") for name in ["booland_agg", "logical_and", "every"]],
    *[(f"{name}(n > 0)", "bool_or(n > 0)") for name in ["boolor_agg", "logical_or"]],
    ("countif(n > 0)", "coalesce(count_if(n > 0), 0)"),
    ("arg_min(n, -n)", None),
    ("max_by(n, -n)", "arg_max(n, -n)"),
    ("collect_list(n)", "coalesce(list(n) filter (where n is not null), [])"),
    ("array_sort(collect_set(n))", "coalesce(list_sort(list(distinct n) filter (where n is not null)), [])"),
    ("approx_count_distinct(n)", "count(distinct n)"),
    ("try_sum(n)", "case when sum(n) between -9223372036854775808 and 9223372036854775807 then cast(sum(n) as bigint) end"),
    ("variance(n)", "var_samp(n)"),
    ("max(cast(n as varchar)) || max(n)", None),
    ("avg(distinct n)", None),
    ("string_agg(cast(n as varchar), '-' order by n desc)", None),
    ("array_agg(n order by n)", None),
    ("first_value(n order by n)", "first(n order by n)"),
    ("count(*) filter (where n > 1)", None),
    ("corr(n, n * 2.0)", None),
    ("covar_samp(n, n * 2.0)", None),
    ("regr_slope(n, n * 2.0)", None),
    ("quantile_cont(n, 0.25)", None),
    ("percentile_cont(0.25) within group (order by n)", None),
]
GROUPS = ["(values (1), (2), (2), (-5))", "(values (cast(null as bigint)))", "(values (9223372036854775807), (1))", "(values (9223372036854775807), (1), (-2))"]

KNOWN = {
    "sum(n)": "DuckDB's sum of bigint is a hugeint",
    "count_if(n > 0)": "Spark gives 0 where there is no row that counts, DuckDB NULL where all are NULL",
    "cast(f as bigint)": "Spark cuts the fraction, DuckDB rounds",
    "editdistance(s, 'abc')": "Spark counts characters, DuckDB bytes",
    "format_string('%5d|%s', n, 'x')": "a NULL is written as null, as in Spark",
    "next_day(d, 'Mon')": "years beyond 9999 are shown with a sign",
    "try_sum(n)": "NULL as soon as a partial sum has no room, as in Spark",
    "editdist(s, r)": "Spark counts characters, DuckDB bytes",
    "ucase(s)": "the upper case of an ess-zett is SS in Spark, one letter in DuckDB",
    "add_months(d, 1)": "years beyond 9999 are shown with a sign",
    "date_add(d, 5)": "years beyond 9999 are shown with a sign",
    "d + 5": "years beyond 9999 are shown with a sign",
    "date_sub(d, 5)": "years before 1 are shown without BC",
    "upper(s)": "the upper case of an ess-zett is SS in Spark, one letter in DuckDB",
    "levenshtein('abc', s)": "Spark counts characters, DuckDB bytes",
    "to_hex(n)": "small letters as in Postgres, DuckDB has capitals",
    "sign(f)": "a double as in Spark, DuckDB gives a small integer",
    "list_sort([3, n, 1])": "NULL comes first, as in Spark's sort_array",
    "cast(x as bigint)": "Spark cuts the fraction, DuckDB rounds",
    "floor(x)": "the scale stays, DuckDB takes it away",
    "ceil(x)": "the scale stays, DuckDB takes it away; the greatest values of the type have no room",
    "array_distinct(l)": "NULL is a value and the order stays, as in Spark",
    "pmod(n, m)": "NULL for a divisor of 0, as in Spark",
    "x * y": "all 38 digits of a decimal are used, DuckDB stops at 18",
    "sign(x)": "a double as in Spark, DuckDB gives a small integer",
    "n << 2": "bits fall out on the left as in Spark, DuckDB fails",
    "list_concat(l, k)": "NULL where both are, DuckDB gives an empty list",
    "cast(f as varchar)": "an exponent is written without a plus sign",
}

# Functions of docs/sql.md that DuckDB can't be asked for.
WITHOUT = {
    "datetime": "is BigQuery's cast to a timestamp; the examples are run",
    "regexp_instr": "is not in DuckDB; the examples are run",
    "time_as_text": "is the cast of a timestamp to a text; tests/cases/sql-times.md has it",
    "time_of_seconds": "is the cast of a fraction to a timestamp, which DuckDB does not have",
    "timestamp_diff": "is BigQuery's; tests/cases/adapters.md has it",
    "at_time_zone": "is `at time zone`, which is asked for",
    "boundaries_between": "is `date_diff('unit', a, b)`, which is asked for",
    "parse_time": "is `to_timestamp(s, pattern)`, which is asked for",
    "try_parse_time": "is `try_to_timestamp(s, pattern)`, which is asked for",
    "iso_date": "is the cast of a text to a date, which is asked for",
    "iso_time": "is the cast of a text to a timestamp, which is asked for",
    "cast_of": "is its argument",
    "struct_items": "is `lateral view inline`; docs/sql.md has an example that is run",
    "explode": "makes rows; docs/sql.md has examples that are run",
    "seq4": "numbers rows; docs/sql.md has an example that is run",
    "seq8": "numbers rows",
    "approx_percentile": "gives an approximation",
    "percentile_approx": "gives an approximation",
    "getdate": "gives the present time",
    "sysdate": "gives the present time",
    "curdate": "gives the present day",
    "rand": "is random",
    "first": "gives the row that comes first",
    "last": "gives the row that comes last",
    "from_json": "has Spark's names of types; tests of the crate hold it",
    "months_between": "has Spark's count of days; the examples are Spark's",
    "hash": "is Spark's hash; the examples are Spark's",
    "xxhash64": "is Spark's hash; the examples are Spark's",
    "soundex": "is not in DuckDB; the example is the standard's",
    "luhn_check": "is not in DuckDB; the example is the standard's",
    "parse_url": "is not in DuckDB",
    "str_to_map": "is not in DuckDB",
}

# Functions that Python answers.
PYTHON = [("crc32(s)", lambda text: zlib.crc32(text.encode()), "text"), ("strlen(s)", lambda text: len(text.encode()), "text")]


def normal(value):
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return str(value) if math.isnan(value) or math.isinf(value) else round(value, 9)
    if value in ("NaN", "inf", "-inf"):
        return value.lower()
    if isinstance(value, list):
        return [normal(item) for item in value]
    text = str(value)
    if not text[:1].isdigit() or "-" not in text:
        return text
    text = text.replace("T", " ").removesuffix("Z").removesuffix("+00:00")
    text = text.rstrip("0").removesuffix(".") if "." in text else text
    return text.removesuffix(" 00:00:00")


def source(columns, rows):
    names = [name.strip() for name in columns.split(",")]
    cast = ", ".join(f"cast(c{at} as {CASTS[name]}) as {name}" for at, name in enumerate(names))
    return f"(select i, {cast} from (values {', '.join(f'({at}, {row})' for at, row in rows)}) as v(i, {', '.join(f'c{at}' for at in range(len(names)))})) as g"


class Engines:
    def __init__(self, cli):
        self.cli, self.folder, self.duck = cli, tempfile.mkdtemp(), duckdb.connect()
        self.duck.execute("set TimeZone = 'UTC'")

    def ours(self, sql):
        done = subprocess.run([self.cli, "sql", sql, "--output", "json", "--warehouse", self.folder + "/w"], capture_output=True, text=True, cwd=self.folder)
        return json.loads(done.stdout)["rows"] if done.returncode == 0 else None

    def theirs(self, sql):
        try:
            return self.duck.execute(sql).fetchall()
        except duckdb.Error:
            return None

    def answers(self, ask, expression, columns, rows):
        found = ask(f"select i, {expression} as v from {source(columns, rows)} order by i")
        if found is not None:
            return [normal(row[1]) for row in found]
        if len(rows) == 1:
            return ["fails"]
        return [answer for row in rows for answer in self.answers(ask, expression, columns, [row])]


def shown(rows):
    """As the cases show what is printed: an instant with a fraction is taken for the clock's."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "<instant>", rows)


def cases(engines, agreed):
    """The answers of the expressions that agree on all rows of their grid, several expressions a query."""
    page = ["# Answers that DuckDB gives too", "", "Written by `tests/verify/compare_with_duckdb.py --write`; don't edit.", "", "```yaml project.yml", "name: example", "targets:", "  default: local", "  local: {warehouse: warehouse, schema: main}", "```"]
    for grid, expressions in agreed.items():
        columns, rows = GRIDS[grid][0], list(enumerate(GRIDS[grid][1]))
        rows = rows if len(rows) <= 12 else rows[:: max(1, len(rows) // 12) | 1]
        page += ["", f"## Grid: {grid}"]
        for at in range(0, len(expressions), 6):
            chosen = expressions[at : at + 6]
            items = ",\n    ".join(f"{expression} as c{place}" for place, expression in enumerate(chosen))
            sql = f"select\n    {items}\nfrom {source(columns, rows)}\norder by i"
            done = subprocess.run([engines.cli, "sql", sql, "--output", "csv", "--warehouse", engines.folder + "/w"], capture_output=True, text=True, cwd=engines.folder)
            if done.returncode == 0:
                page += ["", "```sql query.sql", sql, "```", "", "```sh", "alluvium sql --stdin --output csv < query.sql", "```", "", "```result", shown(done.stdout.rstrip("\n")), "```"]
            else:
                print(f"not written: {'; '.join(chosen)}: {' '.join((done.stdout + done.stderr).split())[:200]}")
    return "\n".join(page) + "\n"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--write")
    options.add_argument("--cli", required=True)
    options.add_argument("--only", default="")
    options = options.parse_args()
    engines, differences, agreed = Engines(options.cli), 0, {}
    for expression, other, grid in CHECKS:
        if options.only not in expression:
            continue
        columns, rows = GRIDS[grid][0], list(enumerate(GRIDS[grid][1]))
        ours = engines.answers(engines.ours, expression, columns, rows)
        theirs = engines.answers(engines.theirs, other or expression, columns, rows)
        if ours == theirs and "fails" not in ours:
            agreed.setdefault(grid, []).append(expression)
        for (_, row), our, their in zip(rows, ours, theirs):
            if our != their and KNOWN.get(expression) is None:
                differences += 1
                print(f"{expression} of {row}: {our!r}, DuckDB {their!r}")
    for expression, other in AGGREGATES:
        for group in GROUPS:
            our = engines.ours(f"select {expression} as v from {group} as g(n)")
            their = engines.theirs(f"select {other or expression} as v from {group} as g(n)")
            our, their = [normal(rows[0][0]) if rows else "fails" for rows in (our, their)]
            if our != their and options.only in expression and KNOWN.get(expression) is None:
                differences += 1
                print(f"{expression} of {group}: {our!r}, DuckDB {their!r}")
    for expression, answer, grid in PYTHON:
        columns, rows = GRIDS[grid][0], list(enumerate(GRIDS[grid][1]))
        for (_, value), our in zip(rows, engines.answers(engines.ours, expression, columns, rows)):
            text = None if value == "null" else value[1:-1].replace("''", "'")
            their = None if text is None else normal(answer(text))
            if our != their and options.only in expression:
                differences += 1
                print(f"{expression} of {value}: {our!r}, Python {their!r}")
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(\w+)` \|", page[page.index("<!-- functions -->") : page.index("<!-- end of functions -->")], re.M))
    asked = " ".join(expression for expression, *_ in [*CHECKS, *AGGREGATES, *PYTHON])
    for name in sorted(name for name in known if name not in WITHOUT and not re.search(rf"\b{name}\b", asked)):
        differences += 1
        print(f"`{name}` is not compared: give it a line in CHECKS, or a reason in WITHOUT")
    if options.write:
        with open(options.write, "w", encoding="utf-8") as page:
            page.write(cases(engines, agreed))
    for expression, reason in [*KNOWN.items(), *WITHOUT.items()]:
        if reason:
            print(f"known: {expression}: {reason}")
    print(f"{len(CHECKS) + len(AGGREGATES)} expressions, {differences} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
