//! Functions that are another spelling of what DataFusion has: each with the expression it stands for, and an example
//! that a test runs and `docs/sql.md` shows.

/// One function and what it stands for.
pub(crate) struct Rule {
    pub name: &'static str,
    /// How many arguments this form takes; a function may have several forms.
    pub arguments: usize,
    /// SQL with `$1`, `$2`, ... for the arguments.
    pub stands_for: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that writes the reference"))]
    pub example: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that writes the reference"))]
    pub gives: &'static str,
}

const fn rule(name: &'static str, arguments: usize, stands_for: &'static str, example: &'static str, gives: &'static str) -> Rule {
    Rule { name, arguments, stands_for, example, gives }
}

/// The rule for a call, by its name in lower case and the number of its arguments.
pub(super) fn find(name: &str, arguments: usize) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.arguments == arguments && rule.name == name)
}

/// Sorted by subject, as `docs/sql.md` shows them.
pub(crate) const RULES: &[Rule] = &[
    // Conditions.
    rule("iff", 3, "case when $1 then $2 else $3 end", "iff(1 > 2, 'yes', 'no')", "no"),
    rule("if", 3, "case when $1 then $2 else $3 end", "if(null, 1, 2)", "2"),
    rule("zeroifnull", 1, "coalesce($1, 0)", "zeroifnull(null)", "0"),
    rule("nullifzero", 1, "nullif($1, 0)", "nullifzero(0)", "NULL"),
    rule("equal_null", 2, "$1 is not distinct from $2", "equal_null(null, null)", "true"),
    rule("isnull", 1, "$1 is null", "isnull(1)", "false"),
    rule("isnotnull", 1, "$1 is not null", "isnotnull(1)", "true"),
    rule("div0", 2, "case when $2 = 0 then $1 * 0.0 else cast($1 as double) / $2 end", "div0(5, 0)", "0.0"),
    rule("div0null", 2, "case when coalesce($2, 0) = 0 then $1 * 0.0 else cast($1 as double) / $2 end", "div0null(5, null)", "0.0"),
    rule("try_divide", 2, "cast($1 as double) / nullif($2, 0)", "try_divide(5, 0)", "NULL"),
    // Numbers.
    rule("mod", 2, "$1 % $2", "mod(-7, 3)", "-1"),
    rule("sign", 1, "signum($1)", "sign(-2.5)", "-1.0"),
    rule("ceiling", 1, "ceil($1)", "ceiling(1.2)", "2.0"),
    rule("truncate", 2, "trunc($1, $2)", "truncate(1.987, 2)", "1.98"),
    rule("rand", 0, "random()", "rand() < 1", "true"),
    // Text.
    rule("charindex", 2, "strpos($2, $1)", "charindex('c', 'abcabc')", "3"),
    rule("locate", 2, "strpos($2, $1)", "locate('z', 'abc')", "0"),
    rule("len", 1, "character_length($1)", "len('größe')", "5"),
    rule("lcase", 1, "lower($1)", "lcase('ÄB')", "äb"),
    rule("ucase", 1, "upper($1)", "ucase('äb')", "ÄB"),
    rule("mid", 3, "substr($1, $2, $3)", "mid('abcdef', 2, 3)", "bcd"),
    rule("startswith", 2, "starts_with($1, $2)", "startswith('abc', 'ab')", "true"),
    rule("endswith", 2, "ends_with($1, $2)", "endswith('abc', 'bc')", "true"),
    rule("editdist", 2, "levenshtein($1, $2)", "editdist('kitten', 'sitting')", "3"),
    rule("editdistance", 2, "levenshtein($1, $2)", "editdistance('', 'abc')", "3"),
    rule("rlike", 2, "regexp_like($1, $2)", "rlike('abc', '^a.c$')", "true"),
    rule("regexp", 2, "regexp_like($1, $2)", "regexp('abc', 'z')", "false"),
    rule("regexp_matches", 2, "regexp_like($1, $2)", "regexp_matches('abc', 'b')", "true"),
    rule("regexp_matches", 3, "regexp_like($1, $2, $3)", "regexp_matches('aBc', 'b', 'i')", "true"),
    rule("string_split", 2, "case when $1 = '' then [''] else string_to_array($1, $2) end", "string_split('a,b,,c', ',')", "[a, b, , c]"),
    rule("str_split", 2, "case when $1 = '' then [''] else string_to_array($1, $2) end", "str_split('a.b', '.')", "[a, b]"),
    rule("space", 1, "space(cast($1 as int))", "space(2) || '.'", "  ."),
    rule("to_varchar", 1, "cast($1 as varchar)", "to_varchar(12)", "12"),
    // Hashes.
    rule("sha", 1, "sha1($1)", "sha('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    rule("sha2", 1, "sha2($1, 256)", "sha2('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    // Parts of dates.
    rule("year", 1, "date_part('year', $1)", "year(date '2024-02-29')", "2024"),
    rule("quarter", 1, "date_part('quarter', $1)", "quarter(date '2024-02-29')", "1"),
    rule("month", 1, "date_part('month', $1)", "month(date '2024-02-29')", "2"),
    rule("week", 1, "date_part('week', $1)", "week(date '2021-01-03')", "53"),
    rule("weekofyear", 1, "date_part('week', $1)", "weekofyear(date '2024-12-30')", "1"),
    rule("day", 1, "date_part('day', $1)", "day(date '2024-02-29')", "29"),
    rule("dayofmonth", 1, "date_part('day', $1)", "dayofmonth(date '2024-02-29')", "29"),
    rule("dayofyear", 1, "date_part('doy', $1)", "dayofyear(date '2024-12-31')", "366"),
    rule("dayofweek", 1, "date_part('dow', $1) + 1", "dayofweek(date '2024-02-25')", "1"),
    rule("dayofweekiso", 1, "(date_part('dow', $1) + 6) % 7 + 1", "dayofweekiso(date '2024-02-25')", "7"),
    rule("weekday", 1, "(date_part('dow', $1) + 6) % 7", "weekday(date '2024-02-25')", "6"),
    rule("hour", 1, "date_part('hour', $1)", "hour(timestamp '2024-02-29 23:59:58')", "23"),
    rule("minute", 1, "date_part('minute', $1)", "minute(timestamp '2024-02-29 23:59:58')", "59"),
    rule("second", 1, "date_part('second', $1)", "second(timestamp '2024-02-29 23:59:58')", "58"),
    rule("epoch", 1, "date_part('epoch', $1)", "epoch(timestamp '1970-01-02 00:00:00')", "86400.0"),
    rule("dayname", 1, "to_char(cast($1 as date), '%a')", "dayname(date '2024-02-29')", "Thu"),
    rule("monthname", 1, "to_char(cast($1 as date), '%b')", "monthname(date '2024-02-29')", "Feb"),
    // Dates.
    rule("last_day", 1, "last_day(cast($1 as date))", "last_day(date '2024-02-01')", "2024-02-29"),
    rule("next_day", 2, "next_day(cast($1 as date), $2)", "next_day(date '2024-02-29', 'Thu')", "2024-03-07"),
    rule("add_months", 2, "add_months(cast($1 as date), cast($2 as int))", "add_months(date '2024-01-31', 1)", "2024-02-29"),
    rule("date_add", 2, "date_add(cast($1 as date), cast($2 as int))", "date_add(date '2024-02-28', 2)", "2024-03-01"),
    rule("dateadd", 2, "date_add(cast($1 as date), cast($2 as int))", "dateadd(date '2024-02-28', 1)", "2024-02-29"),
    rule("date_sub", 2, "date_sub(cast($1 as date), cast($2 as int))", "date_sub(date '2024-03-01', 1)", "2024-02-29"),
    rule("date_diff", 2, "date_diff(cast($1 as date), cast($2 as date))", "date_diff(date '2024-03-01', date '2024-02-28')", "2"),
    rule("datediff", 2, "date_diff(cast($1 as date), cast($2 as date))", "datediff(date '2024-02-28', date '2024-03-01')", "-2"),
    rule("date_from_parts", 3, "make_date($1, $2, $3)", "date_from_parts(2024, 2, 29)", "2024-02-29"),
    rule("getdate", 0, "now()", "getdate() > timestamp '2020-01-01'", "true"),
    rule("curdate", 0, "current_date()", "curdate() > date '2020-01-01'", "true"),
    rule("unix_timestamp", 0, "to_unixtime(now())", "unix_timestamp() > 0", "true"),
    rule(
        "unix_timestamp",
        1,
        "cast(floor(date_part('epoch', cast($1 as timestamp))) as bigint)",
        "unix_timestamp(timestamp '1970-01-01 00:01:00')",
        "60",
    ),
    rule(
        "convert_timezone",
        3,
        "from_utc_timestamp(to_utc_timestamp(cast($3 as timestamp), $1), $2)",
        "convert_timezone('America/New_York', 'UTC', timestamp '2024-07-01 08:00:00')",
        "2024-07-01T12:00:00",
    ),
    rule(
        "convert_timezone",
        2,
        "from_utc_timestamp(cast($2 as timestamp), $1)",
        "convert_timezone('Europe/Berlin', timestamp '2024-01-01 12:00:00')",
        "2024-01-01T13:00:00",
    ),
    rule(
        "from_utc_timestamp",
        2,
        "from_utc_timestamp(cast($1 as timestamp), $2)",
        "from_utc_timestamp(timestamp '2024-07-01 12:00:00', 'Europe/Berlin')",
        "2024-07-01T14:00:00",
    ),
    rule(
        "to_utc_timestamp",
        2,
        "to_utc_timestamp(cast($1 as timestamp), $2)",
        "to_utc_timestamp(timestamp '2024-07-01 14:00:00', 'Europe/Berlin')",
        "2024-07-01T12:00:00",
    ),
    rule(
        "months_between",
        3,
        "months_between(cast($1 as timestamp), cast($2 as timestamp), $3)",
        "months_between(date '2024-03-01', date '2024-02-29', false) < 0.1",
        "true",
    ),
    rule(
        "months_between",
        2,
        "months_between(cast($1 as timestamp), cast($2 as timestamp), true)",
        "months_between(date '2024-02-29', date '2024-01-31')",
        "1.0",
    ),
    // Aggregates.
    rule("count_if", 1, "count(case when $1 then 1 end)", "count_if(true)", "1"),
    rule("countif", 1, "count(case when $1 then 1 end)", "countif(null)", "0"),
    rule("logical_or", 1, "bool_or($1)", "logical_or(true)", "true"),
    rule("logical_and", 1, "bool_and($1)", "logical_and(false)", "false"),
    rule("boolor_agg", 1, "bool_or($1)", "boolor_agg(true)", "true"),
    rule("booland_agg", 1, "bool_and($1)", "booland_agg(true)", "true"),
    rule("min_by", 2, "first_value($1 order by $2 asc nulls last) filter (where $2 is not null)", "min_by('a', length('b'))", "a"),
    rule("max_by", 2, "first_value($1 order by $2 desc nulls last) filter (where $2 is not null)", "max_by('a', length('b'))", "a"),
    rule(
        "arg_min",
        2,
        "first_value($1 order by $2 asc nulls last) filter (where $1 is not null and $2 is not null)",
        "arg_min('a', length('b'))",
        "a",
    ),
    rule(
        "arg_max",
        2,
        "first_value($1 order by $2 desc nulls last) filter (where $1 is not null and $2 is not null)",
        "arg_max('a', length('b'))",
        "a",
    ),
    rule("first", 1, "first_value($1)", "first('a')", "a"),
    rule("last", 1, "last_value($1)", "last('a')", "a"),
    rule("percentile", 2, "percentile_cont($1, $2)", "percentile(4.0, 0.5)", "4.0"),
    rule("percentile_approx", 2, "approx_percentile_cont($1, $2)", "percentile_approx(4.0, 0.5)", "4.0"),
    rule("approx_percentile", 2, "approx_percentile_cont($1, $2)", "approx_percentile(4.0, 0.5)", "4.0"),
    rule("approx_count_distinct", 1, "approx_distinct($1)", "approx_count_distinct(5)", "1"),
    // Arrays.
    rule("explode", 1, "unnest($1)", "explode([1, 2])", "1 | 2"),
    rule("array_size", 1, "cardinality($1)", "array_size([1, 2, 3])", "3"),
    rule("sequence", 2, "generate_series($1, $2)", "sequence(1, 4)", "[1, 2, 3, 4]"),
    rule("sequence", 3, "generate_series($1, $2, $3)", "sequence(1, 5, 2)", "[1, 3, 5]"),
];
