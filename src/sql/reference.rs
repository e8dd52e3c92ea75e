//! The reference of functions, `docs/sql.md`: every example in it is run here.

use std::path::Path;

use super::functions::names;
use super::probe::{rows, value};
use super::rewrite::RULES;
use crate::base::files::{read_text, write_text};

/// Examples of functions that are functions, not rules.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("calendar_age", "calendar_age(timestamp '2024-03-01 12:00:00', timestamp '2020-01-31 13:00:00')", "49 mons 23 hours"),
    ("array", "array(1, 2)", "[1, 2]"),
    ("at_time_zone", "timestamp '2024-07-01 12:00:00' at time zone 'Europe/Berlin' at time zone 'America/New_York'", "2024-07-01T06:00:00"),
    ("base64", "base64('abc')", "YWJj"),
    ("bin", "bin(13)", "1101"),
    ("bit_count", "bit_count(7)", "3"),
    ("boundaries_between", "date_diff('month', date '2024-01-31', date '2024-02-01')", "1"),
    ("collect_list", "collect_list(3)", "[3]"),
    ("collect_set", "collect_set(3)", "[3]"),
    ("crc32", "crc32('abc')", "891568578"),
    ("elt", "elt(2, 'a', 'b')", "b"),
    ("expm1", "expm1(0.0)", "0.0"),
    ("format_string", "format_string('%s-%d', 'a', 3)", "a-3"),
    ("date_trunc", "date_trunc('month', date '9999-12-31')", "9999-12-01T00:00:00"),
    ("from_json", "from_json('{\"a\": 1, \"b\": \"x\"}', 'a int, b string')", "{a: 1, b: x}"),
    ("from_json", "from_json('[1, \"x\"]', 'array<int>')", "[1, NULL]"),
    ("hash", "hash('abc', cast(1 as int))", "945627151"),
    ("hex", "hex(255)", "FF"),
    ("hypot", "hypot(3.0, 4.0)", "5.0"),
    ("iso_date", "cast('2024-2-9 10:00' as date)", "2024-02-09"),
    ("iso_time", "cast('2024-2-9 10:00' as timestamp)", "2024-02-09T10:00:00"),
    ("json_items", "json_items('[1, \"x\", {\"a\": 2}]')", "[1, x, {\"a\": 2}]"),
    ("json_texts", "json_texts('[1, \"x\", {\"a\": 2}]')", "[1, \"x\", {\"a\": 2}]"),
    ("json_keys", "json_keys('{\"a\": 1, \"b\": 2}')", "[a, b]"),
    ("json_places", "json_places('[5, 6]')", "[0, 1]"),
    ("to_array", "to_array('[1, \"x\"]')", "[1, x]"),
    ("cast_of", "cast_of(cast(1 as varchar), 'VARCHAR')", "1"),
    ("farm_fingerprint", "farm_fingerprint('foo')", "6150913649986995171"),
    ("json_values", "json_values('{\"a\": \"x\", \"b\": [1]}')", "[\"x\", [1]]"),
    ("list_quantiles", "list_quantiles([1, 1, 1, 4, 5, 6, 7, 8, 9, 10], 2)", "[1, 5, 10]"),
    ("strtok_to_array", "strtok_to_array('a;b;;c', ';')", "[a, b, c]"),
    ("wall_time", "wall_time('1997-09-29 06:14:00-07:00')", "1997-09-29 06:14:00"),
    (
        "generate_series",
        "generate_series(date '2024-01-01', timestamp '2024-01-01 12:00:00', interval '12 hours')",
        "[2024-01-01T00:00:00, 2024-01-01T12:00:00]",
    ),
    ("range", "range(date '2024-01-01', date '2024-01-03', interval '1 day')", "[2024-01-01, 2024-01-02]"),
    ("greatest", "greatest_ignore_nulls(1, null, 3)", "3"),
    ("least", "least_ignore_nulls(1, null, 3)", "1"),
    ("is_json", "is_json('[1]', 'array')", "true"),
    ("json_as_text", "'{\"a\": {\"b\": 1}}' -> 'a' ->> 'b'", "1"),
    ("json_contains", "json_contains('{\"a\": 1}', 'a')", "true"),
    ("json_get_bool", "json_get_bool('{\"a\": true}', 'a')", "true"),
    ("json_get_float", "json_get_float('{\"a\": 1.5}', 'a')", "1.5"),
    ("json_get_int", "json_get_int('{\"a\": 7}', 'a')", "7"),
    ("json_get_json", "'{\"a\": [1, 2]}' -> 'a'", "[1, 2]"),
    ("json_get_str", "json_get_str('{\"a\": \"x\"}', 'a')", "x"),
    ("json_length", "json_length('[1, 2, 3]')", "3"),
    ("json_object_keys", "json_object_keys('{\"a\": 1, \"b\": 2}')", "[a, b]"),
    ("luhn_check", "luhn_check('79927398713')", "true"),
    ("map_from_arrays", "map_from_arrays(['a'], [1])", "{a: 1}"),
    ("map_from_entries", "map_from_entries([struct('a', 1)])", "{a: 1}"),
    ("len", "len('größe')", "5"),
    ("mode", "mode(3)", "3"),
    ("months_between", "months_between(timestamp '1997-02-28 10:30:00', date '1996-10-30')", "3.94959677"),
    ("parse_url", "parse_url('https://a.example/x?y=1', 'HOST')", "a.example"),
    ("parse_json", "parse_json('{\"a\": 1}')", "{\"a\": 1}"),
    ("pmod", "pmod(-7, 3)", "2"),
    ("regexp_extract", "regexp_extract('100-200', '(\\d+)-(\\d+)', 2)", "200"),
    ("regexp_extract_all", "regexp_extract_all('100-200, 300-400', '(\\d+)-(\\d+)', 1)", "[100, 300]"),
    ("regexp_substr", "regexp_substr('abc123', '[0-9]+')", "123"),
    ("date_part", "date_part('dow', date '2024-02-25')", "0"),
    ("epoch_ms", "epoch_ms(1500)", "1970-01-01T00:00:01.500"),
    ("epoch_ms", "epoch_ms(timestamp '1970-01-01 00:00:01.5')", "1500"),
    ("parse_time", "to_timestamp('2024-02', 'yyyy-MM')", "2024-02-01T00:00:00"),
    ("parse_time_ahead", "parse_time_ahead('2024-02-29 12:00', '%Y-%m-%d', 'YYYY-MM-DD')", "2024-02-29T00:00:00"),
    ("with_time", "to_timestamp(date '2024-02-29')", "2024-02-29T00:00:00Z"),
    ("substring", "substring('abcdef', -3, 2)", "de"),
    ("typeof", "typeof(date '2024-01-01')", "DATE"),
    ("try_parse_time", "try_to_timestamp('2024-02-30', 'yyyy-MM-dd')", "NULL"),
    ("reduce", "reduce([1, 2, 3], 0, (sum, x) -> sum + x, sum -> sum * 10)", "60"),
    ("rint", "rint(2.5)", "2.0"),
    ("sequence", "sequence(3, 1)", "[3, 2, 1]"),
    ("sequence", "sequence(date '2024-02-28', date '2024-03-01')", "[2024-02-28, 2024-02-29, 2024-03-01]"),
    ("sha1", "sha1('')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("sha2", "sha2('abc', 224)", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    ("soundex", "soundex('Miller')", "M460"),
    ("struct_items", "struct_items([named_struct('a', 1, 'b', 'x'), named_struct('a', 2, 'b', 'y')], 2)", "[x, y]"),
    ("split", "split('oneAtwoBthree', '[AB]')", "[one, two, three]"),
    ("str_to_map", "str_to_map('a:1,b:2')", "{a: 1, b: 2}"),
    ("string_agg", "string_agg('a', ', ')", "a"),
    ("sum", "sum(2)", "2"),
    ("time_as_text", "cast(timestamp '2024-02-29 13:05:00.5' as varchar)", "2024-02-29 13:05:00.5"),
    ("time_of_seconds", "cast(1.5 as timestamp)", "1970-01-01T00:00:01.500"),
    ("timestampadd", "dateadd(month, 1, date '2024-01-31')", "2024-02-29T00:00:00"),
    ("timestampdiff", "datediff(month, date '2024-01-31', date '2024-02-29')", "0"),
    ("to_json_string", "to_json_string(named_struct('a', 1, 'b', null))", "{\"a\":1,\"b\":null}"),
    ("to_json", "to_json(named_struct('a', 1, 'b', [1, null]))", "{\"a\":1,\"b\":[1,null]}"),
    ("zip_with", "zip_with([1, 2], [10, 20, 30], (x, y) -> coalesce(x, 0) + y)", "[11, 22, 30]"),
    ("try_parse_json", "try_parse_json('{')", "NULL"),
    ("try_add", "try_add(9223372036854775807, 1)", "NULL"),
    ("try_add", "try_add(date '2024-01-31', interval '1 month')", "2024-02-29"),
    ("try_subtract", "try_subtract(5, 7)", "-2"),
    ("try_multiply", "try_multiply(cast(64 as tinyint), cast(2 as tinyint))", "NULL"),
    ("try_sum", "try_sum(2)", "2"),
    ("unbase64", "cast(unbase64('YWJj') as varchar)", "abc"),
    ("unhex", "cast(unhex('616263') as varchar)", "abc"),
    ("unix_date", "unix_date(date '1970-01-02')", "1"),
    ("unix_micros", "unix_micros(timestamptz '1970-01-01 00:00:01Z')", "1000000"),
    ("unix_millis", "unix_millis(timestamptz '1970-01-01 00:00:01Z')", "1000"),
    ("unix_seconds", "unix_seconds(timestamptz '1970-01-01 00:00:01Z')", "1"),
    ("url_decode", "url_decode('a%20b')", "a b"),
    ("url_encode", "url_encode('a b')", "a+b"),
    ("width_bucket", "width_bucket(5.3, 0.2, 10.6, 5)", "3"),
    ("xxhash64", "xxhash64('Spark')", "-4294468057691064905"),
];

