//! What the SQL of an adapter means where engines differ: a session of the dialect has one such meaning.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::catalog::Session;

use super::types::{named_type, type_name};

/// What the SQL of a target means where engines give other values for the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semantics {
    /// The dbt adapter; `alluvium` for the dialect's own meaning, which adapters that are not listed have too.
    pub adapter: &'static str,
    pub division: Division,
    pub floats: Floats,
    /// Whether `int`, `smallint` and `tinyint` have 64 bits, as `bigint` has.
    pub wide_integers: bool,
    pub nulls: NullOrder,
    pub casts: IntegerCasts,
    /// What division by zero gives.
    pub by_zero: Quotients,
    /// How a double is written that becomes a text.
    pub number_texts: NumberTexts,
    /// What `concat` makes of NULL.
    pub concat: NullArguments,
    /// What `greatest` and `least` make of NULL.
    pub greatest: NullArguments,
    /// Whether `concat_ws` gives NULL where a part is.
    pub concat_ws: NullArguments,
    pub logarithm: Logarithm,
    pub differences: Differences,
    /// Whether the unit of `date_diff` and `date_trunc` is their last argument.
    pub unit_behind: bool,
    /// Where a week begins, for `date_trunc` and for boundaries between weeks.
    pub week: WeekStart,
    pub sunday: Sunday,
    /// Whether the part `dow` of a time counts as `dayofweek` does; else a Sunday is 0.
    pub dow_as_dayofweek: bool,
    pub lists: ListBase,
    /// Whether `array_agg` leaves NULL out.
    pub array_agg_skips_nulls: bool,
    /// Whether `regexp_replace` without flags replaces all matches, not the first.
    pub regexp_replaces_all: bool,
    /// Whether `rlike` and `regexp_like` want the whole text to match.
    pub regexp_matches_whole: bool,
    /// Whether `regexp_matches` gives the list of the groups that matched, not a truth value.
    pub regexp_matches_groups: bool,
    /// What `regexp_extract` without a group takes.
    pub regexp_extract: Extracted,
    /// Whether the separator of `split` is a text, not a pattern.
    pub splits_by_text: bool,
    /// Digits, and digits behind the point, of `decimal` and `numeric` without any.
    pub decimal: Option<(u8, i8)>,
    /// Whether a cast to `varchar(n)` cuts.
    pub varchar_cuts: bool,
    /// Whether a name in `group by` is first an alias of the select list, then a column.
    pub groups_by_alias: bool,
    /// Whether `a join b` may have no condition, and is a cross join then.
    pub joins_without_condition: bool,
    pub unnamed: Unnamed,
    /// Whether names without quotes are kept in capitals: templates see columns so, and such a name in quotes is the same.
    pub capitals: bool,
    pub backslash: Backslash,
    pub double_quotes: DoubleQuotes,
    pub value_columns: ValueColumns,
    /// How long the names are that `dayname` and `monthname` give.
    pub day_names: DayNames,
    /// Whether a text that is cast to a timestamp without a zone keeps its time of day whatever zone stands behind it; else it is
    /// brought to UTC.
    pub drops_offsets: bool,
    /// Whether a text that is read as a time by a pattern may go on behind what the pattern asks for.
    pub times_may_go_on: bool,
    /// Whether a date plus or minus an interval is a timestamp, whatever the interval; else only with hours or less, as in Snowflake,
    /// Spark and `BigQuery`.
    pub moved_dates_are_times: bool,
    /// Whether `upper`, `trim` and their like take numbers and times, as texts.
    pub takes_for_texts: bool,
}

/// What the columns of `values (..)` are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueColumns {
    /// `column1`, ..: Postgres, Snowflake, this dialect.
    Column,
    /// `col1`, ..: Spark.
    Col,
    /// `col0`, ..: DuckDB.
    ColFromZero,
}

impl ValueColumns {
    /// The name of the column at a place, which counts from 0.
    #[must_use]
    pub fn name(self, at: usize) -> String {
        match self {
            Self::Column => format!("column{}", at + 1),
            Self::Col => format!("col{}", at + 1),
            Self::ColFromZero => format!("col{at}"),
        }
    }
}

