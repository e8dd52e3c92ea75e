//! Results of nodes, as hooks at the end of a run see them: dbt's objects, of which times are datetimes, and whose `to_dict`
//! has them as texts.

use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::Value as Json;

use super::containers::{collect, new_config, new_dict, new_list, pairs};
use super::modules::Moment;
use super::values::from_json;

/// The list `results`.
pub(super) fn results(json: &Json) -> Value {
    let config = |config: Value| pairs(&config).map_or(config, new_config);
    let result = |json: &Json| with_entry(&with_times(&from_json(json), &moment), "node", &|node| with_entry(&node, "config", &config));
    new_list(json.as_array().into_iter().flatten().map(result).collect())
}

/// `to_dict()` of a result, or of another mapping.
pub(super) fn to_dict(value: &Value) -> Value {
    let config = |config: Value| pairs(&config).map_or(config, new_dict);
    let value = with_entry(value, "node", &|node| with_entry(&node, "config", &config));
    let text =
        |time: &Value| time.downcast_object_ref::<Moment>().and_then(|time| Some(Value::from(format!("{}Z", time.iso("T", "microseconds").ok()?))));
    with_times(&timed(value, &text), &text)
}

/// A mapping with another value for a key, if it has that.
fn with_entry(value: &Value, key: &str, other: &dyn Fn(Value) -> Value) -> Value {
    match pairs(value) {
        Ok(entries) if entries.iter().any(|(known, _)| known.as_str() == Some(key)) => {
            new_dict(entries.into_iter().map(|(known, value)| if known.as_str() == Some(key) { (known, other(value)) } else { (known, value) }))
        }
        _ => value.clone(),
    }
}

fn moment(text: &Value) -> Option<Value> {
    Moment::read(text.as_str()?.trim_end_matches('Z')).map(Moment::value)
}

/// A mapping whose times are other values.
fn with_times(value: &Value, time: &impl Fn(&Value) -> Option<Value>) -> Value {
    let timing = value.get_attr("timing").ok().filter(|timing| timing.kind() == ValueKind::Seq);
    let (Some(timing), Ok(entries)) = (timing, pairs(value)) else { return value.clone() };
    let timing = new_list(collect(&timing).unwrap_or_default().into_iter().map(|span| timed(span, time)).collect());
    new_dict(entries.into_iter().map(|(key, value)| if key.as_str() == Some("timing") { (key, timing.clone()) } else { (key, value) }))
}

/// A mapping of times as one of other values.
fn timed(span: Value, time: &impl Fn(&Value) -> Option<Value>) -> Value {
    match pairs(&span) {
        Ok(entries) => new_dict(entries.into_iter().map(|(key, at)| (key, time(&at).unwrap_or(at)))),
        Err(_) => span,
    }
}