/// Forms that are neither a rule nor a name of a function alone.
const FORMS: &[(&str, &str, &str)] = &[
    ("date_format", "date_format(timestamp '2024-02-29 13:05:09', 'dd.MM.yyyy HH:mm')", "29.02.2024 13:05"),
    ("dateadd", "dateadd('day', -1, date '2024-03-01')", "2024-02-29T00:00:00"),
    ("date_diff", "date_diff(date '2024-02-01', date '2024-01-31', month)", "1"),
    ("timestamp_add", "timestamp_add(timestamp '2024-02-28 23:59:59', interval 1 second)", "2024-02-29T00:00:00"),
    ("timestamp_sub", "timestamp_sub(timestamp '2024-03-01 00:00:00', interval 1 day)", "2024-02-29T00:00:00"),
    ("datetime_add", "datetime_add(timestamp '2024-02-28 00:00:00', interval 24 hour)", "2024-02-29T00:00:00"),
    ("datetime_sub", "datetime_sub(timestamp '2024-03-01 00:00:00', interval 24 hour)", "2024-02-29T00:00:00"),
    ("timestamp_diff", "timestamp_diff(timestamp '2024-01-02 01:00:00', timestamp '2024-01-01 23:00:00', day)", "0"),
    ("decode", "decode(2, 1, 'one', 2, 'two', 'many')", "two"),
    ("decode", "decode(null, 1, 'one', null, 'none')", "none"),
    ("from_unixtime", "from_unixtime(0, 'yyyy-MM-dd HH:mm:ss')", "1970-01-01 00:00:00"),
    ("get_json_object", "get_json_object('{\"a\": [{\"b\": \"x\"}]}', '$.a[0].b')", "x"),
    ("struct_pack", "struct_pack(a := 1, b := 'x')", "{a: 1, b: x}"),
    ("json_extract", "json_extract('{\"a\": {\"b\": 1}}', '$.a')", "{\"b\": 1}"),
    ("json_extract_string", "json_extract_string('{\"a\": \"x\"}', '$.a')", "x"),
    ("json_extract_scalar", "json_extract_scalar('{\"a\": \"x\"}', '$.a')", "x"),
    ("json_value", "json_value('{\"a\": {\"b\": 1}}', '$.a.b')", "1"),
    ("json_query", "json_query('{\"a\": {\"b\": 1}}', '$.a')", "{\"b\": 1}"),
    ("approx_quantiles", "approx_quantiles('a', 2)", "[a, a, a]"),
    ("get_path", "get_path('{\"a\": {\"b\": 1}}', 'a.b')", "1"),
    ("json_object", "json_object('a', 1, 'b', 'x')", "{\"a\":1,\"b\":\"x\"}"),
    ("json_build_object", "json_build_object('a', 1, 'b', null)", "{\"a\":1,\"b\":null}"),
    ("to_binary", "cast(to_binary('QUI=', 'base64') as varchar)", "AB"),
    ("listagg", "listagg('a', ', ') within group (order by length('a'))", "a"),
    ("regexp_instr", "regexp_instr('aXcX', 'x', 1, 2, 0, 'i')", "4"),
    ("strftime", "strftime(date '2024-02-29', '%d/%m/%Y')", "29/02/2024"),
    ("strptime", "strptime('29/02/2024', '%d/%m/%Y')", "2024-02-29T00:00:00"),
    ("to_date", "to_date('29.02.2024', 'dd.MM.yyyy')", "2024-02-29"),
    ("to_timestamp", "to_timestamp('2024-02-29 13:05', 'yyyy-MM-dd HH:mm')", "2024-02-29T13:05:00"),
    ("trunc", "trunc(date '2024-02-29', 'quarter')", "2024-01-01"),
    ("unix_timestamp", "unix_timestamp('1970-01-02', 'yyyy-MM-dd')", "86400"),
    ("transform", "transform([1, 2, null], x -> x * 10 + 1)", "[11, 21, NULL]"),
    ("filter", "filter([1, 2, null], x -> x is not null and x > 1)", "[2]"),
    ("exists", "exists([1, 2], x -> x = 2)", "true"),
    ("forall", "forall([1, 2], x -> x > 1)", "false"),
];

