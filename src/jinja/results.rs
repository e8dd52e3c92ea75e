//! Results of nodes, as hooks at the end of a run see them: dbt's objects, of which times are datetimes, and whose `to_dict`
//! has them as texts.

use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::Value as Json;

use super::containers::{collect, new_dict, new_list, pairs};
use super::modules::Moment;
use super::values::from_json;

/// The list `results`.
pub(super) fn results(json: &Json) -> Value {
    new_list(json.as_array().into_iter().flatten().map(|result| with_times(&from_json(result), &moment)).collect())
}

/// `to_dict()` of a result, or of another mapping.
pub(super) fn to_dict(value: &Value) -> Value {
    with_times(value, &|time| {
        time.downcast_object_ref::<Moment>().and_then(|time| Some(Value::from(format!("{}Z", time.iso("T", "microseconds").ok()?))))
    })
}

fn moment(text: &Value) -> Option<Value> {
    Moment::read(text.as_str()?.trim_end_matches('Z')).map(Moment::value)
}

/// A mapping whose times are other values.
fn with_times(value: &Value, time: &impl Fn(&Value) -> Option<Value>) -> Value {
    let timing = value.get_attr("timing").ok().filter(|timing| timing.kind() == ValueKind::Seq);
    let (Some(timing), Ok(entries)) = (timing, pairs(value)) else { return value.clone() };
    let span = |span: Value| match pairs(&span) {
        Ok(entries) => new_dict(entries.into_iter().map(|(key, at)| (key, time(&at).unwrap_or(at)))),
        Err(_) => span,
    };
    let timing = new_list(collect(&timing).unwrap_or_default().into_iter().map(span).collect());
    new_dict(entries.into_iter().map(|(key, value)| if key.as_str() == Some("timing") { (key, timing.clone()) } else { (key, value) }))
}
