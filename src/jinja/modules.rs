//! `modules.datetime`, `modules.re`, `modules.pytz` and `modules.itertools`: what macros take from Python's libraries.

mod datetime;
mod endless;
mod itertools;
mod regexes;
mod spans;
mod strptime;
mod zones;

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};

pub(super) use datetime::Moment;
pub(super) use endless::Endless;
pub(super) use spans::{compared, date_sum, is_date, span_negated, span_product, span_quotient, span_rest, span_size};

use super::error::unsupported;

/// `repr(value)` of what comes from these modules.
pub(super) fn object_repr(value: &Value) -> Option<String> {
    let moment = value.downcast_object_ref::<Moment>().map(Moment::repr);
    let utc = || value.downcast_object_ref::<zones::Zone>().filter(|zone| **zone == zones::Zone::UTC).map(|_| "<UTC>".to_owned());
    moment.or_else(|| value.downcast_object_ref::<spans::Span>().map(|span| span.written())).or_else(utc)
}

/// `modules`.
#[derive(Debug)]
pub(super) struct Modules;

impl Object for Modules {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "datetime" => Value::from_object(datetime::DatetimeModule),
            "re" => Value::from_object(regexes::ReModule),
            "pytz" => Value::from_object(zones::PytzModule),
            "itertools" => Value::from_object(itertools::ItertoolsModule),
            other => Value::from(unsupported(&format!("modules.{other}"))),
        })
    }
}
