//! The functions that the dialect has beside DataFusion's own: those of the crates for Spark and for JSON that change
//! no name DataFusion has, and some that no crate has.
//!
//! Functions that are only another spelling are no functions here but rules of [`super::rewrite`].

mod age;
pub(super) mod cast_of;
pub(super) mod coalesce;
mod date_math;
mod date_trunc;
mod fingerprint;
mod hash;
mod intervals;
pub(super) mod iso_time;
mod items;
mod json;
mod lambdas;
mod length;
mod listed;
mod meant;
mod mode;
pub(super) mod number_text;
mod parse_time;
mod plain;
mod quantiles;
mod regexp;
mod sequence;
mod series;
mod strtok;
mod sum;
mod tried;
mod zones;

pub(super) mod checked;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion_functions_json::udfs as json_get;
use datafusion_spark::function as spark;
use deltalake::datafusion::execution::session_state::SessionStateBuilder;
use deltalake::datafusion::functions::{core, datetime};
use deltalake::datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};

pub(super) use intervals::multiplied_interval;
pub(super) use meant::unless_zero;

use super::semantics::Semantics;

/// Made once: a session only takes references.
static SCALARS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(scalars);
static AGGREGATES: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(aggregates);

static LAMBDAS: LazyLock<Vec<Arc<HigherOrderUDF>>> = LazyLock::new(lambdas::functions);

/// Gives a session the dialect's functions, behind DataFusion's own.
pub(super) fn register(builder: &mut SessionStateBuilder, semantics: Semantics) {
    builder.scalar_functions().get_or_insert_default().extend(SCALARS.iter().map(Arc::clone));
    builder.scalar_functions().get_or_insert_default().push(coalesce::function());
    builder.scalar_functions().get_or_insert_default().extend(meant::functions(semantics));
    builder.higher_order_functions().get_or_insert_default().extend(LAMBDAS.iter().map(Arc::clone));
    builder.aggregate_functions().get_or_insert_default().extend(AGGREGATES.iter().map(Arc::clone));
}

/// Whether a function gives a value for each row and nothing else: it has no use of `filter`, `over`, `distinct` or an order.
pub(super) fn is_scalar(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let defaults = SessionStateBuilder::new().with_default_features().build();
        let own = SCALARS.iter().flat_map(|function| std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)));
        let mut names: HashSet<String> = defaults.scalar_functions().keys().cloned().chain(own.map(str::to_owned)).collect();
        let over_rows = AGGREGATES.iter().flat_map(|function| std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)));
        let over_rows = over_rows.map(str::to_owned).chain(defaults.aggregate_functions().keys().cloned());
        for name in over_rows.chain(defaults.window_functions().keys().cloned()) {
            names.remove(&name);
        }
        names
    });
    NAMES.contains(name)
}

/// The names that the dialect adds.
#[cfg(test)]
pub(super) fn names() -> Vec<String> {
    let plain = SCALARS.iter().map(|function| function.name().to_owned()).chain(AGGREGATES.iter().map(|function| function.name().to_owned()));
    plain.chain(LAMBDAS.iter().map(|function| function.name().to_owned())).collect()
}

fn scalars() -> Vec<Arc<ScalarUDF>> {
    let mut all = vec![
        spark::datetime::add_months(),
        spark::datetime::date_add(),
        spark::datetime::date_sub(),
        spark::datetime::date_diff(),
        spark::datetime::last_day(),
        spark::datetime::next_day(),
        spark::datetime::from_utc_timestamp(),
        spark::datetime::to_utc_timestamp(),
        spark::datetime::unix_date(),
        spark::datetime::unix_seconds(),
        spark::datetime::unix_millis(),
        spark::datetime::unix_micros(),
        spark::hash::crc32(),
        spark::hash::sha1(),
        spark::hash::sha2(),
        spark::hash::xxhash64(),
        spark::string::base64(),
        spark::string::unbase64(),
        spark::string::soundex(),
        spark::string::space(),
        // Texts of `create view` are rewritten again when they are read: these names mean the same in every target.
        Arc::new(datetime::date_part().as_ref().clone().with_aliases(["time_part"])),
        // `substring(..)` is syntax to the parser, and means DataFusion's function.
        Arc::new(spark::string::substring().as_ref().clone().with_aliases(["text_part"])),
        spark::string::elt(),
        spark::string::luhn_check(),
        spark::string::format_string(),
        spark::math::hex(),
        spark::math::unhex(),
        spark::math::pmod(),
        spark::math::rint(),
        spark::math::bin(),
        spark::math::expm1(),
        spark::math::hypot(),
        spark::math::width_bucket(),
        spark::map::map_from_arrays(),
        spark::map::map_from_entries(),
        spark::map::str_to_map(),
        spark::array::array(),
        spark::bitwise::bit_count(),
        spark::url::parse_url(),
        spark::url::url_encode(),
        spark::url::url_decode(),
        json_get::json_get_str_udf(),
        json_get::json_get_int_udf(),
        json_get::json_get_float_udf(),
        json_get::json_get_bool_udf(),
        json_get::json_get_json_udf(),
        json_get::json_as_text_udf(),
        json_get::json_contains_udf(),
        json_get::json_length_udf(),
        json_get::json_object_keys_udf(),
    ];
    all.extend(date_math::functions());
    all.extend(regexp::functions());
    all.extend(hash::functions());
    all.extend(date_trunc::functions());
    all.extend(length::functions());
    all.extend(items::functions());
    all.extend(cast_of::functions());
    all.extend(iso_time::functions());
    all.extend(json::functions());
    all.extend(zones::functions());
    all.extend(parse_time::functions());
    all.extend(sequence::functions());
    all.extend(series::functions());
    all.extend([age::function(), fingerprint::function(), quantiles::function(), strtok::function()]);
    all.extend(tried::functions());
    // Those that go by the values that are there, whatever the engine's own make of NULL.
    all.push(Arc::new(core::greatest().as_ref().clone().with_aliases(["greatest_ignore_nulls"])));
    all.push(Arc::new(core::least().as_ref().clone().with_aliases(["least_ignore_nulls"])));
    all
}

/// `sum` takes the place of DataFusion's, whose integers wrap; everything else is new.
fn aggregates() -> Vec<Arc<AggregateUDF>> {
    vec![
        spark::aggregate::collect_list(),
        spark::aggregate::collect_set(),
        spark::aggregate::try_sum(),
        Arc::new(AggregateUDF::from(mode::Mode::new())),
        Arc::new(AggregateUDF::from(sum::CheckedSum::new())),
        Arc::new(AggregateUDF::from(listed::ListedText::new())),
    ]
}