/// How the names of days and months are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayNames {
    /// `Mon`: Snowflake, Databricks, this dialect.
    Short,
    /// `Monday`: DuckDB, `MySQL`.
    Whole,
}

/// What a column is called that has no alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    AsWritten,
    /// A cast of a column as the column: Spark.
    CastAsColumn,
    /// As the column, function or keyword that makes the value: Postgres.
    Figured,
}

/// What stands in double quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubleQuotes {
    Name,
    /// Names stand in backquotes: `BigQuery`, Spark, `MySQL`.
    Text,
}

/// What a backslash in a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backslash {
    /// A letter like any other: Postgres, DuckDB, this dialect.
    Letter,
    /// It stands before what is meant: `'\\d'` is `\d`, `'it\'s'` has a quote. Snowflake, `BigQuery`, Spark.
    Escapes,
}

/// What the difference of two times by a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differences {
    /// Whole units that have passed where the unit is a bare word, boundaries where it is a text.
    ByQuotes,
    /// Whole units that have passed: Databricks, `MySQL`, Trino.
    Passed,
    /// Boundaries between them: Snowflake, Redshift, SQL Server.
    Boundaries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeekStart {
    Monday,
    Sunday,
}

/// What `dayofweek` of a Sunday is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sunday {
    /// Spark, `BigQuery`, this dialect.
    One,
    /// Snowflake, DuckDB.
    Zero,
    /// Trino, `ClickHouse`.
    Seven,
}

/// What `list[n]` counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListBase {
    /// Postgres, DuckDB, Trino, this dialect.
    One,
    /// Snowflake, `BigQuery`, Spark.
    Zero,
}

/// What `regexp_extract` takes that is not told which group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extracted {
    /// The first group, and an empty text without a match: Spark, this dialect.
    Group,
    /// The first group, and NULL without a match: `BigQuery`.
    GroupOrNull,
    /// The whole match, and an empty text without one: DuckDB.
    Match,
    /// The whole match, and NULL without one: Trino.
    MatchOrNull,
}

/// What `/` between whole numbers gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// A whole number, as in Postgres and in this dialect: 5 / 2 is 2.
    Whole,
    /// A fraction, as in DuckDB, Spark and Snowflake: 5 / 2 is 2.5.
    Fraction,
}

/// How wide the types are that have `float` or `real` for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floats {
    /// 32 bits both, as in DuckDB, Spark and in this dialect.
    Single,
    /// `float` has 64 bits and `real` 32, as in Postgres, Redshift and SQL Server.
    Double,
    /// 64 bits both, `float4` too, as in Snowflake.
    AlwaysDouble,
}

/// Where NULL stands in an order that does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullOrder {
    /// Behind all values, so first where the order descends: Postgres, Snowflake, this dialect.
    Largest,
    /// Before all values, so last where the order descends: Spark, `BigQuery`, SQL Server.
    Smallest,
    /// Last in either direction: DuckDB, Trino.
    Last,
}

/// What a cast makes of a fraction that becomes a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegerCasts {
    /// 2.7 is 2: Spark, SQL Server, this dialect.
    Cut,
    /// 2.7 is 3, and of halves a decimal goes away from zero and a double to the even side: Postgres, DuckDB.
    HalfEven,
    /// 2.7 is 3 and 2.5 is 3: Snowflake, `BigQuery`.
    HalfAway,
}

/// What division by zero gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotients {
    /// An error between whole numbers and between decimals, and an infinite number between doubles: DuckDB, this dialect. Where the
    /// engine has an error for doubles too, SQL that runs there does not divide by zero.
    Plain,
    /// NULL: Spark, `MySQL`, `SQLite`.
    Null,
}

/// How doubles are written as texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberTexts {
    /// `1.0`, `1e20`: this dialect.
    WithPoint,
    /// `1.0`, `1e+20`: DuckDB.
    Signed,
    /// `1`, `1e+20`: Postgres, Snowflake, `BigQuery`.
    Short,
    /// `1.0`, `1.0E20`: Spark, Trino.
    Java,
}

/// What a function makes of NULL among its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullArguments {
    /// It goes by the others.
    Skipped,
    /// It gives NULL.
    Decide,
}

