//! `modules.datetime`, `modules.re`, `modules.pytz` and `modules.itertools`: what macros take from Python's libraries.

mod datetime;
mod itertools;
mod regexes;
mod spans;
mod zones;

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};

pub(super) use datetime::Moment;
pub(super) use spans::{date_sum, is_date};

use super::error::unsupported;

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
