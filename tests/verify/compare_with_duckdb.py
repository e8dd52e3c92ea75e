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
import tempfile

import duckdb

DATES = ["null", "date '1970-01-01'", "date '2024-02-29'", "date '2023-12-31'", "date '1900-03-01'", "date '2000-02-28'", "date '9999-12-31'", "date '0001-01-01'"]
TIMES = ["null", "timestamp '1969-12-31 23:59:59.999999'", "timestamp '2024-02-29 12:30:45.123456'", "timestamp '2024-03-31 00:00:00'", "timestamp '2023-02-28 23:59:59'", "timestamp '2000-01-01 00:00:00'"]
TEXTS = ["null", "''", "'a'", "'abcabc'", "'größe'", "'日本語'", "' padded '", "'a,b,,c'", "'O''Brien'", "'🙂🙂'", "'100-200'"]
NUMBERS = ["null", "0", "1", "-1", "7", "-7", "9223372036854775807", "-9223372036854775807"]
CLOCKS = ["null", "timestamp '2024-03-31 01:59:59.999999'", "timestamp '2024-03-31 02:30:00'", "timestamp '2024-03-31 03:00:00'", "timestamp '2024-10-27 02:30:00'", "timestamp '2024-10-27 03:00:00'", "timestamp '1969-12-31 23:59:59'", "timestamp '2024-07-01 12:00:00'"]
LISTS = ["null", "cast([] as bigint[])", "[1]", "[3, 1, 2]", "[null, 1]", "[2, 2, null, 5]"]
DAYS = ["null", "'2024-02-29'", "'2023-02-29'", "'29.02.2024'", "''", "'2024-2-9'", "'2024-02-29 12:30:45'"]
DECIMALS = ["null", "0.00", "1.25", "-1.25", "99999999.99", "2.50", "-3.50"]
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
    "two texts": ("s, r", [f"{a}, {b}" for a in TEXTS for b in ["null", "''", "'a'", "'b'", "'ö'"]]),
}

CASTS = {"d": "date", "e": "date", "t": "timestamp", "u": "timestamp", "s": "varchar", "r": "varchar", "n": "bigint", "m": "bigint", "f": "double", "l": "bigint[]", "k": "bigint[]", "x": "decimal(10, 2)", "y": "decimal(10, 2)"}

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
    "try_cast(s as timestamp)": "months and days have two digits, DuckDB and Spark read one too",
    "cast(s as date)": "a text with a time of day is no date, DuckDB leaves the time out",
    "cast(f as varchar)": "an exponent is written without a plus sign",
}


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
                page += ["", "```sql query.sql", sql, "```", "", "```sh", "alluvium sql --stdin --output csv < query.sql", "```", "", "```result", done.stdout.rstrip("\n"), "```"]
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
    if options.write:
        with open(options.write, "w", encoding="utf-8") as page:
            page.write(cases(engines, agreed))
    for expression, reason in KNOWN.items():
        if reason:
            print(f"known: {expression}: {reason}")
    print(f"{len(CHECKS) + len(AGGREGATES)} expressions, {differences} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