/// What `log` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logarithm {
    /// `log(x)` goes by ten, `log(b, x)` by b: Postgres, DuckDB, this dialect.
    Ten,
    /// `log(x)` is the natural one, `log(b, x)` goes by b: Spark, `MySQL`.
    Natural,
    /// `log(x)` is the natural one, `log(x, b)` goes by b: `BigQuery`, SQL Server.
    NaturalBaseLast,
}

impl Default for Semantics {
    fn default() -> Self {
        OWN
    }
}

/// The dialect's own meaning.
const OWN: Semantics = Semantics {
    adapter: "alluvium",
    division: Division::Whole,
    floats: Floats::Single,
    wide_integers: false,
    nulls: NullOrder::Largest,
    casts: IntegerCasts::Cut,
    by_zero: Quotients::Plain,
    number_texts: NumberTexts::WithPoint,
    concat: NullArguments::Skipped,
    greatest: NullArguments::Skipped,
    concat_ws: NullArguments::Skipped,
    logarithm: Logarithm::Ten,
    differences: Differences::ByQuotes,
    unit_behind: false,
    week: WeekStart::Monday,
    sunday: Sunday::One,
    dow_as_dayofweek: false,
    lists: ListBase::One,
    array_agg_skips_nulls: false,
    regexp_replaces_all: false,
    regexp_matches_whole: false,
    regexp_matches_groups: false,
    regexp_extract: Extracted::Group,
    splits_by_text: false,
    decimal: None,
    varchar_cuts: false,
    groups_by_alias: false,
    joins_without_condition: false,
    unnamed: Unnamed::AsWritten,
    capitals: false,
    backslash: Backslash::Letter,
    double_quotes: DoubleQuotes::Name,
    value_columns: ValueColumns::Column,
    day_names: DayNames::Short,
    drops_offsets: false,
    times_may_go_on: false,
    moved_dates_are_times: false,
    takes_for_texts: false,
};

const POSTGRES: Semantics = Semantics {
    adapter: "postgres",
    floats: Floats::Double,
    casts: IntegerCasts::HalfEven,
    number_texts: NumberTexts::Short,
    regexp_matches_groups: true,
    varchar_cuts: true,
    unnamed: Unnamed::Figured,
    drops_offsets: true,
    times_may_go_on: true,
    moved_dates_are_times: true,
    ..OWN
};

const SPARK: Semantics = Semantics {
    takes_for_texts: true,
    adapter: "spark",
    unnamed: Unnamed::CastAsColumn,
    value_columns: ValueColumns::Col,
    joins_without_condition: true,
    division: Division::Fraction,
    nulls: NullOrder::Smallest,
    by_zero: Quotients::Null,
    number_texts: NumberTexts::Java,
    concat: NullArguments::Decide,
    logarithm: Logarithm::Natural,
    differences: Differences::Passed,
    dow_as_dayofweek: true,
    lists: ListBase::Zero,
    array_agg_skips_nulls: true,
    regexp_replaces_all: true,
    decimal: Some((10, 0)),
    backslash: Backslash::Escapes,
    double_quotes: DoubleQuotes::Text,
    ..OWN
};

const MYSQL: Semantics = Semantics {
    takes_for_texts: true,
    adapter: "mysql",
    day_names: DayNames::Whole,
    joins_without_condition: true,
    division: Division::Fraction,
    nulls: NullOrder::Smallest,
    casts: IntegerCasts::HalfEven,
    by_zero: Quotients::Null,
    number_texts: NumberTexts::Short,
    concat: NullArguments::Decide,
    greatest: NullArguments::Decide,
    logarithm: Logarithm::Natural,
    differences: Differences::Passed,
    regexp_replaces_all: true,
    decimal: Some((10, 0)),
    varchar_cuts: true,
    backslash: Backslash::Escapes,
    double_quotes: DoubleQuotes::Text,
    ..OWN
};

const SQL_SERVER: Semantics = Semantics {
    takes_for_texts: true,
    adapter: "sqlserver",
    floats: Floats::Double,
    nulls: NullOrder::Smallest,
    number_texts: NumberTexts::Short,
    logarithm: Logarithm::NaturalBaseLast,
    differences: Differences::Boundaries,
    week: WeekStart::Sunday,
    regexp_replaces_all: true,
    decimal: Some((18, 0)),
    varchar_cuts: true,
    ..OWN
};