#[test]
fn every_example_gives_what_it_says() {
    let rules = RULES.iter().map(|rule| (rule.example, rule.gives));
    let others = FUNCTIONS.iter().chain(FORMS).map(|(_, example, gives)| (*example, *gives));
    let wrong: Vec<String> = rules
        .chain(others)
        .map(|(example, gives)| (example, gives, value(example)))
        .filter(|(_, gives, found)| gives != found)
        .map(|(example, gives, found)| format!("{example}: expected {gives}, found {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is otherwise than in plain DataFusion, or worth knowing: a query and its rows, or what it fails with.
const QUERIES: &[(&str, &str)] = &[
    ("select 1 as a, a + 1 as b, b * 2 as c", "1, 2, 4"),
    ("select x as y, y + 1 as z from (values (1), (2)) as t(x) where z > 2", "2, 3"),
    ("select 2 as x, x as y from (values (1)) as t(x)", "2, 1"),
    ("select count(*) as n, n * 2 as m from (values (1), (2)) as t(x)", "2, 4"),
    ("select x from (values (1), (2), (3)) as t(x) minus select 2 order by all desc", "3; 1"),
    ("select top 2 x from (values (3), (1), (2)) as t(x) order by x", "1; 2"),
    ("select x from (values (3), (1), (2)) as t(x) order by x fetch first 1 rows only", "1"),
    ("select 'abc' rlike 'b', 'abc' not rlike 'b', 'abc' like any ('x%', 'a%')", "true, false, true"),
    ("select count(distinct a, b) from (values (1, 'x'), (1, 'x'), (1, 'y'), (1, null)) as t(a, b)", "2"),
    ("select x, exists(select 1 from (values (1)) as u(y) where y = x) as e from (values (1), (2)) as t(x) order by x", "1, true; 2, false"),
    (
        "select * from (values ('a', 'x', 1), ('a', 'y', 2), ('b', 'x', 3)) as t(k, c, v) pivot (sum(v) for c in ('x', 'y')) order by k",
        "a, 1, 2; b, 3, NULL",
    ),
    ("select * from (values ('a', 1, 2), ('b', 3, null)) as t(k, x, y) unpivot (v for c in (x, y)) order by k, c", "a, x, 1; a, y, 2; b, x, 3"),
    ("select listagg(x, '-') within group (order by x desc), mode(x) from (values (1), (2), (2), (null)) as t(x)", "2-2-1, 2"),
    ("select cast(1 as int64), cast(2 as float64), cast(3 as hugeint), cast('a' as character varying(3))", "1, 2.0, 3, a"),
    ("select 3 * interval '1 day' + date '2024-02-28', date '2024-02-28' + 2, date '2024-03-01' - 1", "2024-03-02, 2024-03-01, 2024-02-29"),
    (
        "select date '2024-02-28' + interval n day, extract(date from timestamp '2024-01-02 10:00:00') from (values (2)) as t(n)",
        "2024-03-01, 2024-01-02",
    ),
    (
        "select arrow_typeof(coalesce(x, 0)), arrow_typeof(case when x > 1 then x else 0 end) from (select cast(1 as decimal(18, 2)) as x) as t",
        "Decimal128(18, 2), Decimal128(18, 2)",
    ),
    ("select '5' + 1, '10' > 9, '1.5' * 2.0", "6, true, 3.0"),
    ("select row_number() over (order by x) - row_number() over (order by x desc) as d from (values (1), (2)) as t(x) order by d", "-1; 1"),
    ("select 5 / 2, 5 / 2.0, -7 % 3", "2, 2.5, -1"),
    ("select 7 // 2, -7 // 2, 7 // cast(2 as smallint)", "3, -3, 3"),
    ("select cast(date '9999-12-31' as timestamp)", "9999-12-31T00:00:00"),
    ("select 9223372036854775807 + 1", "error: integer overflow: `9223372036854775807 + 1` is out of range for BIGINT"),
    ("select x - 2 from (values (-9223372036854775807)) as t(x)", "error: integer overflow: `-9223372036854775807 - 2` is out of range for BIGINT"),
    ("select cast(2147483647 as int) * cast(2 as int)", "error: integer overflow: `2147483647 * 2` is out of range for INTEGER"),
    ("select cast(2147483647 as int) * 2", "4294967294"),
    ("select -x from (values (cast(-128 as tinyint))) as t(x)", "error: integer overflow: `- -128` is out of range for TINYINT"),
    ("select cast(300 as tinyint)", "error: `300` is out of range for TINYINT"),
    ("select cast(x as bigint) from (values (1e30)) as t(x)", "error: `1e30` is out of range for BIGINT"),
    ("select cast('abc' as bigint)", "error: `abc` is not a value of type BIGINT"),
    (
        "select sum(x) from (values (9223372036854775807), (1)) as t(x)",
        "error: integer overflow: the sum `9223372036854775808` is out of range for BIGINT",
    ),
    ("select sum(x) from (values (9223372036854775807), (1), (-1)) as t(x)", "9223372036854775807"),
    (
        "select k, sum(x) from (values ('a', 9223372036854775807), ('a', 1)) as t(k, x) group by k",
        "error: integer overflow: the sum `9223372036854775808` is out of range for BIGINT",
    ),
    ("select k, sum(x), sum(distinct x) from (values ('a', 7), ('a', 7), ('b', null)) as t(k, x) group by k order by k", "a, 14, 7; b, NULL, NULL"),
    (
        "select x, sum(x) over (order by x rows between 1 preceding and current row) from (values (1), (2), (3)) as t(x) order by x",
        "1, 1; 2, 3; 3, 5",
    ),
    ("select * exclude (c) rename (a as b) from (select 1 as a, 2 as c, 3 as d)", "1, 3"),
    ("with t as (select 1 as a, 2 as c) select b + 1 from (select * rename (a as b) from t)", "2"),
    ("select * ilike 'o%' from (select 1 as one, 2 as two, 3 as other)", "1, 3"),
    (
        "select 'abc' like all ('a%', '%c'), 'abc' like all ('a%', 'x%'), 'abc' not like all ('x%', 'y%'), null like all ('a%')",
        "true, false, true, NULL",
    ),
    (
        "select 'abc' similar to '(a|b)%', 'abc' similar to 'b', 'a.c' similar to 'a.c', 'axc' similar to 'a.c', 'ab' not similar to '_'",
        "true, false, true, false, true",
    ),
    ("select t.a, u.e from (values (1, [10, 20]), (2, null)) as t(a, l) cross join unnest(t.l) as u(e) order by all", "1, 10; 1, 20"),
    ("select a, e * 2 as d from (values (1, [10, 20])) as t(a, l), unnest(l) as u(e) where e > 10", "1, 40"),
    ("select t.a, x.e from (values (1, [10, 20]), (2, null)) as t(a, l) lateral view explode(t.l) x as e order by all", "1, 10; 1, 20"),
    ("select a, e from (values (1, [10]), (2, null)) as t(a, l) lateral view outer explode(l) x as e order by all", "1, 10; 2, NULL"),
    ("select a, p, e from (values (1, ['x', 'y'])) as t(a, l) lateral view posexplode(l) v as p, e order by all", "1, 0, x; 1, 1, y"),
    ("select k, v from (select map(['a', 'b'], [1, 2]) as m) as t lateral view explode(m) e as k, v order by all", "a, 1; b, 2"),
    (
        "select e, f from (select [[1, 2], [3]] as l) as t lateral view explode(l) x as e lateral view explode(e) y as f order by f",
        "[1, 2], 1; [1, 2], 2; [3], 3",
    ),
    ("select posexplode(['x', 'y'])", "0, x; 1, y"),
    ("select stack(2, 'a', 1, 'b', 2)", "a, 1; b, 2"),
    ("select count(*) from (values (1), (2), (3)) as t(x) where x in (select x from t2 tablesample (100 percent))", "error: table `t2` not found"),
    (
        "with t as (select unnest(range(1000)) as x) select count(*) between 300 and 700, (select count(*) from t tablesample (10 rows)) from t tablesample (50 percent)",
        "true, 10",
    ),
    (
        "with t as (values (1)) select * from t tablesample (5)",
        "error: a TABLESAMPLE without PERCENT or ROWS means different things in different engines",
    ),
    (
        "select x, (select y from (values (1, 'a', 9), (1, 'b', 7), (2, 'c', 1)) as u(k, y, d) where u.k = t.x order by d limit 1) as first from (values (1), (2), (3)) as t(x) order by x",
        "1, b; 2, c; 3, NULL",
    ),
    ("with a as materialized (select 1 as x), b as not materialized (select 2 as x) select a.x + b.x from a cross join b", "3"),
    ("select [x] from (values (1)) as t(x)", "error: `[x]` is a list here, and a column's name in other engines"),
    ("select [x] as l from (values (1)) as t(x)", "[1]"),
    ("select 1 as a, 2 as a", "error: two columns are called `a`"),
    ("select t.ID + u.id from (values (1)) as t(\"ID\") join (values (1)) as u(id) on t.id = u.ID", "2"),
    (
        "select aggregate([1, 2, null], 0, (a, x) -> a + coalesce(x, 5)), reduce(l, 0, (a, x) -> a + x) from (values (cast(null as array<int>))) as t(l)",
        "8, NULL",
    ),
    ("select transform([5, 6], (x, i) -> x * 10 + i), list_reduce([1, 2, 3], (a, x) -> a * 10 + x)", "[50, 61], 123"),
    (
        "select transform_values(map(['a', 'b'], [1, 2]), (k, v) -> v + 1), transform_keys(map(['a'], [1]), (k, v) -> k || v), map_filter(map(['a', 'b'], [1, 2]), (k, v) -> v > 1)",
        "{a: 2, b: 3}, {a1: 1}, {b: 2}",
    ),
    ("select x, reduce([1, 2], x, (a, y) -> a + y * x) from (values (1), (10)) as t(x) order by x", "1, 4; 10, 40"),
    ("select array_sort([2, 1], (a, b) -> a - b)", "error: `array_sort` with a lambda is not available"),
    (
        "select coalesce(date '2024-01-01', timestamp '9999-12-31'), greatest(date '2024-01-01', timestamp '9999-12-31'), date '2024-01-01' < timestamp '9999-12-31'",
        "2024-01-01T00:00:00, 9999-12-31T00:00:00, true",
    ),
    ("select x = '9999-12-31', x between date '2024-01-01' and '9999-12-31' from (values (timestamp '9999-12-31')) as t(x)", "true, true"),
    ("select date '2024-01-01' as x union all select timestamp '9999-12-31' order by x", "2024-01-01T00:00:00; 9999-12-31T00:00:00"),
    ("select * from (values (date '2024-01-01'), (timestamp '9999-12-31')) as t(x) order by x", "2024-01-01T00:00:00; 9999-12-31T00:00:00"),
    ("select lag(x, 1, timestamp '9999-12-31') over (order by x) from (values (date '2024-01-01')) as t(x)", "9999-12-31T00:00:00"),
    (
        "select arrow_typeof(now()), arrow_typeof(to_timestamp('9999-12-31')), arrow_typeof(cast('2024-01-01' as timestamp(3)))",
        "Timestamp(µs, \"UTC\"), Timestamp(µs, \"UTC\"), Timestamp(µs)",
    ),
    ("select date '2024-01-01' = 5", "error: DATE and BIGINT cannot be compared"),
    ("select case when true then date '2024-01-01' else 5 end", "error: DATE and BIGINT have no type in common"),
    ("select cast(true as date)", "error: BOOLEAN cannot be cast to DATE"),
    ("select x from (values (1)) as t(x) where row_number() over (order by x) = 1", "error: a window function can't stand in `where`"),
    (
        "select timestamp '2024-01-01 12:00:00' at time zone 'Europe/Berlin', timestamptz '2024-01-01 12:00:00Z' at time zone 'Europe/Berlin'",
        "2024-01-01T11:00:00Z, 2024-01-01T13:00:00",
    ),
    (
        "select date_part('dayofweek', date '2024-02-25'), extract(dayofweek from date '2024-02-25'), extract(isodow from date '2024-02-25')",
        "1, 1, 7",
    ),
    (
        "select t.a, u.e from (values (1, [10, 20]), (2, null), (3, make_array())) as t(a, l) left join unnest(t.l) as u(e) on true order by all",
        "1, 10; 1, 20; 2, NULL; 3, NULL",
    ),
    ("select t.a, u.e from (values (1, [10])) as t(a, l), lateral explode(t.l) as u(e)", "1, 10"),
    (
        "select x, x in (select y from (values (1), (null)) as u(y)) as f from (values (1), (2), (null)) as t(x) order by x",
        "1, true; 2, NULL; NULL, NULL",
    ),
    (
        "select x, x not in (select y from (values (1)) as u(y)) as f, x in (select 1 where false) from (values (1), (2)) as t(x) order by x",
        "1, false, false; 2, true, false",
    ),
    ("select a from (values (1), (2)) as t(a) anti join (values (1)) as u(b) on a = b", "2"),
    ("select distinct upper(x) from (values ('b'), ('a')) as t(x) order by upper(x)", "A; B"),
    ("select '2024-01-01'::date, '2024-01-01'::timestamp, 0, 0", "2024-01-01, 2024-01-01T00:00:00, 0, 0"),
    ("select element_at(map(['a'], [1]), 'a'), element_at([1, 2], -1), nvl(null, date '2024-01-01')", "1, 2, 2024-01-01"),
    (
        "select to_timestamp(s, 'dd.MM.yyyy HH:mm'), to_date(s, 'dd.MM.yyyy HH:mm') from (values ('29.02.2024 13:05'), (null)) as t(s)",
        "2024-02-29T13:05:00, 2024-02-29; NULL, NULL",
    ),
    ("select to_date('2024-02-30', 'yyyy-MM-dd')", "error: `2024-02-30` does not fit the pattern `yyyy-MM-dd`"),
    ("select substr('abcdef', -2), substring('abcdef' from 2 for 3), substr('abc', 0, 2)", "ef, bcd, ab"),
    ("select lag(x) from (values (1)) as t(x)", "error: `lag` is a window function and needs `over (..)`"),
    (
        "select t.k, l.y from (values (1), (2), (3)) as t(k), lateral (select y from (values (1, 5), (1, 7), (1, 9), (2, 4)) as u(k, y) where u.k = t.k order by y desc limit 2) as l order by all",
        "1, 7; 1, 9; 2, 4",
    ),
    (
        "select t.k, l.y, l.n from (values (1), (3)) as t(k) left join lateral (select y, row_number() over (order by y) as n from (values (1, 5), (2, 4), (1, 3)) as u(k, y) where u.k = t.k) as l on true order by all",
        "1, 3, 1; 1, 5, 2; 3, NULL, NULL",
    ),
    (
        "select t.k, l.n from (values (1)) as t(k), lateral (select row_number() over (order by y) as n from (values (2, 4)) as u(k, y) where u.k > t.k) as l",
        "error: a subquery can't be carried out where it stands, or with the columns it uses from outside",
    ),
    ("select max(x::varchar) as a, max(x) as b, sum(x::double), sum(x) from (values (10), (9)) as t(x)", "9, 10, 19.0, 19"),
    ("select x::date as d, x, count(*) from (values (timestamp '2024-01-05 10:00:00')) as t(x) group by 1, 2", "2024-01-05, 2024-01-05T10:00:00, 1"),
    ("select '{\"a\": {\"b\": [7]}}' ->> '$.a.b[0]', '{\"a\": 1}' -> '$.a'", "7, 1"),
    (
        "select d from generate_series(timestamp '2024-02-28', timestamp '2024-03-01', interval '1 day') as g(d)",
        "2024-02-28T00:00:00; 2024-02-29T00:00:00; 2024-03-01T00:00:00",
    ),
    ("select d from generate_series(date '2024-02-28', date '2024-02-29', interval 1 day) as g(d)", "2024-02-28T00:00:00; 2024-02-29T00:00:00"),
    ("select 1_000, 5L, 1.5BD + 1BD, 2d / 4", "1000, 5, 2.5, 0.5"),
    ("select 2a, t.3b from (select 1 as 2a, 2 as 3b) as t", "1, 2"),
    ("select 'n=' || 1 + 2, 'n=' || 2 * 3 || '.', 1 + 2 || 'x'", "n=3, n=6., 3x"),
    ("select '{\"a\": \"x\"}' ->> 'a' = 'x', '{\"a\": 3}' ->> 'a' > 2, '{\"a\": 1}' ->> 'b' is null", "true, true, true"),
    ("select j:a, 1 + j:b.c[0]::int, 'x' || j:b['c'][1] from (values ('{\"a\": \"x\", \"b\": {\"c\": [7, 8]}}')) as t(j)", "x, 8, x8"),
    ("select 2 ** 3, -2 ** 2, 2 ** 3 ** 2, 2 * 3 ** 2, 2 ** -1", "8.0, 4.0, 64.0, 18.0, 0.5"),
    ("select 7 div 2, -7 div 2, 1 + 7 div 2 * 2, div from (values (1)) as t(div)", "3, -3, 7, 1"),
    ("select 2 ^ 3", "error: `^` is a power in Postgres and DuckDB, and an exclusive or in Spark and BigQuery"),
    ("select x[1]._a, (x[2])._a from (select [named_struct('_a', 5), named_struct('_a', 6)] as x)", "5, 6"),
    (
        "select cast(null as map<string, array<int>>), map(['a'], [1])::map<varchar, bigint>, cast(map(['a'], [1]) as map(varchar, varchar))",
        "NULL, {a: 1}, {a: 1}",
    ),
    ("select x, i from unnest(['a', 'b']) with ordinality as t(x, i)", "a, 1; b, 2"),
    ("select x, o from unnest(['a', 'b']) as x with offset as o order by o", "a, 0; b, 1"),
    ("select k, x, ordinality from (values (1, ['a', 'b']), (2, null)) as t(k, l), unnest(t.l) with ordinality as x", "1, a, 1; 1, b, 2"),
    ("select x + 1 from unnest([1, 2]) as x", "2; 3"),
    ("select t.k, f.index, f.value from (values (1, 'a,b'), (2, null)) as t(k, s), lateral flatten(input => split(t.s, ',')) f", "1, 0, a; 1, 1, b"),
    ("select value:n from table(flatten(input => parse_json('[{\"n\": 1}, {\"n\": \"x\"}]')))", "1; x"),
    ("select k, value from (values (1, [5]), (2, null)) as t(k, l), lateral flatten(input => l, outer => true) order by k", "1, 5; 2, NULL"),
    ("select t.k, s.index, s.value from (values (1, 'a.b'), (2, null)) as t(k, v), lateral split_to_table(t.v, '.') s", "1, 1, a; 1, 2, b"),
    ("select count(*) from table(generator(rowcount => (24 * 7)))", "168"),
    (
        "select id, (select max(x) from unnest(l) as u(x) where x < t.most) as top, array(select x + id from unnest(l) as u(x) order by x desc) as moved from (values (1, 3, [1, 2, 3]), (2, 9, null)) as t(id, most, l) order by id",
        "1, 2, [4, 3, 2]; 2, NULL, []",
    ),
    (
        "select id, 2 in (select x from unnest(l) as u(x)) as found, exists (select 1 from unnest(l) as u(x) where x > id) as more from (values (1, [1, 2]), (2, [1])) as t(id, l) order by id",
        "1, true, true; 2, false, false",
    ),
    ("select count(*), max(n) from (select seq4() as n from table(generator(rowcount => 1000)))", "1000, 999"),
    (
        "select v.a, v.b from (select [named_struct('x', 1, 'y', 'p'), named_struct('x', 2, 'y', 'q')] as l) as t lateral view inline(l) v as a, b",
        "1, p; 2, q",
    ),
    (
        "select timestamp '2021-01-01 00:00', '2021-1-5 9:30'::timestamp, '2021-01-05 10:00:00'::date, timestamp '2021-01-01 10:00:00' > '2021-1-1 9:00'",
        "2021-01-01T00:00:00, 2021-01-05T09:30:00, 2021-01-05, true",
    ),
    ("select * from (values (1)) as t(x) asof join (values (1)) as u(y) match_condition (t.x >= u.y)", "error: ASOF JOIN is not available"),
    ("select * from (values (1)) as t(x) asof left join (values (1)) as u(y) on t.x >= u.y", "error: ASOF JOIN is not available"),
    ("select cast('7', 'UInt8') + 1, cast('2024-01-01', 'Nullable(DateTime64(3))')", "8, 2024-01-01T00:00:00"),
    (
        "select sum(cast(x as decimal(38, 0))) from (values ('99999999999999999999999999999999999999'), ('1')) as t(x)",
        "error: decimal overflow: a sum is out of range for DECIMAL(38,0)",
    ),
    (
        "select cast('99999999999999999999999999999999999999' as decimal(38, 0)) + 1",
        "error: decimal overflow: a result is out of range for DECIMAL(38,0)",
    ),
    (
        "select k, sum(x), sum(distinct x) from (values ('a', cast(1.5 as decimal(10, 2))), ('a', cast(1.5 as decimal(10, 2))), ('b', null)) as t(k, x) group by k order by k",
        "a, 3.00, 1.50; b, NULL, NULL",
    ),
    ("select cast('99.9' as decimal(3, 1)) * cast('99.9' as decimal(3, 1)), cast(12345 as decimal(10, 2)) / 7", "9980.01, 1763.571429"),
    (
        "select cast(x as decimal(3, 1)) from (values (100)) as t(x)",
        "error: invalid argument error: 100.0 is too large to store in a Decimal128 of precision 3. Max is 99.9",
    ),
    ("select date_trunc('year', date '0001-06-01')", "0001-01-01T00:00:00"),
    ("select length([1, 2]), length('größe'), len(map(['a'], [1]))", "2, 5, 1"),
    ("select 1.5, 3 / 2, arrow_typeof(1.5), arrow_typeof(date_trunc('month', date '2024-02-03'))", "1.5, 1, Float64, Timestamp(µs)"),
    ("select a is distinct from b and c = 1, a is not distinct from b or c = 1 from (values (1, 2, 1)) as t(a, b, c)", "true, true"),
    (
        "select '{\"a\": 1}' is json, 'x' is not json, '1' is json object, '1' is json scalar, cast(null as varchar) is json",
        "true, true, false, true, NULL",
    ),
    ("select trim(both from ' a '), trim(leading from ' a ') || '.', trim(both 'x' from lower('XAX')), trim(from ' a ')", "a, a ., a, a"),
    ("select date '2024-01-10' + interval 1 + 1 day, date '2024-01-10' - interval t.n * 2 month from (values (3)) as t(n)", "2024-01-12, 2023-07-10"),
    ("select interval '5 days' > interval '1 day'", "true"),
    (
        "select a.x, b.y, c.z from (values (1), (2)) as a(x) left join (values (1, 5), (2, 6)) as b(x, y) join (values (5, 'c')) as c(y, z) on c.y = b.y on b.x = a.x order by 1",
        "1, 5, c; 2, NULL, NULL",
    ),
    ("select extract(year from age(date '2024-03-01', date '2020-01-31')), extract(day from age(date '2020-01-31', date '2024-03-01'))", "4, -1"),
    ("select 1 / 0", "error: divide by zero error"),
    ("select dateadd(fortnight, 1, date '2024-01-01')", "error: `fortnight` is not a unit of time"),
    ("select date_format(date '2024-01-01', 'yyyy-ww')", "error: the letters `ww` of the pattern have no counterpart"),
    (
        "select to_char(timestamp '2024-02-09 13:05:09.123', 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(date '2024-02-09', 'yyyymm'), to_char(date '2024-02-09', 'DD-Mon-YY'), to_char(date '2024-02-09', 'FMMonth FMDD, YYYY')",
        "2024-02-09 13:05:09.123, 202402, 09-Feb-24, February 9, 2024",
    ),
    (
        "select to_char(date '2024-02-09', 'YYYY-MM-01'), to_char(date '2024-02-09', 'YYYY\"Q\"Q'), to_char(date '2024-02-09', 'IYYY-IW'), to_char(date '2024-02-09', '%Y/%m'), to_char(cast(null as date), 'YYYY')",
        "2024-02-01, 2024Q1, 2024-06, 2024/02, NULL",
    ),
    (
        "select to_date('2024-02-09', 'YYYY-MM-DD'), to_date('09/02/2024', 'dd/mm/yyyy'), to_timestamp('2024-02-09 13:05', 'YYYY-MM-DD HH24:MI'), to_varchar(date '2024-02-09', 'YYYYMMDD')",
        "2024-02-09, 2024-02-09, 2024-02-09T13:05:00, 20240209",
    ),
    ("select first(a order by b desc), last(a order by b), first(a) filter (where b > 2) from (values (1, 2), (3, 4)) as t(a, b)", "3, 3, 3"),
    ("select to_char(1234.5, '999.99')", "error: the letters `999.99` of the pattern have no counterpart"),
    ("select to_char(date '2024-02-09', 'MON|Month|FMday|DDth|WW|J')", "FEB|February |friday|09th|06|2460350"),
    ("select to_char(date '2024-02-09', 'RM')", "error: the letters `RM` of the pattern have no counterpart"),
    ("select t.l[1], t.l[2]['a'] from (select [{'a': 1}, {'a': 2}] as l) as t", "{a: 1}, 2"),
    (
        "select lag(a, 1, b) over (order by a), lead(a, 1, b || '!') over (order by a) from (values ('b', 'c'), ('x', 'y')) as t(a, b) order by 1",
        "b, y!; c, x",
    ),
    (
        "select percentile_cont(0.25) within group (order by x desc) over (partition by y) as q from (values (1, 1), (2, 1), (5, 2)) as t(x, y) order by q",
        "1.75; 1.75; 5.0",
    ),
    (
        "select timestamp '2024-01-01' + interval '1 day 02:03:04', '2024-01-01'::timestamp + '-00:00:01'::interval",
        "2024-01-02T02:03:04, 2023-12-31T23:59:59",
    ),
    (
        "select dense_rank() over (order by h desc), count(*) over (order by h) from (values (decode('00', 'hex')), (decode('ff', 'hex')), (decode('ff', 'hex'))) as t(h) order by 1",
        "1, 3; 1, 3; 2, 1",
    ),
    ("select posexplode(['x', 'y']) as (place, item)", "0, x; 1, y"),
    (
        "select sum(x) over (order by d range between interval 1 day preceding and current row) from (values (date '2024-01-01', 1), (date '2024-01-02', 2), (date '2024-01-04', 3)) as t(d, x) order by d",
        "1; 3; 3",
    ),
    (
        "with a as (select * from (values (1, 'x'), (2, 'y')) as t(id, v)), b as (select * from (values (2, 'z'), (3, 'q')) as t(id, w)) select * from a full join b using (id) order by id",
        "1, x, NULL; 2, y, z; 3, NULL, q",
    ),
    (
        "with a as (select * from (values (1), (2)) as t(id)), b as (select * from (values (2), (3)) as t(id)) select id, b.id from a left join b using (id) where id < 3 order by id",
        "1, NULL; 2, 2",
    ),
    ("select x, (select upper(x)) as u, (select count(*)) as n from (values ('a'), ('b')) as t(x) order by x", "a, A, 1; b, B, 1"),
];

#[test]
fn every_function_has_an_example() {
    let shown = |name: &str| FUNCTIONS.iter().any(|(known, ..)| *known == name) || RULES.iter().any(|rule| rule.name == name);
    let missing: Vec<String> = names().into_iter().filter(|name| !shown(name)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_query_gives_what_it_says() {
    let wrong: Vec<String> = QUERIES
        .iter()
        .map(|(sql, gives)| (sql, gives, answer(sql)))
        .filter(|(_, gives, found)| *gives != found)
        .map(|(sql, gives, found)| format!("{sql}: expected {gives}, found {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn answer(sql: &str) -> String {
    match rows(sql) {
        Ok(rows) => rows.iter().map(|row| row.join(", ")).collect::<Vec<_>>().join("; "),
        Err(message) => format!("error: {message}"),
    }
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql.md"));
    let page = read_text(path).unwrap();
    let wanted = between(&between(&page, "functions", &functions_table()), "queries", &queries_table());
    if std::env::var_os("UPDATE").is_some() {
        write_text(path, &wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/sql.md does not show what the dialect has; write it again with `UPDATE=1 cargo test --lib sql::`");
    }
}

/// The page with other text between two of its marks.
fn between(page: &str, name: &str, text: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (head, rest) = page.split_once(&open).unwrap();
    let (_, tail) = rest.split_once(&close).unwrap();
    format!("{head}{open}{text}{close}{tail}")
}

fn functions_table() -> String {
    let mut lines: Vec<(String, String)> = RULES
        .iter()
        .map(|rule| (rule.name, rule.example, rule.gives, format!("`{}`", rule.stands_for)))
        .chain(FUNCTIONS.iter().chain(FORMS).map(|(name, example, gives)| (*name, *example, *gives, String::new())))
        .map(|(name, example, gives, meaning)| {
            (name.to_owned(), format!("| `{name}` | `{}` | `{}` | {} |\n", cell(example), cell(gives), cell(&meaning)))
        })
        .collect();
    lines.sort();
    let head = "| function | example | gives | stands for |\n|---|---|---|---|\n".to_owned();
    lines.into_iter().fold(head, |page, (_, line)| page + &line)
}

fn queries_table() -> String {
    let head = "| query | gives |\n|---|---|\n".to_owned();
    QUERIES.iter().fold(head, |page, (sql, gives)| page + &format!("| `{}` | {} |\n", cell(sql), cell(gives).replace('<', "&lt;")))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
