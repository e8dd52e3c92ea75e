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
    pub nulls: NullOrder,
    pub casts: IntegerCasts,
    /// What `concat` makes of NULL.
    pub concat: NullArguments,
    /// What `greatest` and `least` make of NULL.
    pub greatest: NullArguments,
    pub logarithm: Logarithm,
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
    /// Before all values, so last where the order descends: Spark, BigQuery, SQL Server.
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
    /// 2.7 is 3 and 2.5 is 3: Snowflake, BigQuery.
    HalfAway,
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
    /// `log(x)` is the natural one, `log(b, x)` goes by b: Spark, MySQL.
    Natural,
    /// `log(x)` is the natural one, `log(x, b)` goes by b: BigQuery, SQL Server.
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
    nulls: NullOrder::Largest,
    casts: IntegerCasts::Cut,
    concat: NullArguments::Skipped,
    greatest: NullArguments::Skipped,
    logarithm: Logarithm::Ten,
};

const POSTGRES: Semantics = Semantics { adapter: "postgres", floats: Floats::Double, casts: IntegerCasts::HalfEven, ..OWN };

const SPARK: Semantics = Semantics {
    adapter: "spark",
    division: Division::Fraction,
    nulls: NullOrder::Smallest,
    concat: NullArguments::Decide,
    logarithm: Logarithm::Natural,
    ..OWN
};

const MYSQL: Semantics = Semantics {
    adapter: "mysql",
    division: Division::Fraction,
    nulls: NullOrder::Smallest,
    casts: IntegerCasts::HalfAway,
    concat: NullArguments::Decide,
    greatest: NullArguments::Decide,
    logarithm: Logarithm::Natural,
    ..OWN
};

const SQL_SERVER: Semantics =
    Semantics { adapter: "sqlserver", floats: Floats::Double, nulls: NullOrder::Smallest, logarithm: Logarithm::NaturalBaseLast, ..OWN };

const TRINO: Semantics = Semantics {
    adapter: "trino",
    nulls: NullOrder::Last,
    casts: IntegerCasts::HalfAway,
    concat: NullArguments::Decide,
    greatest: NullArguments::Decide,
    ..OWN
};

/// What differs from the dialect's own meaning, by adapter.
const ADAPTERS: [Semantics; 28] = [
    TRINO.called("athena"),
    Semantics {
        adapter: "bigquery",
        division: Division::Fraction,
        nulls: NullOrder::Smallest,
        casts: IntegerCasts::HalfAway,
        concat: NullArguments::Decide,
        greatest: NullArguments::Decide,
        logarithm: Logarithm::NaturalBaseLast,
        ..OWN
    },
    Semantics {
        adapter: "clickhouse",
        division: Division::Fraction,
        nulls: NullOrder::Last,
        concat: NullArguments::Decide,
        logarithm: Logarithm::Natural,
        ..OWN
    },
    SPARK.called("databricks"),
    Semantics { casts: IntegerCasts::Cut, ..MYSQL.called("doris") },
    Semantics { adapter: "duckdb", division: Division::Fraction, nulls: NullOrder::Last, casts: IntegerCasts::HalfEven, ..OWN },
    Semantics { adapter: "exasol", division: Division::Fraction, floats: Floats::AlwaysDouble, casts: IntegerCasts::HalfAway, ..OWN },
    SQL_SERVER.called("fabric"),
    SPARK.called("fabricspark"),
    POSTGRES.called("greenplum"),
    SPARK.called("hive"),
    Semantics { adapter: "impala", division: Division::Fraction, concat: NullArguments::Decide, ..OWN },
    POSTGRES.called("materialize"),
    MYSQL,
    POSTGRES.called("netezza"),
    Semantics {
        adapter: "oracle",
        division: Division::Fraction,
        floats: Floats::Double,
        casts: IntegerCasts::HalfAway,
        greatest: NullArguments::Decide,
        ..OWN
    },
    POSTGRES,
    Semantics { concat: NullArguments::Decide, ..POSTGRES.called("redshift") },
    POSTGRES.called("risingwave"),
    Semantics {
        adapter: "snowflake",
        division: Division::Fraction,
        floats: Floats::AlwaysDouble,
        casts: IntegerCasts::HalfAway,
        concat: NullArguments::Decide,
        greatest: NullArguments::Decide,
        ..OWN
    },
    SPARK,
    Semantics { adapter: "sqlite", floats: Floats::AlwaysDouble, nulls: NullOrder::Smallest, greatest: NullArguments::Decide, ..OWN },
    SQL_SERVER,
    Semantics { casts: IntegerCasts::Cut, ..MYSQL.called("starrocks") },
    SQL_SERVER.called("synapse"),
    Semantics { adapter: "teradata", floats: Floats::AlwaysDouble, nulls: NullOrder::Smallest, ..OWN },
    TRINO,
    Semantics {
        adapter: "vertica",
        division: Division::Fraction,
        floats: Floats::AlwaysDouble,
        casts: IntegerCasts::HalfAway,
        concat: NullArguments::Decide,
        greatest: NullArguments::Decide,
        ..OWN
    },
];

impl Semantics {
    /// What the SQL of a dbt adapter means.
    #[must_use]
    pub fn of_adapter(adapter: &str) -> Self {
        ADAPTERS.iter().find(|known| known.adapter == adapter).copied().unwrap_or_default()
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
        named_type(name, self.floats)
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