const TRINO: Semantics = Semantics {
    adapter: "trino",
    nulls: NullOrder::Last,
    casts: IntegerCasts::HalfAway,
    number_texts: NumberTexts::Java,
    concat: NullArguments::Decide,
    greatest: NullArguments::Decide,
    differences: Differences::Passed,
    sunday: Sunday::Seven,
    dow_as_dayofweek: true,
    regexp_replaces_all: true,
    regexp_extract: Extracted::MatchOrNull,
    splits_by_text: true,
    decimal: Some((38, 0)),
    varchar_cuts: true,
    ..OWN
};

/// What differs from the dialect's own meaning, by adapter. Measured with Postgres 15, DuckDB, Spark 4.3, `ClickHouse` 26.9,
/// `MariaDB`, `SQLite` and the reference evaluator of `GoogleSQL`; of the others what their documentation says.
const ADAPTERS: [Semantics; 28] = [
    TRINO.called("athena"),
    Semantics {
        adapter: "bigquery",
        division: Division::Fraction,
        floats: Floats::AlwaysDouble,
        wide_integers: true,
        nulls: NullOrder::Smallest,
        casts: IntegerCasts::HalfAway,
        number_texts: NumberTexts::Short,
        concat: NullArguments::Decide,
        greatest: NullArguments::Decide,
        logarithm: Logarithm::NaturalBaseLast,
        differences: Differences::Boundaries,
        unit_behind: true,
        week: WeekStart::Sunday,
        lists: ListBase::Zero,
        regexp_replaces_all: true,
        regexp_extract: Extracted::GroupOrNull,
        splits_by_text: true,
        decimal: Some((38, 9)),
        groups_by_alias: true,
        backslash: Backslash::Escapes,
        double_quotes: DoubleQuotes::Text,
        ..OWN
    },
    Semantics {
        adapter: "clickhouse",
        joins_without_condition: true,
        division: Division::Fraction,
        nulls: NullOrder::Last,
        concat: NullArguments::Decide,
        concat_ws: NullArguments::Decide,
        logarithm: Logarithm::Natural,
        differences: Differences::Boundaries,
        sunday: Sunday::Seven,
        array_agg_skips_nulls: true,
        regexp_replaces_all: true,
        groups_by_alias: true,
        ..OWN
    },
    SPARK.called("databricks"),
    Semantics { casts: IntegerCasts::Cut, ..MYSQL.called("doris") },
    Semantics {
        adapter: "duckdb",
        moved_dates_are_times: true,
        value_columns: ValueColumns::ColFromZero,
        day_names: DayNames::Whole,
        drops_offsets: true,
        division: Division::Fraction,
        nulls: NullOrder::Last,
        casts: IntegerCasts::HalfEven,
        number_texts: NumberTexts::Signed,
        sunday: Sunday::Zero,
        regexp_extract: Extracted::Match,
        splits_by_text: true,
        decimal: Some((18, 3)),
        ..OWN
    },
    Semantics {
        adapter: "exasol",
        division: Division::Fraction,
        floats: Floats::AlwaysDouble,
        wide_integers: true,
        casts: IntegerCasts::HalfAway,
        regexp_replaces_all: true,
        decimal: Some((18, 0)),
        ..OWN
    },
    SQL_SERVER.called("fabric"),
    SPARK.called("fabricspark"),
    POSTGRES.called("greenplum"),
    Semantics { greatest: NullArguments::Decide, ..SPARK.called("hive") },
    Semantics {
        adapter: "impala",
        joins_without_condition: true,
        division: Division::Fraction,
        by_zero: Quotients::Null,
        backslash: Backslash::Escapes,
        double_quotes: DoubleQuotes::Text,
        concat: NullArguments::Decide,
        regexp_replaces_all: true,
        ..OWN
    },
    POSTGRES.called("materialize"),
    MYSQL,
    POSTGRES.called("netezza"),
    Semantics {
        adapter: "oracle",
        division: Division::Fraction,
        floats: Floats::Double,
        wide_integers: true,
        casts: IntegerCasts::HalfAway,
        number_texts: NumberTexts::Short,
        greatest: NullArguments::Decide,
        regexp_replaces_all: true,
        varchar_cuts: true,
        ..OWN
    },
    POSTGRES,
    Semantics {
        takes_for_texts: true,
        concat: NullArguments::Decide,
        differences: Differences::Boundaries,
        regexp_replaces_all: true,
        splits_by_text: true,
        decimal: Some((18, 0)),
        backslash: Backslash::Escapes,
        sunday: Sunday::Zero,
        ..POSTGRES.called("redshift")
    },
    POSTGRES.called("risingwave"),
    Semantics {
        adapter: "snowflake",
        capitals: true,
        takes_for_texts: true,
        drops_offsets: true,
        joins_without_condition: true,
        division: Division::Fraction,
        floats: Floats::AlwaysDouble,
        wide_integers: true,
        casts: IntegerCasts::HalfAway,
        number_texts: NumberTexts::Short,
        concat: NullArguments::Decide,
        greatest: NullArguments::Decide,
        concat_ws: NullArguments::Decide,
        differences: Differences::Boundaries,
        sunday: Sunday::Zero,
        lists: ListBase::Zero,
        array_agg_skips_nulls: true,
        regexp_replaces_all: true,
        regexp_matches_whole: true,
        splits_by_text: true,
        decimal: Some((38, 0)),
        varchar_cuts: true,
        backslash: Backslash::Escapes,
        ..OWN
    },
    SPARK,
    Semantics {
        adapter: "sqlite",
        joins_without_condition: true,
        floats: Floats::AlwaysDouble,
        wide_integers: true,
        nulls: NullOrder::Smallest,
        by_zero: Quotients::Null,
        greatest: NullArguments::Decide,
        ..OWN
    },
    SQL_SERVER,
    Semantics { casts: IntegerCasts::Cut, ..MYSQL.called("starrocks") },
    SQL_SERVER.called("synapse"),
    Semantics { adapter: "teradata", floats: Floats::AlwaysDouble, nulls: NullOrder::Smallest, ..OWN },
    TRINO,
    Semantics {
        adapter: "vertica",
        division: Division::Fraction,
        floats: Floats::AlwaysDouble,
        wide_integers: true,
        casts: IntegerCasts::HalfAway,
        concat: NullArguments::Decide,
        greatest: NullArguments::Decide,
        differences: Differences::Boundaries,
        regexp_replaces_all: true,
        varchar_cuts: true,
        ..OWN
    },
];

impl Semantics {
    /// What the SQL of a dbt adapter means.
    #[must_use]
    pub fn of_adapter(adapter: &str) -> Self {
        ADAPTERS.iter().find(|known| known.adapter == adapter).copied().unwrap_or_default()
    }

    /// A name in the quotes that names have, ready to stand in the text of a project.
    #[must_use]
    pub fn quote_ident(self, name: &str) -> String {
        match self.double_quotes {
            DoubleQuotes::Name => super::quote_ident(name),
            DoubleQuotes::Text => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// A column's name as the engine tells it of a table that was made without quotes.
    #[must_use]
    pub fn told(self, name: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'$');
        let is_plain = name.bytes().all(plain) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
        if self.capitals && is_plain { name.to_uppercase() } else { name.to_owned() }
    }

    /// A column's type, of the name that [`super::type_name`] gives it, as the engine tells it; where that says less than the name
    /// of the dialect, which [`Self::parse_type`] reads as well, it stays.
    #[must_use]
    pub fn told_type(self, data_type: &str) -> String {
        let known: &[(&str, &str)] = match self.adapter {
            "bigquery" => &[
                ("VARCHAR", "STRING"),
                ("TINYINT", "INT64"),
                ("SMALLINT", "INT64"),
                ("INTEGER", "INT64"),
                ("BIGINT", "INT64"),
                ("REAL", "FLOAT64"),
                ("DOUBLE", "FLOAT64"),
                ("DECIMAL", "NUMERIC"),
                ("BINARY", "BYTES"),
            ],
            "snowflake" => &[("REAL", "FLOAT"), ("DOUBLE", "FLOAT"), ("TIMESTAMP", "TIMESTAMP_NTZ"), ("TIMESTAMPTZ", "TIMESTAMP_TZ")],
            "databricks" | "spark" | "fabricspark" => &[
                ("VARCHAR", "string"),
                ("TINYINT", "tinyint"),
                ("SMALLINT", "smallint"),
                ("INTEGER", "int"),
                ("BIGINT", "bigint"),
                ("REAL", "float"),
                ("DOUBLE", "double"),
                ("DECIMAL", "decimal"),
                ("BOOLEAN", "boolean"),
                ("BINARY", "binary"),
                ("DATE", "date"),
                ("TIMESTAMP", "timestamp"),
            ],
            _ => &[],
        };
        let (base, digits) = data_type.split_at(data_type.find('(').unwrap_or(data_type.len()));
        known.iter().find(|(name, _)| *name == base).map_or_else(|| data_type.to_owned(), |(_, told)| format!("{told}{digits}"))
    }

    const fn called(self, adapter: &'static str) -> Self {
        Self { adapter, ..self }
    }

    /// What a session was made for.
    #[must_use]
    pub fn of_session(session: &dyn Session) -> Self {
        session.config().get_extension::<Self>().map(|found| *found).unwrap_or_default()
    }

    /// The type that a name stands for in the SQL or the properties files of a project; else as [`super::parse_type`].
    ///
    /// # Errors
    /// With what was not understood, as a phrase for a message.
    pub fn parse_type(self, name: &str) -> Result<DataType, String> {
        named_type(name, self)
    }

    /// Whether `^` is a power; elsewhere it is refused, because engines differ.
    #[must_use]
    pub fn caret_is_power(self) -> bool {
        matches!(self.adapter, "duckdb" | "postgres" | "redshift")
    }

    /// Whether files are tables in a `from` clause: `read_csv('a.csv')`, `'a.csv'`.
    #[must_use]
    pub fn reads_files(self) -> bool {
        matches!(self.adapter, "duckdb" | "alluvium")
    }

    /// The name that [`super::parse_type`] reads as what `name` means here; what is no type stays as it is.
    #[must_use]
    pub fn plain_type(self, name: &str) -> String {
        self.parse_type(name).map_or_else(|_| name.to_owned(), |found| type_name(&found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_names_that_mean_the_same() {
        for adapter in ["bigquery", "snowflake", "databricks"] {
            let semantics = Semantics::of_adapter(adapter);
            for name in ["VARCHAR", "BIGINT", "DOUBLE", "DECIMAL(10,2)", "BOOLEAN", "BINARY", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "ARRAY<VARCHAR>"] {
                let told = semantics.told_type(name);
                assert_eq!(semantics.plain_type(&told), name, "{adapter}: {told}");
            }
        }
        assert_eq!(Semantics::of_adapter("bigquery").told_type("DECIMAL(10,2)"), "NUMERIC(10,2)");
        assert_eq!(Semantics::of_adapter("postgres").told_type("VARCHAR"), "VARCHAR");
    }

    #[test]
    fn floats_are_as_wide_as_in_the_engine_of_the_adapter() {
        let shown = |adapter: &str, name: &str| Semantics::of_adapter(adapter).parse_type(name).map(|found| type_name(&found));
        for (adapter, name, wanted) in [
            ("alluvium", "float", "REAL"),
            ("duckdb", "float", "REAL"),
            ("postgres", "float", "DOUBLE"),
            ("postgres", "float(24)", "REAL"),
            ("postgres", "FLOAT(25)", "DOUBLE"),
            ("postgres", "real", "REAL"),
            ("postgres", "float4", "REAL"),
            ("postgres", "float[]", "ARRAY<DOUBLE>"),
            ("snowflake", "real", "DOUBLE"),
            ("snowflake", "float4", "DOUBLE"),
            ("snowflake", "float(10)", "DOUBLE"),
            ("snowflake", "array<float>", "ARRAY<DOUBLE>"),
        ] {
            assert_eq!(shown(adapter, name), Ok(wanted.to_owned()), "{name} of {adapter}");
        }
        for name in ["float(0)", "float(54)", "real(3)", "float(3, 2)"] {
            assert!(Semantics::of_adapter("postgres").parse_type(name).is_err(), "{name}");
        }
    }
}
